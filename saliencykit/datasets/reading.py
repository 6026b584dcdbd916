"""Reading .mat, JSON, CSV and mask files, with errors that name the file. Nothing is unpickled."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.io
from PIL import Image

from .base import naming


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
    """Return the named columns of a CSV file as text; the index is the line in the file.

    Of `optional` those that are there. Blank lines are skipped. Raises ValueError naming the file
    and the missing columns or the line.
    """
    try:
        table = pd.read_csv(
            path, dtype=str, keep_default_na=False, skip_blank_lines=False, encoding="utf-8-sig"
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as CSV: {str(error).strip()}.") from error
    table.columns = table.columns.str.strip()
    if lost := [c for c in columns if c not in table.columns]:
        raise ValueError(
            f"{path}, line 1: no column {', '.join(lost)}. Columns in it: "
            f"{', '.join(table.columns)}; expected {', '.join(columns)}."
        )
    columns += tuple(c for c in optional if c in table.columns)
    table = table[list(columns)].fillna("").set_axis(np.arange(2, len(table) + 2))
    return table.loc[(table != "").any(axis=1)]


def number_column(table: pd.DataFrame, column: str, path: Path) -> np.ndarray:
    """Return a column of `read_table` as float64; empty cells and "nan" are NaN."""
    text = table[column].str.strip()
    found = pd.Series(pd.to_numeric(text, errors="coerce"), index=text.index)
    wrong = found.isna() & ~text.str.lower().isin(["", "nan", "na"])
    if wrong.any():
        line = wrong.idxmax()
        raise ValueError(f"{path}, line {line}: {column} is {text[line]!r}, not a number.")
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
    wrong = ~text.str.fullmatch(r"\d{1,18}")
    if wrong.any():
        line = wrong.idxmax()
        raise ValueError(f"{path}, line {line}: {column} is {text[line]!r}, not 0, 1, 2 …")
    return text.to_numpy(dtype=np.int64)
