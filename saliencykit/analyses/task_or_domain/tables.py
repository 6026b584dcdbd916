"""What training for each task taught, and how far it moved networks: notebook 05.

How alike networks are is told by `findings.alike`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ...datasets import SaliencyDataset
from ...dissection.result import Dissection
from ...dissection.top_units import ImageSums, paired_draws
from ...findings.alike import (
    LIKENESSES,
    SPAN,
    Likeness,
    by_training,
    over_trainings,
    within_between,
)
from ...intervals import Learned, crossed, nested, of_share, spread_out
from ...models.tasks import Classification, Task
from ...study import Trained

MEAN = "mean"  # in place of a training's number


def apart(found: Mapping[str, Tensor], tasks: Sequence[str]) -> pd.DataFrame:
    """Return within − between of every two tasks: measure, first, second, value … at one layer."""
    rows = []
    for measure in LIKENESSES:
        each = by_training(found[measure], len(tasks))
        for i, first in enumerate(tasks):
            for j in range(i + 1, len(tasks)):
                two = each[:, [i, j]][:, :, :, [i, j]]
                told = over_trainings(within_between, two)
                span = [*(part[2] for part in told[:5]), told.trainings]
                rows.append((measure, first, tasks[j], *span))
    return pd.DataFrame(rows, columns=["measure", "first", "second", *SPAN])


def pairs(found: Mapping[str, Tensor], tasks: Sequence[str]) -> pd.DataFrame:
    """Return all pairs at one layer: measure, task, training, other, other_training, value."""
    columns = ["task", "training", "other", "other_training"]
    parts = []
    for measure in LIKENESSES:
        each = by_training(found[measure], len(tasks))[0]
        numbers = range(1, each.shape[1] + 1)
        index = pd.MultiIndex.from_product([tasks, numbers, tasks, numbers], names=columns)
        parts.append(index.to_frame(index=False).assign(measure=measure, value=each.ravel()))
    return pd.concat(parts, ignore_index=True)[["measure", *columns, "value"]]


# Each task beside the pre-trained network


def drift(found: Likeness, tasks: Sequence[str]) -> pd.DataFrame:
    """Return how alike networks are to the pre-trained one: task, layer, measure, training, value …

    Measures: "cka_debiased" and "correlation", of units with themselves. training: a number, or
    `MEAN` with its interval over trainings and images.
    """
    parts = []
    for layer, measures in found.items():
        for measure in ("cka_debiased", "correlation"):
            of_tasks = measures[measure][:, 0, 1:].chunk(len(tasks), 1)
            for task, values in zip(tasks, of_tasks, strict=True):
                mean = values.mean(1).numpy()
                told = crossed(values[0], spread_out(mean[0], mean[1:]), len(mean) - 1)
                about = {"task": task, "layer": layer, "measure": measure}
                parts.append(each_and_mean(values[0].numpy(), told, **about))
    return pd.concat(parts, ignore_index=True)


def each_and_mean(values: np.ndarray, told: Learned, **about: object) -> pd.DataFrame:
    """Return a row a training, then one of their mean with its interval."""
    singles = {"training": [str(k + 1) for k in range(len(values))], "value": values}
    mean = dict(zip(SPAN, told, strict=True)) | {"training": MEAN}
    table = pd.concat([pd.DataFrame(singles), pd.DataFrame([mean])], ignore_index=True)
    return table[["training", *SPAN]].assign(**about)


def gains(
    before: Dissection,
    after: Mapping[str, Sequence[Dissection]],
    layer: str,
    k: int = 10,
    n: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Return top means before and after each task's trainings: task, category, training, before …

    … after, difference; of `MEAN` with intervals *_low, *_high. The `k` best units are chosen on
    one half of the images and scored on the other.
    """
    shown = (ImageSums.of(before, layer).count > 0).sum(1).tolist()
    rows = []
    for task, networks in after.items():
        found = [paired_draws(before, one, layer, k, "crossfit", n, seed) for one in networks]
        for c, category in enumerate(before.categories):
            row: dict[str, object] = {"task": task, "category": category, "training": MEAN}
            singles = [dict(row, training=str(s + 1)) for s in range(len(found))]
            row["trainings"] = len(found)
            for name in ("before", "after", "difference"):
                values = [value[name][c].item() for value, _ in found]
                draws = torch.stack([drawn[name][:, c] for _, drawn in found]).mean(0)
                told = crossed(values, draws.numpy(), shown[c])
                row |= {name: told.value, f"{name}_low": told.low, f"{name}_high": told.high}
                row |= {f"{name}_se_images": told.se_images}
                row |= {f"{name}_sd_trainings": told.sd_trainings}
                for single, value in zip(singles, values, strict=True):
                    single[name] = value
            rows += [*singles, row]
    return pd.DataFrame(rows)


def learning(
    tasks: Sequence[Task], taught: Mapping[str, Sequence[Trained]], validation: SaliencyDataset
) -> pd.DataFrame:
    """Return scores by epoch: task, measure, epoch, training, train, value (validation) …

    … low, high, se_images, sd_trainings, trainings, chance, images. Intervals of accuracies are
    over trainings and images (as if these were right or wrong independently); those of NSS over
    trainings alone.
    chance: the accuracy of always naming the validation images' commonest class; 0 for NSS, a
    constant map's. images: those behind it.
    """
    parts = [_one(task, taught[task.name], validation) for task in tasks]
    return pd.concat(parts, ignore_index=True)


def _one(task: Task, trained: Sequence[Trained], validation: SaliencyDataset) -> pd.DataFrame:
    chance, images = 0.0, len(validation)
    train, values = (
        np.stack([one.curve[name].to_numpy() for one in trained])
        for name in ("train", "validation")
    )
    told = nested(values)
    if isinstance(task, Classification):
        chance, images = task.chance(validation)
        rng = np.random.default_rng(0)
        drawn = rng.binomial(images, told.value, (1000, len(told.value))) / images
        told = of_share(crossed(values, drawn, images), images)
    epoch = trained[0].curve["epoch"].to_numpy()
    singles = [
        pd.DataFrame({"epoch": epoch, "training": str(k + 1), "train": of, "value": value})
        for k, (of, value) in enumerate(zip(train, values, strict=True))
    ]
    mean = {"epoch": epoch, "training": MEAN, "train": train.mean(0)}
    mean |= dict(zip(SPAN, told, strict=True))
    table = pd.concat([*singles, pd.DataFrame(mean)], ignore_index=True)
    return table.assign(task=task.name, measure=task.measure, chance=chance, images=images)
