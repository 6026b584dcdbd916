"""Silencing units, what the map loses by it, controls, and contributions to the readout."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import interpolate

from saliencykit.dissection import (
    Dissection,
    Group,
    Role,
    ablated,
    ablation_effects,
    bootstrap,
    contributions,
    contributions_cached,
    region_nss,
    unit_moments,
    unit_moments_cached,
)
from saliencykit.dissection.ablation import Silenced
from saliencykit.dissection.groups import (
    matched_groups,
    most_selective,
    random_groups,
    with_controls,
)
from saliencykit.models import SaliencyModel, build_encoder
from saliencykit.models.encoders import Encoder
from saliencykit.registry import UnknownNameError
from tests.conftest import Blobs

READ = ["conv2_2", "conv3_3", "conv4_3"]


def built(name="toyvgg", seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_encoder(name, None)


def model_of(encoder, layers, seed=1):
    """A model to whose map all layers contribute alike, their units pulling in both directions."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        model = SaliencyModel(encoder, layers).eval()
        seen = encoder.activations(pictures(), layers)
        for layer, readout in zip(layers, model.readouts, strict=True):
            torch.nn.init.normal_(readout.weight)
            readout.weight /= readout(seen[layer]).std()
    return model


@pytest.fixture(scope="module")
def model():
    return model_of(built(), READ)


def group(category, *units, role=Role.NAMED, number=1):
    return Group(role, category, units, number)


def pictures(n=2, size=(48, 64), seed=0):
    return torch.rand(n, 3, *size, generator=torch.Generator().manual_seed(seed))


def hooks_left(encoder):
    return sum(len(m._forward_hooks) for m in encoder.modules())


# One of each way to lay out an output: channels first, channels last, tokens; in place; skips.
@pytest.mark.parametrize("name", ["toyvgg", "mobilenet_v2", "resnet18", "swin_t", "vit_b_32"])
def test_taps_and_later_layers_see_what_is_silenced(name):
    encoder, images = built(name), pictures(1, (64, 64))
    layer, last = encoder.layers[2], encoder.layers[-1]
    before = encoder.activations(images, [layer, last])
    values = torch.arange(encoder.channels[layer]) / 7 - 1
    with ablated(encoder, layer, [4, 1], to=values):  # with gradients on, as in a notebook
        after = encoder.activations(images, [layer, last])
    torch.testing.assert_close(after[layer][:, 4], torch.full_like(after[layer][:, 4], -3 / 7))
    torch.testing.assert_close(after[layer][:, 1], torch.full_like(after[layer][:, 1], -6 / 7))
    others = [u for u in range(encoder.channels[layer]) if u not in (1, 4)]
    assert after[layer][:, others].equal(before[layer][:, others])
    assert not after[last].equal(before[last])
    assert hooks_left(encoder) == 0
    again = encoder.activations(images, [layer, last])
    assert all(again[k].equal(before[k]) for k in before)


def test_silencing_is_computing_on_with_the_units_set():
    encoder, images = built(), pictures()
    x = encoder.normalise(images)
    reference = {}
    for name, module in encoder.net.features.named_children():
        x = module(x.clone())
        if f"features.{name}" == encoder.paths["conv2_2"]:
            x[:, [0, 3]] = 0
        reference[f"features.{name}"] = x
    with ablated(encoder, "conv2_2", [0, 3]):
        found = encoder.activations(images, READ)
    for layer in READ:
        torch.testing.assert_close(found[layer], reference[encoder.paths[layer]])


def test_the_encoder_is_as_it_was_also_after_an_error(model):
    before = model(pictures())
    with pytest.raises(ArithmeticError), ablated(model.encoder, "conv2_1", [0]):
        raise ArithmeticError
    assert hooks_left(model.encoder) == 0
    assert model(pictures()).equal(before)
    with ablated(model.encoder, "conv2_1", [0]), ablated(model.encoder, "conv2_1", [1]):
        both = model.encoder.activations(pictures(), ["conv2_1"])["conv2_1"]
    assert not both[:, :2].any()
    assert both[:, 2:].any()


