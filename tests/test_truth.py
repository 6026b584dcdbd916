"""Known truth: advantages, tests where nothing is planted, maps dissected as units, the figures."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import false_discovery_control

import saliencykit as sk
from saliencykit.analyses.known_truth import tables as truth
from saliencykit.analyses.known_truth.tables import advantage_table, beyond_others
from saliencykit.datasets import CATEGORIES
from saliencykit.datasets.toyworld import ToyWorld
from saliencykit.dissection import dissect, region_nss
from saliencykit.dissection.readout_maps import MAP, Maps, WithMap
from saliencykit.models import SaliencyModel, build_encoder
from saliencykit.models.stimuli import features
from saliencykit.worlds import Plan, Worlds

SMALL = {"size": (60, 80), "n": 20}
numbers = st.floats(-100, 100, width=32)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALIENCYKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        read = ["conv3_1", "conv4_1"]
        study = sk.Study(weights=None, size=(60, 80), read=read, epochs=1, batch=8)
        yield Worlds(study, training=14, dissected=24, readout_epochs=2)


@given(arrays(np.float64, (3, 5), elements=numbers))
def test_advantage_is_one_category_against_the_mean_of_the_others(values):
    found = beyond_others(torch.from_numpy(values)).numpy()
    for i, j in np.ndindex(values.shape):
        assert found[i, j] == pytest.approx(values[i, j] - np.delete(values[i], j).mean(), abs=1e-6)
    assert found.sum(1) == pytest.approx(0, abs=1e-4)


def test_advantage_leaves_categories_out_that_are_not_told():
    found = beyond_others(torch.tensor([1.0, torch.nan, 3.0, 5.0]))
    assert found[[0, 2, 3]].tolist() == [-3, 0, 3]
    assert found[1].isnan()


def test_advantage_table_adjusts_over_the_told_categories():
    draws = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)) + torch.tensor(
        [3.0, 0, 1]
    )
    table = advantage_table(("a", "b", "c"), torch.tensor([3.0, torch.nan, 1.0]), draws)
    assert np.isnan(table.loc[1, ["p", "p_adjusted"]].to_numpy(float)).all()
    told = table["p"].to_numpy()[[0, 2]]
    assert table["p_adjusted"].to_numpy()[[0, 2]] == pytest.approx(false_discovery_control(told))


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
    assert set(Plan().weights.values()) == {1.0}
    assert set(Plan(base="ignored").weights.values()) == {0.0}
    planted = Plan("text", 4).weights
    assert planted["text"] == 4
    assert sum(planted.values()) == len(CATEGORIES) + 3
    assert [str(p) for p in (*truth.plans(["text"], [2]), *truth.groups(1))] == [
        "text × 2", "alike 1",
    ]  # fmt: skip


def test_training_and_dissected_images_are_disjoint_and_nested(worlds):
    plan = Plan("text", 2)
    taught, shown = worlds.learned(plan).names, worlds.unseen(plan).names
    assert (len(taught), len(shown)) == (14, 24)
    assert not set(taught) & set(shown)
    assert worlds.learned(plan, 5).names == taught[:5]
    with pytest.raises(ValueError, match="training"):
        worlds.learned(plan, 500)


def test_nothing_is_found_of_a_network_held_against_itself(worlds):
    table = truth.frozen_table(worlds, [Plan()], [14], [24])
    assert table["value"].dropna().abs().max() == 0
    assert table["value"].notna().sum() >= 8


def test_recovery_holds_every_world_measure_and_category(worlds):
    plans = [Plan(), Plan("text", 8), Plan("text", 2), Plan(group=1), Plan(group=2)]
    found = truth.Recovery(worlds, plans, top=3)
    assert len(found.table) == 5 * 3 * 2 * len(CATEGORIES)
    key = ["world", "layer", "control", "category"]
    assert not found.table.duplicated(key).any()
    own = found.comparable["world"] == "alike"
    assert set(found.comparable.loc[own, "control"]) == {"before"}
    assert (found.dose()["rho"].abs() <= 1).all()
    pair = found.favouring([Plan("text", 8)], ["text", "object"])
    wide = found.table[found.table["world"] == "text × 8"].pivot(
        index=["layer", "control"], columns="category", values="value"
    )
    n = found.table.loc[found.table["world"] == "text × 8", "value"].notna().sum() / 6
    gap = (wide["text"] - wide["object"]) * (n - 1) / n  # advantages: n / (n - 1) of deviations
    assert pair.set_index(["layer", "control"])["value"].sort_index().to_numpy() == pytest.approx(
        gap.sort_index().to_numpy(), abs=1e-4
    )
    layered = truth.by_layer(worlds, Plan("text", 8))
    map_nss = found.results[plans[1]]["after"].selectivity(MAP)[0]
    total = layered.groupby("category")["value"].sum(min_count=1).reindex(map_nss.index)
    assert np.allclose(total, map_nss, atol=1e-3, equal_nan=True)


def invented(effect, worlds=6, seed=0):
    """Advantages of worlds in which nothing, or a category by `effect`, is planted."""
    random, rows = np.random.default_rng(seed), []
    for k in range(2 * worlds):
        favoured = CATEGORIES[k % 12] if k < worlds else ""
        value = random.normal(0, 1, 12)
        value += effect * (np.array(CATEGORIES) == favoured)
        rows.append(pd.DataFrame({
            "world": f"w{k}", "favoured": favoured, "layer": MAP, "control": "flat",
            "category": CATEGORIES, "value": value, "p": 0.001, "p_adjusted": 0.001,
        }))  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def test_retraining_s_own_spread_tells_effects_from_chance():
    keys = ["layer", "control", "by"]
    both = truth.both_tests(invented(8.0), keys[:2])
    quiet = truth.false_alarms(both, keys).set_index("by")
    assert quiet.loc["images", "share"] == 1  # as invented: p is always small
    assert quiet.loc["networks", "share"] < 0.05
    found = truth.power(both, keys).set_index(["what", "by"])["share"]
    assert found["found", "networks"] == found["first", "networks"] == 1
    weak = truth.power(truth.both_tests(invented(0.3), keys[:2]), keys)
    assert weak.set_index(["what", "by"])["share"]["found", "networks"] < 0.5


def test_a_world_without_a_favourite_is_judged_by_the_others():
    table = invented(0.0)
    odd = table["world"] == "w11"
    table.loc[odd & (table["category"] == "text"), "value"] = 50.0
    judged = truth.against_retrained(table, ["layer", "control"])
    own = judged[(judged["world"] == "w11") & (judged["category"] == "text")]
    assert own["p_adjusted"].item() < 1e-6  # its own 50 is no part of its yardstick


def test_shares_have_binomial_intervals():
    table = invented(0.0)
    row = truth.false_alarms(table, ["layer", "control"]).iloc[0]
    assert (row["tests"], row["found"]) == (72, 72)
    assert row["low"] == pytest.approx(72 / (72 + 1.959964**2), abs=1e-6)  # Wilson, all found
