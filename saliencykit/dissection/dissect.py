"""Dissection: what single units respond to, for any set of layers in one pass over the images."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

import pandas as pd
import torch
from torch import Tensor

from .. import cache
from ..datasets import SaliencyDataset
from ..datasets.types import WEIGHTS
from ..metrics.upsampling import Size, size_of
from ..registry import check_name
from .region_nss import region_scores
from .result import Dissection
from .significance import Null
from .stream import Batches, RegionBatch, Stimulus, streamed

T = TypeVar("T")


class Reducing(Protocol):
    """What `dissect` needs of an encoder."""

    @property
    def layers(self) -> Sequence[str]:
        """Names of what can be reduced."""
        ...

    def reduce(
        self, images: Tensor, layers: Sequence[str], reducer: Callable[[str, Tensor], T]
    ) -> dict[str, T]:
        """Call `reducer(layer, activation (B, C, h, w))` at each layer; return its answers."""
        ...


def dissect(
    enc: Reducing,
    ds: SaliencyDataset,
    layers: Sequence[str] | None = None,
    *,
    size: Size | None = None,
    weights: str | None = None,
    batch: int = 16,
    permutations: int = 0,
    seed: int = 0,
    progress: bool = True,
    device: str | torch.device | None = None,
) -> Dissection:
    """Score every unit of `layers` (None: all) in every annotated region of `ds`.

    A score is the region NSS (see `region_nss`) on maps upsampled to the image as it was shown;
    the fixations of a region are those inside its polygon or mask. The network sees the images at
    `size` (height, width), None for their own. `weights` "duration": fixations weigh by how long
    they lasted (NaN, unknown: as the mean of their image; 0: not at all). One streamed pass: maps
    are reduced where they arise, and only the scores are kept, 4 bytes a region and unit (at the
    end twice that); `Sharded` keeps them out of memory, for thousands of images.

    `permutations` > 0 adds p-values (see `significance`), seeded by `seed`; they cost memory of
    permutations × categories × units × 4 bytes. `device`: None for where the encoder is, or,
    where that is the processor, for the first GPU, if there is one; the encoder stays there. It
    runs in evaluation mode and is left in the mode it was in. Raises UnknownNameError for a layer
    that is not there, ValueError for data without annotated regions, without durations that are to
    weigh, or `batch` < 1.
    """
    if permutations < 0:
        raise ValueError(f"permutations is {permutations}; it must be at least 0")
    if weights is not None:
        check_name("what fixations weigh by", weights, WEIGHTS)
    layers = list(dict.fromkeys(enc.layers if layers is None else layers))
    for layer in layers:
        check_name("layer", layer, enc.layers)
    run = _Units(enc, layers, ds.categories, Null(permutations, len(ds.categories), seed))
    with streamed(
        [enc],
        ds,
        "dissecting",
        size=size,
        batch=batch,
        progress=progress,
        device=device,
        weights=weights,
    ) as batches:
        found = run.gathered(ds.name, batches)
    p = {layer: run.null.p_values(layer) for layer in run.null.null}
    return replace(found, permutations=permutations, p=p)


dissect_cached = cache.remembered("dissection", dissect, Dissection.to_entry, Dissection.from_entry)


class Pass:
    """What is gathered while the images stream by; a subclass says how regions are scored."""

    def __init__(self, layers: Sequence[str], categories: Sequence[str]):
        self.layers, self.categories = list(layers), tuple(categories)
        self.rows: list[tuple] = []
        self.scores: dict[str, list[Tensor]] = {layer: [] for layer in layers}

    def scores_of(
        self, images: Tensor, regions: RegionBatch, category: list[int]
    ) -> dict[str, Tensor]:
        """Return `{layer: (R, C)}`, scores of a batch's fixated regions, each of a `category`."""
        raise NotImplementedError

    def gathered(self, name: str, batches: Batches) -> Dissection:
        """Return the scores of the data set `name` that streams by."""
        for stimuli, images in batches:
            self.add(stimuli, images)
        return self.result(name)

    def add(self, stimuli: list[Stimulus], images: Tensor) -> None:
        """Score one batch of equal-sized stimuli and keep the scores."""
        regions = RegionBatch(stimuli, images.device)
        rows = [
            (s.index, s.name, category, sure, len(x))
            for s in stimuli
            for category, sure, (x, *_) in zip(s.categories, s.sure, s.fixated, strict=True)
        ]
        for row in rows:
            check_name("region category", row[2], self.categories)
        self.rows += rows
        if not rows:
            return
        looked = zip(rows, regions.fixated, strict=True)
        code = [self.categories.index(row[2]) for row, fixated in looked if fixated]
        for layer, scores in self.scores_of(images, regions, code).items():
            every = torch.full((len(rows), scores.shape[1]), torch.nan)
            every[torch.tensor(regions.fixated)] = scores.float().cpu()
            self.scores[layer].append(every)

    def result(self, name: str) -> Dissection:
        """Return the scores, regions in the data set's order."""
        if not self.rows:
            raise ValueError(f"data set {name!r} has no annotated regions; dissection needs them")
        table = pd.DataFrame(self.rows, columns=["index", "image", "category", "sure", "fixations"])
        order = torch.tensor(table["index"].argsort(kind="stable").tolist())
        regions = table.iloc[order.numpy()].drop(columns="index").reset_index(drop=True)
        scores = {k: torch.cat(v)[order] for k, v in self.scores.items()}
        return Dissection(scores, regions, self.categories)


class _Units(Pass):
    def __init__(self, enc: Reducing, layers: Sequence[str], categories: Sequence[str], null: Null):
        super().__init__(layers, categories)
        self.enc, self.null = enc, null

    def scores_of(
        self, images: Tensor, regions: RegionBatch, category: list[int]
    ) -> dict[str, Tensor]:
        """Return region NSS, and lay the regions over other images of the batch."""
        if not self.null.permutations:
            return self.enc.reduce(images, self.layers, own_scores(regions))
        self.null.shuffle(len(images))
        return self.enc.reduce(images, self.layers, self._shuffled(regions, category))

    def _shuffled(
        self, regions: RegionBatch, category: list[int]
    ) -> Callable[[str, Tensor], Tensor]:
        """Return a reducer that scores all regions on all images, and shuffles them."""

        def reduce(layer: str, activations: Tensor) -> Tensor:
            weights = regions.weights(size_of(activations))
            scores = region_scores(activations, weights[None], regions.sizes)
            self.null.add(layer, scores, regions.owner, category, regions.counts > 0)
            return scores[regions.owner, torch.arange(len(regions.owner))]

        return reduce


def own_scores(regions: RegionBatch) -> Callable[[str, Tensor], Tensor]:
    """Return a reducer: activations (B, C, h, w) -> region NSS (R, C) of a batch's regions."""

    def reduce(layer: str, activations: Tensor) -> Tensor:
        weights, place = regions.table(size_of(activations))
        return region_scores(activations, weights, regions.sizes)[regions.owner, place]

    return reduce
