"""Figures about search arrays: what they are, who finds the odd item, whether the order inverts."""

from collections.abc import Collection, Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from matplotlib.transforms import Bbox

from ...datasets.popout import (
    BACKGROUNDS,
    EFFICIENT,
    FEATURES,
    INEFFICIENT,
    SearchArray,
    draw,
    search_of,
)
from ...dissection import singles
from ...findings.lead import LEAD, MOST, NATURAL
from ...viewing.pictures import as_picture, gallery
from ...viewing.plots import (
    decided,
    doubling,
    faint,
    level,
    matrix,
    offsets,
    only,
    panels,
    points,
    reach,
    row_panels,
    trace,
    unique,
)
from ...viewing.style import (
    CLASSICAL,
    CONTROL,
    HUMAN,
    MARKS,
    OTHER,
    WIDTH,
    Colour,
    Look,
    label,
    legend,
    model_looks,
)
from .tables import ELSEWHERE, GSI, MSR, OURS

SIDES = [
    *((6, 5, "left"), (6, -13, "left"), (-6, 5, "right"), (-6, -13, "right"), (9, -4, "left")),
    *((16, 14, "left"), (16, -22, "left"), (-16, 14, "right"), (-16, -22, "right")),
]
"""Where a point's name may stand: offset in points, and which side of the text is there."""
ENDS = ("value", "low", "high")
SEARCHES = (EFFICIENT, INEFFICIENT)
SEARCH_LOOKS = {EFFICIENT: Look(HUMAN), INEFFICIENT: Look("0.45", "s")}
CONDITIONS = ("feature", "set_size", "difference", "background")


def contact_sheet(
    size: tuple[int, int], set_size: int = 16, seed: int = 0
) -> tuple[Figure, pd.DataFrame]:
    """Every kind of search array, a row a feature: from a small difference to the largest.

    Also returns what is shown: feature, background, difference, physical, unit, search (efficient
    for people or not).
    """
    looks = [(0.25, "grey"), (0.5, "grey"), *((1.0, ground) for ground in BACKGROUNDS)]
    rows, table = [], []
    for feature in FEATURES:
        specs = [SearchArray(feature, set_size, share, ground) for share, ground in looks]
        rows.append([as_picture(draw(spec, size, seed + len(rows)).image) for spec in specs])
        unit = FEATURES[feature].unit
        table += [(s.feature, s.background, s.difference, s.physical, unit) for s in specs]
    titles = [f"{100 * share:.0f} % different,\n{ground}" for share, ground in looks]
    figure = gallery(rows, titles, labels=[_described(f) for f in FEATURES])
    columns = ["feature", "background", "difference", "physical", "unit"]
    shown = pd.DataFrame(table, columns=columns)
    return figure, shown.assign(search=search_of(shown["feature"]))


def _described(feature: str) -> str:
    search = search_of(pd.Series([feature])).item()
    return label(feature).replace(" among ", "\namong ") + f"\n({search})"


CHANCE = {"color": "0.4", "lw": 1, "ls": "--", "zorder": 0, "label": "chance"}


def most_salient(table: pd.DataFrame) -> Figure:
    """How often the target is the most salient item, searches apart, and the GSI of efficient ones.

    table: `tables.by_condition` of both metrics over "search". Dashed: chance; grey, of the GSI:
    target and distractors alike. Small marks: single trainings.
    """
    parts = {f"{s} for people:\ntarget most salient": (MOST, s) for s in SEARCHES}
    parts["efficient for people:\nGSI"] = (GSI, EFFICIENT)
    shown = {name: only(table, measure=m, search=s) for name, (m, s) in parts.items()}
    shown = {name: rows for name, rows in shown.items() if len(rows)}
    order = next(iter(shown.values())).sort_values("value", ascending=False)["model"].tolist()
    figure, axes, places = row_panels(order, list(shown), against=None)
    for axis, rows in zip(axes, shown.values(), strict=True):
        for model, (colour, mark) in model_looks(order).items():
            row, at = only(rows, model=model), [places[model]]
            faint(axis, singles(row), at, colour)
            points(axis, row, at, colour=colour, mark=mark)
        if rows["measure"].iloc[0] == GSI:
            level(axis, upright=True)
        else:
            axis.axvline(rows["chance"].mean(), **CHANCE)
            axis.set_xlim(-0.02, 1.02)
            axis.xaxis.set_major_formatter(PercentFormatter(1, 0))
    return legend(figure, axes[0])


DATA = {
    OURS: Look(CONTROL),
    **dict(zip(ELSEWHERE, (Look(HUMAN, "s"), Look(CLASSICAL, "D")), strict=True)),
}
DATA_NAMES = {OURS: "arrays drawn here, efficient searches", "p3": "P3", "o3": "O3"}


