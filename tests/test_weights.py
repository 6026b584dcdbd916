"""Weights from files: of other names, under names, cut short, of another network."""

import hashlib
import re
import subprocess
import sys
import tempfile
import warnings
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
import torchvision
from hypothesis import given as given_
from hypothesis import settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from saliencykit.models import SaliencyModel, build_encoder, by_name, toyvgg, weights
from saliencykit.models.weights import load_weights
from saliencykit.paths import ROOT
from tests.fuzz import checkpoints


def network(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 3))


@pytest.fixture
def given():
    """Another network of the same shape: the state to be found."""
    return network(1).state_dict()


def loaded(path, seed=0):
    net = network(seed)
    load_weights(net, path)
    return net.state_dict()


def named(state, prefix):
    return {f"{prefix}{k}": v for k, v in state.items()}


PREFIXES = ("module.", "model.", "_orig_mod.", "backbone.", "encoder.", "net.", "module._orig_mod.")


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_is_taken_off_and_said(given, prefix, suffix, tmp_path):
    path, state = tmp_path / f"w.{suffix}", named(given, prefix)
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    with pytest.warns(
        UserWarning, match=rf"w\.{suffix}: took the prefix '{re.escape(prefix)}' off"
    ):
        found = loaded(path)
    assert all(found[k].equal(v) for k, v in given.items())


NAMES = ("state_dict", "model", "model_state_dict", "net", "ema", "params", "weights")


@pytest.mark.parametrize("name", NAMES)
def test_a_state_under_a_name_is_found_and_said(given, name, tmp_path):
    held = {"epoch": 3, name: given, "optimizer": {"state": {0: {"step": torch.ones(1)}}}}
    torch.save(held, tmp_path / "w.pth")
    with pytest.warns(UserWarning, match=f"took the state dict under '{name}'"):
        found = loaded(tmp_path / "w.pth")
    assert all(found[k].equal(v) for k, v in given.items())


def test_a_state_under_two_names_with_a_prefix(given, tmp_path):
    torch.save({"model": {"student": named(given, "module.")}}, tmp_path / "w.pth")
    with pytest.warns(UserWarning, match=r"under 'model'\.'student', took the prefix 'module\.'"):
        found = loaded(tmp_path / "w.pth")
    assert all(found[k].equal(v) for k, v in given.items())


def test_of_two_states_the_plain_one_is_taken_and_the_other_told(given, tmp_path):
    torch.save({"model_ema": network(2).state_dict(), "model": given}, tmp_path / "w.pth")
    with pytest.warns(UserWarning, match="under 'model', left 'model_ema', which fits as well"):
        found = loaded(tmp_path / "w.pth")
    assert all(found[k].equal(v) for k, v in given.items())


def test_the_part_of_a_larger_network_that_fits_is_taken(given, tmp_path):
    other = named(network(2).state_dict(), "decoder.")
    other["decoder.0.weight"] = torch.zeros(9, 3, 3, 3)  # of another shape
    torch.save({**other, **named(given, "encoder.")}, tmp_path / "w.pth")
    with pytest.warns(UserWarning, match="prefix 'encoder.'"):
        found = loaded(tmp_path / "w.pth")
    assert all(found[k].equal(v) for k, v in given.items())


