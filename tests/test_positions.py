"""Positions: pixels, fractions of an image's sides, codes for lost samples; and names of people."""

import re
import tracemalloc
import warnings

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from saliencykit import datasets, metrics
from saliencykit.datasets import Fixations
from saliencykit.datasets.tracker import import_table
from saliencykit.models import CentrePrior
from saliencykit.reading.positions import RARE, fractions, lost
from tests import miniature
from tests.conftest import Blobs

SIZE = (60, 80)
FEW = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
SAID = "fractions of the image's sides"
parts = hnp.arrays(np.float64, st.tuples(st.integers(3, 40), st.just(2)), elements=st.floats(0, 1))


@FEW
@given(parts, st.integers(0, 3), st.booleans())
def test_fractions_are_seen_though_some_are_off_the_image_or_lost(xy, off, codes):
    assert not fractions(*(np.round(2 + xy * 70)).T)
    share = ((xy > 0) & (xy < 1)).all(1).mean()
    more = np.array([[1.2, 0.5], [-0.1, 1.4], [3.0, 0.2]])[:off]
    blink = np.array([[0, 0], [-1, -1], [np.nan, np.nan]] * 20)[: 60 * codes]
    told = fractions(*np.concatenate([xy, more, blink]).T)
    assert told or share * len(xy) <= max(2, (len(xy) + off) / 2)


@FEW
@given(parts)
def test_pixels_are_no_fractions(xy):
    assert not fractions(*(xy * (798, 598) + 1.01).T)
    assert not fractions(*(xy > 0.5).astype(float).T)  # whole: some may well be in the corner


@pytest.mark.parametrize("size", [(1, 1), (3, 4), (8, 8), (12, 29), (29, 12), (60, 80)])
def test_gaze_on_few_pixels_is_no_fractions(size):
    random = np.random.default_rng(0)
    for n in random.integers(3, 60, 400):
        xy = random.uniform(0, 1, (n, 2))
        assert not fractions(*(xy * size[::-1]).T, size)
        if n * np.log(size[0] * size[1]) > -np.log(RARE):
            assert fractions(*xy.T, size)


def test_one_axis_of_fractions_is_enough():
    x, y = np.linspace(2, 79, 12), np.linspace(0.1, 0.9, 12)
    assert fractions(x, y)
    assert fractions(y, x)
    assert not fractions(x[:9], y[:9])


def test_few_people_recorded_otherwise_are_seen():
    x = np.concatenate([np.linspace(3, 70, 20), np.linspace(0.1, 0.9, 5)])
    assert fractions(x, x)
    assert not fractions(x[:22], x[:22])


def blobs_of(xy):
    class Seen(Blobs):
        def fixations(self, i):
            return Fixations.of(*np.asarray(xy, dtype=float).T)

    return Seen()


HALF = [(0.2, 0.5), (0.7, 0.1), (0.4, 0.9)]


def test_no_array_of_fractions_passes_for_pixels():
    data = blobs_of(HALF)
    x, y = (torch.tensor(v) for v in zip(*HALF, strict=True))
    who = torch.arange(3)
    for ask in (
        lambda: data[0],
        lambda: data.fixations(0).count_map(*SIZE),
        lambda: CentrePrior.fit(data),
        lambda: CentrePrior.fit(blobs_of(HALF[:1])),
        lambda: metrics.leave_one_out(x, y, who, SIZE),
        lambda: metrics.split_half(x, y, who, SIZE),
        lambda: metrics.by_observers(x, y, who, SIZE, [1]),
    ):
        with pytest.raises(ValueError, match=SAID):
            ask()
    assert Fixations.of(*zip(*HALF, strict=True)).count_map(2, 2).sum() == 3  # on so few pixels
    assert len(blobs_of([(0.2, 0.5), (7, 9)])[0].fixations) == 2


@pytest.mark.parametrize("name", ["osie", "crowd", "salicon", "salicon json", "figrim"])
def test_no_mat_of_fractions_passes_for_pixels(tmp_path, name):
    half = [np.array(HALF) for _ in range(2)]
    if name == "osie":
        miniature.write_osie(tmp_path, n=1, size=SIZE)
        with_seconds = [np.column_stack([t, np.full(3, 0.2)]) for t in half]
        miniature.save_osie_gaze(tmp_path / "eye" / "fixations.mat", {"1001": with_seconds})
    elif name == "crowd":
        miniature.write_crowd(tmp_path, n=1, size=SIZE)
        with_seconds = [np.column_stack([t, np.full(3, 0.2)]) for t in half]
        miniature.save_osie_gaze(tmp_path / "eye" / "fixations.mat", {"001": with_seconds})
    elif name == "figrim":
        miniature.write_figrim(tmp_path, n=1, size=SIZE)
        file = tmp_path / "allImages_release.mat"
        stem = datasets.load("figrim", tmp_path).names[0].split("/")[-1]
        seen = [miniature.seen_by(enc=t) for t in half]
        miniature.save_figrim_gaze(file, {f"{stem}.jpg": seen})
    else:
        form = "json" if name.endswith("json") else "mat"
        miniature.write_salicon(tmp_path, n=(1, 0, 0), size=SIZE, form=form)
        here = {"COCO_train2014_000000000001": half}
        miniature.save_salicon_split(tmp_path, "train", here, SIZE, form)
    data = datasets.load(name.split()[0], tmp_path)
    with pytest.raises(ValueError, match=SAID):
        [data.fixations(i) for i in range(len(data))]