def elsewhere(table: pd.DataFrame) -> Figure:
    """How well models single out the odd item of other people's arrays, beside those drawn here.

    table: `tables.elsewhere`. Dashed: chance, of each data set; of the ratio, where target and
    distractors are alike. Small marks: single trainings.
    """
    shown = {MOST: "target most salient", GSI: "GSI", MSR: "MSR of the target"}
    order = unique(table, "model")
    figure, axes, places = row_panels(order, list(shown.values()), against=None)
    here = [name for name in DATA if name in set(table["data"])]
    for axis, measure in zip(axes, shown, strict=True):
        level(axis, 1.0 if measure == MSR else 0.0, upright=True)
        for name, shift in zip(here, offsets(len(here), 0.5), strict=True):
            (colour, mark), rows = DATA[name], only(table, measure=measure, data=name)
            at = places[rows["model"]] - shift
            faint(axis, singles(rows), at + 0.13, colour)
            points(axis, rows, at, colour=colour, name=DATA_NAMES[name], mark=mark, size=4.5)
            if measure == MOST and len(rows):
                axis.axvline(rows["chance"].iloc[0], color=colour, lw=1, ls="--", zorder=0)
    axes[0].xaxis.set_major_formatter(PercentFormatter(1, 0))
    figure.set_size_inches(WIDTH, 0.42 * len(order) + 1.2)
    return legend(figure, axes[0])


def leads(table: pd.DataFrame) -> Figure:
    """By how much networks exceed classical models: on natural images and arrays of either kind.

    table: `tables.leads`. Small marks: single trainings.
    """
    shown = {
        NATURAL: "natural images:\nNSS, share of people's",
        EFFICIENT: "efficient searches:\ntarget most salient",
        INEFFICIENT: "inefficient searches:\ntarget most salient",
    }
    chosen = only(table, what=LEAD)
    sides = [name for name in shown if name in set(chosen["side"])]
    figure, axes, places = row_panels(unique(chosen, "who"), [shown[s] for s in sides])
    for axis, name in zip(axes, sides, strict=True):
        rows = only(chosen, side=name)
        faint(axis, singles(rows), places[rows["who"]])
        points(axis, rows, places[rows["who"]])
        axis.xaxis.set_major_formatter(PercentFormatter(1, 0))
    figure.suptitle("lead over the mean of the classical models")
    figure.set_size_inches(WIDTH, 0.34 * len(places) + 1.5)
    return figure


def natural_against_arrays(table: pd.DataFrame) -> Figure:
    """A point a model: NSS on natural images against the share of efficient targets most salient.

    table: `tables.both_sides`. Intervals of both; small points: single trainings; line: chance.
    """
    figure, axis = plt.subplots(figsize=(WIDTH * 0.8, WIDTH * 0.58))
    x, y = (only(table, side=name).set_index("model") for name in (NATURAL, "arrays"))
    human = x["value"]["human"]
    looks = model_looks(y.index.tolist())
    for model, look in looks.items():
        row, column = x.loc[[model]], y.loc[[model]]
        style = {"color": look.colour, "marker": look.mark, "ls": ""}
        ends = {"xerr": reach(row), "yerr": reach(column)}
        axis.errorbar(row["value"], column["value"], **ends, **style, ms=7, lw=1.4)
        each = singles(row).to_numpy(), singles(column).to_numpy()
        axis.plot(each[0][0], each[1][0], **style, ms=3, alpha=0.45)
    level(axis, table["chance"].mean())
    axis.set_xlabel("natural images: NSS")
    axis.set_ylabel("efficient searches: target most salient")
    axis.yaxis.set_major_formatter(PercentFormatter(1, 0))
    share = axis.secondary_xaxis("top", (lambda x: 100 * x / human, lambda p: p * human / 100))
    share.set_xlabel("% of the human ceiling")
    where = {f"{end} {side}": of[end] for side, of in (("x", x), ("y", y)) for end in ENDS}
    hues = {model: look.colour for model, look in looks.items()}
    each = np.stack([singles(of.loc[list(looks)]).to_numpy().ravel() for of in (x, y)], 1)
    _name_points(figure, axis, pd.DataFrame(where).dropna(), hues, each)
    return figure


