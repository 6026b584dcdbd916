"""Items of a search array: shapes as signed distances, drawn with antialiased edges.

A shape takes the pixels' x (right) and y (down) from the item's centre and returns their distance
to its outline in pixels, negative inside. A pixel is covered by 1/2 − distance, between 0 and 1:
within a few hundredths the share of it that lies inside.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]
Colour = tuple[float, float, float]
"""sRGB, each 0…255."""


def disc(x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Disc."""
    return np.hypot(x, y) - radius


def bar(x: np.ndarray, y: np.ndarray, length: float, width: float) -> np.ndarray:
    """Upright bar."""
    across, along = np.abs(x) - width / 2, np.abs(y) - length / 2
    outside = np.hypot(np.maximum(across, 0), np.maximum(along, 0))
    return outside + np.minimum(np.maximum(across, along), 0)


def flower(
    x: np.ndarray, y: np.ndarray, radius: float, amplitude: float, lobes: int = 5
) -> np.ndarray:
    """Disc whose radius is modulated by 1 + amplitude · cos(lobes · angle), one lobe pointing up.

    A radial frequency pattern (Wilkinson, Wilson & Habak 1998, Vision Research 38, 3555–3568),
    shrunk so that its area is that of the disc. The distance is exact to first order.
    """
    mean = radius / np.sqrt(1 + amplitude**2 / 2)
    far, angle = np.hypot(x, y), lobes * np.arctan2(x, -y)
    slope = mean * amplitude * lobes * np.sin(angle) / np.maximum(far, 1)
    return (far - mean * (1 + amplitude * np.cos(angle))) / np.hypot(1, slope)


def ring(x: np.ndarray, y: np.ndarray, radius: float, stroke: float) -> np.ndarray:
    """Circle drawn with a pen of width `stroke`: the letter O."""
    return np.abs(np.hypot(x, y) - radius) - stroke / 2


def ring_with_tail(
    x: np.ndarray, y: np.ndarray, radius: float, stroke: float, tail: float
) -> np.ndarray:
    """A ring crossed at its lower right by a stroke of length `tail`: the letter Q."""
    outwards, beside = (x + y) / np.sqrt(2) - radius, (x - y) / np.sqrt(2)
    return np.minimum(ring(x, y, radius, stroke), bar(beside, outwards, tail, stroke))


@dataclass(frozen=True)
class Item:
    """What lies in one place: its shape, its colour, and how far it is tilted clockwise (degrees).

    `reach` is half the side, in pixels, of an upright square around its centre that holds it.
    """

    shape: Distance
    reach: float
    colour: Colour
    tilt: float = 0.0

    def coverage(self, x: float, y: float) -> tuple[tuple[slice, slice], np.ndarray]:
        """Return the rows and columns around (x, y) that it may touch, and how much of each pixel.

        Pixel (0, 0) covers [0, 1) × [0, 1); all of the item must lie in the picture.
        """
        top, left = (max(0, int(c - self.reach - 1)) for c in (y, x))
        bottom, right = (int(c + self.reach + 2) for c in (y, x))
        down = np.arange(top, bottom)[:, None] + 0.5 - y
        across = np.arange(left, right) + 0.5 - x
        cos, sin = np.cos(np.radians(self.tilt)), np.sin(np.radians(self.tilt))
        distance = self.shape(cos * across + sin * down, cos * down - sin * across)
        return (slice(top, bottom), slice(left, right)), np.clip(0.5 - distance, 0, 1)
