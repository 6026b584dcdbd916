"""OSIE and OSIE-SR: their official layouts written small, the real OSIE where it is, bad input."""

import json
import shutil

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from PIL import Image
from scipy.io import savemat

from saliencykit import datasets
from saliencykit.datasets.osie import read_gaze
from saliencykit.datasets.osie_sr import IDS
from saliencykit.datasets.types import CATEGORIES
from saliencykit.paths import ANNOTATIONS
from saliencykit.reading.matlab import read_mat
from tests import miniature
from tests.miniature import alter, assert_same_trials

SMALL = (60, 80)
FEW = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def osie(tmp_path):
    written = miniature.write_osie(tmp_path / "osie", n=6, size=(600, 800))
    return tmp_path / "osie", written


@pytest.fixture
def small_osie(tmp_path):
    miniature.write_osie(tmp_path / "osie", n=6, size=SMALL)
    miniature.write_osie_sr(tmp_path / "osie_sr", tmp_path / "osie")
    return tmp_path / "osie"


# --- osie ---------------------------------------------------------------------------------------


def test_osie_reads_what_was_written(osie):
    root, written = osie
    ds = datasets.load("osie", root)
    assert ds.names == sorted(written)
    for i, name in enumerate(ds.names):
        assert_same_trials(ds.fixations(i), written[name])
    assert [len(ds.split(s)) for s in ("train", "val", "test")] == [2, 2, 2]
    assert [ds.split_of(n) for n in ("1400", "1401", "1500", "1501")] == [
        *("train", "val", "val", "test")
    ]


def test_osie_knows_order_and_duration_in_seconds(small_osie):
    trials = [np.ones((3, 2)), np.ones((0, 2)), np.ones((2, 2))]
    miniature.save_osie_gaze(small_osie / "eye" / "fixations.mat", {"1001.jpg": trials})
    fixations = datasets.load("osie", small_osie).fixations(0)
    assert fixations.order.tolist() == [0, 1, 2, 0, 1]
    assert fixations.duration.tolist() == [0.25, 0.251, 0.252, 0.25, 0.251]


def test_osie_is_found_in_the_official_tree(osie):
    root, _ = osie
    (root / "data").mkdir()
    for part in ("stimuli", "eye"):
        shutil.move(root / part, root / "data" / part)
    assert len(datasets.load("osie", root)) == 6


def test_osie_regions_and_scenes_are_the_shipped_annotation(osie):
    ds = datasets.load("osie", osie[0])
    shipped = json.loads((ANNOTATIONS / "osie_regions.json").read_text())["images"]
    for i, name in enumerate(ds.names):
        want = shipped.get(name, [])
        assert [r.category for r in ds.regions(i)] == [r["category"] for r in want]
        for got, region in zip(ds.regions(i), want, strict=True):
            assert got.polygon.tolist() == region["polygon"]
            assert got.sure == region["sure"]
    assert sum(len(ds.regions(i)) for i in range(len(ds))) > 0
    scenes = json.loads((ANNOTATIONS / "osie_scenes.json").read_text())
    assert list(ds.scenes) == scenes["classes"]
    assert ds.scene(0) == scenes["images"][ds.names[0]]["scene"]


def test_osie_fixations_and_polygons_follow_resized_images(osie):
    root, written = osie
    ds = datasets.load("osie", root)
    i = next(i for i in range(len(ds)) if ds.regions(i))
    polygon = ds.regions(i)[0].polygon
    miniature.write_image(ds.path(i), SMALL)
    ds = datasets.load("osie", root)
    assert ds.size_of(i) == SMALL
    assert_same_trials(ds.fixations(i), [t / 10 for t in written[ds.names[i]]])
    assert torch.allclose(ds.regions(i)[0].polygon, polygon / 10)


def test_osie_image_of_another_shape_is_an_error(small_osie):
    Image.new("RGB", (80, 80)).save(small_osie / "stimuli" / "1001.jpg")
    ds = datasets.load("osie", small_osie)
    with pytest.raises(ValueError, match=r"1001.jpg is 80×80 .* 800×600"):
        ds.fixations(0)


def test_fingerprint_follows_fixations_and_masks(small_osie):
    before = datasets.load("osie", small_osie).fingerprint, load_sr(small_osie).fingerprint
    alter(small_osie.parent / "osie_sr" / "SegmentationClass" / "1001.png")
    assert load_sr(small_osie).fingerprint != before[1]
    alter(small_osie / "eye" / "fixations.mat")
    assert datasets.load("osie", small_osie).fingerprint != before[0]


