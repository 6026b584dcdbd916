import json
import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from saliencykit.intervals import another_run, triples
from saliencykit.paths import ROOT
from saliencykit.running import checking
from saliencykit.running.checking import (
    compare,
    compare_tables,
    spread_of,
    trainings,
)


def texts(rows, columns="category,mean,low,high"):
    return pd.DataFrame(rows, columns=columns.split(","), dtype=object).astype(str)


LEARNED = "category,mean,low,high,sd_trainings,trainings"
REACH = 2.776 * 0.1 * math.sqrt(2 / 5)  # t of 4 degrees of freedom; five trainings against five


def measured(shift=0.0, noise=0.0, n=30):
    """A table of `n` means over five trainings, shifted by so often what another run may be off."""
    means = [(f"c{i}", i + REACH * shift + noise) for i in range(1, n + 1)]
    return texts([(c, x, x - 0.2, x + 0.2, 0.1, 5) for c, x in means], LEARNED)


def drawn(rng, truth, trainings=5, spread=0.1):
    """A table of means over trainings that differ by `spread` about a `truth` each."""
    each = truth + spread * rng.standard_normal((trainings, len(truth)))
    rows = zip(map(str, truth), each.mean(0), each.std(0, ddof=1), strict=True)
    return texts([(c, m, m - 0.2, m + 0.2, sd, trainings) for c, m, sd in rows], LEARNED)


def tallied(reference, now, learned=True):
    differences, counts = compare_tables("02_a.csv", reference, now, learned)
    return len(differences), counts


# Cells that hang on no training


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("1.0", "1.0010", True),  # 0.0001 + 0.001 · 1
        ("1.0", "1.0012", False),
        ("100", "100.1", True),
        ("100", "100.2", False),
        ("-1.0", "-1.0010", True),
        ("0", "0.0001", True),
        ("1", "-1", False),
        ("nan", "", True),
        ("nan", "0", False),
        ("0", "", False),
        ("inf", "inf", True),
        ("inf", "1e9", False),
        ("1", "inf", False),
        ("", "", True),
        ("head", "head", True),
        ("head", "text", False),
        ("head", "", False),
        ("1", "one", False),
    ],
)
def test_exact_cells_agree_within_tolerance(a, b, same):
    found, counts = tallied(texts([(a,)], "v"), texts([(b,)], "v"), learned=False)
    assert found == counts["differ"] == (not same)
    assert counts["exact"] == 1
    assert counts["intervals"] == 0


def test_a_difference_has_its_place():
    old, new = measured(n=3), measured(n=3)
    new.loc[1, "mean"] = "7"
    (one,), _ = compare_tables("02_a.csv", old, new, learned=False)
    assert one == ("02_a.csv", 2, "mean", "2.0", "7")


def test_rows_are_marked_one_by_one():
    old, new = measured(n=3), measured(n=3, shift=3)
    marks = [True, False, True]
    found, counts = compare_tables("a", old, new, marks)
    assert {d.row for d in found} == {2}
    assert (counts["exact"], counts["judged"], counts["inside"]) == (6, 2, 0)


def test_a_few_numbers_of_a_large_table_may_be_tipped_by_rounding_but_no_text():
    old, new = measured(n=100), measured(n=100)  # 600 cells
    new.loc[:2, "mean"] = "7"
    found, counts = tallied(old, new, learned=False)
    assert (found, counts["tipped"], counts["differ"]) == (0, 3, 0)
    new.loc[3, "mean"] = "7"
    found, counts = tallied(old, new, learned=False)
    assert (found, counts["tipped"], counts["differ"]) == (4, 0, 4)
    assert tallied(old, old.replace("c7", "c8"), learned=False)[0] == 1


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda t: t.drop(columns="high"),
            f"columns {LEARNED.replace(',', ', ')}",
        ),
        (
            lambda t: t.rename(columns={"high": "top"}),
            f"columns {LEARNED.replace(',', ', ')}",
        ),
        (lambda t: t.iloc[:-1], "30 rows"),  # a category is missing
        (lambda t: t.iloc[::-1].reset_index(drop=True), "c1"),
        (lambda t: t.replace("c7", "c8"), "c7"),
        (lambda t: t.assign(mean="x"), "1.0"),
    ],
)
def test_another_structure_is_a_difference(learned, change, words):
    found, counts = compare_tables("a", measured(), change(measured()), learned)
    assert words in [d.reference for d in found]
    assert counts["differ"] == len(found)


