"""What a notebook found, kept beside its figures as figures/<profile>/NN_name.json.

A record is read from the executed copy and holds all that the gallery (gallery.py) says about the
notebook, so that the page can be made of the figures folder alone. When, where and how fast the
notebook ran is not in it: equal results give equal bytes.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from ..paths import PHOTOGRAPHS, whole
from .profiles import declared, read_cells

Record = dict[str, Any]
"""`notebook` (its stem), `title`, `question`, `sections` ([{heading, text, figures: [{stem, size:
[width, height] in pixels, None without a picture}]}]), `finding`, `parameters` ({name: value}),
`meanings` ({name: comment}) and `versions`. Texts are markdown."""

FINDING = "What we see"
"""Heading of the section in which a notebook says what it found."""


@dataclass
class _Block:
    """Markdown, split into its heading and the rest, and the code cells up to the next markdown."""

    heading: str
    text: str
    code: list[dict[str, Any]] = field(default_factory=list)


def write(executed: Path, written: Sequence[str], folder: Path) -> Path:
    """Write the record of an executed notebook, of which `folder` has the files `written`."""
    path = folder / f"{executed.stem}.json"
    record = read_executed(executed, written, folder)
    replace(path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return path


def replace(path: Path, text: str) -> None:
    """Write `text` at `path`, wholly or not at all."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def read_executed(executed: Path, written: Sequence[str], folder: Path) -> Record:
    """Return the record of an executed notebook.

    Its figures are the stems among `written`, in the order in which the code names them.
    """
    first, *others = list(_blocks(read_cells(executed))) or [_Block("", "")]
    values = declared(executed) | declared(executed, "injected-parameters")
    return {
        "notebook": executed.stem,
        "title": first.heading or executed.stem,
        "question": _without_steps(first.text),
        "sections": _sections([first, *others], written, folder),
        "finding": _finding(others),
        "parameters": {name: _portable(value) for name, value in values.items()},
        "meanings": _meanings(executed),
        "versions": _versions(executed),
    }


def _blocks(cells: Sequence[dict[str, Any]]) -> Iterator[_Block]:
    """Yield the notebook's blocks; a markdown cell without a heading goes on with one before it."""
    block = _Block("", "")
    for cell in cells:
        if cell["cell_type"] == "code":
            block.code.append(cell)
        elif cell["cell_type"] == "markdown":
            heading, text = _split("".join(cell["source"]))
            if heading or block.code:
                if block != _Block("", ""):
                    yield block
                block = _Block(heading, text)
            else:
                block.text = f"{block.text}\n\n{text}".strip()
    yield block


def _split(source: str) -> tuple[str, str]:
    """Heading and the rest of a markdown cell."""
    line, _, rest = source.strip().partition("\n")
    heading = re.fullmatch(r"#+\s+(.*?)[\s#]*", line)
    return (heading[1], rest.strip()) if heading else ("", source.strip())


def _without_steps(text: str) -> str:
    """What a notebook asks; its steps lead through the notebook, not through the page."""
    paragraphs = re.split(r"\n\s*\n", text)
    return "\n\n".join(p for p in paragraphs if not p.startswith("**Steps"))


def _sections(blocks: list[_Block], written: Sequence[str], folder: Path) -> list[Record]:
    left = {Path(name).stem for name in written}
    sections = []
    for block in blocks:
        stems = [s for s in dict.fromkeys(_named(block)) if s in left]
        left -= set(stems)
        if stems:
            sections.append(_section(block.heading, block.text, stems, folder))
    if left:  # names that the code puts together
        sections.append(_section("", "", sorted(left), folder))
    return sections


def _named(block: _Block) -> Iterator[str]:
    """Yield the stems of figures that the code of `block` may name, in its order."""
    for cell in block.code:
        for name in re.findall(r"""["']([^"'\n]+)["']""", "".join(cell["source"])):
            yield from (name, f"{name}{PHOTOGRAPHS}")


def _section(heading: str, text: str, stems: list[str], folder: Path) -> Record:
    figures = [{"stem": stem, "size": _size(folder / f"{stem}.png")} for stem in stems]
    return {"heading": heading, "text": text, "figures": figures}


def _size(picture: Path) -> tuple[int, int] | None:
    from PIL import Image

    if not picture.exists():
        return None
    with Image.open(picture) as image:
        return image.size


def _finding(blocks: list[_Block]) -> str:
    """Markdown below `FINDING` up to the next heading: what is written, and what code shows."""
    said, inside = [], False
    for block in blocks:
        inside = block.heading == FINDING or (inside and not block.heading)
        said += [block.text, *_shown(block)] if inside else []
    return "\n\n".join(text.strip() for text in said if text.strip())


def _shown(block: _Block) -> Iterator[str]:
    for cell in block.code:
        for output in cell.get("outputs", []):
            yield "".join(output.get("data", {}).get("text/markdown", ""))


def _portable(value: object) -> object:
    """`value` without this machine's folders."""
    if isinstance(value, list | tuple):
        return [_portable(v) for v in value]
    for kind in (PurePosixPath, PureWindowsPath):
        if isinstance(value, str) and kind(value).is_absolute():
            return kind(value).name
    return value


def _meanings(executed: Path) -> dict[str, str]:
    """{parameter: comment behind its default}."""
    tagged = [c for c in read_cells(executed) if "parameters" in c["metadata"].get("tags", [])]
    source = "".join("".join(cell["source"]) for cell in tagged)
    return dict(re.findall(r"^(\w+)\s*=.*?\s#\s*(.*)$", source, re.MULTILINE))


def _versions(executed: Path) -> str:
    """What the notebook printed where it calls `versions()`."""
    cells = [c for c in read_cells(executed) if "versions()" in "".join(c["source"])]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    printed = (o["text"] for o in outputs if o.get("name") == "stdout")
    return "".join("".join(text) for text in printed).strip()
