"""Dissection of many images: computed, kept and merged a batch at a time, on several machines.

`dissect` keeps 4 bytes a unit of every region: of all 4,224 units of VGG-16 17 kB, so of 10,000
photographs with four regions each 0.7 GB, and twice that while it puts them in order. Here each
batch is a cached computation of its own. A run that is killed loses the batch it was at, machines
that see one cache divide the batches among them, and means are summed up as batches are read again,
so that memory does not grow with the number of images.

The last digits of a network's answers hang on which images it is shown together, and those of a sum
on its order. So batches are always those of `dissect`, a shard is nothing but a choice of them, and
they are merged in the order of the images: the same numbers to the last digit, on machines that
compute alike, whatever was divided how.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from .. import cache
from ..datasets import SaliencyDataset
from ..metrics.upsampling import Size
from ..sources import code_of
from .dissect import Reducing, dissect
from .result import Dissection
from .stream import Stimulus, in_batches

KIND = "dissection_batch"
Shard = tuple[int, int]
"""The number of a shard, from 1 on, and how many shards there are."""


class Reduced(Reducing, Protocol):
    """What `Sharded` needs of an encoder."""

    @property
    def fingerprint(self) -> str:
        """Hash of architecture, code and weights."""
        ...


def check_shard(shard: Shard, ds: SaliencyDataset) -> None:
    """Raise ValueError if there is no `shard` of that number, or there are more than images."""
    number, of = shard
    if not 1 <= number <= of:
        there = f"of {of} there are 1/{of} to {of}/{of}" if of > 0 else "there is at least one"
        raise ValueError(f"There is no shard {number}/{of}: {there}.")
    if of > len(ds):
        raise ValueError(
            f"There is no shard {number}/{of} of {ds!r}: nothing is divided into more shards than "
            "it has images."
        )


class Sharded:
    """The dissection of a data set, batch by batch; arguments as of `dissect`.

    `compute` a shard here and another there; `selectivity` and `joined` then read what is in the
    cache and compute what is not. There are no p-values: for those, images are shuffled in one
    pass. What is kept is found by what it is of (encoder, layers, images, regions, size, weights,
    code): shards of other settings cannot come between, and those of any divisions go together.

    Attributes: `batches`, the numbers of the images in each. Raises ValueError for `batch` < 1.
    """

    def __init__(
        self,
        enc: Reduced,
        ds: SaliencyDataset,
        layers: Sequence[str] | None = None,
        *,
        size: Size | None = None,
        weights: str | None = None,
        batch: int = 16,
        progress: bool = True,
        device: str | torch.device | None = None,
    ):
        if batch < 1:
            raise ValueError(f"batch is {batch}; it must be at least 1")
        self.enc, self.ds, self.progress = enc, ds, progress
        self.device = device
        self.how: dict[str, Any] = {
            "layers": list(enc.layers if layers is None else layers),
            "size": size,
            "weights": weights,
        }
        self.batches = _batches(ds, size, batch)
        self._key = {**self.how, "enc": enc.fingerprint, "code": code_of(dissect)}

    def missing(self) -> list[int]:
        """Return which batches of annotated images are not in the cache."""
        parts = enumerate(map(self._part, self.batches))
        return [k for k, part in parts if _annotated(part) and not self._entry(part).exists()]

    def compute(self, shard: Shard = (1, 1)) -> int:
        """Compute those batches of `shard` that are not in the cache; return its number of images.

        Raises as `check_shard` and `dissect`; what was computed before an error stays.
        """
        check_shard(shard, self.ds)
        number, of = shard
        own = range(number - 1, len(self.batches), of)
        images = sum(len(self.batches[k]) for k in own)
        with self._bar(images) as bar:
            for k in own:
                self._found(k)
                bar.update(len(self.batches[k]))
        return images

    def in_order(self) -> Iterator[Dissection]:
        """Yield the scores of a few images at a time, in the data set's order.

        Images of several sizes lie in several batches at once, of which as many are held as
        `in_batches` lets wait. Raises as `dissect`, also for data without annotated regions.
        """
        of = {i: k for k, batch in enumerate(self.batches) for i in batch}
        held: dict[int, Dissection | None] = {}
        annotated = False
        with self._bar(len(self.ds)) as bar:
            for k, run in groupby(range(len(self.ds)), of.__getitem__):
                images = list(run)
                if k not in held:
                    held[k] = self._found(k)
                found = held[k]
                if images[-1] == self.batches[k][-1]:
                    del held[k]
                if found is not None:
                    annotated = True
                    yield found.subset([self.ds.names[i] for i in images])
                bar.update(len(images))
        if not annotated:
            raise ValueError(f"{self.ds!r} has no annotated regions; dissection needs them")

    def selectivity(self) -> dict[str, pd.DataFrame]:
        """Return `{layer: categories × units}`, as `Dissection.selectivity`; memory stays flat."""
        n = len(self.ds.categories)
        sums: dict[str, Tensor] = {}
        counts = torch.zeros(n, dtype=torch.float64)
        for found in self.in_order():
            fixated = torch.tensor((found.regions["fixations"] > 0).tolist(), dtype=torch.bool)
            code = found.codes()[fixated]
            counts += torch.bincount(code, minlength=n)
            for layer, scores in found.scores.items():
                total = sums.setdefault(layer, torch.zeros(n, scores.shape[1]).double())
                total.index_add_(0, code, scores[fixated].double())  # a row after the other
        means = {layer: (total / counts[:, None]).float() for layer, total in sums.items()}
        index = pd.Index(self.ds.categories, name="category")
        return {
            layer: pd.DataFrame(mean.numpy(), index, pd.RangeIndex(mean.shape[1], name="unit"))
            for layer, mean in means.items()
        }

    def joined(self) -> Dissection:
        """Return what `dissect` returns, with every region's scores, which memory must hold."""
        found = list(self.in_order())
        scores = {k: torch.cat([part.scores[k] for part in found]) for k in found[0].scores}
        regions = pd.concat([part.regions for part in found], ignore_index=True)
        return Dissection(scores, regions, tuple(self.ds.categories))

    def _found(self, k: int) -> Dissection | None:
        """Return the scores of batch `k`, computed unless they are there; None without regions."""
        enc, ds = self.enc, self._part(self.batches[k])
        if not _annotated(ds):
            return None

        def compute() -> cache.Entry:
            how = {**self.how, "batch": len(ds), "device": self.device}
            return dissect(enc, ds, **how, progress=False).to_entry()

        return Dissection.from_entry(cache.cached(KIND, self._key_of(ds), compute))

    def _part(self, batch: list[int]) -> SaliencyDataset:
        return self.ds.subset([self.ds.names[i] for i in batch])

    def _key_of(self, part: SaliencyDataset) -> dict[str, Any]:
        return {**self._key, "ds": part.fingerprint}

    def _entry(self, part: SaliencyDataset) -> Path:
        return cache.entry_path(KIND, self._key_of(part))

    def _bar(self, images: int) -> tqdm:
        off = not self.progress
        return tqdm(total=images, desc="dissecting", unit="image", leave=False, disable=off)


def _annotated(part: SaliencyDataset) -> bool:
    return any(part.regions(i) for i in range(len(part)))


def _batches(ds: SaliencyDataset, size: Size | None, batch: int) -> list[list[int]]:
    """Return which images `dissect` shows a network together, planned on pictures of no pixels."""
    shown = (size or ds.size_of(i) for i in range(len(ds)))
    blank = (
        Stimulus(i, "", torch.empty(3, *shape, device="meta"), shape, [], [], [])
        for i, shape in enumerate(shown)
    )
    return [[stimulus.index for stimulus in group] for group in in_batches(blank, batch)]
