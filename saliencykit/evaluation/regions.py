"""People's own region NSS: what a model's can be a share of."""

import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from .. import cache
from ..datasets import SaliencyDataset
from ..dissection import Dissection
from ..metrics.observers import fixated
from ..metrics.points import Points, Trials, nss
from .people import human_blur

PEOPLE = "people"


def human_regions(
    data: SaliencyDataset, progress: bool = True, blur: float | None = None
) -> Dissection:
    """Score people in every annotated region: each observer on the density of all others.

    A `Dissection` with one layer, "people", of one unit: the z-scored density of all *other*
    observers' fixations on the image, averaged over a region's fixations, each with its own
    observer left out. Unit: standard deviations of the density. Its blur, as a share of the longer
    side, is by default that of the NSS ceiling (`human_blur`: the one that predicts best over all
    images of `data`). NaN in a region without fixations, and on an image that only one observer
    looked at. Regions are those of `dissect`, in its order. Raises ValueError for data without
    annotated regions.
    """
    blur, rows, scores = human_blur(data) if blur is None else blur, [], []
    for i in tqdm(range(len(data)), desc="people by region", leave=False, disable=not progress):
        if not (regions := data.regions(i)):
            continue
        size = data.size_of(i)
        seen = data.fixations(i).inside(*size, data.names[i])
        points, member = fixated(seen.x, seen.y, seen.observer, size, blur * max(size))
        inside = torch.stack([r.as_mask(*size)[points.y, points.x] for r in regions])
        scores.append(regions_of_one(points, member, inside))
        counts = inside.sum(1).tolist()
        rows += [
            (data.names[i], r.category, r.sure, n) for r, n in zip(regions, counts, strict=True)
        ]
    if not rows:
        raise ValueError(f"data set {data.name!r} has no annotated regions; people need them")
    table = pd.DataFrame(rows, columns=["image", "category", "sure", "fixations"])
    return Dissection({PEOPLE: torch.cat(scores)[:, None]}, table, tuple(data.categories))


human_regions_cached = cache.remembered(
    "human_regions", human_regions, Dissection.to_entry, Dissection.from_entry
)


def regions_of_one(points: Points, member: Tensor, inside: Tensor) -> Tensor:
    """Return people's region NSS (R,) float32 on one image.

    member: whose each point is, (O, n), 1 or 0; inside: which points each region holds, (R, n).
    """
    target = inside[:, None] * member
    predict = (1 - member).expand_as(target)
    found = nss(points, Trials(predict.flatten(0, 1), target.flatten(0, 1)))
    counts = target.sum(-1)
    each = torch.where(counts > 0, found.view(counts.shape), 0)  # per region and observer
    return ((each * counts).sum(1) / counts.sum(1)).float()
