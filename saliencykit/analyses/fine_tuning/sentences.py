"""What fine-tuning favours, over trainings, in sentences: notebook 03."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ...dissection import singles
from ...dissection.readout_maps import MAP
from ...findings.fine_tuning import (
    AFTER,
    BEFORE,
    CHANGE,
    NSS,
    SHARE,
    UNITS,
    same_sign,
)
from ...intervals import RATE
from ...study import Study
from ...viewing import reported
from ...viewing.claims import (
    VAGUE,
    Sides,
    Span,
    Spans,
    bullets,
    extremes,
    listed,
    mention,
    pairs_above,
    percent,
    spans,
)
from ...viewing.plots import only
from ...viewing.style import label
from ...worlds.calibration import POWER
from .tables import (
    ABOVE,
    AGAIN,
    ALARMS,
    MATCHED,
    MEASURED,
    NEEDED,
    OTHER_IMAGES,
    OTHERS_CHANGE,
    POWERS,
    SAME,
)

FAR = 0.1  # by which a mean share may be less than a twin predicts
NEAR = 0.15  # what of a twin is as near to the data's counts as alike
NOT_ALIKE = """By this number the two do not agree. Network, images and training differ between
    them, and the reported numbers have no intervals, so what it hangs on is not told here."""
AGREEMENT = ("contradict the map.", "agree with the map.")


def what_we_see(
    mapped: pd.DataFrame,
    favoured: pd.DataFrame,
    by_units: pd.DataFrame,
    counts: pd.DataFrame,
    threshold: float,
    images: int,
    paper: pd.DataFrame,
    unit: pd.DataFrame,
) -> str:
    """Words under 03_fine_tuning (F2): the map by category, the claimed pair, the best units.

    mapped, favoured, by_units, counts, paper, unit: `FineTuning.map_table`, `.favoured`,
    `.unit_table`, `.above`, `.paper_table`, `.one_unit`; images: how many the models were measured
    on.
    """
    changes = only(mapped, measure=SHARE, what=CHANGE)
    whole, units = (
        only(favoured, measure=measure, part=part).iloc[0]
        for measure, part in ((SHARE, MAP), (NSS, UNITS))
    )
    span, scored, by_unit = (
        Span.of(whole),
        Span.of(only(favoured, measure=NSS, part=MAP).iloc[0]),
        Span.of(units),
    )
    pair = [name for name in (whole["first"], whole["second"]) if name]
    split = spans(only(favoured, measure=SHARE).query("part != @MAP"), by="part")
    (same, of), (same_units, _) = same_sign(whole), same_sign(units)
    sides = {f"{one:above|below|undecided}" for one in (span, by_unit)}
    who = "For this pair they" if len(pair) > 1 else "They"
    agreement = "" if "undecided" in sides else f"{who} {AGREEMENT[len(sides) == 1]}"
    return bullets(f"""
        - On {images} images, told of models that did not learn from them, {_trainings(of)}: the
          map's region NSS, as a share of people's own, {_grows(changes)}
        - Of people's own, the map reaches {_shares(mapped, pair)}. People's own is one person's
          as the others predict it, so it is no upper bound.
        - {_claim(span, pair)} is {span:.0%} of people's ({scored:.2f} in region NSS), of the same
          sign in {same} of {of} trainings. {_split(split)}
        - The paper's own number beside it, of models that read {counts["layer"].iloc[0]} alone: the
          ten best units, chosen and scored on different images, have a region NSS of
          {_moved(by_units, pair)}. By these, fine-tuning {_favours(by_unit, pair)}: {by_unit:.2f},
          of the same sign in {same_units} of {of}.
          {agreement}
        - Pairs of a unit and a category above T = {threshold:g} there, mean over trainings:
          {pairs_above(counts, threshold)}.
        - {_paper_s_number(paper, pair)}
        - {_half_of_all(paper, threshold)}
        - {_one_unit(unit)}
    """)


def _grows(changes: pd.DataFrame) -> str:
    """Say in how many categories the map gains, or whether it does in the only one."""
    found = Sides.of(spans(changes))
    told = changes.dropna(subset="value")
    if len(told) == 1:
        span, name = Span.of(told.iloc[0]), label(told["category"].iloc[0])
        return f"""{span:grows|falls|neither surely grows nor falls} at {name}, the only category to
            be asked, by {span:.0%}."""
    return f"""grows in {found.counted} categories{_most(found.above)} and falls in
        {len(found.below)}{_most(found.below)}; these intervals hold together{found.too_few}."""


def _split(parts: Spans) -> str:
    """Say what each layer read adds to the pair's difference in the map, if there are several."""
    if len(parts) < 2:
        return ""
    told = ", ".join(f"{part} {span:.0%}" for part, span in parts.items())
    return f"Split over the layers read, which sum to it: {told}."


