"""F1 to F4 asked of several settings: a table a finding, a row a setting and number.

A setting is a network, the images that it is asked about, and how it is read and taught. Every
table has these, `setting`; `measure` and `what` a number is of; value, low, high; and why the
interval is wide: `se_images` over so many `images` (NaN where each training has images of its own),
and `sd_trainings` over so many `trainings`, or for F1 `sd_controls` over so many untrained
networks, `controls`; `training 1` … are single ones. Who cannot be asked has no row, and what
several settings share, since it does not hang on what they change, stands once.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from ... import paths
from ...dissection import Dissection, OverTrainings, best_beyond
from ...dissection.readout_maps import MAP
from ...dissection.top_units import ImageSums
from ...evaluation import Evaluations, human_ceiling
from ...findings import FineTuning, alike, labelled, lead
from ...intervals import adjusted, crossed, differ, image_weights, rank_correlation, with_own
from ...reading.tables import column_names, number_column, read_table
from ...registry import check_name
from ...study import Study

NETWORK, IMAGES, HOW = VARIES = ("network", "images_of", "how")
SHARE, UNITS = "share of people's", "ten best units"
FINE_TUNED = "fine-tuned"
TOLD = ["measure", "what", "value", "low", "high", "se_images", "images"]
TOLD_BY, ASKED = "told by", "asked now"
TABLES = ("10_units", "10_favoured", "10_lead", "10_tasks", "10_same_units")
"""What a run of this notebook tells of settings, by the names under which it saves them."""


class Asked:
    """The studies asked, by name, and the settings that stand beside them.

    rows: each "PROFILE setting=value …" (see `Study.from_row`); changes: of what a row leaves as it
    is; beside: whose `Kept` settings are told without being asked. `about`: setting, network
    (encoder, and its weights if not its own), images_of (the data set), how (which layers the
    readout reads, what taught it, if other images, and other settings that set it apart), layer
    (whose units F1 is about), trainings, size, units (of that layer), told by. Raises
    UnknownNameError or ValueError for what a row names, layers included, before anything is
    computed, and as `Kept` does.
    """

    def __init__(self, rows: Sequence[str], changes: Mapping[str, object], beside: str = ""):
        studies = [Study.from_row(row, **changes) for row in rows]
        for study in studies:
            study.pretrained.checked([*study.read, *study.layers, study.layer])
        about = pd.DataFrame([_about(study) for study in studies])
        about[HOW] += _apart(about[[*VARIES]], studies)
        name = about[NETWORK] + " · " + about[IMAGES]
        unlike = name.duplicated(keep=False) | about[HOW].str.contains("taught on", regex=False)
        name += np.where(unlike, " · " + about[HOW], "")
        if name.duplicated().any():
            raise ValueError(f"{name[name.duplicated()].iloc[0]!r} is asked for twice")
        about.insert(0, "setting", name)
        self.own, self.studies = about, dict(zip(name, studies, strict=True))
        self.kept = Kept(beside, about)
        told = about.assign(**{TOLD_BY: ASKED}) if beside else about
        self.about = pd.concat([told, self.kept.about], ignore_index=True)

    def marked(self, parts: Sequence[pd.DataFrame], name: str) -> pd.DataFrame:
        """Return tables with a column `setting` as one that also says what it is, each number once.

        Numbers that two settings of one network and collection share to the last digit are one.
        name: of the table, whose kept rows follow.
        """
        about = self.own[["setting", *VARIES]]
        empty = pd.DataFrame(columns=["setting", *TOLD])
        found = about.merge(pd.concat([*parts] or [empty]), on="setting", sort=False)
        found = self.kept.under(found, name)
        digits = found[["value", "low", "high"]].astype(float).map("{:.6g}".format)  # as in tables
        same = digits.join(found[[NETWORK, IMAGES, "measure", "what"]]).duplicated()
        return found[~same]


class Kept:
    """What an earlier run of this notebook told, of other settings than are asked now.

    beside: a profile whose tables are kept (figures/reference), or a folder with those of a run;
    "": nobody. asked: `Asked.own`. Who is asked now too is not known to be the same, since tables
    do not say all settings: its `how` then tells who told it. Raises UnknownNameError for a profile
    of which this notebook keeps none, and ValueError naming the file for a table that is not one of
    this notebook's.
    """

    def __init__(self, beside: str, asked: pd.DataFrame):
        self.tables: dict[str, pd.DataFrame] = {}
        self.about = pd.DataFrame()
        if not beside:
            return
        folder = _folder_of(beside)
        for name in TABLES:
            if (path := folder / f"{name}.csv").exists():
                self.tables[name] = _told_apart(_read(path), asked, f"{TOLD_BY} {folder.name}")
        if TABLES[0] not in self.tables:
            raise ValueError(f"{folder} holds no {TABLES[0]}.csv of an earlier run")
        parts = [t[["setting", *VARIES]] for t in self.tables.values() if "setting" in t]
        layers = self.tables[TABLES[0]].drop_duplicates(NETWORK).set_index(NETWORK)["measure"]
        about = pd.concat(parts).drop_duplicates()
        self.about = about.assign(layer=about[NETWORK].map(layers), **{TOLD_BY: beside})

    def under(self, found: pd.DataFrame, name: str) -> pd.DataFrame:
        """Return a table with the kept rows of that name under its own."""
        kept = self.tables.get(name)
        if kept is None or kept.empty:
            return found
        return kept if found.empty else pd.concat([found, kept], ignore_index=True)


def _folder_of(beside: str) -> Path:
    if Path(beside).is_dir():
        return Path(beside).resolve()
    known = [path.parent.name for path in sorted(paths.REFERENCE.glob(f"*/{TABLES[0]}.csv"))]
    return paths.REFERENCE / check_name(f"folder, or profile with {TABLES[0]}.csv", beside, known)


def _read(path: Path) -> pd.DataFrame:
    """Return a table that an earlier run wrote, numbers as such."""
    pairs = path.stem == TABLES[-1]
    names = (NETWORK, "first", "second", "layer") if pairs else ("setting", *VARIES, *TOLD[:2])
    needed = (*names, "value", "low", "high")
    text = read_table(path, needed, tuple(c for c in column_names(path) if c not in needed))
    values = {c: number_column(text, c, path) for c in text if c not in names}
    return text.assign(**values).reset_index(drop=True)


def _told_apart(table: pd.DataFrame, asked: pd.DataFrame, who: str) -> pd.DataFrame:
    """Return the table with settings named otherwise than those that are asked."""
    if "setting" not in table:
        return table
    own = pd.MultiIndex.from_frame(asked[[*VARIES]])
    same = pd.MultiIndex.from_frame(table[[*VARIES]]).isin(own)
    how = table[HOW].mask(same, table[HOW] + f" · {who}")
    longer = table[NETWORK] + " · " + table[IMAGES] + " · " + how
    alike = same | table["setting"].isin(asked["setting"])
    return table.assign(setting=table["setting"].mask(alike, longer), **{HOW: how})


def _about(study: Study) -> dict[str, object]:
    own, deepest = study.pretrained, study.pretrained.layers[-1:]
    reads = "the deepest layer" if (study.read or deepest) == deepest else ", ".join(study.read)
    taught = study.train_data if study.train_data not in (None, "", study.data) else ""
    return {
        NETWORK: study.encoder + ("" if study.weights else ", untrained"),
        IMAGES: study.data,
        HOW: f"reads {reads}" + (f", taught on {taught}" if taught else ""),
        "layer": study.layer,
        "size": " × ".join(map(str, study.size)),
        "trainings": study.trainings,
        "units": own.channels[study.layer],
    }


def _apart(told: pd.DataFrame, studies: Sequence[Study]) -> pd.Series:
    """Return the settings, " · epochs 4", in which studies differ of which the same is told."""
    values = pd.DataFrame([study.values() for study in studies]).astype(str)
    found = pd.Series("", told.index)
    for same in told.groupby([*told]).groups.values():
        unlike = values.loc[same, values.loc[same].nunique() > 1]
        for row, own in unlike.iterrows():
            found[row] = " · " * bool(len(own)) + ", ".join(f"{k} {v}" for k, v in own.items())
    return found


def units(
    settings: Asked, categories: Sequence[str], controls: int = 10, share: float = 0.1
) -> pd.DataFrame:
    """F1: by how much the best units of a given network exceed untrained ones', by category.

    At each study's own layer, `measure`. Raises UnknownNameError as `findings.labelled` does.
    """
    shown, parts = _known(settings, categories), []
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
    return settings.marked(parts, "10_units")


def _known(settings: Asked, categories: Sequence[str]) -> list[str]:
    known = {c for study in settings.studies.values() for c in study.annotated.categories}
    return labelled(categories, sorted(known))


def favoured(settings: Asked, first: str, second: str) -> pd.DataFrame:
    """F2: what fine-tuning adds at `first` and at `second`, and by how much more at the first.

    measure: of the map, its `SHARE`; of the ten best `UNITS` of the deepest layer, region NSS, the
    paper's number. Where one of the two is not labelled, the other is told alone. Raises
    UnknownNameError as `findings.labelled` does.
    """
    pair, parts = set(_known(settings, (first, second))), []
    for name, study in settings.studies.items():
        found = FineTuning(study)
        units = found.units.gained  # first, as their networks then tell of the map in the same run
        change = {SHARE: (found.maps[MAP] / found.people).gained, UNITS: units}
        for measure, gained in change.items():
            told = [_told(gained)]
            told[0] = told[0][told[0]["what"].isin(pair)]
            if {first, second} == set(told[0]["what"]):
                told.append(_told(gained.favouring(first, second)))
            parts.append(pd.concat(told).assign(setting=name, measure=measure))
    return settings.marked(parts, "10_favoured")


def _told(found: OverTrainings) -> pd.DataFrame:
    """Return a row a category that was seen: what, value, low … images, trainings."""
    table = found.table().assign(images=found.images, trainings=len(found.values))
    return table[table["value"].notna()].rename(columns={"category": "what"})


def leads(settings: Asked) -> pd.DataFrame:
    """F3: how far fine-tuned networks lead classical models, on photographs and efficient searches.

    measure: which of the two it is, or what of the lead is lost (see `findings.lead`).
    """
    parts = []
    for name, study in settings.studies.items():
        arrays = lead.searches(study.arrays().table)
        table = lead.leads(_natural(study), study.evaluated_on_arrays, arrays)
        table = table[(table["who"] == FINE_TUNED) & (table["what"] == lead.LEAD)]
        table = table[table["side"].isin([lead.NATURAL, lead.EFFICIENT, lead.LOST])]
        table = table.drop(columns=["who", "models"]).rename(columns={"side": "measure"})
        parts.append(table.assign(setting=name, trainings=study.trainings))
    return settings.marked(parts, "10_lead")


def _natural(study: Study) -> Evaluations:
    """Score networks on the study's own images, also where they were taught on others."""
    if study.unseen is not study.annotated:
        return study.evaluated
    people = human_ceiling(study.unseen, ("nss",), study.centre)
    return study.evaluated_on(study.unseen, ("nss",)).beside(people)