def test_a_plain_state_is_loaded_without_a_word(given, tmp_path):
    torch.save(given, tmp_path / "w.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = loaded(tmp_path / "w.pth")
    assert all(found[k].equal(v) for k, v in given.items() if "num_batches" not in k)


def test_what_does_not_fit_is_told_tensor_by_tensor(given, tmp_path):
    given["2.weight"] = torch.zeros(6, 4, 3, 3)
    del given["0.bias"]
    torch.save({"state_dict": named(given, "module.")}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"w\.pth does not fit") as told:
        loaded(tmp_path / "w.pth")
    assert "0.bias: missing, (4,) in the network" in str(told.value)
    assert "2.weight: (6, 4, 3, 3) in the file, (5, 4, 3, 3) in the network" in str(told.value)
    assert "called" not in str(told.value)


def test_another_network_s_state_is_told_by_its_names(tmp_path):
    state = torchvision.models.squeezenet1_1().state_dict()
    torch.save(state, tmp_path / "squeezenet.pth")
    with pytest.raises(ValueError, match=r"and \d+ more\. Its tensors are called 'classifier\.1"):
        loaded(tmp_path / "squeezenet.pth")


@pytest.mark.parametrize("held", [torch.ones(3), {"epoch": 3}, []])
def test_a_file_without_a_state_dict(held, tmp_path):
    torch.save(held, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"w\.pth holds no state dict"):
        loaded(tmp_path / "w.pth")


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.99])
def test_a_file_cut_short_is_named_to_be_deleted(given, suffix, share, tmp_path):
    path = tmp_path / f"w.{suffix}"
    save_file(given, path) if suffix == "safetensors" else torch.save(given, path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match=rf"w\.{suffix} cannot be read as weights: .*delete .*w\."):
        loaded(path)


