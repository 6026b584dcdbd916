"""Fetching: real downloads from a server on loopback, unsafe archives, directions for people."""

import hashlib
import io
import multiprocessing
import threading
import time
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from saliencykit import datasets
from saliencykit.datasets.base import DATASETS, SaliencyDataset
from saliencykit.datasets.fetch import download, fetch, unpack
from saliencykit.datasets.files import Archive, Source
from saliencykit.registry import UnknownNameError
from tests import miniature


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; /slow.zip sends its first half and then waits, /cut.zip hangs up."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path not in ("/slow.zip", "/cut.zip"):
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.wfile.write(bytes(500_000))
        self.wfile.flush()
        if self.path == "/cut.zip":
            return None
        self.server.asked.set()
        self.server.done.wait(20)
        return None


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as running:
        running.asked, running.done = threading.Event(), threading.Event()
        running.folder, running.url = folder, f"http://127.0.0.1:{running.server_port}"
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.done.set()
        running.shutdown()


def zipped(members):
    """Bytes of a zip of {name or ZipInfo: text}."""
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in members.items():
            file.writestr(name, text)
    return box.getvalue()


def served(server, members, name="data.zip"):
    content = members if isinstance(members, bytes) else zipped(members)
    (server.folder / name).write_bytes(content)
    return f"{server.url}/{name}", hashlib.sha256(content).hexdigest()


def left(folder):
    """All files below `folder`, lock files aside."""
    files = [p for p in folder.rglob("*") if p.is_file()]
    return sorted(p.relative_to(folder).as_posix() for p in files if p.suffix != ".lock")


def test_download_unpacks_what_was_served(server, tmp_path):
    url, sha = served(server, {"stimuli/a.txt": "A", "eye/b.txt": "B"})
    into = tmp_path / "data" / "osie"
    assert download(url, sha, into) == into
    assert (into / "stimuli" / "a.txt").read_text() == "A"
    assert left(tmp_path / "data") == ["osie/eye/b.txt", "osie/stimuli/a.txt"]


def test_download_adds_to_a_folder_but_overwrites_nothing(server, tmp_path):
    url, sha = served(server, {"a.txt": "new", "b.txt": "new"})
    into = tmp_path / "data"
    into.mkdir()
    (into / "mine.txt").write_text("mine")
    download(url, sha, into)
    assert left(into) == ["a.txt", "b.txt", "mine.txt"]
    (into / "a.txt").write_text("changed")
    (into / "b.txt").unlink()
    with pytest.raises(FileExistsError, match=r"has a\.txt already"):
        download(url, sha, into)
    assert left(into) == ["a.txt", "mine.txt"]
    assert (into / "a.txt").read_text() == "changed"


def test_wrong_checksum_keeps_nothing(server, tmp_path):
    url, _ = served(server, {"a.txt": "A"})
    with pytest.raises(ValueError, match=r"data\.zip is not the file that was expected"):
        download(url, "0" * 64, tmp_path / "data" / "set")
    assert left(tmp_path / "data") == []


def test_nothing_is_downloaded_without_a_checksum(server, tmp_path):
    url, _ = served(server, {"a.txt": "A"})
    with pytest.raises(ValueError, match="no SHA-256 is known"):
        download(url, "", tmp_path / "data" / "set")
    assert not (tmp_path / "data").exists()


def test_no_such_address_or_server_is_one_clear_error(server, tmp_path):
    with pytest.raises(OSError, match=r"none\.zip could not be downloaded .*run it again"):
        download(f"{server.url}/none.zip", "0" * 64, tmp_path / "data" / "set")
    with pytest.raises(OSError, match="could not be downloaded"):
        download("http://127.0.0.1:1/a.zip", "0" * 64, tmp_path / "data" / "set")
    with pytest.raises(OSError, match=r"it ended after 500000 of 1000000 bytes"):
        download(f"{server.url}/cut.zip", "0" * 64, tmp_path / "data" / "set")
    assert left(tmp_path / "data") == []


def link(name):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return info


