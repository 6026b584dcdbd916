"""Figures about search arrays: what they are, who finds the odd item, whether the order inverts."""

from collections.abc import Collection, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from ...datasets.popout import BACKGROUNDS, FEATURES, SearchArray, draw
from ...viewing.pictures import as_picture, gallery
from ...viewing.plots import decided, doubling, level, matrix, only, panels, reach, trace, unique
from ...viewing.style import WIDTH, label, legend, model_looks

SIDES = [(6, 5, "left"), (6, -13, "left"), (-6, 5, "right"), (-6, -13, "right"), (9, -4, "left")]
"""Where a point's name may stand: offset in points, and which side of the text is there."""
CONDITIONS = ("feature", "set_size", "difference", "background")


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

    table: `tables.orders`; human: people's mean natural score, for the upper axis.
    """
    figure, axis = plt.subplots(figsize=(WIDTH * 0.8, WIDTH * 0.58))
    for model, look in model_looks(table["model"].tolist()).items():
        row = only(table, model=model)
        spans = {"xerr": reach(row, "natural"), "yerr": reach(row, "arrays")}
        style = {"color": look.colour, "marker": look.mark, "ms": 7, "lw": 1.4, "ls": ""}
        axis.errorbar(row["natural"], row["arrays"], **spans, **style)
    level(axis)
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
    table, features = table.assign(sure=decided(table)), unique(table, "feature")
    value, sure = (
        table.pivot(index="model", columns="feature", values=column).loc[list(models), features]
        for column in ("mean", "sure")
    )
    return matrix(value, value.notna(), title, ".2f", (WIDTH, 0.34 * len(models) + 1.9), sure)


def curves(
    table: pd.DataFrame,
    x: str,
    models: Sequence[str],
    xlabel: str,
    ylabel: str,
    networks: Collection[str],
) -> Figure:
    """A panel a feature: each model's mean against a condition; networks' intervals are shaded.

    table: `by_condition` over "feature" and `x` (psychometric curves, if that is "difference"). It
    holds the others' intervals too; twelve bands over each other would hide the lines.
    """
    features = unique(table, "feature")
    titles = [_wrapped(f) for f in features]
    figure, axes = panels(titles, xlabel, ylabel, 5, tall=1.9, around=1.1)
    for axis, feature in zip(axes, features, strict=True):
        _lines(axis, only(table, feature=feature), x, "mean", models, networks)
        level(axis)
    return legend(figure, axes[0], "center", columns=5, size=8.5)


def _lines(
    axis: Axes,
    table: pd.DataFrame,
    x: str,
    value: str,
    models: Sequence[str],
    networks: Collection[str],
    shaded: bool = True,
) -> None:
    """Draw a line a model; networks' are stronger, and their intervals shaded."""
    for model, (colour, mark) in model_looks(models).items():
        chosen, network = only(table, model=model).sort_values(x), model in networks
        look = {"mark": mark, "width": 2.2 if network else 1.2, "shaded": shaded and network}
        trace(axis, chosen[x], chosen, value, colour, label(model), **look)


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
    sizes, looks = (sorted(set(table[column])) for column in ("set_size", "looks"))
    percent = table.assign(share=100 * table["share"])
    titles = [f"{n} items" for n in sizes]
    figure, axes = panels(titles, "fixations", "targets found (%)", None, tall=3.3)
    for axis, n in zip(axes, sizes, strict=True):
        _lines(axis, only(percent, set_size=n), "looks", "share", models, networks, shaded=False)
        one_by_one = 100 * np.minimum(1, np.array(looks) * chance[n])
        axis.plot(looks, one_by_one, color="0.5", ls=":", lw=1.4, label="item by item")
        doubling(axis, looks)
        axis.set_ylim(0, 103)
    return legend(figure, axes[0], "center", columns=5, size=8.5)
