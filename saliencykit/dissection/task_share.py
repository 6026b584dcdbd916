"""How far several tasks move one network's representations, and where to: domain or task.

How far: similarity to the network as it was (`drift`). Where to: the change of the units'
selectivities. At a layer, let d_k be the vector of changes S_k − S_0 over units × categories that
task k brings. What the images alone bring is common to all tasks that learn from them; so the
others' mean change, m, stands for the domain, and d_k splits into its projection on m and the rest:

    shared = cos²(d_k, m) = (d_k·m)² / (|d_k|² |m|²)      own = 1 − shared

both shares of |d_k|². With `basis` "span" d_k is projected on all that the others' changes span,
whatever their weights: the most that could be called shared, where "mean" takes equal weights.

Selectivities are means over few images, and the noise of every d_k would count as its own part.
Hence every product is taken across halves of the images, d_k from the one and d_j from the other,
averaged over both ways round and over random halvings: noise of disjoint images is independent, so
that products, and squared lengths as well, are unbiased (the cross-validated distances of Walther
et al., NeuroImage 2016). A share is a ratio of them: it may leave [0, 1] where little changed, and
is NaN where a squared length is not positive.

Noise that is not of images stays: each network is trained once, and what its seed alone would have
brought counts as its own part. So the shared part is, if anything, understated.

Intervals are bootstrap ones over images: drawn within each half, so that no image is in both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from ..datasets import SaliencyDataset
from ..registry import check_name
from .dissect import Reducing
from .report import gain
from .result import Dissection
from .similarity import similarity_cached
from .statistics import MIN_IMAGES, ImageSums, bounds, image_folds, image_weights

BASES = ("mean", "span")


def drift(
    before: Reducing,
    after: Mapping[str, Reducing],
    ds: SaliencyDataset,
    layers: Sequence[str] | None = None,
    **how: object,
) -> pd.DataFrame:
    """Return how similar each task's network is to the one before: task, layer, measure, value …

    … low, high. Measures are those of `similarity.Similarity`; `how`: its settings.
    """
    parts = [
        similarity_cached(before, encoder, ds, layers=layers, **how).table.assign(task=task)
        for task, encoder in after.items()
    ]
    table = pd.concat(parts, ignore_index=True).rename(columns={"first": "layer"})
    return table[["task", "layer", "measure", "value", "low", "high"]]


def gains(
    before: Dissection,
    after: Mapping[str, Dissection],
    layers: Sequence[str],
    k: int = 10,
    **how: object,
) -> pd.DataFrame:
    """Return `report.gain` of each task: task, layer, category, before, after, difference …"""
    parts = [gain(before, found, layers, k, **how).assign(task=t) for t, found in after.items()]
    table = pd.concat(parts, ignore_index=True)
    first = ["task", "layer", "category"]
    return table[[*first, *table.columns.drop(first)]]


@dataclass(frozen=True)
class Products:
    """Inner products of the tasks' changes at a layer: `value` (K, K), resampled `draws` (n, K, K).

    Means over units × categories, so that the diagonal holds mean squared changes of selectivity.
    Unbiased, so these may be negative.
    """

    tasks: tuple[str, ...]
    value: Tensor
    draws: Tensor

    def shared(self, task: str, basis: str = "mean") -> tuple[float, float, float]:
        """Return which share of the change by `task` lies along the others', and its interval."""
        check_name("basis", basis, BASES)
        k = self.tasks.index(check_name("task", task, self.tasks))
        others = torch.eye(len(self.tasks))[[j for j in range(len(self.tasks)) if j != k]]
        spanning = others.mean(0, keepdim=True) if basis == "mean" else others
        low, high = bounds(explained(self.draws, k, spanning))
        return explained(self.value, k, spanning).item(), low.item(), high.item()

    def size(self, task: str) -> float:
        """Return the root mean square change by `task`, in region NSS; NaN where none is left."""
        k = self.tasks.index(check_name("task", task, self.tasks))
        return self.value[k, k].sqrt().item()


def explained(products: Tensor, k: int, spanning: Tensor) -> Tensor:
    """Return the share (…) of vector k's squared length that lies in a span.

    products: (…, K, K) of all vectors with each other; spanning: (m, K), the vectors that span, as
    sums of these. NaN unless their own products are positive definite and vector k has a length.
    """
    spanning = spanning.to(products)
    within = spanning @ products @ spanning.mT
    along = spanning @ products[..., k, None]
    factor, failed = torch.linalg.cholesky_ex(within)
    length = products[..., k, k]
    share = (along * torch.cholesky_solve(along, factor)).sum((-2, -1)) / length
    return share.masked_fill((failed != 0) | (length <= 0), torch.nan)


def products(
    before: Dissection, after: Mapping[str, Dissection], layer: str, n: int = 1000, seed: int = 0
) -> Products:
    """Return the products of the changes that the tasks in `after` bring to `layer`, see above.

    Categories weigh alike, however many regions they have; those on fewer than `MIN_IMAGES` images
    are left out. Raises ValueError unless all networks saw the same regions, or if no category is
    left.
    """
    if any(not before.regions.equals(found.regions) for found in after.values()):
        raise ValueError("all networks must be dissected on the same regions of one data set")
    old, *new = (ImageSums.of(found, layer) for found in (before, *after.values()))
    weights = torch.cat([torch.ones(1, len(old.images)), image_weights(len(old.images), n, seed)])
    halves = [half for half, _ in image_folds(len(old.images), "crossfit", seed)][::2]
    told = [c for c, count in enumerate(old.count) if (count > 0).sum() >= MIN_IMAGES]
    if not told:
        raise ValueError(f"no category was fixated on {MIN_IMAGES} images or more")
    parts = [across_halves(old, new, c, weights, halves) for c in told]
    found = torch.stack(parts).nansum(0).double() / (len(told) * old.total.shape[2])
    return Products(tuple(after), found[0], found[1:])


def across_halves(
    old: ImageSums, new: Sequence[ImageSums], c: int, weights: Tensor, halves: Sequence[Tensor]
) -> Tensor:
    """Return products (n, K, K), summed over units, of the changes in category `c`.

    One factor from each half, averaged over halvings; NaN where every one leaves a half without c.
    """
    shown = old.count[c] > 0
    count, weights = old.count[c, shown], weights[:, shown]
    changed = torch.stack([sums.total[c, shown] - old.total[c, shown] for sums in new])
    found = []
    for half in halves:
        parts = (weights * half[shown], weights * (1 - half[shown]))
        a, b = (w @ changed / (w @ count)[:, None] for w in parts)
        product = torch.einsum("knu,jnu->nkj", a, b)
        found.append((product + product.mT) / 2)  # both ways round
    return torch.stack(found).nanmean(0)


def shares(
    before: Dissection,
    after: Mapping[str, Dissection],
    layers: Sequence[str],
    bases: Sequence[str] = BASES,
    **how: int,
) -> pd.DataFrame:
    """Return which share of each task's change it shares with the others, by layer.

    Columns: layer, task, basis, shared, low, high, and size (see `Products`); `how`: n, seed.
    """
    rows = []
    for layer in layers:
        found = products(before, after, layer, **how)
        rows += [
            (layer, task, basis, *found.shared(task, basis), found.size(task))
            for task in found.tasks
            for basis in bases
        ]
    columns = ["layer", "task", "basis", "shared", "low", "high", "size"]
    return pd.DataFrame(rows, columns=columns)
