"""What a data set holds, what draws the eye, and how well people predict people, in sentences."""

from collections.abc import Mapping

import pandas as pd

from ...datasets import SaliencyDataset
from ...evaluation import CENTRE, ObserverCurve
from ...metrics import METRICS
from ...viewing.claims import Span, bullets, listed, mention, spans
from ...viewing.style import label
from .tables import BACKGROUND


def what_we_see(
    data: SaliencyDataset,
    table: pd.DataFrame,
    shown: pd.DataFrame,
    ceiling: pd.DataFrame,
    curves: Mapping[str, ObserverCurve],
) -> str:
    """Words under 00_data. shown: `tables.attraction`; ceiling: `evaluation.summary`."""
    nss = spans(ceiling[ceiling["metric"] == "nss"], "mean", by="model")
    laws = {METRICS[metric].label: curve.law for metric, curve in curves.items()}
    limits = {n: Span(w.limit, w.low, w.high) for n, w in laws.items() if w.determined}
    untold = [name for name in laws if name not in limits]
    return bullets(f"""
        - **{data.name}** holds {len(table):,} images with {table["fixations"].sum():,} fixations of
          up to {table["observers"].max()} observers, and {table["regions"].sum():,} annotated
          regions.
        - {_attraction(shown)}
        - The other observers' fixations predict one observer's with NSS {nss["human"]:.2f}; the
          centre prior alone reaches {nss[CENTRE]:.2f}. What lies between is for models to explain.
        - Scores with which infinitely many people would predict one, by a power law through growing
          groups of them: {listed(limits, ".2f")}.
          {mention("For {} these observers are too few to say.", untold)}
    """)


def _attraction(shown: pd.DataFrame) -> str:
    ranked = shown[shown["category"] != BACKGROUND].dropna(subset="value").sort_values("value")
    if ranked.empty:
        return "No regions are annotated, so nothing can be said of what draws the eye."
    most, least = ranked.iloc[-1], ranked.iloc[0]
    inside = shown[["planted", "low", "high"]].dropna()
    hit = inside["planted"].between(inside["low"], inside["high"]).sum()
    planted = f"Planted weights that lie in the interval found: {hit} of {len(inside)}."
    return f"""Compared within images, people look most at a pixel of **{label(most["category"])}**:
          {Span.of(most):.1f} times as often as at the categories' mean; least at
          {label(least["category"])}: {Span.of(least):.1f} times.
          {planted if len(inside) else ""}"""
