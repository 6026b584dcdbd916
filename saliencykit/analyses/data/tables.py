"""What a data set holds, and how strongly each category draws the eye."""

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from ...datasets.base import SaliencyDataset
from ...intervals import IMAGES, bounds
from ...metrics.rates import rate_draws

BACKGROUND = "background"
COLUMNS = {"category": str, **dict.fromkeys(("value", "low", "high"), float)}
COLUMNS |= {"regions": int, "images": int, "planted": float}
"""What `attraction` tells of a category."""


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


def attraction(data: SaliencyDataset, n: int = 500) -> pd.DataFrame:
    """Return how often a pixel of each category is fixated, compared within images.

    See `metrics.rates`: what else the images hold, and how large it is, does not matter. A row a
    category that is shown, and `BACKGROUND`: category, value (1: the categories' mean), low, high
    (95 %, from resampled images, everything fitted anew; none from fewer than `IMAGES` images),
    regions, images, planted (the weight by which simulated people look, likewise, or NaN). No row
    where no region is annotated.
    """
    seen, area, regions = _counts(data)
    if not area.any():
        return pd.DataFrame({c: pd.Series(dtype=kind) for c, kind in COLUMNS.items()})
    names, images = [*data.categories, BACKGROUND], (area > 0).sum(0)
    draws = rate_draws(seen, area, n)
    draws = draws / np.nanmean(draws[:, :-1], 1, keepdims=True)
    low, high = (np.where(images >= IMAGES, end, np.nan) for end in bounds(draws[1:]))
    weights = getattr(data, "planted", {})
    planted = np.array([weights.get(name, np.nan) for name in names])
    planted = planted / np.nanmean(planted) if weights else planted
    parts = {"category": names, "value": draws[0], "low": low, "high": high, "regions": regions}
    return pd.DataFrame(parts | {"images": images, "planted": planted})[images > 0]


def _counts(data: SaliencyDataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fixations and pixels by image and category, (I, C + 1), the last background; regions (C + 1).

    A pixel under several regions counts for the last one.
    """
    names = list(data.categories)
    kinds = len(names) + 1
    seen, area, regions = (
        np.zeros((len(data), kinds)),
        np.zeros((len(data), kinds)),
        np.zeros(kinds),
    )
    for i, name in enumerate(tqdm(data.names, desc=f"regions of {data.name}", leave=False)):
        size, found = data.size_of(i), data.regions(i)
        if not found:
            continue
        owner = np.full(size, len(names))
        for region in found:
            owner[region.as_mask(*size).numpy()] = names.index(region.category)
            regions[names.index(region.category)] += 1
        looks = data.fixations(i).inside(*size, name)
        places = owner[looks.y.long().numpy(), looks.x.long().numpy()]
        seen[i], area[i] = (np.bincount(of.ravel(), minlength=kinds) for of in (places, owner))
    return seen, area, regions.astype(int)
