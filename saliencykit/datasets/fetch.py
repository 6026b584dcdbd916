"""Getting data sets: verified downloads where they are possible, clear directions where not.

Nothing is downloaded without a known SHA-256. Archives are unpacked in a folder beside the goal and
renamed into place, so that a killed fetch leaves no half data set.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from tqdm import tqdm

from ..cache.locks import alone
from ..paths import data_root, staging
from ..reading.archives import plain_zip
from .base import DATASETS, SaliencyDataset
from .files import Source

SILENCE = 60
"""Seconds without an answer after which a server is given up."""


def fetch(name: str, root: str | os.PathLike | None = None) -> Path:
    """Get the files of data set `name` and return its folder.

    The folder is `root`, else $SALIENCYKIT_DATA/<name>, else the user cache. Files that are there
    are left alone. Raises UnknownNameError for an unknown name; FileNotFoundError whose text says
    where to get the files and where to put them if they cannot be downloaded unattended; ValueError
    for a wrong checksum or an unsafe archive; OSError if the network or the disk fails.
    """
    kind, folder = DATASETS[name], data_root(name, root)
    source: Source | None = getattr(kind, "source", None)
    if source is None:
        print(f"Data set {name!r} is drawn by code: there is nothing to fetch.")
        return folder
    if _is_there(kind, folder):
        print(f"Data set {name!r} is in {folder}.")
        return folder
    for archive in source.archives:
        download(archive.url, archive.sha256, folder / archive.into)
    for zipped, into in (source.by_hand or {}).items():
        if (folder / zipped).is_file():
            unpack(folder / zipped, folder / into)
    if not _is_there(kind, folder):
        raise FileNotFoundError(directions(name, source, folder))
    return folder


def directions(name: str, source: Source, folder: Path) -> str:
    """Return the text that tells a person how to get data set `name` into `folder`."""
    return (
        f"Data set {name!r} cannot be downloaded unattended.\nOfficial page: {source.page} "
        f"(licence: {source.licence})\n{source.steps.format(root=folder)}"
    )


def download(url: str, sha256: str, into: Path) -> Path:
    """Download the zip at `url`, check its SHA-256, unpack it as folder `into`, and return that.

    Shows a progress bar. Raises ValueError if the checksum is missing or wrong or the archive is
    unsafe or damaged, FileExistsError if it would overwrite something, OSError if the network or
    the disk fails; in every case `into` is as it was.
    """
    if len(sha256) != 64:
        raise ValueError(f"{url}: no SHA-256 is known for it, so it is not downloaded.")
    with _staging(into) as folder:
        archive = folder / "archive.zip"
        try:
            found = _save(url, archive)
        except (OSError, HTTPException) as error:
            raise OSError(
                f"{url} could not be downloaded ({error}). Check the network and run it again."
            ) from error
        if found != sha256.lower():
            raise ValueError(
                f"{url} is not the file that was expected (its SHA-256 is {found}, not {sha256}). "
                "Nothing was kept; if it happens again, the archive was changed by its owners."
            )
        _unpack(archive, folder / "unpacked", shown=url)
        _move_into(folder / "unpacked", into)
    return into


def _save(url: str, path: Path) -> str:
    """Save what `url` serves as `path`, a bar showing how far it is, and return its SHA-256."""
    sha = hashlib.sha256()
    with urlopen(url, timeout=SILENCE) as answer, path.open("wb") as file:
        size = int(answer.headers.get("Content-Length") or 0) or None
        with tqdm(total=size, unit="B", unit_scale=True, desc=url.rpartition("/")[2]) as bar:
            while chunk := answer.read(1 << 20):
                sha.update(chunk)
                file.write(chunk)
                bar.update(len(chunk))
        if size and file.tell() < size:
            raise OSError(f"it ended after {file.tell()} of {size} bytes")
    return sha.hexdigest()


def unpack(archive: Path, into: Path) -> Path:
    """Unpack a zip into folder `into`, wholly or not at all. Raises as `download` does."""
    with _staging(into) as folder:
        _unpack(archive, folder / "unpacked", shown=str(archive))
        _move_into(folder / "unpacked", into)
    return into


def _is_there(kind: Callable[..., SaliencyDataset], folder: Path) -> bool:
    try:
        kind(root=folder)
    except FileNotFoundError:
        return False
    return True


@contextmanager
def _staging(into: Path) -> Iterator[Path]:
    """A folder on the disk of `into`, gone afterwards; one process at a time has one."""
    into = into.resolve()
    into.parent.mkdir(parents=True, exist_ok=True)
    lock = into.with_name(f".{into.name}.fetch.lock")
    with alone(lock), staging(into) as folder:
        yield folder


def _unpack(archive: Path, into: Path, shown: str) -> None:
    """Unpack a zip; `shown` names it in errors."""
    with plain_zip(archive, shown) as zipped:
        zipped.extractall(into)


def _move_into(unpacked: Path, into: Path) -> None:
    """Move what was unpacked to its place: one rename if the place is free."""
    if not into.exists():
        os.replace(unpacked, into)
        return
    if clash := [p.name for p in unpacked.iterdir() if (into / p.name).exists()]:
        raise FileExistsError(
            f"{into} has {', '.join(sorted(clash)[:3])} already; move it away and run it again."
        )
    for entry in unpacked.iterdir():
        os.replace(entry, into / entry.name)
