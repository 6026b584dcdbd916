"""Matlab files, plain and compressed, of both orders of bytes and both versions, whole and damaged.

    trial(seed, folder)  →  "right", "refused" or "wrong"

The files are encoded here, byte by byte, so that it is known where each number, text and name
stands. Wherever a file is damaged, the right answer is what its bytes now say there, read by these
places; or it is refused in words. Nothing else may come of it, and no process may end.
"""

import os
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from saliencykit.datasets import figrim, osie, salicon
from saliencykit.reading.matlab import read_mat

TYPES = {"i1": (8, 1), "u1": (9, 2), "i2": (10, 3), "u2": (11, 4), "i4": (12, 5), "u4": (13, 6)}
TYPES |= {"f4": (7, 7), "f8": (6, 9), "i8": (14, 12), "u8": (15, 13)}
"""Numbers, and the class and type that stand for them."""
WORDS = (0, 1, 2, 4, 8, 14, 15, 16, 99, 200, 2**16, 2**20, 2**30, 2**31 - 1, 2**31, 2**32 - 1)
LETTERS = "abcxyz 019._é"


@dataclass
class Leaf:
    """Numbers, a text or a name, and where it stands in the file."""

    dtype: str
    sides: tuple[int, ...]
    start: int = 0
    length: int = 0
    codec: str = ""

    def now(self, data: bytes) -> Any:
        """Return what the bytes there say."""
        found = data[self.start : self.start + self.length]
        if self.codec:
            return found.decode(self.codec, "replace").rstrip("\0")
        return np.frombuffer(found, self.dtype).reshape(self.sides, order="F")


@dataclass
class Node:
    """A cell array, or a struct array if it has `names`."""

    number: int
    items: list[Any] = field(default_factory=list)
    names: list[Leaf] = field(default_factory=list)

    def now(self, data: bytes) -> Any:
        """Return what the bytes there say."""
        if not self.number:
            return np.zeros((0, 0))
        values = [item.now(data) for item in self.items]
        if not self.names:
            return values
        names = [name.now(data).partition("\0")[0] for name in self.names]
        n = len(names)
        return [
            dict(zip(names, values[k * n : (k + 1) * n], strict=True)) for k in range(self.number)
        ]


class Encoder:
    """Writes matrices one after the other into `data`; leaves know where."""

    def __init__(self, order: str, rng):
        self.order, self.rng, self.data = order, rng, bytearray()

    def words(self, *words: int) -> None:
        """Write integers."""
        self.data += struct.pack(f"{self.order}{len(words)}I", *words)

    def element(self, kind: int, content: bytes) -> int:
        """Write an element and return where its content begins."""
        if 0 < len(content) <= 4:
            self.words(len(content) << 16 | kind)
            self.data += content.ljust(4, b"\0")
            return len(self.data) - 4
        self.words(kind, len(content))
        self.data += content + bytes(-len(content) % 8)
        return len(self.data) - len(content) - -len(content) % 8

    def matrix(self, kind: int, sides, name=b"") -> int:
        """Write a matrix's head and return where it is to be told its length."""
        self.words(14, 0, 6, 8, kind, 0)
        self.element(5, struct.pack(f"{self.order}{len(sides)}i", *sides))
        self.element(1, name)
        return len(self.data)

    def close(self, begun: int) -> None:
        """Write into the matrix that began there how long it is."""
        struct.pack_into(f"{self.order}I", self.data, begun + 4, len(self.data) - begun - 8)

    def value(self, depth: int = 0, name: bytes = b"") -> Any:
        """Write some matrix, and return what is in it."""
        begun, rng = len(self.data), self.rng
        kind = rng.integers(4) if depth < 4 else rng.integers(2)
        if kind == 0:
            found = self._numbers(name)
        elif kind == 1:
            found = self._text(name)
        else:
            found = self._nested(depth, name, structs=kind == 3)
        self.close(begun)
        return found

    def _numbers(self, name: bytes) -> Leaf:
        kind = str(self.rng.choice([*TYPES]))
        sides = tuple(int(n) for n in self.rng.integers(0, 6, self.rng.choice([2, 2, 2, 3])))
        leaf = Leaf(self.order + kind, sides)
        content = self.rng.integers(0, 100, sides).astype(leaf.dtype).tobytes("F")
        self.matrix(TYPES[kind][0], sides, name)
        leaf.start, leaf.length = self.element(TYPES[kind][1], content), len(content)
        return leaf

    def _text(self, name: bytes) -> Leaf:
        ends = "-le" if self.order == "<" else "-be"
        kind, codec = ((16, "utf-8"), (4, f"utf-16{ends}"), (17, f"utf-16{ends}"))[
            self.rng.integers(3)
        ]
        text = "".join(self.rng.choice([*LETTERS], self.rng.integers(1, 12))).rstrip("\0")
        leaf = Leaf("", (1, len(text)), codec=codec)
        content = text.encode(codec)
        self.matrix(4, leaf.sides, name)
        leaf.start, leaf.length = self.element(kind, content), len(content)
        return leaf

    def _nested(self, depth: int, name: bytes, structs: bool) -> Node:
        number = int(self.rng.integers(0, 4))
        node = Node(number)
        self.matrix(2 if structs else 1, (number, 1), name)
        if structs:
            names = [f"f{k}".encode() for k in range(self.rng.integers(1, 4))]
            width = int(self.rng.choice([4, 32, 64]))
            self.element(5, struct.pack(f"{self.order}i", width))
            start = self.element(1, b"".join(n.ljust(width, b"\0") for n in names))
            node.names = [
                Leaf("", (), start + k * width, width, "ascii") for k in range(len(names))
            ]
        for _ in range(number * max(1, len(node.names))):
            node.items.append(self.value(depth + 1))
        return node


