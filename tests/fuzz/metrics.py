"""Odd maps for metrics, scored by brute force; densities in place of counts."""

from typing import NamedTuple

import numpy as np
from scipy.integrate import trapezoid
from scipy.ndimage import gaussian_filter

from saliencykit import metrics
from saliencykit.datasets import Fixations

ASKED = ("nss", "auc", "auc_judd", "auc_shuffled_exact", "cc", "sim", "kl", "ig")
RANKED = ("auc", "auc_judd", "auc_shuffled_exact")
DENSITIES = ("share", "peak", "blurred", "bytes")


class Case(NamedTuple):
    """Maps (3, H, W) and what they are compared with; whether that is to be refused."""

    maps: np.ndarray
    truth: dict[str, np.ndarray]
    refused: bool


def inputs(seed, folder):
    """Return three maps, one of them perhaps hostile, and their truth. Writes nothing."""
    random = np.random.default_rng(seed)
    size = tuple(int(n) for n in random.integers(3, 40, 2))
    maps = random.normal(size=(3, *size)) * 10.0 ** random.integers(-6, 7)
    maps = np.round(maps / maps.std(), 1) if random.integers(2) else maps
    if (odd := random.integers(8)) < 5:
        special = [np.nan, np.inf, -np.inf, 0.0, 1e30][odd]
        maps[1].flat[random.permutation(maps[1].size)[: random.integers(1, maps[1].size + 1)]] = (
            special
        )
    truth = {
        name: np.stack([_counts(size, random) for _ in range(3)]) for name in metrics.maps.COUNTS
    }
    truth |= {name: random.random((3, *size)) for name in ("density", "baseline")}
    refused = random.integers(4) == 0
    if refused:
        dense = _density(str(random.choice(DENSITIES)), random)
        maps, shape = random.normal(size=(3, *dense.shape)), (3, *dense.shape)
        truth = {"fixations": np.broadcast_to(dense, shape), "other": np.ones(shape)}
        truth |= {name: random.random(shape) for name in ("density", "baseline")}
    return Case(maps, truth, bool(refused))


def _counts(size, random):
    n = int(random.integers(0, 60))
    x, y = random.uniform(0, size[1], n), random.uniform(0, size[0], n)
    if random.integers(2):
        seconds = random.gamma(2, 0.1, n)
        return Fixations.of(x, y, duration=seconds).count_map(*size, weights="duration").numpy()
    counts = np.zeros(size)
    np.add.at(counts, (y.astype(int), x.astype(int)), 1)
    return counts


def _density(kind, random):
    counts = np.zeros((48, 64))
    np.add.at(counts, tuple(random.integers(8, 40, (2, 50))), 1)
    blurred = gaussian_filter(counts, random.uniform(3, 8))
    scale = {"share": 1 / blurred.sum(), "peak": 1 / blurred.max(), "blurred": 1.0}
    scaled = blurred * scale.get(kind, 255 / blurred.max())
    return np.round(scaled) if kind == "bytes" else scaled


def brute(s, f, other, d, b):
    """Every metric of `ASKED` by its definition."""
    n = f.sum()
    right = dict.fromkeys(ASKED, np.nan)
    flat, at = s.ravel(), f > 0
    if not np.isnan(s).any():
        right |= {"auc": _area(s[at], f[at], flat, np.ones(flat.size))} if n else {}
        if n and (~at).any():
            right["auc_judd"] = _judd(s, f)
        if n and other.any():
            right["auc_shuffled_exact"] = _area(s[at], f[at], s[other > 0], other[other > 0])
    if not np.isfinite(s).all():
        return right
    constant = np.ptp(s) == 0
    right["nss"] = (
        np.nan if not n else 0.0 if constant else (f * (s - s.mean())).sum() / s.std() / n
    )
    right["cc"] = 0.0 if constant else np.corrcoef(flat, d.ravel())[0, 1]
    p, q, c = (m - min(m.min(), 0) for m in (s, d, b))
    mass = p / p.sum() if p.any() else np.full(p.shape, 1 / p.size)
    right["sim"] = np.minimum(mass, q / q.sum()).sum()
    p, q, c = ((m + 1e-20) / (m + 1e-20).sum() for m in (p, q, c))
    right["kl"] = (q * np.log(q / p)).sum()
    right["ig"] = (f * np.log2(p / c)).sum() / n if n else np.nan
    return right


def _area(up, weights, down, others):
    above = (up[:, None] > down) + 0.5 * (up[:, None] == down)
    return (weights[:, None] * others * above).sum() / weights.sum() / others.sum()


def _judd(s, f):
    at = f > 0
    curve = [(0.0, 0.0)]
    for t in np.unique(s[at])[::-1]:
        curve.append(((s[~at] >= t).mean(), f[s >= t].sum() / f.sum()))
    alarms, hits = np.array([*curve, (1.0, 1.0)]).T
    return trapezoid(hits, alarms)


def judge(case, folder):
    """Score maps in a batch and alone, all metrics at once and each by itself."""
    try:
        batch = metrics.scores(case.maps, case.truth, ASKED)
        alone = [
            {m: metrics.METRICS[m](s, {k: v[i] for k, v in case.truth.items()}) for m in ASKED}
            for i, s in enumerate(case.maps)
        ]
    except ValueError as error:
        said = "must be a map of counts" in str(error)
        return ("refused" if case.refused else "wrong") if said else "traceback"
    except Exception:
        return "traceback"
    if case.refused:
        return "wrong"
    for i, s in enumerate(case.maps):
        truth = (case.truth[k][i] for k in ("fixations", "other", "density", "baseline"))
        with np.errstate(all="ignore"):
            right = brute(s, *(np.asarray(t, np.float64) for t in truth))
        for metric in ASKED:
            found = batch[metric][i].item(), alone[i][metric].item()
            if not np.allclose(found, right[metric], rtol=1e-6, atol=1e-8, equal_nan=True):
                return "wrong"
    return "right"


def trial(seed, folder):
    """Return what became of the maps number `seed`."""
    return judge(inputs(seed, folder), folder)
