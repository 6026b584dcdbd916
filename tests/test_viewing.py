import dataclasses
import io
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from saliencykit import evaluation, viewing
from saliencykit.analyses.data import figures as data_figures
from saliencykit.analyses.data import sentences as data_sentences
from saliencykit.analyses.fine_tuning import figures as fine_tuning_figures
from saliencykit.analyses.fine_tuning import sentences as fine_tuning_sentences
from saliencykit.analyses.fine_tuning import tables as fine_tuning_tables
from saliencykit.analyses.models import figures as models_figures
from saliencykit.analyses.models import sentences as models_sentences
from saliencykit.analyses.models import tables as models_tables
from saliencykit.analyses.pretrained_units import sentences as pretrained_units_sentences
from saliencykit.analyses.pretrained_units import tables as pretrained_units_tables
from saliencykit.datasets import Fixations, Region
from saliencykit.dissection import dissect
from saliencykit.dissection import report as reports
from saliencykit.evaluation import Predictor, evaluate, prior_maps
from saliencykit.metrics import PowerLaw
from saliencykit.models import CentrePrior, build_encoder
from saliencykit.viewing import pictures as overlay
from saliencykit.viewing.style import write_figure
from tests.conftest import Blobs


@pytest.fixture(scope="module")
def studied():
    data = Blobs(16)
    torch.manual_seed(0)
    encoders = {
        "pre-trained": build_encoder("toyvgg", None),
        "untrained": build_encoder("toyvgg", None),
    }
    layers = ["conv2_2", "conv3_1"]
    results = {
        name: dissect(encoder, data, layers, permutations=20, progress=False)
        for name, encoder in encoders.items()
    }
    return data, encoders, results, layers


def test_a_figure_is_written_with_its_numbers(tmp_path):
    path = tmp_path / "toy" / "00_demo.png"
    figure = plt.figure(figsize=(2, 1), dpi=50)
    assert write_figure(figure, path, pd.DataFrame({"x": [1 / 3]})) == (100, 50)
    assert sorted(p.name for p in path.parent.iterdir()) == ["00_demo.csv", "00_demo.png"]
    assert path.with_suffix(".csv").read_text() == "x\n0.333333\n"


