"""Scores beside what infinitely many people would score."""

from collections.abc import Mapping

import pandas as pd

from ...evaluation import ObserverCurve
from ...evaluation.people import MANY


def with_limit(table: pd.DataFrame, curves: Mapping[str, ObserverCurve]) -> pd.DataFrame:
    """Add to an `evaluation.summary` the limit of people's curve of each metric that has one.

    Model `MANY`; the interval is the power law's. A curve that does not tell its end has no row.
    """
    rows = [
        (MANY, metric, of.law.limit, of.law.low, of.law.high, len(of.limits))
        for metric, of in curves.items()
        if of.law.determined
    ]
    columns = ["model", "metric", "mean", "low", "high", "images"]
    limits = pd.DataFrame(rows, columns=columns)
    return pd.concat([table, limits], ignore_index=True) if rows else table
