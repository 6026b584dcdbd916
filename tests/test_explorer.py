"""The unit explorer: its pictures show what the tables say, and follow its controls."""

import datetime
import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from saliencykit import viewing
from saliencykit.analyses.unit_explorer import browser, figures
from saliencykit.analyses.unit_explorer import sentences as unit_explorer_sentences
from saliencykit.analyses.unit_explorer.browser import EXAMPLES, Instrument, decoded
from saliencykit.analyses.unit_explorer.figures import UnitExplorer
from saliencykit.analyses.unit_explorer.tables import NETWORKS, trainings
from saliencykit.dissection import bootstrap, dissect
from saliencykit.dissection.report import sorted_units, strongest, unit_profile
from saliencykit.models import SaliencyModel, build_encoder
from saliencykit.registry import UnknownNameError
from saliencykit.study import Study, Trained
from saliencykit.viewing import pictures as overlay
from saliencykit.viewing.activity import GRID, seen
from saliencykit.viewing.bars import SINGLE
from tests.conftest import Scattered

LAYERS = ["conv1_1", "conv3_3"]
COMPARED = ["spectral_residual", "image_signature"]


@pytest.fixture(scope="module")
def made():
    torch.manual_seed(0)
    plain = build_encoder("toyvgg", None)
    model = SaliencyModel(build_encoder("toyvgg", None), ["conv3_3"]).eval()
    encoders = {"fine-tuned": model.encoder, "pre-trained": plain, "frozen": plain}
    data = Scattered(20)
    how = {"size": (48, 64), "permutations": 40, "progress": False}
    results = {name: dissect(encoder, data, LAYERS, **how) for name, encoder in encoders.items()}
    return encoders, results, {"fine-tuned": model}, data


@pytest.fixture(scope="module")
def others(made):
    """Two further trainings of the fine-tuned network."""
    torch.manual_seed(9)
    encoders = [build_encoder("toyvgg", None) for _ in range(2)]
    return [dissect(e, made[3], LAYERS, size=(48, 64), progress=False) for e in encoders]


@pytest.fixture
def explorer(made, others, monkeypatch):
    where = ((48, 64), LAYERS, "conv3_3")
    more = {"others": {"fine-tuned": others}, "compared": COMPARED}
    found = UnitExplorer(*made, *where, images=6, **more)
    for encoder in made[0].values():  # from here on, no network runs
        monkeypatch.setattr(encoder, "reduce", None)
    return found


@pytest.fixture
def instrument(explorer):
    return Instrument(explorer, category="dark")


def test_activity_keeps_maps_to_a_256th_of_their_range(made):
    images = torch.randint(256, (3, 3, 48, 64), dtype=torch.uint8)
    encoder, model = made[0]["pre-trained"], made[2]["fine-tuned"]
    activity = seen(images, {"it": encoder}, LAYERS, {"net": model}, ["image_signature"], batch=2)
    with torch.inference_mode():
        exact = {k: v.cpu() for k, v in encoder.activations(images.float() / 255, LAYERS).items()}
        coarse = model.coarse(images.float() / 255).cpu()
    for layer in LAYERS:
        for unit in (0, 7):
            values = exact[layer][2, unit]
            error = (activity.unit("it", layer, unit, 2) - values).abs().max()
            assert error <= (values.max() - values.min()) / 255 + 1e-6
    stretched = overlay.normalised(coarse[1])
    torch.testing.assert_close(activity.map("net", 1), stretched, atol=2e-3, rtol=0)
    assert activity.map("image_signature", 0).shape == (48, 64)
    again = activity + activity
    assert torch.equal(again.map("net", 4), activity.map("net", 1))


def test_large_maps_are_averaged_down_and_a_constant_one_stays_constant():
    from saliencykit.viewing.activity import _kept, _small

    assert _small(torch.rand(1, 2, 240, 320)).shape[-2:] == GRID
    small = torch.rand(1, 2, 30, 40)
    assert _small(small) is small
    steps, span = _kept(torch.full((1, 1, 4, 4), 3.0))
    assert (steps == 0).all()
    assert span.flatten().tolist() == [3.0, 0.0]


def test_unit_profile_is_the_bootstrap_of_one_unit(made):
    result = made[1]["pre-trained"]
    tables = bootstrap(result, "conv3_3")
    profile = unit_profile(result, "conv3_3", 5).set_index("category")
    for name in ("value", "low", "high"):
        np.testing.assert_allclose(
            profile[name], getattr(tables, name)[5].loc[profile.index], rtol=1e-5
        )


