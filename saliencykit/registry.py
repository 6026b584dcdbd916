"""Name → thing, with errors that say which names exist and which is nearest, or what brings it."""

import difflib
import unicodedata
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any, TypeVar

MANY = 200  # names that are no longer all told
T = TypeVar("T")
Thing = TypeVar("Thing")


class UnknownNameError(KeyError):
    """A name that is not there; the message lists those that are, nearest first."""

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return str(self.args[0])


def lacking(error: ModuleNotFoundError, what: str, extra: str = "models") -> ImportError:
    """Return what tells the user of `what` which of the package's extras brings what it lacks.

    `error` itself where no other package is missing: a module of ours, or of one that is there.
    """
    package = (error.name or "").partition(".")[0]
    if not package or find_spec(package) is not None:
        return error
    told = f'{what} needs {package}, which is not installed: pip install "saliencykit[{extra}]".'
    return ModuleNotFoundError(told, name=error.name)


def one_spelling(name: str) -> str:
    """Return `name` with its accents composed (NFC): two names that look alike are then equal.

    A Mac's older disks write "é" as two characters, other machines as one.
    """
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def check_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return `name` if it is one of `known`, else raise `UnknownNameError` naming the nearest.

    `kind` is what the message calls it: "data set", "layer", "encoder" … Of very many known names
    it lists the ten nearest. One that differs in nothing but how its accents are composed is the
    known one, which is returned.
    """
    known = list(known)
    if name in known:
        return name
    composed = {one_spelling(one): one for one in known}
    if isinstance(name, str) and one_spelling(name) in composed:
        return composed[one_spelling(name)]
    folded = {one.casefold(): one for one in known}
    asked = str(name).casefold()
    near = difflib.get_close_matches(asked, folded, n=10, cutoff=0.4)
    near.sort(key=lambda one: sorted(one) != sorted(asked))  # letters in another order: a slip
    hint = f" Did you mean {folded[near[0]]!r}?" if near else ""
    if len(known) > MANY:
        known = [*(folded[one] for one in near), f"… ({len(known)} in all)"]
    raise UnknownNameError(f"Unknown {kind} {name!r}.{hint} Known: {', '.join(known) or 'none'}.")


class Registry(dict[str, T]):
    """A dict that functions and classes enter by decoration and that explains a wrong name.

    >>> METRICS = Registry("metric")
    >>> @METRICS.register("nss")
    ... def nss(saliency, fixations): ...
    """

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind

    def register(self, name: str) -> Callable[[Thing], Thing]:
        """Return a decorator that enters its function or class, of type T, under `name`."""

        def enter(thing: Thing) -> Thing:  # not T, so that a checker still knows its arguments
            entered: Any = thing
            self[name] = entered
            return thing

        return enter

    def __missing__(self, name: str) -> T:
        check_name(self.kind, name, self)
        raise AssertionError("unreachable: check_name raises for a missing name")
