"""Densities read off frozen layers: what was planted is found, nothing where nothing is."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize

from saliencykit import models
from saliencykit.datasets import Fixations
from saliencykit.evaluation import fixation_gains, looks, observer_curve, read_layers
from saliencykit.evaluation.bits import _shares, bits_of
from saliencykit.evaluation.people import BLURS, WEIGHTS, _each
from saliencykit.intervals import interval
from saliencykit.metrics import InformationGain, leave_one_out
from saliencykit.models import CentrePrior, loglinear
from saliencykit.models.fitted import log_prior
from saliencykit.models.loglinear import (
    PENALTIES,
    TOLERANCE,
    coarse_features,
    coarse_grid,
    fit_densities,
)
from saliencykit.registry import UnknownNameError
from tests.conftest import Blobs
from tests.test_fitted import Drawn

SIZE = (24, 32)  # a grid of the images' own pixels, so that nothing is lost on the way
PRIOR = CentrePrior(0.5, 0.5, 0.2, 0.25)
FOLDS = torch.arange(40) % 5


def smooth(n=40, channels=4, size=SIZE, seed=0):
    """Activations (n, channels, H, W) of scales of their own."""
    noise = np.random.default_rng(seed).normal(size=(n, channels, *size))
    maps = gaussian_filter(noise, (0, 0, 2.0, 2.0))
    return torch.from_numpy(maps * np.geomspace(1, 300, channels)[:, None, None]).float()


def worlds(log, prior=PRIOR):
    """Densities (n, H, W), sum 1, whose logarithm over the prior is `log` but for a constant."""
    told = log.double() + log_prior(prior, log.shape[1:])
    return told.flatten(1).softmax(1).view(log.shape)


def information(densities, prior=PRIOR):
    """Bits that a fixation's place and its image tell of each other, image by image: (n,)."""
    base = prior.map(densities.shape[1:]).double()
    return (densities * (densities / (base / base.sum())).log2()).sum((1, 2))


def held_out(seen, data):
    found = fit_densities(seen, _shares(data, SIZE), PRIOR, FOLDS[: len(data)])
    weight = looks(data)
    return found, weight.assign(bits=bits_of(found.maps, data, PRIOR).numpy())


def test_the_bits_of_a_planted_linear_model_are_its_mutual_information():
    seen = smooth()
    weights = torch.tensor([9.0, -0.4, 0.05, 0.0])
    truth = worlds(torch.einsum("nchw,c->nhw", seen, weights))
    found, told = held_out(seen, Drawn(truth, looks=1000))
    known = information(truth).mean().item()
    bits = (told["weight"] * told["bits"]).sum()
    assert known > 0.3
    assert bits == pytest.approx(known, abs=0.03)
    own = Drawn(truth, looks=1000)
    best = bits_of(torch.einsum("nchw,c->nhw", seen, weights), own, PRIOR).mean().item()
    assert bits == pytest.approx(best, abs=0.01)  # of these very fixations
    scale = seen.std((0, 2, 3)).double()
    assert ((found.weights.T - weights) * scale).abs().max() < 0.15


def test_what_knows_nothing_has_no_bits():
    truth = worlds(smooth(seed=1)[:, 0] * 9)
    _, told = held_out(smooth(channels=12, seed=2), Drawn(truth, looks=60))
    each = told.groupby("image")["bits"].mean()
    mean, low, high = interval(each)
    assert low < 0 < high or abs(mean) < 1e-3
    assert mean > -0.02  # nor is much lost by trying


