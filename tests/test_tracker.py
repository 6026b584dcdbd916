"""An eye tracker's table becomes a data set: units, columns, names, what is left out, bad input."""

import json
import math
import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from saliencykit import cli, datasets
from saliencykit.datasets.tracker import Screen, import_table
from saliencykit.datasets.tracker.columns import UNITS, USUAL
from saliencykit.datasets.tracker.names import match_names
from saliencykit.registry import UnknownNameError
from tests import miniature

SIZE = (60, 80)  # height, width of the images
SCREEN = (200, 120)
HEAD = "image,x,y,observer\n"
ROWS = "cat,10,20,ann\ncat,30,40,ann\ndog,50,10,bob\n"
FEW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def study(tmp_path):
    """A folder with images cat and dog, and a way to import a table beside it."""
    for name in ("cat.png", "dog.jpg"):
        miniature.write_image(tmp_path / "images" / name, SIZE)

    def imported(text, screen=None, encoding="utf-8", **how):
        table = tmp_path / "table.txt"
        table.write_bytes(text.encode(encoding))
        return import_table(table, tmp_path / "images", tmp_path / "out", screen, **how)

    imported.place = tmp_path
    return imported


def opened(study):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # whatever was written is as the folder wants it
        data = datasets.load("folder", study.place / "out")
        return data, [data[i].fixations for i in range(len(data))]


# --- units --------------------------------------------------------------------------------------


def written(x, y, own, screen):
    """What a tracker writes of a position on an image, the other way round than the package."""
    width, height = screen.shown or own
    left, top = screen.at or ((SCREEN[0] - width) / 2, (SCREEN[1] - height) / 2)
    x, y = x * width / own[0], y * height / own[1]
    if screen.units == "pixels-of-image":
        return x, (height - y if screen.upward else y)
    if screen.units == "fraction-of-image":
        return x / width, (1 - y / height if screen.upward else y / height)
    x, y = left + x, top + y
    if screen.units == "degrees":
        x, y = x - SCREEN[0] / 2, y - SCREEN[1] / 2
        if screen.per_degree:
            x, y = x / screen.per_degree, y / screen.per_degree
        else:
            x, y = (
                math.degrees(math.atan2(v * cm / n, screen.distance))
                for v, cm, n in zip((x, y), screen.centimetres, SCREEN, strict=True)
            )
        return x, -y if screen.upward else y
    y = SCREEN[1] - y if screen.upward else y
    return (x, y) if screen.units == "pixels-of-screen" else (x / SCREEN[0], y / SCREEN[1])


screens = st.builds(
    lambda units, at, shown, upward: Screen(upward=upward, at=at, shown=shown, **units),
    st.sampled_from(
        [
            {"units": "pixels-of-screen", "size": SCREEN},
            {"units": "fraction-of-screen", "size": SCREEN},
            {"units": "degrees", "size": SCREEN, "per_degree": 21.5},
            {"units": "degrees", "size": SCREEN, "distance": 57.0, "centimetres": (37.6, 30.1)},
        ]
    ),
    st.sampled_from([None, (3.5, 7.0)]),
    st.sampled_from([None, (120, 90), (31.5, 40)]),
    st.booleans(),
) | st.builds(
    Screen,
    units=st.sampled_from(["pixels-of-image", "fraction-of-image"]),
    shown=st.sampled_from([None, (120, 90)]),
    upward=st.booleans(),
)
places = st.lists(
    st.tuples(st.floats(2, 79.5), st.floats(2, 59.5)), min_size=1, max_size=8, unique=True
)


@FEW
@given(screens, places)
def test_pixels_come_back_from_every_unit(tmp_path_factory, screen, pixels):
    place = tmp_path_factory.mktemp("units")
    miniature.write_image(place / "images" / "cat.png", SIZE)
    pixels = [*pixels, (40, 30)]  # all in the topmost pixel would be taken for fractions
    rows = [("cat", *written(x, y, SIZE[::-1], screen), "ann") for x, y in pixels]
    miniature.save_table(place / "table.csv", ("image", "x", "y", "observer"), rows)
    import_table(place / "table.csv", place / "images", place / "out", screen)
    found = datasets.load("folder", place / "out").fixations(0)
    assert np.allclose(np.stack([found.x, found.y], 1), pixels, rtol=0, atol=1e-6)


# --- what trackers write ------------------------------------------------------------------------

