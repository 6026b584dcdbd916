"""`bms`: Boolean Map based Saliency, what is surrounded when the image is thresholded.

Zhang & Sclaroff, "Exploiting surroundedness for saliency detection: a Boolean map approach",
TPAMI 2016 (first at ICCV 2013), in its setting for eye fixations.
"""

import numpy as np
import torch
from scipy.ndimage import median_filter
from torch import Tensor
from torch.nn import functional

from .filters import blur, fitted, lab, resized
from .table import CLASSICAL

LEVELS = 255  # feature maps are stretched to 0 … 255 and rounded, as 8-bit images
RIDGE = 50.0  # added to the variances (8-bit CIELAB), so that a channel of noise is not blown up


def whitened(images: Tensor) -> Tensor:
    """Return (B, 3, H, W): principal components of CIELAB (L scaled to 0 … 255), variance ≈ 1.

    A component's sign, which an eigenvector leaves open, is that of its largest weight.
    """
    channels = lab(images) * images.new_tensor((2.55, 1, 1))[:, None, None]
    samples = channels.flatten(2)
    centred = samples - samples.mean(-1, keepdim=True)
    covariance = centred @ centred.mT / samples.shape[-1]
    ridge = RIDGE * torch.eye(3, dtype=images.dtype, device=images.device)
    variance, axes = torch.linalg.eigh(covariance + ridge)
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    axes = axes * largest.sign() / variance.sqrt()[:, None]
    return (axes.mT @ centred).unflatten(-1, images.shape[-2:])


def feature_maps(images: Tensor) -> np.ndarray:
    """Return (B, 3, H, W) uint8: whitened channels stretched to 0 … 255, 3 × 3 median filtered.

    A channel that varies by less than one 8-bit level of its image is not stretched: it is noise.
    """
    channels = whitened(images)
    low, high = channels.amin((-2, -1), keepdim=True), channels.amax((-2, -1), keepdim=True)
    stretched = (channels - low) * (LEVELS / (high - low).clamp(min=RIDGE**-0.5))
    levels = stretched.round().to(torch.uint8).cpu().numpy()
    return median_filter(levels, size=(1, 1, 3, 3), mode="nearest")


