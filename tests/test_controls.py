"""A given network against several untrained ones: what is an alarm, what is decoded, what works."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn.linear_model import RidgeClassifier
from torch import nn

from saliencykit import Study, intervals
from saliencykit.dissection import (
    Dissection,
    best_beyond,
    decoded,
    decoding_beyond,
    decoding_beyond_cached,
    participation_ratio,
    top_mean,
    unit_dimensions,
)
from saliencykit.dissection.controls import singles, units_of
from saliencykit.models import build_encoder, calibrated, stimuli
from tests.conftest import Blobs

KINDS = ("a", "b", "c")


def made(shift, n_images=40, units=20, seed=0):
    """A dissection of one region of each kind an image: noise, and unit k says kind k `shift`."""
    random = torch.Generator().manual_seed(seed)
    images = [f"i{k}" for k in range(n_images)]
    regions = pd.MultiIndex.from_product([images, KINDS], names=["image", "category"])
    regions = regions.to_frame(index=False).assign(sure=True, fixations=3)
    scores = torch.randn(len(regions), units, generator=random)
    for k in range(len(KINDS)):
        scores[k :: len(KINDS), k] += shift
    return Dissection({"deep": scores}, regions, KINDS)


# Beyond controls


def test_without_doubt_about_images_it_is_the_t_test_of_one_against_many():
    random = np.random.default_rng(0)
    own, controls = random.normal(size=3), random.normal(size=(10, 3))
    found = intervals.beyond(own, controls, np.tile(own - controls.mean(0), (5, 1)), 100)
    expected = stats.ttest_ind(own[None], controls)
    ends = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.low == pytest.approx(ends.low)
    assert found.high == pytest.approx(ends.high)
    assert found.sd_controls == pytest.approx(controls.std(0, ddof=1))


def test_without_doubt_about_controls_it_is_students_t_over_images():
    draws = np.random.default_rng(0).normal(1, 0.2, (400, 1))
    found = intervals.beyond([3.0], [[2.0]] * 4, draws, [30])
    reach = stats.t.ppf(0.975, 29) * draws.std(ddof=1)
    assert (found.value, found.high) == (pytest.approx([1]), pytest.approx([1 + reach]))
    assert found.se_images == pytest.approx(draws.std(ddof=1))


@pytest.mark.parametrize("noise", [0.01, 1.0])
@pytest.mark.parametrize("count", [3, 10])
def test_one_more_untrained_network_alarms_as_seldom_as_promised(count, noise):
    worlds, random = 4000, np.random.default_rng(count)
    own, controls = random.normal(size=worlds), random.normal(size=(count, worlds))
    own = own + random.normal(0, noise, worlds)  # what these images add
    draws = own - controls.mean(0) + random.normal(0, noise, (200, worlds))
    found = intervals.beyond(own, controls, draws, 100)
    alarms = ((found.low > 0) | (found.high < 0)).mean()
    assert 0.025 < alarms < 0.065
    assert ((found.p < 0.05) == ((found.low > 0) | (found.high < 0))).all()


def test_too_few_images_or_controls_have_no_interval():
    draws = np.random.default_rng(0).normal(size=(9, 2))
    found = intervals.beyond([1, 1], [[0, 0], [0.1, 0.2]], draws, [15, 16])
    assert np.isnan([found.low[0], found.p[0]]).all()
    assert not np.isnan([found.value[0], found.low[1], found.p[1]]).any()
    assert np.isnan(intervals.beyond([1, 1], [[0, 0]], draws, 50).low).all()


def test_best_units_beyond_controls_are_differences_of_top_means():
    own, controls = made(2.0), [made(0.0, seed=k) for k in (1, 2, 3)]
    table = best_beyond(own, controls, 0.15)
    expected = [top_mean(r, "deep", 3, selection="crossfit") for r in (own, *controls)]
    assert table["units"].tolist() == [3] * 3
    assert table["own"].tolist() == pytest.approx(expected[0]["mean"].tolist())
    assert table["own_low"].tolist() == pytest.approx(expected[0]["low"].tolist())
    each = np.stack([e["mean"] for e in expected[1:]], 1)
    assert singles(table).to_numpy() == pytest.approx(each)
    assert table["difference"].to_numpy() == pytest.approx(table["own"] - each.mean(1))
    assert table["sd_controls"].to_numpy() == pytest.approx(each.std(1, ddof=1))
    pd.testing.assert_frame_equal(table, best_beyond(own, controls, 3).assign(best=0.15))
    assert (table["difference_low"] > 0).all()  # planted
    assert (table["p_adjusted"] < 0.05).all()
    null = best_beyond(made(0.0, seed=9), controls, 0.15)
    assert (null["difference_low"] < 0).all()


def test_a_network_is_not_beyond_itself():
    own = made(1.0)
    for table in (best_beyond(own, [own, own]), decoding_beyond(own, [own, own])):
        assert table[["difference", "sd_controls", "se_images"]].to_numpy() == pytest.approx(0)


def test_only_what_saw_the_same_regions_is_compared():
    with pytest.raises(ValueError, match="not dissected on the same regions"):
        best_beyond(made(1.0), [made(1.0, n_images=30)])
    with pytest.raises(ValueError, match="no controls"):
        best_beyond(made(1.0), [])


@pytest.mark.parametrize(
    ("best", "units", "is_"), [(0.1, 96, 10), (0.1, 4, 1), (10, 8, 8), (3, 8, 3)]
)
def test_best_units_are_a_share_or_a_number(best, units, is_):
    assert units_of(best, units) == is_
    with pytest.raises(ValueError, match="a share"):
        units_of(0, 8)


# Decoding


def test_what_units_say_is_decoded_and_noise_is_not():
    clear, noise = decoded(made(9.0), "deep"), decoded(made(0.0, 200), "deep")
    assert (clear["category"] == clear["named"]).all()
    assert (noise["category"] == noise["named"]).mean() == pytest.approx(1 / 3, abs=0.06)


def test_decoding_is_ridge_regression_on_images_not_learned_from():
    res = made(1.0)
    found = decoded(res, "deep", seed=3)
    fold = np.random.default_rng(3).permutation(40) % 5
    of = fold.repeat(3)
    scores, kinds = res.of("deep").double().numpy(), res.regions["category"].to_numpy()
    for k in range(5):
        learn = scores[of != k]
        mean, sd = learn.mean(0), learn.std(0)
        reader = RidgeClassifier(20, class_weight="balanced")
        reader.fit((learn - mean) / sd, kinds[of != k])
        named = reader.predict((scores[of == k] - mean) / sd)
        assert found["named"][of == k].tolist() == named.tolist()


def test_what_only_tells_images_apart_is_no_knowledge_of_categories():
    """Each image's regions are of one kind and share a pattern: folds that cut images would see."""
    res = made(0.0, n_images=60, units=50)
    pattern = torch.randn(60, 50, generator=torch.Generator().manual_seed(5))
    scores = pattern.repeat_interleave(3, 0) + 0.01 * res.of("deep")
    kinds = [KINDS[k % 3] for k in range(60) for _ in range(3)]
    res = Dissection({"deep": scores}, res.regions.assign(category=kinds), KINDS)
    named = decoded(res, "deep")
    assert (named["category"] == named["named"]).mean() < 0.55


