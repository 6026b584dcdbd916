"""Which column of an eye tracker's table is what: as the user says, else by its usual name."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...registry import check_name
from .screen import Units

USUAL = {
    "image": (
        *("image", "imagename", "imagefile", "stimulus", "stimulusname", "picture", "filename"),
        *("medianame", "presentedmedianame", "presentedstimulusname"),  # Tobii
    ),
    "x": (
        *("x", "fixx", "fixationx", "xpx", "xpixel", "xdeg", "fixationxdeg"),
        "currentfixx",  # EyeLink Data Viewer
        *("fixationpointx", "fixationpointxmcspx", "fixationpointxmcsnorm"),  # Tobii
        *("fixationpointxdacspx", "fixationpointxadcspx", "mappedfixationx"),
        "fixationpositionxpx",  # SMI BeGaze
        "fpogx",  # Gazepoint
    ),
    "observer": (
        *("observer", "observerid", "subject", "subjectid", "participant", "participantid"),
        "recordingsessionlabel",
        "participantname",
    ),
    "order": (
        *("order", "fixationorder", "fixationnumber", "fixindex", "index"),
        "currentfixindex",
        *("fixationindex", "eyemovementtypeindex"),
        "fpogid",
    ),
    "duration": (
        *("duration", "fixationduration", "fixduration", "durationms", "durations"),
        "currentfixduration",
        *("gazeeventduration", "gazeeventdurationms", "eyemovementeventduration"),
        "eyemovementeventdurationms",
        "eventdurationms",
        "fpogd",
    ),
    "trial": (
        *("trial", "trialindex", "trialnumber", "trialid", "triallabel"),  # EyeLink has some
    ),
    "eye": ("eye", "eyeused", "eyelr", "eyetracked"),
    "kind": ("gazeeventtype", "eyemovementtype", "category", "eventtype"),
}
"""Names of columns, without capitals, blanks and signs, by what they hold. y is called as x is."""

UNITS = {
    "currentfixx": Units.SCREEN,
    "fixationpointx": Units.SCREEN,
    "fixationpointxdacspx": Units.SCREEN,
    "fixationpointxadcspx": Units.SCREEN,
    "fixationpointxmcspx": Units.IMAGE,  # the media's coordinate system
    "mappedfixationx": Units.IMAGE,
    "fixationpointxmcsnorm": Units.OF_IMAGE,
    "fixationpositionxpx": Units.SCREEN,
    "fpogx": Units.OF_SCREEN,
    "xdeg": Units.DEGREES,
    "fixationxdeg": Units.DEGREES,
}
"""What the x of a usual name is measured in, where the name tells."""

ONE_DOES = ("trial",)
"""Roles that several columns of a table may tell alike: the first usual one counts."""
MISSED = {
    "observer": " If there is one table a person, named after that, say --observer-from-file."
}
NEEDED = ("image", "x", "y", "observer")
OPTIONS = {role: f"--{role}" for role in (*USUAL, "y")} | {
    "image": "--image-column",
    "eye": "--eye-column",
}


@dataclass(frozen=True)
class Columns:
    """The column of each role ("y", and those of `USUAL`).

    `guessed` are the roles whose column nobody named.
    """

    named: Mapping[str, str]
    guessed: Sequence[str]

    @property
    def units(self) -> Units | None:
        """What x is measured in, as far as its column's name tells."""
        return UNITS.get(_key(self.named["x"]))


def find_columns(
    path: Path,
    header: Sequence[str],
    given: Mapping[str, str | None],
    known: Collection[str] = (),
) -> Columns:
    """Return which column of the table at `path` is what: those `given`, the others by their names.

    None for the roles that are `known` otherwise. Raises UnknownNameError, naming the nearest, for
    a column that is not there; ValueError if a needed one has no usual name, several columns have
    one, or one is to be two things.
    """
    named: dict[str, str] = {}
    guessed = []
    order = ("image", "x", "y", *(r for r in USUAL if r not in ("image", "x")))
    for role in (r for r in order if r not in known):
        if wanted := given.get(role):
            named[role] = check_name(f"column in {path} for {OPTIONS[role]}", wanted, header)
        elif found := _guess(role, path, header, named):
            named[role] = found
            guessed.append(role)
    for role, name in named.items():
        if twin := [other for other in named if named[other] == name and other != role]:
            raise ValueError(
                f"{path}: the column {name!r} cannot be both the {role} and the {twin[0]}; say "
                f"which with {OPTIONS[role]} and {OPTIONS[twin[0]]}."
            )
    return Columns(named, guessed)


def _guess(role: str, path: Path, header: Sequence[str], named: Mapping[str, str]) -> str | None:
    usual = _mates(named["x"]) if role == "y" else USUAL[role]
    found = [name for name in header if _key(name) in usual]
    if role in ONE_DOES:
        found = sorted(found, key=lambda name: USUAL[role].index(_key(name)))[:1]
    if len(found) > 1:
        raise ValueError(
            f"{path}: {' and '.join(map(repr, found))} could each be the {role}; say which with "
            f"{OPTIONS[role]}."
        )
    if not found and role in NEEDED:
        raise ValueError(
            f"{path}: no column is called as the {role} usually is; name it with {OPTIONS[role]}."
            f"{MISSED.get(role, '')} Columns in it: {', '.join(header)}."
        )
    return found[0] if found else None


def _key(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _mates(x: str) -> set[str]:
    """What the y may be called that belongs to a column `x`: an x in it becomes a y."""
    key = _key(x)
    return {f"{key[:i]}y{key[i + 1 :]}" for i, letter in enumerate(key) if letter == "x"}
