"""Earth mover's distance: what it costs to carry one map's mass to where the other has it."""

import numpy as np
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

from ..registry import lacking
from .maps import Maps, score
from .rows import Rows
from .table import metric

PIVOTS = 10**8  # of the simplex at most; the library's own limit ends maps of 64 cells too early
ROUNDING = 1e-15  # share of the mass below which two cells' masses are the same


def area_weights(n_in: int, n_out: int) -> Tensor:
    """Return (n_out, n_in), float64: the share of each pixel that lies in each of equal cells."""
    edge = torch.arange(n_out + 1, dtype=torch.float64)[:, None] * (n_in / n_out)
    pixel = torch.arange(n_in, dtype=torch.float64)
    both = torch.minimum(edge[1:], pixel + 1) - torch.maximum(edge[:-1], pixel)
    return both.clamp(min=0)


def cells_of(size: tuple[int, int], grid: int) -> tuple[int, int]:
    """Return rows and columns of a grid of nearly square cells, `grid` along the longer side."""
    if grid < 1:
        raise ValueError(f"grid must be at least 1 cell, not {grid}")
    cells = [max(1, round(n * grid / max(size))) for n in size]
    return min(cells[0], size[0]), min(cells[1], size[1])


def _carried(p: np.ndarray, q: np.ndarray, place: np.ndarray) -> float:
    """Cost of turning distribution `p` (n,) into `q` (n,), at places (n, 2)."""
    if np.isnan(p).any() or np.isnan(q).any():
        return np.nan
    # What both have in a cell can stay there, since a detour is never shorter than the way itself.
    surplus = p - q
    give, take = surplus > ROUNDING, surplus < -ROUNDING
    if not (give.any() and take.any()):
        return 0.0
    try:
        import ot  # takes a second, which only those who want an EMD shall wait
    except ModuleNotFoundError as error:
        raise lacking(error, "emd") from error

    ways = cdist(place[give], place[take])
    cost, log = ot.emd2(surplus[give], -surplus[take], ways, numItermax=PIVOTS, log=True)
    if log["warning"]:  # a program that is not solved is no distance
        raise RuntimeError(f"no earth mover's distance was found: {log['warning']}")
    return float(cost)


@metric("density", label="EMD", unit="pixels", better="lower")
def emd(saliency: Maps, density: Maps, grid: int = 32) -> Tensor:
    """Earth mover's distance: mean way, in pixels, of turning one map into the other.

    EMD = min over T ≥ 0 of Σ_ij T_ij |x_i − x_j|, where T carries the saliency map's mass to where
    the density has it; both are read as distributions as in `sim(form="plain")`, and |x_i − x_j| is
    the Euclidean distance of cells' centres in pixels of the map.

    The maps are first shrunk to at most `grid` cells along the longer side, by summing the mass in
    each cell (a cut pixel's mass is shared by area), and lies at the cell's centre then: that moves
    it by half a cell's diagonal at most, so the score is off by a diagonal at most (28 pixels for
    480×640 maps at 32 cells) and by far less for smooth maps, where the shifts cancel. A grid as
    large as the map keeps every pixel. The linear program is solved exactly, by the network simplex
    of POT (Flamary et al. 2021, JMLR 22(78)), in 0.01 to 0.02 seconds a map at 32 cells and some 50
    times that at 64.

    Unit: pixels of the maps given. Range: 0 for equal maps, at most their diagonal; symmetric.
    A NaN or an infinite value in a map: NaN. A map of zeros counts as uniform.

    Args:
        saliency: map (H, W) or (B, H, W), tensor or array.
        density: map of the same size, usually blurred fixations (see `density`).
        grid: number of cells along the longer side.

    Returns:
        float64 scalar tensor or (B,).

    Raises:
        ValueError: sizes differ, or `grid` is below 1.
        RuntimeError: the solver gave up.

    Source: Rubner, Tomasi & Guibas 2000, IJCV 40, 99–121; Bylinskii et al. 2019, IEEE TPAMI 41,
    740–757 (the MIT benchmark's code shrinks maps, too, and solves it with whole numbers).
    """

    def rows(saliency: Rows, density: Rows) -> Tensor:
        size = saliency.size
        inner = cells_of(size, grid)
        down, across = (area_weights(n, m) for n, m in zip(size, inner, strict=True))

        def shrunk(rows: Rows) -> np.ndarray:
            maps = rows.masses.values.cpu().double().unflatten(-1, size)
            cells = (down @ maps @ across.T).flatten(1)
            return (cells / cells.sum(-1, keepdim=True)).numpy()

        centres = ((np.arange(m) + 0.5) * (n / m) for n, m in zip(size, inner, strict=True))
        place = np.stack(np.meshgrid(*centres, indexing="ij"), -1).reshape(-1, 2)
        found = [
            _carried(p, q, place) for p, q in zip(*map(shrunk, (saliency, density)), strict=True)
        ]
        return torch.tensor(found, dtype=torch.float64, device=saliency.values.device)

    return score(rows, saliency=saliency, density=density)
