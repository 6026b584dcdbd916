"""`saliencykit cache`: what the cache holds, what of it may go, how results reach others.

Each command imports what it needs, so that help comes at once.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..holdings import Holding

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""See what is kept of computations, remove what is of no use, pass results on.

    The cache is $SALIENCYKIT_CACHE, or else a folder in your own cache; see docs/cache.md.
    """,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SECONDS = 10
"""How often `saliencykit cache tensorboard --follow` looks."""

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KIND|NAME]...", help="Only these kinds, or single entries: see list."),
]
With = Annotated[
    str, typer.Option("--with", metavar="TEXT", help="Only what has this in its own words: vgg16.")
]
Older = Annotated[
    str, typer.Option("--older-than", metavar="AGE", help="Only what is older: 12h, 30d, 8w.")
]
Outdated = Annotated[
    bool,
    typer.Option("--outdated", help="Only what code has made that has changed since."),
]
Unfinished = Annotated[
    bool,
    typer.Option(
        "--unfinished", help="Trainings instead that were interrupted more than a day ago."
    ),
]


@app.command("list")
def show(
    names: Names = None,
    with_: With = "",
    older_than: Older = "",
    outdated: Outdated = False,
    unfinished: Unfinished = False,
    each: Annotated[bool, typer.Option("--each", help="A row an entry, not a kind.")] = False,
) -> None:
    """List what the cache holds: by kind, or (--each) every entry and what made it.

    Nothing but the files' headers is read. "outdated" counts what the present code would compute
    anew, since code that it hangs on has changed; of entries from before what made them was told
    nobody can say.

    \b
    Examples:
      saliencykit cache list
      saliencykit cache list training --each --with vgg16
    """
    from ..paths import cache_root
    from ..running.checking import table

    found = _chosen(names, with_, older_than, outdated, unfinished)
    if found and each:
        typer.echo(_one_by_one(found))
    elif found:
        header = ("kind", "entries", "size", "made", "computed in", "outdated", "not told")
        kinds = groupby(found, key=lambda one: one.kind)
        typer.echo("\n".join(table(header, [(kind, *_sum(list(one))) for kind, one in kinds])))
    typer.echo(f"{cache_root()}: {_total(found)}")


@app.command()
def prune(
    names: Names = None,
    with_: With = "",
    older_than: Older = "",
    outdated: Outdated = False,
    unfinished: Unfinished = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would go, and remove nothing.")
    ] = False,
) -> None:
    """Remove entries of the cache: those to which all that you ask for applies.

    What is removed is computed again when somebody asks for it. Nothing goes but entries: no data
    set, no model kept under a name, no executed notebook, no file of yours.

    \b
    Examples:
      saliencykit cache prune --outdated --dry-run
      saliencykit cache prune features stimuli --older-than 30d
    """
    from ..holdings import remove

    if not (names or with_ or older_than or outdated or unfinished):
        raise ValueError(
            "Say what is to go: kinds or names (`saliencykit cache list`), --with, --older-than, "
            "--outdated or --unfinished; --dry-run shows what would."
        )
    found = _chosen(names, with_, older_than, outdated, unfinished)
    if dry_run:
        typer.echo(_one_by_one(found))
        typer.echo(f"Would go: {_total(found)}.")
        return
    if left := remove(found):
        raise PermissionError("\n".join(["Could not be removed:", *left]))
    typer.echo(f"Gone: {_total(found)}.")


@app.command()
def export(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="Archive to write: .tar or .zip.")],
    names: Names = None,
    with_: With = "",
    older_than: Older = "",
    outdated: Outdated = False,
) -> None:
    """Write entries to an archive that others can import: all, or those that you ask for.

    With a manifest that holds the SHA-256 of each. Notes about files of this machine stay here, as
    do entries that are damaged or too old to say what they are of. What an entry says of how it was
    made goes along: its key (with the path of weights that you gave as a file), version, processor,
    time and date. Nothing is written over but what the same command wrote there and nobody has
    changed since.

    \b
    Examples:
      saliencykit cache export results.tar training dissection scores
      saliencykit cache export vgg16.zip --with vgg16
    """
    from ..holdings.publishing import export as write

    found, left = write(_chosen(names, with_, older_than, outdated), out)
    for told in left:
        typer.echo(f"Left out: {told}", err=True)
    typer.echo(f"{out}: {_number(found)}, {_size(out.stat().st_size)}")


