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

from ...registry import check_name
from ..files import image_size
from ..folder import LONGEST, fractions, named_images
from ..reading import column_names, missing_values, number_column, read_table
from .columns import Columns, find_columns
from .names import Matched, match_names
from .screen import Screen, Units, nowhere

KEPT = "kept"
OTHER_KIND = "of another kind than fixations"
NO_IMAGE = "without an image"
UNKNOWN = "on images that are not in the folder"
REPEATED = "that repeat a fixation, being samples of it"
OTHER_EYE = "of the other eye, this one's being there"
FIRST = "first fixations, dropped as asked"
LOST = "without a position, or with a code in its place: blinks and lost samples"
OFF_SCREEN = "outside the screen"
OFF_IMAGE = "outside the image"
FATES = (
    *(KEPT, OTHER_KIND, NO_IMAGE, UNKNOWN, OTHER_EYE, REPEATED, FIRST),
    *(LOST, OFF_SCREEN, OFF_IMAGE),
)
"""What becomes of a row."""

MOST = 0.5  # of the positions are to lie in the image: of people who look at pictures nearly all do
STRAY = 0.05  # of the positions may lie off the screen, where trackers lose the gaze
SHORTEST = 0.01  # seconds that half of all fixations exceed, with any tracker
UNITS_OF_TIME = {"ms": 1000, "s": 1}


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
    fate, looks, matched = _read(table, found, files, decimal, eye)
    notes = _notes(found, screen, matched, len(files)) + _notes_on_order(looks, drop_first)
    if "duration" in looks:
        looks["duration"] = _seconds(looks["duration"].to_numpy(), table, duration_unit, notes)
    fate.loc[looks.index] = _put_on_images(looks, files, screen, table, anyway)
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


def _read(
    table: Path, found: Columns, files: Mapping[str, Path], decimal: str, eye: str | None
) -> tuple[pd.Series, pd.DataFrame, Matched]:
    """Return the fate of each row, by its line; the fixations on images; how images were found.

    Fixations have x, y and, where there are columns for them, order and duration as numbers, the
    image's file, observer, and their place, from 0, in the observer's look at the image.
    """
    text = read_table(table, tuple(dict.fromkeys(found.named.values())))
    rows = pd.DataFrame({role: text[name].str.strip() for role, name in found.named.items()})
    fate = pd.Series(KEPT, index=rows.index)
    fate.loc[missing_values(rows["image"])] = NO_IMAGE
    fate.loc[_of_another_kind(rows)] = OTHER_KIND
    named = (fate == KEPT).to_numpy()
    matched = match_names(rows["image"].to_numpy()[named], files)
    fate.loc[named & ~rows["image"].isin(list(matched.image)).to_numpy()] = UNKNOWN
    looks = _fixations(rows.loc[(fate == KEPT).tolist()], found, table, decimal)
    looks["image"] = [matched.image[name] for name in looks["image"]]
    other = _of_other_eye(looks, table, eye)
    fate.loc[looks.index[other]] = OTHER_EYE
    looks = looks.loc[~other]
    again = _repeated(looks, table)
    fate.loc[looks.index[again]] = REPEATED
    looks = looks.loc[~again]
    return fate, looks.assign(place=_places_in_trials(looks)), matched


def _of_another_kind(rows: pd.DataFrame) -> np.ndarray:
    """Which rows are no fixations; none, if the column that may tell is about something else."""
    if "kind" not in rows:
        return np.zeros(len(rows), dtype=bool)
    fixations = np.array([kind.casefold() == "fixation" for kind in rows["kind"]], dtype=bool)
    return ~fixations & fixations.any()


def _of_other_eye(looks: pd.DataFrame, table: Path, eye: str | None) -> np.ndarray:
    """Which rows repeat with the other eye what `eye` saw; ValueError if it is to be asked.

    Looks that were recorded with one eye, whichever, stay.
    """
    if "eye" not in looks:
        if eye is not None:
            raise ValueError(f"{table}: no column tells the eye; name it with --eye-column.")
        return np.zeros(len(looks), dtype=bool)
    both = looks.groupby(_look(looks))["eye"].transform("nunique").to_numpy() > 1
    known = sorted(looks["eye"].unique())
    if both.any() and eye is None:
        first = looks.iloc[int(both.argmax())]
        raise ValueError(
            f"{table}: both eyes of {first['observer']!r} saw "
            f"{first['image']}, and each fixation would count twice; say "
            f"--eye {' | '.join(known)}."
        )
    return both & (looks["eye"] != check_name("eye", eye, known)).to_numpy() if eye else both


