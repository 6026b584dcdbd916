"""Every family of networks: layers are found, and answer with maps of as many units as channels."""

import ast
import re
import sys

import pytest
import torch
import torchvision
from torch import nn

from saliencykit.dissection import ablated
from saliencykit.models import build_encoder, encoder_names, from_timm
from saliencykit.models.encoders import Encoder
from saliencykit.paths import PACKAGE
from saliencykit.registry import UnknownNameError

pytestmark = pytest.mark.slow
SIZES = ((64, 96), (224, 224), (225, 300))
# The smallest of each of torchvision's families: units of its deepest layer, the size it takes if
# that is but one.
FAMILIES = {
    "alexnet": (256, None),
    "convnext_tiny": (768, None),
    "densenet121": (1024, None),
    "efficientnet_b0": (1280, None),
    "googlenet": (1024, None),
    "inception_v3": (2048, None),
    "maxvit_t": (512, (224, 224)),
    "mnasnet0_5": (1280, None),
    "mobilenet_v2": (1280, None),
    "mobilenet_v3_small": (576, None),
    "regnet_x_400mf": (400, None),
    "resnet18": (512, None),
    "shufflenet_v2_x0_5": (1024, None),
    "squeezenet1_1": (512, None),
    "swin_t": (768, None),
    "swin_v2_t": (768, None),
    "vgg11": (512, None),
    "vit_b_32": (768, (224, 224)),
}
SMALLEST = {"inception_v3": 75}  # sides that networks need, and say so


def on_meta(name):
    """A network that has shapes, but no weights to draw: regnet draws its own, so is moved."""
    with torch.device("cpu" if "regnet" in name else "meta"):
        net = torchvision.models.get_model(name, weights=None, **NO_DRAWING.get(name, {}))
    return Encoder(name, net.to("meta"), "untrained").eval()


NO_DRAWING = {name: {"init_weights": False} for name in ("googlenet", "inception_v3")}


def family(name):
    return torchvision.models.get_model_builder(name).__module__


def test_every_family_of_torchvision_is_tried():
    listed = torchvision.models.list_models(module=torchvision.models)
    assert set(map(family, listed)) == set(map(family, FAMILIES))


@pytest.mark.parametrize("name", FAMILIES)
def test_layers_are_maps_at_three_sizes(name):
    encoder = on_meta(name)
    units, fixed = FAMILIES[name]
    assert encoder.channels[encoder.layers[-1]] == units
    assert encoder.fixed_size == fixed
    for size in SIZES:
        if min(size) < SMALLEST.get(name, 0):
            continue
        height, width = fixed or size
        seen = encoder.activations(torch.zeros(2, 3, *size, device="meta"))
        assert list(seen) == encoder.layers
        for layer, activation in seen.items():
            stride = encoder.strides[layer]
            assert activation.shape[:2] == (2, encoder.channels[layer])
            assert activation.shape[2] == pytest.approx(height / stride, rel=0.15, abs=1.5)
            assert activation.shape[3] == pytest.approx(width / stride, rel=0.15, abs=1.5)


@pytest.mark.parametrize(
    "name", sorted(set(torchvision.models.list_models(module=torchvision.models)) - set(FAMILIES))
)
def test_layers_of_the_families_larger_networks_are_found(name):
    if re.search("regnet_._(16|32|128)gf|regnet_._8gf", name):
        pytest.skip("draws gigabytes of weights, as its smaller sisters do megabytes")
    encoder = on_meta(name)
    seen = encoder.activations(torch.zeros(1, 3, 225, 300, device="meta"))
    assert {k: v.shape[1] for k, v in seen.items()} == encoder.channels


def test_an_image_that_is_too_small_is_told_the_sizes():
    encoder = on_meta("inception_v3")
    small = torch.zeros(1, 3, 64, 96, device="meta")
    with pytest.raises(ValueError, match=r"inception_v3 .* 64 × 96 pixels.*: from 75 × 75\."):
        encoder.activations(small)
    assert list(encoder.activations(small, encoder.layers[:1])) == encoder.layers[:1]
    encoder.activations(torch.zeros(1, 3, 75, 75, device="meta"))


def test_sides_that_must_be_multiples_are_told():
    class Folding(nn.Module):
        """Cuts the image into patches and puts it together again, which wants multiples of 16."""

        def __init__(self):
            super().__init__()
            self.down = nn.Sequential(nn.Conv2d(3, 4, 16, 16), nn.ReLU())
            self.up = nn.ConvTranspose2d(4, 3, 16, 16)
            self.last = nn.Tanh()

        def forward(self, x):
            return self.last(self.up(self.down(x)) + x)

    encoder = build_encoder(Folding())
    encoder.activations(torch.rand(1, 3, 64, 96))
    with pytest.raises(ValueError, match=r"65 × 96 .* multiples of 16, from 16 × 16"):
        encoder.activations(torch.rand(1, 3, 65, 96))


