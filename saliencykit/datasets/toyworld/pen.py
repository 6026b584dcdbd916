"""A pen that draws one figure, supersampled, as layers of named category.

Units: a figure is 100 high and `pen.width` wide, x right, y down, origin at its top left corner.
"""

import colorsys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

SUPER = 3  # supersampling: figures are drawn this much larger and averaged down
INK = (38, 34, 40)
WHITE = (250, 248, 244)

Colour = tuple[int, ...]
Edge = Colour | bool | None
"""Line round a shape: its colour, or True for a darker tone of the fill, or none."""
Points = Iterable[Sequence[float] | np.ndarray]
T = TypeVar("T")


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """8-bit RGB of hue (turns, any real), saturation and value in [0, 1]."""
    return tuple(round(255 * c) for c in colorsys.hsv_to_rgb(hue % 1, saturation, value))


def tone(colour: Colour, factor: float) -> Colour:
    """`colour` darkened (factor < 1) or lightened towards white (factor > 1)."""
    if factor <= 1:
        return tuple(round(c * factor) for c in colour[:3])
    return tuple(round(255 - (255 - c) * (2 - factor)) for c in colour[:3])


def vivid(rng: np.random.Generator) -> Colour:
    """Draw a strong colour of any hue."""
    return hsv(rng.random(), rng.uniform(0.55, 0.95), rng.uniform(0.6, 0.98))


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """Draw one of `options`, all equally likely."""
    return options[int(rng.integers(len(options)))]


def ring(x: float, y: float, rx: float, ry: float, n: int, start: float = 0.0) -> np.ndarray:
    """Return `n` points (n, 2) evenly round an ellipse, the first at `start` turns."""
    angle = 2 * np.pi * (np.arange(n) / n + start)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], 1)


def smooth(points: Points, steps: int = 8, closed: bool = True) -> np.ndarray:
    """Catmull-Rom curve through `points`: (N · steps, 2)."""
    p = np.asarray(list(points), dtype=float)
    if not closed:
        p = np.concatenate([p[:1], p, p[-1:]])
    before, here, after, beyond = (np.roll(p, k, axis=0)[:, None] for k in (1, 0, -1, -2))
    t = (np.arange(steps) / steps)[None, :, None]
    curve = 0.5 * (
        2 * here
        + (after - before) * t
        + (2 * before - 5 * here + 4 * after - beyond) * t**2
        + (3 * here - before - 3 * after + beyond) * t**3
    )
    return (curve if closed else curve[1:-2]).reshape(-1, 2)


