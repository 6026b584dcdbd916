import os
import time
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from saliencykit import cache
from saliencykit.metrics.upsampling import pull_back
from saliencykit.models import (
    CentrePrior,
    SaliencyModel,
    Settings,
    build_encoder,
    features,
    stimuli,
    train,
    training,
)
from saliencykit.models.saliency import upsample
from saliencykit.models.tasks import Saliency
from saliencykit.registry import UnknownNameError
from tests.conftest import Blobs

SMALL = {"size": (48, 64), "epochs": 3, "batch": 4, "lr": 0.02, "lr_encoder": 0.002}
FROZEN = Settings(frozen=True, **SMALL)
TUNED = Settings(**SMALL)


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return build_encoder("toyvgg", None)


def test_a_layer_that_is_not_there_names_the_nearest(encoder):
    with pytest.raises(UnknownNameError, match=r"layer of toyvgg 'conv5_4'.*Did you mean 'conv5_"):
        SaliencyModel(encoder, ["conv4_3", "conv5_4"])


def test_model_is_the_paper_s(encoder):
    model = SaliencyModel(encoder).eval()
    images = torch.rand(2, 3, 48, 64)
    weight = model.readouts[0].weight
    assert weight.shape == (1, 96, 1, 1)
    assert model.readouts[0].bias is None
    by_hand = (encoder(images) * weight[0]).sum(1, keepdim=True)
    torch.testing.assert_close(model(images), upsample(by_hand, (48, 64))[:, 0])
    assert model(images, size=(33, 47)).shape == (2, 33, 47)


def test_several_layers_add_up(encoder):
    model = SaliencyModel(encoder, ["conv3_3", "conv5_3"]).eval()
    images = torch.rand(1, 3, 48, 64)
    seen = encoder.activations(images, model.layers)
    fine, deep = (r(seen[k]) for k, r in zip(model.layers, model.readouts, strict=True))
    torch.testing.assert_close(model.coarse(images), (fine + upsample(deep, fine.shape[-2:]))[:, 0])


def test_checkpoint_round_trip(encoder, tmp_path):
    model = SaliencyModel(encoder, "conv4_3").eval()
    model.save(tmp_path / "m.safetensors", trained_on="blobs")
    again = SaliencyModel.load(tmp_path / "m.safetensors")
    images = torch.rand(1, 3, 48, 64)
    torch.testing.assert_close(model(images), again(images))
    assert again.fingerprint == model.fingerprint
    with pytest.raises(FileNotFoundError, match=r"nothing\.safetensors"):
        SaliencyModel.load(tmp_path / "nothing.safetensors")
    (tmp_path / "m.safetensors").write_bytes(b"cut short")
    with pytest.raises(ValueError, match=r"m\.safetensors is damaged"):
        SaliencyModel.load(tmp_path / "m.safetensors")


@pytest.mark.parametrize("settings", [FROZEN, TUNED], ids=["frozen", "fine-tuned"])
def test_training_learns_and_repeats(encoder, settings, monkeypatch, tmp_path):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "a"))
    data = Blobs(24)
    model, curve = train(encoder, data.split("train"), data.split("val"), settings=settings)
    assert list(curve.columns) == ["epoch", "train", "validation", "seconds"]
    assert curve.train.iloc[-1] > curve.train.iloc[0]
    assert curve.validation.iloc[-1] > 0.2
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "b"))
    again, _ = train(encoder, data.split("train"), data.split("val"), settings=settings)
    assert again.fingerprint == model.fingerprint
    moved = model.encoder.fingerprint != encoder.fingerprint
    assert moved == (not settings.frozen)


def test_batch_norm_statistics_stay(encoder, blobs):
    model, _ = train(encoder, blobs.split("train"), settings=TUNED)
    pairs = zip(encoder.modules(), model.encoder.modules(), strict=True)
    norms = [(a, b) for a, b in pairs if isinstance(a, _BatchNorm)]
    assert len(norms) == 13
    for before, after in norms:
        assert torch.equal(before.running_mean, after.running_mean)
        assert torch.equal(before.running_var, after.running_var)


class Killed(BaseException):
    """Stands for a signal: nothing catches it."""


@pytest.mark.parametrize("settings", [FROZEN, TUNED], ids=["frozen", "fine-tuned"])
def test_killed_training_goes_on_to_the_same_weights(encoder, settings, monkeypatch, tmp_path):
    data = Blobs(16).split("train")
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "whole"))
    whole, whole_curve = train(encoder, data, settings=settings)

    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "killed"))
    run_epoch = training.Trainer.run_epoch
    ran = []

    def killed_in_the_third(trainer):
        ran.append(trainer.epoch)
        if len(ran) == 3:
            raise Killed
        run_epoch(trainer)

    monkeypatch.setattr(training, "DEAR", -1)
    monkeypatch.setattr(training.Trainer, "run_epoch", killed_in_the_third)
    with pytest.raises(Killed):
        train(encoder, data, settings=settings)
    resumed, curve = train(encoder, data, settings=settings)
    assert ran == [0, 1, 2, 2]  # the third epoch is the only one run again
    assert resumed.fingerprint == whole.fingerprint
    pd.testing.assert_frame_equal(
        curve.drop(columns="seconds"), whole_curve.drop(columns="seconds")
    )
    assert not list(tmp_path.rglob("*.partial"))


