"""The data set: a balanced crossing of conditions, each array drawn when it is asked for."""

import itertools
import os
import zlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from torch import Tensor

from ..base import DATASETS, SaliencyDataset
from ..types import Fixations
from .arrays import BACKGROUNDS, Drawing, SearchArray, draw, smallest_cell
from .features import FEATURES


@DATASETS.register("popout")
class PopOut(SaliencyDataset):
    """Search arrays drawn by code: every feature × set size × difference × background, `repeats`
    times each with its own seed. By default 10 × 3 × 3 × 4 × 2 = 720 arrays.

    An array depends on its condition, its number among the repeats, `seed` and `size` (H, W) only:
    a larger design holds the same arrays. Nobody looked at them, and all count as test images,
    unless `looks` says how many fixations an ideal searcher is to have made on each: all of them on
    the target, evenly spread. Such arrays are for training. Drawn on demand, in some milliseconds
    each; `root` is ignored.

    Raises UnknownNameError for an unknown feature or background, ValueError for numbers out of
    range (see `SearchArray`).
    """

    name = "popout"
    categories = ()
    shareable = True

    def __init__(
        self,
        root: str | os.PathLike | None = None,
        features: Sequence[str] = tuple(FEATURES),
        set_sizes: Sequence[int] = (4, 16, 64),
        differences: Sequence[float] = (0.25, 0.5, 1.0),
        backgrounds: Sequence[str] = tuple(BACKGROUNDS),
        repeats: int = 2,
        jitter: float = 0.5,
        seed: int = 0,
        size: tuple[int, int] = (480, 640),
        looks: int = 0,
    ):
        if repeats < 1 or seed < 0 or looks < 0:
            raise ValueError(
                f"need repeats ≥ 1, seed ≥ 0 and looks ≥ 0, not {repeats}, {seed} and {looks}"
            )
        self.seed, self.size, self.looks = int(seed), (int(size[0]), int(size[1])), int(looks)
        smallest_cell(self.size)  # said now, not when the first array is drawn
        crossing = itertools.product(features, set_sizes, differences, backgrounds, range(repeats))
        self.arrays = {
            f"{f}_{n:02d}_{d:g}_{b}_{k}": (SearchArray(f, int(n), float(d), b, jitter), k)
            for f, n, d, b, k in crossing
        }
        self.names = list(self.arrays)

    @property
    def table(self) -> pd.DataFrame:
        """One row per array, in the order of `names`.

        Columns: name; feature, set_size, difference (share of the maximum), physical (in `unit`),
        background, repeat; x, y: the target's centre in pixels.
        """
        return pd.DataFrame([self._row(name) for name in self.names])

    def image(self, i: int) -> Tensor:
        """Return array `i` as uint8 (3, H, W)."""
        return self._drawn(i).image.clone()

    def targets(self, i: int) -> Tensor:
        """Return the mask of array `i`'s target, bool (H, W)."""
        return self._drawn(i).target.clone()

    def distractors(self, i: int) -> Tensor:
        """Return the mask of all of array `i`'s distractors, bool (H, W)."""
        return self._drawn(i).distractors.clone()

    def fixations(self, i: int) -> Fixations:
        """Return the ideal searcher's fixations, evenly spread over the target: `looks` of them."""
        if not self.looks:
            return Fixations.of([], [])
        y, x = self._drawn(i).target.nonzero(as_tuple=True)
        rng = np.random.default_rng([*self._seed(self.names[i]), 1])
        at, within = rng.integers(len(x), size=self.looks), rng.random((2, self.looks))
        return Fixations.of(x.numpy()[at] + within[0], y.numpy()[at] + within[1])

    def size_of(self, i: int) -> tuple[int, int]:
        """Return (height, width), the same for every array."""
        return self.size

    def split_of(self, name: str) -> str:
        """Return "test" for every array that nobody looked at, else "train"."""
        return "train" if self.looks else "test"

    def contents(self) -> dict[str, object]:
        """Return all that the arrays depend on beside their names and the code."""
        arrays = [repr(self.arrays[name]) for name in self.names]
        return {"arrays": arrays, "seed": self.seed, "size": self.size, "looks": self.looks}

    def _seed(self, name: str) -> list[int]:
        return [self.seed, zlib.crc32(name.encode())]

    def _drawn(self, i: int) -> Drawing:
        name = self.names[i]
        return _draw_once(self.arrays[name][0], self.size, tuple(self._seed(name)))

    def _row(self, name: str) -> dict[str, object]:
        spec, repeat = self.arrays[name]
        target = spec.items(self.size, self._seed(name))[0]
        return {
            "name": name,
            "feature": spec.feature,
            "set_size": spec.set_size,
            "difference": spec.difference,
            "physical": spec.physical,
            "unit": FEATURES[spec.feature].unit,
            "background": spec.background,
            "repeat": repeat,
            "x": target.x,
            "y": target.y,
        }


# Image and masks are asked for one after the other: a few arrays are kept.
_draw_once = lru_cache(maxsize=8)(draw)
