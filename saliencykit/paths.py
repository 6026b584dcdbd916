"""Where things live: every path the project reads or writes is named here once."""

import os
import stat
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
SETTINGS_MIME = "application/vnd.saliencykit.settings+json"  # a study's settings, in its notebook
FIGURE_MIME = "application/vnd.saliencykit.figure+json"  # a saved figure, in its notebook
PHOTOGRAPHS = "_photos"  # how names of pictures end that are not ours to publish: git ignores them
NO_FILES = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a named pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}
"""What may lie where a file is expected."""


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


def regular(path: Path) -> Path:
    """Return `path` if it is a file that can be read to its end.

    A named pipe or a device has no end: to open it may wait for ever. Raises FileNotFoundError if
    nothing is there, ValueError for anything but a file (or a link to one), both naming `path`.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"{path} is not there.") from error
    except (OSError, ValueError) as error:  # a link to itself, a name too long, a NUL in it
        raise ValueError(f"{str(path)!r} cannot be read ({error}).") from error
    if not stat.S_ISREG(mode):
        kind = next((name for is_it, name in NO_FILES.items() if is_it(mode)), "no file")
        raise ValueError(f"{path} is {kind}, not a file.")
    return path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to, which becomes `path` if all went well, and else goes."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")  # no pattern for whole files fits it
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
