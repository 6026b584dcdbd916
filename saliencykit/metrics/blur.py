"""Gaussian blur: from fixations to densities."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from .maps import Maps, as_tensor

TRUNCATE = 4  # standard deviations; what lies further out is 6e-5 of the mass along a line


def default_sigma(size: Sequence[int]) -> float:
    """Standard deviation, in pixels, of about one degree of visual angle.

    3 % of the longer side of `size` (height, width): 24 pixels for OSIE (800 pixels over 33.7°),
    19.2 for SALICON. It is a rule of thumb: if the viewing distance is known, compute your own.
    """
    return 0.03 * max(size)


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # kept for later calls, which may need gradients
def blur_matrix(length: int, sigma: float, device: str = "cpu") -> Tensor:
    """Gaussian blur along a line as a symmetric matrix (length, length), float64.

    The kernel is sampled at whole pixels, cut off at 4 sigma and has sum 1; beyond the line's ends
    there is nothing (zero padding), so a point near an end loses the mass that falls outside.
    """
    if not sigma >= 0:
        raise ValueError(f"sigma must be 0 or more pixels, not {sigma}")
    if sigma == 0:
        return torch.eye(length, dtype=torch.float64, device=device)
    reach = int(TRUNCATE * sigma + 0.5)
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float64)
    total = torch.exp(-0.5 * (offsets / sigma) ** 2).sum()
    i = torch.arange(length, dtype=torch.float64)
    distance = (i[:, None] - i).abs()
    kernel = torch.exp(-0.5 * (distance / sigma) ** 2) / total
    return kernel.masked_fill(distance > reach, 0.0).to(device)


def gaussian_blur(maps: Maps, sigma: float) -> Tensor:
    """Blur maps with a Gaussian of standard deviation `sigma` pixels.

    The kernel is separable, cut off at 4 sigma, of sum 1; outside the map there is nothing (zero
    padding), so mass near the border is lost. Done as two matrix products, which a processor's or
    an accelerator's linear algebra does fast for any sigma.

    Args:
        maps: (..., H, W), tensor or array.
        sigma: in pixels; 0 leaves the maps as they are.

    Returns:
        Tensor of the same shape, float32 or float64 like the input (float64 for other types that
        float32 cannot hold exactly). NaN spreads.

    Raises:
        ValueError: `sigma` is negative or NaN.
    """
    maps = as_tensor(maps)
    height, width = maps.shape[-2:]
    down, across = (
        blur_matrix(n, float(sigma), str(maps.device)).to(maps.dtype) for n in (height, width)
    )
    return down @ maps @ across


def density(counts: Maps, sigma: float | None = None) -> Tensor:
    """Density of fixations: blurred counts divided by their sum.

    Args:
        counts: count maps (..., H, W).
        sigma: of the Gaussian, in pixels; default about one degree, see `default_sigma`.

    Returns:
        Tensor (..., H, W), float32 or float64, ≥ 0, sum 1 in each map. A map without fixations has
        no density: all NaN.

    Raises:
        ValueError: `sigma` is negative or NaN.
    """
    counts = as_tensor(counts)
    sigma = default_sigma(counts.shape[-2:]) if sigma is None else sigma
    blurred = gaussian_blur(counts, sigma)
    return blurred / blurred.sum((-2, -1), keepdim=True)
