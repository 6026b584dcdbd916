"""How far a model is from people, where, and what helps, in sentences."""

from collections.abc import Sequence

import pandas as pd

from ...viewing.claims import verdict
from ...viewing.style import label
from .tables import OUTSIDE


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
