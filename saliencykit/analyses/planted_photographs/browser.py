"""A photograph at every dose: where people looked, and what a network taught that dose expects."""

from functools import cache

import ipywidgets as widgets
import torch
from torch import Tensor

from ...models.stimuli import placed, stimuli, to_float
from ...registry import check_name
from ...viewing.controls import explore, slider
from ...viewing.pictures import (
    Picture,
    as_picture,
    at_height,
    difference,
    fit,
    mapped,
    montage,
    normalised,
    outline,
    with_fixations,
)
from ...viewing.style import colours, label
from .tables import Planted


class DoseBrowser:
    """The first training of each dose on photographs that it never saw.

    Of each planted category the `images` photographs at whose regions of it people looked most
    often. A network runs on them when its dose is first chosen.
    """

    def __init__(self, found: Planted, images: int = 6):
        self.found, self.data = found, found.unseen[0]
        looked = found.people.regions[0].groupby(["category", "image"])["fixations"].sum()
        self.shown = {
            c: self.data.subset(looked[c].sort_values(ascending=False).index[:images].tolist())
            for c in found.categories
        }
        self.doses = sorted({1.0, *found.doses})
        self.maps = cache(self._maps)

    @torch.inference_mode()
    def _maps(self, category: str, dose: float) -> Tensor:
        """Return z-scored maps (images, h, w), not upsampled."""
        model = placed(self.found.networks(self.found.asked(category, dose)[:1])[0])
        seen = stimuli(self.shown[category], self.found.study.size).tensors["images"]
        maps = model.coarse(to_float(seen)).float().cpu()
        return (maps - maps.mean((1, 2), keepdim=True)) / maps.std((1, 2), keepdim=True)

    def draw(self, planted: str, dose: float, image: int = 1, height: int = 200) -> Picture:
        """Draw a photograph with its fixations and the planted regions, and the map at a dose.

        At the right what the dose changed in the map. Raises UnknownNameError for a category that
        was not planted.
        """
        data, i = self.shown[check_name("planted category", planted, self.shown)], image - 1
        own = data.size_of(i)
        looks = data.fixations(i).inside(*own, data.names[i])
        regions = [region for region in data.regions(i) if region.category == planted]
        hue = dict(zip(data.categories, colours(data.categories), strict=True))
        people = with_fixations(outline(as_picture(data.image(i)), regions, hue), looks)
        now, was = self.maps(planted, dose)[i], self.maps(planted, 1.0)[i]
        size = at_height(own, height)
        texts = (
            f"people; {label(planted)} outlined",
            f"map at dose {dose:g}",
            "less that at dose 1: red more, blue less",
        )
        pictures = [fit(people, height), mapped(normalised(now), size), difference(now - was, size)]
        return montage(pictures, texts, columns=3, height=height)

    def widget(self) -> widgets.VBox:
        """Return the controls: planted category, dose and photograph."""
        fewest = min(len(data) for data in self.shown.values())
        dose = widgets.SelectionSlider(
            options=[(f"{d:g}", d) for d in self.doses], value=self.doses[-1]
        )
        dose.continuous_update = False
        planted = widgets.Dropdown(options=[(label(c), c) for c in self.shown])
        return explore(self.draw, planted=planted, dose=dose, image=slider(fewest, 1, 1))
