"""Notebooks, executed by papermill in threads of the runner, each in a kernel of its own.

A kernel ends when the runner does, however that ends: it asks every second whether its parent is
still there. What a kernel needs on disk, sockets and their addresses, lies in one folder, which
another process removes as soon as the runner is gone, and the next runner if that was ended too. So
nothing is left behind.
"""

import logging
import os
import re
import signal
import subprocess
import tempfile
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import Any

from ..paths import NOTEBOOK, OWNER, PART, owner, remove_left

Event = dict[str, Any]

KEEPING_MEMORY = {f"MALLOC_{what}_THRESHOLD_": str(1 << 30) for what in ("MMAP", "TRIM")}
"""Environment that lets a process of glibc's keep memory it will need again, up to 1 GiB a block.

By default large blocks go back to the system as soon as they are free. Faulting them in again, pass
after pass, takes longer than the arithmetic: a network's forward pass takes half the time or less.
"""

ALONE: dict[str, list[str]] = {
    "python_arguments": ["-P"],
    "extra_arguments": ["--IPKernelApp.ignore_cwd=True"],
}
"""How ipykernel's command becomes that of a kernel which imports nothing from its folder."""


@contextmanager
def ends_in_order() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end us as an exception does, so that what we started is ended."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    ours = [s for s in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) != signal.SIG_IGN]
    before = {number: signal.signal(number, leave) for number in ours}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


SOCKETS = re.compile(rf"sk-{OWNER}-\w+")  # short: paths of sockets are
ADDRESS = 103  # bytes that the path of a socket may have on every system


@dataclass(frozen=True)
class Task:
    """Execute `notebook` into `output` with `parameters`."""

    notebook: Path
    output: Path
    parameters: Mapping[str, Any]


def side_by_side(
    tasks: Sequence[Task], jobs: int, environment: Mapping[str, str]
) -> Iterator[tuple[int, Event]]:
    """Execute `tasks`, `jobs` at a time, yielding (index of the task, event) as things happen.

    Events, by their "kind": "start", "cell" (one more code cell done), and at last one of "done"
    (`memory`, the kernel's peak in bytes) and "failed" (`cell`, 1-based as in the notebook, `run`,
    its In [number], `source`, `error`, `traceback`, `kept`: whether `output` was written). Kernels
    get `environment` beside ours. When closed or interrupted, ends what is running. Raises
    ModuleNotFoundError without papermill.
    """
    import papermill  # noqa: F401 (in this thread, where what is missing ends us, not a notebook)

    logging.getLogger("papermill").addHandler(logging.NullHandler())  # we say what goes wrong
    events: Queue[tuple[int, Event]] = Queue()
    waiting, running = deque(enumerate(tasks)), {}
    with private_folder(len(f"{len(tasks)}-5")) as folder:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    index, task = waiting.popleft()
                    running[index] = _Execution(
                        task,
                        {**os.environ, **environment, NOTEBOOK: task.notebook.stem},
                        files=folder / str(index),
                        send=lambda event, index=index: events.put((index, event)),
                    )
                    yield index, {"kind": "start"}
                index, event = events.get()
                if event["kind"] != "cell":
                    running.pop(index).thread.join()
                yield index, event
        finally:
            for execution in running.values():
                execution.end()


@contextmanager
def private_folder(inside: int) -> Iterator[Path]:
    """Folder that none but its user may enter, and that goes when we do.

    It is removed by a shell, whose input closes even if we are killed. Sockets have room there
    whose names take as many characters as `inside`. What killed runs left beside it goes too.
    """
    place = _short(tempfile.gettempdir(), inside)
    remove_left(place, SOCKETS)
    folder = tempfile.mkdtemp(prefix=f"sk-{owner()}-", dir=place)
    command = ["sh", "-c", 'read -r end; rm -rf "$0"', folder]
    remover = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield Path(folder)
    finally:
        remover.stdin.close()
        remover.wait()


def _short(folder: str, inside: int) -> Path:
    """Return `folder`, or the system's own for temporary files if paths in it are too long.

    Raises OSError where neither will do.
    """
    for one in map(Path, (folder, "/tmp", "/var/tmp")):
        name = f"sk-{owner()}-12345678"
        short = len(os.fsencode(one / name)) + 1 + inside <= ADDRESS
        if short and os.access(one, os.W_OK | os.X_OK):
            return one
    raise OSError(
        f"Kernels need sockets, for which paths in {folder} are too long or which cannot be "
        "written there. Set TMPDIR to a folder of your own with a short path."
    )