def _most(side: Spans) -> str:
    """Return " (most at **person head**, by 45 % [26, 64])", of spans that come furthest first."""
    at = "most at" if len(side) > 1 else "at"
    return next((f" ({at} **{label(n)}**, by {span:.0%})" for n, span in side.items()), "")


def _claim(span: Span, pair: list[str]) -> str:
    """Say what becomes of the paper's claim in the map, and what the number is that follows."""
    if len(pair) == 1:
        return f"""**The paper's second finding cannot be asked**: it sets two categories against
            each other, of which {label(pair[0])} alone is labelled here. What fine-tuning adds
            there"""
    return f"""**The paper's second finding {span:holds|is the other way round|is not decided} in
        the map**: fine-tuning {_favours(span, pair)}. The difference of the two changes"""


def _favours(span: Span, pair: list[str]) -> str:
    """Return "favours text over person head", or which way the only one of the pair goes."""
    if len(pair) == 1:
        return f"{span:raises it|lowers it|changes it by no certain amount}"
    first, second = map(label, pair)
    return f"favours {span:{first} over {second}|{second} over {first}|neither beyond doubt}"


def _paper_s_number(paper: pd.DataFrame, pair: list[str]) -> str:
    """Say what the paper's own number favours, here and in its authors' network."""
    gain = Span.of(only(paper, measure=SAME, what=CHANGE).iloc[0])
    said = f"""**In the paper's own form**, the ten best units chosen and scored on the same images,
        region NSS goes {" and ".join(_in_its_form(paper, name) for name in pair)}. By this
        number fine-tuning {_favours(gain, pair)} here: {gain:+.2f}."""
    theirs, *other = map(reported.gained, pair)
    theirs -= sum(other)
    if math.isnan(theirs):
        return said
    moves = (
        f"{' → '.join(map(str, reported.TOP_TEN[name]))} at {label(name)}"
        f" ({reported.gained(name):+.2f})"
        for name in pair
    )
    turned = f"{gain:above|below|either}" not in ("either", "above" if theirs > 0 else "below")
    said = f"{said} Its authors report, of their {reported.NETWORK}, {' and '.join(moves)}"
    if other:
        one, two = map(label, pair)
        says = f"{'favours' if theirs > 0 else 'does not favour'} {one} over {two}"
        said = f"{said}: that {says} ({theirs:+.2f})"
    return f"{said}. {NOT_ALIKE if turned else ''}"


def _in_its_form(paper: pd.DataFrame, category: str) -> str:
    before, after = (_at(paper, SAME, what, category) for what in (BEFORE, AFTER))
    return f"from {before:.2f} to {after:.2f} at {label(category)}"


def _half_of_all(paper: pd.DataFrame, threshold: float) -> str:
    """Say what becomes of the half of all units that exceed T in the authors' network."""
    if reported.ALL not in set(paper["category"]):
        return ""
    before, after = (_at(paper, ABOVE, what, reported.ALL) for what in (BEFORE, AFTER))
    none, about = reported.ABOVE[reported.ALL]
    units, half = paper["of"].iloc[0], about.least / reported.UNITS
    share = Span(*(end / units for end in after))
    each = only(paper, measure=ABOVE, what=AFTER).query("category != @reported.ALL")
    said = f"""Above T = {threshold:g} lie, as reported, {none} of that network's {reported.UNITS}
        units before and about {about} after. Here they are {before:.0f} and {after:.0f} of {units},
        on average over categories: {share:.0%} after, {share - half:more|less|not surely other}
        than {percent(half)}"""
    if each["low"].notna().sum() < 2:
        return f"{said}."
    most, least = extremes(each)
    return f"""{said}, from {Span.of(least):.1f} for {label(least["category"])} to
        {Span.of(most):.1f} for {label(most["category"])}."""


