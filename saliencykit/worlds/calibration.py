"""How often an interval is wrong where the truth is known, and what it takes to find something.

Numbers are those of 03: region NSS of the map as a share of people's own, of fine-tuned networks
(`MAP`), less that of frozen readouts of the same seed and observers (`CHANGE`), and of frozen
readouts alone (`READOUTS`, of which many can be afforded). All are `OverTrainings`, and all
intervals those of `OverTrainings.learned`, which 03 calls.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, cached_property

import numpy as np
import pandas as pd
import torch

from ..cache import Entry, cached, digest
from ..datasets import CATEGORIES
from ..dissection import Dissection, OverTrainings, mean_of
from ..dissection.readout_maps import MAP as LAYER
from ..evaluation import PEOPLE, human_regions_cached
from ..intervals import Learned, times_drawn, together, wilson
from ..sources import code_of
from .planted import FLAT, Plan, Worlds

MAP, CHANGE, READOUTS = "the map", "fine-tuned minus frozen", "frozen readouts"
NUMBERS = (MAP, CHANGE)
TWO, OWN, FOLDS = "two alike", "own interval", "two alike, images of their own"
OWN_FOLDS = "own interval, images of its own"
TESTS = ((CHANGE, TWO), (CHANGE, OWN), (READOUTS, TWO), (READOUTS, OWN), (READOUTS, FOLDS))
"""Numbers and tests that 08 tells."""
POOL = 20  # trainings from which groups are drawn
DRAWS = 300  # resamples of a half of the images
POWER = 0.8  # of what is found, where a difference counts as one that would be


def some(pool: OverTrainings, rows: Sequence[int] | np.ndarray) -> OverTrainings:
    """Return these trainings of a pool that was measured on the same images."""
    return replace(pool, values=pool.values[rows], regions=pool.regions[: len(rows)])


def of_people(values: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Return values as shares of people's own; NaN where that is not above 0."""
    return values / np.where(people > 0, people, np.nan)


def decides(found: Learned) -> np.ndarray:
    """Tell of which numbers (K,) the interval excludes 0."""
    return (found.low > 0) | (found.high < 0)


