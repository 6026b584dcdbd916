"""What units respond to before a network has seen a fixation, in sentences: notebook 02."""

import pandas as pd

from ...study import Study
from ...viewing.claims import Sides, Span, bullets, listed, mention, pairs_above, percent, spans
from ...viewing.style import label


def what_we_see(
    gain: pd.DataFrame,
    shares: pd.DataFrame,
    same: pd.DataFrame,
    counts: pd.DataFrame,
    threshold: float,
    best: pd.DataFrame,
    study: Study,
) -> str:
    """Words under 02_pretrained_units (F1).

    gain: untrained → pre-trained by layer, cross-fitted; same: top means chosen as in the paper;
    counts: `report.counts`; best: each category's most selective unit.
    """
    layers = {
        layer: Sides.of(spans(rows, "difference"))
        for layer, rows in gain.groupby("layer", sort=False)
    }
    by_layer = ", ".join(f"{layer} {len(s.above)}/{len(s.below)}" for layer, s in layers.items())
    here, found = gain[gain["layer"] == study.layer], layers[study.layer]
    own = same[same["encoder"] == "pre-trained"]["mean"].mean()
    unit, times = best["unit"].mode()[0], best["unit"].value_counts().max()
    if found.above:
        holds = "holds in part" if found.below or found.undecided else "holds"
    else:
        holds = "does not hold" if found.below and not found.undecided else "is not shown"
    accuracy = study.pretrained.accuracy
    taught = "" if accuracy is None else f"to name objects: {percent(accuracy, 1)} held out"
    return bullets(f"""
        - At **{study.layer}**, object recognition alone makes the ten best units respond more than
          an untrained network's in **{found.counted}** categories{found.too_few}:
          {listed(found.above)}. {mention("Less for {}.", found.below)}
          {mention("Not decided for {}.", found.undecided)}
        - {_largest(here, next(iter(found.above)), shares) if found.above else ""}
        - By layer, categories above and below the untrained network's: {by_layer}.
        - Pairs of a unit and a category above T = {threshold:g}, on {len(study.annotated)} images:
          {pairs_above(counts, threshold)}. The ten best units chosen and scored on the same images,
          as in the paper, average {own:.2f} over categories; chosen on one half and scored on the
          other, {here["after"].mean():.2f}.
        - Selective is not the same as specific: the {len(best)} categories share
          {best["unit"].nunique()} best units; the most shared, unit {unit}, is the best for {times}
          of them.
        - {f"The network was taught {taught}." if taught else ""}
        - **The paper's first finding {holds} at this layer**, by this measure and control.
    """)


def _largest(gain: pd.DataFrame, category: str, shares: pd.DataFrame) -> str:
    """Say what the layer gains for a category, and how many of its units answer to it."""
    row = gain.set_index("category").loc[category]
    wide = shares.pivot(index="category", columns="encoder", values="share").loc[category]
    beyond = (
        "Beating chance is thus no sign of learning: what stands out on an image drives random "
        "filters too. How strongly the best units respond is."
    )
    return f"""The largest gain is {label(category)}: region NSS {Span.of(row, "after"):.2f} against
        {Span.of(row, "before"):.2f} untrained; {percent(wide["pre-trained"])} of the units respond
        to it beyond chance (untrained {percent(wide["untrained"])}).
        {beyond if wide["untrained"] >= wide["pre-trained"] else ""}"""
