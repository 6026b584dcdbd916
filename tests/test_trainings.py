"""Several trainings: side by side or one after the other the same, each with its fold, and what
they say together."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import saliencykit as sk
from saliencykit.intervals import (
    IMAGES,
    LEVEL,
    above_models,
    crossed,
    jackknifed,
    nested,
    of_images,
    relabelled,
    spread_out,
)
from saliencykit.models import Settings, Training, train_side_by_side
from tests.conftest import Blobs


@pytest.fixture
def asked(monkeypatch, tmp_path):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path))
    torch.manual_seed(0)
    encoder = sk.models.build_encoder("toyvgg", None)
    how = [Settings(size=(48, 64), epochs=1, batch=4, seed=seed) for seed in range(3)]
    return [Training(encoder, Blobs(8), None, ["conv3_1"], one) for one in how]


@pytest.mark.slow
def test_side_by_side_is_one_after_the_other_to_the_last_digit(asked, monkeypatch, tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)  # which must not matter
    try:
        alone = train_side_by_side(asked, cores=1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "other"))
    together = train_side_by_side(asked, cores=2)
    assert all(one.is_kept for one in asked)
    for (a, first), (b, second) in zip(alone, together, strict=True):
        assert a.fingerprint == b.fingerprint
        assert first.drop(columns="seconds").equals(second.drop(columns="seconds"))
    assert len({model.fingerprint for model, _ in alone}) == len(asked)


@pytest.mark.slow
def test_one_that_diverges_is_named_and_the_others_are_kept(asked):
    settings = Settings(size=(48, 64), epochs=1, batch=4, seed=7, lr=float("nan"))
    bad = Training(asked[0].encoder, asked[0].data, None, ["conv3_1"], settings)
    with pytest.raises(RuntimeError, match=r"seed 7 failed.*diverged in epoch 1"):
        train_side_by_side([asked[0], bad, asked[1]], cores=2)
    assert [one.is_kept for one in (asked[0], bad, asked[1])] == [True, False, True]


def test_in_inference_mode_networks_are_trained_and_built_as_outside(asked):
    with torch.inference_mode():
        (model, _), *_ = train_side_by_side(asked[:1], cores=1)
        (again, _), *_ = train_side_by_side(asked[:1], cores=1)  # from the cache
    for one in (model, again):
        assert not any(p.is_inference() for p in (*one.parameters(), *one.buffers()))


def test_folds_are_disjoint_and_together_all():
    data = Blobs(12)
    folds = data.folds(5)
    assert sorted(name for fold in folds for name in fold.names) == sorted(data.names)
    assert sorted(map(len, folds)) == [2, 2, 2, 3, 3]
    assert [f.names for f in folds] == [f.names for f in data.folds(5)]
    with pytest.raises(ValueError, match="13 parts"):
        data.folds(13)


def study_of(own_split, **changes):
    class Data(Blobs):
        pass

    Data.own_split = own_split
    study = sk.Study(**changes)
    study.__dict__["annotated"] = Data(20)
    return study


def test_data_with_a_split_are_crossed_others_leave_out_a_fold():
    crossed_study, nested_study = study_of(True), study_of(False, trainings=3)
    assert crossed_study.crossed
    assert crossed_study.parts(0)[2].names == crossed_study.parts(4)[2].names
    assert not nested_study.crossed
    unseen = []
    for number in range(5):
        learned, _, held_out = nested_study.parts(number)
        assert not set(learned.names) & set(held_out.names)
        unseen += held_out.names
    assert sorted(unseen) == sorted(nested_study.annotated.names)
    assert nested_study.parts(5)[2].names == nested_study.parts(0)[2].names


@pytest.mark.parametrize("name", ["trainings", "trainings_beside"])
def test_no_training_is_refused_and_one_is_allowed(name):
    with pytest.raises(ValueError, match=f"{name} is 0"):
        sk.Study.from_profile("toy", **{name: 0})
    assert getattr(sk.Study.from_profile("toy", **{name: 1}), name) == 1


def drawn(rng, trainings, images, over_trainings, over_images, rest, n=400):
    """Made-up numbers of trainings whose truth is 0, and their resampled means."""
    each = over_trainings * rng.standard_normal((trainings, 1))
    each = each + over_images * rng.standard_normal((1, images))
    each = each + rest * rng.standard_normal((trainings, images))
    weights = rng.multinomial(images, np.full(images, 1 / images), n) / images
    return each.mean(1), weights @ each.mean(0)


@pytest.mark.slow
@pytest.mark.parametrize("spread", [(0.0, 1, 1), (0.3, 1, 1), (1, 0.1, 1), (1, 1, 0.1)])
@pytest.mark.parametrize(("trainings", "images"), [(5, 30), (3, 100), (10, 30)])
def test_crossed_intervals_cover_as_promised(spread, trainings, images):
    rng = np.random.default_rng(0)
    found = [crossed(*drawn(rng, trainings, images, *spread), images) for _ in range(1000)]
    covered = np.mean([one.low <= 0 <= one.high for one in found])
    assert LEVEL - 0.04 <= covered <= 0.995


@pytest.mark.parametrize("ratio", [0.1, 1.0, 10.0])
@pytest.mark.parametrize(("trainings", "most"), [(2, 0.11), (3, 0.07), (5, 0.06)])
def test_few_trainings_do_not_alarm_too_often(trainings, most, ratio):
    rng, worlds = np.random.default_rng(0), 4000
    values = rng.normal(size=(trainings, worlds)) * (trainings * ratio) ** 0.5
    values = values + rng.normal(size=worlds)  # what these images add to all
    found = crossed(values, rng.normal(size=(300, worlds)), 60)
    assert ((found.low > 0) | (found.high < 0)).mean() <= most


@pytest.mark.parametrize("spread", [(0.3, 0.3, 1), (0.05, 1, 0.3), (1, 0.05, 0.3)])
def test_leads_over_models_that_were_drawn_cover_as_promised(spread):
    rng, trainings, models, images = np.random.default_rng(0), 5, 7, 40
    over_trainings, over_models, rest = spread
    at = rng.multinomial(images, np.full(images, 1 / images), 300) / images
    covered = []
    for _ in range(800):
        ours = over_trainings * rng.standard_normal((trainings, 1))
        ours = ours + rest * rng.standard_normal((trainings, images))
        theirs = over_models * rng.standard_normal((models, 1))
        theirs = theirs + rest * rng.standard_normal((models, images))
        gaps = ours - theirs.mean(0)
        found = above_models(gaps.mean(1), theirs.mean(1), at @ gaps.mean(0), images)
        covered.append(found.low <= 0 <= found.high)
    assert LEVEL - 0.04 <= np.mean(covered) <= 0.995


def test_a_lead_over_one_model_or_on_few_images_has_no_interval():
    own, others, draws = np.array([1.0, 1.2, 1.4]), np.array([0.3, 0.5]), np.arange(50.0) / 50
    whole = above_models(own, others, draws, 30)
    over = draws.var(ddof=1), own.var(ddof=1) / 3, others.var(ddof=1) / 2
    free = sum(over) / (over[0] / 29 + over[1] / 2 + over[2] / 1)
    reach = stats.t.ppf(0.975, free) * np.sqrt(sum(over))
    assert (whole.value, whole.high) == (pytest.approx(1.2), pytest.approx(1.2 + reach))
    assert np.isnan(above_models(own, others[:1], draws, 30).low)
    assert np.isnan(above_models(own, others, draws, IMAGES - 1).low)
    own_images = above_models(own, others, None, 30)
    total = over[1] + over[2]  # images are in the trainings' spread
    reach = stats.t.ppf(0.975, total / (over[1] / 2 + over[2] / 1)) * np.sqrt(total)
    assert own_images.high - own_images.value == pytest.approx(reach)
    assert np.isnan(above_models(own[:1], others, None, 30).low)


def test_crossed_of_one_training_knows_of_images_alone():
    rng = np.random.default_rng(0)
    values, draws = drawn(rng, 1, 50, 0, 1, 0, n=2000)
    one = crossed(values, draws, 50)
    assert np.isnan(one.sd_trainings)
    assert one.high - one.value == pytest.approx(2.01 * draws.std(ddof=1), rel=0.01)


def test_few_images_have_no_interval():
    values, draws = np.arange(5.0), np.arange(50.0)
    assert np.isnan(crossed(values, draws, IMAGES - 1).low)
    assert np.isfinite(crossed(values, draws, IMAGES).low)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=12))
def test_nested_is_student_s_t(values):
    from scipy.stats import ttest_1samp

    ours = nested(values)
    if np.ptp(values) > 1e-6:
        theirs = ttest_1samp(values, 0).confidence_interval(LEVEL)
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert ours.value == pytest.approx(np.mean(values))
    assert np.isnan(nested(values[:1]).low)


def test_jackknifed_means_are_crossed_ones():
    rng = np.random.default_rng(0)
    table = rng.standard_normal((5, 20))
    left_out = np.array([np.delete(table, k, 0).mean() for k in range(5)])
    without = np.array([np.delete(table, k, 1).mean() for k in range(20)])
    found = jackknifed(table.mean(), left_out, without)
    assert found.value == pytest.approx(table.mean())
    assert found.sd_trainings == pytest.approx(table.mean(1).std(ddof=1))
    assert found.se_images == pytest.approx(table.mean(0).std(ddof=1) / 20**0.5)
    same = crossed(table.mean(1), spread_out(table.mean(), without), 20)
    assert (found.low, found.high) == pytest.approx((same.low, same.high))
    assert np.isnan(jackknifed(table.mean(), left_out[:2], without).low)


@pytest.mark.parametrize(("kinds", "trainings", "deals"), [(2, 3, 4), (4, 3, 576), (3, 1, 1)])
def test_relabelled_deals_every_way_once_among_those_of_one_training(kinds, trainings, deals):
    found = relabelled(kinds, trainings)
    assert found.shape == (deals, kinds, trainings)
    assert found[0].ravel().tolist() == list(range(kinds * trainings))
    parts = {frozenset(frozenset(row) for row in deal.tolist()) for deal in found}
    assert len(parts) == deals
    assert (found % trainings == np.arange(trainings)).all()
    assert (np.sort(found, axis=1) == np.sort(found[:1], axis=1)).all()


def test_relabelled_draws_where_deals_are_too_many():
    found = relabelled(4, 5, n=100)
    assert found.shape == (101, 4, 5)
    assert found[0].ravel().tolist() == list(range(20))
    assert (np.sort(found, axis=1) == np.sort(found[:1], axis=1)).all()
    assert np.array_equal(found, relabelled(4, 5, n=100))


def test_tasks_are_taught_on_the_same_images_from_one_seed_each(monkeypatch):
    study, asked = study_of(False, trainings_beside=2), []
    curve = (None, None)
    monkeypatch.setattr(
        sk.models, "train_side_by_side", lambda some: asked.extend(some) or [curve] * len(some)
    )
    taught = study.taught
    assert list(taught) == [task.name for task in study.tasks]
    assert [[one.seed for one in of_task] for of_task in taught.values()] == [[0, 1]] * 4
    assert len({tuple(one.data.names) for one in asked}) == 1
    unseen = {tuple(one.unseen.names) for of_task in taught.values() for one in of_task}
    assert len(unseen) == 1
    assert not set(next(iter(unseen))) & set(asked[0].data.names)
    shuffled = [one.task.labels(one.data) for one in asked if one.task.name == "shuffled scenes"]
    assert not torch.equal(*shuffled)


def test_scores_of_images_are_crossed_or_nested():
    values = np.random.default_rng(0).standard_normal((3, 40))
    blank = values.copy()
    blank[:, 5] = np.nan  # an image that nobody looked at
    ours = of_images(blank)
    assert ours.value == pytest.approx(np.delete(values, 5, 1).mean())
    assert ours.se_images == pytest.approx(np.delete(values, 5, 1).mean(0).std() / 39**0.5, rel=0.1)
    own = np.where(np.arange(40) % 3 == np.arange(3)[:, None], values, np.nan)
    assert of_images(own, own_images=True)[:3] == nested(np.nanmean(own, 1))[:3]
    assert np.isnan(of_images(values[:, : IMAGES - 1]).low)


def test_what_is_mixed_in_and_another_encoder_go_into_every_training(monkeypatch):
    asked = []

    def note(trainings):
        asked.extend(trainings)
        return [(None, None)] * len(trainings)

    monkeypatch.setattr(sk.models, "train_side_by_side", note)
    study, more = study_of(False), Blobs(3)
    more.name = "more"
    other = sk.models.build_encoder("toyvgg", None)
    found = study.each_training(False, ["conv3_1"], count=2, encoder=other, more=more)
    for one, trained in zip(asked, found, strict=True):
        assert one.encoder is other
        assert len(one.data) == 16 + 3
        assert not {f"blobs/{name}" for name in trained.unseen.names} & set(one.data.names)


def test_other_trainings_of_the_same_study_differ_by_seed_alone(monkeypatch):
    asked = {}

    def noted(trainings):
        asked.setdefault(one, []).extend(trainings)
        return [(None, None)] * len(trainings)

    monkeypatch.setattr(sk.models, "train_side_by_side", noted)
    for one in (0, 50):
        study = sk.Study.from_profile("smoke", training_seed=one)
        study.each_training(False)
        _ = study.taught
    seeds = [[t.settings.seed for t in asked[one]] for one in (0, 50)]
    assert [seed + 50 for seed in seeds[0]] == seeds[1]
    plain = [[t.key | {"settings": None, "task": t.task.name} for t in asked[k]] for k in (0, 50)]
    assert plain[0] == plain[1]
