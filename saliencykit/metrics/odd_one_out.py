"""Metrics of search arrays: does a saliency map single out the odd item?

They compare a map with masks of the target and of the distractors, not with fixations, and follow
the code of Kotseruba, Wloka, Rasouli & Tsotsos 2019 (BMVC), sentinels included. Masks are bool or
0…1: a soft mask (antialiased, or from a JPEG) weighs its pixels.
"""

from math import isqrt
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .maps import Maps, aligned, as_tensor, score
from .rows import Rows, dot, nan_where
from .table import ARRAY_METRICS, metric

SENTINEL = -1.0
"""What the authors' code returns where a ratio has no denominator."""
IOR_SHARE = 75 / 1024
"""Side of the inhibited square on P3: its items' 75 pixels of an image's 1024."""


class MSR(NamedTuple):
    """Maximum saliency ratios.

    `target` is target / distractors, the more the better; `background` is background / target, the
    less the better.
    """

    target: Tensor
    background: Tensor


@metric("target", "distractors", label="GSI", unit="ratio", table=ARRAY_METRICS)
def gsi(saliency: Maps, target: Maps, distractors: Maps) -> Tensor:
    """Global saliency index: mean saliency of the target against that of the distractors.

    GSI = (T − D) / (T + D), where T = Σ_p s_p t_p / Σ_p t_p with saliency s and target mask t, and
    D likewise with the distractors' mask.

    Unit: none. Range: −1…1 for maps that are nowhere negative, 0 for chance, above 0 if the target
    is the more salient. −1 where T + D is 0 or less, as in the reference. A map that may be
    negative has no meaningful ratio: shift it first. NaN where a mask is empty or the map has NaN.

    Args:
        saliency: map (H, W) or (B, H, W), tensor or array.
        target: mask of the same size, bool or 0…1.
        distractors: mask of the same size, bool or 0…1.

    Returns:
        float64 scalar tensor or (B,).

    Raises:
        ValueError: sizes differ, or a mask leaves 0…1.

    Source: Soltani & Koch 2010, J. Neuroscience 30, 12831–12843; Kotseruba et al. 2019.
    """
    return score(_gsi_rows, saliency=saliency, target=target, distractors=distractors)


def _gsi_rows(*maps: Rows) -> Tensor:
    saliency, target, distractors = _pixels(*maps)
    check_masks(target=target, distractors=distractors)
    t, d = (dot(saliency, mask) / mask.sum(-1) for mask in (target, distractors))
    return ((t - d) / (t + d)).masked_fill(t + d <= 0, SENTINEL)


def msr(saliency: Maps, target: Maps, distractors: Maps, dilate: int = 0) -> MSR:
    """Maximum saliency ratios of the target to the distractors, and of the background to it.

    MSR_target = max_p s_p t_p / max_p s_p d_p; MSR_background = max_p s_p b_p / max_p s_p t_p, with
    saliency s, masks t of the target and d of the distractors, and b = 1 where neither exceeds ½.

    Unit: none. Range: 0 to infinity for maps that are nowhere negative. The target stands out if
    the first exceeds 1 and the second does not: mind that the target is below the line there. −1
    where a denominator is 0, as in the reference. NaN where a mask that a ratio needs (or the
    background) is empty, or the map has NaN.

    Args:
        saliency: map (H, W) or (B, H, W), tensor or array.
        target: mask of the same size, bool or 0…1.
        distractors: mask of the same size, bool or 0…1.
        dilate: radius in pixels of the disk by which both masks grow, for maps that bleed.

    Returns:
        MSR(target, background), each a float64 scalar tensor or (B,).

    Raises:
        ValueError: sizes differ, or a mask leaves 0…1.

    Source: Kotseruba et al. 2019.
    """
    grown = {"target": dilated(target, dilate), "distractors": dilated(distractors, dilate)}
    return MSR(*(score(rows, saliency=saliency, **grown) for rows in (_target_rows, _ground_rows)))


