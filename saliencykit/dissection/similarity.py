"""How similar two networks' representations are: linear CKA, and unit by unit, in one pass.

Centred kernel alignment (Kornblith et al., ICML 2019) of features X (n, C) and Y (n, C'), with
linear kernels K = XXᵀ and L = YYᵀ, is HSIC(K, L) / √(HSIC(K, K) HSIC(L, L)). HSIC is taken both

- plain, as they do: ‖XᵀY‖² of centred features over (n − 1)². Biased: independent features come
  out near 1 when there are fewer examples than units;
- debiased, as Nguyen et al. (ICLR 2021): the unbiased estimator HSIC₁ of Song et al. (JMLR 2012),
  for which K and L lose their diagonals. It may be negative.

No kernel is ever built. Write a = |x|² and b = |y|² for an example, and append (1, a) to its x and
(1, b) to its y: the sum over examples of (x, 1, a)(y, 1, b)ᵀ, a (C + 2) × (C' + 2) matrix, holds
XᵀY, Σx, Σy, Σa, Σb, Σab, Σxb, Σay and n, and both estimators follow from these exactly:

    tr KL = ‖XᵀY‖² − Σab     1ᵀK1 = |Σx|² − Σa     1ᵀL1 = |Σy|² − Σb
    1ᵀKL1 = (Σx)ᵀ XᵀY (Σy) − (Σx)ᵀ Σxb − (Σy)ᵀ Σay + Σab     (diagonals removed)

So memory depends on the numbers of units, not of images.

Examples are either *positions* (the default): every place of every image is one, its units the
features; or *images*: activations averaged over places. Kornblith et al. flatten, so that a unit
at each place is a feature of its own: that asks whether the same thing is seen at the same place
of the image, and its C·h·w features can't be summed like this. A saliency model must say *where*
in an image to look, and all its readout knows of a place is the units' activations there, so
positions are what it compares; averaging over places would hide what matters. Places of one image
are not independent of each other, so for positions "debiased" undoes less bias than there is; they
are also hundreds of times more numerous than images, so there is little. With images it matters.

Intervals are the delete-a-group jackknife's (images dealt into `blocks`; value ± t · standard
error): it leaves images out, where a bootstrap would draw some twice, and a pair of twins on K's
diagonal blocks is just the bias that debiasing removes. In a simulation with 100 images and 10
blocks, 95 % intervals of CKA over positions held the truth in 91 % of 300 data sets.

`similarities` compares many networks, each with each, at some places of every image.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from .. import cache
from ..datasets import SaliencyDataset
from ..intervals import jackknife
from ..metrics.upsampling import Size
from ..registry import check_name
from .dissect import Reducing
from .stream import streamed

EXAMPLES = ("positions", "images")
MEASURES = ("cka", "cka_debiased", "correlation")
PLACES = 64  # of an image, about, where many networks are compared
Pair = tuple[str, str]


@dataclass(frozen=True)
class Similarity:
    """What two networks share.

    `table`: first, second (layers of the one and the other), measure, value, low, high; measures
    are "cka", "cka_debiased" and, for the same layer of both, "correlation": the mean of `units`.
    `units[layer]`: (C,) float64, Pearson's r of each unit with its namesake over all examples; NaN
    for one that is constant in either network.
    """

    table: pd.DataFrame
    units: dict[str, Tensor]

    def to_entry(self) -> cache.Entry:
        """Return what `cache.cached` stores."""
        return cache.Entry(self.units, {"table": self.table.to_dict(orient="list")})

    @classmethod
    def from_entry(cls, entry: cache.Entry) -> "Similarity":
        """Rebuild from `to_entry`'s result."""
        return cls(pd.DataFrame(entry.meta["table"]), entry.tensors)


def similarity(
    first: Reducing,
    second: Reducing,
    ds: SaliencyDataset,
    layers: Sequence[str | Pair] | None = None,
    *,
    examples: str = "positions",
    blocks: int = 10,
    size: Size | None = None,
    batch: int = 8,
    progress: bool = True,
    device: str | torch.device | None = None,
) -> Similarity:
    """Compare two encoders on the images of `ds`, seen at `size` (None: their own).

    layers: a name (of a layer in both), or a pair of names; None: all that both have. examples:
    "positions" or "images", see the module. One pass, float64 sums; memory of
    blocks × 3 C² × 8 bytes a layer (400 MB for 1,280 units), however many images. Raises
    UnknownNameError for a layer, and ValueError for data without images and for positions of
    layers whose grids differ.
    """
    check_name("kind of examples", examples, EXAMPLES)
    if blocks < 2:
        raise ValueError(f"blocks is {blocks}; a jackknife leaves one out of at least 2")
    shared = [layer for layer in first.layers if layer in second.layers]
    chosen = shared if layers is None else list(dict.fromkeys(layers))
    pairs = [(p, p) if isinstance(p, str) else (p[0], p[1]) for p in chosen]
    for a, b in pairs:
        check_name("layer", a, first.layers)
        check_name("layer", b, second.layers)
    if not len(ds) or not pairs:
        raise ValueError(f"{ds!r} and {len(pairs)} layers leave nothing to compare")
    run = _Comparison(pairs, examples, min(blocks, len(ds)))
    with streamed(
        [first, second], ds, "comparing", size=size, batch=batch, progress=progress, device=device
    ) as batches:
        for stimuli, images in batches:
            run.add(first, second, images, [s.index for s in stimuli])
    return run.result()


