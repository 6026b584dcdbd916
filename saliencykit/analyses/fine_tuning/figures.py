"""Figures about change: before and after by category, and the paper's pair by part."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ...dissection import singles
from ...findings.fine_tuning import UNITS
from ...viewing import units
from ...viewing.plots import faint, level, offsets, only, points, row_panels
from ...viewing.style import AFTER, BEFORE, HUMAN, WIDTH, Colour, label, legend

MAP = "region NSS of the map,\nshare of people's"


def before_after(table: pd.DataFrame, measure: str, xlabel: str, before: str) -> Figure:
    """Two points a category, before and after, joined; their difference at the right.

    table: `FineTuning.map_table` or `.unit_table`; measure: of its rows, those shown; before: name
    of what was before. Small marks are single trainings.
    """
    chosen = only(table, measure=measure).dropna(subset="value")
    what = {name: rows.set_index("category") for name, rows in chosen.groupby("what")}
    order = what["change"]["value"].sort_values(ascending=False).index
    old, new, gain = (what[name].loc[order] for name in ("before", "after", "change"))
    figure, (left, right), y = row_panels(
        order, [xlabel, "change\n(intervals hold together)"], [2, 1], None
    )
    left.hlines(y, old["value"], new["value"], color="0.85", lw=4, zorder=0)
    up, down = offsets(2, 0.3)
    _over_trainings(left, old, y - up, BEFORE, before)
    _over_trainings(left, new, y - down, AFTER, "fine-tuned")
    _over_trainings(right, gain, y, "0.25")
    level(right, upright=True)
    if measure == "share":
        left.axvline(1, color=HUMAN, lw=1, ls="--", zorder=0, label="people")
        for axis in (left, right):
            axis.xaxis.set_major_formatter(PercentFormatter(1))
    return legend(figure, left)


def _over_trainings(
    axis: Axes, table: pd.DataFrame, places: pd.Series, colour: Colour, name: str | None = None
) -> None:
    """Draw means with intervals, and single trainings as faint small marks."""
    faint(axis, singles(table), places, colour)
    points(axis, table, places, colour=colour, name=name)


def favoured(table: pd.DataFrame, layer: str) -> Figure:
    """The paper's pair: the difference of their changes in the map, its layers and its best units.

    table: `FineTuning.favoured`; layer: whose units these are.
    """
    table = table.replace({"part": {UNITS: f"{UNITS} of {layer},\nread alone"}})
    parts = table["part"].drop_duplicates().tolist()
    first, second = (label(table[name].iloc[0]) for name in ("first", "second"))
    names = ["share of people's", "region NSS"]
    figure, axes, places = row_panels(parts, names, apart=parts[-1], text=str)
    for axis, measure in zip(axes, ("share", "region NSS"), strict=True):
        chosen = only(table, measure=measure).set_index("part")
        _over_trainings(axis, chosen, places[chosen.index], "0.25")
        axis.xaxis.set_major_locator(MaxNLocator(6))
    axes[0].xaxis.set_major_formatter(PercentFormatter(1))
    figure.set_size_inches(WIDTH, 0.34 * len(parts) + 1.3)
    figure.suptitle(f"change of {first} minus change of {second}", fontsize=10.5)
    return figure


def above(table: pd.DataFrame, styles: dict[str, Colour], threshold: float) -> Figure:
    """How many units exceed T, mean over trainings; thin lines are single ones.

    table: `FineTuning.above`.
    """
    figure = units.counts(table, styles, threshold)
    for axis, category in zip(figure.axes, units.present(table, "units"), strict=True):
        for encoder, colour in styles.items():
            line = only(table, category=category, encoder=encoder).set_index("threshold")
            axis.plot(line.index, 100 * singles(line), color=colour, lw=0.6, alpha=0.4, zorder=0)
    return figure
