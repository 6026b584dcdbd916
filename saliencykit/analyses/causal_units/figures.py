"""Figures about ablated units: what is lost with them, and what they carry."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ...viewing.plots import matrix as differences
from ...viewing.style import AFTER, BEFORE, CLASSICAL, CONTROL, WIDTH, label, legend
from .tables import ALL

UNITS = {"named": AFTER, "matched": BEFORE, "random": CONTROL}
CHANGE = "change of region NSS"
LEGEND = {"fontsize": 9, "columnspacing": 1.2}


def matrix(table: pd.DataFrame) -> Figure:
    """Matrix: what each row's units do to each column's regions, beyond the row's controls.

    table: `ablation_matrix`; a cell whose interval excludes 0 shows its number. Categories without
    a number of their own are left out.
    """
    own = table[(table["first"] == table["second"]) & table["value"].notna()]
    names = own["first"].tolist()
    shown = table[table["first"].isin(names) & table["second"].isin(names)]
    decided = (shown["low"] > 0) | (shown["high"] < 0)
    figure = differences(shown, decided, f"{CHANGE}\nbeyond matched units", names, digits=2)
    figure.axes[0].set_xlabel("regions scored")
    figure.axes[0].set_ylabel("units ablated: those named for")
    return figure


def specificity(table: pd.DataFrame) -> Figure:
    """What own and other regions lose (left, middle), and own − others beyond matched units.

    table: `losses_by` over "way", the main ablation first; the right panel shows all of them, the
    first with full dots.
    """
    ways = list(dict.fromkeys(table["way"]))
    figure, axes, y = _rows(table, 3, per_row=0.4)
    main = table[table["way"] == ways[0]]
    for axis, where in zip(axes, ("own", "others"), strict=False):
        present = [u for u in UNITS if u in set(main["units"])]
        for units, offset in zip(present, _offsets(len(present)), strict=True):
            chosen = main[(main["units"] == units) & (main["where"] == where)]
            _points(axis, chosen, y, offset, color=UNITS[units], label=f"{units} units")
    axes[0].set_xlabel(f"own regions:\n{CHANGE}")
    axes[1].set_xlabel(f"others' regions:\n{CHANGE}")
    axes[1].set_xlim(axes[0].get_xlim())
    beyond = table[(table["units"] == "beyond matched") & (table["where"] == "difference")]
    fills = ["0.2", "white", CLASSICAL]
    for way, fill, offset in zip(ways, fills, _offsets(len(ways)), strict=False):
        chosen = beyond[beyond["way"] == way]
        _points(axes[2], chosen, y, offset, color="0.2", mfc=fill, label=way)
    axes[2].set_xlabel("own − others,\nbeyond matched units")
    legend(figure, axes[0], "left", **LEGEND)
    legend(figure, axes[2], **LEGEND)
    return figure


def dose(table: pd.DataFrame, columns: int = 4) -> Figure:
    """A panel a category: the change against the number of ablated units, with intervals.

    table: `losses_by` over "k".
    """
    names = [ALL, *(c for c in dict.fromkeys(table["category"]) if c != ALL)]
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, 1.75 * rows + 0.8), sharex=True, sharey=True, squeeze=False
    )
    lines = [
        ("named", "own", AFTER, "-", "named units, own regions"),
        ("named", "others", AFTER, ":", "named units, others' regions"),
        ("random", "own", "0.45", "--", "random units, own regions"),
    ]
    doses = sorted(set(table["k"]))
    for axis, name in zip(axes.flat, names, strict=False):
        for units, where, colour, dash, text in lines:
            line = table[(table["units"] == units) & (table["where"] == where)]
            line = line[line["category"] == name].set_index("k").reindex(doses)
            axis.fill_between(doses, line["low"], line["high"], color=colour, alpha=0.15, lw=0)
            axis.plot(doses, line["value"], color=colour, ls=dash, lw=1.8, label=text)
        axis.set_title(label(name), fontsize=10.5)
        axis.axhline(0, color="0.75", lw=0.8, zorder=0)
        axis.set_xscale("log")
        axis.set_xticks(doses, [str(k) for k in doses])
        axis.minorticks_off()
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    for axis in axes.flat[max(0, len(names) - columns) : len(names)]:
        axis.tick_params(labelbottom=True)
    figure.supxlabel("units ablated", fontsize=10.5)
    figure.supylabel(CHANGE, fontsize=10.5)
    legend(figure, axes.flat[0], **LEGEND)
    return figure


def contributions(table: pd.DataFrame) -> Figure:
    """Left: region NSS that the named units carry, and their fair share. Right: rank correlation.

    table: `carried`.
    """
    figure, axes, y = _rows(table, 2)
    wide = table.pivot(index="category", columns="what", values="value")
    for what, colour, text, offset in (
        ("carried", AFTER, "named units", 0.13),
        ("fair", CONTROL, "as many units of the layer on average", -0.13),
    ):
        chosen = table[table["what"] == what]
        _points(axes[0], chosen, y, offset, color=colour, label=text)
    for name, place in y.items():
        whole, part = wide.loc[name, ["map", "carried"]]
        note = f"{100 * part / whole:.0f} % of {whole:.2f}" if whole > 0 else f"of {whole:.2f}"
        transform = axes[0].get_yaxis_transform()
        axes[0].text(1.01, place, note, transform=transform, va="center", fontsize=8.5)
    axes[0].set_xlabel("region NSS of the map, the part that units carry")
    rho = table[table["what"] == "rho"]
    _points(axes[1], rho, y, 0, color="0.2")
    axes[1].set_xlabel("Spearman's ρ over units:\nselectivity and contribution")
    legend(figure, axes[0], **LEGEND)
    return figure


def agreement(table: pd.DataFrame) -> Figure:
    """Left: rank correlation of IoU and region NSS. Right: units whose best category it is.

    table: `method_agreement`.
    """
    figure, axes, y = _rows(table, 2)
    _points(axes[0], table.rename(columns={"rho": "value"}), y, 0, color="0.2")
    axes[0].set_xlabel("Spearman's ρ over units:\nIoU and region NSS")
    place = table["category"].map(y)
    axes[1].barh(place + 0.17, table["by_nss"], 0.3, color=BEFORE, label="best by region NSS")
    axes[1].barh(place - 0.17, table["by_iou"], 0.3, color=CLASSICAL, label="best by IoU")
    axes[1].plot(
        table["by_both"], place, "D", ms=5, color="0.15", ls="", clip_on=False, label="by both"
    )
    axes[1].set_xlabel("units whose best category it is")
    legend(figure, axes[1], **LEGEND)
    return figure


def _rows(
    table: pd.DataFrame, panels: int, per_row: float = 0.36
) -> tuple[Figure, np.ndarray, dict[str, float]]:
    """A row a category, `ALL` apart at the bottom; returns each category's height."""
    names = list(dict.fromkeys(table["category"]))
    y = {name: float(len(names) - i) for i, name in enumerate(names)}
    if ALL in y:
        y[ALL] = 0.6
    figure, axes = plt.subplots(
        1, panels, figsize=(WIDTH, per_row * len(names) + 1.5), sharey=True, squeeze=False
    )
    for axis in axes[0]:
        axis.axvline(0, color="0.7", lw=0.8, zorder=0)
        axis.grid(axis="y", color="0.92")
        axis.xaxis.set_major_locator(MaxNLocator(5))
    axes[0, 0].set_yticks(list(y.values()), [label(name) for name in y])
    return figure, axes[0], y


def _points(
    axis: Axes, table: pd.DataFrame, y: dict[str, float], offset: float, **style: object
) -> None:
    """Points with intervals (value, low, high) at each category's height."""
    reach = [table["value"] - table["low"], table["high"] - table["value"]]
    place = table["category"].map(y) + offset
    axis.errorbar(
        table["value"], place, xerr=np.clip(reach, 0, None), fmt="o", ms=4.5, lw=1.5, **style
    )


def _offsets(n: int) -> np.ndarray:
    return np.linspace(0.22, -0.22, n) if n > 1 else np.zeros(1)
