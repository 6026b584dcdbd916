"""Metrics that compare a map with a density of fixations: CC, SIM and KL."""

from typing import Literal

import torch
from torch import Tensor

from ..registry import check_name
from .maps import Maps, dot, is_constant, nan_where, score, unit_range
from .table import metric

EPS = 2.0**-52  # what the MIT benchmark's code adds: MATLAB's eps
FLOOR = 1e-20  # what pysaliency adds to a map before its logarithm is taken


def _without_negatives(rows: Tensor) -> Tensor:
    """Copy of the rows, their minimum subtracted if it is negative."""
    return rows - rows.amin(-1, keepdim=True).clamp(max=0)


def as_distribution(rows: Tensor, floor: float = FLOOR) -> Tensor:
    """Read rows (B, N) as distributions: positive, sum 1.

    A negative minimum is subtracted, `floor` added, the sum divided out. A map of zeros prefers no
    pixel, so it becomes the uniform distribution.
    """
    rows = _without_negatives(rows).add_(floor)
    total = rows.sum(-1, keepdim=True)
    if bool((zero := total == 0).any()):
        rows.masked_fill_(zero, 1.0)
        total = total.masked_fill(zero, rows.shape[-1])
    return rows.div_(total)


def _cc_rows(saliency: Tensor, density: Tensor) -> Tensor:
    # Pearson's r does not change when both maps are stretched to 0…1, which keeps all digits.
    a, b = unit_range(saliency), unit_range(density)
    n, mean_a, mean_b = a.shape[-1], a.mean(-1), b.mean(-1)
    variances = (dot(a, a) / n - mean_a.square()) * (dot(b, b) / n - mean_b.square())
    r = (dot(a, b) / n - mean_a * mean_b) / variances.sqrt()
    flat_a, flat_b = is_constant(saliency), is_constant(density)
    bad = saliency.sum(-1).isnan() | density.sum(-1).isnan() | (flat_a & flat_b)
    return nan_where(bad, r.masked_fill(flat_a | flat_b, 0.0))


@metric("density", label="CC", unit="correlation")
def cc(saliency: Maps, density: Maps) -> Tensor:
    """Pearson's correlation of two maps over pixels.

    CC = cov(s, d) / (sd(s) sd(d)).

    Unit: none. Range: −1…1, 0 for chance; symmetric. One constant map: 0 (as in pysaliency; the MIT
    benchmark's code gives NaN). Two constant maps, or a NaN in one of them: NaN.

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


def _stretched(rows: Tensor) -> Tensor:
    u = unit_range(rows)
    u.div_(u.sum(-1, keepdim=True))
    zero = (rows.amin(-1) == 0) & (rows.amax(-1) == 0)
    if bool(zero.any()):
        u[zero] = 0.0  # a map of zeros stays one: it shares nothing
    return u


SHARE = {"plain": lambda rows: as_distribution(rows, floor=0.0), "mit": _stretched}


@metric("density", label="SIM", unit="shared mass")
def sim(saliency: Maps, density: Maps, form: Literal["plain", "mit"] = "plain") -> Tensor:
    """Similarity (histogram intersection): the mass that two distributions share.

    SIM = Σ_p min(P_p, Q_p), over pixels p.

    - "plain": each map is divided by its sum, after subtracting its minimum if that is negative; a
      map of zeros counts as uniform. This is pysaliency's definition.
    - "mit": each map is stretched to 0…1, then divided by its sum; a map of zeros stays zero. This
      is the MIT benchmark's definition, which rewards no map for a floor above 0. A constant map
      other than zero: NaN.

    Unit: share of the mass. Range: 0…1, 1 for equal maps; symmetric. A NaN in a map: NaN.

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
    share = SHARE[check_name("form of SIM", form, SHARE)]

    def rows(saliency: Tensor, density: Tensor) -> Tensor:
        return torch.minimum(share(saliency), share(density)).sum(-1)

    return score(rows, saliency=saliency, density=density)


def _kl_plain(saliency: Tensor, density: Tensor) -> Tensor:
    p, q = as_distribution(saliency), as_distribution(density)
    return dot(q, torch.div(q, p, out=p).log_())


def _share(rows: Tensor) -> Tensor:
    rows = _without_negatives(rows)
    total = rows.sum(-1, keepdim=True)
    return rows.div_(total.masked_fill(total == 0, 1.0))


def _kl_mit(saliency: Tensor, density: Tensor) -> Tensor:
    p, q = _share(saliency), _share(density)
    p.add_(EPS)
    return dot(q, torch.div(q, p, out=p).add_(EPS).log_())


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
    not symmetric. A NaN in a map: NaN.

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
