"""Nothing that lies in the current folder is imported, or configures what we start."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from saliencykit.paths import for_children
from saliencykit.running.executing import private_folder
from tests.small_notebooks import SAVE, write_notebook
from tests.test_serving import serve, started

PYTHON = ("queue", "json", "random", "typing", "platform", "logging", "socket", "ssl", "token")
HOOKS = ("sitecustomize", "usercustomize")
JUPYTER = ("voila", "tornado", "jupyter_server", "jupyter_client", "jupyter_core", "nbformat")
KERNELS = ("nbconvert", "papermill", "ipykernel", "ipykernel_launcher", "ipywidgets", "IPython")
OTHERS = ("traitlets", "zmq", "jinja2", "numpy", "torch", "PIL", "yaml", "typer", "joblib")
CONFIGURATION = (
    "ipython_config",
    "ipython_kernel_config",
    "jupyter_config",
    "jupyter_server_config",
    "voila_config",
)
NAMES = (*PYTHON, *HOOKS, *JUPYTER, *KERNELS, *OTHERS, *CONFIGURATION)
"""What Python, Jupyter or we import, and what Jupyter reads as configuration."""
CONFIGURED = {
    "Voila": {"ip": "0.0.0.0", "token": "", "open_browser": True},
    "ServerApp": {"ip": "0.0.0.0", "token": ""},
    "VoilaConfiguration": {"file_allowlist": [".*"], "show_tracebacks": True},
    "IPKernelApp": {"exec_lines": ["open('configured', 'w').close()"]},
}
SCRIPT = str(Path(sys.executable).with_name("saliencykit"))
COMMANDS = [[SCRIPT], [sys.executable, "-m", "saliencykit"]]


@pytest.fixture
def hostile(tmp_path):
    """A folder full of modules that each write a file if imported, and of configuration."""
    folder = tmp_path / "hostile"
    (folder / "lab").mkdir(parents=True)
    for name in NAMES:
        mark = f"open({str(folder / f'{name}.ran')!r}, 'w').close()\n"
        (folder / f"{name}.py").write_text(mark + "raise ImportError('not yours')\n")
    for name in ("voila", "jupyter_config", "jupyter_server_config", "ipython_kernel_config"):
        (folder / f"{name}.json").write_text(json.dumps(CONFIGURED))
    (folder / "lab" / "index.html.j2").write_text("not the explorer's")
    return folder


def ran(folder):
    """What of a hostile folder was run, or wrote there."""
    return [path.name for path in folder.iterdir() if path.suffix == ".ran"]


def foreign_kernel(place):
    """An environment in which `python3` is somebody else's kernel."""
    spec = place / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text('{"argv": ["false"], "display_name": "x", "language": "python"}')
    return {"JUPYTER_PATH": str(place / "jupyter"), "JUPYTER_DATA_DIR": str(place / "jupyter")}


def environment(place):
    """The environment of a user who has set PYTHONPATH as many do, and relative folders."""
    path = os.environ.get("PYTHONPATH", "")
    own = {"SALIENCYKIT_FIGURES": "drawn", "SALIENCYKIT_CACHE": "kept", "PYTHONPATH": path}
    return {**os.environ, **own}


SPREAD = """
import os, subprocess, sys
import queue, json, random, typing, yaml, numpy
from joblib import Parallel, delayed
def where():
    import queue, json, logging
    return [queue.__file__, os.getcwd()]
found = Parallel(n_jobs=2, backend="loky")(delayed(where)() for _ in range(2))
code = "import queue, json, numpy; print(queue.__file__)"
subprocess.run([sys.executable, "-c", code], check=True)
subprocess.run([sys.executable, "-m", "json.tool", "--help"], check=True, stdout=subprocess.DEVNULL)
"""


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=["script", "module"])
def test_figures_runs_nothing_of_the_current_folder(hostile, tmp_path, command):
    if not Path(command[0]).exists():
        pytest.skip("the command is not installed beside this Python")
    write_notebook(hostile, "00_a", SPREAD, SAVE.format(name="00_a"))
    call = [*command, "figures", "00_a.ipynb", "--profile", "toy"]
    own = environment(tmp_path) | foreign_kernel(tmp_path)
    done = subprocess.run(call, cwd=hostile, env=own, capture_output=True, text=True)
    assert (done.returncode, ran(hostile)) == (0, []), done.stderr
    assert not (hostile / "configured").exists()
    assert (hostile / "drawn" / "toy" / "00_a.csv").exists()
    assert (hostile / "kept" / "executed" / "toy" / "00_a.ipynb").exists()


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=["script", "module"])
def test_explore_runs_nothing_of_the_current_folder(hostile, tmp_path, command):
    if not Path(command[0]).exists():
        pytest.skip("the command is not installed beside this Python")
    call = [*command, "explore", "--profile", "smoke", "--port", "0", "--no-browser"]
    with started(call, hostile, environment(tmp_path), tmp_path / "log.txt") as found:
        assert found.base.startswith("http://localhost:")
        assert len(found.token) >= 32
        assert found.get(key=False).url.endswith("/login?next=%2F")
        assert found.get("voila/static/voila.js").status_code == 200
    assert ran(hostile) == []


@pytest.mark.slow
def test_the_explorer_s_kernels_run_nothing_of_the_current_folder(hostile, tmp_path):
    shown = "import queue; print('made by', sys.executable, queue.__file__)"
    place = tmp_path / "served"
    (place / "notebooks").mkdir(parents=True)
    (place / "here").symlink_to(hostile)
    with serve(place, SPREAD, shown, environment=foreign_kernel(tmp_path)) as found:
        answer = found.get()
        assert f"made by {sys.executable}" in answer.text
        assert str(hostile) not in answer.text
        processes = [psutil.Process(found.process.pid), *found.kernels()]
        open_to = [c.laddr.ip for p in processes for c in p.net_connections() if not c.raddr]
        assert set(open_to) <= {"127.0.0.1", "::1"}
    assert ran(hostile) == []
    assert not (hostile / "configured").exists()


def test_what_children_inherit_is_absolute_and_names_no_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", "lib", "", str(tmp_path)]))
    monkeypatch.setenv("SALIENCYKIT_DATA", "data")
    monkeypatch.setenv("SALIENCYKIT_CACHE", "~/kept")
    monkeypatch.setenv("TORCH_HOME", "")
    monkeypatch.delenv("SALIENCYKIT_FIGURES", raising=False)
    assert for_children() == {
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "lib"), str(tmp_path)]),
        "SALIENCYKIT_DATA": str(tmp_path / "data"),
        "SALIENCYKIT_CACHE": str(Path.home() / "kept"),
        "PYTHONSAFEPATH": "1",
    }


@pytest.mark.parametrize("deep", [1, 150])
def test_the_private_folder_is_ours_alone_and_has_room_for_sockets(tmp_path, monkeypatch, deep):
    long = tmp_path / ("x" * deep)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with private_folder(20) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert len(str(folder)) + 20 < 104
        assert folder.is_dir()
    assert not folder.exists()
