"""Encoders: any torchvision classifier, its tappable layers found by itself, taps that clean up.

An encoder is a classifier without its head. It takes images in [0, 1], normalises them as its
weights expect, and runs no further than the deepest layer asked for.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from inspect import signature
from typing import TypeVar

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.swin_transformer import PatchMerging, PatchMergingV2, SwinTransformerBlock
from torchvision.models.vision_transformer import Encoder as VisionTransformerTrunk
from torchvision.ops import Permute

from ..cache import digest
from ..registry import Registry, check_name
from ..sources import code_of
from .folding import folded, pairs
from .weights import is_path, load_weights, torchvision_net

T = TypeVar("T")
Change = Callable[[nn.Module, Tensor], Tensor]
"""What a layer's module answers, to be replaced by what is returned."""
ENCODERS: Registry[Callable[..., nn.Module]] = Registry("encoder")
"""Encoders of our own: name → f(weights) -> nn.Module; torchvision's are found by name."""

DEFAULT = "default"  # the weights an encoder comes with
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HEADS = ("classifier", "fc", "head", "heads", "AuxLogits", "aux1", "aux2")
# What is not worth a tap: linear steps on the way to an activation, and plain reshaping.
LINEAR = (
    nn.Conv2d,
    nn.BatchNorm2d,
    nn.LayerNorm,
    nn.Dropout,
    nn.Identity,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    Permute,
    PatchMerging,
    PatchMergingV2,
)


class _Reached(Exception):
    """Raised inside the network once the deepest tapped layer has answered."""


def encoder_names(pattern: str = "") -> list[str]:
    """Return the names `build_encoder` knows that contain `pattern`."""
    known = [*ENCODERS, *torchvision.models.list_models(module=torchvision.models)]
    return [name for name in known if pattern in name]


class Tapped(nn.Module):
    """Layers of units that answer to images: an `Encoder`, or a `Composite` made of one.

    Attributes: `layers`, the tappable layers' names from shallow to deep; `channels[layer]`, the
    number of units; `strides[layer]`, input pixels per activation pixel; `name`; `weights`;
    `accuracy`, the share of held-out images it named rightly when it was taught, if known;
    `fingerprint`, a hash of architecture, code and weights, for cache keys.
    """

    name: str
    weights: str
    accuracy: float | None
    layers: list[str]
    channels: dict[str, int]
    strides: dict[str, int]
    fingerprint: str

    def __repr__(self) -> str:
        return f"<{self.name} ({self.weights}): {len(self.layers)} layers>"

    def checked(self, layers: Sequence[str] | None) -> list[str]:
        """Return the layers, None for all. Raises UnknownNameError for one that is not there."""
        layers = self.layers if layers is None else layers
        return [check_name(f"layer of {self.name}", layer, self.layers) for layer in layers]

    def reduce(
        self, images: Tensor, layers: Sequence[str] | None, reducer: Callable[[str, Tensor], T]
    ) -> dict[str, T]:
        """Run up to the deepest of `layers`, calling `reducer(layer, activation)` at each.

        images: float (B, 3, H, W) in [0, 1]. The reducer sees the live tensor (B, C, h, w): later
        in-place operations may overwrite it, so it must return something new. Taps are removed on
        every path out. Raises UnknownNameError for a layer that is not there.
        """
        raise NotImplementedError

    def activations(self, images: Tensor, layers: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Return `{layer: (B, C, h, w)}`, each a copy that later layers cannot overwrite."""
        return self.reduce(images, layers, lambda _, activation: activation.clone())

    def changed(self, layer: str, change: Change) -> AbstractContextManager[None]:
        """Inside, taps on `layer` and all that is computed from it see what `change` returns."""
        raise NotImplementedError

    def after(self, layer: str) -> list[str]:
        """Return the layers that are computed from `layer`, itself first."""
        raise NotImplementedError


class Encoder(Tapped):
    """A classifier's trunk with taps."""

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, net: nn.Module, weights: str, normalise: tuple = IMAGENET):
        super().__init__()
        self.name, self.weights, self.net = name, weights, net
        for head in HEADS:
            if hasattr(net, head):
                setattr(net, head, nn.Identity())  # never run, so never stored
        self.register_buffer("mean", torch.tensor(normalise[0]).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(normalise[1]).view(3, 1, 1), persistent=False)
        self.accuracy = getattr(net, "accuracy", None)
        self.fixed_size = getattr(net, "image_size", None)  # vision transformers take one size
        found = find_layers(net)
        self.paths = dict(zip(public_names(name, net, list(found)), found, strict=True))
        self.layers = list(self.paths)
        self.channels = {layer: found[path][0] for layer, path in self.paths.items()}
        self.strides = {layer: found[path][1] for layer, path in self.paths.items()}

    def reduce(
        self, images: Tensor, layers: Sequence[str] | None, reducer: Callable[[str, Tensor], T]
    ) -> dict[str, T]:
        """See `Tapped`."""
        layers = self.checked(layers)
        answers: dict[str, T] = {}

        def tap(layer: str) -> Callable:
            def hook(module: nn.Module, inputs: tuple, output: Tensor) -> None:
                answers[layer] = reducer(layer, as_map(module, output))
                if len(answers) == len(set(layers)):
                    raise _Reached

            return hook

        modules = dict(self.net.named_modules())
        handles = [modules[self.paths[k]].register_forward_hook(tap(k)) for k in set(layers)]
        try:
            with folded(pairs(self.net)):
                self.net(self.normalise(images))
        except _Reached:
            pass
        finally:
            for handle in handles:
                handle.remove()
        return {layer: answers[layer] for layer in layers}

    def changed(self, layer: str, change: Change) -> AbstractContextManager[None]:
        """See `Tapped`."""
        self.checked([layer])
        return changing(self.net.get_submodule(self.paths[layer]), change)

    def after(self, layer: str) -> list[str]:
        """See `Tapped`: in torchvision's trunks, all that is deeper."""
        self.checked([layer])
        return self.layers[self.layers.index(layer) :]

    def forward(self, images: Tensor) -> Tensor:
        """Return the deepest layer's activation (B, C, h, w)."""
        return self.activations(images, self.layers[-1:])[self.layers[-1]]

    def normalise(self, images: Tensor) -> Tensor:
        """Shift and scale images from [0, 1] to what the weights were trained on."""
        if self.fixed_size and tuple(images.shape[-2:]) != (self.fixed_size,) * 2:
            images = nn.functional.interpolate(
                images, (self.fixed_size,) * 2, mode="bilinear", antialias=True
            )
        return (images - self.mean) / self.std

    @property
    def fingerprint(self) -> str:
        """Hash of architecture, code and weights, for cache keys."""
        return digest(self.name, code_of(type(self), type(self.net)), self.state_dict())


