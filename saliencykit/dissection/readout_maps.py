"""A model's map dissected as if it were a unit: the answer that all layers read have a say in.

Region NSS of the map says which categories the *prediction* favours, whatever layer serves them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from torch import Tensor, nn

from ..cache import digest
from ..models import SaliencyModel
from ..sources import code_of

MAP = "map"
T = TypeVar("T")


class WithMap(nn.Module):
    """The layers that `model` reads, and one more, "map", whose only unit is its map."""

    def __init__(self, model: SaliencyModel):
        super().__init__()
        self.model, self.layers = model, [*model.layers, MAP]
        self.fingerprint = digest(MAP, code_of(WithMap), model.fingerprint)

    def reduce(
        self, images: Tensor, layers: Sequence[str], reducer: Callable[[str, Tensor], T]
    ) -> dict[str, T]:
        """Call `reducer(layer, activation (B, C, h, w))` at each layer; return its answers."""
        seen = self.model.encoder.activations(images, self.model.layers)
        seen[MAP] = self.model.read(seen)[:, None]
        return {layer: reducer(layer, seen[layer]) for layer in layers}


class Maps(nn.Module):
    """The maps of several readouts of one frozen encoder, each a layer with one unit.

    The encoder runs once for all of them. Raises ValueError if the encoders' weights differ.
    """

    def __init__(self, models: Mapping[str, SaliencyModel]):
        super().__init__()
        if len({model.encoder.fingerprint for model in models.values()}) != 1:
            raise ValueError("these models do not share one encoder: dissect each by itself")
        self.layers, self.models = list(models), dict(models)
        self.held = nn.ModuleList(models.values())  # so that they move and are evaluated with this
        self.fingerprint = digest(
            MAP, code_of(Maps), {k: model.fingerprint for k, model in models.items()}
        )

    def reduce(
        self, images: Tensor, layers: Sequence[str], reducer: Callable[[str, Tensor], T]
    ) -> dict[str, T]:
        """Call `reducer(name, map (B, 1, h, w))` for each model; return its answers."""
        chosen = {k: self.models[k] for k in layers}
        read = list(dict.fromkeys(layer for model in chosen.values() for layer in model.layers))
        seen = self.models[self.layers[0]].encoder.activations(images, read)
        return {k: reducer(k, model.read(seen)[:, None]) for k, model in chosen.items()}