EYELINK = """RECORDING_SESSION_LABEL\tTRIAL_INDEX\timage\tCURRENT_FIX_INDEX\tCURRENT_FIX_X\t\
CURRENT_FIX_Y\tCURRENT_FIX_DURATION
s02\t1\tcat.png\t1\t100.0\t60.0\t180
s02\t1\tcat.png\t2\t65.5\t31.25\t220
s02\t1\tcat.png\t3\t.\t.\t90
s02\t1\tcat.png\t4\t30\t60\t150
s02\t1\tcat.png\t5\t205\t60\t150
s02\t1\tcat.png\t6\t120\t70\t250
s01\t1\tdog.jpg\t1\t100\t60\t300
s01\t2\t.\t1\t100\t60\t300
s01\t3\tblank.png\t1\t100\t60\t300
s01\t1\tdog.jpg\t2\t110\t50\t310
"""


def test_eyelinks_report(study):
    found = study(EYELINK, Screen(size=SCREEN))  # the images' corner is at 60, 30
    assert {k: n for k, n in found.rows.items() if n} == {
        "kept": 5,
        "without an image": 1,
        "on images that are not in the folder": 1,
        "without a position, or with a code in its place: blinks and lost samples": 1,
        "outside the screen": 1,
        "outside the image": 1,
    }
    assert (found.observers, found.images) == (2, 2)
    data, (cat, dog) = opened(study)
    assert data.names == ["cat", "dog"]
    assert cat.x.tolist() == [40, 5.5, 60]
    assert cat.y.tolist() == [30, 1.25, 40]
    assert cat.order.tolist() == [0, 1, 5]
    assert cat.duration.tolist() == [0.18, 0.22, 0.25]
    assert (cat.observer.tolist(), dog.observer.tolist()) == ([1, 1, 1], [0, 0])
    told = str(found)
    for said in (
        "10 rows read: 5 fixations of 2 observers on 2 images kept",
        "x 'CURRENT_FIX_X'",
        "Positions: pixels-of-screen",
        "in the middle of the screen, pixel by pixel",
        "1 images of the table are not in the folder: blank.png",
        "Durations are taken to be in ms",
    ):
        assert said in told
    record = json.loads((study.place / "out" / "import.json").read_text())
    assert record["columns"]["x"] == "CURRENT_FIX_X"
    assert (record["table"], record["images"]) == (
        str(study.place / "table.txt"),
        str(study.place / "images"),
    )
    assert (record["units"], record["size"]) == ("pixels-of-screen", list(SCREEN))


def test_the_first_fixation_goes_by_order_or_by_rows(study):
    found = study(EYELINK, Screen(size=SCREEN), drop_first=True)
    assert found.rows["first fixations, dropped as asked"] == 2
    _, (cat, dog) = opened(study)
    assert (cat.order.tolist(), dog.order.tolist()) == ([0, 4], [0])


def test_without_a_number_the_first_row_is_the_first_fixation(study):
    rows = "cat,9,9,ann\ncat,8,8,bob\ncat,7,7,ann\ndog,6,6,ann\ncat,5,5,ann\n"
    found = study("image,x,y,observer\n" + rows, drop_first=True)
    assert "first row" in str(found)
    _, (cat, dog) = opened(study)
    assert (cat.x.tolist(), len(dog), cat.order) == ([7, 5], 0, None)


TOBII = """Participant name\tMediaName\tGazeEventType\tFixationIndex\tGazeEventDuration\t\
FixationPointX (MCSpx)\tFixationPointY (MCSpx)\t
Jörg\tcat.png\tFixation\t7\t233\t12\t14\t
Jörg\tcat.png\tFixation\t7\t233\t12\t14\t
Jörg\tcat.png\tSaccade\t\t30\t\t\t
Jörg\tcat.png\tFixation\t8\t200\t12\t14\t
Jörg\t\tFixation\t9\t200\t70\t10\t
"""


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_tobiis_samples_are_one_fixation_each(study, encoding):
    found = study(TOBII, encoding=encoding)
    assert {k: n for k, n in found.rows.items() if n} == {
        "kept": 2,
        "of another kind than fixations": 1,
        "without an image": 1,
        "that repeat a fixation, being samples of it": 1,
    }
    _, (cat,) = opened(study)
    assert (cat.x.tolist(), cat.y.tolist(), cat.order.tolist()) == ([12, 12], [14, 14], [0, 1])
    assert "Jörg" in (study.place / "out" / "fixations.csv").read_text("utf-8")


def test_a_decimal_comma_is_read_if_said(study):
    text = "image;x;y;observer\ncat;10,5;20,25;ann\n"
    with pytest.raises(ValueError, match=r"line 2: x is '10,5', not a number.*--decimal ,"):
        study(text)
    study(text, decimal=",")
    _, (cat,) = opened(study)
    assert (cat.x.tolist(), cat.y.tolist()) == ([10.5], [20.25])


