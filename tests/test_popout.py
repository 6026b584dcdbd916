"""Search arrays: balanced design, exact masks, known differences, the same bytes by seed."""

import itertools

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import rgb2lab

from saliencykit import datasets
from saliencykit.datasets.popout import (
    BACKGROUNDS,
    BY_PEOPLE,
    FEATURES,
    PopOut,
    SearchArray,
    draw,
    search_of,
)
from saliencykit.datasets.popout.arrays import jittered_grid, pink_noise
from saliencykit.datasets.popout.features import OPPONENTS, srgb
from saliencykit.datasets.popout.shapes import Item, bar, disc, flower, ring, ring_with_tail
from saliencykit.registry import UnknownNameError

quick = settings(max_examples=30, deadline=None)
SMALL = (150, 200)
EIGHT = np.ones((3, 3))
conditions = st.builds(
    SearchArray,
    st.sampled_from(list(FEATURES)),
    st.integers(4, 64),
    st.floats(0.01, 1),
    st.sampled_from(list(BACKGROUNDS)),
    st.floats(0, 1),
)
sizes = st.sampled_from([(128, 128), (131, 257), (480, 640), (400, 211), (96, 1000)])


def parts(mask):
    return scipy.ndimage.label(mask.numpy(), EIGHT)[1]


# --- one array ----------------------------------------------------------------------------------


@quick
@given(conditions, sizes, st.integers(0, 10**6))
def test_masks_are_disjoint_and_hold_each_item_once_inside_the_image(spec, size, seed):
    image, target, distractors = draw(spec, size, seed)
    assert (image.shape, image.dtype) == ((3, *size), torch.uint8)
    assert target.shape == distractors.shape == size
    assert target.dtype == distractors.dtype == torch.bool
    assert not (target & distractors).any()
    assert parts(target) == 1
    assert parts(distractors) == spec.set_size - 1
    assert parts(target | distractors) == spec.set_size
    edge = torch.ones(size, dtype=torch.bool)
    edge[1:-1, 1:-1] = False
    assert not ((target | distractors) & edge).any()


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("feature", FEATURES)
def test_nothing_but_items_is_drawn_and_all_of_it_is_masked(feature, background):
    spec = SearchArray(feature, 12, 1.0, background)
    image, target, distractors = draw(spec, SMALL, 3)
    near = scipy.ndimage.binary_dilation((target | distractors).numpy(), EIGHT)
    blank = image.numpy()[:, ~near]
    assert (blank == blank[0]).all()  # grey
    if background != "textured":
        assert (blank == np.rint(srgb(BACKGROUNDS[background])[0])).all()
    # what is covered at least half differs from every shade of the background
    covered = image.numpy()[:, (target | distractors).numpy()].astype(int)
    assert np.abs(covered - np.median(blank)).max(axis=0).min() >= 5


@pytest.mark.parametrize("feature", FEATURES)
def test_target_differs_from_every_distractor_in_what_is_told(feature):
    spec = SearchArray(feature, 9, 1.0, "grey")
    target, *others = (placed.item for placed in spec.items((480, 640), 5))
    assert target not in others
    assert len({(o.shape.func, o.colour, o.tilt, o.reach) for o in others}) == (
        2 if feature == "conjunction" else 1
    )


@pytest.mark.parametrize("feature", FEATURES)
def test_pixels_of_target_and_distractor_differ_the_more_the_larger_the_difference(feature):
    def gap(difference):
        spec = SearchArray(feature, 4, difference, "grey")
        pictures = []
        for item in {p.item for p in spec.items((480, 640), 8)[:2]}:
            canvas = np.tile(srgb(50.0), (100, 100, 1))
            patch, covered = item.coverage(50.2, 49.7)
            canvas[patch] += covered[..., None] * (np.array(item.colour) - canvas[patch])
            pictures.append(canvas)
        return np.abs(pictures[0] - pictures[1]).sum()

    gaps = [gap(d) for d in (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)]
    assert gaps[0] > 0
    assert (np.diff(gaps) > 0).all()