def tasks(settings: Asked) -> pd.DataFrame:
    """F4: how much more alike networks of one task are than those of two, at each study's layer.

    Of networks taught on images whose scene classes are known, measured on others of the same data
    set. what: three likenesses; p, that tasks' names might as well be dealt anew (see
    `findings.alike`).
    """
    parts = []
    for name, study in settings.studies.items():
        if study.train.scenes and study.unseen is not study.annotated:
            *_, likeness = alike.compared(study)
            here = {study.layer: likeness[study.layer]}
            table = alike.by_layer(here, list(study.taught))[["layer", "measure", *alike.SPAN, "p"]]
            table = table.rename(columns={"measure": "what", "layer": "measure"})
            table = table.dropna(subset="value").assign(images=len(study.parts(0)[2]))
            parts.append(table.assign(setting=name))
    return settings.marked(parts, "10_tasks")


# The same units on two collections of images


def same_units(settings: Asked, category: str, k: int = 10, n: int = 1000) -> pd.DataFrame:
    """Do two collections of images tell the same of a category of the same given units?

    A row a network that is asked about both, and layer that both dissected: network, first, second,
    layer, units, value (rank correlation over units of their mean region NSS in the category), low
    and high for other images; others (the same of the first's category and the second's other ones,
    or the other way round, on average), untrained (the same of an untrained network); shared (how
    many of the `k` best of one are among those of the other), chance (how many would be, were they
    drawn). No two such settings: no rows.
    """
    rows = []
    for one, two in combinations(settings.own.itertuples(index=False), 2):
        if one.network != two.network or one.images_of == two.images_of:
            continue
        pair = [settings.studies[setting] for setting in (one.setting, two.setting)]
        given = [study.dissect(study.pretrained, p_values=False) for study in pair]
        if not all(category in res.categories for res in given):
            continue
        control = [study.dissect(study.untrained, p_values=False) for study in pair]
        for layer in (name for name in given[0].layers if name in given[1].layers):
            about = (one.network, one.images_of, two.images_of, layer)
            rows.append((*about, *_alike(given, control, layer, category, k, n)))
    columns = ["network", "first", "second", "layer", "units", "value", "low", "high", "others"]
    columns = [*columns, "untrained", "shared", "chance"]
    found = settings.kept.under(pd.DataFrame(rows, columns=columns), "10_same_units")
    return found.drop_duplicates(columns[:4])


