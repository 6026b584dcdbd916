"""The house: imports point down, environment and project agree, nothing is too long."""

import ast
import re
import tomllib

import pytest
import yaml

from saliencykit.paths import NOTEBOOKS, PACKAGE, ROOT

# Each room, or file on top, may import those after it.
ORDER = [
    "cli",
    "analyses",
    "sweeps",
    "running",
    "worlds",
    "findings",
    "study",
    "viewing",
    "evaluation",
    "dissection",
    "models",
    "datasets",
    "metrics",
    "intervals",
    "holdings",
    "reading",
    "cache",
    "settings",
    "sources",
    "registry",
    "paths",
]


def imported_rooms(path):
    """Rooms that a file of the package imports, by relative or absolute name."""
    place = path.relative_to(PACKAGE.parent).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = list(place[: -node.level]) if node.level else []
            base += (node.module or "").split(".") if node.module else []
            names = [base, *([*base, a.name] for a in node.names)]
        elif isinstance(node, ast.Import):
            names = [a.name.split(".") for a in node.names]
        else:
            continue
        yield from (n[1] for n in names if n[:1] == ["saliencykit"] and n[1:] and n[1] in ORDER)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.stem)
def test_imports_point_downward(path):
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    if room in ("__init__", "__main__"):
        return
    allowed = ORDER[ORDER.index(room) :]
    assert set(imported_rooms(path)) <= set(allowed)


@pytest.mark.parametrize("path", sorted((PACKAGE / "analyses").rglob("*.py")), ids=str)
def test_no_analysis_imports_another(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"^\s*from \.\.\w", text, re.M)
    assert not re.search(r"^\s*(from|import) saliencykit", text, re.M)


def test_analyses_are_named_as_notebooks():
    notebooks = [path.stem.partition("_")[2] for path in NOTEBOOKS.glob("*.ipynb")]
    folders = [path.name for path in (PACKAGE / "analyses").iterdir() if path.is_dir()]
    assert sorted(notebooks) == sorted(f for f in folders if not f.startswith("__"))
    allowed = {"__init__", "tables", "figures", "sentences", "browser", "page"}
    assert {path.stem for path in (PACKAGE / "analyses").glob("*/*.py")} <= allowed


def test_the_check_of_imports_can_fail(tmp_path):
    path = PACKAGE / "metrics" / "nss_of_tomorrow.py"  # never written
    tree = "from ..models import train\nimport saliencykit.viewing.style\n"
    fake = tmp_path / "fake.py"
    fake.write_text(tree)

    class Pretend(type(path)):
        def read_text(self, encoding=None):
            return tree

    assert set(imported_rooms(Pretend(path))) == {"models", "viewing"}


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = ("explorer", "dev")
"""Extras that environment.yml holds: all that a clone's notebooks, page and tests need."""


def bounds(requirement):
    name, bound = re.fullmatch(r"([\w-]+)(?:\[\w+\])?(.*)", requirement).groups()
    return {"pytorch": "torch", "python-xxhash": "xxhash"}.get(name, name.lower()), bound


def required(*extras):
    """What the project depends on, with these extras and those that they name."""
    named = [one for e in extras for one in PROJECT["optional-dependencies"][e]]
    own = [re.fullmatch(r"saliencykit\[([\w,]+)\]", one) for one in named]
    inner = required(*[e for one in own if one for e in one[1].split(",")]) if any(own) else []
    others = [one for one in named if not one.startswith("saliencykit[")]
    return list(dict.fromkeys([*PROJECT["dependencies"], *inner, *others]))


def test_environment_yml_equals_pyproject():
    ours = [*required(*CONDA), f"python{PROJECT['requires-python']}"]
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    theirs = [entry for entry in conda if isinstance(entry, str) and entry != "pip"]
    assert dict(map(bounds, theirs)) == dict(map(bounds, ours))


def test_lock_pins_every_dependency_and_names_no_index():
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    pinned = {line.split("==")[0] for line in lock.splitlines() if "==" in line}
    assert {bounds(d)[0] for d in required(*PROJECT["optional-dependencies"])} <= pinned


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda p: p.stem)
def test_notebooks_are_clean(path):
    import nbformat

    notebook = nbformat.read(path, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert not any(re.search(r"^\s*(def|class) ", cell.source, re.M) for cell in code)
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in code) == 1
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widget(" in code[-1].source
