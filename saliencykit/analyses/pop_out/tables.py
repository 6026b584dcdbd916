"""Search arrays: who finds the odd one out, and whether that is who predicts fixations best."""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from ...evaluation.summary import by_model
from ...intervals import interval, rank_correlation, resampled_means, summarised, wilson


def by_condition(
    scores: pd.DataFrame, arrays: pd.DataFrame, columns: Sequence[str], metric: str = "gsi"
) -> pd.DataFrame:
    """Return a metric's mean and 95 % interval over arrays, by model and condition.

    scores: an evaluation's on search arrays; arrays: `PopOut.table`; columns: of the latter, whose
    combinations are the conditions. Returns model, *columns, mean, low, high, arrays.
    """
    chosen = scores[scores["metric"] == metric].merge(arrays, left_on="image", right_on="name")
    keys = ["model", *columns]
    rows = [
        (*key, *interval(group["value"]), len(group))
        for key, group in chosen.groupby(keys, sort=False)
    ]
    return pd.DataFrame(rows, columns=[*keys, "mean", "low", "high", "arrays"])


def found_within(
    scores: pd.DataFrame, arrays: pd.DataFrame, looks: Sequence[int], columns: Sequence[str] = ()
) -> pd.DataFrame:
    """Return the share of targets found within each number of fixations, by model and condition.

    Columns: model, *columns, looks, share, low, high (95 %, Wilson's).
    """
    chosen = scores[scores["metric"] == "fixations_to_find"]
    chosen = chosen.merge(arrays, left_on="image", right_on="name")
    keys = ["model", *columns]
    rows = []
    for key, group in chosen.groupby(keys, sort=False):
        for k in looks:
            hits, n = int((group["value"] <= k).sum()), len(group)
            rows.append((*key, k, hits / n, *wilson(hits, n)))
    return pd.DataFrame(rows, columns=[*keys, "looks", "share", "low", "high"])


def orders(
    natural: pd.DataFrame,
    arrays: pd.DataFrame,
    networks: Collection[str],
    metrics: tuple[str, str] = ("nss", "gsi"),
    n: int = 2000,
    seed: int = 0,
) -> tuple[pd.DataFrame, dict[str, tuple[float, float, float]]]:
    """Compare the models' order on natural images with that on search arrays.

    natural, arrays: scores of the same models (those in both are compared); networks: which of them
    learned from fixations; metrics: which of either. Images and arrays are resampled `n` times,
    each on its own.

    Returns a table, a row a model: model, natural, natural_low, natural_high, arrays, arrays_low,
    arrays_high, natural_rank, arrays_rank (1 is best); and, each as (value, low, high):
    "correlation", Spearman's, of the two orders: −1 if one is the other upside down; "networks",
    by how many ranks networks on average stand better on natural images than on arrays; and
    "classical", the same of the others.
    """
    wide = [by_model(t, m) for t, m in zip((natural, arrays), metrics, strict=True)]
    models = [m for m in wide[0].columns if m in wide[1].columns]
    rng = np.random.default_rng(seed)
    draws = [resampled_means(w[models].dropna().to_numpy(), n, rng) for w in wide]
    ranks = [stats.rankdata(-means, axis=1) for means in draws]
    table = pd.DataFrame({"model": models})
    for name, means in zip(("natural", "arrays"), draws, strict=True):
        columns = (name, f"{name}_low", f"{name}_high")
        table = table.assign(**dict(zip(columns, summarised(means).values(), strict=True)))
    table = table.assign(natural_rank=ranks[0][0], arrays_rank=ranks[1][0])
    gained = ranks[1] - ranks[0]  # above 0: better on natural images
    network = np.isin(models, list(networks))
    found = {
        "correlation": rank_correlation(*ranks),
        "networks": gained[:, network].mean(1),
        "classical": gained[:, ~network].mean(1),
    }
    return table, {name: tuple(summarised(values).values()) for name, values in found.items()}
