"""Pictures of every mode, depth and format that Pillow reads, against pixels known beforehand."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
import skimage.color
import tifffile
import torch
from PIL import Image, PngImagePlugin
from typer.testing import CliRunner

from saliencykit import cli, datasets
from saliencykit.analyses.unit_explorer.browser import decoded
from saliencykit.reading.arrays import read_array
from saliencykit.reading.pictures import (
    UPRIGHT,
    as_image,
    image_size,
    is_turned,
    read_grey,
    read_image,
    read_mask,
    stored_shape,
)

H, W = 11, 14


def light(seed=0):
    """A grey picture (H, W), 0…1, from black to white."""
    values = np.random.default_rng(seed).random((H, W))
    values[0, 0], values[-1, -1] = 0, 1
    return values


def grey8(seed=0):
    return np.round(255 * light(seed)).astype(np.uint8)


def colour(seed=0):
    return np.stack([grey8(seed + k) for k in range(3)], axis=-1)


def pixels(path):
    """What is read, (H, W, 3)."""
    return read_image(path).permute(1, 2, 0).numpy()


def over(ground, channels, alpha):
    """Channels (H, W, C) seen before `ground` through alpha (H, W), 0…1."""
    return channels * alpha[..., None] + ground * (1 - alpha[..., None])


def png(path, header, rows, before=(), after=(), size=(H, W)):
    """Write a PNG by hand: its IHDR's depth and kind, its rows as bytes, chunks around them."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    ihdr = struct.pack(">IIBBBBB", *size[::-1], *header, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    chunks = [(b"IHDR", ihdr), *before, (b"IDAT", data), *after, (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in chunks))


# --- modes and formats --------------------------------------------------------------------------

EXACT = ("png", "tif", "bmp", "gif", "ppm", "webp")
MODES = {
    "1": ("png", "tif", "bmp", "gif", "ppm", "jpg"),
    "L": (*EXACT, "jpg"),
    "RGB": (*EXACT, "jpg"),
    "P": ("png", "tif", "bmp", "gif"),
    "CMYK": ("tif", "jpg"),
    "YCbCr": ("tif", "jpg"),
    "LAB": ("tif",),
    "LA": ("png", "tif", "webp"),
    "RGBA": ("png", "tif", "webp"),
    "PA": ("tif",),
    "RGBX": ("tif",),
    "I;16": ("png", "tif", "ppm"),
    "I": ("tif", "ppm"),
    "F": ("tif",),
}
"""Modes, and the suffixes of formats that can hold them."""


