"""The `saliencykit` command: a file for each group of commands, put together here.

Each command imports what it needs, so that help comes at once.
"""

import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand, TyperGroup

from .. import __version__
from ..paths import PACKAGE, for_children
from ..registry import UnknownNameError, lacking
from . import cache, data, figures, measure, sweep, tracker, twin

EXTRAS = {"figures": "notebooks", "twin": "notebooks", "explore": "explorer"}
"""Extras that bring what commands import; `models` brings that of all others."""


class _Plain(TyperGroup):
    """Says what a user got wrong in one line, exit status 2; our faults keep a traceback."""

    def invoke(self, ctx: typer.Context) -> object:
        try:
            return super().invoke(ctx)
        except (UnknownNameError, ImportError, OSError, ValueError) as error:
            told = _with_remedy(error, ctx.invoked_subcommand or "")
            if isinstance(told, BrokenPipeError) or (told is error and not _ours(error)):
                raise
            typer.secho(f"Error: {told}", err=True, fg="red")
            raise typer.Exit(2) from None


def _with_remedy(error: Exception, command: str) -> Exception:
    """Return `error`, or for a package that `command` lacks what tells which extra brings it."""
    if not isinstance(error, ModuleNotFoundError) or _ours(error):
        return error
    return lacking(error, f"`saliencykit {command}`", EXTRAS.get(command, "models"))


def _ours(error: Exception) -> bool:
    """Whether it was written for the user: of wrong values and imports those that we raise."""
    if not isinstance(error, ValueError | ImportError):
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


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


app = typer.Typer(
    cls=_Plain,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version.")
    ] = False,
) -> None:
    """Look inside deep visual saliency models: figures, data sets, and what units respond to.

    Begin with `saliencykit figures`, which draws every figure of a small made-up world in minutes,
    or with `jupyter lab notebooks`. After `saliencykit --install-completion` the tab key completes
    names of profiles, notebooks, settings, data sets, encoders and models.
    """
    os.environ.update(for_children())


def _add(
    command: Callable[..., None],
    short: str,
    name: str | None = None,
    help: str | None = None,
    cls: type[TyperCommand] = TyperCommand,
) -> None:
    """Make a function a command; short: what the list of all says of it, in one line."""
    app.command(name, cls=cls, help=help, short_help=short)(command)


_add(figures.figures, "Run the notebooks: every figure, and its table.", None, figures.HELP, _Pairs)
_add(figures.explore, "Serve the unit explorer as a page in your browser.", cls=_Pairs)
_add(twin.twin, "Draw a toyworld like your data: what can they show?", None, twin.HELP, _Pairs)
_add(tracker.import_table, "Make a data set of an eye tracker's table.", "import", tracker.HELP)
_add(sweep.sweep, "Compute a grid of trainings, here or on SLURM.", None, sweep.HELP)
_add(figures.profiles, "List the profiles, or the settings of one.")
_add(data.datasets, "List the data sets, or tell about one.")
_add(data.fetch, "Download a data set, or say how to get it.")
_add(data.teach, "Teach the default encoder, toyvgg, again.")
_add(measure.dissect, "Measure what each unit responds to, into a CSV.")
_add(measure.predict, "Draw saliency maps of your own images.")
_add(measure.models, "List models that draw maps, and encoders.")
_add(measure.evaluate, "Score saliency maps with all metrics.")
app.add_typer(cache.app, name="cache", short_help="See, prune and share what was computed.")
