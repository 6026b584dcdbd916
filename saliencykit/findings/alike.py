"""Do networks resemble each other by what they learned, or do the images decide (F4)?

Several trainings of each task, on the same images, are compared pairwise on images that none has
learned from. How alike two networks are is told by three `LIKENESSES`:

- "cka_debiased": linear CKA of a layer (`dissection.similarities`), no matter which unit does what;
- "selectivity": the correlation of their selectivities, categories × units, with the means over
  categories and over units taken out. That all responses rise where people look, which is the loss
  of saliency training, so counts for nothing;
- "change": the same of what training added, S_k − S_0. Its length counts for nothing, so networks
  that went the same way are alike, however far each went.

If the images decide, whatever is learned from them, two networks of one task are no more alike than
two of different tasks. So the statistic is their difference, within − between. Training k of every
task has the same seed and order of images: pairs of one k, which are all between tasks, are left
out, and the test deals the networks of each k anew among the tasks (`intervals.relabelled`). Its
p-values hold for these images; intervals are `intervals.jackknifed`, over trainings and images.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..dissection.result import Dissection
from ..dissection.similarity import similarities_cached
from ..dissection.top_units import MIN_IMAGES, ImageSums
from ..intervals import Learned, adjusted, bounds, jackknifed, relabelled, with_own
from ..study import Study

LIKENESSES = ("cka_debiased", "selectivity", "change")
NAMES = dict(zip(LIKENESSES, ("linear CKA", "selectivity", "change of selectivity"), strict=True))
BLOCKS = 20  # of images, that are left out one after the other
SPAN = ["value", "low", "high", "se_images", "sd_trainings", "trainings"]
Likeness = Mapping[str, Mapping[str, Tensor]]
"""By layer and measure: (1 + blocks, K, K) of the pre-trained network and the others, task by task;
of all images, then without each block of them."""


def compared(study: Study) -> tuple[Dissection, dict[str, list[Dissection]], Likeness]:
    """Return dissections before and after each training of `study.taught`, and `likeness`.

    All on the images that none of them has learned from; cached.
    """
    taught, unseen = study.taught, study.parts(0)[2]
    tuned = {task: [one.model.encoder for one in of_task] for task, of_task in taught.items()}
    before = study.dissect(study.pretrained, unseen, p_values=False)
    after = {
        task: [study.dissect(encoder, unseen, p_values=False) for encoder in encoders]
        for task, encoders in tuned.items()
    }
    networks = [study.pretrained, *itertools.chain(*tuned.values())]
    how = {"blocks": BLOCKS, "size": study.size}
    similar = similarities_cached(networks, unseen, study.dissected, **how)
    ordered = {layer: similar[layer] for layer in study.dissected}  # files hold them by name
    return before, after, likeness(ordered, before, after)


def likeness(
    similar: Mapping[str, Tensor], before: Dissection, after: Mapping[str, Sequence[Dissection]]
) -> Likeness:
    """Return how alike all networks are, by layer and each of `LIKENESSES` and "correlation".

    similar: of `dissection.similarities`, the pre-trained network first, the others task by task;
    before, after: their dissections, on the same images. Raises ValueError unless all saw the same
    regions.
    """
    networks = [before, *(found for of_task in after.values() for found in of_task)]
    if any(not before.regions.equals(found.regions) for found in networks):
        raise ValueError("all networks must be dissected on the same regions of one data set")
    return {
        layer: {
            "cka_debiased": found[0],
            "correlation": found[1],
            **by_selectivity(networks, layer),
        }
        for layer, found in similar.items()
    }


def by_selectivity(networks: Sequence[Dissection], layer: str) -> dict[str, Tensor]:
    """Return "selectivity" and "change" (1 + blocks, K, K), see above; NaN where none is told.

    Categories on fewer than 2 `MIN_IMAGES` images are left out. What did not change, as the first
    network itself, has no direction: NaN.
    """
    sums = [ImageSums.of(found, layer) for found in networks]
    images = len(sums[0].images)
    told = ((sums[0].count > 0).sum(1) >= 2 * MIN_IMAGES).nonzero()[:, 0].tolist()
    parts = min(BLOCKS, images)
    block = torch.arange(images) % parts
    if not told:
        nothing = torch.full((1 + parts, len(networks), len(networks)), torch.nan)
        return dict.fromkeys(("selectivity", "change"), nothing.double())
    weights = with_own((block != torch.arange(parts)[:, None]).float())
    found = selectivities(sums, told, weights).double()
    return {"selectivity": correlated(found), "change": correlated(found - found[:, :1])}


def selectivities(sums: Sequence[ImageSums], told: Sequence[int], weights: Tensor) -> Tensor:
    """Return S (n, networks, categories, C) under weights of images (n, I)."""
    return torch.stack([torch.stack([one.mean(c, weights) for one in sums], 1) for c in told], 2)


def correlated(tables: Tensor) -> Tensor:
    """Return correlations (n, K, K) of tables (n, K, categories, C) without their means."""
    centred = tables - tables.mean(2, keepdim=True)
    flat = (centred - centred.mean(3, keepdim=True)).flatten(2)
    length = flat.norm(dim=2, keepdim=True)
    return (flat @ flat.mT / (length @ length.mT)).where(length @ length.mT > 0, torch.nan)


# Within tasks and between them


def by_training(found: Tensor, tasks: int) -> np.ndarray:
    """Return likenesses (n, K, K) without the pre-trained network, (n, tasks, S, tasks, S)."""
    trainings = (found.shape[-1] - 1) // tasks
    return found[:, 1:, 1:].numpy().reshape(-1, tasks, trainings, tasks, trainings)


def within_between(found: np.ndarray) -> np.ndarray:
    """Return means within and between tasks, and their difference (n, 3), of (n, T, S, T, S).

    Over pairs of different trainings, see above; NaN where there is one training only.
    """
    _, tasks, trainings, *_ = found.shape
    other = 1 - np.eye(trainings)
    means = np.einsum("ntkul,kl->ntu", found, other) / max(1, other.sum())
    means = means if trainings > 1 else means * np.nan
    same = np.eye(tasks, dtype=bool)
    within, between = means[:, same].mean(1), means[:, ~same].mean(1)
    return np.stack([within, between, within - between], 1)


def over_trainings(statistic: Callable[[np.ndarray], np.ndarray], found: np.ndarray) -> Learned:
    """Return a statistic (n, m) of likenesses (1 + blocks, T, S, T, S), with its intervals (m,)."""
    own, trainings = statistic(found), found.shape[2]
    rest = [[k for k in range(trainings) if k != left] for left in range(trainings)]
    left_out = [statistic(found[:1][:, :, k][..., k])[0] for k in rest] if trainings > 2 else []
    blank = np.full((trainings, own.shape[1]), np.nan)
    return jackknifed(own[0], left_out or blank, own[1:])


def by_layer(found: Likeness, tasks: Sequence[str], n: int = 10_000) -> pd.DataFrame:
    """Return within − between by layer: layer, measure, within, between, value and its interval …

    … null_low, null_high: where it would lie for 95 % of the deals of the tasks' names; p, one-
    sided; p_adjusted, by Benjamini–Hochberg over the layers of a measure; deals: how many.
    """
    rows = []
    for layer, measures in found.items():
        for measure in LIKENESSES:
            each = by_training(measures[measure], len(tasks))
            told = over_trainings(within_between, each)
            gaps = dealt(each[0], n)
            known = np.isfinite(gaps[0])
            low, high = bounds(gaps) if known else (np.nan, np.nan)
            p = (gaps >= gaps[0] - 1e-12).mean() if known else np.nan
            within, between, _ = told.value
            span = [*(part[2] for part in told[:5]), told.trainings]
            rows.append((layer, measure, within, between, *span, low, high, p, len(gaps)))
    columns = [
        "layer",
        "measure",
        "within",
        "between",
        *SPAN,
        "null_low",
        "null_high",
        "p",
        "deals",
    ]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_adjusted=table.groupby("measure")["p"].transform(adjusted))


def dealt(each: np.ndarray, n: int) -> np.ndarray:
    """Return within − between (P,) of likenesses (T, S, T, S) for every deal of tasks' names."""
    tasks, trainings = each.shape[:2]
    deals = relabelled(tasks, trainings, n).reshape(-1, tasks * trainings)
    flat = each.reshape(tasks * trainings, -1)
    moved = flat[deals[:, :, None], deals[:, None]].reshape(len(deals), *each.shape)
    return within_between(moved)[:, 2]
