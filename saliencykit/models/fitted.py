"""The density that a saliency map stands for: blurred, made steeper or flatter, and centred.

A saliency map has a scale of its own, and metrics that take it for a probability judge that scale.
Here the map s of image i becomes the density

    p(x) ∝ exp(f(z(x))) · prior(x)^power,

z being s blurred and z-scored over the image, and f rising, linear between knots. Blur, f and power
are those under which fixations on training images are likeliest, so that all models are judged by
what their maps know and not by how they write it down.

Source: Kümmerer, Wallis & Bethge 2015, PNAS 112, 16054–16059; 2018, ECCV, 770–787.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.nn.functional import interpolate

from ..datasets import SaliencyDataset
from ..metrics import gaussian_blur
from .centre import CentrePrior
from .saliency import upsample

SIDE = 48  # cells along the longer side of the grid on which maps are fitted
BLURS = (0.0, 0.01, 0.02, 0.04, 0.08)  # standard deviations tried, shares of the longer side
RISES = 12  # pieces of f
RIDGE = 1e-3  # on squared rises: where no fixation fell, f would fall without end

Size = tuple[int, int]


def grid_of(size: Size) -> Size:
    """Return the grid (height, width) of an image of this size, of at most `SIDE` cells."""
    share = min(1.0, SIDE / max(size))
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def z_scored(saliency: Tensor, size: Size, blur: float) -> Tensor:
    """Return a map of an image of this size on its grid, blurred and z-scored; 0 if constant.

    Blurred within the image: beyond its edges nothing is known, which is not the same as 0.
    """
    grid = grid_of(size)
    small = interpolate(saliency[None, None].double(), grid, mode="area")[0, 0]
    sigma = blur * max(grid)
    small = gaussian_blur(small, sigma) / gaussian_blur(torch.ones_like(small), sigma)
    low, high = small.aminmax()
    if high - low <= 1e-6 * high.abs():
        return torch.zeros_like(small)
    return (small - small.mean()) / small.std(correction=0)


def log_prior(prior: CentrePrior, size: Size) -> Tensor:
    """Return the logarithm (H, W) of a centre prior, of maximum at most 0."""
    return prior.map(size).double().clamp(min=1e-30).log()


@dataclass(frozen=True)
class Fitted:
    """How a model's maps become densities: see the top of this file.

    blur: as a share of the longer side; knots, heights: f, constant beyond its ends; power: of the
    prior; gain: by how much fixations on the training images are likelier than under the prior
    alone, bits per fixation, mean over images.
    """

    blur: float
    knots: tuple[float, ...]
    heights: tuple[float, ...]
    power: float
    prior: CentrePrior
    gain: float

    def density(self, saliency: Tensor, size: Size) -> Tensor:
        """Return the density (H, W), float64, sum 1, of a map (h, w) of an image of this size."""
        z = z_scored(saliency, size, self.blur)
        f = torch.from_numpy(np.interp(z.numpy(), self.knots, self.heights))
        log = upsample(f[None, None], size)[0, 0] + self.power * log_prior(self.prior, size)
        return log.flatten().softmax(0).view(size)


def fit(maps: Sequence[Tensor], data: SaliencyDataset, prior: CentrePrior) -> Fitted:
    """Return the `Fitted` under which the fixations on the images of `data` are likeliest.

    maps: one (h, w) an image, of any size and scale. Each image counts the same, those that nobody
    looked at not at all. On a grid of `SIDE` cells, where the problem is concave, for each of
    `BLURS`; the likeliest is taken. Raises ValueError if nobody looked at any image.
    """
    seen = [(i, _share(data, i)) for i in range(len(data))]
    looked = [(i, share) for i, share in seen if share.sum()]
    if not looked:
        raise ValueError(f"{data!r} holds no fixations to fit densities to")
    sizes = [data.size_of(i) for i, _ in looked]
    bias = [log_prior(prior, grid_of(size)).numpy().ravel() for size in sizes]
    cells = _Cells(
        np.concatenate([share for _, share in looked]) / len(looked),
        np.cumsum([0, *(len(one) for one in bias[:-1])]),
        np.concatenate(bias),
    )
    found: list[tuple[float, Fitted]] = []
    for blur in BLURS:
        z = [
            z_scored(maps[i], size, blur).numpy()
            for (i, _), size in zip(looked, sizes, strict=True)
        ]
        knots, rises, power, gain = cells.fit(np.concatenate([one.ravel() for one in z]))
        heights = np.cumsum([0.0, *rises])
        found.append((gain, Fitted(blur, (*knots,), (*heights,), power, prior, gain)))
    return max(found, key=lambda one: one[0])[1]


def _share(data: SaliencyDataset, i: int) -> np.ndarray:
    """Return the share (cells,) of image i's fixations that fell into each cell of its grid."""
    size = data.size_of(i)
    grid = grid_of(size)
    seen = data.fixations(i).inside(*size, data.names[i]).scaled(size, grid)
    counts = seen.count_map(*grid).double().numpy().ravel()
    return counts / max(1, counts.sum())


