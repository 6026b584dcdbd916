"""Encoders made of another: they are encoders like any, and answer what they should."""

import pytest
import torch

from saliencykit.datasets import Fixations
from saliencykit.dissection import Group, Role, ablated, ablation_effects, dissect
from saliencykit.dissection.readout_maps import MAP, WithMap
from saliencykit.models import SaliencyModel, Settings, build_encoder, classical, train
from saliencykit.registry import UnknownNameError
from tests.conftest import Blobs

CONTRAST = "spectral_residual"


def encoder(name):
    torch.manual_seed(0)
    return build_encoder(name, None)


def test_contrast_is_the_classical_map_z_scored_on_its_grid():
    enc, images = encoder(f"toyvgg+{CONTRAST}"), torch.rand(2, 3, 48, 64)
    seen = enc.activations(images, ["contrast", "conv2_2"])
    assert list(seen) == ["contrast", "conv2_2"]
    assert seen["contrast"].shape == (2, 1, 6, 8)
    expected = classical.saliency(CONTRAST, images).unfold(1, 8, 8).unfold(2, 8, 8).mean((-1, -2))
    expected = (expected - expected.mean((1, 2), keepdim=True)) / expected.std(
        (1, 2), correction=0, keepdim=True
    )
    torch.testing.assert_close(seen["contrast"][:, 0], expected, atol=1e-4, rtol=1e-3)
    plain = encoder("toyvgg").activations(images, ["conv2_2"])["conv2_2"]
    torch.testing.assert_close(seen["conv2_2"], plain)


def test_second_look_is_the_encoder_on_the_shrunk_image():
    enc, images = encoder("toyvgg@0.5"), torch.rand(2, 3, 48, 64)
    small = torch.nn.functional.interpolate(images, (24, 32), mode="bilinear", antialias=True)
    plain = encoder("toyvgg")
    seen = enc.activations(images, ["conv3_1@0.5", "conv3_1"])
    torch.testing.assert_close(
        seen["conv3_1@0.5"], plain.activations(small, ["conv3_1"])["conv3_1"]
    )
    assert enc.strides["conv3_1@0.5"] == 2 * enc.strides["conv3_1"]


def test_completions_add_up():
    enc = encoder(f"toyvgg@0.5+{CONTRAST}")
    assert {"contrast", "conv5_3", "conv5_3@0.5"} <= set(enc.layers)
    assert enc.name == f"toyvgg@0.5+{CONTRAST}"
    answers = enc.activations(torch.rand(1, 3, 32, 48))
    assert list(answers) == enc.layers
    assert all(answers[layer].shape[1] == enc.channels[layer] for layer in enc.layers)


@pytest.mark.parametrize("name", [f"toyvgg+{CONTRAST}", "toyvgg@0.5"])
def test_they_learn_are_saved_and_come_back(name, tmp_path):
    enc, data = encoder(name), Blobs(8)
    layers = ["conv3_1", "contrast" if "+" in name else "conv3_1@0.5"]
    settings = Settings(size=(48, 64), epochs=2, batch=4)
    before = {k: v.clone() for k, v in enc.state_dict().items()}
    model, curve = train(enc, data, None, layers, settings)
    assert curve.train.iloc[-1] > curve.train.iloc[0]
    assert all(torch.equal(before[k], v) for k, v in enc.state_dict().items())  # a copy learned
    assert any(not torch.equal(before[k], v) for k, v in model.encoder.state_dict().items())
    model.save(tmp_path / "m.safetensors")
    images = torch.rand(1, 3, 48, 64)
    with torch.inference_mode():
        torch.testing.assert_close(
            SaliencyModel.load(tmp_path / "m.safetensors")(images), model(images)
        )


def test_fingerprints_tell_them_apart():
    names = ("toyvgg", "toyvgg@0.5", "toyvgg@0.25", f"toyvgg+{CONTRAST}", "toyvgg+centre")
    assert len({encoder(name).fingerprint for name in names}) == len(names)


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("toyvgg+gbv", UnknownNameError, "classical model 'gbv'"),
        ("toyvgg@2", ValueError, "between 0 and 1"),
        ("toyvgg@half", ValueError, "write @0.5"),
        ("toyvgg@0.5@0.5", ValueError, "has a layer 'conv1_1@0.5' already"),
        ("toyvgg+gbvs+aim", ValueError, "has a layer 'contrast' already"),
        ("toyvg@0.5", UnknownNameError, "Did you mean 'toyvgg'"),
    ],
)
def test_wrong_completions_are_explained(name, error, says):
    with pytest.raises(error, match=says):
        build_encoder(name, None)


