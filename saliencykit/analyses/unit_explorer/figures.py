"""The instrument's pictures: any unit of a study's networks, on any image, also one's own."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from ...datasets import SaliencyDataset
from ...dissection import Dissection
from ...dissection.groups import common
from ...dissection.report import best_images, present, strongest, unit_profile
from ...metrics import density
from ...models import Encoder, SaliencyModel, classical, stimuli
from ...models.stimuli import resize
from ...study import Study
from ...viewing.activity import Activity, seen, telling
from ...viewing.bars import bars
from ...viewing.pictures import (
    Picture,
    as_picture,
    captioned,
    fit,
    looks_at,
    mapped,
    montage,
    side_by_side,
    spotlight,
    stacked,
    stimulus,
    title_of,
    with_fixations,
)
from ...viewing.style import AFTER, BEFORE, label

GAP = 4  # pixels between pictures
TALL, TILE, STRIP = 216, 92, 20  # heights in pixels: an image, a small one, a line of text
WIDEST = 1.6  # widest image, in heights of a usual one
TILES = 5  # best images to a unit
MAP = 84  # height of a saliency map


class UnitExplorer:
    """Pictures of units: over an image, by category, on the images that drive them most.

    encoders: the networks by name; results: a dissection of each on `data`, with p-values if units
    are to be sorted by them; readouts: saliency models, by the name of an encoder beside whose
    units their maps are shown; layers: those to look at, all dissected. Shown are `images` of
    `data`, those that drive each category's best unit of `layer` most and others evenly. What
    networks and classical models answer to them is computed once, here, and cached.
    """

    def __init__(
        self,
        encoders: Mapping[str, Encoder],
        results: Mapping[str, Dissection],
        readouts: Mapping[str, SaliencyModel],
        data: SaliencyDataset,
        size: tuple[int, int],
        layers: Sequence[str],
        layer: str,
        images: int = 40,
    ):
        self.encoders, self.results, self.readouts = dict(encoders), dict(results), dict(readouts)
        self.size, self.layers, self.layer = size, list(layers), layer
        self.classical = [name for name in classical.names() if name != "centre"]
        apart = {id(encoder): name for name, encoder in reversed(self.encoders.items())}
        self._alias = {name: apart[id(encoder)] for name, encoder in self.encoders.items()}
        self.data = telling(next(iter(self.results.values())), data, layer, 2, images)
        self._within = {name: r.subset(self.data.names) for name, r in self.results.items()}
        self.own: list[str] = []  # names of images that are the user's
        every = range(len(self.data))
        self.activity = self._seen(stimuli(self.data, size).tensors["images"])
        self.pictures = [_shown(self.data.image(i)) for i in every]
        shape = (TILE, round(TILE * size[1] / size[0]))
        self.small = [resize(picture, shape) for picture in self.pictures]
        self.outlined = [
            fit(stimulus(self.data, i, looks=False), self.pictures[i].shape[-2]) for i in every
        ]
        self.people = [self._people(i) for i in every]

    @classmethod
    def of(cls, study: Study, networks: Sequence[str], images: int = 40) -> "UnitExplorer":
        """Return the explorer of some of a study's `NETWORKS`, on images it has not learned from.

        Trains and dissects what is not in the cache. Raises UnknownNameError for a network.
        """
        parts = {name: study.network(name) for name in networks}
        encoders = {name: encoder for name, (encoder, _) in parts.items()}
        readouts = {name: model for name, (_, model) in parts.items() if model is not None}
        data = study.unseen
        results = {name: study.dissect(encoder, data) for name, encoder in encoders.items()}
        where = (data, study.size, study.dissected, study.layer, images)
        return cls(encoders, results, readouts, *where)

    def _seen(self, images: Tensor) -> Activity:
        encoders = {name: self.encoders[name] for name in dict.fromkeys(self._alias.values())}
        return seen(images, encoders, self.layers, self.readouts, self.classical)

    def _people(self, i: int) -> Tensor:
        """Where people looked: the density (h, w) of their fixations."""
        shape = tuple(self.pictures[i].shape[-2:])
        return density(looks_at(self.data, i, shape), sigma=shape[1] / 32)

    def add(self, name: str, image: Tensor) -> int:
        """Show the networks an image of one's own, uint8 (3, H, W); return its number.

        They see it stretched to the size of their input, as they see all images.
        """
        self.activity = self.activity + self._seen(resize(image, self.size)[None])
        self.own.append(name)
        self.pictures.append(_shown(image))
        self.outlined.append(as_picture(self.pictures[-1]))
        return len(self.pictures) - 1

    @property
    def categories(self) -> list[str]:
        """The categories that people fixated in the data's images."""
        return present(next(iter(self.results.values())))

    def name(self, image: int) -> str:
        """Return an image's name."""
        return [*self.data.names, *self.own][image]

    def is_own(self, image: int) -> bool:
        """Whether an image was added by `add`: nobody's fixations on it are known."""
        return image >= len(self.data)

    def best(self, model: str, category: str | None = None) -> tuple[str, int]:
        """Return layer and number of the unit most selective for `category` (None: for any)."""
        found = {
            layer: strongest(self.results[model], layer, category).tolist() for layer in self.layers
        }
        layer = max(found, key=lambda name: np.nanmax(found[name]))
        return layer, int(np.nanargmax(found[layer]))

    def looked_at(
        self, model: str, image: int, regions: bool = False, fixations: bool = False
    ) -> Picture:
        """Draw an image, and the saliency map of a network."""
        title = self.name(image) if self.is_own(image) else title_of(self.data, image)
        left = captioned(self._stimulus(image, regions, fixations), title, STRIP)
        return side_by_side([left, self._answer(model, image)], GAP)

    def over_image(
        self,
        model: str,
        beside: str,
        layer: str,
        unit: int,
        category: str | None,
        image: int,
        threshold: float,
    ) -> Picture:
        """Draw a unit over an image, in two networks.

        The line runs where the unit is `threshold` standard deviations above its mean.
        """
        parts = []
        for who, ink in ((model, AFTER), (beside, BEFORE)):
            values = self.activity.unit(self._alias[who], layer, unit, image)
            text = f"{who}, unit {unit}{self._here(who, layer, unit, image, category)}"
            lit = spotlight(self.pictures[image], values, threshold)
            parts.append(captioned(lit, text, STRIP, ink))
        return side_by_side(parts, GAP)

    def _stimulus(self, image: int, regions: bool, fixations: bool) -> Picture:
        picture = self.outlined[image] if regions else as_picture(self.pictures[image])
        if not fixations or self.is_own(image):
            return picture
        looks = self.data.fixations(image).inside(*self.data.size_of(image))
        return with_fixations(picture, looks.scaled(self.data.size_of(image), picture.shape[:2]))

    def _here(self, model: str, layer: str, unit: int, image: int, category: str | None) -> str:
        """Say the unit's region NSS in this image: of `category`, or of the best one here."""
        if self.is_own(image):
            return ""
        regions = self.results[model].regions
        rows = np.flatnonzero(regions["image"].to_numpy() == self.name(image))
        scores = pd.Series(self.results[model].of(layer)[rows, unit].numpy())
        means = scores.groupby(regions["category"].to_numpy()[rows]).mean().dropna()
        means = means if category is None else means[means.index == category]
        return f": {label(means.idxmax())} {means.max():.1f} here" if len(means) else ""

    def _answer(self, model: str, image: int) -> Picture:
        shape = tuple(self.pictures[image].shape[-2:])
        if model in self.readouts:
            picture, text = mapped(self.activity.map(model, image), shape), f"{model}: saliency"
        else:
            picture, text = np.full((*shape, 3), 240, np.uint8), f"{model} predicts no saliency"
        return captioned(picture, text, STRIP, AFTER)

    def by_category(
        self,
        model: str,
        beside: str,
        layer: str,
        unit: int,
        category: str | None,
        threshold: float,
    ) -> Picture:
        """Draw the unit's selectivity for each category, with intervals, in both networks."""
        names = dict.fromkeys([model, beside])
        profiles = {name: unit_profile(self.results[name], layer, unit) for name in names}
        colours = {beside: BEFORE, model: AFTER}
        size = (2 * (TILE + STRIP + 4), 460)
        title = f"{layer}, unit {unit}"
        return bars(profiles, colours, threshold, category, title, size=size)

    def top_images(
        self,
        model: str,
        beside: str,
        layer: str,
        unit: int,
        category: str | None,
        threshold: float,
    ) -> Picture:
        """Draw the images whose fixated regions (of `category`) drive it most, a row a network."""
        rows = []
        for who, ink in ((model, AFTER), (beside, BEFORE)):
            chosen = best_images(self._within[who], layer, unit, TILES, category)
            tiles = [self._tile(who, layer, unit, name, threshold) for name in chosen]
            text = f"{who}: best images{f' for {label(category)}' if category else ''}"
            rows.append(captioned(montage(tiles, columns=TILES, height=TILE), text, STRIP, ink))
        return stacked(rows, GAP)

    def _tile(self, model: str, layer: str, unit: int, name: str, threshold: float) -> Picture:
        i = self.data.names.index(name)
        values = self.activity.unit(self._alias[model], layer, unit, i)
        return spotlight(self.small[i], values, threshold)

    def maps(self, image: int) -> Picture:
        """Draw where people looked, and the saliency maps of networks and classical models."""
        shape = tuple(_shown(self.pictures[image], MAP).shape[-2:])
        answers = {label(m): self.activity.map(m, image) for m in [*self.readouts, *self.classical]}
        people = {} if self.is_own(image) else {"people": self.people[image]}
        drawn = [captioned(mapped(v, shape), text) for text, v in (people | answers).items()]
        return side_by_side(drawn, GAP)

    def table(self) -> pd.DataFrame:
        """Return each network's best unit for each category over all layers.

        Columns: encoder, category, layer, unit, mean, low, high (selectivity and its interval).
        Networks that share an encoder are named once. Categories on too few images for an interval
        are left out: their best of many units would be the luck of a few fixations.
        """
        rows = []
        for name in dict.fromkeys(self._alias.values()):
            for category in common(self.results[name]):
                layer, unit = self.best(name, category)
                found = unit_profile(self.results[name], layer, unit).set_index("category")
                rows.append((name, category, layer, unit, *found.loc[category]))
        return pd.DataFrame(
            rows, columns=["encoder", "category", "layer", "unit", "mean", "low", "high"]
        )


def _shown(image: Tensor, tall: int = TALL) -> Tensor:
    """Resize uint8 (3, H, W) to be `tall`, or less so if it would be wider than `WIDEST`."""
    height, width = image.shape[-2:]
    tall = min(tall, round(WIDEST * tall * height / width))
    return resize(image, (tall, round(tall * width / height)))
