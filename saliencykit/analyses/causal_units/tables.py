"""Does a model lose the category whose units it lost, and no other?

Rows are ablated categories, columns those whose regions are scored. An entry is the mean change of
region NSS over the column's regions, minus the mean change under the row's control groups, if it
has any: what ablating *these* units does beyond ablating as many others. Negative: a loss.

Intervals resample images, alike for all entries, and control groups: with few of them, which ones
were drawn matters too. The units of the group itself stay fixed. A category with regions on fewer
than `MIN_IMAGES` images is NaN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ...datasets import SaliencyDataset
from ...dissection.ablation import Effects, ablation_effects
from ...dissection.contributions import contributions_cached
from ...dissection.dissect import dissect_cached
from ...dissection.groups import (
    Group,
    Moments,
    Role,
    best_groups,
    common,
    named,
    named_groups,
    unit_moments_cached,
)
from ...dissection.overlap import Overlap, overlap_cached
from ...dissection.result import Dissection
from ...dissection.top_units import MIN_IMAGES, ImageSums
from ...intervals import (
    bounds,
    image_weights,
    rank_correlation,
    resampled,
    summarised,
    with_mean,
    with_own,
)
from ...metrics.upsampling import Size
from ...models.saliency import SaliencyModel
from ...study import Study

ALL = "all categories"


class Draws(NamedTuple):
    """Changes (1 + n, categories, groups), the data's own first; names of rows and of columns."""

    changes: Tensor
    rows: list[str]
    columns: tuple[str, ...]