def _look(looks: pd.DataFrame) -> list[str]:
    """The columns that tell one look at an image from others."""
    return ["image", "observer", *(["trial"] if "trial" in looks else [])]


def _fixations(rows: pd.DataFrame, found: Columns, table: Path, decimal: str) -> pd.DataFrame:
    """Rows of text with numbers in them, as they stand in the table."""
    if (nobody := missing_values(rows["observer"])).any():
        raise ValueError(
            f"{table}, line {rows.index[nobody.argmax()]}: {found.named['observer']} is "
            f"{rows['observer'].iloc[nobody.argmax()]!r}: whose fixation is it?"
        )
    check_name("decimal sign", decimal, (".", ","))
    called = rows.rename(columns=dict(found.named))  # so that errors name columns as the user does
    numbers = {
        role: number_column(called, found.named[role], table, decimal)
        for role in ("x", "y", "order", "duration")
        if role in rows
    }
    for role in {"order", "duration"} & set(numbers):
        wrong = numbers[role] < 0 if role == "duration" else ~(numbers[role] >= 0)
        if wrong.any():
            line, value = rows.index[wrong.argmax()], rows[role].iloc[wrong.argmax()]
            raise ValueError(f"{table}, line {line}: {found.named[role]} is {value!r}.")
    return rows.assign(**numbers)


def _repeated(looks: pd.DataFrame, table: Path) -> np.ndarray:
    """Whether a row is another sample of a fixation that is there; ValueError if none can tell."""
    look = _look(looks)
    fixation = [*look, "x", "y"]
    if "order" in looks:
        again = looks.duplicated([*fixation, "order"]).to_numpy()
        fixation = [*look, "order"]
        what = "have the number of the row before and another position"
    else:
        again = np.zeros(len(looks), dtype=bool)
        what = "repeat the row before (name the column that numbers the fixations with --order)"
    seen = looks.loc[~again, fixation].to_numpy()
    share = (seen[1:] == seen[:-1]).all(1).mean() if len(seen) > 1 else 0
    if share > MOST:
        raise ValueError(
            f"{table}: {share:.0%} of the rows {what}: samples, it seems, and not fixations."
        )
    return again


def _places_in_trials(looks: pd.DataFrame) -> np.ndarray:
    """Place of each fixation in its observer's look at its image, from 0; ties share one."""
    trials = looks.groupby(_look(looks), sort=False)
    if "order" not in looks:
        return trials.cumcount().to_numpy()
    return trials["order"].rank(method="dense").to_numpy().astype(np.int64) - 1


def _seconds(durations: np.ndarray, table: Path, unit: str | None, notes: list[str]) -> np.ndarray:
    """Durations in seconds. Raises ValueError for a unit in which no fixations can be."""
    if unit is not None:
        check_name("unit of durations", unit, UNITS_OF_TIME)
    middle = pd.Series(durations).median()
    chosen = unit or ("ms" if middle > LONGEST else "s")
    seconds = durations / UNITS_OF_TIME[chosen]
    if not np.isnan(middle) and not SHORTEST <= middle / UNITS_OF_TIME[chosen] <= LONGEST:
        raise ValueError(
            f"{table}: half of the durations are above {middle:g}, which cannot be in {chosen}; "
            "see --duration-unit."
        )
    if unit is None:
        notes.append(f"Durations are taken to be in {chosen}: half are above {middle:g}.")
    return seconds


def _put_on_images(
    looks: pd.DataFrame, files: Mapping[str, Path], screen: Screen, table: Path, anyway: bool
) -> np.ndarray:
    """Turn x and y of fixations into pixels of their image files; return what becomes of each."""
    sizes = {name: image_size(files[name])[::-1] for name in looks["image"].unique()}
    own = np.array([sizes[name] for name in looks["image"]], dtype=np.float64).reshape(-1, 2)
    xy = looks[["x", "y"]].to_numpy()
    if screen.on_screen and not anyway:
        _check_shown(list(sizes), np.array(list(sizes.values()), dtype=np.float64), screen)
    fate, image = _places(xy, own, screen)
    _check_possible(xy, own, fate, screen, table, anyway)
    looks[["x", "y"]] = image
    return fate


def _places(xy: np.ndarray, own: np.ndarray, screen: Screen) -> tuple[np.ndarray, np.ndarray]:
    """What becomes of positions (N, 2), and where on the image they are, in its pixels."""
    image, on_screen = screen.pixels(xy, own)
    outside = ((image < 0) | (image >= own)).any(1)
    beyond = np.zeros(len(xy), dtype=bool)
    if on_screen is not None:
        beyond = ((on_screen < 0) | (on_screen >= np.asarray(screen.size))).any(1)
    fates = np.select([screen.lost(xy), beyond, outside], [LOST, OFF_SCREEN, OFF_IMAGE], KEPT)
    return fates, image


