"""People and animals: figures of two layers, a body and the head on it."""

import numpy as np

from .pen import INK, WHITE, Colour, Pen, drawer, pick, ring, smooth, tone, vivid

SKINS = ((255, 219, 188), (241, 194, 150), (224, 172, 124), (176, 118, 78), (122, 78, 52))
HAIRS = ((36, 28, 26), (88, 54, 32), (150, 92, 40), (222, 180, 90), (170, 168, 170), (150, 52, 30))
IRIS = ((60, 40, 28), (50, 90, 140), (60, 110, 70))


def _eye(pen: Pen, x: float, y: float, r: float, rng: np.random.Generator) -> None:
    pen.disc(x, y, r, r * 1.15, WHITE, INK)
    pen.disc(x, y + r * 0.1, r * 0.58, fill=pick(rng, IRIS), edge=None)
    pen.disc(x, y + r * 0.1, r * 0.3, fill=INK, edge=None)


def _face(pen: Pen, x: float, y: float, r: float, skin: Colour, rng: np.random.Generator) -> None:
    """Head of radius `r` about (x, y); it may look aside."""
    look = r * rng.uniform(-0.28, 0.28)
    hair, style = pick(rng, HAIRS), int(rng.integers(5))
    if style in (1, 2):  # long hair falls behind the face
        low = y + r * (1.25 if style == 1 else 0.75)
        pen.blob(
            [(x - r * 1.15, low), (x - r * 1.15, y - r * 0.4), (x, y - r * 1.18),
             (x + r * 1.15, y - r * 0.4), (x + r * 1.15, low), (x, low - r * 0.1)], hair,
        )  # fmt: skip
    for side in (-1, 1):
        pen.disc(x + side * r * 0.98, y + r * 0.1, r * 0.2, r * 0.26, skin)
    pen.disc(x, y, r, r * 1.06, skin)
    for side in (-1, 1):
        _eye(pen, x + look + side * r * 0.38, y + r * 0.02, r * 0.17, rng)
        brow = y - r * 0.3
        pen.stroke(
            [(x + look + side * r * 0.22, brow), (x + look + side * r * 0.54, brow + r * 0.04)],
            r * 0.1, hair,
        )  # fmt: skip
        pen.disc(x + look + side * r * 0.55, y + r * 0.4, r * 0.15, r * 0.1, tone(skin, 0.9), None)
    nose = [(x + look, y + r * 0.1), (x + look * 1.3 + r * 0.06, y + r * 0.32)]
    pen.stroke(nose, r * 0.11, tone(skin, 0.75))
    pen.pie(x + look, y + r * 0.5, r * 0.34, r * 0.26, 0, 180, (170, 50, 52), cut=True)
    if style != 3:
        fringe = ring(x, y - r * 0.02, r * 1.08, r * 1.12, 9, 0.5)[:5]
        under = [(x + r * 0.8, y - r * 0.35), (x + look, y - r * 0.55), (x - r * 0.8, y - r * 0.3)]
        pen.poly([*smooth([*fringe, *under])], hair)
    if style == 3 or rng.random() < 0.18:  # a hat, always on the bald
        hat = vivid(rng)
        pen.pie(x, y - r * 0.35, r * 1.08, r * 0.95, 180, 360, hat, cut=True)
        pen.box(x - r * 1.4, y - r * 0.5, x + r * 1.4, y - r * 0.27, tone(hat, 0.8), r * 0.1)
    if style == 4:
        pen.disc(x, y - r * 1.12, r * 0.42, r * 0.34, hair)
    if rng.random() < 0.25:
        for side in (-1, 1):
            pen.arc(x + look + side * r * 0.38, y, r * 0.3, 0, 360, r * 0.09, INK)


