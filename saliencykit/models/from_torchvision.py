"""torchvision's networks. Imported when first asked for: it brings torch's compiler along.

That takes as long to import as half of torch, which who asks for a network of ours is spared.
"""

import sys
from types import ModuleType

from torch import nn


def zoo() -> ModuleType:
    """Import torchvision.models."""
    from torchvision import models

    return models


def names() -> list[str]:
    """Return the names of torchvision's classifiers."""
    return zoo().list_models(module=zoo())


def is_vgg(net: nn.Module) -> bool:
    """Whether a network is one of torchvision's VGGs."""
    return _imported() and isinstance(net, zoo().VGG)


def reshaping() -> tuple[type[nn.Module], ...]:
    """Return the kinds of torchvision's modules that only move numbers, if there can be any."""
    if not _imported():
        return ()
    from torchvision.models.swin_transformer import PatchMerging, PatchMergingV2
    from torchvision.ops import Permute

    return Permute, PatchMerging, PatchMergingV2


def _imported() -> bool:
    """Whether somebody has imported it: else no network in this process is made of its modules."""
    return "torchvision" in sys.modules