def test_few_images_give_no_interval(made):
    few = made[1]["pre-trained"].subset(["b00", "b01", "b02"])
    profile = unit_profile(few, "conv3_3", 5)
    assert profile["value"].notna().all()
    assert profile[["low", "high"]].isna().all(axis=None)


def test_units_are_sorted_as_asked(made):
    result, other = made[1]["fine-tuned"], made[1]["pre-trained"]
    selectivity = result.selectivity("conv3_3")
    own = selectivity.loc["dark"]
    assert sorted_units(result, "conv3_3", "number") == list(range(32))
    order = sorted_units(result, "conv3_3", "selectivity", "dark")
    assert own[order].is_monotonic_decreasing
    assert sorted(order) == list(range(32))
    gain = own - other.selectivity("conv3_3").loc["dark"]
    assert gain[sorted_units(result, "conv3_3", "change", "dark", other)].is_monotonic_decreasing
    p = result.p_values("conv3_3").loc["dark"]
    by_p = sorted_units(result, "conv3_3", "significance", "dark")
    assert p[by_p].is_monotonic_increasing
    assert own[[u for u in by_p if p[u] == p.min()]].is_monotonic_decreasing
    assert strongest(result, "conv3_3").tolist() == selectivity.max().tolist()
    with pytest.raises(UnknownNameError, match="'selectivity'"):
        sorted_units(result, "conv3_3", "selectivty")
    with pytest.raises(UnknownNameError, match="'dark'"):
        sorted_units(result, "conv3_3", "selectivity", "darkness")
    with pytest.raises(ValueError, match="before"):
        sorted_units(result, "conv3_3", "change", "dark")


def test_the_best_unit_is_the_best_of_all_layers(explorer):
    tables = {name: explorer.results["pre-trained"].selectivity(name) for name in LAYERS}
    layer, unit = explorer.best("pre-trained", "dark")
    assert tables[layer].loc["dark", unit] == max(t.loc["dark"].max() for t in tables.values())
    table = explorer.table()
    assert table["encoder"].unique().tolist() == ["fine-tuned", "pre-trained"]  # frozen: the same
    row = table.set_index(["encoder", "category"]).loc[("pre-trained", "dark")]
    assert (row["layer"], row["unit"]) == (layer, unit)
    assert row["low"] <= row["mean"] <= row["high"]
    assert np.isnan(row["again"])


def test_best_units_of_a_network_are_told_of_its_trainings(explorer, others):
    table = explorer.table().set_index(["encoder", "category"]).loc[("fine-tuned", "dark")]
    every = [explorer.results["fine-tuned"], *others]
    each = [max(r.selectivity(layer).loc["dark"].max() for layer in LAYERS) for r in every]
    assert table[[f"training {s}" for s in (1, 2, 3)]].tolist() == pytest.approx(each, abs=1e-5)
    assert table["mean"] == pytest.approx(np.mean(each), abs=1e-5)
    assert table["sd_trainings"] == pytest.approx(np.std(each, ddof=1), abs=1e-5)
    again = [r.selectivity(table["layer"]).loc["dark", table["unit"]] for r in others]
    assert table["again"] == pytest.approx(np.mean(again), abs=1e-5)


def test_a_unit_is_shown_in_every_training(explorer, instrument, others):
    singles = explorer.singles("fine-tuned", "conv3_3", 5)
    assert list(singles) == ["training 1", "training 2", "training 3"]
    for column, result in zip(singles, [explorer.results["fine-tuned"], *others], strict=True):
        expected = result.selectivity("conv3_3").loc[explorer.categories, 5]
        np.testing.assert_allclose(singles[column], expected, rtol=1e-6)
    options = dict(instrument.controls["model"].options)
    assert options == {"fine-tuned 1": "fine-tuned", "pre-trained": "pre-trained",
                       "frozen": "frozen"}  # fmt: skip
    at = {"layer": "conv3_3", "unit": 5, "category": None, "threshold": 1.5}
    marked = explorer.by_category(model="fine-tuned", beside="pre-trained", **at)
    assert (marked == SINGLE).all(-1).any()
    assert not (explorer.by_category("frozen", "pre-trained", **at) == SINGLE).all(-1).any()
    shown = instrument.shown().set_index(["encoder", "category"])
    unit = instrument.controls["unit"].value
    value = others[0].selectivity("conv3_3").loc["dark", unit]
    assert shown.loc[("fine-tuned", "dark"), "training 2"] == pytest.approx(value, rel=1e-5)
    assert np.isnan(shown.loc[("pre-trained", "dark"), "training 2"])


