"""What every loader of real files must do; round trips of random fixations; bad images."""

import os
import pickle
import re
import shutil
import unicodedata
import warnings

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL.ImageFile import ImageFile

from saliencykit import datasets
from saliencykit.datasets.base import DATASETS
from saliencykit.registry import UnknownNameError
from tests import miniature
from tests.miniature import alter, assert_same_trials

SMALL = (60, 80)
FEW = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


# --- what every loader of files must do ---------------------------------------------------------


WRITERS = {
    "crowd": miniature.write_crowd,
    "mit1003": miniature.write_mit1003,
    "cat2000": miniature.write_cat2000,
    "figrim": miniature.write_figrim,
}
OF_FILES = ["osie", "osie_sr", "salicon", "folder", *WRITERS]


@pytest.fixture(params=["osie", "osie_sr", "salicon mat", "salicon json", "folder", *WRITERS])
def any_set(request, tmp_path):
    name, _, form = request.param.partition(" ")
    if name == "salicon":
        miniature.write_salicon(tmp_path / name, n=(4, 2, 1), size=SMALL, form=form)
    elif name == "folder":
        miniature.write_folder(tmp_path / name)
    elif name in WRITERS:
        WRITERS[name](tmp_path / name, size=SMALL if name != "figrim" else (60, 60))
    else:
        miniature.write_osie(tmp_path / "osie", n=6, size=SMALL)
    if name == "osie_sr":
        miniature.write_osie_sr(tmp_path / name, tmp_path / "osie")
    return lambda: datasets.load(
        name, tmp_path / name, **({"osie": tmp_path / "osie"} if name == "osie_sr" else {})
    )


def test_every_set_gives_samples_splits_and_pickles(any_set):
    ds = any_set()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing in a sound data set is dropped
        samples = list(ds)
    for sample in samples:
        assert sample.image.dtype == torch.uint8
        assert sample.image.shape[0] == 3
        assert len(sample.fixations.inside(*sample.size)) == len(sample.fixations)
    assert sum(len(s.fixations) for s in samples) > 0
    parts = [ds.split(s).names for s in ("train", "val", "test")]
    assert sorted(n for part in parts for n in part) == sorted(ds.names)
    again = pickle.loads(pickle.dumps(ds))  # a DataLoader's workers get it so
    assert torch.equal(again[0].image, samples[0].image)


def test_fixations_and_sizes_do_not_decode_images(any_set, monkeypatch):
    ds = any_set()
    stimuli, load = {str(p) for p in ds.files.values()}, ImageFile.load

    def loaded(image):  # maps of points may be pictures too
        assert str(image.filename) not in stimuli, "decoded an image"
        return load(image)

    monkeypatch.setattr(ImageFile, "load", loaded)
    with pytest.raises(ValueError, match="decoded an image"):
        ds.image(0)
    assert len(ds.fixations(0)) > 0
    assert ds.size_of(0) == {"folder": (90, 120), "figrim": (60, 60)}.get(ds.name, SMALL)


def test_fingerprint_is_stable_and_follows_the_files(any_set):
    ds = any_set()
    before = ds.fingerprint
    assert before == any_set().fingerprint
    assert before != ds.subset(ds.names[1:]).fingerprint
    os.utime(ds.path(0), ns=(1, 1))  # as a copy or another download of the same has it
    assert before == any_set().fingerprint
    alter(ds.path(0))
    assert before != any_set().fingerprint


def test_truncated_image_is_named(any_set):
    ds = any_set()
    path = ds.path(0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=f"{path.name} cannot be read as an image"):
        ds.image(0)


