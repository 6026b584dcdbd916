"""The instrument's pictures: any unit of a study's networks, on any image, also one's own."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from ...datasets import SaliencyDataset
from ...dissection import Dissection
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
from .tables import best_table, known, trainings

GAP = 4  # pixels between pictures
TALL, TILE, STRIP = 216, 92, 20  # heights in pixels: an image, a small one, a line of text
WIDEST = 1.6  # widest image, in heights of a usual one
TILES = 5  # best images to a unit
MAP = 84  # height of a saliency map


class UnitExplorer:
    """Pictures of units: over an image, by category, on the images that drive them most.

    encoders: the networks by name; results: a dissection of each on `data`, with p-values if units
    are to be sorted by them; readouts: saliency models, by the name of an encoder beside whose
    units their maps are shown; layers: those to look at, all dissected; others: dissections of a
    network's further trainings, of which nothing is shown but how selective a unit is in them;
    compared: classical models whose maps are shown (None: all but the centre prior).
    Shown are `images` of `data`, those that drive each category's best unit of `layer` most and
    others evenly. What networks and classical models answer to them is computed once, here, and
    cached.
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
        others: Mapping[str, Sequence[Dissection]] | None = None,
        compared: Sequence[str] | None = None,
    ):
        self.others = dict(others or {})
        self.encoders, self.results, self.readouts = dict(encoders), dict(results), dict(readouts)
        self.size, self.layers, self.layer = size, list(layers), layer
        every_model = [name for name in classical.names() if name != "centre"]
        self.classical = every_model if compared is None else list(compared)
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
    def of(
        cls,
        study: Study,
        networks: Sequence[str],
        images: int = 40,
        compared: Sequence[str] | None = None,
    ) -> "UnitExplorer":
        """Return the explorer of some of `tables.NETWORKS`, of each the first training.

        Without those that cannot be taught (`tables.known`), on images that none of these has
        learned from. Trains and dissects what is not in the cache. Raises UnknownNameError for a
        network.
        """
        found = {name: trainings(study, name) for name in known(study, networks)}
        first = {name: each[0] for name, each in found.items()}
        encoders = {name: network.encoder for name, network in first.items()}
        readouts = {n: network.model for n, network in first.items() if network.model is not None}
        data = study.parts(0)[-1]
        results = {name: study.dissect(encoder, data) for name, encoder in encoders.items()}
        others = {
            name: [study.dissect(t.encoder, t.unseen, p_values=False) for t in each[1:]]
            for name, each in found.items()
        }
        where = (data, study.size, study.dissected, study.dissected[-1], images)
        return cls(encoders, results, readouts, *where, others, compared)

    def _seen(self, images: Tensor) -> Activity:
        encoders = {name: self.encoders[name] for name in dict.fromkeys(self._alias.values())}
        return seen(images, encoders, self.layers, self.readouts, self.classical)

    def _people(self, i: int) -> Tensor:
        """Where people looked: the density (h, w) of their fixations."""
        shape = tuple(self.pictures[i].shape[-2:])
        return density(looks_at(self.data, i, shape), sigma=shape[1] / 32)

    def add(self, name: str, image: Tensor) -> int:
        """Show the networks an image of one's own, uint8 (3, H, W); return its number.

        They see it stretched to the size of their input, as they see all images. Whatever goes
        wrong, the image is added wholly or not at all.
        """
        activity = self.activity + self._seen(resize(image, self.size)[None])
        picture = _shown(image)
        outlined = as_picture(picture)
        self.activity = activity
        self.own.append(name)
        self.pictures.append(picture)
        self.outlined.append(outlined)
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

    def title(self, model: str) -> str:
        """Return a network's name, with the training's number if it has several."""
        return f"{model} 1" if self.others.get(model) else model

    def every(self, model: str) -> list[Dissection]:
        """Return a network's dissections, one a training."""
        return [self.results[model], *self.others.get(model, [])]

    def steps(self, model: str, layer: str) -> Tensor:
        """Return all units' maps, uint8 (N, C, h, w), each from its own minimum to its maximum."""
        return self.activity.tensors[f"units/{self._alias[model]}/{layer}"]

    def singles(self, model: str, layer: str, unit: int) -> pd.DataFrame:
        """Return one unit's selectivity in each training, categories × "training 1" …."""
        columns = [
            Dissection({layer: r.of(layer)[:, unit : unit + 1]}, r.regions, r.categories)
            for r in self.every(model)
        ]
        found = {f"training {s + 1}": r.selectivity(layer)[0] for s, r in enumerate(columns)}
        return pd.DataFrame(found).loc[self.categories]

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

        def lit(who: str) -> tuple[Picture, str]:
            text = f"unit {unit}{self._here(who, layer, unit, image, category)}"
            return self._lit(self.pictures[image], who, layer, unit, image, threshold), text

        return side_by_side(self._in_both(model, beside, ", ", lit), GAP)

    def _in_both(
        self, model: str, beside: str, joint: str, draw: Callable[[str], tuple[Picture, str]]
    ) -> list[Picture]:
        """Draw a picture and its text of either network, under its name and in its colour."""
        parts = []
        for who, ink in ((model, AFTER), (beside, BEFORE)):
            picture, text = draw(who)
            parts.append(captioned(picture, f"{self.title(who)}{joint}{text}", STRIP, ink))
        return parts

    def _lit(
        self, picture: Tensor, model: str, layer: str, unit: int, image: int, threshold: float
    ) -> Picture:
        """Draw an image where a network's unit is active."""
        values = self.activity.unit(self._alias[model], layer, unit, image)
        return spotlight(picture, values, threshold)

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
            text = f"{self.title(model)}: saliency"
            picture = mapped(self.activity.map(model, image), shape)
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
        """Draw the unit's selectivity for each category, with intervals, in both networks.

        Small marks are the same unit in each training, of a network that has several.
        """
        names = list(dict.fromkeys([beside, model]))[::-1]  # of one network once, as the first
        titles = {name: self.title(name) for name in names}
        profiles = {titles[name]: unit_profile(self.results[name], layer, unit) for name in names}
        colours = {titles[name]: AFTER if name == model else BEFORE for name in names}
        singles = {
            titles[name]: self.singles(name, layer, unit).to_numpy()
            for name in names
            if self.others.get(name)
        }
        axis = "region NSS; | each training" if singles else "region NSS"
        size = (2 * (TILE + STRIP + 4), 460)
        title = f"{layer}, unit {unit}"
        return bars(profiles, colours, threshold, category, title, axis, size=size, singles=singles)

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

        def best(who: str) -> tuple[Picture, str]:
            chosen = best_images(self._within[who], layer, unit, TILES, category)
            places = [self.data.names.index(name) for name in chosen]
            tiles = [self._lit(self.small[i], who, layer, unit, i, threshold) for i in places]
            text = f"best images{f' for {label(category)}' if category else ''}"
            return montage(tiles, columns=TILES, height=TILE), text

        return stacked(self._in_both(model, beside, ": ", best), GAP)

    def maps(self, image: int) -> Picture:
        """Draw where people looked, and the saliency maps of networks and classical models."""
        shape = tuple(_shown(self.pictures[image], MAP).shape[-2:])
        answers = {label(m): self.activity.map(m, image) for m in [*self.readouts, *self.classical]}
        people = {} if self.is_own(image) else {"people": self.people[image]}
        drawn = [captioned(mapped(v, shape), text) for text, v in (people | answers).items()]
        return side_by_side(drawn, GAP)

    def table(self) -> pd.DataFrame:
        """Return `best_table` of the networks; those that share an encoder are named once."""
        names = dict.fromkeys(self._alias.values())
        return best_table({name: self.every(name) for name in names}, self.layers)


def _shown(image: Tensor, tall: int = TALL) -> Tensor:
    """Resize uint8 (3, H, W) to be `tall`, or less so if it would be wider than `WIDEST`."""
    height, width = image.shape[-2:]
    tall = max(1, min(tall, round(WIDEST * tall * height / width)))
    return resize(image, (tall, max(1, round(tall * width / height))))
