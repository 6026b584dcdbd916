"""How each of the paper's four findings is drawn in a panel: see `overview`."""

import warnings
from collections.abc import Callable, Sequence
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

NAMES = {"cka_debiased": "CKA", "change": "Δ selectivity"}
"""Of measures of alikeness; Δ: what training changed."""
WHO = {"networks": "all networks", "fine-tuned": "fine-tuned"}
ROW = 0.19  # inches
SIDES = {
    "natural": "natural images",
    "efficient": "efficient search",
    "inefficient": "inefficient search",
}
"""Sides of F3: what people see every day, and searches that are efficient for people or not."""


def draw(tables: Sequence[Path], path: Path, columns: Sequence[str]) -> None:
    """Draw `tables`, each in the panel of its name, as `path`; their numbers, `columns`, beside it.

    Of tables that are not what a notebook writes it warns.
    """
    shown = []
    with plt.rc_context():
        use_style()
        lines = -(-len(tables) // 2)
        figure, grid = plt.subplots(lines, 2, squeeze=False)
        for axis in grid.flat[len(tables) :]:
            axis.set_visible(False)
        for axis, table in zip(grid.flat, tables, strict=False):
            title, drawn = PANELS[table.stem]
            axis.set_title(title)
            level(axis, upright=True)
            beside = table.with_name(f"{BESIDE.get(table.stem, '')}.csv")
            try:
                parts = [pd.read_csv(path) for path in (table, beside) if path.is_file()]
                numbers = drawn(axis, pd.concat(parts, ignore_index=True))
                shown.append(numbers.assign(finding=title.partition(" ")[0]))
            except (KeyError, IndexError, ValueError) as error:
                warnings.warn(f"{table} is not shown in {path.name}: {error!r}", stacklevel=3)
        tall = [1.3 + ROW * max(len(axis.get_yticks()) for axis in line) for line in grid]
        grid[0, 0].get_gridspec().set_height_ratios(tall)
        figure.set_size_inches(WIDTH, sum(tall))
        numbers = pd.concat(shown or [pd.DataFrame()]).reindex(columns=columns)
        write_figure(figure, path, numbers)


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
    """F2: what fine-tuning adds to the map's region NSS, and by how much more at one of a pair."""
    what = "what fine-tuning adds to the map's\nregion NSS, share of people's"
    axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    added = only(table, measure="share", what="change")
    if "second" in table:
        pair = only(table, measure="share", part="map").dropna(subset="second")
        names = pair["first"].astype(str) + " − " + pair["second"].astype(str)
        added = pd.concat([added, pair.assign(category=names)], ignore_index=True)
    return _rows(axis, added, "category", what)


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


PANELS: dict[str, tuple[str, Callable[[Axes, pd.DataFrame], pd.DataFrame]]] = {
    "02_best_units": ("F1 · Encoded before a fixation is seen?", _units),
    "03_map": ("F2 · What is favoured?", _favoured),
    "04_lead": ("F3 · Is the odd one out missed?", _lead),
    "05_apart": ("F4 · Is it the task?", _apart),
}
"""Of each of `overview.TABLES`: title, and how it is drawn."""
BESIDE = {"03_map": "03_favoured"}
"""Of a table another one whose rows are drawn under its own."""
