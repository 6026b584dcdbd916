"""Who gained more than whom, pair by pair and layer by layer."""

from collections.abc import Sequence

import pandas as pd

from ...dissection.result import Dissection
from ...dissection.top_units import favouring, favouring_matrix


def favouring_pairs(
    before: Dissection, after: Dissection, layer: str, k: int = 10, **how: object
) -> pd.DataFrame:
    """Return `favouring` of every ordered pair: first, second, value, low, high."""
    names, value, low, high = favouring_matrix(before, after, layer, k, **how)
    rows = [
        (a, b, float(value[i, j]), float(low[i, j]), float(high[i, j]))
        for i, a in enumerate(names)
        for j, b in enumerate(names)
        if i != j
    ]
    return pd.DataFrame(rows, columns=["first", "second", "value", "low", "high"])


def favouring_by_layer(
    before: Dissection, after: Dissection, pair: Sequence[str], k: int = 10, **how: object
) -> pd.DataFrame:
    """Return `favouring` of one pair at every dissected layer: layer, first, second, value …"""
    parts = [
        favouring(before, after, layer, *pair, k, **how).assign(layer=layer)
        for layer in before.layers
    ]
    return pd.concat(parts, ignore_index=True)[["layer", "first", "second", "value", "low", "high"]]
