"""What can be said of a dissection, with intervals: bootstrap over images, top units, change.

Images are resampled, not regions: regions of one image share its activations and its observers, so
they are not independent. Intervals are percentile intervals (Efron & Tibshirani 1993, chapter 13)
for the images that have regions, at the `LEVEL` given; a category that a resample leaves without
regions is left out of that resample.

Two ways of choosing the k best units of a category:

- "same": they are chosen on the images they are scored on, as He et al. (CVPR 2019) do. The best of
  many noisy numbers is too high, so this is optimistic, most of all for categories with few images.
  The interval keeps the chosen units fixed: it says how far *their* mean may be off, and does not
  undo the optimism.
- "crossfit": they are chosen on one half of the images and scored on the other, both ways round,
  averaged over `SPLITS` random halvings. It estimates what the chosen units do on new images, and
  is slightly low, since half the images choose less well than all of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..intervals import bounds, image_weights, with_own
from ..registry import check_name
from .result import Dissection

SPLITS = 10
MIN_IMAGES = 5  # a category seen on fewer has no top mean: resampling them would feign certainty
CHUNK = 1 << 24  # resampled numbers held at a time
SELECTIONS = ("same", "crossfit")


class Interval(NamedTuple):
    """`value` with the bounds of its interval: three tables of one shape."""

    value: pd.DataFrame
    low: pd.DataFrame
    high: pd.DataFrame


@dataclass(frozen=True)
class ImageSums:
    """Region scores summed by category and image: `total` (K, I, C), `count` (K, I), float32."""

    images: list[str]
    categories: tuple[str, ...]
    total: Tensor
    count: Tensor

    @classmethod
    def of(cls, res: Dissection, layer: str) -> "ImageSums":
        """Sum the scores of `layer`."""
        code, images = pd.factorize(res.regions["image"])
        n_images, n_categories = len(images), len(res.categories)
        group = res.codes() * n_images + torch.tensor(code, dtype=torch.long)
        total, count = res.sums(layer, group, n_categories * n_images)
        total = total.float().view(n_categories, n_images, -1)
        return cls(list(images), res.categories, total, count.float().view(n_categories, n_images))

    def mean(
        self,
        c: int,
        weights: Tensor,
        units: Tensor | slice = slice(None),
        images: Tensor | slice = slice(None),
    ) -> Tensor:
        """Return S (n, units) of category `c` under weights (n, images); NaN where none weighs."""
        total, count = self.total[c][images][:, units], self.count[c][images]
        return weights @ total / (weights @ count)[:, None]


def bootstrap(
    res: Dissection,
    layer: str,
    statistic: Callable[[Tensor], Tensor] | None = None,
    n: int = 1000,
    seed: int = 0,
) -> Interval:
    """Return value and interval of selectivity S, or of a statistic of it, by category.

    statistic: maps selectivities (n, C) of one category to (n,) or (n, m); None is S itself. Each
    table is categories × units (or × m). Peak memory: some hundred MB.
    """
    sums = ImageSums.of(res, layer)
    weights = image_weights(len(sums.images), n, seed)
    everything = torch.ones(1, len(sums.images))
    rows = [_category(sums, c, everything, weights, statistic) for c in range(len(sums.count))]
    index = pd.Index(sums.categories, name="category")
    return Interval(*(pd.DataFrame(torch.stack(r).numpy(), index=index) for r in zip(*rows)))  # noqa: B905


def _category(
    sums: ImageSums, c: int, everything: Tensor, weights: Tensor, statistic: Callable | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Value, low and high end (m,) for one category."""
    if statistic is not None:
        value, draws = (
            statistic(sums.mean(c, w)).view(len(w), -1).float() for w in (everything, weights)
        )
        return value[0], *bounds(draws)
    value = sums.mean(c, everything)[0]
    units = torch.arange(sums.total.shape[2]).split(max(1, CHUNK // len(weights)))
    ends = [bounds(sums.mean(c, weights, part)) for part in units]
    return value, torch.cat([low for low, _ in ends]), torch.cat([high for _, high in ends])


def top_mean(
    res: Dissection,
    layer: str,
    k: int = 10,
    *,
    selection: str = "same",
    n: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Return mean selectivity of each category's `k` best units: category, mean, low, high.

    `selection`: how units are chosen, "same" or "crossfit" (see the module).
    """
    sums = ImageSums.of(res, layer)
    weights = image_weights(len(sums.images), n, seed)
    value, draws = top_draws(sums, k, selection, weights, seed)
    low, high = bounds(draws)
    columns = {"category": sums.categories, "mean": value, "low": low, "high": high}
    return pd.DataFrame(columns)


def top_draws(
    sums: ImageSums, k: int, selection: str, weights: Tensor, seed: int
) -> tuple[Tensor, Tensor]:
    """Return top means (K,) and their draws (n, K); NaN for a category on few images."""
    check_name("selection", selection, SELECTIONS)
    if k < 1:
        raise ValueError(f"k is {k}; at least one unit must be chosen")
    k = min(k, sums.total.shape[2])
    folds = _folds(len(sums.images), selection, seed)
    weights = with_own(weights)
    draws = torch.stack([_top(sums, c, k, *folds, weights) for c in range(len(sums.count))], 1)
    draws[:, (sums.count > 0).sum(1) < MIN_IMAGES] = torch.nan
    return draws[0], draws[1:]


def _folds(n_images: int, selection: str, seed: int) -> tuple[Tensor, Tensor]:
    """0/1 weights (folds, I): which images choose units, and which score them."""
    if selection == "same":
        return torch.ones(1, n_images), torch.ones(1, n_images)
    random, halves = torch.Generator().manual_seed(seed), torch.zeros(SPLITS, n_images)
    for half in halves:
        half[torch.randperm(n_images, generator=random)[: n_images // 2]] = 1
    chosen = torch.stack([halves, 1 - halves], 1).flatten(0, 1)
    return chosen, 1 - chosen


def _top(sums: ImageSums, c: int, k: int, choose: Tensor, score: Tensor, weights: Tensor) -> Tensor:
    """Mean over folds (n,) of the chosen units' selectivity under each row of `weights`.

    The chosen units are averaged in each image before images are weighed: the same, and less work.
    """
    selectivity = sums.mean(c, choose)
    shown = ~selectivity.isnan().all(1)  # else no region of the category is in this half
    if not shown.any():
        return torch.full((len(weights),), torch.nan)
    best = selectivity[shown].nan_to_num(-torch.inf).topk(k).indices
    scored = score[shown].T
    total = sums.total[c][:, best].mean(2) * scored
    return (weights @ total / (weights @ (sums.count[c][:, None] * scored))).nanmean(1)


def counts_above(
    res: Dissection, layer: str, thresholds: float | Sequence[float] = 1.5
) -> pd.DataFrame:
    """Return how many units have S > T, categories × thresholds (int; 1.5 is the paper's T)."""
    selectivity = res.selectivity(layer)
    counts = {float(t): (selectivity > t).sum(axis=1) for t in np.atleast_1d(thresholds)}
    return pd.DataFrame(counts).rename_axis(columns="threshold")


def change(
    before: Dissection,
    after: Dissection,
    layer: str,
    k: int = 10,
    *,
    selection: str = "same",
    n: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Return category, before, after, difference of top means, with intervals *_low, *_high.

    Units are chosen anew in each of the two, as in the paper; images are resampled alike in both,
    so the difference is a paired one. Raises ValueError unless both saw the same regions.
    """
    values, draws = paired_draws(before, after, layer, k, selection, n, seed)
    columns: dict[str, object] = {"category": before.categories}
    for name in values:
        low, high = bounds(draws[name])
        columns |= {name: values[name], f"{name}_low": low, f"{name}_high": high}
    return pd.DataFrame(columns)


def paired_draws(
    before: Dissection,
    after: Dissection,
    layer: str,
    k: int,
    selection: str,
    n: int,
    seed: int,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Top means before, after and their difference, and the same of the draws."""
    if before.categories != after.categories or not before.regions.equals(after.regions):
        raise ValueError(
            "before and after were not dissected on the same regions; dissect both encoders on "
            "one data set, or take `subset` of the images they share"
        )
    both = [ImageSums.of(res, layer) for res in (before, after)]
    weights = image_weights(len(both[0].images), n, seed)
    (old, old_draws), (new, new_draws) = (
        top_draws(sums, k, selection, weights, seed) for sums in both
    )
    values = {"before": old, "after": new, "difference": new - old}
    draws = {"before": old_draws, "after": new_draws, "difference": new_draws - old_draws}
    return values, draws
