"""Network Dissection's measure: where a unit is most active, and the category that lies there.

Bau et al. (CVPR 2017): a unit's map is cut at a threshold T that it exceeds at a share `quantile`
(0.005) of all places of all images, and compared with each category's regions by intersection over
union, summed over the images. It looks at no fixation, and at a unit's strongest responses only;
region NSS is the other way round in both.

Both are put on one grid, 1/8 of the network's input (`STRIDE`) whatever the layer, so that
layers can be compared: maps bilinearly (antialiased where the layer is finer than the grid); masks
as the exact share of each cell that they cover. Intersection and union are then areas, in cells,
of the cut map (constant within a cell) and the full-resolution mask: small regions count with what
they cover instead of being rounded away. Bau et al. threshold the layer's own places and enlarge
the map to the image; here the threshold is over the grid's cells, so that exactly the share
`quantile` is active (fewer if values tie, as those of dead units do).

Annotated regions cover only part of what an image holds (what people looked at, in OSIE), so an
IoU is lower than with exhaustive labels, and Bau's 0.04 for "detector" doesn't carry over.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .. import cache
from ..datasets import Region, SaliencyDataset
from ..metrics.transport import area_weights
from ..metrics.upsampling import Size, size_of
from ..registry import check_name
from .dissect import Reducing
from .stream import Stimulus, streamed

QUANTILE = 0.005
STRIDE = 8


@dataclass(frozen=True)
class Overlap:
    """`iou[layer]` (K, C): IoU of each unit with each category, in [0, 1]; NaN for a category
    without regions. `threshold[layer]` (C,): what a unit must exceed. `categories`: K names.
    """

    iou: dict[str, Tensor]
    threshold: dict[str, Tensor]
    categories: tuple[str, ...]

    def of(self, layer: str) -> pd.DataFrame:
        """Return IoU, categories × units. Raises UnknownNameError naming the layers there are."""
        iou = self.iou[check_name("layer", layer, self.iou)]
        index = pd.Index(self.categories, name="category")
        return pd.DataFrame(iou.numpy(), index, pd.RangeIndex(iou.shape[1], name="unit"))

    def best(self, layer: str) -> pd.DataFrame:
        """Return each unit's label: unit, category, iou; only units that meet any category."""
        table = self.of(layer).dropna(how="all")
        best = pd.DataFrame({"category": table.idxmax(), "iou": table.max()}).reset_index()
        return best.loc[best["iou"] > 0].reset_index(drop=True)

    def to_entry(self) -> cache.Entry:
        """Return what `cache.cached` stores."""
        tensors = {f"iou/{k}": v for k, v in self.iou.items()}
        tensors |= {f"threshold/{k}": v for k, v in self.threshold.items()}
        return cache.Entry(tensors, {"layers": list(self.iou), "categories": self.categories})

    @classmethod
    def from_entry(cls, entry: cache.Entry) -> "Overlap":
        """Rebuild from `to_entry`'s result."""
        iou, threshold = (
            {layer: entry.tensors[f"{kind}/{layer}"] for layer in entry.meta["layers"]}
            for kind in ("iou", "threshold")
        )
        return cls(iou, threshold, tuple(entry.meta["categories"]))