def test_osie_image_without_fixations_has_none(small_osie):
    miniature.save_osie_gaze(small_osie / "eye" / "fixations.mat", {"1401.jpg": [np.ones((2, 2))]})
    ds = datasets.load("osie", small_osie)
    assert len(ds[0].fixations) == 0
    assert len(ds.fixations(ds.names.index("1401"))) == 2


def test_osie_bad_positions_are_dropped_and_counted(small_osie):
    bad = np.array([[10, 10], [np.nan, 5], [900, 5], [5, 600.0], [-1, 5]])
    miniature.save_osie_gaze(small_osie / "eye" / "fixations.mat", {"1001.jpg": [bad]})
    with pytest.warns(UserWarning, match="osie/1001: 4 of 5 fixations"):
        assert len(datasets.load("osie", small_osie)[0].fixations) == 1


def test_osie_observer_without_recording_keeps_the_others_numbers(tmp_path):
    trial = {"fix_x": 3.0, "fix_y": 4.0, "fix_duration": 1.0}
    empty = np.zeros((0, 0))
    image = {"img": "1001.jpg", "subjects": miniature.cell([empty, trial, empty, trial])}
    savemat(tmp_path / "f.mat", {"fixations": miniature.cell([image])})
    assert read_gaze(tmp_path / "f.mat")["1001"].observer.tolist() == [1, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"gaze": 1.0, "other": 2.0}, "no variable 'fixations'. Variables in it: gaze, other"),
        ({"fixations": np.ones((3, 2))}, "no cell array of structs"),
        ({"fixations": miniature.cell([{"img": "1.jpg"}])}, "'subjects' is missing.*fields img"),
        ({"fixations": miniature.cell([{"img": 3.0}])}, "'img' is no file name"),
        (
            {
                "fixations": miniature.cell(
                    [{"img": "1.jpg", "subjects": miniature.cell([{"fix_x": [1.0], "fix_y": []}])}]
                )
            },
            "fix_x has 1 values, fix_y has 0",
        ),
    ],
)
def test_wrong_mat_names_file_and_variable(tmp_path, content, message):
    savemat(tmp_path / "wrong.mat", content)
    with pytest.raises(ValueError, match=rf"wrong\.mat.*{message}"):
        read_gaze(tmp_path / "wrong.mat")


def test_damaged_mat_is_one_clear_error_wherever_it_is_cut(small_osie):
    path = small_osie / "eye" / "fixations.mat"
    whole = path.read_bytes()
    for share in (0.0, 0.001, 0.01, 0.3, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ValueError, match=r"fixations\.mat"):
            read_gaze(path)


def test_mat_of_version_7_3_says_how_to_save_it(tmp_path):
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    (tmp_path / "new.mat").write_bytes(header + b"\x89HDF\r\n\x1a\n" + bytes(200))
    with pytest.raises(ValueError, match=r"new\.mat is a Matlab 7\.3 file; save it with"):
        read_mat(tmp_path / "new.mat", "fixations")


# --- osie_sr ------------------------------------------------------------------------------------


def load_sr(small_osie):
    return datasets.load("osie_sr", small_osie.parent / "osie_sr", osie=small_osie)


def test_osie_sr_regions_are_the_connected_instances(small_osie):
    root = small_osie.parent / "osie_sr"
    classes, objects = np.zeros((2, *SMALL), dtype=np.uint8)
    classes[5:20, 5:20], objects[5:20, 5:20] = 37, 1
    classes[5:8, 5:8] = 46  # a minority of instance 1
    classes[30:40, 10:20], objects[30:40, 10:20] = 51, 2
    classes[30:40, 40:50], objects[30:40, 40:50] = 51, 2  # its second part
    objects[0, 0] = 255  # labelme's "ignore"
    miniature.save_mask(root / "SegmentationClass" / "1001.png", classes)
    miniature.save_mask(root / "SegmentationObject" / "1001.png", objects)
    regions = load_sr(small_osie).regions(0)
    assert [r.category for r in regions] == ["text", "vehicle", "vehicle"]
    assert [int(r.mask.sum()) for r in regions] == [225, 100, 100]
    assert regions[0].mask.shape == SMALL


def test_osie_sr_knows_all_twelve_ids(small_osie):
    ds = load_sr(small_osie)
    assert {r.category for i in range(len(ds)) for r in ds.regions(i)} == set(CATEGORIES)
    assert (IDS[1], IDS[37], IDS[73]) == ("person_head", "text", "other")
    assert ds.scene(0) == datasets.load("osie", small_osie).scene(0)


