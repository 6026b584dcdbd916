"""What fine-tuning favours, over trainings, in sentences: notebook 03."""

import pandas as pd

from ...findings.fine_tuning import AFTER, BEFORE, CHANGE, MAP, NSS, SHARE, UNITS, same_sign
from ...viewing.claims import Sides, Span, bullets, extremes, pairs_above, spans
from ...viewing.plots import only
from ...viewing.style import label

AGREEMENT = ("For this pair they contradict the map.", "For this pair they agree with the map.")


def what_we_see(
    mapped: pd.DataFrame,
    favoured: pd.DataFrame,
    by_units: pd.DataFrame,
    counts: pd.DataFrame,
    threshold: float,
    images: int,
) -> str:
    """Words under 03_fine_tuning (F2): the map by category, the claimed pair, the best units.

    mapped, favoured, by_units, counts: `FineTuning.map_table`, `.favoured`, `.unit_table`,
    `.above`; images: how many the models were measured on.
    """
    changes = only(mapped, measure=SHARE, what=CHANGE)
    found = Sides.of(spans(changes))
    whole, units = (
        only(favoured, measure=measure, part=part).iloc[0]
        for measure, part in ((SHARE, MAP), (NSS, UNITS))
    )
    span, scored, by_unit = (
        Span.of(whole),
        Span.of(only(favoured, measure=NSS, part=MAP).iloc[0]),
        Span.of(units),
    )
    first, second = label(whole["first"]), label(whole["second"])
    pair = [whole["first"], whole["second"]]
    split = only(favoured, measure=SHARE).query("part != @MAP")
    (same, of), (same_units, _) = same_sign(whole), same_sign(units)
    sides = {f"{one:above|below|undecided}" for one in (span, by_unit)}
    agreement = "" if "undecided" in sides else AGREEMENT[len(sides) == 1]
    return bullets(f"""
        - On {images} images, told of models that did not learn from them, {_trainings(of)}: the
          map's region NSS, as a share of people's own, grows in {found.counted} categories
          and falls in {len(found.below)} (intervals that hold together){found.too_few}.
          {_furthest(changes)}
        - Of people's own, the map reaches {_shares(mapped, pair)}. People's own is one person's
          as the others predict it, so it is no upper bound.
        - **The paper's second finding {span:holds|is the other way round|is not decided} in the
          map**: fine-tuning favours
          {span:{first} over {second}|{second} over {first}|neither beyond doubt}. The difference of
          the two changes is {span:.0%} of people's ({scored:.2f} in region NSS), of the same sign
          in {same} of {of} trainings. Split over the layers read, which sum to it:
          {", ".join(f"{p} {one:.0%}" for p, one in spans(split, by="part").items())}.
        - The paper's own number beside it, of models that read {counts["layer"].iloc[0]} alone: the
          ten best units, chosen and scored on different images, have a region NSS of
          {_moved(by_units, pair)}. By these, fine-tuning favours
          {by_unit:{first} over {second}|{second} over {first}|neither beyond doubt}: {by_unit:.2f},
          of the same sign in {same_units} of {of}.
          {agreement}
        - Pairs of a unit and a category above T = {threshold:g} there, mean over trainings:
          {pairs_above(counts, threshold)}.
    """)


def _trainings(of: int) -> str:
    if of == 1:
        return "and one training, so that no interval knows what another would bring"
    return f"and {of} trainings, which all intervals cover"


def _furthest(changes: pd.DataFrame) -> str:
    """Say which changes are largest and smallest, if of any there is an interval."""
    if not changes["low"].notna().any():
        return ""
    most, least = extremes(changes)
    return (
        f"Most for **{label(most['category'])}**, by {Span.of(most):.0%}; least for"
        f" {label(least['category'])}, by {Span.of(least):.0%}."
    )


def _at(table: pd.DataFrame, measure: str, what: str, category: str) -> Span:
    return Span.of(only(table, measure=measure, what=what, category=category).iloc[0])


def _shares(table: pd.DataFrame, pair: list[str]) -> str:
    parts = (
        f"{_at(table, SHARE, AFTER, name):.0%} at {label(name)} (the frozen encoder's"
        f" {_at(table, SHARE, BEFORE, name):.0%})"
        for name in pair
    )
    return " and ".join(parts)


def _moved(table: pd.DataFrame, pair: list[str]) -> str:
    parts = (
        f"{_at(table, NSS, BEFORE, name):.2f} before and {_at(table, NSS, AFTER, name):.2f} after"
        f" at {label(name)}"
        for name in pair
    )
    return ", ".join(parts)