def test_every_usual_name_with_a_unit_is_a_usual_x():
    assert set(UNITS) <= set(USUAL["x"])


def test_columns_are_named_or_found_and_y_is_called_as_x_is(study):
    study(
        "who,pic,Gaze-X (px),Gaze-Y (px)\nann,cat,10,20\n",
        Screen("pixels-of-image"),
        columns={"image": "pic", "observer": "who", "x": "Gaze-X (px)"},
    )
    _, (cat,) = opened(study)
    assert (cat.x.tolist(), cat.y.tolist()) == ([10], [20])


def test_a_category_of_something_else_is_no_kind_of_row(study):
    found = study("image,x,y,observer,category\ncat,9,8,ann,face\ndog,7,6,ann,house\n")
    assert found.rows["kept"] == 2
    assert "category" not in str(found)


def test_an_image_that_was_shown_twice_is_told(study):
    rows = "cat,9,8,ann,1\ncat,7,6,ann,2\ndog,1,1,ann,3\ncat,19,18,ann,1\ncat,17,16,ann,2\n"
    found = study("image,x,y,observer,order\n" + rows, drop_first=True)
    assert "2 fixations have the number of another one" in str(found)
    _, (cat, _) = opened(study)
    assert (cat.x.tolist(), cat.order.tolist()) == ([7, 17], [0, 0])


CODES = [(".", "."), ("0", "0"), ("-1", "-1"), ("-32768", "-32768"), ("1e8", "1e8")]


@pytest.mark.parametrize("screen", [None, Screen("pixels-of-screen", size=SCREEN)])
@pytest.mark.parametrize("code", CODES)
def test_a_code_for_no_gaze_is_no_position(study, screen, code):
    found = study(HEAD + "cat,70,40,ann\n" + "cat,{},{},ann\n".format(*code), screen)
    assert [n for n in found.rows.values() if n] == [1, 1]
    assert "1 without a position, or with a code in its place" in str(found)


def test_gaze_left_of_the_screen_is_outside_it(study):
    rows = "cat,70,40,ann\ncat,-12,40,ann\n"
    found = study(HEAD + rows, Screen("pixels-of-screen", size=SCREEN))
    assert found.rows["outside the screen"] == 1


@pytest.mark.parametrize(
    ("text", "screen", "message"),
    [
        (
            HEAD + "cat,100,60,ann\ncat,90,70,ann\ncat,110,80,ann\ncat,120,50,ann\n"
            "cat,205,60,ann\ncat,220,125,ann\n",
            Screen("pixels-of-screen", SCREEN),
            "x runs from 90 to 220.*of a screen of 200×120, 2 of 6 .33%. lie off the screen.*"
            "within 216×",
        ),
        (
            HEAD + "cat,100,60,ann\ncat,90,70,ann\ncat,-9,70,ann\ncat,-5,30,ann\n",
            Screen("pixels-of-screen", SCREEN),
            "2 of 4 .50%. lie off the screen.*another place than",
        ),
        (
            HEAD + "cat,0.1,0,ann\ncat,0.2,0,ann\ncat,9,0,ann\ncat,8,1,ann\n",
            Screen("degrees", SCREEN, per_degree=21.5),
            "2 of 4 .50%. lie off the screen.*Are --distance, --screen-size or",
        ),
        (
            HEAD + "cat,30,30,ann\n",
            Screen("pixels-of-screen", (70, 65)),
            "cat.png, 80×60 large, reaches beyond the screen of 70×65.*--shown",
        ),
        (
            HEAD + "cat,130,60,ann\n",
            Screen("pixels-of-screen", SCREEN, at=(125, 10)),
            "cat.png, 80×60 large with its corner at 125,10, reaches beyond",
        ),
    ],
)
def test_a_screen_that_cannot_be_is_told(study, text, screen, message):
    with pytest.raises(ValueError, match=f"(?s){message}.*--anyway"):
        study(text, screen)
    assert not (study.place / "out").exists()
    assert study(text, screen, anyway=True).rows["kept"] >= 1


TWICE = """image,x,y,observer,order,TRIAL_LABEL,TRIAL_INDEX
cat,1,9,ann,1,Trial: 1,1
cat,2,9,ann,1,Trial: 3,3
cat,3,9,ann,2,Trial: 1,1
cat,4,9,ann,2,Trial: 3,3
cat,1,9,bob,1,Trial: 1,1
"""


