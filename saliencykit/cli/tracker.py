"""The command that makes a data set of an eye tracker's table."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..paths import check_out, written

if TYPE_CHECKING:
    from ..datasets import SaliencyDataset

HELP = """Make a data set of an eye tracker's tables and the images that were shown.

A table has a row for each fixation; several, such as one a person, make one data set. Columns are
found by the names that EyeLink Data Viewer, Tobii, SMI and others give them, and what was taken
for what is said; name them otherwise. OUT gets copies of the images, their fixations
(fixations.csv, in pixels of the image files) and the settings (import.json); OUT_looked.png, beside
it, shows the image with most fixations: look at it!
Nothing is written over: OUT is new or empty, and OUT_looked.png new, or as an import left it.

\b
Where people looked is measured in one of
  pixels-of-image     from the image's top left corner, of the image as it was --shown
  pixels-of-screen    from the screen's: also say --screen; --image-at if it was not in the middle
  fraction-of-image   0 to 1 over the image
  fraction-of-screen  0 to 1 over the screen: also --screen
  degrees             of visual angle from the screen's centre: also --screen, and either
                      --distance and --screen-size, or --pixels-per-degree

\b
Examples:
  saliencykit import fixations.csv --images photos --out data/folder
  saliencykit import report.txt --images photos --out data/folder --screen 1920x1080 --drop-first
  saliencykit import people/*.txt --images photos --out data/folder --observer-from-file
  saliencykit import export.tsv --images photos --out data/folder --x "Gaze X" --y "Gaze Y" \\
      --units degrees --screen 1280x1024 --screen-size 37.6x30.1 --distance 60 --y-up
"""


def _pair(text: str) -> tuple[float, float]:
    found = re.fullmatch(r"\s*([-\d.]+)\s*[x×,]\s*([-\d.]+)\s*", text)
    if not found:
        raise typer.BadParameter(f"two numbers are expected, as in 1024x768, not {text!r}.")
    return float(found[1]), float(found[2])


def _size(help_: str) -> typer.models.OptionInfo:
    return typer.Option(parser=_pair, metavar="WxH", help=help_)


def _column(what: str) -> typer.models.OptionInfo:
    return typer.Option(metavar="NAME", help=f"Column that holds {what}.")


def import_table(
    table: Annotated[
        list[Path],
        typer.Argument(help="Text, between commas, tabs or semicolons; several make one data set."),
    ],
    images: Annotated[Path, typer.Option(help="Folder of the images that were shown.")],
    out: Annotated[Path, typer.Option(help="Folder for the data set: a new or an empty one.")],
    image_column: Annotated[str | None, _column("the image's name")] = None,
    x: Annotated[str | None, _column("x")] = None,
    y: Annotated[str | None, _column("y")] = None,
    observer: Annotated[str | None, _column("who looked")] = None,
    observer_from_file: Annotated[
        bool, typer.Option("--observer-from-file", help="Each table is of who its file names.")
    ] = False,
    order: Annotated[str | None, _column("the fixation's number")] = None,
    duration: Annotated[str | None, _column("how long it lasted")] = None,
    trial: Annotated[str | None, _column("the trial, if images were shown again")] = None,
    eye_column: Annotated[str | None, _column("which eye it was")] = None,
    eye: Annotated[
        str | None, typer.Option(help="Whose fixations count where both eyes were recorded.")
    ] = None,
    units: Annotated[
        str | None, typer.Option(help="What x and y are measured in: see above.")
    ] = None,
    screen: Annotated[str | None, _size("The screen's pixels.")] = None,
    image_at: Annotated[
        str | None,
        typer.Option(
            parser=_pair,
            metavar="X,Y",
            help="Where on the screen the image's top left corner was, if it was not centred.",
        ),
    ] = None,
    shown: Annotated[
        str | None, _size("The image's size on the screen, if it was not pixel by pixel.")
    ] = None,
    distance: Annotated[
        float | None, typer.Option(help="From eye to screen, in centimetres.")
    ] = None,
    screen_size: Annotated[str | None, _size("The screen's size in centimetres.")] = None,
    pixels_per_degree: Annotated[
        float | None, typer.Option(help="If it was the same all over the screen.")
    ] = None,
    y_up: Annotated[bool, typer.Option("--y-up", help="y grows upward.")] = False,
    drop_first: Annotated[
        bool, typer.Option("--drop-first", help="Without each observer's first on each image.")
    ] = False,
    duration_unit: Annotated[
        str | None, typer.Option(help="ms or s; seen from the numbers if left out.")
    ] = None,
    decimal: Annotated[str, typer.Option(help="What stands before decimals.")] = ".",
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Even if many positions miss image or screen.")
    ] = False,
) -> None:
    """Make a data set of an eye tracker's tables: see `HELP`."""
    from ..datasets import load
    from ..datasets.tracker import Screen, import_table

    picture = out.resolve().with_name(f"{out.resolve().name}_looked.png")
    if picture.parent.is_dir():
        check_out("import", picture)
    found = import_table(
        table[0] if len(table) == 1 else table,
        images,
        out,
        Screen(
            units=units,
            size=screen,
            at=image_at,
            shown=shown,
            distance=distance,
            centimetres=screen_size,
            per_degree=pixels_per_degree,
            upward=y_up,
        ),
        columns={
            "image": image_column,
            "x": x,
            "y": y,
            "observer": observer,
            "order": order,
            "duration": duration,
            "trial": trial,
            "eye": eye_column,
        },
        observer_from_file=observer_from_file,
        decimal=decimal,
        duration_unit=duration_unit,
        drop_first=drop_first,
        eye=eye,
        anyway=anyway,
    )
    typer.echo(str(found))
    name = _look(load("folder", out), picture)
    typer.echo(f"{picture}: {name} with its fixations. Do they lie where people would look?")
    typer.echo(f'Open it with sk.datasets.load("folder", root="{out}").')


def _look(data: "SaliencyDataset", picture: Path) -> str:
    """Draw the image with most fixations; return its name."""
    from PIL import Image

    from ..viewing.pictures import as_picture, with_fixations

    most = max(range(len(data)), key=lambda i: len(data.fixations(i)))
    drawn = with_fixations(as_picture(data.image(most)), data.fixations(most))
    with written("import", picture) as part:
        Image.fromarray(drawn).save(part, format="PNG")
    return data.names[most]
