"""What sentences are made of: numbers with intervals, what these decide, lists of names.

A `sentences.py` is a text with holes, `bullets(f"…")`, which `Span`s from tables fill. What a claim
says is chosen where it stands, by the interval: f"it {span:helps|harms|does nothing certain}".
"""

import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import pandas as pd

from .style import label

UNKNOWN = "not known"  # what is written in place of a number that is NaN
VAGUE = 0.3  # an interval of a share as wide tells nothing


class Span(NamedTuple):
    """A value with its 95 % interval; NaN where nothing can be told."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, row: Mapping[str, Any] | pd.Series, name: str = "value") -> "Span":
        """Read row[name] and its interval: `name`_low, `name`_high if it has them, or low, high."""
        return cls(*(float(row[key]) for key in _columns(row, name)))

    def __format__(self, spec: str) -> str:
        """Return the numbers, or the claim that they bear out.

        ".2f": "1.23 [1.10, 1.35]"; "+.2f": all signed; ".0%": "12 % [5, 20]"; "more|less|neither":
        the first if the interval lies above 0, the second if below, the last if it holds 0 or is
        not known.
        """
        if "|" in spec:
            return spec.split("|")[0 if self.low > 0 else 1 if self.high < 0 else 2]
        if math.isnan(self.value):
            return UNKNOWN
        scale, unit = (100, " %") if spec.endswith("%") else (1, "")
        value, low, high = (format(scale * v, spec.replace("%", "f")) for v in self)
        return f"{value}{unit} [{low}, {high}]" if self.known else f"{value}{unit} (no interval)"

    def __sub__(self, other: "Span | float") -> "Span":
        """Return by how much it lies above a number, or above a span, at the least and the most.

        Of two spans the result holds 0 where they overlap: more careful than paired differences.
        """
        value, low, high = other if isinstance(other, Span) else (other, other, other)
        return Span(self.value - value, self.low - high, self.high - low)

    @property
    def known(self) -> bool:
        """Whether there is a value and an interval."""
        return not any(math.isnan(v) for v in self)


Spans = Mapping[Any, Span]


def _columns(table: Collection[str], name: str) -> tuple[str, str, str]:
    ends = (f"{name}_low", f"{name}_high") if f"{name}_low" in table else ("low", "high")
    return name, *ends


def spans(table: pd.DataFrame, name: str = "value", by: str | list[str] = "category") -> Spans:
    """Return `Span.of` each row by its `by` (a tuple, if these are several), in table order."""
    return {key: Span.of(row, name) for key, row in table.set_index(by).iterrows()}


def extremes(table: pd.DataFrame, name: str = "value") -> tuple[pd.Series, pd.Series]:
    """Return the rows in which `name` is largest and smallest, of those with an interval."""
    told = table.dropna(subset=list(_columns(table, name))).sort_values(name)
    return told.iloc[-1], told.iloc[0]


class Sides(NamedTuple):
    """Names with their spans, by the side of 0 on which these lie; furthest from 0 first."""

    above: Spans
    below: Spans
    undecided: Spans
    unknown: Spans

    @classmethod
    def of(cls, found: Spans) -> "Sides":
        """Tell apart the spans above 0, below it, about it, and those of which nothing is known."""
        sides: dict[str, dict[Any, Span]] = {field: {} for field in cls._fields}
        furthest = sorted(found, key=lambda n: found[n].known and -abs(found[n].value))
        for name in furthest:
            side = f"{found[name]:above|below|undecided}" if found[name].known else "unknown"
            sides[side][name] = found[name]
        return cls(**sides)

    @property
    def counted(self) -> str:
        """Return "4 of 12": how many lie above 0, of those that are known."""
        return f"{len(self.above)} of {len(self.known)}"

    @property
    def known(self) -> Spans:
        """Return those that lie above 0, below it or about it."""
        return {**self.above, **self.below, **self.undecided}

    @property
    def too_few(self) -> str:
        """Return " (too few images of … to say)", if of some nothing is known."""
        return mention(" (too few images of {} to say)", self.unknown)


def listed(
    names: Collection[str] | Spans, spec: str = "", text: Callable[[str], str] = label
) -> str:
    """Return "a, b and c", as people write a list; "none" if it is empty.

    spec: how spans are written behind their names: "a 0.3 [0.2, 0.4] and b …"; "": not at all;
    text: what is written of a name.
    """
    said = [f"{text(n)} {names[n]:{spec}}" if spec else text(n) for n in names]
    if len(said) < 2:
        return said[0] if said else "none"
    return f"{', '.join(said[:-1])} and {said[-1]}"


def mention(sentence: str, names: Collection[str] | Spans, spec: str = "") -> str:
    """Return a sentence with the names `listed` in place of its {}; "" if there are none."""
    return sentence.format(listed(names, spec)) if names else ""


def percent(share: float, digits: int = 0) -> str:
    """Return "12 %"."""
    return UNKNOWN if math.isnan(share) else f"{100 * share:.{digits}f} %"


def moved(before: float, after: float) -> str:
    """Return "1.00 → 2.84"."""
    return " → ".join(UNKNOWN if math.isnan(v) else f"{v:.2f}" for v in (before, after))


def pairs_above(counts: pd.DataFrame, threshold: float) -> str:
    """Return "pre-trained 12, fine-tuned 80": (unit, category) pairs above the threshold."""
    at = counts[counts["threshold"] == threshold].groupby("encoder", sort=False)["units"].sum()
    return ", ".join(f"{encoder} {units:.0f}" for encoder, units in at.items())


def bullets(text: str) -> str:
    """Return a text's list in Markdown, wrapped lines joined; bullets without words left out."""
    items = (" ".join(item.split()) for item in re.split(r"^\s*-\s", text, flags=re.MULTILINE))
    return "\n".join(f"- {item}" for item in items if item)
