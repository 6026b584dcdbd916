"""Which notebooks to run, and with which parameters: names, changes, and checks on both.

A notebook declares its parameters in its cell tagged `parameters`: `profile`, whose settings its
study reads; `changes` to these; and what only it asks. `-p name value` is a change if `name` is a
setting, else the parameter of that name.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..paths import NOTEBOOKS, told_path
from ..reading.jsons import read_json
from ..registry import check_name
from ..settings import DEFAULTS, Profile, check_changes, check_kind, typed

NUMBERED = "[0-9][0-9]_*.ipynb"
PROFILE, CHANGES = GIVEN = "profile", "changes"
"""Parameters that the runner sets itself, where a notebook declares them."""


def find_notebooks(names: Sequence[str] = (), folder: Path = NOTEBOOKS) -> list[Path]:
    """Return the notebooks called `names`, in that order; all numbered ones if none is named.

    A name is a number ("2" or "02"), a stem or its unique beginning, or a path. Raises
    UnknownNameError listing the notebooks, and ValueError if a beginning fits several.
    """
    known = {p.stem: p for p in sorted(folder.glob(NUMBERED))}
    if not names and not known:
        raise FileNotFoundError(f"{folder} holds no notebooks named like 00_data.ipynb")
    chosen = [_find(name, known) for name in names] if names else list(known.values())
    return list(dict.fromkeys(chosen))


def _find(name: str, known: Mapping[str, Path]) -> Path:
    if Path(name).suffix == ".ipynb" and Path(name).is_file():
        return Path(name).resolve()
    stem = Path(name).stem if name.endswith(".ipynb") else name
    if stem in known:
        return known[stem]
    start = f"{int(stem):02d}_" if re.fullmatch(r"[0-9]{1,2}", stem) else stem
    fits = [s for s in known if stem and s.startswith(start)]
    if len(fits) > 1:
        raise ValueError(f"{name!r} fits several notebooks: {', '.join(fits)}. Name one of them.")
    return known[fits[0] if fits else check_name("notebook", stem, known)]


def declared(notebook: Path, tag: str = "parameters") -> dict[str, Any]:
    """Return {parameter: default} of a notebook; a default that is no plain literal becomes None.

    Those assigned in its cell with `tag` (in an executed copy, papermill's own cell has the tag
    `injected-parameters`), read without the two seconds that it takes to import papermill. Raises
    ValueError, naming the file, if it is not a notebook.
    """
    tagged = [c for c in read_cells(notebook) if tag in c["metadata"].get("tags", [])]
    try:
        body = ast.parse("".join(tagged[0]["source"])).body if tagged else []
    except SyntaxError as error:
        raise ValueError(f"{notebook}: its cell of parameters is not Python: {error}") from error
    found = {}
    for line in body:
        if isinstance(line, ast.Assign | ast.AnnAssign):
            targets = line.targets if isinstance(line, ast.Assign) else [line.target]
            found |= {t.id: _literal(line.value) for t in targets if isinstance(t, ast.Name)}
    return found


def read_cells(notebook: Path) -> list[dict[str, Any]]:
    """Return the cells of a notebook file. Raises ValueError, naming it, if it is not one."""
    try:
        cells = read_json(notebook)["cells"]
        return [{"metadata": {}, "source": "", **cell} for cell in cells]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{notebook} cannot be read as a notebook (version 4): {error}") from error


def _literal(value: ast.expr | None) -> object:
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError):
        return None


def assign(
    notebooks: Sequence[Path],
    profile: Profile,
    overrides: Mapping[str, str] = {},
    folder: Path = NOTEBOOKS,
) -> list[dict[str, Any]]:
    """Return the parameters of each of `notebooks`: the profile's, overridden by typed texts.

    A text that names a file or folder is written out in full (`told_path`). Raises
    UnknownNameError, naming the nearest, for what a profile asks and no notebook of `folder`
    declares, and for an override that is neither a setting nor declared by any of `notebooks`;
    ValueError for a value of another kind than the default.
    """
    chosen = [declared(n) for n in notebooks]
    others = [declared(p) for p in folder.glob(NUMBERED) if p not in notebooks]
    for name in profile.asked:
        check_name(f"name in {profile.path}", name, [*DEFAULTS, *_names([*chosen, *others])])
    own = _names(chosen)
    settings = DEFAULTS if any(CHANGES in defaults for defaults in chosen) else {}
    for name in overrides:
        if name in GIVEN:
            raise ValueError(f"{name!r} is no name for -p: say --profile osie, or -p epochs 2")
        check_name("setting, or parameter of these notebooks,", name, [*settings, *own])
    given = {name: told_path(text) for name, text in overrides.items()}
    changes = {k: typed(v, settings[k]) for k, v in given.items() if k in settings}
    check_changes(changes)
    typed_in = {k: v for k, v in given.items() if k not in settings}
    return [_own(defaults, profile, changes, typed_in) for defaults in chosen]


def _names(declarations: Sequence[Mapping[str, Any]]) -> list[str]:
    """What notebooks declare, but for what the runner sets."""
    return sorted({name for declaration in declarations for name in declaration} - set(GIVEN))


def _own(
    defaults: Mapping[str, Any],
    profile: Profile,
    changes: Mapping[str, Any],
    overrides: Mapping[str, str],
) -> dict[str, Any]:
    """What of all this goes to the notebook with these `defaults`."""
    values = {k: v for k, v in profile.asked.items() if k in defaults}
    values |= {k: typed(v, defaults[k]) for k, v in overrides.items() if k in defaults}
    for name, value in values.items():
        check_kind(name, value, defaults[name])
    given = {PROFILE: profile.name}
    if changes:
        given[CHANGES] = {**(defaults.get(CHANGES) or {}), **changes}
    return values | {name: value for name, value in given.items() if name in defaults}