def test_what_a_reducer_raises_is_not_taken_for_the_sizes_fault():
    def fail(layer, activation):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        build_encoder("toyvgg", None).reduce(torch.rand(1, 3, 32, 32), ["conv2_1"], fail)


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "toyvgg"])
def test_activations_are_to_the_bit_those_of_the_plain_network(name):
    torch.manual_seed(0)
    encoder = build_encoder(name, None)
    image, truth = encoder.normalise(torch.rand(1, 3, 64, 96)), {}
    modules = dict(encoder.net.named_modules())
    taps = [
        modules[path].register_forward_hook(lambda m, i, o, k=k: truth.__setitem__(k, o.clone()))
        for k, path in encoder.paths.items()
    ]
    with torch.inference_mode(), pytest.MonkeyPatch.context() as patch:
        encoder.net(image)
        for tap in taps:
            tap.remove()
        patch.setattr(encoder, "normalise", lambda images: images)
        patch.setattr("saliencykit.models.encoders.pairs", lambda net: ())  # folding only rounds
        found = encoder.activations(image)
    assert list(found) == encoder.layers
    assert all(found[layer].equal(truth[layer]) for layer in encoder.layers)


def test_normalisation_is_that_of_the_weights():
    usual, other = (build_encoder(name, None) for name in ("resnet18", "mobilenet_v2"))
    torch.testing.assert_close(usual.mean.flatten(), torch.tensor([0.485, 0.456, 0.406]))
    torch.testing.assert_close(other.std.flatten(), torch.tensor([0.229, 0.224, 0.225]))
    shown = torchvision.models.EfficientNet_V2_L_Weights.DEFAULT.transforms()
    from saliencykit.models.weights import torchvision_normalise

    assert torchvision_normalise("efficientnet_v2_l") == (tuple(shown.mean), tuple(shown.std))
    assert shown.mean == [0.5, 0.5, 0.5]


# timm's, small: how to make one, units of its deepest layer, the one size it takes.
TINY = {
    "convolutions": ("test_resnet", {}, 96, None),
    "ConvNeXt": ("test_convnext", {}, 64, None),
    "channels last": ("test_mambaout", {}, 64, None),
    "tokens, multiples of 16": ("test_vit", {}, 64, None),
    "tokens": ("test_vit3", {}, 96, (160, 160)),
    "MaxViT": ("test_maxvit", {}, 128, (160, 160)),
    "Swin": (
        "swin_tiny_patch4_window7_224",
        {"img_size": (56, 112), "embed_dim": 8, "depths": (1, 1), "num_heads": (1, 2)},
        16,
        (56, 112),
    ),
    "mixer": (
        "mixer_s32_224",
        {"img_size": (64, 96)},
        512,
        (64, 96),
    ),
    "two tokens before a grid that is not square": (
        "deit_tiny_distilled_patch16_224",
        {"img_size": (64, 96), "depth": 2, "embed_dim": 48},
        48,
        (64, 96),
    ),
    "as many units as columns": (
        "deit_tiny_patch16_224",
        {"img_size": (48, 96), "depth": 1, "embed_dim": 6, "num_heads": 1},
        6,
        (48, 96),
    ),
}


def tiny(kind):
    timm = pytest.importorskip("timm", reason="timm, an optional extra, is not installed")
    name, settings, *_ = TINY[kind]
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=0, **settings).eval()


@pytest.mark.parametrize("kind", TINY)
def test_timm_s_networks_answer_with_the_maps_that_they_tell_of(kind):
    net = tiny(kind)
    *_, units, fixed = TINY[kind]
    encoder = build_encoder(net)
    assert encoder.fixed_size == fixed
    assert encoder.channels == {i["module"]: i["num_chs"] for i in net.feature_info}
    assert encoder.channels[encoder.layers[-1]] == units
    size = fixed or (64, 96)
    images = torch.rand(2, 3, *size)
    with torch.inference_mode():
        seen = encoder.activations(images)
        told = net.forward_intermediates(
            encoder.normalise(images), intermediates_only=True, norm=False
        )
    assert len(told) == len(seen)
    for truth, found in zip(told, seen.values(), strict=True):
        torch.testing.assert_close(found, truth)
    other = encoder.activations(torch.rand(1, 3, 128, 64), encoder.layers[-1:])
    (found,) = other.values()
    assert found.shape[1] == units
    assert (found.shape[2] > found.shape[3]) == (fixed is None)  # else resized to its own


