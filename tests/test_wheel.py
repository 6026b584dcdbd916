"""The wheel, away from a checkout: where its commands write, and what they say without extras.

Built without a network, unpacked, and put before everything else that Python imports from.
"""

import compileall
import json
import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image

from saliencykit.paths import NOTEBOOKS, REFERENCE, ROOT
from tests.test_serving import started

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The folder that the wheel was unpacked into, compiled, and where nobody may write."""
    built, place = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("site-packages")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(built.glob("*.whl"))) as archive:
        archive.extractall(place)
    compileall.compile_dir(place, quiet=2, force=True)  # as whoever installs it does
    for path in [*place.rglob("*"), place]:
        path.chmod(path.stat().st_mode & ~0o222)
    return place


@pytest.fixture
def here(tmp_path):
    """An empty folder to work in."""
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def environment(wheel, tmp_path, **more):
    """That of a user who has set nothing, but that no bytecode is written (root may, anywhere)."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("SALIENCYKIT_")}
    kept = {"SALIENCYKIT_CACHE": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    return {**own, **kept, "PYTHONPATH": str(wheel), **more}


def saliencykit(*words):
    return [sys.executable, "-P", "-m", "saliencykit", *words]


def contents(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_the_wheel_ships_notebooks_profiles_and_the_reference_s_tables(wheel):
    inside = wheel / "saliencykit"
    for folder, there in ((NOTEBOOKS, "notebooks"), (REFERENCE, "reference")):
        files = [p for end in ("ipynb", "yaml", "csv", "json") for p in folder.rglob(f"*.{end}")]
        expected = {p.relative_to(folder) for p in files if p.parent.name != ".ipynb_checkpoints"}
        assert expected
        shipped = {p.relative_to(inside / there) for p in (inside / there).rglob("*.*")}
        assert shipped == expected
    assert {path.name.partition("-")[0] for path in wheel.iterdir()} == {"saliencykit"}


def test_commands_write_into_the_current_folder_and_nowhere_beside_the_package(
    wheel, here, tmp_path
):
    own, before = environment(wheel, tmp_path), contents(wheel)
    Image.fromarray(np.tile(np.arange(96, dtype=np.uint8), (64, 1))).save(here / "photo.png")
    predict = saliencykit("predict", "photo.png", "--model", "image_signature", "--out", "maps")
    figures = saliencykit("figures", "00", "--profile", "smoke", "-p", "images", "16")
    told = [
        subprocess.run(command, cwd=here, env=own, capture_output=True, text=True)
        for command in (predict, figures)
    ]
    assert [done.returncode for done in told] == [0, 0], [done.stderr for done in told]
    assert sorted(p.name for p in here.iterdir()) == ["figures", "maps", "photo.png"]
    assert sorted(p.name for p in (here / "maps").iterdir()) == ["photo.npy", "photo.png"]
    drawn = here / "figures" / "smoke"
    assert (drawn / "00_attraction.csv").exists()
    page = (drawn / "index.html").read_text(encoding="utf-8")
    assert "saliencykit figures --profile smoke" in page
    assert "make figures" not in page
    assert str(drawn / "index.html") in told[1].stdout
    assert contents(wheel) == before


def test_the_explorer_starts_in_an_empty_folder(wheel, here, tmp_path):
    own, before = environment(wheel, tmp_path), contents(wheel)
    call = saliencykit("explore", "--profile", "smoke", "--port", "0", "--no-browser")
    with started(call, here, own, tmp_path / "log.txt") as found:
        assert found.get("voila/static/voila.js").status_code == 200
    assert list(here.iterdir()) == []
    assert contents(wheel) == before


def test_the_reference_that_ships_is_compared_with_and_never_renewed(wheel, here, tmp_path):
    own = environment(wheel, tmp_path)
    for words, told in (
        (["--check", "--profile", "smoke"], "none of 'smoke' ships"),
        (["--keep", "--profile", "toy"], "ask it of a checkout"),
    ):
        done = subprocess.run(
            saliencykit("figures", "00", *words), cwd=here, env=own, capture_output=True, text=True
        )
        assert done.returncode == 2
        assert told in done.stderr
    assert list(here.iterdir()) == []


# Without the extras


def brought(*requirements):
    """Names of the distributions that requirements bring, as they are installed here."""
    found, waiting = set(), [(Requirement(text), "") for text in requirements]
    while waiting:
        one, _ = waiting.pop()
        for extra in ("", *one.extras):
            if (one.name, extra) in found:
                continue
            found.add((one.name, extra))
            inner = map(Requirement, distribution(one.name).requires or ())
            waiting += [
                (r, extra) for r in inner if not r.marker or r.marker.evaluate({"extra": extra})
            ]
    return {name for name, _ in found}


def only(names, place):
    """Make a folder that holds what these distributions installed, and nothing else."""
    place.mkdir()
    for name in names:
        for file in distribution(name).files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (place / top).exists():
                (place / top).symlink_to(Path(distribution(name).locate_file(top)))
    return place


def requirements(wheel, extras):
    """What the wheel's own metadata says that it needs."""
    (metadata,) = wheel.glob("*.dist-info/METADATA")
    text = metadata.read_text(encoding="utf-8").partition("\n\n")[0]
    named = [Requirement(one) for one in re.findall(r"^Requires-Dist: (.*)$", text, re.M)]
    chosen = [
        r for r in named if not r.marker or any(r.marker.evaluate({"extra": e}) for e in extras)
    ]
    inner = sorted({e for r in chosen if r.name == "saliencykit" for e in r.extras})
    own = [
        f"{r.name}[{','.join(r.extras)}]" if r.extras else r.name
        for r in chosen
        if r.name != "saliencykit"
    ]
    return own + (requirements(wheel, inner) if inner else [])


MODELS = ("predict x --out m", "dissect --out u.csv", "evaluate --maps m --data osie", "datasets")
MODELS += ("models", "fetch osie", "teach --out t", "sweep g.yaml", "cache list")
MODELS += ("import t.csv --images i --out o --screen 9x9",)
LACKS = r'{} needs \w+, which is not installed: pip install "saliencykit\[{}\]"\.'
ASK = """
import json, sys
from contextlib import redirect_stderr
from io import StringIO
from saliencykit.cli import app
found = {}
for command in json.loads(sys.argv[1]):
    with redirect_stderr(StringIO()) as told:
        try:
            app(command.split())
        except SystemExit as end:
            found[command] = [end.code, told.getvalue()]
print("\\n" + json.dumps(found))
"""
NSS = """
import sys
import saliencykit as sk
print(float(sk.metrics.nss([[0, 0, 0], [0, 0, 4]], [[0, 0, 0], [0, 0, 1]])))
try:
    sk.models
except ImportError as error:
    print(error)
print([name for name in ("pandas", "torchvision", "matplotlib") if name in sys.modules])
"""


def python(wheel, tmp_path, extras, code, *args):
    """Run code where nothing can be imported but the wheel and what it brings with `extras`."""
    installed = only(brought(*requirements(wheel, extras)), tmp_path / "installed")
    own = environment(wheel, tmp_path, PYTHONPATH=os.pathsep.join([str(wheel), str(installed)]))
    command = [sys.executable, "-S", "-P", "-c", code, *args]
    done = subprocess.run(command, cwd=tmp_path, env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_metrics_need_nothing_but_the_kit_s_own_dependencies(wheel, tmp_path):
    nss, lacks, imported = python(wheel, tmp_path, [], NSS)
    assert float(nss) == pytest.approx(5**0.5)
    assert re.fullmatch(LACKS.format(r"saliencykit\.models", "models"), lacks)
    assert imported == "[]"


@pytest.mark.parametrize(
    ("extras", "lack"),
    [
        ([], {**dict.fromkeys(MODELS, "models"), "figures": "notebooks", "explore": "explorer"}),
        (["models"], {"figures 00": "notebooks", "explore": "explorer"}),
        (["notebooks"], {"explore": "explorer"}),
    ],
    ids=["alone", "models", "notebooks"],
)
def test_a_command_says_in_one_sentence_which_extra_it_lacks(wheel, tmp_path, extras, lack):
    found = json.loads(python(wheel, tmp_path, extras, ASK, json.dumps(list(lack)))[-1])
    for command, extra in lack.items():
        status, told = found[command]
        assert status == 2
        name = command.split()[0]
        sentence = LACKS.format(f"`saliencykit {name}`", extra)
        assert re.fullmatch(f"Error: {sentence}\n", told), (command, told)
