"""Colours in the cone-opponent space of Derrington, Krauskopf & Lennie, as the GBVS toolbox has it.

A. M. Derrington, J. Krauskopf, P. Lennie, "Chromatic mechanisms in lateral geniculate nucleus of
macaque", Journal of Physiology 357, 1984. The constants are a calibrated monitor's, which the
toolbox has from the iLab Neuromorphic Vision Toolkit.
"""

from functools import lru_cache
from math import hypot, sqrt

import numpy as np
import torch
from torch import Tensor

LUMINANCE = """
    1.92  1.92    0.96    1.935 1.975 0.96625    1.975  2.07  0.9725   2.0125  2.22   0.985
    2.05  2.42  0.9975    2.125 2.695    1.02    2.225 2.935  1.0525    2.305 3.315   1.085
   2.435 3.785   1.145     2.64 4.455  1.2125      2.9   5.5   1.335     3.27     7   1.475
   3.805     9  1.6825      4.5  11.6    1.95     5.25  14.4  2.1875     6.15  17.4  2.4775
    7.05 20.65   2.775        8  24.2   3.125     9.15  28.3   3.525     10.4  32.7    3.95
    11.8  37.6   4.425    13.35  43.2    4.95    15.15  49.2     5.5       17  55.5     6.1
   19.05  62.5   6.725     21.2    70     7.4     23.6    78   8.125    25.95    86     8.8
   28.35    94   9.475     30.7   102  10.125     33.1   110    10.8    35.55 117.5  11.425
   37.95   125      12    39.95 132.5    12.6     42.1 139.5  13.125    44.05   146  13.675
   45.85   152  14.125    47.85   158  14.675    49.55   164  15.175     51.5   169   15.65
      53   174  16.125     54.5   180   16.55       56 184.5   17.05       58 189.5    17.5
    59.5   195  18.075     61.5 201.5   18.65       64   208   19.25       66 214.5    19.8
    68.5 222.5  20.475       71   231  21.325     73.5   240   21.95       77 249.5    22.7
"""  # of R, G, B in cd/m² at grey levels 0, 5, … 255; the toolbox has it over that of 255, by level
CONES = (  # what full R, G and B excite in L, M and S cones
    (18.32535, 44.60077, 7.46216),
    (4.09544, 28.20135, 6.66066),
    (0.02114, 0.10325, 1.05258),
)
GREY = (34.9185389578, 19.3147966765, 0.5856108185)  # what the background excites in L, M, S
UNIT = (0.5774, 2.7525, 0.4526)  # scale of the three axes


def dkl_colour(level: Tensor) -> Tensor:
    """Return luminance, L − M and S − (L + M), 0 for the background's grey: (B, 3, h, w), float64.

    level: (B, ≥ 3, h, w), R, G, B in [0, 1], float32. The toolbox reads row ⌈255 v⌉ of a table
    whose rows count from 1. As float32 rounds k / 255 up for all k from 1 to 254, these are shown
    as they are; white is shown as 254, and what lies between two levels as the lower.
    """
    shown = (255 * level[:, :3].double()).ceil().long().clamp(1, 256) - 1
    guns, background = (x.to(level.device) for x in opponent_table())
    return (sum(guns[c][shown[:, c]] for c in range(3)) - background).movedim(-1, 1)


@lru_cache(maxsize=1)
def opponent_table() -> tuple[Tensor, Tensor]:
    """Return each gun's part of the three axes by grey level (3, 256, 3), and the background's."""
    long, middle, short = GREY
    chroma = hypot(long, middle)
    axes = [
        [sqrt(3), sqrt(3), 0],
        [chroma / long, -chroma / middle, 0],
        [-1, -1, (long + middle) / short],
    ]
    axes = np.array(UNIT)[:, None] * axes / (long + middle)
    guns = response().T[:, :, None] * (axes @ CONES).T[:, None]
    return torch.from_numpy(guns), torch.from_numpy(axes @ GREY)


def response() -> np.ndarray:
    """Return the light of R, G, B at each of 256 grey levels, full 1: (256, 3).

    To five digits, as in the toolbox: at low contrast, grey images have no colour but these digits.
    """
    knots = np.array(LUMINANCE.split(), dtype=float).reshape(52, 3)
    levels = [np.interp(np.arange(256), np.arange(0, 256, 5), gun / gun[-1]) for gun in knots.T]
    return np.vectorize(lambda x: float(f"{x:.5g}"))(np.stack(levels, 1))
