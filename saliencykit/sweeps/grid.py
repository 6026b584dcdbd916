"""What a grid's file says: profiles, settings with one or several values each, and networks.

```yaml
profile: [toy, "toy encoder=alexnet weights=imagenet read=[] layers=[]"]  # what goes together
data: [toyworld, osie]       # every other setting may have several values; all are combined
trainings: 5                 # seeds
networks: [frozen, fine-tuned]
measures: [scores, units]
```
"""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from ..registry import check_name
from ..settings import DEFAULTS, check_kind, is_flat, kind, read_lines, read_row
from .cells import FINE_TUNED, FROZEN, MEASURES, NETWORKS, PRETRAINED, TASKS, Cell

PROFILE, ASKED = "profile", {"networks": NETWORKS, "measures": tuple(MEASURES)}
USUAL = {
    "networks": (PRETRAINED, FROZEN[0], FINE_TUNED[0]),
    "measures": ("scores", "map", "units"),
}
Changes = tuple[tuple[str, Any], ...]


def read_grid(path: Path) -> list[Cell]:
    """Return the cells of the grid in a file, in its order; several may be the same by name.

    Raises UnknownNameError, naming the nearest, for a key, profile, setting, data set, encoder,
    layer, network or measure; ValueError naming the file for a value of another kind, or a cell
    that cannot be asked; FileNotFoundError for data that are not here: before anything is computed.
    """
    _, content = read_lines(path)
    for key in content:
        check_name(f"name in {path}", key, [PROFILE, *ASKED, *DEFAULTS])
    if PROFILE not in content:
        raise ValueError(f"{path} must say a profile, or several: `profile: toy`")
    profiles = [read_row(row) for row in _texts(content[PROFILE], f"{path}: profile")]
    asked = {
        key: [
            check_name(f"name in {key} of {path}", name, known)
            for name in _texts(content.get(key, list(USUAL[key])), f"{path}: {key}")
        ]
        for key, known in ASKED.items()
    }
    axes = {k: _values(k, v, f"{path}: ") for k, v in content.items() if k in DEFAULTS}
    cells = []
    for profile, own in profiles:
        if both := [name for name in own if name in axes]:
            raise ValueError(
                f"{path} says {both[0]} twice: beside the profile {profile!r}, and by itself."
            )
        for values in product(*axes.values()):
            changes = _hashable(own | dict(zip(axes, values, strict=True)))
            cells += _of_study(profile, changes, asked["networks"], tuple(asked["measures"]))
    for cell in cells:
        cell.check()
    return cells


def _of_study(
    profile: str, changes: Changes, networks: Sequence[str], measures: tuple[str, ...]
) -> list[Cell]:
    study = Cell(profile, changes, PRETRAINED).study
    count = dict.fromkeys(NETWORKS, study.trainings) | {PRETRAINED: 1}
    count |= dict.fromkeys(TASKS, study.trainings_beside)
    return [
        Cell(profile, changes, network, k, measures)
        for network in networks
        for k in range(count[network])
    ]


def _texts(value: object, where: str) -> list[str]:
    """Return one text, or a list of them."""
    found = value if isinstance(value, list) else [value]
    if not found or not all(isinstance(one, str) and one for one in found):
        raise ValueError(f"{where} must be a text or a list of texts, not {value!r}")
    return found


def _values(name: str, value: object, where: str) -> list[object]:
    """Return the values that a setting is to have. One that is a list itself is a list of lists."""
    lists = kind(DEFAULTS[name]) == kind([])
    several = isinstance(value, list) and (
        not lists or (bool(value) and all(isinstance(one, list) for one in value))
    )
    found = value if several else [value]
    if not found:
        raise ValueError(f"{where}{name} has no value: [] is a list of none")
    for one in found:
        if not is_flat(one):
            raise ValueError(f"{where}{name} cannot be {one!r}, nor a list of such")
        check_kind(name, one, DEFAULTS[name], where)
    return found


def _hashable(changes: Mapping[str, Any]) -> Changes:
    return tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in changes.items())
