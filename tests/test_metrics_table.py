"""Every metric of the table: batches, types, sizes, NaN, constant maps, empty fixations."""

import numpy as np
import pytest
import torch

from saliencykit import metrics
from saliencykit.metrics import METRICS
from saliencykit.registry import UnknownNameError


def same(a, b, atol=1e-9):
    torch.testing.assert_close(
        torch.as_tensor(a).double(), torch.as_tensor(b).double(),
        rtol=1e-7, atol=atol, equal_nan=True,
    )  # fmt: skip


def example(batch=(3,), seed=0, size=(12, 17)):
    rng = np.random.default_rng(seed)
    truth = {
        "fixations": rng.poisson(0.2, (*batch, *size)),
        "other": rng.poisson(0.4, (*batch, *size)),
        "density": rng.random((*batch, *size)),
        "baseline": rng.random((*batch, *size)),
    }
    return np.round(rng.normal(size=(*batch, *size)), 1), truth


def table_and_forms():
    for metric in METRICS.values():
        yield pytest.param(metric, {}, id=metric.name)
        if metric.name in ("sim", "kl", "ig"):
            yield pytest.param(metric, {"form": "mit"}, id=f"{metric.name}-mit")


every_metric = pytest.mark.parametrize(("metric", "form"), list(table_and_forms()))


def test_the_table_names_all_metrics():
    first = ["nss", "auc", "auc_judd", "cc", "sim", "kl", "ig", "auc_borji", "auc_shuffled"]
    assert set(first) <= set(metrics.names())
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.function is getattr(metrics, name)
        assert set(metric.needs) <= {"fixations", "density", "baseline", "other"}
        assert metric.better == ("lower" if name in ("kl", "emd") else "higher")
    with pytest.raises(UnknownNameError, match="Did you mean 'nss'"):
        METRICS["ns"]
    with pytest.raises(ValueError, match="'ig' also needs baseline"):
        METRICS["ig"](np.ones((3, 3)), {"fixations": np.ones((3, 3))})


@every_metric
def test_batch_equals_loop_and_numpy_equals_torch(metric, form):
    s, truth = example()
    batch = metric(s, truth, **form)
    assert batch.shape == (3,)
    assert batch.dtype == torch.float64
    for i in range(3):
        single = metric(
            torch.tensor(s[i]), {k: torch.tensor(v[i]) for k, v in truth.items()}, **form
        )
        assert single.shape == ()
        same(single, batch[i], atol=0)


@every_metric
def test_chunks_do_not_show(metric, form, monkeypatch):
    s, truth = example(batch=(7,))
    whole = metric(s, truth, **form)
    monkeypatch.setitem(metrics.rows.CHUNK, "cpu", 2 * 12 * 17)
    same(metric(s, truth, **form), whole, atol=0)


@every_metric
def test_one_map_against_a_batch(metric, form):
    s, truth = example()
    repeated_map = np.broadcast_to(s[0], s.shape)
    same(metric(s[0], truth, **form), metric(repeated_map, truth, **form), atol=0)


@every_metric
def test_an_empty_batch_gives_no_scores(metric, form):
    s, truth = example(batch=(0,))
    assert metric(s, truth, **form).shape == (0,)


@every_metric
def test_nan_in_the_map_gives_nan_for_that_map_alone(metric, form):
    s, truth = example()
    clean = metric(s, truth, **form)
    s[1, 5, 5] = np.nan
    truth["fixations"][1, 5, 5] = 0  # also where nobody looked
    scores = metric(s, truth, **form)
    assert scores.isnan().tolist() == [False, True, False]
    same(scores[[0, 2]], clean[[0, 2]], atol=0)


@every_metric
def test_other_map_types(metric, form):
    _, truth = example()
    s = np.random.default_rng(1).integers(0, 255, (3, 12, 17))
    expected = metric(s.astype(np.float64), truth, **form)
    for kind in (np.uint8, np.int16, np.uint16, np.float32):
        same(metric(s.astype(kind), truth, **form), expected, atol=1e-6)
    flipped = {k: v[:, ::-1] for k, v in truth.items()}  # a view with negative strides
    same(metric(s[:, ::-1], flipped, **form), expected)


@every_metric
def test_sizes_that_differ_are_named(metric, form):
    s, truth = example()
    with pytest.raises(ValueError, match=r"saliency is \(3, 12, 16\), \w+ is \(3, 12, 17\)"):
        metric(s[..., 1:], truth, **form)
    with pytest.raises(ValueError, match=r"saliency is \(2, 12, 17\), \w+ is \(3, 12, 17\)"):
        metric(s[1:], truth, **form)
    with pytest.raises(ValueError, match=r"saliency must be \(H, W\)"):
        metric(s[0, 0], truth, **form)


