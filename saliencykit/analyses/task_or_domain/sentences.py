"""Sentences about tasks: notebook 05."""

import pandas as pd

from ...study import Study
from ...viewing.claims import listed, number, verdict
from ...viewing.style import label
from .tables import AGAIN, OTHERS

SPAN = ["value", "low", "high"]
LEVELS = ("categories", "units")


def task_or_domain(
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
    return "\n".join(
        [
            _learned(learned),
            _how_far(drift, study.layer),
            _where_to(gains[gains["layer"] == study.layer], paired, study),
            _shared(shares, study.layer),
            _finding(shares, study.layer),
        ]
    )


def _learned(table: pd.DataFrame) -> str:
    last = table.groupby("task", sort=False).tail(1).set_index("task")
    classes = last[last["measure"] == "accuracy"]
    said = [
        f"{task} {number(row['validation'], row['low'], row['high'])} "
        f"(chance {row['chance']:.2f}; {'above' if row['low'] > row['chance'] else 'not above'} it)"
        for task, row in classes.iterrows()
    ]
    one, nss = classes.iloc[0], last.loc["saliency", "validation"]
    return (
        f"- Accuracy after {one['epoch']} epoch{'s' if one['epoch'] != 1 else ''}, on "
        f"{one['images']} validation images: {'; '.join(said)}. Saliency: NSS {nss:.2f} (chance 0)."
    )


def _how_far(table: pd.DataFrame, layer: str) -> str:
    chosen = (table["layer"] == layer) & (table["measure"] == "cka_debiased")
    at = table[chosen].set_index("task")
    ours, theirs = at.loc["saliency"], at.loc["scenes"]
    said = "saliency and scenes moved it equally far, as far as these images tell"
    if ours["high"] < theirs["low"]:
        said = "saliency moved it further than scenes did"
    elif ours["low"] > theirs["high"]:
        said = "scenes moved it further than saliency did"
    each = "; ".join(f"{task} {number(*row[SPAN])}" for task, row in at.iterrows())
    return (
        f"- **How far** at {layer}, debiased CKA with the pre-trained network: {each}: {said}. "
        f"{_furthest(table[table['measure'] == 'cka_debiased'])}"
    )


def _furthest(table: pd.DataFrame) -> str:
    """Say which task moved the network furthest at how many layers."""
    wide = table.pivot(index="layer", columns="task", values="value")
    most = wide.idxmin(axis=1).value_counts()
    nearer = int((wide["saliency"] < wide["scenes"]).sum())
    told = listed([f"{task} at {n}" for task, n in most.items()])
    return (
        f"Of the {len(wide)} layers, the task that moved the network furthest is {told}; saliency "
        f"moved it further than scenes at {nearer}."
    )


def _where_to(gains: pd.DataFrame, paired: pd.DataFrame, study: Study) -> str:
    told = paired[paired["difference"].notna()]
    more = told[told["difference_low"] > 0]["category"].tolist()
    less = told[told["difference_high"] < 0]["category"].tolist()
    most = told.loc[told["difference"].idxmax()]
    pair = gains[gains["category"] == most["category"]].set_index("task")
    moves = (
        f"{pair.loc[task, 'before']:.2f} → {pair.loc[task, 'after']:.2f} after {task}"
        for task in ("saliency", "scenes")
    )
    return (
        f"- **Where to**, on {len(study.unseen)} images that no model learned from: the ten best "
        f"units respond more after saliency than after scenes in {len(more)} of {len(told)} "
        f"categories ({listed(more)}), less in {len(less)} ({listed(less)}). Furthest apart is "
        f"**{label(most['category'])}**: {', '.join(moves)}; the difference is "
        f"{number(*most[['difference', 'difference_low', 'difference_high']])}."
    )


def _shared(table: pd.DataFrame, layer: str) -> str:
    at = table[(table["layer"] == layer) & (table["task"] == "saliency")]
    whole, units = (at[at["level"] == level].set_index("other") for level in LEVELS)
    if pd.isna(whole.loc[OTHERS, "share"]):
        return f"- **Domain or task** at {layer}: too little changed, or too few images, to say."
    others = [other for other in whole.index if other not in (OTHERS, AGAIN)]
    each = ", ".join(f"{other} {_percent(whole.loc[other])}" for other in others)
    said = (
        f"- **Domain or task** at {layer}: of what saliency training changes in the layer as a "
        f"whole, the other tasks on the same images bring {_percent(whole.loc[OTHERS])} on "
        f"average ({each})"
    )
    if AGAIN not in whole.index:
        return f"{said}."
    same = verdict(
        units.loc[AGAIN, "low"] - 0.5,
        units.loc[AGAIN, "high"] - 0.5,
        "it is mostly the same units that change",
        "which units change is mostly the luck of one training, so single units that changed are "
        "no evidence for either side",
        "whether the same units change is not decided",
    )
    return (
        f"{said}; a second saliency training, from another seed, {_percent(whole.loc[AGAIN])}. "
        f"Unit by unit, the others bring {_percent(units.loc[OTHERS])} and the second training "
        f"{_percent(units.loc[AGAIN])}: {same}."
    )


def _finding(table: pd.DataFrame, layer: str) -> str:
    """Judge the layer as a whole: the task's if it comes again, and not with other tasks."""
    ours = table[(table["task"] == "saliency") & (table["level"] == "categories")]
    by = {other: rows.set_index("layer") for other, rows in ours.groupby("other")}
    others, again = by[OTHERS], by.get(AGAIN)
    task, domain = others["high"] < 0.5, others["low"] > 0.5
    if again is not None:
        task &= again["low"] > 0.5
    found = (
        "holds here**: most of what saliency training changes comes with no other task"
        if task[layer]
        else "is contradicted here**: most of what saliency training changes comes with other "
        "tasks too"
        if domain[layer]
        else "is not decided here**: other tasks bring less than half of what saliency training "
        "changes, but nor does a second saliency training bring more: much of it is the luck of one"
        if again is not None and max(others["high"][layer], again["high"][layer]) < 0.5
        else "is not decided here**: whether most of what saliency training changes is due to the "
        "task or to the images, these numbers do not tell"
    )
    return (
        f"- **The paper's fourth finding {found} (at {layer}). Over the {len(others)} layers: the "
        f"task's at {int(task.sum())}, the domain's at {int(domain.sum())}, undecided at "
        f"{len(others) - int(task.sum()) - int(domain.sum())}."
    )


def _percent(row: pd.Series) -> str:
    """Return "12 % [5, 20]"."""
    value, low, high = (100 * row[k] for k in ("share", "low", "high"))
    return f"{value:.0f} % [{low:.0f}, {high:.0f}]"
