"""What the classical models cost beside the GBVS toolbox in Octave, whose seconds are recorded."""

import json
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
from torch.nn.functional import interpolate

from saliencykit import paths
from saliencykit.models import classical

from . import BENCHMARKS, Ratio

OCTAVE = paths.ROOT.parent / "shared" / "oracles" / "speed.json"
TOOLBOX = {"gbvs": "gbvs", "itti_koch": "ittikochmap"}  # our name → its function


@BENCHMARKS.register("classical")
def classical_over_octave() -> list[Ratio]:
    """Each model on 600×800 images, over Octave's recorded seconds per image."""
    if not OCTAVE.exists():
        print(f"classical: skipped, Octave's recorded seconds are not here ({OCTAVE})")
        return []
    octave = json.loads(OCTAVE.read_text())["gbvs_octave"]["one_thread"]
    coarse = torch.rand(4, 3, 30, 40, generator=torch.Generator().manual_seed(0))
    images = interpolate(coarse, (600, 800), mode="bilinear")
    return [
        over_recorded(name, images[:n], octave[function])
        for name, function in TOOLBOX.items()
        for n in (1, len(images))
    ]


def over_recorded(name: str, images: torch.Tensor, other: float, rounds: int = 9) -> Ratio:
    """Return the median CPU time per image, after a warm-up, over `other`, recorded elsewhere.

    Nothing runs beside it to share what else the machine does, so waiting is not counted.
    """
    run = partial(classical.saliency, name, images)
    run()
    ours = median(cpu_seconds(run) for _ in range(rounds)) / len(images)
    what = f"{name}, 600×800 by {len(images)}, CPU time / GBVS toolbox in Octave (recorded)"
    return Ratio(what, ours, other, ours / other, target=0.2)


def cpu_seconds(run: Callable[[], object]) -> float:
    """Seconds of this process on all its threads."""
    start = time.process_time()
    run()
    return time.process_time() - start
