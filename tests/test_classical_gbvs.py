"""GBVS and Itti–Koch: the toolbox's values stage by stage, brute force, and symmetries."""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch.nn.functional import interpolate

from saliencykit.models import classical
from saliencykit.models.classical import channels, gbvs, itti_koch, pyramid
from saliencykit.registry import UnknownNameError
from tests.conftest import ALL_ORACLES, ORACLES, needs_all_oracles

PHOTOGRAPHS = ["1003", "1041", "1077", "1120", "1234", "1301", "1377", "1450"]
ARRAYS = ["popout_color", "popout_orientation", "popout_shape", "popout_size"]
MODELS = ["gbvs", "itti_koch"]
quick = settings(max_examples=25, deadline=None)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Many small operations: on a busy machine, more threads mostly wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def read_arrays(path):
    with np.load(path, allow_pickle=False) as arrays:
        return {k: torch.from_numpy(v).double() for k, v in arrays.items()}


def reference(name, small=False):
    """The toolbox's arrays of this name, as double tensors; the small ones are always here."""
    if not small:
        needs_all_oracles()
    folder = ORACLES if small else ALL_ORACLES / "gbvs_a"
    return read_arrays(folder / f"{name}.npz")


def master(name, model, size):
    """The toolbox's map of a stimulus, brought from its own grid to the image's size."""
    small = reference(name, (ORACLES / f"{name}.npz").exists())[f"{model}_master_map"]
    return pyramid.rescale(pyramid.resize(small, size))


def read(path):
    pixels = np.asarray(Image.open(path).convert("RGB"))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255


@pytest.fixture(params=PHOTOGRAPHS + ARRAYS)
def stimulus(request):
    """(name, image (1, 3, H, W)) for each image that the toolbox was run on."""
    if request.param in ARRAYS:
        return request.param, read(ORACLES / f"{request.param}.png")
    needs_all_oracles()
    root = request.getfixturevalue("real_data")
    return request.param, read(root / "osie" / "stimuli" / f"{request.param}.jpg")


@pytest.fixture
def photograph(real_data):
    return read(real_data / "osie" / "stimuli" / "1003.jpg")


