"""Crowd: its official layout written small, the real Crowd where it is, bad input."""

import shutil
import warnings

import numpy as np
import pytest
import torch
from scipy.io import savemat

from saliencykit import datasets
from saliencykit.datasets.crowd import read_labels
from tests import miniature
from tests.miniature import alter, assert_same_trials, cell, face

SIZE = miniature.CROWD_SIZE
SMALL = (96, 128)


@pytest.fixture
def crowd(tmp_path):
    return tmp_path, miniature.write_crowd(tmp_path, n=4)


def boxed(region):
    """Left, top, right, bottom pixel of a region's mask."""
    mask = region.as_mask(*SIZE)
    rows, columns = mask.any(1).nonzero().ravel(), mask.any(0).nonzero().ravel()
    assert mask.sum() == len(rows) * len(columns)
    return [int(v) for v in (columns[0], rows[0], columns[-1], rows[-1])]


def test_crowd_reads_what_was_written(crowd):
    root, written = crowd
    ds = datasets.load("crowd", root)
    assert ds.names == ["001", "003", "005", "007"]
    assert tuple(ds.categories) == ("person_head",)
    for i, name in enumerate(ds.names):
        trials, faces = written[name]
        assert_same_trials(ds.fixations(i), trials)
        assert ds.fixations(i).order.tolist() == [k for t in trials for k in range(len(t))]
        assert ds.fixations(i).duration[0] == 0.25
        for region, want in zip(ds.regions(i), faces, strict=True):
            left, top = want["left"], want["top"]
            there = [left, top, left + want["width"] - 1, top + want["height"] - 1]
            assert np.abs(np.subtract(boxed(region), there)).max() <= 1
    assert [r.attributes for r in ds.regions(0)] == [
        ("frontal",),
        ("profile",),
        ("frontal",),
        ("back", "occluded"),
    ]


def test_boxes_cover_as_many_pixels_as_they_are_wide(tmp_path):
    miniature.save_labels(tmp_path / "l.mat", {"001.jpg": [face(5, 7, 10, 20), face(9, 9, 0.5, 1)]})
    one, tiny = read_labels(tmp_path / "l.mat", SIZE)["001"]
    assert boxed(one) == [5, 7, 14, 26]
    assert boxed(tiny) == [9, 9, 9, 9]


def test_crowd_is_found_in_the_official_tree(crowd):
    root, _ = crowd
    (root / "data").mkdir()
    for part in ("stimuli", "eye", "labels.mat"):
        shutil.move(root / part, root / "data" / part)
    assert len(datasets.load("crowd", root)) == 4


def test_fixations_and_boxes_follow_resized_images(crowd):
    root, written = crowd
    before = datasets.load("crowd", root)
    regions = before.regions(1)
    for i in range(len(before)):
        miniature.write_image(before.path(i), SMALL)
    ds = datasets.load("crowd", root)
    assert_same_trials(ds.fixations(1), [t / 8 for t in written["003"][0]])
    for was, now in zip(regions, ds.regions(1), strict=True):
        torch.testing.assert_close(now.polygon, was.polygon / 8)
        assert now.attributes == was.attributes


def test_splits_do_not_change_with_the_images_that_are_there(tmp_path):
    miniature.write_crowd(tmp_path, n=40, size=(6, 8))
    ds = datasets.load("crowd", tmp_path)
    assert [len(ds.split(s)) for s in ("train", "val", "test")] == [28, 6, 6]
    assert not ds.own_split
    ids = [f"{k:03}" for k in range(1, 501)]
    splits = [ds.split_of(name) for name in ids]
    assert [splits.count(s) for s in ("train", "val", "test")] == [352, 74, 74]
    assert splits[0::2] == splits[1::2]


def test_fingerprint_follows_the_labels(crowd):
    root, _ = crowd
    before = datasets.load("crowd", root).fingerprint
    alter(root / "labels.mat")
    assert datasets.load("crowd", root).fingerprint != before


def test_boxes_beyond_the_image_are_clipped_or_left_out_and_counted(tmp_path):
    faces = [
        face(10, 10, 20, 30),
        face(-5, 700, 20, 100),
        face(1000, -8, 50, 30),
        face(1024, 10, 20, 20),
        face(50, -40, 20, 40),
    ]
    miniature.save_labels(tmp_path / "labels.mat", {"007.jpg": faces})
    with pytest.warns(UserWarning, match="faces") as caught:
        regions = read_labels(tmp_path / "labels.mat", SIZE)["007"]
    texts = [str(w.message) for w in caught]
    assert len(texts) == 2
    assert "labels.mat: 2 of 5 faces stick out of their image of 1024×768" in texts[0]
    assert "the first: image 007, face 2); clipped" in texts[0]
    assert "2 of 5 faces lie wholly outside" in texts[1]
    assert "the first: image 007, face 4); left out" in texts[1]
    assert [boxed(r) for r in regions] == [[10, 10, 29, 39], [0, 700, 14, 767], [1000, 0, 1023, 21]]


