"""Run the notebooks headlessly, side by side, and say how it went: `saliencykit figures`.

Nothing here computes: notebooks do, each in a kernel of its own (executing.py). Which ones, and
with which parameters, is decided in profiles.py before the first of them starts.
"""

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ..paths import (
    FIGURES,
    FOR_PAPER,
    NOTEBOOKS,
    PACKAGE,
    PAPER,
    PHOTOGRAPHS,
    REFERENCE,
    STYLE,
    cache_root,
    for_children,
    regular,
    whole,
)
from ..settings import read_profile
from . import records
from .checking import Comparison, compare, table
from .executing import KEEPING_MEMORY, Event, Task, ends_in_order, side_by_side
from .profiles import assign, find_notebooks, read_cells

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
JOBS = min(2, CORES)
"""Notebooks run side by side unless told otherwise."""
KINDS = ("png", "csv", *FOR_PAPER)
"""Of a figure's files."""
SAY_ALL = ("UnknownNameError", "FileNotFoundError")
"""Errors whose message says what to do, as that of a data set that is not here: no traceback."""


class NotebookFailedError(RuntimeError):
    """A notebook's cell raised, or its kernel died; the message shows the cell and traceback."""


@dataclass
class Outcome:
    """How one notebook went.

    `executed` is its executed copy; `seconds` its wall time; `memory` the kernel's peak in bytes;
    `written` names the figure files that its outputs tell of, `changed` those of them that are new
    or of other content than before. `state` is "waiting", "running" or "done".
    """

    notebook: Path
    executed: Path
    state: str = "waiting"
    seconds: float = 0.0
    memory: int = 0
    written: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Note that it has started now."""
        self.state, self.seconds = "running", -time.perf_counter()

    def end(self, memory: int, figures: Path, before: Mapping[str, str]) -> None:
        """Note that it is done now; write its record to `figures`, see what else it wrote there."""
        self.state, self.memory = "done", memory
        self.seconds += time.perf_counter()
        stems = records.figures(records.write(self.executed, figures))
        after = _contents(figures)
        names = [f"{stem}.{kind}" for stem in stems for kind in KINDS]
        self.written = [name for name in names if name in after]
        self.changed = [n for n in self.written if after.get(n) != before.get(n)]


def run(
    names: Sequence[str] = (),
    profile: str = "toy",
    overrides: Mapping[str, str] = {},
    jobs: int = JOBS,
    check: bool = False,
    keep: bool = False,
    paper: bool = False,
    style: Path | None = None,
    folder: Path = NOTEBOOKS,
    figures: Path = FIGURES,
    reference: Path = REFERENCE,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[list[Outcome], Comparison | None]:
    """Execute the notebooks called `names` (none: the profile's) of `folder`, `jobs` at a time.

    Figures go to `figures`/<profile>, and, whenever a notebook is done, its record and the page of
    all of them; executed copies go to the cache. `overrides` are settings and parameters as typed
    texts. With `check`, the figures are then compared with those in `reference`/<profile>, and what
    is found is returned beside the outcomes, and written as check.csv. With `keep`, they become the
    reference. `paper`: beside PNG and CSV also `FOR_PAPER`, which no reference has; `style`: a
    style sheet over ours. `say` gets a line for each notebook where no progress bar can be shown.
    Raises UnknownNameError and ValueError (see profiles.py) before anything starts, and
    NotebookFailedError at the first failure, after ending the other notebooks.
    """
    from . import gallery

    if jobs < 1:
        raise ValueError(f"--jobs must be 1 or more, not {jobs}")
    asked = read_profile(profile, folder)
    notebooks = find_notebooks(names or asked.notebooks, folder)
    parameters = assign(notebooks, asked, overrides, folder)
    now, before = figures.resolve() / profile, reference.resolve() / profile
    _check_request(check, keep, overrides, style, before)
    for folder in (now, before) if keep else (now,):
        gallery.check_page(folder)
    output = cache_root().resolve() / "executed" / profile
    tasks = [Task(n, output / n.name, p) for n, p in zip(notebooks, parameters, strict=True)]
    looks = {PAPER: "1"} if paper else {}
    looks |= {STYLE: str(style.absolute())} if style else {}
    outcomes = _execute(tasks, now, asked.description, jobs, looks, say)
    stems = [notebook.stem for notebook in notebooks]
    if keep:
        _keep(now, before, stems, asked.description, whole_profile=not names)
    if not check:
        return outcomes, None
    gone = [] if names else [p.stem for p in sorted(before.glob("*.json")) if p.stem not in stems]
    found = compare(before, now, stems, gone)
    found.write(now)
    return outcomes, found


def _check_request(
    check: bool, keep: bool, overrides: Mapping[str, str], style: Path | None, reference: Path
) -> None:
    """Raise ValueError for what cannot be asked together, compared, or read as a style sheet."""
    if style:
        regular(style)
    if keep and check:
        raise ValueError("--check compares with the reference that --keep renews: give one of them")
    if keep and (overrides or style):
        other = "-p" if overrides else "--style"
        raise ValueError(f"--keep makes a profile's own figures the reference: leave {other} out")
    shipped = reference.is_relative_to(PACKAGE)
    if keep and shipped:
        raise ValueError("--keep renews what git keeps in figures/reference: ask it of a checkout")
    if check and not reference.is_dir():
        remedy = f"none of {reference.name!r} ships" if shipped else "--keep puts it there"
        raise ValueError(f"Nothing to compare with in {reference}: {remedy}")


def _keep(
    figures: Path, reference: Path, stems: Sequence[str], description: str, whole_profile: bool
) -> None:
    """Make the figures of the notebooks `stems` the reference; photographs stay where they are.

    What these notebooks no longer draw goes, and, of a whole profile, what other notebooks drew:
    what the records there name. Other files stay, and are not written over.
    """
    from . import gallery

    reference.mkdir(parents=True, exist_ok=True)
    before = _recorded(reference)
    names = []
    for stem in stems:
        drawn = records.figures(records.read(figures / f"{stem}.json"))
        pictures = [f"{name}.png" for name in drawn if not name.endswith(PHOTOGRAPHS)]
        names += [f"{stem}.json", *pictures, *(f"{name}.csv" for name in drawn)]
    if foreign := [name for name in names if name not in before and (reference / name).exists()]:
        raise FileExistsError(
            f"{reference / foreign[0]} is no figure that a record there names: nothing is written "
            "over. Move it away."
        )
    for name in names:
        with whole(reference / name) as part:
            shutil.copyfile(figures / name, part)
    own = tuple(stem.partition("_")[0] + "_" for stem in stems)
    for name in before.difference(names):
        if whole_profile or name.startswith(own):
            (reference / name).unlink(missing_ok=True)
    gallery.write(reference, description)


def _recorded(folder: Path) -> set[str]:
    """Names of the records in `folder`, and of the pictures and tables that they name."""
    found: set[str] = set()
    for path in folder.glob("*.json"):
        with suppress(ValueError):  # no record
            drawn = records.figures(records.read(path) or {"sections": []})
            found |= {path.name, *(f"{name}{end}" for name in drawn for end in (".png", ".csv"))}
    return found


def _execute(
    tasks: list[Task],
    figures: Path,
    description: str,
    jobs: int,
    looks: Mapping[str, str],
    say: Callable[[str], None],
) -> list[Outcome]:
    """Execute `tasks`, whose figures go to `figures`; renew the page there as each is done.

    looks: what their kernels' environment says of how figures look, and are written.
    """
    from . import gallery

    before = _contents(figures)
    outcomes = [Outcome(t.notebook, t.output) for t in tasks]
    environment = _environment(min(jobs, len(tasks)), figures.parent) | looks
    with (
        _made(figures),
        ends_in_order(),
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
                outcome.end(event["memory"], figures, before)
                gallery.write(figures, description)
            progress.show(event["kind"], outcomes)
    return outcomes


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder, which goes again if nothing was put into it."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        with suppress(OSError):  # it is not empty
            folder.rmdir()


def _environment(workers: int, figures: Path) -> dict[str, str]:
    """What the kernels' environment has beside ours.

    Threads are shared out, since `workers` networks trained in all cores' threads at once take
    longer than one after the other. Their number changes the order of sums and so the last digits,
    which training amplifies: a network taught in two threads is another one than taught in one, as
    by another seed. So tables agree with those of a run in as many threads, on such a processor.
    """
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, CORES // workers))
    own = KEEPING_MEMORY | for_children()
    return own | {
        "OMP_NUM_THREADS": threads,
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # never a window
        "SALIENCYKIT_FIGURES": str(figures),
        "SALIENCYKIT_CACHE": str(cache_root().resolve()),  # kernels work in another folder than we
    }


def _contents(folder: Path) -> dict[str, str]:
    """Hashes of the figures in `folder` by name."""
    files = [p for p in folder.glob("*") if p.suffix[1:] in KINDS]
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _failure(task: Task, event: Event) -> str:
    """Message for a failed notebook: where, the cell's first lines, the traceback, the copy.

    Of `SAY_ALL` what they say is enough.
    """
    where = task.notebook.stem
    where += f", cell {event['cell']}" if event["cell"] else ""
    where += f" (In [{event['run']}])" if event["run"] else ""
    kind, _, said = event["error"].partition(": ")
    if event["kept"] and kind in SAY_ALL:
        return f"{where} failed: {said}\nThe traceback is in the executed copy, {task.output}"
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
            f"{o.memory / 2**20:.0f} MiB",
            str(len(o.written)),
            "all" if o.changed == o.written else ", ".join(o.changed) or "none",
        )
        for o in outcomes
    ]
    return "\n".join(table(("notebook", "seconds", "memory", "written", "changed"), rows))
