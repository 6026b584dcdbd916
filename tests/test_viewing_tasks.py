"""Figures and sentences about tasks, from tables whose numbers are known."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from saliencykit.analyses.task_or_domain import figures as tasks
from saliencykit.analyses.task_or_domain import sentences as task_or_domain_sentences
from saliencykit.datasets import CATEGORIES

LAYERS = [f"conv{b}_{k}" for b in range(1, 6) for k in (1, 2)]
TASKS = ["saliency", "scenes", "shuffled scenes", "rotations"]
STUDY = SimpleNamespace(layer="conv5_1", unseen=range(100))


def learned():
    rows = []
    for task in TASKS:
        measure = "NSS" if task == "saliency" else "accuracy"
        top = {"saliency": 3.1, "scenes": 0.7, "shuffled scenes": 0.2, "rotations": 0.6}[task]
        for epoch in range(1, 9):
            score = top * epoch / 8
            span = (np.nan, np.nan) if measure == "NSS" else (score - 0.1, score + 0.1)
            chance = {"NSS": 0, "accuracy": 0.29}[measure]
            rows.append((task, measure, epoch, score * 1.1, score, *span, chance, 100))
    names = ["task", "measure", "epoch", "train", "validation", "low", "high", "chance", "images"]
    return pd.DataFrame(rows, columns=names)


def drift(scenes=0.87):
    rows = [
        (task, layer, measure, v := base - 0.02 * k, v - 0.01, v + 0.01)
        for task, base in zip(TASKS, (0.86, scenes, 0.9, 0.88), strict=True)
        for k, layer in enumerate(LAYERS)
        for measure in ("cka", "cka_debiased", "correlation")
    ]
    return pd.DataFrame(rows, columns=["task", "layer", "measure", "value", "low", "high"])


def gains():
    random = np.random.default_rng(0)
    rows = []
    for task in TASKS:
        for c, category in enumerate(CATEGORIES):
            before = 0.8 + 0.05 * c
            gain = random.uniform(0.2, 1.2) if task == "saliency" else random.normal(0, 0.05)
            values = (before, before + gain, gain)
            spans = [v for value in values for v in (value - 0.2, value + 0.2)]
            rows.append((task, STUDY.layer, category, *values, *spans))
    columns = ["before", "after", "difference"]
    ends = [f"{c}_{e}" for c in columns for e in ("low", "high")]
    return pd.DataFrame(rows, columns=["task", "layer", "category", *columns, *ends])


def paired():
    table = gains()
    table = table[table["task"] == "saliency"].drop(columns=["task", "layer"])
    return table.reset_index(drop=True)


def shares(others=0.02, again=0.85, layers=LAYERS):
    """others, again: shares of saliency's change at every layer; intervals of ± 0.1."""
    of = {"scenes": others, "shuffled scenes": others, "rotations": others}
    of |= {"the other tasks": others} | ({} if again is None else {"again": again})
    rows = [
        (layer, level, "saliency", other, value, value - 0.1, value + 0.1, 0.6)
        for layer in layers
        for level in ("units", "categories")
        for other, value in of.items()
    ]
    names = ["layer", "level", "task", "other", "share", "low", "high", "size"]
    return pd.DataFrame(rows, columns=names)


def say(**tables):
    given = {"learned": learned(), "drift": drift(), "gains": gains(), "paired": paired()}
    return task_or_domain_sentences.what_we_see(
        **given | {"shares": shares()} | tables, study=STUDY
    )


def test_learning_shows_a_panel_a_task_and_its_chance_level():
    figure = tasks.learning(learned())
    assert [axis.get_title(loc="left") or axis.get_title() for axis in figure.axes] == TASKS
    for axis, level in zip(figure.axes, (0, 0.29, 0.29, 0.29), strict=True):
        assert level in [line.get_ydata()[0] for line in axis.lines if line.get_ls() == ":"]


