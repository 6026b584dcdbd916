"""Orders of models on photographs and arrays, and failures by image and category."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from saliencykit.analyses.failures import tables as failures
from saliencykit.analyses.failures.tables import compared
from saliencykit.analyses.pop_out import tables as popout
from saliencykit.metrics import density

ARRAYS = pd.DataFrame(
    {"name": [f"a{k}" for k in range(8)], "feature": ["colour", "size"] * 4, "set_size": [4] * 8}
)


def scores(values, metric, images=None):
    """Long table from {model: values}."""
    rows = [
        (model, image, metric, value)
        for model, column in values.items()
        for image, value in zip(
            images or [f"a{k}" for k in range(len(column))], column, strict=True
        )
    ]
    return pd.DataFrame(rows, columns=["model", "image", "metric", "value"])


def test_conditions_are_averaged_over_their_own_arrays():
    table = scores({"m": [1, 10, 2, 20, 3, 30, 4, 40]}, "gsi")
    found = popout.by_condition(table, ARRAYS, ["feature"]).set_index("feature")
    assert found.loc["colour", "mean"] == 2.5
    assert found.loc["size", "mean"] == 25
    assert found.loc["size", "low"] < 25 < found.loc["size", "high"]
    assert found.arrays.tolist() == [4, 4]


def test_found_within_counts_and_covers():
    table = scores({"m": [1, 1, 2, 3, 4, 8, 100, 100]}, "fixations_to_find")
    found = popout.found_within(table, ARRAYS, [1, 4, 64], ["set_size"])
    assert found.share.tolist() == [2 / 8, 5 / 8, 6 / 8]
    assert (found.low < found.share).all()
    assert (found.share < found.high).all()
    assert found.set_size.tolist() == [4, 4, 4]


def noisy(rng, mean, n=60):
    return mean + rng.normal(0, 0.1, n)


@pytest.mark.parametrize(("turn", "correlation"), [(1, 1.0), (-1, -1.0)])
def test_orders_that_agree_and_that_invert(turn, correlation):
    rng = np.random.default_rng(0)
    means = {"fine-tuned": 3, "frozen": 2, "gbvs": 1, "aim": 0}
    natural = scores({m: noisy(rng, v) for m, v in means.items()}, "nss")
    arrays = scores({m: noisy(rng, turn * v) for m, v in means.items()}, "gsi")
    table, spans = popout.orders(natural, arrays, ["fine-tuned", "frozen"])
    assert spans["correlation"] == pytest.approx((correlation,) * 3)
    assert spans["networks"][0] == (0 if turn == 1 else 2)
    assert spans["classical"][0] == (0 if turn == 1 else -2)
    assert table.natural_rank.tolist() == [1, 2, 3, 4]
    assert table.arrays_rank.tolist() == ([1, 2, 3, 4] if turn == 1 else [4, 3, 2, 1])


def test_networks_are_those_told_whatever_their_names():
    rng = np.random.default_rng(0)
    natural = scores({m: noisy(rng, v) for m, v in {"vgg": 2, "frozen in time": 1}.items()}, "nss")
    arrays = scores({m: noisy(rng, v) for m, v in {"vgg": 1, "frozen in time": 2}.items()}, "gsi")
    _, spans = popout.orders(natural, arrays, ["vgg", "not scored here"])
    assert (spans["networks"][0], spans["classical"][0]) == (1, -1)


def test_orders_without_a_difference_are_undecided_and_equal_spearman():
    rng = np.random.default_rng(1)
    names = ["fine-tuned", "frozen", *"abcdef"]
    natural = scores({m: noisy(rng, 0) for m in names}, "nss")
    arrays = scores({m: noisy(rng, 0) for m in names}, "gsi")
    table, spans = popout.orders(natural, arrays, ["fine-tuned", "frozen"])
    value, low, high = spans["correlation"]
    assert low < 0 < high
    assert value == pytest.approx(stats.spearmanr(table.natural, table.arrays).statistic)
    assert spans["networks"][1] < 0 < spans["networks"][2]


def test_orders_leave_out_people_and_images_without_a_score():
    natural = scores({"gbvs": [1.0, np.nan, 3], "frozen": [2.0, 5, 6], "human": [9.0, 9, 9]}, "nss")
    arrays = scores({"gbvs": [0.1, 0.2], "frozen": [0.0, 0.0]}, "gsi")
    table, _ = popout.orders(natural, arrays, ["fine-tuned", "frozen"])
    assert table.model.tolist() == ["gbvs", "frozen"]
    assert table.natural.tolist() == [2, 4]  # the second image has no score of gbvs


@pytest.mark.parametrize("own_images", [False, True])
def test_compared_is_paired_with_the_plain_model(own_images):
    rng = np.random.default_rng(0)
    plain = rng.normal(0, 10, (3, 40))
    if own_images:
        plain[np.arange(40) % 3 != np.arange(3)[:, None]] = np.nan
    arrays = rng.normal(0, 10, (3, 40))
    sides = {
        "natural": {"plain": plain, "new": plain - 0.5},
        "arrays": {"plain": arrays, "new": arrays + 1},
    }
    found = compared(sides, "plain", own_images).set_index(["model", "side"])
    assert found.loc[("new", "natural"), "difference"] == pytest.approx(-0.5)
    assert found.loc[("new", "natural"), "high"] == pytest.approx(-0.5)
    assert found.loc[("new", "arrays"), "low"] == pytest.approx(1)
    assert found.loc[("new", "arrays"), "each"] == "1 1 1"
    assert found.loc[("plain", "arrays"), ["difference", "low", "high"]].tolist() == [0, 0, 0]


def test_gaps_rank_the_worst_first():
    table = scores({"m": [1.0, 2, np.nan, 0], "human": [2.0, 5, 9, 0.5]}, "nss")
    found = failures.gaps(table, "m")
    assert found.image.tolist() == ["a1", "a0", "a3"]
    assert found.gap.tolist() == [3, 1, 0.5]
    assert found["rank"].tolist() == [1, 2, 3]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 9), st.integers(2, 9))
def test_a_matched_map_has_the_target_s_values_in_its_own_order(seed, h, w):
    random = torch.Generator().manual_seed(seed)
    saliency, target = torch.rand(2, h, w, generator=random)
    found = failures.matched(saliency, target)
    assert torch.equal(found.flatten().sort().values, target.flatten().sort().values)
    assert torch.equal(found.flatten().argsort(), saliency.flatten().argsort())
    assert torch.equal(failures.matched(target.double() ** 3 + 5, target), target)


def test_residual_of_a_perfect_model_is_zero_and_sums_to_zero():
    counts = torch.zeros(40, 60)
    counts[10, 20] = counts[30, 50] = 3
    people = density(counts)
    assert failures.residual(people * 8, counts).abs().max() == 0
    other = failures.residual(torch.rand(40, 60), counts)
    assert other.sum().abs() < 1e-5
    assert other[10, 20] < 0 < other.max()