@drawer("person", 0.5)
def person(pen: Pen, rng: np.random.Generator) -> None:
    """Draw someone standing or walking, or, if the pen is near, from the chest up."""
    if pen.near:
        return _bust(pen, rng)
    skin, top, bottom = pick(rng, SKINS), vivid(rng), vivid(rng)
    shoe = pick(rng, ((40, 36, 40), (120, 70, 40), (235, 235, 235), (170, 40, 40)))
    x, r, stride = 25.0, rng.uniform(13.5, 15.5), rng.uniform(1, 8)
    pen.layer("person_part")
    skirt = rng.random() < 0.35
    for side in (-1, 1):
        foot = x + side * (4 + stride)
        pen.stroke([(x + side * 4.5, 66), (foot, 93)], 6.5, skin if skirt else bottom, edge=True)
        pen.disc(foot + 1.5, 96, 5, 3, shoe)
    pen.stroke([(x, 30), (x, 37)], 6, tone(skin, 0.85))
    for side in (-1, 1):
        elbow = (x + side * rng.uniform(13, 16), rng.uniform(44, 51))
        up = rng.random() < 0.3
        hand = (elbow[0] + side * rng.uniform(-4, 5), elbow[1] + (-14 if up else 13))
        pen.stroke([(x + side * 8, 39), elbow], 5.6, tone(top, 0.9), edge=True)
        pen.stroke([elbow, hand], 4.6, skin, edge=True)
        pen.disc(*hand, 3.2, fill=skin)
    if skirt:
        pen.poly([(x - 8, 58), (x + 8, 58), (x + 14, 78), (x - 14, 78)], bottom)
    else:
        pen.box(x - 8.5, 58, x + 8.5, 71, bottom, 3)
    pen.blob([(x - 11, 37), (x, 34.5), (x + 11, 37), (x + 9, 63), (x, 64.5), (x - 9, 63)], top)
    _pattern(pen, x, 9.5, 40, 61, top, rng)
    pen.layer("person_head")
    _face(pen, x, 19, r, skin, rng)


def _pattern(
    pen: Pen, x: float, half: float, y0: float, y1: float, top: Colour, rng: np.random.Generator
) -> None:
    """Stripes, buttons or nothing on a shirt about `x`."""
    style, other = int(rng.integers(3)), tone(top, pick(rng, (0.6, 1.6)))
    if style == 0:
        for y in np.linspace(y0 + 2, y1 - 3, 4):
            pen.stroke([(x - half * 0.8, y), (x + half * 0.8, y)], (y1 - y0) * 0.1, other)
    if style == 1:
        for y in np.linspace(y0 + 2, y1 - 4, 4):
            pen.disc(x, y, half * 0.12, fill=other, edge=None)


def _bust(pen: Pen, rng: np.random.Generator) -> None:
    skin, top = pick(rng, SKINS), vivid(rng)
    x = 25.0
    pen.layer("person_part")
    pen.stroke([(x, 50), (x, 62)], 10, tone(skin, 0.85), edge=True)
    pen.blob([(x - 21, 100), (x - 21, 71), (x - 9, 60), (x, 63), (x + 9, 60), (x + 21, 71),
              (x + 21, 100), (x, 104)], top)  # fmt: skip
    for side in (-1, 1):
        pen.stroke([(x + side * 13, 78), (x + side * 14, 99)], 0.9, tone(top, 0.55))
    _pattern(pen, x, 10, 70, 98, top, rng)
    pen.layer("person_head")
    _face(pen, x, 33, rng.uniform(18, 19.5), skin, rng)


COATS = {
    "dog": ((150, 98, 56), (92, 62, 44), (222, 190, 140), (60, 54, 54)),
    "fox": ((226, 114, 40), (206, 92, 32)),
    "cat": ((238, 160, 70), (120, 120, 126), (54, 50, 56), (226, 214, 200)),
    "cow": ((246, 242, 236), (176, 112, 70)),
    "sheep": ((244, 240, 230), (222, 214, 200)),
    "elephant": ((142, 148, 160), (120, 126, 140)),
    "pig": ((246, 170, 170), (232, 150, 156)),
}


