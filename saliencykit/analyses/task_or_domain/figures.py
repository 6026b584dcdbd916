"""Figures about tasks: how well each was learned, and which networks became alike."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ...findings.alike import NAMES
from ...intervals import RATE
from ...viewing.plots import (
    level,
    offsets,
    only,
    over_layers,
    panels,
    points,
    row_panels,
    trace,
    unique,
)
from ...viewing.style import BEFORE, OTHER, legend, look_of
from ...viewing.units import TOP, present
from .tables import MEAN

DRIFTS = {"cka_debiased": "linear CKA, debiased", "correlation": "mean correlation of units"}
FAINT = 0.35  # opacity of single trainings


def learning(table: pd.DataFrame) -> Figure:
    """Scores over epochs, a panel a task, against a constant answer's. table: `learning`.

    Thick and shaded the mean over trainings, thin each training.
    """
    tasks = unique(table, "task")
    figure, axes = panels(tasks, "epoch", "", None, tall=2.6, sharey=False)
    for axis, task in zip(axes, tasks, strict=True):
        of_task, colour = only(table, task=task), look_of(task).colour
        for _, single in of_task[of_task["training"] != MEAN].groupby("training"):
            axis.plot(single["epoch"], single["value"], color=colour, alpha=FAINT, lw=0.8)
        curve, measure = only(of_task, training=MEAN), of_task["measure"].iloc[0]
        axis.plot(curve["epoch"], curve["train"], "--", color=colour)
        trace(axis, curve["epoch"], curve, "value", colour, mark="o")
        for name, look in {"training images": "--", "validation": "o-"}.items():
            axis.plot([], [], look, color=OTHER, ms=3.5, label=name)
        axis.axhline(curve["chance"].iloc[0], color="0.4", ls=":", label="constant answer")
        axis.set_ylabel(measure)
        axis.set_ylim(0, 1.02 if measure == "accuracy" else None)
        axis.xaxis.get_major_locator().set_params(integer=True)
    return legend(figure, axes[0])


def similarity(table: pd.DataFrame, layer: str) -> Figure:
    """Similarity to the network before, over layers: a panel a measure, a line a task.

    table: `tables.drift`; `layer`, the one the findings are about, is shaded. Faint marks are
    single trainings.
    """
    layers, tasks = unique(table, "layer"), unique(table, "task")
    what = "similarity to the pre-trained network"
    figure, axes = panels(list(DRIFTS.values()), "", what, None, tall=3.0)
    for axis, measure in zip(axes, DRIFTS, strict=True):
        for task, offset in zip(tasks, offsets(len(tasks)), strict=True):
            values, (colour, mark) = only(table, measure=measure, task=task), look_of(task)
            mean = only(values, training=MEAN).set_index("layer").reindex(layers)
            place = np.arange(len(layers)) + offset
            points(axis, mean, place, "value", colour, task, mark, upright=True, line=1)
            single = values[values["training"] != MEAN]
            at = [layers.index(name) + offset for name in single["layer"]]
            axis.plot(at, single["value"], mark, color=colour, ms=2.5, alpha=0.5)
        over_layers(axis, layers, layer)
    return legend(figure, axes[0])


def change(table: pd.DataFrame, xlabel: str = TOP) -> Figure:
    """Top means by category before and after, a panel a task; dark links: they surely differ.

    table: `gains` of one layer.
    """
    mean, tasks = only(table, training=MEAN), unique(table, "task")
    categories = present(mean, "difference")
    figure, axes, y = row_panels(categories, [""] * len(tasks), against=None, sharex=True)
    for axis, task in zip(axes, tasks, strict=True):
        of_task = only(mean, task=task).set_index("category").loc[categories]
        colour, single = look_of(task).colour, only(table, task=task)
        single = single[single["category"].isin(categories) & (single["training"] != MEAN)]
        sure = (of_task["difference_low"] > 0) | (of_task["difference_high"] < 0)
        link = np.where(sure, "0.35", "0.85").tolist()
        axis.hlines(y, of_task["before"], of_task["after"], color=link, lw=4, zorder=1)
        axis.plot(single["after"], y[single["category"]] - 0.22, ".", color=colour, alpha=0.5)
        points(axis, of_task, y, "before", BEFORE)
        points(axis, of_task, y, "after", colour)
        axis.set_title(f"after {task}")
    figure.supxlabel(f"{xlabel}: blue before, coloured after, small each training")
    return figure


def matrix(table: pd.DataFrame) -> Figure:
    """How alike each two networks are, ordered by task: a panel a measure. table: `tables.pairs`.

    Each panel has a scale of its own; white lines part the tasks.
    """
    tasks = unique(table, "task")
    figure, axes = panels(list(NAMES.values()), columns=None, tall=3.0, around=0.3, sharey=True)
    rows, columns = ["task", "training"], ["other", "other_training"]
    for axis, measure in zip(axes, NAMES, strict=True):
        wide = only(table, measure=measure).pivot(index=rows, columns=columns, values="value")
        order = pd.MultiIndex.from_product([tasks, unique(table, "training")])
        values = wide.reindex(index=order, columns=order).to_numpy(float, copy=True)
        np.fill_diagonal(values, np.nan)
        shown = axis.imshow(values, cmap="viridis")
        step = len(values) // len(tasks)
        for at in range(step, len(values), step):
            axis.axhline(at - 0.5, color="w", lw=1.5)
            axis.axvline(at - 0.5, color="w", lw=1.5)
        middle = np.arange(len(tasks)) * step + (step - 1) / 2
        axis.set_xticks(middle, tasks, rotation=45, ha="right")
        axis.set_yticks(middle, tasks)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        figure.colorbar(shown, ax=axis, shrink=0.7, location="top")
    return figure


def by_layer(table: pd.DataFrame, layer: str) -> Figure:
    """By how much networks of one task are more alike than of two: a panel a measure.

    table: `tables.by_layer`. Grey: where 95 % of deals of the tasks' names would lie; filled where
    the test finds more, adjusted over layers.
    """
    layers = unique(table, "layer")
    what = "similarity within − between tasks"
    figure, axes = panels(list(NAMES.values()), "", what, None, tall=3.0, sharey=False)
    colour = look_of("saliency").colour
    for axis, measure in zip(axes, NAMES, strict=True):
        values = only(table, measure=measure).set_index("layer").reindex(layers).reset_index()
        place = np.arange(len(layers))
        look = {"color": "0.8", "width": 0.7, "label": "if tasks were dealt out"}
        axis.bar(place, values["null_high"] - values["null_low"], bottom=values["null_low"], **look)
        found = values["p_adjusted"] <= RATE
        points(axis, values[found], place[found], "value", colour, "found", upright=True)
        open_ = {"fill": "white", "upright": True}
        points(axis, values[~found], place[~found], "value", colour, "not found", **open_)
        level(axis)
        over_layers(axis, layers, layer)
    return legend(figure, axes[0])


def apart(table: pd.DataFrame) -> Figure:
    """By how much two tasks' networks are told apart, a row a pair. table: `tables.apart`."""
    named = table.assign(pair=table["first"] + " – " + table["second"])
    labels = [f"{name}:\nwithin − between" for name in NAMES.values()]
    figure, axes, y = row_panels(unique(named, "pair"), labels)
    for axis, measure in zip(axes, NAMES, strict=True):
        values = only(named, measure=measure)
        points(axis, values, y[values["pair"]], "value", look_of("saliency").colour)
    return figure
