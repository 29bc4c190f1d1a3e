"""Requests, each answered to the one that sent it: there is no stream to share, so the reply itself is foretold.

A server's replies differ in the tag alone, and all tags are equally long. So the reply to the next request is the one
before with the tag exchanged. What arrives is compared with that, and parsed where it is anything else: the first
time, when a reply comes in pieces, when a heartbeat is in between. Parsing every reply lost: it takes longer than
sending and receiving together.
"""

from hubbub.loadtest.counts import Counts
from hubbub.loadtest.crowd import Crowd, clock
from hubbub.loadtest.poller import READABLE
from hubbub.loadtest.stream import Arrival
from hubbub.loadtest.traffic import LONGEST_WAIT, Speaker, Traffic


class Asker:
    """A speaker with at most one request open.

    expected: the whole of the reply, while nothing of it has come; empty where that is not known.
    told: whether the stream knows of the open request; while it does not, the request is only here.
    """

    __slots__ = ("counted", "expected", "sent", "speaker", "tag", "told", "waiting")

    def __init__(self, speaker: Speaker) -> None:
        self.speaker = speaker
        self.tag = b""
        self.expected = b""
        self.sent = 0
        self.counted = self.waiting = False
        self.told = True


class Requests:
    """Every speaker asks again as soon as it has its reply."""

    wait = LONGEST_WAIT

    def __init__(self, traffic: Traffic, crowd: Crowd, counts: Counts, speakers: list[Speaker]) -> None:

        self._traffic = traffic
        self._crowd = crowd
        self._counts = counts
        self._askers = [Asker(speaker) for speaker in speakers]
        self._by_descriptor = {each.speaker.connection.descriptor: each for each in self._askers}
        self._open = 0

    @property
    def owed(self) -> bool:
        return self._open > 0

    def start(self) -> None:
        for asker in self._askers:
            self._ask(asker)

    def read(self, timeout: float) -> None:
        crowd, counts, askers = self._crowd, self._counts, self._by_descriptor
        reads, buffer = crowd.reads, crowd.buffer
        starts = buffer.startswith
        for descriptor, what in crowd.poller.poll(timeout, len(askers)):
            asker = askers[descriptor]
            size: int | None
            try:
                size = reads[descriptor](buffer)
            except BlockingIOError:
                size = None
            except OSError as error:
                crowd.lost(asker.speaker.connection, error)
            now = clock()
            expected = asker.expected
            if size and size == len(expected) and what == READABLE and asker.waiting and starts(expected):
                self._open -= 1
                asker.waiting = False
                counts.arrived += 1
                counts.received += len(expected)
                if asker.counted:
                    counts.latency.add((now,), asker.sent)
                    counts.last = now
                self._ask(asker)
            else:
                self._parse(asker, size, what, now)

    def finish(self) -> None:
        """Tells the streams of what is still open."""
        for asker in self._askers:
            self._tell(asker)

    def _ask(self, asker: Asker) -> None:
        counted = self._traffic.admit()
        if counted is None:
            return
        speaker = asker.speaker
        data = speaker.next()
        if asker.expected:
            asker.expected = asker.expected.replace(asker.tag, speaker.tag)
        asker.tag = speaker.tag
        asker.counted = counted
        asker.told = False
        asker.waiting = True
        self._open += 1
        asker.sent = clock()
        self._crowd.send(speaker.connection, data)

    def _tell(self, asker: Asker) -> None:
        if asker.told:
            return
        asker.told = True
        speaker = asker.speaker
        if asker.waiting:
            speaker.stream.sent(speaker.connection.number, speaker.number, asker.sent, counted=asker.counted)
        # All before it have been answered, and nothing of the next has come.
        state = speaker.stream.start(had=speaker.number - asker.waiting)
        self._crowd.states[speaker.connection.descriptor] = state

    def _parse(self, asker: Asker, size: int | None, what: int, now: int) -> None:
        crowd, speaker = self._crowd, asker.speaker
        self._tell(asker)
        unsettled: list[Arrival] = []
        before = crowd.states[speaker.connection.descriptor]
        crowd.slow(speaker.connection, size, what, now, unsettled)
        asker.expected = b""
        for arrival in unsettled:
            arrival.stream.settle(arrival)
        after = crowd.states[speaker.connection.descriptor]
        if before is not None and after is not None and asker.waiting and after.highest[0] >= speaker.number:
            asker.waiting = False
            self._open -= 1
            if len(unsettled) == 1 and before.clean and after.clean and unsettled[0].plain:
                asker.expected = unsettled[0].data
            self._ask(asker)
