"""`saliencykit cache export` and `import`: what arrives is what was sent, or nothing."""

import hashlib
import io
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import warnings
import zipfile
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from typer.testing import CliRunner

from saliencykit import cache, cli, holdings, paths
from saliencykit.holdings import publishing
from saliencykit.registry import UnknownNameError
from tests.fuzz import entries

ENTRY = cache.Entry({"x": torch.ones(30)}, {"n": 1, "curve": [{"epoch": 1, "seconds": 2.5}]})
ENDS = pytest.mark.parametrize("end", publishing.ENDS)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def call(*args):
    return CliRunner().invoke(cli.app, ["cache", *map(str, args)])


def kept(kind="demo", entry=ENTRY, **key):
    cache.cached(kind, key, lambda: entry, about={})
    return cache.entry_path(kind, key)


def name(path):
    return f"{path.parent.name}/{path.stem}"


def everything(folder):
    """Whatever lies below a folder."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() if p.is_file() else None
        for p in folder.rglob("*")
    }


def files(folder):
    return {k: v for k, v in everything(folder).items() if v is not None and "written/" not in k}


def exported(archive, **how):
    return publishing.export(holdings.chosen(holdings.holdings(), **how), archive)


@contextmanager
def elsewhere(folder):
    """Inside, the cache is another's."""
    with mock.patch.dict(os.environ, SALIENCYKIT_CACHE=str(folder)):
        yield folder


# What arrives


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 4), st.sampled_from(publishing.ENDS))
def test_what_arrives_is_what_was_sent(seed, number, end):
    draw = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as place, elsewhere(Path(place, "ours")) as ours:
        sent = [kept("demo", entries.entry(draw), k=k) for k in range(number + 1)]
        kept("weights", k=1)
        exported(archive := Path(place, f"x{end}"), names=["demo"])
        with elsewhere(Path(place, "theirs")) as theirs:
            assert publishing.take(archive) == (sorted(map(name, sent), key=when(ours)), [])
            assert publishing.take(archive) == ([], sorted(map(name, sent), key=when(ours)))
            assert files(theirs) == {k: v for k, v in files(ours).items() if "demo/" in k}


def when(folder):
    """What orders entries by when they were made, as the list does."""
    found = {
        f"demo/{file.stem}": holdings.held(file, f"demo/{file.name}")
        for file in (folder / "demo").glob("*.safetensors")
    }
    return lambda one: (found[one].when, one)


@ENDS
def test_a_manifest_tells_each_entry_s_hash_and_who_wrote_it(tmp_path, end):
    path = kept()
    exported(archive := tmp_path / f"x{end}")
    found = json.loads(contents(archive)[publishing.MANIFEST])
    data = path.read_bytes()
    assert found["format"] == "saliencykit cache 1"
    assert found["version"]
    assert datetime.fromisoformat(found["when"]).tzinfo
    sha = hashlib.sha256(data).hexdigest()
    assert found["entries"] == {f"{name(path)}.safetensors": {"size": len(data), "sha256": sha}}


def test_an_archive_tells_no_user(tmp_path):
    kept()
    exported(archive := tmp_path / "x.tar")
    with tarfile.open(archive) as tar:
        assert {(m.uid, m.gid, m.uname, m.gname) for m in tar} == {(0, 0, "", "")}


def test_what_is_not_for_others_is_left_out_and_told(tmp_path):
    good, broken, note = kept(), kept(k=1), kept("weights")
    data = bytearray(broken.read_bytes())
    data[-1] ^= 1
    broken.write_bytes(data)
    old = cache.entry_path("demo", {"k": 2})
    save_file(ENTRY.tensors, old, metadata={"meta": "{}"})
    found, left = exported(tmp_path / "x.tar")
    assert found == [name(good)]
    assert sorted(left)[-1] == f"{name(note)}: a note about a file of this machine"
    told = "\n".join(left)
    assert re.search(rf"^{name(old)}: older than the rule", told, re.M)
    assert re.search(rf"^{name(broken)}: .*{broken.name} is damaged", told, re.M)


def test_commands_export_and_import(tmp_path):
    first, _ = kept("training", seed=1), kept("weights")
    kept("features")
    archive = tmp_path / "x.zip"
    done = call("export", archive, "training", "weights")
    assert re.fullmatch(rf"{archive}: 1 entry, \d+ k?B\n", done.stdout)
    assert done.stderr.startswith("Left out: weights/")
    with elsewhere(tmp_path / "theirs"):
        done = call("import", archive)
        assert done.output == f"{tmp_path / 'theirs'}: 1 entry imported, 0 were there already\n"
        assert re.search(rf"{name(first)} .* seed 1\n", call("list", "--each").output)
        done = call("import", archive)
        assert "0 entries imported, 1 were there already" in done.output