def test_similarity_has_a_line_a_task_in_each_panel():
    figure = tasks.similarity(drift(), STUDY.layer)
    for axis, measure in zip(figure.axes, ("cka_debiased", "correlation"), strict=True):
        drawn = [c for c in axis.containers if c.get_label() in TASKS]
        assert len(drawn) == 4
        table = drift()
        expected = table[(table["task"] == "scenes") & (table["measure"] == measure)]["value"]
        assert drawn[1].lines[0].get_ydata().tolist() == expected.tolist()
        assert len(axis.get_xticks()) == len(LAYERS)


def test_change_shows_before_and_after_for_each_task():
    table = gains()
    table.loc[table["category"] == "drink", "difference"] = np.nan
    figure = tasks.change(table)
    assert len(figure.axes) == 4
    shown = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert len(shown) == 11
    assert "drink" not in shown
    after = figure.axes[0].containers[1].lines[0].get_xdata()
    kept = table[(table["task"] == "saliency") & table["difference"].notna()]
    assert list(after) == kept["after"].tolist()


def test_shares_beyond_the_axis_are_marked_at_its_edge():
    table = shares()
    one = (table["layer"] == "conv3_1") & (table["level"] == "units") & (table["other"] == "scenes")
    table.loc[one, ["share", "low", "high"]] = -0.9, -1.0, -0.8
    axis = tasks.shares(table, STUDY.layer).axes[0]
    marks = [line for line in axis.lines if line.get_marker() == "v" and len(line.get_xdata())]
    assert [line.get_ydata().tolist() for line in marks] == [[tasks.LIMITS[0]]]


def test_shares_too_vague_to_read_are_left_out():
    table = shares()
    vague = (table["layer"] == "conv1_1") & (table["level"] == "units")
    table.loc[vague, "high"] = 5
    units, whole = tasks.shares(table, STUDY.layer).axes[:2]
    assert [len(axis.containers) for axis in (units, whole)] == [4, 4]  # the others' mean is none
    for axis, missing in ((units, 1), (whole, 0)):
        for container in axis.containers:
            assert pd.isna(container.lines[0].get_ydata()).sum() == missing
    assert units.containers[3].get_label() == "saliency again, other seed"


@pytest.mark.parametrize(
    ("others", "again", "found", "layers"),
    [
        (0.02, 0.85, "holds", (10, 0)),
        (0.9, 0.95, "is contradicted", (0, 10)),
        (0.02, 0.05, "is not decided", (0, 0)),  # it does not even come again
        (0.45, 0.85, "is not decided", (0, 0)),
        (0.02, None, "holds", (10, 0)),  # without a second training there is no more to ask
        (np.nan, np.nan, "is not decided", (0, 0)),
    ],
)
def test_the_verdict_follows_the_shares(others, again, found, layers):
    said = say(shares=shares(others, again))
    assert f"finding {found} here" in said
    assert f"the task's at {layers[0]}, the domain's at {layers[1]}, undecided at" in said
    assert "nan" not in said


def test_units_that_do_not_change_again_are_called_luck():
    table = shares()
    table.loc[(table["level"] == "units") & (table["other"] == "again"), ["low", "high"]] = 0, 0.1
    assert "luck of one training" in say(shares=table)
    assert "the same units that change" in say()


def test_an_undecided_finding_says_when_it_is_for_luck():
    assert "nor does a second saliency training bring more" in say(shares=shares(0.02, 0.05))
    assert "these numbers do not tell" in say(shares=shares(0.45, 0.85))


def test_how_far_and_where_to_are_told_apart():
    assert "saliency moved it neither surely further nor less far than scenes" in say()
    assert "saliency moved it further" in say(drift=drift(0.95))
    assert "saliency moved it less far than scenes" in say(drift=drift(0.7))
    table, said = paired(), say()
    most = table.loc[table["difference"].idxmax()]
    assert f"**{most['category'].replace('_', ' ')}**: {most['before']:.2f}" in said
    assert f"in {(table['difference_low'] > 0).sum()} of 12 categories" in said


def test_accuracy_is_told_against_chance():
    said = say()
    assert "scenes 0.70 [0.60, 0.80] (chance 0.29; above it)" in said
    assert "shuffled scenes 0.20 [0.10, 0.30] (chance 0.29; not above it)" in said
    assert "NSS 3.10" in said
