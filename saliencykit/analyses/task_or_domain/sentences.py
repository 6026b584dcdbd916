"""How far each task moved the network, where to, and whose doing that is: notebook 05."""

from collections import Counter

import pandas as pd

from ...study import Study
from ...viewing.claims import Sides, Span, Spans, bullets, listed, moved, spans
from ...viewing.style import label
from .tables import AGAIN, OTHERS

HALF = 0.5  # of what a training changes: what brings more brings most of it
FINDING = {
    "task": "holds here**: most of what saliency training changes comes with no other task",
    "domain": "is contradicted here**: most of what saliency training changes comes with other "
    "tasks too",
    "luck": "is not decided here**: other tasks bring less than half of what saliency training "
    "changes, but nor does a second saliency training bring more: much of it is the luck of one",
    "open": "is not decided here**: whether most of what saliency training changes is due to the "
    "task or to the images, these numbers do not tell",
}


def what_we_see(
    learned: pd.DataFrame,
    drift: pd.DataFrame,
    gains: pd.DataFrame,
    paired: pd.DataFrame,
    shares: pd.DataFrame,
    study: Study,
) -> str:
    """Words under 05_task_or_domain (F4): how far each task moved the network, and where to.

    learned: `evaluation.learning`; drift, gains, shares: of `dissection.task_share`; paired:
    `dissection.change` from the network for scenes to the one for saliency.
    """
    ours = shares[shares["task"] == "saliency"]
    units, whole = ours[ours["level"] == "units"], ours[ours["level"] == "categories"]
    at = [spans(t[t["layer"] == study.layer], "share", by="other") for t in (whole, units)]
    return bullets(f"""
        - {_learned(learned)}
        - {_how_far(drift[drift["measure"] == "cka_debiased"], study.layer)}
        - {_where_to(gains[gains["layer"] == study.layer], paired, len(study.unseen))}
        - **Domain or task** at {study.layer}: {_shared(*at)}
        - **The paper's fourth finding {_finding(whole, study.layer)}
    """)


def _learned(table: pd.DataFrame) -> str:
    last = table.groupby("task", sort=False).tail(1).set_index("task")
    classes, nss = last[last["measure"] == "accuracy"], last.loc["saliency", "validation"]
    told = [
        f"{task} {span:.2f} (chance {chance:.2f}; {span - chance:above|not above|not above} it)"
        for task, row in classes.iterrows()
        for span, chance in [(Span.of(row, "validation"), row["chance"])]
    ]
    one = classes.iloc[0]
    return f"""Accuracy after epoch {one["epoch"]}, on {one["images"]} validation images:
        {"; ".join(told)}. Saliency: NSS {nss:.2f} (chance 0)."""


def _how_far(table: pd.DataFrame, layer: str) -> str:
    at = spans(table[table["layer"] == layer], by="task")
    nearer = at["scenes"] - at["saliency"]
    wide = table.pivot(index="layer", columns="task", values="value")
    most = [f"{task} at {n}" for task, n in wide.idxmin(axis=1).value_counts().items()]
    return f"""**How far** at {layer}, debiased CKA with the pre-trained network:
        {listed(at, ".2f")}: saliency moved it
        {nearer:further than|less far than|neither surely further nor less far than} scenes did. Of
        the {len(wide)} layers, the task that moved the network furthest is {listed(most)}; saliency
        moved it further than scenes at {(wide["saliency"] < wide["scenes"]).sum()}."""


def _where_to(gains: pd.DataFrame, paired: pd.DataFrame, images: int) -> str:
    found = Sides.of(spans(paired, "difference"))
    most = paired.loc[paired["difference"].abs().idxmax()]
    pair = gains[gains["category"] == most["category"]].set_index("task")[["before", "after"]]
    return f"""**Where to**, on {images} images that no model learned from: the ten best units
        respond more after saliency than after scenes in {found.counted} categories
        ({listed(found.above)}), less in {len(found.below)} ({listed(found.below)}). Furthest apart
        is **{label(most["category"])}**: {moved(*pair.loc["saliency"])} after saliency,
        {moved(*pair.loc["scenes"])} after scenes; the difference is
        {Span.of(most, "difference"):.2f}."""


def _shared(whole: Spans, units: Spans) -> str:
    """Say how much of saliency's change the others bring: in the layer as a whole, and by unit."""
    if not whole[OTHERS].known:
        return "too little changed, or too few images, to say."
    others = {other: span for other, span in whole.items() if other not in (OTHERS, AGAIN)}
    said = f"""of what saliency training changes in the layer as a whole, the other tasks on the
        same images bring {whole[OTHERS]:.0%} on average ({listed(others, ".0%")})"""
    if AGAIN not in whole:
        return f"{said}."
    same = units[AGAIN] - HALF
    luck = """which units change is mostly the luck of one training, so single units that changed
        are no evidence for either side"""
    return f"""{said}; a second saliency training, from another seed, {whole[AGAIN]:.0%}. Unit by
        unit, the others bring {units[OTHERS]:.0%} and the second training {units[AGAIN]:.0%}:
        {same:it is mostly the same units that change|{luck}|whether it is the same ones is open}.
        """


def _finding(table: pd.DataFrame, layer: str) -> str:
    found = spans(table, "share", by=["other", "layer"])
    layers = dict.fromkeys(table["layer"])
    whose = {at: _whose(found[OTHERS, at], found.get((AGAIN, at))) for at in layers}
    told = Counter(whose.values())
    return f"""{FINDING[whose[layer]]} (at {layer}). Over the {len(layers)} layers: the task's at
        {told["task"]}, the domain's at {told["domain"]}, undecided at
        {told["luck"] + told["open"]}."""


def _whose(others: Span, again: Span | None) -> str:
    """Judge a layer as a whole: the task's if it comes again, and not with other tasks."""
    if others.high < HALF:
        return f"{again - HALF:task|luck|open}" if again else "task"
    return "domain" if others.low > HALF else "open"
