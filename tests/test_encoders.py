import itertools
import subprocess
import sys
from contextlib import nullcontext

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from saliencykit.cache import read
from saliencykit.datasets import toyworld
from saliencykit.models import build_encoder, dry_run, encoder_names, encoders, folding, toyvgg
from saliencykit.models.encoders import ENCODERS, Encoder
from saliencykit.registry import UnknownNameError

# One of each family torchvision has; the whole list would take minutes.
FAMILIES = [
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "maxvit_t",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
    "swin_v2_t",
    "vit_b_32",
    "toyvgg",
]
HEAVY = ("convnext_tiny", "maxvit_t", "swin_v2_t", "vit_b_32")  # a second each


def hooks_left(encoder):
    return sum(len(m._forward_hooks) for m in encoder.modules())


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in HEAVY else []) for n in FAMILIES]
)
def test_layers_say_what_the_taps_return(name):
    encoder = build_encoder(name, None)
    assert len(encoder.layers) >= 4
    seen = encoder.activations(torch.rand(1, 3, 224, 224))
    assert list(seen) == encoder.layers
    for layer, activation in seen.items():
        assert activation.shape[:2] == (1, encoder.channels[layer])
        assert round(224 / activation.shape[2]) == encoder.strides[layer]
    assert hooks_left(encoder) == 0


def test_vgg16_is_named_and_tapped_as_in_the_paper():
    encoder = build_encoder("vgg16", None)
    per_block = {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}
    assert encoder.layers == [f"conv{b}_{i}" for b, n in per_block.items() for i in range(1, n + 1)]
    assert encoder.strides["conv5_3"] == 16  # no pooling after it
    image = torch.rand(1, 3, 64, 64)
    tapped = encoder.activations(image, ["conv5_3", "conv1_1"])
    normalised = encoder.normalise(image)
    # Not in place here, so this is the truth that an unguarded tap would lose.
    reference = normalised
    for module in encoder.net.features[:30]:
        reference = torch.relu(reference) if isinstance(module, nn.ReLU) else module(reference)
    torch.testing.assert_close(tapped["conv5_3"], reference)
    torch.testing.assert_close(tapped["conv1_1"], torch.relu(encoder.net.features[0](normalised)))


def test_taps_are_copies_that_in_place_layers_do_not_overwrite():
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Tanh()
            self.second = nn.ReLU(inplace=True)

        def forward(self, x):
            return self.second(self.first(x))

    encoder = Encoder("inplace", InPlace(), "untrained")
    images = torch.rand(1, 3, 16, 16) - 0.3
    first = encoder.activations(images, ["first", "second"])["first"]
    torch.testing.assert_close(first, torch.tanh(encoder.normalise(images)))
    assert first.min() < 0


def test_taps_are_removed_when_the_reducer_fails():
    encoder = build_encoder("toyvgg", None)

    def fail(layer, activation):
        raise ArithmeticError(layer)

    with pytest.raises(ArithmeticError, match="conv3_1"):
        encoder.reduce(torch.rand(1, 3, 32, 32), ["conv3_1"], fail)
    assert hooks_left(encoder) == 0


def test_runs_no_deeper_than_asked():
    encoder = build_encoder("toyvgg", None)
    ran = []
    encoder.net.features[-3].register_forward_hook(lambda *_: ran.append(1))
    encoder.activations(torch.rand(1, 3, 32, 32), ["conv2_1"])
    assert not ran


def test_the_same_layer_twice_is_one_tap():
    encoder = build_encoder("toyvgg", None)
    assert list(encoder.activations(torch.rand(1, 3, 32, 32), ["conv1_1", "conv1_1"])) == [
        "conv1_1"
    ]


@pytest.mark.parametrize(
    ("call", "nearest"),
    [
        (lambda: build_encoder("vgg_16"), "vgg16"),
        (
            lambda: build_encoder("toyvgg", None).activations(torch.rand(1, 3, 9, 9), ["conv53"]),
            "conv5_3",
        ),
        (lambda: build_encoder("vgg61", None), "vgg16"),  # two letters changed places
    ],
)
def test_a_wrong_name_brings_the_nearest(call, nearest):
    with pytest.raises(UnknownNameError, match=f"Did you mean '{nearest}'"):
        call()


def test_names_filter():
    assert {"vgg16", "vgg16_bn", "toyvgg"} <= set(encoder_names("vgg"))
    assert not set(encoder_names("vgg")) & {"resnet18"}
    assert set(torchvision.models.list_models(module=torchvision.models)) < set(encoder_names())


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_weights_from_a_file(tmp_path, suffix):
    torch.manual_seed(1)
    net = torchvision.models.squeezenet1_1()
    path = tmp_path / f"w.{suffix}"
    save_file(net.state_dict(), path) if suffix == "safetensors" else torch.save(
        net.state_dict(), path
    )
    encoder = build_encoder("squeezenet1_1", path)
    images = torch.rand(1, 3, 64, 64)
    expected = net.eval().features(encoder.normalise(images))
    torch.testing.assert_close(
        encoder(images), torch.relu(net.classifier[1](expected)), check_device=False
    ) if encoder.layers[-1].startswith("classifier") else torch.testing.assert_close(
        encoder(images), expected
    )
    assert encoder.fingerprint != build_encoder("squeezenet1_1", None).fingerprint


