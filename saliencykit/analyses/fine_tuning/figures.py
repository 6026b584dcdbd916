"""Figures about change: before and after by category, and the paper's pair by part."""

import math
import re
from collections.abc import Collection, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ...dissection import singles
from ...findings.fine_tuning import AFTER as AFTERWARDS
from ...findings.fine_tuning import BEFORE as BEFOREHAND
from ...findings.fine_tuning import CHANGE, UNITS
from ...models import stimuli
from ...viewing import reported, units
from ...viewing.activity import seen
from ...viewing.claims import Span
from ...viewing.pictures import at_region, gallery
from ...viewing.plots import faint, level, offsets, only, points, row_panels
from ...viewing.style import AFTER, BEFORE, HUMAN, WIDTH, Colour, label, legend
from .tables import ABOVE, OTHER_IMAGES, OTHERS, SAME, FineTuning

MAP = "region NSS of the map,\nshare of people's"


def before_after(table: pd.DataFrame, measure: str, xlabel: str, before: str) -> Figure:
    """Two points a category, before and after, joined; their difference at the right.

    table: `FineTuning.map_table` or `.unit_table`; measure: of its rows, those shown; before: name
    of what was before. Small marks are single trainings.
    """
    chosen = only(table, measure=measure).dropna(subset="value")
    what = {name: rows.set_index("category") for name, rows in chosen.groupby("what")}
    order = what["change"]["value"].sort_values(ascending=False).index
    old, new, gain = (what[name].loc[order] for name in ("before", "after", "change"))
    figure, (left, right), y = row_panels(
        order, [xlabel, "change\n(intervals hold together)"], [2, 1], None
    )
    left.hlines(y, old["value"], new["value"], color="0.85", lw=4, zorder=0)
    up, down = offsets(2, 0.3)
    _over_trainings(left, old, y - up, BEFORE, before)
    _over_trainings(left, new, y - down, AFTER, "fine-tuned")
    _over_trainings(right, gain, y, "0.25")
    level(right, upright=True)
    if measure == "share":
        left.axvline(1, color=HUMAN, lw=1, ls="--", zorder=0, label="people")
        for axis in (left, right):
            axis.xaxis.set_major_formatter(PercentFormatter(1))
    return legend(figure, left)


def _over_trainings(
    axis: Axes, table: pd.DataFrame, places: pd.Series, colour: Colour, name: str | None = None
) -> None:
    """Draw means with intervals, and single trainings as faint small marks."""
    faint(axis, singles(table), places, colour)
    points(axis, table, places, colour=colour, name=name)


def favoured(table: pd.DataFrame, layer: str) -> Figure:
    """The paper's pair: the difference of their changes in the map, its layers and its best units.

    Or the change of the one that could be asked. table: `FineTuning.favoured`; layer: whose units
    these are.
    """
    table = table.replace({"part": {UNITS: f"{UNITS} of {layer},\nread alone"}})
    parts = table["part"].drop_duplicates().tolist()
    pair = (label(table[name].iloc[0]) for name in ("first", "second"))
    names = ["share of people's", "region NSS"]
    figure, axes, places = row_panels(parts, names, apart=parts[-1], text=str)
    for axis, measure in zip(axes, ("share", "region NSS"), strict=True):
        chosen = only(table, measure=measure).set_index("part")
        _over_trainings(axis, chosen, places[chosen.index], "0.25")
        axis.xaxis.set_major_locator(MaxNLocator(6))
    axes[0].xaxis.set_major_formatter(PercentFormatter(1))
    figure.set_size_inches(WIDTH, 0.34 * len(parts) + 1.3)
    title = " minus ".join(f"change of {name}" for name in pair if name)
    figure.suptitle(title)
    return figure


def above(table: pd.DataFrame, styles: dict[str, Colour], threshold: float) -> Figure:
    """How many units exceed T, mean over trainings; thin lines are single ones.

    table: `FineTuning.above`.
    """
    figure = units.counts(table, styles, threshold)
    for axis, category in zip(figure.axes, units.present(table, "units"), strict=True):
        for encoder, colour in styles.items():
            line = only(table, category=category, encoder=encoder).set_index("threshold")
            axis.plot(line.index, 100 * singles(line), color=colour, lw=0.6, alpha=0.4, zorder=0)
    return figure


WHEN = {BEFOREHAND: BEFORE, AFTERWARDS: AFTER}  # what is told, and its colour
ENDS = {
    (SAME, BEFOREHAND): 1.68,
    (SAME, AFTERWARDS): 2.92,
    (OTHERS, BEFOREHAND): 4.27,
    (OTHERS, AFTERWARDS): 4.79,
    (ABOVE, BEFOREHAND): 6.72,
    (ABOVE, AFTERWARDS): 7.5,
}
"""Of the paper's table: where the columns of numbers end, in inches."""
REPORTED_ENDS = {
    (SAME, BEFOREHAND): 5.55,
    (SAME, AFTERWARDS): 6.12,
    (ABOVE, BEFOREHAND): 8.5,
    (ABOVE, AFTERWARDS): 8.98,
}
"""And those of what the authors report."""


