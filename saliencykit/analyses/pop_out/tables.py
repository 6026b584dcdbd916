"""Search arrays: who finds the odd one out, and what networks lose there of their lead.

Searches that are efficient for people are told apart from those that are not: where people have to
search, that a target does not stand out is no failure.
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...datasets.popout import EFFICIENT, INEFFICIENT, search_of
from ...evaluation import Evaluations, Kind
from ...intervals import (
    IMAGES,
    Learned,
    above_models,
    crossed,
    nested,
    of_images,
    resampled,
    wilson,
)

MOST, GSI, LOOKS = "most_salient", "gsi", "fixations_to_find"
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

    share: of scores 0 and 1, so that no interval leaves 0…1, and Wilson's is that of whoever does
    not learn; own: see `of_images`.
    """
    found = of_images(grid, own)
    if share and learned:
        found = found._replace(low=found.low.clip(0, 1), high=found.high.clip(0, 1))
    elif share and grid.shape[1] >= IMAGES:
        low, high = wilson(int(np.nansum(grid)), int((~np.isnan(grid)).sum()))
        found = found._replace(low=np.asarray(low), high=np.asarray(high))
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
    """Return each model's NSS on photographs and share of efficient targets most salient.

    model, side ("natural" or "arrays"), value, low, high, se_images, sd_trainings, training 1 …,
    chance. People stand for photographs alone.
    """
    rows = []
    for model in natural.models:
        how = natural.trainings, model in natural.networks, False, natural.nested(model)
        rows.append({"model": model, "side": NATURAL, **_told(natural.grid(model), *how)})
    found = by_condition(odd, arrays[arrays["search"] == EFFICIENT], ["search"])
    found = found.assign(side="arrays").drop(columns=["search", "measure", "arrays"])
    return pd.concat([pd.DataFrame(rows), found], ignore_index=True)


# Networks against classical models (F3)


class Side(NamedTuple):
    """Scores as shares of people's: of networks (S, K), and of classical models (S, M).

    The latter on each training's images, which differ if `drawn` is None; else that holds both
    means over trainings again on resampled images, (n, K) and (n, M). images: how many there are.
    """

    networks: np.ndarray
    classical: np.ndarray
    drawn: tuple[np.ndarray, np.ndarray] | None
    images: int

    def __sub__(self, other: "Side") -> "Side":
        """Return by how much shares lie above those on other images, drawn on their own.

        Where one side has no draws its images vary with the trainings, and the other's are added.
        """
        least = min(self.images, other.images)
        one, two = (side.drawn or (np.zeros(()), np.zeros(())) for side in (self, other))
        drawn = (one[0] - two[0], one[1] - two[1]) if self.drawn or other.drawn else None
        gaps = self.networks - other.networks, self.classical - other.classical
        return Side(*gaps, drawn, least)


