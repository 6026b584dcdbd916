"""Dissection against brute force, planted units, and data without any effect."""

import importlib.util
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate

from saliencykit import paths
from saliencykit.datasets import CATEGORIES, Fixations, Region, Sample
from saliencykit.dissection import (
    Dissection,
    change,
    dissect,
    dissect_cached,
    region_nss,
)
from saliencykit.dissection.region_nss import CHUNK
from saliencykit.dissection.significance import Null
from saliencykit.dissection.stream import load_stimulus
from saliencykit.intervals import adjusted
from saliencykit.models.stimuli import read_ahead, stimuli
from saliencykit.registry import UnknownNameError
from tests.conftest import Blobs

SHAPES = [((14, 14), (600, 800)), ((7, 9), (61, 83)), ((19, 25), (599, 797)), ((40, 31), (7, 11))]


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def brute_force(activations, fixations, owner):
    """Upsample, z-score, average at fixations: the definition, in float64."""
    maps = interpolate(activations.double(), fixations.shape[1:], mode="bilinear")
    spread, mean = torch.std_mean(maps, (2, 3), correction=0, keepdim=True)
    constant = activations.flatten(2).amin(2) == activations.flatten(2).amax(2)
    z = ((maps - mean) / spread).masked_fill(constant[..., None, None], 0)
    weights = fixations.double() / fixations.sum((1, 2), keepdim=True)
    return torch.einsum("rchw,rhw->rc", z[owner], weights)


def some_fixations(n, size, per_region=12, seed=1):
    random = torch.Generator().manual_seed(seed)
    where = torch.randint(0, size[0] * size[1], (n, per_region), generator=random)
    return (
        torch.zeros(n, size[0] * size[1])
        .scatter_add_(1, where, torch.ones(n, per_region))
        .view(n, *size)
    )


@pytest.mark.parametrize(("inner", "size"), SHAPES)
@pytest.mark.parametrize("layout", ["dense", "sparse", "channels_last", "float64"])
def test_region_nss_is_brute_force(inner, size, layout):
    activations, owner = noise(3, 5, *inner), torch.tensor([2, 0, 2, 1])
    activations[:, 1] = 0.1  # dead units
    activations[:, 2] = activations[:, 2] * 0.01 + 1e3  # nearly constant
    fixations = some_fixations(4, size)
    there = brute_force(activations, fixations, owner)
    if layout == "channels_last":
        activations = activations.contiguous(memory_format=torch.channels_last)
    elif layout == "float64":
        activations = activations.double()
    scores = region_nss(
        activations, fixations.to_sparse() if layout == "sparse" else fixations, owner
    )
    torch.testing.assert_close(scores.double(), there, atol=1e-5, rtol=0)
    assert (scores[:, 1] == 0).all()


@pytest.mark.parametrize(("images", "inner"), [(4, (113, 151)), (9, (40, 71))])
def test_region_nss_of_maps_that_are_reduced_in_parts(images, inner):
    """A few units of one image at a time, or a few images; so too those that are far from zero."""
    activations, owner = noise(images, 30, *inner), torch.tensor([3, 0, images - 1, 3])
    activations[:, 5:25] = activations[:, 5:25] * 0.01 + 1e3
    assert activations[:, 5:25].numel() > CHUNK
    fixations = some_fixations(4, (225, 301))
    there = brute_force(activations, fixations, owner)
    scores = region_nss(activations, fixations, owner)
    torch.testing.assert_close(scores.double(), there, atol=1e-5, rtol=0)


def test_region_without_fixations_is_nan_and_nan_activations_are():
    activations, fixations = noise(1, 2, 5, 5), some_fixations(2, (20, 20))
    fixations[1] = 0
    activations[0, 1, 3, 3] = torch.nan
    scores = region_nss(activations, fixations, torch.tensor([0, 0]))
    assert scores.isnan().tolist() == [[False, True], [True, True]]


def test_region_nss_refuses_shapes_that_do_not_fit():
    activations, fixations = noise(2, 3, 5, 5), some_fixations(2, (20, 20))
    with pytest.raises(ValueError, match="activations must be"):
        region_nss(activations[0], fixations, torch.tensor([0, 0]))
    with pytest.raises(ValueError, match="owner"):
        region_nss(activations, fixations, torch.tensor([0]))
    with pytest.raises(IndexError, match="batch of 2"):
        region_nss(activations, fixations, torch.tensor([0, 2]))


ORACLES = paths.ROOT.parent / "shared" / "oracles"


