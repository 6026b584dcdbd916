"""F1 to F4 asked of several networks and photographs: a table a finding, a row a setting.

Every table has `setting`, its `network` and `photographs`; `measure` and `what` it is of; value,
low, high; and why the interval is wide: `se_images` over so many `images` (NaN where each training
has images of its own), and `sd_trainings` over so many `trainings`, or for F1 `sd_controls` over so
many untrained networks, `controls`; `training 1` … are single ones. Who cannot be asked has no row.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from ...dissection import Dissection, OverTrainings, best_beyond
from ...dissection.readout_maps import MAP
from ...dissection.top_units import ImageSums
from ...findings import FineTuning, alike, lead
from ...intervals import adjusted, bounds, differ, image_weights, rank_correlation, with_own
from ...registry import check_name
from ...study import Study

ABOUT = ["setting", "network", "photographs"]
LAYERED = ("F1", "F4")  # told of one layer, each network's own
SHARE, UNITS = "map, share of people's", "ten best units, region NSS"
FINE_TUNED = "fine-tuned"


class Settings:
    """The studies asked, by name: "network · photographs", told apart by what else they change.

    rows: each "PROFILE setting=value …" (see `Study.from_row`); changes: of what a row leaves as it
    is. Raises UnknownNameError or ValueError for what a row names, before anything is computed.
    """

    def __init__(self, rows: Sequence[str], changes: Mapping[str, object]):
        studies = [Study.from_row(row, **changes) for row in rows]
        self.about = pd.DataFrame(
            [(_network(study), study.data) for study in studies], columns=ABOUT[1:]
        )
        again = self.about.duplicated(keep=False)
        extra = [" ".join(row.split()[1:]) or row for row in rows]
        self.about["network"] += np.where(again, [f" ({text})" for text in extra], "")
        self.about.insert(0, "setting", self.about["network"] + " · " + self.about["photographs"])
        if (twice := self.about["setting"].duplicated()).any():
            raise ValueError(f"{self.about['setting'][twice].iloc[0]!r} is asked for twice")
        self.studies = dict(zip(self.about["setting"], studies, strict=True))

    def marked(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return a table with a column `setting` that also says network and photographs."""
        return self.about.merge(table, on="setting", sort=False)


def _network(study: Study) -> str:
    taught = study.train_data
    return study.encoder + (f", taught on {taught}" if taught not in (None, "", study.data) else "")


def units(
    settings: Settings, categories: Sequence[str], controls: int = 10, share: float = 0.1
) -> pd.DataFrame:
    """F1: by how much the best units of a given network exceed untrained ones', by category.

    At each study's own layer, `measure`. Raises UnknownNameError for a category that none has.
    """
    known = {c for study in settings.studies.values() for c in study.annotated.categories}
    shown = [check_name("category", name, sorted(known)) for name in categories]
    parts = []
    for name, study in settings.studies.items():
        own = study.dissect(study.pretrained, p_values=False)
        others = [study.dissect(net, p_values=False) for net in study.controls(controls)]
        table = best_beyond(own, others, share, [study.layer]).set_index("category")
        seen = own.regions.query("fixations > 0").groupby("category")["image"].nunique()
        chosen = table.reindex(shown).dropna(subset="own")
        told = {"value": chosen["difference"], "se_images": chosen["se_images"]}
        told |= {end: chosen[f"difference_{end}"] for end in ("low", "high")}
        told |= {"images": seen.reindex(chosen.index), "sd_controls": chosen["sd_controls"]}
        about = {"setting": name, "measure": study.layer, "what": chosen.index}
        parts.append(pd.DataFrame({**about, **told, "controls": controls}))
    return settings.marked(pd.concat(parts, ignore_index=True))


def favoured(settings: Settings, first: str, second: str) -> pd.DataFrame:
    """F2: what fine-tuning adds at `first` and at `second`, and by how much more at the first.

    measure: `SHARE`, of the map, as a share of people's own; `UNITS`, of the ten best units of the
    deepest layer, the paper's number. Where one of the two is not labelled, the other is told
    alone. Raises UnknownNameError for a category that none has.
    """
    known = {c for study in settings.studies.values() for c in study.annotated.categories}
    pair = {check_name("category", name, sorted(known)) for name in (first, second)}
    parts = []
    for name, study in settings.studies.items():
        found = FineTuning(study)
        change = {SHARE: (found.maps[MAP] / found.people).gained, UNITS: found.units.gained}
        for measure, gained in change.items():
            told = [_told(gained)]
            told[0] = told[0][told[0]["what"].isin(pair)]
            if pair == set(told[0]["what"]):
                told.append(_told(gained.favouring(first, second)))
            parts.append(pd.concat(told).assign(setting=name, measure=measure))
    return settings.marked(pd.concat(parts, ignore_index=True))


def _told(found: OverTrainings) -> pd.DataFrame:
    """Return a row a category that was seen: what, value, low … images, trainings."""
    table = found.table().assign(images=found.images, trainings=len(found.values))
    return table[table["value"].notna()].rename(columns={"category": "what"})