def test_a_figure_that_fails_keeps_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "00_demo.png"
    write_figure(plt.figure(), path, pd.DataFrame({"x": [1]}))
    figure = plt.figure()
    monkeypatch.setattr(figure, "savefig", lambda *_, **__: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        write_figure(figure, path, pd.DataFrame({"x": [2]}))
    assert len(list(tmp_path.iterdir())) == 2
    assert path.stat().st_size > 0


def test_spotlight_shows_the_image_where_the_map_is_high():
    image = torch.full((3, 40, 60), 128, dtype=torch.uint8)
    image[0] = 200
    values = torch.zeros(4, 6)
    values[3, 0] = 1
    picture = overlay.spotlight(image, values)
    assert (picture[39, 0] == image[:, 39, 0].numpy()).all()  # in its own colours
    assert (np.ptp(picture[:10, 30:], axis=-1) == 0).all()  # grey
    assert picture[:10, 30:].max() < 100  # and dark
    assert ((picture == overlay.LINE).all(-1)).any()
    flat = overlay.spotlight(image, torch.ones(4, 6))
    assert (flat.std((0, 1)) == 0).all()


def test_fixations_are_drawn_where_they_are():
    picture = np.zeros((50, 80, 3), np.uint8)
    drawn = overlay.with_fixations(picture, Fixations.of([60], [10]), radius=2)
    ys, xs = np.nonzero(drawn.sum(-1))
    assert (xs.mean(), ys.mean()) == (60, 10)
    assert picture.sum() == 0  # the original is untouched


def test_outline_is_the_border_of_the_region():
    mask = torch.zeros(30, 30, dtype=torch.bool)
    mask[10:20, 5:25] = True
    drawn = overlay.outline(np.zeros((30, 30, 3), np.uint8), [Region("text", mask=mask)])
    border = drawn.sum(-1) > 0
    assert border.sum() == 2 * 20 + 2 * 10 - 4
    assert not border[11:19, 6:24].any()


def test_montage_has_one_place_for_each_picture():
    reds = [np.full((20, 30, 3), (250, k, 0), np.uint8) for k in range(5)]
    sheet = overlay.montage(reds, columns=3, height=20, gap=2)
    assert sheet.shape == (42, 94, 3)
    assert [sheet[5, 5 + 32 * k, 1] for k in range(3)] == [0, 1, 2]
    assert sheet[30, 70].tolist() == [255, 255, 255]


def test_png_round_trip():
    picture = np.random.default_rng(0).integers(0, 255, (9, 7, 3)).astype(np.uint8)
    assert (np.array(Image.open(io.BytesIO(overlay.png(picture)))) == picture).all()


def test_figures_draw_what_the_tables_say(studied):
    _, _, results, layers = studied
    styles = viewing.units.styles(results)
    tops = reports.tops(results, k=3)
    figure = viewing.units.by_layer(tops, styles)
    line = figure.axes[0].lines[0]
    chosen = tops[(tops.encoder == "pre-trained") & (tops.category == "bright")]
    assert line.get_ydata().tolist() == pytest.approx(chosen["mean"].tolist())
    shares = pretrained_units_tables.significant(results, layers[1])
    at_layer = tops[tops.layer == layers[1]]
    assert len(viewing.units.by_category(at_layer, styles, shares=shares).axes) == 2
    gain = reports.gain(results["untrained"], results["pre-trained"], layers[1:2], 3)
    panels = viewing.units.by_category(at_layer, styles, gain=gain, shares=shares).axes
    assert panels[1].get_xlabel() == "their difference"
    assert panels[1].containers[0].lines[0].get_xdata().tolist() == pytest.approx(
        gain.difference.tolist()
    )
    assert [bar.get_width() for bar in panels[2].patches] == pytest.approx(
        [100 * s for name in styles for s in shares[shares.encoder == name].share]
    )
    counts = reports.counts(results, layers[1])
    figure = viewing.units.counts(counts, styles, 1.5)
    assert [axis.get_title() for axis in figure.axes] == ["bright", "dark"]
    chosen = counts[(counts.encoder == "pre-trained") & (counts.category == "dark")]
    drawn = figure.axes[1].lines[list(styles).index("pre-trained")]
    assert drawn.get_ydata().tolist() == pytest.approx((100 * chosen.share).tolist())
    changed = reports.change(results["untrained"], results["pre-trained"], layers[1], 3)
    assert fine_tuning_figures.before_after(changed).axes[1].get_xlabel() == "change"
    layered = fine_tuning_tables.favouring_by_layer(
        results["untrained"], results["pre-trained"], ("bright", "dark"), 3
    )
    assert layered.layer.tolist() == layers
    assert fine_tuning_figures.favoured_by_layer(layered, layers[1]).axes[
        0
    ].get_xticks().tolist() == [
        0,
        1,
    ]
    pairs = fine_tuning_tables.favouring_pairs(
        results["untrained"], results["pre-trained"], layers[1], 3
    )
    assert fine_tuning_figures.favouring(pairs).axes[0].images[0].get_array().shape == (2, 2)
    plt.close("all")


def test_unit_browser_draws_without_a_network(studied, monkeypatch):
    data, encoders, results, layers = studied
    browser = viewing.UnitBrowser(encoders, results, data, (48, 64), layers, "conv3_1", images=8)
    for encoder in encoders.values():
        monkeypatch.setattr(encoder.net, "forward", lambda *_: pytest.fail("a network ran"))
    widget = browser.widget("conv3_1")
    sliders, picture, said = widget.children
    layer, unit, category = sliders.children
    assert [c.description for c in sliders.children] == ["layer", "unit", "category"]
    assert unit.max == 31
    before = picture.value
    unit.value = 30
    assert picture.value != before
    assert picture.value == overlay.png(browser.draw("conv3_1", 30))
    layer.value = "conv2_2"  # fewer units: the slider follows
    assert (unit.max, unit.value) == (15, 15)
    category.value = "bright"
    best = reports.best_units(results["pre-trained"], "conv2_2").set_index("category")
    shown = browser.draw("conv2_2", int(best.loc["bright", "unit"]))
    assert picture.value == overlay.png(shown)
    assert said.value == ""


def test_unit_sheet_names_the_best_units(studied):
    data, encoders, results, layers = studied
    browser = viewing.UnitBrowser(encoders, results, data, (48, 64), layers, "conv3_1")
    figure, table = browser.sheet("conv3_1", columns=3)
    selectivity = results["pre-trained"].selectivity("conv3_1")
    assert table.category.tolist() == ["bright", "dark"]
    assert table.unit.tolist() == selectivity.to_numpy().argmax(1).tolist()
    assert table.selectivity.tolist() == pytest.approx(selectivity.max(axis=1).tolist())
    plt.close(figure)


@pytest.fixture(scope="module")
def evaluated(studied):
    data = studied[0]
    flat = Predictor(lambda i: torch.arange(64.0).expand(48, 64) + i, {"test": "flat"})
    best = Predictor(lambda i: data.image(i)[0].float(), {"test": "best"})
    people = pd.DataFrame({"model": "human", "image": data.names, "metric": "nss", "value": 9.0})
    prior = {"centre prior": prior_maps(CentrePrior(), data)}
    found = evaluate({**prior, "flat": flat, "best": best}, data, ("nss", "cc")).beside(people)
    return data, found


def test_image_browser_moves(evaluated):
    browser = viewing.ImageBrowser(*evaluated)
    assert browser.models[0] == "best"
    sliders, picture, _ = browser.widget().children
    before = picture.value
    sliders.children[0].value = 3
    assert picture.value != before
    browser.draw(image=11)  # the one that nobody looked at draws too


def test_score_table_orders_models_and_draws_people_as_a_line(evaluated):
    table = evaluation.summary(evaluated[1].scores)
    figure = models_figures.score_table(table)
    first = figure.axes[0]
    assert [t.get_text() for t in first.get_yticklabels()] == ["best", "flat"]
    lines = {line.get_label(): line.get_xdata()[0] for line in first.lines}
    assert lines["human"] == pytest.approx(9)
    prior = table[(table.model == "centre prior") & (table.metric == "nss")]
    assert lines["centre prior"] == pytest.approx(prior["mean"].item())
    plt.close(figure)


def test_people_s_limit_is_a_line_where_it_is_known(evaluated):
    table, law = evaluation.summary(evaluated[1].scores), PowerLaw(12, 3, 0.5, 11, 13, True)
    curve = evaluation.ObserverCurve(pd.DataFrame(), law, torch.zeros(3))
    loose = dataclasses.replace(curve, law=dataclasses.replace(law, determined=False))
    assert models_tables.with_limit(table, {"nss": loose}).equals(table)
    figure = models_figures.score_table(models_tables.with_limit(table, {"nss": curve}))
    lines = {line.get_label(): line.get_xdata()[0] for line in figure.axes[0].lines}
    assert lines["human, n → ∞"] == 12
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["best", "flat"]
    plt.close(figure)


def test_pairs_matrix_prints_only_what_is_significant(evaluated):
    table = evaluation.pairwise(evaluated[1].scores, "nss").assign(p_adjusted=0.5)
    table.loc[table.index[0], "p_adjusted"] = 0.01
    figure = models_figures.pairs(table)
    assert sorted(t.get_text() for t in figure.axes[0].texts) == sorted(
        [f"{table.value[0]:+.2f}", f"{-table.value[0]:+.2f}"]
    )
    assert figure.axes[0].get_yticklabels()[0].get_text() == "human"  # best first
    plt.close(figure)


def test_maps_of_images_show_every_model_s_map_and_score(evaluated):
    data, found = evaluated
    figure, table = models_figures.maps_of_images(data, found, [0, 5])
    assert len(table) == 2 * 3
    assert table.nss.tolist() == [found.score(m, i) for i, m in zip(table.image, table.model)]  # noqa: B905
    written = " ".join(axis.get_xlabel() for axis in figure.axes)
    assert f"best\n{found.score('best', 'b05'):.2f}" in written
    plt.close(figure)


def test_words_about_models_say_who_lies_where(evaluated):
    def table(**means):
        rows = [(m, "nss", v, v - 0.1, v + 0.1) for m, v in means.items()]
        return pd.DataFrame(rows, columns=["model", "metric", "mean", "low", "high"])

    means = table(**{
        "centre prior": 0.9, "gbvs": 1.5, "aim": 0.7, "frozen": 2, "fine-tuned": 3, "human": 4,
    })  # fmt: skip
    gain = {"mean": 1.0, "low": 0.8, "high": 1.2}
    others = ("centre prior", "fine-tuned", "aim")
    pairs = pd.DataFrame({"first": "gbvs", "second": others, "p_adjusted": [0.01, 0.04, 0.2]})

    def say(means=means, gain=gain, pairs=pairs):
        return models_sentences.what_we_see(means, gain, pairs, 100, ["frozen", "fine-tuned"])

    text = say()
    assert "fine-tuned 3.00 [2.90, 3.10] (75 % of human)" in text
    assert "1 of them lie between" in text
    assert "1 beyond chance from both" in text
    assert "0 beyond chance from both" in say(pairs=pairs.assign(p_adjusted=[0.06, 0.04, 0.2]))
    assert "Scoring above people" not in text
    better = means.assign(mean=means["mean"].replace(3, 4.05))
    assert "Scoring above people, as fine-tuned, is" in say(better)
    assert "No better than the centre prior: AIM." in text
    assert "No worse than" not in text
    assert "Of the 3 pairs of models and people, 2 differ" in text
    assert "Fine-tuning the encoder helps" in text
    limit = say(pd.concat([means, table(**{"human, n → ∞": 5})]))
    assert "human 4.00 [3.90, 4.10], 80 % of the limit 5.00 [4.90, 5.10]" in limit
    assert "fine-tuned 3.00 [2.90, 3.10] (60 % of the limit)" in limit
    assert "Scoring above people" not in limit
    bits = table(**{"frozen": 0.2, "fine-tuned": 0.5, "human": 2}).assign(metric="ig")
    gained = say(pd.concat([means, bits]))
    assert "gain (2.00 [1.90, 2.10] bits): frozen 10 %, fine-tuned 25 %." in gained
    nothing = say(gain={"mean": 0, "low": -0.1, "high": 0.1})
    assert "encoder is not shown to help or hurt: 0.00 [-0.10, 0.10]" in nothing


def test_errors_in_a_draw_are_said_under_the_picture():
    def draw(number):
        if number > 3:
            raise ValueError("there is no number 4")
        return np.zeros((4, 4, 3), np.uint8)

    sliders, _, said = viewing.explore(draw, number=viewing.controls.slider(9)).children
    with pytest.raises(ValueError, match="no number 4"):
        sliders.children[0].value = 4
    assert "no number 4" in said.value
    sliders.children[0].value = 1
    assert said.value == ""


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [(0.2, 0.6, "finding holds"), (-0.6, -0.2, "other way round"), (-0.2, 0.2, "not decided")],
)
def test_words_follow_the_interval(studied, low, high, says):
    results = studied[2]
    pair = {"first": "person_head", "second": "text"}
    numbers = {"value": (low + high) / 2, "low": low, "high": high}
    layered = pd.DataFrame(
        [
            {"layer": "conv3_1", **pair, **numbers},
            {"layer": "conv2_2", **pair, "value": 2.0, "low": 1.5, "high": 2.5},
        ]
    )
    changed = reports.change(results["untrained"], results["pre-trained"], "conv3_1", 3)
    counts = reports.counts(results, "conv3_1")
    rows = [(c, "conv3_1", "then", m) for c, m in (("person_head", 1.5), ("text", 0.5))]
    rows += [(c, "conv3_1", "now", m) for c, m in (("person_head", 2.5), ("text", 0.25))]
    crossfit = pd.DataFrame(rows, columns=["category", "layer", "encoder", "mean"])

    class FakeStudy:
        unseen, layer = range(5), "conv3_1"

    text = fine_tuning_sentences.what_we_see(changed, layered, crossfit, counts, 1.5, FakeStudy())
    assert "on the other: person head 1.50 → 2.50 and text 0.50 → 0.25." in text
    assert f"undecided at {int(low < 0 < high)};" in text
    assert says in text
    assert ("favours person head over text" in text) == (low > 0)
    assert ("favours text over person head" in text) == (high < 0)
    assert f"{(low + high) / 2:.2f} [{low:.2f}, {high:.2f}]" in text
    assert "on 5 images" in text.lower()
    assert f"person head is favoured at {1 + (low > 0)}, text at {int(high < 0)}" in text
    assert "the largest difference is at conv2_2: 2.00 [1.50, 2.50]" in text


