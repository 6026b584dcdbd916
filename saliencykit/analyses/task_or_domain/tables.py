"""How far several tasks move one network's representations, and where to: domain, task or luck.

How far: similarity to the network as it was (`drift`). Where to: the change d_k of selectivities
that task k brings to a layer, at one of two `LEVELS`:

- "units": S_k − S_0 itself, over units × categories. It asks whether the *same units* change.
- "categories": the change of S Sᵀ / units, over categories × categories: on the diagonal how
  strongly the layer responds to a category, off it how much two categories drive the same units.
  No matter which unit does what (as in linear CKA, nor which rotation of them): it asks whether
  the *layer as a whole* changes in the same way.

How much of what task k changed did another training change as well?

    share(k, j) = d_k·d_j / |d_k|²

1 if j went as far along d_k as k did, 0 if what it did is unrelated, below 0 if it went the other
way, above 1 if further. What the images alone bring, whatever is learned from them, is brought by
all tasks; so "the other tasks", j their mean, is the share of the domain: if every d_k is a common
part plus a part of its own, and these are orthogonal, it is the common part's share of |d_k|². What
is left is not yet the task's: "again" is a second training for the same task, from another seed.
What the task brings comes again; the rest is luck.

Selectivities are means over few images, and their noise would count as change. So images are dealt
into quarters at random, and each product takes its first factor from two of them and its second
from the other two (S Sᵀ one S from each): noise of disjoint images is independent, so products, and
squared lengths as well, are unbiased (the cross-validated distances of Walther et al., NeuroImage
2016). Averaged over `SPLITS` dealings. A share is a ratio of such products, NaN if |d_k|² comes out
as not positive. Intervals are bootstrap ones: images are drawn anew within each quarter.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ...datasets import SaliencyDataset
from ...dissection.dissect import Reducing
from ...dissection.report import gain
from ...dissection.result import Dissection
from ...dissection.similarity import similarity_cached
from ...dissection.top_units import CHUNK, MIN_IMAGES, SPLITS, ImageSums
from ...intervals import bounds, image_weights, wilson, with_own
from ...models.tasks import Classification, Task
from ...registry import check_name

LEVELS = ("units", "categories")
OTHERS, AGAIN = "the other tasks", "again"


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


def shares(
    before: Dissection,
    after: Mapping[str, Dissection],
    layers: Sequence[str],
    again: Mapping[str, Dissection] | None = None,
    n: int = 500,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how much of each task's change other trainings bring as well, see above.

    again: second trainings of some of the tasks. Columns: layer, level, task, other (a task,
    `OTHERS` or `AGAIN`), share, low, high, and size: the root of task's mean squared change at that
    level, noise removed. NaN where nothing can be told. Raises ValueError unless all networks saw
    the same regions.
    """
    again = dict(again or {})
    rows = []
    for layer in layers:
        both = products(before, [*after.values(), *again.values()], layer, n, seed)
        for level, found in both.items():
            for k, task in enumerate(after):
                size = found.value[k, k].sqrt().item()
                for other, weights in compared(task, list(after), list(again)).items():
                    rows.append((layer, level, task, other, *found.share(k, weights), size))
    columns = ["layer", "level", "task", "other", "share", "low", "high", "size"]
    return pd.DataFrame(rows, columns=columns)


def compared(task: str, tasks: list[str], again: list[str]) -> dict[str, Tensor]:
    """Return what the change by `task` is compared with, as weights (K,) of all trainings."""
    for name in again:
        check_name("task", name, tasks)
    rows = torch.eye(len(tasks) + len(again), dtype=torch.float64)
    others = {name: row for name, row in zip(tasks, rows, strict=False) if name != task}
    found = {**others, OTHERS: torch.stack(list(others.values())).mean(0)}
    return found | ({AGAIN: rows[len(tasks) + again.index(task)]} if task in again else {})


@dataclass(frozen=True)
class Products:
    """Products of changes with each other: `value` (K, K), of resampled images `draws` (n, K, K).

    Means over the entries of the vectors, so that the diagonal holds mean squared changes; float64.
    """

    value: Tensor
    draws: Tensor

    def share(self, k: int, weights: Tensor) -> tuple[float, float, float]:
        """Return, with its interval, how much of change k the weighted sum of changes brings."""
        value, draws = (
            (of[..., k, :] @ weights / of[..., k, k]).masked_fill(of[..., k, k] <= 0, torch.nan)
            for of in (self.value, self.draws)
        )
        return value.item(), *(end.item() for end in bounds(draws))


