"""Figures about tasks: how well each was learned, and what it did to the network."""

from collections.abc import Iterator, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...viewing.style import AFTER, BEFORE, CLASSICAL, CONTROL, HUMAN, WIDTH, label, legend
from ...viewing.units import TOP, present
from .tables import AGAIN, OTHERS

COLOURS = {
    "saliency": AFTER,
    "scenes": HUMAN,
    "shuffled scenes": CONTROL,
    "rotations": CLASSICAL,
}
MARKS = {"saliency": "o", "scenes": "s", "shuffled scenes": "^", "rotations": "D"}
MEASURES = {"cka_debiased": "linear CKA, debiased", "correlation": "mean correlation of units"}
LEVELS = {"units": "unit by unit", "categories": "the layer as a whole"}
SPAN = ["share", "low", "high"]
WIDEST = 2.0  # of an interval of a share that is drawn
LIMITS = (-40, 160)  # per cent that the shares' axis shows


def names(table: pd.DataFrame) -> list[str]:
    """Return the tasks in the table's order."""
    return list(dict.fromkeys(table["task"]))


def learning(table: pd.DataFrame) -> Figure:
    """Scores over epochs, a panel a task, against a constant answer's. table: `learning`."""
    tasks = names(table)
    figure, axes = plt.subplots(1, len(tasks), figsize=(WIDTH, 3.2), squeeze=False)
    for axis, task in zip(axes.flat, tasks, strict=True):
        curve, colour = table[table["task"] == task], COLOURS.get(task, "0.3")
        axis.plot(curve["epoch"], curve["train"], "--", color=colour, label="training images")
        axis.plot(curve["epoch"], curve["validation"], "o-", color=colour, label="validation")
        axis.fill_between(curve["epoch"], curve["low"], curve["high"], color=colour, alpha=0.2)
        axis.axhline(curve["chance"].iloc[0], color="0.4", ls=":", label="constant answer")
        axis.set_title(task, fontsize=10.5)
        axis.set_xlabel("epoch")
        axis.set_ylabel(curve["measure"].iloc[0])
        axis.set_ylim(*((0, 1.02) if curve["measure"].iloc[0] == "accuracy" else (0, None)))
        axis.xaxis.get_major_locator().set_params(integer=True)
    handles, texts = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside upper right", ncols=3)
    return figure


def similarity(table: pd.DataFrame, layer: str) -> Figure:
    """Similarity to the network before, over layers: a panel a measure, a line a task.

    table: `task_share.drift`; `layer`, the one the findings are about, is shaded.
    """
    layers = list(dict.fromkeys(table["layer"]))
    figure, axes = plt.subplots(1, len(MEASURES), figsize=(WIDTH, 3.6), sharey=True)
    for axis, (measure, text) in zip(axes, MEASURES.items(), strict=True):
        chosen = table[table["measure"] == measure]
        for task, offset in spread(names(table)):
            line = chosen[chosen["task"] == task].set_index("layer").reindex(layers)
            ranges(axis, np.arange(len(layers)) + offset, line["value"], line, task)
        axis.set_title(text, fontsize=10.5)
        over_layers(axis, layers, layer)
    axes[0].set_ylabel("similarity to the pre-trained network")
    legend(figure, axes[0])
    return figure


def change(table: pd.DataFrame, xlabel: str = TOP) -> Figure:
    """Top means by category before and after, a panel a task. table: `gains` of one layer."""
    categories, tasks = present(table, "difference"), names(table)
    y = np.arange(len(categories))[::-1]
    figure, axes = plt.subplots(
        1,
        len(tasks),
        figsize=(WIDTH, 0.3 * len(categories) + 1.5),
        sharey=True,
        sharex=True,
        squeeze=False,
    )
    for axis, task in zip(axes.flat, tasks, strict=True):
        of_task = table[table["task"] == task].set_index("category").loc[categories]
        axis.hlines(y, of_task["before"], of_task["after"], color="0.8", lw=4, zorder=0)
        for when, colour in (("before", BEFORE), ("after", COLOURS.get(task, "0.3"))):
            middle = of_task[when]
            reach = [middle - of_task[f"{when}_low"], of_task[f"{when}_high"] - middle]
            reach = np.clip(reach, 0, None)
            axis.errorbar(middle, y, xerr=reach, fmt="o", ms=4.5, lw=1.4, color=colour)
        axis.set_title(f"after {task}", fontsize=10.5, color="black")
        axis.grid(axis="y", color="0.92")
    axes[0, 0].set_yticks(y, [label(c) for c in categories])
    figure.supxlabel(f"{xlabel}: blue before, coloured after", fontsize=10.5)
    return figure


