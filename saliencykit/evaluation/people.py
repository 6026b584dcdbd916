"""People against people: what a model can be measured against."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import product

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ..cache import Entry, cached
from ..datasets import SaliencyDataset
from ..intervals import interval
from ..metrics import InformationGain, PowerLaw, limits, power_law
from ..metrics.observers import everybody_else, fixated, growing, halves
from ..metrics.points import SCORES, Trials
from ..models import CentrePrior
from ..registry import check_name
from ..sources import code_of

BLURS = (0.0075, 0.01, 0.015, 0.02, 0.03)  # standard deviations, shares of the longer side
UNIFORM = (0.001, 0.01, 0.03, 0.1, 0.2, 0.4)  # weights tried in a gold standard
CENTRE = (0.0, 0.03, 0.1, 0.2, 0.4)
WEIGHTS = torch.tensor([*product(UNIFORM, CENTRE)], dtype=torch.float64)
TUNED = ("nss", "ig")  # metrics for which these people choose the blur
HALVES = 10  # random halves of each image's observers
NUMBERS = 8  # of observers that a curve is measured at
MODELS = LEFT_OUT, HALF, MANY = ("human", "human, split half", "human, n → ∞")

TrialsOf = Callable[[Tensor, int], Trials]
"""Makes the trials of one image from whose its fixations are, (O, n), and its number."""


def human_ceiling(
    data: SaliencyDataset,
    metrics: Sequence[str] = ("nss", "auc"),
    prior: CentrePrior | None = None,
) -> pd.DataFrame:
    """Score people against people: each observer predicted by all others, mean over observers.

    Same columns as `evaluate`, model "human"; metrics: "nss", "auc" and "ig". A ceiling should not
    be low for want of the right blur, so where the blur matters these people choose it:

    - NSS takes, of `BLURS`, the one that predicts best over all images;
    - information gain scores a kernel density of the others' fixations, mixed with a uniform
      distribution and the centre prior: blur and both weights (of `UNIFORM` and `CENTRE`) are those
      of the highest cross-validated likelihood over all images. Its baseline is `prior` (None: a
      centred Gaussian, a quarter of the sides wide), which should be fitted on other images;
    - AUC, which depends on it little, uses `metrics.default_sigma`.

    An image that fewer than two people looked at is NaN. Images are streamed. Cached.

    Source: Kümmerer, Wallis & Bethge 2015, PNAS 112, 16054–16059 (gold standard).
    """
    found = {m: _tuned(data, m, prior, "left out")["values"] for m in metrics}
    return _table(data, {(LEFT_OUT, m): values[:, 0] for m, values in found.items()})


def human_blur(data: SaliencyDataset) -> float:
    """Return the blur, of `BLURS`, with which these people predict each other's NSS best."""
    return BLURS[int(_tuned(data, "nss", None, "left out")["settings"])]


def human_baselines(
    data: SaliencyDataset,
    metrics: Sequence[str] = ("nss", "auc", "ig"),
    prior: CentrePrior | None = None,
) -> pd.DataFrame:
    """Score people against people in three ways; same columns as `evaluate`.

    - "human": all others predict one (`human_ceiling`);
    - "human, split half": random halves predict each other;
    - "human, n → ∞": infinitely many predict one, by the power law of `observer_curve`, whose
      exponent all images share (so an interval over images is narrower than the law's own). NaN
      where the law is not determined.
    """
    found = {}
    for m in metrics:
        curve = observer_curve(data, m, prior)
        found[LEFT_OUT, m] = _tuned(data, m, prior, "left out")["values"][:, 0]
        found[HALF, m] = _tuned(data, m, prior, "halves")["values"][:, 0]
        found[MANY, m] = curve.limits if curve.law.determined else torch.full((len(data),), np.nan)
    return _table(data, {(model, m): found[model, m] for model in MODELS for m in metrics})


@dataclass(frozen=True)
class ObserverCurve:
    """How well n observers predict another.

    table: one row for each number of observers and one for infinitely many, columns n, mean, low,
    high (95 % bootstrap over images) and fitted, the power law's value; law: the `PowerLaw`;
    limits: (images,) each image's score with infinitely many.
    """

    table: pd.DataFrame
    law: PowerLaw
    limits: Tensor


def observer_curve(
    data: SaliencyDataset, metric: str = "nss", prior: CentrePrior | None = None
) -> ObserverCurve:
    """Score growing groups of observers against one more, and extrapolate to infinitely many.

    Each observer is predicted by growing groups of random others; blur and weights are chosen as
    in `human_ceiling`, for each number of observers anew: more of them are best blurred less.
    Images that fewer observers looked at than nine in ten images are left out. Cached.
    """
    numbers = _numbers(data)
    scores = _tuned(data, metric, prior, "growing", numbers)["values"].numpy()
    law = power_law(numbers, scores)
    spans = [interval(column) for column in scores.T]
    rows = [(n, *span, float(law(n))) for n, span in zip(numbers, spans, strict=True)]
    rows = [*rows, (np.inf, law.limit, law.low, law.high, law.limit)]
    table = pd.DataFrame(rows, columns=["n", "mean", "low", "high", "fitted"])
    return ObserverCurve(table, law, torch.from_numpy(limits(numbers, scores, law)))


@dataclass(frozen=True)
class FixationGains:
    """How many bits other people have of each fixation, beyond the prior.

    values: (F,) float64, of each row of `bits.looks`; NaN where nobody else looked, or, of images
    that fewer looked at than the curve is measured at; observers: how many others there are: inf,
    or, where the curve does not tell its limit, the most that it was measured at.
    """

    values: Tensor
    observers: float


