"""What docs/ shows works: examples run, names and files exist."""

import json
import re
import shlex
from glob import glob

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import saliencykit
from saliencykit import cache, cli, datasets, metrics, models
from saliencykit.models import classical
from saliencykit.paths import ROOT
from tests import miniature

DOCS = sorted((ROOT / "docs").glob("*.md"))


def blocks(path, language):
    return re.findall(
        rf"^ *```{language}\n(.*?)^ *```", path.read_text(encoding="utf-8"), re.S | re.M
    )


def test_the_example_of_a_classical_model_is_one():
    (source,) = blocks(ROOT / "docs" / "classical_model.md", "python")
    source = source.replace("from .", "from saliencykit.models.classical.")
    try:
        exec(source, {})
        maps = classical.saliency("edges", torch.rand(2, 3, 40, 50))
        assert maps.shape == (2, 40, 50)
        assert (maps >= 0).all()
        flat = classical.saliency("edges", torch.full((1, 3, 40, 50), 0.5))
        assert flat.min() == flat.max()
    finally:
        classical.CLASSICAL.pop("edges", None)


def test_the_example_of_order_and_duration_is_one(tmp_path, monkeypatch):
    monkeypatch.setenv("SALIENCYKIT_DATA", str(tmp_path))
    miniature.write_crowd(tmp_path / "crowd", n=2, size=(48, 64), observers=3)
    source, _ = blocks(ROOT / "docs" / "own_data.md", "python")
    made = {}
    exec(source, made)
    assert len(made["firsts"]) == 3
    assert float(made["lasting"].sum()) == pytest.approx(len(made["looks"]))
    assert len(made["frontal"]) == 2
    assert len(made["units"].regions) == 8


def test_the_example_of_a_planted_preference_is_one():
    made = {}
    (source,) = blocks(ROOT / "docs" / "planted.md", "python")
    exec(source, made)
    data, twice, some = (made[name] for name in ("data", "twice", "some"))
    assert [str(twice.weight), some.observers] == ["2", [0, 2, 5]]
    assert len(twice.fixations(0)) >= len(data.fixations(0)) > len(some.fixations(0)) > 0


@pytest.fixture
def annotated(tmp_path, monkeypatch):
    """A folder of the user's with regions, an untrained network for all, and an empty cache."""
    untrained = models.build_encoder("toyvgg", None)
    monkeypatch.setattr(models, "build_encoder", lambda name, weights: untrained)
    monkeypatch.setenv("SALIENCYKIT_DATA", str(tmp_path))
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    names = miniature.write_folder(tmp_path / "folder")
    region = {"category": "text", "polygon": [[9, 9], [99, 9], [99, 70], [9, 70]]}
    regions = {"categories": ["text"], "images": {name: [region] for name in names}}
    (tmp_path / "folder" / "regions.json").write_text(json.dumps(regions))


def test_the_examples_of_shards_run(annotated):
    text, (_, source) = (blocks(ROOT / "docs" / "own_data.md", kind) for kind in ("bash", "python"))
    commands = re.findall(r"^saliencykit dissect.*", "".join(text), re.M)
    for command in commands:
        done = CliRunner().invoke(cli.app, shlex.split(command, comments=True)[1:])
        assert done.exit_code == 0, done.output
    made = {}
    exec(source, made)
    table = pd.read_csv("units.csv").set_index("unit")["selectivity"]
    assert table.to_numpy() == pytest.approx(made["table"].loc["text"].to_numpy())
    assert len(made["res"].regions) == 6
    assert len(commands) == 2


def test_the_table_of_data_sets_names_all_there_are():
    text = (ROOT / "docs" / "own_data.md").read_text(encoding="utf-8")
    table = re.search(r"^\| data set .*?(?=\n\n)", text, re.M | re.S)[0]
    rows = [row.split("|")[1] for row in table.splitlines()[2:]]
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == datasets.names()


def test_encoders_named_in_the_docs_can_be_built():
    for name in ("resnet18", "mobilenet_v2@0.5", "mobilenet_v2+gbvs"):
        encoder = models.build_encoder(name, None)
        asked = {
            "resnet18": ["layer2.1", "layer3.1", "layer4.1"],
            "mobilenet_v2@0.5": ["features.13@0.5"],
            "mobilenet_v2+gbvs": ["contrast"],
        }[name]
        assert set(asked) <= set(encoder.layers)


def test_the_examples_of_encoders_run():
    pytest.importorskip("timm", reason="timm, an optional extra, is not installed")
    text, *rest = blocks(ROOT / "docs" / "own_encoder.md", "python")
    space = {"sk": saliencykit}
    exec("\n".join([text.replace('"imagenet"', "None"), *rest]), space)  # nothing is downloaded
    assert space["enc"].layers == ["backbone.0"]
    assert set(space["found"].scores) == {"backbone.1", "backbone.3"}


