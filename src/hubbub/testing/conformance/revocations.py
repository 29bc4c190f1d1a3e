"""What is promised of revocations: announced and remembered in one step, and read on from where one has read to."""

import time

from hubbub.ports.broker import Announcement
from hubbub.testing.conformance.meeting import OTHER, ROOM, Peer, marked, meeting

_DAY = 24 * 60 * 60.0
_SAID = Announcement(ROOM, b"said")


class Revocations:
    @meeting
    async def test_revocations_are_remembered_in_order_and_read_on(self, here: Peer, there: Peer) -> None:
        assert await here.broker.revoked(0, 10) == []
        words = [b"one", b"\0\xff two", b"three"]
        until = time.time() + _DAY
        for peer, word in zip((here, there, here), words, strict=True):
            await peer.broker.revoke(word, until, _SAID)
        found = await there.broker.revoked(0, 10)
        assert [each.word for each in found] == words
        numbers = [each.number for each in found]
        assert numbers == sorted({*numbers})
        assert await here.broker.revoked(0, 2) == found[:2]
        assert await here.broker.revoked(numbers[0], 10) == found[1:]
        assert await here.broker.revoked(numbers[2], 10) == []
        await there.broker.revoke(b"one", until, _SAID)
        [again] = await here.broker.revoked(numbers[2], 10)
        assert again.word == b"one"
        assert [each.word for each in await here.broker.revoked(0, 10)] == [*words[1:], b"one"]

    @meeting
    async def test_revocations_are_announced(self, here: Peer, there: Peer) -> None:
        await there.broker.subscribe(ROOM)
        await here.broker.revoke(b"one", time.time() + _DAY, Announcement(ROOM, b"1"))
        await here.broker.revoke(b"one", time.time() + _DAY, Announcement(OTHER, b"2"))
        await here.broker.revoke(b"two", time.time() + _DAY, Announcement(ROOM, b"3"))
        await marked(here, there)
        assert there.data(ROOM) == [b"1", b"3"]

    @meeting
    async def test_revocations_run_out(self, here: Peer, there: Peer) -> None:
        await here.broker.revoke(b"over", time.time() - 1, _SAID)
        await here.broker.revoke(b"stays", time.time() + _DAY, _SAID)
        assert [each.word for each in await there.broker.revoked(0, 10)] == [b"stays"]
