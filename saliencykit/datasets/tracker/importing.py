"""A tracker's table and a folder of images in, a data set in the `folder` format out."""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ...reading.tables import column_names
from ..folder import named_images
from .columns import Columns, find_columns
from .fates import FATES, FIRST, KEPT, OTHER_KIND
from .looks import look_of, read_looks, seconds_of
from .names import Matched
from .placing import put_on_images
from .screen import Screen, Units


@dataclass(frozen=True)
class Imported:
    """What was read from a table, where it is now, and what is said of it.

    columns: role → column of the table; rows: how many rows of it met which of `FATES`; notes: what
    was guessed, what is odd.
    """

    out: Path
    columns: Mapping[str, str]
    rows: Mapping[str, int]
    observers: int
    images: int
    notes: Sequence[str]

    def __str__(self) -> str:
        left = [f"  {n} {fate}" for fate, n in self.rows.items() if n and fate != KEPT]
        told = [
            f"{sum(self.rows.values())} rows read: {self.rows[KEPT]} fixations of {self.observers} "
            f"observers on {self.images} images kept{', left out:' if left else '.'}",
            *left,
            *self.notes,
        ]
        return "\n".join(told)


def import_table(
    table: str | os.PathLike,
    images: str | os.PathLike,
    out: str | os.PathLike,
    screen: Screen | None = None,
    *,
    columns: Mapping[str, str | None] | None = None,
    decimal: str = ".",
    duration_unit: str | None = None,
    drop_first: bool = False,
    eye: str | None = None,
    anyway: bool = False,
) -> Imported:
    """Make a data set in the `folder` format of an eye tracker's table and the images shown.

    `table` has a row for each fixation (or each sample, with a column that numbers fixations),
    values between commas, tabs or semicolons. `columns` names its columns by role ("image", "x",
    "y", "observer", "order", "duration", "trial", "eye"); those left out are found by their usual
    names. `images` holds the image files, in it or one level down. `screen` says what positions
    mean.

    `out`, new or empty, gets copies of the images that the table names, `fixations.csv` (pixels of
    these files; order from 0 in an observer's look at an image, after what `drop_first` leaves
    out; seconds) and `import.json`, the
    settings. It is there when all is written.

    `decimal`: what stands before decimals in the table; `duration_unit`: "ms" or "s" (None: seen
    from the numbers); `drop_first`: leave out each observer's first fixation on each image, by the
    table's order, else by its rows; `eye`: which counts, in its column's words, where both were
    recorded. Raises FileNotFoundError, FileExistsError, UnknownNameError and ValueError, saying
    file, line and option; among them if most positions lie outside their image, or many off the
    screen, unless `anyway`.
    """
    table, images, out = Path(table), Path(images), Path(out).resolve()
    files = _checked_files(table, images, out)
    found = find_columns(table, column_names(table), columns or {})
    screen = _with_units(screen or Screen(), found, table)
    fate, looks, matched = read_looks(table, found, files, decimal, eye)
    notes = _notes(found, screen, matched, len(files)) + _notes_on_order(looks, drop_first)
    if "duration" in looks:
        looks["duration"] = seconds_of(looks["duration"].to_numpy(), table, duration_unit, notes)
    fate.loc[looks.index] = put_on_images(looks, files, screen, table, anyway)
    if drop_first:
        fate.loc[looks.index[looks["place"].to_numpy() == 0]] = FIRST
        looks["place"] -= 1
    kept = looks.loc[(fate.loc[looks.index] == KEPT).tolist()]
    if kept.empty:
        raise ValueError(f"{table}: no fixation is left of {len(fate)} rows.")
    counts = {each: int((fate == each).sum()) for each in FATES}
    observers, seen = (len(set(kept[role])) for role in ("observer", "image"))
    named = {role: n for role, n in found.named.items() if role != "kind" or counts[OTHER_KIND]}
    result = Imported(out, named, counts, observers, seen, notes)
    told = {"decimal": decimal, "duration_unit": duration_unit, "drop_first": drop_first}
    told["eye"] = eye
    where = {"table": str(table.resolve()), "images": str(images.resolve())}
    settings = {**where, **asdict(screen), **told, "anyway": anyway}
    _write(result, kept, {name: files[name] for name in sorted(set(looks["image"]))}, settings)
    return result


