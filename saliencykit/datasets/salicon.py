"""SALICON: 20,000 COCO images with mouse-contingent attention in place of eye tracking.

Jiang, Huang, Duan, Zhao, *SALICON: Saliency in Context*, CVPR 2015.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..reading.jsons import as_points, as_size, read_json
from ..reading.matlab import entries, member, numbers, points, read_mat
from ..reading.positions import check_pixels
from .base import DATASETS, SPLITS, file_digests
from .files import FileDataset, Source, as_spelled, by_name, existing_root, list_images, missing
from .types import Fixations

RECORDED = (480, 640)
"""(height, width) of SALICON's images, for JSON files that do not say."""
Gaze = dict[str, tuple[Fixations, tuple[int, int]]]
"""Fixations by image name, each with the (height, width) they refer to."""


@DATASETS.register("salicon")
class Salicon(FileDataset):
    """SALICON from its official layout: 10,000 train, 5,000 val, 5,000 test images of 480×640.

    `root` holds `images/{train,val,test}/COCO_*.jpg`, and `fixations/{train,val}/COCO_*.mat` or, as
    the first release has it, `fixations_{train,val}2014.json` (also under `annotations/`). Where
    both are there, .mat is read. The folder of an image is its split; the test images come without
    fixations. No regions are annotated. Observers are numbered within an image (.mat), or by
    worker over a split (JSON).

    The order of an observer's fixations is their place in the files' lists, which hold no
    durations.

    Positions in the files count pixels from 1; here the first pixel is 0. The release of 2017 has
    positions beyond the image: they are clipped to the nearest pixel, as that release needs.
    Each .mat is read when its image is asked for.
    """

    name = "salicon"
    source = Source(
        page="http://salicon.net/challenge-2017/",
        licence="see its page",
        citation="Jiang, Huang, Duan, Zhao: SALICON: Saliency in context. CVPR 2015",
        steps=(
            "download images.zip and fixations.zip there (their host asks questions that only a\n"
            "browser answers), put both into {root} and run the same command again: it unpacks\n"
            "them, so that there are\n"
            "  {root}/images/train/COCO_train2014_*.jpg (and val, test)\n"
            "  {root}/fixations/train/COCO_train2014_*.mat (and val)"
        ),
        by_hand={"images.zip": ".", "fixations.zip": "fixations"},
    )

    def __init__(self, root: str | os.PathLike | None = None):
        self.folder = existing_root("salicon", root)
        found = {s: _images(self.folder / "images" / s) for s in SPLITS}
        super().__init__(by_name(p for paths in found.values() for p in paths))
        if not self.names:
            raise missing("salicon", "images/{train,val,test}/COCO_*.jpg", self.folder)
        recorded = [s for s in ("train", "val") if found[s]]
        self.json_files = {s: _json_file(self.folder, s) for s in recorded}

    def fixations(self, i: int) -> Fixations:
        """Return the fixations on stimulus `i` in its pixels; none for the test images."""
        name = self.names[i]
        split = self.split_of(name)
        if split == "test":
            return Fixations.of([], [])
        path = self.json_files[split]
        if path is None:
            fixations, recorded = read_gaze(self._mat_file(name))
        else:
            gaze = self.once(path, lambda: read_gaze_json(path))
            fixations, recorded = gaze.get(name, (Fixations.of([], []), self.size_of(i)))
        return self.fitted(i, fixations, recorded)

    def split_of(self, name: str) -> str:
        """Return the split of an image: the folder it lies in."""
        return self.files[name].parent.name

    def contents(self) -> object:
        """Return what identifies images and fixations."""
        gaze = {p for p in self.json_files.values() if p}
        for name in self.names:
            split = self.split_of(name)
            if split != "test" and self.json_files[split] is None:
                gaze.add(self._mat_file(name))
        return [super().contents(), file_digests(sorted(p for p in gaze if p.is_file()))]

    def _mat_file(self, name: str) -> Path:
        return as_spelled(self.folder / "fixations" / self.split_of(name) / f"{name}.mat")


