"""Data sets whose stimuli are image files, and what to say when the files are not there."""

import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from ..paths import data_root
from ..reading.pictures import SUFFIXES, image_size, read_image
from ..registry import one_spelling
from .base import SaliencyDataset, file_digests
from .types import Fixations

T = TypeVar("T")


@dataclass(frozen=True)
class Archive:
    """A zip at a stable address: `url`, its `sha256`, and the subfolder it unpacks `into`."""

    url: str
    sha256: str
    into: str = "."


@dataclass(frozen=True)
class Source:
    """Where a data set comes from.

    `page` is the official page, `licence` what it allows (a word or two, more after a semicolon),
    `citation` what to cite, `steps` what a person has to do ("{root}" stands for the data set's
    folder). `archives` are downloaded by `saliencykit fetch`; leave them
    out unless licence, address and checksum are all known. `by_hand` maps the names of zips that
    a person downloads to the subfolder they unpack into.
    """

    page: str
    licence: str
    steps: str
    archives: tuple[Archive, ...] = ()
    by_hand: Mapping[str, str] | None = None
    citation: str = ""


def missing(name: str, wanted: str | os.PathLike, folder: Path) -> FileNotFoundError:
    """Return the error for data set `name` whose files `wanted` are not in `folder`."""
    base = os.environ.get("SALIENCYKIT_DATA")
    gone = "" if folder.is_dir() else " (there is no such folder)"
    return FileNotFoundError(
        f"Data set {name!r}: no {wanted} in {folder}{gone}. Run `saliencykit fetch {name}` to get "
        f"the files or to read where they come from, or set SALIENCYKIT_DATA (now "
        f"{base or 'not set'}) to the folder that holds {name}/, or pass root=."
    )


def existing_root(name: str, root: str | os.PathLike | None) -> Path:
    """Return the folder of data set `name`. Raises FileNotFoundError if there is none."""
    folder = data_root(name, root)
    if not folder.is_dir():
        raise missing(name, "files", folder)
    return folder


def list_images(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """Return the image files directly in `folder`, sorted by name; hidden ones are skipped.

    By their names: what a file holds is seen when it is read.
    """
    with os.scandir(folder) as found:
        names = sorted(e.name for e in found if not (e.name.startswith(".") or e.is_dir()))
    return [folder / n for n in names if n.lower().endswith(tuple(suffixes))]


def by_name(paths: Iterable[Path], root: Path | None = None) -> dict[str, Path]:
    """Return files by their names without suffix, those of their folders below `root` before them.

    Names have one spelling of accents. Raises ValueError for two that differ in nothing but their
    suffix, spelling or capitals: on many disks they are one, and tables may mean either.
    """
    files: dict[str, Path] = {}
    same: dict[str, Path] = {}
    for path in paths:
        within = Path(path.name) if root is None else path.relative_to(root)
        name = one_spelling(within.with_suffix("").as_posix())
        if twin := same.get(name.casefold()):
            but = "" if name in files else ", capitals apart"
            raise ValueError(f"{path} and {twin} have one name{but}; rename one of them.")
        files[name] = same[name.casefold()] = path
    return files


def as_spelled(path: Path) -> Path:
    """Return `path`, or the file there whose name differs in nothing but how accents are composed.

    Images and what was recorded on them may have come by way of different disks.
    """
    if path.name.isascii() or path.exists() or not path.parent.is_dir():
        return path
    wanted = one_spelling(path.name)
    return next((p for p in path.parent.iterdir() if one_spelling(p.name) == wanted), path)


def check_shape(path: Path, size: tuple[int, int], recorded: tuple[int, int]) -> None:
    """Raise ValueError if an image of `size` is no plain resizing of one of size `recorded`."""
    (h, w), (rh, rw) = size, recorded
    if abs(h * rw - w * rh) > max(rh, rw):  # rounding moves a side by at most one pixel
        raise ValueError(
            f"{path} is {w}×{h} pixels, but where people looked is recorded on {rw}×{rh}: "
            "it was cropped or is another picture. Fetch it again."
        )


class FileDataset(SaliencyDataset):
    """Stimuli in image files: `files` maps their names to paths; `source` says whence they come.

    Images may have been resized since the recording: fixations follow them.
    """

    source: Source | None = None
    files: dict[str, Path]

    def __init__(self, files: dict[str, Path]):
        self.files = files
        self.names = list(files)
        self._kept: dict[Hashable, Any] = {}  # shared by all splits, so that each file is read once

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return `compute()`, called the first time only; splits share what it gave."""
        if key not in self._kept:
            self._kept[key] = compute()
        return self._kept[key]

    def path(self, i: int) -> Path:
        """Return the image file of stimulus `i`."""
        return self.files[self.names[i]]

    def image(self, i: int) -> Tensor:
        """Return stimulus `i` as uint8 (3, H, W)."""
        return read_image(self.path(i))

    def size_of(self, i: int) -> tuple[int, int]:
        """Return (height, width) of stimulus `i` without decoding it."""
        return self.once(("size", self.names[i]), lambda: image_size(self.path(i)))

    def fitted(self, i: int, fixations: Fixations, recorded: tuple[int, int]) -> Fixations:
        """Return `fixations` recorded on (height, width) `recorded` in the image file's pixels."""
        size = self.size_of(i)
        if size == recorded:
            return fixations
        check_shape(self.path(i), size, recorded)
        return fixations.scaled(recorded, size)

    def contents(self) -> object:
        """Return the stamps of the image files; loaders add those of what else they read."""
        return file_digests([self.files[n] for n in self.names])
