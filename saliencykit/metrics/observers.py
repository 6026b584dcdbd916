"""Inter-observer baselines: how well some observers' fixations predict those of others.

Leaving one observer out says what a model would score that knew where everybody else looked;
halves of the observers say how consistent they are; and a growing number of observers says how a
model would score that knew where infinitely many look (`extrapolation`).
"""

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..reading.positions import check_pixels
from ..registry import check_name
from .blur import default_sigma
from .maps import Maps, as_tensor, check_counts
from .points import SCORES, InformationGain, Points, Score, Trials, by_maps
from .rows import Rows

NAMES = 10_000
"""Numbers of observers from which on they are names, such as 20240115: nobody asked so many."""
Metric = str | InformationGain | Score


def _scorer(metric: Metric) -> Callable[[Points, Trials], Tensor]:
    if isinstance(metric, str):
        return SCORES[check_name("inter-observer metric", metric, SCORES)]
    return metric if isinstance(metric, InformationGain) else by_maps(metric)


def fixated(
    x: Tensor,
    y: Tensor,
    observer: Tensor,
    size: tuple[int, int],
    sigma: float | None = None,
    observers: int | None = None,
) -> tuple[Points, Tensor]:
    """Return the points that lie within the image, and whose they are: (O, n), 1 or 0.

    Takes and checks the arguments of `leave_one_out`.
    """
    x, y = (torch.as_tensor(v, dtype=torch.float64) for v in (x, y))
    observer = torch.as_tensor(observer, device=x.device).long()
    if not x.shape == y.shape == observer.shape:
        shapes = ", ".join(str(tuple(v.shape)) for v in (x, y, observer))
        raise ValueError(f"x, y and observer differ in length: {shapes}")
    if len(x) > 2:
        check_pixels(x.cpu(), y.cpu(), "x, y", size)
    observer = _indices(observer) if observers is None else observer
    needed = int(observer.max()) + 1 if len(observer) else 0
    observers = needed if observers is None else observers
    if needed > observers or (len(observer) and int(observer.min()) < 0):
        raise ValueError(f"observer indices must be 0…{observers - 1}")
    keep = (x >= 0) & (x < size[1]) & (y >= 0) & (y < size[0])
    if dropped := int((~keep).sum()):
        warnings.warn(
            f"{dropped} of {len(x)} fixations lie outside {size[1]}×{size[0]} pixels or are NaN; "
            "dropped.",
            stacklevel=3,
        )
    sigma = default_sigma(size) if sigma is None else float(sigma)
    member = torch.arange(observers, device=x.device)[:, None] == observer[keep]
    return Points(x[keep].long(), y[keep].long(), (size[0], size[1]), sigma), member.double()


def _indices(observer: Tensor) -> Tensor:
    """`observer` from 0; numbers too large to count from 0, such as dates, are names."""
    if not len(observer) or int(observer.max()) < NAMES:
        return observer
    return observer.unique(return_inverse=True)[1]


def everybody_else(member: Tensor) -> Trials:
    """Return O trials, one for each observer, whom all others predict."""
    return Trials(1 - member, member)


def _present(member: Tensor) -> Tensor:
    """Return the rows of `member` that belong to observers with a fixation."""
    return member[member.sum(-1) > 0]


def halves(member: Tensor, splits: int = 10, seed: int = 0) -> Trials:
    """Return 2 × `splits` trials: random halves of the observers predict the others, and back.

    Observers without a fixation do not count. Of an odd number, the first half is the smaller.
    """
    present, random = _present(member), torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(present), generator=random) for _ in range(splits)]
    shuffled = present[torch.stack(orders).to(member.device)]
    middle = shuffled.shape[1] // 2
    first, second = shuffled[:, :middle].sum(1), shuffled[:, middle:].sum(1)
    return Trials(torch.cat([first, second]), torch.cat([second, first]))


def growing(
    member: Tensor, numbers: Sequence[int], subsets: int | None = None, seed: int = 0
) -> Trials:
    """Return `subsets` trials for each of `numbers`, in which so many observers predict another.

    Subset k always has the same observer to predict, the observers taking turns, and its smaller
    groups lie within its larger ones. None: one subset for each observer with a fixation (one, if
    there is nobody), so that a group of all others is that of `everybody_else`. A number that
    leaves nobody to predict has trials without targets, which score NaN.
    """
    present, random = _present(member), torch.Generator().manual_seed(seed)
    count = len(present)
    subsets = max(1, count) if subsets is None else subsets
    orders = torch.stack([torch.randperm(count, generator=random) for _ in range(subsets)])
    predicted = torch.arange(subsets)[:, None] % max(1, count)
    # Each order, the predicted observer brought to its front.
    orders = orders.gather(1, (orders != predicted).int().argsort(stable=True))
    shuffled = present[orders.to(member.device)]
    target = shuffled[:, :1].sum(1)
    enough = [n < count for n in numbers]
    return Trials(
        torch.cat([shuffled[:, 1 : n + 1].sum(1) for n in numbers]),
        torch.cat([target * e for e in enough]),
    )