def test_networks_of_a_study_are_trainings_of_the_models_that_read_one_layer(monkeypatch):
    asked, model = [], SaliencyModel(build_encoder("toyvgg", None), ["conv5_3"])

    def each_training(study, frozen, read=None, task=None, count=None):
        asked.append((frozen, read, task and task.name, count))
        return [Trained(model, pd.DataFrame(), s, study.parts(s)[-1]) for s in range(count or 2)]

    monkeypatch.setattr(Study, "each_training", each_training)
    study = Study.from_profile("smoke")
    found = {name: trainings(study, name) for name in NETWORKS}
    assert {name: len(each) for name, each in found.items()} == {
        "fine-tuned": 2, "frozen": 1, "scenes": 1, "pre-trained": 1, "untrained": 1
    }  # fmt: skip
    deepest = ["conv5_3"]
    assert asked == [
        (False, deepest, None, None), (True, deepest, None, 1), (False, None, "scenes", 1)
    ]  # fmt: skip
    assert found["frozen"][0].encoder is study.pretrained is found["pre-trained"][0].encoder
    assert found["scenes"][0].model is None
    with pytest.raises(UnknownNameError, match="'fine-tuned'"):
        trainings(study, "fine-tune")


def test_words_on_the_best_units_come_from_the_table(explorer):
    table = explorer.table()
    text = unit_explorer_sentences.what_we_see(table)
    top = table[table["encoder"] == "fine-tuned"].sort_values("low").iloc[-1]
    assert f"region NSS {top['mean']:.2f} [{top['low']:.2f}, " in text
    assert f"unit {top['unit']} of {top['layer']} in the first training" in text
    assert "**fine-tuned**, 3 trainings, which the intervals cover:" in text
    rows = table[table["encoder"] == "fine-tuned"]
    means = rows["training 1"].mean(), rows["again"].mean()
    assert (
        "have {:.2f} in the first training, where they were chosen, and {:.2f}".format(*means)
        in text
    )
    assert "**pre-trained**: the most" in text
    apart = table.assign(low=table["mean"], high=table["mean"])
    apart.loc[apart["encoder"] == "fine-tuned", ["mean", "low", "high"]] += 9
    assert "intervals apart, for bright and dark; less selective for none" in (
        unit_explorer_sentences.what_we_see(apart)
    )
    alone = table[table["encoder"] == "pre-trained"]
    assert unit_explorer_sentences.what_we_see(alone).count("\n") == 0


def same(a, b):
    return a.shape == b.shape and bool((a == b).all())


def test_pictures_follow_what_is_chosen(explorer):
    at = {"model": "fine-tuned", "beside": "pre-trained", "layer": "conv3_3", "unit": 3}
    over = {**at, "category": None, "image": 0, "threshold": 1.5}
    first = explorer.over_image(**over)
    for other in ({"unit": 4}, {"image": 1}, {"threshold": 0.5}, {"beside": "fine-tuned"}):
        assert not same(first, explorer.over_image(**{**over, **other}))
    bars = {**at, "category": None, "threshold": 1.5}
    first = explorer.by_category(**bars)
    for other in ({"unit": 4}, {"category": "dark"}, {"threshold": 2.5}, {"model": "frozen"}):
        assert not same(first, explorer.by_category(**{**bars, **other}))
    top = explorer.top_images(**bars)
    assert not same(top, explorer.top_images(**{**bars, "unit": 4}))
    look = explorer.looked_at("fine-tuned", 0)
    for other in ({"regions": True}, {"fixations": True}):
        assert not same(look, explorer.looked_at("fine-tuned", 0, **other))
    assert not same(look, explorer.looked_at("pre-trained", 0))  # it predicts no saliency
    assert not same(explorer.maps(0), explorer.maps(1))


def test_bars_are_as_long_as_the_numbers():
    table = pd.DataFrame(
        {"category": ["a", "b"], "value": [2.0, -0.5], "low": [1.0, np.nan], "high": [3.0, np.nan]}
    )
    from saliencykit.viewing.bars import LEFT, REACH, bars

    picture = bars({"it": table}, {"it": "#ff0000"}, 3.5, size=(200, 500))
    red = (picture == [255, 0, 0]).all(-1)
    scale = (500 - LEFT - 14) / (REACH[1] - REACH[0])
    rows = [np.flatnonzero(red[y]) for y in (50, 130)]  # within either bar, off the interval
    zero = LEFT - REACH[0] * scale
    for columns, value in zip(rows, (2.0, -0.5), strict=True):
        low, high = sorted((zero, zero + value * scale))
        assert abs(columns.min() - low) <= 1
        assert abs(columns.max() - high) <= 1
    each = {"it": np.array([[1.5, 2.5], [0.5, np.nan]])}
    marked = bars({"it": table}, {"it": "#ff0000"}, 3.5, size=(200, 500), singles=each)
    marks = (marked == SINGLE).all(-1)
    for y, values in ((50, (1.5, 2.5)), (130, (0.5,))):
        found = np.flatnonzero(marks[y])
        assert found == pytest.approx([zero + v * scale for v in values], abs=1)


