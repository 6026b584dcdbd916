"""Training for a task (see `tasks`): encoder frozen or fine-tuned, resumable, cached."""

import copy
import io
import math
import os
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property

import joblib
import pandas as pd
import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from tqdm.auto import tqdm

from ..cache import Entry, cached, entry_path, read, write
from ..datasets import SaliencyDataset
from ..settings import DEFAULTS
from ..sources import code_of
from .encoders import Tapped
from .precision import exact
from .saliency import Classifier, SaliencyModel
from .stimuli import device_of, features, stimuli, to_float
from .tasks import Saliency, Targets, Task


@dataclass(frozen=True)
class Settings:
    """How to train. `size` is the input (height, width); learning rates follow one cycle up and
    down; `frozen` trains the readout alone, on features computed once; `flip` mirrors half of the
    images while fine-tuning; `bfloat16` runs the encoder in that precision where the processor
    has it, while the readout and the loss stay in float32: a step of fine-tuning is then 2
    (with AMX 4) times as fast for vgg16, 1.6 for alexnet, 1.1 for mobilenet_v2 (`make bench`).
    """

    size: tuple[int, int] = tuple(DEFAULTS["size"])
    frozen: bool = False
    epochs: int = DEFAULTS["epochs"]
    batch: int = DEFAULTS["batch"]
    lr: float = 1e-3
    lr_encoder: float = DEFAULTS["lr_encoder"]
    weight_decay: float = 1e-4
    flip: bool = True
    bfloat16: bool = True
    seed: int = DEFAULTS["seed"]


def one_cycle(done: float, rise: float = 0.2) -> float:
    """Share of the peak learning rate after the share `done` of training: a rise, then a cosine."""
    if done < rise:
        return 0.04 + 0.96 * done / rise
    return 0.5 * (1 + math.cos(math.pi * (done - rise) / (1 - rise)))


DEAR = 5.0
"""Seconds of training that a kill may cost: less is sooner done again than written each time."""


