"""Dissection: what single units respond to, for any set of layers in one pass over the images."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import pandas as pd
import torch
from torch import Tensor

from .. import cache
from ..datasets import SaliencyDataset
from ..metrics.upsampling import Size
from ..registry import check_name
from .region_nss import region_scores
from .result import Dissection
from .significance import Null
from .stream import RegionBatch, Stimulus, key_of, streamed

T = TypeVar("T")


class Reducing(Protocol):
    """What `dissect` needs of an encoder."""

    layers: list[str]

    def reduce(
        self, images: Tensor, layers: Sequence[str], reducer: Callable[[str, Tensor], T]
    ) -> dict[str, T]:
        """Call `reducer(layer, activation (B, C, h, w))` at each layer; return its answers."""


def dissect(
    enc: Reducing,
    ds: SaliencyDataset,
    layers: Sequence[str] | None = None,
    *,
    size: Size | None = None,
    batch: int = 16,
    permutations: int = 0,
    seed: int = 0,
    progress: bool = True,
    device: str | torch.device | None = None,
) -> Dissection:
    """Score every unit of `layers` (None: all) in every annotated region of `ds`.

    A score is the region NSS (see `region_nss`) on maps upsampled to the image as it was shown;
    the fixations of a region are those inside its polygon or mask. The network sees the images at
    `size` (height, width), None for their own. One streamed pass: maps are reduced where they
    arise, and only the scores are kept, so memory does not grow with the images' number.

    `permutations` > 0 adds p-values (see `significance`), seeded by `seed`; they cost memory of
    permutations × categories × units × 4 bytes. `device`: None for where the encoder is. The
    encoder runs in evaluation mode and is left in the mode it was in. Raises UnknownNameError for
    a layer that is not there, ValueError for data without annotated regions or `batch` < 1.
    """
    if permutations < 0:
        raise ValueError(f"permutations is {permutations}; it must be at least 0")
    layers = list(dict.fromkeys(enc.layers if layers is None else layers))
    for layer in layers:
        check_name("layer", layer, enc.layers)
    run = Pass(layers, ds.categories, Null(permutations, len(ds.categories), seed))
    return run.over(enc, ds, size=size, batch=batch, progress=progress, device=device)


def dissect_cached(
    enc: Reducing, ds: SaliencyDataset, layers: Sequence[str] | None = None, **settings: object
) -> Dissection:
    """`dissect`, read from the cache if the same was computed before.

    The key holds the encoder's and the data set's fingerprints, the settings and the code.
    """
    layers = list(enc.layers if layers is None else layers)
    key = key_of([enc], ds, layers=layers, **settings)
    entry = cache.cached("dissection", key, lambda: dissect(enc, ds, layers, **settings).to_entry())
    return Dissection.from_entry(entry)


class Pass:
    """What is gathered while the images stream by; `scores_of` says what is scored."""

    doing = "dissecting"

    def __init__(self, layers: list[str], categories: Sequence[str], null: Null | None = None):
        self.layers, self.categories = layers, tuple(categories)
        self.null = null or Null(0, len(self.categories))
        self.rows: list[tuple] = []
        self.scores: dict[str, list[Tensor]] = {layer: [] for layer in layers}

    def over(self, net: object, ds: SaliencyDataset, **how: object) -> Dissection:
        """Stream `ds` through `net` and return the scores; `how`: see `passes.streamed`."""
        with streamed([net], ds, self.doing, **how) as batches:
            for stimuli, images in batches:
                self.add(net, stimuli, images)
        return self.result(ds.name)

    def add(self, net: object, stimuli: list[Stimulus], images: Tensor) -> None:
        """Run one batch of equal-sized stimuli through the network and keep its scores."""
        regions = RegionBatch(stimuli, images.device)
        rows = [
            (s.index, s.name, category, sure, len(x))
            for s in stimuli
            for category, sure, (x, _) in zip(s.categories, s.sure, s.fixated, strict=True)
        ]
        for row in rows:
            check_name("region category", row[2], self.categories)
        self.rows += rows
        if not rows:
            return
        code = [self.categories.index(row[2]) for row in rows]
        for layer, scores in self.scores_of(net, images, regions, code).items():
            self.scores[layer].append(scores.float().cpu())

    def scores_of(
        self, enc: Reducing, images: Tensor, regions: RegionBatch, category: list[int]
    ) -> dict[str, Tensor]:
        """Return `{layer: (R, C)}`, region NSS of a batch's regions, each of a `category`."""
        if not self.null.permutations:
            return enc.reduce(images, self.layers, own_scores(regions))
        self.null.shuffle(len(images))
        return enc.reduce(images, self.layers, self._shuffled(regions, category))

    def _shuffled(
        self, regions: RegionBatch, category: list[int]
    ) -> Callable[[str, Tensor], Tensor]:
        """Return a reducer that scores all regions on all images, and shuffles them."""

        def reduce(layer: str, activations: Tensor) -> Tensor:
            weights = regions.weights(tuple(activations.shape[-2:]))
            scores = region_scores(activations, weights[None], regions.sizes)
            self.null.add(layer, scores, regions.owner, category, regions.counts > 0)
            return scores[regions.owner, torch.arange(len(regions.owner))]

        return reduce

    def result(self, name: str) -> Dissection:
        """Return the scores, regions in the data set's order."""
        if not self.rows:
            raise ValueError(f"data set {name!r} has no annotated regions; dissection needs them")
        table = pd.DataFrame(self.rows, columns=["index", "image", "category", "sure", "fixations"])
        order = torch.tensor(table["index"].argsort(kind="stable").tolist())
        regions = table.iloc[order.numpy()].drop(columns="index").reset_index(drop=True)
        scores = {k: torch.cat(v)[order] for k, v in self.scores.items()}
        p = {k: self.null.p_values(k) for k in self.null.null}
        return Dissection(scores, regions, self.categories, self.null.permutations, p)


def own_scores(regions: RegionBatch) -> Callable[[str, Tensor], Tensor]:
    """Return a reducer: activations (B, C, h, w) -> region NSS (R, C) of a batch's regions."""

    def reduce(layer: str, activations: Tensor) -> Tensor:
        weights, place = regions.table(tuple(activations.shape[-2:]))
        return region_scores(activations, weights, regions.sizes)[regions.owner, place]

    return reduce
