"""timm's networks, an optional extra: built by name, and read through timm's own interface.

Where a network tells of its maps (`feature_info`, `forward_intermediates`), these are the layers.
"""

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from ..registry import check_name
from .dry_run import Size, dtype_of, evaluating, runs, size_asked
from .layers import Finder

PREFIX = "timm:"


def _timm() -> ModuleType:
    """Import timm. Raises ImportError that says how to install it."""
    try:
        import timm
    except ImportError as error:
        raise ImportError(
            "Encoders called 'timm:…' need timm, which is not installed: "
            "pip install 'saliencykit[timm]', or pip install timm."
        ) from error
    return timm


def names(pattern: str = "") -> list[str]:
    """Return timm's networks, with "timm:" before, whose names contain `pattern`."""
    return [f"{PREFIX}{name}" for name in _timm().list_models() if pattern in name]


def about(name: str) -> Any:
    """Return what timm tells of the usual weights of its network "timm:NAME": its configuration."""
    return _timm().get_pretrained_cfg(name.removeprefix(PREFIX), allow_unregistered=False)


def build(name: str, pretrained: bool) -> nn.Module:
    """Build timm's network `name` ("resnet18", "resnet18.a1_in1k") without its head.

    Raises UnknownNameError with the nearest name; FileNotFoundError for pretrained weights that
    could not be had.
    """
    timm = _timm()
    architecture = name.partition(".")[0]
    check_name("timm network", architecture, timm.list_models())
    if name != architecture:
        check_name(f"weights of timm's {architecture}", name, _tagged(timm, architecture))
    try:
        return timm.create_model(name, pretrained=pretrained, num_classes=0)
    except Exception as error:
        if not pretrained:
            raise
        raise FileNotFoundError(
            f"The weights of {PREFIX}{name} could not be had: {error}. Give the path of a state "
            "dict, or weights=None."
        ) from error


def _tagged(timm: ModuleType, architecture: str) -> list[str]:
    return timm.list_models(f"{architecture}.*", pretrained=True)


def is_timm(net: nn.Module) -> bool:
    """Whether a network is timm's, or has its interface for maps of several layers."""
    return hasattr(net, "feature_info") and hasattr(net, "pretrained_cfg")


def normalise(net: nn.Module) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation by channel of what its weights were trained on."""
    told: Any = net.pretrained_cfg
    return tuple(told["mean"]), tuple(told["std"])


def finder(net: nn.Module) -> Finder:
    """Return what finds the layers of a timm network: those that it tells of, if it does."""
    told: Any = net.pretrained_cfg
    height, width = size_asked(net) or told["input_size"][1:]
    size = height, width
    return Finder(net, size, _maps(net, size))


def _maps(net: nn.Module, size: Size) -> dict[str, tuple[int, ...]]:
    """Return (C, h, w) at `size` by path of the module that answers with such a map.

    None where a network does not tell, or tells of more than what single modules answer.
    """
    info: Any = net.feature_info
    told = getattr(info, "info", info)  # a list, or timm's class around it
    paths = [one.get("module") for one in told]
    if not hasattr(net, "forward_intermediates") or not set(paths) <= set(
        dict(net.named_modules())
    ):
        return {}
    telling = _Telling(net)
    meta = {k: v.to("meta") for k, v in (*telling.named_parameters(), *telling.named_buffers())}
    channels = 3 if runs(net, size, paths) else 1  # of a network made with in_chans=1
    image = torch.zeros(1, channels, *size, device="meta", dtype=dtype_of(net, torch.zeros(0)))
    with evaluating([net]), torch.no_grad():
        maps = torch.func.functional_call(telling, meta, image)
    same = len(maps) == len(paths)
    return {k: tuple(m.shape[1:]) for k, m in zip(paths, maps, strict=True)} if same else {}


class _Telling(nn.Module):
    """A network that answers with its intermediate maps."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net: Any = net

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.net.forward_intermediates(images, intermediates_only=True)