@pytest.mark.parametrize("name", OF_FILES)
def test_missing_folder_says_where_it_looked_and_what_to_do(name, tmp_path, monkeypatch):
    monkeypatch.setenv("SALIENCYKIT_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError) as error:
        datasets.load(name)
    for part in (str(tmp_path / name), f"saliencykit fetch {name}", "SALIENCYKIT_DATA"):
        assert part in str(error.value)
    (tmp_path / name).mkdir()
    with pytest.raises(FileNotFoundError, match=f"saliencykit fetch {name}"):
        datasets.load(name)


def test_every_loader_of_files_says_where_its_files_come_from_and_what_to_cite():
    sources = {name: getattr(kind, "source", None) for name, kind in DATASETS.items()}
    assert {name for name, source in sources.items() if source is None} == {"toyworld", "popout"}
    for source in filter(None, sources.values()):
        assert source.page
        assert source.licence
        assert source.citation
        assert len(source.licence.partition(";")[0]) <= 15  # a column of a table
        assert "{root}" in source.steps


def test_unknown_data_set_names_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'salicon'"):
        datasets.load("salikon")


def test_negative_and_too_large_index(any_set):
    ds = any_set()
    assert ds[-1].name == ds.names[-1]
    with pytest.raises(IndexError, match="there is no number"):
        ds[len(ds)]


# --- round trips of random fixations through every layout ----------------------------------------

UNIT = st.floats(0.03, 0.999, allow_nan=False)  # not the topmost pixels, see test_positions
TRIALS = st.lists(st.lists(st.tuples(UNIT, UNIT), max_size=4), min_size=1, max_size=4)


def scaled(trials, width, height):
    return [np.reshape(t, (-1, 2)) * [width, height] for t in trials]


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    root = tmp_path_factory.mktemp("blank")
    miniature.write_image(root / "osie" / "stimuli" / "1001.jpg", (600, 800))
    for form in ("mat", "json"):
        miniature.write_image(root / form / "images" / "train" / "COCO_1.jpg", SMALL)
    miniature.write_image(root / "folder" / "a.png", SMALL)
    return root


@FEW
@given(trials=TRIALS)
def test_round_trip_osie(blank, trials):
    trials = scaled(trials, 800, 600)
    miniature.save_osie_gaze(blank / "osie" / "eye" / "fixations.mat", {"1001.jpg": trials})
    assert_same_trials(datasets.load("osie", blank / "osie").fixations(0), trials)


@pytest.mark.parametrize("form", ["mat", "json"])
@FEW
@given(trials=TRIALS)
def test_round_trip_salicon(blank, trials, form):
    trials = [np.floor(t) + 1 for t in scaled(trials, 80, 60)]
    miniature.save_salicon_split(blank / form, "train", {"COCO_1": trials}, SMALL, form)
    fixations = datasets.load("salicon", blank / form)[0].fixations
    assert_same_trials(fixations, trials, shift=1)


@FEW
@given(trials=TRIALS)
def test_round_trip_folder(blank, trials):
    trials = [t for t in scaled(trials, 80, 60) if len(t)]  # who never looked is not in the table
    trials.append(np.array([[40.0, 30.0]]))
    rows = [("a", x, y, k) for k, t in enumerate(trials) for x, y in t.tolist()]
    miniature.save_table(blank / "folder" / "fixations.csv", ("image", "x", "y", "observer"), rows)
    assert_same_trials(datasets.load("folder", blank / "folder")[0].fixations, trials)


def test_two_pictures_of_one_name_are_refused(any_set):
    ds = any_set()
    if ds.name == "osie_sr":
        pytest.skip("its pictures are OSIE's")
    path = ds.path(0)
    shutil.copy(path, path.with_suffix(".jpg" if path.suffix == ".JPG" else path.suffix.upper()))
    with pytest.raises(ValueError, match="have one name; rename one of them"):
        any_set()


# --- names whose accents are composed in one place and apart in another ---------------------------


def renamed(path, spelling):
    """Move a file to its name with an "é" before the first digit, spelled so."""
    name = re.sub(r"(\d)", r"é\1", path.name, count=1)
    path.rename(path.with_name(unicodedata.normalize(spelling, name)))


@pytest.mark.parametrize(
    ("name", "pictures", "records"),
    [
        ("mit1003", "ALLSTIMULI/*", "ALLFIXATIONMAPS/*_fixPts.jpg"),
        ("cat2000", "trainSet/Stimuli/Action/*.jpg", "trainSet/FIXATIONLOCS/Action/*"),
        ("salicon", "images/train/*", "fixations/train/*"),
    ],
)
@pytest.mark.parametrize("spellings", [("NFC", "NFD"), ("NFD", "NFC")])
def test_files_spelled_otherwise_than_their_pictures_are_found(
    name, pictures, records, spellings, tmp_path
):
    WRITERS.get(name, miniature.write_salicon)(tmp_path, size=SMALL)
    before = [f.x.tolist() for f in map(datasets.load(name, tmp_path).fixations, range(3))]
    for found, spelling in zip((pictures, records), spellings, strict=True):
        for path in sorted(tmp_path.glob(found)):
            renamed(path, spelling)
    ds = datasets.load(name, tmp_path)
    of_accents = [i for i in range(len(ds)) if not ds.names[i].isascii()][:3]
    assert [ds.fixations(i).x.tolist() for i in of_accents] == before


@pytest.mark.parametrize("spelling", ["NFC", "NFD"])
def test_names_within_files_spelled_otherwise_than_their_pictures_are_found(spelling, tmp_path):
    accents = unicodedata.normalize(spelling, "COCO_é1")
    apart = unicodedata.normalize("NFC" if spelling == "NFD" else "NFD", "COCO_é1")
    looks = [np.array([[10.0, 20.0], [30.0, 40.0]])]
    miniature.write_salicon(tmp_path / "salicon", n=(0, 0, 0), size=SMALL)
    miniature.write_image(tmp_path / f"salicon/images/train/{apart}.jpg", SMALL)
    miniature.save_salicon_split(tmp_path / "salicon", "train", {accents: looks}, SMALL, "json")
    assert datasets.load("salicon", tmp_path / "salicon").fixations(0).x.tolist() == [9, 29]
    by_image = {f"{accents}.jpg": [miniature.seen_by(enc=xy + 0.5) for xy in looks]}
    miniature.write_image(tmp_path / f"figrim/Targets/tower/{apart}.jpg", miniature.FIGRIM_SIZE)
    miniature.save_figrim_gaze(tmp_path / "figrim/allImages_release.mat", by_image)
    assert datasets.load("figrim", tmp_path / "figrim").fixations(0).x.tolist() == [10, 30]
