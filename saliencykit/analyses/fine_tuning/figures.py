"""Figures about change: before and after, who gained more than whom."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ...viewing.plots import matrix
from ...viewing.style import AFTER, BEFORE, WIDTH, label, legend
from ...viewing.units import TOP, _ranges


def before_after(table: pd.DataFrame, xlabel: str = TOP) -> Figure:
    """Two points a category, before and after, joined; their difference at the right.

    table: `statistics.change`.
    """
    table = table[table["difference"].notna()].sort_values("difference").reset_index(drop=True)
    y = np.arange(len(table))
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(WIDTH, 0.36 * len(table) + 1.4), sharey=True, width_ratios=[2, 1]
    )
    left.hlines(y, table["before"], table["after"], color="0.8", lw=4, zorder=0)
    _ranges(left, table, y, "before", color=BEFORE, label="before")
    _ranges(left, table, y, "after", color=AFTER, label="after fine-tuning")
    left.set_yticks(y, [label(c) for c in table["category"]])
    left.set_xlabel(xlabel)
    _ranges(right, table, y, "difference", color="0.25")
    right.axvline(0, color="0.7", lw=0.8, zorder=0)
    right.set_xlabel("change")
    for axis in (left, right):
        axis.grid(axis="y", color="0.92")
    legend(figure, left)
    return figure


def favouring(table: pd.DataFrame) -> Figure:
    """Matrix: by how much more each row category gained than each column category.

    table: `statistics.favouring_pairs`; a cell whose interval excludes 0 shows its number.
    """
    decided = (table["low"] > 0) | (table["high"] < 0)
    return matrix(table, decided, "row's change minus column's change (region NSS)")


def favoured_by_layer(table: pd.DataFrame, layer: str) -> Figure:
    """Points with intervals over layers: how much more one category gained than another.

    table: `report.favouring_by_layer`; `layer`, the one the findings are about, is marked.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 3.2))
    place = np.arange(len(table))
    span = [table["value"] - table["low"], table["high"] - table["value"]]
    axis.errorbar(place, table["value"], yerr=span, fmt="o", color="0.25", lw=1.8)
    axis.axhline(0, color="0.6", lw=1, ls=":")
    axis.axvspan(*(table["layer"].tolist().index(layer) + np.array([-0.4, 0.4])), color="0.93")
    axis.set_xticks(place, table["layer"], rotation=45, ha="right")
    first, second = (label(table[name].iloc[0]) for name in ("first", "second"))
    axis.set_ylabel(f"change of {first} minus\nchange of {second} (region NSS)")
    return figure
