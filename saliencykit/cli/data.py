"""Commands about data sets: which are here, and where to get the others."""

import re
from pathlib import Path
from typing import Annotated

import typer


def datasets() -> None:
    """List the data sets: whether their files are here, how many images, and where.

    \b
    Example:
      SALIENCYKIT_DATA=~/data saliencykit datasets
    """
    from ..datasets import names
    from ..running.checking import table

    header = ("data set", "here", "images", "where, or what is missing")
    rows = [_data_set(name) for name in names()]
    typer.echo("\n".join(table(header, rows)))
    if any(here == "no" for _, here, *_ in rows):
        typer.echo("What is not here: `saliencykit fetch NAME` gets it, or says how to.")


def _data_set(name: str) -> tuple[str, str, str, str]:
    """Row of the table of data sets. Whatever is wrong with one, the others are listed."""
    from ..datasets import load
    from ..paths import data_root

    folder = data_root(name)
    try:
        found = load(name)
        where = str(folder) if folder.exists() else "drawn by code"
        return name, "yes", str(len(found)), where
    except FileNotFoundError as error:
        return name, "no", "", _first_sentence(error)
    except Exception as error:
        return name, "broken", "", _first_sentence(error)


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

    \b
    Example:
      saliencykit teach --out toyvgg_again.safetensors --seed 1
    """
    from ..models import toyvgg

    if out.exists():
        raise ValueError(f"{out} is there already; name another file.")
    report = toyvgg.teach(out, seed=seed)
    typer.echo(f"{out}: names {report['accuracy']:.1%} of held-out objects rightly")
