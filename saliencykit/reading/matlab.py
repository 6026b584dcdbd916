"""Matlab's .mat files."""

from pathlib import Path
from typing import Any

import numpy as np
import scipy.io


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
