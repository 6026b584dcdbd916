"""Silencing units: what a saliency model loses, category by category, without a group of them.

A unit's activation is replaced, at every place, by zero or by its mean over a data set. Zero is
"off" only where activations can't be negative; after a linear step (mobilenet's bottlenecks) the
mean is the value that says least, and it keeps later layers on inputs they know.

To try G groups on B images, the network runs once to the layer, whose activation is then repeated
G times along the batch, one group silenced in each, and the rest runs on G·B rows. That needs no
more of a network than that everything later flows from that layer, which holds for torchvision's
trunks; where a skip passed around it, sizes would not fit and torch would say so. For features.13
of mobilenet_v2 at 300×400, a group and image cost 8 ms of one core, a fourth of a whole pass. Of
timm's networks and your own nobody knows it (`Tapped.straight`): they run once for each group.
Where the readout sees nothing deeper, nothing has to run on.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..cache import digest
from ..datasets import SaliencyDataset
from ..metrics.upsampling import Size
from ..models.encoders import AsMap, Tapped
from ..models.saliency import SaliencyModel
from ..sources import code_of
from .dissect import T, dissect_cached
from .groups import Group, unit_moments_cached
from .result import Dissection

ROWS = 1 << 22  # activations at the ablated layer that run on at a time: 16 MB


@contextmanager
def ablated(
    encoder: Tapped, layer: str, units: Sequence[int], to: str | Tensor = "zero"
) -> Iterator[Tapped]:
    """Inside, `units` of `layer` answer `to` everywhere: to taps on the layer and to later ones.

    to: "zero", or the value (C,) of each of the layer's units, such as `unit_moments` means. A
    transformer's class token is not silenced: only the units' maps are. Of an encoder that looks
    twice, "features.13" and "features.13@0.5" are different units. Afterwards the encoder is as it
    was, also if something was raised. Raises UnknownNameError for a layer, IndexError for a unit
    that is not there, ValueError for no units or values of another shape.
    """
    _check(encoder, layer, units)
    with _silenced(encoder, layer, [units], _values(encoder, layer, to)):
        yield encoder


def _silenced(
    encoder: Tapped, layer: str, groups: Sequence[Sequence[int]], values: Tensor
) -> AbstractContextManager[None]:
    """Inside, `layer` answers once for each group (rows: group by group), that group silenced."""

    def silence(as_map: AsMap, output: Tensor) -> Tensor:
        return _copies(output, groups, values, as_map)

    return encoder.changed(layer, silence)


def _copies(
    output: Tensor,
    groups: Sequence[Sequence[int]],
    values: Tensor,
    as_map: AsMap = lambda answer: answer,
) -> Tensor:
    """Return an answer once for each group (rows: group by group), that group's units silenced."""
    copies = torch.cat([output] * len(groups))  # never the live tensor: a skip may hold it
    maps = as_map(copies).unflatten(0, (len(groups), -1))
    for g, units in enumerate(groups):
        maps[g][:, list(units)] = values[list(units), None, None].to(maps)
    return copies


def _check(encoder: Tapped, layer: str, units: Sequence[int], name: str = "units") -> None:
    encoder.checked([layer])
    channels = encoder.channels[layer]
    if not len(units):
        raise ValueError(f"{name}: no units to ablate")
    if min(units) < 0 or max(units) >= channels:
        raise IndexError(
            f"{name}: units run from {min(units)} to {max(units)}; {layer} has units "
            f"0 … {channels - 1}"
        )


def _values(encoder: Tapped, layer: str, to: str | Tensor) -> Tensor:
    """Return what each unit (C,) of `layer` is set to."""
    channels = encoder.channels[layer]
    if isinstance(to, str):
        hint = "; for means, pass those of unit_moments" if to == "mean" else ""
        if to != "zero":
            raise ValueError(f"units are set to 'zero' or to a tensor, not {to!r}{hint}")
        return torch.zeros(channels)
    if tuple(to.shape) != (channels,):
        raise ValueError(f"{layer} has {channels} units; values for {tuple(to.shape)} were given")
    return to


