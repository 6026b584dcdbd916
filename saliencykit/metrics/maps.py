"""What all metrics share: maps in, one row of pixels per map, one number per row out.

A metric is written as a function of `Rows`. `score` brings whatever the caller has into that form,
a few maps at a time.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from .rows import Rows, chunk, where_looked

Maps = Tensor | ArrayLike
"""Tensor or array of shape (H, W) or (B, H, W), of any real type."""

COUNTS = ("fixations", "other")  # arguments that hold numbers of fixations


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
    """Raise ValueError if `counts` holds NaN or negative numbers of fixations."""
    if not bool((counts >= 0).all()):
        raise ValueError(f"{name} must be a map of counts, but it has negative or NaN entries")


def _as_rows(named: dict[str, Tensor]) -> dict[str, Rows]:
    rows = {
        name: Rows(maps.flatten(1), (maps.shape[1], maps.shape[2])) for name, maps in named.items()
    }
    levels = {name: r for name, r in rows.items() if name not in COUNTS}
    double = any(r.values.dtype == torch.float64 or r.wide() for r in levels.values())
    for name, r in rows.items():
        if name in COUNTS:
            check_counts(name, where_looked(r, fill=0)[0])  # zeros are counts, and most are
        elif double:
            rows[name] = Rows(r.values.double(), r.size)
    return rows


def in_chunks(named: dict[str, Maps]) -> tuple[list[int], Iterator[dict[str, Rows]]]:
    """Return the batch shape of the maps, and their rows, a few maps at a time.

    Maps other than counts come as float32 if all of them are, else as float64. Raises ValueError
    if sizes do not fit or if a map named "fixations" or "other" does not hold counts.
    """
    maps = [m.detach() for m in aligned(named)]
    *lead, height, width = maps[0].shape
    step = max(1, chunk(maps[0].device) // (height * width))
    parts = zip(*(m.reshape(-1, height, width).split(step) for m in maps), strict=True)
    return lead, (_as_rows(dict(zip(named, p, strict=True))) for p in parts if len(p[0]))


def score(metric: Callable[..., Tensor], **named: Maps | Rows) -> Tensor:
    """Apply `metric`, a function of `Rows` to (B,), to maps of any allowed form.

    Returns a scalar tensor or (B,). `Rows` are scored as they are: how `scores` shares them.
    """
    if all(isinstance(rows, Rows) for rows in named.values()):
        return metric(*named.values())
    lead, chunks = in_chunks(cast("dict[str, Maps]", named))
    return joined([metric(*rows.values()) for rows in chunks], lead)


def joined(scores: list[Tensor], lead: Sequence[int]) -> Tensor:
    """Put the scores of chunks into the batch's shape."""
    return torch.cat(scores).reshape(lead) if scores else torch.empty(*lead, dtype=torch.float64)
