"""Where things live: every path the project reads or writes is named here once."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent  # the repository, when the package is installed editable from it
NOTEBOOKS = ROOT / "notebooks"
REFERENCE = ROOT / "figures" / "reference"  # what is committed, and compared with
FIGURES = Path(os.environ.get("SALIENCYKIT_FIGURES", ROOT / "figures"))
ANNOTATIONS = PACKAGE / "datasets" / "annotations"
NOTEBOOK = "SALIENCYKIT_NOTEBOOK"  # environment variable: the stem of the notebook that is run
PLACES = ("SALIENCYKIT_DATA", "SALIENCYKIT_CACHE", "SALIENCYKIT_FIGURES", "TORCH_HOME")
"""Environment variables that name folders."""
SETTINGS_MIME = "application/vnd.saliencykit.settings+json"  # a study's settings, in its notebook
FIGURE_MIME = "application/vnd.saliencykit.figure+json"  # a saved figure, in its notebook
PHOTOGRAPHS = "_photos"  # how names of pictures end that are not ours to publish: git ignores them


def for_children() -> dict[str, str]:
    """Return what must be set in the environment of processes that we start.

    They work in other folders: relative `PLACES` and places to import from become absolute, as seen
    from here. Nor do they import what happens to lie in the folder they work in: an empty entry of
    PYTHONPATH, which would mean that folder, goes.
    """
    given = {name: os.environ[name] for name in PLACES if os.environ.get(name)}
    found = {name: str(Path(place).expanduser().absolute()) for name, place in given.items()}
    if "PYTHONPATH" in os.environ:
        entries = filter(None, os.environ["PYTHONPATH"].split(os.pathsep))
        found["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, entries))
    return found | {"PYTHONSAFEPATH": "1"}


def cache_root() -> Path:
    """Folder of everything that can be computed again: $SALIENCYKIT_CACHE or the user cache."""
    return Path(
        os.environ.get("SALIENCYKIT_CACHE") or platformdirs.user_cache_dir("saliencykit")
    ).expanduser()


def data_root(name: str, root: str | os.PathLike | None = None) -> Path:
    """Folder of data set `name`: `root`, else $SALIENCYKIT_DATA/<name>, else the user cache."""
    if root is not None:
        return Path(root).expanduser()
    base = os.environ.get("SALIENCYKIT_DATA")
    return Path(base).expanduser() / name if base else cache_root() / "data" / name


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to, which becomes `path` if all went well, and else goes."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")  # no pattern for whole files fits it
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
