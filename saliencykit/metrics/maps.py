"""What all metrics share: maps in, one row of pixels per map, one number per row out.

A metric is written as a function of rows (B, N). `score` brings whatever the caller has into that
form, in chunks small enough that the working copies stay in the processor's cache.
"""

from collections.abc import Callable
from math import prod

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

Maps = Tensor | ArrayLike
"""Tensor or array of shape (H, W) or (B, H, W), of any real type."""

COUNTS = ("fixations", "other")  # arguments that hold numbers of fixations
CHUNK = {"cpu": 2**18}  # pixels worked on at once, beyond the first map; see `unit_range`
CHUNK_ACCELERATOR = 2**26  # more, to keep it busy


def as_tensor(maps: Maps, device: torch.device | None = None) -> Tensor:
    """Bring maps into float32 (if that is exact) or float64, on `device`."""
    if not isinstance(maps, Tensor):
        array = np.asarray(maps)
        if not array.flags.writeable or any(s < 0 for s in array.strides):
            array = array.copy()
        maps = torch.from_numpy(array.astype(np.float64) if array.dtype.kind in "uO" else array)
    if maps.is_complex():
        raise ValueError(f"maps must be real, not {maps.dtype}")
    if maps.dtype not in (torch.float32, torch.float64):
        exact = (torch.float16, torch.bfloat16, torch.bool, torch.uint8, torch.int8, torch.int16)
        maps = maps.to(torch.float32 if maps.dtype in exact else torch.float64)
    return maps.to(device) if device is not None else maps


def aligned(named: dict[str, Maps]) -> list[Tensor]:
    """Return maps that agree in size, on one device, with leading dimensions broadcast.

    Raises ValueError, naming both shapes, if heights, widths or batches do not fit together.
    """
    first, *rest = named
    tensors = {first: as_tensor(named[first])}
    for name in rest:
        tensors[name] = as_tensor(named[name], tensors[first].device)
    shape = tuple(tensors[first].shape)
    lead = shape[:-2]
    for name, maps in tensors.items():
        if maps.ndim < 2 or 0 in maps.shape[-2:]:
            raise ValueError(
                f"{name} must be (H, W) or (B, H, W), at least 1×1; it is {tuple(maps.shape)}"
            )
        both = f"{first} is {shape}, {name} is {tuple(maps.shape)}"
        if maps.shape[-2:] != shape[-2:]:
            raise ValueError(f"maps differ in size: {both}; resize one of them first")
        try:
            lead = torch.broadcast_shapes(lead, maps.shape[:-2])
        except RuntimeError:
            raise ValueError(f"batches do not fit: {both}") from None
    return [maps.expand(*lead, *maps.shape[-2:]) for maps in tensors.values()]


def check_counts(name: str, counts: Tensor) -> None:
    """Raise ValueError if a row of `counts` holds NaN or negative numbers of fixations."""
    if not bool((counts.amin(-1) >= 0).all()):
        raise ValueError(f"{name} must be a map of counts, but it has negative or NaN entries")


def score(
    rows: Callable[..., Tensor], *, dtype: torch.dtype | None = torch.float64, **named: Maps
) -> Tensor:
    """Apply `rows` to maps of any allowed form; return a scalar tensor or one of shape (B,).

    `rows` gets each map as (b, N) of `dtype` (None: as it is) and returns (b,). Maps named
    "fixations" or "other" are checked to be counts.
    """
    maps = aligned(named)
    lead, size = maps[0].shape[:-2], prod(maps[0].shape[-2:])
    flat = [m.reshape(-1, size) for m in maps]
    step = max(1, CHUNK.get(maps[0].device.type, CHUNK_ACCELERATOR) // size)
    scores = [torch.empty(0, dtype=torch.float64, device=maps[0].device)]
    for start in range(0, len(flat[0]), step):
        part = [m[start : start + step] for m in flat]
        for name, chunk in zip(named, part, strict=True):
            if name in COUNTS:
                check_counts(name, chunk)
        scores.append(rows(*(p if dtype is None else p.to(dtype) for p in part)))
    return torch.cat(scores).reshape(lead)


# The functions below work in place on their own copy: a chain of temporaries of a map's size makes
# the operating system map and unmap memory over and over, which costs more than the arithmetic.


def unit_range(rows: Tensor) -> Tensor:
    """Stretch each row to 0…1. A constant row becomes NaN, as does one that holds NaN."""
    low, high = rows.amin(-1, keepdim=True), rows.amax(-1, keepdim=True)
    return (rows - low).div_(high - low)


def is_constant(rows: Tensor) -> Tensor:
    """Say of each row whether all its values are the same (False if any is NaN)."""
    return rows.amin(-1) == rows.amax(-1)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Scalar product of each row of `a` with the same row of `b`."""
    return torch.linalg.vecdot(a, b)


def sort_rows(rows: Tensor) -> Tensor:
    """Sort rows in ascending order, NaN last."""
    if rows.device.type == "cpu":  # numpy sorts values alone, many times faster than torch
        return torch.from_numpy(np.sort(rows.detach().contiguous().numpy(), axis=-1))
    return rows.detach().sort(-1).values


def where_looked(counts: Tensor, *rows: Tensor, fill: float) -> list[Tensor]:
    """Return the nonzero counts (B, F), in float64, then the values of `rows` at the same pixels.

    F is the largest number of fixated pixels in a row; shorter rows are filled up, with count 0
    and value `fill`.
    """
    row, column = (counts > 0).nonzero(as_tuple=True)
    per_row = torch.bincount(row, minlength=len(counts))
    slot = torch.arange(len(row), device=row.device) - (per_row.cumsum(0) - per_row)[row]
    shape = (len(counts), max(1, int(per_row.max())))
    weights = torch.zeros(shape, dtype=torch.float64, device=counts.device)
    weights[row, slot] = counts[row, column].double()
    picked = [torch.full(shape, fill, dtype=r.dtype, device=r.device) for r in rows]
    for values, source in zip(picked, rows, strict=True):
        values[row, slot] = source[row, column]
    return [weights, *picked]


def nan_where(condition: Tensor, scores: Tensor) -> Tensor:
    """Replace scores by NaN where `condition` holds."""
    return scores.masked_fill(condition, torch.nan)