def test_controls_lead_to_a_unit(instrument):
    explorer, c = instrument.explorer, instrument.controls
    result = explorer.results["fine-tuned"]
    order = sorted_units(result, "conv3_3", "selectivity", "dark")
    assert (instrument.place.value, c["unit"].value) == (1, order[0])
    instrument.place.value = 4
    assert c["unit"].value == order[3]
    c["unit"].value = order[9]
    assert instrument.place.value == 10
    c["layer"].value = "conv1_1"  # eight units only
    shallow = sorted_units(result, "conv1_1", "selectivity", "dark")
    assert (instrument.place.max, instrument.place.value) == (8, 8)
    assert c["unit"].value == shallow[7]
    instrument.order.value = "number"
    assert instrument.place.value == c["unit"].value + 1
    c["category"].value = "bright"
    instrument.jump.click()
    layer, unit = explorer.best("fine-tuned", "bright")
    assert (c["layer"].value, c["unit"].value) == (layer, unit)
    assert instrument.order.value == "selectivity"


def test_each_control_redraws_its_pictures_and_only_those(instrument):
    def drawn():
        return [image.value for image in instrument.panel.images]

    look, over, bars, top, maps = range(5)
    for change, expected in (
        (lambda: setattr(instrument.place, "value", 3), {over, bars, top}),
        (lambda: setattr(instrument.controls["image"], "value", 1), {look, over, maps}),
        (lambda: setattr(instrument.controls["threshold"], "value", 0.5), {over, bars, top}),
        (lambda: setattr(instrument.controls["regions"], "value", True), {look}),
        (lambda: setattr(instrument.controls["fixations"], "value", True), {look}),
    ):
        before = drawn()
        change()
        assert {i for i, (a, b) in enumerate(zip(before, drawn(), strict=True)) if a != b} == (
            expected
        )
    assert instrument.panel.said.value == ""


def test_a_layer_is_changed_in_one_stroke(instrument, monkeypatch):
    calls = []
    panel = instrument.panel
    first = panel.views[1]

    def counted(model, beside, layer, unit, category, image, threshold):
        calls.append((layer, unit))
        return first(model, beside, layer, unit, category, image, threshold)

    monkeypatch.setattr(panel, "views", (panel.views[0], counted, *panel.views[2:]))
    instrument.place.value = 30
    instrument.controls["layer"].value = "conv1_1"
    assert [layer for layer, _ in calls] == ["conv3_3", "conv1_1"]  # never a unit that is not there


def test_the_headless_picture_is_the_browser_s(instrument):
    whole = instrument.picture()
    pictures = [np.array(Image.open(io.BytesIO(i.value))) for i in instrument.panel.images]
    height, width = pictures[0].shape[:2]
    assert same(whole[:height, :width], pictures[0])
    table = instrument.shown()
    assert table["encoder"].unique().tolist() == ["fine-tuned", "pre-trained"]
    assert set(table["unit"]) == {instrument.controls["unit"].value}
    figure = viewing.poster(whole)
    figure.canvas.draw()
    assert same(np.asarray(figure.canvas.buffer_rgba())[..., :3], whole)


def test_every_control_is_labelled_and_answers_when_released(instrument):
    def inner(widget):
        children = getattr(widget, "children", ())
        return [w for child in children for w in inner(child)] if children else [widget]

    controls = [w for w in inner(instrument.widget()) if hasattr(w, "description")]
    named = [w for w in controls if w is not instrument.panel.said]
    assert all(w.description for w in named)
    sliders = [w for w in named if hasattr(w, "continuous_update")]
    assert len(sliders) >= 4
    assert not any(w.continuous_update for w in sliders)


