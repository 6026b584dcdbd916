"""What dissecting costs beside the forward pass, and beside upsampling."""

import torch
from torch.nn.functional import interpolate

from saliencykit.datasets import CATEGORIES, Fixations, Region, Sample
from saliencykit.dissection import region_nss
from saliencykit.dissection.dissect import own_scores
from saliencykit.dissection.stream import RegionBatch, Stimulus, load_stimulus
from saliencykit.models import Encoder, build_encoder

from . import BENCHMARKS, Ratio, compare


class Scenes:
    """Noise at 300×400 with four regions an image and 150 fixations, as in OSIE."""

    name, categories = "scenes", CATEGORIES

    def __len__(self):
        return 16

    def __getitem__(self, i):
        random = torch.Generator().manual_seed(i)
        image = torch.randint(0, 256, (3, 300, 400), generator=random, dtype=torch.uint8)
        x, y = torch.rand(2, 150, generator=random)
        boxes = [(20 + 90 * j, 30 + 60 * j) for j in range(4)]
        regions = [
            Region(
                CATEGORIES[(i + j) % 12],
                polygon=torch.tensor([[x, y], [x + 80, y], [x + 80, y + 60], [x, y + 60]]),
            )
            for j, (x, y) in enumerate(boxes)
        ]
        return Sample(str(i), image, Fixations.of(400 * x, 300 * y), regions)


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
