"""Encoders made of another encoder: beside a classical map, or at two scales.

Both are encoders themselves, with further layers that a readout may read, a dissection score and
an ablation silence. `build_encoder` makes them from a name: "mobilenet_v2+gbvs",
"mobilenet_v2@0.5".
"""

import os
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from ..cache import digest
from ..registry import check_name
from ..sources import code_of
from .classical.table import CLASSICAL, saliency
from .encoders import DEFAULT, AsMap, Change, Tapped, changing
from .encoders import build_encoder as build_plain

T = TypeVar("T")
STRIDE = 8  # input pixels per cell of the contrast layer
CONTRAST = "contrast"


class Composite(Tapped):
    """What encoders made of another one share: that one's layers, and further ones.

    further: each one's channels and stride. Raises ValueError if one is called like one that is
    there.
    """

    def __init__(self, base: Tapped, name: str, further: dict[str, tuple[int, int]]):
        super().__init__()
        self.base, self.name = base, name
        self.weights, self.accuracy = base.weights, base.accuracy
        self.by_name, self.straight = base.by_name, base.straight
        if twice := set(further) & set(base.layers):
            raise ValueError(f"{base.name} has a layer {min(twice)!r} already; complete it once")
        self.layers = [*base.layers, *further]
        self.channels = base.channels | {k: channels for k, (channels, _) in further.items()}
        self.strides = base.strides | {k: stride for k, (_, stride) in further.items()}

    def reduce(
        self, images: Tensor, layers: Sequence[str] | None, reducer: Callable[[str, Tensor], T]
    ) -> dict[str, T]:
        """See `Tapped`."""
        layers = self.checked(layers)
        images = images.to(next(self.base.parameters()).device)
        asked = [layer for layer in layers if layer in self.base.layers]
        answers = self.base.reduce(images, asked, reducer) if asked else {}
        if further := [layer for layer in layers if layer not in self.base.layers]:
            answers |= self.further(images, further, reducer)
        return {layer: answers[layer] for layer in layers}

    def further(
        self, images: Tensor, layers: list[str], reducer: Callable[[str, Tensor], T]
    ) -> dict[str, T]:
        """Answer for the layers that the encoder underneath does not have."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Return the deepest layer's activation of the encoder underneath."""
        return self.base(images)

    @property
    def fingerprint(self) -> str:
        """See `Tapped`."""
        return digest(self.name, self.base.fingerprint, code_of(type(self)))


class Contrast(nn.Module):
    """A classical model's map, z-scored, at stride 8: float (B, 3, H, W) -> (B, 1, h, w)."""

    def __init__(self, model: str):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Return the map; no gradient flows back into it."""
        with torch.autocast(images.device.type, enabled=False):
            maps = saliency(self.model, images.float().clamp(0, 1))
        height, width = (max(1, side // STRIDE) for side in images.shape[-2:])
        # Cloned: what inference mode made cannot take part in learning.
        small = adaptive_avg_pool2d(maps.clone()[:, None], (height, width))
        std, mean = torch.std_mean(small, (2, 3), correction=0, keepdim=True)
        return (small - mean) / std.clamp(min=1e-6)


class WithContrast(Composite):
    """An encoder beside a classical model's map, layer "contrast": one unit, z-scored, stride 8.

    A linear readout of it and the encoder's layers weighs learned features against contrast. No
    gradient flows into the classical model, which has nothing to learn.
    """

    def __init__(self, base: Tapped, model: str = "image_signature"):
        check_name("classical model", model, CLASSICAL)
        super().__init__(base, f"{base.name}+{model}", {CONTRAST: (1, STRIDE)})
        self.layers = [CONTRAST, *base.layers]
        self.contrast = Contrast(model)

    def further(
        self, images: Tensor, layers: list[str], reducer: Callable[[str, Tensor], T]
    ) -> dict[str, T]:
        """Answer for "contrast"."""
        return {layer: reducer(layer, self.contrast(images)) for layer in layers}

    def changed(self, layer: str, change: Change) -> AbstractContextManager[None]:
        """See `Tapped`."""
        own = layer == CONTRAST
        return changing(self.contrast, change) if own else self.base.changed(layer, change)

    def after(self, layer: str) -> list[str]:
        """See `Tapped`: nothing is computed from the contrast."""
        return [CONTRAST] if layer == CONTRAST else self.base.after(layer)

    @property
    def fingerprint(self) -> str:
        """See `Tapped`; the classical model's code counts."""
        return digest(super().fingerprint, code_of(CLASSICAL[self.contrast.model]))


