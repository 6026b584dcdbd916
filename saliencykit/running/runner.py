"""Run the notebooks headlessly, side by side, and say how it went: `saliencykit figures`.

Nothing here computes: notebooks do, each in a process of its own (executing.py). Which ones, and
with which parameters, is decided in profiles.py before the first of them starts.
"""

import hashlib
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..paths import FIGURES, NOTEBOOKS, cache_root
from . import records
from .checking import Difference, compare_folders, table
from .executing import KEEPING_MEMORY, Event, Task, side_by_side
from .profiles import assign, find_notebooks, profile_names, read_cells, read_profile

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
JOBS = min(2, CORES)
"""Notebooks run side by side unless told otherwise."""

Stamps = Mapping[str, tuple[int, str]]
"""Figure files: {name: (modification time in ns, hash of the content)}."""


class NotebookFailedError(RuntimeError):
    """A notebook's cell raised, or its kernel died; the message shows the cell and traceback."""


@dataclass
class Outcome:
    """How one notebook went.

    `executed` is its executed copy; `seconds` its wall time; `memory` the kernel's peak in bytes
    (None if unknown); `written` and `changed` name its figure files, those NN_*: `changed` ones are
    new or of other content than before. `state` is "waiting", "running" or "done".
    """

    notebook: Path
    executed: Path
    state: str = "waiting"
    seconds: float = 0.0
    memory: int | None = None
    written: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Note that it has started now."""
        self.state, self.seconds = "running", -time.perf_counter()

    def end(self, memory: int | None, before: Stamps, after: Stamps) -> None:
        """Note that it is done now, and what it did to the figures."""
        self.state, self.memory = "done", memory
        self.seconds += time.perf_counter()
        for name in (n for n in after if n.startswith(_prefix(self.notebook))):
            time_before, content_before = before.get(name, (0, ""))
            self.written += [name] if after[name][0] != time_before else []
            self.changed += [name] if after[name][1] != content_before else []


def run(
    names: Sequence[str] = (),
    profile: str = "toy",
    overrides: Mapping[str, str] = {},
    jobs: int = JOBS,
    check: bool = False,
    folder: Path = NOTEBOOKS,
    figures: Path = FIGURES,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[list[Outcome], list[Difference]]:
    """Execute the notebooks called `names` (none: the profile's) of `folder`, `jobs` at a time.

    Figures go to `figures`/<profile>, and, whenever a notebook is done, its record and the page of
    all of them; executed copies go to the cache. `overrides` are parameters as typed texts. With
    `check`, figures alone go to a temporary folder instead, and where their tables depart from
    those in `figures` is returned beside the outcomes (otherwise nothing is). `say` gets a line for
    each notebook where no progress bar can be shown. Raises UnknownNameError and ValueError (see
    profiles.py) before anything starts, and NotebookFailedError at the first failure, after ending
    the other notebooks.
    """
    if jobs < 1:
        raise ValueError(f"--jobs must be 1 or more, not {jobs}")
    settings = read_profile(profile, folder)
    notebooks = find_notebooks(names or settings.notebooks, folder)
    parameters = assign(notebooks, settings, overrides, folder)
    output = cache_root().resolve() / "executed" / profile
    tasks = [Task(n, output / n.name, p) for n, p in zip(notebooks, parameters, strict=True)]
    committed = figures.resolve() / profile
    if not check:
        publish = _publisher(committed, profile_names(folder)[profile])
        return _execute(tasks, committed, committed, jobs, say, publish), []
    with _scratch() as scratch:
        outcomes = _execute(tasks, scratch / profile, committed, jobs, say)
        prefixes = [_prefix(n) for n in notebooks] if names else None
        found = compare_folders(committed, scratch / profile, prefixes, settings.tolerances)
    return outcomes, found


@contextmanager
def _scratch() -> Iterator[Path]:
    """Temporary figures folder."""
    folder = Path(tempfile.mkdtemp(prefix="saliencykit-check-")).resolve()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publisher(figures: Path, description: str) -> Callable[[Outcome], None]:
    """What to do when a notebook is done: write its record, and the page with it."""

    def publish(outcome: Outcome) -> None:
        from . import gallery

        records.write(outcome.executed, outcome.written, figures)
        gallery.write(figures, description)

    return publish


def _execute(
    tasks: list[Task],
    figures: Path,
    committed: Path,
    jobs: int,
    say: Callable[[str], None],
    publish: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Execute `tasks`, whose figures go to `figures`; what changed is told against `committed`.

    `publish` gets each outcome as soon as it is done.
    """
    figures.mkdir(parents=True, exist_ok=True)
    before = _contents(committed)
    outcomes = [Outcome(t.notebook, t.output) for t in tasks]
    environment = _environment(min(jobs, len(tasks)), figures.parent)
    with (
        _terminable(),
        _Progress(tasks, say) as progress,
        closing(side_by_side(tasks, jobs, environment)) as events,
    ):
        for index, event in events:
            outcome = outcomes[index]
            if event["kind"] == "start":
                outcome.begin()
            elif event["kind"] == "failed":
                raise NotebookFailedError(_failure(tasks[index], event))
            elif event["kind"] == "done":
                outcome.end(event["memory"], before, _contents(figures))
                publish(outcome)
            progress.show(event["kind"], outcomes)
    return outcomes


def _environment(workers: int, figures: Path) -> dict[str, str]:
    """What the kernels' environment has beside ours.

    Threads are shared out, since `workers` networks trained in all cores' threads at once take
    longer than one after the other. Their number changes the order of sums and so the last digits,
    which training amplifies: a network taught in two threads is another one than taught in one, as
    by another seed. So tables agree with those of a run in as many threads, on such a processor.
    """
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, CORES // workers))
    return KEEPING_MEMORY | {
        "OMP_NUM_THREADS": threads,
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # never a window
        "SALIENCYKIT_FIGURES": str(figures),
    }


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end us as an exception does, so that workers are ended in order."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _prefix(notebook: Path) -> str:
    """How the names of a notebook's figures begin: "02_" for 02_pretrained_units."""
    number, _, rest = notebook.stem.partition("_")
    return f"{number}_" if rest and number.isdigit() else notebook.stem


def _contents(folder: Path) -> Stamps:
    """Stamps of the figures in `folder`."""
    files = [p for p in sorted(folder.glob("*")) if p.suffix in (".png", ".csv", ".svg", ".pdf")]
    return {
        p.name: (p.stat().st_mtime_ns, hashlib.sha256(p.read_bytes()).hexdigest()) for p in files
    }


def _failure(task: Task, event: Event) -> str:
    """Message for a failed notebook: where, the cell's first lines, the traceback, the copy."""
    where = task.notebook.stem
    where += f", cell {event['cell']}" if event["cell"] else ""
    where += f" (In [{event['run']}])" if event["run"] else ""
    source = event["source"].splitlines()
    shown = [f"    {line}" for line in source[:8]] + (["    …"] if len(source) > 8 else [])
    copy = [f"The executed copy is {task.output}"] if event["kept"] else []
    lines = [f"{where} failed: {event['error']}", *shown, event["traceback"], *copy]
    return "\n".join(line for line in lines if line)


class _Progress:
    """One bar over all cells on a terminal; elsewhere a line for each notebook, in their order."""

    def __init__(self, tasks: list[Task], say: Callable[[str], None]):
        from tqdm import tqdm

        self.say, self.told = say, 0
        self.terminal = sys.stderr.isatty()
        total = sum(_cells(t.notebook) + bool(t.parameters) for t in tasks)  # one cell is injected
        self.bar = tqdm(total=total, unit="cell", disable=not self.terminal, leave=False)

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()

    def show(self, kind: str, outcomes: list[Outcome]) -> None:
        """Show what an event of `kind` has made of `outcomes`."""
        if kind == "cell":
            self.bar.update()
            return
        running = [o.notebook.stem for o in outcomes if o.state == "running"]
        self.bar.set_description(", ".join(running))
        while self.told < len(outcomes) and outcomes[self.told].state == "done":
            if not self.terminal:
                self.say(_line(outcomes[self.told]))
            self.told += 1


def _cells(notebook: Path) -> int:
    """Number of cells that will run."""
    cells = (c for c in read_cells(notebook) if c["cell_type"] == "code")
    return sum(bool("".join(cell["source"]).strip()) for cell in cells)


def _line(outcome: Outcome) -> str:
    files = len(outcome.written)
    return f"{outcome.notebook.stem}: {outcome.seconds:.1f} s, files written: {files}"


def summary(outcomes: list[Outcome]) -> str:
    """Return a table: notebook, seconds, peak memory, files written and changed."""
    rows = [
        (
            o.notebook.stem,
            f"{o.seconds:.1f}",
            f"{o.memory / 2**20:.0f} MiB" if o.memory else "?",
            str(len(o.written)),
            ", ".join(o.changed) or "none",
        )
        for o in outcomes
    ]
    return "\n".join(table(("notebook", "seconds", "memory", "written", "changed"), rows))
