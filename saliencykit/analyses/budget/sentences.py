"""What layers explain of people's fixations, and what nobody does, in sentences: notebook 12."""

import pandas as pd

from ...viewing.claims import Span, bullets, listed, percent, spans
from ...viewing.plots import only, unique
from ...viewing.style import label
from .tables import ALL, CHOSEN, NONE, TOGETHER, Budget


def what_we_see(
    budget: Budget, layers: pd.DataFrame, left: pd.DataFrame, categories: pd.DataFrame
) -> str:
    """Words under 12_budget. layers, left, categories: `Budget.layers`, `unexplained` …"""
    return bullets(f"""
        - {_ranking(layers, budget)}
        - {_control(layers, budget)}
        - {_whole(left, budget)}
        - {_by_category(left)}
        - {_by_layer(categories)}
        - {_by(left, "place", "{} of the way from the centre to a corner")}
        - {_by(left, "order", "fixation {}")}
        - {_not_asked(budget)}
    """)


def _ranking(layers: pd.DataFrame, budget: Budget) -> str:
    """Say what each encoder's best layer explains, and who is surely behind the best."""
    named, found = _best_layers(layers), only(layers, layer=CHOSEN)
    found = found[found["encoder"] != budget.control].sort_values("value", ascending=False)
    first = found.iloc[0]
    share = Span.of(first, "of_limit")
    of = f", {share:.0%} of what {budget.people} have" if budget.people else ""
    others = [
        f"{row['encoder']} at `{named[row['encoder']]}` {Span.of(row):.2f}"
        f" ({Span.of(row, 'behind'):surely less|surely more|not surely less})"
        for _, row in found.iloc[1:].iterrows()
    ]
    then = f" Then {listed(others, text=str)}, compared fixation by fixation." if others else ""
    every = only(layers, encoder=TOGETHER).iloc[0]
    than = f"{Span.of(every, 'behind'):surely less|surely more|not surely more}"
    told = f"{Span.of(every):.2f}"
    told += f", {Span.of(every, 'of_limit'):.0%} of people's" if budget.people else ""
    return f"""A linear readout of **{first["encoder"]}**'s best frozen layer,
        `{named[first["encoder"]]}`, explains most: **{Span.of(first):.2f} bits per fixation** over
        the centre prior{of}; which layer is best is chosen on other images.{then} A weighted
        sum of all {_count(budget)} layers' maps explains {told}, {than} than the best."""


def _count(budget: Budget) -> int:
    """Return how many layers `TOGETHER` reads."""
    return int((budget.readings["encoder"] != budget.control).sum())


def _best_layers(layers: pd.DataFrame) -> dict[str, str]:
    """Return each encoder's best layer on all images."""
    rows = layers[layers["best"]]
    return dict(zip(rows["encoder"], rows["layer"], strict=True))


def _control(layers: pd.DataFrame, budget: Budget) -> str:
    """Say what the untrained network explains."""
    row = only(layers, encoder=budget.control, layer=CHOSEN).iloc[0]
    behind = Span.of(row, "behind")
    return f"""The same of one untrained {budget.own}: at best {Span.of(row):.2f} bits, at
        `{_best_layers(layers)[budget.control]}`, {behind:surely less|surely more|not surely less}
        than the best (by {behind:.2f})."""


def _whole(left: pd.DataFrame, budget: Budget) -> str:
    """Say what is left of all fixations."""
    if left.empty:
        return ""
    best, every = (only(left, by=ALL, reader=reader).iloc[0] for reader in unique(left, "reader"))
    return f"""Of the {best["limit"]:.2f} bits that {budget.people} have, the layer that is best on
        all images leaves {Span.of(best):.2f}, all {_count(budget)} layers together
        {Span.of(every):.2f}: that much is in none of them, as far as a weighted sum of their maps
        can tell."""


