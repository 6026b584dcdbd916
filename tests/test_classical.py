"""Classical models: what all must do, over the whole registry, and each against a restatement."""

import numpy as np
import pytest
import scipy.fft
import scipy.linalg
import scipy.ndimage
import scipy.stats
import skimage.color
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from saliencykit.metrics import gaussian_blur, nss
from saliencykit.models import CentrePrior, classical
from saliencykit.models.classical import filters
from saliencykit.registry import UnknownNameError

MODELS = classical.names()
LOOKING = [name for name in MODELS if name != "centre"]  # those that look at the image
# The same models at a smaller working size, where the size is not what is tested.
QUICK = {"aim": {"size": 96}, "bms": {"max_dim": 96}, "covsal": {"size": 128}}
MIRRORED = [name for name in MODELS if name != "aim"]  # a learned basis has no mirror symmetry


def quick(name, images, **more):
    return classical.saliency(name, images, **QUICK.get(name, {}), **more)


def module(name):
    """The file of a model: the package's attribute of that name."""
    return getattr(classical, name)


@pytest.fixture(scope="module")
def noise():
    return torch.rand(3, 3, 60, 83, generator=torch.Generator().manual_seed(0))


def item(colour, size=(96, 128), y=30, x=90, radius=6):
    """A grey field with one disk: (1, 3, H, W)."""
    rows, columns = (torch.arange(n) for n in size)
    disk = (rows[:, None] - y) ** 2 + (columns - x) ** 2 <= radius**2
    field = torch.full((3, *size), 0.4)
    return torch.where(disk, torch.tensor(colour)[:, None, None], field)[None]


def field(rgb, size):
    return torch.tensor(rgb)[:, None, None].expand(3, *size)


# All models


@pytest.mark.parametrize("name", MODELS)
def test_maps_are_finite_not_negative_and_of_the_images_size(name, noise):
    small = noise[:2, :, :16, :16]
    for images in (small, noise[:1, :, :37, :19].double(), small.half(), noise[:0]):
        maps = quick(name, images)
        assert maps.shape == (len(images), *images.shape[-2:])
        assert maps.dtype == torch.float32
        assert maps.isfinite().all()
        assert (maps >= 0).all()


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_equals_a_loop_and_repeats(name, noise):
    maps = quick(name, noise)
    one_by_one = torch.cat([quick(name, image[None]) for image in noise])
    torch.testing.assert_close(maps, one_by_one, rtol=1e-5, atol=1e-7)
    assert torch.equal(maps, quick(name, noise))


@pytest.mark.parametrize("name", LOOKING)
@pytest.mark.parametrize("size", [(16, 16), (33, 50), (64, 48)])
def test_a_constant_image_gives_a_constant_map_that_scores_0(name, size):
    colours = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.3, 0.3, 0.3), (0.81, 0.17, 0.09))
    maps = quick(name, torch.stack([field(c, size) for c in colours]))
    assert torch.equal(maps.amin((1, 2)), maps.amax((1, 2)))
    fixations = torch.zeros(len(maps), *size)
    fixations[:, 3, 4] = 1
    assert (nss(maps, fixations) == 0).all()


@pytest.mark.parametrize("name", LOOKING)
def test_the_only_item_is_the_maximum(name):
    for colour in ((0.9, 0.9, 0.9), (0.1, 0.1, 0.1), (0.9, 0.2, 0.4)):
        best = classical.saliency(name, item(colour))[0].argmax().item()
        y, x = divmod(best, 128)
        assert np.hypot(y - 30, x - 90) <= 9  # the radius is 6, regions and patches a few pixels


@pytest.mark.parametrize("name", LOOKING)
def test_the_map_follows_the_item(name):
    left, right = (quick(name, item((0.9, 0.2, 0.4), x=x))[0] for x in (40, 90))
    assert left[30, 40] > 1.2 * left[30, 90]
    assert right[30, 90] > 1.2 * right[30, 40]


@pytest.mark.parametrize("name", MIRRORED)
def test_a_mirrored_image_gives_the_mirrored_map(name, noise):
    images = torch.cat((item((0.9, 0.2, 0.4), size=(60, 83), x=20), noise[:2]))
    maps = quick(name, images)
    for axis in (-1, -2):
        mirrored = quick(name, images.flip(axis)).flip(axis)
        # bms rounds to 8 bits: a level that another order of adding tips moves a few pixels
        assert (maps - mirrored).abs().max() < 5e-3 * maps.max()


@pytest.mark.parametrize("name", MODELS)
def test_smoothing_and_a_centre_bias_come_after_the_model(name, noise):
    prior = CentrePrior()
    plain, smooth, biased = (
        quick(name, noise[:1], **k) for k in ({}, {"smooth": 0.03}, {"centre_bias": prior})
    )
    torch.testing.assert_close(smooth, gaussian_blur(plain, 0.03 * 83))
    torch.testing.assert_close(biased, plain * prior.map((60, 83)))


