"""Does the analysis follow what is planted in photographs? In sentences: notebook 11."""

import pandas as pd

from ...intervals import RATE
from ...viewing.claims import VAGUE, Sides, bullets, listed, mention, percent, spans
from ...viewing.plots import only, unique
from ...viewing.style import label
from .tables import GAP, ITSELF, MAP, MEASURES, OTHERS, READOUT, SHAM, UNITS, WHOLLY

ALONE = "Only one category is labelled here, so there are no others."
SPEC = {MAP: ".1%", UNITS: ".2f"}


def what_we_see(
    looked: pd.DataFrame,
    responses: pd.DataFrame,
    slopes: pd.DataFrame,
    specific: pd.DataFrame,
    alarms: pd.DataFrame,
) -> str:
    """Words under 11_planted_photographs.

    looked, responses, slopes, specific: of `Planted`, by the same names; alarms: `tables.alarms`.
    """
    return bullets(f"""
        - **What was planted.** {_planted(looked)}
        - **Does the answer follow?** {" ".join(_follows(specific, responses, m) for m in MEASURES)}
        - **Is it specific?** {" ".join(_specific(specific, m) for m in MEASURES).strip() or ALONE}
        - **Who moves along?** {" ".join(_along(slopes, m) for m in MEASURES).strip() or ALONE}
        - **Where nothing is planted**, {_quiet(alarms)}
        - **What this cannot tell.** A map is z-scored, so what one category draws, others lose on
          the images that they share; and photographs show things together, so that a network that
          is taught one may raise its neighbours. Both are in the numbers of the others.
    """)


def _planted(looked: pd.DataFrame) -> str:
    """Say how many fixations each planted category has, and what was too rare."""
    said, rare = (
        [f"{label(c)} {n:,} on {i} images" for c, n, i in rows.to_numpy()]
        for rows in (
            looked.loc[looked["planted"] == planted, ["category", "fixations", "images"]]
            for planted in (True, False)
        )
    )
    left = f" Too rare, and left out: {listed(rare, text=str)}." if rare else ""
    return f"Fixations that the first training learns from: {listed(said, text=str)}.{left}"


def _follows(specific: pd.DataFrame, responses: pd.DataFrame, measure: str) -> str:
    """Say by how much a doubling raises the answer at the category itself, and both ends do."""
    rows = only(specific, measure=measure, kind=ITSELF)
    sides, spec = Sides.of(spans(rows, by="planted")), SPEC[measure]
    one = "s" if measure == MAP else ""  # the map rises, best units rise
    rises = mention(f" rise{one} with the dose at {{}},", sides.above, spec)
    falls = mention(f" fall{one}, wrongly, at {{}},", sides.below, spec)
    unsure = mention(" may or may not at {},", sides.undecided, spec)
    said = f"{rises}{falls}{unsure}".removesuffix(",") or f" tell{one} nothing"
    unit = "share of people's" if measure == MAP else "region NSS"
    doses = sorted({*responses["dose"]} - {1.0})
    ends = " ".join(_end(responses, measure, d) for d in dict.fromkeys([doses[0], doses[-1]]))
    return f"""{measure.capitalize()} ({unit}, per doubling, over all doses){said}{sides.too_few}.
        {ends}"""


def _end(responses: pd.DataFrame, measure: str, dose: float) -> str:
    """Say what one dose adds to the answer to dose 1, at the planted category."""
    rows = only(responses, dose=dose)
    rows = rows[rows["category"] == rows["planted"]]
    sides, spec = Sides.of(spans(only(rows, measure=measure), by="planted")), SPEC[measure]
    parts = [
        mention("more at {}", sides.above, spec),
        mention("less at {}", sides.below, spec),
        mention("not decided at {}", sides.undecided, spec),
    ]
    said = ", ".join(part for part in parts if part)
    if not said:
        return ""
    said = f"At dose {dose:g}, beside dose 1, each by itself: {said}"
    if measure != MAP:
        return f"{said}."
    whole = only(rows, measure=WHOLLY).set_index("planted")["value"].dropna()
    told = [f"{label(name)} {100 * value:+.1f} %" for name, value in whole.items()]
    return f"{said} ({WHOLLY}, would differ by {listed(told, text=str)})." if told else f"{said}."


def _specific(specific: pd.DataFrame, measure: str) -> str:
    """Say by how much more the planted category rises than others do in the mean."""
    others = spans(only(specific, measure=measure, kind=OTHERS), by="planted")
    sides = Sides.of(spans(only(specific, measure=measure, kind=GAP), by="planted"))
    if not sides.known:
        return ""
    spec = SPEC[measure]
    more = mention(" more than others at {},", sides.above, spec)
    less = mention(" less, wrongly, at {},", sides.below, spec)
    unsure = mention(" not certainly more at {},", sides.undecided, spec)
    said = f"{more}{less}{unsure}".removesuffix(",")
    return f"""By {measure} a doubling adds{said}. The others in the mean, by what is planted:
        {listed(others, spec)}."""


def _along(slopes: pd.DataFrame, measure: str) -> str:
    """Say of each planted category which others rise or fall with it."""
    parts, spec = [], SPEC[measure]
    if slopes["category"].nunique() == 1:
        return ""
    for planted in unique(slopes, "planted"):
        rows = only(slopes, measure=measure, planted=planted)
        sides = Sides.of(spans(rows[rows["category"] != planted]))
        up = mention("up go {}", sides.above, spec)
        down = mention("down go {}", sides.below, spec)
        held = f"of {len(sides.known)} others {len(sides.undecided)} are not decided"
        said = ", ".join(part for part in (up, down, held) if part)
        parts.append(f"{label(planted)}: {said}" if sides.known else "")
    told = "; ".join(part for part in parts if part)
    return f"""By {measure}, per doubling of what is planted, intervals that hold together:
        {told or "too few images to say"}."""


def _quiet(alarms: pd.DataFrame) -> str:
    """Say how often what only chance sets apart was told apart, and how often it might be."""
    if alarms.empty:
        return "too few images to say."
    told = [
        f"{_where(row.measure)} {row.alarms} of {row.comparisons}"
        f" (exact interval of the share: {percent(row.low)} to {percent(row.high)})"
        for row in alarms.itertuples()
    ]
    more = alarms["low"] > RATE
    vague = ~more & (alarms["high"] - alarms["low"] >= VAGUE)
    verdicts = {
        "More than that beyond doubt": more,
        "So few comparisons cannot tell whether it is more than promised": vague,
        "No more than promised": ~more & ~vague,
    }
    kept = [
        f"{said}." if which.all() else f"{said}: {listed(_by(alarms[which]), text=str)}."
        for said, which in verdicts.items()
        if which.any()
    ]
    return f"""networks that only chance sets apart were told from each other, in some category, in
        this many comparisons, where {percent(RATE)} is promised: {listed(told, text=str)}.
        {" ".join(kept)} A weight of 1 changes no digit, which a test asserts."""


def _by(alarms: pd.DataFrame) -> list[str]:
    return [_where(measure) for measure in alarms["measure"]]


def _where(measure: str) -> str:
    """Return what was compared, and by what: "halves of the observers by the map"."""
    if measure == SHAM:
        return f"sham doses by {READOUT}"
    return f"halves of the observers by {measure}"
