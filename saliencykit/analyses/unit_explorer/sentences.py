"""What the best units of several networks say, in sentences."""

from collections import Counter

import pandas as pd

from ...viewing.claims import SPAN, listed, number
from ...viewing.style import label


def best_of_all(table: pd.DataFrame) -> str:
    """Words on the best unit of each category in each network, and how the first two compare.

    table: `UnitExplorer.table`.
    """
    encoders = list(dict.fromkeys(table["encoder"]))
    lines = [_most_selective(name, table[table["encoder"] == name]) for name in encoders]
    if len(encoders) > 1:
        lines.append(_compared(table, *encoders[:2]))
    return "\n".join(lines)


def _most_selective(name: str, table: pd.DataFrame) -> str:
    top = table.loc[table["low"].idxmax()]  # of the best guesses, the surest
    layer, n = Counter(table["layer"]).most_common(1)[0]
    return (
        f"- **{name}**: the most surely selective unit answers to {label(top['category'])} (unit "
        f"{top['unit']} of {top['layer']}, region NSS {number(*top[SPAN])}); {n} of {len(table)} "
        f"categories have their best unit in {layer}."
    )


def _compared(table: pd.DataFrame, one: str, other: str) -> str:
    """Say in how many categories the best unit of `one` is better, intervals apart."""
    a, b = (table[table["encoder"] == name].set_index("category") for name in (one, other))
    higher, lower = a.index[a["low"] > b["high"]], a.index[a["high"] < b["low"]]
    return (
        f"- The best unit of the {one} network is more selective than that of the {other} one, "
        f"their intervals apart, for {listed(list(higher))}; less selective for "
        f"{listed(list(lower))}."
    )
