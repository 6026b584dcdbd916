"""P3 and O3: psychophysical patterns and photographs, each with one odd item, and masks of both.

Kotseruba, Wloka, Rasouli, Tsotsos, *Do saliency models detect odd-one-out targets? New datasets and
evaluations*, BMVC 2019.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..reading.pictures import read_grey
from ..reading.tables import number_column, read_table
from .base import DATASETS, SaliencyDataset, file_digests
from .files import FileDataset, Source, by_name, existing_root, list_images, missing
from .types import Fixations

PAGE = "http://data.nvision2.eecs.yorku.ca/P3O3/"
TERMS = "see its page"
CITATION = (
    "Kotseruba, Wloka, Rasouli, Tsotsos: Do saliency models detect odd-one-out targets? New "
    "datasets and evaluations. BMVC 2019"
)
MASKS = {"target": ("targ_labels", "targ_images"), "distractor": ("dist_labels", "dist_images")}
"""Folders of masks beside `images/`, under the names that the data and the authors' code use."""
PROPERTIES = ("image_properties.txt", "image_properties.csv")
P3_FEATURES = {"colors": "colour", "orientations": "orientation", "sizes": "size"}
P3_ITEMS = 49
"""Items of every pattern, on a grid of 7×7."""
O3_FEATURES = ("color", "orientation", "focus", "shape", "size", "location", "pattern")


class OddOneOut(FileDataset):
    """Images with masks of the odd item and of the others, and a table that describes them.

    A loader calls `__init__` with the image files and the rows of its properties, by name. Nobody's
    fixations are recorded. All count as test images: the authors' splits for training are an
    archive of their own, which is not read.
    """

    categories = ()

    def __init__(self, files: dict[str, Path], rows: Mapping[str, dict[str, object]]):
        super().__init__(files)
        self.rows = rows

    @property
    def table(self) -> pd.DataFrame:
        """One row per image, in the order of `names`; see the loader for the columns.

        Raises ValueError for an image that the properties do not list.
        """
        if lost := [name for name in self.names if name not in self.rows]:
            raise ValueError(
                f"{self.files[lost[0]]} and {len(lost) - 1} more images are not listed in the "
                f"{PROPERTIES[0]} that goes with them."
            )
        return pd.DataFrame([{"name": n, **self.rows[n]} for n in self.names])

    def targets(self, i: int, soft: bool = False) -> Tensor:
        """Return the mask of image `i`'s odd item, bool (H, W).

        With `soft` it is float32, 0…1, as in the file, whose grey edges and JPEG noise the authors'
        metrics weigh. Raises FileNotFoundError or ValueError naming the file: no mask, a damaged
        one, or one of another size than the image.
        """
        return self._mask(i, "target", soft)

    def distractors(self, i: int, soft: bool = False) -> Tensor:
        """Return the mask of all other items of image `i`; see `targets`."""
        return self._mask(i, "distractor", soft)

    def fixations(self, i: int) -> Fixations:
        """Return no fixations: none are recorded."""
        return Fixations.of([], [])

    def split_of(self, name: str) -> str:
        """Return "test" for every image."""
        return "test"

    def contents(self) -> object:
        """Return what identifies images, masks and properties."""
        masks = [self._mask_file(n, kind) for n in self.names for kind in MASKS]
        rows = [self.rows.get(n) for n in self.names]
        return [super().contents(), file_digests([m for m in masks if m.is_file()]), rows]

    def _mask_file(self, name: str, kind: str) -> Path:
        image = self.files[name]
        places = [image.parents[1] / folder / image.name for folder in MASKS[kind]]
        return next((p for p in places if p.is_file()), places[0])

    def _mask(self, i: int, kind: str, soft: bool) -> Tensor:
        path, (height, width) = self._mask_file(self.names[i], kind), self.size_of(i)
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is not there: every image of {self.name!r} needs both its masks. "
                f"`saliencykit fetch {self.name}` says where the files come from."
            )
        mask = torch.from_numpy(read_grey(path, "a mask"))
        if mask.shape != (height, width):
            raise ValueError(
                f"{path} is {mask.shape[1]}×{mask.shape[0]} pixels, its image {self.path(i)} is "
                f"{width}×{height}: mask and image must have one size."
            )
        return mask if soft else mask > 0.5


class Shrunk(SaliencyDataset):
    """P3 or O3 with images and masks at most `tall` pixels high, shrunk bilinearly, antialiased.

    So models that see images as they are take as long for these as for other arrays of that size. A
    pixel is an item's where more than half of it was. Has no table: that of the data holds. Raises
    ValueError for `tall` < 1.
    """

    categories = ()

    def __init__(self, data: OddOneOut, tall: int):
        if tall < 1:
            raise ValueError(f"tall is {tall}; at least 1 pixel is needed")
        self.data, self.tall = data, int(tall)
        self.name, self.names = data.name, data.names
        self._place = {name: i for i, name in enumerate(data.names)}

    def _at(self, i: int) -> int:
        return self._place[self.names[i]]

    def size_of(self, i: int) -> tuple[int, int]:
        """Return (height, width) of image `i` as it is shown."""
        height, width = self.data.size_of(self._at(i))
        tall = min(self.tall, height)
        return tall, max(1, round(tall * width / height))

    def image(self, i: int) -> Tensor:
        """Return image `i` as uint8 (3, H, W)."""
        return self._shrunk(self.data.image(self._at(i)), i)

    def targets(self, i: int) -> Tensor:
        """Return the mask of image `i`'s odd item, bool (H, W); raises as `OddOneOut.targets`."""
        return self._shrunk(self.data.targets(self._at(i), soft=True)[None], i)[0] > 0.5

    def distractors(self, i: int) -> Tensor:
        """Return the mask of all other items of image `i`; see `targets`."""
        return self._shrunk(self.data.distractors(self._at(i), soft=True)[None], i)[0] > 0.5

    def fixations(self, i: int) -> Fixations:
        """Return no fixations: none are recorded."""
        return self.data.fixations(self._at(i))

    def split_of(self, name: str) -> str:
        """Return "test" for every image."""
        return self.data.split_of(name)

    def contents(self) -> object:
        """Return what identifies the data, and how small it is shown."""
        return [self.data.fingerprint, self.tall]

    def _shrunk(self, pixels: Tensor, i: int) -> Tensor:
        return interpolate(pixels[None], self.size_of(i), mode="bilinear", antialias=True)[0]


