"""Reading .mat, JSON, CSV and mask files, with errors that name the file. Nothing is unpickled."""

import codecs
import csv
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.io
from PIL import Image

from .base import naming

DELIMITERS = ",\t;"
MISSING = ("", ".", "-", "na", "n/a", "nan", "null", "none")
"""What stands for no value, in small letters: a point in EyeLink's reports."""


def read_mat(path: Path, *variables: str) -> dict[str, np.ndarray]:
    """Return the named variables of a Matlab file (up to version 7) as scipy reads them.

    Structs are scipy's `mat_struct`; take them apart with `entries` and `member`. Raises
    FileNotFoundError, and ValueError naming the file and the variables it does hold.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there.")
    try:
        found = scipy.io.loadmat(path, variable_names=variables, struct_as_record=False)
    except NotImplementedError as error:  # version 7.3 is HDF5
        raise ValueError(f"{path} is a Matlab 7.3 file; save it with `save -v7`.") from error
    except Exception as error:  # scipy raises a dozen kinds for a damaged file
        raise ValueError(f"{path} cannot be read as a .mat file ({error}); fetch it again.") from (
            error
        )
    for variable in variables:
        if variable not in found:
            held = ", ".join(name for name, *_ in scipy.io.whosmat(path)) or "none"
            raise ValueError(f"{path} has no variable {variable!r}. Variables in it: {held}.")
    return {v: found[v] for v in variables}


def entries(value: object) -> list[Any]:
    """Return the elements of a Matlab cell or struct array, each freed of its 1×1 wrapping.

    scipy gives a cell of structs as an object array of 1×1 object arrays, a struct array as an
    object array of structs, and an empty cell element as an empty numeric array.
    """
    if not isinstance(value, np.ndarray):
        return [value]
    return [_unwrapped(v) for v in value.ravel()] if value.dtype == object else []


def _unwrapped(value: Any) -> Any:
    while isinstance(value, np.ndarray) and value.dtype == object and value.size == 1:
        value = value.item()
    return value


def member(entry: object, name: str, where: str) -> Any:
    """Return field `name` of a Matlab struct. Raises ValueError naming the fields it has."""
    fields = getattr(entry, "_fieldnames", None)
    if fields is None or name not in fields:
        has = f"has the fields {', '.join(fields)}" if fields else "is no struct"
        raise ValueError(f"{where}: field {name!r} is missing; what is there {has}.")
    return getattr(entry, name)


def numbers(value: object, where: str) -> np.ndarray:
    """Return a Matlab matrix as float64, shape kept. Raises ValueError if it is not numeric."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: expected numbers, found {str(value)[:60]!r}.") from error


def points(value: object, where: str) -> np.ndarray:
    """Return an (N, 2) float64 array of points; N may be 0."""
    found = numbers(value, where)
    if found.size == 0:
        return np.zeros((0, 2))
    if found.ndim != 2 or found.shape[1] != 2:
        raise ValueError(f"{where}: expected an N×2 list of points, its shape is {found.shape}.")
    return found


def read_json(path: Path, packed: Callable[[dict], dict] | None = None) -> dict[str, Any]:
    """Return the object in a JSON file. Raises ValueError naming the file and the line.

    `packed` is called with each object inside as it is read and may return it in another form.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"), object_hook=packed)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno}: not valid JSON ({error.msg}).") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error}).") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected a JSON object {{…}}, found a {type(found).__name__}.")
    return found


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
    with path.open("rb") as file:
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


def read_grey(path: Path, kind: str) -> np.ndarray:
    """Return a picture as float32 (H, W), 0…1. Raises ValueError naming the file, if no `kind`."""
    with naming(path, kind), Image.open(path) as image:
        return np.array(image.convert("L"), dtype=np.float32) / 255


def read_mask(path: Path) -> np.ndarray:
    """Return an index mask (H, W), int64: a palette or grey PNG's indices, or a plain .npy."""
    with naming(path, "a mask"):
        if path.suffix == ".npy":
            mask = np.load(path, allow_pickle=False)
        else:
            with Image.open(path) as image:
                if image.mode not in ("P", "L", "I", "I;16", "1"):
                    raise ValueError(f"its mode is {image.mode}, expected a palette of class ids")
                mask = np.array(image)
    if mask.ndim != 2 or mask.dtype.kind not in "iub":
        raise ValueError(f"{path}: a mask is (H, W) integers, not {mask.shape} {mask.dtype}.")
    return mask.astype(np.int64)


def whole_column(table: pd.DataFrame, column: str, path: Path) -> np.ndarray:
    """Return a column of `read_table` as int64. Raises ValueError for what does not count."""
    text = table[column].str.strip()
    wrong = ~text.str.fullmatch(r"\d{1,18}(\.0*)?")  # pandas writes 0.0 where one is missing
    if wrong.any():
        line = wrong.idxmax()
        raise ValueError(f"{path}, line {line}: {column} is {text[line]!r}, not 0, 1, 2 …")
    return text.str.partition(".")[0].to_numpy(dtype=np.int64)
