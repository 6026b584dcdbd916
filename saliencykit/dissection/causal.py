"""Does a model lose the category whose units it lost, and no other?

Rows are ablated categories, columns those whose regions are scored. An entry is the mean change of
region NSS over the column's regions, minus the mean change under the row's control groups, if it
has any: what ablating *these* units does beyond ablating as many others. Negative: a loss.

Intervals resample images, alike for all entries, and control groups: with few of them, which ones
were drawn matters too. The units of the group itself stay fixed. A category with regions on fewer
than `MIN_IMAGES` images is NaN.
"""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from .ablation import Effects
from .groups import CONTROL, RANDOM
from .statistics import MIN_IMAGES, ImageSums, bounds, image_weights

ALL = "all categories"


class Draws(NamedTuple):
    """Changes (1 + n, categories, groups), the data's own first; names of rows and of columns."""

    changes: Tensor
    rows: list[str]
    columns: tuple[str, ...]


def ablation_matrix(effects: Effects, n: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Return first (the ablated category), second (the scored one), value, low, high.

    A group named after a category is its row, and groups named "<category> control …" (see
    `with_controls`) are its controls. Raises ValueError if no group is named after a category.
    """
    changes, rows, columns = _draws(effects, n, seed)
    entries = torch.stack([_beyond_controls(effects, row, changes, seed) for row in rows], 1)
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
    changes, rows, columns = _draws(effects, n, seed)
    entries = torch.stack([_beyond_controls(effects, row, changes, seed) for row in rows], 1)
    own, others = _own_and_others(entries, rows, columns)
    low, high = bounds((own - others)[1:])
    values = {"own": own[0], "others": others[0], "value": (own - others)[0]}
    return pd.DataFrame({"category": rows, **values, "low": low, "high": high})


def losses(effects: Effects, n: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Return category, units, where, value, low, high: changes, not yet minus those of controls.

    category: whose units are ablated, and `ALL`, the mean over categories. units: "named" (the
    category's own group), "matched" (the mean over its controls), "random" (over the groups called
    "random …"), and "beyond matched", "beyond random" (named minus either), as far as there are
    such groups. where: "own" regions, those of "others" (mean over categories), and their
    "difference", own − others: `specificity`, if beyond matched. Categories on too few images to
    say are left out. Raises ValueError if none is left.
    """
    changes, rows, columns = _draws(effects, n, seed)
    rows = [row for row in rows if not changes[0, columns.index(row), 0].isnan()]
    if not rows:
        raise ValueError(f"no ablated category has fixated regions on {MIN_IMAGES} images or more")
    parts = [_by_units(effects, row, changes, seed) for row in rows]
    entries = {units: torch.stack([part[units] for part in parts], 1) for units in parts[0]}
    tables = []
    for units, entry in entries.items():
        own, others = _own_and_others(entry, rows, columns)
        for where, draws in (("own", own), ("others", others), ("difference", own - others)):
            names = {"category": [*rows, ALL], "units": units, "where": where}
            tables.append(pd.DataFrame({**names, **summarised(with_mean(draws))}))
    return pd.concat(tables, ignore_index=True)


def losses_by(
    name: str, effects: Mapping[object, Effects], n: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Return `losses` of several ablations, told apart by a first column `name`."""
    parts = {key: losses(one, n, seed) for key, one in effects.items()}
    return pd.concat(parts, names=[name, None]).reset_index(name).reset_index(drop=True)


def with_mean(draws: Tensor) -> Tensor:
    """Add to draws (n, m) a last column, the mean of the others that are not NaN."""
    return torch.cat([draws, draws.nanmean(1, keepdim=True)], 1)


def summarised(draws: Tensor) -> dict[str, Tensor]:
    """Return value, low and high (m,) of draws (1 + n, m), the data's own first."""
    low, high = bounds(draws[1:])
    return {"value": draws[0], "low": low, "high": high}


def with_own(weights: Tensor) -> Tensor:
    """Put the data as they are before the resamples (n, I)."""
    return torch.cat([torch.ones(1, weights.shape[1]), weights])


def _draws(effects: Effects, n: int, seed: int) -> Draws:
    sums = ImageSums.of(effects.result, "change")
    rows = [name for name in effects.groups if name in sums.categories]
    if not rows:
        raise ValueError(f"no group is named after a category: {', '.join(effects.groups)}")
    weights = with_own(image_weights(len(sums.images), n, seed))
    changes = torch.stack([sums.mean(c, weights) for c in range(len(sums.categories))], 1)
    changes[:, (sums.count > 0).sum(1) < MIN_IMAGES] = torch.nan
    return Draws(changes, rows, sums.categories)


def _own_and_others(
    entries: Tensor, rows: list[str], columns: tuple[str, ...]
) -> tuple[Tensor, Tensor]:
    """Each row's entry in its own column, and its mean in the others: (1 + n, rows)."""
    own_column = torch.tensor([columns.index(row) for row in rows])[:, None]
    own = entries.gather(2, own_column.expand(len(entries), -1, -1))[..., 0]
    is_own = torch.arange(len(columns)) == own_column
    return own, entries.masked_fill(is_own, torch.nan).nanmean(2)


def _beyond_controls(effects: Effects, row: str, changes: Tensor, seed: int) -> Tensor:
    """Changes (1 + n, K) of group `row` minus the mean of its controls, if it has any."""
    parts = _by_units(effects, row, changes, seed)
    return parts.get("beyond matched", parts["named"])


def _by_units(effects: Effects, row: str, changes: Tensor, seed: int) -> dict[str, Tensor]:
    """Changes (1 + n, K) by whose units are ablated; see `losses`."""
    parts = {"named": changes[..., effects.groups.index(row)]}
    for units, prefix in (("matched", f"{row}{CONTROL}"), ("random", RANDOM)):
        controls = [i for i, g in enumerate(effects.groups) if g.startswith(prefix)]
        if controls:
            parts[units] = _mean_of_groups(changes[..., controls], seed + 1)
    beyond = {f"beyond {units}": parts["named"] - parts[units] for units in list(parts)[1:]}
    return parts | beyond


def _mean_of_groups(changes: Tensor, seed: int) -> Tensor:
    """Mean (1 + n, K) over groups, which are resampled after the first."""
    groups = changes.shape[-1]
    drawn = with_own(image_weights(groups, len(changes) - 1, seed)) / groups
    return (changes @ drawn[..., None])[..., 0]
