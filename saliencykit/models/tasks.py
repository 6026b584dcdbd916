"""What a network is taught: fixations, scene classes, and two controls, on the same images.

All tasks share `training.Trainer`: images, starting weights, order of images, mirroring, steps,
optimiser and frozen batch-norm statistics are the same; only targets, readout and loss differ.

- `Saliency`: where people look. The loss is the paper's, −NSS of the upsampled map at the fixated
  pixels (He et al. 2019, 3.1), computed exactly on the map before upsampling (`metrics.bilinear`).
- `Scenes`: the image's scene class. `Scenes(shuffled=True)` deals the same labels out at random:
  they can be learned by heart only, so what changes then changes for no task at all.
- `Rotations`: by how many quarter turns an image was rotated (Gidaris et al., ICLR 2018): a task
  that needs no labels. A quarter turn swaps height and width, which would give the answer away, so
  the largest centred square is cut out and turned: of a 3 : 4 image a quarter is not seen.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy

from ..datasets import SaliencyDataset
from ..metrics.upsampling import nss_upsampled, pull_back
from ..sources import code_of
from .encoders import Tapped
from .saliency import Classifier, SaliencyModel
from .stimuli import stimuli

UNKNOWN = -1  # the label of an image without one
TURNS = 4
Targets = dict[str, Tensor]
"""By name, a row an image."""


class Task:
    """Targets, what is shown, loss and score; a subclass is a dataclass of its settings."""

    measure: ClassVar[str]  # what the score is
    kind: ClassVar[type[SaliencyModel] | type[Classifier]] = Classifier
    alters: ClassVar[bool] = False  # whether `shown` changes the images

    @property
    def name(self) -> str:
        """What figures call the task."""
        return type(self).__name__.lower()

    @property
    def key(self) -> tuple[str, str, dict[str, Any]]:
        """What identifies the task, for cache keys."""
        return type(self).__name__, code_of(type(self)), vars(self)

    def model(
        self, encoder: Tapped, layers: list[str], data: SaliencyDataset
    ) -> SaliencyModel | Classifier:
        """Return the encoder with a fresh readout of `layers`."""
        raise NotImplementedError

    def targets(
        self, data: SaliencyDataset, size: tuple[int, int], answer: torch.Size
    ) -> tuple[Targets, Tensor]:
        """Return the targets, and which images (N,) have one.

        size: input (height, width); answer: shape of the model's answer to one image.
        """
        raise NotImplementedError

    def mirror(self, targets: Targets, mirrored: Tensor) -> None:
        """Change, in place, the targets of those images (B,) bool that are shown mirrored."""

    def shown(self, images: Tensor, targets: Targets, order: Generator | None) -> Tensor:
        """Return uint8 images as the network sees them; `order`: while training, else None."""
        return images

    def judge(
        self, answers: Tensor, targets: Targets, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Return the loss (), and the score (B,), NaN for images without a target."""
        raise NotImplementedError


