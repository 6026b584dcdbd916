"""JSON files, and what is to be in them: every value of its own type, every name once."""

import json
import reprlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ..paths import regular
from ..registry import one_spelling


def read_json(path: Path, packed: Callable[[dict], dict] | None = None) -> dict[str, Any]:
    """Return the object in a JSON file, its texts in one spelling of accents.

    `packed` is called with each object inside as it is read and may return it in another form.
    Raises ValueError naming the file, and the line where it is known: for what is no JSON, or no
    JSON number, for a name that an object has twice, and for what is nested too deeply.
    """

    def read(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = _object(pairs)
        return packed(found) if packed else found

    try:
        text = regular(path).read_text(encoding="utf-8-sig")
        found = json.loads(text, object_pairs_hook=read, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno}: not valid JSON ({error.msg}).") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error}).") from error
    except RecursionError as error:
        raise ValueError(f"{path}: its lists or objects are nested too deeply.") from error
    except ValueError as error:
        if str(error).startswith(str(path)):  # from `packed`, which knows the place
            raise
        raise ValueError(f"{path}: {str(error).partition(';')[0]}.") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected a JSON object {{…}}, found a {type(found).__name__}.")
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        name = _text(name)
        if name in found:
            raise ValueError(f"the name {shown(name)} is there twice in one object")
        found[name] = _composed(value)
    return found


def _composed(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list) and value and isinstance(value[0], str):
        return [_composed(one) for one in value]
    return value


def _text(text: str) -> str:
    """`text` in one spelling; ValueError for half a character, which can't be written anywhere."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{text!a} is no text ({error.reason})") from error
    return one_spelling(text)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def shown(value: object) -> str:
    """Return `value` as an error shows it: short, however much there is."""
    return reprlib.repr(value)


def as_text(value: object, where: str) -> str:
    """Return a text that is not empty. Raises ValueError naming `where`."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{where}: expected a text, found {shown(value)}.")
    return value


def as_texts(value: object, where: str) -> tuple[str, ...]:
    """Return a list of different texts. Raises ValueError naming `where`."""
    if not isinstance(value, list):
        raise ValueError(f"{where}: expected a list of texts, found {shown(value)}.")
    found = [as_text(one, where) for one in value]
    if twice := [one for k, one in enumerate(found) if one in found[:k]]:
        raise ValueError(f"{where}: {twice[0]!r} is there twice.")
    return tuple(found)


def as_flag(value: object, where: str) -> bool:
    """Return true or false: "no" is neither. Raises ValueError naming `where`."""
    if not isinstance(value, bool):
        raise ValueError(f"{where}: expected true or false, found {shown(value)}.")
    return value


def as_size(value: object, where: str) -> int:
    """Return a whole number of pixels, 1 or more. Raises ValueError naming `where`."""
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else 0
    if not 1 <= number <= 2**31 or number != int(number):
        raise ValueError(f"{where}: expected a number of pixels, found {shown(value)}.")
    return int(number)


def as_points(value: object, where: str) -> np.ndarray:
    """Return a list of pairs of numbers as (N, 2) float64. Raises ValueError naming `where`."""
    pairs: list[Any] = value if isinstance(value, list) else [None]
    if not pairs:
        return np.zeros((0, 2))
    try:
        found = np.array(pairs)
        numbers = found.dtype.kind in "iuf" and found.ndim == 2 and found.shape[1] == 2
    except (ValueError, OverflowError):  # pairs and others, a number too large
        found, numbers = np.zeros((0, 2)), False
    if not numbers or any(isinstance(v, bool) for pair in pairs for v in pair):
        raise ValueError(f"{where}: expected an N×2 list of numbers, found {shown(value)}.")
    return found.astype(np.float64)
