"""Vehicles: seen from the side, on their wheels or afloat."""

import numpy as np

from .pen import INK, WHITE, Colour, Pen, drawer, pick, tone, vivid

GLASS = (176, 214, 234)


def _wheel(pen: Pen, x: float, y: float, r: float) -> None:
    pen.disc(x, y, r, fill=(40, 38, 42), edge=INK)
    pen.disc(x, y, r * 0.55, fill=(190, 192, 196))
    pen.disc(x, y, r * 0.16, fill=INK, edge=None)


def _lights(pen: Pen, left: float, right: float, y: float) -> None:
    pen.disc(left, y, 3.4, 4.6, (220, 50, 44))
    pen.disc(right, y, 3.4, 4.6, (255, 236, 150))


@drawer("vehicle", 2.05)
def car(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a car: saloon, hatchback or taxi."""
    paint, tall = vivid(rng), rng.uniform(8, 22)
    back = rng.uniform(24, 46)
    pen.blob([(back, 50), (back + 18, tall), (90, tall - 3), (128, tall), (156, 50), (100, 54)],
             paint)  # fmt: skip
    for x0, x1, slope in ((back + 14, 92, 12), (98, 144, 0)):
        top = tall + 7
        far = x1 - (20 if slope == 0 else 0)
        pen.poly([(x0 + slope, top), (far, top), (x1, 46), (x0, 46)], GLASS)
    pen.blob([(6, 56), (30, 46), (100, 45), (160, 47), (196, 56), (200, 80), (100, 84), (5, 80)],
             paint)  # fmt: skip
    pen.stroke([(95, 50), (95, 78)], 1.3, tone(paint, 0.55))
    pen.box(100, 54, 110, 57, tone(paint, 0.5), 1, None)
    for x in (45, 158):
        pen.disc(x, 79, 21, 20, tone(paint, 0.4), None)
        _wheel(pen, x, 80, 17)
    _lights(pen, 9, 196, 62)
    if rng.random() < 0.25:
        pen.box(86, tall - 14, 112, tall - 3, (255, 220, 60), 2)


@drawer("vehicle", 1.9)
def bus(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a bus with a row of windows."""
    paint = vivid(rng)
    pen.box(4, 6, 186, 84, paint, 10)
    pen.box(4, 58, 186, 66, pick(rng, (WHITE, tone(paint, 0.6))), 0, None)
    for x in range(12, 140, 27):
        pen.box(x, 16, x + 21, 46, GLASS, 3)
    pen.box(146, 16, 164, 82, tone(GLASS, 0.8), 2)
    pen.poly([(170, 14), (184, 16), (185, 48), (170, 48)], GLASS)
    for x in (42, 136):
        _wheel(pen, x, 84, 14)
    _lights(pen, 8, 182, 74)


@drawer("vehicle", 1.8)
def truck(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a lorry: a box behind a cab."""
    paint, load = vivid(rng), pick(rng, (WHITE, vivid(rng), (186, 188, 192)))
    pen.box(4, 8, 118, 78, load, 3)
    for x in (32, 60, 90):
        pen.stroke([(x, 12), (x, 74)], 1.5, tone(load, 0.75))
    pen.blob([(122, 80), (122, 30), (150, 28), (162, 50), (176, 56), (176, 82)], paint)
    pen.poly([(132, 36), (148, 36), (158, 54), (132, 54)], GLASS)
    pen.box(4, 78, 176, 85, (70, 70, 76), 2)
    for x in (30, 62, 150):
        _wheel(pen, x, 84, 14)
    _lights(pen, 6, 174, 70)


@drawer("vehicle", 1.55)
def bicycle(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a bicycle."""
    frame = vivid(rng)
    for x in (34, 121):
        pen.arc(x, 66, 32, 0, 360, 5, INK)
        for turn in np.linspace(0, np.pi, 5)[:-1]:
            dx, dy = 28 * np.cos(turn), 28 * np.sin(turn)
            pen.stroke([(x - dx, 66 - dy), (x + dx, 66 + dy)], 0.8, (170, 170, 176))
    pedal, saddle, bar = (72, 66), (60, 26), (110, 28)
    for line in ((pedal, saddle), (pedal, bar), ((62, 33), bar), ((34, 66), (62, 33)),
                 ((34, 66), pedal), (bar, (121, 66))):  # fmt: skip
        pen.stroke(line, 5, frame, edge=True)
    pen.stroke([(104, 14), (114, 14), (110, 28)], 4, INK)
    pen.stroke([(50, 23), (68, 22)], 7, INK)
    pen.disc(*pedal, 7, fill=(90, 90, 96))


@drawer("vehicle", 1.15)
def boat(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a sailing boat."""
    hull: Colour = vivid(rng)
    sail = pick(rng, (WHITE, (250, 240, 214), vivid(rng)))
    pen.stroke([(58, 4), (58, 74)], 3.4, (110, 78, 52))
    pen.poly([(62, 6), (62, 66), (106, 66)], sail)
    pen.poly([(54, 14), (54, 66), (18, 66)], tone(sail, 0.88))
    pen.poly([(58, 3), (58, 12), (74, 7)], (220, 50, 44))
    pen.poly([(4, 72), (111, 72), (94, 97), (24, 97)], hull)
    pen.stroke([(12, 79), (103, 79)], 3, WHITE)
