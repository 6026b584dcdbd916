"""Figures about the fixation budget: who knows most, where all fail, and what which layer knows."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from ...viewing.plots import beside, level, matrix, name_rows, only, points, trace, unique
from ...viewing.style import AFTER, BEFORE, CONTROL, HUMAN, WIDTH, legend
from .tables import ALL, CHOSEN

TITLES = {
    "category": "category",
    "place": "distance from the centre,\nof the way to a corner",
    "order": "fixation number",
}


def layers(table: pd.DataFrame, control: str) -> Figure:
    """Draw what layers explain over relative depth, a line an encoder.

    A star at its best layer, which the legend names, is what it explains if that is chosen on other
    images, which is less where layers are close. table: `Budget.layers`; control: the untrained
    network, grey. People are the line at the top, their interval shaded; the centre prior is the
    line at 0.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 4.2))
    people, read = table[table["layer"].isna()], table[table["depth"].notna()]
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
    for row in people.itertuples():
        axis.axhspan(row.low, row.high, color=HUMAN, alpha=0.15, lw=0)
        axis.axhline(row.value, color=HUMAN, ls=":", label=row.encoder)
    level(axis)
    axis.annotate("centre prior", (1.02, 0), (0, 2), textcoords="offset points", fontsize="small")
    axis.set(xlim=(-0.04, 1.16), xlabel="depth of the layer, of all layers of its encoder")
    axis.set_ylabel("bits per fixation over the centre prior")
    return legend(figure, axis, columns=3)


def unexplained(table: pd.DataFrame) -> Figure:
    """Draw people's bits less those explained, by category, place and order: a panel each.

    table: `Budget.unexplained`. Dashed: of all fixations together.
    """
    shown = [by for by in unique(table, "by") if by != ALL]
    rows = [len(unique(only(table, by=by), "what")) for by in shown]
    size = (WIDTH, max(2.8, 0.33 * max(rows) + 1.3))
    figure, axes = plt.subplots(1, len(shown), figsize=size, sharex=True, squeeze=False)
    colours = dict(zip(unique(table, "reader"), (BEFORE, AFTER), strict=True))
    for axis, by in zip(axes[0], shown, strict=True):
        own = only(table, by=by)
        places = name_rows(axis, unique(own, "what"))
        for k, (reader, colour) in enumerate(colours.items()):
            mine = only(own, reader=reader)
            at = places[mine["what"]].to_numpy() + 0.12 - 0.24 * k
            points(axis, mine, at, colour=colour, name=reader)
            whole = only(table, by=ALL, reader=reader)["value"].item()
            axis.axvline(whole, color=colour, ls="--", lw=0.9, zorder=0)
        level(axis, upright=True)
        axis.set_title(f"by {TITLES[by]}", fontsize="medium")
        shares = only(own, reader=next(iter(colours)))["share"]
        beside(axis, places, [f"{100 * s:.0f} %" if s >= 0.01 else "< 1 %" for s in shares])
    figure.supxlabel("bits per fixation that people have and readouts leave unexplained")
    return legend(figure, axes[0, 0])


def categories(table: pd.DataFrame, encoder: str) -> Figure:
    """Draw what each layer of an encoder explains in each category, in bits per fixation there.

    table: `Budget.categories`. Bold: a category's most.
    """
    rows, columns = unique(table, "category"), unique(table, "layer")
    values = table.pivot(index="category", columns="layer", values="value")
    values = values.reindex(index=rows, columns=columns)
    people = table.drop_duplicates("category").set_index("category")["limit"]
    if people.notna().all():
        values["people"] = people
    printed = pd.DataFrame(True, values.index, values.columns)
    most = values[columns].max(axis=1)
    bold = values.eq(most, axis=0) & np.isin(values.columns, columns)
    size = (min(WIDTH, 2.6 + 0.75 * values.shape[1]), 1.4 + 0.34 * len(values))
    title = f"bits per fixation, layers of {encoder}"
    figure = matrix(values, printed, title, ".2f", size, bold)
    figure.axes[0].set_xticklabels(values.columns)  # a layer's name as it is
    return figure
