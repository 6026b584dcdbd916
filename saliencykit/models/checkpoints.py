"""Models by name: classical ones, and trained ones that were kept under a name."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..cache import give_hash
from ..metrics.upsampling import Size
from ..paths import cache_root
from ..registry import check_name
from . import classical
from .saliency import SaliencyModel, upsample
from .stimuli import placed, resize, to_float
from .weights import is_path


def kept_models() -> dict[str, Path]:
    """Return the trained models that were kept, by name ("toy/fine-tuned")."""
    folder = cache_root() / "models"
    files = sorted(folder.rglob("*.safetensors"))
    return {p.relative_to(folder).with_suffix("").as_posix(): p for p in files}


def keep(models: Mapping[str, SaliencyModel], study: str, size: tuple[int, int]) -> list[str]:
    """Keep trained models in the cache as "<study>/<name>"; return these names.

    size: (height, width) of the images that they were trained on, and are to be given.
    """
    names = {
        f"{study}/{name.replace(', ', '-').replace(' ', '-')}": m for name, m in models.items()
    }
    for name, model in names.items():
        model.save(cache_root() / "models" / f"{name}.safetensors", size=list(size))
    return list(names)


def model_names() -> list[str]:
    """Return every name that `by_name` knows."""
    return [*classical.names(), *kept_models()]


def by_name(name: str | os.PathLike, **parameters: Any) -> Callable[[Tensor], Tensor]:
    """Return a saliency model as a function: images (B, 3, H, W) in [0, 1] → (B, H, W).

    `name`: a classical model, whose `parameters` may be given; a trained one that was kept; or the
    path of a checkpoint (`SaliencyModel.save`). Raises UnknownNameError with the nearest name;
    FileNotFoundError and ValueError for a checkpoint that is missing or damaged.
    """
    kept = kept_models()
    if name not in model_names() and is_path(name):
        if not Path(name).exists():
            raise FileNotFoundError(
                f"No checkpoint at {name}, and no trained model was kept under that name (kept: "
                f"{', '.join(kept) or 'none'}). `saliencykit figures 01` trains and keeps some."
            )
        return _network(Path(name))
    name = check_name("model", str(name), model_names())
    if name in kept:
        give_hash(kept[name])
        return _network(kept[name])
    return lambda images: classical.saliency(name, images, **parameters)


def _network(path: Path) -> Callable[[Tensor], Tensor]:
    model, notes = SaliencyModel.load(path), SaliencyModel.notes(path)
    size = _size(notes, path)
    placed(model)

    @torch.inference_mode()
    def run(images: Tensor) -> Tensor:
        whole = images.shape[-2:]
        given = images if size is None else _shrink(images, size)
        return upsample(model.coarse(given)[:, None], whole)[:, 0].cpu()

    return run


def _size(notes: Mapping[str, Any], path: Path) -> Size | None:
    """Return the (height, width) that a model wants, None if its notes tell none."""
    size = notes.get("size") if isinstance(notes, Mapping) else notes
    match size:
        case None:
            return None
        case [int(height), int(width)] if min(size) > 0:
            return height, width
    raise ValueError(f"{path} tells a size of images that is none: {size!r}.")


def _shrink(images: Tensor, size: Size) -> Tensor:
    """Resize images in [0, 1] in the way that models were trained on."""
    return to_float(torch.stack([resize(i, size) for i in (images * 255).round().byte()]))
