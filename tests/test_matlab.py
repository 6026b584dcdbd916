"""Matlab files: as scipy reads them, in words where it ends the process; pipes for files."""

import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from saliencykit.datasets.base import file_digests
from saliencykit.datasets.figrim import read_gaze as read_figrim
from saliencykit.datasets.osie import read_gaze
from saliencykit.paths import regular
from saliencykit.reading import mat_elements
from saliencykit.reading.jsons import read_json
from saliencykit.reading.maps import read_map
from saliencykit.reading.matlab import entries, member, numbers, read_mat, text
from saliencykit.reading.pictures import image_size, read_grey, read_image, read_mask
from saliencykit.reading.tables import read_table
from tests import miniature

MATLABS = Path(scipy.io.__file__).parent / "matlab" / "tests" / "data"
"""Files of Matlab 4.2 to 7.4 on five machines, which come with scipy."""
REFUSED = ("complex", "sparse", "func", "object", "parabola", "sqr", "duplicate", "teststruct_")
"""Parts of names of those that hold what is not read; the structs have a complex field."""


def as_ours(value):
    """What scipy made of a matrix, in our form."""
    if hasattr(value, "_fieldnames"):
        return {name: as_ours(getattr(value, name)) for name in value._fieldnames}
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [as_ours(one) for one in value.ravel("F")] if value.size else np.zeros((0, 0))
    if isinstance(value, np.ndarray) and value.dtype.kind == "U":
        rows = [str(row) for row in value.ravel()] or [""]
        return rows[0] if len(rows) == 1 else rows
    return value


def assert_same(found, want):
    assert type(found) is type(want)
    if isinstance(want, dict):
        assert list(found) == list(want)
        found, want = list(found.values()), list(want.values())
    if isinstance(want, list):
        assert len(found) == len(want)
        for one, other in zip(found, want, strict=True):
            assert_same(one, other)
    elif isinstance(want, np.ndarray) and want.size:
        assert (found.dtype, found.shape) == (want.dtype, want.shape)
        np.testing.assert_array_equal(found, want)
    elif isinstance(want, np.ndarray):
        assert not found.size
    else:
        assert found == want


def scipys(path, name):
    return scipy.io.loadmat(path, variable_names=[name], struct_as_record=False)[name]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not MATLABS.is_dir(), reason="this scipy came without its tests' data")
def test_files_of_all_matlabs_read_as_scipy_reads_them():
    tried = 0
    for path in sorted(MATLABS.glob("*.mat")):
        try:
            names = [name for name, *_ in scipy.io.whosmat(path) if not name.startswith("__")]
            wanted = {name: as_ours(scipys(path, name)) for name in names}
        except Exception:  # made so that scipy's own tests see it fail
            with pytest.raises(ValueError, match=path.name):
                read_mat(path, "a")
            continue
        for name, want in wanted.items():
            if any(part in path.name for part in REFUSED):
                with suppress(ValueError):  # of several variables some are read
                    assert_same(read_mat(path, name)[name], want)
                continue
            assert_same(read_mat(path, name)[name], want)
            tried += 1
    assert tried > 70


def save(path, value=1.0, compressed=False, version="5"):
    content = {"one": value, "other": np.arange(3.0)}
    scipy.io.savemat(path, content, do_compression=compressed, format=version)
    return path


NESTED = {
    "words": "été",
    "rows": np.array(["one", "two"]),
    "cell": miniature.cell([np.eye(3), "", miniature.cell([np.zeros((0, 2))])]),
    "whole": np.arange(6, dtype=np.int16).reshape(2, 3),
    "truth": np.array([[True, False]]),
}


@pytest.mark.parametrize("compressed", [False, True])
def test_what_was_saved_is_read(tmp_path, compressed):
    path = save(tmp_path / "a.mat", [[NESTED, NESTED]], compressed)
    assert_same(read_mat(path, "one")["one"], as_ours(scipys(path, "one")))
    assert_same(read_mat(path, "other")["other"], np.arange(3.0)[None])
    (struct_one, _) = entries(read_mat(path, "one")["one"])
    assert text(struct_one, "words", "here") == "été"
    assert [np.size(one) for one in entries(member(struct_one, "cell", "here"))] == [9, 1, 0]


def test_version_4_is_read(tmp_path):
    path = save(tmp_path / "a.mat", np.arange(12, dtype=np.int32).reshape(3, 4), version="4")
    assert_same(read_mat(path, "one")["one"], scipys(path, "one"))
    assert read_mat(save(path, "words", version="4"), "one")["one"] == "words"


def changed(path, old, new, count=1):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, count))
    return path


