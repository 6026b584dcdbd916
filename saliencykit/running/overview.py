"""The paper's four findings in one picture, figures/<profile>/findings.png: a panel each.

Its numbers stand beside it, findings.csv. Drawn from nothing but the tables that the notebooks left
in that folder.
"""

import warnings
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from ..dissection import singles
from ..intervals import RATE
from ..viewing.files import write_figure
from ..viewing.plots import faint, level, name_rows, only, points, unique, verdicts
from ..viewing.style import WIDTH, use_style

PICTURE = "findings.png"
NUMBERS = ["finding", "row", "value", "low", "high", "p_adjusted"]
"""Columns of the table beside it; p_adjusted: where tests were corrected."""
NAMES = {"cka_debiased": "CKA", "change": "Δ selectivity"}
"""Of measures of alikeness; Δ: what training changed."""
WHO = {"networks": "all networks", "fine-tuned": "fine-tuned"}
SIDES = {
    "natural": "natural images",
    "efficient": "efficient search",
    "inefficient": "other search",
}
"""Sides of F3: what people see every day, and searches that are efficient for people or not."""


def write(folder: Path) -> Path | None:
    """Draw those of the four findings whose tables are in `folder`; None if there are none.

    Of tables that are not what a notebook writes it warns.
    """
    paths = [(title, folder / f"{stem}.csv", draw) for title, stem, draw in PANELS]
    found = [(title, draw, table) for title, table, draw in paths if table.is_file()]
    if not found:
        return None
    path, shown = folder / PICTURE, []
    with plt.rc_context():
        use_style()
        lines = -(-len(found) // 2)
        figure, grid = plt.subplots(lines, 2, figsize=(WIDTH, 3.3 * lines), squeeze=False)
        for axis in grid.flat[len(found) :]:
            axis.set_visible(False)
        for axis, (title, draw, table) in zip(grid.flat, found, strict=False):
            axis.set_title(title)
            level(axis, upright=True)
            try:
                shown.append(draw(axis, pd.read_csv(table)).assign(finding=title.partition(" ")[0]))
            except (KeyError, IndexError, ValueError) as error:
                warnings.warn(f"{table} is not shown in {PICTURE}: {error!r}", stacklevel=2)
        numbers = pd.concat(shown or [pd.DataFrame()]).reindex(columns=NUMBERS)
        write_figure(figure, path, numbers)
    return path


def others(folder: Path) -> Path | None:
    """Return the picture of this name, or its table, that somebody else put into `folder`, if any.

    Ours stand together, and the table, which is written first, has our columns.
    """
    picture = folder / PICTURE
    table = picture.with_suffix(".csv")
    if not table.exists():
        return picture if picture.exists() else None
    first = table.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    return None if first.strip() == ",".join(NUMBERS) else table


def _rows(axis: Axes, table: pd.DataFrame, by: str, what: str) -> pd.DataFrame:
    """Draw a row a value of `by`: its number with its interval, and single trainings; return them.

    Where tests were corrected, what they leave undecided is.
    """
    told = table.dropna(subset="value")
    held = told.get("p_adjusted", pd.Series(0.0, told.index)) <= RATE
    places = name_rows(axis, unique(told, by))[told[by]]
    faint(axis, singles(told), places, below=0.28)
    verdicts(axis, told[held], places[held.to_numpy()], "value")
    points(axis, told[~held], places[~held.to_numpy()], colour="0.6")
    axis.tick_params(labelsize=8.5)
    axis.set_xlabel(what, fontsize=9.5)
    return told.assign(row=told[by].str.replace("\n", ", "))


def _units(axis: Axes, table: pd.DataFrame) -> pd.DataFrame:
    """F1: by how much the best tenth of units exceeds that of untrained networks."""
    chosen = table[table["best"] < 1]
    names = {"difference": "value", "difference_low": "low", "difference_high": "high"}
    what = (
        f"best tenth of {chosen['layer'].iloc[0]}'s units, region NSS,\nminus untrained networks'"
    )
    return _rows(axis, chosen.rename(columns=names), "category", what)


def _favoured(axis: Axes, table: pd.DataFrame) -> pd.DataFrame:
    """F2: what fine-tuning adds to the map's region NSS."""
    what = "what fine-tuning adds to the map's\nregion NSS, share of people's"
    axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return _rows(axis, only(table, measure="share", what="change"), "category", what)


def _lead(axis: Axes, table: pd.DataFrame) -> pd.DataFrame:
    """F3: by how much networks lead classical models."""
    leads = only(table, what="lead")
    leads = leads[leads["side"].isin(list(SIDES)) & leads["who"].isin(list(WHO))]
    named = leads.assign(row=leads["side"].replace(SIDES) + "\n" + leads["who"].replace(WHO))
    what = "lead over classical models: of people's NSS;\nin searches, odd item most salient"
    axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return _rows(axis, named, "row", what)


def _apart(axis: Axes, table: pd.DataFrame) -> pd.DataFrame:
    """F4: by how much networks taught saliency are more like each other than like others."""
    chosen = only(table, first="saliency").sort_values("second", kind="stable")
    named = chosen.assign(row=chosen["second"] + ": " + chosen["measure"].replace(NAMES))
    what = "networks taught saliency, alike\nto each other minus to those taught …"
    return _rows(axis, named, "row", what)


PANELS: list[tuple[str, str, Callable[[Axes, pd.DataFrame], pd.DataFrame]]] = [
    ("F1 · Encoded before a fixation is seen?", "02_best_units", _units),
    ("F2 · What is favoured?", "03_map", _favoured),
    ("F3 · Is the odd one out missed?", "04_lead", _lead),
    ("F4 · Is it the task?", "05_apart", _apart),
]
"""Title, table and how it is drawn."""