def written_in(mode, path):
    """Write a picture of a mode; return what is to be seen (H, W, 3), 0…255, and within what."""
    grey, alpha = grey8(), grey8(5)
    lossy = 12 if path.suffix == ".jpg" else 0
    save = {"quality": 100, "subsampling": 0} if path.suffix == ".jpg" else {}
    save |= {"lossless": True, "exact": True} if path.suffix == ".webp" else {}
    triple = np.repeat(grey[..., None], 3, axis=2)
    if mode == "1":
        image, seen = Image.fromarray(grey > 127), np.where(triple > 127, 255, 0)
        image = image.convert("L") if path.suffix == ".jpg" else image
    elif mode == "L":
        image, seen = Image.fromarray(grey), triple
    elif mode == "P":
        palette = np.random.default_rng(3).integers(0, 256, (64, 3), dtype=np.uint8)
        image = Image.fromarray(grey // 4)
        image.putpalette(palette.tobytes())
        seen = palette[grey // 4]
    elif mode in ("LA", "PA"):
        image = Image.fromarray(np.stack([grey, alpha], axis=-1))
        seen = over(255, triple, alpha / 255)
        if mode == "PA":
            palette = np.random.default_rng(3).integers(0, 256, (256, 3), dtype=np.uint8)
            image = Image.merge("PA", image.split())
            image.putpalette(palette.tobytes())
            seen = over(255, palette[grey], alpha / 255)
    elif mode == "RGBA":
        image = Image.fromarray(np.dstack([colour(), alpha]))
        seen = over(255, colour(), alpha / 255)
    elif mode == "RGBX":
        image, seen = Image.fromarray(np.dstack([colour(), alpha]), "RGBX"), colour()
    elif mode == "CMYK":
        ink = np.dstack([colour(), grey8(9) // 2])
        image = Image.fromarray(ink, "CMYK")
        seen = (255 - ink[..., :3].astype(float)) * (255 - ink[..., 3:].astype(float)) / 255
        lossy = 2 * lossy
    elif mode == "RGB":
        image, seen = Image.fromarray(colour()), colour()
    elif mode == "YCbCr":
        image, seen = Image.fromarray(colour()).convert("YCbCr"), colour()
        lossy += 2
    elif mode == "LAB":
        lab = np.stack([30 + 50 * light(), 20 * light(1) - 10, 20 * light(2) - 10], axis=-1)
        stored = np.round(lab * (2.55, 1, 1)).astype(np.int16)
        tifffile.imwrite(path, (stored % 256).astype(np.uint8), photometric="cielab")
        return 255 * skimage.color.lab2rgb(stored / (2.55, 1, 1)), 4
    else:
        white = {"I;16": 65535, "I": 65535, "F": 1}[mode]
        kind = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        values = light() * white if mode == "F" else np.round(light() * white)
        image, seen = (
            Image.fromarray(values.astype(kind)),
            np.repeat(255 * light()[..., None], 3, 2),
        )
    image.save(path, **save)
    return seen, lossy + 1.01


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
@pytest.mark.parametrize(("mode", "suffix"), [(m, s) for m, all_ in MODES.items() for s in all_])
def test_what_is_read_is_what_is_to_be_seen(tmp_path, mode, suffix):
    path = tmp_path / f"a.{suffix}"
    seen, within = written_in(mode, path)
    assert np.abs(pixels(path).astype(float) - seen).max() <= within
    assert image_size(path) == (H, W)
    grey = read_grey(path, "a map of points")
    assert (grey.shape, grey.dtype) == ((H, W), np.float32)
    if mode in ("1", "L", "I;16", "I", "F"):
        assert np.abs(255 * grey - seen[..., 0]).max() <= within
    if mode in ("I;16", "I", "F"):  # not only 256 steps
        assert len(np.unique(grey)) > 0.9 * H * W - 20


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    ("kind", "white", "photometric"),
    [
        ("u1", 255, "minisblack"),
        ("u1", 255, "miniswhite"),
        ("u2", 65535, "minisblack"),
        ("u2", 65535, "miniswhite"),
        ("u4", 65535, "minisblack"),
        ("i4", 255, "minisblack"),
        ("f4", 1, "minisblack"),
        ("f4", 255, "minisblack"),
        ("f4", 65535, "minisblack"),
    ],
)
def test_tiff_of_another_writer(tmp_path, kind, white, photometric, big):
    path = tmp_path / "a.tif"
    values = (light() * white).astype(kind) if kind[0] == "f" else np.round(light() * white)
    stored = white - values if photometric == "miniswhite" else values
    order = ">" if big else "<"
    tifffile.imwrite(path, stored.astype(kind), byteorder=order, photometric=photometric)
    try:
        found = pixels(path)
    except ValueError as error:  # what this Pillow doesn't know
        assert "damaged or none of" in str(error)  # noqa: PT017
        assert (big, kind, photometric) in ((True, "u2", "miniswhite"), (True, "u4", "minisblack"))
        return
    assert np.abs(found - np.repeat(255 * light()[..., None], 3, 2)).max() <= 1.01


def test_greys_of_few_bits_and_colours_of_many(tmp_path):
    path = tmp_path / "a.png"
    for bits, kind in ((2, "L;2"), (4, "L;4")):
        steps = np.round(light() * (2**bits - 1)).astype(np.uint8)
        Image.fromarray(steps * (255 // (2**bits - 1))).save(path, bits=bits)
        step = 255 // (2**bits - 1)
        assert (pixels(path) == steps[..., None] * step).all(), kind
        Image.fromarray(steps * step).save(path, bits=bits, transparency=1)  # in steps of its own
        assert (pixels(path) == np.where(steps == 1, 255, steps * step)[..., None]).all(), kind
    deep = np.round(np.stack([light(k) for k in range(3)], -1) * 65535).astype(">u2")
    png(path, (16, 2), deep)
    assert np.abs(pixels(path) - deep / 257.0).max() <= 1
    png(path, (16, 2), deep, before=[(b"tRNS", deep[0, 0].tobytes())])
    with pytest.raises(ValueError, match="16 bits stands for transparent"):
        read_image(path)
    grey = np.round(light() * 65535).astype(">u2")
    png(path, (16, 0), grey, before=[(b"tRNS", grey[3:4, 3].tobytes())])
    with pytest.raises(ValueError, match="16 bits stands for transparent"):
        read_image(path)
    both = np.stack([grey, np.full_like(grey, 65535)], axis=-1).astype(">u2")
    both[4, 4] = 1234, 0
    png(path, (16, 4), both)
    assert (pixels(path)[4, 4] == 255).all()
    assert np.abs(pixels(path)[5] - grey[5, :, None] / 257.0).max() <= 1


# --- alpha --------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "gif"])
def test_colours_that_are_hidden_reach_nobody(tmp_path, suffix):
    path, grounds = tmp_path / f"a.{suffix}", []
    for hidden in (0, 90, 255):
        shown = colour() // 64 * 64
        if suffix == "gif":
            indices = np.tile(np.arange(W, dtype=np.uint8), (H, 1))
            image = Image.fromarray(indices)
            image.putpalette([hidden] * 3 + [10 * k for k in range(1, W) for _ in "rgb"])
            image.save(path, transparency=0)
        else:
            alpha = np.full((H, W), 255, np.uint8)
            shown[:, 0], alpha[:, 0] = hidden, 0
            save = {"lossless": True, "exact": True} if suffix == "webp" else {}
            Image.fromarray(np.dstack([shown, alpha])).save(path, **save)
        found = pixels(path)
        assert (found[:, 0] == 255).all()
        assert (found[:, 1:] < 255).any()
        grounds.append(found)
    assert all((found == grounds[0]).all() for found in grounds)


def test_palettes_with_alpha_and_keys(tmp_path):
    path = tmp_path / "a.png"
    palette = np.random.default_rng(3).integers(0, 256, (64, 3), dtype=np.uint8)
    alphas = np.random.default_rng(4).integers(0, 256, 64, dtype=np.uint8)
    image = Image.fromarray(grey8() // 4)
    image.putpalette(palette.tobytes())
    image.save(path, transparency=alphas.tobytes())
    seen = over(255, palette[grey8() // 4], alphas[grey8() // 4] / 255)
    assert np.abs(pixels(path) - seen).max() <= 1
    Image.fromarray(grey8()).save(path, transparency=int(grey8()[2, 2]))
    assert (pixels(path)[..., 0] == np.where(grey8() == grey8()[2, 2], 255, grey8())).all()
    assert read_grey(path, "a mask")[2, 2] == 0  # of a mask transparent is nothing
    Image.fromarray(colour()).save(path, transparency=tuple(map(int, colour()[2, 2])))
    assert (pixels(path)[2, 2] == 255).all()
    assert (pixels(path)[3] == colour()[3]).all()


# --- EXIF ---------------------------------------------------------------------------------------


def stored_turned(turn):
    """A picture as it is to be seen, and as it is stored under an orientation."""
    seen = np.zeros((H, W, 3), np.uint8)
    seen[:2], seen[:, :3, 1], seen[-1, -1] = 200, 100, 50
    back = {6: 8, 8: 6}.get(turn, turn)  # all others are their own inverse
    return seen, np.ascontiguousarray(UPRIGHT[back](seen) if turn in UPRIGHT else seen)


def test_orientations_are_those_of_pillow():
    from PIL import ImageOps

    for turn in UPRIGHT:
        _, stored = stored_turned(turn)
        image = Image.fromarray(stored)
        image.getexif()[0x0112] = turn
        assert (np.array(ImageOps.exif_transpose(image)) == UPRIGHT[turn](stored)).all()


@pytest.mark.parametrize("turn", [*UPRIGHT, 1, 0, 9])
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "late", "xmp"])
def test_pictures_are_seen_upright_everywhere(tmp_path, suffix, turn):
    seen, stored = stored_turned(turn)
    exif = Image.Exif()
    exif[0x0112] = turn
    path = tmp_path / f"{'a.' + suffix if suffix not in ('late', 'xmp') else 'a.png'}"
    xmp = f'<x tiff:Orientation="{turn}"/>'
    if suffix == "late":
        header, rows = (8, 2), stored
        png(path, header, rows, after=[(b"eXIf", exif.tobytes()[6:])], size=stored.shape[:2])
    elif suffix == "xmp":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp)
        Image.fromarray(stored).save(path, pnginfo=info)
    else:
        save = {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
        save |= {"lossless": True} if suffix == "webp" else {}
        Image.fromarray(stored).save(path, exif=exif, **save)
    assert np.abs(pixels(path).astype(int) - seen).max() <= (6 if suffix == "jpg" else 0)
    assert image_size(path) == (H, W)
    assert is_turned(path) == (turn in UPRIGHT)
    assert (stored_shape(path) is None) == (turn in UPRIGHT)
    assert read_grey(path, "a mask").shape == (H, W)
    assert (decoded("a", path.read_bytes()) == read_image(path)).all()
    data = datasets.load("folder", tmp_path)
    assert data.size_of(0) == data.image(0).shape[1:] == (H, W)


def test_damaged_exif_turns_nothing(tmp_path):
    Image.fromarray(colour()).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert (pixels(tmp_path / "a.png") == colour()).all()
    assert image_size(tmp_path / "a.png") == (H, W)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.full((3, 4), 4095, np.float32), "4095: is white"),
        (np.full((3, 4), 12, np.int32), "12: is white"),
        (np.full((3, 4), 1, np.int32), "1: is white"),
        (np.full((3, 4), 70000, np.int32), "70000: is white"),
        (np.full((3, 4), 1.5, np.float32), "1.5: is white"),
        (np.array([[0, -0.5]], np.float32), "from -0.5 to 0"),
        (np.array([[0, np.nan]], np.float32), "nan"),
        (np.array([[0, np.inf]], np.float32), "inf"),
        (np.full((3, 4), 0.001, np.float32), "it would be black"),
        (np.full((3, 4), 255, np.uint16), "it would be black"),
        (np.full((3, 4), 4095, np.uint16), "4095, so little of 65535"),
    ],
    ids=str,
)
def test_pictures_whose_white_is_not_known_are_refused(tmp_path, values, says):
    path = tmp_path / "a.tif"
    Image.fromarray(values).save(path)
    with pytest.raises(ValueError, match=says) as told:
        read_image(path)
    assert str(path) in str(told.value)
    with pytest.raises(ValueError, match=says):
        as_image(values)


def test_twelve_bits_that_are_said_to_be_twelve_are_scaled(tmp_path):
    steps = np.round(light() * 4095).astype(np.uint16)
    deep = np.zeros((H, W * 3 // 2), np.uint8)  # two pixels in three bytes
    deep[:, 0::3], deep[:, 2::3] = steps[:, 0::2] >> 4, steps[:, 1::2] & 255
    deep[:, 1::3] = (steps[:, 0::2] & 15) << 4 | steps[:, 1::2] >> 8
    tags = {256: W, 257: H, 258: 12, 259: 1, 262: 1, 273: 134, 277: 1, 278: H, 279: deep.size}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    (tmp_path / "a.tif").write_bytes(head.ljust(134, b"\0") + deep.tobytes())
    assert np.abs(pixels(tmp_path / "a.tif") - 255 * light()[..., None]).max() <= 1.01


def test_black_pictures_are_black(tmp_path):
    for kind in (np.uint8, np.uint16, np.int32, np.float32):
        Image.fromarray(np.zeros((3, 4), kind)).save(tmp_path / "a.tif")
        assert (read_image(tmp_path / "a.tif") == 0).all()


def test_floats_that_grow_towards_black_and_signed_numbers_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, light().astype(np.float32), photometric="miniswhite")
    with pytest.raises(ValueError, match="grow towards black"):
        read_image(path)
    tifffile.imwrite(path, np.zeros((4, 5), np.int8), photometric="minisblack")
    with pytest.raises(ValueError, match="its numbers are signed"):
        read_image(path)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.mark.parametrize("format", ["EPS", "PDF", "PCX", "TGA", "ICO", "SGI", "PSD", "JPEG2000"])
def test_other_formats_are_refused_whatever_their_name(tmp_path, format, monkeypatch):
    file = io.BytesIO(EPS)
    if format in ("PSD", "PDF"):
        file = io.BytesIO({"PSD": b"8BPS", "PDF": b"%PDF-1.4\n"}[format] + bytes(40))
    elif format != "EPS":
        Image.fromarray(colour()).save(file, format)
    path = tmp_path / "photo.jpg"
    path.write_bytes(file.getvalue())
    monkeypatch.setattr("subprocess.check_call", None)  # Ghostscript's
    for read in (read_image, image_size, read_mask, lambda p: read_grey(p, "a mask")):
        with pytest.raises(ValueError, match=r"photo\.jpg cannot be read as .*none of .*PNG"):
            read(path)


def test_what_is_no_file_is_refused(tmp_path):
    pipe, link, folder = (tmp_path / f"{name}.jpg" for name in ("pipe", "link", "folder"))
    os.mkfifo(pipe)
    link.symlink_to(tmp_path / "gone")
    folder.mkdir()
    array = tmp_path / "pipe.npy"
    os.mkfifo(array)
    for path in (pipe, link, folder, tmp_path / "none.jpg"):
        for read in (read_image, image_size, read_mask):
            with pytest.raises(ValueError, match=path.name):
                read(path)
    with pytest.raises(ValueError, match=r"pipe\.npy cannot be read as an array .*named pipe"):
        read_array(array)
    Image.fromarray(colour()).save(folder / "a.jpg")
    assert datasets.load("folder", folder.parent).names == ["link", "pipe", "folder.jpg/a"]
    with pytest.raises((ValueError, FileNotFoundError), match=r"link\.jpg is no"):
        _ = datasets.load("folder", tmp_path).fingerprint


def test_bombs_are_refused(tmp_path):
    path = tmp_path / "bomb.png"
    png(path, (8, 0), [], size=(20000, 20000))
    with pytest.raises(ValueError, match="decompression bomb"):
        read_image(path)
    png(path, (8, 0), [], size=(500, 500))
    with pytest.raises(ValueError, match=r"bomb\.png cannot be read"):
        read_image(path)


def test_a_png_with_a_bit_turned_is_never_another_picture(tmp_path):
    path, rng = tmp_path / "a.png", np.random.default_rng(0)
    palette = Image.fromarray(colour()).quantize(32)
    for image in (Image.fromarray(colour()), palette):
        image.save(path)
        content, seen = path.read_bytes(), pixels(path)
        for _ in range(100):
            spoilt = bytearray(content)
            spoilt[rng.integers(len(spoilt))] ^= 1 << int(rng.integers(8))
            path.write_bytes(spoilt)
            try:
                assert np.array_equal(pixels(path), seen)
            except ValueError as error:
                assert str(path) in str(error)  # noqa: PT017


# --- arrays -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pixels", "seen"),
    [
        (grey8(), np.repeat(grey8()[..., None], 3, 2)),
        (grey8()[..., None], np.repeat(grey8()[..., None], 3, 2)),
        (colour(), colour()),
        (np.asfortranarray(colour()), colour()),
        (colour().astype(">f8"), colour()),
        (colour().astype(np.int64), colour()),
        (light().astype(np.float16), np.repeat(255 * light()[..., None], 3, 2)),
        (light() > 0.5, np.repeat(np.where(light() > 0.5, 255, 0)[..., None], 3, 2)),
        (colour().astype(np.uint16) * 257, colour()),
        (np.dstack([colour(), grey8(5)]), over(255, colour(), grey8(5) / 255)),
        (np.dstack([grey8(), grey8(5)]), over(255, grey8()[..., None], grey8(5) / 255)),
    ],
    ids=range(11),
)
def test_arrays_as_pictures(pixels, seen):
    found = as_image(pixels)
    assert (found.shape, found.dtype) == ((3, H, W), torch.uint8)
    assert np.abs(found.permute(1, 2, 0).numpy().astype(float) - seen).max() <= 1.01


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 5, 5)), np.zeros(4), np.zeros((3, 4, 5)), np.zeros((4, 5), complex)]
)
def test_arrays_that_are_no_pictures_are_refused(pixels):
    with pytest.raises(ValueError, match="an image is"):
        as_image(pixels)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (99, 99), }",
        b"PK\x03\x04 an archive",
        b"\x80\x04\x95 a pickle",
    ],
)
def test_damaged_arrays_are_refused(tmp_path, content):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npy cannot be read as an array"):
        read_array(path)


