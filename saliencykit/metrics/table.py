"""The table of metrics: what each needs, its unit and which way is better."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from ..registry import Registry
from .maps import Counts, Maps, in_chunks, joined


@dataclass(frozen=True)
class Metric:
    """One row of the table.

    `needs` names the arguments that follow the saliency map: "fixations", "density", "baseline" or
    "other"; of search arrays "target" and "distractors". `better` says which scores are good ones,
    `label` is what a figure's axis calls it.
    """

    name: str
    function: Callable[..., Tensor]
    needs: tuple[str, ...]
    unit: str
    better: Literal["higher", "lower"]
    label: str

    def __call__(
        self, saliency: Maps, truth: Mapping[str, Counts], **settings: float | str
    ) -> Tensor:
        """Score `saliency` against those entries of `truth` that this metric needs.

        `truth` may hold more than is needed, so one mapping serves a loop over all metrics.
        Raises ValueError naming what is missing.
        """
        if missing := [n for n in self.needs if n not in truth]:
            raise ValueError(f"metric {self.name!r} also needs {' and '.join(missing)}")
        return self.function(saliency, *(truth[n] for n in self.needs), **settings)


METRICS: Registry[Metric] = Registry("metric")
"""Metrics that compare a map with what people did."""
ARRAY_METRICS: Registry[Metric] = Registry("metric of search arrays")
"""Metrics that compare a map with masks of a target and of distractors."""


def metric(
    *needs: str,
    label: str,
    unit: str,
    better: Literal["higher", "lower"] = "higher",
    table: Registry[Metric] = METRICS,
) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Return a decorator that enters a function into `table` under its own name."""

    def enter(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        name = function.__name__
        table[name] = Metric(name, function, needs, unit, better, label)
        return function

    return enter


def scores(
    saliency: Maps, truth: Mapping[str, Counts], metrics: Sequence[str]
) -> dict[str, Tensor]:
    """Score maps by several metrics at once, which share what they need to know of the maps.

    Args:
        saliency: map (H, W) or (B, H, W), tensor or array.
        truth: "fixations", "density", "baseline", "other": those that the metrics need, all of the
            same size, or, the first and last, coordinates (`maps.Counts`); those that none needs
            are not looked at.
        metrics: names of the table, or "name:form", such as "kl:mit".

    Returns:
        For each of `metrics` what its function returns; several times faster than calling each.

    Raises:
        UnknownNameError: a metric or form that does not exist.
        ValueError: an entry of `truth` is missing, sizes differ, or counts are negative or NaN.
    """
    asked = {}
    for name in metrics:
        base, _, form = name.partition(":")
        asked[name] = METRICS[base], {"form": form} if form else {}
    needed = {n for metric, _ in asked.values() for n in metric.needs}
    lead, chunks = in_chunks(
        {"saliency": saliency, **{n: maps for n, maps in truth.items() if n in needed}}
    )
    found: dict[str, list[Tensor]] = {name: [] for name in asked}
    for rows in chunks:
        for name, (metric, settings) in asked.items():
            found[name].append(metric(rows["saliency"], rows, **settings))
    return {name: joined(parts, lead) for name, parts in found.items()}
