"""Figures about data sets: stimuli, cut-outs of regions, what draws the eye."""

from collections.abc import Sequence
from itertools import zip_longest

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from ..datasets import SaliencyDataset
from ..evaluation import interval
from .overlay import Picture, as_picture, fit, outline, with_fixations
from .style import BEFORE, PALETTE, WIDTH, colours, label

DPI = 100  # of sheets of pictures: their grain makes large files, and adds nothing


def gallery(
    rows: Sequence[Sequence[Picture]],
    titles: Sequence[str] = (),
    notes: Sequence[Sequence[str]] = (),
    labels: Sequence[str] = (),
    size: float = 8.5,
) -> Figure:
    """Pictures in rows and columns: `titles` over columns, `labels` left of rows, `notes` below."""
    columns = max(len(r) for r in rows)
    tall, wide = rows[0][0].shape[:2]
    margin = 1.15 if labels else 0.0
    height = (WIDTH - margin) / columns * tall / wide + (0.22 if notes else 0.04)
    figure, axes = plt.subplots(
        len(rows),
        columns,
        figsize=(WIDTH, height * len(rows) + (0.3 if titles else 0)),
        squeeze=False,
        layout="constrained",
        dpi=DPI,
    )
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.01, wspace=0, hspace=0)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_visible(False)
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            axes[r, c].imshow(picture, interpolation="lanczos")
            if notes:
                axes[r, c].set_xlabel(notes[r][c], fontsize=size, labelpad=1)
        if labels:
            axes[r, 0].set_ylabel(labels[r], fontsize=9, rotation=0, ha="right", va="center")
    for c, title in enumerate(titles):
        axes[0, c].set_title(title.replace(", ", "\n"), fontsize=9, loc="center")
    return figure


def poster(picture: Picture) -> Figure:
    """Return a figure that is just the picture, pixel for pixel as `save` writes it."""
    tall, wide = picture.shape[:2]
    figure = plt.figure(figsize=(wide / DPI, tall / DPI), dpi=DPI, layout="none")
    figure.figimage(picture)
    return figure


def stimulus(data: SaliencyDataset, i: int, regions: bool = True, looks: bool = True) -> Picture:
    """Draw stimulus i with its regions' outlines and its fixations."""
    picture = as_picture(data.image(i))
    if regions:
        picture = outline(picture, data.regions(i), _palette(data))
    return (
        with_fixations(picture, data.fixations(i).inside(*picture.shape[:2])) if looks else picture
    )


def _palette(data: SaliencyDataset) -> dict[str, tuple]:
    return dict(zip(data.categories, colours(data.categories), strict=True)) or PALETTE


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
    notes = [
        f"{data.names[i]}{f', {label(data.scene(i))}' if data.scene(i) else ''}" for i in chosen
    ]
    split = range(0, len(chosen), columns)
    return gallery(
        [pictures[k : k + columns] for k in split], (), [notes[k : k + columns] for k in split]
    )


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
    blank = np.full((side, side, 3), 255, np.uint8)
    pictures = [v + [blank] * (columns - len(v)) for v in rows.values()]
    every = [(r.category, r.sure) for i in range(len(data)) for r in data.regions(i)]
    table = pd.DataFrame(every, columns=["category", "sure"]).groupby("category", sort=False)[
        "sure"
    ]
    table = table.agg(regions="size", sure="sum").reindex(list(rows)).reset_index()
    return gallery(pictures, labels=[label(c) for c in rows]), table


def _cut(image: Picture, ys: np.ndarray, xs: np.ndarray, side: int) -> Picture:
    half = int(max(np.ptp(ys), np.ptp(xs)) * 0.65) + 4
    cy, cx = int(ys.min() + ys.max()) // 2, int(xs.min() + xs.max()) // 2
    padded = np.pad(image, ((half, half), (half, half), (0, 0)), mode="edge")
    square = padded[cy : cy + 2 * half, cx : cx + 2 * half]
    return np.array(Image.fromarray(square).resize((side, side), Image.Resampling.LANCZOS))


def attraction(table: pd.DataFrame, categories: Sequence[str]) -> tuple[Figure, pd.DataFrame]:
    """Fixations in each category's regions against chance, with intervals over images.

    table: `datasets.describe.attraction`. Also returns the numbers shown.
    """
    rows = [
        (c, *interval(chosen["ratio"]), int(chosen["regions"].sum()), len(chosen))
        for c in categories
        if len(chosen := table[table["category"] == c])
    ]
    shown = pd.DataFrame(rows, columns=["category", "mean", "low", "high", "regions", "images"])
    figure, axis = plt.subplots(figsize=(WIDTH, 0.36 * len(shown) + 1.2))
    ranked = shown.sort_values("mean", ignore_index=True)
    y = np.arange(len(ranked))
    errors = [ranked["mean"] - ranked["low"], ranked["high"] - ranked["mean"]]
    axis.errorbar(ranked["mean"], y, xerr=np.nan_to_num(errors), fmt="o", color=BEFORE, lw=1.6)
    for k, row in ranked.iterrows():
        text = f"{row['regions']} regions"
        axis.text(1.01, k, text, transform=axis.get_yaxis_transform(), va="center", fontsize=8.5)
    axis.set_yticks(y, [label(c) for c in ranked["category"]])
    axis.axvline(1, color="0.6", lw=1, ls=":")
    axis.set_xlabel("fixations in the region ÷ expected from its area (1: chance)")
    axis.set_xlim(left=0)
    axis.grid(axis="y", color="0.92")
    return figure, shown
