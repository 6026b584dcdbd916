"""A grid from beginning to end: what is missing is computed, what failed told, all in one table."""

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from ..cache import digest, read
from ..paths import FIGURES, cache_root, check_out, whole, written
from ..reading.jsons import read_json
from ..running.checking import table
from ..running.executing import ends_in_order
from . import local, slurm
from .cells import KEPT, TOLD, Cell
from .grid import read_grid

COMMAND, TABLE, SWEEPS, JOBS = "sweep", "cells", "sweeps", "jobs"
HOUR = 3600
ELSEWHERE = "10"  # the notebook that compares studies
Ended = Generator[tuple[Cell | None, str]]
"""Cells as they end, and why they failed; none, and a word on the others."""
FIRST = ["profile"]  # columns, then what was changed, and
LAST = ["network", "training", "from_seed", *TOLD, "value", "on_images"]


@dataclass
class Record:
    """What is known of a grid besides its cells: in the cache, where every machine sees it.

    failed: cell's name → its traceback; jobs: cell's name → the job on SLURM that begins with it;
    cells: names when the sweep was started last, by which is seen that code or data have changed
    since.
    """

    folder: Path
    grid: str
    cells: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, grid: Path) -> "Record":
        """Return the record of the grid in a file, empty if it was never swept."""
        place = str(grid.resolve())
        folder = cache_root() / SWEEPS / f"{grid.stem}-{digest(place)[:8]}"
        return cls.read(folder) if (folder / "sweep.json").exists() else cls(folder, place)

    @classmethod
    def read(cls, folder: Path) -> "Record":
        """Return the record in a folder. Raises ValueError for a damaged one."""
        found = read_json(folder / "sweep.json")
        return cls(folder, *(found[name] for name in ("grid", "cells", "failed", "jobs")))

    @property
    def failures(self) -> dict[str, str]:
        """What failed, also in jobs that nobody follows: traceback by cell's name."""
        told = slurm.ended(self.folder / JOBS)
        return self.failed | {name: failure for name, failure in told.items() if failure}

    def write(self) -> None:
        """Keep it. Jobs unpickle what lies beside it: nobody else may write there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        told = {k: v for k, v in vars(self).items() if k != "folder"}
        with whole(self.folder / "sweep.json") as part:
            part.write_text(json.dumps(told, indent=1), encoding="utf-8")


def sweep(
    grid: Path,
    cluster: slurm.Cluster | None = None,
    jobs: int | None = None,
    say: Callable[[str], None] = print,
) -> dict[Cell, str]:
    """Compute the missing cells of a grid, here or on a cluster; return those that failed, and why.

    jobs: how many at a time (None: all that have room). A failure leaves the other cells. At the
    end the `long_table` of what is there is written, and said where. Raises as `read_grid`, for a
    cluster that is not there, and for a table that is somebody else's, before anything starts.
    """
    if jobs is not None and jobs < 1:
        raise ValueError(f"--jobs must be 1 or more, not {jobs}")
    if cluster is not None:
        slurm.check_cluster()
    cells, out = read_grid(grid), folder_of(grid)
    out.mkdir(parents=True, exist_ok=True)
    check_out(COMMAND, *(out / f"{TABLE}.{kind}" for kind in ("csv", "parquet")))
    record = Record.of(grid)
    if record.cells and (changed := _changed(cells, record)):
        say(f"Code, weights or data have changed since the last start: {changed} cells are others.")
    record.cells = {str(cell): cell.name for cell in cells}
    missing = _missing(cells)
    record.failed, failed = {}, {}
    record.write()
    say(_counted(cells))
    work = _on_slurm(missing, record, cluster, jobs) if cluster else _here(missing, jobs)
    bar = tqdm(total=len(missing), unit="cell", disable=None)
    with ends_in_order(), bar, closing(work) as ended:
        for cell, told in ended:
            if cell is None:
                bar.set_postfix_str(told)
                continue
            bar.update()
            if told:
                failed[cell] = record.failed[cell.name] = told
                with suppress(OSError):  # the disk is full, perhaps; others go on
                    record.write()
    done = [cell for cell in cells if cell.is_kept]
    for place in write_table(done, out):
        say(f"{place}: {len(done)} of {len(cells)} cells")
    return failed


def _missing(cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells to compute, each once: of several settings it may be the same."""
    return list({cell.name: cell for cell in cells if not cell.is_kept}.values())


def _counted(cells: Sequence[Cell]) -> str:
    kept = sum(cell.is_kept for cell in cells)
    return f"{len(cells)} cells: {kept} kept, {len(_missing(cells))} to do"


def _changed(cells: Sequence[Cell], record: Record) -> int:
    """Return how many cells of one description are not those that they were."""
    return sum(record.cells.get(str(cell), cell.name) != cell.name for cell in cells)


def _here(missing: Sequence[Cell], jobs: int | None) -> Ended:
    if missing:
        yield from local.side_by_side(missing, min(jobs or local.places(), len(missing)))