def test_metrics_named_in_the_docs_are_all_there_are():
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| [^|]+ \| `(\w+)\(", text, re.M))
    assert named == set(metrics.names())


def test_the_examples_of_metrics_run():
    pytest.importorskip("torchmetrics", reason="torchmetrics, an optional extra, is not installed")
    maps = torch.rand(2, 480, 640)
    space = {"sk": saliencykit, "saliency": maps[0], "maps": maps}
    space |= {"looks_of_first": [[3, 4]], "looks_of_second": [[5, 6], [7, 8]]}
    space["batches"] = [(maps, [[[3, 4]], []])]
    exec("\n".join(blocks(ROOT / "docs" / "metrics.md", "python")), space)
    assert (int(space["validation"].images), int(space["validation"].left_out)) == (1, 1)


def test_data_sets_and_files_named_in_the_docs_exist():
    text = " ".join(path.read_text(encoding="utf-8") for path in DOCS)
    assert set(re.findall(r"saliencykit fetch (\w+)", text)) <= set(datasets.names())
    for name in re.findall(r"`((?:saliencykit|tests|notebooks|datasets)/[\w/.]+\.\w+)`", text):
        place = ROOT / ("saliencykit" if name.startswith("datasets/") else "") / name
        assert place.is_file(), name


def linked(page):
    """The pages that links lead to from a page, itself among them."""
    found, left = {page}, [page]
    while left:
        here = left.pop()
        told = re.findall(r"\]\(([\w./]+\.md)\b", here.read_text(encoding="utf-8"))
        new = {(here.parent / name).resolve() for name in told} - found
        found |= new
        left += new
    return found


def test_links_lead_from_the_readme_to_every_page():
    assert linked(ROOT / "README.md") >= {ROOT / "README.md", *DOCS}


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A folder with what docs/tracker.md takes for granted, and in it."""
    monkeypatch.chdir(tmp_path)
    for k in range(3):
        miniature.write_image(tmp_path / "photos" / f"{k}.jpg", (60, 80))
    rows = [(f"{k % 3}.jpg", k + 1, 50 - k, f"s{k % 2}") for k in range(30)]
    miniature.save_table(tmp_path / "fixations.csv", ("image", "x", "y", "observer"), rows)
    for who in ("s0", "s1"):
        own = [row[:3] for row in rows if row[3] == who]
        miniature.save_table(tmp_path / "people" / f"{who}.txt", ("image", "x", "y"), own)
    header = ("RECORDING_SESSION_LABEL", "image", "CURRENT_FIX_INDEX")
    header += ("CURRENT_FIX_X", "CURRENT_FIX_Y", "CURRENT_FIX_DURATION")
    rows = [
        (who, image, k // 6, 940 + x, 520 + y, 200 + k) for k, (image, x, y, who) in enumerate(rows)
    ]
    miniature.save_table(tmp_path / "report.txt", header, rows)


COMMANDS = [c for c in blocks(ROOT / "docs" / "tracker.md", "bash") if "saliencykit import" in c]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_that_import_a_table_do(recorded, command):
    _, *words = (each for word in shlex.split(command) for each in sorted(glob(word)) or [word])
    done = CliRunner().invoke(cli.app, words)
    assert done.exit_code == 0, done.output
    data = datasets.load("folder", "data/folder")
    assert len(data) == 3
    assert sum(len(data[i].fixations) for i in range(3)) == (24 if "--drop-first" in words else 30)


def test_the_function_that_imports_a_table_does(recorded):
    (source,) = blocks(ROOT / "docs" / "tracker.md", "python")
    exec(source, {})
    assert datasets.load("folder", "data/folder")[0].fixations.order.min() == 0


def test_the_examples_with_pysaliency_run(tmp_path, monkeypatch):
    pytest.importorskip("pysaliency", reason="the extra pysaliency is not installed")
    pytest.importorskip("h5py", reason="h5py, which pysaliency's files need, is not installed")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec("\n".join(blocks(ROOT / "docs" / "pysaliency.md", "python")), names)
    assert set(names["scores"]["model"]) == {"theirs", "ours"}
    assert names["scores"].groupby("model")["value"].count().tolist() == [4, 4]  # of two images
    assert names["nss"] == pytest.approx(
        names["scores"].query("model == 'ours' and metric == 'nss'")["value"].mul([3, 0, 2]).sum()
        / 5
    )


def test_commands_about_the_cache_work_one_after_the_other(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard", reason="tensorboard, an optional extra, is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "cache"))
    for kind in ("training", "dissection", "scores", "features", "stimuli"):
        cache.cached(kind, {"encoder": "vgg16"}, lambda: cache.Entry(meta={"n": 1}))
    text = (ROOT / "docs" / "cache.md").read_text(encoding="utf-8")
    commands = re.findall(r"^saliencykit (cache .*)$", text, re.M)
    known = {"list", "prune", "tensorboard", "export", "import"}
    assert {command.split()[1] for command in commands} == known
    for command in commands:
        done = CliRunner().invoke(cli.app, shlex.split(command))
        assert done.exit_code == 0, done.output
    assert "0 entries imported, 3 were there already" in done.output
