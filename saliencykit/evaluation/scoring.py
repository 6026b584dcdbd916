"""Every model on every image and metric, one long table; each model's scores are cached."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import interpolate
from tqdm.auto import tqdm

from ..cache import Entry, cached
from ..datasets import Fixations, SaliencyDataset
from ..metrics import ARRAY_METRICS, METRICS, density, scores
from ..models import CentrePrior
from ..registry import check_name
from ..sources import code_of
from .predictors import Kind, Predictor, model_maps

DEFAULT_METRICS = (
    "nss",
    "ig",
    "cc",
    "sim",
    "kl",
    "emd",
    "auc",
    "auc_judd",
    "auc_borji",
    "auc_shuffled_exact",
    "auc_shuffled",
)
SETTINGS = {"emd": {"grid": 16}}  # an eighth of the default's time, hardly another value
ALL = METRICS | ARRAY_METRICS
GRID = (120, 160)  # maps kept to be looked at


@dataclass(frozen=True)
class Evaluation:
    """What models scored, and their maps to look at.

    scores: columns model, image, metric, value; shown: model → (N, h, w) float16, shrunk maps of
    all images, whatever their shape, on one grid; kinds: model → what kind of predictor it is.
    """

    scores: pd.DataFrame
    shown: dict[str, Tensor]
    kinds: dict[str, Kind]

    def beside(self, people: pd.DataFrame) -> "Evaluation":
        """Add the scores of people, who have no maps."""
        scores = pd.concat([self.scores, people], ignore_index=True)
        kinds = self.kinds | dict.fromkeys(people["model"], Kind.PEOPLE)
        return Evaluation(scores, self.shown, kinds)

    @property
    def networks(self) -> list[str]:
        """Names of the models that learned from fixations."""
        return [model for model, kind in self.kinds.items() if kind == Kind.NETWORK]

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
    models: Mapping[str, Predictor | Callable[[Tensor], Tensor]],
    data: SaliencyDataset,
    metrics: Sequence[str] = DEFAULT_METRICS,
    prior: CentrePrior | None = None,
) -> Evaluation:
    """Score every model on every image of `data` and metric, at the image's own size.

    A model is a predictor, or a function of images (B, 3, H, W) in [0, 1] → (B, H, W), such as
    `models.from_pysaliency` gives, whose scores are not cached (see `model_maps`).

    Fixations are all observers', as count maps; the density is their Gaussian blur of about one
    degree (`metrics.default_sigma`); the baseline of information gain is `prior` (None: a centred
    Gaussian, a quarter of the sides wide); shuffled AUCs take the fixations on all other images of
    `data`, scaled to this one's size, for negatives; EMD is on a grid of 16 cells; metrics of
    search arrays need a data set with `targets` and `distractors`. An image that nobody looked at
    scores NaN. Cached model by model. Raises UnknownNameError for a metric, ValueError for one of
    search arrays on other data.
    """
    for metric in metrics:
        check_name("metric", metric, ALL)
    truth = Truth(data, prior or CentrePrior())
    given = {
        name: model if isinstance(model, Predictor) else model_maps(model, data)
        for name, model in models.items()
    }
    found = {name: _scored(name, model, truth, list(metrics)) for name, model in given.items()}
    rows = [
        pd.DataFrame({"model": name, "image": data.names, "metric": m, "value": entry.tensors[m]})
        for name, entry in found.items()
        for m in metrics
    ]
    scores = pd.concat(rows, ignore_index=True)
    shown = {name: entry.tensors["shown"] for name, entry in found.items()}
    return Evaluation(scores, shown, {name: model.kind for name, model in given.items()})


def _scored(name: str, model: Predictor, truth: "Truth", metrics: list[str]) -> Entry:
    data = truth.data
    needs = {need for metric in metrics for need in ALL[metric].needs}

    @torch.inference_mode()
    def compute() -> Entry:
        values = torch.empty(len(metrics), len(data), dtype=torch.float64)
        shown = torch.empty(len(data), *GRID, dtype=torch.float16)
        for i in tqdm(range(len(data)), desc=f"scoring {name} on {data.name}", leave=False):
            saliency = model(i)
            found = scored(saliency, truth(i, needs), metrics)
            values[:, i] = torch.stack([found[metric] for metric in metrics])
            shown[i] = _shrunk(saliency)
        return Entry({"shown": shown, **dict(zip(metrics, values, strict=True))})

    if model.key is None:
        return compute()
    key = {
        "code": code_of(_scored, *(ALL[metric].function for metric in metrics)),
        "data": data.fingerprint,
        "metrics": metrics,
        "prior": asdict(truth.prior),
        "model": model.key,
    }
    return cached("scores", key, compute)


def scored(saliency: Tensor, seen: Mapping[str, Tensor], metrics: list[str]) -> dict[str, Tensor]:
    """Score one map; those of search arrays get it stretched to 0 … 1, since they need a zero."""
    together = [m for m in metrics if m in METRICS and m not in SETTINGS]
    found = scores(saliency, seen, together) if together else {}
    for name in set(metrics) - set(together):
        given = _stretched(saliency) if name in ARRAY_METRICS else saliency
        found[name] = ALL[name](given, seen, **SETTINGS.get(name, {}))
    return found


def _stretched(saliency: Tensor) -> Tensor:
    low, high = saliency.aminmax()
    return (saliency - low) / (high - low).clamp(min=torch.finfo(saliency.dtype).tiny)


def _shrunk(saliency: Tensor) -> Tensor:
    """Bring a map (H, W) to 0 … 1 on the grid that is kept."""
    return _stretched(interpolate(saliency[None, None].float(), GRID, mode="area")[0, 0]).half()


@runtime_checkable
class SearchArrays(Protocol):
    """Data that know where the odd item and the others are."""

    def targets(self, i: int) -> Tensor:
        """Return the mask (H, W) of array i's target."""
        ...

    def distractors(self, i: int) -> Tensor:
        """Return the mask (H, W) of array i's distractors."""
        ...


