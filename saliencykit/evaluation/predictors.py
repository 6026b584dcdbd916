"""Whose maps are scored: a network's, a classical model's, the centre prior's, files of others'."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..datasets import SaliencyDataset
from ..datasets.base import file_digests
from ..datasets.pysaliency_data import FromPysaliency
from ..models import CentrePrior, PysaliencyModel, SaliencyModel, classical, stimuli, upsample
from ..models.stimuli import placed, to_float
from ..reading.arrays import ARRAYS
from ..reading.maps import check_turned, read_map
from ..reading.pictures import SUFFIXES
from ..registry import one_spelling
from ..sources import code_of

CENTRE = "centre prior"


class Kind(StrEnum):
    """What kind of predictor somebody is."""

    PRIOR = "prior"  # knows where people look, and no image
    CLASSICAL = "classical"  # knows the image, and no fixation
    NETWORK = "network"  # learned from fixations
    FILES = "files"  # somebody else's maps, however made
    PEOPLE = "people"
    OTHER = "other"


@dataclass(frozen=True)
class Predictor:
    """Somebody who answers every image of one data set with a saliency map.

    `map_of(i)` is the map (H, W) of image number i, at the image's own size. `key` says all that
    the maps depend on beside the data, as JSON-able values: scores are cached under it, and not at
    all if it is None. `kind` is what tables and figures tell predictors apart by.
    """

    map_of: Callable[[int], Tensor]
    key: object
    kind: Kind = Kind.OTHER

    def __call__(self, i: int) -> Tensor:
        """Return the map (H, W) of image number i."""
        return self.map_of(i)


def network_maps(model: SaliencyModel, data: SaliencyDataset, size: tuple[int, int]) -> Predictor:
    """Return `model`'s maps, the network seeing images at `size` (height, width).

    It runs once over all images, when the first map is asked for; only the small maps before
    upsampling are kept.
    """

    @cache
    @torch.inference_mode()
    def coarse() -> tuple[Tensor, list[tuple[int, int]]]:
        shown, net = stimuli(data, size), placed(model)
        images = shown.tensors["images"]
        rows = torch.arange(len(data)).split(16)
        small = torch.cat([net.coarse(to_float(images[r])).cpu() for r in rows])
        return small, [tuple(s) for s in shown.meta["sizes"]]

    def map_of(i: int) -> Tensor:
        small, sizes = coarse()
        return upsample(small[i][None, None], sizes[i])[0, 0]

    code = code_of(network_maps)
    key = {"network": model.fingerprint, "size": list(size), "code": code}
    return Predictor(map_of, key, Kind.NETWORK)


def prior_maps(prior: CentrePrior, data: SaliencyDataset) -> Predictor:
    """Return the centre prior's maps."""
    return Predictor(lambda i: prior.map(data.size_of(i)), {"prior": asdict(prior)}, Kind.PRIOR)


def classical_maps(name: str, data: SaliencyDataset, **parameters: Any) -> Predictor:
    """Return the maps of classical model `name` on the images as they are."""

    def map_of(i: int) -> Tensor:
        return classical.saliency(name, data.image(i)[None].float() / 255, **parameters)[0]

    code = code_of(classical_maps)
    key = {"classical": name, "parameters": parameters, "code": code}
    return Predictor(map_of, key, Kind.CLASSICAL)


def model_maps(model: Callable[[Tensor], Tensor], data: SaliencyDataset) -> Predictor:
    """Return the maps of any function of images (B, 3, H, W) in [0, 1] → (B, H, W), uncached.

    It sees images as they are; a model of pysaliency sees pysaliency's own stimuli, if `data` comes
    from there, since it may know the maps of these alone.
    """

    @torch.inference_mode()
    def map_of(i: int) -> Tensor:
        if isinstance(model, PysaliencyModel) and isinstance(data, FromPysaliency):
            return model.of(data.stimulus(i))
        return model(data.image(i)[None].float() / 255)[0]

    return Predictor(map_of, None)


def file_maps(folder: Path, data: SaliencyDataset) -> Predictor:
    """Return somebody else's maps: `folder`/<image name>.npy (H, W), or a grey picture.

    A map of another size than its image is resized bilinearly. Raises FileNotFoundError, counting
    them, if images of `data` have no map; ValueError, naming the file, for one that is damaged, in
    colour or turned by a quarter, and for two pictures of one name.
    """
    found = maps_in(folder)
    if lost := [name for name in data.names if name not in found]:
        raise FileNotFoundError(
            f"{folder} holds no map for {len(lost)} of {len(data)} images, the first {lost[0]!r}. "
            f"Maps are called like the images: {lost[0]}.npy or {lost[0]}.png."
        )

    def map_of(i: int) -> Tensor:
        path, size = found[data.names[i]], data.size_of(i)
        values = read_map(path)
        check_turned(path, (values.shape[0], values.shape[1]), size)
        return _sized(values, size)

    key = {"files": file_digests([found[name] for name in data.names])}
    return Predictor(map_of, key, Kind.FILES)


def maps_in(folder: Path) -> Mapping[str, Path]:
    """Return the map files below `folder` by image name; of an array and a picture, the array.

    Raises FileNotFoundError for no such folder, ValueError for two pictures of one name.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"The folder of maps, {folder}, is not there.")
    maps: dict[str, Path] = {}
    for kind in (SUFFIXES, ARRAYS):  # arrays last: they win
        named: dict[str, Path] = {}
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in kind or path.is_dir():
                continue
            name = one_spelling(path.relative_to(folder).with_suffix("").as_posix())
            if name in named:
                raise ValueError(f"{path} and {named[name]} are maps of one name; keep one.")
            named[name] = path
        maps |= named
    return maps


def _sized(values: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(values.shape) == tuple(size):
        return values
    return interpolate(values[None, None], size, mode="bilinear", antialias=True)[0, 0]
