"""Browsers of stimuli and units: each notebook ends with one that lets the reader question it."""

from collections.abc import Mapping, Sequence

import ipywidgets as widgets
import pandas as pd
from matplotlib.figure import Figure

from ..datasets import SaliencyDataset
from ..dissection import Dissection
from ..dissection.report import best_images, best_units, present
from ..evaluation import Evaluation
from ..metrics import density
from ..models import Encoder, stimuli
from .activity import seen, telling
from .controls import explore, slider
from .pictures import (
    Picture,
    at_height,
    captioned,
    fit,
    gallery,
    looks_at,
    mapped,
    montage,
    spotlight,
    stimulus,
    title_of,
)
from .style import label

COLUMNS = 6  # pictures to a unit
ANY = "any"  # no category chosen: the unit slider decides


class ImageBrowser:
    """Stimuli one after the other: fixations and regions, people's density, models' maps.

    found: an evaluation of models on all images of `data`.
    """

    def __init__(self, data: SaliencyDataset, found: Evaluation):
        self.data, self.found = data, found
        self.models = sorted(found.shown, key=lambda m: -found.mean(m))

    def draw(self, image: int = 0) -> Picture:
        """Draw stimulus number `image`, the density of its fixations, and each model's map."""
        many = len(self.models) > 4
        height = 132 if many else 230
        pictures, under = answers(self.data, self.found, image, self.models, height)
        pictures[0] = fit(stimulus(self.data, image), height)
        under[0] = f"{title_of(self.data, image)}: {len(self.data.fixations(image))} fixations"
        texts = [text.replace("\n", " ") for text in under]
        return montage(pictures, texts, 6 if many else 3, height)

    def widget(self) -> widgets.VBox:
        """Return the slider over images."""
        return explore(self.draw, image=slider(len(self.data) - 1))


class UnitBrowser:
    """Units one after the other: the images that drive them most, in one encoder or several.

    results: dissections by encoder name, on images of `data`. What the networks answer to some
    `images` of them (see `activity.telling`) is computed once, when the browser is made.
    """

    def __init__(
        self,
        encoders: Mapping[str, Encoder],
        results: Mapping[str, Dissection],
        data: SaliencyDataset,
        size: tuple[int, int],
        layers: Sequence[str],
        layer: str,
        images: int = 72,
    ):
        self.results, self.layers = dict(results), list(layers)
        self.first = next(iter(self.results))
        self.data = telling(results[self.first], data, layer, COLUMNS, images)
        self.shown = stimuli(self.data, size).tensors["images"]
        self.activity = seen(self.shown, encoders, self.layers)

    @property
    def categories(self) -> list[str]:
        """The categories that people fixated in these images."""
        return present(self.results[self.first])

    def best_unit(self, layer: str, category: str) -> int:
        """Return the unit of `layer` most selective for `category` in the first encoder."""
        table = best_units(self.results[self.first], layer).set_index("category")
        return int(table.loc[category, "unit"])

    def tiles(
        self, encoder: str, layer: str, unit: int, columns: int, category: str | None = None
    ) -> list[Picture]:
        """Draw the images whose fixated regions (of `category`) drive the unit most."""
        result = self.results[encoder].subset(self.data.names)
        chosen = best_images(result, layer, unit, columns, category)
        places = [self.data.names.index(image) for image in chosen]
        return [
            spotlight(self.shown[i], self.activity.unit(encoder, layer, unit, i)) for i in places
        ]

    def sheet(self, layer: str, columns: int = COLUMNS) -> tuple[Figure, pd.DataFrame]:
        """Draw the first encoder's best unit of each category at `layer`: a row a category.

        Also returns what is shown: category, unit, selectivity.
        """
        table = best_units(self.results[self.first], layer).drop(columns="rank")
        best = list(table.itertuples(index=False))
        rows = [self.tiles(self.first, layer, u, columns, c) for c, u, _ in best]
        labels = [f"{label(c)}\nunit {u}: {s:.1f}" for c, u, s in best]
        return gallery(rows, labels=labels, columns=columns), table

    def draw(self, layer: str, unit: int, category: str = ANY, columns: int = COLUMNS) -> Picture:
        """Draw a row per encoder: the images whose fixated regions drive the unit most.

        A `category` other than "any" picks the unit itself: that category's most selective one.
        """
        if category != ANY:
            unit = self.best_unit(layer, category)
        rows = []
        for name, result in self.results.items():
            liked = result.selectivity(layer)[unit].dropna().nlargest(3)
            words = ", ".join(f"{label(c)} {value:.1f}" for c, value in liked.items())
            row = montage(self.tiles(name, layer, unit, columns), columns=columns, height=118)
            rows.append(captioned(row, f"{name}, {layer}, unit {unit}: {words}", strip=20))
        return montage(rows, columns=1, height=rows[0].shape[0])

    def widget(self, layer: str, category: str = ANY) -> widgets.VBox:
        """Return the controls: layer, unit, and category ("any": the unit slider decides)."""
        units = {name: self.results[self.first].of(name).shape[1] for name in self.layers}
        choose_unit = slider(units[layer] - 1)
        choose_layer = widgets.SelectionSlider(
            options=self.layers, value=layer, continuous_update=False
        )
        choose_category = widgets.Dropdown(options=[ANY, *self.categories], value=category)
        # Bound before `explore` draws: a shallower layer has fewer units.
        choose_layer.observe(lambda e: setattr(choose_unit, "max", units[e["new"]] - 1), "value")
        return explore(self.draw, layer=choose_layer, unit=choose_unit, category=choose_category)


def answers(
    data: SaliencyDataset, found: Evaluation, i: int, models: Sequence[str], height: int = 180
) -> tuple[list[Picture], list[str]]:
    """Pictures of stimulus `i`, people's density and the models' maps, and what to write below."""
    counts, shape = looks_at(data, i), at_height(data.size_of(i), height)
    pictures = [fit(stimulus(data, i, regions=False), height)]
    under = [data.names[i]]
    if counts.any():
        pictures.append(mapped(density(counts), shape))
        under.append("people")
    for model in models:
        pictures.append(mapped(found.shown[model][i], shape))
        under.append(f"{label(model)}\n{found.score(model, data.names[i]):.2f}")
    return pictures, under
