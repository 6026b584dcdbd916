"""Worlds of known truth, one after the other: planted, recovered, and what the networks see."""

from collections.abc import Sequence

import ipywidgets as widgets
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ...datasets import SaliencyDataset
from ...dissection.readout_maps import MAP
from ...intervals import RATE
from ...models import stimuli
from ...models.stimuli import to_float
from ...viewing.bars import bars
from ...viewing.controls import explore
from ...viewing.pictures import (
    Picture,
    as_picture,
    at_height,
    fit,
    mapped,
    montage,
    side_by_side,
    with_fixations,
)
from ...viewing.style import AFTER, BEFORE, CONTROL, label
from ...worlds import FLAT, NOTHING, Plan, Worlds


class WorldBrowser:
    """What was planted and what is found of it, and a few scenes as a world's network sees them.

    table: `tables.against_retrained` of `Recovery.comparable`, with the worlds `plans`
    and one whose observers favour nothing (`NOTHING`). Maps of `scenes` unseen scenes, those that
    show most categories, are computed once, when the browser is made.
    """

    def __init__(self, worlds: Worlds, plans: Sequence[Plan], table: pd.DataFrame, scenes: int = 3):
        self.worlds, self.plans = worlds, [NOTHING, *plans]
        chosen = table[(table["layer"] == MAP) & (table["control"] == "flat")]
        self.tables = dict(list(chosen.groupby("world")))
        data = worlds.unseen(FLAT)
        shown = [len(set(data.region_categories(i))) for i in range(len(data))]
        best = np.argsort(-np.array(shown), kind="stable")[:scenes]
        self.names = [data.names[i] for i in best]
        self.maps = {plan: self._maps(plan) for plan in [FLAT, *self.plans]}
        self.scenes = {plan: worlds.world(plan).subset(self.names) for plan in self.plans}

    @torch.inference_mode()
    def _maps(self, plan: Plan) -> Tensor:
        seen = stimuli(self.worlds.world(FLAT).subset(self.names), self.worlds.size)
        model = self.worlds.taught(plan)
        place = next(model.parameters()).device
        return model.coarse(to_float(seen.tensors["images"]).to(place)).float().cpu()

    @property
    def categories(self) -> list[str]:
        """The categories that some world favours."""
        return list(dict.fromkeys(plan.category for plan in self.plans if plan.category))

    @property
    def factors(self) -> list[float]:
        """By how much they do; 1 is a world in which nothing is favoured."""
        return sorted({plan.factor for plan in self.plans})

    def draw(self, favoured: str, factor: float, height: int = 120) -> Picture:
        """Draw one world: bars at the left; fixations and the maps of two networks at the right."""
        plan = Plan(favoured, factor) if factor != 1 else NOTHING
        shape, n, name = at_height(self.worlds.size, height), len(self.names), label(plan)
        scenes = [self._scene(self.scenes[plan], i, shape) for i in range(n)]
        answers = [mapped(m, shape) for which in (plan, FLAT) for m in self.maps[which]]
        texts = (f"who looks: {name}", f"its network: {name}", "the control's network: alike")
        under = [text for text in texts for _ in range(n)]
        pictures = montage([*scenes, *answers], under, n, height)
        table = self.tables[str(plan)]
        return side_by_side([planted_and_found(table, pictures.shape[0]), pictures])

    def _scene(self, data: SaliencyDataset, i: int, shape: tuple[int, int]) -> Picture:
        looks = data.fixations(i).scaled(data.size_of(i), shape)
        return with_fixations(fit(as_picture(data.image(i)), shape[0]), looks, 2)

    def widget(self) -> widgets.VBox:
        """Return the controls: favoured category, and by how much."""
        factor = widgets.SelectionSlider(
            options=self.factors, value=self.factors[-1], continuous_update=False
        )
        return explore(self.draw, favoured=widgets.Dropdown(options=self.categories), factor=factor)


def planted_and_found(table: pd.DataFrame, height: int, width: int = 210) -> Picture:
    """Draw planted weights beside recovered advantages with intervals, a row a category.

    table: category, planted, value, low, high, p_adjusted. A category found is coloured.
    """
    weights = table[["category"]].assign(value=table["planted"], low=np.nan, high=np.nan)
    sure, more = table["p_adjusted"] <= RATE, table["value"] > 0
    hues = np.where(sure, np.where(more, AFTER, BEFORE), CONTROL)
    grey, size = [CONTROL] * len(table), (height, width)
    planted = bars({"": weights}, {"": grey}, axis="planted weight", reach=(0, 1), size=size)
    title, where = "map, beyond control", {"axis": "advantage", "reach": (-1, 1), "size": size}
    return side_by_side([planted, bars({"": table}, {"": hues}, title=title, **where)])
