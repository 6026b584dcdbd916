"""Speed measured as ratios, both sides in one run; `python -m benchmarks` prints the table.

A benchmark is a function that returns a list of `Ratio`, registered by name; a new file of them is
imported in `__main__`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from saliencykit.registry import Registry

BENCHMARKS: Registry[Callable[[], list["Ratio"]]] = Registry("benchmark")


@dataclass(frozen=True)
class Ratio:
    """Time of `ours` over time of `other`, in seconds, medians over rounds; `target`: at most.

    Or memory, in GB, of which `what` then speaks.
    """

    what: str
    ours: float
    other: float
    ratio: float
    target: float | None = None

    @property
    def met(self) -> bool:
        return self.target is None or self.ratio <= self.target


def compare(
    what: str,
    ours: Callable[[], object],
    other: Callable[[], object],
    *,
    rounds: int = 15,
    target: float | None = None,
) -> Ratio:
    """Time both alternately, A B A B, after a warm-up; the ratio is the median of the rounds'.

    A round's two times are taken within a moment of each other, so whatever else the machine does
    slows both.
    """
    seconds: list[tuple[float, float]] = []
    for _ in range(rounds + 1):
        seconds.append((timed(ours), timed(other)))
    a, b = zip(*seconds[1:], strict=True)
    ratio = median(x / y for x, y in zip(a, b, strict=True))
    return Ratio(what, median(a), median(b), ratio, target)


def timed(run: Callable[[], object]) -> float:
    """Seconds of wall time."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
