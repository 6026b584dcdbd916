"""Backgrounds: one function a scene class, each with its own light, horizon and texture."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import ImageDraw, ImageFilter

from .canvas import Canvas, clouds, cloudy, grain, ridge
from .pen import Colour, hsv, pick, smooth, tone, vivid


@dataclass
class Backdrop:
    """A background: `image` float32 (H, W, 3) in 0 … 255 and where things go, as fractions of H.

    `ground` is the range of y for feet; `wall` the range for the centres of what hangs (None:
    nothing hangs); `light` the RGB tint that falls on things; `near` shows people as busts.
    """

    image: np.ndarray
    ground: tuple[float, float]
    wall: tuple[float, float] | None = None
    light: tuple[float, float, float] = (1.0, 1.0, 1.0)
    near: bool = False


def room(size: tuple[int, int], rng: np.random.Generator) -> Backdrop:
    """Papered wall, skirting, window, boarded floor and a rug."""
    wall = hsv(rng.random(), rng.uniform(0.12, 0.4), rng.uniform(0.68, 0.95))
    edge = rng.uniform(0.5, 0.62)
    c = Canvas(size, wall)
    c.fade(0, edge, tone(wall, 1.15), tone(wall, 0.88))
    style, pitch = int(rng.integers(3)), rng.uniform(0.035, 0.06)
    for k, x in enumerate(np.arange(0, 1, pitch)):
        if style == 0 and k % 2:
            c.box(x, 0, x + pitch, edge, tone(wall, 0.93))
        elif style == 1:
            for y in np.arange(0.03 + 0.03 * (k % 2), edge, 0.06):
                c.disc(x, y, 0.008, 0.008, tone(wall, 0.8))
    x, half = rng.uniform(0.15, 0.85), rng.uniform(0.07, 0.12)
    frame, top, low = (244, 240, 232), rng.uniform(0.05, 0.1), edge - rng.uniform(0.14, 0.2)
    c.box(x - half - 0.015, top - 0.02, x + half + 0.015, low + 0.025, frame)
    sky = hsv(rng.uniform(0.52, 0.62), rng.uniform(0.2, 0.5), 0.95)
    c.box(x - half, top, x + half, low, sky)
    c.box(x - 0.005, top, x + 0.005, low, frame)
    c.box(x - half, (top + low) / 2 - 0.006, x + half, (top + low) / 2 + 0.006, frame)
    cloth = hsv(rng.random(), rng.uniform(0.3, 0.7), rng.uniform(0.5, 0.9))
    for side in (-1, 1):
        outer, inner = x + side * (half + 0.05), x + side * half * 0.62
        c.poly([(outer, 0.03), (inner, 0.03), (x + side * half, low + 0.07), (outer, low + 0.07)],
               cloth)  # fmt: skip
        for t in (0.3, 0.65):
            fold = outer * (1 - t) + inner * t
            c.line([(fold, 0.03), (outer * (1 - t * 0.6) + inner * t * 0.6, low + 0.07)], 0.006,
                   tone(cloth, 0.82))  # fmt: skip
    board = hsv(rng.uniform(0.05, 0.1), rng.uniform(0.35, 0.6), rng.uniform(0.45, 0.75))
    c.fade(edge, 1, tone(board, 0.85), tone(board, 1.1))
    for y in edge + (1 - edge) * np.linspace(0, 1, 8) ** 1.6:
        c.line([(0, y), (1, y)], 0.004, tone(board, 0.7))
    c.box(0, edge - 0.025, 1, edge + 0.006, tone(frame, 0.92))
    rug = vivid(rng)
    for k, grow in enumerate((1.0, 0.82, 0.6)):
        c.disc(0.5, edge + (1 - edge) * 0.55, 0.5 * grow, 0.15 * grow, tone(rug, 0.75 + 0.25 * k))
    image = c.pixels() + 4 * cloudy(size, rng)[..., None]
    return Backdrop(image, (edge + 0.1, 0.98), (0.13, edge - 0.12))


def street(size: tuple[int, int], rng: np.random.Generator) -> Backdrop:
    """A row of houses with windows, a pavement and a marked road."""
    edge = rng.uniform(0.54, 0.62)
    c = Canvas(size, (200, 210, 220))
    blue = hsv(rng.uniform(0.54, 0.62), rng.uniform(0.1, 0.5), rng.uniform(0.8, 0.97))
    c.fade(0, edge, blue, tone(blue, 1.6))
    clouds(c, rng, 0.3, (250, 250, 250))
    x = -rng.uniform(0, 0.1)
    while x < 1:
        wide, top = rng.uniform(0.15, 0.3), rng.uniform(0.02, 0.26)
        front = hsv(rng.uniform(-0.06, 0.14), rng.uniform(0.15, 0.5), rng.uniform(0.5, 0.85))
        _house(c, x, x + wide, top, edge, front, rng)
        x += wide
    road = (int(rng.integers(88, 112)),) * 3
    c.box(0, edge, 1, edge + 0.13, (186, 182, 176))
    for x in np.arange(rng.uniform(-0.1, 0), 1.1, 0.09):
        c.line([(x, edge), (x - 0.03, edge + 0.13)], 0.004, (160, 156, 150))
    c.box(0, edge + 0.12, 1, edge + 0.145, (140, 138, 136))
    c.fade(edge + 0.145, 1, tone(road, 0.9), tone(road, 1.1))
    for x in np.arange(rng.uniform(-0.2, 0), 1, 0.22):
        y = edge + 0.27
        c.poly([(x, y), (x + 0.12, y), (x + 0.11, y + 0.025), (x - 0.02, y + 0.025)],
               (236, 232, 214))  # fmt: skip
    image = c.pixels()
    image[round(edge * size[0]) :] += 9 * grain(size, rng)[round(edge * size[0]) :, :, None]
    return Backdrop(
        image + 4 * cloudy(size, rng)[..., None], (edge + 0.07, 0.98), (0.2, edge - 0.1)
    )


def _house(
    c: Canvas, x0: float, x1: float, top: float, low: float, front: Colour, rng: np.random.Generator
) -> None:
    c.box(x0, top, x1, low, front)
    c.box(x0 - 0.004, top, x1 + 0.004, top + 0.02, tone(front, 0.7))
    c.line([(x1, top), (x1, low)], 0.006, tone(front, 0.6))
    pane = hsv(rng.uniform(0.5, 0.62), 0.3, rng.uniform(0.45, 0.8))
    across = max(2, round((x1 - x0) / 0.075))
    step = (x1 - x0) / across
    for y in np.arange(top + 0.06, low - 0.14, 0.105):
        for k in range(across):
            x = x0 + (k + 0.25) * step
            c.box(x - 0.004, y - 0.006, x + step / 2 + 0.004, y + 0.066, tone(front, 1.35))
            c.box(x, y, x + step / 2, y + 0.06, tone(pane, rng.uniform(0.8, 1.2)))
    door = x0 + (x1 - x0) * rng.uniform(0.15, 0.6)
    c.box(door, low - 0.12, door + 0.045, low, tone(vivid(rng), 0.7))


def field(size: tuple[int, int], rng: np.random.Generator) -> Backdrop:
    """Green hills under a summer sky, a meadow and a fence."""
    edge = rng.uniform(0.36, 0.48)
    c = Canvas(size, (150, 200, 240))
    c.fade(0, edge, hsv(rng.uniform(0.55, 0.6), rng.uniform(0.45, 0.7), 0.92), (214, 234, 246))
    clouds(c, rng, edge, (252, 252, 252))
    hue = rng.uniform(0.2, 0.33)
    for k, y in enumerate((edge - 0.07, edge - 0.02, edge + 0.03)):
        green = hsv(hue + rng.uniform(-0.03, 0.03), 0.35 + 0.12 * k, 0.6 + 0.06 * k)
        ridge(c, rng, y, 0.045, 7, green)
    meadow = hsv(hue, rng.uniform(0.55, 0.72), rng.uniform(0.55, 0.75))
    c.fade(edge + 0.07, 1, meadow, tone(meadow, 0.8))
    if rng.random() < 0.6:
        wood, y = pick(rng, ((236, 230, 220), (140, 104, 74))), edge + 0.05
        for dy in (0.0, 0.035):
            c.line([(0, y + dy), (1, y + dy)], 0.01, wood)
        for x in np.arange(0.03, 1, 0.085):
            c.line([(x, y - 0.025), (x, y + 0.07)], 0.013, wood)
    for _ in range(150):
        depth = rng.random()
        x, y = rng.uniform(0, 1), edge + 0.1 + (0.9 - edge) * depth
        blade = 0.012 + 0.028 * depth
        shade = tone(meadow, pick(rng, (0.72, 1.22)))
        c.line([(x - blade * 0.3, y - blade), (x, y), (x + blade * 0.3, y - blade)], 0.004, shade)
    image = c.pixels()
    image[round((edge + 0.07) * size[0]) :] *= (
        1 + 0.1 * cloudy(size, rng, (12, 10))[round((edge + 0.07) * size[0]) :, :, None]
    )
    return Backdrop(image, (edge + 0.16, 0.98), None)


def beach(size: tuple[int, int], rng: np.random.Generator) -> Backdrop:
    """Sun, sea with waves and foam, and rippled sand."""
    edge, shore = rng.uniform(0.26, 0.36), rng.uniform(0.5, 0.58)
    c = Canvas(size, (240, 220, 170))
    warm = rng.random() < 0.35
    high = hsv(0.07, 0.45, 0.98) if warm else hsv(rng.uniform(0.53, 0.58), 0.5, 0.96)
    c.fade(0, edge, high, (254, 236, 200) if warm else (216, 240, 250))
    c.disc(rng.uniform(0.1, 0.9), rng.uniform(0.06, 0.18), 0.05, 0.05, (255, 244, 196))
    sea = hsv(rng.uniform(0.48, 0.58), rng.uniform(0.55, 0.8), rng.uniform(0.55, 0.8))
    c.fade(edge, shore + 0.06, tone(sea, 0.8), tone(sea, 1.3))
    for _ in range(50):
        y = edge + (shore - edge) * rng.random() ** 1.4
        x, wide = rng.uniform(0, 1), rng.uniform(0.02, 0.07)
        c.line([(x, y), (x + wide / 2, y - 0.004), (x + wide, y)], 0.005, tone(sea, 1.5))
    sand = hsv(rng.uniform(0.09, 0.13), rng.uniform(0.25, 0.45), rng.uniform(0.86, 0.97))
    x = np.linspace(-0.1, 1.1, 9)
    swash = rng.uniform(-0.02, 0.02, 9)
    for drop, fill in ((0.0, (246, 250, 250)), (0.018, tone(sand, 0.8)), (0.06, sand)):
        line = smooth(np.stack([x, shore + drop + swash], 1), closed=False)
        c.poly([*line, (1.2, 1.1), (-0.2, 1.1)], fill)
    image = c.pixels()
    low = round((shore + 0.06) * size[0])
    image[low:] += 7 * grain(size, rng)[low:, :, None]
    ripples = cloudy(size, rng, (26, 5))
    image[low:] += 9 * ripples[low:, :, None]
    return Backdrop(image, (shore + 0.14, 0.98), None, (1.05, 1.0, 0.93) if warm else (1, 1, 1))


def night(size: tuple[int, int], rng: np.random.Generator) -> Backdrop:
    """A city after dark: moon, stars, lit windows, pools of lamp light."""
    edge = rng.uniform(0.56, 0.64)
    c = Canvas(size, (10, 12, 34))
    hue = rng.uniform(0.6, 0.75)
    c.fade(0, edge, hsv(hue, 0.75, 0.16), hsv(hue, 0.55, 0.36))
    for x, y in rng.uniform((0, 0), (1, 0.4), (45, 2)):
        r = rng.uniform(0.002, 0.005)
        c.disc(x, y, r, r, (226, 226, 240))
    moon = (rng.uniform(0.1, 0.9), rng.uniform(0.08, 0.16))
    c.disc(*moon, 0.05, 0.05, (240, 236, 210))
    c.disc(moon[0] + 0.018, moon[1] - 0.012, 0.042, 0.042, hsv(hue, 0.72, 0.2))
    x = -0.02
    while x < 1:
        wide, top = rng.uniform(0.07, 0.16), rng.uniform(0.16, 0.42)
        tower = hsv(hue + rng.uniform(-0.04, 0.04), 0.45, rng.uniform(0.1, 0.2))
        c.box(x, top, x + wide, edge, tower)
        for wx in np.arange(x + 0.012, x + wide - 0.018, 0.024):
            for wy in np.arange(top + 0.03, edge - 0.04, 0.05):
                if rng.random() < 0.4:
                    lit = pick(rng, ((250, 214, 120), (240, 190, 90), (170, 190, 220)))
                    c.box(wx, wy, wx + 0.011, wy + 0.024, tone(lit, rng.uniform(0.5, 0.9)))
        x += wide
    street_tone = hsv(hue, 0.35, 0.24)
    c.fade(edge, 1, tone(street_tone, 0.7), street_tone)
    image = c.pixels()
    y = np.arange(size[0], dtype=np.float32)[:, None] / size[0]
    x = np.arange(size[1], dtype=np.float32)[None] / size[1]
    for cx in rng.uniform(0, 1, 3):
        pool = np.exp(-(((x - cx) / 0.16) ** 2) - ((y - rng.uniform(0.72, 0.9)) / 0.07) ** 2)
        image += pool[..., None] * np.array((92, 74, 34), dtype=np.float32)
    image += 4 * grain(size, rng)[..., None]
    return Backdrop(image, (edge + 0.08, 0.98), (0.34, edge - 0.08), (0.68, 0.68, 0.84))


def tabletop(size: tuple[int, int], rng: np.random.Generator) -> Backdrop:
    """A table seen from close by, wooden or with a checked cloth, before a blurred wall."""
    edge = rng.uniform(0.3, 0.4)
    wall = hsv(rng.random(), rng.uniform(0.15, 0.5), rng.uniform(0.35, 0.75))
    c = Canvas(size, wall)
    for _ in range(14):
        r = rng.uniform(0.05, 0.14)
        c.disc(rng.uniform(0, 1), rng.uniform(0, edge), r, r, tone(wall, rng.uniform(0.75, 1.3)))
    c.image = c.image.filter(ImageFilter.BoxBlur(0.04 * c.h))
    c.ink = ImageDraw.Draw(c.image)
    wood = hsv(rng.uniform(0.04, 0.11), rng.uniform(0.35, 0.65), rng.uniform(0.5, 0.85))
    c.fade(edge, 1, tone(wood, 0.85), tone(wood, 1.12))
    eye = (0.5, edge - 0.9)  # the planks and the checks run towards this point
    rays = np.linspace(-0.6, 1.6, 23)
    far = [eye[0] + (x - eye[0]) * (edge - eye[1]) / (1 - eye[1]) for x in rays]
    if rng.random() < 0.5:
        cloth = vivid(rng)
        rows = edge + (1.02 - edge) * np.linspace(0, 1, 9) ** 1.35
        for k in range(22):
            for j in range(8):
                ends = [_towards(rays[k + s], rows[j + t], eye) for s, t in
                        ((0, 0), (1, 0), (1, 1), (0, 1))]  # fmt: skip
                fill = ((246, 242, 234), tone(cloth, 1.4), cloth)[(k % 2) + (j % 2)]
                c.poly(ends, fill)
    else:
        for x, top in zip(rays[::2], far[::2], strict=True):
            c.line([(top, edge), (x, 1)], 0.006, tone(wood, 0.65))
    c.box(0, edge - 0.012, 1, edge + 0.006, tone(wood, 0.55))
    image = c.pixels()
    low = round(edge * size[0])
    image[low:] *= 1 + 0.08 * cloudy(size, rng, (3, 40))[low:, :, None]
    return Backdrop(image, (edge + 0.16, 0.97), None, near=True)


def _towards(x: float, y: float, eye: tuple[float, float]) -> tuple[float, float]:
    """Point at height `y` on the ray from `eye` to (x, 1)."""
    return eye[0] + (x - eye[0]) * (y - eye[1]) / (1 - eye[1]), y


def snow(size: tuple[int, int], rng: np.random.Generator) -> Backdrop:
    """Peaks with snow caps over a white slope, in falling snow."""
    edge = rng.uniform(0.46, 0.56)
    c = Canvas(size, (200, 214, 230))
    c.fade(0, edge, hsv(rng.uniform(0.55, 0.63), rng.uniform(0.15, 0.45), 0.88), (236, 242, 248))
    for x in np.sort(rng.uniform(-0.1, 1.1, int(rng.integers(4, 7)))):
        peak, half = rng.uniform(0.06, 0.28), rng.uniform(0.16, 0.32)
        rock = hsv(rng.uniform(0.58, 0.68), 0.22, rng.uniform(0.45, 0.62))
        c.poly([(x, peak), (x + half, edge + 0.1), (x - half, edge + 0.1)], rock)
        c.poly([(x, peak), (x + half, edge + 0.1), (x + half * 0.2, edge + 0.1)], tone(rock, 0.82))
        cap = 0.34 * (edge + 0.1 - peak)
        slope = half * 0.34
        c.poly([(x, peak), (x + slope, peak + cap), (x + slope * 0.4, peak + cap * 0.75),
                (x, peak + cap * 1.1), (x - slope * 0.5, peak + cap * 0.75),
                (x - slope, peak + cap)], (248, 250, 254))  # fmt: skip
    white = hsv(0.6, rng.uniform(0.02, 0.1), rng.uniform(0.9, 0.98))
    c.fade(edge, 1, tone(white, 0.9), white)
    for k in range(3):
        ridge(c, rng, edge + 0.02 + 0.13 * k, 0.025, 6, tone(white, 0.91 + 0.04 * k))
    image = c.pixels()
    image += 5 * cloudy(size, rng, (10, 6))[..., None]
    flakes = rng.integers(0, size[0] * size[1], 160)
    image.reshape(-1, 3)[flakes] = 252
    return Backdrop(image, (edge + 0.16, 0.98), None, (0.95, 0.98, 1.04))


BACKDROPS: dict[str, Callable[[tuple[int, int], np.random.Generator], Backdrop]] = {
    f.__name__: f for f in (room, street, field, beach, night, tabletop, snow)
}
"""Scene class → function of size (H, W) and generator."""


def backdrop(scene: str, size: tuple[int, int], rng: np.random.Generator) -> Backdrop:
    """Draw a background of class `scene`, with a slight vignette and its own exposure."""
    back = BACKDROPS[scene](size, rng)
    y, x = np.linspace(-1, 1, size[0])[:, None], np.linspace(-1, 1, size[1])[None]
    vignette = (1 - 0.1 * (x**2 + y**2)) * rng.uniform(0.9, 1.06)
    back.image = (back.image * vignette[..., None]).astype(np.float32)
    return back
