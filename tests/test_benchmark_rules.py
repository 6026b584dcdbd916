"""Our metrics against plain restatements of the MIT benchmark's and pysaliency's rules.

The maps are hypothesis's: ties, negative values, near-constant maps, single and repeated
fixations, odd sizes. The restatements follow what the benchmarks do step by step, one map at a
time, without a thought for speed or for maps that they cannot score.
"""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.integrate import trapezoid

from saliencykit import metrics

quick = settings(max_examples=60, deadline=None)
EPS = 2.0**-52

sizes = st.tuples(st.integers(1, 9), st.integers(1, 9)).filter(
    lambda s: s[0] * s[1] > 2 and s[1] != 2  # as wide as coordinates are, and so refused
)
levels = st.integers(-3, 3) | st.integers(-(10**6), 10**6).map(lambda v: v / 1e5)


@st.composite
def cases(draw, signed=True):
    """A saliency map, a density, a baseline and a count map of one size."""
    size = draw(sizes)
    saliency, density, baseline = (
        draw(hnp.arrays(np.float64, size, elements=levels)) for _ in range(3)
    )
    if not signed:
        saliency = np.abs(saliency)
    if draw(st.booleans()):  # hardly varies
        saliency = 7 + 1e-5 * saliency
    counts = draw(hnp.arrays(np.int64, size, elements=st.sampled_from([0, 0, 0, 1, 2])))
    if draw(st.booleans()):
        counts = np.zeros(size, dtype=np.int64)
        counts.flat[draw(st.integers(0, counts.size - 1))] = 1  # a single fixation
    assume(counts.any())
    return saliency, np.abs(density), np.abs(baseline), counts


def agree(ours, theirs):
    assert float(ours) == pytest.approx(float(theirs), rel=1e-6, abs=1e-9, nan_ok=True)


# --- pysaliency ----------------------------------------------------------------------------------


def as_density(values, minimum=0.0):
    values = values - values.min() if values.min() < 0 else values
    values = values + minimum
    return values / values.sum() if values.sum() else np.full(values.shape, 1 / values.size)


@quick
@given(cases())
def test_pysaliency_rules(case):
    saliency, density, _, counts = case
    y, x = np.nonzero(counts)
    y, x = (np.repeat(v, counts[counts > 0]) for v in (y, x))
    spread = saliency.std() if np.ptp(saliency) else 0.0
    above = saliency[y, x] - saliency.mean()
    agree(metrics.nss(saliency, counts), (above / spread).mean() if spread else 0.0)
    agree(metrics.sim(saliency, density), np.minimum(*map(as_density, (saliency, density))).sum())
    p, q = (as_density(m, 1e-20) for m in (saliency, density))
    agree(metrics.kl(saliency, density), (q * (np.log(q) - np.log(p))).sum())
    flat = np.ptp(saliency) == 0, np.ptp(density) == 0
    if all(flat):
        assert metrics.cc(saliency, density).isnan()
    elif any(flat):
        assert metrics.cc(saliency, density) == 0  # so in pysaliency if the saliency map is
    else:
        agree(metrics.cc(saliency, density), np.corrcoef(saliency.ravel(), density.ravel())[0, 1])
    all_pixels = saliency.ravel()
    below = [(all_pixels < v).mean() + (all_pixels == v).mean() / 2 for v in saliency[y, x]]
    agree(metrics.auc(saliency, counts), np.mean(below))


# --- the MIT benchmark ---------------------------------------------------------------------------


def stretched(values):
    with np.errstate(invalid="ignore"):
        return (values - values.min()) / np.ptp(values)


@quick
@given(cases())
def test_mit_similarity_and_information_gain(case):
    saliency, density, baseline, counts = case
    looked = counts > 0
    assume(all(np.ptp(m) for m in (saliency, density, baseline)))
    p, q, b = (stretched(m) / stretched(m).sum() for m in (saliency, density, baseline))
    agree(metrics.sim(saliency, density, form="mit"), np.minimum(p, q).sum())
    gain = (np.log2(EPS + p[looked]) - np.log2(EPS + b[looked])).mean()
    agree(metrics.ig(saliency, looked, baseline, form="mit"), gain)


