import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from saliencykit.metrics.upsampling import (
    moments,
    nss_upsampled,
    pull_back,
    pull_back_maps,
    upsampler,
)

SHAPES = [  # inner, outer: odd, whole and broken scales, stride 32, one cell, shrinking
    ((14, 14), (600, 800)),
    ((7, 9), (61, 83)),
    ((19, 25), (599, 797)),
    ((1, 5), (13, 17)),
    ((10, 13), (10, 13)),
    ((40, 31), (7, 11)),
]


def upsampled(maps, size):
    return interpolate(maps.double()[None], size, mode="bilinear", align_corners=False)[0]


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(st.integers(1, 40), st.integers(1, 90))
@settings(deadline=None, max_examples=60)
def test_upsampler_is_interpolate(n_in, n_out):
    row = noise(n_in, seed=n_in).double()
    there = interpolate(row.view(1, 1, 1, -1), (1, n_out), mode="bilinear").flatten()
    torch.testing.assert_close(upsampler(n_in, n_out) @ row, there, atol=1e-12, rtol=0)


def test_upsampler_refuses_an_empty_axis():
    with pytest.raises(ValueError, match="0 cells"):
        upsampler(0, 5)


@pytest.mark.parametrize(("inner", "size"), SHAPES)
@pytest.mark.parametrize("offset", [0.0, -300.0])
def test_moments_are_those_of_the_upsampled_maps(inner, size, offset):
    maps = noise(2, 4, *inner) + offset
    there = upsampled(maps.flatten(0, 1), size).view(2, 4, *size)
    mean, variance = moments(maps, size)
    torch.testing.assert_close(mean.double(), there.mean((-2, -1)), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(
        variance.double(), there.var((-2, -1), correction=0), atol=1e-9, rtol=1e-5
    )


@pytest.mark.parametrize(("inner", "size"), SHAPES)
def test_variance_of_constant_maps_is_exactly_zero(inner, size):
    values = torch.tensor([0.0, 0.1, -1e-20, 1 / 3, 12345.678, -1e6])
    mean, variance = moments(values[:, None, None].expand(-1, *inner), size)
    assert (variance == 0).all()
    torch.testing.assert_close(mean, values)


def test_variation_of_a_few_rounding_steps_is_variance():
    maps = 1e4 + 0.003 * noise(3, 75, 100)  # float32 steps there are 0.001
    _, variance = moments(maps, (300, 400))
    there = upsampled(maps - 1e4, (300, 400)).var((1, 2), correction=0)
    torch.testing.assert_close(variance.double(), there, atol=0, rtol=1e-5)
    maps = torch.full((1, 75, 100), 1e4)
    maps[0, 30, 40] += 0.001  # a single cell, a single step
    _, variance = moments(maps, (300, 400))
    there = upsampled(maps - 1e4, (300, 400)).var(correction=0)
    torch.testing.assert_close(variance[0].double(), there, atol=0, rtol=1e-4)


def test_variation_that_no_pixel_reads_is_not_variance():
    maps = torch.full((1, 9, 9), 0.1)
    maps[0, 0, 0] = 5  # 9 cells read at three pixels: cells 1, 4, 7
    assert moments(maps, (3, 3))[1] == 0


def test_moments_of_nan_are_nan():
    maps = noise(2, 5, 5)
    maps[1, 2, 2] = torch.nan
    mean, variance = moments(maps, (20, 20))
    assert mean.isnan().tolist() == variance.isnan().tolist() == [False, True]


@pytest.mark.parametrize(("inner", "size"), SHAPES)
def test_pulled_back_fixations_read_the_upsampled_map(inner, size):
    random = torch.Generator().manual_seed(1)
    x, y = (torch.rand(50, generator=random) * end for end in (size[1], size[0]))
    owner = torch.randint(0, 3, (50,), generator=random)
    weight = torch.rand(50, generator=random)
    a_map = noise(1, *inner)
    values = upsampled(a_map, size)[0][y.long(), x.long()] * weight
    there = torch.zeros(3, dtype=torch.float64).index_add_(0, owner, values)
    pulled = pull_back(x, y, weight, owner, 3, size, inner)
    torch.testing.assert_close((pulled * a_map).sum((1, 2)).double(), there, atol=1e-5, rtol=0)


def test_dense_and_sparse_count_maps_are_pulled_back_alike():
    counts = torch.zeros(2, 13, 17)
    counts[0, 3, 4], counts[0, 12, 16], counts[1, 0, 0] = 2, 1, 3
    y, x = torch.tensor([3, 12, 0]), torch.tensor([4, 16, 0])
    weight, owner = torch.tensor([2.0, 1, 3]), torch.tensor([0, 0, 1])
    direct = pull_back(x, y, weight, owner, 2, (13, 17), (5, 4))
    torch.testing.assert_close(pull_back_maps(counts, (5, 4)), direct)
    torch.testing.assert_close(pull_back_maps(counts.to_sparse(), (5, 4)), direct)
    torch.testing.assert_close(direct.sum((1, 2)), torch.tensor([3.0, 3]))


@pytest.mark.parametrize(("x", "y", "owner"), [(17.0, 0, 0), (0, -0.5, 0), (0, 0, 2)])
def test_fixations_outside_are_refused(x, y, owner):
    where = (torch.tensor([float(v)]) for v in (x, y, 1))
    with pytest.raises(IndexError, match="it must lie in 0 …"):
        pull_back(*where, torch.tensor([owner]), 2, (13, 17), (5, 4))


def fixated(n, size, inner, per_map=6):
    random = torch.Generator().manual_seed(2)
    x, y = (torch.rand(n * per_map, generator=random) * end for end in (size[1], size[0]))
    owner = torch.arange(n).repeat_interleave(per_map)
    pulled = pull_back(x, y, torch.ones(len(x)), owner, n, size, inner)
    return x.long().view(n, -1), y.long().view(n, -1), pulled, torch.full((n,), float(per_map))


@pytest.mark.parametrize(("inner", "size"), SHAPES)
def test_nss_is_that_of_the_upsampled_map(inner, size):
    maps = noise(3, *inner)
    x, y, pulled, count = fixated(3, size, inner)
    big = upsampled(maps, size)
    z = (big - big.mean((1, 2), keepdim=True)) / big.std((1, 2), correction=0, keepdim=True)
    there = torch.stack([z[i, y[i], x[i]].mean() for i in range(3)])
    score = nss_upsampled(maps, pulled, count, size)
    torch.testing.assert_close(score.double(), there, atol=1e-5, rtol=0)


def test_nss_gradient():
    maps = noise(3, 5, 4).double().requires_grad_()
    _, _, pulled, count = fixated(3, (11, 10), (5, 4))
    assert torch.autograd.gradcheck(
        lambda m: nss_upsampled(m, pulled.double(), count, (11, 10)), maps
    )


def test_nss_of_a_constant_map_is_zero_with_zero_gradient_and_without_fixations_nan():
    maps = torch.full((2, 5, 4), 0.1, requires_grad=True)
    _, _, pulled, count = fixated(2, (11, 10), (5, 4))
    score = nss_upsampled(maps, pulled, count, (11, 10))
    assert score.tolist() == [0, 0]
    score.sum().backward()
    assert (maps.grad == 0).all()
    empty = nss_upsampled(noise(2, 5, 4), torch.zeros(2, 5, 4), torch.tensor([0.0, 0]), (11, 10))
    assert empty.isnan().all()


def test_gradients_after_the_same_sizes_were_seen_in_inference_mode():
    size, inner = (23, 29), (6, 7)  # of no other test: nothing is remembered yet
    with torch.inference_mode():
        moments(noise(1, *inner), size)
    maps = noise(1, *inner).requires_grad_()
    moments(maps, size)[1].sum().backward()
    assert maps.grad.abs().sum() > 0
