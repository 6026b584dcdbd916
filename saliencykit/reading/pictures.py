"""Pictures: photographs, and masks of class ids."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..paths import regular

IMAGE_ERRORS = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError)
"""All that Pillow raises for one damaged file or another."""


@contextmanager
def naming(path: Path, kind: str = "an image") -> Iterator[None]:
    """Turn what goes wrong in reading `path` as `kind` into a ValueError that names the file."""
    regular(path)
    try:
        yield
    except IMAGE_ERRORS as error:
        raise ValueError(f"{path} cannot be read as {kind} ({error}); fetch it again.") from error


def read_image(path: Path) -> Tensor:
    """Read an image file as uint8 (3, H, W). Raises ValueError, naming the file, if damaged."""
    with naming(path), Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()


def image_size(path: Path) -> tuple[int, int]:
    """Return (height, width) from an image's header, without decoding its pixels."""
    with naming(path), Image.open(path) as image:
        return image.height, image.width


def read_grey(path: Path, kind: str) -> np.ndarray:
    """Return a picture as float32 (H, W), 0…1. Raises ValueError naming the file, if no `kind`."""
    with naming(path, kind), Image.open(path) as image:
        return np.array(image.convert("L"), dtype=np.float32) / 255


def read_mask(path: Path) -> np.ndarray:
    """Return an index mask (H, W), int64: a palette or grey PNG's indices, or a plain .npy."""
    with naming(path, "a mask"):
        if path.suffix == ".npy":
            mask = np.load(path, allow_pickle=False)
        else:
            with Image.open(path) as image:
                if image.mode not in ("P", "L", "I", "I;16", "1"):
                    raise ValueError(f"its mode is {image.mode}, expected a palette of class ids")
                mask = np.array(image)
    if mask.ndim != 2 or mask.dtype.kind not in "iub":
        raise ValueError(f"{path}: a mask is (H, W) integers, not {mask.shape} {mask.dtype}.")
    return mask.astype(np.int64)
