"""Who leads on natural images and who on search arrays, in sentences: notebook 04."""

from collections.abc import Sequence

import pandas as pd

from ...datasets.popout import EFFICIENT, INEFFICIENT
from ...dissection import singles
from ...findings.lead import CLASSICAL, LARGEST, LEAD, LEVEL, LOST, MOST, NATURAL, NETWORKS
from ...viewing.claims import Sides, Span, bullets, extremes, listed, mention, percent, spans
from ...viewing.plots import only, unique
from ...viewing.style import label
from .tables import ELSEWHERE

TAUGHT = "fine-tuned"  # the network whose kinds of search are told
HOLDS, IN_PART = "holds", "holds in part"
TURNED, UNDECIDED = "is the other way round", "is not decided"


def what_we_see(
    leads: pd.DataFrame,
    searches: pd.DataFrame,
    features: pd.DataFrame,
    elsewhere: pd.DataFrame,
    networks: Sequence[str],
) -> str:
    """Words under 04_pop_out (F3).

    leads: `tables.leads`; searches, features: `tables.by_condition` over "search" and over "search"
    and "feature"; elsewhere: `tables.elsewhere`; networks: names of the models that are some.
    """
    efficient = only(searches, measure=MOST, search=EFFICIENT)
    return bullets(f"""
        - {_found(leads, efficient)}
        - {_slow(leads)}
        - {_finding(leads)}
        - {_each(leads)} The lead on these arrays is {_kinds(leads, EFFICIENT)}; on natural images
          {_kinds(leads, NATURAL)}.
        - {_single(features)}
        - {_elsewhere(elsewhere, networks)}
    """)


def missing(elsewhere: pd.DataFrame) -> str:
    """Say how to get what of P3 and O3 is not in `tables.elsewhere`; "" if both are."""
    lost = [name for name in ELSEWHERE if name not in set(elsewhere["data"])]
    commands = listed([f"`saliencykit fetch {name}`" for name in lost])
    several = len(lost) > 1
    return mention(
        f"{{}} (Kotseruba et al. 2019) {'are' if several else 'is'} not here: {commands}"
        f" {'say' if several else 'says'} where to get the files and where to put them, after which"
        " the figure shows them.",
        [name.upper() for name in lost],
    )


def _elsewhere(table: pd.DataFrame, networks: Sequence[str]) -> str:
    """Say who singles out the odd item of P3 and O3 most often, of networks and of others."""
    said = []
    for name in (one for one in ELSEWHERE if one in set(table["data"])):
        rows = only(table, measure=MOST, data=name)
        ours = rows["model"].isin(networks)
        most = [part.sort_values("value").iloc[-1] for part in (rows[ours], rows[~ours])]
        best = [f"{label(row['model'])}, {Span.of(row):.0%}" for row in most]
        said.append(
            f"On {name.upper()} ({rows['arrays'].iloc[0]} images) the odd item is most often the"
            f" most salient one to {best[0]}, of the networks, and to {best[1]}, of the others; by"
            f" chance it would be in {percent(rows['chance'].iloc[0])}."
        )
    return " ".join(said)


def _span(leads: pd.DataFrame, side: str, what: str, who: str = NETWORKS) -> Span:
    """Return a row's span; NaN if there are no such arrays."""
    rows = only(leads, side=side, what=what, who=who)
    return Span.of(rows.iloc[0]) if len(rows) else Span(*[float("nan")] * 3)


def _levels(leads: pd.DataFrame, side: str) -> str:
    ours, theirs = (_span(leads, side, LEVEL, who) for who in (NETWORKS, CLASSICAL))
    return f"in {ours:.0%} of networks' maps and in {theirs:.0%} of classical models'"


