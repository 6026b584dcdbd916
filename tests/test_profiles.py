import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saliencykit.cli import app
from saliencykit.registry import UnknownNameError
from saliencykit.running.profiles import assign, declared, find_notebooks, read_cells, typed
from saliencykit.settings import Profile, profile_names, read_profile
from saliencykit.study import Study
from tests.small_notebooks import write_notebook, write_profile


@pytest.fixture
def place(tmp_path):
    """A folder holding notebooks/ with a profile."""
    write_profile(tmp_path / "notebooks", "toy", "# The default: minutes\nvalue: 2.5\n")
    return tmp_path


# Which notebooks


@pytest.fixture
def three(place):
    for stem in ("00_data", "02_pretrained_units", "02_pruned", "10_last"):
        write_notebook(place / "notebooks", stem)
    (place / "notebooks" / "scratch.ipynb").write_text("not numbered, so not ours")
    return place / "notebooks"


def test_all_numbered_notebooks_are_run_in_order(three):
    stems = [p.stem for p in find_notebooks(folder=three)]
    assert stems == ["00_data", "02_pretrained_units", "02_pruned", "10_last"]


@pytest.mark.parametrize("name", ["0", "00", "00_data", "00_d", "00_data.ipynb"])
def test_a_notebook_is_found_by_number_stem_or_beginning(three, name):
    assert find_notebooks([name], three) == [three / "00_data.ipynb"]


def test_a_notebook_is_found_by_path_and_named_once(three):
    path = str(three / "10_last.ipynb")
    assert [p.stem for p in find_notebooks([path, "10", "00"], three)] == ["10_last", "00_data"]


def test_a_wrong_notebook_name_names_the_nearest(three):
    with pytest.raises(UnknownNameError, match=r"'02_pretrainedunits'.*mean '02_pretrained_units'"):
        find_notebooks(["02_pretrainedunits"], three)
    with pytest.raises(UnknownNameError, match="00_data"):
        find_notebooks([""], three)


def test_a_beginning_of_several_notebooks_lists_them(three):
    with pytest.raises(ValueError, match="02_pretrained_units, 02_pruned"):
        find_notebooks(["02"], three)


def test_a_folder_without_notebooks_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="00_data"):
        find_notebooks(folder=tmp_path)


# Profiles and parameters


def test_an_unknown_profile_names_the_nearest(place):
    with pytest.raises(UnknownNameError, match=r"'tyo'.*mean 'toy'"):
        read_profile("tyo", place / "notebooks")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("value: [1", "not valid YAML"),
        ("- 1\n- 2", "lines of"),
        ("value: {a: 1}", "value must be"),
        ("day: 2020-01-01", "day must be"),
        ("check: {a: {b: [1, 2]}}", "check must be"),  # what older profiles held
        ("epochs: many", "'epochs' cannot be 'many'"),
        ("epochs: null", "'epochs' cannot be null: its default is 8, so give a number"),
        ("size: null", "'size' cannot be null: its default is .*, so give a list"),
        ("data:", "'data' cannot be null: its default is 'toyworld', so give a text"),
        ("notebooks: 3", "notebooks"),
        ("notebooks: [0, 1]", "list of texts"),
    ],
)
def test_a_bad_profile_is_named_with_what_is_wrong(place, text, message):
    write_profile(place / "notebooks", "bad", text)
    with pytest.raises(ValueError, match=rf"(?s)bad\.yaml.*{message}"):
        read_profile("bad", place / "notebooks")


def test_settings_are_told_from_what_notebooks_ask(place):
    write_profile(place / "notebooks", "p", "# One\nvalue: 1\nepochs: 2\nnotebooks: ['00']\n")
    expected = Profile("p", "One", {"epochs": 2}, {"value": 1}, ("00",))
    assert read_profile("p", place / "notebooks") == expected


@pytest.mark.parametrize("name", ["weights", "train_data"])
def test_what_may_be_null_may_be(place, name):
    write_profile(place / "notebooks", "p", f"{name}: null\n")
    assert read_profile("p", place / "notebooks").settings == {name: None}


def test_each_profile_of_ours_names_notebooks_that_are_there():
    for name in profile_names():
        profile = read_profile(name)
        assert len(find_notebooks(profile.notebooks)) == len(profile.notebooks or find_notebooks())


