"""SALICON and a user's own folder: layouts written small, and bad input."""

import json
import shutil
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from scipy.io import savemat

from saliencykit import datasets
from saliencykit.datasets.types import CATEGORIES
from saliencykit.registry import UnknownNameError
from tests import miniature
from tests.miniature import alter, assert_same_trials

SMALL = (60, 80)
FEW = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def folder(tmp_path):
    miniature.write_folder(tmp_path, n=4)
    return tmp_path


# --- salicon ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["mat", "json"])
def test_salicon_reads_what_was_written(tmp_path, form):
    written = miniature.write_salicon(tmp_path, n=(3, 2, 1), size=SMALL, form=form)
    ds = datasets.load("salicon", tmp_path)
    assert [len(ds.split(s)) for s in ("train", "val", "test")] == [3, 2, 1]
    for name, trials in written.items():
        fixations = ds.fixations(ds.names.index(name))
        assert_same_trials(fixations, trials, shift=1)
        assert fixations.order.tolist() == [k for trial in trials for k in range(len(trial))]
        assert fixations.duration is None
    assert len(ds.split("test")[0].fixations) == 0


@pytest.mark.parametrize("form", ["mat", "json"])
def test_salicon_counts_from_one_and_clips(tmp_path, form):
    miniature.write_salicon(tmp_path, n=(1, 0, 0), size=SMALL, form=form)
    trial = np.array([[1.0, 1.0], [80, 60], [83, 64], [0, 30]])
    here = {"COCO_train2014_000000000001": [trial]}
    miniature.save_salicon_split(tmp_path, "train", here, SMALL, form)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fixations = datasets.load("salicon", tmp_path)[0].fixations
    assert fixations.x.tolist() == [0, 79, 79, 0]
    assert fixations.y.tolist() == [0, 59, 59, 29]


@pytest.mark.parametrize("form", ["mat", "json"])
def test_fingerprint_follows_the_fixations(tmp_path, form):
    miniature.write_salicon(tmp_path, n=(2, 1, 0), size=SMALL, form=form)
    before = datasets.load("salicon", tmp_path).fingerprint
    some = tmp_path / "fixations_val2014.json"
    if form == "mat":
        some = next((tmp_path / "fixations" / "val").iterdir())
    alter(some)
    assert datasets.load("salicon", tmp_path).fingerprint != before


def test_folder_fingerprint_follows_the_files_beside_the_images(folder):
    seen = {datasets.load("folder", folder).fingerprint}
    alter(folder / "fixations.csv")
    seen.add(datasets.load("folder", folder).fingerprint)
    write_json(folder / "regions.json", images={"photo0": [box("text")]})
    seen.add(datasets.load("folder", folder).fingerprint)
    assert len(seen) == 3


def test_salicon_opens_no_mat_until_asked(tmp_path):
    miniature.write_salicon(tmp_path, n=(3, 1, 0), size=SMALL)
    for path in (tmp_path / "fixations").rglob("*.mat"):
        path.write_bytes(b"not a .mat")
    ds = datasets.load("salicon", tmp_path)
    assert len(ds) == 4
    with pytest.raises(ValueError, match=r"COCO_train2014_000000000001\.mat cannot be read"):
        ds.fixations(0)


def test_salicon_nan_is_dropped_and_counted_and_nobody_looking_is_fine(tmp_path):
    miniature.write_salicon(tmp_path, n=(2, 0, 0), size=SMALL)
    here = {
        "COCO_train2014_000000000001": [np.array([[np.nan, 4.0], [5, 6]])],
        "COCO_train2014_000000000002": [np.zeros((0, 2))],
    }
    miniature.save_salicon_split(tmp_path, "train", here, SMALL)
    ds = datasets.load("salicon", tmp_path)
    with pytest.warns(UserWarning, match="000001: 1 of 2 fixations"):
        assert len(ds[0].fixations) == 1
    assert len(ds[1].fixations) == 0


