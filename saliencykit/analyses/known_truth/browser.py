"""Worlds of known truth, one after the other: planted, recovered, and what the networks see."""

from collections.abc import Sequence

import ipywidgets as widgets
import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ...datasets import SaliencyDataset
from ...dissection.readout_maps import MAP
from ...intervals import RATE
from ...models import stimuli
from ...models.stimuli import to_float
from ...viewing.controls import explore
from ...viewing.pictures import (
    Picture,
    as_picture,
    captioned,
    fit,
    font,
    mapped,
    montage,
    side_by_side,
    with_fixations,
)
from ...viewing.style import AFTER, BEFORE, CONTROL, label
from ...worlds import FLAT, NOTHING, Plan, Worlds


class WorldBrowser:
    """What was planted and what is found of it, and a few scenes as a world's network sees them.

    table: `evaluation.truth.against_retrained` of `Recovery.comparable`, with the worlds `plans`
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
        shape = (height, round(height * self.worlds.size[1] / self.worlds.size[0]))
        columns = [self._scene(self.scenes[plan], i, shape) for i in range(len(self.names))]
        answers = [[mapped(m, shape) for m in self.maps[which]] for which in (plan, FLAT)]
        name = label(plan)
        texts = (f"who looks: {name}", f"its network: {name}", "the control's network: alike")
        rows = [
            captioned(p, text) for row, text in zip([columns, *answers], texts, strict=True)
            for p in row
        ]  # fmt: skip
        pictures = montage(rows, columns=len(self.names), height=height + 18)
        table = self.tables[str(plan)]
        return side_by_side([bar_chart(table, pictures.shape[0]), pictures])

    def _scene(self, data: SaliencyDataset, i: int, shape: tuple[int, int]) -> Picture:
        looks = data.fixations(i).scaled(data.size_of(i), shape)
        return with_fixations(fit(as_picture(data.image(i)), shape[0]), looks, 2)

    def widget(self) -> widgets.VBox:
        """Return the controls: favoured category, and by how much."""
        factor = widgets.SelectionSlider(
            options=self.factors, value=self.factors[-1], continuous_update=False
        )
        return explore(self.draw, favoured=widgets.Dropdown(options=self.categories), factor=factor)


def bar_chart(table: pd.DataFrame, height: int, width: int = 400) -> Picture:
    """Draw planted weights beside recovered advantages with intervals, a row a category.

    table: category, planted, value, low, high. A category found is coloured. Drawn by hand: it is
    the part of a slider's picture that a figure would take too long for.
    """
    sheet = Image.new("RGB", (width, height), "white")
    pen, step = ImageDraw.Draw(sheet), (height - 26) / len(table)
    letters = font(round(min(11, step * 0.65), 1))
    ink, left, middle, right = (30, 30, 30), 92, 200, width - 12
    pen.text((left, 4), "planted weight", fill=ink, font=letters)
    pen.text((middle, 4), "advantage, map (beyond control)", fill=ink, font=letters)
    reach = table[["value", "low", "high"]].abs().fillna(0).to_numpy().max() or 1.0
    zero, scale = (middle + right) / 2, (right - middle) / 2 / reach
    most = max(1.0, float(table["planted"].max()))
    pen.line((zero, 22, zero, height - 4), fill=(170, 170, 170))
    for k, row in enumerate(table.itertuples()):
        top, low = 24 + k * step, 24 + (k + 0.72) * step
        pen.text((2, top), label(row.category), fill=ink, font=letters)
        end = left + (middle - 22 - left) * row.planted / most
        pen.rectangle((left, top, end, low), fill=CONTROL)
        if np.isnan(row.value):
            continue
        hue = (AFTER if row.value > 0 else BEFORE) if row.p_adjusted <= RATE else CONTROL
        ends = sorted((zero, zero + scale * row.value))
        pen.rectangle((ends[0], top, ends[1], low), fill=hue)
        pen.line((zero + scale * row.low, (top + low) / 2, zero + scale * row.high,
                  (top + low) / 2), fill=ink, width=2)  # fmt: skip
    return np.array(sheet)
