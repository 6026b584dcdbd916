"""Cells on a SLURM cluster: an array of jobs by submitit, followed until the last has ended.

There are as many jobs as cells, but each goes on with what nobody has begun until all is, so that
Python and torch start once a place and not once a cell; those that then have not started are
cancelled. Which job has begun a cell is told by a file, made only where none is, and how the cell
ended by another: one that kills its job is begun by no other, and the other jobs go on.

A job that meets its time limit, or has to give way, is put into the queue again, and its training
goes on from an epoch that was whole. Jobs do not end with us: the same command finds them again.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..paths import whole
from .cells import Cell
from .local import THREADS, run_as

TOOLS = ("sbatch", "squeue", "scontrol", "scancel", "srun")
WARNED = 90  # seconds before its time limit in which a job is told
IDLE = 3  # times in a row that a job may meet its limit before an epoch more is done
AGAIN = 10_000  # times that a job may be put into the queue again at all
ARRAY = 1000  # jobs of one array: SLURM's usual limit
BEGUN, ENDED = ".begun", ".ended"  # files of a cell: by which job, and with which traceback
ENDLESS = (
    f"its job has met its time limit {IDLE} times before an epoch more was done: ask for more "
    "--minutes"
)
UNSEEN = (
    "job {job} says that it is done, but its cell is not in this cache: do all machines see the "
    "same folder as SALIENCYKIT_CACHE?"
)
SIGHT = 2  # times in a row that a job is not in the queue any more, before it is given up


@dataclass(frozen=True)
class Cluster:
    """What a job asks SLURM for.

    minutes: its time limit; memory: GB; gpus: of each job; more: other settings of sbatch by name,
    such as account; poll: seconds between two looks at the queue.
    """

    partition: str | None = None
    gpus: int = 0
    minutes: int = 240
    memory: float = 8.0
    more: Mapping[str, str] = field(default_factory=dict)
    poll: float = 5.0


class Job:
    """One cell after the other, as long as there are some that no job has begun.

    cells: its own first, each with what it was called when the sweep was started; folder: where it
    is told who has begun which; idle: how often it has met its limit before an epoch more was done.
    """

    def __init__(self, cells: Sequence[tuple[Cell, str]], folder: Path, idle: int = 0):
        self.cells, self.folder, self.idle = cells, folder, idle
        self.at, self.before = cells[0], 0

    def __call__(self) -> None:
        """Compute one cell after the other; tell of each how it ended, as `local` does."""
        from submitit import JobEnvironment

        own = JobEnvironment().job_id
        for cell, name in self.cells:
            if _begin(self.folder, name, own):
                self.at, self.before = (cell, name), len(cell.begun)
                _end(self.folder, name, run_as(cell, name))
                self.idle = 0

    def checkpoint(self) -> Any:
        """Return what is to be computed when the job runs again: the same, if that is of use."""
        from submitit.helpers import DelayedSubmission

        cell, name = self.at
        idle = 0 if len(cell.begun) > self.before else self.idle + 1
        if idle >= IDLE:
            _end(self.folder, name, ENDLESS)
        return DelayedSubmission(Job(self.cells, self.folder, idle % IDLE))


def _begin(folder: Path, name: str, job: str) -> bool:
    """Whether a job may compute a cell: no other has begun it, and it has not ended."""
    place = folder / f"{name}{BEGUN}"
    if place.with_suffix(ENDED).exists():
        return False
    try:
        with place.open("x", encoding="ascii") as file:
            file.write(job)
    except FileExistsError:  # by us, if we were put into the queue again
        return begun(folder, name).get(name) == job
    return True


def _end(folder: Path, name: str, told: str) -> None:
    with whole(folder / f"{name}{ENDED}") as part:
        part.write_text(told, encoding="utf-8")


def begun(folder: Path, name: str = "*") -> dict[str, str]:
    """Return which job has begun a cell, by its name."""
    return _files(folder, f"{name}{BEGUN}")


def ended(folder: Path) -> dict[str, str]:
    """Return the traceback of each cell that a job has ended, by its name: "" if all went well."""
    return _files(folder, f"*{ENDED}")


def _files(folder: Path, pattern: str) -> dict[str, str]:
    found = {}
    for path in folder.glob(pattern):
        with suppress(FileNotFoundError):  # removed meanwhile
            found[path.stem] = path.read_text(encoding="utf-8")
    return found


def missing_tools() -> list[str]:
    """Return which of SLURM's commands are not here."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def check_cluster() -> None:
    """Raise ImportError without submitit, FileNotFoundError without SLURM, OSError if it's mute."""
    try:
        import submitit  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "--on slurm wants submitit: pip install 'saliencykit[cluster]', or say --on local."
        ) from error
    if missing := missing_tools():
        raise FileNotFoundError(
            f"There is no SLURM here: {', '.join(missing)} cannot be found. Give the command on a "
            "cluster's login node (or install slurm-wlm and munge), or say --on local."
        )
    if not queue().known:
        raise OSError("SLURM does not answer: see what `squeue` says, or say --on local.")


