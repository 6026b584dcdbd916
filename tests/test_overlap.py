"""IoU of units and categories, against masks and maps written out in full."""

import pytest
import torch
from scipy.stats import spearmanr
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate

from saliencykit.datasets import Region
from saliencykit.dissection import (
    dissect,
    overlap,
    overlap_cached,
)
from saliencykit.dissection.overlap import Top, cell_shares, coverage, on_grid
from saliencykit.models import upsample
from saliencykit.registry import UnknownNameError
from tests.conftest import Blobs


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Units(nn.Module):
    """Four units: bright, dark, noise, dead; `fine` at stride 4 and `coarse` at stride 16."""

    layers, fingerprint = ("fine", "coarse"), "units"

    def __init__(self):
        super().__init__()
        self.seen = 0

    def maps(self, images, layer):
        grey = avg_pool2d(images.mean(1, keepdim=True), 4 if layer == "fine" else 16)
        wild = (grey * 1e4).sin()
        return torch.cat([grey, -grey, wild, torch.full_like(grey, 0.3)], 1)

    def reduce(self, images, layers, reducer):
        self.seen += len(images)
        return {layer: reducer(layer, self.maps(images, layer)) for layer in layers}


def in_full(enc, ds, layer, quantile, size=(48, 64)):
    """Thresholds over all cells; cut maps enlarged to the image; masks in full resolution."""
    images = torch.stack([ds.image(i) for i in range(len(ds))]).float() / 255
    maps = interpolate(
        enc.maps(images, layer), (size[0] // 8, size[1] // 8), mode="bilinear", antialias=True
    )
    cells = maps.movedim(1, 0).flatten(1)
    kth = cells.shape[1] - int(quantile * cells.shape[1])
    threshold = cells.kthvalue(kth, dim=1).values
    cut = (maps > threshold[:, None, None]).repeat_interleave(8, 2).repeat_interleave(8, 3)
    iou = torch.full((len(ds.categories), maps.shape[1]), torch.nan)
    for k, category in enumerate(ds.categories):
        mask = torch.stack(
            [
                torch.stack([r.as_mask(*size) for r in ds.regions(i) if r.category == category])
                .any(0)[None]
                .expand_as(cut[0])
                for i in range(len(ds))
            ]
        )
        both, either = (mask & cut).sum((0, 2, 3)), (mask | cut).sum((0, 2, 3))
        iou[k] = both / either
    return threshold, iou, cut


@pytest.mark.parametrize("quantile", [0.02, 0.1])
def test_overlap_is_the_full_resolution_one(blobs, quantile):
    enc = Units()
    found = overlap(enc, blobs, size=(48, 64), quantile=quantile, batch=5, progress=False)
    assert found.categories == ("bright", "dark")
    for layer in enc.layers:
        threshold, iou, cut = in_full(enc, blobs, layer, quantile)
        torch.testing.assert_close(found.threshold[layer], threshold)
        torch.testing.assert_close(found.iou[layer], iou, atol=1e-6, rtol=0)
        share = cut.float().mean((0, 2, 3))
        assert (share[:3] <= quantile).all()
        assert (share[:3] > quantile - 2 / (len(blobs) * 48)).all()
        assert share[3] == 0  # a dead unit is active nowhere
    assert enc.seen == 2 * len(blobs)


def test_labels_are_where_the_units_are_active(blobs):
    best = overlap(Units(), blobs, size=(48, 64), quantile=0.05, progress=False).best("fine")
    assert best["unit"].tolist() == [0, 1, 2]  # the dead one meets nothing
    assert best.loc[0, "category"] == "bright"
    assert best.loc[1, "category"] == "dark"
    assert (best["iou"] > 0).all()


def test_category_without_regions_is_nan(blobs):
    class More(Blobs):
        categories = ("bright", "dark", "missing")

    found = overlap(Units(), More(), ["fine"], size=(48, 64), progress=False)
    assert found.of("fine").loc["missing"].isna().all()
    assert found.of("fine").loc["bright"].notna().all()
    assert "missing" not in set(found.best("fine")["category"])


@pytest.mark.parametrize(("pixels", "cells"), [(48, 6), (50, 7), (7, 7), (5, 9)])
def test_shares_are_exact_areas(pixels, cells):
    fine = torch.eye(pixels).repeat_interleave(cells, 1)  # each pixel in `cells` slices
    expected = fine.view(pixels, cells, pixels).mean(2).T
    torch.testing.assert_close(cell_shares(pixels, cells), expected)
    torch.testing.assert_close(cell_shares(pixels, cells).sum(1), torch.ones(cells))


def test_coverage_counts_overlapping_regions_once_and_small_ones_at_all():
    box = torch.zeros(30, 50, dtype=torch.bool)
    box[3:5, 7:9] = True
    wide = torch.zeros(30, 50, dtype=torch.bool)
    wide[:, :25] = True
    regions = [Region("a", mask=box), Region("b", mask=wide), Region("b", mask=box | wide)]
    found = coverage(regions, ("a", "b", "c"), (30, 50), (4, 6))
    area = 30 * 50 / 24
    assert found[0].sum().item() * area == pytest.approx(4, abs=1e-4)
    assert found[1].sum().item() * area == pytest.approx(750, abs=1e-2)
    assert found.max() <= 1 + 1e-6
    assert not found[2].any()


def test_maps_are_brought_to_the_grid_bilinearly():
    maps = noise(2, 3, 5, 7)
    torch.testing.assert_close(on_grid(maps, (11, 20)), upsample(maps, (11, 20)))
    assert on_grid(maps, (5, 7)).equal(maps)
    even = noise(1, 1, 24, 32)
    assert on_grid(even, (6, 8)).std() < upsample(even, (6, 8)).std()  # antialiased


def test_top_is_exact_whatever_the_batches_and_keeps_no_more():
    values = noise(7, 4, 3, 5)
    values[:, 1] = 2.0  # ties
    for parts in (1, 3, 7):
        top = Top(9)
        for part in values.split(parts):
            top.add("a", part)
            assert top.values["a"].shape[1] <= 9
        ordered = values.movedim(1, 0).flatten(1).sort(descending=True).values
        assert top.smallest("a").equal(ordered[:, 8])


def test_cached_reads_the_same(blobs):
    enc = Units()
    once = overlap_cached(enc, blobs, size=(48, 64), progress=False)
    again = overlap_cached(enc, blobs, size=(48, 64), progress=True)
    assert enc.seen == 2 * len(blobs)
    for layer in enc.layers:
        assert once.iou[layer].equal(again.iou[layer])
        assert once.threshold[layer].equal(again.threshold[layer])
    assert again.categories == ("bright", "dark")


def test_what_cannot_be_overlapped_is_refused(blobs):
    class Bare(Blobs):
        def regions(self, i):
            return []

    with pytest.raises(UnknownNameError, match="'coarse'"):
        overlap(Units(), blobs, ["coars"], size=(48, 64), progress=False)
    with pytest.raises(ValueError, match="quantile is 0"):
        overlap(Units(), blobs, size=(48, 64), quantile=0, progress=False)
    with pytest.raises(ValueError, match="no annotated regions"):
        overlap(Units(), Bare(), size=(48, 64), progress=False)
    with pytest.raises(ValueError, match="no annotated regions"):
        overlap(Units(), Blobs(0), size=(48, 64), progress=False)
    found = overlap(Units(), blobs, ["fine"], size=(48, 64), progress=False)
    with pytest.raises(UnknownNameError, match="fine"):
        found.of("coarse")


def test_both_measures_agree_on_units_that_are_plain(blobs):
    over = overlap(Units(), blobs, size=(48, 64), quantile=0.05, progress=False)
    res = dissect(Units(), blobs, size=(48, 64), progress=False)
    ious, selectivity = (
        table.loc["bright"] for table in (over.of("fine"), res.selectivity("fine"))
    )
    assert spearmanr(ious, selectivity).statistic > 0