@pytest.mark.parametrize(
    ("first", "x", "order"), [(False, [1, 3, 2, 4, 1], [0, 1, 0, 1, 0]), (True, [3, 4], [0, 0])]
)
def test_showings_are_told_apart_by_the_trial(study, first, x, order):
    found = study(TWICE, drop_first=first)
    assert found.columns["trial"] == "TRIAL_INDEX"
    assert "have the number of another" not in str(found)
    _, (cat,) = opened(study)
    assert (cat.x.tolist(), cat.order.tolist()) == (x, order)


EYES = """image,x,y,observer,order,Eye L/R
cat,10,9,ann,1,Left
cat,11,9,ann,1,Right
cat,20,9,ann,2,Left
cat,21,9,ann,2,Right
cat,30,9,bob,1,Left
"""


def test_two_eyes_are_asked_about(study):
    with pytest.raises(ValueError, match=r"both eyes of 'ann' saw cat\.png.*--eye Left \| Right"):
        study(EYES)
    with pytest.raises(UnknownNameError, match=r"Unknown eye 'right'\. Did you mean 'Right'"):
        study(EYES, eye="right")
    found = study(EYES, eye="Right")
    assert found.rows["of the other eye, this one's being there"] == 2
    _, (cat,) = opened(study)
    assert (cat.x.tolist(), cat.order.tolist()) == ([11, 21, 30], [0, 1, 0])


def test_one_eye_each_asks_nothing(study):
    assert study(EYES.replace("ann,1,Left", "cat,1,Left").replace("ann,2,L", "cat,2,L"))
    assert len(opened(study)[1][0]) == 5


def test_an_eye_without_its_column_is_told(study):
    with pytest.raises(ValueError, match="no column tells the eye; name it with --eye-column"):
        study(HEAD + ROWS, eye="left")


def test_many_lost_samples_are_no_wrong_screen(study):
    found = study(HEAD + ROWS + "cat,0,0,ann\n" * 2 + "dog,0,0,bob\n" * 2 + "dog,.,.,bob\n" * 3)
    assert found.rows["kept"] == 3


DOTS = """image,x,y,observer,order,EYE_USED
cat,10,9,ann,1,.
cat,11,9,ann,2,RIGHT
cat,20,9,ann,3,
cat,30,9,bob,1,LEFT
dog,40,9,bob,1,{}
dog,50,9,bob,2,{}
dog,60,9,bob,3,.
"""


def test_no_eye_is_no_other_eye(study):
    found = study(DOTS.format("LEFT", "LEFT"))
    assert "3 fixations name no eye: kept, as one eye at most saw what they did." in str(found)
    _, (cat, dog) = opened(study)
    assert (cat.x.tolist(), dog.x.tolist()) == ([10, 11, 20, 30], [40, 50, 60])


@pytest.mark.parametrize("nothing", [".", "", "NA", "-"])
def test_a_column_that_names_no_eye_asks_for_none(study, nothing):
    text = f"image,x,y,observer,eye\ncat,1,9,ann,{nothing}\ncat,2,9,ann,{nothing}\n"
    with pytest.raises(ValueError, match=r"table\.txt: its column of the eye names none"):
        study(text, eye="left")
    assert study(text).rows["kept"] == 2


def test_what_names_no_eye_is_left_out_where_both_were_recorded(study):
    text = DOTS.format("LEFT", "RIGHT")
    with pytest.raises(ValueError, match=r"both eyes of 'bob' saw dog\.jpg.*--eye LEFT \| RIGHT\."):
        study(text)
    with pytest.raises(UnknownNameError, match=r"Unknown eye '\.'\. Known: LEFT, RIGHT"):
        study(text, eye=".")
    found = study(text, eye="RIGHT")
    assert found.rows["without an eye, where both were recorded"] == 1
    assert found.rows["of the other eye, this one's being there"] == 1
    _, (cat, dog) = opened(study)
    assert (cat.x.tolist(), dog.x.tolist()) == ([10, 11, 20, 30], [50])


# --- several tables -----------------------------------------------------------------------------


def several(study, texts, **how):
    """Import a table of each name and text."""
    tables = [study.place / name for name in texts]
    for table, text in zip(tables, texts.values(), strict=True):
        table.parent.mkdir(exist_ok=True)
        table.write_text(text)
    return import_table(tables, study.place / "images", study.place / "out", **how)


looked = st.lists(
    st.tuples(
        st.sampled_from(["cat", "dog"]),
        st.integers(2, 79),
        st.integers(2, 59),
        st.sampled_from(["ann", "bob", "cy"]),
        st.integers(80, 400),
    ),
    min_size=1,
    max_size=25,
    unique_by=lambda row: row[:3],  # equal tables, and rows that repeat one another, are refused
)


