import re
import subprocess
import sys
import types
from pathlib import Path

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import saliencykit
from saliencykit import cli, settings
from saliencykit.dissection import dissect
from saliencykit.paths import NOTEBOOKS
from saliencykit.running import runner
from tests import miniature
from tests.conftest import Blobs
from tests.small_notebooks import write_profile
from tests.test_dissection import Pools

COMMANDS = (
    "figures",
    "profiles",
    "datasets",
    "fetch",
    "dissect",
    "predict",
    "models",
    "evaluate",
    "import",
    "sweep",
)


def call(*args):
    return CliRunner().invoke(cli.app, [str(a) for a in args])


@pytest.fixture
def asked(monkeypatch):
    """What `figures` asks of the runner, which here runs nothing."""
    calls = {}

    def run(names, profile, overrides, jobs, check, keep, paper, style, say):
        comparison = calls.pop("comparison", None)
        calls.update(names=list(names), profile=profile, overrides=overrides, jobs=jobs)
        calls.update(check=check, keep=keep, paper=paper, style=style)
        return [], comparison

    monkeypatch.setattr(runner, "run", run)
    return calls


def test_help_comes_without_torch_or_jupyter():
    code = (
        "import sys; from typer.testing import CliRunner; from saliencykit.cli import app; "
        "out = CliRunner().invoke(app, ['--help']); assert out.exit_code == 0, out.output; "
        "print([m for m in ('torch', 'pandas', 'papermill', 'nbformat') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_teaches_by_example(command):
    text = call(command, "--help").output
    assert f"\n    saliencykit {command}" in text or f" saliencykit {command}\n" in text
    assert command in call("--help").output


def test_version():
    assert call("--version").output.strip() == saliencykit.__version__


def test_figures_passes_on_what_was_asked(asked):
    done = call(
        *("figures", "02", "-p", "layers", "[a, b]", "03", "--profile", "osie"),
        *("-p", "seed", "-1", "-p", "weights=a=b", "--jobs", "3", "--check"),
    )
    assert done.exit_code == 0, done.output
    assert asked == {
        "names": ["02", "03"],
        "profile": "osie",
        "overrides": {"layers": "[a, b]", "seed": "-1", "weights": "a=b"},
        "jobs": 3,
        "check": True,
        "keep": False,
        "paper": False,
        "style": None,
    }


def test_figures_by_default_runs_all_of_toy(asked):
    assert call("figures").exit_code == 0
    assert asked["names"] == []
    assert asked["profile"] == "toy"
    assert asked["jobs"] == runner.JOBS
    assert not asked["check"]
    assert not asked["keep"]
    call("figures", "--keep", "--for-paper", "--style", "mine.mplstyle")
    assert asked["keep"]
    assert asked["paper"]
    assert asked["style"] == Path("mine.mplstyle")


def test_a_parameter_without_a_value_is_explained(asked):
    done = call("figures", "-p", "seed")
    assert done.exit_code == 2
    assert "-p seed 1" in done.stderr
    assert asked == {}


@pytest.mark.parametrize("faults", [[], ["2 of what must be equal is not"]])
def test_a_comparison_is_shown_and_faults_are_status_1(asked, faults):
    asked["comparison"] = types.SimpleNamespace(faults=faults, report=lambda: "tallies")
    done = call("figures", "--check")
    assert done.exit_code == bool(faults)
    assert "tallies" in done.stdout
    assert done.stderr.startswith("This is not what the reference says: 2 of") == bool(faults)
    assert ("This is what the reference says." in done.stdout) != bool(faults)


def test_a_failed_notebook_is_shown_with_status_1(monkeypatch):
    def run(*args, **kwargs):
        raise runner.NotebookFailedError("02_a, cell 3 failed")

    monkeypatch.setattr(runner, "run", run)
    done = call("figures")
    assert done.exit_code == 1
    assert "02_a, cell 3 failed" in done.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("figures", "--profile", "tou"), "profile 'tou'. Did you mean 'toy'"),
        (("figures", "--jobs", "0"), "--jobs must be 1 or more"),
        (("figures", "--keep", "--check"), "give one of them"),
        (("figures", "--keep", "-p", "k", "3"), "leave -p out"),
        (("figures", "-p", "epoch", "3"), "'epoch'. Did you mean 'epochs'"),
        (("fetch", "oise"), "data set 'oise'. Did you mean 'osie'"),
        (("dissect", "--out", "x.csv", "--encoder", "vgg61"), "encoder 'vgg61'. Did you mean"),
        (("dissect", "--out", "/nowhere/x.csv"), "/nowhere"),
    ],
)
def test_what_a_user_got_wrong_is_one_line_with_status_2(args, message):
    done = call(*args)
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "fault",
    [
        lambda: torch.zeros(2).view(3),  # RuntimeError
        lambda: pd.DataFrame({"a": [1, 2, 3]}, index=[1, 2]),  # another library's ValueError
        lambda: None,  # ours: `run` should have returned two things
    ],
)
def test_a_fault_that_is_not_the_users_keeps_its_traceback(monkeypatch, fault):
    monkeypatch.setattr(runner, "run", lambda *args, **kwargs: fault())
    assert not isinstance(call("figures").exception, SystemExit)


