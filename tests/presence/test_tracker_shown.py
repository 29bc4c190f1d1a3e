"""What is to be seen of a user is made known with its arrival, and whenever it changes."""

import asyncio
import json
from typing import Any

import pytest

from hubbub.errors import Unavailable
from hubbub.options import RoomOptions
from hubbub.ports.broker import Shown
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.scheduling.backoff import Backoff
from hubbub.testing import settle
from tests.kit.one_tracker import ROOM, OneTracker
from tests.kit.scripted import Call

KEY = ROOM, "ann"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "next", lambda _: 0.0)


class ShowingTracker(OneTracker):
    """Of a room with presence data, in which `ann` is."""

    def __init__(self, *, diff: bool = False, grace: float = 0.0) -> None:
        super().__init__(grace=grace)
        self.options["r"] = RoomOptions(presence=True, presence_data=True, diff=diff)

    async def come(self, tab: str, data: bytes) -> asyncio.Task[None]:
        anew = self.showing.show(KEY, tab, data)
        task = asyncio.create_task(self.presence.enter(ROOM, "ann", anew=anew))
        await settle()
        return task

    async def go(self, tab: str, *, lost: bool = False) -> None:
        (self.presence.linger if lost else self.presence.leave)(ROOM, "ann")
        if self.showing.end(KEY, tab):
            self.presence.touch(ROOM, "ann")
        await settle()

    async def show(self, tab: str, data: bytes) -> asyncio.Task[None]:
        assert self.showing.show(KEY, tab, data)
        task = asyncio.create_task(self.presence.show(ROOM, "ann"))
        await settle()
        return task

    def shows(self) -> Call:
        return self.broker.only("show room:r")

    async def is_here(self) -> None:
        """One tab, which shows 1."""
        task = await self.come("one", b'{"n":1}')
        await self.shows().ok(Shown(first=True, at=1))
        await task


def told(call: Call) -> tuple[bytes, Any, bool, bool]:
    """What is shown, its place, and whether an arrival or a change is announced."""
    _, _, data, rest = call.rest
    return data, rest["at"], rest["announce"] is not None, rest["change"] is not None


async def test_what_is_shown_is_told_with_the_arrival() -> None:
    s = ShowingTracker()
    task = await s.come("one", b'{"n":1}')
    assert told(s.shows()) == (b'{"n":1}', None, True, True)
    announcement, change = s.shows().rest[3]["announce"], s.shows().rest[3]["change"]
    envelope = Envelope.decode(announcement.data)
    assert (envelope.kind, envelope.presence, envelope.without_users) == (Kind.NOTICE, b'{"ann":{"n":1}}', {"ann"})
    assert envelope.payload == b'{"type":"user_joined_room","room":"r","user":"ann"}'
    changed = Envelope.decode(change.of(b'{"n":2}'))
    assert (changed.kind, changed.without_users) == (Kind.SHOWN, frozenset())
    assert json.loads(changed.payload) == {
        "type": "user_presence", "room": "r", "user": "ann", "presence": {"ann": {"n": 2}},
    }  # fmt: skip
    await s.shows().ok(Shown(first=True, at=7))
    await task
    assert [s.showing.newest(KEY).at] == [7]  # type: ignore[union-attr]
    await s.go("one")
    leaving = s.broker.only("hide room:r")
    assert b"user_left_room" in leaving.rest[2].data
    assert leaving.rest[3] == change
    await leaving.ok(value=True)
    assert len(s.presence) == len(s.showing) == 0


async def test_one_who_shows_nothing_is_announced_as_ever() -> None:
    s = ShowingTracker()
    await s.come("one", b"")
    assert told(s.shows()) == (b"", None, True, True)
    assert Envelope.decode(s.shows().rest[3]["announce"].data).presence is None
    await s.shows().ok(Shown(first=True, at=1))


async def test_a_room_that_collects_is_told_in_its_way() -> None:
    s = ShowingTracker(diff=True)
    await s.come("one", b"")
    announce, change = s.shows().rest[3]["announce"], s.shows().rest[3]["change"]
    came = Envelope.decode(announce.data)
    assert (came.kind, came.payload, came.presence) == (Kind.CAME, b"ann", b'{"ann":{}}')
    changed = Envelope.decode(change.of(b""))
    assert (changed.kind, changed.payload) == (Kind.CHANGED, b'{"ann":{}}')
    await s.shows().ok(Shown(first=True, at=1))
    await s.go("one")
    went = Envelope.decode(s.broker.only("hide room:r").rest[2].data)
    assert (went.kind, went.presence) == (Kind.WENT, None)


