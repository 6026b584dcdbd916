"""Scores of fixations that predict fixations, from the points alone.

The blurred map of points (x_i, y_i) is M(x, y) = Σ_i g(x − x_i) g(y − y_i). All that NSS and
information gain ask of it follows without drawing it:

- its value at fixation j is Σ_i g(x_j − x_i) g(y_j − y_i);
- its sum is Σ_i s(x_i) s(y_i), s being what of the kernel lies within the image;
- its sum of squares is Σ_ij c(x_i, x_j) c(y_i, y_j), c being the overlap of two kernels.

Each is a sum over points or pairs of points, so one table of pairs serves any number of trials,
each of which lets some of the points predict some others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from .blur import blur_matrix
from .rows import ranked

AT_ONCE = 16  # trials whose maps are drawn together
Score = Callable[[Tensor, Tensor], Tensor]
"""A metric: maps (K, H, W) and count maps (K, H, W) to (K,)."""


@lru_cache(maxsize=16)
def _overlap(length: int, sigma: float, device: str) -> Tensor:
    blur = blur_matrix(length, sigma, device)
    return blur @ blur


def _spaced(length: int, step: float) -> Tensor:
    """Indices that stand for `length` pixels: the middles of equal parts, `step` pixels long."""
    parts = max(1, round(length / step))
    return ((torch.arange(parts) + 0.5) * (length / parts)).long()


@dataclass(frozen=True)
class Points:
    """Fixated pixels x, y (n,) of one image of `size`, and the blur's standard deviation."""

    x: Tensor
    y: Tensor
    size: tuple[int, int]
    sigma: float

    def _table(self, axis: int) -> Tensor:
        return blur_matrix(self.size[axis], self.sigma, str(self.x.device))

    def _pairs(self, down: Tensor, across: Tensor) -> Tensor:
        """Return Π over both axes of a table's entry for every two points: (n, n)."""
        return down[self.y[:, None], self.y] * across[self.x[:, None], self.x]

    @cached_property
    def value(self) -> Tensor:
        """What the kernel of one point adds at another: (n, n)."""
        return self._pairs(self._table(0), self._table(1))

    @cached_property
    def overlap(self) -> Tensor:
        """Sum over pixels of the product of two points' kernels: (n, n)."""
        return self._pairs(*(_overlap(n, self.sigma, str(self.x.device)) for n in self.size))

    @cached_property
    def inside(self) -> Tensor:
        """What of each point's kernel lies within the image: (n,)."""
        return self._table(0).sum(0)[self.y] * self._table(1).sum(0)[self.x]

    def drawn(self, weight: Tensor, step: float = 1) -> Tensor:
        """Blurred maps (K, h, w) of weighted points (K, n), at pixels `step` apart."""
        down, across = (
            self._table(axis)[at][:, _spaced(self.size[axis], step)]
            for axis, at in enumerate((self.y, self.x))
        )
        return (weight[:, None] * down.T) @ across


@dataclass(frozen=True)
class Trials:
    """K trials over n points: `predict` and `target` (K, n), 1 where a point does so, else 0."""

    predict: Tensor
    target: Tensor

    @cached_property
    def pairs(self) -> tuple[Tensor, Tensor]:
        """Trial and point of each of the M targets, trial by trial."""
        trial, point = self.target.nonzero(as_tuple=True)
        return trial, point

    def mean(self, values: Tensor) -> Tensor:
        """Mean of `values` (..., M) over each trial's targets: (..., K).

        NaN for a trial without a target or without anything to predict it.
        """
        sums = values.new_zeros(*values.shape[:-1], len(self.target))
        means = sums.index_add(-1, self.pairs[0], values) / self.target.sum(-1)
        return means.masked_fill(self.predict.sum(-1) == 0, torch.nan)

    def at_targets(self, points: Points) -> Tensor:
        """Value (M,) of each trial's blurred map at its targets."""
        # Summed over those who predict rather than all minus the rest, so that 0 stays 0.
        return (self.predict @ points.value)[self.pairs]