@pytest.mark.parametrize("rows", [1, 1 << 22])
@pytest.mark.parametrize("name", ["toyvgg", "mobilenet_v2", "resnet18", "swin_t"])
@pytest.mark.parametrize("at", [4, -1])
def test_many_groups_at_once_are_one_after_the_other(name, rows, at, monkeypatch):
    monkeypatch.setattr("saliencykit.dissection.ablation.ROWS", rows)
    encoder, images = built(name), pictures(2, (64, 96))
    layers, layer = [encoder.layers[k] for k in (1, 4, -1)], encoder.layers[at]
    model, images = model_of(encoder, layers).double(), images.double()
    groups, values = [[0, 2], [5], [1, 2, 3]], torch.linspace(-1, 1, encoder.channels[layer])
    with torch.inference_mode():
        found = Silenced(model, layer, groups, values).maps(images)
        expected = [model.coarse(images)]
        for units in groups:
            with ablated(encoder, layer, units, to=values):
                expected.append(model.coarse(images))
    torch.testing.assert_close(found, torch.stack(expected, 1), rtol=1e-9, atol=1e-9)
    assert hooks_left(encoder) == 0


def test_the_network_runs_once_if_nothing_behind_the_layer_is_read(monkeypatch):
    monkeypatch.setattr("saliencykit.dissection.ablation.ROWS", 1)
    encoder, runs = built("toyvgg"), []
    for layers, layer, expected in ((["conv5_3"], "conv5_3", 1), (["conv5_3"], "conv5_2", 4)):
        net = Silenced(model_of(encoder, layers), layer, [[0], [1], [2]], torch.zeros(512))
        handle = encoder.net.register_forward_pre_hook(lambda *_: runs.append(1))
        net.maps(pictures())
        handle.remove()
        assert len(runs) == expected
        runs.clear()


def own_region_nss(model, ds, size=None):
    """Region NSS of the model's map by upsampling it, image after image."""
    rows = []
    for i in range(len(ds)):
        sample = ds[i]
        image = sample.image[None].float() / 255
        if size:
            image = interpolate(sample.image[None], size, mode="bilinear", antialias=True) / 255
        with torch.inference_mode():
            maps = model(image, sample.size).double()
        z = (maps - maps.mean()) / maps.std(correction=0)
        for region in sample.regions:
            inside = sample.fixations.count_map(*sample.size) * region.as_mask(*sample.size)
            rows.append(((z[0] * inside).sum() / inside.sum()).item())
    return torch.tensor(rows)


@pytest.mark.parametrize("size", [None, (40, 56)])
def test_effects_are_differences_of_the_models_own_region_nss(model, blobs, size):
    groups = [group("bright", 0, 1, 2, 3), group("dark", 7)]
    effects = ablation_effects(model, blobs, "conv3_1", groups, "zero", size=size, progress=False)
    assert effects.groups == tuple(groups)
    before = own_region_nss(model, blobs, size)
    assert before.isnan().any()  # an image without fixations
    close = {"atol": 2e-5, "rtol": 0, "equal_nan": True}
    torch.testing.assert_close(effects.before, before, **close)
    for g, (_, _, units, _) in enumerate(groups):
        with ablated(model.encoder, "conv3_1", units):
            after = own_region_nss(model, blobs, size)
        assert (after - before).abs().nanmean() > 0.01  # or this tests nothing
        torch.testing.assert_close(effects.change[:, g], after - before, **close)
    table = bootstrap(effects.result, "change", n=20)
    assert table.value.shape == (2, 2)
    assert table.value.loc["dark", 1] == pytest.approx(
        effects.change[effects.result.codes() == 1, 1].nanmean().item(), abs=1e-5
    )


def test_silenced_to_the_mean_over_the_data(model, blobs):
    encoder = model.encoder
    effects = ablation_effects(model, blobs, "conv3_3", [group("g", 3, 4)], progress=False)
    images = torch.stack([blobs.image(i) for i in range(len(blobs))]).float() / 255
    mean = encoder.activations(images, ["conv3_3"])["conv3_3"].mean((0, 2, 3)).detach()
    other = ablation_effects(model, blobs, "conv3_3", [group("g", 3, 4)], mean, progress=False)
    torch.testing.assert_close(effects.change, other.change, atol=2e-5, rtol=0, equal_nan=True)
    zero = ablation_effects(model, blobs, "conv3_3", [group("g", 3, 4)], "zero", progress=False)
    assert (zero.change - effects.change).abs().nan_to_num(0).max() > 1e-3


