"""Photographs whose fixations are coloured by what the best readout leaves unexplained of them."""

import ipywidgets as widgets
import matplotlib as mpl
import numpy as np
import torch

from ...datasets import Fixations
from ...viewing.controls import explore, slider
from ...viewing.pictures import Picture, as_picture, at_height, fit, mapped, montage, with_fixations
from .tables import Budget

REACH = 5.0  # bits at which colours end


class BudgetBrowser:
    """Images from the one of which most is left to the one of which least is; no network runs.

    What is left of a fixation is people's bits less the best reading's; where people's are not
    known, the centre prior's less the best reading's.
    """

    def __init__(self, budget: Budget):
        self.budget = budget
        people = budget.limit if budget.people else np.zeros(len(budget.seen))
        explained = budget.bits[budget.best]
        self.seen = budget.seen.assign(explained=explained, left=people - explained)
        left = (self.seen["left"] * self.seen["weight"]).groupby(self.seen["image"]).sum()
        self.ranked = left.sort_values(ascending=False, kind="stable").index.tolist()

    def draw(self, rank: int = 1) -> Picture:
        """Draw the image of which the `rank`-th most is left, and the best reading's map of it."""
        i, data = self.ranked[rank - 1], self.budget.data
        own = self.seen[self.seen["image"] == i].sort_values("left")
        size, share = at_height(data.size_of(i), 360), own["weight"] / own["weight"].sum()
        picture = fit(as_picture(data.image(i)), size[0])
        looks = Fixations.of(own["x"].tolist(), own["y"].tolist()).scaled(data.size_of(i), size)
        inks = mpl.colormaps["RdBu_r"](0.5 + own["left"] / (2 * REACH), bytes=True)[:, :3]
        marked = with_fixations(picture, looks, 5, [tuple(ink) for ink in inks.tolist()])
        encoder, layer = self.budget.readings.loc[self.budget.best, ["encoder", "layer"]]
        log = self.budget.maps[self.budget.best][i]
        texts = (
            f"{data.names[i]}, rank {rank}: bits left, red many, white none, blue below 0",
            f"{encoder}, {layer}, beyond the prior: {share @ own['explained']:.2f} bits explained, "
            f"{share @ own['left']:.2f} left",
        )
        return montage([marked, mapped(torch.exp(log - log.max()), size)], texts, 2, 360)

    def widget(self) -> widgets.VBox:
        """Return the slider over ranks."""
        return explore(self.draw, rank=slider(len(self.ranked), first=1, value=1))
