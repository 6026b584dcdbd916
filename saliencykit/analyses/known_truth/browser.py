"""Worlds of known truth, one after the other: planted, recovered, and what the networks see."""

import ipywidgets as widgets
import numpy as np
import pandas as pd

from ...datasets import SaliencyDataset
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
from ...viewing.plots import decided, only
from ...viewing.style import AFTER, BEFORE, CONTROL, label
from ...worlds import FLAT, MAP, Plan
from .tables import KnownTruth


class WorldBrowser:
    """What was planted and what is found of it, and a few scenes as a world's network sees them.

    found: of which worlds; table: its `recovered`. Maps of `scenes` unseen scenes, those that show
    most categories, are those of each world's first training, computed once.
    """

    def __init__(self, found: KnownTruth, table: pd.DataFrame, scenes: int = 3):
        self.worlds, self.plans = found.worlds, [FLAT, *found.planted]
        self.tables = dict(list(only(table, number=MAP).groupby("world")))
        data = self.worlds.unseen
        shown = [len(set(data.region_categories(i))) for i in range(len(data))]
        best = np.argsort(-np.array(shown), kind="stable")[:scenes]
        self.names = [data.names[i] for i in best]
        first = {plan: found.asked(plan, False)[0] for plan in self.plans}
        self.maps = {plan: self.worlds.drawn(*one, self.names) for plan, one in first.items()}
        self.scenes = {plan: self.worlds.looked_at(plan, self.names) for plan in self.plans}

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
        plan = Plan(favoured, factor) if factor != 1 else FLAT
        shape, n, name = at_height(self.worlds.size, height), len(self.names), label(plan)
        scenes = [self._scene(self.scenes[plan], i, shape) for i in range(n)]
        answers = [mapped(m, shape) for which in (plan, FLAT) for m in self.maps[which]]
        texts = (f"who looks: {name}", f"its map: {name}", "map: nothing")
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

    table: category, planted, value, low, high. A category whose interval excludes 0 is coloured.
    """
    weights = table[["category"]].assign(value=table["planted"], low=np.nan, high=np.nan)
    sure, more = decided(table), table["value"] > 0
    hues = np.where(sure, np.where(more, AFTER, BEFORE), CONTROL)
    grey, size = [CONTROL] * len(table), (height, width)
    planted = bars({"": weights}, {"": grey}, axis="planted weight", reach=(0, 1), size=size)
    title, where = "map, beyond control", {"axis": "share", "reach": (-1, 1), "size": size}
    return side_by_side([planted, bars({"": table}, {"": hues}, title=title, **where)])