def _checked_files(table: Path, images: Path, out: Path) -> dict[str, Path]:
    """Image files by path below their folder. Raises where something is missing or in the way."""
    if not table.is_file():
        raise FileNotFoundError(f"There is no table {table}.")
    if not images.is_dir():
        raise FileNotFoundError(f"The folder of images, {images}, is not there.")
    if images.resolve() in (out, *out.parents):
        raise FileExistsError(f"--out {out} is the images' own folder, or in it; name another.")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise FileExistsError(f"--out {out} is there and not empty; nothing is written over.")
    files = {p.relative_to(images).as_posix(): p for p in named_images(images).values()}
    if not files:
        raise FileNotFoundError(f"There is no image in {images}, nor one level down.")
    return files


def _with_units(screen: Screen, found: Columns, table: Path) -> Screen:
    """`screen` with the units that it says, else with those that the name of the column tells."""
    if screen.units is not None:
        return screen
    column, told = found.named["x"], found.units
    if told is None and column.casefold() == "x" and screen == Screen(shown=screen.shown):
        told = Units.IMAGE  # as in fixations.csv; whoever says a screen may mean its pixels
    if told is None:
        raise ValueError(
            f"{table}: the name of {column!r} does not tell what it is measured in: "
            f"{Units.IMAGE} if it counts from the image's corner, {Units.SCREEN} if from the "
            f"screen's, or another; say --units {' | '.join(Units)}."
        )
    try:
        return replace(screen, units=told)
    except ValueError as error:
        raise ValueError(f"{table}: by its name, {column!r} is in {told}. {error}") from error


def _notes(found: Columns, screen: Screen, matched: Matched, files: int) -> list[str]:
    notes = []
    if guessed := [role for role in found.guessed if role != "kind"]:
        pairs = ", ".join(f"{role} {found.named[role]!r}" for role in guessed)
        notes.append(f"Columns taken by their names: {pairs}.")
    unneeded = ", for which --screen is not needed" if screen.size and not screen.on_screen else ""
    notes.append(f"Positions: {screen.units}{unneeded}.")
    if screen.on_screen and (screen.at is None or screen.shown is None):
        place = "in the middle of the screen" if screen.at is None else "at {:g},{:g}"
        notes.append(f"Images: {place.format(*screen.at or ())}, {_extent(screen)}.")
    for how, names in matched.loosely.items():
        notes.append(f"{len(names)} names of images were matched {how}, as {names[0]!r}.")
    if matched.unknown:
        some = ", ".join(matched.unknown[:3]) + (" …" if len(matched.unknown) > 3 else "")
        notes.append(f"{len(matched.unknown)} images of the table are not in the folder: {some}.")
    if unnamed := files - len(set(matched.image.values())):
        notes.append(f"{unnamed} images in the folder are not in the table, and not copied.")
    return notes


def _notes_on_order(looks: pd.DataFrame, drop_first: bool) -> list[str]:
    if "order" not in looks:
        first = "No column numbers the fixations: the first row counts as the first."
        return [first] if drop_first else []
    if ties := int(looks.duplicated([*look_of(looks), "order"]).sum()):
        return [
            f"{ties} fixations have the number of another one of the same observer on the same "
            "image: was it shown more than once? They share a place in its order; a column "
            "named with --trial would tell the showings."
        ]
    return []


def _extent(screen: Screen) -> str:
    return "pixel by pixel" if screen.shown is None else "{:g}×{:g} large".format(*screen.shown)


def _write(
    result: Imported, kept: pd.DataFrame, files: Mapping[str, Path], settings: Mapping[str, object]
) -> None:
    """Write everything beside `out` first, so that it is there whole or not at all."""
    out = result.out
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as place:
        part = Path(place, "part")
        part.mkdir()
        for name, file in files.items():
            (part / name).parent.mkdir(exist_ok=True)
            shutil.copy2(file, part / name)
        if "order" in kept:
            kept = kept.assign(order=kept["place"])
            if "trial" in kept:  # rows of one look together: nothing else tells it there
                number = kept.groupby(look_of(kept), sort=False).ngroup()
                kept = kept.iloc[np.lexsort((kept["order"], number))]
        columns = [c for c in ("image", "x", "y", "observer", "order", "duration") if c in kept]
        kept[columns].to_csv(part / "fixations.csv", index=False)
        record = {**settings, "columns": dict(result.columns), "rows": dict(result.rows)}
        (part / "import.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
        if not out.exists():
            os.replace(part, out)
        else:  # it may be where the user is, or a disk of its own
            for each in part.iterdir():
                shutil.move(each, out / each.name)
