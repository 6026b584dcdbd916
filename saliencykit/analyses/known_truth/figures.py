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
from ...viewing.style import AFTER, BEFORE, CONTROL, WIDTH, colours, label
from ...worlds import NOTHING
from .tables import CONTROLS

MEASURES = {"before": "without a control", "flat": "beyond the control"}
HUES = {"before": CONTROL, "flat": BEFORE}
LINES = ["o", "s", "D", "^", "v", "P", "X"]


def layer_name(layer: str) -> str:
    """Return what a panel or row is called: a layer's ten best units, or the map."""
    return "the map" if layer == MAP else f"units of {layer}"


def _span(table: pd.DataFrame, value: str = "value") -> np.ndarray:
    """Return the lengths (2, n) of intervals below and above the values."""
    low, high = table[value] - table["low"], table["high"] - table[value]
    return np.stack([low, high]).clip(min=0)


def dots(
    axis: Axes, table: pd.DataFrame, y: np.ndarray, value: str = "value", **style: object
) -> None:
    """Draw values with their intervals, one at each height `y`."""
    axis.errorbar(table[value], y, xerr=_span(table, value), fmt="o", ms=5.5, lw=1.6, **style)


def dose(table: pd.DataFrame, correlations: pd.DataFrame) -> Figure:
    """Advantage of the favoured category against how much it is favoured, a line a category.

    A row of panels a control, a column a layer. table: `Recovery.table`; correlations:
    `Recovery.dose`.
    """
    layers = list(dict.fromkeys(correlations["layer"]))
    names = [c for c in dict.fromkeys(table["favoured"]) if c]
    figure, axes = plt.subplots(
        2, len(layers), figsize=(WIDTH, 5.2), sharex=True, sharey="row", squeeze=False
    )
    told = correlations.set_index(["control", "layer"])
    for (i, control), (j, layer) in (
        (a, b) for a in enumerate(CONTROLS) for b in enumerate(layers)
    ):
        chosen = table[(table["layer"] == layer) & (table["control"] == control)]
        for name, colour, mark in zip(names, colours(names), LINES * 3, strict=False):
            own = chosen[(chosen["category"] == name) & chosen["favoured"].isin(["", name])]
            own = own[own["world"].isin([str(NOTHING), *own.loc[own["favoured"] == name, "world"]])]
            own = own.sort_values("factor")
            axes[i, j].errorbar(
                own["factor"], own["value"], _span(own), marker=mark, ms=4.5, lw=1.5,
                color=colour, label=label(name),
            )  # fmt: skip
        row = told.loc[(control, layer)]
        note = f"ρ = {row['rho']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        axes[i, j].set_title(f"{layer_name(layer) if i == 0 else ''}\n{note}".strip(), fontsize=9.5)
        axes[i, j].axhline(0, color="0.7", lw=0.8, zorder=0)
    for axis in axes[-1]:
        factors = sorted(table.loc[table["favoured"].isin(["", *names]), "factor"].unique())
        axis.set_xscale("log", base=2)
        axis.set_xticks(factors, [f"{f:g}" for f in factors])
    for axis, control in zip(axes[:, 0], CONTROLS, strict=True):
        axis.set_ylabel(f"advantage (region NSS),\n{MEASURES[control]}", fontsize=9.5)
    figure.supxlabel("planted weight of the favoured category (all others 1)", fontsize=10.5)
    handles, texts = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside upper right", ncols=len(names))
    return figure


