"""What an analysis finds in worlds whose truth is known, in sentences: notebook 08."""

import pandas as pd

from ...evaluation import PEOPLE
from ...intervals import RATE
from ...viewing.claims import Sides, Span, bullets, listed, mention, percent, spans
from ...viewing.plots import decided, only, unique
from ...viewing.style import label
from ...worlds.calibration import CHANGE, FOLDS, NUMBERS, OWN, POWER, READOUTS, TWO
from .figures import MEANT
from .tables import ALONE, BEYOND

SAID = (
    (CHANGE, TWO, "two groups of fine-tuned trainings, of which nothing differs, are told apart"),
    (READOUTS, TWO, "two groups of frozen readouts are"),
    (READOUTS, FOLDS, "two such groups, each training on images of its own, are"),
    (CHANGE, OWN, "one group of fine-tuned trainings' intervals miss what all of them say"),
    (READOUTS, OWN, "one group of frozen readouts' do"),
)
"""What is said of each test of each number."""
ENOUGH = 30  # independent worlds, of each test, from which on alarms are judged


def what_we_see(
    recovered: pd.DataFrame,
    dose: pd.DataFrame,
    flipped: pd.DataFrame,
    order: pd.DataFrame,
    alarms: pd.DataFrame,
    needed: pd.DataFrame,
) -> str:
    """Words under 08_known_truth.

    recovered, dose, flipped, alarms, needed: of `KnownTruth`, by the same names; order: of
    `DefaultWorld`.
    """
    return bullets(f"""
        - **Where nothing is planted**, {_alarms(alarms)}
        - **Is what was planted found?** {" ".join(_recovered(recovered, dose, n) for n in NUMBERS)}
        - **Does it flip?** {_flipped(flipped)}
        - **What four more trainings buy.** {_bought(needed)}
        - **The default world**, {_order(order)}
        - **What this cannot tell.** Photographs have no world in which the same people favour
          nothing. There, as by itself here, {CHANGE} says what fine-tuning did, for whatever
          reason: that people favour a category, or that it is there to be learned and the frozen
          network did not offer it. {_by_itself(flipped)}
    """)


def _alarms(table: pd.DataFrame) -> str:
    """Say from how many trainings on the promise is kept, by test, and what one training does."""
    parts = []
    for number, test, what in SAID:
        by = only(table, number=number, test=test).set_index("trainings")
        shares = {s: Span.of(row, "share") for s, row in by.iterrows()}
        told = listed({f"{s} trainings": one for s, one in shares.items() if s > 1}, ".0%")
        parts.append(f"{what} by {told}" if told != "none" else "")
    ones = only(table, trainings=1, test=TWO)
    alone = mention(
        " Judged by one training each, whose interval knows of images alone, the share is {}.",
        spans(ones, "share", by="number"),
        ".0%",
    )
    return f"""an alarm is a world in which intervals that together promise {percent(1 - RATE)} are
        wrong in some category. {percent(RATE)} is promised and {percent(MEANT)} borne:
        {"; ".join(part for part in parts if part)}. {_kept(table)}{alone}"""


def _kept(table: pd.DataFrame) -> str:
    """Say of which groups, two or more, too many alarm: of trainings of which there are many."""
    several = table[table["trainings"] > 1]
    told = several.groupby("number", sort=False)["worlds"].min() >= ENOUGH
    many = several[several["number"].map(told)]

    def named(rows: pd.DataFrame) -> str:
        by = rows.groupby(["number", "test"], sort=False)["trainings"]
        of = {number: f" of {number}" if told.sum() > 1 else "" for number in told.index}
        parts = [(f"{test}{of[number]}", sizes) for (number, test), sizes in by]
        return listed([f"{what} with {listed(list(map(str, sizes)))}" for what, sizes in parts])

    over = many[many["share"] > MEANT]
    sure = over[over["low"] > MEANT]
    unsure = over.drop(sure.index)
    maybe = f"; as estimated, but not beyond doubt, {named(unsure)}" if len(unsure) else ""
    if not len(many):
        return "Of neither are there enough to tell whether it is kept."
    return f"""Of {listed(list(told.index[told]))}, of which there are enough to tell, more than
        {percent(MEANT)} alarm beyond doubt: {named(sure)}{maybe}."""


