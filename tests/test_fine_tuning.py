"""Notebook 03: what fine-tuning favours, in the map, its layers and its best units."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

import saliencykit as sk
from saliencykit import viewing
from saliencykit.analyses.fine_tuning import figures, sentences, tables
from saliencykit.dissection import singles
from saliencykit.study import Trained
from saliencykit.viewing import reported
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


@pytest.mark.parametrize(("read", "runs"), [(LAYERS[-1:], 4), (LAYERS, 6)])
def test_a_network_runs_once_for_its_units_and_its_map(read, runs, tmp_path, monkeypatch):
    def told(cache):
        monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / cache))
        study, ran = Few(), []
        study.read = read
        for network in study.networks.values():
            monkeypatch.setattr(network, "_run", count(ran, network._run))
        asked = tables.FineTuning(study, 3)
        seen = *asked.dissections.values(), *asked.mapped.values()
        return [one.of(layer) for each in seen for one in each for layer in one.layers], sum(ran)

    def count(ran, run):
        return lambda images, taps: (ran.append(len(images)), run(images, taps))[1]

    once, ran = told("once")
    assert ran == runs * len(Few().unseen)  # two readouts of one encoder, two taught ones
    monkeypatch.setattr("saliencykit.dissection.stream.ROOM", 0)  # nothing is held
    again, ran = told("again")
    assert ran == 8 * len(Few().unseen)
    for one, other in zip(once, again, strict=True):
        assert torch.equal(one.nan_to_num(), other.nan_to_num())


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
    of_one = found.favoured("bright", "dark").query("part != @LAYERS[1:]")
    (axis, _) = figures.favoured(of_one, found.layer).axes  # its one layer is the map
    assert [t.get_text() for t in axis.get_yticklabels()] == [parts[0], parts[-1]]
    counts = found.above()
    styles = viewing.units.styles(found.dissections)
    lines = figures.above(counts, styles, 1.5).axes[0].lines
    assert sum(line.get_linewidth() == 0.6 for line in lines) == 4  # 2 networks, 2 trainings
    more = [counts.replace({"category": {"dark": str(k)}}) for k in range(3)]  # 2 lines of 4, 2
    some = pd.concat([*more, counts]).drop_duplicates(["encoder", "category", "threshold"])
    plots = [a for a in figures.above(some, styles, 1.5).axes if a.get_visible()]
    assert len(plots) == some["category"].nunique() == 5
    assert all(len(axis.lines) == len(plots[0].lines) for axis in plots)
    own = counts[["training 1", "training 2"]].mean(axis=1)
    np.testing.assert_allclose(own, counts["share"])
    assert {"mean", "low", "high"} <= set(found.by_layer())
    plt.close("all")


def test_the_paper_s_table_holds_its_own_numbers(found):
    table, layer = found.paper_table(0.1, "bright", "dark"), "conv3_3"
    for what, results in zip(("before", "after"), found.dissections.values(), strict=True):
        for k, res in enumerate(results):
            same = sk.dissection.top_mean(res, layer, 3, selection="same").set_index("category")
            cross = sk.dissection.top_mean(res, layer, 3, selection="crossfit").set_index(
                "category"
            )
            above = (res.selectivity(layer) > 0.1).sum(axis=1)
            own = table[table["what"] == what].set_index(["measure", "category"])[
                f"training {k + 1}"
            ]
            for category in ("bright", "dark"):
                assert own[tables.SAME, category] == pytest.approx(same["mean"][category])
                assert own[tables.ABOVE, category] == above[category]
            # the mean is over those on 16 images or more
            assert own[tables.SAME, reported.ALL] == pytest.approx(same["mean"]["bright"])
            assert own[tables.OTHERS, reported.ALL] == pytest.approx(cross["mean"]["bright"])
    by = table[table["measure"] == tables.SAME].set_index(["what", "category"])["value"]
    gain = by["after"] - by["before"]
    assert by["change", "bright − dark"] == pytest.approx(gain["bright"] - gain["dark"])
    counts = table[table["measure"] == tables.ABOVE]
    assert set(table["of"]) == {found.dissections["fine-tuned"][0].of(layer).shape[1]}
    assert counts["low"].min() >= 0
    assert counts["high"].max() <= table["of"].iloc[0]
    known = table.dropna(subset="least")
    assert set(known["category"]) == {reported.ALL}  # of the others nothing is reported
    assert known[["least", "most"]].to_numpy().tolist() == [
        [0.8, 1.1],
        [2.3, 2.6],
        [0, 0],
        [256] * 2,
    ]


def test_what_is_reported_stands_beside_the_same_categories(found):
    assert [str(one) for one in reported.TOP_TEN["text"]] == ["0.77", "2.52"]
    assert [str(one) for one in reported.TOP_TEN[reported.ALL]] == ["0.8–1.1", "2.3–2.6"]
    assert reported.gained("person_head") - reported.gained("text") == pytest.approx(-0.09)
    assert np.isnan(reported.gained("bright"))
    figure = figures.paper_table(told(), ["person_head", "text"], 10, 1.5)
    shown = [text.get_text() for text in figure.axes[0].texts]
    for number in ("0.78", "2.44", "0.77", "2.52", "2.3–2.6", "≈256", "−0.09", "of 512", "of 96",
                   "ResNet-18"):  # fmt: skip
        assert shown.count(number) == 1
    assert {"+0.40", "[+0.20, +0.60]"} <= set(shown)
    assert "gain of person head − gain of text" in shown


def told(value=0.4, low=0.2, high=0.6):
    """A paper's table of the claimed pair, whose last row says what is favoured."""
    measures, whats = (tables.SAME, tables.OTHERS, tables.ABOVE), ("before", "after")
    keys = [measures, whats, ("person_head", "text", reported.ALL)]
    names = ["measure", "what", "category"]
    table = pd.MultiIndex.from_product(keys, names=names).to_frame(index=False)
    table = table.assign(value=24.0, low=19.2, high=28.8)
    last = (tables.SAME, "change", "person_head − text", value, low, high)
    table.loc[len(table)] = last
    return table.assign(of=96, **tables._reported(table, "person_head", "text"))


