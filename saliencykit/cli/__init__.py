"""The `saliencykit` command. Each command imports what it needs, so that help comes at once."""

import re
import traceback
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand, TyperGroup

from .. import __version__
from ..paths import PACKAGE
from ..registry import UnknownNameError
from ..running.checking import ATOL, RTOL
from ..running.runner import JOBS
from . import measure as measuring


class _Plain(TyperGroup):
    """Says what a user got wrong in one line, exit status 2; our faults keep a traceback."""

    def invoke(self, ctx: typer.Context) -> object:
        try:
            return super().invoke(ctx)
        except (UnknownNameError, OSError, ValueError) as error:
            if isinstance(error, BrokenPipeError) or not _ours(error):
                raise
            typer.secho(f"Error: {error}", err=True, fg="red")
            raise typer.Exit(2) from None


def _ours(error: Exception) -> bool:
    """Whether `error` was written for the user: of ValueErrors, those that our code raises."""
    if not isinstance(error, ValueError):
        return True
    place = traceback.extract_tb(error.__traceback__)[-1]
    in_package = Path(place.filename).is_relative_to(PACKAGE)
    return in_package and (place.line or "").startswith("raise ")


class _Pairs(TyperCommand):
    """Understands papermill's `-p NAME VALUE`, which typer's repeated options cannot be."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        joined, rest = [], list(args)
        while rest:
            joined.append(rest.pop(0))
            if joined[-1] == "-p" and len(rest) > 1 and rest[0].isidentifier():
                joined.append(f"{rest.pop(0)}={rest.pop(0)}")
        return super().parse_args(ctx, joined)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"-p takes a name and a value, for example `-p seed 1`; got {text!r} only")
    return name, value


app = typer.Typer(
    cls=_Plain,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version.")
    ] = False,
) -> None:
    """Look inside deep visual saliency models: figures, data sets, and what units respond to.

    Begin with `saliencykit figures`, which draws every figure of a small made-up world in minutes,
    or with `jupyter lab notebooks`.
    """


_FIGURES_HELP = f"""Execute the notebooks, and so draw every figure and write the table behind it.

Figures go to figures/<profile>/, and all of them, with questions, findings and parameters, onto one
page there, index.html, to be opened in a browser. Executed copies of the notebooks go to the cache.
What has been trained or measured once is taken from the cache, so a killed run goes on where it
was.

With --check nothing in figures/ is touched: new tables are compared with those there. Texts must
be the same; a number may differ from c, the one there, by {ATOL} + {RTOL}·|c|, or as the
profile says under `check: {{table: {{column: [rtol, atol]}}}}`. Training amplifies rounding, so
this holds for as many threads a notebook ($OMP_NUM_THREADS, else cores over --jobs) on such a
processor: the committed tables were made with one thread.

\b
Examples:
  saliencykit figures                              all notebooks, profile toy
  saliencykit figures 02 03 --profile osie         two of them, on real photographs
  saliencykit figures 02 --profile osie -p encoder resnet18 -p unit_layer layer3.1 -p layers []
  saliencykit figures --check                      are the committed tables still right?
"""


@app.command(help=_FIGURES_HELP, cls=_Pairs)
def figures(
    notebooks: Annotated[
        list[str] | None,
        typer.Argument(
            help="Numbers (02), names, beginnings of names or paths; all of the profile's if none."
        ),
    ] = None,
    profile: Annotated[
        str, typer.Option(help="Settings to run with: see `saliencykit profiles`.")
    ] = "toy",
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "-p", metavar="NAME VALUE", help="Set a notebook's parameter; may be repeated."
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option(help="Notebooks run side by side: 2 if there are two cores, else 1.")
    ] = JOBS,
    check: Annotated[
        bool, typer.Option("--check", help="Compare with the committed tables instead.")
    ] = False,
) -> None:
    """Execute the notebooks: the help text above is what users read."""
    from ..paths import FIGURES
    from ..running.checking import report
    from ..running.gallery import PAGE
    from ..running.runner import NotebookFailedError, run, summary

    overrides = dict(_pair(p) for p in parameter or ())
    try:
        outcomes, differences = run(
            notebooks or (), profile, overrides, jobs, check, say=typer.echo
        )
    except NotebookFailedError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(summary(outcomes))
    if differences:
        typer.echo(report(differences), err=True)
        raise typer.Exit(1)
    if check:
        typer.echo("The tables agree with the committed ones.")
    else:
        typer.echo(f"All figures on one page: {FIGURES.resolve() / profile / PAGE}")


@app.command(cls=_Pairs)
def explore(
    profile: Annotated[
        str, typer.Option(help="Settings to run with: see `saliencykit profiles`.")
    ] = "toy",
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", metavar="NAME VALUE", help="Set a parameter; may be repeated."),
    ] = None,
    port: Annotated[int, typer.Option(help="Of this machine, where the page is served.")] = 8866,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Serve the unit explorer, notebook 09, as a page without code; Ctrl-C ends it.

    The first time, networks are trained and dissected before it shows (toy: some minutes).

    \b
    Examples:
      saliencykit explore
      saliencykit explore --profile osie -p category text
      saliencykit explore --no-browser --port 9000     on a server: open http://localhost:9000
    """
    from ..running.serving import page, serve

    path = page("09", profile, dict(_pair(p) for p in parameter or ()))
    raise typer.Exit(serve(path, port, browser))


@app.command()
def profiles() -> None:
    """List the profiles of settings that `figures` can run with.

    \b
    Example:
      saliencykit profiles
    """
    from ..running.checking import table
    from ..running.profiles import profile_names

    rows = list(profile_names().items())
    typer.echo("\n".join(table(("profile", "what it is"), rows)))


@app.command()
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


@app.command()
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


for measure in (measuring.dissect, measuring.predict, measuring.models, measuring.evaluate):
    app.command()(measure)
