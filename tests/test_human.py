"""The human ceiling and the blur it rests on, against drawing the maps."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from saliencykit import metrics
from saliencykit.metrics import leave_one_out
from saliencykit.metrics import observers as human
from saliencykit.metrics.rows import FEW, ranked
from saliencykit.registry import UnknownNameError

quick = settings(max_examples=40, deadline=None)

SIZE = (48, 64)


def gaze(n=90, observers=5, seed=0, size=SIZE):
    """Fixations clustered around two places, so that observers agree somewhat."""
    rng = np.random.default_rng(seed)
    centre = np.array([[0.3, 0.3], [0.7, 0.6]])[rng.integers(0, 2, n)]
    y, x = (centre + 0.12 * rng.normal(size=(n, 2))).T.clip(0, 0.999)
    observer = torch.tensor(rng.integers(0, observers, n))
    return torch.tensor(x * size[1]), torch.tensor(y * size[0]), observer


def count_maps(x, y, observer, observers, size=SIZE):
    maps = torch.zeros(observers, *size, dtype=torch.float64)
    for a, b, o in zip(x, y, observer, strict=True):
        maps[o, int(b), int(a)] += 1
    return maps


def drawn(metric, counts, sigma):
    """Leave one out by its definition: draw the others' maps, one at a time, and score them."""
    scores = []
    for o in range(len(counts)):
        others = counts.sum(0) - counts[o]
        score = metric(metrics.gaussian_blur(others, sigma), counts[o])
        scores.append(score if others.sum() > 0 else score * torch.nan)
    return torch.stack(scores)


def same(a, b, **tolerance):
    torch.testing.assert_close(a, b, equal_nan=True, **tolerance)


@quick
@given(st.integers(0, 10**6), st.integers(1, 80), st.floats(0.5, 12))
def test_nss_ceiling_equals_drawing_the_maps(seed, n, sigma):
    points = gaze(n, seed=seed)
    expected = drawn(metrics.nss, count_maps(*points, 5), sigma)
    same(leave_one_out(*points, SIZE, "nss", sigma, 5), expected, rtol=1e-7, atol=1e-9)


@quick
@given(st.integers(0, 10**6), st.integers(1, 80))
def test_auc_ceiling_equals_drawing_the_maps(seed, n):
    points = gaze(n, seed=seed)
    counts = count_maps(*points, 5)
    fine = leave_one_out(*points, SIZE, "auc", 6.0, 5)  # looks at every pixel
    # With a single other fixation, pixels on a ring around it tie, up to rounding errors.
    same(fine, drawn(metrics.auc, counts, 6.0), rtol=0, atol=2e-4 if n >= 30 else 3e-3)


@pytest.mark.parametrize("values", [1, 8, FEW, FEW + 1, 300])
def test_ranks_count_what_is_below_and_ties_half_whether_sorted_or_not(values):
    pixels, asked = torch.rand(200).mul(40).round(), torch.rand(values).mul(42).round() - 1
    apart = asked[:, None] - pixels
    expected = ((apart > 0).double() + (apart == 0).double() / 2).mean(1)
    same(ranked(pixels, asked), expected, rtol=0, atol=1e-12)


def test_auc_on_a_coarser_grid_is_as_good():
    size = (300, 400)
    points = gaze(100, seed=3, size=size)
    coarse = leave_one_out(*points, size, "auc", 24.0, 5)  # every third pixel
    expected = drawn(metrics.auc, count_maps(*points, 5, size), 24.0)
    same(coarse, expected, rtol=0, atol=1e-3)
    assert not torch.equal(coarse, expected)


def test_any_metric_has_a_ceiling():
    points = gaze()
    for metric in (metrics.nss, metrics.auc, metrics.auc_judd):
        expected = drawn(metric, count_maps(*points, 5), 3.0)
        same(leave_one_out(*points, SIZE, metric, 3.0), expected, rtol=1e-7, atol=1e-9)


def test_count_maps_give_the_same_ceiling():
    points = gaze(400)
    counts = count_maps(*points, 5)
    assert counts.max() > 1
    same(metrics.leave_one_out_maps(counts), leave_one_out(*points, SIZE))
    with pytest.raises(ValueError, match="counts must be a map of counts"):
        metrics.leave_one_out_maps(-counts)


def test_agreeing_observers_score_higher_than_others():
    x, y, observer = gaze(200)
    agreeing = leave_one_out(x, y, observer, SIZE).mean()
    rng = np.random.default_rng(1)
    scattered = torch.tensor(rng.random(200) * 64), torch.tensor(rng.random(200) * 48)
    assert agreeing > 1 > leave_one_out(*scattered, observer, SIZE).mean()
    assert leave_one_out(x, y, observer, SIZE, "auc").mean() > 0.7