def leave_one_out(
    x: Tensor,
    y: Tensor,
    observer: Tensor,
    size: tuple[int, int],
    metric: Metric = "nss",
    sigma: float | None = None,
    observers: int | None = None,
) -> Tensor:
    """Score, on one image, the others' blurred fixations against each observer's own.

    Their mean over observers and images is the ceiling that a model can be measured against: what
    one would score who knew where everybody else looked. (Infinitely many others would predict a
    little better.)

    "nss" and information gain are exact. "auc" takes pixels sigma/8 apart in each direction for the
    negatives, between which the blurred map hardly changes (an error of some 1e-4); all agree with
    drawing the maps (`gaussian_blur`) and scoring them with the function of that name.

    Args:
        x: fixations in pixels, (N,); those outside the image or NaN are dropped, with a warning.
        y: the same, downward.
        observer: index of each fixation's observer, (N,), from 0. Where one is 10,000 or more
            (dates, say), and `observers` is not given, they are names, and observers are those that
            there are, in ascending order.
        size: (height, width) of the image.
        metric: "nss", "auc", an `InformationGain` ("ig": over a uniform baseline), or a function of
            maps (O, H, W) and count maps (O, H, W) to (O,).
        sigma: of the blur, in pixels; default about one degree of visual angle, which is what
            benchmarks blur by (see `default_sigma`). A narrower blur predicts better if there are
            many observers: on OSIE, half a degree raises the NSS ceiling by a tenth.
        observers: how many there are; default the highest index + 1.

    Returns:
        (O,), float64: one score per observer in the metric's unit. NaN for an observer without a
        fixation, or if nobody else has one.

    Raises:
        UnknownNameError: another metric's name.
        ValueError: x, y and observer differ in length, an index is not below `observers`, or
            positions are fractions of the image's sides.

    Source: Wilming, Betz, Kietzmann & König 2011, PLoS ONE 6, e24038 (lower bounds by observers);
    Kümmerer, Wallis & Bethge 2015, PNAS 112, 16054–16059 (gold standard).
    """
    run = _scorer(metric)
    points, member = fixated(x, y, observer, size, sigma, observers)
    return run(points, everybody_else(member))


def split_half(
    x: Tensor,
    y: Tensor,
    observer: Tensor,
    size: tuple[int, int],
    metric: Metric = "nss",
    sigma: float | None = None,
    splits: int = 10,
    seed: int = 0,
) -> Tensor:
    """Score, on one image, one half of the observers against the other.

    Observers are halved at random `splits` times; each half predicts the other, and the two scores
    are averaged. All fixations of a half weigh the same, whoever's they are.

    Arguments, errors and the metric's unit are those of `leave_one_out`. Returns (splits,),
    float64; NaN if fewer than two observers have a fixation.
    """
    run = _scorer(metric)
    points, member = fixated(x, y, observer, size, sigma)
    return run(points, halves(member, splits, seed)).view(2, splits).mean(0)


def by_observers(
    x: Tensor,
    y: Tensor,
    observer: Tensor,
    size: tuple[int, int],
    numbers: Sequence[int],
    metric: Metric = "nss",
    sigma: float | None = None,
    subsets: int | None = None,
    seed: int = 0,
) -> Tensor:
    """Score, on one image, groups of n observers against one further observer, for growing n.

    Arguments, errors and the metric's unit are those of `leave_one_out`; `numbers` are the n. See
    `growing` for how groups are drawn. Returns (len(numbers), subsets), float64; NaN where an n
    leaves nobody to predict.
    """
    run = _scorer(metric)
    points, member = fixated(x, y, observer, size, sigma)
    trials = growing(member, numbers, subsets, seed)
    return run(points, trials).view(len(numbers), -1)


def leave_one_out_maps(counts: Maps, metric: Metric = "nss", sigma: float | None = None) -> Tensor:
    """Do as `leave_one_out`, from one count map per observer (O, H, W); return (O,).

    Raises ValueError if counts are negative, NaN or no whole numbers.
    """
    counts = as_tensor(counts)
    check_counts("counts", Rows(counts.flatten(1), (counts.shape[1], counts.shape[2])))
    if not bool((counts == counts.round()).all()):
        raise ValueError("counts must be whole numbers of fixations, but they have fractions")
    observer, y, x = counts.nonzero(as_tuple=True)
    times = counts[observer, y, x].long()
    observer, y, x = (v.repeat_interleave(times) for v in (observer, y, x))
    observers, height, width = counts.shape
    return leave_one_out(x, y, observer, (height, width), metric, sigma, observers)
