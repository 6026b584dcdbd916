"""Figures: one drawn thing as small premultiplied layers, each of one category."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from . import creatures, edibles, goods, growth, vehicles  # noqa: F401  (each enters its drawers)
from .pen import DRAWERS, SUPER, Pen

KINDS = (
    "person", "animal", "object", "text", "symbol", "vehicle", "food", "plant", "drink", "other"
)  # fmt: skip
"""What a scene may hold: "person" and "animal", each a head on a body, and eight categories."""


@dataclass
class Layer:
    """One part: `category` (None: of no region), colour (h, w, 3) times alpha, alpha (h, w)."""

    category: str | None
    colour: np.ndarray
    alpha: np.ndarray


@dataclass
class Figure:
    """A drawn thing: its layers, later ones in front."""

    layers: list[Layer]

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        h, w = self.layers[0].alpha.shape
        return h, w

    def onto(self, picture: np.ndarray, x: int, y: int) -> None:
        """Paint it on `picture`, float32 (H, W, 3), its top left corner at pixel (x, y)."""
        h, w = self.shape
        spot = picture[y : y + h, x : x + w]
        for layer in self.layers:
            spot *= 1 - layer.alpha[..., None]
            spot += layer.colour


def draw(
    kind: str,
    height: float,
    rng: np.random.Generator,
    *,
    standing: bool = False,
    near: bool = False,
    light: Sequence[float] = (1.0, 1.0, 1.0),
    tilt: float = 0.0,
) -> Figure:
    """Draw a random thing of `kind`, `height` pixels tall, in light of an RGB tint.

    `standing` puts signs on a post, `near` shows people from the chest up, `tilt` turns by degrees.
    """
    drawers = DRAWERS[kind]
    shares = np.array([d.share for d in drawers])
    drawer = drawers[int(rng.choice(len(drawers), p=shares / shares.sum()))]
    pen = Pen(drawer.aspect, height, standing, near)
    drawer.draw(pen, rng)
    mirror = drawer.turns and rng.random() < 0.5
    slope = rng.uniform(-0.22, 0.22, 2)
    layers = [Layer(c, *_finish(i, mirror, tilt, slope, light, rng)) for c, i in pen.layers]
    return Figure(layers)


def _finish(image: Image.Image, mirror: bool, tilt: float, slope: np.ndarray,
            light: Sequence[float], rng: np.random.Generator
            ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Average down, then shade: light falls off along `slope`, and surfaces have some grain."""
    if mirror:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if tilt:
        image = image.rotate(tilt, Image.Resampling.BILINEAR, expand=True)
    pixels = np.asarray(image.convert("RGBa").reduce(SUPER), dtype=np.float32)
    colour, alpha = pixels[..., :3], pixels[..., 3] / 255
    h, w = alpha.shape
    y, x = np.linspace(-1, 1, h, dtype=np.float32), np.linspace(-1, 1, w, dtype=np.float32)
    shade = 1 + slope[0] * x - abs(slope[1]) * y[:, None]
    shade = shade + 0.035 * rng.standard_normal((h, w), dtype=np.float32)
    colour = colour * (shade[..., None] * np.asarray(light, dtype=np.float32))
    return np.minimum(colour, 255 * alpha[..., None]), alpha
