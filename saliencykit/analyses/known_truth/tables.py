"""Is the estimator that the other notebooks use right? Asked of worlds whose truth is known.

Numbers, alarms and what it takes to find something are those of `Calibration`; here it is told what
is found of what was planted.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import pandas as pd

from ...datasets import CATEGORIES
from ...dissection import (
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
    bounds,
    rank_correlation,
)
from ...study import Study
from ...worlds import FLAT, NUMBERS, Calibration, Plan, Worlds, some

ALONE, BEYOND = "by itself", "beyond a world that favours nothing"


def plans(categories: Sequence[str], factors: Sequence[float]) -> list[Plan]:
    """Return one world for each category and factor, all other weights 1."""
    return [Plan(category, float(factor)) for category in categories for factor in factors]


class KnownTruth(Calibration):
    """Trainings of worlds that favour nothing and of the `planted` ones, and what is said of them.

    flat: how many trainings favour nothing; each: trainings of each planted world; readouts: frozen
    readouts that favour nothing, at least `flat`. No training of one world has seed or observers
    in common with one of another.
    """

    def __init__(
        self, worlds: Worlds, planted: Sequence[Plan], flat: int, each: int, readouts: int
    ):
        super().__init__(worlds, flat, readouts)
        if self.flat < 2 * each:
            few = f"{self.flat} trainings favour nothing"
            raise ValueError(f"{few}; {each} a world need {2 * each}")
        self.planted, self.each = list(planted), each

    @property
    def plans(self) -> Sequence[Plan]:
        """The world that favours nothing, and those that favour something."""
        return [FLAT, *self.planted]

    def asked(self, plan: Plan, frozen: bool) -> list[tuple[Plan, int]]:
        """Return the trainings of a world: (plan, number)."""
        if plan == FLAT:
            return super().asked(plan, frozen)
        first = self.flat + self.each * self.planted.index(plan)
        return [(plan, first + k) for k in range(self.each)]

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
