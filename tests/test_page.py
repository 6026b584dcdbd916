"""The explorer as one page: its numbers and maps are the package's; nobody's files are lost."""

import base64
import json
import os
import re
import zlib

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from saliencykit import cli
from saliencykit.analyses.unit_explorer import page
from saliencykit.analyses.unit_explorer.figures import UnitExplorer
from saliencykit.analyses.unit_explorer.tables import every_unit, telling_units
from saliencykit.datasets import Region
from saliencykit.dissection import OverTrainings, dissect, mean_of
from saliencykit.metrics.upsampling import moments
from saliencykit.models import build_encoder
from saliencykit.registry import UnknownNameError
from tests.conftest import Scattered

LAYERS = ["conv1_1", "conv3_3"]
SIZE = (96, 128)  # of networks' input: maps of conv1_1 are larger than those of the page


def small_explorer(data):
    """An explorer of two untaught networks, the first of them "trained" three times."""
    torch.manual_seed(0)
    encoders = [build_encoder("toyvgg", None) for _ in range(4)]
    found = [dissect(e, data, LAYERS, size=SIZE, progress=False) for e in encoders]
    networks = dict(zip(("after", "before"), encoders, strict=False))
    results = dict(zip(networks, found, strict=False))
    others = {"after": found[2:]}
    return UnitExplorer(networks, results, {}, data, SIZE, LAYERS, LAYERS[-1], 6, others, ())


@pytest.fixture(scope="module")
def explorer():
    return small_explorer(Scattered(20))


@pytest.fixture
def folder(explorer, tmp_path):
    page.write(explorer, tmp_path / "page", "dark", {"profile": "none", "encoder": "toyvgg"})
    return tmp_path / "page"


def told(folder):
    """What the page's script is given."""
    text = (folder / "index.html").read_text(encoding="utf-8")
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1]
    )


def unpacked(folder, k, layer, images):
    """Region NSS [network, region, unit] and maps [network, image, unit, y, x] of a layer."""
    text = (folder / layer["file"]).read_text(encoding="utf-8")
    content = zlib.decompress(
        base64.b64decode(re.fullmatch(rf'received\({k}, "(.*)"\);\n', text)[1])
    )
    units, regions = len(layer["units"]), sum(len(image["regions"]) for image in images)
    scores = np.frombuffer(content, np.float32, 2 * regions * units).reshape(2, regions, units)
    maps = np.frombuffer(content, np.uint8, offset=scores.nbytes)
    return scores, maps.reshape(2, len(images), units, *layer["shape"])


def test_numbers_of_every_unit_are_those_of_one_unit_alone(explorer):
    results = explorer.every("after")
    table = every_unit(results, "conv3_3").set_index(["category", "unit"])
    for unit in (0, 9):
        alone = OverTrainings.of(results, mean_of("conv3_3", unit)).table().set_index("category")
        mine = table.xs(unit, level="unit").loc[alone.index]
        pd.testing.assert_frame_equal(mine, alone, rtol=1e-5, atol=1e-6)
    single = every_unit(results[:1], "conv3_3").pivot(
        index="category", columns="unit", values="value"
    )
    expected = results[0].selectivity("conv3_3").loc[single.index]
    np.testing.assert_allclose(single, expected, rtol=1e-5, atol=1e-6)


def test_telling_units_are_the_best_and_the_most_changed():
    def table(*rows):
        long = pd.DataFrame(rows, index=["a", "b"]).melt(ignore_index=False, var_name="unit")
        return long.rename_axis("category").reset_index()

    after = table([5.0, 0, 4, 1, 0, 2], [np.nan] * 6)
    before = table([4.5, 0, 1, 3, 0, 2], [np.nan] * 6)
    assert telling_units(after, before) == [0, 2, 3]  # best of both, risen, fallen
    assert telling_units(before, after) == [0, 2, 3]


