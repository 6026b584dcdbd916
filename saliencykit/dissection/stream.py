"""Stimuli read ahead of the network and grouped into batches of equal size."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import TypeVar

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..cache import digest
from ..datasets import SaliencyDataset
from ..metrics.upsampling import Size, pull_back, size_of
from ..models import Tapped
from ..models.dry_run import evaluating
from ..models.stimuli import device_of, read_ahead, resize
from .region_nss import by_image, mean_at

ROOM = 2 << 30  # bytes of activations that are held for further passes
T = TypeVar("T")


@dataclass(frozen=True)
class Stimulus:
    """One image ready for the network, and where people looked inside each of its regions.

    `image` is float (3, h, w) in [0, 1]; `size` is (H, W) of the image as it was shown; `fixated`
    holds, region by region, the x and y of the fixations inside it, in pixels of that size, and
    what each weighs.
    """

    index: int
    name: str
    image: Tensor
    size: Size
    categories: list[str]
    sure: list[bool]
    fixated: list[tuple[Tensor, Tensor, Tensor]]


def load_stimulus(
    ds: SaliencyDataset, i: int, size: Size | None, weights: str | None = None
) -> Stimulus:
    """Read stimulus `i`, resized to `size` unless None; fixations that weigh nothing are left out.

    Raises ValueError, naming the image, for fixations that can't be weighed so.
    """
    sample = ds[i]
    height, width = sample.size
    x, y = sample.fixations.x.long(), sample.fixations.y.long()  # inside the image, so ⌊·⌋
    try:
        weight = sample.fixations.weights(weights)
    except ValueError as error:
        raise ValueError(f"{ds.name}/{sample.name}: {error}") from error
    inside = [r.as_mask(height, width)[y, x] & (weight > 0) for r in sample.regions]
    return Stimulus(
        index=i,
        name=sample.name,
        image=resize(sample.image, size or sample.size).float() / 255,
        size=(height, width),
        categories=[region.category for region in sample.regions],
        sure=[region.sure for region in sample.regions],
        fixated=[(x[keep], y[keep], weight[keep]) for keep in inside],
    )


def in_batches(stimuli: Iterable[Stimulus], batch: int) -> Iterator[list[Stimulus]]:
    """Group stimuli of equal input size; at most four batches wait, however many sizes there are.

    The last batch of a size may hold one more than `batch`: an image left alone in its batch has
    no other to be shuffled with.
    """
    groups: dict[Size, list[Stimulus]] = {}
    for stimulus in stimuli:
        size = size_of(stimulus.image)
        group = groups.setdefault(size, [])
        group.append(stimulus)
        if len(group) == batch + 2:
            yield group[:batch]
            del group[:batch]
        elif sum(map(len, groups.values())) >= 4 * (batch + 1):
            yield groups.pop(max(groups, key=lambda size: len(groups[size])))
    yield from groups.values()


class RegionBatch:
    """The fixated regions of a batch of stimuli, pulled back to whatever grid a layer has.

    Only they can be scored; a photograph of a crowd has hundreds of others, for which there is no
    room on a fine grid. Attributes: `sizes` of the images; `fixated`, for each region of theirs
    whether it is one of these R; `owner` (R,) index of each one's image in the batch; `counts` (R,)
    fixations in it, `total` (R,) what they weigh together.
    """

    def __init__(self, stimuli: list[Stimulus], device: torch.device):
        self.sizes = [s.size for s in stimuli]
        self.device = device
        every = [(i, columns) for i, s in enumerate(stimuli) for columns in s.fixated]
        self.fixated = [len(columns[0]) > 0 for _, columns in every]
        looked = [one for one in every if len(one[1][0])]
        self.owner = torch.tensor([i for i, _ in looked], dtype=torch.long)
        x, y, weight = list(zip(*(columns for _, columns in looked), strict=True)) or ((), (), ())
        self.counts = torch.tensor([len(one) for one in x], dtype=torch.long)
        none = torch.zeros(0, dtype=torch.long)
        self.x, self.y = torch.cat([none, *x]), torch.cat([none, *y])
        self.weight = torch.cat([none.float(), *weight])
        self.total = torch.tensor([float(one.sum()) for one in weight])
        self.region = torch.arange(len(looked)).repeat_interleave(self.counts)
        self._weights: dict[Size, Tensor] = {}
        self._tables: dict[Size, tuple[Tensor, Tensor]] = {}

    def weights(self, inner: Size) -> Tensor:
        """Return (R, h, w): weights of each region's mean over fixations, on the grid `inner`."""
        if inner not in self._weights:
            parts = []
            for size in set(self.sizes):
                of_size = torch.tensor([s == size for s in self.sizes])[self.owner][self.region]
                x, y, region = self.x[of_size], self.y[of_size], self.region[of_size]
                weight = self.weight[of_size]
                parts.append(pull_back(x, y, weight, region, len(self.owner), size, inner))
            self._weights[inner] = mean_at(reduce(torch.add, parts), self.total).to(self.device)
        return self._weights[inner]

    def table(self, inner: Size) -> tuple[Tensor, Tensor]:
        """Return `weights` sorted by image, (B, n, h, w), and each region's place (R,) there."""
        if inner not in self._tables:
            owner = self.owner.to(self.device)
            self._tables[inner] = by_image(self.weights(inner), owner, len(self.sizes))
        return self._tables[inner]