def test_marks_of_another_number_of_rows_are_a_difference():
    (one,), _ = compare_tables("a", measured(n=3), measured(n=3), [True])
    assert (one.reference, one.now) == ("3 rows learned or not", "1 rows learned or not")


def test_tables_without_rows_agree():
    assert tallied(texts([]), texts([])) == (0, checking._counts())


# What has been learned


def test_which_numbers_have_intervals():
    header = ["category", "before", "before_low", "before_high", "mean", "low", "high", "images"]
    assert triples(header) == [[1, 2, 3], [4, 5, 6]]
    assert triples(["train", "train_low", "low_end", "high"]) == []
    assert triples(["low", "high"]) == []


def test_which_spread_is_whose():
    gap, people = (["x", "x_low", "x_high"], ["people", "people_low", "people_high"])
    header = [*gap, "sd_trainings", *people]
    assert spread_of(header, [0, 1, 2]) == 3
    assert spread_of(header, [4, 5, 6]) is None
    header = ["x", "people", *gap[1:], "x_sd_trainings", *people[1:]]
    assert spread_of(header, [0, 2, 3]) == 4
    assert spread_of(header, [1, 5, 6]) is None


def test_on_how_many_trainings_a_row_rests():
    told = np.array([[1.0, 2.0, np.nan], [1.0, 2.0, 3.0]])
    assert trainings(["training 1", "training 2", "training 3"], told).tolist() == [2, 3]
    assert trainings(["a", "trainings", "b"], told).tolist() == [2, 2]
    assert np.isnan(trainings(["a", "training", "b"], told)).all()


def test_learned_numbers_are_counted():
    some = [("a", 1, 0.5, 1.5, 0.1, 5), ("b", 1, 0.5, 1.5, 0.1, 5), ("c", -1, -2, -0.5, 9, 5)]
    old = texts([*some, ("d", 1, 0, 2, "", 5), ("e", "", "", "", "", "")], LEARNED)
    some = [("a", 1.1, 0.9, 1.9, 0.1, 5), ("b", 0.2, -0.3, 0.7, 0.1, 5), ("c", 1, 0.5, 2, 9, 5)]
    new = texts([*some, ("d", 1, 0, 2, "", 5), ("e", 1, 0, 2, 1, 5)], LEARNED)
    found, counts = tallied(old, new)
    assert found == 0
    expected = {
        "exact": 0,
        "tipped": 0,
        "differ": 0,
        "intervals": 4,
        "changed": 2,
        "turned": 1,
        "judged": 3,
        "inside": 2,
        "far": 1,
    }
    assert counts == expected


def test_another_run_lies_inside_as_often_as_promised_and_a_moved_truth_does_not():
    rng, truth = np.random.default_rng(0), np.linspace(1, 30, 4000)
    for count in (2, 3, 5):
        old, new = (drawn(rng, truth, count) for _ in range(2))
        inside = tallied(old, new)[1]["inside"] / len(truth)
        assert inside == pytest.approx(0.95, abs=0.015)
    off = tallied(drawn(rng, truth), drawn(rng, truth + 0.3))[1]["inside"]
    assert off / len(truth) < 0.4


def test_a_run_of_more_trainings_is_held_to_a_closer_mean():
    reach = another_run(np.array([0.1, 0.1, 0.1]), np.array([5, 5, 1.0]), np.array([5, 20, 5.0]))
    assert reach[:2] == pytest.approx([REACH, 2.776 * 0.1 * 0.5], abs=1e-3)
    assert np.isnan(reach[2])  # one training tells no spread


