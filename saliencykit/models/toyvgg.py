"""The default encoder: a slim VGG-shaped network, taught to name toyworld's objects.

Thirteen 3×3 convolutions in five blocks, as VGG-16 (Simonyan & Zisserman 2015), a tenth as wide
and batch-normalised. It ships taught, as torchvision's networks do (toyvgg.safetensors beside this
file), so that what is found in it is a fact about one given network, the same on every machine.
`saliencykit teach` is how it was made.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..cache import Entry, read, write
from ..datasets import toyworld
from .encoders import ENCODERS

TAUGHT = Path(__file__).with_name("toyvgg.safetensors")
WIDTHS = ((8, 8), (16, 16), (32, 32, 32), (64, 64, 64), (96, 96, 96))


class ToyVGG(nn.Module):
    """Five blocks of convolution, batch norm and ReLU; average pooling and a linear classifier."""

    accuracy: float | None = None
    normalise = ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    vgg_shaped = True  # layers are called as VGG's

    def __init__(self, classes: int = len(toyworld.CROP_CLASSES)):
        super().__init__()
        steps, before = [], 3
        for block, widths in enumerate(WIDTHS):
            steps += [nn.MaxPool2d(2)] if block else []
            for width in widths:
                steps += [nn.Conv2d(before, width, 3, padding=1, bias=False)]
                steps += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
                before = width
        self.features = nn.Sequential(*steps)
        self.classifier = nn.Linear(before, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores (B, classes) of normalised images (B, 3, H, W)."""
        return self.classifier(self.features(images).mean((-1, -2)))


def _as_input(crops: Tensor) -> Tensor:
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ToyVGG.normalise)
    return (crops.float() / 255 - mean) / std


@torch.inference_mode()
def score(net: ToyVGG, crops: Tensor, labels: Tensor) -> tuple[float, list[float]]:
    """Return the share of crops named rightly, over all and by class."""
    right = torch.cat([net(_as_input(c)).argmax(1) for c in crops.split(256)]) == labels
    by_class = [right[labels == k].float().mean().item() for k in range(int(labels.max()) + 1)]
    return right.float().mean().item(), by_class


def teach(
    path: Path,
    per_class: int = 400,
    epochs: int = 12,
    batch: int = 64,
    lr: float = 4e-3,
    seed: int = 0,
) -> dict[str, object]:
    """Teach the network to name toyworld's crops, and write it to `path` (safetensors).

    Returns what is written beside the weights: "accuracy", the share of crops of another seed that
    it names rightly, and "by_class", the same for each of the 12 categories. In one thread on one
    processor the same seed gives the same weights; elsewhere others, as good.
    """
    crops, labels = toyworld.crops(per_class, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ToyVGG().to(memory_format=torch.channels_last)
        optimiser = torch.optim.AdamW(net.parameters(), weight_decay=1e-2)
        steps = epochs * (len(crops) // batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps)
        with tqdm(total=steps, desc="teaching toyvgg to name objects", leave=False) as bar:
            for _ in range(epochs):
                for chosen in torch.randperm(len(crops))[: steps // epochs * batch].split(batch):
                    images = _as_input(crops[chosen])
                    if torch.rand(()) < 0.5:
                        images = images.flip(-1)
                    images = images.contiguous(memory_format=torch.channels_last)
                    loss = nn.functional.cross_entropy(net(images), labels[chosen])
                    optimiser.zero_grad()
                    loss.backward()
                    optimiser.step()
                    schedule.step()
                    bar.update()
    held_out = score(net.eval(), *toyworld.crops(max(20, per_class // 5), seed=seed + 1))
    report = {
        "accuracy": held_out[0],
        "by_class": dict(zip(toyworld.CROP_CLASSES, held_out[1], strict=True)),
    }
    write(path, Entry(net.state_dict(), report))
    return report


@ENCODERS.register("toyvgg")
def toyvgg(weights: str | None = "toyworld") -> ToyVGG:
    """Build the network; `weights`: "toyworld" (as it ships) or None."""
    if weights not in ("toyworld", None):
        raise ValueError(f"toyvgg has weights 'toyworld' or None, not {weights!r}.")
    net = ToyVGG()
    if weights:
        taught = read(TAUGHT)
        net.load_state_dict(taught.tensors)
        net.accuracy = taught.meta["accuracy"]
    return net
