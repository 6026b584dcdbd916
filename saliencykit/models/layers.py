"""Which modules of a network are layers of units, and how their answers lie.

Two dry runs, on one image and on two that are larger, tell both without knowing the network: the
axis of an answer that grows with the number of images is the batch, those that grow with the image
are space (rows, columns, or tokens on a grid), the one that does not is units. A network that takes
one size only is run at that; then convolutions, which are channels first by their kind, say what
grids there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, prod, sqrt

from torch import Tensor, nn

from ..registry import check_name
from . import from_torchvision
from .dry_run import SIZES, SQUARES, Shape, Size, Trace, by, is_compiled, lowest, trace

PREFIX = 16  # as many tokens, class and registers, may stand before those of the grid
HEADS = ("classifier", "fc", "head", "heads", "AuxLogits", "aux1", "aux2")
# What is not worth a tap: linear steps on the way to an activation, and plain reshaping.
UNITS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.ConvTranspose2d,
    nn.BatchNorm2d,
    nn.GroupNorm,
    nn.LayerNorm,
)
LINEAR = (
    *UNITS,
    nn.Dropout,
    nn.Dropout2d,
    nn.Identity,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
)
VECTORS = (nn.Linear, nn.BatchNorm1d)  # what a head is made of, beside activations
WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def wraps(module: nn.Module) -> bool:
    """Whether a module only holds another: in parallel, or compiled."""
    return isinstance(module, WRAPPERS) or is_compiled(module)


@dataclass(frozen=True)
class Layout:
    """How a layer's answers lie: the axes of units and of space, rows and columns or tokens.

    `grid`: rows and columns of its answer to an image of `size`; `prefix`: tokens before the grid;
    `batch`: the axis of images, which `torch.nn.Transformer` has behind that of tokens.
    """

    units: int
    space: tuple[int, ...]
    channels: int
    grid: Size
    size: Size
    prefix: int = 0
    batch: int = 0

    @property
    def stride(self) -> int:
        """Input pixels per activation pixel."""
        return round(self.size[0] / self.grid[0])

    def as_map(self, answer: Tensor, size: Size) -> Tensor:
        """Return the answer to images of `size` as a map (B, C, h, w): a view, to be written to."""
        if (self.batch, *self.space) == (0, 2, 3):
            return answer
        seen = answer.permute(self.batch, self.units, *self.space)
        if len(self.space) == 2:
            return seen
        tokens = seen[..., self.prefix :]
        return tokens.unflatten(-1, self._grid_at(size, tokens.shape[-1]))

    def _grid_at(self, size: Size, tokens: int) -> Size:
        """Return rows and columns of so many tokens: sides by strides, rounded down or up."""
        sides = [side * n / old for side, n, old in zip(size, self.grid, self.size, strict=True)]
        down, up = [floor(s) for s in sides], [ceil(s) for s in sides]
        mixed = (down[0], up[1]), (up[0], down[1])
        for rows, columns in (down, up, *mixed):
            if rows * columns == tokens:
                return rows, columns
        raise ValueError(
            f"{tokens} tokens of an image of {by(size)} lie on no grid: "
            f"at {by(self.size)} it is {by(self.grid)}."
        )


class Finder:
    """The layers of a network: `layers[path]`, from shallow to deep, and `others[path]`, why not.

    `asked`: the one size that the network says it takes; `fixed`: the one that it does take, None
    if it takes several; `maps`: paths and (C, h, w) at `asked` of layers that it tells of itself;
    `channels`: of the images that it takes, 3 or 1; `linear`: whether the layers are but linear
    steps, since what follows them is no module.
    """

    def __init__(
        self,
        net: nn.Module,
        asked: Size | None = None,
        maps: Mapping[str, Shape] | None = None,
    ):
        self.net, self.asked, self.maps = net, asked, maps or {}
        self.fixed: Size | None = None
        self.channels, self.linear = 3, False
        self.layers: dict[str, Layout] = {}
        self.others: dict[str, str] = {}
        self.first = self.second = Trace(SIZES[0])
        self.all = sum(p.numel() for p in net.parameters())

    def find(self) -> dict[str, Layout]:
        """Return the layers: those the network tells of, else the outermost modules with maps.

        Found at two sizes; at one if the network does not run at both, unless it fails but in its
        head; with colour images, or grey ones if it takes no others. Raises ValueError if the
        network cannot be run.
        """
        seen: dict[int, Trace] = {}
        for self.channels in (3, 1):
            seen[self.channels] = first = self._run(SIZES[0])
            second = self._run(SIZES[1], images=2)
            failed = first.failed or second.failed
            found = self._found(first, second) if not failed or self._fails_late(first) else {}
            if found:
                return found
            alone = next(
                (one for size in self._squares() if not (one := self._run(size)).failed), None
            )
            if alone is not None:
                self.fixed = alone.size
                return self._found(alone, self._run(alone.size, images=2))
            if not failed:
                return found
        furthest = max(seen, key=lambda channels: len(seen[channels].answers))
        raise ValueError(
            f"{type(self.net).__name__} could not be run on an image (1, {furthest}, height, width)"
            f" of {by(SIZES[0])} or {by(self._squares()[0])}: {seen[furthest].failed}. If it takes "
            "one size only, set image_size = (height, width) on it."
        ) from seen[furthest].failed

    def _run(self, size: Size, images: int = 1) -> Trace:
        return trace(self.net, size, images, self.channels)

    def _squares(self) -> list[Size]:
        return [self.asked] if self.asked else [(side, side) for side in SQUARES]

    def _fails_late(self, seen: Trace) -> bool:
        """Whether all that has run wants but a head: linear steps from vectors, say."""
        leaves = [(k, m) for k, m in self.net.named_modules() if not list(m.children())]
        rest = [(k, m) for k, m in leaves if k not in seen.answers and list(m.parameters())]
        return all(k.split(".")[0] in HEADS or isinstance(m, VECTORS) for k, m in rest)

    def _found(self, first: Trace, second: Trace) -> dict[str, Layout]:
        self.first, self.second, self.others = first, second, {}
        self.layers = {k: v for k in self.maps if isinstance(v := self.judge(k), Layout)}
        linear = (*LINEAR, *from_torchvision.reshaping())
        if not self.layers:
            self._walk(self.net, linear)
        if not self.layers:  # activations that are functions, not modules: then what they act on
            self._walk(self.net, tuple(kind for kind in linear if kind not in UNITS))
            self.linear = True
        self.layers = self._in_order(self.layers)
        return self.layers

    def only(self, paths: Sequence[str]) -> dict[str, Layout]:
        """Return the modules at `paths` as layers. Raises for one that is not there or is none."""
        found = {k: v for k in self.first.answers if isinstance(v := self.judge(k), Layout)}
        name = type(self.net).__name__
        for path in paths:
            if path in self.first.answers and path not in found:
                raise ValueError(f"{path} of {name} cannot be a layer: {self.judge(path)}.")
            check_name(f"layer of {name}", path, found)
        self.layers = self._in_order({path: found[path] for path in paths})
        return self.layers

    def reused(self) -> list[str]:
        """Return the modules that are no layers because they run several times, on maps."""
        answers = self.first.answers
        return [
            path
            for path in self.others
            if len(seen := answers.get(path, ())) > 1 and any(len(s) > 2 for s in seen)
            if not isinstance(seen[0], str) and "times" in self.others[path]
        ]

    def behind_activations(self) -> list[str]:
        """Return modules with maps that are nowhere negative, such as a pooling behind a ReLU."""
        found = lowest(self.net, self.first.size, self.channels)
        kept = (path for path, least in found.items() if least >= 0 and path not in self.layers)
        return [path for path in kept if isinstance(self.judge(path), Layout)]

    def _in_order(self, layers: dict[str, Layout]) -> dict[str, Layout]:
        """Return the layers as they run: from shallow to deep."""
        return {path: layers[path] for path in self.first.answers if path in layers}

    def _walk(self, module: nn.Module, plain: tuple, prefix: str = "", trunk: bool = True) -> None:
        """Judge the outermost modules that do something, looking into containers and trunks."""
        for name, child in module.named_children():
            path = f"{prefix}{name}"
            if trunk and name in HEADS:
                self.others[path] = "a head, which is not run"
            elif _is_container(child):
                self._walk(child, plain, f"{path}.", wraps(child) and trunk)
            elif trunk and self._is_trunk(path, child):
                self._walk(child, plain, f"{path}.")
            elif isinstance(child, plain):
                self.others[path] = "a linear step, or only reshapes"
            elif isinstance(found := self.judge(path), Layout):
                self.layers[path] = found
            else:
                self.others[path] = found
                self._walk(child, plain, f"{path}.", trunk=False)

    def _is_trunk(self, path: str, module: nn.Module) -> bool:
        """Whether a module is a network of its own, as a `.backbone` is: most of it, many grids."""
        own = sum(p.numel() for p in module.parameters())
        if own <= self.all / 2 or not any(True for _ in module.children()):
            return False
        inside = [self.judge(k) for k in self.first.answers if k.startswith(f"{path}.")]
        grids = {one.grid for one in inside if isinstance(one, Layout)}
        return len(grids) > 2 or own > 0.9 * self.all

    def judge(self, path: str) -> Layout | str:
        """Return how a module's answers lie, or why they are no map of units."""
        seen, again = (run.answers.get(path) for run in (self.first, self.second))
        if not seen or not again:
            return "is not run"
        if len(seen) > 1:
            return f"runs {len(seen)} times, so it has no one answer"
        (shape,), other = seen, again[0]
        if isinstance(shape, str) or isinstance(other, str):
            return f"answers with a {shape}, not with a tensor"
        if len(shape) not in (3, 4) or len(shape) != len(other):
            return f"answers with {_told(shape)}, which is no map (1, units, height, width)"
        images = (a for a in range(len(shape)) if (shape[a], other[a]) == (1, 2))
        if (batch := next(images, None)) is None:
            return f"answers with {_told(shape)} to one image and {_told(other)} to two"
        one_size = self.first.size == self.second.size
        found = (
            self._by_aspect(path, shape, batch)
            if one_size
            else self._by_growth(shape, other, batch)
        )
        return replace(found, batch=batch) if isinstance(found, Layout) else found

    def _by_growth(self, shape: Shape, larger: Shape, batch: int) -> Layout | str:
        axes = [a for a in range(len(shape)) if a != batch]
        units = [a for a in axes if shape[a] == larger[a]]
        space = [a for a in axes if larger[a] > shape[a]]
        if len(units) != 1 or len(space) != len(shape) - 2:
            return (
                f"answers with {_told(shape)} to an image of {by(self.first.size)} and "
                f"{_told(larger)} to {by(SIZES[1])}: no axis of units beside those of space"
            )
        if len(space) == 1:
            prefix = _prefix(shape[space[0]], larger[space[0]])
            return self._tokens(units[0], space[0], shape, prefix)
        growth = [larger[a] / shape[a] for a in space]  # rows double, columns grow by half
        if growth[0] < growth[1]:
            space.reverse()
        return self._map(units[0], (space[0], space[1]), shape)

    def _by_aspect(self, path: str, shape: Shape, batch: int) -> Layout | str:
        """Judge by one size: by what the network tells, else by aspect and convolutions' grids."""
        told = self.maps.get(path)
        one, two, *rest = (a for a in range(len(shape)) if a != batch)
        if rest:
            axes = [(one, (two, rest[0])), (rest[0], (one, two))]
            fit = [(u, s) for u, s in axes if self._fits(u, s, shape, told)]
            exact = [(u, s) for u, s in fit if self._is_exact(s, shape)]
            chosen = fit if len(fit) == 1 else exact
            if len(chosen) == 1:
                return self._map(*chosen[0], shape)
        else:
            fit = [
                (u, t, prefix)
                for u, t in ((two, one), (one, two))
                if (prefix := self._prefix_of(u, t, shape, told)) is not None
            ]
            if len(fit) == 1:
                return self._tokens(fit[0][0], fit[0][1], shape, fit[0][2])
        return (
            f"answers with {_told(shape)} to an image of {by(self.first.size)}, the only size it "
            "takes: which axis is units cannot be told"
        )

    def _fits(self, units: int, space: Size, shape: Shape, told: Shape | None) -> bool:
        rows, columns = (shape[a] for a in space)
        if told:
            return (shape[units], rows, columns) == tuple(told)
        height, width = self.first.size
        return abs(rows * width - columns * height) < max(height, width)

    def _is_exact(self, space: Size, shape: Shape) -> bool:
        height, width = self.first.size
        return shape[space[0]] * width == shape[space[1]] * height

    def _prefix_of(self, units: int, axis: int, shape: Shape, told: Shape | None) -> int | None:
        """Return how many tokens stand before those of a grid that is known; None: no such grid."""
        if told and shape[units] != told[0]:
            return None
        grids = [tuple(told[1:])] if told else [g for g in self._grids() if prod(g) > 1]
        before = [p for g in grids if 0 <= (p := shape[axis] - prod(g)) <= PREFIX]
        return min(before, default=None)

    def _grids(self) -> list[Size]:
        return [*self.first.grids, *((h, w) for _, h, w in self.maps.values())]

    def _tokens(self, units: int, axis: int, shape: Shape, prefix: int | None) -> Layout | str:
        size, n = self.first.size, shape[axis] - (prefix or 0)
        grids = [g for g in self._grids() if prod(g) == n]
        stride = sqrt(prod(size) / n) if n > 0 else 0
        if not grids and stride:
            even = round(size[0] / stride), round(size[1] / stride)
            grids = [even] if prod(even) == n else []
        if prefix is None or not grids:
            return f"answers with {_told(shape)}: its tokens lie on no grid"
        return Layout(units, (axis,), shape[units], grids[-1], size, prefix)

    def _map(self, units: int, space: Size, shape: Shape) -> Layout | str:
        grid = shape[space[0]], shape[space[1]]
        if grid[0] < 2:
            return f"answers with {_told(shape)}, one row of pixels"
        return Layout(units, space, shape[units], grid, self.first.size)


def _is_container(module: nn.Module) -> bool:
    plain = type(module) is nn.Sequential or type(module) in (nn.ModuleList, nn.ModuleDict)
    return plain or wraps(module)


def _prefix(tokens: int, more: int) -> int | None:
    """Return how many tokens do not grow with the area of the image; None: they are not whole."""
    small, large = map(prod, SIZES)
    before = tokens - small * (more - tokens) / (large - small)
    whole = round(before)
    return whole if abs(before - whole) < 1e-6 and whole >= 0 else None


def _told(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))})"
