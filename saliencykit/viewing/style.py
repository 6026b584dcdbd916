"""How every figure looks: letters, lines and axes by a style sheet, who is in which colour, names.

The style sheet is a file, saliencykit.mplstyle, which a reader may change.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..datasets import CATEGORIES
from ..evaluation import CENTRE
from ..models import classical
from ..paths import STYLE, STYLE_SHEET, regular
from ..registry import check_name

Colour = str | tuple[float, float, float]

WIDTH = 9.0  # inches: a figure fills a notebook's column and a README's
BEFORE, AFTER, CONTROL, HUMAN, CLASSICAL = "#0072B2", "#D55E00", "#9A9A9A", "#009E73", "#CC79A7"
"""Okabe and Ito's colours, told apart by everybody."""

# Twelve categories in six hues of two tints: a thing and its part share a hue.
TINTS = sns.color_palette("colorblind", 6)
PALETTE = {
    name: tuple(c + (1 - c) * 0.45 * (i % 2) for c in TINTS[i // 2])
    for i, name in enumerate(CATEGORIES)
}


class Look(NamedTuple):
    """How a model, network or task is drawn."""

    colour: Colour
    mark: str = "o"


OTHER = "0.3"  # who is not in the table
LOOKS = {
    # models
    CENTRE: Look(CONTROL),
    "human": Look(HUMAN),
    "frozen": Look(BEFORE),
    "fine-tuned": Look(AFTER),
    "frozen, one layer": Look("#56B4E9"),
    "fine-tuned, one layer": Look("#E69F00"),
    # encoders, and the tasks that they learned
    "pre-trained": Look(BEFORE),
    "untrained": Look(CONTROL),
    "saliency": Look(AFTER),
    "scenes": Look(HUMAN, "s"),
    "shuffled scenes": Look(CONTROL, "^"),
    "rotations": Look(CLASSICAL, "D"),
}
"""The same look in every figure."""
MARKS = "osD^vPX*<>p"  # of models that share a hue


def look_of(name: str, other: Colour = OTHER) -> Look:
    """Return how a model, network or task is drawn; `other`: the colour of unknown ones."""
    return LOOKS.get(name, Look(other))


def model_looks(models: Sequence[str]) -> dict[str, Look]:
    """Return each model's look where many are told apart: classical ones in shades of a hue."""
    shaded = [m for m in dict.fromkeys([*classical.names(), *models]) if m not in LOOKS]
    shades = sns.color_palette("RdPu", len(shaded) + 4)[4:]  # the lightest fade on white
    looks = {m: Look(shades[k], MARKS[k % len(MARKS)]) for k, m in enumerate(shaded)} | LOOKS
    return {m: looks[m] for m in models}


def use_style(own: str | os.PathLike | None = None) -> None:
    """Set fonts, lines and colours for every figure that follows: those of `STYLE_SHEET`.

    own: a style sheet over it, None: that of `figures --style`, if any. Raises as `check_style`.
    """
    own = own or os.environ.get(STYLE)
    plt.style.use([STYLE_SHEET, check_style(Path(own))] if own else STYLE_SHEET)


def check_style(path: Path) -> Path:
    """Return `path` if it is a style sheet of matplotlib's.

    Raises FileNotFoundError if nothing is there, ValueError naming what is wrong with it, and
    UnknownNameError for a line about something that matplotlib does not know, with the nearest.
    """
    try:
        lines = regular(path).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}. Save it as UTF-8.") from error
    for number, line in enumerate(lines, 1):
        if name := line.partition("#")[0].partition(":")[0].strip():
            check_name(f"style in {path}, line {number}:", name, mpl.rcParams)
    try:
        mpl.rc_params_from_file(path, fail_on_error=True, use_default_template=False)
    except ValueError as error:
        raise ValueError(f"{path} is no style sheet of matplotlib's: {error}") from error
    return path


NAMES = {
    "aim": "AIM",
    "bms": "BMS",
    "covsal": "CovSal",
    "gbvs": "GBVS",
    "itti_koch": "Itti–Koch",
    "q_among_o": "Q among O",
    "o_among_q": "O among Q",
}


def label(name: str) -> str:
    """Return a category's, layer's or model's name as people write it: "person head", "GBVS"."""
    return NAMES.get(str(name), str(name).replace("_", " "))


def colours(names: Sequence[str]) -> list[tuple[float, float, float]]:
    """Return one colour a category; categories of a user's own get further ones."""
    spare = iter(sns.color_palette("husl", max(1, len(names))))
    return [PALETTE.get(name) or next(spare) for name in names]


def legend(
    figure: Figure,
    axis: Axes | Sequence[Axes],
    side: Literal["left", "center", "right"] = "right",
    columns: int | None = None,
) -> Figure:
    """Name what `axis`, or several, show above the figure, each name once, in so many columns.

    columns: None: all in one line.
    """
    shown = {}
    for each in [axis] if isinstance(axis, Axes) else axis:
        for handle, name in zip(*each.get_legend_handles_labels(), strict=True):
            shown.setdefault(name, handle)
    where, columns = f"outside upper {side}", columns or len(shown)
    figure.legend(shown.values(), shown, loc=where, ncols=columns, columnspacing=1.4)
    return figure
