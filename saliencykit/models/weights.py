"""Reading weights: never unpickled, and a mismatch is told tensor by tensor."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import torchvision
from safetensors.torch import load_file
from torch import nn


@contextmanager
def _weights_only() -> Iterator[None]:
    """Make every torch.load inside refuse anything but tensors, torchvision's own included."""
    key, before = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    os.environ[key] = "1"
    try:
        yield
    finally:
        os.environ.pop(key) if before is None else os.environ.__setitem__(key, before)


def load_weights(net: nn.Module, path: str | os.PathLike, optional: Sequence[str] = ()) -> None:
    """Load a state dict (.pth or .safetensors) into `net`; `optional` modules may be missing.

    Raises FileNotFoundError, or ValueError naming the file and the first tensors that do not fit.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"No weights at {path}. `weights` is 'imagenet', None, or the path of a .pth or "
            ".safetensors state dict."
        )
    state: dict[str, Any]
    try:
        state = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except Exception as error:
        raise ValueError(f"{path} cannot be read as weights: {error}") from error
    state = state.get("state_dict", state)
    own = net.state_dict()
    wanted = {k for k in own if k.split(".")[0] not in optional and "num_batches" not in k}
    wrong = [
        f"{k}: {'missing' if k not in state else f'{tuple(state[k].shape)} in the file'}, "
        f"{tuple(own[k].shape)} in the network"
        for k in sorted(wanted)
        if k not in state or state[k].shape != own[k].shape
    ]
    if wrong:
        raise ValueError(
            f"{path} does not fit this network: {'; '.join(wrong[:3])}"
            f"{f' and {len(wrong) - 3} more' if len(wrong) > 3 else ''}."
        )
    net.load_state_dict({k: v for k, v in state.items() if k in wanted}, strict=False)


def torchvision_net(name: str, imagenet: bool) -> nn.Module:
    """Build a torchvision classifier, with its default ImageNet weights or at random."""
    try:
        with _weights_only():
            return torchvision.models.get_model(name, weights="DEFAULT" if imagenet else None)
    except OSError as error:  # URLError is one
        url = torchvision.models.get_model_weights(name)["DEFAULT"].url
        raise FileNotFoundError(
            f"The ImageNet weights of {name} are not in {torch.hub.get_dir()}/checkpoints and "
            f"could not be downloaded ({error}). Put {url} there, or set TORCH_HOME."
        ) from error
    except (RuntimeError, UnpicklingError) as error:
        raise ValueError(f"The ImageNet weights of {name} could not be loaded: {error}") from error


def torchvision_normalise(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation by channel of what a classifier's weights were taught."""
    shown = torchvision.models.get_model_weights(name)["DEFAULT"].transforms()
    return tuple(shown.mean), tuple(shown.std)


def is_path(weights: object) -> bool:
    """Tell a file's path from the name of weights."""
    return isinstance(weights, os.PathLike) or (
        isinstance(weights, str) and bool(re.search(r"[/\\]|\.(pth|pt|safetensors)$", weights))
    )
