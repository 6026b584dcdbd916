"""What a data set holds, and how strongly each category draws the eye."""

import pandas as pd
from tqdm.auto import tqdm

from ...datasets.base import SaliencyDataset


def describe(data: SaliencyDataset) -> pd.DataFrame:
    """Return one row per image: image, split, scene, size, and how many of what is known."""
    rows = []
    for i, name in enumerate(data.names):
        height, width = data.size_of(i)
        seen = data.fixations(i)
        rows.append(
            {
                "image": name,
                "split": data.split_of(name),
                "scene": data.scene(i),
                "width": width,
                "height": height,
                "fixations": len(seen),
                "observers": len(seen.observer.unique()),
                "regions": len(data.regions(i)),
            }
        )
    return pd.DataFrame(rows)


def attraction(data: SaliencyDataset) -> pd.DataFrame:
    """Return one row per image and category that it shows: where people look, against chance.

    Columns: image, category, regions, looks (share of the image's fixations inside the category's
    regions), area (share of its pixels), ratio = looks / area: 1 is what evenly spread fixations
    would give. Images without fixations are left out.
    """
    rows = []
    for i, name in enumerate(tqdm(data.names, desc=f"regions of {data.name}", leave=False)):
        regions = data.regions(i)
        if not regions:
            continue
        size = data.size_of(i)
        seen = data.fixations(i).inside(*size, name)
        if not len(seen):
            continue
        x, y = seen.x.long(), seen.y.long()
        masks: dict[str, list] = {}
        for region in regions:
            masks.setdefault(region.category, []).append(region.as_mask(*size))
        for category, parts in masks.items():
            mask = sum(part.int() for part in parts) > 0
            looks, area = mask[y, x].float().mean().item(), mask.float().mean().item()
            if area:
                rows.append((name, category, len(parts), looks, area, looks / area))
    columns = ["image", "category", "regions", "looks", "area", "ratio"]
    return pd.DataFrame(rows, columns=columns)
