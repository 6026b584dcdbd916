"""The floor of statistics: against textbook values, scipy, and what each number promises."""

import ast

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.stats import spearmanr

from saliencykit import intervals
from saliencykit.intervals import (
    adjusted,
    bounds,
    exact,
    image_weights,
    interval,
    jackknife,
    rank_correlation,
    resampled,
    student_p,
    wilson,
    with_own,
)
from saliencykit.paths import PACKAGE

numbers = st.integers(-4, 4)


def test_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    ends = np.array([interval(rng.normal(size=60), n=300)[1:] for _ in range(200)])
    covered = ((ends[:, 0] < 0) & (ends[:, 1] > 0)).mean()
    assert 0.89 < covered <= 0.99
    mean, low, high = interval([1.0, np.nan])
    assert mean == 1
    assert np.isnan([low, high, *interval([])]).all()


def test_bounds_of_tensors_and_arrays_are_the_same_percentiles():
    draws = np.random.default_rng(0).normal(size=(1000, 3))
    draws[5, 1] = np.nan
    low, high = bounds(draws)
    for ours, of_tensor, q in zip(
        (low, high), bounds(torch.tensor(draws)), (2.5, 97.5), strict=True
    ):
        assert np.array_equal(ours, np.nanpercentile(draws, q, axis=0))
        assert ours == pytest.approx(of_tensor.numpy(), rel=1e-12)
    narrow = bounds(draws, level=0.5)
    assert (low < narrow[0]).all()
    assert (narrow[1] < high).all()


@pytest.mark.parametrize(("hits", "n"), [(0, 4), (1, 4), (7, 20), (20, 20)])
def test_the_exact_interval_leaves_a_fortieth_on_either_side(hits, n):
    low, high = exact(hits, n)
    assert stats.binom.sf(hits - 1, n, low) == pytest.approx(0.025) if hits else low == 0
    assert stats.binom.cdf(hits, n, high) == pytest.approx(0.025) if hits < n else high == 1


@pytest.mark.parametrize(("hits", "n"), [(0, 0), (3, 2)])
def test_no_share_is_told_of_no_trials(hits, n):
    with pytest.raises(ValueError, match=r"."):
        exact(hits, n)


def test_wilson_s_interval_is_the_textbook_s():
    z, p, n = 1.959964, 0.8, 50
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    assert wilson(40, 50) == (pytest.approx(middle - reach), pytest.approx(middle + reach))


def test_jackknife_of_a_mean_is_the_textbook_interval():
    values = torch.randn(12, 1, generator=torch.Generator().manual_seed(0)).double()
    left = (values.sum(0) - values) / 11
    low, high = jackknife(values.mean(0), left)
    reach = 2.200985160 * values.std(0) / 12**0.5  # t at 0.975 with 11 degrees of freedom
    torch.testing.assert_close(low, values.mean(0) - reach)
    torch.testing.assert_close(high, values.mean(0) + reach)


def test_resamples_come_after_the_data_themselves():
    drawn = resampled(5, 40, seed=1)
    assert drawn.shape == (41, 5)
    assert drawn[0].tolist() == list(range(5))
    assert set(drawn[1:].ravel()) == set(range(5))
    weights = with_own(image_weights(5, 40, seed=1))
    assert weights[0].tolist() == [1] * 5
    assert (weights.sum(1) == 5).all()


def test_student_s_p_is_the_table_s():
    assert student_p(2.228139, 10) == pytest.approx(0.05, abs=1e-6)
    assert np.isnan(student_p(np.nan, 0))


@pytest.mark.parametrize("form", [torch.tensor, np.array, lambda p: pd.Series(np.ravel(p))])
def test_adjusted_is_benjamini_hochberg(form):
    given = form([[0.01, 0.04, np.nan], [0.03, 0.5, 0.02]])
    found = adjusted(given)
    assert type(found) is type(given)
    expected = [0.05, 0.05, np.nan, 0.05, 0.5, 0.05]
    assert np.ravel(found) == pytest.approx(expected, nan_ok=True)
    assert np.isnan(np.ravel(adjusted(form([[np.nan]])))).all()


def test_adjusted_keeps_a_table_s_rows_and_a_tensor_s_type():
    found = adjusted(pd.Series([0.2, np.nan, 0.01], index=[7, 3, 5]))
    assert found.index.tolist() == [7, 3, 5]
    assert found[5] == pytest.approx(0.02)
    assert adjusted(torch.tensor([0.2])).dtype == torch.float32


@given(arrays(np.float64, (2, 8), elements=numbers))
def test_rank_correlation_is_spearman_s(values):
    found = rank_correlation(*values)
    if min(np.ptp(values, 1)) == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(*values).statistic)


def test_rank_correlation_goes_row_by_row():
    x, y = np.random.default_rng(0).integers(0, 5, (2, 6, 30))
    expected = [spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)]
    assert rank_correlation(x, y) == pytest.approx(expected)
    assert np.isnan(rank_correlation(x, np.ones_like(y))).all()
    assert rank_correlation(x[0], y)[0] == rank_correlation(x, y)[0]


@pytest.mark.filterwarnings("error")
def test_rank_correlation_leaves_missing_pairs_out():
    first, second = np.array([1.0, 2, 3, np.nan, 5]), np.array([[2.0, 1, 4, 0, 9]] * 2)
    second[1, 0] = np.nan
    expected = [spearmanr([1, 2, 3, 5], [2, 1, 4, 9])[0], spearmanr([2, 3, 5], [1, 4, 9])[0]]
    assert rank_correlation(first, second) == pytest.approx(expected)
    assert np.isnan(rank_correlation([1, 2, np.nan], [1, 2, 3]))
    assert np.isnan(rank_correlation([np.nan] * 3, [1, 2, 3]))


