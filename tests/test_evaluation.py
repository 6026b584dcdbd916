import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from saliencykit import evaluation, intervals, metrics
from saliencykit.datasets.popout import PopOut
from saliencykit.evaluation import scoring
from saliencykit.models import CentrePrior, SaliencyModel, build_encoder, classical, upsample
from saliencykit.registry import UnknownNameError
from tests.conftest import Blobs


@pytest.fixture
def model():
    torch.manual_seed(0)
    return SaliencyModel(build_encoder("toyvgg", None)).eval()


def test_network_maps_are_at_the_image_s_own_size(model, blobs):
    maps = evaluation.network_maps(model, blobs, size=(24, 32))
    image = torch.nn.functional.interpolate(
        blobs.image(2)[None], (24, 32), mode="bilinear", antialias=True
    )
    with torch.inference_mode():
        coarse = model.coarse(image / 255)
    expected = upsample(coarse[None], (48, 64))[0, 0]
    torch.testing.assert_close(maps(2), expected, atol=1e-5, rtol=1e-4)


def test_network_runs_when_first_asked_and_only_once(model, blobs, monkeypatch):
    calls = []
    coarse = model.coarse
    monkeypatch.setattr(model, "coarse", lambda images: calls.append(len(images)) or coarse(images))
    maps = evaluation.network_maps(model, blobs, size=(24, 32))
    assert calls == []
    maps(2), maps(3)
    assert sum(calls) == len(blobs)


def test_classical_maps_see_the_image_as_it_is(blobs):
    expected = classical.saliency("centre", blobs.image(1)[None] / 255, sd_x=0.1)[0]
    assert torch.equal(evaluation.classical_maps("centre", blobs, sd_x=0.1)(1), expected)


def test_table_holds_every_model_image_and_metric(blobs):
    prior = evaluation.prior_maps(CentrePrior(), blobs)
    found = evaluation.evaluate({"a": prior, "b": prior}, blobs, ("nss", "cc"))
    table = found.scores
    assert len(table) == 2 * len(blobs) * 2
    row = table[(table.model == "a") & (table.image == "b03") & (table.metric == "nss")]
    counts = blobs.fixations(3).inside(48, 64).count_map(48, 64)
    expected = metrics.nss(CentrePrior().map((48, 64)), counts).item()
    assert row.value.item() == pytest.approx(expected) == found.score("a", "b03")
    assert found.mean("a") == pytest.approx(table[table.metric == "nss"].value.mean())
    # The image that nobody looked at has no score, and the summary leaves it out.
    assert table[table.image == "b11"].value.isna().all()
    assert set(evaluation.summary(table).images) == {len(blobs) - 1}
    assert found.shown["a"].shape == (len(blobs), *scoring.GRID)
    assert np.isnan(found.score("nobody", "b03"))


def test_every_metric_gets_the_truth_it_asks_for(blobs):
    """Baseline: the prior that was given; other: all other images' fixations, at this size."""
    prior = CentrePrior(sd_x=0.4)
    data = blobs.subset(blobs.names[:4])
    found = evaluation.evaluate(
        {"m": evaluation.prior_maps(CentrePrior(), data)}, data, ("ig", "auc_shuffled_exact"), prior
    )
    seen = [data.fixations(i).inside(48, 64).count_map(48, 64) for i in range(4)]
    saliency = CentrePrior().map((48, 64))
    expected = metrics.ig(saliency, seen[2], prior.map((48, 64)))
    assert found.score("m", "b02", "ig") == pytest.approx(expected.item())
    expected = metrics.auc_shuffled_exact(saliency, seen[2], seen[0] + seen[1] + seen[3])
    assert found.score("m", "b02", "auc_shuffled_exact") == pytest.approx(expected.item())


def test_scores_are_computed_once(blobs, monkeypatch):
    asked = []
    maps = evaluation.Predictor(lambda i: asked.append(i) or torch.rand(48, 64), {"test": "once"})
    first = evaluation.evaluate({"m": maps}, blobs, ("nss",)).scores
    again = evaluation.evaluate({"other name": maps}, blobs, ("nss",)).scores
    assert len(asked) == len(blobs)
    assert first.value.equals(again.value)