def test_effects_are_cached_by_content(model, blobs, monkeypatch):
    groups = [group("a", 0)]
    once = ablation_effects(model, blobs, "conv3_2", groups, progress=False)
    calls = []
    maps = Silenced.maps
    monkeypatch.setattr(Silenced, "maps", lambda self, x: calls.append(1) or maps(self, x))
    again = ablation_effects(model, blobs, "conv3_2", groups, progress=False)
    assert not calls
    assert again.change.nan_to_num(9).equal(once.change.nan_to_num(9))
    ablation_effects(model, blobs, "conv3_2", [group("a", 1)], progress=False)
    assert calls


def test_nothing_is_lost_by_units_that_the_map_does_not_use(blobs):
    model = model_of(built(), ["conv4_3"])
    used = ablation_effects(model, blobs, "conv4_3", [group("g", 5)], "zero", progress=False)
    assert used.change.abs().nan_to_num(0).max() > 0.01
    model.readouts[0].weight.data[:, 5] = 0
    unused = ablation_effects(model, blobs, "conv4_3", [group("g", 5)], "zero", progress=False)
    assert unused.change.abs().nan_to_num(0).max() < 1e-6


def test_what_cannot_be_ablated_is_refused(model, blobs):
    encoder = model.encoder
    with (
        pytest.raises(UnknownNameError, match="'conv3_3'"),
        ablated(encoder, "conv33", [0]),
    ):
        pass
    with pytest.raises(IndexError, match=r"units: .* 0 … 31"), ablated(encoder, "conv3_3", [32]):
        pass
    with pytest.raises(IndexError, match="-1"), ablated(encoder, "conv3_3", [-1, 2]):
        pass
    with pytest.raises(ValueError, match="no units"), ablated(encoder, "conv3_3", []):
        pass
    with (
        pytest.raises(ValueError, match="32 units"),
        ablated(encoder, "conv3_3", [0], torch.zeros(3)),
    ):
        pass
    with pytest.raises(ValueError, match="unit_moments"), ablated(encoder, "conv3_3", [0], "mean"):
        pass
    assert hooks_left(encoder) == 0
    with pytest.raises(IndexError, match="text: units"):
        ablation_effects(model, blobs, "conv3_3", [group("text", 99)], progress=False)
    with pytest.raises(ValueError, match="conv5_1 lies behind"):
        ablation_effects(model, blobs, "conv5_1", [group("text", 9)], progress=False)


def test_the_class_token_stays():
    encoder = built("vit_b_32")
    layer, answers = encoder.layers[0], []
    block = encoder.net.get_submodule(encoder.paths[layer])
    with ablated(encoder, layer, range(encoder.channels[layer])):
        block.register_forward_hook(lambda module, inputs, answer: answers.append(answer))
        encoder.activations(pictures(1), [encoder.layers[1]])
    (out,) = answers
    assert out[:, 0].any()
    assert not out[:, 1:].any()


# Contributions


@pytest.mark.parametrize("size", [None, (40, 56)])
def test_contributions_sum_to_the_region_nss_of_the_map(model, blobs, size):
    found = contributions(model, blobs, size=size, batch=5, progress=False)
    assert found.layers == READ
    assert [found.of(k).shape[1] for k in READ] == [16, 32, 64]
    total = sum(found.of(layer).double().sum(1) for layer in READ)
    expected = own_region_nss(model, blobs, size).double()
    torch.testing.assert_close(total, expected, atol=2e-5, rtol=0, equal_nan=True)


def test_contributions_of_one_layer_are_scaled_region_nss(blobs):
    """With one layer read, unit by unit: weight × its own region NSS × its std / the map's."""
    model = model_of(built(), ["conv3_3"])
    found = contributions(model, blobs, progress=False).of("conv3_3")
    sample = blobs[0]
    image = sample.image[None].float() / 255
    with torch.inference_mode():
        maps = model.encoder.activations(image, ["conv3_3"])["conv3_3"]
        up = interpolate(maps, sample.size, mode="bilinear").double()
        inside = torch.stack(
            [sample.fixations.count_map(48, 64) * r.as_mask(48, 64) for r in sample.regions]
        )
        scores = region_nss(maps, inside, torch.zeros(len(inside), dtype=torch.long))
        weights = model.readouts[0].weight.flatten().double()
        std = (up * weights[:, None, None]).sum(1).std(correction=0)
        expected = scores * weights * up.std((2, 3), correction=0) / std
    torch.testing.assert_close(
        found[: len(inside)].double(), expected, atol=2e-5, rtol=0, equal_nan=True
    )


