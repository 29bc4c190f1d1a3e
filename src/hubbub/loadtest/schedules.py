"""Who talks when: together, apart, steadily, or not at all. Requests have a file of their own."""

from hubbub.loadtest.crowd import Crowd, clock
from hubbub.loadtest.stream import Stream
from hubbub.loadtest.traffic import LONGEST_WAIT, SECOND, Speaker, Traffic


class _InRooms:
    """What those have in common whose messages go to rooms."""

    wait = LONGEST_WAIT

    def __init__(self, traffic: Traffic, crowd: Crowd, streams: list[Stream], speakers: list[Speaker]) -> None:

        self._traffic = traffic
        self._crowd = crowd
        self._streams = streams
        self._speakers = speakers

    @property
    def owed(self) -> bool:
        return any(stream.outstanding for stream in self._streams)

    def finish(self) -> None:
        pass


class Together(_InRooms):
    """So many messages in flight over all speakers, who talk in turn; one is over when all members have it."""

    def __init__(
        self, traffic: Traffic, crowd: Crowd, streams: list[Stream], speakers: list[Speaker], *, in_flight: int
    ) -> None:
        super().__init__(traffic, crowd, streams, speakers)
        self._free = in_flight
        self._turn = 0
        for stream in streams:
            stream.complete = self._completed

    def start(self) -> None:
        free, self._free = self._free, 0
        count = len(self._speakers)
        share, more = divmod(free, count)
        # Whose turn it is gets one more than the others where the number does not divide.
        for place in range(count if share else more):
            speaker = self._speakers[(self._turn + place) % count]
            self._traffic.say(speaker, share + (place < more))
        self._turn = (self._turn + more) % count

    def read(self, timeout: float) -> None:
        self._crowd.read(timeout)
        if self._free:
            self.start()

    def _completed(self) -> None:
        self._free += 1


class Apart(_InRooms):
    """Every speaker has one message in flight, and talks again when it has its own message back."""

    def __init__(self, traffic: Traffic, crowd: Crowd, streams: list[Stream], speakers: list[Speaker]) -> None:
        super().__init__(traffic, crowd, streams, speakers)
        self._by_descriptor = {each.connection.descriptor: each for each in speakers}

    def start(self) -> None:
        for speaker in self._speakers:
            self._traffic.say(speaker)

    def read(self, timeout: float) -> None:
        states, speakers, say = self._crowd.states, self._by_descriptor, self._traffic.say
        for descriptor, _ in self._crowd.read(timeout):
            state, speaker = states[descriptor], speakers.get(descriptor)
            if state is not None and speaker is not None and state.highest[speaker.index] >= speaker.number:
                say(speaker)


class Steadily(_InRooms):
    """So many messages a second, whatever comes back; the speakers talk in turn."""

    def __init__(
        self, traffic: Traffic, crowd: Crowd, streams: list[Stream], speakers: list[Speaker], *, rate: float
    ) -> None:
        super().__init__(traffic, crowd, streams, speakers)
        self._rate = rate
        self._said = 0

    @property
    def wait(self) -> float:  # type: ignore[override]  # the others' is constant
        due = self._traffic.began / SECOND + self._said / self._rate
        wait = due - clock() / SECOND
        # The kernel counts in milliseconds here and would wake us too late.
        return wait if wait > 0.001 else 0.0

    def start(self) -> None:
        # Whoever wakes late has nothing to catch up with behind the end.
        now = min(clock(), self._traffic.ends)
        due = int((now - self._traffic.began) / SECOND * self._rate) + 1
        while self._said < due and not self._traffic.over:
            self._traffic.say(self._speakers[self._said % len(self._speakers)])
            self._said += 1

    def read(self, timeout: float) -> None:
        self._crowd.read(timeout)
        self.start()


class Silently:
    """Nothing is sent but answers to heartbeats."""

    wait = LONGEST_WAIT
    owed = False

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd

    def start(self) -> None:
        pass

    def read(self, timeout: float) -> None:
        self._crowd.read(timeout)

    def finish(self) -> None:
        pass