Batches = Iterator[tuple[list[Stimulus], Tensor]]


@contextmanager
def streamed(
    nets: Sequence[object],
    ds: SaliencyDataset,
    doing: str,
    *,
    size: Size | None,
    batch: int,
    progress: bool = True,
    device: str | torch.device | None = None,
    weights: str | None = None,
) -> Iterator[Batches]:
    """Give an iterator over (stimuli, images float (B, 3, h, w) in [0, 1]), to be used inside.

    Images come at `size`, None for their own, and those of a batch have one size. Inside, the
    networks are in evaluation mode (batch norm must neither mix images nor learn) and nothing
    records gradients; afterwards they are in the mode they were in. `device`: None for where the
    first network is, but for the first GPU, if there is one, where that is the processor; networks
    stay there. `weights`: what fixations weigh by, see `Fixations.weights`. Raises ValueError
    for `batch` < 1.
    """
    if batch < 1:
        raise ValueError(f"batch is {batch}; it must be at least 1")
    modules = [net for net in nets if isinstance(net, nn.Module)]
    device = _place(modules, device)
    with (
        torch.inference_mode(),
        evaluating(modules),
        tqdm(total=len(ds), desc=doing, unit="image", leave=False, disable=not progress) as bar,
    ):

        def batches() -> Batches:
            read = read_ahead(lambda i: load_stimulus(ds, i, size, weights), len(ds), ahead=batch)
            for stimuli in in_batches(read, batch):
                yield stimuli, torch.stack([s.image for s in stimuli]).to(device)
                bar.update(len(stimuli))

        yield batches()


@contextmanager
def running_once(encoder: Tapped, held: Sequence[str]) -> Iterator[None]:
    """Inside, the encoder answers of layers `held` from memory where it has seen the images before.

    For several passes over the same images in the same batches, the first of which may ask other
    layers too. What exceeds `ROOM` is not held, and run again.
    """
    run, memory = encoder.reduce, dict[str, dict[str, Tensor]]()
    room = ROOM

    def reduce(
        images: Tensor, layers: Sequence[str] | None, reducer: Callable[[str, Tensor], T]
    ) -> dict[str, T]:
        nonlocal room
        layers = encoder.checked(layers)
        seen = memory.setdefault(digest(images), {})
        if set(layers) <= set(seen):
            return {layer: reducer(layer, seen[layer]) for layer in layers}

        def holding(layer: str, activation: Tensor) -> T:
            nonlocal room
            if layer in held and layer not in seen and activation.nbytes <= room:
                seen[layer] = activation.clone()
                room -= activation.nbytes
            return reducer(layer, activation)

        return run(images, layers, holding)

    encoder.reduce = reduce
    try:
        yield
    finally:
        del encoder.reduce


@torch.inference_mode(False)  # what is moved in that mode could not be taught afterwards
def _place(modules: Sequence[nn.Module], device: str | torch.device | None) -> torch.device:
    """Move the networks to `device` (see `streamed`); return where that is."""
    if device is None:
        first = next((p.device for module in modules for p in module.parameters()), None)
        device = device_of() if first == torch.device("cpu") else first or "cpu"
    for module in modules:
        module.to(device)
    return torch.device(device)
