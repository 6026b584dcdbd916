"""Readouts that are densities: what a frozen layer tells of where people look.

A fixation on an image falls at x with the density

    p(x) ∝ prior(x) · exp(Σ_c w_c a_c(x)),

a_c being channel c of a layer and the prior the centre prior: a log-linear model, or a Poisson
process of which it is given how many points there are. Its log-likelihood is concave in w, so that
a layer has one best readout, whatever the seed.

It is fitted on a grid that all images share, since the network sees them at one size: `SIDE` cells
along the longer side. A finer layer is averaged down to it; a coarser one is read at its own
resolution, and its map Σ_c w_c a_c brought there bilinearly. Scored it is on the image's own pixels
(`evaluation.bits`), to which the map is brought likewise, and over which p then sums to 1.

Source: Baddeley & Turner 2000, Australian & New Zealand Journal of Statistics 42, 283–322;
Barthelmé, Trukenbrod, Engbert & Wichmann 2013, Journal of Vision 13(12):1 (of fixations).
"""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, linear
from tqdm.auto import tqdm

from ..cache import Entry, cached
from ..datasets import SaliencyDataset
from ..metrics.upsampling import Size, size_of
from ..sources import code_of
from .centre import CentrePrior
from .encoders import Tapped
from .fitted import log_prior
from .saliency import upsample
from .stimuli import placed, stimuli, to_float

SIDE = 32  # cells along the longer side of the grid
PENALTIES = (10.0, 1.0, 0.1, 0.01, 0.001)  # on squared weights of channels of variance 1, tried
TOLERANCE = 3e-4  # of the gradient, nats per fixation, where the curvature is about 1
STEPS = 500  # of the optimiser, at most; some ten are usual
SAMPLE = 100  # images that tell how channels vary, which sets scales and no optimum
CONSTANT = 1e-10  # variance, as a share of the mean square, that is rounding
HALF = torch.finfo(torch.half).max


def coarse_grid(size: Size) -> Size:
    """Return the grid (height, width) for a network's input of this size."""
    share = min(1.0, SIDE / max(size))
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def coarse_features(
    encoder: Tapped, data: SaliencyDataset, layers: Sequence[str], size: Size
) -> Entry:
    """Return the frozen activations `{layer: (N, C, h, w)}` of all images; cached.

    At most as fine as `coarse_grid`, and in half precision (three digits; what it cannot hold
    becomes its largest number). All layers come from one pass over the images, of which a batch at
    a time is held in full.
    """
    grid = coarse_grid(size)

    def small(layer: str, maps: Tensor) -> Tensor:
        own = tuple(maps.shape[-2:])
        least = (min(own[0], grid[0]), min(own[1], grid[1]))
        return (
            (maps if least == own else adaptive_avg_pool2d(maps, least)).clamp(-HALF, HALF).half()
        )

    @torch.inference_mode()
    def compute() -> Entry:
        images = stimuli(data, size).tensors["images"]
        frozen, kept = placed(encoder), dict[str, Tensor]()
        doing = f"coarse features of {encoder.name}"
        for rows in tqdm(torch.arange(len(images)).split(16), desc=doing, leave=False):
            seen = frozen.reduce(to_float(images[rows]), layers, small)
            for layer, maps in seen.items():
                if layer not in kept:
                    kept[layer] = torch.empty(len(images), *maps.shape[1:], dtype=torch.half)
                kept[layer][rows] = maps.cpu()
        return Entry(kept)

    key = {
        "code": code_of(coarse_features),
        "encoder": encoder.fingerprint,
        "data": data.image_fingerprint,
        "layers": list(layers),
        "size": size,
    }
    return cached("coarse_features", key, compute)


class Densities(NamedTuple):
    """The readouts of a layer, a fold each, which learned from the images of all other folds.

    maps: (N, h, w) float32, of each image that of the readout that never saw it: the logarithm of
    its density over the prior, but for what makes it a density; weights: (C, K); penalties: (K,).
    """

    maps: Tensor
    weights: Tensor
    penalties: Tensor