def submit(
    cells: Sequence[Cell], folder: Path, cluster: Cluster, jobs: int | None
) -> dict[str, str]:
    """Submit an array of jobs, of which `jobs` may run at a time; return their ids by cell's name.

    Each begins with its own cell. What they print, and which cells they have begun and ended, goes
    to `folder`, which all machines must see. Raises ValueError with what SLURM says where it
    refuses them.
    """
    import submitit

    executor = submitit.AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=AGAIN)
    asked = {
        "timeout_min": cluster.minutes,
        "mem_gb": cluster.memory,
        "cpus_per_task": 1,
        "gpus_per_node": cluster.gpus or None,
        "slurm_partition": cluster.partition,
        "slurm_array_parallelism": jobs,
        "slurm_additional_parameters": {"requeue": True, **cluster.more},
    }
    executor.update_parameters(
        name="saliencykit",
        slurm_signal_delay_s=min(WARNED, cluster.minutes * 30),
        slurm_setup=[f"export {name}={value}" for name, value in THREADS.items()],
        **{name: value for name, value in asked.items() if value is not None},
    )
    for cell in cells:  # whoever had begun them has ended
        for kind in (ENDED, BEGUN):
            (folder / f"{cell.name}{kind}").unlink(missing_ok=True)
    ids = {}
    for first in range(0, len(cells), ARRAY):
        part = [(cell, cell.name) for cell in cells[first : first + ARRAY]]
        told = [Job(part[k:] + part[:k], folder) for k in range(len(part))]
        try:
            sent = executor.submit_array(told) if len(told) > 1 else [executor.submit(told[0])]
        except RuntimeError as error:  # submitit's errors are such
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise ValueError(f"SLURM takes no jobs like these: {said[0]}") from error
        ids |= {name: job.job_id for (_, name), job in zip(part, sent, strict=True)}
    return ids


def follow(
    cells: Sequence[Cell], ids: Mapping[str, str], folder: Path, poll: float
) -> Iterator[tuple[Cell | None, str]]:
    """Yield each cell when it has ended, with why if it failed; ids: of jobs, by cell's name.

    Between them, (None, what the queue looks like), after each look at it. In the end jobs that
    have not started are cancelled: there is nothing left for them.
    """
    waiting, lost = list(cells), dict.fromkeys(cells, 0)
    while waiting:
        states, by, told = queue(), {**ids, **begun(folder)}, ended(folder)
        for cell in list(waiting):
            job, failure = by[cell.name], told.get(cell.name, "")
            if not (cell.is_kept or failure):
                if job in states or not states.known:
                    continue
                lost[cell] += 1  # another machine's files may come a moment later
                if lost[cell] < SIGHT:
                    continue
                done = cell.name in told
                failure = UNSEEN.format(job=job) if done else _last_words(folder, job)
            waiting.remove(cell)
            yield cell, "" if cell.is_kept else failure
        yield None, summary([states.get(by[cell.name], "") for cell in waiting])
        if waiting:
            time.sleep(poll)
    if left := queue().keys() & {ids[cell.name] for cell in cells}:
        subprocess.run(["scancel", "--state=PENDING", *left], capture_output=True, check=False)


class States(dict[str, str]):
    """State of each job of ours in the queue, by id; `known`: whether the queue could be seen."""

    known = True


def queue() -> States:
    """Return our jobs that wait or run, with why they wait."""
    command = ["squeue", "--noheader", "--array", "--me", "--format=%i %T %r"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = States()
    found.known = done.returncode == 0
    for line in done.stdout.splitlines():
        job, state, *reason = line.split(maxsplit=2)
        found[job] = state if reason in (["None"], []) else f"{state} ({reason[0]})"
    return found


def summary(states: Sequence[str]) -> str:
    """Return "2 RUNNING, 3 PENDING (Resources)" of states."""
    told = [state for state in states if state]
    return ", ".join(f"{told.count(state)} {state}" for state in dict.fromkeys(told))


def _last_words(folder: Path, job: str) -> str:
    """Return what a job that was killed has said last."""
    import submitit

    place = submitit.SlurmJob(folder, job).paths.stderr
    text = place.read_text(errors="replace") if place.exists() else ""
    lines = [line.strip() for line in text.splitlines() if not line.startswith("srun:")]
    errors = [line for line in lines if "error" in line.lower()]  # progress bars may come after
    said = next(filter(None, reversed(errors or lines)), "")
    return f"job {job} has ended without a result (out of memory, or cancelled?): {said or place}"
