"""Which networks became alike, by task: on networks whose likeness is known."""

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from saliencykit.analyses.task_or_domain.tables import MEAN, apart, drift, gains, pairs
from saliencykit.dissection import Dissection, change
from saliencykit.findings import alike
from saliencykit.findings.alike import (
    LIKENESSES,
    by_layer,
    by_selectivity,
    by_training,
    correlated,
    dealt,
    likeness,
    over_trainings,
    within_between,
)
from saliencykit.intervals import IMAGES

UNITS, CATEGORIES = 30, ("a", "b", "c", "never")
TASKS = ["one", "two", "three"]


def dissections(changes, noise=0.0, images=40, seed=0):
    """One before, and one after each of `changes` (3, UNITS), with noise of their own."""
    random = torch.Generator().manual_seed(seed)
    seen = [f"i{k}" for k in range(images)]
    about = {"category": ["a", "b", "c"] * images, "sure": True, "fixations": 3}
    regions = pd.DataFrame({"image": np.repeat(seen, 3), **about})
    common = torch.randn(3 * images, UNITS, generator=random)

    def one(shift):
        own = noise * torch.randn(3 * images, UNITS, generator=random)
        scores = common + own + shift.repeat(images, 1)
        return Dissection({"deep": scores}, regions, CATEGORIES)

    return [one(torch.zeros(3, UNITS)), *map(one, changes)]


def directions(n, seed=0):
    return torch.randn(n, 3, UNITS, generator=torch.Generator().manual_seed(seed))


def matrices(rng, trainings=3, effect=0.0, luck=1.0, images=0.3, blocks=20, tasks=3):
    """Likenesses (1 + blocks, 1 + K, 1 + K) of networks with features that `tasks` share."""
    network = luck * rng.standard_normal((tasks, trainings, 40))
    network += effect * rng.standard_normal((tasks, 1, 40))
    network = network.reshape(-1, 40)
    network = np.vstack([rng.standard_normal((1, 40)), network])
    product = network @ network.T / 40
    each = images * rng.standard_normal((blocks, *product.shape))
    each = each + each.swapaxes(1, 2)
    left = product + (each.sum(0) - each) / (blocks - 1)
    return torch.tensor(np.concatenate([product + each.mean(0, keepdims=True), left]))


def test_a_rise_of_all_units_or_all_categories_counts_for_nothing():
    shift = 3 * torch.ones(3, UNITS) + torch.arange(3.0)[:, None] + torch.arange(UNITS)
    found = by_selectivity(dissections([shift, 0 * shift]), "deep")["selectivity"][0]
    assert found.numpy() == pytest.approx(np.ones((3, 3)), abs=1e-5)


def test_changes_are_alike_by_direction_whatever_their_length():
    x, y = directions(2)
    found = by_selectivity(dissections([x, 0.1 * x, y]), "deep")
    assert found["change"][0, 1, 2].item() == pytest.approx(1, abs=1e-4)
    assert abs(found["change"][0, 1, 3].item()) < 0.4
    assert found["selectivity"][0, 1, 2] < 0.8
    assert found["change"][0, 0].isnan().all()


def test_selectivities_correlate_as_pandas_and_numpy_say_with_each_block_left_out():
    networks = dissections(directions(2), noise=1.0, images=24)
    found = by_selectivity(networks, "deep")["selectivity"]
    assert found.shape == (21, 3, 3)
    for row, left in ((0, None), (3, 2)):
        kept = [f"i{k}" for k in range(24) if k % 20 != left]
        tables = [one.subset(kept).selectivity("deep").dropna().to_numpy() for one in networks]
        tables = [s - s.mean(0) - s.mean(1, keepdims=True) + s.mean() for s in tables]
        by_hand = np.corrcoef([s.ravel() for s in tables])
        assert found[row].numpy() == pytest.approx(by_hand, abs=1e-4)


