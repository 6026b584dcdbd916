"""Failures by image and category."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saliencykit.analyses.failures import tables as failures
from saliencykit.analyses.failures.tables import compared
from saliencykit.metrics import density


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
    each = found.loc[("new", "arrays"), ["training 1", "training 2", "training 3"]]
    assert each.tolist() == pytest.approx([1, 1, 1])
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