def test_an_evaluation_knows_what_kind_each_predictor_is(blobs, model, tmp_path):
    for name in blobs.names:
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(0).random((48, 64)))
    made = {
        "vgg, frozen": evaluation.network_maps(model, blobs, size=(24, 32)),
        "frozen in time": evaluation.classical_maps("centre", blobs),
        "prior": evaluation.prior_maps(CentrePrior(), blobs),
        "theirs": evaluation.file_maps(tmp_path, blobs),
    }
    people = pd.DataFrame({"model": "human", "image": blobs.names, "metric": "nss", "value": 1.0})
    found = evaluation.evaluate(made, blobs, ("nss",)).beside(people)
    assert list(found.kinds) == [*made, "human"]
    assert [str(kind) for kind in found.kinds.values()] == [
        "network", "classical", "prior", "files", "people"
    ]  # fmt: skip
    assert found.networks == ["vgg, frozen"]


def test_any_function_of_images_is_scored_and_its_scores_are_not_kept(blobs):
    for sign in (1, -1):
        found = evaluation.evaluate({"m": lambda x, s=sign: s * x.mean(1)}, blobs, ("nss",))
        assert np.sign(found.mean("m")) == sign
        assert found.kinds == {"m": evaluation.Kind.OTHER}


def test_the_kind_of_a_predictor_is_no_part_of_its_scores(blobs):
    asked = []
    for kind in evaluation.Kind:
        maps = evaluation.Predictor(
            lambda i: asked.append(i) or torch.rand(48, 64), {"test": "kind"}, kind
        )
        found = evaluation.evaluate({"m": maps}, blobs, ("nss",))
        assert found.kinds == {"m": kind}
        assert list(found.scores) == ["model", "image", "metric", "value"]
    assert len(asked) == len(blobs)  # scored once


def test_metrics_of_search_arrays_want_search_arrays(blobs):
    maps = evaluation.Predictor(lambda i: torch.rand(48, 64), {"test": "no arrays"})
    with pytest.raises(ValueError, match="'blobs' holds no search arrays"):
        evaluation.evaluate({"m": maps}, blobs, ("gsi",))


def test_default_metrics_are_all_there_are():
    assert set(evaluation.DEFAULT_METRICS) == set(metrics.names())


def test_metrics_scored_together_are_those_scored_alone(blobs):
    data = blobs.subset(blobs.names[:2])
    maps = evaluation.Predictor(lambda i: data.image(i)[0].float() - 90, {"test": "together"})
    found = evaluation.evaluate({"m": maps}, data)
    assert len(found.scores) == 2 * len(metrics.names())
    seen = data.fixations(1).inside(48, 64).count_map(48, 64)
    for name in ("nss", "auc", "cc", "sim", "kl"):
        truth = seen if name in ("nss", "auc") else metrics.density(seen)
        expected = getattr(metrics, name)(maps(1), truth).item()
        assert found.score("m", "b01", name) == pytest.approx(expected, rel=1e-5)
    expected = metrics.emd(maps(1), metrics.density(seen), grid=16).item()
    assert found.score("m", "b01", "emd") == pytest.approx(expected, rel=1e-6)


def test_arrays_are_scored_on_maps_that_start_at_zero():
    data = PopOut(features=["colour"], set_sizes=[4], differences=[1], repeats=1, size=(128, 160))
    maps = evaluation.Predictor(lambda i: data.image(i)[1].float() * -3 + 100, {"test": "arrays"})
    found = evaluation.evaluate({"m": maps}, data, ("gsi", "fixations_to_find"))
    values = 255 - data.image(2)[1].float()
    values = (values - values.min()) / (values.max() - values.min())
    expected = metrics.gsi(values, data.targets(2), data.distractors(2)).item()
    assert found.score("m", data.names[2], "gsi") == pytest.approx(expected, rel=1e-5)
    expected = metrics.fixations_to_find(values, data.targets(2)).item()
    assert found.score("m", data.names[2], "fixations_to_find") == expected


def test_files_of_somebody_else_are_read_resized_and_preferred_as_arrays(blobs, tmp_path):
    maps = torch.rand(len(blobs), 48, 64)
    for name, values in zip(blobs.names, maps, strict=True):
        np.save(tmp_path / f"{name}.npy", values.numpy())
    Image.fromarray(np.zeros((48, 64), np.uint8)).save(tmp_path / "b00.png")
    predictor = evaluation.file_maps(tmp_path, blobs)
    assert torch.equal(predictor(0), maps[0])
    np.save(tmp_path / "b01.npy", np.arange(6.0).reshape(2, 3))
    assert predictor(1).shape == (48, 64)
    (tmp_path / "b02.npy").unlink()
    Image.fromarray(np.full((48, 64, 3), 7, np.uint8)).save(tmp_path / "b02.png")
    assert (evaluation.file_maps(tmp_path, blobs)(2) == 7).all()


