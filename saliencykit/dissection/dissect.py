"""Dissection: what single units respond to, for any set of layers in one pass over the images."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from .. import cache
from ..datasets import SaliencyDataset
from ..metrics.bilinear import Size
from ..registry import check_name
from .region_nss import region_scores
from .result import Dissection
from .significance import Null
from .stream import RegionBatch, Stimulus, in_batches, prefetch

T = TypeVar("T")
ROOMS = ("dissection", "models", "datasets", "metrics")


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
    if batch < 1 or permutations < 0:
        raise ValueError(
            f"batch is {batch}, at least 1; permutations is {permutations}, at least 0"
        )
    layers = list(dict.fromkeys(enc.layers if layers is None else layers))
    for layer in layers:
        check_name("layer", layer, enc.layers)
    device = _place(enc, device)
    run = _Pass(layers, ds.categories, Null(permutations, len(ds.categories), seed))
    with (
        torch.inference_mode(),
        _evaluating(enc),
        tqdm(total=len(ds), desc="dissecting", unit="image", disable=not progress) as bar,
    ):
        for stimuli in in_batches(prefetch(ds, size, ahead=batch), batch):
            run.add(enc, stimuli, device)
            bar.update(len(stimuli))
    return run.result(ds.name)


def dissect_cached(
    enc: Reducing, ds: SaliencyDataset, layers: Sequence[str] | None = None, **settings: object
) -> Dissection:
    """`dissect`, read from the cache if the same was computed before.

    The key holds the encoder's and the data set's fingerprints, the settings and the code.
    """
    layers = list(enc.layers if layers is None else layers)
    shown = ("progress", "device")  # what does not change the result
    key = {
        "code": cache.code_version(*ROOMS),
        "encoder": enc.fingerprint,
        "data": ds.fingerprint,
        "layers": layers,
        "settings": {k: v for k, v in settings.items() if k not in shown},
    }
    entry = cache.cached("dissection", key, lambda: dissect(enc, ds, layers, **settings).to_entry())
    return Dissection.from_entry(entry)


class _Pass:
    """What is gathered while the images stream by."""

    def __init__(self, layers: list[str], categories: Sequence[str], null: Null):
        self.layers, self.categories, self.null = layers, tuple(categories), null
        self.rows: list[tuple] = []
        self.scores: dict[str, list[Tensor]] = {layer: [] for layer in layers}

    def add(self, enc: Reducing, stimuli: list[Stimulus], device: torch.device) -> None:
        """Run one batch of equal-sized stimuli through the network and keep its scores."""
        regions = RegionBatch(stimuli, device)
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
        if self.null.permutations:
            self.null.shuffle(len(stimuli))
            reducer = self._shuffled(regions, [self.categories.index(row[2]) for row in rows])
        else:
            reducer = own_scores(regions)
        images = torch.stack([s.image for s in stimuli]).to(device)
        for layer, scores in enc.reduce(images, self.layers, reducer).items():
            self.scores[layer].append(scores.float().cpu())

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


def _place(enc: Reducing, device: str | torch.device | None) -> torch.device:
    """Move the encoder to `device`, or say where it is."""
    if not isinstance(enc, nn.Module):
        return torch.device(device or "cpu")
    if device is not None:
        enc.to(device)
    first = next(enc.parameters(), None)
    return torch.device(device or "cpu") if first is None else first.device


@contextmanager
def _evaluating(enc: Reducing) -> Iterator[None]:
    """Evaluation mode inside (batch norm must neither mix images nor learn), the old one after."""
    modules = enc.modules() if isinstance(enc, nn.Module) else ()
    training = [module for module in modules if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
