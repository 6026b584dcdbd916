"""Is the estimator that the other notebooks use right? Asked of worlds whose truth is known.

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

from ...cache import Entry, cached, digest
from ...datasets import CATEGORIES
from ...dissection import (
    Dissection,
    OverTrainings,
    best_of,
    contributions_cached,
    map_parts,
    mean_of,
)
from ...dissection.readout_maps import MAP as LAYER
from ...evaluation import PEOPLE, human_regions_cached
from ...intervals import (
    IMAGES,
    Learned,
    bounds,
    rank_correlation,
    times_drawn,
    together,
    wilson,
)
from ...sources import code_of
from ...study import Study
from ...worlds import FLAT, Plan, Worlds

MAP, CHANGE, READOUTS = "the map", "fine-tuned minus frozen", "frozen readouts"
NUMBERS = (MAP, CHANGE)
ALONE, BEYOND = "by itself", "beyond a world that favours nothing"
TWO, OWN, FOLDS = "two alike", "own interval", "two alike, images of their own"
DRAWS = 300  # resamples of a half of the images
POWER = 0.8  # of what is found, where a difference counts as one that would be


def plans(categories: Sequence[str], factors: Sequence[float]) -> list[Plan]:
    """Return one world for each category and factor, all other weights 1."""
    return [Plan(category, float(factor)) for category in categories for factor in factors]


def some(pool: OverTrainings, rows: Sequence[int] | np.ndarray) -> OverTrainings:
    """Return these trainings of a pool that was measured on the same images."""
    return replace(pool, values=pool.values[rows], regions=pool.regions[: len(rows)])


def decides(found: Learned) -> np.ndarray:
    """Tell of which numbers (K,) the interval excludes 0."""
    return (found.low > 0) | (found.high < 0)


class KnownTruth:
    """Trainings of worlds that favour nothing and of the `planted` ones, and what is said of them.

    flat: how many trainings favour nothing; each: trainings of each planted world; readouts: frozen
    readouts that favour nothing, at least `flat`. No training of one world has seed or observers
    in common with one of another.
    """

    def __init__(
        self, worlds: Worlds, planted: Sequence[Plan], flat: int, each: int, readouts: int
    ):
        if flat < 2 * each:
            raise ValueError(f"{flat} trainings favour nothing; {each} a world need {2 * each}")
        self.worlds, self.planted, self.each, self.flat = worlds, list(planted), each, flat
        self.readouts = max(flat, readouts // flat * flat)
        self.pool, self.folds = cache(self._pool), cache(self._folds)

    def asked(self, plan: Plan, frozen: bool) -> list[tuple[Plan, int]]:
        """Return the trainings of a world: (plan, number)."""
        if plan == FLAT:
            return [(FLAT, k) for k in range(self.readouts if frozen else self.flat)]
        first = self.flat + self.each * self.planted.index(plan)
        return [(plan, first + k) for k in range(self.each)]

    @cached_property
    def _maps(self) -> dict[tuple[bool, Plan, int], Dissection]:
        """Every training's map, by whether it is frozen, world and number."""
        found = {}
        for frozen in (False, True):
            asked = [one for plan in (FLAT, *self.planted) for one in self.asked(plan, frozen)]
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
        return replace(found, values=found.values / people.values)

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

    def alarms(self, sizes: Sequence[int], repeats: int) -> pd.DataFrame:
        """Return how often an interval that promises 95 % is wrong, by number of trainings.

        number, test, trainings, comparisons, worlds, share, low, high. Tests: `TWO` groups of
        trainings of the world that favours nothing, measured on the same images: do the joint
        intervals of their difference exclude 0 in a category? `FOLDS`: the same, each training on
        images of its own. `OWN`: does the joint interval of one group, on half of the images, miss
        in a category what all trainings say on all images? Pools of `flat` trainings have none in
        common; in each, `repeats` groups are drawn at random. worlds: see `_independent`. Cached.
        """
        return self._kept(self._alarms, list(sizes), repeats)

    def _alarms(self, sizes: Sequence[int], repeats: int) -> pd.DataFrame:
        rows = []
        for number, test in ((CHANGE, TWO), (CHANGE, OWN), (READOUTS, TWO), (READOUTS, OWN),
                             (READOUTS, FOLDS)):  # fmt: skip
            fit = [s for s in sizes if (2 * s <= self.flat) and (s > 1 or test != FOLDS)]
            if not fit:
                continue
            wrong = np.array([self._wrong(number, test, s, repeats) for s in fit])
            per = np.array([1 if test == OWN else 2]) * fit
            worlds = _independent(wrong, self.flat // per)
            for s, hits, n in zip(fit, wrong, worlds, strict=True):
                share = float(hits.mean())
                ends = wilson(share * n, n)
                rows.append((number, test, s, hits.size, n, share, *ends))
        columns = ["number", "test", "trainings", "comparisons", "worlds", "share", "low", "high"]
        return pd.DataFrame(rows, columns=columns)

    def _wrong(self, number: str, test: str, s: int, repeats: int) -> np.ndarray:
        """Return whether each comparison of S trainings alarms, (pools, repeats)."""
        rng = np.random.default_rng(s)
        ask = {TWO: self._differ, OWN: self._misses, FOLDS: self._differ_nested}[test]
        pools = np.arange(len(self.pool(number).values)).reshape(-1, self.flat)
        return np.array(
            [[ask(number, rng.permutation(pool), s, rng) for _ in range(repeats)] for pool in pools]
        )

    def _differ(self, number: str, rows: np.ndarray, s: int, _: np.random.Generator) -> bool:
        pool = self.pool(number)
        gap = some(pool, rows[:s]) - some(pool, rows[s : 2 * s])
        return bool(decides(gap.learned(together=True)).any())

    def _misses(self, number: str, rows: np.ndarray, s: int, rng: np.random.Generator) -> bool:
        """Tell whether S trainings on half of the images miss what all say on all images.

        What is drawn is part of the whole that it is held against, which makes the error smaller:
        by the share drawn, of the variance over images and of that over trainings. The interval is
        made narrower alike (finite population correction, Cochran 1977, chapter 2).
        """
        whole = self.pool(number)
        part = self._half(number, rows[:s], rng)
        found, truth = part.learned(together=True), whole.values[:, 0].mean(0)
        over = found.se_images**2, np.nan_to_num(found.sd_trainings**2 / s)
        left = 1 - part.images / whole.images, 1 - s / len(whole.values)
        narrower = np.sqrt((over[0] * left[0] + over[1] * left[1]) / (over[0] + over[1]))
        reach = (found.high - found.value) * narrower
        return bool((np.abs(found.value - truth) > reach).any())

    def _half(self, number: str, rows: np.ndarray, rng: np.random.Generator) -> OverTrainings:
        """Return a number of some trainings that favour nothing, on a random half of the images."""
        whole, seen = self.pool(number), self._people.regions.query("fixations > 0")
        names = self._people.regions["image"].unique()
        inside = np.zeros(len(names))
        inside[rng.permutation(len(names))[: len(names) // 2]] = 1
        drawn = times_drawn(inside, DRAWS, rng)
        weights = torch.from_numpy(np.vstack([inside, drawn])).float()

        def of(one: Dissection, layer: str) -> np.ndarray:
            return mean_of(layer)(one, weights)[1:].double().numpy()

        def maps(frozen: bool) -> np.ndarray:
            every = self._of(FLAT, frozen)
            return np.stack([of(every[k], LAYER) for k in rows])

        values = maps(True) if number == READOUTS else maps(False) - maps(True)
        half = seen[seen["image"].isin(names[inside > 0])].groupby("category")["image"].nunique()
        images = half.reindex(list(whole.categories), fill_value=0).to_numpy()
        part = some(whole, range(len(rows)))
        return replace(part, values=values / of(self._people, PEOPLE), images=images)

    def _differ_nested(self, number: str, rows: np.ndarray, s: int, _: object) -> bool:
        """Tell it of two groups whose k-th trainings are both measured on the k-th fold alone."""
        assert number == READOUTS
        folds, own = self.folds(s), np.arange(s)
        gap = folds[rows[:s], own] - folds[rows[s : 2 * s], own]
        return bool(decides(together(gap, images=self.pool(number).images)).any())

    def _folds(self, s: int) -> np.ndarray:
        """Return each readout's share of people's on each of `s` folds of the images, (T, S, K)."""
        images = len(self._people.regions["image"].unique())
        inside = torch.arange(images) % s == torch.arange(s)[:, None]
        people = mean_of(PEOPLE)(self._people, inside.float())[1:]
        each = [mean_of(LAYER)(one, inside.float())[1:] for one in self._of(FLAT, True)]
        return (torch.stack(each) / people).numpy()

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
                for s in (s for s in sizes if 1 < s <= self.flat // 2):
                    lows = [gap.learned(together=True).low for gap in _apart(pool, s, repeats)]
                    value = np.quantile(-np.array(lows), POWER, axis=0)
                    told = {"category": CATEGORIES, "value": value}
                    head = {"number": number, "trainings": s, "images": n}
                    parts.append(pd.DataFrame({**head, **told}))
        return pd.concat(parts, ignore_index=True)

    # Where something is planted

    def beyond(self, number: str, plan: Plan) -> OverTrainings:
        """Return a world's trainings less as many others that favour nothing.

        Of the world that favours nothing: the last of its trainings, less the first.
        """
        flat, s = self.pool(number), self.each
        if plan == FLAT:
            return some(flat, range(self.flat - s, self.flat)) - some(flat, range(s))
        first = s * self.planted.index(plan)
        return self.pool(number, plan) - some(flat, (first + np.arange(s)) % self.flat)

    def recovered(self) -> pd.DataFrame:
        """Return by how much each world lies above one that favours nothing.

        number, world, favoured, factor, planted, category, value, low, high (of a world's
        categories together) …
        """
        parts = []
        for number in NUMBERS:
            for plan in (FLAT, *self.planted):
                head = {"number": number, "world": str(plan), "favoured": plan.category}
                head |= {"factor": plan.factor}
                table = self.beyond(number, plan).table(together=True, **head)
                planted = [plan.weights[c] for c in table["category"]]
                table.insert(len(head), "planted", planted)
                parts.append(table)
        return pd.concat(parts, ignore_index=True)

    def dose(self) -> pd.DataFrame:
        """Return by how much the favoured category gains from the weakest dose to the strongest.

        number, category, value, low, high …: of worlds with the largest factor minus the smallest.
        """
        parts = []
        names = list(dict.fromkeys(plan.category for plan in self.planted))
        for number in NUMBERS:
            for name in names:
                own = sorted(
                    (p for p in self.planted if p.category == name), key=lambda p: p.factor
                )
                gap = self.pool(number, own[-1]) - self.pool(number, own[0])
                table = gap.table(number=number)
                parts.append(table[(table["category"] == name) & (len(own) > 1)])
        return pd.concat(parts, ignore_index=True)

    def flipped(self, worlds: Sequence[Plan], first: str, second: str) -> pd.DataFrame:
        """Return by how much `first` lies above `second` in some worlds.

        By itself also in the one that favours nothing. number, control (`ALONE` or `BEYOND`),
        world, first, second, value, low, high …
        """
        parts = []
        for number in NUMBERS:
            for control in (ALONE, BEYOND):
                for plan in [*worlds, FLAT] if control == ALONE else worlds:
                    alone = self.pool(number, plan)
                    found = alone if control == ALONE else self.beyond(number, plan)
                    head = {"number": number, "control": control, "world": str(plan)}
                    head |= {"first": first, "second": second}
                    parts.append(found.favouring(first, second).table(**head))
        return pd.concat(parts, ignore_index=True).drop(columns="category")


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


class DefaultWorld:
    """Trainings of the study's own toyworld, which has twelve different weights, as in 03.

    layer: the deepest dissected, whose best units are those of models that read it alone.
    """

    def __init__(self, study: Study, trainings: int, k: int = 10):
        if study.data != "toyworld":
            study = replace(study, data="toyworld", train_data=None)
        self.study, self.trainings, self.k = study, trainings, k
        self.layer = study.dissected[-1]

    @cached_property
    def planted(self) -> np.ndarray:
        """The weights (K,), fixations per pixel."""
        weights = getattr(self.study.annotated, "planted")  # noqa: B009
        return np.array([weights[c] for c in CATEGORIES])

    @cached_property
    def measures(self) -> dict[str, OverTrainings]:
        """What could be taken for the preference, by name."""
        study, count = self.study, self.trainings
        before, after = (
            OverTrainings.of(
                [
                    map_parts(contributions_cached(t.model, t.unseen, size=study.size))
                    for t in study.each_training(frozen, count=count)
                ],
                mean_of(LAYER),
            )
            for frozen in (True, False)
        )
        people = OverTrainings.of([human_regions_cached(study.unseen)], mean_of(PEOPLE))
        gain = after - before
        share = replace(gain, values=gain.values / people.values)
        return {
            "people": people,
            "the map's region NSS": after,
            "fine-tuned minus frozen": gain,
            "the same, share of people's": share,
            f"best units of {self.layer}": self._units,
        }

    @property
    def _units(self) -> OverTrainings:
        """The change of the best units of the deepest layer, which alone is read."""
        study = self.study
        one = study.each_training(False, read=[self.layer], count=self.trainings)
        encoders = [(study.pretrained, t.model.encoder) for t in one]
        found = [
            [study.dissect(net, t.unseen, p_values=False) for net in pair]
            for pair, t in zip(encoders, one, strict=True)
        ]
        before, after = zip(*found, strict=True)
        best = best_of(self.layer, self.k)
        # Before fine-tuning all trainings are one network: computed once.
        was = OverTrainings.of(before[:1], best)
        now = OverTrainings.of(after, best)
        return replace(now, values=now.values - was.values)

    def order(self, sizes: Sequence[int], n: int = 1000) -> pd.DataFrame:
        """Return the rank correlation of the planted weights with what S trainings say together.

        measure, together (S), value (mean over sets of S trainings), low, high, se_images,
        sd_trainings, "training 1" …: each one's own. The interval is for S other trainings and
        other images: `n` draws of both. `sd_trainings` is that of sets of S, times √S. People hang
        on no training.
        """
        rows = []
        for name, pool in self.measures.items():
            told, rng = pool.images >= IMAGES, np.random.default_rng(0)
            values, weights = pool.values[..., told], self.planted[told]
            alone = rank_correlation(values[:, 0], weights)
            own = {f"training {k + 1}": v for k, v in enumerate(alone)} if name != "people" else {}
            over_images = rank_correlation(values[:, 1:].mean(0), weights).std(ddof=1)
            for s in (s for s in sizes if s <= self.trainings):
                chosen = rng.integers(len(values), size=(n, s))
                draw = rng.integers(1, values.shape[1], n)[:, None]
                both = rank_correlation(values[chosen, draw].mean(1), weights)
                nets = rank_correlation(values[chosen, 0].mean(1), weights).std(ddof=1)
                sets = np.stack([rng.permutation(len(values))[:s] for _ in range(n)])
                value = rank_correlation(values[sets, 0].mean(1), weights).mean()
                low, high = bounds(both)
                spread = nets * np.sqrt(s) if self.trainings > 1 and own else np.nan
                head = {"measure": name, "together": s, "value": value, "low": low, "high": high}
                rows.append(head | {"se_images": over_images, "sd_trainings": spread} | own)
        return pd.DataFrame(rows)
