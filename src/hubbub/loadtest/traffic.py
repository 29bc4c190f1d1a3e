"""What the connections say once all are open: who sends when, until when, and what is still owed at the end.

A message counts when it is sent after the warm-up; all that counts is then waited for. So no delivery is cut off by the
end of the time, and one that does not come is known to be missing. Counting what happens to arrive in the time lost:
it cannot tell late from missing.
"""

import time
from collections.abc import Callable
from typing import Protocol

from hubbub.loadtest.connection import Connection
from hubbub.loadtest.counts import Counts
from hubbub.loadtest.crowd import Crowd, clock
from hubbub.loadtest.dialect import Dialect
from hubbub.loadtest.frames import frame
from hubbub.loadtest.stream import Stream
from hubbub.loadtest.tags import Tags
from hubbub.loadtest.workloads import BenchError, Workload

LONGEST_WAIT = 0.1
SECOND = 10**9


class Speaker:
    """A connection that sends. Its frame is made once, and the tag in it replaced for each message."""

    __slots__ = ("_blank", "_frame", "_tags", "connection", "index", "number", "stream", "tag")

    def __init__(
        self, connection: Connection, stream: Stream, dialect: Dialect, tags: Tags, room: str, padding: str, *, id: bool
    ) -> None:
        blank = tags.tag(connection.number, 0)
        text = blank.decode()
        made = dialect.message(connection.number, room, text + padding, text if id else None)
        self._frame = frame(made.encode())
        if blank not in self._frame:
            raise ValueError("the dialect's message does not hold the tag unchanged")
        self._blank = blank
        self._tags = tags
        self.connection = connection
        self.stream = stream
        self.index = stream.index(connection.number)
        self.number = 0
        self.tag = blank

    def next(self) -> bytes:
        """The frame of its next message, whose number and tag are `number` and `tag` from now on."""
        self.number += 1
        self.tag = self._tags.tag(self.connection.number, self.number)
        return self._frame.replace(self._blank, self.tag)


class Schedule(Protocol):
    """Which speaker sends when."""

    def start(self) -> None:
        """The first messages."""

    def read(self, timeout: float) -> None:
        """Read what comes within `timeout` seconds, and send what it calls for."""

    @property
    def wait(self) -> float:
        """Seconds after which `read` is wanted even though nothing comes."""

    @property
    def owed(self) -> bool:
        """Whether something that was sent has not come back."""

    def finish(self) -> None:
        """Afterwards the streams know what has not come back."""


class Traffic:
    """The clockwork of a workload. `report` is told the phase and the seconds of it that are over, now and then."""

    def __init__(
        self, workload: Workload, crowd: Crowd, counts: Counts, report: Callable[[str, float, float], None]
    ) -> None:
        self._workload = workload
        self._crowd = crowd
        self._counts = counts
        self._report = report
        self.began = self.counting = self.ends = 0
        self.messages = 0
        """Sent and counted."""
        self.first = 0
        """When the first of them was sent."""
        self.over = False
        """The time is up, or all messages are sent."""
        self.cpu = 0.0

    def admit(self) -> bool | None:
        """Whether the next message counts; None: it is not to be sent."""
        if self.over:
            return None
        now = clock()
        if now < self.counting:
            return False
        if self.messages == self._workload.messages:
            self.over = True
            return None
        self.messages += 1
        self.first = self.first or now
        return True

    def say(self, speaker: Speaker, number: int = 1) -> None:
        """Send so many messages in one write; fewer where no more are wanted."""
        now = clock()
        counted = now >= self.counting
        most = self._workload.messages
        if counted and most is not None:
            number = min(number, most - self.messages)
            self.over = self.over or not number
        if self.over:
            return
        data = speaker.next() if number == 1 else b"".join([speaker.next() for _ in range(number)])
        last = speaker.number
        now = clock()
        for each in range(last - number + 1, last + 1):
            speaker.stream.sent(speaker.connection.number, each, now, counted=counted)
        if counted:
            self.messages += number
            self.first = self.first or now
        self._crowd.send(speaker.connection, data)

    def run(self, schedule: Schedule) -> None:
        """Until the time is up and all is there. Raises BenchError where the server closes, refuses or stalls."""
        workload, counts = self._workload, self._counts
        self.began = progress = clock()
        self.counting = self.began + round(workload.warm_up * SECOND)
        self.ends = self.counting + round(workload.duration * SECOND)
        patience = workload.patience * SECOND
        arrived = 0
        used = time.process_time()
        schedule.start()
        while True:
            now = clock()
            self.over = self.over or now >= self.ends
            if self.over and not schedule.owed:
                break
            left = (self.ends - now) / SECOND if not self.over else LONGEST_WAIT
            schedule.read(max(0.0, min(LONGEST_WAIT, left, schedule.wait)))
            if counts.arrived > arrived or not schedule.owed:
                arrived, progress = counts.arrived, clock()
            elif clock() - progress > patience:
                if self.over:
                    break
                raise BenchError(f"the server stalls: nothing was delivered for {workload.patience:g} s")
            self._tell(clock())
        schedule.finish()
        self.cpu = (time.process_time() - used) * SECOND / (clock() - self.began)

    def _tell(self, now: int) -> None:
        if self.over:
            self._report("waiting for the rest", 0.0, 0.0)
        elif now < self.counting:
            self._report("warming up", (now - self.began) / SECOND, self._workload.warm_up)
        else:
            self._report("measuring", (now - self.counting) / SECOND, self._workload.duration)
