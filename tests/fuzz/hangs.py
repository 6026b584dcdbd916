"""A limit on how long a trial may take."""

import signal
from contextlib import contextmanager


class HangError(Exception):
    """The time is over."""


@contextmanager
def limited(seconds=20.0):
    """Raise HangError inside once the time is over."""

    def over(number, frame):
        raise HangError

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
