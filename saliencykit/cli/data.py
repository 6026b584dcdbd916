"""Commands about data sets: which are here, and where to get the others."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from ..registry import check_name
from . import completing
from .as_json import Json, say

if TYPE_CHECKING:
    from ..datasets import SaliencyDataset


DRAWN = {"page": "drawn by this package", "licence": "MIT licence", "citation": "see CITATION.cff"}
"""What stands in the place of a source where nothing comes from anywhere."""
DRAWN_HERE = "drawn by code"
LOOKED_AT = 20
"""Images that `saliencykit datasets NAME` looks at to tell what the data hold."""


def datasets(
    name: Annotated[
        str | None,
        typer.Argument(help="Tell all about this one instead.", autocompletion=completing.data),
    ] = None,
    json: Json = False,
) -> None:
    """List the data sets: whether their files are here, how many images, the licence, and where.

    With a NAME, tell about that one: page, licence, what to cite, and what its images come with.

    --json answers with a list of {name, here (yes, no or broken), images, licence, where}; of a
    NAME with one such object, which also holds what is told of it, a range as [least, most].

    \b
    Examples:
      SALIENCYKIT_DATA=~/data saliencykit datasets
      saliencykit datasets osie
      saliencykit datasets --json | jq '.[] | select(.here == "yes") | .name'
    """
    from ..datasets import names
    from ..running.checking import table

    if name is not None:
        known = _all_about(name)
        if json:
            say(known)
            return
        lines = _in_words(known)
        width = max(map(len, lines))
        typer.echo("\n".join(f"{what.ljust(width)}  {told}" for what, told in lines.items()))
        return
    rows = [_data_set(name) for name in names()]
    if json:
        say([row._asdict() for row in rows])
        return
    header = ("data set", "here", "images", "licence", "where, or what is missing")
    shown = [tuple("" if cell is None else str(cell) for cell in row) for row in rows]
    typer.echo("\n".join(table(header, shown)))
    if any(row.here == "no" for row in rows):
        typer.echo("What is not here: `saliencykit fetch NAME` gets it, or says how to.")


class _Row(NamedTuple):
    """A row of the table of data sets. `images`: None where they are not `here`."""

    name: str
    here: str
    images: int | None
    licence: str
    where: str


def _data_set(name: str) -> _Row:
    """Row of the table of data sets. Whatever is wrong with one, the others are listed."""
    from ..datasets import load

    licence = _source(name)["licence"].partition(";")[0]
    try:
        with warnings.catch_warnings(action="ignore"):  # what is odd in it is told of it alone
            return _Row(name, "yes", len(load(name)), licence, _place(name))
    except FileNotFoundError as error:
        return _Row(name, "no", None, licence, _first_sentence(error))
    except Exception as error:
        return _Row(name, "broken", None, licence, _first_sentence(error))


def _place(name: str) -> str:
    from ..paths import data_root

    folder = data_root(name)
    return str(folder) if folder.exists() else DRAWN_HERE


def _source(name: str) -> dict[str, str]:
    """Page, licence and citation of a data set."""
    from ..datasets.base import DATASETS

    source = getattr(DATASETS.get(name), "source", None)
    return {what: getattr(source, what) if source else DRAWN[what] for what in DRAWN}


def _all_about(name: str) -> dict[str, Any]:
    """What there is to tell about a data set, by what it is. Raises UnknownNameError."""
    from ..datasets import load, names

    known = {"name": check_name("data set", name, names()), **_source(name)}
    try:
        found = load(name)
    except FileNotFoundError as error:
        return {**known, "here": "no", "images": None, "where": str(error)}
    held = {**_split(found), **_held(found.thinned(LOOKED_AT))}
    return {**known, "here": "yes", "where": _place(name), **held}


def _split(data: "SaliencyDataset") -> dict[str, Any]:
    from ..datasets.base import SPLITS

    parts = {split: len(data.split(split)) for split in SPLITS}
    return {"images": len(data), "split": parts, "own_split": data.own_split}


def _held(data: "SaliencyDataset") -> dict[str, Any]:
    """What the images of `data` come with: counts of an image as least and most."""
    looks = [data.fixations(i) for i in range(len(data))]
    seen = [f for f in looks if len(f)]
    return {
        "looked_at": len(data),
        "sizes": sorted({tuple(data.size_of(i)) for i in range(len(data))}),
        "fixations": _span([len(f) for f in looks]),
        "observers": None if data.pooled else _span([len(f.observer.unique()) for f in seen]),
        "also_known": [
            what
            for what in ("order", "duration")
            if any(getattr(f, what) is not None for f in seen)
        ],
        "categories": list(data.categories),
        "regions": _span([len(data.regions(i)) for i in range(len(data))]),
        "scenes": list(data.scenes),
    }


def _span(numbers: list[int]) -> tuple[int, int]:
    """Least and most of `numbers`."""
    return min(numbers, default=0), max(numbers, default=0)


def _in_words(known: Mapping[str, Any]) -> dict[str, str]:
    """Lines that tell a person what `_all_about` found."""
    told = {"data set": known["name"], **{what: known[what] for what in DRAWN}}
    if known["here"] == "no":
        return {**told, "here": f"no: {known['where']}"}
    parts = ", ".join(f"{n} {split}" for split, n in known["split"].items())
    whose = "the data's own split" if known["own_split"] else "a split of ours"
    people, regions = known["observers"], known["regions"]
    named = f"{', '.join(known['categories'])}; {_range(regions)}"
    return {
        **told,
        "here": known["where"],
        "images": f"{known['images']}: {parts}, {whose}",
        "counted": f"in {known['looked_at']} of them",
        "size": ", ".join(f"{width}×{height}" for height, width in known["sizes"]),
        "fixations": _range(known["fixations"]),
        "observers": "not told apart" if people is None else _range(people),
        "also known": ", ".join(known["also_known"]) or "neither order nor duration",
        "regions": named if regions[1] else "none",
        "scenes": ", ".join(known["scenes"]) or "none",
    }


def _range(span: tuple[int, int]) -> str:
    low, high = span
    return f"{low} an image" if low == high else f"{low} to {high} an image"


def _first_sentence(error: Exception) -> str:
    return re.split(r"\.\s|\n", str(error) or type(error).__name__)[0]


def fetch(
    name: Annotated[
        str,
        typer.Argument(
            help="Data set: see `saliencykit datasets`.", autocompletion=completing.data
        ),
    ],
    root: Annotated[
        Path | None, typer.Option(help="Folder to put it in, instead of the usual one.")
    ] = None,
) -> None:
    """Download a data set, or say where to get it and where to put it.

    \b
    Example:
      saliencykit fetch osie
    """
    from ..datasets.fetch import fetch as get

    get(name, root)


def teach(
    out: Annotated[Path, typer.Option(help="File to write: .safetensors.")],
    seed: Annotated[int, typer.Option(help="Of crops, first weights and their order.")] = 0,
) -> None:
    """Teach the default encoder, toyvgg, to name toyworld's objects, as the one that ships was.

    Takes some minutes. A profile or `-p weights FILE` then uses it instead of the shipped one.
    Nothing is written over but what the same command wrote there and nobody has changed since.

    \b
    Example:
      saliencykit teach --out toyvgg_again.safetensors --seed 1
    """
    from ..models import toyvgg
    from ..paths import check_out, written

    check_out("teach", out)
    with written("teach", out) as part:
        report = toyvgg.teach(part, seed=seed)
    typer.echo(f"{out}: names {report['accuracy']:.1%} of held-out objects rightly")
