"""Over 500 odd and hostile inputs of all kinds, and a harness that sees whatever goes wrong."""

import os
import time

import numpy as np
import pytest
import scipy.io

from saliencykit.reading.matlab import read_mat
from tests.fuzz import __main__ as command
from tests.fuzz import harness, jsons, mat, metrics, tables

KINDS = harness.kinds()
MANY, SOME = {"pictures": 150, "maps": 150}, 60
NEVER_REFUSED = ("entries",)  # computed again


@pytest.mark.parametrize("kind", KINDS)
def test_odd_inputs_are_right_or_refused_in_words(kind):
    found = harness.run(KINDS[kind], range(MANY.get(kind, SOME)))
    assert not command.complaints({kind: found})
    seen = {told.outcome for told in found.values()}
    assert seen == ({"right"} if kind in NEVER_REFUSED else {"right", "refused"})


def trial(seed, folder):
    """A kind of which most trials go wrong, each in its way."""
    (folder / "mine").write_text("x")  # fails if there is one of another trial
    return {
        1: lambda: "wrong",
        2: lambda: "lost",
        3: lambda: 1 / 0,
        4: lambda: time.sleep(1000),
        5: lambda: os.abort(),
        6: lambda: len(bytearray(2 * harness.MEMORY)),
        7: lambda: "fine",
        8: lambda: os._exit(0),
        9: lambda: "refused",
    }.get(seed, lambda: "right")()


WANTED = {0: "right", 1: "wrong", 2: "lost", 3: "traceback", 4: "hang", 5: "crash"}
WANTED |= {6: "traceback", 7: "traceback", 8: "crash", 9: "refused", 10: "right"}


@pytest.mark.slow
def test_the_harness_sees_whatever_goes_wrong(monkeypatch, capsys):
    found = harness.run(__name__, range(11), jobs=2, limit=3.0)
    assert {seed: told.outcome for seed, told in found.items()} == WANTED
    assert "ZeroDivisionError" in found[3].text
    assert "MemoryError" in found[6].text
    assert "returned 'fine'" in found[7].text

    monkeypatch.setattr(harness, "kinds", lambda: {"planted": __name__})
    assert command.main(["11", "--limit", "3"]) == 1
    printed = capsys.readouterr().out
    head, row = (line.split() for line in printed.splitlines()[:2])
    assert dict(zip(head, row[1:], strict=True)) == dict(
        zip(("tried", *harness.OUTCOMES), ["11", "2", "1", "1", "1", "3", "1", "2"], strict=True)
    )
    assert "planted: traceback at 3, 6, 7; the first again: make fuzz N=1 SEED=3" in printed
    assert command.main(["1", "--seed", "9"]) == 0


@pytest.mark.parametrize("planted", [lambda v: v + 1, lambda v: v.T, lambda v: v[:-1]])
def test_a_wrong_reader_is_seen(tmp_path, monkeypatch, planted):
    def wrong(path, *names):
        return {k: planted(v) for k, v in read_mat(path, *names).items()}

    monkeypatch.setattr(mat, "read_mat", wrong)
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"gaze": np.arange(6.0).reshape(2, 3)})
    given = mat.Input(path, ("gaze",), {"gaze": np.arange(6.0).reshape(2, 3)}, whole=True)
    assert mat.judge(given) == "wrong"
    monkeypatch.undo()
    assert mat.judge(given) == "right"


def test_a_kind_that_cannot_be_imported_is_said():
    with pytest.raises(RuntimeError, match=r"(?s)tests\.fuzz\.none cannot be tried: .*No module"):
        harness.run("tests.fuzz.none", range(1))


def test_kinds_are_the_modules_with_a_trial():
    assert {"mat", "archives"} <= set(KINDS)
    assert not {"harness", "__main__", "__init__"} & set(KINDS)


def test_what_is_wrong_is_seen(tmp_path):
    table = next(t for s in range(99) if (t := tables.inputs(s, tmp_path)).right and "a" in t.right)
    moved = {**table.right, "a": [(x + 1, y, who) for x, y, who in table.right["a"]]}
    assert tables.judge(table._replace(right=moved), tmp_path) == "wrong"
    assert tables.judge(table._replace(right=None), tmp_path) == "wrong"
    more = {**table.right, "a": table.right["a"] * 2}
    assert tables.judge(table._replace(right=more), tmp_path) == "lost"
    (tmp_path / "fixations.csv").unlink()
    note = next(t for s in range(99) if (t := jsons.inputs(s, tmp_path)).right)
    assert jsons.judge(note._replace(right={}), tmp_path) == "wrong"
    assert jsons.judge(note._replace(content=b"{"), tmp_path) == "wrong"
    case = next(c for s in range(99) if not (c := metrics.inputs(s, tmp_path)).refused)
    assert metrics.judge(case._replace(refused=True), tmp_path) == "wrong"
    assert metrics.judge(case._replace(truth={}), tmp_path) == "traceback"
