import pickle
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from saliencykit.analyses.data.tables import attraction
from saliencykit.datasets.base import DATASETS
from saliencykit.datasets.toyworld import (
    CROP_CLASSES,
    DEFAULT_WEIGHTS,
    SCENES,
    ToyWorld,
    crops,
)
from saliencykit.datasets.toyworld.backdrops import BACKDROPS
from saliencykit.datasets.toyworld.observers import Observers, local_contrast, look
from saliencykit.datasets.toyworld.pen import DRAWERS, Pen
from saliencykit.datasets.toyworld.scenes import compose, label, paint, render
from saliencykit.datasets.toyworld.things import KINDS, draw
from saliencykit.datasets.types import CATEGORIES
from saliencykit.registry import UnknownNameError

SIZE = (120, 160)
FLIPPED = dict(zip(DEFAULT_WEIGHTS, reversed(DEFAULT_WEIGHTS.values()), strict=True))


def world(**settings):
    return ToyWorld(**{"n": 70, "size": SIZE, **settings})


def ranks(values):
    return np.argsort(np.argsort(values))


def test_registered_and_described():
    assert DATASETS["toyworld"] is ToyWorld
    small = world(n=3)
    assert small.names == ["toy_00000", "toy_00001", "toy_00002"]
    assert small.planted == DEFAULT_WEIGHTS
    sample = small[2]
    assert sample.image.dtype == torch.uint8
    assert sample.image.shape == (3, *SIZE)
    assert sample.scene in SCENES
    assert len(sample.fixations) == 15 * 10
    assert sample.fixations.observer.unique().tolist() == list(range(15))


def test_scene_depends_on_seed_and_number_only():
    a, b = render(5, 3, SIZE), render(5, 3, SIZE)
    assert (a.image == b.image).all()
    assert (a.labels == b.labels).all()
    assert not np.array_equal(a.image, render(6, 3, SIZE).image)
    assert not np.array_equal(a.image, render(5, 3 + len(SCENES), SIZE).image)
    few, more = world(n=2, seed=5), world(n=6, seed=5)
    assert torch.equal(few.image(1), more.image(1))
    assert torch.equal(few.fixations(1).x, more.fixations(1).x)
    assert torch.equal(more.image(3), torch.from_numpy(a.image).permute(2, 0, 1))


def test_weights_move_fixations_but_not_pictures():
    plain, flipped = world(n=4), world(n=4, weights=FLIPPED)
    assert torch.equal(plain.image(2), flipped.image(2))
    assert not torch.equal(plain.fixations(2).x, flipped.fixations(2).x)
    assert plain.fingerprint != flipped.fingerprint


@pytest.mark.parametrize("i", range(2 * len(SCENES)))
def test_mask_is_exactly_where_a_figure_shows(i):
    """Taking a figure's paint away changes its mask, and beside it only antialiased edges."""
    back, placed = compose(1, i, SIZE)
    labels, categories = label(placed, SIZE)
    picture, first = paint(back, placed).astype(int), 1
    for k, p in enumerate(placed):
        layers = [replace(v, colour=v.colour * 0, alpha=v.alpha * 0) for v in p.figure.layers]
        bare = [*placed[:k], replace(p, figure=replace(p.figure, layers=layers)), *placed[k + 1 :]]
        changed = (picture != paint(back, bare)).any(2)
        count = sum(v.category is not None for v in p.figure.layers)
        mask = (labels >= first) & (labels < first + count)
        first += count
        own = coverage([p], SIZE, lambda v: v.category is not None)
        post = coverage([p], SIZE, lambda v: v.category is None)
        front = coverage(placed[k + 1 :], SIZE, lambda v: True)
        assert np.array_equal(mask, (own >= 0.5) & (front < 0.5))
        assert changed[mask].mean() > 0.97
        beside = changed & ~mask & (post < 0.5) & (front < 0.5)
        assert (own[beside] < 0.5).all()
        assert (own + post)[changed].min() > 0
    assert first - 1 == len(categories)


