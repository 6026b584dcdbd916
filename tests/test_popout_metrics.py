"""Pop-out metrics: against the authors' code, brute force, and their definitions."""

import json
from functools import cache

import numpy as np
import pytest
import skimage.morphology
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from saliencykit import metrics
from saliencykit.metrics.odd_one_out import dilated
from tests.conftest import ALL_ORACLES, ORACLES, needs_all_oracles

SMALL = [f"synthetic{k}" for k in range(10) if k not in (3, 7)]
CASES = ["example_P3", "example_O3", *(f"synthetic{k}" for k in range(10))]
quick = settings(max_examples=40, deadline=None)
SIZE = (9, 11)


@cache
def reference(folder, case):
    """A case's values, and its arrays."""
    values = json.loads((folder / "popout.json").read_text())[case]
    with np.load(folder / "popout.npz", allow_pickle=False) as arrays:
        return values, {k.split("/")[1]: arrays[k] for k in arrays if k.split("/")[0] == case}


@pytest.fixture(
    params=[*(("small", case) for case in SMALL), *(("all", case) for case in CASES)], ids=" ".join
)
def oracle(request):
    """Values and the three maps of a case."""
    which, case = request.param
    if which == "all":
        needs_all_oracles()
    values, arrays = reference(ORACLES if which == "small" else ALL_ORACLES / "popout", case)
    return values, arrays["map"], arrays["targ"] / 255, arrays["dist"] / 255


def test_gsi_and_msr_equal_the_reference(oracle):
    values, saliency, target, distractors = oracle
    want = values["all"]
    assert float(metrics.gsi(saliency, target, distractors)) == pytest.approx(want["GSI"], abs=1e-9)
    for dilate in (0, 3, 5):
        ours = metrics.msr(saliency, target, distractors, dilate=dilate)
        for name, value in zip(("targ", "bg"), ours, strict=True):
            assert float(value) == pytest.approx(want[f"MSR_{name}_dilate{dilate}"], abs=1e-9)


def test_fixations_to_find_equal_the_reference(oracle):
    found, saliency, target, _ = oracle
    values, settings_ = found["all"], found["params"]
    most = settings_["max_tries"] + 1
    checked = 0
    for name, (tries, found) in ((k, v) for k, v in values.items() if k.startswith("numfix")):
        _, form, what = name.split("_")
        ior = settings_["iorrec" if what.startswith("dilate") else f"iorrec_{what}"]
        search = {
            "ior": ior,
            "gaussian": form == "gaussian",
            "dilate": int(what.removeprefix("dilate")) if what.startswith("dilate") else 0,
        }
        ours = metrics.fixations_to_find(saliency, target, most=most, **search)
        assert float(ours) == tries, name
        one_more = metrics.fixations_to_find(saliency, target, most=most + 1, **search)
        assert bool(one_more <= most) == found, name
        checked += 1
    assert checked == 8


def test_demo_values_of_the_authors():
    needs_all_oracles()
    values, arrays = reference(ALL_ORACLES / "popout", "example_P3")
    saliency, circle = arrays["map"], arrays["targ_circle"] / 255
    for gaussian, name in ((False, "rect"), (True, "gaussian")):
        tries, _ = values[f"numfix2find_circle_{name}_max3000"]
        ours = metrics.fixations_to_find(saliency, circle, 75, gaussian=gaussian, most=3001)
        assert int(ours) == tries
    assert int(metrics.fixations_to_find(saliency, circle, 75, most=100)) == 100
    assert int(metrics.fixations_to_find(saliency, circle, most=3001)) == 417  # P3's own size


grey = hnp.arrays(np.uint8, SIZE, elements=st.integers(0, 6))
soft = hnp.arrays(np.float64, SIZE, elements=st.sampled_from([0, 0, 0, 0.25, 0.75, 1]))


def brute_msr(saliency, target, distractors):
    points = list(np.ndindex(saliency.shape))
    t, d = (max(saliency[p] * m[p] for p in points) for m in (target, distractors))
    clear = [p for p in points if target[p] <= 0.5 and distractors[p] <= 0.5]
    b = max((saliency[p] for p in clear), default=np.nan)
    return t / d if d > 0 else -1, b / t if t > 0 else -1