def _alike(
    given: Sequence[Dissection],
    control: Sequence[Dissection],
    layer: str,
    category: str,
    k: int,
    n: int,
) -> tuple[float, ...]:
    """Return what `same_units` tells of a layer: units, value, low, high, others, …"""
    first, second = (_resampled(res, layer, category, n) for res in given)
    along = rank_correlation(first, second)
    images = min(res.regions["image"].nunique() for res in given)
    span = crossed(along[:1], along[1:], images)
    low, high = (float(np.clip(end, -1, 1)) for end in (span.low, span.high))
    crossing = [
        rank_correlation(own[:1], _resampled(other, layer, name, 0))[0]
        for own, other in ((first, given[1]), (second, given[0]))
        for name in other.categories
        if name != category
    ]
    others = float(np.nanmean(crossing)) if np.isfinite(crossing).any() else np.nan
    bare = rank_correlation(*(_resampled(res, layer, category, 0) for res in control))[0]
    best = [set(np.argsort(-own[0])[:k].tolist()) for own in (first, second)]
    count = first.shape[1]
    both, chance = len(best[0] & best[1]), min(k, count) ** 2 / count
    return count, float(along[0]), low, high, others, float(bare), both, chance


def _resampled(res: Dissection, layer: str, category: str, n: int) -> np.ndarray:
    """Return mean region NSS of units (1 + n, C) in a category, the data's own first."""
    sums, c = ImageSums.of(res, layer), list(res.categories).index(category)
    weights = image_weights(len(sums.images), n, seed=0)
    return sums.mean(c, with_own(weights)).double().numpy()