def test_sigma_defaults_to_three_percent_of_the_longer_side():
    points = gaze()
    same(leave_one_out(*points, SIZE), leave_one_out(*points, SIZE, sigma=0.03 * 64))
    assert metrics.default_sigma((600, 800)) == pytest.approx(24)
    assert metrics.default_sigma((800, 600)) == pytest.approx(24)


@pytest.mark.parametrize("metric", ["nss", "auc", metrics.nss])
def test_observers_without_fixations_have_no_score(metric):
    x, y, observer = gaze(40, observers=3)
    observer[observer == 1] = 3
    missing = leave_one_out(x, y, observer, SIZE, metric, observers=6)
    assert missing.isnan().tolist() == [False, True, False, False, True, True]
    alone = leave_one_out(x, y, torch.zeros_like(observer), SIZE, metric, observers=2)
    assert alone.isnan().all()
    nobody = leave_one_out(x[:0], y[:0], observer[:0], SIZE, metric, observers=2)
    assert nobody.shape == (2,)
    assert nobody.isnan().all()


def test_bad_fixations_are_dropped_and_counted():
    x, y, observer = gaze()
    clean = leave_one_out(x, y, observer, SIZE)
    bad = torch.tensor([float("nan"), -1.0, 64.0]), torch.tensor([5.0, 5.0, 5.0])
    with pytest.warns(UserWarning, match="3 of 93 fixations lie outside 64×48 pixels or are NaN"):
        more = leave_one_out(
            torch.cat([x, bad[0]]),
            torch.cat([y, bad[1]]),
            torch.cat([observer, observer[:3]]),
            SIZE,
        )
    same(more, clean)


def test_wrong_arguments_are_named():
    x, y, observer = gaze()
    with pytest.raises(UnknownNameError, match="Did you mean 'nss'"):
        leave_one_out(x, y, observer, SIZE, "nsss")
    with pytest.raises(ValueError, match="differ in length"):
        leave_one_out(x[:-1], y, observer, SIZE)
    with pytest.raises(ValueError, match="observer indices must be 0…2"):
        leave_one_out(x, y, observer, SIZE, observers=3)


# --- blur ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.7, 3.0, 30.0])
def test_blur_equals_scipy(sigma):
    maps = torch.rand(2, 31, 40, dtype=torch.float64)
    expected = [gaussian_filter(m.numpy(), sigma, mode="constant", truncate=4) for m in maps]
    same(
        metrics.gaussian_blur(maps, sigma), torch.tensor(np.stack(expected)), rtol=1e-10, atol=1e-12
    )


def test_blur_keeps_mass_inside_and_loses_it_at_the_border():
    maps = torch.zeros(2, 41, 41, dtype=torch.float64)
    maps[0, 20, 20] = maps[1, 0, 0] = 1
    mass = metrics.gaussian_blur(maps, 4).sum((-2, -1))
    assert mass[0] == pytest.approx(1)
    assert 0.25 < mass[1] < 0.35


def test_blur_of_counts_arrays_and_floats():
    counts = np.random.default_rng(0).poisson(0.1, (20, 30))
    as_float = torch.tensor(counts, dtype=torch.float32)
    assert metrics.gaussian_blur(as_float, 2).dtype == torch.float32
    same(metrics.gaussian_blur(counts, 2).float(), metrics.gaussian_blur(as_float, 2))
    same(metrics.gaussian_blur(as_float, 0), as_float)
    for wrong in (-1, float("nan")):
        with pytest.raises(ValueError, match="sigma must be 0 or more"):
            metrics.gaussian_blur(counts, wrong)


def test_density_sums_to_one_and_is_nan_without_fixations():
    counts = np.zeros((3, 20, 30))
    counts[0, 3, 4] = 2
    counts[1, ::5, ::5] = 1
    density = metrics.density(counts, 2.0)
    same(density[:2].sum((-2, -1)), torch.ones(2, dtype=torch.float64))
    assert density[2].isnan().all()
    assert metrics.cc(torch.rand(20, 30), density).isnan().tolist() == [False, False, True]
    same(metrics.density(counts[0]), metrics.density(counts[0], 0.9))


# --- halves, growing groups, information gain ----------------------------------------------------