@quick
@given(grey, soft, soft)
def test_gsi_and_msr_equal_brute_force(saliency, target, distractors):
    target[0, 0] = distractors[1, 1] = 1
    target[2, 2] = distractors[2, 2] = 0
    t, d = (np.average(saliency, weights=m) for m in (target, distractors))
    want = (t - d) / (t + d) if t + d > 0 else -1
    assert float(metrics.gsi(saliency, target, distractors)) == pytest.approx(want, abs=1e-12)
    ours = metrics.msr(saliency, target, distractors)
    assert [float(v) for v in ours] == pytest.approx(brute_msr(saliency, target, distractors))
    table = metrics.ARRAY_METRICS["msr_target"]
    truth = {"target": target, "distractors": distractors}
    assert float(table(saliency, truth)) == pytest.approx(float(ours.target))


@quick
@given(soft, st.integers(0, 6))
def test_dilation_equals_skimage(mask, radius):
    want = skimage.morphology.dilation(mask, skimage.morphology.disk(radius))
    np.testing.assert_array_equal(dilated(mask, radius), want)
    np.testing.assert_array_equal(dilated(mask[None], radius)[0], want)


@quick
@given(grey, soft, soft)
def test_swapping_target_and_distractors_turns_the_sign(saliency, target, distractors):
    target[0, 0] = distractors[1, 1] = 1
    saliency = saliency + 1
    one, other = (metrics.gsi(saliency, *m) for m in ((target, distractors), (distractors, target)))
    assert float(one) == pytest.approx(-float(other), abs=1e-12)
    ratio, inverse = (
        metrics.msr(saliency, *m).target for m in ((target, distractors), (distractors, target))
    )
    assert float(ratio * inverse) == pytest.approx(1)


@quick
@given(grey, soft, st.sampled_from([2, 4, (2, 5), (6, 3), 30]), st.booleans())
def test_more_inhibition_and_patience_and_scale(saliency, target, ior, gaussian):
    target[4, 4] = 1
    scores = [
        int(metrics.fixations_to_find(saliency * s, target, ior, gaussian, most=m))
        for s, m in ((1, 5), (1, 200), (4, 200))
    ]
    assert scores[0] == min(scores[1], 5)
    assert scores[1] == scores[2]  # a power of two changes no rounding
    assert 1 <= scores[1] <= 200


def test_the_path_of_a_search_is_as_told():
    saliency, target = np.zeros((12, 12)), np.zeros((12, 12))
    for value, at in ((9, (2, 2)), (8, (2, 5)), (7, (5, 2)), (6, (9, 9))):
        saliency[at] = value
    target[9, 9] = 1
    assert int(metrics.fixations_to_find(saliency, target, 2)) == 4
    assert int(metrics.fixations_to_find(saliency, target, (2, 8))) == 3  # rows first: skips (2, 5)
    assert int(metrics.fixations_to_find(saliency, target, (8, 2))) == 3  # … and (5, 2)
    assert int(metrics.fixations_to_find(saliency, target, (2, 6))) == 4  # the end is excluded
    assert int(metrics.fixations_to_find(saliency, target, (2, 6.5))) == 4
    assert int(metrics.fixations_to_find(saliency, target, 24)) == 100  # all swept away
    assert int(metrics.fixations_to_find(saliency, target, 24, gaussian=True)) == 2  # still a peak


def test_of_equal_maxima_the_first_in_reading_order():
    saliency, target = np.ones((4, 4)), np.zeros((4, 4))
    target[0, 0] = 1
    assert int(metrics.fixations_to_find(saliency, target, 2)) == 1
    target = np.roll(target, 1)
    assert int(metrics.fixations_to_find(saliency, target, 2)) == 2


