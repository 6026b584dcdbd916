"""Encoders made of another encoder: beside a classical map, or at two scales.

Both are encoders themselves, with further layers that a readout may read and a dissection may
score. `build_encoder` makes them from a name: "mobilenet_v2+gbvs", "mobilenet_v2@0.5".
"""

import os
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from ..cache import code_version, digest
from ..registry import check_name
from . import classical
from .encoders import DEFAULT, Encoder
from .encoders import build_encoder as build_plain

T = TypeVar("T")
STRIDE = 8  # input pixels per cell of the contrast layer


class Composite(nn.Module):
    """What all encoders made of another one share; see `Encoder` for what the attributes mean."""

    def __init__(self, base: "Encoder | Composite", name: str):
        super().__init__()
        self.base, self.name = base, name
        self.weights, self.accuracy = base.weights, base.accuracy
        self.layers = list(base.layers)
        self.channels, self.strides = dict(base.channels), dict(base.strides)

    def __repr__(self) -> str:
        return f"<{self.name} ({self.weights}): {len(self.layers)} layers>"

    def reduce(
        self, images: Tensor, layers: Sequence[str] | None, reducer: Callable[[str, Tensor], T]
    ) -> dict[str, T]:
        """As `Encoder.reduce`."""
        layers = self.layers if layers is None else list(layers)
        for layer in layers:
            check_name(f"layer of {self.name}", layer, self.layers)
        asked = [layer for layer in layers if layer in self.base.layers]
        answers = self.base.reduce(images, asked, reducer) if asked else {}
        answers |= self.further(images, [k for k in layers if k not in self.base.layers], reducer)
        return {layer: answers[layer] for layer in layers}

    def further(
        self, images: Tensor, layers: list[str], reducer: Callable[[str, Tensor], T]
    ) -> dict[str, T]:
        """Answer for the layers that the encoder underneath does not have."""
        raise NotImplementedError

    def activations(self, images: Tensor, layers: Sequence[str] | None = None) -> dict[str, Tensor]:
        """As `Encoder.activations`."""
        return self.reduce(images, layers, lambda _, activation: activation.clone())

    def forward(self, images: Tensor) -> Tensor:
        """Return the deepest layer's activation of the encoder underneath."""
        return self.base(images)

    @property
    def fingerprint(self) -> str:
        """Hash of architecture and weights, for cache keys."""
        code = code_version("models/composite.py", "models/classical")
        return digest(self.name, self.base.fingerprint, code)


class WithContrast(Composite):
    """An encoder beside a classical model's map, layer "contrast": one unit, z-scored, stride 8.

    A linear readout of it and the encoder's layers weighs learned features against contrast. No
    gradient flows into the classical model, which has nothing to learn.
    """

    def __init__(self, base: "Encoder | Composite", model: str = "image_signature"):
        check_name("classical model", model, classical.names())
        super().__init__(base, f"{base.name}+{model}")
        self.model = model
        self.layers.insert(0, "contrast")
        self.channels["contrast"], self.strides["contrast"] = 1, STRIDE

    def further(
        self, images: Tensor, layers: list[str], reducer: Callable[[str, Tensor], T]
    ) -> dict[str, T]:
        """Answer for "contrast"."""
        return {layer: reducer(layer, self._contrast(images)) for layer in layers}

    def _contrast(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):
            maps = classical.saliency(self.model, images.float().clamp(0, 1))
        grid = [max(1, side // STRIDE) for side in images.shape[-2:]]
        # Cloned: what inference mode made cannot take part in learning.
        small = adaptive_avg_pool2d(maps.clone()[:, None], grid)
        std, mean = torch.std_mean(small, (2, 3), correction=0, keepdim=True)
        return (small - mean) / std.clamp(min=1e-6)


class TwoScales(Composite):
    """An encoder that sees the image twice: as it is, and shrunk to `scale` of its sides.

    The second look's layers are called like the first's with the scale behind: "features.6@0.5".
    """

    def __init__(self, base: "Encoder | Composite", scale: float = 0.5):
        if not 0 < scale < 1:
            raise ValueError(f"the second scale must lie between 0 and 1, not {scale}")
        super().__init__(base, f"{base.name}@{scale:g}")
        self.scale, self.suffix = scale, f"@{scale:g}"
        for layer in base.layers:
            again = layer + self.suffix
            self.layers.append(again)
            self.channels[again] = base.channels[layer]
            self.strides[again] = round(base.strides[layer] / scale)

    def further(
        self, images: Tensor, layers: list[str], reducer: Callable[[str, Tensor], T]
    ) -> dict[str, T]:
        """Answer for the layers of the second look."""
        if not layers:
            return {}
        size = [max(1, round(side * self.scale)) for side in images.shape[-2:]]
        small = interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
        names = [layer.removesuffix(self.suffix) for layer in layers]
        answers = self.base.reduce(small, names, lambda k, a: reducer(k + self.suffix, a))
        return {name + self.suffix: answer for name, answer in answers.items()}


def build_encoder(name: str, weights: str | os.PathLike | None = DEFAULT) -> Encoder | Composite:
    """Build an encoder, in evaluation mode.

    `name` is a torchvision classifier or one of ours (`encoder_names()`), and what it is to be
    completed by: "+MODEL", a classical saliency model as layer "contrast"; "@SCALE", a second look
    at the image shrunk by so much. `weights`: "imagenet" for torchvision's, the name of the data
    that an encoder of ours was trained on ("toyworld"), or "default", whichever of these it is;
    None for random ones (seed them with torch.manual_seed); or the path of a state dict. Raises
    UnknownNameError with the nearest encoder or classical model; ValueError for weights that do
    not fit or a scale that is none.
    """
    plain, *parts = re.split(r"(?=[+@])", name)
    encoder = build_plain(plain, weights)
    for part in parts:
        encoder = _completed(encoder, part)
    return encoder.eval()


def _completed(encoder: Encoder | Composite, part: str) -> Composite:
    if part[0] == "+":
        return WithContrast(encoder, part[1:])
    try:
        scale = float(part[1:])
    except ValueError as error:
        raise ValueError(f"{part!r} is no second scale; write @0.5, say") from error
    return TwoScales(encoder, scale)
