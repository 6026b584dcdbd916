"""How exactly a GPU computes: as a processor does, unless bfloat16 is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def exact() -> Iterator[None]:
    """Inside, a GPU convolves float32 as such, and the same twice; afterwards as it did before.

    torch's default there is TF32, with ten bits of mantissa: it moves region NSS, which divides by
    a unit's deviation, by up to 3.8 (vgg16's conv5_3 on an H200; beside 0.0004 without).
    """
    cudnn = torch.backends.cudnn
    # Since torch 2.9; the older name then fails where somebody has used the newer.
    conv = getattr(cudnn, "conv", None)
    place, name, wanted = (conv, "fp32_precision", "ieee") if conv else (cudnn, "allow_tf32", False)
    before = getattr(place, name), cudnn.deterministic
    setattr(place, name, wanted)
    cudnn.deterministic = True
    try:
        yield
    finally:
        setattr(place, name, before[0])
        cudnn.deterministic = before[1]
