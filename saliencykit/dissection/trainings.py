"""One number a category from several trainings: their mean, with an interval that covers them.

Each training has its dissection, on images it never saw. A statistic is computed of each, on all
its images and again on resampled ones, alike in whatever saw the same images. Such numbers are
subtracted and divided draw by draw, so that what is compared is paired; at last they are combined
(`intervals.crossed` if all trainings saw the same images, `intervals.nested` if each saw its own).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from .. import intervals
from ..intervals import IMAGES, Learned, crossed, image_weights, nested, with_own
from ..registry import check_name
from .result import Dissection
from .top_units import MIN_IMAGES, ImageSums, top_draws

Statistic = Callable[[Dissection, Tensor], Tensor]
"""Computes, of a dissection and image weights (n, I), numbers (1 + n, K): its own come first."""


def mean_of(layer: str, unit: int = 0) -> Statistic:
    """Return the statistic "mean over a category's regions" of one unit of `layer`."""

    def draw(res: Dissection, weights: Tensor) -> Tensor:
        sums, weights = ImageSums.of(res, layer), with_own(weights)
        units = torch.tensor([unit])
        return torch.cat([sums.mean(c, weights, units) for c in range(len(sums.count))], 1)

    return draw


def best_of(layer: str, k: int = 10, selection: str = "crossfit", seed: int = 0) -> Statistic:
    """Return the statistic "mean of a category's `k` best units"; see `top_units`."""

    def draw(res: Dissection, weights: Tensor) -> Tensor:
        value, draws = top_draws(ImageSums.of(res, layer), k, selection, weights, seed)
        return torch.cat([value[None], draws])

    return draw


def above(layer: str, threshold: float = 1.5) -> Statistic:
    """Return the statistic "how many units of `layer` have S > threshold", the paper's T = 1.5.

    NaN for a category on few images, as its best units' mean is. Of its draws their spread counts:
    resampling makes selectivities noisier, so that more of them exceed a high threshold.
    """

    def draw(res: Dissection, weights: Tensor) -> Tensor:
        sums, weights = ImageSums.of(res, layer), with_own(weights)
        counts = torch.stack([_counted(sums.mean(c, weights)) for c in range(len(sums.count))], 1)
        counts[:, (sums.count > 0).sum(1) < MIN_IMAGES] = torch.nan
        return counts

    def _counted(selectivity: Tensor) -> Tensor:
        exceed = (selectivity > threshold).sum(1).float()
        return exceed.masked_fill(selectivity.isnan().all(1), torch.nan)

    return draw


@dataclass(frozen=True)
class OverTrainings:
    """One number a category from each training, and again on resampled images.

    `values`: (S, 1 + n, K) float64, the images' own first; `categories`: K names; `images`: (K,),
    on how many images, of all trainings, each number rests; `regions`: what each training saw; none
    if not images but units are resampled, which all trainings have in common: `images` are then
    units.
    """

    values: np.ndarray
    categories: tuple[str, ...]
    images: np.ndarray
    regions: tuple[pd.DataFrame, ...]

    @classmethod
    def of(
        cls, results: Sequence[Dissection], statistic: Statistic, n: int = 1000, seed: int = 0
    ) -> "OverTrainings":
        """Compute `statistic` of each training's dissection, on `n` resamples of its images."""

        def draws(res: Dissection) -> np.ndarray:
            weights = image_weights(len(res.regions["image"].unique()), n, seed)
            return statistic(res, weights).double().numpy()

        regions = tuple(res.regions for res in results)
        seen = pd.concat(regions).query("fixations > 0").groupby("category")["image"].nunique()
        categories = results[0].categories
        images = seen.reindex(list(categories), fill_value=0).to_numpy()
        return cls(np.stack([draws(res) for res in results]), categories, images, regions)

    @property
    def crossed(self) -> bool:
        """Whether all trainings were measured on the same images."""
        return all(own.equals(self.regions[0]) for own in self.regions[1:])

    def __sub__(self, other: "OverTrainings") -> "OverTrainings":
        """Return by how much it lies above another, training by training and draw by draw."""
        self._check(other)
        return replace(self, values=self.values - other.values)

    def __truediv__(self, other: "OverTrainings") -> "OverTrainings":
        """Return what share of another it is; NaN where that is not above 0."""
        self._check(other)
        whole = np.where(other.values > 0, other.values, np.nan)
        return replace(self, values=self.values / whole)

    def _check(self, other: "OverTrainings") -> None:
        pairs = zip(self.regions, other.regions, strict=True)
        if self.categories != other.categories or not all(a.equals(b) for a, b in pairs):
            raise ValueError("these were not measured in the same regions, so they do not pair")

    def favouring(self, first: str, second: str = "") -> "OverTrainings":
        """Return by how much category `first` lies above `second`, as one number.

        second: "" for none: then the number is that of `first` alone. Raises UnknownNameError for a
        category.
        """
        names = [first, second] if second else [first]
        chosen = [
            self.categories.index(check_name("category", name, self.categories)) for name in names
        ]
        own, *other = (self.values[..., [c]] for c in chosen)
        images = self.images[chosen].min(keepdims=True)
        values = own - other[0] if other else own
        return replace(self, values=values, images=images, categories=(" − ".join(names),))

    def averaged(self, name: str) -> "OverTrainings":
        """Return the mean over the categories that have an interval (a number, if none has)."""
        known = ~np.isnan(self.values[:, 0]).any(0)
        told = (self.images >= IMAGES) & known
        told = told if told.any() else known | ~known.any()
        values = self.values[..., told].mean(-1, keepdims=True)
        images = self.images[told].min(keepdims=True)
        return replace(self, values=values, images=images, categories=(name,))

    def learned(self, together: bool = False) -> Learned:
        """Return mean and interval (K,); together: all K hold at once (`intervals.together`)."""
        draws = self.values[:, 1:].mean(0) if self.crossed else None
        return over_trainings(self.values[:, 0], draws, self.images, together)

    def table(self, together: bool = False, **columns: object) -> pd.DataFrame:
        """Return a row a category, after `columns`.

        category, value, low, high, se_images, sd_trainings, "training 1" … each one's own number.
        """
        found = self.learned(together)._asdict()
        found.pop("trainings")
        singles = {f"training {s + 1}": own for s, own in enumerate(self.values[:, 0])}
        table = pd.DataFrame({"category": self.categories, **found, **singles})
        for place, (name, value) in enumerate(columns.items()):
            table.insert(place, name, value)
        return table


def over_trainings(
    values: np.ndarray, draws: np.ndarray | None, images: np.ndarray, together: bool = False
) -> Learned:
    """Return means over trainings (S, …) and intervals; on few images none.

    draws: (n, …), the mean on resampled images, None if each training has images of its own;
    images: on how many each number rests; together: see `OverTrainings.learned`.
    """
    if together:
        return intervals.together(values, draws, images)
    if draws is not None:
        return crossed(values, draws, images)
    found = nested(values)
    low, high = (np.where(images >= IMAGES, end, np.nan) for end in (found.low, found.high))
    return found._replace(low=low, high=high)


def singles(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of `OverTrainings.table` that hold single trainings' numbers."""
    return table.filter(regex=r"^training \d+$")
