"""Somebody's own network: what wraps it, and what its answers hang on beside its weights."""

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

from torch import Tensor, nn

from ..cache import digest
from .layers import wraps

PLAIN = (bool, int, float, str, type(None))
Code = type | FunctionType


def unwrapped(net: nn.Module) -> nn.Module:
    """Return the network inside `DataParallel` and what `torch.compile` made of it."""
    while wraps(net):
        inside = dict(net.named_children())
        net = inside["_orig_mod" if "_orig_mod" in inside else "module"]
    return net


def code_of_module(net: nn.Module) -> str:
    """Hash of what a network's answers hang on beside its state: 16 hex digits.

    How its modules are set up, and the code of their classes and of the functions, classes and
    constants that these name, in turn; compiled, so that comments do not count. Of a library's, its
    version. What is reached in another way (a file that is read, an object's method) is not seen.
    """
    state = set(net.state_dict(keep_vars=True))
    parts = [re.sub(r" at 0x\w+", "", repr(net))]
    things: list[object] = []
    for path, module in net.named_modules():
        parts.append(f"{path} {_settings(vars(module))}")
        things += [type(module), *(v for v in vars(module).values() if _is_code(v))]
    parts += [f"{k} {digest(b)}" for k, b in net.named_buffers() if k not in state]
    return digest(parts, sorted(set(_codes(things))))


def version_of(thing: Code) -> str:
    """Return the name and version of the package that defines a class or function."""
    top = thing.__module__.partition(".")[0]
    return f"{top} {getattr(import_module(top), '__version__', '')}"


def _settings(attributes: dict[str, object]) -> str:
    """Write down plain attributes: numbers, words, rows of them, tensors."""
    kept = {k: v for k, v in attributes.items() if not k.startswith("_") and k != "training"}
    told = {k: digest(v) if isinstance(v, Tensor) else v for k, v in sorted(kept.items())}
    return repr({k: v for k, v in told.items() if _is_plain(v)})


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    return isinstance(value, PLAIN)


def _is_code(value: object) -> bool:
    return isinstance(value, type | FunctionType)


def _codes(things: list) -> Iterator[str]:
    """Yield the code of classes and functions, and of all of their own that they name."""
    waiting, seen = list(things), set()
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if _is_plain(thing):
            yield repr(thing)
        elif _is_library(thing.__module__):
            yield version_of(thing)
        elif isinstance(thing, type):
            waiting += [*thing.__bases__, *filter(None, map(_function, vars(thing).values()))]
            yield f"{thing.__qualname__} {_settings(dict(vars(thing)))}"
        else:
            waiting += _named(thing)
            yield f"{thing.__qualname__} {_told(thing.__code__)}"


def _function(value: object) -> FunctionType | None:
    """Return the function of a method, a property, or a class's or static method."""
    inside = getattr(value, "fget", None) or getattr(value, "__func__", value)
    return inside if isinstance(inside, FunctionType) else None


def _named(function: FunctionType) -> list[object]:
    """Return the classes, functions and constants that a function names or has as defaults.

    Also those named as `module.name`, and those that it closes over.
    """
    names = set(_names(function.__code__))
    known = [v for k, v in function.__globals__.items() if k in names]
    for module in [v for v in known if isinstance(v, ModuleType) and not _is_library(v.__name__)]:
        known += [getattr(module, name) for name in names if hasattr(module, name)]
    known += [cell.cell_contents for cell in function.__closure__ or ()]
    known += [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    return [value for value in known if _is_code(value) or _is_plain(value)]


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _told(code: CodeType) -> str:
    """Write compiled code down, without the names of files and the numbers of lines."""
    constants = [_told(c) if isinstance(c, CodeType) else _constant(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {constants}"


def _constant(value: object) -> str:
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)


def _is_library(module: str) -> bool:
    """Whether a module is of Python itself, or installed."""
    top = module.partition(".")[0]
    if top == "__main__" or top in sys.stdlib_module_names:
        return top != "__main__"
    file = getattr(sys.modules.get(top), "__file__", None) or ""
    return bool({"site-packages", "dist-packages"} & set(Path(file).parts))
