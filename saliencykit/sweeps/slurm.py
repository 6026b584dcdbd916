"""Cells on a SLURM cluster: an array of jobs by submitit, followed until the last has ended.

A job that meets its time limit, or has to give way, is put into the queue again, and its training
goes on from the last whole epoch. Jobs do not end with us: the same command finds them again.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .cells import Cell
from .local import THREADS, run_as

TOOLS = ("sbatch", "squeue", "scontrol", "srun")
WARNED = 90  # seconds before its time limit in which a job is told
IDLE = 3  # times in a row that a job may meet its limit before an epoch more is done
AGAIN = 10_000  # times that a job may be put into the queue again at all
ARRAY = 1000  # jobs of one array: SLURM's usual limit
RULE = "-" * 22  # what submitit puts before and after a traceback
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
    """What a job computes: a cell that was called `name` when the sweep was started.

    idle: how often it has met its limit before an epoch more was done.
    """

    def __init__(self, cell: Cell, name: str, idle: int = 0):
        self.cell, self.name, self.idle = cell, name, idle
        self.before = 0

    def __call__(self) -> str:
        """Compute the cell; return its traceback if it failed, as `local` does."""
        self.before = len(self.cell.begun)
        return run_as(self.cell, self.name)

    def checkpoint(self) -> Any:
        """Return what is to be computed when the job runs again; None if that is of no use."""
        from submitit.helpers import DelayedSubmission

        idle = 0 if len(self.cell.begun) > self.before else self.idle + 1
        return DelayedSubmission(Job(self.cell, self.name, idle)) if idle < IDLE else None


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

    What they print, and how they ended, goes to `folder`, which all machines must see. Raises
    ValueError with what SLURM says where it refuses them.
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
    ids = {}
    for first in range(0, len(cells), ARRAY):
        told = [Job(cell, cell.name) for cell in cells[first : first + ARRAY]]
        try:
            sent = executor.submit_array(told) if len(told) > 1 else [executor.submit(told[0])]
        except RuntimeError as error:  # submitit's errors are such
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise ValueError(f"SLURM takes no jobs like these: {said[0]}") from error
        ids |= {one.name: job.job_id for one, job in zip(told, sent, strict=True)}
    return ids


def follow(
    cells: Sequence[Cell], ids: Mapping[str, str], folder: Path, poll: float
) -> Iterator[tuple[Cell | None, str]]:
    """Yield each cell when its job, of `ids` by cell's name, ends, with why if it failed.

    Between them, (None, what the queue looks like), after each look at it.
    """
    waiting, lost = list(cells), dict.fromkeys(ids.values(), 0)
    while waiting:
        states = queue()
        for cell in list(waiting):
            job = ids[cell.name]
            if cell.is_kept:
                failure = ""
            elif job in states or not states.known:
                continue
            else:
                lost[job] += 1  # another machine's files may come a moment later
                if lost[job] < SIGHT:
                    continue
                failure = _told(folder, job) or _last_words(folder, job)
            waiting.remove(cell)
            yield cell, failure
        yield None, summary([states.get(ids[cell.name], "") for cell in waiting])
        if waiting:
            time.sleep(poll)


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


def _told(folder: Path, job: str) -> str | None:
    """Return how a job ended, in words; None if it has left nothing."""
    import submitit

    one = submitit.SlurmJob(folder, job)
    if not one.paths.result_pickle.exists():
        return None
    try:
        return one.result() or UNSEEN.format(job=job)
    except submitit.core.utils.UncompletedJobError as error:  # it could not even be started
        return str(error).partition(RULE)[2].partition(RULE)[0].strip() or str(error)


def _last_words(folder: Path, job: str) -> str:
    """Return what a job that was killed has said last."""
    import submitit

    place = submitit.SlurmJob(folder, job).paths.stderr
    lines = place.read_text(errors="replace").split("\n") if place.exists() else []
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"job {job} has ended without a result (out of memory, or cancelled?): {said or place}"
