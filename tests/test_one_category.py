"""Data of one category, or of none: what sets categories side by side is not asked, in words."""

import re
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from saliencykit.analyses.causal_units import figures as causal_figures
from saliencykit.analyses.causal_units import sentences as causal_sentences
from saliencykit.analyses.causal_units import tables as causal_tables
from saliencykit.analyses.data import figures as data_figures
from saliencykit.analyses.data import sentences as data_sentences
from saliencykit.analyses.data import tables as data_tables
from saliencykit.analyses.elsewhere import tables as elsewhere_tables
from saliencykit.analyses.failures import sentences as failures_sentences
from saliencykit.analyses.failures import tables as failures_tables
from saliencykit.analyses.fine_tuning import figures as fine_tuning_figures
from saliencykit.analyses.fine_tuning import sentences as fine_tuning_sentences
from saliencykit.analyses.fine_tuning import tables as fine_tuning_tables
from saliencykit.analyses.models.figures import learning_curves
from saliencykit.analyses.pretrained_units import sentences as pretrained_sentences
from saliencykit.analyses.pretrained_units.tables import best_at_regions
from saliencykit.analyses.unit_explorer import sentences as explorer_sentences
from saliencykit.analyses.unit_explorer.tables import known
from saliencykit.datasets import Fixations, Region
from saliencykit.dissection import Dissection, OverTrainings, mean_of
from saliencykit.findings import labelled
from saliencykit.metrics.rates import rates
from saliencykit.registry import UnknownNameError
from saliencykit.viewing import reported
from saliencykit.viewing.plots import only, panels
from tests.conftest import Blobs
from tests.test_causal import SETUP, one_training
from tests.test_fine_tuning import Few
from tests.test_sentences import CASES, named


class Heads(Blobs):
    """People look at heads, the only category, and past them."""

    categories, scenes = ("person_head",), ()

    def fixations(self, i):
        near, draw = super().fixations(i), np.random.default_rng(i)
        x, y = (draw.uniform(0, n, 8) for n in (64, 48))
        who = [*near.observer.tolist(), *(k % 4 for k in range(8))]
        return Fixations.of([*near.x.tolist(), *x], [*near.y.tolist(), *y], who)

    def regions(self, i):
        (head, _) = super().regions(i)
        return [Region("person_head", mask=head.mask)]

    def scene(self, i):
        return None


class Bare(Heads):
    """The same without regions; the categories could be any."""

    categories = ("person_head", "text")

    def regions(self, i):
        return []


# Which categories there are


def test_the_paper_s_categories_may_be_missing_and_no_others():
    assert labelled(["text", "person_head"], ["person_head", "cat"]) == ["person_head"]
    assert labelled(["cat", "person_head"], ["person_head", "cat"]) == ["cat", "person_head"]
    with pytest.raises(UnknownNameError, match=r"'txt'.*mean 'text'"):
        labelled(["person_head", "txt"], ["person_head"])
    with pytest.raises(UnknownNameError, match=r"'text'.*Known: cat\."):
        labelled(["text", "person_head"], ["cat"])


def test_favouring_none_is_the_category_itself():
    regions = pd.DataFrame(
        {"image": [f"i{k // 2}" for k in range(40)], "category": ["a", "b"] * 20, "fixations": 3}
    ).assign(sure=True)
    scores = torch.randn(40, 1, generator=torch.Generator().manual_seed(0))
    found = OverTrainings.of([Dissection({"x": scores}, regions, ("a", "b"))] * 2, mean_of("x"))
    pd.testing.assert_frame_equal(
        found.favouring("b").table(), found.table().iloc[[1]].reset_index(drop=True)
    )


# 00: the data


def test_one_category_is_compared_with_the_background():
    data = Heads(20)
    table = data_tables.attraction(data, n=50).set_index("category")
    seen, area, _ = data_tables._counts(data)
    head, background = rates(seen, area)
    assert table.loc["background", "value"] == pytest.approx(1)
    assert table.loc["person_head", "value"] == pytest.approx(head / background)
    assert 1 < table.loc["person_head", "low"] < table.loc["person_head", "value"]
    figure = data_figures.attraction(table.reset_index())
    assert "(1: the background)" in figure.axes[0].get_xlabel()
    plt.close(figure)
    text = data_sentences._attraction(table.reset_index())
    assert "at a pixel" in text
    assert "**person head** as at the background" in text
    assert "least" not in text


