"""Sentences about units: notebooks 02, 03 and 09."""

import pandas as pd

from ...study import Study
from ...viewing.claims import listed, number, pairs_above, too_few
from ...viewing.style import label


def pretrained(
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
    here = gain[gain["layer"] == study.layer]
    told = here[here["difference"].notna()]
    above = told[told["difference_low"] > 0].sort_values("difference", ascending=False)
    below = told[told["difference_high"] < 0].sort_values("difference")["category"].tolist()
    rest = told[(told["difference_low"] <= 0) & (told["difference_high"] >= 0)]["category"].tolist()
    layer, accuracy = study.layer, study.pretrained.accuracy
    wide = shares.pivot(index="category", columns="encoder", values="share")
    lines = [
        f"- At **{layer}**, object recognition alone makes the ten best units respond more than an "
        f"untrained network's in **{len(above)} of {len(told)}** categories{too_few(told, here)}: "
        f"{listed(above['category'].tolist())}."
        + (f" Less for {listed(below)}." if below else "")
        + (f" Not decided for {listed(rest)}." if rest else "")
    ]
    if len(above):
        top = above.iloc[0]
        ours, control = 100 * wide.loc[top["category"], ["pre-trained", "untrained"]]
        lines.append(
            f"- The largest gain is {label(top['category'])}: region NSS "
            f"{number(top['after'], top['after_low'], top['after_high'])} against "
            f"{number(top['before'], top['before_low'], top['before_high'])} untrained; "
            f"{ours:.0f} % of the units respond to it beyond chance (untrained {control:.0f} %)."
            + (
                " Beating chance is thus no sign of learning: what stands out on an image drives "
                "random filters too. How strongly the best units respond is."
                if control >= ours
                else ""
            )
        )
    if gain["layer"].nunique() > 1:
        lines.append(f"- {_over_layers(gain)}")
    lines.append(
        f"- Pairs of a unit and a category above T = {threshold:g}, on {len(study.annotated)} "
        f"images: {pairs_above(counts, threshold)}. The ten best units chosen and scored on the "
        f"same images, as in the paper, average "
        f"{same[same['encoder'] == 'pre-trained']['mean'].mean():.2f} over categories; chosen on "
        f"one half and scored on the other, {told['after'].mean():.2f}."
    )
    unit, times = best["unit"].mode()[0], int(best["unit"].value_counts().max())
    lines.append(
        f"- Selective is not the same as specific: the {len(best)} categories share "
        f"{best['unit'].nunique()} best units"
        + (f", and unit {unit} is the best for {times} of them." if times > 1 else ".")
    )
    if accuracy is not None:
        lines.append(f"- The network was taught to name objects: {100 * accuracy:.1f} % held out.")
    claim = "does not hold" if not len(above) else "holds in part" if rest or below else "holds"
    lines.append(
        f"- **The paper's first finding {claim} at this layer**, by this measure and control."
    )
    return "\n".join(lines)


def _over_layers(gain: pd.DataFrame) -> str:
    """Say at how many categories each layer is above its untrained self, and below."""
    by_layer = gain.groupby("layer", sort=False)
    above = by_layer["difference_low"].agg(lambda low: int((low > 0).sum()))
    below = by_layer["difference_high"].agg(lambda high: int((high < 0).sum()))
    each = ", ".join(f"{layer} {above[layer]}/{below[layer]}" for layer in above.index)
    return f"By layer, categories above and below the untrained network's: {each}."