@pytest.mark.skipif(not ORACLES.exists(), reason="shared/oracles is not here")
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_region_nss_matches_the_reference_loop(seed):
    spec = importlib.util.spec_from_file_location("loop", ORACLES / "reference_loop.py")
    loop = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loop)
    activations, fixations, labels = loop.demo_input(seed)
    inside = torch.tensor(np.stack([fixations * (labels == j) for j in range(1, 6)]))
    there = np.load(ORACLES / "reference_loop_scores.npz")[f"seed{seed}"]
    owner = torch.zeros(5, dtype=torch.long)
    off = region_nss(torch.tensor(activations)[None], inside, owner).numpy() - there
    # The reference stores maps in 8 bits, before and after enlarging: about 1/255 of a map's
    # range, 6 standard deviations, at a pixel, and less in the mean over a region's fixations.
    assert np.abs(off).max() < 6 / 255
    assert np.sqrt(np.square(off).mean()) < 4e-3
    assert abs(off.mean()) < 2e-4


class World:
    """Images whose red channel marks regions of the first category, with random others."""

    name, categories = "world", CATEGORIES

    def __init__(self, n=24, planted=True, sizes=((60, 80),), seed=0):
        self.n, self.planted, self.sizes, self.seed = n, planted, sizes, seed
        self.fingerprint = f"{n} {planted} {sizes} {seed}"
        self.read = []

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        self.read.append(i)
        random = np.random.default_rng((self.seed, i))
        height, width = self.sizes[i % len(self.sizes)]
        image = torch.from_numpy(random.integers(0, 80, (3, height, width), dtype=np.uint8))
        regions = []
        for c in range(3):
            x, y = random.uniform(0, width - 25), random.uniform(0, height - 25)
            corners = [[x, y], [x + 22, y], [x + 22, y + 22], [x, y + 22]]
            regions.append(Region(CATEGORIES[c], polygon=torch.tensor(corners), sure=c != 1))
            if c == 0 and self.planted:
                image[0, int(y) : int(y) + 22, int(x) : int(x) + 22] += 150
        x, y = random.uniform(0, width, 150), random.uniform(0, height, 150)
        fixations = Fixations.of(x, y)
        if i % 4 == 1:  # nobody looks at the second region
            missed = ~regions[1].as_mask(height, width)
            fixations = fixations[missed[fixations.y.long(), fixations.x.long()]]
        return Sample(f"{i:03}", image, fixations, regions)


class Pools(nn.Module):
    """A stand-in encoder: `fine` and `coarse` averages of the three colours, and a dead unit."""

    layers = ("fine", "coarse")
    fingerprint = "pools"

    def __init__(self):
        super().__init__()
        self.mode_seen = None

    def maps(self, images, layer):
        pooled = avg_pool2d(images, 4 if layer == "fine" else 12)
        return torch.cat([pooled, torch.full_like(pooled[:, :1], 0.1)], 1)

    def reduce(self, images, layers, reducer):
        self.mode_seen = self.training, torch.is_inference_mode_enabled()
        return {layer: reducer(layer, self.maps(images, layer)) for layer in layers}


SIZES = ((60, 80), (72, 60), (60, 80), (84, 84))


@pytest.mark.parametrize("size", [None, (48, 64)])
@pytest.mark.parametrize("permutations", [0, 5])
def test_dissect_is_region_nss_image_by_image(size, permutations):
    ds, enc = World(13, sizes=SIZES), Pools()
    res = dissect(enc, ds, size=size, batch=3, permutations=permutations, progress=False)
    assert res.layers == ["fine", "coarse"]
    row = 0
    for i in range(len(ds)):
        sample = ds[i]
        image = sample.image[None].float() / 255
        if size:
            image = interpolate(sample.image[None], size, mode="bilinear", antialias=True) / 255
        counts = sample.fixations.count_map(*sample.size)
        inside = torch.stack([counts * r.as_mask(*sample.size) for r in sample.regions])
        rows = slice(row, row := row + len(inside))
        assert res.regions["image"][rows].tolist() == [sample.name] * 3
        assert res.regions["category"][rows].tolist() == list(CATEGORIES[:3])
        assert res.regions["sure"][rows].tolist() == [True, False, True]
        assert res.regions["fixations"][rows].tolist() == inside.sum((1, 2)).tolist()
        for layer in res.layers:
            there = brute_force(enc.maps(image, layer), inside, torch.zeros(3, dtype=torch.long))
            torch.testing.assert_close(
                res.scores[layer][rows].double(), there, atol=1e-5, rtol=0, equal_nan=True
            )
    assert row == len(res.regions)


class Timed(World):
    """`World` whose fixations last as `seconds(n)` says."""

    def __init__(self, n, seconds):
        super().__init__(n)
        self.seconds = seconds

    def __getitem__(self, i):
        sample = super().__getitem__(i)
        looks = sample.fixations
        timed = replace(looks, duration=self.seconds(len(looks)))
        return replace(sample, fixations=timed)