class Silenced(nn.Module):
    """A model's maps, intact and without each group, as an encoder's units for `dissect`.

    Its one layer "map" answers with (B, 1 + G, h, w): the map as it is, then one a group.
    """

    layers = ("map",)

    def __init__(
        self, model: SaliencyModel, layer: str, groups: Sequence[Sequence[int]], values: Tensor
    ):
        super().__init__()
        self.model, self.layer, self.values = model, layer, values
        self.groups = [[], *groups]

    @property
    def fingerprint(self) -> str:
        """Hash of all that the maps depend on, for cache keys."""
        groups = [list(map(int, units)) for units in self.groups]
        return digest(self.model.fingerprint, code_of(Silenced), self.layer, groups, self.values)

    def reduce(
        self, images: Tensor, layers: Sequence[str], reducer: Callable[[str, Tensor], T]
    ) -> dict[str, T]:
        """Let `reducer` reduce the maps."""
        return {"map": reducer("map", self.maps(images))}

    def maps(self, images: Tensor) -> Tensor:
        """Return (B, 1 + G, h, w), on the grid of the model's readout."""
        encoder, rows = self.model.encoder, len(images)
        images = images.contiguous(memory_format=torch.channels_last)  # a third faster on a CPU
        stride = encoder.strides[self.layer]
        area = images[:, 0].numel() / stride**2
        fitting = int(ROWS / (area * encoder.channels[self.layer]))
        is_last = not set(encoder.after(self.layer)[1:]) & set(self.model.layers)
        intact = encoder.activations(images, self.model.layers) if is_last else {}
        at_once = max(1, fitting) if encoder.straight or is_last else 1
        parts = []
        for i in range(0, len(self.groups), at_once):
            groups = self.groups[i : i + at_once]
            if is_last:
                silent = _copies(intact[self.layer], groups, self.values)
                seen = {**intact, self.layer: silent}
            else:
                with _silenced(encoder, self.layer, groups, self.values):
                    seen = encoder.activations(images, self.model.layers)
            for layer, activation in seen.items():
                if len(activation) == rows:  # before the ablated layer: the same for all groups
                    seen[layer] = activation.repeat(len(groups), 1, 1, 1)
            parts.append(self.model.read(seen).unflatten(0, (len(groups), rows)))
        return torch.cat(parts).transpose(0, 1)


@dataclass(frozen=True)
class Effects:
    """What ablating each of `groups` does to a model, region by region.

    `result`: a Dissection with "before" (R, 1), region NSS of the intact model's map, and
    "change" (R, G), after − before of each group: so `bootstrap(effects.result, "change")` gives
    categories × groups with intervals.
    """

    groups: tuple[Group, ...]
    result: Dissection

    @property
    def before(self) -> Tensor:
        """Region NSS (R,) of the intact model's map."""
        return self.result.of("before")[:, 0]

    @property
    def change(self) -> Tensor:
        """Region NSS after − before (R, G)."""
        return self.result.of("change")

    def only(self, groups: Sequence[Group]) -> "Effects":
        """Return the effects of some of its groups. Raises ValueError for one that is not there."""
        columns = [self.groups.index(group) for group in groups]
        scores = {**self.result.scores, "change": self.change[:, columns]}
        return Effects(tuple(groups), replace(self.result, scores=scores))


def ablation_effects(
    model: SaliencyModel,
    ds: SaliencyDataset,
    layer: str,
    groups: Sequence[Group],
    to: str | Tensor = "mean",
    *,
    size: Size | None = None,
    batch: int = 4,
    progress: bool = True,
    device: str | torch.device | None = None,
) -> Effects:
    """Silence each group of `layer`'s units; score the model's own map in all regions of `ds`.

    Scores are `region_nss` of the map, upsampled to the image as it was shown (exactly, without
    upsampling): in z-scores of each map, so what counts is what a region loses beside the rest of
    the image. to: "mean" (over `ds`), "zero" or values (C,), as in `ablated`; size: the network's
    input. Read from the cache if the same was computed before. Raises as `ablated`, and ValueError
    for a layer behind all that the readout reads and for data without regions.
    """
    encoder = model.encoder
    for group in groups:
        _check(encoder, layer, group.units, str(group))
    if not set(encoder.after(layer)) & set(model.layers):
        raise ValueError(f"the readout sees {', '.join(model.layers)}; {layer} lies behind them")
    if isinstance(to, str) and to == "mean":
        moments = unit_moments_cached(
            encoder, ds, [layer], size=size, progress=progress, device=device
        )
        to = moments[layer].mean
    net = Silenced(model, layer, [g.units for g in groups], _values(encoder, layer, to))
    found = dissect_cached(net, ds, size=size, batch=batch, progress=progress, device=device)
    scores = found.of("map")
    parts = {"before": scores[:, :1], "change": scores[:, 1:] - scores[:, :1]}
    return Effects(tuple(groups), Dissection(parts, found.regions, found.categories))
