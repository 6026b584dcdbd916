"""Entries of the cache as one archive, .tar or .zip, that others take into theirs.

An archive holds entries under their names in the cache, and manifest.json: its format, who wrote it
when, and of each entry the size and the SHA-256. These tell that it arrived whole, not that its
numbers are right: whoever takes them believes who computed them.
"""

import hashlib
import json
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from ..cache import Entry, digest, read
from ..cache.origins import version
from ..paths import cache_root, check_out, regular, staging, written
from ..reading.archives import Member, files_in
from ..reading.jsons import read_json
from ..registry import check_name
from . import ENTRY, NO_KINDS, Holding, held

COMMAND = "cache export"
FORMAT = "saliencykit cache 1"
MANIFEST = "manifest.json"
LOCAL = {"weights", "weights_of"}  # notes about files of one machine
ENDS = (".tar", ".zip")
Add = Callable[[str, IO[bytes], int], None]
"""Adds a member: its name, a file to read it from, its size in bytes."""


def export(entries: Sequence[Holding], out: Path) -> tuple[list[str], list[str]]:
    """Write an archive of entries; return the names of those in it, and in words what is not.

    Not in it: what is damaged, what does not say what it is of (from before that was told), and
    notes about files of this machine. Raises UnknownNameError for another suffix than `ENDS`; as
    `check_out` for a file that may not be written over; ValueError if nothing is left; OSError,
    with nothing written, if the disk has no room.
    """
    end = check_name("kind of archive", out.suffix, ENDS)
    check_out(COMMAND, out)
    manifest: dict[str, dict[str, Any]] = {}
    left = []
    try:
        with written(COMMAND, out) as part, _adding(part, end) as add:
            for one in entries:
                if why := _unfit(one):
                    left.append(f"{one.name}: {why}")
                    continue
                with one.path.open("rb") as file:
                    name, size = f"{one.name}.safetensors", os.fstat(file.fileno()).st_size
                    sha = hashlib.file_digest(file, "sha256").hexdigest()
                    file.seek(0)
                    add(name, file, size)
                manifest[name] = {"size": size, "sha256": sha}
            if not manifest:
                raise ValueError("\n".join(["There is nothing to export.", *left]))
            when = datetime.now(UTC).isoformat(timespec="seconds")
            told = {"format": FORMAT, "version": version(), "when": when, "entries": manifest}
            text = json.dumps(told, indent=1).encode()
            add(MANIFEST, BytesIO(text), len(text))
    except OSError as error:
        if error.errno is None:  # in words already
            raise
        raise OSError(f"{out} could not be written ({error}). Nothing was kept of it.") from error
    return [name.removesuffix(".safetensors") for name in manifest], left


def _unfit(one: Holding) -> str:
    """Why an entry is not for others, in words; empty if it is."""
    if one.kind in LOCAL:
        return "a note about a file of this machine"
    if not one.named:
        return "older than the rule that an entry says what it is of"
    try:
        read(one.path)
    except (OSError, ValueError) as error:
        return str(error)
    return ""


@contextmanager
def _adding(part: Path, end: str) -> Iterator[Add]:
    """Give a function that adds members to a new archive, unpacked and without a user's name."""
    if end == ".zip":
        with zipfile.ZipFile(part, "w") as zipped:

            def add(name: str, file: IO[bytes], size: int) -> None:
                with zipped.open(zipfile.ZipInfo(name), "w", force_zip64=size > 2**30) as target:
                    shutil.copyfileobj(file, target)

            yield add
        return
    with tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as tar:

        def put(name: str, file: IO[bytes], size: int) -> None:
            info = tarfile.TarInfo(name)
            info.size = size
            tar.addfile(info, file)

        yield put


def take(archive: Path) -> tuple[list[str], list[str]]:
    """Take all entries of an archive into the cache; return names of new ones, and of those there.

    Raises ValueError for what is no such archive, or not as its manifest says, or would lead out of
    the cache, or holds anything but whole entries; for an entry that differs from the one that is
    there (times aside: see `_content`); OSError if the disk has no room. Nothing is taken then.
    """
    regular(archive)
    root = cache_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with staging(root / "import") as folder:
            with files_in(archive, str(archive)) as members:
                names = _unpack(members, folder, archive)
            new = [name for name in names if _is_new(folder / name, root / name)]
            if other := [n for n in names if n not in new and not _same(folder / n, root / n)]:
                raise ValueError(
                    f"{archive}: {_known(other[0])} differs from the entry of that name that is "
                    f"here ({len(other)} of {len(names)} do). Nothing was imported; name another "
                    f"SALIENCYKIT_CACHE, or remove yours: saliencykit cache prune "
                    f"{_known(other[0])}"
                )
            _place(new, folder, root)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(
            f"{archive} could not be imported into {root} ({error}). Nothing was kept of it."
        ) from error
    return [_known(name) for name in new], [_known(name) for name in names if name not in new]


