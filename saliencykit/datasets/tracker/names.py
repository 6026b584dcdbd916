"""Names: which image file one in a table means, and who looked, by the names of tables."""

import difflib
import os
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ...reading.pictures import SUFFIXES

Form = Callable[[str], str]


def _tidy(name: str) -> str:
    """One spelling of accents, slashes as elsewhere."""
    return unicodedata.normalize("NFC", name.strip().strip("\"'")).replace("\\", "/")


def _base(name: str) -> str:
    return PurePosixPath(_tidy(name)).name


def _stem(name: str) -> str:
    """A name without the suffix of an image; a point elsewhere is part of the name."""
    known = name.lower().endswith(SUFFIXES)
    return name.rpartition(".")[0] if known else name


FORMS: tuple[tuple[str, Form], ...] = (
    ("", _tidy),
    ("without suffix", lambda name: _stem(_tidy(name))),
    ("without folder", _base),
    ("without folder and suffix", lambda name: _stem(_base(name))),
    ("whatever their capitals", lambda name: _base(name).casefold()),
    ("without folder, suffix and capitals", lambda name: _stem(_base(name)).casefold()),
)
"""Ever looser ways to compare names, and what to call them."""


@dataclass
class Matched:
    """`image` of each name in the table that means one; `unknown` names; `loosely`: how, of whom.

    An image is called by its path below the images' folder.
    """

    image: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    loosely: dict[str, list[str]] = field(default_factory=dict)


def match_names(wanted: Iterable[str], files: Iterable[str], table: Path) -> Matched:
    """Return which of `files`, paths below a folder, each name wanted by a table means.

    The strictest form in which they agree counts. Raises ValueError if a name means several files,
    and if none means any.
    """
    files, found = list(files), Matched()
    by_form = [(how, form, _grouped(form, files)) for how, form in FORMS]
    for name in dict.fromkeys(wanted):
        for how, form, group in by_form:
            if hits := group.get(form(name)):
                if len(hits) > 1:
                    raise ValueError(
                        f"{table}: the image {name!r} could be {' or '.join(hits)}; name it in the "
                        "table as its file is, or rename a file."
                    )
                found.image[name] = hits[0]
                if how:
                    found.loosely.setdefault(how, []).append(name)
                break
        else:
            found.unknown.append(name)
    if not found.image:
        raise ValueError(f"{table}: {_none_known(found.unknown, files)}")
    return found


def _grouped(form: Form, files: Iterable[str]) -> dict[str, list[str]]:
    group: dict[str, list[str]] = {}
    for file in files:
        group.setdefault(form(file), []).append(file)
    return group


def _none_known(unknown: list[str], files: list[str]) -> str:
    if not unknown:
        return "the table names no image in any row."
    near = difflib.get_close_matches(unknown[0], files, n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return (
        f"none of the table's {len(unknown)} images is in the folder: the first is {unknown[0]!r}."
        f"{hint} Is it the right folder, and the right column (--image-column)?"
    )


def observers_of(tables: Sequence[Path], columns: Mapping[str, str | None]) -> dict[Path, str]:
    """Return what the observer of each table is called: as its file, without what all share.

    That is the name without suffix; with the folder where names are the same. Raises ValueError if
    `columns` names one that tells the observer.
    """
    if column := columns.get("observer"):
        raise ValueError(f"Who looked: say --observer {column} or --observer-from-file, not both.")
    whole = [path.resolve() for path in tables]
    shared = os.path.commonpath([path.parent for path in whole])
    below = [path.relative_to(shared) for path in whole]
    ways = ([p.stem for p in below], [p.with_suffix("").as_posix() for p in below])
    names = next((way for way in ways if len(set(way)) == len(way)), [str(p) for p in below])
    return dict(zip(tables, names, strict=True))
