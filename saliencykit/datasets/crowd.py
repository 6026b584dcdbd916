"""Crowd: 500 photographs of few people and of many, the gaze of 16 observers, labelled faces.

Jiang, Xu, Zhao, *Saliency in Crowd*, ECCV 2014.
"""

import os
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..reading.matlab import entries, member, numbers
from .annotated import Regions, Scenes
from .base import DATASETS, file_digests
from .files import Source, missing
from .osie import NusDataset, official_folder, structs
from .types import Region

HEAD = "person_head"
BOX = ("left", "top", "width", "height")
ATTRIBUTES = {
    "isFrontalFace": "frontal",
    "isProfileFace": "profile",
    "isBackFace": "back",
    "isOccluded": "occluded",
}
"""Fields of a labelled face, and what they are called as attributes of its region."""
IDS = [f"{k:03}" for k in range(1, 501)]
VAL, TEST = (3, 10, 17), (6, 13, 19)  # of every 20 pairs of ids; the other 14 are for training


@DATASETS.register("crowd")
class Crowd(NusDataset):
    """Crowd from its official layout; regions are the labelled faces, as "person_head".

    See `osie.NusDataset` for the layout of images (001.jpg … 500.jpg) and fixations; `labels.mat`
    lies beside them. Fixations and boxes refer to 1024×768 pixels. Some images have more than 200
    faces, many of them looked at by nobody: such regions score NaN and enter no mean. A region's
    `attributes` are those of "frontal", "profile", "back" and "occluded" that people gave the face.
    The data have no split of their own; ours deals out pairs of ids (001 and 002, …), 14 of 20 to
    train, 3 each to val and test, so that half the images, every other one, are split alike.

    Boxes that stick out of their image are clipped, boxes that lie wholly outside are left out;
    a warning counts either. Raises ValueError naming image and face for a box that is none, and
    for labels that contradict themselves.
    """

    name = "crowd"
    recorded = (768, 1024)
    source = Source(
        page="https://github.com/NUS-VIP/saliency-in-crowd",
        licence="MIT licence",
        citation="Jiang, Xu, Zhao: Saliency in crowd. ECCV 2014",
        # The repository publishes no archive with a fixed checksum; git verifies what it clones.
        steps=(
            "git clone https://github.com/NUS-VIP/saliency-in-crowd {root}\n"
            "or copy data/stimuli, data/eye and data/labels.mat from it, so that there are\n"
            "  {root}/stimuli/001.jpg … 500.jpg\n  {root}/eye/fixations.mat\n  {root}/labels.mat"
        ),
    )

    def __init__(self, root: str | os.PathLike | None = None):
        self.labels_file = official_folder("crowd", root) / "labels.mat"
        if not self.labels_file.is_file():
            raise missing("crowd", "labels.mat", self.labels_file.parent)
        regions = Regions((HEAD,), read_labels(self.labels_file, self.recorded), self.recorded)
        super().__init__("crowd", root, IDS, regions, Scenes((), {}))

    def split_of(self, name: str) -> str:
        """Return the split of the image by its id."""
        pair = (int(name) - 1) // 2 % 20
        return "val" if pair in VAL else "test" if pair in TEST else "train"

    def contents(self) -> object:
        """Return what identifies images, fixations and labels."""
        return [super().contents(), file_digests([self.labels_file])]


def read_labels(path: Path, size: tuple[int, int]) -> dict[str, list[Region]]:
    """Return the labelled faces by image name, as regions within images of (height, width) `size`.

    `left` and `top` are taken as they stand, as the box's corner in pixels from the image's corner,
    the frame that `fix_x` and `fix_y` are in (`osie.read_gaze`). Evidence: drawn on the pictures,
    the boxes hold heads from hair to chin, and reach beyond the image where the frame cuts a head;
    `center` is ⌊left + width / 2⌋, ⌊top + height / 2⌋ in all of 5,134; of the 41,568 fixations
    within a face's width and height from its centre, the median lies 0.2 pixels to the right of
    it and 18 below, where eyes and nose are; moved by 4 pixels to either side the boxes hold fewer
    fixations. The authors' code uses positions and centres alike as Matlab's indices, so both may
    be half a pixel from where we have them. As OSIE's, polygons run through pixel indices.
    """
    found: dict[str, list[Region]] = {}
    clipped, outside = [], []
    for name, image, where in structs(path, "labels"):
        found[name] = []
        for k, face in enumerate(_faces(image, where), 1):
            place = f"{where}, face {k}"
            box = _box(face, place)
            inside = _clipped(box, size)
            if inside:
                attributes = _attributes(face, place)
                found[name].append(Region(HEAD, _outline(inside), attributes=attributes))
            if inside != box:
                (clipped if inside else outside).append(f"image {name}, face {k}")
    total = len(outside) + sum(map(len, found.values()))
    theirs = f"their image of {size[1]}×{size[0]} pixels"
    _warn(clipped, total, f"stick out of {theirs}", "clipped", path)
    _warn(outside, total, f"lie wholly outside {theirs}", "left out", path)
    return found


def _warn(places: list[str], total: int, what: str, done: str, path: Path) -> None:
    if places:
        warnings.warn(
            f"{path}: {len(places)} of {total} faces {what} (the first: {places[0]}); {done}.",
            stacklevel=3,
        )


def _faces(image: object, where: str) -> list:
    """The structs of an image's faces. Raises ValueError if they are not as many as stated."""
    faces = entries(member(image, "faces", where))
    stated = numbers(member(image, "nFaces", where), where).ravel().tolist()
    if stated != [len(faces)]:
        raise ValueError(f"{where}: nFaces is {stated}, but there are {len(faces)} faces.")
    return faces


def _box(face: object, where: str) -> tuple[float, ...]:
    """Left, top, right, bottom of a face."""
    fields = [numbers(member(face, f, where), f"{where}, {f}").ravel() for f in BOX]
    values = [v for field in fields for v in field.tolist()]
    if len(values) != len(BOX) or not np.isfinite(values).all() or min(values[2:]) <= 0:
        told = ", ".join(f"{f} {v.tolist()}" for f, v in zip(BOX, fields, strict=True))
        raise ValueError(f"{where}: {told} is no box.")
    left, top, width, height = values
    return left, top, left + width, top + height


def _clipped(box: tuple[float, ...], size: tuple[int, int]) -> tuple[float, ...] | None:
    """The part of a box that lies in the image, if any does."""
    left, top, right, bottom = box
    height, width = size
    left, top, right, bottom = max(left, 0.0), max(top, 0.0), min(right, width), min(bottom, height)
    return (left, top, right, bottom) if left < right and top < bottom else None


def _outline(box: tuple[float, ...]) -> Tensor:
    """Polygon through the outermost pixels of a box, by their indices."""
    left, top, right, bottom = box
    right, bottom = max(right - 1, left), max(bottom - 1, top)
    corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
    return torch.tensor(corners, dtype=torch.float64)


def _attributes(face: object, where: str) -> tuple[str, ...]:
    given = {}
    for field, name in ATTRIBUTES.items():
        given[name] = numbers(member(face, field, where), f"{where}, {field}").ravel().tolist()
        if given[name] not in ([0], [1]):
            raise ValueError(f"{where}: {field} is {given[name]}, not 0 or 1.")
    return tuple(name for name, value in given.items() if value == [1])
