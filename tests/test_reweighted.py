"""Fixations that weigh otherwise, and those of some observers: what is learned from them."""

import copy
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saliencykit.datasets import Fixations, Reweighted, Sham, SomeObservers
from saliencykit.datasets.reweighted import FINEST, as_fraction, looked_at, observers_of
from saliencykit.metrics import nss
from saliencykit.models import SaliencyModel, Settings, build_encoder, train, upsample
from saliencykit.models.tasks import Saliency
from saliencykit.registry import UnknownNameError
from tests.conftest import Blobs, Scattered

SIZE = (48, 64)


def weighted_nss(data, i, category, weight, saliency):
    """NSS by hand: the mean of z-scores where people looked, each weighing as it should."""
    z = (saliency - saliency.mean()) / saliency.std(correction=0)
    seen = data.fixations(i).inside(*SIZE)
    total = mean = 0.0
    for x, y in zip(seen.x.tolist(), seen.y.tolist(), strict=True):
        own = any(r.mask[int(y), int(x)] for r in data.regions(i) if r.category == category)
        total += weight if own else 1
        mean += (weight if own else 1) * z[int(y), int(x)].item()
    return mean / total


@pytest.mark.parametrize("weight", [0.25, 1, 1.5, 4])
def test_a_mean_over_fixations_is_the_weighted_mean(weight):
    data = Scattered(4)
    saliency = torch.rand(SIZE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for i in range(4):
        counts = Reweighted(data, "bright", weight).fixations(i).count_map(*SIZE)
        expected = weighted_nss(data, i, "bright", weight, saliency)
        assert nss(saliency, counts).item() == pytest.approx(expected, rel=1e-6)


def test_training_aims_at_the_weighted_mean():
    data = Reweighted(Scattered(4), "bright", 4)
    torch.manual_seed(0)
    model = SaliencyModel(build_encoder("toyvgg", None), ["conv3_1"]).eval()
    images = torch.stack([data.image(i).float() / 255 for i in range(4)])
    with torch.inference_mode():
        coarse = model.coarse(images)
        full = upsample(coarse[:, None], SIZE)[:, 0].double()
        targets, _ = Saliency().targets(data, SIZE, coarse.shape[1:])
        _, score = Saliency().judge(coarse, targets, SIZE)
    # At the fixations' own pixels; bilinear maps are read off at pixels, so these are exact.
    expected = [weighted_nss(data.data, i, "bright", 4, full[i]) for i in range(4)]
    assert score.numpy() == pytest.approx(expected, abs=1e-4)


def test_weights_of_one_give_the_very_same_digits(monkeypatch, tmp_path):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path))
    torch.manual_seed(0)
    encoder, data = build_encoder("toyvgg", None), Scattered(6)
    how = {"layer": "conv2_1", "settings": Settings(size=SIZE, epochs=1, batch=2)}
    plain, _ = train(encoder, data, **how)
    ones, _ = train(encoder, Reweighted(data, "bright", 1), **how)
    fours, _ = train(encoder, Reweighted(data, "bright", 4), **how)
    assert plain.fingerprint == ones.fingerprint != fours.fingerprint


def test_order_and_what_else_is_known_stay():
    data = Scattered(4)
    for weight in (1, 0.5, 3):
        again = Reweighted(data, "dark", weight).fixations(2)
        own = data.fixations(2).inside(*SIZE)
        assert again.x.unique_consecutive().tolist() == own.x.unique_consecutive().tolist()
    one, plain = Reweighted(data, "dark", 4)[1], data[1]
    assert torch.equal(one.image, plain.image)
    assert [r.category for r in one.regions] == [r.category for r in plain.regions]
    assert (one.name, one.scene, one.size) == (plain.name, plain.scene, plain.size)


@pytest.mark.parametrize("weight", [0.25, 1, 4])
def test_a_sham_weighs_as_many_fixations_but_any(weight):
    data, drawn = Scattered(6), []
    for seed in range(40):
        sham, real = Sham(data, "bright", weight, 3, seed), Reweighted(data, "bright", weight)
        for i in range(6):
            count = len(sham.fixations(i))
            assert count == len(real.fixations(i))
            assert sham.fixations(i).x.unique().tolist() == data.fixations(i).x.unique().tolist()
        if weight != 1:
            alone = sham.fixations(0).x.unique_consecutive(return_counts=True)[1]
            drawn.append((alone == sham.weight.numerator).double())
    if weight != 1:  # each fixation is drawn as often as any other
        share = torch.stack(drawn).mean(0)
        assert len(set(map(tuple, torch.stack(drawn).tolist()))) > 10
        assert share.max() - share.min() < 6 * (share.mean() / 40) ** 0.5


