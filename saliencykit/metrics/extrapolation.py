"""From a few observers to infinitely many: a power law through scores of growing groups.

s(n) = s∞ − a n^(−b), the score when n observers predict another. s∞ is what a model would score
that knew where infinitely many look. Given the exponent b, the curve is a line over n^(−b), so
least squares are exact; the exponent is the best of a fine grid, for any number of curves at once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..registry import lacking

EXPONENTS = np.geomspace(0.05, 4, 2000)  # b tried; a fit that ends at either end is not determined


@dataclass(frozen=True)
class PowerLaw:
    """s(n) = `limit` − `scale` n^(−`exponent`); `low`…`high`: 95 % interval of the limit.

    `determined` says whether the scores tell where the curve ends: four or more numbers of
    observers, an exponent between the ends of `EXPONENTS`, and an interval narrower than what the
    curve climbs between the first number and the last. Where not, the limit is a guess, or NaN.
    """

    limit: float
    scale: float
    exponent: float
    low: float
    high: float
    determined: bool

    def __call__(self, n: ArrayLike) -> np.ndarray:
        """Return the score when n observers predict."""
        return self.limit - self.scale * np.asarray(n, dtype=float) ** -self.exponent


def _lines(n: np.ndarray, scores: np.ndarray, exponent: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return limit, scale and squared error (E, curves) of `scores` (curves, N), for E exponents.

    Each is the least-squares line of the scores over n^(−b).
    """
    x = n ** -exponent[:, None]
    centred = x - x.mean(1, keepdims=True)
    mean = scores.mean(1)
    slope = (centred / (centred**2).sum(1, keepdims=True)) @ scores.T
    error = ((scores.T - mean) ** 2).sum(0) - slope**2 * (centred**2).sum(1, keepdims=True)
    return mean - slope * x.mean(1, keepdims=True), -slope, error


def _nearest(n: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return limit, scale and exponent of the power law nearest to each of `scores` (curves, N)."""
    limit, scale, error = _lines(n, scores, EXPONENTS)
    best = error.argmin(0)
    curve = np.arange(len(scores))
    return limit[best, curve], scale[best, curve], EXPONENTS[best]


def power_law(n: ArrayLike, scores: ArrayLike, resamples: int = 1000, seed: int = 0) -> PowerLaw:
    """Fit the power law to the mean over images of `scores`.

    Args:
        n: numbers of observers (N,), ascending.
        scores: (images, N), the score of each image when n observers predict; images with a NaN
            are left out.
        resamples: of the images, for the interval (percentile bootstrap).
        seed: of the resamples.

    With fewer than three numbers or no complete image, all is NaN, and nothing determined.
    """
    try:
        from ..intervals import bounds, resampled  # which want pandas, as no other metric does
    except ModuleNotFoundError as error:
        raise lacking(error, "power_law") from error

    n, scores = np.asarray(n, dtype=float), np.asarray(scores, dtype=float)
    scores = scores[~np.isnan(scores).any(1)]
    if len(n) < 3 or not len(scores):
        return PowerLaw(*[np.nan] * 5, determined=False)
    drawn = resampled(len(scores), resamples, seed)[1:]
    mean = scores.mean(0)
    ends = _nearest(n, scores[drawn].mean(1))[0]
    limit, scale, exponent = (float(found[0]) for found in _nearest(n, mean[None]))
    low, high = map(float, bounds(ends))
    free = EXPONENTS[0] < exponent < EXPONENTS[-1]
    sure = high - low < abs(mean[-1] - mean[0])
    determined = bool(len(n) >= 4 and len(scores) >= 2 and free and sure)
    return PowerLaw(limit, scale, exponent, low, high, determined)


def limits(n: ArrayLike, scores: ArrayLike, law: PowerLaw) -> np.ndarray:
    """Return the score of each image (images,) with infinitely many observers.

    All images share the exponent of `law`, so that the mean over complete images is its limit.
    """
    n, exponent = np.asarray(n, dtype=float), np.array([law.exponent])
    return _lines(n, np.asarray(scores, dtype=float), exponent)[0][0]
