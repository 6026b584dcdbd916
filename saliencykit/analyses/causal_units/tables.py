"""Do models lose the category whose units they lost, and no other? Over trainings.

Each training has units of its own that are named for a category, chosen on images to learn from and
ablated on images that it never saw. What a region loses is the change of region NSS of the model's
own map; what it loses *beyond* control units is that minus the mean change under the controls.

Each number is computed of every training, and again on resampled images, alike in all trainings
that saw the same ones, and with resampled groups of control units, which each training has of its
own: with few of them, which ones were drawn matters too. `OverTrainings` combines them. Claims
about units in general (does selectivity predict contribution?) resample units instead, alike in all
trainings, whose units all come from one encoder's. Intervals of the single categories hold
together; that of the mean over categories holds by itself.
"""

from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property, partial
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ...datasets import SaliencyDataset
from ...dissection import OverTrainings
from ...dissection.ablation import Effects
from ...dissection.ablation_study import AblationStudy
from ...dissection.groups import (
    Group,
    Role,
    best_groups,
    common,
    named,
)
from ...dissection.naming import UNIT_DRAWS, method_agreement, of_units, same_labels
from ...dissection.overlap import Overlap
from ...dissection.result import Dissection
from ...dissection.top_units import MIN_IMAGES, ImageSums
from ...intervals import image_weights, rank_correlation, resampled, times_drawn, with_own
from ...study import Study

ALL = "all categories"
MAIN = "named by selectivity"
WAYS = {MAIN: "selectivity", "named by contrast": "contrast"}


# All trainings


class Setup(NamedTuple):
    """What was done, for the words: see `CausalUnits.setup`."""

    layer: str
    units: int
    k: int
    different: float
    again: float
    named: float
    matched: float
    choose_on: int
    score_on: int
    trainings: int
    left_out: list[str]


class CausalUnits:
    """The ablations of every training of a study, of models that read the deepest layer alone.

    So the paper's do; and only of such does the map lose what the layer's units said. k: units to a
    category; controls: groups of matched units to a category; doses: numbers of units to sweep.
    """

    def __init__(self, study: Study, k: int = 5, controls: int = 5, doses: Sequence[int] = ()):
        self.k, self.controls, self.doses = k, controls, doses
        self.layer = study.dissected[-1]
        trained = study.each_training(False, read=[self.layer])
        self.each = [
            AblationStudy(t.model, self.layer, *_parts(study, s), study.size, t.seed)
            for s, t in enumerate(trained)
        ]

    @cached_property
    def categories(self) -> list[str]:
        """Those that every training can choose units for, and has fixated regions of to score.

        Raises ValueError if there is none.
        """
        found = [common(one.named) for one in self.each]
        there = scored([one.contributions for one in self.each])
        names = [c for c in there if all(c in own for own in found)]
        if not names:
            raise ValueError(f"no category has fixated regions on {MIN_IMAGES} images or more")
        return names

    @property
    def setup(self) -> Setup:
        """How many units, images and trainings there are.

        different: of the units named for any category how many differ, mean over trainings; again:
        what share of a category's units another training names for it too, mean over pairs; named,
        matched: what these groups contribute to the map's region NSS where units were chosen.
        """
        chosen = [best_groups(s.named, self.layer, self.k, self.categories) for s in self.each]
        different = np.mean([len({u for own in c.values() for u in own}) for c in chosen])
        shared = [
            len({*a[name]} & {*b[name]}) / self.k
            for a, b in combinations(chosen, 2)
            for name in self.categories
        ]
        every = self.each[0].named.categories
        return Setup(
            layer=self.layer,
            units=len(self.each[0].moments.mean),
            k=self.k,
            different=float(different),
            again=float(np.mean(shared)) if shared else np.nan,
            named=self._contributed(Role.NAMED),
            matched=self._contributed(Role.MATCHED),
            choose_on=len(self.each[0].choose_on),
            score_on=len({name for one in self.each for name in one.score_on.names}),
            trainings=len(self.each),
            left_out=[c for c in every if c not in self.categories],
        )

    def _contributed(self, role: Role) -> float:
        groups = [
            one.traits[-1][list(group.units)].sum().item()
            for one, effects in zip(self.each, self.effects(), strict=True)
            for group in effects.groups
            if group.role is role
        ]
        return float(np.mean(groups)) if groups else np.nan

    @cached_property
    def _found(self) -> list[dict[Hashable, Effects]]:
        """What each training loses: by way of naming units, and by dose."""
        return [one.effects(self._groups(one)) for one in self.each]

    def _groups(self, one: AblationStudy) -> dict[Hashable, list[Group]]:
        found: dict[Hashable, list[Group]] = {
            way: one.groups(self.k, self.categories, matched=self.controls, by=WAYS[way])
            for way in self._ways
        }
        return found | {n: one.groups(n, self.categories, matched=0) for n in self.doses}

    def effects(self, key: Hashable = MAIN) -> list[Effects]:
        """Return what each training loses by units named in one of `WAYS`, or by a dose of them."""
        return [found[key] for found in self._found]

    @property
    def ways(self) -> dict[Hashable, list[Effects]]:
        """`effects` by way of naming units."""
        return {way: self.effects(way) for way in self._ways}

    @property
    def _ways(self) -> list[str]:
        """Return `WAYS`; the first alone where there is one category, which contrasts with none."""
        return list(WAYS)[: len(self.categories)]

    @property
    def dosed(self) -> dict[Hashable, list[Effects]]:
        """`effects` by number of units."""
        return {n: self.effects(n) for n in self.doses}

    def carried(self) -> pd.DataFrame:
        """Return `carried` of all trainings."""
        pairs = [(one.named, one.contributions) for one in self.each]
        return carried(pairs, self.layer, self.categories, self.k)

    def agreement(self) -> pd.DataFrame:
        """Return `method_agreement` of all trainings."""
        return method_agreement(self._both, self.layer, self.categories)

    def labels(self) -> pd.DataFrame:
        """Return `same_labels` of all trainings."""
        return same_labels(self._both, self.layer, self.categories)

    @property
    def _both(self) -> list[tuple[Overlap, Dissection]]:
        return [(one.overlap, one.named) for one in self.each]