def test_salicon_says_which_mat_or_variable_or_folder_is_missing(tmp_path):
    miniature.write_salicon(tmp_path, n=(1, 1, 0), size=SMALL)
    ds = datasets.load("salicon", tmp_path)
    mat = tmp_path / "fixations" / "train" / f"{ds.names[0]}.mat"
    savemat(mat, {"resolution": [[60, 80]], "gase": 1})
    with pytest.raises(ValueError, match=rf"{mat.name} has no variable 'gaze'.*resolution"):
        ds.fixations(0)
    mat.unlink()
    with pytest.raises(FileNotFoundError, match=mat.name):
        ds.fixations(0)
    shutil.rmtree(tmp_path / "fixations" / "val")
    with pytest.raises(FileNotFoundError, match="no fixations/val/ "):
        datasets.load("salicon", tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": [],\n "annotations": [}', r"fixations_train2014\.json, line 2"),
        ('{"images": []}', "not SALICON's form.*KeyError 'annotations'"),
        ("[1, 2]", "expected a JSON object"),
        (
            '{"images": [], "annotations": [{"image_id": 4, "worker_id": 2, "fixations": [7]}]}',
            "image_id 4, worker_id 2: expected an N×2 list",
        ),
    ],
)
def test_salicon_malformed_json_is_named(tmp_path, text, message):
    miniature.write_salicon(tmp_path, n=(1, 0, 0), size=SMALL, form="json")
    (tmp_path / "fixations_train2014.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        datasets.load("salicon", tmp_path).fixations(0)


# --- folder -------------------------------------------------------------------------------------


def write_json(path, **content):
    path.write_text(json.dumps(content))


def box(category, **more):
    return {"category": category, "polygon": [[1, 1], [20, 1], [20, 20]], **more}


def test_folder_of_bare_images_one_level_deep(tmp_path):
    miniature.write_image(tmp_path / "a.jpg", SMALL)
    miniature.write_image(tmp_path / "sub" / "b.png", SMALL)
    miniature.write_image(tmp_path / "sub" / "deeper" / "c.png", SMALL)
    (tmp_path / ".hidden.png").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("x")
    ds = datasets.load("folder", tmp_path)
    assert ds.names == ["a", "sub/b"]
    assert (len(ds[1].fixations), ds[1].regions, ds[1].scene) == (0, [], None)
    assert tuple(ds.categories) == CATEGORIES


def test_folder_takes_names_with_and_without_suffix_and_named_observers(folder):
    rows = [("photo0", 1, 2, "zoe"), ("photo0.png", 3.5, 4.25, "ann"), ("photo1", 5, 6, "zoe")]
    miniature.save_table(folder / "fixations.csv", ("observer", "y", "image", "x"), [])
    miniature.save_table(folder / "fixations.csv", ("image", "x", "y", "observer"), rows)
    ds = datasets.load("folder", folder)
    assert ds.fixations(0).x.tolist() == [1, 3.5]
    assert ds.fixations(0).observer.tolist() == [1, 0]
    assert ds.fixations(1).observer.tolist() == [1]  # one number a person, over all images


def test_folder_takes_order_and_duration_where_they_are(folder):
    columns = ("image", "x", "y", "observer", "duration", "order")
    rows = [("photo0", 1, 2, 0, 0.25, 1), ("photo1", 3, 4, 0, 0.5, 0), ("photo0", 5, 6, 0, "", 0)]
    assert datasets.load("folder", folder).fixations(0).duration is None
    assert datasets.load("folder", folder).fixations(0).order is None
    miniature.save_table(folder / "fixations.csv", columns, rows)
    fixations = datasets.load("folder", folder).fixations(0)
    assert fixations.order.tolist() == [1, 0]
    assert fixations.duration[0] == 0.25
    assert fixations.duration[1].isnan()


def test_order_that_counts_from_one_is_made_to_count_from_zero(folder):
    head = "image,x,y,observer,order\n"
    rows = "photo0,1,2,a,2.0\nphoto0,3,4,a,1.0\nphoto0,3,4,b,1\nphoto1,3,4,b,1.\n"
    (folder / "fixations.csv").write_text(head + rows)
    with pytest.warns(UserWarning, match=r"fixations\.csv: order begins at 1") as told:
        ds = datasets.load("folder", folder)
    assert len(told) == 1
    assert [ds.fixations(i).order.tolist() for i in (0, 1)] == [[1, 0, 0], [0]]
    (folder / "fixations.csv").write_text(head + rows + "photo1,1,1,c,0.0\n")
    ds = datasets.load("folder", folder)
    assert [ds.fixations(i).order.tolist() for i in (0, 1)] == [[2, 1, 1], [1, 0]]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("image,x,y,observer\nphoto0,3,4,b,\n\nphoto0,5,6,a,\n", "utf-8"),
        ("image\tx\ty\tobserver\t\nphoto0\t3\t4\tb\t\nphoto0\t5\t6\ta\t\n", "utf-16"),
        ("image;x;y;observer\r\nphoto0;3;4;b\r\nphoto0;5;6;a\r\n", "utf-8-sig"),
    ],
)
def test_tables_of_the_usual_kinds_are_read_alike(folder, text, encoding):
    (folder / "fixations.csv").write_bytes(text.encode(encoding))
    fixations = datasets.load("folder", folder).fixations(0)
    assert (fixations.x.tolist(), fixations.y.tolist()) == ([3, 5], [4, 6])
    assert fixations.observer.tolist() == [1, 0]


