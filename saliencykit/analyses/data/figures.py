"""Figures about data sets: stimuli, cut-outs of regions, what draws the eye."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from ...datasets import SaliencyDataset
from ...evaluation import ObserverCurve
from ...intervals import interval
from ...metrics import METRICS
from ...viewing.pictures import Picture, as_picture, fit, gallery, stimulus, title_of
from ...viewing.plots import beside, doubling, only, panels, points, row_panels
from ...viewing.style import BEFORE, HUMAN, WIDTH, label, legend, look_of
from .tables import scale


def sheet(data: SaliencyDataset, columns: int = 3, rows: int = 3) -> Figure:
    """Stimuli with their regions and fixations; each scene class once before any comes twice."""
    by_scene: dict[object, list[int]] = {}
    for i in range(len(data)):
        by_scene.setdefault(data.scene(i), []).append(i)
    turns = [i for turn in zip_longest(*by_scene.values()) for i in turn if i is not None]
    chosen = turns[: columns * rows]
    chosen = chosen[: max(1, len(chosen) // columns) * columns]
    pictures = [stimulus(data, i) for i in chosen]
    height = min(p.shape[0] for p in pictures)
    pictures = [fit(p, height) for p in pictures]
    notes = [title_of(data, i) for i in chosen]
    starts = range(0, len(chosen), columns)
    lines, under = ([of[k : k + columns] for k in starts] for of in (pictures, notes))
    return gallery(lines, notes=under)


def category_sheet(
    data: SaliencyDataset, columns: int = 9, side: int = 96
) -> tuple[Figure, pd.DataFrame]:
    """Cut-outs of regions, a row a category: what the names mean.

    Also returns how many regions of each category there are, and how many are sure.
    """
    found: dict[str, list[Picture]] = {c: [] for c in data.categories}
    for i in range(len(data)):
        if all(len(v) >= columns for v in found.values()):
            break
        wanted = [r for r in data.regions(i) if r.sure and len(found[r.category]) < columns]
        if not wanted:
            continue
        image = as_picture(data.image(i))
        seen: set[str] = set()
        for region in wanted:
            ys, xs = np.nonzero(region.as_mask(*image.shape[:2]).numpy())
            if region.category in seen or len(ys) < 60:
                continue
            seen.add(region.category)
            found[region.category].append(_cut(image, ys, xs, side))
    rows = {c: v for c, v in found.items() if v}
    every = [(r.category, r.sure) for i in range(len(data)) for r in data.regions(i)]
    sure = pd.DataFrame(every, columns=["category", "sure"]).groupby("category", sort=False)["sure"]
    table = sure.agg(regions="size", sure="sum").reindex(list(rows)).reset_index()
    if not rows:
        return _unknown(data.name), table
    names = [label(c) for c in rows]
    return gallery(list(rows.values()), labels=names, columns=columns), table


def _unknown(name: str) -> Figure:
    """A line instead of a figure about categories, of data that have none."""
    figure = plt.figure(figsize=(WIDTH, 0.6))
    figure.text(
        0.5, 0.5, f"no regions of {name} large enough to be shown", ha="center", va="center"
    )
    return figure


def _cut(image: Picture, ys: np.ndarray, xs: np.ndarray, side: int) -> Picture:
    half = int(max(np.ptp(ys), np.ptp(xs)) * 0.65) + 4
    cy, cx = int(ys.min() + ys.max()) // 2, int(xs.min() + xs.max()) // 2
    padded = np.pad(image, ((half, half), (half, half), (0, 0)), mode="edge")
    square = padded[cy : cy + 2 * half, cx : cx + 2 * half]
    return np.array(Image.fromarray(square).resize((side, side), Image.Resampling.LANCZOS))


def attraction(table: pd.DataFrame) -> Figure:
    """Fixations per pixel of each category, compared within images, with intervals over images.

    Planted weights, where they are known, are open marks. table: `tables.attraction`.
    """
    if table.empty:
        return _unknown("these data")
    ranked = table.sort_values("value", ascending=False)
    what = f"fixations per pixel, compared within images (1: {scale(table)})"
    figure, (axis,), y = row_panels(ranked["category"], [what], against=1)
    points(axis, ranked, y, "value", BEFORE, "found")
    if ranked["planted"].notna().any():
        look = {"marker": "D", "ms": 7, "mfc": "none", "ls": "", "color": "0.3"}
        axis.plot(ranked["planted"], y, label="planted", **look)
        axis.legend(loc="lower right")
    beside(axis, y, [f"{n} regions" if n else "" for n in ranked["regions"]])
    axis.set_xlim(left=0)
    return figure


def ceilings(scores: pd.DataFrame, metrics: Sequence[str] = ("nss", "auc")) -> Figure:
    """Histograms over images of what people and the centre prior score."""
    figure, axes = panels(
        [""] * len(metrics), "", "images", None, tall=2.4, sharex=False, sharey=False
    )
    for axis, metric in zip(axes, metrics, strict=True):
        chosen = only(scores, metric=metric)
        bins = np.histogram_bin_edges(chosen["value"].dropna(), 30)
        for model, group in chosen.groupby("model", sort=False):
            colour = look_of(model).colour
            mean, low, high = interval(group["value"])
            axis.hist(group["value"].dropna(), bins, color=colour, alpha=0.55, label=model)
            axis.axvline(mean, color=colour, lw=2)
            axis.axvspan(low, high, color=colour, alpha=0.25, lw=0)
        axis.set_xlabel(METRICS[metric].label)
    axes[0].legend()
    return figure


def observers(curves: Mapping[str, ObserverCurve]) -> tuple[Figure, pd.DataFrame]:
    """How well n observers predict another, a panel a metric, extrapolated to infinitely many.

    The band at the right is the limit's 95 % interval, where it is determined. Also returns the
    numbers: metric, n, mean, low, high, fitted.
    """
    x, none = "observers who predict one more", [""] * len(curves)
    figure, axes = panels(none, x, "", None, tall=2.4, sharex=False, sharey=False)
    for axis, (metric, curve) in zip(axes, curves.items(), strict=True):
        seen = curve.table[np.isfinite(curve.table["n"])]
        points(axis, seen, seen["n"], "mean", HUMAN, upright=True)
        n = np.geomspace(1, 8 * seen["n"].max(), 100)
        axis.plot(n, [curve.law(k) for k in n], color=HUMAN, lw=1.3)
        if curve.law.determined:
            axis.axhspan(curve.law.low, curve.law.high, color=HUMAN, alpha=0.15, lw=0)
            axis.axhline(curve.law.limit, color=HUMAN, lw=1.2, ls=":", label="infinitely many")
        doubling(axis, 2 ** np.arange(0, np.log2(n[-1]), 2))
        axis.set_ylabel(f"{METRICS[metric].label}, {METRICS[metric].unit}")
    if any(curve.law.determined for curve in curves.values()):
        legend(figure, next(axis for axis in axes if axis.get_legend_handles_labels()[1]))
    tables = [curve.table.assign(metric=metric) for metric, curve in curves.items()]
    columns = ["metric", "n", "mean", "low", "high", "fitted"]
    return figure, pd.concat(tables, ignore_index=True)[columns]
