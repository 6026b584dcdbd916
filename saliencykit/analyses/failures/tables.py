"""Where a model fails: images far below people, categories it expects too much or too little of.

A model's scale is arbitrary, so before maps are subtracted the model's gets the human density's
values, in the order of its own: they differ then in where, not in how peaked.
"""

import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ...datasets import Joined, SaliencyDataset
from ...evaluation import evaluate
from ...evaluation.predictors import Predictor
from ...evaluation.summary import by_model
from ...intervals import interval
from ...metrics import density
from ...models import SaliencyModel, TwoScales, WithContrast
from ...study import Study

LOOKS = 100  # fixations of the ideal searcher that arrays are taught with
OUTSIDE = "outside"  # what lies in no annotated region


def gaps(scores: pd.DataFrame, model: str, metric: str = "nss") -> pd.DataFrame:
    """Return how far a model is from people, worst image first.

    Columns: image, model, human, gap (human minus model), rank (1 is the worst). Images on which
    either has no score are left out.
    """
    wide = scores[scores["metric"] == metric].pivot(index="image", columns="model", values="value")
    found = wide[[model, "human"]].dropna().rename(columns={model: "model"}).reset_index()
    found = found.assign(gap=found["human"] - found["model"]).rename_axis(columns=None)
    found = found.sort_values("gap", ascending=False, kind="stable", ignore_index=True)
    return found.assign(rank=found.index + 1)


def matched(saliency: Tensor, target: Tensor) -> Tensor:
    """Return `saliency` (H, W) with the values of `target`, its pixels' order unchanged.

    Of equal pixels the first in reading order get the smaller values.
    """
    order = saliency.flatten().argsort(stable=True)
    out = torch.empty_like(target).flatten()
    out[order] = target.flatten().sort().values
    return out.view_as(target)


def residual(saliency: Tensor, counts: Tensor) -> Tensor:
    """Return (H, W): the model's matched map minus people's density; both have sum 1.

    Above 0 where the model expects more fixations than there are.
    """
    people = density(counts)
    return matched(saliency, people) - people


def by_region(model: Predictor, data: SaliencyDataset) -> pd.DataFrame:
    """Return where people look and where the model expects them to, by image and category.

    Columns: image, category (one of the data's, or "outside" all regions), people and model (each
    one's share of the image's density in the category's regions), excess (model minus people).
    Images that nobody looked at or that have no regions are left out.
    """
    rows = []
    for i, name in enumerate(tqdm(data.names, desc=f"residuals on {data.name}", leave=False)):
        regions, size = data.regions(i), data.size_of(i)
        counts = data.fixations(i).inside(*size, name).count_map(*size)
        if not regions or not counts.any():
            continue
        people = density(counts)
        expected = matched(model(i), people)
        for category, mask in _masks(regions, size).items():
            shares = [m[mask].sum(dtype=torch.float64).item() for m in (people, expected)]
            rows.append((name, category, *shares, shares[1] - shares[0]))
    return pd.DataFrame(rows, columns=["image", "category", "people", "model", "excess"])


def _masks(regions: list, size: tuple[int, int]) -> dict[str, Tensor]:
    """One mask (H, W) a category, and one of what is outside all regions."""
    masks: dict[str, Tensor] = {}
    for region in regions:
        mask = region.as_mask(*size)
        masks[region.category] = masks.get(region.category, torch.zeros_like(mask)) | mask
    return {**masks, OUTSIDE: ~torch.stack(list(masks.values())).any(0)}


def excess(table: pd.DataFrame, categories: tuple[str, ...], least: int = 5) -> pd.DataFrame:
    """Return by how much a model over- or under-predicts each category, with 95 % intervals.

    table: `by_region`. Columns: category, people, model (mean shares over the images that show it),
    excess, low, high (in per cent of people's share: 0 is right), images. Categories on fewer than
    `least` images, or never looked at, are left out.
    """
    rows = []
    for category in (*categories, OUTSIDE):
        chosen = table[table["category"] == category]
        if len(chosen) >= least and chosen["people"].any():
            people, model = chosen["people"].mean(), chosen["model"].mean()
            span = (100 * v / people for v in interval(chosen["excess"]))
            rows.append((category, people, model, *span, len(chosen)))
    columns = ["category", "people", "model", "excess", "low", "high", "images"]
    return pd.DataFrame(rows, columns=columns)


def compared(
    natural: pd.DataFrame,
    arrays: pd.DataFrame,
    plain: str,
    metrics: tuple[str, str] = ("nss", "gsi"),
) -> pd.DataFrame:
    """Compare models with the `plain` one on both sides, image by image and array by array.

    natural, arrays: scores of the same models; metrics: which of either. A row a model and side:
    model, side ("natural" or "arrays"), mean, and its difference from the plain model's with the
    95 % interval: difference, low, high (0 for the plain model itself).
    """
    rows = []
    for side, scores, metric in zip(("natural", "arrays"), (natural, arrays), metrics, strict=True):
        wide = by_model(scores, metric)
        for model in wide.columns:
            gap = interval(wide[model] - wide[plain])
            rows.append((model, side, wide[model].mean(), *gap))
    return pd.DataFrame(rows, columns=["model", "side", "mean", "difference", "low", "high"])


def remedies(study: Study) -> dict[str, SaliencyModel]:
    """Return the fine-tuned model, and three attempts to make the odd item stand out to it."""
    encoder, read = study.pretrained, study.read or study.pretrained.layers[-1:]
    contrast, scales = WithContrast(encoder, study.contrast), TwoScales(encoder)
    taught = study.arrays(seed=study.seed + 1, looks=LOOKS).thinned(
        round(study.array_share * len(study.train))
    )
    again = [*read, *(f"{layer}@0.5" for layer in read)]
    return {
        "fine-tuned": study.fine_tuned[0],
        "with a contrast channel": study.trained(False, ["contrast", *read], contrast)[0],
        "with arrays mixed in": study.trained(False, data=Joined(study.train, taught))[0],
        "at two scales": study.trained(False, again, scales)[0],
    }


def tried(study: Study) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score the remedies: NSS on the validation images, and GSI on the search arrays."""
    networks = remedies(study)

    def scored(data: SaliencyDataset, metric: str) -> pd.DataFrame:
        maps = study.network_maps(networks, data)
        return evaluate(maps, data, [metric], study.centre).scores

    return scored(study.validation, "nss"), scored(study.arrays(), "gsi")
