"""Maps as rows of pixels, and what several metrics ask of them, each found once.

Float32 maps are worked on in float32, block by block, and summed in float64. The blocks are small
enough that the working copies stay in the processor's cache and are not mapped anew by the
operating system each time, which would cost more than the arithmetic.
"""

from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

CHUNK = {"cpu": 2**17}  # pixels worked on at once
CHUNK_ACCELERATOR = 2**26  # more, to keep it busy
FEW = 64  # values, of which counting those below is faster than sorting
WIDE = 1e9  # float32 maps that range wider than this, or less than its inverse, become float64


def chunk(device: torch.device) -> int:
    """Return the number of pixels to work on at once."""
    return CHUNK.get(device.type, CHUNK_ACCELERATOR)


class Rows:
    """Maps (B, N), one row of pixels each.

    Numbers about a row are (B,) float64, but `low` and `high` (B, 1) and of the maps' own type, to
    be subtracted from them without rounding. A row that holds NaN has NaN in all of them.
    """

    def __init__(self, values: Tensor, size: tuple[int, int] | None = None):
        self.values = values
        self.size = size or (1, self.n)  # height and width of the maps, where it matters

    def __len__(self) -> int:
        return len(self.values)

    @property
    def n(self) -> int:
        """Number of pixels in a row."""
        return self.values.shape[-1]

    @cached_property
    def blocks(self) -> tuple[Tensor, ...]:
        """The rows cut into parts of a few pixels."""
        return self.values.split(chunk(self.values.device), -1)

    @cached_property
    def low(self) -> Tensor:
        """Smallest value."""
        return self.values.amin(-1, keepdim=True)

    @cached_property
    def high(self) -> Tensor:
        """Largest value."""
        return self.values.amax(-1, keepdim=True)

    @cached_property
    def constant(self) -> Tensor:
        """Whether all values are the same number (False if any is NaN or infinite)."""
        return (self.low == self.high)[:, 0] & self.finite

    @cached_property
    def finite(self) -> Tensor:
        """Whether all values are numbers: where not, nothing can be said but their order."""
        return (self.low.isfinite() & self.high.isfinite())[:, 0]

    @cached_property
    def total(self) -> Tensor:
        """Sum."""
        return summed(lambda v: v.sum(-1), self)

    @cached_property
    def centre(self) -> Tensor:
        """Mean (B, 1), rounded to the maps' own type: what to subtract before squaring."""
        return column(self.total / self.n, self)

    @cached_property
    def drift(self) -> Tensor:
        """Mean of what is left after subtracting `centre`."""
        return self._moments[0]

    @cached_property
    def mean(self) -> Tensor:
        """Mean."""
        return self.centre[:, 0].double() + self.drift

    @cached_property
    def lifted(self) -> Tensor:
        """Sum of what each value has above the smallest: exact if all are nearly the same."""
        return self.n * ((self.centre.double() - self.low.double())[:, 0] + self.drift)

    @cached_property
    def variance(self) -> Tensor:
        """Variance (ddof 0); of a constant row exactly 0."""
        # A constant's mean can be off by a rounding error, and its variance with it.
        return self._moments[1].masked_fill(self.constant, 0.0)

    @cached_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        def sums(v: Tensor) -> Tensor:
            v = v - self.centre
            return torch.stack([v.sum(-1), dot(v, v)])

        drift, square = summed(sums, self) / self.n
        return drift, (square - drift.square()).clamp(min=0)

    @cached_property
    def positive(self) -> "Rows":
        """These maps, their minimum subtracted where it is negative."""
        if not bool((self.low < 0).any()):
            return self
        return Rows(self.values - self.low.clamp(max=0))

    @cached_property
    def masses(self) -> "Rows":
        """As `positive`; a map of zeros prefers no pixel, so it becomes one of ones."""
        empty = self.positive.total == 0
        if not bool(empty.any()):
            return self.positive
        return Rows(self.positive.values.masked_fill(empty[:, None], 1.0))

    @cached_property
    def looked(self) -> tuple[Tensor, Tensor, Tensor]:
        """Row, slot among the row's, and pixel of each nonzero value, for `where_looked`."""
        row, pixel = nonzero(self.values)
        per_row = torch.bincount(row, minlength=len(self))
        slot = torch.arange(len(row), device=row.device) - (per_row.cumsum(0) - per_row)[row]
        return row, slot, pixel

    def wide(self) -> bool:
        """Whether float32 could not hold the squares and ratios of these values.

        Rows with NaN or infinite values, which have no score, do not count.
        """
        span = (self.high - self.low).masked_fill(self.low == self.high, 1.0)
        held = (span > 1 / WIDE) & (torch.maximum(span, self.high.abs()) < WIDE)
        return not bool((held[:, 0] | ~self.finite).all())