def test_two_categories_are_compared_with_their_mean():
    table = data_tables.attraction(Blobs(20), n=5)  # which leave no background
    assert table["value"].mean() == pytest.approx(1)
    assert data_tables.scale(table) == "the categories' mean"


def test_without_regions_nothing_is_said_of_categories():
    table = data_tables.attraction(Bare(4), n=5)
    assert table.empty
    assert list(table) == list(data_tables.COLUMNS)
    assert data_sentences._attraction(table).startswith("No regions are annotated")
    sheet, cuts = data_figures.category_sheet(Bare(4))
    assert cuts.empty
    for figure in (sheet, data_figures.attraction(table)):
        assert not figure.axes
        assert "no regions" in figure.texts[0].get_text()
    plt.close("all")


# 01: one epoch


def test_one_epoch_is_a_mark_and_two_are_a_line():
    rows = [("frozen", images, epoch) for images in ("training", "validation") for epoch in (1, 2)]
    table = pd.DataFrame(rows, columns=["model", "images", "epoch"]).assign(value=1.0)
    table["training 1"] = 1.0
    baselines = pd.DataFrame({"metric": ["nss"], "model": ["human"], "mean": [2.0]})
    marks = {}
    for epochs in (1, 2):
        (axis,) = learning_curves(table[table["epoch"] <= epochs], baselines).axes
        marks[epochs] = [line.get_marker() for line in axis.lines if line.get_lw() > 1.3]
        fills = {line.get_mfc() for line in axis.lines if line.get_marker() == "o"}
        assert len(fills) == (2 if epochs == 1 else 0)  # training and validation
        assert all(float(tick).is_integer() for tick in axis.get_xticks())
    assert marks[1].count("o") == 2
    assert "o" not in marks[2]
    plt.close("all")


def test_a_long_label_fits_beside_one_row_of_panels():
    long = "mean region NSS of the best 10 % of units"
    one, _ = panels(["a"], "", long)
    two, _ = panels(list("abcdefgh"), "", long)
    assert one.get_supylabel().split("\n") == ["mean region NSS of the best 10", "% of units"]
    assert two.get_supylabel() == long
    plt.close("all")


# 02: several regions of one category


def test_regions_of_the_only_category_are_pictured_together():
    images, looked = ["a", "a", "a", "b"], [5, 0, 9, 20]
    regions = pd.DataFrame({"image": images, "category": "person_head", "fixations": looked})
    res = Dissection({"deep": torch.eye(4)}, regions.assign(sure=True), ("person_head", "text"))
    table = best_at_regions(res, [res], ["deep"])
    assert table["image"].unique().tolist() == ["a"]
    assert table["region"].tolist() == [2, 0]
    assert table["unit"].tolist() == [2, 0]
    res.regions.loc[3, "category"] = "text"
    assert len(best_at_regions(res, [res], ["deep"])) == 1  # of two categories one each


# 03: the claimed pair


class FewHeads(Few):
    def __init__(self):
        super().__init__()
        self.unseen = self.annotated = Heads(20)


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALIENCYKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield fine_tuning_tables.FineTuning(FewHeads(), 3)


def test_without_text_the_gain_of_heads_is_told_alone(heads):
    pair = heads.favoured("person_head", "text")
    assert pair[["first", "second"]].drop_duplicates().values.tolist() == [["person_head", ""]]
    units = only(pair, part="best units").iloc[0]
    gained = heads.units.gained.table(together=False).iloc[0]
    assert units[["value", "low", "high"]].tolist() == gained[["value", "low", "high"]].tolist()
    assert heads.asked("text", "person_head") == ("person_head", "")
    with pytest.raises(UnknownNameError, match="'text'"):
        heads.asked("text", "plant")
    figure = fine_tuning_figures.favoured(pair, heads.layer)
    assert figure.get_suptitle() == "change of person head"
    plt.close(figure)


