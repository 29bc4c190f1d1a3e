"""What is promised of starting and stopping."""

import asyncio
from collections.abc import Awaitable, Callable

from hubbub.errors import Unavailable
from hubbub.options import History
from hubbub.ports.broker import Announcement, Broker, Held
from hubbub.testing.conformance.meeting import ROOM, Peer, marked, meeting, until

KEEP = History(size=10, ttl=60)

#: Everything that can be asked. What is true of every call is tried on each.
CALLS: dict[str, Callable[[Broker], Awaitable[object]]] = {
    "publish": lambda broker: broker.publish(ROOM, b"x"),
    "read": lambda broker: broker.read(ROOM, KEEP, limit=1),
    "turn_back": lambda broker: broker.turn_back(ROOM, KEEP, "e"),
    "subscribe": lambda broker: broker.subscribe(ROOM),
    "unsubscribe": lambda broker: broker.unsubscribe(ROOM),
    "enter": lambda broker: broker.enter(ROOM, "alice", "n1"),
    "leave": lambda broker: broker.leave(ROOM, "alice", "n1"),
    "show": lambda broker: broker.show(ROOM, "alice", "n1", b"x"),
    "hide": lambda broker: broker.hide(ROOM, "alice", "n1"),
    "renew": lambda broker: broker.renew("n1", 1.0),
    "lost": lambda broker: broker.lost(1),
    "sweep": lambda broker: broker.sweep(Held("n1", ROOM, ["alice"]), [None]),
    "edges": lambda broker: broker.edges(1),
    "handled": lambda broker: broker.handled(1),
    "last_left": lambda broker: broker.last_left("alice"),
    "members": lambda broker: broker.members(ROOM),
    "shown": lambda broker: broker.shown(ROOM),
    "count": lambda broker: broker.count(ROOM),
    "contains": lambda broker: broker.contains(ROOM, "alice"),
    "declare": lambda broker: broker.declare(b"x"),
    "declared": lambda broker: broker.declared(),
    "revoke": lambda broker: broker.revoke(b"word", 4e9, Announcement(ROOM, b"revoked")),
    "revoked": lambda broker: broker.revoked(0, 10),
    "take_turn": lambda broker: broker.take_turn("numbers", "n1", 1.0),
    "give_up": lambda broker: broker.give_up("numbers", "n1"),
    "report": lambda broker: broker.report("n1", b"x", 1.0),
    "reports": lambda broker: broker.reports(),
    "withdraw": lambda broker: broker.withdraw("n1"),
}


class Life:
    @meeting
    async def test_life_no_message_is_delivered_after_stop(self, here: Peer, there: Peer) -> None:
        await here.broker.subscribe(ROOM)
        sending = asyncio.gather(*(there.broker.publish(ROOM, b"x") for _ in range(500)), return_exceptions=True)
        await until(lambda: here.heard, "the first is heard")
        await here.broker.stop()
        heard = len(here.heard)
        await sending
        await asyncio.sleep(0.05)
        assert len(here.heard) == heard
        assert not here.broker.ready
        await here.broker.stop()

    @meeting
    async def test_life_it_can_start_again_without_its_subscriptions(self, here: Peer, there: Peer) -> None:
        await here.broker.subscribe(ROOM)
        await here.broker.stop()
        await here.start()
        await until(lambda: here.broker.ready, "ready again")
        await there.broker.publish(ROOM, b"before")
        await here.broker.subscribe(ROOM)
        await there.broker.publish(ROOM, b"after")
        await marked(here, there)
        assert here.data(ROOM) == [b"after"]
        assert here.resumed == there.resumed == 0

    @meeting
    async def test_life_calls_that_are_not_between_start_and_stop_are_unavailable(
        self, here: Peer, there: Peer
    ) -> None:
        for call in CALLS.values():
            await call(here.broker)
        await here.broker.stop()
        for name, call in CALLS.items():
            try:
                await call(here.broker)
            except Unavailable:
                continue
            raise AssertionError(f"{name} did not raise Unavailable")
        await there.broker.publish(ROOM, b"x")