def side(found: Evaluations, metric: str, chosen: np.ndarray, n: int = 1000, seed: int = 0) -> Side:
    """Return networks' and classical models' shares of people's score on the `chosen` images.

    On search arrays nobody was scored: people find each target that pops out, so all is 1.
    """
    of = {kind: [m for m, k in found.kinds.items() if k == kind] for kind in Kind}
    names = [*of[Kind.NETWORK], *of[Kind.CLASSICAL], *of[Kind.PEOPLE]]
    shape = (found.trainings, int(chosen.sum()))
    scores = np.stack([np.broadcast_to(found.grid(m, metric)[:, chosen], shape) for m in names])
    scores = np.where(np.isnan(scores).any(0), np.nan, scores)  # what all are scored on
    count = len(of[Kind.NETWORK])
    images = int((~np.isnan(scores[0])).any(0).sum())

    def shares(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        whole = means[-1] if of[Kind.PEOPLE] else 1.0
        models = (means[: len(names) - len(of[Kind.PEOPLE])] / whole).T
        return models[:, :count], models[:, count:]

    drawn = None
    if not found.own_images:
        every = scores[..., ~np.isnan(scores).any((0, 1))].mean(1)
        images = every.shape[1]
        drawn = shares(every[:, resampled(images, n, seed)[1:]].mean(-1))
    return Side(*shares(np.nanmean(scores, -1)), drawn, images)


def sides(natural: Evaluations, odd: Evaluations, arrays: pd.DataFrame) -> dict[str, Side]:
    """Return both groups on photographs and kinds of arrays, and what is lost from one to other.

    arrays: `searches`. `LOST`: photographs minus efficient searches, of both people's share.
    """
    fast = arrays["search"] == EFFICIENT
    parts = {
        EFFICIENT: fast,
        INEFFICIENT: ~fast,
        LARGEST: fast & (arrays["difference"] == arrays["difference"].max()),
    }
    found = {NATURAL: side(natural, "nss", np.ones(len(natural.images), bool))}
    names = {name: arrays.loc[rows, "name"] for name, rows in parts.items() if rows.any()}
    found |= {name: side(odd, MOST, np.isin(odd.images, own)) for name, own in names.items()}
    if EFFICIENT in found:
        found[LOST] = found[NATURAL] - found[EFFICIENT]
    return found


def leads(natural: Evaluations, odd: Evaluations, arrays: pd.DataFrame) -> pd.DataFrame:
    """Return how far networks lead classical models on photographs and on arrays.

    side (see `sides`), what: "level" of the "networks" (their kinds' mean) and of the "classical
    models"; "lead" over the latter of all networks and of each kind; who, models (of which the mean
    is taken, or led), images, value, low, high, se_images, sd_trainings, sd_models, "training 1" ….
    NSS is a share of people's. A lead's
    interval covers other images, trainings and classical models (see `above_models`), not other
    encoders or ways to read them: kinds of networks are those that there are.
    """
    rows = []
    for name, of in sides(natural, odd, arrays).items():
        for what, who, found, each in _compared(of, odd.networks):
            own = {k: float(v) for k, v in found.items() if k != "trainings"}
            models = (
                len(odd.networks) if (what, who) == (LEVEL, NETWORKS) else of.classical.shape[1]
            )
            about = {"side": name, "what": what, "who": who, "models": models, "images": of.images}
            singles = {f"training {s + 1}": float(v) for s, v in enumerate(each)}
            rows.append(about | own | singles)
    columns = ["side", "what", "who", "models", "images", *Learned._fields[:-1], "sd_models"]
    table = pd.DataFrame(rows)
    return table[[*columns, *table.filter(like="training ").columns]]


def _compared(of: Side, kinds: Sequence[str]) -> list[tuple[str, str, dict, np.ndarray]]:
    """Return what, who, statistics and single trainings of each row of `leads`."""
    networks, classical = _with_mean(of.networks), of.classical.mean(0)
    leads = networks - of.classical.mean(1, keepdims=True)
    drawn = None
    if of.drawn:
        means, others = _with_mean(of.drawn[0]), of.drawn[1]
        drawn = means, others, means - others.mean(1, keepdims=True)
    ours = crossed(networks[:, 0], drawn[0][:, 0], of.images) if drawn else nested(networks[:, 0])
    spread = None if drawn is None else drawn[1].mean(1)
    theirs = above_models(of.classical.mean(1), classical, spread, of.images)._asdict()
    rows = [
        (LEVEL, NETWORKS, ours._asdict(), networks[:, 0]),
        (LEVEL, CLASSICAL, theirs | {"sd_trainings": np.nan}, np.full(len(networks), np.nan)),
    ]
    for k, who in enumerate([NETWORKS, *kinds]):
        over = None if drawn is None else drawn[2][:, k]
        found = above_models(leads[:, k], classical, over, of.images)
        rows.append((LEAD, who, found._asdict(), leads[:, k]))
    return rows


def _with_mean(values: np.ndarray) -> np.ndarray:
    """Put the mean of all kinds (…, K) before them."""
    return np.concatenate([values.mean(1, keepdims=True), values], 1)
