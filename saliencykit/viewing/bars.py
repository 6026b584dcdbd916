"""A unit's selectivity by category, drawn by hand: a figure would take too long for a slider."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from .pictures import INK, LINE, Picture, font
from .style import label

REACH = (-1.0, 4.0)  # region NSS that the axis shows at least
GRID, FAINT = (225, 225, 225), (120, 120, 120)
LEFT, TOP, BOTTOM = 104, 20, 34  # margins in pixels


def selectivity_bars(
    profiles: Mapping[str, pd.DataFrame],
    colours: Mapping[str, str],
    threshold: float,
    chosen: str | None = None,
    title: str = "",
    size: tuple[int, int] = (290, 520),
) -> Picture:
    """Draw bars with intervals, a row a category, a bar in it for each of `profiles`.

    profiles: name → category, value, low, high (`dissection.unit_profile`), all of the same
    categories, of which `chosen` is marked; colours: by name; threshold: where a line is drawn;
    size: height, width.
    """
    height, width = size
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    names = next(iter(profiles.values()))["category"].tolist()
    step = (height - TOP - BOTTOM) / len(names)
    letters = font(round(min(11.5, step * 0.7), 1))
    values = np.concatenate([p[["value", "low", "high"]].to_numpy() for p in profiles.values()])
    low, high = np.nanmin([REACH[0], np.nanmin(values)]), np.nanmax([REACH[1], np.nanmax(values)])
    scale = (width - LEFT - 14) / (high - low)

    def x(value: float) -> float:
        return LEFT + (value - low) * scale

    foot = height - BOTTOM
    for tick in range(int(np.ceil(low)), int(high) + 1):
        pen.line((x(tick), TOP - 2, x(tick), foot), fill=FAINT if tick == 0 else GRID)
        pen.text((x(tick), foot + 2), str(tick), fill=FAINT, font=letters, anchor="ma")
    pen.text((x((low + high) / 2), height - 15), "region NSS", fill=INK, font=letters, anchor="ma")
    _legend(pen, profiles, colours, letters)
    pen.text((width - 14, 10), title, fill=INK, font=letters, anchor="rm")
    for k, name in enumerate(names):
        top = TOP + k * step
        if name == chosen:
            pen.rectangle((0, top, width, top + step - 1), fill=(245, 240, 225))
            pen.line((x(0), top, x(0), top + step - 1), fill=FAINT)
        middle = (LEFT - 8, top + step / 2)
        pen.text(middle, label(name), fill=INK, font=letters, anchor="rm")
        thick = 0.8 * step / len(profiles)
        for j, (who, profile) in enumerate(profiles.items()):
            _bar(pen, x, profile.iloc[k], top + 0.1 * step + j * thick, thick - 1, colours[who])
    for y in range(TOP, int(foot), 6):  # dashed
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


def _legend(
    pen: ImageDraw.ImageDraw,
    names: Mapping[str, object],
    colours: Mapping[str, str],
    letters: ImageFont.FreeTypeFont,
) -> None:
    at = float(LEFT)
    for name in names:
        pen.rectangle((at, 5, at + 9, 14), fill=colours[name])
        pen.text((at + 14, 10), name, fill=INK, font=letters, anchor="lm")
        at += 34 + pen.textlength(name, font=letters)