def _by_category(left: pd.DataFrame) -> str:
    """Say in which category most is left, and which adds most to the whole."""
    rows = _own(left, "category")
    if rows.empty:
        return ""
    whole = rows["adds"].sum()
    adds = rows.sort_values("adds", ascending=False).iloc[0]
    outside = only(rows, what=NONE)
    rest = ""
    if len(outside) and adds["what"] != NONE:
        rest = f"; what lies in no region adds {percent(outside['adds'].item() / whole)}"
    missed = spans(only(left, by="category", reader=TOGETHER), by="what")
    missed = [what for what, span in missed.items() if span.low > 0]
    nobody = f"Even all layers together surely leave some in {listed(missed)}." if missed else (
        "All layers together surely leave nothing in any category.")  # fmt: skip
    often = percent(adds["share"])
    return f"""{_ends(rows)} Most of all that is left is of
        **{label(adds["what"])}**, {percent(adds["adds"] / whole)}, where {often} of the fixations
        are{rest}. {nobody}"""


def _own(left: pd.DataFrame, by: str) -> pd.DataFrame:
    """Return the rows of the best reading, of parts dealt `by`."""
    return left[(left["by"] == by) & (left["reader"] != TOGETHER)] if len(left) else left


def _ends(rows: pd.DataFrame) -> str:
    """Say where the best layer surely leaves more, or less, than in all regions together."""
    rows = rows[rows["what"] != NONE]
    if rows["low"].notna().sum() < 2:
        return "Too few images to say of which categories most is left."
    whole = rows["adds"].sum() / rows["share"].sum()
    more, less = rows[rows["low"] > whole], rows[rows["high"] < whole]
    said = [f"surely {word} at {_left(own)}" for word, own in (("more", more), ("less", less))
            if len(own)]  # fmt: skip
    told = "; ".join(said) or "surely more or less nowhere"
    known = rows.dropna(subset="of_limit_low").sort_values("of_limit")
    parts = [f"{label(r['what'])} {Span.of(r, 'of_limit'):.0%}" for _, r in known.iterrows()]
    shares = f" Of people's bits it explains least at {parts[0]}, most at {parts[-1]}." if (
        len(parts) > 1) else ""  # fmt: skip
    return f"""In regions the best layer leaves {whole:.2f} bits per fixation; {told}.{shares}"""


def _left(rows: pd.DataFrame) -> str:
    """List what is left of people's bits at these parts, most first."""
    rows = rows.sort_values("value", ascending=False)
    parts = [
        f"{label(row['what'])} {Span.of(row):.2f} of {row['limit']:.2f}"
        for _, row in rows.iterrows()
    ]
    return listed(parts, text=str)


def _by(left: pd.DataFrame, by: str, where: str) -> str:
    """Say what is left at the first and last place, or fixation: `where`, its name for {}."""
    rows = _own(left, by)
    if len(rows) < 2:
        return ""
    first, last = rows.iloc[0], rows.iloc[-1]
    return f"""At {where.format(first["what"])} the best layer leaves {Span.of(first):.2f} of
        {first["limit"]:.2f} bits, at {last["what"]} {Span.of(last):.2f} of {last["limit"]:.2f}."""


def _by_layer(categories: pd.DataFrame) -> str:
    """Say at which encoder's layer each category is known best, and where surely better."""
    if categories.empty:
        return ""
    read = categories[(categories["encoder"] != TOGETHER) & (categories["category"] != NONE)]
    read = read.dropna(subset="low")
    best = read.loc[read.groupby("category", sort=False)["value"].idxmax()]
    where, alone = "`" + best["layer"] + "`", read["encoder"].nunique() == 1
    best = best.assign(where=where if alone else best["encoder"] + " at " + where)
    known = [
        f"{where} {listed(best[best['where'] == where]['category'].tolist())}"
        for where in unique(best, "where")
    ]
    said = f"By category, layers that explain most: {listed(known, text=str)}."
    if alone:
        return f"{said} Neighbours are seldom surely apart."
    sure = [
        row.category
        for row in best.itertuples()
        if (read[(read["category"] == row.category) & (read["encoder"] != row.encoder)]
            ["behind_low"] > 0).all()
    ]  # fmt: skip
    surely = listed(sure) if sure else "none"
    return f"""{said} More than every layer of the other encoders, each difference surely by itself:
        {surely}."""


def _not_asked(budget: Budget) -> str:
    """Say what the data do not tell."""
    said = []
    if not budget.people:
        said.append("whose fixations are whose, so what people have, and nobody explains, is open")
    if "category" not in budget.parts:
        said.append("regions, so nothing is told by category")
    if "order" not in budget.parts:
        said.append("the order of all fixations")
    return f"These data do not tell {listed(said, text=str)}." if said else ""