def test_words_about_pretrained_units_count_what_the_table_holds(studied):
    results = studied[2]
    shares = pretrained_units_tables.significant(results, "conv3_1")
    counts = reports.counts(results, "conv3_1")
    same = reports.tops(results, ["conv3_1"], 3)
    gain = reports.gain(results["untrained"], results["pre-trained"], ["conv3_1"], 3)
    best = reports.best_units(results["pre-trained"], "conv3_1")

    class FakeStudy:
        layer, pretrained, annotated = "conv3_1", SimpleNamespace(accuracy=0.913), range(7)

    says_of = {
        (1, 1): "holds at this", (1, -1): "holds in part", (-1, -1): "does not hold",
        (-1, 0): "is not shown at this",
    }  # fmt: skip
    for signs, says in says_of.items():
        ends = {"difference_low": np.array(signs) - 0.5, "difference_high": np.array(signs) + 0.5}
        table = gain.assign(**ends)
        text = pretrained_units_sentences.what_we_see(
            table, shares, same, counts, 1.5, best, FakeStudy()
        )
        assert says in text
        assert f"**{sum(s > 0 for s in signs)} of 2**" in text
        assert "91.3 % held out" in text
    table = gain.assign(difference_low=[-1, -1])
    deeper = table.assign(layer="conv4_1", difference_low=1, difference_high=2)
    text = pretrained_units_sentences.what_we_see(
        pd.concat([table, deeper]), shares, same, counts, 1.5, best, FakeStudy()
    )
    below = int((table.difference_high < 0).sum())
    assert f"conv3_1 0/{below}, conv4_1 2/0." in text


