"""Training a saliency model: −NSS, encoder frozen or fine-tuned, resumable, cached.

The loss is the paper's, −NSS of the upsampled map at the fixated pixels (He et al. 2019, 3.1),
computed exactly on the map before upsampling (see `metrics.bilinear`).
"""

import copy
import math
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pandas as pd
import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from tqdm.auto import tqdm

from ..cache import Entry, cached, code_version, entry_path, read, write
from ..datasets import SaliencyDataset
from ..metrics.bilinear import nss_upsampled, pull_back
from .encoders import Encoder
from .saliency import SaliencyModel
from .stimuli import device_of, features, stimuli, to_float

CODE = (
    "models/encoders.py",
    "models/saliency.py",
    "models/stimuli.py",
    "metrics/bilinear.py",
    "datasets/types.py",
)


@dataclass(frozen=True)
class Settings:
    """How to train. `size` is the input (height, width); learning rates follow one cycle up and
    down; `frozen` trains the readout alone, on features computed once; `flip` mirrors half of the
    images while fine-tuning; `bfloat16` runs the encoder in that precision where the processor
    has it (three times as fast there), while the readout and the loss stay in float32.
    """

    size: tuple[int, int] = (300, 400)
    frozen: bool = False
    epochs: int = 8
    batch: int = 8
    lr: float = 1e-3
    lr_encoder: float = 1e-4
    weight_decay: float = 1e-4
    flip: bool = True
    bfloat16: bool = True
    seed: int = 0


