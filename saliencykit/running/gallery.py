"""All figures of a profile on one page, figures/<profile>/index.html, which needs no server.

Made of nothing but what lies in that folder: records (records.py), pictures and tables.
"""

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mistune
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..paths import FOR_PAPER, PHOTOGRAPHS, WHEEL
from . import overview, records
from .checking import numbers, read_table
from .records import Record

PAGE = "index.html"
MARK = "· saliencykit</title>"
"""What tells a page of ours from others of that name."""
ROWS = 8
"""Rows of a table that the page shows; the CSV beside it has them all."""


class _Local(mistune.HTMLRenderer):
    """Markdown without pictures from elsewhere: the page loads nothing that is not beside it."""

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return text


@dataclass(frozen=True)
class Table:
    """Beginning of a CSV: its `header` and first `rows`, of `total`; `numeric`: by column."""

    header: list[str]
    rows: list[list[str]]
    total: int
    numeric: list[bool]


@dataclass(frozen=True)
class Figure:
    """A figure, `size` [width, height] or None if it has no picture; `here`: its PNG is.

    `paper`: ends of what else of it is here, for papers.
    """

    stem: str
    size: list[int] | None
    here: bool
    table: Table | None
    paper: list[str]

    @property
    def photographs(self) -> bool:
        """Whether git ignores the picture, so that whoever reads the page may not have it."""
        return self.stem.endswith(PHOTOGRAPHS)


_markdown = mistune.create_markdown(renderer=_Local(escape=True), plugins=["table"])


def write(folder: Path, description: str = "") -> Path:
    """Write the page of the profile whose figures are in `folder`; `description` says what it is.

    A record that cannot be read is left out, with a warning. Raises as `check_page`.
    """
    check_page(folder)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["markdown"] = _html
    notebooks, findings = list(_notebooks(folder)), overview.write(folder)
    page = environment.get_template("gallery.html").render(
        profile=folder.name,
        description=description,
        command=(
            f"saliencykit figures --profile {folder.name}"
            if WHEEL
            else f"make figures PROFILE={folder.name}"
        ),
        findings=findings and findings.name,
        notebooks=notebooks,
        figures=sum(len(s["figures"]) for n in notebooks for s in n["sections"]),
    )
    records.replace(folder / PAGE, page)
    return folder / PAGE


def check_page(folder: Path) -> None:
    """Raise FileExistsError if the page in `folder`, or its picture, is somebody else's."""
    page = folder / PAGE
    told = page.read_text(encoding="utf-8", errors="replace") if page.exists() else ""
    theirs = page if page.exists() and MARK not in told else None
    if overview.PICTURE not in told:  # our page tells of no such picture
        theirs = theirs or overview.others(folder)
    if theirs:
        raise FileExistsError(
            f"{theirs} is not one of saliencykit's: nothing is written over. Name another folder "
            "of figures as SALIENCYKIT_FIGURES."
        )


def _html(text: str) -> Markup:
    """HTML of markdown: safe, whatever the text; a number's unit or interval stays on its line."""
    kept = re.sub(r"(?<=\d) (?=%)|(?<=\d,) (?=[-−\d.]+\])", "\N{NO-BREAK SPACE}", text)
    return Markup(_markdown(kept))


def _notebooks(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what the template shows of each record in `folder`."""
    for path in sorted(folder.glob("*.json")):
        try:
            yield _notebook(records.read(path), folder)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            warnings.warn(f"{path} is left out: {error!r}", stacklevel=2)


def _notebook(record: Record, folder: Path) -> dict[str, Any]:
    number, dot, title = record["title"].partition(" · ")
    meanings = record["meanings"]
    texts = {key: record[key] for key in ("notebook", "question", "finding", "versions")}
    return {
        **texts,
        "number": number if dot else "",
        "title": title if dot else record["title"],
        "sections": [
            {**section, "figures": [_figure(folder, **figure) for figure in section["figures"]]}
            for section in record["sections"]
        ],
        "parameters": [(k, repr(v), meanings.get(k, "")) for k, v in record["parameters"].items()],
        "settings": _settings(record.get("settings")),
    }


def _settings(about: dict[str, dict[str, Any]] | None) -> list[tuple[str, ...]]:
    """Rows of name, value, who set it, meaning; none for a notebook that showed no study."""
    if about is None:
        return []
    origins, meanings = about["origins"], about["meanings"]
    return [
        (name, repr(value), origins.get(name, "default"), meanings.get(name, ""))
        for name, value in about["values"].items()
    ]


def _figure(folder: Path, stem: str, size: list[int] | None, **_: object) -> Figure:
    here = (folder / f"{stem}.png").is_file()
    paper = [kind for kind in FOR_PAPER if (folder / f"{stem}.{kind}").is_file()]
    return Figure(stem, size, here, _table(folder / f"{stem}.csv"), paper)


def _table(path: Path) -> Table | None:
    if (frame := read_table(path)) is None:
        return None
    _, texts = numbers(frame)
    rows = frame.head(ROWS).to_numpy().tolist()
    return Table(list(frame), rows, len(frame), list(~texts.any(axis=0)))
