"""Replies are read alike with hiredis and without it, and a flood of them does not hold the event loop up."""

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import InvalidResponse, NoScriptError, ResponseError

from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.brokers.redis import RedisBroker, resp
from hubbub.brokers.redis.keys import Keys
from hubbub.protocol.envelope import join
from hubbub.testing.conformance import Histories, Life, Messages
from hubbub.testing.conformance.meeting import NewBroker
from hubbub.types import room_topic
from tests.brokers.test_redis_listener import TestTheListener as _TheListener
from tests.kit.waiting import until

ROOM = room_topic("lobby")
BOTH: dict[str, Callable[[], resp.Reader]] = {"hiredis": resp.new_reader, "Python": resp.PlainReader}


@pytest.fixture
def _without_hiredis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resp, "new_reader", resp.PlainReader)


@pytest.mark.usefixtures("_without_hiredis")
class TestWithoutHiredis:
    class TestTheBroker(Messages, Histories, Life):
        @pytest.fixture
        def new_broker(self, url: str) -> NewBroker:
            return lambda: RedisBroker(url)

    class TestTheListener(_TheListener):
        pass


def test_a_broker_works_where_hiredis_is_not_installed(valkey: EmbeddedValkey) -> None:
    code = """
import asyncio, sys
sys.modules["hiredis"] = None
from hubbub.brokers.redis import RedisBroker, resp
from hubbub.types import room_topic

async def main():
    heard = asyncio.Event()
    broker = RedisBroker(sys.argv[1])
    await broker.start(lambda topic, data, position: heard.set(), lambda: None, lambda topic: None)
    while not broker.ready:
        await asyncio.sleep(0.01)
    await broker.subscribe(room_topic("lobby"))
    await broker.publish(room_topic("lobby"), b"x")
    assert await broker.enter(room_topic("lobby"), "alice", "n1")
    await asyncio.wait_for(heard.wait(), 5)
    await broker.stop()

asyncio.run(main())
sys.exit(resp.new_reader is not resp.PlainReader)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code, valkey.url], check=True, timeout=30)


def on_the_wire(reply: Any) -> bytes:
    match reply:
        case None:
            return b"$-1\r\n"
        case int():
            return b":%d\r\n" % reply
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(reply), reply)
    return b"*%d\r\n%b" % (len(reply), b"".join(map(on_the_wire, reply)))


replies = st.recursive(st.none() | st.integers(-(2**63), 2**63 - 1) | st.binary(), st.lists, max_leaves=8)


@pytest.mark.parametrize("new_reader", BOTH.values(), ids=BOTH)
@given(expected=st.lists(replies, max_size=4), cut=st.integers(1, 40))
def test_replies_are_read_however_they_are_cut(
    new_reader: Callable[[], resp.Reader], expected: list[Any], cut: int
) -> None:
    data, reader, found = b"".join(map(on_the_wire, expected)), new_reader(), []
    for at in range(0, len(data), cut):
        reader.feed(data[at : at + cut])
        while (reply := reader.gets()) is not False:
            found.append(reply)
    assert found == expected


@pytest.mark.parametrize("new_reader", BOTH.values(), ids=BOTH)
class TestWhatIsRead:
    def test_lines_and_lists_that_are_none(self, new_reader: Callable[[], resp.Reader]) -> None:
        reader = new_reader()
        reader.feed(b"+OK\r\n*-1\r\n*0\r\n*2\r\n+a\r\n-ERR no\r\n")
        assert [reader.gets() for _ in range(3)] == [b"OK", None, []]
        line, refused = reader.gets()
        assert line == b"a"
        assert isinstance(refused, ResponseError)

    def test_refusals_are_values_with_their_kind(self, new_reader: Callable[[], resp.Reader]) -> None:
        reader = new_reader()
        reader.feed(b"-NOSCRIPT No matching\r\n-ERR no\r\n-WRONGTYPE x\r\n")
        unknown, plain, wrong = reader.gets(), reader.gets(), reader.gets()
        assert type(unknown) is NoScriptError
        assert (type(plain), str(plain)) == (ResponseError, "no")
        assert str(wrong) == "WRONGTYPE x"
        assert reader.gets() is False

    @pytest.mark.parametrize("data", [b"?\r\n", b"$x\r\n", b":\r\n", b"*1x\r\n"])
    def test_no_reply_at_all_is_said_to_be_none(self, new_reader: Callable[[], resp.Reader], data: bytes) -> None:
        reader = new_reader()
        reader.feed(data)
        with pytest.raises(InvalidResponse):
            reader.gets()


@pytest.mark.parametrize("bundled", [True, False])
def test_a_flood_leaves_the_loop_its_turns(url: str, admin: Redis, bundled: bool) -> None:
    async def main() -> None:
        turns, at = 0, []

        def turn() -> None:
            nonlocal turns
            turns += 1
            if len(at) < 100:
                asyncio.get_running_loop().call_soon(turn)

        def deliver(_topic: str, _data: bytes, _position: object) -> None:
            at.append(turns)
            time.sleep(0.002)

        broker = RedisBroker(url)
        await broker.start(deliver, lambda: None, lambda _topic: None)
        await until(lambda: broker.ready, "it stands")
        await broker.subscribe(ROOM)
        turn()
        with admin.pipeline(transaction=False) as together:
            if bundled:
                together.publish(Keys("hubbub").channel(ROOM), join([b"x"] * 100))
            else:
                for _ in range(100):
                    together.publish(Keys("hubbub").channel(ROOM), b"x")
            await asyncio.to_thread(together.execute)
        await until(lambda: len(at) == 100, "all are heard")
        # A turn ends after ten milliseconds, and each message takes two.
        assert max(Counter(at).values()) <= 6
        # It reads again.
        await broker.publish(ROOM, b"after")
        await until(lambda: len(at) == 101, "it is heard")
        await broker.stop()

    asyncio.run(main())
