"""Two ways to name units, by region NSS and by IoU: do they agree, over trainings?

What is said of units in general resamples units, alike in all trainings, whose units all come from
one encoder's.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..intervals import rank_correlation, resampled
from .overlap import Overlap
from .result import Dissection
from .trainings import OverTrainings

UNIT_DRAWS = 400  # resamples of units: ranks are sorted anew in each, so they are dear


def of_units(over: OverTrainings, **columns: object) -> pd.DataFrame:
    """Return the table of correlations whose draws are of units."""
    table = over.table(together=len(over.categories) > 1, **columns)
    table[["low", "high"]] = table[["low", "high"]].clip(-1, 1)
    return table.rename(columns={"se_images": "se_units"})


class Labels(NamedTuple):
    """Each unit's best category by either measure, names (units,); "" of those that meet none."""

    nss: np.ndarray
    iou: np.ndarray


def method_agreement(
    both: Sequence[tuple[Overlap, Dissection]],
    layer: str,
    categories: Sequence[str],
    n: int = UNIT_DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """Return category, value, low, high, se_units, sd_trainings … by_nss, by_iou, by_both.

    both: of each training. value: Spearman's correlation over units of IoU and selectivity, its
    interval over units, alike in all trainings, and trainings, together over categories; by_*: of
    how many units the category is the best by region NSS, by IoU, by both, mean over trainings.
    """
    rho, counts = [], []
    for over, res in both:
        iou, selectivity = (t.to_numpy() for t in _tables(over, res, layer, categories))
        drawn = resampled(iou.shape[1], n, seed)
        pairs = zip(iou, selectivity, strict=True)
        rho.append(np.stack([rank_correlation(x[drawn], y[drawn]) for x, y in pairs], 1))
        labels = _labels(over, res, layer, categories)
        found = [(labels.nss == c, labels.iou == c) for c in categories]
        counts.append([(ours.sum(), theirs.sum(), (ours & theirs).sum()) for ours, theirs in found])
    units = np.full(len(categories), both[0][1].of(layer).shape[1])
    table = of_units(OverTrainings(np.stack(rho), tuple(categories), units, ()))
    table[["by_nss", "by_iou", "by_both"]] = np.mean(counts, 0)
    return table


def same_labels(
    both: Sequence[tuple[Overlap, Dissection]],
    layer: str,
    categories: Sequence[str],
    n: int = UNIT_DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """Return measure, value, low, high …: on how many units both measures' best categories agree.

    "share" of the units that meet any category, in [0, 1]; "chance", the share that the labels'
    frequencies alone would bring; "kappa", Cohen's, (share − chance) / (1 − chance). Intervals are
    over units, alike in all trainings, and trainings.
    """
    values, fewest = [], np.inf
    for over, res in both:
        labels = _labels(over, res, layer, categories)
        drawn = resampled(len(labels.nss), n, seed)
        alive = (labels.iou != "")[drawn]
        ours, theirs = labels.nss[drawn], labels.iou[drawn]
        fewest = min(fewest, alive[0].sum())
        with np.errstate(invalid="ignore", divide="ignore"):
            share = _share(ours == theirs, alive)
            chance = sum(_share(ours == c, alive) * _share(theirs == c, alive) for c in categories)
            kappa = np.where(chance < 1, (share - chance) / (1 - chance), np.nan)
        values.append(np.stack([share, chance, kappa], 1))
    names = ("share", "chance", "kappa")
    table = OverTrainings(np.stack(values), names, np.full(3, fewest), ()).table()
    return table.rename(columns={"category": "measure", "se_images": "se_units"})


def _share(those: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Share (…) of the last axis' entries `of` which are among `those`."""
    return (those & of).sum(-1) / of.sum(-1)


def _tables(
    over: Overlap, res: Dissection, layer: str, categories: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    if over.categories != tuple(res.categories):
        raise ValueError("overlap and dissection know different categories; use one data set")
    names = list(categories)
    return over.of(layer).loc[names], res.selectivity(layer).loc[names]


def _labels(over: Overlap, res: Dissection, layer: str, categories: Sequence[str]) -> Labels:
    iou, selectivity = _tables(over, res, layer, categories)
    alive = (iou.max() > 0).to_numpy()
    best = (table.idxmax().to_numpy(str) for table in (selectivity, iou))
    return Labels(*(np.where(alive, own, "") for own in best))
