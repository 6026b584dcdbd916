"""Which categories can be asked about: those that people labelled."""

from collections.abc import Collection, Sequence

from ..datasets.types import CATEGORIES
from ..registry import check_name


def labelled(names: Sequence[str], known: Collection[str]) -> list[str]:
    """Return those of `names` that are among the `known` categories.

    One of the paper's categories that is not is left out: not every data set has it. Raises
    UnknownNameError for any other name, and if none is left.
    """
    every = sorted({*known, *CATEGORIES})
    found = [name for name in names if check_name("category", name, every) in known]
    return found or [check_name("category", name, known) for name in names]