def test_what_too_few_images_show_is_nan_and_other_regions_are_refused():
    found = by_selectivity(dissections(directions(2), images=9), "deep")
    assert all(values.isnan().all() for values in found.values())
    first, second = dissections(directions(1), images=12), dissections(directions(1), images=13)
    with pytest.raises(ValueError, match="same regions"):
        likeness({}, first[0], {"one": second})
    assert correlated(torch.zeros(1, 2, 3, 4)).isnan().all()


def test_within_and_between_are_means_over_pairs_of_different_trainings():
    each = by_training(matrices(np.random.default_rng(0)), 3)
    within, between = [], []
    for (t, k), (u, other) in itertools.product(itertools.product(range(3), repeat=2), repeat=2):
        if k != other:
            (within if t == u else between).append(each[0, t, k, u, other])
    assert (len(within), len(between)) == (18, 36)
    expected = np.mean(within), np.mean(between), np.mean(within) - np.mean(between)
    assert within_between(each)[0] == pytest.approx(expected)
    assert np.isnan(within_between(each[:, :, :1, :, :1])).all()


def test_the_null_deals_networks_of_one_seed_among_the_tasks():
    each = by_training(matrices(np.random.default_rng(1), tasks=2), 2)[0]
    by_hand = []
    for deal in itertools.product([(0, 1), (1, 0)], repeat=2):
        deal = [(0, 1), *deal]
        moved = np.empty_like(each)
        for t, k, u, other in np.ndindex(each.shape):
            moved[t, k, u, other] = each[deal[k][t], k, deal[other][u], other]
        by_hand.append(within_between(moved[None])[0, 2])
    assert sorted(dealt(each, 10_000)) == pytest.approx(sorted(by_hand))
    assert dealt(each, 10_000)[0] == pytest.approx(by_hand[0])
    assert len(dealt(each, 3)) == 4  # three at random beside the own


def layered(**how):
    rng = np.random.default_rng(2)
    return {
        layer: {name: matrices(rng, **how) for name in (*LIKENESSES, "correlation")}
        for layer in ("shallow", "deep")
    }


@pytest.mark.parametrize(("trainings", "images"), [(3, 0.3), (4, 3.0)])
def test_tasks_that_shape_nothing_alarm_as_seldom_as_promised(trainings, images):
    random, n = np.random.default_rng(trainings), 300
    worlds = [matrices(random, trainings=trainings, images=images) for _ in range(3 * n)]
    found = pd.concat(
        by_layer({"deep": dict(zip(LIKENESSES, three, strict=True))}, TASKS, n=500)
        for three in zip(worlds[:n], worlds[n : 2 * n], worlds[2 * n :], strict=True)
    )
    said = np.array([(found["p"] <= level).mean() for level in (0.03, 0.05, 0.2)])
    error = np.sqrt(np.array([0.03, 0.05, 0.2]) / len(found))
    assert (said < np.array([0.03, 0.05, 0.2]) + 3 * error).all()
    assert (said > 0).all()


def test_tasks_that_shape_networks_are_found_and_others_not():
    shaped, not_shaped = (by_layer(layered(effect=e), TASKS) for e in (2.0, 0.0))
    assert (shaped["deals"] == 36).all()
    assert shaped["p"].tolist() == pytest.approx([1 / 36] * 6)
    assert (shaped["low"] > 0).all()
    assert np.allclose(shaped["value"], shaped["within"] - shaped["between"])
    assert (shaped["value"] > shaped["null_high"] - 1e-9).all()
    assert (shaped["p_adjusted"] >= shaped["p"]).all()
    assert not_shaped["p_adjusted"].min() > 0.05


def test_without_an_effect_p_is_as_rarely_small_as_it_says():
    rng = np.random.default_rng(0)
    gaps = [dealt(by_training(matrices(rng), 3)[0], 10_000) for _ in range(400)]
    p = np.array([(g >= g[0] - 1e-12).mean() for g in gaps])
    assert 0.05 <= (p <= 1 / 9).mean() <= 0.16