def one(low=0.2, others=(0.3,)):
    """What is told of one unit: its mean before, after, and its change."""
    what = ["before", "after", "change", tables.OTHERS_CHANGE]
    table = pd.DataFrame({"what": what, "value": [1.0, 1, 9, 1], "high": [2.0, 2, 9, 2]})
    own = {f"training {k}": value for k, value in enumerate((1.5, *others), 1)}
    about = {"category": "text", "unit": 7, "image": tables.OTHER_IMAGES}
    return table.assign(low=[low, low, 9, low], **own, **about)


@pytest.mark.parametrize(
    ("low", "high", "says", "hangs"),
    [
        (0.2, 0.6, "favours person head over text here", True),
        (-0.6, -0.2, "favours text over person head here", False),
        (-0.2, 0.6, "favours neither beyond doubt here", False),
    ],
)
def test_words_about_the_paper_s_number_follow_both_networks(low, high, says, hangs):
    pair = ["person_head", "text"]
    text = " ".join(sentences._paper_s_number(told((low + high) / 2, low, high), pair).split())
    assert says in text
    assert "0.78 → 2.44 at person head (+1.66) and 0.77 → 2.52 at text (+1.75)" in text
    assert "does not favour person head over text (-0.09)" in text
    assert ("the two do not agree" in text) == hangs
    other = told().replace({"text": "plant", "person_head": "food"})
    assert "report" not in sentences._paper_s_number(other, ["food", "plant"])


def test_words_about_the_half_of_all_units_follow_the_interval():
    text = " ".join(sentences._half_of_all(told(), 1.5).split())
    assert "0 of that network's 512 units before and about 256 after" in text
    assert "25 % [20, 30] after, less than 50 %, from 24.0 [19.2, 28.8] for person head" in text
    half = told().replace({19.2: 40.0, 28.8: 50.0})
    assert "not surely other than 50 %" in " ".join(sentences._half_of_all(half, 1.5).split())
    unsure = " ".join(sentences._half_of_all(told().assign(low=np.nan, high=np.nan), 1.5).split())
    assert unsure.endswith("not surely other than 50 %.")


@pytest.mark.parametrize(
    ("low", "others", "says"),
    [
        (0.2, (0.3,), "and to 0.30 in the other one."),
        (0.2, (0.3, 1.2), "These gain +1.00 [+0.20, +2.00] on average: they gain it too"),
        (-0.2, (0.3, 1.2), "that may be chance"),
        (0.2, (0.3, 1.2), "and to between 0.30 and 1.20 in the other 2."),
        (0.2, (), "in the training pictured."),
    ],
)
def test_words_about_one_unit_tell_of_the_other_trainings(low, others, says):
    assert says in " ".join(sentences._one_unit(one(low, others)).split())


