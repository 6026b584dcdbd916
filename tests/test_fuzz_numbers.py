"""Tables, annotations and maps that are odd or broken: right or refused in words, never else."""

from collections import Counter

import pytest

from tests.fuzz import jsons, metrics, tables


@pytest.mark.parametrize("kind", [tables, jsons, metrics], ids=lambda kind: kind.__name__)
def test_whatever_is_read_is_right_or_refused(kind, tmp_path):
    found = {seed: kind.trial(seed, tmp_path) for seed in range(60)}
    assert {s: f for s, f in found.items() if f not in ("right", "refused")} == {}
    assert set(Counter(found.values())) == {"right", "refused"}


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
