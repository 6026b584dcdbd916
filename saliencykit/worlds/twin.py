"""What one's own 03 can show: told in a toyworld that is like one's own data.

The twin's networks are trained as the study's, and measured on more scenes than the data have.
There the truth is known, so it is seen how often an interval of the study's kind is wrong; and by
how networks differ there, and images here, what studies with more of them would find (see
`studies`). Photographs differ more than scenes that hold the same do, and how much is known.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch

from ..datasets import SaliencyDataset
from ..datasets.toyworld import ToyWorld
from ..datasets.toyworld.twin import TwinWorld
from ..dissection import Dissection, OverTrainings, mean_of, over_trainings
from ..dissection.readout_maps import MAP
from ..evaluation import PEOPLE
from ..findings.fine_tuning import AFTER, BEFORE, FineTuning
from ..intervals import IMAGES, bounds, of_spread, times_drawn
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
    of_people,
)
from .likeness import LOOKS, compared, likeness
from .planted import Plan, Worlds
from .studies import found_again, studies

SETTINGS, TRIED = 2, 2  # how often weights are set right, and by which group of people
COMPARISONS = 20  # of trainings, drawn at random from each pool
THINNED = (0.75, 0.5, 0.25)  # shares of one's own images that are kept
THINNINGS = 100  # random choices of these, of one's own
MORE, DRAWN = (1, 2, 4, 8, 16), 4  # times as many trainings or images; of so many all effects
EFFECTS = 25  # whose power is told
PEOPLES, VARIETY, REACH = "people's region NSS", "spread over images", "reach of an interval"


class Twins(Worlds):
    """Scenes like the images of a study's data, which it trains on and measures as it does those.

    times: how many times as many scenes to be measured on as the data have images.
    """

    def __init__(self, study: Study, times: int = 2):
        self.like = likeness(study.annotated)
        asked = dict(zip(study.annotated.names, self.like.asked, strict=True))
        every, (learned, _, unseen) = study.annotated.names, study.parts(0)
        shown, number = (unseen.names, len(learned)) if study.crossed else (every, len(every))
        own = every
        if study.crossed:
            own = [name for name in learned.names if name in asked] or every
        self.asked = [asked[own[k % len(own)]] for k in range(number)]
        self.asked += [asked[name] for name in shown] * times
        self.shown = study.annotated.subset(shown)
        super().__init__(study, number, times * len(shown), readout_epochs=0)

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
            more = (table["own"] / table["twin"]).clip(0.5, 2).fillna(1)  # nobody looked at either
            found |= {c: found[c] * float(more[c]) for c in more.index}
        return found

    def trainings(self, asked: Sequence[tuple[Plan, int]], frozen: bool) -> list[Training]:
        """Return training k for each (plan, k) as the study trains: of the same people.

        Where the study's leave out a fold of the images, so does each of these of their scenes.
        """
        study = self.study
        return [
            Training(
                study.pretrained,
                self._learned(plan, k),
                None,
                self.read,
                study.training_settings(frozen, study.first_seed + k),
            )
            for plan, k in asked
        ]

    def _learned(self, plan: Plan, number: int) -> SaliencyDataset:
        world, study = self.world(plan, group=1), self.study
        if study.crossed:
            return world
        learned = set(study.parts(number)[0].names)
        both = zip(world.names, study.annotated.names, strict=True)
        return world.part([scene for scene, image in both if image in learned])

    def matched(self) -> pd.DataFrame:
        """Return in what the scenes are as the data are (see `compared`).

        Raises ValueError naming the figure that is furthest off, if one is too far, and for data of
        which no category is told of with an interval.
        """
        table = compared(self.shown, self.unseen, IMAGES)
        if table.empty:
            raise ValueError(
                f"{self.shown!r} shows no category on {IMAGES} images or more, so 03 tells nothing "
                "with an interval that a twin could be asked about"
            )
        if table["off"].any():
            far = np.log(table["ratio"].clip(lower=1e-9)).abs()
            row = table.loc[far.where(table["off"]).idxmax()]
            raise ValueError(
                f"{self.shown!r} has no twin: {row['figure']} of {row['category']} would be "
                f"{row['twin']:.3g} there and is {row['own']:.3g} here"
            )
        return table


def enough(trainings: int, count: int) -> int:
    """Return `trainings`, or raise ValueError if they do not make two studies of `count`."""
    if trainings < 2 * count:
        raise ValueError(
            f"{trainings} trainings in the twin: two studies of {count} need {2 * count} or more"
        )
    return trainings


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
        enough(trainings, self.count)
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

    @property
    def pool(self) -> OverTrainings:
        """The change of the twin's networks, as a share of people's."""
        return self.known.pool(CHANGE)

    def _errors(
        self,
        effects: np.ndarray,
        pair: Pair | None,
        trainings: int = 1,
        images: int = 1,
        spread: float = 1.0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return how studies err (see `studies`) where the truth is `effects` (K,).

        pair: whose difference is told (None: each category, jointly); trainings, images: how many
        times as many as this study has; spread: as of `studies`.
        """
        pool = self._various(self.known.with_effects(CHANGE, effects))
        pool = pair.of(pool) if pair else pool
        number, share = trainings * self.count, images / self.times
        return studies(pool, number, share, self.own_images, pair is None, spread=spread)

    def _various(self, pool: OverTrainings) -> OverTrainings:
        """Return a pool of the twin's whose images differ as the study's own do."""
        own, twin = self._varieties
        times = own / twin
        times = np.where(np.isnan(times), np.nan_to_num(_middle(times), nan=1.0), times)
        mean = pool.values[:, :1]
        return replace(pool, values=mean + (pool.values - mean) * times)

    @cached_property
    def _varieties(self) -> tuple[np.ndarray, np.ndarray]:
        """How much images differ in the change by the twin's categories (K,): here, and there."""
        found = dict(zip(self.own.categories, _variety(self.own, self.own_images), strict=True))
        own = np.array([found.get(category, np.nan) for category in self.pool.categories])
        whole = self.known.with_effects(CHANGE, self._effects)
        return own, _variety(whole, self.own_images)

    @property
    def _spreads(self) -> tuple[float, float, float]:
        """How many times as much trainings may differ as the twin's few do: 1, least, most."""
        return 1.0, *of_spread(len(self.pool.values))

    @cached_property
    def _effects(self) -> np.ndarray:
        """The study's own change by the twin's categories (K,); the twin's where it has none."""
        found = dict(zip(self.pool.categories, self.pool.values[:, 0].mean(0), strict=True))
        own = dict(zip(self.own.categories, self.own.values[:, 0].mean(0), strict=True))
        found |= {category: value for category, value in own.items() if not np.isnan(value)}
        return np.array([found[category] for category in self.pool.categories])

    def measured(self) -> pd.DataFrame:
        """Return what nobody matched: figure, category, own, twin.

        People's own region NSS; how much images differ in the change, NaN where a training saw too
        few; and how far the interval of the change reaches, if the change is as large as the
        study's, and images differ as the study's own do.
        """
        people, alike = self.found.people, self.known.people
        reach = np.median(self._errors(self._effects, None)[1], 0)
        told = self.own.learned(together=True)
        parts = {
            PEOPLES: (people.values[:, 0].mean(0), alike.values[0, 0]),
            VARIETY: (_variety(self.own, self.own_images), self._varieties[1]),
            REACH: (told.high - told.value, reach),
        }
        rows = []
        for figure, (own, twin) in parts.items():
            for name, value in zip(self.own.categories, own, strict=True):
                rows.append((figure, name, value, twin[self.pool.categories.index(name)]))
        table = pd.DataFrame(rows, columns=["figure", "category", "own", "twin"])
        known = dict(zip(self.own.categories, ~np.isnan(told.high), strict=True))
        return table[table["category"].map(known)]

    def power(self, pair: Pair) -> pd.DataFrame:
        """Return how often studies would find by how much one category gains more, by effect.

        trainings, images (all that are measured), effect (share of people's; from 0 on to the
        side of the study's own, and last that), own (whether it is that), value: in what share of
        `studies` the interval lies on that side; low, high: the same, as far as the spread of the
        twin's few trainings is known; NaN without intervals. Of other numbers of trainings and
        images than `DRAWN` times as many only the study's own effect.
        """
        own, now = (float(pair.of(of).values[:, 0].mean()) for of in (self.own, self.pool))
        first = np.array([name == pair.first for name in self.pool.categories], float)
        truth = self.pool.values[:, 0].mean(0)
        side = -1.0 if own < 0 else 1.0

        def beyond(effect: float, trainings: int, images: int, spread: float) -> np.ndarray:
            at = truth + first * (effect - now)
            values, reach = self._errors(at, pair, trainings, images, spread)
            return np.where(np.isnan(reach), np.nan, side * values + abs(effect) - reach)

        def found(*asked: float | int) -> float:
            told = beyond(*asked)
            return np.nan if np.isnan(told).any() else float((told > 0).mean())

        spreads = self._spreads
        needed = float(np.nan_to_num(np.quantile(-beyond(0.0, 1, 1, max(spreads)), POWER)))
        grid = side * np.linspace(0, max(1.2 * np.nan_to_num(abs(own)), 1.5 * needed), EFFECTS)
        rows = []
        for trainings, images in [(more, 1) for more in MORE] + [(1, more) for more in MORE[1:]]:
            effects = [*grid, own] if max(trainings, images) <= DRAWN else [own]
            for k, effect in enumerate(effects):
                told = [found(effect, trainings, images, spread) for spread in spreads]
                numbers = (trainings * self.count, images * len(self.worlds.shown))
                row = (*numbers, effect, k == len(effects) - 1, told[0], min(told), max(told))
                rows.append(row)
        columns = ["trainings", "images", "effect", "own", "value", "low", "high"]
        return pd.DataFrame(rows, columns=columns)

    def needed(self) -> pd.DataFrame:
        """Return how large a change must be to be found in `POWER` of studies like this one.

        category, value (share of people's, to the side of the study's own change; NaN on few
        images), low, high (the same, as far as the spread of the twin's few trainings is known),
        effect: what the study has found.
        """
        told = np.stack([self._needed(spread) for spread in self._spreads])
        own = dict(zip(self.own.categories, self.own.values[:, 0].mean(0), strict=True))
        ends = {"low": told.min(0), "high": told.max(0)}
        table = pd.DataFrame({"category": self.pool.categories, "value": told[0], **ends})
        return table.assign(effect=table["category"].map(own)).dropna(subset="effect")

    def _needed(self, spread: float) -> np.ndarray:
        side = np.where(self._effects < 0, -1.0, 1.0)
        value = self._effects
        for _ in range(3):  # how studies err hangs on how large it is
            at = np.where(np.isnan(value), self._effects, value)
            values, reach = self._errors(at, None, spread=spread)
            value = side * np.quantile(reach - side * values, POWER, axis=0)
        return value

    def thinned(self, pair: Pair) -> pd.DataFrame:
        """Return how often the study's own finding is found again on some of its images.

        category (and the pair's two), kept (share of the images), effect (on all of them), own: in
        what share of random choices the interval lies on the effect's side; value, low, high: mean
        and middle 95 % of the same of studies of the twin which say as much on all of theirs.
        """
        whole, rows = self._various(self.known.with_effects(CHANGE, self._effects)), []
        for kept in THINNED:
            choices = list(self._choices(kept))
            for of in (None, pair):
                own, twin = (of.of(pool) if of else pool for pool in (self.own, whole))
                effect, at = own.values[:, 0].mean(0), twin.values[:, 0].mean(0)
                asked = (twin, at, self.count, 1 / self.times, self.own_images, of is None, kept)
                told = found_again(*asked)
                chosen = [of.of(one) if of else one for one in choices]
                found = self._found_again(chosen, effect, kept, jointly=of is None)
                for k, name in enumerate(own.categories):
                    shares = told[:, twin.categories.index(name)]
                    if not np.isnan([found[k], effect[k], *shares]).any():
                        ends = bounds(shares)
                        rows.append((name, kept, effect[k], found[k], shares.mean(), *ends))
        columns = ["category", "kept", "effect", "own", "value", "low", "high"]
        return pd.DataFrame(rows, columns=columns)

    def _found_again(
        self, choices: Sequence[OverTrainings], effect: np.ndarray, kept: float, jointly: bool
    ) -> np.ndarray:
        """Return (K,) in what share of the choices the interval lies on the effect's side."""
        again: list[np.ndarray] = []
        for each in choices:
            images = np.floor(each.images * kept)
            draws = None if self.own_images else each.values[:, 1:].mean(0)
            found = over_trainings(each.values[:, 0], draws, images, jointly)
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
            yield replace(self.own, values=of_people(values, on(looked, PEOPLE)))


def _variety(found: OverTrainings, own_images: bool) -> np.ndarray:
    """Return by how much a number differs between images, as a standard deviation of one: (K,).

    What other images do to one training (own_images), or to the mean of all, times the root of how
    many it is told on. NaN where a training has too few to draw others from.
    """
    draws = found.values[:, 1:]
    each = draws if own_images else draws.mean(0, keepdims=True)
    images = found.images / (1 if found.crossed else len(found.values))
    return np.sqrt(each.var(1, ddof=1).mean(0) * images)


def _middle(values: np.ndarray) -> float:
    """Return the median of what is known, NaN of nothing."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else np.nan
