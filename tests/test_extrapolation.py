"""The power law over numbers of observers: known curves, its interval, and what it cannot tell."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

from saliencykit.metrics import limits, power_law

N = np.array([1, 2, 3, 5, 8, 14])


def curves(limit=2.0, scale=0.8, exponent=0.9, images=60, noise=0.0, seed=0):
    random = np.random.default_rng(seed)
    level = limit + 0.1 * random.normal(size=(images, 1))
    return level - scale * N**-exponent + noise * random.normal(size=(images, len(N)))


@pytest.mark.parametrize("exponent", [0.2, 0.9, 2.0])
def test_a_power_law_is_found_again(exponent):
    scores = curves(exponent=exponent)
    law = power_law(N, scores)
    assert law.limit == pytest.approx(scores.mean(0)[-1] + 0.8 * 14.0**-exponent, abs=1e-2)
    assert law.exponent == pytest.approx(exponent, rel=2e-3)
    assert law.scale == pytest.approx(0.8, rel=1e-2)
    np.testing.assert_allclose(law(N), scores.mean(0), atol=3e-4)
    assert law.determined


def test_equals_a_general_least_squares_fit():
    mean = curves(noise=0.05).mean(0)
    law = power_law(N, np.stack([mean, mean]))
    best, _ = curve_fit(lambda n, s, a, b: s - a * n**-b, N.astype(float), mean, (mean[-1], 1, 1))
    assert (law.limit, law.scale, law.exponent) == pytest.approx(tuple(best), rel=5e-3)


def test_the_interval_covers_the_limit():
    covered = 0
    for seed in range(60):
        law = power_law(N, curves(noise=0.03, seed=seed), resamples=200)
        covered += law.low <= 2.0 <= law.high
    assert covered >= 50  # 95 % nominal


def test_what_is_not_determined_says_so():
    assert power_law(N, curves(noise=0.02)).determined
    logarithm = np.log(N) + 0.1 * np.random.default_rng(0).normal(size=(40, 1))
    assert not power_law(N, logarithm).determined  # climbs for ever
    assert not power_law(N, curves(scale=0.0, noise=0.3)).determined  # does not climb
    assert not power_law(N[:3], curves()[:, :3]).determined  # three points for three unknowns
    for nothing in (power_law(N[:2], curves()[:, :2]), power_law(N, curves() * np.nan)):
        assert np.isnan(nothing.limit)
        assert not nothing.determined


def test_images_share_the_exponent_and_average_to_the_limit():
    scores = curves(noise=0.02)
    scores[3, 2] = np.nan
    law = power_law(N, scores)
    each = limits(N, scores, law)
    assert np.isnan(each[3])
    assert np.nanmean(each) == pytest.approx(law.limit, rel=1e-9)
    exact = curves()
    found = limits(N, exact, power_law(N, exact))
    np.testing.assert_allclose(found, exact[:, -1] + 0.8 * 14.0**-0.9, atol=2e-3)


def test_seeded():
    scores = curves(noise=0.05)
    assert power_law(N, scores) == power_law(N, scores)
    assert power_law(N, scores, seed=1).low != power_law(N, scores).low
