"""How every figure looks, and where it goes: a PNG with the CSV of its numbers beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from ..datasets import CATEGORIES
from ..evaluation import CENTRE
from ..models import classical
from ..paths import FIGURE_MIME, whole

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
    shades = sns.color_palette("RdPu", len(shaded) + 2)[2:]
    looks = {m: Look(shades[k], MARKS[k % len(MARKS)]) for k, m in enumerate(shaded)} | LOOKS
    return {m: looks[m] for m in models}


def use_style() -> None:
    """Set fonts, lines and colours for every figure that follows."""
    sns.set_theme(
        context="notebook",
        style="ticks",
        rc={
            "figure.dpi": 150,
            "savefig.dpi": "figure",  # sheets of pictures have a lower one of their own
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 10.5,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.labelsize": 10.5,
            "figure.labelsize": 10.5,
            "xtick.labelsize": 9.5,
            "ytick.labelsize": 9.5,
            "legend.fontsize": 9.5,
            "legend.frameon": False,
            "image.cmap": "magma",
        },
    )


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
    size: float = 9.5,
) -> Figure:
    """Name what `axis`, or several, show above the figure, in one line or so many columns."""
    axes = [axis] if isinstance(axis, Axes) else axis
    shown = [pair for each in axes for pair in zip(*each.get_legend_handles_labels(), strict=True)]
    handles, names = [handle for handle, _ in shown], [name for _, name in shown]
    where, columns = f"outside upper {side}", columns or len(names)
    figure.legend(handles, names, loc=where, ncols=columns, fontsize=size, columnspacing=1.4)
    return figure


def write_figure(figure: Figure, path: Path, table: pd.DataFrame) -> tuple[int, int]:
    """Write a picture (PNG) and, beside it, its numbers (CSV), each whole or not at all.

    Returns the picture's width and height in pixels.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path.with_suffix(".csv")) as part:
        table.to_csv(part, index=False, float_format="%.6g")
    with whole(path) as part:
        figure.savefig(part, format="png", metadata={"Software": None})
    plt.close(figure)  # the notebook shows the file, once
    with Image.open(path) as picture:
        return picture.size


def show_figure(path: Path, about: Mapping[str, object]) -> None:
    """Show a saved picture in the notebook, with what `figures` keeps of it in its record."""
    with Image.open(path) as picture:  # as large on the page as it was drawn
        scale = picture.info.get("dpi", (100, 100))[0] / 100
        width, height = picture.size
    bundle = {"image/png": path.read_bytes(), FIGURE_MIME: dict(about), "text/plain": path.stem}
    look = {"image/png": {"width": round(width / scale), "height": round(height / scale)}}
    display(bundle, raw=True, metadata=look)
