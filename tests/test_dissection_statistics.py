"""Bootstrap, top units and change on invented scores, where the answer is known."""

import numpy as np
import pandas as pd
import pytest
import torch

from saliencykit.dissection import Dissection, bootstrap, change, top_mean
from saliencykit.dissection.top_units import counts_above
from saliencykit.registry import UnknownNameError


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def made_up(scores, per_image=2, categories=("text", "person_head")):
    """A dissection of invented scores (R, C), two regions an image."""
    n = len(scores)
    regions = pd.DataFrame(
        {
            "image": [f"{i // per_image}" for i in range(n)],
            "category": [categories[i % len(categories)] for i in range(n)],
            "sure": True,
            "fixations": 5,
        }
    )
    return Dissection({"a": scores}, regions, tuple(sorted(categories)))


def test_bootstrap_interval_is_that_of_a_mean_over_images():
    scores = noise(400, 3)
    scores[1::2] = scores[0::2]  # two regions of an image, alike: half as many as they seem
    res = made_up(scores, categories=("text",))
    value, low, high = bootstrap(res, "a", n=2000)
    np.testing.assert_allclose(value, res.selectivity("a"), atol=1e-5)
    half = 1.96 * scores[::2].std(0, correction=0) / 200**0.5
    np.testing.assert_allclose((high - low) / 2, half[None], rtol=0.08)
    np.testing.assert_allclose((high + low) / 2, value, atol=0.02)
    best, low, high = bootstrap(res, "a", lambda s: s.amax(1), n=200)
    assert best.shape == (1, 1)
    assert best.iloc[0, 0] == pytest.approx(value.max(axis=None))


def test_top_mean_is_optimistic_unless_cross_fitted():
    res = made_up(noise(200, 1000))
    same = top_mean(res, "a", k=10, n=200).set_index("category")
    crossed = top_mean(res, "a", k=10, n=200, selection="crossfit").set_index("category")
    expected = res.selectivity("a").apply(lambda row: row.nlargest(10).mean(), axis=1)
    np.testing.assert_allclose(same["mean"], expected, rtol=1e-5)
    assert (same["low"] > 0.1).all()  # noise alone passes for selectivity
    assert (crossed["mean"].abs() < 0.06).all()
    assert ((crossed["low"] < crossed["mean"]) & (crossed["mean"] < crossed["high"])).all()


def test_cross_fitting_keeps_a_real_effect():
    scores = noise(200, 300)
    scores[:, :10] += 1.5
    crossed = top_mean(made_up(scores), "a", selection="crossfit", n=100)
    assert crossed["mean"].between(1.4, 1.6).all()


def test_counts_above_thresholds():
    scores = torch.tensor([[0.0, 1.6, 2.0], [1.5, 1.4, torch.nan]])
    table = counts_above(made_up(scores), "a", [1.0, 1.5])
    assert table.loc["text"].tolist() == [2, 2]
    assert table.loc["person_head"].tolist() == [2, 0]
    assert counts_above(made_up(scores), "a").columns.tolist() == [1.5]


@pytest.mark.parametrize("selection", ["same", "crossfit"])
def test_change_recovers_what_was_planted(selection):
    scores = noise(300, 40)
    scores[:, :10] += 2
    gained = scores.clone()
    gained[0::2, :10] += 0.5  # text
    gained[1::2, :10] += 1.25  # person_head
    before, after = made_up(scores), made_up(gained)
    table = change(before, after, "a", n=200, selection=selection).set_index("category")
    np.testing.assert_allclose(table.loc["text", "difference"], 0.5, atol=1e-4)
    np.testing.assert_allclose(table["after"] - table["before"], table["difference"], atol=1e-5)
    # Paired: the same images in both, so the common noise cancels.
    assert (table["difference_high"] - table["difference_low"] < 1e-3).all()
    assert (table["after_high"] - table["after_low"] > 0.02).all()


def test_change_refuses_other_regions_and_unknown_names():
    one, two = made_up(noise(8, 5)), made_up(noise(6, 5))
    with pytest.raises(ValueError, match="same regions"):
        change(one, two, "a")
    with pytest.raises(UnknownNameError, match="crossfit"):
        top_mean(one, "a", selection="crosfit")
    with pytest.raises(ValueError, match="k is 0"):
        top_mean(one, "a", k=0)


@pytest.mark.parametrize("selection", ["same", "crossfit"])
def test_a_category_on_few_images_is_not_told(selection):
    """One image resampled is always the same image: its interval would be a point."""
    for images, told in ((4, False), (5, True)):
        table = top_mean(made_up(noise(2 * images, 20)), "a", k=2, n=50, selection=selection)
        assert table[["mean", "low", "high"]].notna().all(axis=None) == told
