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


@FEW
@given(
    values=st.lists(st.floats(0.01, 9), min_size=1, max_size=9),
    pixels=st.permutations(range(72)),
)
def test_fractions_are_no_counts_unless_they_weigh_whole_fixations(values, pixels):
    counts = np.zeros(72)
    counts[pixels[: len(values)]] = values
    total = counts.sum()
    whole = abs(total - round(total)) < 1e-5 * total and total >= len(values)
    if whole or all(float(v).is_integer() for v in values):
        metrics.nss(np.ones(SIZE), counts.reshape(SIZE))
    else:
        with pytest.raises(ValueError, match=r"fixations must be .* it has fractions, whose sum"):
            metrics.nss(np.ones(SIZE), counts.reshape(SIZE))


# Coordinates

LOOKED_AT = [p for p in EVERY if "fixations" in p.values[0].needs]
number = st.integers(-3, 12) | st.floats(1.01, 12)  # none that pass for fractions of the sides
coordinate = st.tuples(number, number | st.just(np.nan))


def counted(points):
    """The count map of coordinates y, x, by hand."""
    counts = np.zeros(SIZE)
    for y, x in points:
        if 0 <= y < SIZE[0] and 0 <= x < SIZE[1]:
            counts[int(y), int(x)] += 1
    return counts


def forms(points):
    """The same coordinates in all ways that they may be given for one map."""
    array = np.array(points, dtype=float).reshape(-1, 2)
    return [points, [tuple(p) for p in points], array, torch.from_numpy(array)]


@pytest.mark.filterwarnings("ignore:.* lie outside 9×8 pixels or are NaN")
@pytest.mark.parametrize(("metric", "form"), LOOKED_AT)
@settings(max_examples=15, deadline=None)
@given(
    looks=st.lists(st.lists(coordinate, max_size=6), min_size=3, max_size=3),
    seed=st.integers(0, 10**6),
)
def test_coordinates_score_as_their_count_maps(metric, form, looks, seed):
    random = np.random.default_rng(seed)
    truth, maps = truth_of(random), random.random((3, *SIZE))
    counts = np.stack([counted(p) for p in looks])
    expected = metric(maps, {**truth, "fixations": counts}, **form)
    same = {"rtol": 1e-12, "atol": 1e-12, "equal_nan": True}
    for given_as in (looks, [np.reshape(p, (-1, 2)) for p in looks]):
        found = metric(maps, {**truth, "fixations": given_as}, **form)
        torch.testing.assert_close(found, expected, **same)
    one = {name: value[0] for name, value in truth.items()}
    for given_as in forms(looks[0]):
        found = metric(maps[0], {**one, "fixations": given_as}, **form)
        torch.testing.assert_close(found, expected[0], **same)
        found = metric(maps, {**truth, "fixations": given_as}, **form)
        repeated = metric(maps, {**truth, "fixations": counts[:1].repeat(3, 0)}, **form)
        torch.testing.assert_close(found, repeated, **same)


def test_coordinates_beside_maps_of_other_images_and_several_metrics_at_once():
    random = np.random.default_rng(0)
    maps = random.random((2, *SIZE))
    looks, other = random.integers(0, 8, (2, 2, 5, 2))
    counts = {
        "fixations": np.stack([counted(p) for p in looks]),
        "other": np.stack([counted(p) for p in other]),
    }
    asked = ["nss", "auc_shuffled_exact"]
    expected = metrics.scores(maps, counts, asked)
    for found in (
        metrics.scores(maps, {"fixations": looks, "other": other}, asked),
        metrics.scores(maps, {"fixations": torch.from_numpy(looks), "other": list(other)}, asked),
        metrics.scores(
            maps, {"fixations": list(map(torch.as_tensor, looks)), "other": other}, asked
        ),
    ):
        assert all(torch.equal(found[name], expected[name]) for name in asked)


def test_coordinates_outside_are_dropped_and_counted():
    saliency = np.random.default_rng(0).random(SIZE)
    told = r"fixations: 3 of 5 lie outside 9×8 pixels or are NaN; dropped\. Coordinates are y, x\."
    points = [[7.9, 8.9], [3, 4], [8, 0], [-0.1, 3], [np.nan, 1]]
    with pytest.warns(UserWarning, match=told):
        found = metrics.nss(saliency, points)
    assert found == metrics.nss(saliency, [[7, 8], [3, 4]])


@pytest.mark.parametrize("nobody", [[], np.zeros((0, 2)), torch.zeros(0, 2)], ids=type)
def test_no_coordinates_are_no_fixations(nobody):
    saliency = torch.rand(2, *SIZE)
    assert metrics.nss(saliency[0], nobody).isnan()
    assert metrics.nss(saliency, nobody).isnan().tolist() == [True, True]
    assert metrics.nss(saliency, [nobody, nobody]).isnan().tolist() == [True, True]
    assert metrics.nss(saliency, [nobody, [[1, 1]]]).isnan().tolist() == [True, False]


def test_coordinates_that_cannot_be_told_or_used_are_refused():
    narrow = np.random.default_rng(0).random((4, 2))
    for given_as in (np.ones((4, 2)), [[1, 1]] * 4, np.ones((3, 4, 2))):
        with pytest.raises(ValueError, match=r"fixations, .* may be counts .* or coordinates"):
            metrics.nss(narrow, given_as)
    assert metrics.nss(narrow, np.ones((1, 1, 4, 2))).shape == (1, 1)
    assert metrics.nss(narrow, [[1, 1]]) == metrics.nss(narrow, [[1.5, 1.2]])
    wide = np.random.default_rng(0).random((2, 60, 80))
    with pytest.raises(ValueError, match=r"coordinates must be pairs y, x, \(N, 2\), not \(1, 3\)"):
        metrics.nss(wide, [[[1, 2]], [[1, 2, 3]]])
    with pytest.raises(ValueError, match="maps differ in size"):
        metrics.nss(wide, np.ones((2, 7)))  # rows of y and of x
    with pytest.raises(ValueError, match="batches do not fit"):
        metrics.nss(wide, [[[1, 2]], [[3, 4], [5, 6]], []])
    with pytest.raises(ValueError, match="fractions of the image's sides"):
        metrics.nss(wide[0], np.random.default_rng(0).random((20, 2)))
