"""CAT2000: 2,000 images of 20 categories, photographs and others, and where observers looked.

Borji, Itti, *CAT2000: A large scale fixation dataset for boosting saliency research*, 2015.
"""

import os
from pathlib import Path

import numpy as np

from ..reading.matlab import numbers, read_mat
from .base import DATASETS, file_digests
from .files import FileDataset, Source, as_spelled, by_name, existing_root, list_images, missing
from .types import Fixations

OUTPUT = "Output"
"""Folders of pictures among the stimuli that were shown to nobody."""


@DATASETS.register("cat2000")
class Cat2000(FileDataset):
    """CAT2000's training set from its official layout; an image's category is its scene class.

    `root` holds `trainSet/` with `Stimuli/<Category>/001.jpg …`, 1920×1080 pixels, some of them
    grey, and `FIXATIONLOCS/<Category>/001.mat …` with the variable `fixLocs`, as large as the image
    (also without `trainSet/` between). Folders named `Output` hold no stimuli. A stimulus is named
    "Action/001". `fixLocs` says which pixels were fixated by anybody: all fixations are observer
    0's, without order and duration, and a pixel counts once. So what needs several observers (the
    human ceiling) can't be asked. No regions are annotated. Split by a hash of the name (70 %
    train, 15 % val, 15 % test); the authors' test set comes without fixations and is not read.

    Each .mat is read when its image is asked for. Fixations follow images that were resized; a map
    of another shape than its image is an error.
    """

    name = "cat2000"
    categories = ()
    own_split = False
    pooled = True
    source = Source(
        page="http://saliency.mit.edu/results_cat2000.html",
        licence="none stated",
        citation=(
            "Borji, Itti: CAT2000: A large scale fixation dataset for boosting saliency research. "
            "CVPR 2015 workshop on the Future of Datasets, arXiv 1505.03581"
        ),
        steps=(
            "download trainSet.zip there, put it into {root} and run the same command again: it\n"
            "unpacks it, so that there are\n"
            "  {root}/trainSet/Stimuli/Action/001.jpg …\n"
            "  {root}/trainSet/FIXATIONLOCS/Action/001.mat …"
        ),
        by_hand={"trainSet.zip": "."},
    )

    def __init__(self, root: str | os.PathLike | None = None):
        base = existing_root("cat2000", root)
        self.folder = base / "trainSet" if (base / "trainSet").is_dir() else base
        found = [p for c in _categories(self.folder / "Stimuli") for p in list_images(c, (".jpg",))]
        super().__init__(by_name(found, self.folder / "Stimuli"))
        if not self.names:
            raise missing("cat2000", "trainSet/Stimuli/<Category>/*.jpg", base)
        if not (self.folder / "FIXATIONLOCS").is_dir():
            raise missing("cat2000", "trainSet/FIXATIONLOCS/<Category>/*.mat", base)
        self.scenes = tuple(dict.fromkeys(p.parent.name for p in found))

    def fixations(self, i: int) -> Fixations:
        """Return the fixated points of stimulus `i`, in its pixels, each in a pixel's middle."""
        path = self._points_file(self.names[i])
        points = numbers(read_mat(path, "fixLocs")["fixLocs"], f"{path}, fixLocs")
        if points.ndim != 2 or not np.isin(points, (0, 1)).all():
            raise ValueError(f"{path}: fixLocs is no map (H, W) of zeros and ones.")
        return self.fitted(i, Fixations.at(points), points.shape)

    def scene(self, i: int) -> str:
        """Return the category of stimulus `i`: the folder it lies in."""
        return self.path(i).parent.name

    def contents(self) -> object:
        """Return what identifies images and points."""
        points = [self._points_file(name) for name in self.names]
        return [super().contents(), file_digests([p for p in points if p.is_file()])]

    def _points_file(self, name: str) -> Path:
        return as_spelled(self.folder / "FIXATIONLOCS" / f"{name}.mat")


def _categories(stimuli: Path) -> list[Path]:
    if not stimuli.is_dir():
        return []
    found = sorted(p for p in stimuli.iterdir() if p.is_dir() and not p.name.startswith("."))
    return [p for p in found if p.name != OUTPUT]