def test_the_readout_is_the_optimum_of_the_penalised_likelihood():
    """Against a plain optimiser of the formula, in the units' own scale, to full precision."""
    seen = smooth(n=15, channels=3)
    data = Drawn(worlds(seen[:, 0] * 5), looks=50)
    share, fold = _shares(data, SIZE), torch.arange(15) % 3
    found = fit_densities(seen, share, PRIOR, fold)
    taught = fold != 0
    prior = PRIOR.map(SIZE).double().flatten()
    some = seen.double().flatten(2)
    apart = some - (some @ (prior / prior.sum()))[..., None]
    spread = (apart.square() @ (prior / prior.sum())).mean(0).sqrt()

    def loss(w):
        log = torch.einsum("ncx,c->nx", some[taught], torch.from_numpy(w) / spread)
        whole = (log + prior.log()).logsumexp(1, keepdim=True)
        gain = (share[taught].flatten(1) * (log - whole)).sum(1).mean()
        return (found.penalties[0] / 2 * (w**2).sum() - gain).item()

    best = minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-8})
    own = (found.weights[:, 0] * spread).numpy()
    assert loss(own) - best.fun < 3 * TOLERANCE**2
    assert own == pytest.approx(best.x, abs=0.01)
    assert set(found.penalties.tolist()) <= set(PENALTIES)


def test_a_coarse_layer_s_density_is_one_over_the_image_s_pixels():
    seen = smooth(size=(6, 8))
    data = Drawn(worlds(smooth()[:, 0] * 5))
    found = fit_densities(seen, _shares(data, SIZE), PRIOR, FOLDS)
    assert found.maps.shape == (40, 6, 8)
    told = looks(data).assign(bits=bits_of(found.maps, data, PRIOR).numpy())
    for i in (0, 7):
        log = models.upsample(found.maps[i][None, None].double(), SIZE)[0, 0]
        density = worlds(log[None])[0]
        base = PRIOR.map(SIZE).double()
        gain = (density / (base / base.sum())).log2()
        own = told[told["image"] == i]
        at = gain.numpy()[own["y"].astype(int), own["x"].astype(int)]
        assert own["bits"].to_numpy() == pytest.approx(at, abs=1e-4)


def test_a_dead_channel_and_a_picture_without_fixations_change_nothing():
    seen = smooth()
    data = Drawn(worlds(seen[:, 0] * 5))
    share = _shares(data, SIZE)
    plain = fit_densities(seen, share, PRIOR, FOLDS)
    dead = torch.cat([seen, torch.full_like(seen[:, :1], 3)], 1)
    again = fit_densities(dead, share, PRIOR, FOLDS)
    assert again.weights[4].abs().max() == 0
    torch.testing.assert_close(again.maps, plain.maps, atol=1e-3, rtol=1e-3)
    share[3] = 0
    assert fit_densities(seen, share, PRIOR, FOLDS).maps.isfinite().all()


def test_a_readout_short_of_its_optimum_is_told_of(monkeypatch):
    monkeypatch.setattr(loglinear, "STEPS", 1)
    seen = smooth(n=9)
    share = _shares(Drawn(worlds(seen[:, 0] * 9)), SIZE)
    with pytest.warns(UserWarning, match="not at its optimum"):
        fit_densities(seen, share, PRIOR, torch.arange(9) % 3)


@pytest.mark.parametrize(("folds", "said"), [(2, "3 are needed"), (40, "fewer folds")])
def test_folds_that_cannot_be_are_refused(folds, said):
    seen = smooth()
    share = _shares(Drawn(worlds(seen[:, 0])), SIZE)
    share[0] = 0
    with pytest.raises(ValueError, match=said):
        fit_densities(seen, share, PRIOR, torch.arange(40) % folds)


# --- Layers of an encoder ------------------------------------------------------------------------


def encoder():
    torch.manual_seed(0)
    return models.build_encoder("toyvgg", None)


def test_features_are_the_encoder_s_averaged_to_the_grid():
    net, data = encoder(), Blobs()
    assert coarse_grid((288, 384)) == (24, 32)
    assert coarse_grid((12, 16)) == (12, 16)
    found = coarse_features(net, data, ["conv1_1", "conv5_3"], (48, 64)).tensors
    assert found["conv1_1"].shape[-2:] == (24, 32)
    assert found["conv5_3"].shape[-2:] == (3, 4)
    images = models.stimuli(data, (48, 64)).tensors["images"].float() / 255
    seen = net.activations(images, ["conv1_1"])["conv1_1"]
    own = torch.nn.functional.avg_pool2d(seen, 2).cpu()
    torch.testing.assert_close(found["conv1_1"].float(), own, rtol=2e-3, atol=1e-4)


