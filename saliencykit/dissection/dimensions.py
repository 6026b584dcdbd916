"""How many directions a layer's units span: a layer whose units all say the same has one."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .. import cache
from ..datasets import SaliencyDataset
from ..metrics.upsampling import Size
from ..registry import check_name
from .dissect import Reducing
from .stream import streamed


def participation_ratio(covariance: Tensor) -> float:
    """Return (Σλ)² / Σλ² of a covariance's (C, C) eigenvalues λ; NaN if nothing varies.

    From 1, all variance along one direction, to C, as much along each. Computed without
    eigenvalues: their sum is the trace, that of their squares the sum of squared entries. Source:
    Gao et al. 2017, bioRxiv 214262.
    """
    square = covariance.square().sum()
    return float(covariance.trace().square() / square) if square > 0 else float("nan")


def unit_dimensions(
    enc: Reducing,
    ds: SaliencyDataset,
    layers: Sequence[str],
    *,
    size: Size | None = None,
    batch: int = 16,
    progress: bool = True,
    device: str | torch.device | None = None,
) -> dict[str, float]:
    """Return `{layer: participation ratio}` of the units' covariance over all positions of `ds`.

    Images are seen at `size` (None: their own); one streamed pass. Raises UnknownNameError for a
    layer, ValueError for data without images.
    """
    for layer in layers:
        check_name("layer", layer, enc.layers)
    if not len(ds):
        raise ValueError(f"{ds!r} holds no images to measure units on")
    sums: dict[str, Tensor] = {}
    origin: dict[str, Tensor] = {}  # rounding stays small for units far from zero

    def add(layer: str, activations: Tensor) -> None:
        x = activations.movedim(1, 0).flatten(1).double()
        x = x - origin.setdefault(layer, x[:, :1].clone())
        x = torch.cat([x, torch.ones_like(x[:1])])
        sums[layer] = sums.get(layer, 0) + x @ x.T

    with streamed(
        [enc], ds, "measuring layers", size=size, batch=batch, progress=progress, device=device
    ) as batches:
        for _, images in batches:
            enc.reduce(images, layers, add)
    return {layer: participation_ratio(_covariance(sums[layer])) for layer in layers}


def _covariance(sums: Tensor) -> Tensor:
    """Return the covariance (C, C) from summed (x, 1)(x, 1)ᵀ."""
    n, total = sums[-1, -1], sums[:-1, -1]
    return sums[:-1, :-1] / n - torch.outer(total, total) / n**2


def _to_entry(found: dict[str, float]) -> cache.Entry:
    return cache.Entry(meta=found)


def _from_entry(entry: cache.Entry) -> dict[str, float]:
    return entry.meta


unit_dimensions_cached = cache.remembered("dimensions", unit_dimensions, _to_entry, _from_entry)