@pytest.mark.parametrize("lines", ["", "a,1.1,0.5,ann\n", "a,-0.2,0.4,ann\na,0,0,bob\n"])
def test_no_table_of_fractions_passes_for_pixels(tmp_path, lines):
    miniature.write_image(tmp_path / "images" / "a.png", SIZE)
    text = "image,x,y,observer\n" + "".join(f"a,{x},{y},ann\n" for x, y in HALF) + lines
    (tmp_path / "images" / "fixations.csv").write_text(text)
    with pytest.raises(ValueError, match=f"(?s)fixations.csv.*{SAID}.*--units fraction-of-image"):
        datasets.load("folder", tmp_path / "images")
    table, out = tmp_path / "images" / "fixations.csv", tmp_path / "out"
    with pytest.raises(ValueError, match="Are they --units fraction-of-image"):
        import_table(table, tmp_path / "images", out)
    found = import_table(
        table, tmp_path / "images", out, datasets.tracker.Screen("fraction-of-image")
    )
    assert found.rows["kept"] >= 3


# --- lost samples -------------------------------------------------------------------------------


@FEW
@given(st.integers(0, 30), st.integers(0, 400))
def test_lost_samples_are_many_and_told(n, others):
    x = np.concatenate([np.zeros(n), np.arange(2, others + 2)])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        gone = lost(x, x, "here")
    expected = n > 1 and 100 * n >= len(x)
    assert gone.tolist() == [expected] * n + [False] * others
    assert [re.findall(r"here: (\d+) of (\d+)", str(w.message)) for w in told] == (
        [[(str(n), str(len(x)))]] if n else []
    )
    assert all(("left out" if expected else "kept") in str(w.message) for w in told)


def test_lost_samples_of_a_folder_are_no_fixations(tmp_path):
    for name in ("a.png", "b.png"):
        miniature.write_image(tmp_path / name, SIZE)
    rows = [("a", 5 + k, 9, "ann") for k in range(8)]
    table = ("image", "x", "y", "observer")
    miniature.save_table(tmp_path / "fixations.csv", table, [("b", 0, 0, "bob"), *rows])
    with pytest.warns(UserWarning, match="1 of 9 fixations lie at exactly .* kept"):
        assert len(datasets.load("folder", tmp_path).fixations(1)) == 1
    again = [("b", 0, 0, "bob"), *rows, ("a", 0, 0, "ann")]
    miniature.save_table(tmp_path / "fixations.csv", table, again)
    with pytest.warns(UserWarning, match=r"fixations.csv: 2 of 10 fixations .* left out"):
        data = datasets.load("folder", tmp_path)
    assert data.fixations(0).x.tolist() == list(range(5, 13))
    assert len(data.fixations(1)) == 0


def test_lost_samples_of_a_mat_are_no_fixations(tmp_path):
    miniature.write_osie(tmp_path, n=1, size=(600, 800))
    trial = np.array([[0, 0, 0.1], [50, 60, 0.2], [0, 0, 0.3]])
    miniature.save_osie_gaze(tmp_path / "eye" / "fixations.mat", {"1001": [trial]})
    with pytest.warns(UserWarning, match=r"fixations.mat: 2 of 3 fixations"):
        fixations = datasets.load("osie", tmp_path).fixations(0)
    assert (fixations.x.tolist(), fixations.order.tolist()) == ([50], [1])


def test_an_image_is_not_in_a_mat_twice(tmp_path, monkeypatch):
    miniature.write_osie(tmp_path, n=2, size=SIZE)
    path = tmp_path / "eye" / "fixations.mat"
    monkeypatch.setattr(datasets.osie, "one_spelling", lambda name: "1001")
    with pytest.raises(ValueError, match=r"fixations\{2\}: image .* is there twice"):
        datasets.osie.read_gaze(path)


# --- people -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", ["leave_one_out", "split_half", "by_observers"])
def test_observers_may_be_dates(ask):
    random = np.random.default_rng(0)
    x, y = torch.tensor(random.uniform(2, 60, 60)), torch.tensor(random.uniform(2, 40, 60))
    who = torch.arange(60) % 4
    more = ([1, 2],) if ask == "by_observers" else ()
    of = getattr(metrics, ask)
    expected = of(x, y, who, (48, 64), *more)
    tracemalloc.start()
    found = of(x, y, 20240101 + 7 * who, (48, 64), *more)
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("who", [["ann"], ["1"], [1.5], [np.nan], [None]])
def test_a_name_is_no_index(who):
    with pytest.raises(ValueError, match=r"observer .* is no whole number"):
        Fixations.of([1], [1], who)


def test_whole_numbers_of_any_kind_are_indices():
    for who in ([2], [2.0], np.array([2], np.uint8), torch.tensor([2]), [True]):
        assert Fixations.of([1], [1], who).observer.tolist() == [int(who[0])]
    assert len(Fixations.of([], [], [])) == 0
