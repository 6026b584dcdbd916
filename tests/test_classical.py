"""Classical models: what all must do, over the whole registry, and the filters they share."""

import numpy as np
import pytest
import scipy.ndimage
import skimage.color
import torch

from saliencykit.metrics import nss
from saliencykit.models import CentrePrior, classical
from saliencykit.models.classical import filters
from saliencykit.registry import UnknownNameError

MODELS = classical.names()
LOOKING = [name for name in MODELS if name != "centre"]  # those that look at the image
# The same models at a smaller working size, where the size is not what is tested.
QUICK = {"aim": {"size": 96}, "bms": {"max_dim": 96}, "covsal": {"size": 128}}
# A learned basis has no mirror symmetry, nor has a pyramid that keeps every second pixel.
MIRRORED = [name for name in MODELS if name not in ("aim", "gbvs", "itti_koch")]


def quick(name, images, **more):
    return classical.saliency(name, images, **QUICK.get(name, {}), **more)


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
    smooth = quick(name, field(colours[3], size)[None], smooth=0.03)
    assert torch.equal(smooth.min(), smooth.max())
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
    torch.testing.assert_close(smooth, filters.blur(plain, 0.03 * 83))
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


def test_an_array_is_as_good_as_a_tensor(noise):
    drawn = classical.saliency("image_signature", noise.numpy())
    assert torch.equal(drawn, classical.saliency("image_signature", noise))


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
        ("bms", {"delta": 0}),
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