class TwoScales(Composite):
    """An encoder that sees the image twice: as it is, and shrunk to `scale` of its sides.

    The second look's layers are called like the first's with the scale behind: "features.6@0.5".
    """

    def __init__(self, base: Tapped, scale: float = 0.5):
        if not 0 < scale < 1:
            raise ValueError(f"the second scale must lie between 0 and 1, not {scale}")
        suffix, strides = f"@{scale:g}", {k: round(s / scale) for k, s in base.strides.items()}
        again = {k + suffix: (base.channels[k], strides[k]) for k in base.layers}
        super().__init__(base, base.name + suffix, again)
        self.scale, self.suffix, self.looks_again = scale, suffix, False

    def further(
        self, images: Tensor, layers: list[str], reducer: Callable[[str, Tensor], T]
    ) -> dict[str, T]:
        """Answer for the layers of the second look."""
        size = [max(1, round(side * self.scale)) for side in images.shape[-2:]]
        small = interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
        names = [layer.removesuffix(self.suffix) for layer in layers]
        self.looks_again = True
        try:
            answers = self.base.reduce(small, names, lambda k, a: reducer(k + self.suffix, a))
        finally:
            self.looks_again = False
        return {name + self.suffix: answer for name, answer in answers.items()}

    def changed(self, layer: str, change: Change) -> AbstractContextManager[None]:
        """See `Tapped`: in one look only, though both run through the same modules."""
        name, again = self._look(layer)

        def change_once(as_map: AsMap, output: Tensor) -> Tensor:
            return change(as_map, output) if self.looks_again == again else output

        return self.base.changed(name, change_once)

    def after(self, layer: str) -> list[str]:
        """See `Tapped`: of the same look."""
        name, again = self._look(layer)
        return [k + self.suffix * again for k in self.base.after(name)]

    def _look(self, layer: str) -> tuple[str, bool]:
        """Return what the encoder underneath calls a layer; whether it is of the second look."""
        self.checked([layer])
        again = layer not in self.base.layers
        return layer.removesuffix(self.suffix) if again else layer, again


def build_encoder(
    name: str | nn.Module,
    weights: str | os.PathLike | None = DEFAULT,
    layers: Sequence[str] | None = None,
) -> Tapped:
    """Build an encoder, in evaluation mode.

    `name` is a torchvision classifier or one of ours (`encoder_names()`), one of timm's with
    "timm:" before (`encoder_names("timm:")`; an optional extra), or your own module; a name may go
    on with what the encoder is to be completed by: "+MODEL", a classical saliency model as layer
    "contrast"; "@SCALE", a second look at the image shrunk by so much. `weights`: "imagenet" for
    torchvision's and timm's, the name of the data that an encoder of ours was trained on
    ("toyworld"), or "default", whichever of these it is; None for random ones (seed them with
    torch.manual_seed); or the path of a state dict. Your own module keeps the weights that it has,
    unless a path is given, and is wrapped, not copied: it goes to evaluation mode too. `layers`:
    those to be had, None for all; of your own module any module's path that answers with a map.

    Raises UnknownNameError with the nearest encoder, layer or classical model; ValueError for
    weights that do not fit, a network without layers, a scale that is none, or the same completion
    twice; ImportError where timm is missing.
    """
    if isinstance(name, nn.Module):
        return build_plain(name, weights, layers)
    plain, *parts = re.split(r"(?=[+@])", name)
    encoder = build_plain(plain, weights, layers)
    for part in parts:
        encoder = _completed(encoder, part)
    return encoder.eval()


def _completed(encoder: Tapped, part: str) -> Composite:
    if part[0] == "+":
        return WithContrast(encoder, part[1:])
    try:
        scale = float(part[1:])
    except ValueError as error:
        raise ValueError(f"{part!r} is no second scale; write @0.5, say") from error
    return TwoScales(encoder, scale)
