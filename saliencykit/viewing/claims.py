"""Numbers, lists and verdicts, as sentences need them."""

from collections.abc import Sequence

import pandas as pd

from .style import label

SPAN = ["mean", "low", "high"]


def number(mean: float, low: float, high: float, digits: int = 2) -> str:
    """Return "1.23 [1.10, 1.35]": a mean with its 95 % interval."""
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def listed(names: Sequence[str]) -> str:
    """Return "a, b and c", as people write a list; "none" if it is empty."""
    names = [label(n) for n in names]
    if len(names) < 2:
        return names[0] if names else "none"
    return f"{', '.join(names[:-1])} and {names[-1]}"


def verdict(low: float, high: float, more: str, less: str, undecided: str) -> str:
    """Return `more` if the interval lies above 0, `less` if below, `undecided` if it holds 0."""
    return more if low > 0 else less if high < 0 else undecided


def pairs_above(counts: pd.DataFrame, threshold: float) -> str:
    """Return "pre-trained 12, fine-tuned 80": (unit, category) pairs above the threshold."""
    at = counts[counts["threshold"] == threshold].groupby("encoder", sort=False)["units"].sum()
    return ", ".join(f"{encoder} {units}" for encoder, units in at.items())


def too_few(told: pd.DataFrame, all_of_them: pd.DataFrame) -> str:
    """Return " (too few images of …)" for the categories of which nothing could be told."""
    few = [c for c in all_of_them["category"] if c not in set(told["category"])]
    return f" (too few images of {listed(few)} to say)" if few else ""
