"""`aim`: Attention based on Information Maximization, how improbable a patch is in its image.

Bruce & Tsotsos, "Saliency based on information maximization", NIPS 2005; "Saliency, attention, and
visual search: an information theoretic approach", Journal of Vision 9(3):5, 2009.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...cache import Entry, cached, digest
from ...sources import code_of
from .filters import fitted, resized
from .table import CLASSICAL

FLAT = 1e-3  # coefficients have variance 1 on photographs: a range below this is rounding
FLOOR = 1e-6  # added to probabilities before the logarithm, as in the authors' code


def photographs() -> list[Tensor]:
    """Return the colour photographs that come with scikit-image, each (3, H, W) in [0, 1].

    They are in its wheel: nothing is downloaded.
    """
    from skimage import data

    motorcycle, _, _ = data.stereo_motorcycle()
    images = (data.astronaut(), data.chelsea(), data.coffee(), data.rocket(), motorcycle)
    return [torch.from_numpy(image).permute(2, 0, 1) / 255 for image in images]


def patches(images: list[Tensor], side: int, n: int, seed: int) -> np.ndarray:
    """Return `n` random patches (n, 3 · side²), float64, the same number from each image."""
    rng = np.random.default_rng(seed)
    found = []
    for i, image in enumerate(images):
        views = image.unfold(1, side, 1).unfold(2, side, 1)  # (3, rows, columns, side, side)
        share = n // len(images) + (i < n % len(images))
        rows, columns = (torch.from_numpy(rng.integers(k, size=share)) for k in views.shape[1:3])
        found.append(views[:, rows, columns].transpose(0, 1).flatten(1))
    return torch.cat(found).double().numpy()


def learn(samples: np.ndarray, variance: float, seed: int) -> np.ndarray:
    """Return the unmixing matrix (C, D) of `samples` (N, D): ICA of the leading components.

    As many principal components as hold the share `variance` of the variance are kept; a row times
    a sample is, but for a constant, an independent coefficient of variance 1.
    """
    from sklearn.decomposition import FastICA

    variances, axes = np.linalg.eigh(np.cov(samples.T))
    held = np.cumsum(variances[::-1]) / variances.sum()
    kept = np.s_[: -2 - np.searchsorted(held, variance) : -1]  # the largest come last
    whitening = axes.T[kept] / np.sqrt(variances[kept])[:, None]
    white = (samples - samples.mean(0)) @ whitening.T
    ica = FastICA(whiten=False, random_state=seed, max_iter=1000).fit(white)  # pyright: ignore
    return ica.components_ @ whitening


def aim_basis(
    images: list[Tensor] | None = None,
    side: int = 21,
    variance: float = 0.95,
    n: int = 20_000,
    seed: int = 0,
) -> Tensor:
    """Return filters (C, 3, side, side), float32, for `aim`: an ICA basis of images, cached.

    images: each (3, H, W) in [0, 1], of any sizes not smaller than `side`; default, scikit-image's
    five bundled photographs. `n` random patches of `side` pixels, PCA that keeps the share
    `variance` of their variance, FastICA (scikit-learn). 21 pixels and 95 % are the default of the
    authors' code, whose basis is JADE's, of other photographs.

    Deterministic by `seed`. Raises ValueError for an image smaller than a patch, or another share.
    """
    if not 0 < variance < 1:
        raise ValueError(f"variance is the share to keep, between 0 and 1, not {variance}")
    images = photographs() if images is None else list(images)
    if not images or any(min(image.shape[-2:]) < side for image in images):
        raise ValueError(f"a basis needs images of at least {side} × {side} pixels")

    def compute() -> Entry:
        unmixing = learn(patches(images, side, n, seed), variance, seed)
        return Entry({"basis": torch.from_numpy(unmixing).float().unflatten(1, (3, side, side))})

    key = {"images": digest(*images), "side": side, "variance": variance, "n": n, "seed": seed}
    key["code"] = code_of(aim_basis)
    return cached("aim_basis", key, compute).tensors["basis"]


@cache
@torch.inference_mode(False)
def default_basis() -> Tensor:
    """Return `aim_basis()`, read once: decoding the photographs takes as long as a map."""
    return aim_basis()


def self_information(coefficients: Tensor, bins: int) -> Tensor:
    """Return −Σ log p (B, h, w), in nats, of coefficients (B, C, h, w).

    p is the share of the image's own pixels in a pixel's bin: a histogram for each coefficient over
    the whole image. The `bins` are equal and centred on points from the smallest to the largest of
    all the image's coefficients, so that a coefficient that varies little tells little.
    """
    flat = coefficients.flatten(1)
    low, high = (f(1)[:, None, None, None] for f in (flat.amin, flat.amax))
    scaled = (coefficients - low) * ((bins - 1) / (high - low).clamp(min=FLAT))
    index = scaled.round().long().flatten(2)
    counts = torch.zeros(*index.shape[:2], bins, dtype=torch.int64, device=index.device)
    counts.scatter_add_(2, index, torch.ones_like(index))
    information = -(counts / index.shape[2] + FLOOR).log()
    return information.gather(2, index).sum(1).unflatten(1, coefficients.shape[2:]).clamp(min=0)


@CLASSICAL.register("aim")
def aim(images: Tensor, basis: Tensor | None = None, size: int = 400, bins: int = 256) -> Tensor:
    """Return the self-information (B, H, W), in nats, ≥ 0, of the patch around each pixel.

    The image is made `size` pixels long; the coefficients of its patches in an ICA basis count as
    independent, and their densities are histograms of `bins` bins over the image. `basis`: filters
    (C, 3, side, side); default `aim_basis()`, learned once and cached. Patches lie wholly inside
    the image; where none can be centred the map has its minimum, both as in the authors' code,
    which is also the source of the bins and their common range.

    Differences: the basis (see `aim_basis`); the authors scale an image by a factor of their
    choice, we to a fixed size, so that a patch spans the same share of every image; bilinear.

    Raises ValueError if the resized image's shorter side is smaller than a patch.
    """
    basis = (default_basis() if basis is None else basis).to(images.device, torch.float32)
    small = resized(images.float(), fitted(images.shape[-2:], size))
    side = basis.shape[-1]
    if min(small.shape[-2:]) < side:
        raise ValueError(
            f"images of {tuple(images.shape[-2:])} become {tuple(small.shape[-2:])} pixels: "
            f"smaller than a patch of {side} × {side}. Pass a larger size than {size}."
        )
    inside = self_information(functional.conv2d(small, basis), bins)
    before, after = side // 2, (side - 1) // 2
    least = inside.amin((1, 2), keepdim=True)
    framed = functional.pad(inside - least, (before, after) * 2) + least
    return resized(framed, images.shape[-2:])
