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
from saliencykit.analyses.pretrained_units import figures as pretrained_units_figures
from saliencykit.analyses.pretrained_units import sentences as pretrained_units_sentences
from saliencykit.analyses.pretrained_units import tables as pretrained_units_tables
from saliencykit.datasets import Fixations, Region
from saliencykit.dissection import Dissection, best_beyond, decoding_beyond, dissect
from saliencykit.dissection import report as reports
from saliencykit.evaluation import Predictor, evaluate, prior_maps
from saliencykit.metrics import PowerLaw
from saliencykit.models import CentrePrior, build_encoder
from saliencykit.viewing import pictures as overlay
from saliencykit.viewing.files import write_figure
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
    at_layer = tops[tops.layer == layers[1]]
    axis = viewing.units.by_category(at_layer, styles).axes[0]
    assert axis.containers[0].lines[0].get_xdata().tolist() == pytest.approx(
        at_layer[at_layer.encoder == "pre-trained"]["mean"].tolist()
    )
    counts = reports.counts(results, layers[1])
    figure = viewing.units.counts(counts, styles, 1.5)
    assert [t.get_text() for axis in figure.axes for t in axis.texts] == ["T = 1.5"] * 2
    assert [axis.get_title() for axis in figure.axes] == ["bright", "dark"]
    chosen = counts[(counts.encoder == "pre-trained") & (counts.category == "dark")]
    drawn = figure.axes[1].lines[list(styles).index("pre-trained")]
    assert drawn.get_ydata().tolist() == pytest.approx((100 * chosen.share).tolist())
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


def test_figures_of_pretrained_units_draw_what_the_tables_say(studied):
    results, layer = studied[2], "conv3_1"
    own, *controls = results["pre-trained"], results["untrained"], results["untrained"]
    layered = best_beyond(own, controls, 0.1)
    figure = pretrained_units_figures.by_layer(layered, layer)
    drawn = layered[layered.category == "dark"]
    lines = {line.get_label(): list(line.get_ydata()) for line in figure.axes[1].lines}
    assert lines["pre-trained"] == pytest.approx(drawn.own.tolist())
    assert lines[pretrained_units_figures.UNTRAINED] == pytest.approx(drawn.controls.tolist())
    assert len(figure.axes[1].lines) == 2 + 2 + 1  # controls, means, the line at 0

    best = pretrained_units_tables.best(own, controls, [0.1, 3], layer)
    axes = pretrained_units_figures.best_units(best).axes
    assert axes[0].get_xlabel() == "mean region NSS of the best 10 % of units"
    drawn = np.concatenate([c.lines[0].get_xdata() for c in axes[1].containers])
    assert sorted(drawn) == pytest.approx(sorted(best.difference))

    decoding = decoding_beyond(own, controls)
    axes = pretrained_units_figures.decoding(decoding, layer).axes
    here = decoding[(decoding.layer == layer) & (decoding.category != "all categories")]
    assert axes[1].containers[0].lines[0].get_xdata() == pytest.approx(100 * here.own.to_numpy())

    counts = reports.counts({"pre-trained": own, "untrained 1": controls[0]}, layer)
    figure = pretrained_units_figures.units_above(counts, 1.5)
    assert [t.get_text() for axis in figure.axes for t in axis.texts] == ["T = 1.5"] * 2
    chosen = counts[(counts.encoder == "pre-trained") & (counts.category == "dark")]
    assert any(
        line.get_ydata().tolist() == pytest.approx((100 * chosen.share).tolist())
        for line in figure.axes[1].lines
        if line.get_label() == "pre-trained"
    )
    plt.close("all")


