"""One pass over a data set: networks in evaluation mode, no gradients, batches read ahead."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from .. import cache
from ..datasets import SaliencyDataset
from ..metrics.bilinear import Size
from .stream import Stimulus, in_batches, prefetch

ROOMS = ("dissection", "models", "datasets", "metrics")
SHOWN = ("progress", "device")  # settings that do not change a result
Batches = Iterator[tuple[list[Stimulus], Tensor]]


@contextmanager
def streamed(
    nets: Sequence[object],
    ds: SaliencyDataset,
    doing: str,
    *,
    size: Size | None,
    batch: int,
    progress: bool = True,
    device: str | torch.device | None = None,
) -> Iterator[Batches]:
    """Give an iterator over (stimuli, images float (B, 3, h, w) in [0, 1]), to be used inside.

    Images come at `size`, None for their own, and those of a batch have one size. Inside, the
    networks are in evaluation mode (batch norm must neither mix images nor learn) and nothing
    records gradients; afterwards they are in the mode they were in. `device`: None for where the
    first network is. Raises ValueError for `batch` < 1.
    """
    if batch < 1:
        raise ValueError(f"batch is {batch}; it must be at least 1")
    modules = [net for net in nets if isinstance(net, nn.Module)]
    device = _place(modules, device)
    with (
        torch.inference_mode(),
        _evaluating(modules),
        tqdm(total=len(ds), desc=doing, unit="image", leave=False, disable=not progress) as bar,
    ):

        def batches() -> Batches:
            for stimuli in in_batches(prefetch(ds, size, ahead=batch), batch):
                yield stimuli, torch.stack([s.image for s in stimuli]).to(device)
                bar.update(len(stimuli))

        yield batches()


def key_of(nets: Sequence[object], ds: SaliencyDataset, **settings: object) -> dict[str, Any]:
    """Return a cache key: code, fingerprints of networks and data, settings that matter."""
    return {
        "code": cache.code_version(*ROOMS),
        "nets": [net.fingerprint for net in nets],
        "data": ds.fingerprint,
        "settings": {k: v for k, v in settings.items() if k not in SHOWN},
    }


def _place(modules: Sequence[nn.Module], device: str | torch.device | None) -> torch.device:
    """Move the networks to `device`, or to where the first of them is; return where that is."""
    if device is None:
        device = next((p.device for module in modules for p in module.parameters()), "cpu")
    for module in modules:
        module.to(device)
    return torch.device(device)


@contextmanager
def _evaluating(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Evaluation mode inside, for each module the mode it was in after."""
    training = [m for module in modules for m in module.modules() if m.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
