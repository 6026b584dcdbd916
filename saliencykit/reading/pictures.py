"""Pictures: photographs, and masks of class ids.

What a file is its content says, whatever it is called: one of `FORMATS`, the first frame or page of
several. It is seen upright, turned as its EXIF says, so sizes and coordinates are those of the
picture as it is shown.
"""

import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import ArrayLike
from PIL import Image
from torch import Tensor

from ..paths import regular
from .arrays import ARRAYS, plane, read_array

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm")
"""How the names of picture files end, in small letters."""
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
"""What is read, in Pillow's words: no format that starts another program, or runs one."""
EXACT = ("PNG", "GIF", "BMP", "TIFF")
"""Formats that give back the numbers that were put into them, as ids of classes need."""
GROUND = "white"
"""What shows through transparent parts of a picture, as on a page; of a mask it is black: nothing.
"""
WHITES = (1.0, 255.0, 65535.0)
"""What white may be where a file does not say."""
BLACK = 1 / 16
"""A picture of many bits whose brightest pixel is darker than that, white being 1, would be black
to people and networks: 12 bits or less, it seems, in a file of 16."""
ORIENTATION = 0x0112  # tags of EXIF and TIFF
WIDTH, HEIGHT, BITS, PHOTOMETRIC, SAMPLE_FORMAT = 256, 257, 258, 262, 339
UPRIGHT: dict[object, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}
"""How pixels (H, W, …) are set upright, by EXIF's orientation."""
LYING = (5, 6, 7, 8)
"""Orientations of pictures that lie on their side: width and height change places."""
SEEN = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
"""Chunks of a PNG that hold what is seen."""
LATE = (b"eXIf", b"iTXt", b"tEXt", b"zTXt")
"""Chunks of a PNG that may tell its orientation after the pixels."""
SHORT_GREYS = {"L;2": 85, "L;4": 17}
"""Greys of less than 8 bits, in Pillow's words, and what one step of theirs is of 255."""


def read_image(path: Path, content: bytes | None = None) -> Tensor:
    """Read an image as uint8 (3, H, W), upright. `content`: the file's, if it is there already.

    Palettes, CMYK and greys become RGB; transparent parts show `GROUND`; more than 8 bits are
    scaled. Raises ValueError, naming the file, if it is damaged or none of `FORMATS`, and if its
    numbers do not tell what is white.
    """
    with opened(path, content=content) as image:
        if (deep := _light(image)) is not None:
            pixels = np.repeat(_eight_bits(deep)[..., None], 3, axis=2)
        else:
            pixels = _rgb(opaque(image, GROUND))
        return _tensor(upright(pixels, image))


def as_image(pixels: ArrayLike) -> Tensor:
    """Return an array (H, W), (H, W, 1) or (H, W, 3), or with alpha as last, as uint8 (3, H, W).

    uint8 is taken as it is, uint16 and truth values are scaled, others by `white_of`. Transparent
    parts show `GROUND`. Raises ValueError for another shape, and as `white_of`.
    """
    pixels = np.asarray(pixels)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.dtype.kind not in "biuf" or pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4):
        raise ValueError(f"an image is (H, W) or (H, W, 3), not {pixels.dtype} {pixels.shape}")
    if pixels.dtype != np.uint8:
        known = {np.dtype(bool): 1.0, np.dtype(np.uint16): 65535.0}.get(pixels.dtype)
        pixels = _eight_bits(_scaled(pixels, known or white_of(pixels)))
    if pixels.shape[2] in (2, 4):
        pixels = _rgb(opaque(Image.fromarray(pixels), GROUND))
    return _tensor(np.array(np.broadcast_to(pixels, (*pixels.shape[:2], 3))))


def image_size(path: Path) -> tuple[int, int]:
    """Return (height, width) of an image upright, from its header, without decoding its pixels."""
    with opened(path, header=True) as image:
        size: tuple[int, int] = image.height, image.width
        if image.format == "TIFF":  # of whose size some versions of Pillow think upright
            size = _tag(image, HEIGHT, 0), _tag(image, WIDTH, 0)
        height, width = size
        return (width, height) if _told(image, path) in LYING else (height, width)


def is_turned(path: Path) -> bool:
    """Tell whether an image's EXIF says that it is to be turned, so that others may not."""
    with opened(path, header=True) as image:
        return _told(image, path) in UPRIGHT


def stored_shape(path: Path) -> tuple[int, ...] | None:
    """Return the shape of a file's pixels, if everybody reads them alike; else None.

    Alike are opaque grey and RGB of 8 bits that are not turned.
    """
    with opened(path, header=True) as image:
        plain = image.mode in ("L", "RGB") and not image.has_transparency_data
        if not plain or _told(image, path) in UPRIGHT:
            return None
        return (image.height, image.width) + ((3,) if image.mode == "RGB" else ())


