"""Sentences about ablated units, and what they carry of the map: notebook 07."""

from collections.abc import Sequence

import pandas as pd

from ...dissection.groups import Group, named
from ...dissection.top_units import MIN_IMAGES
from ...viewing.claims import listed, number, verdict
from ...viewing.style import label
from .tables import ALL, AblationStudy

VALUE = ["value", "low", "high"]
WEAK = 0.1  # a correlation so small is called so, however sure its sign (Cohen 1988)


def ablation(
    table: pd.DataFrame,
    doses: pd.DataFrame,
    groups: Sequence[Group],
    study: AblationStudy,
) -> str:
    """Words on what is lost with the units: is the loss specific, and how does it grow?

    table: `losses_by` over "way", the main ablation first; doses: over "k"; groups: those ablated.
    """
    way, *others = dict.fromkeys(table["way"])
    own, difference = (_entries(table[table["way"] == way], w) for w in ("own", "difference"))
    names = [c for c in own.index if c != ALL]
    chosen = [group.units for c, group in named(groups).items() if c in names]
    k, units = len(chosen[0]), {u for group in chosen for u in group}
    claim = verdict(
        *difference.loc[ALL, ["low", "high"]],
        "**On average it is the other way round**: the other categories lose more than the one "
        "whose units are ablated",
        "**On average the loss is specific**: a category loses more by its own units than the "
        "others do",
        "**On average the loss is not shown to be specific**: a category and the others change "
        "alike, as far as these images tell",
    )
    lines = [
        f"- The {k} units named for each of {len(names)} categories are {len(units)} different "
        f"ones of {len(study.moments.mean)}; chosen on {len(study.choose_on)} images, scored on "
        f"{len(study.score_on)} others.{_left_out(study, names)}",
        f"- {way.capitalize()}, they cost their own category more than matched units do in "
        f"**{_lost(own)} of {len(names)}** categories; on average its region NSS changes by "
        f"{number(*own.loc[ALL])} beyond what matched units change.",
        f"- {claim}; own − others is {number(*difference.loc[ALL])}. By category it is specific in "
        f"**{_lost(difference)} of {len(names)}**{_ranked(difference.loc[names])}.",
    ]
    for other in others:
        again = _entries(table[table["way"] == other], "difference")
        lines.append(
            f"- {other.capitalize()} instead, own − others is {number(*again.loc[ALL])}; specific "
            f"in {_lost(again)} of {len(names)}{_ranked(again.loc[names])}."
        )
    return "\n".join([*lines, _dose(doses)])


def diagonal(matrix: pd.DataFrame) -> str:
    """Words on how many categories lose most by their own units, of all that are ablated.

    matrix: `ablation_matrix`.
    """
    wide = matrix.pivot(index="first", columns="second", values="value")
    wide = wide.loc[:, wide.index].dropna(how="all").dropna(axis=1, how="all")
    names = [name for name in wide.index if name in wide.columns]
    wide = wide.loc[names, names]
    by_row = [name for name in names if wide.loc[name].idxmin() == name]
    by_column = [name for name in names if wide[name].idxmin() == name]
    return (
        f"- In the matrix, the category that loses most by a group of units is the one they are "
        f"named for in **{len(by_row)} of {len(names)}** groups ({listed(by_row)}); the units that "
        f"cost a category most are its own in **{len(by_column)} of {len(names)}** "
        f"({listed(by_column)}). Own − others below holds the mean over the others against it, "
        "among which gains and losses cancel."
    )


def _entries(table: pd.DataFrame, where: str, units: str = "beyond matched") -> pd.DataFrame:
    """Return value, low, high by category."""
    chosen = table[(table["units"] == units) & (table["where"] == where)]
    return chosen.set_index("category")[VALUE]


def _lost(table: pd.DataFrame) -> int:
    """Count the categories whose interval lies below 0."""
    return int((table["high"].drop(ALL) < 0).sum())


