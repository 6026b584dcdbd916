"""Names that the tab key completes, once `saliencykit --install-completion` has told the shell.

Each function returns the names that begin as what was typed so far. Profiles, notebooks and
settings are known at once; for the others torch is imported, which takes seconds.
"""

from collections.abc import Iterable
from contextlib import suppress

PARTS = ("train", "val", "test", "all")
"""Parts of a data set that can be asked for."""


def profile(incomplete: str) -> list[str]:
    """Profiles of settings."""
    from ..settings import profile_names

    return _beginning(incomplete, profile_names())


def notebook(incomplete: str) -> list[str]:
    """Notebooks, by their whole names."""
    from ..running.profiles import find_notebooks

    return _beginning(incomplete, (path.stem for path in find_notebooks()))


def setting(incomplete: str) -> list[str]:
    """Settings of a study that -p changes; not what only one notebook asks."""
    from ..settings import Settings

    return _beginning(incomplete, Settings.names())


def data(incomplete: str) -> list[str]:
    """Data sets."""
    from ..datasets import names

    return _beginning(incomplete, names())


def split(incomplete: str) -> list[str]:
    """Parts of a data set."""
    return _beginning(incomplete, PARTS)


def encoder(incomplete: str) -> list[str]:
    """Encoders: ours, torchvision's, and, once "timm:" is typed, timm's if it is installed."""
    from ..models import encoder_names

    with suppress(ImportError):
        return _beginning(incomplete, encoder_names(incomplete))
    return []


def model(incomplete: str) -> list[str]:
    """Models that draw maps: classical ones, and trained ones that were kept."""
    from ..models import classical, kept_models

    return _beginning(incomplete, [*classical.names(), *kept_models()])


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