def read_gaze(path: Path) -> tuple[Fixations, tuple[int, int]]:
    """Return one image's fixations from SALICON's .mat, and the (height, width) they refer to."""
    found = read_mat(path, "gaze", "resolution")
    resolution = numbers(found["resolution"], f"{path}, resolution").ravel()
    if len(resolution) != 2 or not (resolution >= 1).all():
        raise ValueError(f"{path}: resolution should be [height width], found {resolution}.")
    height, width = (int(v) for v in resolution)
    trials = [
        points(member(gaze, "fixations", where), where)
        for k, gaze in enumerate(entries(found["gaze"]))
        for where in [f"{path}, gaze({k + 1})"]
    ]
    return _placed(trials, None, (height, width), str(path)), (height, width)


def read_gaze_json(path: Path) -> Gaze:
    """Return all fixations of SALICON's JSON form: lists of [y, x], one for image and worker."""
    found = read_json(path, packed=lambda note: _packed(note, path))
    try:
        images: dict[Any, tuple[str, tuple[int, int]]] = {}
        names: set[str] = set()
        for image in found["images"]:
            name = Path(image["file_name"]).stem
            if image["id"] in images or name in names:
                raise ValueError(f"{path}: image {image['id']}, {name}, is there twice.")
            names.add(name)
            images[image["id"]] = name, _image_size(image, f"{path}, image {name}")
        notes = found["annotations"]
        workers = {w: k for k, w in enumerate(sorted({n["worker_id"] for n in notes}))}
        looks: dict[Any, list] = {key: [] for key in images}
        for note in notes:
            looks[note["image_id"]].append((note["fixations"], note["worker_id"]))
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: not SALICON's form: images[{{id, file_name}}], annotations[{{image_id, "
            f"worker_id, fixations}}]; {type(error).__name__} {error}."
        ) from error
    return {
        name: (_joined(looks[key], workers, size, f"{path}, image {name}"), size)
        for key, (name, size) in images.items()
    }


def _packed(note: dict[str, Any], path: Path) -> dict[str, Any]:
    """An annotation with its fixations as one array: lists of pairs take far more memory."""
    if "fixations" in note:
        where = f"{path}, image_id {note.get('image_id')}, worker_id {note.get('worker_id')}"
        note["fixations"] = as_points(note["fixations"], where)
    return note


def _joined(looks: list, workers: dict[Any, int], size: tuple[int, int], where: str) -> Fixations:
    return _placed([yx[:, ::-1] for yx, _ in looks], [workers[w] for _, w in looks], size, where)


def _placed(
    trials: Sequence[np.ndarray],
    observers: Sequence[int] | None,
    size: tuple[int, int],
    where: str,
) -> Fixations:
    """Fixations from trials of 1-based x, y (N, 2), clipped to an image of (height, width) `size`.

    NaN stays, to be dropped and counted. Raises ValueError for fractions of the image's sides.
    """
    rows = np.concatenate([np.zeros((0, 2)), *trials])
    if len(rows) > 2:
        check_pixels(rows[:, 0], rows[:, 1], where, size)
    end = (size[1] - 1, size[0] - 1)
    return Fixations.of_trials([np.clip(xy - 1, 0, end) for xy in trials], observers)


def _image_size(image: dict[str, Any], where: str) -> tuple[int, int]:
    height, width = image.get("height", RECORDED[0]), image.get("width", RECORDED[1])
    return as_size(height, f"{where}: height"), as_size(width, f"{where}: width")


def _images(folder: Path) -> list[Path]:
    found = list_images(folder, (".jpg", ".jpeg", ".png")) if folder.is_dir() else []
    return [p for p in found if p.name.startswith("COCO_")]


def _json_file(root: Path, split: str) -> Path | None:
    """JSON file with the fixations of `split`; None if they are in .mat files."""
    if (root / "fixations" / split).is_dir():
        return None
    name = f"fixations_{split}2014.json"
    for path in (root / name, root / "annotations" / name, root / "fixations" / name):
        if path.is_file():
            return path
    raise missing("salicon", f"fixations/{split}/ (nor {name})", root)
