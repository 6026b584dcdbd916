import pytest

from saliencykit.registry import UnknownNameError
from saliencykit.running import checking


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("1.0", "1.059", True),  # 0.01 + 0.05 · 1
        ("1.0", "1.07", False),
        ("100", "104.9", True),
        ("100", "106", False),
        ("-1.0", "-1.059", True),
        ("1", "-1", False),
        ("nan", "NaN", True),
        ("nan", "0", False),
        ("inf", "inf", True),
        ("inf", "1e9", False),
        ("1", "inf", False),
        ("", "", True),
        ("", "0", False),
        ("head", "head", True),
        ("head", "text", False),
    ],
)
def test_agree(a, b, same):
    assert checking.agree(a, b) is same


def compare(tmp_path, old, new, **settings):
    for name, text in (("old", old), ("new", new)):
        (tmp_path / name).mkdir(exist_ok=True)
        if text is not None:
            (tmp_path / name / "02_a.csv").write_text(text)
    return checking.compare_folders(tmp_path / "old", tmp_path / "new", **settings)


def test_the_same_table_has_no_difference(tmp_path):
    assert compare(tmp_path, "a,b\nx,1\n", "a,b\nx,1.01\n") == []


def test_a_number_too_far_is_a_difference_with_its_place(tmp_path):
    (one,) = compare(tmp_path, "a,b\nx,1\ny,1\n", "a,b\nx,1\ny,2\n")
    assert (one.file, one.row, one.column, one.committed, one.now) == ("02_a.csv", 2, "b", "1", "2")


def test_a_column_may_have_its_own_tolerance(tmp_path):
    text = "a,b\nx,1\n", "a,b\nx,2\n"
    assert compare(tmp_path, *text, tolerances={"02_a": {"b": (0, 1)}}) == []
    assert len(compare(tmp_path, *text, tolerances={"02_a": {"b": (0, 0.5)}})) == 1
    with pytest.raises(UnknownNameError, match=r"02_a\.csv.*'bb'.*mean 'b'"):
        compare(tmp_path, *text, tolerances={"02_a": {"bb": (0, 1)}})


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("a,b\nx,1\n", "a\nx\n", "columns a, b"),
        ("a,b\nx,1\n", "a,b\nx,1\ny,1\n", "1 rows"),
        ("a,b\nx,1\n", "a,b\nx\n", "2 cells"),
        ("a,b\nx,1\n", "a,b\ny,1\n", "x"),
        ("a,b\n", None, "a table"),
        (None, "a,b\n", "missing"),
    ],
)
def test_structural_differences(tmp_path, old, new, words):
    (one,) = compare(tmp_path, old, new)
    assert one.committed == words


def test_only_tables_of_the_chosen_notebooks_are_expected(tmp_path):
    assert len(compare(tmp_path, "a\n1\n", None, prefixes=["02_"])) == 1
    assert compare(tmp_path, "a\n1\n", None, prefixes=["03_"]) == []


def test_a_picture_without_its_table_is_a_difference(tmp_path):
    compare(tmp_path, "a\n1\n", "a\n1\n")
    (tmp_path / "new" / "02_a.png").touch()
    assert compare(tmp_path, "a\n1\n", "a\n1\n") == []
    (tmp_path / "new" / "02_b.png").touch()
    (one,) = compare(tmp_path, "a\n1\n", "a\n1\n")
    assert one.file == "02_b.png"


def test_the_report_is_capped_for_each_file(tmp_path):
    rows = range(checking.SHOWN + 5)
    old, new = ("v\n" + "".join(f"{base + r}\n" for r in rows) for base in (0, 1000))
    lines = checking.report(compare(tmp_path, old, new)).splitlines()
    assert lines[0] == "02_a.csv"
    assert lines[1].split() == ["row", "column", "committed", "now"]
    assert lines[2].split() == ["1", "v", "0", "1000"]
    assert lines[-1].strip() == "… and 5 more"
    assert len(lines) == 2 + checking.SHOWN + 1
