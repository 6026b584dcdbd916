"""What a data set holds, what draws the eye, and how well people predict people, in sentences."""

from collections.abc import Mapping

import pandas as pd

from ...datasets import SaliencyDataset
from ...evaluation import CENTRE, ObserverCurve
from ...metrics import METRICS
from ...viewing.claims import Span, bullets, extremes, listed, mention, spans
from ...viewing.style import label


def what_we_see(
    data: SaliencyDataset,
    table: pd.DataFrame,
    shown: pd.DataFrame,
    ceiling: pd.DataFrame,
    curves: Mapping[str, ObserverCurve],
) -> str:
    """Words under 00_data. shown: `tables.attraction`; ceiling: `evaluation.summary`."""
    most, least = extremes(shown, "mean")
    nss = spans(ceiling[ceiling["metric"] == "nss"], "mean", by="model")
    laws = {METRICS[metric].label: curve.law for metric, curve in curves.items()}
    limits = {n: Span(w.limit, w.low, w.high) for n, w in laws.items() if w.determined}
    untold = [name for name in laws if name not in limits]
    return bullets(f"""
        - **{data.name}** holds {len(table):,} images with {table["fixations"].sum():,} fixations of
          up to {table["observers"].max()} observers, and {table["regions"].sum():,} annotated
          regions.
        - People look most at **{label(most["category"])}**: {Span.of(most, "mean"):.1f} times as
          often as the regions' area would have it; least at {label(least["category"])}:
          {Span.of(least, "mean"):.1f} times.
        - The other observers' fixations predict one observer's with NSS {nss["human"]:.2f}; the
          centre prior alone reaches {nss[CENTRE]:.2f}. What lies between is for models to explain.
        - Scores with which infinitely many people would predict one, by a power law through growing
          groups of them: {listed(limits, ".2f")}.
          {mention("For {} these observers are too few to say.", untold)}
    """)
