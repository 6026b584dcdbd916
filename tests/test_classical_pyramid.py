"""What GBVS and Itti–Koch share, against brute force: pyramid, resizing, borders, features."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate, pad

from saliencykit.models.classical import channels, dkl, pyramid

quick = settings(max_examples=25, deadline=None)


def close(ours, theirs, atol):
    torch.testing.assert_close(ours.double(), theirs, atol=atol, rtol=0)


@given(st.integers(11, 40))
@quick
def test_halving_is_a_normalised_binomial_filter(n):
    row, weights = torch.rand(n), [1, 5, 10, 10, 5, 1]
    ours = pyramid.halve(pad(row, (2, 2)))
    assert len(ours) == n // 2
    for i, value in enumerate(ours):
        taps = [(weights[k], row[2 * i - 2 + k]) for k in range(6) if 0 <= 2 * i - 2 + k < n]
        expected = sum(w * x for w, x in taps) / sum(w for w, _ in taps)
        assert value == pytest.approx(float(expected), abs=1e-6)


def test_uniform_areas_stay_uniform_to_the_bit():
    grey = torch.arange(256)[:, None, None, None].expand(-1, 3, 45, 31) / 255
    for level in pyramid.pyramid(grey, 4):
        assert torch.equal(level, grey[:, :1, :1, :1].expand_as(level))


def test_the_pyramid_ends_at_ten_pixels():
    sizes = [tuple(x.shape) for x in pyramid.pyramid(torch.rand(2, 3, 47, 90), 4)]
    assert sizes == [(2, 4, 47, 90), (2, 4, 23, 45), (2, 4, 11, 22), (2, 4, 5, 11), (2, 4, 5, 11)]


@given(st.integers(1, 60), st.integers(1, 60))
@quick
def test_resampling_keeps_constants_and_mirrors(old, new):
    matrix = pyramid.resampling(old, new)
    torch.testing.assert_close(matrix.sum(1), torch.ones(new).double())
    torch.testing.assert_close(matrix, matrix.flip(0, 1), atol=1e-9, rtol=0)
    if old == new:
        torch.testing.assert_close(matrix, torch.eye(new).double())


@pytest.mark.parametrize("size", [(24, 32), (150, 61), (70, 20)])
def test_resize_is_antialiased_bicubic_away_from_borders(size):
    maps = torch.rand(1, 1, 70, 50, dtype=torch.float64)
    theirs = interpolate(maps, size, mode="bicubic", antialias=True)
    y, x = (2 + 2 * max(1, round(n / m)) for n, m in zip(size, (70, 50), strict=True))
    inside = (..., slice(y, -y), slice(x, -x))
    torch.testing.assert_close(pyramid.resize(maps, size)[inside], theirs[inside])


def test_borders_are_attenuated_linearly():
    ours = pyramid.attenuate_borders(torch.ones(2, 12, 9, dtype=torch.float64), 4)
    ramp = torch.tensor([1, 2, 3, 4, 5, 4, 3, 2, 1]).double() / 5
    close(ours[0, 6], ramp, atol=1e-15)
    rows = torch.tensor([1, 2, 3, 4, 5, 5, 5, 5, 4, 3, 2, 1]).double() / 5
    close(ours[1, :, 4], rows, atol=1e-15)
    close(ours[0, 1], 0.4 * ramp, atol=1e-15)
    thin = torch.rand(1, 7)
    assert torch.equal(pyramid.attenuate_borders(thin, 4), thin)


def test_convolution_is_direct_convolution():
    maps, filters = torch.rand(2, 1, 9, 14).double(), torch.randn(3, 5, 5).double()
    padded = pad(maps, [2] * 4, mode="replicate")
    direct = torch.conv2d(padded, filters.flip(-1, -2)[:, None])
    torch.testing.assert_close(channels.convolve(maps, filters), direct)


def test_the_monitors_light_grows_to_one_with_five_digits():
    light = dkl.response()
    assert light.shape == (256, 3)
    assert (np.diff(light, axis=0) > 0).all()
    assert (light[-1] == 1).all()
    assert light[8] == pytest.approx([0.025442, 0.0081443, 0.042731], abs=1e-12)


def test_grey_levels_are_shown_as_they_are_but_white():
    k = torch.arange(256)
    colours = dkl.dkl_colour((k / 255).expand(1, 3, 1, -1))[0, :, 0]
    between = dkl.dkl_colour(((k[:-1] + 0.5) / 255).expand(1, 3, 1, -1))[0, :, 0]
    assert torch.equal(between, colours[:, :-1])
    assert torch.equal(colours[:, 255], colours[:, 254])
    assert (colours[0, :-1].diff() > 0).all()