@FEW
@given(looked, st.booleans())
def test_a_table_a_person_is_as_one_table_of_all(tmp_path_factory, rows, named):
    place, header = tmp_path_factory.mktemp("several"), ["image", "x", "y", "observer", "duration"]
    for name in ("cat.png", "dog.jpg"):
        miniature.write_image(place / "images" / name, SIZE)
    rows = sorted(rows, key=lambda row: row[3])
    miniature.save_table(place / "all.csv", header, rows)
    import_table(place / "all.csv", place / "images", place / "one")
    tables = []
    for who in dict.fromkeys(row[3] for row in rows):
        own = [row for row in rows if row[3] == who]
        lacks = [] if named else [3]
        tables.append(place / f"{who}.csv")
        kept = [[v for k, v in enumerate(row) if k not in lacks] for row in (header, *own)]
        miniature.save_table(tables[-1], kept[0], kept[1:])
    found = import_table(tables, place / "images", place / "many", observer_from_file=not named)
    assert found.rows["kept"] == len(rows)
    one, many = ((place / name / "fixations.csv").read_text() for name in ("one", "many"))
    assert many == one


def test_what_is_said_of_several_tables_is_said_once(study):
    head = "image,x,y,observer,order,duration\n"
    found = several(
        study,
        {
            "a.txt": head + "cat,10,9,ann,1,200\ncat.png,11,9,ann,2,300\ncow,1,1,ann,1,100\n",
            "b.txt": head + "cat,20,9,bob,1,400\ncow,1,1,bob,1,200\n",
        },
    )
    assert str(found).splitlines() == [
        "5 rows read: 3 fixations of 2 observers on 1 images kept, left out:",
        "  2 on images that are not in the folder",
        "Columns taken by their names: image 'image', x 'x', y 'y', observer 'observer', "
        "order 'order', duration 'duration'.",
        "Positions: pixels-of-image.",
        "1 names of images were matched without suffix, as 'cat'.",
        "1 images of the table are not in the folder: cow.",
        "1 images in the folder are not in the table, and not copied.",
        "Durations are taken to be in ms: half are above 300.",
    ]
    record = json.loads((study.place / "out" / "import.json").read_text())
    assert record["table"] == [str(study.place / name) for name in ("a.txt", "b.txt")]


