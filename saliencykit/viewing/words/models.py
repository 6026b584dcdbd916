"""Sentences about data sets and whole models: notebooks 00 and 01."""

from collections.abc import Mapping

import pandas as pd

from ...datasets import SaliencyDataset
from ...evaluation import ObserverCurve
from ...metrics import METRICS
from ...study import CENTRE
from ..style import label
from .phrases import SPAN, listed, number, verdict

LEVEL = 0.05  # false discovery rate at which a difference is called one
NO_CENTRE = (
    "A classical model knows the image and nothing of where people tend to look; people look at "
    "the middle, so a prior that never sees the image starts with an advantage."
)
OTHERS = (
    "the others' blurred fixations are few and noisy, so leaving one observer out bounds what "
    "infinitely many people would predict from below."
)


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


def model_scores(
    table: pd.DataFrame, gain: dict[str, float], pairs: pd.DataFrame, images: int
) -> str:
    """Words under 01_models: who scores what, who beats whom, and what fine-tuning brings.

    table: `evaluation.summary`; gain: `evaluation.difference` of fine-tuned and frozen; pairs:
    `evaluation.pairwise` on NSS.
    """
    nss = table[table["metric"] == "nss"].set_index("model")
    human = nss.loc["human", "mean"]
    trained = [m for m in nss.index if m.startswith(("frozen", "fine-tuned"))]
    classic = nss.drop([*trained, "human", CENTRE]).sort_values("mean", ascending=False)
    rows = [
        f"{model} {number(*nss.loc[model, SPAN])}"
        + ("" if model == "human" else f" ({100 * nss.loc[model, 'mean'] / human:.0f} % of human)")
        for model in ["human", *trained, CENTRE]
    ]
    moved = verdict(
        gain["low"],
        gain["high"],
        "Fine-tuning the encoder helps",
        "Fine-tuning the encoder hurts",
        "Whether fine-tuning the encoder helps is not decided by these images",
    )
    beaten = [m for m in nss.index if m != "human" and nss.loc[m, "mean"] > human]
    note = f" Scoring above people, as {listed(beaten)}, is no contradiction: {OTHERS}"
    lines = [
        f"- NSS on {images} validation images: {'; '.join(rows)}.{note if beaten else ''}",
        f"- {moved}: {number(gain['mean'], gain['low'], gain['high'])} NSS more than the frozen "
        "readout, on the same images.",
    ]
    if len(classic):
        lines.append(_classical(classic, nss, pairs))
    told = int((pairs["p_adjusted"] <= LEVEL).sum())
    return "\n".join(
        [
            *lines,
            f"- Of the {len(pairs)} pairs of models and people, {told} differ in NSS beyond chance "
            f"(paired permutation over images, {100 * LEVEL:.0f} % false discovery rate).",
        ]
    )


def _classical(classic: pd.DataFrame, nss: pd.DataFrame, pairs: pd.DataFrame) -> str:
    """Return a line on classical models, best first, between the centre prior and the network."""
    sure = pairs[pairs["p_adjusted"] <= LEVEL]
    differ = {frozenset(pair) for pair in zip(sure["first"], sure["second"], strict=True)}
    best, worst = classic.iloc[0], classic.iloc[-1]
    below = [m for m in classic.index if classic.loc[m, "mean"] <= nss.loc[CENTRE, "mean"]]
    above = [m for m in classic.index if classic.loc[m, "mean"] >= nss.loc["fine-tuned", "mean"]]
    between = [m for m in classic.index if m not in (*below, *above)]
    surely = [m for m in between if {frozenset((m, e)) for e in (CENTRE, "fine-tuned")} <= differ]
    odd = [f"{listed(below)} score no more than the centre prior"] if below else []
    odd += [f"{listed(above)} score no less than the fine-tuned network"] if above else []
    where = f"{len(surely)} beyond chance from both"
    where += f"; {' and '.join(odd)}" if odd else ""
    return (
        f"- Of the {len(classic)} classical models, which never saw a fixation, "
        f"{label(best.name)} scores most, {number(*best[SPAN])}, and {label(worst.name)} least, "
        f"{number(*worst[SPAN])}; {len(between)} of them lie between the centre prior and the "
        f"fine-tuned network, {where}." + (f" {NO_CENTRE}" if below else "")
    )
