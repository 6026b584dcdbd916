"""Figures and sentences about search arrays and failures say what the tables hold."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from saliencykit.analyses.failures import browser as failures_browser
from saliencykit.analyses.failures import figures as failures_figures
from saliencykit.analyses.failures import sentences as failures_sentences
from saliencykit.analyses.failures import tables as failures
from saliencykit.analyses.pop_out import browser as pop_out_browser
from saliencykit.analyses.pop_out import figures as pop_out_figures
from saliencykit.datasets.popout import FEATURES, PopOut
from saliencykit.evaluation import Kind, Predictor, evaluate
from saliencykit.viewing import pictures as overlay
from saliencykit.viewing import pictures as viewing_pictures
from tests.conftest import Blobs

EXCESS, ENDS = ("excess", "people", "beyond"), ("", "_low", "_high")


@pytest.fixture(scope="module")
def arrays():
    data = PopOut(features=["colour", "size"], set_sizes=[4, 16], repeats=1, size=(128, 160))
    maps = {
        "fine-tuned": Predictor(lambda i: data.image(i)[0].float(), {"test": "red"}, Kind.NETWORK),
        "gbvs": Predictor(lambda i: data.targets(i).float() + 0.5, {"test": "target"}),
    }
    return data, evaluate(maps, data, ("most_salient", "gsi"))


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_contact_sheet_shows_every_kind_of_search():
    figure, table = pop_out_figures.contact_sheet((128, 160))
    assert list(dict.fromkeys(table.feature)) == list(FEATURES)
    assert len(table) == 6 * len(FEATURES) == len([a for a in figure.axes if a.images])
    rows = [a.get_ylabel() for a in figure.axes if a.get_ylabel()]
    assert [r.split("(")[1] for r in rows] == [f"{s})" for s in table["search"][::6]]


def test_array_browser_draws_the_condition_that_is_asked_for(arrays, monkeypatch):
    data, found = arrays
    browser = pop_out_browser.ArrayBrowser(data, found)
    assert browser.models[0] == "gbvs"
    controls, picture, said = browser.widget().children
    feature, set_size, _, background = controls.children
    seen = [picture.value]
    for control in (feature, set_size, background):
        control.value = control.options[-1]
        seen.append(picture.value)
    assert len(set(seen)) == 4
    assert said.value == ""
    first = {column: browser.options(column)[0] for column in pop_out_figures.CONDITIONS}
    assert overlay.png(browser.draw(**first)) == seen[0]


def test_ring_surrounds_the_target(arrays):
    data, _ = arrays
    image, target = np.zeros((128, 160, 3), np.uint8), data.targets(0).numpy()
    ring = pop_out_browser.ringed(image, target).any(-1)
    ys, xs = np.nonzero(target)
    assert not ring[target].any()
    assert ring.any()
    rows, columns = np.nonzero(ring)
    assert rows.min() < ys.min() or columns.min() < xs.min()


def compared(natural, arrays):
    rows = [("plain", "natural", 3.0, 0, 0, 0), ("plain", "arrays", 0.05, 0, 0, 0)]
    rows += [("two scales", "natural", 3.0, *natural), ("two scales", "arrays", 0.1, *arrays)]
    columns = ["model", "side", "mean", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=columns).assign(each="0.1 0.2")


@pytest.mark.parametrize(
    ("natural", "arrays", "says"),
    [
        ((0, -0.1, 0.1), (0.2, 0.1, 0.3), "the model two scales raises it most"),
        ((-0.5, -0.6, -0.4), (0.2, 0.1, 0.3), "GSI +0.200 for 16.7 % of the NSS on natural"),
        ((0, -0.1, 0.1), (0.0, -0.1, 0.1), "none of them makes the odd item stand out more"),
    ],
)
def test_words_on_remedies_recommend_only_what_the_numbers_bear(natural, arrays, says):
    table = compared(natural, arrays)
    gaps = pd.DataFrame({"image": ["a"], "model": 1.0, "human": 2.0, "gap": 1.0})
    numbers = {f"{of}{end}": v for of in EXCESS for end, v in zip(ENDS, (1, -1, 2), strict=True)}
    excess = pd.DataFrame({"category": ["text"], **numbers})
    text = failures_sentences.what_we_see(gaps, excess, table, "plain")
    assert says in text
    assert f"NSS {natural[0]:+.2f} [{natural[1]:+.2f}, {natural[2]:+.2f}]" in text
    figure = failures_figures.remedies(table, "plain")
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["two scales"]


@pytest.fixture(scope="module")
def failing():
    data = Blobs(12)
    maps = Predictor(lambda i: -data.image(i)[0].float(), {"test": "blind drawn"})
    people = pd.DataFrame({"model": "human", "image": data.names, "metric": "nss", "value": 4.0})
    found = evaluate({"blind": maps}, data, ("nss",)).beside(people)
    gaps = failures.gaps(found.scores, "blind")
    return data, maps, found, gaps


def spread(excess, sides):
    """Let the intervals of categories lie on these sides of 0 (11 images have none)."""
    for of, signs in sides.items():
        sign = excess["category"].map(signs).fillna(0)
        ends = {f"{of}_low": 20 * sign - 9, f"{of}_high": 20 * sign + 9}
        excess = excess.assign(**{of: 20 * sign, **ends})
    return excess.assign(verdict=failures.verdict(excess))


def test_words_and_figures_on_failures(failing):
    data, maps, found, gaps = failing
    excess = failures.excess([failures.by_region([maps, maps], data)], own_images=False)
    excess = spread(excess, {of: {"bright": -1, "dark": 1} for of in EXCESS})
    tried = compared((0, -0.1, 0.1), (0.0, -0.1, 0.1)).replace("plain", "blind")

    def say(gaps, excess):
        return failures_sentences.what_we_see(gaps, excess, tried, "blind")

    text = say(gaps, excess)
    assert f"widest gap is on {gaps.image[0]}: NSS {gaps.model[0]:.2f} against 4.00" in text
    assert "below the human ceiling on 100 % of 11 images; of what it misses there" in text
    missing = 100 * gaps.gap.head(2).sum() / gaps.gap.sum()
    assert f"the quarter with the widest gaps makes {missing:.0f} %" in text
    above = gaps.assign(gap=-gaps.gap)  # better than people throughout
    assert "below the human ceiling on 0 % of 11 images. The widest" in say(above, excess)
    row = excess.set_index("category").loc["bright"]
    ends = f"[{row.excess_low:+.0f}, {row.excess_high:+.0f}]"
    assert f"too few on bright {row.excess:+.0f} {ends} % of" in text
    assert "too many fixations on dark" in text
    for of in ("excess", "beyond"):  # people's own error is not the model's, nor is noise
        nothing = excess.assign(**{f"{of}_low": -1.0, f"{of}_high": 1.0})
        assert say(gaps, nothing).count("no category beyond doubt") == 2
    labels = failures_figures.excess(excess).axes[0].get_yticklabels()
    assert [text.get_text() for text in labels] == ["dark", "bright"]  # most first, on top
    lines = failures_figures.ranking(gaps, "blind").axes[0].lines
    assert lines[2].get_ydata().tolist() == gaps.gap.tolist()
    assert len(failures_figures.worst(data, found, "blind", gaps, n=5).axes) == 2 * 8


def test_failure_browser_goes_from_worst_to_best(failing):
    data, _, found, gaps = failing
    browser = failures_browser.FailureBrowser(data, found, "blind", gaps)
    sliders, picture, said = browser.widget().children
    assert (sliders.children[0].min, sliders.children[0].max) == (1, 11)
    assert picture.value == overlay.png(browser.draw(rank=1))
    sliders.children[0].value = 11
    assert picture.value == overlay.png(browser.draw(rank=11))
    assert said.value == ""


def test_residual_is_red_where_too_much_and_blue_where_too_little():
    values = torch.zeros(40, 40)
    values[5:10, 5:10], values[30:35, 30:35] = 1, -1
    drawn = viewing_pictures.difference(values, (40, 40)).astype(int)
    assert drawn[7, 7, 0] > drawn[7, 7, 2] + 50
    assert drawn[32, 32, 2] > drawn[32, 32, 0] + 50
    assert np.ptp(drawn[20, 20]) < 6
