"""What units respond to before a network has seen a fixation, in sentences: notebook 02."""

from collections.abc import Mapping

import pandas as pd

from ...dissection.controls import ALL, singles
from ...intervals import RATE
from ...study import Study
from ...viewing.claims import Sides, Span, bullets, listed, mention, percent, spans
from ...viewing.plots import only, unique
from ...viewing.style import label
from .figures import best_named
from .tables import PRETRAINED


def what_we_see(
    layered: pd.DataFrame,
    best: pd.DataFrame,
    decoding: pd.DataFrame,
    same: pd.DataFrame,
    counts: pd.DataFrame,
    threshold: float,
    shown: pd.DataFrame,
    dimensions: pd.Series,
    study: Study,
    pictured: pd.DataFrame,
) -> str:
    """Words under 02_pretrained_units (F1).

    layered: `best_beyond` by layer; best: `tables.best`, at the study's layer, the paper's choice
    of how many units are the best last; decoding: `decoding_beyond`; same: top means chosen as in
    the paper; counts: `report.counts`; shown: each category's most selective unit; dimensions:
    participation ratios; pictured: `tables.best_at_regions`.
    """
    layers = {layer: corrected(only(layered, layer=layer)) for layer in unique(layered, "layer")}
    here, found = only(layered, layer=study.layer), layers[study.layer]
    alone = here["own"].notna().sum() == 1
    choices = unique(best, "best")
    share, ten = (only(best, best=choice) for choice in (choices[0], choices[-1]))
    ratios, control = dimensions.drop(PRETRAINED), f"{singles(layered).shape[1]} random ones"
    return bullets(f"""
        - At **{study.layer}**, {best_named(share["best"].iloc[0])} ({share["units"].iloc[0]})
          {_one_here(here, control) if alone else _several_here(found, control)}
        - {_largest(here, next(iter(found.above))) if found.above and not alone else ""}
        - {_as_in_the_paper(ten) if len(choices) > 1 else "The paper takes as many units."} Chosen
          and scored on the same images, as in the paper, they average {same["mean"].mean():.2f}
          {"there" if alone else "over categories"}; chosen on one half and scored on the other,
          {ten["own"].mean():.2f}.
        - {_one_by_layer(layers) if alone else _by_layer(layers)}
        - {_decoded(decoding, study.layer)}
        - Pairs of a unit and a category above T = {threshold:g}, on {len(study.annotated)} images:
          {_pairs_above(counts, threshold)}.
        - The untrained networks' units span {ratios.mean():.1f} directions at {study.layer}
          (participation ratio; {ratios.min():.1f} to {ratios.max():.1f}), the pre-trained
          network's {dimensions[PRETRAINED]:.1f}.
        - {"" if alone else _shared(shown)}
        - {_one_image(pictured)}
        - {_finding(found, study, next(iter(found.known)) if alone and found.known else "")}
    """)


def _several_here(found: Sides, control: str) -> str:
    """Say for which of several categories the layer's best units exceed untrained ones."""
    return f"""respond more than an untrained network's ({control}, batch norm set on the training
        images) in **{found.counted}** categories{found.too_few}: {listed(found.above)}.
        {mention("Less for {}.", found.below)} {mention("Not decided for {}.", found.undecided)}
        Intervals hold other images and another untrained network; tests are corrected over
        categories."""


def _one_here(here: pd.DataFrame, control: str) -> str:
    """Say whether the layer's best units exceed untrained ones in the only category."""
    row = here.dropna(subset="own").iloc[0]
    gain = Span.of(row, "difference")
    return f"""respond {gain:more|less|neither surely more nor less} than an untrained network's
        ({control}, batch norm set on the training images) to **{label(row["category"])}**, the only
        category to be asked: region NSS {Span.of(row, "own"):.2f} against {row["controls"]:.2f},
        {gain:+.2f}. Intervals hold other images and another untrained network."""


def _by_layer(layers: Mapping[str, Sides]) -> str:
    """Say at each layer in how many categories units exceed untrained ones, and fall short."""
    counts = ", ".join(f"{layer} {len(s.above)}/{len(s.below)}" for layer, s in layers.items())
    return f"By layer, categories above and below an untrained network's: {counts}."


def _one_by_layer(layers: Mapping[str, Sides]) -> str:
    """Say at which layers units exceed untrained ones in the only category, and fall short."""
    said = [("above", "above an untrained network's at"), ("below", "below at")]
    told = [
        f"{words} {listed(some, text=str)}"
        for side, words in [*said, ("undecided", "not decided at")]
        if (some := [layer for layer, sides in layers.items() if getattr(sides, side)])
    ]
    return f"By layer, {'; '.join(told)}." if told else ""


