"""A figure's files: a PNG and the CSV of its numbers, and what a paper takes of both."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import display
from matplotlib.figure import Figure
from PIL import Image

from ..paths import FIGURE_MIME, FOR_PAPER, whole
from .latex import latex

UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
PAPER_DPI = 240  # of photographs and maps in them: 300 where the figure is 183 mm wide


def write_figure(
    figure: Figure, path: Path, table: pd.DataFrame, paper: bool = False
) -> tuple[int, int]:
    """Write a picture (PNG) and, beside it, its numbers (CSV), each whole or not at all.

    paper: also `FOR_PAPER`; what of this is there already is renewed anyway, so that no two files
    of a figure tell of different numbers. Returns the picture's width and height in pixels.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path.with_suffix(".csv")) as part:
        table.to_csv(part, index=False, float_format="%.6g")
    with whole(path) as part:
        figure.savefig(part, format="png", metadata={"Software": None})
    for kind in FOR_PAPER:
        if paper or path.with_suffix(f".{kind}").exists():
            with whole(path.with_suffix(f".{kind}")) as part:
                _write_for_paper(figure, table, kind, part)
    plt.close(figure)  # the notebook shows the file, once
    with Image.open(path) as picture:
        return picture.size


def _write_for_paper(figure: Figure, table: pd.DataFrame, kind: str, part: Path) -> None:
    if kind == "tex":
        part.write_text(latex(table), encoding="utf-8", newline="\n")
    else:
        figure.savefig(part, format=kind, dpi=PAPER_DPI, metadata=UNDATED[kind])


def show_figure(path: Path, about: Mapping[str, object]) -> None:
    """Show a saved picture in the notebook, with what `figures` keeps of it in its record."""
    with Image.open(path) as picture:  # as large on the page as it was drawn
        scale = picture.info.get("dpi", (100, 100))[0] / 100
        width, height = picture.size
    bundle = {"image/png": path.read_bytes(), FIGURE_MIME: dict(about), "text/plain": path.stem}
    look = {"image/png": {"width": round(width / scale), "height": round(height / scale)}}
    display(bundle, raw=True, metadata=look)