def _known(name: str) -> str:
    return name.removesuffix(".safetensors")


def _unpack(members: Mapping[str, Member], folder: Path, archive: Path) -> list[str]:
    """Write an archive's entries below `folder` and return their names. Raises as `take`."""
    for name in members:
        _check_name(name, archive)
    if MANIFEST not in members:
        raise ValueError(f"{archive} holds no {MANIFEST}: it is no export of a cache.")
    told = _manifest(members, folder, archive)
    if odd := sorted({*told, MANIFEST} ^ {*members}):
        where = "not there" if odd[0] in told else "not in its manifest"
        raise ValueError(f"{archive}: {odd[0]} is {where}. Nothing was imported.")
    needed, free = sum(one["size"] for one in told.values()), shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"{archive} holds {needed / 1e9:.1f} GB, the disk of {cache_root()} has "
            f"{free / 1e9:.1f} GB free. Nothing was imported."
        )
    for name, one in told.items():
        if _copied(members[name], folder / name, one["size"]) != one["sha256"]:
            raise ValueError(
                f"{archive}: {name} is not as its manifest says: it was damaged or changed on the "
                "way. Nothing was imported."
            )
        _check_entry(folder / name, name, archive)
    return list(told)


def _check_name(name: str, archive: Path) -> None:
    called = ENTRY.fullmatch(name)
    fits = called and called["end"] == "safetensors" and called["kind"] not in NO_KINDS | LOCAL
    if name != MANIFEST and not fits:
        raise ValueError(
            f"{archive}: {name!r} names no entry of a cache, which would be "
            "<kind>/<16 hex digits>.safetensors. Nothing was imported."
        )


def _manifest(
    members: Mapping[str, Member], folder: Path, archive: Path
) -> Mapping[str, Mapping[str, Any]]:
    """Return size and SHA-256 of each entry that a manifest tells of."""
    place = folder / MANIFEST
    _copied(members[MANIFEST], place, members[MANIFEST].size)
    try:
        found = read_json(place)
    except ValueError as error:
        raise ValueError(str(error).replace(str(place), f"{archive}, {MANIFEST}")) from error
    if (format_ := found.get("format")) != FORMAT:
        raise ValueError(f"{archive}, {MANIFEST}: the format is {format_!r}, not {FORMAT!r}.")
    told = found.get("entries")
    entries: dict[str, Any] = told if isinstance(told, dict) else {"entries": told}
    for name, one in entries.items():
        match one:
            case {"size": int(size), "sha256": str()} if size >= 0:
                continue
        raise ValueError(f"{archive}, {MANIFEST}: {name!r} tells no size and SHA-256: {one!r}.")
    return entries


def _copied(member: Member, place: Path, size: int) -> str:
    """Write a member, of at most so many bytes, at `place` and return its SHA-256."""
    place.parent.mkdir(exist_ok=True)
    sha = hashlib.sha256()
    with member.open() as source, place.open("wb") as target:
        while size >= 0 and (chunk := source.read(min(size + 1, 1 << 20))):
            size -= len(chunk)
            sha.update(chunk)
            target.write(chunk)
    return sha.hexdigest() if size == 0 else "of another size"


def _check_entry(file: Path, name: str, archive: Path) -> None:
    """Raise ValueError unless a file is a whole entry that says to be of that name."""
    found = held(file, name)
    try:
        read(file)
    except ValueError as error:
        raise ValueError(
            f"{archive}: {str(error).replace(str(file), name)}. Nothing was imported."
        ) from error
    if found is None or not found.named:
        raise ValueError(f"{archive}: {name} is no entry of that name. Nothing was imported.")


def _is_new(taken: Path, own: Path) -> bool:
    """Tell whether there is no whole entry of that name here."""
    if not os.path.lexists(own):
        return True
    try:
        read(own)
    except ValueError:  # damaged: it would be computed again
        return True
    return False


def _same(taken: Path, own: Path) -> bool:
    return _content(read(taken)) == _content(read(own))


def _content(entry: Entry) -> str:
    """Hash of tensors and values, without how many seconds something took, which never recurs."""
    return digest(entry.tensors, _timeless(entry.meta))


def _timeless(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _timeless(v) for k, v in value.items() if k != "seconds"}
    return [_timeless(one) for one in value] if isinstance(value, list) else value


def _place(names: Sequence[str], folder: Path, root: Path) -> None:
    """Move entries to their places, all or none."""
    placed = []
    try:
        for name in names:
            (root / name).parent.mkdir(exist_ok=True)
            os.replace(folder / name, root / name)
            placed.append(root / name)
    except BaseException:
        for path in placed:
            with suppress(OSError):
                path.unlink()
        raise
