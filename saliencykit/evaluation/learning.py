"""How well each task was learned: scores by epoch, against what a constant answer would get."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from ..datasets import SaliencyDataset
from ..models.tasks import Classification, Task

LEVEL = 0.95


def learning(
    tasks: Sequence[Task], curves: Sequence[pd.DataFrame], validation: SaliencyDataset
) -> pd.DataFrame:
    """Return scores of `tasks` by epoch: task, measure, epoch, train, validation, low, high …

    … chance, images. low, high: Wilson's interval of the validation accuracy, images being
    independent (Agresti & Coull 1998); NaN for NSS. chance: the accuracy of always naming the
    validation images' commonest class; 0 for NSS, a constant map's. images: those behind it.
    """
    parts = [_one(task, curve, validation) for task, curve in zip(tasks, curves, strict=True)]
    return pd.concat(parts, ignore_index=True)


def _one(task: Task, curve: pd.DataFrame, validation: SaliencyDataset) -> pd.DataFrame:
    low = high = np.full(len(curve), np.nan)
    chance, images = 0.0, len(validation)
    if isinstance(task, Classification):
        chance, images = task.chance(validation)
        spans = [accuracy_interval(score, images) for score in curve["validation"]]
        low, high = np.array(spans).T
    columns = {"epoch": curve["epoch"], "train": curve["train"], "validation": curve["validation"]}
    about = {"low": low, "high": high, "chance": chance, "images": images}
    return pd.DataFrame({"task": task.name, "measure": task.measure, **columns, **about})


def accuracy_interval(accuracy: float, images: int) -> tuple[float, float]:
    """Return Wilson's interval of the share of `images` named rightly."""
    right = binomtest(round(accuracy * images), images)
    return tuple(right.proportion_ci(LEVEL, method="wilson"))