def test_the_image_pictured_has_most_categories_and_most_looked_at_regions():
    images = ["a", "a", "b", "b", "b", "c", "c", "d", "d", "d"]
    categories = ["x", "y", "x", "x", "y", "x", "y", "x", "y", "z"]
    looks = [9, 1, 3, 8, 4, 6, 3, 5, 5, 0]  # of d's z nobody looked at
    regions = pd.DataFrame({"image": images, "category": categories, "fixations": looks})
    scores = torch.rand(10, 5, generator=torch.Generator().manual_seed(0))
    own = Dissection({"deep": scores}, regions, ("x", "y", "z"))
    controls = [Dissection({"deep": scores * k}, regions, own.categories) for k in (0.5, 2)]
    table = pretrained_units_tables.best_at_regions(own, controls, ["deep"])
    assert table["image"].tolist() == ["d", "d"]  # its least looked at region has 5, b's 4
    assert table["fixations"].tolist() == [5, 5]
    assert table["region"].tolist() == [0, 1]
    assert table["unit"].tolist() == scores[7:9].argmax(1).tolist()
    best = scores[7:9].max(1).values.numpy()
    np.testing.assert_allclose(table["value"], best, rtol=1e-6)
    np.testing.assert_allclose(table["untrained"], 1.25 * best, rtol=1e-6)
    np.testing.assert_allclose(table["untrained_most"], 2 * best, rtol=1e-6)
    only_x = pretrained_units_tables.best_at_regions(own, controls, ["deep"], most=1)
    assert only_x[["image", "category"]].to_numpy().tolist() == [["a", "x"]]


def test_layers_pictured_are_the_paper_s_where_they_are_dissected():
    every = SimpleNamespace(layer="conv5_3", dissected=["conv4_3", "conv5_1", "conv5_3"])
    some = SimpleNamespace(layer="conv1_2", dissected=["conv1_2", "conv4_3", "conv5_3"])
    one = SimpleNamespace(layer="deep", dissected=["deep"])
    layers = [pretrained_units_tables.picture_layers(study) for study in (every, some, one)]
    assert layers == [["conv4_3", "conv5_1"], ["conv1_2", "conv5_3"], ["deep"]]


def test_units_are_pictured_over_their_regions(studied, monkeypatch, tmp_path):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path))
    data, encoders, results, layers = studied
    own, other = results.values()
    table = pretrained_units_tables.best_at_regions(own, [other], layers)
    size, pretrained = (48, 64), encoders["pre-trained"]
    study = SimpleNamespace(annotated=data, size=size, pretrained=pretrained)
    figure = pretrained_units_figures.unit_pictures(table, study, 1.5)
    grid = np.array(figure.axes).reshape(3, 2)
    assert [axis.get_title() for axis in grid[0]] == ["bright", "dark"]
    assert [axis.get_ylabel().partition(":")[0] for axis in grid[:, 0]] == [
        table["image"].iloc[0],
        *layers,
    ]
    row = table[(table["layer"] == layers[1]) & (table["category"] == "dark")].iloc[0]
    assert grid[2, 1].get_xlabel().startswith(f"unit {row['unit']}: {row['value']:.1f} (untrained")
    i = data.names.index(row["image"])
    seen = pretrained.activations(data.image(i)[None].float() / 255, layers)
    values = seen[layers[1]].detach().cpu()
    drawn = grid[2, 1].images[0].get_array().astype(int)
    shown = overlay.at_region(data, i, row["region"], values[0, row["unit"]], 1.5).astype(int)
    assert np.abs(drawn - shown).mean() < 1  # but for maps being kept in 256 steps
    plt.close(figure)


def test_a_region_s_picture_has_its_outline_and_the_fixations_inside():
    class Two(Blobs):
        def fixations(self, i):
            return Fixations.of([10, 50], [10, 40])

        def regions(self, i):
            mask = torch.zeros(48, 64, dtype=torch.bool)
            mask[4:20, 4:20] = True
            return [Region("dark", mask=~mask), Region("bright", mask=mask)]

    picture = overlay.at_region(Two(), 0, 1, tall=480)  # ten times as large
    plain = overlay.fit(overlay.as_picture(Two().image(0)), 480).astype(int)
    changed = np.abs(picture.astype(int) - plain).max(-1) > 40
    assert (picture[40:44, 60:180] == 255).all()  # white along the upper border
    assert (picture[100, 100] == (213, 94, 0)).all()  # the dot inside
    assert not changed[380:420, 480:520].any()  # none at the fixation outside
    lit = overlay.at_region(Two(), 0, 1, torch.eye(4), 1.0, tall=480)
    assert not (lit[300:, 40:200] == picture[300:, 40:200]).all()