def test_an_own_image_is_shown_and_nothing_is_claimed_of_it(made):
    where = ((48, 64), LAYERS, "conv3_3", 4)
    instrument = Instrument(UnitExplorer(*made, *where, compared=COMPARED))
    noise = np.random.default_rng(0).integers(0, 256, (30, 90, 4), np.uint8)
    upload = uploaded("mine.png", noise)
    explorer, number = instrument.explorer, len(instrument.explorer.data)
    instrument.upload.value = (upload,)
    assert instrument.controls["image"].value == number
    assert explorer.name(number) == "mine.png"
    assert explorer.is_own(number)
    assert explorer.pictures[number].shape[-1] <= 1.6 * 216
    instrument.controls["regions"].value = True
    instrument.controls["fixations"].value = True
    assert instrument.panel.said.value == ""
    instrument.example.value = EXAMPLES[0]
    assert explorer.name(number + 1) == EXAMPLES[0]
    instrument.upload.value = ({**upload, "name": "<b>.png", "content": memoryview(b"no image")},)
    assert "&lt;b&gt;.png cannot be read" in instrument.panel.said.value
    assert instrument.controls["image"].value == number + 1  # as it was


def uploaded(name, picture):
    """What the browser sends of a file: here a picture, an array, as a PNG."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return {
        "name": name,
        "type": "image/png",
        "size": len(file.getvalue()),
        "content": memoryview(file.getvalue()),
        "last_modified": datetime.datetime.now(datetime.UTC),
    }


def drawn(instrument):
    """All that the panel shows."""
    return [image.value for image in instrument.panel.images]


@pytest.mark.parametrize("step", ["_seen", "_shown", "as_picture"])
def test_after_an_upload_that_fails_the_next_is_shown_as_itself(made, monkeypatch, step):
    noise = np.random.default_rng(0).integers(0, 256, (2, 40, 60, 3), np.uint8)
    mine = uploaded("mine.png", noise[1])
    alone = Instrument(UnitExplorer(*made, (48, 64), LAYERS, "conv3_3", images=4))
    alone.upload.value = (mine,)
    instrument = Instrument(UnitExplorer(*made, (48, 64), LAYERS, "conv3_3", images=4))
    number = len(instrument.explorer.data)

    def fails(*_):
        raise RuntimeError("no memory is left")

    with monkeypatch.context() as patch:
        patch.setattr(UnitExplorer if step == "_seen" else figures, step, fails)
        with pytest.raises(RuntimeError):
            instrument.upload.value = (uploaded("failed.png", noise[0]),)
        assert instrument.panel.said.value == "<b>no memory is left</b>"
    instrument.upload.value = (mine,)
    assert instrument.controls["image"].value == number
    assert instrument.explorer.name(number) == "mine.png"
    assert drawn(instrument) == drawn(alone)
    assert instrument.panel.said.value == ""


@pytest.mark.parametrize("shape", [(1, 3000), (3000, 1), (1, 1), (2, 700)])
def test_thin_pictures_are_shown_and_so_is_the_next(made, shape):
    instrument = Instrument(UnitExplorer(*made, (48, 64), LAYERS, "conv3_3", images=4))
    explorer, number = instrument.explorer, len(instrument.explorer.data)
    instrument.upload.value = (uploaded("thin.png", np.zeros((*shape, 3), np.uint8)),)
    assert (instrument.panel.said.value, explorer.name(number)) == ("", "thin.png")
    instrument.upload.value = (uploaded("next.png", np.zeros((40, 60, 3), np.uint8)),)
    assert instrument.controls["image"].value == number + 1
    assert explorer.name(number + 1) == "next.png"
    assert explorer.pictures[number + 1].shape[-2:] == (216, 324)


def test_a_file_that_is_too_long_is_refused_in_words(monkeypatch):
    monkeypatch.setattr(browser, "LONGEST", 1)
    with pytest.raises(ValueError, match=r"long\.png takes 2 MiB; 1 are the most"):
        decoded("long.png", bytes(2 << 20))
    with pytest.raises(ValueError, match=r"long\.png cannot be read"):
        decoded("long.png", bytes(1 << 20))


def test_pictures_of_telephones_are_upright():
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter
    Image.new("RGB", (40, 20), (255, 0, 0)).save(file, "JPEG", exif=exif)
    assert decoded("a.jpg", file.getvalue()).shape == (3, 40, 20)
    with pytest.raises(ValueError, match="b"):
        decoded("b.jpg", b"")


def test_examples_are_those_that_come_with_scikit_image():
    from skimage import data

    for name in EXAMPLES:
        assert getattr(data, name)().ndim in (2, 3)


def test_unknown_names_are_told(explorer):
    with pytest.raises(UnknownNameError, match="'fine-tuned'"):
        Instrument(explorer, model="fine-tune")
    with pytest.raises(UnknownNameError, match="'dark'"):
        Instrument(explorer, category="darks")
