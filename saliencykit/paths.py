"""Where things live: every path the project reads or writes is named here once."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
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


def check_out(command: str, *outs: Path, inputs: Sequence[Path] = ()) -> None:
    """Raise if `command` may not write files at `outs`: before it computes anything.

    Raises FileNotFoundError or PermissionError where there is no folder that can be written into;
    FileExistsError where a file is that the command reads (`inputs`), or that it did not write, or
    that was changed since. A receipt in the cache tells what a command wrote where; where that is
    lost, so is the right to write over it.
    """
    for folder in dict.fromkeys(out.parent for out in outs):
        if not folder.is_dir():
            raise FileNotFoundError(f"The folder for --out, {folder}, is not there; make it first.")
        if not os.access(folder, os.W_OK):
            raise PermissionError(f"Nothing can be written into {folder}; name another --out.")
    read = {_identity(path) for path in inputs}
    for out in filter(os.path.lexists, outs):
        if out.exists() and _identity(out) in read:
            raise FileExistsError(
                f"{out} would be written over, and is read; name another folder or file as --out."
            )
        if out.is_symlink() or not out.is_file() or _receipt(out) != _digest(out, command):
            raise FileExistsError(
                f"{out} is there already, and is not what `saliencykit {command}` wrote, or no "
                "longer: nothing is written over. Name another --out."
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
