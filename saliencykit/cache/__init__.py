"""Results cached by content: what went in names the file, so a stale answer cannot be read.

An entry is one safetensors file: tensors, and a JSON text for everything else. It is written under
a temporary name and renamed, so a killed run leaves either a whole entry or none; it is computed
under a lock (see `locks`), so that runs side by side, on one machine or on several that share the
disk, share one computation. It tells a hash of what it holds and what it is of, and both are looked
at when it is read: what was damaged, or is another's, is computed again. An entry that is there is
read without a lock, also where nothing can be written. What made it (see `made`) it tells for
people alone.
"""

import hashlib
import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from errno import EACCES, EPERM, EROFS
from functools import partial, wraps
from inspect import signature
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from xxhash import xxh3_128

from ..paths import cache_root, whole
from ..sources import code_of
from .locks import alone
from .origins import closed_over, made

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
            sha.update(_bytes(part))
        elif isinstance(part, np.ndarray):
            sha.update(digest(torch.from_numpy(np.ascontiguousarray(part))).encode())
        elif isinstance(part, Mapping) and any(isinstance(v, Tensor) for v in part.values()):
            sha.update(digest(*(x for k in sorted(part) for x in (k, part[k]))).encode())
        else:
            sha.update(json.dumps(part, sort_keys=True, default=str).encode())
        sha.update(b"\0")
    return sha.hexdigest()[:16]


def _bytes(tensor: Tensor) -> memoryview:
    """Return the memory of a contiguous tensor, whatever its strides say of sides of 0 or 1."""
    row = tensor.as_strided((tensor.numel(),), (1,))
    return row.view(torch.uint8).numpy().data


_told: ContextVar[Callable[[Path], dict[str, str]]] = ContextVar("_told", default=lambda path: {})
"""What a file at a path tells of the computation that is under way, if it is that one's."""


def write(path: Path, entry: Entry) -> None:
    """Write `entry` at `path`: wholly or not at all, also when the disk is full.

    What is kept of a computation under way beside its entry, under the entry's name (a training's
    .partial), tells what it is of, as the entry will.
    """
    _write(path, entry, **_told.get()(path))


def _write(path: Path, entry: Entry, **told: str) -> None:
    """Write `entry`, its hash, and what else is to be `told`."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in entry.tensors.items()}
    told["meta"] = json.dumps(entry.meta)
    told["digest"] = _checksum(tensors, told)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as part:
            part.touch()  # which says why not, if it cannot be written
            mode = part.stat().st_mode
            save_file(tensors, part, metadata=told)  # as a file of ours alone
            part.chmod(mode)
    except (OSError, SafetensorError) as error:
        raise _unwritten(path, error) from error


def _unwritten(path: Path, error: Exception) -> OSError:
    own = "Point SALIENCYKIT_CACHE at a folder of your own (a copy of this one will do)."
    space = (
        "Free some space, or point SALIENCYKIT_CACHE at a larger disk; what was there before is "
        "unharmed."
    )
    return OSError(f"Could not write {path}: {error}. {own if _is_forbidden(error) else space}")


def _is_forbidden(error: BaseException | None) -> bool:
    """Whether a folder is another's, or may only be read."""
    return isinstance(error, OSError) and error.errno in (EACCES, EPERM, EROFS)


def _checksum(tensors: Mapping[str, Tensor], told: Mapping[str, str]) -> str:
    """Hash of all that a file holds: a fast one, against accidents and not against malice."""
    names = sorted(tensors)
    kinds = [(k, str(tensors[k].dtype), tuple(tensors[k].shape)) for k in names]
    found = xxh3_128(json.dumps([kinds, sorted(told.items())]).encode())
    for name in names:
        found.update(_bytes(tensors[name]))
    return found.hexdigest()


class _Held(dict[str, Any]):
    """What the file at `path` holds by name.

    Asked for a name that is not there it has `renew`, if that is given, put in what should be, and
    raises ValueError otherwise.
    """

    def __init__(self, held: Mapping[str, Any], path: Path):
        super().__init__(held)
        self.path, self.renew = path, None

    def __missing__(self, name: str) -> Any:
        told = f"{self.path} holds no {name!r}: it was not written for this"
        if self.renew is None:
            raise ValueError(f"{told}.")
        warnings.warn(f"{told}. It is computed again.", stacklevel=3)
        self.renew()
        return self[name]

    def __reduce__(self) -> tuple:
        return dict, (dict(self),)  # copies, and what goes to other processes, are plain


