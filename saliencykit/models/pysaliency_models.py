"""Saliency models to and from pysaliency: its models here, ours there."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..datasets.pysaliency_data import pysaliency_package
from ..reading.pictures import as_image
from .checkpoints import by_name


class PysaliencyModel:
    """A model of pysaliency as a function: images (B, 3, H, W) in [0, 1] → maps (B, H, W).

    A map is the `SaliencyMapModel`'s, or the density, which sums to 1, of a probabilistic `Model`.
    """

    def __init__(self, model: Any):
        if isinstance(model, type):
            name = model.__name__
            raise ValueError(f"{name} is a class and no model yet: call it, as in {name}().")
        wanted = ("saliency_map", "log_density")
        if not any(hasattr(model, method) for method in wanted):
            raise ValueError(
                f"{type(model).__name__} is no model of pysaliency: it has neither "
                f"{' nor '.join(wanted)}. Models that follow one scanpath have no map of an image."
            )
        self.model = model

    def of(self, stimulus: Any) -> Tensor:
        """Return the map (H, W), float64, of a stimulus of pysaliency, or array uint8 (H, W, 3)."""
        if hasattr(self.model, "saliency_map"):
            return torch.as_tensor(np.asarray(self.model.saliency_map(stimulus), np.float64))
        return torch.as_tensor(np.exp(np.asarray(self.model.log_density(stimulus), np.float64)))

    def __call__(self, images: Tensor) -> Tensor:
        """Return the maps (B, H, W) of images (B, 3, H, W) in [0, 1], which it sees in 8 bits."""
        seen = (images * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return torch.stack([self.of(stimulus) for stimulus in seen])


def from_pysaliency(model: Any) -> PysaliencyModel:
    """Return a `SaliencyMapModel` or `Model` of pysaliency as a function, for `evaluate`.

    Raises ValueError for anything else, a class that was not called among it.
    """
    return PysaliencyModel(model)


def to_pysaliency(model: str | Callable[[Tensor], Tensor], **parameters: Any) -> Any:
    """Return a `pysaliency.SaliencyMapModel` that answers with our maps.

    model: a name or checkpoint (`by_name`, which takes the `parameters`), or any function of images
    (B, 3, H, W) in [0, 1] → (B, H, W), a `SaliencyModel` among them, on whatever device it is.
    Raises ImportError without the extra; UnknownNameError for a name.
    """
    package = pysaliency_package()
    run = by_name(model, **parameters) if isinstance(model, str) else model
    if isinstance(run, nn.Module):
        run.eval()

    class Ours(package.SaliencyMapModel):
        """A model of saliencykit."""

        @torch.inference_mode()
        def _saliency_map(self, stimulus: np.ndarray) -> np.ndarray:
            image = as_image(stimulus)[None].float() / 255
            if isinstance(run, nn.Module):
                image = image.to(next(run.parameters()).device)
            return run(image)[0].double().cpu().numpy()

    return Ours()
