"""Bars with intervals, drawn by hand: a figure would take too long for a slider."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from .pictures import INK, LINE, Picture, font
from .style import label

REACH = (-1.0, 4.0)  # region NSS that the axis shows at least
GRID, FAINT, MARKED = (225, 225, 225), (120, 120, 120), (245, 240, 225)
SINGLE = (90, 35, 0)
LEFT, RIGHT, TOP, BOTTOM = 104, 14, 20, 34  # margins in pixels


def bars(
    profiles: Mapping[str, pd.DataFrame],
    colours: Mapping[str, str | Sequence[str]],
    threshold: float | None = None,
    chosen: str | None = None,
    title: str = "",
    axis: str = "region NSS",
    reach: tuple[float, float] = REACH,
    size: tuple[int, int] = (290, 520),
    singles: Mapping[str, np.ndarray] | None = None,
) -> Picture:
    """Draw bars with intervals, a row a category, a bar in it for each of `profiles`.

    profiles: name → category, value, low, high (`report.unit_profile`), all of the same
    categories, of which `chosen` is marked; colours: by name, one for all bars or one for each;
    only the former are named in a legend; threshold: where a line is drawn; axis: what the values
    are; reach: what the axis shows at least; size: height, width; singles: by name,
    values of single trainings (rows, S), as small marks on the bars.
    """
    singles = singles or {}
    height, width = size
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    names = next(iter(profiles.values()))["category"].tolist()
    step, foot = (height - TOP - BOTTOM) / len(names), height - BOTTOM
    letters = font(round(min(11.5, step * 0.7), 1))
    values = np.concatenate([p[["value", "low", "high"]].to_numpy() for p in profiles.values()])
    shown = [*values.flat, *(v for own in singles.values() for v in own.flat)]
    low, high = np.nanmin([reach[0], *shown]), np.nanmax([reach[1], *shown])

    def x(value: float) -> float:
        return LEFT + (value - low) * (width - LEFT - RIGHT) / (high - low)

    def write(at: tuple[float, float], text: str, anchor: str, ink: tuple = INK) -> None:
        pen.text(at, text, fill=ink, font=letters, anchor=anchor)

    for tick in range(int(np.ceil(low)), int(high) + 1):
        pen.line((x(tick), TOP - 2, x(tick), foot), fill=FAINT if tick == 0 else GRID)
        write((x(tick), foot + 2), str(tick), "ma", FAINT)
    write((x((low + high) / 2), height - 15), axis, "ma")
    write((width - RIGHT, 10), title, "rm")
    at = float(LEFT)
    for name in profiles:
        if isinstance(colours[name], str):
            pen.rectangle((at, 5, at + 9, 14), fill=colours[name])
            write((at + 14, 10), name, "lm")
            at += 34 + pen.textlength(name, font=letters)
    thick = 0.8 * step / len(profiles)
    for k, name in enumerate(names):
        top = TOP + k * step
        if name == chosen:
            pen.rectangle((0, top, width, top + step - 1), fill=MARKED)
            pen.line((x(0), top, x(0), top + step - 1), fill=FAINT)
        write((LEFT - 8, top + step / 2), label(name), "rm")
        for j, (who, profile) in enumerate(profiles.items()):
            colour = colours[who] if isinstance(colours[who], str) else colours[who][k]
            upper = top + 0.1 * step + j * thick
            _bar(pen, x, profile.iloc[k], upper, thick - 1, colour)
            for value in singles[who][k] if who in singles else ():
                if not np.isnan(value):
                    pen.line((x(value), upper, x(value), upper + thick - 1), fill=SINGLE, width=1)
    for y in range(TOP, int(foot), 6) if threshold is not None else ():  # dashed
        pen.line((x(threshold), y, x(threshold), y + 3), fill=LINE, width=2)
    return np.array(sheet)


def _bar(
    pen: ImageDraw.ImageDraw,
    x: Callable[[float], float],
    row: pd.Series,
    top: float,
    thick: float,
    colour: str,
) -> None:
    if np.isnan(row["value"]):
        return
    ends = sorted((x(0), x(row["value"])))
    pen.rectangle((ends[0], top, ends[1], top + thick), fill=colour)
    if not np.isnan(row["low"]):
        middle = round(top + thick / 2)
        pen.line((x(row["low"]), middle, x(row["high"]), middle), fill=INK, width=1)
        for end in ("low", "high"):
            pen.line((x(row[end]), middle - 2, x(row[end]), middle + 2), fill=INK, width=1)
