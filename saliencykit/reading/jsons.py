"""JSON files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..paths import regular


def read_json(path: Path, packed: Callable[[dict], dict] | None = None) -> dict[str, Any]:
    """Return the object in a JSON file. Raises ValueError naming the file and the line.

    `packed` is called with each object inside as it is read and may return it in another form.
    """
    try:
        found = json.loads(regular(path).read_text(encoding="utf-8-sig"), object_hook=packed)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno}: not valid JSON ({error.msg}).") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error}).") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected a JSON object {{…}}, found a {type(found).__name__}.")
    return found