class Input(NamedTuple):
    """A file, the variables in it, and by name what they hold; nothing if it is to be refused."""

    path: Path
    names: tuple[str, ...]
    right: dict[str, Any]
    whole: bool = False


def inputs(seed: int, folder: Path) -> Input:
    """Write the file of a seed."""
    rng = np.random.default_rng(seed)
    path = folder / "a.mat"
    if rng.random() < 0.05:
        return _none(path, rng)
    if rng.random() < 0.1:
        return _version_4(path, rng)
    order = "<>"[int(rng.random() < 0.3)]
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(f"{order}2H", 0x0100, 0x4D49)
    names = ("gaze", "resolution")[: rng.integers(1, 3)]
    compressed = rng.random() < 0.5
    damage = rng.choice(["none", "inside", "outside"], p=[0.15, 0.5, 0.35])
    content, right = head, {}
    for name in names:
        encoder = Encoder(order, rng)
        node = encoder.value(name=name.encode())
        matrix = bytes(encoder.data)
        if damage == "inside":
            matrix = _changed(matrix, order, rng)
        right[name] = node.now(matrix)
        if compressed:
            small = zlib.compress(matrix, int(rng.integers(0, 10)))
            matrix = struct.pack(f"{order}2I", 15, len(small)) + small
        content += matrix
    if damage == "outside":
        content = _outside(content, compressed, order, rng)
    path.write_bytes(content)
    return Input(path, names, right, damage == "none")