def fixation_targets(
    data: SaliencyDataset, size: tuple[int, int], grid: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Return fixations pulled back to the readout's grid (N, h, w), and their numbers (N,).

    Fixations are brought from each image's own size to `size` first.
    """
    x, y, owner = [], [], []
    for i, old in enumerate(stimuli(data, size).meta["sizes"]):
        seen = data.fixations(i).inside(*old, name=data.names[i]).scaled(tuple(old), size)
        x.append(seen.x.clamp(max=size[1] - 1e-6))
        y.append(seen.y.clamp(max=size[0] - 1e-6))
        owner.append(torch.full((len(seen),), i))
    x, y, owner = torch.cat(x), torch.cat(y), torch.cat(owner)
    pulled = pull_back(x, y, torch.ones(len(x)), owner, len(data), size, grid)
    return pulled, torch.bincount(owner, minlength=len(data)).float()


def one_cycle(done: float, rise: float = 0.2) -> float:
    """Share of the peak learning rate after the share `done` of training: a rise, then a cosine."""
    if done < rise:
        return 0.04 + 0.96 * done / rise
    return 0.5 * (1 + math.cos(math.pi * (done - rise) / (1 - rise)))


class Trainer:
    """One training run, an epoch at a time; `state` and `resume` make it survive a kill."""

    def __init__(
        self,
        encoder: Encoder,
        data: SaliencyDataset,
        validation: SaliencyDataset | None,
        layer: str | Sequence[str] | None,
        settings: Settings,
    ):
        self.settings = settings
        self.device = device_of()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.model = SaliencyModel(encoder, layer)
        self.model.to(self.device, memory_format=torch.channels_last)
        self.inputs = self.prepare(data)
        grid = self.coarse(self.batch(self.inputs, torch.tensor([0])))[0].shape
        self.pulled, self.count = fixation_targets(data, settings.size, tuple(grid))
        self.validation = None
        if validation is not None and len(validation):
            targets = fixation_targets(validation, settings.size, tuple(grid))
            self.validation = (self.prepare(validation), *targets)
        self.epoch, self.curve = 0, []
        groups = [{"params": list(self.model.readouts.parameters()), "lr": settings.lr}]
        if not settings.frozen:
            groups.append({"params": list(encoder.parameters()), "lr": settings.lr_encoder})
        self.optimiser = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
        seen = (self.count > 0).nonzero()[:, 0]  # an image nobody looked at teaches nothing
        if not len(seen):
            raise ValueError(f"{data!r} holds no fixations: there is nothing to learn from.")
        self.seen = seen
        self.peaks = [group["lr"] for group in groups]

    def prepare(self, data: SaliencyDataset) -> dict[str, Tensor]:
        """Return what the trainable part eats: frozen features by layer, or images."""
        if self.settings.frozen:
            return features(self.model.encoder, data, self.model.layers, self.settings.size).tensors
        return {"images": stimuli(data, self.settings.size).tensors["images"]}

    def batch(self, inputs: Mapping[str, Tensor], chosen: Tensor) -> dict[str, Tensor]:
        """Take the chosen rows to the device."""
        return {k: v[chosen].to(self.device) for k, v in inputs.items()}

    def coarse(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the model's map before upsampling (B, h, w), float32."""
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
        shuffled = self.seen[torch.randperm(len(self.seen), generator=order)]
        self.set_mode(train=True)
        total = 0.0
        batches = shuffled.split(self.settings.batch)
        name = f"{'readout' if self.settings.frozen else 'fine-tuning'} {self.model.encoder.name}"
        for step, chosen in enumerate(
            tqdm(batches, desc=f"{name}, epoch {self.epoch + 1}", leave=False)
        ):
            done = (self.epoch + step / len(batches)) / self.settings.epochs
            for group, peak in zip(self.optimiser.param_groups, self.peaks, strict=True):
                group["lr"] = peak * one_cycle(done)
            inputs, pulled = self.batch(self.inputs, chosen), self.pulled[chosen].to(self.device)
            if self.settings.flip and not self.settings.frozen:
                mirror = torch.rand(len(chosen), generator=order) < 0.5
                inputs["images"][mirror] = inputs["images"][mirror].flip(-1)
                pulled[mirror] = pulled[mirror].flip(-1)  # bilinear upsampling is mirror-symmetric
            loss = -self.score(inputs, pulled, self.count[chosen]).mean()
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            total -= loss.item() * len(chosen)
        self.epoch += 1
        row = {"epoch": self.epoch, "train": total / len(shuffled)}
        if self.validation is not None:
            row["validation"] = self.validate()
        self.curve.append({**row, "seconds": time.perf_counter() - began})

    def score(self, inputs: Mapping[str, Tensor], pulled: Tensor, count: Tensor) -> Tensor:
        """Return NSS (B,) at `settings.size`."""
        maps = self.coarse(inputs)
        return nss_upsampled(maps, pulled, count.to(self.device), self.settings.size)

    @torch.inference_mode()
    def validate(self) -> float:
        """Return the mean NSS over the validation images that anybody looked at."""
        self.set_mode(train=False)
        inputs, pulled, count = self.validation
        rows = torch.arange(len(count)).split(16)
        scores = [
            self.score(self.batch(inputs, r), pulled[r].to(self.device), count[r]) for r in rows
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


def train(
    encoder: Encoder,
    data: SaliencyDataset,
    validation: SaliencyDataset | None = None,
    layer: str | Sequence[str] | None = None,
    settings: Settings | None = None,
) -> tuple[SaliencyModel, pd.DataFrame]:
    """Train a readout of `layer` (and, unless frozen, a copy of the encoder) on `data`.

    Returns the model in evaluation mode, and the learning curve: epoch, NSS on the training
    images (as seen while learning) and on `validation`, seconds. Deterministic by `settings.seed`;
    cached by content; a killed run goes on from its last whole epoch. The validation images decide
    nothing: the last epoch's weights are returned.
    """
    settings = settings or Settings()
    layers = [layer] if isinstance(layer, str) else list(layer or encoder.layers[-1:])
    key = {
        "code": code_version("models/training.py", *CODE),
        "encoder": encoder.fingerprint,
        "data": data.fingerprint,
        "validation": validation.fingerprint if validation is not None else None,
        "layers": layers,
        "settings": asdict(settings),
    }
    partial = entry_path("training", key).with_suffix(".partial")

    def compute() -> Entry:
        trainer = Trainer(copy.deepcopy(encoder), data, validation, layers, settings)
        if partial.exists():
            try:
                trainer.resume(read(partial))
            except (ValueError, KeyError, RuntimeError) as error:
                warnings.warn(f"{partial} is of no use ({error}); training anew.", stacklevel=2)
        while trainer.epoch < settings.epochs:
            trainer.run_epoch()
            write(partial, trainer.state())
        about = {"encoder": encoder.name, "layers": layers, "curve": trainer.curve}
        return Entry(trainer.model.state_dict(), about)

    entry = cached("training", key, compute)
    partial.unlink(missing_ok=True)
    return SaliencyModel.from_entry(entry), pd.DataFrame(entry.meta["curve"])