@app.command("import")
def take(
    archive: Annotated[Path, typer.Argument(metavar="FILE", help="What `export` has written.")],
) -> None:
    """Take the entries of an archive into the cache: all, or, if anything is wrong, none.

    Each must be a whole entry, as the archive's manifest says. What is here already stays; an entry
    that differs from the one here (as a network that was trained on another processor does) stops
    the import. Nothing in an archive is run or unpickled; but you believe its numbers, so take only
    those whose authors you believe.

    \b
    Examples:
      saliencykit cache import results.tar
      SALIENCYKIT_CACHE=theirs saliencykit cache import results.tar
    """
    from ..holdings.publishing import take as read
    from ..paths import cache_root

    new, there = read(archive)
    typer.echo(f"{cache_root()}: {_number(new)} imported, {len(there)} were there already")


@app.command()
def tensorboard(
    runs: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where to write; made if missing.")
    ],
    with_: With = "",
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what is being trained, until Ctrl-C.")
    ] = False,
) -> None:
    """Write learning curves of trainings as events for TensorBoard, a run a training.

    An epoch has the task's score (NSS or accuracy) on training and on validation images, and the
    seconds it took. Curves are read from the cache: of trainings that are done, were interrupted,
    or are under way on any machine that shares it. So nothing need be asked for before one trains,
    and no result hangs on it. What FOLDER holds already is not written again. Needs an extra:
    pip install 'saliencykit[tensorboard]'.

    \b
    Examples:
      saliencykit cache tensorboard runs --with vgg16
      saliencykit cache tensorboard runs --follow      beside a training; and in another window
      tensorboard --logdir runs
    """
    from ..holdings import holdings
    from ..holdings.curves import write_events

    told: dict[Path, int] = {}
    with suppress(KeyboardInterrupt):
        while True:
            found = [one for one in holdings() if with_.casefold() in one.words.casefold()]
            if (new := write_events(found, runs, told)) or not follow:
                typer.echo(f"{runs}: {new} epochs are new, of {len(told)} trainings")
            if not follow:
                return
            time.sleep(SECONDS)


def _chosen(
    names: Sequence[str] | None, words: str, older: str, outdated: bool, unfinished: bool = False
) -> list["Holding"]:
    from ..holdings import age, chosen, holdings

    limit = age(older) if older else None
    return chosen(holdings(), names or (), words, limit, outdated, unfinished)


def _sum(entries: Sequence["Holding"]) -> tuple[str, ...]:
    """Number, size, days, time taken, outdated and untold ones of entries of one kind."""
    days = sorted(f"{one.when:%Y-%m-%d}" for one in entries)
    told = [one.made["seconds"] for one in entries if one.made]
    return (
        str(len(entries)),
        _size(sum(one.size for one in entries)),
        days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}",
        _time(sum(told)) if told else "",
        str(sum(one.outdated for one in entries) or ""),
        str(len(entries) - len(told) or ""),
    )


def _one_by_one(found: Sequence["Holding"]) -> str:
    from ..running.checking import table

    header = ("entry", "size", "made", "in", "by", "of what")
    return "\n".join(table(header, [_row(one) for one in found]))


def _row(one: "Holding") -> tuple[str, ...]:
    """Name, size, date, time taken, version and words of an entry."""
    took, by = (_time(one.made["seconds"]), one.made["version"]) if one.made else ("", "")
    by = "".join(c for c in by if c.isprintable())
    return one.name, _size(one.size), f"{one.when:%Y-%m-%d %H:%M}", took, by, one.words


def _total(found: Sequence["Holding"]) -> str:
    return f"{_number(found)}, {_size(sum(one.size for one in found))}"


def _number(found: Sequence[object]) -> str:
    return f"{len(found)} {'entry' if len(found) == 1 else 'entries'}"


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