def fit_densities(seen: Tensor, share: Tensor, prior: CentrePrior, fold: Tensor) -> Densities:
    """Fit one readout a fold to a layer, each image and within it each share counting alike.

    seen: (N, C, h, w) activations; share: (N, gh, gw) of each image's fixations, by cell, sum 1, or
    0 where nobody looked; fold: (N,) from 0. The penalty is chosen among `PENALTIES`, from the
    largest on until a smaller one gains nothing, by the readout's gain on the next fold, when it
    learned from neither. The penalised likelihood is then maximised (L-BFGS) until no component of
    its gradient exceeds `TOLERANCE`; a warning says where rounding or `STEPS` leave it ten times as
    large. Raises ValueError for fewer than three folds, or for folds without a fixation.
    """
    folds, looked = int(fold.max()) + 1, share.sum((1, 2)) > 0
    if folds < 3:
        raise ValueError(f"{folds} folds; 3 are needed: to learn, to choose the penalty, to score")
    own = fold[:, None] == torch.arange(folds)
    told = own.roll(-1, 1) & looked[:, None]  # the next fold's
    if not told.any(0).all():
        raise ValueError("nobody looked at any image of a fold: take fewer folds")
    layer = _Layer(seen, share, prior)
    weights, chosen = torch.zeros(seen.shape[1], folds).double(), torch.zeros(folds).double()
    most = torch.full((folds,), -torch.inf).double()
    for penalty in PENALTIES:
        alike = torch.full_like(chosen, penalty)
        weights = layer.solve(~own & ~told & looked[:, None], alike, weights)
        gained = (layer.gains(weights) * told).sum(0) / told.sum(0)
        better = gained > most
        if not better.any():
            break
        most, chosen = torch.maximum(most, gained), torch.where(better, penalty, chosen)
    weights = layer.solve(~own & looked[:, None], chosen, weights)
    maps = layer.maps(weights)[torch.arange(len(fold)), fold]
    return Densities(maps, weights, chosen)


class _Layer:
    """A layer's log-linear model on the grid, for several readouts at a time, one a column."""

    def __init__(self, seen: Tensor, share: Tensor, prior: CentrePrior):
        self.own, self.grid = size_of(seen), size_of(share)
        self.rows = seen.permute(0, 2, 3, 1).flatten(1, 2).float()  # (N, hw, C)
        self.share = share.double().flatten(1)
        self.prior = log_prior(prior, self.grid).flatten().log_softmax(0)
        covariance = _within(self.rows, prior.map(self.own).flatten())
        spread = covariance.diagonal().sqrt()
        self.spread = torch.where(spread > 0, spread, torch.inf)  # a dead channel weighs nothing
        alike = covariance / self.spread / self.spread[:, None]
        curvature, self.axes = torch.linalg.eigh(alike)
        self.curvature = curvature.clamp(min=0)

    def maps(self, weights: Tensor) -> Tensor:
        """Return (N, K, h, w) float32: Σ_c w_c a_c for weights (C, K)."""
        turned = weights.T.float().contiguous()  # for both product and gradient the fast order
        found = linear(self.rows.flatten(0, 1), turned)
        return found.view(len(self.rows), *self.own, -1).permute(0, 3, 1, 2)

    def gains(self, weights: Tensor) -> Tensor:
        """Return (N, K): by how many nats a fixation is likelier than under the prior, on average.

        On an image that nobody looked at it means nothing.
        """
        log = upsample(self.maps(weights), self.grid).flatten(2).double()
        return torch.einsum("nx,nkx->nk", self.share, log) - (log + self.prior).logsumexp(-1)

    def solve(self, taught: Tensor, penalty: Tensor, start: Tensor) -> Tensor:
        """Return weights (C, K) that maximise the mean gain on images `taught` (N, K) less a ridge.

        Column by column, all at once. In coordinates in which the curvature under the prior,
        penalty (K,) included, is 1 in every direction.
        """
        image = taught / taught.sum(0)
        root = (self.curvature[:, None] + penalty).sqrt()

        def weights(point: Tensor) -> Tensor:
            """In channels of variance 1."""
            return self.axes @ (point / root)

        def loss(flat):  # noqa: ANN001, ANN202 (scipy's)
            point = torch.from_numpy(flat).view_as(root).requires_grad_()
            even = weights(point)
            gained = (self.gains(even / self.spread[:, None]) * image).sum()
            value = (penalty * even.square()).sum() / 2 - gained
            (slope,) = torch.autograd.grad(value, point)
            return value.item(), slope.flatten().numpy()

        known = torch.where(self.spread.isinf()[:, None], 0, start * self.spread[:, None])
        first = (root * (self.axes.T @ known)).flatten().numpy()
        how = {"gtol": TOLERANCE, "ftol": 1e-9, "maxiter": STEPS}
        found = minimize(loss, first, jac=True, method="L-BFGS-B", options=how)
        if (off := float(abs(found.jac).max())) > 10 * TOLERANCE:
            warnings.warn(
                f"a readout is not at its optimum: gradient {off:.1g} after {found.nit} steps",
                stacklevel=3,
            )
        return weights(torch.from_numpy(found.x).view_as(root)) / self.spread[:, None]


def _within(rows: Tensor, prior: Tensor) -> Tensor:
    """Return (C, C): covariance within images of rows (N, hw, C), where the prior (hw,) looks.

    0 of a channel that is constant up to rounding.
    """
    some = rows[:: -(-len(rows) // SAMPLE)]
    share = prior / prior.sum()
    apart = (some - torch.einsum("x,nxc->nc", share, some)[:, None]) * share.sqrt()[:, None]
    flat = apart.flatten(0, 1)
    covariance = (flat.T @ flat).double() / len(some)
    square = torch.einsum("x,nxc->c", share, some.square()) / len(some)
    varies = covariance.diagonal() > CONSTANT * square
    return covariance * (varies & varies[:, None])
