"""Region NSS: how strongly a unit responds where people looked inside an annotated region.

He et al. (CVPR 2019), section 4: a unit's activation map is resized to the annotation, z-scored,
and averaged at the fixated pixels of one region. Here exactly, but without the resizing: see
`saliencykit.metrics.upsampling`.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..metrics.upsampling import (
    Size,
    centre,
    centred_moments,
    divisor,
    mean_square,
    mean_weights,
    pull_back_maps,
    size_of,
)

FAR = 0.9  # share of the mean square that the squared mean may make up: 9 variances
CHUNK = 1 << 18  # activations reduced at a time: few enough to stay in the processor's cache


def region_nss(activations: Tensor, fixations: Tensor, owner: Tensor) -> Tensor:
    """Return (R, C): region NSS of each of C units in each of R regions.

    activations: (B, C, h, w); fixations: (R, H, W) count maps, dense or sparse COO, each holding
    the fixations inside one region; owner: (R,) index of the region's image in the batch. Entry
    (r, c) is the mean over region r's fixations (counts weigh) of unit c's map on image owner[r],
    bilinearly upsampled to (H, W) and z-scored over the whole image with ddof 0; its unit is
    standard deviations. Constant map: 0. Region without fixation: NaN. NaN activations: NaN.
    Raises ValueError for shapes that do not fit and IndexError for an owner outside the batch.
    """
    if activations.ndim != 4:
        raise ValueError(f"activations must be (B, C, h, w), not {tuple(activations.shape)}")
    owner = torch.as_tensor(owner, device=activations.device).long()
    if fixations.ndim != 3 or owner.shape != fixations.shape[:1]:
        raise ValueError(
            f"fixations must be (R, H, W) and owner (R,), not {tuple(fixations.shape)} and "
            f"{tuple(owner.shape)}"
        )
    n_images = len(activations)
    if len(owner) and (int(owner.min()) < 0 or int(owner.max()) >= n_images):
        raise IndexError(f"owner {owner.tolist()} points outside a batch of {n_images} images")
    pulled = pull_back_maps(fixations, size_of(activations)).to(activations.device)
    weights, place = by_image(mean_at(pulled, fixation_counts(fixations)), owner, n_images)
    sizes = [size_of(fixations)] * n_images
    return region_scores(activations, weights, sizes)[owner, place]


def fixation_counts(fixations: Tensor) -> Tensor:
    """Return (R,): total weight of count maps (R, H, W), dense or sparse."""
    total = fixations.sum((1, 2))
    return total.to_dense() if total.layout != torch.strided else total


def mean_at(pulled: Tensor, counts: Tensor) -> Tensor:
    """Return (R, h, w): weights of the mean over fixations; NaN where there are none."""
    return pulled / counts.to(pulled)[:, None, None]


def by_image(weights: Tensor, owner: Tensor, n_images: int) -> tuple[Tensor, Tensor]:
    """Sort weights (R, h, w) into (B, n, h, w), n the most regions of an image, zeros elsewhere.

    Also returns the place (R,) of each region among its image's: sorted[owner, place] == weights.
    """
    same = owner[:, None] == owner
    place = torch.tril(same, -1).sum(1)
    most = int(place.max()) + 1 if len(place) else 0
    table = weights.new_zeros(n_images, most, *weights.shape[1:])
    table[owner, place] = weights
    return table, place


def region_scores(activations: Tensor, weights: Tensor, sizes: Sequence[Size]) -> Tensor:
    """Return (B, n, C): weighted means of the upsampled, z-scored activations (B, C, h, w).

    weights: (B, n, h, w), or (1, n, h, w) to apply the same to all images, pulled back and divided
    by the fixation count (`mean_at`); sizes: (H, W) of each image.
    """
    scores = weights.new_empty(len(activations), weights.shape[1], activations.shape[1])
    for images in _of_one_size(sizes):
        own = weights if len(weights) == 1 else weights[images]
        scores[images] = _scores(activations[images], own, sizes[images.start])
    return scores


def _of_one_size(sizes: Sequence[Size]) -> Iterator[slice]:
    """Slices of neighbouring images that have the same size."""
    start = 0
    for i in range(1, len(sizes) + 1):
        if i == len(sizes) or sizes[i] != sizes[start]:
            yield slice(start, i)
            start = i


def _scores(maps: Tensor, weights: Tensor, size: Size) -> Tensor:
    """Scores (B, n, C) of maps (B, C, h, w) shown at one size."""
    own = weights.to(torch.promote_types(maps.dtype, torch.float32)).flatten(2)
    middle = mean_weights(maps.shape[-2:], size, own).flatten().expand(len(own), 1, -1)
    means, square = _means_and_square(maps, torch.cat([own, middle], 1), size)
    at_fixations, mean = means[:, :-1], means[:, -1]
    squared_mean = mean.square()
    deviation = divisor((square - squared_mean).clamp(min=0))
    found = (at_fixations - mean[:, None]) / deviation[:, None]
    # Far from zero beside their own variation, maps are centred first, lest rounding decide.
    far = (squared_mean > FAR * square).nonzero()
    for image, unit in (part.T for part in far.split(max(1, CHUNK // own.shape[-1]))):
        found[image, :, unit] = _centred_scores(maps[image, unit].to(own.dtype), own, image, size)
    return found


def _means_and_square(maps: Tensor, weights: Tensor, size: Size) -> tuple[Tensor, Tensor]:
    """Weighted sums (B, n, C) of maps (B, C, h, w) and mean squares (B, C), a few maps at a time.

    weights: (B or 1, n, hw).
    """
    n_images, n_units = maps.shape[:2]
    means = weights.new_empty(n_images, weights.shape[1], n_units)
    square = weights.new_empty(n_images, n_units)
    for images, units in _chunks(n_images, n_units, weights.shape[-1]):
        part = maps[images, units].to(weights.dtype).contiguous()
        own = weights if len(weights) == 1 else weights[images]
        means[images, :, units] = own @ part.flatten(2).mT
        square[images, units] = mean_square(part, size)
    return means, square


def _chunks(n_images: int, n_units: int, cells: int) -> Iterator[tuple[slice, slice]]:
    """Slices of images and units that hold at most about `CHUNK` activations."""
    units = max(1, min(n_units, CHUNK // cells))
    images = max(1, CHUNK // (n_units * cells))
    for image in range(0, n_images, images):
        for unit in range(0, n_units, units):
            yield slice(image, image + images), slice(unit, unit + units)


def _centred_scores(maps: Tensor, own: Tensor, owner: Tensor, size: Size) -> Tensor:
    """Scores (K, n) of maps (K, h, w), each of the image `owner` (K,)."""
    rest = maps - centre(maps, size)[:, None, None]
    mean, variance = centred_moments(rest, size)
    # One product for all images, of which each map wants its own: faster than one an image.
    at_fixations = (rest.flatten(1) @ own.flatten(0, 1).T).view(len(maps), *own.shape[:2])
    mine = at_fixations[torch.arange(len(maps), device=owner.device), owner % len(own)]
    return (mine - mean[:, None]) / divisor(variance)[:, None]
