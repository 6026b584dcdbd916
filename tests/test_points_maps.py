"""MIT1003, CAT2000 and FIGRIM: their official layouts written small, and bad input."""

import shutil

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from saliencykit import datasets
from saliencykit.datasets import Fixations
from saliencykit.datasets.figrim import SAME
from saliencykit.registry import UnknownNameError
from tests import miniature
from tests.miniature import alter, assert_same_trials

SMALL = (60, 80)


def marked(fixations, size):
    """The pixels that are fixated; all of them once, in their middle, by nobody in particular."""
    counts = fixations.count_map(*size).numpy()
    assert counts.max() == 1
    assert set(fixations.x.numpy() % 1) == set(fixations.y.numpy() % 1) == {0.5}
    assert set(fixations.observer.tolist()) == {0}
    assert fixations.order is fixations.duration is None
    return counts == 1


def test_a_fixation_in_the_middle_of_every_marked_pixel():
    pixels = np.array([[0, 0, 1], [1, 0, 0]])
    seen = Fixations.at(pixels)
    assert seen.x.tolist() == [2.5, 0.5]
    assert seen.y.tolist() == [0.5, 1.5]
    assert len(Fixations.at(np.zeros((2, 2)))) == 0


# --- mit1003 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("quality", [75, 90])
def test_mit1003_reads_points_through_jpeg_and_skips_the_stray(tmp_path, quality):
    written = miniature.write_mit1003(tmp_path, n=5)
    for name, points in written.items():
        picture = Image.fromarray(points.astype(np.uint8) * 255)
        path = tmp_path / "ALLFIXATIONMAPS" / f"{name}_fixPts.jpg"
        picture.save(path, quality=quality)
        assert len(np.unique(np.array(Image.open(path)))) > 2  # JPEG leaves its traces
    ds = datasets.load("mit1003", tmp_path)
    assert set(ds.names) == set(written)
    for i, name in enumerate(ds.names):
        np.testing.assert_array_equal(marked(ds.fixations(i), SMALL), written[name])
    assert ds.regions(0) == []
    assert ds.pooled
    assert not ds.own_split


def test_mit1003_points_follow_resized_images(tmp_path):
    written = miniature.write_mit1003(tmp_path, n=2)
    ds = datasets.load("mit1003", tmp_path)
    miniature.write_image(ds.path(0), (30, 40))
    there = Fixations.at(written[ds.names[0]])
    assert ds.fixations(0).x.tolist() == (there.x / 2).tolist()
    miniature.write_image(ds.path(1), (60, 60))
    with pytest.raises(ValueError, match=r"\.jpeg is 60×60 .* recorded on 80×60"):
        ds.fixations(1)


def test_mit1003_says_which_map_is_missing_or_damaged(tmp_path):
    miniature.write_mit1003(tmp_path, n=3)
    path = tmp_path / "ALLFIXATIONMAPS" / "i101_fixPts.jpg"
    path.write_bytes(path.read_bytes()[:200])
    ds = datasets.load("mit1003", tmp_path)
    with pytest.raises(ValueError, match=r"i101_fixPts\.jpg cannot be read as a map of points"):
        ds.fixations(ds.names.index("i101"))
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"no ALLFIXATIONMAPS/i101_fixPts\.jpg in"):
        datasets.load("mit1003", tmp_path)


def test_the_fingerprints_follow_the_points(tmp_path):
    miniature.write_mit1003(tmp_path / "mit1003", n=2)
    miniature.write_cat2000(tmp_path / "cat2000", n=1)
    miniature.write_figrim(tmp_path / "figrim", n=1, size=(10, 10))
    for name, some in (
        ("mit1003", "ALLFIXATIONMAPS/i100_fixPts.jpg"),
        ("cat2000", "trainSet/FIXATIONLOCS/Action/001.mat"),
        ("figrim", "allImages_fillers.mat"),
    ):
        before = datasets.load(name, tmp_path / name).fingerprint
        alter(tmp_path / name / some)
        assert datasets.load(name, tmp_path / name).fingerprint != before


