"""What several classical models share: working sizes, CIELAB, a blur that keeps constants."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ...metrics import gaussian_blur
from ...metrics.upsampling import Size

# sRGB primaries in XYZ (ITU-R BT.709). A row's sum is the white point, so grey has a = b = 0.
SRGB_TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
LUMA = (0.299, 0.587, 0.114)  # of gamma-compressed RGB (ITU-R BT.601), what rgb2gray weighs with


def fitted(size: Sequence[int], longer: int) -> Size:
    """Return `size` (height, width) scaled so that its longer side is `longer`; at least 1."""
    height, width = (max(1, round(n * longer / max(size))) for n in size)
    return height, width


def resized(images: Tensor, size: Sequence[int]) -> Tensor:
    """Return images (B, C, H, W) or maps (B, H, W) at `size`: bilinear, antialiased if smaller."""
    if images.shape[-2:] == tuple(size):
        return images
    planes = images if images.ndim == 4 else images[:, None]
    out = functional.interpolate(planes, tuple(size), mode="bilinear", antialias=True)
    return out if images.ndim == 4 else out[:, 0]


def blur(maps: Tensor, sigma: float) -> Tensor:
    """Return maps (..., H, W) blurred with a Gaussian of `sigma` pixels; constants stay constant.

    At the border the weights that fall inside the map are renormalised to sum 1.
    """
    inside = gaussian_blur(maps.new_ones(maps.shape[-2:]), sigma)
    return gaussian_blur(maps, sigma) / inside


def luma(images: Tensor) -> Tensor:
    """Return (B, H, W) in [0, 1], the luma of sRGB images (B, 3, H, W)."""
    return torch.einsum("bchw,c->bhw", images, images.new_tensor(LUMA))


def lab(images: Tensor) -> Tensor:
    """Return CIELAB (B, 3, H, W) of sRGB images in [0, 1]: L in [0, 100], a and b about ±100.

    Relative to the sRGB white (D65, 2°), as skimage.color.rgb2lab. Grey has a = b = 0 up to
    rounding, so give float64 where a channel's own scale must not matter.
    """
    linear = torch.where(images > 0.04045, ((images + 0.055) / 1.055) ** 2.4, images / 12.92)
    matrix = images.new_tensor(SRGB_TO_XYZ)
    xyz = torch.einsum("bchw,xc->bxhw", linear, matrix / matrix.sum(1, keepdim=True))
    small = xyz / (3 * (6 / 29) ** 2) + 4 / 29
    x, y, z = torch.where(xyz > (6 / 29) ** 3, xyz.clamp(min=0) ** (1 / 3), small).unbind(1)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), 1)
