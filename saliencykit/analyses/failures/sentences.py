"""How far a model is from people, where, and what helps, in sentences: notebook 06."""

import pandas as pd

from ...viewing.claims import Sides, Spans, bullets, mention, percent, spans
from ...viewing.style import label
from .tables import OUTSIDE


def what_we_see(
    gaps: pd.DataFrame, excess: pd.DataFrame, compared: pd.DataFrame, plain: str
) -> str:
    """Words under 06_failures: where the `plain` model is far from people, and what helps."""
    gap, worst = gaps["gap"], gaps.iloc[0]
    sides = (compared[compared["side"] == side] for side in ("natural", "arrays"))
    nss, gsi = (spans(side, "difference", by="model") for side in sides)
    means = compared.set_index(["side", "model"])["mean"]
    remedies = "\n".join(
        f"""- **{name.capitalize()}**: NSS {nss[name]:+.2f}, GSI {gsi[name]:+.3f}; it makes the odd
        item stand out {gsi[name]:more|less|neither surely more nor less} and
        {nss[name]:improves the|costs some|costs no certain} prediction of fixations."""
        for name in nss
        if name != plain
    )
    return bullets(f"""
        - The {plain} model is below the human ceiling on {percent((gap > 0).mean())} of {len(gap)}
          images{_concentrated(gap.clip(lower=0))}. The widest gap is on {worst["image"]}: NSS
          {worst["model"]:.2f} against {worst["human"]:.2f}.
        - {_expected(excess)}
        - Plain: NSS {means["natural", plain]:.2f} on natural images, GSI
          {means["arrays", plain]:.3f} on arrays of searches that are efficient for people.
        {remedies}
        - **What to do**: {_advice(nss, gsi, means["natural", plain])}
    """)


def _expected(excess: pd.DataFrame) -> str:
    """Say of which categories the model expects too much or too little."""
    if excess.empty:
        return """No regions are annotated, so which kinds of things it expects too many fixations
            on, or too few, is not asked."""
    named = excess.replace({"category": {OUTSIDE: "what lies outside all regions"}})
    found, beyond = (spans(named, what) for what in ("excess", "beyond"))
    many, few = (
        mention("{} % of people's share", _both(found, beyond, side), "+.0f")
        or "no category beyond doubt"
        for side in ("many", "few")
    )
    people = Sides.of(spans(named, "people"))
    return f"""It expects too many fixations on {many}; too few on {few}. Told is what lies off 0
        both as it is and beyond what other people expect of the same people's fixations.
        {_off(people, len(named))}"""


def _both(found: Spans, beyond: Spans, side: str) -> Spans:
    """Return the excesses that lie, and also beyond people's own, on one side: "many" or "few"."""
    sure = {c for c in found if f"{found[c]:many|few|}" == f"{beyond[c]:many|few|}" == side}
    return {c: span for c, span in found.items() if c in sure}


def _off(people: Sides, categories: int) -> str:
    """Say how often, and how far, other people's expectations are off themselves."""
    off = {**people.above, **people.below}
    if not off:
        return ""
    most = max(off, key=lambda category: abs(off[category].value))
    return f"""These other people are off themselves in {len(off)} of {categories} (what lies
        outside counts as one), most in {label(most)}, by {off[most]:+.0f} %: their density is
        blurred, so that it leaks out of small regions, as a model's may."""


def _concentrated(missing: pd.Series) -> str:
    """Say what part of all that is missing the widest quarter of gaps makes; widest first."""
    share = missing.head(max(1, len(missing) // 4)).sum() / (missing.sum() or 1)
    said = f"; of what it misses there, the quarter with the widest gaps makes {percent(share)}"
    return said if missing.any() else ""


def _advice(nss: Spans, gsi: Spans, whole: float) -> str:
    """Say which remedy raises the odd item most, or, where none is free, most for what it costs.

    whole: the plain model's NSS on natural images.
    """
    raising = Sides.of(gsi).above
    free = [name for name in raising if nss[name].high >= 0]
    if not raising:
        return "none of them makes the odd item stand out more; look elsewhere."
    if free:
        return f"""of what raises the odd item without a certain loss on natural images, the model
            {free[0]} raises it most."""
    best = max(raising, key=lambda name: gsi[name].value / -nss[name].value)
    return f"""what makes the odd item stand out more has its price. The model {best} gives most for
        it: GSI {gsi[best].value:+.3f} for {percent(-nss[best].value / whole, 1)} of the NSS on
        natural images."""
