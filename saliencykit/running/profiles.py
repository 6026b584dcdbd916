"""Which notebooks to run, and with which parameters: names, profiles, and checks on both.

A profile is a YAML file of papermill's `-f` format: parameter names with flat values. It serves all
notebooks, so each gets the parameters that it declares (in its cell tagged `parameters`), and a
name that none declares is an error. Two keys are ours: `check`, tolerances of `figures --check`,
and `notebooks`, those to run if none is named (all, if the profile does not say).
"""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..paths import NOTEBOOKS
from ..registry import check_name
from .checking import Tolerances

NUMBERED = "[0-9][0-9]_*.ipynb"
GIVEN = "profile"
"""The parameter that the runner sets itself: figures go to figures/<profile>/."""


@dataclass(frozen=True)
class Profile:
    """A named set of parameters, tolerances {file stem: {column: (rtol, atol)}}, and notebooks."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    tolerances: Tolerances = field(default_factory=dict)
    notebooks: tuple[str, ...] = ()


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


def profile_names(folder: Path = NOTEBOOKS) -> dict[str, str]:
    """Return {profile: the first comment line of its file} of `folder`/profiles."""
    return {p.stem: _first_comment(p) for p in sorted((folder / "profiles").glob("*.yaml"))}


def _first_comment(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((ln.lstrip("# ").rstrip() for ln in lines if ln.startswith("#")), "")


def read_profile(name: str, folder: Path = NOTEBOOKS) -> Profile:
    """Read `folder`/profiles/`name`.yaml.

    Raises UnknownNameError naming the nearest profile, and ValueError naming the file and what is
    wrong with it.
    """
    check_name("profile", name, profile_names(folder))
    path = folder / "profiles" / f"{name}.yaml"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must be lines of `parameter: value`")
    tolerances = _tolerances(path, content.pop("check", None) or {})
    notebooks = content.pop("notebooks", None) or []
    if not (isinstance(notebooks, list) and all(isinstance(n, str) for n in notebooks)):
        raise ValueError(f'{path}: `notebooks` must be a list of texts: ["00", "01"]')
    for key, value in content.items():
        if not _flat(value):
            raise ValueError(f"{path}: {key} must be a text, number, true/false or list of these")
    return Profile(name, content, tolerances, tuple(notebooks))


def _flat(value: object) -> bool:
    single = (str, int, float, bool, type(None))
    return all(isinstance(v, single) for v in (value if isinstance(value, list) else [value]))


def _tolerances(path: Path, check: object) -> Tolerances:
    try:
        return {
            stem: {column: (float(rtol), float(atol)) for column, (rtol, atol) in columns.items()}
            for stem, columns in check.items()
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: `check` must read {{NN_name: {{column: [rtol, atol]}}}}"
        ) from error


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
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
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

    Raises UnknownNameError for a profile parameter that no notebook of `folder` declares and for an
    override that none of `notebooks` declares; ValueError for a value of another kind than the
    notebook's default.
    """
    chosen = [declared(n) for n in notebooks]
    others = [declared(p) for p in folder.glob(NUMBERED) if p not in notebooks]
    everywhere = _names([*chosen, *others]) - {GIVEN}
    for name in profile.parameters:
        check_name(f"parameter (profile {profile.name!r})", name, sorted(everywhere))
    if GIVEN in overrides:
        raise ValueError("`profile` is set with --profile, not with -p")
    for name in overrides:
        check_name("parameter of these notebooks", name, sorted(_names(chosen) - {GIVEN}))
    return [_own(defaults, profile, overrides) for defaults in chosen]


def _names(declarations: Sequence[Mapping[str, Any]]) -> set[str]:
    return {name for declaration in declarations for name in declaration}


def _own(
    defaults: Mapping[str, Any], profile: Profile, overrides: Mapping[str, str]
) -> dict[str, Any]:
    """What of profile and overrides goes to the notebook with these `defaults`."""
    values = {k: v for k, v in profile.parameters.items() if k in defaults}
    values |= {k: typed(v, defaults[k]) for k, v in overrides.items() if k in defaults}
    for name, value in values.items():
        if not _same_kind(value, default := defaults[name]):
            raise ValueError(
                f"Parameter {name!r} cannot be {value!r}: its default is {default!r}, so give "
                f"{_kind(default)}."
            )
    return values | ({GIVEN: profile.name} if GIVEN in defaults else {})


def typed(text: str, default: object = None) -> object:
    """Value of a parameter typed on the command line, by papermill's rules and those of YAML lists.

    >>> typed("3"), typed("1e-3"), typed("True"), typed("[a, 2]"), typed("vgg16")
    (3, 0.001, True, ['a', 2], 'vgg16')

    Where the notebook's `default` is a text, "2020" stays a text.
    """
    words = {"True": True, "true": True, "False": False, "false": False}
    words |= {"None": None, "null": None}
    if text in words and not (isinstance(default, str) and words[text] is not None):
        return words[text]
    if isinstance(default, str):
        return text
    if text.startswith("["):
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(f"{text!r} is not a list: {error}") from error
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


_KINDS = {bool: "true or false", str: "a text", list: "a list, such as '[a, b]'"}


def _kind(default: object) -> str:
    return _KINDS.get(type(default), "a number")


def _same_kind(value: object, default: object) -> bool:
    if value is None or default is None:
        return True
    return _kind(value) == _kind(default)
