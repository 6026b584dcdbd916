"""Figures, browser and sentences of notebook 08, on invented tables."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

import saliencykit as sk
from saliencykit.analyses.known_truth import browser as browsing
from saliencykit.analyses.known_truth import figures as truth
from saliencykit.analyses.known_truth import sentences as known_truth_sentences
from saliencykit.analyses.known_truth.browser import WorldBrowser
from saliencykit.analyses.known_truth.tables import CONTROLS
from saliencykit.datasets import CATEGORIES
from saliencykit.dissection.readout_maps import MAP
from saliencykit.viewing.bars import BOTTOM, TOP
from saliencykit.worlds import Plan, Worlds

LAYERS = ["conv3_3", "conv5_3", MAP]
PLANS = [Plan(), Plan(group=1), Plan("text", 2), Plan("text", 4), Plan("person_head", 4)]


def spans(rows, value, columns=("value", "low", "high")):
    return pd.DataFrame(rows).assign(**dict(zip(columns, (value, value - 0.5, value + 0.5))))  # noqa: B905


@pytest.fixture
def table():
    parts = []
    for plan in PLANS:
        for layer in LAYERS:
            for control in CONTROLS:
                weights = np.array([plan.weights[c] for c in CATEGORIES])
                head = {"world": str(plan), "favoured": plan.category, "factor": plan.factor}
                rows = {**head, "layer": layer, "control": control, "category": CATEGORIES}
                rows |= {"planted": weights, "p": 0.01, "p_adjusted": 0.02}
                parts.append(spans(rows, np.log2(weights)))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def rho():
    rows = [{"layer": layer, "control": control} for layer in LAYERS for control in CONTROLS]
    return pd.DataFrame(rows).assign(rho=0.9, low=0.85, high=0.95)


@pytest.fixture
def pair():
    rows = [
        {"world": str(p), "layer": layer, "control": c, "first": "person_head", "second": "text"}
        for p in PLANS[3:]
        for layer in LAYERS
        for c in CONTROLS
    ]
    sign = [1.0 if row["world"].startswith("person") else -1.0 for row in rows]
    return spans(rows, np.array(sign))


@pytest.fixture
def alarms():
    rows = [
        {"networks": "fine-tuned", "layer": layer, "control": control, "by": by}
        for layer in LAYERS
        for control, by in (("before", "images"), ("flat", "images"), ("flat", "networks"))
    ]
    return pd.DataFrame(rows).assign(tests=20, found=5, share=0.25, low=0.11, high=0.47)


@pytest.fixture
def found():
    rows = [
        {"training": n, "dissected": m, "by": by, "what": what, "tests": 12}
        for what in ("found", "first")
        for by in ("images", "networks")
        for n in (50, 100)
        for m in (50, 200)
    ]
    return pd.DataFrame(rows).assign(found=11, share=0.92, low=0.65, high=0.99)


@pytest.fixture
def layered():
    rows = {"layer": np.repeat(LAYERS[:2], 12), "category": CATEGORIES * 2}
    rows["planted"] = np.tile(np.arange(1.0, 13), 2)
    return spans(rows, np.repeat([1.0, 3.0], 12))


def test_dose_draws_a_line_a_category_through_the_planted_factors(table, rho):
    figure = truth.dose(table, rho)
    assert len(figure.axes) == 2 * len(LAYERS)
    drawn = [xy for xy in (line.get_xydata() for line in figure.axes[0].get_lines()) if len(xy) > 2]
    assert [1, 0] in drawn[0].tolist()
    assert any([4, 2] in xy.tolist() for xy in drawn)
    assert "0.90 [0.85, 0.95]" in "".join(
        figure.axes[0].get_title(loc=k) for k in ("left", "center")
    )
    plt.close(figure)


def test_figures_are_drawn_from_their_tables(pair, rho, layered, alarms, found):
    worlds = [str(p) for p in (PLANS[4], PLANS[3])]
    nothing = found[found["what"] == "found"].assign(share=0.05)
    for figure in (
        truth.flip(pair, worlds),
        truth.order(rho, layered),
        truth.alarms(alarms),
        truth.power(found, nothing),
    ):
        figure.canvas.draw()
        plt.close(figure)


@pytest.fixture
def say(rho, pair, layered, alarms, found):
    """What the notebook says if these tables are others."""
    own = found[(found["training"] == 50) & (found["dissected"] == 50)]
    given = {
        "dose": rho,
        "tuned": own.assign(layer=MAP, control="flat"),
        "pair": pair,
        "worlds": [str(p) for p in (PLANS[4], PLANS[3], PLANS[3])],
        "order": rho,
        "layered": layered,
        "alarms": alarms,
        "readouts": found,
    }
    return lambda **tables: known_truth_sentences.what_we_see(**given | tables)


def test_words_say_whether_it_is_found(say, rho):
    assert "Yes, from the map" in say()
    assert "gains most in 11 of 12 worlds" in say()
    assert "Mostly, from the map" in say(dose=rho.assign(low=0.5))
    assert "Partly, from the map" in say(dose=rho.assign(rho=0.4, low=0.1))
    assert "Not decided, from the map" in say(dose=rho.assign(low=-1.0))


def lowered(rho, layer):
    worse = rho.copy()
    worse.loc[worse["layer"] == layer, ["rho", "low", "high"]] -= 0.5
    return worse


def test_advice_follows_the_numbers(say, rho, alarms):
    few = alarms.assign(found=alarms["found"].where(alarms["by"] != "networks", 0))
    said = say(order=lowered(rho, "conv5_3"), alarms=few)
    assert "the model's map tells better than units of conv5_3" in said
    assert (
        "better judged by retraining (false alarms: retraining 0 %, resampling images 25 %)" in said
    )
    many = alarms.assign(found=alarms["found"].where(alarms["by"] != "networks", 9))
    said = say(order=lowered(rho, MAP), alarms=many)
    assert "the model's map tells worse than units of conv5_3" in said
    assert "judged by resampling images" in said
    assert "tells about as well as" in say()


def test_words_say_whether_it_flips(say, pair):
    said = say()
    assert "Person head minus text in the map, beyond the control: 1.00 [0.50, 1.50]" in said
    assert "for 6 of 6 measures; not, or not beyond doubt, for none." in said
    stuck = pair["layer"].eq("conv5_3") & pair["world"].eq(str(PLANS[3]))
    pair.loc[stuck, ["value", "low", "high"]] *= -1
    pair.loc[stuck, ["low", "high"]] = pair.loc[stuck, ["high", "low"]].to_numpy()
    said = say()
    assert "for 4 of 6 measures" in said
    assert "for conv5_3, conv5_3 beyond the control." in said


def test_words_on_the_default_world_name_shares_and_sides(say):
    said = say()
    assert "units of conv5_3 favour text (-1.00 [-1.50, -0.50])" in said
    assert "75 % of person head and 75 % of text" in said


def test_words_on_false_alarms_add_them_up(say):
    assert say().count("15 of 60 (25 %)") == 3


def test_words_on_power_name_the_least_images_or_say_more_are_needed(say, found):
    assert "from 50 training images on" in say()
    dip = (found["training"] == 100) & (found["dissected"] == 50)
    assert "more would be needed" in say(readouts=found.assign(share=found["share"].where(~dip, 0)))
    early = found["training"] == 50
    said = say(readouts=found.assign(share=found["share"].where(~early, 0)))
    assert said.count("from 100 training images on") == 2
    assert "more would be needed" in say(readouts=found.assign(share=0.5))


def test_bars_are_as_long_as_their_numbers(table):
    one = table[(table["world"] == "text × 4") & (table["layer"] == MAP)]
    one = one[one["control"] == "flat"]
    drawn = browsing.planted_and_found(one, 400)
    red = (drawn == np.array((213, 94, 0))).all(-1)  # what is found and favoured
    lines = red.any(1).nonzero()[0]
    step = (400 - TOP - BOTTOM) / 12
    top = TOP + CATEGORIES.index("text") * step
    assert top <= lines.min() <= lines.max() <= top + step
    grey = (drawn[:, :210] == np.array((154, 154, 154))).all(-1).sum(1)  # planted weights
    k = int(top + step / 2), int(TOP + step / 2)
    assert grey[k[0]] == pytest.approx(4 * grey[k[1]], abs=4)
    quiet = browsing.planted_and_found(one.assign(p_adjusted=0.5), 400)
    assert not (quiet == np.array((213, 94, 0))).all(-1).any()
    assert browsing.planted_and_found(one.assign(value=np.nan, low=np.nan, high=np.nan), 400).any()


def test_browser_draws_every_world_without_a_network(table, monkeypatch):
    study = sk.Study(weights=None, size=(60, 80), epochs=1)
    worlds = Worlds(study, training=14, dissected=12, readout_epochs=1)
    model = SimpleNamespace(
        coarse=lambda x: x.mean(1), parameters=lambda: iter([torch.zeros(1)]), layers=[]
    )
    monkeypatch.setattr(worlds, "taught", lambda plan: model)
    browser = WorldBrowser(worlds, PLANS[2:], table, scenes=2)
    monkeypatch.setattr(model, "coarse", None)
    first = browser.draw("text", 4)
    assert not np.array_equal(first, browser.draw("text", 1))
    assert browser.categories == ["text", "person_head"]
    assert browser.factors == [1, 2, 4]
    assert browser.widget().children[1].value[:4] == b"\x89PNG"
