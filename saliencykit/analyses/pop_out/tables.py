"""Search arrays: who finds the odd one out, and what networks lose there of their lead.

Searches that are efficient for people are told apart from those that are not: where people have to
search, that a target does not stand out is no failure.
"""

from collections.abc import Callable, Sequence
from itertools import product
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...datasets import SaliencyDataset, load
from ...datasets.p3o3 import Shrunk
from ...datasets.popout import EFFICIENT, INEFFICIENT, search_of
from ...evaluation import Evaluations, Kind, evaluate
from ...intervals import (
    above_models,
    of_images,
    of_share,
    resampled,
)
from ...study import Study

MOST, GSI, LOOKS, MSR = "most_salient", "gsi", "fixations_to_find", "msr_target"
ELSEWHERE, OURS = ("p3", "o3"), "arrays"
NATURAL, LOST, LARGEST = "natural", "lost", "efficient, largest difference"
NETWORKS, CLASSICAL = "networks", "classical models"
LEVEL, LEAD = "level", "lead"


def searches(arrays: pd.DataFrame) -> pd.DataFrame:
    """Add to `PopOut.table` what people make of each search, and how often guessing finds it.

    search: `EFFICIENT` or `INEFFICIENT`; chance: that one item of all is the most salient, 1/n.
    """
    return arrays.assign(search=search_of(arrays["feature"]), chance=1 / arrays["set_size"])


# Model by model


def _told(
    grid: np.ndarray, trainings: int, learned: bool, share: bool, own: bool = False
) -> dict[str, float]:
    """Return value, low, high, se_images, sd_trainings, "training 1" … of scores (S, images).

    share: of scores 0 and 1 (see `intervals.of_share`); own: see `of_images`.
    """
    found = of_images(grid, own)
    if share:
        found = of_share(found, (~np.isnan(grid).all(0)).sum())
    row = {name: float(v) for name, v in found._asdict().items() if name != "trainings"}
    each = np.nanmean(grid, 1) if learned else np.full(trainings, np.nan)
    return row | {f"training {k + 1}": float(v) for k, v in enumerate(each)}


def by_condition(
    found: Evaluations,
    arrays: pd.DataFrame,
    columns: Sequence[str],
    metrics: Sequence[str] = (MOST,),
) -> pd.DataFrame:
    """Return metrics' means over arrays and trainings, by model and condition.

    arrays: `searches`; columns: of it, whose combinations are the conditions. Columns: measure,
    model, *columns, arrays, chance (mean over the arrays; of a GSI 0), value, low, high, se_images
    (arrays), sd_trainings, "training 1" ….
    """
    rows = []
    for metric, model in product(metrics, found.models):
        grid, learned, share = found.grid(model, metric), model in found.networks, metric == MOST
        for key, group in arrays.groupby(list(columns), sort=False):
            about = {"measure": metric, "model": model, **dict(zip(columns, key, strict=True))}
            about |= {"arrays": len(group), "chance": group["chance"].mean() if share else 0.0}
            chosen = grid[:, np.isin(found.images, group["name"])]
            rows.append(about | _told(chosen, found.trainings, learned, share))
    return pd.DataFrame(rows)


def found_within(
    found: Evaluations, arrays: pd.DataFrame, looks: Sequence[int], column: str
) -> pd.DataFrame:
    """Return the share of targets found within each number of fixations, by model and condition.

    model, `column` (of `searches`), looks, value, low, high, se_images, sd_trainings, training 1 ….
    """
    rows = []
    for model in found.models:
        for key, group in arrays.groupby(column, sort=False):
            tries = found.grid(model, LOOKS)[:, np.isin(found.images, group["name"])]
            for k in looks:
                told = _told(1.0 * (tries <= k), found.trainings, model in found.networks, True)
                rows.append({"model": model, column: key, "looks": k, **told})
    return pd.DataFrame(rows)


