"""What changed most, and the claimed pair by layer, in sentences: notebook 03."""

import pandas as pd

from ...study import Study
from ...viewing.claims import Sides, Span, bullets, extremes, moved, pairs_above, spans
from ...viewing.style import label


def what_we_see(
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
    found, (most, least) = Sides.of(spans(change, "difference")), extremes(change, "difference")
    pair = layered[layered["layer"] == study.layer].iloc[0]
    favoured, layers = Span.of(pair), Sides.of(spans(layered, by="layer"))
    first, second = label(pair["first"]), label(pair["second"])
    furthest = layered.loc[layered["value"].abs().fillna(0).idxmax()]
    held_out = crossfit[crossfit["layer"] == study.layer].set_index("category")["mean"]
    return bullets(f"""
        - On {len(study.unseen)} images that no model learned from, at **{study.layer}**, the ten
          best units' region NSS grows in {found.counted} categories{found.too_few}.
        - Most for **{label(most["category"])}**: {moved(most["before"], most["after"])}, a change
          of {Span.of(most, "difference"):.2f}; least for {label(least["category"])}:
          {moved(least["before"], least["after"])}, {Span.of(least, "difference"):.2f}.
        - Chosen and scored on the same images, the best of many noisy units look better than they
          are, before as after. Chosen on one half and scored on the other:
          {first} {moved(*held_out[pair["first"]])} and {second} {moved(*held_out[pair["second"]])}.
        - Pairs of a unit and a category above T = {threshold:g} on these images:
          {pairs_above(counts, threshold)}.
        - **The paper's second finding {favoured:holds|is the other way round|is not decided} at
          this layer**: fine-tuning favours
          {favoured:{first} over {second}|{second} over {first}|neither beyond doubt}; the
          difference of the two changes is {favoured:.2f}.
        - Over the {len(layered)} layers: {first} is favoured at {len(layers.above)}, {second} at
          {len(layers.below)}, undecided at {len(layers.undecided) + len(layers.unknown)}; the
          largest difference is at {furthest["layer"]}: {Span.of(furthest):.2f}.
    """)
