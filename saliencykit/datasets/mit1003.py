"""MIT1003: 1,003 photographs and the gaze of 15 observers, without Matlab.

Judd, Ehinger, Durand, Torralba, *Learning to predict where humans look*, ICCV 2009.
"""

import os
from pathlib import Path

from ..reading.pictures import read_grey
from .base import DATASETS, file_digests
from .files import FileDataset, Source, as_spelled, by_name, existing_root, list_images, missing
from .types import Fixations

MARKED = 0.5
"""Grey above which a pixel of a points map is a fixation. The maps are JPEG, white on black: at
Matlab's quality 75 white pixels come back at 0.863 or more, and black ones at 0.173 or less where
several fixations share a block of 8×8."""


@DATASETS.register("mit1003")
class Mit1003(FileDataset):
    """MIT1003 from its stimuli and its maps of fixated points, all observers' in one.

    `root` holds `ALLSTIMULI/<name>.jpeg`, whose longer side is 1024 pixels, and
    `ALLFIXATIONMAPS/<name>_fixPts.jpg`; what else lies there is not read, a stray
    `i05june05_static_street_boston_p1010764fixPts.jpg` among it. A points map says which pixels
    were fixated by anybody: all fixations are observer 0's, without order and duration, and a pixel
    counts once. So what needs several observers (the human ceiling) can't be asked; the recordings
    themselves are Matlab scripts. No regions are annotated. Split by a hash of the name (70 %
    train, 15 % val, 15 % test).

    Fixations follow images that were resized; a map of another shape than its image is an error.
    """

    name = "mit1003"
    categories = ()
    own_split = False
    pooled = True
    source = Source(
        page="http://people.csail.mit.edu/tjudd/WherePeopleLook/",
        licence="none stated; pictures from Flickr (Creative Commons) and LabelMe",
        citation=(
            "Judd, Ehinger, Durand, Torralba: Learning to predict where humans look. ICCV 2009, "
            "2106–2113"
        ),
        steps=(
            "download ALLSTIMULI.zip and ALLFIXATIONMAPS.zip there and unpack them into {root},\n"
            "so that there are\n"
            "  {root}/ALLSTIMULI/*.jpeg\n  {root}/ALLFIXATIONMAPS/*_fixPts.jpg"
        ),
    )

    def __init__(self, root: str | os.PathLike | None = None):
        self.folder = existing_root("mit1003", root)
        stimuli = self.folder / "ALLSTIMULI"
        found = list_images(stimuli, (".jpeg", ".jpg")) if stimuli.is_dir() else []
        super().__init__(by_name(found))
        if not self.names:
            raise missing("mit1003", "ALLSTIMULI/*.jpeg", self.folder)
        if lost := [p.name for p in map(self._points_file, self.names) if not p.is_file()]:
            raise missing("mit1003", f"ALLFIXATIONMAPS/{lost[0]}", self.folder)

    def fixations(self, i: int) -> Fixations:
        """Return the fixated points of stimulus `i`, in its pixels, each in a pixel's middle."""
        points = read_grey(self._points_file(self.names[i]), "a map of points") > MARKED
        return self.fitted(i, Fixations.at(points), points.shape)

    def contents(self) -> object:
        """Return what identifies images and points."""
        points = [self._points_file(name) for name in self.names]
        return [super().contents(), file_digests(points)]

    def _points_file(self, name: str) -> Path:
        return as_spelled(self.folder / "ALLFIXATIONMAPS" / f"{name}_fixPts.jpg")