def test_osie_sr_finds_osie_beside_it(small_osie, monkeypatch):
    monkeypatch.setenv("SALIENCYKIT_DATA", str(small_osie.parent))
    assert datasets.load("osie_sr").names == datasets.load("osie").names
    monkeypatch.setenv("SALIENCYKIT_DATA", str(small_osie))  # neither is there
    with pytest.raises(FileNotFoundError, match="saliencykit fetch osie`"):
        datasets.load("osie_sr", small_osie.parent / "osie_sr")


def test_osie_sr_reads_npy_and_never_unpickles(small_osie):
    root, want = small_osie.parent / "osie_sr", load_sr(small_osie).regions(0)
    for kind in ("SegmentationClass", "SegmentationObject"):
        mask = np.array(Image.open(root / kind / "1001.png")).astype(np.int32)
        (root / kind / "1001.png").unlink()
        np.save(root / kind / "1001.npy", np.where(mask == 0, -1, mask))
    got = load_sr(small_osie).regions(0)
    assert [r.category for r in got] == [r.category for r in want]
    assert all(torch.equal(a.mask, b.mask) for a, b in zip(got, want, strict=True))
    np.save(root / "SegmentationClass" / "1001.npy", np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"1001\.npy cannot be read .*Python objects"):
        load_sr(small_osie).regions(0)


def test_osie_sr_leaves_out_images_without_masks(small_osie):
    (small_osie.parent / "osie_sr" / "SegmentationObject" / "1001.png").unlink()
    assert "1001" not in load_sr(small_osie).names


@pytest.mark.parametrize(
    ("kind", "mask", "message"),
    [
        ("Class", np.full(SMALL, 2), "unknown class id 2. Known: 1, 10, 16"),
        ("Class", np.full((50, 80), 1), "is 80×50 pixels, its image .*1001.jpg is 80×60"),
        ("Object", np.full((60, 8), 1), "is 8×60 pixels"),
        ("Class", np.zeros(SMALL), "instance 1 lies on background only"),
    ],
)
def test_osie_sr_bad_masks(small_osie, kind, mask, message):
    path = small_osie.parent / "osie_sr" / f"Segmentation{kind}" / "1001.png"
    miniature.save_mask(path, mask)
    with pytest.raises(ValueError, match=rf"1001\.png.*{message}"):
        load_sr(small_osie).regions(0)


def test_osie_sr_colour_picture_is_no_mask(small_osie):
    path = small_osie.parent / "osie_sr" / "SegmentationClass" / "1001.png"
    Image.new("RGB", (80, 60)).save(path)
    with pytest.raises(ValueError, match=r"1001\.png .*mode is RGB"):
        load_sr(small_osie).regions(0)


# --- the real OSIE ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_osie(real_data):
    ds = datasets.load("osie", real_data / "osie")
    if len(ds.split("train")) + len(ds.split("val")) < 500:
        pytest.skip(f"only {len(ds)} of OSIE's images are in {ds.folder}")
    return ds.subset([n for n in ds.names if int(n) <= 1500])


def test_real_osie_is_whole(real_osie):
    ds = real_osie
    assert (len(ds), len(ds.split("train")), len(ds.split("val"))) == (500, 400, 100)
    gaze = [ds.fixations(i) for i in range(len(ds))]
    assert sum(map(len, gaze)) == 69_876
    assert {len(f.observer.unique()) for f in gaze} == {15}
    assert all(len(f.inside(600, 800)) == len(f) for f in gaze)
    assert sum(len(ds.regions(i)) for i in range(len(ds))) == 1_789
    assert all(ds.scene(i) in ds.scenes for i in range(len(ds)))


def test_real_osie_regions_hold_the_fixations_that_the_annotation_counted(real_osie):
    """Position, observer and polygon conventions together: one wrong, and the counts part."""
    shipped = json.loads((ANNOTATIONS / "osie_regions.json").read_text())["images"]
    agree = []
    for i in range(0, len(real_osie), 10):
        fixations, regions = real_osie.fixations(i), real_osie.regions(i)
        first = torch.diff(fixations.observer, prepend=torch.tensor([-1])) > 0
        x, y = (v[~first].long() for v in (fixations.x, fixations.y))
        for region, want in zip(regions, shipped[real_osie.names[i]], strict=True):
            agree.append(abs(region.as_mask(600, 800)[y, x].sum() - want["fixations"]) <= 1)
    assert np.mean(agree) > 0.95
