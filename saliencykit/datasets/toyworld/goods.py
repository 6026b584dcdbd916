"""Man-made things: objects, text, symbols and vehicles."""

import numpy as np

from .pen import INK, WHITE, Colour, Pen, drawer, hsv, pick, ring, tone, vivid

WOODS = ((150, 98, 56), (196, 144, 88), (104, 66, 42))
GLASS = (170, 210, 232)


@drawer("object", 0.62)
def chair(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a wooden chair seen a little from the side."""
    wood, seat = pick(rng, WOODS), vivid(rng)
    for x in (12, 46):
        pen.box(x, 4, x + 5, 96, tone(wood, 0.85), 2)
    for y in (10, 22, 34):
        pen.box(12, y, 51, y + 6, wood, 2)
    for x in (6, 52):
        pen.box(x, 58, x + 5, 98, wood, 2)
    pen.poly([(12, 50), (51, 50), (59, 62), (4, 62)], seat)


@drawer("object", 0.6)
def lamp(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a lamp with a shade."""
    shade = hsv(rng.random(), rng.uniform(0.3, 0.8), 0.95)
    pen.box(28, 40, 32, 92, (120, 110, 100), 1)
    pen.disc(30, 93, 16, 5, (96, 88, 82))
    pen.poly([(20, 6), (40, 6), (55, 46), (5, 46)], shade)
    pen.poly([(25, 10), (32, 10), (36, 43), (20, 43)], tone(shade, 1.6), None)


@drawer("object", turns=False)
def clock(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a round clock at some hour."""
    rim = vivid(rng)
    pen.disc(50, 50, 47, fill=rim)
    pen.disc(50, 50, 38, fill=WHITE)
    for k, (x, y) in enumerate(ring(50, 50, 32, 32, 12)):
        pen.disc(x, y, 3.4 if k % 3 == 0 else 1.8, fill=INK, edge=None)
    for length, width in ((18, 5), (28, 3.4)):
        angle = rng.uniform(0, 2 * np.pi)
        tip = (50 + length * np.cos(angle), 50 + length * np.sin(angle))
        pen.stroke([(50, 50), tip], width, INK)


@drawer("object", 1.05)
def umbrella(pen: Pen, rng: np.random.Generator) -> None:
    """Draw an open umbrella."""
    colours = (vivid(rng), pick(rng, (WHITE, vivid(rng))))
    pen.stroke([(52, 10), (52, 90)], 3, (90, 70, 60))
    pen.arc(45, 89, 8.5, 0, 180, 3.4, (90, 70, 60))
    pen.pie(52, 54, 49, 47, 180, 360, colours[0], cut=True)
    for half, colour in ((30, colours[1]), (12, colours[0])):
        pen.pie(52, 54, half, 47, 180, 360, colour, cut=True)
    pen.stroke([(52, 8), (52, 3)], 3, INK)


@drawer("object")
def ball(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a football or a beach ball."""
    pen.disc(50, 50, 46, fill=WHITE, edge=INK)
    if rng.random() < 0.5:
        turn = rng.random()
        inner, outer = (ring(50, 50, r, r, 5, turn) for r in (16, 40))
        pen.poly(inner, INK)
        for near, (x, y) in zip(inner, outer, strict=True):
            pen.stroke([near, (x, y)], 2, INK)
            pen.disc(x, y, 8, fill=INK, edge=None)
    else:
        start, hue = rng.uniform(0, 360), rng.random()
        for k in range(3):
            colour = hsv(hue + k / 3, 0.8, 0.92)
            pen.pie(50, 50, 46, 46, start + 120 * k, start + 120 * k + 62, colour)
        pen.disc(50, 50, 9, fill=WHITE)


@drawer("object", 1.15)
def suitcase(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a suitcase with straps."""
    leather = hsv(rng.random(), rng.uniform(0.4, 0.8), rng.uniform(0.45, 0.85))
    pen.arc(57, 22, 17, 180, 360, 6, tone(leather, 0.5))
    pen.box(4, 22, 111, 96, leather, 8)
    for x in (26, 80):
        pen.box(x, 22, x + 9, 96, tone(leather, 0.65))
        pen.box(x + 1, 44, x + 8, 54, (226, 196, 90), 1)


@drawer("object", 1.35)
def laptop(pen: Pen, rng: np.random.Generator) -> None:
    """Draw an open laptop, its screen lit."""
    case, glow = (150, 154, 162), hsv(rng.uniform(0.45, 0.75), 0.55, 0.9)
    pen.box(22, 6, 113, 70, tone(case, 0.4), 4)
    pen.box(28, 12, 107, 64, glow, 1)
    pen.poly([(34, 60), (62, 26), (78, 44), (88, 34), (102, 60)], tone(glow, 0.65), None)
    pen.poly([(20, 71), (115, 71), (132, 94), (3, 94)], case)
    for y in (76, 82):
        pen.stroke([(22 - (y - 71) / 2, y), (113 + (y - 71) / 2, y)], 3, tone(case, 0.5))


@drawer("object", 1.3)
def camera(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a photo camera from the front."""
    body = pick(rng, (INK, (120, 80, 60), vivid(rng)))
    pen.box(42, 8, 88, 34, tone(body, 0.8), 6)
    pen.box(4, 24, 126, 94, body, 9)
    pen.box(4, 38, 126, 48, tone(body, 1.5), 0, None)
    pen.disc(65, 60, 30, fill=(200, 202, 206))
    pen.disc(65, 60, 22, fill=INK)
    pen.disc(65, 60, 13, fill=(60, 84, 140))
    pen.disc(59, 54, 5, fill=WHITE, edge=None)
    pen.disc(110, 33, 5, fill=(214, 60, 50))


@drawer("object", 0.5)
def guitar(pen: Pen, rng: np.random.Generator) -> None:
    """Draw an acoustic guitar, upright."""
    wood = pick(rng, (*WOODS, (196, 60, 40)))
    pen.box(21, 2, 29, 14, tone(wood, 0.5), 2)
    pen.box(22.5, 12, 27.5, 60, (70, 46, 34), 1)
    pen.blob([(25, 45), (40, 52), (36, 64), (46, 80), (25, 98), (4, 80), (14, 64), (10, 52)], wood)
    pen.disc(25, 68, 7, fill=(44, 28, 24))
    pen.box(16, 83, 34, 87, (50, 32, 26), 1)
    pen.stroke([(25, 12), (25, 84)], 1, (240, 230, 200))


Point = tuple[float, float]

WORDS = ("OPEN", "CAFE", "SALE", "HOTEL", "TAXI", "NEWS", "STOP", "EXIT", "BOOKS", "PIZZA", "BUS",
         "SHOP", "HELLO", "MUSIC", "BAR", "FRESH", "WELCOME", "PARK", "TICKETS", "2 FOR 1", "MENU",
         "PUSH", "50% OFF", "No. 42", "Slow", "Toys", "Bakery", "Beach",
         "Museum", "Today")  # fmt: skip
FACES = ("default", "DejaVuSans-Bold", "DejaVuSerif-Bold", "DejaVuSansMono-Bold",
         "DejaVuSans-BoldOblique", "DejaVuSerif-BoldItalic")  # fmt: skip


def _post(pen: Pen, low: float) -> None:
    """A post under a sign that ends at `low`; it belongs to no region."""
    pen.layer(None)
    pen.box(pen.width / 2 - 2, low - 4, pen.width / 2 + 2, 99, (122, 118, 112), 1)


@drawer("text", 1.9, turns=False)
def writing(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a shop sign, notice or neon letters, one to three lines."""
    wide, low = pen.width, 56.0 if pen.standing else 97.0
    if pen.standing:
        _post(pen, low)
    pen.layer("text")
    x0, x1 = (wide * 0.2, wide * 0.8) if pen.standing else (3, wide - 3)
    paper, letters = _sign_colours(rng)
    pen.box(x0, 3, x1, low, paper, float(rng.uniform(0, 10)), tone(paper, 0.4))
    if rng.random() < 0.5:
        inset = 3.5
        pen.box(x0 + inset, 3 + inset, x1 - inset, low - inset, paper, 2, letters)
    lines = 1 + int(rng.integers(3)) if not pen.standing else 1 + int(rng.integers(2))
    face, pitch = pick(rng, FACES), (low - 12) / lines
    for k in range(lines):
        room = 0.84 * (x1 - x0 - 8)
        y = 7.5 + pitch * (k + 0.5)
        pen.words((x0 + x1) / 2, y, room, pitch * 0.72, pick(rng, WORDS), letters, face)


def _sign_colours(rng: np.random.Generator) -> tuple[Colour, Colour]:
    """(panel, letters) that contrast: dark on light, light on strong, or neon on dark."""
    style, hue = int(rng.integers(3)), rng.random()
    if style == 0:
        light = hsv(hue, rng.uniform(0.03, 0.25), 0.97)
        return light, pick(rng, (INK, (180, 30, 34), (26, 54, 130)))
    if style == 1:
        return hsv(hue, 0.85, rng.uniform(0.4, 0.62)), pick(rng, (WHITE, (255, 226, 120)))
    return (30, 28, 38), hsv(hue, 0.5, 1.0)


def _arrow(pen: Pen, c: Point, r: float, ink: Colour, turn: float) -> None:
    shape = np.array([(-0.8, -0.22), (0.1, -0.22), (0.1, -0.65), (0.85, 0), (0.1, 0.65),
                      (0.1, 0.22), (-0.8, 0.22)])  # fmt: skip
    a = 2 * np.pi * turn
    spin = np.array([(np.cos(a), np.sin(a)), (-np.sin(a), np.cos(a))])
    pen.poly(shape @ spin * r + c, ink)


def _heart(pen: Pen, c: Point, r: float, ink: Colour, turn: float) -> None:
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    pen.poly(np.stack([x, y], 1) * r * 0.052 + c, ink)


def _cross(pen: Pen, c: Point, r: float, ink: Colour, turn: float) -> None:
    for dx, dy in ((0.26, 0.75), (0.75, 0.26)):
        pen.box(c[0] - dx * r, c[1] - dy * r, c[0] + dx * r, c[1] + dy * r, ink, 0, None)


def _star(pen: Pen, c: Point, r: float, ink: Colour, turn: float) -> None:
    points = ring(*c, r * 0.85, r * 0.85, 10, -0.25)
    points[1::2] = ring(*c, r * 0.36, r * 0.36, 10, -0.25)[1::2]
    pen.poly(points, ink)


def _bang(pen: Pen, c: Point, r: float, ink: Colour, turn: float) -> None:
    shape = [(-0.16, -0.65), (0.16, -0.65), (0.08, 0.2), (-0.08, 0.2)]
    pen.poly(np.array(shape) * r + c, ink, None)
    pen.disc(c[0], c[1] + r * 0.45, r * 0.14, fill=ink, edge=None)


def _bolt(pen: Pen, c: Point, r: float, ink: Colour, turn: float) -> None:
    shape = [(0.2, -0.85), (-0.5, 0.12), (-0.05, 0.12), (-0.25, 0.85), (0.5, -0.18), (0.05, -0.18)]
    pen.poly(np.array(shape) * r + c, ink)


def _tick(pen: Pen, c: Point, r: float, ink: Colour, turn: float) -> None:
    shape = np.array([(-0.6, 0.05), (-0.15, 0.5), (0.65, -0.5)])
    pen.stroke(shape * r + c, r * 0.27, ink)


def _waves(pen: Pen, c: Point, r: float, ink: Colour, turn: float) -> None:
    pen.disc(c[0], c[1] + r * 0.5, r * 0.15, fill=ink, edge=None)
    for reach in (0.45, 0.8, 1.12):
        pen.arc(c[0], c[1] + r * 0.55, r * reach, 225, 315, r * 0.18, ink)


MARKS = (_arrow, _heart, _cross, _star, _bang, _bolt, _tick, _waves)


@drawer("symbol", 0.95, turns=False)
def sign(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a traffic sign, pictogram or emblem: a mark on a plate."""
    x, reach = pen.width / 2, 28.0 if pen.standing else 46.0
    centre = (x, reach + 3)
    if pen.standing:
        _post(pen, 2 * reach)
    pen.layer("symbol")
    plate = hsv(rng.random(), 0.85, rng.uniform(0.6, 0.95))
    mark, style = pick(rng, MARKS), int(rng.integers(5))
    turn = float(rng.integers(4)) / 4
    if style == 0:  # warning triangle
        tri = ring(x, centre[1] + reach * 0.2, reach * 1.1, reach * 1.15, 3, -0.25)
        pen.poly(tri, (214, 40, 36))
        inner = ring(x, centre[1] + reach * 0.2, reach * 0.74, reach * 0.78, 3, -0.25)
        pen.poly(inner, pick(rng, (WHITE, (252, 214, 60))), None)
        return mark(pen, (x, centre[1] + reach * 0.22), reach * 0.46, INK, turn)
    if style == 1:  # prohibition
        pen.disc(*centre, reach, fill=(210, 34, 36))
        pen.disc(*centre, reach * 0.76, fill=WHITE, edge=None)
        mark(pen, centre, reach * 0.68, INK, turn)
        a = reach * 0.6
        bar = [(x - a, centre[1] - a), (x + a, centre[1] + a)]
        return pen.stroke(bar, reach * 0.19, (210, 34, 36))
    if style == 2:
        pen.disc(*centre, reach, fill=WHITE, edge=INK)
        pen.disc(*centre, reach * 0.9, fill=plate, edge=None)
    elif style == 3:
        pen.poly(ring(*centre, reach, reach, 4), (252, 206, 40), INK)
        return mark(pen, centre, reach * 0.6, INK, turn)
    else:
        a = reach * 0.92
        pen.box(x - a, centre[1] - a, x + a, centre[1] + a, plate, reach * 0.2, WHITE)
    return mark(pen, centre, reach * 0.78, WHITE, turn)