class Truth:
    """What people did, image by image: as much of it as the metrics ask for."""

    def __init__(self, data: SaliencyDataset, prior: CentrePrior):
        self.data, self.prior = data, prior

    def __call__(self, i: int, needs: Iterable[str]) -> dict[str, Tensor]:
        """Return, of image i, what metrics need, by name."""
        return {need: getattr(self, need)(i) for need in sorted(needs)}

    def fixations(self, i: int) -> Tensor:
        """Return the count map of all observers' fixations on image i."""
        size = self.data.size_of(i)
        return self.data.fixations(i).inside(*size, self.data.names[i]).count_map(*size)

    def density(self, i: int) -> Tensor:
        """Return the density of the fixations on image i."""
        return density(self.fixations(i))

    def baseline(self, i: int) -> Tensor:
        """Return the centre prior."""
        return self.prior.map(self.data.size_of(i))

    def other(self, i: int) -> Tensor:
        """Return the count map of the fixations on all other images, scaled to image i's size."""
        size, elsewhere = self.data.size_of(i), self._relative
        return elsewhere[elsewhere.observer != i].scaled((1, 1), size).count_map(*size)

    def target(self, i: int) -> Tensor:
        """Return the mask of array i's target."""
        return self._arrays.targets(i)

    def distractors(self, i: int) -> Tensor:
        """Return the mask of array i's distractors."""
        return self._arrays.distractors(i)

    @property
    def _arrays(self) -> SearchArrays:
        if not isinstance(self.data, SearchArrays):
            raise ValueError(f"{self.data.name!r} holds no search arrays: nobody knows the targets")
        return self.data

    @cached_property
    def _relative(self) -> Fixations:
        """All fixations in [0, 1) of width and height; "observer" is their image's number."""
        parts = []
        for i, name in enumerate(self.data.names):
            size = self.data.size_of(i)
            seen = self.data.fixations(i).inside(*size, name).scaled(size, (1, 1))
            parts.append((seen.x, seen.y, torch.full((len(seen),), i)))
        return Fixations(*(torch.cat(column) for column in zip(*parts, strict=True)))