def test_arrays_longer_by_their_header_than_on_the_disk_take_no_memory(tmp_path):
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(ValueError, match=r"a\.npy cannot be read as an array"):
        read_array(path)


@pytest.mark.parametrize("values", [np.array(["1.5"]), np.zeros(3, complex), np.zeros(2, "M8[s]")])
def test_arrays_of_something_else_are_refused(tmp_path, values):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ValueError, match="array of numbers"):
        read_array(tmp_path / "a.npy")


# --- masks --------------------------------------------------------------------------------------


def test_masks_give_back_their_ids(tmp_path):
    ids = (np.arange(H * W) % 13).reshape(H, W).astype(np.uint8)
    palette = Image.fromarray(ids)
    palette.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes())
    for image, suffix in (
        (palette, "png"),
        (palette, "gif"),
        (palette, "tif"),
        (Image.fromarray(ids), "png"),
        (Image.fromarray(ids), "bmp"),
        (Image.fromarray(ids.astype(np.uint16)), "png"),
        (Image.fromarray(ids.astype(np.int32)), "tif"),
    ):
        image.save(tmp_path / f"a.{suffix}")
        assert (read_mask(tmp_path / f"a.{suffix}") == ids).all()
    palette.save(tmp_path / "a.png", transparency=3)
    assert (read_mask(tmp_path / "a.png") == ids).all()
    for values in (ids, ids[None], ids[..., None], ids.astype(">i8"), ids.astype(bool)):
        np.save(tmp_path / "a.npy", values)
        assert (read_mask(tmp_path / "a.npy") == np.squeeze(values)).all()