@contextmanager
def changing(module: nn.Module, change: Change) -> Iterator[None]:
    """Inside, `module` answers what `change` makes of its answer."""

    def hook(own: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        return change(own, output)

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def as_map(module: nn.Module, output: Tensor) -> Tensor:
    """Bring a block's output to (B, C, h, w): transformers keep channels last, or tokens."""
    if isinstance(module, SwinTransformerBlock):
        return output.permute(0, 3, 1, 2)
    if output.ndim == 3:  # class token first, then a square of patches
        patches = output[:, 1:].transpose(1, 2)
        side = round(patches.shape[-1] ** 0.5)
        return patches.unflatten(-1, (side, side))
    return output


def blocks(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the outermost modules that do something, looking through plain containers."""
    for name, child in module.named_children():
        if not prefix and name in HEADS:
            continue
        path = f"{prefix}{name}"
        if type(child) is nn.Sequential or isinstance(
            child, nn.ModuleList | VisionTransformerTrunk
        ):
            yield from blocks(child, f"{path}.")
        elif not isinstance(child, LINEAR):
            yield path, child


def find_layers(net: nn.Module, side: int = 224) -> dict[str, tuple[int, int]]:
    """Return `{module path: (channels, stride)}` of all blocks that answer with a map, in order.

    One dry run on the meta device: it computes shapes, not values.
    """
    found: dict[str, tuple[int, int]] = {}

    def note(path: str) -> Callable:
        def hook(module: nn.Module, inputs: tuple, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim in (3, 4):
                _, channels, h, _ = as_map(module, output).shape
                if h > 1:
                    found[path] = (channels, round(side / h))

        return hook

    handles = [module.register_forward_hook(note(path)) for path, module in blocks(net)]
    training = net.training
    state = {k: v.to("meta") for k, v in (*net.named_parameters(), *net.named_buffers())}
    try:
        torch.func.functional_call(net.eval(), state, torch.zeros(1, 3, side, side, device="meta"))
    finally:
        net.train(training)
        for handle in handles:
            handle.remove()
    return found


def public_names(name: str, net: nn.Module, paths: list[str]) -> list[str]:
    """Name VGG layers conv1_1 … conv5_3 as the paper does; others keep torchvision's names."""
    if "vgg" not in name:
        return paths
    block, index, names = 1, 0, {}
    for path, module in net.named_modules():
        if isinstance(module, nn.MaxPool2d):
            block, index = block + 1, 0
        elif isinstance(module, nn.ReLU):
            index += 1
            names[path] = f"conv{block}_{index}"
    return [names[path] for path in paths]


def build_encoder(name: str, weights: str | os.PathLike | None = DEFAULT) -> Encoder:
    """Build an encoder, in evaluation mode.

    `name` is a torchvision classifier or one of ours (`encoder_names()`). `weights`: "imagenet"
    for torchvision's, the name of the data that an encoder of ours was trained on ("toyworld"),
    or "default", whichever of these it is; None for random ones (seed them with
    torch.manual_seed); or the path of a state dict. Raises UnknownNameError with the nearest
    encoder; ValueError for weights that do not fit.
    """
    check_name("encoder", name, encoder_names())
    if weights == DEFAULT:
        ours = name in ENCODERS
        weights = signature(ENCODERS[name]).parameters["weights"].default if ours else "imagenet"
    path = weights if is_path(weights) else None
    if name in ENCODERS:
        net = ENCODERS[name](None if path else weights)
    elif path is None and weights not in (None, "imagenet"):
        raise ValueError(f"{name} has weights 'imagenet' or None, not {weights!r}.")
    else:
        net = torchvision_net(name, imagenet=path is None and weights is not None)
    if path is not None:
        load_weights(net, path, HEADS)
    return Encoder(
        name, net, str(weights or "untrained"), getattr(net, "normalise", IMAGENET)
    ).eval()
