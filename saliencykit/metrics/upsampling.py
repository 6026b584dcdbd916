"""Numbers about bilinearly upsampled maps, computed without upsampling.

A map A (h, w) brought to (H, W) by bilinear interpolation (`align_corners=False`) is linear in A:
U = Uy A Uxᵀ, where Uy (H, h) and Ux (W, w) have at most two entries a row. Hence

- the value at a pixel reads four cells of A, so the sum over fixations F (H, W) is ⟨Uyᵀ F Ux, A⟩;
- the mean over pixels is (1ᵀUy) A (Uxᵀ1) / HW;
- the mean square is ⟨(UyᵀUy) A (UxᵀUx), A⟩ / HW, whose Gram matrices are tridiagonal. Their
  Cholesky factors have two diagonals, so it is also the squared norm of A after adding to each
  cell a multiple of its neighbour, once along x and once along y: cheap, and never negative.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

Size = tuple[int, int]


def size_of(maps: Tensor) -> Size:
    """Return height and width of maps (…, H, W)."""
    height, width = maps.shape[-2:]
    return height, width


@lru_cache(maxsize=256)
@torch.inference_mode(False)  # kept for later calls, which may need gradients
def taps(n_in: int, n_out: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return, for each of `n_out` pixels, the two cells it reads and the second one's weight.

    Shapes (n_out,): int64, int64, and float64 in [0, 1). The first weight is one minus the second.
    """
    if n_in < 1 or n_out < 1:
        raise ValueError(f"cannot resize {n_in} cells to {n_out} pixels")
    centre = (torch.arange(n_out, dtype=torch.float64) + 0.5) * (n_in / n_out) - 0.5
    centre = centre.clamp(0, n_in - 1)
    first = centre.floor().long()
    return first, (first + 1).clamp(max=n_in - 1), centre - first


def upsampler(n_in: int, n_out: int) -> Tensor:
    """Return U (n_out, n_in), float64: U @ a is `a` interpolated to `n_out` pixels.

    Equal to torch.nn.functional.interpolate(mode="bilinear", align_corners=False), also for
    n_out < n_in (no antialiasing). Raises ValueError for an empty axis.
    """
    first, second, weight = taps(n_in, n_out)
    row = torch.arange(n_out)
    matrix = torch.zeros(n_out, n_in, dtype=torch.float64)
    matrix.index_put_((row, first), 1 - weight, accumulate=True)
    return matrix.index_put_((row, second), weight, accumulate=True)