def test_a_learned_number_that_is_gone_is_a_difference_and_not_inside():
    old, new = texts([("a", 1, 0.5, 1.5, 0.1, 5)], LEARNED), texts([("a", *[""] * 5)], LEARNED)
    found, counts = tallied(old, new)
    assert found == 5
    assert (counts["intervals"], counts["inside"], counts["changed"]) == (1, 0, 1)
    assert tallied(new, old)[0] == 0  # what was not known may be known now


@pytest.mark.parametrize(
    "broken",
    [
        lambda t: t.assign(low=t["mean"].astype(float) - 0.05, high=t["mean"].astype(float) + 0.05),
        lambda t: t.assign(sd_trainings=0.0),
        lambda t: t.assign(sd_trainings=1.0),
        lambda t: t.assign(trainings=""),
        lambda t: t.assign(mean=t["mean"].to_numpy()[[1, 2, 3, 0, *range(4, len(t))]]),
    ],
    ids=["narrow", "all alike", "far apart", "how many", "swapped"],
)
def test_what_is_no_other_training_of_the_same_is_a_difference(broken):
    old = measured()
    assert tallied(old, broken(old))[0] > 0


def test_two_categories_swapped_among_many_are_a_difference():
    rng, truth = np.random.default_rng(0), np.repeat(np.arange(24.0), 8)
    old, new = (drawn(rng, truth).assign(category=np.repeat(np.arange(24), 8)) for _ in range(2))
    old, new = (t.assign(category="c" + t["category"].astype(str)) for t in (old, new))
    assert tallied(old, new)[0] == 0
    numbers = ["mean", "low", "high", "sd_trainings"]
    swapped = new.copy()
    rows = [swapped.index[swapped["category"] == name] for name in ("c3", "c7")]
    swapped.loc[rows[0], numbers] = new.loc[rows[1], numbers].to_numpy()
    swapped.loc[rows[1], numbers] = new.loc[rows[0], numbers].to_numpy()
    found, counts = compare_tables("a", old, swapped)
    assert counts["far"] == 16 < checking.FEW * counts["judged"]
    assert [d.column for d in found] == ["c3", "c7", "category"]
    assert found[-1][3:] == ("c3, c7", "c7, c3, by the numbers")


REFERENCE = ROOT / "figures" / "reference" / "toy"


def another(table, rng):
    """Another run of a table, its trainings drawn as the reference's differ, all rows together."""
    (values, _), header = checking.numbers(table), list(table)
    each = values[:, [k for k, name in enumerate(header) if name.startswith("training ")]]
    off = np.nan_to_num(each - np.nanmean(each, axis=1, keepdims=True))
    spread = off.std(axis=1, ddof=1, keepdims=True)
    off = np.divide(off, spread, out=np.zeros_like(off), where=spread > 0)
    drawn, n = table.copy(), each.shape[1]
    for columns in triples(header):
        if (place := spread_of(header, columns)) is not None:
            noise = off @ rng.standard_normal((n, n)) / np.sqrt(n - 1)
            made = values[:, [columns[0]]] + values[:, [place]] * noise
            drawn[header[columns[0]]] = made.mean(axis=1).astype(str)
            drawn[header[place]] = made.std(axis=1, ddof=1).astype(str)
    return drawn


def swapped_in(table, column, a, b):
    """The table with the numbers of two categories exchanged, under the labels as they were."""
    keys = [k for k in table if checking.numbers(table[[k]])[1].any() or k in ("k", "factor")]
    rows, mutated = table.groupby(column).indices, table.copy()
    places = [k for k, name in enumerate(table) if name not in keys]
    mutated.iloc[rows[a], places] = table.iloc[rows[b], places].to_numpy()
    mutated.iloc[rows[b], places] = table.iloc[rows[a], places].to_numpy()
    return mutated


TABLES = [
    ("07_matrix", "first"),
    ("07_matrix", "second"),
    ("07_specificity", "category"),
    ("07_dose", "category"),
    ("07_contributions", "category"),
    ("07_overlap", "category"),
    ("06_categories", "category"),
    ("08_recovered", "category"),
]


