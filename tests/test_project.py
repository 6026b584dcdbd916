"""What the project tells and gives to those who join it: that it is true, and that it works."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from click.testing import CliRunner

import saliencykit
from saliencykit.paths import NOTEBOOKS, ROOT
from tests import test_house

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
CITATION = ROOT / "CITATION.cff"
TOLD = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
BADGES = [ROOT / "README.md", NOTEBOOKS / "README.md"]


def text(path):
    return path.read_text(encoding="utf-8")


def read(path):
    return yaml.safe_load(text(path))


def jobs():
    return [
        pytest.param(job, id=f"{path.stem}-{name}")
        for path in WORKFLOWS
        for name, job in read(path)["jobs"].items()
    ]


def targets(command):
    """The targets that a line of a shell makes."""
    words = shlex.split(command, comments=True)
    return [w for w in words[1:] if "=" not in w] if words[:1] == ["make"] else []


def make_knows(target):
    if not shutil.which("make"):
        pytest.skip("make is not here")
    asked = ["make", "--dry-run", target]
    return subprocess.run(asked, cwd=ROOT, capture_output=True).returncode == 0


def commit(name):
    """The subject of a commit; a skip in a folder that has no history."""
    asked = ["git", "show", "--no-patch", "--format=%s", name]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)
    shallow = ["git", "rev-parse", "--is-shallow-repository"]
    if subprocess.run(shallow, cwd=ROOT, capture_output=True, text=True).stdout != "false\n":
        pytest.skip("this is no clone with its whole history")
    return done.stdout.strip()


# Workflows


def test_make_knows_what_it_makes_and_nothing_else():
    assert make_knows("test-fast")
    assert not make_knows("no-such-target")


@pytest.mark.parametrize("job", jobs())
def test_jobs_run_what_there_is(job):
    assert job["timeout-minutes"] <= 90
    lines = [line for step in job["steps"] for line in step.get("run", "").splitlines()]
    assert lines
    for line in lines:
        made = targets(line)
        assert made or line.startswith("gh "), line
        assert all(map(make_knows, made)), line
    for action in (step["uses"] for step in job["steps"] if "uses" in step):
        assert re.fullmatch(r"actions/[\w-]+@v\d+", action)


def test_pythons_that_are_tried_are_those_that_are_promised():
    tried = read(ROOT / ".github/workflows/checks.yml")["jobs"]["tests"]["strategy"]["matrix"]
    assert f">={tried['python'][0]}" == PROJECT["requires-python"]
    assert tried["python"] == [f"3.{minor}" for minor in range(11, 11 + len(tried["python"]))]
    container = json.loads(text(ROOT / ".devcontainer" / "devcontainer.json"))
    assert container["image"].removeprefix("python:") in tried["python"]


def test_the_replication_table_is_an_artefact():
    steps = read(ROOT / ".github/workflows/nightly.yml")["jobs"]["figures"]["steps"]
    (kept,) = (step for step in steps if "upload-artifact" in step.get("uses", ""))
    assert kept["if"] == "always()"  # most of all where the comparison failed
    assert kept["with"]["path"] == "figures/toy/"  # where `checking.TALLIES` lies
    assert any(step.get("run") == "make figures ARGS=--check" for step in steps)


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", WORKFLOWS),
        ("vendor.github-issue-forms", FORMS),
        ("vendor.citation-file-format", [CITATION]),
    ],
    ids=["workflows", "issue forms", "citation"],
)
def test_files_are_as_their_readers_want_them(schema, files, tmp_path):
    reason = "check-jsonschema, of dev, is not installed"
    command = pytest.importorskip("check_jsonschema", reason=reason).main

    def check(*paths):
        words = ["--builtin-schema", schema, *map(str, paths)]
        return CliRunner().invoke(command, words)

    done = check(*files)
    assert done.exit_code == 0, done.output
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(yaml.safe_dump({**read(files[0]), "no_such_key": 1}))
    assert check(wrong).exit_code == 1


def test_hooks_run_what_there_is():
    (local,) = read(ROOT / ".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"
    for hook in local["hooks"]:
        program, *words = shlex.split(hook["entry"])
        assert program.startswith(".venv/bin/")
        assert (Path(sys.executable).parent / Path(program).name).exists()
        assert all((ROOT / word).is_file() for word in words if "/" in word)


def test_the_devcontainer_sets_up_what_make_does():
    container = json.loads(text(ROOT / ".devcontainer" / "devcontainer.json"))
    (target,) = targets(container["postCreateCommand"])
    assert make_knows(target)
    settings = container["customizations"]["vscode"]["settings"]
    assert settings["python.defaultInterpreterPath"].endswith(f"/{Path(target).parent}/bin/python")


def test_what_conda_leaves_to_pip_is_what_pip_reads_from_a_file():
    *_, left = read(ROOT / "environment.yml")["dependencies"]
    assert left == {"pip": ["--editable ."]}  # Binder looks for the dot, too


# Versions, citation, address


def test_everybody_says_the_same_version():
    assert PROJECT["version"] == saliencykit.__version__
    assert read(CITATION)["version"] == PROJECT["version"]
    assert read(CITATION)["license"] == PROJECT["license"]


def test_the_paper_is_what_is_cited():
    cited = read(CITATION)
    paper = cited["preferred-citation"]
    assert paper in cited["references"]
    assert {"value": "arXiv:1903.02501", "type": "other"} in paper["identifiers"]
    assert "1903.02501" in text(ROOT / "README.md")
    assert paper["authors"][0]["family-names"] == "He"


def links(host):
    """Where a page's badges lead: (owner/name, notebook)."""
    forms = {
        "binder": r"https://mybinder\.org/v2/gh/([^/]+/[^/]+)/main\?labpath=notebooks%2F([^)\s]+)",
        "colab": r"https://colab\.research\.google\.com/github/([^/]+/[^/]+)/blob/main/notebooks/"
        r"([^)\s]+)",
    }
    return [found for page in BADGES for found in re.findall(forms[host], text(page))]