def test_information_gain_equals_drawing_the_densities():
    x, y, observer = gaze(70, seed=4)
    counts = count_maps(x, y, observer, 5)
    baseline = metrics.gaussian_blur(counts.sum(0), 9.0) + 0.01
    gain = metrics.InformationGain(baseline, uniform=0.1, prior=0.2)
    prior = baseline / baseline.sum()

    def drawn_gain(maps, own):
        kernel = maps / maps.sum((-2, -1), keepdim=True)
        return metrics.ig(0.7 * kernel + 0.1 / (48 * 64) + 0.2 * prior, own, baseline)

    expected = drawn(drawn_gain, counts, 2.5)
    same(leave_one_out(x, y, observer, SIZE, gain, 2.5), expected, rtol=1e-9, atol=1e-9)
    over_uniform = drawn(
        lambda m, own: metrics.ig(0.9 * m / m.sum() + 0.1 / m.numel(), own, torch.ones(SIZE)),
        counts,
        2.5,
    )
    same(leave_one_out(x, y, observer, SIZE, "ig", 2.5), over_uniform, rtol=1e-9, atol=1e-9)


def test_the_baseline_alone_gains_nothing():
    points = gaze()
    baseline = torch.rand(SIZE)
    alone = metrics.InformationGain(baseline, uniform=0.0, prior=1.0)
    same(leave_one_out(*points, SIZE, alone), torch.zeros(5, dtype=torch.float64))
    with pytest.raises(ValueError, match="weights must be ≥ 0 and sum to at most 1"):
        metrics.InformationGain(baseline, uniform=0.6, prior=0.5)
    with pytest.raises(ValueError, match=r"baseline is \(3, 3\), the image \(48, 64\)"):
        leave_one_out(*points, SIZE, metrics.InformationGain(torch.ones(3, 3)))


@pytest.mark.parametrize("metric", ["nss", "ig", metrics.auc_judd])
def test_two_observers_have_one_split(metric):
    points = gaze(40, observers=2)
    each = leave_one_out(*points, SIZE, metric, 3.0)
    split = metrics.split_half(*points, SIZE, metric, 3.0, splits=3)
    same(split, each.mean().expand(3), rtol=1e-9, atol=1e-12)


def test_halves_partition_the_observers_who_looked():
    _, member = human.fixated(*gaze(60, observers=7), SIZE)
    member[3] = 0  # looked away
    trials = human.halves(member, splits=20, seed=1)
    same(trials.predict + trials.target, member.sum(0).expand(40, -1))
    same(trials.predict[:20], trials.target[20:])
    observers_in_half = [(member @ half > 0).sum().item() for half in trials.predict[:20]]
    assert set(observers_in_half) == {3}
    assert len(set(map(tuple, trials.predict[:20].tolist()))) > 5
    again = human.halves(member, splits=20, seed=1)
    same(again.predict, trials.predict)


def test_groups_grow_and_never_hold_whom_they_predict():
    _, member = human.fixated(*gaze(80, observers=6), SIZE)
    numbers = [1, 3, 5, 6]
    trials = human.growing(member, numbers, subsets=15, seed=2)
    assert (trials.predict * trials.target).sum() == 0
    predict, target = (t.view(4, 15, -1) for t in (trials.predict, trials.target))
    for k, n in enumerate(numbers):
        who = ((member @ predict[k].T) > 0).sum(0)
        assert set(who.tolist()) == {min(n, 5)}
    assert ((predict[1] - predict[0]) >= 0).all()
    same(target[0], target[2])
    assert target[3].sum() == 0  # nobody is left
    scores = metrics.by_observers(*gaze(80, observers=6), SIZE, numbers, subsets=15, seed=2)
    assert scores.isnan().all(1).tolist() == [False, False, False, True]


def test_all_but_one_observer_is_leaving_one_out():
    points = gaze(80, observers=4)
    each = leave_one_out(*points, SIZE, "nss", 3.0)
    turns = metrics.by_observers(*points, SIZE, [3], "nss", 3.0)[0]
    torch.testing.assert_close(turns, each, atol=1e-9, rtol=0)
    twice = metrics.by_observers(*points, SIZE, [3], "nss", 3.0, subsets=8, seed=5)[0]
    torch.testing.assert_close(twice, each.repeat(2), atol=1e-9, rtol=0)


def test_more_observers_predict_better():
    points = gaze(600, observers=12, seed=8)
    for metric in ("nss", "auc", "ig"):
        curve = metrics.by_observers(*points, SIZE, [1, 3, 11], metric, 4.0, subsets=30).mean(1)
        assert curve[0] < curve[1] < curve[2]


@pytest.mark.parametrize("metric", ["nss", "auc", "ig"])
def test_too_few_observers_have_no_halves(metric):
    x, y, observer = gaze(20)
    for n in (20, 0):
        alone = x[:n], y[:n], torch.zeros_like(observer[:n])
        assert metrics.split_half(*alone, SIZE, metric).isnan().all()
        assert metrics.by_observers(*alone, SIZE, [1, 2], metric).isnan().all()
