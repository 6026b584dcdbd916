"""Odd pictures and maps by seed: none is read wrongly, lost, or ends in a traceback."""

import collections

import pytest

from tests.fuzz import maps, pictures


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [pictures, maps], ids=lambda kind: kind.__name__)
def test_none_is_wrong(kind, tmp_path):
    found = collections.defaultdict(list)
    for seed in range(150):
        folder = tmp_path / str(seed)
        folder.mkdir()
        found[kind.trial(seed, folder)].append(seed)
    assert set(found) == {"right", "refused"}, dict(found)
