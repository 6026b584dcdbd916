"""`covsal`: how far a region's feature covariances and means lie from those around it.

Erdem & Erdem, "Visual saliency estimation by nonlinearly integrating features using region
covariances", Journal of Vision 13(4):11, 2013: the model with first-order statistics.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from .filters import blur, lab, resized
from .table import CLASSICAL

ALPHA = 0.1  # spread of the sigma points beside the number of features, see `descriptors`
RIDGE = 1e-3  # added to variances, so that homogeneous regions have a Cholesky factor
REACH = 3  # regions: the neighbourhood is a square of (2 · 3 + 1)² regions


def features(images: Tensor) -> Tensor:
    """Return (B, 7, H, W) float64: L, a, b, |∂I/∂x|, |∂I/∂y|, x, y of images (B, 3, H, W).

    I is mean RGB in [0, 255] and its derivatives are differences of the two pixels beside, mirrored
    at the border; x and y are pixels. CIELAB is computed in float32, six times as fast: it is off
    by 6e-5, which is nothing beside RIDGE.
    """
    colours = lab(images.float()).double()
    grey = 255 * images.double().mean(1)
    padded = functional.pad(grey[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    across = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]).abs()
    down = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]).abs()
    y, x = (torch.arange(n, dtype=torch.float64, device=images.device) for n in grey.shape[1:])
    place = torch.stack(torch.broadcast_tensors(x, y[:, None])).expand(len(images), -1, -1, -1)
    return torch.cat((colours, torch.stack((across, down), 1), place), 1)


def regions(maps: Tensor, side: int) -> Tensor:
    """Return (B, H/side, W/side, side², C): maps (B, C, H, W) cut into square regions."""
    cut = maps.unflatten(-1, (-1, side)).unflatten(-3, (-1, side))
    return cut.permute(0, 2, 4, 3, 5, 1).flatten(3, 4)


def moments(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean (..., C) and scatter (..., C, C), Σ (s − mean)(s − mean)ᵀ, of (..., N, C)."""
    mean = samples.mean(-2)
    centred = samples - mean[..., None, :]
    return mean, centred.mT @ centred


def merged(mean: Tensor, scatter: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return mean and scatter of regions of 2 × 2 regions (B, h, w, …) of `count` samples each.

    A region's scatter is its parts' own and that of their means (Chan, Golub & LeVeque 1983):
    exact, so pixels are read once for all scales.
    """
    parts = regions(mean.movedim(-1, 1), 2)
    own = scatter.unflatten(1, (-1, 2)).unflatten(3, (-1, 2)).sum((2, 4))
    among, between = moments(parts)
    return among, own + count * between


def descriptors(mean: Tensor, covariance: Tensor) -> Tensor:
    """Return vectors (..., C + C²) whose Euclidean distance is that of the regions' sigma points.

    The sigma points of a region of C features are μ, and μ + l and μ − l for each column l of the
    Cholesky factor L of 2 (C + α) Σ; the paper compares regions by the distance of the points
    stacked in one vector. Its square is (1 + 2C) ‖Δμ‖² + 2 ‖ΔL‖²: the mixed terms of +l and −l
    cancel. So √(1 + 2C) μ beside √2 L does the same with half the numbers.
    """
    n = mean.shape[-1]
    ridge = RIDGE * torch.eye(n, dtype=mean.dtype, device=mean.device)
    factor = torch.linalg.cholesky(2 * (n + ALPHA) * (covariance + ridge))
    return torch.cat((math.sqrt(1 + 2 * n) * mean, math.sqrt(2) * factor.flatten(-2)), -1)


def unlikeness(vectors: Tensor, side: int, quantile: float) -> Tensor:
    """Return (B, h, w): a region's mean distance to its most similar neighbours.

    vectors: (B, h, w, D) descriptors of regions `side` pixels wide. Neighbours lie within REACH
    regions in x and in y; a distance is divided by 1 + the pixels between the two regions, and the
    smallest are kept: the share `quantile` of the neighbours that exist, rounded down, at least 1.
    """
    steps = range(-REACH, REACH + 1)
    padded = functional.pad(vectors, (0, 0, REACH, REACH, REACH, REACH), value=torch.inf)
    height, width = vectors.shape[1:3]
    distances = []
    for dy, dx in ((dy, dx) for dy in steps for dx in steps if (dy, dx) != (0, 0)):
        top, left = REACH + dy, REACH + dx
        beside = padded[:, top : top + height, left : left + width]
        apart = torch.linalg.vector_norm(vectors - beside, dim=-1)
        distances.append(apart / (1 + side * math.hypot(dy, dx)))
    nearest = torch.stack(distances, -1).sort(-1).values
    exist = nearest.isfinite().sum(-1, keepdim=True)
    kept = (quantile * exist).long().clamp(min=1)
    rank = torch.arange(nearest.shape[-1], device=nearest.device)
    return nearest.masked_fill(rank >= kept, 0).sum(-1) / kept[..., 0]


@CLASSICAL.register("covsal")
def covsal(images: Tensor, size: int = 512, quantile: float = 0.1, sigma: float = 0.02) -> Tensor:
    """Return CovSal saliency (B, H, W), ≥ 0, of images (B, 3, H, W).

    The image is made `size` × `size` pixels and cut into squares of size/64 … size/4 pixels, five
    scales; at each, a region's saliency is how unlike the `quantile` most similar of the regions
    around it are (m = 1/10, within r = 3 regions), and the maps are multiplied.
    `sigma`: of the final Gaussian, as a share of the longer side. Defaults, features, scales and
    weights are those of the authors' code with `SigmaPoints`, without its centre bias (pass
    `centre_bias` for one).

    Differences: the authors add noise of 2 grey levels to the image, which we leave out: maps are
    reproducible and mirror with the image. Covariances have ddof 1 as in the paper (0 in the code).
    Maps are brought to the images' size bilinearly (bicubic in the code). The Gaussian is not cut
    off at 2 σ, and is renormalised at the border.

    Raises ValueError unless 64 divides `size`, at least twice, and 0 < `quantile` ≤ 1.
    """
    if size % 64 or size < 128:
        raise ValueError(f"size must be 128, 192, 256 … (whole regions of size/64), not {size}")
    if not 0 < quantile <= 1:
        raise ValueError(f"quantile must lie in (0, 1], not {quantile}")
    planes = features(resized(images.float(), (size, size)))
    saliency, found = torch.ones(()), moments(regions(planes, size >> 6))
    for side in (size >> k for k in range(6, 1, -1)):
        mean, scatter = found
        vectors = descriptors(mean, scatter / (side**2 - 1))
        at_scale = unlikeness(vectors, side, quantile)
        saliency = saliency * resized(at_scale.float(), images.shape[-2:])
        found = merged(mean, scatter, side**2)
    return blur(saliency, sigma * max(images.shape[-2:]))
