"""Scenes: figures placed on a background, with the exact truth of what shows where."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .backdrops import BACKDROPS, Backdrop, backdrop
from .things import KINDS, Figure, draw

SCENES = tuple(BACKDROPS)
HEIGHTS = {
    "person": (0.36, 0.52), "animal": (0.21, 0.34), "object": (0.2, 0.32), "text": (0.11, 0.18),
    "symbol": (0.15, 0.24), "vehicle": (0.19, 0.29), "food": (0.14, 0.22), "plant": (0.24, 0.4),
    "drink": (0.16, 0.26), "other": (0.2, 0.32),
}  # fmt: skip
"""Figure kind → range of its height, as a fraction of the image's."""
FAVOURED = {
    "room": ("person", "object", "plant", "text"),
    "street": ("vehicle", "text", "symbol", "person"),
    "field": ("animal", "plant", "person", "other"),
    "beach": ("person", "drink", "other", "food"),
    "night": ("text", "vehicle", "symbol", "person"),
    "tabletop": ("food", "drink", "object", "plant"),
    "snow": ("animal", "person", "symbol", "other"),
}
"""Scene class → the kinds found there three times as often as others."""
VISIBLE = 0.5  # of every part that much must show, or its figure is left out
OVERLAP = 0.22  # of the smaller box of two figures at most is shared
CLOSER = (OVERLAP, 0.45, 0.7)  # where more is asked for than finds room


@dataclass(frozen=True)
class Asked:
    """A thing that a scene is to hold: its kind, and which category of its parts is a region.

    area: what that is to cover, as a share of the image. Its other parts are drawn, and no regions.
    """

    kind: str
    category: str
    area: float

    def times(self, figure: Figure, size: tuple[int, int]) -> float:
        """Return how many times as tall a thing like `figure` is to be, in images of `size`."""
        labels, parts = label([Placed(figure, 0, 0, True)], figure.shape)
        now = (labels == 1 + parts.index(self.category)).sum()
        return float(np.sqrt(self.area * size[0] * size[1] / max(1, now)))

    def told(self, figure: Figure) -> Figure:
        """Return the figure with that region alone."""
        kept = (one.category if one.category == self.category else None for one in figure.layers)
        layers = zip(figure.layers, kept, strict=True)
        return Figure([replace(one, category=category) for one, category in layers])


@dataclass
class Placed:
    """A figure and where its top left corner is, in pixels; `hangs`: casts no shadow below."""

    figure: Figure
    x: int
    y: int
    hangs: bool


@dataclass
class Scene:
    """A rendered scene: `image` uint8 (H, W, 3), `labels` uint8 (H, W) and the parts' categories.

    `labels` is 0 where no region shows and k where most of the pixel is region k − 1, whose
    category is `categories[k - 1]`.
    """

    scene: str
    image: np.ndarray
    labels: np.ndarray
    categories: list[str]


def scene_class(seed: int, i: int) -> str:
    """Class of scene `i`: every class once in each run of as many scenes, in random order."""
    block, place = divmod(i, len(SCENES))
    return SCENES[np.random.default_rng([seed, block, 0]).permutation(len(SCENES))[place]]


def compose(seed: int, i: int, size: tuple[int, int]) -> tuple[Backdrop, list[Placed]]:
    """Choose and place what scene `i` holds: its backdrop, and its figures, farthest first."""
    rng = np.random.default_rng([seed, i, 1])
    scene = scene_class(seed, i)
    back = backdrop(scene, size, rng)
    chance = np.array([3.0 if k in FAVOURED[scene] else 1.0 for k in KINDS])
    count = min(int(rng.integers(3, 7)), len(KINDS))
    kinds = rng.choice(KINDS, count, replace=False, p=chance / chance.sum()).tolist()
    if rng.random() < 0.35:
        kinds.append(kinds[0])  # company of its own kind
    return back, _placed([(kind, None) for kind in kinds], back, size, rng)


def compose_asked(
    seed: int, i: int, size: tuple[int, int], asked: Sequence[Asked]
) -> tuple[Backdrop, list[Placed]]:
    """Place what is asked for before the backdrop of scene `i`, the largest first.

    Where not all find room they stand `CLOSER`; what then finds none is left out.
    """
    largest_first = sorted(asked, key=lambda one: -one.area)
    found: list[tuple[Backdrop, list[Placed]]] = []
    for attempt, overlap in enumerate(CLOSER):
        rng = np.random.default_rng([seed, i, 1, attempt])
        back = backdrop(scene_class(seed, i), size, rng)
        things = [(one.kind, one) for one in largest_first]
        found.append((back, _placed(things, back, size, rng, overlap)))
        if len(found[-1][1]) == len(asked):
            break
    return max(found, key=lambda one: len(one[1]))


def _placed(
    things: Sequence[tuple[str, Asked | None]],
    back: Backdrop,
    size: tuple[int, int],
    rng: np.random.Generator,
    overlap: float = OVERLAP,
) -> list[Placed]:
    """Draw things one after the other where there is room; the farthest is returned first."""
    placed: list[Placed] = []
    for kind, asked in things:
        if spot := _place(kind, back, placed, size, rng, overlap, asked):
            placed.append(spot)
    placed.sort(key=lambda p: (not p.hangs, p.y + p.figure.shape[0]))
    return _uncovered(placed, size)