def _check_possible(
    xy: np.ndarray, own: np.ndarray, fate: np.ndarray, screen: Screen, table: Path, anyway: bool
) -> None:
    """Raise ValueError if positions can't be what they are said to be, with what they may be."""
    there = ~nowhere(xy)
    if not there.any():
        raise ValueError(f"{table}: no row has a position.")
    (left, top), (right, bottom) = xy[there].min(0), xy[there].max(0)
    of = "" if screen.size is None else " of a screen of {:g}×{:g}".format(*screen.size)
    read = (
        f"{table}: x runs from {left:g} to {right:g}, y from {top:g} to {bottom:g}. Read as "
        f"{screen.units}{of}, "
    )
    if screen.units in (Units.SCREEN, Units.IMAGE) and fractions(*xy[there].T):
        raise ValueError(
            f"{read}all lie in one corner. Are they --units {Units.OF_IMAGE}, or {Units.OF_SCREEN}?"
        )
    inside = (fate[there] == KEPT).mean()
    if inside < MOST and not anyway:
        raise ValueError(
            f"{read}only {inside:.0%} lie inside their image.{_advice(xy, own, screen)} --anyway "
            "imports them as they are."
        )
    off, n = int((fate[there] == OFF_SCREEN).sum()), int(there.sum())
    if off > max(1, STRAY * n) and not anyway:  # one alone tells nothing
        raise ValueError(
            f"{read}{off} of {n} ({off / n:.0%}) lie off the screen.{_advice_on_screen(xy, screen)}"
            " --anyway leaves them out."
        )


def _check_shown(names: Sequence[str], own: np.ndarray, screen: Screen) -> None:
    """Raise ValueError if an image, of those `own` (N, 2) large, did not fit on the screen."""
    shown = own if screen.shown is None else np.broadcast_to(screen.shown, own.shape)
    corner = np.broadcast_to(screen.corner(shown), own.shape)
    beyond = ((corner < 0) | (corner + shown > np.asarray(screen.size))).any(1)
    if beyond.any():
        k = int(beyond.argmax())
        at = "" if screen.at is None else " with its corner at {:g},{:g}".format(*screen.at)
        size = "{:g}×{:g}".format(*screen.size or ())
        raise ValueError(
            f"{names[k]}, {shown[k, 0]:g}×{shown[k, 1]:g} large{at}, reaches beyond the screen of "
            f"{size}. Is --screen right{'' if screen.at is None else ', and --image-at'}? If the "
            "image was made to fit, say how large it was: --shown WxH. --anyway imports it so."
        )


def _advice_on_screen(xy: np.ndarray, screen: Screen) -> str:
    """What option is wrong where positions lie off the screen, though most are on their image."""
    there = xy[~nowhere(xy)]
    if screen.units == Units.DEGREES:
        return " Are --distance, --screen-size or --pixels-per-degree right?"
    if (there < 0).any(1).mean() > STRAY:
        return " Does another place than the screen's top left corner count as (0, 0)?"
    _, on_screen = screen.pixels(there, there)
    assert on_screen is not None  # since they are off it
    width, height = np.quantile(on_screen, 1 - STRAY, axis=0)
    return f" Is --screen larger? 95 % of them lie within {width:.0f}×{height:.0f} pixels."


def _advice(xy: np.ndarray, own: np.ndarray, screen: Screen) -> str:
    """What options would put most positions into their images."""
    there = ~nowhere(xy)
    for units in (Units.OF_IMAGE, Units.OF_SCREEN, Units.IMAGE, Units.SCREEN):
        counts_from_screen = units in (Units.OF_SCREEN, Units.SCREEN)
        if units == screen.units or (counts_from_screen and screen.size is None):
            continue
        at = screen.at if counts_from_screen else None
        fate, _ = _places(xy, own, replace(screen, units=units, at=at))
        if (share := (fate[there] == KEPT).mean()) > 1 - (1 - MOST) / 2:
            return f" As --units {units}, {share:.0%} would."
    if screen.units != Units.DEGREES and (np.nan_to_num(xy) < 0).any() and np.nanmax(xy) < 90:
        return " Are they --units degrees, or does another place than a corner count as (0, 0)?"
    if screen.size is None:
        return (
            " Are they --units pixels-of-screen, with --screen WxH, or was the image --shown WxH?"
        )
    return " Are --screen, --image-at and --shown right?"


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
    if ties := int(looks.duplicated([*_look(looks), "order"]).sum()):
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
                number = kept.groupby(_look(kept), sort=False).ngroup()
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