def textured(n, height, width, seed=0):
    """Images with contrast at several scales."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 3, 5, 6, generator=random)
    fine = torch.rand(n, 3, height, width, generator=random)
    return 0.7 * interpolate(coarse, (height, width), mode="bilinear") + 0.3 * fine


def correlation(a, b):
    return torch.corrcoef(torch.stack([a.flatten(), b.flatten()]).double())[0, 1]


def close(ours, theirs, atol):
    torch.testing.assert_close(ours.double(), theirs, atol=atol, rtol=0)


# The toolbox's maps. The files of full-size maps are rounded to 2⁻²⁰.


def test_gbvs_is_the_toolboxs_with_matlabs_resize(stimulus):
    name, image = stimulus
    expected = master(f"{name}_nw", "gbvs", image.shape[-2:])
    close(classical.saliency("gbvs", image)[0], expected, atol=1e-5)


def test_gbvs_is_near_stock_octaves(stimulus):
    name, image = stimulus
    stock = master(name, "gbvs", image.shape[-2:])
    ours = classical.saliency("gbvs", image)[0]
    close(ours, stock, atol=0.015)
    assert correlation(ours, stock) >= 0.9998


def test_itti_koch_is_the_toolboxs(stimulus):
    name, image = stimulus
    expected = master(name, "itti", image.shape[-2:])
    close(classical.saliency("itti_koch", image)[0], expected, atol=2e-6)


def test_full_size_maps_are_the_toolboxs_upsampled():
    for name in (*PHOTOGRAPHS, *ARRAYS):
        for model in ("gbvs", "itti"):
            full = reference(name)[f"{model}_master_map_resized"]
            small = reference(name)[f"{model}_master_map"]
            ours = pyramid.rescale(pyramid.resize(small, tuple(full.shape)))
            close(ours, full, atol=1e-6)


def test_features_are_the_toolboxs(photograph):
    raw, scales = reference("1003_intermediate"), pyramid.pyramid(photograph, 5)
    letters = {"dklcolor": "D", "intensity": "I", "orientation": "O", "color": "C"}
    keys = [k for k in raw if "_raw_" in k]
    assert len(keys) == 32
    for key in keys:
        _, _, channel, kind, level = key.split("_")
        maps = channels.CHANNELS[letters[channel]](scales[int(level[1:])])
        close(maps[0, int(kind[1:]) - 1], raw[key], atol=3e-7)


def test_gabor_filters_are_the_toolboxs():
    raw, filters = reference("1003_intermediate"), channels.gabor_filters()
    for i in range(4):
        close(filters[i], raw[f"gabor{i + 1}_g0"], atol=1e-14)
        close(filters[i + 4], raw[f"gabor{i + 1}_g90"], atol=1e-14)


def test_gbvs_activation_is_the_toolboxs(photograph):
    raw, scales = reference("1003_nw_intermediate"), pyramid.pyramid(photograph, 4)
    features = [
        pyramid.resize(channels.CHANNELS[c](scales[n])[:, t], (24, 32))
        for c, kinds in (("D", 3), ("I", 1), ("O", 4))
        for t in range(kinds)
        for n in (2, 3, 4)
    ]
    active = gbvs.activate(pyramid.rescale(torch.stack(features, 1)), 0.15 * 28, 1e-4)[0]
    torch.testing.assert_close(active.sum((-2, -1)), torch.ones(24).double(), atol=1e-5, rtol=0)
    keys = sorted(k for k in raw if "_act" in k)
    assert len(keys) == len(active) == 24
    for key, ours in zip(keys, active, strict=True):
        close(pyramid.rescale(ours), raw[key], atol=5e-6)


# GBVS's walk.


def test_activation_is_the_walk_step_by_step():
    maps, sigma, tol = torch.rand(1, 3, 3, 4, dtype=torch.float64), 1.5, 1e-4
    places = [(y, x) for y in range(3) for x in range(4)]
    for ours, values in zip(gbvs.activate(maps, sigma, tol)[0], maps[0], strict=True):
        edges = np.zeros((12, 12))
        for i, p in enumerate(places):
            for j, q in enumerate(places):
                near = np.exp(-((p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2) / (2 * sigma**2))
                edges[j, i] = abs(values[p] - values[q]) * near
        chain, walkers, step = edges / edges.sum(0), np.full(12, 1 / 12), 1.0
        while step > tol:
            before, walkers = walkers, chain @ walkers
            step = np.linalg.norm(walkers - before)
        close(ours.flatten(), torch.from_numpy(walkers), atol=1e-6)


@given(st.integers(0, 2**31 - 1))
@quick
def test_walkers_settle_in_proportion_to_edge_weight(seed):
    weights = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(seed)).double()
    weights = weights + weights.mT  # a reversible chain's equilibrium
    expected = weights.sum(2) / weights.sum((1, 2))[:, None]
    torch.testing.assert_close(gbvs.equilibrium(weights, 1e-12), expected, atol=1e-9, rtol=0)
    together = gbvs.equilibrium(weights, 1e-3)
    for i in range(3):  # each graph stops at its own step
        torch.testing.assert_close(together[i : i + 1], gbvs.equilibrium(weights[i : i + 1], 1e-3))


def test_graphs_that_never_settle_end_and_empty_ones_are_left(monkeypatch):
    monkeypatch.setattr(gbvs, "MOST_STEPS", 7)
    star = torch.zeros(1, 4, 4)
    star[0, 0, 1:] = star[0, 1:, 0] = 1  # two colours: everybody changes sides at every step
    assert gbvs.equilibrium(star, 1e-4).sum() == pytest.approx(1)
    assert torch.equal(gbvs.equilibrium(torch.zeros(1, 4, 4), 1e-4), torch.zeros(1, 4))


# Itti and Koch's normalisation.


@given(st.integers(0, 2**31 - 1))
@quick
def test_maps_are_weighed_by_their_peaks(seed):
    values = torch.rand(7, 8, generator=torch.Generator().manual_seed(seed)).double()
    scaled = 10 * (values - values.min()) / (values.max() - values.min())
    steps = ((-1, 0), (1, 0), (0, -1), (0, 1))
    peaks = [
        float(scaled[y, x])
        for y in range(1, 6)
        for x in range(1, 7)
        if scaled[y, x] >= max(1, *(scaled[y + dy, x + dx] for dy, dx in steps))
    ]
    weight = (10 - np.mean(peaks)) ** 2 if len(peaks) > 1 else 100 if peaks else 1
    torch.testing.assert_close(itti_koch.promote_peaks(values), scaled * weight)


def test_one_peak_outweighs_many():
    one, many, none = torch.zeros(3, 9, 9, dtype=torch.float64)
    one[4, 4] = many[2, 2] = many[2, 6] = many[6, 4] = 1
    none[0, 0] = 1  # on the border, where no maxima are looked for
    sums = [itti_koch.promote_peaks(x).max().item() for x in (one, many, none)]
    assert sums == [1000, 0, 10]


# The models as a whole.


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("size", [(1, 1), (3, 7), (11, 11), (61, 97), (130, 45), (128, 160)])
def test_any_size_in_a_batch_as_alone(name, size):
    images = textured(3, *size)
    maps = classical.saliency(name, images)
    assert maps.shape == (3, *size)
    assert maps.dtype == torch.float32
    assert ((maps >= 0) & (maps <= 1)).all()  # a NaN is neither
    alone = torch.cat([classical.saliency(name, image[None]) for image in images])
    torch.testing.assert_close(maps, alone, atol=1e-6, rtol=0)
    assert classical.saliency(name, images[:0]).shape == (0, *size)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("turn", [lambda x: x.flip(-2), lambda x: x.flip(-1), lambda x: x.mT])
def test_flipped_and_turned_images_have_flipped_and_turned_maps(name, turn):
    image = textured(1, 128, 160, seed=3)
    expected = turn(classical.saliency(name, image)).double()
    # rounding may read a neighbouring entry of the colour table at a pixel
    close(classical.saliency(name, turn(image)), expected, atol=2e-3)


@pytest.mark.parametrize("name", MODELS)
def test_eight_bit_images_may_be_divided_or_multiplied(name):
    levels = torch.randint(0, 256, (1, 3, 6, 7), generator=torch.Generator().manual_seed(0))
    levels = levels.repeat_interleave(16, 2).repeat_interleave(16, 3)  # uniform patches
    assert not torch.equal(levels / 255, levels * (1 / 255))
    divided, multiplied = (classical.saliency(name, x) for x in (levels / 255, levels * (1 / 255)))
    assert torch.equal(divided, multiplied)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("colour", [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.2, 0.5, 0.9)])
def test_one_colour_has_no_saliency(name, colour):
    image = torch.tensor(colour)[None, :, None, None].expand(1, 3, 131, 150)
    assert torch.equal(classical.saliency(name, image), torch.zeros(1, 131, 150))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("step", [1, 60])
def test_one_spot_on_grey_is_where_the_saliency_is(name, step):
    image = torch.full((1, 3, 150, 200), 100 / 255)
    image[..., 86:98, 42:54] += step / 255
    y, x = divmod(classical.saliency(name, image)[0].argmax().item(), 200)
    assert np.hypot(y - 91.5, x - 47.5) < 12


@pytest.mark.parametrize("name", MODELS)
def test_parameters_matter_and_wrong_ones_are_named(name):
    images = textured(1, 60, 80)
    plain = classical.saliency(name, images)
    for changed in ({"channels": "I"}, {"salmapmaxsize": 16}):
        assert not torch.allclose(plain, classical.saliency(name, images, **changed), atol=0.01)
    with pytest.raises(UnknownNameError, match=r"feature channel 'X'.*Known: .*O"):
        classical.saliency(name, images, channels="X")
    with pytest.raises(UnknownNameError, match="salmapmaxsize"):
        classical.saliency(name, images, salmapmaxsise=16)


@pytest.mark.parametrize("sd", [0.2, 0.64, 3.0])
def test_the_last_blur_is_a_gaussian_cut_off_at_two_deviations(sd):
    maps = torch.rand(2, 12, 17, dtype=torch.float64)
    theirs = [gaussian_filter(m, sd, mode="nearest", truncate=2) for m in maps.numpy()]
    torch.testing.assert_close(gbvs.blur(maps, sd), torch.from_numpy(np.stack(theirs)))


def test_gbvs_blurs_unless_told_not_to():
    images = textured(1, 60, 80)
    hows = {}, {"blurfrac": 0.02}, {"blurfrac": 0}
    plain, same, sharp = (classical.saliency("gbvs", images, **how) for how in hows)
    assert torch.equal(plain, same)
    assert not torch.allclose(plain, sharp, atol=0.01)