def _place(
    kind: str,
    back: Backdrop,
    others: list[Placed],
    size: tuple[int, int],
    rng: np.random.Generator,
    overlap: float,
    asked: Asked | None,
) -> Placed | None:
    """Draw a thing and find room for it; None if the scene is too crowded."""
    sign = kind in ("text", "symbol")
    hangs = sign and back.wall is not None and rng.random() < 0.8
    hangs = hangs or (kind == "symbol" and back.near)
    depth = rng.uniform(0.25, 1.0) if not hangs else rng.random()
    height = rng.uniform(*HEIGHTS[kind]) * size[0] * (1 if hangs else 0.72 + 0.4 * depth)
    if back.near and kind != "person":
        height *= 1.3
    stands = sign and not hangs and not back.near
    height *= 1.6 if stands else 1.0

    def drawn(height: float, rng: np.random.Generator) -> Figure:
        return draw(kind, height, rng, standing=stands, near=back.near,
                    light=back.light, tilt=float(rng.uniform(-4, 4)))  # fmt: skip

    again = copy.deepcopy(rng) if asked else rng
    figure = drawn(height, rng)
    if asked:  # the same once more, as large as it is to be
        figure = asked.told(drawn(height * asked.times(figure, size), again))
    h, w = figure.shape
    if w > size[1] - 4 or h > size[0] - 4:
        return None
    for _ in range(14):
        x = int(rng.integers(2, size[1] - w - 1))
        if hangs and back.wall:
            y = round(rng.uniform(*back.wall) * size[0] - h / 2)
        else:
            y = round((back.ground[0] + depth * (back.ground[1] - back.ground[0])) * size[0]) - h
        spot = Placed(figure, x, min(max(y, 1), size[0] - h - 1), hangs)
        if all(_overlap(spot, other) < overlap for other in others):
            return spot
        depth = rng.uniform(max(0, depth - 0.2), min(1, depth + 0.2))
    return None


def _overlap(a: Placed, b: Placed) -> float:
    """Shared area of two figures' boxes, as a share of the smaller one."""
    (ah, aw), (bh, bw) = a.figure.shape, b.figure.shape
    wide = min(a.x + aw, b.x + bw) - max(a.x, b.x)
    high = min(a.y + ah, b.y + bh) - max(a.y, b.y)
    return max(0, wide) * max(0, high) / min(ah * aw, bh * bw)


def _uncovered(placed: list[Placed], size: tuple[int, int]) -> list[Placed]:
    """Leave out figures of which some part is mostly hidden, until none is."""
    while True:
        labels, _ = label(placed, size)
        hidden, k = None, 0
        for p in placed:
            alone, parts = label([Placed(p.figure, 0, 0, True)], p.figure.shape)
            for own in range(1, len(parts) + 1):
                k += 1
                if (labels == k).sum() < VISIBLE * (alone == own).sum():
                    hidden = p
        if hidden is None:
            return placed
        placed = [p for p in placed if p is not hidden]


def label(placed: list[Placed], size: tuple[int, int]) -> tuple[np.ndarray, list[str]]:
    """Which region each pixel shows, uint8 (H, W), 0 for none, and the regions' categories.

    A pixel belongs to the front-most layer that covers at least half of it.
    """
    labels, categories = np.zeros(size, dtype=np.uint8), []
    for p in placed:
        for layer in p.figure.layers:
            h, w = layer.alpha.shape
            number = 0
            if layer.category is not None:
                categories.append(layer.category)
                number = len(categories)
            labels[p.y : p.y + h, p.x : p.x + w][layer.alpha >= 0.5] = number
    return labels, categories


def paint(back: Backdrop, placed: list[Placed]) -> np.ndarray:
    """Picture of the scene, uint8 (H, W, 3): shadows on the ground first, then the figures."""
    picture = back.image.copy()
    for p in placed:
        if not p.hangs:
            _shadow(picture, p)
    for p in placed:
        p.figure.onto(picture, p.x, p.y)
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)


def _shadow(picture: np.ndarray, p: Placed) -> None:
    """Darken the ground under a figure: a soft flat ellipse about its foot."""
    h, w = p.figure.shape
    foot, reach = p.y + h - 2, max(3, round(0.07 * min(h, w)) + 2)
    y0, y1 = max(0, foot - reach), min(len(picture), foot + reach)
    x0, x1 = max(0, p.x - 4), min(picture.shape[1], p.x + w + 4)
    y = (np.arange(y0, y1, dtype=np.float32)[:, None] - foot) / reach
    x = (np.arange(x0, x1, dtype=np.float32)[None] - p.x - w / 2) / (0.55 * w)
    depth = 0.5 * np.clip(1.15 - x**2 - y**2, 0, 1)
    picture[y0:y1, x0:x1] *= 1 - depth[..., None]


def render(seed: int, i: int, size: tuple[int, int], asked: Sequence[Asked] | None = None) -> Scene:
    """Render scene `i` of the world `seed` at `size` (H, W): depends on nothing else.

    asked: what it is to hold (None: what the scene's own class often holds).
    """
    if asked is None:
        back, placed = compose(seed, i, size)
    else:
        back, placed = compose_asked(seed, i, size, asked)
    labels, categories = label(placed, size)
    return Scene(scene_class(seed, i), paint(back, placed), labels, categories)
