"""Feature channels of the GBVS toolbox: what becomes of one pyramid level before any competition.

Each function takes a level (B, 4, h, w) of R, G, B in [0, 1] and intensity, and returns its feature
maps (B, T, h, w) in double precision.
"""

from collections.abc import Callable
from functools import lru_cache
from math import ceil, pi, radians, sqrt

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn.functional import pad

from ...registry import Registry
from .dkl import dkl_colour
from .pyramid import attenuate_borders

CHANNELS: Registry[Callable[[Tensor], Tensor]] = Registry("feature channel")
"""The toolbox's letter → f(level (B, 4, h, w)) -> feature maps (B, T, h, w), float64."""

ANGLES = (0, 45, 90, 135)  # of the Gabor filters, in degrees (`gaborangles`)
SD, ELONGATION, PERIOD = 2.0, 2.0, pi  # of the Gabor filters, in pixels of the level
RADIUS = ceil(SD * ELONGATION * sqrt(10))  # half a filter's side, 13 pixels

CHANNELS["D"] = dkl_colour


@CHANNELS.register("I")
def intensity(level: Tensor) -> Tensor:
    """Return the intensity: T = 1."""
    return level[:, 3:].double()


@CHANNELS.register("C")
def opponency(level: Tensor) -> Tensor:
    """Return |B − min(R, G)| and |R − G|, both over the intensity, 0 where that is: T = 2."""
    red, green, blue, bright = level.double().unbind(1)
    opponents = [blue - torch.minimum(red, green), red - green]
    return torch.stack([torch.where(bright > 0, x.abs() / bright, 0.0) for x in opponents], 1)


@CHANNELS.register("O")
def orientation(level: Tensor) -> Tensor:
    """Return the intensity's Gabor energy |even| + |odd| at each of ANGLES: T = 4.

    Edges are replicated outward, and borders attenuated over 13 pixels, the filters' radius.
    """
    bright = level[:, 3:].double()
    bright = bright - bright.mean((-2, -1), keepdim=True)  # no change: each filter sums to 0
    even, odd = convolve(bright, gabor_filters().to(bright)).abs().chunk(2, 1)
    return attenuate_borders(even + odd, RADIUS)


@lru_cache(maxsize=1)
def gabor_filters() -> Tensor:
    """Return the filters at each of ANGLES, of phase 0°, then 90°: (8, 27, 27), norm 1, sum 0."""
    row, column = torch.meshgrid(
        *[torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float64)] * 2, indexing="ij"
    )
    theta = torch.tensor([radians(a) for a in ANGLES] * 2, dtype=torch.float64)[:, None, None]
    phase = torch.tensor([0.0, pi / 2], dtype=torch.float64).repeat_interleave(len(ANGLES))
    across = row * theta.cos() - column * theta.sin()
    along = row * theta.sin() + column * theta.cos()
    envelope = torch.exp(-(across**2) / (2 * SD**2) - along**2 / (2 * (SD * ELONGATION) ** 2))
    wave = envelope * torch.cos(2 * pi / PERIOD * across + phase[:, None, None])
    wave = wave - wave.mean((-2, -1), keepdim=True)
    return wave / wave.square().sum((-2, -1), keepdim=True).sqrt()


def convolve(maps: Tensor, filters: Tensor) -> Tensor:
    """Convolve maps (B, 1, h, w), edges replicated, with filters (F, k, k), k odd: (B, F, h, w).

    By Fourier transform, which has the double precision that uniform areas need (their response is
    0 but for rounding, and is rescaled later) for less than a float32 convolution costs.
    """
    height, width = maps.shape[-2:]
    margin = filters.shape[-1] - 1
    maps = pad(maps, [margin // 2] * 4, mode="replicate")
    size = [next_fast_len(n, real=True) for n in maps.shape[-2:]]
    spectrum = torch.fft.rfft2(maps, s=size) * torch.fft.rfft2(filters, s=size)
    out = torch.fft.irfft2(spectrum, s=size)
    return out[..., margin : margin + height, margin : margin + width]
