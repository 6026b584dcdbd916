"""Figures about failures: images ranked by the gap to people, categories, the worst ones."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ...datasets import SaliencyDataset
from ...evaluation import Evaluation
from ...metrics import density
from ...viewing.pictures import Picture, difference, fit, gallery, mapped, stimulus
from ...viewing.style import AFTER, BEFORE, HUMAN, WIDTH, label
from .tables import OUTSIDE, residual


def ranking(table: pd.DataFrame, model: str) -> Figure:
    """Images from the worst to the best: people's score, the model's, and the gap between.

    table: `evaluation.failures.gaps`.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 3.3))
    x = table["rank"]
    axis.vlines(x, table["model"], table["human"], color="0.85", lw=1.2, zorder=0)
    axis.plot(x, table["human"], ".", ms=4, color=HUMAN, label="people")
    axis.plot(x, table["model"], ".", ms=4, color=AFTER, label=model)
    axis.plot(x, table["gap"], color="0.3", lw=1.4, label="gap")
    axis.axhline(0, color="0.75", lw=0.8, zorder=0)
    axis.set_xlabel("images, from the widest gap to the narrowest")
    axis.set_ylabel("NSS")
    axis.set_xlim(0.5, len(table) + 0.5)
    figure.legend(loc="outside upper right", ncols=3)
    return figure


def excess(table: pd.DataFrame) -> Figure:
    """By how much each category is over- or under-predicted, in per cent of people's share.

    table: `evaluation.failures.excess`.
    """
    shown = table.sort_values("excess", ignore_index=True)
    figure, axis = plt.subplots(figsize=(WIDTH, 0.36 * len(shown) + 1.1))
    for y, row in shown.iterrows():
        decided = row["low"] > 0 or row["high"] < 0
        colour = (AFTER if row["excess"] > 0 else BEFORE) if decided else "0.6"
        span = [[row["excess"] - row["low"]], [row["high"] - row["excess"]]]
        axis.errorbar(row["excess"], y, xerr=span, fmt="o", color=colour, lw=1.8)
        text = f"{row['images']} images, {100 * row['people']:.0f} % of fixations"
        axis.text(1.01, y, text, transform=axis.get_yaxis_transform(), va="center", fontsize=8.5)
    names = ["outside all regions" if c == OUTSIDE else label(c) for c in shown["category"]]
    axis.set_yticks(range(len(shown)), names)
    axis.axvline(0, color="0.6", lw=1, ls=":")
    axis.set_xlabel("under-predicted ←  share of density, % of people's  → over-predicted")
    axis.grid(axis="y", color="0.92")
    return figure


def row(
    data: SaliencyDataset, found: Evaluation, model: str, i: int, height: int = 150
) -> list[Picture]:
    """Draw stimulus i with its fixations, people's density, the model's map, and the residual.

    All from the small maps that the evaluation kept: no model runs.
    """
    size = data.size_of(i)
    shape = (height, round(height * size[1] / size[0]))
    picture, answer = fit(stimulus(data, i), height), found.shown[model][i].float()
    counts = data.fixations(i).inside(*size, data.names[i]).scaled(size, answer.shape)
    counts = counts.count_map(*answer.shape)
    if not counts.any():
        return [picture, mapped(counts, shape), mapped(answer, shape), mapped(counts, shape)]
    people, left = mapped(density(counts), shape), residual(answer, counts)
    return [picture, people, mapped(answer, shape), difference(left, shape)]


def worst(
    data: SaliencyDataset, found: Evaluation, model: str, table: pd.DataFrame, n: int = 8
) -> Figure:
    """Draw the `n` images with the widest gaps, two to a line.

    table: `evaluation.failures.gaps`.
    """
    lines, notes = [], []
    for one in table.head(n - n % 2).itertuples():
        lines.append(row(data, found, model, data.names.index(one.image)))
        notes.append([one.image, f"people {one.human:.2f}", f"model {one.model:.2f}", "residual"])
    pairs = range(0, len(lines), 2)
    pictures = [sum(lines[k : k + 2], []) for k in pairs]  # noqa: RUF017 (two short lists)
    return gallery(pictures, notes=[sum(notes[k : k + 2], []) for k in pairs], size=7.5)  # noqa: RUF017


def remedies(table: pd.DataFrame, plain: str) -> Figure:
    """What each remedy changes on photographs (left) and on search arrays (right), paired.

    table: `evaluation.popout.compared` with `plain`.
    """
    models = [m for m in dict.fromkeys(table["model"]) if m != plain]
    figure, axes = plt.subplots(
        1, 2, figsize=(WIDTH, 0.5 * len(models) + 1.3), sharey=True, squeeze=False
    )
    y = np.arange(len(models))[::-1]
    titles = {"natural": "natural images: change of NSS", "arrays": "search arrays: change of GSI"}
    for axis, (side, title) in zip(axes.flat, titles.items(), strict=True):
        chosen = table[table["side"] == side].set_index("model").loc[models]
        for place, (_, row) in zip(y, chosen.iterrows(), strict=True):
            decided = row["low"] > 0 or row["high"] < 0
            colour = (HUMAN if row["difference"] > 0 else AFTER) if decided else "0.55"
            span = [[row["difference"] - row["low"]], [row["high"] - row["difference"]]]
            axis.errorbar(row["difference"], place, xerr=span, fmt="o", color=colour, lw=2)
        axis.axvline(0, color="0.6", lw=1, ls=":")
        axis.set_xlabel(f"{title} (→ better)")
        axis.set_yticks(y, models)
        axis.set_ylim(-0.6, len(models) - 0.4)
        axis.grid(axis="y", color="0.92")
    return figure