def test_too_few_images_for_any_category_is_said():
    nothing = pd.DataFrame({"category": ["text"], "mean": [np.nan]})
    with pytest.raises(ValueError, match=r"5 images or more.*parameter `images`"):
        viewing.units.present(nothing)


def test_observers_figure_and_words_extrapolate_only_where_determined():
    law = PowerLaw(4.9, 2.2, 0.33, 4.7, 5.4, True)
    table = pd.DataFrame({
        "n": [1, 4, 14, np.inf], "mean": [2.6, 3.5, 4.0, 4.9], "low": 2.0, "high": 5.0,
        "fitted": [law(1), law(4), law(14), 4.9],
    })  # fmt: skip
    sure = evaluation.ObserverCurve(table, law, torch.zeros(3))
    loose = evaluation.ObserverCurve(table, dataclasses.replace(law, determined=False), sure.limits)
    figure, shown = data_figures.observers({"nss": sure, "auc": loose})
    assert shown.metric.tolist() == ["nss"] * 4 + ["auc"] * 4
    left, right = figure.axes
    assert len(left.lines) == len(right.lines) + 1  # the limit
    plt.close(figure)
    kinds = pd.DataFrame(
        {"category": ["text", "plant"], "value": [9, 2], "low": 1.5, "high": 10, "planted": [3, 1]}
    )
    people = pd.DataFrame({"model": ["human", "centre prior"], "metric": "nss"})
    text = data_sentences.what_we_see(
        SimpleNamespace(name="some"),
        pd.DataFrame({"fixations": [1000, 500], "observers": [3, 4], "regions": [5, 6]}),
        kinds,
        people.assign(mean=[3.0, 1.0], low=[2.5, 0.5], high=[3.5, 1.5]),
        {"nss": sure, "auc": loose},
    )
    assert "2 images with 1,500 fixations of up to 4 observers, and 11 annotated regions" in text
    assert "**text**: 9.0 [1.5, 10.0] times" in text
    assert "least at plant: 2.0" in text
    assert "Of 2 planted weights 1 lie in the interval." in text
    assert "NSS 3.00 [2.50, 3.50]; the centre prior alone reaches 1.00 [0.50, 1.50]" in text
    assert "groups of them: NSS 4.90 [4.70, 5.40]. For AUC these observers are too few" in text
