"""What a .mat file of version 5 or 4 is made of, read by numpy alone.

scipy's reader, in C, believes what a file says of itself: an unknown type of number is looked up
past the end of a table and ends the process, cells in cells in cells end it too, and a matrix that
states a billion elements is made before the first of them is read. Here nothing is made before it
is known to be there, and what is not plausible is refused. scipy is what the tests compare with.

The format is that of The MathWorks, *MAT-File Format*: version 5, as `save -v6` and `save -v7`
write it, the latter compressed, and version 4. A file is a row of variables, a variable a matrix,
a matrix a row of elements, each a type, a number of bytes, and the bytes; the elements of a cell or
struct are matrices. Objects, functions, sparse and complex matrices are not read: no data set has
any.
"""

import math
import struct
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cache, partial
from typing import Any, BinaryIO

import numpy as np

MATRIX, COMPRESSED = 14, 15
NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
"""Types of numbers, as numpy calls them."""
CELL, STRUCT, CHAR, OPAQUE = 1, 2, 4, 17
CLASSES = dict(zip(range(6, 16), (9, 7, 1, 2, 3, 4, 5, 6, 12, 13), strict=True))
"""Classes of numeric matrices, and the type of their numbers."""
OTHERS = {3: "an object", 5: "a sparse matrix", 16: "a function", OPAQUE: "an object"}
"""Classes that are not read."""
CODECS = {1: "ascii", 2: "ascii", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
"""Types of text, and how its characters are encoded."""
COMPLEX = 0x800  # a bit in a matrix's flags
HEAD = 128  # bytes before the first variable of version 5
NAMED = 512  # bytes within which a variable has said its name
LEAF = 56  # bytes of a numeric matrix before its numbers, as nearly all are laid out
DEEP = 32  # cells in structs in cells …; FIGRIM's, the deepest here, are about seven
LARGE = 2**28  # bytes, and
MANY = 10**6  # arrays, that any file may hold; more only if it is not much smaller itself
DENSE = 100  # times a large file's size: what it may grow to
VERSION_4 = dict(enumerate(("f8", "f4", "i4", "i2", "u2", "u1")))
"""Types of numbers of version 4."""
NOTHING = np.zeros((0, 0))
UNKNOWN = (0, 0, (), np.dtype("f8"))


def read_variables(
    file: BinaryIO, size: int, wanted: Collection[str]
) -> tuple[dict[str, Any], list[str]]:
    """Return the `wanted` variables of a .mat file of `size` bytes, and the names of all.

    Numeric matrices are arrays, not to be written to; a text is a str, several rows are a list of
    them; cells and struct arrays are lists, in Matlab's order, empty ones an empty array; a struct
    is a dict. Raises ValueError, or NotImplementedError for version 7.3, which is HDF5.
    """
    head = file.read(HEAD)
    old = b"\0" in head[:4]  # where version 5 has text
    values, names = {}, []
    for name, read in _version_4(file, size) if old else _version_5(file, size, _order(head)):
        if name in values:
            raise ValueError(f"it has two variables {name!r}")
        names.append(name)
        if name in wanted:
            values[name] = read()
    return values, names


def _order(head: bytes) -> str:
    """Return the order of bytes that the head of a file of version 5 states."""
    order = {b"IM": "<", b"MI": ">"}.get(head[126:])
    if order is None:
        raise ValueError("it does not begin as one")
    version = struct.unpack(f"{order}H", head[124:126])[0]
    if version == 0x0200:
        raise NotImplementedError("version 7.3")
    if version != 0x0100:
        raise ValueError(f"its version is {version:#06x}, which nobody knows")
    return order


Variables = Iterator[tuple[str, Callable[[], Any]]]
"""The name of each variable, and what reads its value."""


def _version_5(file: BinaryIO, size: int, order: str) -> Variables:
    after = HEAD
    while size - after >= 8:
        file.seek(after)
        tag = file.read(8)
        kind, count = struct.unpack(f"{order}2I", tag)
        at, after = after, after + 8 + count
        if kind not in (MATRIX, COMPRESSED) or not count:
            raise ValueError(f"no variable begins at byte {at}")
        _check_end(after, size)
        start = file.read(min(count, NAMED))
        start = _Inflating(start).read(NAMED) if kind == COMPRESSED else tag + start
        yield (
            _Matrices(start, order, size).name(),
            partial(_value, file, at, after, kind == COMPRESSED, order, size),
        )


def _check_end(end: int, size: int) -> None:
    if end > size:
        raise ValueError(f"it is cut short: {end} bytes are stated, {size} are there")


def _value(file: BinaryIO, at: int, after: int, compressed: bool, order: str, size: int) -> Any:
    """Return the value of the variable that stands between two places of a file."""
    file.seek(at)
    matrix = file.read(after - at)
    if compressed:
        matrix = _inflated(matrix[8:], order, size)
    value, end = _Matrices(matrix, order, size).matrix(0)
    if end < len(matrix):
        raise ValueError(f"a variable of {len(matrix)} bytes is said to end after {end}")
    return value


class _Inflating:
    """Compressed bytes, inflated bit by bit."""

    def __init__(self, compressed: bytes):
        self.left, self.stream = compressed, zlib.decompressobj()

    def read(self, most: int) -> bytes:
        """Return the next bytes, at most so many. Raises ValueError if they are damaged."""
        try:
            found = self.stream.decompress(self.left, most)
        except zlib.error as error:
            raise ValueError(f"a compressed variable is damaged: {error}") from error
        self.left = self.stream.unconsumed_tail
        return found


def _inflated(compressed: bytes, order: str, size: int) -> bytes:
    """Return a matrix inflated: it is to be as long as it says, and not absurdly long."""
    stream = _Inflating(compressed)
    tag = stream.read(8)
    count = struct.unpack(f"{order}2I", tag)[1] if len(tag) == 8 else 0
    if count > max(LARGE, DENSE * size):
        raise ValueError(f"{size} bytes are said to hold {count}")
    matrix = stream.read(count + 1)  # one more, to see that there is none, and the check sum
    if len(matrix) != count:
        raise ValueError("a compressed variable is not as long as it states")
    return tag + matrix


class _Matrices:
    """The matrix in `data`, which begins with its tag, and those in it.

    `size` is that of the file. What was read before is known again by its first bytes: thousands of
    matrices differ in their numbers alone. Methods take the place where something begins, and
    return it with the place after it; all of them raise ValueError.
    """

    def __init__(self, data: bytes, order: str, size: int):
        self.data, self.end, self.order = data, len(data), order
        self.unpack = struct.Struct(f"{order}2I").unpack_from
        self.usual = struct.Struct(f"{order}10I").unpack_from
        self.made, self.most = 0, max(MANY, size)
        self.leaves: dict[bytes, tuple[int, int, tuple[int, ...], np.dtype]] = {}
        self.heads: dict[bytes, tuple[bytes, int, Sequence[str] | None]] = {}

    def name(self) -> str:
        """Return the variable's name."""
        flags, at = self._flags(8)
        if flags & 0xFF != OPAQUE:
            _, at = self._sides(at)
        return self._name(at)[0].decode("ascii")

    def matrix(self, at: int, depth: int = 0) -> tuple[Any, int]:
        """Return the matrix at `at`, which `depth` others hold."""
        kind, count = self._pair(at)
        if kind != MATRIX:
            raise ValueError(f"there is type {kind} where a matrix should be")
        start = at + 8
        if not count:
            return NOTHING, start
        if depth > DEEP:
            raise ValueError(f"cells or structs are nested more than {DEEP} deep")
        head, number, fields = self.heads.get(self.data[start : start + 40], (b"", 0, None))
        if head and self.data.startswith(head, start):
            return self._items(start + len(head), number, fields, depth)
        flags, sides, place = self._head(start)
        kind = flags & 0xFF
        if kind in OTHERS or flags & COMPLEX:
            raise ValueError(f"it holds {OTHERS.get(kind, 'complex numbers')}, not read here")
        if kind in CLASSES:
            return self._numbers(at, place, sides, CLASSES[kind])
        if kind == CHAR:
            return self._text(place, sides)
        if kind not in (CELL, STRUCT):
            raise ValueError(f"it holds a matrix of class {kind}, which nobody knows")
        fields, place = self._fields(place) if kind == STRUCT else (None, place)
        head, number = self.data[start:place], math.prod(sides)
        self.heads[head[:40]] = head, number, fields
        return self._items(place, number, fields, depth)

    def _head(self, at: int) -> tuple[int, tuple[int, ...], int]:
        """Return a matrix's flags and dimensions, and the place after its name."""
        if at + 40 <= self.end:  # two dimensions and no name, as nearly all
            *tags, rows, columns, named, length = self.usual(self.data, at)
            if (*tags[:2], *tags[4:], named, length) == (6, 8, 5, 8, 1, 0):
                return tags[2], (rows, columns), at + 40
        flags, place = self._flags(at)
        sides, place = self._sides(place)
        return flags, sides, self._name(place)[1]

    def _pair(self, at: int) -> tuple[int, int]:
        if at + 8 > self.end:
            raise ValueError("a variable ends too soon")
        return self.unpack(self.data, at)

    def _element(self, at: int) -> tuple[int, int, int, int]:
        """Return an element's type, where its bytes begin, how many, and the place after them."""
        kind, count = self._pair(at)
        start = at + 8
        after = start + count + -count % 8
        if kind >> 16:  # a small one: its bytes stand in its tag
            kind, count, start, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        if start + count > min(self.end, after):
            raise ValueError(f"an element states {count} bytes, more than there are")
        return kind, start, count, after

    def _flags(self, at: int) -> tuple[int, int]:
        """Return a matrix's flags and class."""
        if self._pair(at) != (6, 8):
            raise ValueError("a matrix has no flags")
        return self._pair(at + 8)[0], at + 16

    def _integers(self, at: int) -> tuple[tuple[int, ...], int]:
        kind, start, count, after = self._element(at)
        if NUMBERS.get(kind) not in ("i4", "u4") or count % 4:
            raise ValueError(f"there is type {kind} where whole numbers should be")
        return struct.unpack_from(f"{self.order}{count // 4}i", self.data, start), after

    def _sides(self, at: int) -> tuple[tuple[int, ...], int]:
        """Return the dimensions of a matrix."""
        sides, after = self._integers(at)
        if not 2 <= len(sides) <= 32 or min(sides) < 0:
            raise ValueError(f"a matrix has the dimensions {sides}")
        return sides, after

    def _name(self, at: int) -> tuple[bytes, int]:
        """Return a variable's name, or those of fields."""
        kind, start, count, after = self._element(at)
        name = self.data[start : start + count]
        if kind not in (1, 16) or not name.isascii():
            raise ValueError("a name is no plain text")
        return name, after

    def _fields(self, at: int) -> tuple[list[str], int]:
        """Return the names of a struct's fields: each is padded with NULs to one length."""
        lengths, at = self._integers(at)
        if len(lengths) != 1 or not 1 <= (length := lengths[0]) <= 256:
            raise ValueError(f"names of fields are of length {lengths}")
        joined, at = self._name(at)
        padded = [joined[k : k + length] for k in range(0, len(joined), length)]
        names = [name.partition(b"\0")[0].decode("ascii") for name in padded]
        if len(joined) % length or "" in names or any(len(name) == length for name in names):
            raise ValueError(f"a struct has the fields {joined!r}")
        if len(set(names)) < len(names):
            raise ValueError(f"a struct has two fields of one name: {', '.join(names)}")
        return names, at

    def _items(
        self, at: int, number: int, fields: Sequence[str] | None, depth: int
    ) -> tuple[Any, int]:
        """Return so many cells, or structs of `fields`."""
        each = 1 if fields is None else len(fields)
        self.made += number * (1 + each)
        if self.made > self.most:
            raise ValueError(f"it is said to hold more than {self.most} arrays")
        if number * each * 8 > self.end - at:
            raise ValueError(f"{number} cells or structs are stated, more than there are")
        data, end, leaves, values = self.data, self.end, self.leaves, []
        for _ in range(number * each):
            step, start, sides, kind = leaves.get(data[at : at + LEAF], UNKNOWN)
            if start and at + step <= end:
                values.append(np.ndarray(sides, kind, data, at + start, None, "F"))
                at += step
            else:
                value, at = self.matrix(at, depth + 1)
                values.append(value)
        if not number:
            return NOTHING, at
        if fields is None:
            return values, at
        rows = (values[k * each : (k + 1) * each] for k in range(number))
        return [dict(zip(fields, row, strict=True)) for row in rows], at

    def _numbers(
        self, matrix: int, at: int, sides: tuple[int, ...], kind: int
    ) -> tuple[np.ndarray, int]:
        """Return the numbers at `at` of the `matrix` that begins there, of type `kind`."""
        stored, start, count, after = self._element(at)
        if stored not in _stored_as(kind):
            raise ValueError(f"numbers of type {kind} are stored as type {stored}")
        dtype = _dtype(self.order, stored)
        if count != math.prod(sides) * dtype.itemsize:
            raise ValueError(f"numbers of {sides} are stated in {count} bytes")
        if start - matrix <= LEAF:
            self.leaves[self.data[matrix : matrix + LEAF]] = (
                *(after - matrix, start - matrix, sides, dtype),
            )
        return np.ndarray(sides, dtype, self.data, start, None, "F"), after

    def _text(self, at: int, sides: tuple[int, ...]) -> tuple[str | list[str], int]:
        kind, start, count, after = self._element(at)
        if kind not in CODECS:
            raise ValueError(f"text is stored as type {kind}")
        ends = {"<": "-le", ">": "-be"}[self.order] if CODECS[kind][-2:] in ("16", "32") else ""
        text = self.data[start : start + count].decode(CODECS[kind] + ends, "replace")
        number = math.prod(sides)
        if not count and number <= NAMED:  # some write blanks as no bytes at all
            text = " " * number
        if len(text) != number:
            raise ValueError(f"a text of {number} characters has {len(text)}")
        return _rows(text, sides[0]), after


@cache
def _dtype(order: str, stored: int) -> np.dtype:
    return np.dtype(order + NUMBERS[stored])


@cache
def _stored_as(kind: int) -> set[int]:
    """Return the types as which numbers of type `kind` may be stored: whole ones in fewer bytes."""
    wide = np.dtype(NUMBERS[kind]).itemsize
    return {kind} | {k for k, n in NUMBERS.items() if n[0] != "f" and int(n[1]) < wide}


def _rows(text: str, number: int) -> str | list[str]:
    """Return the rows of a text matrix, stored column by column; one row as it is."""
    rows = [text[k::number].rstrip("\0") for k in range(number)] or [""]
    return rows[0] if len(rows) == 1 else rows


def _version_4(file: BinaryIO, size: int) -> Variables:
    """Matrices of numbers or text, one after the other, each with a head of five integers."""
    file.seek(0)
    order = "<" if file.read(4)[2:] == b"\0\0" else ">"
    if size < 20:
        raise ValueError("it does not begin as one")
    after = 0
    while size - after >= 20:
        file.seek(after)
        at, head = after, struct.unpack(f"{order}5i", file.read(20))
        kind, rows, columns, imaginary, length = head
        foreign, kind = divmod(kind, 1000)
        stored, text = divmod(kind, 10)
        if foreign != (order == ">") or stored not in VERSION_4 or text not in (0, 1) or imaginary:
            raise ValueError(f"no variable that is read here begins at byte {at}")
        if min(rows, columns) < 0 or not 1 <= length <= NAMED:
            raise ValueError(f"a matrix of {rows} × {columns} has a name of {length} bytes")
        dtype = np.dtype(order + VERSION_4[stored])
        begin = at + 20 + length
        after = begin + rows * columns * dtype.itemsize
        _check_end(after, size)
        name = file.read(length).partition(b"\0")[0]
        if not name.isascii():
            raise ValueError("a name is no plain text")
        yield name.decode("ascii"), partial(_value_4, file, begin, (rows, columns), dtype, text)


def _value_4(file: BinaryIO, at: int, sides: tuple[int, int], kind: np.dtype, text: int) -> Any:
    file.seek(at)
    data = file.read(math.prod(sides) * kind.itemsize)
    matrix = np.ndarray(sides, kind, data, 0, None, "F")
    if not text:
        return matrix
    return _rows(matrix.astype(np.uint8).tobytes("F").decode("latin-1"), sides[0])
