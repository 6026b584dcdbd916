"""Dissection in shards: the same numbers, whatever is divided how, killed or damaged."""

import multiprocessing
import os
import signal
import weakref

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saliencykit.datasets import CATEGORIES, Fixations, Region, SaliencyDataset
from saliencykit.dissection import Dissection, Sharded, dissect
from saliencykit.models import build_encoder
from saliencykit.paths import cache_root
from saliencykit.registry import UnknownNameError
from tests.conftest import Blobs
from tests.test_dissection import Pools

SIZES = ((60, 80), (72, 60), (84, 84))


class Mixed(SaliencyDataset):
    """Noise of several sizes; some images have no regions, and some regions no fixations.

    `sizes`: an image's number in SIZES; `regions_of`: how many regions it has. What is read is
    counted in `read`; reading image `deadly` kills the process.
    """

    name, categories = "mixed", CATEGORIES

    def __init__(self, sizes, regions_of, seed=0, deadly=None):
        self.names = [f"m{i:03d}" for i in range(len(sizes))]
        self.sizes, self.regions_of, self.seed, self.deadly = sizes, regions_of, seed, deadly
        self.read = []  # subsets share it

    def _number(self, i):
        return int(self.names[i][1:])

    def size_of(self, i):
        return SIZES[self.sizes[self._number(i)]]

    def image(self, i):
        k = self._number(i)
        if k == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        self.read.append(k)
        random = torch.Generator().manual_seed(100 * self.seed + k)
        return torch.randint(0, 256, (3, *self.size_of(i)), generator=random, dtype=torch.uint8)

    def fixations(self, i):
        random = np.random.default_rng((self.seed, self._number(i)))
        height, width = self.size_of(i)
        return Fixations.of(random.uniform(0, width, 40), random.uniform(0, height, 40))

    def regions(self, i):
        random = np.random.default_rng((self.seed, self._number(i), 1))
        height, width = self.size_of(i)
        found = []
        for _ in range(self.regions_of[self._number(i)]):
            x, y = random.uniform(0, width - 12), random.uniform(0, height - 12)
            corners = torch.tensor([[x, y], [x + 9, y], [x + 9, y + 9], [x, y + 9]])
            found.append(Region(CATEGORIES[random.integers(3)], polygon=corners))
        return found

    def contents(self):
        return [self.sizes, self.regions_of, self.seed]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def sharded(enc, ds, layers=None, **how):
    return Sharded(enc, ds, layers, progress=False, **how)


def check_equal(found, whole):
    """To the last digit, rows in the same order."""
    means, joined = found.selectivity(), found.joined()
    assert list(means) == joined.layers == whole.layers
    assert joined.categories == whole.categories
    pd.testing.assert_frame_equal(joined.regions, whole.regions)
    for layer in whole.layers:
        there, here = whole.of(layer), joined.of(layer)
        torch.testing.assert_close(here, there, rtol=0, atol=0, equal_nan=True)
        pd.testing.assert_frame_equal(means[layer], whole.selectivity(layer), check_exact=True)


@pytest.mark.parametrize("size", [None, (48, 64)])
def test_any_number_of_shards_gives_what_is_not_divided(tmp_path, monkeypatch, size):
    ds = Mixed([0, 0, 1, 0, 2, 0, 1, 0], [2, 1, 3, 0, 2, 0, 1, 2])
    torch.manual_seed(0)
    how = {"layers": ["conv1_1", "conv2_2"], "size": size, "batch": 2}
    enc = build_encoder("toyvgg", None)
    whole = dissect(enc, ds, progress=False, **how)
    assert (whole.regions["fixations"] == 0).any()  # or less is tested
    assert len(whole.regions) == 11
    for n in range(1, len(ds) + 1):
        monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / f"{n}"))
        images = [sharded(enc, ds, **how).compute((k, n)) for k in range(n, 0, -1)]
        assert sum(images) == len(ds)
        found = sharded(enc, ds, **how)
        assert found.missing() == []
        ds.read.clear()
        check_equal(found, whole)
        assert ds.read == []


