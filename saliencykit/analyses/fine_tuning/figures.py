"""Figures about change: before and after by category, and the paper's pair by part."""

import math
import re
from collections.abc import Collection, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ...dissection import singles
from ...dissection.readout_maps import MAP as WHOLE
from ...findings.fine_tuning import AFTER as AFTERWARDS
from ...findings.fine_tuning import BEFORE as BEFOREHAND
from ...findings.fine_tuning import CHANGE, UNITS
from ...intervals import RATE
from ...models import stimuli
from ...viewing import reported, units
from ...viewing.activity import seen
from ...viewing.claims import VAGUE, Span
from ...viewing.pictures import at_region, gallery
from ...viewing.plots import faint, level, name_rows, offsets, only, points, row_panels, unique
from ...viewing.style import AFTER, BEFORE, CONTROL, HUMAN, WIDTH, Colour, label, legend
from ...worlds.calibration import POWER
from .tables import (
    ABOVE,
    AGAIN,
    ALARMS,
    MATCHED,
    MEASURED,
    OTHER_IMAGES,
    OTHERS,
    POWERS,
    SAME,
    FineTuning,
)

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
    read = set(table["part"]) - {WHOLE, UNITS}
    if len(read) == 1:  # it says what the map says
        table = table[~table["part"].isin(read)]
    table = table.replace({"part": {UNITS: f"{UNITS} of {layer},\nread alone"}})
    parts = table["part"].drop_duplicates().tolist()
    pair = (label(table[name].iloc[0]) for name in ("first", "second"))
    names = ["share of people's", "region NSS"]
    figure, axes, places = row_panels(parts, names, apart=parts[-1], text=str)
    for axis, measure in zip(axes, ("share", "region NSS"), strict=True):
        chosen = only(table, measure=measure).set_index("part")
        _over_trainings(axis, chosen, places[chosen.index], "0.25")
        axis.xaxis.set_major_locator(MaxNLocator(6))
    axes[0].xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.set_size_inches(WIDTH, 0.34 * len(parts) + 1.3)
    title = " minus ".join(f"change of {name}" for name in pair if name)
    figure.suptitle(title)
    return figure


def above(table: pd.DataFrame, styles: dict[str, Colour], threshold: float) -> Figure:
    """How many units exceed T, mean over trainings; thin lines are single ones.

    table: `FineTuning.above`.
    """
    figure = units.counts(table, styles, threshold)
    shown = [axis for axis in figure.axes if axis.get_visible()]
    for axis, category in zip(shown, units.present(table, "units"), strict=True):
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


def twin(table: pd.DataFrame, pair: Sequence[str]) -> Figure:
    """What one's own 03 can show, as its twin world tells.

    How like the data the twin is; how often intervals are wrong in it; how often an effect is
    found, by its size; how often one's own findings are found again on some of one's images, beside
    what the twin predicts. table: `twin_table`; pair: the categories that the power is about.
    """
    figure, axes = plt.subplots(2, 2, figsize=(WIDTH, 8.4))
    _beside_the_data(axes[0, 0], table[table["part"].isin([MATCHED, MEASURED])])
    _wrong(axes[0, 1], only(table, part=ALARMS))
    _found(axes[1, 0], only(table, part=POWERS), " − ".join(map(label, filter(None, pair))))
    _again(axes[1, 1], only(table, part=AGAIN), " − ".join(filter(None, pair)))
    return figure


def _legend_below(axis: Axes) -> None:
    """Put a panel's legend where nothing is drawn."""
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize="small")


def _beside_the_data(axis: Axes, table: pd.DataFrame) -> None:
    """Draw how many times as much each figure is in the twin, a row a figure, a dot a category."""
    rows = name_rows(axis, unique(table, "figure"), text=str)
    at, colours = rows[table["figure"]].to_numpy(), {MATCHED: BEFORE, MEASURED: AFTER}
    shift = table.groupby("figure").cumcount() / table.groupby("figure")["own"].transform("size")
    names = {MATCHED: "matched", MEASURED: "not matched"}
    for part, colour in colours.items():
        shown = table["part"] == part
        ratio = (table["value"] / table["own"])[shown]
        look = {"color": colour, "ms": 3.5, "label": names[part]}
        axis.plot(ratio, at[shown] + 0.5 * (shift[shown] - 0.4), "o", **look)
    axis.set_xscale("log")
    axis.set_xticks(ticks := [0.5, 0.7, 1, 1.4, 2], [f"{t:g}" for t in ticks])
    axis.set_xlim(0.45, 2.2)
    axis.minorticks_off()
    level(axis, 1, upright=True)
    axis.set_title("The twin beside your data")
    axis.set_xlabel("times as much in the twin")
    _legend_below(axis)