@pytest.mark.parametrize("accuracy", [None, 0.913])
@pytest.mark.parametrize(
    ("signs", "p", "says"),
    [
        ((1, 1), 0.01, "holds"),
        ((1, -1), 0.01, "holds in part"),
        ((-1, -1), 0.01, "does not hold"),
        ((-1, 0), 0.01, "is not shown"),
        ((1, 1), 0.06, "is not shown"),  # off 0, but not after correction
    ],
)
def test_words_about_pretrained_units_follow_corrected_intervals(studied, signs, p, says, accuracy):
    results, layer = studied[2], "conv3_1"
    own, *controls = results["pre-trained"], results["untrained"], results["untrained"]
    ends = {"difference_low": np.array(signs) - 0.5, "difference_high": np.array(signs) + 0.5}
    here = best_beyond(own, controls, 0.1, [layer]).assign(**ends, p_adjusted=p)
    deeper = here.assign(layer="conv4_1", difference_low=1, difference_high=2, p_adjusted=0.01)
    counts = reports.counts({"pre-trained": own, "untrained 1": controls[0]}, layer)

    class FakeStudy:
        annotated, pretrained = range(7), SimpleNamespace(accuracy=accuracy)

    FakeStudy.layer = layer
    text = pretrained_units_sentences.what_we_see(
        pd.concat([here, deeper]),
        pd.concat([here, here.assign(best=10)]),
        decoding_beyond(own, controls),
        reports.tops({"pre-trained": own}, [layer], 3),
        counts,
        1.5,
        reports.best_units(own, layer),
        pd.Series({"pre-trained": 2.0, "untrained 1": 3.0, "untrained 2": 5.0}),
        FakeStudy(),
        pretrained_units_tables.best_at_regions(own, controls, [layer]),
    )
    assert f"**{sum(s > 0 for s in signs) * (p < 0.05)} of 2**" in text
    above, below = ((np.array(signs) * side > 0).sum() * (p < 0.05) for side in (1, -1))
    assert f"{layer} {above}/{below}, conv4_1 2/0." in text
    assert "4.0 directions at conv3_1 (participation ratio; 3.0 to 5.0)" in text
    if accuracy is None:
        assert f"**The paper's first finding {says} at this layer**" in text
    else:
        assert "positive control, not a finding" in text
        assert f"91.3 % named rightly, held out). What the paper says of recognition **{says}" in (
            text
        )


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
    for curves, legends in (({"auc": loose}, 0), ({"auc": loose, "nss": sure}, 1)):
        assert len(data_figures.observers(curves)[0].legends) == legends
    plt.close("all")
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
    assert "Planted weights that lie in the interval found: 1 of 2." in text
    assert "NSS 3.00 [2.50, 3.50]; the centre prior alone reaches 1.00 [0.50, 1.50]" in text
    assert "groups of them: NSS 4.90 [4.70, 5.40]. For AUC these observers are too few" in text


def test_choices_of_the_same_number_of_units_are_drawn_once():
    res = {k: torch.randn(40, 10, generator=torch.Generator().manual_seed(k)) for k in range(3)}
    regions = pd.DataFrame(
        {"image": np.arange(40) // 2, "category": ["a", "b"] * 20, "sure": True, "fixations": 5}
    )
    own, *others = (Dissection({"deep": v}, regions, ("a", "b")) for v in res.values())
    table = pretrained_units_tables.best(own, others, [0.1, 1, 0.3, 3], "deep")
    assert table["best"].unique().tolist() == [0.1, 0.3]
