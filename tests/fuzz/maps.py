"""Odd maps: arrays of every kind and shape, pictures of every mode, some of them no maps at all.

    trial(seed, folder)  →  "right", "refused", "wrong", "lost", "traceback" or "hang"

What is a map is to be read with the values that were put in, up to a scale; what is none (colours,
transparency, several planes, NaN, damage) is to be refused.
"""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from PIL import Image

from saliencykit.reading.maps import read_map

COLOURS = ("jet", "viridis", "hot", "inferno", "turbo", "coolwarm", "Reds", "Spectral")
MODES = ("L", "RGB", "P", "LA", "RGBA", "CMYK", "I;16", "I", "F")


class Input(NamedTuple):
    """A file, and the values (H, W), 0…1, that it holds; None if it is to be refused."""

    path: Path
    values: np.ndarray | None
    damaged: bool = False


def inputs(seed: int, folder: Path) -> Input:
    """Write the map of a seed."""
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(4, 40, 2))
    steps = rng.integers(0, 256, shape)
    steps[0, 0], steps[-1, -1] = 0, 255
    make = (_array, _array_of_none, _picture, _picture_of_none)[rng.integers(4)]
    given = make(steps / 255, folder, rng)
    if rng.random() < 0.15:
        content = given.path.read_bytes()
        given.path.write_bytes(content[: int(rng.integers(len(content)))])
        return given._replace(damaged=True)
    return given


def _array(values: np.ndarray, folder: Path, rng: np.random.Generator) -> Input:
    kind = np.dtype(["u1", "i2", ">u2", "i8", "u4", "f2", ">f4", "f8", "f8"][rng.integers(9)])
    scale = 255.0 if kind.kind in "iu" else 10.0 ** rng.integers(-3, 4)
    if kind == np.float64:
        scale = 10.0 ** rng.integers(-300, 300)
    h, w = values.shape
    shapes = [(h, w), (1, h, w), (h, w, 1), (1, 1, h, w)]
    stored = (values * scale).round() if kind.kind in "iu" else values * scale
    stored = stored.astype(kind).reshape(shapes[rng.integers(4)])
    np.save(folder / "map.npy", np.asarray(stored, order="CF"[rng.integers(2)]))
    return Input(folder / "map.npy", values)


def _array_of_none(values: np.ndarray, folder: Path, rng: np.random.Generator) -> Input:
    holed = values.copy()
    holed[1, 1] = [np.nan, np.inf, -np.inf][rng.integers(3)]
    other = rng.random(values.shape)
    planes = np.stack([values, other, values])
    coloured = colormaps[COLOURS[rng.integers(len(COLOURS))]](values)
    nones = [
        holed,
        planes,
        planes[:2],
        coloured,
        coloured[..., :3],
        values + 1j,
        values.astype(str),
        values.astype(object),
        values.ravel(),
        values[:0],
        values + 1e12,
    ]
    np.save(folder / "map.npy", nones[rng.integers(len(nones))], allow_pickle=True)
    return Input(folder / "map.npy", None)


def _picture(values: np.ndarray, folder: Path, rng: np.random.Generator) -> Input:
    mode = MODES[rng.integers(len(MODES))]
    grey = np.round(255 * values).astype(np.uint8)
    image, opaque = Image.fromarray(grey), np.full_like(grey, 255)
    if mode == "P":
        order = rng.permutation(256).astype(np.uint8)
        image = Image.fromarray(np.argsort(order).astype(np.uint8)[grey])
        image.putpalette(np.repeat(order, 3).tobytes())
    elif mode == "LA":
        image = Image.fromarray(np.dstack([grey, opaque]))
    elif mode == "RGBA":
        image = Image.fromarray(np.dstack([grey, grey, grey, opaque]))
    elif mode in ("RGB", "CMYK"):
        image = image.convert("RGB").convert(mode)
    elif mode == "I;16":
        image = Image.fromarray(np.round(65535 * values).astype(np.uint16))
    elif mode == "I":
        image = Image.fromarray(np.round(values * 10.0 ** rng.integers(3, 9)).astype(np.int32))
    elif mode == "F":
        image = Image.fromarray((values * 10.0 ** rng.integers(-5, 9)).astype(np.float32))
    deep = mode in ("CMYK", "I", "F")
    path = folder / f"map.{'tif' if deep or rng.random() < 0.5 else 'png'}"
    image.save(path)
    return Input(path, values)


def _picture_of_none(values: np.ndarray, folder: Path, rng: np.random.Generator) -> Input:
    grey, path = np.round(255 * values).astype(np.uint8), folder / "map.png"
    kind = rng.integers(4)
    if kind == 0:  # the values in its opacity
        image = Image.fromarray(np.dstack([np.zeros_like(grey), grey]))
    elif kind == 1:
        coloured = colormaps[COLOURS[rng.integers(len(COLOURS))]](values)
        image = Image.fromarray(np.round(255 * coloured).astype(np.uint8))
        image = image.convert("RGB") if rng.random() < 0.7 else image
        image = image.quantize(256) if image.mode == "RGB" and rng.random() < 0.3 else image
    elif kind == 2:
        image = Image.fromarray(rng.integers(0, 256, (*grey.shape, 3), dtype=np.uint8))
    else:
        file = io.BytesIO()
        Image.fromarray(grey).save(file, ["PCX", "TGA", "PDF"][rng.integers(3)])
        path.write_bytes(file.getvalue())
        return Input(path, None)
    image.save(path)
    return Input(path, None)


def judge(given: Input) -> str:
    """How the reader took an input."""
    try:
        found = read_map(given.path).numpy().astype(np.float64)
    except ValueError as error:
        named = str(given.path) in str(error)
        wanted = given.values is None or given.damaged
        return "refused" if named and wanted else "lost"
    except Exception:
        return "traceback"
    if given.values is None or found.shape != given.values.shape:
        return "wrong"
    found = (found - found.min()) / np.ptp(found)
    return "right" if np.abs(found - given.values).max() < 0.005 else "wrong"


def trial(seed: int, folder: Path) -> str:
    """Write the input of a seed into `folder` and judge how it is read."""
    return judge(inputs(seed, folder))
