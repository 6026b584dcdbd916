"""Are losses specific: tables, figures, sentences and the browser of notebook 07."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from saliencykit.analyses.causal_units import browser as causal_units_browser
from saliencykit.analyses.causal_units import figures as causal_units_figures
from saliencykit.analyses.causal_units import sentences as causal_units_sentences
from saliencykit.analyses.causal_units.tables import (
    ALL,
    AblationStudy,
    ablation_matrix,
    carried,
    losses,
    losses_by,
    method_agreement,
    same_labels,
    specificity,
)
from saliencykit.datasets import Fixations
from saliencykit.dissection import (
    Dissection,
    Effects,
    Group,
    Role,
    named_groups,
)
from saliencykit.dissection.groups import Moments, best_groups, with_controls
from saliencykit.dissection.overlap import Overlap
from saliencykit.models import SaliencyModel, build_encoder
from saliencykit.registry import UnknownNameError
from tests.conftest import Blobs

NAMES = ("text", "head", "rare")


def result(scores, images, categories, names=NAMES):
    regions = {"image": images, "category": categories, "sure": True, "fixations": 3}
    return Dissection(scores, pd.DataFrame(regions), names)


def layout(n=40, rare=3):
    """Image and category of each region: two common ones on every image, one on a few."""
    pairs = [(f"{i:02}", c) for i in range(n) for c in NAMES[: 2 + (i < rare)]]
    return [i for i, _ in pairs], [c for _, c in pairs]


def made(loss, controls=2, random=3, noise=0.1):
    """Effects: the units of row a change the regions of b by loss[a][b], the others' by shares."""
    images, categories = layout()
    groups = with_controls(
        {a: [0] for a in NAMES}, {a: [[1]] * controls for a in NAMES}, [[2]] * random
    )
    share = {Role.NAMED: (1.0,), Role.MATCHED: (0.1, 0.2, 0.3), Role.RANDOM: (0.05,) * random}
    draw = np.random.default_rng(0)
    change = [
        [
            loss[g.category or "text"].get(c, 0) * share[g.role][g.number - 1]
            + draw.normal(0, noise)
            for g in groups
        ]
        for c in categories
    ]
    scores = {
        "before": torch.ones(len(images), 1),
        "change": torch.tensor(np.array(change)).float(),
    }
    return Effects(tuple(groups), result(scores, images, categories))


SPECIFIC = {"text": {"text": -1.0, "head": -0.2}, "head": {"head": -0.5}, "rare": {}}


def entry(table, **where):
    chosen = table
    for column, value in where.items():
        chosen = chosen[chosen[column] == value]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_losses_are_means_over_regions_and_groups():
    effects = made(SPECIFIC)
    table = losses(effects, n=200)
    change, code = effects.change, effects.result.codes()
    roles = [(g.role, g.category) for g in effects.groups]
    named = roles.index((Role.NAMED, "text"))
    text, head = change[code == 0].mean(0), change[code == 1].mean(0)
    matched = [i for i, role in enumerate(roles) if role == (Role.MATCHED, "text")]
    random = [i for i, role in enumerate(roles) if role == (Role.RANDOM, None)]
    assert (len(matched), len(random)) == (2, 3)
    expected = {
        ("named", "own"): text[named],
        ("matched", "own"): text[matched].mean(),
        ("random", "others"): head[random].mean(),
        ("beyond random", "own"): text[named] - text[random].mean(),
        ("named", "difference"): text[named] - head[named],
    }
    for (units, where), value in expected.items():
        row = entry(table, category="text", units=units, where=where)
        assert row["value"] == pytest.approx(float(value), abs=1e-5)
        assert row["low"] < row["value"] < row["high"]


def test_losses_beyond_matched_are_specificity_and_the_matrix():
    effects = made(SPECIFIC)
    table, wide = losses(effects, n=100), specificity(effects, n=100).set_index("category")
    matrix = ablation_matrix(effects, n=100).set_index(["first", "second"])
    for name in ("text", "head"):
        row = entry(table, category=name, units="beyond matched", where="difference")
        assert tuple(row[["value", "low", "high"]]) == pytest.approx(
            tuple(wide.loc[name, ["value", "low", "high"]]), abs=1e-6
        )
        own = entry(table, category=name, units="beyond matched", where="own")
        assert own["low"] == pytest.approx(matrix.loc[(name, name), "low"], abs=1e-6)


