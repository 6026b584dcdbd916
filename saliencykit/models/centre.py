"""The centre prior: people look at the middle of pictures, whatever is there."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from ..datasets import SaliencyDataset
from ..reading.positions import check_pixels


@dataclass(frozen=True)
class CentrePrior:
    """A Gaussian in relative image coordinates (0 left or top, 1 right or bottom).

    The default is centred, with a quarter of the side as standard deviation.
    """

    x: float = 0.5
    y: float = 0.5
    sd_x: float = 0.25
    sd_y: float = 0.25

    @classmethod
    def fit(cls, data: SaliencyDataset) -> "CentrePrior":
        """Return mean and standard deviation of where fixations fall in the images of `data`.

        Fit it on the training split: fitted on the images it is scored on, it knows too much.
        Raises ValueError for too few fixations, and for fractions of the images' sides instead of
        pixels.
        """
        looks, sizes = [], []
        for i in range(len(data)):
            height, width = data.size_of(i)
            looks.append(data.fixations(i).inside(height, width, name=data.names[i]))
            sizes.append((height, width))
        if sum(map(len, looks)) < 2:
            raise ValueError(f"{data!r} holds too few fixations to fit a centre prior.")
        x, y = (torch.cat([getattr(f, axis) for f in looks]) for axis in "xy")
        check_pixels(x, y, repr(data), min(sizes, key=prod))  # with few an image, seen together
        of = list(zip(looks, sizes, strict=True))
        x = torch.cat([seen.x / width for seen, (_, width) in of])
        y = torch.cat([seen.y / height for seen, (height, _) in of])
        return cls(x.mean().item(), y.mean().item(), x.std().item(), y.std().item())

    def map(self, size: Sequence[int]) -> Tensor:
        """Return the prior as a map (H, W), float32, maximum at most 1."""
        y, x = ((torch.arange(n) + 0.5) / n for n in size)
        row = torch.exp(-0.5 * ((x - self.x) / self.sd_x) ** 2)
        column = torch.exp(-0.5 * ((y - self.y) / self.sd_y) ** 2)
        return column[:, None] * row

    def __call__(self, images: Tensor) -> Tensor:
        """Return the same map for each of images (B, 3, H, W): (B, H, W)."""
        return self.map(images.shape[-2:]).to(images.device).expand(len(images), -1, -1)