def both_sides(natural: Evaluations, odd: Evaluations, arrays: pd.DataFrame) -> pd.DataFrame:
    """Return each model's NSS on natural images and share of efficient targets most salient.

    model, side ("natural" or "arrays"), value, low, high, se_images, sd_trainings, training 1 …,
    chance. People stand for natural images alone.
    """
    rows = []
    for model in natural.models:
        how = natural.trainings, model in natural.networks, False, natural.nested(model)
        rows.append({"model": model, "side": NATURAL, **_told(natural.grid(model), *how)})
    found = by_condition(odd, arrays[arrays["search"] == EFFICIENT], ["search"])
    found = found.assign(side="arrays").drop(columns=["search", "measure", "arrays"])
    return pd.concat([pd.DataFrame(rows), found], ignore_index=True)


# Other people's arrays


def elsewhere(
    study: Study, odd: Evaluations, arrays: pd.DataFrame, images: int = 0
) -> pd.DataFrame:
    """Return `by_condition` by "data": ours, the efficient searches, beside P3 and O3, if here.

    odd, arrays: `study.evaluated_on_arrays` and `searches`; images: of each of P3 and O3 so many
    random ones (0: all), shown at most as tall as our arrays. measure: `MOST`, `GSI`, and of P3 and
    O3 `MSR`, of which no chance is known. Without rows if neither is here.
    """
    parts, measures = [], (MOST, GSI, MSR)
    for name in ELSEWHERE:
        try:
            data = load(name)
        except FileNotFoundError:
            continue
        data = data.thinned(images) if images else data
        about = data.table.assign(data=name)
        found = _scored(study, Shrunk(data, study.array_size[0]), measures)
        parts.append(
            by_condition(found, about.assign(chance=1 / about["set_size"]), ["data"], measures)
        )
    if not parts:
        return pd.DataFrame(columns=["measure", "model", "data"])
    ours = arrays[arrays["search"] == EFFICIENT].assign(data=OURS)
    table = pd.concat([by_condition(odd, ours, ["data"], (MOST, GSI)), *parts], ignore_index=True)
    return table.assign(chance=table["chance"].mask(table["measure"] == MSR))


def _scored(study: Study, data: SaliencyDataset, metrics: Sequence[str]) -> Evaluations:
    """Score every training, and whoever is untaught, on the same images, which none has seen."""
    found = []
    for k in range(study.trainings):
        networks = study.network_maps(study.training(k), data)
        everybody = networks if k else study.untaught(data) | networks
        found.append(evaluate(everybody, data, metrics, study.centre))
    return Evaluations.of(found)


# Networks against classical models (F3)


class Side(NamedTuple):
    """Scores of networks, then of classical models, on some images, as shares of people's.

    values: (S, models), each training's; drawn: (n, models), the mean over trainings again on
    resampled images, None if each training has images of its own; images: how many there are.
    """

    values: np.ndarray
    drawn: np.ndarray | None
    images: int

    def __sub__(self, other: "Side") -> "Side":
        """Return by how much shares lie above those on other images, resampled on their own.

        Where one side has no draws, its images vary with its trainings: only the other's are drawn.
        """
        draws = [one.drawn for one in (self, other)]
        none = all(of is None for of in draws)
        one, two = (0.0 if of is None else of for of in draws)
        drawn = None if none else np.asarray(one - two)
        return Side(self.values - other.values, drawn, min(self.images, other.images))


def side(found: Evaluations, metric: str, chosen: np.ndarray, n: int = 1000, seed: int = 0) -> Side:
    """Return networks' and classical models' shares of people's score on the `chosen` images.

    Images that one of them has no score on count for nobody. On search arrays nobody was scored:
    people find each target that pops out, so a share of people's is the share of targets.
    """
    of = {kind: [m for m, k in found.kinds.items() if k == kind] for kind in Kind}
    models, people = [*of[Kind.NETWORK], *of[Kind.CLASSICAL]], of[Kind.PEOPLE]
    shape = (found.trainings, int(chosen.sum()))
    grids = [found.grid(m, metric)[:, chosen] for m in [*models, *people]]
    scores = np.stack([np.broadcast_to(grid, shape) for grid in grids])  # (models, S, images)
    scores = np.where(np.isnan(scores).any(0), np.nan, scores)

    def shares(means: np.ndarray) -> np.ndarray:
        return (means[: len(models)] / (means[-1] if people else 1.0)).T

    values, told = shares(np.nanmean(scores, -1)), ~np.isnan(scores[0])
    if found.own_images:
        return Side(values, None, int(told.any(0).sum()))
    every = scores[..., told.all(0)].mean(1)
    again = resampled(every.shape[1], n, seed)[1:]
    return Side(values, shares(every[:, again].mean(-1)), every.shape[1])