def flooded(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each pixel of maps (N, H, W) uint8, the thresholds that join it to the border.

    `rises` is the largest minimum that a path to the border can keep, `falls` the smallest
    maximum (grey-level morphological reconstruction from the border, 8-connected). So for any
    threshold t, a pixel of {feature > t} belongs to a region that touches the border exactly if
    rises > t, and one of {feature ≤ t} exactly if falls ≤ t: one flood for all thresholds.
    """
    n = len(features)
    both = _risen(np.concatenate([features, LEVELS - features]))
    return both[:n], LEVELS - both[n:]


def _risen(maps: np.ndarray) -> np.ndarray:
    """Return `rises` of maps (N, H, W).

    What the border holds is swept down, up, right and left over all maps at once, until a round
    changes nothing: about five in photographs.
    """
    down, across = (np.ascontiguousarray(np.moveaxis(maps, axis, 0)) for axis in (1, 2))
    risen = np.zeros_like(down)  # (H, N, W)
    risen[[0, -1]], risen[..., [0, -1]] = down[[0, -1]], down[..., [0, -1]]
    before = None
    while before is None or not np.array_equal(before, risen):
        before = risen.copy()
        _sweep(risen, down)
        turned = np.ascontiguousarray(risen.transpose(2, 1, 0))
        _sweep(turned, across)
        risen = np.ascontiguousarray(turned.transpose(2, 1, 0))
    return np.moveaxis(risen, 0, 1)


def _sweep(risen: np.ndarray, maps: np.ndarray) -> None:
    """Raise each row (N, W) to what the one before can keep in it, there and back."""
    n, width = maps.shape[1:]
    padded, pairs, best = (np.zeros((n, width + k), maps.dtype) for k in (2, 1, 0))
    for rows, own in ((risen, maps), (risen[::-1], maps[::-1])):
        for i in range(1, len(own)):
            padded[:, 1:-1] = rows[i - 1]
            np.maximum(padded[:, 1:], padded[:, :-1], out=pairs)
            np.maximum(pairs[:, 1:], pairs[:, :-1], out=best)
            np.maximum(rows[i], np.minimum(best, own[i], out=best), out=rows[i])


def surrounded(
    feature: np.ndarray, rises: np.ndarray, falls: np.ndarray, thresholds: np.ndarray
) -> np.ndarray:
    """Return (2, T, H, W) bool: the surrounded pixels above and not above each threshold.

    A Boolean map's attention map is what is left of it when the regions that touch the border,
    and likewise those of its complement, are masked out. rises, falls (H, W): see `flooded`.
    """
    t = thresholds[:, None, None]
    return np.stack(((rises <= t) & (feature > t), (feature <= t) & (falls > t)))


def dilate(maps: Tensor, side: int) -> Tensor:
    """Return maps (..., H, W) ≥ 0, or masks, dilated by a square of odd `side`.

    The maximum over a run is that of two overlapping shorter runs: log₂ `side` steps an axis.
    """
    maps = functional.pad(maps, (side // 2,) * 4)
    for axis in (-2, -1):
        run = 1
        while run < side:
            step = min(run, side - run)
            left = maps.shape[axis] - step
            maps = torch.maximum(maps.narrow(axis, 0, left), maps.narrow(axis, step, left))
            run += step
    return maps


def attention(features: np.ndarray, delta: int, omega: int, device: torch.device) -> Tensor:
    """Return (N, H, W): of each feature map the mean of its attention maps, dilated, of L2 norm 1.

    Thresholds are `delta` levels apart, `omega` is the dilation's side. An empty attention map
    counts, as zeros.
    """
    maps = []
    for feature, rises, falls in zip(features, *flooded(features), strict=True):
        thresholds = np.arange(feature.min(), feature.max(), delta, dtype=float)
        whole = thresholds.astype(np.uint8)  # levels are whole: > t is > ⌊t⌋
        found = surrounded(feature, rises, falls, whole).reshape(-1, *feature.shape)
        left = torch.from_numpy(found[found.any((1, 2))]).to(device)
        masks = dilate(left, omega).flatten(1).float()
        weights = masks.sum(1).rsqrt() / max(1, len(found))
        maps.append((weights @ masks).view(feature.shape))
    return torch.stack(maps)


@CLASSICAL.register("bms")
def bms(
    images: Tensor,
    delta: int = 8,
    omega: int = 7,
    kappa: int = 9,
    sigma: float = 9.0,
    max_dim: int = 400,
) -> Tensor:
    """Return Boolean map saliency (B, H, W), ≥ 0, of images (B, 3, H, W).

    The image is made `max_dim` pixels long, its CIELAB channels whitened, each thresholded every
    `delta` of 255 levels. What is surrounded in a Boolean map or its complement is dilated by a
    square of `omega` pixels and divided by its L2 norm, which emphasises small regions; the mean of
    these is dilated by `kappa` and blurred with a Gaussian of `sigma` pixels. Defaults are those of
    the authors' second release for eye fixations, which in place of the first one's opening has a
    3 × 3 median filter.

    Differences: channels are taken as R, G, B (the release hands B, G, R to a conversion that
    expects R, G, B); the mean is not rounded to 8 bits; the Gaussian is not cut off at 2 σ, and is
    renormalised at the border; the first and last steps resize bilinearly, the first antialiased.

    The flood of surrounded regions runs on the processor, wherever the images are; the rest, and
    the result, is on their device. Raises ValueError for an even `omega` or `kappa`,
    or a `delta` below 1.
    """
    if delta < 1:
        raise ValueError(f"thresholds are at least 1 level apart, not delta={delta}")
    if omega % 2 == 0 or kappa % 2 == 0:
        raise ValueError(f"dilations are squares of odd side, not omega={omega}, kappa={kappa}")
    size = tuple(images.shape[-2:])
    small = resized(images.float(), fitted(size, max_dim)).double()
    maps = [attention(f, delta, omega, images.device).mean(0) for f in feature_maps(small)]
    if not maps:
        return images.new_zeros(0, *size)
    return resized(blur(dilate(torch.stack(maps), kappa), sigma), size)
