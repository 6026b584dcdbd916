"""Compare the numbers behind new figures with the committed ones: `saliencykit figures --check`.

Tables are compared cell by cell in their own order, so a figure's table must be in an order that
does not hang on its numbers. Pictures are not compared: another machine's fonts would differ.
"""

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..registry import check_name

RTOL = 0.05
ATOL = 0.01
"""A number may differ from the committed one, c, by ATOL + RTOL·|c|. On one processor, in as many
threads, none does. Elsewhere sums are rounded otherwise, which training amplifies: scores of whole
models stay within this, some of single categories and units do not."""
SHOWN = 20
"""Differences listed of each file; the rest are counted."""

Tolerances = Mapping[str, Mapping[str, tuple[float, float]]]


@dataclass(frozen=True)
class Difference:
    """Where a new table departs from the committed one. `row` counts from 1, below the header."""

    file: str
    row: int | None
    column: str
    committed: str
    now: str


def compare_folders(
    committed: Path,
    now: Path,
    prefixes: list[str] | None = None,
    tolerances: Mapping[str, Mapping[str, tuple[float, float]]] = {},
) -> list[Difference]:
    """Differences between the CSVs of two figure folders; none if they agree.

    `prefixes`: of the committed files, only those starting with one of them are expected (all if
    None). `tolerances`: {file stem: {column: (rtol, atol)}} where the defaults do not fit. A PNG in
    `now` without a CSV beside it is a difference too. Raises UnknownNameError if `tolerances` names
    a column that its table lacks.
    """
    old = {p.name: p for p in sorted(committed.glob("*.csv")) if _starts(p.name, prefixes)}
    new = {p.name: p for p in sorted(now.glob("*.csv"))}
    found = []
    for name in sorted(old | new):
        if name not in new:
            found.append(Difference(name, None, "", "a table", "missing"))
        elif name not in old:
            found.append(Difference(name, None, "", "missing", "a table"))
        else:
            found += compare_tables(old[name], new[name], tolerances.get(Path(name).stem, {}))
    for picture in sorted(now.glob("*.png")):
        if not picture.with_suffix(".csv").exists():
            found.append(Difference(picture.name, None, "", "", "no CSV beside this picture"))
    return found


def _starts(name: str, prefixes: list[str] | None) -> bool:
    return prefixes is None or name.startswith(tuple(prefixes))


def compare_tables(
    committed: Path, now: Path, tolerances: Mapping[str, tuple[float, float]] = {}
) -> list[Difference]:
    """Differences between two CSV files with a header: columns, number of rows, then each cell."""
    old, new = _read(committed), _read(now)
    for column in tolerances:
        check_name(f"column of {committed.name} (under `check` in the profile)", column, old[0])
    if old[0] != new[0]:
        return [Difference(now.name, None, "", _columns(old[0]), _columns(new[0]))]
    if len(old) != len(new):
        rows = f"{len(old) - 1} rows", f"{len(new) - 1} rows"
        return [Difference(now.name, None, "", *rows)]
    return list(_cells(now.name, old, new, tolerances))


def _read(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file)) or [[]]


def _columns(header: list[str]) -> str:
    return f"columns {', '.join(header)}"


def _cells(
    name: str,
    old: list[list[str]],
    new: list[list[str]],
    tolerances: Mapping[str, tuple[float, float]],
) -> Iterator[Difference]:
    for row, (before, after) in enumerate(zip(old[1:], new[1:], strict=True), start=1):
        if len(before) != len(after):
            yield Difference(name, row, "", f"{len(before)} cells", f"{len(after)} cells")
            continue
        for column, a, b in zip(old[0], before, after, strict=False):
            if not agree(a, b, *tolerances.get(column, (RTOL, ATOL))):
                yield Difference(name, row, column, a, b)


def agree(committed: str, now: str, rtol: float = RTOL, atol: float = ATOL) -> bool:
    """Whether two cells agree: equal texts, or numbers with |now - c| ≤ atol + rtol·|c|.

    NaN and infinities agree only with themselves.
    """
    if committed == now:
        return True
    try:
        a, b = float(committed), float(now)
    except ValueError:
        return False
    if not (math.isfinite(a) and math.isfinite(b)):
        return a == b or (math.isnan(a) and math.isnan(b))
    return abs(b - a) <= atol + rtol * abs(a)


def report(differences: list[Difference]) -> str:
    """Return the differences as a readable table, at most SHOWN of each file."""
    lines = []
    for file in dict.fromkeys(d.file for d in differences):
        own = [d for d in differences if d.file == file]
        shown = [(str(d.row or ""), d.column, d.committed, d.now) for d in own[:SHOWN]]
        lines += [file, *table(("row", "column", "committed", "now"), shown)]
        if len(own) > SHOWN:
            lines.append(f"  … and {len(own) - SHOWN} more")
    return "\n".join(lines)


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Return lines of a plain text table, columns padded to their widest cell."""
    cells = [header, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    padded = (
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells
    )
    return [f"  {line}" for line in padded]
