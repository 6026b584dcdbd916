"""Which categories gained more than the others: favouring, of one against all."""

import pandas as pd
import torch
from scipy.stats import false_discovery_control
from torch import Tensor

from .result import Dissection
from .statistics import bounds, paired_draws


def beyond_others(values: Tensor) -> Tensor:
    """Return (…, K): each category's value minus the mean of the others'; NaN where it is NaN."""
    others = (~values.isnan()).sum(-1, keepdim=True) - 1
    return values - (values.nansum(-1, keepdim=True) - values) / others


def advantages(
    before: Dissection, after: Dissection, layer: str, k: int = 10, n: int = 1000, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Return (K,) and draws (n, K): each category's change minus the mean change of the others.

    Changes are those of `statistics.change`, and so are errors; images are resampled.
    """
    values, draws = paired_draws(before, after, layer, k, "same", n, seed)
    return beyond_others(values["difference"]), beyond_others(draws["difference"])


def advantage_table(categories: tuple[str, ...], value: Tensor, draws: Tensor) -> pd.DataFrame:
    """Return category, value, low, high, p, p_adjusted: which categories gained beyond the others.

    p is two-sided, from the share of bootstrap draws beyond 0; adjusted by Benjamini–Hochberg over
    the categories. NaN for a category without a number.
    """
    low, high = bounds(draws)
    p = tail_p(draws).where(~value.isnan(), torch.nan)
    table = pd.DataFrame({"category": categories, "value": value, "low": low, "high": high, "p": p})
    return table.assign(p_adjusted=adjusted_p(table["p"]))


def tail_p(draws: Tensor) -> Tensor:
    """Return (…): twice the smaller share of draws (n, …) on either side of 0, at least 2/(n+1)."""
    sides = torch.stack([(draws <= 0).sum(0), (draws >= 0).sum(0)])
    return (2 * (1 + sides.amin(0)) / (1 + len(draws))).clamp(max=1)


def adjusted_p(p: pd.Series) -> pd.Series:
    """Adjust p-values by Benjamini–Hochberg, NaNs left out."""
    told = p[p.notna()]
    return pd.Series(false_discovery_control(told), told.index).reindex(p.index)
