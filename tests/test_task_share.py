"""How far and where to representations move, by task: on changes whose parts are known."""

import numpy as np
import pandas as pd
import pytest
import torch

from saliencykit.analyses.task_or_domain.tables import dealings, drift, gains, products, shares
from saliencykit.dissection import Dissection, change, similarity
from saliencykit.models import build_encoder
from saliencykit.registry import UnknownNameError
from tests.conftest import Blobs

UNITS, CATEGORIES = 30, ("a", "b", "never")


def vectors(n, seed=0):
    """`n` orthogonal changes of unit mean square over units × the two categories there are."""
    random = torch.randn(2 * UNITS, n, generator=torch.Generator().manual_seed(seed))
    return torch.linalg.qr(random)[0].T * (2 * UNITS) ** 0.5


def networks(changes, noise=0.0, images=40, seed=0):
    """Dissections before and after each of `changes`, all with noise of their own."""
    random = torch.Generator().manual_seed(seed)
    regions = pd.DataFrame(
        {
            "image": np.repeat([f"i{k}" for k in range(images)], 2),
            "category": ["a", "b"] * images,
            "sure": True,
            "fixations": 3,
        }
    )
    common = torch.randn(2 * images, UNITS, generator=random)

    def one(shift):
        own = noise * torch.randn(2 * images, UNITS, generator=random)
        scores = common + own + shift.view(2, UNITS).repeat(images, 1)
        return Dissection({"deep": scores}, regions, CATEGORIES)

    return one(torch.zeros(2 * UNITS)), {f"task {k}": one(d) for k, d in enumerate(changes)}


def told(before, after, level="units", again=None, **how):
    """The shares at one level by (task, other)."""
    table = shares(before, after, ["deep"], again, **{"n": 20, **how})
    return table[table["level"] == level].set_index(["task", "other"])


def test_a_change_that_all_share_is_the_domain_s():
    (domain,) = vectors(1)
    before, after = networks([domain, 2 * domain, 0.5 * domain])
    found = told(before, after)
    assert found.loc[("task 0", "task 1"), "share"] == pytest.approx(2, rel=1e-4)
    assert found.loc[("task 1", "task 0"), "share"] == pytest.approx(0.5, rel=1e-4)
    assert found.loc[("task 0", "the other tasks"), "share"] == pytest.approx(1.25, rel=1e-4)
    sizes = [found.loc[(f"task {k}", "the other tasks"), "size"] for k in range(3)]
    assert sizes == pytest.approx([1, 2, 0.5], rel=1e-4)


def test_a_change_that_nothing_shares_is_the_task_s():
    found = told(*networks(vectors(3)))
    assert found["share"].abs().max() < 1e-4
    assert len(found) == 3 * 3


def test_shares_of_a_mixture_are_how_far_others_went_along_it():
    x, y, z = vectors(3)
    before, after = networks([3 * x + 4 * y, x, -z - 2 * y])
    found = told(before, after)["share"]
    assert found["task 0", "task 1"] == pytest.approx(3 / 25, abs=1e-4)
    assert found["task 0", "task 2"] == pytest.approx(-8 / 25, abs=1e-4)
    assert found["task 0", "the other tasks"] == pytest.approx(-5 / 50, abs=1e-4)


def test_what_comes_again_is_the_task_s_and_the_rest_is_luck():
    domain, task, luck, other_luck, control = vectors(5)
    common = domain + 2 * task
    changes = [common + 2 * luck, domain + control, common + 2 * other_luck]
    before, found = networks(changes)
    first, other, second = found.values()
    after = {"task": first, "other": other}
    table = told(before, after, again={"task": second})["share"]
    assert table["task", "other"] == pytest.approx(1 / 9, abs=1e-4)
    assert table["task", "again"] == pytest.approx(5 / 9, abs=1e-4)
    assert ("other", "again") not in table.index
    once = told(before, after)["share"]
    pd.testing.assert_series_equal(once, table.drop(("task", "again")))
    with pytest.raises(UnknownNameError, match="task"):
        told(before, after, again={"tax": second})


def test_categories_do_not_mind_which_units_change():
    """The same change with units dealt anew: nothing in common unit by unit, all as a whole."""
    change = vectors(1)[0].view(2, UNITS)
    before, _ = networks([], images=40)
    turn = torch.linalg.qr(torch.randn(UNITS, UNITS, generator=torch.Generator().manual_seed(1)))[0]
    moved = before.scores["deep"] + change.repeat(40, 1)
    turned = {"plain": moved, "turned": moved @ turn}
    after = {k: Dissection({"deep": v}, before.regions, CATEGORIES) for k, v in turned.items()}
    whole = told(before, after, "categories")["share"]
    assert whole["plain", "turned"] == pytest.approx(1, abs=1e-4)
    assert told(before, after)["share"]["plain", "turned"] < 0.6


