"""Figures about ablated units, over trainings: what is lost with them, and what they carry."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ...dissection import singles
from ...viewing.plots import (
    beside,
    decided,
    differences,
    doubling,
    faint,
    level,
    offsets,
    only,
    panels,
    points,
    row_panels,
    trace,
    unique,
)
from ...viewing.style import AFTER, BEFORE, CLASSICAL, CONTROL, Colour, label, legend
from .tables import ALL

UNITS = {"named": AFTER, "matched": BEFORE, "random": CONTROL}
CHANGE = "change of region NSS"


def crosswise(table: pd.DataFrame) -> Figure:
    """What each row's units do to each column's regions, beyond matched units.

    table: `ablation_matrix`; a cell whose interval excludes 0 shows its number.
    """
    title = f"{CHANGE}\nbeyond matched units"
    figure = differences(table, decided(table), title, digits=2)
    figure.axes[0].set_xlabel("regions scored")
    figure.axes[0].set_ylabel("units ablated: those named for")
    return figure


def specificity(table: pd.DataFrame) -> Figure:
    """What own and other regions lose (left, middle), and own − others beyond matched units.

    table: `losses_by` over "way", the main ablation first; the right panel shows all of them, the
    first with full dots. One category alone has no others: right what it loses beyond controls.
    """
    if ALL not in set(table["category"]):
        return _alone(table)
    ways = unique(table, "way")
    labels = [f"{whose} regions:\n{CHANGE}" for whose in ("own", "others'")]
    figure, axes, places = _rows(table, *labels, "own − others,\nbeyond matched units")
    main = only(table, way=ways[0])
    for axis, where in zip(axes, ("own", "others"), strict=False):
        _by_units(axis, only(main, where=where), places)
    axes[1].set_xlim(axes[0].get_xlim())
    beyond = only(table, units="beyond matched", where="difference")
    for way, fill, offset in zip(ways, ("0.2", "white"), offsets(len(ways)), strict=True):
        _over_trainings(axes[2], only(beyond, way=way), places - offset, "0.2", way, fill)
    legend(figure, axes[0], "left")
    return legend(figure, axes[2])


def _alone(table: pd.DataFrame) -> Figure:
    """What the only category loses (left), and how much more than by controls (right)."""
    figure, axes, places = _rows(table, CHANGE, f"{CHANGE},\nnamed minus other units")
    _by_units(axes[0], table, places)
    _by_units(axes[1], table, places, "beyond ")
    legend(figure, axes[0], "left")
    return legend(figure, axes[1])


def _by_units(axis: Axes, table: pd.DataFrame, places: pd.Series, beyond: str = "") -> None:
    """Draw what is lost by each kind of units, or beyond it."""
    present = [u for u in UNITS if f"{beyond}{u}" in set(table["units"])]
    for units, offset in zip(present, offsets(len(present), 0.44), strict=True):
        chosen, name = only(table, units=f"{beyond}{units}"), f"{beyond}{units} units"
        _over_trainings(axis, chosen, places - offset, UNITS[units], name)


def _over_trainings(
    axis: Axes,
    table: pd.DataFrame,
    places: pd.Series,
    colour: Colour = "0.25",
    name: str | None = None,
    fill: Colour | None = None,
) -> None:
    """Draw means with intervals, a row a category, and single trainings as faint small marks."""
    at = table["category"].map(places)
    faint(axis, singles(table), at + 0.13, colour)  # on the row, where many rows lie close
    points(axis, table, at, colour=colour, name=name, fill=fill)


def dose(table: pd.DataFrame) -> Figure:
    """A panel a category: the change against the number of ablated units, with intervals.

    table: `losses_by` over "k". Thin lines are single trainings' own regions by named units.
    """
    names = sorted(unique(table, "category"), key=lambda name: name != ALL)  # first the mean
    titles = [label(n) for n in names]
    figure, axes = panels(titles, "units ablated", CHANGE, tall=1.75, around=0.8)
    lines = (
        ("named", "own", AFTER, "-"),
        ("named", "others", BEFORE, ":"),
        ("random", "own", "0.45", "--"),
    )
    doses = sorted(set(table["k"]))
    for axis, name in zip(axes, names, strict=True):
        for units, where, colour, dash in lines:
            if where not in set(table["where"]):
                continue
            line = only(table, units=units, where=where, category=name).set_index("k").loc[doses]
            whose = "others'" if where == "others" else where
            trace(axis, doses, line, "value", colour, f"{units} units, {whose} regions", dash=dash)
            if dash == "-":
                axis.plot(doses, singles(line), color=colour, lw=0.6, alpha=0.4, zorder=0)
        level(axis)
        doubling(axis, doses)
    return legend(figure, axes[0])


def contributions(table: pd.DataFrame) -> Figure:
    """Left: region NSS that the named units carry, and their fair share. Right: rank correlation.

    table: `carried`.
    """
    figure, (left, right), places = _rows(
        table,
        "region NSS of the map, the part that units carry",
        "Spearman's ρ over units:\nselectivity and contribution",
    )
    texts = {"carried": "named units", "fair": "as many units of the layer on average"}
    for (what, text), colour, offset in zip(
        texts.items(), (AFTER, CONTROL), offsets(2, 0.26), strict=True
    ):
        _over_trainings(left, only(table, what=what), places - offset, colour, text)
    wide = table.pivot(index="category", columns="what", values="value").loc[places.index]
    notes = [
        f"{100 * part / whole:.0f} % of {whole:.2f}" if whole > 0 else f"of {whole:.2f}"
        for whole, part in wide[["map", "carried"]].itertuples(index=False)
    ]
    beside(left, places, notes)
    _over_trainings(right, only(table, what="rho"), places)
    return legend(figure, left)


def agreement(table: pd.DataFrame) -> Figure:
    """Left: rank correlation of IoU and region NSS. Right: units whose best category it is.

    One category alone is every unit's best, so that there is no right. table: `method_agreement`.
    """
    labels = ["Spearman's ρ over units:\nIoU and region NSS", "units whose best category it is"]
    figure, (left, *others), places = _rows(table, *labels[: len(table)])
    _over_trainings(left, table, places)
    if not others:
        return figure
    (right,) = others
    y = table["category"].map(places)
    right.barh(y + 0.17, table["by_nss"], 0.3, color=BEFORE, label="best by region NSS")
    right.barh(y - 0.17, table["by_iou"], 0.3, color=CLASSICAL, label="best by IoU")
    right.plot(table["by_both"], y, "D", ms=5, color="0.15", clip_on=False, label="by both")
    return legend(figure, right)


def _rows(table: pd.DataFrame, *labels: str) -> tuple[Figure, list[Axes], pd.Series]:
    """Make panels of a row a category, `ALL` apart at the bottom."""
    figure, axes, places = row_panels(unique(table, "category"), labels, apart=ALL)
    for axis in axes:
        axis.xaxis.set_major_locator(MaxNLocator(5))
    return figure, axes, places