def shrunk(images):
    size = [side // 2 for side in images.shape[-2:]]
    return torch.nn.functional.interpolate(images, size, mode="bilinear", antialias=True)


@pytest.mark.parametrize("layer", ["conv3_2", "conv3_2@0.5", "contrast"])
@pytest.mark.parametrize("name", ["toyvgg@0.5", f"toyvgg+{CONTRAST}@0.5", f"toyvgg@0.5+{CONTRAST}"])
def test_units_are_silenced_in_one_look_only(name, layer):
    enc, plain, images = encoder(name), encoder("toyvgg"), torch.rand(2, 3, 48, 64)
    if layer not in enc.layers:
        pytest.skip("no contrast here")
    read = [k for k in ("conv2_2", "conv4_3", "conv4_3@0.5", "contrast") if k in enc.layers]
    units, value = ([0], 0.5) if layer == "contrast" else ([1, 5], 0.5)

    def silence(module, inputs, output):
        output = output.clone()
        output[:, units] = value
        return output

    # By hand: one look after the other, a hook in one of them.
    expected = {}
    for suffix, seen in (("", images), ("@0.5", shrunk(images))):
        module = plain.net.get_submodule(plain.paths["conv3_2"])
        handle = module.register_forward_hook(silence) if layer == "conv3_2" + suffix else None
        expected |= {k + suffix: v for k, v in plain.activations(seen).items()}
        if handle:
            handle.remove()
    intact = enc.activations(images, read)
    expected["contrast"] = intact.get("contrast")
    if layer == "contrast":
        expected["contrast"] = torch.full_like(intact["contrast"], value)

    values = torch.full((enc.channels[layer],), value)
    with ablated(enc, layer, units, to=values):
        found = enc.activations(images, read)
    changed = [k for k in read if not found[k].equal(intact[k])]
    assert changed == [k for k in read if k in enc.after(layer)]
    assert len(changed) == 1
    for k in read:
        torch.testing.assert_close(found[k], expected[k])
    assert all(torch.equal(intact[k], v) for k, v in enc.activations(images, read).items())


@pytest.mark.parametrize("layer", ["conv3_2", "conv3_2@0.5", "contrast"])
def test_effects_of_ablating_a_composite(layer, blobs):
    enc = encoder(f"toyvgg@0.5+{CONTRAST}")
    torch.manual_seed(1)
    model = SaliencyModel(enc, ["conv4_1", "conv4_1@0.5", "contrast"]).eval()
    seen = enc.activations(torch.rand(2, 3, 48, 64), model.layers)
    for k, readout in zip(model.layers, model.readouts, strict=True):
        torch.nn.init.normal_(readout.weight)
        readout.weight.data /= readout(seen[k]).std()  # all have a say
    units = (0,) if layer == "contrast" else (1, 3)
    groups = [Group(Role.NAMED, "bright", units), Group(Role.RANDOM, None, units[:1])]
    effects = ablation_effects(model, blobs, layer, groups, "zero", size=(48, 64), progress=False)
    intact = dissect(WithMap(model), blobs, [MAP], progress=False).of(MAP)[:, 0]
    torch.testing.assert_close(effects.before, intact, atol=1e-4, rtol=1e-4, equal_nan=True)
    with ablated(enc, layer, units):
        after = dissect(WithMap(model), blobs, [MAP], progress=False).of(MAP)[:, 0]
    change = (after - intact).nan_to_num(0)
    assert change.abs().max() > 0.01  # or this tests nothing
    torch.testing.assert_close(effects.change[:, 0].nan_to_num(0), change, atol=1e-4, rtol=1e-3)


def test_layers_of_a_look_that_nobody_reads_cannot_be_ablated(blobs):
    model = SaliencyModel(encoder("toyvgg@0.5"), ["conv4_3", "conv2_1@0.5"])
    groups = [Group(Role.NAMED, "bright", (0,))]
    for layer in ("conv5_1", "conv2_2@0.5"):
        with pytest.raises(ValueError, match=f"{layer} lies behind"):
            ablation_effects(model, blobs, layer, groups, progress=False)


def test_unknown_layers_are_explained():
    with pytest.raises(UnknownNameError, match=r"Did you mean 'conv1_1@0\.5'"):
        encoder("toyvgg@0.5").activations(torch.rand(1, 3, 32, 32), ["conv1_1@05"])


def test_joined_data_sets_keep_what_each_image_has():
    from saliencykit.datasets import Joined

    class Others(Blobs):
        name, categories = "others", ("bright", "round")

        def fixations(self, i):
            return Fixations.of([1.5], [2.5])

    both = Joined(Blobs(4), Others(3))
    assert both.names == [*(f"blobs/b0{i}" for i in range(4)), *(f"others/b0{i}" for i in range(3))]
    assert both.categories == ("bright", "dark", "round")
    assert torch.equal(both[5].image, Others(3)[1].image)
    assert both[5].fixations.x.tolist() == [1.5]
    assert len(both[1].fixations) == len(Blobs(4)[1].fixations)
    assert both.split("val").names == ["blobs/b02", "others/b02"]
    assert both.split("val")[1].fixations.y.tolist() == [2.5]
    assert both.fingerprint != Joined(Blobs(4, seed=1), Others(3)).fingerprint
    with pytest.raises(ValueError, match="share a name"):
        Joined(Blobs(4), Blobs(3))
