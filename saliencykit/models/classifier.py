"""The classifier: an encoder and a linear readout of its units' averages over the image.

The counterpart of `SaliencyModel`: the same layers are read, linearly, and nothing else is learned
beside the encoder. So what two tasks do to an encoder can be compared.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..cache import Entry, digest
from .composite import Composite, build_encoder
from .encoders import Encoder


class Classifier(nn.Module):
    """Encoder plus linear readout: images float (B, 3, H, W) in [0, 1] → logits (B, classes).

    `layer`: one layer's name or several; None reads the deepest. Each unit is averaged over the
    image, whatever its size; all layers' averages side by side go into one linear map.
    """

    def __init__(
        self,
        encoder: Encoder | Composite,
        layer: str | Sequence[str] | None,
        classes: int,
    ):
        super().__init__()
        self.encoder = encoder
        self.layers = [layer] if isinstance(layer, str) else list(layer or encoder.layers[-1:])
        self.readouts = nn.Linear(sum(encoder.channels[k] for k in self.layers), classes)
        nn.init.normal_(self.readouts.weight, std=0.01)
        nn.init.zeros_(self.readouts.bias)

    def read(self, features: Mapping[str, Tensor]) -> Tensor:
        """Read the logits (B, classes) off the activations."""
        return self.readouts(torch.cat([features[k].mean((-2, -1)) for k in self.layers], 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (B, classes)."""
        return self.read(self.encoder.activations(images, self.layers))

    @property
    def fingerprint(self) -> str:
        """Hash of architecture and weights, for cache keys."""
        return digest(self.encoder.name, self.layers, self.state_dict())

    @classmethod
    def from_entry(cls, entry: Entry) -> "Classifier":
        """Rebuild the model that an entry of the cache describes."""
        encoder = build_encoder(entry.meta["encoder"], None)
        model = cls(encoder, entry.meta["layers"], len(entry.tensors["readouts.bias"]))
        model.load_state_dict(entry.tensors)
        return model.eval()
