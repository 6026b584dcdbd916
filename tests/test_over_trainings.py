"""One number a category from several trainings, the map's split, and people's own region NSS."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import saliencykit as sk
from saliencykit import metrics
from saliencykit.datasets import Fixations
from saliencykit.dissection import (
    Dissection,
    OverTrainings,
    above,
    best_of,
    map_parts,
    mean_of,
    singles,
)
from saliencykit.dissection.top_units import counts_above
from saliencykit.evaluation import BLURS, human_blur, human_regions
from saliencykit.intervals import IMAGES, LEVEL, crossed, image_weights, nested, together
from saliencykit.registry import UnknownNameError
from tests.conftest import Blobs


def made(seed, images=30, units=1, shift=0.0, first=0):
    """Two regions an image, "a" and "b", whose scores are a shift and noise; no "never"."""
    rng = np.random.default_rng(seed)
    names = [f"i{first + i}" for i in range(images) for _ in "ab"]
    regions = pd.DataFrame(
        {"image": names, "category": ["a", "b"] * images, "sure": True, "fixations": 3}
    )
    scores = torch.tensor(shift + rng.normal(size=(2 * images, units)), dtype=torch.float32)
    return Dissection({"x": scores}, regions, ("a", "b", "never"))


def resampled_by_hand(res, category, weights):
    """Mean over regions of the images drawn, each as often as it was drawn."""
    rows = res.regions["category"] == category
    scores = res.scores["x"][:, 0].numpy()[rows]
    drawn = []
    for weight in weights.numpy():
        times = dict(zip(res.regions["image"].unique(), weight, strict=True))
        repeat = [int(times[image]) for image in res.regions["image"][rows]]
        drawn.append(np.repeat(scores, repeat).mean())
    return np.array(drawn)


def test_crossed_trainings_are_what_repeating_by_hand_gives():
    results = [made(seed) for seed in range(3)]
    found = OverTrainings.of(results, mean_of("x"), n=40, seed=5)
    weights = image_weights(30, 40, 5)
    for k, category in enumerate("ab"):
        own = [resampled_by_hand(r, category, torch.ones(1, 30))[0] for r in results]
        draws = np.mean([resampled_by_hand(r, category, weights) for r in results], 0)
        expected = crossed(own, draws, 30)
        row = found.table().iloc[k]
        for name in ("value", "low", "high", "se_images", "sd_trainings"):
            assert row[name] == pytest.approx(getattr(expected, name), abs=1e-5)
        assert row[["training 1", "training 2", "training 3"]].tolist() == pytest.approx(
            own, abs=1e-6
        )
    assert found.crossed
    assert np.isnan(found.table()["value"][2])  # "never" has no regions
    assert list(singles(found.table())) == ["training 1", "training 2", "training 3"]


def test_trainings_on_images_of_their_own_are_nested():
    results = [made(seed, images=8, first=8 * seed) for seed in range(4)]
    found = OverTrainings.of(results, mean_of("x"), n=10)
    assert not found.crossed
    assert found.images.tolist() == [32, 32, 0]
    own = [resampled_by_hand(r, "a", torch.ones(1, 8))[0] for r in results]
    expected, row = nested(own), found.table().iloc[0]
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("images", "told"), [(15, False), (16, True)])
def test_few_images_have_a_value_and_no_interval(images, told):
    row = OverTrainings.of([made(0, images), made(1, images)], mean_of("x")).table().iloc[0]
    assert np.isfinite(row["value"])
    assert np.isfinite(row["low"]) == told


def test_units_above_a_threshold_are_counted_in_each_training():
    results = [made(seed, units=40, shift=1.4) for seed in range(3)]
    table = OverTrainings.of(results, above("x", 1.5)).table()
    for k, res in enumerate(results):
        counted = counts_above(res, "x", 1.5)[1.5]
        assert table[f"training {k + 1}"].tolist()[:2] == counted.tolist()[:2]
    assert table["se_images"].iloc[0] > 0
    assert np.isnan(table["value"][2])  # "never" has no regions
    few = OverTrainings.of([made(0, images=4, units=40)], above("x", 1.5)).table()
    assert few["value"].isna().all()  # as best units of so few images have no mean


def test_the_mean_over_categories_is_of_those_that_have_an_interval():
    found = OverTrainings.of([made(seed) for seed in range(3)], mean_of("x"))
    values = found.table()["value"]
    assert found.averaged("all").table()["value"].item() == pytest.approx(values[:2].mean())
    few = OverTrainings.of([made(seed, images=9) for seed in range(3)], mean_of("x"))
    row = few.averaged("all").table().iloc[0]
    assert row["value"] == pytest.approx(few.table()["value"][:2].mean())
    assert np.isnan(row["low"])


def test_differences_and_shares_are_paired():
    before = [made(seed) for seed in range(3)]
    after = [Dissection({"x": 2 * b.scores["x"] + 1}, b.regions, b.categories) for b in before]
    was, now = (OverTrainings.of(some, mean_of("x")) for some in (before, after))
    gap = (now - was - was).table().iloc[0]  # 1, whatever was drawn
    assert (gap["value"], gap["low"], gap["high"]) == pytest.approx((1, 1, 1), abs=1e-5)
    share = ((now - was) / now).values[:, 0, 0]
    assert share[share > 0] == pytest.approx(((now - was).values / now.values)[:, 0, 0][share > 0])
    assert np.isnan((now / (was - was)).table()["value"][0])  # of nothing there is no share
    with pytest.raises(ValueError, match="same regions"):
        now - OverTrainings.of([made(0, 8)] * 3, mean_of("x"))


def test_favouring_is_one_category_minus_another():
    results = [made(seed) for seed in range(3)]
    for res in results:
        res.scores["x"][0::2] += 5  # "a"
    found = OverTrainings.of(results, mean_of("x"))
    row, by = found.favouring("a", "b").table().iloc[0], found.table()["value"]
    assert row["value"] == pytest.approx(by[0] - by[1])
    assert row["low"] > 4
    assert row["high"] < 6
    with pytest.raises(UnknownNameError, match="'c'"):
        found.favouring("a", "c")


def test_best_units_are_those_of_top_mean():
    res = made(0, units=40)
    table = sk.dissection.top_mean(res, "x", 3, selection="crossfit", n=50)
    found = OverTrainings.of([res], best_of("x", 3), n=50)
    assert found.values[0, 0, :2] == pytest.approx(table["mean"][:2].to_numpy())
    low = np.quantile(found.values[0, 1:, 0], 0.025)
    assert low == pytest.approx(table["low"][0], abs=1e-5)


def null(rng, trainings, images, spread):
    """Numbers (S, K) of trainings whose truth is 0, of K spreads, and resampled means (n, K)."""
    shared = rng.normal(size=(trainings, 1))  # half of what trainings differ by is alike
    values = (shared + rng.normal(size=(trainings, len(spread)))) / 2**0.5 * spread
    if not images:
        return values, None
    seen = rng.normal(size=(images, len(spread)))
    weights = rng.multinomial(images, np.full(images, 1 / images), 300) / images
    return values + seen.mean(0), weights @ seen + values.mean(0)


@pytest.mark.slow
@pytest.mark.parametrize("images", [None, 60])
@pytest.mark.parametrize("trainings", [3, 5])
def test_together_all_intervals_hold_as_promised(images, trainings):
    rng, spread, alone, joint = np.random.default_rng(0), np.linspace(0.1, 0.3, 12), [], []
    for _ in range(200):
        values, draws = null(rng, trainings, images, spread)
        one = nested(values) if draws is None else crossed(values, draws, images)
        both = together(values, draws, images or IMAGES)
        for hits, found in ((alone, one), (joint, both)):
            hits.append(((found.low <= 0) & (found.high >= 0)).all())
        np.testing.assert_array_equal(one.value, both.value)
    assert np.mean(alone) < 0.8
    assert np.mean(joint) >= LEVEL - 0.03


def test_few_trainings_are_steadied_by_other_numbers():
    rng = np.random.default_rng(2)
    widths = {}
    for trainings in (3, 20):
        found = []
        for _ in range(60):
            values, draws = null(rng, trainings, 100, np.full(12, 1.0))
            both, level = together(values, draws, 100), LEVEL ** (1 / 12)
            t = stats.t.ppf((1 + level) / 2, trainings - 1)  # each for itself, as if independent
            found.append(np.median(both.high - both.value) / (t * np.median(both.sd_trainings)))
        widths[trainings] = np.median(found) * trainings**0.5
    assert widths[3] < 0.5
    assert widths[20] == pytest.approx(1, abs=0.12)


def test_one_number_alone_stands_as_it_would_by_itself():
    rng = np.random.default_rng(1)
    values, draws = rng.normal(size=(5, 1)), rng.normal(size=(2000, 1))
    one, own = together(values, draws, 50), crossed(values, draws, 50)
    assert one.high - one.value == pytest.approx(own.high - own.value, rel=0.12)
    assert one.high >= own.high


def test_independent_numbers_on_many_images_need_sidak_s_level():
    rng = np.random.default_rng(1)
    values, draws = rng.normal(size=(5, 12)) * 1e-6, rng.normal(size=(2000, 12))
    found = together(values, draws, 10_000)
    reach = stats.norm.ppf((1 + LEVEL ** (1 / 12)) / 2) * draws.std(0, ddof=1)
    np.testing.assert_allclose(found.high - found.value, reach, rtol=0.04)


def test_what_is_not_told_asks_for_nothing():
    rng = np.random.default_rng(3)
    values, draws = rng.normal(size=(4, 3)), rng.normal(size=(500, 3))
    values[:, 1] = np.nan
    found = together(values, draws, [50, 50, IMAGES - 1])
    alone = together(values[:, :1], draws[:, :1], 50)
    assert found.high[0] == pytest.approx(alone.high[0])
    assert np.isnan(found.high[1:]).all()
    same = together(np.ones((4, 3)), np.ones((500, 3)), 50)  # nothing varies
    assert (same.low == 1).all()
    assert (same.high == 1).all()
    assert np.isnan(together(values[:1]).high).all()  # one training has no interval


def test_the_parts_of_the_map_sum_to_its_region_nss(blobs):
    torch.manual_seed(0)
    encoder = sk.models.build_encoder("toyvgg", None)
    model = sk.models.SaliencyModel(encoder, ["conv3_1", "conv3_3"])
    parts = map_parts(sk.dissection.contributions(model, blobs, progress=False))
    assert parts.layers == ["map", "conv3_1", "conv3_3"]
    summed = parts.of("conv3_1") + parts.of("conv3_3")
    torch.testing.assert_close(parts.of("map"), summed, equal_nan=True)
    mapped = sk.dissection.dissect(
        sk.dissection.readout_maps.WithMap(model), blobs, ["map"], progress=False
    )
    torch.testing.assert_close(
        parts.of("map"), mapped.of("map"), equal_nan=True, atol=1e-4, rtol=1e-4
    )


@pytest.fixture
def people(monkeypatch, tmp_path):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path))
    return Blobs(12)


def test_people_by_region_are_those_of_drawn_densities(people):
    found = human_regions(people, progress=False)
    blur = human_blur(people)
    assert blur in BLURS
    rows = iter(found.scores["people"][:, 0].tolist())
    for i in range(len(people)):
        (height, width), fixations = people.shape, people.fixations(i)
        for region in people.regions(i):
            total, n = 0.0, 0
            for x, y, who in zip(fixations.x, fixations.y, fixations.observer, strict=True):
                if not region.mask[int(y), int(x)]:
                    continue
                others = fixations[fixations.observer != who].count_map(height, width).double()
                density = metrics.gaussian_blur(others, blur * width)
                scored = (density - density.mean()) / density.std(correction=0)
                total, n = total + float(scored[int(y), int(x)]), n + 1
            ours = next(rows)
            assert (np.isnan(ours) and n == 0) or ours == pytest.approx(total / n, abs=1e-4)


def test_people_and_networks_are_told_of_the_same_regions(people):
    torch.manual_seed(0)
    encoder = sk.models.build_encoder("toyvgg", None)
    theirs = sk.dissection.dissect(encoder, people, ["conv3_3"], progress=False)
    pd.testing.assert_frame_equal(human_regions(people, progress=False).regions, theirs.regions)


def test_people_who_look_alone_or_where_nothing_is_marked(people, monkeypatch):
    alone = Fixations.of([20.0, 21.0], [20.0, 22.0])
    monkeypatch.setattr(Blobs, "fixations", lambda self, i: alone)
    assert human_regions(people, progress=False).scores["people"].isnan().all()
    monkeypatch.setattr(Blobs, "regions", lambda self, i: [])
    with pytest.raises(ValueError, match="no annotated regions"):
        human_regions(people, progress=False)


def test_the_mean_over_categories_is_over_those_with_an_interval():
    results = [made(seed, images=20) for seed in range(3)]
    over = OverTrainings.of(results, mean_of("x"), n=40)  # "never" has no regions
    mean = over.averaged("all")
    np.testing.assert_allclose(mean.values[..., 0], over.values[..., :2].mean(-1))
    assert mean.categories == ("all",)
    assert mean.images.tolist() == [20]
    few = OverTrainings.of([made(seed, images=9) for seed in range(3)], mean_of("x"), n=40)
    assert np.isnan(few.averaged("all").learned().low[0])
