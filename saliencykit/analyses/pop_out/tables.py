"""Search arrays: who finds the odd one out, model by model and condition by condition.

How far networks lead is told by `findings.lead`.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from ...datasets import load
from ...datasets.p3o3 import Shrunk
from ...datasets.popout import EFFICIENT
from ...evaluation import Evaluations
from ...findings.lead import MOST, NATURAL
from ...intervals import of_images, of_share
from ...study import Study

GSI, LOOKS, MSR = "gsi", "fixations_to_find", "msr_target"
ELSEWHERE, OURS = ("p3", "o3"), "arrays"


def _told(
    grid: np.ndarray, trainings: int, learned: bool, share: bool, own: bool = False
) -> dict[str, float]:
    """Return value, low, high, se_images, sd_trainings, "training 1" … of scores (S, images).

    share: of scores 0 and 1 (see `intervals.of_share`); own: see `of_images`.
    """
    found = of_images(grid, own)
    if share:
        found = of_share(found, (~np.isnan(grid).all(0)).sum())
    row = {name: float(v) for name, v in found._asdict().items() if name != "trainings"}
    each = np.nanmean(grid, 1) if learned else np.full(trainings, np.nan)
    return row | {f"training {k + 1}": float(v) for k, v in enumerate(each)}


def by_condition(
    found: Evaluations,
    arrays: pd.DataFrame,
    columns: Sequence[str],
    metrics: Sequence[str] = (MOST,),
) -> pd.DataFrame:
    """Return metrics' means over arrays and trainings, by model and condition.

    arrays: `searches`; columns: of it, whose combinations are the conditions. Columns: measure,
    model, *columns, arrays, chance (mean over the arrays; of a GSI 0), value, low, high, se_images
    (arrays), sd_trainings, "training 1" ….
    """
    rows = []
    for metric, model in product(metrics, found.models):
        grid, learned, share = found.grid(model, metric), model in found.networks, metric == MOST
        for key, group in arrays.groupby(list(columns), sort=False):
            about = {"measure": metric, "model": model, **dict(zip(columns, key, strict=True))}
            about |= {"arrays": len(group), "chance": group["chance"].mean() if share else 0.0}
            chosen = grid[:, np.isin(found.images, group["name"])]
            rows.append(about | _told(chosen, found.trainings, learned, share))
    return pd.DataFrame(rows)


def found_within(
    found: Evaluations, arrays: pd.DataFrame, looks: Sequence[int], column: str
) -> pd.DataFrame:
    """Return the share of targets found within each number of fixations, by model and condition.

    model, `column` (of `searches`), looks, value, low, high, se_images, sd_trainings, training 1 ….
    """
    rows = []
    for model in found.models:
        for key, group in arrays.groupby(column, sort=False):
            tries = found.grid(model, LOOKS)[:, np.isin(found.images, group["name"])]
            for k in looks:
                told = _told(1.0 * (tries <= k), found.trainings, model in found.networks, True)
                rows.append({"model": model, column: key, "looks": k, **told})
    return pd.DataFrame(rows)


def both_sides(natural: Evaluations, odd: Evaluations, arrays: pd.DataFrame) -> pd.DataFrame:
    """Return each model's NSS on natural images and share of efficient targets most salient.

    model, side ("natural" or "arrays"), value, low, high, se_images, sd_trainings, training 1 …,
    chance. People stand for natural images alone.
    """
    rows = []
    for model in natural.models:
        how = natural.trainings, model in natural.networks, False, natural.nested(model)
        rows.append({"model": model, "side": NATURAL, **_told(natural.grid(model), *how)})
    found = by_condition(odd, arrays[arrays["search"] == EFFICIENT], ["search"])
    found = found.assign(side="arrays").drop(columns=["search", "measure", "arrays"])
    return pd.concat([pd.DataFrame(rows), found], ignore_index=True)


# Other people's arrays


def elsewhere(
    study: Study, odd: Evaluations, arrays: pd.DataFrame, images: int = 0
) -> pd.DataFrame:
    """Return `by_condition` by "data": ours, the efficient searches, beside P3 and O3, if here.

    odd, arrays: `study.evaluated_on_arrays` and `searches`; images: of each of P3 and O3 so many
    random ones (0: all), shown at most as tall as our arrays. measure: `MOST`, `GSI`, and of P3 and
    O3 `MSR`, of which no chance is known. Without rows if neither is here.
    """
    parts, measures = [], (MOST, GSI, MSR)
    for name in ELSEWHERE:
        try:
            data = load(name)
        except FileNotFoundError:
            continue
        data = data.thinned(images) if images else data
        about = data.table.assign(data=name)
        found = study.evaluated_on(Shrunk(data, study.array_size[0]), measures)
        parts.append(
            by_condition(found, about.assign(chance=1 / about["set_size"]), ["data"], measures)
        )
    if not parts:
        return pd.DataFrame(columns=["measure", "model", "data"])
    ours = arrays[arrays["search"] == EFFICIENT].assign(data=OURS)
    table = pd.concat([by_condition(odd, ours, ["data"], (MOST, GSI)), *parts], ignore_index=True)
    return table.assign(chance=table["chance"].mask(table["measure"] == MSR))