def read(path: Path) -> Entry:
    """Read an entry. Raises ValueError, naming the file, if it is not a whole one.

    Asked for what it does not hold, the entry raises ValueError too.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[Entry, dict[str, str]]:
    """Return an entry, and what its file tells of it; older files tell no hash."""
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ValueError(f"{path} is damaged: it is no file")
    with path.open(
        "rb"
    ):  # says whether it is not there or somebody else's, as safetensors does not
        pass
    try:
        with safe_open(path, framework="pt") as file:
            told = dict(file.metadata() or {})
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
        _check(tensors, told)
        meta = dict(json.loads(told["meta"]))
    except Exception as error:  # safetensors, torch and json have each its own
        raise ValueError(f"{path} is damaged: {error}") from error
    return Entry(_Held(tensors, path), _Held(meta, path)), told


def _check(tensors: Mapping[str, Tensor], told: Mapping[str, str]) -> None:
    """Raise ValueError if a file's hash is not that of what it holds, or it is not of ours."""
    rest = {k: v for k, v in told.items() if k != "digest"}
    if "meta" not in told or ("digest" not in told and len(told) > 1):
        raise ValueError(f"it tells {', '.join(told) or 'nothing'} and should tell meta and digest")
    if "digest" in told and told["digest"] != _checksum(tensors, rest):
        raise ValueError("what it holds has changed since it was written")


def entry_path(kind: str, key: Mapping[str, Any]) -> Path:
    """Where the result of `kind` computed from `key` lies."""
    return cache_root() / kind / f"{digest(dict(key))}.safetensors"


def cached(
    kind: str,
    key: Mapping[str, Any],
    compute: Callable[[], Entry],
    about: Mapping[str, Any] | None = None,
) -> Entry:
    """Return the entry of `kind` for `key`, computing it on first use.

    `kind` becomes the folder; `key` must hold all the result depends on (code version, weights,
    data, settings) as JSON-able values. An entry that is damaged, is of something else or cannot be
    read is computed again, with a warning; so is one that cannot be kept, because the cache is
    another's, whenever it is asked for.

    about: networks, data … by the part of the key that is their fingerprint, so that the entry
    tells in words what made it; None: the variables of these names that `compute` takes along.
    """
    path = entry_path(kind, key)
    anew = partial(_computed, path, compute, key, about)
    with suppress(OSError, ValueError):
        return _kept(path, anew)
    with _alone(path):
        try:
            return _kept(path, anew)  # another process may have been faster
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            warnings.warn(f"{error}. It is computed again.", stacklevel=2)
        return anew()


def _kept(path: Path, anew: Callable[[], Entry]) -> Entry:
    """Read what `anew` gave before. Raises ValueError if it is not that, OSError if it is gone.

    What does not say what it is of, as entries from before that was told, may be anything: if it
    lacks what it is asked for, it is computed.
    """
    entry, told = _read(path)
    if told.get("of", _name(path)) != _name(path):
        raise ValueError(f"{path} is of something else, {told['of']}")
    if "of" in told:
        return entry
    _give_hash(path, entry, told)

    def renew() -> None:
        with _alone(path):
            new = anew()
        for held, found in (entry.tensors, new.tensors), (entry.meta, new.meta):
            held.clear()
            held.update(found)
            held.renew = None

    entry.tensors.renew = entry.meta.renew = renew
    return entry


def give_hash(path: Path) -> None:
    """Let the file of an entry tell a hash, where it is from before that was told.

    It stays as it is where it cannot be written. Raises as `read`.
    """
    _give_hash(path, *_read(path))


def _give_hash(path: Path, entry: Entry, told: Mapping[str, str]) -> None:
    if "digest" not in told:
        with suppress(OSError):
            write(path, entry)


def _computed(
    path: Path,
    compute: Callable[[], Entry],
    key: Mapping[str, Any],
    about: Mapping[str, Any] | None,
) -> Entry:
    began = time.perf_counter()

    def told(at: Path) -> dict[str, str]:
        if _name(at) != _name(path):
            return {}
        seconds = time.perf_counter() - began
        what = made(key, closed_over(compute) if about is None else about, seconds)
        return {"of": _name(path), "made": what}

    before = _told.set(told)
    try:
        entry = compute()
    finally:
        _told.reset(before)
    try:
        _write(path, entry, **told(path))
    except OSError as error:
        if not _is_forbidden(error.__cause__):
            raise
        warnings.warn(f"{error} It is not kept.", stacklevel=3)
    return entry


def _name(path: Path) -> str:
    """What the entry at `path` is of: the kind and the hash of the key."""
    return f"{path.parent.name}/{path.stem}"


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Inside, no other process computes what is to lie at `path`; none waits where it could not."""
    with ExitStack() as held:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(alone(path.with_suffix(".lock")))  # older versions lock another file
        except OSError as error:
            if not _is_forbidden(error):
                raise _unwritten(path, error) from error
        yield


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
        return from_entry(cached(kind, key, lambda: to_entry(compute(*args, **kwargs)), told))

    recalled.__doc__ = f"`{compute.__name__}`, read from the cache if the same was computed before."
    return recalled


def _fingerprinted(value: Any) -> Any:
    if isinstance(value, list):
        return [_fingerprinted(v) for v in value]
    return getattr(value, "fingerprint", value)