@quick
@given(conditions, st.integers(0, 10**6))
def test_same_seed_same_bytes_other_seed_other_bytes(spec, seed):
    one, again = (draw(spec, SMALL, seed) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    # Of four items without jitter one seed in eight gives the same picture: one of many must not.
    others = (draw(spec, SMALL, seed + k).image for k in range(1, 20))
    assert any(not torch.equal(one.image, other) for other in others)


def test_array_is_that_of_yesterday():
    """A change of an array is a change of the data set: make it knowingly."""
    spec = SearchArray("conjunction", 16, 0.5, "textured")
    image, target, _ = draw(spec, SMALL, 7)
    x, y = (np.nonzero(target.numpy())[k].mean() for k in (1, 0))
    assert (x, y) == pytest.approx((130.71, 56.11), abs=0.01)
    assert image.double().mean() == pytest.approx(119.27, abs=0.01)  # one step in 100 would show


def test_one_seed_matches_layouts_across_conditions():
    places = [
        [(int(x // 160), int(y // 120)) for _, x, y in SearchArray(f, 16, d).items((480, 640), 4)]
        for f, d in itertools.product(FEATURES, (0.1, 1.0))
    ]
    assert all(p == places[0] for p in places)


def test_targets_lie_in_every_part_of_the_picture():
    at = [SearchArray(set_size=16).items((480, 640), s)[0] for s in range(300)]
    counts, *_ = np.histogram2d([p.y for p in at], [p.x for p in at], (2, 2), [[0, 480], [0, 640]])
    assert counts.min() > 50  # 75 expected; fewer than 51 has a chance of less than 1 in 1,000


# --- what a difference means --------------------------------------------------------------------


@pytest.mark.parametrize("difference", [0.025, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(6))
def test_colours_are_isoluminant_and_as_far_apart_as_told(difference, seed):
    spec = SearchArray("colour", 4, difference)
    lab = [rgb2lab(np.array(p.item.colour) / 255) for p in spec.items((480, 640), seed)[:2]]
    assert lab[0][0] == pytest.approx(60, abs=0.01)  # so no colour left the gamut
    assert lab[1][0] == pytest.approx(60, abs=0.01)
    assert np.linalg.norm(lab[0] - lab[1]) == pytest.approx(100 * difference, abs=0.02)
    assert spec.physical == pytest.approx(100 * difference)
    rounded = [rgb2lab(np.rint(p.item.colour) / 255) for p in spec.items((480, 640), seed)[:2]]
    assert abs(rounded[0][0] - rounded[1][0]) < 0.4  # L* of the bytes: under half a step of grey


def test_the_way_from_a_colour_to_its_opponent_lies_in_srgb():
    for one, other in np.array(OPPONENTS, dtype=float):
        assert np.linalg.norm(one - other) == pytest.approx(100)
        for share in np.linspace(0, 1, 21):
            a, b = one + share * (other - one)
            assert rgb2lab(np.array(srgb(60.0, a, b)) / 255) == pytest.approx([60, a, b], abs=0.01)


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_brightness_differs_in_lightness_only_and_away_from_the_background(background):
    for seed in range(4):
        spec = SearchArray("brightness", 4, 0.4, background)
        items = [p.item for p in spec.items((480, 640), seed)[:2]]
        odd, common = (rgb2lab(np.array(i.colour) / 255)[0] for i in items)
        ground = BACKGROUNDS[background]
        assert abs(odd - common) == pytest.approx(0.4 * 35, abs=0.01)
        assert abs(odd - ground) == pytest.approx(15 + 0.4 * 35, abs=0.01)
        assert items[0].shape.keywords == items[1].shape.keywords


@pytest.mark.parametrize(
    ("feature", "angle"),
    [("orientation", 90), ("tilted_among_vertical", 45), ("vertical_among_tilted", 45)],
)
def test_orientations_differ_by_the_degrees_told(feature, angle):
    for seed, difference in itertools.product(range(4), (0.1, 1.0)):
        _, target, distractors = draw(SearchArray(feature, 4, difference), (960, 1280), seed)
        turned = abs(orientation(target) - orientation(first(distractors))) % 180
        assert min(turned, 180 - turned) == pytest.approx(angle * difference, abs=1.5)


def first(mask):
    return torch.from_numpy(scipy.ndimage.label(mask.numpy(), EIGHT)[0] == 1)


def orientation(mask):
    """Orientation, in degrees, of the longest axis of a mask's pixels."""
    y, x = np.nonzero(mask.numpy())
    spread = np.linalg.eigh(np.cov(x, y))[1][:, -1]
    return np.degrees(np.arctan2(spread[1], spread[0]))


def test_asymmetric_searches_swap_target_and_distractors():
    for one, other in (
        ("q_among_o", "o_among_q"),
        ("tilted_among_vertical", "vertical_among_tilted"),
    ):
        here, there = (SearchArray(f, 4, 0.8).items(SMALL, 1)[:2] for f in (one, other))
        swapped = [placed.item for placed in there][::-1]
        assert [repr(p.item) for p in here] == [repr(item) for item in swapped]
    vertical = SearchArray("vertical_among_tilted").items(SMALL, 1)[0]
    assert vertical.item.tilt == 0


def test_sizes_differ_by_the_octaves_told_to_either_side():
    ratios = set()
    for seed in range(8):
        _, target, distractors = draw(SearchArray("size", 4, 1.0), (960, 1280), seed)
        ratios.add(round(0.5 * np.log2(int(target.sum()) / int(first(distractors).sum())), 1))
    assert ratios == {-1.0, 1.0}


def test_a_conjunction_shares_each_feature_with_half_of_the_distractors():
    for n in (4, 17, 64):
        target, *others = (p.item for p in SearchArray("conjunction", n).items(SMALL, 2))
        colour = [o.colour == target.colour for o in others]
        turned = [o.tilt == target.tilt for o in others]
        assert [not c for c in colour] == turned
        assert abs(sum(colour) - sum(turned)) <= 1


# --- shapes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        (lambda x, y: disc(x, y, 12), np.pi * 144),
        (lambda x, y: bar(x, y, 30, 8), 240),
        (lambda x, y: ring(x, y, 12, 4), 2 * np.pi * 12 * 4),
        (lambda x, y: flower(x, y, 12, 0.0), np.pi * 144),
        (lambda x, y: flower(x, y, 12, 0.35), np.pi * 144),
        (lambda x, y: ring_with_tail(x, y, 12, 4, 16), 2 * np.pi * 12 * 4 + 12 * 4),
    ],
)
@pytest.mark.parametrize("tilt", [0, 30, 45])
def test_coverage_sums_to_the_area_of_the_shape(shape, area, tilt):
    for x, y in ((40.0, 40.0), (40.3, 39.8)):
        _, covered = Item(shape, 20, (0, 0, 0), tilt).coverage(x, y)
        assert covered.sum() == pytest.approx(area, rel=0.015)  # worst on diagonals
        edge = [covered[0], covered[-1], covered[:, 0], covered[:, -1]]
        assert not np.concatenate(edge).any()


def test_tilt_is_clockwise_and_the_tail_lies_at_the_lower_right():
    (rows, columns), covered = Item(lambda x, y: bar(x, y, 20, 4), 12, (0, 0, 0), 30).coverage(
        20, 20
    )
    y, x = np.mgrid[rows, columns]
    up = (y < 16) & (covered > 0.5)
    assert x[up].mean() > 22
    tail = ring_with_tail(np.array([7.0, -7, 7, -7]), np.array([7.0, 7, -7, -7]), 8, 2, 10)
    assert (tail < 0).tolist() == [True, False, False, False]


@quick
@given(st.integers(4, 64), sizes, st.floats(0, 1), st.integers(0, 99))
def test_places_lie_in_different_cells_with_room_around(n, size, jitter, seed):
    x, y = jittered_grid(n, size, 4.0, jitter, np.random.default_rng(seed))
    assert (x >= 4).all() and (x <= size[1] - 4).all()  # noqa: PT018
    assert (y >= 4).all() and (y <= size[0] - 4).all()  # noqa: PT018
    apart = np.maximum(np.abs(x[:, None] - x), np.abs(y[:, None] - y)) + 1e9 * np.eye(n)
    assert apart.min() >= 8 - 1e-9


def test_pink_noise_falls_with_frequency():
    noise = pink_noise((256, 256), np.random.default_rng(0))
    assert np.abs(noise).max() <= 2.5
    assert noise.std() == pytest.approx(1, abs=0.05)
    power = np.abs(np.fft.rfft2(noise))[: 256 // 2] ** 2
    radius = np.hypot(np.arange(128)[:, None], np.arange(129))
    bands = [power[(radius >= r) & (radius < 2 * r)].mean() for r in (4, 8, 16, 32)]
    slopes = np.diff(np.log2(bands))
    np.testing.assert_allclose(slopes, -2, atol=0.5)  # power ∝ 1/f²: two octaves of power an octave


@pytest.mark.parametrize(
    ("settings_", "error", "message"),
    [
        ({"feature": "color"}, UnknownNameError, "feature 'color'. Did you mean 'colour'"),
        ({"background": "gray"}, UnknownNameError, "background 'gray'. Did you mean 'grey'"),
        ({"set_size": 3}, ValueError, "set_size must be 4 to 64, not 3"),
        ({"set_size": 65}, ValueError, "set_size must be 4 to 64"),
        ({"difference": 0}, ValueError, r"difference must lie in \(0, 1\]"),
        ({"difference": float("nan")}, ValueError, "difference must lie in"),
        ({"jitter": 1.1}, ValueError, "jitter must lie in"),
    ],
)
def test_conditions_out_of_range_are_explained(settings_, error, message):
    with pytest.raises(error, match=message):
        SearchArray(**settings_)


def test_a_picture_too_small_is_explained():
    with pytest.raises(ValueError, match=r"100×100 pixels .* leaves 12.5 pixels an item; 16 are"):
        draw(SearchArray(), (100, 100))


# --- the data set -------------------------------------------------------------------------------


def test_default_design_is_balanced():
    ds = datasets.load("popout")
    table = ds.table
    assert len(ds) == len(table) == 720
    assert table["name"].tolist() == ds.names
    assert len(set(ds.names)) == 720
    crossed = table.groupby(["feature", "set_size", "difference", "background"])
    assert crossed.size().tolist() == [2] * 10 * 3 * 3 * 4
    assert set(table["feature"]) == set(FEATURES)
    one = table[(table["feature"] == "size") & (table["difference"] == 0.5)]
    assert set(one["physical"]) == {0.5}
    assert set(one["unit"]) == {"octaves of diameter"}
    assert (len(ds.split("test")), len(ds.split("train"))) == (720, 0)


@pytest.fixture(scope="module")
def few():
    return datasets.load(
        "popout", set_sizes=[4, 9], differences=[1], backgrounds=["dark", "textured"], size=SMALL
    )


def test_samples_and_masks_belong_together(few):
    table = few.table
    for i in range(0, len(few), 7):
        sample, target, distractors = few[i], few.targets(i), few.distractors(i)
        assert sample.size == few.size_of(i) == SMALL
        assert (len(sample.fixations), sample.regions, sample.scene) == (0, [], None)
        assert parts(target | distractors) == table["set_size"][i]
        y, x = (float(v) + 0.5 for v in scipy.ndimage.center_of_mass(target.numpy()))
        assert (x, y) == pytest.approx((table["x"][i], table["y"][i]), abs=1)


def test_an_array_does_not_depend_on_the_design(few):
    name = "conjunction_09_1_textured_1"
    alone = datasets.load(
        "popout", features=["conjunction"], set_sizes=[9], differences=[1.0], size=SMALL
    )
    assert torch.equal(few.image(few.names.index(name)), alone.image(alone.names.index(name)))


def test_repeats_and_seeds_differ_and_nothing_can_be_spoilt(few):
    first_, second = few.names.index("size_04_1_dark_0"), few.names.index("size_04_1_dark_1")
    assert not torch.equal(few.image(first_), few.image(second))
    other = datasets.load("popout", seed=1, size=SMALL)
    same = few.image(first_)
    assert not torch.equal(same, other.image(other.names.index("size_04_1_dark_0")))
    few.image(first_).zero_()
    few.targets(first_).zero_()
    assert torch.equal(few.image(first_), same)
    assert few.targets(first_).any()


def test_subset_and_fingerprint(few):
    part = few.subset(few.names[5:1:-1])
    assert part.table["name"].tolist() == part.names
    assert torch.equal(part.image(0), few.image(5))
    prints = {few.fingerprint, part.fingerprint}
    for more in ({"seed": 1}, {"jitter": 0.2}, {"size": (200, 150)}, {"repeats": 1}):
        settings_ = {"set_sizes": [4, 9], "differences": [1], "size": SMALL, **more}
        prints.add(datasets.load("popout", **settings_).fingerprint)
    assert len(prints) == 6


@pytest.mark.parametrize(
    ("settings_", "error", "message"),
    [
        ({"features": ["colour", "szie"]}, UnknownNameError, "'szie'. Did you mean 'size'"),
        ({"set_sizes": [4, 100]}, ValueError, "set_size must be 4 to 64, not 100"),
        ({"repeats": 0}, ValueError, "need repeats ≥ 1"),
        ({"size": (100, 100)}, ValueError, "a picture of 100×100 pixels"),
    ],
)
def test_a_design_out_of_range_is_explained(settings_, error, message):
    with pytest.raises(error, match=message):
        datasets.load("popout", **settings_)


def test_an_ideal_searcher_looks_at_the_target_only():
    data = PopOut(features=["colour"], set_sizes=[16], differences=[1], size=(120, 160), looks=50)
    assert {data.split_of(name) for name in data.names} == {"train"}
    for i in range(len(data)):
        seen = data[i].fixations
        assert len(seen) == 50
        assert data.targets(i)[seen.y.long(), seen.x.long()].all()
        assert seen.x.std() > 1
    assert torch.equal(data[0].fixations.x, data[0].fixations.x)
    assert not torch.equal(data[0].fixations.x, data[1].fixations.x)
    nobody = PopOut(features=["colour"], set_sizes=[16], differences=[1], size=(120, 160))
    assert torch.equal(nobody.image(0), data.image(0))
    assert nobody.fingerprint != data.fingerprint
    with pytest.raises(ValueError, match="looks ≥ 0"):
        PopOut(looks=-1)


def test_of_every_kind_of_search_it_is_known_whether_people_find_the_target_at_once():
    assert set(BY_PEOPLE) == set(FEATURES)
    assert all(finding.source for finding in BY_PEOPLE.values())
    slow = {name for name, finding in BY_PEOPLE.items() if not finding.efficient}
    assert slow == {"conjunction", "o_among_q", "vertical_among_tilted"}
    told = search_of(PopOut(repeats=1).table["feature"])
    assert told.value_counts().to_dict() == {"efficient": 7 * 36, "inefficient": 3 * 36}
