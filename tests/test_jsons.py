"""JSON: every value of its own type, every name once, and nothing too deep to be read."""

import json
import unicodedata

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saliencykit import datasets
from saliencykit.reading.jsons import as_points, as_size, as_texts, read_json
from saliencykit.registry import UnknownNameError
from tests import miniature

FEW = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
SQUARE = [[1, 1], [20, 1], [20, 20]]


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png"):
        miniature.write_image(tmp_path / name, (60, 80))
    return tmp_path


def region(**changes):
    return {"category": "text", "polygon": SQUARE, **changes}


def of_a(*entries, **more):
    return json.dumps({"images": {"a": entries}, **more})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (of_a(region(sure="no")), "image a, region 1: sure: expected true or false, found 'no'"),
        (of_a(region(sure=0)), "sure: expected true or false, found 0"),
        (of_a(region(sure=None)), "sure: expected true or false, found None"),
        (of_a(region(category=5)), "region 1: category: expected a text, found 5"),
        (of_a(region(category=["text"])), "category: expected a text"),
        (of_a(region(polygon=[["1", "1"], ["9", "1"], ["9", "9"]])), "N×2 list of numbers"),
        (of_a(region(polygon=[[1, True], [9, 1], [9, 9]])), "N×2 list of numbers"),
        (of_a(region(polygon=[[1, 1], [9, 1], [9]])), "N×2 list of numbers"),
        (of_a(region(polygon=[[1, 1], [9, 1], [9, 10**400]])), "N×2 list of numbers"),
        (of_a(region(polygon="square")), "N×2 list of numbers, found 'square'"),
        (of_a(region(), region()), "image a: regions 1 and 2 are the same text"),
        (of_a(categories="text"), "categories: expected a list of texts, found 'text'"),
        (of_a(categories=["sign", "sign"]), "categories: 'sign' is there twice"),
        (of_a(categories=["sign", 5]), "categories: expected a text, found 5"),
        (of_a(image_size=[80.5, 60]), "image_size .*expected a number of pixels, found 80.5"),
        (of_a(image_size=["80", 60]), "found '80'"),
        (of_a(image_size=[True, 60]), "found True"),
        (of_a(image_size=[0, 60]), "found 0"),
        (of_a(image_size="80x60"), r"image_size is '80x60', not \[width, height\]"),
        (of_a(image_size={"1": 5, "2": 6}), r"not \[width, height\]"),
        ('{"images": {"a": [], "a": []}}', "the name 'a' is there twice in one object"),
        ('{"images": {}, "images": {"a": []}}', "the name 'images' is there twice"),
        ('{"images": {"a": [], "a.png": []}}', "'a' and 'a.png' are one image; name it once"),
        ('{"images": {"é": [], "e\u0301": []}}', "the name 'é' is there twice"),
        ('{"images": {"a": [NaN]}}', "NaN is no JSON number"),
        ('{"images": {"\\ud800": []}}', "no text .surrogates"),
        ('{"images": {"a": ' + "[" * 10**5, "nested too deeply"),
        ('{"images": {"a": ' + '{"a":' * 10**5, "nested too deeply"),
        ('{"images": {"a": ' + "9" * 10**5 + "}}", "Exceeds the limit .4300 digits"),
        ('{"images": {"a": {"b": ' + "[" * 400 + "]" * 400 + "}}}", "expected a list, found {'b'"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
        ("", "line 1: not valid JSON"),
    ],
)
def test_regions_that_cannot_be_are_told(folder, text, message):
    raw = text if isinstance(text, bytes) else text.encode()
    (folder / "regions.json").write_bytes(raw)
    with pytest.raises(ValueError, match=f"regions.json.*{message}") as told:
        datasets.load("folder", folder)
    assert len(str(told.value)) < 500


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"images": {"a": {"scene": 5}}}, "image a: scene: expected a text, found 5"),
        ({"images": {"a": {"scene": " "}}}, "scene: expected a text"),
        ({"images": {"a": {"scene": "x", "sure": "no"}}}, "sure: expected true or false"),
        ({"images": {"a": {"scene": "x"}}, "classes": "xyz"}, "classes: expected a list"),
        ({"images": {"a": {"scene": "x"}}, "classes": ["x", "x"]}, "classes: 'x' is there twice"),
    ],
)
def test_scenes_that_cannot_be_are_told(folder, content, message):
    (folder / "scenes.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"scenes.json.*{message}"):
        datasets.load("folder", folder)


def test_accents_have_one_spelling_in_names_and_values(tmp_path):
    composed, apart = (unicodedata.normalize(form, "Fußgängerin é") for form in ("NFC", "NFD"))
    miniature.write_image(tmp_path / f"{composed}.png", (60, 80))
    regions = {"categories": [apart, "sky"], "images": {apart: [region(category=composed)]}}
    (tmp_path / "regions.json").write_text(json.dumps(regions))
    scenes = {"images": {f"{apart}.png": {"scene": apart}}}
    (tmp_path / "scenes.json").write_text(json.dumps(scenes, ensure_ascii=False), "utf-8-sig")
    data = datasets.load("folder", tmp_path)
    assert tuple(data.categories) == (composed, "sky")
    assert data.regions(0)[0].category == composed
    assert data.scene(0) == composed


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@FEW
@given(VALUES)
def test_only_pairs_of_numbers_are_points(value):
    def number(one):
        return (type(one) in (int, float) and abs(one) <= 2**63) or one != one

    pairs = isinstance(value, list) and all(
        isinstance(p, list) and len(p) == 2 and all(map(number, p)) for p in value
    )
    try:
        found = as_points(value, "here")
    except ValueError:
        infinite = pairs and any(abs(v) >= 2**63 for p in value for v in p)
        assert not pairs or infinite
    else:
        np.testing.assert_array_equal(found, np.reshape(np.array(value, dtype=float), (-1, 2)))


@FEW
@given(VALUES)
def test_only_texts_and_sizes_pass(value):
    texts = isinstance(value, list) and all(isinstance(v, str) and v.strip() for v in value)
    if texts and len(set(value)) == len(value):
        assert as_texts(value, "here") == tuple(value)
    else:
        with pytest.raises(ValueError, match="here: "):
            as_texts(value, "here")
    if type(value) in (int, float) and 1 <= value <= 2**31 and value % 1 == 0:
        assert as_size(value, "here") == value
    else:
        with pytest.raises(ValueError, match="here: expected a number of pixels"):
            as_size(value, "here")


@FEW
@given(VALUES)
def test_whatever_is_in_a_region_is_right_or_told(tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("regions")
    miniature.write_image(folder / "a.png", (60, 80))
    for name in ("category", "polygon", "sure"):
        (folder / "regions.json").write_text(of_a(region(**{name: value})))
        try:
            found, told = datasets.load("folder", folder).regions(0), ""
        except (ValueError, UnknownNameError) as error:
            found, told = [], str(error)
        assert "regions.json" in told or name == "polygon" or getattr(found[0], name) is value


@FEW
@given(VALUES)
def test_what_was_written_is_read(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("json") / "some.json"
    path.write_text(json.dumps({"v": value}))
    text = path.read_text()
    try:
        found, told = read_json(path), ""
    except ValueError as error:
        found, told = None, str(error)
    if told:
        assert str(path) in told
        assert "NaN" in text or "Infinity" in text or "\\u" in text  # spellings, half characters
    else:
        assert unicodedata.normalize("NFC", json.dumps(found, ensure_ascii=False)) == (
            unicodedata.normalize("NFC", json.dumps(json.loads(text), ensure_ascii=False))
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": [{"id": 4, "file_name": "a"}] * 2}, "image 4, a, is there twice"),
        (
            {"images": [{"id": 4, "file_name": "a.jpg"}, {"id": 5, "file_name": "a.png"}]},
            "image 5, a, is there twice",
        ),
        ({"images": [{"id": 4, "file_name": "a", "height": "480"}]}, "height: expected a number"),
        (
            {"annotations": [{"image_id": 4, "worker_id": 1, "fixations": [["1", "2"]]}]},
            "image_id 4, worker_id 1: expected an N×2 list of numbers",
        ),
    ],
)
def test_salicons_json_is_read_as_strictly(tmp_path, change, message):
    path = tmp_path / "fixations_train2014.json"
    content = {"images": [{"id": 4, "file_name": "a.jpg"}], "annotations": []}
    path.write_text(json.dumps(content | change))
    with pytest.raises(ValueError, match=f"{path.name}.*{message}"):
        datasets.salicon.read_gaze_json(path)
