"""Trials by the thousand, each in a worker process, under a limit of time and of memory.

A kind of input is a module of this folder with `trial(seed, folder) -> str`: it writes the input
of a seed into an empty folder, has it read, and judges what came of it, one of `OUTCOMES`. An
exception is a "traceback", a trial that takes too long a "hang", an ended process a "crash".
"""

import importlib
import os
import resource
import shutil
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import NamedTuple

import psutil

OUTCOMES = ("right", "refused", "wrong", "lost", "traceback", "hang", "crash")
GOOD = ("right", "refused")
ENDED = ("hang", "crash")
LIMIT = 30.0  # seconds a trial may take; those of a busy machine are long
MEMORY = 4 * 2**30  # bytes a trial may ask for beyond what its process has
START = 300.0  # seconds within which a worker has imported its kind


class Told(NamedTuple):
    """What came of a trial, and what is to be said about it."""

    outcome: str
    text: str = ""


def kinds() -> dict[str, str]:
    """Return the kinds of inputs, and the module of each."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    found = [f.stem for f in files if "\ndef trial(" in f.read_text(encoding="utf-8")]
    return {name: f"{__package__}.{name}" for name in found}


@contextmanager
def cache_in(folder: Path) -> Iterator[None]:
    """Inside, what is computed is kept in `folder`: for trials of what the cache holds."""
    before = os.environ.get("SALIENCYKIT_CACHE")
    os.environ["SALIENCYKIT_CACHE"] = str(folder)
    try:
        yield
    finally:
        os.environ.pop("SALIENCYKIT_CACHE")
        if before is not None:
            os.environ["SALIENCYKIT_CACHE"] = before


def run(
    module: str,
    seeds: Iterable[int],
    jobs: int = 1,
    limit: float = LIMIT,
    done: Callable[[], object] = lambda: None,
) -> dict[int, Told]:
    """Return what came of the trial of each seed. `done` is called after each."""
    found: dict[int, Told] = {}
    waiting = iter(seeds)
    with tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True) as base:
        idle = [_Worker(module, base) for _ in range(jobs)]
        busy: list[_Worker] = []
        try:
            while True:
                while idle and (seed := next(waiting, None)) is not None:
                    busy.append(idle.pop().begin(seed, limit))
                if not busy:
                    return found
                wait([w.pipe for w in busy], max(0.0, min(w.until for w in busy) - _now()))
                for worker in list(busy):
                    if (told := worker.look()) is None:
                        continue
                    busy.remove(worker)
                    found[worker.seed] = told
                    idle.append(worker.again() if told.outcome in ENDED else worker)
                    done()
        finally:
            for worker in [*idle, *busy]:
                worker.stop()


_now = time.monotonic


class _Worker:
    """A process that runs one trial after another."""

    def __init__(self, module: str, base: str):
        self.module, self.base = module, base
        self.seed, self.until = 0, 0.0
        processes = get_context("forkserver")
        processes.set_forkserver_preload([__name__, *kinds().values()])
        self.pipe, theirs = processes.Pipe()
        self.process = processes.Process(target=_work, args=(module, base, theirs), daemon=True)
        self.process.start()
        theirs.close()
        if not self.pipe.poll(START) or (problem := self._received().text):
            self.stop()
            raise RuntimeError(f"{module} cannot be tried: {problem}")

    def begin(self, seed: int, limit: float) -> "_Worker":
        """Start a trial."""
        self.seed, self.until = seed, _now() + limit
        self.pipe.send(seed)
        return self

    def look(self) -> Told | None:
        """Return what came of the trial; None while it runs."""
        if self.pipe.poll():
            return self._received()
        return Told("hang") if _now() >= self.until else None

    def _received(self) -> Told:
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionError):
            self.process.join(5)
            return Told("crash", f"its process ended with {self.process.exitcode}")

    def again(self) -> "_Worker":
        """Return a fresh worker in place of this one."""
        self.stop()
        return _Worker(self.module, self.base)

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _work(module: str, base: str, pipe: Connection) -> None:
    """Import a kind, say so, and run the trials of the seeds that come."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    os.environ["SALIENCYKIT_CACHE"] = f"{base}/cache"
    try:
        trial = importlib.import_module(module).trial
    except Exception:
        pipe.send(Told("traceback", traceback.format_exc()))
        return
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    most = psutil.Process().memory_info().vms + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pipe.send(Told("right"))
    while True:
        seed = pipe.recv()
        folder = Path(base, f"{module}-{seed}")
        folder.mkdir()
        pipe.send(_tried(trial, seed, folder))
        shutil.rmtree(folder, ignore_errors=True)


def _tried(trial: Callable[[int, Path], str], seed: int, folder: Path) -> Told:
    try:
        outcome = trial(seed, folder)
    except BaseException:  # KeyboardInterrupt and exit too are what a reader should not do
        return Told("traceback", traceback.format_exc())
    if outcome not in OUTCOMES:
        return Told("traceback", f"the trial returned {outcome!r}")
    return Told(outcome)