async def test_a_second_tab_waits_until_what_it_shows_is_known() -> None:
    s = ShowingTracker()
    await s.is_here()
    second = await s.come("two", b'{"n":2}')
    assert told(s.shows()) == (b'{"n":2}', None, False, True)
    assert not second.done()
    await s.shows().ok(Shown(first=False, at=2))
    assert second.done()
    third = await s.come("three", b"")
    assert third.done()
    assert not s.broker.pending
    # Where the second goes, the first is shown again, where it was.
    await s.go("two")
    assert told(s.shows()) == (b'{"n":1}', 1, False, True)
    await s.shows().ok(Shown(first=False, at=1))
    await s.go("three")
    assert not s.broker.pending


async def test_a_change_is_waited_for_and_the_newest_is_what_is_told() -> None:
    s = ShowingTracker()
    await s.is_here()
    one = await s.show("one", b'{"n":2}')
    waiting = s.shows()
    two, three = await s.show("one", b'{"n":3}'), await s.show("one", b'{"n":4}')
    await waiting.ok(Shown(first=False, at=2))
    assert told(s.shows()) == (b'{"n":4}', None, False, True)
    await s.shows().ok(Shown(first=False, at=3))
    assert one.done()
    assert two.done()
    assert three.done()


async def test_a_change_that_could_not_be_told_is_told_later() -> None:
    s = ShowingTracker()
    await s.is_here()
    task = await s.show("one", b'{"n":2}')
    await s.shows().fail()
    assert isinstance(task.exception(), Unavailable)
    await asyncio.sleep(0.01)
    assert told(s.shows()) == (b'{"n":2}', None, True, True)
    await s.shows().ok(Shown(first=False, at=2))
    assert not s.broker.pending


async def test_a_change_of_one_who_is_not_here_is_nothing() -> None:
    s = ShowingTracker()
    s.showing.show(KEY, "one", b'{"n":1}')
    await s.presence.show(ROOM, "ann")
    s.presence.touch(ROOM, "ann")
    assert s.broker.log == []


async def test_one_who_leaves_while_a_change_is_told_leaves_nothing_behind() -> None:
    s = ShowingTracker()
    await s.is_here()
    task = await s.show("one", b'{"n":2}')
    waiting = s.shows()
    later = await s.show("one", b'{"n":3}')
    await s.go("one")
    await waiting.ok(Shown(first=False, at=2))
    await s.broker.only("hide room:r").ok(value=True)
    assert task.done()
    assert later.done()
    assert isinstance(later.exception(), Unavailable)
    assert isinstance(task.exception(), Unavailable)
    assert len(s.presence) == 0


async def test_what_is_said_again_is_told_to_nobody_unless_it_changed() -> None:
    s = ShowingTracker()
    await s.is_here()
    again = asyncio.create_task(s.presence.reassert())
    await settle()
    assert told(s.shows()) == (b'{"n":1}', 1, False, False)
    await s.shows().fail()
    assert s.showing.show(KEY, "one", b'{"n":2}')
    s.presence.touch(ROOM, "ann")
    await asyncio.sleep(0.01)
    while s.broker.pending and told(s.shows())[0] == b'{"n":1}':
        await s.shows().fail()
        await asyncio.sleep(0.01)
    assert told(s.shows()) == (b'{"n":2}', None, False, True)
    await s.shows().ok(Shown(first=True, at=2))
    await again
    loudly = asyncio.create_task(s.presence.reassert(loudly=True))
    await settle()
    assert told(s.shows()) == (b'{"n":2}', 2, True, True)
    await s.shows().ok(Shown(first=True, at=2))
    await loudly


async def test_one_who_is_back_within_the_grace_shows_what_it_shows_now() -> None:
    s = ShowingTracker(grace=5)
    await s.is_here()
    await s.go("one", lost=True)
    assert not s.broker.pending
    await s.come("two", b"")
    assert told(s.shows()) == (b"", None, False, True)
    await s.shows().ok(Shown(first=False, at=2))
    await s.go("two", lost=True)
    s.clock.move(5)
    await settle()
    await s.broker.only("hide room:r").ok(value=True)
    assert len(s.presence) == 0