def test_a_whole_file_with_more_than_tensors_is_not_called_cut_short(tmp_path):
    torch.save({"args": pytest.approx(1), "model": network(1).state_dict()}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"more than tensors.*Save the state dict alone") as told:
        loaded(tmp_path / "w.pth")
    assert "delete" not in str(told.value)
    assert "approx" in str(told.value).lower()
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("share", [0, 0.5])
def test_a_download_cut_short_is_named_to_be_deleted(share, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    path.parent.mkdir(parents=True)
    torch.save(torchvision.models.squeezenet1_1().state_dict(), path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match=rf"squeezenet1_1, .*delete {re.escape(str(path))}"):
        build_encoder("squeezenet1_1", "imagenet")


def test_an_encoder_s_weights_may_have_a_prefix_and_lack_the_head(tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        other = toyvgg.ToyVGG()
    state = {k: v for k, v in other.state_dict().items() if "classifier" not in k}
    torch.save({"model": named(state, "module.")}, tmp_path / "w.pth")
    with pytest.warns(UserWarning, match="'model', took the prefix 'module.'"):
        encoder = build_encoder("toyvgg", tmp_path / "w.pth")
    assert encoder.net.features[0].weight.equal(other.features[0].weight)


# Of what fits alike, the first in the file


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize(("first", "second"), [("encoder_q.", "encoder_k."), ("a.", "b.")])
def test_of_two_prefixes_the_first_in_the_file_is_taken_and_the_other_told(
    given, first, second, suffix, tmp_path
):
    """MoCo keeps the network that learns beside its running average."""
    path = tmp_path / f"w.{suffix}"
    state = {
        **named(given, f"module.{first}"),
        **named(network(2).state_dict(), f"module.{second}"),
    }
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    if suffix == "safetensors":  # which keeps names in the order of the alphabet
        first, second = sorted((first, second))
    with pytest.warns(
        UserWarning, match=rf"'module\.{first}' off .*, left 'module\.{second}',"
    ) as told:
        found = loaded(path)
    assert "(to take that, keep its tensors alone in the file)" in str(told[0].message)
    truth = {k.removeprefix(f"module.{first}"): v for k, v in state.items()}
    assert all(found[k].equal(truth[k]) for k in given)


@pytest.mark.slow
def test_which_prefix_is_taken_does_not_hang_on_the_seed_of_hashes(given, tmp_path):
    prefixes = [f"module.encoder_{letter}." for letter in "qkab"]
    torch.save({k: v for p in prefixes for k, v in named(given, p).items()}, tmp_path / "w.pth")
    code = (
        "import sys, torch; from saliencykit.models import weights; "
        f"state, = weights._states(torch.load({str(tmp_path / 'w.pth')!r})); "
        f"print([s.prefix for s in weights._unprefixed(state, dict.fromkeys({list(given)}))])"
    )
    for seed in "1", "2":
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == f"{['', *prefixes]}\n"


# Of another network that has more


def deeper(state, places):
    return {**state, **{k: torch.zeros(4) for k in places}}


def test_what_has_no_place_is_told(given, tmp_path):
    torch.save(deeper(given, ["7.weight", "7.bias", "fc.weight"]), tmp_path / "w.pth")
    with pytest.warns(UserWarning, match=r"w\.pth: 3 tensors of the file have no .*'7\.weight'\."):
        loaded(tmp_path / "w.pth")
    torch.save(named(deeper(given, ["7.weight"]), "module."), tmp_path / "w.pth")
    with pytest.warns(UserWarning, match=r"off its names, 1 tensor of the file has no place"):
        loaded(tmp_path / "w.pth")


def test_what_is_harmless_or_of_a_head_is_not_told(given, tmp_path):
    harmless = deeper(given, ["fc.weight", "0.total_ops", "1.attn_mask"])
    harmless["0.relative_position_index"] = torch.zeros(4, dtype=torch.long)
    torch.save(harmless, tmp_path / "w.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_weights(network(0), tmp_path / "w.pth", ("fc",), whole=True)


def test_a_deeper_network_s_weights_are_refused(tmp_path):
    state = toyvgg.ToyVGG().state_dict()
    more = ["features.90.weight", "features.90.bias"]
    torch.save(deeper(state, more), tmp_path / "deep.pth")
    with pytest.raises(
        ValueError, match=r"deep\.pth is of another .*: 2 tensors .*'features\.90\.w"
    ):
        build_encoder("toyvgg", tmp_path / "deep.pth")
    torch.save(deeper(state, ["decoder.0.weight"]), tmp_path / "more.pth")
    with pytest.warns(UserWarning, match=r"1 tensor of the file has no place .*'decoder"):
        build_encoder("toyvgg", tmp_path / "more.pth")


def test_a_shallower_resnet_does_not_take_a_deeper_one_s(tmp_path):
    """As resnet34's into resnet18, which it has all tensors of."""
    with torch.device("meta"):
        block = torchvision.models.resnet.BasicBlock
        shallow, deep = (torchvision.models.ResNet(block, [1, n, 1, 1]) for n in (1, 2))
    few = {k: v for k, v in deep.state_dict().items() if k.startswith("layer2")}
    shallow = nn.Sequential(OrderedDict(layer2=shallow.layer2)).to_empty(device="cpu")
    save_file({k: torch.zeros(v.shape) for k, v in few.items()}, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=r"12 tensors .* no place .*'layer2\.1\.bn1\.bias'"):
        load_weights(shallow, tmp_path / "w.safetensors", whole=True)


# Whole, and numbers


def downloaded(tmp_path, monkeypatch, **how):
    """squeezenet's weights where torchvision looks for them: somebody else's, in a whole file."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(torchvision.models.squeezenet1_1().state_dict(), path, **how)
    return path


def test_a_changed_byte_of_imagenet_weights_is_refused(tmp_path, monkeypatch):
    path = downloaded(tmp_path, monkeypatch)
    build_encoder("squeezenet1_1", "imagenet")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    for _ in range(2):
        with pytest.raises(ValueError, match=rf"{path.name}, could not .*has changed since it was"):
            build_encoder("squeezenet1_1", "imagenet")


def test_imagenet_weights_are_known_by_the_hash_in_their_name(tmp_path, monkeypatch):
    """The old format tells no checksums; a file as large as torchvision's claims to be its."""
    path = downloaded(tmp_path, monkeypatch, _use_new_zipfile_serialization=False)
    build_encoder("squeezenet1_1", "imagenet")  # of another size: reduced or converted
    megabytes = round(path.stat().st_size / 2**20, 3)
    with pytest.raises(ValueError, match=r"SHA-256 is .*, which is not that in its name"):
        weights._check_download(path, megabytes)
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    renamed = path.rename(path.with_name(f"squeezenet1_1-{sha[:8]}.pth"))
    weights._check_download(renamed, megabytes)


def test_weights_that_were_exchanged_are_told_once(tmp_path, monkeypatch):
    path = downloaded(tmp_path, monkeypatch)
    build_encoder("squeezenet1_1", "imagenet")
    torch.save(torchvision.models.squeezenet1_1().state_dict(), path)
    with pytest.warns(UserWarning, match=rf"{path.name} is another file than when it was last"):
        build_encoder("squeezenet1_1", "imagenet")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build_encoder("squeezenet1_1", "imagenet")


def test_files_saved_without_checksums_load(given, tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(given, tmp_path / "w.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert all(loaded(tmp_path / "w.pth")[k].equal(v) for k, v in given.items() if "num_" not in k)


def test_only_what_is_used_must_be_numbers(tmp_path):
    name = "squeezenet1_1"
    state = torchvision.models.get_model(name).state_dict()
    head = [k for k in state if k.startswith("classifier")]
    for k in head:
        state[k][:] = float("nan")
    torch.save(state, tmp_path / "w.pth")
    build_encoder(name, tmp_path / "w.pth")
    state["features.0.weight"][0] = float("nan")
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"w\.pth' cannot be used: 27 of .* 'features\.0\.weight'"):
        build_encoder(name, tmp_path / "w.pth")


@pytest.mark.parametrize(("name", "value"), [("0.weight", "nan"), ("1.running_var", "inf")])
def test_an_own_network_of_no_numbers_is_refused(name, value):
    net = network(0)
    net.state_dict()[name].view(-1)[0] = float(value)
    with pytest.raises(ValueError, match=rf"Your own Sequential .* 1 of .* '{name}' are NaN"):
        build_encoder(net)


def test_masks_may_be_infinite_and_heads_anything():
    net = network(0)
    net.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    net.add_module("head", nn.Linear(5, 2))
    nn.init.constant_(net.head.weight, torch.nan)
    net.forward = lambda images: nn.Sequential.forward(net[:3], images)
    build_encoder(net, layers=["0"])


@settings(max_examples=40, deadline=None)
@given_(st.integers(0, 2**31))
def test_weights_are_the_right_ones_or_refused_in_words(seed):
    with tempfile.TemporaryDirectory() as folder:
        assert checkpoints.trial(seed, Path(folder)) in ("right", "refused")


@pytest.mark.parametrize("name", [b'"digest"', b'"meta"'])
def test_our_own_file_is_checked_whatever_part_of_it_is_damaged(name, tmp_path):
    path = tmp_path / "harmed.safetensors"
    SaliencyModel(build_encoder(network(3))).save(path)
    data = path.read_bytes().replace(name, name[:2] + b"x" + name[3:])
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))  # and a weight
    with pytest.raises(ValueError, match=r"harmed\.safetensors is damaged"):
        build_encoder(network(1), path)


# What is a path


SUFFIXES = ("pth", "pt", "PTH", "pth.tar", "tar", "ckpt", "bin", "safetensors", "SafeTensors")


@pytest.mark.parametrize("suffix", [*SUFFIXES, "epoch3", ""])
def test_weights_are_a_file_by_their_suffix_or_if_they_are_there(
    given, suffix, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    name = f"w.{suffix}".rstrip(".")
    save_file(given, name) if suffix.lower() == "safetensors" else torch.save(given, name)
    net = network(0)
    assert build_encoder(net, name).weights == name
    assert net[0].weight.equal(given["0.weight"])


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("given", ["toyvgg", "squeezenet1_1", nn.Sequential(nn.Conv2d(3, 4, 3))])
def test_a_missing_file_is_told_as_one(suffix, given):
    with pytest.raises(FileNotFoundError, match=rf"No weights at w\.{suffix}"):
        build_encoder(given, f"w.{suffix}")


def test_a_file_called_like_known_weights_is_not_taken_for_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "toyworld", "default", "gbvs":
        (tmp_path / name).write_text("no weights")
    known = build_encoder("toyvgg").fingerprint
    assert build_encoder("toyvgg", "toyworld").fingerprint == known
    assert by_name("gbvs")(torch.rand(1, 3, 32, 32)).shape == (1, 32, 32)
    with pytest.raises(ValueError, match="toyworld cannot be read as weights"):
        build_encoder("toyvgg", "./toyworld")
