"""Areas under the ROC curve: how well a map's values tell fixated from other pixels.

All are computed from ranks, without drawing a curve. Only their negatives differ: all pixels
(`auc`), all unfixated pixels (`auc_judd`), random pixels (`auc_borji`), pixels fixated in other
images (`auc_shuffled`, `auc_shuffled_exact`).

`auc_borji` and `auc_shuffled` are what the MIT benchmark samples. Its code stretches the map to
0…1, draws 100 times as many negatives as there are fixations, puts thresholds at 0, 0.1 … 1 and
averages the 100 areas. The area of a curve with fixed thresholds is linear in the negatives: a
negative between thresholds t_b and t_b+1 adds the mean of the curve's two heights there. So the
average over draws needs only how many of all the draws fall into each of the eleven bins, and no
draw has to be looked up in the map.

How many fall into each bin is drawn systematically: the draws are spaced evenly over the negatives
in order of their values, and the seed decides where the first one lies. Each negative is as likely
to be drawn as in the benchmark's code, so the expected score is the same, but the score hardly
varies with the seed, where the benchmark's varies by 0.002 to 0.04.
"""

import torch
from torch import Tensor

from .maps import Counts, Maps, score
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
def auc(saliency: Maps, fixations: Counts) -> Tensor:
    """Exact area under the ROC curve of all fixations against all pixels.

    AUC = mean over fixations i and pixels p of [s_i > s_p] + ½ [s_i = s_p]: the probability that
    the map is higher at a fixation than at a random pixel, ties decided by a coin. Counts weigh.

    Unit: area. Range: 0…1, ½ for chance and for a constant map; at most 1 − 1/2N for one fixation,
    since its own pixel is among the negatives. Only the order of the map's values matters, so they
    may be infinite. Without a fixation, or with a NaN in the map, NaN.

    Args:
        saliency: map (H, W) or (B, H, W), tensor or array, any scale.
        fixations: count map of the same size, or coordinates y, x: see `maps.Counts`.

    Returns:
        float64 scalar tensor or (B,).

    Raises:
        ValueError: sizes differ, or counts are none: negative, NaN, fractions.

    Source: Green & Swets 1966; with all pixels as negatives ("uniform") as in pysaliency's AUC.
    """
    return score(_auc_rows, saliency=saliency, fixations=fixations)


def _judd_rows(saliency: Rows, fixations: Rows) -> Tensor:
    count, values = where_looked(fixations, saliency.values, fill=-torch.inf)
    values = values.masked_fill(values.isnan(), 0.0)  # that map has no score; the others do
    values = torch.where(count > 0, values, values.amax(-1, keepdim=True))  # no threshold more
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
def auc_judd(saliency: Maps, fixations: Counts) -> Tensor:
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
        fixations: count map of the same size, or coordinates y, x: see `maps.Counts`.

    Returns:
        float64 scalar tensor or (B,).

    Raises:
        ValueError: sizes differ, or counts are none: negative, NaN, fractions.

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
def auc_shuffled_exact(saliency: Maps, fixations: Counts, other: Counts) -> Tensor:
    """Shuffled AUC, exactly: all fixations against all fixations on other images.

    As `auc`, with the pixels in `other` as negatives, each weighing by its count: what all
    observers do on any image, such as looking at its middle, earns nothing. No thresholds, no
    random draws; ties count half.

    Unit: area. Range: 0…1, ½ for chance and for a constant map. Without a fixation, without one in
    `other`, or with a NaN in the map: NaN.

    Args:
        saliency: map (H, W) or (B, H, W), tensor or array, any scale.
        fixations: count map of the same size, or coordinates y, x: see `maps.Counts`.
        other: fixations on other images, scaled to this image's size, in the same way.

    Returns:
        float64 scalar tensor or (B,).

    Raises:
        ValueError: sizes differ, or counts are none: negative, NaN, fractions.

    Source: Tatler, Baddeley & Gilchrist 2005, Vision Research 45, 643–659; as in pysaliency's AUC
    with shuffled nonfixations.
    """
    return score(_shuffled_exact_rows, saliency=saliency, fixations=fixations, other=other)


def _at_least(rows: Tensor, thresholds: Tensor, weights: Tensor | None = None) -> Tensor:
    """Weight of the values ≥ each of K thresholds: (B, K + 1), the last being 0."""
    above = (rows >= t for t in thresholds)
    tails = [a.sum(-1).double() if weights is None else (a * weights).sum(-1) for a in above]
    return torch.stack([*tails, torch.zeros_like(tails[0])], -1)


def _stretched(rows: Rows) -> Tensor:
    """Rows stretched to 0…1, float64. A constant row becomes NaN, as does one that holds NaN."""
    low, high = rows.low.double(), rows.high.double()
    return (rows.values.double() - low).div_(high - low)


def _thresholds(rows: Tensor, step: float) -> Tensor:
    if not 0 < step <= 1:
        raise ValueError(f"step between thresholds must be in (0, 1], not {step}")
    k = int(1 / step + 1e-9)
    return step * torch.arange(k + 1, dtype=rows.dtype, device=rows.device)


