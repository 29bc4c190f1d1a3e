"""Whatever the broker loses, repeats and forgets, and whenever it answers: nobody is told less than happened."""

import asyncio
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from hubbub.errors import Unavailable
from hubbub.history.topic import Bounds
from hubbub.hub.composition import compose
from hubbub.options import History, Limits, RoomOptions
from hubbub.ports.broker import Entry
from hubbub.protocol.join_room import Since
from hubbub.testing import ManualClock, settle
from hubbub.types import Position, RoomName, room_topic
from tests.kit.declared import declared
from tests.kit.recipients import Reader, Turn
from tests.kit.streams import Asked, Judged, StreamBroker

ROOM = RoomName("r")
TOPIC = room_topic(ROOM)
KEEP = History(size=8, ttl=60)
OPTIONS = RoomOptions(history=KEEP)
CLIENTS = ("ann", "bob", "cid")

clients = st.sampled_from(CLIENTS)
some = st.integers(1, 7)


class World:
    """One worker, in a running loop."""

    def __init__(self) -> None:
        self.broker, self.clock, self.turn = StreamBroker(), ManualClock(), Turn()
        self.broker.at_once = False
        broker: Any = self.broker
        parts = compose(
            broker,
            self.clock,
            limits=Limits(replay=5, rooms=9),
            declared=declared({"{room:path}": OPTIONS}),
            batcher=self.turn.batcher,
            # Small enough for short runs to come to it.
            bounds=Bounds(per_read=3),
        )
        self.background, self.registry, self.fanout = parts.background, parts.registry, parts.fanout
        self.positions, self.membership = parts.positions, parts.membership


