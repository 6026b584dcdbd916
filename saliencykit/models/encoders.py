"""Encoders: any torchvision or timm classifier, any module; layers found, taps that clean up.

An encoder is a classifier without its head. It takes images in [0, 1], normalises them as its
weights expect, and runs no further than the deepest layer asked for.
"""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from inspect import signature
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..cache import digest
from ..registry import Registry, check_name
from ..sources import code_of
from . import from_timm, from_torchvision
from .classical.filters import LUMA, luma
from .dry_run import Size, by, dtype_of, eager, first_of, runs, size_asked, sizes_taken
from .folding import folded, pairs
from .layers import HEADS, Finder
from .own import code_of_module, unwrapped, version_of
from .precision import exact
from .weights import (
    check_finite,
    is_path,
    load_weights,
    torchvision_net,
    torchvision_normalise,
)

T = TypeVar("T")
AsMap = Callable[[Tensor], Tensor]
"""What a module answers, or copies of it along the batch → a view (B, C, h, w) to write to."""
Change = Callable[[AsMap, Tensor], Tensor]
"""What a layer's module answers, and how to see it as a map; to be replaced by what is returned."""
ENCODERS: Registry[Callable[..., nn.Module]] = Registry("encoder")
"""Encoders of our own: name → f(weights) -> nn.Module; torchvision's are found by name."""

DEFAULT = "default"  # the weights an encoder comes with
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# What networks raise that are given an image of a size they do not take.
MISFITS = (RuntimeError, AssertionError, ValueError, IndexError, TypeError)


class _Reached(Exception):
    """Raised inside the network once the deepest tapped layer has answered."""


def encoder_names(pattern: str = "") -> list[str]:
    """Return the names `build_encoder` knows that contain `pattern`.

    timm's are left out unless the pattern begins "timm:", for which that must be installed.
    """
    if pattern.startswith(from_timm.PREFIX):
        return from_timm.names(pattern.removeprefix(from_timm.PREFIX))
    known = [*ENCODERS, *from_torchvision.names()]
    return [name for name in known if pattern in name]


