"""`--json`: what programs read is what people read, and nothing else is on stdout."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from saliencykit import cli, datasets
from saliencykit.cli.as_json import say
from saliencykit.models import classical
from tests import miniature
from tests.conftest import Blobs


def call(*args):
    done = CliRunner().invoke(cli.app, [str(a) for a in args])
    assert done.exit_code == 0, done.output
    return done.stdout


def answer(*args):
    return json.loads(call(*args, "--json"), parse_constant=pytest.fail)


def test_what_is_no_number_is_null(capsys):
    say({"a": [math.nan, 1.5, -math.inf], "b": (np.float64("nan"), 3, None, "NaN", True)})
    told = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert told == {"a": [None, 1.5, None], "b": [None, 3, None, "NaN", True]}


def test_numbers_keep_all_their_digits(capsys):
    say([0.1 + 0.2, 1e-300])
    assert json.loads(capsys.readouterr().out) == [0.1 + 0.2, 1e-300]


def test_data_sets(monkeypatch, tmp_path):
    monkeypatch.setenv("SALIENCYKIT_DATA", str(tmp_path))
    miniature.write_crowd(tmp_path / "crowd", n=3, size=(48, 64))
    found = {row["name"]: row for row in answer("datasets")}
    assert list(found) == datasets.names()
    lines = [line.split(maxsplit=2) for line in call("datasets").splitlines()[1:-1]]
    assert [(row["name"], row["here"]) for row in found.values()] == [(n, h) for n, h, _ in lines]
    assert (found["crowd"]["images"], found["crowd"]["here"]) == (3, "yes")
    assert found["crowd"]["where"] == str(tmp_path / "crowd")
    assert (found["osie"]["images"], found["osie"]["here"]) == (None, "no")
    assert found["popout"]["where"] == "drawn by code"


def test_one_data_set(monkeypatch, tmp_path):
    monkeypatch.setenv("SALIENCYKIT_DATA", str(tmp_path))
    miniature.write_crowd(tmp_path / "crowd", n=3, size=(48, 64))
    miniature.write_mit1003(tmp_path / "mit1003", n=2)
    found = answer("datasets", "crowd")
    assert found["citation"].startswith("Jiang, Xu, Zhao")
    assert (found["images"], found["split"]) == (3, {"train": 3, "val": 0, "test": 0})
    assert not found["own_split"]
    assert (found["sizes"], found["looked_at"]) == ([[48, 64]], 3)
    assert (found["fixations"], found["observers"], found["regions"]) == (
        [96] * 2,
        [16] * 2,
        [4, 4],
    )
    assert (found["also_known"], found["categories"]) == (["order", "duration"], ["person_head"])
    assert answer("datasets", "mit1003")["observers"] is None
    missing = answer("datasets", "osie")
    assert (missing["here"], missing["images"]) == ("no", None)
    assert "saliencykit fetch osie" in missing["where"]


def test_models(monkeypatch, tmp_path):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path))
    found = answer("models")
    assert [row["name"] for row in found if row["kind"] == "classical"] == classical.names()
    header, *lines = call("models").splitlines()
    assert len(found) == len(lines)
    for row, line in zip(found, lines, strict=True):
        assert line.split() == " ".join(row.values()).split()
    assert [row["name"] for row in answer("models", "vgg16_bn")] == ["vgg16_bn"]
    assert header.split()[:2] == ["model", "kind"]


@pytest.fixture
def theirs(monkeypatch, tmp_path):
    """Somebody's maps of small images, each its image's red."""
    data = Blobs(12)
    monkeypatch.setattr(datasets, "load", lambda name: data)
    (tmp_path / "theirs").mkdir()
    for i, name in enumerate(data.names):
        Image.fromarray(data.image(i)[0].numpy()).save(tmp_path / "theirs" / f"{name}.png")
    return tmp_path / "theirs"


def test_scores_are_those_of_the_table_and_of_the_csv(theirs, tmp_path):
    asked = ("evaluate", "--maps", theirs, "--data", "blobs", "--metrics", "nss,auc,emd")
    found = answer(*asked, "--split", "all", "--out", tmp_path / "scores.csv")
    assert (found["data"], found["split"], found["images"]) == ("blobs", "all", 12)
    table = call(*asked, "--split", "all")
    single = pd.read_csv(tmp_path / "scores.csv").groupby(["metric", "model"])["value"]
    told = {(row["metric"], row["model"]): row for row in found["scores"]}
    assert {metric for metric, _ in told} == {"nss", "auc", "emd"}
    assert {model for _, model in told} == {"theirs", "centre prior", "human"}
    for of, row in told.items():
        assert row["mean"] == pytest.approx(single.mean()[of], rel=1e-12)
        assert row["images"] == single.count()[of] == 11  # nobody looked at the twelfth
        assert f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]" in table


def test_a_score_that_there_is_not_is_null(theirs):
    for path in theirs.iterdir():
        Image.new("L", (64, 48)).save(path)  # flat maps have no such area
    found = answer("evaluate", "--maps", theirs, "--data", "blobs", "--metrics", "auc_borji")
    told = {row["model"]: row for row in found["scores"]}
    assert told["theirs"]["images"] == 0
    assert told["theirs"]["mean"] is told["theirs"]["low"] is told["theirs"]["high"] is None
    assert told["centre prior"]["mean"] > 0