@pytest.mark.parametrize(
    ("image", "suffix", "says"),
    [
        (Image.new("RGB", (4, 5)), "png", "its mode is RGB"),
        (Image.new("LA", (4, 5)), "png", "its mode is LA"),
        (Image.new("L", (4, 5)), "jpg", "none of PNG"),
        (Image.new("L", (4, 5)), "ppm", "none of PNG"),
        (Image.new("F", (4, 5)), "tif", "its mode is F"),
    ],
    ids=range(5),
)
def test_masks_whose_numbers_may_have_changed_are_refused(tmp_path, image, suffix, says):
    image.save(tmp_path / f"a.{suffix}")
    with pytest.raises(ValueError, match=says):
        read_mask(tmp_path / f"a.{suffix}")


def test_masks_of_few_bits_and_of_other_shapes_are_refused(tmp_path):
    Image.new("L", (4, 5)).save(tmp_path / "a.png", bits=4)
    with pytest.raises(ValueError, match="greys have 4 bits"):
        read_mask(tmp_path / "a.png")
    for values, says in (
        (np.zeros((2, 4, 5), int), r"no mask \(H, W\)"),
        (np.zeros((4, 5)), "integers"),
    ):
        np.save(tmp_path / "a.npy", values)
        with pytest.raises(ValueError, match=says):
            read_mask(tmp_path / "a.npy")


