"""What is lost with units, and what they carry of the map, in sentences: notebook 07."""

from collections.abc import Iterable, Sequence

import pandas as pd

from ...dissection.groups import Group, named
from ...dissection.top_units import MIN_IMAGES
from ...viewing.claims import Sides, Span, Spans, bullets, extremes, listed, mention, percent, spans
from ...viewing.style import label
from .tables import ALL, AblationStudy

WEAK = 0.1  # a correlation so small is called so, however sure its sign (Cohen 1988)


def what_we_see(
    matrix: pd.DataFrame,
    losses: pd.DataFrame,
    doses: pd.DataFrame,
    carried: pd.DataFrame,
    agreement: pd.DataFrame,
    labels: pd.DataFrame,
    groups: Sequence[Group],
    study: AblationStudy,
) -> str:
    """Words under 07_causal_units.

    losses, doses: `losses_by` over "way", the main ablation first, and over "k"; groups: those
    that the main one ablates; the others: `tables`' of these names.
    """
    (way, main), *others = losses.groupby("way", sort=False)
    (own, average), (_, apart) = _changes(main, "own"), _changes(main, "difference")
    few = [c for c in study.score_on.categories if c not in own]
    k, different = _counted(groups, own)
    again = "\n".join(f"- {o.capitalize()} instead, {_specific(rows)}." for o, rows in others)
    ends = dict.fromkeys([doses["k"].min(), doses["k"].max()])
    return bullets(f"""
        - In the matrix, {_diagonal(matrix)}
        - The {k} units named for each of {len(own)} categories are {different} different ones of
          {len(study.moments.mean)}; chosen on {len(study.choose_on)} images, scored on
          {len(study.score_on)} others.
          {mention(f"Left out, on fewer than {MIN_IMAGES} images: {{}}.", few)}
        - {way.capitalize()}, they cost their own category more than matched units do in
          **{len(Sides.of(own).below)} of {len(own)}** categories; on average its region NSS changes
          by {average:.2f} beyond what matched units change.
        - **On average the loss is {apart:the other way round|specific|not shown to be specific}**
          (below 0, a category loses more by its own units than the others do): {_specific(main)}.
        {again}
        - Dose, over all categories: {"; ".join(_dose(n, doses[doses["k"] == n]) for n in ends)}.
        - {_carried(carried, k, study.read_layer)}
        - {_methods(agreement, spans(labels, by="measure"))}
    """)


def _counted(groups: Sequence[Group], names: Iterable[str]) -> tuple[int, int]:
    """Return how many units are named for each of the categories, and how many differ in all."""
    found = named(groups)
    units = [set(found[name].units) for name in names]
    return len(units[0]), len(set.union(*units))


def _changes(table: pd.DataFrame, where: str, units: str = "beyond matched") -> tuple[Spans, Span]:
    """Return what an ablation changes: by category, and on average."""
    found = spans(table[(table["units"] == units) & (table["where"] == where)])
    return {c: span for c, span in found.items() if c != ALL}, found[ALL]


def _diagonal(matrix: pd.DataFrame) -> str:
    """Say how many categories lose most by their own units, of all that are ablated."""
    wide = matrix.pivot(index="first", columns="second", values="value")
    wide = wide.loc[:, wide.index].dropna(how="all").dropna(axis=1, how="all")
    names = [name for name in wide.index if name in wide.columns]
    wide = wide.loc[names, names]
    by_row = [name for name in names if wide.loc[name].idxmin() == name]
    by_column = [name for name in names if wide[name].idxmin() == name]
    return f"""the category that loses most by a group of units is the one they are named for in
        **{len(by_row)} of {len(names)}** groups ({listed(by_row)}); the units that cost a category
        most are its own in **{len(by_column)} of {len(names)}** ({listed(by_column)}). Own − others
        below holds the mean over the others against it, among which gains and losses cancel."""


def _specific(table: pd.DataFrame) -> str:
    """Say by how much more the units' own categories lose, and in which ones surely."""
    difference, average = _changes(table, "difference")
    found = Sides.of(difference)
    lost = mention(": {}", found.below, ".2f")
    gained = mention("; the other way round for {}", found.above, ".2f")
    return f"""own − others is {average:.2f}; specific in **{len(found.below)} of
        {len(difference)}**{lost}{gained}"""


def _dose(k: int, table: pd.DataFrame) -> str:
    named, random = (_changes(table, "own", units)[1] for units in ("named", "random"))
    return f"""with {k} of its units ablated a category changes by {named:.2f}, with as many random
        ones by {random:.2f}"""


def _carried(table: pd.DataFrame, k: int, layer: str) -> str:
    by = {what: spans(rows) for what, rows in table.groupby("what")}
    of_all = {what: found.pop(ALL) for what, found in by.items()}
    whole, rho = of_all["map"].value, of_all["rho"]
    part, fair = (percent(of_all[what].value / whole) for what in ("carried", "fair"))
    hardly = f"{rho:, if hardly|, if hardly|}" if abs(rho.value) < WEAK else ""
    most, least = extremes(table[(table["what"] == "rho") & (table["category"] != ALL)])
    return f"""Of the map's region NSS, {whole:.2f} on average, the {k} units at {layer} carry
        {of_all["carried"]:.2f} ({part}); as many units of the layer on average,
        {of_all["fair"].value:.2f} ({fair}). They carry more than that in
        **{len(Sides.of(by["beyond"]).above)} of {len(by["beyond"])}** categories. Over units,
        selectivity and contribution correlate by ρ = {rho:.2f} on average
        ({label(least["category"])} {least["value"]:.2f} to {label(most["category"])}
        {most["value"]:.2f}): more selective units add
        {rho:more|less|neither surely more nor less} to the map there{hardly}."""


def _methods(agreement: pd.DataFrame, same: Spans) -> str:
    """Set IoU beside region NSS."""
    alike, (most, least) = Sides.of(spans(agreement, "rho")), extremes(agreement, "rho")
    return f"""IoU and region NSS rank the units alike (interval above 0) in **{alike.counted}**
        categories, from ρ = {Span.of(most, "rho"):.2f} for {label(most["category"])} to
        {Span.of(least, "rho"):.2f} for {label(least["category"])}. They give {same["share"]:.0%} of
        the units the same best category, {same["kappa"]:more|less|not surely more} often than
        chance would bring ({percent(same["chance"].value)}; κ = {same["kappa"]:.2f}); intervals are
        over units."""
