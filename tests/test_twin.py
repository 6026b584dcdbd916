"""The twin of one's own data: what it holds, what cannot be matched, and what it tells."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import saliencykit as sk
from saliencykit.analyses.fine_tuning import figures, sentences, tables
from saliencykit.cli import app
from saliencykit.datasets import CATEGORIES, DATASETS, Fixations, Region
from saliencykit.datasets.toyworld import ToyWorld
from saliencykit.datasets.toyworld.scenes import Asked, compose_asked, render
from saliencykit.datasets.toyworld.twin import TwinWorld
from saliencykit.dissection import OverTrainings
from saliencykit.registry import UnknownNameError
from saliencykit.worlds import FLAT
from saliencykit.worlds.likeness import (
    AREA,
    IMAGES,
    LOOKS,
    REGIONS,
    compared,
    likeness,
    looked_at_regions,
)
from saliencykit.worlds.studies import found_again, studies
from saliencykit.worlds.twin import PEOPLES, Pair, Twin, Twins, _variety

from .conftest import Blobs


class Looked(Blobs):
    """Images with a head and a text, a twentieth of them each, and known numbers of fixations."""

    name, categories, scenes = "looked", CATEGORIES, ()
    own_split = True

    def __init__(self, n=40, heads=6, texts=2, elsewhere=4, people=4):
        super().__init__(n)
        self.name = type(self).__name__.lower()  # else its twin is found in the cache
        self.counts, self.people = (heads, texts, elsewhere), people

    def regions(self, i):
        head, text = (torch.zeros(self.shape, dtype=torch.bool) for _ in range(2))
        head[4:16, 4:16] = text[30:42, 40:52] = True  # 144 of 3072 pixels
        return [Region("person_head", mask=head), Region("text", mask=text)]

    def fixations(self, i):
        x, y = (np.repeat(at, self.counts) for at in ((10.5, 46.5, 60.5), (10.5, 36.5, 5.5)))
        n = len(x) * self.people
        return Fixations.of(
            np.tile(x, self.people), np.tile(y, self.people), np.arange(n) // len(x)
        )


def test_a_scene_holds_what_is_asked_for_and_tells_of_nothing_else():
    asked = [
        Asked("person", "person_head", 0.02),
        Asked("animal", "animal_part", 0.03),
        Asked("text", "text", 0.01),
    ]
    for i in range(4):
        scene = render(3, i, (120, 160), asked)
        assert sorted(scene.categories) == ["animal_part", "person_head", "text"]
        for k, category in enumerate(scene.categories, 1):
            wanted = next(one.area for one in asked if one.category == category)
            assert (scene.labels == k).mean() == pytest.approx(wanted, rel=0.35)  # hidden in part
    assert render(3, 1, (120, 160), []).categories == []


def test_more_than_finds_room_stands_closer_or_is_left_out():
    crowd = [Asked("person", "person_head", 0.02)] * 40
    _, placed = compose_asked(0, 0, (120, 160), crowd)
    _, few = compose_asked(0, 0, (120, 160), crowd[:3])
    assert len(few) == 3
    assert 3 < len(placed) < 40


def test_another_scene_of_toyworld_is_drawn_as_it_was():
    plain = ToyWorld(n=2, size=(60, 80))
    twin = TwinWorld([[Asked("text", "text", 0.05)], []], size=(60, 80))
    assert plain.image_fingerprint != twin.image_fingerprint
    assert [r.category for r in twin.regions(0)] == ["text"]
    assert twin.regions(1) == []
    other = TwinWorld([[Asked("text", "text", 0.1)], []], size=(60, 80))
    assert other.image_fingerprint != twin.image_fingerprint


def test_regions_are_counted_as_by_hand():
    table = looked_at_regions(Looked(n=2))
    assert len(table) == 4
    head = table[table["category"] == "person_head"].iloc[0]
    assert head["area"] == pytest.approx(144 / 3072)
    told = ["inside", "fixations", "inside all", "observers"]
    assert head[told].tolist() == [24, 48, 32, 4]
    assert head["covered"] == pytest.approx(288 / 3072)


def test_likeness_is_density_beyond_what_is_no_region():
    data = Looked(heads=6, texts=2, elsewhere=4, people=4)
    like = likeness(data)
    share = 144 / 3072
    rest = (4 / 12) / (1 - 2 * share)
    assert like.rest == pytest.approx(rest)
    assert like.weights["person_head"] == pytest.approx(0.5 / share - rest)
    assert like.weights["text"] == pytest.approx(2 / 12 / share - rest)
    assert (like.observers, like.fixations) == (4, 12)
    things = [(a.kind, a.category) for a in like.asked[0]]
    assert things == [("person", "person_head"), ("text", "text")]
    assert like.asked[0][0].area == pytest.approx(share)


def test_a_twin_has_the_figures_of_its_data():
    data = Looked()
    like = likeness(data)
    settings = {"size": (90, 120), "weights": like.weights, "observers": like.observers}
    table = compared(data, TwinWorld(like.asked, **settings, **like.habits), 16)
    assert set(table["figure"]) == {IMAGES, REGIONS, AREA, LOOKS}
    assert set(table["category"]) == {"person_head", "text"}
    assert not table["off"].any()
    by = table.set_index(["figure", "category"])["own"]
    assert by[LOOKS, "person_head"] == pytest.approx(0.5)
    assert by[IMAGES, "text"] == 40
    half = TwinWorld(like.asked[:20], **settings, **like.habits)
    assert not compared(data, half, 16)["off"].any()  # images are counted as of as many
    larger = [[replace(one, area=2 * one.area) for one in scene] for scene in like.asked]
    off = compared(data, TwinWorld(larger, **settings, **like.habits), 16).query("off")
    assert AREA in set(off["figure"])
    assert compared(data, half, 41).empty


class Pooled(Looked):
    pooled = True


class Bare(Looked):
    def regions(self, i):
        return []


class Alone(Looked):
    def __init__(self):
        super().__init__(people=1)


class Strange(Looked):
    def regions(self, i):
        return [replace(super().regions(i)[0], category="person_hed")]


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (Pooled(), ValueError, "does not tell its observers apart"),
        (Bare(), ValueError, "no annotated regions"),
        (Alone(), ValueError, "fewer than two people"),
        (Strange(), UnknownNameError, "person_head"),
    ],
)
def test_data_that_have_no_twin_are_refused_in_words(data, error, words):
    with pytest.raises(error, match=words):
        likeness(data)


class Small(Looked):
    """Too few images for any interval."""

    def __init__(self):
        super().__init__(n=8)


class Huge(Looked):
    """A head over nearly all of the image, which no scene has room for."""

    def regions(self, i):
        return [Region("person_head", mask=torch.ones(self.shape, dtype=torch.bool))]


@pytest.fixture
def registered(monkeypatch):
    """Data sets of these tests, by name."""
    found = {"small": Small, "huge": Huge, "looked": Looked}
    for name, made in found.items():
        monkeypatch.setitem(DATASETS, name, lambda root=None, made=made, **_: made())
    return found


def small_study(data, **changes):
    settings = {"size": (60, 80), "epochs": 1, "batch": 8, "trainings": 2, "frozen_epochs": 2}
    settings |= {"weights": None, "read": ["conv4_1"], "layers": ["conv4_1"]}
    return sk.Study(data=data, unit_layer="conv4_1", **{**settings, **changes})


def test_trainings_leave_out_a_fold_of_their_scenes_as_the_data_s_do(registered, monkeypatch):
    def learned(split):
        monkeypatch.setattr(Looked, "own_split", split)
        study = small_study("looked")
        worlds = Twins(study, times=1)
        asked = worlds.trainings([(FLAT, k) for k in (0, 1, 5)], frozen=False)
        return study, worlds, [one.data for one in asked]

    study, worlds, found = learned(False)
    assert worlds.training == worlds.dissected == len(study.annotated.names)
    scenes = worlds.world(FLAT, group=1).names
    for k, data in zip((0, 1, 5), found, strict=True):
        left = [
            study.annotated.names[scenes.index(name)] for name in scenes if name not in data.names
        ]
        assert left == list(study.parts(k)[2].names)
    assert found[0].fingerprint == found[2].fingerprint != found[1].fingerprint  # five folds
    assert not set(scenes) & set(worlds.unseen.names)
    study, worlds, found = learned(True)
    assert worlds.training == len(study.train) < len(study.annotated)
    assert len({data.fingerprint for data in found}) == 1
    assert all(len(data) == len(study.train) for data in found)


@pytest.mark.parametrize(
    ("data", "words"),
    [("small", "no category on 16 images"), ("huge", "of person_head would be .* and is")],
)
def test_what_cannot_be_matched_is_named(registered, data, words):
    with pytest.raises(ValueError, match=words):
        Twins(small_study(data)).matched()


def test_the_command_names_what_is_off_before_anything_is_trained(registered, monkeypatch):
    monkeypatch.setattr("saliencykit.running.runner.run", None)  # it must not come to that
    told = CliRunner().invoke(app, ["twin", "--data", "huge", "--profile", "smoke"])
    assert told.exit_code == 2
    assert "has no twin" in told.output
    assert "person_head" in told.output
    nearest = CliRunner().invoke(app, ["twin", "--data", "huges"])
    assert "huge" in nearest.output
    assert nearest.exit_code == 2


@pytest.mark.parametrize("more", [[], ["-p", "epochs", "1", "--trainings", "12"]])
def test_the_command_runs_03_with_a_twin(monkeypatch, more):
    asked = []
    monkeypatch.setattr("saliencykit.worlds.twin.Twins.matched", lambda self: None)
    monkeypatch.setattr("saliencykit.worlds.twin.Twins.__init__", lambda self, study: None)
    monkeypatch.setattr(
        "saliencykit.running.runner.run", lambda *of, say: (asked.append(of) or [], None)
    )
    told = CliRunner().invoke(app, ["twin", *more], catch_exceptions=False)
    assert told.exit_code == 0
    assert "03_twin.png" in told.output
    [(names, profile, overrides)] = asked
    assert (names, profile) == (["03"], "toy")
    given = {"epochs": "1"} if more else {}
    twice = 2 * sk.Study.from_profile("toy").trainings
    number = "12" if more else str(twice)
    assert overrides == {**given, "twin": number, "twin_readouts": "60"}


def made(trainings=8, images=100, spread=0.1, noise=1.0, categories=("text", "plant"), n=400):
    """A pool whose truth is about 0: `spread` over trainings, `noise` over images."""
    rng = np.random.default_rng(0)
    own = rng.normal(size=(trainings, len(categories))) * spread
    seen = rng.normal(size=(images, len(categories))) * noise
    seen -= seen.mean(0)
    weights = np.vstack([np.ones(images), rng.multinomial(images, np.full(images, 1 / images), n)])
    values = own[:, None] + (weights @ seen / images)[None]
    regions = (pd.DataFrame({"image": ["a"]}),) * trainings
    counts = np.full(len(categories), images)
    return OverTrainings(values, tuple(categories), counts, regions)


@pytest.mark.parametrize("own_images", [False, True])
@pytest.mark.parametrize(("trainings", "share"), [(4, 1.0), (4, 0.25), (16, 4.0)])
def test_studies_vary_as_the_pool_says(own_images, trainings, share):
    pool = made()
    told = pool.learned()
    values, reach = studies(pool, trainings, share, own_images, jointly=False, repeats=2000)
    sd = np.sqrt(told.se_images**2 / share + told.sd_trainings**2 / trainings)
    assert values.std(0) == pytest.approx(sd, rel=0.08)
    wrong = (np.abs(values) > reach).mean(0)
    assert (wrong < 0.07).all()
    assert (wrong > (0.03 if own_images else 0.005)).all()


def test_joint_intervals_are_wider_and_few_images_have_none():
    pool = made(images=40)
    alone = studies(pool, 4, 1.0, False, jointly=False, repeats=50)[1]
    together = studies(pool, 4, 1.0, False, jointly=True, repeats=50)[1]
    assert (together.mean(0) > alone.mean(0)).all()
    assert np.isnan(studies(pool, 4, 0.3, False, jointly=True, repeats=2)[1]).all()


@pytest.mark.parametrize("own_images", [False, True])
def test_trainings_that_differ_more_make_studies_differ_more(own_images):
    told = {
        spread: studies(made(), 4, 1.0, own_images, False, repeats=2000, spread=spread)
        for spread in (0.0, 1.0, 3.0)
    }
    sds = {spread: values.std(0) for spread, (values, _) in told.items()}
    more = sds[1.0] ** 2 - sds[0.0] ** 2
    assert sds[3.0] ** 2 - sds[0.0] ** 2 == pytest.approx(9 * more, rel=0.15)
    reach = {spread: np.median(reach, 0) for spread, (_, reach) in told.items()}
    assert (reach[0.0] < reach[1.0]).all()
    assert (reach[1.0] < reach[3.0]).all()


def test_what_is_needed_is_told_with_what_is_not_known_of_the_spread():
    rows = pd.DataFrame({"effect": [0.0, 0.05, 0.1, 0.2, 0.12], "own": [0, 0, 0, 0, 1.0],
                         "value": [0, 0.4, 0.8, 1, 0.9], "low": [0, 0.1, 0.6, 0.9, 0.5],
                         "high": [0, 0.8, 1, 1, 1]})  # fmt: skip
    assert sentences._reach_of(rows) == "10.0 % [5.0, 16.7]"
    assert sentences._reach_of(rows.assign(low=0.1)) == "10.0 % [5.0, …]"
    assert sentences._reach_of(rows.assign(value=0.1)) == "more than 20.0 %"


@pytest.mark.parametrize("own_images", [False, True])
def test_on_most_of_its_images_a_study_says_again_what_it_says(own_images):
    pool = made()
    told = pool.learned()
    sure = np.sqrt(told.se_images**2 + told.sd_trainings**2 / 4) * (8 if own_images else 3.5)

    def shares(effects, kept):
        asked = (pool, effects, 4, 1.0, own_images, False, kept)
        return found_again(*asked, repeats=60).mean(0)

    assert (shares(sure, 0.95) > 0.9).all()
    assert (shares(sure, 0.3) < shares(sure, 0.95)).all()
    assert (shares(sure / 20, 0.5) < 0.1).all()
    assert shares(-sure, 0.5) == pytest.approx(shares(sure, 0.5), abs=0.12)


def test_studies_of_few_images_are_not_found_again():
    few = found_again(made(images=40), np.ones(2), 4, 1.0, False, True, 0.3, repeats=2)
    assert np.isnan(few).all()


def of_a_twin(own, pool, own_images):
    """A `Twin` that knows no more than the change here and there."""
    twin = object.__new__(Twin)
    twin.__dict__["own"], twin.own_images = own, own_images
    twin.known = SimpleNamespace(pool=lambda _: pool, with_effects=lambda *_: pool)
    return twin


@pytest.mark.parametrize("own_images", [False, True])
def test_images_differ_in_the_studies_of_a_twin_as_the_data_s_do(own_images):
    pool, own = made(), made(trainings=5, images=40, noise=2.0)
    if own_images:  # each training is measured on forty of its own
        regions = tuple(pd.DataFrame({"image": [str(k)]}) for k in range(5))
        own = replace(own, images=own.images * 5, regions=regions)
    twin = of_a_twin(own, pool, own_images)
    various = twin._various(pool)
    assert (various.values[:, 0] == pool.values[:, 0]).all()
    assert _variety(various, own_images) == pytest.approx(_variety(own, own_images))
    assert _variety(own, own_images) == pytest.approx([2, 2], rel=0.25)
    assert _variety(pool, own_images) == pytest.approx([1, 1], rel=0.25)
    asked = (4, 1.0, own_images, False)
    less, more = (np.median(studies(of, *asked)[1], 0) for of in (pool, various))
    assert (more > 1.5 * less).all()


def test_where_the_data_show_too_few_images_the_middle_of_the_others_is_taken():
    pool = made(categories=("text", "plant", "food"))
    own = made(noise=3.0, categories=("text", "plant", "food"))
    own.values[1, 7, 1] = np.nan  # a resample without a plant
    twin = of_a_twin(own, pool, True)
    here, there = twin._varieties
    assert np.isnan(here).tolist() == [False, True, False]
    ratio = _variety(twin._various(pool), True) / there
    assert ratio[[0, 2]] == pytest.approx((here / there)[[0, 2]])
    assert ratio[1] == pytest.approx(ratio[[0, 2]].mean())
    own.values[:, 1:] = np.nan
    assert of_a_twin(own, pool, True)._various(pool).values == pytest.approx(pool.values)


@pytest.mark.parametrize(("found", "too_much"), [(0.7, False), (0.5, True)])
def test_a_twin_that_finds_more_than_the_data_do_is_said_to_promise_too_much(found, too_much):
    shares = {"kept": [0.5, 0.25], "own": found, "value": 0.75, "low": 0.1, "high": 1.0}
    said = sentences._found_again(pd.DataFrame(shares))
    assert f"the mean is {100 * found:.0f} % where" in " ".join(said.split())
    assert ("promises too much" in said) == too_much


@pytest.fixture
def twin(registered, tmp_path_factory, monkeypatch):
    for module in ("worlds.planted", "models"):  # processes take longer to start
        in_turn = f"saliencykit.{module}.train_side_by_side"
        monkeypatch.setattr(in_turn, lambda asked: [one.run() for one in asked])
    for name, few in {
        "STUDIES": 40,
        "THINNINGS": 5,
        "COMPARISONS": 3,
        "EFFECTS": 5,
        "AGAIN": 6,
        "CHOICES": 3,
    }.items():
        room = "studies" if name in ("STUDIES", "AGAIN", "CHOICES") else "twin"
        monkeypatch.setattr(f"saliencykit.worlds.{room}.{name}", few)
    return Twin(tables.FineTuning(small_study("looked")), trainings=4, readouts=8)


@pytest.mark.slow
@pytest.mark.parametrize("own_split", [True, False])
def test_a_twin_tells_all_that_is_asked(twin, monkeypatch, own_split):
    monkeypatch.setattr(Looked, "own_split", own_split)
    if not own_split:
        twin = Twin(tables.FineTuning(small_study("looked")), trainings=4, readouts=8, times=1)
    assert twin.own_images != own_split
    shown = twin.worlds.shown.names
    assert len(twin.worlds.unseen) == len(shown) * twin.times
    learned = twin.worlds.trainings(twin.known.asked(FLAT, False), False)
    people = twin.worlds.world(FLAT, group=1)
    for one in learned:  # the same people, as a study's
        assert torch.equal(
            one.data.fixations(0).x, people.fixations(people.names.index(one.data.names[0])).x
        )
    table = tables.twin_table(twin, "person_head", "text")
    assert set(table["part"]) >= {"matched", "alarms", "power"}
    power = table[table["part"] == "power"]
    assert power["value"].between(0, 1).all()
    base = power[(power["trainings"] == 2) & (power["images"] == len(shown)) & (power["own"] == 0)]
    assert base["value"].iloc[0] < 0.2  # nothing is there
    assert base["value"].iloc[-1] > 0.5  # much is
    own = (twin.found.maps["map"] / twin.found.people).gained.values[:, 0].mean(0)
    pair = own[CATEGORIES.index("person_head")] - own[CATEGORIES.index("text")]
    assert power.loc[power["own"] > 0, "effect"].unique() == pytest.approx([pair])
    assert (np.sign(base["effect"].iloc[1:]) == np.sign(pair)).all()
    assert (power["low"] <= power["value"]).all()
    assert (power["value"] <= power["high"]).all()
    assert (power["high"] > power["low"]).any()
    needed = table[table["part"] == "needed"].dropna(subset="value")
    assert len(needed)
    ends = needed[["low", "high"]].abs()
    assert (ends.min(axis=1) <= needed["value"].abs() + 1e-9).all()
    assert (needed["value"].abs() <= ends.max(axis=1) + 1e-9).all()
    assert (needed["high"] > needed["low"]).all()  # four trainings tell little of a spread
    again = twin.thinned(Pair("person_head", "text"))
    assert again["own"].between(0, 1).all()
    assert (again["low"] <= again["value"] + 1e-9).all()  # a mean of equal shares is rounded
    assert (again["value"] <= again["high"] + 1e-9).all()
    measured = twin.measured().set_index(["figure", "category"])["own"]
    people = twin.found.people.values[:, 0].mean(0)[CATEGORIES.index("text")]
    assert measured[PEOPLES, "text"] == pytest.approx(people)
    figures.twin(table, ("person_head", "text"))
    said = sentences.twin(table, ("person_head", "text"), "looked")
    assert "A toyworld like looked" in said
    assert "trainings and" in said


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--trainings", "3"], "two studies of 2 need 4"),
        (["--trainings", "0"], "two studies of 2 need 4"),
        (["--readouts", "0"], "greater than or equal to 1"),
        (["-p", "twin", "9"], "--trainings"),
    ],
)
def test_the_command_refuses_numbers_before_anything_is_drawn(registered, monkeypatch, more, words):
    monkeypatch.setattr("saliencykit.worlds.twin.Twins.__init__", None)
    asked = ["twin", "--data", "looked", "--profile", "smoke", *more]
    told = CliRunner().invoke(app, asked)
    assert told.exit_code == 2
    assert words in told.output


def test_fewer_trainings_than_two_studies_are_refused(registered):
    with pytest.raises(ValueError, match="two studies of 2 need 4"):
        Twin(tables.FineTuning(small_study("looked")), trainings=3, readouts=8)


def test_thinned_to_all_images_the_study_says_what_it_says(twin):
    twin.found.__dict__["mapped"], twin.found.__dict__["looked"] = invented(twin)
    chosen = next(twin._choices(1.0))
    twin.__dict__.pop("own", None)
    assert chosen.values[:, 0] == pytest.approx(twin.own.values[:, 0], rel=1e-5, nan_ok=True)


def invented(twin):
    """Dissections of two trainings of a study, and people's, in regions of 20 images."""
    from saliencykit.dissection import Dissection
    from saliencykit.dissection.readout_maps import MAP

    rng = np.random.default_rng(0)
    names = [f"i{k}" for k in range(20) for _ in range(2)]
    regions = pd.DataFrame({"image": names, "category": ["person_head", "text"] * 20,
                            "sure": True, "fixations": 3})  # fmt: skip

    def of(layer, mean):
        scores = torch.from_numpy(rng.normal(mean, 0.3, (40, 1))).float()
        return Dissection({layer: scores}, regions, CATEGORIES)

    mapped = {
        what: [of(MAP, mean) for _ in range(2)] for what, mean in (("before", 1), ("after", 2))
    }
    people = of("people", 3)
    return mapped, [people, people]


def test_words_where_no_twin_was_drawn_name_the_command_for_these_settings():
    study = sk.Study.from_profile("smoke", epochs=2)
    assert "saliencykit twin --profile smoke -p epochs '2'" in sentences.no_twin(study)
