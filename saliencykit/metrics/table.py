"""The table of metrics: what each needs, its unit and which way is better."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from ..registry import Registry


@dataclass(frozen=True)
class Metric:
    """One row of the table.

    `needs` names the arguments that follow the saliency map: "fixations", "density", "baseline" or
    "other". `better` says which scores are good ones, `label` is what a figure's axis calls it.
    """

    name: str
    function: Callable[..., Tensor]
    needs: tuple[str, ...]
    unit: str
    better: Literal["higher", "lower"]
    label: str

    def __call__(self, saliency: Tensor, truth: Mapping[str, Tensor], **settings: object) -> Tensor:
        """Score `saliency` against those entries of `truth` that this metric needs.

        `truth` may hold more than is needed, so one mapping serves a loop over all metrics.
        Raises ValueError naming what is missing.
        """
        if missing := [n for n in self.needs if n not in truth]:
            raise ValueError(f"metric {self.name!r} also needs {' and '.join(missing)}")
        return self.function(saliency, *(truth[n] for n in self.needs), **settings)


METRICS: Registry[Metric] = Registry("metric")


def metric(
    *needs: str, label: str, unit: str, better: Literal["higher", "lower"] = "higher"
) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Return a decorator that enters a function into `METRICS` under its own name."""

    def enter(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        name = function.__name__
        METRICS[name] = Metric(name, function, needs, unit, better, label)
        return function

    return enter