def coverage(placed, size, which):
    """Largest alpha at each pixel of the layers for which `which` holds."""
    most = np.zeros(size, dtype=np.float32)
    for p in placed:
        for v in filter(which, p.figure.layers):
            h, w = v.alpha.shape
            spot = most[p.y : p.y + h, p.x : p.x + w]
            np.maximum(spot, v.alpha, out=spot)
    return most


def test_regions_are_disjoint_and_cover_the_label_map():
    toy = world(n=14)
    for i in range(len(toy)):
        regions, labels = toy.regions(i), toy.labels(i)
        stack = torch.stack([r.as_mask(*SIZE) for r in regions])
        assert (stack.sum(0) <= 1).all()
        assert torch.equal(stack.any(0), labels > 0)
        assert stack.flatten(1).any(1).all()
        assert [r.category for r in regions] == toy.region_categories(i)
        categories = [r.category for r in regions]
        assert categories.count("person_head") == categories.count("person_part")
        assert categories.count("animal_head") == categories.count("animal_part")


def test_every_class_and_category_occurs():
    toy = world(n=140)
    scenes = [toy.scene(i) for i in range(len(toy))]
    assert {scenes.count(s) for s in SCENES} == {20}
    assert len(SCENES) >= 6
    for category in CATEGORIES:
        share = np.mean([category in toy.region_categories(i) for i in range(len(toy))])
        assert share >= 0.12, (category, share)


def test_fixations_lie_inside_and_agree():
    toy = world(n=40)
    leave_one_out = []
    for i in range(len(toy)):
        f = toy.fixations(i)
        assert (f.x >= 0).all()
        assert (f.x < SIZE[1]).all()
        assert (f.y >= 0).all()
        assert (f.y < SIZE[0]).all()
        left = f[f.observer != 0].count_map(*SIZE)[None, None]
        smooth = torch.nn.functional.avg_pool2d(left, 9, 1, 4)[0, 0]
        one = f[f.observer == 0].count_map(*SIZE)
        z = (smooth - smooth.mean()) / smooth.std()
        leave_one_out.append(float((z * one).sum() / one.sum()))
    assert 2 < np.mean(leave_one_out) < 4


def recovered_weights(data):
    return attraction(data, n=1).set_index("category")["value"]


@pytest.mark.parametrize("weights", [None, FLIPPED])
def test_planted_weights_are_recovered(weights):
    toy = world(n=140, weights=weights)
    found = recovered_weights(toy)
    planted = np.array([toy.planted[c] for c in CATEGORIES])
    seen = found[list(CATEGORIES)].to_numpy()
    assert np.corrcoef(np.log(planted), np.log(seen))[0, 1] > 0.93
    high, low = planted >= 2 * planted.mean(), planted <= planted.mean() / 2
    assert seen[high].min() > 1.5 * seen[low].max()
    assert found["background"] < seen.min()


def test_flip_reverses_the_order():
    plain, flipped = (recovered_weights(world(n=140, weights=w)) for w in (None, FLIPPED))
    assert plain["person_head"] > 3 * plain["plant"]
    assert flipped["plant"] > 3 * flipped["person_head"]
    order = [[found[c] for c in CATEGORIES] for found in (plain, flipped)]
    assert np.corrcoef(ranks(order[0]), ranks(order[1]))[0, 1] < -0.8


def test_without_noise_the_weights_come_back_as_planted():
    pure = {"individual": 0.0, "inhibition": 1.0, "scatter": 0.0, "contrast": 0.0, "centre": 0.0}
    toy = world(n=140, fixations=40, **pure)
    found, mean = recovered_weights(toy), np.mean(list(toy.planted.values()))
    for category, weight in toy.planted.items():
        assert found[category] == pytest.approx(weight / mean, rel=0.15), category
    assert found["background"] == 0


def test_strength_zero_favours_no_category():
    found = recovered_weights(world(n=140, strength=0.0))
    seen = found[list(CATEGORIES)].to_numpy()
    assert seen.min() > 0.75
    assert seen.max() < 1.3