def _on_slurm(
    missing: Sequence[Cell], record: Record, cluster: slurm.Cluster, jobs: int | None
) -> Ended:
    """Submit what no job of ours in the queue computes already or will, and follow all."""
    folder, states = record.folder / JOBS, slurm.queue()
    by, ended = record.jobs | slurm.begun(folder), slurm.ended(folder)
    new = [c for c in missing if c.name in ended or by.get(c.name) not in states]
    if new:
        record.jobs |= slurm.submit(new, folder, cluster, jobs)
        record.write()
    yield from slurm.follow(missing, record.jobs, folder, cluster.poll)


def folder_of(grid: Path) -> Path:
    """Where the table and figures of a grid go."""
    return FIGURES.resolve() / SWEEPS / grid.stem


def write_table(cells: Sequence[Cell], out: Path) -> list[Path]:
    """Write the `long_table` as cells.csv and, with pyarrow, cells.parquet; return where."""
    found = long_table(cells)
    places = [out / f"{TABLE}.csv"]
    with written(COMMAND, places[0]) as part:
        found.to_csv(part, index=False)
    try:
        import pyarrow  # noqa: F401
    except ImportError:  # an optional extra
        return places
    places.append(out / f"{TABLE}.parquet")
    with written(COMMAND, places[1]) as part:
        found.to_parquet(part, index=False)
    return places


def long_table(cells: Sequence[Cell]) -> pd.DataFrame:
    """Return all numbers of cells that are kept, in their order, a row a number.

    profile, every setting that some cell changes, network, training and the seed that it is from,
    measure, layer, category, value, on_images (on how many it rests).
    """
    parts = [cell.table() for cell in cells]
    changed = list(dict.fromkeys(name for cell in cells for name, _ in cell.changes))
    columns = [*FIRST, *changed, *LAST]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True).reindex(columns=columns)


def listing(grid: Path) -> str:
    """Return the cells of a grid, a line each: its state, and what is known of its cost."""
    cells, record = read_grid(grid), Record.of(grid)
    queued = slurm.queue() if record.jobs and not slurm.missing_tools() else {}
    by = record.jobs | slurm.begun(record.folder / JOBS)
    states = {name: queued[job] for name, job in by.items() if job in queued}
    failed, hours = record.failures, {cell: _hours(cell) for cell in cells if cell.is_kept}
    rows = [(str(cell), _state(cell, failed, states), _cost(cell, hours)) for cell in cells]
    known = [h for cell in _missing(cells) if (h := _expected(cell, hours)) is not None]
    lines = table(("cell", "state", "cost"), rows)
    told = _counted(cells)
    if known:
        told += f", some {sum(known):.2g} hours of one core for {len(known)} of them"
    return "\n".join([*lines, told])


def _state(cell: Cell, failed: Mapping[str, str], jobs: Mapping[str, str]) -> str:
    if cell.is_kept:
        return "kept"
    if cell.name in failed:
        return f"failed: {last_line(failed[cell.name])}"
    if cell.name in jobs:
        return jobs[cell.name]
    done = len(cell.begun)
    return f"epoch {done} of {cell.training.settings.epochs}" if done else "to do"


def _hours(cell: Cell) -> float:
    return read(cell.path).meta["seconds"] / HOUR


def _expected(cell: Cell, hours: Mapping[Cell, float]) -> float | None:
    """Return the hours that a cell takes, by those alike that are kept, or its own epochs."""
    alike = [
        h
        for other, h in hours.items()
        if (other.profile, other.changes, other.network)
        == (cell.profile, cell.changes, cell.network)
    ]
    if alike:
        return sum(alike) / len(alike)
    if curve := cell.begun:
        each = sum(row["seconds"] for row in curve) / len(curve) / HOUR
        return each * cell.training.settings.epochs
    return None


def _cost(cell: Cell, hours: Mapping[Cell, float]) -> str:
    known = hours.get(cell, _expected(cell, hours))
    return "not known yet" if known is None else f"{known:.2g} h"


def last_line(text: str) -> str:
    """Return the last line of a traceback that says anything."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def statuses() -> str:
    """Return all grids that were swept with this cache, how far each is, and what failed."""
    rows, failures = [], []
    for folder in sorted((cache_root() / SWEEPS).glob("*/")):
        record = Record.read(folder)
        named = {name: cell for cell, name in record.cells.items()}
        kept = {n for n in named if (cache_root() / KEPT / f"{n}.safetensors").exists()}
        failed = {n: told for n, told in record.failures.items() if n in named.keys() - kept}
        counts = len(record.cells), sum(n in kept for n in record.cells.values()), len(failed)
        rows.append((record.grid, *map(str, counts)))
        failures += [f"{named[n]}: {last_line(told)}" for n, told in failed.items()]
    return "\n".join([*table(("grid", "cells", "kept", "failed"), rows), *failures])


def draw(grid: Path, say: Callable[[str], None] = print) -> Path:
    """Run notebook 10 with the studies of a grid as its rows; return the folder of its figures."""
    from ..running.runner import run

    cells, out = read_grid(grid), folder_of(grid)
    rows = list(dict.fromkeys(cell.row for cell in cells))
    profile = cells[0].profile
    run([ELSEWHERE], profile, {"rows": json.dumps(rows)}, jobs=1, figures=out, say=say)
    return out / profile
