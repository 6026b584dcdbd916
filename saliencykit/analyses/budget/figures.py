"""Figures about the fixation budget: who knows most, where all fail, and what which layer knows."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from ...viewing.plots import beside, level, matrix, name_rows, only, points, trace, unique
from ...viewing.style import AFTER, BEFORE, CONTROL, HUMAN, WIDTH, legend
from .tables import ALL, CHOSEN, TOGETHER

TITLES = {
    "category": "category",
    "place": "distance from the centre,\nof the way to a corner",
    "order": "fixation number",
}


def layers(table: pd.DataFrame, control: str) -> Figure:
    """Rank encoders by what their best layer explains; beside it, what layers do by relative depth.

    table: `Budget.layers`; control: the untrained network, grey. An encoder's row, and star, is its
    best layer, which the row names, if that is chosen on other images: less where layers are close.
    Beside rows: the share of people's bits. Lines across are people and all layers together, their
    intervals shaded; the centre prior is the line at 0.
    """
    figure, (rank, axis) = plt.subplots(1, 2, figsize=(WIDTH, 4.2), width_ratios=(1, 1.4))
    across, read = table[table["layer"].isna()].iloc[::-1], table[table["depth"].notna()]
    chosen = only(table, layer=CHOSEN).sort_values("value", ascending=False)
    best = read[read["best"]].set_index("encoder")
    taught = [name for name in unique(read, "encoder") if name != control]
    blue, orange, _, *more = sns.color_palette("colorblind", len(taught) + 3)  # green is people's
    hues = {
        control: CONTROL,
        TOGETHER: "0.15",
        **dict(zip(taught, [blue, orange, *more], strict=False)),
    }
    rows = pd.concat([across, chosen], ignore_index=True)
    shown = [f"{n}\n{best['layer'][n]}" if n in best.index else n for n in rows["encoder"]]
    places = name_rows(rank, shown, text=str)
    for at, (name, own) in zip(places, rows.groupby("encoder", sort=False), strict=True):
        points(rank, own, [at], colour=hues.get(name, HUMAN))
    beside(rank, places, ["" if np.isnan(s) else f"{s:.0%}" for s in rows["of_limit"]])
    level(rank, upright=True)
    rank.set(xlabel="bits per fixation over the centre prior;\nbeside it, of people's")
    for name in [*taught, control]:
        own = only(read, encoder=name)
        trace(axis, own["depth"], own, "value", hues[name], mark="o")
        star = best["depth"][name], only(chosen, encoder=name)["value"].item()
        axis.plot(*star, "*", ms=14, color=hues[name], mec="white", zorder=4)
    for row in across.itertuples():
        colour, dash = (hues.get(row.encoder, HUMAN), "--" if row.encoder == TOGETHER else ":")
        axis.axhspan(row.low, row.high, color=colour, alpha=0.12, lw=0)
        axis.axhline(row.value, color=colour, ls=dash, lw=1.2)
    level(axis)
    axis.annotate("centre prior", (1, 0), (0, 2), textcoords="offset points", fontsize="small",
                  ha="right")  # fmt: skip
    axis.set(xlabel="depth: 0 an encoder's first layer, 1 its last", ylabel="bits per fixation")
    return figure


def unexplained(table: pd.DataFrame) -> Figure:
    """Draw people's bits less those explained, by category, place and order: a panel each.

    table: `Budget.unexplained`. Hollow: people's bits, of which that is left. Dashed: what is left
    of all fixations.
    """
    shown = [by for by in unique(table, "by") if by != ALL]
    rows = [len(unique(only(table, by=by), "what")) for by in shown]
    size = (WIDTH, max(2.8, 0.36 * max(rows) + 1.3))
    figure, axes = plt.subplots(1, len(shown), figsize=size, sharex=True, squeeze=False)
    colours = dict(zip(unique(table, "reader"), (BEFORE, AFTER), strict=True))
    for axis, by in zip(axes[0], shown, strict=True):
        own = only(table, by=by)
        places = name_rows(axis, unique(own, "what"))
        people = only(own, reader=next(iter(colours)))
        points(axis, people, places + 0.25, "limit", HUMAN, "people's bits", fill="white")
        for k, (reader, colour) in enumerate(colours.items()):
            mine = only(own, reader=reader)
            at = places[mine["what"]].to_numpy() - 0.25 * k
            points(axis, mine, at, colour=colour, name=f"left by {reader}")
            whole = only(table, by=ALL, reader=reader)["value"].item()
            axis.axvline(whole, color=colour, ls="--", lw=0.9, zorder=0)
        level(axis, upright=True)
        axis.set_title(f"by {TITLES[by]}", fontsize="medium")
        beside(
            axis, places, [f"{100 * s:.0f} %" if s >= 0.01 else "< 1 %" for s in people["share"]]
        )
    figure.supxlabel("bits per fixation over the centre prior")
    return legend(figure, axes[0, 0])


def categories(table: pd.DataFrame) -> Figure:
    """Draw what each layer (row) explains in each category (column), in bits per fixation there.

    table: `Budget.categories`. Bold: the highest of a category among an encoder's layers.
    """
    names = unique(table, "category")
    rows = table[["encoder", "layer"]].drop_duplicates(ignore_index=True)
    values = pd.DataFrame(table["value"].to_numpy().reshape(-1, len(names)), columns=names)
    read = values[rows["encoder"] != TOGETHER]
    bold = read.eq(read.groupby(rows["encoder"]).transform("max"))
    texts = rows["layer"].fillna(TOGETHER).tolist()
    people = table.drop_duplicates("category")["limit"].to_numpy()
    if not np.isnan(people).any():
        values.loc[len(values)] = people
        texts.append("people")
    bold = bold.reindex(values.index, fill_value=False)
    printed = pd.DataFrame(True, values.index, names)
    size = (WIDTH, 1.9 + 0.27 * len(values))
    figure = matrix(values, printed, "bits per fixation", "z.2f", size, bold)
    axis = figure.axes[0]
    axis.set_yticks(range(len(texts)), texts)  # a layer's name as it is
    for encoder, own in rows.groupby("encoder", sort=False):
        axis.axhline(own.index[-1] + 0.5, color="white", lw=3)
        if encoder != TOGETHER:
            look = {"va": "center", "rotation": 270}
            axis.text(len(names) - 0.4, own.index.to_numpy().mean(), str(encoder), **look)
    return figure