def _name_points(
    figure: Figure, axis: Axes, points: pd.DataFrame, hues: Mapping[str, Colour], small: np.ndarray
) -> None:
    """Write names inside where they overlap points, their intervals and other names least.

    points: of x and of y "value", "low" and "high", as "low x"; hues: by name; small: x and y of
    small points, (n, 2), NaN where there is none.
    """
    figure.draw_without_rendering()  # the layout decides where points lie
    value, low, high = (points[[f"{end} x", f"{end} y"]].to_numpy() for end in ENDS)
    (x, y), (left, bottom), (right, top) = (
        axis.transData.transform(p).T for p in (value, low, high)
    )
    u, v = axis.transData.transform(small[~np.isnan(small).any(1)]).T
    boxes = [(x - 8, y - 8, x + 8, y + 8), (left, y - 3, right, y + 3), (x - 3, bottom, x + 3, top),
             (u - 4, v - 4, u + 4, v + 4)]  # fmt: skip
    taken = [Bbox.from_extents(*each) for box in boxes for each in zip(*box, strict=True)]
    for name, at in zip(points.index, value, strict=True):
        tried = []
        for x, y, side in SIDES:
            look = {"color": hues[name], "fontsize": "small", "ha": side, "zorder": 5}
            text = axis.annotate(label(name), at, (x, y), textcoords="offset points", **look)
            box = text.get_window_extent()
            outside = box.width * box.height - _shared(box, axis.bbox)
            lost = outside + sum(_shared(box, other) for other in taken)
            tried.append((lost, len(tried), text, box))
        _, _, best, box = min(tried)
        taken.append(box)
        for *_, text, _ in tried:
            if text is not best:
                text.remove()


def _shared(a: Bbox, b: Bbox) -> float:
    """Area that two boxes share."""
    both = Bbox.intersection(a, b)
    return 0.0 if both is None else both.width * both.height


def by_feature(table: pd.DataFrame) -> Figure:
    """Matrix: how much more often than by chance the target is most salient, by kind of search.

    table: `tables.by_condition` over "search" and "feature"; efficient searches stand left, models
    from best to worst at them; bold: the interval excludes chance.
    """
    beyond = {end: table[end] - table["chance"] for end in ("value", "low", "high")}
    table = table.assign(**{end: 100 * over for end, over in beyond.items()})
    table = table.assign(sure=decided(table))
    efficient = only(table, search=EFFICIENT).groupby("model", sort=False)["value"].mean()
    models = efficient.sort_values(ascending=False).index
    features = [f for s in SEARCHES for f in unique(only(table, search=s), "feature")]
    value, sure = (
        table.pivot(index="model", columns="feature", values=column).loc[models, features]
        for column in ("value", "sure")
    )
    title = "target most salient, beyond chance (%)"
    size = (WIDTH, 0.34 * len(models) + 1.9)
    return matrix(value, value.notna(), title, "+.0f", size, sure.astype(bool))


def by_difference(table: pd.DataFrame) -> Figure:
    """A panel a model: the share of targets most salient against how much they differ.

    table: `tables.by_condition` over "search" and "difference". Thin lines: single trainings;
    dashed: chance. Differences are equally far apart, each twice the one before.
    """
    figure, axes = panels(
        [label(m) for m in unique(table, "model")],
        "difference between target and distractors, share of the largest",
        "target most salient",
    )
    for axis, model in zip(axes, unique(table, "model"), strict=True):
        for (search, look), shift in zip(SEARCH_LOOKS.items(), (-0.06, 0.06), strict=True):
            rows = only(table, model=model, search=search).sort_values("difference")
            at, how = rows["difference"] * 2**shift, {"mark": look.mark, "size": 4, "line": 1.6}
            points(
                axis, rows, at, "value", look.colour, f"{search} for people", upright=True, **how
            )
            axis.plot(at, singles(rows), color=look.colour, lw=0.6, alpha=0.4, zorder=0)
        axis.axhline(table["chance"].mean(), **CHANCE)
        axis.yaxis.set_major_formatter(PercentFormatter(1, 0))
        doubling(axis, unique(table, "difference"))
        axis.set_ylim(-0.03, 1.03)
    return legend(figure, axes[0])


def found(table: pd.DataFrame, networks: Collection[str]) -> Figure:
    """Share of targets found within so many fixations: a panel a model, a line a set size.

    table: `tables.found_within` over "set_size"; networks: those that stand first. Dotted: looking
    at one item after the other at random. Shaded: intervals.
    """
    sizes, looks = (sorted(set(table[column])) for column in ("set_size", "looks"))
    ends = {end: 100 * table[end] for end in ("value", "low", "high")}
    percent, models = table.assign(**ends), unique(table, "model")
    models.sort(key=lambda model: model not in networks)
    titles = [label(model) for model in models]
    figure, axes = panels(titles, "fixations", "targets found (%)", tall=1.9, around=0.8)
    hues = sns.color_palette("viridis_r", len(sizes))
    for axis, model in zip(axes, models, strict=True):
        for n, hue, mark in zip(sizes, hues, MARKS, strict=False):
            line = only(percent, set_size=n, model=model).sort_values("looks")
            trace(axis, line["looks"], line, "value", hue, f"{n} items", mark)
            axis.plot(
                looks, 100 * np.minimum(1, np.array(looks) / n), ":", color=hue, lw=1, alpha=0.6
            )
        axis.plot([], [], ":", color=OTHER, lw=1, label="item by item")
        doubling(axis, looks)
        axis.set_ylim(0, 103)
    return legend(figure, axes[0])