def paper_table(table: pd.DataFrame, pair: Sequence[str], best: int, threshold: float) -> Figure:
    """Draw the paper's own table, with what its authors report of their network beside it.

    table: `FineTuning.paper_table`, of the claimed `pair`, which stands in bold, so many `best`
    units and this `threshold`. Brackets: 95 % intervals.
    """
    names = units.present(only(table, measure=SAME, what=BEFOREHAND), "value")
    figure, axis = plt.subplots(figsize=(WIDTH, 0.25 * len(names) + 1.25))
    axis.set_axis_off()
    axis.set(xlim=(0, WIDTH), ylim=(-len(names) - 0.6, 3.5))
    known = set(table.loc[table["least"].notna(), "measure"])
    _headings(axis, best, threshold, table["of"].iloc[0], known)
    for place, name in enumerate(names):
        _print(axis, 0, -place, label(name), fontweight="bold" if name in pair else "normal")
        for _, row in only(table, category=name).query("what != @CHANGE").iterrows():
            _cell(axis, -place, row)
    claimed = only(table, what=CHANGE).iloc[0].replace({CHANGE: AFTERWARDS})
    gains = (f"gain of {label(name)}" for name in claimed["category"].split(" − "))
    _print(axis, 0, -len(names), " − ".join(gains))
    _cell(axis, -len(names), claimed, "+.2f")
    mean = [1.5 - len(names)] if reported.ALL in names else []  # stands between the last two
    for line in (0.5, *mean, 0.5 - len(names)):
        axis.axhline(line, color="0.3", lw=0.8)
    return figure


def _headings(axis: Axes, best: int, threshold: float, count: int, known: Collection[str]) -> None:
    """Write what the columns of the paper's table hold, three lines of headings.

    known: the measures of which anything reported stands beside.
    """
    groups = {
        (1.26, 4.79, 3): f"region NSS of the {best:g} best units, chosen and scored on",
        (1.26, 3.6, 2): "the same images, as the paper's",
        (3.85, 4.79, 2): "others",
        (6.3, 7.96, 3): f"units above T = {threshold:g}",
        (6.3, 7.96, 2): f"of {count}",
    }
    if SAME in known:
        groups |= {(5.13, 6.12, 3): "reported", (5.13, 6.12, 2): reported.NETWORK}
    if ABOVE in known:
        groups |= {(8.08, 8.98, 3): "reported", (8.08, 8.98, 2): f"of {reported.UNITS}"}
    for (left, right, line), text in groups.items():
        _print(axis, (left + right) / 2, line, text, ha="center")
        axis.plot([left, right], [line - 0.5] * 2, color="0.3", lw=0.6)
    theirs = [(key, right) for key, right in REPORTED_ENDS.items() if key[0] in known]
    for (_, what), right in [*ENDS.items(), *theirs]:
        _print(axis, right, 1, what, ha="right", color=WHEN[what])


def _cell(axis: Axes, place: float, row: pd.Series, spec: str = ".2f") -> None:
    """Write a number of the paper's table, its interval, and what the authors report."""
    measure, what = key = row["measure"], row["what"]
    span, said = Span.of(row), reported.Reported(row["least"], row["most"])
    text, _, interval = f"{span:{'.0f' if measure == ABOVE else spec}}".partition(" ")
    if not math.isnan(span.value):
        _print(axis, ENDS[key], place, text, ha="right", color=WHEN[what])
    if span.known and measure != OTHERS:
        _print(axis, ENDS[key] + 0.05, place, interval, fontsize="x-small", color="0.45")
    if not math.isnan(said.least):
        about = "≈" if key == (ABOVE, AFTERWARDS) else ""
        _print(axis, REPORTED_ENDS[key], place, f"{about}{said}", ha="right")


def _print(axis: Axes, x: float, y: float, text: str, fontsize: str = "small", **look: str) -> None:
    minus = re.sub(r"(?<!\w)-(?=\d)", "−", text)
    axis.text(x, y, minus, fontsize=fontsize, va="center", **look)


def one_unit(table: pd.DataFrame, found: FineTuning, threshold: float) -> Figure:
    """Draw images, and below where one unit answers before and after the first fine-tuning.

    table: `FineTuning.one_unit`. The image is lit where the unit exceeds its mean, with a line
    where it exceeds `threshold`. Outlined in white: the region; dots: the fixations in it, over
    which region NSS is the mean.
    """
    (encoders, _, data), layer, size = found.first, found.layer, found.study.size
    unit, pictured = table["unit"].iloc[0], table[table["image"] != OTHER_IMAGES]
    first = only(pictured, what=BEFOREHAND)
    images, numbers = first["image"].tolist(), first["region"].astype(int).tolist()
    shown = data.subset(images)
    active = seen(stimuli(shown, size).tensors["images"], encoders, [layer])
    rows = [[at_region(shown, i, number) for i, number in enumerate(numbers)]]
    notes, labels = [images], [label(table["category"].iloc[0])]
    for name, what in zip(encoders, WHEN, strict=True):
        maps = [active.unit(name, layer, unit, i) for i in range(len(images))]
        drawn = enumerate(zip(numbers, maps, strict=True))
        rows.append([at_region(shown, i, *one, threshold) for i, one in drawn])
        notes.append(
            [f"region NSS {v:.1f}".replace("-", "−") for v in only(pictured, what=what)["value"]]
        )
        mean = only(table, what=what, image=OTHER_IMAGES)["training 1"].iloc[0]
        labels.append(f"{name},\n{layer},\nunit {unit}:\nmean {mean:.1f}")
    return gallery(rows, notes=notes, labels=labels)