@pytest.mark.parametrize("trainings", [3, 5])
@pytest.mark.parametrize("images", [0.1, 1.0])
def test_intervals_of_pairs_cover_as_promised(trainings, images):
    """The truth: two networks of a task are more alike by 0.5 than two of different tasks."""
    rng, effect = np.random.default_rng(1), 0.5
    covered = []
    for _ in range(300):
        found = by_training(matrices(rng, trainings, images=images), 3)
        found = found + effect * np.eye(3)[None, :, None, :, None]
        told = over_trainings(within_between, found)
        covered.append(told.low[2] <= effect <= told.high[2])
    assert np.mean(covered) >= 0.91


def test_two_trainings_have_no_interval_and_one_no_likeness():
    two = by_layer(layered(trainings=2), TASKS)
    assert two["low"].isna().all()
    assert two["value"].notna().all()
    assert (two["deals"] == 6).all()
    one = by_layer(layered(trainings=1), TASKS)
    assert one[["value", "p", "p_adjusted"]].isna().all(axis=None)
    few = by_layer(layered(blocks=IMAGES - 1), TASKS)
    assert few["low"].isna().all()


def test_two_tasks_are_told_apart_by_their_own_pairs():
    found = layered(effect=1.0)["deep"]
    table = apart(found, TASKS)
    assert table[["first", "second"]].drop_duplicates().to_numpy().tolist() == [
        ["one", "two"], ["one", "three"], ["two", "three"]
    ]  # fmt: skip
    each = by_training(found["change"], 3)[:1]
    two = each[:, ::2][:, :, :, ::2]
    row = table[(table["measure"] == "change") & (table["second"] == "three")].iloc[0]
    assert row["value"] == pytest.approx(within_between(two)[0, 2])
    whole = by_layer({"deep": found}, TASKS).set_index("measure")["value"]
    assert table.groupby("measure")["value"].mean()["change"] == pytest.approx(whole["change"])


def test_pairs_are_the_matrix_in_long_form():
    found = layered()["deep"]
    table = pairs(found, TASKS)
    assert len(table) == 3 * 9 * 9
    row = table[(table["measure"] == "selectivity") & (table["task"] == "two")]
    row = row[(row["training"] == 3) & (row["other"] == "three") & (row["other_training"] == 1)]
    assert row["value"].item() == found["selectivity"][0, 1 + 5, 1 + 6].item()


def test_drift_is_the_likeness_to_the_first_network_by_task():
    found = layered()
    table = drift(found, TASKS).set_index(["layer", "measure", "task"]).sort_index()["value"]
    values = found["deep"]["correlation"][0, 0, 4:7].numpy()
    assert table["deep", "correlation", "two"].tolist() == [*values, pytest.approx(values.mean())]
    assert drift(found, TASKS).set_index("training").loc[MEAN, "low"].notna().all()


def test_gains_are_means_over_trainings_of_each_one_s_change():
    before, *after = dissections(directions(4), noise=1.0)
    table = gains(before, {"one": after[:2], "two": after[2:]}, "deep", 3, n=50)
    each = [change(before, one, "deep", 3, selection="crossfit", n=50) for one in after[2:]]
    rows = table[table["task"] == "two"].set_index(["training", "category"])
    for name in ("before", "after", "difference"):
        values = np.array([one[name][:3] for one in each])
        assert rows.loc["2", name].tolist()[:3] == pytest.approx(values[1].tolist())
        assert rows.loc[MEAN, name].tolist()[:3] == pytest.approx(values.mean(0).tolist())
    assert (rows.loc[MEAN, "after_high"] > rows.loc[MEAN, "after"])[:3].all()
    assert np.isnan(rows.loc[(MEAN, "never"), "after"])


def test_layers_stand_as_in_the_network_also_where_a_file_holds_them_by_name(monkeypatch):
    held = {"features.13": 1, "features.3": 2}
    monkeypatch.setattr(alike, "similarities_cached", lambda *networks, **how: held)
    monkeypatch.setattr(alike, "likeness", lambda similar, *dissections: similar)
    study = SimpleNamespace(
        taught={},
        parts=lambda number: (None, None, None),
        dissect=lambda *asked, **how: None,
        pretrained=None,
        dissected=["features.3", "features.13"],
        size=(1, 1),
    )
    *_, found = alike.compared(study)
    assert list(found) == study.dissected
