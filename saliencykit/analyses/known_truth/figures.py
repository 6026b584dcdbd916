"""Figures about a world of known truth: what was planted, what an analysis finds of it."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...dissection.readout_maps import MAP
from ...intervals import RATE
from ...viewing.plots import doubling, level, name_rows, only, panels, points, row_panels, unique
from ...viewing.style import AFTER, BEFORE, CONTROL, MARKS, WIDTH, colours, label, legend
from ...worlds import NOTHING
from .tables import CONTROLS

MEASURES = {"before": "without a control", "flat": "beyond the control"}
HUES = {"before": CONTROL, "flat": BEFORE}
SHIFTS = (0.12, -0.12)  # of two points in a row


def layer_name(layer: str) -> str:
    """Return what a panel or row is called: a layer's ten best units, or the map."""
    return "the map" if layer == MAP else f"units of {layer}"


def dose(table: pd.DataFrame, correlations: pd.DataFrame) -> Figure:
    """Advantage of the favoured category against how much it is favoured, a line a category.

    A row of panels a control, a column a layer. table: `Recovery.table`; correlations:
    `Recovery.dose`.
    """
    layers, names = unique(correlations, "layer"), [c for c in unique(table, "favoured") if c]
    notes = [
        f"{layer_name(layer) if control == CONTROLS[0] else ''}\n"
        f"ρ = {found['rho'].item():.2f} [{found['low'].item():.2f}, {found['high'].item():.2f}]"
        for control in CONTROLS
        for layer in layers
        for found in [only(correlations, control=control, layer=layer)]
    ]
    x = "planted weight of the favoured category (all others 1)"
    titles = [note.strip() for note in notes]
    figure, axes = panels(titles, x, "", len(layers), tall=2.3, sharey="row")
    factors = sorted(table.loc[table["favoured"].isin(["", *names]), "factor"].unique())
    for k, axis in enumerate(axes):
        control, layer = CONTROLS[k // len(layers)], layers[k % len(layers)]
        for name, colour, mark in zip(names, colours(names), MARKS * 3, strict=False):
            own = only(table, layer=layer, control=control, category=name)
            favoured = own[own["favoured"] == name]
            own = own[own["world"].isin([str(NOTHING), *favoured["world"]])].sort_values("factor")
            look = {"mark": mark, "size": 4.5, "line": 1.5, "upright": True}
            points(axis, own, own["factor"], "value", colour, label(name), **look)
        level(axis)
        doubling(axis, factors)
        if layer == layers[0]:
            axis.set_ylabel(f"advantage (region NSS),\n{MEASURES[control]}", fontsize=9.5)
    return legend(figure, axes[0])


def flip(table: pd.DataFrame, worlds: Sequence[str]) -> Figure:
    """By how much the first of a pair gained more than the second, in two worlds: the sign flips.

    table: `Recovery.favouring`.
    """
    layers = unique(table, "layer")
    what = " minus ".join(label(table[k].iloc[0]) for k in ("first", "second"))
    figure, axes, y = row_panels(layers, [f"{what} (region NSS)"] * 2, text=layer_name)
    for axis, control in zip(axes, CONTROLS, strict=True):
        for world, colour, shift in zip(worlds, (AFTER, BEFORE), SHIFTS, strict=True):
            chosen = only(table, world=world, control=control).set_index("layer").loc[layers]
            name = f"observers favour {label(world)}"
            points(axis, chosen, y + shift, "value", colour, name)
        axis.set_title(MEASURES[control])
    return legend(figure, axes[0])


def order(correlations: pd.DataFrame, layered: pd.DataFrame) -> Figure:
    """The default world: rank correlation by measure, and what each layer adds to the map.

    correlations: `Recovery.order`; layered: `tables.by_layer`.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 4.3), width_ratios=[1, 1.35])
    layers = unique(correlations, "layer")
    y = name_rows(left, layers, text=lambda n: layer_name(n).replace(" of ", "\nof "))
    for control, shift in zip(CONTROLS, SHIFTS, strict=True):
        chosen = only(correlations, control=control).set_index("layer").loc[layers]
        points(left, chosen, y + shift, "rho", HUES[control], MEASURES[control])
    level(left, upright=True)
    left.set_xlabel("rank correlation with planted weights")
    left.set_xlim(min(-0.3, float(correlations["low"].min()) - 0.05), 1.02)
    legend(figure, left, "left")
    _stacked(right, layered)
    return figure


def _stacked(axis: Axes, layered: pd.DataFrame) -> None:
    """Bars of contributions by layer, a row a category, most planted on top."""
    wide = layered.pivot(index="category", columns="layer", values="value")
    planted = layered.drop_duplicates("category").set_index("category")["planted"]
    names = planted.sort_values(kind="stable").index[::-1]
    y = name_rows(axis, names, text=lambda n: f"{label(n)} ({planted[n]:g})")
    layers = unique(layered, "layer")
    ends = {1: np.zeros(len(names)), -1: np.zeros(len(names))}
    for layer, colour in zip(layers, sns.color_palette("cividis", len(layers)), strict=True):
        values = wide.loc[names, layer].fillna(0).to_numpy()
        left = np.where(values >= 0, ends[1], ends[-1])
        axis.barh(y, values, left=left, color=colour, label=layer, height=0.7)
        ends[1], ends[-1] = ends[1] + values.clip(min=0), ends[-1] + values.clip(max=0)
    level(axis, upright=True)
    axis.set_xlabel("region NSS of the map, by layer read")
    axis.legend(loc="lower right", fontsize=9)


def alarms(table: pd.DataFrame) -> Figure:
    """How often a category is found where nothing is favoured: a row a measure, a colour a test.

    table: `tables.alarm_table`.
    """
    names = table["networks"] + ": " + table["layer"].map(layer_name) + ", "
    names += table["control"].map(MEASURES)
    what = f"categories found (%); the rate aimed at, {100 * RATE:.0f} %, is dashed"
    figure, (axis,), places = row_panels(names.unique(), [what], against=None, text=str)
    tests = {"images": ("resampling images", CONTROL), "networks": ("retraining", BEFORE)}
    for (by, (text, hue)), shift in zip(tests.items(), SHIFTS, strict=True):
        percent = 100 * only(table, by=by)[["share", "low", "high"]]
        y = names[percent.index].map(places) + shift
        points(axis, percent, y, "share", hue, f"tested by {text}")
    axis.axvline(100 * RATE, color=AFTER, lw=1.2, ls="--")
    axis.set_xlim(-2, 102)
    return legend(figure, axis)


def power(found: pd.DataFrame, nothing: pd.DataFrame) -> Figure:
    """Share of planted worlds in which the favoured category is found, against the images used.

    A line a number of dissected images; dotted: found although nothing is favoured. found:
    `tables.power`, nothing: `false_alarms`, both with a column `by`.
    """
    shown = {
        "comes first": only(found, what="first", by="images"),
        "found, resampling images": only(found, what="found", by="images"),
        "found, retraining": only(found, what="found", by="networks"),
    }
    quiet = [nothing.head(0), only(nothing, by="images"), only(nothing, by="networks")]
    sizes = sorted(found["dissected"].unique())
    figure, axes = panels(list(shown), "training images", "worlds (%)", None, tall=2.9)
    hues = sns.color_palette("cividis_r", len(sizes) + 1)[1:]
    for axis, seen, null in zip(axes, shown.values(), quiet, strict=True):
        for k, (size, hue) in enumerate(zip(sizes, hues, strict=True)):
            one = only(seen, dissected=size).sort_values("training")
            x = one["training"] * 1.04 ** (k - len(sizes) / 2)  # side by side
            percent, look = 100 * one[["share", "low", "high"]], {"upright": True, "line": 1.5}
            points(axis, percent, x, "share", hue, f"{size} dissected", size=4, **look)
            one = only(null, dissected=size).sort_values("training")
            axis.plot(one["training"], 100 * one["share"], ls=":", lw=1.6, color=hue)
        doubling(axis, sorted(found["training"].unique()))
        axis.set_ylim(-3, 105)
    axes[0].plot([], [], ls=":", color="0.4", label="false alarms")
    return legend(figure, axes[0])
