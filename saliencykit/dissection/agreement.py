"""Where IoU (Network Dissection) and region NSS name the same units, with intervals over units.

An IoU is a ratio of areas summed over all images, so here units are resampled, not images: the
question is whether two ways of ranking a layer's units agree, on the images that there are.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from .carried import rank_correlation
from .groups import common
from .overlap import Overlap
from .result import Dissection
from .statistics import LEVEL


class Labels(NamedTuple):
    """Each live unit's best category by either measure, names (units,)."""

    nss: np.ndarray
    iou: np.ndarray


def method_agreement(
    over: Overlap, res: Dissection, layer: str, n: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Return category, rho, low, high, by_nss, by_iou, by_both.

    rho: Spearman's correlation over units of IoU and selectivity, as `rank_agreement`; by_*: of how
    many units the category is the best by region NSS, by IoU, by both. Only categories with fixated
    regions on `MIN_IMAGES` images or more take part.
    """
    iou, selectivity = _tables(over, res, layer)
    labels = _labels(iou, selectivity)
    drawn = _resampled(iou.shape[1], n, seed)
    rows = []
    for c in iou.index:
        x, y = iou.loc[c].to_numpy(), selectivity.loc[c].to_numpy()
        low, high = _ends(rank_correlation(x[drawn[1:]], y[drawn[1:]]))
        rho = float(rank_correlation(x[None], y[None])[0])
        ours, theirs = labels.nss == c, labels.iou == c
        rows.append((c, rho, low, high, ours.sum(), theirs.sum(), (ours & theirs).sum()))
    columns = ["category", "rho", "low", "high", "by_nss", "by_iou", "by_both"]
    return pd.DataFrame(rows, columns=columns)


def same_labels(
    over: Overlap, res: Dissection, layer: str, n: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Return measure, value, low, high: on how many units both measures' best categories agree.

    "share" of the units that meet any category, in [0, 1]; "chance", the share that the labels'
    frequencies alone would bring; "kappa", Cohen's, (share − chance) / (1 − chance).
    """
    labels = _labels(*_tables(over, res, layer))
    drawn = _resampled(len(labels.nss), n, seed)
    ours, theirs = labels.nss[drawn], labels.iou[drawn]
    share = (ours == theirs).mean(1)
    chance = sum(
        (ours == c).mean(1) * (theirs == c).mean(1) for c in np.unique(np.concatenate(labels))
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        kappa = np.where(chance < 1, (share - chance) / (1 - chance), np.nan)
    found = {"share": share, "chance": chance, "kappa": kappa}
    rows = [(name, draws[0], *_ends(draws[1:])) for name, draws in found.items()]
    return pd.DataFrame(rows, columns=["measure", "value", "low", "high"])


def _tables(over: Overlap, res: Dissection, layer: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    if over.categories != tuple(res.categories):
        raise ValueError("overlap and dissection know different categories; use one data set")
    names = common(res)
    return over.of(layer).loc[names], res.selectivity(layer).loc[names]


def _labels(iou: pd.DataFrame, selectivity: pd.DataFrame) -> Labels:
    alive = iou.max() > 0
    ours, theirs = (table.loc[:, alive].idxmax().to_numpy(str) for table in (selectivity, iou))
    return Labels(ours, theirs)


def _resampled(units: int, n: int, seed: int) -> np.ndarray:
    """Indices (1 + n, units): all of them, then `n` bootstrap resamples."""
    drawn = np.random.default_rng(seed).integers(units, size=(n, units))
    return np.concatenate([np.arange(units)[None], drawn])


def _ends(draws: np.ndarray) -> tuple[float, float]:
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail])
    return float(low), float(high)
