"""Batch norm with frozen statistics, folded into the convolution before it.

Then it is a scale and a shift of each channel, which the convolution's weights can take upon
themselves: one pass over the activations fewer, forward and backward. What is learned stays what it
was: the folded weights are computed from the convolution's and the norm's own, which the gradient
reaches.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

Pair = tuple[nn.Conv2d, nn.BatchNorm2d]


def pairs(net: nn.Module) -> list[Pair]:
    """Return the convolutions that a batch norm follows in an `nn.Sequential`, and those norms.

    Elsewhere whatever comes between them may look at what the convolution answers.
    """
    found = []
    for row in net.modules():
        if isinstance(row, nn.Sequential) and type(row).forward is nn.Sequential.forward:
            found += [(a, b) for a, b in pairwise(row) if _can_fold(a, b)]
    return found


def _can_fold(conv: nn.Module, norm: nn.Module) -> bool:
    """Whether both are plain, and nothing else looks at them."""
    if type(conv) is not nn.Conv2d or type(norm) is not nn.BatchNorm2d:
        return False
    plain = norm.affine and norm.track_running_stats
    return plain and norm.num_features == conv.out_channels


@contextmanager
def folded(those: Sequence[Pair]) -> Iterator[None]:
    """Inside, `pairs` of a network run as one convolution each, up to rounding the same.

    A norm that estimates its statistics (in training mode), and modules with hooks, stay as they
    are.
    """
    changed = [pair for pair in those if not (pair[1].training or any(map(_is_watched, pair)))]
    try:
        for conv, norm in changed:
            weight, bias = _merged(conv, norm)
            conv.forward = partial(conv._conv_forward, weight=weight, bias=bias)
            norm.forward = _unchanged
        yield
    finally:
        for module in (module for pair in changed for module in pair):
            vars(module).pop("forward", None)


def _is_watched(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _unchanged(input: Tensor) -> Tensor:
    return input


def _merged(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight (O, I, h, w) and bias (O,) that do what both do, one after the other."""
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    before = norm.running_mean if conv.bias is None else norm.running_mean - conv.bias
    return conv.weight * scale[:, None, None, None], norm.bias - before * scale