similarity_cached = cache.remembered(
    "similarity", similarity, Similarity.to_entry, Similarity.from_entry
)


def similarities(
    encoders: Sequence[Reducing],
    ds: SaliencyDataset,
    layers: Sequence[str],
    *,
    blocks: int = 20,
    size: Size | None = None,
    batch: int = 8,
    progress: bool = True,
    device: str | torch.device | None = None,
) -> dict[str, Tensor]:
    """Compare K networks of one shape pairwise: by layer (2, 1 + blocks, K, K) float64.

    First "cka_debiased", then the mean "correlation" of units with their namesakes, both of
    examples at about `PLACES` places of every image, evenly spaced: places next to each other say
    the same. Of each, first on all images, then leaving out every block of them (at most as many as
    there are images), for `intervals.jackknifed`. One pass; the examples of all networks and layers
    are kept, 4 × K × images × `PLACES` × units bytes a layer.
    """
    seen: dict[tuple[str, int], dict[int, Tensor]] = defaultdict(dict)
    with streamed(
        encoders, ds, "comparing", size=size, batch=batch, progress=progress, device=device
    ) as batches:
        for stimuli, images in batches:
            for k, encoder in enumerate(encoders):
                for layer, some in encoder.reduce(images, layers, lambda _, a: thinned(a)).items():
                    seen[layer, k].update(zip((s.index for s in stimuli), some.cpu(), strict=True))
    parts = min(blocks, len(ds))
    return {
        layer: _pairwise([_in_blocks(seen.pop((layer, k)), parts) for k in range(len(encoders))])
        for layer in layers
    }


similarities_cached = cache.remembered(
    "similarities", similarities, lambda found: cache.Entry(found, {}), lambda entry: entry.tensors
)