def test_batches_broadcast_and_equal_single_maps():
    rng = np.random.default_rng(0)
    saliency = rng.uniform(size=(3, 2, *SIZE))[:, 0]
    target, distractors = rng.uniform(size=(2, *SIZE)) > 0.8
    cases = {
        "gsi": lambda s: metrics.gsi(s, target, distractors),
        "target": lambda s: metrics.msr(s, target, distractors, dilate=1).target,
        "background": lambda s: metrics.msr(s, target, distractors).background,
        "most": lambda s: metrics.most_salient(s, target, distractors),
        "search": lambda s: metrics.fixations_to_find(s, target, 3),
    }
    for name, call in cases.items():
        whole = call(torch.from_numpy(saliency).float())
        assert whole.shape == (3,), name
        assert whole.dtype == torch.float64
        single = [call(torch.from_numpy(s).float()) for s in saliency]
        assert single[0].shape == ()
        np.testing.assert_array_equal(whole, torch.stack(single))
    assert metrics.gsi(saliency[0], np.stack([target] * 4), distractors).shape == (4,)


@quick
@given(grey, soft, soft)
def test_most_salient_is_the_item_with_the_highest_maximum(saliency, target, distractors):
    target[0, 0] = distractors[1, 1] = 1
    saliency = saliency.astype(float)
    inside, others = target > 0.5, distractors > 0.5
    expected = float(max(saliency[inside]) > max(saliency[others]))
    assert float(metrics.most_salient(saliency, target, distractors)) == expected
    for same in (saliency * 4 - 9, np.exp(saliency)):  # no zero, no scale
        assert float(metrics.most_salient(same, target, distractors)) == expected
    hard = (inside.astype(float), others.astype(float))
    ratio = float(metrics.msr(saliency + 1, *hard).target)
    assert (ratio > 1) == bool(expected)


def test_of_items_alike_but_for_noise_the_target_is_most_salient_in_one_of_n():
    items = torch.arange(8).repeat_interleave(5).view(5, 8)  # eight of five pixels
    noise = torch.rand(4000, 5, 8, generator=torch.Generator().manual_seed(0))
    found = metrics.most_salient(noise, items == 3, items != 3)
    assert found.mean().item() == pytest.approx(1 / 8, abs=0.02)
    assert metrics.most_salient(torch.ones(5, 8), items == 3, items != 3) == 0  # a tie is no find


def test_sentinels_and_nan():
    target, distractors, none = np.zeros((3, *SIZE), dtype=bool)
    target[2, 2] = distractors[5, 5] = True
    black, bright = np.zeros(SIZE), np.ones(SIZE)
    assert float(metrics.gsi(black, target, distractors)) == -1
    assert [float(v) for v in metrics.msr(black, target, distractors)] == [-1, -1]
    assert metrics.gsi(bright, none, distractors).isnan()
    assert metrics.gsi(bright, target, none).isnan()
    assert metrics.msr(bright, target, none).target.isnan()
    assert metrics.most_salient(bright, target, none).isnan()
    assert metrics.most_salient(bright, none, target).isnan()
    assert float(metrics.msr(bright, target, none).background) == 1
    assert metrics.msr(bright, ~distractors, distractors).background.isnan()  # no background
    assert metrics.fixations_to_find(bright, none).isnan()
    bright[0, 0] = np.nan
    assert metrics.fixations_to_find(bright, target).isnan()
    assert metrics.gsi(bright, target, distractors).isnan()
    assert metrics.most_salient(bright, target, distractors).isnan()
    assert metrics.msr(bright, target, distractors).target.isnan()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda s, t, d: metrics.gsi(s, t * 255, d),
            "target must be a mask of 0…1.* 255; ",
        ),
        (lambda s, t, d: metrics.msr(s, t, -d), "distractors must be a mask"),
        (lambda s, t, d: metrics.most_salient(s, t, -d), "distractors must be a mask"),
        (lambda s, t, d: metrics.fixations_to_find(s, t * np.nan), "target must be a mask"),
        (lambda s, t, d: metrics.gsi(s, t[1:], d), "differ in size"),
        (lambda s, t, d: metrics.msr(s, t, d, dilate=-1), "dilate must be 0 or more"),
        (lambda s, t, d: metrics.fixations_to_find(s, t, 1), "ior must be at least 2"),
        (lambda s, t, d: metrics.fixations_to_find(s, t, (5, 1)), "ior must be at least 2"),
        (lambda s, t, d: metrics.fixations_to_find(s, t, most=0), "most must be 1 or more"),
    ],
)
def test_bad_input_is_explained(call, message):
    saliency, target, distractors = np.ones((3, *SIZE))
    with pytest.raises(ValueError, match=message):
        call(saliency, target, distractors)
