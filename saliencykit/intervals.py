"""Every interval, p-value and correction there is: the one floor of statistics. Pure functions.

Draws are numbers computed again on resampled data, one draw a row. Where the data's own number goes
with them it comes first, so that there are 1 + n rows. Resampling is seeded, so that the same call
gives the same digits everywhere.
"""

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from scipy import stats
from torch import Tensor

LEVEL = 0.95  # of every interval
IMAGES = 16  # fewer have no interval: it would cover less than it says
PRIOR = 2.0  # trainings that the mean variance of several numbers is worth: see `together`
RATE = 0.05  # false discovery rate at which something counts as found

Draws = TypeVar("Draws", Tensor, np.ndarray)
Values = TypeVar("Values", Tensor, np.ndarray, pd.Series)


# Intervals


def triples(header: Sequence[str]) -> list[list[int]]:
    """Return the places in `header` of (value, low, high), for each number with an interval.

    That is x with x_low and x_high, and whatever stands before low and high.
    """
    triples = [(x, f"{x}_low", f"{x}_high") for x in header]
    triples += [(x, "low", "high") for x, after in itertools.pairwise(header) if after == "low"]
    return [list(map(header.index, names)) for names in triples if set(names) <= set(header)]


def interval(values: ArrayLike, seed: int = 0, n: int = 2000) -> tuple[float, float, float]:
    """Return mean and percentile-bootstrap interval over images, at `LEVEL`; NaNs are left out.

    One value has no interval, none no mean: NaN.
    """
    found = np.asarray(values, dtype=float)
    found = found[~np.isnan(found)]
    if len(found) < 2:
        mean = float(found.mean()) if len(found) else float("nan")
        return mean, float("nan"), float("nan")
    ends = stats.bootstrap(
        (found,),
        np.mean,
        n_resamples=n,
        confidence_level=LEVEL,
        method="percentile",
        random_state=seed,  # pyright: ignore[reportCallIssue]  (scipy's newer `rng` draws others)
    ).confidence_interval
    return float(found.mean()), float(ends.low), float(ends.high)


def bounds(draws: Draws, level: float = LEVEL) -> tuple[Draws, Draws]:
    """Return the ends (…) of the percentile interval of draws (n, …), NaN draws left out."""
    tail = round((1 - level) / 2, 12)  # 0.025, not 0.025000000000000022
    if isinstance(draws, Tensor):
        at = torch.tensor([tail, 1 - tail], dtype=draws.dtype)
        ends: Any = torch.nanquantile(draws, at, dim=0)
    else:
        ends = np.nanquantile(draws, [tail, 1 - tail], axis=0)
    return ends[0], ends[1]