# What is not written


def test_an_export_needs_entries_and_a_known_suffix(tmp_path):
    kept("weights")
    with pytest.raises(ValueError, match=r"There is nothing to export.\nweights/"):
        exported(tmp_path / "x.tar")
    with pytest.raises(UnknownNameError, match=r"kind of archive '.tgz'\..*Known: \.tar, \.zip"):
        exported(tmp_path / "x.tgz")
    assert os.listdir(tmp_path) == ["cache"]


def test_nothing_is_written_over_but_an_earlier_export(tmp_path):
    kept()
    archive = tmp_path / "x.tar"
    archive.write_text("mine")
    with pytest.raises(FileExistsError, match="is not what `saliencykit cache export` wrote"):
        exported(archive)
    assert archive.read_text() == "mine"
    archive.unlink()
    exported(archive)
    kept(k=2)
    assert len(exported(archive)[0]) == 2


@contextmanager
def full(size):
    """Inside, no file of this process can grow beyond so many bytes, as on a disk that fills."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


LARGE = cache.Entry({"x": torch.rand(100_000)})


@ENDS
def test_a_disk_that_fills_keeps_no_half_archive(tmp_path, end):
    kept("large", LARGE)
    with full(200_000), pytest.raises(OSError, match=f"x{end} could not be written .*too large"):
        exported(tmp_path / f"x{end}")
    assert os.listdir(tmp_path) == ["cache"]


@ENDS
def test_a_disk_that_fills_keeps_nothing_of_an_import(tmp_path, end):
    kept("large", LARGE), kept()
    exported(archive := tmp_path / f"x{end}")
    with elsewhere(tmp_path / "theirs") as theirs:
        with full(200_000), pytest.raises(OSError, match=f"x{end} could not be imported into"):
            publishing.take(archive)
        assert everything(theirs) == {}
        assert len(publishing.take(archive)[0]) == 2


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path, monkeypatch):
    kept("large", LARGE)
    exported(archive := tmp_path / "x.tar")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with elsewhere(tmp_path / "theirs") as theirs:
        with pytest.raises(OSError, match=r"x\.tar holds 0\.0 GB, .* has 0\.0 GB free"):
            publishing.take(archive)
        assert everything(theirs) == {}


def test_a_computation_on_a_disk_that_fills_leaves_nothing_and_harms_nothing():
    path = kept()
    before = everything(paths.cache_root())
    with full(200_000), pytest.raises(OSError, match=r"Could not write .* Free some space"):
        kept("demo", LARGE, k=2)
    assert everything(paths.cache_root()) == before
    assert cache.read(path).tensors["x"].equal(ENTRY.tensors["x"])


# What is not taken


def contents(archive):
    """The files in an archive by name, which may be there twice."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as zipped:
            return {m.filename: zipped.read(m) for m in zipped.infolist()}
    with tarfile.open(archive) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar}


