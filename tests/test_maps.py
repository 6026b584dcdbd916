"""Maps of every kind of file, against values known beforehand."""

import numpy as np
import pytest
import tifffile
from matplotlib import colormaps
from PIL import Image

from saliencykit import evaluation
from saliencykit.metrics import nss
from saliencykit.reading.maps import check_turned, read_map
from tests.conftest import Blobs

H, W = 11, 14


def values(seed=0):
    """A map (H, W) in steps of 1/255, from 0 to 1."""
    steps = np.random.default_rng(seed).integers(0, 256, (H, W))
    steps[0, 0], steps[-1, -1] = 0, 255
    return steps / 255


def grey8():
    return np.round(255 * values()).astype(np.uint8)


def told(path):
    """What is read, on a scale of 0…1."""
    found = read_map(path)
    assert (tuple(found.shape), found.dtype.is_floating_point) == ((H, W), True)
    return ((found - found.min()) / (found.max() - found.min())).numpy()


def palette():
    """A grey picture whose indices are all mixed up."""
    order = np.random.default_rng(1).permutation(256).astype(np.uint8)
    image = Image.fromarray(np.argsort(order).astype(np.uint8)[grey8()])
    image.putpalette(np.repeat(order, 3).tobytes())
    return image


def of_kind(kind):
    """A grey map as a picture of a kind, and the suffix of a format that can hold it."""
    grey = Image.fromarray(grey8())
    opaque = Image.new("L", grey.size, 255)
    merged = {"LA": (grey, opaque), "RGBA": (grey, grey, grey, opaque)}
    if kind in merged:
        return Image.merge(kind, merged[kind]), "png"
    if kind == "PA":
        image = Image.merge("PA", (grey, opaque))
        image.putpalette(np.repeat(np.arange(256, dtype=np.uint8), 3).tobytes())
        return image, "tif"
    if kind == "P":
        return palette(), "png"
    if kind in ("L", "RGB"):
        return grey.convert(kind), "png"
    if kind in ("CMYK", "YCbCr", "LAB"):
        colour = grey.convert("RGB")
        return colour.convert(kind), "tif"
    white = {"I;16": 65535, "I": 1_000_000, "F": 3.7}[kind]
    deep = values() * white
    kinds = {"I;16": np.uint16, "I": np.int32, "F": np.float32}
    return Image.fromarray((deep if kind == "F" else np.round(deep)).astype(kinds[kind])), "tif"


@pytest.mark.parametrize(
    "kind", ["L", "RGB", "P", "LA", "RGBA", "PA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"]
)
def test_a_grey_map_is_the_same_however_it_is_stored(tmp_path, kind):
    image, suffix = of_kind(kind)
    image.save(tmp_path / f"a.{suffix}")
    rounded = {"LAB": 0.02, "YCbCr": 0.005}.get(kind, 1e-5)
    assert np.abs(told(tmp_path / f"a.{suffix}") - values()).max() < rounded


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "tif", "webp", "ppm"])
def test_a_grey_map_is_the_same_in_each_format(tmp_path, suffix):
    smooth = np.linspace(0, 255, H * W).reshape(H, W).astype(np.uint8)
    save = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(smooth).save(tmp_path / f"a.{suffix}", **save)
    assert np.abs(told(tmp_path / f"a.{suffix}") - smooth / 255).max() < 0.03


def test_greys_of_eight_bits_are_what_they_were(tmp_path):
    Image.fromarray(grey8()).save(tmp_path / "a.png")
    assert (read_map(tmp_path / "a.png").numpy() == grey8()).all()
    Image.fromarray(grey8()).convert("RGB").save(tmp_path / "a.png")
    assert (read_map(tmp_path / "a.png").numpy() == grey8()).all()


def test_zero_as_white_and_exif(tmp_path):
    deep = np.round(65535 * values()).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", 65535 - deep, photometric="miniswhite")
    assert np.abs(told(tmp_path / "a.tif") - values()).max() < 1e-5
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(grey8()).copy()).save(tmp_path / "a.png", exif=exif)
    assert (read_map(tmp_path / "a.png").numpy() == grey8()).all()


@pytest.mark.parametrize("name", ["jet", "viridis", "hot", "magma", "cividis", "coolwarm", "hsv"])
def test_colour_maps_are_refused(tmp_path, name):
    drawn = (255 * colormaps[name](values())).round().astype(np.uint8)
    pictures = {"rgba.png": Image.fromarray(drawn), "rgb.png": Image.fromarray(drawn[..., :3])}
    pictures["p.png"] = pictures["rgb.png"].quantize(256)
    pictures["cmyk.tif"] = pictures["rgb.png"].convert("CMYK")
    pictures["a.jpg"] = pictures["rgb.png"]
    for file, picture in pictures.items():
        picture.save(tmp_path / file)
        with pytest.raises(ValueError, match=rf"{file} cannot be read as a map: it is in colour"):
            read_map(tmp_path / file)
    np.save(tmp_path / "a.npy", drawn[..., :3])
    with pytest.raises(ValueError, match=rf"a\.npy is no map .*\({H}, {W}, 3\)"):
        read_map(tmp_path / "a.npy")


