"""One study: the data, encoder and settings that a profile names, and the results they lead to.

Every notebook asks the same study, so what one has computed the others read from the cache.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from matplotlib.figure import Figure

from . import datasets, models, paths
from .datasets import SaliencyDataset
from .datasets.popout import PopOut
from .dissection import Dissection, dissect_cached
from .evaluation import (
    CENTRE,
    DEFAULT_METRICS,
    Evaluation,
    Evaluations,
    ObserverCurve,
    Predictor,
    classical_maps,
    evaluate,
    evaluate_fitted,
    fitted_to,
    human_ceiling,
    network_maps,
    observer_curve,
    prior_maps,
)
from .paths import NOTEBOOK, PAPER, PHOTOGRAPHS, SETTINGS_MIME
from .settings import Settings, check_changes, read_profile, read_row
from .viewing.files import show_figure, write_figure

ARRAY_METRICS = ("most_salient", "gsi", "fixations_to_find")


FOLDS = 5  # at least, of data without a split of their own
FITTED = 40  # images that a model's maps are fitted on, to become densities


class Trained(NamedTuple):
    """One training: its model, learning curve and seed, and images that it has not learned from."""

    model: models.SaliencyModel | models.Classifier
    curve: pd.DataFrame
    seed: int
    unseen: SaliencyDataset


@dataclass
class Study(Settings):
    """What a profile's settings name: data, encoder, trainings, and where their figures go.

    Made by `from_profile`; `Study(data=…, …)` makes one that belongs to no profile, and so can
    compute but not save. Shows itself as a table of its settings.
    """

    def __post_init__(self):
        self.profile: str | None = None
        self.origins: dict[str, str] = {}  # settings that are not the default → who set them
        self._notebook = os.environ.get(NOTEBOOK)  # whose figures may be saved; None: not yet known
        self.size = (int(self.size[0]), int(self.size[1]))
        self.read, self.layers = list(self.read or ()), list(self.layers or ())
        self.array_size = (int(self.array_size[0]), int(self.array_size[1]))
        for name in ("trainings", "trainings_beside"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; at least 1 is needed")

    @classmethod
    def from_profile(cls, name: str, **changes: Any) -> "Study":
        """Return the study of the profile `name`, but for `changes`.

        Raises UnknownNameError naming the nearest profile or setting, ValueError for a value of
        another kind than the setting's default, or for a profile's file that cannot be read.
        """
        profile = read_profile(name)
        check_changes(changes)
        study = cls(**{**profile.settings, **changes})
        study.profile = name
        study.origins = dict.fromkeys(profile.settings, "profile") | dict.fromkeys(
            changes, "change"
        )
        return study

    @classmethod
    def from_row(cls, row: str, **changes: Any) -> "Study":
        """Return the study that a text "PROFILE setting=value …" names (see `settings.read_row`).

        changes: of what the text leaves as the profile has it. Raises as `from_profile` does.
        """
        profile, own = read_row(row)
        return cls.from_profile(profile, **{**changes, **own})

    def table(self) -> pd.DataFrame:
        """Return the settings: name, value, set by ("default", "profile" or "change"), meaning."""
        rows = [
            (name, value, self.origins.get(name, "default"), self.meanings()[name])
            for name, value in self.values().items()
        ]
        return pd.DataFrame(rows, columns=["setting", "value", "set by", "meaning"])

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        shown = self.table().drop(columns="set by")
        marks = {"profile": "font-weight: bold", "change": "font-weight: bold; background: #fff3bf"}
        looks = [marks.get(who, "color: gray") for who in self.table()["set by"]]
        styled = shown.style.hide(axis="index").apply(lambda _: looks, subset=["setting", "value"])
        title = f"<b>Study of profile {self.profile}</b>: changes on yellow, defaults in grey"
        record = {"values": self.values(), "origins": self.origins, "meanings": self.meanings()}
        plain = f"{title[3:].replace('</b>', '')}\n{shown.to_string(index=False)}"
        return {
            "text/plain": plain,
            "text/html": f"{title}{styled.to_html()}",
            SETTINGS_MIME: {"profile": self.profile, **record},
        }

    def save(
        self,
        figure: Figure,
        name: str,
        table: pd.DataFrame,
        *,
        shows: SaliencyDataset | None = None,
        learned: bool | Sequence[bool] = True,
        paper: bool = False,
    ) -> None:
        """Write figures/<profile>/<name>.png and .csv, whole or not at all, and show the picture.

        shows: whose stimuli the picture holds; where they are not ours to publish, its files are
        named `<name>_photos`, and git ignores the pictures. learned: whether the numbers hang on a
        network's weights, altogether or row by row, and so change with processor and seed. paper:
        write .svg, .pdf and .tex (LaTeX of the table) too, as `figures --for-paper` does. Raises
        ValueError for a study that belongs to no profile, or a name that is not of this notebook's
        (its number, an underscore, then words).
        """
        if self.profile is None:
            raise ValueError("only a study of a profile can save: make it by Study.from_profile")
        self._check_owner(name)
        stem = f"{name}{PHOTOGRAPHS}" if shows is not None and not shows.shareable else name
        path = Path(paths.FIGURES) / self.profile / f"{stem}.png"
        size = write_figure(figure, path, table, paper or bool(os.environ.get(PAPER)))
        marks = learned if isinstance(learned, bool) else [bool(mark) for mark in learned]
        show_figure(path, {"stem": stem, "size": size, "learned": marks})

    def _check_owner(self, name: str) -> None:
        """Raise ValueError if `name` is not of the notebook that this study saves for."""
        number, _, words = name.partition("_")
        if not (number.isdigit() and words):
            raise ValueError(
                f"a figure is named by notebook and content, as 07_matrix, not {name!r}"
            )
        self._notebook = self._notebook or name
        if (owner := self._notebook.partition("_")[0]) != number:
            raise ValueError(
                f"{name!r} is a name of notebook {number}; this study saves for notebook {owner}"
            )

    def _load(self, name: str) -> SaliencyDataset:
        loaded = datasets.load(name)
        return loaded.thinned(self.images) if self.images else loaded

    @cached_property
    def annotated(self) -> SaliencyDataset:
        """All images of the annotated data set."""
        return self._load(self.data)

    @cached_property
    def _trained_on(self) -> SaliencyDataset:
        same = self.train_data in (None, "", self.data)
        return self.annotated if same else self._load(self.train_data)

    @cached_property
    def train(self) -> SaliencyDataset:
        """The images that models learn from."""
        return self._trained_on.split("train")

    @cached_property
    def validation(self) -> SaliencyDataset:
        """The images that models are scored on."""
        return self._trained_on.split("val")

    @cached_property
    def unseen(self) -> SaliencyDataset:
        """The annotated images that no model here has learned from."""
        return self.held_out if self._trained_on is self.annotated else self.annotated

    @cached_property
    def held_out(self) -> SaliencyDataset:
        """The annotated images that are not of the training split."""
        data = self.annotated
        return data.subset([n for n in data.names if data.split_of(n) != "train"])

    @cached_property
    def pretrained(self) -> models.Encoder:
        """The encoder as it comes: trained to recognise objects, never shown a fixation."""
        return self._built(self.weights, self.seed + 1)

    @cached_property
    def untrained(self) -> models.Encoder:
        """The first of the `controls`."""
        return self.controls(1)[0]

    def controls(self, count: int) -> list[models.Encoder]:
        """Return untrained networks: the same architecture, each with other random weights.

        Batch norm has the statistics of the training images (see `models.calibrated`). Raises
        ValueError for `count` < 1.
        """
        if count < 1:
            raise ValueError(f"controls is {count}; at least 1 is needed")
        seeds = [self.seed + 2 + k for k in range(count)]  # seed + 1 is `pretrained`'s, if random
        drawn = [self._built(None, seed) for seed in seeds]
        return [models.calibrated(encoder, self.train, self.size) for encoder in drawn]

    def _built(self, weights: str | None, seed: int) -> models.Encoder:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # for weights that are drawn, not read
            return models.build_encoder(self.encoder, weights)

    @property
    def layer(self) -> str:
        """The layer whose units the findings are about."""
        return self.unit_layer or self.pretrained.layers[-1]

    @property
    def dissected(self) -> list[str]:
        """The layers to dissect, shallow to deep, the findings' layer among them."""
        wanted = set(self.pretrained.checked(self.layers or None)) | {self.layer}
        return [layer for layer in self.pretrained.layers if layer in wanted]

    def training_settings(self, frozen: bool, seed: int) -> models.Settings:
        """Return how a network is trained, the encoder frozen or fine-tuned."""
        return models.Settings(
            size=self.size,
            frozen=frozen,
            epochs=self.frozen_epochs if frozen else self.epochs,
            batch=32 if frozen else self.batch,
            lr=5e-3 if frozen else 1e-3,
            lr_encoder=self.lr_encoder,
            seed=seed,
        )

    @property
    def first_seed(self) -> int:
        """The first training's seed; the next ones have the following."""
        return self.seed + self.training_seed

    @property
    def crossed(self) -> bool:
        """Whether all trainings are measured on the same unseen images.

        They are where the data have a split of their own. Where not, each leaves out another fold,
        so that every image is measured by a network that never saw it.
        """
        return self._trained_on.own_split or self._trained_on is not self.annotated

    def parts(self, number: int) -> tuple[SaliencyDataset, SaliencyDataset, SaliencyDataset]:
        """Return what training `number` learns from, is validated on, and never sees."""
        if self.crossed:
            return self.train, self.validation, self.unseen
        folds = self.annotated.folds(max(FOLDS, self.trainings))
        held_out = folds[number % len(folds)]
        return self.annotated.without(held_out), held_out, held_out

    def asked(
        self,
        frozen: bool,
        read: Sequence[str] | None = None,
        task: models.tasks.Task | None = None,
        count: int | None = None,
        encoder: models.Encoder | models.Composite | None = None,
        more: SaliencyDataset | None = None,
        curve: bool = True,
    ) -> list[models.Training]:
        """Return the trainings that `each_training`, whose arguments these are, gives: undone."""
        some = self.trainings if task is None else self.trainings_beside
        parts = [self.parts(k) for k in range(some if count is None else count)]
        return [
            models.Training(
                encoder or self.pretrained,
                datasets.Joined(learned, more) if more is not None else learned,
                validation if curve else None,
                read or self.read or None,
                self.training_settings(frozen, self.first_seed + k),
                task or models.tasks.Saliency(),
            )
            for k, (learned, validation, _) in enumerate(parts)
        ]

    def each_training(
        self,
        frozen: bool,
        read: Sequence[str] | None = None,
        task: models.tasks.Task | None = None,
        count: int | None = None,
        encoder: models.Encoder | models.Composite | None = None,
        more: SaliencyDataset | None = None,
        curve: bool = True,
    ) -> list[Trained]:
        """Return `count` trainings (None: of this study's setting), alike but for seed and fold.

        read, encoder: layers read and encoder, if not this study's; task: what is learned, if not
        saliency; more: what is mixed into the training images; curve: whether each is validated
        after every epoch. What is not in the cache is trained side by side, on all cores.
        """
        asked = self.asked(frozen, read, task, count, encoder, more, curve)
        found = models.train_side_by_side(asked)
        return [
            Trained(model, curve, self.first_seed + k, self.parts(k)[2])
            for k, (model, curve) in enumerate(found)
        ]

    @property
    def tasks(self) -> list[models.tasks.Task]:
        """What the encoder is fine-tuned for on the same images: saliency, scenes, controls."""
        return models.tasks.all_tasks(self.seed)

    def asked_beside(self) -> list[models.Training]:
        """Return the trainings that `taught` gives, undone: those of each seed, task by task."""
        learned, validation, _ = self.parts(0)
        seeds = [self.first_seed + k for k in range(self.trainings_beside)]
        return [
            models.Training(
                self.pretrained,
                learned,
                validation,
                self.read or None,
                self.training_settings(False, seed),
                task,
            )
            for seed in seeds
            for task in models.tasks.all_tasks(seed)
        ]

    @cached_property
    def taught(self) -> dict[str, list[Trained]]:
        """`trainings_beside` fine-tunings of the encoder for each task on the same images, by name.

        Networks are compared on images that none has learned from, so all have the
        first training's parts; seeds alone differ, and with them how labels were shuffled. Training
        k of every task has the same seed, and so the same order of images.
        """
        asked, unseen = self.asked_beside(), self.parts(0)[2]
        taught: dict[str, list[Trained]] = {}
        for one, (model, curve) in zip(asked, models.train_side_by_side(asked), strict=True):
            trained = Trained(model, curve, one.settings.seed, unseen)
            taught.setdefault(one.task.name, []).append(trained)
        return taught

    @cached_property
    def centre(self) -> models.CentrePrior:
        """The centre prior of the training images."""
        return models.CentrePrior.fit(self.train)

    @cached_property
    def trained_models(self) -> dict[str, list[Trained]]:
        """All trainings of each model, by name; the last two read one layer, as the paper's do."""
        found = {"frozen": self.each_training(True), "fine-tuned": self.each_training(False)}
        deepest = self.pretrained.layers[-1:]
        if self.read and self.read != deepest:
            found["frozen, one layer"] = self.each_training(True, deepest)
            found["fine-tuned, one layer"] = self.each_training(False, deepest)
        return found

    def training(self, number: int = 0) -> dict[str, models.SaliencyModel]:
        """Return training `number` of each of the `trained_models`."""
        return {name: trained[number].model for name, trained in self.trained_models.items()}

    def untaught(self, data: SaliencyDataset) -> dict[str, Predictor]:
        """Return whoever predicts the images of `data` untaught: centre prior, classical models."""
        names = self.classical or [n for n in models.classical.names() if n != "centre"]
        prior = {CENTRE: prior_maps(self.centre, data)}
        return prior | {name: classical_maps(name, data) for name in names}

    def network_maps(
        self, networks: Mapping[str, models.SaliencyModel], data: SaliencyDataset
    ) -> dict[str, Predictor]:
        """Return the maps of networks, at this study's input size."""
        return {name: network_maps(net, data, self.size) for name, net in networks.items()}

    def baselines(self, data: SaliencyDataset) -> Evaluation:
        """Score the centre prior and people on `data`."""
        prior = {CENTRE: prior_maps(self.centre, data)}
        return evaluate(prior, data, ("nss", "auc"), self.centre).beside(human_ceiling(data))

    @cached_property
    def scored(self) -> SaliencyDataset:
        """The images that models are scored on: all on which some training is validated."""
        if self.crossed:
            return self.validation
        names = {name for k in range(self.trainings) for name in self.parts(k)[1].names}
        return self.annotated.subset([name for name in self.annotated.names if name in names])

    def _evaluated(
        self, parts: Sequence[SaliencyDataset], metrics: Sequence[str] = DEFAULT_METRICS
    ) -> Evaluations:
        """Score training k of each network, and whoever is untaught, on the images parts[k]."""
        found = []
        for k, data in enumerate(parts):
            again = k and data is parts[0]
            predictors = self.network_maps(self.training(k), data)
            predictors = predictors if again else self.untaught(data) | predictors
            found.append(evaluate(predictors, data, metrics, self.centre))
        return Evaluations.of(found)

    @cached_property
    def evaluated(self) -> Evaluations:
        """Scores of every training, of the untaught and of people on all metrics.

        Each training on images that it did not learn from; see `scored`.
        """
        found = self._evaluated([self.parts(k)[1] for k in range(self.trainings)])
        return found.beside(self.people)

    @cached_property
    def people(self) -> pd.DataFrame:
        """Scores of people on the images `scored`."""
        return human_ceiling(self.scored, ("nss", "auc", "ig"), self.centre)

    @cached_property
    def evaluated_fitted(self) -> Evaluations:
        """Scores of the densities fitted to everybody's maps, on the images of `evaluated`.

        Fitted on `FITTED` of the images that the training learned from.
        """
        found, first = [], self.parts(0)[1]
        for k in range(self.trainings):
            learned, data, _ = self.parts(k)
            few = learned.thinned(FITTED)
            predictors, taught = (
                ({} if k and data is first else self.untaught(images))
                | self.network_maps(self.training(k), images)
                for images in (data, few)
            )
            fits = {name: fitted_to(model, few, self.centre) for name, model in taught.items()}
            found.append(evaluate_fitted(predictors, fits, data, self.centre))
        return Evaluations.of(found).beside(self.people)

    def observer_curves(self) -> dict[str, ObserverCurve]:
        """How well growing groups of people predict another on the images `scored`, by metric."""
        metrics = ("nss", "auc", "ig")
        return {m: observer_curve(self.scored, m, self.centre) for m in metrics}

    def arrays(self, **more: object) -> PopOut:
        """Return this study's search arrays."""
        how = {"features": self.array_features} if self.array_features else {}
        return PopOut(**how, size=self.array_size, **{"repeats": self.array_repeats, **more})

    @cached_property
    def evaluated_on_arrays(self) -> Evaluations:
        """Scores of every training and of the untaught on the search arrays, the same for all."""
        return self.evaluated_on(self.arrays(), ARRAY_METRICS)

    def evaluated_on(self, data: SaliencyDataset, metrics: Sequence[str]) -> Evaluations:
        """Score every training and the untaught on images that nobody here learned from."""
        return self._evaluated([data] * self.trainings, metrics)

    def dissect(
        self, encoder: models.Encoder, data: SaliencyDataset | None = None, p_values: bool = True
    ) -> Dissection:
        """Dissect this study's layers of `encoder` on `data` (None: all annotated images); cached.

        p_values: whether with those of the permutation test, which cost time and memory.
        """
        permutations = self.permutations if p_values else 0
        how = {"size": self.size, "permutations": permutations, "seed": self.seed}
        return dissect_cached(encoder, data or self.annotated, self.dissected, **how)
