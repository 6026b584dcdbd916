"""Several metrics at once: the same numbers as one by one, in float32 and float64."""

import numpy as np
import pytest
import torch

from saliencykit import metrics
from saliencykit.metrics import METRICS
from saliencykit.registry import UnknownNameError

FORMS = [f"{name}:mit" for name in ("sim", "kl", "ig")]


def example(dtype=np.float64, batch=(3,), size=(19, 30), seed=0):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.1, (2, *batch, *size))
    truth = {
        "fixations": counts[0],
        "other": counts[1],
        "density": metrics.density(counts[1], 2.0).numpy().astype(dtype),
        "baseline": rng.random((*batch, *size)).astype(dtype),
    }
    return rng.random((*batch, *size)).astype(dtype) ** 3, truth


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_calling_each_metric(dtype, monkeypatch):
    s, truth = example(dtype)
    wanted = [name for name in METRICS if name != "emd"] + FORMS
    for pixels in (2**16, 19 * 30 + 1, 100):  # all maps at once, one at a time, blocks of one
        monkeypatch.setitem(metrics.rows.CHUNK, "cpu", pixels)
        found = metrics.scores(s, truth, wanted)
        assert list(found) == wanted
        for asked in wanted:
            name, *form = asked.split(":")
            expected = METRICS[name](s, truth, **({"form": "mit"} if form else {}))
            torch.testing.assert_close(found[asked], expected, rtol=0, atol=0)
    assert metrics.scores(s[0], truth, ["emd"])["emd"].shape == (3,)


def test_float32_maps_score_as_float64_ones():
    """Arithmetic in float32, sums in float64: on maps of many pixels, too."""
    s, truth = example(np.float32, batch=(), size=(301, 403))
    wide = {k: v.astype(np.float64) for k, v in truth.items()}
    wanted = ["nss", "cc", "sim", "kl", "ig", "auc", *FORMS]
    narrow, exact = (
        metrics.scores(*maps, wanted) for maps in ((s, truth), (s.astype(np.float64), wide))
    )
    for name in wanted:
        torch.testing.assert_close(narrow[name], exact[name], rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e30])
def test_float32_maps_of_any_scale(scale):
    s, truth = example(np.float32)
    wanted = ["nss", "cc", "sim", "auc", *FORMS]
    found = metrics.scores(s * np.float32(scale), truth, wanted)
    expected = metrics.scores(s, truth, wanted)
    for name in wanted:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("offset", [0.5, 1e3, -7.0])
def test_near_constant_float32_maps_keep_their_digits(offset):
    s, truth = example(np.float32)
    near = (s * np.float32(1e-4) + np.float32(offset)).astype(np.float32)
    wanted = ["nss", "cc", "sim:mit", "ig:mit"]
    found = metrics.scores(near, truth, wanted)
    exact = metrics.scores(near.astype(np.float64), truth, wanted)
    for name in wanted:
        torch.testing.assert_close(found[name], exact[name], rtol=1e-5, atol=1e-6)


def test_one_map_and_no_map_keep_their_shapes():
    s, truth = example(batch=())
    assert metrics.scores(s, truth, ["nss"])["nss"].shape == ()
    s, truth = example(batch=(0,))
    assert metrics.scores(s, truth, ["nss", "emd"])["emd"].shape == (0,)


def test_what_is_missing_or_unknown_is_named():
    s, truth = example()
    with pytest.raises(UnknownNameError, match="Did you mean 'nss'"):
        metrics.scores(s, truth, ["nsss"])
    with pytest.raises(UnknownNameError, match="Did you mean 'mit'"):
        metrics.scores(s, truth, ["kl:mitt"])
    with pytest.raises(ValueError, match="'ig' also needs baseline"):
        metrics.scores(s, {"fixations": truth["fixations"]}, ["ig"])
    junk = truth | {"other": np.full(s.shape, np.nan)}  # not needed, so not looked at
    metrics.scores(s, junk, ["nss"])
    with pytest.raises(ValueError, match="other must be a map of counts"):
        metrics.scores(s, junk, ["auc_shuffled"])
