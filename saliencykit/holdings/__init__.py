"""The cache seen from outside: what it holds, and what of it may go.

An entry is what `cache.cached` has written: <kind>/<16 hex digits>.safetensors, an ordinary file in
an ordinary folder, whose header is one of ours. A training that was interrupted is kept beside as
.partial. Nothing else in the cache is listed or touched: data sets, models kept under a name,
executed notebooks, and whatever somebody else has put there.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from ..paths import PART, SILENT, cache_root, remove_left
from ..registry import check_name
from ..sources import code_named

ENTRY = re.compile(r"(?P<kind>[a-z]\w*)/(?P<key>[0-9a-f]{16})\.(?P<end>safetensors|partial)")
NO_KINDS = {"data", "executed", "models", "pages", "sweeps", "written"}
"""Folders in the cache that hold something else than entries."""


@dataclass(frozen=True)
class Holding:
    """An entry as its file's header tells it, without its tensors.

    `name`: kind and hash of the key ("training/0123456789abcdef"); `size` in bytes; `when` it was
    made; `whole`: not an interrupted training; `named`: whether it tells what it is of; `made`:
    what made it (see `cache.origins.made`), None for entries from before that was told.
    """

    path: Path
    name: str
    size: int
    when: datetime
    whole: bool
    named: bool
    made: Mapping[str, Any] | None

    @property
    def kind(self) -> str:
        """What sort of computation it is the result of."""
        return self.name.partition("/")[0]

    @property
    def words(self) -> str:
        """The key in words, on one line; of texts nothing that would steer a terminal."""
        told = _flat(self.made["key"]) if self.made else "not told"
        return "".join(c if c.isprintable() else "�" for c in told)

    @property
    def outdated(self) -> bool:
        """Whether code that it hangs on has changed since, so that nobody asks for it any more.

        Not of entries that do not tell. Code counts as in `sources`: not comments or layout.
        """
        return any(_changed(*code) for code in (self.made or {"codes": {}})["codes"].items())


def _flat(words: Any) -> str:
    """Write a key as people would, without hashes of code, which are told apart."""
    if isinstance(words, Mapping):
        told = ((k, v) for k, v in words.items() if k != "code" and v not in (None, [], {}, ""))
        return ", ".join(
            f"{k} ({_flat(v)})" if isinstance(v, Mapping) else f"{k} {_flat(v)}" for k, v in told
        )
    if isinstance(words, list):
        return " ".join(map(_flat, words))
    return f"{words:.4g}" if isinstance(words, float) else str(words)


def _changed(names: str, code: str) -> bool:
    try:
        return code_named(names) != code
    except ValueError:  # a text that names nothing
        return False


def holdings() -> list[Holding]:
    """Return what the cache holds, by kind and in the order in which it was made."""
    return sorted(_found(cache_root()), key=lambda one: (one.kind, one.when, one.name))


def _found(root: Path) -> Iterator[Holding]:
    for folder in _inside(root, lambda entry: entry.is_dir(follow_symlinks=False)):
        for file in _inside(folder, lambda entry: entry.is_file(follow_symlinks=False)):
            if found := held(file, f"{folder.name}/{file.name}"):
                yield found


def _inside(folder: Path, wanted: Callable[[os.DirEntry[str]], bool]) -> list[Path]:
    """What is in a folder and may be looked at."""
    with suppress(OSError), os.scandir(folder) as entries:
        return [Path(entry) for entry in entries if wanted(entry)]
    return []


def held(file: Path, place: str) -> Holding | None:
    """Return the entry in `file` that is to lie at `place` in the cache; None if it is none."""
    called = ENTRY.fullmatch(place)
    if not called or called["kind"] in NO_KINDS:
        return None
    try:
        with safe_open(file, framework="pt") as opened:
            told = opened.metadata() or {}
        status = file.stat()
    except (OSError, SafetensorError):
        return None
    name = f"{called['kind']}/{called['key']}"
    if "meta" not in told or told.get("of", name) != name:
        return None
    made = _made(told.get("made"))
    changed = datetime.fromtimestamp(status.st_mtime, UTC)
    when = datetime.fromisoformat(made["when"]) if made else changed
    whole = called["end"] == "safetensors"
    return Holding(file, name, status.st_size, when, whole, "of" in told, made)


def _made(told: str | None) -> Mapping[str, Any] | None:
    """Return what an entry tells of how it was made, if it does so as `cache.origins.made` does."""
    with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
        found = json.loads(told or "null")
        texts = [found["version"], found["processor"], *found["codes"].values()]
        right = all(isinstance(text, str) for text in texts) and isinstance(found["key"], dict)
        zone = datetime.fromisoformat(found["when"]).tzinfo
        if right and zone is not None and isinstance(found["seconds"], int | float):
            return found
    return None


def chosen(
    found: Iterable[Holding],
    names: Sequence[str] = (),
    words: str = "",
    older: timedelta | None = None,
    outdated: bool = False,
    unfinished: bool = False,
) -> list[Holding]:
    """Return the entries to which all that is asked applies.

    names: kinds, or entries by their names; words: a text that is in an entry's own; older: than
    that; outdated: see `Holding`; unfinished: trainings that were interrupted, instead of whole
    entries, and that nobody has gone on with for a day. Raises UnknownNameError for a name that is
    none of these.
    """
    found = list(found)
    known = {one.kind: one.kind for one in found} | {one.name: one.name for one in found}
    asked = [check_name("kind of entries", n, known if "/" in n else _kinds(found)) for n in names]
    now = datetime.now(UTC)
    return [
        one
        for one in found
        if (not asked or one.kind in asked or one.name in asked)
        and words.casefold() in one.words.casefold()
        and (older is None or now - one.when > older)
        and (not outdated or one.outdated)
        and one.whole != unfinished
        and (one.whole or now - one.when > timedelta(seconds=SILENT))
    ]


def _kinds(found: Iterable[Holding]) -> list[str]:
    return list(dict.fromkeys(one.kind for one in found))


def age(text: str) -> timedelta:
    """Return the time that "12h", "30d" or "8w" says. Raises ValueError for anything else."""
    told = re.fullmatch(r"(\d{1,5})\s*([hdw])", text.strip())
    if not told:
        raise ValueError(f"{text!r} is no age: give hours, days or weeks, as in 12h, 30d or 8w.")
    return int(told[1]) * {"h": timedelta(hours=1), "d": timedelta(1), "w": timedelta(7)}[told[2]]


def remove(entries: Sequence[Holding]) -> list[str]:
    """Remove entries, and what killed runs have left; return in words what could not go."""
    left = []
    for one in entries:
        try:
            one.path.unlink(missing_ok=True)  # somebody may have been faster
        except OSError as error:
            left.append(f"{one.name}: {error.strerror}")
    for folder in (cache_root(), *{one.path.parent for one in entries}):
        remove_left(folder, PART)
    return left
