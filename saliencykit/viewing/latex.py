"""Tables in LaTeX, as papers print them: a number with its interval, names as people write them.

How a number came about, training by training, its spreads and standard errors, is left to the CSV.
"""

import math
import re

import pandas as pd
from pandas.api.types import is_numeric_dtype

from ..intervals import triples
from ..metrics import METRICS
from .claims import UNKNOWN, Span
from .style import label

LEFT_OUT = re.compile(r"(training|control)[ _]\d+|(\w+_)?(se|sd)_\w+")
NAMED = ("category", "first", "second", "favoured", "model", "who", "feature", "metric", "measure")
"""Columns of names that people write otherwise than tables do; others hold files, layers, texts."""
MEASURED = ("metric", "measure")  # columns that say what is measured: not all to as many digits
PAGE = 50
"""Rows that fit on a page; a table of more goes on over pages, as a longtable."""
NOTHING = "--"
SIGNS = str.maketrans(
    {
        "−": "$-$",
        "×": r"$\times$",
        "→": r"$\to$",
        "←": r"$\gets$",
        "≈": r"$\approx$",
        "≥": r"$\geq$",
        "∞": r"$\infty$",
        "ρ": r"$\rho$",
        "Δ": r"$\Delta$",
    }
)
"""Letters that we write and LaTeX does not know without more packages."""


def latex(table: pd.DataFrame) -> str:
    r"""Return a table as a tabular with booktabs' rules; its first line says what it wants loaded.

    `x` with `x_low` and `x_high`, or whatever stands before `low` and `high`, becomes one column,
    "1.23 [1.10, 1.35]", to two digits of how wide intervals of this measure are in the median.
    Texts are escaped; missing numbers are dashes.
    """
    told = _joined(table[[name for name in table if not LEFT_OUT.fullmatch(name)]])
    texts = [name for name in told if name in table and not is_numeric_dtype(table[name])]
    written = told.assign(
        **{name: told[name].map(_name, na_action="ignore") for name in set(texts) & set(NAMED)}
    )
    written = written.assign(**{name: _numbers(told[name]) for name in told if name not in texts})
    shown = written.rename(columns=_name).style.hide(axis="index")
    shown.format(subset=list(map(_name, texts)), escape="latex", na_rep=NOTHING)
    long = len(table) > PAGE
    body = shown.format_index(escape="latex", axis=1).to_latex(
        column_format="".join("l" if name in texts else "r" for name in told),
        environment="longtable" if long else None,
        hrules=True,
    )
    wanted = "booktabs,longtable" if long else "booktabs"
    return f"% \\usepackage{{{wanted}}}\n{body}".translate(SIGNS)


def _joined(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with each number and its interval in one column, as texts."""
    header, by = list(table), [name for name in MEASURED if name in table]
    joined, ends = {}, []
    for value, *own in ([header[place] for place in places] for places in triples(header)):
        low, high = own
        wide = table[high] - table[low]
        typical = wide.groupby([table[name] for name in by]) if by else wide.groupby(lambda _: 0)
        digits = typical.transform("median").map(_digits)
        spans = (Span(*map(float, row)) for row in table[[value, low, high]].to_numpy())
        joined[value] = [f"{span:.{d}f}" for span, d in zip(spans, digits, strict=True)]
        ends += own
    return table.drop(columns=ends).assign(**joined)


def _digits(wide: float) -> int:
    """Return how many decimals tell a number whose interval is so wide."""
    return min(6, max(0, 1 - math.floor(math.log10(wide)))) if wide > 0 else 2


def _numbers(column: pd.Series) -> list[str]:
    """Return numbers, or joined texts of them, as LaTeX writes them."""
    if not is_numeric_dtype(column):
        return [_number(text.removesuffix(" (no interval)")) for text in column]
    whole = (column.dropna() % 1 == 0).all()
    return [_number(f"{v:.0f}" if whole or 100 <= abs(v) < 1e15 else f"{v:.3g}") for v in column]


def _number(text: str) -> str:
    if text in (UNKNOWN, "nan"):
        return NOTHING
    minus = re.sub(r"(?<!e)-(?=\d|inf)", "−", text).replace("inf", "∞")
    return re.sub(r"e([-+])0*(\d+)", r"$\\times 10^{\1\2}$", minus).replace("{+", "{")


def _name(name: str) -> str:
    """Return the name of a column, category, metric or model as people write it; not a layer's."""
    if name in METRICS:
        return METRICS[name].label
    return name if re.search(r"_\d", name) else label(name)