def _changed(data: bytes, order: str, rng) -> bytes:
    """Flip bits of some bytes, or put other words in."""
    found = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        if rng.random() < 0.5:
            found[rng.integers(len(found))] ^= 1 << rng.integers(8)
        else:
            place = 4 * int(rng.integers(len(found) // 4))
            struct.pack_into(f"{order}I", found, place, int(rng.choice(WORDS)))
    return bytes(found)


def _outside(content: bytes, compressed: bool, order: str, rng) -> bytes:
    """Damage a whole file so that what it held is still the only right answer."""
    how = rng.integers(4)
    if how == 0:
        return content[: rng.integers(len(content))]
    if how == 1:
        return content + rng.bytes(int(rng.integers(1, 100)))
    if how == 2 and compressed:
        return content[:128] + _changed(content[128:], order, rng)
    return _changed(content[:128], order, rng) + content[128:]


def _version_4(path: Path, rng) -> Input:
    """Matrices of version 4, whole or cut; or with another head, which is to be refused."""
    order = "<>"[rng.integers(2)]
    kind = rng.integers(6)
    dtype = order + ("f8", "f4", "i4", "i2", "u2", "u1")[kind]
    values = rng.integers(0, 100, rng.integers(1, 6, 2)).astype(dtype)
    head = [1000 * (order == ">") + 10 * int(kind), *values.shape, 0, 5]
    whole = rng.random() < 0.5
    if not whole:
        head[rng.integers(5)] = int(rng.choice([-1, 6, 77, 10**6, 2**30, 2**31 - 1]))
    path.write_bytes(struct.pack(f"{order}5i", *head) + b"gaze\0" + values.tobytes("F"))
    return Input(path, ("gaze",), {"gaze": values} if whole else {}, whole)


def _none(path: Path, rng) -> Input:
    """What is no .mat file, or has too much in it."""
    how = rng.integers(6)
    if how == 0:
        os.mkfifo(path)
    elif how == 1:
        path.mkdir()
    elif how == 2:
        path.write_bytes(rng.bytes(int(rng.integers(3000))))
    elif how == 3:
        path.write_bytes(b"\x89HDF\r\n\x1a\n" + rng.bytes(600))
    elif how == 4:
        _nested_deep(path, rng)
    return Input(path, ("gaze",), {})


def _nested_deep(path: Path, rng) -> None:
    """Cells in cells, or more of them than a file of this size can mean."""
    encoder = Encoder("<", rng)
    depth = int(rng.choice([40, 3000]))
    for k in range(depth):
        encoder.matrix(1, (1, 1), b"gaze" if not k else b"")
    for k in range(depth):
        encoder.close(48 * k)
    if rng.random() < 0.5:
        encoder = Encoder("<", rng)
        encoder.matrix(1, (1100, 1000), b"gaze")
        encoder.data += struct.pack("<2I", 14, 0) * 1_100_000
        encoder.close(0)
    small = zlib.compress(bytes(encoder.data), 1)
    head = b"MATLAB 5.0".ljust(124) + b"\x00\x01IM"
    path.write_bytes(head + struct.pack("<2I", 15, len(small)) + small)


def same(found: Any, want: Any) -> bool:
    """Whether two values are the same, numbers of one kind to the last bit."""
    if isinstance(want, dict):
        return (
            isinstance(found, dict)
            and list(found) == list(want)
            and all(same(found[k], want[k]) for k in want)
        )
    if isinstance(want, list):
        return (
            isinstance(found, list)
            and len(found) == len(want)
            and all(same(a, b) for a, b in zip(found, want, strict=True))
        )
    if isinstance(want, str):
        if isinstance(found, np.ndarray):  # one flipped bit of its class, and letters are numbers
            return found.dtype.kind in "iu" and "".join(map(chr, found.ravel())) == want
        return found == want
    if isinstance(found, str | list) and want.dtype.kind in "iu":  # and the other way round
        codec = "ascii" if want.itemsize == 1 else "utf-16-le"
        rows = want.reshape(len(want), -1, order="F").astype(want.dtype.newbyteorder("<"))
        texts = [row.tobytes().decode(codec, "replace").rstrip("\0") for row in rows]
        return found == (texts[0] if len(texts) == 1 else texts)
    if not isinstance(found, np.ndarray) or found.size != want.size:
        return False
    equal = found.dtype == want.dtype and found.shape == want.shape
    return not want.size or (equal and found.tobytes() == want.tobytes())


def judge(given: Input) -> str:
    """Read the variables, and have every loader of a data set read the file."""
    for load in (osie.read_gaze, salicon.read_gaze, lambda p: figrim.read_gaze(p, "enc")):
        try:
            load(given.path)
        except (ValueError, FileNotFoundError) as error:
            if given.path.name not in str(error):
                return "traceback"
    try:
        found = read_mat(given.path, *given.names)
    except (ValueError, FileNotFoundError) as error:
        if given.path.name not in str(error):
            return "traceback"
        return "wrong" if given.whole else "refused"
    return "right" if given.right and same(found, given.right) else "wrong"


def trial(seed: int, folder: Path) -> str:
    """Write the file of a seed into `folder` and judge how it is read."""
    return judge(inputs(seed, folder))
