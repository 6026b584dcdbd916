"""Zips of odd and hostile kinds, unpacked beside what a user has.

    trial(seed, folder)  →  "right", "refused", "wrong" or "lost"

A plain zip is to be unpacked byte for byte. What leads out of its folder, is a link, says one name
twice, grows absurdly, is packed in an unusual way or damaged is refused, and then nothing is there
that was not there before. In no case is anything else touched.
"""

import io
import os
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from saliencykit.datasets.fetch import unpack

NAMES = ("images/train/a.jpg", "b.mat", "été/c.txt", "d e.txt", "..hidden", "f..txt", "g/h/i", "j")
EVIL = ("../out", "/abs/out", "a/../../out", "..\\out", "C:\\out", "images/../../../out", "C:out")


class Input(NamedTuple):
    """A zip, what is in it ({name: content}; None if it is to be refused), and whether damaged."""

    path: Path
    content: dict[str, bytes] | None
    damaged: bool = False


def inputs(seed: int, folder: Path) -> Input:
    """Write the zip of a seed."""
    rng = np.random.default_rng(seed)
    path = folder / "data.zip"
    names = [str(n) for n in rng.permutation(NAMES)[: rng.integers(1, len(NAMES) + 1)]]
    content = {name: _bytes(rng) for name in names}
    kind = rng.integers(8)
    if kind < 2:
        path.write_bytes(_zip(content, rng))
        return Input(path, content)
    if kind < 5:
        path.write_bytes(_damaged(_zip(content, rng), rng))
        return Input(path, content, damaged=True)
    make = (_evil, _link, _twice, _within, _unusual, _encrypted, _overlapping, _bomb, _none)
    path.write_bytes(make[rng.integers(len(make))](content, rng))
    return Input(path, None)


def _bytes(rng) -> bytes:
    size = int(rng.choice([0, 1, 100, 5000]))
    return rng.bytes(size) if rng.random() < 0.5 else bytes(rng.integers(65, 70, size, np.uint8))


def _zip(content, rng, method=None) -> bytes:
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w") as file:
        for name, inside in content.items():
            usual = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)[rng.integers(2)]
            file.writestr(name, inside, usual if method is None else method)
    return box.getvalue()


def _damaged(whole: bytes, rng) -> bytes:
    how = rng.integers(4)
    if how == 0:
        return whole[: rng.integers(len(whole))]
    if how == 1:
        return whole + rng.bytes(int(rng.integers(1, 200)))
    if how == 2:
        start, end = sorted(rng.integers(0, len(whole), 2))
        return whole[:start] + whole[end:]
    found = bytearray(whole)
    tail = rng.random() < 0.5  # where the names and sizes stand
    for _ in range(rng.integers(1, 5)):
        place = len(found) - 1 - rng.integers(min(300, len(found))) if tail else None
        found[rng.integers(len(found)) if place is None else place] ^= 1 << rng.integers(8)
    return bytes(found)


def _evil(content, rng) -> bytes:
    return _zip({**content, str(rng.choice(EVIL)): b"evil"}, rng)


def _link(content, rng) -> bytes:
    info = zipfile.ZipInfo("link")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return _zip({**content, info: b"/etc"}, rng)


def _twice(content, rng) -> bytes:
    again = zipfile.ZipInfo(str(rng.choice([*content])))
    return _zip({**content, again: b"another"}, rng)


def _within(content, rng) -> bytes:
    """A file in another file."""
    return _zip({**content, f"{rng.choice([*content])}/inside": b"x"}, rng)


def _unusual(content, rng) -> bytes:
    method = (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)[rng.integers(2)]
    return _zip(content, rng, method)


def _encrypted(content, rng) -> bytes:
    whole = bytearray(_zip(content, rng))
    whole[whole.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(whole)


def _overlapping(content, rng) -> bytes:
    """One entry's bytes stand for several, as in bombs."""
    name = "z" * 5
    whole = _zip({name: bytes(10**5)}, rng, zipfile.ZIP_DEFLATED)
    start, end = whole.index(b"PK\x01\x02"), whole.index(b"PK\x05\x06")
    entries = whole[start:end] * 2
    tail = bytearray(whole[end:])
    tail[8:12] = (2).to_bytes(2, "little") * 2
    tail[12:16] = len(entries).to_bytes(4, "little")
    return whole[:start] + entries + bytes(tail)


def _bomb(content, rng) -> bytes:
    """Zeros, said to be thousands of times what a zip can hold."""
    whole = bytearray(_zip({"zeros": bytes(10**5)}, rng, zipfile.ZIP_DEFLATED))
    entry = whole.index(b"PK\x01\x02")
    whole[entry + 24 : entry + 28] = (2**31 + int(rng.integers(2**30))).to_bytes(4, "little")
    return bytes(whole)


def _none(content, rng) -> bytes:
    """Something else that is called a zip."""
    box = io.BytesIO()
    with tarfile.open(fileobj=box, mode=("w", "w:gz")[rng.integers(2)]) as file:
        info = tarfile.TarInfo(str(rng.choice(EVIL)))
        info.size = 4
        file.addfile(info, io.BytesIO(b"evil"))
    return (box.getvalue(), b"", b"<html>please log in</html>", rng.bytes(1000))[rng.integers(4)]


def _everything(folder: Path) -> dict[str, bytes | None]:
    """All files and folders below a folder; locks aside."""
    paths = (Path(base, name) for base, *both in os.walk(folder) for part in both for name in part)
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() if p.is_file() else None
        for p in paths
        if p.suffix != ".lock"
    }


def judge(given: Input, seed: int) -> str:
    """Unpack it into a new folder, or one with the user's own files in it."""
    folder = given.path.parent
    into = folder / "sets" / "mine"
    if seed % 3 == 0:
        into.mkdir(parents=True)
        (into / "my.txt").write_text("mine")
        if seed % 2:
            (into / "j").write_text("mine too")
    else:
        into.parent.mkdir()
    before = _everything(folder)
    try:
        unpack(given.path, into)
        refused = False
    except (ValueError, OSError) as error:
        refused = True
        if not any(str(name) in str(error) for name in (given.path.name, into)):
            return "traceback"
    after = _everything(folder)
    if any(after.get(name, ...) != content for name, content in before.items()):
        return "lost"
    new = {name: after[name] for name in after.keys() - before.keys() if after[name] is not None}
    if refused:
        left = after.keys() - before.keys()
        clash = (into / "j").exists() and "j" in (given.content or {})
        return "refused" if not left and (given.damaged or not given.content or clash) else "wrong"
    want = {f"sets/mine/{name}": inside for name, inside in (given.content or {}).items()}
    return "right" if given.content is not None and new == want else "wrong"


def trial(seed: int, folder: Path) -> str:
    """Write the zip of a seed into `folder` and judge how it is unpacked."""
    return judge(inputs(seed, folder), seed)
