"""The same images and other fixations: some weigh more, or those of some observers alone.

Fixations weigh by how often they are there, so that all that learns or is measured from fixations
takes a weight as it takes people who look again: a mean over them is the weighted mean.
"""

import copy
import zlib
from collections.abc import Sequence
from fractions import Fraction
from typing import Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..registry import check_name
from .base import SaliencyDataset
from .types import Fixations, Region

FINEST = 64  # weights are shares of whole numbers up to this


class SameImages(SaliencyDataset):
    """The images of `data`, with all that is known of them; a subclass says who looked where."""

    def __init__(self, data: SaliencyDataset):
        self.data, self.names = data, list(data.names)
        self.name, self.categories, self.scenes = data.name, data.categories, data.scenes
        self.own_split, self.shareable = data.own_split, data.shareable
        self.pooled, self.around_gaze = data.pooled, data.around_gaze
        self.part_of = data.part_of

    def image(self, i: int) -> Tensor:
        """Return stimulus `i` as uint8 (3, H, W)."""
        return self.data.image(i)

    def size_of(self, i: int) -> tuple[int, int]:
        """Return (height, width) of stimulus `i`."""
        return self.data.size_of(i)

    def regions(self, i: int) -> list[Region]:
        """Return the annotated regions of stimulus `i`."""
        return self.data.regions(i)

    def scene(self, i: int) -> str | None:
        """Return the scene class of stimulus `i`."""
        return self.data.scene(i)

    def split_of(self, name: str) -> str:
        """Return the split that stimulus `name` has."""
        return self.data.split_of(name)

    def subset(self, names: Sequence[str]) -> Self:
        """Return the same restricted to `names`, in the order given."""
        view = copy.copy(self)
        view.data, view.names, view.part_of = self.data.subset(names), list(names), None
        return view

    @property
    def image_fingerprint(self) -> str:
        """Hash of the images alone, so that what is made of them is made once."""
        return self.data.image_fingerprint

    def contents(self) -> object:
        """Return what identifies the data whose images these are."""
        return self.data.fingerprint

    def _looks(self, i: int) -> Fixations:
        """Return the data's own fixations within stimulus `i`."""
        return self.data.fixations(i).inside(*self.size_of(i), f"{self.name}/{self.names[i]}")


class Reweighted(SameImages):
    """`data`, a fixation in a region of `category` weighing `weight`, every other 1.

    A weight p/q, in lowest terms, is p fixations for each in such a region and q for each other,
    order kept; so a weight of 1 changes nothing. Raises UnknownNameError for a category, and
    ValueError for one without regions in `data`, for a weight of 0 or below, or for one that is no
    fraction of whole numbers up to `FINEST`.
    """

    def __init__(self, data: SaliencyDataset, category: str, weight: float):
        super().__init__(data)
        self.category = check_name("category", category, data.categories)
        self.weight = as_fraction(weight)
        if not any(r.category == category for i in range(len(data)) for r in data.regions(i)):
            raise ValueError(
                f"{data!r} has no annotated region of {category}: nothing there to weigh otherwise"
            )

    def fixations(self, i: int) -> Fixations:
        """Return the fixations on stimulus `i`, each as often as it weighs; in its pixels."""
        seen = self._looks(i)
        times = torch.where(self._weighed(i, seen), self.weight.numerator, self.weight.denominator)
        return seen[torch.arange(len(seen)).repeat_interleave(times)]

    def _weighed(self, i: int, seen: Fixations) -> Tensor:
        """Tell which of the fixations on stimulus `i` weigh `weight`: (N,)."""
        return inside(self.data, i, seen, self.category)

    def contents(self) -> object:
        """Return what identifies data, category and weight."""
        return [super().contents(), self.category, str(self.weight)]


class Sham(Reweighted):
    """`data`, on each image as many fixations weighing `weight` as `Reweighted` would weigh so.

    They are drawn at random from all on the image, by `seed` (whole numbers) and the image's name,
    so that no category is preferred, and what differs from `data` is noise. Raises what
    `Reweighted` does.
    """

    def __init__(self, data: SaliencyDataset, category: str, weight: float, *seed: int):
        super().__init__(data, category, weight)
        self.seed = seed

    def _weighed(self, i: int, seen: Fixations) -> Tensor:
        own = super()._weighed(i, seen).numpy()
        rng = np.random.default_rng([*self.seed, zlib.crc32(self.names[i].encode())])
        return torch.from_numpy(rng.permutation(own))

    def contents(self) -> object:
        """Return what identifies data, category, weight and draw."""
        return [super().contents(), "sham", *self.seed]


class SomeObservers(SameImages):
    """`data` as the observers of these numbers saw it.

    Raises ValueError for data whose observers are pooled, for one who looked at none of its images,
    and for nobody.
    """

    def __init__(self, data: SaliencyDataset, observers: Sequence[int]):
        super().__init__(data)
        self.observers = sorted(observers)
        absent = sorted(set(self.observers) - set(observers_of(data)))
        if absent or not self.observers:
            raise ValueError(f"{data!r} has no observers {absent or self.observers}")

    def fixations(self, i: int) -> Fixations:
        """Return these observers' fixations on stimulus `i`, in its pixels."""
        seen = self._looks(i)
        return seen[torch.isin(seen.observer, torch.tensor(self.observers))]

    def contents(self) -> object:
        """Return what identifies data and observers."""
        return [super().contents(), self.observers]


def as_fraction(weight: float) -> Fraction:
    """Return a weight as a fraction of whole numbers up to `FINEST`: 0.25 is 1/4.

    Raises ValueError for 0 or below, and for what is none, naming the nearest that is.
    """
    if not 0 < weight < float("inf"):
        raise ValueError(f"a weight is a number above 0, not {weight}")
    near = Fraction(weight).limit_denominator(FINEST)
    if near.numerator not in range(1, FINEST + 1) or abs(near - weight) > 1e-9:
        near = min(max(near, Fraction(1, FINEST)), Fraction(FINEST))
        raise ValueError(
            f"weight {weight} is no fraction of whole numbers up to {FINEST}; {near} is near it"
        )
    return near


def inside(data: SaliencyDataset, i: int, seen: Fixations, category: str) -> Tensor:
    """Tell which fixations (N,), all within stimulus `i`, lie in one of its `category` regions."""
    found, size = torch.zeros(len(seen), dtype=torch.bool), data.size_of(i)
    for region in data.regions(i):
        if region.category == category:
            found |= region.as_mask(*size)[seen.y.long(), seen.x.long()]
    return found


def observers_of(data: SaliencyDataset) -> list[int]:
    """Return the numbers of all who looked. Raises ValueError where the data pool them."""
    if data.pooled:
        raise ValueError(f"{data!r} does not tell its observers apart")
    return sorted({who for i in range(len(data)) for who in data.fixations(i).observer.tolist()})


def looked_at(data: SaliencyDataset, categories: Sequence[str]) -> pd.DataFrame:
    """Return how often people looked at each category: category, fixations, images (that have any).

    A fixation in two regions of one category counts once. Raises UnknownNameError for a category.
    """
    counts = {check_name("category", c, data.categories): [0, 0] for c in categories}
    for i in range(len(data)):
        seen = data.fixations(i).inside(*data.size_of(i), f"{data.name}/{data.names[i]}")
        shown = {region.category for region in data.regions(i)}
        for category in shown & counts.keys():
            own = int(inside(data, i, seen, category).sum())
            counts[category][0] += own
            counts[category][1] += own > 0
    rows = [(category, *found) for category, found in counts.items()]
    return pd.DataFrame(rows, columns=["category", "fixations", "images"])
