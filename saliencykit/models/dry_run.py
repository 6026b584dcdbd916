"""Running a network on no values: what each module answers, how large, to which sizes of image."""

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

Size = tuple[int, int]
Shape = tuple[int, ...]
SIZES: tuple[Size, Size] = ((224, 448), (448, 672))
"""Multiples of all usual strides. From one to the other rows double, columns grow by half."""
SQUARES = (224, 256, 299, 384, 32, 64, 96, 128, 160, 192, 240, 512)
"""Sides to try with a network that takes one size and does not say which."""
FEW = 1_000_000  # weights
FIRST = 8  # runs of such networks in a process before the compiler is worth its import
STEPS = (1, 2, 4, 7, 8, 14, 16, 28, 32, 56, 64)  # sides may have to be multiples of one of these
_runs = count()


@dataclass(frozen=True)
class Trace:
    """What each module answered to images of `size`, call by call, in the order of first calls.

    `answers[path]`: shapes, or the name of the type of what is no tensor; `grids`: of convolutions'
    answers; `failed`: what ended the run before it was through.
    """

    size: Size
    answers: dict[str, list[Shape | str]] = field(default_factory=dict)
    grids: list[Size] = field(default_factory=list)
    failed: Exception | None = None


def is_compiled(net: nn.Module) -> bool:
    """Whether a module is what torch.compile made of one; its compiler is not imported to ask."""
    return "torch._dynamo" in sys.modules and isinstance(net, torch._dynamo.OptimizedModule)


def trace(net: nn.Module, size: Size, images: int = 1, channels: int = 3) -> Trace:
    """Run a network on black images, a large one on the meta device: shapes without values.

    What cannot run there (values that decide the way, tensors that are no buffers) runs where the
    network is; so do the first networks of few weights in a process, which is sooner done than the
    compiler imported that this device brings along. Modes, weights and hooks stay as they were.
    """
    with evaluating([net]), eager(net), torch.no_grad():
        black = torch.zeros(images, channels, *size, dtype=dtype_of(net, torch.zeros(0)))
        place = next((v.device for v in net.parameters()), black.device)
        here = sum(v.numel() for v in net.parameters()) <= FEW and next(_runs) < FIRST
        if place.type == "meta" or not here:
            meta = {k: v.to("meta") for k, v in (*net.named_parameters(), *net.named_buffers())}
            whole = partial(torch.func.functional_call, net, meta, black.to("meta"))
            found = _noted(net, size, whole)
            if found.failed is None or place.type == "meta":
                return found
        return _noted(net, size, lambda: net(black.to(place)))


def _noted(net: nn.Module, size: Size, run: Callable[[], object]) -> Trace:
    answers: dict[str, list[Shape | str]] = {}
    grids: list[Size] = []
    failed = None

    def note(path: str) -> Callable:
        def hook(module: nn.Module, inputs: tuple, output: object) -> None:
            first = first_of(output)
            told = tuple(first.shape) if isinstance(first, Tensor) else type(first).__name__
            answers.setdefault(path, []).append(told)
            if isinstance(module, nn.Conv2d) and isinstance(output, Tensor):
                grids.append((output.shape[-2], output.shape[-1]))

        return hook

    handles = [m.register_forward_hook(note(path)) for path, m in net.named_modules() if path]
    try:
        run()
    except Exception as error:
        failed = error
    finally:
        for handle in handles:
            handle.remove()
    return Trace(size, answers, list(dict.fromkeys(grids)), failed)


def lowest(net: nn.Module, size: Size, channels: int) -> dict[str, float]:
    """Return the least value of each module's last answer to an image of noise, where it is one."""
    found: dict[str, float] = {}

    def note(path: str) -> Callable:
        def hook(module: nn.Module, inputs: tuple, output: object) -> None:
            if isinstance(first := first_of(output), Tensor):
                found[path] = float(first.min())

        return hook

    place = next((v.device for v in net.parameters()), torch.device("cpu"))
    noise = torch.randn(1, channels, *size, generator=torch.Generator().manual_seed(0))
    handles = [m.register_forward_hook(note(path)) for path, m in net.named_modules() if path]
    try:
        with evaluating([net]), eager(net), torch.no_grad():
            net(noise.to(place, dtype_of(net, noise)))
    except Exception:  # a head for images of another size, say: what is before it has answered
        pass
    finally:
        for handle in handles:
            handle.remove()
    return found


def first_of(answer: Any) -> Any:
    """Return the first of what a module answers with a tuple, such as its map before its size."""
    return answer[0] if isinstance(answer, tuple) and answer else answer


@contextmanager
def evaluating(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Evaluation mode inside, for each module the mode it was in after."""
    training = [m for module in modules for m in module.modules() if m.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def eager(net: nn.Module) -> AbstractContextManager[None]:
    """Inside, what `torch.compile` made of parts of a network runs uncompiled, so with its taps."""
    compiled = (is_compiled(m) or m._compiled_call_impl for m in net.modules())
    return torch.compiler.set_stance("force_eager") if any(compiled) else nullcontext()


def dtype_of(net: nn.Module, images: Tensor) -> torch.dtype:
    """Return the precision that a network computes in; without parameters: that of the images."""
    floating = (p.dtype for p in net.parameters() if p.is_floating_point())
    return next(floating, images.dtype)


def size_asked(net: nn.Module) -> Size | None:
    """Return the one size (height, width) of image that a network, or a part, says it takes."""
    for module in net.modules():
        for name in ("image_size", "img_size"):
            size = getattr(module, name, None)
            if isinstance(size, int):
                return size, size
            if isinstance(size, tuple | list) and len(size) == 2:
                return int(size[0]), int(size[1])
    return None


def runs(net: nn.Module, size: Size, paths: Iterable[str], channels: int = 3) -> bool:
    """Whether a network that is given images of `size` gets as far as the modules at `paths`."""
    return set(paths) <= set(trace(net, size, channels=channels).answers)


def sizes_taken(net: nn.Module, paths: Collection[str], channels: int = 3) -> str:
    """Say which sizes bring a network as far as `paths`, by trying squares: "from 75 × 75"."""

    def fits(side: int) -> bool:
        return runs(net, (side, side), paths, channels)

    large = SIZES[1][0]
    tried = ((n, [large + n, large + 2 * n]) for n in STEPS)
    step = next((n for n, sides in tried if all(map(fits, sides))), None)
    if step is None:
        good = [n for n in sorted({*SQUARES, large}) if fits(n)]
        return f"of the squares tried, {', '.join(by((n, n)) for n in good) or 'none'}"
    low, high = 0, large // step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle * step) else (middle, high)
    whole = f"sides that are multiples of {step}, " if step > 1 else ""
    return f"{whole}from {by((high * step, high * step))}"


def by(size: Size) -> str:
    """Write a size down: "224 × 448", height first."""
    return f"{size[0]} × {size[1]}"