def _parts(study: Study, number: int) -> tuple[SaliencyDataset, SaliencyDataset]:
    """Return the annotated images that training `number` chooses units on and scores them on."""
    if study.train_data in (None, "", study.data):
        learned, _, unseen = study.parts(number)
        return learned, unseen
    return study.annotated.split("train"), study.held_out


def scored(results: Sequence[Dissection]) -> dict[str, int]:
    """Return on how many images each category can be scored, of all trainings together.

    Only categories with fixated regions in every training, and on `MIN_IMAGES` images or more.
    """
    each = [res.regions[res.regions["fixations"] > 0] for res in results]
    images = pd.concat(each).groupby("category")["image"].nunique().to_dict()
    everywhere = set.intersection(*(set(own["category"]) for own in each))
    names = [c for c in results[0].categories if c in everywhere]
    return {c: images[c] for c in names if images[c] >= MIN_IMAGES}


# What is lost


class Changes(NamedTuple):
    """Changes (S, 1 + n, rows, columns), by whose units are ablated; and what they rest on.

    Rows: the category whose units; columns: the one whose regions, both `names`, on `images`.
    """

    parts: dict[str, np.ndarray]
    names: tuple[str, ...]
    images: np.ndarray
    regions: tuple[pd.DataFrame, ...]

    def over(self, values: np.ndarray) -> OverTrainings:
        """Return one number a category (S, 1 + n, K)."""
        return OverTrainings(values, self.names, self.images, self.regions)


