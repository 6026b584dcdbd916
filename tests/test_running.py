import os
import signal
import subprocess
import sys
import tempfile
import time

import nbformat
import psutil
import pytest

from saliencykit.running import executing
from saliencykit.running import runner as figures
from tests.small_notebooks import SAVE, write_notebook, write_profile


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A notebooks folder with a profile, an empty figures folder, a cache of its own."""
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    write_profile(tmp_path / "notebooks", "toy", "# The default: minutes\nvalue: 2.5\n")
    return tmp_path


def run(place, *names, **settings):
    where = {"figures": place / "figures", "reference": place / "figures/reference"}
    return figures.run(names, folder=place / "notebooks", **where, **settings)


# Running


@pytest.mark.slow
def test_a_run_writes_figures_and_an_executed_copy_and_leaves_the_notebook_alone(
    place, monkeypatch
):
    foreign = place / "jupyter" / "kernels" / "python3" / "kernel.json"  # somebody else's Python
    foreign.parent.mkdir(parents=True)
    foreign.write_text('{"argv": ["false"], "display_name": "x", "language": "python"}')
    monkeypatch.setenv("JUPYTER_PATH", str(place / "jupyter"))
    source = write_notebook(
        place / "notebooks",
        "00_a",
        SAVE.format(name="00_a"),
        "import sys; print(sys.executable, os.environ['SALIENCYKIT_NOTEBOOK'], os.getcwd())",
    )
    before = source.read_bytes()
    said = []
    (one,), comparison = run(place, say=said.append)
    assert comparison is None
    assert (place / "figures/toy/00_a.csv").read_text() == "unit,value\na,2.5\n"
    assert one.written == one.changed == ["00_a.png", "00_a.csv"]
    assert one.seconds > 0
    assert one.memory > 20e6  # no kernel is smaller
    assert said == [figures._line(one)]
    assert figures.summary([one]).split()[-1] == "all"
    assert source.read_bytes() == before
    assert one.executed == (place / "cache/executed/toy/00_a.ipynb").resolve()
    cells = nbformat.read(one.executed, 4).cells
    said = [sys.executable, "00_a", str((place / "notebooks").resolve())]
    assert cells[-1].outputs[0].text.split() == said
    assert [p.name for p in one.executed.parent.iterdir()] == ["00_a.ipynb"]


MEET = """
import time
from pathlib import Path
Path({mine!r}).touch()
end = time.time() + 30
while not Path({other!r}).exists():
    assert time.time() < end, "nobody else is running"
    time.sleep(0.02)
import os; print(os.environ["OMP_NUM_THREADS"])
"""


@pytest.mark.slow
def test_two_jobs_run_side_by_side_and_are_reported_in_order(place, monkeypatch):
    monkeypatch.setattr(figures, "CORES", 6)
    a, b = str(place / "a"), str(place / "b")
    slow = "time.sleep(0.5)"
    write_notebook(place / "notebooks", "00_a", MEET.format(mine=a, other=b), slow)
    write_notebook(place / "notebooks", "01_b", MEET.format(mine=b, other=a))
    said = []
    outcomes, _ = run(place, jobs=2, say=said.append)
    assert [o.notebook.stem for o in outcomes] == ["00_a", "01_b"]
    assert [line.split(":")[0] for line in said] == ["00_a", "01_b"]
    printed = nbformat.read(outcomes[1].executed, 4).cells[-1].outputs[0].text
    assert printed.strip() == "3"  # six cores shared by two


@pytest.mark.slow
def test_a_failing_cell_is_shown_and_stops_the_others(place):
    write_notebook(place / "notebooks", "00_a", "1 + 1", "def f():\n    return 1 / 0\n", "f()")
    write_notebook(place / "notebooks", "01_b", "import time; time.sleep(60)")
    start = time.perf_counter()
    with pytest.raises(figures.NotebookFailedError) as caught:
        run(place, jobs=2)
    assert time.perf_counter() - start < 30
    message = str(caught.value)
    assert "00_a, cell 5 (In [5]) failed: ZeroDivisionError: division by zero" in message
    assert "    f()" in message
    assert "Traceback" in message
    copy = place / "cache/executed/toy/00_a.ipynb"
    assert str(copy.resolve()) in message
    assert "ZeroDivisionError" in copy.read_text()
    assert not (place / "cache/executed/toy/01_b.ipynb").exists()
    assert kernels_of(os.getpid()) == []


@pytest.mark.slow
def test_of_a_wrong_name_the_message_is_enough(place):
    asks = "from saliencykit.registry import check_name\ncheck_name('layer', 'cnov1', ['conv1'])"
    write_notebook(place / "notebooks", "00_a", asks)
    with pytest.raises(figures.NotebookFailedError) as caught:
        run(place)
    first, second = str(caught.value).splitlines()
    assert first.startswith("00_a, cell 3 (In [3]) failed: Unknown layer 'cnov1'. Did you mean")
    copy = place / "cache/executed/toy/00_a.ipynb"
    assert second == f"The traceback is in the executed copy, {copy.resolve()}"
    assert "UnknownNameError" in copy.read_text()
    assert not (place / "figures/toy").exists()  # nor any folder that holds nothing


@pytest.mark.slow
def test_a_kernel_that_dies_is_reported_with_its_cell(place):
    write_notebook(place / "notebooks", "00_a", "import os; os._exit(3)")
    died = r"00_a, cell 3 failed: its kernel died with status 3\n(?s:.)*os._exit\(3\)"
    with pytest.raises(figures.NotebookFailedError, match=died):
        run(place)


@pytest.mark.slow
def test_what_a_dying_kernel_says_is_told(place, capfd):
    write_notebook(place / "notebooks", "00_a", "os.write(2, b'last words'); os._exit(3)")
    with pytest.raises(figures.NotebookFailedError, match="NameError"):
        run(place)
    write_notebook(
        place / "notebooks", "00_a", "import os; os.write(2, b'last words'); os._exit(3)"
    )
    with pytest.raises(figures.NotebookFailedError, match="last words"):
        run(place)
    assert capfd.readouterr() == ("", "")  # and nothing is printed past the message


def test_a_copy_that_cannot_be_written_is_said(place):
    write_notebook(place / "notebooks", "00_a", "1")
    (place / "cache").write_text("no folder")
    with pytest.raises(figures.NotebookFailedError, match=r"00_a.*(NotADirectory|FileExists)Error"):
        run(place)


@pytest.mark.slow
def test_a_profile_may_say_which_notebooks_run(place):
    folder = place / "notebooks"
    for stem in ("00_one", "01_two"):
        write_notebook(folder, stem, "value")
    write_profile(folder, "half", 'notebooks: ["01"]')
    outcomes, _ = run(place, profile="half")
    assert [o.notebook.stem for o in outcomes] == ["01_two"]
    outcomes, _ = run(place, "00", profile="half")
    assert [o.notebook.stem for o in outcomes] == ["00_one"]


def test_fewer_than_one_job_is_refused(place):
    with pytest.raises(ValueError, match="--jobs"):
        run(place, jobs=0)


# Killing


def kernels_of(pid):
    """Processes below `pid` that are kernels of a run."""
    found = psutil.Process(pid).children(recursive=True)
    return [p for p in found if "ipykernel_launcher" in command(p)]


def command(process):
    """The words that started a process; none if it has ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