def test_contributions_are_cached(model, blobs):
    once = contributions_cached(model, blobs, progress=False)
    again = contributions_cached(model, blobs, progress=True)
    assert once.of("conv4_3").nan_to_num(9).equal(again.of("conv4_3").nan_to_num(9))
    assert once.selectivity("conv4_3").shape == (2, 64)


def test_some_groups_effects_are_columns_of_all(model, blobs):
    groups = [group("a", 0), group("b", 1, 2), group("c", 3)]
    every = ablation_effects(model, blobs, "conv3_3", groups, progress=False)
    some = every.only([groups[2], groups[0]])
    alone = ablation_effects(model, blobs, "conv3_3", some.groups, progress=False)
    torch.testing.assert_close(some.change, alone.change, equal_nan=True)
    torch.testing.assert_close(some.before, alone.before, equal_nan=True)
    with pytest.raises(ValueError, match="not in tuple"):
        every.only([group("d", 9)])


# Moments and groups


def test_moments_are_those_of_all_activations_and_hold_no_images(blobs):
    encoder = built()
    found = unit_moments(encoder, blobs, ["conv1_1", "conv3_3"], batch=5, progress=False)
    images = torch.stack([blobs.image(i) for i in range(len(blobs))]).float() / 255
    for layer, moments in found.items():
        values = encoder.activations(images, [layer])[layer].movedim(1, 0).flatten(1).double()
        torch.testing.assert_close(moments.mean, values.mean(1), atol=1e-6, rtol=0)
        torch.testing.assert_close(moments.std, values.std(1, correction=0), atol=1e-6, rtol=0)
        assert moments.mean.shape == (encoder.channels[layer],)
    cached = unit_moments_cached(encoder, blobs, ["conv3_3"], progress=False)["conv3_3"]
    torch.testing.assert_close(cached, found["conv3_3"])
    with pytest.raises(UnknownNameError, match="'conv3_3'"):
        unit_moments(encoder, blobs, ["conv3-3"], progress=False)
    with pytest.raises(ValueError, match="no images"):
        unit_moments(encoder, Blobs(0), ["conv3_3"], progress=False)


def test_random_groups_are_seeded_and_keep_away_from_the_excluded():
    groups = random_groups(20, 5, repeats=40, seed=1, exclude=[0, 1, 2])
    assert groups == random_groups(20, 5, repeats=40, seed=1, exclude=[0, 1, 2])
    assert groups != random_groups(20, 5, repeats=40, seed=2, exclude=[0, 1, 2])
    assert all(len(set(g)) == 5 for g in groups)
    assert set().union(*groups) == set(range(3, 20))
    with pytest.raises(ValueError, match="18 units wanted, of 17"):
        random_groups(20, 18, 1, exclude=[0, 1, 2])
    with pytest.raises(ValueError, match="0 units wanted"):
        random_groups(20, 0, 1)


def far(traits, chosen, group):
    """How far a group's mean traits and ranks lie from the chosen ones', worked out plainly."""
    values = np.stack([np.asarray(t, float) for t in traits])
    look = np.concatenate([values, [pd.Series(v).rank().to_numpy() for v in values]])
    look = (look - look.mean(1, keepdims=True)) / look.std(1, keepdims=True)
    return np.linalg.norm(look[:, group].mean(1) - look[:, chosen].mean(1))


def test_matched_groups_are_the_nearest_of_all():
    random = np.random.default_rng(0)
    traits = [torch.tensor(random.lognormal(0, 1, 14)), torch.tensor(random.normal(size=14))]
    chosen = [3, 10, 7]
    groups = matched_groups(traits, chosen, repeats=2, seed=5)
    assert groups == matched_groups(traits, chosen, repeats=2, seed=5)
    others = [u for u in range(14) if u not in chosen]
    every = sorted(combinations(others, 3), key=lambda group: far(traits, chosen, group))
    assert tuple(groups[0]) == every[0]
    assert tuple(groups[1]) in every[1:8]
    alike = torch.tensor([5.0, 1, 2, 5, 1, 2, 9, 9, 9])  # 3, 4 and 5 are twins of 0, 1 and 2
    assert matched_groups([alike], [0, 1, 2], repeats=1) == [[3, 4, 5]]
    with pytest.raises(ValueError, match="8 units wanted, of 6"):
        matched_groups(traits, list(range(8)), repeats=1)