@pytest.mark.parametrize("kind", ["channels last", "tokens, multiples of 16", "Swin", "mixer"])
def test_silencing_a_unit_changes_that_unit_and_no_other(kind):
    encoder = build_encoder(tiny(kind))
    layer, last = encoder.layers[0], encoder.layers[-1]
    images = torch.rand(2, 3, *(encoder.fixed_size or (64, 96)))
    with torch.inference_mode():
        before = encoder.activations(images)
        with ablated(encoder, layer, [3]):
            after = encoder.activations(images)
    assert before[layer][:, 3].any()
    assert not after[layer][:, 3].any()
    others = [u for u in range(encoder.channels[layer]) if u != 3]
    assert after[layer][:, others].equal(before[layer][:, others])
    assert not after[last].equal(before[last])


def test_timm_by_name(monkeypatch):
    timm = pytest.importorskip("timm", reason="timm, an optional extra, is not installed")
    with torch.device("meta"):
        swin = build_encoder("timm:swin_tiny_patch4_window7_224", None)
    assert swin.channels[swin.layers[-1]] == 768  # not 7, its rows
    encoder = build_encoder("timm:test_resnet", None)
    assert encoder.name == "timm:test_resnet"
    assert encoder.weights == "untrained"
    told = timm.get_pretrained_cfg("test_resnet")
    torch.testing.assert_close(encoder.mean.flatten(), torch.tensor(told.mean))
    with pytest.raises(UnknownNameError, match="Did you mean 'test_resnet'"):
        build_encoder("timm:test_resnett", None)
    with pytest.raises(UnknownNameError, match=r"test_vit\.nobody.*Did you mean 'test_vit\."):
        build_encoder("timm:test_vit.nobody", None)
    with pytest.raises(ValueError, match="'imagenet' or None, not 'toyworld'"):
        build_encoder("timm:test_resnet", "toyworld")
    asked = []
    monkeypatch.setattr(
        timm, "create_model", lambda name, **how: asked.append((name, how)) or 1 / 0
    )
    with pytest.raises(FileNotFoundError, match=r"timm:test_resnet could not be had.*zero"):
        build_encoder("timm:test_resnet")
    assert asked == [("test_resnet", {"pretrained": True, "num_classes": 0})]


def test_timm_s_weights_from_a_file(tmp_path):
    timm = pytest.importorskip("timm", reason="timm, an optional extra, is not installed")
    torch.manual_seed(3)
    whole = timm.create_model("test_resnet", num_classes=10)
    torch.save(whole.state_dict(), tmp_path / "whole.pth")
    found = build_encoder("timm:test_resnet", tmp_path / "whole.pth").net.state_dict()
    assert all(found[k].equal(v) for k, v in whole.state_dict().items() if k in found)


def test_timm_s_names_are_listed_when_asked_for(monkeypatch):
    assert not [name for name in encoder_names() if name.startswith("timm:")]
    asked = []
    monkeypatch.setattr(from_timm, "_timm", lambda: asked.append(1) or pytest.importorskip("timm"))
    encoder_names("resnet")
    assert not asked
    assert {"timm:test_resnet", "timm:resnet18"} <= set(encoder_names("timm:resn"))
    assert all("resn" in name for name in encoder_names("timm:resn"))


def test_without_timm_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    for ask in (lambda: build_encoder("timm:resnet18", None), lambda: encoder_names("timm:")):
        with pytest.raises(ImportError, match=r"pip install 'saliencykit\[timm\]'"):
            ask()


def test_timm_is_imported_by_one_function_alone():
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")]
    found = [
        function.name
        for tree in trees
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import) and node.names[0].name.startswith("timm")
    ]
    named = [
        node
        for tree in trees
        for node in ast.walk(tree)
        if "timm" in (getattr(node, "module", "") or "")[:4]
        or (isinstance(node, ast.Import) and any(a.name[:4] == "timm" for a in node.names))
    ]
    assert found == ["_timm"]
    assert len(named) == 1


def test_running_stops_at_the_deepest_layer_asked_for():
    encoder = build_encoder(tiny("tokens, multiples of 16"))
    ran = []
    encoder.net.blocks[2].register_forward_hook(lambda *_: ran.append(1))
    encoder.activations(torch.rand(1, 3, 64, 96), ["blocks.1"])
    assert not ran
