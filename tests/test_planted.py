"""Notebook 11: preferences planted in data, what is said of them, and what must stay quiet."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

import saliencykit as sk
from saliencykit.analyses.planted_photographs import browser, figures, sentences, tables
from saliencykit.analyses.planted_photographs.tables import (
    GAP,
    ITSELF,
    MAP,
    MEASURES,
    OTHERS,
    READOUT,
    SHAM,
    UNITS,
    WHOLLY,
    Planted,
)
from saliencykit.datasets import Fixations, Reweighted
from saliencykit.dissection import OverTrainings, dissect, mean_of
from saliencykit.dissection.readout_maps import WithMap
from saliencykit.evaluation import human_blur, human_regions
from saliencykit.registry import UnknownNameError
from tests.conftest import Blobs

# --- What is asked -------------------------------------------------------------------------------


class Photographs(Blobs):
    """Blobs that people also look past; no split of its own."""

    own_split = False

    def fixations(self, i):
        near, draw = Blobs.fixations(self, i), np.random.default_rng(i)
        x, y = (draw.uniform(0, n, 8) for n in (64, 48))
        observer = [*near.observer.tolist(), *range(8)]
        return Fixations.of([*near.x.tolist(), *x], [*near.y.tolist(), *y], np.array(observer) % 4)


def study_of(data, **changes):
    study = sk.Study(weights=None, size=(48, 64), epochs=1, batch=4, read=["conv3_1"], **changes)
    study.__dict__["annotated"] = data
    return study


@pytest.fixture
def planted(monkeypatch):
    in_turn = "saliencykit.analyses.planted_photographs.tables.train_side_by_side"
    monkeypatch.setattr(in_turn, lambda wanted: [one.run() for one in wanted])
    data = Photographs(25)  # five a fold: as few as best units may be told of
    data.names = [name for name in data.names if name != "b11"]  # that nobody looks at
    return Planted(study_of(data), ["bright"], [4, 1, 0.5], 2, k=3, least=2)


def test_doses_differ_in_what_fixations_weigh_and_nothing_else(planted):
    assert planted.doses == [0.5, 4]  # 1 is always asked
    base, weak, strong = (planted.asked("bright", dose) for dose in (1, 0.5, 4))
    own = planted.study.asked(False, count=2)
    assert [one.key for one in base] == [one.key for one in own]  # what 03 trained
    for k in range(2):
        assert base[k].settings == weak[k].settings == strong[k].settings
        assert base[k].layers == weak[k].layers == strong[k].layers
        assert base[k].data.names == weak[k].data.names == strong[k].data.names
        assert not set(base[k].data.names) & set(planted.unseen[k].names)
        assert isinstance(strong[k].data, Reweighted)
        assert strong[k].data.weight == 4
    assert base[0].settings.seed != base[1].settings.seed
    assert not any(isinstance(images, Reweighted) for images in planted.unseen)


def test_fewer_images_are_the_same_for_every_dose():
    planted = Planted(study_of(Photographs(10)), ["bright"], [4], 2, least=2, images=5)
    base, strong = (planted.asked("bright", dose) for dose in (1, 4))
    assert [len(one.data) for one in base] == [5, 5]
    assert [one.data.names for one in base] == [one.data.names for one in strong]


def test_halves_share_nobody_and_each_training_deals_anew():
    planted = Planted(study_of(Photographs(10)), ["bright"], [4], 5, least=2)
    pairs = list(zip(*planted.asked_halves(0), strict=True))
    for one, other in pairs:
        assert len(one.data.observers) == len(other.data.observers) == 2
        assert not set(one.data.observers) & set(other.data.observers)
        assert one.settings == other.settings
    assert len({tuple(one.data.observers) for one, _ in pairs}) > 1
    again = planted.asked_halves(0)[0]
    assert [one.key for one in again] == [one.key for one, _ in pairs]
    assert [one.key for one in planted.asked_halves(1)[0]] != [one.key for one in again]


class Bare(Photographs):
    categories = ("bright",)

    def regions(self, i):
        return []


class Pooled(Photographs):
    pooled = True


class Alone(Photographs):
    def fixations(self, i):
        return replace(super().fixations(i), observer=torch.zeros(28, dtype=torch.long))


@pytest.mark.parametrize(
    ("data", "changes", "said"),
    [
        (Photographs, {"categories": ["brihgt"]}, "bright"),
        (Photographs, {"doses": [4, 0]}, "above 0, not 0"),
        (Photographs, {"doses": [2, -1]}, "above 0, not -1"),
        (Photographs, {"doses": [1]}, r"doses are \[1\]: at least one beside 1"),
        (Photographs, {"trainings": 1}, "1 training a dose"),
        (Photographs, {"least": 16}, r"fewer than 16 images: bright \(\d+ fixations on 8\)"),
        (Bare, {}, "no annotated regions"),
        (Pooled, {}, "does not tell its observers apart"),
        (Alone, {}, "one observer"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_trained(data, changes, said):
    asked = {"categories": ["bright"], "doses": [4], "trainings": 2, "least": 2} | changes
    with pytest.raises((UnknownNameError, ValueError), match=said):
        Planted(study_of(data(10)), **asked)


def test_images_to_measure_on_need_regions_and_observers_too():
    for other, said in ((Bare, "no annotated regions"), (Pooled, "apart"), (Alone, "one observer")):
        study = study_of(other(10), train_data="another")
        study.__dict__["_trained_on"] = Photographs(10)
        with pytest.raises(ValueError, match=said):
            Planted(study, ["bright"], [4], 2, least=2)


def test_who_is_too_rare_is_left_out_and_counted():
    class Rare(Photographs):
        categories = ("bright", "dark", "text")

        def regions(self, i):
            found = super().regions(i)
            return [replace(found[0], category="text"), *found] if self.names[i] < "b02" else found

    found = Planted(study_of(Rare(10)), ["text", "dark"], [4], 2, least=5)
    assert found.categories == ["dark"]
    rare = found.looked.set_index("category").loc["text"]
    assert not rare["planted"]
    assert 1 <= rare["images"] <= 2
    said = sentences._planted(found.looked)
    assert f"Too rare, and left out: text {rare['fixations']} on {rare['images']} images" in said


# --- What is found -------------------------------------------------------------------------------


def test_small_networks_follow_in_every_table(planted):
    responses, slopes, specific = planted.responses(), planted.slopes(), planted.specific()
    assert set(responses["dose"]) == {0.5, 1.0, 4.0}
    at_one = responses[responses["dose"] == 1]
    assert (at_one["value"].dropna() == 0).all()
    for measure in (MAP, UNITS):
        own = responses[(responses["measure"] == measure) & (responses["category"] == "bright")]
        for column in ("value", "training 1", "training 2"):
            expected = np.polyfit(np.log2(own["dose"]), own[column], 1)[0]
            row = slopes[(slopes["measure"] == measure) & (slopes["category"] == "bright")]
            assert row[column].item() == pytest.approx(expected, abs=1e-9)
        by = specific.query("measure == @measure and planted == 'bright'").set_index("kind")
        by = by["value"]
        assert (
            by[ITSELF]
            == slopes.query("measure == @measure and planted == category").set_index("planted")[
                "value"
            ]["bright"]
        )
        # Of "dark" people have no region NSS above 0, so that a map has no share.
        gap = pytest.approx(by[ITSELF] - by[OTHERS], nan_ok=measure == MAP)
        assert by[GAP] == gap


def test_the_answer_is_the_map_s_region_nss_as_a_share_of_people_s(planted):
    network = planted.networks(planted.asked("bright", 4))[0]
    found = planted._answers["bright", 4.0][MAP]
    data, means = planted.unseen[0], []
    with torch.inference_mode():
        for i in range(len(data)):
            saliency = network(data.image(i)[None].float() / 255)
            counts = data.fixations(i).count_map(48, 64) * data.regions(i)[0].mask
            means.append(sk.metrics.nss(saliency[0], counts).item())
    people = planted.people.values[0, 0, 0]
    assert found.values[0, 0, 0] == pytest.approx(np.mean(means) / people, rel=1e-3)


def test_a_map_that_follows_wholly_is_people_s_density_so_re_weighted(planted):
    told = planted.responses().query(f"measure == {WHOLLY!r} and category == 'bright'")
    value = told.set_index("dose")["value"]
    assert value[1.0] == 0
    assert value[0.5] < 0 < value[4.0]
    data = planted.unseen[0]
    both = human_regions(Reweighted(data, "bright", 4), blur=human_blur(data)), human_regions(data)
    more, plain = (
        res.of("people")[torch.from_numpy((res.regions["category"] == "bright").to_numpy()), 0]
        for res in both
    )
    expected = more.nanmean() / plain.nanmean() - 1
    first = told.set_index("dose")["training 1"][4.0]
    assert first == pytest.approx(expected.item(), rel=1e-4)


def of(values, images=100):
    """`OverTrainings` of values (S, 1 + n, K) on the same images."""
    regions = pd.DataFrame({"image": ["a"]})
    names = ("text", "plant", "food")[: values.shape[-1]]
    count = np.full(values.shape[-1], images)
    return OverTrainings(values, names, count, (regions,) * len(values))


def answering(steep, noise=0.01, seed=0):
    """`Planted` whose planted category rises by `steep` a doubling, and no other."""
    rng = np.random.default_rng(seed)
    found = object.__new__(Planted)
    found.categories, found.doses, found.trainings = ["text"], [0.25, 0.5, 2.0, 4.0], 3
    shared = rng.normal(size=(3, 201, 3))  # of a training, whatever its dose

    def answer(dose):
        rise = np.array([steep, 0, 0]) * np.log2(dose)
        return of(1 + shared + rise + noise * rng.normal(size=shared.shape))

    doses = {("text", d): answer(d) for d in found.doses} | {("", 1.0): answer(1)}
    found.__dict__["_answers"] = {k: dict.fromkeys(MEASURES, v) for k, v in doses.items()}
    steps = {d: np.array([0.3, 0, 0]) * np.log2(d) for d in (0.25, 0.5, 1.0, 2.0, 4.0)}
    found._wholly = lambda _: [(d, of(np.zeros((3, 201, 3)) + up)) for d, up in steps.items()]
    return found


def test_a_planted_slope_is_found_with_its_doses_paired():
    found = answering(0.1)
    slopes = found.slopes()
    own = slopes[slopes["measure"] == MAP].set_index("category")
    assert own.loc["text", "value"] == pytest.approx(0.1, abs=0.01)
    assert own.loc["text", "low"] > 0.05  # trainings differ by ten times as much, but pair
    assert (own.loc[["plant", "food"], "low"] < 0).all()
    specific = found.specific().set_index(["measure", "kind"])
    ends = ["value", "low", "high"]
    assert specific.loc[MAP, ITSELF][ends].tolist() == own.loc["text", ends].tolist()
    gap = found.specific().query("kind == @GAP")
    assert (gap["low"] > 0.05).all()


def test_intervals_hold_nothing_that_was_not_planted_as_often_as_promised():
    slopes = [answering(0.0, seed=seed).slope(MAP, "text") for seed in range(100)]
    found = [one.learned(together=True) for one in slopes]
    wrong = [((one.low > 0) | (one.high < 0)).any() for one in found]
    assert np.mean(wrong) <= 0.12  # 5 % are promised, of 100


def test_data_of_one_category_have_no_others():
    found = answering(0.1)
    answers = found.__dict__["_answers"]
    for key, by in answers.items():
        answers[key] = {m: of(one.values[..., :1]) for m, one in by.items()}
    assert set(found.specific()["kind"]) == {ITSELF}
    assert sentences._specific(found.specific(), MAP) == ""
    looked = pd.DataFrame([{"category": "text", "fixations": 9, "images": 3, "planted": True}])
    told = found.responses(), found.slopes(), found.specific(), tables.alarms(halves())
    assert sentences.what_we_see(looked, *told).count(sentences.ALONE) == 2


def halves(alarm=()):
    """A table of three comparisons; `alarm`: those in which text differs by the map."""
    rows = []
    for number in (1, 2, 3):
        for measure in MEASURES:
            for category in ("text", "plant"):
                off = 1.0 * (number in alarm and measure == MAP and category == "text")
                rows.append((number, measure, category, off, off - 0.5, off + 0.5))
    return pd.DataFrame(rows, columns=["comparison", "measure", "category", "value", "low", "high"])


@pytest.mark.parametrize("alarm", [(), (2,), (1, 3), (1, 2, 3)])
def test_an_alarm_is_a_comparison_that_is_wrong_somewhere(alarm):
    table = tables.alarms(halves(alarm)).set_index("measure")
    assert table["alarms"].to_dict() == {MAP: len(alarm), UNITS: 0}
    assert (table["comparisons"] == 3).all()
    low, high = table.loc[MAP, ["low", "high"]]
    assert (low, high) == sk.intervals.exact(len(alarm), 3)
    said = sentences._quiet(table.reset_index())
    assert f"halves of the observers by the map {len(alarm)} of 3" in " ".join(said.split())
    assert ("beyond doubt" in said) == (len(alarm) >= 2)
    few = "So few comparisons cannot tell whether it is more than promised"  # three never do
    assert (f"{few}: halves of the observers by best units." in said) == (len(alarm) >= 2)
    assert (f"{few}. A weight" in " ".join(said.split())) == (len(alarm) < 2)


def test_many_quiet_comparisons_are_as_promised():
    low, high = sk.intervals.exact(5, 100)
    row = {"measure": MAP, "alarms": 5, "comparisons": 100, "low": low, "high": high}
    few = {"measure": UNITS, "alarms": 0, "comparisons": 2, "low": 0.0, "high": 0.8}
    said = sentences._quiet(pd.DataFrame([row, few]))
    assert "No more than promised: halves of the observers by the map." in said
    assert (
        "cannot tell whether it is more than promised: halves of the observers by best units."
        in said
    )


def test_halves_are_compared_training_by_training(planted):
    table = planted.halves(1)
    assert table["low"].isna().all()  # on two images nothing is told
    assert set(table["measure"]) == set(MEASURES)
    assert tables.alarms(table).empty
    assert "too few" in sentences._quiet(tables.alarms(table))
    with pytest.raises(ValueError, match="0 comparisons"):
        planted.halves(0)


@pytest.mark.parametrize("kind", ["frozen_halves", "shams"])
def test_frozen_readouts_told_at_once_are_those_dissected_one_by_one(planted, kind):
    told_at_once = getattr(planted, kind)
    found = told_at_once(2).set_index(["comparison", "category"])["value"]
    half = kind == "frozen_halves"
    asked = planted.asked_halves(1, frozen=True) if half else planted.asked_shams(1, 0.5)
    assert all(one.settings.frozen for side in asked for one in side)
    by_hand = [
        OverTrainings.of(
            [
                dissect(WithMap(net), own, ["map"], size=planted.study.size)
                for net, own in zip(planted.networks(side), planted.unseen, strict=True)
            ],
            mean_of("map"),
        )
        / planted.people
        for side in asked
    ]
    values = (by_hand[0] - by_hand[1]).values[..., 0, :].mean(0)
    told = dict(zip(planted.people.categories, values, strict=True))
    assert found[2].to_dict() == pytest.approx(told, nan_ok=True, abs=1e-6)
    assert not found[1].equals(found[2])
    assert told_at_once(0).empty
    with pytest.raises(ValueError, match="-1 comparisons"):
        told_at_once(-1)


def test_sham_doses_differ_in_which_fixations_count_alone(planted):
    one, other = planted.asked_shams(0, 4)
    for k in range(2):
        assert one[k].settings == other[k].settings
        assert one[k].data.names == other[k].data.names
        assert one[k].data.weight == other[k].data.weight == 4
        assert one[k].data.fingerprint != other[k].data.fingerprint
    assert one[0].data.seed != one[1].data.seed
    again = [side[0].data.fingerprint for n in (0, 1) for side in planted.asked_shams(n, 4)]
    assert len(set(again)) == 4
    assert again[:2] == [one[0].data.fingerprint, other[0].data.fingerprint]


def test_sham_doses_are_those_at_both_ends(planted, monkeypatch):
    asked = []
    monkeypatch.setattr(planted, "asked_shams", lambda *of: asked.append(of))
    monkeypatch.setattr(planted, "_read_apart", lambda pairs, measure: (len(pairs), measure))
    assert planted.shams(2) == (4, SHAM)
    assert asked == [(0, 0.5), (1, 0.5), (2, 4.0), (3, 4.0)]


# --- Figures, words, browser ---------------------------------------------------------------------


def test_the_planted_category_is_thick_and_each_kind_of_line_named_once():
    responses = answering(0.1).responses()
    figure = figures.dose(responses)
    own = responses.query("measure == @MAP and category == 'text'")
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 5]
    (thick,) = [line for line in lines if line.get_lw() > 2]
    assert thick.get_ydata() == pytest.approx(own["value"].to_numpy())
    assert thick.get_xdata() == pytest.approx(own["dose"].to_numpy())
    assert sum(line.get_lw() < 1 for line in lines) >= 2
    last = responses.query("measure == @MAP and dose == 4 and category != 'text'")
    furthest = last.loc[last["value"].abs().idxmax(), "category"]
    beside = [text.get_text() for text in figure.axes[0].texts]
    assert beside[0] == furthest
    assert "text" not in beside
    named = {text.get_text() for text in figure.legends[0].get_texts()}
    assert named == {"each other category", "the planted category", WHOLLY}
    (dashed,) = [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert dashed.get_ydata() == pytest.approx([-0.6, -0.3, 0, 0.3, 0.6])
    assert not [line for line in figure.axes[1].lines if line.get_linestyle() == "--"]  # of units
    plt.close(figure)


def test_the_matrix_has_the_planted_first_and_decided_numbers_bold():
    slopes = answering(0.1).slopes()
    figure = figures.follow(slopes)
    texts = {t.get_position(): t for t in figure.axes[0].texts}
    assert texts[0, 0].get_fontweight() == "bold"
    assert float(texts[0, 0].get_text()) == pytest.approx(10, abs=1)
    assert texts[1, 0].get_fontweight() == "normal"
    plt.close(figure)
    for draw, table in (
        (figures.specific, answering(0.1).specific()),
        (figures.halves, halves((2,))),
    ):
        figure = draw(table)
        assert len(figure.axes) == 2
        plt.close(figure)


def test_alarms_stand_beside_what_is_promised():
    frozen = halves((1, 2)).query("measure == @MAP").assign(measure=READOUT)
    table = tables.alarms(halves((2,)), frozen, frozen.assign(measure=SHAM))
    value = table.set_index("measure")["value"].to_dict()
    assert value == {MAP: 1 / 3, UNITS: 0, READOUT: 2 / 3, SHAM: 2 / 3}
    assert "sham doses by the map of frozen layers 2 of 3" in sentences._quiet(table)
    figure = figures.alarms(table)
    names = [text.get_text().splitlines()[-1] for text in figure.axes[0].get_xticklabels()]
    assert names == ["1 of 3", "0 of 3", "2 of 3", "2 of 3"]
    plt.close(figure)


@pytest.mark.parametrize(
    ("steep", "follows", "more"),
    [
        (0.1, "rises with the dose at text", "more than others at text"),
        (-0.1, "falls, wrongly, at text", "less, wrongly, at text"),
        (0.0, "may or may not at text", "not certainly more at text"),
    ],
)
def test_words_follow_what_is_found(steep, follows, more):
    found = answering(steep, seed=1)
    row = {"category": "text", "fixations": 6886, "images": 138, "planted": True}
    looked = pd.DataFrame([row])
    told = found.responses(), found.slopes(), found.specific(), tables.alarms(halves())
    said = sentences.what_we_see(looked, *told)
    assert "text 6,886 on 138 images" in said
    assert follows in said
    low, high = {0.1: ("less", "more"), -0.1: ("more", "less")}.get(steep, ["not decided"] * 2)
    told = " ".join(said.split())
    assert f"At dose 0.25, beside dose 1, each by itself: {low} at text" in told
    assert f"At dose 4, beside dose 1, each by itself: {high} at text" in told
    assert f"({WHOLLY}, would differ by text +60.0 %)" in told
    assert more in said
    assert "text: of 2 others 2 are not decided" in said
    assert "nan" not in said


def test_who_moves_along_is_named():
    slopes = answering(0.1).slopes()
    moved = slopes["category"] == "plant"
    slopes.loc[moved, ["value", "low", "high"]] = [-0.04, -0.05, -0.03]
    said = sentences._along(slopes, MAP)
    assert "down go plant -4.0 % [-5.0, -3.0]" in said


def test_the_slider_shows_the_map_of_its_dose(planted):
    shown = browser.DoseBrowser(planted, images=2)
    strong, weak, again = (shown.draw("bright", dose) for dose in (4, 0.5, 4))
    assert strong.shape == weak.shape
    assert not np.array_equal(strong, weak)
    assert np.array_equal(strong, again)
    network = planted.networks(planted.asked("bright", 4)[:1])[0]
    data = shown.shown["bright"]
    with torch.inference_mode():
        own = network.coarse(torch.stack([data.image(i).float() / 255 for i in range(2)]))
    seen = shown.maps("bright", 4)
    assert np.corrcoef(own[1].flatten(), seen[1].flatten())[0, 1] == pytest.approx(1, abs=1e-4)
    with pytest.raises(UnknownNameError, match="bright"):
        shown.draw("dark", 4)
    assert shown.widget().children