def test_layers_are_read_by_folds_and_kept(monkeypatch):
    net, data = encoder(), Blobs()
    found = read_layers(net, ["conv1_1", "conv4_3"], data, (48, 64), PRIOR, folds=3)
    seen = looks(data)
    for layer, channels in (("conv1_1", 8), ("conv4_3", 64)):
        held = found[layer].tensors
        assert held["bits"].shape == (len(seen),)
        assert held["weights"].shape == (channels, 3)
    # Everybody looks at the one bright blob, which the first layer sees.
    assert (seen["weight"] * found["conv1_1"].tensors["bits"].numpy()).sum() > 0.5
    monkeypatch.setattr("saliencykit.evaluation.bits.coarse_features", None)  # not asked again
    again = read_layers(net, ["conv4_3"], data, (48, 64), PRIOR, folds=3)
    assert torch.equal(again["conv4_3"].tensors["bits"], found["conv4_3"].tensors["bits"])


def test_what_cannot_be_read_is_refused():
    net, data = encoder(), Blobs()
    with pytest.raises(UnknownNameError, match="conv5_3"):
        read_layers(net, ["conv5_4"], data, (48, 64), PRIOR)
    with pytest.raises(ValueError, match="cannot be dealt into 5 parts"):
        read_layers(net, ["conv5_3"], data.subset(data.names[:3]), (48, 64), PRIOR)


# --- Fixations, and people -----------------------------------------------------------------------


def test_images_and_observers_weigh_the_same():
    seen = looks(Blobs())
    assert seen["weight"].sum() == pytest.approx(1)
    assert seen["image"].nunique() == 11  # nobody looked at the last
    assert seen.groupby("image")["weight"].sum().to_numpy() == pytest.approx(1 / 11)
    assert seen["order"].isna().all()
    uneven = Drawn(worlds(smooth()[:, 0]), looks=7)  # observers 0 and 1 have two each
    by = looks(uneven).groupby(["image", "observer"])["weight"].sum()
    assert by.to_numpy() == pytest.approx(1 / 200)


def test_people_s_bits_of_fixations_are_their_curve():
    data = Drawn(worlds(smooth(n=12)[:, 0] * 9), looks=40)
    found, seen = fixation_gains(data, PRIOR), looks(data)
    curve = observer_curve(data, "ig", PRIOR)
    last = curve.limits.mean().item() if curve.law.determined else curve.table["mean"].iloc[-2]
    assert (seen["weight"].to_numpy() * found.values.numpy()).sum() == pytest.approx(last)


def test_each_fixation_has_the_bits_that_all_others_give_it():
    """Against leaving observers out one by one: means over an observer's fixations."""
    data, blur, weights = Drawn(worlds(smooth(n=3)[:, 0] * 9), looks=30), 2, 7
    setting = blur * len(WEIGHTS) + weights
    found = _each(data, 1, PRIOR, [1, 4, 9], [setting] * 3)
    gain = InformationGain(PRIOR.map(SIZE), *WEIGHTS[weights].tolist())
    seen = data.fixations(1)
    sigma = BLURS[blur] * max(SIZE)
    others = leave_one_out(seen.x, seen.y, seen.observer, SIZE, gain, sigma)
    means = [found[seen.observer == o, 1].mean().item() for o in range(5)]
    assert means == pytest.approx(others.tolist())
    assert found[:, 0].isfinite().all()
    assert found[:, 2].isnan().all()  # there are no nine others


def test_without_others_people_have_no_bits():
    class Alone(Blobs):
        def fixations(self, i):
            seen = super().fixations(i)
            return Fixations.of(seen.x, seen.y)

    assert fixation_gains(Alone(), PRIOR).values.isnan().all()
