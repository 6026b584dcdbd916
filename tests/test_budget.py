"""Notebook 12: bits that layers explain, that people have, and that nobody explains, add up."""

from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from saliencykit import models
from saliencykit.analyses.budget import browser, figures, sentences, tables
from saliencykit.analyses.budget.tables import ALL, CHOSEN, NONE, TOGETHER, Budget, evenly
from saliencykit.datasets import Fixations, Region
from saliencykit.evaluation import looks, observer_curve, read_layers, read_together
from saliencykit.models import CentrePrior, upsample
from saliencykit.models.loglinear import coarse_grid, fit_densities
from saliencykit.registry import UnknownNameError
from tests.conftest import Blobs

PRIOR = CentrePrior(0.5, 0.5, 0.2, 0.25)
LAYERS = ["conv1_1", "conv3_3", "conv5_3"]
CONTROL = "toyvgg, untrained"


class Told(Blobs):
    """Blobs whose fixations have an order, two regions that overlap, and a place without any."""

    name = "told"

    def fixations(self, i):
        seen = super().fixations(i)
        return replace(seen, order=torch.arange(len(seen)) // 2) if len(seen) else seen

    def regions(self, i):
        bright, _ = super().regions(i)
        both = bright.mask.roll(4, 1)  # right of the blob, and half over it
        return [bright, Region("dark", mask=both)]


class Alone(Told):
    """All fixations are one observer's, and no region is annotated."""

    name = "alone"

    def fixations(self, i):
        seen = super().fixations(i)
        return Fixations.of(seen.x, seen.y)

    def regions(self, i):
        return []


def encoder(seed):
    torch.manual_seed(seed)
    return models.build_encoder("toyvgg", None)


def study_of(data):
    how = {"encoder": "toyvgg", "size": (24, 32), "dissected": LAYERS}
    nets = {"pretrained": encoder(0), "untrained": encoder(1)}
    return SimpleNamespace(scored=data, centre=PRIOR, **how, **nets)


@pytest.fixture(scope="module")
def budget():
    return Budget(study_of(Told(n=24)), folds=3)


@pytest.fixture(scope="module")
def alone():
    return Budget(study_of(Alone(n=18)), each=2, folds=3)


def words(budget):
    left, categories = budget.unexplained(), budget.categories()
    return sentences.what_we_see(budget, budget.layers(), left, categories)


# --- What is told --------------------------------------------------------------------------------


def test_parts_add_up_to_the_whole(budget):
    left = budget.unexplained()
    assert set(left["by"]) == {ALL, "category", "place", "order"}
    np.testing.assert_allclose(left["limit"], left["explained"] + left["value"], atol=1e-12)
    part = (left["explained"] / left["limit"]).where(left["limit_low"] > 0)
    np.testing.assert_allclose(left["of_limit"], part, atol=1e-12)
    for reader, rows in left.groupby("reader"):
        whole = rows[rows["by"] == ALL].iloc[0]
        for by, part in rows.groupby("by"):
            assert part["share"].sum() == pytest.approx(1), by
            assert part["adds"].sum() == pytest.approx(whole["value"]), (reader, by)
            told = (part["share"] * part["explained"]).sum()
            assert told == pytest.approx(whole["explained"])


def test_categories_add_up_to_what_each_layer_explains(budget):
    layers = budget.layers().set_index(["encoder", "layer"])["value"]
    found = budget.categories()
    assert list(found["category"].unique()) == ["bright", "dark", NONE]
    assert found["encoder"].unique().tolist() == ["toyvgg", TOGETHER]
    for key, rows in found.groupby(["encoder", "layer"], dropna=False):
        assert (rows["share"] * rows["value"]).sum() == pytest.approx(layers[key])
    for _, rows in found.groupby("category"):
        read = rows.loc[rows["encoder"] != TOGETHER, "value"]
        np.testing.assert_allclose(rows["behind"], read.max() - rows["value"], atol=1e-9)


def test_a_fixation_in_two_regions_is_half_of_each(budget):
    parts, data = budget.parts["category"], budget.data
    kinds = set()
    for k, row in budget.seen.iterrows():
        at = int(row["y"]), int(row["x"])
        held = [r.category for r in data.regions(int(row["image"])) if r.mask[at]]
        wanted = {name: held.count(name) / len(held) for name in held} or {NONE: 1.0}
        assert parts.loc[k][parts.loc[k] > 0].to_dict() == pytest.approx(wanted)
        kinds.add(len(held))
    assert kinds == {0, 1, 2}


def test_places_run_from_the_centre_and_orders_from_the_first(budget):
    place, order = budget.parts["place"], budget.parts["order"]
    seen, (height, width) = budget.seen, budget.data.shape
    off = np.hypot(seen["x"] / width - 0.5, seen["y"] / height - 0.5) / np.sqrt(0.5)
    for name, low in zip(tables.RING_NAMES, (0, 0.2, 0.4, 0.6, 0.8), strict=True):
        inside = off[place[name] == 1]
        assert ((inside >= low) & (inside <= low + 0.2)).all()
    assert (order["1"] == (seen["order"] == 0)).all()
    assert (order["9 and later"] == (seen["order"] >= 8)).all()


def test_people_s_bits_are_their_curve_and_shares_are_of_them(budget):
    table = budget.layers()
    people = table.iloc[-1]
    assert people["encoder"] == budget.people
    curve = observer_curve(budget.data, "ig", PRIOR)
    known = curve.law.limit if curve.law.determined else curve.table["mean"].iloc[-2]
    assert people["value"] == pytest.approx(known)
    read = table[table["depth"].notna()]
    np.testing.assert_allclose(read["of_limit"], read["value"] / people["value"])
    np.testing.assert_allclose(read["behind"], read["value"].max() - read["value"], atol=1e-9)
    assert (read["low"] <= read["value"]).all()
    assert read["images"].eq(23).all()  # nobody looked at one


def test_the_best_layer_is_a_taught_encoder_s(budget):
    read = budget.readings
    assert read["encoder"].tolist() == ["toyvgg"] * 3 + [CONTROL] * 3
    budget.bits[3:] += 100  # however much the untrained one knows
    try:
        assert read.loc[int(Budget.best.func(budget)), "encoder"] == "toyvgg"
    finally:
        budget.bits[3:] -= 100
    best, together = budget.readers.values()
    assert (best == budget.bits[budget.best]).all()
    assert (together == budget.together).all()
    assert read["depth"].tolist()[:3] == [0, pytest.approx(6 / 12), 1]


def test_layers_together_are_a_readout_of_their_readouts(budget):
    data, how = budget.data, ((24, 32), PRIOR, 3)
    read = read_layers(encoder(0), LAYERS, data, *how)
    grid = coarse_grid(how[0])
    maps = [upsample(read[name].tensors["maps"][:, None], grid) for name in LAYERS]
    fold = torch.empty(len(data), dtype=torch.long)
    for k, part in enumerate(data.folds(3)):
        fold[[data.names.index(name) for name in part.names]] = k
    share = torch.zeros(len(data), *grid)
    for row in looks(data).itertuples():
        h, w = data.size_of(row.image)
        share[row.image, int(row.y * grid[0] / h), int(row.x * grid[1] / w)] += row.weight
    share = share / share.sum((1, 2), keepdim=True).clamp(min=1e-12)
    expected = fit_densities(torch.cat(maps, 1), share, PRIOR, fold)
    found = read_together([(encoder(0), LAYERS)], data, *how)
    assert torch.allclose(found.tensors["maps"], expected.maps, atol=2e-2)
    assert found.tensors["weights"].shape == (3, 3)
    alone = read_together([(encoder(0), LAYERS[:1]), (encoder(0), LAYERS[1:])], data, *how)
    assert torch.equal(alone.tensors["bits"], found.tensors["bits"])
    assert (found.tensors["bits"].numpy() == budget.together).all()


def test_layers_together_know_what_each_alone_does_not():
    rng, n, grid = np.random.default_rng(0), 40, (12, 16)
    left, right = (torch.from_numpy(rng.normal(size=(n, 1, *grid))).float() for _ in range(2))
    share = (left + right).flatten(1).softmax(1).view(n, *grid)
    fold = torch.arange(n) % 4
    read = [fit_densities(seen, share, PRIOR, fold).maps for seen in (left, right)]
    both = fit_densities(torch.stack(read, 1), share, PRIOR, fold).maps
    assert torch.corrcoef(torch.stack([both.flatten(), (left + right).flatten()]))[0, 1] > 0.95
    assert torch.corrcoef(torch.stack([read[0].flatten(), (left + right).flatten()]))[0, 1] < 0.8


def test_the_best_layer_is_chosen_on_other_images_than_it_is_scored_on(budget):
    shown = object.__new__(Budget)
    shown.control, shown.readings, shown.seen = budget.control, budget.readings, budget.seen
    shown.fold = budget.fold
    parts = budget.data.folds(3)
    for k, part in enumerate(parts):  # the folds in which readouts were not taught
        inside = budget.seen["image"].isin([budget.data.names.index(n) for n in part.names])
        assert (inside == (shown.fold == k)).all()
    shown.bits = np.zeros_like(budget.bits)
    shown.bits[0, shown.fold == 0] = 9.0  # best of all on this fold, which says nothing of others
    shown.bits[1, shown.fold != 0] = 1.0
    told = shown.chosen["toyvgg"]
    assert (told[shown.fold == 0] == 0).all()  # by the others it is the second
    assert (told[shown.fold == 1] == 0).all()  # by the others, fold 0 among them, the first
    shown.bits[0] = 0.1
    assert shown.chosen["toyvgg"] is told  # computed once
    del shown.chosen
    assert (shown.chosen["toyvgg"][shown.fold != 0] == 1).all()


def test_noise_does_not_make_the_best_of_many_layers_look_better_than_they_are(budget):
    rng, shown = np.random.default_rng(0), object.__new__(Budget)
    shown.control, shown.seen, shown.fold = "no", budget.seen, budget.fold
    shown.readings = budget.readings.assign(encoder="toyvgg")
    gains = []
    for _ in range(200):
        shown.bits = rng.normal(size=budget.bits.shape)
        shown.__dict__.pop("chosen", None)
        gains.append((shown.chosen["toyvgg"] @ shown.weight, (shown.bits @ shown.weight).max()))
    honest, optimistic = np.mean(gains, 0)
    assert abs(honest) < 3 * np.std(gains, 0)[0] / np.sqrt(200)
    assert optimistic > 3 * abs(honest)


def test_layers_are_chosen_evenly():
    assert evenly(list("abcdefg"), 3) == ["a", "d", "g"]
    assert evenly(["a", "b"], 5) == ["a", "b"]
    with pytest.raises(ValueError, match="each is 0"):
        evenly(["a", "b"], 0)


# --- Of what little is known ---------------------------------------------------------------------


def test_without_observers_nothing_is_told_of_what_is_left(alone):
    assert alone.people == ""
    assert alone.unexplained().empty
    table = alone.layers()
    assert table["of_limit"].isna().all()
    assert table["value"].notna().all()
    read = ["toyvgg"] * 2 + [CONTROL] * 2
    assert table["encoder"].tolist() == [*read, "toyvgg", CONTROL, TOGETHER]  # and no people
    said = words(alone)
    assert "whose fixations are whose" in said
    assert "have" not in said.splitlines()[0]
    assert browser.BudgetBrowser(alone).draw(1).shape[2] == 3
    plt.close(figures.layers(table, alone.control))


def test_without_regions_or_order_nothing_is_told_by_them(alone):
    assert set(alone.parts) == {"place"}
    assert alone.categories().empty
    assert "regions, so nothing is told by category and the order of all" in words(alone)


def test_images_of_which_people_s_bits_are_unknown_are_left_out():
    class Some(Told):
        name = "some"

        def fixations(self, i):
            seen = super().fixations(i)
            return seen[seen.observer == 0] if self.names[i] == "b00" else seen

    found = Budget(study_of(Some(n=24)), each=1, folds=3)
    assert 0 not in set(found.seen["image"])
    assert found.seen["weight"].sum() == pytest.approx(1)
    assert found.bits.shape == (2, len(found.seen))


def test_of_many_images_some_are_read():
    assert len(Budget(study_of(Told(n=24)), each=1, folds=3, most=18).data) == 18


def test_what_cannot_be_asked_is_refused_at_once():
    study = study_of(Told(n=4))
    with pytest.raises(UnknownNameError, match="squeezenet1_1"):
        Budget(study, ["toyvgg", "squezenet1_1"])
    with pytest.raises(ValueError, match="cannot be dealt into 5 parts"):
        Budget(study)


# --- What is shown -------------------------------------------------------------------------------


def test_the_ranking_shows_every_encoder_people_and_the_best_layer(budget):
    table = budget.layers()
    rank, axis = figures.layers(table, budget.control).axes
    best = table[table["best"]].set_index("encoder")["layer"]
    named = {f"{name}\n{layer}" for name, layer in best.items()}
    rows = [text.get_text() for text in rank.get_yticklabels()]
    assert {*rows} == {*named, budget.people, TOGETHER}
    drawn = [points[0].get_xdata()[0] for points in rank.containers]  # from the top
    chosen = table[table["layer"] == CHOSEN].sort_values("value", ascending=False)
    top = table.set_index("encoder")["value"]
    assert drawn == pytest.approx([top[budget.people], top[TOGETHER], *chosen["value"]])
    shares = [text.get_text() for text in rank.texts]
    assert shares[:3] == [
        "",
        f"{table['of_limit'].iloc[-2]:.0%}",
        f"{chosen['of_limit'].max():.0%}",
    ]
    assert set(best.index) == {"toyvgg", CONTROL}
    stars = [line for line in axis.lines if line.get_marker() == "*"]
    places = table.loc[table["best"], "depth"]
    assert [star.get_xdata()[0] for star in stars] == pytest.approx(places.tolist())
    chosen = table.loc[table["layer"] == CHOSEN, "value"]
    assert [star.get_ydata()[0] for star in stars] == pytest.approx(chosen.tolist())
    plt.close("all")


def test_what_is_left_has_a_panel_a_part_and_three_points_a_row(budget):
    left = budget.unexplained()
    axes = figures.unexplained(left).axes
    titles = [axis.get_title(loc="left") or axis.get_title() for axis in axes]
    assert [title.split()[1] for title in titles] == ["category", "distance", "fixation"]
    drawn = axes[0].containers
    rows = left[(left["by"] == "category") & (left["reader"] == TOGETHER)]
    for points, column in ((drawn[0], "limit"), (drawn[2], "value")):
        assert points[0].get_xdata().tolist() == pytest.approx(rows[column].tolist())
    plt.close("all")


def test_only_what_is_surely_more_or_less_than_all_regions_is_named():
    rows = pd.DataFrame(
        [
            ("text", 2.0, 1.8, 2.2, 3.5, 0.2, 0.43, 0.4, 0.5),
            ("plant", 2.6, 1.2, 4.0, 4.0, 0.1, 0.35, 0.3, 0.4),
            ("food", 1.0, 0.9, 1.1, 3.0, 0.4, 0.67, 0.6, 0.7),
            ("drink", 9.0, np.nan, np.nan, 9.9, 0.0, 0.1, np.nan, np.nan),
            (NONE, 0.0, -0.1, 0.1, -0.2, 0.3, np.nan, np.nan, np.nan),
        ],
        columns=["what", "value", "low", "high", "limit", "share"]
        + [f"of_limit{end}" for end in ("", "_low", "_high")],
    )
    rows["adds"] = rows["value"] * rows["share"]  # 1.06 in 0.7 of the weight: 1.51
    said = " ".join(sentences._ends(rows).split())
    assert "In regions the best layer leaves 1.51 bits per fixation" in said
    assert "surely more at text 2.00 [1.80, 2.20] of 3.50;" in said
    assert "surely less at food 1.00 [0.90, 1.10] of 3.00." in said
    assert "least at plant 35 % [30, 40], most at food 67 % [60, 70]." in said
    assert "drink" not in said
    assert NONE not in said
    assert "nowhere" in sentences._ends(rows.assign(low=1.2, high=4.0))


def test_the_map_holds_every_layer_all_together_and_people(budget):
    table = budget.categories()
    axis = figures.categories(table).axes[0]
    names = [text.get_text() for text in axis.get_yticklabels()]
    assert names == [*LAYERS, TOGETHER, "people"]
    bold = {t.get_position()[1] for t in axis.texts if t.get_fontweight() == "bold"}
    read = table[table["encoder"] == "toyvgg"]
    best = read.loc[read.groupby("category")["value"].idxmax(), "layer"]
    assert bold == {LAYERS.index(layer) for layer in best}
    plt.close("all")


def test_each_encoder_has_its_bold_and_its_name(budget):
    table = budget.categories()
    other = table[table["encoder"] == "toyvgg"].assign(encoder="other")
    both = pd.concat([other, table], ignore_index=True)
    axis = figures.categories(both).axes[0]
    assert {"other", "toyvgg"} <= {t.get_text() for t in axis.texts}
    assert sum(t.get_fontweight() == "bold" for t in axis.texts) == 2 * 3
    plt.close("all")


def of_two_encoders():
    """One category: `b`'s layers are 0.5 and 0.1 bits behind `a`'s best, surely or not."""
    columns = ["category", "encoder", "layer", "value", "low", "behind_low"]
    rows = [
        ("text", "a", "x", 2.0, 1.9, 0.0),
        ("text", "a", "y", 1.9, 1.8, -0.1),
        ("text", "b", "z", 1.5, 1.4, 0.4),
        ("text", "b", "w", 1.6, 1.5, 0.3),
        (NONE, "b", "z", 9.0, 8.0, 0.0),
    ]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize(("low", "sure"), [(0.3, "text"), (-0.01, "none")])
def test_an_encoder_is_named_where_it_is_surely_ahead_of_all_others(low, sure):
    table = of_two_encoders()
    table.loc[3, "behind_low"] = low
    said = " ".join(sentences._by_layer(table).split())
    assert "explain most: a at `x` text." in said
    assert said.endswith(f"surely by itself: {sure}.")
    alone = sentences._by_layer(table[table["encoder"] == "a"])
    assert "explain most: `x` text." in alone
    assert "other encoders" not in alone


def test_sentences_hold_the_tables_numbers(budget):
    said, table = words(budget), budget.layers()
    best, value = table.loc[budget.best], table.query("layer == @CHOSEN")["value"].iloc[0]
    assert f"best frozen layer, `{best['layer']}`, explains most: **{value:.2f}" in said
    whole = budget.unexplained().query("by == @ALL")
    for value in whole["value"]:
        assert f"{value:.2f} [" in said
    assert "all 3 layers together" in said
    assert "sum of all 3 layers' maps explains" in " ".join(said.split())
    assert "do not tell" not in said


def test_fixations_are_coloured_by_what_is_left_of_them(budget):
    shown = browser.BudgetBrowser(budget)
    left = shown.seen.groupby("image").apply(lambda of: (of["left"] * of["weight"]).sum())
    assert left[shown.ranked].is_monotonic_decreasing
    first, last = shown.draw(1), shown.draw(len(shown.ranked))
    assert first.shape == last.shape
    assert not np.array_equal(first, last)
    reds = [(p[..., 0].astype(int) - p[..., 2] > 60).sum() for p in (first, last)]
    assert reds[0] != reds[1]
