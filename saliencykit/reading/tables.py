"""Text tables: values between commas, tabs or semicolons."""

import codecs
import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..paths import regular
from ..registry import one_spelling

DELIMITERS = ",\t;"
MISSING = ("", ".", "-", "na", "n/a", "nan", "null", "none")
"""What stands for no value, in small letters: a point in EyeLink's reports."""


def read_table(
    path: Path, columns: tuple[str, ...], optional: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Return the named columns of a text table as text; the index is the line in the file.

    Of `optional` those that are there. Values stand between commas, tabs or semicolons, whichever
    the header has most of, in UTF-8 or UTF-16, and are returned in one spelling of accents. Blank
    lines are skipped, and so are delimiters that end a row. Raises ValueError naming the file and
    the missing columns, a column that is there twice, or the line of a row that has a value too
    many or too few: who can say which of them belongs to which column?
    """
    rows = _rows(path)
    _, header = next(rows)
    columns, optional = (tuple(map(one_spelling, names)) for names in (columns, optional))
    if lost := [c for c in columns if c not in header]:
        raise ValueError(
            f"{path}, line 1: no column {', '.join(lost)}. Columns in it: "
            f"{', '.join(header)}; expected {', '.join(columns)}."
        )
    chosen = [*columns, *(c for c in optional if c in header)]
    _check_once(path, header, chosen)
    places = [header.index(c) for c in chosen]
    lines, found = [], []
    for line, row in rows:
        lines.append(line)
        found.append([one_spelling(row[k]) for k in places])
    return pd.DataFrame(found, index=lines, columns=chosen, dtype=str)


def column_names(path: Path) -> list[str]:
    """Return the names in the first line of a text table. Raises as `read_table`."""
    return next(_rows(path))[1]


def _check_once(path: Path, header: Sequence[str], chosen: Sequence[str]) -> None:
    """Raise ValueError if one of the `chosen` columns has a twin, capitals apart."""
    for column in chosen:
        twins = [name for name in header if name.casefold() == column.casefold()]
        if len(twins) > 1:
            raise ValueError(
                f"{path}, line 1: there are two columns {' and '.join(dict.fromkeys(twins))}; "
                "rename one of them."
            )


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and values of each row of a text table, all as many as the first names.

    Delimiters at the end of a line have nothing after them, and are no values; but where some lines
    have them, one that has fewer and nothing in its last column may lack a value anywhere.
    """
    try:
        with path.open(encoding=_encoding(path), newline="") as file:
            head = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(DELIMITERS, key=head.count), strict=True)
            names = [one_spelling(name.strip()) for name in next(reader, [])]
            header = _without_end(names)
            if not header:
                raise ValueError(f"{path} cannot be read as CSV: its first line is empty.")
            yield 1, header
            widest, short = len(names), (math.inf, 1)
            for row in reader:
                if not any(row):
                    continue
                if any(row[len(header) :]) or len(row) < len(header):
                    raise _misfit(path, reader.line_num, len(row), header)
                if not row[len(header) - 1]:
                    short = min(short, (len(row), reader.line_num))
                widest = max(widest, len(row))
                yield reader.line_num, row
            if short[0] < widest:
                raise _misfit(path, short[1], len(header) - 1, header)
    except (csv.Error, UnicodeError) as error:
        raise ValueError(
            f"{path} cannot be read as CSV: {error}. Save it as text, UTF-8 or UTF-16; Excel calls "
            "it 'CSV UTF-8'."
        ) from error


def _misfit(path: Path, line: int, values: int, header: Sequence[str]) -> ValueError:
    """The error for a line of so many values."""
    return ValueError(
        f"{path}, line {line}: {values} values, but line 1 names {len(header)} columns. Is there a "
        f"delimiter or a quote too {'few' if values < len(header) else 'many'}?"
    )


def _without_end(names: list[str]) -> list[str]:
    """`names` without the empty ones behind the last that is none."""
    return names[: max((k for k, name in enumerate(names, 1) if name), default=0)]


def _encoding(path: Path) -> str:
    with regular(path).open("rb") as file:
        start = file.read(2)
    return "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def missing_values(text: Iterable[str]) -> np.ndarray:
    """Return whether each of `text` stands for no value (`MISSING`), bool (N,)."""
    return np.array([value.strip().casefold() in MISSING for value in text], dtype=bool)


def check_observers(labels: pd.Series, path: Path, column: str = "observer") -> None:
    """Raise ValueError naming file and line if a fixation, a row of `read_table`, is nobody's."""
    nobody = np.asarray(missing_values(labels))
    if nobody.any():
        k = int(nobody.argmax())
        raise ValueError(
            f"{path}, line {labels.index[k]}: {column} is {labels.iloc[k]!r}: whose fixation is it?"
        )


def number_column(table: pd.DataFrame, column: str, path: Path, decimal: str = ".") -> np.ndarray:
    """Return a column of `read_table` as float64; what stands for no value (`MISSING`) is NaN.

    `decimal` is what stands before decimals, "." or ",": the other is in no number, since one that
    parts thousands looks alike. Raises ValueError naming the line.
    """
    text = table[column].str.strip()
    plain = text.str.replace(decimal, ".", regex=False)
    found = pd.Series(pd.to_numeric(plain, errors="coerce"), index=text.index)
    none = text.str.lower().isin(MISSING)
    wrong = found.isna() & ~none
    if decimal != ".":
        wrong |= text.str.contains(".", regex=False) & ~none
    if wrong.any():
        line = wrong.idxmax()
        comma = "," in text[line] and decimal == "."
        hint = " A decimal comma? `saliencykit import … --decimal ,` reads it." if comma else ""
        raise ValueError(f"{path}, line {line}: {column} is {text[line]!r}, not a number.{hint}")
    return found.to_numpy(np.float64)


def whole_column(table: pd.DataFrame, column: str, path: Path) -> np.ndarray:
    """Return a column of `read_table` as int64. Raises ValueError for what does not count."""
    text = table[column].str.strip()
    wrong = ~text.str.fullmatch(r"\d{1,18}(\.0*)?")  # pandas writes 0.0 where one is missing
    if wrong.any():
        line = wrong.idxmax()
        raise ValueError(f"{path}, line {line}: {column} is {text[line]!r}, not 0, 1, 2 …")
    return text.str.partition(".")[0].to_numpy(dtype=np.int64)