def read_grey(path: Path, kind: str) -> np.ndarray:
    """Return a picture as float32 (H, W), 0…1, upright, what is transparent as 0.

    Raises ValueError naming the file, if it is no `kind`.
    """
    with opened(path, kind) as image:
        grey = _light(image)
        if grey is None:
            grey = np.array(opaque(image, "black").convert("L"), dtype=np.float32) / 255
        return upright(grey, image).astype(np.float32)


def read_mask(path: Path) -> np.ndarray:
    """Return an index mask (H, W), int64: a palette or grey picture's indices, or a plain .npy.

    Raises ValueError naming the file: damaged, in colour, or of a format that changes numbers.
    """
    if path.suffix.lower() in ARRAYS:
        mask = plane(read_array(path), path, "mask")
    else:
        with opened(path, "a mask", EXACT) as image:
            if image.mode not in ("P", "L", "I", "I;16", "I;16B", "1"):
                raise ValueError(f"its mode is {image.mode}, expected a palette of class ids")
            if (stored := _rawmode(image)) in SHORT_GREYS:
                raise ValueError(f"its greys have {stored[2:]} bits: 8 or a palette are expected")
            mask = upright(np.array(image), image)
    if mask.dtype.kind not in "iub":
        raise ValueError(f"{path}: a mask is (H, W) integers, not {mask.shape} {mask.dtype}.")
    return mask.astype(np.int64)


@contextmanager
def naming(path: Path, kind: str = "an image") -> Iterator[None]:
    """Turn what goes wrong in reading `path` as `kind` into a ValueError that names the file."""
    try:
        yield
    except Exception as error:  # Pillow raises a dozen kinds for one damaged file or another
        raise ValueError(f"{path} cannot be read as {kind}: {error}.") from error


@contextmanager
def opened(
    path: Path,
    kind: str = "an image",
    formats: tuple[str, ...] = FORMATS,
    content: bytes | None = None,
    header: bool = False,
) -> Iterator[Image.Image]:
    """Open a picture of one of `formats` for reading as `kind`; what goes wrong is a ValueError.

    `header`: nothing but that is asked for, so that the rest is not checked.
    """
    with naming(path, kind):
        if content is None:
            regular(path)
        source = path if content is None else io.BytesIO(content)
        try:
            image = Image.open(source, formats=formats)
        except Image.UnidentifiedImageError:
            raise ValueError(f"it is damaged or none of {', '.join(formats)}") from None
        with image:
            if image.format == "TIFF":
                image.filename = ""  # Pillow would map the file, and turned ones wrongly
            _check(image)
            if image.format == "PNG" and not header:
                with path.open("rb") if content is None else io.BytesIO(content) as file:
                    _check_chunks(file)
            yield image


def upright(pixels: np.ndarray, image: Image.Image) -> np.ndarray:
    """Return the pixels (H, W, …) of an open picture, now decoded, turned as its EXIF says."""
    turn = UPRIGHT.get(_orientation(image))
    return pixels if turn is None else turn(pixels).copy()


def _told(image: Image.Image, path: Path) -> object:
    """The EXIF orientation of a picture just opened, whose pixels are decoded only if they must."""
    if image.format == "PNG" and _tells_late(path):
        image.load()
    return _orientation(image)


def _orientation(image: Image.Image) -> object:
    """The EXIF orientation of an open picture that is still to be obeyed; None if it tells none."""
    try:  # not a PNG's own method, which decodes all pixels
        return Image.Image.getexif(image).get(ORIENTATION)
    except Exception:  # damaged EXIF, which others pass over too
        return None


def opaque(image: Image.Image, ground: str) -> Image.Image:
    """Return a picture with `ground` behind what is transparent; one without such as it is.

    But for LAB, from which Pillow only makes RGB.
    """
    if not image.has_transparency_data:
        return image.convert("RGB") if image.mode == "LAB" else image
    key, step = image.info.get("transparency"), SHORT_GREYS.get(_rawmode(image))
    if step and isinstance(key, int):  # Pillow takes it for a grey of 8 bits
        image.info["transparency"] = key * step
    shown = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, ground), shown)