@pytest.mark.parametrize("host", ["binder", "colab"])
def test_badges_open_09_and_02_of_this_repository(host):
    found = links(host)
    assert {unquote(name)[:2] for _, name in found} >= {"02", "09"}
    assert all((NOTEBOOKS / unquote(name)).is_file() for _, name in found)
    address = PROJECT["urls"]["Repository"].removeprefix("https://github.com/")
    assert {repository for repository, _ in found} == {address}


def test_no_other_address_is_told():
    address = PROJECT["urls"]["Repository"]
    owner = address.split("/")[-2]
    assert owner.isupper() == (
        "_" in owner
    )  # a placeholder is nobody's: GitHub allows no such name
    for page in [*TOLD, *BADGES, *FORMS]:
        for found in re.findall(r"github\.com/([\w-]+)/saliencykit", text(page)):
            assert found == owner, page


# CONTRIBUTING and CHANGELOG


def test_commits_that_are_examples_are_in_the_history():
    rows = re.findall(r"^\| an? ([\w ]+) \| `(\w+)` ([^|]+) \|", text(TOLD[1]), re.M)
    assert {what for what, _, _ in rows} == {
        "data set",
        "encoder",
        "metric",
        "classical model",
        "analysis",
    }
    for _, name, subject in rows:
        assert commit(name) == subject


def test_files_and_rules_that_are_named_are_there():
    page = text(TOLD[1])
    names = re.findall(r"[`(]((?:saliencykit|tests|docs|notebooks)/[\w./]+\.\w+)[`)]", page)
    assert len(names) > 12
    assert [name for name in names if not (ROOT / name).is_file()] == []
    rules = re.findall(r"`(test_\w+)`", page)
    assert len(rules) == 6
    assert all(hasattr(test_house, rule) for rule in rules)
    for name in re.findall(r"`(\w+\.yml)`", page):
        assert list(ROOT.glob(name)) or list((ROOT / ".github/workflows").glob(name))


def test_the_changelog_has_the_form_that_it_names():
    page = text(TOLD[2])
    first, *editions = re.findall(r"^## (.*)$", page, re.M)
    assert first == "[Unreleased]"
    named = [
        re.fullmatch(r"\[Edition (\d)\] - (\d{4}-\d\d-\d\d) \(`(\w+)`\): .+", one)
        for one in editions
    ]
    assert [int(one[1]) for one in named] == list(range(len(named), 0, -1))
    days = [one[2] for one in named]
    assert days == sorted(days, reverse=True)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", page, re.M)) <= kinds
    assert all(map(commit, (one[3] for one in named)))
    assert all((ROOT / path).is_file() for path in re.findall(r"\]\(((?!https?:)[^)]+)\)", page))
