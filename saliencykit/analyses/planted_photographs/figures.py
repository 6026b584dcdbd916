"""Figures about preferences planted in photographs: dose and answer, who follows, alarms."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ...dissection import singles
from ...intervals import RATE
from ...viewing.plots import (
    by_root,
    decided,
    doubling,
    faint,
    level,
    matrix,
    offsets,
    only,
    panels,
    points,
    row_panels,
    unique,
    verdicts,
)
from ...viewing.style import AFTER, BEFORE, CONTROL, HUMAN, OTHER, WIDTH, label, legend
from .tables import MAP, MEASURES, READOUT, SHAM, UNITS, WHOLLY

UNIT = {MAP: "% of people's", UNITS: "region NSS"}


def dose(table: pd.DataFrame) -> Figure:
    """What each dose adds to the answer to dose 1: a panel a planted category and measure.

    The planted category thick, with intervals, each other one a grey line, of which the two that go
    furthest are named (`follow` tells all); small marks are single trainings of the planted one;
    dashed: what it would be if the map followed wholly. table: `Planted.responses`.
    """
    planted, names = unique(table, "planted"), told(table)
    titles = [f"{label(c)} planted" for _ in MEASURES for c in planted]
    x = "what a fixation on the planted category counts (all others 1)"
    figure, axes = panels(titles, x, "answer, minus that to dose 1", len(planted), 2.9,
                          sharey="row")  # fmt: skip
    places = [(measure, category) for measure in MEASURES for category in planted]
    for axis, (measure, category) in zip(axes, places, strict=True):
        own = only(table, measure=measure, planted=category)
        level(axis)
        doubling(axis, unique(own, "dose"))
        for name in names:
            _line(axis, only(own, category=name), name == category)
        for row in _furthest(own[own["category"].isin(names)]).itertuples():
            look = {"textcoords": "offset points", "va": "center", "fontsize": "x-small"}
            axis.annotate(label(row.category), (row.dose, row.value), (4, 0), color="0.3", **look)
        if measure == MAP:
            axis.yaxis.set_major_formatter(PercentFormatter(1))
            whole = only(table, measure=WHOLLY, planted=category, category=category)
            axis.plot(whole["dose"], whole["value"], "--", color=HUMAN, lw=1.4, label=WHOLLY)
        if category == planted[0]:
            axis.set_ylabel(f"{measure}: {UNIT[measure]}")
    return legend(figure, axes[0])


def _furthest(own: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the two others that the largest dose moves furthest; one if they meet."""
    last = own[(own["dose"] == own["dose"].max()) & (own["category"] != own["planted"])]
    last = last.sort_values("value", key=abs, ascending=False).head(2)
    tall = own["high"].max() - own["low"].min()
    return last[(last["value"] - last["value"].shift()).abs().fillna(tall) > 0.06 * tall]


def _line(axis: Axes, shown: pd.DataFrame, planted: bool) -> None:
    if not planted:
        look = {"color": OTHER, "lw": 0.9, "alpha": 0.6, "zorder": 1}
        axis.plot(shown["dose"], shown["value"], **look, label="each other category")
        return
    each = singles(shown)
    for column in each:
        axis.plot(shown["dose"] * 2**0.06, each[column], "_", color=AFTER, ms=5, alpha=0.5)
    look = {"size": 4.5, "line": 2.2, "upright": True}
    points(axis, shown, shown["dose"], "value", AFTER, "the planted category", **look)


def told(table: pd.DataFrame) -> list[str]:
    """Return the categories that have an interval somewhere, or, if none has, a value."""
    some = table.dropna(subset="low")
    return unique(some if len(some) else table.dropna(subset="value"), "category")


def follow(slopes: pd.DataFrame) -> Figure:
    """What a doubling adds at each category (columns) when each is planted (rows), by the map.

    In percent of people's; bold where the interval excludes 0. slopes: `Planted.slopes`.
    """
    table = only(slopes, measure=MAP)
    names, planted = told(table), unique(table, "planted")
    names = [*planted, *(name for name in names if name not in planted)]
    value, sure = (
        table.assign(sure=decided(table))
        .pivot(index="planted", columns="category", values=v)
        .reindex(index=planted, columns=names)
        for v in ("value", "sure")
    )
    size = (max(4.5, min(WIDTH, 2.6 + 0.62 * len(names))), max(3.0, 1.6 + 0.5 * len(planted)))
    title = "% of people's per doubling"
    bold = sure.astype(bool)
    figure = matrix(100 * value.astype(float), value.notna(), title, "+.1f", size, bold)
    figure.axes[0].set(ylabel="planted", xlabel="measured at")
    return figure


def specific(table: pd.DataFrame) -> Figure:
    """What a doubling adds at its own category, at the others, and the gap: a panel a measure.

    table: `Planted.specific`. Small marks are single trainings.
    """
    named = table.assign(row=table["planted"].map(label) + "\n" + table["kind"])
    labels = [f"{measure}, {UNIT[measure]} per doubling" for measure in MEASURES]
    figure, axes, places = row_panels(unique(named, "row"), labels, text=str)
    for axis, measure in zip(axes, MEASURES, strict=True):
        shown = only(named, measure=measure).set_index("row")
        faint(axis, singles(shown), places[shown.index])
        verdicts(axis, shown, places[shown.index], "value")
        if measure == MAP:
            axis.xaxis.set_major_formatter(PercentFormatter(1))
    return figure


def halves(table: pd.DataFrame) -> Figure:
    """By how much networks of two halves of the observers differ, in colour where an alarm is.

    table: `Planted.halves`. A row a category, in it a point a comparison.
    """
    names, numbers = told(table), unique(table, "comparison")
    apart = min(0.6, 0.18 * len(numbers))
    labels = [f"{measure}, one half − the other, {UNIT[measure]}" for measure in MEASURES]
    figure, axes, places = row_panels(names, labels)
    for axis, measure in zip(axes, MEASURES, strict=True):
        for number, shift in zip(numbers, offsets(len(numbers), apart), strict=True):
            shown = only(table, measure=measure, comparison=number).set_index("category").loc[names]
            verdicts(axis, shown, places[names] - shift, "value")
        if measure == MAP:
            axis.xaxis.set_major_formatter(PercentFormatter(1))
    return figure


TAUGHT = {
    MAP: "halves: the map,\nfine-tuned",
    UNITS: "halves: best\nunits, fine-tuned",
    READOUT: "halves: the map\nof frozen layers",
    SHAM: "sham doses: the map\nof frozen layers",
}


def alarms(table: pd.DataFrame) -> Figure:
    """How large a share of comparisons alarms, with its exact interval, beside what is promised.

    table: `tables.alarms`.
    """
    figure, axis = plt.subplots(figsize=(0.75 * WIDTH, 3.4))
    places = range(len(table))
    points(axis, table, places, colour=BEFORE, upright=True)
    axis.axhline(RATE, color=CONTROL, ls="--", lw=1.2, label=f"promised, {RATE:.0%}", zorder=0)
    counts = [f"{row.alarms} of {row.comparisons}" for row in table.itertuples()]
    names = [f"{TAUGHT[m]}\n{count}" for m, count in zip(table["measure"], counts, strict=True)]
    axis.set_xticks(places, names)
    axis.set(xlim=(-0.6, len(table) - 0.4), ylabel="comparisons that alarm\n(root scale)")
    by_root(axis, [0, 0.05, 0.2, 0.5, 1], "{:.0%}")
    axis.set_ylim(0, 1.05)
    for line in axis.lines:
        line.set_clip_on(False)  # a point at 0 is a whole one
    return legend(figure, axis)
