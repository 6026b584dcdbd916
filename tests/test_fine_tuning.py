"""Notebook 03: what fine-tuning favours, in the map, its layers and its best units."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

import saliencykit as sk
from saliencykit import viewing
from saliencykit.analyses.fine_tuning import figures, sentences
from saliencykit.dissection import singles
from saliencykit.findings import fine_tuning as tables
from saliencykit.study import Trained
from tests.conftest import Blobs

LAYERS = ["conv3_1", "conv3_3"]


class Few:
    """A study of networks that learned nothing, of two trainings on the same 20 images."""

    size, dissected, trainings, read = (48, 64), LAYERS, 2, LAYERS

    def __init__(self):
        self.unseen = Blobs(20)
        self.networks = {seed: self.network(seed) for seed in (0, 1, 2)}
        self.pretrained = self.networks[0]

    def network(self, seed):
        torch.manual_seed(seed)
        return sk.models.build_encoder("toyvgg", None)

    def parts(self, number):
        return None, None, self.unseen

    def each_training(self, frozen, read=None):
        found = []
        for seed in (1, 2):
            torch.manual_seed(10 + seed + frozen)
            encoder = self.pretrained if frozen else self.networks[seed]
            model = sk.models.SaliencyModel(encoder, read or self.read).eval()
            found.append(Trained(model, pd.DataFrame(), seed, self.unseen))
        return found

    def dissect(self, encoder, data, p_values):
        return sk.dissection.dissect(encoder, data, LAYERS, size=self.size, progress=False)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALIENCYKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        found = tables.FineTuning(Few(), 3)
        assert found.maps
        assert found.people
        yield found


def pick(table, **values):
    return viewing.plots.only(table, **values).iloc[0]


def test_the_map_is_told_as_a_share_of_people(found):
    table, study = found.map_table(), found.study
    people = sk.evaluation.human_regions(study.unseen, progress=False).selectivity("people")
    for k, trained in enumerate(study.each_training(False)):
        seen = sk.dissection.readout_maps.WithMap(trained.model)
        mapped = sk.dissection.dissect(seen, study.unseen, ["map"], size=(48, 64), progress=False)
        share = mapped.selectivity("map").loc["bright", 0] / people.loc["bright", 0]
        row = pick(table, measure="share", what="after", category="bright")
        assert row[f"training {k + 1}"] == pytest.approx(share, rel=1e-3)
    own = pick(table, measure="region NSS", what="people", category="bright")
    assert own["value"] == pytest.approx(people.loc["bright", 0], rel=1e-4)
    assert own["sd_trainings"] == pytest.approx(0)  # it hangs on none
    assert own["low"] < own["value"] < own["high"]


def test_before_and_change_are_after(found):
    for table in (found.map_table(), found.unit_table()):
        by = table.set_index(["measure", "what", "category"])["value"].unstack("what")
        told = by.dropna(subset="change")
        np.testing.assert_allclose(told["before"] + told["change"], told["after"], atol=1e-6)


def test_the_pair_is_split_over_layers_exactly(found):
    table = found.favoured("bright", "dark")
    changes = viewing.plots.only(found.map_table(), what="change").set_index("category")
    for measure in ("share", "region NSS"):
        rows = viewing.plots.only(table, measure=measure).set_index("part")
        by_category = viewing.plots.only(changes, measure=measure)
        numbers = by_category.select_dtypes(float)
        expected = numbers.loc["bright"] - numbers.loc["dark"]
        for name in ("value", "training 1", "training 2"):
            assert rows.loc[LAYERS, name].sum() == pytest.approx(rows.loc["map", name], abs=1e-4)
            assert rows.loc["map", name] == pytest.approx(expected[name], abs=1e-6)
    assert table["part"].tolist().count("best units") == 1


def test_units_are_of_the_deepest_layer_alone(found):
    assert (found.layer, found.images) == ("conv3_3", 20)
    encoders, dissections, _ = found.first
    assert encoders["pre-trained"] is found.study.pretrained
    alone = sk.dissection.tops(dissections, ["conv3_3"], 3, selection="crossfit")
    told = alone[alone["encoder"] == "fine-tuned"].set_index("category")["mean"]
    row = pick(found.unit_table(), what="after", category="dark")
    assert row["training 1"] == pytest.approx(told["dark"])


def test_figures_draw_means_and_single_trainings(found):
    mapped = found.map_table()
    figure = figures.before_after(mapped, "share", "x", "frozen")
    left, right = figure.axes
    assert right.get_xlabel().startswith("change")
    names = [text.get_text() for text in left.get_yticklabels()]
    rows = viewing.plots.only(mapped, measure="share", what="change").set_index("category")
    assert names == rows["value"].sort_values(ascending=False).index.tolist()
    drawn = [line.get_xdata().tolist() for line in right.lines if line.get_marker() == "|"]
    assert drawn == [rows.loc[names, column].tolist() for column in singles(rows)]
    pair = figures.favoured(found.favoured("bright", "dark"), found.layer)
    parts = ["map", *LAYERS, f"best units of {found.layer},\nread alone"]
    assert [t.get_text() for t in pair.axes[0].get_yticklabels()] == parts
    counts = found.above()
    styles = viewing.units.styles(found.dissections)
    lines = figures.above(counts, styles, 1.5).axes[0].lines
    assert sum(line.get_linewidth() == 0.6 for line in lines) == 4  # 2 networks, 2 trainings
    own = counts[["training 1", "training 2"]].mean(axis=1)
    np.testing.assert_allclose(own, counts["share"])
    assert {"mean", "low", "high"} <= set(found.by_layer())
    plt.close("all")


@pytest.mark.parametrize(
    ("low", "high", "says", "favours"),
    [
        (0.2, 0.6, "finding holds", "favours person head over text"),
        (-0.6, -0.2, "is the other way round", "favours text over person head"),
        (-0.2, 0.6, "is not decided", "favours neither beyond doubt"),
        (np.nan, np.nan, "is not decided", "favours neither beyond doubt"),
    ],
)
def test_words_follow_the_interval(low, high, says, favours):
    pair = {"first": "person_head", "second": "text"}
    parts = [("share", "map"), ("share", "a"), ("region NSS", "map"), ("region NSS", "best units")]
    favoured = pd.DataFrame(
        [
            {"measure": m, "part": p, **pair, "value": 0.2, "low": low, "high": high}
            | {"training 1": 0.3, "training 2": 0.4, "training 3": -0.1}
            for m, p in parts
        ]
    )
    favoured.loc[3, ["value", "low", "high"]] = 1.0, 0.5, 1.5
    keys = [(m, w, c) for m in ("share", "region NSS") for w in ("before", "after", "change")
            for c in pair.values()]  # fmt: skip
    by = pd.DataFrame(keys, columns=["measure", "what", "category"])
    by = by.assign(value=0.5, low=0.4, high=0.6)
    counts = pd.DataFrame({"encoder": ["x"], "layer": "b", "threshold": 1.5, "units": 3.4})
    text = sentences.what_we_see(by, favoured, by, counts, 1.5, 40)
    map_line = next(line for line in text.splitlines() if "in the map**" in line)
    assert says in map_line
    assert favours in map_line
    assert "of the same sign in 2 of 3 trainings" in map_line
    assert text.startswith("- On 40 images")
    assert "grows in 2 of 2 categories" in text
    assert "x 3." in text
    assert ("they contradict the map." in text) == (high < 0)
    assert ("they agree with the map." in text) == (low > 0)


def test_one_training_is_said_to_know_of_no_other():
    assert "no interval knows" in sentences._trainings(1)
    assert "5 trainings" in sentences._trainings(5)
