"""What is lost with units, and what they carry of the map, over trainings, in sentences: 07."""

from collections.abc import Sequence

import pandas as pd

from ...dissection.top_units import MIN_IMAGES
from ...viewing.claims import (
    Sides,
    Span,
    Spans,
    bullets,
    extremes,
    listed,
    mention,
    percent,
    spans,
)
from ...viewing.plots import decided
from ...viewing.style import label
from .tables import ALL, Setup

WEAK = 0.1  # a correlation so small is called so, however sure its sign (Cohen 1988)


def what_we_see(
    matrix: pd.DataFrame,
    losses: pd.DataFrame,
    doses: pd.DataFrame,
    carried: pd.DataFrame,
    agreement: pd.DataFrame,
    labels: pd.DataFrame,
    setup: Setup,
) -> str:
    """Words under 07_causal_units.

    losses, doses: `losses_by` over "way", the main ablation first, and over "k"; setup:
    `CausalUnits.setup`; the others: `tables`' of these names.
    """
    names = [name for name in losses["category"].drop_duplicates() if name != ALL]
    alone = label(names[0]) if len(names) == 1 else ""
    ends = dict.fromkeys([doses["k"].min(), doses["k"].max()])
    left_out = f"Left out, on fewer than {MIN_IMAGES} images or not in all trainings: {{}}."
    return bullets(f"""
        - {_trainings(setup)} {_named(setup, alone)} {mention(left_out, setup.left_out)}
        {_lost(losses, alone) if alone else _lost_by_others(losses, matrix)}
        - Dose{"" if alone else ", over all categories"}:
          {"; ".join(_dose(n, doses[doses["k"] == n], alone) for n in ends)}.
        - {_carried(carried, setup, alone)}
        - {_methods(agreement, spans(labels, by="measure"), alone)}
    """)


def _lost_by_others(losses: pd.DataFrame, matrix: pd.DataFrame) -> str:
    """Say, in bullets, whether categories lose more by their own units than the others do."""
    (way, main), *others = losses.groupby("way", sort=False)
    (own, average), (_, apart) = _changes(main, "own"), _changes(main, "difference")
    again = "\n".join(f"- {o.capitalize()} instead, {_specific(rows)}." for o, rows in others)
    return f"""
        - **{way.capitalize()}, the loss is on average
          {apart:the other way round|specific|not shown to be specific}{_but(apart, others)}**
          (below 0, a category loses more by its own units than the others do): {_specific(main)}.
          The categories' intervals hold together.
        {again}
        - {way.capitalize()}, they cost their own category more than matched units do in
          {_below(own)}; on average its region NSS changes by {average:.2f} beyond
          what matched units change.
        - In the matrix, {_diagonal(matrix)}"""


def _lost(losses: pd.DataFrame, alone: str) -> str:
    """Say, in a bullet, what the only category loses by its units, and by others."""
    found = spans(losses, by="units")
    said = f"""
        - **Whether the loss is specific cannot be asked**: of {alone} alone there is enough to
          tell, so no other category could be spared. Without its units the region NSS of {alone}
          changes by {found["named"]:.2f}"""
    parts = [
        f"""by {found[f"beyond {units}"]:.2f} beyond what {units} units change, which is
        {found[f"beyond {units}"]:a smaller loss|a larger loss|no certain difference}"""
        for units in ("random", "matched")
        if f"beyond {units}" in found
    ]
    matched = """Matched units resemble them in what they contribute to the map in this same
        category, as far as the layer has such."""
    same = matched if "beyond matched" in found else ""
    return f"{'; '.join([said, *parts])}. {same}"


def _trainings(setup: Setup) -> str:
    """Say of how many trainings all this is told."""
    if setup.trainings == 1:
        return "Of one training, so that no interval knows what another would bring."
    return f"Told of {setup.trainings} trainings, which all intervals cover."


def _named(setup: Setup, alone: str) -> str:
    """Say how units were chosen, for several categories or one alone, and how controls match."""
    again = (
        ""
        if pd.isna(setup.again)
        else f"""; of the units that one training names for a category another names
            {percent(setup.again)} for it too"""
    )
    average = "" if alone else " on average over categories"
    controls = (
        ""
        if pd.isna(setup.matched)
        else f"""Where they were chosen, named groups contribute {setup.named:.2f} to the map's
            region NSS{average}, matched ones {setup.matched:.2f}."""
    )
    if alone:
        named = f"for {alone} are"
    else:
        named = f"for each category are {setup.different:.0f} different ones"
    return f"""The {setup.k} units named {named} of {setup.units} at {setup.layer}{again}. Chosen
        on {setup.choose_on} images, scored on {setup.score_on} others. {controls}"""


def _changes(table: pd.DataFrame, where: str, units: str = "beyond matched") -> tuple[Spans, Span]:
    """Return what an ablation changes: by category, and on average."""
    return _averaged(table[(table["units"] == units) & (table["where"] == where)])