class Tapped(nn.Module):
    """Layers of units that answer to images: an `Encoder`, or a `Composite` made of one.

    Attributes: `layers`, the tappable layers' names from shallow to deep; `channels[layer]`, the
    number of units; `strides[layer]`, input pixels per activation pixel; `straight`, whether all
    that is deeper than a layer is known to be computed from that alone; `name`; `by_name`, whether
    `build_encoder` can build it again from that; `weights`; `accuracy`, the share of held-out
    images it named rightly when it was taught, if known; `fingerprint`, a hash of architecture,
    code and weights, for cache keys.
    """

    name: str
    by_name: bool
    straight: bool
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
    """A network's trunk with taps.

    `net`: what `name` builds, or, if `own`, somebody's module, which is left as it is; `layers`:
    those to be had, None for all. Raises ValueError for a network that cannot be run or has no
    layers, UnknownNameError for a layer that is not there.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        net: nn.Module,
        weights: str,
        normalise: tuple = IMAGENET,
        layers: Sequence[str] | None = None,
        own: bool = False,
    ):
        super().__init__()
        self.name, self.weights, self.net, self.by_name = name, weights, net, not own
        foreign = own or from_timm.is_timm(net)
        for head in () if foreign else HEADS:
            if hasattr(net, head):
                setattr(net, head, nn.Identity())  # never run, so never stored
        self.accuracy = None if foreign else getattr(net, "accuracy", None)
        self.straight = not foreign
        finder = from_timm.finder(net) if from_timm.is_timm(net) else Finder(net, size_asked(net))
        self.paths = self._named(finder, layers, own)
        self.layers, self.restricted = list(self.paths), layers is not None
        if not self.layers:
            raise ValueError(_no_layers(name, finder.others))
        self.grey = finder.channels == 1
        place = next((p.device for p in net.parameters()), None)
        for kind, values in zip(("mean", "std"), normalise, strict=True):
            self.register_buffer(kind, self._by_channel(values, place), persistent=False)
        self.fixed_size = finder.fixed  # vision transformers take one size
        self.layouts = {layer: finder.layers[path] for layer, path in self.paths.items()}
        self.channels = {layer: layout.channels for layer, layout in self.layouts.items()}
        self.strides = {layer: layout.stride for layer, layout in self.layouts.items()}
        self._shown: Size = finder.first.size  # what the network was last run on

    def _named(self, finder: Finder, layers: Sequence[str] | None, own: bool) -> dict[str, str]:
        """Return the paths of all layers, or of those chosen, by what they are called."""
        found = list(finder.find())
        paths = dict(zip(public_names(self.net, found), found, strict=True))
        if layers is None:
            if own and found and (reused := finder.reused()):
                warnings.warn(
                    f"{self.name}: {', '.join(reused[:3])} {'…' * (len(reused) > 3)} run several "
                    "times and so are no layers: give each place a module of its own.",
                    stacklevel=6,
                )
            if own and finder.linear and found:
                warnings.warn(_linear_only(self.name, found, finder), stacklevel=6)
            return paths
        if not own:
            layers = [check_name(f"layer of {self.name}", layer, paths) for layer in layers]
        chosen = {layer: paths.get(layer, layer) for layer in layers}
        order = list(finder.only(list(chosen.values())))
        return dict(sorted(chosen.items(), key=lambda item: order.index(item[1])))

    def reduce(
        self, images: Tensor, layers: Sequence[str] | None, reducer: Callable[[str, Tensor], T]
    ) -> dict[str, T]:
        """See `Tapped`."""
        layers = self.checked(layers)
        answers: dict[str, T] = {}
        shown = self.normalise(images)
        shown = shown.to(dtype_of(self.net, shown))
        self._shown = shown.shape[-2], shown.shape[-1]

        def tap(layer: str) -> Callable:
            def hook(module: nn.Module, inputs: tuple, output: Tensor | tuple) -> None:
                activation = self._as_map(layer, first_of(output))
                answers[layer] = reducer(layer, self._readable(activation))
                if len(answers) == len(set(layers)):
                    raise _Reached

            return hook

        try:
            self._run(shown, {self.paths[layer]: tap(layer) for layer in layers})
        except MISFITS as error:
            paths = [self.paths[layer] for layer in layers]
            if runs(self.net, self._shown, paths, shown.shape[1]):
                raise
            raise ValueError(self._misfit(paths)) from error
        return {layer: answers[layer] for layer in layers}

    def _run(self, images: Tensor, taps: dict[str, Callable]) -> None:
        """Run with hooks at paths of modules, until one says that it is enough."""
        modules = dict(self.net.named_modules())
        handles = [modules[path].register_forward_hook(tap) for path, tap in taps.items()]
        # Elsewhere something may look at a convolution's answer before its norm.
        foldable = pairs(self.net) if self.straight else ()
        try:
            with exact(), folded(foldable), eager(self.net):
                self.net(images)
        except _Reached:
            pass
        finally:
            for handle in handles:
                handle.remove()

    def _as_map(self, layer: str, answer: Tensor) -> Tensor:
        return self.layouts[layer].as_map(answer, self._shown)

    def changed(self, layer: str, change: Change) -> AbstractContextManager[None]:
        """See `Tapped`."""
        self.checked([layer])
        module = self.net.get_submodule(self.paths[layer])
        return changing(module, change, partial(self._as_map, layer))

    def after(self, layer: str) -> list[str]:
        """See `Tapped`: all that is deeper, as in torchvision's trunks; elsewhere at most these."""
        self.checked([layer])
        return self.layers[self.layers.index(layer) :]

    def forward(self, images: Tensor) -> Tensor:
        """Return the deepest layer's activation (B, C, h, w)."""
        return self.activations(images, self.layers[-1:])[self.layers[-1]]

    def normalise(self, images: Tensor) -> Tensor:
        """Shift and scale images from [0, 1] to what the weights were trained on.

        For a network that takes one size only they are resized to it first; for one that takes grey
        images they become their luminance. They go to where the network is.
        """
        if self.fixed_size and tuple(images.shape[-2:]) != self.fixed_size:
            images = nn.functional.interpolate(
                images, self.fixed_size, mode="bilinear", antialias=True
            )
        if self.grey:
            images = luma(images)[:, None]
        return (images.to(self.mean.device) - self.mean) / self.std

    def _by_channel(self, values: Sequence[float], place: torch.device | None) -> Tensor:
        """Return mean or deviation as the images have channels: of three, grey gets luminance's."""
        if len(values) == 3 and self.grey:
            values = [sum(w * v for w, v in zip(LUMA, values, strict=True))]
        if len(values) == 1 and not self.grey:
            raise ValueError(
                f"{self.name}.normalise has one number each, but it takes images of three channels."
            )
        return _column(values, place)

    def _readable(self, activation: Tensor) -> Tensor:
        """Return what a network in half precision computes in single precision."""
        reduced = dtype_of(self.net, activation).itemsize < 4
        return activation.float() if reduced else activation

    def _misfit(self, paths: list[str]) -> str:
        return (
            f"{self.name} does not take images of {by(self._shown)} pixels. Sizes it takes "
            f"(height × width): {sizes_taken(self.net, paths, 1 if self.grey else 3)}."
        )

    @property
    def fingerprint(self) -> str:
        """Hash of architecture, code and weights, for cache keys."""
        parts = [self.name, code_of(type(self), type(self.net)), self.state_dict()]
        if not self.by_name:
            parts += [code_of_module(self.net), self.mean, self.std]
        elif from_timm.is_timm(self.net):
            parts.append(version_of(type(self.net)))
        return digest(*parts, *([self.layers] if self.restricted else ()))


