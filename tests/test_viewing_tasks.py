"""Figures and sentences about tasks, from tables whose numbers are known."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from saliencykit.analyses.task_or_domain import figures as tasks
from saliencykit.analyses.task_or_domain import sentences as task_or_domain_sentences
from saliencykit.analyses.task_or_domain.tables import MEAN
from saliencykit.datasets import CATEGORIES
from saliencykit.findings.alike import LIKENESSES
from saliencykit.viewing.plots import only

LAYERS = [f"conv{b}_{k}" for b in range(1, 6) for k in (1, 2)]
TASKS = ["saliency", "scenes", "shuffled scenes", "rotations"]
STUDY = SimpleNamespace(layer="conv5_1", read=[], unseen=range(100), trainings_beside=3)
TRAININGS = ("1", "2", "3", MEAN)


def learned():
    rows = []
    for task in TASKS:
        measure = "NSS" if task == "saliency" else "accuracy"
        top = {"saliency": 3.1, "scenes": 0.7, "shuffled scenes": 0.2, "rotations": 0.6}[task]
        for training in TRAININGS:
            for epoch in range(1, 9):
                score = top * epoch / 8
                span = (score - 0.1, score + 0.1) if training == MEAN else (np.nan, np.nan)
                chance = {"NSS": 0, "accuracy": 0.29}[measure]
                rows.append(
                    (task, measure, training, epoch, 1.1 * score, score, *span, chance, 100)
                )
    about = ["task", "measure", "training", "epoch", "train"]
    return pd.DataFrame(rows, columns=[*about, "value", "low", "high", "chance", "images"])


def drift(scenes=0.87):
    rows = [
        (task, layer, measure, training, v := base - 0.02 * k, v - 0.01, v + 0.01)
        for task, base in zip(TASKS, (0.86, scenes, 0.9, 0.88), strict=True)
        for k, layer in enumerate(LAYERS)
        for measure in ("cka_debiased", "correlation")
        for training in TRAININGS
    ]
    names = ["task", "layer", "measure", "training", "value", "low", "high"]
    return pd.DataFrame(rows, columns=names)


def gains():
    random = np.random.default_rng(0)
    rows = []
    for task in TASKS:
        for c, category in enumerate(CATEGORIES):
            before = 0.8 + 0.05 * c
            gain = random.uniform(0.3, 1.2) if task == "saliency" else random.normal(0, 0.05)
            values = (before, before + gain, gain)
            spans = [v for value in values for v in (value - 0.2, value + 0.2)]
            rows += [(task, category, training, *values, *spans) for training in TRAININGS]
    columns = ["before", "after", "difference"]
    ends = [f"{c}_{e}" for c in columns for e in ("low", "high")]
    return pd.DataFrame(rows, columns=["task", "category", "training", *columns, *ends])


def by_layer(p=0.002):
    rows = [
        (layer, measure, 0.9, 0.8, 0.1, 0.05, 0.15, -0.02, 0.03, p, 576, 2 * p)
        for layer in LAYERS
        for measure in LIKENESSES
    ]
    span = ["within", "between", "value", "low", "high", "null_low", "null_high"]
    return pd.DataFrame(rows, columns=["layer", "measure", *span, "p", "deals", "p_adjusted"])


def apart(low=0.05, measure="change"):
    """low: of saliency – rotations by one measure, the others' being 0.05."""
    rows = [
        (of, first, second, 0.1, low if ours and of == measure else 0.05, 0.15)
        for of in LIKENESSES
        for k, first in enumerate(TASKS)
        for second in TASKS[k + 1 :]
        for ours in [(first, second) == ("saliency", "rotations")]
    ]
    return pd.DataFrame(rows, columns=["measure", "first", "second", "value", "low", "high"])


def pairs():
    each = [(task, training) for task in TASKS for training in (1, 2, 3)]
    rows = [
        (measure, *one, *other, 1.0 if one == other else i + j / 100)
        for measure in LIKENESSES
        for i, one in enumerate(each)
        for j, other in enumerate(each)
    ]
    names = ["measure", "task", "training", "other", "other_training", "value"]
    return pd.DataFrame(rows, columns=names)


def say(**tables):
    given = {"learned": learned(), "drift": drift(), "gains": gains()}
    given |= {"by_layer": by_layer(), "apart": apart()}
    return task_or_domain_sentences.what_we_see(**given | tables, study=STUDY)


def test_learning_shows_a_panel_a_task_each_training_and_chance():
    figure = tasks.learning(learned())
    assert [axis.get_title(loc="left") or axis.get_title() for axis in figure.axes] == TASKS
    for axis, level in zip(figure.axes, (0, 0.29, 0.29, 0.29), strict=True):
        assert level in [line.get_ydata()[0] for line in axis.lines if line.get_ls() == ":"]
        assert sum(line.get_alpha() == tasks.FAINT for line in axis.lines) == 3


