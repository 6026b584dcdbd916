"""What the best units of several networks say, over trainings, in sentences: notebook 09."""

from collections.abc import Sequence

import pandas as pd

from ...dissection import singles
from ...viewing.claims import Sides, Span, bullets, listed, spans
from ...viewing.style import label
from .tables import GIVEN


def what_we_see(table: pd.DataFrame, asked: Sequence[str] = ()) -> str:
    """Words on the best unit of each category in each network, and how the first two compare.

    table: `tables.best_table`; asked: all networks that were to be told of.
    """
    networks = dict(iter(table.groupby("encoder", sort=False)))
    lines = [_most_selective(name, rows) for name, rows in networks.items()]
    if len(networks) > 1:
        one, other, *_ = networks
        ours, theirs = (spans(networks[name], "mean") for name in (one, other))
        found = Sides.of({c: ours[c] - theirs[c] for c in ours if c in theirs})
        lines.append(f"""- The best unit of the {one} network is more selective than that of the
            {other} one, their intervals apart, for {listed(found.above)}; less selective for
            {listed(found.below)}{found.too_few}.""")
    if "scenes" in asked and "scenes" not in networks:
        lines.append("- No scene classes are known of these images, so no network learned them.")
    return bullets("\n".join(lines))


def _most_selective(name: str, table: pd.DataFrame) -> str:
    several, told = table["category"].nunique() > 1, table["low"].notna().any()
    top = table.loc[table["low" if told else "mean"].idxmax()]  # of the best guesses, the surest
    surely = "surely " if told else ""
    at = table["layer"].value_counts(sort=False)
    over, first, there, again = "" if name in GIVEN else ", one training", "", "", ""
    if singles(table).notna().any().sum() > 1:
        over, again = _over(table), _again(table, several)
        first, there = " in the first training", " there"
    unit = f"unit {top['unit']} of {top['layer']}{first}"
    if not several:
        return f"""- **{name}**{over}: the unit most selective for {label(top["category"])} has
            region NSS {Span.of(top, "mean"):.2f} ({unit}). {again}"""
    return f"""- **{name}**{over}: the most {surely}selective unit answers to
        {label(top["category"])} (region NSS {Span.of(top, "mean"):.2f}; {unit});
        {at.max()} of {len(table)} categories have their best unit in
        {at.idxmax()}{there}. {again}"""


def _over(table: pd.DataFrame) -> str:
    return f", {singles(table).notna().any().sum()} trainings, which the intervals cover"


def _again(table: pd.DataFrame, several: bool) -> str:
    """Say what the first training's best units, of several categories, are in the others."""
    first, again = table["training 1"].mean(), table["again"].mean()
    if not several:
        return f"""This unit has {first:.2f} in the first training, where it was chosen, and
            {again:.2f} in the others."""
    return f"""On average over categories these units have {first:.2f} in the first training, where
        they were chosen, and {again:.2f} in the others."""
