"""Text tables: every value in its column, whatever is too many, too few, or there twice."""

import unicodedata

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saliencykit import datasets
from saliencykit.datasets.tracker import import_table
from saliencykit.reading.tables import number_column, read_table
from tests import miniature

COLUMNS = ("image", "x", "y", "observer")
HEAD = "image,x,y,observer\n"
FEW = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
ROW = st.tuples(
    st.sampled_from(["a", "b"]),
    st.integers(2, 79),
    st.floats(2, 59).map(lambda v: round(v, 2)),
    st.sampled_from(["ann", "bob", "20240115"]),
)


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png"):
        miniature.write_image(tmp_path / name, (60, 80))
    return tmp_path


def written(folder, text, encoding="utf-8"):
    path = folder / "fixations.csv"
    path.write_bytes(text.encode(encoding))
    return path


def as_told(frame):
    return [tuple(row) for row in frame.to_numpy().tolist()]


@FEW
@given(
    rows=st.lists(ROW, min_size=1, max_size=6),
    delimiter=st.sampled_from(",;\t"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    ends=st.sampled_from(["", "all", "header"]),
    data=st.data(),
)
def test_a_value_too_many_or_too_few_never_shifts_a_column(
    tmp_path, rows, delimiter, encoding, ends, data
):
    lines = [list(COLUMNS), *([str(v) for v in row] for row in rows)]
    truth = [tuple(line) for line in lines[1:]]
    for k, line in enumerate(lines):
        line.extend([""] * (ends == "all" or (ends == "header" and not k)))
    bad = data.draw(st.integers(1, len(rows)))
    place = data.draw(st.integers(0, len(COLUMNS)))
    what = data.draw(st.sampled_from(["more", "less", "nothing"]))
    if what == "more":
        lines[bad].insert(place, data.draw(st.sampled_from(["", "7", "ann"])))
    if what == "less":
        del lines[bad][min(place, len(COLUMNS) - 1)]
    path = written(tmp_path, "\n".join(delimiter.join(line) for line in lines) + "\n", encoding)
    try:
        found, told = as_told(read_table(path, COLUMNS)), ""
    except ValueError as error:
        found, told = None, str(error)
    if what == "nothing" or found is not None:  # an empty value at the end of a row is none
        assert found == truth
    else:
        assert f"fixations.csv, line {bad + 1}: " in told


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "a,10,20,ann,\nb,30,40,bob\n",
        HEAD + "a,10,20,ann,,,\nb,30,40,bob\n",
        "image,x,y,observer,,\na,10,20,ann\nb,30,40,bob,\n",
    ],
)
def test_delimiters_that_end_a_row_are_no_values(folder, text):
    written(folder, text)
    data = datasets.load("folder", folder)
    assert [data.fixations(i).x.tolist() for i in (0, 1)] == [[10], [30]]
    assert [data.fixations(i).observer.tolist() for i in (0, 1)] == [[0], [1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "a,,10,20,ann\n", "line 2: 5 values, but line 1 names 4 .* too many"),
        (HEAD + "1,a,10,20,ann\nb,3,4,bob\n", "line 2: 5 values"),
        (HEAD + "b,3,4,bob\na,10,20\n", "line 3: 3 values, but line 1 names 4 .* too few"),
        ("image,observer,x,y,duration\na,10,20,0.3\n", "line 2: 4 values"),
        ("image,observer,x,y,duration\na,10,20,0.3,\na,b,3,4,0.3,\n", "line 2: 4 values"),
        ("image,x,y,observer,X\na,1,2,ann,3\n", "line 1: there are two columns x and X"),
        (f"{HEAD[:-1]},Über,{unicodedata.normalize('NFD', 'Über')}\n", None),
        (HEAD + "a,1,2,ann\rb,1\n", "line 3: 2 values"),
    ],
)
def test_what_belongs_to_no_column_is_named(folder, text, message):
    path = written(folder, text)
    if message is None:  # twins that nobody asks for are none of ours
        assert len(read_table(path, COLUMNS)) == 0
        return
    with pytest.raises(ValueError, match=f"fixations.csv, {message}"):
        datasets.load("folder", folder)


def test_a_twin_in_another_spelling_is_named(tmp_path):
    twin = unicodedata.normalize("NFD", "Über")
    path = written(tmp_path, f"Über,{twin}\n1,2\n")
    with pytest.raises(ValueError, match="line 1: there are two columns Über"):
        read_table(path, (twin,))


def test_a_point_is_no_decimal_where_a_comma_is(tmp_path):
    path = written(tmp_path, "x;y\n1,5;.\n1.234;2\n")
    table = read_table(path, ("x", "y"))
    np.testing.assert_array_equal(number_column(table, "y", path, ","), [np.nan, 2])
    with pytest.raises(ValueError, match=r"line 3: x is '1\.234', not a number"):
        number_column(table, "x", path, ",")


def test_no_column_is_two_things(folder, tmp_path_factory):
    table = written(tmp_path_factory.mktemp("table"), HEAD + "a,10,20,ann\n")
    with pytest.raises(ValueError, match="'x' cannot be both the x and the y"):
        import_table(table, folder, folder.parent / "out", columns={"y": "x"})


def test_accents_have_one_spelling(tmp_path):
    composed, apart = (unicodedata.normalize(form, "Zoë") for form in ("NFC", "NFD"))
    miniature.write_image(tmp_path / f"{apart}.png", (60, 80))
    written(tmp_path, HEAD + f"{composed},10,20,{apart}\n{apart}.png,30,40,{composed}\n")
    data = datasets.load("folder", tmp_path)
    assert data.names == [composed]
    assert (data.fixations(0).x.tolist(), data.fixations(0).observer.tolist()) == ([10, 30], [0, 0])


# --- names that are there twice -------------------------------------------------------------------


@pytest.mark.parametrize("twin", ["a.jpg", "A.png", "sub/../a.bmp"])
def test_two_images_of_one_name_are_named(folder, twin):
    miniature.write_image(folder / twin, (60, 80))
    with pytest.raises(ValueError, match=r"[aA]\.\w+ and .*[aA]\.\w+ have one name.*rename one"):
        datasets.load("folder", folder)


def test_a_name_of_two_spellings_is_one(folder):
    for form in ("NFC", "NFD"):
        miniature.write_image(folder / (unicodedata.normalize(form, "é") + ".png"), (60, 80))
    if len(list(folder.iterdir())) == 3:
        pytest.skip("this disk has one spelling of names itself")
    with pytest.raises(ValueError, match="have one name; rename one"):
        datasets.load("folder", folder)


def test_an_image_in_two_splits_is_named(folder):
    (folder / "splits.csv").write_text("image,split\na,train\nb,val\na.png,train\nb.png,test\n")
    with pytest.raises(ValueError, match=r"line 5: image 'b' is in 'test', but in 'val' by a line"):
        datasets.load("folder", folder)
