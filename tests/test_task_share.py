"""How far and where to representations move, by task: on changes whose parts are known."""

import numpy as np
import pandas as pd
import pytest
import torch

from saliencykit.dissection import Dissection, change, drift, gains, shares, similarity
from saliencykit.dissection.statistics import image_folds
from saliencykit.dissection.task_share import explained, products
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


def test_a_change_that_all_share_is_the_domain_s():
    (domain,) = vectors(1)
    before, after = networks([domain, 2 * domain, 0.5 * domain])
    found = shares(before, after, ["deep"], ["mean"], n=50)
    assert found["shared"].tolist() == pytest.approx([1, 1, 1], abs=1e-5)
    assert found["size"].tolist() == pytest.approx([1, 2, 0.5], rel=1e-4)


def test_a_change_that_nothing_shares_is_the_task_s():
    before, after = networks(vectors(3))
    found = shares(before, after, ["deep"], n=50)
    assert found["shared"].abs().max() < 1e-5
    assert list(found["basis"]) == ["mean", "span"] * 3


def test_shares_of_a_mixture_are_squared_cosines():
    x, y, z = vectors(3)
    before, after = networks([3 * x + 4 * y, x, z])
    found = shares(before, after, ["deep"], n=10).set_index(["task", "basis"])["shared"]
    assert found["task 0", "mean"] == pytest.approx(0.36 / 2, abs=1e-5)  # the mean is (x + z) / 2
    assert found["task 0", "span"] == pytest.approx(0.36, abs=1e-5)  # x alone explains as much
    # A negative product is a share too: what is undone lies along the same line.
    _, after = networks([x, -x - y, -x - y])
    assert shares(before, after, ["deep"], ["mean"], n=10)["shared"][0] == pytest.approx(0.5)


def test_explained_equals_least_squares():
    rng = np.random.default_rng(0)
    d = rng.normal(size=(4, 50))
    products = torch.from_numpy(d @ d.T)
    fit = d[1:].T @ np.linalg.lstsq(d[1:].T, d[0], rcond=None)[0]
    others = torch.eye(4)[1:]
    assert explained(products, 0, others).item() == pytest.approx((fit @ fit) / (d[0] @ d[0]))
    mean = d[1:].mean(0)
    cosine = (d[0] @ mean) / np.linalg.norm(d[0]) / np.linalg.norm(mean)
    assert explained(products, 0, others.mean(0, keepdim=True)).item() == pytest.approx(cosine**2)
    several = explained(torch.stack([products, -products]), 0, others)
    assert several[1].isnan()  # no length


def test_noise_of_images_counts_neither_as_task_nor_as_domain():
    """Here the noise of a selectivity is larger than what changed: uncorrected, shares are off."""
    domain, *own = vectors(5)
    changes = [0.4 * domain + 0.2 * d for d in own]
    found, naive = [], []
    for seed in range(12):
        before, after = networks(changes, noise=3.0, seed=seed)
        found.append(shares(before, after, ["deep"], ["mean"], n=2, seed=seed).iloc[0])
        s = {k: v.selectivity("deep").to_numpy()[:2].ravel() for k, v in after.items()}
        d = [v - before.selectivity("deep").to_numpy()[:2].ravel() for v in s.values()]
        mean = np.mean(d[1:], 0)
        naive.append((d[0] @ mean) ** 2 / (d[0] @ d[0]) / (mean @ mean))
    true = 0.16**2 / (0.2 * (0.16 + 0.04 / 3))
    table = pd.DataFrame(found)
    assert table["shared"].mean() == pytest.approx(true, abs=0.08)
    assert table["size"].mean() == pytest.approx(0.2**0.5, rel=0.05)
    assert abs(np.mean(naive) - true) > 0.15


def test_products_equal_sums_over_pairs_of_halves_by_hand():
    before, after = networks(vectors(2), noise=1.0, images=6)
    found = products(before, after, "deep", n=3, seed=4)
    by_hand = []
    for half, other in image_folds(6, "crossfit", 4):
        parts = []
        for weights in (half, other):
            chosen = [f"i{k}" for k in range(6) if weights[k]]
            s0, *s = (r.subset(chosen).selectivity("deep") for r in (before, *after.values()))
            parts.append([(x - s0).dropna().to_numpy().ravel() for x in s])
        by_hand.append([[a @ b / (2 * UNITS) for b in parts[1]] for a in parts[0]])
    np.testing.assert_allclose(found.value.numpy(), np.mean(by_hand, 0), rtol=1e-4, atol=1e-5)
    assert found.draws.shape == (3, 2, 2)
    assert torch.equal(found.draws, found.draws.mT)


def test_intervals_hold_the_share_and_shrink_with_images():
    domain, *own = vectors(5)
    changes = [domain + d for d in own]
    widths = {}
    for images in (20, 200):
        before, after = networks(changes, noise=2.0, images=images)
        row = shares(before, after, ["deep"], ["mean"], n=200).iloc[0]
        assert row["low"] < 0.375 < row["high"]
        widths[images] = row["high"] - row["low"]
    assert widths[200] < widths[20] / 2


def test_what_cannot_be_told_is_said():
    before, after = networks(vectors(2), images=6)
    other, _ = networks(vectors(2), images=7)
    with pytest.raises(ValueError, match="same regions"):
        shares(other, after, ["deep"])
    few, after = networks(vectors(2), images=4)
    with pytest.raises(ValueError, match="5 images or more"):
        shares(few, after, ["deep"])
    with pytest.raises(UnknownNameError, match="basis"):
        products(before, networks(vectors(2), images=6)[1], "deep", n=1).shared("task 0", "sum")


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
