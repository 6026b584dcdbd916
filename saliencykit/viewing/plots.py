"""How tables are drawn: panels, rows, points with intervals, bands, layers, verdicts, matrices.

A value's 95 % interval stands in the columns `<value>_low` and `<value>_high`, or in `low` and
`high`.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from textwrap import fill
from typing import Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from .style import AFTER, BEFORE, WIDTH, Colour, label

PER_INCH = 12  # letters of an axis' label
CHOSEN = "#fbf0c9"  # the column of the layer that findings are about: pale yellow, as no data are


def only(table: pd.DataFrame, **values: str | float) -> pd.DataFrame:
    """Return the rows that have these values in the columns so named."""
    for column, value in values.items():
        table = table[table[column] == value]
    return table


def unique(table: pd.DataFrame, column: str) -> list:
    """Return a column's values, each once, in the table's order."""
    return table[column].drop_duplicates().tolist()


# Where to draw.


def panels(
    titles: Sequence[str],
    x: str = "",
    y: str = "",
    columns: int | None = 4,
    tall: float = 2.0,
    around: float = 0.6,
    sharex: bool = True,
    sharey: bool | Literal["row"] = True,
) -> tuple[Figure, list[Axes]]:
    """Make a titled panel a category, metric or task; the lowest of each column have labels.

    x, y: what the axes of all show; columns: at most so many (None: all in one row); tall, around:
    height in inches of a row of panels, and of what is around all of them.
    """
    n = len(titles)
    columns = min(columns or n, n)
    if columns > 2 and n % columns == 1:  # leave none alone in the last row
        columns = next((c for c in (columns - 1, columns + 1) if n % c != 1), columns)
    lines = -(-n // columns)
    size = (WIDTH, tall * lines + around)
    figure, grid = plt.subplots(
        lines, columns, figsize=size, sharex=sharex, sharey=sharey, squeeze=False
    )
    shown = list(grid.flat[:n])
    for axis, title in zip(shown, titles, strict=True):
        axis.set_title(title)
    for axis in grid.flat[n:]:
        axis.set_visible(False)
    for axis in shown[-columns:]:
        axis.tick_params(labelbottom=True)
    figure.supxlabel(x)
    figure.supylabel(fill(y, int(PER_INCH * size[1])))
    return figure, shown


def row_panels(
    names: Sequence[str],
    labels: Sequence[str],
    widths: Sequence[float] | None = None,
    against: float | None = 0.0,
    sharex: bool = False,
    apart: str | None = None,
    text: Callable[[str], str] = label,
) -> tuple[Figure, list[Axes], pd.Series]:
    """Make panels side by side of a row a name, the first on top; labels: what each shows.

    against: see `level`; apart: the last name, if its row stands off from the others; text: what is
    written of a name. Also returns where each name's row is.
    """
    size = (WIDTH, max(2.8, 0.36 * len(names) + 1.4))
    figure, grid = plt.subplots(
        1, len(labels), figsize=size, sharex=sharex, sharey=True, squeeze=False, width_ratios=widths
    )
    for axis, what in zip(grid[0], labels, strict=True):
        axis.set_xlabel(what)
        if len(labels) > 2:  # numbers at the ends of neighbouring axes would touch
            axis.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        places = name_rows(axis, names, apart, text)
        if against is not None:
            level(axis, against, upright=True)
    return figure, list(grid[0]), places


def name_rows(
    axis: Axes,
    names: Sequence[str],
    apart: str | None = None,
    text: Callable[[str], str] = label,
) -> pd.Series:
    """Label rows, the first on top, `apart` off from the others; return each name's place."""
    places = pd.Series(np.arange(len(names))[::-1].astype(float), index=list(names))
    if apart in places:
        places[apart] -= 0.4
    axis.set_yticks(places, [text(n) for n in names])
    axis.set_ylim(places.min() - 0.6, places.max() + 0.6)
    axis.grid(axis="y", color="0.92")
    return places


def beside(axis: Axes, places: ArrayLike, notes: Sequence[str]) -> None:
    """Write notes at the right of rows."""
    for y, note in zip(np.asarray(places), notes, strict=True):
        right = axis.get_yaxis_transform()
        axis.text(1.01, y, note, transform=right, va="center", fontsize="small")