def test_dissect_weighs_fixations_by_duration():
    ds, enc = Timed(5, lambda n: torch.linspace(0, 1, n, dtype=torch.float64) ** 2), Pools()
    res = dissect(enc, ds, weights="duration", batch=3, progress=False)
    for i in range(len(ds)):
        sample = ds[i]
        weighed = sample.fixations.count_map(*sample.size, weights="duration")
        inside = torch.stack([weighed * r.as_mask(*sample.size) for r in sample.regions])
        maps = enc.maps(sample.image[None].float() / 255, "fine")
        there = brute_force(maps, inside, torch.zeros(3, dtype=torch.long))
        here = res.scores["fine"][3 * i : 3 * i + 3].double()
        torch.testing.assert_close(here, there, atol=1e-5, rtol=0, equal_nan=True)
    assert not torch.equal(res.scores["fine"], dissect(enc, ds, progress=False).scores["fine"])


def test_dissect_by_equal_durations_is_dissect():
    ds = Timed(6, lambda n: torch.full((n,), 0.3, dtype=torch.float64))
    plain, timed = (
        dissect(Pools(), ds, weights=w, permutations=9, progress=False) for w in (None, "duration")
    )
    for layer in plain.layers:
        torch.testing.assert_close(
            plain.scores[layer], timed.scores[layer], atol=0, rtol=0, equal_nan=True
        )
        pd.testing.assert_frame_equal(plain.p_values(layer), timed.p_values(layer))


def test_fixations_that_last_no_time_are_not_counted():
    def seconds(n):
        return (torch.arange(n) % 2).double()

    whole = dissect(Pools(), World(6), progress=False)
    half = dissect(Pools(), Timed(6, seconds), weights="duration", progress=False)
    assert (half.regions["fixations"] < whole.regions["fixations"]).sum() > 6
    unseen = torch.tensor((half.regions["fixations"] == 0).tolist())
    assert torch.equal(half.scores["fine"].isnan().any(1), unseen)


class Unseen(World):
    """`World` where people look at regions in the images `seen` only, elsewhere beside them."""

    def __init__(self, n, seen):
        super().__init__(n)
        self.seen = seen

    def __getitem__(self, i):
        sample = super().__getitem__(i)
        looks = sample.fixations
        inside = torch.stack([r.as_mask(*sample.size) for r in sample.regions]).any(0)
        away = ~inside[looks.y.long(), looks.x.long()]
        return replace(sample, fixations=looks if i in self.seen else looks[away])


@pytest.mark.parametrize("permutations", [0, 3])
@pytest.mark.parametrize("seen", [(), (2,), (0, 1)])
def test_images_whose_regions_nobody_looked_at_change_nothing(seen, permutations):
    res = dissect(Pools(), Unseen(5, seen), batch=2, permutations=permutations, progress=False)
    own = dissect(Pools(), World(5), progress=False)
    fixated = torch.tensor((res.regions["fixations"] > 0).tolist())
    assert fixated.sum() == sum((own.regions["fixations"] > 0)[own.regions.image.isin(names(seen))])
    for layer in res.layers:
        assert res.scores[layer][~fixated].isnan().all()
        torch.testing.assert_close(res.scores[layer][fixated], own.scores[layer][fixated])


def names(numbers):
    return [f"{i:03}" for i in numbers]


def test_dissect_names_the_image_without_durations():
    with pytest.raises(ValueError, match=r"world/000: these fixations have no durations"):
        dissect(Pools(), World(2), weights="duration", progress=False)
    with pytest.raises(UnknownNameError, match="'time'"):
        dissect(Pools(), World(0), weights="time", progress=False)


def test_dissect_reads_each_image_once_and_leaves_the_mode():
    ds, enc = World(7), Pools().train()
    dissect(enc, ds, ["coarse"], batch=2, progress=False)
    assert sorted(ds.read) == list(range(7))
    assert enc.training
    assert enc.mode_seen == (False, True)


def test_dissect_refuses_what_it_cannot_do():
    with pytest.raises(UnknownNameError, match="'coarse'"):
        dissect(Pools(), World(2), ["coarsest"], progress=False)
    with pytest.raises(ValueError, match="'world' has no annotated regions"):
        dissect(Pools(), World(0), progress=False)
    with pytest.raises(ValueError, match="batch is 0"):
        dissect(Pools(), World(2), batch=0, progress=False)
    res = dissect(Pools(), World(2), progress=False)
    with pytest.raises(ValueError, match="permutations=1000"):
        res.p_values("fine")
    with pytest.raises(UnknownNameError, match="fine, coarse"):
        res.selectivity("fin")


