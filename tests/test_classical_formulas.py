"""Each classical model against a plain restatement: a formula, a flood, a loop."""

import numpy as np
import pytest
import scipy.fft
import scipy.linalg
import scipy.ndimage
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from saliencykit.models import classical


def module(name):
    """The file of a model: the package's attribute of that name."""
    return getattr(classical, name)


@pytest.fixture(scope="module")
def noise():
    return torch.rand(3, 3, 60, 83, generator=torch.Generator().manual_seed(0))


# spectral_residual


def test_spectral_residual_is_its_formula():
    intensity = torch.rand(2, 48, 64, generator=torch.Generator().manual_seed(2))
    ours = module("spectral_residual").residual_map(intensity)
    for image, found in zip(intensity.double().numpy(), ours.numpy(), strict=True):
        spectrum = np.fft.fft2(image)
        log, phase = np.log(np.abs(spectrum)), np.angle(spectrum)
        residual = log - scipy.ndimage.uniform_filter(log, 3, mode="wrap")
        expected = np.abs(np.fft.ifft2(np.exp(residual + 1j * phase))) ** 2
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-12)


# image_signature


@pytest.mark.parametrize("size", [(48, 64), (33, 17), (1, 5)])
def test_dct_is_scipys_and_inverts(size):
    signature = module("image_signature")
    maps = torch.rand(2, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    theirs = scipy.fft.dctn(maps.numpy(), axes=(1, 2), norm="ortho")
    np.testing.assert_allclose(signature.dct(maps), theirs, atol=1e-12)
    torch.testing.assert_close(signature.idct(signature.dct(maps)), maps)


def test_image_signature_is_its_formula_without_resizing():
    image = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(4))
    coefficients = scipy.fft.dctn(image[0].double().numpy(), axes=(1, 2), norm="ortho")
    signs = np.sign(coefficients) * (np.abs(coefficients) > 1e-5)
    energy = (scipy.fft.idctn(signs, axes=(1, 2), norm="ortho") ** 2).mean(0)
    found = classical.saliency("image_signature", image, colour="rgb", sigma=0.0)[0]
    np.testing.assert_allclose(found, energy, rtol=1e-4, atol=1e-6)


# bms