class OneWorker(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.world = self.runner.run(_made())
        self.broker = self.world.broker
        self.stream = self.broker.of(TOPIC)
        self.bus: list[tuple[Position, bytes]] = []
        """What was published and did not come yet."""
        self.judged = {name: Judged(name, self.stream) for name in CLIENTS}
        self.readers: dict[str, Reader] = {}
        self.joining: dict[str, asyncio.Task[None]] = {}
        self.once: Position | None = None
        """After the stream went back: what was its top."""
        self.back = 0
        """And what it is since. What stands after this, where something else stood, is how the worker knows."""
        for name in CLIENTS:
            self.join(name, own=False, since=None)
        self.now(self.broker.answer_all)
        self.now(self.broker.answer_all)

    def teardown(self) -> None:
        try:
            self.in_the_end()
        finally:
            self.runner.run(self.stop())
            self.runner.close()

    async def stop(self) -> None:
        self.broker.at_once = True
        self.broker.answer_all()
        for task in self.joining.values():
            task.cancel()
        await settle()
        self.world.positions.stop()
        await self.world.background.end(within=1.0)

    def now(self, *acts: Callable[[], object]) -> None:
        """Do this in the loop, let everything run that can, and read what everybody was told."""

        async def act() -> None:
            for each in acts:
                each()
                await settle()

        self.runner.run(act())
        for name, reader in tuple(self.readers.items()):
            self.judged[name].read(reader.told)
        for name, task in tuple(self.joining.items()):
            if task.done():
                del self.joining[name]
                error = None if task.cancelled() else task.exception()
                assert error is None or isinstance(error, Unavailable), error
                if error is not None:
                    self.judged[name].asked.clear()
        for name in [name for name, reader in self.readers.items() if reader.closes]:
            self.go(name)
        if self.once is not None and (self.stream.epoch != self.once.epoch or self.stream.top >= self.once.offset):
            self.once = None

    # What publishers do, and the bus.

    @rule(several=some, without=st.sets(clients, max_size=1))
    def publish(self, several: int, without: set[str]) -> None:
        for _ in range(several):
            if self.once is not None and self.stream.top + 1 == self.once.offset:
                # Where a stream that went back has grown again, no position can tell.
                return
            if len(self.stream.entries) == KEEP.size and self._tells(self.stream.entries[0]):
                return
            self.bus.append(self.stream.publish(KEEP.size, without))

    @rule(several=some, prompt=st.booleans())
    def talk(self, several: int, prompt: bool) -> None:
        """As it mostly is."""
        self.publish(several, set())
        if prompt:
            while self.broker.pending:
                self.now(self.broker.answer_all)
        self.bring(several)

    def _deliver(self, position: Position, data: bytes) -> None:
        self.now(lambda: self.world.positions.deliver(TOPIC, data, position))

    @precondition(lambda self: self.bus)
    @rule(several=some)
    def bring(self, several: int) -> None:
        for _ in range(min(several, len(self.bus))):
            self._deliver(*self.bus.pop(0))

    @precondition(lambda self: self.bus)
    @rule(place=st.integers(0, 5))
    def bring_twice(self, place: int) -> None:
        """Now, and in its place too."""
        self._deliver(*self.bus[place % len(self.bus)])

    @precondition(lambda self: self.bus)
    @rule(place=st.integers(0, 5))
    def lose(self, place: int) -> None:
        del self.bus[place % len(self.bus)]

    @rule(several=some)
    def trim(self, several: int) -> None:
        for _ in range(several):
            if self.stream.entries and not self._tells(self.stream.entries[0]):
                del self.stream.entries[0]

    def _tells(self, entry: Entry) -> bool:
        """Without this one nobody could tell that the stream went back."""
        return self.once is not None and entry.offset > self.back

    # What becomes of the broker.

    @rule()
    def begin_anew(self) -> None:
        self.stream.begin_anew()

    @precondition(lambda self: self.stream.top and self.once is None)
    @rule(by=some)
    def go_back(self, by: int) -> None:
        """A replica takes over: what was under way is lost, and the connection with it."""
        self.once = Position(self.stream.epoch, self.stream.top)
        self.stream.go_back(by)
        self.back = self.stream.top
        self.bus.clear()
        self.resumed()

    @rule()
    def resumed(self) -> None:
        self.now(self.world.positions.resumed)

    @rule()
    def missed(self) -> None:
        self.now(lambda: self.world.positions.missed(TOPIC))

    # What clients do.

    @rule(name=clients, own=st.booleans(), since=st.none() | st.tuples(st.integers(0, 3), st.integers(0, 12)))
    def join(self, name: str, own: bool, since: tuple[int, int] | None) -> None:
        """`own`: with where it stands, as a client does."""
        if name in self.joining:
            return
        judged = self.judged[name]
        asked = None
        if own and judged.here is not None:
            asked = judged.here
        elif since is not None:
            asked = Position(f"e{since[0]}" if since[0] else "", since[1])
        if name not in self.readers:
            reader = self.readers[name] = Reader(name, self.world.turn)
            self.world.registry.add(reader, name)
            judged.reconnect()
        judged.asked.append(asked)
        wire = None if asked is None else Since(asked.epoch or None, asked.offset)
        self.now(lambda: self._begin(name, wire))

    def _begin(self, name: str, since: Since | None) -> None:
        joining = self.world.membership.join(self.readers[name], ROOM, OPTIONS, since=since)
        self.joining[name] = asyncio.create_task(joining)

    @rule(name=clients, prompt=st.booleans())
    def come_back(self, name: str, prompt: bool) -> None:
        self.go(name)
        self.join(name, own=True, since=None)
        if prompt:
            self.now(self.broker.answer_all)

    @precondition(lambda self: self.readers)
    @rule(name=clients)
    def go(self, name: str) -> None:
        reader = self.readers.pop(name, None)
        if name in self.joining:
            self.joining.pop(name).cancel()
        if reader is not None:
            self.now(lambda: self.world.membership.gone(reader))

    # What is asked of the broker, and time.

    def _asked(self, place: int) -> Asked:
        return self.broker.pending[place % len(self.broker.pending)]

    @precondition(lambda self: self.broker.pending)
    @rule(place=st.integers(0, 5))
    def do(self, place: int) -> None:
        """It is done, and the answer is under way."""
        self.broker.do(self._asked(place))

    @precondition(lambda self: self.broker.pending)
    @rule(place=st.integers(0, 5))
    def answer(self, place: int) -> None:
        self.now(lambda: self.broker.answer(self._asked(place)))

    @precondition(lambda self: self.broker.pending)
    @rule(place=st.integers(0, 5))
    def fail(self, place: int) -> None:
        self.now(lambda: self.broker.fail(self._asked(place)))

    @rule(rounds=st.sampled_from([1, 2, 26]))
    def wait(self, rounds: int) -> None:
        if rounds > 2:
            # Longer, and the members would be sent away.
            self.now(self.broker.answer_all)
        self.now(*[lambda: self.world.clock.move(1.0)] * rounds)

    def in_the_end(self) -> None:
        """When all is quiet everybody knows all there is, and who comes back with what is kept misses nothing."""
        self.broker.at_once = True
        self.now(self.broker.answer_all)
        while self.bus:
            self.bring(7)
        self.wait(60)
        assert not self.joining
        for name in self.readers:
            judged = self.judged[name]
            assert not judged.joined or judged.at_the_top, (judged.here, self.stream.epoch, self.stream.top)
        self.go("ann")
        missed = min(len(self.stream.entries), 5)
        self.judged["ann"].here = Position(self.stream.epoch, self.stream.top - missed)
        self.join("ann", own=True, since=None)
        [answer] = [each for each in self.readers["ann"].told if each["type"] == "room_joined"]
        assert answer["recovered"] is True
        assert self.judged["ann"].at_the_top


async def _made() -> World:
    return World()


TestOneWorker = OneWorker.TestCase
TestOneWorker.settings = settings(max_examples=200, stateful_step_count=40, deadline=None, report_multiple_bugs=False)
