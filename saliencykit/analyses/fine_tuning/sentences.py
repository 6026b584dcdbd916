"""What changed most, and the claimed pair by layer, in sentences."""

import pandas as pd

from ...study import Study
from ...viewing.claims import number, pairs_above, too_few, verdict
from ...viewing.style import label


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
        f"{too_few(told, change)}.\n"
        f"- Most for **{label(most['category'])}**: {most['before']:.2f} → {most['after']:.2f}, a "
        f"change of {number(*most[span])}; least for {label(least['category'])}: "
        f"{least['before']:.2f} → {least['after']:.2f}, {number(*least[span])}.\n"
        f"- Chosen and scored on the same images, the best of many noisy units look better than "
        f"they are, before as after. Chosen on one half and scored on the other: {honest}.\n"
        f"- Pairs of a unit and a category above T = {threshold:g} on these images: "
        f"{pairs_above(counts, threshold)}.\n"
        f"- {found}; the difference of the two changes is "
        f"{number(pair['value'], pair['low'], pair['high'])}.\n"
        f"- Over the {len(layered)} layers: {first} is favoured at {len(more)}, {second} at "
        f"{len(less)}{f', undecided at {rest}' if rest else ''}; the largest difference is at "
        f"{extreme['layer']}: "
        f"{number(extreme['value'], extreme['low'], extreme['high'])}."
    )
