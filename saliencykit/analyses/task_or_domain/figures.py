"""Figures about tasks: how well each was learned, and what it did to the network."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
from ...viewing.style import BEFORE, Colour, legend, look_of
from ...viewing.units import TOP, present
from .tables import AGAIN, OTHERS

MEASURES = {"cka_debiased": "linear CKA, debiased", "correlation": "mean correlation of units"}
LEVELS = {"units": "unit by unit", "categories": "the layer as a whole"}
SPAN = ["share", "low", "high"]
WIDEST = 2.0  # of an interval of a share that is drawn
LIMITS = (-40, 160)  # per cent that the shares' axis shows


def learning(table: pd.DataFrame) -> Figure:
    """Scores over epochs, a panel a task, against a constant answer's. table: `learning`."""
    tasks = unique(table, "task")
    figure, axes = panels(tasks, "epoch", "", None, tall=2.6, sharey=False)
    for axis, task in zip(axes, tasks, strict=True):
        curve, colour = only(table, task=task), look_of(task).colour
        measure = curve["measure"].iloc[0]
        axis.plot(curve["epoch"], curve["train"], "--", color=colour, label="training images")
        trace(axis, curve["epoch"], curve, "validation", colour, "validation", "o")
        axis.axhline(curve["chance"].iloc[0], color="0.4", ls=":", label="constant answer")
        axis.set_ylabel(measure)
        axis.set_ylim(0, 1.02 if measure == "accuracy" else None)
        axis.xaxis.get_major_locator().set_params(integer=True)
    return legend(figure, axes[0])


def similarity(table: pd.DataFrame, layer: str) -> Figure:
    """Similarity to the network before, over layers: a panel a measure, a line a task.

    table: `tables.drift`; `layer`, the one the findings are about, is shaded.
    """
    layers, tasks = unique(table, "layer"), unique(table, "task")
    what = "similarity to the pre-trained network"
    figure, axes = panels(list(MEASURES.values()), "", what, None, tall=3.0)
    for axis, measure in zip(axes, MEASURES, strict=True):
        for task, offset in zip(tasks, offsets(len(tasks)), strict=True):
            values = only(table, measure=measure, task=task).set_index("layer").reindex(layers)
            place, (colour, mark) = np.arange(len(layers)) + offset, look_of(task)
            points(axis, values, place, "value", colour, task, mark, upright=True, line=1)
        over_layers(axis, layers, layer)
    return legend(figure, axes[0])


def change(table: pd.DataFrame, xlabel: str = TOP) -> Figure:
    """Top means by category before and after, a panel a task. table: `gains` of one layer."""
    categories, tasks = present(table, "difference"), unique(table, "task")
    figure, axes, y = row_panels(categories, [""] * len(tasks), against=None, sharex=True)
    for axis, task in zip(axes, tasks, strict=True):
        of_task = only(table, task=task).set_index("category").loc[categories]
        axis.hlines(y, of_task["before"], of_task["after"], color="0.8", lw=4, zorder=0)
        points(axis, of_task, y, "before", BEFORE)
        points(axis, of_task, y, "after", look_of(task).colour)
        axis.set_title(f"after {task}")
    figure.supxlabel(f"{xlabel}: blue before, coloured after")
    return figure


def shares(table: pd.DataFrame, layer: str, task: str = "saliency") -> Figure:
    """How much of the change by `task` other trainings bring as well, over layers.

    A panel a level, a mark a training. table: `tables.shares`. Where hardly anything changed a
    share of it says nothing: intervals wider than `WIDEST` are left out. A hollow triangle at the
    edge stands for a share beyond it.
    """
    table = only(table[table["other"] != OTHERS], task=task)
    layers, others = unique(table, "layer"), unique(table, "other")
    what = f"share of the change by {task}\nthat comes as well (%)"
    figure, axes = panels(list(LEVELS.values()), "", what, None, tall=3.2)
    told = table[table["high"] - table["low"] <= WIDEST]
    for axis, kind in zip(axes, LEVELS, strict=True):
        for other, offset in zip(others, offsets(len(others)), strict=True):
            of_other = only(told, level=kind, other=other).set_index("layer").reindex(layers)
            percent, place = 100 * of_other[SPAN], np.arange(len(layers)) + offset
            colour, mark = look_of(task if other == AGAIN else other)
            name = f"{task} again, other seed" if other == AGAIN else other
            points(axis, percent, place, "share", colour, name, mark, upright=True)
            _beyond(axis, percent["share"], place, colour)
        level(axis)
        level(axis, 100)
        axis.set_ylim(*LIMITS)
        over_layers(axis, layers, layer)
    return legend(figure, axes[0])


def _beyond(axis: Axes, percent: pd.Series, place: np.ndarray, colour: Colour) -> None:
    """Mark what lies beyond the axis at its edge."""
    low, high = LIMITS
    for end, mark, beyond in ((low, "v", percent < low), (high, "^", percent > high)):
        at = place[beyond]
        if len(at):  # an empty line that nothing clips would upset the layout
            look = {"mfc": "white", "mec": colour, "ms": 7, "clip_on": False}
            axis.plot(at, np.full(len(at), end), mark, **look)