def thinned(activation: Tensor) -> Tensor:
    """Return (B, n, C): the units' activations at about `PLACES` places of the grid."""
    step = max(1, round(math.sqrt(activation[0, 0].numel() / PLACES)))
    return activation[..., step // 2 :: step, step // 2 :: step].flatten(2).mT.clone()


def _in_blocks(of_images: dict[int, Tensor], blocks: int) -> list[Tensor]:
    """Return each block's examples (n, C + 2) float64, from those of its images, by number."""
    origin = of_images[0][0].double()
    parts = [torch.cat([of_images[i] for i in sorted(of_images)[k::blocks]]) for k in range(blocks)]
    return [_extended(part.double() - origin) for part in parts]


def _extended(x: Tensor) -> Tensor:
    """Return examples x (…, C) as (x, 1, |x|²)."""
    return torch.cat([x, torch.ones_like(x[..., :1]), x.square().sum(-1, keepdim=True)], -1)


def _pairwise(networks: Sequence[list[Tensor]]) -> Tensor:
    """Return (2, 1 + blocks, K, K), see `similarities`, of one layer's examples by block."""
    within = [_left_out(x, x) for x in networks]
    own = [torch.vmap(hsic_unbiased)(sums) for sums in within]
    found = torch.ones(2, len(own[0]), len(networks), len(networks), dtype=torch.float64)
    for i, j in itertools.combinations(range(len(networks)), 2):
        sums = _left_out(networks[i], networks[j])
        same = torch.vmap(correlations)(sums, within[i], within[j]).nanmean(1)
        both = torch.stack([cka(torch.vmap(hsic_unbiased)(sums), own[i], own[j]), same])
        found[:, :, i, j] = found[:, :, j, i] = both
    return found


def _left_out(x: Sequence[Tensor], y: Sequence[Tensor]) -> Tensor:
    """Return (1 + blocks, C + 2, C' + 2): sums over all examples, then without each block's."""
    parts = torch.stack([a.mT @ b for a, b in zip(x, y, strict=True)])
    return torch.cat([parts.sum(0, keepdim=True), parts.sum(0) - parts])


class _Comparison:
    """Sums by block of images, for each pair of layers and each layer with itself."""

    def __init__(self, pairs: Sequence[Pair], examples: str, blocks: int):
        self.pairs, self.examples, self.blocks = pairs, examples, blocks
        self.origin: dict[tuple[int, str], Tensor] = {}
        self.sums: dict[tuple, Tensor] = {}

    def add(self, first: Reducing, second: Reducing, images: Tensor, index: list[int]) -> None:
        """Add a batch of images, number `index` of the data set."""
        block = [i % self.blocks for i in index]
        sides = [list(dict.fromkeys(layers)) for layers in zip(*self.pairs, strict=True)]
        seen = first.reduce(images, sides[0], lambda layer, a: self._examples(0, layer, a))
        for a in sides[0]:
            self._sum((0, a), (0, a), block, seen[a], seen[a])

        def compare(b: str, activations: Tensor) -> None:
            y = self._examples(1, b, activations)
            self._sum((1, b), (1, b), block, y, y)
            for a, partner in self.pairs:
                if partner == b:
                    self._sum((0, a), (1, b), block, seen[a], y)

        second.reduce(images, sides[1], compare)

    def _examples(self, side: int, layer: str, activations: Tensor) -> Tensor:
        """Return (B, n, C + 2) float64: each image's examples x as (x, 1, |x|²).

        x is taken from the first example ever seen. All measures ignore the shift; it keeps
        rounding small, and makes a constant unit exactly 0.
        """
        x = activations.flatten(2).mT.double()
        if self.examples == "images":
            x = x.mean(1, keepdim=True)
        x = x - self.origin.setdefault((side, layer), x[0, 0].clone())
        return _extended(x)

    def _sum(self, a: tuple, b: tuple, block: list[int], x: Tensor, y: Tensor) -> None:
        if x.shape[1] != y.shape[1]:
            raise ValueError(
                f"layers {a[1]} and {b[1]} have {x.shape[1]} and {y.shape[1]} positions an image; "
                "compare them with examples='images'"
            )
        if (a, b) not in self.sums:
            self.sums[a, b] = x.new_zeros(self.blocks, x.shape[2], y.shape[2])
        for k, of_x, of_y in zip(block, x, y, strict=True):
            self.sums[a, b][k].addmm_(of_x.mT, of_y)

    def result(self) -> Similarity:
        """Return all measures of all pairs, with their jackknife intervals."""
        rows, units = [], {}
        for a, b in self.pairs:
            keys = [((0, a), (1, b)), ((0, a), (0, a)), ((1, b), (1, b))]
            parts = [self.sums[key] for key in keys]
            sums = [part.sum(0) for part in parts]
            matched = a == b and sums[0].shape[0] == sums[0].shape[1]
            value = measured(sums, matched)
            left = [
                measured([part[:k].sum(0) + part[k + 1 :].sum(0) for part in parts], matched)
                for k in range(self.blocks)  # not a difference: zeros stay exactly zero
            ]
            low, high = jackknife(value, torch.stack(left))
            columns = zip(MEASURES, *(v.tolist() for v in (value, low, high)), strict=False)
            rows += [(a, b, *column) for column in columns]
            if matched:
                units[a] = correlations(*sums).cpu()
        columns = ["first", "second", "measure", "value", "low", "high"]
        return Similarity(pd.DataFrame(rows, columns=columns), units)


def measured(sums: Sequence[Tensor], matched: bool) -> Tensor:
    """Return (3,) of `MEASURES`, or the first two unless units are `matched`; from three sums."""
    xy, xx, yy = sums
    found = [cka(h(xy), h(xx), h(yy)) for h in (hsic, hsic_unbiased)]
    found += [correlations(xy, xx, yy).nanmean()] if matched else []
    return torch.stack(found).cpu()


def cka(xy: Tensor, xx: Tensor, yy: Tensor) -> Tensor:
    """Return CKA from three HSIC; NaN where features do not vary."""
    scale = xx.clamp(min=0).sqrt() * yy.clamp(min=0).sqrt()
    return torch.where(scale > 0, xy / scale, torch.nan)


def hsic(sums: Tensor) -> Tensor:
    """Return the plain HSIC with linear kernels, from summed (x, 1, |x|²)(y, 1, |y|²)ᵀ."""
    n = sums[-2, -2]
    return (covariation(sums) / (n - 1)).square().sum()


def hsic_unbiased(sums: Tensor) -> Tensor:
    """Return HSIC₁ with linear kernels, from the same sums; NaN for fewer than 4 examples."""
    n, xy, x, y = sums[-2, -2], sums[:-2, :-2], sums[:-2, -2], sums[-2, :-2]
    xb, ay, a, b, ab = sums[:-2, -1], sums[-1, :-2], sums[-1, -2], sums[-2, -1], sums[-1, -1]
    trace = xy.square().sum() - ab
    of_x, of_y = x @ x - a, y @ y - b
    across = x @ xy @ y - x @ xb - y @ ay + ab
    found = trace + of_x * of_y / ((n - 1) * (n - 2)) - 2 * across / (n - 2)
    return torch.where(n > 3, found / (n * (n - 3)), torch.nan)


def covariation(sums: Tensor) -> Tensor:
    """Return XᵀY (C, C') of centred features, from the same sums."""
    return sums[:-2, :-2] - torch.outer(sums[:-2, -2], sums[-2, :-2]) / sums[-2, -2]


def correlations(xy: Tensor, xx: Tensor, yy: Tensor) -> Tensor:
    """Return (C,): Pearson's r of each unit with its namesake; NaN for a constant one."""
    together, of_x, of_y = (covariation(sums).diagonal() for sums in (xy, xx, yy))
    scale = of_x.clamp(min=0).sqrt() * of_y.clamp(min=0).sqrt()
    return torch.where(scale > 0, together / scale, torch.nan).clamp(-1, 1)