def test_rare_categories_are_left_out_and_all_is_the_mean_of_the_others():
    table = losses(made(SPECIFIC), n=50)
    assert set(table["category"]) == {"text", "head", ALL}
    for _, part in table.groupby(["units", "where"]):
        value = part.set_index("category")["value"]
        assert value[ALL] == pytest.approx(value[["text", "head"]].mean(), abs=1e-6)


def test_losses_without_controls_and_of_several_ablations():
    table = losses_by("k", {5: made(SPECIFIC, controls=0), 1: made(SPECIFIC)}, n=20)
    assert table.columns.tolist() == ["k", "category", "units", "where", "value", "low", "high"]
    assert set(table.loc[table["k"] == 5, "units"]) == {"named", "random", "beyond random"}
    assert set(table.loc[table["k"] == 1, "units"]) > {"matched", "beyond matched"}
    only = made({"rare": {}, "text": {}, "head": {}})
    change = Dissection({"change": only.change[:, :1]}, only.result.regions, NAMES)
    rare = Effects((Group(Role.NAMED, "rare", (0,)),), change)
    with pytest.raises(ValueError, match="5 images or more"):
        losses(rare, n=5)


def dissection(units=24, seed=0):
    images, categories = layout()
    draw = torch.Generator().manual_seed(seed)
    level = torch.rand(3, units, generator=draw)
    scores = level[[NAMES.index(c) for c in categories]]
    scores = scores + 0.1 * torch.randn(scores.shape, generator=draw)
    return result({"a": scores}, images, categories)


def kinds(groups):
    return [(g.role, g.category, g.number) for g in groups]


def test_groups_are_those_that_the_tables_expect():
    res, moments = dissection(), Moments(torch.arange(24.0), torch.arange(24.0) ** 2)
    groups = named_groups(res, "a", 4, moments, matched=2, random=3)
    expected = [  # the third category is on three images
        (role, c, i)
        for c in ("text", "head")
        for role, i in ((Role.NAMED, 1), (Role.MATCHED, 1), (Role.MATCHED, 2))
    ]
    assert kinds(groups) == [*expected, *((Role.RANDOM, None, i) for i in (1, 2, 3))]
    own, control = groups[0].units, groups[1].units
    assert list(own) == best_groups(res, "a", 4)["text"]
    assert list(own) == res.selectivity("a").loc["text"].nlargest(4).index.tolist()
    assert all(len(g.units) == len(set(g.units)) == 4 for g in groups)
    assert not set(control) & set(own)
    few = kinds(named_groups(res, "a", 12, moments))  # 24 units: once only
    assert (Role.MATCHED, "text", 1) in few
    assert (Role.MATCHED, "text", 2) not in few
    assert kinds(named_groups(res, "a", 4, moments, ["head"], matched=0, random=1)) == [
        (Role.NAMED, "head", 1),
        (Role.RANDOM, None, 1),
    ]
    with pytest.raises(ValueError, match="smaller k"):
        named_groups(res, "a", 13, moments)
    with pytest.raises(ValueError, match="no category"):
        best_groups(res.subset(["00", "01"]), "a", 2)


def test_what_units_carry_adds_up():
    chosen, found = dissection(), dissection(seed=3)
    found.scores["b"] = torch.full((len(found.regions), 5), 0.1)
    table = carried(chosen, found, "a", 6, n=200)
    contribution = found.selectivity("a").loc["text"]
    best = best_groups(chosen, "a", 6)["text"]
    expected = {
        "map": contribution.sum() + 0.5,
        "layer": contribution.sum(),
        "carried": contribution[best].sum(),
        "fair": contribution.sum() / 4,
        "beyond": contribution[best].sum() - contribution.sum() / 4,
        "rho": spearmanr(chosen.selectivity("a").loc["text"], contribution).statistic,
    }
    for what, value in expected.items():
        row = entry(table, category="text", what=what)
        assert row["value"] == pytest.approx(value, abs=1e-4)
        assert row["low"] <= row["high"]
    assert set(table["category"]) == {"text", "head", ALL}
    with pytest.raises(UnknownNameError, match="'a'"):
        carried(chosen, found, "aa", 6)


def overlapping(res, noise=0.0, seed=1):
    values = torch.tensor(res.selectivity("a").to_numpy())
    drawn = torch.rand(values.shape, generator=torch.Generator().manual_seed(seed))
    iou = (values - values.min()) / 10 * (1 - noise) + 0.1 * noise * drawn
    return Overlap({"a": iou}, {"a": torch.zeros(values.shape[1])}, NAMES)


