"""The data set: scenes rendered once and cached, and fixations cached beside them."""

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Self, Unpack

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ...cache import Entry, cached, digest
from ...sources import code_of
from ..base import DATASETS, SaliencyDataset
from ..types import CATEGORIES, Fixations, Region
from .observers import Habits, Observers, look, planted_weights
from .scenes import SCENES, Scene, render

VAL, TEST = (3, 10, 17), (6, 13, 19)  # of every 20 scenes; the other 14 are for training


class _Read(dict[str, Entry]):
    """What was read from the cache; another process is sent none of it, and reads its own."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return type(self), ()


@DATASETS.register("toyworld")
class ToyWorld(SaliencyDataset):
    """Scenes drawn by code, of which all is known: what shows where, and why people look there.

    Scene i depends on `seed`, i and `size` (H, W) only; its fixations on the observers' settings as
    well, and on which `group` of such people looks. `weights` maps categories to planted weights
    (fixations per pixel; those not named keep `DEFAULT_WEIGHTS`), `planted` is the complete
    mapping. `observers` people look at each scene; what they are like (`strength`, `contrast`,
    `centre`, `fixations`, …) is said in `Observers`. `root` is ignored: nothing is read from a
    folder.

    The world is rendered on first use and cached: about 20 ms a scene. Raises UnknownNameError for
    a weight of an unknown category, ValueError for settings out of range.
    """

    name = "toyworld"
    scenes: Sequence[str] = SCENES
    shareable = True

    def __init__(
        self,
        root: str | os.PathLike | None = None,
        n: int = 800,
        seed: int = 0,
        size: tuple[int, int] = (240, 320),
        weights: Mapping[str, float] | None = None,
        observers: int = Observers.count,
        group: int = 0,
        **habits: Unpack[Habits],
    ):
        if n < 1 or min(seed, group) < 0 or min(size) < 60:
            raise ValueError(
                f"need n ≥ 1, seed and group ≥ 0, sides ≥ 60 px, not {n}, {seed}, {group}, {size}"
            )
        self.seed, self.size = int(seed), (int(size[0]), int(size[1]))
        self.planted = planted_weights(weights)
        self.observers = Observers(self.planted, count=observers, **habits)
        self.n, self.group = int(n), int(group)
        self.names = [f"toy_{i:05d}" for i in range(self.n)]
        self._read = _Read()  # shared with the subsets of this world

    def contents(self) -> dict[str, object]:
        """Return all settings that images and fixations depend on, and the code's version."""
        return {**self._image_key(), "observers": asdict(self.observers), "group": self.group}

    @property
    def image_fingerprint(self) -> str:
        """Hash of the scenes alone: worlds that differ in observers share what is made of them."""
        return digest(self.name, self.names, self._image_key())

    def _image_key(self) -> dict[str, object]:
        code = code_of(type(self))
        return {"code": code, "n": self.n, "seed": self.seed, "size": self.size}

    def split_of(self, name: str) -> str:
        """Return the split of a scene by its number: 70 % train, 15 % val, 15 % test."""
        place = _number(name) % 20
        return "val" if place in VAL else "test" if place in TEST else "train"

    def size_of(self, i: int) -> tuple[int, int]:
        """Return (height, width), the same for every scene."""
        return self.size

    def thinned(self, n: int) -> Self:
        """Return a world of the first `n` scenes: as random as any, and no more need be drawn.

        Of a part of a world, as of any data set, always the same random `n`.
        """
        if len(self.names) != self.n:
            return super().thinned(n)
        view = copy.copy(self)
        view.n = min(n, self.n)
        view.names, view._read = self.names[: view.n], _Read()
        return view

    def image(self, i: int) -> Tensor:
        """Return scene `i` as uint8 (3, H, W)."""
        return self._pictures()["images"][_number(self.names[i])]

    def fixations(self, i: int) -> Fixations:
        """Return the simulated fixations on scene `i`, all of them inside it."""
        looked, k = self._looks(), _number(self.names[i])
        return Fixations(looked["x"][k], looked["y"][k], looked["observer"][k])

    def labels(self, i: int) -> Tensor:
        """Region that each pixel of scene `i` shows, uint8 (H, W): 0 or k for regions(i)[k-1]."""
        return self._pictures()["labels"][_number(self.names[i])]

    def region_categories(self, i: int) -> list[str]:
        """Return the categories of scene `i`'s regions, in the order of `regions`."""
        drawn, k = self._pictures(), _number(self.names[i])
        first, last = drawn["offsets"][k : k + 2].tolist()
        return [CATEGORIES[c] for c in drawn["categories"][first:last].tolist()]

    def regions(self, i: int) -> list[Region]:
        """Return the visible parts of scene `i`: disjoint masks, every one exactly what shows."""
        labels = self.labels(i)
        return [
            Region(category, mask=labels == k)
            for k, category in enumerate(self.region_categories(i), start=1)
        ]

    def scene(self, i: int) -> str:
        """Return the class of scene `i`."""
        return SCENES[int(self._pictures()["scenes"][_number(self.names[i])])]

    def _pictures(self) -> dict[str, Tensor]:
        if "scenes" not in self._read:
            self._read["scenes"] = cached("toyworld_scenes", self._image_key(), self._draw)
        return self._read["scenes"].tensors

    def _looks(self) -> dict[str, Tensor]:
        if "looks" not in self._read:
            self._read["looks"] = cached("toyworld_fixations", self.contents(), self._look)
        return self._read["looks"].tensors

    def _draw(self) -> Entry:
        """Render every scene."""
        images = torch.zeros((self.n, 3, *self.size), dtype=torch.uint8)
        labels = torch.zeros((self.n, *self.size), dtype=torch.uint8)
        scenes, categories, offsets = [], [], [0]
        for i in tqdm(range(self.n), desc="toyworld: drawing scenes", leave=False):
            scene = self._render(i)
            images[i] = torch.from_numpy(scene.image).permute(2, 0, 1)
            labels[i] = torch.from_numpy(scene.labels)
            scenes.append(SCENES.index(scene.scene))
            categories += [CATEGORIES.index(c) for c in scene.categories]
            offsets.append(len(categories))
        flat = {"scenes": scenes, "categories": categories, "offsets": offsets}
        return Entry(
            {"images": images, "labels": labels, **{k: torch.tensor(v) for k, v in flat.items()}}
        )

    def _render(self, i: int) -> Scene:
        """Render scene `i`."""
        return render(self.seed, i, self.size)

    def _look(self) -> Entry:
        """Let the observers look at every scene: x, y, observer, each (n, fixations)."""
        drawn, looks = self._pictures(), []
        offsets, categories = drawn["offsets"].tolist(), drawn["categories"].tolist()
        for i in tqdm(range(self.n), desc="toyworld: looking at scenes", leave=False):
            shown = [CATEGORIES[c] for c in categories[offsets[i] : offsets[i + 1]]]
            image, labels = drawn["images"][i].numpy(), drawn["labels"][i].numpy()
            rng = np.random.default_rng([self.seed, i, 2, self.group])
            looks.append(look(image, labels, shown, self.observers, rng))
        x, y, observer = (torch.from_numpy(np.stack(v)) for v in zip(*looks, strict=True))
        return Entry({"x": x, "y": y, "observer": observer})


def _number(name: str) -> int:
    """Scene number in a name such as toy_00042."""
    return int(name.removeprefix("toy_"))
