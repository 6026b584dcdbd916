"""What was shown and where people looked: `Fixations`, `Region`, `Sample`.

Coordinates are pixels, x right, y down, origin at the top left corner of the image: pixel (0, 0)
covers [0, 1) × [0, 1).
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw
from torch import Tensor

from ..reading.positions import check_pixels, lost
from ..registry import check_name

CATEGORIES = (
    "person_head",
    "person_part",
    "animal_head",
    "animal_part",
    "object",
    "text",
    "symbol",
    "vehicle",
    "food",
    "plant",
    "drink",
    "other",
)
"""The twelve region categories of OSIE-SR (He et al. 2019, section 3)."""
WEIGHTS = ("duration",)
"""What fixations can weigh by, where they do not weigh the same."""


@dataclass(frozen=True)
class Fixations:
    """Fixations on one image: `x`, `y` in pixels and `observer` index, each of shape (N,).

    Where the data have them, `order` is the place of each in its trial's sequence (int64, from 0)
    and `duration` how long it lasted (float64, seconds; NaN where unknown); else None.
    """

    x: Tensor
    y: Tensor
    observer: Tensor
    order: Tensor | None = None
    duration: Tensor | None = None

    def __post_init__(self):
        lengths = {name: len(column) for name, column in self._columns().items()}
        if len(set(lengths.values())) > 1:
            *first, last = lengths
            raise ValueError(
                f"{', '.join(first)} and {last} differ in length: "
                f"{', '.join(str(n) for n in lengths.values())}"
            )

    def __len__(self) -> int:
        return len(self.x)

    @classmethod
    def of(
        cls,
        x: ArrayLike,
        y: ArrayLike,
        observer: ArrayLike | None = None,
        order: ArrayLike | None = None,
        duration: ArrayLike | None = None,
    ) -> "Fixations":
        """Build from any array-likes; without `observer` all belong to observer 0.

        Raises ValueError for columns of different lengths, for a negative duration, and for an
        observer or an order that is no whole number.
        """
        x, y = _column(x), _column(y)
        found = cls(
            x,
            y,
            _whole(np.zeros(len(x)) if observer is None else observer, "observer"),
            None if order is None else _whole(order, "order"),
            None if duration is None else _column(duration),
        )
        if found.duration is not None and bool((found.duration < 0).any()):
            raise ValueError(f"a fixation lasts {float(found.duration.nan_to_num().min())} seconds")
        return found

    @classmethod
    def of_trials(
        cls, trials: Sequence[np.ndarray], observers: Sequence[int] | None = None
    ) -> "Fixations":
        """Build from trials, each (N, 2) x, y or (N, 3) x, y, seconds, rows in sequence.

        `observers` says whose each trial is (None: 0, 1, …); N may be 0. Raises as `of`.
        """
        lengths = [len(t) for t in trials]
        rows = np.concatenate(trials) if trials else np.zeros((0, 2))
        observer = np.repeat(range(len(trials)) if observers is None else observers, lengths)
        order = np.concatenate([np.arange(n) for n in (0, *lengths)])
        seconds = rows[:, 2] if rows.shape[1] > 2 else None
        return cls.of(rows[:, 0], rows[:, 1], observer, order, seconds)

    @classmethod
    def at(cls, pixels: np.ndarray) -> "Fixations":
        """Build one fixation, in the middle of it, for each pixel that a map (H, W) marks.

        All are observer 0's: such a map does not tell whose they are, nor in which order.
        """
        y, x = np.nonzero(pixels)
        return cls.of(x + 0.5, y + 0.5)

    def _columns(self) -> dict[str, Tensor]:
        """What there is of each fixation, by name."""
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: column for name, column in columns.items() if column is not None}

    def __getitem__(self, keep: Tensor) -> "Fixations":
        return Fixations(**{name: column[keep] for name, column in self._columns().items()})

    def inside(self, height: int, width: int, name: str = "image") -> "Fixations":
        """Keep those within the image; NaN and out-of-range ones are dropped, with a warning.

        Raises ValueError for three or more that are fractions of the image's sides, not pixels.
        """
        if len(self) > 2:
            check_pixels(self.x, self.y, f"{name}, {width}×{height} pixels", (height, width))
        keep = (self.x >= 0) & (self.x < width) & (self.y >= 0) & (self.y < height)
        if dropped := int((~keep).sum()):
            warnings.warn(
                f"{name}: {dropped} of {len(self)} fixations lie outside {width}×{height} pixels "
                "or are NaN; dropped.",
                stacklevel=2,
            )
            return self[keep]
        return self

    def scaled(self, old: tuple[int, int], new: tuple[int, int]) -> "Fixations":
        """Fixations on the image after it was resized from `old` to `new` (height, width)."""
        return replace(self, x=self.x * (new[1] / old[1]), y=self.y * (new[0] / old[0]))

    def weights(self, by: str | None = None) -> Tensor:
        """What each counts, (N,) float32: 1, or `by` "duration" in proportion to that, mean 1.

        A fixation whose duration is NaN, unknown, weighs 1. In float32 the weights of equal
        durations are exactly 1. Raises UnknownNameError for anything else to weigh by, and
        ValueError where there are no durations or all of them are 0.
        """
        if by is None or not len(self):
            return torch.ones(len(self))
        check_name("what fixations weigh by", by, WEIGHTS)
        if self.duration is None:
            raise ValueError("these fixations have no durations to weigh by")
        if not (middle := self.duration.nanmean()).ne(0):
            raise ValueError("these fixations all last 0 seconds: durations say nothing here")
        return (self.duration / middle).nan_to_num(nan=1.0).float()

    def count_map(
        self, height: int, width: int, binary: bool = False, weights: str | None = None
    ) -> Tensor:
        """Map (height, width), float32: pixel (⌊y⌋, ⌊x⌋) gets +1 per fixation.

        Out-of-image fixations are dropped and counted in a warning; `binary` caps counts at 1.
        With `weights` "duration" a fixation counts in proportion to how long it lasted, those in
        the image 1 in the mean, and 1 where that is unknown (see `weights`, also for what it
        raises). Raises ValueError for a map that is to be both.
        """
        if binary and weights:
            raise ValueError(f"a binary map knows no weights, so none by {weights!r}")
        kept = self.inside(height, width)
        index = kept.y.long() * width + kept.x.long()
        counts = torch.bincount(index, kept.weights(weights).double(), minlength=height * width)
        counts = counts.float().view(height, width)
        return counts.clamp(max=1) if binary else counts


def only_gaze(found: Mapping[str, Fixations], where: str) -> dict[str, Fixations]:
    """Return the fixations by image that `where` holds, without its lost samples: see `lost`.

    Raises ValueError if the positions are fractions of the images' sides.
    """
    of = list(found.values()) or [Fixations.of([], [])]
    x, y = torch.cat([f.x for f in of]), torch.cat([f.y for f in of])
    check_pixels(x, y, where)
    gone = torch.from_numpy(lost(x, y, where)).split([len(f) for f in of])
    return {name: f[~none] for (name, f), none in zip(found.items(), gone, strict=False)}


@dataclass(frozen=True)
class Region:
    """An annotated image part: category name, a polygon (P, 2) of x, y or a mask (H, W) bool.

    `sure` is False where an annotator might have decided otherwise; `attributes` are what else the
    data say of it ("frontal", "occluded"), in the data set's words.
    """

    category: str
    polygon: Tensor | None = None
    mask: Tensor | None = None
    sure: bool = True
    attributes: tuple[str, ...] = ()

    def __post_init__(self):
        if (self.polygon is None) == (self.mask is None):
            raise ValueError(f"region {self.category!r} needs a polygon or a mask, not both")

    def as_mask(self, height: int, width: int) -> Tensor:
        """Bool (height, width). Raises ValueError if the region's mask has another size."""
        if self.polygon is None:
            assert self.mask is not None  # by __post_init__
            if tuple(self.mask.shape) != (height, width):
                raise ValueError(
                    f"mask of region {self.category!r} is {tuple(self.mask.shape)}, "
                    f"the image is {(height, width)}"
                )
            return self.mask.bool()
        canvas = Image.new("1", (width, height))
        points = [(float(x), float(y)) for x, y in self.polygon]
        ImageDraw.Draw(canvas).polygon(points, fill=1, outline=1)
        return torch.from_numpy(np.array(canvas))


@dataclass(frozen=True)
class Sample:
    """One stimulus: `image` uint8 (3, H, W), its fixations, regions and scene class, if known."""

    name: str
    image: Tensor
    fixations: Fixations
    regions: list[Region] = field(default_factory=list)
    scene: str | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the image."""
        height, width = self.image.shape[-2:]
        return height, width


def _column(values: ArrayLike) -> Tensor:
    return torch.as_tensor(np.asarray(values, dtype=np.float64).reshape(-1))


def _whole(values: ArrayLike, column: str) -> Tensor:
    found = np.asarray(values).reshape(-1)
    number = found.dtype.kind in "iubf"
    whole = np.nan_to_num(found).astype(np.int64) if number else None
    if whole is None or not (whole == found).all():
        wrong = found[0] if whole is None else found[whole != found][0]
        raise ValueError(
            f"{column} {wrong!r} is no whole number; np.unique(names, return_inverse=True)[1] "
            "numbers names"
        )
    return torch.as_tensor(whole)
