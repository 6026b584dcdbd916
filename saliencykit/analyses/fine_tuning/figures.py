"""Figures about change: before and after, who gained more than whom."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ...viewing.plots import decided, differences, level, over_layers, points, row_panels
from ...viewing.style import AFTER, BEFORE, WIDTH, label, legend
from ...viewing.units import TOP


def before_after(table: pd.DataFrame, xlabel: str = TOP) -> Figure:
    """Two points a category, before and after, joined; their difference at the right.

    table: `dissection.change`.
    """
    table = table[table["difference"].notna()].sort_values("difference", ascending=False)
    figure, (left, right), y = row_panels(table["category"], [xlabel, "change"], [2, 1], None)
    left.hlines(y, table["before"], table["after"], color="0.8", lw=4, zorder=0)
    points(left, table, y, "before", BEFORE, "before")
    points(left, table, y, "after", AFTER, "after fine-tuning")
    points(right, table, y, "difference")
    level(right, upright=True)
    return legend(figure, left)


def favouring(table: pd.DataFrame) -> Figure:
    """Matrix: by how much more each row category gained than each column category.

    table: `tables.favouring_pairs`; a cell whose interval excludes 0 shows its number.
    """
    return differences(table, decided(table), "row's change minus column's change (region NSS)")


def favoured_by_layer(table: pd.DataFrame, layer: str) -> Figure:
    """Points with intervals over layers: how much more one category gained than another.

    table: `tables.favouring_by_layer`; `layer`, the one the findings are about, is marked.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 3.2))
    points(axis, table, np.arange(len(table)), upright=True)
    level(axis)
    over_layers(axis, table["layer"].tolist(), layer)
    first, second = (label(table[name].iloc[0]) for name in ("first", "second"))
    axis.set_ylabel(f"change of {first} minus\nchange of {second} (region NSS)")
    return figure
