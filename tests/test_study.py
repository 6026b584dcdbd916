"""A study: its settings stand in one place, show themselves, and decide where figures go."""

import ast
import json
import os
import re

import matplotlib.pyplot as plt
import pandas as pd
import pytest

import saliencykit as sk
from saliencykit import paths
from saliencykit.paths import FIGURE_MIME, NOTEBOOK, NOTEBOOKS, SETTINGS_MIME
from saliencykit.registry import UnknownNameError
from saliencykit.settings import DEFAULTS, profile_names, read_profile

TABLE = pd.DataFrame({"category": ["text"], "value": [1.5]})


@pytest.fixture
def shown(monkeypatch, tmp_path):
    """What a notebook would be shown; figures go to a temporary folder."""
    bundles = []
    monkeypatch.setattr(paths, "FIGURES", tmp_path)
    monkeypatch.delenv(NOTEBOOK, raising=False)
    monkeypatch.setattr("saliencykit.viewing.files.display", lambda data, **_: bundles.append(data))
    return bundles


def figure():
    return plt.figure(figsize=(2, 1), dpi=100)


@pytest.mark.parametrize("name", profile_names())
def test_a_study_has_its_profile_s_settings_and_else_the_defaults(name):
    study, profile = sk.Study.from_profile(name), read_profile(name)
    for setting, value in study.values().items():
        assert value == profile.settings.get(setting, DEFAULTS[setting])
    assert profile.description


@pytest.mark.parametrize("name", profile_names())
def test_a_profile_says_only_what_differs(name):
    settings = read_profile(name).settings
    assert [k for k, v in settings.items() if v == DEFAULTS[k]] == []


def test_changes_are_taken_and_marked():
    study = sk.Study.from_profile("toy", epochs=2, size=(60, 80))
    table = study.table().set_index("setting")
    assert study.epochs == 2
    assert study.size == (60, 80)
    assert table.loc[["epochs", "size", "read", "seed"], "set by"].tolist() == [
        "change",
        "change",
        "profile",
        "default",
    ]
    assert list(table.index) == list(DEFAULTS)
    assert table["meaning"].str.len().min() > 5


def test_shown_as_a_table_with_changes_marked():
    bundle = sk.Study.from_profile("toy", epochs=2)._repr_mimebundle_()
    assert bundle[SETTINGS_MIME]["values"]["epochs"] == 2
    assert bundle[SETTINGS_MIME]["origins"]["epochs"] == "change"
    json.dumps(bundle[SETTINGS_MIME])
    assert "#fff3bf" in bundle["text/html"]
    assert "#fff3bf" not in sk.Study.from_profile("toy")._repr_mimebundle_()["text/html"]
    assert re.search(r"epochs +2 ", bundle["text/plain"])


def test_unknown_names_are_told_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"setting 'epoch'.*'epochs'"):
        sk.Study.from_profile("toy", epoch=2)
    with pytest.raises(UnknownNameError, match=r"profile 'toi'.*'toy'"):
        sk.Study.from_profile("toi")


@pytest.mark.parametrize(
    ("change", "asked"),
    [({"epochs": "two"}, "a number"), ({"read": "conv5_3"}, "a list"), ({"data": 3}, "a text")],
)
def test_values_of_another_kind_are_refused(change, asked):
    with pytest.raises(ValueError, match=asked):
        sk.Study.from_profile("toy", **change)


def test_one_bad_profile_fails_alone(tmp_path):
    folder = tmp_path / "profiles"
    folder.mkdir()
    (folder / "latin.yaml").write_bytes("# Fläche\nepochs: 2\n".encode("latin-1"))
    (folder / "yaml.yaml").write_text("epochs: [1", encoding="utf-8")
    (folder / "kind.yaml").write_text("epochs: many\n", encoding="utf-8")
    (folder / "deep.yaml").write_text("epochs: " + "[" * 5000, encoding="utf-8")
    os.mkfifo(folder / "pipe.yaml")
    (folder / "good.yaml").write_text("# Good\nepochs: 2\nk: 3\n", encoding="utf-8")
    assert profile_names(tmp_path) == ["deep", "good", "kind", "latin", "pipe", "yaml"]
    good = read_profile("good", tmp_path)
    assert (good.description, good.settings, good.asked) == ("Good", {"epochs": 2}, {"k": 3})
    for name, said in {
        "latin": "UTF-8",
        "yaml": "YAML",
        "kind": "a number",
        "deep": "YAML",
        "pipe": "a named pipe",
    }.items():
        with pytest.raises(ValueError, match=rf"{name}\.yaml.*{said}"):
            read_profile(name, tmp_path)


