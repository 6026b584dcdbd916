"""What checking costs in reading pictures, beside Pillow that takes them as they come."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from saliencykit.datasets import load
from saliencykit.reading.pictures import read_image

from . import BENCHMARKS, Ratio, compare

SIZE = (600, 800)
IMAGES = 20


def plain(path: Path) -> torch.Tensor:
    """Decode a picture, whatever it is."""
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()


def each(read: Callable[[Path], torch.Tensor], paths: list[Path]) -> Callable[[], None]:
    def run() -> None:
        for path in paths:
            read(path)

    return run


@BENCHMARKS.register("reading")
def pictures() -> list[Ratio]:
    data = load("toyworld").thinned(IMAGES)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("jpg", "png"):
            paths = [Path(folder, f"{name}.{suffix}") for name in data.names]
            for i, path in enumerate(paths):
                picture = Image.fromarray(data.image(i).permute(1, 2, 0).numpy())
                picture.resize(SIZE[::-1]).save(path)
            sides = each(read_image, paths), each(plain, paths)
            rows.append(compare(f"{suffix} over plain Pillow", *sides, target=1.05))
    return rows
