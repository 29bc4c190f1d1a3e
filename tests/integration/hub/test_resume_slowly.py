"""Coming back to many rooms over a line that takes little."""

from hubbub import History, Hub, Limits
from hubbub.ports.metrics import Count
from tests.integration.hub.histories import keeping
from tests.integration.hub.test_slow_readers import counted, slow
from tests.kit.client import Tab
from tests.kit.serving import Names, at_rest, connection_of, serving
from tests.kit.waiting import until

ROOMS, MESSAGES = 30, 30
KEEP = History(size=MESSAGES, ttl=60)
#: Of one message. All of it together is eight times what may be unsent, and more than the kernels hold.
BIG = "x" * 9_000


async def fill(hub: Hub) -> None:
    for room in range(ROOMS):
        for number in range(MESSAGES):
            await hub.room(f"kept:{room}").send({"type": "m", "n": number, "big": BIG})


async def come_back(tab: Tab) -> None:
    for room in range(ROOMS):
        await tab.send({"type": "join_room", "room": f"kept:{room}", "since": {"offset": 0}})


async def test_who_reads_slowly_is_handed_one_room_after_the_other_and_stays() -> None:
    hub = Hub(auth=Names(), limits=Limits(outbox=1_000_000))
    async with serving(keeping(hub, KEEP)) as server, slow(server) as tab:
        await fill(hub)
        connection = connection_of(hub, tab)
        tab.socket.transport.pause_reading()
        await come_back(tab)
        await until(lambda: connection.outbound.unrelieved, "it is waited for")
        tab.socket.transport.resume_reading()
        await until(lambda: len(tab.received("m")) == ROOMS * MESSAGES, "all of it", within=20)
        assert all(joined["recovered"] for joined in tab.received("room_joined"))
        assert [message["offset"] for message in tab.received("m")] == [*range(1, MESSAGES + 1)] * ROOMS
        assert not connection.closed
        assert counted(hub, Count.SLOW) == 0


async def test_who_vanishes_while_it_is_waited_for_leaves_nothing_behind() -> None:
    hub = Hub(auth=Names(), limits=Limits(outbox=1_000_000))
    async with serving(keeping(hub, KEEP)) as server:
        await fill(hub)
        async with slow(server) as tab:
            connection = connection_of(hub, tab)
            tab.socket.transport.pause_reading()
            await come_back(tab)
            await until(lambda: connection.outbound.unrelieved, "it is waited for")
            await tab.drop()
            await until(lambda: connection.closed, "it is gone")
        await at_rest(hub)