def _one_unit(table: pd.DataFrame) -> str:
    """Say what becomes of the unit that was pictured, in that training and in the others."""
    what = only(table, image=OTHER_IMAGES).set_index("what")
    where = label(table["category"].iloc[0])
    own, *others = singles(what).astype(float).loc[AFTER]
    others = [value for value in others if not math.isnan(value)]
    said = f"""Unit {table["unit"].iloc[0]}, pictured because on half of these images it gained
        most at {where}, goes on the others from {what["training 1"][BEFORE]:.2f} to {own:.2f}
        there in the training pictured"""
    if not others:
        return f"{said}."
    elsewhere = " and ".join(f"{end:.2f}" for end in dict.fromkeys([min(others), max(others)]))
    said = f"{said}, and to {'between ' if ' ' in elsewhere else ''}{elsewhere} in the other"
    if len(others) < 2:
        return f"{said} one."
    gain = Span.of(what.loc[OTHERS_CHANGE])
    kept, lost, unsure = "they gain it too", "they lose it", "that may be chance"
    return f"""{said} {len(others)}. These gain {gain:+.2f} on average:
        {gain:{kept}|{lost}|{unsure}}."""


def _trainings(of: int) -> str:
    if of == 1:
        return "and one training, so that no interval knows what another would bring"
    return f"and {of} trainings, which all intervals cover"


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


def twin(table: pd.DataFrame, pair: Sequence[str], data: str) -> str:
    """Words under 03_twin: what one's own data can show, as a world like them tells.

    table: `twin_table`; pair: the categories asked; data: name of the data.
    """
    return bullets(f"""
        - **A toyworld like {data}** was drawn, {_like(table)}
        - **How often intervals are wrong there**: {_wrong(only(table, part=ALARMS))}
        - **What such data can show**: {_power(only(table, part=POWERS), pair)}
        - By category, {_needed(only(table, part=NEEDED))}
        - **Whether the twin is right**: {_found_again(only(table, part=AGAIN))}
    """)


def no_twin(study: Study) -> str:
    """Words where 03_twin would stand, if no twin was asked for."""
    values = study.values()
    changed = [name for name, by in study.origins.items() if by == "change"]
    own = "".join(f" -p {name} '{values[name]}'" for name in changed)
    return f"""No twin was drawn. `saliencykit twin --profile {study.profile}{own}` draws a toyworld
like these data and tells how often this notebook's intervals are wrong there, which effects they
can show, and how many more trainings or images would do. It trains twice as many networks as this
notebook, and measures them on twice as many scenes as there are images."""


def _like(table: pd.DataFrame) -> str:
    matched, measured = (only(table, part=part) for part in (MATCHED, MEASURED))
    near = ((matched["value"] / matched["own"] - 1).abs() < NEAR).mean()
    rest = [
        f"{figure} {ratio.median():.2f} (from {ratio.min():.2f} to {ratio.max():.2f})"
        for figure, ratio in (measured["value"] / measured["own"]).groupby(measured["figure"])
    ]
    return f"""scene by scene with things of the same categories, as large, looked at by as many
        people as often; {percent(near)} of its {len(matched)} figures are within {percent(NEAR)} of
        the data's. What was not matched is, in the middle category, this many times as much there:
        {listed(rest, text=str)}. In all that follows networks differ as they do there, and images
        as yours do."""


def _wrong(table: pd.DataFrame) -> str:
    told = table[table["high"] - table["low"] < VAGUE]
    parts = [f"{row['figure']} {Span.of(row):.0%}" for _, row in told.iterrows()]
    found = Sides.of({row["figure"]: Span.of(row) - RATE for _, row in told.iterrows()})
    sure = mention("More than that is beyond doubt of {}.", found.above)
    few = listed([str(name) for name in table.drop(told.index)["figure"]], text=str)
    vague = f"Of {few} there are too few networks to say." if len(told) < len(table) else ""
    if not parts:
        return f"{percent(RATE)} of studies may err in some category. {vague}"
    return f"""{percent(RATE)} of studies may err in some category. Of {"; ".join(parts)} do.
        {sure or "That more do is beyond doubt of none of these."} {vague} Frozen readouts differ
        less from seed to seed than fine-tuned networks, so they try what is said of images more
        than what is said of training."""


