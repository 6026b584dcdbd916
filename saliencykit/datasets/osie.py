"""OSIE: 700 photographs, the eye fixations of 15 observers, annotated regions and scene classes.

Xu, Jiang, Wang, Kankanhalli, Zhao, *Predicting human gaze beyond pixels*, Journal of Vision 2014.
"""

import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..cache import digest
from ..paths import ANNOTATIONS
from ..reading.matlab import entries, member, numbers, read_mat, text
from ..registry import one_spelling
from .annotated import AnnotatedDataset, Regions, Scenes, read_regions, read_scenes
from .base import DATASETS, file_digests
from .files import Source, by_name, existing_root, list_images, missing
from .types import Fixations, only_gaze

LAST = {"train": 1400, "val": 1500, "test": 1700}
"""Last image id of each split; ids begin at 1001."""
FIELDS = ("fix_x", "fix_y", "fix_duration")
"""What `fixations.mat` says of each observer's fixations, in sequence."""


class NusDataset(AnnotatedDataset):
    """Images and fixations laid out as the NUS VIP lab publishes OSIE and Crowd.

    `root` holds `stimuli/<id>.jpg` and `eye/fixations.mat`, or `data/` with them, as the official
    repositories have it. Of the images named by `ids`, those on disk make the data set. Fixations
    and polygons follow images that were resized from `recorded` (height, width); an image of
    another shape is an error. `called` is the name that errors give the data set.
    """

    own_split = False
    recorded: tuple[int, int]

    def __init__(
        self,
        called: str,
        root: str | os.PathLike | None,
        ids: Sequence[str],
        regions: Regions,
        scenes: Scenes,
    ):
        self.folder = official_folder(called, root)
        self.gaze_file = self.folder / "eye" / "fixations.mat"
        if not self.gaze_file.is_file():
            raise missing(called, "eye/fixations.mat", self.folder)
        found = by_name(list_images(self.folder / "stimuli"))
        files = {name: found[name] for name in ids if name in found}
        if not files:
            raise missing(called, f"stimuli/{ids[0]}.jpg …", self.folder)
        super().__init__(files, regions, scenes)

    def fixations(self, i: int) -> Fixations:
        """Return the fixations of observers 0, 1, … on stimulus `i`, in its pixels."""
        gaze = self.once("gaze", lambda: read_gaze(self.gaze_file))
        return self.fitted(i, gaze.get(self.names[i], Fixations.of([], [])), self.recorded)

    def contents(self) -> object:
        """Return what identifies images and fixations."""
        return [super().contents(), file_digests([self.gaze_file])]


@DATASETS.register("osie")
class Osie(NusDataset):
    """OSIE from its official layout, regions and scenes from the annotation in this package.

    See `NusDataset` for the layout. Ids 1001–1400 train, 1401–1500 val, 1501–1700 test: our choice.
    Fixations and polygons refer to 800×600 pixels.
    """

    name = "osie"
    around_gaze = True
    recorded = (600, 800)
    source = Source(
        page="https://github.com/NUS-VIP/predicting-human-gaze-beyond-pixels",
        licence="MIT licence",
        citation=(
            "Xu, Jiang, Wang, Kankanhalli, Zhao: Predicting human gaze beyond pixels. Journal of "
            "Vision 14(1):28, 2014"
        ),
        # The repository publishes no archive with a fixed checksum; git verifies what it clones.
        steps=(
            "git clone https://github.com/NUS-VIP/predicting-human-gaze-beyond-pixels {root}\n"
            "or copy its folders data/stimuli and data/eye, so that there are\n"
            "  {root}/stimuli/1001.jpg … 1700.jpg\n  {root}/eye/fixations.mat"
        ),
    )

    def __init__(self, root: str | os.PathLike | None = None):
        ids = [str(k) for k in range(1001, LAST["test"] + 1)]
        super().__init__("osie", root, ids, *annotation())

    def split_of(self, name: str) -> str:
        """Return the split of the image by its id."""
        return next(split for split, last in LAST.items() if int(name) <= last)

    def contents(self) -> object:
        """Return what identifies images, fixations and annotation."""
        annotation = [f.read_text("utf-8") for f in sorted(ANNOTATIONS.glob("osie_*.json"))]
        return [super().contents(), digest(annotation)]


