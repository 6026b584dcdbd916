"""Toyworlds that differ only in what their observers favour, and networks taught on them.

All share their scenes, so images and frozen features are computed once for all worlds. Whatever is
taught or dissected is cached by content, one world at a time.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from .datasets import CATEGORIES, SaliencyDataset
from .datasets.toyworld import DEFAULT_WEIGHTS, ToyWorld
from .dissection import Dissection, contributions_cached, dissect_cached
from .dissection.readout_maps import MAP, Maps, WithMap
from .metrics.upsampling import Size
from .models import SaliencyModel, train
from .study import Study

ALIKE, DEFAULT, IGNORED = "alike", "default", "ignored"
BASES: dict[str, Mapping[str, float]] = {
    ALIKE: dict.fromkeys(CATEGORIES, 1.0),
    DEFAULT: DEFAULT_WEIGHTS,
    IGNORED: dict.fromkeys(CATEGORIES, 0.0),  # only contrast and centre draw the eye
}


@dataclass(frozen=True)
class Plan:
    """What a world's observers favour: `factor` times the `base` weight of `category`.

    base: "alike" (all categories 1), "default" (toyworld's own) or "ignored" (all 0: regions do not
    matter). Another `group` of observers favours the same and looks anew.
    """

    category: str = ""
    factor: float = 1.0
    group: int = 0
    base: str = ALIKE

    @property
    def weights(self) -> dict[str, float]:
        """The planted weights, fixations per pixel, of all categories."""
        weights = dict(BASES[self.base])
        return weights | ({self.category: weights[self.category] * self.factor} if self.category
                          else {})  # fmt: skip

    def __str__(self) -> str:
        if self.category:
            return f"{self.category} × {self.factor:g}"
        return f"{self.base} {self.group}" if self.group else self.base


FLAT = Plan()
"""The control: no category is favoured."""
NOTHING = Plan(group=1)
"""Again none is, by another group of observers: what chance looks like beyond the control."""


@dataclass(eq=False)
class Worlds:
    """Networks of a study, taught on worlds with scenes as large as its networks' input.

    training, dissected: numbers of images to teach and to dissect on, disjoint; readout_epochs: of
    frozen readouts; everything else as the study sets it.
    """

    study: Study
    training: int
    dissected: int
    readout_epochs: int

    @property
    def size(self) -> Size:
        """Height and width of scenes and network input."""
        return self.study.size

    @property
    def read(self) -> list[str]:
        """The layers that readouts read."""
        return self.study.read or self.study.pretrained.layers[-1:]

    @property
    def seed(self) -> int:
        """The seed of scenes and trainings."""
        return self.study.seed

    def world(self, plan: Plan) -> ToyWorld:
        """Return the world of `plan`: of every 20 scenes, 14 to learn from and 6 unseen."""
        n = 20 * math.ceil(max(self.training / 14, self.dissected / 6))
        return ToyWorld(n=n, seed=self.seed, size=self.size, weights=plan.weights, group=plan.group)

    def learned(self, plan: Plan, images: int | None = None) -> SaliencyDataset:
        """Return the first `images` (None: `training`) training images of a world."""
        data, wanted = self.world(plan).split("train"), images or self.training
        if wanted > len(data):
            raise ValueError(f"{wanted} images wanted of {len(data)}: make `training` larger")
        return data.subset(data.names[:wanted])

    def unseen(self, plan: Plan) -> SaliencyDataset:
        """Return the images of a world that are dissected."""
        data = self.world(plan)
        names = [name for name in data.names if data.split_of(name) != "train"]
        return data.subset(names[: self.dissected])

    def taught(self, plan: Plan, frozen: bool = False, images: int | None = None) -> SaliencyModel:
        """Return a model taught on a world, the encoder fine-tuned or frozen.

        Frozen readouts learn in batches of a twelfth of the images (32 at most), so that few images
        do not mean few steps.
        """
        settings = self.study.training_settings(frozen, self.seed)
        if frozen:
            batch = max(1, min(32, (images or self.training) // 12))
            settings = replace(settings, epochs=self.readout_epochs, batch=batch)
        taught_on = self.learned(plan, images)
        model, _ = train(self.study.pretrained, taught_on, None, self.read, settings)
        assert isinstance(model, SaliencyModel)
        return model

    def fine_tuned(self, plan: Plan) -> dict[str, Dissection]:
        """Dissect three networks on a world's unseen images: layers read, and their map.

        "before" fine-tuning (its map is 0 everywhere), "after" it, and "flat": fine-tuned on the
        same scenes where all categories are favoured alike. The observers are the world's own.
        """
        data = self.unseen(plan)
        before = dissect_cached(self.study.pretrained, data, self.read)
        silent = {MAP: torch.zeros(len(before.regions), 1)}
        nets = {"flat": self.taught(FLAT), "after": self.taught(plan)}
        return {
            "before": Dissection(before.scores | silent, before.regions, before.categories),
            **{k: dissect_cached(net := WithMap(m), data, net.layers) for k, m in nets.items()},
        }

    def frozen(
        self, plan: Plan, images: Sequence[int], control: Plan = FLAT
    ) -> dict[int, tuple[Dissection, Dissection]]:
        """Dissect the maps of frozen readouts taught on `images` images of two worlds.

        By number of images: of the `control`'s readout and of the `plan`'s, on the latter's unseen
        images.
        """
        pairs = {f"{p} {n}": self.taught(p, True, n) for n in images for p in (control, plan)}
        found = dissect_cached(Maps(pairs), self.unseen(plan), list(pairs))
        return {n: (_alone(found, f"{control} {n}"), _alone(found, f"{plan} {n}")) for n in images}

    def contributions(self, plan: Plan) -> Dissection:
        """Return what each unit adds to the fine-tuned map, on a world's unseen images."""
        return contributions_cached(self.taught(plan), self.unseen(plan))


def _alone(result: Dissection, layer: str) -> Dissection:
    """Return one layer of a dissection, as the map."""
    return Dissection({MAP: result.of(layer)}, result.regions, result.categories)