@pytest.mark.parametrize("level", ["units", "categories"])
def test_products_equal_those_of_selectivities_by_hand(level):
    before, after = networks(vectors(2), noise=1.0, images=12)
    found = products(before, list(after.values()), "deep", n=3, seed=4)[level]
    by_hand = []
    for quarters in dealings(12, 4):
        q = []
        for weights in quarters:
            chosen = [f"i{k}" for k in range(12) if weights[k]]
            parts = (r.subset(chosen).selectivity("deep") for r in (before, *after.values()))
            q.append([s.dropna().to_numpy(float) for s in parts])
        pairs = []
        for a, b in ((0, 1), (2, 3)):
            if level == "units":
                vector = [(x + y) / 2 for x, y in zip(q[a], q[b], strict=True)]
            else:
                vector = [(x @ y.T + y @ x.T) / 2 / UNITS for x, y in zip(q[a], q[b], strict=True)]
            pairs.append([(v - vector[0]).ravel() for v in vector[1:]])
        product = np.array([[x @ y / len(x) for y in pairs[1]] for x in pairs[0]])
        by_hand.append((product + product.T) / 2)
    np.testing.assert_allclose(found.value.numpy(), np.mean(by_hand, 0), rtol=1e-4, atol=1e-5)
    assert found.draws.shape == (3, 2, 2)
    assert torch.equal(found.draws, found.draws.mT)


@pytest.mark.parametrize("level", ["units", "categories"])
def test_noise_of_images_is_no_change(level):
    """Networks that differ in noise only: uncorrected, their squared changes are far from 0."""
    sizes, naive = [], []
    for seed in range(20):
        before, after = networks([torch.zeros(2 * UNITS)] * 2, noise=3.0, seed=seed)
        found = products(before, list(after.values()), "deep", n=2, seed=seed)[level]
        sizes.append(found.value[0, 0].item())
        s = [r.selectivity("deep").dropna().to_numpy() for r in (before, after["task 0"])]
        d = s[1] - s[0] if level == "units" else (s[1] @ s[1].T - s[0] @ s[0].T) / UNITS
        naive.append((d**2).mean())
    assert abs(np.mean(sizes)) < 3 * np.std(sizes) / 20**0.5
    assert np.mean(naive) > 3 * np.std(naive) / 20**0.5


def test_intervals_hold_the_share_and_shrink_with_images():
    domain, *own = vectors(5)
    changes = [domain + d for d in own]
    widths = {}
    for images in (20, 200):
        row = told(*networks(changes, noise=1.5, images=images), n=200).iloc[0]
        assert row["low"] < 0.5 < row["high"]
        widths[images] = row["high"] - row["low"]
    assert widths[200] < widths[20] / 2


def test_what_cannot_be_told_is_nan_or_said():
    _, after = networks(vectors(2), images=6)
    other, _ = networks(vectors(2), images=7)
    with pytest.raises(ValueError, match="same regions"):
        shares(other, after, ["deep"])
    before, after = networks(vectors(2), images=9)  # too few for quarters
    assert told(before, after)[["share", "low", "high", "size"]].isna().all(axis=None)


def test_gains_are_the_changes_of_each_task():
    before, after = networks(vectors(2), noise=1.0)
    table = gains(before, after, ["deep"], 3, n=20)
    assert list(table.columns[:4]) == ["task", "layer", "category", "before"]
    second = table[table["task"] == "task 1"].drop(columns=["task", "layer"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(second, change(before, after["task 1"], "deep", 3, n=20))


def test_drift_is_the_similarity_to_each_network():
    torch.manual_seed(0)
    nets = {name: build_encoder("toyvgg", None) for name in ("first", "second")}
    how = {"blocks": 3, "progress": False}
    table = drift(nets["first"], nets, Blobs(6), ["conv1_1", "conv2_1"], **how)
    assert list(table.columns) == ["task", "layer", "measure", "value", "low", "high"]
    itself = table[table["task"] == "first"]
    assert itself["value"].tolist() == pytest.approx([1] * len(itself))
    direct = similarity(nets["first"], nets["second"], Blobs(6), ["conv1_1", "conv2_1"], **how)
    there = table[table["task"] == "second"]
    assert there["value"].tolist() == direct.table["value"].tolist()