def flip(table: pd.DataFrame, worlds: Sequence[str]) -> Figure:
    """By how much the first of a pair gained more than the second, in two worlds: the sign flips.

    table: `Recovery.favouring`.
    """
    layers = list(dict.fromkeys(table["layer"]))[::-1]
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 0.55 * len(layers) + 1.4), sharey=True)
    y = np.arange(len(layers))
    for axis, control in zip(axes, CONTROLS, strict=True):
        for world, colour, shift in zip(worlds, (AFTER, BEFORE), (0.12, -0.12), strict=True):
            chosen = table[(table["world"] == world) & (table["control"] == control)]
            chosen = chosen.set_index("layer").loc[layers]
            dots(axis, chosen, y + shift, color=colour, label=f"observers favour {label(world)}")
        axis.axvline(0, color="0.6", lw=1, ls=":")
        axis.set_title(MEASURES[control], fontsize=10)
        axis.set_yticks(y, [layer_name(layer) for layer in layers])
        axis.grid(axis="y", color="0.92")
        first, second = (label(table[k].iloc[0]) for k in ("first", "second"))
        axis.set_xlabel(f"{first} minus {second} (region NSS)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure


def order(correlations: pd.DataFrame, layered: pd.DataFrame) -> Figure:
    """The default world: rank correlation by measure, and what each layer adds to the map.

    correlations: `Recovery.order`; layered: `evaluation.truth.by_layer`.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 4.3), width_ratios=[1, 1.35])
    layers = list(dict.fromkeys(correlations["layer"]))[::-1]
    y = np.arange(len(layers))
    for control, shift in zip(CONTROLS, (0.12, -0.12), strict=True):
        chosen = correlations[correlations["control"] == control].set_index("layer").loc[layers]
        hue, text = HUES[control], MEASURES[control]
        dots(left, chosen, y + shift, "rho", color=hue, label=text)
    left.set_yticks(y, [layer_name(layer).replace(" of ", "\nof ") for layer in layers])
    left.axvline(0, color="0.6", lw=1, ls=":")
    left.set_xlabel("rank correlation with planted weights")
    left.set_xlim(min(-0.3, float(correlations["low"].min()) - 0.05), 1.02)
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    _stacked(right, layered)
    return figure


def _stacked(axis: Axes, layered: pd.DataFrame) -> None:
    """Bars of contributions by layer, a row a category, most planted on top."""
    wide = layered.pivot(index="category", columns="layer", values="value")
    planted = layered.drop_duplicates("category").set_index("category")["planted"]
    names = planted.sort_values(kind="stable").index
    layers = list(dict.fromkeys(layered["layer"]))
    ends = {1: np.zeros(len(names)), -1: np.zeros(len(names))}
    for layer, colour in zip(layers, sns.color_palette("cividis", len(layers)), strict=True):
        values = wide.loc[names, layer].fillna(0).to_numpy()
        left = np.where(values >= 0, ends[1], ends[-1])
        axis.barh(range(len(names)), values, left=left, color=colour, label=layer, height=0.7)
        ends[1], ends[-1] = ends[1] + values.clip(min=0), ends[-1] + values.clip(max=0)
    axis.set_yticks(range(len(names)), [f"{label(n)} ({planted[n]:g})" for n in names])
    axis.axvline(0, color="0.6", lw=1)
    axis.set_xlabel("region NSS of the map, by layer read")
    axis.legend(loc="lower right", fontsize=9)


def alarms(table: pd.DataFrame) -> Figure:
    """How often a category is found where nothing is favoured: a row a measure, a colour a test.

    table: `evaluation.truth.alarm_table`.
    """
    rows = table["networks"] + ": " + table["layer"].map(layer_name) + ", "
    rows += table["control"].map(MEASURES)
    names = list(dict.fromkeys(rows))[::-1]
    figure, axis = plt.subplots(figsize=(WIDTH, 0.33 * len(names) + 1.4))
    tests = {
        "images": ("resampling images", CONTROL, 0.13),
        "networks": ("retraining", BEFORE, -0.13),
    }
    for by, (text, hue, shift) in tests.items():
        chosen = 100 * table.loc[table["by"] == by, ["share", "low", "high"]]
        y = np.array([names.index(row) + shift for row in rows[chosen.index]])
        dots(axis, chosen, y, "share", color=hue, label=f"tested by {text}")
    axis.axvline(100 * RATE, color=AFTER, lw=1.2, ls="--")
    axis.set_yticks(range(len(names)), names, fontsize=9)
    axis.set_xlim(-2, 102)
    axis.set_xlabel(f"categories found (%); the rate aimed at, {100 * RATE:.0f} %, is dashed")
    axis.grid(axis="y", color="0.92")
    figure.legend(loc="outside upper right", ncols=2)
    return figure


def power(found: pd.DataFrame, nothing: pd.DataFrame) -> Figure:
    """Share of planted worlds in which the favoured category is found, against the images used.

    A line a number of dissected images; dotted: found although nothing is favoured. found:
    `evaluation.truth.power`, nothing: `false_alarms`, both with a column `by`.
    """
    panels = {
        "comes first": (found[(found["what"] == "first") & (found["by"] == "images")], None),
        "found, resampling images": _of(found, nothing, "images"),
        "found, retraining": _of(found, nothing, "networks"),
    }
    sizes = sorted(found["dissected"].unique())
    figure, axes = plt.subplots(1, len(panels), figsize=(WIDTH, 3.5), sharey=True)
    hues = dict(zip(sizes, sns.color_palette("cividis_r", len(sizes) + 1)[1:], strict=True))
    for axis, (title, (shown, null)) in zip(axes, panels.items(), strict=True):
        for k, (size, hue) in enumerate(hues.items()):
            one = shown[shown["dissected"] == size].sort_values("training")
            x = one["training"] * 1.04 ** (k - len(hues) / 2)  # side by side
            axis.errorbar(
                x, 100 * one["share"], 100 * _span(one, "share"), marker="o", ms=4, lw=1.5,
                color=hue, label=f"{size} dissected",
            )  # fmt: skip
            if null is not None:
                one = null[null["dissected"] == size].sort_values("training")
                axis.plot(one["training"], 100 * one["share"], ls=":", lw=1.6, color=hue)
        ticks = sorted(found["training"].unique())
        axis.set_xscale("log", base=2)
        axis.set_xticks(ticks, [f"{n}" for n in ticks])
        axis.minorticks_off()
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("training images")
        axis.set_ylim(-3, 105)
    axes[0].set_ylabel("worlds (%)")
    axes[-1].plot([], [], ls=":", color="0.4", label="false alarms")
    handles, texts = axes[-1].get_legend_handles_labels()
    order = sorted(range(len(texts)), key=lambda k: texts[k] == "false alarms")
    figure.legend([handles[k] for k in order], [texts[k] for k in order],
                  loc="outside upper right", ncols=len(texts))  # fmt: skip
    return figure


def _of(found: pd.DataFrame, nothing: pd.DataFrame, by: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    chosen = found[(found["what"] == "found") & (found["by"] == by)]
    return chosen, nothing[nothing["by"] == by]
