"""`saliencykit cache list` and `prune`: entries are told and removed, and nothing else."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from typer.testing import CliRunner

from saliencykit import cache, cli, holdings, paths, sources
from saliencykit.models import CentrePrior
from saliencykit.registry import UnknownNameError

ENTRY = cache.Entry({"x": torch.ones(30)}, {"n": 1})


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def call(*args):
    return CliRunner().invoke(cli.app, ["cache", *map(str, args)])


def kept(kind="demo", **key):
    cache.cached(kind, key, lambda: ENTRY, about={})
    return cache.entry_path(kind, key)


def name(path):
    return f"{path.parent.name}/{path.stem}"


def old(path):
    """An entry as the first ones were."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(ENTRY.tensors, path, metadata={"meta": json.dumps(ENTRY.meta)})
    return path


def remade(path, **changes):
    """The same entry, made otherwise."""
    entry, told = cache._read(path)
    made = json.loads(told["made"]) | changes
    cache._write(path, entry, of=told["of"], made=json.dumps(made))
    return path


def names(found):
    return [one.name for one in found]


# Told


def test_an_entry_is_told_from_its_header(monkeypatch):
    more = {"seed": 3, "lr": 1 / 3, "flip": None, "code": "c0de"}
    path = kept("training", encoder="vgg16", settings=more, layers=["a", "b"])
    monkeypatch.setattr(cache, "_read", None)  # no tensor is read
    (found,) = holdings.holdings()
    assert (found.name, found.kind, found.path) == (name(path), "training", path)
    assert found.size == path.stat().st_size
    assert found.words == "encoder vgg16, settings (seed 3, lr 0.3333), layers a b"
    assert datetime.now(UTC) - found.when < timedelta(minutes=1)
    assert found.named
    assert not found.outdated


def test_old_entries_are_told_as_such():
    path = old(cache.entry_path("demo", {"k": 1}))
    os.utime(path, (0, 0))
    (found,) = holdings.holdings()
    assert (found.made, found.words, found.named, found.outdated) == (
        None,
        "not told",
        False,
        False,
    )
    assert found.when.year == 1970
    assert re.search(r"demo +1 +\d+ B +1970-01-01 +1$", call("list").output, re.M)
    assert re.search(rf"{found.name} .* not told", call("list", "--each").output)


@pytest.mark.parametrize(
    "made",
    [
        "",
        "[]",
        "{",
        "[" * 10**5,
        json.dumps({"key": {}}),
        json.dumps(
            {**json.loads('{"key": [], "codes": {}, "version": "1", "processor": "p"}')}
            | {"seconds": 1, "when": "2026-01-01T00:00:00+00:00"}
        ),
        json.dumps(
            {"key": {}, "codes": {"x": 1}, "version": "1", "processor": "p", "seconds": 1}
            | {"when": "2026-01-01T00:00:00+00:00"}
        ),
        json.dumps(
            {"key": {}, "codes": {}, "version": "1", "processor": "p", "seconds": 1}
            | {"when": "2026-01-01T00:00:00"}  # nowhere
        ),
    ],
)
def test_what_is_told_in_another_way_is_not_told(made):
    path = kept(k=1)
    cache._write(path, ENTRY, of=name(path), made=made)
    assert holdings.holdings()[0].made is None
    assert call("list", "--each").exit_code == 0


def test_nothing_told_steers_the_terminal():
    kept(k="\x1b[2J\r", v="ö")
    assert "\x1b" not in call("list", "--each").output
    assert holdings.holdings()[0].words == "k �[2J�, v ö"


def test_the_list_sums_up_by_kind():
    kept("training", seed=1), remade(kept("training", seed=2), seconds=7200)
    kept("features", seed=1)
    text = call("list").output
    assert re.search(r"features +1 .*\n +training +2 +\d+ k?B +\d{4}-\d\d-\d\d +2.0 h", text)
    assert re.search(rf"^{re.escape(str(paths.cache_root()))}: 3 entries, \d+ k?B$", text, re.M)


def test_an_empty_cache_is_said_to_be():
    assert call("list").output.endswith("cache: 0 entries, 0 B\n")


# Chosen


def test_what_is_asked_for_applies_altogether():
    first = kept("training", encoder="vgg16", seed=1)
    second = kept("training", encoder="VGG16", seed=2)
    third = kept("features", encoder="vgg16")
    week = datetime.now(UTC) - timedelta(days=8)
    remade(second, when=week.isoformat())
    found = holdings.holdings()
    assert names(holdings.chosen(found)) == [name(third), name(second), name(first)]
    assert names(holdings.chosen(found, ["features"])) == [name(third)]
    assert names(holdings.chosen(found, [name(first), "features"])) == [name(third), name(first)]
    assert names(holdings.chosen(found, words="vgg16, seed")) == [name(second), name(first)]
    assert names(holdings.chosen(found, older=timedelta(days=7))) == [name(second)]
    assert names(holdings.chosen(found, ["features"], older=timedelta(days=7))) == []


def test_a_name_that_is_not_there_is_told_with_the_nearest():
    path = kept("training")
    with pytest.raises(UnknownNameError, match=r"'trainings'\. Did you mean 'training'"):
        holdings.chosen(holdings.holdings(), ["trainings"])
    wrong = f"{name(path)[:-1]}x"
    done = call("prune", wrong)
    assert done.exit_code == 2
    assert f"Unknown kind of entries '{wrong}'. Did you mean '{name(path)}'?" in done.stderr
    assert path.exists()


