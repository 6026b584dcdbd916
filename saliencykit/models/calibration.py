"""Untrained networks that work: batch norm that knows the images.

A network with random weights whose batch norm still has the statistics it was made with, mean 0 and
variance 1, hands its layers anything but: signals shrink or grow from layer to layer until most
units say the same. Such a network is no control for a trained one.
"""

from copy import deepcopy

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from ..cache import Entry, cached
from ..datasets import SaliencyDataset
from ..metrics.upsampling import Size
from ..sources import code_of
from .encoders import Encoder
from .stimuli import placed, stimuli, to_float

BATCH = 32


def calibrated(encoder: Encoder, data: SaliencyDataset, size: Size) -> Encoder:
    """Return a copy whose batch norms have the statistics of the images of `data`, seen at `size`.

    One pass, batch norm alone in training mode: its running mean and variance become the averages
    over batches of equal weight (of about 32 images, shuffled alike every time), so that each batch
    norm answers these images with mean 0 and variance 1 by channel, but for scale and shift. A
    network without batch norm comes back as it is. In evaluation mode; cached. Raises ValueError
    for data without images.

    Source: Ioffe & Szegedy 2015, ICML; the statistics of a network's own data rather than running
    ones as Wu & Johnson 2021, arXiv 2105.07576, section 3.
    """
    if not len(data):
        raise ValueError(f"{data!r} holds no images to calibrate batch norm on")
    ready = deepcopy(encoder).eval()
    if not any(isinstance(m, _BatchNorm) for m in ready.modules()):
        return ready
    key = {
        "code": code_of(calibrated),
        "encoder": encoder.fingerprint,
        "data": data.image_fingerprint,
        "size": size,
    }
    found = cached("calibration", key, lambda: _statistics(deepcopy(encoder).eval(), data, size))
    ready.load_state_dict(found.tensors, strict=False)
    return ready


def _statistics(encoder: Encoder, data: SaliencyDataset, size: Size) -> Entry:
    """Return the running means and variances, by their names in the network's state."""
    images = stimuli(data, size).tensors["images"]
    placed(encoder)
    norms = {name: m for name, m in encoder.named_modules() if isinstance(m, _BatchNorm)}
    for norm in norms.values():
        norm.reset_running_stats()
        norm.momentum = None  # the average of all batches, not the last ones'
        norm.train()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        for rows in order.tensor_split(-(-len(images) // BATCH)):
            encoder(to_float(images[rows]))
    state, ends = encoder.state_dict(), ("running_mean", "running_var")
    return Entry({f"{name}.{end}": state[f"{name}.{end}"] for name in norms for end in ends})
