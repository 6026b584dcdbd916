"""Data sets to and from pysaliency (Kümmerer et al.), whose stimuli and fixations are two things.

Both packages count pixels alike: x right, y down, pixel (0, 0) covers [0, 1) × [0, 1). pysaliency
is an optional extra, imported when it is needed.
"""

import importlib
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from ..cache import digest
from ..paths import regular, whole
from ..reading.pictures import as_image, is_turned, read_image, stored_shape
from ..reading.positions import check_pixels, lost
from .base import DATASETS, SaliencyDataset, file_digests
from .files import FileDataset, Source, existing_root, missing
from .types import Fixations

FILES = ("stimuli.hdf5", "fixations.hdf5")
"""What pysaliency calls the two files of a data set."""


def pysaliency_package(name: str = "pysaliency") -> Any:
    """Return pysaliency, or h5py, which its files need. Raises ImportError: how to get it."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*pkg_resources", UserWarning)
            return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f'{name} cannot be imported ({error}): pip install "saliencykit[pysaliency]".'
        ) from error


def from_pysaliency(
    stimuli: Any, fixations: Any = None, name: str = "pysaliency"
) -> "FromPysaliency":
    """Return a data set of pysaliency's stimuli and fixations, or of the paths of their HDF5 files.

    stimuli: `Stimuli` (arrays, as `reading.pictures.as_image` takes them) or `FileStimuli`, which
    are read when asked for. fixations: `Fixations`, or trains of them, whose sequence becomes
    `order`; their attribute `duration` or `durations` is taken for seconds, as in pysaliency's own
    data sets. One path alone is a folder with stimuli.hdf5 and fixations.hdf5. Subjects are
    numbered from 0 in the order of theirs. `name` is what tables call the data set.

    Raises FileNotFoundError; ImportError without the extra; ValueError for fixations without
    images, files that hold something else, or anything that is no such data.
    """
    if isinstance(stimuli, str | os.PathLike):
        if fixations is None and Path(stimuli).is_dir():
            return from_pysaliency(*(Path(stimuli, file) for file in FILES), name=name)
        stimuli = _read(Path(stimuli))
    if isinstance(fixations, str | os.PathLike):
        fixations = _read(Path(fixations))
    return FromPysaliency(stimuli, fixations, name)


class FromPysaliency(SaliencyDataset):
    """Stimuli and fixations of pysaliency: see `from_pysaliency`.

    Files are named as they are, without suffix and shared folders; arrays by an attribute `names`
    of the stimuli, else by their number.
    """

    own_split = False

    def __init__(self, stimuli: Any, fixations: Any, name: str = "pysaliency"):
        _check(stimuli, fixations)
        self.name, self.stimuli = name, stimuli
        self.names = _names(stimuli)
        self._number = {known: k for k, known in enumerate(self.names)}
        self._gaze = _gaze(fixations)
        self.pooled = self._gaze.order is None and len(self._gaze.observer.unique()) == 1
        n = torch.from_numpy(np.asarray(fixations.n, dtype=np.int64))
        self._rows = n.argsort(stable=True).split(n.bincount(minlength=len(self)).tolist())

    def stimulus(self, i: int) -> Any:
        """Return stimulus `i` as pysaliency has it, which its models want."""
        return self.stimuli[self._number[self.names[i]]]

    def image(self, i: int) -> Tensor:
        """Return stimulus `i` as uint8 (3, H, W).

        Raises ValueError if a file is damaged, or to be turned: pysaliency counts pixels as stored.
        """
        if not (files := getattr(self.stimuli, "filenames", None)):
            return as_image(self.stimulus(i).stimulus_data)
        path = Path(files[self._number[self.names[i]]])
        if is_turned(path):
            raise ValueError(
                f"{path} is to be turned, its EXIF says, but pysaliency, in whose pixels the "
                "fixations are, sees it as stored. Store it upright."
            )
        return read_image(path)  # past pysaliency's cache of whole images

    def size_of(self, i: int) -> tuple[int, int]:
        """Return (height, width) of stimulus `i` without decoding it."""
        height, width = self.stimulus(i).size
        return int(height), int(width)

    def fixations(self, i: int) -> Fixations:
        """Return the fixations on stimulus `i`."""
        return self._gaze[self._rows[self._number[self.names[i]]]]

    def contents(self) -> object:
        """Return what identifies images and fixations."""
        numbers = [self._number[name] for name in self.names]
        if files := getattr(self.stimuli, "filenames", None):
            images: object = file_digests([Path(files[k]) for k in numbers])
        else:
            images = [self.stimuli[k].stimulus_id for k in numbers]
        gaze = [column for column in vars(self._gaze).values() if column is not None]
        return [images, digest(*gaze, *(self._rows[k] for k in numbers))]


@DATASETS.register("pysaliency")
class PysaliencyFolder(FromPysaliency):
    """The stimuli.hdf5 and fixations.hdf5 in `root`, for profiles and commands."""

    source = Source(
        page="https://github.com/matthias-k/pysaliency",
        licence="the data's own",
        citation="the data set itself",
        steps=(
            "let pysaliency fetch a data set, with pysaliency.get_mit1003(location=…) or another\n"
            "of its functions, or write your own with its to_hdf5, so that there are\n"
            "  {root}/stimuli.hdf5\n  {root}/fixations.hdf5\n"
            'Reading them needs pip install "saliencykit[pysaliency]".'
        ),
    )

    def __init__(self, root: str | os.PathLike | None = None):
        folder = existing_root("pysaliency", root)
        if lost := [file for file in FILES if not (folder / file).is_file()]:
            raise missing("pysaliency", lost[0], folder)
        super().__init__(*(_read(folder / file) for file in FILES))


def to_pysaliency(data: SaliencyDataset, out: str | os.PathLike | None = None) -> tuple[Any, Any]:
    """Return `data` as pysaliency's stimuli and fixations; write both as HDF5 into `out`, if given.

    Stimuli are `FileStimuli` where the data set has plain image files, else `Stimuli` that ask for
    an image when they need it. Fixations are trains, one an observer and showing of an image, if
    their order is known, which is their `t`; durations go along as `duration`, in seconds. Those
    outside the image, which pysaliency's metrics cannot take, are left out, with a warning that
    counts them.

    `out` is a folder, made if need be, which gets stimuli.hdf5 and fixations.hdf5. Raises
    FileExistsError if they are there; ImportError without the extra; ValueError if an observer's
    showings of an image are mixed, row by row.
    """
    package = pysaliency_package()
    stimuli, fixations = _stimuli(data, package), _trains(data, package)
    if out is not None:
        _write(stimuli, fixations, Path(out))
    return stimuli, fixations


# --- from pysaliency ------------------------------------------------------------------------------


def _read(path: Path) -> Any:
    """What an HDF5 file holds, read anew: pysaliency remembers files by their names."""
    regular(path)
    package, h5py = pysaliency_package(), pysaliency_package("h5py")
    try:
        with h5py.File(path, "r") as file:
            return package.read_hdf5(file)
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is no HDF5 file of pysaliency, or damaged ({error}).") from error


def _check(stimuli: Any, fixations: Any) -> None:
    if stimuli is None:
        raise ValueError("pysaliency data without images: stimuli is None.")
    if not all(hasattr(stimuli, part) for part in ("stimulus_objects", "sizes")):
        raise ValueError(f"stimuli are to be pysaliency's Stimuli, not {type(stimuli).__name__}.")
    if not all(hasattr(fixations, part) for part in ("x", "y", "n")):
        raise ValueError(
            f"fixations are to be pysaliency's Fixations, not {type(fixations).__name__}."
        )
    n = np.asarray(fixations.n)
    if len(n) and (n.min() < 0 or n.max() >= len(stimuli)):
        raise ValueError(
            f"pysaliency data without images: fixations are on stimuli {n.min()} to {n.max()}, but "
            f"there are {len(stimuli)}, numbered from 0."
        )
    files = [Path(file) for file in getattr(stimuli, "filenames", ())]
    if gone := [file for file in files if not file.is_file()]:
        raise FileNotFoundError(
            f"pysaliency data without images: {len(gone)} of {len(files)} files are not there, the "
            f"first {gone[0]}."
        )


def _names(stimuli: Any) -> list[str]:
    numbered = [f"{k:0{len(str(len(stimuli) - 1))}d}" for k in range(len(stimuli))]
    files = getattr(stimuli, "filenames", None)
    if files is None:
        given = [str(name) for name in stimuli.attributes.get("names", numbered)]
        return given if len(set(given)) == len(given) else numbered
    paths = [PurePath(file).with_suffix("") for file in files]
    for depth in range(1, 1 + max((len(path.parts) for path in paths), default=0)):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return numbered  # a file that is there twice


def _gaze(fixations: Any) -> Fixations:
    subjects = _first(fixations, "subject", "subjects")
    subjects = np.zeros(len(fixations.x)) if subjects is None else np.asarray(subjects)
    observer = np.unique(subjects, return_inverse=True)[1]
    seconds = _first(fixations, "duration", "durations")
    x, y = (np.array(getattr(fixations, axis), dtype=np.float64) for axis in "xy")
    check_pixels(x, y, "pysaliency's fixations")
    x[lost(x, y, "pysaliency's fixations")] = np.nan  # dropped, since they are on no image
    return Fixations.of(x, y, observer, _order(fixations, observer), seconds)


def _first(fixations: Any, *names: str) -> Any:
    """The first attribute that is there: pysaliency 0.3 calls some otherwise than 0.2."""
    found = (getattr(fixations, name, None) for name in names)
    return next((value for value in found if value is not None), None)


def _order(fixations: Any, observer: np.ndarray) -> np.ndarray | None:
    """How many fixations came before; None if none is said to, though observers made several."""
    before = np.asarray(_first(fixations, "scanpath_history_length", "lengths"), dtype=np.int64)
    trials = np.stack([np.asarray(fixations.n, dtype=np.int64), observer], axis=1)
    known = before.any() or len(np.unique(trials, axis=0)) == len(trials)
    return before if known else None


# --- to pysaliency --------------------------------------------------------------------------------


def _stimuli(data: SaliencyDataset, package: Any) -> Any:
    attributes = {"names": list(data.names)}
    if isinstance(data, FileDataset):
        files = [data.path(i) for i in range(len(data))]
        shapes = [stored_shape(file) for file in files]
        if None not in shapes:
            return package.FileStimuli([str(f) for f in files], False, shapes, attributes)

    class Shown(package.datasets.Stimulus):
        """A stimulus that is read when its pixels are asked for."""

        def __init__(self, i: int):
            self.i, self._stimulus_id = i, None
            self._size = data.size_of(i)
            self._shape = (*self._size, 3)

        @property
        def stimulus_data(self) -> np.ndarray:
            return data.image(self.i).permute(1, 2, 0).numpy()

    found = package.datasets.ObjectStimuli([Shown(i) for i in range(len(data))], attributes)
    found.stimuli.cache = False
    return found


def _trains(data: SaliencyDataset, package: Any) -> Any:
    looks = {i: data.fixations(i) for i in range(len(data))}
    looks = {i: g.inside(*data.size_of(i), data.names[i]) for i, g in looks.items() if len(g)}
    if not looks or any(look.order is None for look in looks.values()):
        return _without_order(looks, package)
    trains = [(i, *t) for i, look in looks.items() for t in _trials(look, data.names[i])]
    ns, subjects, trials = zip(*trains, strict=True)
    x, y, order = (
        [getattr(trial, part).numpy() for trial in trials] for part in ("x", "y", "order")
    )
    seconds = _durations(trials)
    return package.FixationTrains.from_fixation_trains(
        *(x, y, order, ns, subjects),
        scanpath_fixation_attributes={"durations": seconds} if seconds else None,
        scanpath_attribute_mapping={"durations": "duration"},
    )


def _without_order(looks: dict[int, Fixations], package: Any) -> Any:
    n = np.repeat(list(looks), [len(look) for look in looks.values()]).astype(np.int64)
    x, y, observer = (
        np.concatenate([np.zeros(0), *(getattr(look, part).numpy() for look in looks.values())])
        for part in ("x", "y", "observer")
    )
    before = [np.full((len(n), 1), np.nan)] * 3
    seconds = _durations(list(looks.values()))
    return package.Fixations(
        *(x, y, np.zeros(len(n)), *before, n, observer.astype(np.int64)),
        attributes={"duration": np.concatenate(seconds)} if seconds else None,
    )


def _durations(looks: Sequence[Fixations]) -> list[np.ndarray]:
    """Durations of each of `looks`; nothing if some have none."""
    found = [look.duration.numpy() for look in looks if look.duration is not None]
    return found if len(found) == len(looks) else []


def _trials(look: Fixations, name: str) -> Iterator[tuple[int, Fixations]]:
    """Observer and fixations of each showing: of several, the next begins where order falls back.

    Raises ValueError if the rows of an observer's showings are mixed.
    """
    for observer in look.observer.unique().tolist():
        rows = look[look.observer == observer]
        assert rows.order is not None
        order, times = rows.order.unique(return_counts=True)
        if times.max() == 1:
            yield observer, rows[rows.order.argsort()]
            continue
        starts = np.flatnonzero(rows.order.diff().numpy() <= 0) + 1
        if len(starts) + 1 > times.max():
            raise ValueError(
                f"{name}: observer {observer} has {int(times.max())} fixations of order "
                f"{int(order[times.argmax()])} in rows that are mixed: which belong to one showing "
                "of the image? Sort them by showing and order."
            )
        for part in np.split(np.arange(len(rows)), starts):
            yield observer, rows[torch.from_numpy(part)]


def _write(stimuli: Any, fixations: Any, out: Path) -> None:
    pysaliency_package("h5py")  # said before anything is written
    paths = [out / file for file in FILES]
    if there := [path for path in paths if path.exists()]:
        raise FileExistsError(f"{there[0]} is there already; nothing is written over.")
    out.mkdir(parents=True, exist_ok=True)
    with patch.object(np, "string_", np.bytes_, create=True):  # pysaliency 0.2.22 wants numpy 1's
        for part, path in zip((stimuli, fixations), paths, strict=True):
            with whole(path, beside=True) as unfinished:  # files are named relative to it
                part.to_hdf5(str(unfinished))