def test_inhibition_of_return_and_middle():
    labels = np.zeros((60, 80), dtype=np.uint8)
    labels[10:50, 5:35], labels[10:50, 45:75] = 1, 2
    image, names = np.zeros((3, 60, 80), dtype=np.uint8), ["object", "object"]
    base = {"contrast": 0.0, "centre": 0.0, "individual": 0.0, "scatter": 0.0, "count": 200}

    def stays(**change):
        who = Observers(DEFAULT_WEIGHTS, **{**base, **change})
        x, y, _ = look(image, labels, names, who, np.random.default_rng(0))
        side = labels[y.astype(int), x.astype(int)].reshape(200, -1)
        assert (side > 0).all()
        return (side[:, 1:] == side[:, :-1]).mean(), np.abs(np.where(x < 40, x - 20, x - 60)).mean()

    assert stays(inhibition=1.0)[0] == pytest.approx(0.5, abs=0.03)
    assert stays(inhibition=0.25)[0] == pytest.approx(0.2, abs=0.03)
    assert stays(middle=1)[1] == pytest.approx(7.5, abs=0.4)
    assert stays(middle=4)[1] < 5


def test_contrast_and_centre_draw_without_things():
    image = np.zeros((3, 60, 80), dtype=np.uint8)
    image[:, 10:20, 60:70] = 255
    nothing = np.zeros((60, 80), dtype=np.uint8)

    def seen(**terms):
        who = Observers(DEFAULT_WEIGHTS, **{"contrast": 0.0, "centre": 0.0, **terms})
        return look(image, nothing, [], who, np.random.default_rng(0))[:2]

    x, y = seen(contrast=1.0)
    assert ((x > 55) & (x < 75) & (y > 5) & (y < 25)).mean() > 0.95
    x, y = seen(centre=1.0)
    assert abs(x.mean() - 40) < 3
    assert x.std() == pytest.approx(0.16 * 80, rel=0.25)
    with pytest.raises(ValueError, match="nowhere to look"):
        seen()
    assert (local_contrast(np.full((3, 9, 9), 7, dtype=np.uint8)) == 1).all()


def test_split_is_by_number_and_does_not_depend_on_n():
    toy = world(n=200)
    counts = {s: len(toy.split(s)) for s in ("train", "val", "test")}
    assert counts == {"train": 140, "val": 30, "test": 30}
    for name in toy.names[:40]:
        assert world(n=40).split_of(name) == toy.split_of(name)


def test_subset_shows_the_same_scenes():
    toy = world(n=20)
    val = toy.split("val")
    k = toy.names.index(val.names[1])
    assert torch.equal(val.image(1), toy.image(k))
    assert torch.equal(val.fixations(1).y, toy.fixations(k).y)
    assert val.scene(1) == toy.scene(k)
    assert [r.category for r in val.regions(1)] == toy.region_categories(k)


@pytest.mark.parametrize("size", [(60, 60), (100, 240), (241, 319)])
def test_other_sizes(size):
    toy = ToyWorld(n=7, size=size, observers=3, fixations=4)
    for i in range(7):
        sample = toy[i]
        assert sample.size == size
        assert len(sample.fixations) == 12


def test_wrong_settings_are_named():
    with pytest.raises(UnknownNameError, match="Did you mean 'person_head'"):
        ToyWorld(weights={"person_heads": 1})
    with pytest.raises(ValueError, match="'text'"):
        ToyWorld(weights={"text": -1})
    with pytest.raises(ValueError, match="strength"):
        ToyWorld(strength=-1)
    with pytest.raises(ValueError, match="sides"):
        ToyWorld(size=(10, 10))
    with pytest.raises(ValueError, match="n ≥ 1"):
        ToyWorld(n=0)
    with pytest.raises(TypeError, match="scater"):
        ToyWorld(scater=1)


