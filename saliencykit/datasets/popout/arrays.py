"""One search array: its condition, where its items lie, and the drawing of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy.fft
import torch
from torch import Tensor

from ...registry import check_name
from .features import FEATURES, srgb
from .shapes import Item

BACKGROUNDS = {"light": 90.0, "dark": 10.0, "grey": 50.0, "textured": 50.0}
"""L* of each background, of "textured" its mean."""
SET_SIZES = (4, 64)
"""Fewest and most items of an array. Items are so large that the most find room."""
SMALLEST_CELL = 16
"""Side, in pixels, of the place that an item needs for its details to show."""
GAP = 1.5
"""Pixels between an item and the edge of its cell, so that no two items touch."""
TEXTURE = 8.0
"""Standard deviation of the textured background, in steps of 255."""

Seed = int | Sequence[int]


class Placed(NamedTuple):
    """An item and its centre in pixels."""

    item: Item
    x: float
    y: float


class Drawing(NamedTuple):
    """An array: image uint8 (3, H, W); masks of target and distractors, bool (H, W)."""

    image: Tensor
    target: Tensor
    distractors: Tensor


@dataclass(frozen=True)
class SearchArray:
    """The condition of a search array: one target among `set_size` items.

    `feature` says what the target differs in and `difference` by how much, in (0, 1]: the share of
    `FEATURES[feature].maximum`, a physical quantity. `background` is one of `BACKGROUNDS`.
    `jitter`, 0…1, is the share of the free room around an item that its place varies in.

    Raises UnknownNameError naming the nearest feature or background, ValueError for numbers out of
    range.
    """

    feature: str = "colour"
    set_size: int = 16
    difference: float = 1.0
    background: str = "grey"
    jitter: float = 0.5

    def __post_init__(self):
        check_name("feature", self.feature, FEATURES)
        check_name("background", self.background, BACKGROUNDS)
        low, high = SET_SIZES
        if not low <= self.set_size <= high:
            raise ValueError(f"set_size must be {low} to {high}, not {self.set_size}")
        if not 0 < self.difference <= 1:
            raise ValueError(f"difference must lie in (0, 1], not {self.difference}")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter must lie in 0…1, not {self.jitter}")

    @property
    def physical(self) -> float:
        """The difference between target and distractors in the feature's unit."""
        return self.difference * FEATURES[self.feature].maximum

    def items(self, size: tuple[int, int], seed: Seed) -> list[Placed]:
        """Return the items on a picture of `size` (H, W), the target first."""
        places, looks, _ = _generators(seed)
        cell = smallest_cell(size)
        ground = BACKGROUNDS[self.background]
        target, kinds = FEATURES[self.feature].items(self.physical, cell, ground, looks)
        dealt = [target, *(kinds[k % len(kinds)] for k in range(self.set_size - 1))]
        # One reach for all: the target must not be told by how freely it is placed.
        reach = max(item.reach for item in dealt)
        x, y = jittered_grid(self.set_size, size, reach + GAP, self.jitter, places)
        return [Placed(*p) for p in zip(dealt, x.tolist(), y.tolist(), strict=True)]


def draw(spec: SearchArray, size: tuple[int, int] = (480, 640), seed: Seed = 0) -> Drawing:
    """Draw the array of condition `spec` on a picture of `size` (H, W).

    The same seed gives the same bytes, and for one set size the same cells whatever the feature,
    difference and background, so that conditions can be compared on matched layouts. A pixel
    belongs to an item if at least half of it is covered. Raises ValueError if the picture is too
    small for 64 items.
    """
    image = _background(spec.background, size, _generators(seed)[2])
    masks = np.zeros((2, *size), dtype=bool)
    for k, (item, x, y) in enumerate(spec.items(size, seed)):
        patch, covered = item.coverage(x, y)
        under = image[patch].astype(np.float64)
        image[patch] = np.rint(under + covered[..., None] * (np.array(item.colour) - under))
        masks[min(k, 1)][patch] |= covered >= 0.5
    return Drawing(torch.from_numpy(image).permute(2, 0, 1).contiguous(), *torch.from_numpy(masks))


def jittered_grid(
    n: int, size: tuple[int, int], reach: float, jitter: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y, each (n,), of places in cells of a grid, in random order.

    The grid has the largest cells that n items leave room for; where it has more than n, the empty
    ones are random. Nothing within `reach` of a place leaves its cell.
    """
    grid = np.array(_grid(n, tuple(size)))
    cell = np.array(size) / grid
    chosen = np.stack(np.divmod(rng.permutation(grid.prod())[:n], grid[1]), axis=1)
    shift = rng.uniform(-1, 1, (n, 2)) * jitter * (cell / 2 - reach)
    y, x = ((chosen + 0.5) * cell + shift).T
    return x, y


@lru_cache(maxsize=256)
def _grid(n: int, size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of at least n cells whose shorter side is longest."""
    grids = [(rows, -(-n // rows)) for rows in range(1, n + 1)]
    return max(grids, key=lambda g: min(size[0] / g[0], size[1] / g[1]))


def smallest_cell(size: tuple[int, int]) -> float:
    """Shorter side of the cells of the largest set; ValueError if it is too small to draw in."""
    rows, columns = _grid(SET_SIZES[1], tuple(size))
    cell = min(size[0] / rows, size[1] / columns)
    if cell < SMALLEST_CELL:
        raise ValueError(
            f"a picture of {size[0]}×{size[1]} pixels (height × width) leaves {cell:.1f} pixels an "
            f"item; {SMALLEST_CELL} are needed, as in 128×128."
        )
    return cell


def _generators(seed: Seed) -> list[np.random.Generator]:
    """Independent generators for places, looks and background."""
    return np.random.default_rng(seed).spawn(3)


def _background(name: str, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Plain or textured grey, uint8 (H, W, 3)."""
    grey = srgb(BACKGROUNDS[name])[0]
    if name != "textured":
        return np.full((*size, 3), np.rint(grey), dtype=np.uint8)
    levels = np.rint(grey + TEXTURE * pink_noise(size, rng)).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2)


def pink_noise(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Noise (H, W) whose amplitude falls with 1/frequency, as in natural images (Field 1987).

    Mean 0, standard deviation 1, clipped at 2.5.
    """
    spectrum = scipy.fft.rfft2(rng.standard_normal(size, dtype=np.float32))
    frequency = np.hypot(scipy.fft.fftfreq(size[0])[:, None], scipy.fft.rfftfreq(size[1]))
    frequency[0, 0] = np.inf  # no constant part
    noise = np.asarray(scipy.fft.irfft2(spectrum / frequency, size))
    return np.clip(noise / noise.std(), -2.5, 2.5)