def _averaged(table: pd.DataFrame) -> tuple[Spans, Span]:
    """Return a number by category, and on average, which of one category is its own."""
    found = dict(spans(table))
    average = found.pop(ALL, None) or next(iter(found.values()))
    return found, average


def _below(found: Spans) -> str:
    """Return "**4 of 12** categories": how many lie below 0, of those with an interval."""
    sides = Sides.of(found)
    return f"**{len(sides.below)} of {len(found) - len(sides.unknown)}** categories{sides.too_few}"


def _diagonal(matrix: pd.DataFrame) -> str:
    """Say how many categories lose most by their own units, of all that are ablated."""
    wide = matrix.pivot(index="first", columns="second", values="value")
    names = [name for name in dict.fromkeys(matrix["first"]) if wide.loc[name].notna().any()]
    wide = wide.loc[names, names]
    by_row = [name for name in names if wide.loc[name].idxmin() == name]
    by_column = [name for name in names if wide[name].idxmin() == name]
    sure = matrix[decided(matrix)]
    own = (sure["first"] == sure["second"]).sum()
    count = (
        f"{len(sure)} exclude 0, {own} of them on the diagonal" if len(sure) else "none excludes 0"
    )
    return f"""of means over trainings, the category that loses most by a group of units is the one
        they are named for in **{len(by_row)} of {len(names)}** groups ({listed(by_row)}); the units
        that cost a category most are its own in **{len(by_column)} of {len(names)}**
        ({listed(by_column)}). Of its {matrix["low"].notna().sum()} intervals, which hold together,
        {count}."""


def _but(apart: Span, others: Sequence[tuple[object, pd.DataFrame]]) -> str:
    """Say so where units that were named otherwise tell something else."""
    sides = (f"{_changes(rows, 'difference')[1]:1|-1|0}" for _, rows in others)
    same = all(side == f"{apart:1|-1|0}" for side in sides)
    return "" if same else "; named otherwise, it is not so"


def _specific(table: pd.DataFrame) -> str:
    """Say by how much more the units' own categories lose, and in which ones surely."""
    difference, average = _changes(table, "difference")
    found = Sides.of(difference)
    lost = mention(": {}", found.below, ".2f")
    gained = mention("; the other way round for {}", found.above, ".2f")
    return f"""own − others is {average:.2f}; specific in {_below(difference)}{lost}{gained}"""


def _dose(k: int, table: pd.DataFrame, alone: str) -> str:
    named, random = (_changes(table, "own", units)[1] for units in ("named", "random"))
    return f"""with {k} of its units ablated {alone or "a category"} changes by {named:.2f}, with as
        many random ones by {random:.2f}"""


def _carried(table: pd.DataFrame, setup: Setup, alone: str) -> str:
    both = {what: _averaged(rows) for what, rows in table.groupby("what")}
    by, of_all = ({what: pair[k] for what, pair in both.items()} for k in (0, 1))
    whole, rho = of_all["map"].value, of_all["rho"]
    part, fair = (percent(of_all[what].value / whole) for what in ("carried", "fair"))
    hardly = f"{rho:, if hardly|, if hardly|}" if abs(rho.value) < WEAK else ""
    beyond, single = Sides.of(by["beyond"]), Sides.of(by["rho"])
    if alone:
        average, gap = f" at {alone}", of_all["beyond"]
        more = f"The difference is {gap:.2f}."
        rises = ""
    else:
        average = " on average"
        more = f"""They carry more than that in **{beyond.counted}**
            categories{beyond.too_few}."""
        rises = f" on average, and above 0 in **{single.counted}** categories"
    return f"""Of the map's region NSS, {whole:.2f}{average}, the {setup.k} units carry
        {of_all["carried"]:.2f} ({part}); as many units of the layer on average,
        {of_all["fair"].value:.2f} ({fair}). {more} Over units, selectivity and contribution
        correlate by ρ = {rho:.2f}{rises}: more selective units add
        {rho:more|less|neither surely more nor less} to the map{hardly}; these intervals are over
        units and trainings."""


def _methods(agreement: pd.DataFrame, same: Spans, alone: str) -> str:
    """Set IoU beside region NSS."""
    if alone:
        rho = Span.of(agreement.iloc[0])
        return f"""IoU and region NSS rank the units {
            rho:alike|the other way round|neither surely
            alike nor the other way round}: ρ = {rho:.2f}; the interval is over units and
            trainings."""
    alike = Sides.of(spans(agreement))
    return f"""IoU and region NSS rank the units alike (interval above 0) in **{alike.counted}**
        categories{_range(agreement)}. They give {same["share"]:.0%} of the units the same best
        category, {same["kappa"]:more|less|not surely more} often than chance would bring
        ({percent(same["chance"].value)}; κ = {same["kappa"]:.2f}); intervals are over units and
        trainings."""


def _range(table: pd.DataFrame) -> str:
    """Return between which correlations they lie, if of any there is an interval."""
    if not table["low"].notna().any():
        return ""
    most, least = extremes(table)
    return f""", from ρ = {Span.of(most):.2f} for {label(most["category"])} to
        {Span.of(least):.2f} for {label(least["category"])}"""
