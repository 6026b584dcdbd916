"""What fine-tuning changes, over trainings: the map by category and layer, and its best units."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import pandas as pd

from ..datasets import SaliencyDataset
from ..dissection import (
    Dissection,
    OverTrainings,
    Statistic,
    best_of,
    contributions_cached,
    map_parts,
    mean_of,
    singles,
)
from ..dissection.stream import running_once
from ..evaluation import PEOPLE, human_regions_cached
from ..models import Encoder
from ..study import Study, Trained
from .labelled import labelled

BEFORE, AFTER, CHANGE = "before", "after", "change"
SHARE, NSS, UNITS = "share", "region NSS", "best units"


class Change(NamedTuple):
    """One number a category, before and after fine-tuning."""

    before: OverTrainings
    after: OverTrainings

    @property
    def gained(self) -> OverTrainings:
        """After minus before, training by training."""
        return self.after - self.before

    def __truediv__(self, whole: OverTrainings) -> "Change":
        return Change(self.before / whole, self.after / whole)

    def averaged(self, name: str) -> "Change":
        """Return the mean over categories; see `OverTrainings.averaged`."""
        return Change(self.before.averaged(name), self.after.averaged(name))

    def table(self, measure: str) -> pd.DataFrame:
        """Return rows measure, what (before, after, change), category, value, low, high …

        The intervals of the changes hold together, over all categories.
        """
        parts = [
            self.before.table(measure=measure, what=BEFORE),
            self.after.table(measure=measure, what=AFTER),
            self.gained.table(together=True, measure=measure, what=CHANGE),
        ]
        return pd.concat(parts, ignore_index=True)


class FineTuning:
    """Every training of a study before and after, seen by its maps and by its units.

    Maps: of the layers that the study reads, the encoder frozen before. Units: of the deepest
    dissected layer, `layer`, of models that read it alone, as the paper's do; pre-trained before.
    """

    def __init__(self, study: Study, k: int = 10):
        self.study, self.k, self.layer = study, k, study.dissected[-1]

    @property
    def images(self) -> int:
        """How many images the trainings are measured on, all together."""
        return len({n for s in range(self.study.trainings) for n in self.study.parts(s)[-1].names})

    @cached_property
    def mapped(self) -> Mapping[str, Sequence[Dissection]]:
        """Each training's map and its parts, in regions of its unseen images, before and after."""
        before, after = (
            [
                map_parts(contributions_cached(t.model, t.unseen, size=self.study.size))
                for t in self.study.each_training(frozen)
            ]
            for frozen in (True, False)
        )
        return {BEFORE: before, AFTER: after}

    @cached_property
    def maps(self) -> Mapping[str, Change]:
        """Region NSS of the map, and the part of each layer read: by "map" and layer."""
        before, after = self.mapped[BEFORE], self.mapped[AFTER]
        return {part: _change(before, after, part) for part in before[0].layers}

    @cached_property
    def looked(self) -> Sequence[Dissection]:
        """People's own region NSS in the regions of each training's unseen images."""
        unseen = (self.study.parts(s)[-1] for s in range(self.study.trainings))
        return [human_regions_cached(images) for images in unseen]

    @cached_property
    def people(self) -> OverTrainings:
        """People's own region NSS, on the images of each training."""
        return OverTrainings.of(self.looked, mean_of(PEOPLE))

    @cached_property
    def _one_layer(self) -> Sequence[Trained]:
        return self.study.each_training(False, read=[self.layer])

    @cached_property
    def dissections(self) -> Mapping[str, Sequence[Dissection]]:
        """Each training's dissection, before and after, on its unseen images.

        What `mapped` tells of the same networks is then known too: each runs over the images once.
        """
        trainings = self.study.each_training(True), self._one_layer
        before, after = ([self._dissected(t) for t in each] for each in trainings)
        return {"pre-trained": before, "fine-tuned": after}

    def _dissected(self, of: Trained) -> Dissection:
        encoder, model, size = of.model.encoder, of.model, self.study.size
        with running_once(encoder, model.layers):
            found = self.study.dissect(encoder, of.unseen, p_values=False)
            if model.layers == (self.study.read or [self.layer]):  # of which `mapped` will ask
                contributions_cached(model, of.unseen, size=size)
        return found

    @property
    def first(self) -> tuple[dict[str, Encoder], dict[str, Dissection], SaliencyDataset]:
        """Encoders and dissections, before and after, and the images of the first training."""
        model, _, _, unseen = self._one_layer[0]
        encoders = {"pre-trained": self.study.pretrained, "fine-tuned": model.encoder}
        return encoders, {name: found[0] for name, found in self.dissections.items()}, unseen

    @cached_property
    def units(self) -> Change:
        """Mean region NSS of the best units, chosen on other images than they are scored on."""
        return self._change(best_of(self.layer, self.k))

    def _change(self, statistic: Statistic) -> Change:
        return Change(*(OverTrainings.of(of, statistic) for of in self.dissections.values()))

    def asked(self, first: str, second: str) -> tuple[str, str]:
        """Return the two categories, or the one that anybody looked at, and "".

        Raises UnknownNameError for a name that is neither of these data nor one of the paper's, and
        if nobody looked at either.
        """
        seen = [c for c, n in zip(self.people.categories, self.people.images, strict=True) if n]
        one, *other = labelled((first, second), seen)
        return one, other[0] if other else ""

    def favoured(self, first: str, second: str) -> pd.DataFrame:
        """Return by how much the change of `first` exceeds that of `second`, and where.

        Where one of the two cannot be `asked`, the other's change alone; `second` is then "".
        measure, part ("map", each layer read, whose numbers sum to the map's, "best units"), first,
        second, value, low, high … Best units have no share of people's.
        """
        first, second = self.asked(first, second)
        found = {(SHARE, part): (one / self.people).gained for part, one in self.maps.items()}
        found |= {(NSS, part): one.gained for part, one in self.maps.items()}
        found[NSS, UNITS] = self.units.gained
        parts = [
            one.favouring(first, second).table(measure=m, part=part, first=first, second=second)
            for (m, part), one in found.items()
        ]
        return pd.concat(parts, ignore_index=True).drop(columns="category")


def _change(before: Sequence[Dissection], after: Sequence[Dissection], layer: str) -> Change:
    return Change(*(OverTrainings.of(found, mean_of(layer)) for found in (before, after)))


def same_sign(row: pd.Series) -> tuple[int, int]:
    """Return in how many single trainings the sign is that of the row's mean, and of how many."""
    own = singles(row.to_frame().T).astype(float).iloc[0]
    return int((own * row["value"] > 0).sum()), len(own)