STALL = """
from pathlib import Path
if not Path({go!r}).exists():
    Path({here!r}).touch()
    import time; time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_killed_run_leaves_no_process_and_no_partial_file_and_can_be_repeated(place, how):
    here, go = place / "here", place / "go"
    stall = STALL.format(here=str(here), go=str(go))
    write_notebook(place / "notebooks", "00_a", stall, SAVE.format(name="00_a"))
    call = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "  # if ignored
        "from pathlib import Path; from saliencykit.running import runner as figures; "
        f"figures.run(folder=Path({str(place / 'notebooks')!r}), "
        f"figures=Path({str(place / 'figures')!r}))"
    )
    (place / "tmp").mkdir()
    own = os.environ | {"TMPDIR": str(place / "tmp"), "JUPYTER_RUNTIME_DIR": str(place / "tmp")}
    process = subprocess.Popen([sys.executable, "-c", call], stderr=subprocess.DEVNULL, env=own)
    wait_for(here.exists)
    children = kernels_of(process.pid)
    assert len(children) == 1
    process.send_signal(how)
    assert process.wait(20) != 0
    wait_for(lambda: not any(alive(child) for child in children))
    assert list((place / "cache/executed").rglob("*.ipynb")) == []
    assert list((place / "figures").rglob("*.*")) == []
    wait_for(lambda: not list((place / "tmp").iterdir()))  # sockets and their addresses
    if how != signal.SIGTERM:
        return  # repeating takes seconds, and what is left is the same after each signal
    go.touch()
    run(place)
    assert (place / "figures/toy/00_a.csv").read_text() == "unit,value\na,2.5\n"


@pytest.mark.slow
def test_a_long_folder_for_temporary_files_does_not_end_kernels(place, monkeypatch):
    long = place / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    write_notebook(place / "notebooks", "00_a", SAVE.format(name="00_a"))
    run(place)
    assert (place / "figures/toy/00_a.csv").exists()


def test_no_folder_for_sockets_is_told(monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OSError, match=r"paths in /tmp are too long .*Set TMPDIR"):
        executing._short("/tmp", 6)


def test_sockets_of_killed_runs_go_with_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(executing, "_short", lambda folder, inside: tmp_path)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / executing.owner().replace(str(os.getpid()), str(dead.pid))
    left = left.with_name(f"sk-{left.name}-abcd_efg")
    ours = tmp_path / f"sk-{executing.owner()}-abcdefgh"
    for folder in left, ours:
        folder.mkdir()
        (folder / "0-1").touch()
    with executing.private_folder(len("999-5")) as folder:
        assert sorted(tmp_path.iterdir()) == sorted([ours, folder])
    assert list(tmp_path.iterdir()) == [ours]


def alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition, seconds=60):
    end = time.time() + seconds
    while not condition():
        assert time.time() < end, "waited in vain"
        time.sleep(0.05)