def le(*words):
    return struct.pack(f"<{len(words)}I", *words)


def variable(*elements, flags=6, sides=(1, 1), name=b"one"):
    """A matrix of version 5, its elements given as bytes."""
    padded = name + bytes(-len(name) % 8)
    head = le(6, 8, flags, 0, 5, 8, *sides, 1, len(name)) + padded
    return le(14, len(head) + sum(map(len, elements))) + head + b"".join(elements)


def matfile(path, *variables):
    path.write_bytes(b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + b"".join(variables))
    return path


def packed(matrix):
    small = zlib.compress(matrix)
    return le(15, len(small)) + small


ONE = le(9, 8) + struct.pack("<d", 1.0)
DEEP_CELLS = variable(flags=1, name=b"", sides=(0, 0))
for _ in range(2000):
    DEEP_CELLS = variable(DEEP_CELLS, flags=1, name=b"")
NAMES = le(0x40005, 8, 1, 16)

HOSTILE = {
    "a type of numbers that is none": (variable(le(0x70000009, 8) + bytes(8)), "states|type"),
    "a type past the table": (variable(le(200, 8) + bytes(8)), "stored as type 200"),
    "text of a type past the table": (variable(le(99, 8) + bytes(8), flags=4), "stored as type 99"),
    "numbers as other numbers": (variable(le(13, 8) + bytes(8)), "stored as type 13"),
    "a class that is none": (variable(ONE, flags=77), "class 77"),
    "fewer numbers than stated": (variable(ONE, sides=(3, 1)), "numbers of"),
    "negative sides": (variable(ONE, sides=(2**32 - 1, 1)), "dimensions"),
    "a billion cells": (variable(flags=1, sides=(1, 2**30)), "more than"),
    "cells that are not there": (variable(flags=1, sides=(1, 10**5)), "more than there are"),
    "a billion structs of nothing": (
        variable(le(0x40005, 8, 1, 0), flags=2, sides=(1, 2**30)),
        "more than",
    ),
    "a billion blanks": (variable(le(16, 0), flags=4, sides=(1, 2**30)), "text of"),
    "cells in cells": (variable(DEEP_CELLS, flags=1), "more than 32 deep"),
    "names of no length": (variable(le(0x40005, 0, 1, 8), bytes(8), flags=2), "of length"),
    "names without an end": (variable(NAMES, b"abcdefghijklmnop", flags=2), "has the fields"),
    "a field twice": (variable(NAMES, b"abc\0\0\0\0\0abc\0\0\0\0\0", flags=2), "two fields"),
    "a sparse matrix": (variable(ONE, flags=5), "sparse"),
    "an object": (variable(ONE, flags=3), "an object"),
    "complex numbers": (variable(ONE, ONE, flags=0x806), "complex"),
    "cut short": (variable(ONE)[:-8], "cut short"),
    "twice": (variable(ONE) * 2, "two variables 'one'"),
    "compressed, not as long as stated": (packed(variable(ONE) + bytes(8)), "not as long"),
    "compressed to more than there can be": (
        packed(le(14, 2**31) + variable(ONE)[8:]),
        "are said to hold",
    ),
    "compressed, the sum wrong": (packed(variable(ONE))[:-1] + b"\xff", "damaged"),
    "cells that nobody counts": (variable(le(14, 0), flags=1, sides=(0, 1)), "said to end after"),
    "no matrix": (le(9, 8) + bytes(8), "no variable begins"),
}