def pack(archive, members):
    """Write an archive by hand; the members are pairs, so that names may recur."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as zipped, warnings.catch_warnings(action="ignore"):
            for one, data in members:
                zipped.writestr(one, data)
        return
    with tarfile.open(archive, "w") as tar:
        for one, data in members:
            info = tarfile.TarInfo(one)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def refused(archive, said, theirs):
    """Nothing is taken of an archive, which is told with its name."""
    with elsewhere(theirs):
        mine = kept(mine=True)
        before = everything(theirs)
        with pytest.raises(ValueError, match=said) as told:
            publishing.take(archive)
        assert str(archive) in str(told.value)
        assert everything(theirs) == before
        assert mine.exists()


def listed(members, **changes):
    """The members with a manifest that tells of them, but for changes."""
    told = {
        k: {"size": len(v), "sha256": hashlib.sha256(v).hexdigest()}
        for k, v in members
        if k != publishing.MANIFEST
    }
    found = {"format": publishing.FORMAT, "entries": told, **changes}
    rest = [(k, v) for k, v in members if k != publishing.MANIFEST]
    return [*rest, (publishing.MANIFEST, json.dumps(found).encode())]


@pytest.fixture
def sent(tmp_path):
    """Two entries as pairs of name and bytes."""
    found = [kept(k=1), kept("training", k=2)]
    return [(f"{name(path)}.safetensors", path.read_bytes()) for path in found]


@ENDS
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("../0123456789abcdef.safetensors", "leads out of the folder"),
        ("/tmp/0123456789abcdef.safetensors", "leads out of the folder"),
        ("demo/../../x.safetensors", "leads out of the folder"),
        ("C:/x.safetensors", "leads out of the folder"),
        ("models/0123456789abcdef.safetensors", "names no entry of a cache"),
        ("data/0123456789abcdef.safetensors", "names no entry of a cache"),
        ("weights/0123456789abcdef.safetensors", "names no entry of a cache"),
        ("demo/0123456789abcdef.partial", "names no entry of a cache"),
        ("demo/deep/0123456789abcdef.safetensors", "names no entry of a cache"),
        ("demo/mine.safetensors", "names no entry of a cache"),
        (".hidden/0123456789abcdef.safetensors", "names no entry of a cache"),
        ("readme.txt", "names no entry of a cache"),
    ],
)
def test_names_that_are_no_entry_s_are_refused(tmp_path, sent, end, wrong, said):
    pack(archive := tmp_path / f"x{end}", listed([*sent, (wrong, sent[0][1])]))
    refused(archive, said, tmp_path / "theirs")
    assert not Path("/tmp/0123456789abcdef.safetensors").exists()


def entry_without_its_name(data):
    with tempfile.TemporaryDirectory() as folder:
        cache.write(Path(folder, "x"), ENTRY)
        return Path(folder, "x").read_bytes()


CHANGES = {
    "is damaged": lambda data: bytes([*data[:-1], data[-1] ^ 1]),
    "is damaged: ": lambda data: b"no entry at all",
    "is no entry of that name": entry_without_its_name,
}


@ENDS
@pytest.mark.parametrize("said", CHANGES)
def test_what_is_no_whole_entry_is_refused_whatever_the_manifest_says(tmp_path, sent, end, said):
    changed = [sent[0], (sent[1][0], CHANGES[said](sent[1][1]))]
    pack(archive := tmp_path / f"x{end}", listed(changed))
    refused(archive, f"{sent[1][0]} {said}", tmp_path / "theirs")


@ENDS
def test_an_entry_under_another_s_name_is_refused(tmp_path, sent, end):
    pack(archive := tmp_path / f"x{end}", listed([(sent[0][0], sent[1][1])]))
    refused(archive, "is no entry of that name", tmp_path / "theirs")


def manifests(sent):
    """Manifests that are wrong, and what is said of each."""
    right = json.loads(listed(sent)[-1][1])["entries"]
    first, second = right
    return {
        "is not there": listed(sent[1:], entries=right),
        "is not in its manifest": listed(sent, entries={first: right[first]}),
        "is not as its manifest says": listed(
            sent, entries={**right, first: {**right[first], "sha256": "0" * 64}}
        ),
        "is not as its manifest says:": listed(
            sent, entries={**right, first: {**right[first], "size": right[first]["size"] - 1}}
        ),
        "is not as its manifest says: ": listed(
            sent, entries={**right, first: {**right[first], "size": right[first]["size"] + 1}}
        ),
        "tells no size and SHA-256: None": listed(sent, entries={**right, second: None}),
        "tells no size and SHA-256: {'size': -1": listed(
            sent, entries={**right, second: {"size": -1, "sha256": ""}}
        ),
        "'entries' tells no size": listed(sent, entries=[first]),
        "the format is 'saliencykit cache 2'": listed(sent, format="saliencykit cache 2"),
        "line 1: not valid JSON": [*sent, (publishing.MANIFEST, b"{")],
        "is not UTF-8": [*sent, (publishing.MANIFEST, b'{"a": "\xff"}')],
        "is there twice": [*listed(sent), sent[0]],
        "holds no manifest.json": sent,
    }


@ENDS
@pytest.mark.parametrize("said", manifests([("a", b""), ("b", b"")]))
def test_a_manifest_that_says_something_else_is_refused(tmp_path, sent, end, said):
    pack(archive := tmp_path / f"x{end}", manifests(sent)[said])
    refused(archive, re.escape(said), tmp_path / "theirs")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_pipes_in_a_tar_are_refused(tmp_path, sent, kind):
    pack(archive := tmp_path / "x.tar", listed(sent))
    with tarfile.open(archive, "a") as tar:
        info = tarfile.TarInfo("demo/0123456789abcdef.safetensors")
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    refused(archive, "or is no file. Nothing was unpacked", tmp_path / "theirs")


def test_what_is_no_archive_is_refused(tmp_path, sent):
    (archive := tmp_path / "x.tar").write_bytes(b"hello")
    refused(archive, "is no whole, plain zip", tmp_path / "theirs")
    with tarfile.open(archive, "w:gz"):
        pass
    refused(archive, "is no whole, plain tar", tmp_path / "theirs")
    with pytest.raises(FileNotFoundError, match=r"none\.tar is not there"):
        publishing.take(tmp_path / "none.tar")
    with pytest.raises(ValueError, match="is a folder, not a file"):
        publishing.take(tmp_path)


@ENDS
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31))
@example(seed=133)  # an entry without a name
def test_a_damaged_archive_is_taken_rightly_or_not_at_all(end, seed):
    draw = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as place:
        with elsewhere(Path(place, "ours")) as ours:
            kept(k=1), kept("training", k=2)
            exported(archive := Path(place, f"x{end}"))
            right = files(ours)
        data = bytearray(archive.read_bytes())
        entries.DAMAGE[str(draw.choice([*entries.DAMAGE]))](data, draw)
        archive.write_bytes(data)
        with elsewhere(Path(place, "theirs")) as theirs:
            said = ""
            try:
                publishing.take(archive)
            except ValueError as error:
                said = str(error)
            assert files(theirs) == ({} if said else right)
            assert str(archive) in (said or str(archive))


# What is there already


def test_an_entry_that_differs_from_the_one_here_stops_the_import(tmp_path):
    path = kept(k=1)
    kept(k=2)
    exported(archive := tmp_path / "x.tar")
    other = cache.Entry({"x": torch.zeros(30)}, ENTRY.meta)
    with elsewhere(tmp_path / "theirs") as theirs:
        kept("demo", other, k=1)
        before = everything(theirs)
        with pytest.raises(
            ValueError, match=f"{name(path)} differs from .*1 of 2 do.* prune demo/"
        ):
            publishing.take(archive)
        assert everything(theirs) == before
        assert call("prune", name(path)).exit_code == 0
        assert len(publishing.take(archive)[0]) == 2


def test_times_and_who_made_it_are_no_difference(tmp_path):
    path = kept()
    exported(archive := tmp_path / "x.tar")
    again = cache.Entry(ENTRY.tensors, {**ENTRY.meta, "curve": [{"epoch": 1, "seconds": 9.0}]})
    with elsewhere(tmp_path / "theirs") as theirs:
        kept("demo", again)
        before = everything(theirs)
        assert publishing.take(archive) == ([], [name(path)])
        assert everything(theirs) == before


def test_a_number_or_a_nan_more_is_a_difference_or_none():
    first = cache.Entry({"x": torch.tensor([torch.nan])}, {"a": {"seconds": 1, "b": [1]}})
    same = cache.Entry({"x": torch.tensor([torch.nan])}, {"a": {"seconds": 2, "b": [1]}})
    other = cache.Entry({"x": torch.tensor([torch.nan])}, {"a": {"seconds": 1, "b": [2]}})
    assert publishing._content(first) == publishing._content(same) != publishing._content(other)


def test_a_damaged_entry_here_is_replaced(tmp_path):
    path = kept()
    exported(archive := tmp_path / "x.tar")
    right = path.read_bytes()
    path.write_bytes(right[:-3])
    assert publishing.take(archive) == ([name(path)], [])
    assert path.read_bytes() == right


def test_a_rename_that_fails_takes_the_others_back(tmp_path, monkeypatch):
    last = sorted([kept(k=1), kept(k=2), kept("training")])[-1]
    exported(archive := tmp_path / "x.tar")
    replace = os.replace

    def refuse(source, target):
        if Path(target).name == last.name:
            raise OSError(13, os.strerror(13))
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with elsewhere(tmp_path / "theirs") as theirs:
        with pytest.raises(OSError, match=r"could not be imported .*Nothing was kept of it"):
            publishing.take(archive)
        assert files(theirs) == {}


def test_what_a_killed_import_left_goes_with_the_next(tmp_path, place):
    kept()
    exported(archive := tmp_path / "x.tar")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = place / f".import.{paths._machine()}-{dead.pid}-0.part"
    (left / "demo").mkdir(parents=True)
    publishing.take(archive)
    assert not left.exists()
    assert not list(place.glob(".*"))


@pytest.mark.parametrize("command", ["list", "prune", "export", "import"])
def test_each_command_teaches_by_example(command):
    assert f"\n    saliencykit cache {command} " in call(command, "--help").output
    assert f"\n  {command} " in call("--help").output
