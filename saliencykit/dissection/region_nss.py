"""Region NSS: how strongly a unit responds where people looked inside an annotated region.

He et al. (CVPR 2019), section 4: a unit's activation map is resized to the annotation, z-scored,
and averaged at the fixated pixels of one region. Here exactly, but without the resizing: see
`saliencykit.metrics.bilinear`.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..metrics.bilinear import (
    Size,
    centre,
    centred_moments,
    mean_square,
    mean_weights,
    pull_back_maps,
    spread,
)

FAR = 0.9  # share of the mean square that the squared mean may make up: 9 variances
CHUNK = 1 << 19  # activations reduced at a time: few enough to stay in the processor's cache


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
    pulled = pull_back_maps(fixations, activations.shape[-2:]).to(activations.device)
    weights, place = by_image(mean_at(pulled, fixation_counts(fixations)), owner, n_images)
    sizes = [tuple(fixations.shape[1:])] * n_images
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
    n, n_units = weights.shape[1], activations.shape[1]
    scores = weights.new_empty(len(activations), n, n_units)
    for part in _chunks(activations, sizes):
        maps = activations[part]
        maps = (maps if maps.dtype == torch.float64 else maps.float()).contiguous()
        own = weights if len(weights) == 1 else weights[part]
        scores[part] = _scores(maps, own.to(maps.dtype).flatten(2), sizes[part.start])
    return scores


def _scores(maps: Tensor, own: Tensor, size: Size) -> Tensor:
    """Scores (B, n, C) of maps (B, C, h, w) shown at one size; own: (B or 1, n, hw)."""
    middle = mean_weights(maps.shape[-2:], size, maps).flatten().expand(len(own), 1, -1)
    means = torch.cat([own, middle], 1) @ maps.flatten(2).mT
    at_fixations, mean = means[:, :-1], means[:, -1]
    square = mean_square(maps, size)
    variance = square - mean.square()
    found = (at_fixations - mean[:, None]) / spread(variance.clamp(min=0))[:, None]
    # Far from zero beside their own variation, maps are centred first, lest rounding decide.
    far = mean.square() > FAR * square
    for b in far.any(1).nonzero()[:, 0].tolist():
        rest = maps[b, far[b]]
        rest = rest - centre(rest, size)[:, None, None]
        mean_left, variance_left = centred_moments(rest, size)
        at_left = own[b if len(own) > 1 else 0] @ rest.flatten(1).T
        found[b, :, far[b]] = (at_left - mean_left) / spread(variance_left)
    return found


def _chunks(activations: Tensor, sizes: Sequence[Size]) -> Iterator[slice]:
    """Slices of the batch whose images have one size and together at most `CHUNK` activations."""
    most = max(1, CHUNK // max(1, activations[0].numel())) if len(activations) else 1
    start = 0
    for i in range(1, len(sizes) + 1):
        if i == len(sizes) or i - start == most or sizes[i] != sizes[start]:
            yield slice(start, i)
            start = i
