"""Sentences about search arrays, failures and what helps: notebooks 04 and 06."""

from collections.abc import Sequence

import pandas as pd

from ...evaluation.failures import OUTSIDE
from ...evaluation.popout import is_network
from ..style import label
from .phrases import listed, number, verdict

WEAK = 0.3  # a correlation below this is called so (Cohen 1988: medium from here on)
Spans = dict[str, tuple[float, float, float]]


def pop_out(table: pd.DataFrame, spans: Spans, features: pd.DataFrame, arrays: int) -> str:
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
    networks = [m for m in table["model"] if is_network(m)]
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


def _blind(features: pd.DataFrame, networks: list[str]) -> str:
    """Say in which kinds of search the target is salient to some network, and in which to none."""
    ours = features[features["model"].isin(networks)]
    seen = list(dict.fromkeys(ours.loc[ours["low"] > 0, "feature"]))
    unseen = [f for f in dict.fromkeys(ours["feature"]) if f not in seen]
    said = f"To some network the odd item is more salient than the others in {listed(seen)}"
    return f"{said}; to none in {listed(unseen)}." if unseen else f"{said}: every kind of search."


def failures(gaps: pd.DataFrame, excess: pd.DataFrame, model: str) -> str:
    """Words under 06_failures: how far from people, where, and in which categories.

    gaps, excess: `evaluation.failures`.
    """
    share = 100 * (gaps["gap"] > 0).mean()
    worst = gaps.iloc[0]
    over = excess[excess["low"] > 0].sort_values("excess", ascending=False)
    under = excess[excess["high"] < 0].sort_values("excess")
    lines = [
        f"- The {model} model is below the human ceiling on {share:.0f} % of {len(gaps)} images"
        f"{_concentrated(gaps['gap'])}. The widest gap is on {worst['image']}: NSS "
        f"{worst['model']:.2f} against {worst['human']:.2f}.",
        f"- It expects too many fixations on {_ranked(over)}.",
        f"- It expects too few on {_ranked(under)}.",
    ]
    return "\n".join(lines)


def _concentrated(gap: pd.Series) -> str:
    """Say what part of all that is missing the widest quarter of gaps makes; gap: widest first."""
    missing = gap.clip(lower=0)
    if not missing.any():
        return ""
    share = 100 * missing.head(max(1, len(gap) // 4)).sum() / missing.sum()
    return f"; of what it misses there, the quarter with the widest gaps makes {share:.0f} %"


def _ranked(table: pd.DataFrame) -> str:
    """Return "text (+12 [5, 20] % of people's share), plant …"; "no category, beyond doubt"."""
    if table.empty:
        return "no category beyond doubt"
    return ", ".join(
        f"{'what lies outside all regions' if r.category == OUTSIDE else label(r.category)} "
        f"({r.excess:+.0f} [{r.low:.0f}, {r.high:.0f}] % of people's share)"
        for r in table.itertuples()
    )


def remedies(table: pd.DataFrame, plain: str) -> str:
    """Words on what helps: both sides of each remedy, and what one should do.

    table: `evaluation.popout.compared`.
    """
    wide = {side: t.set_index("model") for side, t in table.groupby("side")}
    natural, arrays = wide["natural"], wide["arrays"]
    names = [m for m in natural.index if m != plain]
    lines = [
        f"- Plain: NSS {natural.loc[plain, 'mean']:.2f} on natural images, GSI "
        f"{arrays.loc[plain, 'mean']:.3f} on arrays."
    ]
    for name in names:
        n, a = natural.loc[name], arrays.loc[name]
        lines.append(
            f"- **{name.capitalize()}**: NSS {_signed(n)}, GSI {_signed(a, 3)}; it "
            + verdict(a["low"], a["high"], "makes the odd item stand out more",
                      "makes it stand out less", "does nothing certain for the odd item")
            + " and "
            + verdict(n["low"], n["high"], "improves the prediction of fixations.",
                      "costs some of the prediction of fixations.",
                      "costs no certain prediction of fixations.")
        )  # fmt: skip
    good = [m for m in names if arrays.loc[m, "low"] > 0 and natural.loc[m, "high"] >= 0]
    if good:
        best = max(good, key=lambda m: arrays.loc[m, "difference"])
        lines.append(
            f"- **What to do**: of what raises the odd item without a certain loss on natural "
            f"images, the model {best} raises it most."
        )
    else:
        lines.append(_bargain(natural, arrays, names, plain))
    return "\n".join(lines)


def _bargain(natural: pd.DataFrame, arrays: pd.DataFrame, names: Sequence[str], plain: str) -> str:
    """Say which remedy raises the odd item most for what it costs, where none is free."""
    raising = [name for name in names if arrays.loc[name, "low"] > 0]
    if not raising:
        return "- **What to do**: none of them makes the odd item stand out more; look elsewhere."
    gain, cost = arrays.loc[raising, "difference"], -natural.loc[raising, "difference"]
    best = (gain / cost).idxmax()
    percent = 100 * cost[best] / natural.loc[plain, "mean"]
    return (
        f"- **What to do**: what makes the odd item stand out more has its price. The model {best} "
        "gives most for it: GSI "
        f"{gain[best]:+.3f} for {percent:.1f} % of the NSS on natural images."
    )


def _signed(row: pd.Series, digits: int = 2) -> str:
    low, high = (f"{row[k]:+.{digits}f}" for k in ("low", "high"))
    return f"{row['difference']:+.{digits}f} [{low}, {high}]"
