"""What the units that dissection names carry of the map, by their exact contributions to it.

The table is long: category, what, value, low, high; the last category is `ALL`, the mean over the
others. Intervals resample images. Categories on fewer than `MIN_IMAGES` images are left out.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata
from torch import Tensor

from .causal import ALL, summarised, with_mean, with_own
from .groups import best_groups, common
from .result import Dissection
from .statistics import ImageSums, image_weights


def carried(
    chosen: Dissection, found: Dissection, layer: str, k: int, n: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Return how much of each category's region NSS its `k` best units of `layer` carry.

    chosen: a dissection, which names the units; found: `contributions` of a model on other images.
    what: "map", region NSS of the model's map; "layer", what all units of the layer contribute to
    it; "carried", what the category's units do; "fair", the layer's part times their share of its
    units; "beyond", carried − fair; and "rho", Spearman's correlation over units of selectivity in
    `chosen`, whose images are resampled as well, and contribution. Raises UnknownNameError for a
    layer that is not read, else as `best_groups`.
    """
    found.of(layer)
    groups = {c: u for c, u in best_groups(chosen, layer, k).items() if c in common(found)}
    draws = _parts(found, layer, groups, n, seed)
    draws["rho"] = _predicted(chosen, found, layer, list(groups), n, seed)
    tables = [
        pd.DataFrame(
            {
                "category": [*groups, ALL],
                "what": what,
                **summarised(with_mean(torch.stack(parts, 1))),
            }
        )
        for what, parts in draws.items()
    ]
    return pd.concat(tables, ignore_index=True)


def _parts(
    found: Dissection, layer: str, groups: Mapping[str, Sequence[int]], n: int, seed: int
) -> dict[str, list[Tensor]]:
    """Return draws (1 + n,) by what and by category."""
    sums = {name: ImageSums.of(found, name) for name in found.layers}
    own = sums[layer]
    weights = with_own(image_weights(len(own.images), n, seed))
    draws: dict[str, list[Tensor]] = {k: [] for k in ("map", "layer", "carried", "fair", "beyond")}
    for category, units in groups.items():
        c = own.categories.index(category)
        every = own.mean(c, weights)
        named, fair = every[:, units].sum(1), every.mean(1) * len(units)
        whole = sum(part.mean(c, weights).sum(1) for part in sums.values())
        parts = (whole, every.sum(1), named, fair, named - fair)
        for what, part in zip(draws, parts, strict=True):
            draws[what].append(part)
    return draws


def _predicted(
    chosen: Dissection, found: Dissection, layer: str, names: Sequence[str], n: int, seed: int
) -> list[Tensor]:
    """Return draws (1 + n,) of the rank correlation, by category."""
    both = ImageSums.of(chosen, layer), ImageSums.of(found, layer)
    weights = [with_own(image_weights(len(s.images), n, seed + i)) for i, s in enumerate(both)]
    rho = []
    for category in names:
        x, y = (
            s.mean(s.categories.index(category), w).numpy()
            for s, w in zip(both, weights, strict=True)
        )
        rho.append(torch.from_numpy(rank_correlation(x, y)))
    return rho


def rank_correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation (n,) of the rows of x and y (n, units); NaN if one is flat."""
    x, y = (rankdata(values, axis=1, nan_policy="propagate") for values in (x, y))
    x, y = (ranks - ranks.mean(1, keepdims=True) for ranks in (x, y))
    scale = np.sqrt((x * x).sum(1) * (y * y).sum(1))
    with np.errstate(invalid="ignore"):
        return (x * y).sum(1) / scale
