"""Which images tell most of units, and what networks answer to them: what sliders look at."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d
from tqdm.auto import tqdm

from .. import cache
from ..datasets import SaliencyDataset
from ..dissection import Dissection
from ..dissection.report import best_images, best_units
from ..models import Encoder, SaliencyModel, classical
from ..models.stimuli import device_of, placed, to_float
from ..sources import code_of

GRID = (120, 160)  # larger maps are averaged down to this, to be looked at; scores see them whole


class Activity:
    """Units' maps, networks' saliency and classical models' maps on N images.

    Units' maps are kept in 256 steps between each one's own minimum and maximum.
    """

    def __init__(self, tensors: Mapping[str, Tensor]):
        self.tensors = dict(tensors)

    def unit(self, encoder: str, layer: str, unit: int, image: int) -> Tensor:
        """Return one unit's map (h, w), float32."""
        low, step = self.tensors[f"range/{encoder}/{layer}"][image, unit].tolist()
        return self.tensors[f"units/{encoder}/{layer}"][image, unit].float() * step + low

    def map(self, model: str, image: int) -> Tensor:
        """Return one saliency map (h, w), float32, from 0 to 1."""
        return self.tensors[f"map/{model}"][image].float()

    def __add__(self, more: "Activity") -> "Activity":
        """These images, and then those of `more`."""
        both = {k: torch.cat([v, more.tensors[k]]) for k, v in self.tensors.items()}
        return Activity(both)


def telling(
    result: Dissection, data: SaliencyDataset, layer: str, each: int, n: int
) -> SaliencyDataset:
    """Return some `n` images of `data`: those that say most about units, and others evenly.

    Those are the `each` images of a category that drive its best unit of `layer` most.
    """
    chosen: dict[str, None] = {}  # a set that keeps its order
    best = best_units(result, layer)
    for category, unit in zip(best["category"], best["unit"], strict=True):
        chosen |= dict.fromkeys(best_images(result, layer, unit, each, category))
    looked = set(result.regions["image"])
    others = data.subset([name for name in data.names if name in looked]).thinned(n)
    return data.subset(list(chosen | dict.fromkeys(others.names))[: max(n, len(chosen))])


def seen(
    images: Tensor,
    encoders: Mapping[str, Encoder],
    layers: Sequence[str],
    readouts: Mapping[str, SaliencyModel] = {},
    models: Sequence[str] = (),
    batch: int = 8,
) -> Activity:
    """Show images uint8 (N, 3, H, W) to encoders, saliency models and classical `models`; cached.

    Raises UnknownNameError for a layer or a classical model.
    """
    key = {
        "code": code_of(seen),
        "images": cache.digest(images),
        "encoders": {name: encoder.fingerprint for name, encoder in encoders.items()},
        "readouts": {name: model.fingerprint for name, model in readouts.items()},
        "layers": list(layers),
        "models": list(models),
    }
    device = device_of()

    def look(part: Tensor) -> Iterator[tuple[str, Tensor]]:
        floats = to_float(part).to(device)
        for name, encoder in encoders.items():
            kept = placed(encoder).reduce(floats, layers, lambda _, maps: _kept(maps))
            for layer, (steps, span) in kept.items():
                yield f"units/{name}/{layer}", steps
                yield f"range/{name}/{layer}", span
        for name, model in readouts.items():
            yield f"map/{name}", _shaded(placed(model).coarse(floats))
        for name in models:
            yield f"map/{name}", _shaded(_small(classical.saliency(name, floats)))

    @torch.inference_mode()
    def compute() -> cache.Entry:
        batches = tqdm(images.split(batch), desc="looking at images", leave=False)
        parts = [dict(look(part)) for part in batches]
        return cache.Entry({k: torch.cat([part[k] for part in parts]) for k in parts[0]})

    return Activity(cache.cached("seen", key, compute).tensors)


def _kept(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return maps (B, C, h, w) as uint8 steps, and each one's minimum and step (B, C, 2)."""
    maps = _small(maps)
    low, high = maps.amin((-2, -1)), maps.amax((-2, -1))
    step = (high - low) / 255
    steps = (maps - low[..., None, None]) / step.clamp(min=1e-30)[..., None, None]
    return steps.round().clamp(0, 255).to(torch.uint8).cpu(), torch.stack([low, step], -1).cpu()


def _shaded(maps: Tensor) -> Tensor:
    """Stretch maps (B, h, w) to [0, 1], which float16 holds whatever their unit was."""
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    return ((maps - low) / (high - low).clamp(min=1e-30)).half().cpu()


def _small(maps: Tensor) -> Tensor:
    size = [min(n, most) for n, most in zip(maps.shape[-2:], GRID, strict=True)]
    return maps if list(maps.shape[-2:]) == size else adaptive_avg_pool2d(maps, size)