def fixation_gains(data: SaliencyDataset, prior: CentrePrior) -> FixationGains:
    """Return what people's information gain (`observer_curve`) is of each fixation.

    Each fixation by the groups, blur and weights of the curve, so that the weighted mean over all
    is the curve itself. Infinitely many observers: by the power law of the curve, whose exponent
    all fixations share. A limit is then linear in the scores of growing groups, and so is that of
    any set of fixations the mean of theirs. Cached.
    """
    curve, numbers = observer_curve(data, "ig", prior), _numbers(data)
    settings = _tuned(data, "ig", prior, "growing", numbers)["settings"].tolist()

    def compute() -> Entry:
        images = tqdm(range(len(data)), desc=f"people's bits, {data.name}", leave=False)
        return Entry(
            {"values": torch.cat([_each(data, i, prior, numbers, settings) for i in images])}
        )

    key = {
        "code": code_of(fixation_gains),
        "data": data.fingerprint,
        "numbers": numbers,
        "prior": asdict(prior),
    }
    values = cached("fixation_gains", key, compute).tensors["values"]
    if not curve.law.determined:
        return FixationGains(values[:, -1], numbers[-1])
    return FixationGains(torch.from_numpy(limits(numbers, values.numpy(), curve.law)), np.inf)


def _each(
    data: SaliencyDataset,
    i: int,
    prior: CentrePrior,
    numbers: Sequence[int],
    settings: Sequence[int],
) -> Tensor:
    """Return (n, numbers): the gain of each of image i's fixations alone."""
    size = data.size_of(i)
    seen = data.fixations(i).inside(*size, data.names[i])
    found = torch.full((len(seen), len(numbers)), torch.nan, dtype=torch.float64)
    for k, (number, setting) in enumerate(zip(numbers, settings, strict=True)):
        blur, (uniform, centre) = BLURS[setting // len(WEIGHTS)], WEIGHTS[setting % len(WEIGHTS)]
        points, member = fixated(seen.x, seen.y, seen.observer, size, blur * max(size))
        trials = growing(member, [number], seed=i)
        if trials.target.any():
            whose = trials.target.argmax(0)  # which trial has it as a target
            alone = Trials(trials.predict[whose], torch.eye(len(seen), dtype=torch.float64))
            found[:, k] = InformationGain(prior.map(size), float(uniform), float(centre))(
                points, alone
            )
    return found


def _numbers(data: SaliencyDataset) -> list[int]:
    """Numbers of observers to predict with, evenly spread in their logarithm."""
    looked = [len(data.fixations(i).observer.unique()) for i in range(len(data))]
    most = max(1, int(np.quantile(looked, 0.1)) - 1)
    return sorted({round(n) for n in np.geomspace(1, most, NUMBERS)})


def _tuned(
    data: SaliencyDataset,
    metric: str,
    prior: CentrePrior | None,
    kind: str,
    numbers: Sequence[int] = (0,),
) -> dict[str, Tensor]:
    """Score people with the settings that predict best over all images.

    "values" (images, numbers) and "settings" (numbers,), which of those tried each number has.
    """
    check_name("inter-observer metric", metric, SCORES)
    prior = prior or CentrePrior()
    blurs = BLURS if metric in TUNED else [None]
    # Seeded by the image: drawn alike on all, the same few observers would decide everything.
    trials_of = {
        "left out": lambda member, i: everybody_else(member),
        "halves": lambda member, i: halves(member, HALVES, seed=i),
        "growing": lambda member, i: growing(member, numbers, seed=i),
    }[kind]

    def compute() -> Entry:
        def scores(i: int) -> Tensor:  # (settings, numbers)
            tried = [_scores(data, i, metric, prior, b, trials_of) for b in blurs]
            return torch.cat(tried).unflatten(-1, (len(numbers), -1)).nanmean(-1)

        what = f"human {metric}, {kind}, {data.name}"
        images, best = range(len(data)), torch.zeros(len(numbers), dtype=torch.long)
        if metric in TUNED:
            tried = (scores(i).nan_to_num() for i in tqdm(images, desc=what, leave=False))
            best = sum(tried, torch.zeros(())).argmax(0)
        again = tqdm(images, desc=f"{what}, scoring", leave=False)
        chosen = [scores(i).gather(0, best[None])[0] for i in again]
        return Entry({"values": torch.stack(chosen), "settings": best})

    key = {
        "code": code_of(_tuned),
        "data": data.fingerprint,
        "metric": metric,
        "kind": kind,
        "numbers": list(numbers),
        "prior": asdict(prior) if metric == "ig" else None,
    }
    return cached("human", key, compute).tensors


def _scores(
    data: SaliencyDataset,
    i: int,
    metric: str,
    prior: CentrePrior,
    blur: float | None,
    trials_of: TrialsOf,
) -> Tensor:
    """Score image i's trials under each pair of weights, (weights, trials)."""
    size = data.size_of(i)
    seen = data.fixations(i).inside(*size, data.names[i])
    sigma = blur and blur * max(size)
    points, member = fixated(seen.x, seen.y, seen.observer, size, sigma)
    trials = trials_of(member, i)
    if metric == "ig":
        return InformationGain(prior.map(size)).with_weights(points, trials, WEIGHTS)
    return SCORES[metric](points, trials)[None]


def _table(data: SaliencyDataset, found: dict[tuple[str, str], Tensor]) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"model": model, "image": data.names, "metric": m, "value": values.numpy()})
        for (model, m), values in found.items()
    ]
    return pd.concat(parts, ignore_index=True)