def level(axis: Axes, at: float = 0.0, upright: bool = False) -> None:
    """Draw the line that values are compared with, mostly 0, behind them."""
    (axis.axvline if upright else axis.axhline)(at, color="0.7", lw=0.8, zorder=0)


def at_threshold(axis: Axes, threshold: float) -> None:
    """Draw the upright line at T, and write T beside its top."""
    level(axis, threshold, upright=True)
    axis.annotate(
        f"T = {threshold:g}",
        (threshold, 1),
        xycoords=("data", "axes fraction"),
        xytext=(-3, -2),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize="small",
        color="0.45",
    )


def doubling(axis: Axes, ticks: Sequence[float]) -> None:
    """Make the horizontal axis logarithmic, with these ticks and no others."""
    axis.set_xscale("log", base=2)
    axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axis.minorticks_off()


def by_root(axis: Axes, ticks: Sequence[float], text: str) -> None:
    """Let the upright axis grow with the root up to the last tick: small shares stand apart.

    text: how ticks are written, as "{:.0%}".
    """
    axis.set_yscale("function", functions=(_root, np.square))
    axis.set_yticks(ticks, [text.format(tick) for tick in ticks])
    axis.set_ylim(0, ticks[-1])


def _root(share: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(share, 0))


def over_layers(
    axis: Axes, layers: Sequence[str], chosen: str | None = None, step: int = 1
) -> None:
    """Label every `step`-th layer, and tint the `chosen` one, which the findings are about."""
    place = np.arange(len(layers))
    axis.set_xticks(place[::step], layers[::step], rotation=60, ha="right", fontsize="small")
    axis.set_xlim(-0.6, len(layers) - 0.4)
    if chosen in layers:
        k = layers.index(chosen)
        axis.axvspan(k - 0.46, k + 0.46, color=CHOSEN, zorder=0)


# What to draw.


def reach(table: pd.DataFrame, value: str = "value") -> np.ndarray:
    """Return how far intervals reach below and above their values, (2, n), 0 or more."""
    low, high = (table.get(f"{value}_{end}", table.get(end)) for end in ("low", "high"))
    return np.stack([table[value] - low, high - table[value]]).clip(min=0)


def points(
    axis: Axes,
    table: pd.DataFrame,
    places: ArrayLike,
    value: str = "value",
    colour: Colour = "0.25",
    name: str | None = None,
    mark: str = "o",
    size: float = 5.0,
    fill: Colour | None = None,
    upright: bool = False,
    line: float = 0.0,
) -> None:
    """Draw values with their intervals, a row of the table at each of `places`.

    upright: values run upward, and places to the right; line: width of the line that joins them.
    """
    look = {"color": colour, "marker": mark, "ms": size, "mfc": fill or colour, "label": name}
    at, ends = (places, table[value]), reach(table, value)
    x, y = at if upright else at[::-1]
    spans = {"yerr" if upright else "xerr": ends}
    axis.errorbar(x, y, **spans, elinewidth=1.6, lw=line, **look)


def faint(
    axis: Axes,
    values: pd.DataFrame,
    places: ArrayLike,
    colour: Colour = "0.25",
    below: float = 0.13,
) -> None:
    """Draw single trainings, one a column, as small faint marks `below` each row's place."""
    for column in values:
        at = np.asarray(places) - below
        axis.plot(values[column], at, "|", color=colour, ms=5, alpha=0.45, zorder=1)


def name_ends(axis: Axes, ends: Mapping[str, float], colours: Mapping[str, Colour]) -> None:
    """Write names at the right edge of an axis, each at its height, moved apart where they touch.

    ends: name → value, where a line ends (NaN: nowhere); colours: by name, of the thin lines that
    lead there from names which were moved.
    """
    ends = {name: value for name, value in ends.items() if np.isfinite(value)}
    if not ends:
        return
    axis.figure.draw_without_rendering()  # the layout decides how high the axis is
    points = axis.transData.transform([(1, y) for y in ends.values()])
    heights = pd.Series(axis.transAxes.inverted().transform(points)[:, 1], index=list(ends))
    letters = FontProperties(size="small").get_size_in_points() * axis.figure.dpi / 72
    step, placed = 1.3 * letters / axis.bbox.height, heights.sort_values()
    for up, down in pairwise(placed.index):
        placed[down] = max(placed[down], placed[up] + step)
    placed -= (placed - heights).mean()  # as many up as down
    for name, at in heights.items():
        look = {"arrowstyle": "-", "color": colours[name], "lw": 0.6, "shrinkA": 0, "shrinkB": 0}
        axis.annotate(
            name,
            (1.01, at),
            (1.06, placed[name]),
            "axes fraction",
            "axes fraction",
            arrowprops=look,
            annotation_clip=False,
            va="center",
            fontsize="small",
        )