def test_numbers_on_the_page_are_the_package_s(explorer, folder):
    data = told(folder)
    names = [name for name, _ in data["categories"]]
    assert names == explorer.categories
    assert names[data["category"]] == "dark"
    assert data["networks"] == [
        {"name": "after", "trainings": 3},
        {"name": "before", "trainings": 1},
    ]
    shallow, deep = data["layers"]
    assert (shallow["name"], deep["name"]) == tuple(LAYERS)
    assert deep["units"] == list(range(32))
    both = [every_unit(explorer.every(network), "conv1_1") for network in ("after", "before")]
    assert shallow["units"] == telling_units(*both)
    assert (shallow["of"], deep["of"]) == (8, 32)
    for layer in data["layers"]:
        for k, network in enumerate(("after", "before")):
            table = every_unit(explorer.every(network), layer["name"])
            table = table[table["unit"].isin(layer["units"])].set_index(["category", "unit"])
            pairs = [(c, u) for c in names for u in layer["units"]]
            for column in ("value", "low", "high"):
                shown = np.array(layer[column][k], float).ravel()
                np.testing.assert_allclose(shown, table.loc[pairs, column], atol=6e-5)
            singles = [np.ravel(np.array(one, float)) for one in layer["singles"][k]]
            assert len(singles) == (3 if network == "after" else 1)
            for s, one in enumerate(singles):
                np.testing.assert_allclose(one, table.loc[pairs, f"training {s + 1}"], atol=6e-5)


def test_maps_and_regions_on_the_page_are_the_package_s(explorer, folder):
    data = told(folder)
    names = [image["name"] for image in data["images"]]
    assert names == explorer.data.names
    categories = [[explorer.data.categories[c] for c, _ in i["regions"]] for i in data["images"]]
    for k, layer in enumerate(data["layers"]):
        scores, maps = unpacked(folder, k, layer, data["images"])
        for n, network in enumerate(("after", "before")):
            result, start = explorer.results[network], 0
            for i, name in enumerate(names):
                rows = np.flatnonzero(result.regions["image"] == name)
                assert result.regions["category"].iloc[rows].tolist() == categories[i]
                own = result.of(layer["name"])[rows][:, layer["units"]]
                np.testing.assert_array_equal(scores[n, start : start + len(rows)], own)
                start += len(rows)
                unit = explorer.activity.unit(network, layer["name"], layer["units"][-1], i)
                assert layer["shape"] == [
                    min(a, b) for a, b in zip(unit.shape, page.GRID, strict=True)
                ]
                if layer["shape"] == list(unit.shape):
                    seen, kept = zscored(unit), zscored(torch.tensor(maps[n, i, -1]).float())
                    torch.testing.assert_close(kept, seen, atol=1e-4, rtol=0)
            assert start == scores.shape[1]


def zscored(values):
    mean, variance = moments(values[None], SIZE)
    return (values - mean) / variance.sqrt()


def test_outlines_and_fixations_are_in_the_pictures_pixels(explorer, folder):
    image = told(folder)["images"][0]
    tall, wide = image["size"]
    assert (tall, wide) == (360, 480)
    cx, cy = explorer.data.spots[image["name"]]
    bright = next(path for category, path in image["regions"] if category == 0)
    dots = np.array([dot.split(",") for dot in re.findall(r"[-\d]+,[-\d]+", bright)], int)
    scale = 360 / 48
    for (low, high), centre in zip(
        zip(dots.min(0), dots.max(0), strict=True), (int(cx), int(cy)), strict=True
    ):
        assert (low, high) == pytest.approx(((centre - 8) * scale, (centre + 8) * scale), abs=1.5)
    first = explorer.data.names.index(image["name"])
    looks = explorer.data.fixations(first).inside(48, 64)
    np.testing.assert_allclose(
        np.array(image["fixations"]), np.stack([looks.x, looks.y], 1) * scale, atol=0.51
    )


