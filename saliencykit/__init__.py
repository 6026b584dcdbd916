"""saliencykit: look inside deep visual saliency models, with evidence.

The rooms `datasets`, `metrics`, `models`, `dissection`, `viewing` and the table-makers `evaluation`
and `study` are imported when first named, so that the command line answers at once.
"""

import sys

if sys.argv[:1] == ["-m"] and "saliencykit" in sys.orig_argv and not sys.flags.safe_path:
    del sys.path[0]  # where `python -m saliencykit` was called: nothing there is ours to import

import importlib
import platform
from typing import TYPE_CHECKING

__version__ = "0.1.0"
ROOMS = (
    "analyses",
    "datasets",
    "dissection",
    "evaluation",
    "findings",
    "intervals",
    "metrics",
    "models",
    "study",
    "viewing",
    "worlds",
)
THINGS = {"Study": "study"}
"""What can be named without its room, and the room it is in."""

if TYPE_CHECKING:  # the same names for editors and checkers, which do not run `__getattr__`
    from . import (  # noqa: F401
        analyses,
        datasets,
        dissection,
        evaluation,
        findings,
        intervals,
        metrics,
        models,
        study,
        viewing,
        worlds,
    )
    from .study import Study as Study
else:

    def __getattr__(name: str) -> object:
        try:
            if name in ROOMS:
                return importlib.import_module(f".{name}", __name__)
            if name in THINGS:
                return getattr(importlib.import_module(f".{THINGS[name]}", __name__), name)
        except ModuleNotFoundError as error:
            from .registry import lacking

            raise lacking(error, f"{__name__}.{name}") from error
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}; it has {', '.join([*ROOMS, *THINGS])}"
        )


def __dir__() -> list[str]:
    return sorted([*globals(), *ROOMS, *THINGS])


def versions() -> str:
    """Return a line that says what a notebook was run with."""
    from importlib.metadata import version

    import torch

    return (
        f"saliencykit {__version__}, Python {platform.python_version()}, "
        f"torch {torch.__version__}, torchvision {version('torchvision')}, "
        f"{torch.get_num_threads()} threads, "
        f"{'GPU' if torch.cuda.is_available() else 'no GPU'}"
    )
