"""Metrics: against reference values of other people's code, brute force, and their definitions."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from saliencykit import metrics
from saliencykit.metrics import METRICS
from tests.conftest import ALL_ORACLES, ORACLES, needs_all_oracles

quick = settings(max_examples=40, deadline=None)

SIZE = (7, 9)
EXACT = ["pys_NSS", "pys_AUC", "pys_AUC_Judd_nojitter", "pys_CC", "pys_SIM", "pys_KLDiv"]
MIT = ["mit_AUC_Judd", "mit_NSS", "mit_CC", "mit_similarity", "mit_KLdiv", "mit_InfoGain"]
CALLS = {
    "pys_NSS": lambda c: metrics.nss(c["map"], c["fix"]),
    "pys_AUC": lambda c: metrics.auc(c["map"], c["fix"]),
    "pys_AUC_Judd_nojitter": lambda c: metrics.auc_judd(c["map"], c["fix"]),
    "pys_CC": lambda c: metrics.cc(c["map"], c["dens"]),
    "pys_SIM": lambda c: metrics.sim(c["map"], c["dens"]),
    "pys_KLDiv": lambda c: metrics.kl(c["map"], c["dens"]),
    "mit_AUC_Judd": lambda c: metrics.auc_judd(c["map"], c["fix"]),
    "mit_NSS": lambda c: (
        metrics.nss(c["map"], c["fix"]) * ((n := c["map"].size) - 1) ** 0.5 / n**0.5
    ),
    "mit_CC": lambda c: metrics.cc(c["map"], c["dens"]),
    "mit_similarity": lambda c: metrics.sim(c["map"], c["dens"], form="mit"),
    "mit_KLdiv": lambda c: metrics.kl(c["map"], c["dens"], form="mit"),
    "mit_InfoGain": lambda c: metrics.ig(c["map"], c["fix"], c["base"], form="mit"),
    "mit_AUC_Borji": lambda c: metrics.auc_borji(c["map"], c["fix"], seed=0),
    "mit_AUC_shuffled": lambda c: metrics.auc_shuffled(c["map"], c["fix"], c["other"], seed=0),
}
TOLERANCE = 1e-6


@pytest.fixture(scope="module", params=["small", "all"])
def oracle(request):
    """{case: (arrays, reference values)}."""
    stem, cases = ORACLES / "metrics", 8
    if request.param == "all":
        needs_all_oracles()
        stem, cases = ALL_ORACLES / "metrics_a", 26
    values = json.loads(stem.with_suffix(".json").read_text())
    assert len(values) == cases
    with np.load(stem.with_suffix(".npz"), allow_pickle=False) as arrays:
        names = ("map", "fix", "dens", "other", "base")
        return {c: ({n: arrays[f"{c}/{n}"] for n in names}, values[c]) for c in values}


def tied(case):
    """Whether two fixations have the same map value."""
    values = case["map"][case["fix"] > 0]
    return len(np.unique(values)) < len(values)


# What the benchmark's code cannot score, and what we say instead.
UNDEFINED = {
    ("mit_KLdiv", "a24_signed"): "kl of the map shifted to 0",
    ("mit_AUC_Judd", "a25_const"): 0.5,
    ("mit_similarity", "a25_const"): np.nan,
    ("mit_InfoGain", "a25_const"): np.nan,
    ("mit_NSS", "a25_const"): 0.0,
    ("mit_CC", "a25_const"): 0.0,
}


@pytest.mark.parametrize("name", EXACT + MIT)
def test_equals_the_reference(oracle, name):
    for case, (arrays, values) in oracle.items():
        ours, expected = float(CALLS[name](arrays)), values[name]
        if expected is None:
            expected = UNDEFINED[name, case]
            if isinstance(expected, str):
                shifted = arrays | {"map": arrays["map"] - arrays["map"].min()}
                expected = float(CALLS[name](shifted))
        elif name == "mit_AUC_Judd" and tied(arrays):  # see test_ties_do_not_pull_auc_judd_down
            assert ours > expected
            expected = values["pys_AUC_Judd_nojitter"]
        # Octave adds up naively, which shows where the map varies by 1e-9.
        naive = 2e-5 if (name, case) == ("mit_NSS", "a19_nearconst") else 1e-12
        assert ours == pytest.approx(expected, rel=TOLERANCE, abs=naive, nan_ok=True), case


def test_pysaliency_s_own_form_of_the_benchmark_s_divergence(oracle):
    """It adds 2.2204e-16 where the benchmark adds 2⁻⁵²."""
    for case, (arrays, values) in oracle.items():
        ours = float(CALLS["mit_KLdiv"](arrays))
        assert ours == pytest.approx(values["pys_MIT_KLDiv"], abs=3e-5), case


def test_no_reference_value_is_left_unread(oracle):
    """Every metric of the file is compared above or below, or says here why it is not."""
    other = {
        "mit_AUC_Judd_jitter": "random; the tie-safe value is compared instead",
        "pys_AUC_unfixated": "negatives are the unfixated pixels: not one of ours",
        "pys_MIT_KLDiv": "has a test of its own",
    }
    stems = {
        key.removesuffix("100").removesuffix("_mean").removesuffix("_std")
        for _, values in oracle.values()
        for key in values
    }
    assert stems == set(CALLS) | set(other)


@pytest.mark.parametrize("name", ["mit_AUC_Borji", "mit_AUC_shuffled"])
def test_sampled_area_is_within_three_standard_errors(oracle, name):
    unscored = []
    for case, (arrays, values) in oracle.items():
        mean, std = values[f"{name}_mean100"], values[f"{name}_std100"]
        ours = float(CALLS[name](arrays))
        if mean is None:
            assert np.isnan(ours), case
            unscored.append(case)
            continue
        # our score is itself one repetition, of a smaller spread than the benchmark's
        spread = np.std([float(SEEDED[name](arrays, s)) for s in range(1, 6)])
        error = np.hypot(std / 10, spread)
        assert abs(ours - mean) <= 3 * error + 1e-9, case
    single = ["a00_smooth"] if name == "mit_AUC_Borji" else []
    assert unscored == [*single, "a25_const"]


SEEDED = {
    "mit_AUC_Borji": lambda c, s: metrics.auc_borji(c["map"], c["fix"], seed=s),
    "mit_AUC_shuffled": lambda c, s: metrics.auc_shuffled(c["map"], c["fix"], c["other"], seed=s),
}


def test_a_batch_of_one_oracle_shape_equals_single_maps(oracle):
    cases = [arrays for arrays, _ in oracle.values() if arrays["map"].shape == (90, 70)]
    assert len(cases) >= 2
    truth = {
        "fixations": np.stack([c["fix"] for c in cases]),
        "density": np.stack([c["dens"] for c in cases]),
        "other": np.stack([c["other"] for c in cases]),
        "baseline": np.stack([c["base"] for c in cases]),
    }
    maps = np.stack([c["map"] for c in cases])
    for metric in METRICS.values():
        batch = metric(maps, truth)
        single = [metric(s, {k: v[i] for k, v in truth.items()}) for i, s in enumerate(maps)]
        torch.testing.assert_close(batch, torch.stack(single), rtol=1e-12, atol=0)


# --- random maps -----------------------------------------------------------------------------

numbers = st.integers(-8, 8) | st.floats(-10, 10, width=32)  # integers, so that ties are common
saliencies = hnp.arrays(np.float64, SIZE, elements=numbers)
densities = hnp.arrays(np.float64, SIZE, elements=st.integers(0, 5) | st.floats(0, 10, width=32))
counts = hnp.arrays(np.int64, SIZE, elements=st.integers(0, 2))
DENSITY_METRICS = [("cc", {}), ("sim", {}), ("sim", {"form": "mit"}), ("kl", {})]


def same(a, b, atol=1e-9):
    torch.testing.assert_close(
        torch.as_tensor(a).double(), torch.as_tensor(b).double(),
        rtol=1e-7, atol=atol, equal_nan=True,
    )  # fmt: skip


def repeated(values, times):
    return np.repeat(values.ravel(), times.ravel())


def all_pairs(positives, negatives):
    if not positives.size or not negatives.size:
        return np.nan
    difference = positives[:, None] - negatives[None]
    return (np.mean(difference > 0) + np.mean(difference == 0) / 2).item()


@quick
@given(saliencies, counts)
def test_auc_equals_all_pairs(s, f):
    same(metrics.auc(s, f), all_pairs(repeated(s, f), s.ravel()))


@quick
@given(saliencies, counts, counts)
def test_exact_shuffled_auc_equals_all_pairs(s, f, other):
    same(metrics.auc_shuffled_exact(s, f, other), all_pairs(repeated(s, f), repeated(s, other)))


@quick
@given(saliencies, counts)
def test_auc_judd_equals_its_curve(s, f):
    positives, negatives = repeated(s, f), s[f == 0]
    if not positives.size or not negatives.size:
        assert metrics.auc_judd(s, f).isnan()
        return
    points = [(0.0, 0.0)]
    for t in np.unique(positives)[::-1]:
        points.append((np.mean(negatives >= t), np.mean(positives >= t)))
    points.append((1.0, 1.0))
    area = sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in zip(points, points[1:]))  # noqa: B905, RUF007
    same(metrics.auc_judd(s, f), area)


@quick
@given(saliencies, counts, counts, st.sampled_from(["auc_borji", "auc_shuffled"]))
def test_sampled_auc_converges_to_drawing_pixels(s, f, other, name):
    """With many splits the score is the expected area of a ten-step curve."""
    args = (f,) if name == "auc_borji" else (f, other)
    ours = float(getattr(metrics, name)(s, *args, splits=10**7))
    pool = s.ravel() if name == "auc_borji" else s[other > 0]
    if np.ptp(s) == 0 or f.sum() <= (name == "auc_borji") or not pool.size:
        assert np.isnan(ours)
        return
    steps = 0.1 * np.arange(11)
    binned = [
        np.searchsorted(steps, (v - s.min()) / (s.max() - s.min()), side="right")
        for v in (repeated(s, f), pool)
    ]
    assert ours == pytest.approx(all_pairs(*binned), abs=1e-5)


def test_sampled_auc_depends_on_the_seed_but_little():
    s = np.random.default_rng(0).random((40, 50))
    f = (np.random.default_rng(1).random((40, 50)) > 0.99).astype(int)
    scores = torch.stack([metrics.auc_borji(s, f, seed=i) for i in range(20)])
    assert 0 < scores.std() < 0.004
    assert metrics.auc_borji(s, f, seed=3) == scores[3]


@quick
@given(saliencies, counts, st.floats(0.1, 10), st.floats(-10, 10))
def test_nss_is_invariant_under_affine_maps(s, f, a, b):
    same(metrics.nss(a * s + b, f), metrics.nss(s, f), atol=1e-6)


@quick
@given(saliencies, counts)
def test_nss_equals_its_definition(s, f):
    if f.sum() == 0:
        assert metrics.nss(s, f).isnan()
    elif np.ptp(s) == 0:
        assert metrics.nss(s, f) == 0
    else:
        same(metrics.nss(s, f), ((repeated(s, f) - s.mean()) / s.std()).mean())


@pytest.mark.parametrize("name", ["auc", "auc_judd"])
@quick
@given(saliencies, counts)
def test_auc_is_invariant_under_monotone_maps(name, s, f):
    s = np.round(s, 3)  # distinct values stay distinct after the map below
    score = getattr(metrics, name)
    same(score(np.arctan(s) * 3 - 1, f), score(s, f))
    same(score(s.astype(np.float32), f), score(s, f))


@quick
@given(densities, densities, st.sampled_from(DENSITY_METRICS[:3]))
def test_cc_and_sim_are_symmetric(a, b, which):
    name, form = which
    same(getattr(metrics, name)(a, b, **form), getattr(metrics, name)(b, a, **form))


@quick
@given(densities)
def test_equal_maps_are_at_no_distance(d):
    assert metrics.kl(d, d) == 0
    same(metrics.kl(d, d, form="mit"), 0.0)
    same(metrics.sim(d, d), 1.0)
    if np.ptp(d) > 1e-3:
        same(metrics.cc(d, d), 1.0)
        same(metrics.sim(d, d, form="mit"), 1.0)
        assert metrics.ig(d, np.ones(SIZE), d) == 0


@quick
@given(densities, densities)
def test_plain_distribution_metrics_equal_their_definitions(s, d):
    p, q = ((m + 1e-20) / (m + 1e-20).sum() for m in (s, d))
    same(metrics.kl(s, d), (q * (np.log(q) - np.log(p))).sum())
    ones = np.ones(SIZE)
    shares = [m / m.sum() if m.any() else ones / ones.sum() for m in (s, d)]
    same(metrics.sim(s, d), np.minimum(*shares).sum())
    same(metrics.ig(s, np.ones(SIZE), d), (np.log2(p) - np.log2(q)).mean())
    if np.ptp(s) > 1e-3 and np.ptp(d) > 1e-3:
        same(metrics.cc(s, d), np.corrcoef(s.ravel(), d.ravel())[0, 1])
