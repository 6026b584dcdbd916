"""Bits of each fixation: by how much it is likelier under a readout's density than under the prior.

Bits of fixations add up: a mean over some of them, those of a category, say, times their share of
the weight, is what they contribute to the whole.
"""

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ..cache import Entry, cached
from ..datasets import SaliencyDataset
from ..metrics.upsampling import Size
from ..models import CentrePrior, Tapped, upsample
from ..models.loglinear import coarse_features, coarse_grid, fit_densities
from ..sources import code_of


def looks(data: SaliencyDataset) -> pd.DataFrame:
    """Return a row a fixation inside its image, image by image.

    Columns: image (its number in `data`), x, y (pixels), observer, order (NaN where unknown), and
    weight, sum 1: all images count the same, within an image all observers, and all fixations of
    theirs, as in `people.observer_curve`.
    """
    parts = []
    for i, name in enumerate(data.names):
        seen = data.fixations(i).inside(*data.size_of(i), name)
        columns = {"x": seen.x, "y": seen.y, "observer": seen.observer}
        order = np.full(len(seen), np.nan) if seen.order is None else seen.order.numpy()
        parts.append(pd.DataFrame({"image": i, **columns, "order": order.astype(float)}))
    return weighed(pd.concat(parts, ignore_index=True))


def weighed(seen: pd.DataFrame) -> pd.DataFrame:
    """Return the fixations with the `weight` that each has among these (see `looks`)."""
    own = seen.groupby(["image", "observer"])["x"].transform("size")
    people = seen.groupby("image")["observer"].transform("nunique")
    return seen.assign(weight=1 / (own * people * seen["image"].nunique()))


def read_layers(
    encoder: Tapped,
    layers: Sequence[str],
    data: SaliencyDataset,
    size: Size,
    prior: CentrePrior,
    folds: int = 5,
) -> dict[str, Entry]:
    """Read each frozen layer as a density of fixations, cross-validated over images; cached.

    See `models.loglinear`. Of each layer, tensors: "bits" (F,), of each row of `looks`, by the
    readout that never saw the image, on the image's own pixels (`bits_of`); "maps" (N, h, w),
    "weights" (C, K) and "penalties" (K,), of `fit_densities`. Raises ValueError for fewer images
    than folds, UnknownNameError for a layer that is not there.
    """
    fold, grid = fold_of(data, folds), coarse_grid(size)
    seen = cache(lambda: coarse_features(encoder, data, layers, size).tensors)
    share = cache(lambda: _shares(data, grid))
    found = {}
    for layer in tqdm(encoder.checked(layers), desc=f"reading {encoder.name}", leave=False):

        def compute(layer: str = layer) -> Entry:
            read = fit_densities(seen()[layer], share(), prior, fold)
            return Entry({"bits": bits_of(read.maps, data, prior), **read._asdict()})

        key = {
            "code": code_of(read_layers),
            "encoder": encoder.fingerprint,
            "data": data.fingerprint,
            "layer": layer,
            "size": size,
            "prior": asdict(prior),
            "folds": folds,
        }
        about = {"encoder": encoder, "data": data}
        found[layer] = cached("read_layers", key, compute, about)
    return found


def read_together(
    layers: Sequence[tuple[Tapped, Sequence[str]]],
    data: SaliencyDataset,
    size: Size,
    prior: CentrePrior,
    folds: int = 5,
) -> Entry:
    """Read all these layers at once, as one density: a readout of their readouts' maps; cached.

    layers: of each encoder those to read. Each map of `read_layers`, which never saw its image, is
    a channel, and what the channels weigh is learned as the readouts were, on the other folds
    (stacking: Wolpert 1992, Neural Networks 5, 241–259). Tensors and errors: those of
    `read_layers`; C is the number of layers.
    """
    grid = coarse_grid(size)

    def compute() -> Entry:
        found = [
            entry.tensors["maps"]
            for encoder, names in layers
            for entry in read_layers(encoder, names, data, size, prior, folds).values()
        ]
        seen = torch.cat([upsample(maps[:, None], grid) for maps in found], 1)
        read = fit_densities(seen, _shares(data, grid), prior, fold_of(data, folds))
        return Entry({"bits": bits_of(read.maps, data, prior), **read._asdict()})

    key = {
        "code": code_of(read_together),
        "layers": [(encoder.fingerprint, encoder.checked(names)) for encoder, names in layers],
        "data": data.fingerprint,
        "size": size,
        "prior": asdict(prior),
        "folds": folds,
    }
    return cached("read_together", key, compute, {"data": data})


def fold_of(data: SaliencyDataset, folds: int) -> Tensor:
    """Return (N,): the number of the fold that holds each image."""
    fold = {name: k for k, part in enumerate(data.folds(folds)) for name in part.names}
    return torch.tensor([fold[name] for name in data.names])


def _shares(data: SaliencyDataset, grid: Size) -> Tensor:
    """Return (N, *grid): what share of an image's fixations each cell holds, weighed as `looks`."""
    share = np.zeros((len(data), *grid))
    seen = looks(data)
    sizes = np.array([data.size_of(i) for i in range(len(data))])[seen["image"]]
    cells = (seen[["y", "x"]] * np.array(grid) / sizes).to_numpy().astype(int)
    np.add.at(share, (seen["image"], *cells.T), seen["weight"] * seen["image"].nunique())
    return torch.from_numpy(share)


def bits_of(maps: Tensor, data: SaliencyDataset, prior: CentrePrior) -> Tensor:
    """Return (F,) float64: log2 of density over prior at each row of `looks`.

    maps: (N, h, w), the logarithm of the one over the other, brought bilinearly to each image's own
    pixels, over which the density then sums to 1.
    """
    base: dict[Size, Tensor] = {}
    found = []
    for i, name in enumerate(data.names):
        size = data.size_of(i)
        own = data.fixations(i).inside(*size, name)
        if size not in base:
            flat = prior.map(size).flatten()
            base[size] = flat / flat.sum()
        log = upsample(maps[i][None, None].float(), size)[0, 0]
        top = log.max()
        whole = (base[size] @ (log - top).exp().flatten()).double().log()
        at = log[own.y.long(), own.x.long()]
        found.append(((at - top).double() - whole) / np.log(2))
    return torch.cat(found)
