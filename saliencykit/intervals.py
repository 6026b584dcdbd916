"""Every interval, p-value and correction there is: the one floor of statistics. Pure functions."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from scipy import stats
from scipy.stats import false_discovery_control, rankdata
from torch import Tensor

LEVEL = 0.95


def interval(values: Sequence[float], seed: int = 0, n: int = 2000) -> tuple[float, float, float]:
    """Return mean and 95 % percentile-bootstrap interval over images; NaNs are left out."""
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    if len(values) < 2:
        mean = float(values.mean()) if len(values) else float("nan")
        return mean, float("nan"), float("nan")
    found = stats.bootstrap(
        (values,), np.mean, n_resamples=n, method="percentile", random_state=seed
    ).confidence_interval
    return float(values.mean()), float(found.low), float(found.high)


def _sign_flips(gaps: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Two-sided p-values (P,) that the means over rows of `gaps` (I, P) are 0."""
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (n, len(gaps)))
    beyond = np.abs(signs @ gaps) >= np.abs(gaps.sum(0)) - 1e-9
    return (1 + beyond.sum(0)) / (1 + n)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlation (…) of arrays (…, n), pairs with a NaN left out.

    NaN where fewer than three pairs are left, or one side is constant.
    """
    first, second = np.broadcast_arrays(np.asarray(first, float), np.asarray(second, float))
    missing = np.isnan(first) | np.isnan(second)
    a, b = (
        rankdata(np.where(missing, np.nan, v), axis=-1, nan_policy="omit") for v in (first, second)
    )
    a, b = (np.nan_to_num(v - np.nanmean(v, -1, keepdims=True)) for v in (a, b))
    square = np.square(a).sum(-1) * np.square(b).sum(-1)
    told = ((~missing).sum(-1) >= 3) & (square > 0)
    return np.where(told, (a * b).sum(-1) / np.sqrt(np.where(told, square, 1)), np.nan)


@lru_cache(maxsize=8)
def image_weights(n_images: int, n: int, seed: int) -> Tensor:
    """Return (n, I) float32: how often each image is drawn in each of `n` bootstrap resamples.

    Kept for the next call: not to be changed in place.
    """
    random = np.random.default_rng(seed)
    drawn = random.multinomial(n_images, np.full(n_images, 1 / n_images), size=n)
    return torch.tensor(drawn, dtype=torch.float32)


def bounds(draws: Tensor, level: float = LEVEL) -> tuple[Tensor, Tensor]:
    """Return the ends (…) of the percentile interval of draws (n, …), NaN draws left out."""
    tail = (1 - level) / 2
    at = torch.tensor([tail, 1 - tail], dtype=draws.dtype)
    low, high = torch.nanquantile(draws, at, dim=0)
    return low, high


def with_mean(draws: Tensor) -> Tensor:
    """Add to draws (n, m) a last column, the mean of the others that are not NaN."""
    return torch.cat([draws, draws.nanmean(1, keepdim=True)], 1)


def summarised(draws: Tensor) -> dict[str, Tensor]:
    """Return value, low and high (m,) of draws (1 + n, m), the data's own first."""
    low, high = bounds(draws[1:])
    return {"value": draws[0], "low": low, "high": high}


def with_own(weights: Tensor) -> Tensor:
    """Put the data as they are before the resamples (n, I)."""
    return torch.cat([torch.ones(1, weights.shape[1]), weights])


def adjusted(p: Tensor) -> Tensor:
    """Benjamini–Hochberg adjustment of p-values of any shape, over all that are not NaN.

    Smallest possible result with K permutations and m tests of which i are at the minimum:
    m / (i (K + 1)), so a lone unit needs K of 20 m to pass at 0.05, but units in numbers need few.
    """
    tested = ~p.isnan()
    result = torch.full_like(p, torch.nan)
    if tested.any():
        values = false_discovery_control(p[tested].double().numpy())
        result[tested] = torch.from_numpy(values).to(p)
    return result


def tail_p(draws: Tensor) -> Tensor:
    """Return (…): twice the smaller share of draws (n, …) on either side of 0, at least 2/(n+1)."""
    sides = torch.stack([(draws <= 0).sum(0), (draws >= 0).sum(0)])
    return (2 * (1 + sides.amin(0)) / (1 + len(draws))).clamp(max=1)


def adjusted_p(p: pd.Series) -> pd.Series:
    """Adjust p-values by Benjamini–Hochberg, NaNs left out."""
    told = p[p.notna()]
    return pd.Series(false_discovery_control(told), told.index).reindex(p.index)