def test_an_image_without_faces_or_labels_has_no_regions(crowd):
    root, _ = crowd
    nobody = {"img": "001.jpg", "nFaces": 0, "faces": np.zeros((0, 0))}
    savemat(root / "labels.mat", {"labels": cell([nobody])})
    ds = datasets.load("crowd", root)
    assert ds.regions(0) == ds.regions(1) == []


BOX = {"left": 1.0, "top": 2.0, "width": 3.0, "height": 4.0}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"faces": 1.0}, "no variable 'labels'. Variables in it: faces"),
        ({"labels": np.ones((2, 2))}, "'labels' is no cell array of structs"),
        ({"labels": cell([{"img": "1.jpg"}])}, "image 1.jpg: field 'faces' is missing"),
        ({"labels": cell([{"img": 2.0}])}, r"labels\{1\}: 'img' is no file name"),
        (
            {"labels": cell([{"img": "1.jpg", "nFaces": 2, "faces": cell([face(1, 2, 3, 4)])}])},
            r"image 1.jpg: nFaces is \[2.0\], but there are 1 faces",
        ),
        (
            {"labels": cell([{"img": "1.jpg", "nFaces": 1, "faces": cell([face(1, 2, 0, 4)])}])},
            r"image 1.jpg, face 1: left \[1.0\], top \[2.0\], width \[0.0\].* is no box",
        ),
        (
            {
                "labels": cell(
                    [
                        {
                            "img": "1.jpg",
                            "nFaces": 1,
                            "faces": cell([face(1, 2, 3, 4) | {"top": np.nan}]),
                        }
                    ]
                )
            },
            r"face 1: .*top \[nan\].* is no box",
        ),
        (
            {"labels": cell([{"img": "1.jpg", "nFaces": 1, "faces": cell([BOX])}])},
            "face 1: field 'isFrontalFace' is missing",
        ),
        (
            {
                "labels": cell(
                    [
                        {
                            "img": "1.jpg",
                            "nFaces": 1,
                            "faces": cell([face(1, 2, 3, 4) | {"isBackFace": 7}]),
                        }
                    ]
                )
            },
            r"face 1: isBackFace is \[7.0\], not 0 or 1",
        ),
    ],
)
def test_malformed_labels_are_named_with_the_place(tmp_path, content, message):
    savemat(tmp_path / "labels.mat", content)
    with pytest.raises(ValueError, match=rf"labels\.mat.*{message}"):
        read_labels(tmp_path / "labels.mat", SIZE)


@pytest.mark.parametrize("lost", ["labels.mat", "eye/fixations.mat"])
def test_a_missing_file_is_named(crowd, lost):
    root, _ = crowd
    (root / lost).unlink()
    with pytest.raises(FileNotFoundError, match=rf"no {lost} .*saliencykit fetch crowd"):
        datasets.load("crowd", root)


def test_an_image_of_another_shape_is_an_error(crowd):
    root, _ = crowd
    miniature.write_image(root / "stimuli" / "001.jpg", (80, 80))
    ds = datasets.load("crowd", root)
    with pytest.raises(ValueError, match=r"001\.jpg is 80×80 .* 1024×768"):
        ds.fixations(0)


# --- the real Crowd -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_crowd():
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of clipped boxes
            return datasets.load("crowd")
    except FileNotFoundError as error:
        pytest.skip(str(error))


def test_real_crowd_is_all_read(real_crowd):
    known = {f"{k:03}" for k in range(1, 500, 2)}
    part = real_crowd.subset([n for n in real_crowd.names if n in known])
    assert len(part) == 250
    gaze = [part.fixations(i) for i in range(len(part))]
    assert sum(map(len, gaze)) == 63_301
    assert [len(f.observer.unique()) for f in gaze].count(16) == 247
    heads = [r for i in range(len(part)) for r in part.regions(i)]
    assert len(heads) == 5_134
    assert sum("occluded" in r.attributes for r in heads) == 1_865
    kinds = [sum(k in r.attributes for r in heads) for k in ("frontal", "profile", "back")]
    assert kinds == [2_613, 1_938, 583]


def test_real_fixations_lie_about_the_labelled_heads(real_crowd):
    """Boxes and fixations are in one frame: half as wide again to a side, and the middle parts."""
    middle = []
    for i in range(0, len(real_crowd), 5):
        fixations = real_crowd.fixations(i)
        for region in real_crowd.regions(i):
            (left, top), (right, bottom) = region.polygon[0], region.polygon[2]
            x = (fixations.x - (left + right + 1) / 2) / (right + 1 - left)
            y = (fixations.y - (top + bottom + 1) / 2) / (bottom + 1 - top)
            middle += x[(x.abs() < 1) & (y.abs() < 1)].tolist()
    assert len(middle) > 5_000
    assert abs(np.median(middle)) < 0.03
