"""Grids of trainings: what a file may say, and cells that are computed once, wherever that is."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

import pandas as pd
import pytest
from typer.testing import CliRunner

from saliencykit import cli
from saliencykit.cache import Entry, _alone, entry_path, write
from saliencykit.dissection import top_mean
from saliencykit.dissection.top_units import counts_above
from saliencykit.paths import ROOT, cache_root
from saliencykit.registry import UnknownNameError
from saliencykit.running import runner
from saliencykit.settings import read_row, typed
from saliencykit.study import Study
from saliencykit.sweeps import cells, local, slurm, sweeping
from saliencykit.sweeps.cells import Cell
from saliencykit.sweeps.grid import read_grid
from tests.slurm import one_node, told, wait_for

TINY = """
profile: smoke
images: 12
size: [32, 40]
read: [conv3_1]
unit_layer: conv3_1
layers: [conv3_1]
measures: [units]
"""
"""Settings of a grid whose cells take a second."""


def written(folder, text, name="grid"):
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def call(*args):
    return CliRunner().invoke(cli.app, ["sweep", *map(str, args)])


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A cache that holds the scenes of all cells here, which take longest."""
    place = tmp_path_factory.mktemp("scenes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALIENCYKIT_CACHE", str(place))
        for cell in read_grid(written(place, TINY)):
            cell.run()
    shutil.rmtree(place / "cell")
    return place


@pytest.fixture
def place(tmp_path, monkeypatch, scenes):
    """A folder of one's own, for a grid, the cache and tables."""
    kept = tmp_path / "cache"
    for kind in scenes.iterdir():
        if kind.is_dir() and kind.name not in ("training", "dissection"):
            shutil.copytree(kind, kept / kind.name)
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(kept))
    monkeypatch.setattr(sweeping, "FIGURES", tmp_path / "figures")
    return tmp_path


def forget(place):
    """Lose everything that was trained or measured."""
    for kind in ("cell", "training", "dissection"):
        shutil.rmtree(place / "cache" / kind, ignore_errors=True)


# What a grid says


def test_all_values_are_combined_and_equal_cells_are_one_by_name(tmp_path):
    grid = written(
        tmp_path,
        """
        profile: [smoke, "smoke epochs=2"]
        read: [[conv3_1], [conv5_3]]
        trainings: 3
        size: [32, 40]
        networks: [pre-trained, frozen, fine-tuned, "fine-tuned, one layer"]
        """,
    )
    found = read_grid(grid)
    names = [str(cell) for cell in found]
    assert 'smoke read=["conv3_1"] trainings=3 size=[32,40]: pre-trained' in names
    assert 'smoke epochs=2 read=["conv5_3"] trainings=3 size=[32,40]: fine-tuned 3' in names
    assert len(found) == len(set(names)) == 2 * 2 * (1 + 3 + 3 + 3)
    # Given units are the same whatever is read or taught, readouts whatever the encoder would be
    # taught, and who reads the deepest layer alone is the same by both names.
    own = {n: {c.name for c in found if c.network == n} for n in cells.NETWORKS}
    assert {n: len(names) for n, names in own.items() if names} == {
        "pre-trained": 1,
        "frozen": 6,
        "fine-tuned": 12,
        "fine-tuned, one layer": 6,
    }
    assert own["fine-tuned, one layer"] < own["fine-tuned"]
    assert len(sweeping._missing(found)) == 19


def test_a_cell_asks_what_the_study_asks():
    study = Study.from_profile("smoke")
    own = {
        "frozen": study.asked(True),
        "fine-tuned": study.asked(False),
        "frozen, one layer": study.asked(True, ["conv5_3"]),
        "fine-tuned, one layer": study.asked(False, ["conv5_3"]),
    }
    for network, asked in own.items():
        for k, one in enumerate(asked):
            assert Cell("smoke", (), network, k).training.key == one.key
    beside = [t for t in study.asked_beside() if t.task.name == "rotations"]
    assert Cell("smoke", (), "rotations", 1).training.key == beside[1].key
    assert set(cells.TASKS) | {"saliency"} == {t.task.name for t in study.asked_beside()}


