"""What was shown and where people looked. Knows no model."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from . import (  # noqa: F401 (each registers)
    cat2000,
    crowd,
    figrim,
    folder,
    mit1003,
    osie,
    osie_sr,
    p3o3,
    popout,
    salicon,
    toyworld,
)
from .base import DATASETS, SaliencyDataset
from .joined import Joined
from .pysaliency_data import from_pysaliency, to_pysaliency
from .reweighted import Reweighted, Sham, SomeObservers
from .types import CATEGORIES, Fixations, Region, Sample

Setting = bool | int | float | str | os.PathLike | Sequence[Any] | Mapping[str, float] | None
"""What a loader may be told; its docstring says which settings it takes."""


def names() -> list[str]:
    """Return every registered data set's name."""
    return sorted(DATASETS)


def load(name: str, root: str | os.PathLike | None = None, **settings: Setting) -> SaliencyDataset:
    """Open data set `name`.

    Its folder is `root`, else $SALIENCYKIT_DATA/<name>, else the user cache. `settings` go to the
    loader (see its docstring). Raises UnknownNameError naming the nearest data set, and
    FileNotFoundError saying where to get missing files.
    """
    return DATASETS[name](root=root, **settings)


__all__ = [
    "CATEGORIES",
    "Fixations",
    "Joined",
    "Region",
    "Reweighted",
    "SaliencyDataset",
    "Sample",
    "Sham",
    "SomeObservers",
    "from_pysaliency",
    "load",
    "names",
    "to_pysaliency",
]
