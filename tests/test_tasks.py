"""Other tasks than saliency, on the same images and in the same way."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy

from saliencykit.analyses.task_or_domain.tables import learning
from saliencykit.metrics.upsampling import nss_upsampled
from saliencykit.models import Classifier, SaliencyModel, Settings, build_encoder, train, training
from saliencykit.models.precision import exact
from saliencykit.models.stimuli import device_of, stimuli, to_float
from saliencykit.models.tasks import UNKNOWN, Rotations, Saliency, Scenes, all_tasks, centred_square
from saliencykit.study import Trained
from tests.conftest import Blobs

SMALL = {"size": (48, 64), "epochs": 3, "batch": 4, "lr": 0.02, "lr_encoder": 0.002}
TUNED = Settings(**SMALL)
TASKS = [Scenes(), Scenes(shuffled=True), Rotations()]


class Nights(Blobs):
    """Blobs by day, or the same in the dark."""

    scenes = ("day", "night", "never")

    def image(self, i):
        return super().image(i) // (3 if self.scene(i) == "night" else 1)

    def scene(self, i):
        if self.names[i] == "b05":
            return None
        return "day" if sum(self.spots[self.names[i]]) % 2 else "night"


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return build_encoder("toyvgg", None)


def test_classifier_reads_averages_of_its_layers(encoder):
    model = Classifier(encoder, ["conv3_3", "conv5_3"], 5).eval()
    images = torch.rand(2, 3, 48, 64)
    seen = encoder.activations(images, model.layers)
    averages = torch.cat([seen["conv3_3"].mean((2, 3)), seen["conv5_3"].mean((2, 3))], 1)
    by_hand = averages @ model.readouts.weight.T + model.readouts.bias
    torch.testing.assert_close(model(images), by_hand)
    assert model(images[..., :40, :40]).shape == (2, 5)  # whatever the size


def test_training_for_saliency_is_what_it_was(encoder, monkeypatch, tmp_path):
    """The loop as it stood before there were tasks, written out: the same weights, bit by bit."""
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path))
    data = Blobs(16).split("train")
    model, curve = train(encoder, data, settings=TUNED)

    torch.manual_seed(0)
    plain = SaliencyModel(build_encoder("toyvgg", None))
    with torch.random.fork_rng():
        torch.manual_seed(TUNED.seed)
        plain = SaliencyModel(plain.encoder).to(memory_format=torch.channels_last)
    plain.to(place := device_of())
    images = stimuli(data, TUNED.size).tensors["images"]
    targets, _ = Saliency().targets(data, TUNED.size, torch.Size([3, 4]))
    parts = [(plain.readouts, TUNED.lr), (plain.encoder, TUNED.lr_encoder)]
    groups = [{"params": list(part.parameters()), "lr": lr} for part, lr in parts]
    optimiser = torch.optim.AdamW(groups, weight_decay=TUNED.weight_decay)
    trainer = training.Trainer(encoder, data, None, ["conv5_3"], TUNED, Saliency())
    for epoch in range(TUNED.epochs):
        scores = 0.0
        order = torch.Generator().manual_seed(TUNED.seed * 100_003 + epoch)
        batches = (targets["count"] > 0).nonzero()[:, 0]
        batches = batches[torch.randperm(len(batches), generator=order)].split(TUNED.batch)
        for step, chosen in enumerate(batches):
            rate = training.one_cycle((epoch + step / len(batches)) / TUNED.epochs)
            for group, (_, peak) in zip(optimiser.param_groups, parts, strict=True):
                group["lr"] = peak * rate
            shown, pulled = images[chosen].to(place), targets["pulled"][chosen].to(place)
            mirror = torch.rand(len(chosen), generator=order) < 0.5
            shown[mirror], pulled[mirror] = shown[mirror].flip(-1), pulled[mirror].flip(-1)
            with torch.autocast(place.type, torch.bfloat16, enabled=trainer.reduced):
                seen = plain.encoder.activations(to_float(shown), plain.layers)
            maps = plain.read({k: v.float() for k, v in seen.items()})
            counts = targets["count"][chosen].to(place)
            loss = -nss_upsampled(maps, pulled, counts, TUNED.size).mean()
            optimiser.zero_grad()
            with exact():
                loss.backward()
            optimiser.step()
            scores -= loss.item() * len(chosen)
        assert scores / len(data) == curve["train"][epoch]
    assert plain.fingerprint == model.fingerprint


def trained(*curves):
    """What `Study.taught` is, of learning curves by task, a training each."""
    return {t: [Trained(None, one[t], k, None) for k, one in enumerate(curves)] for t in curves[0]}


def test_scenes_are_learned_and_their_shuffled_labels_are_not(encoder, monkeypatch, tmp_path):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path))
    data, settings = Nights(64, (32, 40)), Settings(**SMALL | {"size": (32, 40), "epochs": 8})
    parts = data.split("train"), data.split("val")
    # An untrained network's deep layers hardly respond, so shallow ones are read.
    layers = ["conv1_2", "conv2_2"]
    curves = {t.name: train(encoder, *parts, layers, settings, t)[1] for t in TASKS[:2]}
    table = learning(TASKS[:2], trained(curves), parts[1]).groupby("task").last()
    assert table.loc["scenes", "value"] > 0.9
    assert table.loc["scenes", "low"] > table.loc["scenes", "chance"]
    shuffled = table.loc["shuffled scenes"]
    assert shuffled["low"] < shuffled["chance"] < 0.7


@pytest.mark.parametrize("task", TASKS, ids=lambda t: t.name)
def test_killed_training_goes_on_to_the_same_weights(encoder, task, monkeypatch, tmp_path):
    data = Nights(16)
    parts = data.split("train"), data.split("val"), "conv2_2", TUNED, task
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "whole"))
    whole, whole_curve = train(encoder, *parts)
    assert isinstance(whole, Classifier)
    assert whole.encoder.fingerprint != encoder.fingerprint

    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "killed"))
    run_epoch, ran = training.Trainer.run_epoch, []

    def killed_in_the_second(trainer):
        ran.append(trainer.epoch)
        if len(ran) == 2:
            raise KeyboardInterrupt
        run_epoch(trainer)

    monkeypatch.setattr(training, "DEAR", -1)
    monkeypatch.setattr(training.Trainer, "run_epoch", killed_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        train(encoder, *parts)
    resumed, curve = train(encoder, *parts)
    assert ran == [0, 1, 1, 2]
    assert resumed.fingerprint == whole.fingerprint
    pd.testing.assert_frame_equal(
        curve.drop(columns="seconds"), whole_curve.drop(columns="seconds")
    )
    again, _ = train(encoder, *parts)  # from the cache
    assert len(ran) == 4
    assert again.fingerprint == whole.fingerprint


def test_tasks_do_not_share_results(encoder):
    """Same images, same settings: four networks, and as many entries in the cache."""
    data = Nights(12).split("train")
    settings = Settings(**SMALL | {"epochs": 1})
    found = [train(encoder, data, None, "conv2_2", settings, t)[0] for t in all_tasks()]
    assert len({model.encoder.fingerprint for model in found}) == 4
    assert [type(model) for model in found] == [SaliencyModel, *[Classifier] * 3]
    keys = [task.key for task in [*all_tasks(0), *all_tasks(1)]]
    assert len({str(key) for key in keys}) == 6  # a seed changes the two that draw


def test_shuffling_keeps_how_often_each_scene_occurs():
    data = Nights(40)
    true, dealt = (Scenes(shuffled=s).labels(data) for s in (False, True))
    assert true[5] == dealt[5] == UNKNOWN
    assert not torch.equal(true, dealt)
    assert true.sort().values.tolist() == dealt.sort().values.tolist()
    assert torch.equal(dealt, Scenes(shuffled=True).labels(data))
    assert not torch.equal(dealt, Scenes(shuffled=True, seed=1).labels(data))


def test_chance_is_the_commonest_class_of_the_labelled_images():
    data = Nights(40)
    scenes = [data.scene(i) for i in range(40)]
    most = max(scenes.count("day"), scenes.count("night"))
    assert Scenes().chance(data) == (pytest.approx(most / 39), 39)
    assert Rotations().chance(data) == (0.25, 40)


def test_images_without_a_label_count_nowhere():
    answers = torch.tensor([[2.0, 0, 0], [0, 1, 0], [9, 0, 0]])
    label = torch.tensor([0, 0, UNKNOWN])
    loss, score = Scenes().judge(answers, {"label": label}, (1, 1))
    assert loss == cross_entropy(answers[:2], label[:2])
    assert score[:2].tolist() == [1, 0]
    assert score[2].isnan()


def test_rotations_are_quarter_turns_of_the_centred_square():
    images = torch.randint(0, 256, (5, 3, 6, 9), dtype=torch.uint8)
    before = images.clone()
    targets = {"label": torch.tensor([0, 1, 2, 3, 1])}
    shown = Rotations().shown(images, targets, None)
    assert shown.shape == (5, 3, 6, 6)
    for k, turns in enumerate(targets["label"].tolist()):
        square = images[k, :, :, 1:7].numpy()
        assert np.array_equal(shown[k].numpy(), np.rot90(square, turns, (1, 2)))
    assert torch.equal(images, before)
    assert torch.equal(centred_square(images.mT), centred_square(images).mT)


def test_rotations_are_drawn_anew_while_training():
    images = torch.rand(64, 1, 4, 4)
    order, seen = torch.Generator().manual_seed(0), []
    for _ in range(2):
        targets = {"label": torch.zeros(64, dtype=torch.long)}
        shown = Rotations().shown(images, targets, order)
        seen.append(targets["label"])
        assert torch.equal(shown, Rotations().shown(images, targets, None))
    assert not torch.equal(*seen)
    assert set(seen[0].tolist()) == {0, 1, 2, 3}


def test_what_cannot_be_learned_is_said(encoder):
    data = Nights(12)
    with pytest.raises(ValueError, match=r"rotations.*frozen=False"):
        train(encoder, data, settings=Settings(frozen=True, **SMALL), task=Rotations())
    nameless = data.subset(["b05"])
    with pytest.raises(ValueError, match="no targets for scenes: nothing to learn from"):
        train(encoder, nameless, settings=TUNED, task=Scenes())
    data.scenes = ()
    with pytest.raises(ValueError, match="no scene classes"):
        train(encoder, data, settings=TUNED, task=Scenes())


def test_a_frozen_readout_of_scenes_is_a_linear_probe(encoder):
    data, settings = Nights(24), Settings(frozen=True, **SMALL)
    model, curve = train(encoder, data.split("train"), data.split("val"), None, settings, Scenes())
    assert model.encoder.fingerprint == encoder.fingerprint
    assert curve["train"].between(0, 1).all()


def test_learning_table_has_one_row_an_epoch():
    curve = pd.DataFrame({"epoch": [1, 2], "train": [0.5, 0.9], "validation": [0.4, 0.6]})
    data = Nights(40)
    other = curve.assign(validation=[0.2, 0.8])
    taught = trained({"saliency": curve, "scenes": curve}, {"saliency": other, "scenes": other})
    table = learning([Saliency(), Scenes()], taught, data)
    assert table["task"].tolist() == ["saliency"] * 6 + ["scenes"] * 6
    assert table["training"].tolist() == (["1"] * 2 + ["2"] * 2 + ["mean"] * 2) * 2
    mean = table[table["training"] == "mean"]
    assert mean["value"].tolist() == pytest.approx([0.3, 0.7] * 2)
    assert mean["measure"].tolist() == ["NSS"] * 2 + ["accuracy"] * 2
    assert mean["chance"].iloc[0] == 0
    assert (mean["images"] == [40, 40, 39, 39]).all()
    assert table["low"].notna().tolist() == ([False] * 4 + [True] * 2) * 2
    # Of NSS Student's t of the two trainings alone; of accuracy images weigh as coin tosses.
    nss, accuracy = mean.iloc[0], mean.iloc[2]
    assert nss["high"] - nss["value"] == pytest.approx(12.706 * 0.1, rel=1e-3)
    assert accuracy["se_images"] == pytest.approx((0.3 * 0.7 / 39) ** 0.5, rel=0.1)
