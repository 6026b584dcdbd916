"""A tracker's tables and a folder of images in, a data set in the `folder` format out."""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ...reading.tables import column_names, missing_values
from ..base import file_digests
from ..folder import named_images
from .columns import OPTIONS, Columns, find_columns
from .fates import FATES, FIRST, KEPT, OTHER_KIND
from .looks import check_eye, look_of, read_looks, seconds_of
from .names import Matched, observers_of
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


@dataclass(frozen=True)
class _Read:
    """What one table holds: the fate of each row, by its line, and its fixations on images."""

    path: Path
    fate: pd.Series
    looks: pd.DataFrame
    matched: Matched

    def place(
        self, files: Mapping[str, Path], screen: Screen, drop_first: bool, anyway: bool
    ) -> None:
        """Put the fixations on their images. Raises ValueError if none is left."""
        looks, fate = self.looks, self.fate
        fate.loc[looks.index] = put_on_images(looks, files, screen, self.path, anyway)
        if drop_first:
            fate.loc[looks.index[looks["place"].to_numpy() == 0]] = FIRST
            looks["place"] -= 1
        if self.kept.empty:
            raise ValueError(f"{self.path}: no fixation is left of {len(fate)} rows.")

    @property
    def kept(self) -> pd.DataFrame:
        """The fixations that are kept."""
        return self.looks.loc[(self.fate.loc[self.looks.index] == KEPT).tolist()]


def import_table(
    table: str | os.PathLike | Sequence[str | os.PathLike],
    images: str | os.PathLike,
    out: str | os.PathLike,
    screen: Screen | None = None,
    *,
    columns: Mapping[str, str | None] | None = None,
    observer_from_file: bool = False,
    decimal: str = ".",
    duration_unit: str | None = None,
    drop_first: bool = False,
    eye: str | None = None,
    anyway: bool = False,
) -> Imported:
    """Make a data set in the `folder` format of an eye tracker's table and the images shown.

    `table` has a row for each fixation (or each sample, with a column that numbers fixations),
    values between commas, tabs or semicolons; several tables, such as one a person, are to have
    the same columns. `columns` names them by role ("image", "x", "y", "observer", "order",
    "duration", "trial", "eye"); those left out are found by their usual names;
    `observer_from_file`: all of a table is of one observer, called as its file. `images` holds the
    image files, in it or one level down. `screen` says what positions mean.

    `out`, new or empty, gets copies of the images that the tables name, `fixations.csv` (pixels of
    these files; order from 0 in an observer's look at an image, after what `drop_first` leaves
    out; seconds) and `import.json`, the settings. It is there when all is written.

    `decimal`: what stands before decimals in the table; `duration_unit`: "ms" or "s" (None: seen
    from the numbers); `drop_first`: leave out each observer's first fixation on each image, by the
    table's order, else by its rows; `eye`: which counts, in its column's words, where both were
    recorded. Raises FileNotFoundError, FileExistsError, UnknownNameError and ValueError, saying
    file, line and option; among them if most positions lie outside their image, or many off the
    screen, unless `anyway`.
    """
    one = isinstance(table, str | os.PathLike)
    paths = [Path(table)] if one else [Path(each) for each in table]
    images, out = Path(images), Path(out).resolve()
    files = _checked_files(paths, images, out)
    who = observers_of(paths, columns or {}) if observer_from_file else {}
    found = _alike(paths, columns or {}, ["observer"] if who else [])
    screen = _with_units(screen or Screen(), found, paths[0])
    read = [_Read(p, *read_looks(p, found, files, decimal, eye, who.get(p))) for p in paths]
    if eye is not None:
        check_eye(eye, pd.concat([each.looks for each in read]), paths[0])
    notes = _notes(found, screen, read, len(files)) + _notes_on_looks(read, drop_first)
    if "duration" in found.named:
        own = {each.path: each.looks["duration"].to_numpy() for each in read}
        for each, seconds in zip(read, seconds_of(own, duration_unit, notes), strict=True):
            each.looks["duration"] = seconds
    for each in read:
        each.place(files, screen, drop_first, anyway)
    kept = pd.concat([each.kept for each in read], keys=range(len(read)), names=["table", "line"])
    fates = [fate for each in read for fate in each.fate]
    counts = {each: fates.count(each) for each in FATES}
    observers, seen = (len(set(kept[role])) for role in ("observer", "image"))
    named = {role: n for role, n in found.named.items() if role != "kind" or counts[OTHER_KIND]}
    result = Imported(out, named, counts, observers, seen, notes)
    told = {"decimal": decimal, "duration_unit": duration_unit, "drop_first": drop_first}
    told |= {"eye": eye, "observer_from_file": observer_from_file}
    tables = [str(path.resolve()) for path in paths]
    where = {"table": tables[0] if one else tables, "images": str(images.resolve())}
    settings = {**where, **asdict(screen), **told, "anyway": anyway}
    shown = sorted({name for each in read for name in each.looks["image"]})
    _write(result, kept, {name: files[name] for name in shown}, settings)
    return result


