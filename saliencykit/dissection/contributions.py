"""What each unit adds to a model's map where people look: exact, because the readout is linear.

The map is M = Σ wᵤ Aᵤ, over units u of all layers read, each Aᵤ upsampled. Its region NSS is
(mean of M at the fixations − mean of M) / std of M: linear in M but for the divisor, which all
units share. So unit u contributes wᵤ (mean of Aᵤ at the fixations − mean of Aᵤ) / std of M, in
standard deviations of the map, and the contributions sum to the map's region NSS.

Unlike an ablation, this counts only what a unit says to the readout itself, not what later layers
make of it.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from .. import cache
from ..datasets import SaliencyDataset
from ..metrics.upsampling import Size, divisor, mean_weights, moments, size_of, upsampler
from ..models.saliency import SaliencyModel
from .dissect import Pass
from .readout_maps import MAP
from .result import Dissection
from .stream import RegionBatch, streamed


def contributions(
    model: SaliencyModel,
    ds: SaliencyDataset,
    *,
    size: Size | None = None,
    batch: int = 16,
    progress: bool = True,
    device: str | torch.device | None = None,
) -> Dissection:
    """Return what every unit that `model` reads contributes to its map in every region of `ds`.

    `scores[layer]` (R, C): summed over layers and units, they are the region NSS of the model's
    map, upsampled to the image as it was shown (NaN in regions without fixations; all 0 where the
    map is constant). As a `Dissection`, it has means by category (`selectivity`) and intervals
    (`bootstrap`). One streamed pass, images at `size` (None: their own). Raises ValueError for
    data without annotated regions.
    """
    run = _Contributions(model, ds.categories)
    with streamed(
        [model], ds, "reading units", size=size, batch=batch, progress=progress, device=device
    ) as batches:
        return run.gathered(ds.name, batches)


contributions_cached = cache.remembered(
    "contributions", contributions, Dissection.to_entry, Dissection.from_entry
)


def map_parts(found: Dissection) -> Dissection:
    """Return what `contributions` found as the region NSS of the map, and its split over layers.

    Layers of one unit each: "map" (R, 1), then every layer read, whose parts sum to the map's.
    """
    parts = {layer: scores.double().sum(1, keepdim=True) for layer, scores in found.scores.items()}
    whole = torch.stack(list(parts.values())).sum(0)
    return replace(found, scores={k: v.float() for k, v in {MAP: whole, **parts}.items()})


class _Contributions(Pass):
    def __init__(self, model: SaliencyModel, categories: Sequence[str]):
        super().__init__(model.layers, categories)
        self.model = model

    def scores_of(
        self, images: Tensor, regions: RegionBatch, category: list[int]
    ) -> dict[str, Tensor]:
        """Return contributions."""
        seen = self.model.encoder.activations(images, self.layers)
        probe, place = regional_probe(self.model.read(seen).double(), regions)
        found = {}
        for layer, readout in zip(self.layers, self.model.readouts, strict=True):
            own = pulled_to(probe, size_of(seen[layer])).flatten(2)
            scores = (
                own @ seen[layer].double().flatten(2).mT * readout.get_parameter("weight").flatten()
            )
            found[layer] = scores[regions.owner, place]
        return found


def regional_probe(maps: Tensor, regions: RegionBatch) -> tuple[Tensor, Tensor]:
    """Return (B, n, h, w), whose product with the maps (B, h, w) is their region NSS.

    Also each region's place (R,) among the n of its image.
    """
    grid = size_of(maps)
    weights, place = regions.table(grid)
    mean = torch.stack([mean_weights(grid, size, maps) for size in regions.sizes])
    pairs = zip(maps, regions.sizes, strict=True)
    std = divisor(torch.stack([moments(own, size)[1] for own, size in pairs]))
    return (weights - mean[:, None]) / std[:, None, None, None], place


def pulled_to(probe: Tensor, inner: Size) -> Tensor:
    """Pull a probe (…, h, w) back to the grid `inner`, whose maps were upsampled to (h, w)."""
    (h, w), (height, width) = inner, probe.shape[-2:]
    return upsampler(h, height).to(probe).mT @ probe @ upsampler(w, width).to(probe)
