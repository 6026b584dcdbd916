"""Several trainings of each network scored beside whoever learns nothing: what they say together.

Every training is scored on images that it never saw: all of them on the same, or each on its own
(see `intervals.of_images`). Classical models, the centre prior and people are scored on all images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import pandas as pd

from ..intervals import adjusted, of_images, p_of
from .predictors import Kind
from .scoring import Evaluation

NONE = 0  # the number of training of whoever is not trained; networks' are 1, 2 …
KEYS = ["model", "training", "image", "metric"]


@dataclass(frozen=True)
class Evaluations:
    """What several trainings scored, beside models that are not trained.

    scores: columns model, training (1 …; 0 for whoever is not trained), image, metric, value;
    first: the first training's `Evaluation`, on its images, with maps to look at; own_images:
    whether each training has images of its own.
    """

    scores: pd.DataFrame
    first: Evaluation
    own_images: bool

    @classmethod
    def of(cls, parts: Sequence[Evaluation]) -> "Evaluations":
        """Put together training 1's evaluation, training 2's …

        Whoever is no network may be in all of them or, if their images are the same, in the first.
        """
        own = [set(part.scores["image"]) for part in parts]
        numbered = []
        for k, part in enumerate(parts):
            trained = part.scores["model"].isin(part.networks)
            numbered.append(part.scores.assign(training=np.where(trained, k + 1, NONE)))
        scores = pd.concat(numbered, ignore_index=True).drop_duplicates(KEYS, ignore_index=True)
        return cls(scores[[*KEYS, "value"]], parts[0], any(one != own[0] for one in own))

    def beside(self, people: pd.DataFrame) -> "Evaluations":
        """Add the scores of people, who have no maps."""
        scores = pd.concat([self.scores, people.assign(training=NONE)], ignore_index=True)
        here = people[people["image"].isin(self.first.scores["image"])]
        return Evaluations(scores, self.first.beside(here), self.own_images)

    @property
    def kinds(self) -> dict[str, Kind]:
        """What kind of predictor each model is."""
        return self.first.kinds

    @property
    def networks(self) -> list[str]:
        """Names of the models that learned from fixations."""
        return self.first.networks

    @property
    def models(self) -> list[str]:
        """Names of all models, and of people."""
        return list(self.kinds)

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics."""
        return list(dict.fromkeys(self.scores["metric"]))

    @cached_property
    def images(self) -> list[str]:
        """Names of all images."""
        return list(dict.fromkeys(self.scores["image"]))

    @cached_property
    def _grids(self) -> dict[tuple[str, str], np.ndarray]:
        of = self.scores.groupby(["model", "metric"], sort=False)
        return {
            key: rows.pivot(index="training", columns="image", values="value")
            .reindex(columns=self.images)
            .to_numpy(float)
            for key, rows in of
        }

    def grid(self, model: str, metric: str = "nss") -> np.ndarray:
        """Return a model's scores (S, images), S = 1 if it is not trained; NaN where it has none.

        Raises KeyError if it was not scored.
        """
        return self._grids[model, metric]

    def nested(self, *models: str) -> bool:
        """Tell whether what is said of these models rests on images of each training's own."""
        return self.own_images and any(model in self.networks for model in models)

    def gaps(self, first: str, second: str, metric: str = "nss") -> np.ndarray:
        """Return by how much `first` scores above `second` (S, images), training by training."""
        return self.grid(first, metric) - self.grid(second, metric)

    def difference(self, first: str, second: str, metric: str = "nss") -> pd.Series:
        """Return the mean of `gaps`: value, low, high, se_images, sd_trainings, images, p, …

        p: two-sided, that there is none, from the very error and freedom of the interval;
        "training 1" …: each one's mean.
        """
        gaps = self.gaps(first, second, metric)
        nested = self.nested(first, second)
        p = p_of(of_images(gaps, nested), _scored(gaps, nested))
        return pd.Series({**self._row(gaps, first, second), "p": float(p)})

    def summary(self) -> pd.DataFrame:
        """Return a row a model and metric: model, metric, value, low, high, se_images, …

        sd_trainings, images, "training 1" …: each one's mean (NaN of who is not trained).
        """
        rows = [
            {"model": model, "metric": metric, **self._row(grid, model)}
            for (model, metric), grid in self._grids.items()
        ]
        return pd.DataFrame(rows)

    def shares(self, whole: str = "human") -> pd.DataFrame:
        """Return what share of another's mean score each model reaches, as `summary` does.

        On the metrics and images that both were scored on; a ratio of means over the same images
        (linearised: Cochran 1977, Sampling Techniques, chapter 6). NaN where the other's is not
        above 0.
        """
        rows = []
        for (model, metric), grid in self._grids.items():
            if model == whole or (whole, metric) not in self._grids:
                continue
            other = self.grid(whole, metric) + 0 * grid
            mine = grid + 0 * other
            most = np.nanmean(other) if np.nanmean(other) > 0 else np.nan
            share = np.nanmean(mine) / most
            row = self._row(share + (mine - share * other) / most, model)
            rows.append({"model": model, "metric": metric, **row})
        return pd.DataFrame(rows)

    def pairwise(self, metric: str = "nss") -> pd.DataFrame:
        """Compare every two models, in their order: first, second and what `difference` returns.

        Each pair on the images that both were scored on; p_adjusted: Benjamini–Hochberg over pairs.
        """
        models = [model for model in self.models if (model, metric) in self._grids]
        rows = [
            {"first": a, "second": b, **self.difference(a, b, metric)}
            for a, b in combinations(models, 2)
        ]
        table = pd.DataFrame(rows)
        return table.assign(p_adjusted=adjusted(table["p"]))

    @property
    def trainings(self) -> int:
        """How many trainings each network had."""
        return int(self.scores["training"].max())

    def _row(self, grid: np.ndarray, *models: str) -> dict[str, float]:
        """Return what a table says of numbers (S, images) about these models."""
        nested, each = self.nested(*models), np.full(self.trainings, np.nan)
        if any(model in self.networks for model in models):
            each[: len(grid)] = [
                np.nanmean(own) if not np.isnan(own).all() else np.nan for own in grid
            ]
        found = of_images(grid, nested)._asdict()
        found.pop("trainings")
        own = {f"training {k + 1}": value for k, value in enumerate(each)}
        return {**{k: float(v) for k, v in found.items()}, "images": _scored(grid, nested), **own}


def _scored(grid: np.ndarray, nested: bool) -> int:
    """Return how many images count: those of any training, or of all if they share them."""
    told = ~np.isnan(grid)
    return int((told.any(0) if nested else told.all(0)).sum())