@pytest.mark.parametrize(("name", "column"), TABLES)
def test_swapped_categories_are_a_difference_in_each_table(name, column):
    """Mutants of the committed tables; the two categories that differ most, beside trainings."""
    table = checking.read_table(REFERENCE / f"{name}.csv")
    header, (values, _) = list(table), checking.numbers(table)
    columns = triples(header)[0]
    value, spread = values[:, columns[0]], values[:, spread_of(header, columns)]
    rows = table.groupby(column).indices
    apart = {
        (a, b): np.nanmean(
            np.log1p(((value[rows[a]] - value[rows[b]]) / (spread[rows[a]] + spread[rows[b]])) ** 2)
        )
        for a, b in combinations(rows, 2)
        if len(rows[a]) == len(rows[b])
    }
    a, b = max(apart, key=apart.get)
    run = another(table, np.random.default_rng(0))
    found = [d for d in compare_tables(name, table, run)[0] if d.now.endswith("by the numbers")]
    assert found == []
    found, counts = compare_tables(name, table, swapped_in(run, column, a, b))
    told = {(d.column, *sorted(d.reference.split(", "))) for d in found if "by the" in d.now}
    assert (column, *sorted((a, b))) in told
    assert counts["differ"] >= 1


def test_categories_that_are_alike_are_not_taken_for_swapped():
    rng, truth = np.random.default_rng(1), np.repeat(0.0, 8 * 12)
    for _ in range(10):
        old, new = (
            drawn(rng, truth).assign(category=np.repeat(list("abcdefgh"), 12)) for _ in "ab"
        )
        assert tallied(old, new)[0] == 0


def test_a_table_of_a_few_wrong_numbers_is_a_difference_beside_many_right_ones(both):
    old = measured(n=9)
    write(both[0], a=measured(n=300), b=old)
    write(both[1], a=measured(n=300), b=old.assign(mean=0.0))
    assert check(both).faults == ["1 of what must be equal is not"]


def test_rounding_is_inside_where_trainings_do_not_differ():
    old = texts([("a", 1, 1, 1, 0, 5)], LEARNED)
    assert tallied(old, texts([("a", 1.00001, 1, 1, 0, 5)], LEARNED))[1]["inside"] == 1
    assert tallied(old, texts([("a", 1.1, 1, 1, 0, 5)], LEARNED))[1]["inside"] == 0


def test_another_unit_or_its_layer_may_be_best_but_not_another_category():
    columns = "category,layer,unit,mean"
    old = texts([("head", "conv1", 3, 1.0)], columns)
    assert tallied(old, texts([("head", "conv2", 7, 2.0)], columns))[0] == 0
    assert tallied(old, texts([("text", "conv1", 3, 1.0)], columns))[0] == 1
    assert tallied(old, texts([("head", "conv2", 7, 2.0)], columns), learned=False)[0] == 3
    old, new = (texts([("head", layer, 1.0)], "category,layer,mean") for layer in ("a", "b"))
    assert tallied(old, new)[0] == 1  # here a layer is no part of a unit's name


# Folders


def write(folder, learned=True, number="02", **tables):
    """A notebook's tables and its record; `learned` None: as old records, which do not say."""
    folder.mkdir(exist_ok=True)
    stems = [f"{number}_{name}" for name in tables]
    for stem, frame in zip(stems, tables.values(), strict=True):
        frame.to_csv(folder / f"{stem}.csv", index=False)
    said = {} if learned is None else {"learned": learned}
    shown = [{"stem": stem, "size": [1, 1], **said} for stem in stems]
    record = {"notebook": f"{number}_units", "sections": [{"figures": shown}]}
    (folder / f"{number}_units.json").write_text(json.dumps(record))


@pytest.fixture
def both(tmp_path):
    return tmp_path / "reference", tmp_path / "now"


def check(both, *names):
    return compare(*both, names or ["02_units"])


@pytest.mark.parametrize("learned", [True, False, None])
def test_the_same_numbers_but_for_rounding_have_no_fault(both, learned):
    write(both[0], learned, a=measured())
    write(both[1], a=measured(noise=1e-5))
    assert check(both).faults == []