@dataclass(frozen=True)
class Saliency(Task):
    """Where people look; scored by NSS at the input's size."""

    measure: ClassVar[str] = "NSS"
    kind: ClassVar = SaliencyModel

    def model(self, encoder: Tapped, layers: list[str], data: SaliencyDataset) -> SaliencyModel:
        """Return a saliency model."""
        return SaliencyModel(encoder, layers)

    def targets(
        self, data: SaliencyDataset, size: tuple[int, int], answer: torch.Size
    ) -> tuple[Targets, Tensor]:
        """Return fixations pulled back to the readout's grid (N, h, w), and their number (N,).

        Fixations are brought from each image's own size to `size` first.
        """
        x, y, owner = [], [], []
        for i, old in enumerate(stimuli(data, size).meta["sizes"]):
            seen = data.fixations(i).inside(*old, name=data.names[i]).scaled(tuple(old), size)
            x.append(seen.x.clamp(max=size[1] - 1e-6))
            y.append(seen.y.clamp(max=size[0] - 1e-6))
            owner.append(torch.full((len(seen),), i))
        x, y, owner = torch.cat(x), torch.cat(y), torch.cat(owner)
        height, width = answer
        pulled = pull_back(x, y, torch.ones(len(x)), owner, len(data), size, (height, width))
        count = torch.bincount(owner, minlength=len(data)).float()
        return {"pulled": pulled, "count": count}, count > 0

    def mirror(self, targets: Targets, mirrored: Tensor) -> None:
        """Mirror the fixations: bilinear upsampling is mirror-symmetric."""
        targets["pulled"][mirrored] = targets["pulled"][mirrored].flip(-1)

    def judge(
        self, answers: Tensor, targets: Targets, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Return −NSS, and NSS of each image."""
        score = nss_upsampled(answers, targets["pulled"], targets["count"], size)
        return -score.mean(), score


class Classification(Task):
    """Which of several classes; scored by whether the likeliest is right (0 or 1)."""

    measure: ClassVar[str] = "accuracy"

    def labels(self, data: SaliencyDataset) -> Tensor:
        """Return each image's class (N,) int64, `UNKNOWN` where there is none."""
        raise NotImplementedError

    def targets(
        self, data: SaliencyDataset, size: tuple[int, int], answer: torch.Size
    ) -> tuple[Targets, Tensor]:
        """Return the labels (N,)."""
        labels = self.labels(data)
        return {"label": labels}, labels != UNKNOWN

    def chance(self, data: SaliencyDataset) -> tuple[float, int]:
        """Return the share of the commonest class, and how many images have one."""
        known = self.labels(data)
        known = known[known != UNKNOWN]
        return known.bincount().max().item() / len(known) if len(known) else torch.nan, len(known)

    def judge(
        self, answers: Tensor, targets: Targets, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Return the cross-entropy, and 1 for each image named rightly, else 0."""
        label = targets["label"]
        right = (answers.argmax(1) == label).float()
        loss = cross_entropy(answers, label, ignore_index=UNKNOWN)
        return loss, right.masked_fill(label == UNKNOWN, torch.nan)


@dataclass(frozen=True)
class Scenes(Classification):
    """Scene classes; `shuffled` deals them out among the images at random, by `seed`."""

    shuffled: bool = False
    seed: int = 0

    @property
    def name(self) -> str:
        """ "scenes", or "shuffled scenes"."""
        return "shuffled scenes" if self.shuffled else "scenes"

    def model(self, encoder: Tapped, layers: list[str], data: SaliencyDataset) -> Classifier:
        """Return a classifier of the scenes of `data`. Raises ValueError if it knows none."""
        if len(data.scenes) < 2:
            raise ValueError(f"{data!r} knows no scene classes: there is nothing to tell apart.")
        return Classifier(encoder, layers, len(data.scenes))

    def labels(self, data: SaliencyDataset) -> Tensor:
        """Return indices into the scenes of `data`; shuffled ones stay within its images."""
        index: dict[str | None, int] = {scene: k for k, scene in enumerate(data.scenes)}
        found = torch.tensor([index.get(data.scene(i), UNKNOWN) for i in range(len(data))])
        if self.shuffled:
            known = (found != UNKNOWN).nonzero()[:, 0]
            dealt = torch.randperm(len(known), generator=Generator().manual_seed(self.seed))
            found[known] = found[known[dealt]]
        return found


@dataclass(frozen=True)
class Rotations(Classification):
    """Quarter turns of the largest centred square; while training, drawn anew for each image."""

    alters: ClassVar[bool] = True
    seed: int = 0

    def model(self, encoder: Tapped, layers: list[str], data: SaliencyDataset) -> Classifier:
        """Return a classifier of four turns."""
        return Classifier(encoder, layers, TURNS)

    def labels(self, data: SaliencyDataset) -> Tensor:
        """Return turns for validation: each equally often, dealt out by `seed`."""
        order = Generator().manual_seed(self.seed)
        return torch.randperm(len(data), generator=order) % TURNS

    def shown(self, images: Tensor, targets: Targets, order: Generator | None) -> Tensor:
        """Cut out the centred square and turn it."""
        if order is not None:
            drawn = torch.randint(TURNS, (len(images),), generator=order)
            targets["label"] = drawn.to(images.device)
        turned = centred_square(images).clone()
        for turn in range(1, TURNS):
            chosen = targets["label"] == turn
            turned[chosen] = turned[chosen].rot90(turn, (-2, -1))
        return turned


def centred_square(images: Tensor) -> Tensor:
    """Return the largest centred square of images (…, H, W), a view."""
    height, width = images.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return images[..., top : top + side, left : left + side]


def all_tasks(seed: int = 0) -> list[Task]:
    """Return saliency, scenes, and the two controls."""
    return [Saliency(), Scenes(), Scenes(shuffled=True, seed=seed), Rotations(seed=seed)]