def _shared(shown: pd.DataFrame) -> str:
    """Say how many categories share their best unit."""
    unit, times = shown["unit"].mode()[0], shown["unit"].value_counts().max()
    return f"""Selective is not the same as specific: the {len(shown)} categories share
        {shown["unit"].nunique()} best units; the most shared, unit {unit}, is the best for
        {times} of them."""


def _as_in_the_paper(ten: pd.DataFrame) -> str:
    """Say what the paper's number of units shows, where the layer's share is another number."""
    found, told = corrected(ten), ten.dropna(subset="own")
    if len(told) == 1:
        gain = Span.of(told.iloc[0], "difference")
        return f"With {best_named(ten['best'].iloc[0])}, as in the paper, {gain:+.2f}."
    return f"""With {best_named(ten["best"].iloc[0])}, as in the paper, more in {found.counted}:
        {listed(found.above)}. {mention("Less for {}.", found.below)}"""


def corrected(rows: pd.DataFrame) -> Sides:
    """Return the categories by side of 0, undecided where correction leaves none."""
    sides = Sides.of(spans(rows, "difference"))
    kept = set(rows.loc[rows["p_adjusted"] <= RATE, "category"])
    above, below = ({n: s for n, s in side.items() if n in kept} for side in sides[:2])
    lost = {n: s for side in sides[:2] for n, s in side.items() if n not in kept}
    return Sides(above, below, {**sides.undecided, **lost}, sides.unknown)


def _largest(rows: pd.DataFrame, category: str) -> str:
    """Say how much the layer's best units gain for a category."""
    row = rows.set_index("category").loc[category]
    return f"""The largest gain is {label(category)}: region NSS {Span.of(row, "own"):.2f} against
        {row["controls"]:.2f} untrained, {Span.of(row, "difference"):+.2f}."""


def _decoded(decoding: pd.DataFrame, layer: str) -> str:
    """Say what whole layers know of the category, by layer and at `layer`."""
    if decoding["own"].isna().all():
        return """With one category there is nothing to tell it from: what whole layers know of a
            region's category is not asked, nor whether selective units are specific."""
    whole = spans(only(decoding, category=ALL), "difference", "layer")
    row = only(decoding, category=ALL, layer=layer).iloc[0]
    rows = decoding[(decoding["layer"] == layer) & (decoding["category"] != ALL)]
    sides, gain = corrected(rows), Span.of(row, "difference")
    above = f"{Sides.of(whole).counted} layers"
    return f"""A linear classifier that reads the whole layer names the category of a region on an
        image it never saw in {Span.of(row, "own"):.0%} (balanced; chance {percent(row["chance"])}),
        of untrained networks in {percent(row["controls"])}:
        {gain:more|less|no certain difference}, {gain:+.0%}. It names more than theirs at {above}
        and, here, in {sides.counted} categories: {listed(sides.above)}.
        {mention("Less for {}.", sides.below)}"""


def _pairs_above(counts: pd.DataFrame, threshold: float) -> str:
    """Return how many pairs are above T, of the pre-trained network and of the controls."""
    at = only(counts, threshold=threshold).groupby("encoder")["units"].sum()
    controls = at.drop(PRETRAINED)
    return f"""pre-trained {at[PRETRAINED]:.0f}, untrained {controls.mean():.1f}
        ({controls.min():.0f} to {controls.max():.0f})"""


def _one_image(pictured: pd.DataFrame) -> str:
    """Say how far the units that answer best in one image's regions exceed untrained ones."""
    beyond = int((pictured["value"] > pictured["untrained_most"]).sum())
    means = pictured.groupby("layer", sort=False)[["value", "untrained"]].mean()
    layers = "; ".join(
        f"at {layer} the best of all units reach {own:.1f} there on average, untrained networks'"
        f" best, picked alike, {others:.1f}"
        for layer, own, others in means.itertuples()
    )
    return f"""In the regions of the one image pictured, {pictured["image"].iloc[0]}: {layers}.
        Above every untrained network's best lie {beyond} of the {len(pictured)} units pictured."""


def _finding(found: Sides, study: Study, alone: str) -> str:
    """Say what becomes of the paper's finding; where categories were taught, of the measure.

    alone: the category, if it is the only one.
    """
    if found.above:
        holds = "holds in part" if found.below or found.undecided else "holds"
    else:
        holds = "does not hold" if found.below and not found.undecided else "is not shown"
    accuracy = study.pretrained.accuracy
    if accuracy is None:
        who = f"For {label(alone)}, the" if alone else "The"
        finding = f"**{who} paper's first finding {holds} at this layer**"
        return f"{finding}, by this measure and control."
    return f"""This is a **positive control, not a finding**: the encoder was taught these very
        categories ({percent(accuracy, 1)} named rightly, held out). What the paper says of
        recognition **{holds} at this layer** where it must hold."""
