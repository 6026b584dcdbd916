"""What it costs that whatever is read from the cache is checked."""

import json
import os
import tempfile
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import safe_open
from safetensors.torch import load_file

from saliencykit import cache
from saliencykit.cache import Entry, read

from . import BENCHMARKS, Ratio, compare


def evict(path: Path) -> Path:
    """Make the system forget what it has read of a file, so that it comes from the disk again."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return path


def plainly(path: Path) -> Entry:
    """Read an entry as it was read before it was checked: under a lock."""
    with FileLock(f"{path}.lock"), safe_open(path, framework="pt") as file:
        meta = json.loads(file.metadata()["meta"])
        return Entry({k: file.get_tensor(k) for k in file.keys()}, meta)  # noqa: SIM118


@BENCHMARKS.register("cache")
def reading() -> list[Ratio]:
    """Reading, checked, over safetensors' own reading: a large entry, and many small ones."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        os.environ["SALIENCYKIT_CACHE"] = folder
        images = torch.randint(256, (500, 3, 300, 400)).to(torch.uint8)
        for name, shown in ("large", images), ("small", images[0]):
            cache.cached("benchmark", {"k": name}, lambda shown=shown: Entry({"images": shown}))
        large, small = (cache.entry_path("benchmark", {"k": k}) for k in ("large", "small"))
        return [
            compare(
                "an entry of 180 MB from the disk, checked, over safetensors' own reading",
                lambda: read(evict(large)).tensors["images"].clone(),
                lambda: load_file(evict(large))["images"].clone(),
                target=1.05,
            ),
            compare(
                "the same from memory",
                lambda: read(large).tensors["images"].clone(),
                lambda: load_file(large)["images"].clone(),
                target=1.15,
            ),
            compare(
                "an entry of 360 kB, checked and without a lock, over unchecked and with one",
                lambda: [cache.cached("benchmark", {"k": "small"}, Entry) for _ in range(50)],
                lambda: [plainly(small) for _ in range(50)],
                target=1.05,
            ),
        ]
