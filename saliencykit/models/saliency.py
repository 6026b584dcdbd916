"""The saliency model: an encoder, a linear readout, bilinear upsampling (He et al. 2019, 3.1).

The paper reads one layer with one bias-free 1×1 convolution. Several layers can be read as well:
their 1×1 maps are brought to the finest one's grid and added, so the readout stays linear in the
units and every unit keeps one exact weight.
"""

import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ..cache import Entry, digest, read, write
from ..sources import code_of
from .composite import build_encoder
from .encoders import Tapped
from .weights import check_finite


def upsample(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Upsample (B, C, h, w) bilinearly to `size` = (H, W), corners not aligned."""
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    return interpolate(maps, tuple(size), mode="bilinear", align_corners=False)


def blank(name: str, like: Tapped | None = None) -> Tapped:
    """Return an encoder to load weights into: a copy of one alike, if given, or built by its name.

    Building draws random weights and asks anew where layers are, which of vgg16 takes seconds.
    """
    if like is not None and (like.name == name or not like.by_name):
        encoder = deepcopy(like)
    else:
        encoder = build_encoder(name, None)
    encoder.weights, encoder.accuracy = "trained", None
    return encoder


class Readout(nn.Module):
    """An encoder and a linear map, `readouts`, of what the `layers` of it answer.

    `layer`: one layer's name or several; None reads the deepest. Raises UnknownNameError for a
    layer that the encoder lacks.
    """

    readouts: nn.ModuleList | nn.Linear

    def __init__(self, encoder: Tapped, layer: str | Sequence[str] | None = None):
        super().__init__()
        self.encoder = encoder
        layers = [layer] if isinstance(layer, str) else list(layer or encoder.layers[-1:])
        self.layers = encoder.checked(layers)

    @property
    def fingerprint(self) -> str:
        """Hash of architecture, code and weights, for cache keys."""
        code, weights = code_of(type(self)), self.readouts.state_dict()
        return digest(self.encoder.fingerprint, self.layers, code, weights)


class SaliencyModel(Readout):
    """Encoder plus linear readout: images float (B, 3, H, W) in [0, 1] → saliency (B, H, W).

    `layer`: one layer's name or several; None reads the deepest. The map's scale is arbitrary:
    the loss, −NSS, does not see it. Raises UnknownNameError for a layer that the encoder lacks.
    """

    def __init__(self, encoder: Tapped, layer: str | Sequence[str] | None = None):
        super().__init__(encoder, layer)
        found = [nn.Conv2d(encoder.channels[layer], 1, 1, bias=False) for layer in self.layers]
        for readout in found:
            nn.init.normal_(readout.weight, std=0.01)
        self.readouts: nn.ModuleList = nn.ModuleList(found)

    def read(self, features: Mapping[str, Tensor]) -> Tensor:
        """Read the map (B, h, w) off the activations, on the finest layer's grid."""
        maps = [r(features[k]) for k, r in zip(self.layers, self.readouts, strict=True)]
        grid = max((m.shape[-2:] for m in maps), key=lambda s: s[0] * s[1])
        return torch.stack([upsample(m, grid) for m in maps]).sum(0)[:, 0]

    def coarse(self, images: Tensor) -> Tensor:
        """Return the map (B, h, w) before upsampling: what the loss and cheap metrics need."""
        return self.read(self.encoder.activations(images, self.layers))

    def forward(self, images: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Return saliency (B, H, W) at the images' size, or at `size`."""
        return upsample(self.coarse(images)[:, None], size or images.shape[-2:])[:, 0]

    def save(self, path: str | os.PathLike, **notes: Any) -> None:
        """Write a checkpoint (safetensors), with JSON-able `notes` such as training settings."""
        about = {"encoder": self.encoder.name, "by_name": self.encoder.by_name}
        about |= {"layers": self.layers, "notes": notes}
        write(Path(path), Entry(self.state_dict(), about))

    @classmethod
    def load(cls, path: str | os.PathLike, encoder: Tapped | None = None) -> "SaliencyModel":
        """Read a checkpoint written by `save`.

        `encoder`: one like that which was saved, for your own network, which has no name that it
        could be built by. Raises ValueError if the file is damaged or another's.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"No checkpoint at {path}.")
        entry = read(Path(path))
        if "encoder" not in entry.meta:
            raise ValueError(f"{path} is no saliencykit checkpoint: it names no encoder.")
        if encoder is None and not entry.meta.get("by_name", True):
            raise ValueError(
                f"{path} holds a model of somebody's own network, {entry.meta['encoder']}: give "
                "that too, as encoder=build_encoder(your_module)."
            )
        try:
            model = cls.from_entry(entry, encoder)
        except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
            first = str(error).splitlines()[0]
            raise ValueError(f"{path} holds no model that can be built: {first}") from error
        check_finite(model, str(path))
        return model

    @staticmethod
    def notes(path: str | os.PathLike) -> dict[str, Any]:
        """Return the notes that were saved with a checkpoint."""
        return read(Path(path)).meta.get("notes", {})

    @classmethod
    def from_entry(cls, entry: Entry, like: Tapped | None = None) -> "SaliencyModel":
        """Rebuild the model that an entry of the cache describes; `like`: see `blank`."""
        model = cls(blank(entry.meta["encoder"], like), entry.meta["layers"])
        model.load_state_dict({k: v for k, v in entry.tensors.items() if k in model.state_dict()})
        return model.eval()


class Classifier(Readout):
    """Encoder plus linear readout: images float (B, 3, H, W) in [0, 1] → logits (B, classes).

    `layer`: one layer's name or several; None reads the deepest. Each unit is averaged over the
    image, whatever its size; all layers' averages side by side go into one linear map.
    """

    def __init__(self, encoder: Tapped, layer: str | Sequence[str] | None, classes: int):
        super().__init__(encoder, layer)
        self.readouts = nn.Linear(sum(encoder.channels[k] for k in self.layers), classes)
        nn.init.normal_(self.readouts.weight, std=0.01)
        nn.init.zeros_(self.readouts.bias)

    def read(self, features: Mapping[str, Tensor]) -> Tensor:
        """Read the logits (B, classes) off the activations."""
        return self.readouts(torch.cat([features[k].mean((-2, -1)) for k in self.layers], 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (B, classes)."""
        return self.read(self.encoder.activations(images, self.layers))

    @classmethod
    def from_entry(cls, entry: Entry, like: Tapped | None = None) -> "Classifier":
        """Rebuild the model that an entry of the cache describes; `like`: see `blank`."""
        encoder = blank(entry.meta["encoder"], like)
        model = cls(encoder, entry.meta["layers"], len(entry.tensors["readouts.bias"]))
        model.load_state_dict(entry.tensors)
        return model.eval()
