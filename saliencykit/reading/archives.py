"""Archives: whole, plain, with nothing in them that leads out of a folder or fills a disk."""

import errno
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

BAD_ZIP = (
    zipfile.BadZipFile,
    EOFError,
    NotImplementedError,  # a compression that Python does not know
    RuntimeError,  # an encrypted member
    zlib.error,
    struct.error,
    UnicodeError,  # a name in no encoding
)
"""All that zipfile raises for one damaged or unreadable archive or another."""
BAD_TAR = (tarfile.TarError, EOFError, OverflowError, struct.error, UnicodeError)
"""The same of tarfile."""
PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others are inflated without a limit
LARGE = 2**30  # bytes that any archive may hold; more only if it has
DENSE = 100  # times fewer itself: no photographs are packed so densely
MANY = 0xFFFF  # entries, or more: then their number stands elsewhere


@contextmanager
def plain_zip(archive: Path, shown: str) -> Iterator[zipfile.ZipFile]:
    """Give a zip to unpack on its own disk, once all its members have been found safe.

    shown: what errors call it. Raises ValueError for one that is unsafe or damaged, also if that is
    found out as it is unpacked inside; OSError if the disk has no room for what it holds.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = zipped.infolist()
            if (stated := _entries_stated(archive)) not in (len(members), MANY):
                raise zipfile.BadZipFile(f"of {stated} entries {len(members)} are there")
            for member in members:
                _check_member(member, shown)
            _check_together(members, shown)
            _check_room(sum(m.file_size for m in members), archive, shown)
            yield zipped
    except (*BAD_ZIP, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # the disk's, not the zip's
            raise
        raise ValueError(f"{shown} is no whole, plain zip ({error}). Nothing was kept.") from error


class Member(NamedTuple):
    """A file in an archive: how many bytes, and what opens it to be read."""

    size: int
    open: Callable[[], Any]


@contextmanager
def files_in(archive: Path, shown: str) -> Iterator[Mapping[str, Member]]:
    """Give the files in a tar or a zip by name, to read them one by one.

    Raises as `plain_zip`; of a tar too, which may hold plain files and folders alone, and is not
    packed.
    """
    if tarfile.is_tarfile(archive):
        with _plain_tar(archive, shown) as tar:
            files = (m for m in tar.getmembers() if m.isreg())
            yield {m.name: Member(m.size, partial(tar.extractfile, m)) for m in files}
    else:
        with plain_zip(archive, shown) as zipped:
            files = (m for m in zipped.infolist() if not m.is_dir())
            yield {m.filename: Member(m.file_size, partial(zipped.open, m)) for m in files}


@contextmanager
def _plain_tar(archive: Path, shown: str) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(archive, "r:") as tar:
            members = tar.getmembers()
            for member in members:
                if _leads_out(member.name) or not (member.isreg() or member.isdir()):
                    raise ValueError(
                        f"{shown}: its entry {member.name!r} leads out of the folder it is "
                        "unpacked in, or is no file. Nothing was unpacked; do not trust this "
                        "archive."
                    )
                if member.issparse():
                    raise tarfile.TarError(f"{member.name} has holes")
            _check_once([PurePosixPath(m.name) for m in members if m.isreg()], shown)
            yield tar
    except BAD_TAR as error:
        raise ValueError(f"{shown} is no whole, plain tar ({error}). Nothing was kept.") from error


def _check_room(needed: int, archive: Path, shown: str) -> None:
    """Raise for so many bytes, if the archive can hold no such number, or its disk."""
    packed = archive.stat().st_size
    if needed > max(LARGE, DENSE * packed):
        raise ValueError(
            f"{shown}: its {packed / 1e6:.1f} MB are said to hold {needed / 1e9:.1f} GB. "
            "Nothing was unpacked; do not trust this archive."
        )
    free = shutil.disk_usage(archive.parent).free
    if needed > free:
        raise OSError(
            f"{shown} needs {needed / 1e9:.1f} GB unpacked, {archive.parent} has "
            f"{free / 1e9:.1f} GB free."
        )


def _leads_out(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or bool(re.match(r"[A-Za-z]:", str(path)))


def _check_member(member: zipfile.ZipInfo, shown: str) -> None:
    """Raise ValueError for a path that leads out of the folder, or a link that may."""
    if not member.filename:
        raise ValueError(f"{shown}: one of its entries has no name. Nothing was unpacked.")
    if _leads_out(member.filename) or stat.S_ISLNK(member.external_attr >> 16):
        raise ValueError(
            f"{shown}: its entry {member.filename!r} leads out of the folder it is unpacked in. "
            "Nothing was unpacked; do not trust this archive."
        )
    if member.compress_type not in PLAIN:
        raise ValueError(
            f"{shown}: its entry {member.filename!r} is packed in an unusual way, which can take "
            "any amount of memory to unpack. Pack it anew as a plain zip."
        )


def _entries_stated(archive: Path) -> int:
    """Return how many entries a zip says that it has, at most MANY; zipfile does not ask."""
    with archive.open("rb") as file:
        file.seek(max(0, archive.stat().st_size - 22 - MANY))  # its end with the longest comment
        end = file.read().rpartition(b"PK\5\6")[2]
    return int.from_bytes(end[6:8], "little")


def _check_once(names: Sequence[PurePosixPath], shown: str) -> None:
    """Raise ValueError for a name that is there twice."""
    if again := [name for name, times in Counter(names).items() if times > 1]:
        raise ValueError(
            f"{shown}: its entry {str(again[0])!r} is there twice. Nothing was unpacked."
        )


def _check_together(members: Sequence[zipfile.ZipInfo], shown: str) -> None:
    """Raise ValueError for two entries of one name or place, or a file that others lie in."""
    names = [PurePosixPath(m.filename.replace("\\", "/")) for m in members]
    files = {name for name, m in zip(names, members, strict=True) if not m.is_dir()}
    _check_once([*names, *(name for name in names if not files.isdisjoint(name.parents))], shown)
    ordered = sorted(members, key=lambda m: m.header_offset)
    for one, other in pairwise(ordered):
        if one.header_offset + one.compress_size > other.header_offset:
            raise ValueError(
                f"{shown}: its entries {one.filename!r} and {other.filename!r} overlap. Nothing "
                "was unpacked; do not trust this archive."
            )