def test_what_is_sooner_done_again_is_not_written_down(encoder, monkeypatch, tmp_path):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path))
    written = []
    monkeypatch.setattr(training, "write", lambda path, state: written.append(state.meta["epoch"]))
    clock = iter([0.0, 3.0, 6.0, 6.0, 8.0, 10.0])  # the start, then after each epoch
    shown = SimpleNamespace(monotonic=lambda: next(clock), perf_counter=time.perf_counter)
    monkeypatch.setattr(training, "time", shown)
    settings = training.Settings(size=(48, 64), frozen=True, epochs=5)
    train(encoder, Blobs(8).split("train"), settings=settings)
    assert written == [2]


def test_loss_is_exact_nss_of_the_upsampled_map(encoder, blobs):
    trainer = training.Trainer(encoder, blobs, None, encoder.layers[-1:], TUNED, Saliency())
    with torch.no_grad():
        chosen = torch.tensor([0, 3])
        inputs = trainer.batch(trainer.inputs, chosen)
        trainer.set_mode(train=False)
        _, score = trainer.judge(inputs, trainer.batch(trainer.targets, chosen))
        full = upsample(trainer.answers(inputs)[:, None], (48, 64))[:, 0].cpu()
    for k, i in enumerate(chosen.tolist()):
        counts = blobs.fixations(i).count_map(48, 64)
        z = (full[k] - full[k].mean()) / full[k].std(correction=0)
        assert score[k].item() == pytest.approx(
            ((z * counts).sum() / counts.sum()).item(), abs=1e-4
        )


def test_mirroring_targets_equals_mirroring_fixations():
    x, y = torch.tensor([3.2, 40.0]), torch.tensor([7.7, 20.1])
    one, size, grid = torch.ones(2), (48, 64), (3, 4)
    owner = torch.zeros(2, dtype=torch.long)
    straight = pull_back(x, y, one, owner, 1, size, grid)
    mirrored = pull_back(63 - x.floor(), y, one, owner, 1, size, grid)
    torch.testing.assert_close(straight.flip(-1), mirrored)


def test_no_fixations_at_all_is_said(encoder):
    nobody = Blobs().subset(["b11"])
    with pytest.raises(ValueError, match="nothing to learn from"):
        train(encoder, nobody, settings=FROZEN)


def test_features_and_stimuli_are_computed_once(encoder, blobs, monkeypatch):
    first = features(encoder, blobs, ["conv5_3"], (48, 64)).tensors["conv5_3"]
    monkeypatch.setattr(Blobs, "image", lambda *_: pytest.fail("the image was read again"))
    monkeypatch.setattr(
        type(encoder), "activations", lambda *_: pytest.fail("features were computed again")
    )
    assert torch.equal(features(encoder, blobs, ["conv5_3"], (48, 64)).tensors["conv5_3"], first)
    assert stimuli(blobs, (48, 64)).tensors["images"].dtype == torch.uint8


def test_damaged_cache_entry_is_rebuilt_and_said(monkeypatch, tmp_path):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path))
    calls = []

    def compute():
        calls.append(1)
        return cache.Entry({"x": torch.arange(3)}, {"note": "ö"})

    cache.cached("demo", {"k": 1}, compute)
    path = cache.entry_path("demo", {"k": 1})
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.warns(UserWarning, match=f"{path.name} is damaged.*computed again"):
        entry = cache.cached("demo", {"k": 1}, compute)
    assert (entry.tensors["x"].tolist(), entry.meta, len(calls)) == ([0, 1, 2], {"note": "ö"}, 2)


def test_a_full_disk_loses_nothing(monkeypatch, tmp_path):
    path = tmp_path / "kept.safetensors"
    cache.write(path, cache.Entry({"x": torch.ones(2)}))

    def full(*args, **kwargs):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(cache, "save_file", full)
    with pytest.raises(OSError, match=r"kept\.safetensors.*No space left.*SALIENCYKIT_CACHE"):
        cache.write(path, cache.Entry({"x": torch.zeros(2)}))
    assert cache.read(path).tensors["x"].tolist() == [1, 1]
    assert os.listdir(tmp_path) == ["kept.safetensors"]


def test_centre_prior_is_fitted_in_relative_coordinates(blobs):
    prior = CentrePrior.fit(blobs)
    seen = [blobs.fixations(i).inside(48, 64) for i in range(len(blobs))]
    assert prior.x == pytest.approx(torch.cat([f.x for f in seen]).mean().item() / 64)
    assert prior.sd_y == pytest.approx(torch.cat([f.y for f in seen]).std().item() / 48)
    maps = prior(torch.zeros(2, 3, 30, 40))
    assert maps.shape == (2, 30, 40)
    peak = divmod(maps[0].argmax().item(), 40)
    assert peak == (int(prior.y * 30), int(prior.x * 40))
    with pytest.raises(ValueError, match="too few fixations"):
        CentrePrior.fit(blobs.subset(["b11"]))