def test_decoding_beyond_controls_counts_regions_named_rightly():
    own, controls = made(2.0), [made(0.0, seed=k) for k in (1, 2, 3)]
    table = decoding_beyond(own, controls).set_index("category")
    named = decoded(own, "deep")
    right = (named["category"] == named["named"]).groupby(named["category"]).mean()
    assert table.loc[list(KINDS), "own"].tolist() == pytest.approx(right[list(KINDS)].tolist())
    assert table.loc["all categories", "own"] == pytest.approx(right.mean())
    assert table["chance"].tolist() == pytest.approx([1 / 3] * 4)
    assert table.loc["all categories", "difference_low"] > 0


def test_one_category_leaves_nothing_to_decode():
    res = made(1.0)
    one = Dissection(res.scores, res.regions.assign(category="a"), KINDS)
    assert decoding_beyond(one, [one, one])["own"].isna().all()


def test_what_was_decoded_is_remembered_with_its_gaps_until_a_score_changes(monkeypatch, tmp_path):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path))
    own, controls = made(2.0), [made(0.0, seed=k) for k in (1, 2)]
    for _ in range(2):
        found = decoding_beyond_cached(own, controls)
        pd.testing.assert_frame_equal(found, decoding_beyond(own, controls))
    assert len(list((tmp_path / "decoding").glob("*.safetensors"))) == 1
    other = Dissection({k: v + 1e-3 for k, v in own.scores.items()}, own.regions, own.categories)
    decoding_beyond_cached(other, controls)
    assert len(list((tmp_path / "decoding").glob("*.safetensors"))) == 2


