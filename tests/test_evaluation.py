import numpy as np
import pandas as pd
import pytest
import torch

from saliencykit import evaluation, metrics
from saliencykit.models import CentrePrior, SaliencyModel, build_encoder, upsample
from tests.conftest import Blobs


@pytest.fixture
def model():
    torch.manual_seed(0)
    return SaliencyModel(build_encoder("toyvgg", None)).eval()


def test_maps_are_the_model_s_at_the_image_s_own_size(model, blobs):
    map_of = evaluation.maps_of(model, blobs, size=(24, 32))
    image = torch.nn.functional.interpolate(
        blobs.image(2)[None], (24, 32), mode="bilinear", antialias=True
    )
    with torch.inference_mode():
        coarse = model.coarse(image / 255)
    expected = upsample(coarse[None], (48, 64))[0, 0]
    torch.testing.assert_close(map_of(2), expected, atol=1e-5, rtol=1e-4)


def test_table_holds_every_model_image_and_metric(blobs):
    prior = evaluation.prior_of(CentrePrior(), blobs)
    table = evaluation.evaluate({"a": prior, "b": prior}, blobs, ("nss", "cc"))
    assert len(table) == 2 * len(blobs) * 2
    row = table[(table.model == "a") & (table.image == "b03") & (table.metric == "nss")]
    counts = blobs.fixations(3).inside(48, 64).count_map(48, 64)
    assert row.value.item() == pytest.approx(
        metrics.nss(CentrePrior().map((48, 64)), counts).item()
    )
    # The image that nobody looked at has no score, and the summary leaves it out.
    assert table[table.image == "b11"].value.isna().all()
    assert set(evaluation.summary(table).images) == {len(blobs) - 1}


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
        _, low, high = evaluation.interval(rng.exponential(1, 60), seed=seed, n=500)
        hits += low <= 1 <= high
    assert 0.87 <= hits / 200 <= 0.99  # 95 % nominal, a little less on skewed samples


def test_interval_of_too_few_is_nan_not_a_number_out_of_thin_air():
    assert np.isnan(evaluation.interval([])[0])
    mean, low, high = evaluation.interval([3.0, np.nan])
    assert (mean, np.isnan(low), np.isnan(high)) == (3.0, True, True)


def test_difference_is_paired():
    values = np.random.default_rng(0).normal(0, 10, 30)
    table = pd.DataFrame(
        [(m, f"i{k}", "nss", v + (m == "b")) for k, v in enumerate(values) for m in "ab"],
        columns=["model", "image", "metric", "value"],
    )
    found = evaluation.difference(table, "b", "a", "nss")
    assert found["low"] == pytest.approx(1) == found["high"]


def test_spread_runs_from_worst_to_best():
    data = Blobs(7)
    values = [3.0, 1.0, np.nan, 2.0, 5.0, 4.0, 0.0]
    table = pd.DataFrame({"model": "m", "image": data.names, "metric": "nss", "value": values})
    assert evaluation.spread(table, "m", "nss", 3) == [6, 3, 4]
    assert evaluation.spread(table, "m", "nss", 99) == [6, 1, 3, 0, 5, 4]