@quick
@given(cases(signed=False))
def test_mit_divergence_and_nss(case):
    saliency, density, _, counts = case
    looked = counts > 0
    p, q = (m / m.sum() if m.any() else m for m in (saliency, density))
    divergence = (q * np.log(EPS + q / (p + EPS))).sum()
    agree(metrics.kl(saliency, density, form="mit"), divergence)
    if np.ptp(saliency):
        theirs = ((saliency - saliency.mean()) / saliency.std(ddof=1))[looked].mean()
        n = saliency.size
        agree(metrics.nss(saliency, looked) * np.sqrt((n - 1) / n), theirs)


@quick
@given(cases())
def test_mit_auc_judd_without_ties(case):
    saliency, _, _, counts = case
    looked = counts > 0
    values = np.sort(saliency[looked])[::-1]
    assume(len(np.unique(values)) == len(values) < saliency.size)
    n, rest = len(values), saliency.size - len(values)
    hits, alarms = [0.0], [0.0]
    for i, threshold in enumerate(values, 1):
        hits.append(i / n)
        alarms.append(((saliency >= threshold).sum() - i) / rest)
    area = trapezoid([*hits, 1.0], [*alarms, 1.0])
    agree(metrics.auc_judd(saliency, looked), area)


@quick
@given(cases())
def test_mit_auc_judd_with_ties_is_what_breaking_them_gives_on_average(case):
    """A tie broken at random, as by the benchmark's jitter, averages to a straight line."""
    saliency, _, _, counts = case
    looked = counts > 0
    assume(looked.sum() < saliency.size)
    fixated, others = saliency[looked], saliency[~looked]
    thresholds = np.unique(fixated)[::-1]
    curve = [((others >= t).mean(), (fixated >= t).mean()) for t in thresholds]
    alarms, hits = np.array([(0, 0), *curve, (1, 1)]).T
    agree(metrics.auc_judd(saliency, looked), trapezoid(hits, alarms))


def curve_of_steps(fixated, negatives):
    steps = np.arange(0, max(*fixated, *negatives) + 1e-12, 0.1)[::-1]
    alarms = [0.0, *((negatives >= t).mean() for t in steps), 1.0]
    hits = [0.0, *((fixated >= t).mean() for t in steps), 1.0]
    return trapezoid(hits, alarms)


def test_mit_sampled_areas_equal_drawing_them():
    """The mean of many of the benchmark's own draws, within three standard errors."""
    random = np.random.default_rng(0)
    for size, n, tied in (((13, 17), 9, False), ((20, 11), 30, True), ((8, 8), 2, True)):
        saliency = random.random(size)
        saliency = np.round(5 * saliency) / 5 if tied else saliency
        u = stretched(saliency)
        at = random.choice(u.size, n, replace=False)
        others = random.choice(u.size, 40, replace=False)
        counts, other = np.zeros((2, *size))
        counts.flat[at] = other.flat[others] = 1
        fixated, flat = u.ravel()[at], u.ravel()
        borji = [curve_of_steps(fixated, random.choice(flat, n)) for _ in range(4000)]
        shuffled = [
            curve_of_steps(fixated, flat[random.choice(others, min(n, 40), replace=False)])
            for _ in range(4000)
        ]
        for ours, drawn in (
            (metrics.auc_borji(saliency, counts, splits=10**6), borji),
            (metrics.auc_shuffled(saliency, counts, other, splits=10**6), shuffled),
        ):
            error = np.std(drawn) / np.sqrt(len(drawn))
            assert abs(float(ours) - np.mean(drawn)) < 3 * error + 1e-4


# --- types ---------------------------------------------------------------------------------------


@quick
@given(cases())
def test_float32_maps_score_as_their_float64_values(case):
    saliency, density, baseline, counts = case
    narrow = [m.astype(np.float32) for m in (saliency, density, baseline)]
    truth = {"fixations": counts, "other": counts}
    wanted = ["nss", "auc", "auc_judd", "auc_borji", "auc_shuffled", "cc", "sim", "sim:mit", "kl"]
    ours, exact = (
        metrics.scores(s.astype(kind), truth | {"density": d.astype(kind)}, wanted)
        for kind in (np.float32, np.float64)
        for s, d, _ in [narrow]
    )
    for name in wanted:
        assert ours[name] == pytest.approx(exact[name].item(), rel=1e-5, abs=1e-5, nan_ok=True)
