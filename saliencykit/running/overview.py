"""The paper's four findings in one picture, figures/<profile>/findings.png: a panel each.

Its numbers stand beside it, findings.csv. Drawn from nothing but the tables that the notebooks left
in that folder.
"""

from pathlib import Path

PICTURE = "findings.png"
NUMBERS = ["finding", "row", "value", "low", "high", "p_adjusted"]
"""Columns of the table beside it; p_adjusted: where tests were corrected."""
TABLES = ("02_best_units", "03_map", "04_lead", "05_apart")
"""What is drawn, a panel each."""


def write(folder: Path) -> Path | None:
    """Draw those of the four findings whose tables are in `folder`; None if there are none.

    Of tables that are not what a notebook writes it warns.
    """
    tables = [path for stem in TABLES if (path := folder / f"{stem}.csv").is_file()]
    if not tables:
        return None
    from . import panels  # and torch with it: seconds, for which the first notebook shall not wait

    panels.draw(tables, folder / PICTURE, NUMBERS)
    return folder / PICTURE


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
