"""Saliency maps as files: arrays or pictures."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..paths import regular
from .pictures import IMAGE_ERRORS

ARRAYS = (".npy",)
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


def read_map(path: Path) -> Tensor:
    """Read a saliency map (H, W), float32: an array, or a picture's mean over channels."""
    regular(path)
    try:
        if path.suffix.lower() in ARRAYS:
            values = np.load(path, allow_pickle=False)
        else:
            with Image.open(path) as picture:
                values = np.asarray(picture)
        values = torch.from_numpy(np.asarray(values, dtype=np.float32))
    except IMAGE_ERRORS as error:
        raise ValueError(f"{path} cannot be read as a map ({error}); write it again.") from error
    values = values[..., :3].mean(-1) if values.ndim == 3 else values
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"{path} is no map (H, W): its shape is {tuple(values.shape)}.")
    if not bool(values.isfinite().all()):  # it would have no score, and be missing from the means
        raise ValueError(f"{path} holds NaN or infinite values; write it again without.")
    return values