def assigned(path):
    """Names that a file gives a value to, at its top."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = [node for node in tree.body if isinstance(node, ast.Assign)]
    return {target.id for node in nodes for target in node.targets if isinstance(target, ast.Name)}


@pytest.mark.parametrize("name", ["LEVEL", "RATE"])
def test_level_and_rate_stand_once(name):
    homes = [path for path in PACKAGE.rglob("*.py") if name in assigned(path)]
    assert homes == [PACKAGE / "intervals.py"]


def test_how_likely_is_student_s_density_but_for_a_constant():
    off, trainings = np.array([0.0, 0.3, -2.0]), 5
    scale = 0.7
    reach = scale * stats.t.ppf(0.975, trainings - 1)
    dense = stats.t.logpdf(off, trainings - 1, scale=scale)
    found = intervals.how_likely(off, reach, trainings)
    assert found - found[0] == pytest.approx(dense - dense[0])
    assert np.isnan(intervals.how_likely(0.1, np.nan, 5))


def test_a_share_of_trainings_is_wilson_s_where_it_varies_as_one_would():
    grid = (np.arange(50) % 5 == 0)[None].astype(float)
    found = intervals.of_images(grid, n=100_000)
    told = intervals.of_share(found, 50)
    low, high = intervals.wilson(10, 50)
    assert (told.low, told.high) == (pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.01))
    wide = found._replace(low=found.value - 0.3, high=found.value + 0.3)  # as trainings may make it
    assert intervals.of_share(wide, 50).high > told.high + 0.1


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_none_or_all_is_not_taken_for_sure(share):
    found = intervals.of_images(np.full((3, 20), share))
    told = intervals.of_share(found, 20)
    assert told.high - told.low == pytest.approx(0.161, abs=1e-3)
    few = intervals.of_share(intervals.of_images(np.full((3, 9), share)), 9)
    assert np.isnan([few.low, few.high]).all()


@pytest.mark.slow
@pytest.mark.parametrize("trainings", [3, 5])
def test_intervals_that_hold_together_do_so_on_few_images_too(trainings):
    """Twelve independent numbers of which nothing is true, on as few images as have intervals."""
    rng, wrong = np.random.default_rng(0), []
    for _ in range(200):
        scores = rng.standard_normal((intervals.IMAGES, 12))
        values = scores.mean(0) + 0.1 * rng.standard_normal((trainings, 12))
        drawn = intervals.times_drawn(np.ones(len(scores)), 400, rng) @ scores / len(scores)
        found = intervals.together(values, drawn + values.mean(0) - scores.mean(0), len(scores))
        wrong.append(((found.low > 0) | (found.high < 0)).any())
    assert np.mean(wrong) < 0.10  # 5 % are promised; a share of 200 is known to 3 %


def test_nobody_else_makes_intervals_or_p_values():
    """Elsewhere, what makes them is not even named; a quantile of something else may be."""
    makers = {"bootstrap", "binomtest", "proportion_ci", "false_discovery_control", "multinomial",
              "nanquantile", "nanpercentile", "percentile", "ppf", "sf", "spearmanr"}  # fmt: skip
    for path in PACKAGE.rglob("*.py"):
        if path != PACKAGE / "intervals.py":
            tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            called = {n.attr for n in tree if isinstance(n, ast.Attribute)}
            assert not called & makers, path


def test_the_floor_stands_on_nothing_of_the_house():
    source = (PACKAGE / "intervals.py").read_text(encoding="utf-8")
    imported = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ImportFrom)]
    assert not any(n.level or (n.module or "").startswith("saliencykit") for n in imported)
    assert intervals.LEVEL == 0.95


def test_numbers_on_images_of_their_own_are_steadied_by_how_many_these_are():
    rng, images = np.random.default_rng(0), np.array([186.0, 36, 61, 143, 109, 22, 48, 29])
    values = rng.normal(size=(3, 8))
    alike = intervals.together(values, images=np.full(8, 64))
    found = intervals.together(values / np.sqrt(images), images=images)
    for end in ("low", "value", "high"):
        expected = getattr(alike, end) / np.sqrt(images)
        assert getattr(found, end) == pytest.approx(expected)
    other = intervals.together(values / np.sqrt(images), images=np.full(8, 64))
    assert (found.high - found.low)[0] < (other.high - other.low)[0]  # many images tell more


def test_intervals_on_images_of_their_own_hold_together():
    rng, images = np.random.default_rng(0), np.array([186, 36, 61, 143, 109, 22, 48, 29])
    wrong = []
    for _ in range(400):
        found = intervals.together(rng.normal(size=(3, 8)) / np.sqrt(images), images=images)
        wrong.append((found.low > 0) | (found.high < 0))
    assert np.any(wrong, 1).mean() < 0.09  # 5 % are promised
    assert np.mean(wrong, 0).max() < 0.04  # and no number alarms for all


@pytest.mark.parametrize("count", [2, 5, 20])
def test_the_true_spread_lies_where_few_values_say(count):
    seen = np.random.default_rng(count).normal(size=(20_000, count)).std(1, ddof=1)
    low, high = intervals.of_spread(count)
    held = ((seen * low <= 1) & (seen * high >= 1)).mean()
    assert held == pytest.approx(0.95, abs=0.01)
    with pytest.raises(ValueError, match="1 values have no spread"):
        intervals.of_spread(1)