def deep_values(image: Image.Image) -> np.ndarray | None:
    """Return the numbers (H, W) of a grey picture of more than 8 bits as stored; None if of less.

    Where 0 stands for white they are turned round. Raises ValueError for floats of that kind, and
    for a grey that stands for transparent.
    """
    if image.mode != "F" and not image.mode.startswith("I"):
        return None
    values = np.array(image)
    if "transparency" in image.info and (values == image.info["transparency"]).any():
        raise ValueError("a grey of its 16 bits stands for transparent; save it without")
    if _tag(image, PHOTOMETRIC, 1) == 0:
        if not image.mode.startswith("I;16"):
            raise ValueError("its numbers grow towards black; save it with 0 as black")
        values = _white(values, image) - values
    return values


def white_of(values: np.ndarray) -> float:
    """Return what is white where nothing tells: 1, 255 or 65535, by the largest of `values`.

    Raises ValueError where that can't be known: negative, NaN or infinite values, and maxima that
    would fit two of them (12 bits look like 16 that are dark).
    """
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and np.isfinite(high)):
        raise ValueError(f"its numbers run from {low:g} to {high:g}; light is not below 0")
    fitting = [white for white in WHITES if white / 4 < high <= white]
    if values.dtype.kind == "f" and high <= 1:
        fitting = WHITES[:1]
    elif values.dtype.kind != "f" and high <= 1:  # 0 and 1: black and white, or all but black
        fitting = WHITES[1:2] if high == 0 else []
    if not fitting:
        raise ValueError(
            f"its largest number is {high:g}: is white {', '.join(f'{w:g}' for w in WHITES)} or "
            "another number? Save it with 8 bits, or with 16 whose white is 65535"
        )
    return fitting[0]


def _light(image: Image.Image) -> np.ndarray | None:
    """A grey picture of more than 8 bits, float64 (H, W), 0…1; None for others."""
    values = deep_values(image)
    return None if values is None else _scaled(values, _white(values, image))


def _scaled(values: np.ndarray, white: float) -> np.ndarray:
    """Numbers as light of 0…1, float64. Raises ValueError if nothing of it could be seen."""
    light = values / white
    if 0 < light.max() < BLACK:
        raise ValueError(
            f"its largest number is {values.max():g}, so little of {white:g}, which is white, that "
            "it would be black; scale it, or save it with 8 bits"
        )
    return light


def _white(values: np.ndarray, image: Image.Image) -> float:
    """What is white in a picture of more than 8 bits."""
    if image.mode.startswith("I;16"):
        return 2.0 ** int(np.max(_tag(image, BITS, 16))) - 1
    return 65535.0 if image.format == "PPM" and image.mode == "I" else white_of(values)


def _check(image: Image.Image) -> None:
    """Raise ValueError for what Pillow would take for something else."""
    if 2 in np.atleast_1d(_tag(image, SAMPLE_FORMAT, 1)) and image.mode not in ("I", "F"):
        raise ValueError("its numbers are signed; save it with unsigned ones")
    if "transparency" in image.info and _rawmode(image) == "RGB;16B":
        raise ValueError("a colour of its 16 bits stands for transparent; save it with 8 bits")


def _rgb(image: Image.Image) -> np.ndarray:
    """Red, green and blue (H, W, 3); of a picture that has these without a second copy."""
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _eight_bits(light: np.ndarray) -> np.ndarray:
    """Light of 0…1 as 0 to 255."""
    return np.round(light * 255).astype(np.uint8)


def _tag(image: Image.Image, tag: int, otherwise: int) -> Any:
    """What a TIFF says of itself; `otherwise` of others."""
    return getattr(image, "tag_v2", {}).get(tag, otherwise)


def _rawmode(image: Image.Image) -> str:
    """How the pixels of a picture that is not decoded yet are stored, in Pillow's words."""
    tiles = getattr(image, "tile", None)
    args = tiles[0][3] if tiles else ""
    return args[0] if isinstance(args, tuple) else str(args)


def _tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _tells_late(path: Path) -> bool:
    """Whether a PNG has something to say after its pixels."""
    with path.open("rb") as file:
        kinds = [kind for kind, _ in _chunks(file)]
    return bool({*kinds[kinds.index(b"IDAT") :]} & {*LATE}) if b"IDAT" in kinds else False


def _check_chunks(file: BinaryIO) -> None:
    """Raise ValueError if what a PNG shows is not what was written: its chunks have checksums."""
    for kind, length in _chunks(file):
        if kind in SEEN:
            content = file.read(length)
            if file.read(4) != zlib.crc32(content, zlib.crc32(kind)).to_bytes(4):
                raise ValueError(f"its checksum does not fit to its {kind.decode()}: it is damaged")


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield kind and length of each chunk of a PNG, the file being where its content begins."""
    file.seek(place := 8)
    while len(head := file.read(8)) == 8:
        length, kind = int.from_bytes(head[:4]), head[4:]
        yield kind, length
        place += length + 12
        file.seek(place)
