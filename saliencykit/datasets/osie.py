"""OSIE: 700 photographs, the eye fixations of 15 observers, annotated regions and scene classes.

Xu, Jiang, Wang, Kankanhalli, Zhao, *Predicting human gaze beyond pixels*, Journal of Vision 2014.
"""

import os
import re
from functools import cache
from pathlib import Path

import numpy as np

from ..cache import digest
from ..paths import ANNOTATIONS
from .annotated import AnnotatedDataset, Regions, Scenes, read_regions, read_scenes
from .base import DATASETS, file_stamps
from .files import Source, existing_root, list_images, missing
from .reading import entries, member, numbers, read_mat
from .types import Fixations

RECORDED = (600, 800)
"""(height, width) that fixations and polygons refer to."""
LAST = {"train": 1400, "val": 1500, "test": 1700}
"""Last image id of each split; ids begin at 1001."""
FIELDS = ("fix_x", "fix_y", "fix_duration")
"""What `fixations.mat` says of each observer's fixations, in sequence."""


@DATASETS.register("osie")
class Osie(AnnotatedDataset):
    """OSIE from its official layout, regions and scenes from the annotation in this package.

    `root` holds `stimuli/1001.jpg …` and `eye/fixations.mat`, or `data/` with them, as the official
    repository has it. The images on disk make the data set; ids 1001–1400 train, 1401–1500 val,
    1501–1700 test. Fixations and polygons follow images that were resized from 800×600; an image
    of another shape is an error.
    """

    name = "osie"
    own_split = False  # the ids in the docstring are our choice
    source = Source(
        page="https://github.com/NUS-VIP/predicting-human-gaze-beyond-pixels",
        licence="MIT licence",
        # The repository publishes no archive with a fixed checksum; git verifies what it clones.
        steps=(
            "git clone https://github.com/NUS-VIP/predicting-human-gaze-beyond-pixels {root}\n"
            "or copy its folders data/stimuli and data/eye, so that there are\n"
            "  {root}/stimuli/1001.jpg … 1700.jpg\n  {root}/eye/fixations.mat"
        ),
    )

    def __init__(self, root: str | os.PathLike | None = None):
        self.folder = _official_folder(existing_root("osie", root))
        self.gaze_file = self.folder / "eye" / "fixations.mat"
        if not self.gaze_file.is_file():
            raise missing("osie", "eye/fixations.mat", self.folder)
        files = {p.stem: p for p in list_images(self.folder / "stimuli") if _is_id(p.stem)}
        if not files:
            raise missing("osie", "stimuli/1001.jpg …", self.folder)
        super().__init__(files, *annotation())

    def fixations(self, i: int) -> Fixations:
        """Return the fixations of observers 0 … 14 on stimulus `i`, in its pixels."""
        gaze = self.once("gaze", lambda: read_gaze(self.gaze_file))
        return self.fitted(i, gaze.get(self.names[i], Fixations.of([], [])), RECORDED)

    def split_of(self, name: str) -> str:
        """Return the split of the image by its id."""
        return next(split for split, last in LAST.items() if int(name) <= last)

    def contents(self) -> object:
        """Return what identifies images, fixations and annotation."""
        annotation = [f.read_text("utf-8") for f in sorted(ANNOTATIONS.glob("osie_*.json"))]
        return [super().contents(), file_stamps([self.gaze_file]), digest(annotation)]


@cache
def annotation() -> tuple[Regions, Scenes]:
    """Return the regions and scene classes that come with this package."""
    regions, scenes = (ANNOTATIONS / f"osie_{part}.json" for part in ("regions", "scenes"))
    return read_regions(regions), read_scenes(scenes)


def read_gaze(path: Path) -> dict[str, Fixations]:
    """Return the fixations in OSIE's `fixations.mat` by image name, in pixels of 800×600.

    `fix_x`, `fix_y` are taken as they stand, as positions with the origin at the image's corner.
    Evidence from this package's annotation, whose makers say how they did it: the density of ⌊x⌋,
    ⌊y⌋ peaks at the stated pixel in 187 of 188 regions (every tenth image); with x − 1, y − 1, as
    if counted from one, in none of them. So positions and regions fit together. The values alone
    (multiples of 0.1 from 1.2 to 799.2 across, 1.2 to 597.5 down) would allow both. Polygons run
    through pixel indices (from −0.5 to 799.5): of all regions' stated fixation counts, ⌊x⌋, ⌊y⌋
    inside the polygon meets 92 %, x, y themselves 86 %. That half pixel is left as it is.
    `fix_duration` is in milliseconds (of 69,876 the shortest is 20, the median 191, the longest
    1975), and each observer's fixations stand in the order in which they were made.
    """
    images = entries(read_mat(path, "fixations")["fixations"])
    if not images:
        raise ValueError(f"{path}: variable 'fixations' is no cell array of structs.")
    found = {}
    for k, image in enumerate(images):
        file = np.ravel(member(image, "img", f"{path}, fixations{{{k + 1}}}"))
        if file.size != 1 or not isinstance(file[0], str):
            raise ValueError(f"{path}, fixations{{{k + 1}}}: 'img' is no file name.")
        where = f"{path}, image {file[0]}"
        found[Path(file[0]).stem] = _all_observers(entries(member(image, "subjects", where)), where)
    return found


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


def _official_folder(root: Path) -> Path:
    for folder in (root, root / "data"):
        if (folder / "stimuli").is_dir():
            return folder
    raise missing("osie", "stimuli/ (nor data/stimuli/)", root)


def _is_id(stem: str) -> bool:
    return bool(re.fullmatch(r"\d{4}", stem)) and 1001 <= int(stem) <= LAST["test"]
