"""Every model on every metric by the map that the metric asks for, of the density fitted to it.

A metric has a map of its own that scores best, if fixations are drawn from a known density p
(Kümmerer, Wallis & Bethge 2018, ECCV 770–787):

- NSS, information gain, AUC: p itself (for AUC any rising function of it);
- CC, KL: p blurred as the density of people's fixations is, which it is compared with. SIM and EMD
  compare with that, too; their best maps are not known in closed form, and p blurred stands for
  them;
- shuffled AUC: p divided by where people look on other images, the centre prior.

AUC-Judd is AUC but for a detail; AUC-Borji and the sampled shuffled AUC draw what the exact ones
compute: they are left out.
"""

from collections.abc import Mapping
from dataclasses import asdict

import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ..cache import Entry, cached
from ..datasets import SaliencyDataset
from ..metrics import METRICS
from ..metrics import density as blurred
from ..models import CentrePrior, Fitted, fit
from ..sources import code_of
from .predictors import Predictor
from .scoring import DEFAULT_METRICS, Evaluation, Truth, evaluate, scored

ASKED = {
    "density": ("nss", "ig", "auc"),
    "blurred": ("cc", "sim", "kl", "emd"),
    "beyond the prior": ("auc_shuffled_exact",),
}
"""Which map each metric gets."""
FITTED_METRICS = tuple(m for m in DEFAULT_METRICS if any(m in asked for asked in ASKED.values()))


def fitted_to(model: Predictor, data: SaliencyDataset, prior: CentrePrior) -> Fitted:
    """Return `models.fit` of a model's maps of the images of `data`, cached."""

    @torch.inference_mode()
    def compute() -> Entry:
        images = tqdm(range(len(data)), desc=f"maps of {data.name}", leave=False)
        return Entry(meta=asdict(fit([model(i) for i in images], data, prior)))

    key = {
        "code": code_of(fitted_to),
        "data": data.fingerprint,
        "prior": asdict(prior),
        "model": model.key,
    }
    found = cached("fitted", key, compute).meta
    return Fitted(**{**found, "prior": prior})


def evaluate_fitted(
    models: Mapping[str, Predictor],
    fits: Mapping[str, Fitted],
    data: SaliencyDataset,
    prior: CentrePrior,
) -> Evaluation:
    """Score the density fitted to each model on each of `FITTED_METRICS`, as `evaluate` does.

    Each metric gets the map that it asks for (`ASKED`), made of the small maps that `evaluate`
    keeps, since a density is fitted to smaller ones still. Cached model by model; no maps to look
    at come back.
    """
    truth = Truth(data, prior)
    rows = []
    for name, model in models.items():
        values = _scored(name, model, fits[name], truth)
        rows += [
            pd.DataFrame({"model": name, "image": data.names, "metric": m, "value": values[m]})
            for m in FITTED_METRICS
        ]
    kinds = {name: model.kind for name, model in models.items()}
    return Evaluation(pd.concat(rows, ignore_index=True), {}, kinds)


def maps_asked(fitted: Fitted, saliency: Tensor, size: tuple[int, int]) -> dict[str, Tensor]:
    """Return the maps (H, W) of `ASKED`, of an image of this size whose map is `saliency`."""
    density = fitted.density(saliency, size)
    beyond = density / fitted.prior.map(size).double().clamp(min=1e-30)
    return {"density": density, "blurred": blurred(density), "beyond the prior": beyond}


def _scored(name: str, model: Predictor, fitted: Fitted, truth: Truth) -> dict[str, Tensor]:
    data, needs = truth.data, ("fixations", "density", "baseline", "other")

    @torch.inference_mode()
    def compute() -> Entry:
        shown = evaluate({name: model}, data, prior=truth.prior).shown[name]
        values = torch.empty(len(FITTED_METRICS), len(data), dtype=torch.float64)
        for i in tqdm(range(len(data)), desc=f"scoring {name}, fitted", leave=False):
            maps, seen = maps_asked(fitted, shown[i], data.size_of(i)), truth(i, needs)
            found: dict[str, Tensor] = {}
            for kind, metrics in ASKED.items():
                found |= scored(maps[kind].float(), seen, list(metrics))
            values[:, i] = torch.stack([found[metric] for metric in FITTED_METRICS])
        return Entry(dict(zip(FITTED_METRICS, values, strict=True)))

    key = {
        "code": code_of(_scored, *(METRICS[metric].function for metric in FITTED_METRICS)),
        "data": data.fingerprint,
        "prior": asdict(truth.prior),
        "model": model.key,
        "fitted": asdict(fitted),
    }
    return cached("scores_fitted", key, compute).tensors
