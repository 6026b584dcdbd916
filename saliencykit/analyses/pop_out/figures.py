"""Figures about search arrays: what they are, who finds the odd item, whether the order inverts."""

from collections.abc import Collection, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

from ...datasets.popout import BACKGROUNDS, FEATURES, SearchArray, draw
from ...models.classical import names
from ...viewing.pictures import as_picture, gallery
from ...viewing.style import MODEL_COLOURS, WIDTH, label

MARKERS = "osD^vPX*<>p"
SIDES = [(6, 5, "left"), (6, -13, "left"), (-6, 5, "right"), (-6, -13, "right"), (9, -4, "left")]
"""Where a point's name may stand: offset in points, and which side of the text is there."""
CONDITIONS = ("feature", "set_size", "difference", "background")


def styled(models: Sequence[str]) -> dict[str, dict[str, object]]:
    """Return colour and marker of each model: networks as everywhere, classical ones in a hue."""
    known = dict.fromkeys([*names(), *models])  # the same look in every figure
    classical = [m for m in known if m not in MODEL_COLOURS]
    shades = sns.color_palette("RdPu", len(classical) + 2)[2:]  # classical ones are pink elsewhere
    colours = {**MODEL_COLOURS, **dict(zip(classical, shades, strict=True))}
    marks = {m: MARKERS[k % len(MARKERS)] for k, m in enumerate(classical)}
    return {m: {"color": colours[m], "marker": marks.get(m, "o")} for m in models}


def contact_sheet(
    size: tuple[int, int], set_size: int = 16, seed: int = 0
) -> tuple[Figure, pd.DataFrame]:
    """Every kind of search array, a row a feature: from a small difference to the largest.

    Also returns what is shown: feature, background, difference, physical, unit.
    """
    looks = [(0.25, "grey"), (0.5, "grey"), *((1.0, ground) for ground in BACKGROUNDS)]
    rows, table = [], []
    for feature in FEATURES:
        specs = [SearchArray(feature, set_size, share, ground) for share, ground in looks]
        rows.append([as_picture(draw(spec, size, seed + len(rows)).image) for spec in specs])
        unit = FEATURES[feature].unit
        table += [(s.feature, s.background, s.difference, s.physical, unit) for s in specs]
    titles = [f"{100 * share:.0f} % different,\n{ground}" for share, ground in looks]
    figure = gallery(rows, titles, labels=[_wrapped(f) for f in FEATURES])
    columns = ["feature", "background", "difference", "physical", "unit"]
    return figure, pd.DataFrame(table, columns=columns)


def _wrapped(feature: str) -> str:
    return label(feature).replace(" among ", "\namong ")


def natural_against_arrays(
    table: pd.DataFrame, human: float, labels: tuple[str, str] = ("NSS", "GSI")
) -> Figure:
    """A point a model: its natural score against its score on arrays, with both intervals.

    table: `evaluation.popout.orders`; human: people's mean natural score, for the upper axis.
    """
    figure, axis = plt.subplots(figsize=(WIDTH * 0.8, WIDTH * 0.58))
    for model, style in styled(table["model"].tolist()).items():
        row = table[table["model"] == model].iloc[0]
        spans = [
            [[row[k] - row[f"{k}_low"]], [row[f"{k}_high"] - row[k]]] for k in ("natural", "arrays")
        ]
        axis.errorbar(
            row["natural"], row["arrays"], spans[1], spans[0], ms=7, lw=1.4, ls="", **style
        )
    axis.axhline(0, color="0.75", lw=0.9, zorder=0)
    axis.set_xlabel(f"natural images: {labels[0]}")
    axis.set_ylabel(f"search arrays: {labels[1]} (0: target as salient as distractors)")
    share = axis.secondary_xaxis("top", (lambda x: 100 * x / human, lambda p: p * human / 100))
    share.set_xlabel("% of the human ceiling", fontsize=9.5)
    _name_points(figure, axis, table.set_index("model")[["natural", "arrays"]])
    return figure


def _name_points(figure: Figure, axis: Axes, points: pd.DataFrame) -> None:
    """Write each point's name where it overlaps points and other names least. points: x, y."""
    figure.canvas.draw()  # the layout decides where points lie
    places = axis.transData.transform(points.to_numpy())
    taken = [Bbox.from_bounds(x - 8, y - 8, 16, 16) for x, y in places]
    for name, at in zip(points.index, points.to_numpy(), strict=True):
        tried = []
        for x, y, side in SIDES:
            text = axis.annotate(
                label(name), at, (x, y), textcoords="offset points", fontsize=9, ha=side
            )
            box = text.get_window_extent()
            tried.append((sum(_shared(box, other) for other in taken), len(tried), text, box))
        _, _, best, box = min(tried)
        taken.append(box)
        for *_, text, _ in tried:
            if text is not best:
                text.remove()


def _shared(a: Bbox, b: Bbox) -> float:
    """Area that two boxes share."""
    both = Bbox.intersection(a, b)
    return 0.0 if both is None else both.width * both.height