def common_only(res):
    regions = res.regions["category"] != "rare"
    scores = {"a": res.of("a")[torch.tensor(regions.tolist())]}
    return Dissection(scores, res.regions[regions].reset_index(drop=True), NAMES)


@pytest.mark.parametrize("noise", [0.0, 0.5, 1.0])
def test_agreement_is_that_of_other_people_s_functions(noise):
    res = common_only(dissection())
    over = overlapping(dissection(), noise)
    over.iou["a"][2] = torch.nan  # no regions of the third
    table = method_agreement(over, res, "a", n=200).set_index("category")
    ious, selectivity = (v.loc[["text", "head"]] for v in (over.of("a"), res.selectivity("a")))
    expected = [spearmanr(ious.loc[c], selectivity.loc[c]).statistic for c in ious.index]
    assert table["rho"].to_numpy() == pytest.approx(expected)
    assert (table["low"] <= table["rho"] + 1e-9).all()
    labels = same_labels(over, res, "a", n=200).set_index("measure")
    alive = ious.max() > 0
    ours, theirs = (v.loc[:, alive].idxmax() for v in (selectivity, ious))
    assert labels.loc["share", "value"] == pytest.approx((ours == theirs).mean())
    assert labels.loc["kappa", "value"] == pytest.approx(cohen_kappa_score(ours, theirs))
    assert table["by_both"].sum() == (ours == theirs).sum()
    assert table["by_nss"].sum() == table["by_iou"].sum() == alive.sum()
    if noise == 0:
        assert table["rho"].tolist() == pytest.approx([1, 1])
        assert labels.loc["share", "low"] == 1


def test_agreement_needs_one_set_of_categories():
    res = dissection()
    over = overlapping(res)
    other = Overlap(over.iou, over.threshold, ("a", "b", "c"))
    with pytest.raises(ValueError, match="different categories"):
        method_agreement(other, res, "a")


class Scattered(Blobs):
    """Blobs that people also look past."""

    def fixations(self, i):
        near, draw = super().fixations(i), np.random.default_rng(i)
        x, y = (draw.uniform(0, n, 8) for n in (64, 48))
        return Fixations.of([*near.x.tolist(), *x], [*near.y.tolist(), *y])


@pytest.fixture(scope="module")
def study():
    torch.manual_seed(0)
    model = SaliencyModel(build_encoder("toyvgg", None), ["conv2_2", "conv3_3"]).eval()
    data = Scattered(24)
    halves = data.names[:11], data.names[11:]
    return AblationStudy(model, "conv3_3", *map(data.subset, halves), (48, 64))


@pytest.fixture(scope="module")
def answered(study):
    groups = study.groups(3, matched=2, random=2)
    effects = study.effects(groups)
    ways = {
        "set to mean": effects,
        "set to zero": study.effects(groups, "zero"),
        "named by contrast": study.effects(study.groups(3, matched=2, random=2, by="contrast")),
    }
    table = losses_by("way", ways, n=50)
    doses = losses_by("k", {3: effects, 1: study.effects(study.groups(1, matched=0))}, n=50)
    return groups, effects, table, doses


def test_units_are_chosen_on_other_images_than_they_are_scored_on(study, answered):
    groups, effects, _, _ = answered
    assert set(study.named.regions["image"]) == set(study.choose_on.names)
    assert set(effects.result.regions["image"]) == set(study.score_on.names)
    best = best_groups(study.named, "conv3_3", 3)["dark"]
    assert Group(Role.NAMED, "dark", tuple(best)) in groups
    assert study.categories == ["bright", "dark"]
    other = AblationStudy(study.model, "conv3_1", study.choose_on, study.score_on, study.size)
    assert (study.read_layer, other.read_layer) == ("conv3_3", "conv3_3")
    assert set(other.named.layers) == {"conv3_1", "conv3_3"}


def test_browser_shows_maps_with_the_scores_of_the_tables(study, answered, monkeypatch):
    groups, effects, _, _ = answered
    browser = causal_units_browser.AblationBrowser(study, groups, effects, images=2)
    name = browser.names["dark"][1]
    nss = browser.nss("dark", name)
    assert len(nss) == 4
    row = effects.result.regions.query("image == @name and category == 'dark'").index[0]
    assert nss[0] == pytest.approx(float(effects.before[row]))
    column = kinds(effects.groups).index((Role.MATCHED, "dark", 1))
    assert nss[2] == pytest.approx(float(effects.before[row] + effects.change[row, column]))
    maps = browser.maps["dark"]
    assert maps.shape[:2] == (2, 4)
    image = study.score_on.image(study.score_on.names.index(name))[None].float() / 255
    with torch.inference_mode():
        torch.testing.assert_close(
            maps[1, 0].float(), study.model.coarse(image)[0], atol=2e-3, rtol=2e-3
        )
    monkeypatch.setattr(type(study.model.encoder), "forward", None)  # no network runs
    first, second = browser.draw("dark", 1), browser.draw("dark", 2)
    assert first.shape == second.shape
    assert (first != second).any()
    assert (browser.draw("dark", 9) == second).all()
    assert len(browser.widget().children) == 3