def _found(leads: pd.DataFrame, efficient: pd.DataFrame) -> str:
    if efficient.empty:
        return "There are no arrays of a search that is efficient for people."
    said = (
        f"Where the target pops out for people ({efficient['arrays'].iloc[0]} arrays) it is the"
        f" most salient item {_levels(leads, EFFICIENT)}; by chance it would be in"
        f" {percent(efficient['chance'].iloc[0])}."
    )
    if not efficient["low"].notna().any():
        return said
    most, _ = extremes(efficient)
    return f"{said} Most often in {label(most['model'])}'s, {Span.of(most):.0%}."


def _slow(leads: pd.DataFrame) -> str:
    if only(leads, side=INEFFICIENT).empty:
        return ""
    return (
        "Where people have to search for it (conjunctions, the harder way round of an asymmetry),"
        f" it is so {_levels(leads, INEFFICIENT)}. That it does not stand out there is no failure."
    )


def _finding(leads: pd.DataFrame) -> str:
    natural, odd, lost = _leads(leads)
    largest = _span(leads, LARGEST, LEAD)
    here, there = (f"{one:lead|trail|neither surely lead nor trail}" for one in (natural, odd))
    return f"""**The paper's third finding {_of_all(leads)} here**, judged on efficient searches
        alone. On natural images networks, on average, {here} the {leads["models"].iloc[0]}
        classical models ({natural:.0%} of people's NSS); on the arrays they {there} them
        ({odd:.0%} of the targets; at the largest difference {largest:.0%}). In shares of what could
        be reached (people's NSS, all targets) the lead
        {lost:shrinks|grows|neither surely shrinks nor grows} from natural images to arrays, by
        {lost:.0%}. Intervals cover other images and arrays, other trainings
        ({singles(leads).shape[1]} here) and other classical models, as if these were a sample of
        such; not other encoders."""


def _leads(leads: pd.DataFrame, who: str = NETWORKS) -> tuple[Span, Span, Span]:
    """Return the leads on natural images, on efficient searches, and what is lost between."""
    natural, odd, lost = (_span(leads, side, LEAD, who) for side in (NATURAL, EFFICIENT, LOST))
    return natural, odd, lost


def _verdict(natural: Span, odd: Span, lost: Span) -> str:
    """Say whether who leads on natural images trails on arrays."""
    if natural.low > 0 and odd.high < 0:
        return HOLDS
    if odd.low > 0:
        return TURNED
    return IN_PART if natural.low > 0 and lost.low > 0 else UNDECIDED


def _of_all(leads: pd.DataFrame) -> str:
    """Say it of networks: it holds if it does on average and of each that leads elsewhere."""
    found = [_leads(leads, who) for who in _networks(leads)]
    each = [_verdict(*of) for of in found if of[0].low > 0]
    of_mean = _verdict(*_leads(leads))
    return IN_PART if of_mean == HOLDS and set(each) - {HOLDS} else of_mean


def _networks(leads: pd.DataFrame) -> list[str]:
    return [who for who in unique(only(leads, what=LEAD), "who") if who != NETWORKS]


def _each(leads: pd.DataFrame) -> str:
    """Say it of each kind of network."""
    verdicts = {who: _verdict(*_leads(leads, who)) for who in _networks(leads)}
    said = (
        mention(f"it {verdict} for {{}}", [who for who, own in verdicts.items() if own == verdict])
        for verdict in (HOLDS, IN_PART, TURNED, UNDECIDED)
    )
    return f"Of each kind of network: {'; '.join(one for one in said if one)}."


def _kinds(leads: pd.DataFrame, side: str) -> str:
    rows = only(leads, side=side, what=LEAD)
    return listed(spans(rows[rows["who"] != NETWORKS], by="who"), ".0%")


def _single(features: pd.DataFrame) -> str:
    """Say in which kinds of search the fine-tuned network's map singles the target out."""
    rows = only(features, model=TAUGHT)
    beyond = {row["feature"]: Span.of(row) - row["chance"] for _, row in rows.iterrows()}
    sides = Sides.of(beyond)
    return (
        "To the fine-tuned network the target is the most salient item more often than by chance"
        f" in {listed(sides.above or ['no kind of search'])}"
        f"{mention('; less often in {}', sides.below)} (each interval taken by itself)."
    )
