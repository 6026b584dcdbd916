import pytest

from saliencykit.paths import NOTEBOOKS
from saliencykit.registry import UnknownNameError
from saliencykit.running import profiles
from saliencykit.running.profiles import (
    NUMBERED,
    Profile,
    assign,
    declared,
    find_notebooks,
    read_profile,
    typed,
)
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
        ("check: {a: {b: 1}}", "rtol"),
        ("check: 3", "rtol"),
        ("notebooks: 3", "notebooks"),
        ("notebooks: [0, 1]", "list of texts"),
    ],
)
def test_a_bad_profile_is_named_with_what_is_wrong(place, text, message):
    write_profile(place / "notebooks", "bad", text)
    with pytest.raises(ValueError, match=rf"(?s)bad\.yaml.*{message}"):
        read_profile("bad", place / "notebooks")


def test_tolerances_are_read_and_kept_from_papermill(place):
    write_profile(place / "notebooks", "p", "value: 1\ncheck: {00_a: {nss: [0.1, 0]}}\n")
    profile = read_profile("p", place / "notebooks")
    assert profile.parameters == {"value": 1}
    assert profile.tolerances == {"00_a": {"nss": (0.1, 0.0)}}


def test_each_profile_of_ours_names_notebooks_that_are_there():
    for name in profiles.profile_names():
        profile = read_profile(name)
        assert len(find_notebooks(profile.notebooks)) == len(profile.notebooks or find_notebooks())
        assert "notebooks" not in profile.parameters


def test_profiles_are_listed_with_their_first_comment(place):
    assert profiles.profile_names(place / "notebooks") == {"toy": "The default: minutes"}


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
    return folder, [
        write_notebook(folder, "00_a", parameters="profile = ''\nseed = 0\nlayers = ['x']"),
        write_notebook(folder, "01_b", parameters="seed = 0\nepochs = 3\nencoder = 'v'"),
    ]


def test_each_notebook_gets_the_parameters_it_declares(place):
    folder, both = two_notebooks(place)
    profile = Profile("toy", {"epochs": 5, "seed": 1})
    a, b = assign(both, profile, {"layers": "[y, z]", "seed": "7"}, folder)
    assert a == {"profile": "toy", "seed": 7, "layers": ["y", "z"]}
    assert b == {"seed": 7, "epochs": 5}


def test_a_profile_may_hold_what_only_an_unselected_notebook_declares(place):
    folder, (a, _) = two_notebooks(place)
    assert assign([a], Profile("toy", {"epochs": 5}), {}, folder) == [{"profile": "toy"}]


def test_a_profile_parameter_of_no_notebook_is_an_error(place):
    folder, (a, _) = two_notebooks(place)
    with pytest.raises(UnknownNameError, match=r"profile 'toy'.*'epoch'.*mean 'epochs'"):
        assign([a], Profile("toy", {"epoch": 5}), {}, folder)


def test_an_override_that_no_selected_notebook_declares_is_an_error(place):
    folder, (a, _) = two_notebooks(place)
    with pytest.raises(UnknownNameError, match=r"'epochs'.*Known: layers, seed"):
        assign([a], Profile("toy"), {"epochs": "5"}, folder)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("epochs", "ten", "a number"),
        ("epochs", "True", "a number"),
        ("layers", "y", "a list"),
        ("profile", "osie", "--profile"),
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
        profiles.declared(bad)


def test_a_notebook_run_by_hand_is_the_toy_profile():
    """Its defaults are the profile that `profile = "toy"` names, figures and all."""
    toy = read_profile("toy").parameters
    for notebook in NOTEBOOKS.glob(NUMBERED):
        own = declared(notebook)
        assert own == own | {k: v for k, v in toy.items() if k in own}, notebook.name