def _checked_files(tables: Sequence[Path], images: Path, out: Path) -> dict[str, Path]:
    """Image files by path below their folder. Raises where something is missing or in the way."""
    if not tables:
        raise ValueError("No table is named.")
    for table in tables:
        if not table.is_file():
            raise FileNotFoundError(f"There is no table {table}.")
    _check_different(tables)
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


def _check_different(tables: Sequence[Path]) -> None:
    """Raise ValueError if two tables are one file, or copies: their fixations would count twice."""
    seen: dict[str, Path] = {}
    for table, (_, told) in zip(tables, file_digests(tables), strict=True):
        if told in seen:
            raise ValueError(f"{table} holds just what {seen[told]} does: leave one of them out.")
        seen[told] = table


def _alike(paths: Sequence[Path], given: Mapping[str, str | None], known: list[str]) -> Columns:
    """Return which column is what in all tables. Raises ValueError for one that has others."""
    first, *others = ((p, find_columns(p, column_names(p), given, known)) for p in paths)
    for path, found in others:
        for role in (r for r in OPTIONS if found.named.get(r) != first[1].named.get(r)):
            own, there = (
                f"is {each.named[role]!r}" if role in each.named else "has no column"
                for each in (found, first[1])
            )
            raise ValueError(
                f"{path}: the {role} {own}, but in {first[0]} it {there}. Tables of one data set "
                f"are to have the same columns; name them with {OPTIONS[role]}, or rename them."
            )
    return first[1]


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


def _notes(found: Columns, screen: Screen, read: Sequence[_Read], files: int) -> list[str]:
    notes = []
    if guessed := [role for role in found.guessed if role != "kind"]:
        pairs = ", ".join(f"{role} {found.named[role]!r}" for role in guessed)
        notes.append(f"Columns taken by their names: {pairs}.")
    if "observer" not in found.named:
        names = [each.looks["observer"].iloc[0] for each in read if len(each.looks)]
        notes.append(f"Observers are called as their tables' files: {_some(names)}.")
    unneeded = ", for which --screen is not needed" if screen.size and not screen.on_screen else ""
    notes.append(f"Positions: {screen.units}{unneeded}.")
    if screen.on_screen and (screen.at is None or screen.shown is None):
        place = "in the middle of the screen" if screen.at is None else "at {:g},{:g}"
        notes.append(f"Images: {place.format(*screen.at or ())}, {_extent(screen)}.")
    loosely: dict[str, list[str]] = {}
    for how, names in (item for each in read for item in each.matched.loosely.items()):
        loosely[how] = list(dict.fromkeys([*loosely.get(how, ()), *names]))
    for how, names in loosely.items():
        notes.append(f"{len(names)} names of images were matched {how}, as {names[0]!r}.")
    if unknown := list(dict.fromkeys(name for each in read for name in each.matched.unknown)):
        notes.append(f"{len(unknown)} images of the table are not in the folder: {_some(unknown)}.")
    if unnamed := files - len({name for each in read for name in each.matched.image.values()}):
        notes.append(f"{unnamed} images in the folder are not in the table, and not copied.")
    return notes


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _notes_on_looks(read: Sequence[_Read], drop_first: bool) -> list[str]:
    looks = pd.concat([each.looks for each in read], keys=range(len(read)), names=["table", "line"])
    look = look_of(looks)
    notes = []
    if "eye" in looks and (nobody := int(missing_values(looks["eye"]).sum())):
        notes.append(f"{nobody} fixations name no eye: kept, as one eye at most saw what they did.")
    if len(read) > 1:
        seen = looks.reset_index("table")[["table", *look]].drop_duplicates()
        if twice := int((seen.groupby(look).size().to_numpy() > 1).sum()):
            notes.append(
                f"{twice} times an observer looks at an image in more than one table: taken for "
                "showings of their own."
            )
    if "order" not in looks:
        first = "No column numbers the fixations: the first row counts as the first."
        return [*notes, first] if drop_first else notes
    ties = sum(int(each.looks.duplicated([*look, "order"]).sum()) for each in read)
    if ties:
        notes.append(
            f"{ties} fixations have the number of another one of the same observer on the same "
            "image: was it shown more than once? They share a place in its order; a column "
            "named with --trial would tell the showings."
        )
    return notes


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
                number = kept.groupby(["table", *look_of(kept)], sort=False).ngroup()
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
