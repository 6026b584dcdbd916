"""Toyworlds that differ only in what their observers favour, and networks taught on them.

All share their scenes, so images and frozen features are computed once for all worlds. Whatever is
taught or dissected is cached by content, one world at a time.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from .datasets import CATEGORIES, SaliencyDataset
from .datasets.toyworld import DEFAULT_WEIGHTS, ToyWorld
from .dissection import Dissection, contributions_cached, dissect_cached
from .dissection.readout_maps import MAP, Maps, WithMap
from .metrics.upsampling import Size
from .models import SaliencyModel, Settings, Tapped, build_encoder, train

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
    """How scenes are drawn and networks taught.

    encoder, weights: see `models.build_encoder`; size: of scenes and network input (height, width);
    training, dissected: numbers of images to teach and to dissect on, disjoint; read: layers that
    readouts read; epochs: of fine-tuning; readout_epochs: of frozen readouts; batch, lr_encoder: of
    fine-tuning.
    """

    encoder: str = "toyvgg"
    weights: str | None = "toyworld"
    size: Size = (120, 160)
    training: int = 300
    dissected: int = 200
    read: Sequence[str] = ("conv3_3", "conv4_3", "conv5_3")
    epochs: int = 4
    readout_epochs: int = 10
    batch: int = 8
    lr_encoder: float = 1e-3
    seed: int = 0

    def __post_init__(self):
        self.size = (int(self.size[0]), int(self.size[1]))
        self.read = list(self.read)

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

    @cached_property
    def pretrained(self) -> Tapped:
        """The encoder as it comes, never shown a fixation."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)  # for weights that are drawn, not read
            return build_encoder(self.encoder, self.weights)

    def taught(self, plan: Plan, frozen: bool = False, images: int | None = None) -> SaliencyModel:
        """Return a model taught on a world, the encoder fine-tuned or frozen.

        Frozen readouts learn in batches of a twelfth of the images (32 at most), so that few images
        do not mean few steps.
        """
        settings = Settings(
            size=self.size,
            frozen=frozen,
            epochs=self.readout_epochs if frozen else self.epochs,
            batch=max(1, min(32, (images or self.training) // 12)) if frozen else self.batch,
            lr=5e-3 if frozen else 1e-3,
            lr_encoder=self.lr_encoder,
            seed=self.seed,
        )
        model, _ = train(self.pretrained, self.learned(plan, images), None, self.read, settings)
        assert isinstance(model, SaliencyModel)
        return model

    def fine_tuned(self, plan: Plan) -> dict[str, Dissection]:
        """Dissect three networks on a world's unseen images: layers read, and their map.

        "before" fine-tuning (its map is 0 everywhere), "after" it, and "flat": fine-tuned on the
        same scenes where all categories are favoured alike. The observers are the world's own.
        """
        data = self.unseen(plan)
        before = dissect_cached(self.pretrained, data, self.read)
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
