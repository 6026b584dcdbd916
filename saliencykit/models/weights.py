"""Reading weights: never unpickled, whole, numbers; a mismatch is told tensor by tensor."""

import hashlib
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from zipfile import ZipFile, is_zipfile

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from ..cache import Entry, cached, entry_path, read, write
from .from_torchvision import zoo

# Suffixes of files of weights; another file is taken for one if it is there.
SUFFIXES = r"\.(pth|pt|tar|ckpt|bin|safetensors)$"
# Tensors of no consequence that one version of a network keeps in its state and another does not,
# and what is left by tools that count operations. Of other types than floats none is a weight.
HARMLESS = ("relative_coords_table", "attn_mask", "total_ops", "total_params")


@contextmanager
def _weights_only() -> Iterator[None]:
    """Make every torch.load inside refuse anything but tensors, torchvision's own included."""
    key, before = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    os.environ[key] = "1"
    try:
        yield
    finally:
        os.environ.pop(key) if before is None else os.environ.__setitem__(key, before)


def load_weights(
    net: nn.Module,
    path: str | os.PathLike,
    optional: Sequence[str] = (),
    whole: bool = False,
) -> None:
    """Load a state dict (.pth or .safetensors) into `net`; `optional` modules may be missing.

    It may lie under a name in the file ("state_dict", "model" …), and its own names may have a
    prefix ("module.", "backbone." …): what fits most tensors is taken, of what fits alike the first
    in the file. A warning says what was done, and which tensors have no place. Raises
    FileNotFoundError, or ValueError naming the file, and the first tensors that do not fit; if
    `net` is `whole`, not a part of a network, also where a module of it has more in the file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"No weights at {path}. `weights` is 'imagenet', None, or the path of a .pth or "
            ".safetensors state dict."
        )
    own = {k: v for k, v in net.state_dict().items() if "num_batches" not in k}
    found = _fitting(list(_states(_read(path))), own)
    if found is None:
        raise ValueError(f"{path} holds no state dict: no tensors by name.")
    state = found.state
    wanted = {k for k in own if k.split(".")[0] not in optional}
    wrong = [
        f"{k}: {'missing' if k not in state else f'{tuple(state[k].shape)} in the file'}, "
        f"{tuple(own[k].shape)} in the network"
        for k in sorted(wanted)
        if not _fits(k, state, own)
    ]
    if wrong:
        strange = f" Its tensors are called {min(state)!r} …" if not set(state) & set(own) else ""
        raise ValueError(
            f"{path} does not fit this network: {'; '.join(wrong[:3])}"
            f"{f' and {len(wrong) - 3} more' if len(wrong) > 3 else ''}.{strange}"
        )
    left = _without_place(state, net, optional)
    modules = dict(net.named_children())
    if whole and any(k.split(".")[0] in modules for k in left):
        raise ValueError(f"{path} is of another network: {_left_out(left)}.")
    if told := [*found.told(), *([_left_out(left)] if left else [])]:
        warnings.warn(f"{path}: {', '.join(told)}.", stacklevel=2)
    net.load_state_dict({k: v for k, v in state.items() if _fits(k, state, own)}, strict=False)


def _fits(name: str, state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> bool:
    return name in own and name in state and state[name].shape == own[name].shape


def _without_place(
    state: Mapping[str, Tensor], net: nn.Module, optional: Sequence[str]
) -> list[str]:
    """Return the names of weights that a network has no tensor for, not those of heads."""
    own = net.state_dict()
    return [
        name
        for name, tensor in state.items()
        if name not in own
        and name.split(".")[0] not in optional
        and name.split(".")[-1] not in HARMLESS
        and tensor.is_floating_point()
    ]


def _left_out(names: Sequence[str]) -> str:
    one = len(names) == 1
    return (
        f"{len(names)} {'tensor' if one else 'tensors'} of the file {'has' if one else 'have'} no "
        f"place in this network, the first {names[0]!r}"
    )


@dataclass
class _State:
    """Tensors by name, where they lay in a file, and what was taken off their names.

    `others`: what fits as well, places or prefixes.
    """

    state: dict[str, Tensor]
    place: tuple[str, ...] = ()
    prefix: str = ""
    others: tuple[str, ...] = ()

    def without(self, prefix: str) -> "_State":
        kept = {k.removeprefix(prefix): v for k, v in self.state.items() if k.startswith(prefix)}
        return _State(kept, self.place, prefix)

    def told(self) -> list[str]:
        """Say what was done, nothing if nothing had to be."""
        done = [f"took the state dict under {_quoted(self.place)}"] if self.place else []
        done += [f"took the prefix {self.prefix!r} off its names"] if self.prefix else []
        if self.others:
            done += [
                f"left {', '.join(self.others)}, which fits as well (to take that, keep its "
                "tensors alone in the file)"
            ]
        return done


def _quoted(place: tuple[str, ...]) -> str:
    return ".".join(map(repr, place))


def _read(path: Path) -> object:
    """Return what a file holds. Raises ValueError, naming it, if it cannot be read."""
    try:
        if path.suffix.lower() == ".safetensors":
            return _safetensors(path)
        _sha256(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(f"{path} cannot be read as weights: {_why(path, error)}") from error


def _safetensors(path: Path) -> Mapping[str, Tensor]:
    """Read tensors by name; those of a file of ours, which tells its hash, are checked."""
    with safe_open(path, framework="pt") as file:
        told = file.metadata() or {}
    ours = "digest" in told or '"encoder"' in told.get("meta", "")  # either name may be damaged
    return read(path).tensors if ours else load_file(path)


def _sha256(path: Path) -> str:
    """Return the SHA-256 of a file, remembered for as long as nobody writes to it.

    Raises ValueError if parts of it are not as they were saved; a zip, as torch saves, tells.
    """

    def compute() -> Entry:
        _check_records(path)
        with path.open("rb") as file:
            return Entry(meta={"sha256": hashlib.file_digest(file, "sha256").hexdigest()})

    stat = path.stat()
    stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    return _noted("weights", {"file": str(path.resolve()), "stamp": stamp}, compute)


def _noted(kind: str, key: Mapping[str, object], compute: Callable[[], Entry]) -> str:
    """Return the SHA-256 that the cache has noted; nobody is kept from weights by a full disk."""
    try:
        return cached(kind, key, compute).meta["sha256"]
    except OSError:
        return compute().meta["sha256"]


def _check_records(path: Path) -> None:
    """Raise ValueError if a record of a zip has another checksum than it tells."""
    if _tells_checksums(path):
        with ZipFile(path) as zipped:
            if changed := zipped.testzip():
                raise ValueError(f"{changed} in it has changed since it was saved")


def _tells_checksums(path: Path) -> bool:
    """Whether a file is a zip with checksums: torch can be told to leave them 0."""
    if not is_zipfile(path):
        return False
    with ZipFile(path) as zipped:
        return any(record.CRC for record in zipped.infolist())


def _why(path: Path, error: Exception) -> str:
    """Say why a file of weights could not be read, and what to do about it."""
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, UnpicklingError) and is_zipfile(path):  # so it is whole
        unknown = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
        what = f", {unknown[1]}" if unknown else ""
        return (
            f"it holds more than tensors{what}, and nothing else is ever unpickled. Save the state "
            "dict alone: torch.save(net.state_dict(), path)."
        )
    return f"{first.rstrip('.')}. If it was cut short, delete {path} and get it again."


def _states(held: object, place: tuple[str, ...] = ()) -> Iterator[_State]:
    """Yield the dicts of tensors in what a file holds, the outermost first."""
    if isinstance(held, Mapping):
        tensors = {k: v for k, v in held.items() if isinstance(v, Tensor)}
        if tensors:
            yield _State(tensors, place)
        for name, inner in held.items():
            yield from _states(inner, (*place, str(name)))


def _fitting(states: Sequence[_State], own: Mapping[str, Tensor]) -> _State | None:
    """Return that of which most tensors fit, its prefix taken off; of several the plainest."""
    best = [_best(one, own) for one in states]
    best.sort(key=lambda s: (-_score(s, own), "ema" in _quoted(s.place).lower(), -len(s.state)))
    if not best:
        return None
    alike = [s for s in best[1:] if _score(s, own) == _score(best[0], own) > 0]
    return replace(best[0], others=(*best[0].others, *(_quoted(s.place) for s in alike)))


def _best(one: _State, own: Mapping[str, Tensor]) -> _State:
    """Return a state without the prefix that leaves most that fits; of several the shortest."""
    first, *rest = sorted(_unprefixed(one, own), key=lambda s: -_score(s, own))
    alike = [s for s in rest if _score(s, own) == _score(first, own) > 0]
    return replace(first, others=tuple(repr(s.prefix) for s in alike))


def _unprefixed(one: _State, own: Mapping[str, Tensor]) -> Iterator[_State]:
    """Yield a state as it is, and without each prefix that leaves one of the network's names.

    The shortest first, of equal length in the file's order: MoCo's encoder_q before encoder_k.
    """
    ends = ((k, k.split(".")) for k in one.state)
    rests = ((k, ".".join(parts[i:])) for k, parts in ends for i in range(1, len(parts)))
    prefixes = dict.fromkeys(k.removesuffix(rest) for k, rest in rests if rest in own)
    for prefix in ["", *sorted(prefixes, key=len)]:
        yield one.without(prefix)


def _score(one: _State, own: Mapping[str, Tensor]) -> int:
    return sum(_fits(k, one.state, own) for k in one.state)


def torchvision_net(name: str, imagenet: bool) -> nn.Module:
    """Build a torchvision classifier, with its default ImageNet weights or at random."""
    if not imagenet:
        return zoo().get_model(name, weights=None)
    told = zoo().get_model_weights(name)["DEFAULT"]
    file = Path(torch.hub.get_dir(), "checkpoints", told.url.rpartition("/")[2])
    try:
        _check_download(file, told.meta["_file_size"])
        with _weights_only():
            return zoo().get_model(name, weights="DEFAULT")
    except OSError as error:  # URLError is one
        raise FileNotFoundError(
            f"The ImageNet weights of {name} are not in {file.parent} and "
            f"could not be downloaded ({error}). Put {told.url} there, or set TORCH_HOME."
        ) from error
    except Exception as error:
        raise ValueError(
            f"The ImageNet weights of {name}, {file}, could not be loaded: {_why(file, error)}"
        ) from error


def _check_download(file: Path, megabytes: float) -> None:
    """Raise ValueError if a file of weights is there and is not whole.

    The name of torchvision's own files ends in the beginning of their SHA-256. A file of another
    hash may be whole all the same: reduced or converted, and saved under that name. If it is a zip
    its checksums tell; one without, as large as torchvision's (`megabytes` of 2²⁰), is damaged; and
    if such a file is exchanged for another, that is said.
    """
    if not file.exists():
        return
    if not file.is_file():
        raise ValueError("it is no file")
    found = _sha256(file)
    if (named := re.search(r"-([0-9a-f]{8,})\.\w+$", file.name)) and found.startswith(named[1]):
        return
    if not _tells_checksums(file) and round(file.stat().st_size / 2**20, 3) == megabytes:
        raise ValueError(f"its SHA-256 is {found[:8]}…, which is not that in its name")
    key = {"file": str(file.resolve())}
    before = _noted("weights_of", key, lambda: Entry(meta={"sha256": found}))
    if found != before:
        warnings.warn(
            f"{file} is another file than when it was last used: its SHA-256 was {before[:8]}… and "
            f"is {found[:8]}… now.",
            stacklevel=2,
        )
        with suppress(OSError):
            write(entry_path("weights_of", key), Entry(meta={"sha256": found}))


def check_finite(net: nn.Module, whose: str, unused: Sequence[str] = ()) -> None:
    """Raise ValueError if a weight, or a running statistic, is not a finite number.

    whose: what the message calls the network; unused: modules of it that may hold anything, as
    heads that never run. Other buffers may be infinite, as masks are, but not NaN.
    """
    weights = dict(net.named_parameters())
    for name, tensor in net.state_dict(keep_vars=True).items():
        if name.split(".")[0] in unused or not tensor.is_floating_point() or tensor.is_meta:
            continue
        limited = name in weights or name.rpartition(".")[2].startswith("running_")
        wrong = ~tensor.isfinite() if limited else tensor.isnan()
        if count := int(wrong.sum()):
            raise ValueError(
                f"{whose} cannot be used: {count} of {tensor.numel()} numbers of its {name!r} are "
                "NaN or infinite."
            )


def torchvision_normalise(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation by channel of what a classifier's weights were taught."""
    shown = zoo().get_model_weights(name)["DEFAULT"].transforms()
    return tuple(shown.mean), tuple(shown.std)


def is_path(weights: object) -> bool:
    """Tell a file's path, by its suffix or because it is there, from the name of weights."""
    if not isinstance(weights, str):
        return isinstance(weights, os.PathLike)
    shaped = re.search(rf"[/\\]|{SUFFIXES}", weights, re.IGNORECASE)
    return bool(shaped) or Path(weights).is_file()
