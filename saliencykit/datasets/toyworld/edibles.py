"""Things to eat and to drink."""

import numpy as np

from .pen import INK, WHITE, Pen, drawer, hsv, pick, ring, smooth, tone, vivid

CRUST = (214, 158, 86)
LEAF = (70, 150, 66)
GLASS, RIM = (206, 228, 238, 190), (110, 140, 156)


@drawer("food", 0.95)
def pizza(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a slice of pizza."""
    pen.poly([(8, 20), (87, 20), (48, 97)], (250, 206, 92))
    pen.stroke(smooth([(7, 18), (48, 9), (88, 18)], closed=False), 12, CRUST, edge=True)
    for x, y in ((34, 36), (60, 38), (47, 58), (50, 77)):
        pen.disc(x + rng.uniform(-3, 3), y, rng.uniform(6, 8), fill=(198, 50, 40))
    for _ in range(4):
        x = rng.uniform(32, 64)
        pen.disc(x, rng.uniform(30, 62), 2.6, 1.6, LEAF, None)


@drawer("food", 1.15)
def burger(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a hamburger."""
    pen.box(10, 74, 105, 96, CRUST, 10)
    pen.box(8, 60, 107, 76, (110, 62, 40), 7)
    pen.poly([(8, 58), (107, 58), (86, 68), (72, 60), (40, 70), (28, 60)], (252, 200, 60))
    wave = [(6 + 8.6 * k, 54 + (4 if k % 2 else -2)) for k in range(13)]
    pen.stroke(smooth(wave, closed=False), 7, (110, 186, 70), edge=True)
    pen.box(10, 42, 105, 51, (214, 56, 44), 4)
    pen.pie(57, 44, 50, 40, 180, 360, tone(CRUST, 0.95), cut=True)
    for _ in range(9):
        pen.disc(rng.uniform(30, 84), rng.uniform(14, 34), 2.4, 1.6, (252, 234, 190), None)


@drawer("food", 0.92)
def apple(pen: Pen, rng: np.random.Generator) -> None:
    """Draw an apple, perhaps bitten."""
    skin = pick(rng, ((210, 36, 40), (130, 190, 50), (240, 190, 60)))
    pen.blob([(46, 30), (66, 22), (86, 38), (82, 74), (60, 96), (46, 92), (32, 96), (10, 74),
              (6, 38), (26, 22)], skin)  # fmt: skip
    pen.stroke(smooth([(46, 32), (48, 18), (56, 7)], closed=False), 4, (96, 62, 40))
    pen.blob([(52, 18), (66, 8), (80, 10), (68, 20)], LEAF)
    pen.disc(26, 44, 6, 10, tone(skin, 1.55), None)


@drawer("food", 1.1)
def cake(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a slice of layered cake with a cherry."""
    cream = hsv(rng.random(), rng.uniform(0.25, 0.5), 0.98)
    sponge = pick(rng, (CRUST, (96, 58, 40)))
    pen.poly([(6, 46), (104, 46), (104, 94), (6, 94)], sponge)
    for y in (58, 76):
        pen.box(6, y, 104, y + 7, cream, 0, None)
    pen.poly([(6, 46), (38, 26), (104, 38), (104, 50), (6, 50)], cream)
    for x in range(14, 104, 14):
        pen.disc(x, 50, 6, 7, cream, None)
    pen.disc(58, 22, 11, fill=(208, 28, 48))
    pen.stroke(smooth([(58, 13), (62, 6), (70, 3)], closed=False), 2.2, (70, 100, 40))


@drawer("food")
def doughnut(pen: Pen, rng: np.random.Generator) -> None:
    """Draw an iced doughnut with sprinkles."""
    icing = pick(rng, ((244, 140, 180), (92, 54, 38), (250, 244, 232), (140, 200, 220)))
    pen.disc(50, 52, 46, 44, CRUST)
    pen.blob(ring(50, 50, 41, 38, 12) + rng.uniform(-2.5, 2.5, (12, 2)), icing)
    pen.disc(50, 50, 16, 14, tone(CRUST, 0.6))
    pen.disc(50, 53, 13, 11, tone(CRUST, 0.35), None)
    for x, y in ring(50, 50, 29, 27, 14, rng.random()) + rng.uniform(-5, 5, (14, 2)):
        dx, dy = rng.uniform(-3, 3, 2)
        pen.stroke([(x - dx, y - dy), (x + dx, y + dy)], 2.8, vivid(rng))


@drawer("food", 0.6)
def ice_cream(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a cone with scoops."""
    pen.poly([(12, 50), (48, 50), (30, 98)], CRUST)
    for k in (0.3, 0.6):
        pen.stroke([(12 + 18 * k, 50 + 48 * k), (48 - 9 * k, 50 + 24 * k)], 1.4, tone(CRUST, 0.7))
        pen.stroke([(48 - 18 * k, 50 + 48 * k), (12 + 9 * k, 50 + 24 * k)], 1.4, tone(CRUST, 0.7))
    for x, y in ((19, 40), (41, 40), (30, 22)):
        pen.disc(x, y, 16, fill=hsv(rng.random(), rng.uniform(0.1, 0.5), 0.97))
    pen.disc(30, 6, 5, fill=(208, 28, 48))


@drawer("food", 1.2)
def banana(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a bunch of bananas."""
    for turn in (14, 0):
        pen.blob([(14, 12), (22, 10), (34, 44 - turn), (66, 64 - turn), (108, 58 - turn),
                  (114, 66 - turn), (88, 92 - turn), (46, 86 - turn), (18, 52)],
                 (252, 216, 60))  # fmt: skip
    pen.stroke([(17, 14), (14, 4)], 6, (120, 92, 40))
    pen.disc(110, 62, 4, fill=(90, 66, 36))


@drawer("food", 1.3)
def melon(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a slice of watermelon."""
    pen.pie(65, 16, 62, 80, 0, 180, (50, 130, 60), cut=True)
    pen.pie(65, 16, 55, 71, 0, 180, (226, 240, 190), cut=True)
    pen.pie(65, 16, 50, 65, 0, 180, (232, 66, 72), cut=True)
    for x, y in ((40, 32), (65, 30), (90, 32), (52, 50), (78, 50), (65, 66)):
        pen.disc(x, y, 2.4, 4, INK, None)


@drawer("drink", 0.55)
def wine(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a glass of wine."""
    drink = pick(rng, ((140, 20, 50), (240, 210, 120), (236, 130, 130)))
    pen.blob([(8, 4), (47, 4), (46, 34), (27, 54), (9, 34)], GLASS, RIM)
    pen.pie(27.5, 27, 17.5, 23, 0, 180, drink, cut=True)
    pen.stroke([(27.5, 52), (27.5, 92)], 3, (150, 176, 190))
    pen.disc(27.5, 94, 16, 4, (186, 208, 218))
    pen.stroke([(15, 10), (15, 34)], 2.4, WHITE)


@drawer("drink", 1.05)
def mug(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a steaming mug."""
    china = pick(rng, (WHITE, vivid(rng), vivid(rng)))
    pen.arc(76, 62, 20, 260, 460, 7, tone(china, 0.8))
    pen.box(12, 36, 78, 96, china, 9)
    pen.disc(45, 37, 33, 8, tone(china, 0.85))
    pen.disc(45, 38, 28, 5.6, (90, 54, 34))
    for x in (32, 56):
        steam = smooth([(x, 27), (x + 6, 20), (x - 3, 12), (x + 3, 4)], closed=False)
        pen.stroke(steam, 4, (236, 238, 242))
    pen.box(14, 60, 76, 70, tone(china, 0.6), 0, None)


@drawer("drink", 0.36)
def bottle(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a bottle with a label."""
    glass = pick(rng, ((40, 110, 60), (120, 66, 30), (170, 210, 226), (150, 30, 40)))
    pen.blob([(13, 8), (23, 8), (23, 30), (32, 46), (32, 92), (18, 98), (4, 92), (4, 46), (13, 30)],
             glass)  # fmt: skip
    pen.box(12, 2, 24, 10, pick(rng, ((200, 160, 60), (190, 40, 40), WHITE)), 2)
    pen.box(4, 56, 32, 80, (246, 240, 224), 1)
    pen.box(8, 63, 28, 72, vivid(rng), 1, None)
    pen.stroke([(9, 48), (9, 88)], 2, tone(glass, 1.5))


@drawer("drink", 0.58)
def can(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a drinks can."""
    paint = vivid(rng)
    pen.disc(29, 92, 22, 6, (150, 154, 160))
    pen.box(5, 14, 53, 92, paint, 5)
    pen.blob([(5, 60), (20, 44), (38, 56), (53, 40), (53, 60), (36, 74), (20, 62), (5, 78)],
             pick(rng, (WHITE, tone(paint, 1.6))), None)  # fmt: skip
    pen.disc(29, 13, 23, 8, (204, 208, 214))
    pen.disc(29, 12, 8, 3, (120, 124, 130))
    pen.stroke([(12, 24), (12, 86)], 3, tone(paint, 1.5))


@drawer("drink", 0.85)
def cocktail(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a cocktail with an olive or a slice of orange."""
    drink = hsv(rng.random(), 0.6, 0.95)
    pen.poly([(4, 12), (81, 12), (43, 58)], GLASS, RIM)
    pen.poly([(14, 22), (71, 22), (43, 56)], drink, None)
    pen.stroke([(42.5, 56), (42.5, 92)], 3.4, (150, 176, 190))
    pen.disc(42.5, 94, 20, 4.5, (186, 208, 218))
    pen.pie(70, 12, 12, 12, 0, 360, (250, 160, 40))
    pen.disc(70, 12, 8, fill=(255, 206, 110), edge=None)
    pen.stroke([(40, 40), (26, 3)], 2.4, (220, 60, 70))


@drawer("drink", 0.6)
def juice(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a tall glass with a straw."""
    drink = pick(rng, ((250, 160, 40), (220, 60, 60), (140, 80, 40), (150, 200, 80)))
    level = rng.uniform(0.12, 0.35)
    pen.poly([(8, 22), (52, 22), (46, 97), (14, 97)], GLASS, RIM)
    top = 22 + 75 * level
    pen.poly([(8 + 6 * level, top), (52 - 6 * level, top), (46, 97), (14, 97)], drink)
    pen.stroke([(28, 80), (38, 14), (52, 4)], 4, pick(rng, ((220, 50, 60), (50, 120, 210))))
    for _ in range(2):
        x, y = rng.uniform(18, 32), rng.uniform(44, 70)
        pen.box(x, y, x + 11, y + 11, tone(drink, 1.45), 2)
    pen.stroke([(14, 30), (18, 88)], 2.2, WHITE)
