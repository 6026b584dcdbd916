"""Areas under the ROC curve: how well a map's values tell fixated from other pixels.

All are computed from ranks, without drawing a curve. Only their negatives differ: all pixels
(`auc`), all unfixated pixels (`auc_judd`), random pixels (`auc_borji`), pixels fixated in other
images (`auc_shuffled`, `auc_shuffled_exact`).
"""

import torch
from torch import Tensor

from .maps import Maps, score
from .rows import Rows, dot, nan_where, sort_rows, where_looked
from .table import metric


def _below(ordered: Tensor, values: Tensor, equal: bool = False) -> Tensor:
    """How many of `ordered` (B, N) lie below (or at most at) each of `values` (B, F)."""
    return torch.searchsorted(ordered, values.contiguous(), right=equal)


def _auc_rows(saliency: Rows, fixations: Rows) -> Tensor:
    count, values = where_looked(fixations, saliency.values, fill=torch.inf)
    ordered = sort_rows(saliency.values)
    twice = _below(ordered, values) + _below(ordered, values, equal=True)  # ties count half
    area = dot(count, twice.double() / 2) / (count.sum(-1) * saliency.n)
    return nan_where(ordered[:, -1].isnan(), area)


@metric("fixations", label="AUC", unit="area")
def auc(saliency: Maps, fixations: Maps) -> Tensor:
    """Exact area under the ROC curve of all fixations against all pixels.

    AUC = mean over fixations i and pixels p of [s_i > s_p] + ½ [s_i = s_p]: the probability that
    the map is higher at a fixation than at a random pixel, ties decided by a coin. Counts weigh.

    Unit: area. Range: 0…1, ½ for chance and for a constant map; at most 1 − 1/2N for one fixation,
    since its own pixel is among the negatives. Only the order of the map's values matters. Without
    a fixation, or with a NaN in the map, NaN.

    Args:
        saliency: map (H, W) or (B, H, W), tensor or array, any scale.
        fixations: count map of the same size.

    Returns:
        float64 scalar tensor or (B,).

    Raises:
        ValueError: sizes differ, or counts are negative or NaN.

    Source: Green & Swets 1966; with all pixels as negatives ("uniform") as in pysaliency's AUC.
    """
    return score(_auc_rows, saliency=saliency, fixations=fixations)


def _judd_rows(saliency: Rows, fixations: Rows) -> Tensor:
    count, values = where_looked(fixations, saliency.values, fill=torch.inf)
    values, order = values.sort(-1)
    count = count.gather(-1, order)
    n, fixated = count.sum(-1, keepdim=True), (count > 0).sum(-1, keepdim=True)
    first = torch.searchsorted(values, values)  # first of the fixations tied with each one
    hits = 1 - (count.cumsum(-1) - count).gather(-1, first) / n
    ordered = sort_rows(saliency.values)
    # unfixated pixels below a value = all below it − fixated ones below it
    unfixated = saliency.n - fixated
    alarms = 1 - (_below(ordered, values) - first).double() / unfixated
    ends = torch.ones_like(n), torch.zeros_like(n)
    hits, alarms = (torch.cat([ends[0], curve, ends[1]], -1) for curve in (hits, alarms))
    area = -torch.trapezoid(hits, alarms, dim=-1)
    empty = (n == 0) | (unfixated == 0)
    return nan_where(empty.squeeze(-1) | ordered[:, -1].isnan(), area)


@metric("fixations", label="AUC-Judd", unit="area")
def auc_judd(saliency: Maps, fixations: Maps) -> Tensor:
    """AUC-Judd: ROC of fixations against unfixated pixels, thresholds at the fixations' values.

    The curve passes (0, 0), then for each fixation's value t, from the highest down, the point
    (share of unfixated pixels ≥ t, share of fixations ≥ t), then (1, 1); straight lines between.
    Because no threshold lies between two fixations' values, the unfixated pixels there count half
    for the lower fixation: with few fixations the score is higher than the exact area (with one
    fixation, 1 − half its false alarm rate). Counts weigh; a pixel fixated twice is no negative.

    It equals the MIT benchmark's AUC_Judd without jitter if no two fixations tie. If some do, that
    code lets the curve run backwards within the tie and comes out far too low (or adds random
    jitter against it); here tied fixations are one point of the curve, as in pysaliency's
    AUC_Judd without jitter.

    Unit: area. Range: 0…1; a constant map scores ½ (NaN in the benchmark's code). Without a
    fixation, without an unfixated pixel, or with a NaN in the map: NaN.

    Args:
        saliency: map (H, W) or (B, H, W), tensor or array, any scale.
        fixations: count map of the same size.

    Returns:
        float64 scalar tensor or (B,).

    Raises:
        ValueError: sizes differ, or counts are negative or NaN.

    Source: Judd, Ehinger, Durand & Torralba 2009, ICCV; Riche et al. 2013, ICCV.
    """
    return score(_judd_rows, saliency=saliency, fixations=fixations)


def _shuffled_exact_rows(saliency: Rows, fixations: Rows, other: Rows) -> Tensor:
    count, values = where_looked(fixations, saliency.values, fill=torch.inf)
    weight, negatives = where_looked(other, saliency.values, fill=torch.inf)
    negatives, order = negatives.sort(-1)
    until = torch.nn.functional.pad(weight.gather(-1, order).cumsum(-1), (1, 0))
    below, upto = (until.gather(-1, _below(negatives, values, equal=e)) for e in (False, True))
    area = dot(count, (below + upto) / 2) / (count.sum(-1) * weight.sum(-1))
    return nan_where(saliency.values.isnan().any(-1), area)


@metric("fixations", "other", label="sAUC", unit="area")
def auc_shuffled_exact(saliency: Maps, fixations: Maps, other: Maps) -> Tensor:
    """Shuffled AUC, exactly: all fixations against all fixations on other images.

    As `auc`, with the pixels in `other` as negatives, each weighing by its count: what all
    observers do on any image, such as looking at its middle, earns nothing. No thresholds, no
    random draws; ties count half.

    Unit: area. Range: 0…1, ½ for chance and for a constant map. Without a fixation, without one in
    `other`, or with a NaN in the map: NaN.

    Args:
        saliency: map (H, W) or (B, H, W), tensor or array, any scale.
        fixations: count map of the same size.
        other: count map of fixations on other images, scaled to this image's size.

    Returns:
        float64 scalar tensor or (B,).

    Raises:
        ValueError: sizes differ, or counts are negative or NaN.

    Source: Tatler, Baddeley & Gilchrist 2005, Vision Research 45, 643–659; as in pysaliency's AUC
    with shuffled nonfixations.
    """
    return score(_shuffled_exact_rows, saliency=saliency, fixations=fixations, other=other)
