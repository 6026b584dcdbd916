"""Figures about units: selectivity by layer and category, counts, change."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..dissection import singles
from ..dissection.top_units import MIN_IMAGES
from .plots import (
    at_threshold,
    by_root,
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
from .style import Colour, label, legend, look_of

TOP = "mean region NSS of the ten best units"
SHARES = (0, 1, 5, 20, 50, 100)  # per cent of units, on an axis that grows with the root


def styles(names: Iterable[str]) -> dict[str, Colour]:
    """Return the colours of encoders, by their names in a `Study`."""
    return {name: look_of(name).colour for name in names}


def present(table: pd.DataFrame, column: str = "mean") -> list[str]:
    """Return the categories for which there is a number, in the table's order.

    Raises ValueError if there is none.
    """
    found = unique(table[table[column].notna()], "category")
    if not found:
        raise ValueError(
            f"No category was fixated on {MIN_IMAGES} images or more, so there is nothing to draw "
            "about any. Annotate more images, or use more of them (parameter `images`)."
        )
    return found


def by_layer(table: pd.DataFrame, styles: Mapping[str, Colour], ylabel: str = TOP) -> Figure:
    """One panel a category: encoders' lines over layers, with intervals.

    table: `dissection.tops`; styles: encoder → colour.
    """
    categories, layers = present(table), unique(table, "layer")
    figure, axes = panels([label(c) for c in categories], "", ylabel)
    for axis, category in zip(axes, categories, strict=True):
        for encoder, colour in styles.items():
            line = only(table, category=category, encoder=encoder).set_index("layer")
            trace(axis, np.arange(len(layers)), line.reindex(layers), "mean", colour, encoder)
        level(axis)
        over_layers(axis, layers, step=max(1, len(layers) // 6))
    return legend(figure, axes[0])


def by_category(table: pd.DataFrame, styles: Mapping[str, Colour], xlabel: str = TOP) -> Figure:
    """Points with intervals, a row a category, a colour an encoder; faint marks single trainings.

    table: `dissection.tops` of one layer; with columns "training 1" …, if there are several.
    """
    categories = present(table)
    figure, axes, places = row_panels(categories, [xlabel])
    for (encoder, colour), offset in zip(styles.items(), offsets(len(styles), 0.32), strict=True):
        chosen = only(table, encoder=encoder).set_index("category").reindex(categories)
        faint(axes[0], singles(chosen), places - offset + 0.13, colour)  # on the row
        points(axes[0], chosen, places - offset, "mean", colour, encoder)
    return legend(figure, axes[0])


def counts(table: pd.DataFrame, styles: Mapping[str, Colour], threshold: float) -> Figure:
    """How many units exceed T, with T swept: a panel a category, a line an encoder.

    table: `dissection.counts`; `threshold`, the T that the text is about, is marked.
    """
    categories = present(table, "units")
    titles = [label(c) for c in categories]
    figure, axes = panels(titles, "threshold T on region NSS", "units above T (%, root scale)")
    for axis, category in zip(axes, categories, strict=True):
        for encoder, colour in styles.items():
            chosen = only(table, category=category, encoder=encoder)
            axis.plot(
                chosen["threshold"], 100 * chosen["share"], color=colour, lw=1.8, label=encoder
            )
        at_threshold(axis, threshold)
        by_root(axis, SHARES, "{:g}")
    reached = table.loc[table["units"] > 0, "threshold"].max()
    axes[0].set_xlim(0, max(threshold, reached) + 0.25)
    return legend(figure, axes[0])
