"""Object crops for pre-training: the world in pieces."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..types import CATEGORIES
from .backdrops import backdrop
from .scenes import SCENES, Placed, label
from .things import KINDS, Figure, draw

CROP_CLASSES = CATEGORIES
REUSE = 20  # crops cut from one background

_WHOLE = {"person_head": "person", "person_part": "person",
          "animal_head": "animal", "animal_part": "animal"}  # fmt: skip


def _target(figure: Figure, category: str) -> tuple[float, float, float]:
    """Centre x, y and extent, in pixels of the figure, of what shows of `category`."""
    labels, names = label([Placed(figure, 0, 0, True)], figure.shape)
    y, x = np.nonzero(labels == names.index(category) + 1)
    extent = max(np.ptp(x), np.ptp(y)) + 1
    return (x.min() + x.max()) / 2, (y.min() + y.max()) / 2, float(extent)


def _crop(category: str, size: int, backs: list, rng: np.random.Generator) -> np.ndarray:
    """One crop, float32 (side, side, 3): the thing near the middle of a patch of background."""
    kind = _WHOLE.get(category, category)
    back = backs[int(rng.integers(len(backs)))]
    share = rng.uniform(0.5, 0.95)  # of the crop's side, that the target takes
    part = {"person_head": 2.6, "animal_head": 2.2}  # height of a figure in heads
    height = size * share * part.get(category, 1)
    standing = kind in ("text", "symbol") and rng.random() < 0.3
    near = kind == "person" and rng.random() < 0.25
    figure = draw(kind, height, rng, standing=standing, near=near, light=back.light,
                  tilt=float(rng.uniform(-12, 12)))  # fmt: skip
    x, y, extent = _target(figure, category)
    side = max(size // 2, round(extent / share))  # of the window, before it is resized
    x0 = round(x + rng.uniform(-0.12, 0.12) * side - side / 2)
    y0 = round(y + rng.uniform(-0.12, 0.12) * side - side / 2)
    shown = [(figure, -x0, -y0)]
    if rng.random() < 0.5:  # something else, in part, at the edge and behind
        other = draw(KINDS[int(rng.integers(len(KINDS)))], side * rng.uniform(0.3, 0.6), rng,
                     light=back.light)  # fmt: skip
        angle, reach = rng.uniform(0, 2 * np.pi), side * rng.uniform(0.5, 0.65)
        h, w = other.shape
        shown.insert(0, (other, round(side / 2 + reach * np.cos(angle) - w / 2),
                         round(side / 2 + reach * np.sin(angle) - h / 2)))  # fmt: skip
    return _patch(back.image, side, shown, rng)


def _patch(image: np.ndarray, side: int, shown: list, rng: np.random.Generator) -> np.ndarray:
    """A square of background with figures on it, cut off at its edges: float32 (side, side, 3)."""
    pad = max(side // 2, *(max(*f.shape) for f, _, _ in shown))
    h, w = image.shape[:2]
    canvas = np.zeros((side + 2 * pad, side + 2 * pad, 3), dtype=np.float32)
    top = int(rng.integers(max(1, h - side + 1)))
    left = int(rng.integers(max(1, w - side + 1)))
    piece = image[top : top + side, left : left + side]
    if piece.shape[:2] != (side, side):
        piece = np.pad(piece, [(0, side - piece.shape[0]), (0, side - piece.shape[1]), (0, 0)],
                       mode="reflect")  # fmt: skip
    canvas[pad : pad + side, pad : pad + side] = piece
    for figure, x, y in shown:
        h, w = figure.shape
        x, y = min(max(x + pad, 0), side + 2 * pad - w), min(max(y + pad, 0), side + 2 * pad - h)
        figure.onto(canvas, x, y)
    return canvas[pad : pad + side, pad : pad + side]


def _photographed(patch: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """`patch` as uint8 (size, size, 3), with a camera's exposure, contrast and noise."""
    whole = Image.fromarray(np.clip(patch, 0, 255).astype(np.uint8))
    picture = np.asarray(whole.resize((size, size), Image.Resampling.BILINEAR), dtype=np.float32)
    pixels = 128 + (picture - 128) * rng.uniform(0.65, 1.15)
    pixels += rng.uniform(-25, 25)
    pixels += rng.uniform(1, 14) * rng.standard_normal(pixels.shape, dtype=np.float32)
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)


def crops(per_class: int, size: int = 64, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Draw `per_class` crops of each of `CROP_CLASSES` on random backgrounds, in mixed order.

    Returns images uint8 (12 · per_class, 3, size, size) and labels int64 (12 · per_class,), indices
    into `CROP_CLASSES`. Scale, place, light, tilt, clutter, exposure and camera noise
    vary. Another seed is a held-out set.
    """
    rng = np.random.default_rng([seed, 1 << 20])
    labels = rng.permutation(np.repeat(np.arange(len(CROP_CLASSES)), per_class))
    images = np.zeros((len(labels), size, size, 3), dtype=np.uint8)
    backs: list = []
    for k, c in enumerate(labels):
        if k % REUSE == 0:
            scene = SCENES[int(rng.integers(len(SCENES)))]
            backs = [*backs[-6:], backdrop(scene, (240, 320), rng)]
        images[k] = _photographed(_crop(CROP_CLASSES[c], size, backs, rng), size, rng)
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels)
