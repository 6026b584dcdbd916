"""Somebody's own module as an encoder: wrapped, compiled, half, in any layout, to the end."""

import copy

import pytest
import torch
import torchvision
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import relu

from saliencykit import datasets
from saliencykit.dissection import Group, Role, ablated, ablation_effects, dissect, dissect_cached
from saliencykit.models import SaliencyModel, Settings, TwoScales, build_encoder, train
from saliencykit.registry import UnknownNameError
from tests.conftest import Blobs

SIZE = (64, 96)
FEW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


class Trunk(nn.Module):
    """Three stages of convolution and ReLU, 4, 6 and 8 units, and a head for vectors."""

    def __init__(self):
        super().__init__()
        self.stages = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.ReLU(inplace=True))
                for a, b in ((3, 4), (4, 6), (6, 8))
            )
        )
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        return self.fc(self.stages(x).mean((-1, -2)))


class Wrapper(nn.Module):
    def __init__(self, inside):
        super().__init__()
        self.backbone = inside

    def forward(self, x):
        return self.backbone(x).softmax(-1)


class ChannelsLast(nn.Module):
    """A network that thinks in (B, height, width, units), as Swin and ConvNeXt do inside."""

    def __init__(self, units=9):
        super().__init__()
        self.first, self.act = nn.Linear(3, units), nn.GELU()
        self.second, self.out = nn.Linear(units, units), nn.GELU()

    def forward(self, x):
        x = self.act(self.first(x[..., ::4, ::4].permute(0, 2, 3, 1)))
        return self.out(self.second(x))


class Tokens(nn.Module):
    """A vision transformer: patches of 8 pixels, and tokens of its own before them."""

    def __init__(self, units=10, extra=1, size=None):
        super().__init__()
        self.patches = nn.Conv2d(3, units, 8, 8)
        self.extra = nn.Parameter(torch.randn(1, extra, units))
        places = 0 if size is None else size[0] // 8 * (size[1] // 8) + extra
        self.places = nn.Parameter(torch.randn(1, places, units)) if places else None
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(units, 2, 16, batch_first=True) for _ in range(2)
        )

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.extra.expand(len(x), -1, -1), tokens], 1)
        tokens = tokens if self.places is None else tokens + self.places
        for block in self.blocks:
            tokens = block(tokens)
        return tokens[:, 0]


class TokensFirst(Tokens):
    """The same with tokens before images, (N, B, C), as `torch.nn.Transformer` has them."""

    def __init__(self, units=10, extra=1, size=None):
        super().__init__(units, extra, size)
        self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(units, 2, 16) for _ in range(2))

    def forward(self, x):
        tokens = self.patches(x).flatten(2).permute(2, 0, 1)
        tokens = torch.cat([self.extra.transpose(0, 1).expand(-1, len(x), -1), tokens])
        tokens = tokens if self.places is None else tokens + self.places.transpose(0, 1)
        for block in self.blocks:
            tokens = block(tokens)
        return tokens[0]


class Laid(nn.Module):
    """Patches, laid out as letters say (images b, units c, rows h, columns w, tokens n), squashed.

    `extra` tokens stand before those of the grid.
    """

    def __init__(self, layout, units, patch, extra=0, size=None):
        super().__init__()
        self.layout, self.extra, self.size = layout, extra, size
        self.patches, self.squash = nn.Conv2d(3, units, patch, patch), nn.Tanh()

    def forward(self, x):
        if self.size and x.shape[-2:] != self.size:
            raise ValueError(f"images of {self.size}, please")
        x = self.patches(x)
        if "n" in self.layout:
            x = nn.functional.pad(x.flatten(2), (self.extra, 0), value=0.5)
        letters = "bcn" if "n" in self.layout else "bchw"
        return self.squash(x.permute([letters.index(letter) for letter in self.layout]))


class Transposed(nn.Module):
    """Tokens with the units first: (B, C, N)."""

    def __init__(self):
        super().__init__()
        self.patches, self.mix = nn.Conv2d(3, 6, 4, 4), nn.Conv1d(6, 7, 1)
        self.act = nn.Tanh()

    def forward(self, x):
        return self.act(self.mix(self.patches(x).flatten(2)))


