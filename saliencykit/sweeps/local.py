"""Cells on this machine: each in a process of its own and one thread, so many at a time.

Processes are forked from one that has imported everything, and so start at once; one that is
killed, by whoever lacks memory, fails its cell and no other. They end when we do.
"""

import io
import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, redirect_stderr
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from signal import SIGKILL
from threading import Event, Lock

import joblib
import torch

from ..models.training import end_with
from ..sources import code_of
from ..study import Study
from .cells import Cell

code_of(Cell, Study)  # read now, by the process that those of cells are forked from: it takes long
THREADS = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}
"""Environment in which arithmetic uses one thread, and sums in one order."""
CHANGED = (
    "code, weights or data are no longer those with which the sweep was started: what is done is "
    "kept; give the command again"
)


def places() -> int:
    """Return how many cells can be computed at a time: one a GPU, or a core."""
    return torch.cuda.device_count() or joblib.cpu_count()


def run_as(cell: Cell, name: str) -> str:
    """Compute a cell that was called `name` when the sweep was started.

    Returns its traceback if it failed, or that it is another now: "" if all went well.
    """
    try:
        if cell.name != name:
            return CHANGED
        cell.run()
    except Exception:
        return traceback.format_exc()
    return ""


def side_by_side(cells: Sequence[Cell], jobs: int) -> Iterator[tuple[Cell, str]]:
    """Compute cells, `jobs` at a time; yield each when it ends, with its traceback if it failed."""
    running, lock, free, ending = set[BaseProcess](), Lock(), SimpleQueue[int](), Event()
    for place in range(jobs):
        free.put(place)
    context = get_context("forkserver")
    # The last is imported where an optimiser is made: a second in each process that trains.
    context.set_forkserver_preload([__name__, "ot", "torch._dynamo"])

    def compute(cell: Cell) -> str:
        place = free.get()
        ours, theirs = context.Pipe(duplex=False)
        told = cell, cell.name, _of(place), theirs
        process = context.Process(target=_in_a_process, args=told, daemon=True)
        with lock:
            if ending.is_set():
                return ""
            process.start()
            running.add(process)
        theirs.close()
        try:
            told = ours.recv()
        except EOFError:
            process.join()
            told = _ended(process.exitcode)
        process.join()
        running.discard(process)
        free.put(place)
        return told

    with _environment(THREADS), ThreadPoolExecutor(jobs) as threads:
        try:
            waiting = {threads.submit(compute, cell): cell for cell in cells}
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            ending.set()
            with lock:
                for process in running:
                    process.kill()


def _of(place: int) -> dict[str, str]:
    """Return the environment of place number `place`: ours, and which GPU is its own."""
    count = torch.cuda.device_count()
    own = {"CUDA_VISIBLE_DEVICES": str(place % count)} if count else {}
    return {**os.environ, **own}


def _in_a_process(
    cell: Cell, name: str, environment: Mapping[str, str], answer: Connection
) -> None:
    end_with(os.getppid())
    os.environ.update(environment)
    with redirect_stderr(io.StringIO()):  # the bar that counts cells is the parent's
        told = run_as(cell, name)
    answer.send(told)


def _ended(status: int | None) -> str:
    guess = " (killed: out of memory?)" if status == -SIGKILL else ""
    return f"its process ended with status {status}{guess}"


@contextmanager
def _environment(more: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        for name in more:
            os.environ.pop(name, None)
        os.environ.update({k: v for k, v in before.items() if k in more})