# What numbers hang on


def numbers(
    tables: Mapping[str, pd.DataFrame],
) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
    """Yield finding, measure, what of every number, and its rows, a row a setting.

    tables: by finding. Each network's own layer is no other measure: F1 and F4 have none. What an
    earlier run told of a setting that reads like an asked one is shown, but no setting more.
    """
    for finding, table in tables.items():
        layered = finding in ("F1", "F4")
        keyed = table.assign(measure="") if layered else table
        keyed = keyed[~keyed[HOW].str.contains(f" · {TOLD_BY} ", regex=False)]
        for (measure, what), rows in keyed.groupby(["measure", "what"], sort=False):
            yield (finding, str(measure), str(what)), rows


def hangs_on(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return whether a finding's numbers differ between settings that differ in one thing.

    A row a number and what is held: finding, measure, what, on (what varies, one of `VARIES`), held
    (the other two), settings (how many), least, most and whose they are, turned (whether intervals
    lie on both sides of 0), p that they are one number (`intervals.differ`) and p_adjusted, by
    Benjamini–Hochberg over all. Asked of one training tell no spread, and are left out.
    """
    rows = []
    for key, table in numbers(tables):
        told = table.dropna(
            subset=["low", "sd_trainings" if "trainings" in table else "sd_controls"]
        )
        for on in VARIES:
            held = [name for name in VARIES if name != on]
            for kept, group in told.groupby(held, sort=False):
                if len(group) < 2:
                    continue
                ends = group.sort_values("value").iloc[[0, -1]]
                about = (*key, on, ", ".join(kept), len(group))
                p = differ(group["value"].astype(float), *_parts(group))
                turned = (group["high"] < 0).any() and (group["low"] > 0).any()
                rows.append((*about, *ends["value"], *ends[on], turned, p))
    columns = ["finding", "measure", "what", "on", "held", "settings"]
    columns = [*columns, "least", "most", "least_of", "most_of", "turned", "p"]
    found = pd.DataFrame(rows, columns=columns)
    return found.assign(p_adjusted=adjusted(found["p"].astype(float)))


def _drawn(rows: pd.DataFrame) -> str:
    return "trainings" if "trainings" in rows else "controls"


def _parts(rows: pd.DataFrame) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the variances behind values, and of how many each was estimated: see `differ`.

    Of F1 that of the mean over controls: asked is whether networks exceed theirs by as much.
    """
    kind = _drawn(rows)
    count, images, sd = (rows[name].to_numpy(float) for name in (kind, "images", f"sd_{kind}"))
    over_images = np.nan_to_num(rows["se_images"].astype(float) ** 2)
    return [(over_images, images), (sd**2 / count, count)]
