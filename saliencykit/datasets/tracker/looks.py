"""Rows of a tracker's table → fixations in order, look by look, and what becomes of the others.

A look is all that one observer did while an image was shown once.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ...reading.tables import check_observers, missing_values, number_column, read_table
from ...registry import check_name
from ..folder import LONGEST
from .columns import Columns
from .fates import KEPT, NO_EYE, NO_IMAGE, OTHER_EYE, OTHER_KIND, REPEATED, UNKNOWN
from .names import Matched, match_names

SAMPLES = 0.5  # of the rows: where more repeat the one before, they are no fixations
SHORTEST = 0.01  # seconds that half of all fixations exceed, with any tracker
UNITS_OF_TIME = {"ms": 1000, "s": 1}


def read_looks(
    table: Path,
    found: Columns,
    files: Mapping[str, Path],
    decimal: str,
    eye: str | None,
    observer: str | None = None,
) -> tuple[pd.Series, pd.DataFrame, Matched]:
    """Return the fate of each row, by its line; the fixations on images; how images were found.

    Fixations have x, y and, where there are columns for them, order and duration as numbers, the
    image's file, observer (whose table it is, if that is told), and their place, from 0, in the
    observer's look at the image.
    """
    text = read_table(table, tuple(dict.fromkeys(found.named.values())))
    rows = pd.DataFrame({role: text[name].str.strip() for role, name in found.named.items()})
    if observer is not None:
        rows["observer"] = observer
    fate = pd.Series(KEPT, index=rows.index)
    fate.loc[missing_values(rows["image"])] = NO_IMAGE
    fate.loc[_of_another_kind(rows)] = OTHER_KIND
    named = (fate == KEPT).to_numpy()
    matched = match_names(rows["image"].to_numpy()[named], files, table)
    fate.loc[named & ~rows["image"].isin(list(matched.image)).to_numpy()] = UNKNOWN
    looks = _fixations(rows.loc[(fate == KEPT).tolist()], found, table, decimal)
    looks["image"] = [matched.image[name] for name in looks["image"]]
    eyes = _fates_by_eye(looks, table, eye)
    fate.loc[looks.index] = eyes
    looks = looks.loc[eyes == KEPT]
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


def _fates_by_eye(looks: pd.DataFrame, table: Path, eye: str | None) -> np.ndarray:
    """What becomes of each row by its eye; ValueError if it is to be asked which eye counts.

    Looks that were recorded with one eye, whichever, stay, with their rows that name none (EyeLink
    writes a point). Where both eyes were recorded, nobody knows which eye such a row is of.
    """
    fates = np.full(len(looks), KEPT, dtype=object)
    if "eye" not in looks:
        if eye is not None:
            raise ValueError(f"{table}: no column tells the eye; name it with --eye-column.")
        return fates
    nobody = missing_values(looks["eye"])
    told = looks.assign(eye=looks["eye"].where(~nobody))
    both = told.groupby(look_of(looks))["eye"].transform("nunique").to_numpy() > 1
    if both.any():
        first, known = looks.iloc[int(both.argmax())], sorted(set(looks["eye"][~nobody]))
        if eye is None:
            raise ValueError(
                f"{table}: both eyes of {first['observer']!r} saw "
                f"{first['image']}, and each fixation would count twice; say "
                f"--eye {' | '.join(known)}."
            )
        check_name("eye", eye, known)
    fates[both & (looks["eye"] != eye).to_numpy()] = OTHER_EYE
    fates[both & nobody] = NO_EYE
    return fates


def check_eye(eye: str, looks: pd.DataFrame, table: Path) -> None:
    """Raise if no look, of those of all tables, is with the `eye` that is to count."""
    known = sorted(set(looks["eye"][~missing_values(looks["eye"])]))
    if not known:
        raise ValueError(f"{table}: its column of the eye names none in any row: leave out --eye.")
    check_name("eye", eye, known)


def look_of(looks: pd.DataFrame) -> list[str]:
    """The columns that tell one look at an image from others."""
    return ["image", "observer", *(["trial"] if "trial" in looks else [])]


def _fixations(rows: pd.DataFrame, found: Columns, table: Path, decimal: str) -> pd.DataFrame:
    """Rows of text with numbers in them, as they stand in the table."""
    if "observer" in found.named:
        check_observers(pd.Series(rows["observer"]), table, found.named["observer"])
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
    look = look_of(looks)
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
    if share > SAMPLES:
        raise ValueError(
            f"{table}: {share:.0%} of the rows {what}: samples, it seems, and not fixations."
        )
    return again


def _places_in_trials(looks: pd.DataFrame) -> np.ndarray:
    """Place of each fixation in its observer's look at its image, from 0; ties share one."""
    trials = looks.groupby(look_of(looks), sort=False)
    if "order" not in looks:
        return trials.cumcount().to_numpy()
    return trials["order"].rank(method="dense").to_numpy().astype(np.int64) - 1


def seconds_of(
    durations: Mapping[Path, np.ndarray], unit: str | None, notes: list[str]
) -> list[np.ndarray]:
    """Durations of each table in seconds; what unit they were taken to be in is noted.

    Raises ValueError for a unit in which no fixations can be, or if tables seem to differ in it.
    """
    if unit is not None:
        check_name("unit of durations", unit, UNITS_OF_TIME)
    seen: dict[str, Path] = {}
    for table, own in durations.items():
        middle = pd.Series(own).median()
        chosen = unit or ("ms" if middle > LONGEST else "s")
        if np.isnan(middle):
            continue
        if not SHORTEST <= middle / UNITS_OF_TIME[chosen] <= LONGEST:
            raise ValueError(
                f"{table}: half of the durations are above {middle:g}, which cannot be in "
                f"{chosen}; see --duration-unit."
            )
        seen.setdefault(chosen, table)
    if len(seen) > 1:
        told = ", ".join(f"of {table} in {chosen}" for chosen, table in seen.items())
        raise ValueError(f"Durations seem to be {told}: give all tables the same unit.")
    taken = next(iter(seen), "s")
    if seen and unit is None:
        middle = pd.Series(np.concatenate(list(durations.values()))).median()
        notes.append(f"Durations are taken to be in {taken}: half are above {middle:g}.")
    return [own / UNITS_OF_TIME[taken] for own in durations.values()]
