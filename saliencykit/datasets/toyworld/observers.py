"""Simulated observers, who look where planted weights, local contrast and the centre send them.

The density that one observer's fixations follow, before inhibition of return and scatter, is

    d(p) ∝ weights[category at p] ** strength + contrast · C(p) + centre · G(p)

where the first term is 0 outside every region, C is the local contrast of the picture and G a
Gaussian about its centre, both scaled to mean 1. So planted weights are in units of *fixations per
pixel*: in one picture a pixel of a head gets weight(head) / weight(text) times what one of a text
gets. With strength 0 every region counts the same, whatever its category. Within a region, aims
gather about its middle, as people's do (Nuthmann & Henderson, Journal of Vision 2010).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from scipy.ndimage import uniform_filter

from ...registry import check_name
from ..types import CATEGORIES

DEFAULT_WEIGHTS: dict[str, float] = {
    "person_head": 10.0,
    "animal_head": 8.0,
    "text": 6.0,
    "symbol": 4.0,
    "food": 2.5,
    "drink": 2.0,
    "vehicle": 1.5,
    "object": 1.5,
    "other": 1.5,
    "animal_part": 1.0,
    "person_part": 1.0,
    "plant": 0.5,
}
"""Planted by default: fixations per pixel. Chosen, not measured: heads and text draw most."""


@dataclass(frozen=True)
class Observers:
    """Settings of the simulated observers.

    Category weights are raised to `strength`; `contrast` and `centre` are the mean densities of
    those two terms (see the module's text). `count` observers make `fixations` each on a picture.
    `individual` is the deviation of an observer's own log weights about the planted ones;
    `inhibition` the factor on the chance of fixating again the region just left (1: none);
    `scatter` the deviation of a fixation from its aim, as a fraction of the picture's height;
    `middle` of how many pixels drawn evenly from a region the one nearest its centroid is the aim
    (1: any pixel alike).
    """

    weights: Mapping[str, float]
    strength: float = 1.0
    contrast: float = 0.05
    centre: float = 0.05
    count: int = 15
    fixations: int = 10
    individual: float = 0.35
    inhibition: float = 0.6
    scatter: float = 0.01
    middle: int = 3

    def __post_init__(self):
        lowest = {"strength": 0, "contrast": 0, "centre": 0, "count": 1, "fixations": 1,
                  "individual": 0, "inhibition": 0, "scatter": 0, "middle": 1}  # fmt: skip
        for name, low in lowest.items():
            if not getattr(self, name) >= low:
                raise ValueError(f"{name} must be at least {low}, not {getattr(self, name)}")


class Habits(TypedDict, total=False):
    """Settings of `Observers` that a world may be given by name."""

    strength: float
    contrast: float
    centre: float
    fixations: int
    individual: float
    inhibition: float
    scatter: float
    middle: int


def planted_weights(weights: Mapping[str, float] | None) -> dict[str, float]:
    """Complete a mapping of category to weight from `DEFAULT_WEIGHTS`.

    Raises UnknownNameError for what is no category and ValueError for a weight that is negative or
    not finite.
    """
    planted = dict(DEFAULT_WEIGHTS)
    for category, weight in (weights or {}).items():
        check_name("category", category, CATEGORIES)
        if not (np.isfinite(weight) and weight >= 0):
            raise ValueError(f"the weight of {category!r} must be a number ≥ 0, not {weight}")
        planted[category] = float(weight)
    return planted


def local_contrast(image: np.ndarray) -> np.ndarray:
    """Deviation of luminance in a window of 1/20 of the height, scaled to mean 1.

    `image` is (3, H, W) in 0 … 255; returns float64 (H, W). A flat picture gives all ones.
    """
    # Pixel by pixel: a matrix product may round differently from run to run, and with it
    # fixations would move.
    red, green, blue = image.astype(np.float64)
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    window = max(3, image.shape[1] // 20)
    mean = uniform_filter(grey, window, mode="nearest")
    square = uniform_filter(grey**2, window, mode="nearest")
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    return deviation / deviation.mean() if deviation.any() else np.ones_like(deviation)


def _masses(areas: np.ndarray, categories: Sequence[str], pixels: int, who: Observers,
            rng: np.random.Generator) -> np.ndarray:  # fmt: skip
    """Chance of each source by observer, (count, regions + 2): regions, contrast, centre."""
    weight = np.array([who.weights[c] for c in categories], dtype=float) ** who.strength
    # An observer's own taste is one factor a category, not one a region.
    taste = np.exp(who.individual * rng.standard_normal((who.count, len(CATEGORIES))))
    taste = taste[:, [CATEGORIES.index(c) for c in categories]] ** (who.strength != 0)
    low = np.tile((who.contrast * pixels, who.centre * pixels), (who.count, 1))
    return np.concatenate([areas * weight * taste, low], 1)


def _sources(masses: np.ndarray, who: Observers, rng: np.random.Generator) -> np.ndarray:
    """Which source each fixation aims at, (count, fixations), one after the other."""
    chosen = np.zeros((who.count, who.fixations), dtype=np.int64)
    every, regions = np.arange(who.count), masses.shape[1] - 2
    for step in range(who.fixations):
        chance = masses.copy()
        if step and who.inhibition != 1:
            back = chosen[:, step - 1] < regions
            chance[every[back], chosen[back, step - 1]] *= who.inhibition
        edges = chance.cumsum(1)
        draw = rng.random((who.count, 1)) * edges[:, -1:]
        chosen[:, step] = (draw >= edges).sum(1)
    return chosen


def look(
    image: np.ndarray,
    labels: np.ndarray,
    categories: Sequence[str],
    who: Observers,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fixations of all observers on one picture: x, y (float64, pixels) and observer (int64).

    `image` is uint8 (3, H, W); `labels` (H, W) holds 0 or k for region k − 1. All fixations lie
    inside the picture. Raises ValueError if nothing at all can be looked at (all weights 0).
    """
    h, w = labels.shape
    order = np.argsort(labels, axis=None, kind="stable")  # pixels, grouped by region
    areas = np.bincount(labels.ravel(), minlength=len(categories) + 1)
    masses = _masses(areas[1:], categories, h * w, who, rng)
    if not (masses.sum(1) > 0).all():
        raise ValueError("nowhere to look: weights, contrast and centre are all 0")
    source = _sources(masses, who, rng).ravel()
    aim, regions = np.zeros(len(source), dtype=np.int64), len(categories)
    on = source < regions
    aim[on] = _aims(order, areas, source[on], w, who.middle, rng)
    low = source == regions
    edges = local_contrast(image).ravel().cumsum(dtype=np.float64)
    aim[low] = np.searchsorted(edges, rng.random(low.sum()) * edges[-1], side="right")
    y, x = np.divmod(np.minimum(aim, h * w - 1), w)
    x, y = x + rng.random(len(x)), y + rng.random(len(y))
    mid = source == regions + 1
    x[mid] = w / 2 + rng.normal(0, 0.16 * w, mid.sum())
    y[mid] = h / 2 + rng.normal(0, 0.16 * h, mid.sum())
    x, y = (v + rng.normal(0, who.scatter * h, len(v)) for v in (x, y))
    return _inside(x, w), _inside(y, h), np.repeat(np.arange(who.count), who.fixations)


def _aims(order: np.ndarray, areas: np.ndarray, region: np.ndarray, w: int, middle: int,
          rng: np.random.Generator) -> np.ndarray:  # fmt: skip
    """Flat pixel index aimed at in each `region`: of `middle` even draws that nearest its middle.

    `order` holds all pixels, those of label k after those of label k − 1, `areas` how many each.
    """
    starts = areas.cumsum() - areas
    picked = rng.random((len(region), middle)) * areas[region + 1, None]
    pixel = order[starts[region + 1, None] + picked.astype(np.int64)]
    y, x = np.divmod(order, w)
    centre = np.stack([np.add.reduceat(v, np.minimum(starts, len(order) - 1)) for v in (y, x)])
    cy, cx = centre[:, region + 1, None] / areas[region + 1, None]
    far = (pixel // w - cy) ** 2 + (pixel % w - cx) ** 2
    return pixel[np.arange(len(pixel)), far.argmin(1)]


def _inside(v: np.ndarray, size: int) -> np.ndarray:
    """Fold what fell off the picture back in at the edge: [0, size)."""
    return np.clip(size - np.abs(size - np.abs(v)), 0, np.nextafter(size, 0))
