"""How far networks lead classical models, on photographs and on search arrays (F3).

Searches that are efficient for people are told apart from those that are not: where people have to
search, that a target does not stand out is no failure.
"""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..datasets.popout import EFFICIENT, INEFFICIENT, search_of
from ..evaluation import Evaluations, Kind
from ..intervals import above_models, resampled

MOST = "most_salient"
NATURAL, LOST, LARGEST = "natural", "lost", "efficient, largest difference"
NETWORKS, CLASSICAL = "networks", "classical models"
LEVEL, LEAD = "level", "lead"


def searches(arrays: pd.DataFrame) -> pd.DataFrame:
    """Add to `PopOut.table` what people make of each search, and how often guessing finds it.

    search: `EFFICIENT` or `INEFFICIENT`; chance: that one item of all is the most salient, 1/n.
    """
    return arrays.assign(search=search_of(arrays["feature"]), chance=1 / arrays["set_size"])


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