def test_the_paper_s_table_has_no_mean_over_one_category(heads):
    table = heads.paper_table(1.5, "person_head", "text")
    assert set(table["category"]) == {"person_head"}
    change = only(table, what="change").iloc[0]
    ends = [only(table, measure=fine_tuning_tables.SAME, what=w)["value"].iloc[0]
            for w in ("after", "before")]  # fmt: skip
    assert change["value"] == pytest.approx(ends[0] - ends[1])
    assert change["least"] == pytest.approx(reported.gained("person_head"))
    figure = fine_tuning_figures.paper_table(table, ["person_head", "text"], 3, 1.5)
    texts = [t.get_text() for t in figure.axes[0].texts]
    assert "gain of person head" in texts
    assert not any("text" in one or "all categories" in one for one in texts)
    assert texts.count("reported") == 1  # of units above T they report the mean alone
    plt.close(figure)


def test_words_on_fine_tuning_set_heads_against_nothing(heads):
    mapped, pair = heads.map_table(), heads.favoured("person_head", "text")
    paper = heads.paper_table(1.5, "person_head", "text")
    told = mapped, pair, heads.unit_table(), heads.above(), 1.5, heads.images, paper
    text = fine_tuning_sentences.what_we_see(*told, heads.one_unit("text"))
    assert "finding cannot be asked**" in text
    assert "person head alone is labelled here" in text
    assert "at person head, the only category to be asked, by" in text
    assert "0.78 → 2.44 at person head (+1.66)." in text
    assert not re.search(r"favours|than 50 %|all categories|Most for|\btext\b|nan", text)


def test_elsewhere_the_gain_of_heads_is_told_alone(heads):
    settings = SimpleNamespace(
        studies={"one": heads.study}, marked=lambda parts, _: pd.concat(parts)
    )
    told = elsewhere_tables.favoured(settings, "person_head", "text")
    assert told["what"].tolist() == ["person_head"] * 2
    assert told["measure"].tolist() == [elsewhere_tables.SHARE, elsewhere_tables.UNITS]
    with pytest.raises(UnknownNameError, match="'txt'"):
        elsewhere_tables.favoured(settings, "person_head", "txt")


# 06: regions of none


def test_without_regions_no_category_is_expected_too_much():
    data = Bare(6)
    found = failures_tables.by_region([lambda i: torch.rand(48, 64)], data, halvings=1)
    assert found.model.shape == (1, 0, 3)
    excess = failures_tables.excess([found, found], own_images=True, n=5)
    assert excess.empty
    assert failures_sentences._expected(excess).startswith("No regions are annotated")
    some = failures_tables.by_region([lambda i: torch.rand(48, 64)], Heads(6), halvings=1)
    told = failures_tables.excess([found, some], own_images=True, n=5)
    assert told["trainings"].tolist() == [1, 1]  # the one whose images have any


# 07: what others might lose


@pytest.fixture(scope="module")
def ablations():
    """Two trainings, as they come out of no study."""
    found = object.__new__(causal_tables.CausalUnits)
    found.k, found.controls, found.doses, found.layer = 3, 2, [1, 3], "conv3_3"
    found.each = [one_training(seed, Heads(40)) for seed in range(2)]
    return found


def axes_of(figure):
    """The axes of a figure, none of them empty."""
    shown = [axis for axis in figure.axes if axis.get_visible()]
    for axis in shown:
        drawn = [line.get_xydata() for line in axis.lines] + [p.get_xy() for p in axis.patches]
        assert any(np.isfinite(one).all() and np.size(one) for one in drawn)
    return shown


def test_the_only_category_has_no_others_and_no_mean(ablations):
    losses = causal_tables.losses_by("way", ablations.ways)
    assert set(losses["way"]) == {causal_tables.MAIN}
    assert set(losses["where"]) == {"own"}
    for table in (losses, causal_tables.losses_by("k", ablations.dosed), ablations.carried()):
        assert set(table["category"]) == {"person_head"}
        assert table["value"].notna().all()
    assert len(causal_tables.ablation_matrix(ablations.effects())) == 1


