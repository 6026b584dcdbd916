"""Sentences about units: notebooks 02, 03 and 09."""

from collections import Counter

import pandas as pd

from ...study import Study
from ..style import label
from .phrases import SPAN, listed, number, verdict


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
        f"untrained network's in **{len(above)} of {len(told)}** categories{_too_few(told, here)}: "
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
        f"images: {_above(counts, threshold)}. The ten best units chosen and scored on the same "
        f"images, as in the paper, average "
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


def _too_few(told: pd.DataFrame, all_of_them: pd.DataFrame) -> str:
    """Return " (too few images of …)" for the categories of which nothing could be told."""
    few = [c for c in all_of_them["category"] if c not in set(told["category"])]
    return f" (too few images of {listed(few)} to say)" if few else ""


def _above(counts: pd.DataFrame, threshold: float) -> str:
    """Return "pre-trained 12, fine-tuned 80": (unit, category) pairs above the threshold."""
    at = counts[counts["threshold"] == threshold].groupby("encoder", sort=False)["units"].sum()
    return ", ".join(f"{encoder} {units}" for encoder, units in at.items())


def fine_tuning(
    change: pd.DataFrame,
    layered: pd.DataFrame,
    crossfit: pd.DataFrame,
    counts: pd.DataFrame,
    threshold: float,
    study: Study,
) -> str:
    """Words under 03_fine_tuning (F2): what changed most, and the claimed pair by layer.

    layered: `report.favouring_by_layer`; crossfit: `report.tops` before and after, of units chosen
    on other images than they are scored on.
    """
    told = change[change["difference"].notna()].sort_values("difference", ascending=False)
    most, least = told.iloc[0], told.iloc[-1]
    pair = layered[layered["layer"] == study.layer].iloc[0]
    span = ["difference", "difference_low", "difference_high"]
    grown = int((told["difference_low"] > 0).sum())
    first, second = label(pair["first"]), label(pair["second"])
    found = verdict(
        pair["low"],
        pair["high"],
        f"**The paper's second finding holds at this layer**: fine-tuning favours {first} over "
        f"{second}",
        f"**At this layer it is the other way round**: fine-tuning favours {second} over {first}",
        f"**The paper's second finding is not decided at this layer**: {first} and {second} "
        "change alike, as far as these images tell",
    )
    more, less = layered[layered["low"] > 0], layered[layered["high"] < 0]
    rest = len(layered) - len(more) - len(less)
    extreme = layered.loc[layered["value"].abs().idxmax()]
    held_out = crossfit[crossfit["layer"] == study.layer].set_index("category")["mean"]
    honest = " and ".join(
        f"{label(c)} {' → '.join(f'{mean:.2f}' for mean in held_out[c])}"
        for c in (pair["first"], pair["second"])
    )
    return (
        f"- On {len(study.unseen)} images that no model learned from, at **{study.layer}**, the "
        f"ten best units' region NSS grows in {grown} of {len(told)} categories"
        f"{_too_few(told, change)}.\n"
        f"- Most for **{label(most['category'])}**: {most['before']:.2f} → {most['after']:.2f}, a "
        f"change of {number(*most[span])}; least for {label(least['category'])}: "
        f"{least['before']:.2f} → {least['after']:.2f}, {number(*least[span])}.\n"
        f"- Chosen and scored on the same images, the best of many noisy units look better than "
        f"they are, before as after. Chosen on one half and scored on the other: {honest}.\n"
        f"- Pairs of a unit and a category above T = {threshold:g} on these images: "
        f"{_above(counts, threshold)}.\n"
        f"- {found}; the difference of the two changes is "
        f"{number(pair['value'], pair['low'], pair['high'])}.\n"
        f"- Over the {len(layered)} layers: {first} is favoured at {len(more)}, {second} at "
        f"{len(less)}{f', undecided at {rest}' if rest else ''}; the largest difference is at "
        f"{extreme['layer']}: "
        f"{number(extreme['value'], extreme['low'], extreme['high'])}."
    )


def best_of_all(table: pd.DataFrame) -> str:
    """Words on the best unit of each category in each network, and how the first two compare.

    table: `UnitExplorer.table`.
    """
    encoders = list(dict.fromkeys(table["encoder"]))
    lines = [_most_selective(name, table[table["encoder"] == name]) for name in encoders]
    if len(encoders) > 1:
        lines.append(_compared(table, *encoders[:2]))
    return "\n".join(lines)


def _most_selective(name: str, table: pd.DataFrame) -> str:
    top = table.loc[table["low"].idxmax()]  # of the best guesses, the surest
    layer, n = Counter(table["layer"]).most_common(1)[0]
    return (
        f"- **{name}**: the most surely selective unit answers to {label(top['category'])} (unit "
        f"{top['unit']} of {top['layer']}, region NSS {number(*top[SPAN])}); {n} of {len(table)} "
        f"categories have their best unit in {layer}."
    )


def _compared(table: pd.DataFrame, one: str, other: str) -> str:
    """Say in how many categories the best unit of `one` is better, intervals apart."""
    a, b = (table[table["encoder"] == name].set_index("category") for name in (one, other))
    higher, lower = a.index[a["low"] > b["high"]], a.index[a["high"] < b["low"]]
    return (
        f"- The best unit of the {one} network is more selective than that of the {other} one, "
        f"their intervals apart, for {listed(list(higher))}; less selective for "
        f"{listed(list(lower))}."
    )
