"""The human ceiling: how well the other observers' fixations predict those of one observer.

The blurred map of points (x_i, y_i) is M(x, y) = Σ_i g(x − x_i) g(y − y_i). All that NSS asks of it
follows from the points alone, without drawing the map:

- its value at fixation j is Σ_i g(x_j − x_i) g(y_j − y_i);
- its sum is Σ_i s(x_i) s(y_i), s being what of the kernel lies within the image;
- its sum of squares is Σ_ij c(x_i, x_j) c(y_i, y_j), c being the overlap of two kernels.

Each is a sum over points or pairs of points, so leaving one observer out means leaving out that
observer's terms. A ceiling over hundreds of images with 15 observers takes seconds.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ..registry import check_name
from .blur import blur_matrix, default_sigma
from .maps import Maps, as_tensor, check_counts
from .rows import sort_rows

Score = Callable[[Tensor, Tensor], Tensor]
"""A metric: maps (O, H, W) and count maps (O, H, W) to (O,)."""


@lru_cache(maxsize=8)
def _overlap(length: int, sigma: float, device: str) -> Tensor:
    blur = blur_matrix(length, sigma, device)
    return blur @ blur


def _spaced(length: int, step: float) -> Tensor:
    """Indices that stand for `length` pixels: the middles of equal parts, `step` pixels long."""
    parts = max(1, round(length / step))
    return ((torch.arange(parts) + 0.5) * (length / parts)).long()


@dataclass(frozen=True)
class _Points:
    """Fixated pixels of one image, `member` (O, n) saying whose they are, and the blur's tables."""

    x: Tensor
    y: Tensor
    member: Tensor
    size: tuple[int, int]
    sigma: float

    def table(self, axis: int) -> Tensor:
        return blur_matrix(self.size[axis], self.sigma, str(self.x.device))

    def pairs(self, down: Tensor, across: Tensor) -> Tensor:
        """Return Π over both axes of a table's entry for every two points: (n, n)."""
        return down[self.y[:, None], self.y] * across[self.x[:, None], self.x]

    def others(self, step: float = 1) -> Tensor:
        """Each observer's others' blurred map (O, h, w), at pixels `step` apart."""
        down, across = (
            self.table(axis)[at][:, _spaced(self.size[axis], step)]
            for axis, at in enumerate((self.y, self.x))
        )
        # Summed over the others rather than all minus own, so that 0 stays 0 and ties stay ties.
        return ((1 - self.member)[:, None] * down.T) @ across

    def counts(self) -> Tensor:
        """Count maps (O, H, W)."""
        maps = torch.zeros(len(self.member), *self.size, dtype=torch.float64, device=self.x.device)
        observer = self.member.argmax(0)
        ones = torch.ones_like(self.member[0])
        return maps.index_put((observer, self.y, self.x), ones, accumulate=True)

    def others_at_own(self) -> Tensor:
        """Value of the others' blurred map at each held-out observer's own fixation: (n,)."""
        value = self.pairs(self.table(0), self.table(1))
        return (value * (1 - self.member.T @ self.member)).sum(0)

    def mean_over_own(self, values: Tensor) -> Tensor:
        """Mean of `values` (n,) over each observer's fixations: (O,).

        NaN for an observer without one, or if nobody else has one to predict them with.
        """
        own = self.member.sum(-1)
        means = self.member @ values / own
        return means.masked_fill(own.sum() == own, torch.nan)


def _nss(points: _Points) -> Tensor:
    size, member = points.size, points.member
    inside = points.table(0).sum(0)[points.y] * points.table(1).sum(0)[points.x]
    total = inside.sum() - member @ inside
    overlap = points.pairs(*(_overlap(n, points.sigma, str(points.x.device)) for n in size))
    shared = member @ overlap @ member.T
    squares = shared.sum() - 2 * shared.sum(-1) + shared.diagonal()
    pixels = size[0] * size[1]
    mean = total / pixels
    deviation = (squares / pixels - mean.square()).sqrt()
    return (points.mean_over_own(points.others_at_own()) - mean) / deviation


def _auc(points: _Points) -> Tensor:
    # The blurred map changes little over sigma / 8, so pixels this far apart stand for all.
    others = points.others(step=max(1, points.sigma / 8)).flatten(1)
    ordered = sort_rows(others.float())
    values = points.others_at_own().float()
    owner = points.member.argmax(0)
    ranks = torch.empty_like(values, dtype=torch.float64)
    for o, row in enumerate(ordered):
        mine = values[owner == o].contiguous()
        below = torch.searchsorted(row, mine) + torch.searchsorted(row, mine, right=True)
        ranks[owner == o] = below.double() / (2 * len(row))
    return points.mean_over_own(ranks)


