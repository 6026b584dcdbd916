"""The tab key: names that exist, offered where they are asked for."""

import os
import shutil
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from saliencykit import cli, datasets, models
from saliencykit.cli import completing
from saliencykit.paths import NOTEBOOKS
from saliencykit.settings import DEFAULTS, profile_names


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path))


@pytest.mark.parametrize(
    ("complete", "names"),
    [
        (completing.profile, profile_names),
        (completing.notebook, lambda: sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))),
        (completing.setting, lambda: list(DEFAULTS)),
        (completing.data, datasets.names),
        (completing.split, lambda: ["train", "val", "test", "all"]),
        (completing.encoder, models.encoder_names),
        (completing.model, models.classical.names),
    ],
)
def test_all_names_and_then_those_that_begin_so(complete, names):
    assert complete("") == names()
    last = names()[-1]
    assert last in complete(last[:3])
    assert all(name.startswith(last[:3]) for name in complete(last[:3]))
    assert complete("no such name") == []


def test_timm_is_asked_only_once_its_prefix_is_typed(monkeypatch):
    def absent():
        raise ImportError("timm is not installed")

    monkeypatch.setattr(models.from_timm, "_timm", absent)
    assert "vgg16" in completing.encoder("vgg")
    assert completing.encoder("timm:res") == []


def test_networks_of_timm():
    pytest.importorskip("timm", reason="timm, an optional extra, is not installed")
    found = completing.encoder("timm:test_vit")
    assert "timm:test_vit3" in found
    assert all(name.startswith("timm:test_vit") for name in found)


def completions(*words):
    """What bash would be offered for the last word."""
    environment = os.environ | {
        "_SALIENCYKIT_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["saliencykit", *words]),
        "COMP_CWORD": str(len(words)),
    }
    code = "import sys; from saliencykit.cli import app; app(prog_name='saliencykit')"
    tail = "; print([m for m in ('torch', 'pandas') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"try:\n  {code}\nfinally:\n  import sys{tail}"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    *found, heavy = done.stdout.split("\n")[:-1]
    return found, heavy


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("figures", "--profile", "osie"), ["osie", "osie_mobilenet"]),
        (("explore", "--profile", "smo"), ["smoke"]),
        (("figures", "07"), ["07_causal_units"]),
        (("figures", "-p", "ep"), ["epochs"]),
        (("dissect", "--split", "t"), ["train", "test"]),
    ],
)
def test_the_shell_is_answered_at_once(words, found):
    assert completions(*words) == (found, "[]")  # neither torch nor pandas


@pytest.mark.parametrize(
    ("command", "parameter", "complete"),
    [
        ("dissect", "data", completing.data),
        ("dissect", "encoder", completing.encoder),
        ("evaluate", "data", completing.data),
        ("datasets", "name", completing.data),
        ("fetch", "name", completing.data),
        ("predict", "model", completing.model),
    ],
)
def test_names_are_completed_where_they_are_asked_for(command, parameter, complete):
    asked = {p.name: p for p in typer.main.get_command(cli.app).commands[command].params}
    assert [one.value for one in asked[parameter].shell_complete(None, "")] == complete("")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_shown(shell, monkeypatch):
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    done = CliRunner().invoke(cli.app, ["--show-completion", shell], prog_name="saliencykit")
    assert done.exit_code == 0, done.output
    assert f"_SALIENCYKIT_COMPLETE=complete_{shell}" in done.output


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not here")
def test_bash_completes_once_it_is_installed(tmp_path, monkeypatch):
    """The file that --install-completion leaves, in a bash of its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    done = CliRunner().invoke(cli.app, ["--install-completion", "bash"], prog_name="saliencykit")
    assert done.exit_code == 0, done.output
    program = tmp_path / "saliencykit"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m saliencykit "$@"\n')
    program.chmod(0o755)
    typed = (
        f'source "{tmp_path}/.bash_completions/saliencykit.sh"; PATH="{tmp_path}:$PATH"; '
        "COMP_WORDS=(saliencykit figures --profile smo); COMP_CWORD=3; "
        '_saliencykit_completion saliencykit; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", typed], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["smoke"]
