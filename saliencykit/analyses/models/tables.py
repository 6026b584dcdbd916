"""Learning curves of all trainings; scores, of maps as they are and of what is fitted to them."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ...evaluation import Evaluations, ObserverCurve
from ...evaluation.people import MANY
from ...study import Trained


def learning(trained: Mapping[str, Sequence[Trained]]) -> pd.DataFrame:
    """Return the curves of all trainings: model, images, epoch, value, low, high, …

    images: "training" (as seen while learning) or "validation"; value: NSS, mean over trainings;
    se_images, sd_trainings, "training 1" …. Nothing says what other images would make of a curve,
    so low, high and se_images are NaN.
    """
    parts = [
        _curves([one.curve for one in several], column).assign(model=model, images=images)
        for model, several in trained.items()
        for images, column in {"training": "train", "validation": "validation"}.items()
    ]
    table = pd.concat(parts, ignore_index=True)
    return table[["model", "images", *table.columns.drop(["model", "images"])]]


def _curves(curves: Sequence[pd.DataFrame], column: str) -> pd.DataFrame:
    each = np.stack([curve[column].to_numpy(float) for curve in curves])
    unknown = dict.fromkeys(("low", "high", "se_images"), np.nan)
    sd = each.std(0, ddof=1) if len(each) > 1 else np.nan
    own = {f"training {k + 1}": values for k, values in enumerate(each)}
    return pd.DataFrame(
        {"epoch": curves[0]["epoch"], "value": each.mean(0), **unknown, "sd_trainings": sd, **own}
    )


def with_limit(table: pd.DataFrame, curves: Mapping[str, ObserverCurve]) -> pd.DataFrame:
    """Add to an `Evaluations.summary` the limit of people's curve of each metric that has one.

    Model `MANY`; the interval is the power law's. A curve that does not tell its end has no row.
    """
    rows = [
        (MANY, metric, of.law.limit, of.law.low, of.law.high, len(of.limits))
        for metric, of in curves.items()
        if of.law.determined
    ]
    columns = ["model", "metric", "value", "low", "high", "images"]
    limits = pd.DataFrame(rows, columns=columns)
    return pd.concat([table, limits], ignore_index=True) if rows else table


def of_both(raw: pd.DataFrame, fitted: pd.DataFrame) -> pd.DataFrame:
    """Put scores of maps as they are ("raw") and of densities fitted to them under one another.

    raw, fitted: `with_limit`, of which the former's rows are kept on metrics that both have. People
    have no map: theirs are told once, as "fitted". First column: map.
    """
    shared = raw["metric"].isin(fitted["metric"]) & ~raw["model"].isin(("human", MANY))
    parts = {"fitted": fitted, "raw": raw[shared]}
    table = pd.concat([part.assign(map=name) for name, part in parts.items()], ignore_index=True)
    return table[["map", *table.columns.drop("map")]]


def shares(raw: Evaluations, fitted: Evaluations) -> pd.DataFrame:
    """Return what share of people's scores models reach: `Evaluations.shares`.

    Of NSS by maps as they are; of information gain, which judges a map's scale, by the densities
    fitted to them.
    """
    parts = [raw.shares().query("metric == 'nss'"), fitted.shares().query("metric == 'ig'")]
    return pd.concat(parts, ignore_index=True)