@pytest.mark.parametrize(
    "bad", ["../out.txt", "/abs.txt", "a/../../out.txt", "..\\out.txt", "C:\\out.txt", link("l")]
)
def test_zip_that_escapes_writes_nothing_anywhere(server, tmp_path, bad):
    url, sha = served(server, {"good.txt": "G", bad: "/etc"})
    with pytest.raises(ValueError, match=r"data\.zip: its entry .* leads out of the folder"):
        download(url, sha, tmp_path / "data" / "set")
    assert left(tmp_path) == ["server/data.zip"]


def refused(tmp_path, content, said):
    archive = tmp_path / "bad.zip"
    archive.write_bytes(content)
    with pytest.raises(ValueError, match=rf"bad\.zip.*{said}"):
        unpack(archive, tmp_path / "set")
    assert left(tmp_path) == ["bad.zip"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zip_of_two_files_in_one_place_is_refused(tmp_path):
    refused(tmp_path, zipped({"a": "1", zipfile.ZipInfo("a"): "2"}), "'a' is there twice")
    refused(tmp_path, zipped({"a": "1", "a/b": "2"}), "'a/b' is there twice")


def test_zip_that_says_less_than_it_has_or_has_less_than_it_says_is_refused(tmp_path):
    whole = zipped({"a": "1", "b": "2"})
    end = whole.rindex(b"PK\5\6")
    refused(tmp_path, whole[: end + 10] + b"\3" + whole[end + 11 :], "of 3 entries 2 are there")


def test_bombs_are_refused(tmp_path):
    whole = zipped({"zeros": "0" * 10**5})
    entry, end = whole.index(b"PK\1\2"), whole.index(b"PK\5\6")
    large = whole[: entry + 24] + (2**31).to_bytes(4, "little") + whole[entry + 28 :]
    refused(tmp_path, large, "are said to hold 2.1 GB")
    other = whole[entry:end].replace(b"zeros", b"zeroz")
    sizes = (2 * (end - entry)).to_bytes(4, "little")
    double = whole[:end] + other + whole[end : end + 10] + b"\2\0" + sizes + whole[end + 16 :]
    refused(tmp_path, double, "'zeros' and 'zeroz' overlap")
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w", zipfile.ZIP_BZIP2) as file:
        file.writestr("a.txt", "A" * 1000)
    refused(tmp_path, box.getvalue(), "packed in an unusual way")


def test_damaged_zip_keeps_nothing(server, tmp_path):
    whole = zipped({"a.txt": "A" * 10_000, "b.txt": "B" * 10_000})
    wrong = bytearray(whole)
    wrong[45] ^= 255  # inside a.txt: found only while it is unpacked
    for content in (whole[:-30], bytes(wrong), b"<html>please log in</html>"):
        url, sha = served(server, content)
        with pytest.raises((ValueError, OSError)) as error:
            download(url, sha, tmp_path / "data" / "set")
        assert "data.zip" in str(error.value)
        assert left(tmp_path / "data") == []


def test_zip_larger_than_the_disk_is_refused_before_it_is_written(tmp_path, monkeypatch):
    (tmp_path / "big.zip").write_bytes(zipped({"a.txt": "A" * 5000}))
    usage = type("Usage", (), {"free": 4999})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(OSError, match=r"big\.zip needs .* GB free"):
        unpack(tmp_path / "big.zip", tmp_path / "set")
    assert left(tmp_path) == ["big.zip"]


def test_killed_download_leaves_no_data_set_and_the_next_one_cleans_up(server, tmp_path):
    into = tmp_path / "data" / "set"
    slow = (f"{server.url}/slow.zip", "0" * 64, into)
    run = multiprocessing.get_context("fork").Process(target=download, args=slow)
    run.start()
    try:
        assert server.asked.wait(30)
        time.sleep(0.1)
    finally:
        run.kill()
        run.join()
    assert not into.exists()
    url, sha = served(server, {"a.txt": "A"})
    download(url, sha, into)
    assert left(tmp_path / "data") == ["set/a.txt"]


# --- fetch by name --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("osie", "github.com/NUS-VIP/predicting-human-gaze-beyond-pixels"),
        ("osie_sr", "github.com/SenHe/uavdvsm"),
        ("salicon", "salicon.net"),
        ("crowd", "github.com/NUS-VIP/saliency-in-crowd"),
        ("mit1003", "people.csail.mit.edu/tjudd"),
        ("cat2000", "saliency.mit.edu"),
        ("figrim", "figrim.mit.edu"),
        ("folder", "fixations.csv"),
    ],
)
def test_fetch_says_where_to_get_and_where_to_put(name, page, tmp_path, monkeypatch):
    monkeypatch.setenv("SALIENCYKIT_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError) as error:
        fetch(name)
    assert page in str(error.value)
    assert str(tmp_path / name) in str(error.value)


def test_fetch_leaves_what_is_there(tmp_path, capsys):
    miniature.write_osie(tmp_path, n=3, size=(60, 80))
    before = left(tmp_path)
    assert fetch("osie", tmp_path) == tmp_path
    assert str(tmp_path) in capsys.readouterr().out
    assert left(tmp_path) == before


def test_fetch_of_an_unknown_name():
    with pytest.raises(UnknownNameError, match="Did you mean 'osie'"):
        fetch("osei")


def test_fetch_of_a_drawn_data_set_says_so(monkeypatch, capsys):
    monkeypatch.setitem(DATASETS, "drawn", type("Drawn", (SaliencyDataset,), {}))
    fetch("drawn")
    assert "drawn by code" in capsys.readouterr().out


def test_fetch_downloads_the_archives_of_a_source(server, tmp_path, monkeypatch):
    miniature.write_osie(tmp_path / "made", n=3, size=(60, 80))
    made = tmp_path / "made"
    stimuli = {p.name: p.read_bytes() for p in (made / "stimuli").iterdir()}
    eye = {"fixations.mat": (made / "eye" / "fixations.mat").read_bytes()}
    archives = (
        Archive(*served(server, stimuli, "s.zip"), into="stimuli"),
        Archive(*served(server, eye, "e.zip"), into="eye"),
    )
    source = Source(page="p", licence="l", steps="s", archives=archives)
    monkeypatch.setattr(DATASETS["osie"], "source", source)
    folder = fetch("osie", tmp_path / "osie")
    assert len(datasets.load("osie", folder)) == 3
    assert left(folder) == left(made)


@pytest.mark.parametrize(
    ("name", "write", "zips"),
    [
        ("cat2000", miniature.write_cat2000, {"trainSet.zip": "trainSet"}),
        ("figrim", miniature.write_figrim, {"Targets.zip": "Targets", "Fillers.zip": "Fillers"}),
    ],
)
def test_fetch_unpacks_the_official_zips(tmp_path, name, write, zips):
    made, root = tmp_path / "made", tmp_path / name
    write(made, n=1, size=(10, 10))
    root.mkdir()
    for path in made.glob("*.mat"):
        path.rename(root / path.name)
    for archive, folder in zips.items():
        files = {
            p.relative_to(made).as_posix(): p.read_bytes()
            for p in (made / folder).rglob("*")
            if p.is_file()
        }
        (root / archive).write_bytes(zipped(files))
    assert fetch(name, root) == root
    ds = datasets.load(name, root)
    assert len(ds.fixations(len(ds) - 1)) > 0


def test_fetch_unpacks_what_a_person_downloaded(tmp_path):
    miniature.write_salicon(tmp_path / "made", n=(2, 1, 1), size=(60, 80))
    made, root = tmp_path / "made", tmp_path / "salicon"
    root.mkdir()
    for name, base in (("images.zip", made), ("fixations.zip", made / "fixations")):
        keep = [p for p in base.rglob("*") if p.is_file() and (p.suffix == ".jpg" or base != made)]
        content = {p.relative_to(base).as_posix(): p.read_bytes() for p in keep}
        (root / name).write_bytes(zipped(content))
    assert fetch("salicon", root) == root
    ds = datasets.load("salicon", root)
    assert len(ds) == 4
    assert len(ds.fixations(0)) > 0
