"""Figures about units: selectivity by layer and category, counts, change."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..dissection.top_units import MIN_IMAGES
from .style import AFTER, BEFORE, CLASSICAL, CONTROL, WIDTH, label, legend

TOP = "mean region NSS of the ten best units"


def present(table: pd.DataFrame, column: str = "mean") -> list[str]:
    """Return the categories for which there is a number, in the table's order.

    Raises ValueError if there is none.
    """
    found = list(dict.fromkeys(table.loc[table[column].notna(), "category"]))
    if not found:
        raise ValueError(
            f"No category was fixated on {MIN_IMAGES} images or more, so there is nothing to draw "
            "about any. Annotate more images, or use more of them (parameter `images`)."
        )
    return found


def by_layer(
    table: pd.DataFrame, styles: dict[str, str], ylabel: str = TOP, columns: int = 4
) -> Figure:
    """One panel a category: encoders' lines over layers, with intervals.

    table: `report.tops`; styles: encoder → colour.
    """
    categories = present(table)
    layers = list(dict.fromkeys(table["layer"]))
    figure, axes = _panels(categories, columns)
    place = np.arange(len(layers))
    for axis, category in zip(axes, categories, strict=True):
        for encoder, colour in styles.items():
            chosen = table[(table["category"] == category) & (table["encoder"] == encoder)]
            line = chosen.set_index("layer").reindex(layers)
            axis.fill_between(place, line["low"], line["high"], color=colour, alpha=0.25, lw=0)
            axis.plot(place, line["mean"], color=colour, lw=1.8, label=encoder)
        axis.axhline(0, color="0.7", lw=0.8, zorder=0)
    step = max(1, len(layers) // 6)
    for axis in axes[-columns:]:
        axis.set_xticks(place[::step], layers[::step], rotation=60, ha="right", fontsize=8)
    figure.supylabel(ylabel, fontsize=10.5)
    legend(figure, axes[0])
    return figure


def _panels(categories: Sequence[str], columns: int = 4) -> tuple[Figure, list[Axes]]:
    """A titled panel a category, all with the same axes, which the lowest of each column labels."""
    columns = min(columns, len(categories))
    columns -= len(categories) % columns == 1 and columns > 2  # leave none alone in the last row
    rows = -(-len(categories) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, 2.0 * rows + 0.6), sharex=True, sharey=True, squeeze=False
    )
    shown = list(axes.flat[: len(categories)])
    for axis, category in zip(shown, categories, strict=True):
        axis.set_title(label(category), fontsize=10.5)
    for axis in axes.flat[len(categories) :]:
        axis.set_visible(False)
    for axis in shown[-columns:]:
        axis.tick_params(labelbottom=True)
    return figure, shown


def _ranges(axis: Axes, table: pd.DataFrame, y: np.ndarray, name: str, **style: object) -> None:
    middle = table[name] if name in table else table["mean"]
    low, high = (table.get(f"{name}_{end}", table.get(end)) for end in ("low", "high"))
    axis.errorbar(
        middle,
        y,
        xerr=[(middle - low).clip(lower=0), (high - middle).clip(lower=0)],
        fmt="o",
        ms=5.5,
        lw=1.6,
        capsize=0,
        **style,
    )


def by_category(
    table: pd.DataFrame,
    styles: dict[str, str],
    xlabel: str = TOP,
    gain: pd.DataFrame | None = None,
    shares: pd.DataFrame | None = None,
) -> Figure:
    """Points with intervals, a row a category, a colour an encoder.

    table: `report.tops` of one layer; gain: `statistics.change` between two of the encoders, drawn
    beside it; shares: `report.significant`, at the right.
    """
    categories = present(table)
    widths = [2, *(1 for part in (gain, shares) if part is not None)]
    figure, axes = plt.subplots(
        1,
        len(widths),
        figsize=(WIDTH, 0.36 * len(categories) + 1.4),
        sharey=True,
        squeeze=False,
        width_ratios=widths,
    )
    left, right = axes[0, 0], axes[0, -1]
    y = np.arange(len(categories))[::-1]
    offsets = np.linspace(0.16, -0.16, len(styles)) if len(styles) > 1 else [0]
    for (encoder, colour), offset in zip(styles.items(), offsets, strict=True):
        chosen = table[table["encoder"] == encoder].set_index("category").reindex(categories)
        _ranges(left, chosen, y + offset, "mean", color=colour, label=encoder)
        if shares is not None:
            share = shares[shares["encoder"] == encoder].set_index("category")["share"]
            right.barh(y + offset, 100 * share.reindex(categories), height=0.3, color=colour)
    left.set_yticks(y, [label(c) for c in categories])
    left.set_xlabel(xlabel)
    if gain is not None:
        paired = gain.set_index("category").reindex(categories)
        _ranges(axes[0, 1], paired, y, "difference", color="0.25")
        axes[0, 1].set_xlabel("their difference")
    for axis in axes[0, : 1 + (gain is not None)]:
        axis.axvline(0, color="0.7", lw=0.8, zorder=0)
        axis.grid(axis="y", color="0.92")
    if shares is not None:
        right.set_xlabel("units significantly\nselective (%)")
        right.set_xlim(0, 100)
    legend(figure, left)
    return figure


def counts(table: pd.DataFrame, styles: dict[str, str], threshold: float) -> Figure:
    """How many units exceed T, with T swept: a panel a category, a line an encoder.

    table: `report.counts`; `threshold`, the T that the text is about, is marked.
    """
    categories = present(table, "units")
    figure, axes = _panels(categories)
    for axis, category in zip(axes, categories, strict=True):
        for encoder, colour in styles.items():
            chosen = table[(table["category"] == category) & (table["encoder"] == encoder)]
            share = 100 * chosen["share"]
            axis.plot(chosen["threshold"], share, color=colour, lw=1.8, label=encoder)
        axis.axvline(threshold, color="0.5", lw=1, ls=":")
    reached = table.loc[table["units"] > 0, "threshold"].max()
    axes[0].set_xlim(0, max(threshold, reached) + 0.25)
    figure.supxlabel("threshold T on region NSS", fontsize=10.5)
    figure.supylabel("units above T (%)", fontsize=10.5)
    legend(figure, axes[0])
    return figure


def styles(names: Sequence[str]) -> dict[str, str]:
    """Return the colours of encoders, by their names in a `Study`."""
    known = {
        "pre-trained": BEFORE,
        "fine-tuned": AFTER,
        "untrained": CONTROL,
        "scenes": CLASSICAL,
    }
    return {name: known.get(name, "0.3") for name in names}