# --- predict ------------------------------------------------------------------------------------


def test_predict_and_the_folder_agree_about_what_an_image_is(tmp_path):
    photos, image = tmp_path / "photos", Image.fromarray(colour())
    (photos / "below" / "deeper").mkdir(parents=True)
    for name in ("a.png", "b.GIF", "c.ppm", ".hidden.png", "below/d.webp", "below/deeper/e.png"):
        image.save(photos / name)
    (photos / "folder.png").mkdir()
    (photos / "notes.txt").write_text("no image")
    (photos / ".cache").mkdir()
    image.save(photos / ".cache" / "f.png")
    ask = ["predict", str(photos), "--model", "centre", "--out", str(tmp_path / "maps")]
    done = CliRunner().invoke(cli.app, ask)
    assert done.exit_code == 0, done.output
    maps = {
        p.relative_to(tmp_path / "maps").with_suffix("").as_posix()
        for p in (tmp_path / "maps").rglob("*.npy")
    }
    assert maps == set(datasets.load("folder", photos).names) == {"a", "b", "c", "below/d"}


def test_what_a_model_can_not_take_is_told_at_the_end(tmp_path, monkeypatch):
    for name, size in (("a", (9, 8)), ("b", (1, 1)), ("c", (8, 9)), ("d", (7, 7))):
        Image.new("RGB", size).save(tmp_path / f"{name}.png")

    def model(images):
        if images.shape[-1] == 1:
            raise RuntimeError("Kernel size can't be greater\nthan the input")
        return images[:, 0] + (float("nan") if images.shape[-1] == 7 else 0)

    monkeypatch.setattr("saliencykit.models.by_name", lambda name: model)
    ask = ["predict", str(tmp_path), "--model", "own", "--out", str(tmp_path / "maps")]
    done = CliRunner().invoke(cli.app, ask)
    assert done.exit_code == 2
    assert "2 maps" in done.output
    assert "b.png: own can't take it: Kernel size can't be greater\n" in done.output
    assert "d.png: the map holds NaN" in done.output
    assert {p.name for p in (tmp_path / "maps").glob("*.npy")} == {"a.npy", "c.npy"}
