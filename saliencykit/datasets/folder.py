"""A user's own images: any folder, with fixations, regions, scenes and splits where there are."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..reading.positions import check_pixels, lost
from ..reading.tables import check_observers, number_column, read_table, whole_column
from ..registry import check_name, one_spelling
from .annotated import AnnotatedDataset, Regions, Scenes, read_regions, read_scenes
from .base import DATASETS, SPLITS, file_digests
from .files import Source, by_name, existing_root, list_images, missing
from .types import CATEGORIES, Fixations

LONGEST = 10
"""Seconds above which no median duration of fixations can lie."""
INSTEAD = (
    " `saliencykit import TABLE --units fraction-of-image --images DIR --out DIR` makes pixels of "
    "such fractions."
)


@DATASETS.register("folder")
class Folder(AnnotatedDataset):
    """The images in `root` and in its subfolders, one level down.

    A stimulus is named by its path without suffix ("cat", "outdoor/cat"). Beside the images may lie

    - `fixations.csv` with columns image, x, y, observer: pixels of the image as it is shown (turned
      as its EXIF says), x right, y down, origin at the top left corner (many at exactly (0, 0) are
      samples that a tracker lost, and left out with a warning); observers have any names, and are
      numbered from 0 in the order of these; also, if it has them, order (0, 1, … within a trial;
      where all begin at 1, they are taken to count from 1, with a warning) and duration (seconds,
      empty where unknown);
    - `regions.json`, `scenes.json`: see `annotated.py`; the categories may be your own;
    - `splits.csv` with columns image, split ("train", "val", "test"), one line for every image;
      without it a hash of the name puts 70 % in train, 15 % in val, 15 % in test, so that an
      image stays in its split when others come or go.

    These files name images with or without suffix. What they say of images that are not there is
    left out, with a warning that counts it.
    """

    name = "folder"
    source = Source(
        page="your own images",
        licence="yours",
        citation="yours",
        steps=(
            "put images into {root} (or pass another folder as root=), and beside them, if you\n"
            "have them, fixations.csv (columns image, x, y, observer), regions.json, scenes.json\n"
            "and splits.csv (columns image, split)."
        ),
    )

    def __init__(self, root: str | os.PathLike | None = None):
        self.folder = existing_root("folder", root)
        files = named_images(self.folder)
        if not files:
            raise missing("folder", "image", self.folder)
        known = {n: n for n in files} | {
            one_spelling(p.relative_to(self.folder).as_posix()): n for n, p in files.items()
        }
        regions = _read_regions(self.folder / "regions.json", known)
        super().__init__(files, regions, _read_scenes(self.folder / "scenes.json", known))
        self._fixations = _read_fixations(self.folder / "fixations.csv", known)
        self._splits = _read_splits(self.folder / "splits.csv", known)
        self.own_split = bool(self._splits)

    def fixations(self, i: int) -> Fixations:
        """Return the fixations on stimulus `i`; none if fixations.csv has none."""
        return self._fixations.get(self.names[i], Fixations.of([], []))

    def split_of(self, name: str) -> str:
        """Return the split by splits.csv, else by a hash of the name."""
        return self._splits[name] if self._splits else super().split_of(name)

    def contents(self) -> object:
        """Return what identifies images, fixations, regions, scenes and splits."""
        beside = [self.folder / f"{n}.json" for n in ("regions", "scenes")]
        beside += [self.folder / f"{n}.csv" for n in ("fixations", "splits")]
        return [super().contents(), file_digests([p for p in beside if p.exists()])]


def named_images(root: Path) -> dict[str, Path]:
    """Return the images in `root` and one level below, by path without suffix. See `by_name`."""
    below = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    return by_name([p for folder in (root, *below) for p in list_images(folder)], root)


def _only_known(path: Path, names: Sequence[str], known: dict[str, str]) -> list[bool]:
    """Whether each of `names` is an image; a warning counts those that are none."""
    keep = [n in known for n in names]
    if not all(keep):
        lost = sorted({n for n, k in zip(names, keep, strict=True) if not k})
        some = ", ".join(lost[:3]) + (" …" if len(lost) > 3 else "")
        warnings.warn(
            f"{path}: {keep.count(False)} of {len(keep)} entries name {len(lost)} images that are "
            f"not there ({some}); left out.",
            stacklevel=2,
        )
    return keep


def _known_rows(
    path: Path, columns: tuple[str, ...], known: dict[str, str], optional: tuple[str, ...] = ()
) -> pd.DataFrame:
    table = read_table(path, columns, optional)
    table["image"] = table["image"].str.strip()
    table = table.loc[_only_known(path, table["image"].tolist(), known)]
    return table.assign(image=[known[n] for n in table["image"]])


def _read_fixations(path: Path, known: dict[str, str]) -> dict[str, Fixations]:
    if not path.exists():
        return {}
    table = _known_rows(path, ("image", "x", "y", "observer"), known, ("order", "duration"))
    columns = {c: number_column(table, c, path) for c in "xy"}
    check_pixels(columns["x"], columns["y"], str(path), instead=INSTEAD)
    columns["observer"] = _observers(table["observer"].str.strip(), path)
    if "order" in table:
        columns["order"] = _from_zero(whole_column(table, "order", path), table, path)
    if "duration" in table:
        columns["duration"] = _seconds(table, path)
    kept = ~lost(columns["x"], columns["y"], str(path))
    rows = {n: k[kept[k]] for n, k in table.groupby("image", sort=False).indices.items()}
    return {str(n): Fixations.of(**{c: v[k] for c, v in columns.items()}) for n, k in rows.items()}


def _seconds(table: pd.DataFrame, path: Path) -> np.ndarray:
    """Durations; ValueError for a negative one, and if most can't be seconds."""
    found = number_column(table, "duration", path)
    if (found < 0).any():
        line = table.index[np.flatnonzero(found < 0)[0]]
        raise ValueError(f"{path}, line {line}: duration is {table['duration'][line]}, below 0.")
    if (middle := pd.Series(found).median()) > LONGEST:
        raise ValueError(
            f"{path}: half of the durations are above {middle:g}; they are to be in seconds, and "
            "these look like milliseconds."
        )
    return found