@pytest.mark.parametrize(
    ("text", "default", "value"),
    [
        ("3", None, 3),
        ("3", 1.5, 3),
        ("1e-3", None, 1e-3),
        ("True", None, True),
        ("false", True, False),
        ("false", "imagenet", "false"),
        ("None", "imagenet", None),
        ("2020", "a text", "2020"),
        ("2020", None, 2020),
        ("[conv1_1, 2]", [], ["conv1_1", 2]),
        ("vgg16", None, "vgg16"),
    ],
)
def test_typed_parameters(text, default, value):
    got = typed(text, default)
    assert got == value
    assert type(got) is type(value)


def two_notebooks(place):
    folder = place / "notebooks"
    first = "profile = ''\nchanges = {}\nk = 0\ndoses = ['x']"
    second = "changes = {'images': 9}\nk = 0\nworlds = 3\nkind = 'v'"
    return folder, [
        write_notebook(folder, "00_a", parameters=first),
        write_notebook(folder, "01_b", parameters=second),
    ]


def test_each_notebook_gets_the_parameters_it_declares(place):
    folder, both = two_notebooks(place)
    profile = Profile("toy", settings={"epochs": 5}, asked={"worlds": 5, "k": 1})
    a, b = assign(both, profile, {"doses": "[y, z]", "k": "7"}, folder)
    assert a == {"profile": "toy", "k": 7, "doses": ["y", "z"]}
    assert b == {"k": 7, "worlds": 5}


def test_a_setting_becomes_a_change(place):
    folder, both = two_notebooks(place)
    typed_in = {"epochs": "2", "weights": "null", "layers": "[a]", "k": "1"}
    a, b = assign(both, Profile("toy"), typed_in, folder)
    changes = {"epochs": 2, "weights": None, "layers": ["a"]}
    assert a == {"profile": "toy", "k": 1, "changes": changes}
    assert b == {"k": 1, "changes": {"images": 9, **changes}}  # to those the notebook has itself


def test_notebooks_without_a_study_know_no_setting(place):
    own = write_notebook(place / "notebooks", "00_a", parameters="doses = []")
    with pytest.raises(UnknownNameError, match=r"'epochs'.*Known: doses\."):
        assign([own], Profile("toy"), {"epochs": "2"}, place / "notebooks")


def test_a_profile_may_ask_what_only_an_unselected_notebook_declares(place):
    folder, (a, _) = two_notebooks(place)
    assert assign([a], Profile("toy", asked={"worlds": 5}), {}, folder) == [{"profile": "toy"}]


@pytest.mark.parametrize(("name", "near"), [("world", "worlds"), ("epoch", "epochs")])
def test_what_a_profile_asks_and_nobody_knows_is_an_error(place, name, near):
    folder, (a, _) = two_notebooks(place)
    with pytest.raises(UnknownNameError, match=rf"toy\.yaml '{name}'.*mean '{near}'"):
        assign([a], Profile("toy", asked={name: 5}, path=Path("its/toy.yaml")), {}, folder)


@pytest.mark.parametrize(("name", "near"), [("dose", "doses"), ("epoch", "epochs")])
def test_what_is_neither_a_setting_nor_declared_is_an_error(place, name, near):
    folder, (a, _) = two_notebooks(place)
    with pytest.raises(UnknownNameError, match=rf"'{name}'.*mean '{near}'"):
        assign([a], Profile("toy"), {name: "5"}, folder)
    with pytest.raises(UnknownNameError, match="'worlds'"):  # only another notebook's
        assign([a], Profile("toy"), {"worlds": "5"}, folder)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("worlds", "ten", "a number"),
        ("worlds", "True", "a number"),
        ("doses", "y", "a list"),
        ("doses", "null", "cannot be null: .* a list"),
        ("layers", "None", "cannot be null: .* a list"),
        ("epochs", "ten", "a number"),
        ("layers", "conv1", "a list"),
        ("profile", "osie", "--profile"),
        ("changes", "{}", "-p epochs 2"),
    ],
)
def test_a_parameter_of_the_wrong_kind_is_an_error(place, name, value, message):
    folder, both = two_notebooks(place)
    with pytest.raises(ValueError, match=rf"{name}.*{message}"):
        assign(both, Profile("toy"), {name: value}, folder)


def test_a_file_that_is_no_notebook_is_named(place):
    bad = place / "notebooks" / "00_bad.ipynb"
    bad.write_text("{ no")
    with pytest.raises(ValueError, match=r"00_bad\.ipynb"):
        declared(bad)


