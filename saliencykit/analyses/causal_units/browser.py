"""A model's map of an image with and without the units that dissection names for a category."""

import ipywidgets as widgets
import torch
from torch import Tensor

from ...dissection import Effects
from ...dissection.ablation import Silenced
from ...dissection.ablation_study import AblationStudy
from ...dissection.groups import Group, Role, common, named
from ...dissection.top_units import MIN_IMAGES
from ...models import stimuli
from ...models.stimuli import to_float
from ...viewing.controls import explore, slider
from ...viewing.pictures import Picture, at_height, difference, mapped, montage, stimulus
from ...viewing.style import label


class AblationBrowser:
    """Categories and their images: the map as it is, and without named, matched, random units.

    study: of one training; effects: of its groups of units. The maps of `images` images of every
    category are computed once, when the browser is made.
    """

    def __init__(self, study: AblationStudy, effects: Effects, images: int = MIN_IMAGES):
        self.study, self.groups, self.effects, self.images = study, effects.groups, effects, images
        self.categories = [c for c in named(self.groups) if c in common(effects.result)]
        regions = effects.result.regions.assign(row=range(len(effects.result.regions)))
        self.regions = regions[regions["fixations"] > 0]
        self.names = {c: self._chosen(c) for c in self.categories}
        self.maps = {c: self._maps(c) for c in self.categories}

    def _chosen(self, category: str) -> list[str]:
        """Return the images shown of a category: always the same random ones."""
        fixated = set(self.regions.loc[self.regions["category"] == category, "image"])
        data = self.study.score_on
        return data.subset([n for n in data.names if n in fixated]).thinned(self.images).names

    def ablations(self, category: str) -> dict[Group, str]:
        """Return group → words, of what is shown: the category's own, a matched, a random one."""
        own = named(self.groups)[category].units
        units = ", ".join(map(str, own[:6])) + (" …" if len(own) > 6 else "")
        words = {
            (Role.NAMED, category): f"without {units}",
            (Role.MATCHED, category): "without a matched group",
            (Role.RANDOM, None): "without a random group",
        }
        first = {g[:2]: g for g in self.groups if g.number == 1}
        return {first[kind]: text for kind, text in words.items() if kind in first}

    @torch.inference_mode()
    def _maps(self, category: str) -> Tensor:
        """Return (images, 1 + groups, h, w), the intact map first."""
        groups = [group.units for group in self.ablations(category)]
        values, study = self.study.moments.mean, self.study
        net = Silenced(study.model, study.layer, groups, values)
        seen = stimuli(study.score_on.subset(self.names[category]), study.size).tensors["images"]
        return net.maps(to_float(seen)).half().cpu()

    def nss(self, category: str, image: str) -> list[float]:
        """Return region NSS of the category in an image: intact, then without each group."""
        chosen = (self.regions["category"] == category) & (self.regions["image"] == image)
        rows = self.regions.loc[chosen, "row"].tolist()
        columns = [self.effects.groups.index(group) for group in self.ablations(category)]
        before = self.effects.before[rows]
        after = before[:, None] + self.effects.change[rows][:, columns]
        return [before.mean().item(), *after.mean(0).tolist()]

    def draw(self, category: str, image: int = 1, height: int = 190) -> Picture:
        """Draw the `image`-th image of a category, and its maps with the category's region NSS."""
        k = min(image, len(self.names[category])) - 1
        name, maps = self.names[category][k], self.maps[category][k].float()
        data = self.study.score_on
        i = data.names.index(name)
        shape = at_height(data.size_of(i), height)
        lost = difference(_z(maps[1]) - _z(maps[0]), shape)
        pictures = [stimulus(data, i), *(mapped(m, shape) for m in maps), lost]
        scores = zip(
            ["intact", *self.ablations(category).values()], self.nss(category, name), strict=True
        )
        under = [f"{text}: {score:.2f}" for text, score in scores]
        texts = [f"{name}: {label(category)}", *under, "minus intact: blue is lost"]
        return montage(pictures, texts, columns=3, height=height)

    def widget(self) -> widgets.VBox:
        """Return the controls: category, and which of its images."""
        category = widgets.Dropdown(options=[(label(c), c) for c in self.categories])
        return explore(self.draw, category=category, image=slider(self.images, 1, 1))


def _z(values: Tensor) -> Tensor:
    """Z-score a map, as region NSS does; a constant one becomes 0."""
    return (values - values.mean()) / values.std(correction=0).clamp(min=1e-12)