def wilson(hits: ArrayLike, n: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's interval, at `LEVEL`, of the share that `hits` of `n` independent trials are.

    Of numbers or arrays (…). Neither need be whole: trials that are not independent are worth a
    smaller number that are. Source: Agresti & Coull 1998, The American Statistician 52, 119–126.
    """
    hits, n = (np.asarray(v, float) for v in (hits, n))
    share, z = hits / n, float(stats.norm.ppf((1 + LEVEL) / 2))
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return np.maximum(0.0, middle - reach), np.minimum(1.0, middle + reach)


def exact(hits: int, n: int) -> tuple[float, float]:
    """Return the exact interval, at `LEVEL`, of the share that `hits` of `n` trials are.

    Clopper & Pearson 1934, Biometrika 26, 404–413: it holds at least as often as it says, also of
    few, as long as they are independent. Raises ValueError for no trials, or more hits than trials.
    """
    ends = stats.binomtest(hits, n).proportion_ci(LEVEL, method="exact")
    return float(ends.low), float(ends.high)


def jackknife(value: Tensor, left_out: Tensor) -> tuple[Tensor, Tensor]:
    """Return the ends (m,) of the interval around `value`, from `left_out` (blocks, m).

    Delete-a-group jackknife (Efron & Tibshirani 1993, chapter 11), Student's t with blocks − 1
    degrees of freedom, at `LEVEL`.
    """
    blocks = len(left_out)
    if blocks < 2:
        return value * torch.nan, value * torch.nan
    error = (left_out.var(0, correction=0) * (blocks - 1)).sqrt()
    reach = float(stats.t.ppf((1 + LEVEL) / 2, blocks - 1)) * error
    return value - reach, value + reach


# Intervals of what is learned


class Learned(NamedTuple):
    """What several trainings say of one number (…): their mean, its interval, and why it is wide.

    `se_images`: standard error of the mean over trainings, were other images drawn; `sd_trainings`:
    standard deviation over trainings (NaN of one); `trainings`: how many.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    se_images: np.ndarray
    sd_trainings: np.ndarray
    trainings: int


def crossed(values: ArrayLike, draws: ArrayLike, images: ArrayLike) -> Learned:
    """Return mean and interval over trainings that were all measured on the same unseen images.

    values: (S, …), each training's number; draws: (n, …), the mean over trainings computed again on
    resampled images; images: how many there are, for all or for each number (…). The variance of
    the mean is that over images plus that over trainings divided by S; Student's t at the degrees
    of freedom of `_summed`, at `LEVEL`. Noise that is neither the training's nor the
    image's alone counts twice, so the interval is rather too wide. One training: its interval knows
    nothing of training; two alarm too often. Fewer than `IMAGES` images: NaN.
    """
    values, draws, images = (np.asarray(v, float) for v in (values, draws, images))
    count = len(values)
    sd = values.std(0, ddof=1) if count > 1 else np.full(values.shape[1:], np.nan)
    over_images, over_trainings = draws.var(0, ddof=1), np.nan_to_num(sd**2 / count)
    total, free = _summed((over_images, images), (over_trainings, count))
    reach = stats.t.ppf((1 + LEVEL) / 2, free) * np.sqrt(total)
    reach = np.where(images >= IMAGES, reach, np.nan)
    mean = values.mean(0)
    return Learned(mean, mean - reach, mean + reach, np.sqrt(over_images), sd, count)


def nested(values: ArrayLike) -> Learned:
    """Return mean and interval over trainings (S, …), each measured on images of its own.

    Images are then part of what differs between trainings: Student's t with S − 1 degrees of
    freedom, at `LEVEL`. One training has no interval. Trainings that each leave out a fold share
    most of what they learn from, so that the interval is rather too narrow (Bengio & Grandvalet
    2004, Journal of Machine Learning Research 5, 1089–1105).
    """
    values = np.asarray(values, float)
    count, blank = len(values), np.full(values.shape[1:], np.nan)
    sd = values.std(0, ddof=1) if count > 1 else blank
    reach = stats.t.ppf((1 + LEVEL) / 2, max(1, count - 1)) * sd / np.sqrt(count)
    mean = values.mean(0)
    return Learned(mean, mean - reach, mean + reach, blank, sd, count)


def another_run(spread: ArrayLike, trainings: ArrayLike, others: ArrayLike) -> np.ndarray:
    """Return how far from a mean over trainings that over other ones may lie, at `LEVEL`: (…).

    spread: the standard deviation over the first (…), which alone tells it; trainings, others: how
    many each mean is over. Student's t with trainings − 1 degrees of freedom, of the difference of
    two means. NaN of one training, or where any is NaN or 0.
    """
    count, again = (np.asarray(v, float) for v in (trainings, others))
    count, again = np.where(count > 1, count, np.nan), np.where(again > 0, again, np.nan)
    t = stats.t.ppf((1 + LEVEL) / 2, count - 1)
    return t * np.asarray(spread, float) * np.sqrt(1 / count + 1 / again)


def of_spread(count: int) -> tuple[float, float]:
    """Return how many times as large as that of `count` ≥ 2 values their true SD may be.

    Low and high of its interval, of normal values: √((n − 1) / χ²) at the χ² of n − 1 degrees of
    freedom that are exceeded in 2.5 and in 97.5 % of cases.
    """
    if count < 2:
        raise ValueError(f"{count} values have no spread")
    ends = np.array([1 + LEVEL, 1 - LEVEL]) / 2
    low, high = np.sqrt((count - 1) / stats.chi2.ppf(ends, count - 1))
    return float(low), float(high)


def how_likely(off: ArrayLike, reach: ArrayLike, trainings: ArrayLike) -> np.ndarray:
    """Return how likely another run's number lies `off` the reference's: its log density.

    Of Student's t, but for what does not hang on the number. reach: `another_run`'s; trainings:
    behind the reference's number. NaN where nothing is told.
    """
    free = np.maximum(np.asarray(trainings) - 1, 1)
    scale = np.asarray(reach) / stats.t.ppf((1 + LEVEL) / 2, free)
    return -(free + 1) / 2 * np.log1p((np.asarray(off) / scale) ** 2 / free)


def of_share(found: Learned, count: ArrayLike) -> Learned:
    """Return an interval within 0 … 1 for a share (…), from the symmetric one that was `found`.

    count: of how many things it is the share. Wilson's, of as many independent ones as would make
    the symmetric interval as wide as it is, at most `count`; so none or all is not taken for sure.
    NaN where the interval is.
    """
    value, reach = np.asarray(found.value, float), np.asarray(found.high - found.value, float)
    z, count = float(stats.norm.ppf((1 + LEVEL) / 2)), np.asarray(count, float)
    with np.errstate(invalid="ignore", divide="ignore"):
        worth = value * (1 - value) / np.square(reach / z)
    worth = np.where((value > 0) & (value < 1) & (reach > 0), np.minimum(worth, count), count)
    low, high = (np.where(np.isnan(reach), np.nan, end) for end in wilson(value * worth, worth))
    return found._replace(low=low, high=high)


def jackknifed(value: ArrayLike, left_out: ArrayLike, without: ArrayLike) -> Learned:
    """Return `crossed` of a number (…) that is no mean over trainings, as a likeness of pairs is.

    left_out: (S, …), computed again without each training; without: (blocks, …), without each of
    equal blocks of images. `sd_trainings` is that of Tukey's pseudo-values, their mean the value
    (for means over pairs the same). Two trainings have one pair, and no interval.

    Source: Efron & Tibshirani 1993, chapter 11.
    """
    value, left_out, without = (np.asarray(v, float) for v in (value, left_out, without))
    count, blocks = len(left_out), len(without)
    pseudo = count * value - (count - 1) * left_out
    found = crossed(pseudo, spread_out(value, without), blocks)
    if count > 2:
        return found
    blank = np.full_like(value, np.nan)
    return Learned(value, blank, blank, found.se_images, blank, count)


def spread_out(value: ArrayLike, without: ArrayLike) -> np.ndarray:
    """Return draws (blocks, …) about a value (…) that vary as it would on other images.

    without: (blocks, …), computed again without each of equal blocks of images; its jackknife
    variance is the draws' variance.
    """
    without = np.asarray(without, float)
    blocks = len(without)
    return np.asarray(value) + (without - without.mean(0)) * (blocks - 1) / np.sqrt(blocks)


def _summed(*parts: tuple[np.ndarray, ArrayLike]) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of variances, each of so many values, and its degrees of freedom.

    These are the harmonic mean of the parts' own, weighted by the parts. Satterthwaite's (1946)
    weigh by the parts' squares, and so believe a variance that happens to be small: where nothing
    differs, two trainings then alarm in 13 % of worlds and three in 8 (notebook 08), so in 9 and 5.
    """
    total = np.asarray(sum(variance for variance, _ in parts))
    each = sum(variance / np.maximum(1, np.asarray(n) - 1) for variance, n in parts)
    with np.errstate(invalid="ignore", divide="ignore"):
        return total, np.where(each > 0, total / each, np.inf)


class Above(NamedTuple):
    """By how much trainings lie above models that were drawn (…), the interval, and why wide.

    `se_images`: standard error, were other images drawn; `sd_trainings`, `sd_models`: standard
    deviations over trainings and over models.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    se_images: np.ndarray
    sd_trainings: np.ndarray
    sd_models: np.ndarray


def above_models(
    own: ArrayLike, others: ArrayLike, draws: ArrayLike | None, images: ArrayLike
) -> Above:
    """Return by how much trainings lie above the mean of models drawn from their kind, at `LEVEL`.

    own: (S, …), each training's number minus the models' mean; others: (M, …), each model's number;
    draws: (n, …), the mean of `own` on resampled images, None if each training has images of its
    own; images: how many there are, (…) or one. The variance is that over images, plus that over
    trainings by S, plus that over models by M, as if these were a random sample of such models: so
    the interval covers other images, other trainings and other models of that kind. Student's t at
    the degrees of freedom of `_summed`. What is neither image's, training's nor model's alone
    counts more than once, so the interval is rather too wide. One model tells no spread, and fewer
    than `IMAGES` images too little: NaN.
    """
    own, others, images = (np.asarray(v, float) for v in (own, others, images))
    found = nested(own) if draws is None else crossed(own, draws, images)
    count, of_models = len(own), len(others)
    blank = np.full(own.shape[1:], np.nan)
    sd = others.std(0, ddof=1) if of_models > 1 else blank
    total, free = _summed(
        (np.nan_to_num(found.se_images) ** 2, images),
        (np.nan_to_num(found.sd_trainings**2 / count), count),
        (sd**2 / of_models, of_models),
    )
    told = (images >= IMAGES) & ~np.isnan(found.high)
    reach = np.where(told, stats.t.ppf((1 + LEVEL) / 2, free) * np.sqrt(total), np.nan)
    spreads = (found.se_images, found.sd_trainings, sd)
    return Above(found.value, found.value - reach, found.value + reach, *spreads)


def together(
    values: ArrayLike, draws: ArrayLike | None = None, images: ArrayLike = IMAGES, seed: int = 0
) -> Learned:
    """Return K means over trainings, with intervals that all hold at once, at `LEVEL`.

    values (S, K), draws (n, K) and images are those of `crossed`; draws None: values of `nested`.
    Two things differ from intervals that stand alone:

    - A variance over few trainings is badly known, so that each is steadied by all: it weighs S − 1
      and their mean `PRIOR`, and it has as many more degrees of freedom (Smyth 2004, Statistical
      Applications in Genetics and Molecular Biology 3, 3). Where trainings have images of their own
      (draws None), a number on fewer images varies more, so that it is the variances times images
      that are alike.
    - Each stands at the level that min-p asks for (Westfall & Young 1993, Resampling-Based Multiple
      Testing, chapter 2): 1,000 times trainings and images are drawn anew about a truth that is
      known, and the least of the K intervals that would have held it is noted. Images have the
      correlations that the draws show, trainings half of those that they show: few show them
      larger than they are.

    A number on fewer than `IMAGES` images has no interval, and is none of those that hold. They
    hold as promised from three trainings on, up to 7 % of cases with three that have images of
    their own and numbers that go together; with two, a number that trainings move six times as much
    as the others is missed in 15 %.
    """
    values = np.asarray(values, float)
    drawn = None if draws is None else np.asarray(draws, float)
    own = nested(values) if drawn is None else crossed(values, drawn, images)
    images = np.broadcast_to(np.asarray(images, float), own.value.shape)
    told, reach = (images >= IMAGES) & ~np.isnan(own.high), np.full(own.value.shape, np.nan)
    if told.any():
        some = None if drawn is None else drawn[:, told]
        reach[told] = _joint_reach(values[:, told], some, images[told], seed)
    return own._replace(low=own.value - reach, high=own.value + reach)


def _joint_reach(
    values: np.ndarray, draws: np.ndarray | None, images: np.ndarray, seed: int, n: int = 1000
) -> np.ndarray:
    """Return how far each (K,) of the intervals reaches that hold `together`."""
    rng, (count, numbers) = np.random.default_rng(seed), values.shape
    own, prior = max(1, count - 1), min(PRIOR, numbers - 1) if count > 1 else 0.0
    worth = images if draws is None else np.ones(numbers)

    def variance(of: np.ndarray) -> np.ndarray:
        """Steadied, over trainings: (…, S, K) to (…, K)."""
        raw = np.square(of - of.mean(-2, keepdims=True)).sum(-2) / own
        shared = (raw * worth).mean(-1, keepdims=True) / worth
        return (own * raw + prior * shared) / (own + prior)

    spread, apart = variance(values), values - values.mean(0)
    size = np.sqrt(np.square(apart).sum(0))
    alike = rng.standard_normal((n, count, count)) @ (apart / np.where(size > 0, size, 1))
    again = np.sqrt(spread / 2) * (alike + rng.standard_normal((n, count, numbers)))
    off, over_images, seen = again.mean(1), np.zeros(numbers), np.zeros((n, numbers))
    if draws is not None:
        off = off + (draws - draws.mean(0))[rng.integers(len(draws), size=n)]
        over_images, less = draws.var(0, ddof=1), np.maximum(1, images - 1)
        seen = over_images * rng.chisquare(less, (n, numbers)) / less
    total, free = _summed((seen, images), (variance(again) / count, own + prior + 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        p = student_p(np.abs(off) / np.sqrt(total), free)
    least = np.where(np.isnan(p), 1, p).min(1)
    level = max(LEVEL, 1 - float(np.quantile(least, 1 - LEVEL)))
    total, free = _summed((over_images, images), (spread / count, own + prior + 1))
    return stats.t.ppf((1 + level) / 2, free) * np.sqrt(total)


class Beyond(NamedTuple):
    """What one network has beyond its controls (…): the difference, its interval, and why wide.

    `p`: two-sided, that the network is one more of its controls; `se_images`: standard error, were
    other images drawn; `sd_controls`: standard deviation over controls.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    se_images: np.ndarray
    sd_controls: np.ndarray


def beyond(own: ArrayLike, controls: ArrayLike, draws: ArrayLike, images: ArrayLike) -> Beyond:
    """Return by how much one given network exceeds controls that were drawn, at `LEVEL`.

    own: (…), the network's number; controls: (C, …), each control's; draws: (n, …), own minus the
    controls' mean, computed again on resampled images; images: how many there are, (…) or one.

    There is one network and it was given, so it has no spread of its own to estimate. If what it
    was taught did nothing it would be one more draw from what the controls come from, and lie off
    the mean of C of them with variance sd²·(1 + 1/C): sd² its own, sd²/C the mean's. sd²/C alone
    would ask whether it differs from the *average* control, as half of all controls do, once that
    average is well known. The variance over images is added; Student's t at the degrees of freedom
    of `_summed`, C − 1 of the controls'. Noise that is neither the control's nor the image's alone
    counts twice. One control tells no spread, and fewer than `IMAGES` images too little: NaN.
    """
    controls, draws = np.asarray(controls, float), np.asarray(draws, float)
    count, blank = len(controls), np.full(controls.shape[1:], np.nan)
    value = np.asarray(own, float) - controls.mean(0)
    sd = controls.std(0, ddof=1) if count > 1 else blank
    over_images = draws.var(0, ddof=1)
    total, free = _summed((over_images, images), (sd**2 * (1 + 1 / count), count))
    error = np.where(np.asarray(images) >= IMAGES, np.sqrt(total), np.nan)
    reach = stats.t.ppf((1 + LEVEL) / 2, free) * error
    with np.errstate(invalid="ignore", divide="ignore"):
        p = student_p(np.abs(value) / error, free)
    return Beyond(value, value - reach, value + reach, p, np.sqrt(over_images), sd)


def of_images(values: ArrayLike, own_images: bool = False, n: int = 1000) -> Learned:
    """Return mean and interval of what trainings scored image by image, (S, images).

    own_images: whether each training has images of its own (see `nested`), NaN being on all others;
    otherwise all have the same (see `crossed`), and an image that has no score is left out. Fewer
    than `IMAGES` images have no interval.
    """
    values = np.asarray(values, float)
    if own_images:
        mean = nested(np.nanmean(values, 1))
        if np.count_nonzero(~np.isnan(values).all(0)) >= IMAGES:
            return mean
        return mean._replace(low=mean.low * np.nan, high=mean.high * np.nan)
    found = values[:, ~np.isnan(values).any(0)]
    if not found.size:
        blank = np.array(np.nan)
        return Learned(blank, blank, blank, blank, blank, len(values))
    draws = found.mean(0)[resampled(found.shape[1], n, 0)[1:]].mean(1)
    return crossed(found.mean(1), draws, found.shape[1])


# Resampling


def resampled(count: int, n: int, seed: int) -> np.ndarray:
    """Return indices (1 + n, count): all of them in order, then `n` bootstrap resamples."""
    drawn = np.random.default_rng(seed).integers(count, size=(n, count))
    return np.concatenate([np.arange(count)[None], drawn])


def times_drawn(
    weights: np.ndarray, n: int, rng: np.random.Generator, drawn: int | None = None
) -> np.ndarray:
    """Return (n, I): how often each is drawn in `n` bootstrap resamples of what `weights` count.

    weights: (I,), how often each is in the data; what is not there, 0, is never drawn. drawn: how
    many each resample draws (None: as many as there are). One fewer makes a mean over few vary by
    as much as it does; as many, by too little.
    """
    size = int(weights.sum()) if drawn is None else drawn
    return rng.multinomial(size, weights / weights.sum(), size=n)


@lru_cache(maxsize=8)
def image_weights(n_images: int, n: int, seed: int) -> Tensor:
    """Return (n, I) float32: how often each image is drawn in each of `n` bootstrap resamples.

    Kept for the next call: not to be changed in place.
    """
    drawn = times_drawn(np.ones(n_images), n, np.random.default_rng(seed))
    return torch.tensor(drawn, dtype=torch.float32)


def with_own(weights: Tensor) -> Tensor:
    """Put the data as they are before the resamples (n, I)."""
    return torch.cat([torch.ones(1, weights.shape[1]), weights])


# p-values and their correction


def relabelled(kinds: int, trainings: int, n: int = 10_000, seed: int = 0) -> np.ndarray:
    """Return (P, kinds, trainings): numbers of networks, dealt out anew to the kinds.

    Network t · trainings + k is training k of kind t; the data's own order comes first. Networks
    that share k have seed and order of images in common, so they are dealt among themselves. All
    different deals, or the own and `n` random ones if these are more. The share of deals whose
    statistic is at least the own is then a p-value that is never too small (Hemerik & Goeman 2018).
    """
    own = np.arange(kinds)
    if math.factorial(kinds) ** (trainings - 1) <= n:
        every = itertools.product(itertools.permutations(own), repeat=trainings - 1)
        dealt = np.array([[own, *deal] for deal in every])
    else:
        rng = np.random.default_rng(seed)
        drawn = rng.permuted(np.tile(own, (n, trainings, 1)), axis=2)
        dealt = np.concatenate([np.tile(own, (1, trainings, 1)), drawn])
    return dealt.swapaxes(1, 2) * trainings + np.arange(trainings)


def differ(values: ArrayLike, *parts: tuple[ArrayLike, ArrayLike]) -> float:
    """Return the p-value that K means, each known with an error of its own, are one.

    values: (K,); parts: variances (K,) whose sum is each mean's squared error, and of how many
    values each was estimated (…). Welch's test (1951, Biometrika 38, 330–336), degrees of freedom
    of `_summed`. Means that share images, or whatever else, differ by less than it expects: it then
    alarms less often than it may. NaN of fewer than two means, or where one is NaN.
    """
    means = np.asarray(values, float)
    k = len(means)
    total, free = _summed(*((np.asarray(v, float), n) for v, n in parts))
    if k < 2 or np.isnan(means).any() or not (total > 0).all():
        return float("nan")
    weight = 1 / total
    mean = (weight * means).sum() / weight.sum()
    less = np.sum((1 - weight / weight.sum()) ** 2 / free)
    f = np.sum(weight * (means - mean) ** 2) / (k - 1) / (1 + 2 * (k - 2) / (k**2 - 1) * less)
    return float(stats.f.sf(f, k - 1, (k**2 - 1) / (3 * less)))


def student_p(t: ArrayLike, free: ArrayLike) -> np.ndarray:
    """Return two-sided p-values of values |t| of Student's t with `free` degrees of freedom."""
    return 2 * stats.t.sf(t, free)


def p_of(found: Learned, images: ArrayLike) -> np.ndarray:
    """Return two-sided p-values (…) that means over trainings are 0: see `crossed` and `nested`.

    Error and degrees of freedom are those of the intervals, so that p is below 1 − `LEVEL` where
    these exclude 0; images: how many there are; NaN where there is no interval.
    """
    over_images, over_trainings = (
        np.nan_to_num(v) for v in (found.se_images**2, found.sd_trainings**2 / found.trainings)
    )
    total, free = _summed((over_images, images), (over_trainings, found.trainings))
    with np.errstate(invalid="ignore", divide="ignore"):
        p = student_p(np.abs(found.value) / np.sqrt(total), free)
    return np.where(np.isnan(found.high), np.nan, np.where(found.value == 0, 1.0, p))


def adjusted(p: Values) -> Values:
    """Benjamini–Hochberg adjustment of p-values of any shape, over all that are not NaN.

    Smallest possible result with K permutations and m tests of which i are at the minimum:
    m / (i (K + 1)), so a lone unit needs K of 20 m to pass at 0.05, but units in numbers need few.
    """
    values = p.double().numpy() if isinstance(p, Tensor) else np.asarray(p, dtype=float)
    result, told = np.full_like(values, np.nan), ~np.isnan(values)
    if told.any():
        result[told] = stats.false_discovery_control(values[told])
    found: Any = result
    if isinstance(p, Tensor):
        found = torch.from_numpy(result).to(p)
    elif isinstance(p, pd.Series):
        found = pd.Series(result, p.index)
    return found


# Agreement


def rank_correlation(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """Return Spearman's rank correlation (…) of arrays (…, n), pairs with a NaN left out.

    NaN where fewer than three pairs are left, or one side is constant.
    """
    both = np.broadcast_arrays(np.asarray(first, float), np.asarray(second, float))
    missing = np.isnan(both[0]) | np.isnan(both[1])
    told = (~missing).sum(-1, keepdims=True)
    ranks = (
        stats.rankdata(np.where(missing, np.nan, values), axis=-1, nan_policy="omit")
        for values in both
    )
    a, b = (
        np.where(missing, 0, of - np.nansum(of, -1, keepdims=True) / np.maximum(told, 1))
        for of in ranks
    )
    square = np.square(a).sum(-1) * np.square(b).sum(-1)
    known = (told[..., 0] >= 3) & (square > 0)
    return np.where(known, (a * b).sum(-1) / np.sqrt(np.where(known, square, 1)), np.nan)
