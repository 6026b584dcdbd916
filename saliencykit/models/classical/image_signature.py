"""`image_signature`: the image that the signs of its cosine transform give back.

Hou, Harel & Koch, "Image signature: highlighting sparse salient regions", TPAMI 2012.
"""

from functools import lru_cache

import torch
from torch import Tensor

from ...registry import check_name
from .filters import blur, lab, resized
from .table import CLASSICAL

# A coefficient under this is rounding and has no sign: channels lie within about [-1, 1], single
# precision. 8-bit images, whose rounding is 1e-3 a pixel, have coefficients above it.
SILENT = 1e-5

COLOURS = {"lab": lambda images: lab(images) / 100, "rgb": lambda images: images}


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def cosines(n: int, device: str = "cpu") -> Tensor:
    """Return the orthonormal DCT-II as a matrix (n, n), float64: C @ x transforms columns."""
    k = torch.arange(n, dtype=torch.float64)
    matrix = torch.cos(torch.pi / n * k[:, None] * (k + 0.5)) * (2 / n) ** 0.5
    matrix[0] /= 2**0.5
    return matrix.to(device)


def dct(maps: Tensor) -> Tensor:
    """Return the orthonormal two-dimensional DCT-II of maps (..., H, W), float64."""
    down, across = (cosines(n, str(maps.device)) for n in maps.shape[-2:])
    return down @ maps.double() @ across.T


def idct(coefficients: Tensor) -> Tensor:
    """Return the inverse of `dct`: maps (..., H, W), float64."""
    down, across = (cosines(n, str(coefficients.device)) for n in coefficients.shape[-2:])
    return down.T @ coefficients.double() @ across


def signature(maps: Tensor) -> Tensor:
    """Return the image signature of maps (..., H, W): their DCT's signs, -1, 0 or 1."""
    coefficients = dct(maps)
    return coefficients.sign() * (coefficients.abs() > SILENT)


@CLASSICAL.register("image_signature")
def image_signature(
    images: Tensor, colour: str = "lab", width: int = 64, sigma: float = 0.045
) -> Tensor:
    """Return image signature saliency (B, H, W), ≥ 0, of images (B, 3, H, W).

    A channel's map is the square of the inverse DCT of its signature; the model's map is their
    mean, blurred. `colour`: "lab" or "rgb"; `width`: the images are made this many pixels wide
    first; `sigma`: of the Gaussian, as a share of the width. Defaults are those of the authors'
    code (mapWidth, blurSigma, LAB).

    Differences: resizing is bilinear instead of bicubic; CIELAB is relative to D65; the Gaussian
    is not cut off at 2 σ, and is renormalised at the border; the minimum is not subtracted.

    Raises UnknownNameError for another `colour`.
    """
    convert = COLOURS[check_name("colour space", colour, COLOURS)]
    height = max(1, round(images.shape[-2] * width / images.shape[-1]))
    small = resized(images.float(), (height, width)).double()
    energy = idct(signature(convert(small))).square().mean(1)
    return resized(blur(energy, sigma * width), images.shape[-2:])