class WithSize(nn.Module):
    """Blocks that answer with the map and its size, a tuple."""

    class Block(nn.Module):
        def __init__(self, a, b):
            super().__init__()
            self.conv = nn.Conv2d(a, b, 3, 2, 1)

        def forward(self, x):
            x = self.conv(x).tanh()
            return x, tuple(x.shape[-2:])

    def __init__(self):
        super().__init__()
        self.one, self.two = self.Block(3, 5), self.Block(5, 6)

    def forward(self, x):
        x, _ = self.one(x)
        return self.two(x)[0]


class Functions(nn.Module):
    """Activations that are functions: nothing but linear steps to be seen from outside."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3)

    def forward(self, x):
        return relu(self.two(relu(self.one(x))))


class Skips(nn.Module):
    """A U-Net's way around: what is deep is added to what was early."""

    def __init__(self):
        super().__init__()
        self.early = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.Tanh())
        self.deep = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.Tanh())
        self.out = nn.Tanh()

    def forward(self, x):
        early = self.early(x)
        return self.out(self.deep(early) + early)


def pictures(n=2, size=SIZE):
    return torch.rand(n, 3, *size, generator=torch.Generator().manual_seed(0))


def made(kind, *args, **how):
    torch.manual_seed(0)
    return kind(*args, **how).eval()


def resnet(**how):
    return torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1], **how)


# What is given, its layers, units of the deepest, the map of that at 48 × 80.
GIVEN = {
    "plain": (Trunk, ["stages.0.1", "stages.1.1", "stages.2.1"], (8, 8, 12)),
    "wrapped": (
        lambda: Wrapper(Trunk()),
        [f"backbone.stages.{i}.1" for i in range(3)],
        (8, 8, 12),
    ),
    "wrapped twice": (
        lambda: nn.DataParallel(Wrapper(Wrapper(Trunk()))),
        [f"backbone.backbone.stages.{i}.1" for i in range(3)],
        (8, 8, 12),
    ),
    "torchvision's in a wrapper": (
        lambda: Wrapper(resnet(num_classes=7)),
        ["backbone.relu", *(f"backbone.layer{i}.0" for i in range(1, 5))],
        (512, 2, 3),
    ),
    "compiled": (
        lambda: torch.compile(Trunk()),
        [f"stages.{i}.1" for i in range(3)],
        (8, 8, 12),
    ),
    "compiled inside": (
        lambda: Wrapper(torch.compile(Trunk())),
        [f"backbone._orig_mod.stages.{i}.1" for i in range(3)],
        (8, 8, 12),
    ),
    "channels last": (ChannelsLast, ["act", "out"], (9, 16, 24)),
    "as many units as rows": (lambda: ChannelsLast(16), ["act", "out"], (16, 16, 24)),
    "tokens": (Tokens, ["blocks.0", "blocks.1"], (10, 8, 12)),
    "four tokens before": (lambda: Tokens(extra=4), ["blocks.0", "blocks.1"], (10, 8, 12)),
    "tokens before images": (TokensFirst, ["blocks.0", "blocks.1"], (10, 8, 12)),
    "units before tokens": (Transposed, ["act"], (7, 16, 24)),
    "tuples": (WithSize, ["one", "two"], (6, 16, 24)),
    "functions": (Functions, ["one", "two"], (5, 60, 92)),
    "a skip": (Skips, ["early.1", "deep.1", "out"], (6, 64, 96)),
}


@pytest.mark.parametrize("kind", GIVEN)
def test_layers_are_found_and_answer_with_maps(kind):
    given, layers, shape = GIVEN[kind]
    encoder = build_encoder(made(given))
    assert encoder.layers == layers
    assert not encoder.training
    seen = encoder.activations(pictures())
    assert seen[layers[-1]].shape == (2, *shape)
    assert {k: v.shape[1] for k, v in seen.items()} == encoder.channels
    for layer in layers:
        assert encoder.strides[layer] == round(SIZE[0] / seen[layer].shape[2])


def brute_force(module, given, images):
    """What a module answers, on its way through the plain network."""
    answers = []
    tap = module.register_forward_hook(lambda m, i, o: answers.append(copy.deepcopy(o)))
    given(images)
    tap.remove()
    return answers[0]


