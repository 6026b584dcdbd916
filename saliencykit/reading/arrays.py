"""NumPy's .npy files."""

from pathlib import Path

import numpy as np

from ..paths import regular

ARRAYS = (".npy",)


def read_array(path: Path) -> np.ndarray:
    """Return the numbers in a .npy file, whatever their kind of integer or float, or truth values.

    Raises ValueError naming the file, if it is no whole .npy file, is longer by its header than on
    the disk, or holds anything else (objects are never unpickled).
    """
    try:
        values = np.array(np.lib.format.open_memmap(regular(path), mode="r"))
    except Exception as error:  # numpy raises half a dozen kinds for a damaged header
        raise ValueError(f"{path} cannot be read as an array ({error}); write it again.") from error
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{path} cannot be read as an array of numbers: it holds {values.dtype}.")
    return values


def plane(values: np.ndarray, path: Path, what: str) -> np.ndarray:
    """Return an array (H, W), freed of axes of length one before or after: (1, H, W), (H, W, 1).

    Raises ValueError naming the file and the shape, if it is no `what` (H, W).
    """
    found = values
    while found.ndim > 2 and 1 in (found.shape[0], found.shape[-1]):
        found = found[0] if found.shape[0] == 1 else found[..., 0]
    if found.ndim != 2 or 0 in found.shape:
        raise ValueError(f"{path} is no {what} (H, W): its shape is {values.shape}.")
    return found
