"""`Fixations`: what is kept of each, whatever is done with them."""

import numpy as np
import pytest
import torch

from saliencykit.datasets import Fixations
from saliencykit.registry import UnknownNameError

WHOLE = Fixations.of([1, 9, 3], [4, 5, 6], [0, 0, 1], [0, 1, 0], [0.2, np.nan, 0.4])


def test_order_and_duration_are_none_unless_given():
    bare = Fixations.of([1, 2], [3, 4])
    for fixations in (bare, bare.inside(9, 9), bare.scaled((9, 9), (18, 27)), bare[bare.x > 1]):
        assert fixations.order is None
        assert fixations.duration is None


def test_every_column_is_kept_by_what_changes_fixations():
    kept = torch.tensor([0, 2])
    with pytest.warns(UserWarning, match="1 of 3 fixations"):
        inside = WHOLE.inside(8, 8)
    for some in (WHOLE[kept], WHOLE[torch.tensor([True, False, True])], inside):
        for name in ("x", "y", "observer", "order", "duration"):
            assert torch.equal(getattr(some, name), getattr(WHOLE, name)[kept])
    scaled = WHOLE.scaled((10, 10), (20, 30))
    assert scaled.x.tolist() == [3, 27, 9]
    assert scaled.y.tolist() == [8, 10, 12]
    for name in ("observer", "order", "duration"):
        assert getattr(scaled, name) is getattr(WHOLE, name)
    assert WHOLE.order.dtype == torch.int64
    assert WHOLE.duration.dtype == torch.float64


def test_trials_are_numbered_and_ordered():
    trials = [np.array([[1.0, 2, 0.1], [3, 4, 0.2]]), np.zeros((0, 3)), np.array([[5.0, 6, 0.3]])]
    seen = Fixations.of_trials(trials)
    assert seen.x.tolist() == [1, 3, 5]
    assert seen.y.tolist() == [2, 4, 6]
    assert seen.observer.tolist() == [0, 0, 2]
    assert seen.order.tolist() == [0, 1, 0]
    assert seen.duration.tolist() == [0.1, 0.2, 0.3]
    again = Fixations.of_trials([t[:, :2] for t in trials], [7, 8, 7])
    assert again.observer.tolist() == [7, 7, 7]
    assert again.duration is None
    assert len(Fixations.of_trials([])) == 0


@pytest.mark.parametrize("column", ["y", "observer", "order", "duration"])
def test_a_column_of_another_length_is_an_error(column):
    columns = {"x": [1, 2], "y": [1, 2], column: [1, 2, 3]}
    with pytest.raises(ValueError, match=rf"{column}.* differ in length: 2, .*3"):
        Fixations.of(**columns)


def test_no_fixation_lasts_less_than_nothing():
    with pytest.raises(ValueError, match=r"lasts -0\.5 seconds"):
        Fixations.of([1, 2, 3], [1, 2, 3], duration=[0.2, -0.5, np.nan])


# --- weights by duration ------------------------------------------------------------------------


def test_weighted_count_map_is_brute_force():
    random = np.random.default_rng(0)
    x, y, seconds = random.uniform(0, 6, 40), random.uniform(0, 5, 40), random.uniform(0.1, 1, 40)
    seconds[::7] = np.nan
    there = np.zeros((5, 6))
    for fx, fy, s in zip(x, y, seconds, strict=True):
        there[int(fy), int(fx)] += 1 if np.isnan(s) else s / np.nanmean(seconds)
    counts = Fixations.of(x, y, duration=seconds).count_map(5, 6, weights="duration")
    np.testing.assert_allclose(counts, there, rtol=1e-6)
    assert float(counts.sum()) == pytest.approx(40)
    assert counts.dtype == torch.float32


@pytest.mark.parametrize("seconds", [0.1, 0.251, 1 / 3])
def test_equal_durations_count_as_none_do(seconds):
    x = np.linspace(0, 5.9, 37)
    fixations = Fixations.of(x, x, duration=np.full(37, seconds))
    assert torch.equal(fixations.count_map(6, 6, weights="duration"), fixations.count_map(6, 6))
    assert torch.equal(fixations.weights("duration"), torch.ones(37))


def test_the_mean_weight_is_taken_over_the_fixations_inside():
    fixations = Fixations.of([0, 1, 50], [0, 1, 50], duration=[1.0, 3.0, 100.0])
    with pytest.warns(UserWarning, match="1 of 3 fixations"):
        counts = fixations.count_map(2, 2, weights="duration")
    assert counts.tolist() == [[0.5, 0], [0, 1.5]]


def test_unknown_durations_weigh_one_and_nobody_looking_is_fine():
    unknown = Fixations.of([0, 1], [0, 1], duration=[np.nan, np.nan])
    assert unknown.weights("duration").tolist() == [1, 1]
    assert not Fixations.of([], []).count_map(2, 2, weights="duration").any()


def test_weights_that_there_are_not_are_refused():
    bare = Fixations.of([0, 1], [0, 1])
    with pytest.raises(ValueError, match="have no durations"):
        bare.weights("duration")
    with pytest.raises(ValueError, match="all last 0 seconds"):
        Fixations.of([0], [0], duration=[0]).weights("duration")
    with pytest.raises(UnknownNameError, match=r"'durations'\. Did you mean 'duration'"):
        bare.count_map(2, 2, weights="durations")
    with pytest.raises(ValueError, match="binary"):
        WHOLE.count_map(9, 9, binary=True, weights="duration")
