"""What a notebook found, kept beside its figures as figures/<profile>/NN_name.json.

A record is read from the executed copy: from its texts, and from what `Study` put into its outputs
about settings and figures. It holds all that the gallery (gallery.py) says about the notebook, and
what is compared (checking.py). When, where and how fast the notebook ran is not in it: equal
results give equal bytes.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from ..paths import FIGURE_MIME, SETTINGS_MIME, whole
from ..reading.jsons import read_json
from .profiles import GIVEN, declared, read_cells

Record = dict[str, Any]
"""`notebook` (its stem), `title`, `question`, `sections` ([{heading, text, figures: [{stem, size:
[width, height] in pixels, learned: of all rows or of each}]}]), `finding`, `settings` ({profile,
values, origins, meanings}, each but the first by name; or null), `parameters` ({name: value}) and
their `meanings`, `versions`. Texts are markdown."""

FINDING = "What we see"
"""Heading of the section in which a notebook says what it found."""


@dataclass
class _Block:
    """Markdown, split into its heading and the rest, and outputs up to the next markdown."""

    heading: str
    text: str
    outputs: list[dict[str, Any]] = field(default_factory=list)

    def shown(self, kind: str) -> list[Any]:
        """What of a MIME type its cells show."""
        found = [output.get("data", {}).get(kind) for output in self.outputs]
        return [thing for thing in found if thing is not None]


def read(path: Path) -> Record | None:
    """Return the record at `path`, None if there is none. Raises ValueError naming what is none."""
    try:
        record = read_json(path)
        _ = figures(record), record["notebook"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no record of a notebook ({error!r})") from error
    return record


def figures(record: Record) -> dict[str, bool | list[bool]]:
    """Return {stem: learned} of a record's figures, in their order.

    Learned: whether their numbers hang on a network's weights, altogether or row by row; those of
    old records, which do not say, count as learned.
    """
    shown = (figure for section in record["sections"] for figure in section["figures"])
    return {figure["stem"]: figure.get("learned", True) for figure in shown}


def write(executed: Path, folder: Path) -> Record:
    """Write the record of an executed notebook to `folder`; return it."""
    record = read_executed(executed)
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    replace(folder / f"{executed.stem}.json", text)
    return record


def replace(path: Path, text: str) -> None:
    """Write `text` at `path`, wholly or not at all."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def read_executed(executed: Path) -> Record:
    """Return the record of an executed notebook."""
    first, *others = blocks = list(_blocks(read_cells(executed)))
    values = declared(executed) | declared(executed, "injected-parameters")
    settings = [about for block in blocks for about in block.shown(SETTINGS_MIME)]
    return {
        "notebook": executed.stem,
        "title": first.heading or executed.stem,
        "question": _without_steps(first.text),
        "sections": list(_sections(blocks)),
        "finding": _finding(others),
        "settings": _portable(settings[0]) if settings else None,
        "parameters": {k: _portable(v) for k, v in values.items() if k not in GIVEN},
        "meanings": _meanings(executed),
        "versions": _versions(blocks),
    }


def _blocks(cells: Sequence[dict[str, Any]]) -> Iterator[_Block]:
    """Yield the notebook's blocks; a markdown cell without a heading goes on with one before it."""
    block, code = _Block("", ""), False
    for cell in cells:
        if cell["cell_type"] == "code":
            block.outputs += cell.get("outputs", [])
            code = True
        elif cell["cell_type"] == "markdown":
            heading, text = _split("".join(cell["source"]))
            if heading or code:
                if block != _Block("", ""):
                    yield block
                block, code = _Block(heading, text), False
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


def _sections(blocks: Sequence[_Block]) -> Iterator[Record]:
    """Yield the sections that show figures; a figure that is saved twice is where it was last."""
    last = {about["stem"]: block for block in blocks for about in block.shown(FIGURE_MIME)}
    for block in blocks:
        shown = {about["stem"]: about for about in block.shown(FIGURE_MIME)}
        if own := [about for stem, about in shown.items() if last[stem] is block]:
            yield {"heading": block.heading, "text": block.text, "figures": own}


def _finding(blocks: Sequence[_Block]) -> str:
    """Markdown below `FINDING` up to the next heading: what is written, and what code shows."""
    said, inside = [], False
    for block in blocks:
        inside = block.heading == FINDING or (inside and not block.heading)
        shown = ("".join(text) for text in block.shown("text/markdown"))
        said += [block.text, *shown] if inside else []
    return "\n\n".join(text.strip() for text in said if text.strip())


def _portable(value: Any) -> Any:
    """`value` without this machine's folders, whatever it holds."""
    if isinstance(value, dict):
        return {name: _portable(own) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(own) for own in value]
    for kind in (PurePosixPath, PureWindowsPath):
        if isinstance(value, str) and kind(value).is_absolute():
            return kind(value).name
    return value


def _meanings(executed: Path) -> dict[str, str]:
    """{parameter: comment behind its default}, of the notebook's own."""
    tagged = [c for c in read_cells(executed) if "parameters" in c["metadata"].get("tags", [])]
    source = "".join("".join(cell["source"]) for cell in tagged)
    said = re.findall(r"^(\w+)\s*=.*?\s#\s*(.*)$", source, re.MULTILINE)
    return {name: meaning for name, meaning in said if name not in GIVEN}


def _versions(blocks: Sequence[_Block]) -> str:
    """What `saliencykit.versions()` returned, where the notebook prints it."""
    streams = [o for block in blocks for o in block.outputs if o.get("name") == "stdout"]
    printed = ("".join(stream["text"]) for stream in streams)
    return next((text.strip() for text in printed if text.startswith("saliencykit ")), "")