def test_matched_groups_contribute_as_much_as_those_they_are_matched_with():
    """Also where what makes up the map hangs together with no activity."""
    random = np.random.default_rng(1)
    mean, std, added = (torch.tensor(random.lognormal(0, 0.7, 96)) for _ in range(3))
    best = added.argsort(descending=True)[1::3][:5].tolist()  # others contribute as much
    own = added[best].sum().item()
    groups = matched_groups([mean, std, added], best, repeats=5)
    assert len({*map(tuple, groups)}) == 5
    for group in groups:
        assert len(set(group)) == 5
        assert not set(group) & set(best)
        assert added[group].sum().item() == pytest.approx(own, rel=0.15)
        assert mean[group].mean().item() == pytest.approx(mean[best].mean().item(), rel=0.25)
    blind = [added[group].sum() for group in matched_groups([mean, std], best, repeats=5)]
    assert max(blind) < 0.7 * own  # or this tests nothing


def fake_result(scores, images, categories, names=("text", "head")):
    table = pd.DataFrame(
        {"image": images, "category": categories, "sure": True, "fixations": [3] * len(images)}
    )
    return Dissection(scores, table, names)


def test_most_selective_units():
    scores = torch.tensor([[1.0, 3, 2, 0], [1, 5, 0, 0], [9, 0, 0, 0]])
    res = fake_result(
        {"a": scores}, ["i", "j", "i"], ["text", "text", "head"], ("text", "head", "x")
    )
    assert most_selective(res, "a", "text", 2) == [1, 0]
    assert most_selective(res, "a", "head", 1) == [0]
    # Unit 0 answers to text and to heads, and more to heads: by contrast text's are 1 and then 2.
    assert most_selective(res, "a", "text", 4, by="contrast") == [1, 2, 3, 0]
    assert most_selective(res, "a", "head", 1, by="contrast") == [0]
    only = fake_result({"a": scores}, ["i", "j", "i"], ["text"] * 3, ("text", "head"))
    assert most_selective(only, "a", "text", 2, by="contrast") == [0, 1]  # nothing to hold against
    with pytest.raises(UnknownNameError, match="'contrast'"):
        most_selective(res, "a", "text", by="contrasts")
    with pytest.raises(UnknownNameError, match="'text'"):
        most_selective(res, "a", "texts")
    with pytest.raises(ValueError, match="'x'"):
        most_selective(res, "a", "x", 1)
    with pytest.raises(ValueError, match="5 units wanted"):
        most_selective(res, "a", "text", 5)


def test_controls_know_their_category():
    groups = with_controls({"text": [1], "head": [2]}, {"text": [[3], [4]]}, [[5]])
    assert groups == [
        group("text", 1),
        group("text", 3, role=Role.MATCHED),
        group("text", 4, role=Role.MATCHED, number=2),
        group("head", 2),
        group(None, 5, role=Role.RANDOM),
    ]
    assert list(map(str, groups[1:])) == [
        "matched to text 1",
        "matched to text 2",
        "head",
        "random 1",
    ]


def test_memory_does_not_grow_with_the_images(model):
    """Only scores are kept: one number for each region and group."""
    kept = {}
    for n in (4, 8):
        effects = ablation_effects(model, Blobs(n), "conv3_3", [group("a", 0)], progress=False)
        entry = effects.result.to_entry()
        kept[n] = sum(v.numel() for v in entry.tensors.values())
    assert kept == {4: 4 * 2 * 2, 8: 8 * 2 * 2}


def test_encoders_with_a_skip_around_the_layer_are_not_silently_wrong():
    class Skips(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.third = (torch.nn.Tanh() for _ in range(3))

        def forward(self, x):
            early = self.first(x)
            return self.third(self.second(early) + early)

    encoder = Encoder("skips", Skips(), "untrained")
    model = model_of(encoder, ["third"])
    net = Silenced(model, "second", [[0]], torch.zeros(3))
    with pytest.raises(RuntimeError, match="size"):
        net.maps(pictures(3))
