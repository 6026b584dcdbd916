"""What one's own 03 can show: told in a toyworld that is like one's own data.

The twin's networks are trained as the study's, and measured on more scenes than the data have.
There the truth is known, so it is seen how often an interval of the study's kind is wrong; and by
how networks and images differ there, what studies with more of them would find (`studies`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch

from ..datasets.toyworld import ToyWorld
from ..datasets.toyworld.twin import TwinWorld
from ..dissection import Dissection, OverTrainings, mean_of
from ..dissection.readout_maps import MAP
from ..evaluation import PEOPLE
from ..findings.fine_tuning import AFTER, BEFORE, FineTuning
from ..intervals import IMAGES, Learned, crossed, nested, times_drawn, together
from ..models import Training
from ..study import Study
from .calibration import (
    CHANGE,
    DRAWS,
    FOLDS,
    OWN,
    OWN_FOLDS,
    POWER,
    READOUTS,
    TWO,
    Calibration,
    decides,
)
from .likeness import LOOKS, compared, likeness
from .planted import Plan, Worlds

SETTINGS, TRIED = 2, 2  # how often weights are set right, and by which group of people
COMPARISONS = 20  # of trainings, drawn at random from each pool
STUDIES = 400  # drawn to tell a power
THINNED = (0.75, 0.5, 0.25)  # shares of one's own images that are kept
THINNINGS = 100  # random choices of these
MORE = (1, 2, 4, 8, 16)  # times as many trainings or images
EFFECTS = 25  # whose power is told


class Twins(Worlds):
    """Scenes like the images of a study's data, which it trains on and measures as it does those.

    times: how many times as many scenes to be measured on as the data have images.
    """

    def __init__(self, study: Study, times: int = 2):
        self.like = likeness(study.annotated)
        asked = dict(zip(study.annotated.names, self.like.asked, strict=True))
        learned, _, unseen = study.parts(0)
        shown = unseen.names if study.crossed else study.annotated.names
        own = [name for name in learned.names if name in asked] or study.annotated.names
        self.asked = [asked[own[k % len(own)]] for k in range(len(learned))]
        self.asked += [asked[name] for name in shown] * times
        self.shown = study.annotated.subset(shown)
        super().__init__(study, len(learned), times * len(shown), study.frozen_epochs)

    def _scenes(self, n: int, plan: Plan, group: int) -> ToyWorld:
        planted = {c: own * plan.weights[c] for c, own in self.weights.items()}
        return self._looked_at(planted, n, group)

    def _looked_at(self, weights: Mapping[str, float], n: int, group: int) -> ToyWorld:
        return TwinWorld(
            self.asked[:n], seed=self.study.seed, size=self.size, group=group, weights=weights,
            observers=self.like.observers, **self.like.habits,
        )  # fmt: skip

    @cached_property
    def weights(self) -> dict[str, float]:
        """The planted weights: those with which people look at each category as often as at yours.

        A weight is a density, but what draws a look in a scene hangs on what else is there: so the
        data's densities are tried, on other people than those who are asked, and set right.
        """
        found, n = dict(self.like.weights), self.training + self.dissected
        for _ in range(SETTINGS):
            world = self._looked_at(found, n, group=TRIED)
            tried = world.subset(world.names[self.training :])
            table = compared(self.shown, tried, 1)
            table = table[table["figure"] == LOOKS].set_index("category")
            more = (table["own"] / table["twin"]).clip(0.5, 2)
            found |= {c: found[c] * float(more[c]) for c in more.index}
        return found

    def trainings(self, asked: Sequence[tuple[Plan, int]], frozen: bool) -> list[Training]:
        """Return training k for each (plan, k) as the study trains: of the same people."""
        study = self.study
        return [
            Training(
                study.pretrained,
                self.world(plan, group=1),
                None,
                self.read,
                study.training_settings(frozen, study.first_seed + k),
            )
            for plan, k in asked
        ]

    def matched(self) -> pd.DataFrame:
        """Return in what the scenes are as the data are (see `compared`).

        Raises ValueError naming the figure that is furthest off, if one is too far, and for data of
        which no category is told of with an interval.
        """
        table = compared(self.shown, self.unseen, IMAGES)
        if not table["category"].any():
            raise ValueError(
                f"{self.shown!r} shows no category on {IMAGES} images or more, so 03 tells nothing "
                "with an interval that a twin could be asked about"
            )
        if table["off"].any():
            far = np.log(table["ratio"].clip(lower=1e-9)).abs()
            row = table.loc[far.where(table["off"]).idxmax()]
            of = f" of {row['category']}" * bool(row["category"])
            raise ValueError(
                f"{self.shown!r} has no twin: {row['figure']}{of} would be {row['twin']:.3g} there "
                f"and is {row['own']:.3g} here"
            )
        return table


def studies(
    pool: OverTrainings,
    trainings: int,
    share: float,
    own_images: bool,
    jointly: bool,
    kept: float = 1.0,
    repeats: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw what studies say of numbers that are 0: values and intervals' reach, (repeats, K) each.

    pool: trainings, all on the same images, of which a study differs as these differ, and over
    images as these do when they are resampled; trainings: how many a study has; share: how many
    times as many images as the pool has; own_images: whether these are dealt out to the trainings;
    jointly: whether the K intervals hold together; kept: what share of its images is kept, drawn at
    random, when what it says on all of them is 0; repeats: how many (None: `STUDIES`).
    """
    repeats = STUDIES if repeats is None else repeats
    own, seen = pool.values[:, 0], pool.values[:, 1:].mean(0)
    seen = seen - seen.mean(0)
    apart = (own - own.mean(0)) / np.sqrt(max(1, len(own) - 1))
    rng, images = np.random.default_rng(0), np.floor(pool.images * share * kept + 1e-9)

    def other_images(times: float) -> np.ndarray:
        """Return what other images do to trainings (R, S or 1, K), if so many times as many."""
        number = trainings if own_images else 1
        return seen[rng.integers(len(seen), size=(repeats, number))] * np.sqrt(number / times)

    each = rng.standard_normal((repeats, trainings, len(own))) @ apart + other_images(share)
    if kept < 1:
        each = each - each.mean(1, keepdims=True) + other_images(share * kept / (1 - kept))
    draws = None if own_images else seen / np.sqrt(share * kept)
    if jointly:
        found = [_told(one, draws, images, jointly) for one in each]
        values, reach = zip(*((one.value, one.high - one.value) for one in found), strict=True)
        return np.stack(values), np.stack(reach)
    all_at_once = _told(each.swapaxes(0, 1), draws if draws is None else draws[:, None], images)
    return all_at_once.value, all_at_once.high - all_at_once.value


