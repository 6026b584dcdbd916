"""Stimuli as a network sees them: resized once, kept, and turned into features once."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from tqdm.auto import tqdm

from ..cache import Entry, cached
from ..datasets import SaliencyDataset
from ..metrics.upsampling import Size, size_of
from ..sources import code_of
from .encoders import Tapped

T = TypeVar("T")
Net = TypeVar("Net", bound=nn.Module)


def device_of(device: str | torch.device | None = None) -> torch.device:
    """Return `device`, or the first GPU, or the CPU."""
    return torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))


@torch.inference_mode(False)
def placed(net: Net) -> Net:
    """Return the network itself, moved to the first GPU, if there is one, and ready to answer.

    Also inside inference mode it can be taught afterwards: what is moved in that mode could not.
    """
    return net.to(device_of()).eval()


def to_float(images: Tensor) -> Tensor:
    """Turn uint8 images into float32 in [0, 1], channels last in memory."""
    return (images.float() / 255).contiguous(memory_format=torch.channels_last)


def resize(image: Tensor, size: Size) -> Tensor:
    """Resize uint8 (3, H, W) to (3, *size), bilinear and antialiased, rounded to uint8.

    All that a network sees comes through here, to learn from or to be dissected on.
    """
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    return interpolate(image[None], size, mode="bilinear", antialias=True)[0]


def read_ahead(read: Callable[[int], T], n: int, ahead: int = 16) -> Iterator[T]:
    """Yield read(0) … read(n − 1) in order, up to `ahead` of them read in background threads."""
    pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="stimuli")
    waiting: deque[Future[T]] = deque()
    try:
        for i in range(n):
            waiting.append(pool.submit(read, i))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def stimuli(data: SaliencyDataset, size: Size) -> Entry:
    """Return all images resized: tensors["images"] uint8 (N, 3, *size), in memory; cached.

    meta["sizes"]: each image's own (height, width).
    """

    def read(i: int) -> tuple[Tensor, Size]:
        image = data.image(i)
        return resize(image, size), size_of(image)

    def compute() -> Entry:
        images, sizes = torch.empty(len(data), 3, *size, dtype=torch.uint8), []
        found = read_ahead(read, len(data))
        bar = tqdm(found, desc=f"reading {data.name}", total=len(data), leave=False)
        for i, (image, own) in enumerate(bar):
            images[i] = image
            sizes.append(own)
        return Entry({"images": images}, {"sizes": sizes})

    key = {"code": code_of(stimuli), "data": data.image_fingerprint, "size": size}
    return cached("stimuli", key, compute)


def features(encoder: Tapped, data: SaliencyDataset, layers: Sequence[str], size: Size) -> Entry:
    """Return the frozen activations `{layer: (N, C, h, w)}` of all images; cached.

    Of data that are `part_of` others those of all of these are computed, once for all parts.
    """
    if (whole := data.part_of) is not None:
        every = features(encoder, whole, layers, size).tensors
        rows = [whole.names.index(name) for name in data.names]
        return Entry({layer: every.pop(layer)[rows] for layer in [*every]})

    def compute() -> Entry:
        images = stimuli(data, size).tensors["images"]
        frozen = placed(encoder)
        kept: dict[str, Tensor] = {}
        with torch.inference_mode():
            for rows in tqdm(
                torch.arange(len(images)).split(16), desc=f"features of {encoder.name}", leave=False
            ):
                seen = frozen.activations(to_float(images[rows]), layers)
                for layer, activation in seen.items():
                    if layer not in kept:
                        kept[layer] = torch.empty(len(images), *activation.shape[1:])
                    kept[layer][rows] = activation.cpu()
        return Entry(kept)

    key = {
        "code": code_of(features),
        "encoder": encoder.fingerprint,
        "data": data.image_fingerprint,
        "layers": list(layers),
        "size": size,
    }
    return cached("features", key, compute)
