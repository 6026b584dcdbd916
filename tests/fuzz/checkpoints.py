"""Weights and checkpoints: of other networks, cut short, damaged, NaN, pickles that run code."""

import os
import pickle
import warnings
import zipfile

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from saliencykit import cache
from saliencykit.models import SaliencyModel, build_encoder

from .entries import DAMAGE
from .harness import cache_in


class Runs:
    """A pickle of it makes a file, once it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def network(seed=None, channels=4):
    """A network of two layers of units; `seed`: what its weights hang on."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed or 0)
        return nn.Sequential(
            nn.Conv2d(3, channels, 3),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, 5, 3),
        ).eval()


def model(encoder):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return SaliencyModel(encoder)


def save(state, path):
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)


def damaged(path, draw):
    data = bytearray(path.read_bytes())
    DAMAGE[str(draw.choice([*DAMAGE]))](data, draw)
    path.write_bytes(data)


def _whole(state, path, draw):
    save(state, path)


def _of_another(state, path, draw):
    save(network(5, int(draw.integers(5, 9))).state_dict(), path)


def _fewer(state, path, draw):
    gone = sorted(state)[draw.integers(len(state))]
    save({k: v for k, v in state.items() if k != gone or "num_batches" in k}, path)


def _no_numbers(state, path, draw):
    changed = {k: v.clone() for k, v in state.items()}
    name = str(draw.choice([k for k, v in state.items() if v.is_floating_point()]))
    numbers = changed[name].view(-1)
    numbers[int(draw.integers(len(numbers)))] = float(draw.choice([np.nan, np.inf, -np.inf]))
    save(changed, path)


def _prefixed(state, path, draw):
    save({f"module.{k}": v for k, v in state.items()}, path)


def _code(state, path, draw):
    held = {"state_dict": state, "args": Runs(path.with_name("ran"))}
    if draw.random() < 0.5:
        torch.save(held, path)
    else:
        path.write_bytes(pickle.dumps(held))


def _damaged(state, path, draw):
    torch.save(state, path)
    damaged(path, draw)


def _old_format(state, path, draw):
    torch.save(state, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[: int(draw.integers(path.stat().st_size))])


def _a_zip(state, path, draw):
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("../ran", "x")


def _noise(state, path, draw):
    path.write_bytes(draw.bytes(int(draw.integers(2000))))


def _checkpoint(state, path, draw):
    """A checkpoint of ours, given as weights."""
    model(encoder_of(state)).save(path)


def _damaged_checkpoint(state, path, draw):
    model(encoder_of(state)).save(path)
    damaged(path, draw)


def encoder_of(state):
    net = network()
    net.load_state_dict(state)
    return build_encoder(net)


# What may come of each as the weights of a network: True, that they are taken.
WEIGHTS = {
    "whole.pth": (_whole, True),
    "whole.safetensors": (_whole, True),
    "prefixed.pth": (_prefixed, True),
    "another.pth": (_of_another, False),
    "another.safetensors": (_of_another, False),
    "fewer.pth": (_fewer, None),  # counts of batches are no weights
    "nan.pth": (_no_numbers, False),
    "nan.safetensors": (_no_numbers, False),
    "code.pth": (_code, False),
    "damaged.pth": (_damaged, None),  # what fills up a file changes no weight
    "short.pth": (_old_format, None),
    "zip.pth": (_a_zip, False),
    "noise.pth": (_noise, False),
    "noise.safetensors": (_noise, False),
    "checkpoint.safetensors": (_checkpoint, True),
    "harmed.safetensors": (_damaged_checkpoint, None),
}


def _entry(path, **changes):
    """A checkpoint whose notes are not what they should be."""
    found = model(encoder_of(network(9).state_dict()))
    about = {"encoder": found.encoder.name, "by_name": False, "layers": found.layers, "notes": {}}
    cache.write(path, cache.Entry(found.state_dict(), {**about, **changes}))


ABOUT = [
    {"encoder": "no_such_network", "by_name": True},
    {"encoder": 3, "by_name": True},
    {"encoder": ["toyvgg"], "by_name": True},
    {"encoder": "squeezenet1_1", "by_name": True},  # of other shapes
    {"layers": ["no.such.layer"]},
    {"layers": 5},
    {"layers": {"a": 1}},
]


def inputs(seed, folder):
    """Return a file, its weights' truth, and whether they may be taken."""
    draw = np.random.default_rng(seed)
    state = network(int(draw.integers(1, 1000))).state_dict()
    if draw.random() < 0.2:
        about = ABOUT[draw.integers(len(ABOUT))]
        path = folder / ("named.safetensors" if "encoder" in about else "about.safetensors")
        _entry(path, **about)
        return path, state, False
    name = str(draw.choice([*WEIGHTS]))
    make, taken = WEIGHTS[name]
    make(state, folder / name, draw)
    return folder / name, state, taken


def judge(path, state, taken):
    """Load it, as weights or as a checkpoint: the truth to the last bit, or refused in words."""
    try:
        if path.stem in ("about", "named"):
            own = build_encoder(network()) if path.stem == "about" else None
            SaliencyModel.load(path, own)
            return "wrong"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = build_encoder(network(), path).net.state_dict()
    except (ValueError, FileNotFoundError) as error:
        return "traceback" if path.name not in str(error) else "wrong" if taken else "refused"
    finally:
        if (path.parent / "ran").exists():
            return "wrong"  # noqa: B012 (code ran: whatever else happened, this is told)
    equal = all(found[k].equal(v) for k, v in state.items() if "num_batches" not in k)
    return "wrong" if taken is False or not equal else "right"


def trial(seed, folder):
    """One input and how it went."""
    with cache_in(folder / "cache"):
        return judge(*inputs(seed, folder))
