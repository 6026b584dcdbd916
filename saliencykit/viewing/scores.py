"""Figures about whole models: ceilings, curves, scores, who beats whom, maps."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..datasets import SaliencyDataset
from ..evaluation import Evaluation, ObserverCurve, interval
from ..metrics import METRICS, density
from ..study import CENTRE
from .matrix import matrix
from .overlay import Picture, fit, mapped
from .stimuli import gallery, stimulus
from .style import AFTER, BEFORE, CLASSICAL, CONTROL, HUMAN, WIDTH, label, legend

MODEL_COLOURS = {
    CENTRE: CONTROL,
    "frozen": BEFORE,
    "fine-tuned": AFTER,
    "frozen, one layer": "#56B4E9",
    "fine-tuned, one layer": "#E69F00",
    "human": HUMAN,
}
LINES = (CENTRE, "human")  # drawn as lines that models lie between


def ceilings(scores: pd.DataFrame, metrics: Sequence[str] = ("nss", "auc")) -> Figure:
    """Histograms over images of what people and the centre prior score."""
    figure, axes = plt.subplots(1, len(metrics), figsize=(WIDTH, 3.0), squeeze=False)
    for axis, metric in zip(axes.flat, metrics, strict=True):
        chosen = scores[scores["metric"] == metric]
        bins = np.histogram_bin_edges(chosen["value"].dropna(), 30)
        for model, group in chosen.groupby("model", sort=False):
            colour = MODEL_COLOURS.get(model, "0.4")
            mean, low, high = interval(group["value"])
            axis.hist(group["value"].dropna(), bins, color=colour, alpha=0.55, label=model)
            axis.axvline(mean, color=colour, lw=2)
            axis.axvspan(low, high, color=colour, alpha=0.25, lw=0)
        axis.set_xlabel(METRICS[metric].label)
        axis.set_ylabel("images")
    axes[0, 0].legend()
    return figure


def observers(curves: Mapping[str, ObserverCurve]) -> tuple[Figure, pd.DataFrame]:
    """How well n observers predict another, a panel a metric, extrapolated to infinitely many.

    The band at the right is the limit's 95 % interval, where it is determined. Also returns the
    numbers: metric, n, mean, low, high, fitted.
    """
    figure, axes = plt.subplots(1, len(curves), figsize=(WIDTH, 3.0), squeeze=False)
    for axis, (metric, curve) in zip(axes.flat, curves.items(), strict=True):
        seen = curve.table[np.isfinite(curve.table["n"])]
        span = [seen["mean"] - seen["low"], seen["high"] - seen["mean"]]
        axis.errorbar(seen["n"], seen["mean"], span, fmt="o", ms=5, color=HUMAN, lw=1.6)
        n = np.geomspace(1, 8 * seen["n"].max(), 100)
        axis.plot(n, [curve.law(k) for k in n], color=HUMAN, lw=1.3)
        if curve.law.determined:
            axis.axhspan(curve.law.low, curve.law.high, color=HUMAN, alpha=0.15, lw=0)
            axis.axhline(curve.law.limit, color=HUMAN, lw=1.2, ls=":")
        axis.set_xscale("log", base=2)
        ticks = 2 ** np.arange(0, np.log2(n[-1]), 2).astype(int)
        axis.set_xticks(ticks, [str(k) for k in ticks])
        axis.set_xlabel("observers who predict one more")
        axis.set_ylabel(f"{METRICS[metric].label}, {METRICS[metric].unit}")
    tables = [curve.table.assign(metric=metric) for metric, curve in curves.items()]
    columns = ["metric", "n", "mean", "low", "high", "fitted"]
    return figure, pd.concat(tables, ignore_index=True)[columns]


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


def pairs(table: pd.DataFrame, metric: str = "nss", level: float = 0.05) -> Figure:
    """Matrix: by how much each row's model scores above each column's.

    table: `evaluation.pairwise`; a number is printed where the adjusted p is at most `level`.
    Models are in the order of their scores.
    """
    turned = table.assign(first=table["second"], second=table["first"], value=-table["value"])
    both = pd.concat([table, turned], ignore_index=True)
    order = both.groupby("first")["value"].mean().sort_values(ascending=False).index
    title = f"row's {METRICS[metric].label} minus column's"
    return matrix(both, both["p_adjusted"] <= level, title, list(order), digits=2)


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


def answers(
    data: SaliencyDataset, found: Evaluation, i: int, models: Sequence[str], height: int = 180
) -> tuple[list[Picture], list[str]]:
    """Pictures of stimulus `i`, people's density and the models' maps, and what to write below."""
    size = data.size_of(i)
    counts = data.fixations(i).inside(*size, data.names[i]).count_map(*size)
    shape = (height, round(height * size[1] / size[0]))
    pictures = [fit(stimulus(data, i, regions=False), height)]
    under = [data.names[i]]
    if counts.any():
        pictures.append(mapped(density(counts), shape))
        under.append("people")
    for model in models:
        pictures.append(mapped(found.shown[model][i], shape))
        under.append(f"{label(model)}\n{found.score(model, data.names[i]):.2f}")
    return pictures, under
