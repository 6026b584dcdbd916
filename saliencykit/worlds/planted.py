"""Toyworlds that differ only in what their observers favour, and networks trained on them.

All worlds share their scenes, so that images and frozen features are computed once. A training is a
seed *and* a group of observers of its own: training k of a world begins from seed k and learns from
people whom no other training saw. All trainings of all worlds are measured on the same other
scenes, and in them at what one more group looked at, so that they pair.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from ..cache import Entry, cached
from ..datasets import CATEGORIES, SaliencyDataset
from ..datasets.toyworld import ToyWorld
from ..dissection import Dissection, dissect_cached
from ..dissection.readout_maps import MAP, Maps, WithMap
from ..metrics.upsampling import Size
from ..models import SaliencyModel, Training, train_side_by_side
from ..sources import code_of
from ..study import Study


@dataclass(frozen=True)
class Plan:
    """What a world's observers favour: `category`, whose weight is `factor`, all others' being 1.

    Weights are in fixations per pixel. A factor of 1 favours nothing: see `FLAT`.
    """

    category: str = ""
    factor: float = 1.0

    @property
    def weights(self) -> dict[str, float]:
        """The planted weights, fixations per pixel, of all categories."""
        return dict.fromkeys(CATEGORIES, 1.0) | (
            {self.category: float(self.factor)} if self.category else {}
        )

    def __str__(self) -> str:
        return f"{self.category} × {self.factor:g}" if self.category else "nothing"


FLAT = Plan()
"""The control: no category is favoured."""


@dataclass(eq=False)
class Worlds:
    """Networks of a study, trained on worlds with scenes as large as its networks' input.

    training, dissected: numbers of scenes to learn from and to be measured on, which are others;
    readout_epochs: of frozen readouts; everything else as the study sets it.
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
        return list(self.study.read or self.study.pretrained.layers[-1:])

    def world(self, plan: Plan, group: int = 0) -> ToyWorld:
        """Return the scenes to learn from, as one group of `plan`'s observers looks at them."""
        return self._scenes(self.training, plan, group)

    @cached_property
    def unseen(self) -> SaliencyDataset:
        """The scenes that all networks are measured on; who looks at them favours nothing."""
        return self.looked_at(FLAT)

    def looked_at(self, plan: Plan, names: Sequence[str] | None = None) -> SaliencyDataset:
        """Return the unseen scenes (or some of them), as observers of a world look at them."""
        world = self._scenes(self.training + self.dissected, plan, 0)
        return world.subset(list(names or world.names[self.training :]))

    def _scenes(self, n: int, plan: Plan, group: int) -> ToyWorld:
        """Return the first `n` scenes: scene i is the same in every world."""
        seed, size = self.study.seed, self.size
        return ToyWorld(n=n, seed=seed, size=size, weights=plan.weights, group=group)

    def trainings(self, asked: Iterable[tuple[Plan, int]], frozen: bool) -> list[Training]:
        """Return what training k of a world is for each (plan, k), the encoder frozen or not."""
        study, own = self.study, {"epochs": self.readout_epochs, "batch": 16} if frozen else {}
        return [
            Training(
                study.pretrained,
                self.world(plan, group=study.training_seed + k + 1),
                None,
                self.read,
                replace(study.training_settings(frozen, study.first_seed + k), **own),
            )
            for plan, k in asked
        ]

    def trained(self, asked: Iterable[tuple[Plan, int]], frozen: bool) -> list[SaliencyModel]:
        """Return each training's model; what is not in the cache is trained side by side."""
        models = [model for model, _ in train_side_by_side(self.trainings(asked, frozen))]
        return [model for model in models if isinstance(model, SaliencyModel)]

    def maps(self, asked: Sequence[tuple[Plan, int]], frozen: bool) -> list[Dissection]:
        """Return region NSS of the map (layer "map") of each training, on the `unseen` scenes.

        Cached all together, so that no network need be read again.
        """
        keys = [one.key for one in self.trainings(asked, frozen)]
        key = {"code": code_of(type(self)), "trainings": keys, "unseen": self.unseen.fingerprint}
        names = [f"{plan} {k}" for plan, k in asked]

        def compute() -> Entry:
            models = dict(zip(names, self.trained(asked, frozen), strict=True))
            if frozen:
                return dissect_cached(Maps(models), self.unseen, names).to_entry()
            each = {k: dissect_cached(WithMap(m), self.unseen, [MAP]) for k, m in models.items()}
            scores = {name: one.of(MAP) for name, one in each.items()}
            return replace(each[names[0]], scores=scores).to_entry()

        found = Dissection.from_entry(cached("world_maps", key, compute))
        return [replace(found, scores={MAP: found.of(name)}) for name in names]

    @torch.inference_mode()
    def drawn(self, plan: Plan, number: int, names: Sequence[str]) -> torch.Tensor:
        """Return the fine-tuned map (B, h, w), not upsampled, of training `number` on scenes."""
        model = self.trained([(plan, number)], frozen=False)[0]
        shown = self.unseen.subset(list(names))
        images = torch.stack([shown.image(i) for i in range(len(shown))]).float() / 255
        return model.coarse(images.to(next(model.parameters()).device)).float().cpu()
