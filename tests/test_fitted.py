"""Densities fitted to saliency maps: what was planted is found, and nothing gets worse by it."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from saliencykit import metrics
from saliencykit.datasets import Fixations
from saliencykit.evaluation import (
    FITTED_METRICS,
    Kind,
    Predictor,
    evaluate,
    evaluate_fitted,
    fitted_to,
    prior_maps,
)
from saliencykit.evaluation.fitted import ASKED, maps_asked
from saliencykit.models import CentrePrior, Fitted, fit
from saliencykit.models.fitted import RISES, SIDE, grid_of, log_prior, z_scored
from tests.conftest import Blobs

SIZE = (36, 48)
PRIOR = CentrePrior(0.5, 0.5, 0.2, 0.25)


class Drawn(Blobs):
    """Images whose fixations are drawn from given densities (n, H, W)."""

    def __init__(self, densities, looks=300):
        super().__init__(len(densities), tuple(densities.shape[-2:]))
        self.densities, self.looks = densities, looks

    def fixations(self, i):
        own = int(self.names[i][1:])
        rng = np.random.default_rng(own)
        p = self.densities[own].double().flatten().numpy()
        y, x = np.divmod(rng.choice(len(p), self.looks, p=p / p.sum()), self.shape[1])
        return Fixations.of(x + 0.5, y + 0.5, np.arange(self.looks) % 5)


def smooth(n=12, size=SIZE, seed=0):
    """Maps of blobs, of any scale."""
    noise = np.random.default_rng(seed).normal(size=(n, *size))
    maps = np.stack([gaussian_filter(one, 2.5) for one in noise])
    return torch.from_numpy(maps * 7 + 3).float()


def planted(maps, rise, power):
    """The densities exp(rise(z)) · prior^power, z the z-scored maps."""
    z = (maps - maps.mean((1, 2), keepdim=True)) / maps.std((1, 2), keepdim=True, correction=0)
    log = torch.from_numpy(rise(z.double().numpy())) + power * log_prior(PRIOR, maps.shape[1:])
    return log.flatten(1).softmax(1).view(maps.shape)


def likelihood(densities, data):
    """Mean log density of a fixation, image by image, as it is defined."""
    told = []
    for i, density in enumerate(densities):
        seen = data.fixations(i)
        told.append(density[seen.y.long(), seen.x.long()].log().mean().item())
    return float(np.mean(told))


@pytest.mark.parametrize("power", [0.0, 1.0, 0.4])
def test_a_planted_rise_and_centre_bias_are_recovered(power):
    maps = smooth()
    truth = planted(maps, lambda z: 2 * np.tanh(z), power)
    data = Drawn(truth, looks=2000)
    found = fit(maps, data, PRIOR)
    assert found.power == pytest.approx(power, abs=0.1)
    assert found.blur <= 0.02  # it was not blurred; within a cell it does not matter
    at = np.linspace(-1.5, 1.5, 13)
    rise = np.interp(at, found.knots, found.heights)
    apart = rise - 2 * np.tanh(at)
    assert np.abs(apart - apart.mean()).max() < 0.3
    for i in range(3):
        own = found.density(maps[i], SIZE)
        assert 0.5 * (own - truth[i]).abs().sum() < 0.06  # total variation


def test_a_planted_blur_is_recovered():
    sharp = torch.from_numpy(np.random.default_rng(0).normal(size=(12, *SIZE))).float()
    for blur in (0.02, 0.04, 0.08):
        blurred = torch.stack([z_scored(one, SIZE, blur) for one in sharp])
        data = Drawn(planted(blurred, lambda z: 1.5 * z, 0.5), looks=1000)
        assert fit(sharp, data, PRIOR).blur == blur


def test_no_map_is_worse_than_the_prior_alone_or_than_itself_to_any_power():
    """On its training images, whatever the map is worth."""
    data = Drawn(planted(smooth(seed=1), lambda z: 1.5 * z, 0.6), looks=60)
    prior = planted(smooth(), lambda z: 0 * z, 1.0)
    maps = {"of nothing": smooth(), "of the truth": smooth(seed=1), "turned": -smooth(seed=1)}
    for one in maps.values():
        found = fit(one, data, PRIOR)
        own = likelihood([found.density(m, SIZE) for m in one], data)
        assert own >= likelihood(prior, data) - 1e-9
        gained = (own - likelihood(prior, data)) / np.log(2)
        assert found.gain == pytest.approx(gained, abs=1e-6)
        for power in (0.3, 1.0, 2.0):
            for bias in (0.0, 1.0):
                itself = planted(one, lambda z, power=power: power * z, bias)
                assert own >= likelihood(itself, data) - 0.02  # the ridge's price
    assert found.heights[-1] < 0.1  # turned, it can only be flat


def test_no_other_rise_power_or_blur_is_likelier():
    """It is the maximum: steps away from it in any direction cost likelihood."""
    maps = smooth()
    data = Drawn(planted(maps, np.sin, 0.5), looks=400)
    found = fit(maps, data, PRIOR)

    def likely(one):
        return likelihood([one.density(m, SIZE) for m in maps], data)

    rng, best = np.random.default_rng(0), likely(found)
    for _ in range(20):
        rises = np.maximum(0, np.diff(found.heights) + rng.normal(0, 0.1, len(found.knots) - 1))
        other = dataclasses.replace(
            found,
            heights=(0.0, *np.cumsum(rises)),
            power=found.power + rng.normal(0, 0.05),
        )
        assert likely(other) < best + 1e-3 * np.square(np.diff(found.heights)).sum()


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000), st.sampled_from([(36, 48), (30, 91), (120, 50)]))
def test_densities_sum_to_one_rise_and_are_what_the_definition_says(seed, size):
    maps = smooth(4, size, seed)
    found = fit(maps, Drawn(planted(maps, lambda z: z, 1.0), looks=50), PRIOR)
    assert (np.diff(found.knots) > 0).all()
    assert (np.diff(found.heights) >= 0).all()
    assert len(found.knots) <= RISES + 1
    density = found.density(maps[0], size)
    assert density.sum().item() == pytest.approx(1)
    assert (density > 0).all()
    assert max(grid_of(size)) == min(SIDE, max(size))
    flat = dataclasses.replace(found, power=0.0)
    z = z_scored(maps[0], size, found.blur)
    if z.shape == size:  # on its own grid, pixel by pixel
        f = np.exp(np.interp(z.numpy(), found.knots, found.heights))
        assert flat.density(maps[0], size).numpy() == pytest.approx(f / f.sum(), rel=1e-9)


def test_scale_and_offset_of_a_map_do_not_matter_nor_does_its_size():
    maps = smooth()
    data = Drawn(planted(maps, lambda z: z, 1.0))
    found = fit(maps, data, PRIOR)
    again = fit(maps * 50 - 900, data, PRIOR)
    assert again.heights == pytest.approx(found.heights, abs=1e-3)
    large = maps.repeat_interleave(3, 1).repeat_interleave(3, 2)
    assert torch.allclose(z_scored(large[0], SIZE, 0.02), z_scored(maps[0], SIZE, 0.02), atol=1e-5)


def test_a_constant_map_is_the_prior_and_images_that_nobody_saw_do_not_count():
    data = Blobs(12)  # nobody looked at the last
    found = fit([torch.ones(48, 64)] * 12, data, PRIOR)
    assert len(set(found.heights)) == 1
    few = fit([torch.ones(48, 64)] * 11, data.subset(data.names[:11]), PRIOR)
    assert few == found
    with pytest.raises(ValueError, match="no fixations to fit"):
        fit([torch.ones(48, 64)], data.subset(["b11"]), PRIOR)


def test_what_is_fitted_on_a_grid_holds_at_the_image_s_own_size():
    size = (144, 192)
    maps = torch.stack([torch.from_numpy(gaussian_filter(one, 8)) for one in
                        np.random.default_rng(3).normal(size=(6, *size))])  # fmt: skip
    data = Drawn(planted(maps, lambda z: 1.5 * z, 0.5), looks=400)
    found = fit(maps, data, PRIOR)
    own = likelihood([found.density(m, size) for m in maps], data)
    prior = likelihood(planted(maps, lambda z: 0 * z, 1.0), data)
    assert (own - prior) / np.log(2) == pytest.approx(found.gain, rel=0.02)


def test_each_metric_gets_the_map_that_would_score_best_if_the_density_were_true():
    """Over draws from a density, none of several maps beats the one that a metric asks for."""
    maps = smooth(1)
    found = Fitted(0.0, (-2.0, 2.0), (0.0, 4.0), 1.0, PRIOR, 0.0)
    asked = maps_asked(found, maps[0], SIZE)
    p, prior = asked["density"], PRIOR.map(SIZE).double()
    assert torch.allclose(asked["beyond the prior"] * prior, p)
    assert torch.allclose(asked["blurred"], metrics.density(p))
    rng = np.random.default_rng(0)
    counts = torch.from_numpy(rng.multinomial(40, p.flatten().numpy(), 200)).view(200, *SIZE)
    other = torch.from_numpy(rng.multinomial(900, (prior / prior.sum()).flatten().numpy(), 200))
    truth = {
        "fixations": counts,
        "density": metrics.density(counts.double()),
        "baseline": prior,
        "other": other.view(200, *SIZE),
    }
    rivals = [p**0.5, p**2, p + p.mean(), asked["blurred"], asked["beyond the prior"], p]
    for kind, names in ASKED.items():
        for name in set(names) - {"sim", "emd"}:  # whose best maps are not known
            better = metrics.METRICS[name].better == "higher"

            def mean(one, name=name):
                given = {"baseline": prior.expand(200, -1, -1)}
                return metrics.METRICS[name](one.expand(200, -1, -1), truth | given).mean().item()

            own = mean(asked[kind])
            for rival in rivals:
                assert (own - mean(rival)) * (1 if better else -1) >= -2e-3


def test_fitted_scores_are_those_of_the_maps_asked(blobs):
    learned, data = blobs.subset(blobs.names[:6]), blobs.subset(blobs.names[6:])
    saliency = {d: lambda i, d=d: d.image(i)[0].float() for d in (learned, data)}
    model = {d: Predictor(of, {"test": "fitted"}, Kind.CLASSICAL) for d, of in saliency.items()}
    found = fitted_to(model[learned], learned, PRIOR)
    assert found == fit([saliency[learned](i) for i in range(6)], learned, PRIOR)
    scores = evaluate_fitted({"m": model[data]}, {"m": found}, data, PRIOR)
    assert scores.kinds == {"m": Kind.CLASSICAL}
    assert set(scores.scores["metric"]) == set(FITTED_METRICS)
    shown = evaluate({"m": model[data]}, data, prior=PRIOR).shown["m"]
    asked = maps_asked(found, shown[2], (48, 64))
    counts = data.fixations(2).inside(48, 64).count_map(48, 64)
    for name, kind in (("nss", "density"), ("cc", "blurred")):
        seen = counts if name == "nss" else metrics.density(counts)
        expected = getattr(metrics, name)(asked[kind], seen).item()
        assert scores.score("m", data.names[2], name) == pytest.approx(expected, rel=1e-5)


def test_the_prior_s_own_density_is_the_prior(blobs):
    """It gains nothing over itself, however it is fitted, but what training images say of it."""
    prior = CentrePrior.fit(blobs)
    found = fitted_to(prior_maps(prior, blobs), blobs, prior)
    assert 0 <= found.gain < 0.2