@cache
def annotation() -> tuple[Regions, Scenes]:
    """Return the regions and scene classes that come with this package."""
    regions, scenes = (ANNOTATIONS / f"osie_{part}.json" for part in ("regions", "scenes"))
    return read_regions(regions), read_scenes(scenes)


def read_gaze(path: Path) -> dict[str, Fixations]:
    """Return the fixations in OSIE's and Crowd's `fixations.mat` by image name, in its pixels.

    `fix_x`, `fix_y` are taken as they stand, as positions with the origin at the image's corner.
    Evidence for OSIE, from this package's annotation, whose makers say how they did it: the density
    of ⌊x⌋, ⌊y⌋ peaks at the stated pixel in 187 of 188 regions (every tenth image); with x − 1,
    y − 1, as if counted from one, in none of them. So positions and regions fit together. The
    values alone (multiples of 0.1 from 1.2 to 799.2 across, 1.2 to 597.5 down) would allow both.
    Polygons run through pixel indices (from −0.5 to 799.5): of all regions' stated fixation counts,
    ⌊x⌋, ⌊y⌋ inside the polygon meets 92 %, x, y themselves 86 %. That half pixel is left as it is.
    For Crowd, see `crowd.read_labels`; its values run from 1.0 to 1023.9 across (13 of 63,301 of
    them at 1023.0 or more, none at 1024) and from 2.4 to 768.0 down.
    `fix_duration` is in milliseconds (OSIE's 69,876 from 20 to 1975, their median 191; Crowd's
    from 21 to 3495, 206), and each observer's fixations stand in the order in which they were made.
    """
    found: dict[str, Fixations] = {}
    for name, image, where in structs(path, "fixations"):
        found[name] = _all_observers(entries(member(image, "subjects", where)), where)
    return only_gaze(found, str(path))


def structs(path: Path, variable: str) -> Iterator[tuple[str, Any, str]]:
    """Iterate over a .mat file's cell of structs of images: name, struct, and where it stands.

    The name is that in field `img`, without suffix. Raises as `read_mat` does, and ValueError, also
    for an image that is there twice.
    """
    images = entries(read_mat(path, variable)[variable])
    if not images:
        raise ValueError(f"{path}: variable {variable!r} is no cell array of structs.")
    seen: set[str] = set()
    for k, image in enumerate(images, 1):
        file = text(image, "img", f"{path}, {variable}{{{k}}}")
        name = one_spelling(Path(file).stem)
        if name in seen:
            raise ValueError(f"{path}, {variable}{{{k}}}: image {file} is there twice.")
        seen.add(name)
        yield name, image, f"{path}, image {file}"


def _all_observers(observers: list, where: str) -> Fixations:
    trials = [_trial(o, f"{where}, observer {k}") for k, o in enumerate(observers)]
    return Fixations.of_trials(trials)


def _trial(observer: object, where: str) -> np.ndarray:
    """x, y and seconds of one observer's fixations on one image, in sequence, shape (N, 3)."""
    if isinstance(observer, np.ndarray) and observer.size == 0:
        return np.zeros((0, 3))  # an observer without a recording
    columns: list[np.ndarray] = []
    for field in FIELDS:
        columns.append(numbers(member(observer, field, where), where).ravel())
        if (n := len(columns[-1])) != len(columns[0]):
            raise ValueError(f"{where}: {FIELDS[0]} has {len(columns[0])} values, {field} has {n}.")
    return np.stack(columns, axis=1) / (1, 1, 1000)  # from milliseconds


def official_folder(called: str, root: str | os.PathLike | None) -> Path:
    """Return the folder with `stimuli/`: `root`, or `data/` in it. Raises FileNotFoundError."""
    found = existing_root(called, root)
    for folder in (found, found / "data"):
        if (folder / "stimuli").is_dir():
            return folder
    raise missing(called, "stimuli/ (nor data/stimuli/)", found)
