"""One notebook, executed by papermill in a process of its own.

`Worker` is the runner's end of that process, `main` is the process. They talk in JSON lines: one
job down, events up. The pipe down is also the lifeline: when it closes, because the runner has
stopped, failed or been killed, the worker ends its kernel and itself, and so leaves nothing behind.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import IO, Any

Event = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """Execute `notebook` into `output` with `parameters`."""

    notebook: Path
    output: Path
    parameters: Mapping[str, Any]


KEEPING_MEMORY = {f"MALLOC_{what}_THRESHOLD_": str(1 << 30) for what in ("MMAP", "TRIM")}
"""Environment that lets a process of glibc's keep memory it will need again, up to 1 GiB a block.

By default large blocks go back to the system as soon as they are free. Faulting them in again, pass
after pass, takes longer than the arithmetic: a network's forward pass takes half the time or less.
"""


class Worker:
    """A process executing `task`; its events are put on `events` as (worker, event).

    Events, by their "kind": "cell" (one more code cell done), and at last one of "done"
    (`memory`, the kernel's peak in bytes or None) and "failed" (`cell`, 1-based as in the notebook,
    `run`, its In [number], `source`, `error`, `traceback`, `kept`: whether `output` was written).
    """

    def __init__(
        self, task: Task, environment: Mapping[str, str], events: "Queue[tuple[Worker, Event]]"
    ):
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "saliencykit.running.executing"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, **environment},
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C reaches the runner alone, which then ends us in order
        )
        self._process.stdin.write(json.dumps(vars(task), default=str) + "\n")
        self._process.stdin.flush()
        self._listener = threading.Thread(target=self._listen, args=(events,), daemon=True)
        self._listener.start()

    def _listen(self, events: "Queue[tuple[Worker, Event]]") -> None:
        last = None
        for line in self._process.stdout:
            last = json.loads(line)
            events.put((self, last))
        if last is None or last["kind"] == "cell":  # it died without a word
            status = self._process.wait()
            error = f"the process running it ended with status {status} (out of memory?)"
            events.put((self, _failed(error, self._log_tail())))

    def _log_tail(self, size: int = 3000) -> str:
        self._log.seek(0)
        return self._log.read()[-size:]

    def stop(self, patience: float = 5.0) -> None:
        """End the process and its kernel; returns when both are gone."""
        self._process.stdin.close()  # the lifeline
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(patience)  # it reads the log if the process ended without a word
        self._log.close()


def side_by_side(
    tasks: Sequence[Task], jobs: int, environment: Mapping[str, str]
) -> Iterator[tuple[int, Event]]:
    """Execute `tasks`, `jobs` at a time, yielding (index of the task, event) as things happen.

    Events are those of `Worker` and "start". When closed or interrupted, ends what is running.
    """
    events: Queue[tuple[Worker, Event]] = Queue()
    waiting = deque(enumerate(tasks))
    running: dict[Worker, int] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                index, task = waiting.popleft()
                running[Worker(task, environment, events)] = index
                yield index, {"kind": "start"}
            worker, event = events.get()
            index = running[worker]
            if event["kind"] != "cell":
                worker.stop()
                del running[worker]
            yield index, event
    finally:
        for worker in running:
            worker.stop()


def _failed(error: str, trace: str = "", **more: object) -> Event:
    blank = {"cell": None, "run": None, "source": "", "kept": False}
    return {"kind": "failed", **blank, "error": error, "traceback": trace, **more}


def execute(
    notebook: Path, output: Path, parameters: Mapping[str, Any], send: Callable[[Event], None]
) -> None:
    """Execute `notebook` into `output` with `parameters`, reporting events (see `Worker`).

    `output` appears under its name only when whole: after success, or after a cell's error, which
    is then marked in it.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    output.parent.mkdir(parents=True, exist_ok=True)
    part = output.with_name(f".{output.stem}.{os.getpid()}.part.ipynb")
    at: Event = {"cell": None, "run": None, "source": ""}
    injected = 0  # papermill adds a cell of parameters, which the notebook's author does not see

    def started(cell: Mapping[str, Any], cell_index: int) -> None:
        nonlocal injected
        injected |= "injected-parameters" in cell["metadata"].get("tags", [])
        at.update(cell=cell_index + 1 - injected, source=cell["source"])

    try:
        papermill.execute_notebook(
            _literal(notebook),
            _literal(part),
            dict(parameters),
            kernel_name="python3",
            language="python",
            cwd=notebook.parent,
            progress_bar=False,
            request_save_on_cell_execute=False,
            kernel_manager_class=_kernel_class(),
            on_cell_start=started,
            on_cell_executed=lambda **_: send({"kind": "cell"}),
        )
        os.replace(part, output)
    except PapermillExecutionError as error:
        os.replace(part, output)
        cause, trace = f"{error.ename}: {error.evalue}", "\n".join(error.traceback)
        send(_failed(cause, trace, **at | {"run": error.exec_count, "kept": True}))
    except Exception as error:
        send(_failed(f"{type(error).__name__}: {error}", traceback.format_exc(), **at))
    else:
        send({"kind": "done", "memory": _peak_of_children()})
    finally:
        part.unlink(missing_ok=True)


def _literal(path: Path) -> str:
    """`path` for papermill, which fills in {braces} in paths."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _kernel_class() -> type:
    """Kernel manager whose kernel is this very interpreter, and is spoken to through files.

    A `python3` kernelspec found on Jupyter's search path may belong to another Python (a user's
    own, another environment's); figures must come from the environment that was asked. And two
    kernels started at the same moment can choose the same TCP port, of which one then dies.
    """
    from ipykernel.kernelspec import RESOURCES, get_kernel_dict
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from traitlets import default

    class ThisPython(KernelSpecManager):
        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict())

    class ThisKernel(AsyncKernelManager):
        @default("kernel_spec_manager")
        def _this_python(self) -> KernelSpecManager:
            return ThisPython(parent=self)

        def __init__(self, *args: object, **kwargs: object):
            super().__init__(*args, **kwargs)
            if sys.platform != "win32":
                self.transport = "ipc"
                self.ip = os.path.join(tempfile.gettempdir(), f"saliencykit-{os.getpid()}")
            _KERNELS.append(self)

    return ThisKernel


_KERNELS: list[Any] = []


def _peak_of_children() -> int | None:
    """Largest memory, in bytes, that a finished child (the kernel) ever held; None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _end_with_runner(lifeline: IO[str]) -> None:
    """Wait until the runner lets go of `lifeline`; then end the kernel and this process."""
    import psutil

    lifeline.read()
    for child in psutil.Process().children(recursive=True):
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    for kernel in _KERNELS:
        kernel.cleanup_connection_file()
        kernel.cleanup_ipc_files()
    os._exit(1)


def main() -> None:
    """Be a worker: read a job from standard input, execute it, write events to standard output."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a kernel prints past Jupyter goes to the log, not between the events
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_runner, args=(sys.stdin,), daemon=True).start()

    def send(event: Event) -> None:
        events.write(json.dumps(event) + "\n")
        events.flush()

    execute(Path(job["notebook"]), Path(job["output"]), job["parameters"], send)


if __name__ == "__main__":
    main()
