"""What dissecting costs beside the forward pass, beside upsampling, and in memory."""

import os
import re
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from torch.nn.functional import interpolate

from saliencykit.datasets import CATEGORIES, Fixations, Region, SaliencyDataset
from saliencykit.dissection import Sharded, dissect, region_nss
from saliencykit.dissection.dissect import own_scores
from saliencykit.dissection.stream import RegionBatch, Stimulus, load_stimulus
from saliencykit.metrics.upsampling import Size
from saliencykit.models import Encoder, build_encoder

from . import BENCHMARKS, Ratio, compare


class Scenes(SaliencyDataset):
    """Noise, four regions an image and 150 fixations, as in OSIE."""

    name = "scenes"

    def __init__(self, n: int = 16, size: Size = (300, 400)):
        self.names = [str(i) for i in range(n)]
        self.size = size

    def contents(self):
        return self.size

    def size_of(self, i):
        return self.size

    def _random(self, i):
        return torch.Generator().manual_seed(int(self.names[i]))

    def image(self, i):
        return torch.randint(256, (3, *self.size), generator=self._random(i)).to(torch.uint8)

    def fixations(self, i):
        x, y = torch.rand(2, 150, generator=self._random(i))
        return Fixations.of(self.size[1] * x, self.size[0] * y)

    def regions(self, i):
        unit = self.size[0] / 300
        boxes = [(20 + 90 * j, 30 + 60 * j) for j in range(4)]
        corners = [[[x, y], [x + 80, y], [x + 80, y + 60], [x, y + 60]] for x, y in boxes]
        return [
            Region(CATEGORIES[(int(self.names[i]) + j) % 12], polygon=unit * torch.tensor(box))
            for j, box in enumerate(corners)
        ]


@BENCHMARKS.register("dissect")
@torch.inference_mode()
def dissect_over_forward() -> list[Ratio]:
    """All layers of mobilenet_v2 dissected, over the bare forward pass to the deepest."""
    enc = build_encoder("mobilenet_v2", weights=None)
    stimuli = [load_stimulus(Scenes(), i, None) for i in range(len(Scenes()))]
    return [over_forward(enc, stimuli[:n]) for n in (8, len(stimuli))]


def over_forward(enc: Encoder, stimuli: list[Stimulus]) -> Ratio:
    """Dissecting one batch over its bare forward pass."""
    images = torch.stack([s.image for s in stimuli])

    def dissected():  # the weights are made anew, as for every batch of a data set
        return enc.reduce(images, enc.layers, own_scores(RegionBatch(stimuli, images.device)))

    def bare():
        return enc.reduce(images, enc.layers[-1:], lambda layer, activations: None)

    units = sum(enc.channels.values())
    what = f"{len(enc.layers)} layers, {units:,} units, {len(stimuli)} images / bare forward pass"
    return compare(what, dissected, bare, target=1.10)


@BENCHMARKS.register("dissect_memory")
def memory_of_many_over_few() -> list[Ratio]:
    """Peak memory of 10,000 images over that of 100, each in a process of its own; in GB."""
    rows = []
    for what, how, target in (
        ("in shards", in_shards, 1.05),
        ("of all scores at once", at_once, None),
    ):
        many, few = (peak_memory(how, n) for n in (10_000, 100))
        what = f"peak memory in MB, not ms, {what}: 10,000 images / 100"
        rows.append(Ratio(what, many, few, many / few, target))
    return rows


def in_shards(enc: Encoder, ds: Scenes) -> None:
    """Compute one shard, then the rest, and merge them."""
    found = Sharded(enc, ds, progress=False)
    found.compute((1, 2))
    found.selectivity()


def at_once(enc: Encoder, ds: Scenes) -> None:
    """The same means, from a dissection that holds every region's scores."""
    found = dissect(enc, ds, progress=False)
    for layer in found.layers:
        found.selectivity(layer)


def peak_memory(how: Callable[[Encoder, Scenes], None], n: int) -> float:
    """Peak memory in GB of a process that dissects `n` images and writes to a cache of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
    ):
        return pool.submit(_peak_memory, how, n, folder, torch.get_num_threads()).result()


def _peak_memory(how: Callable[[Encoder, Scenes], None], n: int, cache: str, threads: int) -> float:
    os.environ["SALIENCYKIT_CACHE"] = cache
    torch.set_num_threads(threads)
    how(build_encoder("toyvgg", weights=None), Scenes(n, (48, 64)))
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(peak[1]) / 1e6


@BENCHMARKS.register("region_nss")
@torch.inference_mode()
def region_nss_over_upsampling() -> list[Ratio]:
    """One image, 512 units 14×14 → 600×800, five regions, against upsampling all units at once."""
    random = torch.Generator().manual_seed(0)
    activations = torch.randn(1, 512, 14, 14, generator=random).relu()
    fixations = torch.zeros(5, 600, 800)
    for r in range(5):
        y, x = torch.rand(2, 30, generator=random) * 110
        fixations[r, (100 * r + y).long(), (150 * r + x).long()] = 1
    owner, sparse = torch.zeros(5, dtype=torch.long), fixations.to_sparse()

    def upsampled():
        maps = interpolate(activations, (600, 800), mode="bilinear")[0].flatten(1)
        spread, mean = torch.std_mean(maps, 1, correction=0)
        at_fixations = fixations.flatten(1) @ maps.T / fixations.sum((1, 2))[:, None]
        return (at_fixations - mean) / spread

    torch.testing.assert_close(
        region_nss(activations, sparse, owner), upsampled(), atol=1e-4, rtol=0
    )
    what = "region_nss / upsampling, 512 units 14×14 → 600×800"
    return [
        compare(f"{what}, {kind} maps", lambda f=f: region_nss(activations, f, owner), upsampled)
        for kind, f in (("sparse", sparse), ("dense", fixations))
    ]
