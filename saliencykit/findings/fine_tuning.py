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
    above,
    best_of,
    contributions_cached,
    map_parts,
    mean_of,
    report,
    singles,
)
from ..dissection.readout_maps import MAP
from ..evaluation import PEOPLE, human_regions_cached
from ..models import Encoder
from ..study import Study, Trained
from ..viewing import reported

BEFORE, AFTER, CHANGE = "before", "after", "change"
SHARE, NSS, UNITS = "share", "region NSS", "best units"
SAME, OTHERS, ABOVE = "scored on the same images", "scored on others", "units above T"
ENDS = ["low", "high"]
OTHER_IMAGES = "all others"


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
    def maps(self) -> Mapping[str, Change]:
        """Region NSS of the map, and the part of each layer read: by "map" and layer."""
        before, after = (
            [
                map_parts(contributions_cached(t.model, t.unseen, size=self.study.size))
                for t in self.study.each_training(frozen)
            ]
            for frozen in (True, False)
        )
        return {part: _change(before, after, part) for part in before[0].layers}

    @cached_property
    def people(self) -> OverTrainings:
        """People's own region NSS, on the images of each training."""
        unseen = (self.study.parts(s)[-1] for s in range(self.study.trainings))
        found = [human_regions_cached(images) for images in unseen]
        return OverTrainings.of(found, mean_of(PEOPLE))

    @cached_property
    def _one_layer(self) -> Sequence[Trained]:
        return self.study.each_training(False, read=[self.layer])

    @cached_property
    def dissections(self) -> Mapping[str, Sequence[Dissection]]:
        """Each training's dissection, before and after, on its unseen images."""
        study = self.study
        return {
            "pre-trained": [
                study.dissect(study.pretrained, t.unseen, p_values=False) for t in self._one_layer
            ],
            "fine-tuned": [
                study.dissect(t.model.encoder, t.unseen, p_values=False) for t in self._one_layer
            ],
        }

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

    def map_table(self) -> pd.DataFrame:
        """Return the map by category: as a share of people's, in region NSS, and people's own."""
        whole = self.maps[MAP]
        people = self.people.table(measure=NSS, what=PEOPLE)
        parts = [(whole / self.people).table(SHARE), whole.table(NSS), people]
        return pd.concat(parts, ignore_index=True)

    def unit_table(self) -> pd.DataFrame:
        """Return the best units by category, before, after and change."""
        return self.units.table(NSS)

    def favoured(self, first: str, second: str) -> pd.DataFrame:
        """Return by how much the change of `first` exceeds that of `second`, and where.

        measure, part ("map", each layer read, whose numbers sum to the map's, "best units"), first,
        second, value, low, high … Best units have no share of people's.
        """
        found = {(SHARE, part): (one / self.people).gained for part, one in self.maps.items()}
        found |= {(NSS, part): one.gained for part, one in self.maps.items()}
        found[NSS, UNITS] = self.units.gained
        parts = [
            one.favouring(first, second).table(measure=m, part=part, first=first, second=second)
            for (m, part), one in found.items()
        ]
        return pd.concat(parts, ignore_index=True).drop(columns="category")

    def paper_table(self, threshold: float, first: str, second: str) -> pd.DataFrame:
        """Return the paper's table: best units and units above T, before and after fine-tuning.

        measure (best units "scored on the same images" that chose them, as the paper's, "scored on
        others"; "units above T"), what, category (each; `reported.ALL`, their mean; last, as what
        "change", by how much `first` gained more than `second`), of (units), value, low, high …;
        least, most: what the authors report, if it is known, the same unless it is a range.
        """
        same = self._change(best_of(self.layer, self.k, "same"))
        counted = self._change(above(self.layer, threshold))
        rows = []
        for measure, found in {SAME: same, OTHERS: self.units, ABOVE: counted}.items():
            for of in (found, found.averaged(reported.ALL)):
                both = zip((BEFORE, AFTER), of, strict=True)
                rows += [one.table(measure=measure, what=what) for what, one in both]
        claimed = same.gained.favouring(first, second)
        table = pd.concat([*rows, claimed.table(measure=SAME, what=CHANGE)], ignore_index=True)
        units = self.dissections["pre-trained"][0].of(self.layer).shape[1]
        counts = table["measure"] == ABOVE
        table.loc[counts, ENDS] = table.loc[counts, ENDS].clip(0, units)
        table.insert(3, "of", units)
        return table.assign(**_reported(table, first, second))

    def one_unit(self, category: str, most: int = 4) -> pd.DataFrame:
        """Return one unit's region NSS in regions of a category, before and after fine-tuning.

        It is the unit whose selectivity for the category gained most in the first training, on half
        of the unseen images that show it. Told are others: the mean over all of them, in every
        training; and, in the first, the `most` whose region was looked at most. A category on fewer
        than two images gives way to the most frequent one. Columns: category, unit, image
        (`OTHER_IMAGES`: the mean), region (its number in the image), fixations, what (before,
        after; of the mean also change), value, low, high …, "training 1" …
        """
        old, new = (found[0] for found in self.dissections.values())
        regions = old.regions.assign(region=old.regions.groupby("image").cumcount())
        regions = regions[regions["fixations"] > 0]
        regions = regions.sort_values("fixations", ascending=False, kind="stable")
        images = regions.groupby("category")["image"].nunique()
        category = category if images.get(category, 0) > 1 else str(images.idxmax())
        shown = regions[regions["category"] == category].drop_duplicates("image")
        halves = self._one_layer[0].unseen.subset(shown["image"].tolist()).folds(2)
        chose, others = (set(half.names) for half in halves)
        was, became = (res.subset(chose).selectivity(self.layer) for res in (old, new))
        unit = int((became - was).loc[category].to_numpy().argmax())
        pictured = shown[shown["image"].isin(others)].head(most)[["image", "region", "fixations"]]
        parts = [self._unit_elsewhere(unit, chose).query("category == @category")]
        for what, res in ((BEFORE, old), (AFTER, new)):
            value = res.of(self.layer)[pictured.index, unit].double().numpy()
            parts.append(pictured.assign(what=what, value=value, **{"training 1": value}))
        first = ["category", "unit", "image", "region", "fixations", "what"]
        table = pd.concat(parts, ignore_index=True).assign(category=category, unit=unit)
        return table[[*first, *table.columns.difference(first, sort=False)]]

    def _unit_elsewhere(self, unit: int, chose: set[str]) -> pd.DataFrame:
        """Return a unit's mean region NSS on all images but those that `chose` it: what, category …

        Nothing that was before hangs on a training.
        """
        before, after = (
            OverTrainings.of(
                [res.subset(set(res.regions["image"]) - chose) for res in results],
                mean_of(self.layer, unit),
            )
            for results in self.dissections.values()
        )
        parts = {BEFORE: before, AFTER: after, CHANGE: after - before}
        about = [one.table(image=OTHER_IMAGES, what=what) for what, one in parts.items()]
        table = pd.concat(about, ignore_index=True)
        given = table["what"] == BEFORE
        return table.assign(sd_trainings=table["sd_trainings"].mask(given))

    def by_layer(self) -> pd.DataFrame:
        """Return the best units of every dissected layer: encoder, layer, category, mean …"""
        parts = [
            OverTrainings.of(found, best_of(layer, self.k)).table(encoder=name, layer=layer)
            for name, found in self.dissections.items()
            for layer in self.study.dissected
        ]
        return pd.concat(parts, ignore_index=True).rename(columns={"value": "mean"})

    def above(self) -> pd.DataFrame:
        """Return how many units exceed each threshold, mean over trainings.

        encoder, layer, category, threshold, units, share, "training 1" …: each one's share.
        """
        keys = [*report.KEYS, "threshold"]
        each = [
            report.counts(dict(zip(self.dissections, pair, strict=True)), self.layer)
            for pair in zip(*self.dissections.values(), strict=True)
        ]
        own = {f"training {s + 1}": table["share"].to_numpy() for s, table in enumerate(each)}
        mean = pd.concat(each).groupby(keys, sort=False).mean()
        return mean.reset_index().assign(**own)


def _change(before: Sequence[Dissection], after: Sequence[Dissection], layer: str) -> Change:
    return Change(*(OverTrainings.of(found, mean_of(layer)) for found in (before, after)))


def _reported(table: pd.DataFrame, first: str, second: str) -> dict[str, list[float]]:
    """Return least and most of what the authors report of each row; NaN if that is not known."""
    gap = reported.Reported.just(reported.gained(first) - reported.gained(second))
    tables, found = {SAME: reported.TOP_TEN, ABOVE: reported.ABOVE}, []
    for row in table.itertuples():
        both = tables.get(row.measure, {}).get(row.category, (reported.UNKNOWN,) * 2)
        found.append({BEFORE: both[0], AFTER: both[1], CHANGE: gap}[row.what])
    return {end: [getattr(one, end) for one in found] for end in ("least", "most")}


def same_sign(row: pd.Series) -> tuple[int, int]:
    """Return in how many single trainings the sign is that of the row's mean, and of how many."""
    own = singles(row.to_frame().T).astype(float).iloc[0]
    return int((own * row["value"] > 0).sum()), len(own)
