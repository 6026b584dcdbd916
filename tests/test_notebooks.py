"""The notebooks, headlessly: the smoke profile, and the paper's on miniature data."""

import os
import re
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from PIL import Image

from saliencykit.intervals import triples
from saliencykit.paths import NOTEBOOKS
from saliencykit.running import checking, records
from saliencykit.running.runner import run
from tests.miniature import write_osie, write_osie_sr, write_salicon

pytestmark = pytest.mark.slow
FIRST_FOUR = ["00", "01", "02", "03"]
SMOKED = [*FIRST_FOUR, "04", "05", "06", "07", "08", "09", "10", "11", "12"]
ONE_CORE = "LOKY_MAX_CPU_COUNT"
"""Set to 1, notebooks train one network after the other: processes beside them start for longer
than these networks train. `test_killed_…` lets them train side by side."""


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    figures = tmp_path_factory.mktemp("figures")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ONE_CORE, "1")
        outcomes, _ = run(SMOKED, profile="smoke", figures=figures)
    return figures / "smoke", outcomes


def test_every_notebook_runs_and_draws(smoke):
    folder, outcomes = smoke
    assert len(outcomes) == len(SMOKED)
    for outcome in outcomes:
        made = list(folder.glob(f"{outcome.notebook.stem[:2]}_*.png"))
        assert len(made) >= (2 if outcome.notebook.stem[:2] == "09" else 3)
        for picture in made:
            assert Image.open(picture).size[0] > 400
            table = pd.read_csv(picture.with_suffix(".csv"))
            assert len(table)
            assert not any("Unnamed" in column for column in table)


def test_what_is_learned_tells_how_trainings_differ(smoke):
    """So that a rerun can be judged; but for a share of worlds, and what one training shows.

    In the smoke profile the default world is of one.
    """
    folder, outcomes = smoke
    silent = set()
    for outcome in outcomes:
        record = records.read(folder / f"{outcome.notebook.stem}.json")
        for stem, learned in records.figures(record).items():
            if learned is False or (learned is not True and not any(learned)):
                continue
            table = checking.read_table(folder / f"{stem}.csv")
            header, (values, _) = list(table), checking.numbers(table)
            for columns in triples(header):
                spread = checking.spread_of(header, columns)
                counted = (checking.trainings(header, values) > 1).any()
                if spread is None or not counted:
                    silent.add((stem, header[columns[0]]))
    alone = {("08_default_world", "value"), ("09_explorer", "value")}
    assert silent == {("08_alarms", "share"), *alone}


def test_what_notebooks_work_out_by_hand_is_what_the_package_says(smoke):
    import nbformat

    shown = {}
    for outcome in smoke[1]:
        for cell in nbformat.read(outcome.executed, 4).cells:
            for output in cell.get("outputs", []):
                text = output.get("data", {}).get("text/plain", "")
                if "by hand" in text:
                    found = re.findall(
                        r"'(by hand|saliencykit)': (?:np\.float64\()?(-?[\d.e-]+)", text
                    )
                    shown[outcome.notebook.stem[:2]] = {name: float(value) for name, value in found}
    assert set(shown) == {"01", "02", "04", "05", "07"}
    for values in shown.values():
        assert values["by hand"] == pytest.approx(values["saliencykit"], rel=1e-5, abs=1e-6)


def test_headless_picture_equals_the_widget_s(smoke):
    """The executed copy ends in the still picture, then the widget that shows the same."""
    import base64

    import nbformat

    for outcome in smoke[1]:
        number = outcome.notebook.stem[:2]
        notebook = nbformat.read(outcome.executed, 4)
        code = [c for c in notebook.cells if c.cell_type == "code"]
        still, widget = code[-2].outputs[-1], code[-1].outputs[-1]
        assert "image/png" in still.data
        view = widget.data["application/vnd.jupyter.widget-view+json"]
        states = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
        box = states[view["model_id"]]["state"]
        if number == "09":  # several pictures: test_explorer and test_browser compare them
            continue
        image = states[box["children"][1].removeprefix("IPY_MODEL_")]
        shown = next(b["data"] for b in image["buffers"] if b["path"] == ["value"])
        if number in ("00", "01", "07", "08", "12"):  # the others' widget starts at unit 0 of "any"
            assert base64.b64decode(shown) == base64.b64decode(still.data["image/png"])


def test_paper_profile_runs_end_to_end_on_miniature_data(tmp_path, monkeypatch):
    """SALICON training, OSIE-SR dissection, vgg16, random weights: the whole road, a small car."""
    data = tmp_path / "data"
    write_osie(data / "osie", n=30, size=(60, 80))
    write_osie_sr(data / "osie_sr", data / "osie")
    write_salicon(data / "salicon", n=(6, 3, 2))
    monkeypatch.setenv("SALIENCYKIT_DATA", str(data))
    monkeypatch.setenv(ONE_CORE, "1")
    small = {
        "weights": "null",
        "size": "[48, 64]",
        "epochs": "1",
        "frozen_epochs": "1",
        "batch": "3",
        "trainings": "2",
        "controls": "2",
        "layers": "[conv1_1, conv5_3]",
        "permutations": "10",
        "classical": "[image_signature]",
    }
    outcomes, _ = run(FIRST_FOUR, profile="paper", overrides=small, figures=tmp_path / "figures")
    assert {o.state for o in outcomes} == {"done"}
    scores = pd.read_csv(tmp_path / "figures" / "paper" / "01_scores.csv")
    named = {"centre prior", "image_signature", "frozen", "fine-tuned", "human"}
    assert named == set(scores.model)
    assert (scores[scores.metric == "nss"].images == 3).all()  # SALICON's validation images
    units = pd.read_csv(tmp_path / "figures" / "paper" / "02_best_units.csv")
    assert len(units) >= 12


def test_killed_and_run_again_gives_the_same_tables(smoke, tmp_path):
    """SIGKILL while it trains and dissects, then again: the tables of an undisturbed run.

    Byte for byte, though there networks trained one after the other and here side by side.
    """
    cache = tmp_path / "cache"
    environment = os.environ | {
        "SALIENCYKIT_CACHE": str(cache),
        "SALIENCYKIT_FIGURES": str(tmp_path / "figures"),
    }
    command = [sys.executable, "-m", "saliencykit", "figures", "03", "--profile", "smoke"]
    how = {"env": environment, "cwd": NOTEBOOKS.parent}
    how |= {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    for kind in ("training", "dissection"):
        before = {*(cache / kind).glob("*.safetensors")}
        with subprocess.Popen(command, **how) as process:
            while before == {*(cache / kind).glob("*.safetensors")}:  # till it has kept another
                assert process.poll() is None, process.stderr.read().decode()[-2000:]
                time.sleep(0.02)
            process.kill()
        assert process.returncode == -signal.SIGKILL
    finished = subprocess.run(command, **how)
    assert finished.returncode == 0, finished.stderr.decode()[-2000:]
    for table in smoke[0].glob("03_*.csv"):
        again = tmp_path / "figures" / "smoke" / table.name
        assert again.read_bytes() == table.read_bytes(), table.name
