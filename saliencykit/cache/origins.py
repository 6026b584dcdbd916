"""What made an entry of the cache, in words for people: no result and no key hangs on it.

Told are the version of the code and its parts that the result hangs on, the key with names in the
place of hashes, the processor, how long it took, and when. Not told: machine and user.
"""

import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from inspect import getattr_static, getclosurevars, unwrap
from typing import Any

from .. import __version__
from ..paths import ROOT
from ..sources import code_of, names_of

LONG = 300  # characters of one part of a key that are told: a header is read with every entry


def made(key: Mapping[str, Any], about: Mapping[str, Any], seconds: float) -> str:
    """Return JSON that tells what made the entry of `key`, which took so many seconds.

    about: the networks, data … that parts of the key are fingerprints of, by the part's name.
    """
    told = {
        "key": {k: _short(_in_words(about.get(k), v)) for k, v in key.items() if k != "code"},
        "codes": dict(_codes(key, about)),
        "version": version(),
        "processor": processor(),
        "seconds": round(seconds, 3),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return json.dumps(told, default=str, ensure_ascii=False)


def closed_over(compute: Callable[..., Any]) -> Mapping[str, Any]:
    """Return the variables by name that a function took along from where it was defined."""
    with suppress(TypeError, ValueError):  # no function of Python's; a variable not set yet
        return getclosurevars(unwrap(compute)).nonlocals
    return {}


def _in_words(thing: Any, value: Any) -> Any:
    """Return what to call a thing whose part of the key is `value`."""
    if isinstance(thing, list | tuple) and isinstance(value, list) and len(thing) == len(value):
        return [_in_words(*pair) for pair in zip(thing, value, strict=True)]
    if isinstance(thing, Mapping) and isinstance(value, Mapping) and thing.keys() == value.keys():
        return {k: _in_words(thing[k], value[k]) for k in value}
    return _called(thing) if _has_fingerprint(thing) else value


def _has_fingerprint(thing: Any) -> bool:
    """Tell so without asking for it: all weights are read for that."""
    return getattr_static(thing, "fingerprint", None) is not None


def _called(thing: Any) -> str:
    """Return one line: a network's own description has many, and then its encoder is told."""
    kind = type(thing).__name__
    try:
        told = repr(thing)
    except Exception:  # somebody's own class
        return kind
    if "\n" not in told:
        return told
    encoder = getattr(thing, "encoder", None)
    return kind if encoder is None else f"{kind} on {_called(encoder)}"


def _short(words: Any) -> Any:
    told = json.dumps(words, default=str, ensure_ascii=False)
    return words if len(told) <= LONG else f"{told[:LONG]}…"


def _codes(key: Mapping[str, Any], about: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield names of code that the entry hangs on, and its hash, as `code_of` gives it."""
    things = (thing for name, thing in about.items() if name in key)
    own = [code_of(type(thing)) for thing in things if _has_fingerprint(thing)]
    for code in (*_strings(key), *own):
        if names := names_of(code):
            yield names, code


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _strings(part)


@cache
def version() -> str:
    """Return the package's version and, if it lies in a clone, its commit, "+" if files differ."""
    if not (ROOT / ".git").exists():
        return __version__
    clone = [f"--git-dir={ROOT / '.git'}", f"--work-tree={ROOT}"]
    command = ["git", *clone, "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=+"]
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return f"{__version__} ({done.stdout.strip()})"
    return __version__


@cache
def processor() -> str:
    """Return the make of the processor and its number of cores; of a GPU too, if torch has one."""
    name = platform.processor() or platform.machine()
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        told = (line.partition(":")[2].strip() for line in file if line.startswith("model name"))
        name = next(told, name)
    return ", ".join([name, f"{os.cpu_count()} cores", *_gpu()])


def _gpu() -> Iterator[str]:
    import torch

    if torch.cuda.is_available():
        yield torch.cuda.get_device_name()