@st.composite
def divisions(draw):
    """Images, the size of batches, and which shards of which divisions were computed before."""
    n = draw(st.integers(1, 9))
    images = st.tuples(st.integers(0, 2), st.integers(0, 3))
    images = draw(st.lists(images, min_size=n, max_size=n).filter(lambda v: any(r for _, r in v)))
    shards = st.integers(1, n).flatmap(lambda of: st.tuples(st.integers(1, of), st.just(of)))
    return images, draw(st.integers(1, 5)), draw(st.lists(shards, max_size=3))


@settings(max_examples=12, deadline=None)
@given(case=divisions(), seed=st.integers(0, 10**6))
def test_shards_of_any_divisions_go_together(tmp_path_factory, case, seed):
    images, batch, shards = case
    ds = Mixed(*map(list, zip(*images, strict=True)), seed=seed)
    whole = dissect(Pools(), ds, batch=batch, progress=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALIENCYKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        for shard in shards:
            sharded(Pools(), ds, batch=batch).compute(shard)
        check_equal(sharded(Pools(), ds, batch=batch), whole)


def test_batches_are_those_of_dissect():
    seen = []

    class Watching(Pools):
        def reduce(self, images, layers, reducer):
            seen.append(len(images))
            return super().reduce(images, layers, reducer)

    sizes = [0, 1, 0, 2, 0, 0, 1, 0, 0, 1, 0, 2, 0, 0]
    ds = Mixed(sizes, [1] * len(sizes))
    dissect(Watching(), ds, batch=3, progress=False)
    batches = sharded(Pools(), ds, batch=3).batches
    assert list(map(len, batches)) == seen
    assert sorted(i for batch in batches for i in batch) == list(range(len(ds)))
    assert all(len({sizes[i] for i in batch}) == 1 for batch in batches)


def test_only_what_is_missing_is_computed(cache):
    ds = Mixed([0] * 9, [1] * 9)
    first = sharded(Pools(), ds, batch=2)
    assert first.compute((2, 3)) == 2
    assert sorted(ds.read) == first.batches[1]
    assert first.missing() == [0, 2, 3]
    ds.read.clear()
    first.compute((1, 2))
    assert sorted(ds.read) == [0, 1, 4, 5]
    ds.read.clear()
    first.selectivity()
    assert sorted(ds.read) == [6, 7, 8]
    ds.read.clear()
    first.compute()
    assert ds.read == []


def killed_while_computing(place, deadly):
    os.environ["SALIENCYKIT_CACHE"] = place
    sharded(Pools(), Mixed([0] * 12, [2] * 12, deadly=deadly), batch=2).compute((1, 2))


@pytest.mark.slow
def test_a_killed_shard_goes_on_at_its_batch(cache):
    process = multiprocessing.get_context("spawn").Process(
        target=killed_while_computing, args=(str(cache), 9)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    ds = Mixed([0] * 12, [2] * 12)
    found = sharded(Pools(), ds, batch=2)
    assert found.batches == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10, 11]]
    assert found.missing() == [1, 3, 4, 5]
    found.compute((1, 2))
    assert sorted(ds.read) == [8, 9]
    check_equal(found, dissect(Pools(), ds, batch=2, progress=False))


def test_a_damaged_batch_is_computed_again(cache):
    ds = Mixed([0] * 6, [1] * 6)
    found = sharded(Pools(), ds, batch=2)
    found.compute()
    entry = next(cache.glob("*/*.safetensors"))
    entry.write_bytes(entry.read_bytes()[:-3] + b"abc")
    ds.read.clear()
    with pytest.warns(UserWarning, match="damaged"):
        found.selectivity()
    assert len(ds.read) == 2
    check_equal(found, dissect(Pools(), ds, batch=2, progress=False))