def _recovered(table: pd.DataFrame, dose: pd.DataFrame, number: str) -> str:
    shown = only(table, number=number)
    planted = shown[shown["favoured"] != ""]
    own = planted[planted["category"] == planted["favoured"]]
    sides = Sides.of(spans(own, by="world"))
    others = planted[planted["category"] != planted["favoured"]]
    above, below = (others["low"] > 0).sum(), (others["high"] < 0).sum()
    nothing = decided(shown[shown["favoured"] == ""]).sum()
    grown = Sides.of(spans(only(dose, number=number)))
    rises = f"; it grows with the weight in {grown.counted} categories" if len(dose) else ""
    missed = mention(" (not beyond doubt: {})", sides.undecided, ".0%")
    wrong = mention(" Below, wrongly: {}.", sides.below, ".0%")
    lost = ": what one category draws, others lose" if below > above == 0 else ""
    return f"""By {number} the favoured category lies above a world that favours nothing in
        {sides.counted} worlds{missed}{rises}.{wrong} Of {len(others)} others {above} lie above
        and {below} below{lost}. In the world that favours nothing
        {nothing} of {len(shown) - len(planted)} categories differ from itself."""


def _flipped(table: pd.DataFrame) -> str:
    first, second = (table[k].iloc[0] for k in ("first", "second"))
    parts = []
    for number in NUMBERS:
        up, down = (
            Span.of(row) for _, row in only(table, number=number, control=BEYOND).iterrows()
        )
        sure = up.low > 0 > down.high
        turned = "yes" if sure else "no, or not beyond doubt"
        parts.append(f"{number} {up:.0%} and {down:.0%} ({turned})")
    one, other = unique(only(table, control=BEYOND), "world")
    return f"""{label(first).capitalize()} minus {label(second)}, beyond a world that favours
        nothing, where observers favour {label(one)} and {label(other)}: {"; ".join(parts)}."""


def _by_itself(table: pd.DataFrame) -> str:
    first, second = (label(table[k].iloc[0]) for k in ("first", "second"))
    told = only(table, number=CHANGE, control=ALONE)
    which = f"{first}|{second}|neither beyond doubt"
    parts = [f"{label(row['world'])}: {Span.of(row):{which}} ({Span.of(row):.0%})"
             for _, row in told.iterrows()]  # fmt: skip
    return (
        f"By itself it says of {first} and {second} that fine-tuning favoured, {'; '.join(parts)}."
    )


def _bought(table: pd.DataFrame) -> str:
    middle = table.groupby(["number", "images", "trainings"])["value"].median()
    sizes, images = (sorted(table[k].unique()) for k in ("trainings", "images"))
    parts = []
    for number in NUMBERS:
        by = ", ".join(f"{percent(middle[number, images[-1], s])} with {s}" for s in sizes)
        fewer = ", ".join(f"{percent(middle[number, n, 5])} on {n}" for n in images) if 5 in sizes \
            else ""  # fmt: skip
        fewer = f"; with 5 trainings {fewer} images" if fewer else ""
        parts.append(f"By {number} {by} trainings of each world, on {images[-1]} images{fewer}.")
    return f"""A difference is found in {percent(POWER)} of comparisons if it is this large, in the
        middle category, as a share of people's own. {" ".join(parts)}"""


def _order(table: pd.DataFrame) -> str:
    parts = []
    for name, rows in table.groupby("measure", sort=False):
        by = spans(rows.head(1) if name == PEOPLE else rows, by="together")
        said = [f"{one:.2f}" + f" with {s}" * (name != PEOPLE) for s, one in by.items()]
        parts.append(f"{name} {listed(said)}")
    return f"""rank correlation of its twelve weights with what so many trainings say:
        {"; ".join(parts)}. The order of preferences is read from the map as it is. What fine-tuning
        added to it is another question, and so is what units gained."""
