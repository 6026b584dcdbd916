"""Commands that run notebooks: all figures, the unit explorer as a page, and the profiles."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ..running.checking import (
    ALIKE,
    ATOL,
    FEW,
    FEW_EACH,
    FLOOR,
    FLOOR_EACH,
    MANY,
    RTOL,
    TALLIES,
    TIPPED,
)
from ..running.runner import JOBS
from . import completing

Profile = Annotated[
    str,
    typer.Option(
        help="Settings to run with: see `saliencykit profiles`.", autocompletion=completing.profile
    ),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "-p",
        metavar="NAME VALUE",
        help="Change a setting, or set a parameter; may be repeated.",
        autocompletion=completing.setting,
    ),
]

HELP = f"""Execute the notebooks, and so draw every figure and write the table behind it.

Figures go to figures/<profile>/ in the checkout of whose `.venv` this is, wherever you stand, or
else in the current folder, or to the folder that SALIENCYKIT_FIGURES names; and all of them, with
questions, findings and settings, onto one page there, index.html, to be opened in a browser.
Executed copies of the notebooks go to the cache. What has been trained or measured once is taken
from the cache, so a killed run goes on where it was. git ignores all this; what is committed lies
in figures/reference/<profile>/.

--check compares the new tables with those of the reference. What hangs on no training must be the
same on any processor: texts, and numbers within {ATOL} + {RTOL}·|r| of the reference's r (but for
{TIPPED:.1%} of a table's cells, since rounding can tip a rank). What a network has learned differs
from processor to processor as it does from seed to seed, so there it is counted how many numbers
lie where the reference's trainings say that another run's would (95 % on average), how many
intervals that were above, below or around 0 changed, and how many turned round; all by notebook,
also in {TALLIES} beside the figures (exact: cells that must be equal; tipped: those that rounding
moved; differ: what should be equal and is not; intervals, changed, turned: verdicts; judged,
inside: learned numbers of which it is told how trainings differ; far: those three times as far off
as another run's may be). The exit status is 1 if what must be equal is not, if a verdict turned
round, if fewer than {FLOOR:.0%} of the learned numbers, or {FLOOR_EACH:.0%} of a notebook's (of
{MANY} or more), lie inside, or if a table has lost numbers, has more than {FEW:.0%} of them
({FEW_EACH:.0%} of a category's) far off, or intervals {ALIKE:.0f} times as wide or as narrow.
Pictures and sentences are not compared. On the machine that drew the reference the same seeds give
the same digits: ask for other ones there (training_seed).

--keep makes the figures the new reference (but for photographs, which are not ours to publish),
once all notebooks have run: for whoever changes a notebook, or what it computes, in a checkout.
With notebooks named, only theirs.

--for-paper writes SVG and PDF beside each PNG, and LaTeX (booktabs) beside each CSV; later runs
renew them. --style takes a matplotlib style sheet of yours over viewing/saliencykit.mplstyle.

\b
Examples:
  saliencykit figures                              all notebooks, profile toy
  saliencykit figures 02 03 --profile osie         two of them, on real photographs
  saliencykit figures 02 --profile osie -p encoder resnet18 -p unit_layer layer3.1 -p layers []
  saliencykit figures --check                      does this machine find what the reference says?
  saliencykit figures --check -p training_seed 99  do other trainings?
  saliencykit figures 07 --keep                    07 has changed: what it draws now is right
  saliencykit figures 03 --for-paper               03_map.svg, .pdf and .tex beside .png and .csv
"""


def pairs(parameters: Sequence[str] | None) -> dict[str, str]:
    """Return {name: value} of texts "name=value". Raises ValueError for one without a value."""
    for text in parameters or ():
        if "=" not in text:
            raise ValueError(f"-p takes a name and a value, as `-p seed 1`; got {text!r} only")
    return dict(text.split("=", 1) for text in parameters or ())


def figures(
    notebooks: Annotated[
        list[str] | None,
        typer.Argument(
            help="Numbers (02), names, beginnings of names or paths; all of the profile's if none.",
            autocompletion=completing.notebook,
        ),
    ] = None,
    profile: Profile = "toy",
    parameter: Parameters = None,
    jobs: Annotated[
        int, typer.Option(help="Notebooks run side by side: 2 if there are two cores, else 1.")
    ] = JOBS,
    check: Annotated[
        bool, typer.Option("--check", help="Then compare the tables with the reference.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Then make the figures the reference.")
    ] = False,
    for_paper: Annotated[
        bool, typer.Option("--for-paper", help="Also write SVG, PDF and LaTeX.")
    ] = False,
    style: Annotated[
        Path | None, typer.Option(help="A matplotlib style sheet of yours, over the kit's.")
    ] = None,
) -> None:
    """Execute the notebooks: `HELP` is what users read."""
    from ..paths import FIGURES
    from ..running.gallery import PAGE
    from ..running.runner import NotebookFailedError, run, summary

    asked = notebooks or (), profile, pairs(parameter), jobs
    try:
        looks = {"paper": for_paper, "style": style}
        outcomes, comparison = run(*asked, check=check, keep=keep, **looks, say=typer.echo)
    except NotebookFailedError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(summary(outcomes))
    typer.echo(f"All figures on one page: {FIGURES.resolve() / profile / PAGE}")
    if comparison is not None:
        typer.echo(comparison.report())
        if comparison.faults:
            typer.echo(
                f"This is not what the reference says: {'; '.join(comparison.faults)}.", err=True
            )
            raise typer.Exit(1)
        typer.echo("This is what the reference says.")


def explore(
    profile: Profile = "toy",
    parameter: Parameters = None,
    port: Annotated[
        int, typer.Option(help="Where this machine serves the page, or the next free one.", min=0)
    ] = 8866,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    export: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write it into this folder instead, to be opened there."),
    ] = None,
    docs: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Where the exported page's link to docs leads."),
    ] = None,
) -> None:
    """Serve the unit explorer, notebook 09, as a page without code; Ctrl-C ends it.

    The first time, networks are trained and dissected before it shows (toy: some minutes). The
    address that is printed holds a key, without which nobody is served; three pages may be open at
    a time, each of which takes about 1 GB of memory.

    --export writes a page that needs no server and no Python, to be opened from disk, sent or put
    on a site: the units that say most of each layer, on some images, in two networks. Into a folder
    that is new, or empty, or holds such a page: nothing else is written over.

    \b
    Examples:
      saliencykit explore
      saliencykit explore --export page                then open page/index.html
      saliencykit explore --profile osie -p category text
      saliencykit explore --no-browser --port 9000     on a server: ssh -L 9000:localhost:9000
    """
    if export is not None:
        from ..analyses.unit_explorer import page

        files = page.export(export, profile, pairs(parameter), docs)
        size = sum(file.stat().st_size for file in files) / 1e6
        typer.echo(f"{files[0].resolve()}: {len(files)} files, {size:.1f} MB; open it in a browser")
        return
    if docs is not None:
        raise ValueError("--docs is for an exported page: name its folder too, --export DIR")
    from ..running import serving

    serving.explore("09", profile, pairs(parameter), port, browser)


def profiles(
    name: Annotated[
        str | None,
        typer.Argument(help="Tell this one's settings.", autocompletion=completing.profile),
    ] = None,
) -> None:
    """List the profiles of settings that `figures` can run with.

    With a NAME, list its settings, what they mean, and which of them the profile sets: all that -p
    changes in any notebook, beside what a notebook asks for in its parameters cell.

    Yours are those in the folder that SALIENCYKIT_PROFILES names: NAME.yaml, lines of
    `setting: value` under a comment that says what it is.

    \b
    Examples:
      saliencykit profiles
      saliencykit profiles osie
      SALIENCYKIT_PROFILES=~/profiles saliencykit profiles
    """
    from ..running.checking import table
    from ..settings import profile_files

    if name is not None:
        typer.echo("\n".join(table(("setting", "value", "set by", "meaning"), _settings(name))))
        return
    files = profile_files()
    rows = [(name, _description(name)) for name in files]
    typer.echo("\n".join(table(("profile", "what it is"), rows)))
    for folder in dict.fromkeys(path.parent for path in files.values()):
        names = [name for name, path in files.items() if path.parent == folder]
        typer.echo(f"\nIn {folder}: {', '.join(names)}")


def _settings(name: str) -> list[tuple[str, str, str, str]]:
    """Setting, value, who sets it, meaning: of all settings, then of what single notebooks ask."""
    from ..settings import DEFAULTS, Settings, read_profile

    asked = read_profile(name)
    values, meanings = DEFAULTS | asked.settings | asked.asked, Settings.meanings()
    return [
        (
            key,
            # as -p and a profile's file take it, without quotes
            json.dumps(value, ensure_ascii=False).replace('"', "") or '""',
            "default" if key in DEFAULTS and key not in asked.settings else "profile",
            meanings.get(key, "asked by a notebook, which says what it is"),
        )
        for key, value in values.items()
    ]


def _description(name: str) -> str:
    """What a profile says of itself, or what is wrong with its file; the others are listed."""
    from ..settings import read_profile

    try:
        return read_profile(name).description
    except (OSError, ValueError) as error:
        return f"cannot be used: {' '.join(str(error).split())}"
