"""`spectral_residual`: what the smooth trend of an image's log spectrum does not explain.

Hou & Zhang, "Saliency detection: a spectral residual approach", CVPR 2007.
"""

import torch
from torch import Tensor

from .filters import blur, luma, resized
from .table import CLASSICAL

# Share of the number of pixels under which an amplitude is rounding: intensities in [0, 1] are
# single precision, whose rounding gives amplitudes a thousand times smaller.
SILENT = 1e-6


def local_average(maps: Tensor, n: int) -> Tensor:
    """Return maps (B, H, W) averaged over n × n neighbours (n odd), the map taken as periodic."""
    for axis in (-2, -1):
        shifts = range(-(n // 2), n // 2 + 1)
        maps = torch.stack([maps.roll(k, axis) for k in shifts]).mean(0)
    return maps


def residual_map(intensity: Tensor, n: int = 3) -> Tensor:
    """Return |F⁻¹(exp(R + iP))|² (B, H, W), where R = log A − average of log A over n × n.

    intensity: (B, H, W) in [0, 1]; A, P: amplitude and phase of its Fourier transform. Frequencies
    whose amplitude is only rounding have no phase and are left out.
    """
    spectrum = torch.fft.fft2(intensity.double())
    amplitude = spectrum.abs()
    silent = SILENT * intensity.shape[-2:].numel()
    heard = amplitude.clamp(min=silent)
    log = heard.log()
    residual = (log - local_average(log, n)).exp()
    kept = torch.where(amplitude > silent, residual, torch.zeros_like(residual))
    return torch.fft.ifft2(kept * spectrum / heard).abs().square()


@CLASSICAL.register("spectral_residual")
def spectral_residual(images: Tensor, width: int = 64, n: int = 3, sigma: float = 2.5) -> Tensor:
    """Return spectral residual saliency (B, H, W), ≥ 0, of images (B, 3, H, W).

    `width`: the images are made this many pixels wide first; `n`: of the n × n average of the log
    amplitude; `sigma`: of the final Gaussian, in pixels of the small image. Defaults are those of
    the authors' published script (the article says σ = 8 but not at which size).

    Differences: resizing is bilinear instead of bicubic; the average wraps around, since a discrete
    spectrum is periodic (the script repeats the edge, which treats left and right differently);
    the Gaussian is centred and renormalised at the border (10 × 10 taps over zeros in the script).

    Raises ValueError unless `n` is odd.
    """
    if n % 2 == 0:
        raise ValueError(f"n must be odd, not {n}: the average is centred on its frequency")
    height = max(1, round(images.shape[-2] * width / images.shape[-1]))
    small = resized(images.float(), (height, width))
    return resized(blur(residual_map(luma(small), n), sigma), images.shape[-2:])