@pytest.mark.parametrize("bad", [-1.0, np.nan])
@pytest.mark.parametrize("metric", [m for m in METRICS.values() if "fixations" in m.needs])
def test_bad_counts_are_refused(metric, bad):
    s, truth = example()
    truth["fixations"] = truth["fixations"].astype(float)
    truth["fixations"][2, 0, 0] = bad
    with pytest.raises(ValueError, match="fixations must be a map of counts"):
        metric(s, truth)


@pytest.mark.parametrize("metric", [m for m in METRICS.values() if "fixations" in m.needs])
def test_no_fixation_gives_nan(metric):
    s, truth = example()
    truth["fixations"][1] = 0
    assert metric(s, truth).isnan().tolist() == [False, True, False]
    s[1] = 1.0  # nor does a constant map turn that into a number
    assert metric(s, truth).isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("level", [0.0, 0.1, 0.25, 1e6, -3.0])
def test_constant_maps(level):
    _, truth = example()
    flat = np.full((12, 17), level)
    nan = float("nan")
    expected = {
        "nss": 0.0, "auc": 0.5, "auc_judd": 0.5, "auc_borji": nan, "auc_shuffled": nan,
        "auc_shuffled_exact": 0.5, "cc": 0.0,
    }  # fmt: skip
    for name, value in expected.items():
        same(METRICS[name](flat, truth), torch.full((3,), value), atol=1e-12)
    uniform = np.ones((12, 17))
    for name in ("sim", "kl", "ig", "emd"):
        same(METRICS[name](flat, truth), METRICS[name](uniform, truth))
    assert metrics.cc(flat, flat).isnan()
    same(metrics.sim(flat, truth["density"], form="mit"), [0.0 if level == 0 else nan] * 3)
    assert METRICS["ig"](flat, truth, form="mit").isnan().all()


def test_counts_equal_repeated_fixations():
    s, truth = example(batch=())
    f = truth["fixations"]
    y, x = (np.repeat(v, f[f > 0]) for v in np.nonzero(f))
    values = s[y, x]
    same(metrics.nss(s, f), ((values - s.mean()) / s.std()).mean())
    same(metrics.nss(s, 3 * f), metrics.nss(s, f))
    same(metrics.auc(s, 3 * f), metrics.auc(s, f))
    assert not torch.isclose(metrics.nss(s, f), metrics.nss(s, f > 0))


def test_ties_do_not_pull_auc_judd_down():
    """What the benchmark's code gets wrong: all values tied must score ½, not less."""
    f = np.zeros((20, 20))
    f[::5, ::5] = 1
    same(metrics.auc_judd(np.ones((20, 20)), f), 0.5)
    near = 1 + 1e-9 * np.random.default_rng(0).random((20, 20))
    assert abs(metrics.auc_judd(near, f) - metrics.auc(near, f)) < 0.05


@pytest.mark.parametrize("name", ["sim", "kl", "ig"])
def test_an_unknown_form_is_named(name):
    s, truth = example()
    with pytest.raises(UnknownNameError, match="Did you mean 'mit'"):
        METRICS[name](s, truth, form="mitt")


def test_unknown_steps_are_refused():
    s, truth = example()
    with pytest.raises(ValueError, match=r"step between thresholds must be in \(0, 1\]"):
        metrics.auc_borji(s, truth["fixations"], step=0)
    with pytest.raises(ValueError, match="must be real"):
        metrics.nss(torch.ones(3, 3, dtype=torch.complex64), np.ones((3, 3)))


@every_metric
def test_accelerator_equals_processor(metric, form):
    if not torch.cuda.is_available():
        pytest.skip("no GPU: its results are not compared with the processor's")
    s, truth = example(batch=(5,), size=(61, 83))
    there = metric(torch.tensor(s).cuda(), truth, **form)
    assert there.device.type == "cuda"
    same(there.cpu(), metric(s, truth, **form))


@every_metric
def test_the_callers_maps_are_left_as_they_are(metric, form):
    s, truth = example()
    s[0] = truth["density"][0] = truth["baseline"][0] = 0.0  # zeros are filled in, in a copy
    kept = s.copy(), {k: v.copy() for k, v in truth.items()}
    metric(s, truth, **form)
    np.testing.assert_array_equal(s, kept[0])
    for name, value in truth.items():
        np.testing.assert_array_equal(value, kept[1][name])