def by_feature(table: pd.DataFrame, models: Sequence[str], title: str = "GSI") -> Figure:
    """Matrix: a model's mean score on each kind of search; numbers whose interval excludes 0 bold.

    table: `by_condition` over "feature".
    """
    features = list(dict.fromkeys(table["feature"]))
    wide = table.pivot(index="model", columns="feature", values="mean").loc[list(models), features]
    sure = table.assign(sure=(table["low"] > 0) | (table["high"] < 0))
    sure = sure.pivot(index="model", columns="feature", values="sure").loc[list(models), features]
    figure, axis = plt.subplots(figsize=(WIDTH, 0.34 * len(models) + 1.9))
    reach = float(np.nanmax(np.abs(wide.to_numpy()))) or 1.0
    shown = axis.imshow(wide.to_numpy(), cmap="RdBu_r", vmin=-reach, vmax=reach, aspect="auto")
    for i, j in np.ndindex(wide.shape):
        value = wide.iloc[i, j]
        axis.text(
            j, i, f"{value:.2f}", ha="center", va="center", fontsize=8,
            color="white" if abs(value) > 0.6 * reach else "black",
            fontweight="bold" if sure.iloc[i, j] else "normal",
        )  # fmt: skip
    axis.set_xticks(range(len(features)), [label(f) for f in features], rotation=35, ha="right")
    axis.set_yticks(range(len(models)), [label(m) for m in models])
    axis.spines[:].set_visible(False)
    figure.colorbar(shown, ax=axis, label=title)
    return figure


def curves(
    table: pd.DataFrame,
    x: str,
    models: Sequence[str],
    xlabel: str,
    ylabel: str,
    networks: Collection[str],
    columns: int = 5,
) -> Figure:
    """A panel a feature: each model's mean against a condition; networks' intervals are shaded.

    table: `by_condition` over "feature" and `x` (psychometric curves, if that is "difference"). It
    holds the others' intervals too; twelve bands over each other would hide the lines.
    """
    features = list(dict.fromkeys(table["feature"]))
    rows = -(-len(features) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, 1.9 * rows + 1.1), sharex=True, sharey=True, squeeze=False
    )
    styles = styled(models)
    for axis, feature in zip(axes.flat, features, strict=False):
        for model, style in styles.items():
            chosen = table[(table["feature"] == feature) & (table["model"] == model)]
            chosen = chosen.sort_values(x)
            width = 2.2 if model in networks else 1.2
            axis.plot(chosen[x], chosen["mean"], lw=width, ms=3.5, **style)
            if model in networks:
                band = chosen[x], chosen["low"], chosen["high"]
                axis.fill_between(*band, color=style["color"], alpha=0.15, lw=0)
        axis.set_title(_wrapped(feature), fontsize=9)
        axis.axhline(0, color="0.75", lw=0.8, zorder=0)
    for axis in axes.flat[len(features) :]:
        axis.set_visible(False)
    figure.supxlabel(xlabel, fontsize=10.5)
    figure.supylabel(ylabel, fontsize=10.5)
    _legend(figure, styles)
    return figure


def found(
    table: pd.DataFrame,
    models: Sequence[str],
    chance: Mapping[int, float],
    networks: Collection[str],
) -> Figure:
    """Share of targets found within so many fixations, a panel a set size.

    table: `found_within` over "set_size"; chance: share of the targets found by looking at one
    item after the other at random, by set size, per fixation. Networks' lines are wider.
    """
    sizes = sorted(set(table["set_size"]))
    figure, axes = plt.subplots(1, len(sizes), figsize=(WIDTH, 3.9), sharey=True, squeeze=False)
    styles = styled(models)
    for axis, n in zip(axes.flat, sizes, strict=True):
        for model, style in styles.items():
            chosen = table[(table["set_size"] == n) & (table["model"] == model)]
            width = 2.2 if model in networks else 1.2
            axis.plot(chosen["looks"], 100 * chosen["share"], lw=width, ms=3.5, **style)
        looks = np.array(sorted(set(table["looks"])))
        axis.plot(looks, 100 * np.minimum(1, looks * chance[n]), color="0.5", ls=":", lw=1.4)
        axis.set_title(f"{n} items", fontsize=10.5)
        axis.set_xscale("log", base=2)
        axis.set_xticks(looks, [str(k) for k in looks])
        axis.set_xlabel("fixations")
        axis.set_ylim(0, 103)
    axes[0, 0].set_ylabel("targets found (%)")
    _legend(figure, {**styles, "item by item": {"color": "0.5", "marker": "", "ls": ":"}})
    return figure


def _legend(figure: Figure, styles: Mapping[str, dict[str, object]]) -> None:
    handles = [
        Line2D([], [], **{"lw": 1.6, "ms": 4, "label": label(m), **style})
        for m, style in styles.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=5, fontsize=8.5)