def test_weights_of_another_shape_are_named(tmp_path):
    path = tmp_path / "other.pth"
    state = build_encoder("toyvgg", None).net.state_dict()
    state["features.0.weight"] = torch.zeros(4, 3, 3, 3)
    torch.save(state, path)
    with pytest.raises(
        ValueError, match=r"other\.pth.*features\.0\.weight: \(4, 3, 3, 3\).*\(8, 3"
    ):
        build_encoder("toyvgg", path)


def test_weights_that_are_missing_or_damaged(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth"):
        build_encoder("toyvgg", tmp_path / "nowhere.pth")
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(ValueError, match=r"broken\.pth cannot be read"):
        build_encoder("toyvgg", broken)
    with pytest.raises(ValueError, match="'toyworld' or None, not 'imagenet'"):
        build_encoder("toyvgg", "imagenet")


def test_default_weights_are_the_encoder_s_own(monkeypatch):
    asked = []

    def ours(weights="toyworld"):
        asked.append(weights)
        return toyvgg.ToyVGG()

    monkeypatch.setitem(ENCODERS, "toyvgg", ours)
    assert build_encoder("toyvgg").weights == "toyworld"
    assert asked == ["toyworld"]


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def test_weights_are_never_unpickled(tmp_path, monkeypatch):
    path = tmp_path / "bomb.pth"
    torch.save({"features.0.weight": Bomb()}, path)
    with pytest.raises(ValueError, match=r"bomb\.pth"):
        build_encoder("toyvgg", path)
    # Nor on torchvision's own way, which asks for pickles where it may.
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save({"features.0.weight": Bomb()}, folder / "squeezenet1_1-b8a52dc0.pth")
    with pytest.raises(ValueError, match="squeezenet1_1"):
        build_encoder("squeezenet1_1", "imagenet")


def test_weights_that_cannot_be_downloaded_say_where_to_put_them(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def offline(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(FileNotFoundError, match=r"resnet18-f37072fd\.pth.*TORCH_HOME"):
        build_encoder("resnet18")


def test_real_imagenet_weights_load(real_data):
    encoder = build_encoder("mobilenet_v2")
    assert encoder.weights == "imagenet"
    assert encoder.fingerprint == build_encoder("mobilenet_v2").fingerprint


def test_the_default_encoder_names_objects_it_has_not_seen():
    taught = read(toyvgg.TAUGHT)
    assert len(taught.meta["by_class"]) == 12
    assert build_encoder("toyvgg", "toyworld").accuracy == taught.meta["accuracy"]
    fresh = toyworld.crops(20, seed=99)
    assert toyvgg.score(toyvgg.toyvgg().eval(), *fresh)[0] == pytest.approx(
        taught.meta["accuracy"], abs=0.06
    )


@pytest.mark.slow
def test_the_default_encoder_can_be_taught_again(tmp_path):
    shipped = read(toyvgg.TAUGHT).meta["accuracy"]
    report = toyvgg.teach(tmp_path / "again.safetensors", seed=1)
    assert report["accuracy"] == pytest.approx(shipped, abs=0.03)
    again = build_encoder("toyvgg", tmp_path / "again.safetensors")
    assert again.fingerprint != build_encoder("toyvgg", "toyworld").fingerprint


@pytest.mark.parametrize("name", ["toyvgg", "mobilenet_v2"])
def test_folding_batch_norm_changes_neither_answers_nor_gradients(name, monkeypatch):
    torch.manual_seed(0)
    enc = build_encoder(name, weights=None).double()
    for norm in (m for m in enc.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        nn.init.normal_(norm.weight, 1, 0.2)
        nn.init.normal_(norm.bias)
    images = torch.rand(2, 3, 60, 80, dtype=torch.float64)

    def answered():
        enc.zero_grad()
        found = enc.activations(images)
        sum(a.square().mean() for a in found.values()).backward()
        return found, [p.grad.clone() for p in enc.parameters() if p.grad is not None]

    assert len(folding.pairs(enc.net)) == sum(isinstance(m, nn.BatchNorm2d) for m in enc.modules())
    ours, gradients = answered()
    monkeypatch.setattr(encoders, "folded", lambda _: nullcontext())
    plain, wanted = answered()
    torch.testing.assert_close(ours, plain)
    torch.testing.assert_close(gradients, wanted)


def test_what_is_watched_or_learns_its_statistics_is_not_folded():
    def answered(net, change):
        with torch.no_grad():
            net(images)
        change(net)
        with folding.folded(folding.pairs(net)):
            return net(images)

    images = torch.rand(4, 3, 8, 8)
    rows = [nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval() for _ in range(3)]
    rows[1].load_state_dict(rows[0].state_dict())
    rows[2].load_state_dict(rows[0].state_dict())
    seen = []
    plain = answered(rows[0], lambda _: None)
    watched = answered(rows[1], lambda n: n[1].register_forward_hook(lambda *a: seen.append(a[2])))
    learning = answered(rows[2], lambda n: n.train())
    torch.testing.assert_close(watched, plain)
    torch.testing.assert_close(seen[0], plain)
    assert not torch.allclose(learning, plain)  # its own images' statistics
    assert all("forward" not in vars(m) for net in rows for m in net)


def test_a_small_network_is_traced_alike_with_values_and_without(monkeypatch):
    net = build_encoder("toyvgg").net
    monkeypatch.setattr(dry_run, "_runs", itertools.count())
    with_values = dry_run.trace(net, (96, 128), images=2)
    monkeypatch.setattr(dry_run, "FIRST", 0)
    assert dry_run.trace(net, (96, 128), images=2) == with_values
    assert len(with_values.answers) > 40


@pytest.mark.slow
def test_a_network_of_ours_wants_neither_torchvision_nor_a_compiler():
    code = (
        "import sys, saliencykit.viewing; from saliencykit.models import build_encoder; "
        "build_encoder('toyvgg'); "
        "print([m for m in ('torchvision', 'torch._dynamo') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Other devices


def test_images_go_where_the_network_is():
    encoder = build_encoder("toyvgg", None).to("meta")
    assert encoder.activations(torch.rand(2, 3, 32, 48))["conv5_3"].device.type == "meta"


def test_a_classical_map_beside_a_network_is_where_that_is():
    both = build_encoder("toyvgg+gbvs", None).to("meta")
    both.contrast = torch.nn.Identity()
    seen = both.activations(torch.rand(1, 3, 32, 48), ["contrast"])
    assert seen["contrast"].device.type == "meta"


@pytest.mark.parametrize("asked", [None, "cpu"])
def test_dissecting_moves_a_network_to_the_gpu_and_it_can_be_taught(monkeypatch, asked):
    stream = sys.modules["saliencykit.dissection.stream"]
    monkeypatch.setattr(stream, "device_of", lambda: torch.device("meta"))
    encoder = build_encoder("toyvgg", None)
    with torch.inference_mode():
        place = stream._place([encoder], asked)
    assert place.type == (asked or "meta")
    assert {p.device.type for p in encoder.parameters()} == {place.type}
    assert not any(p.is_inference() for p in (*encoder.parameters(), *encoder.buffers()))
    monkeypatch.setattr(stream, "device_of", lambda: torch.device("cpu"))
    assert stream._place([encoder], None) == place  # it stays where it is
    assert stream._place([], None).type == "cpu"  # what is no network


def test_a_network_moved_in_inference_mode_can_be_taught(monkeypatch):
    place = sys.modules["saliencykit.models.stimuli"]
    monkeypatch.setattr(place, "device_of", lambda: torch.device("meta"))
    encoder = build_encoder("toyvgg", None)
    with torch.inference_mode():
        assert place.placed(encoder) is encoder
    assert not any(p.is_inference() for p in (*encoder.parameters(), *encoder.buffers()))
    assert encoder(torch.rand(1, 3, 16, 16)).requires_grad


def test_networks_run_in_full_precision_and_what_was_asked_before_is_asked_again():
    cudnn = torch.backends.cudnn

    def told():
        conv = getattr(cudnn, "conv", None)
        return (conv.fp32_precision if conv else cudnn.allow_tf32), cudnn.deterministic

    before, inside = told(), []
    assert before[0] in ("tf32", "none", True)  # torch's defaults
    encoder = build_encoder("toyvgg", None)
    encoder.reduce(torch.rand(1, 3, 16, 16), ["conv5_3"], lambda *_: inside.append(told()))
    assert inside[0] in (("ieee", True), (False, True))
    with pytest.raises(ZeroDivisionError):
        encoder.reduce(torch.rand(1, 3, 16, 16), ["conv5_3"], lambda *_: 1 / 0)
    assert told() == before


def test_a_gpu_s_activations_are_the_processor_s():
    if not torch.cuda.is_available():
        pytest.skip("no GPU: its activations are not compared with the processor's")
    encoder = build_encoder("vgg16", None)
    images = torch.rand(2, 3, 60, 80)
    own = encoder.activations(images, ["conv1_2", "conv5_3"])
    there = encoder.to("cuda").activations(images, ["conv1_2", "conv5_3"])
    for layer, values in own.items():
        error = (there[layer].cpu() - values).norm() / values.norm()
        assert error < 1e-5, layer  # in TF32 near 1e-3
