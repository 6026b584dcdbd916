"""Figures, browser and sentences of notebook 08, on invented tables."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

import saliencykit as sk
from saliencykit.analyses.known_truth import browser as browsing
from saliencykit.analyses.known_truth import figures, sentences, tables
from saliencykit.analyses.known_truth.browser import WorldBrowser
from saliencykit.datasets import CATEGORIES
from saliencykit.viewing.bars import BOTTOM, TOP
from saliencykit.worlds import FLAT, Plan, Worlds, calibration

PLANS = [Plan("text", 2), Plan("text", 4), Plan("person_head", 4)]


def spans(rows, value, reach=0.5):
    table = pd.DataFrame(rows).assign(value=value)
    table = table.assign(low=table["value"] - reach, high=table["value"] + reach)
    return table.assign(**{"training 1": table["value"] - 0.1, "training 2": table["value"] + 0.1})


@pytest.fixture
def recovered():
    parts = []
    for number in calibration.NUMBERS:
        for plan in (FLAT, *PLANS):
            weights = np.array([plan.weights[c] for c in CATEGORIES])
            head = {"number": number, "world": str(plan), "favoured": plan.category}
            head |= {"factor": plan.factor, "planted": weights, "category": CATEGORIES}
            parts.append(spans(head, np.log2(weights)))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def dose():
    rows = [
        {"number": n, "category": c} for n in calibration.NUMBERS for c in ("text", "person_head")
    ]
    return spans(rows, 1.0)


@pytest.fixture
def pair():
    rows = [
        {"number": n, "control": c, "world": str(p), "first": "person_head", "second": "text"}
        for n in calibration.NUMBERS
        for c in (tables.ALONE, tables.BEYOND)
        for p in (PLANS[2], PLANS[1])
    ]
    return spans(rows, [1.0 if row["world"].startswith("person") else -1.0 for row in rows])


@pytest.fixture
def order():
    rows = [{"measure": m, "together": s} for m in ("people", "map") for s in (1, 3)]
    return spans(rows, 0.9, 0.05)


@pytest.fixture
def alarms():
    rows = [
        {"number": number, "test": test, "trainings": s, "comparisons": 40, "worlds": worlds}
        for number, worlds in ((calibration.CHANGE, 8.0), (calibration.READOUTS, 30.0))
        for test in (calibration.TWO, calibration.OWN, calibration.FOLDS)
        for s in (1, 2, 3, 5)
    ]
    table = pd.DataFrame(rows)
    table["share"] = table["trainings"].map({1: 0.9, 2: 0.2, 3: 0.06, 5: 0.04})
    return table.assign(low=table["share"] / 2, high=table["share"].clip(upper=0.45) * 2)


@pytest.fixture
def needed():
    rows = [
        {"number": n, "trainings": s, "images": i, "category": c, "value": 1 / s + 1 / i}
        for n in calibration.NUMBERS
        for s in (2, 3, 5)
        for i in (40, 80)
        for c in CATEGORIES
    ]
    return pd.DataFrame(rows)


def test_dose_draws_a_line_a_category_through_the_planted_factors(recovered):
    figure = figures.dose(recovered)
    assert len(figure.axes) == len(calibration.NUMBERS)
    drawn = [line.get_xydata() for line in figure.axes[0].get_lines() if len(line.get_xdata()) > 1]
    text = next(xy for xy in drawn if len(xy) == 3 and xy[-1, 1] == 2)
    assert text[:, 1].tolist() == [0, 1, 2]  # from the world that favours nothing on
    assert text[:, 0] == pytest.approx(np.array([1, 2, 4]) * text[0, 0])
    plt.close(figure)


def test_figures_are_drawn_from_their_tables(recovered, pair, order, alarms, needed):
    worlds = [str(PLANS[2]), str(PLANS[1])]
    for figure in (
        figures.flip(pair, worlds),
        figures.order(order),
        figures.alarms(alarms),
        figures.power(needed, recovered),
    ):
        figure.canvas.draw()
        plt.close(figure)


def test_power_is_the_middle_category_and_marks_what_was_planted(recovered, needed):
    needed.loc[needed["category"] == "text", "value"] = 99.0  # one of twelve moves no median
    figure = figures.power(needed, recovered)
    axis = figure.axes[0]
    line = next(one for one in axis.get_lines() if one.get_label() == "40 images")
    assert line.get_ydata() == pytest.approx([1 / s + 1 / 40 for s in (2, 3, 5)])
    assert {t.get_text() for t in axis.texts} == {str(p).replace("_", " ") for p in PLANS}
    plt.close(figure)


@pytest.fixture
def say(recovered, dose, pair, order, alarms, needed):
    """What the notebook says if these tables are others."""
    given = {"recovered": recovered, "dose": dose, "flipped": pair}
    given |= {"order": order, "alarms": alarms, "needed": needed}
    return lambda **tables: sentences.what_we_see(**given | tables)


def test_words_say_from_how_many_trainings_on_the_promise_is_kept(say, alarms):
    said = say()
    every = "two alike with 2, own interval with 2 and two alike, images of their own with 2"
    assert f"more than 7 % alarm beyond doubt: {every}." in said
    assert "2 trainings 20 % [10, 40], 3 trainings 6 % [3, 12] and 5 trainings 4 %" in said
    assert "knows of images alone, the share is fine-tuned minus frozen 90 %" in said
    doubtful = alarms.assign(low=0.0)
    said = say(alarms=doubtful)
    assert f"beyond doubt: none; as estimated, but not beyond doubt, {every}." in said
    good = alarms.assign(share=0.04, low=0.01)
    assert "beyond doubt: none." in say(alarms=good)


def test_words_say_whether_it_is_found_and_grows(say, recovered, dose):
    said = say()
    assert "lies above a world that favours nothing in 3 of 3 worlds; it grows" in said
    assert "grows with the weight in 2 of 2 categories" in said
    assert "Of 33 others 0 lie above and 0 below" in said
    assert "0 of 12 categories differ from itself" in said
    weak = recovered["world"] == "text × 2"
    unsure = recovered.assign(low=recovered["low"].where(~weak, -1.0))
    assert "in 2 of 3 worlds (not beyond doubt: text × 2 100 % [-100, 150])" in say(
        recovered=unsure
    )
    assert "grows with the weight in 0 of 2" in say(dose=dose.assign(low=-1.0))
    assert "grows" not in say(dose=dose.head(0))


def test_words_say_whether_it_flips(say, pair):
    said = say()
    assert "the map 100 % [50, 150] and -100 % [-150, -50] (yes)" in said
    assert "text × 4: text (-100 % [-150, -50])" in said
    stuck = pair.assign(high=pair["high"].where(pair["value"] > 0, 0.1))
    said = say(flipped=stuck)
    assert said.count("(no, or not beyond doubt)") == 2
    assert "text × 4: neither beyond doubt" in said


def test_words_say_what_more_trainings_and_images_buy(say):
    said = say()
    assert "By the map 51 % with 2, 35 % with 3, 21 % with 5 trainings" in said
    assert "with 5 trainings 22 % on 40, 21 % on 80 images" in said


def test_words_on_the_default_world_name_every_measure(say):
    said = say()
    told = "people 0.90 [0.85, 0.95]; map 0.90 [0.85, 0.95] with 1 and 0.90 [0.85, 0.95] with 3."
    assert told in said


def test_bars_are_as_long_as_their_numbers(recovered):
    one = recovered[(recovered["world"] == "text × 4") & (recovered["number"] == calibration.MAP)]
    drawn = browsing.planted_and_found(one, 400)
    red = (drawn == np.array((213, 94, 0))).all(-1)  # what is found and favoured
    lines = red.any(1).nonzero()[0]
    step = (400 - TOP - BOTTOM) / 12
    top = TOP + CATEGORIES.index("text") * step
    assert top <= lines.min() <= lines.max() <= top + step
    grey = (drawn[:, :210] == np.array((154, 154, 154))).all(-1).sum(1)  # planted weights
    k = int(top + step / 2), int(TOP + step / 2)
    assert grey[k[0]] == pytest.approx(4 * grey[k[1]], abs=4)
    quiet = browsing.planted_and_found(one.assign(low=-9.0, high=9.0), 400)
    assert not (quiet == np.array((213, 94, 0))).all(-1).any()
    assert browsing.planted_and_found(one.assign(value=np.nan, low=np.nan, high=np.nan), 400).any()


def test_browser_draws_every_world_without_a_network(recovered, monkeypatch, tmp_path):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path))
    study = sk.Study(weights=None, size=(60, 80), epochs=1)
    worlds = Worlds(study, training=6, dissected=12, readout_epochs=1)
    asked = []

    def drawn(self, plan, number, names):
        asked.append((plan, number))
        return torch.rand(len(names), 15, 20)

    monkeypatch.setattr(Worlds, "drawn", drawn)
    browser = WorldBrowser(tables.KnownTruth(worlds, PLANS, 4, 2, 4), recovered)
    assert asked == [(FLAT, 0), (PLANS[0], 4), (PLANS[1], 6), (PLANS[2], 8)]
    monkeypatch.setattr(Worlds, "drawn", None)
    first = browser.draw("text", 4)
    assert not np.array_equal(first, browser.draw("text", 1))
    assert browser.categories == ["text", "person_head"]
    assert browser.factors == [1, 2, 4]
    assert browser.widget().children[1].value[:4] == b"\x89PNG"