def test_an_image_that_cannot_be_read_is_reported():
    class Broken(World):
        def __getitem__(self, i):
            if i == 5:
                raise ValueError("005.jpg cannot be read as an image")
            return super().__getitem__(i)

    with pytest.raises(ValueError, match=r"005\.jpg"):
        dissect(Pools(), Broken(9), batch=2, progress=False)


def test_selectivity_is_the_mean_over_fixated_regions():
    res = dissect(Pools(), World(12), progress=False)
    assert (res.regions["fixations"] == 0).any()  # or this tests nothing
    table = res.selectivity("coarse")
    assert table.shape == (12, 4)
    rows = (res.regions["category"] == CATEGORIES[1]).to_numpy()
    expected = np.nanmean(res.scores["coarse"].numpy()[rows], axis=0)
    np.testing.assert_allclose(table.loc[CATEGORIES[1]], expected, rtol=1e-5)
    assert table.loc["drink"].isna().all()
    part = res.subset(["003", "004"])
    assert part.regions["image"].unique().tolist() == ["003", "004"]
    assert len(part.scores["fine"]) == 6


def test_planted_unit_is_found_and_no_other():
    res = dissect(Pools(), World(48), permutations=400, progress=False, seed=3)
    p = res.p_values("fine")
    assert p.loc["person_head", 0] < 0.05
    raw = res.p_values("fine", adjust=False)
    assert raw.loc["person_head", 0] == pytest.approx(1 / 401)
    assert raw.loc["person_head", 3] == 1  # the dead unit ties with every shuffle
    assert p.loc["drink"].isna().all()
    others = p.drop(columns=0).loc[list(CATEGORIES[:3])]
    assert (others > 0.05).all(axis=None)
    assert res.selectivity("fine").loc["person_head", 0] > 1


def test_p_values_are_uniform_without_an_effect():
    null, random = Null(99, 3, seed=0), torch.Generator().manual_seed(5)
    units = 3000
    for _ in range(3):  # three batches of eight images with two regions each
        place = torch.randn(1, 16, units, generator=random)  # what the layout alone does to a unit
        scores = torch.randn(8, 16, units, generator=random) + 3 * place
        fixated = torch.rand(16, generator=random) > 0.2
        scores[:, ~fixated] = torch.nan
        null.shuffle(8)
        null.add(
            "a", scores, torch.arange(8).repeat_interleave(2), list(range(3)) * 5 + [0], fixated
        )
    greater, less = null.p_values("a")
    for p in (greater, less):
        for level in (0.05, 0.2, 0.5, 0.9):  # 9,000 tests: standard error at most 0.0053
            assert (p <= level).float().mean() == pytest.approx(level, abs=0.02)
    assert (adjusted(greater) <= 0.05).sum() <= 2


def test_saved_and_loaded_and_cached(tmp_path, monkeypatch):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path))
    ds = World(6)
    res = dissect_cached(Pools(), ds, permutations=9, progress=False)
    ds.read.clear()
    again = dissect_cached(Pools(), ds, permutations=9, progress=True)
    assert ds.read == []  # from the cache
    other = dissect_cached(Pools(), ds, permutations=8, progress=False)
    assert other.permutations == 8
    timed = Timed(6, lambda n: torch.linspace(0.1, 1, n, dtype=torch.float64))
    flat, weighed = (dissect_cached(Pools(), timed, weights=w) for w in (None, "duration"))
    assert not torch.equal(flat.scores["fine"], weighed.scores["fine"])
    res.save(tmp_path / "it.safetensors")
    for back in (again, Dissection.load(tmp_path / "it.safetensors")):
        pd.testing.assert_frame_equal(back.regions, res.regions)
        assert back.categories == res.categories
        pd.testing.assert_frame_equal(back.p_values("coarse"), res.p_values("coarse"))
        torch.testing.assert_close(back.scores, res.scores, equal_nan=True)
        assert len(change(res, back, "fine", n=10)) == 12


def test_networks_are_dissected_on_what_they_learn_from():
    ds, size = Blobs(6), (24, 30)
    learned = stimuli(ds, size).tensors["images"]
    for i in range(len(ds)):
        assert load_stimulus(ds, i, size).image.equal(learned[i].float() / 255)
        assert load_stimulus(ds, i, None).image.equal(ds.image(i).float() / 255)


def test_reading_ahead_keeps_the_order_and_hands_errors_on():
    assert list(read_ahead(lambda i: i * i, 20, ahead=3)) == [i * i for i in range(20)]
    found = read_ahead(lambda i: 1 // (5 - i), 10, ahead=2)
    assert [next(found) for _ in range(5)] == [0, 0, 0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(found)
