"""Saliency maps as files: arrays or pictures."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .arrays import ARRAYS, plane, read_array
from .pictures import deep_values, opened, upright

NEUTRAL = 16
"""By how much of 255 red, green and blue of a grey map may differ: inks and JPEG round."""
LARGE = 1e30
"""Beyond it, and below its inverse, a map is scaled before it is held in float32."""
FLAT = 1e-5
"""A map whose values differ by less, the largest being 1, is level for float32, or nearly."""


def read_map(path: Path) -> Tensor:
    """Read a saliency map (H, W), float32: an array, or a picture's brightness, upright.

    An array is (H, W), or has one more axis of length one before or after, or three equal channels
    last. A picture is grey, in whatever way that is stored: with few bits or many, a palette, RGB
    or CMYK. Values are on the file's own scale, unless float32 could not hold them.

    Raises ValueError, naming the file: damaged, another shape, in colour (a colour map hides what
    the values were), partly transparent, NaN or infinite values.
    """
    if path.suffix.lower() in ARRAYS:
        values = read_array(path)
        if values.ndim == 3 and values.shape[-1] == 3 and _is_grey(values):
            values = values.mean(-1, dtype=np.float64)
        values = plane(values, path, "map")
    else:
        values = _picture(path)
    if not np.isfinite(values).all():  # it would have no score, and be missing from the means
        raise ValueError(f"{path} holds NaN or infinite values; write it again without.")
    return torch.from_numpy(_single(values, path))


def check_turned(path: Path, shape: tuple[int, int], size: tuple[int, int]) -> None:
    """Raise ValueError if a map (H, W) lies, where its image of `size` (height, width) stands.

    Or the other way round: of all ways to stretch it over the image, turning it by a quarter would
    be the smaller one. A square map, as of a network that sees squares, fits every image.
    """
    (height, width), (tall, wide) = shape, size
    if height != width and tall != wide and (height > width) != (tall > wide):
        raise ValueError(
            f"{path} is {width} wide and {height} high, its image {wide}×{tall}: it is turned by a "
            "quarter, it seems. Write it again as (height, width) of the image."
        )


def _picture(path: Path) -> np.ndarray:
    """A grey picture's values (H, W)."""
    with opened(path, "a map") as image:
        values = deep_values(image)
        if values is None and image.mode in ("1", "L") and not image.has_transparency_data:
            values = np.array(image)
        elif values is None:
            values = np.array(image.convert("RGBA"))
            if values[..., 3].min() < 255:
                raise ValueError("parts of it are transparent: does its grey count? Save it opaque")
            if not _is_grey(values[..., :3]):
                raise ValueError(
                    "it is in colour, and a colour map (jet, viridis …) does not tell how large "
                    "the values were; save these as .npy, or in grey"
                )
            values = values[..., :3].mean(-1, dtype=np.float32)
        return upright(values, image)


def _is_grey(channels: np.ndarray) -> bool:
    """Whether three channels (H, W, 3) say the same, but for rounding to 256 steps."""
    known = channels.astype(np.float64)
    white = 255 if channels.dtype == np.uint8 else np.abs(known).max(initial=0)
    return bool(np.ptp(known, axis=-1).max(initial=0) <= NEUTRAL / 255 * white)


def _single(values: np.ndarray, path: Path) -> np.ndarray:
    """Values as float32, those beyond it on a scale of their own, which no metric hangs on."""
    if values.dtype not in (np.float16, np.float32):
        known = values.astype(np.float64)
        peak, range_ = float(np.abs(known).max()), float(np.ptp(known))
        if 0 < range_ < FLAT * peak:
            raise ValueError(
                f"{path}: values differ by {range_:g} only, and are as large as {peak:g}: float32 "
                "can't tell them apart. Subtract the smallest and write it again."
            )
        if peak and not 1 / LARGE < peak < LARGE:
            values = known / peak
    return np.ascontiguousarray(values, dtype=np.float32)