def test_observers_are_names_not_indices(folder):
    rows = [("photo0", 3, 4, day) for day in (20240110, 20240102, 9, 20240110)]
    miniature.save_table(folder / "fixations.csv", ("image", "x", "y", "observer"), rows)
    assert datasets.load("folder", folder).fixations(0).observer.tolist() == [2, 1, 0, 2]


def test_whole_positions_may_be_small(folder):
    rows = [("photo0", 1, 0, 0), ("photo0", 0, 1, 0)]
    miniature.save_table(folder / "fixations.csv", ("image", "x", "y", "observer"), rows)
    assert len(datasets.load("folder", folder)[0].fixations) == 2


def test_folder_own_categories_scenes_and_image_size(folder):
    write_json(
        folder / "regions.json",
        categories=["sign", "sky"],
        image_size=[240, 180],  # the images are 120×90
        images={"photo0.png": [box("sky", sure=False)], "photo1": [box("sign")]},
    )
    write_json(folder / "scenes.json", images={"photo1": {"scene": "street"}})
    ds = datasets.load("folder", folder)
    assert list(ds.categories) == ["sign", "sky"]
    assert ds.regions(0)[0].category == "sky"
    assert not ds.regions(0)[0].sure
    assert ds.regions(0)[0].polygon[1].tolist() == [10, 0.5]
    assert (list(ds.scenes), ds.scene(0), ds.scene(1)) == (["street"], None, "street")


def test_folder_warns_and_counts_what_is_not_there(folder):
    rows = [("photo0", 1, 2, 0), ("ghost", 1, 2, 0), ("ghost", 3, 2, 0), ("spook", 1, 1, 0)]
    miniature.save_table(folder / "fixations.csv", ("image", "x", "y", "observer"), rows)
    write_json(folder / "regions.json", images={"ghost": [box("text")]})
    with pytest.warns(UserWarning, match="entries name") as caught:
        ds = datasets.load("folder", folder)
    texts = [str(w.message) for w in caught]
    assert any("fixations.csv: 3 of 4 entries name 2 images" in t for t in texts)
    assert any("regions.json: 1 of 1 entries name 1 images" in t for t in texts)
    assert len(ds.fixations(0)) == 1


def test_folder_nan_is_dropped_and_counted(folder):
    rows = [
        ("photo0", "", 2, 0),
        ("photo0", "nan", 2, 0),
        ("photo0", 500, 2, 0),
        ("photo0", 1, 1, 0),
    ]
    miniature.save_table(folder / "fixations.csv", ("image", "x", "y", "observer"), rows)
    with pytest.warns(UserWarning, match="folder/photo0: 3 of 4 fixations"):
        assert len(datasets.load("folder", folder)[0].fixations) == 1