def _by_maps(metric: Score) -> Callable[[_Points], Tensor]:
    def run(points: _Points) -> Tensor:
        scores = metric(points.others(), points.counts())
        return points.mean_over_own(torch.zeros_like(points.member[0])) + scores

    return run


CEILINGS = {"nss": _nss, "auc": _auc}


def _points(
    x: Tensor, y: Tensor, observer: Tensor, size: tuple[int, int], sigma: float, observers: int
) -> _Points:
    keep = (x >= 0) & (x < size[1]) & (y >= 0) & (y < size[0])
    if dropped := int((~keep).sum()):
        warnings.warn(
            f"{dropped} of {len(x)} fixations lie outside {size[1]}×{size[0]} pixels or are NaN; "
            "dropped.",
            stacklevel=4,
        )
    member = torch.arange(observers, device=x.device)[:, None] == observer[keep]
    return _Points(x[keep].long(), y[keep].long(), member.double(), size, sigma)


def leave_one_out(
    x: Tensor,
    y: Tensor,
    observer: Tensor,
    size: tuple[int, int],
    metric: str | Score = "nss",
    sigma: float | None = None,
    observers: int | None = None,
) -> Tensor:
    """Score, on one image, the others' blurred fixations against each observer's own.

    Their mean over observers and images is the ceiling that a model can be measured against: what
    one would score who knew where everybody else looked. (Infinitely many others would predict a
    little better.)

    "nss" is exact. "auc" takes pixels sigma/8 apart in each direction for the negatives, between
    which the blurred map hardly changes (an error of some 1e-4); both agree with
    drawing the maps (`gaussian_blur`) and scoring them with the function of that name.

    Args:
        x, y: fixations in pixels, (N,); those outside the image or NaN are dropped, with a warning.
        observer: index of each fixation's observer, (N,), from 0.
        size: (height, width) of the image.
        metric: "nss", "auc", or a function of maps (O, H, W) and count maps (O, H, W) to (O,).
        sigma: of the blur, in pixels; default about one degree of visual angle, which is what
            benchmarks blur by (see `default_sigma`). A narrower blur predicts better if there are
            many observers: on OSIE, half a degree raises the NSS ceiling by a tenth.
        observers: how many there are; default the highest index + 1.

    Returns:
        (O,), float64: one score per observer in the metric's unit. NaN for an observer without a
        fixation, or if nobody else has one.

    Raises:
        UnknownNameError: another metric's name.
        ValueError: x, y and observer differ in length, or an index is not below `observers`.

    Source: Wilming, Betz, Kietzmann & König 2011, PLoS ONE 6, e24038 (lower bounds by observers).
    """
    x, y = (torch.as_tensor(v, dtype=torch.float64) for v in (x, y))
    observer = torch.as_tensor(observer, device=x.device).long()
    if not x.shape == y.shape == observer.shape:
        shapes = ", ".join(str(tuple(v.shape)) for v in (x, y, observer))
        raise ValueError(f"x, y and observer differ in length: {shapes}")
    needed = int(observer.max()) + 1 if len(observer) else 0
    observers = needed if observers is None else observers
    if needed > observers or (len(observer) and int(observer.min()) < 0):
        raise ValueError(f"observer indices must be 0…{observers - 1}")
    if isinstance(metric, str):
        run = CEILINGS[check_name("ceiling", metric, CEILINGS)]
    else:
        run = _by_maps(metric)
    sigma = default_sigma(size) if sigma is None else float(sigma)
    return run(_points(x, y, observer, tuple(size), sigma, observers))


def leave_one_out_maps(
    counts: Maps, metric: str | Score = "nss", sigma: float | None = None
) -> Tensor:
    """Do as `leave_one_out`, from one count map per observer (O, H, W); return (O,).

    Raises ValueError if counts are negative or NaN.
    """
    counts = as_tensor(counts)
    check_counts("counts", counts)
    observer, y, x = counts.nonzero(as_tuple=True)
    times = counts[observer, y, x].long()
    observer, y, x = (v.repeat_interleave(times) for v in (observer, y, x))
    return leave_one_out(x, y, observer, tuple(counts.shape[-2:]), metric, sigma, len(counts))
