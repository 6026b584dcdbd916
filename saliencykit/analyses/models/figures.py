"""Figures about whole models: ceilings, curves, scores, who beats whom, maps."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ...datasets import SaliencyDataset
from ...dissection import singles
from ...evaluation import CENTRE, Evaluation
from ...evaluation.people import MANY
from ...intervals import RATE
from ...metrics import METRICS
from ...viewing.browsers import answers
from ...viewing.pictures import gallery
from ...viewing.plots import differences, faint, name_rows, only, panels, points, unique
from ...viewing.style import CLASSICAL, HUMAN, OTHER, legend, look_of

LINES = (CENTRE, "human", MANY)  # drawn as lines that models lie between
DASHES = {"training": {"ls": "--", "lw": 1.4}, "validation": {"ls": "-", "lw": 2}}


def learning_curves(table: pd.DataFrame, baselines: pd.DataFrame) -> Figure:
    """NSS over epochs, a panel a model: mean over trainings, single ones faint.

    table: `tables.learning`; baselines: those whose means are lines (`evaluation.summary`).
    """
    lines = only(baselines, metric="nss").set_index("model")["mean"]
    models = unique(table, "model")
    figure, axes = panels(models, "epoch", "NSS", None, tall=2.6, sharex=False)
    for axis, model in zip(axes, models, strict=True):
        for images, look in DASHES.items():
            curve, colour = only(table, model=model, images=images), look_of(model).colour
            mark = "o" if len(curve) == 1 else ""  # of one epoch there is no line
            fill = colour if images == "validation" else "white"
            axis.plot(curve["epoch"], curve["value"], color=colour, marker=mark, mfc=fill, **look)
            each = singles(curve)
            axis.plot(curve["epoch"], each, color=colour, ls=look["ls"], lw=0.6, alpha=0.45)
            axis.plot([], [], color=OTHER, label=f"{images} images", **look)
        for name, mean in lines.items():
            axis.axhline(mean, color=look_of(name).colour, lw=1.4, ls=":", label=name)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axis.set_ylim(bottom=min(0.0, table["value"].min()))
    return legend(figure, axes[0])


def score_table(table: pd.DataFrame, raw: pd.DataFrame | None = None) -> Figure:
    """Points with intervals, a panel a metric, models in the order of the first metric.

    The centre prior, people and (dotted) infinitely many people are vertical lines, their intervals
    shaded; small faint marks are single trainings. table: `tables.with_limit`; raw: scores of the
    same models, shown as rings.
    """
    metrics = unique(table, "metric")
    first = only(table, metric=metrics[0]).sort_values("value", ascending=False, kind="stable")
    models = [m for m in first["model"] if m not in LINES]
    tall = 0.23 * len(models) + 0.75
    figure, axes = panels([""] * len(metrics), "", "", 4, tall, around=0.3, sharex=False)
    for axis, metric in zip(axes, metrics, strict=True):
        chosen = only(table, metric=metric).set_index("model")
        _lines(axis, chosen)
        for model, y in name_rows(axis, models).items():
            row, colour = chosen.reindex([model]), look_of(model, CLASSICAL).colour
            faint(axis, singles(row), [y], colour)
            points(axis, row, [y], colour=colour, size=4.5)
            if raw is not None:
                score = only(raw, metric=metric, model=model)["value"]
                axis.plot(score, [y] * len(score), "o", mfc="none", mec=colour, ms=5.5)
        if raw is not None:
            for name, fill in (("fitted", OTHER), ("as it is", "none")):
                axis.plot([], [], "o", mec=OTHER, mfc=fill, ms=5, label=f"the map {name}")
        arrow = "→" if METRICS[metric].better == "higher" else "←"
        what = f"{METRICS[metric].label} ({arrow} better)\n{METRICS[metric].unit}"
        axis.set_xlabel(what, fontsize="small")
    return legend(figure, axes[0])


def fitted(table: pd.DataFrame) -> Figure:
    """Scores of the densities fitted to maps, and, as rings, of the maps as they are.

    table: `tables.of_both`.
    """
    return score_table(only(table, map="fitted"), only(table, map="raw"))


def _lines(axis: Axes, chosen: pd.DataFrame) -> None:
    for model in (m for m in LINES if m in chosen.index):
        row, colour = chosen.loc[model], HUMAN if model == MANY else look_of(model).colour
        dash = ":" if model == MANY else "-"
        axis.axvspan(row["low"], row["high"], color=colour, alpha=0.2, lw=0)
        axis.axvline(row["value"], color=colour, lw=1.4, ls=dash, label=model)


def pairs(table: pd.DataFrame, metric: str = "nss", rate: float = RATE) -> Figure:
    """Matrix: by how much each row's model scores above each column's.

    table: `Evaluations.pairwise`; a number is printed where the adjusted p is at most `rate`.
    Models are in the order of their scores.
    """
    turned = table.assign(first=table["second"], second=table["first"], value=-table["value"])
    both = pd.concat([table, turned], ignore_index=True)
    order = both.groupby("first")["value"].mean().sort_values(ascending=False).index
    title = f"row's {METRICS[metric].label} minus column's"
    return differences(both, both["p_adjusted"] <= rate, title, list(order), digits=2)


def maps_of_images(
    data: SaliencyDataset, found: Evaluation, chosen: Sequence[int], columns: int = 8
) -> tuple[Figure, pd.DataFrame]:
    """Stimulus, human density and each model's map, with its NSS, image after image."""
    models = sorted(found.shown, key=lambda m: -found.mean(m))
    names = [data.names[i] for i in chosen]
    table = [(name, model, found.score(model, name)) for name in names for model in found.shown]
    rows, notes = [], []
    for i in chosen:
        pictures, under = answers(data, found, i, models)
        for k in range(0, len(pictures), columns):
            rows.append(pictures[k : k + columns])
            notes.append(under[k : k + columns])
    figure = gallery(rows, notes=notes, columns=columns, size="x-small")
    return figure, pd.DataFrame(table, columns=["image", "model", "nss"])
