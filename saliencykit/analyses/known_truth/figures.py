"""Figures about worlds of known truth: what was planted, what is found, and how surely."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ...dissection import singles
from ...intervals import RATE
from ...viewing.plots import (
    by_root,
    doubling,
    faint,
    level,
    name_ends,
    offsets,
    only,
    panels,
    points,
    row_panels,
    unique,
)
from ...viewing.style import AFTER, BEFORE, CONTROL, MARKS, WIDTH, label, legend
from ...worlds import FLAT

MEANT = 0.07  # of worlds may alarm where `RATE` is promised
LOOKS = ("#0072B2", "#56B4E9", "#E69F00", "#D55E00", CONTROL)


def dose(table: pd.DataFrame) -> Figure:
    """By how much the favoured category lies above a world that favours nothing, by its weight.

    A panel a number, a line a category; small marks are single trainings. table:
    `KnownTruth.recovered`.
    """
    numbers, names = unique(table, "number"), [c for c in unique(table, "favoured") if c]
    factors = sorted(table["factor"].unique())
    x, y = "planted weight of the favoured category (all others 1)", "above a world that\n"
    y += "favours nothing (% of people's)"
    figure, axes = panels(numbers, x, y, tall=3.0)
    for axis, number in zip(axes, numbers, strict=True):
        own = only(table, number=number)
        hues = sns.color_palette("colorblind", len(names))
        ends = {}
        looks = zip(names, hues, MARKS, offsets(len(names), 0.2), strict=False)
        for name, colour, mark, shift in looks:
            shown = only(own, category=name)
            shown = shown[shown["favoured"].isin(["", name])].sort_values("factor")
            at = shown["factor"] * 2**shift
            each = singles(shown)
            for column in each:
                axis.plot(at * 2**0.03, each[column], "_", color=colour, ms=5, alpha=0.5)
            look = {"mark": mark, "size": 4.5, "line": 1.4, "upright": True}
            points(axis, shown, at, "value", colour, label(name), **look)
            ends |= {label(name): value for value in shown["value"][-1:]}
        level(axis)
        doubling(axis, factors)
        axis.yaxis.set_major_formatter(PercentFormatter(1))
        name_ends(axis, ends, dict(zip(map(label, names), hues, strict=True)))
    return figure


def flip(table: pd.DataFrame, worlds: Sequence[str]) -> Figure:
    """By how much the first of a pair lies above the second, in two worlds: the sign flips.

    By itself also in the world that favours nothing.

    table: `KnownTruth.flipped`.
    """
    numbers, controls = unique(table, "number"), unique(table, "control")
    what = " minus ".join(label(table[k].iloc[0]) for k in ("first", "second"))
    labels = [f"{what} (% of people's)"] * len(controls)
    figure, axes, y = row_panels(numbers, labels, text=str)
    for axis, control in zip(axes, controls, strict=True):
        looks = zip(
            [*worlds, str(FLAT)], (AFTER, BEFORE, CONTROL), (0.24, -0.02, -0.28), strict=True
        )
        for world, colour, shift in looks:
            chosen = only(table, world=world, control=control).set_index("number")
            at = y[chosen.index] + shift
            faint(axis, singles(chosen), at, colour)
            points(axis, chosen, at, "value", colour, f"observers favour {label(world)}")
        axis.set_title(control)
        axis.xaxis.set_major_formatter(PercentFormatter(1))
    return legend(figure, axes[0])


def alarms(table: pd.DataFrame) -> Figure:
    """How often intervals that promise 95 % are wrong, a panel a test, by number of trainings.

    table: `KnownTruth.alarms`.
    """
    kinds = list(dict.fromkeys(zip(table["test"], table["number"], strict=True)))
    titles = [f"{test}\n({number})" for test, number in kinds]
    figure, axes = panels(
        titles, "trainings in a group", "wrong in a category\n(% of worlds, root scale)", 3
    )
    figure.set_size_inches(WIDTH, 5.2)
    sizes = sorted(table["trainings"].unique())
    for axis, (test, number) in zip(axes, kinds, strict=True):
        shown = only(table, test=test, number=number)
        points(axis, shown, [sizes.index(s) for s in shown["trainings"]], "share", BEFORE,
               upright=True)  # fmt: skip
        axis.axhline(RATE, color=AFTER, lw=1.2, ls="--", label=f"promised, {RATE:.0%}")
        axis.axhline(MEANT, color=CONTROL, lw=1.2, ls=":", label=f"borne, {MEANT:.0%}")
        axis.set_xticks(range(len(sizes)), sizes)
        by_root(axis, [0, 0.05, 0.2, 0.5, 1], "{:.0%}")
        axis.set_ylim(0, 1.05)
    return legend(figure, axes[0])


def power(needed: pd.DataFrame, planted: pd.DataFrame) -> Figure:
    """How large a difference is found, by trainings and images; at the right what was planted.

    Lines: median over categories, half of which lie in the shade. needed: `KnownTruth.needed`;
    planted: `KnownTruth.recovered`, of which each world's favoured category is marked.
    """
    numbers, images = unique(needed, "number"), sorted(needed["images"].unique())
    sizes = sorted(needed["trainings"].unique())
    y = "smallest difference found\n(% of people's)"
    figure, axes = panels(numbers, "trainings of each world", y, tall=3.4)
    hues = sns.color_palette("viridis_r", len(images))
    for axis, number in zip(axes, numbers, strict=True):
        for n, hue, mark in zip(images, hues, MARKS, strict=False):
            by = only(needed, number=number, images=n).groupby("trainings")["value"]
            half, low, high = (by.quantile(q).to_numpy() for q in (0.5, 0.25, 0.75))
            axis.fill_between(sizes, low, high, color=hue, alpha=0.15, lw=0)
            axis.plot(sizes, half, f"{mark}-", color=hue, ms=4, label=f"{n} images")
        doubling(axis, sizes)
        axis.set_yscale("log")
        axis.set_yticks(ticks := [0.05, 0.1, 0.2, 0.5, 1.0, 2.0], [f"{t:.0%}" for t in ticks])
        axis.minorticks_off()
        own = only(planted, number=number)
        own = own[(own["category"] == own["favoured"]) & (own["value"] > 0.02)]
        marked = {label(world): value for world, value in own[["world", "value"]].to_numpy()}
        at = axis.get_yaxis_transform()
        axis.hlines(list(marked.values()), 0.97, 1.01, AFTER, lw=1.6, transform=at, clip_on=False)
        name_ends(axis, marked, dict.fromkeys(marked, AFTER))
    return legend(figure, axes[0])


def order(table: pd.DataFrame) -> Figure:
    """The default world: rank correlation with the twelve weights, by number of trainings.

    table: `DefaultWorld.order`. Small marks are single trainings.
    """
    sizes, measures = sorted(table["together"].unique()), unique(table, "measure")
    what = ["rank correlation with\nthe planted weights"] * len(sizes)
    figure, axes, y = row_panels(measures, what, sharex=True, text=str)
    for axis, s in zip(axes, sizes, strict=True):
        axis.set_title("one training" if s == 1 else f"{s} trainings together")
        shown = only(table, together=s).set_index("measure").loc[measures]
        points(axis, shown, y, "value", BEFORE)
        if s == 1:
            faint(axis, singles(shown), y, BEFORE)
        axis.set_xlim(min(-0.1, float(np.nanmin(table["low"])) - 0.05), 1.02)
    return figure