@lru_cache(maxsize=256)
@torch.inference_mode(False)  # kept for later calls, which may need gradients
def _axis(
    n_in: int, n_out: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean weights (n,), and diagonals (n,), (n-1,) of L, where LᵀL is the Gram matrix / n_out.

    When shrinking, some cells are read by no pixel and the Gram matrix is singular; a vanishing
    pivot then means that the rest of its row vanishes too, so its row of L is zero.
    """
    up = upsampler(n_in, n_out)
    gram = up.T @ up / n_out
    diagonal, neighbours = gram.diagonal().tolist(), gram.diagonal(1).tolist()
    main, upper, carried = [], [], 0.0
    for i, d in enumerate(diagonal):
        pivot = d - carried**2
        main.append(pivot**0.5 if pivot > 1e-14 * d else 0.0)
        if i < n_in - 1:
            carried = neighbours[i] / main[i] if main[i] else 0.0
            upper.append(carried)
    own, beside = (torch.tensor(band, dtype=torch.float64) for band in (main, upper))
    return up.mean(0).to(device, dtype), own.to(device, dtype), beside.to(device, dtype)


def mean_weights(inner: Sequence[int], size: Size, like: Tensor) -> Tensor:
    """Return (h, w), summing to 1: its dot product with a map is the upsampled map's mean."""
    (h, w), (height, width) = inner, size
    rows, columns = (_axis(n, m, like.dtype, like.device)[0] for n, m in ((h, height), (w, width)))
    return rows[:, None] * columns


def mean_square(maps: Tensor, size: Size) -> Tensor:
    """Return the mean square (...) of `maps` (..., h, w) upsampled to `size`; differentiable."""
    (own_x, beside_x), (own_y, beside_y) = _factors(maps.shape[-2:], size, maps.dtype, maps.device)
    cells, w = maps.flatten(-2), maps.shape[-1]
    along_x = cells * own_x
    along_x[..., :-1].addcmul_(cells[..., 1:], beside_x)
    along_y = along_x * own_y
    along_y[..., :-w].addcmul_(along_x[..., w:], beside_y)
    return torch.linalg.vector_norm(along_y, dim=-1).square()


@lru_cache(maxsize=256)
@torch.inference_mode(False)  # kept for later calls, which may need gradients
def _factors(
    inner: Size, size: Size, dtype: torch.dtype, device: torch.device
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """What each cell of a flattened map counts, and its neighbour; along x (hw,), (hw-1,), then y.

    Rows are laid end to end, which is faster than going through them one by one where they are
    short; a row's last cell counts its neighbour, the next row's first, 0 times.
    """
    (h, w), (height, width) = inner, size
    _, ay, by = _axis(h, height, dtype, device)
    _, ax, bx = _axis(w, width, dtype, device)
    beside_x = torch.cat([bx, bx.new_zeros(1)]).repeat(h)[:-1]
    return (ax.repeat(h), beside_x), (ay.repeat_interleave(w), by.repeat_interleave(w))


@torch.no_grad()
def centre(maps: Tensor, size: Size) -> Tensor:
    """Return (...), the upsampled means of `maps` (..., h, w) up to rounding: to subtract first.

    Interpolation keeps constants, so numbers about maps far from zero are computed on what is left
    after this, where rounding is as small as the map's variation.
    """
    return maps.flatten(-2) @ mean_weights(maps.shape[-2:], size, maps).flatten()


def centred_moments(maps: Tensor, size: Size) -> tuple[Tensor, Tensor]:
    """Return `moments` of maps from which `centre` was subtracted (the mean is rounding only)."""
    mean = maps.flatten(-2) @ mean_weights(maps.shape[-2:], size, maps).flatten()
    square = mean_square(maps, size)
    variance = square - mean.square()
    # Where a map varies by no more than the rounding of its mean, this difference is inexact.
    drifted = mean.square() > 1e-3 * square
    if drifted.any():
        rest = _variance_of_drifted(maps[drifted], mean[drifted].detach(), size)
        variance = variance.index_put((drifted,), rest)
    return mean, variance


def _variance_of_drifted(maps: Tensor, mean: Tensor, size: Size) -> Tensor:
    """Variance (n,) of maps (n, h, w) that are constant, or nearly so beside their `mean`."""
    variance = mean_square(maps - mean[:, None, None], size)
    flat = maps.detach().flatten(1)
    constant = flat.amin(1) == flat.amax(1)
    # What is left of a map that only unread cells vary (n_out < n_in) is rounding, not variance.
    noise = 4 * torch.finfo(maps.dtype).eps * mean.square()
    return variance.masked_fill(constant | (variance <= noise), 0)


def divisor(variance: Tensor) -> Tensor:
    """Return the standard deviation to divide by: infinite for a constant map, which scores 0."""
    return variance.masked_fill(variance == 0, torch.inf).sqrt()


def moments(maps: Tensor, size: Size) -> tuple[Tensor, Tensor]:
    """Return mean and variance (ddof 0), each (...), of `maps` (..., h, w) upsampled to `size`.

    Exact up to rounding, without upsampling, and differentiable. The variance of a constant map is
    exactly 0; a map holding NaN or infinities gives NaN.
    """
    shift = centre(maps, size)
    mean, variance = centred_moments(maps - shift[..., None, None], size)
    return shift + mean, variance


def pull_back(
    x: Tensor, y: Tensor, weight: Tensor, owner: Tensor, n_maps: int, size: Size, inner: Size
) -> Tensor:
    """Return (n_maps, h, w) float32: Uyᵀ F Ux of sparse fixation maps F, by scatter-add.

    x, y: (N,) pixel coordinates in images of `size` (H, W); weight: (N,) what each fixation counts;
    owner: (N,) int, which map it belongs to; inner: (h, w). ⟨pulled, A⟩ is the weighted sum of the
    upsampled A at the fixations. Raises IndexError for a fixation outside the image.
    """
    (height, width), (h, w) = size, inner
    x, y = x.detach().cpu().floor().long(), y.detach().cpu().floor().long()
    owner, weight = owner.cpu().long(), weight.cpu().double()
    for name, index, end in (("x", x, width), ("y", y, height), ("owner", owner, n_maps)):
        if len(index) and (int(index.min()) < 0 or int(index.max()) >= end):
            raise IndexError(
                f"{name} of the fixations runs from {index.min()} to {index.max()}; "
                f"it must lie in 0 … {end - 1}"
            )
    columns, rows = taps(w, width), taps(h, height)
    pulled = torch.zeros(n_maps * h * w)
    for cell_y, part_y in ((rows[0], 1 - rows[2]), (rows[1], rows[2])):
        for cell_x, part_x in ((columns[0], 1 - columns[2]), (columns[1], columns[2])):
            cell = (owner * h + cell_y[y]) * w + cell_x[x]
            pulled.index_add_(0, cell, (weight * part_y[y] * part_x[x]).float())
    return pulled.view(n_maps, h, w)


def pull_back_maps(fixations: Tensor, inner: Size) -> Tensor:
    """Return (R, h, w) float32: `pull_back` of count maps (R, H, W), dense or sparse COO."""
    if fixations.ndim != 3:
        raise ValueError(f"count maps must be (R, H, W), not {tuple(fixations.shape)}")
    if fixations.layout == torch.strided:
        index = fixations.nonzero(as_tuple=True)
        owner, y, x = index
        weight = fixations[index]
    else:
        sparse = fixations.to_sparse().coalesce()
        (owner, y, x), weight = sparse.indices(), sparse.values()
    count, height, width = fixations.shape
    return pull_back(x, y, weight, owner, count, (height, width), inner).to(fixations.device)


def nss_upsampled(maps: Tensor, pulled: Tensor, count: Tensor, size: Size) -> Tensor:
    """Return the NSS (B,) of maps (B, h, w) upsampled to `size`, without upsampling.

    pulled: (B, h, w) from `pull_back`; count: (B,) the fixations' total weight. Z-scored with
    ddof 0 (Peters et al. 2005). Constant map: 0, with a zero gradient. No fixation: NaN.
    Differentiable in `maps`: the negative is a training loss at full resolution.
    """
    centred = maps - centre(maps, size)[:, None, None]
    mean, variance = centred_moments(centred, size)
    at_fixations = (centred * pulled).sum((-2, -1)) / count  # 0/0 without fixations: NaN
    return (at_fixations - mean) / divisor(variance)
