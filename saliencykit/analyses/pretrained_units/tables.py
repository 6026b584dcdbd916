"""Which units respond beyond chance."""

from collections.abc import Mapping

import pandas as pd

from ...dissection.report import KEYS
from ...dissection.result import Dissection
from ...dissection.top_units import share_significant
from ...intervals import RATE


def significant(results: Mapping[str, Dissection], layer: str, alpha: float = RATE) -> pd.DataFrame:
    """Return the share of units that respond to each category beyond chance: KEYS, share."""
    parts = [
        share_significant(result, layer, alpha)
        .rename_axis("category")
        .reset_index()
        .assign(encoder=name, layer=layer)
        for name, result in results.items()
    ]
    return pd.concat(parts, ignore_index=True)[[*KEYS, "share"]]
