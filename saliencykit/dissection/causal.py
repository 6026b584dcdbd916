"""Does a model lose the category whose units it lost, and no other?

Rows are ablated categories, columns those whose regions are scored. An entry is the mean change of
region NSS over the column's regions, minus the mean change under the row's control groups, if it
has any: what ablating *these* units does beyond ablating as many others. Negative: a loss.

Intervals resample images, alike for all entries, and control groups: with few of them, which ones
were drawn matters too. The units of the group itself stay fixed. A category with regions on fewer
than `MIN_IMAGES` images is NaN.
"""

from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from .ablation import Effects
from .groups import CONTROL
from .statistics import MIN_IMAGES, ImageSums, bounds, image_weights


class Draws(NamedTuple):
    """Entries (1 + n, rows, categories), the data's own first; names of rows and of columns."""

    entries: Tensor
    rows: list[str]
    columns: tuple[str, ...]


def ablation_matrix(effects: Effects, n: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Return first (the ablated category), second (the scored one), value, low, high.

    A group named after a category is its row, and groups named "<category> control …" (see
    `with_controls`) are its controls. Raises ValueError if no group is named after a category.
    """
    entries, rows, columns = _draws(effects, n, seed)
    low, high = bounds(entries[1:])
    found = [
        (a, b, *(float(v[i, j]) for v in (entries[0], low, high)))
        for i, a in enumerate(rows)
        for j, b in enumerate(columns)
    ]
    return pd.DataFrame(found, columns=["first", "second", "value", "low", "high"])


def specificity(effects: Effects, n: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Return category, own, others, value, low, high: how much more its own category changes.

    `own` and `others` are the row's entries in its own column and, on average, in the others;
    `value` is own − others, negative if the category's units serve it more than the rest.
    """
    entries, rows, columns = _draws(effects, n, seed)
    own_column = torch.tensor([columns.index(row) for row in rows])[:, None]
    own = entries.gather(2, own_column.expand(len(entries), -1, -1))[..., 0]
    is_own = torch.arange(len(columns)) == own_column
    others = entries.masked_fill(is_own, torch.nan).nanmean(2)
    low, high = bounds((own - others)[1:])
    values = {"own": own[0], "others": others[0], "value": (own - others)[0]}
    return pd.DataFrame({"category": rows, **values, "low": low, "high": high})


def _draws(effects: Effects, n: int, seed: int) -> Draws:
    sums = ImageSums.of(effects.result, "change")
    rows = [name for name in effects.groups if name in sums.categories]
    if not rows:
        raise ValueError(f"no group is named after a category: {', '.join(effects.groups)}")
    weights = _with_own(image_weights(len(sums.images), n, seed))
    changes = torch.stack([sums.mean(c, weights) for c in range(len(sums.categories))], 1)
    changes[:, (sums.count > 0).sum(1) < MIN_IMAGES] = torch.nan
    entries = torch.stack([_beyond_controls(effects, row, changes, seed) for row in rows], 1)
    return Draws(entries, rows, sums.categories)


def _beyond_controls(effects: Effects, row: str, changes: Tensor, seed: int) -> Tensor:
    """Changes (1 + n, K) of group `row` minus the mean of its controls, resampled after the first.

    changes: (1 + n, K, groups).
    """
    own = changes[..., effects.groups.index(row)]
    controls = [i for i, g in enumerate(effects.groups) if g.startswith(f"{row}{CONTROL}")]
    if not controls:
        return own
    drawn = _with_own(image_weights(len(controls), len(changes) - 1, seed + 1)) / len(controls)
    return own - (changes[..., controls] @ drawn[..., None])[..., 0]


def _with_own(weights: Tensor) -> Tensor:
    """Put the data as they are before the resamples (n, I)."""
    return torch.cat([torch.ones(1, weights.shape[1]), weights])