class Trainer:
    """One training run, an epoch at a time; `state` and `resume` make it survive a kill."""

    def __init__(
        self,
        encoder: Tapped,
        data: SaliencyDataset,
        validation: SaliencyDataset | None,
        layers: list[str],
        settings: Settings,
        task: Task,
    ):
        if settings.frozen and task.alters:
            raise ValueError(
                f"The task {task.name!r} changes the images at every step, so it cannot be learned "
                "from features computed once: train with frozen=False."
            )
        self.settings, self.task = settings, task
        self.device = device_of()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.model = task.model(encoder, layers, data)
        self.model.to(self.device)
        if not settings.frozen:  # features computed once lie in memory as they were reduced
            self.model.to(memory_format=torch.channels_last)
        self.inputs = self.prepare(data)
        shape = self.answers(self.batch(self.inputs, torch.tensor([0])))[0].shape
        self.targets, taught = task.targets(data, settings.size, shape)
        self.validation = None
        if validation is not None and len(validation):
            targets, _ = task.targets(validation, settings.size, shape)
            self.validation = self.prepare(validation), targets
        self.epoch, self.curve = 0, []
        groups = [{"params": list(self.model.readouts.parameters()), "lr": settings.lr}]
        if not settings.frozen:
            groups.append({"params": list(encoder.parameters()), "lr": settings.lr_encoder})
        self.optimiser = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
        self.taught = taught.nonzero()[:, 0]  # an image nobody looked at teaches no saliency
        if not len(self.taught):
            raise ValueError(f"{data!r} has no targets for {task.name}: nothing to learn from.")
        self.peaks = [group["lr"] for group in groups]

    def prepare(self, data: SaliencyDataset) -> dict[str, Tensor]:
        """Return what the trainable part eats: frozen features by layer, or images."""
        if self.settings.frozen:
            return features(self.model.encoder, data, self.model.layers, self.settings.size).tensors
        return {"images": stimuli(data, self.settings.size).tensors["images"]}

    def batch(self, inputs: Mapping[str, Tensor], chosen: Tensor) -> dict[str, Tensor]:
        """Take the chosen rows to the device."""
        return {k: v[chosen].to(self.device) for k, v in inputs.items()}

    def answers(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return what the model reads off: maps before upsampling (B, h, w), or logits; float32."""
        if self.settings.frozen:
            return self.model.read({k: v.float() for k, v in inputs.items()})
        images = to_float(inputs["images"])
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.reduced):
            seen = self.model.encoder.activations(images, self.model.layers)
        return self.model.read({k: v.float() for k, v in seen.items()})

    @property
    def reduced(self) -> bool:
        """Whether bfloat16 is asked for and native here (emulated, it would be slower)."""
        native = self.device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
        return self.settings.bfloat16 and native

    def set_mode(self, train: bool) -> None:
        """Switch modes; batch-norm statistics stay: eight images are too few to estimate them."""
        self.model.train(train and not self.settings.frozen)
        for module in self.model.modules():
            if isinstance(module, _BatchNorm):
                module.eval()

    def run_epoch(self) -> None:
        """Train on every image once, in an order that depends on seed and epoch alone."""
        began = time.perf_counter()
        order = torch.Generator().manual_seed(self.settings.seed * 100_003 + self.epoch)
        shuffled = self.taught[torch.randperm(len(self.taught), generator=order)]
        self.set_mode(train=True)
        total = 0.0
        batches = shuffled.split(self.settings.batch)
        doing = "readout of" if self.settings.frozen else "fine-tuning"
        name = f"{doing} {self.model.encoder.name} for {self.task.name}"
        for step, chosen in enumerate(
            tqdm(batches, desc=f"{name}, epoch {self.epoch + 1}", leave=False)
        ):
            done = (self.epoch + step / len(batches)) / self.settings.epochs
            for group, peak in zip(self.optimiser.param_groups, self.peaks, strict=True):
                group["lr"] = peak * one_cycle(done)
            inputs, targets = (self.batch(part, chosen) for part in (self.inputs, self.targets))
            if self.settings.flip and not self.settings.frozen:
                mirror = torch.rand(len(chosen), generator=order) < 0.5
                inputs["images"][mirror] = inputs["images"][mirror].flip(-1)
                self.task.mirror(targets, mirror)
            loss, score = self.judge(inputs, targets, order)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            total += score.detach().mean().item() * len(chosen)
        if not math.isfinite(total):
            raise ValueError(
                f"{name} from seed {self.settings.seed} diverged in epoch {self.epoch + 1}: its "
                "loss is no number. Take a smaller learning rate (lr_encoder)."
            )
        self.epoch += 1
        row = {"epoch": self.epoch, "train": total / len(shuffled)}
        if self.validation is not None:
            row["validation"] = self.validate()
        self.curve.append({**row, "seconds": time.perf_counter() - began})

    def judge(
        self, inputs: dict[str, Tensor], targets: Targets, order: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the task's loss () and score (B,); `order`: while training."""
        if not self.settings.frozen:
            inputs = {"images": self.task.shown(inputs["images"], targets, order)}
        return self.task.judge(self.answers(inputs), targets, self.settings.size)

    @torch.inference_mode()
    def validate(self) -> float:
        """Return the mean score over the validation images that have a target."""
        self.set_mode(train=False)
        assert self.validation is not None
        inputs, targets = self.validation
        images = len(next(iter(inputs.values())))
        scores = [
            self.judge(self.batch(inputs, rows), self.batch(targets, rows))[1]
            for rows in torch.arange(images).split(16)
        ]
        return torch.cat(scores).nanmean().item()

    def state(self) -> Entry:
        """Return all that the rest of the run depends on."""
        moments = {
            f"optimiser.{i}.{name}": value
            for i, state in self.optimiser.state_dict()["state"].items()
            for name, value in state.items()
        }
        model = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        return Entry({**model, **moments}, {"epoch": self.epoch, "curve": self.curve})

    def resume(self, entry: Entry) -> None:
        """Go on from a `state`."""
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "optimiser": {}}
        for key, value in entry.tensors.items():
            part, name = key.split(".", 1)
            parts[part][name] = value
        self.model.load_state_dict(parts["model"])
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in parts["optimiser"].items():
            index, name = key.split(".", 1)
            moments.setdefault(int(index), {})[name] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})
        self.epoch, self.curve = entry.meta["epoch"], entry.meta["curve"]


@dataclass(frozen=True, eq=False)
class Training:
    """What is to be trained: see `train`, whose arguments these are."""

    encoder: Tapped
    data: SaliencyDataset
    validation: SaliencyDataset | None = None
    layer: str | Sequence[str] | None = None
    settings: Settings = field(default_factory=Settings)
    task: Task = field(default_factory=Saliency)

    @property
    def layers(self) -> list[str]:
        """The layers that the readout reads."""
        if isinstance(self.layer, str):
            return [self.layer]
        return list(self.layer or self.encoder.layers[-1:])

    @cached_property
    def key(self) -> dict[str, object]:
        """All that the outcome depends on."""
        validation = self.validation.fingerprint if self.validation is not None else None
        return {
            "code": code_of(train),
            "encoder": self.encoder.fingerprint,
            "data": self.data.fingerprint,
            "validation": validation,
            "layers": self.layers,
            "settings": asdict(self.settings),
            "task": self.task.key,
        }

    @property
    def is_kept(self) -> bool:
        """Whether it was trained before, and is in the cache."""
        return entry_path("training", self.key).exists()

    def run(self) -> tuple[SaliencyModel | Classifier, pd.DataFrame]:
        """Train, or read from the cache."""
        parts = self.encoder, self.data, self.validation, self.layer, self.settings, self.task
        return train(*parts)


