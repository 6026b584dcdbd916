"""One network against several controls: best units and decoding, by layer and category.

Whether a given network exceeds an untrained one hangs on which images were shown and on which
random weights the untrained one drew, so an interval covers both (`intervals.beyond`). p-values
are corrected over the categories of a layer (Benjamini–Hochberg).
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch

from .. import cache
from ..intervals import IMAGES, adjusted, beyond, bounds, image_weights, with_own
from .decoding import decoded
from .result import Dissection
from .top_units import ImageSums, top_draws

ALL = "all categories"
COLUMNS = ["own", "own_low", "own_high", "controls", "difference", "difference_low",
           "difference_high", "p_adjusted", "se_images", "sd_controls"]  # fmt: skip
Measured = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Numbers of one network's categories (K,), the same on resampled images (n, K), images (K,)."""


def units_of(best: float, units: int) -> int:
    """Return how many of a layer's units are its best: a share of them if below 1, else so many.

    At least one, at most all. Raises ValueError unless `best` is above 0.
    """
    if best <= 0:
        raise ValueError(f"best is {best}; it must be a share of a layer's units or their number")
    return min(units, max(1, round(best * units) if best < 1 else round(best)))


def best_beyond(
    own: Dissection,
    controls: Sequence[Dissection],
    best: float = 0.1,
    layers: Sequence[str] | None = None,
    n: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the best units' mean region NSS, of a network and beyond its controls.

    best: what share of a layer's units, or how many (see `units_of`); chosen anew in each network
    and cross-fitted (see `top_units`), so that choosing the best of many earns nothing. A row a
    layer (None: all) and category: layer, category, best, units (how many these are), own with its
    interval over images, controls (their mean), difference with its interval, p_adjusted,
    se_images, sd_controls, and each control's number, control_1 …. Raises ValueError unless all saw
    the same regions.
    """

    def measure(res: Dissection, layer: str) -> Measured:
        sums = ImageSums.of(res, layer)
        k = units_of(best, sums.total.shape[2])
        weights = image_weights(len(sums.images), n, seed)
        value, draws = top_draws(sums, k, "crossfit", weights, seed)
        return value.numpy(), draws.numpy(), (sums.count > 0).sum(1).numpy()

    def about(layer: str) -> dict[str, object]:
        units = own.of(layer).shape[1]
        return {"category": own.categories, "best": best, "units": units_of(best, units)}

    return _by_layer(own, controls, layers, measure, about)


def decoding_beyond(
    own: Dissection,
    controls: Sequence[Dissection],
    layers: Sequence[str] | None = None,
    n: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the share of regions named rightly (`decoded`), of a network and beyond its controls.

    Columns as of `best_beyond`, but chance for best and units. The row "all categories" of a layer
    is the balanced accuracy, the mean over the categories told apart; its p stands uncorrected.
    """

    def measure(res: Dissection, layer: str) -> Measured:
        named = decoded(res, layer, seed)
        right = (named["category"] == named["named"]).astype(float).mask(named["named"] == "")
        code, images = pd.factorize(named["image"])
        of = pd.Index(res.categories).get_indexer(named["category"].to_numpy())
        hits, count = np.zeros((2, len(images), len(res.categories)))
        np.add.at(hits, (code, of), right)
        np.add.at(count, (code, of), 1)
        weights = with_own(image_weights(len(images), n, seed)).double().numpy()
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = (weights @ hits) / (weights @ count)
        told = count.sum(0) > 0
        balanced = pd.DataFrame(shares[:, told]).mean(axis=1).to_numpy()
        draws = np.column_stack([shares, balanced])
        return draws[0], draws[1:], np.append((count > 0).sum(0), len(images))

    def about(layer: str) -> dict[str, object]:
        told = decoded(own, layer, seed)["category"].nunique()
        return {"category": [*own.categories, ALL], "chance": 1 / max(1, told)}

    return _by_layer(own, controls, layers, measure, about)


decoding_beyond_cached = cache.remembered(
    "decoding",
    decoding_beyond,
    lambda table: cache.Entry({}, table.to_dict("list")),
    lambda entry: pd.DataFrame(entry.meta),
)


def _by_layer(
    own: Dissection,
    controls: Sequence[Dissection],
    layers: Sequence[str] | None,
    measure: Callable[[Dissection, str], Measured],
    about: Callable[[str], dict[str, object]],
) -> pd.DataFrame:
    """Return a row a layer and category, `about` it and what `measure` finds in all networks."""
    if not controls:
        raise ValueError("no controls are given; nothing can be said to exceed them")
    for control in controls:
        if own.categories != control.categories or not own.regions.equals(control.regions):
            raise ValueError(
                "a network and its controls were not dissected on the same regions; dissect them "
                "on one data set"
            )
    parts = [
        pd.DataFrame({"layer": layer, **about(layer), **_compared(own, controls, layer, measure)})
        for layer in (own.layers if layers is None else layers)
    ]
    return pd.concat(parts, ignore_index=True)


def _compared(
    own: Dissection,
    controls: Sequence[Dissection],
    layer: str,
    measure: Callable[[Dissection, str], Measured],
) -> dict[str, np.ndarray]:
    """Return the columns of numbers, (K,) each."""
    value, draws, images = measure(own, layer)
    others, of_others = [], np.zeros_like(draws)
    for control in controls:
        other, drawn, _ = measure(control, layer)
        others.append(other)
        of_others += drawn / len(controls)
    found = beyond(value, others, draws - of_others, images)
    low, high = np.where(images >= IMAGES, bounds(torch.from_numpy(draws)), np.nan)
    ends = found.value, found.low, found.high
    p = found.p.copy()
    p[: len(own.categories)] = adjusted(p[: len(own.categories)])  # what follows is no category
    numbers = (value, low, high, np.mean(others, 0), *ends, p, *found[4:])
    singles = {f"control_{k}": other for k, other in enumerate(others, 1)}
    return dict(zip(COLUMNS, numbers, strict=True)) | singles


def singles(table: pd.DataFrame) -> pd.DataFrame:
    """Return each control's numbers, a column a control."""
    return table.filter(regex=r"^control_\d+$")
