"""A supersampled picture in fractions of its sides, and smooth noise."""

import numpy as np
from PIL import Image, ImageDraw

from .pen import Colour, Points, smooth

SUPER = 2  # drawn this much larger and averaged down


class Canvas:
    """A picture drawn in fractions: x of the width, y of the height."""

    def __init__(self, size: tuple[int, int], fill: Colour):
        self.h, self.w = size[0] * SUPER, size[1] * SUPER
        self.image = Image.new("RGB", (self.w, self.h), fill)
        self.ink = ImageDraw.Draw(self.image)

    def xy(self, points: Points) -> list[tuple[float, float]]:
        """Fractions (N, 2) → canvas pixels."""
        return [(x, y) for x, y in (np.asarray(points, dtype=float) * (self.w, self.h)).tolist()]

    def poly(self, points: Points, fill: Colour) -> None:
        """Filled polygon."""
        self.ink.polygon(self.xy(points), fill=fill)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: Colour) -> None:
        """Filled rectangle."""
        self.ink.rectangle((x0 * self.w, y0 * self.h, x1 * self.w, y1 * self.h), fill)

    def disc(self, x: float, y: float, rx: float, ry: float, fill: Colour) -> None:
        """Filled ellipse; both radii in fractions of the height."""
        x, y, rx, ry = x * self.w, y * self.h, rx * self.h, ry * self.h
        self.ink.ellipse((x - rx, y - ry, x + rx, y + ry), fill)

    def line(self, points: Points, width: float, fill: Colour) -> None:
        """Line whose width is a fraction of the height."""
        self.ink.line(self.xy(points), fill, max(1, round(width * self.h)), "curve")

    def fade(self, y0: float, y1: float, top: Colour, bottom: Colour) -> None:
        """Vertical gradient between two heights, over the full width."""
        a, b = round(y0 * self.h), round(y1 * self.h)
        t = np.linspace(0, 1, max(1, b - a))[:, None]
        column = np.array(top) * (1 - t) + np.array(bottom) * t
        strip = Image.fromarray(np.round(column).astype(np.uint8)[:, None])
        self.image.paste(strip.resize((self.w, max(1, b - a))), (0, a))

    def pixels(self) -> np.ndarray:
        """Averaged down: float32 (H, W, 3)."""
        return np.asarray(self.image.reduce(SUPER), dtype=np.float32)


def cloudy(
    size: tuple[int, int], rng: np.random.Generator, cells: tuple[int, int] = (6, 8)
) -> np.ndarray:
    """Smooth random field (H, W) of three octaves, about −1 … 1; first octave on `cells` cells."""
    field = np.zeros(size, dtype=np.float32)
    for octave in range(3):
        grid = (cells[0] * 2**octave, cells[1] * 2**octave)
        noise = Image.fromarray(rng.uniform(-1, 1, grid).astype(np.float32))
        field += np.asarray(noise.resize((size[1], size[0]), Image.Resampling.BICUBIC)) / 2**octave
    return field / 1.4


def clouds(c: Canvas, rng: np.random.Generator, low: float, fill: Colour) -> None:
    """A few fair-weather clouds above height `low`."""
    for _ in range(int(rng.integers(1, 5))):
        x, y = rng.uniform(0, 1), rng.uniform(0.04, low * 0.7)
        for _ in range(6):
            r = rng.uniform(0.02, 0.05)
            c.disc(x + rng.uniform(-0.07, 0.07), y + rng.uniform(-0.015, 0.015), r * 1.5, r, fill)


def ridge(
    c: Canvas, rng: np.random.Generator, y: float, rough: float, points: int, fill: Colour
) -> None:
    """A skyline of hills (smooth) about height `y`, filled downwards."""
    x = np.linspace(-0.1, 1.1, points)
    line = smooth(np.stack([x, y + rng.uniform(-rough, rough, points)], 1), closed=False)
    c.poly([*line, (1.2, 1), (-0.2, 1)], fill)


def grain(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """White noise (H, W) of unit deviation."""
    return rng.standard_normal(size, dtype=np.float32)