def test_maps_that_are_partly_transparent_are_refused(tmp_path):
    alpha = np.full((H, W), 255, np.uint8)
    alpha[3, 3] = 254
    for k, channels in enumerate(([grey8(), alpha], [*[grey8()] * 3, alpha])):
        Image.fromarray(np.dstack(channels)).save(tmp_path / f"{k}.png")
    Image.fromarray(grey8()).save(tmp_path / "2.png", transparency=int(grey8()[3, 3]))
    palette().save(tmp_path / "3.png", transparency=palette().getpixel((3, 3)))
    for k in range(4):
        with pytest.raises(ValueError, match=f"{k}.png cannot be read as a map: parts of it"):
            read_map(tmp_path / f"{k}.png")
    grey8_ = Image.fromarray(grey8())
    free = next(v for v in range(256) if v not in grey8())
    grey8_.save(tmp_path / "a.png", transparency=free)  # of which there is none
    assert (read_map(tmp_path / "a.png").numpy() == grey8()).all()


# --- arrays -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(H, W), (1, H, W), (H, W, 1), (1, 1, H, W), (1, H, W, 1)])
@pytest.mark.parametrize(
    "kind", ["?", "u1", "i1", ">u2", "i4", "u8", ">f2", "f4", ">f8", "longdouble"]
)
def test_arrays_of_each_kind_and_shape(tmp_path, shape, kind):
    kind = np.dtype(kind)
    steps = {"b": 1, "f": 1}.get(kind.kind, 100)
    stored = np.round(values() * steps) if kind.kind in "biu" else values()
    for order in "CF":
        np.save(tmp_path / "a.npy", np.array(stored.reshape(shape), dtype=kind, order=order))
        assert np.abs(read_map(tmp_path / "a.npy").numpy() - stored).max() < 1e-3


def test_three_equal_channels_last_are_one(tmp_path):
    np.save(tmp_path / "a.npy", np.repeat(values()[..., None], 3, axis=2))
    assert np.abs(read_map(tmp_path / "a.npy").numpy() - values()).max() < 1e-6


@pytest.mark.parametrize(
    "shape", [(3, H, W), (2, H, W), (H, W, 2), (H, W, 4), (5, 1, H, W), (), (H,), (0, W), (1, 0, W)]
)
def test_other_shapes_are_refused_and_named(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).random(shape))
    with pytest.raises(ValueError) as told:  # noqa: PT011
        read_map(tmp_path / "a.npy")
    assert f"its shape is {shape}" in str(told.value)


def test_values_that_float32_can_not_hold_keep_their_order(tmp_path):
    for scale in (1e-300, 1e-40, 1e35, 1e300):
        np.save(tmp_path / "a.npy", values() * scale)
        assert np.abs(told(tmp_path / "a.npy") - values()).max() < 1e-5
    for stored in (1e9 + values(), (2**60 + 256 * grey8().astype(np.int64))):
        np.save(tmp_path / "a.npy", stored)
        with pytest.raises(ValueError, match="float32 can't tell them apart"):
            read_map(tmp_path / "a.npy")
    for bad in (np.nan, np.inf, -np.inf):
        np.save(tmp_path / "a.npy", np.where(values() == 0, bad, values()))
        with pytest.raises(ValueError, match="holds NaN or infinite"):
            read_map(tmp_path / "a.npy")
    for constant in (0, 7, 1e300):
        np.save(tmp_path / "a.npy", np.full((H, W), float(constant)))
        assert read_map(tmp_path / "a.npy").isfinite().all()


# --- beside their images ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "size", "turned"),
    [
        ((80, 60), (60, 80), True),
        ((40, 30), (60, 80), True),
        ((81, 60), (60, 80), True),
        ((60, 80), (60, 80), False),
        ((30, 40), (60, 80), False),
        ((45, 80), (60, 80), False),
        ((224, 224), (60, 80), False),
        ((60, 80), (70, 70), False),
    ],
)
def test_maps_that_are_turned_are_refused(tmp_path, shape, size, turned):
    if turned:
        with pytest.raises(ValueError, match=r"it is turned by a quarter, it seems"):
            check_turned(tmp_path, shape, size)
    else:
        check_turned(tmp_path, shape, size)


def test_a_turned_map_is_refused_where_it_is_scored(tmp_path):
    blobs = Blobs(2)
    for name in blobs.names:
        np.save(tmp_path / f"{name}.npy", blobs.image(0)[0].numpy().T)
    with pytest.raises(ValueError, match=r"b01\.npy is 48 wide and 64 high, its image 64×48"):
        evaluation.file_maps(tmp_path, blobs)(1)


def test_two_pictures_of_one_name_are_refused(tmp_path):
    for suffix in ("png", "bmp"):
        Image.fromarray(grey8()).save(tmp_path / f"a.{suffix}")
    with pytest.raises(ValueError, match=r"a\.png and .*a\.bmp are maps of one name; keep one"):
        evaluation.predictors.maps_in(tmp_path)
    (tmp_path / "a.bmp").unlink()
    np.save(tmp_path / "a.npy", values())
    (tmp_path / "b.png").mkdir()
    assert evaluation.predictors.maps_in(tmp_path) == {"a": tmp_path / "a.npy"}


def test_a_palette_scores_as_its_greys_do(tmp_path):
    fixations = np.zeros((H, W))
    fixations[np.unravel_index(values().argmax(), (H, W))] = 3
    palette().save(tmp_path / "a.png")
    expected = nss(values().astype(np.float32), fixations)
    assert nss(read_map(tmp_path / "a.png"), fixations) == pytest.approx(float(expected), rel=1e-4)
