"""The metrics as torchmetrics has them: `update` with batches, `compute` the mean over images.

An optional extra, `pip install "saliencykit[torchmetrics]"`: what a training loop, Lightning or
several processes ask. Every number is that of the function of the same name.
"""

from inspect import signature
from typing import Any

import torch
from torch import Tensor

from ..registry import check_name, lacking
from .maps import Counts, Maps
from .table import ARRAY_METRICS, METRICS, Metric

try:
    import torchmetrics
except ModuleNotFoundError as error:
    raise lacking(error, __name__, "torchmetrics") from error

STATES = {"total": torch.float64, "images": torch.int64, "left_out": torch.int64}


class SaliencyMetric(torchmetrics.Metric):
    """Mean over images of a metric of `METRICS` or `ARRAY_METRICS`, by name.

    Images that have no score, NaN by the function's own rules (nobody looked at them, or the map
    holds a NaN), are not counted: `images` says how many are, `left_out` how many are not. The sum
    is kept in float64, so that halves, or processes, merge into the whole but for its last digits.

    Args:
        name: of the metric: "nss", "auc_judd", "cc" …
        settings: by name, those of its function (`form`, `seed`, `grid` …) and those of
            `torchmetrics.Metric` (`sync_on_compute` …).

    Raises UnknownNameError for another name.
    """

    full_state_update = False
    is_differentiable = False
    total: Tensor
    images: Tensor
    left_out: Tensor

    def __init__(self, name: str, **settings: Any):
        self._metric = _known(name)
        own = [*signature(self._metric.function).parameters][1 + len(self._metric.needs) :]
        self._settings = {k: settings.pop(k) for k in own if k in settings}
        super().__init__(**settings)
        for state, kind in STATES.items():
            self.add_state(
                state, torch.zeros((), dtype=kind), dist_reduce_fx="sum", persistent=True
            )

    @property
    def higher_is_better(self) -> bool:
        """Whether high scores are good ones."""
        return self._metric.better == "higher"

    def update(self, saliency: Maps, *truth: Counts, **named: Counts) -> None:
        """Score maps, one or a batch, against what the function takes beside them.

        In its order, or by name ("fixations", "density", "baseline", "other"), of which more may be
        given than are needed: one call serves a `MetricCollection`. Raises as the function, and
        ValueError for what is missing or one too many.
        """
        needs = self._metric.needs
        if len(truth) > len(needs):
            raise ValueError(f"{self._metric.name} needs {' and '.join(needs)} beside the map")
        scores = self._metric(
            saliency, {**named, **dict(zip(needs, truth, strict=False))}, **self._settings
        )
        scores = scores.to(self.total.device, torch.float64)
        counted = ~scores.isnan()
        self.total += scores[counted].sum()
        self.images += counted.sum()
        self.left_out += (~counted).sum()

    def compute(self) -> Tensor:
        """Return the mean, a float64 scalar; NaN where no image has a score."""
        return self.total / self.images


def _known(name: str) -> Metric:
    check_name("metric", name, [*METRICS, *ARRAY_METRICS])
    return (METRICS if name in METRICS else ARRAY_METRICS)[name]