# --- cat2000 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("flat", [False, True])
def test_cat2000_reads_what_was_written(tmp_path, flat):
    written = miniature.write_cat2000(tmp_path)
    ds = datasets.load("cat2000", tmp_path / "trainSet" if flat else tmp_path)
    assert ds.names == sorted(written)  # nothing of Output/
    assert list(ds.scenes) == ["Action", "LineDrawing"]
    for i, name in enumerate(ds.names):
        np.testing.assert_array_equal(marked(ds.fixations(i), SMALL), written[name])
        assert ds.scene(i) == name.split("/")[0]
        assert ds.image(i).shape == (3, *SMALL)  # grey ones too
    assert ds.pooled


def test_cat2000_opens_no_mat_until_asked_and_names_what_is_wrong(tmp_path):
    miniature.write_cat2000(tmp_path)
    locs = tmp_path / "trainSet" / "FIXATIONLOCS"
    for path in locs.rglob("*.mat"):
        path.write_bytes(b"no .mat")
    ds = datasets.load("cat2000", tmp_path)
    with pytest.raises(ValueError, match=r"Action/001\.mat cannot be read as a \.mat"):
        ds.fixations(0)
    savemat(locs / "Action" / "001.mat", {"fixations": np.ones((2, 2))})
    with pytest.raises(ValueError, match=r"001\.mat has no variable 'fixLocs'.*: fixations"):
        ds.fixations(0)
    savemat(locs / "Action" / "001.mat", {"fixLocs": np.full((60, 80), 0.5)})
    with pytest.raises(ValueError, match=r"001\.mat: fixLocs is no map \(H, W\) of zeros and"):
        ds.fixations(0)
    miniature.save_points(locs / "Action" / "001.mat", np.ones((60, 60)))
    with pytest.raises(ValueError, match=r"001\.jpg is 80×60 .* recorded on 60×60"):
        ds.fixations(0)
    (locs / "Action" / "001.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"Action/001\.mat is not there"):
        ds.fixations(0)
    shutil.rmtree(locs)
    with pytest.raises(FileNotFoundError, match="no trainSet/FIXATIONLOCS"):
        datasets.load("cat2000", tmp_path)


# --- figrim -------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["enc", "rec", "rec2"])
def test_figrim_reads_each_showing(tmp_path, when):
    written = miniature.write_figrim(tmp_path)
    ds = datasets.load("figrim", tmp_path, when=when)
    assert set(ds.names) == set(written)
    assert list(ds.scenes) == ["airport_terminal", "tower"]
    for i, name in enumerate(ds.names):
        trials = written[name].get(when, [])
        assert_same_trials(ds.fixations(i), trials)
        assert ds.fixations(i).order.tolist() == [k for t in trials for k in range(len(t))]
        assert ds.scene(i) == name.split("/")[1]
    fingerprints = {datasets.load("figrim", tmp_path, when=w).fingerprint for w in (when, "enc")}
    assert len(fingerprints) == 1 + (when != "enc")


def test_figrim_positions_are_in_the_pixel_that_the_authors_mark(tmp_path):
    """They round positions that count from 1, and keep those within the picture."""
    miniature.write_figrim(tmp_path, n=1)
    given = np.array([[1.0, 1.0], [1.4, 1000.4], [1.6, 0.6], [500.2, 999.7]])
    gaze = {"sun_ta0.jpg": [miniature.seen_by(given)]}
    miniature.save_figrim_gaze(tmp_path / "allImages_release.mat", gaze)
    ds = datasets.load("figrim", tmp_path)
    seen = ds.fixations(ds.names.index("Targets/airport_terminal/sun_ta0"))
    there = np.zeros((1000, 1000))
    for x, y in np.round(given).astype(int):
        there[y - 1, x - 1] += 1
    np.testing.assert_array_equal(seen.count_map(1000, 1000), there)
    assert len(ds.fixations(ds.names.index("Targets/tower/sun_tt0"))) == 0  # not in the file


def test_figrim_needs_one_kind_only_and_takes_the_repository_s_folders(tmp_path):
    miniature.write_figrim(tmp_path, n=2)
    shutil.rmtree(tmp_path / "Fillers")
    (tmp_path / "allImages_fillers.mat").unlink()
    (tmp_path / "targetData").mkdir()
    shutil.move(tmp_path / "allImages_release.mat", tmp_path / "targetData")
    assert len(datasets.load("figrim", tmp_path)) == 4


def test_figrim_passes_over_who_was_not_at_a_showing(tmp_path):
    miniature.write_figrim(tmp_path, n=1)
    people = np.empty(2, dtype=object)  # a cell of structs with fields of their own
    people[0] = {"trial": 1.0, "fixations": {"rec": np.array([[5.0, 6.0]])}}
    people[1] = {"trial": 1.0, "fixations": {"enc": np.array([[2.0, 3.0]])}}
    image = {"filename": "sun_ta0.jpg", "userdata": people}
    savemat(tmp_path / "allImages_release.mat", {"allImages": image})
    for when, observer, x in (("enc", [1], [1.5]), ("rec", [0], [4.5]), ("rec2", [], [])):
        ds = datasets.load("figrim", tmp_path, when=when)
        seen = ds.fixations(ds.names.index("Targets/airport_terminal/sun_ta0"))
        assert (seen.observer.tolist(), seen.x.tolist()) == (observer, x)


def test_figrim_twins_share_a_split(tmp_path):
    miniature.write_figrim(tmp_path, n=1)
    ds = datasets.load("figrim", tmp_path)
    assert len(SAME) == 6
    for name, twin in SAME.items():
        assert ds.split_of(name) == ds.split_of(twin)
    # by their own names they would not all: or this tests nothing
    assert any(
        super(type(ds), ds).split_of(a) != super(type(ds), ds).split_of(SAME[a]) for a in SAME
    )


def test_figrim_names_what_is_wrong(tmp_path):
    miniature.write_figrim(tmp_path, n=1)
    release = tmp_path / "allImages_release.mat"
    with pytest.raises(UnknownNameError, match=r"showing 'rec3'\. Did you mean 'rec'"):
        datasets.load("figrim", tmp_path, when="rec3")
    savemat(release, {"images": 1.0})
    targets = datasets.load("figrim", tmp_path).names.index("Targets/tower/sun_tt0")
    for content, message in (
        ({"images": 1.0}, "no variable 'allImages'. Variables in it: images"),
        ({"allImages": np.ones((1, 2))}, "'allImages' is no struct array"),
        ({"allImages": {"filename": 3.0}}, r"allImages\(1\): 'filename' is no file name"),
        ({"allImages": {"filename": "a.jpg"}}, r"image a\.jpg: field 'userdata' is missing"),
        (
            {
                "allImages": {
                    "filename": "a.jpg",
                    "userdata": {"trial": 1.0, "fixations": {"rek": 1}},
                }
            },
            r"image a\.jpg, observer 0: field 'enc' is missing; what is there has the fields rek",
        ),
        (
            {
                "allImages": {
                    "filename": "a.jpg",
                    "userdata": {"trial": 1.0, "fixations": {"enc": np.ones((2, 3))}},
                }
            },
            r"image a\.jpg, observer 0: expected an N×2 list of points, its shape is \(2, 3\)",
        ),
    ):
        savemat(release, content)
        with pytest.raises(ValueError, match=rf"allImages_release\.mat.*{message}"):
            datasets.load("figrim", tmp_path).fixations(targets)
    release.unlink()
    with pytest.raises(FileNotFoundError, match=r"no allImages_release\.mat in"):
        datasets.load("figrim", tmp_path)
