"""What a step of fine-tuning costs: in bfloat16 beside float32, with batch norm folded and not."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from itertools import product
from unittest.mock import patch

import torch

from saliencykit.models import Encoder, build_encoder, encoders

from . import BENCHMARKS, Ratio, compare


def step(enc: Encoder, images: torch.Tensor, bfloat16: bool) -> None:
    """Forward to the deepest layer, and back."""
    enc.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        answer = enc(images)
    answer.float().square().mean().backward()


def prepared(name: str) -> tuple[Encoder, torch.Tensor]:
    """An encoder and two images of 225×300, laid out as training has them."""
    enc = build_encoder(name, weights=None).to(memory_format=torch.channels_last)
    images = torch.rand(2, 3, 225, 300).contiguous(memory_format=torch.channels_last)
    return enc, images


@BENCHMARKS.register("bfloat16")
def bfloat16_over_float32() -> list[Ratio]:
    """A step of fine-tuning in bfloat16 over one in float32, by encoder; native or emulated."""
    kind = "native" if torch.cpu._is_avx512_bf16_supported() else "emulated, never used"
    found = []
    for name in ("vgg16", "alexnet", "squeezenet1_1", "mobilenet_v2", "toyvgg"):
        low, full = (partial(step, *prepared(name), bfloat16=reduced) for reduced in (True, False))
        found.append(compare(f"{name} in bfloat16 ({kind}) / float32", low, full, rounds=5))
    return found


@BENCHMARKS.register("folding")
def folded_over_plain() -> list[Ratio]:
    """A step of fine-tuning with batch norm folded into the convolutions over one without."""
    found = []
    for name, kind in product(("mobilenet_v2", "toyvgg"), ("float32", "bfloat16")):
        one = partial(step, *prepared(name), bfloat16=kind == "bfloat16")
        what = f"{name} in {kind}, batch norm folded / as it stands"
        found.append(compare(what, one, partial(unfolded, one), target=1.02))
    return found


def unfolded(run: Callable[[], None]) -> None:
    """Run with batch norm as it stands."""
    with patch.object(encoders, "folded", lambda _: nullcontext()):
        run()