def test_a_region_with_a_hole_has_two_outlines():
    mask = torch.zeros(40, 40, dtype=torch.bool)
    mask[5:35, 5:35] = True
    mask[15:25, 15:25] = False
    path = page._outline(Region("a", mask=mask), (40, 40), (40, 40))
    assert path.count("M") == path.count("Z") == 2
    assert page._outline(Region("a", mask=mask & False), (40, 40), (40, 40)) == ""


def test_nothing_of_another_server_is_on_the_page(folder):
    for path in folder.iterdir():
        assert "://" not in path.read_text(encoding="utf-8")
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert str(folder.parent) not in text


def test_photographs_are_said_to_be_private(explorer, folder, tmp_path, monkeypatch):
    assert "keep this page to yourself" in (folder / "index.html").read_text(encoding="utf-8")
    monkeypatch.setattr(type(explorer.data), "shareable", True)
    files = page.write(explorer, tmp_path / "shared", docs="../docs/")
    text = files[0].read_text(encoding="utf-8")
    assert "keep this page to yourself" not in text
    assert '<a href="../docs/">' in text


def test_the_page_links_to_the_checkout_that_it_lies_in_alone(explorer, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "ROOT", tmp_path / "checkout")
    (tmp_path / "checkout" / "docs").mkdir(parents=True)
    (tmp_path / "checkout" / "docs" / "explorer.md").touch()
    inside, outside = (
        page.write(explorer, folder)[0].read_text(encoding="utf-8")
        for folder in (tmp_path / "checkout" / "site" / "page", tmp_path / "elsewhere")
    )
    assert '<a href="../../docs/explorer.md">' in inside
    assert "<a href" not in outside
    assert "checkout" not in inside + outside


def test_a_page_is_written_over_and_nothing_else(explorer, folder, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(before) == {"index.html", "layer0.js", "layer1.js"}
    monkeypatch.setattr(explorer, "layers", LAYERS[1:])
    files = page.write(explorer, folder, "dark")
    assert {path.name for path in files} == {path.name for path in folder.iterdir()}
    assert {path.name for path in files} == {"index.html", "layer0.js"}
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"notes\.txt is there already.*another --export"):
        page.write(explorer, folder)
    (folder / "notes.txt").unlink()
    (folder / "index.html").write_text("changed")
    with pytest.raises(FileExistsError, match=r"index\.html is there already"):
        page.write(explorer, folder)
    assert (folder / "index.html").read_text() == "changed"


def test_a_category_that_is_not_there_is_told(explorer, tmp_path):
    with pytest.raises(UnknownNameError, match="'dark'"):
        page.write(explorer, tmp_path, "darc")


def call(*args):
    return CliRunner().invoke(cli.app, ["explore", *map(str, args)])


def test_what_cannot_be_exported_is_told_before_anything_is_computed(tmp_path, monkeypatch):
    monkeypatch.setattr(page.UnitExplorer, "of", None)  # nothing may come so far
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    for args, words in (
        (("--export", tmp_path / "new", "--profile", "smok"), "Did you mean 'smoke'"),
        (("--export", tmp_path / "new", "-p", "epoch", "2"), "epochs"),
        (("--export", tmp_path / "new", "-p", "networks", "[fine-tuned]"), "name one for after"),
        (("--export", tmp_path / "new", "-p", "category", "heads"), "heads"),
        (("--docs", "../docs/"), "name its folder too"),
        (("--export", mine), "mine.txt is a file"),
        (("--export", tmp_path), "mine.txt is there already"),
    ):
        done = call(*args)
        assert (done.exit_code, words in done.output) == (2, True), done.output
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_killed_export_leaves_nothing_that_bars_the_next(explorer, tmp_path):
    left = tmp_path / ".index.html.00000000-1-0.part"
    left.mkdir()
    os.utime(left, (0, 0))  # another machine's, long ago
    page.write(explorer, tmp_path)
    assert not left.exists()