def naive_flood(mask):
    """Pixels of a mask joined to the border by an 8-connected path inside it, by a queue."""
    height, width = mask.shape
    reached = np.zeros_like(mask)
    queue = [
        (y, x)
        for y in range(height)
        for x in range(width)
        if mask[y, x] and (y in (0, height - 1) or x in (0, width - 1))
    ]
    while queue:
        y, x = queue.pop()
        if 0 <= y < height and 0 <= x < width and mask[y, x] and not reached[y, x]:
            reached[y, x] = True
            queue += [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return reached


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 14), st.integers(3, 14), st.sampled_from([2, 5, 256]))
def test_surrounded_is_what_a_naive_flood_leaves(seed, height, width, levels):
    feature = np.random.default_rng(seed).integers(levels, size=(height, width)).astype(np.uint8)
    thresholds = np.arange(feature.min(), feature.max(), max(1, levels // 8), dtype=float)
    bms = module("bms")
    other = feature.T.copy().reshape(feature.shape)
    rises, falls = bms.flooded(np.stack([other, feature]))
    above, below = bms.surrounded(feature, rises[1], falls[1], thresholds)
    for t, on, off in zip(thresholds, above, below, strict=True):
        for mask, found in ((feature > t, on), (feature <= t, off)):
            np.testing.assert_array_equal(found, mask & ~naive_flood(mask))


def test_the_flood_finds_its_way_through_a_spiral():
    """Which takes many rounds of sweeps."""
    maze = np.zeros((31, 31), np.uint8)
    at, ways = np.array([0, 29]), [(1, 0), (0, -1), (-1, 0), (0, 1)]
    maze[tuple(at)] = 200
    for turn, length in enumerate(range(28, 0, -2)):
        for _ in range(length):
            at += ways[turn % 4]
            maze[tuple(at)] = 200
    rises, falls = module("bms").flooded(np.stack([maze, 255 - maze]))
    assert (rises[0] == maze).all()
    assert (falls[1] == 255 - maze).all()
    walled = maze.copy()
    walled[0, 29] = 90  # the way in is lower
    assert (module("bms").flooded(walled[None])[0][0] == np.minimum(walled, 90)).all()


def test_attention_is_the_mean_of_dilated_normalised_attention_maps():
    bms = module("bms")
    feature = np.random.default_rng(5).integers(256, size=(12, 15)).astype(np.uint8)
    expected, n = np.zeros(feature.shape), 0
    for t in np.arange(feature.min(), feature.max(), 16):
        for mask in (feature > t, feature <= t):
            left = scipy.ndimage.binary_dilation(mask & ~naive_flood(mask), np.ones((5, 5)))
            expected += left / max(1.0, np.linalg.norm(left))
            n += 1
    found = bms.attention(feature[None], 16, 5, torch.device("cpu"))[0]
    np.testing.assert_allclose(found, expected / n, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("side", [1, 3, 7, 9, 13])
def test_dilation_is_the_maximum_over_a_square(side):
    maps = torch.rand(2, 11, 20, generator=torch.Generator().manual_seed(6))
    theirs = scipy.ndimage.maximum_filter(maps.numpy(), (1, side, side), mode="constant")
    np.testing.assert_array_equal(module("bms").dilate(maps, side), theirs)


def test_whitened_channels_are_uncorrelated_and_the_ridge_keeps_faint_ones_faint(noise):
    bms = module("bms")
    covariance = np.cov(bms.whitened(noise.double())[0].flatten(1), ddof=0)
    faint = np.cov(bms.whitened(0.5 + 1e-3 * noise.double())[0].flatten(1), ddof=0)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-12)
    assert (np.diag(covariance) > 0.9).all()
    assert (np.diag(faint) < 1e-2).all()


def test_a_ring_surrounds_its_inside():
    """Surroundedness is not contrast: the inside of a ring has the background's grey."""
    rows, columns = torch.arange(96)[:, None] - 48, torch.arange(128) - 64
    distance = (rows**2 + columns**2).sqrt()
    image = (0.3 + 0.5 * ((distance > 14) & (distance < 20))).expand(1, 3, -1, -1)
    found = classical.saliency("bms", image)[0]
    assert found[48, 64] > 5 * found[48, 10]


# covsal


def test_region_moments_are_numpys():
    covsal = module("covsal")
    maps = torch.rand(2, 4, 24, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    mean, scatter = covsal.moments(covsal.regions(maps, 8))
    assert mean.shape == (2, 3, 2, 4)
    region = maps[1, :, 16:24, 8:16].flatten(1).numpy()
    np.testing.assert_allclose(mean[1, 2, 1], region.mean(1))
    np.testing.assert_allclose(scatter[1, 2, 1] / 63, np.cov(region))


def test_moments_of_larger_regions_are_merged_from_those_of_their_parts():
    covsal = module("covsal")
    maps = torch.rand(2, 4, 32, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    found = covsal.moments(covsal.regions(maps + 100, 2))
    for side in (2, 4, 8):
        found = covsal.merged(*found, count=side**2)
        whole = covsal.moments(covsal.regions(maps + 100, 2 * side))
        torch.testing.assert_close(found, whole)


def test_descriptors_are_as_far_apart_as_sigma_points():
    covsal = module("covsal")
    rng = np.random.default_rng(8)
    samples = rng.normal(size=(5, 30, 7)) * rng.uniform(1, 9, size=(5, 1, 7))
    means, scatters = (m.numpy() for m in covsal.moments(torch.from_numpy(samples)))
    covariances = scatters / 29
    points = []
    for mean, covariance in zip(means, covariances, strict=True):
        factor = scipy.linalg.cholesky(2 * 7.1 * (covariance + 1e-3 * np.eye(7)), lower=True)
        points.append(np.concatenate([mean, *(mean + factor.T), *(mean - factor.T)]))
    ours = covsal.descriptors(torch.from_numpy(means), torch.from_numpy(covariances))
    np.testing.assert_allclose(pdist(ours), pdist(points))


def test_unlikeness_is_a_loop_over_neighbours():
    covsal = module("covsal")
    vectors = np.random.default_rng(9).normal(size=(9, 8, 5))
    found = covsal.unlikeness(torch.from_numpy(vectors)[None], side=4, quantile=0.1)[0]
    for y in range(9):
        for x in range(8):
            distances = sorted(
                np.linalg.norm(vectors[y, x] - vectors[j, i]) / (1 + 4 * np.hypot(y - j, x - i))
                for j in range(max(0, y - 3), min(9, y + 4))
                for i in range(max(0, x - 3), min(8, x + 4))
                if (j, i) != (y, x)
            )
            kept = max(1, int(0.1 * len(distances)))
            assert found[y, x].item() == pytest.approx(np.mean(distances[:kept]))


# aim


def test_self_information_is_a_loop_over_histograms():
    coefficients = np.random.default_rng(10).normal(size=(2, 3, 8, 9))
    found = module("aim").self_information(torch.from_numpy(coefficients), bins=16)
    for image, information in zip(coefficients, found.numpy(), strict=True):
        step = (image.max() - image.min()) / 15
        expected = np.zeros(image.shape[1:])
        for channel in image:
            edges = image.min() + step * (np.arange(17) - 0.5)
            counts, _ = np.histogram(channel, edges)
            p = counts[np.digitize(channel, edges) - 1] / channel.size
            expected -= np.log(p + 1e-6)
        np.testing.assert_allclose(information, expected, rtol=1e-6)


def test_the_default_basis_unmixes_photographs():
    aim = module("aim")
    basis = aim.aim_basis()
    assert basis.shape[1:] == (3, 21, 21)
    others = aim.patches(aim.photographs(), 21, 4000, seed=1)
    coefficients = others @ basis.double().flatten(1).numpy().T
    np.testing.assert_allclose(np.cov(coefficients.T), np.eye(len(basis)), atol=0.25)
    assert (scipy.stats.kurtosis(coefficients) > 0).mean() > 0.9  # sparse: that's what ICA sought


def test_a_basis_is_learned_from_the_callers_images_once_and_by_seed(noise, monkeypatch):
    aim = module("aim")
    images = [noise[0], noise[1, :, :30]]
    basis = aim.aim_basis(images, side=5, n=500)
    assert torch.equal(
        torch.from_numpy(aim.learn(aim.patches(images, 5, 500, 0), 0.95, 0)).float(),
        basis.flatten(1),
    )
    assert not torch.equal(aim.aim_basis(images, side=5, n=500, seed=1), basis)
    monkeypatch.setattr(aim, "learn", None)  # a second time, it is read
    assert torch.equal(aim.aim_basis(images, side=5, n=500), basis)


def test_a_basis_needs_images_of_a_patch():
    with pytest.raises(ValueError, match="21 × 21"):
        module("aim").aim_basis([torch.zeros(3, 20, 40)])
    with pytest.raises(ValueError, match="21 × 21"):
        module("aim").aim_basis([])
    with pytest.raises(ValueError, match="between 0 and 1"):
        module("aim").aim_basis(variance=1.0)


def test_aim_counts_patches_wholly_inside_the_image(noise):
    basis = torch.randn(4, 3, 9, 9, generator=torch.Generator().manual_seed(11))
    found = classical.saliency("aim", noise, basis=basis, size=83)
    frame = torch.ones(60, 83, dtype=torch.bool)
    frame[4:-4, 4:-4] = False
    for one in found:
        assert (one[frame] == one.min()).all()
        assert one[4:-4, 4:-4].std() > 0