def test_shams_are_drawn_anew_by_seed_and_alike_by_image():
    data = Scattered(8)
    sham = Sham(data, "bright", 4, 1, 2)
    part = sham.subset(data.names[3:5])
    assert part.fixations(1).x.tolist() == sham.fixations(4).x.tolist()
    others = [Sham(data, "bright", 4, 1, 3), Sham(data, "bright", 4, 2, 2)]
    others += [Sham(data, "dark", 4, 1, 2), Reweighted(data, "bright", 4)]
    assert len({one.fingerprint for one in (sham, *others)}) == 5
    assert sham.fingerprint == Sham(Scattered(8), "bright", 4, 1, 2).fingerprint
    assert any(others[0].fixations(i).x.tolist() != sham.fixations(i).x.tolist() for i in range(8))


def test_another_weight_is_other_data_of_the_same_images():
    data = Blobs(6)
    views = [
        data,
        Reweighted(data, "bright", 1),
        Reweighted(data, "bright", 4),
        Reweighted(data, "dark", 4),
        Reweighted(Blobs(6, seed=1), "bright", 4),
        SomeObservers(data, [0, 1]),
        SomeObservers(data, [2, 3]),
    ]
    assert len({view.fingerprint for view in views}) == len(views)
    assert views[2].fingerprint == Reweighted(Blobs(6), "bright", 4.0).fingerprint
    del views[4]
    assert {view.image_fingerprint for view in views} == {data.image_fingerprint}


@pytest.mark.parametrize(
    "view", [lambda d: Reweighted(d, "bright", 4), lambda d: SomeObservers(d, [1])]
)
def test_parts_are_parts_of_the_whole(view):
    data = Blobs(8)
    part, whole = view(data).split("val"), view(data)
    assert part.names == data.split("val").names
    i = whole.names.index(part.names[1])
    assert torch.equal(part.fixations(1).x, whole.fixations(i).x)
    assert torch.equal(part.image(1), data.image(i))
    assert whole.thinned(3).names == data.thinned(3).names
    assert part.fingerprint != whole.fingerprint


def test_some_observers_alone():
    data = Blobs(4)
    first, other = SomeObservers(data, [3, 0]), SomeObservers(data, [1, 2])
    assert first.fixations(2).observer.unique().tolist() == [0, 3]
    assert len(first.fixations(2)) + len(other.fixations(2)) == len(data.fixations(2).inside(*SIZE))


@given(st.integers(1, FINEST), st.integers(1, FINEST))
def test_every_fraction_of_small_whole_numbers_is_a_weight(p, q):
    assert as_fraction(p / q) == Fraction(p, q)


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (0, "above 0, not 0"),
        (-0.5, "above 0, not -0.5"),
        (float("nan"), "not nan"),
        (float("inf"), "not inf"),
        (2**0.5, "41/29 is near"),
        (100, "64 is near"),
        (0.001, "1/64 is near"),
    ],
)
def test_what_is_no_weight_is_refused(weight, said):
    with pytest.raises(ValueError, match=said):
        Reweighted(Blobs(4), "bright", weight)


class Bare(Blobs):
    def regions(self, i):
        return []


class Pooled(Blobs):
    pooled = True


def test_what_cannot_be_reweighted_is_refused():
    with pytest.raises(UnknownNameError, match="bright"):
        Reweighted(Blobs(4), "brihgt", 2)
    with pytest.raises(ValueError, match="no annotated region of dark"):
        Reweighted(Bare(4), "dark", 2)


def test_observers_that_are_not_there_are_refused():
    assert observers_of(Blobs(4)) == [0, 1, 2, 3]
    for chosen, said in (([1, 7, 9], r"no observers \[7, 9\]"), ([], "no observers")):
        with pytest.raises(ValueError, match=said):
            SomeObservers(Blobs(4), chosen)
    with pytest.raises(ValueError, match="does not tell its observers apart"):
        SomeObservers(Pooled(4), [0])


class Overlapping(Blobs):
    """Two regions of one category lie on each other; one fixation outside the image."""

    def regions(self, i):
        return [super().regions(i)[0]] * 2

    def fixations(self, i):
        near, far = super().fixations(i), Fixations.of([-5.0], [3.0])
        return Fixations.of(*(np.concatenate([getattr(f, k) for f in (near, far)]) for k in "xy"))


def test_how_often_people_looked_is_counted_once():
    data = Overlapping(4)
    with pytest.warns(UserWarning, match="1 of 21 fixations"):
        table = looked_at(data, ["dark", "bright"]).set_index("category")
    seen = [Blobs.fixations(data, i).inside(*SIZE) for i in range(4)]
    masks = [data.regions(i)[0].mask for i in range(4)]
    each = [int(m[f.y.long(), f.x.long()].sum()) for f, m in zip(seen, masks, strict=True)]
    assert table.loc["bright"].tolist() == [sum(each), 4]
    assert table.loc["dark"].tolist() == [0, 0]
    with pytest.raises(UnknownNameError, match="bright"):
        looked_at(data, ["brite"])


def test_a_copy_is_as_good():
    view = Reweighted(Blobs(4), "bright", 2)
    assert copy.deepcopy(view).fingerprint == view.fingerprint
