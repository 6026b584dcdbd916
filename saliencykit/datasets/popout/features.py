"""What sets the target of a search apart: a function per kind of search.

Each gets the difference in its physical unit, the side of an item's place in pixels (`cell`), the
background's L* (`ground`) and a random generator for what does not matter, and returns the target
and the kinds of distractors, which are dealt in equal numbers. Sizes are shares of the cell.

Searches as in Treisman & Gelade 1980 (Cognitive Psychology 12, 97–136; features, conjunctions),
Treisman & Souther 1985 (J. Exp. Psychology: General 114, 285–310; Q and O), Treisman & Gormican
1988 (Psychological Review 95, 15–48; tilted and vertical); reviewed by Wolfe & Horowitz 2017
(Nature Human Behaviour 1, 0058).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from ...registry import Registry
from .shapes import Colour, Item, bar, disc, flower, ring, ring_with_tail

Search = tuple[Item, tuple[Item, ...]]
"""The target, and one or more kinds of distractors."""


@dataclass(frozen=True)
class Feature:
    """A kind of search: its `items`, and the `maximum` difference in its physical `unit`."""

    items: Callable[[float, float, float, np.random.Generator], Search]
    maximum: float
    unit: str


FEATURES: Registry[Feature] = Registry("feature")

ISOLUMINANT = 60.0
"""L* of all coloured items: where opponent colours of sRGB can differ most."""
OPPONENTS = (((54, 29), (-42, 57)), ((24, -52), (-4, 44)))
"""a*, b* of red and green, blue and yellow: 100 apart, all between them within sRGB."""
FAINT = 15.0
"""L* between background and the distractors of a brightness search."""


def feature(
    name: str, maximum: float, unit: str
) -> Callable[[Callable[..., Search]], Callable[..., Search]]:
    """Return a decorator that enters a function into `FEATURES`."""

    def enter(items: Callable[..., Search]) -> Callable[..., Search]:
        FEATURES[name] = Feature(items, maximum, unit)
        return items

    return enter


@lru_cache(maxsize=4096)
def srgb(lightness: float, a: float = 0.0, b: float = 0.0) -> Colour:
    """CIELAB (D65) as sRGB, 0…255."""
    from skimage.color import lab2rgb

    return tuple((255 * lab2rgb(np.array([lightness, a, b], dtype=np.float64))).tolist())


def ink(ground: float) -> Colour:
    """Grey that stands out from a background of L* `ground`."""
    return srgb(15.0 if ground > 70 else 95.0)


def isoluminant_pair(amount: float, rng: np.random.Generator) -> tuple[Colour, Colour]:
    """Two colours of one L*, `amount` ΔE*ab apart: one of the four opponents, and towards its own.

    ΔE*ab is CIELAB's Euclidean distance (CIE 1976), so on the line between opponents any is met.
    """
    axis = np.array(OPPONENTS[rng.integers(2)], dtype=float)
    start, end = axis[:: rng.choice((-1, 1))]
    reached = start + (end - start) * amount / np.linalg.norm(end - start)
    return srgb(ISOLUMINANT, *reached.tolist()), srgb(ISOLUMINANT, *start.tolist())


def _bar(cell: float, colour: Colour, tilt: float) -> Item:
    length, width = 0.6 * cell, 0.16 * cell
    return Item(partial(bar, length=length, width=width), np.hypot(length, width) / 2, colour, tilt)


def _disc(cell: float, colour: Colour, diameter: float = 0.5) -> Item:
    radius = diameter * cell / 2
    return Item(partial(disc, radius=radius), radius, colour)


@feature("colour", maximum=100, unit="ΔE*ab")
def colour(amount: float, cell: float, ground: float, rng: np.random.Generator) -> Search:
    """A disc of another hue, all of one luminance. A just noticeable ΔE*ab is about 2.3."""
    odd, common = isoluminant_pair(amount, rng)
    return _disc(cell, odd), (_disc(cell, common),)


@feature("orientation", maximum=90, unit="degrees")
def orientation(amount: float, cell: float, ground: float, rng: np.random.Generator) -> Search:
    """A bar turned from the others, which all have one orientation, any."""
    common = rng.uniform(0, 180)
    odd = common + amount * rng.choice((-1, 1))
    return _bar(cell, ink(ground), odd), (_bar(cell, ink(ground), common),)


@feature("size", maximum=1, unit="octaves of diameter")
def size(amount: float, cell: float, ground: float, rng: np.random.Generator) -> Search:
    """A disc larger or smaller than the others; one octave is twice or half the diameter."""
    odd = 0.4 * 2.0 ** (amount * rng.choice((-1, 1)))
    return _disc(cell, ink(ground), odd), (_disc(cell, ink(ground), 0.4),)


@feature("shape", maximum=0.35, unit="radial amplitude")
def shape(amount: float, cell: float, ground: float, rng: np.random.Generator) -> Search:
    """A star of five round points among discs of its area; see `shapes.flower`."""
    radius = 0.25 * cell
    star = partial(flower, radius=radius, amplitude=amount)
    reach = radius * (1 + amount)
    return Item(star, reach, ink(ground), rng.uniform(0, 72)), (_disc(cell, ink(ground)),)


@feature("brightness", maximum=35, unit="ΔL*")
def brightness(amount: float, cell: float, ground: float, rng: np.random.Generator) -> Search:
    """A disc that stands out from the background more than the others do, all of them grey."""
    away = np.sign(50 - ground) or rng.choice((-1, 1))
    common = ground + away * FAINT
    return _disc(cell, srgb(common + away * amount)), (_disc(cell, srgb(common)),)


@feature("conjunction", maximum=100, unit="ΔE*ab")
def conjunction(amount: float, cell: float, ground: float, rng: np.random.Generator) -> Search:
    """A bar that shares its colour with half of the others and its orientation with the rest.

    Colours differ by `amount`, orientations by the same share of 90°.
    """
    one, other = isoluminant_pair(amount, rng)
    upright = rng.uniform(0, 180)
    turned = upright + 90 * amount / 100
    distractors = (_bar(cell, one, turned), _bar(cell, other, upright))
    return _bar(cell, one, upright), distractors


def _letters(amount: float, cell: float, ground: float) -> tuple[Item, Item]:
    """Q and O; the tail sticks out by half of `amount` radii inwards and outwards."""
    radius, stroke = 0.24 * cell, 0.1 * cell
    pen = {"radius": radius, "stroke": stroke}
    tail = stroke + amount * radius
    reach = max(radius + stroke / 2, (radius + (tail + stroke) / 2) / np.sqrt(2))
    q, o = partial(ring_with_tail, tail=tail, **pen), partial(ring, **pen)
    return Item(q, reach, ink(ground)), Item(o, radius + stroke / 2, ink(ground))


@feature("q_among_o", maximum=1.5, unit="radii of tail")
def q_among_o(amount: float, cell: float, ground: float, rng: np.random.Generator) -> Search:
    """A ring with a tail among rings: a feature that is there pops out."""
    q, o = _letters(amount, cell, ground)
    return q, (o,)


@feature("o_among_q", maximum=1.5, unit="radii of tail")
def o_among_q(amount: float, cell: float, ground: float, rng: np.random.Generator) -> Search:
    """A ring among rings with tails: a feature that is missing has to be searched for."""
    q, o = _letters(amount, cell, ground)
    return o, (q,)


@feature("tilted_among_vertical", maximum=45, unit="degrees")
def tilted_among_vertical(
    amount: float, cell: float, ground: float, rng: np.random.Generator
) -> Search:
    """A bar tilted to either side among upright ones: the easier way round."""
    tilt = amount * rng.choice((-1, 1))
    return _bar(cell, ink(ground), tilt), (_bar(cell, ink(ground), 0),)


@feature("vertical_among_tilted", maximum=45, unit="degrees")
def vertical_among_tilted(
    amount: float, cell: float, ground: float, rng: np.random.Generator
) -> Search:
    """An upright bar among tilted ones: the harder way round."""
    odd, (common,) = tilted_among_vertical(amount, cell, ground, rng)
    return common, (odd,)