def test_figures_of_the_only_category_have_no_empty_panel(ablations):
    losses = causal_tables.losses_by("way", ablations.ways)
    left, right = axes_of(causal_figures.specificity(losses))
    assert [t.get_text() for t in left.get_yticklabels()] == ["person head"]
    assert right.get_xlabel().endswith("named minus other units")
    (panel,) = axes_of(causal_figures.dose(causal_tables.losses_by("k", ablations.dosed)))
    assert panel.get_title(loc="left") or panel.get_title() == "person head"
    lines = {line.get_label() for line in panel.lines if "units" in str(line.get_label())}
    assert lines == {"named units, own regions", "random units, own regions"}
    assert len(axes_of(causal_figures.contributions(ablations.carried()))) == 2
    assert len(axes_of(causal_figures.agreement(ablations.agreement()))) == 1
    plt.close("all")


def test_words_on_ablation_do_not_call_one_category_s_loss_specific(ablations):
    text = causal_sentences.what_we_see(
        causal_tables.ablation_matrix(ablations.effects()),
        causal_tables.losses_by("way", ablations.ways),
        causal_tables.losses_by("k", ablations.dosed),
        ablations.carried(),
        ablations.agreement(),
        ablations.labels(),
        SETUP._replace(left_out=[]),
    )
    assert "**Whether the loss is specific cannot be asked**" in text
    assert "The 2 units named for person head are of 96" in text
    assert "with 3 of its units ablated person head changes by" in text
    assert not re.search(r"matrix|own − others|categories|\d of \d|nan", text)


# 09: networks that nobody can teach


def test_scenes_are_not_taught_where_none_are_known():
    names = ["fine-tuned", "scenes", "untrained"]
    assert known(SimpleNamespace(train=Blobs(4)), names) == names
    study = SimpleNamespace(train=Heads(4))
    assert known(study, names) == ["fine-tuned", "untrained"]
    with pytest.raises(UnknownNameError, match="'scenes'"):
        known(study, ["scene"])


# Words


def alone(given):
    """Leave of a table the first category, and its mean with others out."""
    if not isinstance(given, pd.DataFrame) or "category" not in given:
        return given
    return given[given["category"].isin(["person_head", "outside"])].reset_index(drop=True)


ALONE = {
    pretrained_sentences: "the only category to be asked",
    explorer_sentences: "the unit most selective for person head",
}


@pytest.mark.parametrize("sentences", ALONE, ids=named)
def test_words_on_one_category_count_no_categories(sentences):
    given = [alone(one) for one in CASES[sentences]]
    if sentences is pretrained_sentences:
        given[2] = given[2].assign(own=np.nan)  # nothing to decode
    text = sentences.what_we_see(*given)
    assert ALONE[sentences] in text
    assert not re.search(r"\d of 1\b|[0-9*] categor|over categories|nan|\(\)| [.;,)]|  ", text)


def test_words_on_pretrained_units_follow_the_interval_of_the_only_category():
    given = [alone(one) for one in CASES[pretrained_sentences]]
    given[2] = given[2].assign(own=np.nan)
    above = pretrained_sentences.what_we_see(*given)
    assert "respond more than" in above
    assert "By layer, above an untrained network's at a and b." in above
    assert "**For person head, the paper's first finding holds at this layer**" in above
    ends = {"difference": -2.0, "difference_low": -3.0, "difference_high": -1.0}
    given[0] = given[0].assign(**ends)
    below = pretrained_sentences.what_we_see(*given)
    assert "respond less than" in below
    assert "finding does not hold" in below


def test_words_on_networks_say_that_scenes_are_left_out():
    (table,) = CASES[explorer_sentences]
    said = "No scene classes are known of these images"
    assert said in explorer_sentences.what_we_see(table, ["one", "scenes"])
    assert said not in explorer_sentences.what_we_see(table, ["one", "other"])
