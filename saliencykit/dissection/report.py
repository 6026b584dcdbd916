"""Tables for figures: what several dissections say, layer by layer, in long form."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from ..intervals import IMAGES
from ..registry import check_name
from .result import Dissection
from .top_units import MIN_IMAGES, bootstrap, change, counts_above, top_mean

KEYS = ["encoder", "layer", "category"]
NUMBER, SELECTIVITY, CHANGE, SIGNIFICANCE = "number", "selectivity", "change", "significance"
ORDERS = (NUMBER, SELECTIVITY, CHANGE, SIGNIFICANCE)
SWEEP = tuple(round(0.25 * i, 2) for i in range(17))  # T from 0 to 4


def tops(
    results: Mapping[str, Dissection],
    layers: Sequence[str] | None = None,
    k: int = 10,
    selection: str = "same",
) -> pd.DataFrame:
    """Return the mean region NSS of each category's `k` best units: KEYS, mean, low, high."""
    parts = [
        top_mean(result, layer, k, selection=selection).assign(encoder=name, layer=layer)
        for name, result in results.items()
        for layer in (layers or result.layers)
    ]
    return pd.concat(parts, ignore_index=True).loc[:, [*KEYS, "mean", "low", "high"]]


def counts(
    results: Mapping[str, Dissection], layer: str, thresholds: Sequence[float] = SWEEP
) -> pd.DataFrame:
    """Return how many of the layer's units exceed each threshold: KEYS, threshold, units, share.

    Of a category fixated on fewer than `MIN_IMAGES` images, where chance alone lifts many, NaN.
    """
    parts = []
    for name, result in results.items():
        table = counts_above(result, layer, thresholds)
        images = images_looked_at(result).reindex(table.index, fill_value=0)
        told = table.where(images >= MIN_IMAGES, axis=0)
        long = told.melt(ignore_index=False, value_name="units").reset_index()
        parts.append(long.assign(encoder=name, layer=layer, of=result.of(layer).shape[1]))
    table = pd.concat(parts, ignore_index=True)
    table["share"] = table["units"] / table["of"]
    return table.loc[:, [*KEYS, "threshold", "units", "share"]]


def gain(
    before: Dissection,
    after: Dissection,
    layers: Sequence[str],
    k: int = 10,
    *,
    selection: str = "same",
    n: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Return `change` of several layers: layer, category, before, after, difference."""
    how = partial(change, before, after, k=k, selection=selection, n=n, seed=seed)
    parts = [how(layer).assign(layer=layer) for layer in layers]
    return pd.concat(parts, ignore_index=True)


def images_looked_at(result: Dissection) -> pd.Series:
    """Return, by category, on how many images a region of it was fixated."""
    fixated = result.regions[result.regions["fixations"] > 0]
    return pd.Series(fixated.groupby("category")["image"].nunique())


def present(result: Dissection) -> list[str]:
    """Return the categories with at least one fixated region."""
    shown = set(result.regions["category"][result.regions["fixations"] > 0])
    return [category for category in result.categories if category in shown]


def best_units(result: Dissection, layer: str, k: int = 1) -> pd.DataFrame:
    """Return each category's `k` most selective units: category, rank, unit, selectivity."""
    selectivity = result.selectivity(layer)
    rows = []
    for category, row in selectivity.iterrows():
        values = row.to_numpy()
        if np.isnan(values).all():
            continue
        order = np.argsort(-np.nan_to_num(values, nan=-np.inf))[:k]
        rows += [(category, r + 1, int(u), float(values[u])) for r, u in enumerate(order)]
    return pd.DataFrame(rows, columns=["category", "rank", "unit", "selectivity"])


def best_images(
    result: Dissection, layer: str, unit: int, n: int = 8, category: str | None = None
) -> list[str]:
    """Return the images whose fixated regions (of `category`) drive `unit` most, best first."""
    scores = result.regions.assign(score=result.of(layer)[:, unit].numpy())
    if category is not None:
        scores = scores.loc[scores["category"] == category]
    best = pd.Series(scores.groupby("image")["score"].max())
    return [str(image) for image in best.nlargest(n).index]


def unit_profile(
    result: Dissection, layer: str, unit: int, n: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Return one unit's selectivity for the categories `present`: category, value, low, high.

    Categories fixated on fewer than `IMAGES` images have no interval: low and high are NaN.
    """
    column = result.of(layer)[:, unit : unit + 1]
    alone = Dissection({layer: column}, result.regions, result.categories)
    tables = bootstrap(alone, layer, n=n, seed=seed)
    names = present(result)
    images = images_looked_at(result)
    ends = {k: v.loc[names, 0].to_numpy() for k, v in tables._asdict().items()}
    table = pd.DataFrame({"category": names, **ends})
    table.loc[[images[c] < IMAGES for c in names], ["low", "high"]] = np.nan
    return table


def sorted_units(
    result: Dissection,
    layer: str,
    order: str = SELECTIVITY,
    category: str | None = None,
    before: Dissection | None = None,
) -> list[int]:
    """Return the layer's units, first ones first.

    order: by "number"; "selectivity" for `category` (None: for the one that it is highest for);
    "change", how much higher that is than in the dissection `before`; "significance", the smallest
    adjusted permutation p-value, then the higher selectivity. Raises UnknownNameError for an order
    or a category, ValueError for "change" without `before`.
    """
    check_name("order of units", order, ORDERS)
    strength = strongest(result, layer, category)
    if order == NUMBER:
        return list(range(len(strength)))
    if order == CHANGE:
        if before is None:
            raise ValueError("units are sorted by change against another dissection: give `before`")
        strength = strength - strongest(before, layer, category)
    keys = [-np.nan_to_num(strength, nan=-np.inf)]
    if order == SIGNIFICANCE:
        keys.append(_row(result.p_values(layer), category).min().to_numpy())
    return np.lexsort(keys).tolist()


def strongest(result: Dissection, layer: str, category: str | None = None) -> np.ndarray:
    """Return the units' selectivity (C,) for `category`, or the highest over categories."""
    return _row(result.selectivity(layer), category).max().to_numpy()


def _row(table: pd.DataFrame, category: str | None) -> pd.DataFrame:
    if category is None:
        return table
    return table.loc[[check_name("category", category, table.index)]]
