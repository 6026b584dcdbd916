"""Known truth: worlds and their trainings, what is found in them, and how often that is wrong."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import saliencykit as sk
from saliencykit.analyses.known_truth import sentences
from saliencykit.analyses.known_truth import tables as truth
from saliencykit.datasets import CATEGORIES, Reweighted
from saliencykit.datasets.toyworld import ToyWorld
from saliencykit.dissection import Dissection, OverTrainings, dissect, mean_of, region_nss
from saliencykit.dissection.readout_maps import MAP, Maps, WithMap
from saliencykit.models import SaliencyModel, build_encoder
from saliencykit.models.stimuli import features
from saliencykit.worlds import FLAT, Plan, Worlds, calibration

SMALL = {"size": (60, 80), "n": 20}
TEXT = CATEGORIES.index("text")


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALIENCYKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        in_turn = "saliencykit.worlds.planted.train_side_by_side"  # processes take longer to start
        patch.setattr(in_turn, lambda wanted: [one.run() for one in wanted])
        read = ["conv3_1", "conv4_1"]
        study = sk.Study(weights=None, size=(60, 80), read=read, epochs=1, batch=8)
        yield Worlds(study, training=14, dissected=24, readout_epochs=2)


def test_another_group_looks_elsewhere_at_the_same_scenes():
    first, again, other = (ToyWorld(**SMALL, group=g) for g in (0, 0, 1))
    assert torch.equal(first.image(3), other.image(3))
    assert torch.equal(first.fixations(3).x, again.fixations(3).x)
    assert not torch.equal(first.fixations(3).x, other.fixations(3).x)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert first.image_fingerprint == other.image_fingerprint
    with pytest.raises(ValueError, match="group"):
        ToyWorld(group=-1)


def test_worlds_that_differ_in_observers_share_frozen_features(monkeypatch):
    encoder = build_encoder("toyvgg", None)
    first, other = ToyWorld(**SMALL), ToyWorld(**SMALL, weights={"text": 9})
    found = features(encoder, first, ["conv2_1"], (60, 80)).tensors["conv2_1"]
    monkeypatch.setattr(encoder, "activations", None)  # it must not run again
    again = features(encoder, other, ["conv2_1"], (60, 80)).tensors["conv2_1"]
    assert torch.equal(found, again)
    with pytest.raises(TypeError):
        features(encoder, ToyWorld(**SMALL, seed=1), ["conv2_1"], (60, 80))


def test_parts_of_the_same_images_share_their_features(monkeypatch):
    encoder, whole = build_encoder("toyvgg", None), ToyWorld(**SMALL)
    seen, activations = [], encoder.activations
    monkeypatch.setattr(
        encoder, "activations", lambda images, layers: (seen.append(len(images)),
                                                        activations(images, layers))[1]
    )  # fmt: skip
    parts = whole.folds(4)
    for held_out in parts:
        for part in (held_out, whole.without(held_out), Reweighted(held_out, "text", 2)):
            found = features(encoder, part, ["conv2_1"], (60, 80)).tensors["conv2_1"]
            alone = features(encoder, part.subset(part.names), ["conv2_1"], (60, 80)).tensors
            assert torch.equal(found, alone["conv2_1"])
    apart = sum(len(part) + len(whole.without(part)) for part in parts)
    assert sum(seen) == len(whole) + apart  # all once, and what is no part by itself
    assert parts[0].thinned(2).part_of is None
    assert parts[0].part_of is whole


def test_region_nss_of_the_map_is_that_of_what_the_model_answers():
    data = ToyWorld(**SMALL, group=2).subset(["toy_00003", "toy_00004"])
    encoder = build_encoder("toyvgg", None)
    models = {
        name: SaliencyModel(encoder, layers).eval()
        for name, layers in {"one": ["conv3_1"], "two": ["conv2_1", "conv4_1"]}.items()
    }
    found = dissect(Maps(models), data, progress=False)
    whole = dissect(net := WithMap(models["two"]), data, net.layers, progress=False)
    assert torch.allclose(found.of("two"), whole.of(MAP), atol=1e-5, equal_nan=True)
    assert whole.of("conv4_1").shape[1] == encoder.channels["conv4_1"]
    with torch.inference_mode():
        maps = models["one"](torch.stack([data.image(i).float() / 255 for i in range(2)]))
    rows = [
        (i, data.fixations(i).count_map(60, 80) * region.mask)
        for i in range(2)
        for region in data.regions(i)
    ]
    owner, counts = torch.tensor([i for i, _ in rows]), torch.stack([c for _, c in rows])
    expected = region_nss(maps[:, None], counts, owner)
    assert torch.allclose(found.of("one"), expected, atol=1e-4, equal_nan=True)


def test_maps_of_several_encoders_are_not_read_together():
    models = {str(k): SaliencyModel(build_encoder("toyvgg", None)) for k in range(2)}
    with pytest.raises(ValueError, match="one encoder"):
        Maps(models)


def test_plans_say_what_is_planted():
    assert set(FLAT.weights.values()) == {1.0}
    planted = Plan("text", 4).weights
    assert planted["text"] == 4
    assert sum(planted.values()) == len(CATEGORIES) + 3
    assert [str(p) for p in (*truth.plans(["text"], [2, 4]), FLAT)] == [
        "text × 2", "text × 4", "nothing",
    ]  # fmt: skip


def test_worlds_share_scenes_and_nobody_who_looks(worlds):
    text = Plan("text", 4)
    first, second, planted = worlds.world(FLAT, 1), worlds.world(FLAT, 2), worlds.world(text, 1)
    assert (len(first), len(worlds.unseen)) == (14, 24)
    assert not set(first.names) & set(worlds.unseen.names)
    for other in (second, planted, worlds.looked_at(FLAT)):
        assert torch.equal(first.image(3), other.subset([other.names[3]]).image(0)) == (
            other.names[3] == first.names[3]
        )
    assert not torch.equal(first.fixations(3).x, second.fixations(3).x)
    assert not torch.equal(first.fixations(3).x, planted.fixations(3).x)
    names = worlds.unseen.names[:2]
    assert worlds.looked_at(text, names).names == names


def test_trainings_differ_in_seed_and_observers(worlds, monkeypatch):
    asked = []

    def train(wanted):
        asked.extend(wanted)
        return [(SaliencyModel(one.encoder, one.layers), None) for one in wanted]

    monkeypatch.setattr("saliencykit.worlds.planted.train_side_by_side", train)
    worlds.trained([(FLAT, 0), (FLAT, 1), (Plan("text", 2), 2)], frozen=True)
    assert [one.settings.seed for one in asked] == [0, 1, 2]
    assert [one.data.group for one in asked] == [1, 2, 3]
    assert [one.data.planted["text"] for one in asked] == [1, 1, 2]
    assert {one.settings.epochs for one in asked} == {2}


@pytest.mark.slow
def test_a_few_small_networks_say_something_of_every_world(worlds):
    known = truth.KnownTruth(worlds, [Plan("text", 8)], flat=4, each=2, readouts=5)
    assert known.readouts == 4  # whole pools
    table = known.recovered()
    assert len(table) == 2 * 2 * len(CATEGORIES)
    for number in calibration.NUMBERS:
        alone, flat = known.pool(number, Plan("text", 8)), known.pool(number)
        gap = alone.values[:, 0] - flat.values[[0, 1], 0]
        own = table[(table["number"] == number) & (table["world"] == "text × 8")]
        assert own["value"].to_numpy() == pytest.approx(gap.mean(0), nan_ok=True)
    fine, frozen = known._of(FLAT, False), known._of(FLAT, True)
    people = known._people.selectivity("people")[0].to_numpy()
    nss = [*(one.selectivity(MAP)[0].to_numpy() for one in (fine[1], frozen[1])), people]
    share = (nss[0] - nss[1]) / nss[2]
    assert known.pool(calibration.CHANGE).values[1, 0] == pytest.approx(
        share, nan_ok=True, rel=1e-4
    )
    assert known.alarms([1, 2], 2)["comparisons"].tolist() == [2] * 9
    assert known.alarms([1, 2], 2).equals(known.alarms([1, 2], 2))
    with pytest.raises(ValueError, match="need 6"):
        truth.KnownTruth(worlds, [], flat=4, each=3, readouts=4)


def made(trainings, spread=0.1, images=90, effect=0.0, seed=0, n=200):
    """Numbers of trainings whose truth is 0, or `effect` for text; half of their spread shared."""
    rng = np.random.default_rng(seed)
    size = spread * np.linspace(0.5, 1.5, len(CATEGORIES))
    apart = rng.normal(size=(trainings, 1)) + rng.normal(size=(trainings, len(CATEGORIES)))
    own = apart * size / 2**0.5 + effect * (np.arange(len(CATEGORIES)) == TEXT)
    seen = rng.normal(size=(trainings, images, len(CATEGORIES))) * 0.1
    weights = np.vstack([np.ones(images), rng.multinomial(images, np.full(images, 1 / images), n)])
    values = own[:, None] + np.einsum("ni,sik->snk", weights / images, seen)
    regions = (pd.DataFrame({"image": ["a"]}),) * trainings
    return OverTrainings(values, CATEGORIES, np.full(len(CATEGORIES), images), regions)


def invented(monkeypatch, worlds, pools, flat=20, each=5):
    """Known truth whose pools are `pools` by (number, plan)."""
    planted = dict.fromkeys(p for _, p in pools if p != FLAT)
    known = truth.KnownTruth(worlds, list(planted), flat, each, flat)
    monkeypatch.setattr(known, "pool", lambda number, plan=FLAT, images=None: pools[number, plan])
    monkeypatch.setattr(known, "_kept", lambda compute, *asked: compute(*asked))
    return known


@pytest.mark.slow
def test_two_groups_alike_alarm_as_seldom_as_promised(monkeypatch, worlds):
    pools = {(calibration.READOUTS, FLAT): made(300, seed=1)}
    known = invented(monkeypatch, worlds, pools)
    for s in (3, 5):
        wrong = known._wrong(calibration.READOUTS, calibration.TWO, s, 8)
        assert wrong.shape == (15, 8)
        assert wrong.mean() <= 0.1  # of 120
    alone = known._wrong(calibration.READOUTS, calibration.TWO, 1, 5)  # knows nothing of training
    assert alone.mean() > 0.9


def test_many_trainings_are_pools_of_twenty_that_have_none_in_common(monkeypatch, worlds):
    known = truth.KnownTruth(worlds, [], 47, 5, 130)
    assert (known.flat, known.readouts, known.drawn_from) == (40, 120, 20)
    drawn = []
    monkeypatch.setattr(known, "pool", lambda number: made(40))
    monkeypatch.setattr(known, "_differ", lambda number, rows, s, rng: drawn.append(set(rows)))
    assert known._wrong(calibration.CHANGE, calibration.TWO, 5, 3).shape == (2, 3)
    assert drawn == [set(range(20))] * 3 + [set(range(20, 40))] * 3
    few = truth.KnownTruth(worlds, [], 8, 4, 17)  # one pool, as large as it is
    assert (few.flat, few.readouts, few.drawn_from) == (8, 16, 8)
    with pytest.raises(ValueError, match="20 trainings favour nothing; 11 a world need 22"):
        truth.KnownTruth(worlds, [], 39, 11, 40)


def test_the_promise_is_judged_where_there_are_worlds_enough():
    def told(worlds, of_tuned, of_frozen):
        rows = [
            (calibration.CHANGE, calibration.TWO, 5, worlds, *of_tuned),
            (calibration.READOUTS, calibration.TWO, 5, 60.0, *of_frozen),
        ]
        columns = ["number", "test", "trainings", "worlds", "share", "low", "high"]
        return " ".join(sentences._kept(pd.DataFrame(rows, columns=columns)).split())

    bad, good, open_ = (0.2, 0.1, 0.3), (0.01, 0.0, 0.05), (0.08, 0.03, 0.2)
    few = told(12.0, bad, good)
    assert few.startswith("Of frozen readouts, of which there are enough to tell, more than 7 %")
    assert few.endswith("beyond doubt: none.")
    many = told(60.0, bad, open_)
    assert "Of fine-tuned minus frozen and frozen readouts, of which" in many
    assert "beyond doubt: two alike of fine-tuned minus frozen with 5; as" in many
    assert many.endswith("but not beyond doubt, two alike of frozen readouts with 5.")


def region_scores(rng, trainings, images):
    """Dissections of `trainings` maps, each with a bias of its own in each category, and people."""
    names = [f"i{i}" for i in range(images) for _ in CATEGORIES]
    table = {"image": names, "category": list(CATEGORIES) * images, "sure": True, "fixations": 3}
    regions, shape = pd.DataFrame(table), (images, len(CATEGORIES))
    seen = rng.normal(size=shape)
    biased = rng.normal(size=(trainings, 1, len(CATEGORIES))) * 0.1
    scores = [torch.from_numpy((seen + own).reshape(-1, 1)).float() for own in biased]
    people = Dissection({"people": torch.ones(len(regions), 1)}, regions, CATEGORIES)
    return [Dissection({MAP: one}, regions, CATEGORIES) for one in scores], people


@pytest.mark.slow
@pytest.mark.parametrize("test", [calibration.OWN, calibration.OWN_FOLDS])
@pytest.mark.parametrize(("bias", "least", "most"), [(0.0, 0.0, 0.12), (0.5, 0.9, 1.0)])
def test_an_interval_misses_what_all_say_as_seldom_as_promised(
    monkeypatch, worlds, bias, least, most, test
):
    rng, wrong = np.random.default_rng(0), []
    for _ in range(8):
        known = truth.KnownTruth(worlds, [], 40, 5, 40)
        maps, people = region_scores(rng, 40, 120)
        monkeypatch.setattr(known, "_of", lambda plan, frozen, maps=maps: maps)
        monkeypatch.setattr(known, "_people", people)
        whole = known.pool(calibration.READOUTS)
        monkeypatch.setattr(
            known, "pool", lambda number, whole=whole: replace(whole, values=whole.values + bias)
        )
        wrong.append(known._wrong(calibration.READOUTS, test, 5, 10).mean())
    assert least <= np.mean(wrong) <= most


def test_half_of_the_images_is_what_a_subset_says(monkeypatch, worlds):
    known, rng = truth.KnownTruth(worlds, [], 4, 2, 4), np.random.default_rng(1)
    maps, people = region_scores(rng, 4, 40)
    monkeypatch.setattr(known, "_of", lambda plan, frozen: maps if frozen else maps[::-1])
    monkeypatch.setattr(known, "_people", people)
    inside = known._drawn_half(np.random.default_rng(5))
    half = known._on(calibration.CHANGE, np.array([3, 1]), inside[None])
    names = people.regions["image"].unique()[np.random.default_rng(5).permutation(40)[:20]]
    for row, k in enumerate((3, 1)):
        after, before = (one[k].subset(names).selectivity(MAP)[0] for one in (maps[::-1], maps))
        assert half[row, 0] == pytest.approx((after - before).to_numpy(), abs=1e-6)
    assert known._shown(inside).tolist() == [20] * 12
    assert half.shape == (2, 1, 12)


def test_an_effect_is_added_to_region_nss_on_all_images_alike(monkeypatch, worlds):
    known, rng = truth.KnownTruth(worlds, [], 4, 2, 4), np.random.default_rng(1)
    maps, people = region_scores(rng, 4, 40)
    people = replace(people, scores={"people": torch.rand(480, 1) + 0.5})
    monkeypatch.setattr(known, "_of", lambda plan, frozen: maps)
    monkeypatch.setattr(known, "_people", people)
    effects = np.linspace(-1, 1, 12)
    found = known.with_effects(calibration.READOUTS, effects)
    assert found.values[:, 0].mean(0) == pytest.approx(effects)
    own = np.array([one.selectivity(MAP)[0] for one in maps])
    whole = people.selectivity("people")[0].to_numpy()
    more = effects * whole - own.mean(0)  # in region NSS
    assert found.values[:, 0] == pytest.approx((own + more) / whole, rel=1e-4, abs=1e-5)
    few = [f"i{k}" for k in range(10)]
    weights = torch.tensor([[float(k < 10) for k in range(40)]])
    part = mean_of("people")(people, weights)[1].numpy()
    now = np.array([one.subset(few).selectivity(MAP)[0] for one in maps])
    before = known._on(calibration.READOUTS, range(4), weights.numpy())[:, 0]
    assert before == pytest.approx(now / part, rel=1e-4)


def test_what_is_needed_is_found_in_four_of_five(monkeypatch, worlds):
    pools = {(number, FLAT): made(20, seed=2) for number in calibration.NUMBERS}
    known = invented(monkeypatch, worlds, pools)
    table = known.needed([1, 2, 5], [24], 40)
    assert sorted(table["trainings"].unique()) == [2, 5]  # one knows nothing of training
    middle = table.groupby("trainings")["value"].median()
    assert middle[5] < 0.7 * middle[2]
    own = table[(table["trainings"] == 5) & (table["number"] == calibration.MAP)].set_index(
        "category"
    )
    gaps = calibration._apart(pools[calibration.MAP, FLAT], 5, 40)
    found = [gap.learned(together=True).low[TEXT] + own["value"]["text"] > 0 for gap in gaps]
    assert np.mean(found) == pytest.approx(calibration.POWER, abs=0.03)


def test_planted_categories_are_found_and_flip(monkeypatch, worlds):
    weak, strong = Plan("text", 2), Plan("text", 4)
    pools = {(number, FLAT): made(20, seed=3) for number in calibration.NUMBERS}
    for number in calibration.NUMBERS:
        pools |= {(number, weak): made(5, effect=0.5, seed=4)}
        pools |= {(number, strong): made(5, effect=2.0, seed=5)}
    known = invented(monkeypatch, worlds, pools)
    table = known.recovered().set_index(["number", "world", "category"]).sort_index()
    own = table.loc[(calibration.MAP, "text × 4", "text")]
    assert own["low"] > 1
    assert own["planted"] == 4
    nothing = table.loc[(calibration.MAP, "nothing")]
    assert ((nothing["low"] <= 0) & (nothing["high"] >= 0)).all()
    dose = known.dose().set_index("number")
    assert dose["value"][calibration.MAP] == pytest.approx(1.5, abs=0.3)
    pair = known.flipped([strong], "object", "text").set_index(["number", "control"])
    gap = table.loc[(calibration.MAP, "text × 4")]["value"]
    assert pair["value"][calibration.MAP, truth.BEYOND] == pytest.approx(
        gap["object"] - gap["text"]
    )
    assert (pair.loc[pair["world"] != "nothing", "high"] < 0).all()
    assert (pair["world"] == "nothing").sum() == len(calibration.NUMBERS)


def test_groups_that_share_trainings_are_worth_what_their_spread_tells():
    rng = np.random.default_rng(0)
    own = rng.random((200, 12, 1)) < 0.1  # each pool says one thing, however often it is asked
    stuck = calibration._independent(np.broadcast_to(own, (200, 12, 30)), np.full(200, 1))
    assert stuck.mean() == pytest.approx(12, rel=0.1)
    free = calibration._independent(rng.random((200, 12, 30)) < 0.1, np.full(200, 1))
    assert free.mean() == pytest.approx(12 * 30, rel=0.1)
    assert calibration._independent(np.ones((2, 1, 30)), np.array([3, 5])).tolist() == [3, 5]
    assert calibration._independent(np.zeros((1, 4, 30)), np.array([3])).tolist() == [12]


def test_the_default_world_s_order_is_read_from_sets_of_trainings(monkeypatch):
    study = sk.Study(weights=None, size=(60, 80))
    world = truth.DefaultWorld(study, 5)
    assert world.planted[TEXT] == 6
    right, noisy = made(5, 1e-9), made(5, 3.0, seed=7)
    right.values[:] = world.planted
    wrong = made(5)
    wrong.values[:] = -world.planted
    noisy.values[:] += world.planted
    measures = {"right": right, "wrong": wrong, "noisy": noisy}
    monkeypatch.setattr(truth.DefaultWorld, "measures", measures)
    table = world.order([1, 3, 5, 10]).set_index(["measure", "together"])
    assert table.index.get_level_values(1).unique().tolist() == [1, 3, 5]
    assert table["value"]["right"].to_numpy() == pytest.approx(1)
    assert table["high"]["wrong"].to_numpy() == pytest.approx(-1)
    value = table["value"]["noisy"]
    assert value[1] < value[3] < value[5] < 1
    assert table["low"]["noisy"][5] < value[5] + 0.02
    one = table.loc[("noisy", 1)]
    assert value[1] == pytest.approx(one.filter(like="training ").mean(), abs=0.02)
    assert (table["high"] <= 1 + 1e-9).all()
