"""Figures about whole models: ceilings, curves, scores, who beats whom, maps."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ...datasets import SaliencyDataset
from ...evaluation import CENTRE, Evaluation
from ...intervals import RATE
from ...metrics import METRICS
from ...viewing.browsers import answers
from ...viewing.pictures import gallery
from ...viewing.plots import matrix
from ...viewing.style import (
    CLASSICAL,
    MODEL_COLOURS,
    WIDTH,
    label,
    legend,
)

LINES = (CENTRE, "human")  # drawn as lines that models lie between


def learning_curves(curves: Mapping[str, pd.DataFrame], baselines: pd.DataFrame) -> Figure:
    """NSS over epochs, a panel a model, with the baselines' means (`evaluation.summary`)."""
    lines = baselines[baselines["metric"] == "nss"].set_index("model")["mean"]
    figure, axes = plt.subplots(1, len(curves), figsize=(WIDTH, 3.2), sharey=True, squeeze=False)
    for axis, (model, curve) in zip(axes.flat, curves.items(), strict=True):
        colour = MODEL_COLOURS.get(model, "0.3")
        axis.plot(curve["epoch"], curve["train"], color=colour, ls="--")
        axis.plot(curve["epoch"], curve["validation"], color=colour, lw=2)
        for name, level in lines.items():
            axis.axhline(level, color=MODEL_COLOURS.get(name, "0.5"), lw=1.4, ls=":", label=name)
        axis.set_title(model, fontsize=10.5)
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set_ylim(bottom=0)
    axes[0, 0].set_ylabel("NSS")
    grey = [Line2D([], [], color="0.3", ls="--"), Line2D([], [], color="0.3", lw=2)]
    levels, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(
        [*grey, *levels],
        ["training images", "validation images", *names],
        loc="outside upper right",
        ncols=2 + len(names),
    )
    return figure


def score_table(table: pd.DataFrame, columns: int = 4) -> Figure:
    """Points with intervals, a panel a metric, models in the order of the first metric.

    The centre prior and people are vertical lines, their intervals shaded. table:
    `evaluation.summary`.
    """
    metrics = list(dict.fromkeys(table["metric"]))
    columns = min(columns, len(metrics))
    rows = -(-len(metrics) // columns)
    first = table[(table["metric"] == metrics[0]) & ~table["model"].isin(LINES)]
    models = first.sort_values("mean", kind="stable")["model"].tolist()
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(WIDTH, (0.23 * len(models) + 0.75) * rows + 0.3),
        sharey=True,
        squeeze=False,
    )
    for axis, metric in zip(axes.flat, metrics, strict=False):
        chosen = table[table["metric"] == metric].set_index("model")
        _lines(axis, chosen)
        for y, (model, row) in enumerate(chosen.reindex(models).iterrows()):
            span = [[row["mean"] - row["low"]], [row["high"] - row["mean"]]]
            colour = MODEL_COLOURS.get(model, CLASSICAL)
            axis.errorbar(row["mean"], y, xerr=span, fmt="o", ms=4.5, color=colour, lw=1.6)
        arrow = "→" if METRICS[metric].better == "higher" else "←"
        axis.set_xlabel(f"{METRICS[metric].label} ({arrow} better)", fontsize=9.5)
        axis.set_yticks(range(len(models)), [label(m) for m in models])
        axis.set_ylim(-0.6, len(models) - 0.4)
        axis.grid(axis="y", color="0.92")
    for axis in axes.flat[len(metrics) :]:
        axis.set_visible(False)
    legend(figure, axes[0, 0])
    return figure


def _lines(axis: Axes, chosen: pd.DataFrame) -> None:
    for model in (m for m in LINES if m in chosen.index):
        row, colour = chosen.loc[model], MODEL_COLOURS[model]
        axis.axvspan(row["low"], row["high"], color=colour, alpha=0.2, lw=0)
        axis.axvline(row["mean"], color=colour, lw=1.4, label=model)


def pairs(table: pd.DataFrame, metric: str = "nss", rate: float = RATE) -> Figure:
    """Matrix: by how much each row's model scores above each column's.

    table: `evaluation.pairwise`; a number is printed where the adjusted p is at most `rate`.
    Models are in the order of their scores.
    """
    turned = table.assign(first=table["second"], second=table["first"], value=-table["value"])
    both = pd.concat([table, turned], ignore_index=True)
    order = both.groupby("first")["value"].mean().sort_values(ascending=False).index
    title = f"row's {METRICS[metric].label} minus column's"
    return matrix(both, both["p_adjusted"] <= rate, title, list(order), digits=2)


def side_by_side(
    data: SaliencyDataset, found: Evaluation, chosen: Sequence[int], columns: int = 8
) -> tuple[Figure, pd.DataFrame]:
    """Stimulus, human density and each model's map, with its NSS, image after image."""
    models = sorted(found.shown, key=lambda m: -found.mean(m))
    table = [
        (data.names[i], model, found.score(model, data.names[i]))
        for i in chosen
        for model in found.shown
    ]
    rows, notes = [], []
    for i in chosen:
        pictures, under = answers(data, found, i, models)
        blank = np.full_like(pictures[0], 255)
        for k in range(0, len(pictures), columns):
            gap = columns - len(pictures[k : k + columns])
            rows.append(pictures[k : k + columns] + [blank] * gap)
            notes.append(under[k : k + columns] + [""] * gap)
    figure = gallery(rows, notes=notes, size=7.2)
    return figure, pd.DataFrame(table, columns=["image", "model", "nss"])
