"""Where a model fails: images far below people, categories it expects too much or too little of.

A model's scale is arbitrary. Before maps are drawn one minus the other, the model's gets the human
density's values, in the order of its own; where shares are counted, the density that fits best.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ...datasets import SaliencyDataset
from ...datasets.popout import EFFICIENT, search_of
from ...evaluation import Evaluation, Kind, evaluate, human_ceiling
from ...evaluation.predictors import Predictor
from ...evaluation.scoring import GRID
from ...intervals import IMAGES, crossed, image_weights, nested, of_images
from ...metrics import density
from ...metrics.rates import rates
from ...models import TwoScales, WithContrast
from ...study import Study, Trained

MODEL = "fine-tuned"
LOOKS = 100  # fixations of the ideal searcher that arrays are taught with
OUTSIDE = "outside"  # what lies in no annotated region
HALVINGS = 10  # of the observers, at random
LEVELS = 40  # of a map, each with its own density


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


def together(study: Study, trained: Sequence[Trained]) -> tuple[SaliencyDataset, Evaluation]:
    """Return the images that trainings never saw, and what these score there, beside people.

    NSS and the maps to look at are means over the trainings that did not learn from the image.
    """
    unseen = {name for one in trained for name in one.unseen.names}
    data = study.annotated.subset([name for name in study.annotated.names if name in unseen])
    found = [
        evaluate(study.network_maps({MODEL: one.model}, one.unseen), one.unseen, ["nss"])
        for one in trained
    ]
    shown, count = torch.zeros(len(data), *GRID), torch.zeros(len(data), 1, 1)
    for one, of in zip(trained, found, strict=True):
        rows = [data.names.index(name) for name in one.unseen.names]
        shown[rows] += of.shown[MODEL].float()
        count[rows] += 1
    by = ["model", "image", "metric"]
    scores = pd.concat([of.scores for of in found]).groupby(by, as_index=False)["value"].mean()
    whole = Evaluation(scores, {MODEL: (shown / count).half()}, {MODEL: Kind.NETWORK})
    return data, whole.beside(human_ceiling(data, ("nss",)))


class Regional(NamedTuple):
    """Shares of fixations by category, the last of which is `OUTSIDE`, means over halvings.

    people: (I, C), of the people who are counted; model: (S, I, C), what each training expects;
    other: (I, C), what other people's density expects; shown: (I, C), whether the image shows it.
    """

    categories: tuple[str, ...]
    people: np.ndarray
    model: np.ndarray
    other: np.ndarray
    shown: np.ndarray

    def excess(self, times: np.ndarray) -> dict[str, np.ndarray]:
        """Return excesses in per cent of people's share, images counting `times` (B, I): (B, S, C).

        "excess": the trainings'; "people": that of other people; "beyond": the one minus the other.
        Numerator and denominator are resampled together.
        """
        whole = (times @ self.people)[:, None]
        whole = np.where(whole > 0, whole, np.nan)
        model = 100 * (np.einsum("bi,sic->bsc", times, self.model) / whole - 1)
        other = 100 * (np.einsum("bi,ic->bc", times, self.other)[:, None] / whole - 1)
        other = np.broadcast_to(other, model.shape)
        return {"excess": model, "people": other, "beyond": model - other}


def by_region(
    models: Sequence[Predictor], data: SaliencyDataset, halvings: int = HALVINGS, seed: int = 0
) -> Regional:
    """Return where some people look, and where models and other people expect them to, by category.

    Observers are halved at random: one half is counted, the other half's density is a predictor
    beside the models. A map's scale is arbitrary, so each predictor is taken at its best: as the
    rising function of its map that fits the counted fixations of all images as a density (`rates`).
    A map that is the density itself then expects no category too much or too little, however few
    people are counted. Where regions were drawn around these fixations, a third set of people
    chooses which of them count: those that a third of them fixated. Images without fixations or
    regions are left out.
    """
    images = [_Seen(data, i) for i in range(len(data)) if data.regions(i)]
    images = [one for one in images if len(one.observer)]
    names, sets = (*data.categories, OUTSIDE), 3 if data.around_gaze else 2
    if not images:
        none = np.zeros((len(models), 0, len(names)))
        return Regional(names, none[0], none, none[0], none[0] > 0)
    fixed = [_levels(model, images) for model in tqdm(models, desc="residuals", leave=False)]
    total = np.zeros((len(models) + 3, len(images), len(names)))
    for halving in range(halvings):
        rng = np.random.default_rng([seed, halving])
        dealt = [one.dealt(sets, rng) for one in images]
        counted = [part == 0 for part in dealt]
        people = {one.i: one.density(part == 1) for one, part in zip(images, dealt, strict=True)}
        shares = [_expected(images, counted, at) for at in fixed]
        shares.append(_expected(images, counted, _levels(people.__getitem__, images)))
        for k, (one, part) in enumerate(zip(images, dealt, strict=True)):
            into = one.chosen(part, names)
            looked = one.by_region(one.place[counted[k]]) / counted[k].sum()
            total[:-1, k] += [of @ into for of in (*(s[k] for s in shares), looked)]
            total[-1, k] += into.any(0)
    *model, other, people, shown = total / halvings
    return Regional(names, people, np.stack(model), other, shown > 0)


def regional(study: Study, trained: Sequence[Trained]) -> list[Regional]:
    """Return `by_region` of trainings on the images they never saw: of all, or one each."""
    maps = [study.network_maps({MODEL: one.model}, one.unseen)[MODEL] for one in trained]
    if study.crossed:
        return [by_region(maps, trained[0].unseen)]
    return [by_region([of], one.unseen) for of, one in zip(maps, trained, strict=True)]


class _Seen:
    """One image: which region each pixel is of, and each fixation."""

    def __init__(self, data: SaliencyDataset, i: int):
        self.i, self.size = i, data.size_of(i)
        self.regions, seen = data.regions(i), data.fixations(i).inside(*self.size, data.names[i])
        self.owner = np.full(self.size, len(self.regions))  # of several the last; then: outside
        for number, region in enumerate(self.regions):
            self.owner[region.as_mask(*self.size).numpy()] = number
        self.at = (seen.y.long().numpy(), seen.x.long().numpy())
        self.observer, self.place = seen.observer.numpy(), self.owner[self.at]

    def by_region(self, places: np.ndarray) -> np.ndarray:
        """Count places (n,) by region, then outside: (R + 1,)."""
        return np.bincount(places, minlength=len(self.regions) + 1).astype(float)

    def dealt(self, sets: int, rng: np.random.Generator) -> np.ndarray:
        """Deal observers out into sets at random; return each fixation's set (n,)."""
        people, who = np.unique(self.observer, return_inverse=True)
        return (rng.permutation(len(people)) % sets)[who]

    def density(self, chosen: np.ndarray) -> Tensor:
        """Return the density (H, W) of the chosen fixations; of none, an even one."""
        counts = torch.zeros(self.size)
        counts.index_put_(tuple(torch.from_numpy(v[chosen]) for v in self.at), torch.ones(()), True)
        return density(counts if chosen.any() else counts + 1)

    def chosen(self, part: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Return (R + 1, C): 1 where a region is of a category; outside if it does not count."""
        into, third = np.zeros((len(self.regions) + 1, len(names))), part == 2
        for number, region in enumerate(self.regions):
            looked = np.unique(self.observer[third & (self.place == number)])
            least = len(np.unique(self.observer[third])) / 3
            counts = not third.any() or len(looked) >= least
            into[number, names.index(region.category if counts else OUTSIDE)] = 1
        into[-1, -1] = 1
        return into


Levels = list[tuple[np.ndarray, np.ndarray]]
"""Of each image: pixels of each region at each level (R + 1, K), and fixations' levels (n,)."""


def _levels(model: Callable[[int], Tensor], images: list["_Seen"]) -> Levels:
    """Bin a predictor's maps by levels that all images share, finer the higher."""
    maps = [model(one.i).float().numpy() for one in images]
    some = np.concatenate([one.ravel()[:: max(1, one.size // 5000)] for one in maps])
    edges = np.unique(np.quantile(some, 1 - np.geomspace(1, 1e-3, LEVELS)[1:]))
    found = []
    for one, saliency in zip(images, maps, strict=True):
        level = np.searchsorted(edges, saliency, side="right")
        joint = one.owner * (LEVELS + 1) + level
        size = (len(one.regions) + 1) * (LEVELS + 1)
        found.append(
            (np.bincount(joint.ravel(), minlength=size).reshape(-1, LEVELS + 1), level[one.at])
        )
    return found


def _expected(images: list["_Seen"], counted: list[np.ndarray], levels: Levels) -> list[np.ndarray]:
    """Return the shares (R + 1,) of each image's density that a predictor at its best expects."""
    area = np.stack([of.sum(0) for of, _ in levels])
    seen = np.stack(
        [
            np.bincount(at[c], minlength=LEVELS + 1)
            for (_, at), c in zip(levels, counted, strict=True)
        ]
    )
    rate = np.nan_to_num(rates(seen, area, rising=True))
    return [of @ rate / (whole @ rate) for (of, _), whole in zip(levels, area, strict=True)]


def excess(found: Sequence[Regional], own_images: bool, n: int = 1000) -> pd.DataFrame:
    """Return by how much models over- or under-predict each category, over trainings and images.

    found: all trainings on the same images (one `Regional`), or, own_images, one for each training.
    A row a category: category, images, share (people's, mean over the images that show it), then
    excess, people and beyond (see `Regional.excess`) each with its _low, _high, _se_images and
    _sd_trainings; trainings; "training 1" …: each one's excess; `verdict`.
    Fewer than `IMAGES` images have no interval; categories that nobody looked at are left out, and
    without any region so is `OUTSIDE`: no rows.
    """
    found = [one for one in found if len(one.people)]
    if not found:
        return pd.DataFrame()
    own = [one.excess(np.ones((1, len(one.people)))) for one in found]
    draws = found[0].excess(image_weights(len(found[0].people), n, 0).numpy().astype(float))
    images = np.sum([one.shown.sum(0) for one in found], axis=0)
    rows = []
    for c, category in enumerate(found[0].categories):
        people = sum(one.people[:, c].sum() for one in found) / max(1, images[c])
        if not people:
            continue
        row, each = {"category": category, "images": int(images[c]), "share": people}, {}
        for what, spread in draws.items():
            values = np.concatenate([one[what][0, :, c] for one in own])
            over = spread[:, :, c].mean(1)
            of = nested(values) if own_images else crossed(values, over, int(images[c]))
            if images[c] < IMAGES:
                of = of._replace(low=np.nan, high=np.nan)
            ends = {what: of.value, f"{what}_low": of.low, f"{what}_high": of.high}
            ends |= {f"{what}_se_images": of.se_images, f"{what}_sd_trainings": of.sd_trainings}
            row |= {name: float(end) for name, end in ends.items()} | {"trainings": of.trainings}
            if what == "excess":
                each = {f"training {s}": value for s, value in enumerate(values, 1)}
        rows.append(row | each)
    table = pd.DataFrame(rows)
    return table.assign(verdict=verdict(table) if rows else [])


def verdict(table: pd.DataFrame) -> np.ndarray:
    """Return 1 or -1 where the excess, both as it is and beyond people's, is off 0 to one side.

    Else 0: it may be none, or no more than what people's own predictions of people have.
    """
    above = (table["excess_low"] > 0) & (table["beyond_low"] > 0)
    below = (table["excess_high"] < 0) & (table["beyond_high"] < 0)
    return above.astype(int).to_numpy() - below.astype(int).to_numpy()


COMPARED = ["model", "side", "mean", "difference", "low", "high", "se_images", "sd_trainings",
            "trainings"]  # fmt: skip


def compared(
    sides: Mapping[str, Mapping[str, np.ndarray]], plain: str, own_images: bool
) -> pd.DataFrame:
    """Compare models with the `plain` one, training by training from the same seed.

    sides: "natural" and "arrays" → model → scores (S, images), see `tried`; own_images: whether
    each training has natural images of its own. A row a model and side: model, side, mean, and its
    difference from the plain model's: difference, low, high, se_images, sd_trainings, trainings,
    "training 1" …: each one's difference.
    """
    rows = []
    for side, scores in sides.items():
        for model, values in scores.items():
            gaps = values - scores[plain][: len(values)]
            found = of_images(gaps, own_images and side == "natural")
            row = dict(zip(COMPARED, (model, side, np.nanmean(values), *found), strict=True))
            each = enumerate(np.nanmean(gaps, 1), 1)
            rows.append(row | {f"training {s}": value for s, value in each})
    return pd.DataFrame(rows)


def remedies(study: Study) -> dict[str, list[Trained]]:
    """Return trainings of the plain model, and of three attempts to make the odd item stand out."""
    encoder, read = study.pretrained, study.read or study.pretrained.layers[-1:]
    contrast, scales = WithContrast(encoder, study.contrast), TwoScales(encoder)
    taught = study.arrays(seed=study.seed + 1, looks=LOOKS).thinned(
        round(study.array_share * len(study.parts(0)[0]))
    )
    again, count = [*read, *(f"{layer}@0.5" for layer in read)], study.trainings_beside
    how = {
        "with a contrast channel": {"read": ["contrast", *read], "encoder": contrast},
        "with arrays mixed in": {"more": taught},
        "at two scales": {"read": again, "encoder": scales},
    }
    tried = {
        name: study.each_training(False, count=count, curve=False, **one)
        for name, one in how.items()
    }
    return {MODEL: study.each_training(False, count=count), **tried}


def scored(study: Study, trained: Sequence[Trained], metric: str = "nss") -> np.ndarray:
    """Return what trainings score, image by image, (S, images); NaN where one learned from it."""
    rows = {}
    for one in trained:
        maps = study.network_maps({MODEL: one.model}, one.unseen)
        found = evaluate(maps, one.unseen, [metric], study.centre).scores
        rows[one.seed] = found.set_index("image")["value"]
    return pd.DataFrame(rows).to_numpy().T


def tried(study: Study) -> dict[str, dict[str, np.ndarray]]:
    """Score the remedies: NSS on unseen images, GSI on efficient search arrays, (S, images)."""
    networks, arrays = remedies(study), study.arrays()
    efficient = search_of(arrays.table["feature"]) == EFFICIENT
    arrays = arrays.subset(arrays.table["name"][efficient].tolist())
    searched = {k: [one._replace(unseen=arrays) for one in v] for k, v in networks.items()}
    return {
        "natural": {name: scored(study, of) for name, of in networks.items()},
        "arrays": {name: scored(study, of, "gsi") for name, of in searched.items()},
    }