def _column(values: Sequence[float], place: torch.device | None) -> Tensor:
    return torch.tensor(values, device=place).view(-1, 1, 1)


def _no_layers(name: str, looked_at: dict[str, str]) -> str:
    rows = [f"{path} {why}" for path, why in looked_at.items()]
    more = f"; and {len(rows) - 12} more" if len(rows) > 12 else ""
    return (
        f"{name} has no layers: none of its modules answers with a map of units that can be "
        f"tapped. Looked at: {'; '.join(rows[:12]) or 'no module at all'}{more}."
    )


def _linear_only(name: str, found: Sequence[str], finder: Finder) -> str:
    behind = finder.behind_activations()
    some = f"layers=[{', '.join(map(repr, behind[:4]))}{', …' * (len(behind) > 4)}]"
    advice = (
        f"Behind an activation are {some}: name these instead, or give"
        if behind
        else "None of its modules is behind an activation, so none can be named with layers=: give"
    )
    return (
        f"{name} has no activation as a module, so its layers are what comes before the "
        f"non-linearity and may be negative: {', '.join(found[:3])}{' …' * (len(found) > 3)}. "
        f"{advice} each activation a module of its own, as nn.ReLU()."
    )


@contextmanager
def changing(
    module: nn.Module, change: Change, as_map: AsMap = lambda answer: answer
) -> Iterator[None]:
    """Inside, `module` answers what `change` makes of its answer, which `as_map` shows as a map."""

    def hook(own: nn.Module, inputs: tuple, output: Tensor | tuple) -> Tensor | tuple:
        if isinstance(output, Tensor):
            return change(as_map, output)
        make = getattr(output, "_make", type(output))  # a tuple's own kind, named or not
        return make([change(as_map, output[0]), *output[1:]])

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def public_names(net: nn.Module, paths: list[str]) -> list[str]:
    """Name VGG layers conv1_1 … conv5_3 as the paper does; others keep their modules' names."""
    if not (from_torchvision.is_vgg(net) or getattr(net, "vgg_shaped", False)):
        return paths
    block, index, names = 1, 0, {}
    for path, module in net.named_modules():
        if isinstance(module, nn.MaxPool2d):
            block, index = block + 1, 0
        elif isinstance(module, nn.ReLU):
            index += 1
            names[path] = f"conv{block}_{index}"
    return [names.get(path, path) for path in paths]