def test_crops_cover_the_classes_and_follow_the_seed():
    images, labels = crops(3, size=48, seed=1)
    assert images.shape == (36, 3, 48, 48)
    assert images.dtype == torch.uint8
    assert CROP_CLASSES == CATEGORIES
    assert torch.bincount(labels).tolist() == [3] * 12
    again, order = crops(3, size=48, seed=1)
    assert torch.equal(images, again)
    assert torch.equal(labels, order)
    assert not torch.equal(images, crops(3, size=48, seed=2)[0])
    assert images.float().flatten(1).std(1).min() > 5


def every_drawer():
    return [(kind, k) for kind in KINDS for k in range(len(DRAWERS[kind]))]


@pytest.mark.parametrize(("kind", "k"), every_drawer())
def test_every_drawing_fills_its_frame_and_varies(kind, k, monkeypatch):
    monkeypatch.setitem(DRAWERS, kind, [DRAWERS[kind][k]])
    figures = [draw(kind, 60, np.random.default_rng(seed)) for seed in range(4)]
    parts = [part.category for part in figures[0].layers]
    expected = [f"{kind}_part", f"{kind}_head"] if kind in ("person", "animal") else [kind]
    assert parts == expected
    for figure in figures:
        shown = np.max([part.alpha for part in figure.layers], axis=0) >= 0.5
        rows, columns = shown.any(1), shown.any(0)
        assert shown.mean() > 0.12
        assert rows.mean() > 0.7
        assert columns.mean() > 0.7
        for part in figure.layers:  # premultiplied: no colour where there is no paint
            assert (part.colour <= 255 * part.alpha[..., None] + 1e-3).all()
    looks = {np.round(f.layers[-1].colour.sum((0, 1)) / 500).tobytes() for f in figures}
    assert len(looks) > 1


@pytest.mark.parametrize(("kind", "k"), every_drawer())
def test_every_drawing_can_be_a_few_pixels_tall(kind, k, monkeypatch):
    monkeypatch.setitem(DRAWERS, kind, [DRAWERS[kind][k]])
    for height in np.arange(3, 14, 0.5):
        figure = draw(kind, height, np.random.default_rng(0))
        assert max(part.alpha.max() for part in figure.layers) > 0.5


def test_a_box_of_a_few_pixels_shows_its_colour():
    for width, height, round_by in product(np.arange(1, 5, 0.25), np.arange(1, 5, 0.25), range(5)):
        pen = Pen(1, 8)
        pen.layer(None)
        pen.box(0, 0, width / pen.scale, height / pen.scale, (200, 100, 0), round_by)
        (_, image), middle = pen.layers[0], (int(width / 2), int(height / 2))
        assert image.getpixel(middle) in {(200, 100, 0, 255), (110, 55, 0, 255)}  # fill or edge
        assert image.getpixel((int(width) + 2, int(height) + 2))[3] == 0


def test_scene_class_shows_in_the_background():
    """Backgrounds alone tell the classes apart: nearest mean of coarse colours, held out."""
    rng = np.random.default_rng(0)
    coarse = {
        s: np.stack([BACKDROPS[s]((60, 80), rng).image.reshape(6, 10, 8, 10, 3).mean((1, 3)).ravel()
                     for _ in range(12)]) for s in SCENES
    }  # fmt: skip
    means = np.stack([v[:6].mean(0) for v in coarse.values()])
    hits = [
        np.linalg.norm(means - v, axis=1).argmin() == k
        for k, vs in enumerate(coarse.values())
        for v in vs[6:]
    ]
    assert np.mean(hits) > 0.75


def test_what_was_read_is_shared_by_subsets_and_sent_to_no_other_process():
    whole = world()
    part = whole.subset(whole.names[:2])
    assert torch.equal(whole.image(0), part.image(0))
    assert part._read is whole._read
    sent = pickle.dumps(part)
    assert len(sent) < 10_000
    again = pickle.loads(sent)
    assert again.fingerprint == part.fingerprint
    assert torch.equal(again.image(1), part.image(1))