def offsets(n: int, width: float = 0.36) -> np.ndarray:
    """Return where `n` points stand about one place, so that intervals do not lie on each other."""
    return np.linspace(-width / 2, width / 2, n) if n > 1 else np.zeros(1)


def decided(table: pd.DataFrame) -> pd.Series:
    """Tell where an interval (low, high) excludes 0."""
    return (table["low"] > 0) | (table["high"] < 0)


def verdicts(
    axis: Axes,
    table: pd.DataFrame,
    places: ArrayLike,
    value: str,
    above: Colour = AFTER,
    below: Colour = BEFORE,
) -> None:
    """Draw values with intervals, coloured by whether these lie above 0, below it, or hold it."""
    sure, places = decided(table), np.asarray(places)
    kinds = {above: sure & (table[value] > 0), below: sure & (table[value] <= 0), "0.6": ~sure}
    for colour, kind in kinds.items():
        points(axis, table[kind], places[kind], value, colour)


def trace(
    axis: Axes,
    x: ArrayLike,
    table: pd.DataFrame,
    value: str,
    colour: Colour,
    name: str | None = None,
    mark: str = "",
    dash: str = "-",
    width: float = 1.8,
    shaded: bool = True,
) -> None:
    """Draw values as a line over `x`, their interval (low, high) shaded."""
    if shaded:
        axis.fill_between(x, table["low"], table["high"], color=colour, alpha=0.2, lw=0)
    look = {"color": colour, "marker": mark, "ms": 3.5, "ls": dash, "lw": width}
    axis.plot(x, table[value], label=name, **look)


def matrix(
    values: pd.DataFrame,
    printed: pd.DataFrame,
    title: str,
    number: str,
    size: tuple[float, float],
    bold: pd.DataFrame | None = None,
) -> Figure:
    """Draw values (rows × columns), red above 0 and blue below.

    printed, bold: where numbers stand, in the format `number`, and which are bold; title: of the
    scale; size: width, height in inches.
    """
    figure, axis = plt.subplots(figsize=size)
    numbers = values.to_numpy(dtype=float)
    most = float(np.nanmax(np.abs(numbers))) or 1.0
    shown = axis.imshow(numbers, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
    for i, j in zip(*np.nonzero(printed.to_numpy()), strict=True):
        axis.text(
            j,
            i,
            format(numbers[i, j], number).replace("-", "−"),
            ha="center",
            va="center",
            fontsize="small",
            color="white" if abs(numbers[i, j]) > 0.6 * most else "black",
            fontweight="bold" if bold is not None and bold.iat[i, j] else "normal",
        )
    axis.set_xticks(range(values.shape[1]), map(label, values.columns), rotation=45, ha="right")
    axis.set_yticks(range(values.shape[0]), map(label, values.index))
    axis.spines[:].set_visible(False)
    figure.colorbar(shown, ax=axis, label=title)
    return figure


def differences(
    table: pd.DataFrame,
    shown: pd.Series,
    title: str,
    names: Sequence[str] | None = None,
    digits: int = 1,
) -> Figure:
    """Draw by how much each row's name (`first`) exceeds each column's (`second`): `value`.

    shown: row by row of `table`, where the number is printed; names: their order, the table's if
    None.
    """
    names = list(names or unique(table, "first"))
    value, sure = (
        table.pivot(index="first", columns="second", values=v).reindex(index=names, columns=names)
        for table in [table.assign(shown=shown)]
        for v in ("value", "shown")
    )
    side = max(4.5, min(0.9 * WIDTH, 0.62 * len(names)))
    size = (side + 1.2, side * 0.85)
    return matrix(value, sure.fillna(False).astype(bool), title, f"+.{digits}f", size)