def leads(settings: Settings) -> pd.DataFrame:
    """F3: how far fine-tuned networks lead classical models, on photographs and efficient searches.

    measure: which of the two it is, or what of the lead is lost (see `findings.lead`).
    """
    parts = []
    for name, study in settings.studies.items():
        arrays = lead.searches(study.arrays().table)
        table = lead.leads(study.evaluated, study.evaluated_on_arrays, arrays)
        table = table[(table["who"] == FINE_TUNED) & (table["what"] == lead.LEAD)]
        table = table[table["side"].isin([lead.NATURAL, lead.EFFICIENT, lead.LOST])]
        table = table.drop(columns=["who", "models"])
        table = table.rename(columns={"side": "measure"})
        parts.append(table.assign(setting=name, trainings=study.trainings))
    return settings.marked(pd.concat(parts, ignore_index=True))


def tasks(settings: Settings) -> pd.DataFrame:
    """F4: how much more alike networks of one task are than those of two, at each study's layer.

    Of photographs whose scene classes are known. what: three likenesses (see `findings.alike`).
    """
    parts = [pd.DataFrame(columns=["setting"])]
    for name, study in settings.studies.items():
        if study.annotated.scenes:
            *_, likeness = alike.compared(study)
            here = {study.layer: likeness[study.layer]}
            table = alike.by_layer(here, list(study.taught))[["layer", "measure", *alike.SPAN, "p"]]
            table = table.rename(columns={"measure": "what", "layer": "measure"})
            parts.append(table.assign(setting=name, images=len(study.parts(0)[2])))
    return settings.marked(pd.concat(parts, ignore_index=True))


def same_units(settings: Settings, category: str, k: int = 10, n: int = 1000) -> pd.DataFrame:
    """Do two collections of photographs tell the same of a category of the same given units?

    A row a network that is asked about both, and layer that both dissected: network, first, second,
    layer, units, value (rank correlation over units of their mean region NSS in the category), low
    and high for other images, shared (how many of the `k` best of one are among those of the
    other), chance (how many would be, were they drawn). No two such settings: no rows.
    """
    rows = []
    for one, two in combinations(settings.about.itertuples(index=False), 2):
        if one.network != two.network or one.photographs == two.photographs:
            continue
        found = []
        for setting in (one.setting, two.setting):
            study = settings.studies[setting]
            found.append(study.dissect(study.pretrained, p_values=False))
        if not all(category in res.categories for res in found):
            continue
        for layer in (name for name in found[0].layers if name in found[1].layers):
            first, second = (_resampled(res, layer, category, n) for res in found)
            along = rank_correlation(first, second)
            low, high = bounds(along)
            best = [set(np.argsort(-own[0])[:k].tolist()) for own in (first, second)]
            count = first.shape[1]
            about = (one.network, one.photographs, two.photographs, layer, count)
            chance = min(k, count) ** 2 / count
            rows.append((*about, along[0], low, high, len(best[0] & best[1]), chance))
    columns = ["network", "first", "second", "layer", "units", "value", "low", "high", "shared"]
    return pd.DataFrame(rows, columns=[*columns, "chance"])


def _resampled(res: Dissection, layer: str, category: str, n: int) -> np.ndarray:
    """Return mean region NSS of units (1 + n, C) in a category, the data's own first."""
    sums, c = ImageSums.of(res, layer), list(res.categories).index(category)
    weights = image_weights(len(sums.images), n, seed=0)
    return sums.mean(c, with_own(weights)).double().numpy()


NETWORK, PHOTOGRAPHS = "network", "photographs"


def hangs_on(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return whether a finding's numbers differ between networks, and between photographs.

    tables: by finding. A row a number, and what is held: finding, measure, what, on (what varies:
    `NETWORK` or `PHOTOGRAPHS`), held (the one that does not), settings (how many), least, most,
    p that they are one number (`intervals.differ`) and p_adjusted, by Benjamini–Hochberg over all.
    Networks that saw the same photographs err alike, so that for them p is rather too large.
    """
    rows = []
    for finding, table in tables.items():
        layered = finding in LAYERED  # each network's own layer is no other measure
        keys = ["what"] if layered else ["measure", "what"]
        for on, held in ((NETWORK, PHOTOGRAPHS), (PHOTOGRAPHS, NETWORK)):
            for key, group in table.dropna(subset=["low"]).groupby([*keys, held], sort=False):
                if len(group) < 2:
                    continue
                *what, kept = key
                values = group["value"].astype(float)
                about = (finding, "" if layered else what[0], what[-1], on, kept)
                spread = (len(group), values.min(), values.max(), differ(values, *_parts(group)))
                rows.append((*about, *spread))
    columns = ["finding", "measure", "what", "on", "held", "settings", "least", "most", "p"]
    found = pd.DataFrame(rows, columns=columns)
    return found.assign(p_adjusted=adjusted(found["p"]))


def _parts(rows: pd.DataFrame) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the variances behind values, and of how many each was estimated: see `differ`."""
    learned = "trainings" in rows
    sd, draws = ("sd_trainings", "trainings") if learned else ("sd_controls", "controls")
    count, images = (rows[name].to_numpy(float) for name in (draws, "images"))
    share = 1 / count if learned else 1 + 1 / count
    variances = [rows["se_images"].astype(float) ** 2, rows[sd].astype(float) ** 2 * share]
    return list(zip(map(np.nan_to_num, variances), (images, count), strict=True))
