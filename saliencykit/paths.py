"""Where things live: every path the project reads or writes is named here once."""

import hashlib
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path

import platformdirs

FOLDERS = ("SALIENCYKIT_CACHE", "SALIENCYKIT_DATA", "SALIENCYKIT_FIGURES", "TORCH_HOME")
"""Environment variables that hold folders."""


def settle_folders() -> None:
    """Write relative folders of the environment out in full, for us and for all that we start.

    A notebook's kernel works in another folder than the command that started it, where they would
    mean another place.
    """
    for name in FOLDERS:
        if told := os.environ.get(name):
            os.environ[name] = str(Path(told).expanduser().absolute())


settle_folders()

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent  # the repository, when the package is installed editable from it
NOTEBOOKS = ROOT / "notebooks"
REFERENCE = ROOT / "figures" / "reference"  # what is committed, and compared with
FIGURES = Path(os.environ.get("SALIENCYKIT_FIGURES") or ROOT / "figures")
ANNOTATIONS = PACKAGE / "datasets" / "annotations"
NOTEBOOK = "SALIENCYKIT_NOTEBOOK"  # environment variable: the stem of the notebook that is run
SETTINGS_MIME = "application/vnd.saliencykit.settings+json"  # a study's settings, in its notebook
FIGURE_MIME = "application/vnd.saliencykit.figure+json"  # a saved figure, in its notebook
PHOTOGRAPHS = "_photos"  # how names of pictures end that are not ours to publish: git ignores them


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
    """Give a temporary file to write to, which becomes `path` if all went well, and else goes.

    It lies in a folder of its own beside `path`, so that what a library writes first under a name
    of its own goes with it. What killed runs left beside `path` goes too.
    """
    remove_left(path.parent, PART)
    folder = path.with_name(f".{path.name[:40]}.{owner()}-{next(_counted)}.part")
    part = folder / "part"  # no pattern for whole files fits it
    try:
        folder.mkdir()
        yield part
        os.replace(part, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


OWNER = r"(?P<machine>[0-9a-f]{8})-(?P<process>\d{1,9})"
PART = re.compile(rf"\..*\.(?:{OWNER}-\d+|\d+)\.part(?:\.\w+)?")
SILENT = 24 * 3600  # seconds after which no other machine is still writing what is unfinished
_counted = count()


def owner() -> str:
    """Name this process as no other is named, here or on another machine: it fits `OWNER`."""
    return f"{_machine()}-{os.getpid()}"


def remove_left(folder: Path, pattern: re.Pattern[str]) -> None:
    """Remove what lies in `folder` under names of `pattern`, left by processes that have ended.

    Those of another machine cannot be asked for: what one has not written to for a day is left.
    """
    with suppress(OSError), os.scandir(folder) as found:
        for entry in found:
            if (name := pattern.fullmatch(entry.name)) and _is_left(entry, **name.groupdict()):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry, ignore_errors=True)
                else:
                    with suppress(OSError):  # somebody else's, or somebody was faster
                        os.unlink(entry)


def _is_left(entry: os.DirEntry, machine: str | None, process: str | None) -> bool:
    if machine == _machine() and process:
        import psutil  # slow to import, and seldom needed

        return not psutil.pid_exists(int(process))
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > SILENT


@cache
def _machine() -> str:
    """Tell this machine, and since when it has been running, from any other: 8 hex digits.

    Machines may be called alike, and containers number their processes each for itself.
    """
    told = [platform.node()]
    with suppress(OSError):
        told += [Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")]
        told += [os.readlink("/proc/self/ns/pid")]
    return hashlib.sha256(" ".join(told).encode()).hexdigest()[:8]
