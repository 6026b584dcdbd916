"""How far each task moved the networks, and whether networks of one task are alike: notebook 05."""

from collections.abc import Sequence
from itertools import starmap

import pandas as pd

from ...findings.alike import NAMES
from ...intervals import RATE
from ...study import Study
from ...viewing.claims import UNKNOWN, Sides, Span, bullets, listed, mention, moved, percent, spans
from ...viewing.plots import only
from ...viewing.style import label
from .tables import MEAN


def what_we_see(
    learned: pd.DataFrame,
    drift: pd.DataFrame,
    gains: pd.DataFrame,
    by_layer: pd.DataFrame,
    apart: pd.DataFrame,
    study: Study,
) -> str:
    """Words under 05_task_or_domain (F4): which networks became alike, and by how much.

    The tables are those of `tables` with the same names.
    """
    at = by_layer[by_layer["layer"] == study.layer].set_index("measure")
    ours = apart[apart["first"] == "saliency"]
    return bullets(f"""
        - {_learned(only(learned, training=MEAN), study.trainings_beside)}
        - {_how_far(only(drift, training=MEAN, measure="cka_debiased"), study.layer)}
        - {_where_to(only(gains, training=MEAN), len(study.unseen), study.read)}
        - **Domain or task** at {study.layer}, {_alike(at)}
        - {_apart(ours)}
        - {_over_layers(by_layer)}
        - **The paper's fourth finding {_finding(at, ours)}
    """)


def _learned(table: pd.DataFrame, trainings: int) -> str:
    last = table.groupby("task", sort=False).tail(1).set_index("task")
    classes, nss = last[last["measure"] == "accuracy"], Span.of(last.loc["saliency"])
    told = [
        f"{task} {span:.2f} (chance {chance:.2f}; {span - chance:above|not above|not surely above} "
        f"it; on training images {row['train']:.2f})"
        for task, row in classes.iterrows()
        for span, chance in [(Span.of(row), row["chance"])]
    ]
    one, unlearned = classes.iloc[0], list(classes.index[classes["train"] <= classes["chance"]])
    noise = "Not even by heart were learned {}: what such networks share, noise taught them."
    return f"""Means of {trainings} trainings each. Accuracy after epoch {one["epoch"]}, on
        {one["images"]} validation images: {"; ".join(told)}. Saliency: NSS {nss:.2f} (chance 0).
        {mention(noise, unlearned)}"""


def _how_far(table: pd.DataFrame, layer: str) -> str:
    at = spans(table[table["layer"] == layer], by="task")
    nearer = at["scenes"] - at["saliency"]
    return f"""**How far** at {layer}, debiased CKA with the pre-trained network:
        {listed(at, ".2f")}: saliency moved it
        {nearer:further than|less far than|neither surely further nor less far than} scenes did."""


def _where_to(gains: pd.DataFrame, images: int, read: Sequence[str]) -> str:
    sides = {
        task: Sides.of(spans(of_task, "difference"))
        for task, of_task in gains.groupby("task", sort=False)
    }
    told = [f"{t} {len(s.above)} and {len(s.below)} of {len(s.known)}" for t, s in sides.items()]
    ours, scenes = (only(gains, task=task).set_index("category") for task in ("saliency", "scenes"))
    gap = (ours["after"] - scenes["after"]).abs()
    if gap.isna().all():
        return ""
    most = gap.idxmax()
    pair = (moved(*of.loc[most, ["before", "after"]]) for of in (ours, scenes))
    several = f", of networks that read {listed(read, text=str)}" if len(read) > 1 else ""
    return f"""**Where to**, on {images} images that no model learned from{several}: categories
        whose ten best units respond more, and less, afterwards than before:
        {", ".join(told)}{sides["saliency"].too_few}.
        Furthest apart is **{label(str(most))}**: {" after saliency, ".join(pair)} after scenes."""


def _alike(at: pd.DataFrame) -> str:
    told = [
        f"""{NAMES[measure]}: {row["within"]:.3f} within a task, {row["between"]:.3f} between,
        difference {Span.of(row):.3f}, p = {row["p"]:.2g}"""
        if row["p"] == row["p"]
        else f"{NAMES[measure]}: {UNKNOWN}"
        for measure, row in at.iterrows()
    ]
    deals = at["deals"].iloc[0]
    return f"""how alike two networks are ({deals} deals of the tasks' names, so that no p is below
        {1 / deals:.2g}): {"; ".join(told)}."""


def _apart(ours: pd.DataFrame) -> str:
    """Say from which tasks' networks those of saliency are told apart, by measure."""
    sides = {
        NAMES[measure]: Sides.of(spans(of, by="second"))
        for measure, of in ours.groupby("measure", sort=False)
    }
    told = [
        f"by {name} from {listed(side.above, '.3f')}"
        + mention(" (undecided: {})", {**side.below, **side.undecided, **side.unknown}, ".3f")
        for name, side in sides.items()
    ]
    return f"""Saliency networks stand apart (within the two tasks, on average, more alike than one
        task's with the other's) {"; ".join(told)}."""


def _over_layers(table: pd.DataFrame) -> str:
    told = [
        f"{NAMES[measure]} at {(of['p_adjusted'] <= RATE).sum()}"
        for measure, of in table.groupby("measure", sort=False)
    ]
    layers = table["layer"].nunique()
    return f"""Of {layers} layers, networks of one task are found more alike by {listed(told)}
        (false discovery rate {percent(RATE)})."""


def _finding(at: pd.DataFrame, ours: pd.DataFrame) -> str:
    alike = (at["p"] <= RATE).all()
    sure = all(span.low > 0 for span in starmap(Span, ours[["value", "low", "high"]].to_numpy()))
    if alike and sure:
        return """holds here**: by all three measures networks of one task are more alike than
            those of different tasks on the same images, and saliency's stand apart from those of
            every other task, in the direction of their change too. How much that is the numbers
            above tell."""
    if alike:
        return """is not decided here**: these networks are more alike within a task than between
            tasks by all three measures, if the tasks' names are dealt out; but that saliency's
            stand apart from those of every other task, in other trainings too, is not shown by
            all of them."""
    return """is not decided here**: that networks of one task are more alike than those of
        different tasks is not shown by all three measures."""