def overlap(
    enc: Reducing,
    ds: SaliencyDataset,
    layers: Sequence[str] | None = None,
    *,
    size: Size,
    quantile: float = QUANTILE,
    batch: int = 16,
    progress: bool = True,
    device: str | torch.device | None = None,
) -> Overlap:
    """Return IoU of every unit of `layers` (None: all) with every category's regions in `ds`.

    The network sees the images at `size`. Two streamed passes: one for the thresholds, one for the
    areas. The thresholds are exact, so the largest values so far are kept: the share `quantile` of
    all activations on the grid × 4 bytes, which grows with the images' number, slowly (23 MB for
    500 images of 300×400 and 1,280 units); nothing else does. Raises UnknownNameError for a layer,
    ValueError for data without annotated regions or a quantile outside (0, 1).
    """
    if not 0 < quantile < 1:
        raise ValueError(f"quantile is {quantile}; it must lie between 0 and 1")
    layers = list(dict.fromkeys(enc.layers if layers is None else layers))
    for layer in layers:
        check_name("layer", layer, enc.layers)
    if not any(ds.regions(i) for i in range(len(ds))):
        raise ValueError(f"data set {ds.name!r} has no annotated regions to overlap with")
    grid = (max(1, size[0] // STRIDE), max(1, size[1] // STRIDE))
    passing = partial(streamed, [enc], ds, size=size, batch=batch, progress=progress, device=device)
    top = Top(math.floor(quantile * len(ds) * grid[0] * grid[1]) + 1)
    with passing("finding thresholds") as batches:
        for _, images in batches:
            enc.reduce(images, layers, lambda layer, a: top.add(layer, on_grid(a, grid)))
    threshold = {layer: top.smallest(layer) for layer in layers}
    areas = _Areas(threshold, len(ds.categories))
    with passing("overlapping") as batches:
        for stimuli, images in batches:
            covered = torch.stack([_covered(ds, s, grid) for s in stimuli]).to(images)
            enc.reduce(images, layers, areas.adder(covered))
    iou = {layer: areas.iou(layer) for layer in layers}
    return Overlap(iou, {k: t.cpu() for k, t in threshold.items()}, tuple(ds.categories))


overlap_cached = cache.remembered("overlap", overlap, Overlap.to_entry, Overlap.from_entry)


class Top:
    """The `k` largest activations of each unit so far, exactly."""

    def __init__(self, k: int):
        self.k = k
        self.values: dict[str, Tensor] = {}

    def add(self, layer: str, maps: Tensor) -> None:
        """Add maps (B, C, h, w)."""
        values = maps.movedim(1, 0).flatten(1)
        if layer in self.values:
            values = torch.cat([self.values[layer], values], 1)
        self.values[layer] = values.topk(min(self.k, values.shape[1]), sorted=False).values

    def smallest(self, layer: str) -> Tensor:
        """Return (C,), the k-th largest activation of each unit; at most k − 1 exceed it."""
        return self.values[layer].amin(1)


class _Areas:
    """Areas, in cells, of each unit's cut maps, of each category, and of what they share."""

    def __init__(self, threshold: dict[str, Tensor], n_categories: int):
        self.threshold = threshold
        some = next(iter(threshold.values()))
        self.category = some.new_zeros(n_categories, dtype=torch.float64)
        self.unit = {k: torch.zeros_like(t, dtype=torch.float64) for k, t in threshold.items()}
        self.shared = {k: t.new_zeros(n_categories, len(t)).double() for k, t in threshold.items()}

    def adder(self, covered: Tensor) -> Callable[[str, Tensor], None]:
        """Add a batch whose categories cover shares (B, K, h, w); return the reducer of units."""
        cells = covered.movedim(1, 0).flatten(1)
        self.category += cells.sum(1)

        def add(layer: str, activations: Tensor) -> None:
            maps = on_grid(activations, size_of(covered)).movedim(1, 0).flatten(1)
            active = (maps > self.threshold[layer][:, None]).to(cells)
            self.unit[layer] += active.sum(1)
            self.shared[layer] += cells @ active.T

        return add

    def iou(self, layer: str) -> Tensor:
        """Return (K, C) float32; NaN for a category that covers nothing."""
        shared, category = self.shared[layer], self.category[:, None]
        found = shared / (self.unit[layer] + category - shared)
        return found.masked_fill(category == 0, torch.nan).float().cpu()


def on_grid(maps: Tensor, grid: Size) -> Tensor:
    """Bring maps (B, C, h, w) to `grid`, bilinearly; finer ones antialiased."""
    if tuple(maps.shape[-2:]) == tuple(grid):
        return maps.float()
    return interpolate(maps.float(), grid, mode="bilinear", antialias=True)


def _covered(ds: SaliencyDataset, stimulus: Stimulus, grid: Size) -> Tensor:
    """Return (K, h, w): the share of each cell that a stimulus' regions of a category cover."""
    return coverage(ds.regions(stimulus.index), ds.categories, stimulus.size, grid)


def coverage(
    regions: Sequence[Region], categories: Sequence[str], size: Size, grid: Size
) -> Tensor:
    """Return (K, h, w) float32 in [0, 1]: share of each cell of `grid` under each category.

    Regions of one category may lie on each other: what they cover counts once.
    """
    covered = torch.zeros(len(categories), *grid)
    rows, columns = (cell_shares(n, m) for n, m in zip(size, grid, strict=True))
    for k, category in enumerate(categories):
        masks = [region.as_mask(*size) for region in regions if region.category == category]
        if masks:
            covered[k] = rows @ torch.stack(masks).any(0).float() @ columns.T
    return covered


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def cell_shares(pixels: int, cells: int) -> Tensor:
    """Return (cells, pixels) float32: the share of each cell that each pixel makes up."""
    return (area_weights(pixels, cells) / (pixels / cells)).float()
