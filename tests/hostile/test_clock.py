"""Clocks that jump, and credentials that end while something is sent."""

from hubbub import Heartbeat, Hub, User
from hubbub.ports.auth import Credential
from hubbub.testing import ManualClock, Node, Tab
from hubbub.types import UserId


class Jumping(ManualClock):
    """Its wall clock may be set, as an administrator or a virtual machine does; what it measures by goes on."""

    set_by: float = 0.0

    def wall(self) -> float:
        return super().wall() + self.set_by


class Seconds:
    """The token is a name and the seconds for which it is good: `ann~2`."""

    cookie: str | None = None
    bearer = True

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    async def authenticate(self, credential: Credential) -> User:
        name, _, seconds = credential.value.partition("~")
        return User(UserId(name), expires=self._clock.wall() + float(seconds))


def hub_of(clock: ManualClock) -> Hub:
    hub = Hub(auth=Seconds(clock), clock=clock, heartbeat=Heartbeat(interval=25.0, timeout=10.0))

    @hub.rooms("open:{name}")
    async def anybody(name: str) -> bool:
        return True

    return hub


# Row 7.


async def test_a_wall_clock_that_is_set_by_an_hour_ends_nobody_and_pings_nobody() -> None:
    clock = Jumping()
    async with Node(hub_of(clock)) as node:
        tabs = [await Tab(node, token=f"u{number}~7200").__aenter__() for number in range(20)]
        await clock.advance(30.0)
        for set_by in (3600.0, -3600.0, 0.0):
            clock.set_by = set_by
            before = [len(tab.received("ping")) for tab in tabs]
            await clock.advance(0.1)
            assert [len(tab.received("ping")) for tab in tabs] == before
            await clock.advance(49.9)
            assert {len(tab.received("ping")) - count for tab, count in zip(tabs, before, strict=True)} == {2}
            assert all(tab.open for tab in tabs)
        for tab in tabs:
            await tab.close()


# Row 8.


async def test_nothing_is_delivered_after_the_credential_has_ended() -> None:
    clock = ManualClock()
    hub = hub_of(clock)
    async with Node(hub) as node, Tab(node, token="ann~2") as ann, Tab(node, token="bob~2") as bob:
        stalled = await Tab(node, token="cid~2").__aenter__()
        for tab in (ann, bob, stalled):
            await tab.join("open:a")
        stalled.stall()
        for tenth in range(40):
            if tenth == 15:
                await bob.ask({"type": "auth", "token": "bob~60"})
            await hub.room("open:a").send({"type": "said", "tenth": tenth})
            await clock.advance(0.1)
        assert await ann.closed() == 4005
        await bob.receive("said", tenth=39)
        assert ann.received("said")[-1]["tenth"] <= 20
        assert len(bob.received("said")) == 40
        # Its close frame waits, and what came after the end does not wait behind it.
        stalled.go_on()
        assert await stalled.closed() in (4005, 1006)
        assert all(said["tenth"] <= 20 for said in stalled.received("said"))
