"""What strangers can make a server log, in bounds: of each kind a few lines, and of the rest how many they were.

A refusal that nobody sees cannot be mended, and one line for each of a flood fills disks and hides all else. So the
first lines of a kind within some seconds are written, the others counted, and the count is written when the time is
over, whether or not more come.
"""

import logging
from collections.abc import Mapping

from hubbub.ports.clock import Alarm, Clock


class _Window:
    __slots__ = ("alarm", "began", "event", "left_out", "level", "written")

    def __init__(self, began: float, level: int, event: object) -> None:
        self.began = began
        self.level = level
        self.event = event
        self.written = self.left_out = 0
        self.alarm: Alarm | None = None


class LimitedLog:
    """Of each kind at most `burst` lines in `every` seconds. Callers bound how many kinds there are."""

    def __init__(self, log: logging.Logger, clock: Clock, *, burst: int = 5, every: float = 10.0) -> None:
        self._log = log
        self._clock = clock
        self._burst = burst
        self._every = every
        self._windows: dict[str, _Window] = {}

    def tell(
        self,
        kind: str,
        text: str,
        *args: object,
        level: int = logging.INFO,
        error: BaseException | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        """`kind` in words, because it is told with the count; `text`, `args` and `extra` as a logger has them.

        The count's record has `event` as `extra` has it, `left_out`, and the kind as its `cause`.

        `error`: whose traceback is written as well.
        An application that sets up no logging of its own sees WARNING and above only.
        """
        now = self._clock.now()
        window = self._windows.get(kind)
        if window is not None and now - window.began >= self._every:
            self._end(kind)
            window = None
        if window is None:
            window = self._windows[kind] = _Window(now, level, (extra or {}).get("event"))
        if window.written < self._burst:
            window.written += 1
            self._log.log(level, text, *args, exc_info=error, extra=extra)
            return
        window.left_out += 1
        if window.alarm is None:
            window.alarm = self._clock.call_at(window.began + self._every, lambda: self._end(kind))

    def stop(self) -> None:
        """Write what was left out so far; there is no loop any more that would."""
        for kind in tuple(self._windows):
            self._end(kind)

    def _end(self, kind: str) -> None:
        window = self._windows.pop(kind, None)
        if window is None:
            return
        if window.alarm is not None:
            window.alarm.cancel()
        if window.left_out:
            seconds = self._clock.now() - window.began
            extra = {"event": window.event, "cause": kind, "left_out": window.left_out}
            self._log.log(window.level, "%s: %d more within %.0f s", kind, window.left_out, seconds, extra=extra)