def shares(table: pd.DataFrame, layer: str, task: str = "saliency") -> Figure:
    """How much of the change by `task` other trainings bring as well, over layers.

    A panel a level, a mark a training. table: `task_share.shares`. Where hardly anything changed a
    share of it says nothing: intervals wider than `WIDEST` are left out. A hollow triangle at the
    edge stands for a share beyond it.
    """
    table = table[(table["task"] == task) & (table["other"] != OTHERS)]
    layers, others = (list(dict.fromkeys(table[k])) for k in ("layer", "other"))
    figure, axes = plt.subplots(1, len(LEVELS), figsize=(WIDTH, 3.8), sharey=True)
    for axis, (level, text) in zip(axes, LEVELS.items(), strict=True):
        chosen = table[(table["level"] == level) & (table["high"] - table["low"] <= WIDEST)]
        for other, offset in spread(others):
            line = 100 * chosen[chosen["other"] == other].set_index("layer").reindex(layers)[SPAN]
            who = task if other == AGAIN else other
            texts = {"name": f"{task} again, other seed" if other == AGAIN else other}
            place = np.arange(len(layers)) + offset
            ranges(axis, place, line["share"], line, who, lw=0, **texts)
            low, high = LIMITS
            for end, mark, beyond in (
                (low, "v", line["share"] < low),
                (high, "^", line["share"] > high),
            ):
                if beyond.any():
                    look = {"mfc": "white", "mec": COLOURS.get(who, "0.3"), "ms": 7}
                    at = np.full(int(beyond.sum()), end)
                    axis.plot(place[beyond], at, mark, ls="", clip_on=False, **look)
        for level_line in (0, 100):
            axis.axhline(level_line, color="0.6", lw=0.9, ls=":", zorder=0)
        axis.set_title(text, fontsize=10.5)
        axis.set_ylim(*LIMITS)
        over_layers(axis, layers, layer)
    axes[0].set_ylabel(f"share of the change by {task}\nthat comes as well (%)")
    legend(figure, axes[0])
    return figure


def spread(tasks: Sequence[str], width: float = 0.36) -> Iterator[tuple[str, float]]:
    """Yield each task and its place beside a tick: intervals do not lie over each other."""
    yield from zip(tasks, np.linspace(-width / 2, width / 2, len(tasks)), strict=True)


def ranges(
    axis: Axes,
    x: np.ndarray,
    middle: pd.Series,
    span: pd.DataFrame,
    task: str,
    name: str = "",
    lw: float = 1.0,
) -> None:
    """Draw a task's points with intervals (columns low and high), joined by a line of width lw."""
    reach = np.clip([middle - span["low"], span["high"] - middle], 0, None)
    look = {"color": COLOURS.get(task, "0.3"), "marker": MARKS.get(task, "o"), "ms": 4.5}
    axis.errorbar(x, middle, yerr=reach, label=name or task, elinewidth=1.4, lw=lw, **look)


def over_layers(axis: Axes, layers: Sequence[str], layer: str) -> None:
    """Label the layers, and shade the one that the findings are about."""
    axis.set_xticks(np.arange(len(layers)), layers, rotation=60, ha="right", fontsize=8)
    axis.set_xlim(-0.6, len(layers) - 0.4)
    if layer in layers:
        k = layers.index(layer)
        axis.axvspan(k - 0.46, k + 0.46, color="0.9", zorder=0)
