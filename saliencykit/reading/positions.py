"""Where people looked, as numbers from any file or array: pixels, or what only passes for them."""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtrc

CORNER = 0.1
"""Share of positions within the topmost pixel that no gaze at pictures has."""
ROW = 10
"""So many positions within one row or column of pixels, and no other, are none that people make."""
LOST = 0.01
"""Share of positions at exactly (0, 0) from which on they are a code, and not gaze."""
RARE = 1e-6
"""Gaze anywhere on an image of known size is taken for fractions no more often than this."""


def fractions(x: ArrayLike, y: ArrayLike, size: Sequence[int] | None = None) -> bool:
    """Whether positions x, y (N,) can't be pixels: many, some of them not whole, within ±1.

    So are parts of the image's sides, even where a few lie off the image, or where only some people
    were recorded so. Positions with one coordinate of this kind count too. NaN and what stands for
    no gaze, (0, 0) and (-1, -1), are left out. `size` (height, width): of an image of few pixels
    some lie in the corner by chance.
    """
    xy = np.stack([np.asarray(x, np.float64), np.asarray(y, np.float64)], axis=1)
    if not (np.abs(xy) <= 1).any():  # as nearly always
        return False
    xy = xy[np.isfinite(xy).all(1) & ~(xy == 0).all(1) & ~(xy == -1).all(1)]
    if not len(xy):
        return False
    n, (height, width) = len(xy), size or (np.inf, np.inf)
    corner = (np.abs(xy) <= 1).all(1) & (xy % 1 != 0).any(1)
    many = corner.mean() > 0.5 or (corner.sum() > 2 and corner.mean() > CORNER)
    many &= bdtrc(corner.sum() - 1, n, 1 / (height * width)) < RARE
    along = ((xy >= 0) & (xy <= 1)).all(0) & (xy % 1 != 0).any(0)
    along &= n * np.log([width, height]) > -np.log(RARE)
    return bool(many or (n >= ROW and along.any()))


MULTIPLY = " Multiply x by the image's width, y by its height."


def check_pixels(
    x: ArrayLike,
    y: ArrayLike,
    where: str,
    size: Sequence[int] | None = None,
    instead: str = MULTIPLY,
) -> None:
    """Raise ValueError, naming `where` they are from, if positions are `fractions`.

    `size` (height, width): of the image, or the smallest of several; `instead`: what to do.
    """
    if fractions(x, y, size):
        known = np.isfinite(np.asarray(x, np.float64)) & np.isfinite(np.asarray(y, np.float64))
        xs, ys = np.asarray(x)[known], np.asarray(y)[known]
        raise ValueError(
            f"{where}: of {len(xs)} positions, x from {xs.min():g} to {xs.max():g} and y from "
            f"{ys.min():g} to {ys.max():g}, too many lie between 0 and 1: fractions of the image's "
            f"sides, it seems; pixels are expected.{instead}"
        )


def lost(x: ArrayLike, y: ArrayLike, where: str) -> np.ndarray:
    """Return which of positions (N,) are no gaze: those at exactly (0, 0), if they are many.

    Trackers write it for samples that they lost. Of a hundred fixations hardly one is there; so
    two or more, and one in a hundred, are lost, and a warning counts them. So few that they may be
    gaze are kept, and a warning says so.
    """
    at_corner = (np.asarray(x) == 0) & (np.asarray(y) == 0)
    n, of = int(at_corner.sum()), len(at_corner)
    if not n:
        return at_corner
    code = n > 1 and n >= LOST * of
    warnings.warn(
        f"{where}: {n} of {of} fixations lie at exactly (0, 0), where trackers write samples that "
        f"they lost; {'left out' if code else 'kept, since so few may be gaze'}.",
        stacklevel=3,
    )
    return at_corner & code