def test_a_profile_s_settings_are_told_with_what_they_mean():
    lines = call("profiles", "planted").output.splitlines()
    assert lines[0].split()[:3] == ["setting", "value", "set"]
    told = {line.split()[0]: " ".join(line.split()[1:]) for line in lines[1:]}
    assert set(told) >= set(settings.DEFAULTS)
    assert told["encoder"] == "squeezenet1_1 profile or any torchvision classifier"
    assert told["epochs"] == "8 default of fine-tuning"
    assert told["size"].startswith("[300, 400] profile")
    assert told["train_data"].startswith("null default")
    assert told["unit_layer"].startswith('"" default')
    own = call("profiles", "toy").output
    assert re.search(r"rows +\[toy, toy read=\[conv5_3\]\] +profile +asked by a notebook", own)
    wrong = call("profiles", "plantd")
    assert wrong.exit_code == 2
    assert "'planted'" in wrong.output


def test_profiles_are_listed_with_what_they_are():
    rows, _, where = call("profiles").output.partition("\n\n")
    listed = {line.split()[0]: line.split(maxsplit=1)[1] for line in rows.splitlines()}
    assert {"smoke", "toy", "osie", "paper"} <= set(listed)
    assert "toyworld" in listed["toy"]
    assert where.startswith(f"In {NOTEBOOKS / 'profiles'}: crowd, folder, osie")


def test_a_profile_that_cannot_be_read_is_listed_beside_the_others(monkeypatch, tmp_path):
    write_profile(tmp_path, "good", "# Fine")
    write_profile(tmp_path, "bad", "epochs: [1")
    (tmp_path / "profiles" / "latin.yaml").write_bytes("# caf\xe9".encode("latin-1"))
    monkeypatch.setattr(settings.profile_files, "__defaults__", (tmp_path,))
    monkeypatch.setattr(settings.read_profile, "__defaults__", (tmp_path,))
    done = call("profiles")
    assert done.exit_code == 0
    rows, _, where = done.output.partition("\n\n")
    _, bad, good, latin = (line.split(maxsplit=1) for line in rows.splitlines())
    assert where == f"In {tmp_path / 'profiles'}: bad, good, latin\n"
    assert good == ["good", "Fine"]
    assert bad[0] == "bad"
    assert "cannot be used" in bad[1]
    assert "not valid YAML" in bad[1]
    assert "not UTF-8" in latin[1]


def test_data_sets_are_listed_whatever_is_wrong_with_one(monkeypatch, tmp_path):
    from saliencykit import datasets

    def load(name):
        if name == "missing":
            raise FileNotFoundError("get it there. And put it here")
        if name == "damaged":
            raise RuntimeError("a bad file")
        return range(7)

    monkeypatch.setenv("SALIENCYKIT_DATA", str(tmp_path))
    (tmp_path / "present").mkdir()
    monkeypatch.setattr(datasets, "names", lambda: ["damaged", "drawn", "missing", "present"])
    monkeypatch.setattr(datasets, "load", load)
    done = call("datasets")
    assert done.exit_code == 0, done.output
    *lines, advice = done.output.splitlines()[1:]
    assert "saliencykit fetch NAME" in advice
    rows = [line.split(maxsplit=2) for line in lines]
    assert rows == [
        ["damaged", "broken", "MIT licence  a bad file"],
        ["drawn", "yes", "7       MIT licence  drawn by code"],
        ["missing", "no", "MIT licence  get it there"],
        ["present", "yes", f"7       MIT licence  {tmp_path / 'present'}"],
    ]


def test_every_registered_data_set_is_listed(monkeypatch, tmp_path):
    from saliencykit import datasets

    monkeypatch.setenv("SALIENCYKIT_DATA", str(tmp_path))
    done = call("datasets")
    assert done.exit_code == 0, done.output
    listed = [line.split()[0] for line in done.output.splitlines()[1:-1]]
    assert listed == datasets.names()


def test_all_about_one_data_set(monkeypatch, tmp_path):
    monkeypatch.setenv("SALIENCYKIT_DATA", str(tmp_path))
    miniature.write_crowd(tmp_path / "crowd", n=3, size=(48, 64))
    miniature.write_mit1003(tmp_path / "mit1003", n=2)
    told = {name: call("datasets", name) for name in ("crowd", "mit1003", "popout", "osie")}
    for name, done in told.items():
        assert done.exit_code == 0, done.output
        assert re.search(rf"^data set +{name}$", done.output, re.M)
    for line in (
        r"page +https://github\.com/NUS-VIP/saliency-in-crowd",
        r"licence +MIT licence",
        r"citation +Jiang, Xu, Zhao: Saliency in crowd\. ECCV 2014",
        rf"here +{tmp_path / 'crowd'}",
        r"images +3: 3 train, 0 val, 0 test, a split of ours",
        r"size +64×48",
        r"fixations +96 an image",
        r"observers +16 an image",
        r"also known +order, duration",
        r"regions +person_head; 4 an image",
        r"scenes +none",
    ):
        assert re.search(f"^{line}$", told["crowd"].output, re.M), line
    assert re.search(r"^observers +not told apart$", told["mit1003"].output, re.M)
    assert re.search(r"^also known +neither order nor duration$", told["mit1003"].output, re.M)
    assert re.search(r"^page +drawn by this package$", told["popout"].output, re.M)
    assert re.search(r"^images +720: 0 train, 0 val, 720 test, the", told["popout"].output, re.M)
    assert re.search(r"^here +no: .*saliencykit fetch osie", told["osie"].output, re.M)
    wrong = call("datasets", "mit103")
    assert wrong.exit_code == 2
    assert "Did you mean 'mit1003'" in wrong.output


