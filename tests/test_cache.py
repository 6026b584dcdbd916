"""The cache's files: whatever happens to them, what is read is what was computed."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from saliencykit import cache, holdings, paths
from saliencykit.cache import locks
from saliencykit.holdings import publishing
from tests.fuzz import entries

TRUTH = cache.Entry({"x": torch.arange(6.0).view(2, 3), "n": torch.tensor(4)}, {"note": "ö"})
KEY = {"k": 1}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path))
    return tmp_path


def kept(key=KEY, entry=TRUTH):
    """Where an entry lies that was computed just now."""
    cache.cached("demo", key, lambda: entry)
    return cache.entry_path("demo", key)


def never():
    raise AssertionError("computed again")


def same(found):
    return entries.same(found, TRUTH)


def old(path, entry=TRUTH):
    path.parent.mkdir(exist_ok=True)
    save_file(entry.tensors, path, metadata={"meta": json.dumps(entry.meta)})


# Damaged


@pytest.mark.parametrize("step", [41, pytest.param(1, marks=pytest.mark.slow)])
def test_no_flipped_bit_is_read_as_something_else(step):
    path = kept()
    whole = path.read_bytes()
    for place in range(0, 8 * len(whole), step):
        data = bytearray(whole)
        data[place // 8] ^= 1 << place % 8
        path.write_bytes(data)
        with suppress(ValueError):
            assert same(cache.read(path)), place


def test_no_shorter_file_is_read():
    path = kept()
    whole = path.read_bytes()
    for length in range(0, len(whole), 5):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=f"{path.name} is damaged"):
            cache.read(path)


def test_a_flipped_bit_of_a_tensor_is_said_and_mended():
    path = kept()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.warns(UserWarning, match=f"{path.name} is damaged: .* changed .*computed again"):
        assert same(cache.cached("demo", KEY, lambda: TRUTH))
    assert same(cache.cached("demo", KEY, never))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31))
def test_whatever_lies_there_the_right_answer_is_given(seed):
    with tempfile.TemporaryDirectory() as folder:
        assert entries.trial(seed, Path(folder)) == "right"


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1, 1), (2, 3)])
@pytest.mark.parametrize("dtype", entries.DTYPES)
def test_tensors_of_every_kind_come_back(shape, dtype, tmp_path):
    tensor = torch.ones(shape, dtype=dtype).expand(shape)
    cache.write(tmp_path / "x", cache.Entry({"x": tensor}))
    found = cache.read(tmp_path / "x").tensors["x"]
    assert found.dtype == dtype
    assert found.equal(tensor)


# Of something else


def test_an_entry_under_another_s_name_is_computed_again():
    first, second = kept(), kept({"k": 2}, cache.Entry({"y": torch.ones(1)}))
    shutil.copy(second, first)
    with pytest.warns(UserWarning, match=f"is of something else, demo/{second.stem}. It is comp"):
        assert same(cache.cached("demo", KEY, lambda: TRUTH))
    assert same(cache.cached("demo", KEY, never))


def test_what_does_not_say_what_it_is_of_is_computed_when_it_lacks_what_is_asked_for():
    path = kept()
    cache.write(path, cache.Entry({"y": torch.ones(1)}, {"note": "wrong"}))
    found = cache.cached("demo", KEY, lambda: TRUTH)
    with pytest.warns(UserWarning, match=f"{path.name} holds no 'x'.*It is computed again"):
        assert found.tensors["x"].equal(TRUTH.tensors["x"])
    assert same(found)
    assert same(cache.cached("demo", KEY, never))


def test_what_the_right_entry_lacks_is_an_error_in_words():
    path = kept()
    with pytest.raises(ValueError, match=f"{path.name} holds no 'z': it was not written for this"):
        cache.cached("demo", KEY, never).tensors["z"]
    cache.write(path, cache.Entry({"y": torch.ones(1)}))
    found = cache.cached("demo", KEY, lambda: TRUTH)
    with pytest.warns(UserWarning, match="'z'"), pytest.raises(ValueError, match="'z'"):
        found.tensors["z"]


# From before hashes were told


def test_an_old_entry_is_read_as_before_and_given_a_hash():
    path = cache.entry_path("demo", KEY)
    old(path)
    assert same(cache.cached("demo", KEY, never))
    with safe_open(path, framework="pt") as file:
        assert "digest" in file.metadata()
    assert same(cache.cached("demo", KEY, never))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.warns(UserWarning, match="is damaged"):
        assert same(cache.cached("demo", KEY, lambda: TRUTH))


def test_an_old_entry_of_something_else_is_computed_when_it_is_found_out():
    path = cache.entry_path("demo", KEY)
    old(path, cache.Entry({"y": torch.ones(1)}, {"z": 1}))
    with pytest.warns(UserWarning, match="holds no 'note'"):
        assert cache.cached("demo", KEY, lambda: TRUTH).meta["note"] == "ö"
    assert same(cache.cached("demo", KEY, never))


# Another user's


@contextmanager
def as_somebody_else():
    """Inside, this process is of a user to whom nothing belongs."""
    if os.geteuid():
        pytest.skip("only the superuser can become somebody else")
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_place(monkeypatch):
    """A cache in a folder that everybody can enter."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        monkeypatch.setenv("SALIENCYKIT_CACHE", folder)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield Path(folder)