def test_the_grid_of_the_docs_is_one(tmp_path):
    (text,) = re.findall(
        r"```yaml\n(.*?)```", (ROOT / "docs" / "cluster.md").read_text("utf-8"), re.S
    )
    here = text.replace("weights=imagenet", "weights=null").replace("osie", "toyworld")
    several = read_grid(written(tmp_path, here))
    assert len(several) == 2 * 2 * (1 + 5 + 5)
    assert {cell.study.encoder for cell in several} == {"toyvgg", "alexnet"}


def test_notebook_10_is_asked_of_the_studies_of_a_grid(tmp_path, monkeypatch):
    grid = written(
        tmp_path,
        "profile: [smoke, 'smoke weights=null unit_layer=']\n"
        "read: [[conv3_1], []]\nlr_encoder: [0.001, 0.0001]\nnetworks: [frozen, fine-tuned]",
    )
    asked = []
    monkeypatch.setattr(runner, "run", lambda *args, **more: asked.append((*args, more["figures"])))
    folder = sweeping.draw(grid)
    ((names, profile, overrides, figures),) = asked
    assert (names, profile, folder) == (["10"], "smoke", figures / "smoke")
    told = [read_row(row) for row in typed(overrides["rows"], [])]
    assert len(told) == 8
    assert told[0] == ("smoke", {"read": ["conv3_1"], "lr_encoder": 0.001})
    assert told[-1][1] == {"weights": None, "unit_layer": "", "read": [], "lr_encoder": 0.0001}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("epoch: 2", "Unknown name in .*grid.yaml 'epoch'. Did you mean 'epochs'"),
        ("epochs: many", "grid.yaml: 'epochs' cannot be 'many': its default is 8"),
        ("epochs: [1, many]", "'epochs' cannot be 'many'"),
        ("epochs: []", "epochs has no value"),
        ("epochs: {a: 1}", "epochs cannot be {'a': 1}"),
        ("data: [toyworld, toyword]", "Unknown data set 'toyword'. Did you mean 'toyworld'"),
        ("encoder: [toyvgg, alexnett]", "Unknown encoder 'alexnett'. Did you mean 'alexnet'"),
        ("networks: [frozen, finetuned]", "'finetuned'. Did you mean 'fine-tuned'"),
        ("measures: [score]", "'score'. Did you mean 'scores'"),
        ("layers: [[conv9_9]]", "'conv9_9'. Did you mean"),
        ("profile: toi", "Unknown profile 'toi'. Did you mean 'toy'"),
        ("profile: 3", "profile must be a text or a list of texts, not 3"),
        ("profile: smoke epochs=x", "'epochs' cannot be 'x'"),
        ("profile: smoke epochs=2\nepochs: 3", "says epochs twice"),
        ("- 1", "must be lines of"),
    ],
)
def test_what_is_wrong_is_told_before_anything_starts(tmp_path, line, message):
    head = "" if "profile" in line or line == "- 1" else "profile: smoke\n"
    with pytest.raises((ValueError, UnknownNameError), match=message):
        read_grid(written(tmp_path, head + line))


def test_a_grid_without_profile_and_one_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="must say a profile"):
        read_grid(written(tmp_path, "epochs: 2"))
    done = call(tmp_path / "nowhere.yaml")
    assert done.exit_code == 2
    assert "nowhere.yaml is not there" in done.output
    assert call().exit_code == 2


def test_data_that_cannot_be_asked_are_told_before_anything_starts(tmp_path, monkeypatch):
    from tests.conftest import Blobs

    class Bare(Blobs):
        categories, scenes = (), ()

    study = Study.from_profile("smoke")
    study.__dict__["annotated"] = Bare(20)
    monkeypatch.setattr(cells, "_study", lambda profile, changes: study)
    with pytest.raises(ValueError, match="knows no scene classes"):
        Cell("smoke", (), "scenes", 0, ("scores",)).check()
    with pytest.raises(ValueError, match="no annotated regions, which map and units"):
        Cell("smoke", (), "frozen", 0).check()
    Cell("smoke", (), "frozen", 0, ("scores",)).check()


# Cells on this machine


