"""P3 and O3: miniature trees in the official layouts, and what is said of damaged ones."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from saliencykit import datasets
from saliencykit.datasets.fetch import fetch
from saliencykit.datasets.p3o3 import Shrunk
from tests import miniature


@pytest.fixture
def p3(tmp_path):
    return tmp_path, miniature.write_p3(tmp_path)


@pytest.fixture
def o3(tmp_path):
    return tmp_path, miniature.write_o3(tmp_path)


def test_p3_reads_images_masks_and_table(p3):
    root, truth = p3
    ds = datasets.load("p3", root)
    assert ds.names == list(truth)
    table = ds.table
    assert table["name"].tolist() == ds.names
    assert table["feature"].tolist() == ["colour"] * 2 + ["orientation"] * 2 + ["size"] * 2
    assert set(table["set_size"]) == {49}
    assert table["position"].tolist() == [3, 10] * 3
    assert set(table["background"]) == {"#7f7f7f"}
    for i, (x, y, masks) in enumerate(truth.values()):
        assert (table["x"][i], table["y"][i]) == (x, y)
        assert ds.image(i).shape == (3, 70, 70)
        assert (ds.size_of(i), len(ds.fixations(i))) == ((70, 70), 0)
        assert ds.targets(i).dtype == torch.bool
        np.testing.assert_array_equal(ds.targets(i), masks[0])
        np.testing.assert_array_equal(ds.distractors(i), masks[1])
        np.testing.assert_array_equal(ds.targets(i, soft=True), masks[0].astype(np.float32))


def test_o3_cuts_jpeg_noise_and_keeps_it_when_asked(o3):
    root, truth = o3
    ds = datasets.load("o3", root)
    assert ds.names == list(truth)
    noisy = 0
    for i, (_, _, masks) in enumerate(truth.values()):
        for read, mask in zip((ds.targets, ds.distractors), masks, strict=True):
            np.testing.assert_array_equal(read(i), mask)
            soft = read(i, soft=True)
            assert soft.dtype == torch.float32
            assert 0 <= soft.min() <= soft.max() <= 1
            noisy += int(((soft > 0) & (soft < 1)).sum())
    assert noisy > 0


def test_o3_says_what_the_target_differs_in(o3):
    table = datasets.load("o3", o3[0]).table
    assert table["feature"].tolist() == ["", "orientation", "color+orientation"]
    assert table["color"].tolist() == [False, False, True]
    assert table["set_size"].tolist() == [4, 4, 4]
    assert table["x"].tolist() == [x for x, _, _ in o3[1].values()]


def test_subsets_keep_their_rows(p3):
    ds = datasets.load("p3", p3[0])
    part = ds.subset(ds.names[3:1:-1])
    assert part.table["name"].tolist() == part.names
    assert len(ds.split("test")) == len(ds)
    assert len(ds.split("train")) == 0


@pytest.mark.parametrize(("name", "write", "size"), [("p3", "write_p3", (70, 70)),
                                                     ("o3", "write_o3", (60, 80))])  # fmt: skip
def test_shrunk_images_keep_items_in_their_places(tmp_path, name, write, size):
    getattr(miniature, write)(tmp_path)
    ds = datasets.load(name, tmp_path)
    small, same = Shrunk(ds, size[0] // 2), Shrunk(ds, 1000)
    assert (small.name, len(small), small.size_of(0)) == (
        name,
        len(ds),
        tuple(n // 2 for n in size),
    )
    assert same.size_of(1) == size  # nothing is enlarged
    np.testing.assert_array_equal(same.image(1), ds.image(1))
    for i in range(len(ds)):
        assert small.image(i).shape == (3, *small.size_of(i))
        for masks in ("targets", "distractors"):
            own, shown = getattr(ds, masks)(i), getattr(small, masks)(i)
            np.testing.assert_array_equal(getattr(same, masks)(i), own)
            assert shown.dtype == torch.bool
            assert shown.shape == small.size_of(i)
            centre, moved = (m.nonzero().float().mean(0) for m in (own, shown))
            np.testing.assert_allclose(moved + 0.5, (centre + 0.5) / 2, atol=1)
    part = small.subset(small.names[1:])
    np.testing.assert_array_equal(part.image(0), small.image(1))
    assert len({small.fingerprint, same.fingerprint, part.fingerprint}) == 3
    assert len(small.split("test")) == len(ds)
    assert len(small.fixations(0)) == 0
    with pytest.raises(ValueError, match="tall is 0"):
        Shrunk(ds, 0)


def test_o3_properties_may_be_named_txt(o3):
    root, _ = o3
    (root / "image_properties.csv").rename(root / "image_properties.txt")
    assert len(datasets.load("o3", root).table) == 3


def test_p3_takes_the_masks_of_the_authors_example(p3):
    root, truth = p3
    for kind, other in (("targ_labels", "targ_images"), ("dist_labels", "dist_images")):
        (root / "sizes" / kind).rename(root / "sizes" / other)
    ds = datasets.load("p3", root)
    np.testing.assert_array_equal(ds.targets(4), truth[ds.names[4]][2][0])


@pytest.mark.parametrize("name", ["p3", "o3"])
def test_nothing_there_says_where_to_get_it(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=f"Data set {name!r}: no .*images"):
        datasets.load(name, tmp_path)
    with pytest.raises(FileNotFoundError, match=rf"(?s)P3O3/.*{name.upper()}_data\.zip") as caught:
        fetch(name, tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(("name", "write"), [("p3", "write_p3"), ("o3", "write_o3")])
def test_fetch_leaves_what_is_there(tmp_path, name, write):
    getattr(miniature, write)(tmp_path)
    assert fetch(name, tmp_path) == tmp_path


def test_a_missing_mask_is_named(o3):
    root, _ = o3
    ds = datasets.load("o3", root)
    lost = root / "dist_labels" / f"{ds.names[1]}.jpg"
    lost.unlink()
    assert ds.targets(1).any()
    with pytest.raises(FileNotFoundError, match=rf"dist_labels.{lost.name} is not there"):
        ds.distractors(1)


def test_a_mask_of_another_size_is_named(p3):
    root, _ = p3
    ds = datasets.load("p3", root)
    file = f"{ds.names[0].split('/')[1]}.png"
    Image.new("L", (60, 70)).save(root / "colors" / "targ_labels" / file)
    with pytest.raises(ValueError, match=rf"{file} is 60×70 pixels, its image .*{file} is 70×70"):
        ds.targets(0)


def test_a_damaged_mask_is_named(o3):
    root, _ = o3
    ds = datasets.load("o3", root)
    path = root / "targ_labels" / f"{ds.names[0]}.jpg"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=rf"{path.name} cannot be read as a mask"):
        ds.targets(0)


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "message"),
    [
        ("p3", "colors/image_properties.txt", "t_pos", "pos", "line 1: no column t_pos. Columns"),
        ("p3", "sizes/image_properties.txt", ",10,", ",50,", "line 3: t_pos is not 1 to 49"),
        ("p3", "sizes/image_properties.txt", ",10,", ",,", "line 3: t_pos is not 1 to 49"),
        ("p3", "sizes/image_properties.txt", ",10,", ",x,", "line 3: t_pos is 'x', not a number"),
        ("o3", "image_properties.csv", "target_x", "x", "line 1: no column target_x"),
        ("o3", "image_properties.csv", ",3,", ",few,", "line 2: num_distractors is 'few'"),
    ],
)
def test_malformed_properties_are_named_with_the_line(tmp_path, name, file, old, new, message):
    getattr(miniature, f"write_{name}")(tmp_path)
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=rf"{file.split('/')[-1]}.*{message}"):
        datasets.load(name, tmp_path)


def test_no_properties_at_all(o3):
    root, _ = o3
    (root / "image_properties.csv").unlink()
    with pytest.raises(FileNotFoundError, match="no image_properties"):
        datasets.load("o3", root)


def test_an_image_that_is_not_listed_is_named(o3):
    root, _ = o3
    shutil.copy(next((root / "images").iterdir()), root / "images" / "stranger.jpg")
    ds = datasets.load("o3", root)
    with pytest.raises(ValueError, match=r"stranger\.jpg and 0 more images are not listed"):
        _ = ds.table


@pytest.mark.parametrize("touched", ["targ_labels", "images"])
def test_fingerprint_follows_images_masks_and_properties(o3, touched):
    root, _ = o3
    before = datasets.load("o3", root).fingerprint
    miniature.alter(next((root / touched).iterdir()))
    assert datasets.load("o3", root).fingerprint != before
    path = root / "image_properties.csv"
    path.write_text(path.read_text().replace(",3,", ",4,"))
    assert datasets.load("o3", root).table["set_size"].tolist() == [5, 5, 5]


@pytest.mark.parametrize(("name", "write"), [("p3", "write_p3"), ("o3", "write_o3")])
def test_an_image_that_is_listed_twice_is_named(tmp_path, name, write):
    getattr(miniature, write)(tmp_path)
    path = next(tmp_path.rglob("image_properties.*"))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[1]]))
    with pytest.raises(ValueError, match=rf"line {len(lines) + 1}: image .* is there twice"):
        datasets.load(name, tmp_path)