@pytest.mark.parametrize("text", ["{", "[]", '{"cells": 1}', '{"cells": ' + "[" * 100_000])
def test_what_is_no_notebook_is_named(tmp_path, text):
    path = tmp_path / "00_a.ipynb"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"00_a\.ipynb cannot be read as a notebook"):
        read_cells(path)


# One's own profiles


def test_one_s_own_profiles_lie_in_a_folder_of_one_s_own(place, tmp_path, monkeypatch):
    own = tmp_path / "own"
    monkeypatch.setenv("SALIENCYKIT_PROFILES", str(own))
    with pytest.raises(FileNotFoundError, match=r"SALIENCYKIT_PROFILES is .*own, which is no"):
        profile_names(place / "notebooks")
    own.mkdir()
    (own / "mine.yaml").write_text("# Mine\nepochs: 7\ndose: 3\n")
    assert profile_names(place / "notebooks") == ["mine", "toy"]
    mine = Profile("mine", "Mine", {"epochs": 7}, {"dose": 3})
    assert read_profile("mine", place / "notebooks") == mine
    with pytest.raises(UnknownNameError, match="mean 'mine'"):
        read_profile("mien", place / "notebooks")
    (own / "other.yml").write_text("epohcs: 7\n")
    other = read_profile("other", place / "notebooks")
    with pytest.raises(UnknownNameError, match=r"own/other.yml 'epohcs'.*mean 'epochs'"):
        assign([], other, {}, place / "notebooks")
    (own / "toy.yaml").write_text("epochs: 7\n")
    with pytest.raises(ValueError, match=r"own/toy.yaml: there is a profile 'toy' already"):
        read_profile("toy", place / "notebooks")
    monkeypatch.setenv("SALIENCYKIT_PROFILES", str(place / "notebooks" / "profiles"))
    assert profile_names(place / "notebooks") == ["toy"]  # the same folder: nothing twice


def test_a_study_and_the_command_know_one_s_own_profile(tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").write_text("# My photographs\nepochs: 7\n")
    monkeypatch.setenv("SALIENCYKIT_PROFILES", str(tmp_path))
    study = Study.from_profile("mine", batch=2)
    assert (study.epochs, study.batch, study.profile) == (7, 2, "mine")
    told = CliRunner().invoke(app, ["profiles"])
    assert "My photographs" in told.output
    assert f"In {tmp_path}: mine" in " ".join(told.output.split())
    monkeypatch.setenv("SALIENCYKIT_PROFILES", str(tmp_path / "nowhere"))
    wrong = CliRunner().invoke(app, ["profiles"])
    assert wrong.exit_code == 2
    assert "which is no folder" in wrong.output


# Files and folders that are typed


def test_a_path_that_is_typed_is_told_in_full_and_a_bare_name_is_not(place, tmp_path, monkeypatch):
    notebook = write_notebook(place / "notebooks", "01_paths")
    cells = json.loads(notebook.read_text())
    declared_here = "profile = 'toy'\nchanges = {}\nbeside = ''\n"
    for cell in cells["cells"]:
        if "parameters" in cell["metadata"].get("tags", []):
            cell["source"] = declared_here
    notebook.write_text(json.dumps(cells))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "old").mkdir(parents=True)
    (tmp_path / "imagenet").mkdir()  # what lies here changes no name's meaning
    (tmp_path / "runs" / "mine.pth").write_bytes(b"")

    def told(**typed_in):
        (given,) = assign([notebook], Profile("toy"), typed_in, place / "notebooks")
        return given

    assert told(beside="runs/old")["beside"] == str(tmp_path / "runs" / "old")
    assert told(beside="./runs/old/")["beside"] == str(tmp_path / "runs" / "old")
    assert told(beside="runs/new")["beside"] == "runs/new"  # is not there
    assert told(beside="crowd")["beside"] == "crowd"
    weights = {
        name: told(weights=name)["changes"]["weights"] for name in ("imagenet", "./imagenet")
    }
    assert weights == {"imagenet": "imagenet", "./imagenet": str(tmp_path / "imagenet")}
    assert told(weights="runs/mine.pth")["changes"]["weights"] == str(
        tmp_path / "runs" / "mine.pth"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    assert told(beside="~/runs/old")["beside"] == str(tmp_path / "runs" / "old")