@DATASETS.register("p3")
class P3(OddOneOut):
    """P3 from its official layout: 2,514 patterns of 7×7 items, 1024×1024 pixels.

    `root` holds `colors/`, `orientations/`, `sizes/`, in each `images/`, `targ_labels/`,
    `dist_labels/` (files of one name) and `image_properties.txt`. A stimulus is named
    "colors/image_circle_…".

    Columns of `table`: name; feature (colour, orientation, size); set_size, 49; background, in hex
    as in the file; position, 1–49; x, y: the target's centre in pixels.
    """

    name = "p3"
    source = Source(
        page=PAGE,
        licence=TERMS,
        citation=CITATION,
        steps=(
            "download P3_data.zip there and unpack it into {root}, so that there are\n"
            "  {root}/colors/images/*.png, targ_labels/, dist_labels/, image_properties.txt\n"
            "and the same in {root}/orientations and {root}/sizes"
        ),
    )

    def __init__(self, root: str | os.PathLike | None = None):
        folder = existing_root("p3", root)
        files: dict[str, Path] = {}
        rows: dict[str, dict[str, object]] = {}
        for kind in (k for k in P3_FEATURES if (folder / k / "images").is_dir()):
            found = by_name(list_images(folder / kind / "images"))
            files |= {f"{kind}/{name}": path for name, path in found.items()}
            rows |= _p3_rows(_properties(self.name, folder / kind), kind)
        if not files:
            raise missing("p3", f"{{{','.join(P3_FEATURES)}}}/images/*.png", folder)
        super().__init__(files, rows)


@DATASETS.register("o3")
class O3(OddOneOut):
    """O3 from its official layout: 2,001 photographs of alike things, one of them odd.

    `root` holds `images/`, `targ_labels/`, `dist_labels/` (files of one name) and
    `image_properties.csv` (also as .txt). The masks are JPEG: hard ones are cut at 0.5.

    Columns of `table`: name; feature, all that the target differs in ("color+size"), and a bool for
    each of `O3_FEATURES`; set_size; x, y: the target's centre in pixels.
    """

    name = "o3"
    source = Source(
        page=PAGE,
        licence=TERMS,
        citation=CITATION,
        steps=(
            "download O3_data.zip there and unpack it into {root}, so that there are\n"
            "  {root}/images/*.jpg, {root}/targ_labels/, {root}/dist_labels/,\n"
            "  {root}/image_properties.csv"
        ),
    )

    def __init__(self, root: str | os.PathLike | None = None):
        folder = existing_root("o3", root)
        images = folder / "images"
        files = by_name(list_images(images)) if images.is_dir() else {}
        if not files:
            raise missing("o3", "images/*.jpg", folder)
        super().__init__(files, _o3_rows(_properties(self.name, folder)))


def _properties(data_set: str, folder: Path) -> Path:
    for path in (folder / name for name in PROPERTIES):
        if path.is_file():
            return path
    raise missing(data_set, PROPERTIES[0], folder)


def _p3_rows(path: Path, kind: str) -> dict[str, dict[str, object]]:
    table = read_table(path, ("name", "bg_color", "t_pos", "t_x", "t_y"))
    position, x, y = (number_column(table, c, path) for c in ("t_pos", "t_x", "t_y"))
    wrong = ~((position >= 1) & (position <= P3_ITEMS))
    if wrong.any():
        line = table.index[wrong][0]
        raise ValueError(f"{path}, line {line}: t_pos is not 1 to {P3_ITEMS}.")
    names = _stems(table, "name", path)
    rows = zip(names, table["bg_color"], position, x, y, strict=True)
    return {
        f"{kind}/{name}": {
            "feature": P3_FEATURES[kind],
            "set_size": P3_ITEMS,
            "background": background.strip(),
            "position": int(where),
            "x": column,
            "y": row,
        }
        for name, background, where, column, row in rows
    }


def _o3_rows(path: Path) -> dict[str, dict[str, object]]:
    columns = ("image_name", "num_distractors", "target_x", "target_y")
    table = read_table(path, columns + O3_FEATURES)
    distractors, x, y = (number_column(table, c, path) for c in columns[1:])
    differs = np.stack([number_column(table, f, path) == 1 for f in O3_FEATURES], axis=1)
    return {
        name: {
            "feature": "+".join(f for f, d in zip(O3_FEATURES, differs[k], strict=True) if d),
            **dict(zip(O3_FEATURES, differs[k].tolist(), strict=True)),
            "set_size": distractors[k] + 1,
            "x": x[k],
            "y": y[k],
        }
        for k, name in enumerate(_stems(table, "image_name", path))
    }


def _stems(table: pd.DataFrame, column: str, path: Path) -> list[str]:
    """Names of the images in a column without suffix. Raises ValueError for one there twice."""
    found: dict[str, None] = {}
    for line, image in zip(table.index, table[column], strict=True):
        name = Path(image.strip()).stem
        if name in found:
            raise ValueError(f"{path}, line {line}: image {name} is there twice.")
        found[name] = None
    return list(found)