def test_folder_splits_by_file_or_by_a_hash_that_newcomers_do_not_change(folder):
    before = {n: datasets.load("folder", folder).split_of(n) for n in ("photo0", "photo1")}
    miniature.write_folder(folder, n=60, size=(6, 8))
    ds = datasets.load("folder", folder)
    assert {n: ds.split_of(n) for n in before} == before
    assert len(ds.split("train")) > len(ds.split("val")) > 0 < len(ds.split("test"))
    rows = [(n, "val" if n == "photo7" else "test") for n in ds.names]
    miniature.save_table(folder / "splits.csv", ("image", "split"), rows)
    ds = datasets.load("folder", folder)
    assert ds.split("val").names == ["photo7"]
    assert len(ds.split("train")) == 0


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("fixations.csv", "image,x,y\n", "line 1: no column observer. Columns in it: image, x, y"),
        ("fixations.csv", "image|x|y|observer\n", "no column image, x, y, observer"),
        ("fixations.csv", "image,x,y,observer\nphoto0,1,2,0,9\nphoto0,1,2,0\n", "line 2: 5 val"),
        ("fixations.csv", "image,x,y,x,observer\n", "line 1: there are two columns x"),
        ("fixations.csv", "image;x;y;observer\nphoto0;1,5;2;0\n", "line 2: x is '1,5'.*decimal"),
        ("fixations.csv", 'image,x,y,observer\n"photo0,1,2,0\n', "unexpected end of data"),
        (
            "fixations.csv",
            "image,x,y,observer\nphoto0,0.5,0,0\nphoto0,1,0.25,0\nphoto0,nan,,0\n",
            "of 2 positions, x from 0.5 to 1.*fractions of the image.s sides.*--units fraction",
        ),
        ("fixations.csv", "", "cannot be read as CSV"),
        (
            "fixations.csv",
            "image,x,y,observer\n\nphoto0,1,2,0\nphoto0,1,two,0\n",
            "line 4: y is 'two'",
        ),
        ("fixations.csv", "image,x,y,observer\nphoto0,1,2,0\nphoto0,1,2,0,9,9\n", "line 3"),
        (
            "fixations.csv",
            "image,x,y,observer,order\nphoto0,1,2,0,0\nphoto0,1,2,0,1.5\n",
            "line 3: order is '1.5', not 0, 1, 2",
        ),
        ("fixations.csv", "image,x,y,observer\nphoto0,1,2,a\nphoto0,5,6,\n", "line 3: observer is"),
        (
            "fixations.csv",
            "image,x,y,observer,duration\n\nphoto0,1,2,0,-0.2\n",
            "line 3: duration is -0.2, below 0",
        ),
        (
            "fixations.csv",
            "image,x,y,observer,duration\nphoto0,1,2,0,210\nphoto0,1,2,0,190\n",
            "half of the durations are above 200; they are to be in seconds",
        ),
        ("splits.csv", "image,split\nphoto0,trian\n", "line 2: 'trian'. Did you mean 'train'"),
        ("splits.csv", "image,split\nphoto0,train\n", "no split for 3 images, the first 'photo1'"),
        ("regions.json", '{"images":\n {"photo0": [}}', "line 2: not valid JSON"),
        ("regions.json", '{"photo0": []}', 'no object "images" in it; it has photo0'),
        ("regions.json", '{"images": {"photo0": {}}}', "expected a list"),
        (
            "regions.json",
            '{"images": {"photo0": [{"category": "text"}]}}',
            "1: a region needs",
        ),
        (
            "regions.json",
            '{"images": {"photo0": [{"category": "text", "polygon": [[1, 2], [3, 4]]}]}}',
            "image photo0, region 1: a polygon needs three",
        ),
        (
            "regions.json",
            '{"images": {"photo0": [{"category": "texd", "polygon": [[1, 2], [3, 4], [1, 4]]}]}}',
            "image photo0, region 1: 'texd'. Did you mean 'text'",
        ),
        ("scenes.json", '{"images": {"photo0": {"sure": true}}}', 'image photo0: no "scene"'),
        ("scenes.json", '{"classes": ["a"], "images": {"photo0": {"scene": "b"}}}', "photo0: 'b'"),
    ],
)
def test_folder_malformed_files_are_named_with_the_place(folder, file, text, message):
    (folder / file).write_text(text)
    with pytest.raises((ValueError, UnknownNameError), match=f"{file}.*{message}"):
        datasets.load("folder", folder)


def test_a_table_of_windows_says_what_to_save(folder):
    text = "image,x,y,observer\nphoto0,1,2,Jörg\n"
    (folder / "fixations.csv").write_bytes(text.encode("cp1252"))
    with pytest.raises(ValueError, match=r"fixations\.csv cannot be read.*'CSV UTF-8'"):
        datasets.load("folder", folder)


def test_folder_two_images_of_one_name(folder):
    miniature.write_image(folder / "photo0.jpg", SMALL)
    with pytest.raises(ValueError, match=r"photo0\.\w+ and .*photo0\.\w+ have one name"):
        datasets.load("folder", folder)
