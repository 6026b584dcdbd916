"""What is found in every setting, and what numbers hang on: notebook 10."""

from collections.abc import Mapping, Sequence

import pandas as pd

from ...findings.alike import NAMES
from ...findings.lead import EFFICIENT, LEAD, LOST, NATURAL
from ...intervals import RATE
from ...viewing.claims import Sides, Span, bullets, listed, spans
from ...viewing.plots import only
from ...viewing.style import label
from .tables import ASKED, HOW, IMAGES, NETWORK, SHARE, TOLD_BY, UNITS, VARIES, numbers

LEADS = {NATURAL: "lead on photographs", EFFICIENT: "lead on efficient searches", LOST: "lead lost"}
MEASURES = {SHARE: "map", UNITS: "ten best units"}
HANGS = {NETWORK: "networks", IMAGES: "collections of images", HOW: "ways to read or teach them"}
Key = tuple[str, str, str]
"""A number: its finding, measure and what it is of."""


def what_we_see(
    tables: Mapping[str, pd.DataFrame],
    differ: pd.DataFrame,
    same: pd.DataFrame,
    about: pd.DataFrame,
) -> str:
    """Words under 10_elsewhere: a table of all numbers, then what stands out.

    tables: of `tables`, by finding; differ: `tables.hangs_on`; same: `tables.same_units`; about:
    `Asked.about`.
    """
    layers = about.drop_duplicates(NETWORK).set_index(NETWORK)["layer"]
    told = {key: Sides.of(spans(rows, by="setting")) for key, rows in numbers(tables)}
    said = bullets(f"""
        - {_asked(about)}
        - {_everywhere(told)}
        - {_differing(differ)}
        - {_turned(told)}
        - {_dealt(tables["F4"])}
        - {_same(same, layers)}
    """)
    return f"{said}\n\n{_table(told, differ)}"


def named(key: Key) -> str:
    """Return what people call a number: "F2 person head − text, map"."""
    finding, measure, what = key
    if what == LEAD:
        return f"{finding} {LEADS[measure]}"
    named = NAMES.get(what, label(what))
    return f"{finding} {named}" + (f", {MEASURES[measure]}" if measure else "")


def _asked(about: pd.DataFrame) -> str:
    """Say how many settings there are, and what cannot be told of so few."""
    networks, images = (about[name].nunique() for name in (NETWORK, IMAGES))
    count = f"{len(about)} setting{'s' if len(about) > 1 else ''}"
    if TOLD_BY in about and (others := about.loc[about[TOLD_BY] != ASKED, TOLD_BY]).size:
        count += f", {len(others)} of them told by an earlier run ({others.iloc[0]})"
        if about[HOW].str.contains(f" · {TOLD_BY} ", regex=False).any():
            count += " (what it told of one that reads like an asked one is drawn, not counted)"
    if networks == images == 1:
        return f"""{count} of **one network on one collection of images**: this shows how the
            comparison works, not what holds elsewhere."""
    return f"""{count}: {networks} network{"s" if networks > 1 else ""}, {images}
        collection{"s" if images > 1 else ""} of images, each network at its own layer, input size
        and training, so that a difference between networks may be one of these."""


def _everywhere(told: Mapping[Key, Sides]) -> str:
    """Say which numbers lie on one side of 0 in every setting asked, of two or more."""
    found: dict[str, list[str]] = {"Above 0": [], "Below 0": []}
    for key, sides in told.items():
        for word, side in zip(found, (sides.above, sides.below), strict=True):
            if len(side) == _asked_of(sides) >= 2:
                found[word].append(f"{named(key)} ({len(side)})")
    parts = [f"**{word}** {listed(names, text=str)}" for word, names in found.items() if names]
    if not parts:
        return "No number lies on one side of 0 in every setting asked, of two or more."
    return f"In every setting asked, each interval by itself: {'. '.join(parts)}."


def _asked_of(sides: Sides) -> int:
    return len(sides.above) + len(sides.below) + len(sides.undecided)


def _differing(differ: pd.DataFrame) -> str:
    """Say which numbers differ between networks, images, or ways to read and teach them."""
    parts = []
    for on in VARIES:
        tested = differ[(differ["on"] == on) & differ["p"].notna()]
        if tested.empty:
            continue
        found = _sure(tested)
        several = tested["held"].nunique() > 1
        pairs = [f"{named(_key(row))} {_ends(row, several)}" for _, row in found.iterrows()]
        what = f"{'; '.join(pairs)} ({len(found)} of {len(tested)} comparisons)"
        parts.append(f"between {HANGS[on]} {what if pairs else 'none is found'}")
    if not parts:
        return "No two settings differ in one thing only: what a number hangs on is not told."
    return f"**Differences in size** (Welch's test, false discovery rate 5 %): {'. '.join(parts)}."