@dataclass(frozen=True)
class _Cells:
    """The cells of all grids, one image after the other.

    share: (n,) of the fixations, sum 1; starts: where each image's cells begin; bias: (n,) the
    logarithm of the prior.
    """

    share: np.ndarray
    starts: np.ndarray
    bias: np.ndarray

    def fit(self, z: np.ndarray) -> tuple[list[float], list[float], float, float]:
        """Return knots, rises of f between them, power, and gain over the prior alone (bits)."""
        knots = self.knots(z)
        told = np.column_stack([_ramps(z, knots), self.bias])
        alone = np.eye(told.shape[1])[-1]  # f flat, power 1: the prior
        bounds = [(0.0, None)] * (len(knots) - 1) + [(None, None)]
        how = {"maxiter": 500, "ftol": 1e-10, "gtol": 1e-6}
        found = minimize(
            self.loss, alone, (told,), "L-BFGS-B", jac=True, bounds=bounds, options=how
        ).x
        gain = self.likelihood(told, found)[0] - self.likelihood(told, alone)[0]
        rises = [float(rise) for rise in found[:-1]]
        return knots.tolist(), rises, float(found[-1]), float(gain / np.log(2))

    def knots(self, z: np.ndarray) -> np.ndarray:
        """Return where f may bend: quantiles of z, over cells and over fixations alike."""
        order = np.argsort(z, kind="stable")
        weight = np.cumsum((self.share + 1 / len(z))[order]) / 2
        at = np.searchsorted(weight, np.linspace(0, 1, RISES + 1)).clip(max=len(z) - 1)
        return np.unique(z[order][at])

    def likelihood(self, told: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the mean log-likelihood of a fixation, and its gradient.

        told: (n, m) what the logarithm of the density is a sum of, times weights (m,).
        """
        log = told @ weights
        lengths = np.diff([*self.starts, len(log)])
        log -= np.repeat(np.maximum.reduceat(log, self.starts), lengths)
        rate = np.exp(log)
        total = np.add.reduceat(rate, self.starts)
        log -= np.repeat(np.log(total), lengths)
        expected = rate / np.repeat(total * len(self.starts), lengths)
        return float(self.share @ log), (self.share - expected) @ told

    def loss(self, weights: np.ndarray, told: np.ndarray) -> tuple[float, np.ndarray]:
        """Return what is made small: minus the likelihood, and a ridge on the rises."""
        value, slope = self.likelihood(told, weights)
        rises = np.append(weights[:-1], 0)
        return RIDGE * float(rises @ rises) - value, 2 * RIDGE * rises - slope


def _ramps(z: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Return (n, pieces): how much of each piece between knots lies below z, 0 to 1."""
    return ((z[:, None] - knots[:-1]) / np.diff(knots)).clip(0, 1)
