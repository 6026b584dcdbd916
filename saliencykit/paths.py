"""Where things live: every path the project reads or writes is named here once."""

import hashlib
import os
import platform
import re
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path

import platformdirs

PROFILES = "SALIENCYKIT_PROFILES"  # environment variable: a folder of one's own profiles
FOLDERS = ("SALIENCYKIT_CACHE", "SALIENCYKIT_DATA", "SALIENCYKIT_FIGURES", PROFILES, "TORCH_HOME")
"""Environment variables that hold folders."""


def settle_folders() -> None:
    """Write relative folders of the environment out in full, for us and for all that we start.

    A notebook's kernel works in another folder than the command that started it, where they would
    mean another place.
    """
    os.environ.update(_whole_folders())


def _whole_folders() -> dict[str, str]:
    told = {name: os.environ[name] for name in FOLDERS if os.environ.get(name)}
    return {name: str(Path(folder).expanduser().absolute()) for name, folder in told.items()}


settle_folders()


def told_path(text: str) -> str:
    """Return a text that names a file or folder, with a folder of its own, written out in full.

    A notebook works elsewhere than the command that runs it. Any other text comes back as it is: a
    bare name means what it always does, whatever lies in the current folder.
    """
    path = Path(text).expanduser()
    return str(path.absolute()) if (os.sep in text or "~" in text) and path.exists() else text


PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent  # the repository, where the package is used from a checkout
WHEEL = (PACKAGE / "notebooks").is_dir()  # a wheel ships, inside the package, what else lies beside
NOTEBOOKS = (PACKAGE if WHEEL else ROOT) / "notebooks"
REFERENCE = PACKAGE / "reference" if WHEEL else ROOT / "figures" / "reference"
"""What is committed, and compared with; a wheel ships its tables without the pictures."""
FIGURES = Path(os.environ.get("SALIENCYKIT_FIGURES") or (Path() if WHEEL else ROOT) / "figures")
"""What runs draw: in a checkout, or else in the current folder."""
ANNOTATIONS = PACKAGE / "datasets" / "annotations"
NOTEBOOK = "SALIENCYKIT_NOTEBOOK"  # environment variable: the stem of the notebook that is run
FOR_PAPER = ("svg", "pdf", "tex")  # beside a figure's PNG and CSV, where they are asked for
PAPER = "SALIENCYKIT_PAPER"  # environment variable: they are asked for, if it is not empty
STYLE = "SALIENCYKIT_STYLE"  # environment variable: a reader's own style sheet, over ours
STYLE_SHEET = PACKAGE / "viewing" / "saliencykit.mplstyle"  # how every figure looks
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


def for_children() -> dict[str, str]:
    """Return what must be set in the environment of processes that we start.

    They work in other folders: relative `FOLDERS` and places to import from become absolute, as
    seen from here. Nor do they import what happens to lie in the folder they work in: an empty
    entry of PYTHONPATH, which would mean that folder, goes.
    """
    found = _whole_folders()
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
def whole(path: Path, beside: bool = False) -> Iterator[Path]:
    """Give a temporary file to write to, which becomes `path` if all went well, and else goes.

    It lies in a folder of its own beside `path`, so that what a library writes first under a name
    of its own goes with it; or itself `beside` it, for what tells of places relative to its own.
    What killed runs left there goes too.
    """
    if not beside:
        with staging(path) as folder:
            yield folder / "part"  # no pattern for whole files fits it
            os.replace(folder / "part", path)
        return
    remove_left(path.parent, PART)
    part = _part(path)
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def staging(path: Path) -> Iterator[Path]:
    """Give a folder beside `path` for what is to become it, which goes in the end.

    Its name tells machine and process, so that what killed runs left there can go too: see
    `remove_left`.
    """
    remove_left(path.parent, PART)
    folder = _part(path)
    try:
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name[:40]}.{owner()}-{next(_counted)}.part")


OWNER = r"(?P<machine>[0-9a-f]{8})-(?P<process>\d{1,9})"
PART = re.compile(rf"\..*\.{OWNER}-\d+\.part(?:\.\w+)?")
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


def _is_left(entry: os.DirEntry, machine: str, process: str) -> bool:
    if machine == _machine():
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


def check_out(
    command: str, *outs: Path, inputs: Sequence[Path] = (), option: str = "--out"
) -> None:
    """Raise if `command` may not write files at `outs`: before it computes anything.

    option: by which they were named, to be told.
    Raises FileNotFoundError or PermissionError where there is no folder that can be written into;
    FileExistsError where a file is that the command reads (`inputs`), or that it did not write, or
    that was changed since. A receipt in the cache tells what a command wrote where; where that is
    lost, so is the right to write over it.
    """
    for folder in dict.fromkeys(out.parent for out in outs):
        if not folder.is_dir():
            raise FileNotFoundError(
                f"The folder for {option}, {folder}, is not there; make it first."
            )
        if not os.access(folder, os.W_OK):
            raise PermissionError(f"Nothing can be written into {folder}; name another {option}.")
    read = {_identity(path) for path in inputs}
    for out in filter(os.path.lexists, outs):
        if out.exists() and _identity(out) in read:
            raise FileExistsError(
                f"{out} would be written over, and is read; name another folder or file as "
                f"{option}."
            )
        if out.is_symlink() or not out.is_file() or _receipt(out) != _digest(out, command):
            raise FileExistsError(
                f"{out} is there already, and is not what `saliencykit {command}` wrote, or no "
                f"longer: nothing is written over. Name another {option}."
            )


@contextmanager
def written(command: str, out: Path) -> Iterator[Path]:
    """Give a temporary name as `whole` does, for a file that a user asked `command` for.

    What came to lie at `out` meanwhile is not written over: raises as `check_out`.
    """
    with whole(out) as part:
        yield part
        check_out(command, out)
        with suppress(OSError):  # a cache that can't be written: then it is not known as ours
            place = _receipt_file(out)
            place.parent.mkdir(parents=True, exist_ok=True)
            with whole(place) as receipt:
                receipt.write_text(_digest(part, command), encoding="ascii")


def _receipt_file(out: Path) -> Path:
    """Where it is kept what was written at `out`."""
    place = os.fsencode(out.parent.resolve() / out.name)
    return cache_root() / "written" / hashlib.sha256(place).hexdigest()[:32]


def _receipt(out: Path) -> str | None:
    """What was written last at `out`, as `_digest` tells it; None if nothing is known."""
    with suppress(OSError, UnicodeError):
        return _receipt_file(out).read_text(encoding="ascii")
    return None


def _digest(file: Path, command: str) -> str:
    with file.open("rb") as opened:
        return f"{command} {hashlib.file_digest(opened, 'sha256').hexdigest()}"


def _identity(path: Path) -> tuple[int, int]:
    """What two names of one file share."""
    status = path.stat()
    return status.st_dev, status.st_ino