# Directions


def test_participation_ratio_counts_directions():
    assert participation_ratio(torch.eye(7)) == pytest.approx(7)
    assert participation_ratio(torch.ones(7, 7)) == pytest.approx(1)
    half = torch.randn(5, 9, generator=torch.Generator().manual_seed(0)).double()
    values = torch.linalg.eigvalsh(half @ half.T)
    expected = float(values.sum() ** 2 / values.square().sum())
    assert participation_ratio(half @ half.T) == pytest.approx(expected)
    assert np.isnan(participation_ratio(torch.zeros(3, 3)))


def test_directions_of_a_layer_are_of_all_its_positions():
    torch.manual_seed(0)
    encoder, data, layer = build_encoder("toyvgg", None), Blobs(7), "conv2_1"
    images = stimuli(data, (24, 32)).tensors["images"].float() / 255
    units = encoder.activations(images, [layer])[layer].detach().movedim(1, 0).flatten(1)
    expected = participation_ratio(torch.cov(units.double()))
    found = unit_dimensions(encoder, data, [layer], size=(24, 32), batch=3, progress=False)
    assert found == {layer: pytest.approx(expected, rel=1e-4)}
    with pytest.raises(ValueError, match="no images"):
        unit_dimensions(encoder, Blobs(0), [layer])


# Untrained networks that work


def seen_by_batch_norm(encoder, images):
    """Mean and variance by channel of what each batch norm answers, before scale and shift."""
    found = []

    def note(norm, inputs, output):
        x = (output - norm.bias[:, None, None]) / norm.weight[:, None, None]
        found.append((x.mean((0, 2, 3)), x.var((0, 2, 3))))

    norms = [m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    handles = [norm.register_forward_hook(note) for norm in norms]
    with torch.inference_mode():
        encoder(images)
    for handle in handles:
        handle.remove()
    return torch.cat([m for m, _ in found]), torch.cat([v for _, v in found])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["toyvgg", "mobilenet_v2"])
def test_calibrated_batch_norm_answers_with_mean_0_and_variance_1(name):
    torch.manual_seed(0)
    encoder, data, size = build_encoder(name, None), Blobs(48, (96, 128)), (96, 128)
    before = encoder.fingerprint
    ready = calibrated(encoder, data, size)
    images = stimuli(data, size).tensors["images"].float() / 255
    mean, variance = seen_by_batch_norm(ready, images)
    raw = seen_by_batch_norm(encoder, images)[1]
    assert mean.abs().median() < 0.02
    assert mean.abs().max() < 0.3
    assert variance.median() == pytest.approx(1, abs=0.05)
    assert 0.5 < variance.min() < variance.max() < 2
    assert raw.median() < 0.5  # it can fail: what an untrained network's own batch norm answers
    assert encoder.fingerprint == before
    assert not any(m.training for m in ready.modules())
    assert calibrated(encoder, data, size).fingerprint == ready.fingerprint != before


def test_without_batch_norm_or_images_there_is_nothing_to_calibrate():
    torch.manual_seed(0)
    plain = build_encoder("alexnet", None)
    assert calibrated(plain, Blobs(4), (64, 64)).fingerprint == plain.fingerprint
    with pytest.raises(ValueError, match="no images"):
        calibrated(build_encoder("toyvgg", None), Blobs(0), (64, 64))


def test_a_studys_controls_are_as_many_networks_as_asked_for():
    study = Study(images=20, weights=None, size=(60, 80))
    marks = [encoder.fingerprint for encoder in study.controls(3)]
    assert len({*marks, study.pretrained.fingerprint}) == 4
    assert study.untrained.fingerprint == marks[0]
    assert [encoder.fingerprint for encoder in study.controls(2)] == marks[:2]
    with pytest.raises(ValueError, match="at least 1"):
        study.controls(0)