@pytest.mark.parametrize(("text", "hours"), [("12h", 12), ("30d", 720), (" 8w", 1344), ("0h", 0)])
def test_ages(text, hours):
    assert holdings.age(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1.5d", "3 months", "999999d"])
def test_what_is_no_age_is_said(text):
    with pytest.raises(ValueError, match=r"is no age: give hours, days or weeks, as in 12h"):
        holdings.age(text)


def test_outdated_is_what_code_has_made_that_changed():
    here, gone = kept(code=sources.code_of(CentrePrior)), kept(code=sources.code_of(cache.Entry))
    codes = {f"{CentrePrior.__module__}:CentrePrior": "0" * 16}
    remade(gone, codes=codes)
    found = holdings.holdings()
    assert names(holdings.chosen(found, outdated=True)) == [name(gone)]
    remade(gone, codes={"os:path": "0" * 16})  # names no code of ours, so nobody knows
    assert names(holdings.chosen(holdings.holdings(), outdated=True)) == []
    assert here.exists()


# Removed


def test_prune_shows_first_and_then_removes():
    first, second = kept("training", seed=1), kept("features")
    done = call("prune", "training", "--dry-run")
    assert re.search(rf"  {name(first)}  .*seed 1\nWould go: 1 entry, \d+ B\.", done.output)
    assert first.exists()
    assert re.fullmatch(r"Gone: 1 entry, \d+ B\.\n", call("prune", "training").output)
    assert not first.exists()
    assert second.exists()


def test_prune_without_a_word_removes_nothing():
    path = kept()
    done = call("prune")
    assert done.exit_code == 2
    assert "Say what is to go" in done.stderr
    assert path.exists()


def test_interrupted_trainings_are_told_and_removed_by_themselves():
    path = kept("training", seed=1)
    partial = cache.entry_path("training", {"seed": 2}).with_suffix(".partial")
    cache.write(partial, ENTRY)
    assert "1 entry" in call("list").output
    assert call("prune", "--unfinished").output.startswith("Gone: 0 entries")  # somebody may be on
    os.utime(partial, (time.time() - 2 * paths.SILENT,) * 2)
    assert "1 entry" in call("list", "--unfinished").output
    assert call("prune", "--unfinished").output.startswith("Gone: 1 entry")
    assert path.exists()
    assert not partial.exists()


def test_what_cannot_be_removed_is_told_and_the_rest_goes(monkeypatch):
    first, second = kept(k=1), kept(k=2)
    unlink = Path.unlink

    def refuse(path, missing_ok=False):
        if path == first:
            raise PermissionError(13, os.strerror(13))
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    done = call("prune", "demo")
    assert done.exit_code == 2
    assert f"Could not be removed:\n{name(first)}: Permission denied" in done.stderr
    assert not second.exists()


def test_prune_removes_what_killed_runs_left():
    path = kept()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = path.with_name(f".x.{paths._machine()}-{dead.pid}-0.part")
    left.mkdir()
    (left / "part").write_text("half")
    call("prune", "demo")
    assert not left.exists()


def test_linked_folders_and_files_are_not_the_cache_s(place, tmp_path):
    inside, outside = kept(k=1), tmp_path / "elsewhere"
    outside.mkdir()
    inside.rename(outside / inside.name)
    inside.symlink_to(outside / inside.name)
    (place / "other").symlink_to(outside)
    assert holdings.holdings() == []
    assert call("prune", "--older-than", "0h").output.startswith("Gone: 0 entries")
    assert (outside / inside.name).exists()


CONTENTS = {
    "an entry": lambda path: cache._write(path, ENTRY, of=name(path)),
    "an old one": old,
    "another's": lambda path: cache._write(path, ENTRY, of="demo/ffffffffffffffff"),
    "somebody's weights": lambda path: save_file(ENTRY.tensors, path),
    "a checkpoint": lambda path: cache.write(path, ENTRY),
    "a text": lambda path: path.write_text("mine"),
    "nothing": Path.touch,
}
FOLDERS = ["demo", "training", "models", "data", "executed", "demo/deeper", ".hidden", "a-b", "."]
FILES = [
    "0123456789abcdef.safetensors",
    "0123456789ABCDEF.safetensors",
    "0123456789abcde.safetensors",
    "0123456789abcdef.safetensors.bak",
    "0123456789abcdef.partial",
    "mine.safetensors",
    ".0123456789abcdef.safetensors",
]
OURS = ("an entry", "an old one", "a checkpoint")  # which tells no more than an old one


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(FOLDERS), st.sampled_from(FILES)),
        st.sampled_from(sorted(CONTENTS)),
        max_size=8,
    )
)
def test_whatever_lies_there_nothing_goes_but_entries(files):
    within = tempfile.TemporaryDirectory()
    with within as folder, mock.patch.dict(os.environ, SALIENCYKIT_CACHE=folder):
        for (where, file), content in files.items():
            path = Path(folder, where, file)
            path.parent.mkdir(parents=True, exist_ok=True)
            CONTENTS[content](path)
        before = {p: p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}
        assert holdings.remove(holdings.chosen(holdings.holdings())) == []
        after = {p: p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}
    gone = {
        Path(folder, where, file)
        for (where, file), content in files.items()
        if where in ("demo", "training") and file == FILES[0] and content in OURS
    }
    assert after == {p: content for p, content in before.items() if p not in gone}