def products(
    before: Dissection, after: Sequence[Dissection], layer: str, n: int = 500, seed: int = 0
) -> dict[str, Products]:
    """Return, by level, the products of the changes from `before` to each of `after`, at `layer`.

    Categories on fewer than 2 `MIN_IMAGES` images are left out: quarters need some each.
    """
    if any(not before.regions.equals(found.regions) for found in after):
        raise ValueError("all networks must be dissected on the same regions of one data set")
    sums = [ImageSums.of(found, layer) for found in (before, *after)]
    images = len(sums[0].images)
    told = ((sums[0].count > 0).sum(1) >= 2 * MIN_IMAGES).nonzero()[:, 0].tolist()
    if not told:
        nothing = torch.full((1 + n, len(after), len(after)), torch.nan, dtype=torch.float64)
        return {level: Products(nothing[0], nothing[1:]) for level in LEVELS}
    weights = with_own(image_weights(images, n, seed))
    rows = max(1, CHUNK // (len(sums) * len(told) * sums[0].total.shape[2]))
    found = [
        torch.cat([across(sums, told, part, quarters) for part in weights.split(rows)], 1)
        for quarters in dealings(images, seed)
    ]
    mean = torch.stack(found).nanmean(0).double()
    return {level: Products(m[0], m[1:]) for level, m in zip(LEVELS, mean, strict=True)}


def dealings(images: int, seed: int) -> Iterator[Tensor]:
    """Yield `SPLITS` times (4, images) of 0 and 1: which quarter each image is in."""
    random = torch.Generator().manual_seed(seed)
    for _ in range(SPLITS):
        quarter = torch.randperm(images, generator=random) % 4
        yield (quarter == torch.arange(4)[:, None]).float()


def across(
    sums: Sequence[ImageSums], told: Sequence[int], weights: Tensor, quarters: Tensor
) -> Tensor:
    """Return products (levels, n, K, K) of changes: one factor from two quarters, one from two.

    weights: of images (n, I). NaN where a quarter shows no category.
    """
    parts = [selectivities(sums, told, weights * quarter) for quarter in quarters]
    found = []
    for code in (units, categories):
        first, second = code(*parts[:2]), code(*parts[2:])
        shown = ~(first[:, 0] + second[:, 0]).isnan()
        first, second = ((d[:, 1:] - d[:, :1]).nan_to_num(0) for d in (first, second))
        product = first @ second.mT / shown.sum(1)[:, None, None]
        found.append((product + product.mT) / 2)  # both ways round
    return torch.stack(found)


def selectivities(sums: Sequence[ImageSums], told: Sequence[int], weights: Tensor) -> Tensor:
    """Return S (n, networks, categories, C) under weights (n, I); NaN where none weighs."""
    found = []
    for c in told:
        shown = ((sums[0].count[c] > 0) & (weights > 0).any(0)).nonzero()[:, 0]
        total = torch.cat([s.total[c, shown] for s in sums], 1)  # most images lack most categories
        seen = weights[:, shown]
        mean = seen @ total / (seen @ sums[0].count[c, shown])[:, None]
        found.append(mean.view(len(weights), len(sums), -1))
    return torch.stack(found, 2)


def units(a: Tensor, b: Tensor) -> Tensor:
    """Return vectors (n, networks, …): S itself, from S of two disjoint sets of images."""
    return ((a + b) / 2).flatten(2)


def categories(a: Tensor, b: Tensor) -> Tensor:
    """Return vectors (n, networks, …): S Sᵀ / units, one S from each set of images."""
    crossed = a @ b.mT / a.shape[-1]
    return ((crossed + crossed.mT) / 2).flatten(2)


def learning(
    tasks: Sequence[Task], curves: Sequence[pd.DataFrame], validation: SaliencyDataset
) -> pd.DataFrame:
    """Return scores of `tasks` by epoch: task, measure, epoch, train, validation, low, high …

    … chance, images. low, high: Wilson's interval of the validation accuracy, images being
    independent (Agresti & Coull 1998); NaN for NSS. chance: the accuracy of always naming the
    validation images' commonest class; 0 for NSS, a constant map's. images: those behind it.
    """
    parts = [_one(task, curve, validation) for task, curve in zip(tasks, curves, strict=True)]
    return pd.concat(parts, ignore_index=True)


def _one(task: Task, curve: pd.DataFrame, validation: SaliencyDataset) -> pd.DataFrame:
    low = high = np.full(len(curve), np.nan)
    chance, images = 0.0, len(validation)
    if isinstance(task, Classification):
        chance, images = task.chance(validation)
        spans = [wilson(round(score * images), images) for score in curve["validation"]]
        low, high = np.array(spans).T
    columns = {"epoch": curve["epoch"], "train": curve["train"], "validation": curve["validation"]}
    about = {"low": low, "high": high, "chance": chance, "images": images}
    return pd.DataFrame({"task": task.name, "measure": task.measure, **columns, **about})
