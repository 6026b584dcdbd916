"""What scores say of images: means with intervals over them, and which are good ones."""

import numpy as np
import pandas as pd

from ..intervals import interval


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per model and metric of an `evaluate` table: mean, low, high, images."""
    rows = []
    for _, group in scores.groupby(["model", "metric"], sort=False):
        whose, values = group[["model", "metric"]].iloc[0], group["value"].dropna()
        rows.append((*whose, *interval(values), len(values)))
    return pd.DataFrame(rows, columns=["model", "metric", "mean", "low", "high", "images"])


def spread(scores: pd.DataFrame, model: str, metric: str, n: int) -> list[int]:
    """Return `n` image numbers, evenly spread from the model's (or people's) worst to its best."""
    chosen = (scores["model"] == model) & (scores["metric"] == metric)
    values = scores["value"].to_numpy(float)[chosen]
    order = np.argsort(values, kind="stable")[: np.count_nonzero(~np.isnan(values))]  # NaN is last
    return [int(i) for i in order[np.linspace(0, len(order) - 1, min(n, len(order))).astype(int)]]
