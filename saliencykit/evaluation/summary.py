"""What scores say: means with intervals over images, paired differences, who beats whom."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from ..intervals import adjusted, interval, sign_flips


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per model and metric of an `evaluate` table: mean, low, high, images."""
    rows = []
    for _, group in scores.groupby(["model", "metric"], sort=False):
        whose, values = group[["model", "metric"]].iloc[0], group["value"].dropna()
        rows.append((*whose, *interval(values), len(values)))
    return pd.DataFrame(rows, columns=["model", "metric", "mean", "low", "high", "images"])


def difference(scores: pd.DataFrame, first: str, second: str, metric: str) -> dict[str, float]:
    """Return how much `first` scores above `second` on the same images: mean, low, high."""
    wide = scores[scores["metric"] == metric].pivot(index="image", columns="model", values="value")
    mean, low, high = interval(wide[first] - wide[second])
    return {"mean": mean, "low": low, "high": high}


def pairwise(scores: pd.DataFrame, metric: str, n: int = 9999, seed: int = 0) -> pd.DataFrame:
    """Compare every two models on the images that all of them were scored on.

    Returns first, second, value (mean of first minus second), low, high (95 % bootstrap over
    images), p (two-sided, from `n` paired permutations: each image's difference keeps or changes
    its sign), p_adjusted (Benjamini–Hochberg over the pairs), in the table's order of models.
    """
    wide = by_model(scores, metric).dropna()
    models = list(wide)
    if len(wide) < 2 or len(models) < 2:
        raise ValueError(f"{len(wide)} images, {len(models)} models: nothing to compare in pairs")
    pairs = list(combinations(models, 2))
    gaps = np.stack([wide[a] - wide[b] for a, b in pairs], 1)
    p = sign_flips(gaps, n, seed)
    table = pd.DataFrame(pairs, columns=["first", "second"])
    table[["value", "low", "high"]] = [interval(gap, seed) for gap in gaps.T]
    return table.assign(p=p, p_adjusted=adjusted(p))


def spread(scores: pd.DataFrame, model: str, metric: str, n: int) -> list[int]:
    """Return `n` image numbers, evenly spread from the model's (or people's) worst to its best."""
    chosen = (scores["model"] == model) & (scores["metric"] == metric)
    values = scores["value"].to_numpy(float)[chosen]
    order = np.argsort(values, kind="stable")[: np.count_nonzero(~np.isnan(values))]  # NaN is last
    return [int(i) for i in order[np.linspace(0, len(order) - 1, min(n, len(order))).astype(int)]]


def joined(curves: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Put learning curves into one table, without their seconds, which no run repeats."""
    parts = [curve.drop(columns="seconds").assign(model=model) for model, curve in curves.items()]
    return pd.concat(parts, ignore_index=True)


def by_model(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return a metric's scores, images × models, models in the table's order."""
    chosen = scores[scores["metric"] == metric]
    models = list(dict.fromkeys(chosen["model"]))
    wide = chosen.pivot(index="image", columns="model", values="value")
    return wide.reindex(columns=models)
