"""What GBVS and Itti–Koch share: the binomial pyramid, MATLAB's `imresize` and `mat2gray`, borders.

Both models are followed to their public implementation, J. Harel's GBVS toolbox for MATLAB (2012),
which decides wherever the papers leave a choice. Maps are (..., H, W) throughout. What is small is
computed in double precision: the models rescale each map to [0, 1], however faint its contrast.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad

FLAT = 1e-12  # a map's range up to which it is uniform: rounding leaves some 1e-15, squares less


def pyramid(images: Tensor, deepest: int) -> list[Tensor]:
    """Return levels 0 to `deepest` of images (B, 3, H, W), each (B, 4, h, w), half the one before.

    Their channels are R, G, B and the intensity, which the toolbox takes as max(R, G, B) (the paper
    as the mean). Level 0 is the image; the toolbox's level l is ours, a 2⁻ˡ of the size.
    """
    images = grey_levels(images.float())
    levels = [torch.cat([images, images.amax(1, keepdim=True)], 1)]
    for _ in range(deepest):
        levels.append(subsample(levels[-1]))
    return levels


def grey_levels(images: Tensor) -> Tensor:
    """Return float32 images with k / 255 as it rounds, for those that multiplied k by 1 / 255.

    GPUs and torchvision do; the last bit decides between neighbours in the table of `dkl_colour`.
    """
    level = (255 * images).round()
    exact = level / level.new_tensor([255.0])  # by a number, a GPU would multiply again
    return torch.where((images - exact).abs() < 1e-6, exact, images)


def subsample(maps: Tensor) -> Tensor:
    """Halve float32 maps in both directions; those with a side of 10 pixels or less stay."""
    height, width = maps.shape[-2:]
    if min(height, width) <= 10:
        return maps
    small = maps.new_empty(*maps.shape[:-2], height // 2, width // 2)
    for low, high in zip(small.flatten(0, -3), maps.flatten(0, -3), strict=True):  # fits the cache
        narrow = halve(pad(high, (2, 2)))
        low.copy_(halve(pad(narrow, (0, 0, 2, 2)).mT).mT)
    return small


def halve(rows: Tensor) -> Tensor:
    """Low-pass rows (..., 2 + N + 2) with [1 5 10 10 5 1], keep every second: (..., N // 2).

    The rows have two zeros at either end: there, what lies within is divided by its own weights.
    Rounded to float32 where the toolbox rounds: uniform areas stay uniform to the bit, so that
    later steps see no contrast in them, and the colour table is read at the same entries.
    """
    n = rows.shape[-1] - 4
    tap = [rows[..., k : k + n - n % 2 : 2] for k in range(6)]
    outer, middle, inner = ((tap[k] + tap[5 - k]).double() for k in range(3))
    weight = outer.new_full((n // 2,), 32)
    weight[0], weight[-1] = 26, 31 if n % 2 else 26
    return outer.add_(middle, alpha=5).add_(inner, alpha=10).div_(weight).float()


def map_size(size: Sequence[int], longest: int) -> tuple[int, int]:
    """Return the (height, width) of a map as wide as high as `size`, its longer side `longest`."""
    scale = longest / max(size)
    return max(1, int(size[0] * scale + 0.5)), max(1, int(size[1] * scale + 0.5))


def resize(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Resize maps as MATLAB's `imresize` does: bicubic, low-passed where it shrinks."""
    rows, columns = (resampling(*n).to(maps) for n in zip(maps.shape[-2:], size, strict=True))
    return rows @ (maps @ columns.mT)


@lru_cache(maxsize=64)
def resampling(old: int, new: int) -> Tensor:
    """Return the matrix (new, old) that resamples `old` samples to `new`; its rows sum to 1.

    Keys' cubic kernel (1981, a = −1/2), widened by old / new when shrinking, over samples mirrored
    at the ends (torch's `interpolate` has another kernel, or cuts it off there).
    """
    scale = new / old
    shrink = min(scale, 1.0)
    centre = (torch.arange(new, dtype=torch.float64) + 0.5) / scale - 0.5
    reach = torch.arange(int(4 / shrink) + 3)
    index = (centre - 2 / shrink).floor().long()[:, None] + reach
    weight = cubic(shrink * (centre[:, None] - index))
    mirrored = index % (2 * old)
    mirrored = torch.minimum(mirrored, 2 * old - 1 - mirrored)
    matrix = torch.zeros(new, old, dtype=torch.float64).scatter_add_(1, mirrored, weight)
    return matrix / matrix.sum(1, keepdim=True)


def cubic(x: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = −1/2, which is 0 from 2 on."""
    x = x.abs()
    inner = (1.5 * x - 2.5) * x**2 + 1
    outer = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x <= 1, inner, torch.where(x < 2, outer, 0.0))


def rescale(maps: Tensor) -> Tensor:
    """Map each map's values linearly to [0, 1]; one without contrast becomes 0."""
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    return torch.where(high - low > FLAT, (maps - low) / (high - low), 0.0)


def attenuate_borders(maps: Tensor, width: int) -> Tensor:
    """Let maps fall off linearly over `width` pixels to their borders, or half the shorter side."""
    width = min(width, *(n // 2 for n in maps.shape[-2:]))
    y, x = (border_ramp(n, width).to(maps) for n in maps.shape[-2:])
    return maps * y[:, None] * x


def border_ramp(n: int, width: int) -> Tensor:
    """Return n weights: 1 / (width + 1) at either end, rising to 1 over `width` of them."""
    steps = torch.arange(1, n + 1, dtype=torch.float64)
    return (torch.minimum(steps, steps.flip(0)) / (width + 1)).clamp(max=1)