@pytest.mark.parametrize("name", MODELS)
def test_a_wrong_parameter_is_named(name, noise):
    known = next(iter(classical.parameters(name)))
    with pytest.raises(UnknownNameError, match=known):
        classical.saliency(name, noise, **{known + "x": 1})


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(3, 32, 32), r"must be \(B, 3, H, W\)"),
        (torch.zeros(1, 1, 32, 32), r"must be \(B, 3, H, W\)"),
        (torch.zeros(1, 3, 0, 32), r"must be \(B, 3, H, W\)"),
        (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), "divide them by 255"),
        (torch.full((1, 3, 32, 32), 2.0), "run from 2 to 2"),
        (torch.full((1, 3, 32, 32), torch.nan), "must lie in"),
    ],
)
def test_other_images_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        classical.saliency("centre", images)


def test_an_unknown_model_names_the_nearest(noise):
    with pytest.raises(UnknownNameError, match="Did you mean 'covsal'"):
        classical.saliency("covsall", noise)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("spectral_residual", {"n": 4}),
        ("image_signature", {"colour": "xyz"}),
        ("bms", {"omega": 6}),
        ("bms", {"kappa": 8}),
        ("covsal", {"size": 100}),
        ("covsal", {"size": 64}),
        ("covsal", {"quantile": 0.0}),
        ("aim", {"size": 24}),
    ],
)
def test_a_wrong_value_is_refused(name, parameters, noise):
    with pytest.raises((ValueError, UnknownNameError)):
        classical.saliency(name, noise, **parameters)


# What they share


def test_lab_is_skimages(noise):
    theirs = skimage.color.rgb2lab(noise.double().numpy(), channel_axis=1)
    np.testing.assert_allclose(
        filters.lab(noise.double()), theirs, atol=0.01
    )  # its white is rounded


def test_grey_has_no_colour():
    grey = torch.linspace(0, 1, 256, dtype=torch.float64).expand(1, 3, 1, 256)
    assert filters.lab(grey)[:, 1:].abs().max() < 1e-12


def test_blur_keeps_constants_and_is_scipys_inside():
    maps = torch.rand(2, 40, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(filters.blur(torch.ones_like(maps), 3.0), torch.ones_like(maps))
    theirs = scipy.ndimage.gaussian_filter(maps.numpy(), 2.0, axes=(1, 2), truncate=4)
    ours = filters.blur(maps, 2.0).numpy()
    np.testing.assert_allclose(ours[:, 8:-8, 8:-8], theirs[:, 8:-8, 8:-8], rtol=1e-9)


@pytest.mark.parametrize(
    ("size", "longer", "expected"),
    [((600, 800), 400, (300, 400)), ((50, 30), 400, (400, 240)), ((1, 900), 100, (1, 100))],
)
def test_fitted_sizes(size, longer, expected):
    assert filters.fitted(size, longer) == expected


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
    above, below = module("bms").surrounded(feature, thresholds)
    for t, on, off in zip(thresholds, above, below, strict=True):
        for mask, found in ((feature > t, on), (feature <= t, off)):
            np.testing.assert_array_equal(found, mask & ~naive_flood(mask))


def test_attention_is_the_mean_of_dilated_normalised_attention_maps():
    bms = module("bms")
    feature = np.random.default_rng(5).integers(256, size=(12, 15)).astype(np.uint8)
    expected, n = np.zeros(feature.shape), 0
    for t in np.arange(feature.min(), feature.max(), 16):
        for mask in (feature > t, feature <= t):
            left = scipy.ndimage.binary_dilation(mask & ~naive_flood(mask), np.ones((5, 5)))
            expected += left / max(1.0, np.linalg.norm(left))
            n += 1
    found = bms.attention(feature, 16, 5, torch.device("cpu"))
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
    mean, covariance = covsal.moments(covsal.regions(maps, 8))
    assert mean.shape == (2, 3, 2, 4)
    region = maps[1, :, 16:24, 8:16].flatten(1).numpy()
    np.testing.assert_allclose(mean[1, 2, 1], region.mean(1))
    np.testing.assert_allclose(covariance[1, 2, 1], np.cov(region))


def test_descriptors_are_as_far_apart_as_sigma_points():
    covsal = module("covsal")
    rng = np.random.default_rng(8)
    samples = rng.normal(size=(5, 30, 7)) * rng.uniform(1, 9, size=(5, 1, 7))
    means, covariances = (m.numpy() for m in covsal.moments(torch.from_numpy(samples)))
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


# Real photographs


@pytest.mark.parametrize("name", LOOKING)
def test_better_than_chance_on_photographs(name, real_data):
    import saliencykit as sk

    data = sk.datasets.load("osie").split("val")
    scores = []
    for i in range(0, 100, 20):
        sample = data[i]
        image = sample.image[None] / 255
        counts = sample.fixations.count_map(*image.shape[-2:])
        scores.append(nss(classical.saliency(name, image)[0], counts).item())
    assert np.mean(scores) > 0.4, scores
