"""Metrics that read a map's values at the fixations: NSS and information gain."""

from typing import Literal

from torch import Tensor

from ..registry import check_name
from .distribution import EPS, FLOOR
from .maps import Counts, Maps, score
from .rows import Rows, dot, nan_where, where_looked
from .table import metric


def _nss_rows(saliency: Rows, fixations: Rows) -> Tensor:
    count, values = where_looked(fixations, saliency.values, fill=0.0)
    n = count.sum(-1)
    above = dot(count, values.double() - saliency.mean[:, None]) / n
    variance = saliency.variance
    nss = (above / variance.sqrt()).masked_fill(variance == 0, 0.0)
    return nan_where(n == 0, nss)


@metric("fixations", label="NSS", unit="standard deviations")
def nss(saliency: Maps, fixations: Counts) -> Tensor:
    """Normalised scanpath saliency: mean of the z-scored map over the fixations.

    NSS = Σ_p f_p (s_p − mean(s)) / sd(s) / Σ_p f_p, over pixels p, with counts f and the
    population's standard deviation (ddof = 0; the MIT benchmark's code divides by N − 1, which
    makes its value √((N − 1)/N) of this one).

    Unit: standard deviations of the map. Range: unbounded, 0 for chance. A constant map scores 0;
    without a fixation, or with a NaN or an infinite value in the map, NaN.

    Args:
        saliency: map (H, W) or (B, H, W), tensor or array, any scale.
        fixations: count map of the same size, or coordinates y, x: see `maps.Counts`.

    Returns:
        float64 scalar tensor or (B,).

    Raises:
        ValueError: sizes differ, or counts are none: negative, NaN, fractions.

    Source: Peters, Iyer, Itti & Koch 2005, Vision Research 45, 2397–2416.
    """
    return score(_nss_rows, saliency=saliency, fixations=fixations)


def _mean(gain: Tensor, count: Tensor) -> Tensor:
    return dot(count, gain.masked_fill(count == 0, 0.0)) / count.sum(-1)


def _log_share(values: Tensor, rows: Rows) -> Tensor:
    """Log₂ of `rows` at the fixations, `values` (B, F), read as distributions."""
    total = rows.total + rows.n * FLOOR
    return (values.double() + FLOOR).log2() - total.log2()[:, None]


def _gain_plain(saliency: Rows, fixations: Rows, baseline: Rows) -> Tensor:
    maps = saliency.positive, baseline.positive
    count, *at = where_looked(fixations, *(m.values for m in maps), fill=1.0)
    p, b = (_log_share(values, m) for values, m in zip(at, maps, strict=True))
    return nan_where(~(saliency.finite & baseline.finite), _mean(p - b, count))


def _gain_mit(saliency: Rows, fixations: Rows, baseline: Rows) -> Tensor:
    maps = saliency, baseline
    count, *at = where_looked(fixations, *(m.values for m in maps), fill=0.0)
    p, b = (
        (EPS + (values.double() - m.low.double()) / m.lifted[:, None]).log2()
        for values, m in zip(at, maps, strict=True)
    )
    return _mean(p - b, count)


GAIN = {"plain": _gain_plain, "mit": _gain_mit}


@metric("fixations", "baseline", label="IG", unit="bits per fixation")
def ig(
    saliency: Maps, fixations: Counts, baseline: Maps, form: Literal["plain", "mit"] = "plain"
) -> Tensor:
    """Information gain over a baseline map (a centre prior, say), both read as distributions.

    IG = Σ_p f_p (log₂ P_p − log₂ B_p) / Σ_p f_p, with counts f, the saliency map as distribution P
    and the baseline as B.

    - "plain": P and B as in `kl(form="plain")`: a negative minimum subtracted, 1e-20 added, divided
      by the sum.
    - "mit": as the benchmark's InfoGain: both maps are stretched to 0…1, then divided by their sum,
      and 2⁻⁵² is added inside each logarithm. A fixation on the map's minimum costs up to 52 bits.

    Unit: bits per fixation. Range: unbounded; 0 for the baseline itself. Without a fixation, or
    with a NaN or an infinite value in a map, NaN; in the form "mit" also for a constant map or
    baseline.

    Args:
        saliency: map (H, W) or (B, H, W), tensor or array.
        fixations: count map of the same size, or coordinates y, x: see `maps.Counts`.
        baseline: map of the same size.
        form: "plain" or "mit".

    Returns:
        float64 scalar tensor or (B,).

    Raises:
        ValueError: sizes differ, or counts are none: negative, NaN, fractions.
        UnknownNameError: another form.

    Source: Kümmerer, Wallis & Bethge 2015, PNAS 112, 16054–16059, equation 1; Bylinskii et al.
    2019, IEEE TPAMI 41, 740–757, for "mit".
    """
    rows = GAIN[check_name("form of IG", form, GAIN)]
    return score(rows, saliency=saliency, fixations=fixations, baseline=baseline)