@cache
def font(name: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return a font that comes with Pillow ("default") or with matplotlib (DejaVu faces)."""
    if name == "default":
        return ImageFont.load_default(size)
    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/{name}.ttf", size)


class Pen:
    """Draws on the current layer; `layer` starts the next one, which covers those before."""

    def __init__(self, aspect: float, height: float, standing: bool = False, near: bool = False):
        self.scale = height * SUPER / 100
        self.thin = max(1, round(1.2 * self.scale))  # width of the line round a shape, in pixels
        self.width = 100 * aspect
        self.size = (max(2, round(aspect * height)) * SUPER, max(2, round(height)) * SUPER)
        self.standing = standing  # signs get a post
        self.near = near  # people are shown from the chest up
        self.layers: list[tuple[str | None, Image.Image]] = []

    def layer(self, category: str | None) -> None:
        """Start a layer of `category`; None for what belongs to no region (a sign's post)."""
        image = Image.new("RGBA", self.size)
        self.layers.append((category, image))
        self.ink = ImageDraw.Draw(image)

    def _scaled(self, points: Points) -> list[tuple[float, float]]:
        return [(x, y) for x, y in (np.asarray(points, dtype=float) * self.scale).tolist()]

    def _edge(self, fill: Colour, edge: Edge) -> Colour | None:
        return tone(fill, 0.55) if edge is True else (edge or None)

    def poly(self, points: Points, fill: Colour, edge: Edge = True) -> None:
        """Filled polygon with a line round it (a darker tone of the fill unless told)."""
        xy = self._scaled(points)
        self.ink.polygon(xy, fill=fill)
        if line := self._edge(fill, edge):
            self.ink.line([*xy, xy[0], xy[1]], line, self.thin, "curve")

    def blob(self, points: Points, fill: Colour, edge: Edge = True) -> None:
        """Filled smooth closed curve through `points`."""
        self.poly(smooth(points), fill, edge)

    def _round(self, x: float, y: float, rx: float, ry: float) -> tuple[float, float, float, float]:
        k = self.scale
        return (x - rx) * k, (y - ry) * k, (x + rx) * k, (y + ry) * k

    def disc(self, x: float, y: float, rx: float, ry: float | None = None, fill: Colour = INK,
             edge: Edge = True) -> None:  # fmt: skip
        """Filled ellipse about (x, y); a circle unless `ry` is given."""
        line = self._edge(fill, edge)
        corners = self._round(x, y, rx, rx if ry is None else ry)
        self.ink.ellipse(corners, fill, line, self.thin if line else 0)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: Colour, round_by: float = 0,
            edge: Edge = True) -> None:  # fmt: skip
        """Filled rectangle with corners rounded by `round_by`."""
        k, line = self.scale, self._edge(fill, edge)
        corners, thin = (x0 * k, y0 * k, x1 * k, y1 * k), self.thin if line else 0
        try:
            self.ink.rounded_rectangle(corners, round_by * k, fill, line, thin)
        except ValueError:  # Pillow rounds no box of 3 × 2 pixels: an ellipse, as it draws 2 × 2
            self.ink.ellipse(corners, fill, line, thin)

    def stroke(self, points: Points, width: float, fill: Colour, edge: bool = False) -> None:
        """Round-ended line through `points`."""
        if edge:
            self.stroke(points, width + 2.2, tone(fill, 0.55))
        xy, w = self._scaled(points), max(1, round(width * self.scale))
        self.ink.line(xy, fill, w, "curve")
        r = w / 2 - 0.5
        for x, y in (xy[0], xy[-1]):
            self.ink.ellipse((x - r, y - r, x + r, y + r), fill)

    def arc(
        self, x: float, y: float, r: float, start: float, end: float, width: float, fill: Colour
    ) -> None:
        """Part of a circle from `start` to `end` degrees, clockwise from the right."""
        self.ink.arc(self._round(x, y, r, r), start, end, fill, max(1, round(width * self.scale)))

    def pie(self, x: float, y: float, rx: float, ry: float, start: float, end: float, fill: Colour,
            cut: bool = False) -> None:  # fmt: skip
        """Sector of an ellipse, or, with `cut`, the segment that its chord cuts off."""
        draw = self.ink.chord if cut else self.ink.pieslice
        draw(self._round(x, y, rx, ry), start, end, fill, tone(fill, 0.55), self.thin)

    def words(
        self, x: float, y: float, wide: float, high: float, text: str, fill: Colour, face: str
    ) -> None:
        """`text` centred at (x, y), as large as fits `wide` by `high`."""
        left, top, right, bottom = font(face, 40).getbbox(text)
        k = self.scale
        size = 40 * k * min(wide / (right - left), high / (bottom - top))
        self.ink.text((x * k, y * k), text, fill, font(face, max(4, int(size))), "mm")


@dataclass(frozen=True)
class Drawer:
    """How one kind of thing is drawn: `draw(pen, rng)` fills the layers of its figure."""

    aspect: float
    draw: Callable[[Pen, np.random.Generator], None]
    turns: bool = True  # may be mirrored
    share: float = 1.0  # how often it is drawn, beside others of its kind


DRAWERS: dict[str, list[Drawer]] = {}
"""Figure kind (a category, or "person" and "animal", which have a head and a body) → drawers."""


def drawer(kind: str, aspect: float = 1.0, turns: bool = True, share: float = 1.0) -> Callable:
    """Enter a drawing function for `kind`. Its layer is started for it if `kind` is a category."""

    def enter(draw: Callable[[Pen, np.random.Generator], None]) -> Callable:
        def whole(pen: Pen, rng: np.random.Generator) -> None:
            if kind not in ("person", "animal", "text", "symbol"):
                pen.layer(kind)
            draw(pen, rng)

        DRAWERS.setdefault(kind, []).append(Drawer(aspect, whole, turns, share))
        return draw

    return enter