def sides(natural: Evaluations, odd: Evaluations, arrays: pd.DataFrame) -> dict[str, Side]:
    """Return both groups on natural images and kinds of arrays, and what is lost from one to other.

    arrays: `searches`. `LOST`: natural images minus efficient searches, of both people's share.
    """
    fast = arrays["search"] == EFFICIENT
    parts = {
        EFFICIENT: fast,
        INEFFICIENT: ~fast,
        LARGEST: fast & (arrays["difference"] == arrays["difference"].max()),
    }
    found = {NATURAL: side(natural, "nss", np.ones(len(natural.images), bool))}
    names = {name: arrays.loc[rows, "name"] for name, rows in parts.items() if rows.any()}
    found |= {  # other images, so drawn on their own
        name: side(odd, MOST, np.isin(odd.images, own), seed=1) for name, own in names.items()
    }
    if EFFICIENT in found:
        found[LOST] = found[NATURAL] - found[EFFICIENT]
    return found


def leads(natural: Evaluations, odd: Evaluations, arrays: pd.DataFrame) -> pd.DataFrame:
    """Return how far networks lead classical models on natural images and on arrays.

    side (see `sides`), what: "level" of the "networks" (their kinds' mean) and of the "classical
    models"; "lead" over the latter of all networks and of each kind; who, models (over how many
    classical ones), images, value, low, high, se_images, sd_trainings, sd_models (0: not drawn),
    "training 1" …. NSS is a share of people's. A lead's interval covers other images, trainings and
    classical models (see `above_models`), not other encoders or ways to read them: kinds of
    networks are those that there are.
    """
    kinds, rows = odd.networks, []
    for name, of in sides(natural, odd, arrays).items():
        for (what, who), number in _numbers(kinds).items():
            classical = of.values[:, len(kinds) :].mean(0)
            given = (what, who) == (LEVEL, NETWORKS)
            drawn = None if of.drawn is None else number(of.drawn)
            own = number(of.values)
            found = above_models(own, np.zeros(2) if given else classical, drawn, of.images)
            told = {end: float(value) for end, value in found._asdict().items()}
            if what == LEVEL and name not in (NATURAL, LOST):  # a share of arrays
                told |= {end: float(np.clip(told[end], 0, 1)) for end in ("low", "high")}
            about = {"side": name, "what": what, "who": who}
            about |= {"models": len(classical), "images": of.images}
            rows.append(about | told | {f"training {s + 1}": float(v) for s, v in enumerate(own)})
    return pd.DataFrame(rows)


Number = Callable[[np.ndarray], np.ndarray]
"""Computes, of shares (…, models) as in `Side`, one number (…)."""


def _numbers(kinds: Sequence[str]) -> dict[tuple[str, str], Number]:
    """Return what `leads` tells of a side, by what and who."""
    count = len(kinds)

    def ours(shares: np.ndarray) -> np.ndarray:
        return shares[..., :count].mean(-1)

    def theirs(shares: np.ndarray) -> np.ndarray:
        return shares[..., count:].mean(-1)

    def lead_of(one: Number) -> Number:
        return lambda shares: one(shares) - theirs(shares)

    each = {who: itemgetter((..., k)) for k, who in enumerate(kinds)}
    leads = {(LEAD, who): lead_of(one) for who, one in {NETWORKS: ours, **each}.items()}
    return {(LEVEL, NETWORKS): ours, (LEVEL, CLASSICAL): theirs, **leads}