def _power(table: pd.DataFrame, pair: Sequence[str]) -> str:
    first = table[["trainings", "images"]].iloc[0]
    base = table[(table[["trainings", "images"]] == first).all(axis=1)]
    own = base[base["own"] > 0].iloc[0]
    names = [label(name) for name in pair if name][:: -1 if own["effect"] < 0 else 1]
    what = " over ".join(names)
    study = f"{first['trainings']:.0f} trainings and {first['images']:.0f} images"
    if math.isnan(own["value"]):
        return f"{what} cannot be told with {study}: the images that show it are too few."
    said = f"""a study with {study} finds that fine-tuning favours {what} in {percent(POWER)} of
        cases if the difference is {_reach_of(base)} of people's. You found
        {percent(abs(own["effect"]))}; of effects that are truly as large {percent(own["value"])}
        are found."""
    more = {}
    for side, other in (("trainings", "images"), ("images", "trainings")):
        for times in (2, 4):
            as_many = (table[side] == times * first[side]) & (table[other] == first[other])
            if not math.isnan(_reaching(table[as_many])):
                more[f"{times} times the {side}"] = _reach_of(table[as_many])
    known = [f"with {name} {reach}" for name, reach in more.items()]
    said = f"{said} In place of that difference it is {', '.join(known)}." if known else said
    said = f"{said} Intervals: as far as it is known how much trainings differ there."
    return said if own["value"] >= POWER else f"{said} {_more(table[table['own'] > 0], first)}"


def _reach_of(table: pd.DataFrame) -> str:
    """Say how large an effect is that `POWER` of studies find: "6.4 % [5.2, 9.0]"."""
    value, *ends = (100 * _reaching(table, of) for of in ("value", "high", "low"))
    if math.isnan(value):
        return f"more than {percent(table['effect'].abs().max(), 1)}"
    low, high = ("…" if math.isnan(end) else f"{end:.1f}" for end in ends)
    return f"{value:.1f} % [{low}, {high}]"


def _reaching(table: pd.DataFrame, shares: str = "value") -> float:
    """Return how large an effect is that `POWER` of studies find, between two that were asked.

    shares: the column that says in how many it is found. NaN if none that was asked is so large.
    """
    asked = table[table["own"] == 0]
    enough = asked[shares].to_numpy() >= POWER
    if not enough.any() or enough.argmax() == 0:
        return math.nan
    at = [enough.argmax() - 1, enough.argmax()]
    return float(np.interp(POWER, asked[shares].iloc[at], asked["effect"].abs().iloc[at]))


def _more(table: pd.DataFrame, first: pd.Series) -> str:
    """Say how many more trainings, or images, would find the study's own effect."""
    does, sides = [], {"trainings": "images", "images": "trainings"}
    for side, other in sides.items():
        enough = table[(table[other] == first[other]) & (table["value"] >= POWER)]
        if len(enough):
            does.append(f"{enough[side].min():.0f} {side}")
    most = table[list(sides)].max()
    if not does:
        return f"""For {percent(POWER)} of these neither {most["trainings"]:.0f} trainings nor
            {most["images"]:.0f} images would do."""
    return f"For {percent(POWER)} of these {' or '.join(does)} would do."


def _needed(table: pd.DataFrame) -> str:
    told = table.dropna(subset="value").sort_values("value", key=lambda value: value.abs())
    if told.empty:
        return "no change can be told of: too few images show any."
    over = told[told["effect"].abs() >= told["value"].abs()]
    least, most = told.iloc[0], told.iloc[-1]
    return f"""a change is found in {percent(POWER)} of such studies if it is
        {_size(least)} of people's at {label(least["category"])},
        {_size(most)} at {label(most["category"])}; yours is as large in {len(over)}
        of {len(told)}."""


def _size(row: pd.Series) -> str:
    """Return a change without its sign, with its interval."""
    ends = sorted((abs(row["low"]), abs(row["high"])))
    return f"{Span(abs(row['value']), *ends):.0%}"


def _found_again(table: pd.DataFrame) -> str:
    if table.empty:
        return "there are too few images to leave some out and see."
    doubtful = table[table["value"].between(0.05, 0.95) | table["own"].between(0.05, 0.95)]
    inside = (table["own"] >= table["low"] - 1e-9) & (table["own"] <= table["high"] + 1e-9)
    said = f"""your own images were thinned out, to {percent(table["kept"].min())} of them at the
        least, and asked again for what all of them say. Of {len(table)} shares of random choices in
        which it was found again {inside.sum()} lie where 95 % of the twin's studies do."""
    if doubtful.empty:
        return said
    found, told = (doubtful[of].mean() for of in ("own", "value"))
    much = """**It promises too much**: take the effects above as the least that is needed, and
        trainings and images likewise."""
    return f"""{said} Of the {len(doubtful)} that are not nearly all or none, the mean is
        {percent(found)} where the twin predicts {percent(told)}.
        {much if told - found > FAR else ""}"""
