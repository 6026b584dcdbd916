"""Where on the image a position is that a tracker wrote down: units, screen, the image's place."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ...registry import check_name

Size = tuple[float, float]
"""(width, height), as people write screens."""
FAR = 9000
"""Pixels that no gaze is recorded away: -9999, -32768 and 1e8 are codes for none."""


class Units(StrEnum):
    """What positions in a table are measured in."""

    SCREEN = "pixels-of-screen"  # origin at the screen's top left corner
    IMAGE = "pixels-of-image"  # origin at the image's top left corner
    OF_IMAGE = "fraction-of-image"  # 0 … 1 over the image's sides
    OF_SCREEN = "fraction-of-screen"  # 0 … 1 over the screen's
    DEGREES = "degrees"  # of visual angle, origin at the screen's centre


@dataclass(frozen=True)
class Screen:
    """How positions become pixels of the image file.

    `units`, one of `Units`; None for what the name of the table's column tells. `size` of the
    screen in pixels; `at`, its left and top, is where the image was shown (None: in the middle),
    `shown` how large (None: pixel by pixel). Degrees need `size` and either `per_degree`, pixels a
    degree, taken to be the same all over the screen, or `distance` of the eye and `centimetres`,
    the screen's (width, height): then x = tan(angle) · distance. `upward`: y grows upward, from the
    bottom of image or screen. Raises UnknownNameError for other units, ValueError for what does not
    go together.
    """

    units: str | None = None
    size: Size | None = None
    at: Size | None = None
    shown: Size | None = None
    distance: float | None = None
    centimetres: Size | None = None
    per_degree: float | None = None
    upward: bool = False

    def __post_init__(self):
        if self.units is not None:
            check_name("unit", self.units, [unit.value for unit in Units])
        if self.size is None and self.on_screen:
            raise ValueError(f"Positions in {self.units} need --screen WxH, the screen's pixels.")
        if self.size is None and self.at is not None:
            raise ValueError("--image-at is a place on the screen: say --screen WxH too.")
        if self.at is not None and self.units in (Units.IMAGE, Units.OF_IMAGE):
            raise ValueError(
                f"Positions in {self.units} do not depend on where the image was: leave out "
                "--image-at, or say --units pixels-of-screen if they count from the screen's "
                "corner."
            )
        flat = self.distance is not None and self.centimetres is not None
        if self.units == Units.DEGREES and flat == (self.per_degree is not None):
            raise ValueError(
                "--units degrees needs either --pixels-per-degree, or --distance and "
                "--screen-size in centimetres."
            )
        for positive in (self.size, self.shown, self.centimetres, self.distance, self.per_degree):
            if positive is not None and not np.min(positive) > 0:
                raise ValueError(f"Sizes and distances are above 0, not {positive}.")

    @property
    def on_screen(self) -> bool:
        """Whether positions count from the screen, so that they need the image's place on it."""
        return self.units in (Units.SCREEN, Units.OF_SCREEN, Units.DEGREES)

    def lost(self, xy: np.ndarray) -> np.ndarray:
        """Return which of positions (N, 2) trackers write for no gaze: see `nowhere`.

        Angles, from the screen's centre, may all be small; they are less than 90 degrees.
        """
        if self.units == Units.DEGREES:
            return np.asarray(~(np.abs(xy) < 90).all(1))
        return nowhere(xy)

    def pixels(self, xy: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return positions (N, 2) in the image's pixels, and in the screen's, if they were on it.

        own: the (width, height) of each position's image file, (N, 2).
        """
        shown = own if self.shown is None else np.asarray(self.shown, dtype=np.float64)
        if self.on_screen:
            screen = self._of_screen(xy)
            return (screen - self.corner(shown)) * (own / shown), screen
        xy = _flipped(xy, shown if self.units == Units.IMAGE else np.ones(2), self.upward)
        return xy * (own / shown if self.units == Units.IMAGE else own), None

    def corner(self, shown: np.ndarray) -> np.ndarray:
        """Return where on the screen top left corners of images were, `shown` (N, 2) large."""
        if self.at is not None:
            return np.asarray(self.at, dtype=np.float64)
        return (np.asarray(self.size, dtype=np.float64) - shown) / 2

    def _of_screen(self, xy: np.ndarray) -> np.ndarray:
        size = np.asarray(self.size, dtype=np.float64)
        if self.units == Units.SCREEN:
            return _flipped(xy, size, self.upward)
        if self.units == Units.OF_SCREEN:
            return _flipped(xy, np.ones(2), self.upward) * size
        xy = _flipped(xy, np.zeros(2), self.upward)
        if self.per_degree is not None:
            return size / 2 + xy * self.per_degree
        assert self.distance is not None  # by __post_init__
        centimetres = np.tan(np.radians(xy)) * self.distance
        return size / 2 + centimetres * (size / np.asarray(self.centimetres))


def nowhere(xy: np.ndarray) -> np.ndarray:
    """Return which of positions (N, 2) are none: NaN, exactly (0, 0) or (-1, -1), or `FAR`."""
    known = (np.abs(xy) < FAR).all(1)
    return ~known | (xy == 0).all(1) | (xy == -1).all(1)


def _flipped(xy: np.ndarray, sides: np.ndarray, upward: bool) -> np.ndarray:
    """Positions (N, 2) with y downward; `sides` are (width, height) of what y counts from."""
    if not upward:
        return xy
    height = np.broadcast_to(sides, xy.shape)[:, 1]
    return np.stack([xy[:, 0], height - xy[:, 1]], axis=1)
