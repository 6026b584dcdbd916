"""Forest plots: a row a setting, a panel a measure, a colour what is told of it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ...dissection import singles
from ...findings.lead import EFFICIENT, LEAD, LOST, NATURAL
from ...viewing.plots import (
    faint,
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
from ...viewing.style import BEFORE, OTHER, PALETTE, WIDTH, Colour, label, legend
from .tables import SHARE, UNITS

TOLD: Mapping[str, Colour] = {"cka_debiased": "0.25", "selectivity": "#0072B2", "change": "#D55E00"}
"""Colours of what is no category; of anything else, black."""


def units(table: pd.DataFrame) -> Figure:
    """F1, of `tables.units`."""
    return forest(table, "best units, mean region NSS: given minus untrained")


def favoured(table: pd.DataFrame) -> Figure:
    """F2, of `tables.favoured`."""
    return forest(table, "what fine-tuning adds", {SHARE: SHARE, UNITS: UNITS})


def leads(table: pd.DataFrame) -> Figure:
    """F3, of `tables.leads`."""
    names = {NATURAL: "on photographs", EFFICIENT: "on efficient searches", LOST: "lost"}
    return forest(table, "lead over classical models, share of people's", names)


def tasks(table: pd.DataFrame) -> Figure:
    """F4, of `tables.tasks`."""
    return forest(table, "alikeness of networks, within tasks minus between them")


def forest(table: pd.DataFrame, title: str, parts: Mapping[str, str] | None = None) -> Figure:
    """Draw every setting's numbers with intervals, photographs by photographs.

    table: of `tables`; title: what is drawn; parts: measure → its panel's label, where a table has
    several (None: all in one, and a setting's name says which is its own). Shares are in percent.
    """
    whats = unique(table, "what")
    own = "" if parts else table["measure"].map(lambda layer: f" ({layer})")
    table = table.assign(row=table["setting"] + own).sort_values("photographs", kind="stable")
    labels = list((parts or {"": title}).values())
    figure, axes, places = row_panels(unique(table, "row"), labels, text=str)
    for axis, measure in zip(axes, parts or [None], strict=True):
        rows = table if measure is None else only(table, measure=measure)
        for shift, what in zip(offsets(len(whats)), whats, strict=True):
            of = only(rows, what=what)
            look = {"colour": _colour(what), "mark": "D" if "−" in what else "o"}
            at = places[of["row"]] - shift
            points(axis, of, at, name=label(what), size=4.5, **look)
            faint(axis, singles(of), at, look["colour"], below=0.0)
        axis.xaxis.set_major_locator(MaxNLocator(7 - len(axes)))
        if measure is not None and _is_share(measure, table):
            axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.set_size_inches(WIDTH, len(places) * (0.16 * len(whats) + 0.22) + 1.3)
    if parts:
        figure.suptitle(title, fontsize=10.5, x=0.01, ha="left")
    return legend(figure, axes[0]) if len(whats) > 1 else figure


def _colour(what: str) -> Colour:
    return TOLD.get(what) or PALETTE.get(what, OTHER)


def _is_share(measure: str, table: pd.DataFrame) -> bool:
    """Whether a measure is a share of people's: the map's gains and all leads are."""
    return measure == SHARE or set(table["what"]) == {LEAD}


def same_units(table: pd.DataFrame) -> Figure:
    """Draw, over layers, how alike the same units are on two collections of photographs.

    table: `tables.same_units`. Numbers: how many of the ten best units are among the other's.
    """
    keys = ["network", "first", "second"]
    pairs = {" · ".join(key): rows for key, rows in table.groupby(keys, sort=False)}
    figure, axes = panels(list(pairs), "", "rank correlation over units", 2, sharex=False)
    for axis, rows in zip(axes, pairs.values(), strict=True):
        place = np.arange(len(rows))
        trace(axis, place, rows, "value", BEFORE, mark="o")
        for x, (y, both) in zip(place, rows[["high", "shared"]].to_numpy(), strict=True):
            axis.annotate(f"{both:.0f}", (x, y), (0, 3), textcoords="offset points", ha="center")
        over_layers(axis, rows["layer"].tolist())
        level(axis)
    return figure
