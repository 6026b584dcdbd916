"""Metrics that compare a map with a density of fixations: CC, SIM and KL."""

from typing import Literal

import torch
from torch import Tensor

from ..registry import check_name
from .maps import Maps, score
from .rows import Rows, column, dot, log_, nan_where, summed
from .table import metric

EPS = 2.0**-52  # what the MIT benchmark's code adds: MATLAB's eps
FLOOR = 1e-20  # what pysaliency adds to a map before its logarithm is taken


def _cc_rows(saliency: Rows, density: Rows) -> Tensor:
    def products(a: Tensor, b: Tensor) -> Tensor:
        return dot(a - saliency.centre, b - density.centre)

    covariance = summed(products, saliency, density) / saliency.n - saliency.drift * density.drift
    r = covariance / saliency.variance.sqrt() / density.variance.sqrt()
    flat_a, flat_b = saliency.variance == 0, density.variance == 0
    bad = saliency.total.isnan() | density.total.isnan() | (flat_a & flat_b)
    return nan_where(bad, r.masked_fill(flat_a | flat_b, 0.0).clamp(-1, 1))


@metric("density", label="CC", unit="correlation")
def cc(saliency: Maps, density: Maps) -> Tensor:
    """Pearson's correlation of two maps over pixels.

    CC = cov(s, d) / (sd(s) sd(d)).

    Unit: none. Range: −1…1, 0 for chance; symmetric. One constant map: 0 (as in pysaliency; the MIT
    benchmark's code gives NaN). Two constant maps, or a NaN or an infinite value in one
    of them: NaN.

    Args:
        saliency: map (H, W) or (B, H, W), tensor or array, any scale.
        density: map of the same size, usually blurred fixations (see `density`).

    Returns:
        float64 scalar tensor or (B,).

    Raises:
        ValueError: sizes differ.

    Source: Bylinskii, Judd, Oliva, Torralba & Durand 2019, IEEE TPAMI 41, 740–757.
    """
    return score(_cc_rows, saliency=saliency, density=density)


def _sim_plain(saliency: Rows, density: Rows) -> Tensor:
    p, q = saliency.masses, density.masses
    scale = column(q.total / p.total, q)
    return summed(lambda p, q: torch.minimum(p * scale, q).sum(-1), p, q) / q.total


def _mass_above_low(rows: Rows) -> Tensor:
    """Mass (B,) after stretching; 1 for a map of zeros, which stays one and shares nothing."""
    return rows.lifted.masked_fill(rows.constant & (rows.low == 0)[:, 0], 1.0)


def _sim_mit(saliency: Rows, density: Rows) -> Tensor:
    # Stretching to 0…1 and dividing by the sum is the same as subtracting the minimum and doing so.
    total_p, total_q = _mass_above_low(saliency), _mass_above_low(density)
    scale = column(total_q / total_p, density)

    def shared(p: Tensor, q: Tensor) -> Tensor:
        return torch.minimum((p - saliency.low).mul_(scale), q - density.low).sum(-1)

    return summed(shared, saliency, density) / total_q


SHARED = {"plain": _sim_plain, "mit": _sim_mit}


@metric("density", label="SIM", unit="shared mass")
def sim(saliency: Maps, density: Maps, form: Literal["plain", "mit"] = "plain") -> Tensor:
    """Similarity (histogram intersection): the mass that two distributions share.

    SIM = Σ_p min(P_p, Q_p), over pixels p.

    - "plain": each map is divided by its sum, after subtracting its minimum if that is negative; a
      map of zeros counts as uniform. This is pysaliency's definition.
    - "mit": each map is stretched to 0…1, then divided by its sum; a map of zeros stays zero. This
      is the MIT benchmark's definition, which rewards no map for a floor above 0. A constant map
      other than zero: NaN.

    Unit: share of the mass. Range: 0…1, 1 for equal maps; symmetric. A NaN or an infinite
    value in a map: NaN.

    Args:
        saliency: map (H, W) or (B, H, W), tensor or array.
        density: map of the same size, usually blurred fixations (see `density`).
        form: "plain" or "mit".

    Returns:
        float64 scalar tensor or (B,).

    Raises:
        ValueError: sizes differ.
        UnknownNameError: another form.

    Source: Judd, Durand & Torralba 2012, MIT-CSAIL-TR-2012-001; Bylinskii et al. 2019.
    """
    rows = SHARED[check_name("form of SIM", form, SHARED)]
    return score(rows, saliency=saliency, density=density)


def _kl_plain(saliency: Rows, density: Rows) -> Tensor:
    p, q = saliency.positive, density.positive
    total_p, total_q = (r.total + r.n * FLOOR for r in (p, q))
    # The nearest power of two to the ratio of the sums brings the quotients near 1, exactly.
    power = (total_p / total_q).log2().round().exp2()
    scale = column(power, q)

    def divergence(p: Tensor, q: Tensor) -> Tensor:
        p, q = p + FLOOR, q + FLOOR
        return dot(q, log_(torch.div(q, p, out=p).mul_(scale)))

    return summed(divergence, p, q) / total_q + (total_p / total_q / power).log()


def _mass(rows: Rows) -> Tensor:
    return rows.total.masked_fill(rows.total == 0, 1.0)  # a map of zeros stays one


def _kl_mit(saliency: Rows, density: Rows) -> Tensor:
    p, q = saliency.positive, density.positive
    total_p, total_q = _mass(p), _mass(q)
    scale, floor = column(total_p / total_q, q), column(EPS * total_p, p)

    def divergence(p: Tensor, q: Tensor) -> Tensor:
        p = p + floor
        return dot(q, log_(torch.div(q, p, out=p).mul_(scale).add_(EPS)))

    return summed(divergence, p, q) / total_q


DIVERGENCE = {"plain": _kl_plain, "mit": _kl_mit}


@metric("density", label="KL", unit="nats", better="lower")
def kl(saliency: Maps, density: Maps, form: Literal["plain", "mit"] = "plain") -> Tensor:
    """Kullback–Leibler divergence of the density of fixations from the saliency map.

    Both maps are read as distributions P (saliency) and Q (density), sum 1; a negative minimum is
    subtracted first.

    - "plain": Σ_p Q_p ln(Q_p / P_p), exactly, after 1e-20 has been added to both maps so that a
      pixel never ruled in by the model costs much but not infinitely much; a map of zeros counts
      as uniform. This is pysaliency's definition.
    - "mit": Σ_p Q_p ln(ε + Q_p / (P_p + ε)) with ε = 2⁻⁵²; a map of zeros stays zero. This is the
      MIT benchmark's definition, but its code takes the logarithm of a negative number where a map
      has negative values; here they are shifted to 0 first.

    Unit: nats. Range: 0 for equal maps (−1e-9 or so at worst in the form "mit"), no upper limit;
    not symmetric. A NaN or an infinite
    value in a map: NaN.

    Args:
        saliency: map (H, W) or (B, H, W), tensor or array.
        density: map of the same size, usually blurred fixations (see `density`).
        form: "plain" or "mit".

    Returns:
        float64 scalar tensor or (B,).

    Raises:
        ValueError: sizes differ.
        UnknownNameError: another form.

    Source: Bylinskii et al. 2019, IEEE TPAMI 41, 740–757; Kümmerer et al. 2018, ECCV, 770–787.
    """
    rows = DIVERGENCE[check_name("form of KL", form, DIVERGENCE)]
    return score(rows, saliency=saliency, density=density)