@pytest.mark.parametrize("learned", [True, False, None])
def test_a_mutated_estimator_is_a_fault(both, learned):
    write(both[0], learned, a=measured())
    write(both[1], a=measured(shift=3))
    assert check(both).faults
    assert check(both).tallies.loc["total", "inside"] == 0


def test_another_training_is_no_fault_if_it_is_learned(both):
    new = pd.concat([measured(shift=0.9, n=25), measured(shift=1.1)[25:]], ignore_index=True)
    write(both[0], True, a=measured())
    write(both[1], a=new)
    found = check(both)
    assert found.faults == []
    assert found.tallies.loc["total", "share"] == pytest.approx(25 / 30)
    write(both[0], False, a=measured())
    assert "must be equal" in check(both).faults[0]


def test_a_run_with_too_few_inside_is_a_fault(both):
    new = pd.concat([measured(n=21), measured(shift=2)[21:]], ignore_index=True)
    write(both[0], a=measured())
    write(both[1], a=new)
    assert check(both).faults == ["only 70% of the learned numbers lie inside"]


def test_a_verdict_turned_round_is_a_fault(both):
    old, new = measured(n=300), measured(n=300)
    old.loc[0, ["mean", "low", "high"]] = ["-1", "-1.2", "-0.8"]
    write(both[0], a=old)
    write(both[1], a=new)
    assert check(both).faults == ["1 verdicts turned round"]


def test_one_mutated_notebook_of_many_is_a_fault(both):
    for folder, shift in zip(both, (0, 3), strict=True):
        write(folder, number="02", a=measured(n=300))
        write(folder, number="03", a=measured(shift=shift))
    assert check(both, "02_units", "03_units").faults == ["only 0% of those of 03_units do"]


def test_what_is_missing_is_a_fault(both):
    write(both[0], a=measured(), b=measured())
    both[1].mkdir()
    (one,) = check(both).differences
    assert (one.file, one.reference, one.now) == ("02_units.json", "a record", "missing")
    write(both[1], a=measured(), c=measured())
    found = check(both)
    said = [(d.file, d.reference, d.now) for d in found.differences]
    assert said == [("02_b.csv", "a table", "missing"), ("02_c.csv", "missing", "a table")]
    assert found.faults == ["2 of what must be equal is not"]


def test_what_is_no_record_is_named(both):
    for folder in both:
        write(folder, a=measured())
    (both[0] / "02_units.json").write_text("[]")
    with pytest.raises(ValueError, match=r"02_units\.json is no record"):
        check(both)


def test_the_report_is_capped_for_each_file_and_ends_in_tallies_by_notebook(both):
    rows = checking.SHOWN + 5
    write(both[0], False, a=measured(n=rows))
    write(both[1], a=measured(shift=1, n=rows))
    write(both[0], number="03", a=measured(n=8))
    write(both[1], number="03", a=measured(n=8))
    found = check(both, "02_units", "03_units")
    lines = found.report().splitlines()
    assert lines[0] == "02_a.csv"
    assert lines[1].split() == ["row", "column", "reference", "now"]
    assert lines[2].split() == ["1", "mean", "1.0", str(1 + REACH)]
    assert lines[2 + checking.SHOWN].strip() == f"… and {3 * rows - checking.SHOWN} more"
    header, *tallies = (line.split() for line in lines[3 + checking.SHOWN :])
    columns = [*checking._counts(), "share"]
    assert header == ["notebook", *columns]
    assert tallies == [
        ["02_units", "150", "0", "75", "0", "0", "0", "0", "0", "0"],
        ["03_units", "0", "0", "0", "8", "0", "0", "8", "8", "0", "100%"],
        ["total", "150", "0", "75", "8", "0", "0", "8", "8", "0", "100%"],
    ]
    found.write(both[1])
    table = pd.read_csv(both[1] / "check.csv", index_col="notebook")
    assert list(table) == columns
    assert table.loc["total", "differ"] == 75
    assert table.loc["03_units", "share"] == 1
