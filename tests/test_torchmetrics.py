"""The metrics as torchmetrics has them: of any batches, halves and processes what functions say."""

import io
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torchmetrics", reason="the extra torchmetrics is not installed")

from torchmetrics import MetricCollection

from saliencykit import metrics
from saliencykit.metrics.torchmetrics import SaliencyMetric
from saliencykit.registry import UnknownNameError
from tests.test_metric_inputs import EVERY, SIZE, truth_of

N = 5


def case(seed):
    """Maps, one with a NaN, and all that they are compared with; at one of them nobody looked."""
    random = np.random.default_rng(seed)
    truth = {name: torch.as_tensor(maps) for name, maps in truth_of(random, N).items()}
    truth["fixations"][1] = 0
    saliency = torch.from_numpy(random.random((N, *SIZE)))
    saliency[3, 2, 2] = torch.nan
    return saliency, truth


def part(truth, which):
    return {name: maps[which] for name, maps in truth.items()}


@pytest.mark.parametrize(("metric", "form"), EVERY)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(1, N - 1))
def test_halves_merge_into_the_mean_of_the_function_s_scores(metric, form, seed, cut):
    saliency, truth = case(seed)
    expected = metric(saliency, truth, **form)
    first, second, alone = (SaliencyMetric(metric.name, **form) for _ in range(3))
    first.update(saliency[:cut], **part(truth, slice(cut)))
    second.update(saliency[cut:], *(truth[name][cut:] for name in metric.needs))
    for k in range(N):
        alone.update(saliency[k], **part(truth, k))
    first.merge_state(second)
    for found in (first, alone):
        torch.testing.assert_close(found.compute(), expected.nanmean(), rtol=1e-12, atol=1e-12)
        assert int(found.images) == int((~expected.isnan()).sum())
        assert int(found.images + found.left_out) == N
    assert first.higher_is_better is (metric.better == "higher")


def test_nobody_looked_at_any_image():
    found = SaliencyMetric("nss")
    found.update(torch.rand(2, *SIZE), torch.zeros(2, *SIZE))
    assert found.compute().isnan()
    assert int(found.left_out) == 2
    found.reset()
    assert int(found.left_out) == 0


def test_coordinates_are_fixations_and_a_call_gives_the_batch_s_own_mean():
    saliency = torch.rand(2, *SIZE)
    found = SaliencyMetric("nss")
    looks = [[[3, 4]], [[1.5, 2], [7.9, 8.9]]]
    assert found(saliency, looks) == metrics.nss(saliency, looks).mean()


def test_pickled_and_loaded_it_goes_on():
    saliency, truth = case(1)
    whole, found = SaliencyMetric("kl", form="mit"), SaliencyMetric("kl", form="mit")
    whole.update(saliency, **truth)
    found.update(saliency[:2], **part(truth, slice(2)))
    kept = io.BytesIO()
    torch.save(found.state_dict(), kept)
    fresh = SaliencyMetric("kl", form="mit")
    fresh.load_state_dict(torch.load(io.BytesIO(kept.getvalue()), weights_only=True))
    for resumed in (fresh, pickle.loads(pickle.dumps(found))):
        resumed.update(saliency[2:], **part(truth, slice(2, None)))
        torch.testing.assert_close(resumed.compute(), whole.compute(), rtol=1e-12, atol=0)


def test_a_collection_takes_what_all_need_in_one_call():
    saliency, truth = case(2)
    both = MetricCollection({name: SaliencyMetric(name) for name in ("nss", "cc", "ig")})
    both.update(saliency=saliency, **truth)
    for name, value in both.compute().items():
        expected = metrics.METRICS[name](saliency, truth).nanmean()
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)


def test_what_is_wrong_is_said():
    with pytest.raises(UnknownNameError, match="Did you mean 'nss'"):
        SaliencyMetric("nsss")
    with pytest.raises(ValueError, match="forms"):
        SaliencyMetric("kl", forms="mit")
    with pytest.raises(ValueError, match="needs fixations beside the map"):
        SaliencyMetric("nss").update(torch.rand(SIZE), torch.ones(SIZE), torch.ones(SIZE))
    with pytest.raises(ValueError, match="also needs fixations and baseline"):
        SaliencyMetric("ig").update(torch.rand(SIZE))


PROCESS = """
import sys
import torch
from saliencykit.metrics.torchmetrics import SaliencyMetric
rank, file = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
torch.manual_seed(0)
saliency, counts = torch.rand(5, 6, 7), (torch.rand(5, 6, 7) > 0.8).float()
mine, whole = SaliencyMetric("auc"), SaliencyMetric("auc", sync_on_compute=False)
mine.update(saliency[rank::2], counts[rank::2])
whole.update(saliency, counts)
print(float(mine.compute()), float(whole.compute()), int(mine.images), flush=True)
"""


@pytest.mark.slow
def test_processes_merge(tmp_path):
    command = [sys.executable, "-P", "-c", PROCESS]
    own = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    both = [
        subprocess.Popen([*command, str(k), str(tmp_path / "met")], env=own, stdout=subprocess.PIPE)
        for k in range(2)
    ]
    for process in both:
        told, _ = process.communicate(timeout=300)
        merged, whole, _ = map(float, told.split())
        assert merged == pytest.approx(whole, rel=1e-12)
