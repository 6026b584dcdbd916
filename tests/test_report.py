import numpy as np
import pandas as pd
import pytest
import torch

from saliencykit.dissection import Dissection, report

IMAGES = [f"i{k}" for k in range(20)]


def made(seed, shift=0.0):
    """Two regions an image: unit 3 responds in "a" (`shift` adds to it), unit 1 in "b"."""
    random = np.random.default_rng(seed)
    scores = random.normal(0, 0.1, (40, 6)).astype(np.float32)
    scores[0::2, 3] += 2 + shift
    scores[1::2, 1] += 1
    regions = pd.DataFrame(
        {
            "image": np.repeat(IMAGES, 2),
            "category": ["a", "b"] * 20,
            "sure": True,
            "fixations": 5,
        }
    )
    return Dissection({"deep": torch.from_numpy(scores)}, regions, ("a", "b", "never"))


def test_best_units_are_the_most_selective():
    table = report.best_units(made(0), "deep", k=2)
    assert table[table["rank"] == 1][["category", "unit"]].to_numpy().tolist() == [
        ["a", 3],
        ["b", 1],
    ]
    assert (table.groupby("category").selectivity.diff().dropna() < 0).all()
    assert "never" not in set(table.category)


def test_best_images_are_sorted_and_of_the_category():
    result = made(0)
    of_a = result.scores["deep"][0::2, 3]
    expected = [IMAGES[k] for k in of_a.argsort(descending=True)[:4].tolist()]
    assert report.best_images(result, "deep", 3, 4, "a") == expected
    assert report.best_images(result, "deep", 3, 4) == expected  # unit 3 responds in "a" alone
    assert report.best_images(result, "deep", 3, 4, "b") != expected


def test_present_leaves_out_what_nobody_fixated():
    assert report.present(made(0)) == ["a", "b"]


def test_counts_sweep_the_threshold():
    table = report.counts({"x": made(0)}, "deep", [0.5, 1.5, 9])
    of_a = table[table.category == "a"].set_index("threshold")
    assert of_a.units.to_dict() == {0.5: 1, 1.5: 1, 9.0: 0}
    assert of_a.share[1.5] == pytest.approx(1 / 6)


@pytest.mark.parametrize(("images", "told"), [(report.MIN_IMAGES, True), (4, False), (0, False)])
def test_of_a_category_on_few_images_no_units_are_counted(images, told):
    result = made(0)
    unseen = result.regions["category"].eq("b") & ~result.regions["image"].isin(IMAGES[:images])
    result.regions.loc[unseen, "fixations"] = 0
    units = report.counts({"x": result}, "deep", [0.5]).set_index("category")["units"]
    assert units.notna().to_dict() == {"a": True, "b": told, "never": False}


def test_gain_of_several_layers():
    before, after = made(0), made(1, shift=0.5)
    table = report.gain(before, after, ["deep"], 1)
    row = table[table.category == "a"].iloc[0]
    assert row.layer == "deep"
    assert row.difference == pytest.approx(row.after - row.before)
    assert row.difference_low < row.difference < row.difference_high