def test_maps_lie_as_the_image_does():
    """Against what the modules answer, laid out by hand."""
    with torch.inference_mode():
        last = made(ChannelsLast)
        encoder = build_encoder(last)
        truth = brute_force(last.act, last, encoder.normalise(pictures()))
        torch.testing.assert_close(
            encoder.activations(pictures())["act"], truth.permute(0, 3, 1, 2)
        )
        for extra in (0, 1, 4):
            tokens = made(Tokens, extra=extra)
            encoder = build_encoder(tokens)
            truth = brute_force(tokens.blocks[0], tokens, encoder.normalise(pictures()))
            found = encoder.activations(pictures())["blocks.0"]
            for row, column in ((0, 0), (0, 11), (7, 3)):
                torch.testing.assert_close(
                    found[:, :, row, column], truth[:, extra + row * 12 + column]
                )


LAYOUTS = ("bchw", "bhwc", "hwbc", "chwb", "bnc", "bcn", "nbc", "ncb", "cbn")


@FEW
@given(
    st.sampled_from(LAYOUTS),
    st.integers(2, 40),
    st.sampled_from([4, 7, 8]),
    st.integers(0, 3),
    st.integers(2, 5),
    st.integers(2, 5),
    st.sampled_from([None, "bchw", "bhwc", "bnc", "bcn", "nbc"]),
)
@torch.no_grad()
def test_any_layout_is_told_and_read(layout, units, patch, extra, rows, columns, fixed):
    """Against the module's own numbers, put in order by hand."""
    size = (rows * patch, columns * patch)
    if fixed:  # a network of one size tells less: not all layouts, no units as many as tokens
        layout, units = fixed, 50 + units
    net = made(Laid, layout, units, patch, extra * ("n" in layout), size if fixed else None)
    net.image_size = size
    encoder = build_encoder(net)
    assert encoder.channels == {"squash": units}
    truth = brute_force(net.squash, net, encoder.normalise(pictures(3, size)))
    letters = "bcn" if "n" in layout else "bchw"
    truth = truth.permute([layout.index(letter) for letter in letters])
    if "n" in layout:
        truth = truth[..., net.extra :].reshape(3, units, rows, columns)
    seen = encoder.activations(pictures(3, size))["squash"]
    assert seen.equal(truth)
    with ablated(encoder, "squash", [1], to=torch.full((units,), 0.25)):
        silent = encoder.activations(pictures(3, size))["squash"]
    truth[:, 1] = 0.25
    assert silent.equal(truth)


class Constant(nn.Module):
    """Learned places of tokens, which answer alike to any number of images."""

    def __init__(self):
        super().__init__()
        self.patches, self.where, self.act = nn.Conv2d(3, 5, 8, 8), self.Places(), nn.Tanh()

    class Places(nn.Module):
        def __init__(self):
            super().__init__()
            self.per_unit = nn.Parameter(torch.randn(1, 5, 1, 1))

        def forward(self, x):
            return self.per_unit.expand(-1, -1, *x.shape[2:])

    def forward(self, x):
        x = self.patches(x)
        return self.act(x + self.where(x))


def test_what_answers_alike_to_any_number_of_images_is_no_layer():
    assert build_encoder(made(Constant)).layers == ["act"]
    why = (
        r"where of Constant cannot be a layer: answers with \(1, 5, 28, 56\) to one image and \(1,"
    )
    with pytest.raises(ValueError, match=why):
        build_encoder(made(Constant), layers=["where"])


