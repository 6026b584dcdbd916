"""FIGRIM: scenes of 21 classes, looked at by people who were to remember them.

Bylinskii, Isola, Bainbridge, Torralba, Oliva, *Intrinsic and extrinsic effects on image
memorability*, Vision Research 2015.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..reading.matlab import entries, member, points, read_mat, text
from ..registry import check_name, one_spelling
from .base import DATASETS, file_digests
from .files import FileDataset, Source, by_name, existing_root, list_images, missing
from .types import Fixations, only_gaze

RECORDED = (1000, 1000)
"""(height, width) that fixations refer to."""
KINDS = {
    "Targets": ("allImages_release.mat", "targetData"),
    "Fillers": ("allImages_fillers.mat", "fillerData"),
}
"""Folder of images -> its file of gaze, and the repository's folder that has it."""
WHEN = ("enc", "rec", "rec2")
"""A target was shown up to three times: to be encoded, recognised, and recognised again."""
HIGHWAY, ROOM, MOUNTAIN = (f"Targets/{s}/sun_" for s in ("highway", "conference_room", "mountain"))
SAME = {
    f"{HIGHWAY}bnjxztsvnercygxn": f"{HIGHWAY}bdwttbytrbnqyqsk",
    f"{ROOM}awjucfvtjllxrtkv": f"{ROOM}abpqxslcljhrwmck",
    f"{HIGHWAY}byoonkqxghujgvkh": f"{HIGHWAY}bjitfqyiepkgfkks",
    f"{HIGHWAY}bwrlzawyknljbhcb": f"{HIGHWAY}auwrraazjwdcjcjg",
    f"{MOUNTAIN}boskvwzgsvsyuhll": f"{MOUNTAIN}bgdykfpjgudqpzlu",
    f"{ROOM}bzagimnxconenicn": f"{ROOM}bsccnfecifucnavf",
}
"""Pictures that are in the data twice, as the authors say: they go into one split."""


@DATASETS.register("figrim")
class Figrim(FileDataset):
    """FIGRIM from its official layout: 630 targets and about 2,000 fillers, 1000×1000 pixels.

    `root` holds `Targets/<scene>/*.jpg` with `allImages_release.mat`, and `Fillers/<scene>/*.jpg`
    with `allImages_fillers.mat`, or one of the two pairs; a .mat may lie in `targetData/` or
    `fillerData/`, as in the official repository. A stimulus is named "Targets/<scene>/sun_…"; the
    folder is its scene class, one of 21. Observers have one number in all images of a file; those
    who did not see an image, or not at that showing, or whose gaze was lost, have no fixations on
    it. `when` chooses the showing: "enc", the first, as in the authors' own maps; "rec" and "rec2"
    are the repetitions, which fillers do not have. No durations; the LabelMe annotation in the
    .mat, whose names are free, is not read. Split by a hash of the name (70 % train, 15 % val, 15 %
    test), pictures that are there twice alike.

    Positions count pixels from 1: the authors round them to Matlab's indices. Here x is theirs less
    a half, so that ⌊x⌋ is that pixel. Fixations follow images that were resized. Raises
    UnknownNameError for another `when`.
    """

    name = "figrim"
    categories = ()
    own_split = False
    source = Source(
        page="http://figrim.mit.edu/index_eyetracking.html",
        licence="none stated; pictures from the SUN database",
        citation=(
            "Bylinskii, Isola, Bainbridge, Torralba, Oliva: Intrinsic and extrinsic effects on "
            "image memorability. Vision Research 116:165–178, 2015"
        ),
        steps=(
            "download Targets.zip and Fillers.zip there, and allImages_release.mat and\n"
            "allImages_fillers.mat from https://github.com/cvzoya/figrim (targetData/ and\n"
            "fillerData/), put all into {root} and run the same command again: it unpacks the\n"
            "zips, so that there are\n"
            "  {root}/Targets/airport_terminal/*.jpg …\n  {root}/allImages_release.mat\n"
            "and the same of Fillers"
        ),
        by_hand={"Targets.zip": ".", "Fillers.zip": "."},
    )

    def __init__(self, root: str | os.PathLike | None = None, when: str = "enc"):
        self.folder, self.when = existing_root("figrim", root), check_name("showing", when, WHEN)
        found = [p for kind in KINDS for p in _images(self.folder / kind)]
        super().__init__(by_name(found, self.folder))
        if not self.names:
            raise missing("figrim", "Targets/<scene>/*.jpg", self.folder)
        kinds = dict.fromkeys(name.partition("/")[0] for name in self.names)
        self.gaze_files = {kind: _gaze_file(kind, self.folder) for kind in kinds}
        self.scenes = tuple(sorted({p.parent.name for p in found}))

    def fixations(self, i: int) -> Fixations:
        """Return the fixations on stimulus `i`, in its pixels; none if nobody's are recorded."""
        kind, _, stem = self.names[i].split("/")
        path = self.gaze_files[kind]
        gaze = self.once(path, lambda: read_gaze(path, self.when))
        return self.fitted(i, gaze.get(stem, Fixations.of([], [])), RECORDED)

    def scene(self, i: int) -> str:
        """Return the scene class of stimulus `i`: the folder it lies in."""
        return self.path(i).parent.name

    def split_of(self, name: str) -> str:
        """Return the split by a hash of the name, of twins by that of one of them."""
        return super().split_of(SAME.get(name, name))

    def contents(self) -> object:
        """Return what identifies images and fixations."""
        return [super().contents(), file_digests(list(self.gaze_files.values())), self.when]


def read_gaze(path: Path, when: str) -> dict[str, Fixations]:
    """Return the fixations of showing `when` in FIGRIM's .mat, by image name without suffix."""
    images = entries(read_mat(path, "allImages")["allImages"])
    if not images:
        raise ValueError(f"{path}: variable 'allImages' is no struct array.")
    found = {}
    for k, image in enumerate(images, 1):
        file = text(image, "filename", f"{path}, allImages({k})")
        where = f"{path}, image {file}"
        if (name := one_spelling(Path(file).stem)) in found:
            raise ValueError(f"{path}, allImages({k}): image {file} is there twice.")
        people = entries(member(image, "userdata", where))
        trials = [_trial(p, when, f"{where}, observer {j}") for j, p in enumerate(people)]
        found[name] = Fixations.of_trials(trials)
    return only_gaze(found, str(path))


def _trial(person: Any, when: str, where: str) -> np.ndarray:
    """x, y (N, 2) of one observer on one image, from the image's corner."""
    shown = np.asarray(member(person, "trial", where)).size > 0
    looks = entries(member(person, "fixations", where)) if shown else []
    seen = [one for one in looks if when in _showings(one, where)]
    found = [points(member(one, when, where), where) - 0.5 for one in seen]
    return np.concatenate([np.zeros((0, 2)), *found])


def _showings(look: Any, where: str) -> list[str]:
    """Which showings an observer's fixations are of: not all have been at each.

    Raises ValueError for fixations of none that is known.
    """
    found = [when for when in WHEN if isinstance(look, dict) and when in look]
    if not found:
        member(look, WHEN[0], where)  # which says what is there
    return found


def _images(folder: Path) -> list[Path]:
    scenes = sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    return [p for scene in scenes for p in list_images(scene, (".jpg",))]


def _gaze_file(kind: str, folder: Path) -> Path:
    file, inside = KINDS[kind]
    for path in (folder / file, folder / inside / file):
        if path.is_file():
            return path
    raise missing("figrim", file, folder)