@pytest.mark.slow
def test_a_sweep_is_kept_and_a_table_of_it_written(place):
    grid = written(place, TINY + "trainings: 2\nnetworks: [pre-trained, fine-tuned]")
    assert call(grid, "--dry-run").output.count("to do  not known yet") == 3
    done = call(grid, "--jobs", 2)
    assert done.exit_code == 0, done.output
    assert "3 cells: 0 kept, 3 to do" in done.output
    found = pd.read_csv(place / "figures" / "sweeps" / "grid" / "cells.csv")
    assert list(found)[:2] == ["profile", "images"]
    assert list(found)[-3:] == ["category", "value", "on_images"]
    assert set(found["network"]) == {"pre-trained", "fine-tuned"}
    assert found.query("network == 'fine-tuned'")["from_seed"].unique().tolist() == [0, 1]
    study = Study.from_profile(
        "smoke",
        images=12,
        size=[32, 40],
        read=["conv3_1"],
        unit_layer="conv3_1",
        layers=["conv3_1"],
        trainings=2,
    )
    second = study.each_training(False)[1]  # read from the cache
    few = study.dissect(second.model.encoder, second.unseen, p_values=False)
    many = study.dissect(study.pretrained, study.annotated, p_values=False)
    for own, of, known in ((few, "training == 2", 0), (many, "network == 'pre-trained'", 3)):
        rows = found.query(of).set_index(["measure", "category"])["value"]
        best = top_mean(own, "conv3_1", selection="crossfit").set_index("category")["mean"]
        best = best[rows["best units"].index]
        assert rows["best units"].tolist() == pytest.approx(best.tolist(), nan_ok=True)
        told = best.dropna().index
        assert len(told) >= known
        counted = counts_above(own, "conv3_1")[1.5][told]
        assert rows["units above"].dropna().tolist() == counted.tolist()
    again = call(grid)
    assert "3 cells: 3 kept, 0 to do" in again.output
    listed = call(grid, "--status").output
    assert listed.count("  kept  ") == 3
    assert " h" in listed
    assert str(grid) in call("--status").output


@pytest.mark.slow
def test_a_failure_leaves_the_others_is_told_and_tried_again(place, monkeypatch):
    grid = written(place, TINY + "trainings: 2\nnetworks: [fine-tuned]\nlr_encoder: [0.001, .inf]")
    first = call(grid, "--jobs", 1)
    assert first.exit_code == 1
    assert "2 cells failed" in first.output
    assert "diverged in epoch 1" in first.output
    assert "lr_encoder=Infinity: fine-tuned 2: ValueError" in first.output
    assert "failed: ValueError" in call(grid, "--status").output
    assert "2 of 4 cells" in first.output
    assert "4 cells: 2 kept, 2 to do" in call(grid, "--jobs", 1).output


@pytest.mark.slow
def test_one_that_is_killed_fails_alone(place):
    several = read_grid(written(place, TINY + "trainings: 2\nnetworks: [fine-tuned]"))
    work = local.side_by_side([Kills(*fields(several[0])), several[1]], 1)
    (killed, why), (other, none) = sorted(work, key=lambda one: one[1] == "")
    assert "status -9 (killed: out of memory?)" in why
    assert none == ""
    assert other.is_kept
    assert not killed.is_kept


@pytest.mark.slow
def test_a_disk_that_is_full_is_said_and_costs_nothing_that_was_kept(place):
    first, second = read_grid(written(place, TINY + "trainings: 2\nnetworks: [fine-tuned]"))
    first.run()
    kept = first.path.read_bytes()
    ((_, why),) = local.side_by_side([Full(*fields(second))], 1)
    assert "Free some space" in sweeping.last_line(why)
    assert not second.is_kept
    assert second.begun == []
    assert first.path.read_bytes() == kept
    assert list(local.side_by_side([second], 1)) == [(second, "")]


@pytest.mark.slow
def test_of_two_sweeps_at_once_each_cell_is_computed_once(place):
    several = read_grid(written(place, TINY + "trainings: 2\nnetworks: [fine-tuned]"))
    work = [local.side_by_side([Counted(*fields(cell)) for cell in several], 2) for _ in range(2)]
    with ThreadPoolExecutor(2) as threads:
        ended = list(threads.map(list, work))
    assert [why for cells in ended for _, why in cells] == [""] * 4
    assert len((place / "cache" / "counted").read_text()) == 2


def fields(cell):
    return cell.profile, cell.changes, cell.network, cell.number, cell.measures


