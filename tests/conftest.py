"""Fixtures that every test may use: a throw-away cache, a tiny data set, the real data if given."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from saliencykit.datasets import Fixations, Region, SaliencyDataset
from saliencykit.paths import ROOT

ORACLES = Path(__file__).parent / "oracles"
"""Reference values of other people's code, those that are small."""
ALL_ORACLES = ROOT.parent / "shared" / "oracles"
"""All of them, where they lie beside the repository."""


LONGEST = ("notebooks", "encoders", "sweeps", "serving", "running", "browser", "wheel")
"""What the files that take longest are about; browser finds in the cache what notebooks left."""


def pytest_collection_modifyitems(items):
    """Begin with the longest files, so that no worker is left alone with one of them at the end."""
    rank = {f"test_{name}": k for k, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


def needs_all_oracles():
    """Skip, and say so, where only the small reference values are."""
    if not ALL_ORACLES.is_dir():
        pytest.skip("no shared/oracles beside the repository: the small reference values alone")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Keep tests away from the user's cache."""
    place = tmp_path_factory.getbasetemp() / "cache"
    if "PYTEST_XDIST_WORKER" in os.environ:  # one cache for the workers, who wait for one another
        place = tmp_path_factory.getbasetemp().parent / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALIENCYKIT_CACHE", str(place))
        yield


class Blobs(SaliencyDataset):
    """Grey images with one bright blob that everybody looks at; the last image is looked past."""

    name, categories, scenes = "blobs", ("bright", "dark"), ("left", "right")

    def __init__(self, n=12, size=(48, 64), seed=0):
        self.shape, self.seed = size, seed
        self.names = [f"b{i:02d}" for i in range(n)]
        rng = np.random.default_rng(seed)
        self.spots = {
            name: (rng.integers(10, size[1] - 10), rng.integers(10, size[0] - 10))
            for name in self.names
        }

    def image(self, i):
        y, x = torch.meshgrid(*(torch.arange(n) for n in self.shape), indexing="ij")
        cx, cy = self.spots[self.names[i]]
        blob = torch.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 40)
        noise = torch.rand(3, *self.shape, generator=torch.Generator().manual_seed(int(cx * cy)))
        return (80 + 20 * noise + 150 * blob).clamp(0, 255).to(torch.uint8)

    def fixations(self, i):
        if self.names[i] == "b11":
            return Fixations.of([], [])
        cx, cy = self.spots[self.names[i]]
        rng = np.random.default_rng(int(cx * 100 + cy))
        n = 20
        return Fixations.of(cx + rng.normal(0, 3, n), cy + rng.normal(0, 3, n), np.arange(n) % 4)

    def regions(self, i):
        cx, cy = (int(v) for v in self.spots[self.names[i]])
        mask = torch.zeros(self.shape, dtype=torch.bool)
        mask[cy - 8 : cy + 8, cx - 8 : cx + 8] = True
        return [Region("bright", mask=mask), Region("dark", mask=~mask)]

    def scene(self, i):
        return "left" if self.spots[self.names[i]][0] < self.shape[1] / 2 else "right"

    def split_of(self, name):
        return ("train", "train", "val", "test")[int(name[1:]) % 4]

    def contents(self):
        return [self.shape, self.seed]


class Scattered(Blobs):
    """Blobs that people also look past."""

    def fixations(self, i):
        near, draw = super().fixations(i), np.random.default_rng([*self.names[i].encode()])
        x, y = (draw.uniform(0, n, 8) for n in (64, 48))
        return Fixations.of([*near.x.tolist(), *x], [*near.y.tolist(), *y])


@pytest.fixture
def blobs():
    return Blobs()


@pytest.fixture(scope="session")
def real_data():
    """The folder of real data, or a skip that says what is missing."""
    root = os.environ.get("SALIENCYKIT_DATA")
    if not root or not (Path(root) / "osie").is_dir():
        pytest.skip("SALIENCYKIT_DATA is unset or holds no osie: the real photographs are not here")
    return Path(root)
