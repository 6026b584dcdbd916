"""Which code a result depends on: found by following names from a function through its imports.

A definition depends on those of its file that it names, on those that it imports from other files
of this package, on theirs in turn. Hashed are their syntax trees: without comments, docstrings and
layout, so that a corrected sentence does not train a network anew.

What is found by name at run time (an encoder, a data set, a metric of a registry) stands in no
import: whoever is given such a thing adds its code, as the fingerprints of networks and data do.
"""

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from .paths import PACKAGE

ABOVE = {"analyses", "cli", "running", "study.py", "viewing"}  # what is kept hangs on none of them
PLUMBING = {"cache", "paths.py", "registry.py", "sources.py"}
"""Where results lie, and what is told of them: not what they are."""
PARSING = Lock()  # Python 3.11 may count wrongly how deep it is if threads parse side by side
ALL = "*"
NAME = re.compile(r"\bName\(id='(\w+)'")
NAMED = re.compile(rf"{PACKAGE.name}[\w.]*:\w+")  # how a function or class is told: module:name
Place = tuple[Path, str]
"""A file, and a name in it, or `ALL`."""
Origin = tuple[tuple[str, ...], str]
"""A module, by the parts of its name within the package, and a name in it."""


class Statement(NamedTuple):
    """A statement on the top level of a file: names it defines and uses, its tree written down.

    One that does something, such as enter itself into a registry, `acts`, whoever names it.
    """

    defined: set[str]
    used: set[str]
    acts: bool
    code: str

    def concerns(self, names: set[str]) -> bool:
        """Tell whether it matters to `names` of its file."""
        return self.acts or ALL in names or bool(self.defined & names)


class Source(NamedTuple):
    """A file: its statements, what its names are that come from this package, and those not used.

    A module that is imported and not used has something to enter into a registry.
    """

    statements: list[Statement]
    imported: dict[str, set[Origin]]
    unused: set[str]


def code_of(*things: Callable) -> str:
    """Hash of all code of this package that functions and classes run: 16 hex digits.

    Of somebody else's class, what it inherits from us counts.
    """
    whole = (one for thing in things for one in getattr(thing, "__mro__", [thing]))
    names = ((one.__module__, one.__qualname__.partition(".")[0]) for one in whole)
    found = _hashed(named := tuple(dict.fromkeys(names)))
    told = [":".join(one) for one in named]
    _asked[found] = " ".join(filter(NAMED.fullmatch, told))
    return found


_asked: dict[str, str] = {}


def names_of(code: str) -> str | None:
    """Return of what functions and classes `code_of` gave that hash to this process, as a text."""
    return _asked.get(code)


def code_named(names: str) -> str:
    """Return the hash that `code_of` would give now of what `names_of` named.

    Raises ValueError for what are no names of this package.
    """
    if wrong := [name for name in names.split(" ") if not NAMED.fullmatch(name)]:
        raise ValueError(f"{wrong[0]!r} names no function or class of {PACKAGE.name}.")
    return _hashed(tuple((m, name) for m, _, name in (n.partition(":") for n in names.split(" "))))


@cache
def _hashed(things: tuple[tuple[str, str], ...]) -> str:
    ours = ((tuple(m.split(".")), name) for m, name in things)
    roots = [p for m, name in ours if m[0] == PACKAGE.name for p in _places((m[1:], name))]
    codes = {
        statement.code
        for file, names in _reached(roots).items()
        for statement in _read(file).statements
        if statement.concerns(names)
    }
    return sha256("\n".join(sorted(codes)).encode()).hexdigest()[:16]


def _reached(roots: Iterable[Place]) -> dict[Path, set[str]]:
    """Return the names that count of each file."""
    reached: dict[Path, set[str]] = {}
    waiting = list(roots)
    while waiting:
        file, name = waiting.pop()
        if name in (names := reached.setdefault(file, set())):
            continue
        names.add(name)
        statements, imported, unused = _read(file)
        for statement in statements:
            if statement.concerns({name}):
                waiting += [(file, used) for used in statement.used]
        origins = imported.values() if name == ALL else [imported.get(name, ())]
        found = {place for origin in origins for one in origin for place in _places(one)}
        silent = {place for k in unused for one in imported[k] for place in _places(one)}
        found |= {place for place in silent if place[1] == ALL}
        waiting += [p for p in found if p[0].relative_to(PACKAGE).parts[0] not in ABOVE | PLUMBING]
    return reached