class Kills(Cell):
    """A cell that never fits."""

    def __reduce__(self):
        return type(self), fields(self)

    def run(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Full(Kills):
    """A cell whose process may write small files only."""

    def run(self):
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        Cell.run(self)


class Counted(Kills):
    """A cell that tells when it is computed."""

    def run(self):
        return Cell.run(self)

    def _compute(self):
        with (cache_root() / "counted").open("a") as file:
            file.write(".")
        return super()._compute()


def test_code_that_changes_meanwhile_is_said(place, monkeypatch):
    (cell,) = read_grid(written(place, TINY + "networks: [pre-trained]"))
    assert "no longer those with which the sweep was started" in local.run_as(cell, "another")
    assert not cell.is_kept
    record = sweeping.Record.of(place / "grid.yaml")
    record.cells = {str(cell): "another"}
    record.write()
    monkeypatch.setattr(local, "side_by_side", lambda cells, jobs: iter([(cells[0], "as if")]))
    assert "changed since the last start: 1 cells are others" in call(place / "grid.yaml").output


def test_a_training_that_is_begun_tells_its_cost(place):
    grid = written(place, TINY + "trainings: 1\nnetworks: [fine-tuned]\nepochs: 4")
    (cell,) = read_grid(grid)
    curve = [{"epoch": 1, "train": 0.0, "seconds": 900.0}]
    path = entry_path("training", cell.training.key).with_suffix(".partial")
    write(path, Entry({}, {"epoch": 1, "curve": curve}))
    listed = call(grid, "--status").output
    assert "epoch 1 of 4" in listed
    assert "1 h" in listed


def test_a_table_of_somebody_else_is_not_written_over(place):
    grid = written(place, TINY + "networks: [pre-trained]")
    theirs = place / "figures" / "sweeps" / "grid" / "cells.csv"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    done = call(grid)
    assert done.exit_code == 2
    assert "nothing is written over" in done.output
    assert theirs.read_text() == "mine"
    assert call(grid, "--jobs", 0).exit_code == 2


COMMAND = [sys.executable, "-m", "saliencykit", "sweep"]


@pytest.mark.slow
def test_a_sweep_that_is_killed_ends_with_the_same_table(place):
    grid = written(place, TINY + "trainings: 3\nnetworks: [fine-tuned]\nepochs: 2")
    whole = place / "figures" / "sweeps" / "grid" / "cells.csv"
    assert call(grid, "--jobs", 1).exit_code == 0
    expected = whole.read_bytes()
    forget(place)
    environment = {**os.environ, "SALIENCYKIT_FIGURES": str(place / "figures")}
    process = subprocess.Popen([*COMMAND, str(grid)], env=environment, start_new_session=True)
    trained = place / "cache" / "training"
    wait_for(lambda: any(trained.glob("*.partial")) or any(trained.glob("*.safetensors")), 300)
    process.kill()
    process.wait()
    time.sleep(2)  # its processes see that it has gone
    assert len(list((place / "cache" / "cell").glob("*.safetensors"))) < 3
    assert call(grid, "--jobs", 1).exit_code == 0
    assert whole.read_bytes() == expected


# Cells on a cluster


def test_a_cluster_that_is_not_there_is_told(place, monkeypatch):
    pytest.importorskip("submitit", reason="the extra cluster is not installed")
    monkeypatch.setenv("PATH", str(place))
    done = call(written(place, TINY), "--on", "slurm")
    assert done.exit_code == 2
    assert "no SLURM here: sbatch" in done.output
    assert "--on local" in done.output
    for name in slurm.TOOLS:  # those of a cluster whose controller is away
        (place / name).write_text("#!/bin/sh\nexit 1\n")
        (place / name).chmod(0o755)
    done = call(written(place, TINY), "--on", "slurm")
    assert done.exit_code == 2
    assert "SLURM does not answer" in done.output


def test_submitit_that_is_not_there_is_told(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    done = call(written(place, TINY), "--on", "slurm")
    assert done.exit_code == 2
    assert "pip install 'saliencykit[cluster]'" in done.output


@pytest.fixture
def in_job(monkeypatch):
    """Let this process be a job of SLURM with that number."""
    pytest.importorskip("submitit", reason="the extra cluster is not installed")
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    return lambda number: monkeypatch.setenv("SLURM_JOB_ID", str(number))


def test_a_job_goes_on_with_what_no_other_has_begun(tmp_path, monkeypatch, in_job):
    several = [(Cell("smoke", (), "frozen", k), f"cell{k}") for k in range(4)]
    first, second = (slurm.Job(several[k:] + several[:k], tmp_path) for k in (0, 1))
    ran = []

    def run_as(cell, name):
        ran.append(name)
        if len(ran) == 1:  # another job starts meanwhile
            in_job(2)
            second()
        return "why" if name == "cell2" else ""

    monkeypatch.setattr(Cell, "begun", [])
    monkeypatch.setattr(slurm, "run_as", run_as)
    in_job(1)
    first()
    assert ran == ["cell0", "cell1", "cell2", "cell3"]
    assert slurm.begun(tmp_path) == {"cell0": "1"} | dict.fromkeys(ran[1:], "2")
    assert slurm.ended(tmp_path) == dict.fromkeys(ran, "") | {"cell2": "why"}
    second()  # put into the queue again, when all has ended
    (tmp_path / "cell3.ended").unlink()
    in_job(1)
    first()  # what another has begun and not ended is not its own
    assert len(ran) == 4
    in_job(2)
    second()
    assert ran[4:] == ["cell3"]


def test_a_job_is_queued_again_as_long_as_it_gets_on(tmp_path, monkeypatch, in_job):
    both = [(Cell("smoke", (), "frozen", k), f"cell{k}") for k in range(2)]
    epochs, ran = {"cell0": iter([0, 1, 1, 1, 1, 1, 1, 1]), "cell1": iter([0, 2])}, []

    class OutOfTime(BaseException):
        """As submitit's when it ends a job."""

    def run_as(cell, name):
        ran.append(name)
        raise OutOfTime

    of = dict(both)
    monkeypatch.setattr(Cell, "begun", property(lambda c: [{}] * next(epochs[of[c]])))
    monkeypatch.setattr(slurm, "run_as", run_as)
    in_job(1)
    job, idle = slurm.Job(both, tmp_path), []
    for _ in range(5):
        with pytest.raises(OutOfTime):
            job()
        job = job.checkpoint().function
        idle.append(job.idle)
    assert idle == [0, 1, 2, 0, 0]
    assert ran == ["cell0"] * 4 + ["cell1"]
    assert slurm.ended(tmp_path) == {"cell0": slurm.ENDLESS}


@pytest.fixture
def queue(monkeypatch):
    """SLURM's queue, as a test likes it; commands that are given are listed as its `given`."""
    states = slurm.States()
    states.given = []
    monkeypatch.setattr(slurm, "queue", lambda: states)
    monkeypatch.setattr(
        slurm.subprocess, "run", lambda command, **more: states.given.append(command)
    )
    return states


class Named(Cell):
    """A cell that is called as its training's number says, and kept if it is the first."""

    name = property(lambda cell: f"cell{cell.number}")
    is_kept = property(lambda cell: cell.number == 0)


def test_how_cells_of_a_cluster_ended_is_told(tmp_path, queue):
    pytest.importorskip("submitit", reason="the extra cluster is not installed")
    several = [Named("smoke", (), "frozen", k) for k in range(5)]
    own = {cell.name: f"1_{cell.number}" for cell in several}
    for name, job in {"cell0": "1_0", "cell1": "1_0", "cell2": "1_0", "cell3": "1_3"}.items():
        (tmp_path / f"{name}.begun").write_text(job)
    for name, why in {"cell0": "", "cell1": "it diverged", "cell2": ""}.items():
        slurm._end(tmp_path, name, why)
    killed = "slurmstepd: error: Detected 1 oom_kill event"
    after = "scoring: 10%\rscoring: 20%\nsrun: error: task 0: Out Of Memory\n\n"
    (tmp_path / "1_3_0_log.err").write_text(f"...\n{killed}\n{after}")
    queue |= {"1_0": "RUNNING", "1_3": "RUNNING", "1_4": "PENDING (Resources)"}
    ended = slurm.follow(several, own, tmp_path, 0)
    assert next(ended) == (several[0], "")
    assert next(ended) == (several[1], "it diverged")  # also while its job goes on with others
    assert next(ended) == (None, "2 RUNNING, 1 PENDING (Resources)")
    queue.known = False
    del queue["1_0"], queue["1_3"]
    assert next(ended) == (None, "1 PENDING (Resources)")
    queue.known = True
    assert next(ended) == (None, "1 PENDING (Resources)")
    unseen, why = dict([next(ended), next(ended)]).values()
    assert "job 1_0 says that it is done, but its cell is not in this cache" in unseen
    assert why == f"job 1_3 has ended without a result (out of memory, or cancelled?): {killed}"
    assert queue.given == []
    slurm._end(tmp_path, "cell4", "no room")
    assert next(ended)[0] is None
    assert list(ended) == [(several[4], "no room"), (None, "")]
    assert queue.given == [["scancel", "--state=PENDING", "1_4"]]


def test_what_no_job_will_compute_is_submitted(tmp_path, queue, monkeypatch):
    several = [Named("smoke", (), "frozen", k) for k in range(1, 6)]
    own = {cell.name: f"1_{cell.number}" for cell in several[:4]}
    record = sweeping.Record(tmp_path, "grid.yaml", jobs=own)
    folder = tmp_path / "jobs"
    folder.mkdir()
    queue |= {"1_1": "RUNNING", "1_4": "PENDING (Resources)"}
    (folder / "cell2.begun").write_text("1_1")
    (folder / "cell3.begun").write_text("1_3")  # which was killed
    (folder / "cell1.begun").write_text("1_1")
    slurm._end(folder, "cell1", "it diverged")
    new = []
    monkeypatch.setattr(slurm, "submit", lambda cells, *more: new.extend(cells) or {})
    monkeypatch.setattr(slurm, "follow", lambda *more: iter(()))
    assert list(sweeping._on_slurm(several, record, slurm.Cluster(), None)) == []
    assert [cell.name for cell in new] == ["cell1", "cell3", "cell5"]
    assert record.failures == {"cell1": "it diverged"}


def test_the_queue_is_told_in_words():
    told = slurm.summary(["RUNNING", "PENDING (Resources)", "RUNNING", ""])
    assert told == "2 RUNNING, 1 PENDING (Resources)"


@pytest.mark.slow
def test_on_a_cluster_cells_are_those_of_this_machine(place, tmp_path):
    pytest.importorskip("submitit", reason="the extra cluster is not installed")
    grid = written(place, TINY + "trainings: 3\nnetworks: [fine-tuned]\nepochs: 2")
    table = place / "figures" / "sweeps" / "grid" / "cells.csv"
    assert call(grid, "--jobs", 1).exit_code == 0
    expected = table.read_bytes()
    forget(place)
    several, record = read_grid(grid), sweeping.Record.of(grid)
    asked, folder = slurm.Cluster(minutes=30, memory=1, poll=0.3), record.folder / "jobs"
    with one_node(tmp_path / "slurm") as node:
        with pytest.raises(ValueError, match=r"SLURM takes no jobs like these: .*partition"):
            slurm.submit(several, folder, replace(asked, partition="nowhere"), None)
        told("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
        record.jobs = slurm.submit(several, folder, asked, None)
        record.write()
        first, second, _ = (record.jobs[cell.name] for cell in several)
        wait_for(lambda: "DRAIN" in slurm.queue().get(first, ""), 30)
        assert "DRAIN" in call(grid, "--status").output
        with ExitStack() as held:  # so that they are computing for as long as we like
            for cell in several[:2]:
                held.enter_context(_alone(entry_path("training", cell.training.key)))
            told("scontrol", "update", f"nodename={node}", "state=resume")
            for cell in several[:2]:
                wait_for(lambda cell=cell: any(cell.path.parent.glob(f"{cell.name}*.lock")), 300)
            told("scancel", "--signal=USR2", first)  # as SLURM does before a time limit
            wait_for(lambda: "BeginTime" in slurm.queue().get(first, ""), 60)
            told("scancel", second)
            wait_for(lambda: second not in slurm.queue(), 60)
        told("scontrol", "update", f"jobid={first}", "starttime=now")
        ended = dict(slurm.follow(several, record.jobs, folder, asked.poll))
        assert ended[several[0]] == ended[several[2]] == ""
        assert f"job {second} has ended without a result" in ended[several[1]]
        assert sweeping.sweep(grid, asked) == {}  # the same command does what is left
    assert table.read_bytes() == expected