def ablation_matrix(effects: Sequence[Effects], n: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Return first (the ablated category), second (the scored one), value, low, high …

    A number is the change beyond matched units, if there are any; a row for each category that has
    units of its own, and each as scored; the intervals hold together over all of them. Raises
    ValueError if no group is named for a category of the data.
    """
    found = _changes(effects, n, seed)
    entries, names = found.parts.get("beyond matched", found.parts["named"]), found.names
    first, second = np.repeat(names, len(names)), np.tile(names, len(names))
    cells = OverTrainings(
        entries.reshape(*entries.shape[:2], -1),
        tuple(map(str, first)),
        np.tile(found.images, len(names)),
        found.regions,
    )
    return cells.table(together=True, first=first, second=second).drop(columns="category")


def losses(
    effects: Sequence[Effects], n: int = 1000, seed: int = 0, together: bool = True
) -> pd.DataFrame:
    """Return units, where, category, value, low, high, se_images, sd_trainings, "training 1" ….

    category: whose units are ablated, and `ALL`, the mean over categories with an interval. units:
    "named" (the category's own group), "matched" (the mean over its controls), "random" (over the
    random groups), and "beyond matched", "beyond random" (named minus either), as far as there are
    such groups. where: "own" regions, those of "others" (mean over categories), and their
    "difference", own − others: below 0, a category's units serve it more than the rest. One
    category alone has no others and no mean. together: whether the intervals of the categories hold
    together. Raises ValueError if no group is named for a category of the data.
    """
    found = _changes(effects, n, seed)
    tables = []
    for units, entries in found.parts.items():
        own = np.diagonal(entries, axis1=2, axis2=3)
        sides = {"own": own}
        if len(found.names) > 1:
            others = _others(entries)
            sides |= {"others": others, "difference": own - others}
        for where, values in sides.items():
            over, names = found.over(values), {"units": units, "where": where}
            tables += [over.table(together, **names), *_mean(over, **names)]
    return pd.concat(tables, ignore_index=True)


def losses_by(
    name: str, effects: Mapping[Hashable, Sequence[Effects]], together: bool = True
) -> pd.DataFrame:
    """Return `losses` of several ablations, told apart by a first column `name`."""
    parts = {key: losses(one, together=together) for key, one in effects.items()}
    return pd.concat(parts, names=[name, None]).reset_index(name).reset_index(drop=True)


def _mean(over: OverTrainings, **columns: object) -> list[pd.DataFrame]:
    """Return the table of the mean over categories, if there are several."""
    return [over.averaged(ALL).table(**columns)] if len(over.categories) > 1 else []


def _changes(effects: Sequence[Effects], n: int, seed: int) -> Changes:
    results = [one.result for one in effects]
    images = scored(results)
    names = [c for c in images if all(c in named(one.groups) for one in effects)]
    if not names:
        there = ", ".join(map(str, effects[0].groups))
        raise ValueError(f"no group is named for a category that can be scored: {there}")
    each = [_changed(one, names, n, (seed, s)) for s, one in enumerate(effects)]
    parts = {units: np.stack([own[units] for own in each]) for units in each[0]}
    counts, regions = np.array([images[c] for c in names]), tuple(r.regions for r in results)
    return Changes(parts, tuple(names), counts, regions)


def _changed(
    effects: Effects, names: Sequence[str], n: int, seed: tuple[int, int]
) -> dict[str, np.ndarray]:
    """Return one training's changes (1 + n, rows, columns), by whose units are ablated."""
    weights, every = _image_draws(effects.result, n, seed[0]), effects.groups
    sums = ImageSums.of(effects.result, "change")
    columns = [sums.mean(sums.categories.index(c), weights) for c in names]
    changes = torch.stack(columns, 1).double().numpy()  # (1 + n, columns, groups)
    own = named(every)
    parts = {"named": np.stack([changes[..., every.index(own[c])] for c in names], 1)}
    for role in (Role.MATCHED, Role.RANDOM):
        sought = [(role, None if role is Role.RANDOM else c) for c in names]
        groups = [[i for i, g in enumerate(every) if g[:2] == kind] for kind in sought]
        if all(groups):
            rows = [  # random groups serve all categories, so they are drawn alike for all
                _mean_of_groups(changes[..., own], np.random.default_rng([*seed, r]))
                for r, own in zip(
                    range(1, 1 + len(names)) if role is Role.MATCHED else [0] * len(names),
                    groups,
                    strict=True,
                )
            ]
            parts[role.value] = np.stack(rows, 1)
    beyond = {f"beyond {units}": parts["named"] - parts[units] for units in list(parts)[1:]}
    return parts | beyond


def _image_draws(res: Dissection, n: int, seed: int) -> Tensor:
    """Return image weights (1 + n, I), the images as they are first."""
    return with_own(image_weights(res.regions["image"].nunique(), n, seed))


def _mean_of_groups(changes: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Mean (1 + n, K) over groups (1 + n, K, G), which are resampled after the first.

    G − 1 are drawn of G, so that the draws vary as the mean does; one group tells of no other.
    """
    groups = changes.shape[-1]
    fewer = max(1, groups - 1)
    drawn = times_drawn(np.ones(groups), len(changes), random, fewer) / fewer
    drawn[0] = 1 / groups
    return np.einsum("nkg,ng->nk", changes, drawn)


def _others(entries: np.ndarray) -> np.ndarray:
    """Mean (…, rows) over each row's columns (…, rows, columns) but its own."""
    apart = np.where(np.eye(entries.shape[-1], dtype=bool), np.nan, entries)
    return np.nanmean(apart, -1)


# What units carry


def carried(
    pairs: Sequence[tuple[Dissection, Dissection]],
    layer: str,
    categories: Sequence[str],
    k: int,
    n: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how much of each category's region NSS its `k` best units of `layer` carry.

    pairs: of each training a dissection, which names the units, and `contributions` of its model,
    which reads `layer` alone, on other images. what, category, value, low, high …; what: "map",
    region NSS of the model's map; "carried", what the category's units contribute to it; "fair",
    the map's times their share of the units; "beyond", carried − fair; and "rho", Spearman's
    correlation over units of selectivity and contribution: its interval resamples units, and the
    images of both where all trainings have the same, and their standard error is `se_units`.
    Intervals hold together over categories. Raises UnknownNameError for a layer that is not read,
    else as `best_groups`.
    """
    regions = tuple(found.regions for _, found in pairs)
    there = scored([found for _, found in pairs])
    images = np.array([there[c] for c in categories])
    each = [_carried(*pair, layer, categories, k, n, seed) for pair in pairs]
    tables = []
    for what in each[0]:
        over = OverTrainings(
            np.stack([own[what] for own in each]), tuple(categories), images, regions
        )
        tables += [over.table(True, what=what), *_mean(over, what=what)]
    units = pairs[0][0].of(layer).shape[1]
    draw = partial(_predicted, layer=layer, categories=categories, n=UNIT_DRAWS, seed=seed)
    rho = np.stack([draw(*pair, resample=over.crossed) for pair in pairs])
    over = OverTrainings(rho, tuple(categories), np.minimum(images, units), ())
    tables.append(of_units(over, what="rho"))
    if len(categories) > 1:
        tables.append(of_units(over.averaged(ALL), what="rho"))
    return pd.concat(tables, ignore_index=True)


def _carried(
    chosen: Dissection,
    found: Dissection,
    layer: str,
    categories: Sequence[str],
    k: int,
    n: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Return one training's draws (1 + n, K), by what."""
    sums, weights = ImageSums.of(found, layer), _image_draws(found, n, seed)
    draws: dict[str, list[Tensor]] = {what: [] for what in ("map", "carried", "fair", "beyond")}
    for category, units in best_groups(chosen, layer, k, categories).items():
        every = sums.mean(sums.categories.index(category), weights).double()
        part, fair = every[:, units].sum(1), every.mean(1) * len(units)
        found_parts = (every.sum(1), part, fair, part - fair)
        for what, values in zip(draws, found_parts, strict=True):
            draws[what].append(values)
    return {what: torch.stack(parts, 1).numpy() for what, parts in draws.items()}


def _predicted(
    chosen: Dissection,
    found: Dissection,
    layer: str,
    categories: Sequence[str],
    n: int,
    seed: int,
    resample: bool,
) -> np.ndarray:
    """Return one training's rank correlations (1 + n, K) over units, which are resampled.

    resample: whether the images of either are resampled as well.
    """
    drawn = resampled(chosen.of(layer).shape[1], n, seed)
    values = []
    for i, res in enumerate((chosen, found)):
        sums, weights = ImageSums.of(res, layer), _image_draws(res, n, seed + i)
        weights = weights if resample else weights[:1]
        means = [sums.mean(sums.categories.index(c), weights).numpy() for c in categories]
        values.append([np.take_along_axis(_as_many(m, n), drawn, 1) for m in means])
    return np.stack([rank_correlation(x, y) for x, y in zip(*values, strict=True)], 1)


def _as_many(means: np.ndarray, n: int) -> np.ndarray:
    return np.broadcast_to(means, (1 + n, means.shape[1]))
