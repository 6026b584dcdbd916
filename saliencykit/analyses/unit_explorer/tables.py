"""The networks that can be explored, and each one's best units, over trainings."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ...datasets import SaliencyDataset
from ...dissection import Dissection, OverTrainings, Statistic
from ...dissection.groups import common
from ...dissection.top_units import ImageSums
from ...intervals import with_own
from ...models import Encoder, SaliencyModel, tasks
from ...registry import check_name
from ...study import Study

GIVEN = ("pre-trained", "untrained")  # these hang on no training
NETWORKS = ("fine-tuned", "frozen", "scenes", *GIVEN)


class Network(NamedTuple):
    """A network, its saliency model if it predicts saliency, and images it has not learned from."""

    encoder: Encoder
    model: SaliencyModel | None
    unseen: SaliencyDataset


def known(study: Study, names: Sequence[str]) -> list[str]:
    """Return those of `NETWORKS` that there can be: scenes are taught where classes are known.

    Raises UnknownNameError for another network.
    """
    found = [check_name("network", name, NETWORKS) for name in names]
    return [name for name in found if name != "scenes" or study.train.scenes]


def trainings(study: Study, name: str) -> list[Network]:
    """Return one of `NETWORKS`: the fine-tuned one in every training, of the others one.

    Saliency models read the deepest layer alone, as those whose units 03 and 07 speak of. Raises
    UnknownNameError for another network.
    """
    check_name("network", name, NETWORKS)
    if name in GIVEN:
        encoder = study.untrained if name == "untrained" else study.pretrained
        return [Network(encoder, None, study.parts(0)[-1])]
    if name == "scenes":
        found = study.each_training(False, task=tasks.Scenes(), count=1)
        return [Network(t.model.encoder, None, t.unseen) for t in found]
    deepest = study.dissected[-1:]
    if name == "frozen":
        found = study.each_training(True, read=deepest, count=1)
        return [Network(study.pretrained, t.model, t.unseen) for t in found]
    found = study.each_training(False, read=deepest)
    return [Network(t.model.encoder, t.model, t.unseen) for t in found]


def best_units(result: Dissection, layers: Sequence[str]) -> pd.Series:
    """Return the unit (layer, number) of any layer that is most selective, by category."""
    wide = pd.concat({layer: result.selectivity(layer) for layer in layers}, axis=1)
    return wide.dropna(how="all").idxmax(axis=1)


def best_anywhere(layers: Sequence[str]) -> Statistic:
    """Return the statistic "mean over a category's regions" of its best unit of any layer.

    The unit is chosen on the images that it is measured on, as in the paper.
    """

    def draw(res: Dissection, weights: Tensor) -> Tensor:
        weights, best = with_own(weights), best_units(res, layers)
        sums = {layer: ImageSums.of(res, layer) for layer, _ in best}
        blank = torch.full((len(weights), 1), torch.nan)
        columns = [
            sums[best[c][0]].mean(k, weights, torch.tensor([best[c][1]])) if c in best else blank
            for k, c in enumerate(res.categories)
        ]
        return torch.cat(columns, 1)

    return draw


def best_table(results: Mapping[str, Sequence[Dissection]], layers: Sequence[str]) -> pd.DataFrame:
    """Return each network's best unit of any layer for each category, a row a network and category.

    results: by network, a dissection of each training. encoder, category, mean, low, high,
    se_images, sd_trainings, "training 1" …: selectivity of the best unit, which each training has
    its own; layer, unit: the first training's; again: that one unit's selectivity in the other
    trainings, their mean. Categories on too few images are left out: their best of many units would
    be the luck of a few fixations.
    """
    parts = []
    for name, (first, *others) in results.items():
        over = OverTrainings.of([first, *others], best_anywhere(layers))
        table = over.table(encoder=name).rename(columns={"value": "mean"})
        table = table[table["category"].isin(common(first))]
        where = best_units(first, layers)[table["category"]]
        tables = [{layer: res.selectivity(layer) for layer in layers} for res in others]
        again = [
            np.mean([own[layer].loc[category, unit] for own in tables]) if others else np.nan
            for category, (layer, unit) in where.items()
        ]
        layer, unit = zip(*where, strict=True) if len(where) else ((), ())
        parts.append(table.assign(layer=layer, unit=unit, again=again))
    return pd.concat(parts, ignore_index=True)


def every_unit(results: Sequence[Dissection], layer: str) -> pd.DataFrame:
    """Return how selective each unit of `layer` is, over a network's trainings.

    category, unit, value, low, high, se_images, sd_trainings, "training 1" …: as
    `OverTrainings.table` of `mean_of` that unit, a row a category and unit.
    """

    def means(res: Dissection, weights: Tensor) -> Tensor:
        sums, weights = ImageSums.of(res, layer), with_own(weights)
        return torch.cat([sums.mean(c, weights) for c in range(len(sums.count))], 1)

    over, units = OverTrainings.of(results, means), results[0].of(layer).shape[1]
    images = np.repeat(over.images, units)
    pairs = list(product(over.categories, range(units)))
    table = replace(over, categories=tuple(map(str, pairs)), images=images).table()
    where = pd.DataFrame(pairs, columns=["category", "unit"])
    return pd.concat([where, table.drop(columns="category")], axis=1)


def telling_units(after: pd.DataFrame, before: pd.DataFrame) -> list[int]:
    """Return the units that say most of a layer, by number.

    Of each category the most selective one in either network, and those whose selectivity rises
    and falls most from one to the other. after, before: `every_unit` of one layer.
    """
    wide = [
        table.pivot(index="category", columns="unit", values="value") for table in (after, before)
    ]
    ours, theirs = (table.dropna(how="all") for table in wide)
    best = [each.idxmax(axis=1) for each in (ours, theirs, ours - theirs, theirs - ours)]
    return sorted({int(unit) for units in best for unit in units})
