"""Notebook 04: whose target is most salient, what networks lose on arrays, what is said of it."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_rgb

from saliencykit.analyses.pop_out import figures, sentences, tables
from saliencykit.datasets import load
from saliencykit.datasets.p3o3 import Shrunk
from saliencykit.datasets.popout import EFFICIENT, INEFFICIENT, PopOut
from saliencykit.evaluation import Evaluation, Evaluations, Kind, Predictor
from saliencykit.findings.lead import (
    CLASSICAL,
    LEAD,
    LEVEL,
    LOST,
    MOST,
    NATURAL,
    NETWORKS,
    leads,
    searches,
)
from saliencykit.intervals import of_images, of_share, wilson
from saliencykit.study import Study
from saliencykit.viewing.style import label
from tests import miniature

KINDS = {
    "centre prior": Kind.PRIOR,
    **dict.fromkeys(["aim", "gbvs", "bms", "covsal"], Kind.CLASSICAL),
    **dict.fromkeys(["frozen", "fine-tuned"], Kind.NETWORK),
}
PEOPLE = {"human": Kind.PEOPLE}
DESIGN = PopOut(features=["colour", "size", "conjunction"], repeats=1, size=(128, 160))
ARRAYS = searches(DESIGN.table)
FAST = (ARRAYS["search"] == EFFICIENT).to_numpy()


def evaluations(values, images, kinds):
    """From metric → model → scores (S, images): all trainings on the same images."""
    parts = []
    for k in range(max(len(v) for own in values.values() for v in own.values())):
        rows = [
            (model, image, metric, value)
            for metric, own in values.items()
            for model, v in own.items()
            for image, value in zip(images, v[min(k, len(v) - 1)], strict=True)
        ]
        scores = pd.DataFrame(rows, columns=["model", "image", "metric", "value"])
        parts.append(Evaluation(scores, {}, kinds))
    return Evaluations.of(parts)


def nested(values, kinds):
    """From model → scores (S, images of one training): each training on images of its own."""
    parts = []
    for k in range(len(values["frozen"])):
        images = [f"fold {k} {i}" for i in range(len(values["frozen"][0]))]
        rows = [(m, i, "nss", v) for m in kinds for i, v in zip(images, values[m][k], strict=True)]
        scores = pd.DataFrame(rows, columns=["model", "image", "metric", "value"])
        parts.append(Evaluation(scores, {}, kinds))
    return Evaluations.of(parts)


def drawn(chances, images, trainings, rng):
    """Hits (S, images) of each model, by its chance to hit."""
    return {
        m: 1.0 * (rng.random((trainings if KINDS[m] == Kind.NETWORK else 1, images)) < p)
        for m, p in chances.items()
    }


def searched(networks=0.1, classical=0.6, trainings=3, seed=0):
    """An evaluation on `ARRAYS`: chance to find a target, and as good at all metrics."""
    rng = np.random.default_rng(seed)
    chances = {m: networks if k == Kind.NETWORK else classical for m, k in KINDS.items()}
    hits = drawn(chances, len(ARRAYS), trainings, rng)
    tries = {m: np.where(v > 0, 1.0, 5.0) for m, v in hits.items()}
    gsi = {m: v - 0.5 for m, v in hits.items()}
    return evaluations({MOST: hits, tables.GSI: gsi, tables.LOOKS: tries}, ARRAYS["name"], KINDS)


def looked_at(networks=3.0, classical=1.0, trainings=3, images=40, seed=0, people=4.0):
    """An evaluation on photographs: NSS about these means."""
    rng = np.random.default_rng(seed)
    means = {m: networks if k == Kind.NETWORK else classical for m, k in KINDS.items()}
    values = {
        m: rng.normal(mean, 0.2, (trainings if KINDS[m] == Kind.NETWORK else 1, images))
        for m, mean in means.items()
    }
    found = evaluations({"nss": values}, [f"i{k}" for k in range(images)], KINDS)
    human = {"model": "human", "image": found.images, "metric": "nss", "value": people}
    return found.beside(pd.DataFrame(human))


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def row(table, **values):
    for column, value in values.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


# Tables


def test_searches_tell_apart_what_pops_out_and_what_guessing_finds():
    found = ARRAYS.groupby("feature")["search"].unique().map(list).to_dict()
    assert found == {"colour": [EFFICIENT], "size": [EFFICIENT], "conjunction": [INEFFICIENT]}
    assert (ARRAYS["chance"] * ARRAYS["set_size"] == 1).all()


def test_conditions_are_averaged_over_their_own_arrays_and_trainings():
    odd = searched()
    table = tables.by_condition(odd, ARRAYS, ["feature", "set_size"], (MOST, tables.GSI))
    chosen = ((ARRAYS["feature"] == "size") & (ARRAYS["set_size"] == 16)).to_numpy()
    of = row(table, model="frozen", feature="size", set_size=16, measure=MOST)
    grid = odd.grid("frozen", MOST)[:, chosen]
    assert of["value"] == pytest.approx(grid.mean())
    assert of[["training 1", "training 2", "training 3"]].tolist() == grid.mean(1).tolist()
    assert of["sd_trainings"] == pytest.approx(grid.mean(1).std(ddof=1))
    assert (of["arrays"], of["chance"]) == (12, 1 / 16)
    assert np.isnan(of["low"])  # twelve arrays are too few
    gsi = row(table, model="gbvs", feature="colour", set_size=4, measure=tables.GSI)
    chosen = ((ARRAYS["feature"] == "colour") & (ARRAYS["set_size"] == 4)).to_numpy()
    assert gsi["value"] == pytest.approx(odd.grid("gbvs", tables.GSI)[:, chosen].mean())
    assert np.isnan(gsi["training 1"])


def test_intervals_cover_trainings_and_arrays_and_leave_no_share():
    odd = searched(networks=0.02, classical=1.0)
    table = tables.by_condition(odd, ARRAYS, ["search"])
    of, grid = row(table, model="frozen", search=EFFICIENT), odd.grid("frozen", MOST)[:, FAST]
    expected = of_share(of_images(grid), grid.shape[1])
    assert of["low"] == expected.low > 0
    assert of["high"] == expected.high
    of = row(table, model="gbvs", search=EFFICIENT)
    assert (of["low"], of["high"]) == wilson(72, 72)  # all hits: not a point, but up to 1
    assert of["low"] < 1 == of["value"]


def test_found_within_counts_fixations():
    odd = searched()
    table = tables.found_within(odd, ARRAYS, [1, 4, 5], "set_size")
    at = row(table, model="fine-tuned", set_size=4, looks=4)
    four = (ARRAYS["set_size"] == 4).to_numpy()
    assert at["value"] == pytest.approx(odd.grid("fine-tuned", MOST)[:, four].mean())
    assert row(table, model="fine-tuned", set_size=4, looks=5)["value"] == 1


def test_both_sides_have_a_row_a_model_and_people_are_on_photographs():
    table = tables.both_sides(looked_at(), searched(), ARRAYS)
    assert row(table, model="human", side=NATURAL)["value"] == 4
    assert "human" not in set(table[table["side"] == "arrays"]["model"])
    found = row(table, model="gbvs", side="arrays")
    assert found["value"] == searched().grid("gbvs", MOST)[:, FAST].mean()


# Networks against classical models


def by_brute_force(natural, odd):
    """The leads of all networks, loop by loop: natural, efficient."""
    networks, classical = ([m for m, k in KINDS.items() if k == kind] for kind in
                           (Kind.NETWORK, Kind.CLASSICAL))  # fmt: skip
    found = []
    for of, metric, whole, chosen in (
        (natural, "nss", 4.0, slice(None)),
        (odd, MOST, 1.0, FAST),
    ):
        ours = [of.grid(m, metric)[s, chosen].mean() for m in networks for s in range(3)]
        theirs = [of.grid(m, metric)[0, chosen].mean() for m in classical]
        found.append((np.mean(ours) - np.mean(theirs)) / whole)
    return found


def test_leads_are_differences_of_mean_shares_of_people():
    natural, odd = looked_at(), searched()
    table = leads(natural, odd, ARRAYS)
    here, there = by_brute_force(natural, odd)
    led = table[table["what"] == LEAD]
    assert row(led, side=NATURAL, who=NETWORKS)["value"] == pytest.approx(here)
    assert row(led, side=EFFICIENT, who=NETWORKS)["value"] == pytest.approx(there)
    assert row(led, side=LOST, who=NETWORKS)["value"] == pytest.approx(here - there)
    kinds = led[(led["side"] == EFFICIENT) & (led["who"] != NETWORKS)]
    assert kinds["who"].tolist() == ["frozen", "fine-tuned"]
    assert kinds["value"].mean() == pytest.approx(there)  # the mean of the kinds
    level = {who: row(table, side=EFFICIENT, what=LEVEL, who=who) for who in (NETWORKS, CLASSICAL)}
    assert level[NETWORKS]["value"] - level[CLASSICAL]["value"] == pytest.approx(there)
    assert (led["models"] == 4).all()  # the centre prior is none of them
    assert (level[NETWORKS]["sd_models"], level[CLASSICAL]["sd_trainings"]) == (0, 0)
    singles = row(led, side=NATURAL, who=NETWORKS)[["training 1", "training 2", "training 3"]]
    assert singles.mean() == pytest.approx(here)


def test_a_lead_is_less_certain_the_more_classical_models_differ():
    natural = looked_at()
    alike, apart = searched(), searched()
    values = {m: alike.grid(m, MOST).copy() for m in KINDS}
    for k, m in enumerate(["aim", "gbvs", "bms", "covsal"]):
        values[m][:] = k % 2  # as good on the whole, and each other all or none
    apart = evaluations({MOST: values, "gsi": values}, ARRAYS["name"], KINDS)
    spans = [
        row(leads(natural, odd, ARRAYS), side=EFFICIENT, what=LEAD, who=NETWORKS)
        for odd in (alike, apart)
    ]
    assert spans[1]["sd_models"] == pytest.approx(np.std([0, 1, 0, 1], ddof=1))
    assert spans[1]["high"] - spans[1]["low"] > 3 * (spans[0]["high"] - spans[0]["low"])


def test_trainings_with_images_of_their_own_lead_by_their_own():
    rng = np.random.default_rng(0)
    kinds = KINDS | PEOPLE
    values = {m: rng.normal(2, 1, (3, 20)) for m in kinds}
    values["human"] = values["human"] + 4
    natural = nested(values, kinds)
    table = leads(natural, searched(), ARRAYS)
    found = row(table, side=NATURAL, what=LEAD, who="frozen")
    classical = np.mean([values[m].mean(1) for m in KINDS if KINDS[m] == Kind.CLASSICAL], 0)
    each = (values["frozen"].mean(1) - classical) / values["human"].mean(1)
    assert found[["training 1", "training 2", "training 3"]].tolist() == pytest.approx(each)
    assert found["images"] == 60
    lost = row(table, side=LOST, what=LEAD, who="frozen")
    there = row(table, side=EFFICIENT, what=LEAD, who="frozen")
    assert lost["value"] == pytest.approx(found["value"] - there["value"])
    assert lost["se_images"] == pytest.approx(there["se_images"])  # photographs': of the trainings


def test_images_that_somebody_has_no_score_on_count_for_nobody():
    natural = looked_at()
    scores = natural.scores.copy()
    scores.loc[(scores["model"] == "aim") & (scores["image"] == "i3"), "value"] = np.nan
    holed = Evaluations(scores, natural.first, False)
    found = row(leads(holed, searched(), ARRAYS), side=NATURAL, what=LEAD, who="frozen")
    kept = [i for i, name in enumerate(natural.images) if name != "i3"]
    others = [m for m in KINDS if KINDS[m] == Kind.CLASSICAL]
    expected = natural.grid("frozen")[:, kept].mean() - np.mean(
        [natural.grid(m)[:, kept].mean() for m in others]
    )
    assert found["value"] == pytest.approx(expected / 4)
    assert found["images"] == 39


@pytest.mark.parametrize(
    ("networks", "classical", "finding"),
    [(0.1, 0.7, "holds"), (0.8, 0.2, "is the other way round"), (0.4, 0.4, "holds in part")],
)
def test_what_is_planted_is_what_is_said(networks, classical, finding):
    natural, odd = looked_at(), searched(networks, classical)
    assert f"finding {finding} here" in words(natural, odd)
    same = looked_at(1.0, 1.0)
    if finding == "holds":  # classical models lead on arrays; networks do not on photographs
        assert "finding is not decided here" in words(same, odd)


def test_it_holds_of_networks_only_if_of_each_that_leads_on_photographs():
    natural, odd = looked_at(), searched(0.1, 0.7)
    table = leads(natural, odd, ARRAYS)
    assert "finding holds here" in sentences.what_we_see(table, *of_kinds(odd))
    one = (table["side"] == EFFICIENT) & (table["what"] == LEAD) & (table["who"] == "frozen")
    table.loc[one, "high"] = 0.1
    text = sentences.what_we_see(table, *of_kinds(odd))
    assert "finding holds in part here" in text
    assert "it holds for fine-tuned; it holds in part for frozen." in text
    behind = (table["side"] == NATURAL) & (table["what"] == LEAD) & (table["who"] == "frozen")
    table.loc[behind, "low"] = -0.1  # who does not lead there has nothing to lose
    assert "finding holds here" in sentences.what_we_see(table, *of_kinds(odd))


# Other people's arrays


class Answering:
    """A study whose models answer every image with a map drawn from their seed."""

    trainings, array_size, centre = 2, (30, 40), None
    evaluated_on, _evaluated = Study.evaluated_on, Study._evaluated

    def training(self, number):
        return {"frozen": number, "fine-tuned": 10 + number}

    def network_maps(self, networks, data):
        return {name: self.drawn(seed, data, Kind.NETWORK) for name, seed in networks.items()}

    def untaught(self, data):
        return {"gbvs": self.drawn(99, data, Kind.CLASSICAL)}

    def drawn(self, seed, data, kind):
        def map_of(i):
            return torch.rand(data.size_of(i), generator=torch.Generator().manual_seed(seed + i))

        return Predictor(map_of, seed, kind)


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """Write P3 and O3; return the table of what is here of them."""
    monkeypatch.setenv("SALIENCYKIT_DATA", str(tmp_path))

    def found(*here, images=0):
        for name in here:
            getattr(miniature, f"write_{name}")(tmp_path / name, n=6)
        return tables.elsewhere(Answering(), searched(), ARRAYS, images)

    return found


def test_p3_and_o3_stand_beside_the_arrays_drawn_here(beside):
    table, study = beside("p3", "o3"), Answering()
    efficient = tables.by_condition(searched(), ARRAYS, ["search"], (MOST, tables.GSI))
    for name, of in (("gbvs", efficient), ("frozen", efficient)):
        own = row(table, data=tables.OURS, measure=MOST, model=name)
        assert own["value"] == row(of, search=EFFICIENT, measure=MOST, model=name)["value"]
    for name, count, items in (("p3", 18, 49), ("o3", 6, 4)):
        data = Shrunk(load(name), 30)
        for k, maps in enumerate(study.drawn(10 + k, data, None) for k in range(2)):
            ratios = [
                float(maps(i)[data.targets(i)].max() / maps(i)[data.distractors(i)].max())
                for i in range(count)
            ]
            of = row(table, data=name, measure=MOST, model="fine-tuned")
            assert of[f"training {k + 1}"] == pytest.approx(np.mean([r > 1 for r in ratios]))
            assert (of["arrays"], of["chance"]) == (count, pytest.approx(1 / items))
            of = row(table, data=name, measure=tables.MSR, model="fine-tuned")
            assert of[f"training {k + 1}"] == pytest.approx(np.mean(ratios), rel=0.01)  # stretched
            assert np.isnan(of["chance"])
        assert np.isnan(row(table, data=name, measure=MOST, model="gbvs")["training 1"])
    assert set(table.loc[table["data"] == tables.OURS, "measure"]) == {MOST, tables.GSI}


def test_of_many_images_some_are_scored_and_a_lost_mask_is_told(beside, tmp_path):
    table = beside("o3", images=4)
    assert set(table.loc[table["data"] == "o3", "arrays"]) == {4}
    for mask in (tmp_path / "o3" / "targ_labels").iterdir():
        mask.unlink()
    with pytest.raises(FileNotFoundError, match=r"targ_labels.* is not there"):
        beside(images=5)


def test_what_is_not_here_is_said_and_not_drawn(beside):
    table = beside()
    assert len(table) == 0
    said = sentences.missing(table)
    assert said.startswith("P3 and O3 (Kotseruba et al. 2019) are not here: `saliencykit fetch p3`")
    assert sentences._elsewhere(table, ["frozen"]) == ""
    table = beside("o3")
    assert set(table["data"]) == {tables.OURS, "o3"}
    said = sentences.missing(table)
    assert said.startswith("P3 (Kotseruba et al. 2019) is not here: `saliencykit fetch p3` says")
    assert sentences.missing(beside("p3", "o3")) == ""


def test_p3_and_o3_are_drawn_and_told(beside):
    table = beside("p3", "o3")
    most, gsi, ratio = figures.elsewhere(table).axes
    assert [axis.get_xlabel() for axis in (most, gsi, ratio)] == [
        "target most salient", "GSI", "MSR of the target",
    ]  # fmt: skip
    drawn = {c.get_label(): c.lines[0].get_xdata().tolist() for c in ratio.containers}
    for name, said in (("p3", "P3"), ("o3", "O3")):
        rows = table[(table["data"] == name) & (table["measure"] == tables.MSR)]
        assert drawn[said] == rows["value"].tolist()
    text = sentences._elsewhere(table, ["frozen", "fine-tuned"])
    own = table[(table["data"] == "p3") & (table["measure"] == MOST)].set_index("model")
    best = own["value"][["frozen", "fine-tuned"]].idxmax()
    assert "On P3 (18 images) the odd item is most often the most salient one to" in text
    assert f"to {best}, {100 * own['value'][best]:.0f} % [" in text
    assert f"], of the networks, and to GBVS, {100 * own['value']['gbvs']:.0f} % [" in text
    assert "by chance it would be in 2 %. On O3 (6 images)" in text


# Words and figures


def of_kinds(odd, arrays=ARRAYS):
    searches = tables.by_condition(odd, arrays, ["search"], (MOST, tables.GSI))
    nothing = pd.DataFrame(columns=["measure", "model", "data"])
    return searches, tables.by_condition(odd, arrays, ["search", "feature"]), nothing, odd.networks


def words(natural, odd, arrays=ARRAYS):
    return sentences.what_we_see(leads(natural, odd, arrays), *of_kinds(odd, arrays))


def test_words_hold_the_table_s_numbers():
    natural, odd = looked_at(), searched()
    text, table = words(natural, odd), leads(natural, odd, ARRAYS)
    lead = row(table, side=NATURAL, what=LEAD, who=NETWORKS)
    low, high = (100 * lead[end] for end in ("low", "high"))
    assert (
        f"lead the 4 classical models ({100 * lead['value']:.0f} % [{low:.0f}, {high:.0f}] of"
        in text
    )
    assert "pops out for people (72 arrays)" in text
    assert "by chance it would be in 11 %" in text
    assert "other trainings (3 here)" in text
    assert "nan" not in text


def test_arrays_of_one_kind_of_search_alone_can_be_told():
    natural, odd = looked_at(), searched()
    slow = ARRAYS[ARRAYS["search"] == INEFFICIENT]
    for arrays, said in ((slow, "no arrays of a search that is efficient"), (ARRAYS[FAST], "72")):
        text = words(natural, odd, arrays)
        assert said in text
        assert "nan" not in text
    assert "finding is not decided here" in words(natural, odd, slow)
    figures.leads(leads(natural, odd, slow))
    figures.most_salient(tables.by_condition(odd, slow, ["search"], (MOST, tables.GSI)))


def test_figures_draw_the_tables():
    natural, odd = looked_at(), searched(0.1, 0.5)
    table = tables.by_condition(odd, ARRAYS, ["search"], (MOST, tables.GSI))
    axes = figures.most_salient(table).axes
    assert len(axes) == 3
    chance = ["chance" in axis.get_legend_handles_labels()[1] for axis in axes]
    assert chance == [True, True, False]  # of the GSI 0 is no chance
    best = table[(table["measure"] == MOST) & (table["search"] == EFFICIENT)]
    order = [t.get_text() for t in axes[0].get_yticklabels()]
    ranked = best.sort_values("value", ascending=False)["model"]
    assert order == [label(model) for model in ranked]
    both = tables.both_sides(natural, odd, ARRAYS)
    axis = figures.natural_against_arrays(both).axes[0]
    named = {t.get_text(): t.xy for t in axis.texts}
    sides = [row(both, model="gbvs", side=s)["value"] for s in (NATURAL, "arrays")]
    assert named["GBVS"] == pytest.approx(tuple(sides))
    assert len(named) == len(KINDS)
    by_feature = tables.by_condition(odd, ARRAYS, ["search", "feature"])
    axis = figures.by_feature(by_feature).axes[0]
    assert [t.get_text() for t in axis.get_xticklabels()] == ["colour", "size", "conjunction"]
    at = [t.get_text() for t in axis.get_yticklabels()].index("GBVS")
    of = row(by_feature, model="gbvs", feature="size")
    assert axis.images[0].get_array()[at, 1] == pytest.approx(100 * (of["value"] - of["chance"]))
    steps = tables.by_condition(odd, ARRAYS, ["search", "difference"])
    panels = [a for a in figures.by_difference(steps).axes if a.get_visible()]
    assert len(panels) == len(KINDS)
    of = steps[(steps["model"] == "aim") & (steps["search"] == EFFICIENT)]
    panel = panels[list(KINDS).index("aim")]
    assert panel.lines[0].get_ydata().tolist() == of["value"].tolist()
    lead = figures.leads(leads(natural, odd, ARRAYS))
    assert [t.get_text() for t in lead.axes[0].get_yticklabels()] == [
        NETWORKS, "frozen", "fine-tuned",
    ]  # fmt: skip


def test_found_draws_a_panel_a_model_and_a_search_item_by_item():
    odd = searched(0.1, 1.0)
    table = tables.found_within(odd, ARRAYS, [1, 4], "set_size")
    axes = [axis for axis in figures.found(table, odd.networks).axes if axis.get_visible()]
    sizes = sorted(set(table["set_size"]))
    models = sorted(table["model"].unique(), key=lambda model: model not in odd.networks)
    assert models[: len(odd.networks)] == odd.networks
    assert [axis.get_title(loc="left") or axis.get_title() for axis in axes] == [
        label(model) for model in models
    ]
    for axis, model in zip(axes, models, strict=True):
        found, one_by_one = axis.lines[:-1:2], axis.lines[1:-1:2]
        assert [line.get_label() for line in found] == [f"{n} items" for n in sizes]
        for n, line, dotted in zip(sizes, found, one_by_one, strict=True):
            of = table[(table["model"] == model) & (table["set_size"] == n)]
            assert line.get_ydata().tolist() == (100 * of["value"]).tolist()
            assert dotted.get_ydata().tolist() == [100 / n, min(100, 400 / n)]
    colours = np.array([to_rgb(line.get_color()) for line in found])
    apart = np.linalg.norm(colours[:, None] - colours, axis=-1) + np.eye(len(colours))
    assert apart.min() > 0.25
