"""What metrics are given: densities for counts, NaN and infinite values, alone and in a batch."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from saliencykit import metrics
from saliencykit.datasets import Fixations
from saliencykit.metrics import ARRAY_METRICS, METRICS

FEW = settings(max_examples=40, deadline=None)
SIZE = (8, 9)
RANKED = (
    "auc",
    "auc_judd",
    "auc_shuffled_exact",
    "most_salient",
)  # by the order of values
EVERY = [
    pytest.param(metric, form, id=metric.name + form.get("form", ""))
    for metric in [*METRICS.values(), *ARRAY_METRICS.values()]
    for form in ([{}, {"form": "mit"}] if metric.name in ("sim", "kl", "ig") else [{}])
]


def truth_of(random, n=3):
    masks = np.zeros((2, n, *SIZE))
    masks[0, :, 2:4, 2:4] = masks[1, :, 5:7, 5:7] = 1
    return {
        "fixations": random.poisson(0.4, (n, *SIZE)),
        "other": random.poisson(0.4, (n, *SIZE)),
        "density": random.random((n, *SIZE)),
        "baseline": random.random((n, *SIZE)),
        "target": masks[0],
        "distractors": masks[1],
    }


@pytest.mark.parametrize(("metric", "form"), EVERY)
@FEW
@given(
    seed=st.integers(0, 10**6),
    special=st.sampled_from([np.nan, np.inf, -np.inf]),
    n=st.integers(1, 72),
    narrow=st.booleans(),
)
def test_one_map_without_a_score_leaves_the_others_theirs(metric, form, seed, special, n, narrow):
    random = np.random.default_rng(seed)
    truth = truth_of(random)
    maps = random.normal(size=(3, *SIZE)).astype(np.float32 if narrow else np.float64)
    clean = metric(maps, truth, **form)
    maps[1].flat[random.permutation(72)[:n]] = special
    batch = metric(maps, truth, **form)
    alone = metric(maps[1], {k: v[1] for k, v in truth.items()}, **form)
    torch.testing.assert_close(batch[[0, 2]], clean[[0, 2]], rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(batch[1], alone, rtol=1e-12, atol=0, equal_nan=True)
    if np.isnan(special) or metric.name not in RANKED:
        assert alone.isnan()
    else:  # infinite is as good as very large
        large = {np.inf: 1e6, -np.inf: -1e6}[special]
        finite = np.where(np.isfinite(maps[1]), maps[1], np.float32(large))
        expected = metric(finite, {k: v[1] for k, v in truth.items()}, **form)
        torch.testing.assert_close(alone, expected, rtol=0, atol=0, equal_nan=True)


def drawn(random, size=(60, 80), n=200):
    """Count map of `n` clustered fixations."""
    y, x = (np.clip(random.normal(s / 2, s / 5, n), 0, s - 1).astype(int) for s in size)
    counts = np.zeros(size)
    np.add.at(counts, (y, x), 1)
    return counts


@FEW
@given(
    seed=st.integers(0, 10**6),
    sigma=st.floats(2, 12),
    scale=st.sampled_from(["sum", "max", "none", "255", "bytes", "words"]),
)
def test_a_density_is_no_count_map(seed, sigma, scale):
    random = np.random.default_rng(seed)
    counts, other = drawn(random), drawn(random)
    blurred = gaussian_filter(counts, max(sigma, 3) if scale == "bytes" else max(sigma, 8))
    density = {
        "sum": blurred / blurred.sum(),
        "max": blurred / blurred.max(),
        "none": blurred,
        "255": 255 * blurred / blurred.max(),
        "bytes": np.round(255 * blurred / blurred.max()),
        "words": np.round(999 * blurred / blurred.max()),
    }[scale]
    saliency = random.random(counts.shape)
    said = "(fixations|other|counts) must be a map of counts, but it .* a density, it seems"
    with pytest.raises(ValueError, match=said):
        metrics.nss(saliency, density)
    with pytest.raises(ValueError, match=said):
        metrics.auc_shuffled_exact(saliency, counts, density)
    with pytest.raises(ValueError, match=said):
        metrics.scores(saliency, {"fixations": density}, ["nss", "auc"])
    with pytest.raises(ValueError, match=said):
        metrics.leave_one_out_maps(np.stack([counts, density]))
    assert not metrics.auc_shuffled_exact(saliency, counts, other).isnan()


@FEW
@example(seed=80009, n=400000, kind=bool)  # nearly every pixel is marked
@given(
    seed=st.integers(0, 10**6),
    n=st.sampled_from([1, 30, 4000, 60000, 400000]),
    kind=st.sampled_from([bool, np.uint8, np.int64, float]),
)
def test_counts_of_any_density_are_counts(seed, n, kind):
    random = np.random.default_rng(seed)
    counts = drawn(random, n=n)
    counts = counts.clip(max=np.iinfo(kind).max).astype(kind) if kind is np.uint8 else counts
    counts = (counts > 0) if kind is bool else counts.astype(kind)
    saliency = random.random(counts.shape)
    above = (saliency - saliency.mean()) / saliency.std()
    expected = (above * counts).sum() / counts.sum()
    assert metrics.nss(saliency, counts).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    marked = 255 * (counts > 0)
    expected = (above * marked).sum() / marked.sum()
    assert metrics.nss(saliency, marked).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@FEW
@given(seed=st.integers(0, 10**6), n=st.sampled_from([1, 2, 50, 2000]))
def test_counts_that_weigh_by_duration_are_counts(seed, n):
    random = np.random.default_rng(seed)
    x, y, seconds = random.uniform(0, 80, n), random.uniform(0, 60, n), random.gamma(2, 0.1, n)
    seconds[::3] = np.nan if seconds[1:2].any() else seconds[::3]
    counts = Fixations.of(x, y, duration=seconds).count_map(60, 80, weights="duration")
    saliency = random.random((60, 80))
    above = (saliency - saliency.mean()) / saliency.std()
    expected = (above * counts.double().numpy()).sum() / float(counts.double().sum())
    assert metrics.nss(saliency, counts).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    if n > 2:
        with pytest.raises(ValueError, match="whole numbers of fixations"):
            metrics.leave_one_out_maps(counts[None])


def test_infinitely_many_fixations_are_none():
    counts = np.zeros(SIZE)
    counts[2, 2] = np.inf
    with pytest.raises(ValueError, match="negative, infinite or NaN entries"):
        metrics.nss(np.ones(SIZE), counts)
