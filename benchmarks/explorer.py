"""How long a slider of the unit explorer takes to its pictures, encoded as browsers get them."""

import time
from statistics import median

import torch

from saliencykit.analyses.unit_explorer.browser import Instrument
from saliencykit.analyses.unit_explorer.figures import UnitExplorer
from saliencykit.datasets import load
from saliencykit.dissection import dissect
from saliencykit.models import SaliencyModel, build_encoder

from . import BENCHMARKS, Ratio

BUDGET = 0.1  # seconds
ROUNDS = 15
SIZE = (300, 400)
LAYERS = ["features.0", "features.6", "features.13", "features.18"]


def instrument() -> Instrument:
    """mobilenet_v2 twice, once in five trainings; random weights: what is drawn does not matter."""
    torch.manual_seed(0)
    model = SaliencyModel(build_encoder("mobilenet_v2", None), LAYERS[1:]).eval()
    encoders = {"fine-tuned": model.encoder, "pre-trained": build_encoder("mobilenet_v2", None)}
    data = load("toyworld").thinned(24)
    how = {"size": SIZE, "permutations": 20, "progress": False}
    results = {name: dissect(e, data, LAYERS, **how) for name, e in encoders.items()}
    readouts = {"fine-tuned": model}
    others = {"fine-tuned": [results["fine-tuned"]] * 4}
    where = (data, SIZE, LAYERS, LAYERS[2])
    explorer = UnitExplorer(encoders, results, readouts, *where, images=12, others=others)
    return Instrument(explorer, category="text")


@BENCHMARKS.register("explorer")
def slider_to_picture() -> list[Ratio]:
    """Each control's median time over the budget of 100 ms."""
    made = instrument()
    c = made.controls
    moves = {
        "place of the unit": (made.place, range(2, 2 + ROUNDS)),
        "layer": (c["layer"], (LAYERS * ROUNDS)[:ROUNDS]),
        "image": (c["image"], [1 + k % 11 for k in range(ROUNDS)]),
        "threshold": (c["threshold"], [0.25 * (1 + k % 15) for k in range(ROUNDS)]),
        "category": (c["category"], (made.explorer.categories * 2)[:ROUNDS]),
        "network": (c["model"], (["pre-trained", "fine-tuned"] * ROUNDS)[:ROUNDS]),
    }
    rows = []
    for name, (control, values) in moves.items():
        seconds = []
        for value in values:
            start = time.perf_counter()
            control.value = value
            seconds.append(time.perf_counter() - start)
        middle = median(seconds)
        what = f"{name} to its pictures, over 100 ms"
        rows.append(Ratio(what, middle, BUDGET, middle / BUDGET, target=1.0))
    return rows
