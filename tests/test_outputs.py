"""No command writes over what it did not write."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from saliencykit import cli, datasets
from saliencykit.paths import check_out, written
from saliencykit.running import gallery, runner
from tests.conftest import Blobs


def call(*args):
    return CliRunner().invoke(cli.app, [str(a) for a in args])


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def photo(tmp_path, monkeypatch):
    """A photograph in the folder where the user is."""
    folder = tmp_path / "here"
    folder.mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (20, 30, 3)).astype(np.uint8)).save(folder / "photo.png")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "cache"))
    return folder / "photo.png"


def predicted(*args):
    return call("predict", *args, "--model", "centre")


def test_a_photograph_is_not_replaced_by_its_map(photo):
    before = contents(photo.parent)
    done = predicted("photo.png", "--out", ".")
    assert done.exit_code == 2
    assert "photo.png would be written over, and is read" in done.output
    assert contents(photo.parent) == before


@pytest.mark.parametrize("name", ["photo.png", "photo.npy"])
@pytest.mark.parametrize("kind", ["file", "link", "dead link", "folder"])
def test_predict_refuses_before_it_computes(photo, monkeypatch, name, kind):
    out = photo.parent / "maps"
    out.mkdir()
    (photo.parent / "mine").write_text("mine")
    if kind == "file":
        (out / name).write_text("mine")
    elif kind == "folder":
        (out / name).mkdir()
    else:
        (out / name).symlink_to(photo.parent / ("mine" if kind == "link" else "gone"))
    before = contents(photo.parent)
    monkeypatch.setattr("saliencykit.cli.measure._map", None)  # whoever computes, fails
    done = predicted("photo.png", "--out", out)
    assert (done.exit_code, str(done.exception)) == (2, "2")
    assert f"{out / name} is there already" in done.output
    assert "Name another --out" in done.output
    assert contents(photo.parent) == before


def test_what_a_command_wrote_is_replaced_until_somebody_changes_it(photo):
    assert predicted("photo.png", "--out", "maps").exit_code == 0
    before = contents(photo.parent)
    assert predicted("photo.png", "--out", "maps").exit_code == 0  # as after a killed run
    assert contents(photo.parent) == before
    (photo.parent / "maps" / "photo.png").write_bytes(photo.read_bytes())
    assert "is there already" in predicted("photo.png", "--out", "maps").output
    assert (photo.parent / "maps" / "photo.png").read_bytes() == photo.read_bytes()


def test_a_map_that_is_read_is_not_written_over_though_it_is_ours(photo):
    predicted("photo.png", "--out", "maps")
    before = contents(photo.parent)
    done = predicted("maps/photo.png", "--out", "maps")
    assert "is read" in done.output
    assert contents(photo.parent) == before


def test_a_copy_of_what_we_wrote_is_the_user_s(photo):
    predicted("photo.png", "--out", "maps")
    shutil.copytree(photo.parent / "maps", photo.parent / "kept")
    assert "is there already" in predicted("photo.png", "--out", "kept").output


def test_maps_do_not_go_among_the_images_of_a_folder(photo):
    done = predicted(photo.parent, "--out", photo.parent)
    assert (done.exit_code, "own folder" in done.output) == (2, True)
    below = photo.parent / "maps"
    for _ in range(2):  # its maps are not taken for images
        assert "1 maps" in predicted(photo.parent, "--out", below).output
    assert sorted(p.name for p in below.iterdir()) == ["photo.npy", "photo.png"]


@pytest.mark.parametrize(
    "args",
    [
        ("dissect", "--out", "photo.png"),
        ("teach", "--out", "photo.png"),
        ("evaluate", "--maps", ".", "--data", "toyworld", "--out", "photo.png"),
    ],
    ids=lambda args: args[0],
)
def test_no_command_replaces_a_photograph(photo, monkeypatch, args):
    before = contents(photo.parent)
    monkeypatch.setattr(datasets, "load", None)  # said before anything is read, or taught
    monkeypatch.setattr("saliencykit.models.toyvgg.teach", None)
    done = call(*args)
    assert (done.exit_code, str(done.exception)) == (2, "2")
    assert f"photo.png is there already, and is not what `saliencykit {args[0]}` wrote" in (
        done.output
    )
    gone = call(*args[:-1], "gone/photo.png")
    assert (gone.exit_code, "gone, is not there; make it first" in gone.output) == (2, True)
    assert contents(photo.parent) == before


def test_evaluate_replaces_its_own_table_and_no_map(photo, monkeypatch, tmp_path):
    data = Blobs(12)
    monkeypatch.setattr(datasets, "load", lambda name: data)
    maps = tmp_path / "maps"
    maps.mkdir()
    for i, name in enumerate(data.names):
        np.save(maps / f"{name}.npy", data.image(i)[0].numpy())
    ask = ("evaluate", "--maps", maps, "--data", "blobs", "--metrics", "nss", "--out")
    for _ in range(2):
        assert call(*ask, "scores.csv").exit_code == 0
    before = contents(maps)
    assert "is there already" in call(*ask, maps / "b00.npy").output
    assert contents(maps) == before


def test_another_command_s_file_is_not_ours(tmp_path, monkeypatch):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "a.csv"
    with written("dissect", out) as part:
        part.write_text("ours")
    check_out("dissect", out)
    with pytest.raises(FileExistsError, match="is not what `saliencykit evaluate` wrote"):
        check_out("evaluate", out)


def test_what_came_to_lie_there_meanwhile_is_not_written_over(tmp_path):
    out = tmp_path / "a.csv"
    check_out("dissect", out)
    with pytest.raises(FileExistsError), written("dissect", out) as part:  # noqa: PT012
        part.write_text("ours")
        out.write_text("mine")
    assert contents(tmp_path) == {out: b"mine"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_into_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="Nothing can be written into"):
        check_out("dissect", tmp_path / "a.csv")


def test_a_cache_that_can_not_be_written_costs_only_the_right_to_replace(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("no folder")
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "cache"))
    with written("dissect", tmp_path / "a.csv") as part:
        part.write_text("ours")
    assert (tmp_path / "a.csv").read_text() == "ours"
    with pytest.raises(FileExistsError):
        check_out("dissect", tmp_path / "a.csv")


def test_a_page_of_somebody_else_s_stays(tmp_path):
    page = tmp_path / gallery.PAGE
    page.write_text("<title>My home</title>")
    with pytest.raises(FileExistsError, match="SALIENCYKIT_FIGURES"):
        gallery.write(tmp_path)
    assert page.read_text() == "<title>My home</title>"
    page.unlink()
    for _ in range(2):
        gallery.write(tmp_path)


RECORD = """{"notebook": "02_a", "title": "", "question": "", "finding": "", "settings": null,
 "parameters": {}, "meanings": {}, "versions": "",
 "sections": [{"heading": "", "text": "", "figures": [{"stem": "%s", "size": [1, 1]}]}]}"""


def test_keep_removes_what_old_records_name_and_nothing_else(tmp_path):
    figures, reference = tmp_path / "figures", tmp_path / "reference"
    for folder, stem in ((figures, "02_new"), (reference, "02_old")):
        folder.mkdir()
        (folder / "02_a.json").write_text(RECORD % stem)
        Image.new("RGB", (1, 1)).save(folder / f"{stem}.png")
        (folder / f"{stem}.csv").write_text("a\n1\n")
    mine = {reference / name: b"mine" for name in ("02_notes.md", "README.md", "own.json")}
    for path, text in mine.items():
        path.write_bytes(text)
    (reference / "folder").mkdir()
    runner._keep(figures, reference, ["02_a"], "", whole_profile=True)
    assert {p.name for p in reference.iterdir()} == {
        *("02_a.json", "02_new.png", "02_new.csv", gallery.PAGE, "folder"),
        *(path.name for path in mine),
    }
    assert mine.items() <= contents(reference).items()
    (figures / "02_a.json").write_text(RECORD % "02_notes")
    for end in (".png", ".csv"):
        (figures / f"02_notes{end}").write_text("a\n1\n")
    (reference / "02_notes.csv").write_text("mine")
    with pytest.raises(FileExistsError, match=r"02_notes\.csv is no figure that a record"):
        runner._keep(figures, reference, ["02_a"], "", whole_profile=True)
    assert (reference / "02_notes.csv").read_text() == "mine"
