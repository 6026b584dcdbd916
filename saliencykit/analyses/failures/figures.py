"""Figures about failures: images ranked by the gap to people, categories, the worst ones."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ...datasets import SaliencyDataset
from ...dissection import singles
from ...evaluation import Evaluation
from ...metrics import density
from ...viewing.pictures import (
    Picture,
    at_height,
    difference,
    fit,
    gallery,
    looks_at,
    mapped,
    stimulus,
)
from ...viewing.plots import beside, faint, level, only, points, row_panels, unique, verdicts
from ...viewing.style import AFTER, BEFORE, HUMAN, WIDTH, legend
from .tables import OUTSIDE, residual


def ranking(table: pd.DataFrame, model: str) -> Figure:
    """Images from the worst to the best: people's score, the model's, and the gap between.

    table: `tables.gaps`, in any order.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 3.3))
    table = table.sort_values("rank")
    x = table["rank"]
    axis.vlines(x, table["model"], table["human"], color="0.85", lw=1.2, zorder=0)
    axis.plot(x, table["human"], ".", ms=4, color=HUMAN, label="people")
    axis.plot(x, table["model"], ".", ms=4, color=AFTER, label=model)
    axis.plot(x, table["gap"], color="0.3", lw=1.4, label="gap")
    level(axis)
    axis.set_xlabel("images, from the widest gap to the narrowest")
    axis.set_ylabel("NSS")
    axis.set_xlim(0.5, len(table) + 0.5)
    return legend(figure, axis)


def excess(table: pd.DataFrame) -> Figure:
    """By how much each category is over- or under-predicted, in per cent of people's share.

    Left the model, its single trainings as small marks, and other people who predict the same; at
    the right the one minus the other, coloured where both lie off 0. table: `tables.excess`.
    """
    shown = table.sort_values("excess", ascending=False)
    names = shown["category"].replace(OUTSIDE, "outside all regions")
    whats = ("% of people's share:\ntoo few ←  → too many", "the model's minus\nother people's")
    figure, (left, right), y = row_panels(names, whats)
    y = np.asarray(y)
    points(left, shown, y - 0.16, "people", HUMAN, "other people", size=4)
    points(left, shown, y + 0.12, "excess", AFTER, "fine-tuned")
    faint(left, singles(shown), y + 0.25)
    for side, colour in {1: AFTER, -1: BEFORE, 0: "0.6"}.items():
        rows = (shown["verdict"] == side).to_numpy()
        name = {1: "too many", -1: "too few", 0: "not both surely off 0"}[side]
        points(right, shown[rows], y[rows], "beyond", colour, name)
    told = zip(shown["images"], 100 * shown["share"], strict=True)
    beside(
        right, y, [f"{images} images, {share:.0f} % of fixations there" for images, share in told]
    )
    legend(figure, left, "left")
    return legend(figure, right)


def row(
    data: SaliencyDataset, found: Evaluation, model: str, i: int, height: int = 150
) -> list[Picture]:
    """Draw stimulus i with its fixations, people's density, the model's map, and the residual.

    All from the small maps that the evaluation kept: no model runs.
    """
    shape = at_height(data.size_of(i), height)
    picture, answer = fit(stimulus(data, i), height), found.shown[model][i].float()
    counts = looks_at(data, i, tuple(answer.shape))
    if not counts.any():
        return [picture, mapped(counts, shape), mapped(answer, shape), mapped(counts, shape)]
    people, left = mapped(density(counts), shape), residual(answer, counts)
    return [picture, people, mapped(answer, shape), difference(left, shape)]


def worst(
    data: SaliencyDataset, found: Evaluation, model: str, table: pd.DataFrame, n: int = 8
) -> Figure:
    """Draw the `n` images with the widest gaps, two to a line.

    table: `tables.gaps`.
    """
    lines, notes = [], []
    for one in table.head(n - n % 2).itertuples():
        lines.append(row(data, found, model, data.names.index(one.image)))
        notes.append([one.image, f"people {one.human:.2f}", f"model {one.model:.2f}", "residual"])
    pairs = range(0, len(lines), 2)
    pictures = [sum(lines[k : k + 2], []) for k in pairs]  # noqa: RUF017 (two short lists)
    return gallery(pictures, notes=[sum(notes[k : k + 2], []) for k in pairs], size="x-small")  # noqa: RUF017


def remedies(table: pd.DataFrame, plain: str) -> Figure:
    """What each remedy changes on photographs (left) and on search arrays (right), paired by seed.

    table: `tables.compared` with `plain`.
    """
    models = [m for m in unique(table, "model") if m != plain]
    whats = ("natural images: change of NSS", "efficient searches: change of GSI")
    figure, axes, y = row_panels(models, [f"{what} (→ better)" for what in whats])
    for axis, side in zip(axes, ("natural", "arrays"), strict=True):
        chosen = only(table, side=side).set_index("model").loc[models]
        verdicts(axis, chosen, y, "difference")
        faint(axis, singles(chosen), y + 0.13)
    return figure