@metric("target", "distractors", label="MSR of the target", unit="ratio", table=ARRAY_METRICS)
def msr_target(saliency: Maps, target: Maps, distractors: Maps) -> Tensor:
    """Maximum saliency ratio of the target to the distractors: the first of `msr`, undilated.

    Unit: none. Range: 0 to infinity for maps that are nowhere negative; above 1 where the target
    stands out. −1 where the map is 0 on all distractors; NaN where a mask is empty or the map has
    NaN.

    Args:
        saliency: map (H, W) or (B, H, W), tensor or array.
        target: mask of the same size, bool or 0…1.
        distractors: mask of the same size, bool or 0…1.

    Returns:
        float64 scalar tensor or (B,).

    Raises:
        ValueError: sizes differ, or a mask leaves 0…1.

    Source: Kotseruba et al. 2019.
    """
    return msr(saliency, target, distractors).target


def _pixels(*maps: Rows) -> list[Tensor]:
    return [rows.values.double() for rows in maps]


def _target_rows(*maps: Rows) -> Tensor:
    saliency, target, distractors = _pixels(*maps)
    check_masks(target=target, distractors=distractors)
    return _ratio(saliency, target, distractors)


def _ground_rows(*maps: Rows) -> Tensor:
    saliency, target, distractors = _pixels(*maps)
    background = ((target <= 0.5) & (distractors <= 0.5)).to(saliency.dtype)
    return _ratio(saliency, background, target)


def _ratio(saliency: Tensor, above: Tensor, below: Tensor) -> Tensor:
    """Ratio of the largest saliency within two masks."""
    top, bottom = ((saliency * mask).amax(-1) for mask in (above, below))
    empty = (above.amax(-1) == 0) | (below.amax(-1) == 0)
    return nan_where(empty, (top / bottom).masked_fill(bottom <= 0, SENTINEL))


@metric("target", "distractors", label="target most salient", unit="share", table=ARRAY_METRICS)
def most_salient(saliency: Maps, target: Maps, distractors: Maps) -> Tensor:
    """Whether the target is the most salient item: MSR_target above 1, for any map.

    1 if the map's maximum on the target lies above that on all distractors, max_p∈T s_p > max_p∈D
    s_p, else 0: also of equal maxima, so that a map without structure finds nothing. A pixel is an
    item's where its mask exceeds ½. What is most salient among all items comes first for whoever
    looks at one after the other in the order of their maxima.

    Unit: none; the mean over arrays is a share. Chance: 1/n of n items, since one whose maximum
    hangs on its place alone is the highest as often as each other. Unlike GSI and MSR it needs no
    zero: every increasing function of the map has the same score. NaN where no pixel exceeds ½ of a
    mask or the map has NaN.

    Args:
        saliency: map (H, W) or (B, H, W), tensor or array; may be negative.
        target: mask of the same size, bool or 0…1.
        distractors: mask of the same size, bool or 0…1.

    Returns:
        float64 scalar tensor or (B,).

    Raises:
        ValueError: sizes differ, or a mask leaves 0…1.

    Source: the threshold of MSR_target in Kotseruba et al. 2019.
    """
    return score(_most_salient_rows, saliency=saliency, target=target, distractors=distractors)


def _most_salient_rows(*maps: Rows) -> Tensor:
    saliency, target, distractors = _pixels(*maps)
    check_masks(target=target, distractors=distractors)
    outside = [mask <= 0.5 for mask in (target, distractors)]
    top, other = (saliency.masked_fill(out, -torch.inf).amax(-1) for out in outside)
    empty = outside[0].all(-1) | outside[1].all(-1)
    return nan_where(empty | saliency.isnan().any(-1), (top > other).double())


