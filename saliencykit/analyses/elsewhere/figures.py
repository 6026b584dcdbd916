"""Forest plots: a row a setting, a panel a number."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ...dissection import singles
from ...findings.alike import NAMES
from ...findings.lead import EFFICIENT, LOST, NATURAL
from ...viewing.plots import (
    faint,
    level,
    only,
    over_layers,
    panels,
    row_panels,
    trace,
    unique,
    verdicts,
)
from ...viewing.style import BEFORE, CONTROL, WIDTH, label, legend
from .tables import IMAGES, SHARE, UNITS

SEARCHES = {
    NATURAL: "natural images:\nshare of people's NSS",
    EFFICIENT: "efficient searches:\nodd item most salient",
    LOST: "lost between\nthe two",
}


def units(table: pd.DataFrame) -> Figure:
    """F1, of `tables.units`: a panel a category."""
    return forest(table, "what", "best units, mean region NSS, minus untrained networks'")


def favoured(table: pd.DataFrame) -> Figure:
    """F2 by the map, of `tables.favoured`."""
    title = "what fine-tuning adds, of the map, share of people's"
    return forest(table, "what", title, share=True, measure=SHARE)


def favoured_units(table: pd.DataFrame) -> Figure:
    """F2 by the paper's number, of `tables.favoured`."""
    title = "what fine-tuning adds, ten best units of the deepest layer read alone, region NSS"
    return forest(table, "what", title, measure=UNITS)


def leads(table: pd.DataFrame) -> Figure:
    """F3, of `tables.leads`."""
    title = "lead of fine-tuned networks over classical models"
    named = table.replace({"measure": SEARCHES})
    return forest(named, "measure", title, share=True)


def tasks(table: pd.DataFrame) -> Figure:
    """F4, of `tables.tasks`."""
    title = "alikeness of networks, within tasks minus between tasks"
    return forest(table.replace({"what": NAMES}), "what", title)


def forest(
    table: pd.DataFrame,
    by: str,
    title: str,
    share: bool = False,
    measure: str | None = None,
) -> Figure:
    """Draw every setting's numbers with intervals, in colour where these exclude 0.

    table: of `tables`; by: the column whose values have a panel each; share: in percent; measure:
    the only one to draw. Settings of the same images stand together; who was not asked, or stands
    once elsewhere, has a dash.
    """
    table = table.sort_values(IMAGES, kind="stable", key=_first_seen)
    names = unique(table, "setting")
    table = table if measure is None else only(table, measure=measure)
    figure, axes, places = row_panels(
        names, [label(what) for what in unique(table, by)], text=_broken
    )
    for axis, what in zip(axes, unique(table, by), strict=True):
        of = only(table, **{by: what}).set_index("setting")
        at = places[of.index]
        faint(axis, singles(of), at)
        verdicts(axis, of, at, "value")
        for name in set(names) - set(of.index):
            where = axis.get_yaxis_transform()
            axis.text(0.5, places[name], "–", transform=where, ha="center", va="center")
        axis.xaxis.set_major_locator(MaxNLocator(7 - len(axes) if len(axes) < 4 else 3))
        if share:
            axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    lines = max(2, *(1 + _broken(name).count("\n") for name in names))
    figure.set_size_inches(WIDTH, (0.12 + 0.17 * lines) * len(names) + 1.2)
    figure.suptitle(title, x=0.01, ha="left")
    return figure


def _first_seen(values: pd.Series) -> pd.Series:
    """Return numbers that sort values in the order in which they come."""
    return pd.Series(pd.factorize(values)[0], values.index)


def _broken(name: str) -> str:
    """Break a setting's name before how it is read, and before what else sets it apart."""
    return name.replace(" · ", "\n").replace("\n", " · ", 1)


def same_units(table: pd.DataFrame) -> Figure:
    """Draw, over layers, how alike the same units are on two collections of images.

    table: `tables.same_units`. Numbers: how many of the ten best units are among the other's.
    """
    keys = ["network", "first", "second"]
    pairs = {" · ".join(key): rows for key, rows in table.groupby(keys, sort=False)}
    what = "rank correlation over units"
    figure, axes = panels(list(pairs), "", what, 2, sharex=False)
    for axis, rows in zip(axes, pairs.values(), strict=True):
        place = np.arange(len(rows))
        trace(axis, place, rows, "value", BEFORE, "this category on both", mark="o")
        for column, dash in (("others", "--"), ("untrained", ":")):
            name = {"others": "this and other categories"}.get(column, "untrained network")
            axis.plot(place, rows[column], dash, color=CONTROL, label=name)
        for x, (y, both) in zip(place, rows[["high", "shared"]].to_numpy(), strict=True):
            axis.annotate(f"{both:.0f}", (x, y), (0, 3), textcoords="offset points", ha="center")
        over_layers(axis, rows["layer"].tolist())
        level(axis)
    return legend(figure, axes[0])