def ablation_matrix(effects: Effects, n: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Return first (the ablated category), second (the scored one), value, low, high.

    A row for each category that has a group of its own, and its matched groups for controls. Raises
    ValueError if no group is named for a category of the data.
    """
    changes, rows, columns = _draws(effects, n, seed)
    entries = torch.stack([_beyond_controls(effects, row, changes, seed) for row in rows], 1)
    low, high = bounds(entries[1:])
    found = [
        (a, b, *(float(v[i, j]) for v in (entries[0], low, high)))
        for i, a in enumerate(rows)
        for j, b in enumerate(columns)
    ]
    return pd.DataFrame(found, columns=["first", "second", "value", "low", "high"])


def specificity(effects: Effects, n: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Return category, own, others, value, low, high: how much more its own category changes.

    `own` and `others` are the row's entries in its own column and, on average, in the others;
    `value` is own − others, negative if the category's units serve it more than the rest.
    """
    changes, rows, columns = _draws(effects, n, seed)
    entries = torch.stack([_beyond_controls(effects, row, changes, seed) for row in rows], 1)
    own, others = _own_and_others(entries, rows, columns)
    low, high = bounds((own - others)[1:])
    values = {"own": own[0], "others": others[0], "value": (own - others)[0]}
    return pd.DataFrame({"category": rows, **values, "low": low, "high": high})


def losses(effects: Effects, n: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Return category, units, where, value, low, high: changes, not yet minus those of controls.

    category: whose units are ablated, and `ALL`, the mean over categories. units: "named" (the
    category's own group), "matched" (the mean over its controls), "random" (over the random
    groups), and "beyond matched", "beyond random" (named minus either), as far as there are
    such groups. where: "own" regions, those of "others" (mean over categories), and their
    "difference", own − others: `specificity`, if beyond matched. Categories on too few images to
    say are left out. Raises ValueError if none is left.
    """
    changes, rows, columns = _draws(effects, n, seed)
    rows = [row for row in rows if not changes[0, columns.index(row), 0].isnan()]
    if not rows:
        raise ValueError(f"no ablated category has fixated regions on {MIN_IMAGES} images or more")
    parts = [_by_units(effects, row, changes, seed) for row in rows]
    entries = {units: torch.stack([part[units] for part in parts], 1) for units in parts[0]}
    tables = []
    for units, entry in entries.items():
        own, others = _own_and_others(entry, rows, columns)
        for where, draws in (("own", own), ("others", others), ("difference", own - others)):
            names = {"category": [*rows, ALL], "units": units, "where": where}
            tables.append(pd.DataFrame({**names, **summarised(with_mean(draws))}))
    return pd.concat(tables, ignore_index=True)


def losses_by(
    name: str, effects: Mapping[object, Effects], n: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Return `losses` of several ablations, told apart by a first column `name`."""
    parts = {key: losses(one, n, seed) for key, one in effects.items()}
    return pd.concat(parts, names=[name, None]).reset_index(name).reset_index(drop=True)


def _draws(effects: Effects, n: int, seed: int) -> Draws:
    sums = ImageSums.of(effects.result, "change")
    rows = [name for name in named(effects.groups) if name in sums.categories]
    if not rows:
        there = ", ".join(map(str, effects.groups))
        raise ValueError(f"no group is named for a category of the data: {there}")
    weights = with_own(image_weights(len(sums.images), n, seed))
    changes = torch.stack([sums.mean(c, weights) for c in range(len(sums.categories))], 1)
    changes[:, (sums.count > 0).sum(1) < MIN_IMAGES] = torch.nan
    return Draws(changes, rows, sums.categories)


def _own_and_others(
    entries: Tensor, rows: list[str], columns: tuple[str, ...]
) -> tuple[Tensor, Tensor]:
    """Each row's entry in its own column, and its mean in the others: (1 + n, rows)."""
    own_column = torch.tensor([columns.index(row) for row in rows])[:, None]
    own = entries.gather(2, own_column.expand(len(entries), -1, -1))[..., 0]
    is_own = torch.arange(len(columns)) == own_column
    return own, entries.masked_fill(is_own, torch.nan).nanmean(2)


def _beyond_controls(effects: Effects, row: str, changes: Tensor, seed: int) -> Tensor:
    """Changes (1 + n, K) of group `row` minus the mean of its controls, if it has any."""
    parts = _by_units(effects, row, changes, seed)
    return parts.get("beyond matched", parts["named"])


def _by_units(effects: Effects, row: str, changes: Tensor, seed: int) -> dict[str, Tensor]:
    """Changes (1 + n, K) by whose units are ablated; see `losses`."""
    parts = {"named": changes[..., effects.groups.index(named(effects.groups)[row])]}
    for role, category in ((Role.MATCHED, row), (Role.RANDOM, None)):
        sought = (role, category)
        if controls := [i for i, g in enumerate(effects.groups) if g[:2] == sought]:
            parts[role.value] = _mean_of_groups(changes[..., controls], seed + 1)
    beyond = {f"beyond {units}": parts["named"] - parts[units] for units in list(parts)[1:]}
    return parts | beyond


def _mean_of_groups(changes: Tensor, seed: int) -> Tensor:
    """Mean (1 + n, K) over groups, which are resampled after the first."""
    groups = changes.shape[-1]
    drawn = with_own(image_weights(groups, len(changes) - 1, seed)) / groups
    return (changes @ drawn[..., None])[..., 0]


class Labels(NamedTuple):
    """Each live unit's best category by either measure, names (units,)."""

    nss: np.ndarray
    iou: np.ndarray


def method_agreement(
    over: Overlap, res: Dissection, layer: str, n: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Return category, rho, low, high, by_nss, by_iou, by_both.

    rho: Spearman's correlation over units of IoU and selectivity; by_*: of how
    many units the category is the best by region NSS, by IoU, by both. Only categories with fixated
    regions on `MIN_IMAGES` images or more take part.
    """
    iou, selectivity = _tables(over, res, layer)
    labels = _labels(iou, selectivity)
    drawn = resampled(iou.shape[1], n, seed)
    rows = []
    for c in iou.index:
        x, y = iou.loc[c].to_numpy(), selectivity.loc[c].to_numpy()
        rho = summarised(rank_correlation(x[drawn], y[drawn]))
        ours, theirs = labels.nss == c, labels.iou == c
        rows.append((c, *rho.values(), ours.sum(), theirs.sum(), (ours & theirs).sum()))
    columns = ["category", "rho", "low", "high", "by_nss", "by_iou", "by_both"]
    return pd.DataFrame(rows, columns=columns)


def same_labels(
    over: Overlap, res: Dissection, layer: str, n: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Return measure, value, low, high: on how many units both measures' best categories agree.

    "share" of the units that meet any category, in [0, 1]; "chance", the share that the labels'
    frequencies alone would bring; "kappa", Cohen's, (share − chance) / (1 − chance).
    """
    labels = _labels(*_tables(over, res, layer))
    drawn = resampled(len(labels.nss), n, seed)
    ours, theirs = labels.nss[drawn], labels.iou[drawn]
    share = (ours == theirs).mean(1)
    chance = sum(
        (ours == c).mean(1) * (theirs == c).mean(1) for c in np.unique(np.concatenate(labels))
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        kappa = np.where(chance < 1, (share - chance) / (1 - chance), np.nan)
    found = {"share": share, "chance": chance, "kappa": kappa}
    rows = [(name, *summarised(draws).values()) for name, draws in found.items()]
    return pd.DataFrame(rows, columns=["measure", "value", "low", "high"])


def _tables(over: Overlap, res: Dissection, layer: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    if over.categories != tuple(res.categories):
        raise ValueError("overlap and dissection know different categories; use one data set")
    names = common(res)
    return over.of(layer).loc[names], res.selectivity(layer).loc[names]


def _labels(iou: pd.DataFrame, selectivity: pd.DataFrame) -> Labels:
    alive = iou.max() > 0
    ours, theirs = (table.loc[:, alive].idxmax().to_numpy(str) for table in (selectivity, iou))
    return Labels(ours, theirs)


@dataclass
class AblationStudy:
    """Units of a model's `layer`, chosen on `choose_on` and ablated on `score_on`, all cached.

    The two share no images: the best of many noisy units look better than they are where they
    were chosen. size: the network's input (height, width).
    """

    model: SaliencyModel
    layer: str
    choose_on: SaliencyDataset
    score_on: SaliencyDataset
    size: Size
    seed: int = 0

    @classmethod
    def of(cls, study: Study) -> "AblationStudy":
        """Return the fine-tuned units of a study's layer: chosen on the training split."""
        model, _ = study.fine_tuned
        choose_on = study.annotated.split("train")
        return cls(model, study.layer, choose_on, study.held_out, study.size, study.seed)

    @property
    def read_layer(self) -> str:
        """`layer` if the readout reads it, else the deepest that it does: for contributions."""
        return self.layer if self.layer in self.model.layers else self.model.layers[-1]

    @cached_property
    def named(self) -> Dissection:
        """Units of `layer` and `read_layer`, dissected on the images to choose on."""
        layers = list(dict.fromkeys([self.layer, self.read_layer]))
        return dissect_cached(self.model.encoder, self.choose_on, layers, size=self.size)

    @cached_property
    def categories(self) -> list[str]:
        """The categories fixated on enough images of both kinds to choose and to score."""
        scored = common(self.contributions)
        return [c for c in common(self.named) if c in scored]

    @cached_property
    def moments(self) -> Moments:
        """Mean and spread of each unit of `layer` on the images to choose on."""
        found = unit_moments_cached(
            self.model.encoder, self.choose_on, [self.layer], size=self.size
        )
        return found[self.layer]

    def groups(
        self, k: int, *, matched: int = 5, random: int = 10, by: str = "selectivity"
    ) -> list[Group]:
        """Return each category's `k` best units, and controls; see `named_groups`."""
        return named_groups(
            self.named,
            self.layer,
            k,
            self.moments,
            self.categories,
            matched=matched,
            random=random,
            seed=self.seed,
            by=by,
        )

    def effects(self, groups: Sequence[Group], to: str = "mean") -> Effects:
        """Set groups of units to their mean on the images to choose on, or to "zero"."""
        value = self.moments.mean if to == "mean" else to
        return ablation_effects(
            self.model, self.score_on, self.layer, groups, value, size=self.size
        )

    @cached_property
    def contributions(self) -> Dissection:
        """What each unit that is read adds to the map, on the images to score on."""
        return contributions_cached(self.model, self.score_on, size=self.size)

    @cached_property
    def overlap(self) -> Overlap:
        """IoU of the units of `layer` with the categories, on the images to choose on."""
        return overlap_cached(self.model.encoder, self.choose_on, [self.layer], size=self.size)


def carried(
    chosen: Dissection, found: Dissection, layer: str, k: int, n: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Return how much of each category's region NSS its `k` best units of `layer` carry.

    chosen: a dissection, which names the units; found: `contributions` of a model on other images.
    what: "map", region NSS of the model's map; "layer", what all units of the layer contribute to
    it; "carried", what the category's units do; "fair", the layer's part times their share of its
    units; "beyond", carried − fair; and "rho", Spearman's correlation over units of selectivity in
    `chosen`, whose images are resampled as well, and contribution. Raises UnknownNameError for a
    layer that is not read, else as `best_groups`.
    """
    found.of(layer)
    groups = {c: u for c, u in best_groups(chosen, layer, k).items() if c in common(found)}
    draws = _parts(found, layer, groups, n, seed)
    draws["rho"] = _predicted(chosen, found, layer, list(groups), n, seed)
    tables = [
        pd.DataFrame(
            {
                "category": [*groups, ALL],
                "what": what,
                **summarised(with_mean(torch.stack(parts, 1))),
            }
        )
        for what, parts in draws.items()
    ]
    return pd.concat(tables, ignore_index=True)


def _parts(
    found: Dissection, layer: str, groups: Mapping[str, Sequence[int]], n: int, seed: int
) -> dict[str, list[Tensor]]:
    """Return draws (1 + n,) by what and by category."""
    sums = {name: ImageSums.of(found, name) for name in found.layers}
    own = sums[layer]
    weights = with_own(image_weights(len(own.images), n, seed))
    draws: dict[str, list[Tensor]] = {k: [] for k in ("map", "layer", "carried", "fair", "beyond")}
    for category, units in groups.items():
        c = own.categories.index(category)
        every = own.mean(c, weights)
        named, fair = every[:, units].sum(1), every.mean(1) * len(units)
        whole = sum(part.mean(c, weights).sum(1) for part in sums.values())
        parts = (whole, every.sum(1), named, fair, named - fair)
        for what, part in zip(draws, parts, strict=True):
            draws[what].append(part)
    return draws


def _predicted(
    chosen: Dissection, found: Dissection, layer: str, names: Sequence[str], n: int, seed: int
) -> list[Tensor]:
    """Return draws (1 + n,) of the rank correlation, by category."""
    both = ImageSums.of(chosen, layer), ImageSums.of(found, layer)
    weights = [with_own(image_weights(len(s.images), n, seed + i)) for i, s in enumerate(both)]
    rho = []
    for category in names:
        x, y = (
            s.mean(s.categories.index(category), w).numpy()
            for s, w in zip(both, weights, strict=True)
        )
        rho.append(torch.from_numpy(rank_correlation(x, y)))
    return rho