def test_one_unit_is_chosen_on_other_images_than_it_is_told_of(found):
    table, layer = found.one_unit("bright", most=3), "conv3_3"
    old, new = (results[0] for results in found.dissections.values())
    assert set(table["category"]) == {"bright"}
    looked = old.regions.query("category == 'bright' and fixations > 0")
    chose = set(Blobs(20).subset(looked["image"].tolist()).folds(2)[0].names)
    gain = (new.subset(chose).selectivity(layer) - old.subset(chose).selectivity(layer)).loc[
        "bright"
    ]
    unit = gain.idxmax()
    assert set(table["unit"]) == {unit}
    shown = table[table["image"] != tables.OTHER_IMAGES]
    assert len(shown) == 6
    assert not set(shown["image"]) & chose
    for what, res in (("before", old), ("after", new)):
        for row in shown[shown["what"] == what].itertuples():
            here = res.regions.query("image == @row.image").index[int(row.region)]
            assert row.value == pytest.approx(res.of(layer)[here, unit].item())
            assert row.fixations == res.regions["fixations"][here]
    mean = table[table["image"] == tables.OTHER_IMAGES].set_index("what")
    for k, res in enumerate(found.dissections["fine-tuned"]):
        rest = res.subset(set(res.regions["image"]) - chose).selectivity(layer)
        assert mean[f"training {k + 1}"]["after"] == pytest.approx(rest.loc["bright", unit])
    both = mean[["training 1", "training 2"]].mean(axis=1)
    assert mean["value"][["before", "after", "change"]].equals(both[["before", "after", "change"]])
    others = mean.loc[tables.OTHERS_CHANGE]  # of who did not choose the unit
    assert others["value"] == others["training 2"] == mean["training 2"]["change"]
    assert np.isnan(others["training 1"])
    assert np.isnan(mean["sd_trainings"]["before"])
    assert found.one_unit("never")["category"].iloc[0] in ("bright", "dark")


def test_one_unit_is_pictured_before_and_after(found):
    table = found.one_unit("bright", most=3)
    figure = figures.one_unit(table, found, 1.5)
    grid = np.array(figure.axes).reshape(3, 3)
    shown = table[table["image"] != tables.OTHER_IMAGES]
    assert [axis.get_xlabel() for axis in grid[0]] == shown["image"].tolist()[:3]
    told = [axis.get_xlabel() for axis in grid[1:].flat]
    assert told == [f"region NSS {value:.1f}".replace("-", "−") for value in shown["value"]]
    means = table.loc[table["image"] == tables.OTHER_IMAGES, "training 1"]
    for axis, name, mean in zip(grid[1:, 0], found.dissections, means, strict=False):
        assert axis.get_ylabel().startswith(name)
        assert axis.get_ylabel().endswith(f"mean {mean:.1f}")
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
    paper, unit = told(), one()
    text = sentences.what_we_see(by, favoured, by, counts, 1.5, 40, paper, unit)
    map_line = next(line for line in text.splitlines() if "in the map**" in line)
    assert says in map_line
    assert favours in map_line
    assert "of the same sign in 2 of 3 trainings" in map_line
    assert text.startswith("- On 40 images")
    assert "grows in 2 of 2 categories" in text
    assert "x 3." in text
    assert ("they contradict the map." in text) == (high < 0)
    assert ("they agree with the map." in text) == (low > 0)


def test_who_gains_most_is_one_of_those_that_surely_gain():
    by = {"person_head": (0.4, 0.2, 0.6), "text": (0.3, 0.1, 0.5), "symbol": (0.6, -0.2, 1.3)}
    rows = [(name, *span) for name, span in by.items()]
    changes = pd.DataFrame(rows, columns=["category", "value", "low", "high"])
    text = " ".join(sentences._grows(changes).split())
    assert "grows in 2 of 3 categories (most at **person head**, by 40 % [20, 60])" in text
    assert "falls in 0; these" in text
    fallen = changes.assign(value=-changes["value"], low=-changes["high"], high=-changes["low"])
    text = " ".join(sentences._grows(fallen.iloc[[0, 2]]).split())
    assert "grows in 0 of 2 categories and falls in 1 (at **person head**, by -40 %" in text


def test_a_split_over_layers_is_told_if_there_are_several():
    spans = {"a": viewing.claims.Span(0.1, 0.0, 0.2)}
    assert sentences._split(spans) == ""
    assert sentences._split(spans | {"b": spans["a"]}).count("10 % [0, 20]") == 2


def test_one_training_is_said_to_know_of_no_other():
    assert "no interval knows" in sentences._trainings(1)
    assert "5 trainings" in sentences._trainings(5)
