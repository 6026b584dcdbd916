"""Stimuli as a network sees them: resized once, kept, and turned into features once."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from tqdm.auto import tqdm

from ..cache import Entry, cached, code_version
from ..datasets import SaliencyDataset
from .encoders import Encoder


def device_of(device: str | torch.device | None = None) -> torch.device:
    """Return `device`, or the first GPU, or the CPU."""
    return torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))


def to_float(images: Tensor) -> Tensor:
    """Turn uint8 images into float32 in [0, 1], channels last in memory."""
    return (images.float() / 255).contiguous(memory_format=torch.channels_last)


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize uint8 (3, H, W) to (3, *size), bilinear and antialiased."""
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    return interpolate(image[None], size, mode="bilinear", antialias=True)[0]


def stimuli(data: SaliencyDataset, size: tuple[int, int]) -> Entry:
    """Return all images resized: tensors["images"] uint8 (N, 3, *size), in memory; cached.

    meta["sizes"]: each image's own (height, width).
    """

    def compute() -> Entry:
        images = torch.empty(len(data), 3, *size, dtype=torch.uint8)
        sizes = []
        for i in tqdm(range(len(data)), desc=f"reading {data.name}", leave=False):
            image = data.image(i)
            sizes.append(tuple(image.shape[-2:]))
            images[i] = resize(image, size)
        return Entry({"images": images}, {"sizes": sizes})

    key = {"code": code_version("models/stimuli.py"), "data": data.image_fingerprint, "size": size}
    return cached("stimuli", key, compute)


def features(
    encoder: Encoder, data: SaliencyDataset, layers: Sequence[str], size: tuple[int, int]
) -> Entry:
    """Return the frozen activations `{layer: (N, C, h, w)}` of all images; cached."""

    def compute() -> Entry:
        images = stimuli(data, size).tensors["images"]
        device = device_of()
        frozen = encoder.to(device).eval()
        kept: dict[str, Tensor] = {}
        with torch.inference_mode():
            for rows in tqdm(
                torch.arange(len(images)).split(16), desc=f"features of {encoder.name}", leave=False
            ):
                seen = frozen.activations(to_float(images[rows]).to(device), layers)
                for layer, activation in seen.items():
                    if layer not in kept:
                        kept[layer] = torch.empty(len(images), *activation.shape[1:])
                    kept[layer][rows] = activation.cpu()
        return Entry(kept)

    key = {
        "code": code_version("models/stimuli.py", "models/encoders.py"),
        "encoder": encoder.fingerprint,
        "data": data.image_fingerprint,
        "layers": list(layers),
        "size": size,
    }
    return cached("features", key, compute)