@pytest.fixture
def small(monkeypatch, tmp_path, blobs):
    """A data set of a few images, a network of averages, and which networks are asked for."""
    from saliencykit import datasets, models

    asked = []

    def build_encoder(name, weights):
        asked.append((name, weights))
        return Pools()

    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets, "load", lambda name: blobs)
    monkeypatch.setattr(models, "build_encoder", build_encoder)
    return asked


def test_dissect_writes_one_row_for_each_layer_unit_and_category(small, tmp_path, blobs):
    out = tmp_path / "units.csv"
    done = call("dissect", "--out", out, "--layers", "coarse", "--weights", "none")
    assert done.exit_code == 0, done.output
    assert small[-1] == ("toyvgg", None)
    assert "1 of 1 batches of images are not in" in done.stderr
    table = pd.read_csv(out)
    assert list(table) == ["layer", "unit", "category", "selectivity"]
    assert len(table) == 4 * 2
    assert set(table.layer) == {"coarse"}
    wanted = dissect(Pools(), blobs, progress=False).selectivity("coarse")
    found = table.pivot(index="category", columns="unit", values="selectivity")
    assert found.to_numpy() == pytest.approx(wanted.to_numpy())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cache", "units.csv"]


def test_dissect_of_all_images_with_the_usual_weights(small, tmp_path):
    done = call("dissect", "--out", tmp_path / "a.csv", "--encoder", "vgg16", "--split", "all")
    assert small == [("vgg16", "default")]
    assert "a.csv: 16 rows, 2 layers" in done.output


def test_dissect_in_shards_writes_the_same_file(small, tmp_path, monkeypatch):
    """Its last digits too, whoever computed what."""
    from saliencykit import datasets

    monkeypatch.setattr(datasets, "load", lambda name: Blobs(40))
    out, whole = tmp_path / "units.csv", tmp_path / "whole.csv"
    assert call("dissect", "--out", whole).exit_code == 0
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "other"))
    for shard, images in ("3/3", 8), ("1/3", 16), ("7/40", 0), ("1/3", 16):
        done = call("dissect", "--shard", shard)
        assert done.exit_code == 0, done.output
        assert f"Shard {shard}: {images} of 40 images are in {tmp_path / 'other'}" in done.output
    done = call("dissect", "--shard", "1/2", "--out", out)  # the same line with a shard
    assert done.exit_code == 0, done.output
    assert not out.exists()
    done = call("dissect", "--out", out)
    assert "1 of 3 batches of images are not in" in done.stderr
    assert out.read_bytes() == whole.read_bytes()
    assert "not in" not in call("dissect", "--out", out).stderr


@pytest.mark.parametrize(
    ("shard", "says"),
    [
        ("2", "--shard '2' is not I/N, such as 2/4"),
        ("2/4/1", "--shard '2/4/1' is not I/N"),
        ("-1/4", "--shard '-1/4' is not I/N"),
        ("a/b", "--shard 'a/b' is not I/N"),
        ("0/4", "no shard 0/4: of 4 there are 1/4 to 4/4"),
        ("5/4", "no shard 5/4: of 4 there are 1/4 to 4/4"),
        ("1/0", "no shard 1/0: there is at least one"),
        ("1/13", "no shard 1/13 of <blobs: 12 images>: nothing is divided into more shards"),
    ],
)
def test_dissect_explains_shards_that_there_are_not(small, tmp_path, shard, says):
    done = call("dissect", "--shard", shard)
    assert (done.exit_code, done.stdout) == (2, "")
    assert says in done.stderr
    assert small == []  # said before an encoder is taught


def test_dissect_wants_a_file_or_a_shard(small):
    done = call("dissect")
    assert done.exit_code == 2
    assert "Name a CSV to write, --out units.csv; only a --shard goes without" in done.stderr


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--layers", "coarsest", "layer of toyvgg 'coarsest'. Did you mean 'coarse'"),
        ("--split", "tests", "split 'tests'. Did you mean 'test'"),
    ],
)
def test_dissect_explains_a_wrong_name(small, tmp_path, option, value, message):
    done = call("dissect", "--out", tmp_path / "a.csv", option, value)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not (tmp_path / "a.csv").exists()
