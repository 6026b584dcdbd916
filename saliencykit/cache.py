"""Results cached by content: what went in names the file, so a stale answer cannot be read.

An entry is one safetensors file: tensors, and a JSON text for everything else. It is written under
a temporary name and renamed, so a killed run leaves either a whole entry or none; it is computed
under a file lock, so that runs side by side share one computation.
"""

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .paths import cache_root, whole
from .sources import code_of

P = ParamSpec("P")
T = TypeVar("T")
SHOWN = ("progress", "device")  # arguments that change no result


@dataclass
class Entry:
    """What one cached computation returned: `tensors` by name and JSON-able `meta`."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)


def digest(*parts: object) -> str:
    """Hash of anything that JSON, tensors and arrays can express: 16 hex digits."""
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            part = part.detach().cpu().contiguous()
            sha.update(f"{part.dtype}{tuple(part.shape)}".encode())
            sha.update(part.flatten().view(torch.uint8).numpy().data)
        elif isinstance(part, np.ndarray):
            sha.update(digest(torch.from_numpy(np.ascontiguousarray(part))).encode())
        elif isinstance(part, Mapping) and any(isinstance(v, Tensor) for v in part.values()):
            sha.update(digest(*(x for k in sorted(part) for x in (k, part[k]))).encode())
        else:
            sha.update(json.dumps(part, sort_keys=True, default=str).encode())
        sha.update(b"\0")
    return sha.hexdigest()[:16]


def write(path: Path, entry: Entry) -> None:
    """Write `entry` at `path`: wholly or not at all, also when the disk is full."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {k: v.detach().cpu().contiguous() for k, v in entry.tensors.items()}
    try:
        with whole(path) as part:
            save_file(tensors, part, metadata={"meta": json.dumps(entry.meta)})
    except (OSError, SafetensorError) as error:
        raise OSError(
            f"Could not write {path}: {error}. Free some space, or point SALIENCYKIT_CACHE at a "
            "larger disk; what was there before is unharmed."
        ) from error


def read(path: Path) -> Entry:
    """Read an entry. Raises ValueError, naming the file, if it is not a whole one."""
    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads((file.metadata() or {}).get("meta", "{}"))
            return Entry({k: file.get_tensor(k) for k in file.keys()}, meta)  # noqa: SIM118
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def entry_path(kind: str, key: Mapping[str, Any]) -> Path:
    """Where the result of `kind` computed from `key` lies."""
    return cache_root() / kind / f"{digest(dict(key))}.safetensors"


def cached(kind: str, key: Mapping[str, Any], compute: Callable[[], Entry]) -> Entry:
    """Return the entry of `kind` for `key`, computing it on first use.

    `kind` becomes the folder; `key` must hold all the result depends on (code version, weights,
    data, settings) as JSON-able values. A damaged entry is rebuilt, with a warning.
    """
    path = entry_path(kind, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if path.exists():
            try:
                return read(path)
            except ValueError as error:
                warnings.warn(f"{error}. It is computed again.", stacklevel=2)
        entry = compute()
        write(path, entry)
    return entry


def remembered(
    kind: str,
    compute: Callable[P, T],
    to_entry: Callable[[T], Entry],
    from_entry: Callable[[Entry], T],
) -> Callable[P, T]:
    """Return `compute` as a function that reads its result from the cache if it is there.

    The key holds the code that `compute` runs and its arguments, `SHOWN` ones left out: of networks
    and data, and of lists of them, their fingerprints, which hold their code.
    """
    expected = signature(compute)

    @wraps(compute)
    def recalled(*args: P.args, **kwargs: P.kwargs) -> T:
        given = expected.bind(*args, **kwargs)
        given.apply_defaults()
        told = {k: v for k, v in given.arguments.items() if k not in SHOWN}
        key = {k: _fingerprinted(v) for k, v in told.items()}
        key["code"] = code_of(compute)
        return from_entry(cached(kind, key, lambda: to_entry(compute(*args, **kwargs))))

    recalled.__doc__ = f"`{compute.__name__}`, read from the cache if the same was computed before."
    return recalled


def _fingerprinted(value: Any) -> Any:
    if isinstance(value, list):
        return [_fingerprinted(v) for v in value]
    return getattr(value, "fingerprint", value)