def test_looks_in_several_tables_are_showings_of_their_own(study):
    head = "image,x,y,observer,order,trial\n"
    found = several(
        study,
        {
            "1/gaze.txt": head + "cat,1,9,ann,2,1\ncat,2,9,ann,1,1\n",
            "2/gaze.txt": head + "cat,3,9,ann,2,1\ncat,4,9,ann,1,1\n",
        },
    )
    assert "1 times an observer looks at an image in more than one table" in str(found)
    _, (cat,) = opened(study)
    assert (cat.x.tolist(), cat.order.tolist()) == ([2, 1, 4, 3], [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("names", "observers"),
    [
        (("ann.txt", "bob.txt"), "ann, bob"),
        (("s1/gaze.txt", "s2/gaze.txt"), "s1/gaze, s2/gaze"),
        (("s1.csv", "s1.txt"), "s1.csv, s1.txt"),
    ],
)
def test_observers_are_called_as_files_are(study, names, observers):
    texts = {name: f"image,x,y\ncat,{k},9\n" for k, name in enumerate(names, 2)}
    with pytest.raises(ValueError, match=rf"{names[0]}: no column.*--observer-from-file"):
        several(study, texts)
    found = several(study, texts, observer_from_file=True)
    assert found.observers == 2
    assert f"Observers are called as their tables' files: {observers}." in str(found)
    _, (cat,) = opened(study)
    assert (cat.x.tolist(), cat.observer.tolist()) == ([2, 3], [0, 1])


@pytest.mark.parametrize(
    ("texts", "how", "message"),
    [
        ({}, {}, "No table is named"),
        ({"a": HEAD + ROWS, "b": HEAD + ROWS}, {}, "b holds just what .*a does"),
        ({"a": HEAD + ROWS, "b": HEAD + "cat,1,two,cy\n"}, {}, "b, line 2: y is 'two'"),
        ({"a": HEAD + ROWS, "b": HEAD + "cat,1,2,\n"}, {}, "b, line 2: observer is ''"),
        ({"a": HEAD + ROWS, "b": HEAD + "cow,1,2,cy\n"}, {}, "b: none of the table's 1 images"),
        ({"a": HEAD + ROWS, "b": HEAD}, {}, "b: the table names no image in any row"),
        ({"a": HEAD + ROWS, "b": HEAD + "cat,.4,.2,cy\n"}, {}, "b: x runs.*fraction-of-image"),
        ({"a": HEAD + ROWS, "b": HEAD + "cat,0,0,cy\n"}, {}, "b: no row has a position"),
        (
            {"a": HEAD + ROWS, "b": "image,x,y,subject\ncat,1,2,cy\n"},
            {},
            "b: the observer is 'subject', but in .*a it is 'observer'.*--observer",
        ),
        (
            {"a": HEAD.strip() + ",order\ncat,9,9,ann,1\n", "b": HEAD + ROWS},
            {},
            "b: the order has no column, but in .*a it is 'order'.*--order",
        ),
        (
            {
                "a": "image,x,y,observer,duration\ncat,1,2,ann,300\n",
                "b": "image,x,y,observer,duration\ncat,1,2,bob,0.3\n",
            },
            {},
            "Durations seem to be of .*a in ms, of .*b in s: give all",
        ),
        (
            {"a": HEAD + ROWS},
            {"columns": {"observer": "observer"}, "observer_from_file": True},
            "--observer observer or --observer-from-file, not both",
        ),
    ],
)
def test_what_is_wrong_with_one_of_several_tables_is_told_of_that(study, texts, how, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        several(study, texts, **how)
    assert not (study.place / "out").exists()


def test_one_of_several_tables_that_is_missing_is_named(study):
    (study.place / "a.txt").write_text(HEAD + ROWS)
    with pytest.raises(FileNotFoundError, match=r"no table .*b\.txt"):
        import_table(
            [study.place / "a.txt", study.place / "b.txt"], study.place / "images", "nowhere"
        )


def test_which_eye_counts_is_asked_of_all_tables_together(study):
    texts = {"a.txt": EYES, "b.txt": EYES.splitlines()[0] + "\ncat,40,9,cy,1,Left\n"}
    with pytest.raises(UnknownNameError, match=r"Unknown eye 'Rihgt'\. Did you mean 'Right'"):
        several(study, texts, eye="Rihgt")
    assert several(study, texts, eye="Right").rows["kept"] == 4  # cy's only eye stays


# --- names of images ----------------------------------------------------------------------------


def test_names_match_by_the_strictest_form():
    files = ["a.png", "sub/a.png", "sub/Über.jpg", "photo.1.png"]
    wanted = {
        "a.png": "a.png",
        "sub\\a": "sub/a.png",
        unicodedata.normalize("NFD", "Über.jpg"): "sub/Über.jpg",
        r"C:\study\ÜBER.BMP": "sub/Über.jpg",
        "photo.1": "photo.1.png",
    }
    found = match_names([*wanted, "photo.2", "photo"], files, Path("t.csv"))
    assert found.image == wanted
    assert found.unknown == ["photo.2", "photo"]
    assert found.loosely == {
        "without suffix": ["sub\\a", "photo.1"],
        "without folder": [unicodedata.normalize("NFD", "Über.jpg")],
        "without folder, suffix and capitals": [r"C:\study\ÜBER.BMP"],
    }


def test_a_name_that_means_two_files_is_asked_about():
    with pytest.raises(ValueError, match=r"t\.csv: the image 'a' could be x/a.png or y/a"):
        match_names(["a"], ["x/a.png", "y/a.png"], Path("t.csv"))


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "how", "message"),
    [
        (HEAD + ROWS, {"columns": {"x": "posx"}}, "column in .*table.txt for --x 'posx'.*'x'"),
        (HEAD + "cat,1,2,ann,9\n", {}, "table.txt, line 2: 5 values, but line 1 names 4"),
        (HEAD + "cat,1,2,\n", {}, "line 2: observer is '': whose fixation"),
        (HEAD + "cat,1,two,ann\n", {}, "line 2: y is 'two', not a number"),
        (
            "image,x,y\ncat,1,2\n",
            {},
            "no column is called as the observer.*--observer.*one table a person.*Columns in it",
        ),
        (
            "image,x,y,subject,participant\ncat,1,2,a,b\n",
            {},
            "'subject' and 'participant' could each be the observer; say which with --observer",
        ),
        ("image,fix_x,fix_y,observer\ncat,1,2,a\n", {}, "'fix_x' does not tell.*--units"),
        (
            HEAD + "cta.png,1,2,a\n",
            {},
            "table.txt: none of the table's 1 images.*'cta.png'.*'cat.png'",
        ),
        (HEAD + ",1,2,a\n", {}, "names no image in any row"),
        (
            HEAD + "cat,0.2,0.5,a\ncat,0.25,1,a\n",
            {},
            "x runs from 0.2 to 0.25,.*in one corner.*--units fraction",
        ),
        (
            HEAD + ROWS,
            {"screen": Screen("fraction-of-image")},
            "only 0%.*As --units pixels-of-image, 100%",
        ),
        (
            HEAD + ROWS,
            {"screen": Screen("pixels-of-screen", SCREEN, (110, 50))},
            r"x runs from 10 to 50.*of a screen of 200×120, only 0%.*As --units pixels-of-image",
        ),
        (
            HEAD + "cat,900,500,a\ncat,800,520,a\n",
            {"screen": Screen("pixels-of-screen", SCREEN)},
            "x runs from 800 to 900.*Are --screen, --image-at",
        ),
        (HEAD + "cat,900,500,a\ncat,800,520,a\n", {}, "pixels-of-screen, with --screen WxH"),
        (HEAD + "cat,-5,2,a\ncat,-4.5,3,a\n", {}, "Are they --units degrees"),
        (
            HEAD + ROWS,
            {"screen": Screen("degrees", (90, 70), per_degree=30)},
            "Read as degrees.*As --units pixels-of-image",
        ),
        (HEAD + "cat,.,.,a\n", {}, "no row has a position"),
        (
            "image,x,y,observer,order\ncat,1,2,ann,1\ncat,1,2,ann,first\n",
            {},
            "line 3: order is 'first'",
        ),
        ("image,x,y,observer,duration\ncat,1,2,a,-3\n", {}, "line 2: duration is '-3'"),
        (
            "image,x,y,observer,duration\ncat,1,2,a,0.3\n",
            {"duration_unit": "ms"},
            "half of the durations are above 0.3, which cannot be in ms",
        ),
        (HEAD + "cat,9,9,a\n" * 9, {}, "repeat the row before.*--order"),
        (
            "image,x,y,observer,order\n" + "".join(f"cat,{k},9,a,1\n" for k in range(1, 9)),
            {},
            "number of the row before and another position",
        ),
        (HEAD + ROWS, {"decimal": "x"}, "Unknown decimal sign 'x'"),
        (HEAD + "cat,9,9,a\n", {"drop_first": True}, "no fixation is left of 1 rows"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_written(study, text, how, message):
    with pytest.raises((ValueError, UnknownNameError), match=f"(?s){message}"):
        study(text, **how)
    assert sorted(p.name for p in study.place.iterdir()) == ["images", "table.txt"]


def test_most_may_miss_the_image_if_said(study):
    found = study(HEAD + ROWS + "cat,500,500,a\n" * 2 + "cat,9,500,a\ncat,1,500,a\n", anyway=True)
    assert (found.rows["kept"], found.rows["outside the image"]) == (3, 4)


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"units": "pixels-of-screen"}, "pixels-of-screen need --screen"),
        ({"units": "fraction-of-screen"}, "fraction-of-screen need --screen"),
        ({"units": "degrees", "size": SCREEN}, "--pixels-per-degree, or --distance"),
        (
            {"units": "degrees", "size": SCREEN, "per_degree": 30.0, "distance": 60.0}
            | {"centimetres": (30, 20)},
            "either --pixels-per-degree, or --distance",
        ),
        ({"at": (1, 1)}, "--image-at is a place on the screen"),
        (
            {"units": "pixels-of-image", "size": SCREEN, "at": (1, 1)},
            "leave out --image-at, or say --units pixels-of-screen",
        ),
        ({"units": "fraction-of-image", "size": SCREEN, "at": (1, 1)}, "leave out --image-at"),
        ({"shown": (0, 10)}, "above 0"),
    ],
)
def test_a_screen_says_what_it_lacks(settings_, message):
    with pytest.raises(ValueError, match=message):
        Screen(**settings_)


