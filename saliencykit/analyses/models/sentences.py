"""Who predicts fixations how well, and who better than whom, in sentences: notebook 01."""

from collections.abc import Mapping, Sequence

import pandas as pd

from ...evaluation import CENTRE
from ...evaluation.people import MANY
from ...intervals import RATE
from ...viewing.claims import Span, Spans, bullets, mention, percent, spans
from ...viewing.style import label


def what_we_see(
    table: pd.DataFrame,
    gain: Mapping[str, float],
    pairs: pd.DataFrame,
    images: int,
    networks: Sequence[str],
) -> str:
    """Words under 01_models: who scores what, who beats whom, and what fine-tuning brings.

    table: `tables.with_limit`; gain: `evaluation.difference` of fine-tuned and frozen; pairs:
    `evaluation.pairwise` on NSS; networks: the models that learned from fixations.
    """
    nss = spans(table[table["metric"] == "nss"], "mean", by="model")
    human, helped, sure = nss["human"], Span.of(gain, "mean"), pairs[pairs["p_adjusted"] <= RATE]
    shown, limit = [*networks, CENTRE], nss.get(MANY)
    most, whose = (limit, "the limit") if limit else (human, "human")
    rows = [f"{m} {nss[m]:.2f} ({percent(nss[m].value / most.value)} of {whose})" for m in shown]
    classic = {m: span for m, span in nss.items() if m not in (*shown, "human", MANY)}
    beaten = [m for m in nss if nss[m].value > human.value and m != MANY]
    people = (
        f", {percent(human.value / limit.value)} of the limit {limit:.2f} that "
        "infinitely many people would reach"
        if limit
        else ""
    )
    no_contradiction = (
        "Scoring above people, as {}, is no contradiction: the others' blurred fixations are few "
        "and noisy, so leaving one observer out bounds what infinitely many people would predict "
        "from below."
    )
    return bullets(f"""
        - NSS on {images} validation images: human {human:.2f}{people};
          {"; ".join(rows)}.{_bits(table, networks)}
          {mention(no_contradiction, beaten)}
        - Fine-tuning the encoder {helped:helps|hurts|is not shown to help or hurt}: {helped:.2f}
          NSS more than the frozen readout, on the same images.
        - {_classical(classic, nss, sure) if classic else ""}
        - Of the {len(pairs)} pairs of models and people, {len(sure)} differ in NSS beyond chance
          (paired permutation over images, {percent(RATE)} false discovery rate).
    """)


def _bits(table: pd.DataFrame, networks: Sequence[str]) -> str:
    """Say which share of people's information gain, at the limit if it is known, networks reach."""
    bits = spans(table[table["metric"] == "ig"], "mean", by="model")
    most = bits.get(MANY, bits.get("human"))
    if most is None or not most.value > 0:
        return ""
    shares = [f"{m} {percent(bits[m].value / most.value)}" for m in networks if m in bits]
    return f" Of people's information gain ({most:.2f} bits): {', '.join(shares)}."


def _classical(classic: Spans, nss: Spans, sure: pd.DataFrame) -> str:
    """Say how classical models lie between the centre prior and the network."""
    ranked = sorted(classic, key=lambda m: -classic[m].value)
    below = [m for m in ranked if classic[m].value <= nss[CENTRE].value]
    above = [m for m in ranked if classic[m].value >= nss["fine-tuned"].value]
    between = [m for m in ranked if m not in (*below, *above)]
    differ = {frozenset(pair) for pair in zip(sure["first"], sure["second"], strict=True)}
    surely = [m for m in between if {frozenset((m, e)) for e in (CENTRE, "fine-tuned")} <= differ]
    no_better = (
        "No better than the centre prior: {}. A classical model knows the image and nothing of "
        "where people tend to look; people look at the middle, so a prior that never sees the "
        "image starts with an advantage."
    )
    best, worst = ranked[0], ranked[-1]
    return f"""Of the {len(classic)} classical models, which never saw a fixation, {label(best)}
        scores most, {classic[best]:.2f}, and {label(worst)} least, {classic[worst]:.2f};
        {len(between)} of them lie between the centre prior and the fine-tuned network,
        {len(surely)} beyond chance from both.
        {mention("No worse than the fine-tuned network: {}.", above)} {mention(no_better, below)}"""
