"""How long something took, told apart from how long the machine was busy with something else.

    watch = Stopwatch()
    await something()
    assert watch.own < 1

A bound says that something does not wait for its deadline, or holds nobody up; how many processes run beside the test
is no part of it. Linux counts for every thread how long it was ready to run and had no processor (proc(5), schedstat);
elsewhere nothing is taken off.
"""

import time
from pathlib import Path

_SCHEDULED = Path("/proc/thread-self/schedstat")


class Stopwatch:
    """Of the thread that makes it, from then on."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._worked = time.thread_time()
        self._kept = _kept_waiting()

    @property
    def wall(self) -> float:
        """Seconds. What something must at least take is measured so: a timer goes on while nobody can run."""
        return time.monotonic() - self._began

    @property
    def own(self) -> float:
        """Seconds, without those in which this thread was ready and had no processor."""
        return self.wall - (_kept_waiting() - self._kept)

    @property
    def work(self) -> float:
        """Seconds of a processor that this thread used."""
        return time.thread_time() - self._worked


def _kept_waiting() -> float:
    try:
        return int(_SCHEDULED.read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0