def test_figures_draw_every_category(study, answered):
    _, effects, table, doses = answered
    parts = carried(study.named, study.contributions, study.read_layer, 3, n=50)
    agreement = method_agreement(study.overlap, study.named, study.layer, n=50)
    figures = {
        causal_units_figures.matrix(ablation_matrix(effects, n=50)): 2,
        causal_units_figures.specificity(table): 3,
        causal_units_figures.contributions(parts): 3,
        causal_units_figures.agreement(agreement): 2,
    }
    for figure, rows in figures.items():
        ticks = [t.get_text() for t in figure.axes[0].get_yticklabels()]
        assert ticks[:2] == ["bright", "dark"]
        assert len(ticks) == rows
    panels = causal_units_figures.dose(doses).axes
    titles = [a.get_title() or a.get_title(loc="left") for a in panels if a.get_visible()]
    assert titles == [ALL, "bright", "dark"]
    plt.close("all")


def told(effects=None, **tables):
    effects = effects or made(SPECIFIC)
    images = [f"{i:02}" for i in range(40)]
    study = type("Study", (), {"read_layer": "conv5_3"})()
    study.moments, study.choose_on = Moments(torch.zeros(96), torch.zeros(96)), images
    study.score_on = type("Data", (list,), {"categories": NAMES})(images)
    over, res = overlapping(dissection()), common_only(dissection())
    over.iou["a"][2] = torch.nan
    given = {
        "matrix": ablation_matrix(effects, n=50),
        "losses": losses_by("way", {"set to mean": effects, "set to zero": effects}, n=200),
        "doses": losses_by("k", {1: effects, 5: effects}, n=50),
        "carried": carried(dissection(), dissection(), "a", 2, n=100),
        "agreement": method_agreement(over, res, "a"),
        "labels": same_labels(over, res, "a"),
    }
    groups = with_controls({"text": [1, 2], "head": [2, 3]}, {"text": [[8, 9]]})
    return causal_units_sentences.what_we_see(**given | tables, groups=groups, study=study)


def test_words_say_who_loses_most_by_whose_units():
    cells = {
        ("a", "a"): -1,
        ("a", "b"): -2,
        ("b", "a"): -0.5,
        ("b", "b"): -3,
        ("a", "rare"): np.nan,
    }
    rows = [(*pair, value, value, value) for pair, value in cells.items()]
    table = pd.DataFrame(rows, columns=["first", "second", "value", "low", "high"])
    text = told(matrix=table)
    assert "named for in **1 of 2** groups (b)" in text
    assert "are its own in **2 of 2** (a and b)" in text


def test_words_say_whether_the_loss_is_specific():
    text = told()
    assert "**On average the loss is specific**" in text
    assert "specific in **2 of 2**: text -0." in text
    assert "3 different ones of 96" in text
    assert "Left out, on fewer than 5 images: rare." in text
    assert "Set to zero instead" in text
    assert "with 1 of its units ablated a category changes by -0." in text
    assert "with 5 of its units ablated a category changes by -0." in text
    turned = {"text": {"text": -0.2, "head": -1.0}, "head": {"text": -0.5}, "rare": {}}
    text = told(made(turned))
    assert "the loss is the other way round**" in text
    assert "**0 of 2**; the other way round for" in text
    even = {"text": {"text": -1, "head": -1}, "head": {"text": -1, "head": -1}, "rare": {}}
    text = told(made(even, noise=0.4))
    assert "not shown to be specific" in text


def test_words_on_contributions_and_methods():
    text = told()
    assert "the 2 units at conv5_3" in text
    assert "They carry more than that in **2 of 2**" in text
    assert "more selective units add more to the map there." in text
    assert "alike (interval above 0) in **2 of 2**" in text
    assert "100 % [100, 100] of the units" in text
    assert "more often than chance" in text
    table = carried(dissection(), dissection(), "a", 2, n=100)
    weak = table.assign(value=table["value"].where(table["what"] != "rho", 0.05))
    assert "there, if hardly." in told(carried=weak)