def test_similarity_has_a_line_a_task_in_each_panel():
    figure = tasks.similarity(drift(), STUDY.layer)
    for axis, measure in zip(figure.axes, ("cka_debiased", "correlation"), strict=True):
        drawn = [c for c in axis.containers if c.get_label() in TASKS]
        assert len(drawn) == 4
        expected = only(drift(), task="scenes", measure=measure, training=MEAN)["value"]
        assert drawn[1].lines[0].get_ydata().tolist() == expected.tolist()
        assert len(axis.get_xticks()) == len(LAYERS)
        assert sum(len(line.get_xdata()) == 3 * len(LAYERS) for line in axis.lines) == 4


def test_change_shows_before_and_after_for_each_task():
    table = gains()
    table.loc[table["category"] == "drink", "difference"] = np.nan
    figure = tasks.change(table)
    assert len(figure.axes) == 4
    shown = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert len(shown) == 11
    assert "drink" not in shown
    after = figure.axes[0].containers[1].lines[0].get_xdata()
    kept = only(table, task="saliency", training=MEAN).dropna()
    assert list(after) == kept["after"].tolist()


def test_the_matrix_is_ordered_by_task_and_leaves_its_diagonal_out():
    figure = tasks.matrix(pairs())
    for axis in figure.axes[:3]:
        shown = axis.images[0].get_array()
        assert shown.shape == (12, 12)
        assert np.isnan(np.ma.filled(shown, np.nan)).sum() == 12
        assert shown[4, 9] == pytest.approx(4.09)
        assert [text.get_text() for text in axis.get_xticklabels()] == TASKS


def test_layers_where_the_test_finds_nothing_are_hollow():
    table = by_layer()
    table.loc[table["layer"].isin(LAYERS[:4]), "p_adjusted"] = 0.2
    for axis in tasks.by_layer(table, STUDY.layer).axes[:3]:
        drawn = {c.get_label(): c for c in axis.containers}
        assert len(drawn["found"].lines[0].get_xdata()) == 6
        assert drawn["not found"].lines[0].get_xdata().tolist() == [0, 1, 2, 3]
        bars = drawn["if tasks were dealt out"].patches
        assert [bar.get_y() for bar in bars] == [-0.02] * 10


def test_every_pair_of_tasks_has_a_row():
    figure = tasks.apart(apart())
    rows = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert rows[:2] == ["saliency – scenes", "saliency – shuffled scenes"]
    assert len(rows) == 6


@pytest.mark.parametrize(
    ("tables", "found"),
    [
        ({}, "holds here"),
        ({"apart": apart(-0.01)}, "is not decided here**: these networks are more alike"),
        ({"apart": apart(np.nan)}, "is not decided here**: these networks are more alike"),
        ({"by_layer": by_layer(0.06)}, "is not decided here**: that networks of one task"),
        ({"by_layer": by_layer(np.nan)}, "is not decided here**: that networks of one task"),
    ],
)
def test_the_verdict_follows_test_and_intervals(tables, found):
    said = say(**tables)
    assert f"finding {found}" in said
    assert "nan" not in said


def test_other_tasks_pairs_do_not_bear_on_the_finding_about_saliency():
    table = apart()
    table.loc[table["first"] != "saliency", "low"] = -1
    assert "finding holds" in say(apart=table)


def test_what_saliency_is_told_apart_from_is_named_by_measure():
    said = say(apart=apart(-0.01))
    assert "by change of selectivity from scenes 0.100 [0.050, 0.150] and shuffled scenes" in said
    assert "(undecided: rotations 0.100 [-0.010, 0.150])" in said
    assert "0.900 within a task, 0.800 between, difference 0.100 [0.050, 0.150], p = 0.002" in said
    assert "by linear CKA at 10, selectivity at 10 and change of selectivity at 10" in said


def test_how_far_and_where_to_are_told_apart():
    assert "saliency moved it neither surely further nor less far than scenes" in say()
    assert "saliency moved it further" in say(drift=drift(0.95))
    assert "saliency moved it less far than scenes" in say(drift=drift(0.7))
    assert "saliency 12 and 0 of 12, scenes 0 and 0 of 12" in say()


def test_changes_that_are_sure_have_dark_links():
    for axis, task in zip(tasks.change(gains()).axes, TASKS, strict=True):
        links = next(c for c in axis.collections if c.get_linewidth()[0] == 4)
        grey = links.get_colors()[:, 0].tolist()
        assert len(grey) == len(CATEGORIES)
        assert set(grey) == ({0.35} if task == "saliency" else {0.85})


def test_accuracy_is_told_against_chance():
    said = say()
    assert "scenes 0.70 [0.60, 0.80] (chance 0.29; above it; on training images 0.77)" in said
    assert "shuffled scenes 0.20 [0.10, 0.30] (chance 0.29; not surely above it; on" in said
    assert "Not even by heart were learned shuffled scenes:" in said
    assert "NSS 3.10 [3.00, 3.20]" in said
