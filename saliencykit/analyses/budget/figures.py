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
    """Draw what layers explain over relative depth, a line an encoder.

    A star at its best layer, which the legend names, is what it explains if that is chosen on other
    images, which is less where layers are close. table: `Budget.layers`; control: the untrained
    network, grey. Lines across are people, at the top, and all layers together, intervals shaded;
    the centre prior is the line at 0.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 4.2))
    across, read = table[table["layer"].isna()], table[table["depth"].notna()]
    chosen = only(table, layer=CHOSEN).set_index("encoder")["value"]
    names = [name for name in unique(read, "encoder") if name != control]
    blue, orange, _, *more = sns.color_palette("colorblind", len(names) + 3)  # green is people's
    hues = dict(zip(names, [blue, orange, *more], strict=False))
    for name in [*names, control]:
        rows, colour = only(read, encoder=name), hues.get(name, CONTROL)
        best = rows.loc[rows["best"], ["depth", "layer"]].itertuples(index=False)
        stars = [(depth, f"★ {layer}") for depth, layer in best]
        told = ": ".join([name, *(star for _, star in stars)])
        trace(axis, rows["depth"], rows, "value", colour, told, mark="o")
        for depth, _ in stars:
            axis.plot(depth, chosen[name], "*", ms=14, color=colour, mec="white", zorder=4)
    for row in across.itertuples():
        colour, dash = ("0.15", "--") if row.encoder == TOGETHER else (HUMAN, ":")
        axis.axhspan(row.low, row.high, color=colour, alpha=0.12, lw=0)
        axis.axhline(row.value, color=colour, ls=dash, lw=1.2, label=row.encoder)
    level(axis)
    axis.annotate("centre prior", (1.02, 0), (0, 2), textcoords="offset points", fontsize="small")
    axis.set(xlim=(-0.04, 1.16), xlabel="depth of the layer, of all layers of its encoder")
    axis.set_ylabel("bits per fixation over the centre prior")
    return legend(figure, axis, columns=3)


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