def summed(of: Callable[..., Tensor], *rows: Rows) -> Tensor:
    """Sum in float64, over blocks of pixels, what `of` says of the same block of each of `rows`."""
    found = [of(*block) for block in zip(*(r.blocks for r in rows), strict=True)]
    return torch.stack(found).sum(0, dtype=torch.float64)


def column(scores: Tensor, like: Rows) -> Tensor:
    """Bring numbers about rows (B,) into (B, 1) of the rows' type, to calculate with pixels."""
    return scores.to(like.values.dtype)[:, None]


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Scalar product of each row of `a` with the same row of `b`."""
    if len(a) == 1:  # many times faster than vecdot on the processor
        return torch.dot(a[0], b[0])[None]
    return torch.linalg.vecdot(a, b)


# On the processor, numpy does the three below many times faster than torch.


def log_(pixels: Tensor) -> Tensor:
    """Natural logarithm, in place."""
    if pixels.device.type != "cpu":
        return pixels.log_()
    np.log(pixels.numpy(), out=pixels.numpy())
    return pixels


def sort_rows(rows: Tensor) -> Tensor:
    """Sort rows in ascending order, NaN last."""
    if rows.device.type != "cpu":
        return rows.sort(-1).values
    return torch.from_numpy(np.sort(rows.contiguous().numpy(), axis=-1))


def ranked(pixels: Tensor, values: Tensor) -> Tensor:
    """Share of pixels (N,) below each value (M,), those equal to it counting half: float64."""
    if pixels.device.type != "cpu" or len(values) > FEW:
        ordered = sort_rows(pixels[None])[0]
        least, most = (
            torch.searchsorted(ordered, values.contiguous(), right=r) for r in (False, True)
        )
        return (least + most).double() / (2 * len(pixels))
    row = pixels.numpy()
    below = [np.count_nonzero(row < v) + np.count_nonzero(row <= v) for v in values.numpy()]
    return torch.tensor(below, dtype=torch.float64) / (2 * len(pixels))


def nonzero(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of each value other than 0, in order."""
    if rows.device.type != "cpu":
        row, column = rows.nonzero(as_tuple=True)
        return row, column
    flat = torch.from_numpy(np.flatnonzero(rows.numpy() != 0))
    return flat // rows.shape[-1], flat % rows.shape[-1]


def where_looked(counts: Rows, *rows: Tensor, fill: float) -> list[Tensor]:
    """Return the nonzero counts (B, F), in float64, then the values of `rows` at the same pixels.

    F is the largest number of fixated pixels in a row; shorter rows are filled up, with count 0
    and value `fill`.
    """
    row, slot, pixel = counts.looked
    shape = (len(counts), int(slot.max()) + 1 if len(slot) else 1)
    picked = [counts.values.new_zeros(shape, dtype=torch.float64)]
    picked += [torch.full(shape, fill, dtype=r.dtype, device=r.device) for r in rows]
    for values, source in zip(picked, (counts.values, *rows), strict=True):
        values[row, slot] = source[row, pixel].to(values.dtype)
    return picked


def nan_where(condition: Tensor, scores: Tensor) -> Tensor:
    """Replace scores by NaN where `condition` holds."""
    return scores.masked_fill(condition, torch.nan)
