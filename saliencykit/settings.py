"""One place for a setting: what can be set, its default, and the profiles that set it otherwise.

Imports no room, so that the command line can tell a wrong name at once.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import yaml

from .paths import NOTEBOOKS, PROFILES, regular
from .registry import check_name


def _setting(default: object, meaning: str) -> Any:
    """A field with what it means; lists are made anew for each study."""
    about = {"meaning": meaning}
    if isinstance(default, tuple):
        return field(default_factory=lambda: list(default), metadata=about)
    return field(default=default, metadata=about)


@dataclass
class Settings:
    """All that a profile can set for a study; a profile says only what differs from this."""

    data: str = _setting("toyworld", "annotated images: any of saliencykit.datasets.names()")
    train_data: str | None = _setting(None, "images to train on, if they are others")
    images: int = _setting(0, "use so many images of each (0: all)")
    encoder: str = _setting("toyvgg", "or any torchvision classifier")
    weights: str | None = _setting("toyworld", '"imagenet" for torchvision\'s, null, or a path')
    size: Sequence[int] = _setting((240, 320), "network input: height, width")
    read: Sequence[str] = _setting((), "layers that the readout reads ([]: the deepest)")
    unit_layer: str = _setting("", 'the layer whose units the findings are about ("": the deepest)')
    layers: Sequence[str] = _setting((), "layers to dissect beside it ([]: all)")
    trainings: int = _setting(5, "of each network that learns saliency, from different seeds")
    trainings_beside: int = _setting(3, "of each network that learns something else")
    epochs: int = _setting(8, "of fine-tuning")
    frozen_epochs: int = _setting(40, "of the readout alone")
    batch: int = _setting(8, "images a step while fine-tuning")
    lr_encoder: float = _setting(1e-3, "peak learning rate of the encoder")
    permutations: int = _setting(1000, "shuffles behind the dissection's p-values")
    classical: Sequence[str] = _setting((), "classical models to compare with ([]: all)")
    array_features: Sequence[str] = _setting((), "kinds of search arrays ([]: all)")
    array_repeats: int = _setting(1, "search arrays of each condition")
    array_size: Sequence[int] = _setting((480, 640), "of search arrays: height, width")
    array_share: float = _setting(0.25, "search arrays a training image, where some are mixed in")
    contrast: str = _setting("image_signature", "classical model whose map a readout may see")
    seed: int = _setting(0, "of whatever is drawn")
    training_seed: int = _setting(0, "added to the seeds of trainings: others of the same study")

    @classmethod
    def names(cls) -> list[str]:
        """Return what can be set."""
        return [f.name for f in fields(Settings)]

    @classmethod
    def meanings(cls) -> dict[str, str]:
        """Return what each setting means."""
        return {f.name: f.metadata["meaning"] for f in fields(Settings)}

    def values(self) -> dict[str, Any]:
        """Return the settings as plain values: text, numbers, lists of them."""
        found = {name: getattr(self, name) for name in self.names()}
        return {k: list(v) if isinstance(v, list | tuple) else v for k, v in found.items()}


DEFAULTS = Settings().values()
NULL = frozenset(f.name for f in fields(Settings) if NoneType in get_args(f.type))
"""Settings that may be null."""


@dataclass(frozen=True)
class Profile:
    """A named set of settings.

    `settings`: for every study; `asked`: for notebooks that ask for them in their parameters cell
    (doses, thresholds …); `notebooks`: those to run if none is named (all, if empty);
    `path`: its file.
    """

    name: str
    description: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)
    notebooks: tuple[str, ...] = ()
    path: Path = field(default=Path(), compare=False)


def profile_files(folder: Path = NOTEBOOKS) -> dict[str, Path]:
    """Return the files of profiles by name: `folder`/profiles/*.yaml, and one's own.

    One's own, also .yml, lie in the folder $`PROFILES`. Raises ValueError naming the file if one is
    called as another is, FileNotFoundError if there is no such folder.
    """
    ours = {path.stem: path for path in (folder / "profiles").glob("*.yaml")}
    if own := os.environ.get(PROFILES):
        if not Path(own).is_dir():
            raise FileNotFoundError(f"{PROFILES} is {own}, which is no folder: make or unset it")
        for path in [*Path(own).glob("*.yaml"), *Path(own).glob("*.yml")]:
            if not ours.setdefault(path.stem, path).samefile(path):
                raise ValueError(f"{path}: there is a profile {path.stem!r} already; rename yours")
    return dict(sorted(ours.items()))


def profile_names(folder: Path = NOTEBOOKS) -> list[str]:
    """Return the names of the profiles. Raises as `profile_files`."""
    return list(profile_files(folder))


def read_profile(name: str, folder: Path = NOTEBOOKS) -> Profile:
    """Read a profile, lines of `setting: value` under a comment.

    Raises UnknownNameError naming the nearest profile; ValueError naming the file and what is wrong
    with it; and as `profile_files`.
    """
    files = profile_files(folder)
    path = files[check_name("profile", name, files)]
    text, content = read_lines(path)
    notebooks = content.pop("notebooks", None) or []
    if not (isinstance(notebooks, list) and all(isinstance(n, str) for n in notebooks)):
        raise ValueError(f'{path}: `notebooks` must be a list of texts: ["00", "01"]')
    for key, value in content.items():
        if not is_flat(value):
            raise ValueError(f"{path}: {key} must be a text, number, true/false or list of these")
    settings = {k: v for k, v in content.items() if k in DEFAULTS}
    for key, value in settings.items():
        check_kind(key, value, DEFAULTS[key], f"{path}: ")
    asked = {k: v for k, v in content.items() if k not in DEFAULTS}
    return Profile(name, _first_comment(text), settings, asked, tuple(notebooks), path)


def read_lines(path: Path) -> tuple[str, dict[str, Any]]:
    """Return a YAML file of lines `name: value`: its text, and values by name.

    Raises ValueError naming the file and what is wrong with it, FileNotFoundError if it is none.
    """
    try:
        text = regular(path).read_text(encoding="utf-8")
        content = yaml.safe_load(text) or {}
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}. Save it as UTF-8.") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must be lines of `setting: value`")
    return text, content


def _first_comment(text: str) -> str:
    return next((ln.lstrip("# ").rstrip() for ln in text.splitlines() if ln.startswith("#")), "")


def is_flat(value: object) -> bool:
    """Tell whether a value is a text, number, true or false, null, or a list of these."""
    single = (str, int, float, bool, type(None))
    return all(isinstance(v, single) for v in (value if isinstance(value, list) else [value]))


def check_changes(changes: Mapping[str, object]) -> None:
    """Raise UnknownNameError for what is no setting, ValueError for a value of another kind."""
    for name, value in changes.items():
        check_name("setting", name, DEFAULTS)
        check_kind(name, value, DEFAULTS[name])


KINDS = {bool: "true or false", str: "a text", list: "a list, such as '[a, b]'"}


def kind(value: object) -> str:
    """Return what a value is called: "a text", "a number" …"""
    return KINDS.get(list if isinstance(value, tuple) else type(value), "a number")


def check_kind(name: str, value: object, default: object, where: str = "") -> None:
    """Raise ValueError if `value` is of another kind than `default`.

    A default of null fits all; a value of null only the settings that may be null (`NULL`).
    """
    if default is None or (name in NULL if value is None else kind(value) == kind(default)):
        return
    given = "null" if value is None else repr(value)
    raise ValueError(
        f"{where}{name!r} cannot be {given}: its default is {default!r}, so give {kind(default)}."
    )


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
        except (yaml.YAMLError, RecursionError) as error:
            raise ValueError(f"{text[:99]!r} is not a list: {error}") from error
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def read_row(text: str) -> tuple[str, dict[str, Any]]:
    """Return profile and changes of a text "PROFILE setting=value …", values typed as for `-p`.

    How a list of several studies writes one. Raises UnknownNameError for a setting, ValueError for
    what is no setting=value, or a value of another kind.
    """
    name, *words = text.split() or [""]
    changes = {}
    for word in words:
        setting, sign, value = word.partition("=")
        if not sign:
            raise ValueError(f"{text!r}: {word!r} is no setting=value (without spaces)")
        if setting in changes:
            raise ValueError(f"{text!r} says {setting} twice")
        changes[setting] = typed(value, DEFAULTS.get(setting))
    check_changes(changes)
    return name, changes