def _ranked(rows: pd.DataFrame) -> str:
    """Return ": text (-0.30 [-0.40, -0.20]) and …; the other way round for …": what is decided."""
    rows = rows.sort_values("value")
    lost, gained = (
        listed([f"{c} ({number(*row)})" for c, *row in part.itertuples()])
        for part in (rows[rows["high"] < 0], rows[rows["low"] > 0])
    )
    found = f": {lost}" if lost != "none" else ""
    return found + (f"; the other way round for {gained}" if gained != "none" else "")


def _left_out(study: AblationStudy, names: Sequence[str]) -> str:
    few = [c for c in study.score_on.categories if c not in names]
    return f" Left out, on fewer than {MIN_IMAGES} images: {listed(few)}." if few else ""


def _dose(doses: pd.DataFrame) -> str:
    """Say what the fewest and the most ablated units cost, beside random ones."""
    parts = []
    for k in sorted({doses["k"].min(), doses["k"].max()}):
        at = doses[doses["k"] == k]
        named, random = (_entries(at, "own", units).loc[ALL] for units in ("named", "random"))
        parts.append(
            f"{k} named unit{'s' if k > 1 else ''} change{'s' if k == 1 else ''} their own "
            f"category by {number(*named)}, as many random ones by {number(*random)}"
        )
    return f"- Dose, over all categories: {'; '.join(parts)}."


def contribution(table: pd.DataFrame, k: int, layer: str) -> str:
    """Words on what the named units carry.

    table: `carried`; k: units to a category.
    """
    by = {what: part.set_index("category")[VALUE] for what, part in table.groupby("what")}
    beyond, rho = by["beyond"], by["rho"]
    more, of = int((beyond["low"].drop(ALL) > 0).sum()), len(beyond) - 1
    whole, part, fair = (by[what].loc[ALL, "value"] for what in ("map", "carried", "fair"))
    spread = rho["value"].drop(ALL)
    found = verdict(
        *rho.loc[ALL, ["low", "high"]],
        "the more selective a unit, the more it adds to the map there",
        "the more selective a unit, the less it adds to the map there",
        "how selective a unit is says nothing certain about what it adds to the map there",
    )
    hardly = ", if hardly" if abs(rho.loc[ALL, "value"]) < WEAK else ""
    return (
        f"- Of the map's region NSS, {whole:.2f} on average, the {k} units at {layer} carry "
        f"{number(*by['carried'].loc[ALL])}{_percent(part, whole)}; as many units of the layer on "
        f"average, {fair:.2f}{_percent(fair, whole)}. They carry more than that in "
        f"**{more} of {of}** categories.\n"
        f"- Over units, selectivity and contribution correlate by ρ = {number(*rho.loc[ALL])} on "
        f"average ({label(spread.idxmin())} {spread.min():.2f} to {label(spread.idxmax())} "
        f"{spread.max():.2f}): {found}{hardly}."
    )


def _percent(part: float, whole: float) -> str:
    return f" ({100 * part / whole:.0f} %)" if whole > 0 else ""


def methods(agreement: pd.DataFrame, labels: pd.DataFrame) -> str:
    """Words on IoU beside region NSS. agreement: `method_agreement`; labels: `same_labels`."""
    told = agreement[agreement["rho"].notna()].sort_values("rho")
    least, most = told.iloc[0], told.iloc[-1]
    alike = int((told["low"] > 0).sum())
    rows = labels.set_index("measure")
    share, chance, kappa = (rows.loc[name] for name in ("share", "chance", "kappa"))
    found = verdict(
        *kappa[["low", "high"]],
        "more often than chance would bring",
        "less often than chance would bring",
        "no more often than chance would bring, as far as these units tell",
    )
    span = ["rho", "low", "high"]
    return (
        f"- IoU and region NSS rank the units alike (interval above 0) in **{alike} of "
        f"{len(told)}** categories, from ρ = {number(*most[span])} for {label(most['category'])} "
        f"to {number(*least[span])} for {label(least['category'])}. They give "
        f"{number(*(100 * share), 0)} % of the units the same best category, {found} "
        f"({100 * chance['value']:.0f} %; κ = {number(*kappa)}); intervals are over units."
    )