def nss(points: Points, trials: Trials) -> Tensor:
    """NSS (K,) of each trial's blurred map, exactly."""
    pixels = points.size[0] * points.size[1]
    mean = trials.predict @ points.inside / pixels
    square = ((trials.predict @ points.overlap) * trials.predict).sum(-1) / pixels
    return (trials.mean(trials.at_targets(points)) - mean) / (square - mean.square()).sqrt()


def auc(points: Points, trials: Trials) -> Tensor:
    """AUC (K,) of each trial's blurred map against pixels sigma / 8 apart, which stand for all."""
    values, (trial, _) = trials.at_targets(points).float(), trials.pairs
    ranks = torch.empty_like(values, dtype=torch.float64)
    step = max(1, points.sigma / 8)
    for some in torch.arange(len(trials.predict)).split(AT_ONCE):
        maps = points.drawn(trials.predict[some], step).flatten(1).float()
        for k, pixels in zip(some, maps, strict=True):
            ranks[trial == k] = ranked(pixels, values[trial == k])
    return trials.mean(ranks)


def by_maps(metric: Score) -> Callable[[Points, Trials], Tensor]:
    """Return what scores trials by drawing their maps and asking `metric`."""

    def run(points: Points, trials: Trials) -> Tensor:
        pixel = points.y * points.size[1] + points.x
        counts = trials.target.new_zeros(len(trials.target), points.size[0] * points.size[1])
        counts = counts.index_add(1, pixel, trials.target).unflatten(1, points.size)
        scores = metric(points.drawn(trials.predict), counts)
        return trials.mean(torch.zeros_like(trials.pairs[0], dtype=torch.float64)) + scores

    return run


@dataclass(frozen=True)
class InformationGain:
    """Information gain of a gold standard: kernel density, uniform and baseline, mixed.

    P = (1 − uniform − prior) K + uniform / HW + prior B, with the density K of the fixations that
    predict, divided by its sum over the image, and the baseline B. The gain is over B, in bits.

    `baseline`: map (H, W) of the image's size, ≥ 0; None: uniform. Weights are ≥ 0 and sum to at
    most 1.
    """

    baseline: Tensor | None = None
    uniform: float = 0.1
    prior: float = 0.0

    def __post_init__(self):
        if min(self.uniform, self.prior) < 0 or self.uniform + self.prior > 1:
            raise ValueError(
                f"weights must be ≥ 0 and sum to at most 1, not {self.uniform} and {self.prior}"
            )

    def __call__(self, points: Points, trials: Trials) -> Tensor:
        """Return the gain (K,) of each trial."""
        weights = torch.tensor([[self.uniform, self.prior]], dtype=torch.float64)
        return self.with_weights(points, trials, weights)[0]

    def with_weights(self, points: Points, trials: Trials, weights: Tensor) -> Tensor:
        """Return the gain (G, K) under each of G pairs of weights, uniform and prior (G, 2)."""
        trial, point = trials.pairs
        flat = 1 / (points.size[0] * points.size[1])
        base = flat if self.baseline is None else _share(self.baseline, points)[point]
        kernel = trials.at_targets(points) / (trials.predict @ points.inside)[trial]
        uniform, prior = weights.to(kernel)[..., None].unbind(1)
        mixed = (1 - uniform - prior) * kernel + uniform * flat + prior * base
        return trials.mean((mixed / base).log2())


def _share(baseline: Tensor, points: Points) -> Tensor:
    """What share of the baseline lies at each point (n,)."""
    if tuple(baseline.shape) != tuple(points.size):
        raise ValueError(f"baseline is {tuple(baseline.shape)}, the image {points.size}")
    baseline = baseline.to(points.x.device, torch.float64)
    return (baseline / baseline.sum())[points.y, points.x]


SCORES: dict[str, Callable[[Points, Trials], Tensor]] = {
    "nss": nss,
    "auc": auc,
    "ig": InformationGain(),
}
