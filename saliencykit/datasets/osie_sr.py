"""OSIE-SR: the paper's own annotation of OSIE's salient regions (He et al., CVPR 2019)."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import scipy.ndimage
import torch

from ..reading.pictures import read_mask
from .base import DATASETS, file_digests
from .files import Source, existing_root, missing
from .osie import Osie
from .types import CATEGORIES, Region

IDS: dict[int, str] = dict(
    zip((1, 10, 16, 22, 27, 37, 46, 51, 57, 63, 68, 73), CATEGORIES, strict=True)
)
"""Category of each id in `SegmentationClass`."""
VOID = (0, 255)
"""Background, and what labelme writes for "ignore" (−1 as a byte)."""
EIGHT = np.ones((3, 3), dtype=bool)
"""Pixels that touch at a corner are connected."""


@DATASETS.register("osie_sr")
class OsieSR(Osie):
    """OSIE's images and fixations with the regions of OSIE-SR, as masks.

    `root` holds labelme's VOC export: `SegmentationClass/1001.png …` with the class ids and
    `SegmentationObject/1001.png …` with instance numbers, palette PNG or plain .npy (also under
    labelme's other folder names, ending in PNG or Npy). `osie` is the folder of data set "osie",
    found as `load("osie")` finds it if not given. Images that lack one of the two masks are left
    out.
    """

    name = "osie_sr"
    source = Source(
        page="https://github.com/SenHe/uavdvsm",
        licence="none stated",
        citation=(
            "He, Tavakoli, Borji, Mi, Pugeault: Understanding and visualizing deep visual saliency "
            "models. CVPR 2019, 10206–10215; and what `osie` cites"
        ),
        steps=(
            "download OSIE-SR by the link on that page, so that there are\n"
            "  {root}/SegmentationClass/1001.png …\n  {root}/SegmentationObject/1001.png …\n"
            "Images and fixations come from data set 'osie': see `saliencykit fetch osie`."
        ),
    )

    def __init__(
        self, root: str | os.PathLike | None = None, osie: str | os.PathLike | None = None
    ):
        self.masks = existing_root("osie_sr", root)
        classes = _mask_files(self.masks, "SegmentationClass")
        objects = _mask_files(self.masks, "SegmentationObject")
        super().__init__(osie)
        self.names = [n for n in self.names if n in classes and n in objects]
        self._mask_files = {n: (classes[n], objects[n]) for n in self.names}
        if not self.names:
            raise missing("osie_sr", f"masks of the images in {self.folder}", self.masks)

    def regions(self, i: int) -> list[Region]:
        """Return the connected instances of stimulus `i`, each with the class most of it has."""
        path, object_path = self._mask_files[self.names[i]]
        classes, objects = self._read(path, i), self._read(object_path, i)
        if unknown := set(np.unique(classes).tolist()) - set(IDS) - set(VOID):
            raise ValueError(
                f"{path}: unknown class id {', '.join(map(str, sorted(unknown)))}. "
                f"Known: {', '.join(map(str, IDS))}; {VOID[0]} and {VOID[1]} are background."
            )
        return [
            Region(_category(classes[mask], object_path, k), mask=torch.from_numpy(mask))
            for k, mask in _instances(objects)
        ]

    def contents(self) -> object:
        """Return what identifies images, fixations and masks."""
        masks = [f for n in self.names for f in self._mask_files[n]]
        return [super().contents(), file_digests(masks)]

    def _read(self, path: Path, i: int) -> np.ndarray:
        mask, (height, width) = read_mask(path), self.size_of(i)
        if mask.shape != (height, width):
            raise ValueError(
                f"{path} is {mask.shape[1]}×{mask.shape[0]} pixels, its image {self.path(i)} is "
                f"{width}×{height}: mask and image must have one size."
            )
        return np.where(mask == -1, VOID[1], mask)  # .npy keeps "ignore" as −1


def _mask_files(root: Path, kind: str) -> dict[str, Path]:
    """Mask files by image name; where an image has several, PNG goes before .npy."""
    folders = [root / f"{kind}{end}" for end in ("", "PNG", "Npy")]
    found = [p for f in folders if f.is_dir() for end in ("png", "npy") for p in f.glob(f"*.{end}")]
    if not found:
        raise missing("osie_sr", f"{kind}/*.png", root)
    return {p.stem: p for p in sorted(found, key=lambda p: p.suffix == ".png")}


def _instances(objects: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Number and mask of every connected part of every instance."""
    for k in np.setdiff1d(objects, VOID):
        parts = np.zeros(objects.shape, dtype=np.int32)
        scipy.ndimage.label(objects == k, EIGHT, output=parts)
        yield from ((int(k), parts == part) for part in range(1, parts.max() + 1))


def _category(classes: np.ndarray, path: Path, instance: int) -> str:
    """Class of most pixels of an instance that have one."""
    ids, counts = np.unique(classes[~np.isin(classes, VOID)], return_counts=True)
    if not len(ids):
        raise ValueError(
            f"{path}: instance {instance} lies on background only in SegmentationClass; "
            "the two masks do not belong together."
        )
    return IDS[int(ids[counts.argmax()])]