@metric("target", label="fixations to find", unit="fixations", better="lower", table=ARRAY_METRICS)
def fixations_to_find(
    saliency: Maps,
    target: Maps,
    ior: float | tuple[float, float] | None = None,
    gaussian: bool = False,
    most: int = 100,
    dilate: int = 0,
) -> Tensor:
    """Number of fixations until the target is found, going from maximum to maximum of the map.

    Each fixation goes to the map's maximum, the first in reading order of equal ones. It finds the
    target if the mask there is above 0. If not, a rectangle around it is inhibited: rows
    ⌊y − ior/2⌋ up to but not including ⌊y + ior/2⌋, and columns likewise.

    Unit: fixations. Range: 1…`most`, less is better. A target not found by then scores `most`, just
    as one found by the last: the reference, whose limit `max_tries` is most − 1, cannot tell them
    apart either (ask with one more to know). NaN where the mask is empty or the map has a NaN or
    an infinite value.

    Args:
        saliency: map (H, W) or (B, H, W), tensor or array, ≥ 0: inhibited is 0.
        target: mask of the same size, bool or 0…1.
        ior: side of the inhibited square in pixels, or (rows, columns), at least 2; commonly the
            items' size. By default 75/1024 of the map's longer side, as for P3's items. (The
            reference calls its pair (width, height), but its first goes with rows, as here.)
        gaussian: multiply saliency in the rectangle by its distance from the fixation over the
            farthest one's, instead of 0. (The reference's name, though it is a cone.)
        most: fixations after which the search is given up, at least 1.
        dilate: radius in pixels of the disk by which the target's mask grows, for near hits.

    Returns:
        float64 scalar tensor or (B,).

    Raises:
        ValueError: sizes differ, the mask leaves 0…1, or a setting is out of range.

    Source: Kotseruba et al. 2019.
    """
    maps, masks = aligned({"saliency": saliency, "target": dilated(target, dilate)})
    check_masks(target=masks)
    sides = _inhibited_sides(ior, maps.shape[-2:])
    if most < 1:
        raise ValueError(f"most must be 1 or more, not {most}")
    flat = (m.reshape(-1, *m.shape[-2:]).double().numpy(force=True) for m in (maps, masks))
    counts = [_search(s, t > 0, sides, gaussian, most) for s, t in zip(*flat, strict=True)]
    found = torch.tensor(counts, dtype=torch.float64, device=maps.device)
    return found.reshape(maps.shape[:-2])


def _inhibited_sides(ior: float | tuple[float, float] | None, size: torch.Size) -> np.ndarray:
    sides = np.broadcast_to(IOR_SHARE * max(size) if ior is None else ior, 2)
    if ior is None:
        sides = np.maximum(sides, 2)
    # Of a narrower rectangle the fixated pixel would be no part, and fixated for ever.
    if not (sides >= 2).all():
        raise ValueError(f"ior must be at least 2 pixels, not {ior}")
    return sides


def _search(
    saliency: np.ndarray, target: np.ndarray, ior: np.ndarray, gaussian: bool, most: int
) -> float:
    """Fixations on one map (H, W) until one falls on `target`, at most `most`."""
    if not np.isfinite(saliency).all() or not target.any():
        return float("nan")
    left, peaks = saliency.copy(), saliency.max(axis=1)  # of each row: few change in each look
    for looks in range(1, most + 1):
        row = int(peaks.argmax())
        fixated = row, int(left[row].argmax())
        if target[fixated]:
            return looks
        rows, columns = (
            slice(max(0, int(at - side / 2)), min(n, int(at + side / 2)))
            for at, side, n in zip(fixated, ior, left.shape, strict=True)
        )
        patch = rows, columns
        left[patch] = left[patch] * _cone(patch, fixated) if gaussian else 0
        peaks[rows] = left[rows].max(axis=1)
    return most


def _cone(patch: tuple[slice, slice], tip: tuple[int, int]) -> np.ndarray:
    """Distance of each pixel of `patch` from `tip`, over the largest."""
    y, x = np.ogrid[patch]
    distance = np.sqrt((y - tip[0]) ** 2 + (x - tip[1]) ** 2)
    return distance / (distance.max() or 1)


def dilated(masks: Maps, radius: int) -> Tensor:
    """Grow masks (H, W) or (B, H, W) by a disk: the maximum within `radius` pixels of each pixel.

    Raises ValueError if `radius` is negative.
    """
    masks = as_tensor(masks)
    if radius < 0:
        raise ValueError(f"dilate must be 0 or more pixels, not {radius}")
    height = masks.shape[-2]
    above_below = F.pad(masks, (0, 0, radius, radius))
    for dy in range(-radius, radius + 1):
        half = isqrt(radius**2 - dy**2)
        row = above_below[..., radius + dy : radius + dy + height, :]
        wide = F.max_pool2d(row.reshape(-1, *row.shape[-2:]), (1, 2 * half + 1), 1, (0, half))
        masks = torch.maximum(masks, wide.reshape(masks.shape))
    return masks


def check_masks(**masks: Tensor) -> None:
    """Raise ValueError, naming the mask, if it holds anything outside 0…1."""
    for name, mask in masks.items():
        if not bool(((mask >= 0) & (mask <= 1)).all()):
            raise ValueError(
                f"{name} must be a mask of 0…1, but it goes from {float(mask.min()):g} to "
                f"{float(mask.max()):g}; divide one of 0…255 by 255"
            )