def _from_zero(order: np.ndarray, table: pd.DataFrame, path: Path) -> np.ndarray:
    """`order` from 0; one less, with a warning, if it begins at 1 for everybody on every image."""
    looks = table[["image", "observer"]].assign(order=order).groupby(["image", "observer"])
    first = np.asarray(looks["order"].min())
    if not len(first) or not (first == 1).all():
        return order
    warnings.warn(
        f"{path}: order begins at 1 for all observers on all images; taken to count from 1, and "
        "made to count from 0.",
        stacklevel=2,
    )
    return order - 1


def _observers(labels: pd.Series, path: Path) -> np.ndarray:
    """Number observers from 0, in the order of their names, or of their numbers if all are.

    Raises ValueError naming the line of one that is missing.
    """
    check_observers(labels, path)
    names, index = np.unique(labels.to_numpy(dtype=str), return_inverse=True)
    if all(name.isdecimal() for name in names):
        return np.argsort(np.argsort([int(name) for name in names], kind="stable"))[index]
    return index


def _keyed(path: Path, by_image: dict, known: dict[str, str]) -> dict:
    """Entries by image, as the data set names it; ValueError for an image that is there twice."""
    keep = _only_known(path, list(by_image), known)
    named: dict[str, str] = {}
    for name in (n for n, k in zip(by_image, keep, strict=True) if k):
        if twin := named.get(known[name]):
            raise ValueError(f"{path}: {twin!r} and {name!r} are one image; name it once.")
        named[known[name]] = name
    return {image: by_image[name] for image, name in named.items()}


def _read_regions(path: Path, known: dict[str, str]) -> Regions:
    if not path.exists():
        return Regions(CATEGORIES, {})
    found = read_regions(path)
    return Regions(found.categories, _keyed(path, found.by_image, known), found.size)


def _read_scenes(path: Path, known: dict[str, str]) -> Scenes:
    if not path.exists():
        return Scenes((), {})
    found = read_scenes(path)
    return Scenes(found.classes, _keyed(path, found.by_image, known))


def _read_splits(path: Path, known: dict[str, str]) -> dict[str, str]:
    if not path.exists():
        return {}
    table = _known_rows(path, ("image", "split"), known)
    for line, split in table["split"].items():
        check_name(f"split in {path}, line {line}:", split.strip(), SPLITS)
    splits: dict[str, str] = {}
    for line, image, split in zip(table.index, table["image"], table["split"], strict=True):
        if splits.setdefault(image, split.strip()) != split.strip():
            raise ValueError(
                f"{path}, line {line}: image {image!r} is in {split.strip()!r}, but in "
                f"{splits[image]!r} by a line before."
            )
    if lost := sorted(set(known.values()) - set(splits)):
        raise ValueError(f"{path} gives no split for {len(lost)} images, the first {lost[0]!r}.")
    return splits
