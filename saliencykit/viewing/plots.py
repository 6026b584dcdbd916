"""A matrix of differences: who exceeds whom, and by how much."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .style import WIDTH, label


def matrix(
    table: pd.DataFrame,
    decided: pd.Series,
    title: str,
    names: Sequence[str] | None = None,
    digits: int = 1,
) -> Figure:
    """Draw `value` of each row (`first`) against each column (`second`), red where it is above 0.

    `decided`, row by row of `table`: where the number is printed. `names`: their order, the
    table's if None.
    """
    names = list(names or dict.fromkeys(table["first"]))
    table = table.assign(decided=decided)
    value, sure = (
        table.pivot(index="first", columns="second", values=v).reindex(index=names, columns=names)
        for v in ("value", "decided")
    )
    numbers = value.to_numpy(dtype=float)
    side = max(4.5, min(0.9 * WIDTH, 0.62 * len(names)))
    figure, axis = plt.subplots(figsize=(side + 1.2, side * 0.85))
    reach = float(np.nanmax(np.abs(numbers))) or 1.0
    shown = axis.imshow(numbers, cmap="RdBu_r", vmin=-reach, vmax=reach)
    for i, j in zip(*np.nonzero(sure.fillna(False).to_numpy(dtype=bool)), strict=True):
        ink = "white" if abs(numbers[i, j]) > 0.6 * reach else "black"
        text = f"{numbers[i, j]:+.{digits}f}"
        axis.text(j, i, text, ha="center", va="center", fontsize=8, color=ink)
    axis.set_xticks(range(len(names)), [label(n) for n in names], rotation=45, ha="right")
    axis.set_yticks(range(len(names)), [label(n) for n in names])
    axis.spines[:].set_visible(False)
    figure.colorbar(shown, ax=axis, label=title)
    return figure