@cache
def _places(origin: Origin) -> list[Place]:
    """Return where a name of a module is: in a file, or all of one if it is a module itself."""
    module, name = origin
    folder = PACKAGE.joinpath(*module)
    init = folder / "__init__.py"
    if init.is_file() and not _read(init).imported.get(name, {origin}) <= {origin}:
        return [(init, name)]  # not the module of that name that may lie beside it
    found = (
        (folder.with_suffix(".py"), name),
        (folder / f"{name}.py", ALL),
        (folder / name / "__init__.py", ALL),
        (init, name),
    )
    return [place for place in found if place[0].is_file()][:1]


@cache
def _read(file: Path) -> Source:
    with PARSING:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    imported: dict[str, set[Origin]] = {}
    for node in ast.walk(tree):
        if isinstance(block := getattr(node, "body", None), list):
            block[:] = [s for s in block if not _says_only(s)]
        for field in ("annotation", "returns"):
            if hint := getattr(node, field, None):
                setattr(node, field, _Unquoted().visit(hint))
        if isinstance(node, ast.ImportFrom) and (module := _ours(node, file)) is not None:
            for alias in node.names:
                imported.setdefault(alias.asname or alias.name, set()).add((module, alias.name))
    statements = [s for node in tree.body for s in _foreign(node, file)]
    foreign = {name for s in statements for name in s.defined}
    others = (s for s in tree.body if not isinstance(s, ast.Import | ast.ImportFrom))
    statements += [_statement(node, foreign) for node in others]
    known = set(imported).union(*(s.defined for s in statements))
    statements = [s._replace(used=known & set(NAME.findall(s.code))) for s in statements]
    unused = set(imported).difference(*(s.used for s in statements))
    return Source(statements, imported, set() if file.name == "__init__.py" else unused)


def _says_only(node: ast.stmt) -> bool:
    """Tell whether a statement is a string, such as a docstring."""
    alone = node.value if isinstance(node, ast.Expr) else None
    return isinstance(alone, ast.Constant) and isinstance(alone.value, str)


def _ours(node: ast.ImportFrom, file: Path) -> tuple[str, ...] | None:
    """Return the parts of a module's name within this package; None for another's."""
    package, *rest = (node.module or "").split(".")
    if node.level:
        named = (package, *rest) if node.module else ()
        return (*file.relative_to(PACKAGE).parts[: -node.level], *named)
    return tuple(rest) if package == PACKAGE.name else None


def _foreign(node: ast.stmt, file: Path) -> Iterator[Statement]:
    """Yield each name that an import from elsewhere binds."""
    own = isinstance(node, ast.ImportFrom) and _ours(node, file) is not None
    if isinstance(node, ast.Import | ast.ImportFrom) and not own:
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            code = f"{getattr(node, 'module', '')} {alias.name} {name}"
            yield Statement({name}, set(), False, code)


def _statement(node: ast.stmt, foreign: set[str]) -> Statement:
    targets = [*getattr(node, "targets", ()), getattr(node, "target", None)]
    names = [t for t in targets if isinstance(t, ast.Name | ast.Tuple)]
    defined = {n.id for t in names for n in ast.walk(t) if isinstance(n, ast.Name)}
    defined |= {str(name)} if (name := getattr(node, "name", "")) else set()
    decorators = set(NAME.findall(_told(getattr(node, "decorator_list", []))))
    return Statement(defined, set(), not defined or not decorators <= foreign, _told(node))


class _Unquoted(ast.NodeTransformer):
    """Writes out names in annotations that are strings: of what is defined further down."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """Return what a string says, if it is an expression."""
        with suppress(SyntaxError):
            return ast.parse(node.value, mode="eval").body if isinstance(node.value, str) else node
        return node


def _told(node: object) -> str:
    """Write a tree down, the same under every version of Python that parses it alike."""
    if isinstance(node, list):
        return f"[{','.join(map(_told, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = (f"{k}={_told(v)}" for k, v in ast.iter_fields(node) if v is not None and v != [])
    return f"{type(node).__name__}({','.join(fields)})"
