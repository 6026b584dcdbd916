"""From fixations back to weights: what an analysis of toyworld must be able to find."""

import numpy as np

from saliencykit.datasets import CATEGORIES, SaliencyDataset

BACKGROUND = "background"


def _counts(data: SaliencyDataset) -> tuple[np.ndarray, np.ndarray]:
    """Fixations and pixels by image and category, each (images, 13); the last is background.

    A pixel under several regions counts for the last one.
    """
    seen = np.zeros((len(data), len(CATEGORIES) + 1))
    area = np.zeros_like(seen)
    for i in range(len(data)):
        height, width = data.image(i).shape[-2:]
        owner = np.full((height, width), len(CATEGORIES))
        for region in data.regions(i):
            owner[region.as_mask(height, width).numpy()] = CATEGORIES.index(region.category)
        fixated = data.fixations(i).count_map(height, width).numpy()
        seen[i] = np.bincount(owner.ravel(), fixated.ravel(), len(CATEGORIES) + 1)
        area[i] = np.bincount(owner.ravel(), minlength=len(CATEGORIES) + 1)
    return seen, area


def recovered_weights(data: SaliencyDataset, steps: int = 200) -> dict[str, float]:
    """Fixations per pixel of every category, comparing only what was seen in one picture.

    Maximum likelihood of weights w when a fixation on image i falls on category c with chance
    w_c · area_ic / Σ_k w_k · area_ik, by minorisation-maximisation (Hunter, Annals of Statistics
    2004, for the Plackett-Luce family). Unlike a plain rate it does not depend on what else the
    pictures hold. The mean over categories is 1; "background" is listed too. A category that occurs
    in no image is NaN. Works on any data set with regions.
    """
    seen, area = _counts(data)
    weight, total = np.ones(seen.shape[1]), seen.sum(1, keepdims=True)
    for _ in range(steps):
        expected = (total * area / (area @ weight)[:, None]).sum(0)
        weight = seen.sum(0) / np.where(expected > 0, expected, np.nan)
        weight = np.where(np.isfinite(weight), weight, 0)
        weight = weight / weight.mean()
    weight = np.where(area.sum(0) > 0, weight, np.nan)
    weight = weight / np.nanmean(weight[:-1])
    return dict(zip((*CATEGORIES, BACKGROUND), weight.tolist(), strict=True))