def build_encoder(
    name: str | nn.Module,
    weights: str | os.PathLike | None = DEFAULT,
    layers: Sequence[str] | None = None,
) -> Encoder:
    """Build an encoder, in evaluation mode: as `composite.build_encoder`, but not completed."""
    if isinstance(name, nn.Module):
        return _own_encoder(name, weights, layers)
    if name.startswith(from_timm.PREFIX):
        net, normalise = _timm_net(name, weights)
    else:
        net, normalise = _torchvision_net(name, weights)
    if weights == DEFAULT:
        weights = usual_weights(name)
    encoder = Encoder(name, net, str(weights or "untrained"), normalise, layers).eval()
    check_finite(encoder.net, f"{name} with weights {str(weights)!r}")
    return encoder


def usual_weights(name: str) -> str:
    """Return the name of the weights that a named encoder comes with."""
    ours = name in ENCODERS
    return signature(ENCODERS[name]).parameters["weights"].default if ours else "imagenet"


def _own_encoder(
    module: nn.Module, weights: str | os.PathLike | None, layers: Sequence[str] | None
) -> Encoder:
    net = unwrapped(module)
    name = type(net).__name__
    if weights is not None and is_path(weights):
        load_weights(net, weights, HEADS)
    elif weights not in (None, DEFAULT):
        raise ValueError(
            f"Your own {name} keeps its weights, or takes those of a file; {weights!r} is none."
        )
    normalise = _normalise_of(net)
    label = str(weights) if weights not in (None, DEFAULT) else "its own"
    encoder = Encoder(name, net, label, normalise, layers, own=True).eval()
    check_finite(net, f"Your own {name} with weights {label!r}", HEADS)
    return encoder


def _normalise_of(net: nn.Module) -> tuple:
    """Return mean and deviation of an own module: its attribute's, else timm's or ImageNet's."""
    told = getattr(net, "normalise", None)
    if told is None or callable(told):  # a method of that name is none
        return from_timm.normalise(net) if from_timm.is_timm(net) else IMAGENET
    try:
        pair = tuple(tuple(float(v) for v in row) for row in told)
    except (TypeError, ValueError, RuntimeError):
        pair = ()
    if [len(row) for row in pair] not in ([3, 3], [1, 1]):
        raise ValueError(
            f"{type(net).__name__}.normalise is to be a pair of three numbers, mean and deviation "
            f"by channel (of one, if it takes grey images), not {told!r}."
        )
    return pair


def _path(name: str, weights: str | os.PathLike | None) -> str | os.PathLike | None:
    """Return the path of weights that are a file's; a name that is known is never taken for one."""
    known = weights in (None, DEFAULT, usual_weights(name))
    return weights if not known and is_path(weights) else None


def _timm_net(name: str, weights: str | os.PathLike | None) -> tuple[nn.Module, tuple]:
    path = _path(name, weights)
    if path is None and weights not in (None, DEFAULT, "imagenet"):
        raise ValueError(f"{name} has weights 'imagenet' or None, not {weights!r}.")
    pretrained = path is None and weights is not None
    net = from_timm.build(name.removeprefix(from_timm.PREFIX), pretrained)
    if path is not None:
        load_weights(net, path, HEADS, whole=True)
    return net, from_timm.normalise(net)


def _torchvision_net(name: str, weights: str | os.PathLike | None) -> tuple[nn.Module, tuple]:
    """Build one of torchvision's networks or of ours."""
    if name not in ENCODERS:
        check_name("encoder", name, encoder_names())
    if weights == DEFAULT:
        weights = usual_weights(name)
    path = _path(name, weights)
    if name in ENCODERS:
        net = ENCODERS[name](None if path else weights)
        normalise = getattr(net, "normalise", IMAGENET)
    elif path is None and weights not in (None, "imagenet"):
        raise ValueError(f"{name} has weights 'imagenet' or None, not {weights!r}.")
    else:
        net = torchvision_net(name, imagenet=path is None and weights is not None)
        normalise = torchvision_normalise(name)
    if path is not None:
        load_weights(net, path, HEADS, whole=True)
    return net, normalise