def test_figures_are_filed_under_the_study_s_own_profile(shown, tmp_path):
    sk.Study.from_profile("smoke").save(figure(), "03_change", TABLE)
    assert sorted(p.name for p in (tmp_path / "smoke").iterdir()) == [
        "03_change.csv",
        "03_change.png",
    ]
    assert pd.read_csv(tmp_path / "smoke" / "03_change.csv").equals(TABLE)
    (bundle,) = shown
    assert bundle[FIGURE_MIME] == {"stem": "03_change", "size": (200, 100), "learned": True}
    assert bundle["image/png"] == (tmp_path / "smoke" / "03_change.png").read_bytes()


def test_rows_that_hang_on_training_are_told(shown):
    sk.Study.from_profile("smoke").save(figure(), "03_change", TABLE, learned=TABLE["value"] > 2)
    assert shown[0][FIGURE_MIME]["learned"] == [False]


@pytest.mark.parametrize("shareable", [True, False])
def test_pictures_of_others_photographs_have_names_that_git_ignores(shown, tmp_path, shareable):
    class Stimuli:
        pass

    stimuli = Stimuli()
    stimuli.shareable = shareable
    sk.Study.from_profile("smoke").save(figure(), "00_stimuli", TABLE, shows=stimuli)
    stem = "00_stimuli" if shareable else "00_stimuli_photos"
    assert (tmp_path / "smoke" / f"{stem}.png").exists()
    assert shown[0][FIGURE_MIME]["stem"] == stem


def test_names_of_another_notebook_are_refused(shown, tmp_path, monkeypatch):
    study = sk.Study.from_profile("smoke")
    study.save(figure(), "03_change", TABLE)
    with pytest.raises(ValueError, match=r"'07_matrix'.*notebook 07.*notebook 03"):
        study.save(figure(), "07_matrix", TABLE)
    monkeypatch.setenv(NOTEBOOK, "05_task_or_domain")
    with pytest.raises(ValueError, match="notebook 05"):
        sk.Study.from_profile("smoke").save(figure(), "03_change", TABLE)
    with pytest.raises(ValueError, match="named by notebook and content"):
        sk.Study.from_profile("smoke").save(figure(), "matrix", TABLE)
    assert not list(tmp_path.glob("*/07_*"))


def test_a_study_without_a_profile_saves_nothing(shown, tmp_path):
    with pytest.raises(ValueError, match="from_profile"):
        sk.Study(data="toyworld").save(figure(), "03_change", TABLE)
    assert not list(tmp_path.iterdir())


def code_cells(stem):
    (path,) = NOTEBOOKS.glob(f"{stem}_*.ipynb")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [("".join(c["source"]), c["metadata"]) for c in cells if c["cell_type"] == "code"]


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda p: p.stem)
def test_no_notebook_states_a_setting(path):
    (cell,) = [s for s, meta in code_cells(path.stem[:2]) if "parameters" in meta.get("tags", [])]
    own = {line.targets[0].id: line.value for line in ast.parse(cell).body}
    assert ast.literal_eval(own["profile"]) == "toy"
    assert ast.literal_eval(own["changes"]) == {}
    assert not set(own) & set(DEFAULTS)


@pytest.mark.slow
def test_a_profile_that_is_set_by_hand_is_the_one_that_is_computed(tmp_path, monkeypatch):
    """The trap of the first edition: toyworld's numbers under the name of another profile."""
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell, new_notebook

    monkeypatch.setenv("SALIENCYKIT_FIGURES", str(tmp_path))
    sources = [source for source, _ in code_cells("03")]
    by_hand = [s.replace('profile = "toy"', 'profile = "smoke"') for s in sources]
    assert by_hand != sources
    notebook = new_notebook(cells=[new_code_cell(source) for source in by_hand])
    NotebookClient(notebook, kernel_name="python3").execute()
    outputs = [o.get("data", {}) for cell in notebook.cells for o in cell.outputs]
    (settings,) = [data[SETTINGS_MIME] for data in outputs if SETTINGS_MIME in data]
    assert settings["profile"] == "smoke"
    assert settings["values"]["images"] == 40
    assert [p.name for p in tmp_path.iterdir()] == ["smoke"]
    layers = pd.read_csv(tmp_path / "smoke" / "03_by_layer.csv")["layer"].unique().tolist()
    assert layers == read_profile("smoke").settings["layers"]
