"""Text tables: values between commas, tabs or semicolons."""

import codecs
import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from ..paths import regular

DELIMITERS = ",\t;"
MISSING = ("", ".", "-", "na", "n/a", "nan", "null", "none")
"""What stands for no value, in small letters: a point in EyeLink's reports."""


def read_table(
    path: Path, columns: tuple[str, ...], optional: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Return the named columns of a text table as text; the index is the line in the file.

    Of `optional` those that are there. Values stand between commas, tabs or semicolons, whichever
    the header has most of, in UTF-8 or UTF-16. Blank lines are skipped, values that a row lacks at
    its end are empty. Raises ValueError naming the file and the missing columns, or the line of a
    row that has a value too many.
    """
    rows = _rows(path)
    _, header = next(rows)
    if lost := [c for c in columns if c not in header]:
        raise ValueError(
            f"{path}, line 1: no column {', '.join(lost)}. Columns in it: "
            f"{', '.join(header)}; expected {', '.join(columns)}."
        )
    chosen = [*columns, *(c for c in optional if c in header)]
    if twice := [c for c in chosen if header.count(c) > 1]:
        raise ValueError(f"{path}, line 1: there are two columns {twice[0]}; rename one of them.")
    places = [header.index(c) for c in chosen]
    lines, found = [], []
    for line, row in rows:
        if any(row):
            lines.append(line)
            found.append([row[k] if k < len(row) else "" for k in places])
    return pd.DataFrame(found, index=lines, columns=chosen, dtype=str)


def column_names(path: Path) -> list[str]:
    """Return the names in the first line of a text table. Raises as `read_table`."""
    return next(_rows(path))[1]


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and values of each row of a text table, none longer than the first."""
    try:
        with path.open(encoding=_encoding(path), newline="") as file:
            head = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(DELIMITERS, key=head.count), strict=True)
            header = [name.strip() for name in next(reader, [])]
            if not any(header):
                raise ValueError(f"{path} cannot be read as CSV: its first line is empty.")
            yield 1, header
            for row in reader:
                if any(row[len(header) :]):
                    raise ValueError(
                        f"{path}, line {reader.line_num}: {len(row)} values, but line 1 names "
                        f"{len(header)} columns. Is there a delimiter or a quote too many?"
                    )
                yield reader.line_num, row
    except (csv.Error, UnicodeError) as error:
        raise ValueError(
            f"{path} cannot be read as CSV: {error}. Save it as text, UTF-8 or UTF-16; Excel calls "
            "it 'CSV UTF-8'."
        ) from error


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

    `decimal` is what stands before decimals, "." or ",". Raises ValueError naming the line.
    """
    text = table[column].str.strip()
    plain = text.str.replace(decimal, ".", regex=False)
    found = pd.Series(pd.to_numeric(plain, errors="coerce"), index=text.index)
    wrong = found.isna() & ~text.str.lower().isin(MISSING)
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
