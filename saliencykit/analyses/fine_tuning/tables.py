"""What notebook 03 tells of fine-tuning: maps, the paper's table, layers, single units."""

from dataclasses import replace

import numpy as np
import pandas as pd

from ... import findings
from ...dissection import OverTrainings, above, best_of, mean_of, report
from ...dissection.readout_maps import MAP
from ...evaluation import PEOPLE
from ...findings.fine_tuning import AFTER, BEFORE, CHANGE, NSS, SHARE
from ...viewing import reported
from ...worlds.twin import Pair, Twin

SAME, OTHERS, ABOVE = "scored on the same images", "scored on others", "units above T"
ENDS = ["low", "high"]
MATCHED, MEASURED, ALARMS, POWERS = "matched", "measured", "alarms", "power"
NEEDED, AGAIN = "needed", "found again"
OTHER_IMAGES, OTHERS_CHANGE = "all others", "change, trainings after the first"


class FineTuning(findings.FineTuning):
    """Every training of a study before and after, as tables."""

    def map_table(self) -> pd.DataFrame:
        """Return the map by category: as a share of people's, in region NSS, and people's own."""
        whole = self.maps[MAP]
        people = self.people.table(measure=NSS, what=PEOPLE)
        parts = [(whole / self.people).table(SHARE), whole.table(NSS), people]
        return pd.concat(parts, ignore_index=True)

    def unit_table(self) -> pd.DataFrame:
        """Return the best units by category, before, after and change."""
        return self.units.table(NSS)

    def paper_table(self, threshold: float, first: str, second: str) -> pd.DataFrame:
        """Return the paper's table: best units and units above T, before and after fine-tuning.

        measure (best units "scored on the same images" that chose them, as the paper's, "scored on
        others"; "units above T"), what, category (each; `reported.ALL`, the mean of several; last,
        as what "change", by how much `first` gained more than `second`, or one of them alone, see
        `asked`), of (units), value, low, high …; least, most: what the authors report, if it is
        known, the same unless it is a range.
        """
        first, second = self.asked(first, second)
        same = self._change(best_of(self.layer, self.k, "same"))
        counted = self._change(above(self.layer, threshold))
        rows = []
        for measure, found in {SAME: same, OTHERS: self.units, ABOVE: counted}.items():
            several = (~np.isnan(found.before.values[:, 0]).any(0)).sum() > 1
            for of in [found, found.averaged(reported.ALL)][: 1 + several]:
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
        after; of the mean also change, and `OTHERS_CHANGE`, without the first training, which chose
        the unit), value, low, high …, "training 1" …
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
        if len(after.values) > 1:
            others = _without_first(parts[CHANGE])
            about.append(others.assign(image=OTHER_IMAGES, what=OTHERS_CHANGE))
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

        encoder, layer, category, threshold, units, share, "training 1" …: each one's share. NaN
        where some training's images show the category too seldom, as in `unit_table`.
        """
        each = [
            report.counts(dict(zip(self.dissections, pair, strict=True)), self.layer)
            for pair in zip(*self.dissections.values(), strict=True)
        ]
        own = {f"training {s + 1}": table["share"].to_numpy() for s, table in enumerate(each)}
        mean = {c: np.mean([table[c] for table in each], axis=0) for c in ("units", "share")}
        return each[0].assign(**mean, **own)


def twin_table(twin: Twin, first: str, second: str) -> pd.DataFrame:
    """Return all that a twin tells of its study: part, figure, category …, a part a question.

    `MATCHED` and `MEASURED`: figure, category, own and value (the twin's); `ALARMS`: figure
    (number: test), value, low, high; `POWERS`: trainings, images, effect, value, low, high, own
    (whether the effect is the study's); `NEEDED`: category, effect, value, low, high; `AGAIN`:
    category, kept, effect, own, value, low, high. See `Twin`, and `FineTuning.asked` for the pair.
    Raises as both do.
    """
    pair = Pair(*twin.found.asked(first, second))
    alarms = twin.alarms()
    alarms["figure"] = alarms["number"] + ": " + alarms["test"]
    alarms = alarms.rename(columns={"share": "value"}).drop(columns=["number", "test"])
    parts = {
        MATCHED: twin.matched.rename(columns={"twin": "value"}),
        MEASURED: twin.measured().rename(columns={"twin": "value"}),
        ALARMS: alarms,
        POWERS: twin.power(pair),
        NEEDED: twin.needed(),
        AGAIN: twin.thinned(pair),
    }
    table = pd.concat([part.assign(part=name) for name, part in parts.items()], ignore_index=True)
    columns = ["part", "figure", "category", "trainings", "images", "kept", "effect", "own",
               "value", "low", "high", "comparisons", "worlds"]  # fmt: skip
    return table[columns].astype(dict.fromkeys(columns[3:], float))


def _without_first(found: OverTrainings) -> pd.DataFrame:
    """Return the table of all trainings but the first, which keep their numbers."""
    table = replace(found, values=found.values[1:], regions=found.regions[1:]).table()
    numbers = range(1, len(found.values))
    return table.rename(columns={f"training {k}": f"training {k + 1}" for k in numbers})


def _reported(table: pd.DataFrame, first: str, second: str) -> dict[str, list[float]]:
    """Return least and most of what the authors report of each row; NaN if that is not known."""
    gain = reported.gained(first) - (reported.gained(second) if second else 0)
    gap = reported.Reported.just(gain)
    tables, found = {SAME: reported.TOP_TEN, ABOVE: reported.ABOVE}, []
    for row in table.itertuples():
        both = tables.get(row.measure, {}).get(row.category, (reported.UNKNOWN,) * 2)
        found.append({BEFORE: both[0], AFTER: both[1], CHANGE: gap}[row.what])
    return {end: [getattr(one, end) for one in found] for end in ("least", "most")}
