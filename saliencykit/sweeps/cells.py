"""One cell of a grid: a training of a study, and what is measured of it, as one cache entry.

The parts are those that notebooks ask for, each kept by itself: a cell that is broken off goes on
from its last epoch, and a notebook on the same study finds trainings, scores and dissections done.
"""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from ..cache import Entry, cached, entry_path, read
from ..datasets import SaliencyDataset
from ..dissection import best_of, contributions_cached, map_parts, mean_of
from ..dissection.result import Dissection
from ..dissection.trainings import Statistic, above
from ..evaluation import DEFAULT_METRICS, evaluate
from ..models import Encoder, SaliencyModel, Training, tasks
from ..registry import Registry
from ..sources import code_of
from ..study import ARRAY_METRICS, Study

PRETRAINED = "pre-trained"
FROZEN = ("frozen", "frozen, one layer")
FINE_TUNED = ("fine-tuned", "fine-tuned, one layer")
TASKS = tuple(task.name for task in tasks.all_tasks() if task != tasks.Saliency())
NETWORKS = (PRETRAINED, *FROZEN, *FINE_TUNED, *TASKS)
"""What a cell may be about: the encoder as it comes, a readout, or what it is fine-tuned for."""
KEPT = "cell"  # kind of cache entry
TOLD = ["measure", "layer", "category"]


class Measured(NamedTuple):
    """What there is to measure of: `model` is None for an encoder as it comes."""

    study: Study
    model: Any
    encoder: Encoder
    validated: SaliencyDataset
    unseen: SaliencyDataset


Row = tuple[str, str, str, float, int]
"""measure, layer, category, value, and on how many images."""
MEASURES: Registry[Callable[[Measured], list[Row]]] = Registry("measure")
"""What is measured of a cell's network, if it is one that can be asked."""
OF_REGIONS = ("map", "units")


@MEASURES.register("scores")
def scores(of: Measured) -> list[Row]:
    """Every metric, mean over the images that the training is validated on."""
    return _scores(of, of.validated, DEFAULT_METRICS)


@MEASURES.register("arrays")
def arrays(of: Measured) -> list[Row]:
    """The metrics of search arrays."""
    return _scores(of, of.study.arrays(), ARRAY_METRICS)


def _scores(of: Measured, data: SaliencyDataset, metrics: Sequence[str]) -> list[Row]:
    if not isinstance(of.model, SaliencyModel):
        return []
    maps = of.study.network_maps({"": of.model}, data)
    found = evaluate(maps, data, metrics, of.study.centre).scores.groupby("metric")["value"]
    return [(m, "", "", found.mean()[m], int(found.count()[m])) for m in metrics]


@MEASURES.register("map")
def region_nss_of_map(of: Measured) -> list[Row]:
    """Region NSS of the map, and its parts from the layers read, by category."""
    if not isinstance(of.model, SaliencyModel):
        return []
    found = map_parts(contributions_cached(of.model, of.unseen, size=of.study.size))
    return _by_category(found, "region NSS", mean_of)


@MEASURES.register("units")
def best_units(of: Measured) -> list[Row]:
    """Mean region NSS of the ten best units, and how many exceed 1.5, by layer and category.

    The best are chosen and scored on different images, as in notebook 03.
    """
    found = of.study.dissect(of.encoder, of.unseen, p_values=False)
    return _by_category(found, "best units", best_of) + _by_category(found, "units above", above)


def _by_category(
    found: Dissection, measure: str, of_layer: Callable[[str], Statistic]
) -> list[Row]:
    """Tell a number of each layer, for each category that was looked at; NaN if on few images."""
    seen = found.regions.query("fixations > 0").groupby("category")["image"].nunique()
    own = torch.empty(0, found.regions["image"].nunique())  # no weights: as the images are
    return [
        (measure, layer, category, value, int(seen[category]))
        for layer in found.layers
        for category, value in zip(
            found.categories, of_layer(layer)(found, own)[0].tolist(), strict=True
        )
        if category in seen
    ]


