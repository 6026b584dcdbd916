"""What an editor knows of the package: its rooms, what is in them, and what a call returns."""

import ast
import json
import subprocess
import sys

import pytest

import saliencykit as sk
from saliencykit.paths import PACKAGE, ROOT


def test_an_editor_sees_what_can_be_named():
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    for_editors = (n for n in tree.body if ast.unparse(getattr(n, "test", n)) == "TYPE_CHECKING")
    (told,) = for_editors
    rooms, *things = [(n.module, [a.name for a in n.names]) for n in told.body]
    assert rooms == (None, list(sk.ROOMS))
    assert {name: room for room, names in things for name in names} == sk.THINGS


def test_rooms_and_things_come_when_named():
    script = "import sys, saliencykit; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False"]
    assert sk.Study is sk.study.Study
    assert {*sk.ROOMS, *sk.THINGS} <= set(dir(sk))
    with pytest.raises(AttributeError, match=r"no attribute 'dataset'; it has analyses, datasets"):
        sk.dataset  # noqa: B018


def test_the_wheel_says_that_it_is_typed():
    assert (PACKAGE / "py.typed").is_file()


@pytest.mark.slow
def test_pyright_knows_what_a_call_returns(tmp_path):
    """Types reach the user: a name spelt wrong and a number in place of a name are found."""
    pytest.importorskip("pyright")
    (tmp_path / "user.py").write_text(
        "import saliencykit as sk\n"
        'known: int = len(sk.datasets.load("toyworld").categories)\n'
        "study: type[sk.Study] = sk.Study\n"
        "sk.datasets.load(3)\n"
        'sk.datasets.load("toyworld").categorys\n'
        "sk.dataset\n"
    )
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(ROOT)]}))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    run = subprocess.run(
        [*command, "-p", str(tmp_path)], capture_output=True, text=True, cwd=tmp_path
    )
    found = json.loads(run.stdout)["generalDiagnostics"]
    errors = {d["range"]["start"]["line"] + 1: d["rule"] for d in found if d["severity"] == "error"}
    assert errors == {
        4: "reportArgumentType",
        5: "reportAttributeAccessIssue",
        6: "reportAttributeAccessIssue",
    }