class Timed(Mixed):
    def fixations(self, i):
        looks = super().fixations(i)
        seconds = np.linspace(0.1, 1, len(looks))
        return Fixations.of(looks.x, looks.y, duration=seconds)


def test_shards_of_other_settings_are_not_mixed_in(cache):
    torch.manual_seed(0)
    enc, other = build_encoder("toyvgg", None), build_encoder("toyvgg", None)
    sizes, regions = [0] * 6, [2] * 6
    ds = Timed(sizes, regions)
    layers = ["conv1_1", "conv2_2"]
    sharded(enc, ds, layers, batch=2).compute()
    others = [
        sharded(other, ds, layers, batch=2),
        sharded(enc, ds, layers[:1], batch=2),
        sharded(enc, ds, layers, batch=2, size=(48, 64)),
        sharded(enc, ds, layers, batch=2, weights="duration"),
        sharded(enc, Timed(sizes, regions, seed=1), layers, batch=2),
        sharded(enc, ds, layers, batch=3),
    ]
    assert [len(one.missing()) for one in others] == [3, 3, 3, 3, 3, 2]
    expected = dissect(enc, ds, layers, weights="duration", batch=2, progress=False)
    check_equal(others[3], expected)
    assert len(list((cache_root() / "dissection_batch").iterdir())) == 6


@pytest.mark.parametrize(
    ("shard", "says"),
    [
        ((0, 3), r"no shard 0/3: of 3 there are 1/3 to 3/3"),
        ((4, 3), r"no shard 4/3: of 3 there are 1/3 to 3/3"),
        ((1, 0), r"no shard 1/0: there is at least one"),
        ((-1, -1), r"no shard -1/-1: there is at least one"),
        ((1, 6), r"no shard 1/6 of <mixed: 5 images>: .* more shards than it has images"),
    ],
)
def test_shards_that_there_are_not(cache, shard, says):
    ds = Mixed([0] * 5, [1] * 5)
    with pytest.raises(ValueError, match=says):
        sharded(Pools(), ds).compute(shard)
    assert ds.read == []
    assert not cache.exists()


def test_what_cannot_be_dissected(cache):
    with pytest.raises(ValueError, match="batch is 0"):
        sharded(Pools(), Blobs(3), batch=0)
    with pytest.raises(UnknownNameError, match="'coarse'"):
        sharded(Pools(), Blobs(3), ["coarsest"]).compute()
    bare = Mixed([0, 1, 0], [0, 0, 0])
    found = sharded(Pools(), bare)
    assert found.compute() == 3
    assert found.missing() == []
    for merged in (found.selectivity, found.joined):
        with pytest.raises(ValueError, match="<mixed: 3 images> has no annotated regions"):
            merged()


def test_an_error_leaves_what_was_computed_before(cache):
    class Broken(Mixed):
        def image(self, i):
            if self._number(i) == 3:
                raise ValueError("m003.jpg cannot be read as an image")
            return super().image(i)

    found = sharded(Pools(), Broken([0] * 6, [1] * 6), batch=2)
    with pytest.raises(ValueError, match=r"m003\.jpg"):
        found.compute()
    assert found.missing() == [1, 2]


def test_few_batches_are_held_at_a_time(monkeypatch):
    """However many images there are: else memory would grow with them."""
    ds = Mixed([1, *[0, 0, 2] * 99, 1], [1] * 299)  # the first waits for the last
    alive = []

    def found(self, k):
        names = [ds.names[i] for i in self.batches[k]]
        regions = pd.DataFrame({"image": names, "category": CATEGORIES[0], "fixations": 1})
        made = Dissection({"a": torch.zeros(len(names), 1)}, regions, CATEGORIES)
        alive.append(weakref.ref(made))
        return made

    monkeypatch.setattr(Sharded, "_found", found)
    one_by_one = sharded(Pools(), ds, batch=4)
    held = [sum(ref() is not None for ref in alive) for _ in one_by_one.in_order()]
    assert len(alive) == len(one_by_one.batches) > 70
    assert max(held) == len(SIZES)