@dataclass(frozen=True)
class Cell:
    """A network of a study, number `number` of its trainings, and what is measured of it.

    changes: of the profile's settings, lists as tuples.
    """

    profile: str
    changes: tuple[tuple[str, Any], ...]
    network: str
    number: int = 0
    measures: tuple[str, ...] = tuple(MEASURES)

    def __str__(self) -> str:
        of = "" if self.training is None else f" {self.number + 1}"
        return f"{self.row}: {self.network}{of}"

    def __reduce__(self) -> tuple:
        told = self.profile, self.changes, self.network, self.number, self.measures
        return Cell, told  # a process that it is sent to makes the study itself

    @property
    def row(self) -> str:
        """The study as `Study.from_row` reads it, which notebook 10 asks of several."""
        told = (value if isinstance(value, str) else _json(value) for _, value in self.changes)
        pairs = zip((name for name, _ in self.changes), told, strict=True)
        return " ".join([self.profile, *(f"{name}={value}" for name, value in pairs)])

    @property
    def study(self) -> Study:
        """The study, made once in a process."""
        return _study(self.profile, self.changes)

    @cached_property
    def training(self) -> Training | None:
        """What is to be trained, if anything is."""
        study, k = self.study, self.number
        if self.network == PRETRAINED:
            return None
        if self.network in TASKS:
            return [t for t in study.asked_beside() if t.task.name == self.network][k]
        read = study.pretrained.layers[-1:] if self.network.endswith("one layer") else None
        return study.asked(self.network in FROZEN, read, count=k + 1)[k]

    @property
    def images(self) -> tuple[SaliencyDataset, SaliencyDataset]:
        """Return the images that it is validated on, and those that units and maps are told of."""
        if self.network == PRETRAINED:
            return self.study.annotated, self.study.annotated
        return self.study.parts(0 if self.network in TASKS else self.number)[1:]

    @cached_property
    def key(self) -> dict[str, object]:
        """All that what is measured depends on."""
        study, network = self.study, self.training
        return {
            "code": code_of(Cell, Study, *(MEASURES[name] for name in self.measures)),
            "network": network.key if network else study.pretrained.fingerprint,
            "images": [images.fingerprint for images in self.images],
            "train": study.train.fingerprint,  # of which the centre prior is made
            "arrays": study.arrays().fingerprint if "arrays" in self.measures else None,
            "measures": self.measures,
            "layers": study.dissected,
            "size": study.size,
        }

    @property
    def path(self) -> Path:
        """Where the cache keeps it."""
        return entry_path(KEPT, self.key)

    @property
    def name(self) -> str:
        """Digest of its key."""
        return self.path.stem

    @property
    def is_kept(self) -> bool:
        """Whether all is done."""
        return self.path.exists()

    @property
    def begun(self) -> list[dict[str, float]]:
        """The learning curve of its training so far: a row an epoch, with its seconds."""
        if self.training is None:
            return []
        place = entry_path("training", self.training.key)
        for path in (place, place.with_suffix(".partial")):  # as `models.train` names them
            with suppress(OSError, ValueError):  # not there, or of no use
                return read(path).meta["curve"]
        return []

    def check(self) -> None:
        """Raise ValueError or UnknownNameError for what can't be asked, before anything is."""
        study = self.study
        study.pretrained.checked([*study.read, *study.layers, study.layer])
        if self.network in TASKS and "scenes" in self.network and len(study.train.scenes) < 2:
            raise ValueError(
                f"{self.row}: {study.train.name!r} knows no scene classes, so that no network can "
                f"be taught {self.network!r}. Leave it out, or these data."
            )
        asked = [name for name in OF_REGIONS if name in self.measures]
        if asked and not study.annotated.categories:
            raise ValueError(
                f"{self.row}: {study.annotated.name!r} has no annotated regions, which "
                f"{' and '.join(asked)} are measured in. Say other `measures`, such as [scores]."
            )

    def run(self) -> Entry:
        """Train and measure in this process, in one thread, unless it is kept."""
        torch.set_num_threads(1)
        return cached(KEPT, self.key, self._compute)

    def _compute(self) -> Entry:
        began, rows, seconds = time.perf_counter(), [], 0.0
        model, encoder = None, self.study.pretrained
        if self.training is not None:
            model, curve = self.training.run()
            encoder, last = model.encoder, curve.iloc[-1]
            measure = f"validation {self.training.task.measure}"
            rows += [(measure, "", "", last.get("validation", np.nan), len(self.images[0]))]
            seconds, began = float(curve["seconds"].sum()), time.perf_counter()
        of = Measured(self.study, model, encoder, *self.images)
        rows += [row for name in self.measures for row in MEASURES[name](of)]
        table = pd.DataFrame(rows, columns=[*TOLD, "value", "on_images"])
        tensors = {
            "value": torch.tensor(table["value"].to_numpy(np.float64)),
            "on_images": torch.tensor(table["on_images"].to_numpy(np.int64)),
        }
        seconds += time.perf_counter() - began
        return Entry(tensors, {"rows": table[TOLD].to_numpy().tolist(), "seconds": seconds})

    def table(self) -> pd.DataFrame:
        """Return what is kept: what it is of, then measure, layer, category, value, on_images."""
        entry = self.run()
        found = pd.DataFrame(entry.meta["rows"], columns=TOLD)
        numbers = {name: entry.tensors[name].numpy() for name in ("value", "on_images")}
        about = {"profile": self.profile, **{k: _plain(v) for k, v in self.changes}}
        taught = self.training  # missing, where nothing is
        drawn = {
            "training": taught and self.number + 1,
            "from_seed": taught and taught.settings.seed,
        }
        found = found.assign(**numbers, **about, network=self.network, **drawn)
        return found.astype(dict.fromkeys(drawn, "Int64"))


@cache
def _study(profile: str, changes: tuple[tuple[str, Any], ...]) -> Study:
    return Study.from_profile(
        profile, **{k: list(v) if isinstance(v, tuple) else v for k, v in changes}
    )


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _plain(value: object) -> object:
    return _json(value) if isinstance(value, tuple) else value
