"""Sentences about search arrays, failures and what helps: notebooks 04 and 06."""

from collections.abc import Sequence

import pandas as pd

from ...viewing.claims import listed, number, verdict
from ...viewing.style import label

WEAK = 0.3  # a correlation below this is called so (Cohen 1988: medium from here on)
Spans = dict[str, tuple[float, float, float]]


def pop_out(
    table: pd.DataFrame,
    spans: Spans,
    features: pd.DataFrame,
    arrays: int,
    networks: Sequence[str],
) -> str:
    """Words under 04_pop_out (F3).

    table, spans: `evaluation.popout.orders`; features: `by_condition` over "feature".
    """
    best = {k: table.loc[table[k].idxmax()] for k in ("natural", "arrays")}
    natural, odd = (
        f"{label(row['model'])}, {number(row[k], row[f'{k}_low'], row[f'{k}_high'])}"
        for k, row in best.items()
    )
    moved = verdict(
        spans["networks"][1],
        spans["networks"][2],
        "**The paper's third finding holds here**: networks stand better among the models on "
        "natural images than on arrays",
        "**It is the other way round here**: networks stand better among the models on arrays than "
        "on natural images",
        "**The paper's third finding is not decided here**: networks stand alike among the models "
        "on both",
    )
    alike = verdict(
        spans["correlation"][1],
        spans["correlation"][2],
        "on the whole, models that predict fixations better also find the odd item better",
        "on the whole, the better a model predicts fixations, the worse it finds the odd item",
        "how well a model predicts fixations says nothing certain about how well it finds the odd "
        "item",
    )
    blind = _blind(features, networks)
    return (
        f"- Best on natural images is {natural} (NSS); best on the {arrays} search arrays is {odd} "
        "(GSI).\n"
        f"- {moved}: by {number(*spans['networks'], 1)} ranks of {len(table)}; the others by "
        f"{number(*spans['classical'], 1)}.\n"
        f"- Rank correlation of the two orders: {number(*spans['correlation'])}; {alike}"
        f"{', if weakly' if abs(spans['correlation'][0]) < WEAK else ''}.\n"
        f"- {blind}"
    )


def _blind(features: pd.DataFrame, networks: Sequence[str]) -> str:
    """Say in which kinds of search the target is salient to some network, and in which to none."""
    ours = features[features["model"].isin(networks)]
    seen = list(dict.fromkeys(ours.loc[ours["low"] > 0, "feature"]))
    unseen = [f for f in dict.fromkeys(ours["feature"]) if f not in seen]
    said = f"To some network the odd item is more salient than the others in {listed(seen)}"
    return f"{said}; to none in {listed(unseen)}." if unseen else f"{said}: every kind of search."
