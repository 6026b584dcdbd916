"""Compare the numbers behind new figures with the reference: `saliencykit figures --check`.

What hangs on no training must be equal, whatever the processor. A trained network differs from
processor to processor, as it does from seed to seed; so what hangs on training is judged as a
replication. Images are the same in both runs, so that trainings alone can move a number: how many
of the new estimates lie where the reference's trainings say that another run's would? (Trainings
that each leave out a fold differ by their images too, and then a number may lie further off.)

Tables are compared in their own order, so a figure's table must be in an order that does not hang
on its numbers. Pictures are not compared: another machine's fonts would differ.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..paths import whole
from . import records

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

RTOL, ATOL = 1e-3, 1e-4
"""An exact number may differ from the reference's, r, by ATOL + RTOL·|r|. Measured with vector
instructions and without: classical models' mean scores differed by at most a sixth of this, single
images' by just less than all of it (AIM's sampled AUC), an untrained network's units by a
hundredth."""
TIPPED = 0.005
"""Share of a table's exact cells that may be other numbers still: rounding can tip a rank. In the
same measurement, one of 2,520 counts of fixations to the target was another (BMS, 13 for 12)."""
FLOOR = 0.80
"""Share of learned numbers that must lie where another run's should, of all notebooks together. On
average 95 % do; numbers of the same few networks lie inside or outside together, so a run may have
fewer."""
FLOOR_EACH, MANY = 0.60, 20
"""The same of each notebook with so many such numbers."""
FAR, FEW = 3.0, 0.12
"""A number three times as far off as another run's may be lies far off; of a table, such a share
may, but two always. Student's t lets 1 in 1,000 of five trainings do so, 6 in 1,000 of three, and
counts of few arrays, in which trainings happen to agree, more: 3 of 40 in a run of other seeds."""
FEW_EACH, SOME = 0.25, 8
"""The same of each category with so many numbers in a table: two that are swapped have most of them
far off; in a run of other seeds 2 of 93 were, at most."""
CATEGORIES = ("category", "first", "second")
"""Columns that say of which category a row is."""
NAMES = 32
"""A column of more names than these does not hold categories."""
SWAPPED, SWAPPED_FEW = 1.0, 6.0
"""Two categories are taken for swapped if their n numbers are likelier to be another run's of the
other category than of their own, by the mean of the log likelihood, by more than the first plus the
second / √n. In runs drawn as the reference's trainings differ, the most of all pairs of a table
was 0.3 (07's doses, n = 90), 1.2 (07's specificity, 60) and 2.1 (07's matrix, 24); in a run of
other seeds it was below 0."""
ALIKE = 3.0
"""How many times as wide, or as narrow, a table's intervals and spreads may have become, in the
median."""
SHOWN = 20
"""Differences listed of each file; the rest are counted."""
TALLIES = "check.csv"
SPREAD, TRAININGS = "sd_trainings", "trainings"  # columns of learned numbers

Counts = dict[str, int]
"""Of one table or more. exact: cells that hang on no training; tipped: other numbers among them, in
tables that hold so few (`TIPPED`); differ: all else that must be equal and is not, texts and
structure included; intervals: learned numbers with an interval; changed: intervals that were above,
below or around 0 and no longer are; turned: those of them that went from one side to the other;
judged: learned numbers with an interval whose spread over trainings is told; inside: those of them
that lie where the reference says that another run's would (`intervals.another_run`); far: those
that lie `FAR` times as far off."""


class Difference(NamedTuple):
    """Where a new table departs from the reference. `row` counts from 1, below the header."""

    file: str
    row: int | str
    column: str
    reference: str
    now: str


@dataclass(frozen=True)
class Comparison:
    """A run beside the reference: `tallies`, notebooks and a total × counts, and differences."""

    tallies: "pd.DataFrame"
    differences: list[Difference]

    @property
    def faults(self) -> list[str]:
        """Why the run is no replication of the reference, in words; none if it is one."""
        differ, turned, share = self.tallies.loc["total", ["differ", "turned", "share"]]
        found = [f"{differ:.0f} of what must be equal is not"] if differ else []
        found += [f"{turned:.0f} verdicts turned round"] if turned else []
        found += [f"only {share:.0%} of the learned numbers lie inside"] if share < FLOOR else []
        each = self.tallies.drop("total").query("judged >= @MANY and share < @FLOOR_EACH")
        return found + [
            f"only {share:.0%} of those of {n} do" for n, share in each["share"].items()
        ]

    def write(self, folder: Path) -> None:
        """Write the tallies to `folder`/check.csv."""
        with whole(folder / TALLIES) as part:
            self.tallies.to_csv(part, float_format="%.4f")

    def report(self) -> str:
        """Return the differences, at most SHOWN of each file, and the tallies, as tables."""
        lines = []
        for file in dict.fromkeys(d.file for d in self.differences):
            own = [tuple(map(str, d[1:])) for d in self.differences if d.file == file]
            lines += [file, *table(Difference._fields[1:], own[:SHOWN])]
            lines += [f"  … and {len(own) - SHOWN} more"] if len(own) > SHOWN else []
        shares = self.tallies["share"].map("{:.0%}".format).replace("nan%", "")
        shown = self.tallies.assign(share=shares).reset_index().astype(str)
        return "\n".join([*lines, *table(tuple(shown), shown.to_numpy().tolist())])


def compare(
    reference: Path, now: Path, notebooks: Sequence[str], gone: Sequence[str] = ()
) -> Comparison:
    """Compare the figures of `notebooks` (stems) in two folders, by their records and tables.

    Which numbers are learned is what the reference's records say. `gone`: notebooks that have a
    record there and should have run. Raises ValueError for a file that is no record.
    """
    import pandas as pd

    found = {stem: list(_notebook(reference, now, stem)) for stem in notebooks}
    found |= {stem: [_missing(f"{stem}.json", "a record", stem, None)] for stem in gone}
    counts = [pd.DataFrame([_counts(), *(c for _, c in parts)]).sum() for parts in found.values()]
    tallies = pd.DataFrame(counts, index=pd.Index(found, name="notebook"))
    tallies.loc["total"] = tallies.sum()
    tallies["share"] = tallies["inside"] / tallies["judged"]
    return Comparison(tallies, [d for parts in found.values() for own, _ in parts for d in own])


def _notebook(reference: Path, now: Path, stem: str) -> Iterator[tuple[list[Difference], Counts]]:
    """Yield what differs, and the counts, of each table of a notebook."""
    old, new = (records.read(folder / f"{stem}.json") for folder in (reference, now))
    if old is None or new is None:
        yield _missing(f"{stem}.json", "a record", old, new)
        return
    marks, drawn = records.figures(old), records.figures(new)
    for figure in dict.fromkeys([*marks, *drawn]):
        name = f"{figure}.csv"
        before = read_table(reference / name) if figure in marks else None
        after = read_table(now / name) if figure in drawn else None
        if before is None or after is None:
            yield _missing(name, "a table", before, after)
        else:
            yield compare_tables(name, before, after, marks[figure])


def _missing(file: str, what: str, old: object, new: object) -> tuple[list[Difference], Counts]:
    said = ("missing" if x is None else what for x in (old, new))
    return [Difference(file, "", "", *said)], _counts(differ=1)


def _counts(**found: int) -> Counts:
    names = (
        "exact",
        "tipped",
        "differ",
        "intervals",
        "changed",
        "turned",
        "judged",
        "inside",
        "far",
    )
    return {name: int(found.get(name, 0)) for name in names}


def read_table(path: Path) -> "pd.DataFrame | None":
    """Return a CSV's cells as texts, None if it is not there."""
    import pandas as pd

    return pd.read_csv(path, dtype=str, keep_default_na=False) if path.exists() else None


def compare_tables(
    name: str, reference: "pd.DataFrame", now: "pd.DataFrame", learned: bool | Sequence[bool] = True
) -> tuple[list[Difference], Counts]:
    """Return the differences between two tables of texts, called `name`, and what was counted.

    `learned`: whether numbers hang on training, altogether or row by row. Such rows must have the
    same texts, but for those that name a unit, and numbers where there were numbers; few of these
    may be far off (`FAR`), and intervals and spreads must be of about the same size (`ALIKE`).
    Other rows must be equal: texts, and numbers, but for a few (`TIPPED`), within RTOL and ATOL.
    NaN, which an empty cell is, equals only itself.
    """
    import numpy as np

    from ..intervals import another_run, triples

    marks = [learned] * len(reference) if isinstance(learned, bool) else list(learned)
    for old, new in zip(_shape(reference, len(reference)), _shape(now, len(marks)), strict=True):
        if old != new:
            return [Difference(name, "", "", old, new)], _counts(differ=1)
    marks, header = np.array(marks, dtype=bool), list(reference)
    (old, old_texts), (new, new_texts) = numbers(reference), numbers(now)
    numeric = ~(old_texts | new_texts)
    close = numeric & np.isclose(new, old, RTOL, ATOL, equal_nan=True)
    names_units = [column in ("unit", "layer") and "unit" in header for column in header]
    lost = np.isfinite(old) & ~np.isfinite(new)
    free = marks[:, None] & (numeric & ~lost | np.array(names_units, dtype=bool))
    wrong = ~(close | (reference.to_numpy() == now.to_numpy()) | free)
    exact, tipped = (~marks).sum() * len(header), wrong & numeric & ~marks[:, None]
    few = tipped.sum() <= TIPPED * exact
    wrong &= ~(tipped & few)
    differences = [
        Difference(name, int(i) + 1, header[j], reference.iat[i, j], now.iat[i, j])
        for i, j in np.argwhere(wrong)
    ]
    found = _counts(exact=exact, tipped=tipped.sum() * few, differ=len(differences))
    judged, far = np.zeros((2, len(old)), dtype=int)
    places_in_runs = []
    for columns in triples(header):
        rows = marks & np.isfinite(old[:, columns]).all(axis=1)
        reach = np.full(len(old), np.nan)
        spread = spread_of(header, columns)
        if spread is not None:
            reach = another_run(old[:, spread], *(trainings(header, part) for part in (old, new)))
            told = np.where(marks, reach, np.nan), trainings(header, old)
            places_in_runs.append(_Placed(old[:, columns[0]], new[:, columns[0]], *told))
        own = replicate(old[rows][:, columns], new[rows][:, columns], reach[rows])
        found = {key: count + own[key] for key, count in found.items()}
        judged += rows & np.isfinite(reach)
        far += rows & is_far(old[:, columns[0]], new[:, columns[0]], reach)
        places = columns if spread is None else [*columns, spread]
        differences += _another_width(name, header, old[rows], new[rows], places)
    differences += _many_far(name, reference, judged, far)
    differences += _swapped(name, reference, places_in_runs)
    return differences, found | {"differ": len(differences)}


def _many_far(
    name: str, frame: "pd.DataFrame", judged: "np.ndarray", far: "np.ndarray"
) -> Iterator[Difference]:
    """Yield if too many numbers of a table are far off, or too many of one category.

    judged, far: (N,), how many of each row.
    """
    if far.sum() > max(2, FEW * judged.sum()):
        said = f"at most {FEW:.0%} far off", f"{far.sum()} of {judged.sum()}"
        yield Difference(name, "", "", *said)
    of_each = frame.groupby("category").indices if "category" in frame else {}
    for category, rows in of_each.items():
        if judged[rows].sum() >= SOME and far[rows].sum() > FEW_EACH * judged[rows].sum():
            said = f"at most {FEW_EACH:.0%} far off", f"{far[rows].sum()} of {judged[rows].sum()}"
            yield Difference(name, "", str(category), *said)


class _Placed(NamedTuple):
    """A column of learned numbers (N,), in the reference and now, and where another run's may be.

    reach: how far off, NaN where nothing is told; trainings: behind each number of the reference.
    """

    old: "np.ndarray"
    new: "np.ndarray"
    reach: "np.ndarray"
    trainings: "np.ndarray"

    def likely(self, rows: "np.ndarray", as_rows: "np.ndarray") -> "np.ndarray":
        """Return how likely the new numbers of `rows` are, as another run's of `as_rows`.

        As `intervals.how_likely`; numbers that differ by rounding are as likely as equal ones.
        """
        import numpy as np

        from ..intervals import how_likely

        old = self.old[as_rows]
        reach = np.maximum(self.reach[as_rows], ATOL + RTOL * np.abs(old))
        return how_likely(self.new[rows] - old, reach, self.trainings[as_rows])


def _swapped(name: str, frame: "pd.DataFrame", placed: Sequence[_Placed]) -> Iterator[Difference]:
    """Yield each two categories whose numbers fit if they are exchanged, and not as they are.

    Their rows belong together in the order of the table. Of categories that have about the same
    numbers nobody can tell.
    """
    import numpy as np

    for column in (c for c in CATEGORIES if c in frame):
        rows = frame.groupby(column, sort=False).indices
        pairs = combinations(rows, 2) if len(rows) <= NAMES and placed else ()
        for a, b in pairs:
            if len(rows[a]) == len(rows[b]):
                own, other = np.array([[rows[a], rows[b]], [rows[b], rows[a]]])
                gain = [p.likely(own, other) - p.likely(own, own) for p in placed]
                n = np.isfinite(gain).sum()
                if n and np.nanmean(gain) > SWAPPED + SWAPPED_FEW / np.sqrt(n):
                    yield Difference(name, "", column, f"{a}, {b}", f"{b}, {a}, by the numbers")


def _another_width(
    name: str, header: Sequence[str], old: "np.ndarray", new: "np.ndarray", places: Sequence[int]
) -> Iterator[Difference]:
    """Yield if a number's intervals, or its spread over trainings, are of another size.

    places: of value, low, high, and of the spread, if there is one.
    """
    import numpy as np

    value, low, high, *spread = places
    sizes = {header[high]: [of[:, high] - of[:, low] for of in (old, new)]}
    sizes |= {header[place]: [of[:, place] for of in (old, new)] for place in spread}
    for column, (before, now) in sizes.items():
        told = before > ATOL + RTOL * np.abs(old[:, value])
        if told.sum() < MANY:
            continue
        times = float(np.median(np.nan_to_num(now[told]) / before[told]))
        if not 1 / ALIKE <= times <= ALIKE:
            yield Difference(name, "", column, "as wide as it was", f"{times:.2g} times as wide")


def _shape(frame: "pd.DataFrame", marks: int) -> tuple[str, ...]:
    """What of a table must be as before, in words."""
    return f"columns {', '.join(frame)}", f"{len(frame)} rows", f"{marks} rows learned or not"


def numbers(frame: "pd.DataFrame") -> "tuple[np.ndarray, np.ndarray]":
    """Return the numbers in a table of texts, NaN elsewhere, and where other texts are than NaN."""
    import pandas as pd

    found = frame.apply(pd.to_numeric, errors="coerce").to_numpy(float)
    return found, pd.isna(found) & ~frame.isin(["", "nan", "NaN"]).to_numpy()


def spread_of(header: Sequence[str], columns: Sequence[int]) -> int | None:
    """Return the place of the standard deviation over trainings of one of `triples`, or None.

    It stands behind its interval and before the next one, as `sd_trainings` or `x_sd_trainings`.
    """
    own = f"{header[columns[0]]}_{SPREAD}"
    if own in header:
        return header.index(own)
    for place in range(columns[1] + 1, len(header)):
        if header[place] == SPREAD:
            return place
        if header[place].endswith("low"):
            return None
    return None


def trainings(header: Sequence[str], values: "np.ndarray") -> "np.ndarray":
    """Return on how many trainings each row of a table (N, columns) rests: (N,); NaN: not told.

    As `trainings` says, or as many as have a column of their own, "training 1" …
    """
    import numpy as np

    if TRAININGS in header:
        return values[:, header.index(TRAININGS)]
    own = [i for i, column in enumerate(header) if re.fullmatch(r"training \d+", column)]
    return np.isfinite(values[:, own]).sum(axis=1) if own else np.full(len(values), np.nan)


def replicate(reference: "np.ndarray", now: "np.ndarray", reach: "np.ndarray") -> Counts:
    """Count numbers with their intervals, (N, 3) arrays of value, low, high, as `Counts` says.

    reach: (N,) of `intervals.another_run`, NaN where nothing is told. A number that differs by
    rounding alone is inside.
    """
    import numpy as np

    value, new, told = reference[:, 0], now[:, 0], np.isfinite(reach)
    inside = (np.abs(new - value) <= reach) | np.isclose(new, value, RTOL, ATOL)
    before, after = ((x[:, 1] > 0) * 1 - (x[:, 2] < 0) for x in (reference, now))  # above, below 0
    changed, turned = (before != after).sum(), (before * after < 0).sum()
    far = is_far(value, new, reach).sum()
    judged = {"judged": told.sum(), "inside": (told & inside).sum(), "far": far}
    return _counts(intervals=len(new), changed=changed, turned=turned, **judged)


def is_far(value: "np.ndarray", now: "np.ndarray", reach: "np.ndarray") -> "np.ndarray":
    """Tell (N,) which new numbers lie `FAR` times as far off as another run's may; missing ones do.

    Not where nothing is told of other runs (reach NaN), nor by rounding alone.
    """
    import numpy as np

    near = (np.abs(now - value) <= FAR * reach) | np.isclose(now, value, RTOL, ATOL)
    return np.isfinite(reach) & ~near


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines of a plain text table, columns padded to their widest cell."""
    cells = [header, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    padded = (
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells
    )
    return [f"  {line}" for line in padded]