def _wrong(axis: Axes, table: pd.DataFrame) -> None:
    """Draw how often intervals are wrong, a row a number and test."""
    rows = name_rows(axis, table["figure"].tolist(), text=lambda name: name.replace(": ", ":\n"))
    vague = (table["high"] - table["low"] >= VAGUE).to_numpy()
    points(axis, table[~vague], rows.to_numpy()[~vague], colour=BEFORE)
    points(axis, table[vague], rows.to_numpy()[vague], colour="0.75", name="too few to tell")
    axis.axvline(RATE, color=AFTER, lw=1.2, ls="--", label=f"promised, {RATE:.0%}")
    axis.set_xlim(-0.01, 0.31)  # few fine-tuned networks: their intervals run out
    axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.set_title("How often intervals are wrong")
    axis.set_xlabel("studies wrong in some category")
    _legend_below(axis)


def _found(axis: Axes, table: pd.DataFrame, pair: str) -> None:
    """Draw in what share of studies an effect is found, a line a number of trainings or images.

    Shaded: as far as the twin's few trainings tell how much trainings differ.
    """
    least = table[["trainings", "images"]].min()
    looks = {"trainings": ("--", AFTER), "images": ("-", BEFORE)}
    for side, other in (("images", "trainings"), ("trainings", "images")):
        drawn = table[(table[other] == least[other]) & (table["own"] == 0)]
        for number, line in drawn.groupby(side):
            times = int(number / least[side])
            if times == 1 and side == "trainings":
                continue  # it is drawn
            dash, colour = looks[side] if times > 1 else ("-", "0.2")
            name = f"{times} × the {side}" if times > 1 else "a study as yours"
            look = {"lw": 2.2 if times == 1 else 1.3, "alpha": 1 if times < 4 else 0.6}
            axis.plot(line["effect"], line["value"], dash, color=colour, label=name, **look)
            if times == 1:  # as far as it is known how trainings differ
                axis.fill_between(
                    line["effect"], line["low"], line["high"], color="0.2", alpha=0.2, lw=0
                )
    own = table.loc[table["own"] > 0, "effect"].iloc[0]
    if np.isfinite(own):
        axis.axvline(own, color=CONTROL, lw=1.2, zorder=0)
        where = axis.get_xaxis_transform()
        axis.text(own, 1.02, "your estimate", color=CONTROL, ha="center", transform=where)
    axis.axhline(POWER, color="0.85", lw=1, zorder=0)
    for which in (axis.xaxis, axis.yaxis):
        which.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.set_title("How often an effect would be found", pad=16)
    axis.set_xlabel(f"change, {pair} (% of people's)")
    axis.set_ylabel("studies that find it")
    _legend_below(axis)


def _again(axis: Axes, table: pd.DataFrame, pair: str) -> None:
    """Draw how often one's own findings return on some of the images, against the prediction.

    Bars: where 95 % of the twin's studies lie. What is not nearly always or never found is named,
    on the fewest images.
    """
    axis.plot([0, 1], [0, 1], color="0.85", lw=1, zorder=0)
    shades = zip(sorted(table["kept"].unique(), reverse=True), ("0.1", "0.45", "0.7"), strict=False)
    for kept, shade in shades:
        for alone, mark in ((True, "D"), (False, "o")):
            shown = table[(table["kept"] == kept) & ((table["category"] == pair) == alone)]
            name = f"{kept:.0%} of the images" if not alone else None
            look = {"color": AFTER if alone else shade, "mfc": shade, "ms": 5, "label": name}
            ends = np.stack([shown["value"] - shown["low"], shown["high"] - shown["value"]])
            axis.errorbar(shown["value"], shown["own"], xerr=ends.clip(0), fmt=mark, lw=0,
                          elinewidth=0.8, alpha=0.9, **look)  # fmt: skip
    doubtful = table[table["value"].between(0.05, 0.95) | table["own"].between(0.05, 0.95)]
    for name, rows in doubtful[doubtful["category"] != pair].groupby("category", sort=False):
        last = rows.loc[rows["kept"].idxmin()]
        look = {"textcoords": "offset points", "fontsize": "x-small", "color": "0.3"}
        axis.annotate(label(str(name)), (last["value"], last["own"]), (4, -9), **look)
    axis.plot([], [], "D", color=AFTER, mfc="none", label="the pair")
    for which in (axis.xaxis, axis.yaxis):
        which.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.set_title("Found again on some images", pad=16)
    axis.set_xlabel("the twin predicts (bars: 95 % of studies)")
    axis.set_ylabel("found again")
    _legend_below(axis)
