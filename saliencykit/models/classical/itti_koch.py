"""`itti_koch`: centre–surround contrast, maps with few strong peaks promoted."""

import torch
from torch import Tensor

from .channels import CHANNELS
from .pyramid import attenuate_borders, map_size, pyramid, rescale, resize
from .table import CLASSICAL

MAXIMUM = 10.0  # M, what N(·) scales a map's maximum to; local maxima count from 1 on


@CLASSICAL.register("itti_koch")
def itti_koch(
    images: Tensor,
    channels: str = "CIO",
    centre_levels: tuple[int, ...] = (2, 3),
    delta_levels: tuple[int, ...] = (2,),
    salmapmaxsize: int | None = None,
) -> Tensor:
    """Return Itti and Koch's saliency of images (B, 3, H, W) in [0, 1]: (B, H, W) in [0, 1].

    L. Itti, C. Koch, E. Niebur, "A model of saliency-based visual attention for rapid scene
    analysis", IEEE Transactions on Pattern Analysis and Machine Intelligence 20(11), 1998, as the
    GBVS toolbox's `ittikochmap` has it: `channels` (C: colour opponency, I: intensity,
    O: orientation, D: DKL colour); pyramid levels c of the centres (`centre_levels`) and the
    surrounds' distance δ from them, s = c + δ (`delta_levels`; the paper has c 2 to 4 and δ 3, 4,
    too coarse for small images); the maps' longer side in pixels, the image's over 8 unless given.

    The toolbox departs from the paper: its opponent colours are |B − min(R, G)| and |R − G| over
    the intensity max(R, G, B), in dark places too; centre and surround are compared by their
    squared difference; borders are attenuated. There is no last blur; `saliency(…, smooth=0.03)`
    is the one the toolbox offers for predicting fixations. MATLAB and Octave give the same maps.
    An image of one colour gives 0, and so does one under 44 pixels: its pyramid ends at level 2.
    """
    image_size = tuple(images.shape[-2:])
    size = map_size(image_size, salmapmaxsize or max(1, int(max(image_size) / 8 + 0.5)))
    scales = pyramid(images, max(centre_levels) + max(delta_levels))
    pairs = [(c, c + delta) for c in centre_levels for delta in delta_levels]
    master = images.new_zeros(len(images), *size, dtype=torch.float64)
    for channel in channels:
        features = {n: CHANNELS[channel](scales[n]) for n in {n for pair in pairs for n in pair}}
        maps = [contrast(features[c], features[s], size) for c, s in pairs]
        master += promote_peaks(promote_peaks(torch.cat(maps, 1)).sum(1))
    return rescale(resize(rescale(attenuate_borders(master, 4)).float(), image_size))


def contrast(centre: Tensor, surround: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the squared difference of centre (…, h, w) and surround, at `size`."""
    return resize((centre - resize(surround, tuple(centre.shape[-2:]))) ** 2, size)


def promote_peaks(maps: Tensor) -> Tensor:
    """Return N(maps): each, scaled to M = 10, times (M − the mean of its local maxima)².

    Maxima are the inner pixels of 1 or more that none of their four neighbours exceeds. The one
    that is M is among them (the paper leaves it out); a map with no other is multiplied by M².
    """
    maps = MAXIMUM * rescale(maps)
    inner, rows, columns = maps[..., 1:-1, 1:-1], maps[..., 1:-1, :], maps[..., 1:-1]
    peak = inner >= 1
    for neighbour in (rows[..., :-2], rows[..., 2:], columns[..., :-2, :], columns[..., 2:, :]):
        peak &= inner >= neighbour
    count = peak.sum((-2, -1), keepdim=True)
    mean = (inner * peak).sum((-2, -1), keepdim=True) / count
    one = torch.where(count == 1, MAXIMUM**2, 1.0)
    return maps * torch.where(count > 1, (MAXIMUM - mean) ** 2, one)