def _sure(differ: pd.DataFrame) -> pd.DataFrame:
    return differ[differ["p_adjusted"] <= RATE]


def _key(row: pd.Series) -> Key:
    return row["finding"], row["measure"], row["what"]


def _ends(row: pd.Series, held: bool) -> str:
    """Return "0.24 (alexnet) and 0.42 (vgg16) [osie]": the least, the most, and what is `held`."""
    ends = [f"{row[end]:.2f} ({row[f'{end}_of']})" for end in ("least", "most")]
    turned, what = ", in sign too" if row["turned"] else "", f" [{row['held']}]" if held else ""
    return f"{' and '.join(ends)}{turned}{what}"


def _turned(told: Mapping[Key, Sides]) -> str:
    """Say in how many settings networks lead on photographs and trail on efficient searches."""
    keys = [("F3", side, LEAD) for side in (NATURAL, EFFICIENT, LOST)]
    if not all(key in told for key in keys):
        return ""
    natural, arrays, lost = (told[key] for key in keys)
    turned = [name for name in natural.above if name in arrays.below]
    less = [name for name in natural.above if name in lost.above]
    who = f" ({listed(turned, text=str)})" if turned else ""
    return f"""Where networks lead on photographs, in {len(natural.above)}, they trail on efficient
        searches, as the paper has it, in {len(turned)}{who}, and lose some of their lead in
        {len(less)}. Between settings leads are tested for these classical models alone, so that
        overlapping intervals may still differ."""


def _dealt(tasks: pd.DataFrame) -> str:
    """Say what the permutation test of 05 makes of F4."""
    if tasks.empty:
        return ""
    rows = tasks.assign(name=tasks["what"].map(NAMES)).groupby("name", sort=False)["p"]
    least = [f"{name} {', '.join(f'{p:.3f}' for p in ps)}" for name, ps in rows]
    return f"""F4, p by setting if the tasks' names are dealt out anew (these networks and images):
        {"; ".join(least)}."""


def _same(same: pd.DataFrame, layers: pd.Series) -> str:
    """Say whether two collections tell the same of the same units, at each network's own layer."""
    parts = []
    for (network, first, second), rows in same.groupby(["network", "first", "second"], sort=False):
        own = rows[rows["layer"] == layers[network]]
        for row in own.to_dict("records"):
            parts.append(
                f"{network} on {first} and {second} {Span.of(row):.2f} at {row['layer']} (with"
                f" other categories {row['others']:.2f}, of an untrained network"
                f" {row['untrained']:.2f};"
                f" {row['shared']} of the ten best in common, by chance {row['chance']:.1f})"
            )
    if not parts:
        return ""
    return f"""The same units on other images, labelled by others, rank correlation:
        {"; ".join(parts)}. What images leave unsure lowers it."""


# The table


def _table(told: Mapping[Key, Sides], differ: pd.DataFrame) -> str:
    """Return all numbers as a Markdown table: on which side of 0, and what they hang on."""
    tested = [on for on in VARIES if (differ["on"] == on).any()]
    header = ["number", "above 0", "below 0", "not decided"]
    header += [f"between {HANGS[on]}" for on in tested]
    rows = [header, ["---"] * len(header)]
    for key, sides in told.items():
        counts = [str(len(side)) for side in (sides.above, sides.below, sides.undecided)]
        rows.append([named(key), *counts, *(_verdict(differ, key, on) for on in tested)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _verdict(differ: pd.DataFrame, key: Key, on: str) -> str:
    """Return "differ: p 0.002; p 0.4", of every comparison of a number, or that there is none."""
    finding, measure, what = key
    rows = only(differ, finding=finding, measure=measure, what=what, on=on)
    rows = rows[rows["p"].notna()]
    if rows.empty:
        return "–"
    word = "**differ**" if len(_sure(rows)) else "no difference found"
    return f"{word}, p {_numbers(rows['p_adjusted'].tolist())}"


def _numbers(values: Sequence[float]) -> str:
    return ", ".join("< 0.001" if value < 0.001 else f"{value:.3f}" for value in values)
