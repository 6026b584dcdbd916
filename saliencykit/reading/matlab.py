"""Matlab's .mat files."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..paths import regular
from .mat_elements import read_variables

UNKNOWN = "\ufffd"
"""What stands in a text for bytes that are no characters."""


def read_mat(path: Path, *variables: str) -> dict[str, Any]:
    """Return the named variables of a Matlab file (up to version 7).

    Numeric matrices are arrays; take structs and cells apart with `entries`, `member` and `text`.
    Raises FileNotFoundError, and ValueError naming the file and the variables it does hold.
    """
    try:
        with regular(path).open("rb") as file:
            found, names = read_variables(file, os.fstat(file.fileno()).st_size, variables)
    except NotImplementedError as error:  # version 7.3 is HDF5
        raise ValueError(f"{path} is a Matlab 7.3 file; save it with `save -v7`.") from error
    except ValueError as error:
        raise ValueError(
            f"{path} cannot be read as a .mat file ({error}); fetch it again, or save it anew with "
            "`save -v7`."
        ) from error
    if missing := [v for v in variables if v not in found]:
        held = ", ".join(names) or "none"
        raise ValueError(f"{path} has no variable {missing[0]!r}. Variables in it: {held}.")
    return found


def entries(value: object) -> list[Any]:
    """Return the elements of a Matlab cell or struct array, each freed of its 1×1 wrapping.

    None of numbers or text.
    """
    if isinstance(value, np.ndarray | str):
        return []
    return [_unwrapped(v) for v in value] if isinstance(value, list) else [value]


def _unwrapped(value: Any) -> Any:
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value


def member(entry: object, name: str, where: str) -> Any:
    """Return field `name` of a Matlab struct. Raises ValueError naming the fields it has."""
    if isinstance(entry, dict) and name in entry:
        return entry[name]
    has = (
        f"has the fields {', '.join(entry)}"
        if isinstance(entry, dict) and entry
        else "is no struct"
    )
    raise ValueError(f"{where}: field {name!r} is missing; what is there {has}.")


def text(entry: object, name: str, where: str) -> str:
    """Return the text in field `name` of a struct. Raises ValueError if it is none, or damaged."""
    found = member(entry, name, where)
    if not isinstance(found, str) or UNKNOWN in found:
        raise ValueError(f"{where}: {name!r} is no file name.")
    return found


def numbers(value: object, where: str) -> np.ndarray:
    """Return a Matlab matrix as float64, shape kept. Raises ValueError if it is not numeric."""
    try:
        if np.asarray(value).dtype.kind in "UScV":  # digits in a text are a name, not a number
            raise TypeError(value)
        return np.array(value, dtype=np.float64)
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
