"""Fixations per pixel of kinds of places, comparing only what was seen in one image.

A fixation on image i falls on kind k with chance w_k · area_ik / Σ_j w_j · area_ij. The rates w do
not depend, as a plain share does, on what else the images hold or how much of it. Kinds may be
categories of things, or levels of a saliency map: rates that rise with the level are then the map's
best fitting density.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from ..intervals import resampled


def rates(seen: ArrayLike, area: ArrayLike, steps: int = 200, rising: bool = False) -> np.ndarray:
    """Return the most likely rates (K,), of mean 1 over the kinds that there are; others are NaN.

    seen, area: fixations and pixels of each kind on each image, (I, K); rising: whether each rate
    is at least that of the kind before, the lowest not quite 0.

    Source: minorisation-maximisation, Hunter 2004, Annals of Statistics 32, 384–406 (the
    Plackett-Luce family); Kümmerer, Wallis & Bethge 2018, ECCV (maps fitted by monotone functions).
    """
    found = _climb(seen, area, np.ones((1, len(np.asarray(seen)))), steps, rising)[0]
    return found / np.nanmean(found)


def rate_draws(seen: ArrayLike, area: ArrayLike, n: int = 500, seed: int = 0) -> np.ndarray:
    """Return rates (1 + n, K), the data's own first, then those of resampled images, fitted anew.

    Each draw has a mean of 1 over the kinds that there are.
    """
    images = len(np.asarray(seen))
    times = np.stack([np.bincount(one, minlength=images) for one in resampled(images, n, seed)])
    found = _climb(seen, area, times, steps=100)
    return found / np.nanmean(found, 1, keepdims=True)


def _climb(
    seen: ArrayLike, area: ArrayLike, times: np.ndarray, steps: int, rising: bool = False
) -> np.ndarray:
    """Rates (B, K) of images that count `times` (B, I)."""
    seen, area = np.asarray(seen, float), np.asarray(area, float)
    looked, there = times @ seen, times @ area > 0
    rate = np.ones_like(looked)
    for _ in range(steps):
        chance = np.maximum(rate @ area.T, 1e-300)
        expected = (times * seen.sum(1) / chance) @ area
        rate = looked / np.where(expected > 0, expected, np.inf)
        if rising:
            rate = np.stack([_rising(*one) for one in zip(rate, expected, strict=True)])
        rate = rate / rate.mean(1, keepdims=True)
    return np.where(there, rate, np.nan)


def _rising(rate: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Most likely rising rates; what nothing is known of gets that of its neighbours."""
    known = np.maximum(weight, 1e-9)
    return np.maximum(isotonic_regression(rate, weights=known).x, 1e-6 * rate.max())
