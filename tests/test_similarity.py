"""CKA and unit-wise correlation from streamed sums, against Gram matrices built by brute force."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import avg_pool2d

from saliencykit.dissection import (
    similarities,
    similarities_cached,
    similarity,
    similarity_cached,
)
from saliencykit.dissection.similarity import (
    _Comparison,
    cka,
    correlations,
    hsic,
    hsic_unbiased,
    thinned,
)
from saliencykit.intervals import jackknife
from saliencykit.models import build_encoder
from saliencykit.registry import UnknownNameError
from tests.conftest import Blobs


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def summed(x, y):
    """The sum that is streamed, here of all examples at once."""
    x, y = (torch.cat([v, torch.ones(len(v), 1), v.square().sum(1, True)], 1) for v in (x, y))
    return x.T @ y


def gram_hsic(x, y):
    """(n - 1)⁻² tr(KHLH), with the matrices written out."""
    n = len(x)
    centring = torch.eye(n, dtype=x.dtype) - 1 / n
    return torch.trace(x @ x.T @ centring @ y @ y.T @ centring) / (n - 1) ** 2


def gram_hsic_unbiased(x, y):
    """Song et al. 2012, HSIC₁, with the matrices written out."""
    n, one = len(x), torch.ones(len(x), dtype=x.dtype)
    k, m = ((v @ v.T).fill_diagonal_(0) for v in (x, y))
    total = torch.trace(k @ m) + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
    return (total - 2 / (n - 2) * (one @ k @ m @ one)) / (n * (n - 3))


def from_gram(x, y, unbiased=False):
    h = gram_hsic_unbiased if unbiased else gram_hsic
    return (h(x, y) / (h(x, x) * h(y, y)).sqrt()).item()


def from_sums(x, y, unbiased=False):
    h = hsic_unbiased if unbiased else hsic
    return cka(h(summed(x, y)), h(summed(x, x)), h(summed(y, y))).item()


@pytest.mark.parametrize("unbiased", [False, True])
@given(st.integers(5, 60), st.integers(1, 9), st.integers(1, 9), st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_cka_is_the_gram_matrices_one(unbiased, n, c_x, c_y, seed):
    x = noise(n, c_x, seed=seed) + 3
    y = noise(n, c_y, seed=seed + 1) * 0.1 + x[:, :1] - 5
    assert from_sums(x, y, unbiased) == pytest.approx(from_gram(x, y, unbiased), abs=1e-8)


def test_hsic_unbiased_is_the_mean_over_quadruples_of_different_examples():
    x, y = noise(6, 2), noise(6, 3, seed=1)
    k, m = x @ x.T, y @ y.T
    of_four = [
        k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q])
        for i in range(6)
        for j in range(6)
        for q in range(6)
        for r in range(6)
        if len({i, j, q, r}) == 4
    ]
    assert hsic_unbiased(summed(x, y)).item() == pytest.approx(np.mean(of_four), abs=1e-10)


@pytest.mark.parametrize("unbiased", [False, True])
def test_cka_ignores_rotation_scale_and_shift_and_no_more(unbiased):
    x, y = noise(40, 6), noise(40, 5, seed=1)
    y[:, 0] += x[:, 0]
    rotation = torch.linalg.qr(noise(5, 5, seed=2)).Q
    value = from_sums(x, y, unbiased)
    assert from_sums(x, 7 * y @ rotation - 4, unbiased) == pytest.approx(value, abs=1e-8)
    assert from_sums(y, x, unbiased) == pytest.approx(value, abs=1e-12)
    assert from_sums(x, x @ noise(6, 6, seed=3), unbiased) < 0.95  # any linear map would be 1
    assert from_sums(y, 7 * y @ rotation - 4, unbiased) == pytest.approx(1, abs=1e-8)


def test_debiasing_takes_out_what_few_examples_put_in():
    pairs = [(noise(20, 100, seed=s), noise(20, 100, seed=s + 100)) for s in range(30)]
    plain = np.mean([from_sums(x, y) for x, y in pairs])
    debiased = [from_sums(x, y, unbiased=True) for x, y in pairs]
    assert plain > 0.8  # though nothing is shared
    assert abs(np.mean(debiased)) < 3 * np.std(debiased) / 30**0.5 < 0.06


def test_what_does_not_vary_has_no_similarity():
    x, still = noise(10, 3), torch.full((10, 3), 2.0).double()
    assert np.isnan(from_sums(x, 0 * still))
    r = correlations(*(summed(a, b) for a, b in ((x, 0 * x), (x, x), (0 * x, 0 * x))))
    assert r.isnan().all()
    assert hsic_unbiased(summed(x[:3], x[:3])).isnan()


class Mixed(nn.Module):
    """A stand-in encoder: pooled colours, mixed at random; the last unit is dead."""

    def __init__(self, seed=0, units=4, pool=8):
        super().__init__()
        self.layers, self.fingerprint = ["early", "late"], f"mixed {seed} {units} {pool}"
        self.units, self.pool, self.seed = units, pool, seed
        self.asked = []

    def maps(self, images, layer):
        pool = self.pool * (1 if layer == "early" else 2)
        weights = noise(self.units, 3, seed=self.seed + pool)
        mixed = torch.einsum("uc,bchw->buhw", weights, avg_pool2d(images.double(), pool)).tanh()
        mixed[:, -1] = 0.1
        return mixed

    def reduce(self, images, layers, reducer):
        self.asked.append(len(images))
        return {layer: reducer(layer, self.maps(images, layer)) for layer in layers}


def all_examples(enc, ds, layer, examples):
    images = torch.stack([ds.image(i) for i in range(len(ds))]).float() / 255
    maps = enc.maps(images, layer).double()
    x = maps.mean((2, 3)) if examples == "images" else maps.movedim(1, 3).flatten(0, 2)
    return x - x.mean(0)  # brute force is inexact far from zero; no measure sees a shift


@pytest.mark.parametrize("examples", ["positions", "images"])
def test_streamed_over_images_as_all_at_once(blobs, examples):
    a, b = Mixed(0, 4), Mixed(5, 4)
    found = similarity(a, b, blobs, examples=examples, batch=5, blocks=4, progress=False)
    assert set(found.table["first"]) == {"early", "late"}
    values = found.table.set_index(["first", "measure"])
    for layer in ("early", "late"):
        x, y = (all_examples(enc, blobs, layer, examples) for enc in (a, b))
        for measure, unbiased in (("cka", False), ("cka_debiased", True)):
            expected = from_gram(x, y, unbiased)
            assert values.loc[(layer, measure), "value"] == pytest.approx(expected, abs=1e-8)
        r = np.corrcoef(x[:, :-1].T, y[:, :-1].T)[:3, 3:].diagonal()
        np.testing.assert_allclose(found.units[layer][:-1], r, atol=1e-8)
        assert found.units[layer][-1].isnan()
        assert values.loc[(layer, "correlation"), "value"] == pytest.approx(r.mean(), abs=1e-8)


def test_intervals_leave_blocks_of_images_out(blobs):
    a, b = Mixed(0), Mixed(5)
    found = similarity(a, b, blobs, ["late"], blocks=4, progress=False)
    x, y = (all_examples(e, blobs, "late", "positions").view(12, -1, 4) for e in (a, b))
    left = [
        from_gram(*(v[torch.arange(12) % 4 != k].flatten(0, 1) for v in (x, y))) for k in range(4)
    ]
    value = torch.tensor([from_gram(x.flatten(0, 1), y.flatten(0, 1))])
    low, high = jackknife(value, torch.tensor(left)[:, None])
    row = found.table.iloc[0]
    assert (row["low"], row["high"]) == pytest.approx((low.item(), high.item()), abs=1e-6)


def test_a_network_equals_itself():
    encoder = build_encoder("toyvgg", None)
    found = similarity(encoder, encoder, Blobs(6), ["conv1_2", "conv3_3"], progress=False)
    np.testing.assert_allclose(found.table[["value", "low", "high"]], 1, atol=1e-9)


def test_layers_are_paired_at_will_and_networks_may_differ_in_width(blobs):
    found = similarity(
        Mixed(), Mixed(1, 6), blobs, [("early", "early"), ("early", "late")], examples="images"
    )
    assert found.table["measure"].tolist() == ["cka", "cka_debiased"] * 2
    assert not found.units
    with pytest.raises(ValueError, match=r"early and late have 48 and 12 .* examples='images'"):
        similarity(Mixed(), Mixed(), blobs, [("early", "late")], progress=False)


def test_what_cannot_be_compared_is_refused(blobs):
    with pytest.raises(UnknownNameError, match="'early'"):
        similarity(Mixed(), Mixed(), blobs, ["earlier"], progress=False)
    with pytest.raises(UnknownNameError, match="positions"):
        similarity(Mixed(), Mixed(), blobs, examples="position", progress=False)
    with pytest.raises(ValueError, match="blocks is 1"):
        similarity(Mixed(), Mixed(), blobs, blocks=1, progress=False)
    with pytest.raises(ValueError, match="nothing to compare"):
        similarity(Mixed(), Mixed(), Blobs(0), progress=False)
    with pytest.raises(ValueError, match="batch is 0"):
        similarity(Mixed(), Mixed(), blobs, batch=0, progress=False)


def test_memory_holds_sums_and_no_images():
    def held(n):
        run = _Comparison([("early", "late")], "images", blocks=3)
        for i in range(n):
            run.add(Mixed(), Mixed(1), noise(1, 3, 32, 32, seed=i).float(), [i])
        tensors = [*run.sums.values(), *run.origin.values()]
        assert set(vars(run)) == {"pairs", "examples", "blocks", "origin", "sums"}
        return sum(v.numel() for v in tensors)

    assert held(4) == held(40) == 3 * 3 * 6 * 6 + 2 * 4


def test_cached_reads_the_same(blobs):
    a, b = Mixed(0), Mixed(5)
    once = similarity_cached(a, b, blobs, blocks=3, progress=False)
    again = similarity_cached(a, b, blobs, blocks=3, progress=True)
    assert sum(a.asked) == len(blobs)  # one pass in all
    assert once.table.equals(again.table)
    torch.testing.assert_close(once.units, again.units, equal_nan=True)
    similarity_cached(a, Mixed(6), blobs, blocks=3, progress=False)
    assert sum(a.asked) == 2 * len(blobs)


def three():
    torch.manual_seed(0)
    return [build_encoder("toyvgg", None) for _ in range(3)]


def test_many_networks_are_compared_as_two_are(blobs):
    """Deep grids have fewer than `PLACES` places, so all of them are examples in both."""
    networks, layers = three(), ["conv4_1", "conv5_1"]
    found = similarities(networks, blobs, layers, blocks=4, size=(48, 64), progress=False)
    assert list(found) == layers
    for i, j in ((0, 1), (0, 2), (1, 2)):
        alone = similarity(
            networks[i], networks[j], blobs, layers, blocks=4, size=(48, 64), progress=False
        ).table.set_index(["first", "measure"])
        for layer, values in found.items():
            assert values.shape == (2, 5, 3, 3)
            for k, measure in enumerate(["cka_debiased", "correlation"]):
                row = alone.loc[layer, measure]
                assert values[k, 0, i, j].item() == pytest.approx(row["value"], abs=1e-7)
                low, high = jackknife(values[k, 0, i, j], values[k, 1:, i, j])
                assert low.item() == pytest.approx(row["low"], abs=1e-6)
                assert high.item() == pytest.approx(row["high"], abs=1e-6)
    assert torch.equal(values, values.mT)
    assert (values.diagonal(dim1=2, dim2=3) == 1).all()


def test_places_are_thinned_evenly():
    grid = torch.arange(60 * 80.0).view(1, 1, 60, 80)
    some = thinned(grid)[0, :, 0]
    assert 50 <= len(some) <= 80
    assert len({int(v) // 80 for v in some}) * len({int(v) % 80 for v in some}) == len(some)
    assert torch.equal(thinned(grid[..., :6, :8])[0, :, 0], grid[0, 0, :6, :8].flatten())


def test_many_networks_are_read_from_the_cache_by_what_they_are(blobs, monkeypatch, tmp_path):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path))
    networks, how = three(), {"blocks": 3, "size": (48, 64), "progress": False}
    once = similarities_cached(networks, blobs, ["conv2_1"], **how)
    again = similarities_cached(list(networks), blobs, ["conv2_1"], **how)
    assert torch.equal(once["conv2_1"], again["conv2_1"])
    turned = similarities_cached(networks[::-1], blobs, ["conv2_1"], **how)
    torch.testing.assert_close(turned["conv2_1"], once["conv2_1"].flip(2, 3))
    assert len(list(tmp_path.rglob("similarities/*.safetensors"))) == 2