@drawer("animal", 1.25, share=3)
def beast(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a four-footed animal from the side, its face turned to the viewer."""
    species = pick(rng, tuple(COATS))
    coat = pick(rng, COATS[species])
    big = species in ("cow", "elephant")
    hip, low, leg = (56, 97, 9) if big else (62, 97, 6.5)
    pen.layer("animal_part")
    _tail(pen, species, coat, rng)
    for x, dark in ((30, 0.78), (78, 0.78), (38, 1), (86, 1)):
        shift = rng.uniform(-3, 3)
        shin = tone(INK, 1.15) if species == "sheep" else tone(coat, dark)
        pen.stroke([(x, hip), (x + shift, low - leg / 2)], leg, shin, edge=True)
    if species == "sheep":
        for x, y in ring(58, 55, 28, 13, 11):
            pen.disc(x, y, 11, fill=coat)
        pen.disc(58, 55, 29, 15, coat, None)
    else:
        fat = 22 if big or species == "pig" else 16
        pen.blob([(24, 52), (40, 56 - fat), (70, 55 - fat), (94, 48), (92, 64),
                  (60, 58 + fat * 0.6), (30, 66)], coat)  # fmt: skip
    if species == "cow":
        for x in (40, 60, 76):
            patch = ring(x, rng.uniform(44, 58), rng.uniform(5, 9), rng.uniform(4, 7), 6)
            pen.blob(patch + rng.uniform(-2, 2, (6, 2)), tone(coat, 0.35), None)
    if species == "cat" and rng.random() < 0.6:
        for x in (42, 52, 62, 72):
            pen.stroke([(x, 42), (x + 2, 54)], 3, tone(coat, 0.65))
    pen.stroke([(86, 50), (98, 38)], 13 if big else 10, coat)
    pen.layer("animal_head")
    _muzzle(pen, species, coat, 100, 31, 19 if big else 17.5, rng)


def _tail(pen: Pen, species: str, coat: Colour, rng: np.random.Generator) -> None:
    if species == "cat":
        curve = smooth([(26, 55), (12, 48), (10, 28), (18, 20)], closed=False)
        pen.stroke(curve, 5, coat, edge=True)
    elif species in ("dog", "fox"):
        wide = 6 if species == "dog" else 12
        tip = (8, rng.uniform(28, 48))
        pen.stroke([(27, 52), tip], wide, coat, edge=True)
        if species == "fox":
            pen.disc(*tip, 5.6, fill=WHITE, edge=None)
    else:
        pen.stroke([(26, 48), (19, 58), (18, 70)], 2.6, tone(coat, 0.8), edge=True)


def _ears(pen: Pen, species: str, coat: Colour, x: float, y: float, r: float) -> None:
    for side in (-1, 1):
        if species in ("cat", "fox"):
            tip = (x + side * r * 0.85, y - r * 1.5)
            pen.poly([(x + side * r * 0.2, y - r * 0.8), tip, (x + side * r, y - r * 0.2)], coat)
            mid = (x + side * r * 0.76, y - r * 1.2)
            pen.poly([(x + side * r * 0.4, y - r * 0.8), mid, (x + side * r * 0.85, y - r * 0.4)],
                     (236, 160, 160), None)  # fmt: skip
        elif species == "elephant":
            pen.disc(x + side * r * 1.0, y - r * 0.1, r * 0.62, r * 0.9, tone(coat, 0.9))
            pen.disc(x + side * r * 1.02, y, r * 0.4, r * 0.62, (214, 170, 176), None)
        elif species == "cow":
            pen.disc(x + side * r * 1.08, y - r * 0.35, r * 0.36, r * 0.2, tone(coat, 0.8))
            horn = [(x + side * r * 0.45, y - r * 0.85), (x + side * r * 0.75, y - r * 1.4)]
            pen.stroke(horn, r * 0.2, (232, 220, 180), edge=True)
        elif species == "pig":
            tip = (x + side * r * 0.95, y - r * 1.15)
            pen.poly([(x + side * r * 0.25, y - r * 0.8), tip, (x + side * r * 0.9, y - r * 0.3)],
                     tone(coat, 0.88))  # fmt: skip


def _muzzle(
    pen: Pen, species: str, coat: Colour, x: float, y: float, r: float, rng: np.random.Generator
) -> None:
    """Head of `species` about (x, y)."""
    _ears(pen, species, coat, x, y, r)
    face = tone(INK, 1.2) if species == "sheep" else coat
    pen.disc(x, y, r, r * (1.1 if species in ("cow", "sheep") else 0.95), face)
    if species == "fox":
        pen.blob([(x - r * 0.8, y + r * 0.2), (x, y + r * 0.1), (x + r * 0.8, y + r * 0.2),
                  (x, y + r * 0.9)], WHITE, None)  # fmt: skip
    for side in (-1, 1):
        _eye(pen, x + side * r * 0.4, y - r * 0.15, r * 0.2, rng)
        if species == "dog":
            ear = [(x + side * r * 0.6, y - r * 0.85), (x + side * r * 1.2, y - r * 0.3),
                   (x + side * r * 1.15, y + r * 0.5), (x + side * r * 0.82, y)]  # fmt: skip
            pen.blob(ear, tone(coat, 0.62))
    if species == "elephant":
        curve = smooth([(x, y + r * 0.2), (x + 2, y + r), (x + 3, y + r * 1.7),
                        (x + 12, y + r * 2)], closed=False)  # fmt: skip
        pen.stroke(curve, r * 0.5, coat, edge=True)
    elif species in ("cow", "pig"):
        pink = tone((240, 150, 150), 0.95)
        pen.disc(x, y + r * 0.52, r * (0.75 if species == "cow" else 0.48), r * 0.4, pink)
        for side in (-1, 1):
            pen.disc(x + side * r * 0.22, y + r * 0.5, r * 0.1, r * 0.14, (120, 50, 60), None)
    elif species == "sheep":
        pen.disc(x, y - r * 0.95, r * 0.72, r * 0.4, WHITE)
        pen.stroke([(x - r * 0.2, y + r * 0.55), (x + r * 0.2, y + r * 0.55)], 1.4, WHITE)
    else:
        pen.disc(x, y + r * 0.42, r * 0.48, r * 0.36, tone(face, 1.45))
        pen.disc(x, y + r * 0.25, r * 0.2, r * 0.15, INK, None)
        pen.stroke([(x, y + r * 0.3), (x, y + r * 0.6)], 1.2, INK)
        if species == "cat":
            for side in (-1, 1):
                for dy in (0.3, 0.5):
                    pen.stroke([(x + side * r * 0.5, y + r * 0.4),
                                (x + side * r * 1.25, y + r * dy)], 0.9, WHITE)  # fmt: skip


@drawer("animal", 1.1)
def bird(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a duck, hen or songbird from the side."""
    coat, beak = pick(rng, (WHITE, vivid(rng), vivid(rng), (90, 70, 60))), (244, 168, 40)
    pen.layer("animal_part")
    for x in (50, 60):
        pen.stroke([(x, 78), (x, 96)], 3, tone(beak, 0.9), edge=True)
        pen.stroke([(x - 1, 96), (x + 8, 97)], 3, tone(beak, 0.9))
    pen.poly([(30, 52), (4, 36), (6, 50), (3, 60), (32, 66)], tone(coat, 0.75))
    pen.blob([(20, 55), (45, 47), (72, 42), (88, 54), (78, 76), (50, 84), (28, 74)], coat)
    pen.blob([(30, 56), (50, 53), (66, 60), (48, 74), (26, 68)], tone(coat, 0.8))
    pen.stroke([(78, 54), (82, 40)], 14, coat)
    pen.layer("animal_head")
    if rng.random() < 0.4:
        for x in (74, 80, 86):
            pen.disc(x, 9, 4.5, fill=(214, 44, 40))
    pen.poly([(94, 20), (109, 27), (94, 34)], beak)
    pen.disc(82, 26, 16, fill=tone(coat, 0.95))
    _eye(pen, 87, 23, 4, rng)
    pen.disc(86, 33, 3, 2, (240, 150, 140), None)