@dataclass
class _Execution:
    """A task being executed, which sends what happens; its kernel's files begin with `files`."""

    task: Task
    environment: Mapping[str, str]
    files: Path
    send: Callable[[Event], None]
    kernel: subprocess.Popen | None = None
    memory: int = 0
    injected: int = 0  # papermill adds a cell of parameters, which no author sees
    at: Event = field(default_factory=lambda: {"cell": None, "run": None, "source": ""})

    def __post_init__(self):
        # A daemon: whoever interrupts us twice does not wait for kernels.
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        """Execute the notebook; its copy appears under its name only when whole.

        That is after success, or after a cell's error, which is then marked in it.
        """
        from nbclient.exceptions import DeadKernelError
        from papermill.exceptions import PapermillExecutionError

        output = self.task.output
        part = output.with_name(f".{output.stem}.{owner()}-0.part.ipynb")  # ends as papermill asks
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            remove_left(output.parent, PART)
            self._papermill(part)
            os.replace(part, output)
        except PapermillExecutionError as error:
            os.replace(part, output)
            cause, trace = f"{error.ename}: {error.evalue}", "\n".join(error.traceback)
            self._failed(cause, trace, run=error.exec_count, kept=True)
        except DeadKernelError:
            status = self.kernel.wait() if self.kernel else None
            guess = " (killed: out of memory?)" if status == -signal.SIGKILL else ""
            cause = f"its kernel died with status {status}{guess}"
            self._failed(cause, self.files.with_suffix(".log").read_text(errors="replace")[-3000:])
        except Exception as error:
            self._failed(f"{type(error).__name__}: {error}", traceback.format_exc())
        else:
            self.send({"kind": "done", "memory": self.memory})
        finally:
            with suppress(OSError):
                part.unlink()

    def _papermill(self, output: Path) -> None:
        import papermill

        papermill.execute_notebook(
            _literal(self.task.notebook),
            _literal(output),
            dict(self.task.parameters),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            request_save_on_cell_execute=False,
            kernel_manager_class=_kernel_class(self),
            on_cell_start=self._started,
            on_cell_executed=self._executed,
        )

    def _started(self, cell: Mapping[str, Any], cell_index: int) -> None:
        self.injected |= "injected-parameters" in cell["metadata"].get("tags", [])
        self.at.update(cell=cell_index + 1 - self.injected, source=cell["source"])

    def _executed(self, **_: object) -> None:
        self.memory = max(self.memory, _peak(self.kernel.pid))
        self.send({"kind": "cell"})

    def _failed(self, error: str, trace: str, **more: object) -> None:
        said = {"error": error, "traceback": trace, "kept": False}
        self.send({"kind": "failed", **self.at, **said, **more})

    def end(self) -> None:
        """End the kernel and what it has started; returns when the thread has seen it."""
        while self.thread.is_alive():
            if self.kernel is not None and self.kernel.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(self.kernel.pid, signal.SIGKILL)
            self.thread.join(0.05)  # a kernel that was just being started is met on the next round


def _literal(path: Path) -> str:
    """`path` for papermill, which fills in {braces} in paths."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _kernel_class(execution: _Execution) -> type:
    """Kernel manager whose kernel is this very interpreter, and is spoken to through files.

    A `python3` kernelspec found on Jupyter's search path may belong to another Python (a user's
    own, another environment's); figures must come from the environment that was asked. And two
    kernels started at the same moment can choose the same TCP port, of which one then dies.
    """
    from ipykernel.kernelspec import RESOURCES, get_kernel_dict
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    files = execution.files

    class ThisKernel(AsyncKernelManager):
        kernel_spec = KernelSpec(resource_dir=RESOURCES, **get_kernel_dict(**ALONE))

        def __init__(self, *args: object, **kwargs: object):
            super().__init__(*args, **kwargs)
            self.transport, self.ip = "ipc", str(files)
            self.connection_file = str(files.with_suffix(".json"))

        async def start_kernel(self, **how: object) -> None:
            place = {"cwd": str(execution.task.notebook.parent), "env": execution.environment}
            with files.with_suffix(".log").open("wb") as log:  # what it prints past Jupyter
                await super().start_kernel(**how, **place, stdout=log, stderr=log)
            execution.kernel = self.provisioner.process

    return ThisKernel


def _peak(pid: int) -> int:
    """Most memory that a process has held, in bytes; what it holds now where nobody keeps count."""
    import psutil

    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    kept = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")]
    return kept[0] if kept else psutil.Process(pid).memory_info().rss