def test_missing_and_damaged_files_of_maps_are_named(blobs, tmp_path):
    with pytest.raises(FileNotFoundError, match="is not there"):
        evaluation.file_maps(tmp_path / "nowhere", blobs)
    with pytest.raises(FileNotFoundError, match=r"no map for 12 of 12 .*'b00'"):
        evaluation.file_maps(tmp_path, blobs)
    for name in blobs.names:
        np.save(tmp_path / f"{name}.npy", np.zeros((48, 64)))
    (tmp_path / "b03.npy").write_bytes(b"\x93NUMPY garbage")
    np.save(tmp_path / "b04.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "b05.npy", np.zeros(3))
    np.save(tmp_path / "b06.npy", np.full((48, 64), np.nan))
    predictor = evaluation.file_maps(tmp_path, blobs)
    told = {3: "cannot be read", 4: "cannot be read", 5: r"shape is \(3,\)", 6: "holds NaN"}
    for i, says in told.items():
        with pytest.raises(ValueError, match=f"b0{i}.*{says}"):
            predictor(i)


def test_human_ceiling_takes_the_blur_that_predicts_best(blobs):
    table = evaluation.human_ceiling(blobs, ("nss",)).set_index("image").value
    assert np.isnan(table["b11"])
    means = []
    for blur in evaluation.BLURS:
        scores = []
        for i in range(len(blobs)):
            seen = blobs.fixations(i).inside(48, 64)
            args = (seen.x, seen.y, seen.observer, (48, 64), "nss", blur * 64)
            scores.append(metrics.leave_one_out(*args).nanmean().item())
        means.append(np.nanmean(scores))
    assert table.mean() == pytest.approx(max(means))
    assert max(means) > min(means)


def test_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        _, low, high = intervals.interval(rng.exponential(1, 60), seed=seed, n=500)
        hits += low <= 1 <= high
    assert 0.87 <= hits / 200 <= 0.99  # 95 % nominal, a little less on skewed samples


def test_interval_of_too_few_is_nan_not_a_number_out_of_thin_air():
    assert np.isnan(intervals.interval([])[0])
    mean, low, high = intervals.interval([3.0, np.nan])
    assert (mean, np.isnan(low), np.isnan(high)) == (3.0, True, True)


def test_spread_runs_from_worst_to_best():
    data = Blobs(7)
    values = [3.0, 1.0, np.nan, 2.0, 5.0, 4.0, 0.0]
    table = pd.DataFrame({"model": "m", "image": data.names, "metric": "nss", "value": values})
    assert evaluation.spread(table, "m", "nss", 3) == [6, 3, 4]
    assert evaluation.spread(table, "m", "nss", 99) == [6, 1, 3, 0, 5, 4]


def test_people_s_gain_is_that_of_the_best_mixture(blobs):
    prior = CentrePrior(0.5, 0.5, 0.2, 0.3)
    table = evaluation.human_ceiling(blobs, ("ig",), prior).set_index("image").value
    assert np.isnan(table["b11"])
    best = -np.inf
    for blur in evaluation.BLURS:
        for uniform, weight in evaluation.people.WEIGHTS.tolist():
            gain = metrics.InformationGain(prior.map((48, 64)), uniform, weight)
            scores = []
            for i in range(len(blobs)):
                f = blobs.fixations(i).inside(48, 64)
                found = metrics.leave_one_out(f.x, f.y, f.observer, (48, 64), gain, blur * 64)
                scores.append(found.nanmean().item())
            best = max(best, np.nanmean(scores))
    assert table.mean() == pytest.approx(best)


def test_people_in_three_ways(blobs):
    table = evaluation.human_baselines(blobs)
    means = evaluation.summary(table).set_index(["model", "metric"])["mean"].unstack()
    assert list(table.columns) == ["model", "image", "metric", "value"]
    assert list(dict.fromkeys(table.model)) == ["human", "human, split half", "human, n → ∞"]
    assert set(means.columns) == {"nss", "auc", "ig"}
    assert (means.loc["human"] > means.loc["human, split half"]).all()  # three predict, not two
    assert table[table.image == "b11"].value.isna().all()


def test_an_observer_curve_ends_at_infinity(blobs):
    curve = evaluation.observer_curve(blobs, "ig")
    assert curve.table.n.tolist() == [1, 2, 3, np.inf]
    assert curve.table["mean"].is_monotonic_increasing
    assert not curve.law.determined  # four observers are too few
    assert curve.table.fitted.iloc[-1] == curve.law.limit
    assert curve.limits.shape == (len(blobs),)
    with pytest.raises(UnknownNameError, match="Did you mean 'ig'"):
        evaluation.observer_curve(blobs, "igg")
