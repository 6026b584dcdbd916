"""Odd pictures: written in some mode and format, perhaps damaged, cut or misnamed.

    trial(seed, folder)  →  "right", "refused", "wrong", "lost", "traceback" or "hang"

The pixels are known before they are written. Of a damaged picture they are known only where the
format can tell damage: such a one may be refused, or be right.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from saliencykit.reading.pictures import image_size, read_image

KINDS = {
    "1": ("png", "tif", "bmp"),
    "L": ("png", "tif", "bmp", "gif", "ppm", "webp", "jpg"),
    "RGB": ("png", "tif", "bmp", "ppm", "webp", "jpg"),
    "P": ("png", "tif", "bmp", "gif"),
    "LA": ("png", "tif"),
    "RGBA": ("png", "tif", "webp"),
    "CMYK": ("tif",),
    "I;16": ("png", "tif"),
    "I": ("tif",),
    "F": ("tif",),
}
NAMES = ("photo.jpg", "photo.png", "photo.tif", "photo.webp", "photo", "photo.npy")


class Input(NamedTuple):
    """A file, the pixels (H, W, 3) to be seen in it, within what, and whether it was damaged."""

    path: Path
    seen: np.ndarray
    within: float
    damaged: bool


def inputs(seed: int, folder: Path) -> Input:
    """Write the picture of a seed."""
    rng = np.random.default_rng(seed)
    mode = list(KINDS)[rng.integers(len(KINDS))]
    suffix = KINDS[mode][rng.integers(len(KINDS[mode]))]
    size = tuple(int(n) for n in rng.integers(1, 40, 2))
    stored, seen = drawn(mode, size, rng)
    turn, exif = int(rng.integers(1, 9)), Image.Exif()
    turned = suffix in ("jpg", "png", "tif", "webp") and rng.random() < 0.5
    save = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True, "exact": True}}
    options = dict(save.get(suffix, {}))
    if turned:
        exif[0x0112] = turn
        options["exif"] = exif
        seen = shown(seen, turn)
    path = folder / (NAMES[rng.integers(len(NAMES))] if rng.random() < 0.5 else f"photo.{suffix}")
    with path.open("wb") as file:
        stored.save(
            file, format={"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper()), **options
        )
    damaged = rng.random() < 0.4
    if damaged:
        path.write_bytes(spoilt(path.read_bytes(), rng))
    return Input(path, seen, 6 if suffix == "jpg" else 1.01, bool(damaged))


def drawn(
    mode: str, size: tuple[int, int], rng: np.random.Generator
) -> tuple[Image.Image, np.ndarray]:
    """A picture in a mode, and what is to be seen in it (H, W, 3), 0…255."""
    light = rng.random((*size, 3))
    light[0, 0] = 1  # so that white is known
    eight = np.round(255 * light).astype(np.uint8)
    grey, alpha = eight[..., 0], eight[..., 1:2]
    triple = np.repeat(grey[..., None], 3, axis=2).astype(np.float64)
    if mode == "1":
        return Image.fromarray(grey > 127), np.where(triple > 127, 255.0, 0)
    if mode == "L":
        return Image.fromarray(grey), triple
    if mode == "RGB":
        return Image.fromarray(eight), eight.astype(np.float64)
    if mode == "P":
        palette = rng.integers(0, 256, (256, 3), dtype=np.uint8)
        image = Image.fromarray(grey)
        image.putpalette(palette.tobytes())
        return image, palette[grey].astype(np.float64)
    if mode in ("LA", "RGBA"):
        colours = grey[..., None] if mode == "LA" else eight
        part = alpha / 255
        return Image.fromarray(np.dstack([colours, alpha])), colours * part + 255 * (
            1 - part
        ) * np.ones(3)
    if mode == "CMYK":
        image = Image.fromarray(255 - eight).convert("RGB")
        return image.convert("CMYK"), 255 - eight.astype(np.float64)
    white, kind = {"I;16": (65535, np.uint16), "I": (65535, np.int32), "F": (1, np.float32)}[mode]
    deep = (light[..., 0] * white) if mode == "F" else np.round(light[..., 0] * white)
    return Image.fromarray(deep.astype(kind)), np.repeat(255 * light[..., :1], 3, axis=2)


def shown(seen: np.ndarray, turn: int) -> np.ndarray:
    """What viewers show of stored pixels under an EXIF orientation, one pixel after another.

    By the standard's words: where the stored row 0 and column 0 are in the picture that is seen.
    """
    rows = {
        1: "top",
        2: "top",
        3: "bottom",
        4: "bottom",
        5: "left",
        6: "right",
        7: "right",
        8: "left",
    }
    columns = {
        1: "left",
        2: "right",
        3: "right",
        4: "left",
        5: "top",
        6: "top",
        7: "bottom",
        8: "bottom",
    }
    (h, w), lying = seen.shape[:2], turn >= 5
    found = np.empty((w, h, 3) if lying else (h, w, 3))
    for r in range(h):
        for c in range(w):
            place = {rows[turn]: r, columns[turn]: c}
            tall, wide = found.shape[:2]
            y = place["top"] if "top" in place else tall - 1 - place["bottom"]
            x = place["left"] if "left" in place else wide - 1 - place["right"]
            found[y, x] = seen[r, c]
    return found


def spoilt(content: bytes, rng: np.random.Generator) -> bytes:
    """A file's content after one kind of damage or another."""
    how, n = rng.integers(4), len(content)
    if how == 0:
        return content[: int(rng.integers(n))]
    if how == 1:  # the beginning, where formats keep what they are
        changed = bytearray(content)
        for place in rng.integers(0, min(n, 64), 3):
            changed[place] = int(rng.integers(256))
        return bytes(changed)
    if how == 2:
        return rng.bytes(int(rng.integers(200)))
    place = int(rng.integers(n))
    return content[:place] + rng.bytes(8) + content[place:]


def judge(given: Input) -> str:
    """How the reader took an input."""
    try:
        size = image_size(given.path)
        found = read_image(given.path).permute(1, 2, 0).numpy()
    except ValueError as error:
        named = str(error).startswith(str(given.path)) and given.damaged
        return "refused" if named else "lost"
    except Exception:
        return "traceback"
    tells = given.path.read_bytes()[:4] == b"\x89PNG"  # by its checksums
    if given.damaged and not tells:  # that it is a picture of the size that it says, we know
        return "right" if found.shape[:2] == size else "wrong"
    same = found.shape == given.seen.shape and size == found.shape[:2]
    return "right" if same and np.abs(found - given.seen).max() <= given.within else "wrong"


def trial(seed: int, folder: Path) -> str:
    """Write the input of a seed into `folder` and judge how it is read."""
    return judge(inputs(seed, folder))