def test_units_that_nobody_knows_are_named_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"Unknown unit 'px'.*pixels-of-image"):
        Screen("px", size=SCREEN)
    with pytest.raises(UnknownNameError, match="fraction-of-image, fraction-of-screen"):
        Screen("fraction")


@pytest.mark.parametrize("more", [{}, {"at": (60, 30)}])
def test_a_column_named_x_is_asked_about_where_a_screen_is_said(study, more):
    text = HEAD + "cat,100,60,ann\ncat,65.5,31.25,ann\n"
    both = r"'x' does not tell.*pixels-of-image if.*pixels-of-screen if.*--units"
    with pytest.raises(ValueError, match=both):
        study(text, Screen(size=SCREEN, **more))
    study(text, Screen("pixels-of-screen", size=SCREEN, **more))
    _, (cat,) = opened(study)
    assert (cat.x.tolist(), cat.y.tolist()) == ([40, 5.5], [30, 1.25])


def test_gazepoints_fractions_are_of_the_screen(study):
    text = "image,FPOGX,FPOGY,observer\ncat,0.5,0.5,ann\ncat,0.325,0.375,ann\n"
    with pytest.raises(ValueError, match=r"'FPOGX' is in fraction-of-screen.*need --screen"):
        study(text)
    assert "Positions: fraction-of-screen" in str(study(text, Screen(size=SCREEN)))
    _, (cat,) = opened(study)
    assert np.allclose(np.stack([cat.x, cat.y], 1), [(40, 30), (5, 15)])


