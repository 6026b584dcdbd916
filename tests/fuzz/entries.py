"""Entries of the cache: damaged, cut short, somebody else's, old, or no entries at all."""

import json
import os
import shutil
import warnings
from contextlib import suppress

import numpy as np
import torch
from safetensors.torch import save_file

from saliencykit import cache

from .harness import cache_in

KIND, KEY = "fuzzed", {"k": 1}
DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.uint8, torch.int64, torch.bool)


def entry(draw, word="x"):
    """A random entry: up to four tensors, none or several numbers each, and JSON."""
    tensors = {}
    for k in range(draw.integers(1, 5)):
        shape = tuple(draw.integers(0, 5, draw.integers(0, 4)))
        numbers = torch.from_numpy(draw.integers(0, 100, shape, dtype=np.int64))
        tensors[f"{word}.{k}"] = numbers.to(DTYPES[draw.integers(len(DTYPES))])
    meta = {word: draw.integers(0, 9, draw.integers(0, 20)).tolist(), "note": "Größe, 'quoted'\n"}
    return cache.Entry(tensors, meta)


def old(path, found):
    """Write an entry as they were before they told a hash."""
    save_file(found.tensors, path, metadata={"meta": json.dumps(found.meta)})


def flipped(data, draw, n):
    for place in draw.integers(0, len(data), n):
        data[place] ^= 1 << int(draw.integers(8))


def overwritten(data, draw, n):
    for place in draw.integers(0, len(data), n):
        data[place] = int(draw.integers(256))


def zeroed(data, draw):
    start = int(draw.integers(len(data)))
    length = min(int(draw.integers(1, 600)), len(data) - start)
    data[start : start + length] = bytes(length)


def resized(data, draw):
    n = int(draw.integers(len(data)))
    if draw.random() < 0.5:
        del data[n:]
    else:
        data += draw.bytes(n)


def swapped(data, draw):
    """Exchange two blocks, as a disk may that mixes sectors up."""
    size = max(1, len(data) // int(draw.integers(2, 30)))
    a, b = (int(k) * size for k in draw.integers(0, len(data) // size, 2))
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


DAMAGE = {
    "one bit": lambda data, draw: flipped(data, draw, 1),
    "a bit of the header": lambda data, draw: data.__setitem__(
        place := int(draw.integers(min(300, len(data)))), data[place] ^ (1 << int(draw.integers(8)))
    ),
    "bits": lambda data, draw: flipped(data, draw, int(draw.integers(2, 50))),
    "bytes": lambda data, draw: overwritten(data, draw, int(draw.integers(1, 200))),
    "zeros": zeroed,
    "another length": resized,
    "blocks": swapped,
    "noise": lambda data, draw: data.__setitem__(slice(None), draw.bytes(len(data))),
}


def hostile_header(draw):
    """Eight bytes and a header that no library would write."""
    header = [
        b"[" * 100_000,
        b'{"__metadata__":{"meta":"' + b"[" * 100_000 + b'"}}',
        b'{"x":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,4]}}',
        b'{"x":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}',
        b'{"__metadata__":{"meta":"3"}}',
        b'{"__metadata__":{"meta":"null"}}',
        b'{"__metadata__":{"meta":"\\ud800"}}',
        b'{"__metadata__":{"meta":"{}","digest":""}}',
    ][draw.integers(8)]
    length = len(header) if draw.random() < 0.7 else int(draw.integers(2**62))
    return length.to_bytes(8, "little") + header + bytes(4)


def place(path, truth, draw):
    """Put something at `path` where `truth` lies; return what."""
    other = entry(draw, "y")
    what = str(draw.choice([*DAMAGE] * 2 + [*OTHERS]))
    if what in DAMAGE:
        data = bytearray(path.read_bytes())
        DAMAGE[what](data, draw)
        path.write_bytes(data)
        return what
    path.unlink()
    OTHERS[what](path, truth, other, draw)
    return what


def _of_another_key(path, truth, other, draw):
    cache.cached(KIND, {"k": 2}, lambda: other)
    shutil.copy(cache.entry_path(KIND, {"k": 2}), path)


def _of_another_kind(path, truth, other, draw):
    cache.cached("other", KEY, lambda: other)
    shutil.copy(cache.entry_path("other", KEY), path)


OTHERS = {
    "another key's": _of_another_key,
    "another kind's": _of_another_kind,
    "written by hand": lambda path, truth, other, draw: cache.write(path, other),
    "an old one": lambda path, truth, other, draw: old(path, truth),
    "an old one of something else": lambda path, truth, other, draw: old(path, other),
    "tensors alone": lambda path, truth, other, draw: save_file(truth.tensors, path),
    "a header": lambda path, truth, other, draw: path.write_bytes(hostile_header(draw)),
    "a pickle": lambda path, truth, other, draw: torch.save(truth.tensors, path),
    "nothing": lambda path, truth, other, draw: path.touch(),
    "a pipe": lambda path, truth, other, draw: os.mkfifo(path),
    "a link to nowhere": lambda path, truth, other, draw: path.symlink_to("nowhere"),
}


def same(found, truth):
    """Whether an entry, asked for all that it should hold, holds it to the last bit."""
    return all(
        found.tensors[k].dtype == v.dtype and found.tensors[k].equal(v)
        for k, v in truth.tensors.items()
    ) and all(found.meta[k] == v for k, v in truth.meta.items())


def inputs(seed, folder):
    """Return what an entry should be, and what lies in its place, in a cache in `folder`."""
    draw = np.random.default_rng(seed)
    truth, path = entry(draw), cache.entry_path(KIND, KEY)
    path.unlink(missing_ok=True)  # another trial's
    cache.cached(KIND, KEY, lambda: truth)
    return truth, place(path, truth, draw)


def judge(truth, what):
    """Read it twice: the right answer is the truth, and in the end whole on the disk."""
    path = cache.entry_path(KIND, KEY)
    with suppress(ValueError, OSError):
        if what not in OTHERS and not same(cache.read(path), truth):
            return "wrong"
    computed = []

    def compute():
        computed.append(1)
        return truth

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = cache.cached(KIND, KEY, compute)
        if not same(found, truth):
            return "wrong"
    silent = what in ("a link to nowhere",)
    if computed and not silent and not any(str(path) in str(w.message) for w in said):
        return "wrong"  # computed again without a word
    again = cache.cached(KIND, KEY, compute)
    return "right" if same(again, truth) and len(computed) <= 1 else "lost"


def trial(seed, folder):
    """One input and how it went."""
    with cache_in(folder):
        return judge(*inputs(seed, folder))