@pytest.mark.parametrize(("content", "said"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_not_plausible_is_refused_in_words(tmp_path, content, said):
    path = matfile(tmp_path / "a.mat", content)
    with pytest.raises(ValueError, match=rf"a\.mat cannot be read as a \.mat file.*({said})"):
        read_mat(path, "one")


def test_the_bricks_of_the_hostile_files_are_good(tmp_path):
    assert read_mat(matfile(tmp_path / "a.mat", variable(ONE)), "one")["one"].tolist() == [[1.0]]
    assert read_mat(matfile(tmp_path / "b.mat", packed(variable(ONE))), "one")["one"] == 1


def test_a_bomb_is_refused_before_it_goes_off(tmp_path, monkeypatch):
    many = packed(variable(le(14, 0) * 5000, flags=1, sides=(1, 5000)))
    path = matfile(tmp_path / "a.mat", many)
    assert len(read_mat(path, "one")["one"]) == 5000
    monkeypatch.setattr(mat_elements, "MANY", 5000)
    with pytest.raises(ValueError, match="more than 5000 arrays"):
        read_mat(path, "one")
    zeros = packed(variable(le(2, 10**5), bytes(10**5), sides=(1, 10**5)))
    path = matfile(tmp_path / "b.mat", zeros)
    assert read_mat(path, "one")["one"].size == 10**5
    monkeypatch.setattr(mat_elements, "LARGE", 1000)
    with pytest.raises(ValueError, match="are said to hold 100"):
        read_mat(path, "one")


def test_another_version_and_no_version(tmp_path):
    path = changed(matfile(tmp_path / "a.mat", variable(ONE)), b"\x00\x01IM", b"\x00\x02IM")
    with pytest.raises(ValueError, match=r"a\.mat is a Matlab 7\.3 file; save it with `save -v7`"):
        read_mat(path, "one")
    path = changed(path, b"\x00\x02IM", b"\x00\x07IM")
    with pytest.raises(ValueError, match="version is 0x0700"):
        read_mat(path, "one")
    for content in (b"", b"GIF89a", b"\0" * 300, b"\0\0\0\0" + b"\xff" * 300):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.mat cannot be read as a \.mat file"):
            read_mat(path, "one")


def test_version_4_is_not_believed_either(tmp_path):
    path = save(tmp_path / "a.mat", np.eye(3), version="4")
    good = path.read_bytes()
    for place, words in ((4, le(2**30)), (4, le(2**32 - 3)), (0, le(990)), (12, le(1)), (0, le(2))):
        path.write_bytes(good[:place] + words + good[place + 4 :])
        with pytest.raises(ValueError, match=r"a\.mat cannot be read"):
            read_mat(path, "one")
    path.write_bytes(good * 2)
    with pytest.raises(ValueError, match="two variables 'one'"):
        read_mat(path, "one")


def test_a_missing_variable_names_those_that_are_there(tmp_path):
    path = save(tmp_path / "a.mat")
    with pytest.raises(
        ValueError, match=r"a\.mat has no variable 'gaze'. Variables in it: one, ot"
    ):
        read_mat(path, "gaze")
    with pytest.raises(FileNotFoundError, match=r"b\.mat is not there"):
        read_mat(tmp_path / "b.mat", "one")


def test_text_is_no_number_and_damaged_text_no_name():
    for value in ("300", ["1", "2"], np.array([1j]), [[1.0, "2"]]):
        with pytest.raises(ValueError, match="here: expected numbers"):
            numbers(value, "here")
    with pytest.raises(ValueError, match="here: 'img' is no file name"):
        text({"img": "\ufffd001.jpg"}, "img", "here")


def test_an_image_that_is_there_twice_is_refused(tmp_path):
    path = tmp_path / "a.mat"
    image = {"img": "1.jpg", "subjects": miniature.cell([])}
    scipy.io.savemat(path, {"fixations": miniature.cell([image, image])})
    with pytest.raises(ValueError, match=r"a\.mat, fixations\{2\}: image 1\.jpg is there twice"):
        read_gaze(path)
    filler = np.array(
        [[("1.jpg", np.zeros((0, 0)))] * 2], dtype=[("filename", object), ("userdata", object)]
    )
    scipy.io.savemat(path, {"allImages": filler})
    with pytest.raises(ValueError, match=r"a\.mat, allImages\(2\): image 1\.jpg is there twice"):
        read_figrim(path, "enc")


# --- what is no file ------------------------------------------------------------------------------


READERS = {
    ".mat": lambda path: read_mat(path, "one"),
    ".json": read_json,
    ".csv": lambda path: read_table(path, ("x",)),
    ".jpg": read_image,
    ".png": read_mask,
    ".tif": image_size,
    ".bmp": lambda path: read_grey(path, "a mask"),
    ".npy": read_map,
    ".bin": lambda path: file_digests([path]),
}


@pytest.mark.parametrize(("suffix", "read"), READERS.items(), ids=READERS)
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, suffix, read):
    path = tmp_path / f"a{suffix}"
    os.mkfifo(path)
    with pytest.raises(ValueError, match=rf"a\{suffix} is a named pipe, not a file"):
        read(path)


def test_what_is_no_file_is_named(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path, kind in ((tmp_path, "a folder"), (Path(os.devnull), "a device")):
        with pytest.raises(ValueError, match=f"{path} is {kind}, not a file"):
            regular(path)
    for name in ("loop", "n" * 5000, "a\0b"):
        with pytest.raises(ValueError, match="cannot be read"):
            regular(tmp_path / name)
    for path in (tmp_path / "none", Path(__file__) / "none"):
        with pytest.raises(FileNotFoundError, match="none is not there"):
            regular(path)
    (tmp_path / "link").symlink_to(__file__)
    assert regular(tmp_path / "link") == tmp_path / "link"
