"""What all metrics share: maps in, one row of pixels per map, one number per row out.

A metric is written as a function of `Rows`. `score` brings whatever the caller has into that form,
a few maps at a time.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..reading.positions import check_pixels
from .rows import Rows, chunk, where_looked

Maps = Tensor | ArrayLike
"""Tensor or array of shape (H, W) or (B, H, W), of any real type."""
Counts = Maps | Sequence[Maps]
"""Where people looked: count maps (H, W) or (B, H, W), or coordinates y, x in pixels.

Coordinates are rows: an array (N, 2) or a list of pairs, for one map or for all of a batch; or, one
for each map of a batch, a list of such or an array (B, N, 2). `[]` is no fixation. Pixel (⌊y⌋, ⌊x⌋)
counts one for each; those that lie outside are dropped, with a warning. Told apart by shape alone,
so that on maps two pixels wide what may be either is refused.
"""

COUNTS = ("fixations", "other")  # arguments that hold numbers of fixations
LEAST = 0.999  # of the mean weight of fixations, which is 1 but for rounding
ROUNDED = 1e-5  # share of the sum of weights by which float32 may miss their number
MANY = 100  # fixated pixels from which on it is told whether they are as smooth as a density
A_DENSITY = (
    "a density, it seems; give the counts that it was made of. For a map of your own: "
    "Fixations.of(x, y).count_map(height, width). Densities are compared by cc, sim, kl and emd."
)


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


def aligned(named: dict[str, Counts]) -> list[Tensor]:
    """Return maps that agree in size, on one device, with leading dimensions broadcast.

    Raises ValueError, naming both shapes, if heights, widths or batches do not fit together.
    """
    first, *rest = named
    tensors = {first: as_tensor(cast("Maps", named[first]))}
    shape, device = tuple(tensors[first].shape), tensors[first].device
    for name in rest:
        given = named[name]
        if name in COUNTS and len(shape) > 1:
            given = count_maps(name, given, (shape[-2], shape[-1]))
        tensors[name] = as_tensor(cast("Maps", given), device)
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


def count_maps(name: str, given: Counts, size: tuple[int, int]) -> Maps:
    """Return `given` if it is count maps, else those of `size` that coordinates make.

    Raises ValueError, beginning with `name`, for what may be either, coordinates that are no pairs,
    or three or more that are fractions of the sides, not pixels.
    """
    parts: list[Any] = list(given) if isinstance(given, list | tuple) else []
    if len({np.shape(part) for part in parts}) > 1:  # each map with as many as it happens
        points, alone = [as_tensor(part) for part in parts], False
    else:
        tensors = bool(parts) and all(isinstance(part, Tensor) for part in parts)
        maps = as_tensor(torch.stack(parts) if tensors else cast("Maps", given))
        if maps.ndim and not maps.shape[-1]:  # [], or [[], []] for two maps
            maps = maps.reshape(*maps.shape, 2)
        if maps.ndim not in (2, 3) or maps.shape[-1] != 2:
            return maps
        if maps.shape[-2:] == size:
            raise ValueError(
                f"{name}, {tuple(maps.shape)}, may be counts on a map two pixels wide, or "
                f"coordinates: give counts as (1, 1, {size[0]}, 2)"
            )
        points, alone = ([maps], True) if maps.ndim == 2 else (list(maps), False)
    if wrong := [tuple(p.shape) for p in points if p.numel() and (p.ndim != 2 or p.shape[1] != 2)]:
        raise ValueError(f"{name}: coordinates must be pairs y, x, (N, 2), not {wrong[0]}")
    counts = torch.stack([_counted(name, one.reshape(-1, 2), size) for one in points])
    return counts[0] if alone else counts


def _counted(name: str, points: Tensor, size: tuple[int, int]) -> Tensor:
    """Count map of coordinates y, x (N, 2). Raises as `count_maps`."""
    (y, x), (height, width) = points.T, size
    if len(points) > 2:
        check_pixels(x.cpu(), y.cpu(), name, size)
    keep = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    if dropped := int((~keep).sum()):
        warnings.warn(
            f"{name}: {dropped} of {len(points)} lie outside {width}×{height} pixels or are NaN; "
            "dropped. Coordinates are y, x.",
            stacklevel=7,
        )
    counts = torch.zeros(size, device=points.device)
    at = y[keep].long(), x[keep].long()
    return counts.index_put(at, counts.new_ones(()), accumulate=True)


def check_counts(name: str, counts: Rows) -> None:
    """Raise ValueError, saying why, if `counts` are no numbers of fixations.

    NaN, negative and infinite numbers are none, nor are fractions, with one exception: fixations
    that weigh by how long they lasted weigh 1 in the mean, so that the sum of a map is a whole
    number, and at least that of fixated pixels. A density's may be so if it was scaled; but it is
    smoother than counts (`_smooth`), as marks, all of one number, may be too.
    """
    looked = where_looked(counts, fill=0)[0]  # zeros are counts, and most are
    wrong = f"{name} must be a map of counts, but "
    if not bool(((looked >= 0) & (looked < torch.inf)).all()):
        raise ValueError(f"{wrong}it has negative, infinite or NaN entries")
    total, pixels = looked.sum(-1), (looked > 0).sum(-1)
    broken = (looked != looked.round()).any(-1)
    uneven = (total - total.round()).abs() > ROUNDED * total
    if bool((no_weights := broken & (uneven | (total < LEAST * pixels))).any()):
        k = int(no_weights.nonzero()[0])
        raise ValueError(
            f"{wrong}it has fractions, whose sum over {int(pixels[k])} pixels is "
            f"{float(total[k]):.4g}: {A_DENSITY}"
        )
    for k in ((pixels >= MANY) & (broken | (total > 2 * pixels))).nonzero().flatten().tolist():
        values = counts.values[k]
        is_mark = bool((looked[k].max() == looked[k][looked[k] > 0]).all())  # one number alone
        if not is_mark and _smooth(values.unflatten(0, counts.size), bool(broken[k])):
            raise ValueError(f"{wrong}it is smoother than counts can be: {A_DENSITY}")


def _smooth(counts: Tensor, broken: bool) -> bool:
    """Whether numbers (H, W) hardly differ from the mean of those to their left and right.

    Of independent counts, whatever their rates, the mean square of a − 2b + c is at least the mean
    of a + 4b + c. Of fractions, whose scale is unknown, it is compared with a² + 4b² + c².
    """
    a, b, c = (counts[:, k : counts.shape[1] - 2 + k].double() for k in range(3))
    power = 2 if broken else 1
    spread = a.pow(power) + 4 * b.pow(power) + c.pow(power)
    return bool((a - 2 * b + c).square().sum() < (0.1 if broken else 0.5) * spread.sum())


def _as_rows(named: dict[str, Tensor]) -> dict[str, Rows]:
    rows = {
        name: Rows(maps.flatten(1), (maps.shape[1], maps.shape[2])) for name, maps in named.items()
    }
    levels = {name: r for name, r in rows.items() if name not in COUNTS}
    double = any(r.values.dtype == torch.float64 or r.wide() for r in levels.values())
    for name, r in rows.items():
        if name in COUNTS:
            check_counts(name, r)
        elif double:
            rows[name] = Rows(r.values.double(), r.size)
    return rows


def in_chunks(named: dict[str, Counts]) -> tuple[list[int], Iterator[dict[str, Rows]]]:
    """Return the batch shape of the maps, and their rows, a few maps at a time.

    Maps other than counts come as float32 if all of them are, else as float64. Raises ValueError
    if sizes do not fit or if a map named "fixations" or "other" does not hold counts.
    """
    maps = [m.detach() for m in aligned(named)]
    *lead, height, width = maps[0].shape
    step = max(1, chunk(maps[0].device) // (height * width))
    parts = zip(*(m.reshape(-1, height, width).split(step) for m in maps), strict=True)
    return lead, (_as_rows(dict(zip(named, p, strict=True))) for p in parts if len(p[0]))


def score(metric: Callable[..., Tensor], **named: Counts | Rows) -> Tensor:
    """Apply `metric`, a function of `Rows` to (B,), to maps of any allowed form.

    Returns a scalar tensor or (B,). `Rows` are scored as they are: how `scores` shares them.
    """
    if all(isinstance(rows, Rows) for rows in named.values()):
        return metric(*named.values())
    lead, chunks = in_chunks(cast("dict[str, Counts]", named))
    return joined([metric(*rows.values()) for rows in chunks], lead)


def joined(scores: list[Tensor], lead: Sequence[int]) -> Tensor:
    """Put the scores of chunks into the batch's shape."""
    return torch.cat(scores).reshape(lead) if scores else torch.empty(*lead, dtype=torch.float64)
