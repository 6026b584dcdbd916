"""Fixations per pixel, compared within images: brute force, and where the truth is known."""

import numpy as np
import pytest
from scipy.optimize import minimize

from saliencykit.intervals import resampled
from saliencykit.metrics.rates import rate_draws, rates


def made(images=40, truth=(4.0, 1.0, 0.5), seed=0, each=200):
    rng = np.random.default_rng(seed)
    area = rng.integers(0, 100, (images, len(truth))).astype(float) + (np.arange(len(truth)) == 1)
    chance = area * truth / (area @ truth)[:, None]
    return rng.multinomial(each, chance), area


def test_rates_are_the_most_likely():
    seen, area = made(each=5)

    def cost(logs):
        rate = np.exp(logs)
        return -(seen @ logs).sum() + (seen.sum(1) * np.log(area @ rate)).sum()

    best = np.exp(minimize(cost, np.zeros(3), tol=1e-10).x)
    assert rates(seen, area) == pytest.approx(best / best.mean(), rel=1e-3)


def test_rates_are_the_truth_whatever_else_images_hold():
    found = rates(*made(images=400))
    assert found == pytest.approx(np.array([4, 1, 0.5]) / np.mean([4, 1, 0.5]), rel=0.03)
    assert np.isnan(rates(*(np.pad(of, ((0, 0), (0, 1))) for of in made()))[3])


def test_rising_rates_rise_and_are_the_others_where_these_do():
    seen, area = made()
    backwards = rates(seen[:, ::-1], area[:, ::-1], rising=True)
    assert backwards == pytest.approx(rates(seen, area)[::-1], rel=1e-3)
    assert np.ptp(rates(seen, area, rising=True)) < 0.05  # the best that does not fall


def test_draws_are_rates_of_resampled_images():
    seen, area = made(images=20)
    rows = resampled(20, 3, 0)
    found = rate_draws(seen, area, n=3)
    for one, drawn in zip(rows, found, strict=True):
        assert drawn == pytest.approx(rates(seen[one], area[one]), rel=1e-4)
