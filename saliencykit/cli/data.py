"""Commands about data sets: which are here, and where to get the others."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..registry import check_name

if TYPE_CHECKING:
    from ..datasets import SaliencyDataset


DRAWN = {"page": "drawn by this package", "licence": "MIT licence", "citation": "see CITATION.cff"}
"""What stands in the place of a source where nothing comes from anywhere."""
LOOKED_AT = 20
"""Images that `saliencykit datasets NAME` looks at to tell what the data hold."""


def datasets(
    name: Annotated[str | None, typer.Argument(help="Tell all about this one instead.")] = None,
) -> None:
    """List the data sets: whether their files are here, how many images, the licence, and where.

    With a NAME, tell about that one: page, licence, what to cite, and what its images come with.

    \b
    Examples:
      SALIENCYKIT_DATA=~/data saliencykit datasets
      saliencykit datasets osie
    """
    from ..datasets import names
    from ..running.checking import table

    if name is not None:
        lines = _all_about(name)
        width = max(map(len, lines))
        typer.echo("\n".join(f"{what.ljust(width)}  {told}" for what, told in lines.items()))
        return
    header = ("data set", "here", "images", "licence", "where, or what is missing")
    rows = [_data_set(name) for name in names()]
    typer.echo("\n".join(table(header, rows)))
    if any(here == "no" for _, here, *_ in rows):
        typer.echo("What is not here: `saliencykit fetch NAME` gets it, or says how to.")


def _data_set(name: str) -> tuple[str, str, str, str, str]:
    """Row of the table of data sets. Whatever is wrong with one, the others are listed."""
    from ..datasets import load
    from ..paths import data_root

    folder, licence = data_root(name), _source(name)["licence"].partition(";")[0]
    try:
        found = load(name)
        where = str(folder) if folder.exists() else "drawn by code"
        return name, "yes", str(len(found)), licence, where
    except FileNotFoundError as error:
        return name, "no", "", licence, _first_sentence(error)
    except Exception as error:
        return name, "broken", "", licence, _first_sentence(error)


def _source(name: str) -> dict[str, str]:
    """Page, licence and citation of a data set."""
    from ..datasets.base import DATASETS

    source = getattr(DATASETS.get(name), "source", None)
    return {what: getattr(source, what) if source else DRAWN[what] for what in DRAWN}


def _all_about(name: str) -> dict[str, str]:
    """What there is to tell about a data set, by what it is. Raises UnknownNameError."""
    from ..datasets import load, names
    from ..paths import data_root

    known = {"data set": check_name("data set", name, names()), **_source(name)}
    try:
        found = load(name)
    except FileNotFoundError as error:
        return {**known, "here": f"no: {error}"}
    folder = data_root(name)
    here = str(folder) if folder.exists() else "yes"
    return {**known, "here": here, **_split(found), **_held(found.thinned(LOOKED_AT))}


def _split(data: "SaliencyDataset") -> dict[str, str]:
    from ..datasets.base import SPLITS

    parts = ", ".join(f"{len(data.split(s))} {s}" for s in SPLITS)
    whose = "the data's own split" if data.own_split else "a split of ours"
    return {"images": f"{len(data)}: {parts}, {whose}"}


def _held(data: "SaliencyDataset") -> dict[str, str]:
    """What the images of `data` come with."""
    looks = [data.fixations(i) for i in range(len(data))]
    regions = [len(data.regions(i)) for i in range(len(data))]
    seen = [f for f in looks if len(f)]
    people = [len(f.observer.unique()) for f in seen]
    observers = "not told apart" if data.pooled else _span(people)
    also = [
        what for what in ("order", "duration") if any(getattr(f, what) is not None for f in seen)
    ]
    named = f"{', '.join(data.categories)}; {_span(regions)} an image" if any(regions) else "none"
    return {
        "of these": f"{len(data)} looked at",
        "size": ", ".join(sorted({"{1}×{0}".format(*data.size_of(i)) for i in range(len(data))})),
        "fixations": f"{_span([len(f) for f in looks])} an image",
        "observers": f"{observers} an image" if seen and not data.pooled else observers,
        "also known": ", ".join(also) or "neither order nor duration",
        "regions": named,
        "scenes": ", ".join(data.scenes) or "none",
    }


def _span(numbers: list[int]) -> str:
    """Least and most of `numbers`."""
    low, high = min(numbers, default=0), max(numbers, default=0)
    return str(low) if low == high else f"{low} to {high}"


def _first_sentence(error: Exception) -> str:
    return re.split(r"\.\s|\n", str(error) or type(error).__name__)[0]


def fetch(
    name: Annotated[str, typer.Argument(help="Data set: see `saliencykit datasets`.")],
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