def _offset(seed: int) -> float:
    return float(torch.rand((), generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def _sampled_area(hits: Tensor, negatives: Tensor, draws: Tensor, seed: int) -> Tensor:
    """Mean area when `draws` (B,) of the negatives are drawn.

    `hits` and `negatives` (B, K + 1) hold how much weight lies at or above each threshold.
    """
    rate = hits / hits[:, :1]
    total = negatives[:, :1]
    drawn = (negatives * draws[:, None] / total - _offset(seed)).ceil().clamp(min=0)
    heights = (rate[:, :-1] + rate[:, 1:]) / 2
    return ((drawn[:, :-1] - drawn[:, 1:]) * heights).sum(-1) / drawn[:, 0]


@metric("fixations", label="AUC-Borji", unit="area")
def auc_borji(
    saliency: Maps, fixations: Counts, seed: int = 0, splits: int = 100, step: float = 0.1
) -> Tensor:
    """AUC-Borji: ROC of fixations against as many random pixels, averaged over `splits` draws.

    The map is stretched to 0…1; the negatives are n pixels drawn with replacement from all pixels,
    n being the number of fixations; the thresholds are 0, `step`, 2 `step` … 1, and the curve is
    straight between them, so whatever lies between two thresholds ties. The MIT benchmark's
    definition; the draws are systematic (see this module), so a seed's score lies much closer to
    the expected one than the benchmark's own, and maps of a batch share them, so that each scores
    the same alone.

    Unit: area. Range: 0…1, ½ for chance. With fewer than two fixations, for a constant map or with
    a NaN or an infinite value in the map: NaN, as in the benchmark's code.

    Args:
        saliency: map (H, W) or (B, H, W), tensor or array, any scale.
        fixations: count map of the same size, or coordinates y, x: see `maps.Counts`.
        seed: of the draws.
        splits: number of times that n negatives are drawn.
        step: between thresholds.

    Returns:
        float64 scalar tensor or (B,).

    Raises:
        ValueError: sizes differ, counts are none (negative, NaN, fractions), or `step` is not in
            (0, 1].

    Source: Borji, Tavakoli, Sihite & Itti 2013, ICCV; Bylinskii et al. 2019, IEEE TPAMI 41.
    """

    def rows(saliency: Rows, fixations: Rows) -> Tensor:
        u = _stretched(saliency)
        t = _thresholds(u, step)
        count, values = where_looked(fixations, u, fill=-1.0)
        n = count.sum(-1)
        area = _sampled_area(_at_least(values, t, count), _at_least(u, t), splits * n, seed)
        return nan_where((n <= 1) | saliency.constant | ~saliency.finite, area)

    return score(rows, saliency=saliency, fixations=fixations)


@metric("fixations", "other", label="sAUC (sampled)", unit="area")
def auc_shuffled(
    saliency: Maps,
    fixations: Counts,
    other: Counts,
    seed: int = 0,
    splits: int = 100,
    step: float = 0.1,
) -> Tensor:
    """Shuffled AUC as the MIT benchmark samples it; `auc_shuffled_exact` is the one to prefer.

    As `auc_borji`, but the negatives are min(n, m) of the m pixels fixated in other images, drawn
    without replacement, each pixel once however often it was fixated. If m ≤ n, all of them are
    taken and the score does not depend on the seed.

    Unit: area. Range: 0…1, ½ for chance. Without a fixation, without one in `other`, for a constant
    map or with a NaN or an infinite value in the map: NaN.

    Args:
        saliency: map (H, W) or (B, H, W), tensor or array, any scale.
        fixations: count map of the same size, or coordinates y, x: see `maps.Counts`.
        other: fixations on other images (the benchmark: ten), scaled to this size, likewise.
        seed: of the draws.
        splits: number of times that negatives are drawn.
        step: between thresholds.

    Returns:
        float64 scalar tensor or (B,).

    Raises:
        ValueError: sizes differ, counts are none (negative, NaN, fractions), or `step` is not in
            (0, 1].

    Source: Zhang, Tong, Marks, Shan & Cottrell 2008, Journal of Vision 8(7):32; Bylinskii et al.
    2019, IEEE TPAMI 41.
    """

    def rows(saliency: Rows, fixations: Rows, other: Rows) -> Tensor:
        u = _stretched(saliency)
        t = _thresholds(u, step)
        count, values = where_looked(fixations, u, fill=-1.0)
        weight, negatives = where_looked(Rows((other.values > 0).double()), u, fill=-1.0)
        draws = splits * torch.minimum(count.sum(-1), weight.sum(-1))
        tails = _at_least(values, t, count), _at_least(negatives, t, weight)
        none = saliency.constant | ~saliency.finite
        return nan_where(none, _sampled_area(*tails, draws, seed))

    return score(rows, saliency=saliency, fixations=fixations, other=other)
