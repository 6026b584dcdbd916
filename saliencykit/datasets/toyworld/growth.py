"""Plants, and what no other category covers."""

import numpy as np

from .pen import INK, WHITE, Colour, Pen, drawer, hsv, pick, ring, smooth, tone, vivid


def _leaf(rng: np.random.Generator) -> Colour:
    """Draw a leaf's green."""
    return hsv(rng.uniform(0.24, 0.41), rng.uniform(0.5, 0.8), rng.uniform(0.4, 0.75))


@drawer("plant", 0.8)
def potted(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a house plant in a pot."""
    green, clay = _leaf(rng), hsv(rng.uniform(0.0, 0.12), 0.65, rng.uniform(0.55, 0.85))
    for x, y in ring(40, 34, 34, 30, 9, rng.random()):
        mid = np.array([(40 + x) / 2, (66 + y) / 2])
        side = np.array([y - 66, 40 - x]) * 0.16
        pen.blob([(40, 66), mid + side, (x, y), mid - side], tone(green, rng.uniform(0.8, 1.25)))
    pen.poly([(20, 66), (60, 66), (54, 98), (26, 98)], clay)
    pen.box(17, 62, 63, 71, tone(clay, 0.9), 2)


@drawer("plant", 0.62)
def flower(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a tall flower with two leaves."""
    green, petal = _leaf(rng), hsv(rng.uniform(-0.3, 0.17), rng.uniform(0.5, 0.9), 0.96)
    pen.stroke(smooth([(31, 40), (34, 70), (31, 98)], closed=False), 4.5, green)
    for side in (-1, 1):
        pen.blob(
            [(32, 84), (32 + side * 14, 66), (32 + side * 26, 62), (32 + side * 16, 80)], green
        )
    count = int(rng.integers(6, 11))
    for x, y in ring(31, 29, 18, 18, count, rng.random()):
        pen.disc(x, y, 9.5, fill=petal)
    pen.disc(31, 29, 11, fill=pick(rng, ((250, 206, 60), (110, 70, 40))))


@drawer("plant", 0.78)
def tree(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a broad-leaved tree, perhaps with fruit."""
    green = hsv(rng.uniform(0.2, 0.4), rng.uniform(0.5, 0.8), rng.uniform(0.4, 0.7))
    pen.poly([(34, 56), (44, 56), (49, 98), (29, 98)], (112, 76, 48))
    for x, y in ring(39, 36, 22, 18, 7, rng.random()):
        pen.disc(x, y, 16, fill=tone(green, rng.uniform(0.85, 1.0)))
    pen.disc(39, 34, 25, 22, green, None)
    for x, y in rng.uniform((20, 14), (58, 54), (14, 2)):
        pen.disc(x, y, 5, 3.4, tone(green, pick(rng, (0.8, 1.2))), None)
    if rng.random() < 0.3:
        for x, y in rng.uniform((16, 16), (62, 52), (7, 2)):
            pen.disc(x, y, 3, fill=(216, 50, 40))


@drawer("plant", 0.7)
def cactus(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a cactus with two arms."""
    green = _leaf(rng)
    for side, y in ((-1, 56), (1, 44)):
        elbow = 35 + side * 22
        pen.stroke([(35, y), (elbow, y), (elbow, y - 22)], 12, green, edge=True)
    pen.stroke([(35, 14), (35, 92)], 19, green, edge=True)
    for x in (29, 35, 41):
        pen.stroke([(x, 12), (x, 94)], 1.3, tone(green, 0.65))
    pen.disc(35, 6, 6, 5, (240, 100, 150))


@drawer("plant", 0.9)
def palm(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a palm tree."""
    green = hsv(rng.uniform(0.25, 0.38), 0.7, rng.uniform(0.45, 0.7))
    pen.stroke(smooth([(34, 98), (38, 70), (48, 32)], closed=False), 8, (150, 108, 66), edge=True)
    for dx, dy in ((-44, 8), (-36, -18), (-8, -28), (24, -24), (41, -4), (34, 22), (-32, 30)):
        tip = np.array([46 + dx, 30 + dy])
        mid = np.array([46 + dx * 0.55, 24 + dy * 0.62])
        pen.blob([(48, 30), mid - (0, 7), tip, mid - (0, -4)], tone(green, rng.uniform(0.8, 1.2)))
    for x in (43, 51):
        pen.disc(x, 35, 4, fill=(110, 72, 40))


@drawer("other", 0.8)
def fire(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a camp fire."""
    for x0, x1 in ((10, 66), (70, 14)):
        pen.stroke([(x0, 94), (x1, 84)], 9, (106, 70, 44), edge=True)
    for grow, colour in ((1.0, (228, 70, 30)), (0.7, (250, 150, 40)), (0.4, (255, 232, 120))):
        shape = np.array([(0, -80), (14, -44), (24, -56), (28, -20), (14, 2), (-14, 2), (-28, -20),
                          (-22, -50), (-10, -40)])  # fmt: skip
        shape = shape + rng.uniform(-3, 3, shape.shape)
        pen.blob(shape * grow + (40, 88), colour, None)


@drawer("other", 0.75)
def balloons(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a bunch of balloons."""
    for x, y in ((20, 26), (55, 24), (37, 16), (38, 40)):
        colour = vivid(rng)
        pen.stroke(smooth([(x, y + 18), (38, 74), (37, 98)], closed=False), 1.2, (90, 90, 96))
        pen.disc(x, y, 15.5, 18, colour)
        pen.poly([(x - 3, y + 21), (x + 3, y + 21), (x, y + 16)], colour)
        pen.disc(x - 5, y - 7, 3.4, 5, tone(colour, 1.6), None)


@drawer("other", 0.8)
def kite(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a kite with a bowed tail."""
    one, two = vivid(rng), vivid(rng)
    pen.poly([(46, 3), (76, 30), (46, 66), (18, 30)], one)
    pen.poly([(46, 3), (76, 30), (46, 30)], two)
    pen.poly([(18, 30), (46, 30), (46, 66)], two)
    tail = smooth([(46, 66), (36, 76), (44, 86), (30, 97)], closed=False)
    pen.stroke(tail, 1.8, INK)
    for x, y in ((38, 75), (43, 86)):
        pen.poly([(x - 7, y - 4), (x + 7, y + 4), (x + 7, y - 4), (x - 7, y + 4)], vivid(rng))


@drawer("other", 1.3)
def rocks(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a heap of boulders."""
    for x, y, r in ((36, 66, 32), (94, 70, 29), (66, 48, 36)):
        grey = hsv(rng.uniform(0, 0.7), 0.1, rng.uniform(0.45, 0.72))
        shape = ring(x, y, r, r * 0.82, 7, rng.random()) + rng.uniform(-4, 4, (7, 2))
        pen.poly(np.minimum(shape, (128, 98)), grey)
        facet = np.array([shape.min(0) - (-8, -6), (x, y - r * 0.5), (x - r * 0.2, y)])
        pen.poly(facet, tone(grey, 1.25), None)


@drawer("other")
def gift(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a wrapped present."""
    paper, ribbon = vivid(rng), pick(rng, (WHITE, (250, 210, 70), vivid(rng)))
    pen.box(10, 40, 90, 97, paper, 2)
    pen.box(5, 28, 95, 46, tone(paper, 0.88), 2)
    pen.box(42, 28, 58, 97, ribbon, 0)
    for side in (-1, 1):
        pen.blob([(50, 28), (50 + side * 12, 6), (50 + side * 30, 8), (50 + side * 24, 26)], ribbon)
    pen.disc(50, 25, 7, fill=tone(ribbon, 0.85))


@drawer("other", 0.7)
def trophy(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a golden cup on a foot."""
    gold = pick(rng, ((244, 196, 60), (200, 204, 212), (206, 130, 70)))
    for x in (14, 56):
        pen.arc(x, 26, 12, 0, 360, 4.5, tone(gold, 0.75))
    pen.blob([(12, 6), (58, 6), (56, 34), (40, 56), (30, 56), (14, 34)], gold)
    pen.poly([(31, 54), (39, 54), (42, 78), (28, 78)], tone(gold, 0.9))
    pen.box(16, 78, 54, 97, (70, 52, 44), 2)
    pen.box(24, 83, 46, 91, gold, 1)
    pen.disc(24, 20, 4, 10, tone(gold, 1.6), None)
