"""Does a network follow what is planted in real photographs?

Fixations in regions of one category count a dose as much as all others, everything else as it was;
networks fine-tuned on that are measured on images that they never saw, at where people looked there
as it is. Training k of every dose has the same seed, fold and order of images, so that doses pair.
Numbers are those of 03: region NSS of the map as a share of people's own (`MAP`), and the mean
region NSS of the best units of the deepest layer that is read (`UNITS`).
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from ...datasets import Reweighted, SaliencyDataset, Sham, SomeObservers
from ...datasets.reweighted import as_fraction, looked_at, observers_of
from ...dissection import Dissection, OverTrainings, best_of, dissect_cached, mean_of
from ...dissection.readout_maps import MAP as LAYER
from ...dissection.readout_maps import Maps, WithMap
from ...evaluation import PEOPLE, human_blur, human_regions_cached
from ...findings import labelled
from ...intervals import IMAGES, exact
from ...models import SaliencyModel, Training, train_side_by_side
from ...study import Study

MAP, UNITS = MEASURES = ("the map", "best units")
READOUT, SHAM = "the map of frozen layers", "the map of frozen layers, sham doses"
WHOLLY = "people's density, so re-weighted"
ITSELF, OTHERS, GAP = KINDS = ("itself", "others", "itself − others")
Answers = dict[str, OverTrainings]
"""By measure, one number a category."""
Pair = tuple[list[Training], list[Training]]
"""Trainings that only chance sets apart, undone: one side's, and the other's."""


class Planted:
    """Networks taught on re-weighted fixations of a study's images, and how they answer.

    categories: those to plant, one at a time; those that people looked at on fewer than `least`
    training images are left out. doses: what a fixation there counts; trainings: of each dose; k:
    how many best units a mean is over; images: learn from so many of the training images (0: all,
    so that dose 1 are the study's own trainings). Raises UnknownNameError for a category;
    ValueError where none is left, for data without regions or observers, for doses of 0 or below,
    none beside 1, or fewer than two trainings.
    """

    def __init__(
        self,
        study: Study,
        categories: Sequence[str],
        doses: Sequence[float],
        trainings: int = 3,
        k: int = 10,
        least: int = IMAGES,
        images: int = 0,
    ):
        if trainings < 2:
            raise ValueError(f"{trainings} training a dose tells no spread; at least 2 are needed")
        self.study, self.trainings, self.k = study, trainings, k
        self.doses = sorted({float(as_fraction(dose)) for dose in doses} - {1.0})
        if not self.doses:
            raise ValueError(f"doses are {list(doses)}: at least one beside 1 is needed")
        whole = [study.parts(k)[0] for k in range(trainings)]
        self.learned = [data.thinned(images) for data in whole] if images else whole
        data = self.learned[0]
        for part in (data, self.unseen[0]):
            _check(part)
        self.looked = looked_at(data, labelled(categories, data.categories))
        self.looked["planted"] = self.looked["images"] >= least
        self.categories = self.looked.loc[self.looked["planted"], "category"].tolist()
        if not self.categories:
            told = [f"{c} ({n} fixations on {i})" for c, n, i, _ in self.looked.to_numpy()]
            raise ValueError(
                f"{data!r}: too rare to re-weight, looked at on fewer than {least} images: "
                f"{', '.join(told)}"
            )

    # Trainings

    @property
    def layer(self) -> str:
        """The deepest layer that is read."""
        return (self.study.read or self.study.pretrained.layers[-1:])[-1]

    @cached_property
    def unseen(self) -> list[SaliencyDataset]:
        """The images that each training never saw."""
        return [self.study.parts(k)[2] for k in range(self.trainings)]

    def asked(self, category: str, dose: float) -> list[Training]:
        """Return the trainings of a dose, undone; nothing is re-weighted at dose 1."""
        if dose != 1:
            return self._taught([Reweighted(data, category, dose) for data in self.learned])
        own = self.study.asked(False, count=self.trainings)
        return own if own[0].data.names == self.learned[0].names else self._taught(self.learned)

    def asked_halves(self, number: int, frozen: bool = False) -> Pair:
        """Return trainings on one half of the observers and on the other, undone.

        frozen: of the readout alone. Each training deals the observers anew, so that who is in a
        half is part of what differs between trainings; of an odd number of observers one is in
        neither.
        """
        halves: tuple[list[SaliencyDataset], list[SaliencyDataset]] = [], []
        for k, data in enumerate(self.learned):
            rng = np.random.default_rng([self.study.first_seed + k, number])
            dealt = rng.permutation(observers_of(data)).tolist()
            n = len(dealt) // 2
            for half, chosen in zip(halves, (dealt[:n], dealt[n : 2 * n]), strict=True):
                half.append(SomeObservers(data, chosen))
        return self._taught(halves[0], frozen), self._taught(halves[1], frozen)

    def asked_shams(self, number: int, dose: float) -> Pair:
        """Return trainings of readouts at one sham dose and at another, undone.

        On each image as many fixations as lie in its regions of a planted category, drawn at
        random, count `dose`: comparisons take the planted categories in turn. As of doses, training
        k of both has the same fixations, seed and order of images; which of them count is drawn
        anew for each, so that it is part of what differs between trainings.
        """
        category = self.categories[number % len(self.categories)]
        shams = [
            [
                Sham(data, category, dose, self.study.first_seed + k, number, side)
                for k, data in enumerate(self.learned)
            ]
            for side in range(2)
        ]
        return self._taught(shams[0], frozen=True), self._taught(shams[1], frozen=True)

    def _taught(self, data: Sequence[SaliencyDataset], frozen: bool = False) -> list[Training]:
        """Return training k of the study, but on data[k]; not validated."""
        asked = self.study.asked(frozen, count=self.trainings, curve=False)
        return [replace(one, data=own) for one, own in zip(asked, data, strict=True)]

    def networks(self, asked: Sequence[Training]) -> list[SaliencyModel]:
        """Return each training's network; what is not in the cache is trained side by side."""
        found = [model for model, _ in train_side_by_side(asked)]
        return [model for model in found if isinstance(model, SaliencyModel)]

    # What they answer

    @cached_property
    def people(self) -> OverTrainings:
        """People's own region NSS, on the images of each training."""
        return OverTrainings.of([human_regions_cached(one) for one in self.unseen], mean_of(PEOPLE))

    def _measured(self, networks: Sequence[SaliencyModel]) -> Answers:
        found = [
            dissect_cached(WithMap(net), own, [self.layer, LAYER], size=self.study.size)
            for net, own in zip(networks, self.unseen, strict=True)
        ]
        return {
            MAP: OverTrainings.of(found, mean_of(LAYER)) / self.people,
            UNITS: OverTrainings.of(found, best_of(self.layer, self.k)),
        }

    @cached_property
    def _answers(self) -> dict[tuple[str, float], Answers]:
        """What the networks of each category and dose answer; "" is the category of dose 1."""
        asked = {("", 1.0): self.asked("", 1)}
        asked |= {(c, d): self.asked(c, d) for c in self.categories for d in self.doses}
        self.networks([one for some in asked.values() for one in some])  # all on all cores
        return {key: self._measured(self.networks(some)) for key, some in asked.items()}

    def _series(self, measure: str, category: str) -> list[tuple[float, OverTrainings]]:
        """Return what each dose of a category, by size, adds to the answer to dose 1."""
        base = self._answers["", 1.0][measure]
        found = {d: self._answers[category, d][measure] - base for d in self.doses}
        return sorted({**found, 1.0: base - base}.items())

    def _wholly(self, category: str) -> list[tuple[float, OverTrainings]]:
        """Return the same of a map that follows wholly: people's own density, so re-weighted.

        Each observer is scored on all others', whose fixations count as in training; the blur is
        that with which they predict best as they are.
        """
        found = {1.0: self.people - self.people}
        for dose in tqdm(self.doses, desc="people, re-weighted", leave=False):
            followed = [
                replace(
                    human_regions_cached(Reweighted(data, category, dose), blur=human_blur(data)),
                    regions=human_regions_cached(data).regions,
                )
                for data in self.unseen
            ]
            found[dose] = OverTrainings.of(followed, mean_of(PEOPLE)) - self.people
        return [(dose, added / self.people) for dose, added in sorted(found.items())]

    def responses(self) -> pd.DataFrame:
        """Return what doses add to the answer to dose 1, paired by training.

        measure, planted, dose, category, value, low, high (each by itself) … Of the measure
        `WHOLLY`, a share of people's too, nothing is learned: it is what the map would add if it
        followed wholly.
        """
        series = {measure: partial(self._series, measure) for measure in MEASURES}
        parts = [
            added.table(measure=measure, planted=category, dose=dose)
            for measure, of in {**series, WHOLLY: self._wholly}.items()
            for category in self.categories
            for dose, added in of(category)
        ]
        return pd.concat(parts, ignore_index=True)

    def slope(self, measure: str, category: str) -> OverTrainings:
        """Return what each doubling of a category's dose adds, by least squares over the doses."""
        doses, added = zip(*self._series(measure, category), strict=True)
        return replace(added[0], values=steepness(doses, [one.values for one in added]))

    def slopes(self) -> pd.DataFrame:
        """Return what a doubling of each planted category's dose adds at each category.

        measure, planted, category, value, low, high (of a planted category's all together) …
        """
        parts = [
            self.slope(measure, planted).table(together=True, measure=measure, planted=planted)
            for measure in MEASURES
            for planted in self.categories
        ]
        return pd.concat(parts, ignore_index=True)

    def specific(self) -> pd.DataFrame:
        """Return what a doubling adds at its own category, at others in the mean, and the gap.

        measure, planted, kind (of `KINDS`), value, low, high … The interval at itself is that of
        `slopes`, the others' are each by itself. Others are those on enough images for an interval.
        Data of one category have none.
        """
        parts = []
        for measure in MEASURES:
            for planted in self.categories:
                slope, about = self.slope(measure, planted), {"measure": measure}
                own = slope.table(together=True, **about, planted=planted, kind=ITSELF)
                parts.append(own[own["category"] == planted])
                if len(slope.categories) > 1:
                    mine = slope.favouring(planted)
                    others = without(slope, planted).averaged(OTHERS)
                    images = np.minimum(mine.images, others.images)
                    gap = replace(mine, values=mine.values - others.values, images=images)
                    for kind, found in ((OTHERS, others), (GAP, gap)):
                        parts.append(found.table(**about, planted=planted, kind=kind))
        return pd.concat(parts, ignore_index=True).drop(columns="category")

    # Where nothing is planted

    def halves(self, comparisons: int) -> pd.DataFrame:
        """Return by how much networks of one half of the observers differ from the other half's.

        comparison, measure, category, value, low, high (of a comparison's all together) … Nothing
        sets the halves apart but chance, see `asked_halves`. Raises ValueError for no comparison.
        """
        if comparisons < 1:
            raise ValueError(f"{comparisons} comparisons of halves; at least 1 is needed")
        asked = [self.asked_halves(number) for number in range(comparisons)]
        self.networks([one for pair in asked for half in pair for one in half])
        parts = []
        for number, pair in enumerate(asked, 1):
            first, second = (self._measured(self.networks(half)) for half in pair)
            parts += [
                (first[m] - second[m]).table(together=True, comparison=number, measure=m)
                for m in MEASURES
            ]
        return pd.concat(parts, ignore_index=True)

    def frozen_halves(self, comparisons: int) -> pd.DataFrame:
        """Return the same of readouts of frozen layers, by the map alone, measure `READOUT`.

        They are taught sooner, so that there can be more comparisons to tell how often one alarms.
        0 comparisons: no rows. Raises ValueError for fewer.
        """
        pairs = [self.asked_halves(number, frozen=True) for number in range(_some(comparisons))]
        return self._read_apart(pairs, READOUT)

    def shams(self, comparisons: int) -> pd.DataFrame:
        """Return by how much readouts at one sham dose differ from those at another.

        comparisons: so many of the least of the doses, then of the greatest. As `frozen_halves`,
        measure `SHAM`; see `asked_shams`.
        """
        doses = np.repeat([*dict.fromkeys([self.doses[0], self.doses[-1]])], _some(comparisons))
        pairs = [self.asked_shams(number, dose) for number, dose in enumerate(doses.tolist())]
        return self._read_apart(pairs, SHAM)

    def _read_apart(self, pairs: Sequence[Pair], measure: str) -> pd.DataFrame:
        """Return by how much readouts of each pair differ, by the map; all of an image at once."""
        names = [(number, side) for number in range(len(pairs)) for side in range(2)]
        found: dict[tuple[int, int], list[Dissection]] = {name: [] for name in names}
        for k, own in enumerate(self.unseen if pairs else []):
            read = self.networks([pairs[number][side][k] for number, side in names])
            maps = Maps(dict(zip(map(str, names), read, strict=True)))
            whole = dissect_cached(maps, own, size=self.study.size)
            for name in names:
                found[name].append(replace(whole, scores={LAYER: whole.of(str(name))}))
        answers = {k: OverTrainings.of(v, mean_of(LAYER)) / self.people for k, v in found.items()}
        parts = [
            (answers[number, 0] - answers[number, 1]).table(
                together=True, comparison=number + 1, measure=measure
            )
            for number in range(len(pairs))
        ]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _some(comparisons: int) -> int:
    if comparisons < 0:
        raise ValueError(f"{comparisons} comparisons; at least 0 are needed")
    return comparisons


def _check(data: SaliencyDataset) -> None:
    """Raise ValueError for data without regions, or that do not tell people from people."""
    if len(observers_of(data)) < 2:
        raise ValueError(f"{data!r} has one observer: people cannot be told from people")
    if not any(data.regions(i) for i in range(len(data))):
        raise ValueError(f"{data!r} has no annotated regions: there is nothing to re-weight by")


def alarms(*apart: pd.DataFrame) -> pd.DataFrame:
    """Return how many comparisons alarm: measure, alarms, comparisons, value, low, high.

    In some category; value: their share, low, high: its exact interval. apart: what
    `Planted.halves`, `frozen_halves` and `shams` return; a comparison none of whose categories has
    an interval is none.
    """
    rows = []
    told = pd.concat([table for table in apart if len(table)])
    for measure, table in told.dropna(subset="low").groupby("measure", sort=False):
        wrong = ((table["low"] > 0) | (table["high"] < 0)).groupby(table["comparison"]).any()
        count = int(wrong.sum()), len(wrong)
        rows.append((measure, *count, wrong.mean(), *exact(*count)))
    columns = ["measure", "alarms", "comparisons", "value", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def steepness(doses: Sequence[float], values: Sequence[np.ndarray]) -> np.ndarray:
    """Return the least-squares slope over log2 of the doses of values (…), one array a dose."""
    x = np.log2(doses) - np.log2(doses).mean()
    return np.tensordot(x / (x @ x), np.stack(values), 1)


def without(found: OverTrainings, category: str) -> OverTrainings:
    """Return the numbers of all categories but one."""
    kept = [k for k, name in enumerate(found.categories) if name != category]
    names = tuple(found.categories[k] for k in kept)
    values, images = found.values[..., kept], found.images[kept]
    return replace(found, values=values, categories=names, images=images)