def _told(
    each: np.ndarray, draws: np.ndarray | None, images: np.ndarray, jointly: bool = False
) -> Learned:
    """Return means over trainings (S, …) and intervals, as `OverTrainings.learned` does."""
    if jointly:
        return together(each, draws, images)
    found = nested(each) if draws is None else crossed(each, draws, images)
    low, high = (np.where(images >= IMAGES, end, np.nan) for end in (found.low, found.high))
    return found._replace(low=low, high=high)


@dataclass(frozen=True)
class Pair:
    """The two categories that the paper sets against each other; `second` may be none, ""."""

    first: str
    second: str

    def of(self, pool: OverTrainings) -> OverTrainings:
        """Return by how much the first lies above the second."""
        return pool.favouring(self.first, self.second)


class Twin:
    """A study's own change by fine-tuning, beside that of networks in its twin world.

    trainings: fine-tuned ones in the twin, at least twice as many as the study has, so that two
    such studies can be compared; readouts: frozen ones. Raises ValueError for fewer.
    """

    def __init__(self, found: FineTuning, trainings: int, readouts: int, times: int = 2):
        self.found, self.study, self.times = found, found.study, times
        self.count = self.study.trainings
        if trainings < 2 * self.count:
            raise ValueError(
                f"{trainings} trainings in the twin: two studies of {self.count} need "
                f"{2 * self.count} or more"
            )
        self.worlds = Twins(self.study, times)
        self.matched = self.worlds.matched()
        self.known = Calibration(self.worlds, trainings, readouts)
        self.own_images = not self.study.crossed

    def alarms(self) -> pd.DataFrame:
        """Return how often 03's joint intervals are wrong in the twin: see `Calibration.alarms`."""
        tests = (FOLDS, OWN_FOLDS) if self.own_images else (TWO, OWN)
        asked = [(number, test) for number in (CHANGE, READOUTS) for test in tests]
        return self.known.alarms([self.count], COMPARISONS, asked)

    @cached_property
    def own(self) -> OverTrainings:
        """The study's own change by category, as a share of people's."""
        return (self.found.maps[MAP] / self.found.people).gained

    def _drawn(
        self, effects: np.ndarray, pair: Pair | None, trainings: int = 1, images: int = 1,
        kept: float = 1.0,
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """Return how studies err (see `studies`) where the truth is `effects` (K,).

        pair: whose difference is told (None: each category, jointly); trainings, images: how many
        times as many as this study has.
        """
        pool = self.known.with_effects(CHANGE, effects)
        pool = pair.of(pool) if pair else pool
        number, share = trainings * self.count, images / self.times
        return studies(pool, number, share, self.own_images, pair is None, kept)

    def _truth(self, own: OverTrainings | None = None) -> np.ndarray:
        """Return the twin's change by category (K,); of those that `own` has, that instead."""
        pool = self.known.pool(CHANGE)
        found = dict(zip(pool.categories, pool.values[:, 0].mean(0), strict=True))
        if own is not None:
            found |= dict(zip(own.categories, own.values[:, 0].mean(0), strict=True))
        return np.array([found[category] for category in pool.categories])

    def power(self, pair: Pair) -> pd.DataFrame:
        """Return how often studies would find that the first category gains more by some effect.

        trainings, images (all that are measured), effect (share of people's; from 0 on, and the
        study's own), own (whether it is that), value: in what share of `STUDIES` the interval lies
        above 0; none, if there is no interval.
        """
        truth, rows = self._truth(), []
        names = self.known.pool(CHANGE).categories
        first = np.array([name == pair.first for name in names], float)
        is_now = float(pair.of(self.known.pool(CHANGE)).values[:, 0].mean())
        own = abs(float(pair.of(self.own).values[:, 0].mean()))
        values, reach = self._drawn(truth, pair)
        most = max(1.2 * own, 2 * float(np.quantile(reach - values, POWER)))
        for trainings, images in [(more, 1) for more in MORE] + [(1, more) for more in MORE[1:]]:
            for k, effect in enumerate([*np.linspace(0, most, EFFECTS), own]):
                at = truth + first * (effect - is_now)
                values, reach = self._drawn(at, pair, trainings, images)
                share = float((values + effect > reach).mean())
                numbers = (trainings * self.count, images * len(self.worlds.shown))
                rows.append((*numbers, effect, k == EFFECTS, share))
        return pd.DataFrame(rows, columns=["trainings", "images", "effect", "own", "value"])

    def needed(self) -> pd.DataFrame:
        """Return how large a change must be to be found in `POWER` of studies like this one.

        category, value (share of people's; NaN on few images), effect: what the study has found.
        """
        truth = self._truth()
        value = truth
        for _ in range(3):  # how studies err hangs on how large it is
            at = np.where(np.isnan(value), truth, value)
            values, reach = self._drawn(at, None)
            value = np.quantile(reach - values, POWER, axis=0)
        own = dict(zip(self.own.categories, self.own.values[:, 0].mean(0), strict=True))
        table = pd.DataFrame({"category": self.known.pool(CHANGE).categories, "value": value})
        return table.assign(effect=table["category"].map(own)).dropna(subset="effect")

    def thinned(self, pair: Pair) -> pd.DataFrame:
        """Return how often the study's own finding is found again on some of its images.

        category (and the pair's two), kept (share of the images), effect (on all of them), own: in
        what share of random choices the interval lies on the effect's side; value: the same of
        studies of the twin which say as much on all of theirs.
        """
        truth, rows = self._truth(self.own), []
        for kept in THINNED:
            choices = list(self._choices(kept))
            for of in (None, pair):
                own, twin = (of.of(p) if of else p for p in (self.own, self.known.pool(CHANGE)))
                values, reach = self._drawn(truth, of, kept=kept)
                effect = own.values[:, 0].mean(0)
                chosen = [of.of(one) if of else one for one in choices]
                found = self._found_again(chosen, effect, kept, jointly=of is None)
                for k, name in enumerate(own.categories):
                    at = twin.categories.index(name)
                    if not np.isnan([found[k], effect[k], *reach[:, at]]).any():
                        hits = values[:, at] * np.sign(effect[k]) + abs(effect[k]) > reach[:, at]
                        rows.append((name, kept, effect[k], found[k], float(hits.mean())))
        return pd.DataFrame(rows, columns=["category", "kept", "effect", "own", "value"])

    def _found_again(
        self, choices: Sequence[OverTrainings], effect: np.ndarray, kept: float, jointly: bool
    ) -> np.ndarray:
        """Return (K,) in what share of the choices the interval lies on the effect's side."""
        again = []
        for each in choices:
            images = np.floor(each.images * kept)
            draws = None if self.own_images else each.values[:, 1:].mean(0)
            found = _told(each.values[:, 0], draws, images, jointly)
            hit = decides(found) & (found.value * effect > 0)
            again.append(np.where(images >= IMAGES, hit, np.nan))
        return np.mean(again, 0)

    def _choices(self, kept: float) -> Iterator[OverTrainings]:
        """Yield the study's own change on random choices of its images, and resamples of these."""
        rng, mapped, looked = np.random.default_rng(0), self.found.mapped, self.found.looked
        every = [len(one.regions["image"].unique()) for one in looked]

        def chosen(number: int) -> torch.Tensor:
            inside = np.zeros(number)
            inside[rng.permutation(number)[: round(kept * number)]] = 1
            more = [] if self.own_images else [times_drawn(inside, DRAWS, rng)]
            return torch.from_numpy(np.vstack([inside, *more])).float()

        def on(results: Sequence[Dissection], layer: str) -> np.ndarray:
            both = zip(results, weights, strict=True)
            return np.stack([mean_of(layer)(one, told)[1:].double().numpy() for one, told in both])

        for _ in range(THINNINGS):
            first = chosen(every[0])
            others = map(chosen, every[1:]) if self.own_images else [first] * (len(every) - 1)
            weights = [first, *others]
            values = on(mapped[AFTER], MAP) - on(mapped[BEFORE], MAP)
            yield replace(self.own, values=values / on(looked, PEOPLE))
