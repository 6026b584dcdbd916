"""What a data set holds, what draws the eye, and how well people predict people, in sentences."""

from collections.abc import Mapping

import pandas as pd

from ...datasets import SaliencyDataset
from ...evaluation import ObserverCurve
from ...metrics import METRICS
from ...viewing.claims import listed, number
from ...viewing.style import label


def data_set(
    data: SaliencyDataset,
    table: pd.DataFrame,
    shown: pd.DataFrame,
    ceiling: pd.DataFrame,
    curves: Mapping[str, ObserverCurve],
) -> str:
    """Words under 00_data: size, what draws the eye, how well people predict people."""
    most, least = (shown.loc[shown["mean"].agg(pick)] for pick in ("idxmax", "idxmin"))
    human = ceiling[(ceiling["model"] == "human") & (ceiling["metric"] == "nss")].iloc[0]
    prior = ceiling[(ceiling["model"] == "centre prior") & (ceiling["metric"] == "nss")].iloc[0]
    return (
        f"- **{data.name}** holds {len(table):,} images with {table['fixations'].sum():,} "
        f"fixations of up to {table['observers'].max()} observers, and "
        f"{table['regions'].sum():,} annotated regions.\n"
        f"- People look most at **{label(most['category'])}**: "
        f"{number(most['mean'], most['low'], most['high'], 1)} times as often as the regions' area "
        f"would have it; least at {label(least['category'])}: "
        f"{number(least['mean'], least['low'], least['high'], 1)} times.\n"
        f"- The other observers' fixations predict one observer's with NSS "
        f"{number(human['mean'], human['low'], human['high'])}; the centre prior alone reaches "
        f"{number(prior['mean'], prior['low'], prior['high'])}. What lies between is for models "
        f"to explain.\n"
        f"- {_many(curves)}"
    )


def _many(curves: Mapping[str, ObserverCurve]) -> str:
    """Say what infinitely many people would score, where the observers are enough to tell."""
    told = [
        f"{METRICS[m].label} {number(curve.law.limit, curve.law.low, curve.law.high)}"
        for m, curve in curves.items()
        if curve.law.determined
    ]
    untold = [METRICS[m].label for m, curve in curves.items() if not curve.law.determined]
    said = f"Infinitely many people would predict one with {', '.join(told)}" if told else ""
    if untold:
        said += f"{'; ' if told else ''}for {listed(untold)} these observers are too few to say"
    return f"{said}, by a power law through growing groups of them."