def test_entries_are_written_for_whoever_may_read_what_we_write(tmp_path):
    before = os.umask(0o022)
    try:
        assert kept().stat().st_mode & 0o777 == 0o644
        os.umask(0o077)
        assert kept({"k": 2}).stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)


def test_another_user_s_cache_is_read(open_place):
    kept()
    with as_somebody_else(), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same(cache.cached("demo", KEY, never))


def passed_on(own):
    """Read an entry, export all there are, and import them into a cache in the folder `own`."""
    assert same(cache.cached("demo", KEY, never))
    publishing.export(holdings.holdings(), own / "x.tar")
    with mock.patch.dict(os.environ, SALIENCYKIT_CACHE=str(own / "cache")):
        publishing.take(own / "x.tar")
        assert same(cache.cached("demo", KEY, never))


def test_whoever_may_only_read_can_list_and_export_too(open_place, tmp_path):
    """In a process that is somebody else's for good, as another user's are."""
    if os.geteuid():
        pytest.skip("only the superuser can become somebody else")
    path = kept()
    before = sorted(open_place.rglob("*"))
    passed_on(tmp_path)  # so that all is imported, which somebody else may not be able to
    shutil.rmtree(open_place / "written")
    if not (child := os.fork()):
        status = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            assert not os.access(path, os.W_OK)
            with warnings.catch_warnings(), tempfile.TemporaryDirectory() as own:
                warnings.simplefilter("error")
                passed_on(Path(own))
            status = 0
        finally:
            if status:
                traceback.print_exc()
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert sorted(open_place.rglob("*")) == before


def test_another_user_s_old_entries_are_read(open_place):
    path = cache.entry_path("demo", KEY)
    old(path)
    path.chmod(0o644)
    with as_somebody_else():
        assert same(cache.cached("demo", KEY, never))


def test_what_cannot_be_kept_in_another_user_s_cache_is_computed_and_said(open_place):
    path = kept()
    path.chmod(0o600)
    with as_somebody_else(), pytest.warns(UserWarning, match="It is not kept") as told:
        assert same(cache.cached("demo", KEY, lambda: TRUTH))
    said = " ".join(str(w.message) for w in told)
    assert f"Permission denied: '{path}'. It is computed again." in said
    assert "Point SALIENCYKIT_CACHE at a folder of your own" in said
    with as_somebody_else(), pytest.warns(UserWarning, match="not kept"):
        assert same(cache.cached("demo", {"k": 2}, lambda: TRUTH))
    assert same(cache.cached("demo", KEY, never))