class Calibration:
    """Trainings of a world that favours nothing, and how often what is said of them is wrong.

    flat: how many trainings there are; readouts: how many frozen readouts, at least `flat`. None
    has seed or observers in common with another. Groups are drawn from at most `POOL` at a time,
    so that many trainings are many pools that have none in common.
    """

    def __init__(self, worlds: Worlds, flat: int, readouts: int):
        self.worlds, self.drawn_from = worlds, min(POOL, flat)
        self.flat, each = self._whole_pools(flat), self._whole_pools(readouts)
        self.readouts = max(self.flat, each)
        self.pool, self.folds = cache(self._pool), cache(self._folds)

    def _whole_pools(self, trainings: int) -> int:
        return trainings // self.drawn_from * self.drawn_from

    @property
    def plans(self) -> Sequence[Plan]:
        """The worlds."""
        return [FLAT]

    def asked(self, plan: Plan, frozen: bool) -> list[tuple[Plan, int]]:
        """Return the trainings of a world: (plan, number)."""
        return [(plan, k) for k in range(self.readouts if frozen else self.flat)]

    @cached_property
    def _maps(self) -> dict[tuple[bool, Plan, int], Dissection]:
        """Every training's map, by whether it is frozen, world and number."""
        found = {}
        for frozen in (False, True):
            asked = [one for plan in self.plans for one in self.asked(plan, frozen)]
            maps = self.worlds.maps(asked, frozen)
            found |= {(frozen, *one): own for one, own in zip(asked, maps, strict=True)}
        return found

    def _of(self, plan: Plan, frozen: bool) -> list[Dissection]:
        return [self._maps[frozen, *one] for one in self.asked(plan, frozen)]

    @cached_property
    def _people(self) -> Dissection:
        return human_regions_cached(self.worlds.unseen)

    def _pool(
        self, number: str, plan: Plan = FLAT, images: tuple[str, ...] | None = None
    ) -> OverTrainings:
        """Return a number of all trainings of a world, on all or some images, share of people's."""

        def over(results: Sequence[Dissection], layer: str) -> OverTrainings:
            parts = [one.subset(images) for one in results] if images else results
            return OverTrainings.of(parts, mean_of(layer))

        found = over(self._of(plan, number == READOUTS), LAYER)
        if number == CHANGE:
            frozen = over(self._of(plan, True)[: len(found.values)], LAYER)
            found = found - frozen
        people = over([self._people], PEOPLE)
        return replace(found, values=of_people(found.values, people.values))

    @cached_property
    def people(self) -> OverTrainings:
        """People's own region NSS in the unseen scenes."""
        return OverTrainings.of([self._people], mean_of(PEOPLE))

    def with_effects(self, number: str, effects: np.ndarray) -> OverTrainings:
        """Return the pool of a number, had it been `effects` (K,), shares of people's own.

        What is lacking is added to region NSS, in every training and on all images alike. So what
        differs between images of people's own, by which it is divided, differs by the effect too.
        """
        pool, people = self.pool(number), self.people.values
        lacking = effects - pool.values[:, 0].mean(0)
        return replace(pool, values=pool.values + lacking * of_people(people[:, :1], people))

    def _kept(self, compute: Callable[..., pd.DataFrame], *asked: object) -> pd.DataFrame:
        """Return a table that is dear to compute, from the cache if these networks are there."""
        networks = digest(*(self.pool(number).values for number in (*NUMBERS, READOUTS)))
        key = {"code": code_of(type(self)), "networks": networks, "flat": self.flat}
        key |= {"table": compute.__name__, "asked": asked}
        entry = cached(
            "known_truth", key, lambda: Entry(meta={"table": compute(*asked).to_dict("list")})
        )
        return pd.DataFrame(entry.meta["table"])

    # Where nothing is planted

    def alarms(
        self, sizes: Sequence[int], repeats: int, tests: Sequence[tuple[str, str]] = TESTS
    ) -> pd.DataFrame:
        """Return how often an interval that promises 95 % is wrong, by number of trainings.

        number, test, trainings, comparisons, worlds, share, low, high. Tests: `TWO` groups of
        trainings of the world that favours nothing, measured on the same images: do the joint
        intervals of their difference exclude 0 in a category? `FOLDS`: the same, each training on
        images of its own. `OWN`: does the joint interval of one group, on half of the images, miss
        in a category what all trainings say on all images? `OWN_FOLDS`: the same, the half dealt
        out to its trainings. In each pool of trainings `repeats` groups are drawn at random.
        tests: (number, test). worlds: see `_independent`. Cached.
        """
        return self._kept(self._alarms, list(sizes), repeats, [list(one) for one in tests])

    def _alarms(
        self, sizes: Sequence[int], repeats: int, tests: Sequence[Sequence[str]]
    ) -> pd.DataFrame:
        rows = []
        for number, test in tests:
            alone = test in (OWN, OWN_FOLDS)
            least = 2 if test in (FOLDS, OWN_FOLDS) else 1
            fit = [s for s in sizes if least <= s <= self.drawn_from // 2]
            if not fit:
                continue
            wrong = np.array([self._wrong(number, test, s, repeats) for s in fit])
            per = np.array([1 if alone else 2]) * fit
            worlds = _independent(wrong, self.drawn_from // per)
            for s, hits, n in zip(fit, wrong, worlds, strict=True):
                share = float(hits.mean())
                ends = wilson(share * n, n)
                rows.append((number, test, s, hits.size, n, share, *ends))
        columns = ["number", "test", "trainings", "comparisons", "worlds", "share", "low", "high"]
        return pd.DataFrame(rows, columns=columns)

    def _wrong(self, number: str, test: str, s: int, repeats: int) -> np.ndarray:
        """Return whether each comparison of S trainings alarms, (pools, repeats)."""
        rng = np.random.default_rng(s)
        ask = {
            TWO: self._differ,
            OWN: self._misses,
            FOLDS: self._differ_nested,
            OWN_FOLDS: self._misses_nested,
        }[test]
        pools = np.arange(len(self.pool(number).values)).reshape(-1, self.drawn_from)
        return np.array(
            [[ask(number, rng.permutation(pool), s, rng) for _ in range(repeats)] for pool in pools]
        )

    def _differ(self, number: str, rows: np.ndarray, s: int, _: np.random.Generator) -> bool:
        pool = self.pool(number)
        gap = some(pool, rows[:s]) - some(pool, rows[s : 2 * s])
        return bool(decides(gap.learned(together=True)).any())

    def _misses(self, number: str, rows: np.ndarray, s: int, rng: np.random.Generator) -> bool:
        """Tell whether S trainings on half of the images miss what all say on all images."""
        inside = self._drawn_half(rng)
        weights = np.vstack([inside, times_drawn(inside, DRAWS, rng)])
        whole, images = self.pool(number), self._shown(inside)
        values = self._on(number, rows[:s], weights)
        part = replace(some(whole, range(s)), values=values, images=images)
        return self._is_missed(number, part.learned(together=True), images)

    def _misses_nested(
        self, number: str, rows: np.ndarray, s: int, rng: np.random.Generator
    ) -> bool:
        """Tell it of S trainings among whom the half is dealt out."""
        inside = self._drawn_half(rng)
        dealt = np.where(inside > 0, (np.cumsum(inside) - 1) % s, -1)
        folds = self._on(number, rows[:s], dealt == np.arange(s)[:, None])
        images, whole = self._shown(inside), self.pool(number).learned()
        found = together(folds[np.arange(s), np.arange(s)], images=images)
        more = np.sqrt(self.pool(number).images / np.maximum(images, 1))  # on fewer images
        found = found._replace(se_images=whole.se_images * more, sd_trainings=whole.sd_trainings)
        return self._is_missed(number, found, images)

    def _is_missed(self, number: str, found: Learned, images: np.ndarray) -> bool:
        """Tell whether an interval on some of the images misses what all trainings say on all.

        What is drawn is part of the whole that it is held against, which makes the error smaller:
        by the share drawn, of the variance over images and of that over trainings. The interval is
        made narrower alike (finite population correction, Cochran 1977, chapter 2).
        """
        whole, s = self.pool(number), found.trainings
        over = found.se_images**2, np.nan_to_num(found.sd_trainings**2 / s)
        left = 1 - images / np.maximum(whole.images, 1), 1 - s / len(whole.values)
        narrower = np.sqrt((over[0] * left[0] + over[1] * left[1]) / (over[0] + over[1]))
        reach = (found.high - found.value) * narrower
        return bool((np.abs(found.value - whole.values[:, 0].mean(0)) > reach).any())

    @cached_property
    def _names(self) -> np.ndarray:
        return self._people.regions["image"].unique()

    def _drawn_half(self, rng: np.random.Generator) -> np.ndarray:
        """Return (I,): 1 for each image of a random half, 0 for the others."""
        inside = np.zeros(len(self._names))
        inside[rng.permutation(len(inside))[: len(inside) // 2]] = 1
        return inside

    def _shown(self, inside: np.ndarray) -> np.ndarray:
        """Return on how many of these images (K,) people looked at each category."""
        seen = self._people.regions.query("fixations > 0")
        half = seen[seen["image"].isin(self._names[inside > 0])]
        counts = half.groupby("category")["image"].nunique()
        return counts.reindex(list(self.pool(READOUTS).categories), fill_value=0).to_numpy()

    def _on(self, number: str, rows: Sequence[int] | np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return a number of some trainings under weights (W, I) of the images, (S, W, K)."""
        told = torch.from_numpy(weights).float()

        def of(one: Dissection, layer: str) -> np.ndarray:
            return mean_of(layer)(one, told)[1:].double().numpy()

        def maps(frozen: bool) -> np.ndarray:
            every = self._of(FLAT, frozen)
            return np.stack([of(every[k], LAYER) for k in rows])

        values = maps(True) if number == READOUTS else maps(False)
        if number == CHANGE:
            values = values - maps(True)
        return of_people(values, of(self._people, PEOPLE))

    def _differ_nested(self, number: str, rows: np.ndarray, s: int, _: object) -> bool:
        """Tell it of two groups whose k-th trainings are both measured on the k-th fold alone."""
        folds, own = self.folds(number, s), np.arange(s)
        gap = folds[rows[:s], own] - folds[rows[s : 2 * s], own]
        return bool(decides(together(gap, images=self.pool(number).images)).any())

    def _folds(self, number: str, s: int) -> np.ndarray:
        """Return a number of each training on each of `s` folds of the images, (T, S, K)."""
        inside = np.arange(len(self._names)) % s == np.arange(s)[:, None]
        return self._on(number, range(len(self.pool(number).values)), inside)

    def needed(self, sizes: Sequence[int], images: Sequence[int], repeats: int) -> pd.DataFrame:
        """Return how large a difference must be to be found in `POWER` of comparisons.

        number, trainings, images, category, value: share of people's own. From groups of two
        trainings or more that favour nothing: a difference that is added to one of them is found
        where the joint interval's lower end then lies above 0. Cached.
        """
        return self._kept(self._needed, list(sizes), list(images), repeats)

    def _needed(self, sizes: Sequence[int], images: Sequence[int], repeats: int) -> pd.DataFrame:
        parts = []
        for number in NUMBERS:
            for n in images:
                pool = self.pool(number, FLAT, tuple(self.worlds.unseen.names[:n]))
                for s in (s for s in sizes if 1 < s <= self.drawn_from // 2):
                    lows = [gap.learned(together=True).low for gap in _apart(pool, s, repeats)]
                    value = np.quantile(-np.array(lows), POWER, axis=0)
                    told = {"category": CATEGORIES, "value": value}
                    head = {"number": number, "trainings": s, "images": n}
                    parts.append(pd.DataFrame({**head, **told}))
        return pd.concat(parts, ignore_index=True)


def _apart(pool: OverTrainings, s: int, repeats: int) -> Iterator[OverTrainings]:
    """Draw two groups of S trainings that have none in common, and yield their difference."""
    rng = np.random.default_rng(s)
    for _ in range(repeats):
        rows = rng.permutation(len(pool.values))
        yield some(pool, rows[:s]) - some(pool, rows[s : 2 * s])


def _independent(wrong: np.ndarray, disjoint: np.ndarray) -> np.ndarray:
    """Return how many independent worlds the shares of `wrong` (sizes, pools, repeats) are worth.

    disjoint: (sizes,), how many comparisons of one pool have no training in common. So many are
    independent for certain. Groups drawn again and again from the same pool say more than these,
    and less than they are many: how much, the spread of the share between pools tells, which is
    binomial if all were independent. One factor for all sizes, at least 1. One pool shows no
    spread: then it is 1.
    """
    pools = wrong.shape[1]
    certain = disjoint * pools
    if pools < 2:
        return certain.astype(float)
    share, each = wrong.mean((1, 2)), wrong.mean(2)
    seen = (each.var(1, ddof=1) / pools).sum()
    promised = (share * (1 - share) / certain).sum()
    factor = max(1.0, promised / seen) if seen > 0 else 1.0
    return np.minimum(certain * factor, wrong[0].size)
