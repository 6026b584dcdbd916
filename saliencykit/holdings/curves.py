"""Learning curves of trainings in the cache as events for TensorBoard.

They stand in the headers of entries, and of what is kept of trainings under way, so that training
knows nothing of this.
"""

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from . import Holding

LONG = 150  # characters of a run's name, but for its key
# What is raised by a text that tells no curve.
MISFITS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
Epoch = tuple[int, float, dict[str, float]]
"""Which, when it ended (seconds since 1970), and its numbers by name."""


def write_events(entries: Iterable[Holding], folder: Path, told: dict[Path, int]) -> int:
    """Write epochs of trainings that `folder` does not hold yet, a run a training; return how many.

    told: the last epoch that each run holds, as far as is known; it is brought up to date. Raises
    ImportError where TensorBoard is not installed.
    """
    return sum(_add(one, folder, told) for one in entries if one.kind == "training")


def _add(one: Holding, folder: Path, told: dict[Path, int]) -> int:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "Events for TensorBoard need tensorboard, which is not installed: "
            "pip install 'saliencykit[tensorboard]', or pip install tensorboard."
        ) from error
    run = folder / run_name(one)
    if run not in told:
        told[run] = _last(run)
    new = [epoch for epoch in _epochs(one) if epoch[0] > told[run]]
    if new:
        with SummaryWriter(str(run)) as writer:
            for epoch, when, numbers in new:
                for name, value in numbers.items():
                    writer.add_scalar(name, value, epoch, walltime=when)
        told[run] = new[-1][0]
    return len(new)


def run_name(one: Holding) -> str:
    """Call a run by what is trained on what, and its key: a name that leads to no other folder."""
    key: Mapping[str, Any] = one.made["key"] if one.made else {}
    chosen = key.get("settings")
    settings = chosen if isinstance(chosen, Mapping) else {}
    parts = [str(key.get(what, "")).strip("<>").partition(":")[0] for what in ("encoder", "data")]
    parts += _texts(key.get("layers")) + _texts(key.get("task"))[:1]
    parts += ["frozen"] if settings.get("frozen") else []
    parts += [f"seed {settings['seed']}"] if "seed" in settings else []
    words = re.sub(r"[^\w.+@-]+", "_", " ".join(filter(None, parts)))[:LONG]
    return "_".join(filter(None, [words, one.path.stem]))


def _texts(value: object) -> list[str]:
    return list(map(str, value)) if isinstance(value, list) else []


def _last(run: Path) -> int:
    """Return the last epoch that a run holds; 0 if it is not there."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    if not run.is_dir():
        return 0
    held = EventAccumulator(str(run)).Reload()
    steps = (event.step for tag in held.Tags()["scalars"] for event in held.Scalars(tag))
    return max(steps, default=0)


def _epochs(one: Holding) -> list[Epoch]:
    """Return a training's epochs so far; none where none are told, or what told them has gone."""
    found, when = [], one.when.timestamp()
    with suppress(OSError, SafetensorError, *MISFITS):
        with safe_open(one.path, framework="pt") as file:
            curve = json.loads(file.metadata()["meta"])["curve"]
        for row in reversed(curve):
            numbers = {name: float(value) for name, value in row.items() if name != "epoch"}
            began = when - numbers["seconds"]
            found.append((int(row["epoch"]), when, numbers))
            when = began
    return found[::-1]
