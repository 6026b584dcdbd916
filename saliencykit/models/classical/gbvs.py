"""`gbvs`: salient is where a random walk that prefers unlike places spends its time."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from .channels import CHANNELS
from .pyramid import attenuate_borders, map_size, pyramid, rescale, resize
from .table import CLASSICAL

NO_WEIGHT = 1e-11  # a node whose edges weigh less loses its walkers instead of sending them on
MOST_STEPS = 10_000  # photographs take some 10 to 40; two-coloured graphs may never settle


@CLASSICAL.register("gbvs")
def gbvs(
    images: Tensor,
    channels: str = "DIO",
    levels: tuple[int, ...] = (2, 3, 4),
    salmapmaxsize: int = 32,
    sigma_frac_act: float = 0.15,
    tol: float = 1e-4,
    blurfrac: float = 0.02,
) -> Tensor:
    """Return the graph-based visual saliency of images (B, 3, H, W) in [0, 1]: (B, H, W) in [0, 1].

    J. Harel, C. Koch, P. Perona, "Graph-based visual saliency", Advances in Neural Information
    Processing Systems 19, 2006; the parameters are those of their toolbox for MATLAB, which it
    follows: `channels` (D: DKL colour, I: intensity, O: orientation, C: Itti's colour) at pyramid
    `levels`, each shrunk to `salmapmaxsize` pixels on its longer side; the standard deviation of
    the graph's Gaussian as a share of the map's mean side (`sigma_frac_act`); the length of a step
    of the power iteration that ends it (`tol`: it ends well before equilibrium); the standard
    deviation of the last blur as a share of the longer side (`blurfrac`, 0: none).

    Checked against the toolbox run in Octave with one correction: Octave's `imresize` does not
    normalise its weights when shrinking, MATLAB's and this do. Stock Octave's maps therefore
    differ, by up to 0.014. The toolbox refuses images under 128 pixels, and returns NaN where a
    feature map is uniform; here such a map adds nothing, and an image of one colour gives 0.
    """
    size = map_size(tuple(images.shape[-2:]), salmapmaxsize)
    scales = pyramid(images, max(levels))
    features = [resize(CHANNELS[c](scales[n]), size) for c in channels for n in levels]
    activation = activate(rescale(torch.cat(features, 1)), sigma_frac_act * sum(size) / 2, tol)
    master = rescale(attenuate_borders((activation**1.5).sum(1), 4))
    if blurfrac:
        master = rescale(blur(master, blurfrac * max(size)))
    return rescale(resize(master.float(), tuple(images.shape[-2:])))


def activate(maps: Tensor, sigma: float, tol: float) -> Tensor:
    """Return how much of a random walk over each of maps (B, T, h, w) is at each place; sum 1.

    From i it goes to j with a probability in proportion to |M_i − M_j| exp(−|i − j|² / 2 sigma²)
    (section 3.2, the toolbox's difference for the paper's log ratio). The graph is float32, in
    which areas that are uniform but for rounding are uniform.
    """
    nodes = maps.flatten(-2).flatten(0, -2).float()
    near = torch.kron(*(proximity(n, sigma) for n in maps.shape[-2:])).to(nodes)
    visits = [
        equilibrium((chunk[:, :, None] - chunk[:, None]).abs_().mul_(near), tol)
        for chunk in nodes.split(64 if maps.is_cuda else 1)  # one graph fits a processor's cache
    ]
    return torch.cat(visits).view(maps.shape).double()


def proximity(n: int, sigma: float) -> Tensor:
    """Return exp(−d² / 2 sigma²) for the distances d between n places in a row: (n, n)."""
    x = torch.arange(n, dtype=torch.float64)
    return torch.exp(-((x[:, None] - x) ** 2) / (2 * sigma**2))


def equilibrium(weights: Tensor, tol: float) -> Tensor:
    """Return where random walkers are in graphs of symmetric edge weights (N, P, P): (N, P).

    They start everywhere alike and stop when a step changes their distribution by at most `tol`
    (Euclidean norm). A graph without edges has none left: 0.
    """
    walkers = weights.new_full((*weights.shape[:2], 1), 1 / weights.shape[1])
    total = weights.sum(2, keepdim=True).clamp(min=NO_WEIGHT)
    moving = torch.ones_like(walkers[:, :1], dtype=torch.bool)
    for _ in range(MOST_STEPS):
        if not moving.any():
            break
        after = weights @ (walkers / total)
        change = torch.linalg.vector_norm(after - walkers, dim=1, keepdim=True)
        walkers = torch.where(moving, after, walkers)
        moving = moving & (change > tol)
    left = walkers.sum(1, keepdim=True)
    return torch.where(left > 0, walkers / left, 0.0).squeeze(-1)


def blur(maps: Tensor, sd: float) -> Tensor:
    """Blur maps (B, h, w) with a Gaussian cut off at round(2 sd) pixels, edges replicated."""
    radius = int(2 * sd + 0.5)
    x = torch.arange(-radius, radius + 1).to(maps)
    kernel = torch.exp(-((x / sd) ** 2) / 2)
    kernel = (kernel / kernel.sum()).expand(1, 1, 1, -1)
    padded = pad(maps[:, None], [radius] * 4, mode="replicate")
    return torch.conv2d(torch.conv2d(padded, kernel), kernel.mT).squeeze(1)
