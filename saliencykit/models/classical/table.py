"""The table of classical models, and what all of them share: checked images in, maps ≥ 0 out."""

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...registry import Registry, check_name
from ..centre import CentrePrior
from ..precision import exact
from .filters import blur

CLASSICAL: Registry[Callable[..., Tensor]] = Registry("classical model")
"""name → f(images (B, 3, H, W) in [0, 1], **parameters) -> (B, H, W) ≥ 0. One file each."""

ROUNDING = 1e-5  # of a map's maximum: what single precision leaves of a constant map, generously


def names() -> list[str]:
    """Return every classical model's name."""
    return sorted(CLASSICAL)


def parameters(name: str) -> dict[str, object]:
    """Return a classical model's parameters, named as in its paper, with their defaults."""
    found = signature(CLASSICAL[name]).parameters.values()
    return {p.name: p.default for p in found if p.default is not Parameter.empty}


def check_images(images: Tensor | np.ndarray) -> Tensor:
    """Return images as float (B, 3, H, W); ValueError unless they are that, within [0, 1]."""
    images = torch.as_tensor(images)
    if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape[-2:]:
        raise ValueError(f"images must be (B, 3, H, W), not {tuple(images.shape)}")
    if not images.is_floating_point():
        raise ValueError(f"images must be float in [0, 1], not {images.dtype}: divide them by 255")
    if len(images) and not (images.amin() >= 0 and images.amax() <= 1):  # a NaN is neither
        low, high = images.aminmax()
        raise ValueError(f"images must lie in [0, 1]; they run from {low:.3g} to {high:.3g}")
    return images


def without_rounding(maps: Tensor) -> Tensor:
    """Return maps (B, H, W) where one that varies only by rounding is constant.

    Metrics look at differences within a map: those of a constant one must not be noise.
    """
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    return torch.where(high - low <= ROUNDING * high, high, maps)


@torch.inference_mode()
@exact()
def saliency(
    name: str,
    images: Tensor | np.ndarray,
    *,
    smooth: float = 0.0,
    centre_bias: CentrePrior | None = None,
    **parameters_: Any,
) -> Tensor:
    """Return the maps (B, H, W), float32, ≥ 0, of classical model `name`.

    images: float (B, 3, H, W) in [0, 1], tensor or array. The scale of a map is the model's own;
    each image's map depends on that image alone. An image without any contrast gives a constant
    map.

    `smooth` blurs the maps with a Gaussian of that standard deviation, as a share of the images'
    longer side (0.03 is about one degree in usual experiments); `centre_bias` multiplies them by a
    centre prior. Both are off by default, so that a map is the model's and nothing else. Other
    keywords are the model's parameters (`parameters(name)`), named as in its paper.

    Raises UnknownNameError with the nearest model or parameter; ValueError for other images.
    """
    model = CLASSICAL[name]
    for given in parameters_:
        check_name(f"parameter of {name}", given, parameters(name))
    if not len(images := check_images(images)):
        return images.new_zeros(images[:, 0].shape, dtype=torch.float32)
    maps = model(images, **parameters_)
    if smooth:
        maps = blur(maps, smooth * max(maps.shape[-2:]))
    maps = without_rounding(maps)
    if centre_bias is not None:
        maps = maps * centre_bias.map(maps.shape[-2:]).to(maps)
    return maps.float()
