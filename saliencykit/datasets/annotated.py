"""Annotation files of this project: `regions.json` and `scenes.json`.

    regions.json  {"categories": [...], "image_size": [width, height],
                   "images": {name: [{"category": ..., "polygon": [[x, y], ...], "sure": true}]}}
    scenes.json   {"classes": [...], "images": {name: {"scene": ..., "sure": true}}}

Categories default to the twelve of OSIE-SR, classes to those that occur, `sure` to true. With an
`image_size`, polygons follow an image file of another size; without one they are in the pixels of
each file.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..reading.jsons import as_flag, as_points, as_size, as_text, as_texts, read_json, shown
from ..registry import check_name
from .files import FileDataset, check_shape
from .types import CATEGORIES, Region


@dataclass(frozen=True)
class Regions:
    """Content of a `regions.json`: `by_image` holds the regions by image name as in the file.

    `size` is the (height, width) that the polygons refer to, or None.
    """

    categories: tuple[str, ...]
    by_image: dict[str, list[Region]]
    size: tuple[int, int] | None = None

    def of(self, name: str, path: Path, size: tuple[int, int]) -> list[Region]:
        """Return the regions of image `name`, whose file at `path` has (height, width) `size`."""
        regions, recorded = self.by_image.get(name, []), self.size
        if not regions or recorded is None or recorded == size:
            return list(regions)
        check_shape(path, size, recorded)
        scale = torch.tensor([size[1] / recorded[1], size[0] / recorded[0]], dtype=torch.float64)
        return [replace(r, polygon=r.polygon * scale) for r in regions if r.polygon is not None]


@dataclass(frozen=True)
class Scenes:
    """Content of a `scenes.json`: the classes, and each image's."""

    classes: tuple[str, ...]
    by_image: dict[str, str]


class AnnotatedDataset(FileDataset):
    """Image files with annotated regions and scene classes; either may be empty."""

    def __init__(self, files: dict[str, Path], regions: Regions, scenes: Scenes):
        super().__init__(files)
        self._regions, self._scenes = regions, scenes
        self.categories, self.scenes = regions.categories, scenes.classes

    def regions(self, i: int) -> list[Region]:
        """Return the annotated regions of stimulus `i` (polygons), none if it has none."""
        return self._regions.of(self.names[i], self.path(i), self.size_of(i))

    def scene(self, i: int) -> str | None:
        """Return the scene class of stimulus `i`, None if it was not annotated."""
        return self._scenes.by_image.get(self.names[i])


def read_regions(path: Path) -> Regions:
    """Read a `regions.json`. Raises ValueError or UnknownNameError naming file and region."""
    found = read_json(path)
    given = found.get("categories", list(CATEGORIES))
    categories = as_texts(given, f"{path}: categories")
    images = _images(found, path, list)
    by_image = {n: _regions(rs, categories, f"{path}, image {n}") for n, rs in images.items()}
    return Regions(categories, by_image, _size(found, path))


def read_scenes(path: Path) -> Scenes:
    """Read a `scenes.json`. Raises ValueError or UnknownNameError naming file and image."""
    found = read_json(path)
    by_image = {}
    for name, entry in _images(found, path, dict).items():
        where = f"{path}, image {name}"
        if "scene" not in entry:
            raise ValueError(f'{where}: no "scene".')
        by_image[name] = as_text(entry["scene"], f"{where}: scene")
        as_flag(entry.get("sure", True), f"{where}: sure")
    classes = as_texts(found.get("classes", []), f"{path}: classes")
    classes = classes or tuple(sorted(set(by_image.values())))
    for name, scene in by_image.items():
        check_name(f"scene class in {path}, image {name}:", scene, classes)
    return Scenes(classes, by_image)


def _images(found: dict[str, Any], path: Path, kind: type) -> dict[str, Any]:
    images = found.get("images")
    if not isinstance(images, dict):
        raise ValueError(f'{path}: no object "images" in it; it has {", ".join(found) or "none"}.')
    for name, entry in images.items():
        if not isinstance(entry, kind):
            raise ValueError(
                f"{path}, image {name}: expected a {kind.__name__}, found {shown(entry)}."
            )
    return images


def _size(found: dict[str, Any], path: Path) -> tuple[int, int] | None:
    size = found.get("image_size")
    if size is None:
        return None
    if not isinstance(size, list) or len(size) != 2:
        raise ValueError(f"{path}: image_size is {shown(size)}, not [width, height].")
    width, height = (as_size(v, f"{path}: image_size [width, height]") for v in size)
    return height, width


def _regions(entries: list, categories: tuple[str, ...], where: str) -> list[Region]:
    """The regions of an image. Raises ValueError for one that is there twice."""
    found = [_region(e, categories, f"{where}, region {k}") for k, e in enumerate(entries, 1)]
    first: dict[object, int] = {}
    for k, region in enumerate(found, 1):
        assert region.polygon is not None  # by `_region`
        same = first.setdefault((region.category, region.polygon.numpy().tobytes()), k)
        if same != k:
            raise ValueError(f"{where}: regions {same} and {k} are the same {region.category}.")
    return found


def _region(entry: object, categories: tuple[str, ...], where: str) -> Region:
    if not isinstance(entry, dict) or not {"category", "polygon"} <= entry.keys():
        raise ValueError(f'{where}: a region needs "category" and "polygon".')
    category = as_text(entry["category"], f"{where}: category")
    check_name(f"category in {where}:", category, categories)
    polygon = torch.from_numpy(as_points(entry["polygon"], where))
    if len(polygon) < 3 or not polygon.isfinite().all():
        raise ValueError(f"{where}: a polygon needs three or more finite points.")
    sure = as_flag(entry.get("sure", True), f"{where}: sure")
    return Region(category, polygon=polygon, sure=sure)