def test_tobiis_fractions_are_of_the_image_with_a_screen_too(study):
    head = "image,FixationPointX (MCSnorm),FixationPointY (MCSnorm),observer\n"
    told = str(study(head + "cat,0.5,0.5,ann\ncat,0.05,0.25,ann\n", Screen(size=SCREEN)))
    assert "Positions: fraction-of-image, for which --screen is not needed" in told
    _, (cat,) = opened(study)
    assert (cat.x.tolist(), cat.y.tolist()) == ([40, 4], [30, 15])


def test_nothing_is_written_over(study):
    table = study.place / "table.csv"
    table.write_text(HEAD + ROWS)
    images, out = study.place / "images", study.place / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    for place, message in (
        (out, "not empty"),
        (table, "not empty"),
        (images, "the images' own folder"),
        (images / "new", "or in it"),
    ):
        with pytest.raises(FileExistsError, match=message):
            import_table(table, images, place)
    assert (out / "mine.txt").read_text() == "mine"


def test_an_empty_folder_is_filled_where_one_stands(study, monkeypatch):
    (study.place / "out").mkdir()
    monkeypatch.chdir(study.place / "out")
    (study.place / "table.csv").write_text(HEAD + ROWS)
    done = call("import", "../table.csv", "--images", "../images", "--out", ".")
    assert done.exit_code == 0, done.output
    assert len(datasets.load("folder", ".")) == 2
    assert sorted(p.name for p in study.place.iterdir() if "out" in p.name) == [
        "out",
        "out_looked.png",
    ]


@pytest.mark.parametrize(
    ("missing", "message"),
    [("table", "no table"), ("images", "not there"), ("image", "no image in")],
)
def test_what_is_missing_is_named(tmp_path, missing, message):
    table, images = tmp_path / "table.csv", tmp_path / "images"
    if missing != "table":
        table.write_text(HEAD + ROWS)
    if missing != "images":
        images.mkdir()
    with pytest.raises(FileNotFoundError, match=message):
        import_table(table, images, tmp_path / "out")


# --- the command --------------------------------------------------------------------------------


def call(*args):
    return CliRunner().invoke(cli.app, [str(a) for a in args])


def test_the_command_imports_and_draws_what_it_read(study):
    place = study.place
    (place / "table.txt").write_text(EYELINK)
    ask = ("import", place / "table.txt", "--images", place / "images", "--out", place / "out")
    done = call(*ask, "--screen", "200x120")
    assert done.exit_code == 0, done.output
    assert "5 fixations of 2 observers on 2 images" in done.output
    with Image.open(place / "out_looked.png") as picture:
        assert picture.size == SIZE[::-1]
        drawn = np.array(picture).astype(int)
    with Image.open(place / "images" / "cat.png") as picture:
        changed = (drawn != np.array(picture)).any(-1)
    assert changed[30, 40]
    assert 0 < changed.mean() < 0.1
    assert datasets.load("folder", place / "out").names == ["cat", "dog"]


def test_the_command_takes_several_tables(study):
    place = study.place
    for name, x in (("ann", 10), ("bob", 20)):
        (place / f"{name}.txt").write_text(f"image,x,y\ncat,{x},9\n")
    tables = (place / "ann.txt", place / "bob.txt")
    ask = ("import", *tables, "--images", place / "images", "--out", place / "out")
    assert "--observer-from-file" in call(*ask).output
    done = call(*ask, "--observer-from-file")
    assert done.exit_code == 0, done.output
    assert "2 fixations of 2 observers on 1 images" in done.output


def test_the_command_says_in_one_line_what_is_wrong(study):
    place = study.place
    (place / "table.txt").write_text(HEAD + ROWS)
    ask = ("import", place / "table.txt", "--images", place / "images", "--out", place / "out")
    for more, message in (
        (("--x", "X"), "Did you mean 'x'"),
        (("--units", "pixel"), "Did you mean 'pixels-of-"),
        (("--screen", "wide"), "two numbers are expected, as in 1024x768"),
    ):
        done = call(*ask, *more)
        assert done.exit_code == 2
        assert message in done.output
    (place / "out_looked.png").write_text("mine")
    assert "nothing is written over" in call(*ask).output
    assert not (place / "out").exists()
