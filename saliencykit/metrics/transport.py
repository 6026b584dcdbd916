"""Earth mover's distance: what it costs to carry one map's mass to where the other has it.

The linear program has a variable for every pair of cells, but few of them carry anything. So only
some pairs enter the program at first. Its dual prices say which of the others would make it
cheaper; they are added until there are none, and then the solution is that of the whole program.
"""

import numpy as np
import torch
from scipy.optimize import linprog
from scipy.sparse import csr_matrix
from scipy.spatial.distance import cdist
from torch import Tensor

from .maps import Maps, score
from .rows import Rows
from .table import metric

SOLVERS = ("highs-ds", "highs-ipm")  # the second where the first gives up
NEAREST = 12  # partners that each cell starts with
ADDED = 4  # partners that each cell may be given in a round
BLUR, ROUGHLY = 0.02, 200  # of the rough plan: in units of the largest distance; iterations
TOLERANCE = 1e-7  # by how much a price may be wrong, in units of the largest distance
ROUNDING = 1e-15  # share of the mass below which two cells' masses are the same


def area_weights(n_in: int, n_out: int) -> Tensor:
    """Return (n_out, n_in), float64: the share of each pixel that lies in each of equal cells."""
    edges = torch.arange(n_out + 1, dtype=torch.float64) * (n_in / n_out)
    pixel = torch.arange(n_in, dtype=torch.float64)
    return (edges[1:, None].clamp(max=n_in) - pixel).clamp(0, 1) - (edges[:-1, None] - pixel).clamp(
        0, 1
    )


def cells_of(size: tuple[int, int], grid: int) -> tuple[int, int]:
    """Return rows and columns of a grid of nearly square cells, `grid` along the longer side."""
    if grid < 1:
        raise ValueError(f"grid must be at least 1 cell, not {grid}")
    cells = [max(1, round(n * grid / max(size))) for n in size]
    return min(cells[0], size[0]), min(cells[1], size[1])


def _solve(amount: np.ndarray, cost: np.ndarray, open_: np.ndarray) -> tuple[float, np.ndarray]:
    """Solve the program of the open pairs; return its cost and the dual prices of all cells.

    Each cell may also get rid of its amount, at a price: two cells pay more for that than any pair
    costs, so it is never the cheapest, and there is always a solution, whatever rounding does to
    the sums.
    """
    n, m = cost.shape
    source, sink = np.nonzero(open_)
    pairs, every = np.arange(len(source)), np.arange(n + m)
    row = np.concatenate([source, n + sink, every])
    column = np.concatenate([pairs, pairs, len(pairs) + every])
    ones = csr_matrix((np.ones(len(row)), (row, column)), shape=(n + m, len(pairs) + n + m))
    price = np.concatenate([cost[source, sink], np.ones(n + m)])
    for method in SOLVERS:
        program = linprog(price, A_eq=ones, b_eq=amount, method=method)
        if program.status == 0:
            return program.fun, program.eqlin.marginals
    raise RuntimeError(f"the solver found no earth mover's distance: {program.message}")


def _blurred_plan(supply: np.ndarray, demand: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Return roughly who carries to whom (n, m), by Sinkhorn's iteration (Cuturi 2013)."""
    kernel = np.exp(-cost / BLUR)
    give, take = np.ones_like(supply), np.ones_like(demand)
    for _ in range(ROUGHLY):
        give = supply / (kernel @ take)
        take = demand / (kernel.T @ give)
    return give[:, None] * kernel * take


def transport_cost(supply: np.ndarray, demand: np.ndarray, cost: np.ndarray) -> float:
    """Return the least cost of carrying `supply` (n,) to `demand` (m,), of equal sums.

    cost: (n, m), of carrying one unit. Exact up to `TOLERANCE` times the largest cost.
    """
    scale, mass, n = cost.max(), supply.sum(), len(supply)
    if scale == 0 or mass == 0:
        return 0.0
    # The solver's own tolerances are absolute, so amounts are brought to about 1 a cell.
    cost, unit = cost / scale, mass / sum(cost.shape)
    supply, demand = supply / unit, demand * (mass / demand.sum() / unit)
    amount = np.concatenate([supply, demand])
    plan = _blurred_plan(supply, demand, cost)
    open_ = _cheapest(-plan, NEAREST) | _cheapest(-plan.T, NEAREST).T
    while True:
        total, price = _solve(amount, cost, open_)
        saved = price[:n, None] + price[n:] - cost
        if not (wanted := saved > TOLERANCE).any():
            return float(total * scale * unit)
        best = _cheapest(-saved, ADDED) | _cheapest(-saved.T, ADDED).T
        open_ |= wanted & best


def _cheapest(cost: np.ndarray, k: int) -> np.ndarray:
    """Mark the `k` cheapest entries of each row."""
    marked = np.zeros(cost.shape, dtype=bool)
    k = min(k, cost.shape[1])
    np.put_along_axis(marked, np.argpartition(cost, k - 1, axis=1)[:, :k], True, axis=1)
    return marked


def _carried(p: np.ndarray, q: np.ndarray, place: np.ndarray) -> float:
    """Cost of turning distribution `p` (n,) into `q` (n,), at places (n, 2)."""
    if np.isnan(p).any() or np.isnan(q).any():
        return np.nan
    # What both have in a cell can stay there, since a detour is never shorter than the way itself.
    surplus = p - q
    give, take = surplus > ROUNDING, surplus < -ROUNDING
    if not (give.any() and take.any()):
        return 0.0
    return transport_cost(surplus[give], -surplus[take], cdist(place[give], place[take]))


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
    large as the map keeps every pixel. The linear program is solved by HiGHS, to 1e-7 of the
    longest distance, in 0.2 to 0.6 seconds a map at 32 cells; the time grows steeply with `grid`.

    Unit: pixels of the maps given. Range: 0 for equal maps, at most their diagonal; symmetric.
    A NaN in a map: NaN. A map of zeros counts as uniform.

    Args:
        saliency: map (H, W) or (B, H, W), tensor or array.
        density: map of the same size, usually blurred fixations (see `density`).
        grid: number of cells along the longer side.

    Returns:
        float64 scalar tensor or (B,).

    Raises:
        ValueError: sizes differ, or `grid` is below 1.

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
