"""Sentences about data sets and whole models: notebooks 00 and 01."""

from collections.abc import Sequence

import pandas as pd

from ...evaluation import CENTRE
from ...intervals import RATE
from ...viewing.claims import SPAN, listed, number, verdict
from ...viewing.style import label

NO_CENTRE = (
    "A classical model knows the image and nothing of where people tend to look; people look at "
    "the middle, so a prior that never sees the image starts with an advantage."
)

OTHERS = (
    "the others' blurred fixations are few and noisy, so leaving one observer out bounds what "
    "infinitely many people would predict from below."
)


def model_scores(
    table: pd.DataFrame,
    gain: dict[str, float],
    pairs: pd.DataFrame,
    images: int,
    networks: Sequence[str],
) -> str:
    """Words under 01_models: who scores what, who beats whom, and what fine-tuning brings.

    table: `evaluation.summary`; gain: `evaluation.difference` of fine-tuned and frozen; pairs:
    `evaluation.pairwise` on NSS; networks: the models that learned from fixations.
    """
    nss = table[table["metric"] == "nss"].set_index("model")
    human = nss.loc["human", "mean"]
    classic = nss.drop([*networks, "human", CENTRE]).sort_values("mean", ascending=False)
    rows = [
        f"{model} {number(*nss.loc[model, SPAN])}"
        + ("" if model == "human" else f" ({100 * nss.loc[model, 'mean'] / human:.0f} % of human)")
        for model in ["human", *networks, CENTRE]
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
    told = int((pairs["p_adjusted"] <= RATE).sum())
    return "\n".join(
        [
            *lines,
            f"- Of the {len(pairs)} pairs of models and people, {told} differ in NSS beyond chance "
            f"(paired permutation over images, {100 * RATE:.0f} % false discovery rate).",
        ]
    )


def _classical(classic: pd.DataFrame, nss: pd.DataFrame, pairs: pd.DataFrame) -> str:
    """Return a line on classical models, best first, between the centre prior and the network."""
    sure = pairs[pairs["p_adjusted"] <= RATE]
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
