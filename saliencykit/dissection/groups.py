"""Groups of units: those that a category drives most, and controls to hold against them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from .. import cache
from ..datasets import SaliencyDataset
from ..metrics.upsampling import Size
from ..registry import check_name
from .dissect import Reducing
from .result import Dissection
from .stream import streamed
from .top_units import MIN_IMAGES

STARTS = 8  # more groups are tried than are taken, so that the taken ones match closely
BY = ("selectivity", "contrast")  # how units are named for a category


class Role(Enum):
    """Why units are in a group: named for a category, matched with those, or drawn from all."""

    NAMED = "named"
    MATCHED = "matched"
    RANDOM = "random"


class Group(NamedTuple):
    """Units that are ablated together.

    category: that the units were named for, or those that they are matched with; None for random
    ones, which serve all categories. number: of several such groups, from 1.
    """

    role: Role
    category: str | None
    units: tuple[int, ...]
    number: int = 1

    def __str__(self) -> str:
        if self.role is Role.NAMED:
            return str(self.category)
        what = self.role.value if self.category is None else f"{self.role.value} to {self.category}"
        return f"{what} {self.number}"


def named(groups: Iterable[Group]) -> dict[str, Group]:
    """Return the groups that units of a category are in, by category."""
    return {g.category: g for g in groups if g.role is Role.NAMED and g.category is not None}


class Moments(NamedTuple):
    """Mean and standard deviation (ddof 0) of each unit over all places of all images: (C,)."""

    mean: Tensor
    std: Tensor


def unit_moments(
    enc: Reducing,
    ds: SaliencyDataset,
    layers: Sequence[str],
    *,
    size: Size | None = None,
    batch: int = 16,
    progress: bool = True,
    device: str | torch.device | None = None,
) -> dict[str, Moments]:
    """Return `{layer: Moments}` float64 of the units' activations on `ds`; one streamed pass.

    Raises UnknownNameError for a layer, ValueError for data without images.
    """
    for layer in layers:
        check_name("layer", layer, enc.layers)
    if not len(ds):
        raise ValueError(f"{ds!r} holds no images to average over")
    sums: dict[str, Tensor] = {}
    origin: dict[str, Tensor] = {}  # rounding stays small for units far from zero

    def add(layer: str, activations: Tensor) -> None:
        x = activations.movedim(1, 0).flatten(1).double()
        x = x - origin.setdefault(layer, x[:, :1].clone())
        found = torch.stack([torch.full_like(x[:, 0], x.shape[1]), x.sum(1), x.square().sum(1)])
        sums[layer] = sums[layer] + found if layer in sums else found

    with streamed(
        [enc], ds, "averaging units", size=size, batch=batch, progress=progress, device=device
    ) as batches:
        for _, images in batches:
            enc.reduce(images, layers, add)
    return {layer: _moments(sums[layer], origin[layer][:, 0]) for layer in layers}


def _moments(sums: Tensor, origin: Tensor) -> Moments:
    n, total, square = sums
    variance = (square / n - (total / n).square()).clamp(min=0)
    return Moments((origin + total / n).cpu(), variance.sqrt().cpu())


def _to_entry(moments: dict[str, Moments]) -> cache.Entry:
    return cache.Entry({layer: torch.stack(own) for layer, own in moments.items()})


def _from_entry(entry: cache.Entry) -> dict[str, Moments]:
    return {layer: Moments(*own) for layer, own in entry.tensors.items()}


unit_moments_cached = cache.remembered("moments", unit_moments, _to_entry, _from_entry)


def most_selective(
    res: Dissection, layer: str, category: str, k: int = 10, by: str = "selectivity"
) -> list[int]:
    """Return the `k` units of highest selectivity for `category`, best first.

    by: "selectivity", the paper's, under which a unit that answers to all categories is named for
    many; or "contrast", its selectivity minus the mean of those for the other categories.
    Chosen on the images of `res`; to measure their effect on others, give it a `subset`. Raises
    UnknownNameError for layer, category or `by`, ValueError if the category has no fixated region.
    """
    check_name("way to name units", by, BY)
    selectivity = res.selectivity(layer)
    own = selectivity.loc[check_name("category", category, res.categories)]
    if own.isna().all():
        raise ValueError(f"no fixated region of {category!r}: its units can't be told")
    _check_size(k, len(own))
    if by == "contrast":
        own = own - selectivity.drop(category).mean().fillna(0)
    best = np.argsort(-own.to_numpy(), kind="stable")  # NaN last
    return best[:k].tolist()


def random_groups(
    n_units: int, k: int, repeats: int, seed: int = 0, exclude: Collection[int] = ()
) -> list[list[int]]:
    """Return `repeats` groups of `k` different units of `n_units`, none of them in `exclude`."""
    free = np.setdiff1d(np.arange(n_units), np.fromiter(exclude, int))
    _check_size(k, len(free))
    random = np.random.default_rng(seed)
    return [np.sort(random.choice(free, k, replace=False)).tolist() for _ in range(repeats)]


def matched_groups(
    traits: Sequence[Tensor], chosen: Sequence[int], repeats: int, seed: int = 0
) -> list[list[int]]:
    """Return up to `repeats` different groups of other units that, as groups, resemble `chosen`.

    Alike are the means over the group of each of `traits`, a number a unit (C,), and of its rank
    among the layer's units, all in standard deviations over the layer. A group starts from random
    units (`seed`), and of a random three quarters of the others the swap of one unit that brings it
    nearest is made until none does; of `STARTS` times as many the nearest are taken. Groups may
    share units: units of which a layer has few, such as those that make up the map, could not be
    matched else. Raises ValueError if there are fewer others than chosen.
    """
    values = np.stack([trait.double().numpy() for trait in traits], 1)
    look = np.concatenate([values, rankdata(values, axis=0)], 1)
    spread = look.std(0)
    look = (look - look.mean(0)) / np.where(spread > 0, spread, 1)
    others = np.setdiff1d(np.arange(len(look)), chosen)
    _check_size(len(chosen), len(others))
    wanted, random = look[list(chosen)].sum(0), np.random.default_rng(seed)
    most, found = max(len(chosen), 3 * len(others) // 4), {}
    for _ in range(STARTS * repeats):
        some = random.choice(others, most, replace=False)
        group, off = _nearest(look[some], wanted, len(chosen))
        found[tuple(sorted(some[group].tolist()))] = off
    return [list(group) for group in sorted(found, key=lambda g: (found[g], g))[:repeats]]


def _nearest(look: np.ndarray, wanted: np.ndarray, k: int) -> tuple[np.ndarray, float]:
    """Swap the first `k` rows of `look` for others while their sum nears `wanted`; how far it is.

    Returns the rows' numbers (k,), and the squared distance that is left.
    """
    group, free = np.arange(k), np.arange(k, len(look))
    while True:
        off = look[group].sum(0) - wanted
        left = np.square(off).sum()
        swapped = np.square(off - look[group][:, None] + look[free]).sum(-1)  # (k, free)
        if not swapped.size or not swapped.min() < left - 1e-9:  # NaN: nothing to go by
            return group, float(left)
        out, new = np.unravel_index(swapped.argmin(), swapped.shape)
        group[out], free[new] = free[new], group[out]


def with_controls(
    chosen: Mapping[str, Sequence[int]],
    controls: Mapping[str, Sequence[Sequence[int]]],
    random: Sequence[Sequence[int]] = (),
) -> list[Group]:
    """Return all groups for `ablation_effects`: each category's, its controls', random ones."""
    groups = []
    for name, units in chosen.items():
        groups.append(Group(Role.NAMED, name, tuple(units)))
        for i, control in enumerate(controls.get(name, ()), start=1):
            groups.append(Group(Role.MATCHED, name, tuple(control), i))
    return groups + [Group(Role.RANDOM, None, tuple(g), i) for i, g in enumerate(random, start=1)]


def common(res: Dissection) -> list[str]:
    """Return the categories with fixated regions on `MIN_IMAGES` images or more."""
    fixated = res.regions[res.regions["fixations"] > 0]
    images = fixated.groupby("category")["image"].nunique().to_dict()
    return [c for c in res.categories if images.get(c, 0) >= MIN_IMAGES]


def best_groups(
    res: Dissection,
    layer: str,
    k: int,
    categories: Sequence[str] | None = None,
    by: str = "selectivity",
) -> dict[str, list[int]]:
    """Return the `k` most selective units of each of `categories` (None: `common`), best first.

    by: as `most_selective`. Raises as that, and ValueError if there is no category.
    """
    chosen = common(res) if categories is None else categories
    if not chosen:
        raise ValueError(
            f"no category was fixated on {MIN_IMAGES} images or more, so there are no units to "
            "name; annotate more images, or use more of them"
        )
    return {c: most_selective(res, layer, c, k, by) for c in chosen}


def named_groups(
    res: Dissection,
    layer: str,
    k: int,
    traits: Sequence[Tensor],
    categories: Sequence[str] | None = None,
    *,
    matched: int = 5,
    random: int = 10,
    seed: int = 0,
    by: str = "selectivity",
) -> list[Group]:
    """Return all groups of an ablation: `best_groups` and their controls.

    To each category `matched` groups like its own in `traits` (see `matched_groups`); and `random`
    groups of any `k` units of the layer, which serve all categories. Raises as `best_groups`.
    """
    chosen = best_groups(res, layer, k, categories, by)
    units = len(traits[0])
    if matched and units < 2 * k:
        raise ValueError(f"{k} of {units} units leave too few to match them with; take a smaller k")
    controls = {
        c: matched_groups(traits, own, matched, seed) for c, own in chosen.items() if matched
    }
    return with_controls(chosen, controls, random_groups(units, k, random, seed))


def _check_size(wanted: int, there: int) -> None:
    if not 1 <= wanted <= there:
        raise ValueError(f"{wanted} units wanted, of {there} to choose from; at least 1 is needed")
