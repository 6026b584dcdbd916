"""What holds everywhere, and what hangs on the network or the photographs: notebook 10."""

from collections.abc import Iterator, Mapping

import pandas as pd

from ...findings.lead import EFFICIENT, LEAD, LOST, NATURAL
from ...intervals import RATE
from ...viewing.claims import Sides, Span, bullets, listed, mention, spans
from ...viewing.plots import only, unique
from ...viewing.style import label
from .tables import NETWORK, PHOTOGRAPHS, SHARE, UNITS

LEADS = {
    NATURAL: "lead on photographs",
    EFFICIENT: "lead on efficient searches",
    LOST: "lead that is lost",
}
Key = tuple[str, str, str]
"""A number: its finding, measure and what it is of."""


def what_we_see(
    tables: Mapping[str, pd.DataFrame], differ: pd.DataFrame, same: pd.DataFrame
) -> str:
    """Words under 10_elsewhere.

    tables: of `tables`, by finding; differ: `tables.hangs_on`; same: `tables.same_units`.
    """
    settings = tables["F1"]["setting"].nunique()
    told = {key: Sides.of(spans(rows, by="setting")) for key, rows in _numbers(tables)}
    return bullets(f"""
        - {settings} {"settings are" if settings > 1 else "setting is"} asked.
          **F1**, the best units of a given network above untrained ones': {_counted(told, "F1")}.
        - **F2**, what fine-tuning adds, of the map as a share of people's:
          {_counted(told, "F2", SHARE)}; of the ten best units, the paper's number:
          {_counted(told, "F2", UNITS)}.
        - **F3**, fine-tuned networks above classical models: {_counted(told, "F3")}. {_lead(told)}
        - **F4**, networks of one task more alike than of two: {_counted(told, "F4")}.
        - {_same(same)}
        - {_hanging(differ)}
        - {_conclusion(told, differ) if len(differ) else ""}
    """)


def _numbers(tables: Mapping[str, pd.DataFrame]) -> Iterator[tuple[Key, pd.DataFrame]]:
    """Yield every number of the tables with its rows, a row a setting."""
    for finding, table in tables.items():
        measures = unique(table, "measure") if finding in ("F2", "F3") else [None]
        for measure in measures:
            rows = table if measure is None else only(table, measure=measure)
            for what in unique(rows, "what"):
                yield (finding, measure or "", what), only(rows, what=what)


def named(key: Key) -> str:
    """Return what people call a number: "F2 person head − text (map, share of people's)"."""
    finding, measure, what = key
    if what == LEAD:
        return f"{finding} {LEADS[measure]}"
    return f"{finding} {label(what)}" + (f" ({measure})" if measure else "")


def _counted(told: Mapping[Key, Sides], finding: str, measure: str | None = None) -> str:
    """Return "person head in 4 of 4, text in 2 of 4 (less in …)", of a finding's numbers."""
    parts = []
    for (of, part, what), sides in told.items():
        if of == finding and measure in (None, part):
            name = LEADS[part] if what == LEAD else label(what)
            less = f" (less in {listed(sides.below, text=str)})" if sides.below else ""
            parts.append(f"{name} in {sides.counted}{less}")
    return "; ".join(parts) or "nobody can be asked"


def _lead(told: Mapping[Key, Sides]) -> str:
    """Say in how many settings the order turns round on efficient searches, as in the paper."""
    natural, arrays, lost = (told[("F3", side, LEAD)] for side in (NATURAL, EFFICIENT, LOST))
    turned = [name for name in natural.above if name in arrays.below]
    return f"""The order turns round, as the paper has it, in {len(turned)} of
        {len(natural.above) + len(natural.below) + len(natural.undecided)}:
        {listed(turned, text=str)}; some of the lead is lost in {lost.counted}."""


def _same(same: pd.DataFrame) -> str:
    """Say whether two collections tell the same of the same units, at the deepest layer."""
    if same.empty:
        return ""
    parts = []
    for (network, first, second), rows in same.groupby(["network", "first", "second"], sort=False):
        deep = rows.iloc[-1]
        parts.append(
            f"{network} on {first} and {second} {Span.of(deep):.2f} at {deep['layer']}, with"
            f" {deep['shared']} of the ten best in common (by chance {deep['chance']:.1f})"
        )
    return f"The same units, rank correlation: {'; '.join(parts)}."


def _hanging(differ: pd.DataFrame) -> str:
    """Say how many comparisons between settings were made, and how many are certain."""
    tested = differ.dropna(subset=["p"])
    if tested.empty:
        return (
            "No two settings share network or photographs, so nothing is told of what it hangs on."
        )
    sure = tested[tested["p_adjusted"] <= RATE]
    return f"""Of {len(tested)} comparisons (one number between networks on the same photographs, or
        between photographs by the same network; Welch's test, corrected over all) {len(sure)}
        differ beyond doubt."""


def _conclusion(told: Mapping[Key, Sides], differ: pd.DataFrame) -> str:
    """Say what holds everywhere, what hangs on what, and what is certain in neither way."""
    return f"""**What holds everywhere**: {_everywhere(told)}. **What hangs on the network**:
        {_named(differ, NETWORK)}. **On the photographs**: {_named(differ, PHOTOGRAPHS)}.
        {_undecided(told, differ)}"""


def _named(differ: pd.DataFrame, on: str) -> str:
    """Return the numbers that differ beyond doubt between networks, or photographs."""
    sure = differ[(differ["on"] == on) & (differ["p_adjusted"] <= RATE)]
    parts = []
    for key, rows in sure.groupby(["finding", "measure", "what"], sort=False):
        held = [f"{r.held} {r.least:.2f} to {r.most:.2f}" for r in rows.itertuples(index=False)]
        parts.append(f"{named(key)} ({', '.join(held)})")
    return "; ".join(parts) or "nothing beyond doubt"


def _everywhere(told: Mapping[Key, Sides]) -> str:
    """Return the numbers whose intervals lie on one side of 0 in every setting, of two or more."""
    found: dict[str, list[str]] = {"above": [], "below": []}
    for key, sides in told.items():
        asked = len(sides.above) + len(sides.below) + len(sides.undecided)
        for word, side in (("above", sides.above), ("below", sides.below)):
            if asked >= 2 and len(side) == asked:
                found[word].append(named(key))
    parts = [f"{word} 0 in all settings asked, {listed(n)}" for word, n in found.items() if n]
    return "; ".join(parts) or "nothing"


def _undecided(told: Mapping[Key, Sides], differ: pd.DataFrame) -> str:
    """Return what neither holds everywhere nor differs beyond doubt."""
    sure = differ[differ["p_adjusted"] <= RATE]
    differing = set(sure[["finding", "measure", "what"]].itertuples(index=False, name=None))
    left = [
        named(key)
        for key, sides in told.items()
        if key not in differing
        and not (sides.above and not sides.below and not sides.undecided)
        and not (sides.below and not sides.above and not sides.undecided)
    ]
    return mention("Neither is certain of {}.", left)
