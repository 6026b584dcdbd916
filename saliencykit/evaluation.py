"""Models × images × metrics: one long table, and the people beside it."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor
from tqdm.auto import tqdm

from .cache import Entry, cached, code_version
from .datasets import SaliencyDataset
from .metrics import METRICS, density, leave_one_out
from .models import CentrePrior, SaliencyModel, stimuli, upsample
from .models.stimuli import device_of, to_float

MapOf = Callable[[int], Tensor]
"""A model's answer about image number i: a saliency map (H, W) at the image's own size."""

BLURS = (0.0075, 0.01, 0.015, 0.02, 0.03)  # standard deviations, shares of the longer side
DEFAULT_METRICS = ("nss", "auc", "auc_judd", "cc", "sim", "kl")


@torch.inference_mode()
def maps_of(model: SaliencyModel, data: SaliencyDataset, size: tuple[int, int]) -> MapOf:
    """Run `model` once over `data` at input `size`; return its map of image i when asked.

    Only the small maps before upsampling are kept.
    """
    shown, device = stimuli(data, size), device_of()
    model = model.to(device).eval()
    rows = torch.arange(len(data)).split(16)
    images = shown.tensors["images"]
    coarse = torch.cat([model.coarse(to_float(images[r]).to(device)).cpu() for r in rows])

    def map_of(i: int) -> Tensor:
        return upsample(coarse[i][None, None], tuple(shown.meta["sizes"][i]))[0, 0]

    return map_of


def prior_of(prior: CentrePrior, data: SaliencyDataset) -> MapOf:
    """Return the centre prior's map of image i when asked."""
    return lambda i: prior.map(data.size_of(i))


def evaluate(
    models: Mapping[str, MapOf], data: SaliencyDataset, metrics: Sequence[str] = DEFAULT_METRICS
) -> pd.DataFrame:
    """Score every model on every image and metric: columns model, image, metric, value.

    Fixations are all observers', as count maps at the image's own size; the density is their
    Gaussian blur of about one degree (`metrics.default_sigma`).
    """
    rows = []
    for i, name in enumerate(tqdm(data.names, desc=f"scoring on {data.name}", leave=False)):
        height, width = data.size_of(i)
        counts = data.fixations(i).inside(height, width, name).count_map(height, width)
        truth = {"fixations": counts, "density": density(counts)}
        for model, map_of in models.items():
            saliency = map_of(i)
            for metric in metrics:
                value = METRICS[metric](saliency, truth).item()
                rows.append((model, name, metric, value))
    return pd.DataFrame(rows, columns=["model", "image", "metric", "value"])


def human_ceiling(data: SaliencyDataset, metrics: Sequence[str] = ("nss", "auc")) -> pd.DataFrame:
    """Score people against people: each observer predicted by all others, mean over observers.

    Same columns as `evaluate`, model "human". NSS depends on how far the others' fixations are
    blurred, and a ceiling should not be low for want of the right blur, so of `BLURS` the one that
    predicts these people best is taken; the other metrics, which depend on it little, use
    `metrics.default_sigma`. An image that fewer than two people looked at is NaN. Cached.
    """

    def compute() -> Entry:
        sizes = [data.size_of(i) for i in range(len(data))]
        seen = [data.fixations(i).inside(*s, data.names[i]) for i, s in enumerate(sizes)]
        found = {}
        for metric in metrics:
            blurs = BLURS if metric == "nss" else [None]
            tries = torch.empty(len(blurs), len(data), dtype=torch.float64)
            for k, blur in enumerate(tqdm(blurs, desc=f"human {metric}, {data.name}", leave=False)):
                for i, (f, size) in enumerate(zip(seen, sizes, strict=True)):
                    sigma = blur and blur * max(size)
                    scores = leave_one_out(f.x, f.y, f.observer, size, metric, sigma)
                    tries[k, i] = scores.nanmean()
            found[metric] = tries[tries.nanmean(1).argmax()]
        return Entry(found)

    code = code_version("metrics", "evaluation.py", "datasets/types.py")
    key = {"code": code, "data": data.fingerprint, "metrics": list(metrics)}
    values = cached("human", key, compute).tensors
    parts = [
        pd.DataFrame(
            {"model": "human", "image": data.names, "metric": m, "value": values[m].numpy()}
        )
        for m in metrics
    ]
    return pd.concat(parts, ignore_index=True)


def interval(values: Sequence[float], seed: int = 0, n: int = 2000) -> tuple[float, float, float]:
    """Return mean and 95 % percentile-bootstrap interval over images; NaNs are left out."""
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    if len(values) < 2:
        mean = float(values.mean()) if len(values) else float("nan")
        return mean, float("nan"), float("nan")
    found = stats.bootstrap(
        (values,), np.mean, n_resamples=n, method="percentile", random_state=seed
    ).confidence_interval
    return float(values.mean()), float(found.low), float(found.high)


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per model and metric of an `evaluate` table: mean, low, high, images."""
    rows = [
        (model, metric, *interval(group["value"]), int(group["value"].notna().sum()))
        for (model, metric), group in scores.groupby(["model", "metric"], sort=False)
    ]
    return pd.DataFrame(rows, columns=["model", "metric", "mean", "low", "high", "images"])


def difference(scores: pd.DataFrame, first: str, second: str, metric: str) -> dict[str, float]:
    """Return how much `first` scores above `second` on the same images: mean, low, high."""
    wide = scores[scores["metric"] == metric].pivot(index="image", columns="model", values="value")
    mean, low, high = interval(wide[first] - wide[second])
    return {"mean": mean, "low": low, "high": high}


def spread(scores: pd.DataFrame, model: str, metric: str, n: int) -> list[int]:
    """Return `n` image numbers, evenly spread from the model's (or people's) worst to its best."""
    chosen = scores[(scores["model"] == model) & (scores["metric"] == metric)].reset_index(
        drop=True
    )
    order = chosen["value"].dropna().sort_values(kind="stable").index.to_numpy()
    return [int(i) for i in order[np.linspace(0, len(order) - 1, min(n, len(order))).astype(int)]]


def joined(curves: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Put learning curves into one table, without their seconds, which no run repeats."""
    parts = [curve.drop(columns="seconds").assign(model=model) for model, curve in curves.items()]
    return pd.concat(parts, ignore_index=True)
