"""Scoring 700 maps, against pysaliency's functions on the same maps, one map at a time.

pysaliency is none of our dependencies: `make bench` installs it (the extra `bench`).
"""

import sys
from importlib.util import find_spec
from types import ModuleType
from unittest.mock import MagicMock

import numpy as np
import torch

from saliencykit import metrics

from . import BENCHMARKS, Ratio, compare

SIZE, FIXATIONS = (480, 640), 150
BATCH, ROUNDS = 50, 13  # and a warm-up: 700 maps
SEVEN = ("nss", "cc", "sim", "sim:mit", "kl", "kl:mit", "ig")


def pysaliency() -> ModuleType | None:
    """Import pysaliency, or None, saying how to get it."""
    if find_spec("pysaliency") is None:
        print("metrics: skipped, pysaliency is not installed; `make bench` installs it")
        return None
    # Its downloaders want setuptools' former pkg_resources, and its AUC numpy's former trapz.
    if find_spec("pkg_resources") is None:
        sys.modules["pkg_resources"] = MagicMock()
    if not hasattr(np, "trapz"):
        np.trapz = np.trapezoid  # noqa: NPY201 (put back, not called)
    import pysaliency
    import pysaliency.roc

    return pysaliency


class Maps:
    """A batch of maps as both sides want them: tensors, and lists of arrays."""

    def __init__(self, kind: type):
        random = np.random.default_rng(0)
        self.y, self.x = (random.integers(0, n, (BATCH, FIXATIONS)) for n in SIZE)
        counts = np.zeros((BATCH, *SIZE))
        np.add.at(counts, (np.arange(BATCH)[:, None], self.y, self.x), 1)
        maps = {
            "saliency": random.random((BATCH, *SIZE)),
            "density": metrics.density(counts),
            "baseline": random.random((BATCH, *SIZE)),
        }
        self.arrays = {name: np.asarray(m, dtype=kind) for name, m in maps.items()}
        self.truth = {n: torch.from_numpy(m) for n, m in self.arrays.items()}
        self.truth["fixations"] = torch.from_numpy(counts.astype(kind))
        self.saliency = self.truth.pop("saliency")

    def one_by_one(self):
        return zip(*self.arrays.values(), self.x, self.y, strict=True)


def stretched(saliency):
    low, high = saliency.min(), saliency.max()
    return (saliency - low) / (high - low)


def theirs(their, saliency, density, baseline, x, y):
    """The seven of one map, by pysaliency."""
    p, b = (their.convert_saliency_map_to_density(m, 1e-20) for m in (saliency, baseline))
    return {
        "nss": their.NSS(saliency, x, y).mean(),
        "cc": their.CC(saliency, density),
        "sim": their.SIM(saliency, density),
        "sim:mit": their.SIM(stretched(saliency), stretched(density)),
        "kl": their.image_based_kl_divergence(saliency, density),
        "kl:mit": their.MIT_KLDiv(saliency, density),
        "ig": (np.log2(p[y, x]) - np.log2(b[y, x])).mean(),
    }


@BENCHMARKS.register("metrics")
def metrics_over_pysaliency() -> list[Ratio]:
    """Seven metrics at once, and the exact AUC, over pysaliency's time."""
    library = pysaliency()
    return (
        []
        if library is None
        else [row for k in (np.float32, np.float64) for row in rows(library, k)]
    )


def rows(library: ModuleType, kind: type) -> list[Ratio]:
    maps, what = Maps(kind), f"{BATCH} maps 480×640, {kind.__name__}"

    def ours():
        return metrics.scores(maps.saliency, maps.truth, SEVEN)

    @np.errstate(divide="ignore")  # the logarithm of 0, which it handles
    def reference():
        return [theirs(library.metrics, *one) for one in maps.one_by_one()]

    def area():
        return metrics.auc(maps.saliency, maps.truth["fixations"])

    def positives_and_negatives():  # float64, as its models make them
        for s, _, _, x, y in maps.one_by_one():
            yield s[y, x].astype(float), s.ravel().astype(float)

    def reference_area():
        roc = library.roc.general_roc
        return [roc(*values)[0] for values in positives_and_negatives()]

    def areas():
        roc = library.roc.general_rocs_per_positive
        return [roc(*values).mean() for values in positives_and_negatives()]

    found, expected = ours(), reference()
    for name in SEVEN:
        np.testing.assert_allclose(found[name], [e[name] for e in expected], rtol=1e-3)
    np.testing.assert_allclose(area(), reference_area(), rtol=1e-6)
    return [
        compare(f"seven without AUC, {what}", ours, reference, rounds=ROUNDS, target=1 / 20),
        compare(f"exact AUC, {what}", area, reference_area, rounds=ROUNDS, target=1 / 10),
        compare(
            f"exact AUC, {what}, over their AUC fixation by fixation", area, areas, rounds=ROUNDS
        ),
    ]
