"""The data set that all loaders share: a list of stimuli, lazily read, split by name."""

import copy
import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Self

from torch import Tensor
from torch.utils.data import Dataset

from ..cache import digest
from ..paths import regular
from ..registry import Registry, check_name
from ..sources import code_of
from .types import CATEGORIES, Fixations, Region, Sample

SPLITS = ("train", "val", "test")
SHARES = {"train": 0.70, "val": 0.85, "test": 1.0}
"""Upper ends of the shares of images in each split, where a data set has no splits of its own.

An image stays in its split when others come or go.
"""
DATASETS: Registry[Callable[..., "SaliencyDataset"]] = Registry("data set")


class SaliencyDataset(Dataset[Sample]):
    """Stimuli with fixations. A loader sets `names` and overrides the methods below it.

    Attributes: `name` of the data set; `names` of its stimuli in order; `categories` of regions;
    `scenes`, the scene classes (empty if unknown).
    """

    name: str = "?"
    categories: Sequence[str] = CATEGORIES
    scenes: Sequence[str] = ()
    own_split: bool = True  # whether train, val and test are the data set's own, or ours
    pooled: bool = False  # whether all observers' fixations are one observer's: the data don't tell
    around_gaze: bool = False  # whether regions were drawn around these very fixations
    shareable: bool = False  # whether pictures of the stimuli may be published by anybody
    names: list[str]
    part_of: "SaliencyDataset | None" = None  # of whose images it has some, if others have others

    def image(self, i: int) -> Tensor:
        """Return stimulus `i` as uint8 (3, H, W)."""
        raise NotImplementedError

    def fixations(self, i: int) -> Fixations:
        """Return the fixations on stimulus `i`, in its pixels, without decoding the image."""
        raise NotImplementedError

    def size_of(self, i: int) -> tuple[int, int]:
        """Return (height, width) of stimulus `i`; loaders that know it need not decode."""
        height, width = self.image(i).shape[-2:]
        return height, width

    def regions(self, i: int) -> list[Region]:
        """Return the annotated regions of stimulus `i` (none unless a loader knows better)."""
        return []

    def scene(self, i: int) -> str | None:
        """Return the scene class of stimulus `i`, if known."""
        return None

    def split_of(self, name: str) -> str:
        """Return the split that stimulus `name` belongs to: "train", "val" or "test".

        Unless a loader knows better, by a hash of the name: see `SHARES`.
        """
        share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
        return next(split for split, end in SHARES.items() if share < end)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i: int) -> Sample:
        if not -len(self) <= i < len(self):
            raise IndexError(f"{self.name} has {len(self)} images; there is no number {i}")
        i %= len(self)
        image = self.image(i)
        fixations = self.fixations(i).inside(*image.shape[-2:], name=f"{self.name}/{self.names[i]}")
        return Sample(self.names[i], image, fixations, self.regions(i), self.scene(i))

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self)} images>"

    def subset(self, names: Sequence[str]) -> Self:
        """Return the same data set restricted to `names`, in the order given."""
        view = copy.copy(self)
        view.names, view.part_of = list(names), None
        return view

    def without(self, part: "SaliencyDataset") -> Self:
        """Return all images but those of a `part`, such as a fold; they are a part themselves."""
        left = set(part.names)
        return self.part([name for name in self.names if name not in left])

    def part(self, names: Sequence[str]) -> Self:
        """Return `subset` as a part, of which there are others that hold some of the same images.

        What is computed of images alone is then computed once, of all (see `models.features`).
        """
        view = self.subset(names)
        view.part_of = self
        return view

    def split(self, which: str) -> Self:
        """Return the "train", "val" or "test" part."""
        check_name("split", which, SPLITS)
        return self.subset([n for n in self.names if self.split_of(n) == which])

    def folds(self, n: int) -> list[Self]:
        """Return `n` parts of the images, as equal in number as can be, dealt out at random.

        Always the same ones, each `part_of` these data. Raises ValueError if there are fewer images
        than parts.
        """
        if n > len(self):
            raise ValueError(f"{self!r} cannot be dealt into {n} parts")
        dealt = sorted(self.names, key=digest)
        parts = [set(dealt[k::n]) for k in range(n)]
        return [self.part([name for name in self.names if name in part]) for part in parts]

    def thinned(self, n: int) -> Self:
        """Return `n` of the images (all, if there are no more): always the same random ones."""
        chosen = set(sorted(self.names, key=digest)[:n])
        return self.subset([name for name in self.names if name in chosen])

    @property
    def fingerprint(self) -> str:
        """Hash of what is in the data set, for cache keys; loaders add their files or settings."""
        return digest(self.name, self.names, code_of(type(self)), self.contents())

    @property
    def image_fingerprint(self) -> str:
        """Hash of the images alone, for what does not depend on who looked where."""
        return self.fingerprint

    def contents(self) -> object:
        """Return what, beside the names, identifies the data: settings, or `file_digests`."""
        return None


def file_digests(paths: Sequence[Path]) -> list[tuple[str, str]]:
    """Name and hash of the content of files: a copy, or a newer download of the same, is equal.

    Raises as `paths.regular`.
    """
    stats = [(regular(path), path.stat()) for path in paths]
    return [(path.name, _digest_at(path, s.st_size, s.st_mtime_ns)) for path, s in stats]


@cache
def _digest_at(path: Path, size: int, modified: int) -> str:
    """Hash of a file's content as it was at that size and time of modification; read once."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