@pytest.mark.parametrize("size", [(64, 64), (40, 72), (75, 100)])
def test_tokens_find_their_grid_at_other_sizes(size):
    seen = build_encoder(made(Tokens)).activations(pictures(1, size))
    assert seen["blocks.1"].shape[2:] == (size[0] // 8, size[1] // 8)


@pytest.mark.parametrize("size", [(32, 32), (24, 56)])
@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize("kind", [Tokens, TokensFirst])
def test_a_network_of_one_size_gets_images_of_that(size, extra, kind):
    net = made(kind, extra=extra, size=size)
    net.image_size = size
    encoder = build_encoder(net)
    assert encoder.fixed_size == size
    assert encoder.activations(pictures(1))["blocks.0"].shape == (1, 10, size[0] // 8, size[1] // 8)


def test_a_network_of_one_size_that_does_not_say_which():
    assert build_encoder(made(Tokens, size=(32, 32))).fixed_size == (32, 32)
    with pytest.raises(ValueError, match=r"Tokens could not be run .*224 × 448.*set image_size"):
        build_encoder(made(Tokens, size=(40, 72)))


@pytest.mark.parametrize(
    "kind", ["channels last", "tokens", "tokens before images", "units before tokens", "tuples"]
)
def test_silencing_a_unit_changes_that_unit_and_no_other(kind):
    given, layers, _ = GIVEN[kind]
    encoder = build_encoder(made(given))
    with torch.inference_mode():
        before = encoder.activations(pictures())
        with ablated(encoder, layers[0], [2], to=torch.full((encoder.channels[layers[0]],), 0.3)):
            after = encoder.activations(pictures())
    assert before[layers[0]][:, 2].std() > 0
    torch.testing.assert_close(after[layers[0]][:, 2], torch.full_like(after[layers[0]][:, 2], 0.3))
    others = [u for u in range(encoder.channels[layers[0]]) if u != 2]
    assert after[layers[0]][:, others].equal(before[layers[0]][:, others])
    if len(layers) > 1:
        assert not after[layers[-1]].equal(before[layers[-1]])


def test_tokens_before_the_grid_are_not_silenced():
    net = made(Tokens, extra=2)
    encoder = build_encoder(net)
    with torch.inference_mode(), ablated(encoder, "blocks.0", range(10)):
        encoder.activations(pictures())  # says how large images are
        silent = brute_force(net.blocks[0], net, encoder.normalise(pictures()))
    assert silent[:, :2].all()
    assert not silent[:, 2:].any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_takes_and_gives_single(dtype):
    plain = build_encoder(made(Trunk)).activations(pictures())
    half = build_encoder(made(Trunk).to(dtype)).activations(pictures())
    for layer, activation in half.items():
        assert activation.dtype == torch.float32
        torch.testing.assert_close(activation, plain[layer], atol=0.03, rtol=0.03)
    assert build_encoder(made(Trunk)).half().activations(pictures())[layer].dtype == torch.float32


def test_the_module_is_wrapped_and_left_as_it_is():
    net = made(Trunk).train()
    net.stages[1].eval()
    encoder = build_encoder(net)
    assert encoder.net is net
    assert isinstance(net.fc, nn.Linear)
    assert net(pictures()).shape == (2, 5)
    assert not any(m._forward_hooks for m in net.modules())
    modes = [m.training for m in encoder.modules()]
    encoder.stage = None
    dissect(encoder, Blobs(4), layers=["stages.0.1"], progress=False)
    assert [m.training for m in encoder.modules()] == modes


def test_layers_can_be_chosen():
    encoder = build_encoder(made(Trunk), layers=["stages.2.0", "stages.0"])
    assert encoder.layers == ["stages.0", "stages.2.0"]  # from shallow to deep
    assert list(encoder.activations(pictures())) == encoder.layers
    with pytest.raises(UnknownNameError, match=r"layer of Trunk 'stage\.2'.*Did you mean 'stages"):
        build_encoder(made(Trunk), layers=["stage.2"])
    with pytest.raises(ValueError, match=r"fc of Trunk cannot be a layer: answers with \(1, 5\)"):
        build_encoder(made(Trunk), layers=["fc"])
    assert build_encoder("toyvgg", None, ["conv3_1", "conv1_2"]).layers == ["conv1_2", "conv3_1"]
    with pytest.raises(UnknownNameError, match="Did you mean 'conv3_1'"):
        build_encoder("toyvgg", None, ["conv31"])


class Flattens(Trunk):
    """A head for images of one size; what is before it takes any."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8 * 4 * 4, 5)

    def forward(self, x):
        return self.fc(self.stages(x).flatten(1))


@pytest.mark.parametrize("side", [32, 40])  # one is tried, the other is not
def test_a_head_of_one_size_does_not_bind_the_trunk(side):
    net = made(Flattens)
    net.fc = nn.Linear(8 * (side // 8) ** 2, 5)
    encoder = build_encoder(net)
    assert encoder.fixed_size is None
    truth = build_encoder(made(Trunk)).activations(pictures())
    found = encoder.activations(pictures())
    assert all(found[layer].equal(truth[layer]) for layer in encoder.layers)


def test_vgg_s_layers_are_named_as_the_papers():
    net = torchvision.models.VGG(torchvision.models.vgg.make_layers([4, "M", 6, 6, "M"]))
    assert build_encoder(net).layers == ["conv1_1", "conv2_1", "conv2_2"]
    assert build_encoder(net, layers=["conv2_1"]).channels == {"conv2_1": 6}


class Reusing(Functions):
    def __init__(self):
        super().__init__()
        self.relu, self.last = nn.ReLU(), nn.Tanh()

    def forward(self, x):
        return self.last(self.relu(self.two(self.relu(self.one(x)))))


def test_a_module_that_runs_several_times_is_told():
    with pytest.warns(UserWarning, match="Reusing: relu .*run several times and so are no layers"):
        assert build_encoder(made(Reusing)).layers == ["last"]


class Pools(Functions):
    """Activations that are functions, one of them before a pooling, one behind it."""

    def __init__(self):
        super().__init__()
        self.behind, self.before = nn.MaxPool2d(2), nn.MaxPool2d(2)

    def forward(self, x):
        return relu(self.before(self.two(self.behind(relu(self.one(x))))))


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        (Pools, r"Behind an activation are layers=\['behind'\]: name these instead, or give each"),
        (
            Functions,
            "None of its modules is behind an activation, .*: give each activation a module",
        ),
    ],
)
def test_layers_before_the_non_linearity_are_warned_of(kind, advice):
    words = rf"{kind.__name__} has no activation as a module.*may be negative: one, two\. {advice}"
    with pytest.warns(UserWarning, match=words):
        encoder = build_encoder(made(kind))
    assert encoder.activations(pictures())["one"].min() < 0


@pytest.mark.filterwarnings("error")
def test_layers_that_are_named_are_not_warned_of():
    encoder = build_encoder(made(Pools), layers=["behind"])
    assert encoder.activations(pictures())["behind"].min() >= 0
    build_encoder(made(Trunk))


class Vectors(nn.Module):
    """Nothing that could be tapped: pixels averaged, a module used twice, one that is not run."""

    def __init__(self):
        super().__init__()
        self.twice, self.idle, self.fc = nn.Tanh(), nn.Sigmoid(), nn.Linear(3, 4)
        self.inner = nn.Linear(3, 3)

    def forward(self, x):
        return self.fc(self.inner(self.twice(self.twice(x)).mean((-1, -2))))


def test_no_layers_is_an_error_that_says_what_was_looked_at():
    with pytest.raises(ValueError, match="Vectors has no layers") as told:
        build_encoder(Vectors())
    for why in (
        "twice runs 2 times, so it has no one answer",
        "idle is not run",
        "inner answers with (1, 3), which is no map (1, units, height, width)",
        "fc a head, which is not run",
    ):
        assert why in str(told.value)


def test_what_cannot_be_run_is_an_error_that_says_why():
    with pytest.raises(ValueError, match=r"Linear could not be run on .* \(1, 3, height, width\)"):
        build_encoder(nn.Linear(5, 4))


class OnTheSpot(Trunk):
    """Cannot run on the meta device: a constant that is no buffer, a value that decides."""

    def __init__(self):
        super().__init__()
        self.shift = torch.full((3, 1, 1), 0.1)

    def forward(self, x):
        x = x + self.shift
        return super().forward(x if x.sum().item() > 0 else x + 1)


def test_what_needs_values_to_run_is_run_with_values():
    encoder = build_encoder(made(OnTheSpot))
    assert encoder.channels == build_encoder(made(Trunk)).channels
    assert not any(m._forward_hooks for m in encoder.modules())


def test_normalisation_is_the_module_s_own_or_imagenet_s():
    net = made(Trunk)
    torch.testing.assert_close(build_encoder(net).mean[0, 0, 0], torch.tensor(0.485))
    net.normalise = ((0.1, 0.2, 0.3), (1.0, 1.0, 1.0))
    torch.testing.assert_close(
        build_encoder(net).normalise(torch.zeros(1, 3, 1, 1)).flatten(),
        torch.tensor([-0.1, -0.2, -0.3]),
    )
    net.normalise = lambda images: images  # a method of that name is none
    torch.testing.assert_close(build_encoder(net).mean[0, 0, 0], torch.tensor(0.485))


@pytest.mark.parametrize("kind", [list, torch.tensor])
def test_normalisation_may_be_any_pair_of_three_numbers(kind):
    net = made(Trunk)
    net.normalise = kind([[0.1, 0.2, 0.3], [1.0, 2.0, 3.0]])
    encoder = build_encoder(net)
    torch.testing.assert_close(encoder.mean.flatten(), torch.tensor([0.1, 0.2, 0.3]))
    torch.testing.assert_close(encoder.std.flatten(), torch.tensor([1.0, 2.0, 3.0]))


@pytest.mark.parametrize("wrong", [((0.5,), (0.5, 0.5)), (0.5, 0.5), "imagenet", torch.ones(3)])
def test_normalisation_that_is_none_is_an_error(wrong):
    net = made(Trunk)
    net.normalise = wrong
    with pytest.raises(ValueError, match=r"Trunk\.normalise is to be a pair of three numbers"):
        build_encoder(net)


class Grey(Trunk):
    """A network for images of one channel."""

    def __init__(self):
        super().__init__()
        self.stages[0][0] = nn.Conv2d(1, 4, 3, 2, 1)


@pytest.mark.parametrize("normalise", [None, [[0.4], [0.2]], [[0.1, 0.2, 0.3], [1.0, 2.0, 3.0]]])
def test_a_network_of_grey_images_gets_their_luminance(normalise):
    net = made(Grey)
    if normalise:
        net.normalise = normalise
    encoder = build_encoder(net)
    assert encoder.layers == [f"stages.{i}.1" for i in range(3)]
    with torch.no_grad():
        seen = encoder.activations(pictures())["stages.2.1"]
        r, g, b = pictures().unbind(1)
        luminance = 0.299 * r + 0.587 * g + 0.114 * b
        mean, std = {
            None: (0.458971, 0.225609),  # ImageNet's, weighed alike
            0.4: (0.4, 0.2),
            0.1: (0.1815, 1.815),
        }[normalise and normalise[0][0]]
        truth = net.stages((luminance[:, None] - mean) / std)
    torch.testing.assert_close(seen, truth, rtol=1e-3, atol=1e-4)
    dissect(encoder, datasets.load("toyworld").thinned(2), size=SIZE, progress=False)


def test_what_is_wrong_with_a_grey_network_is_told_of_grey_images():
    net = made(Grey)
    net.stages[1][0] = nn.Conv2d(5, 6, 3)
    with pytest.raises(
        ValueError, match=r"Grey could not be .* \(1, 1, height, width\).*5 channels"
    ):
        build_encoder(net)


def test_one_number_is_no_normalisation_of_three_channels():
    net = made(Trunk)
    net.normalise = ((0.5,), (0.5,))
    with pytest.raises(
        ValueError, match=r"Trunk\.normalise has one number each, .* three channels"
    ):
        build_encoder(net)


def test_weights_of_an_own_module(tmp_path):
    torch.manual_seed(5)
    other = Trunk()
    torch.save(other.state_dict(), tmp_path / "w.pth")
    net = made(Trunk)
    encoder = build_encoder(net, tmp_path / "w.pth")
    assert all(v.equal(other.state_dict()[k]) for k, v in net.state_dict().items())
    assert encoder.weights == str(tmp_path / "w.pth")
    assert build_encoder(net).weights == "its own"
    with pytest.raises(ValueError, match=r"Your own Trunk keeps its weights.*'imagenet' is none"):
        build_encoder(net, "imagenet")


# Fingerprints


def network(code, **names):
    """A class written just now, as in a notebook's cell."""
    space = {"nn": nn, "torch": torch, "__name__": "__main__", **names}
    exec(code, space)
    torch.manual_seed(0)
    return space["Net"]()


CODE = """
SCALE = 2.0
def squash(x):
    return torch.tanh(x)
class Net(nn.Module):
    def __init__(self, power=1):
        super().__init__()
        self.conv, self.act, self.power = nn.Conv2d(3, 4, 3, 2), nn.ReLU(), power
    def forward(self, x):
        "What it does."
        return squash(self.act(self.conv(x)) * SCALE)
"""


def fingerprint(code, change=lambda net: None):
    net = network(code)
    change(net)
    return build_encoder(net).fingerprint


def test_the_fingerprint_tells_networks_apart_by_weights_code_and_settings():
    same = fingerprint(CODE)
    assert fingerprint(CODE) == same
    assert fingerprint(CODE.replace("SCALE = 2.0", "\n\nSCALE = 2.0  # twice")) == same
    changed = {
        "a constant": fingerprint(CODE.replace("SCALE = 2.0", "SCALE = 3.0")),
        "a function": fingerprint(CODE.replace("torch.tanh", "torch.sin")),
        "the way forward": fingerprint(CODE.replace("self.conv(x))", "self.conv(x) + 1)")),
        "a setting": fingerprint(CODE, lambda net: setattr(net, "power", 2)),
        "a module's setting": fingerprint(CODE, lambda net: setattr(net.conv, "stride", (1, 1))),
        "a weight": fingerprint(CODE, lambda net: net.conv.bias.data.add_(1)),
        "a constant tensor": fingerprint(CODE, lambda net: setattr(net, "c", torch.ones(1))),
    }
    assert len({same, *changed.values()}) == 1 + len(changed)


def test_the_fingerprint_knows_the_normalisation_whatever_it_is_written_as():
    prints = []
    for mean in 0.1, 0.2:
        net = made(Trunk)
        net.normalise = [torch.full((3,), mean), torch.ones(3)]
        prints.append(build_encoder(net).fingerprint)
    assert prints[0] != prints[1]


def test_the_fingerprint_knows_which_layers_were_chosen():
    whole, part = build_encoder(made(Trunk)), build_encoder(made(Trunk), layers=["stages.0.1"])
    assert whole.fingerprint != part.fingerprint
    assert build_encoder(made(Trunk)).fingerprint == whole.fingerprint
    torch.manual_seed(0)
    named = build_encoder("toyvgg", None)
    torch.manual_seed(0)
    assert build_encoder("toyvgg", None, named.layers[:2]).fingerprint != named.fingerprint


# To the end


@pytest.mark.parametrize(
    "kind", ["wrapped", "channels last", "tokens", "tokens before images", "a skip"]
)
def test_from_a_module_to_regions_maps_and_ablations(kind):
    given, layers, _ = GIVEN[kind]
    encoder = build_encoder(made(given))
    data = datasets.load("toyworld").thinned(3)
    found = dissect(encoder, data, size=SIZE, progress=False)
    assert {k: v.shape[1] for k, v in found.scores.items()} == encoder.channels
    assert dissect_cached(encoder, data, size=SIZE, progress=False).scores.keys() == set(layers)
    model = SaliencyModel(encoder, layers).eval()
    assert model(pictures()).shape == (2, *SIZE)
    groups = [Group(Role.NAMED, "text", (1, 2), 1), Group(Role.NAMED, "head", (3,), 1)]
    effects = ablation_effects(model, data, layers[0], groups, size=SIZE, progress=False)
    assert effects.change.shape == (len(found.regions), 2)
    assert effects.change.abs().nanmean() > 0
    alone = ablation_effects(model, data, layers[0], groups[1:], size=SIZE, progress=False)
    torch.testing.assert_close(alone.change[:, 0], effects.change[:, 1], equal_nan=True)


def test_it_learns_is_kept_and_comes_back(tmp_path):
    encoder, data = build_encoder(made(Trunk)), Blobs(4)
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    how = Settings(size=SIZE, epochs=2, batch=4)
    model, curve = train(encoder, data, layer=encoder.layers[1:], settings=how)
    again, kept = train(encoder, data, layer=encoder.layers[1:], settings=how)
    assert kept.equals(curve)
    assert again(pictures()).equal(model(pictures()))
    assert all(v.equal(before[k]) for k, v in encoder.state_dict().items())
    assert not model.encoder.net.stages[1][0].weight.equal(encoder.net.stages[1][0].weight)
    model.save(tmp_path / "own.safetensors")
    found = SaliencyModel.load(tmp_path / "own.safetensors", encoder)
    assert found(pictures()).equal(model(pictures()))
    with pytest.raises(ValueError, match=r"own\.safetensors .*somebody's own network, Trunk: give"):
        SaliencyModel.load(tmp_path / "own.safetensors")


def test_it_can_look_twice():
    encoder = TwoScales(build_encoder(made(Tokens)), 0.5)
    seen = encoder.activations(pictures(), ["blocks.1", "blocks.1@0.5"])
    assert seen["blocks.1"].shape[2:] == (8, 12)
    assert seen["blocks.1@0.5"].shape[2:] == (4, 6)
    with ablated(encoder, "blocks.0@0.5", [1]):
        half = encoder.activations(pictures(), ["blocks.0", "blocks.0@0.5"])
    assert half["blocks.0"][:, 1].any()
    assert not half["blocks.0@0.5"][:, 1].any()
