"""Locks among processes, on one machine or on several that share a disk.

The rule. A network disk may not pass on the system's locks from machine to machine, so a lock is a
file, made only where none is, that tells machine and process (and since when both have been
running), and that its owner touches every `HEARTBEAT` seconds. Whoever waits takes it over at once
if its owner ran on the same machine and has ended; and otherwise if it has not been touched for
`SILENT` seconds of waiting, by the waiting one's own clock, so that the clocks of machines need not
agree. An owner who was only asleep then does what another does too: so what is done under a lock
must be right even then, as it is where everybody writes under a name of his own and renames.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import SoftFileLease, Timeout

HEARTBEAT = 30.0  # seconds; network disks tell of a change after up to 60
SILENT = 300.0  # the same for all who share a disk: the lock tells it, and they compare


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Inside, no other process is inside with the lock at `place`, which goes in the end.

    Raises OSError if no lock can be made there.
    """
    lock = SoftFileLease(place, lease_duration=SILENT, heartbeat_interval=HEARTBEAT)
    _take(lock, place)
    try:
        yield
    finally:
        lock.release()


def _take(lock: SoftFileLease, place: Path) -> None:
    """Wait for a lock. One that tells no owner, who ended before he wrote a word, is removed."""
    blank = None
    while True:
        try:
            lock.acquire(timeout=SILENT, poll_interval=0.1)
            return
        except Timeout:
            before, blank = blank, _blank(place)
            if blank is not None and blank == before:
                place.unlink(missing_ok=True)


def _blank(place: Path) -> tuple[int, int] | None:
    """What tells an empty file from another at the same place; None if it is not empty."""
    with suppress(FileNotFoundError):
        status = place.stat()
        return None if status.st_size else (status.st_ino, status.st_ctime_ns)
    return None