def test_a_disk_that_can_only_be_read(monkeypatch):
    path = kept()

    def refused(*args, **kwargs):
        raise OSError(30, os.strerror(30))

    for name in "mkdir", "touch", "unlink":
        monkeypatch.setattr(Path, name, refused)
    monkeypatch.setattr(locks.SoftFileLease, "acquire", refused)
    assert same(cache.cached("demo", KEY, never))
    with pytest.warns(UserWarning, match="Read-only file system.*not kept"):
        assert same(cache.cached("demo", {"k": 2}, lambda: TRUTH))
    assert path.exists()


def test_a_full_disk_is_told_before_anything_is_computed(monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(locks.SoftFileLease, "acquire", full)
    with pytest.raises(OSError, match=r"Could not write .*No space left.*Free some space"):
        cache.cached("demo", KEY, never)


# Several at a time


def test_threads_share_one_computation():
    computed, found = [], []

    def compute():
        computed.append(1)
        time.sleep(0.2)
        return TRUTH

    def ask():
        found.append(cache.cached("demo", KEY, compute))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(computed) == 1
    assert all(map(same, found))
    assert [p.name for p in paths.cache_root().rglob("*") if p.is_file()] == [
        cache.entry_path("demo", KEY).name  # no lock is left
    ]


COMPUTES = """
import sys, time, torch
from saliencykit import cache
def compute():
    with open("computed", "a") as file:
        file.write(".")
    time.sleep(float(sys.argv[1]))
    return cache.Entry({"x": torch.arange(3)})
print(cache.cached("demo", {}, compute).tensors["x"].tolist())
"""


def started(folder, seconds):
    environment = {**os.environ, "SALIENCYKIT_CACHE": str(folder)}
    environment["PYTHONPATH"] = os.pathsep.join([str(paths.ROOT), *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, "-c", COMPUTES, str(seconds)],
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_processes_share_one_computation_and_one_that_is_killed_stops_nobody(tmp_path):
    killed = started(tmp_path, 600)
    while not (tmp_path / "computed").exists():
        time.sleep(0.05)
    others = [started(tmp_path, 0.5) for _ in range(2)]
    time.sleep(1)
    killed.kill()
    killed.wait()
    assert [p.communicate(timeout=60)[0] for p in others] == ["[0, 1, 2]\n"] * 2
    assert (tmp_path / "computed").read_text() == ".."


LOCKS = """
import os, socket, sys, time
place, host, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
if host:
    socket.gethostname = lambda: host
import filelock
lock = filelock.SoftFileLease(place, lease_duration=1.0, heartbeat_interval=0.1)
lock.acquire()
print("locked", flush=True)
time.sleep(seconds)
os._exit(1)  # as if it were killed
"""


@pytest.fixture
def hasty(monkeypatch):
    """Locks that nobody touches are given up after a second."""
    monkeypatch.setattr(locks, "SILENT", 1.0)
    monkeypatch.setattr(locks, "HEARTBEAT", 0.1)


@contextmanager
def locked(host="", seconds=0.0):
    """Inside, a process computes what `KEY` is of, which ends after so many seconds."""
    path = cache.entry_path("demo", KEY)
    path.parent.mkdir()
    command = [sys.executable, "-c", LOCKS, path.with_suffix(".lock"), host, str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        yield process


def waited():
    """How long it takes until `KEY` is computed, in seconds."""
    began = time.perf_counter()
    assert same(cache.cached("demo", KEY, lambda: TRUTH))
    return time.perf_counter() - began


def test_a_lock_tells_machine_and_process_and_goes():
    lock = cache.entry_path("demo", KEY).with_suffix(".lock")

    def compute():
        told = lock.read_text().splitlines()
        assert f"pid={os.getpid()}" in told
        assert any(line.startswith(f"host={socket.gethostname()}") for line in told)
        return TRUTH

    cache.cached("demo", KEY, compute)
    assert not lock.exists()


def test_a_failed_computation_leaves_no_lock():
    with suppress(ZeroDivisionError):
        cache.cached("demo", KEY, lambda: 1 / 0)
    assert not list(cache.entry_path("demo", KEY).parent.iterdir())


def test_the_lock_of_a_dead_process_is_taken_at_once():
    with locked() as process:
        process.wait()
        assert waited() < 1  # and not after five minutes


@pytest.mark.slow
def test_another_machine_s_lock_is_taken_when_nobody_touches_it_any_more(hasty):
    with locked("elsewhere") as process:
        process.wait()
        assert 0.9 < waited() < 5


@pytest.mark.slow
def test_another_machine_s_lock_is_respected_while_it_is_touched(hasty):
    with locked("elsewhere", seconds=2.5):
        assert 3 < waited() < 8


@pytest.mark.slow
def test_a_lock_that_tells_nobody_is_removed_in_the_end(hasty):
    path = cache.entry_path("demo", KEY)
    path.parent.mkdir()
    path.with_suffix(".lock").touch()  # killed before it wrote
    assert 1.5 < waited() < 8


# Left behind


def test_what_killed_runs_left_goes_with_the_next_writing(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    machine = paths._machine()
    gone = [
        f".a.safetensors.{machine}-{dead.pid}-0.part",
        f".b.ipynb.{machine}-{dead.pid}-3.part.ipynb",
        ".c.png.00000000-1-0.part",  # another machine's, untouched for days
    ]
    stays = [
        f".d.safetensors.{machine}-{os.getpid()}-999.part",
        ".e.safetensors.00000000-1-0.part",  # another machine's
        ".old.safetensors.4711.part",  # somebody else's, for all we know
        "f.part",
        ".notes.part",
    ]
    for name in gone + stays:
        (tmp_path / name).write_text("x")
    for name in gone[-1], stays[2]:
        os.utime(tmp_path / name, (time.time() - 3 * 24 * 3600,) * 2)
    folder = tmp_path / f".g.safetensors.{machine}-{dead.pid}-1.part"
    folder.mkdir()
    (folder / "part").write_text("x")
    cache.write(tmp_path / "x.safetensors", TRUTH)
    assert sorted(os.listdir(tmp_path)) == sorted([*stays, "x.safetensors"])


def test_no_two_writers_share_an_unfinished_file(tmp_path, monkeypatch):
    names = []
    for machine in "aaaaaaaa", "bbbbbbbb":  # with processes of one number
        monkeypatch.setattr(paths, "_machine", lambda machine=machine: machine)
        for _ in range(2):
            with paths.whole(tmp_path / "x") as part:
                part.touch()
                names.append(part)
    assert len(set(names)) == 4


def test_a_failed_writing_leaves_nothing(tmp_path):
    with suppress(ZeroDivisionError), paths.whole(tmp_path / "x") as part:
        part.write_text("half")
        (part.parent / ".tmpAbCdEf").write_text("a library's own")
        raise ZeroDivisionError
    assert not os.listdir(tmp_path)


def test_long_names_can_be_written(tmp_path):
    name = "ö" * 127  # of 255 bytes at most
    with paths.whole(tmp_path / name) as part:
        part.write_text("x")
    assert (tmp_path / name).read_text() == "x"


# Relative folders


def test_relative_folders_mean_one_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in paths.FOLDERS:
        monkeypatch.setenv(name, name.lower())
    paths.settle_folders()
    monkeypatch.chdir("/")
    assert paths.cache_root() == tmp_path / "saliencykit_cache"
    assert paths.data_root("osie") == tmp_path / "saliencykit_data" / "osie"
    assert os.environ["TORCH_HOME"] == str(tmp_path / "torch_home")


@pytest.mark.slow
def test_they_do_in_what_is_started_too(tmp_path):
    code = (
        "import os, subprocess, sys; from saliencykit import paths; os.chdir('/'); "
        "ask = 'from saliencykit import paths; print(paths.cache_root(), paths.FIGURES)'; "
        "print(paths.cache_root(), paths.FIGURES, flush=True); "
        "subprocess.run([sys.executable, '-c', ask])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"SALIENCYKIT_CACHE": "c", "SALIENCYKIT_FIGURES": "f", "PYTHONPATH": str(paths.ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"{tmp_path / 'c'} {tmp_path / 'f'}\n" * 2
