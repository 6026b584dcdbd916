"""Every model on every image and metric, one long table; each model's scores are cached."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import interpolate
from tqdm.auto import tqdm

from ..cache import Entry, cached, code_version
from ..datasets import Fixations, SaliencyDataset
from ..metrics import METRICS, density
from ..models import CentrePrior
from ..registry import check_name
from .predictors import Predictor

DEFAULT_METRICS = (
    "nss",
    "ig",
    "cc",
    "sim",
    "kl",
    "auc",
    "auc_judd",
    "auc_borji",
    "auc_shuffled_exact",
    "auc_shuffled",
)
GRID = (120, 160)  # maps kept to be looked at


@dataclass(frozen=True)
class Evaluation:
    """What models scored, and their maps to look at.

    scores: columns model, image, metric, value; shown: model → (N, h, w) float16, shrunk maps of
    all images, whatever their shape, on one grid.
    """

    scores: pd.DataFrame
    shown: dict[str, Tensor]

    def beside(self, people: pd.DataFrame) -> "Evaluation":
        """Add the scores of people, who have no maps."""
        return Evaluation(pd.concat([self.scores, people], ignore_index=True), self.shown)

    def score(self, model: str, image: str, metric: str = "nss") -> float:
        """Return one score; NaN if it is not there."""
        return self._lookup.get((model, image, metric), float("nan"))

    def mean(self, model: str, metric: str = "nss") -> float:
        """Return a model's mean over images; NaN if it was not scored."""
        chosen = (self.scores["model"] == model) & (self.scores["metric"] == metric)
        return float(self.scores.loc[chosen, "value"].mean())

    @cached_property
    def _lookup(self) -> dict[tuple[str, str, str], float]:
        columns = (self.scores[c] for c in ("model", "image", "metric", "value"))
        return {tuple(row): value for *row, value in zip(*columns, strict=True)}


def evaluate(
    models: Mapping[str, Predictor],
    data: SaliencyDataset,
    metrics: Sequence[str] = DEFAULT_METRICS,
    prior: CentrePrior | None = None,
) -> Evaluation:
    """Score every model on every image of `data` and metric, at the image's own size.

    Fixations are all observers', as count maps; the density is their Gaussian blur of about one
    degree (`metrics.default_sigma`); the baseline of information gain is `prior` (None: a centred
    Gaussian, a quarter of the sides wide); shuffled AUCs take the fixations on all other images of
    `data`, scaled to this one's size, for negatives. An image that nobody looked at scores NaN.
    Cached model by model. Raises UnknownNameError for a metric.
    """
    for metric in metrics:
        check_name("metric", metric, METRICS)
    truth = _Truth(data, prior or CentrePrior())
    found = {name: _scored(name, model, truth, list(metrics)) for name, model in models.items()}
    rows = [
        pd.DataFrame({"model": name, "image": data.names, "metric": m, "value": entry.tensors[m]})
        for name, entry in found.items()
        for m in metrics
    ]
    scores = pd.concat(rows, ignore_index=True)
    return Evaluation(scores, {name: entry.tensors["shown"] for name, entry in found.items()})


def _scored(name: str, model: Predictor, truth: "_Truth", metrics: list[str]) -> Entry:
    data = truth.data

    @torch.inference_mode()
    def compute() -> Entry:
        values = torch.empty(len(metrics), len(data), dtype=torch.float64)
        shown = torch.empty(len(data), *GRID, dtype=torch.float16)
        for i in tqdm(range(len(data)), desc=f"scoring {name} on {data.name}", leave=False):
            saliency, seen = model(i), truth(i)
            for k, metric in enumerate(metrics):
                values[k, i] = METRICS[metric](saliency, seen)
            shown[i] = _shrunk(saliency)
        return Entry({"shown": shown, **dict(zip(metrics, values, strict=True))})

    key = {
        "code": code_version("metrics", "evaluation/scoring.py", "datasets/types.py"),
        "data": data.fingerprint,
        "metrics": metrics,
        "prior": asdict(truth.prior),
        "model": model.key,
    }
    return cached("scores", key, compute)


def _shrunk(saliency: Tensor) -> Tensor:
    """Bring a map (H, W) to 0 … 1 on the grid that is kept."""
    small = interpolate(saliency[None, None].float(), GRID, mode="area")[0, 0]
    low, high = small.aminmax()
    return ((small - low) / (high - low).clamp(min=1e-30)).half()


class _Truth:
    """What people did, as the metrics ask for it, image by image."""

    def __init__(self, data: SaliencyDataset, prior: CentrePrior):
        self.data, self.prior = data, prior
        self.elsewhere: tuple[Tensor, Tensor, Tensor] | None = None

    def __call__(self, i: int) -> dict[str, Tensor]:
        size = self.data.size_of(i)
        counts = self.data.fixations(i).inside(*size, self.data.names[i]).count_map(*size)
        return {
            "fixations": counts,
            "density": density(counts),
            "baseline": self.prior.map(size),
            "other": self.others(i, size),
        }

    def others(self, i: int, size: tuple[int, int]) -> Tensor:
        """Return the count map of the fixations on all other images, scaled to `size`."""
        if self.elsewhere is None:
            self.elsewhere = self._relative()
        x, y, image = self.elsewhere
        seen = Fixations(x, y, image)[image != i].scaled((1, 1), size)
        return seen.count_map(*size)

    def _relative(self) -> tuple[Tensor, Tensor, Tensor]:
        """All fixations in [0, 1) of width and height, and the number of their image."""
        parts = []
        for i in range(len(self.data)):
            size = self.data.size_of(i)
            seen = self.data.fixations(i).inside(*size, self.data.names[i]).scaled(size, (1, 1))
            parts.append((seen.x, seen.y, torch.full((len(seen),), i)))
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))