@torch.inference_mode(False)  # what is built in that mode cannot be moved to a GPU and run there
def train_side_by_side(
    trainings: Sequence[Training], cores: int | None = None
) -> list[tuple[SaliencyModel | Classifier, pd.DataFrame]]:
    """Return what `train` does of each; those that are not kept yet are trained side by side.

    Each in a process of its own and in one thread, so that the number of `cores` (None: all that
    there are; on a GPU one) changes no digit; one bar shows how many are done. A training that
    fails leaves the others, which are kept; its error is raised at the end, naming its seed.
    """
    missing = [one for one in trainings if not one.is_kept]
    cores = 1 if torch.cuda.is_available() else cores or joblib.cpu_count()
    if len(missing) > 1 and cores > 1:
        for data, size in {(one.data, one.settings.size) for one in missing}:
            stimuli(data, size)  # read once, not by each process
        with joblib.parallel_config("loky", n_jobs=cores, inner_max_num_threads=1):
            work = joblib.Parallel(return_as="generator_unordered")(
                joblib.delayed(_in_a_process)(one, os.getpid(), dict(os.environ)) for one in missing
            )
            name = f"training {missing[0].encoder.name}"
            told = [error for error in tqdm(work, name, len(missing), leave=False) if error]
        if told:
            raise RuntimeError("\n".join(told))
    return [one.run() for one in trainings]


def _in_a_process(one: Training, parent: int, environment: Mapping[str, str]) -> str:
    """Train in this process, which ends when its parent does; return what went wrong, in words.

    Processes are used again: `environment` says where data and cache are now.
    """
    end_with(parent)
    os.environ.update(environment)
    try:
        with redirect_stderr(io.StringIO()):  # the bar that counts trainings is the parent's
            one.run()
    except Exception as error:
        return f"The training from seed {one.settings.seed} failed: {error}"
    return ""


def end_with(parent: int) -> None:
    """Let this process end as soon as it is no longer a child of process `parent`."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _in_one_thread() -> Iterator[None]:
    """Inside, torch uses one thread: more change the order of sums, which training amplifies."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train(
    encoder: Tapped,
    data: SaliencyDataset,
    validation: SaliencyDataset | None = None,
    layer: str | Sequence[str] | None = None,
    settings: Settings | None = None,
    task: Task | None = None,
) -> tuple[SaliencyModel | Classifier, pd.DataFrame]:
    """Train a readout of `layer` (and, unless frozen, a copy of the encoder) on `data`.

    task: what for; None: saliency. Returns the model in evaluation mode, and the learning curve:
    epoch, the task's score (NSS or accuracy) on the training images (as seen while learning) and
    on `validation`, seconds. Deterministic by `settings.seed`;
    cached by content; a killed run goes on from a whole epoch, `DEAR` seconds back and an epoch at
    most. The validation images decide nothing: the last epoch's weights are returned.
    """
    settings, task = settings or Settings(), task or Saliency()
    asked = Training(encoder, data, validation, layer, settings, task)
    layers, key = asked.layers, asked.key
    partial = entry_path("training", key).with_suffix(".partial")

    @_in_one_thread()
    @exact()
    def compute() -> Entry:
        trainer = Trainer(copy.deepcopy(encoder), data, validation, layers, settings, task)
        if partial.exists():
            try:
                trainer.resume(read(partial))
            except (ValueError, KeyError, RuntimeError) as error:
                warnings.warn(f"{partial} is of no use ({error}); training anew.", stacklevel=2)
        kept = time.monotonic()
        while trainer.epoch < settings.epochs:
            trainer.run_epoch()
            last = trainer.epoch == settings.epochs
            if not last and time.monotonic() - kept > DEAR:
                write(partial, trainer.state())
                kept = time.monotonic()
        about = {"encoder": encoder.name, "layers": layers, "curve": trainer.curve}
        return Entry(trainer.model.state_dict(), about)

    entry = cached("training", key, compute)
    with suppress(OSError):  # in a cache that may only be read nothing needs to go
        partial.unlink()
    return task.kind.from_entry(entry, encoder), pd.DataFrame(entry.meta["curve"])
