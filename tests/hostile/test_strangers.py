"""Who was not let in yet: foreign pages, crowds without a credential, addresses that are made up, and noise."""

import asyncio
import itertools
import logging
import os
import pickle
import re
from pathlib import Path

import pytest
import redis.asyncio
import websockets

from hubbub import Hub, Limits, Rate
from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.ports.metrics import Count, Tally
from hubbub.testing import Node
from hubbub.testing import Tab as InProcess
from tests.kit.client import Tab
from tests.kit.raw_peers import OURS
from tests.kit.serving import DEFAULTS, Names, at_rest, serving, simple
from tests.kit.waiting import until

BOTH = pytest.mark.parametrize("ws", [DEFAULTS["ws"], OURS["ws"]], ids=["asgi", "direct"])


async def status(opening: Tab) -> int:
    """Of a refused handshake; 101 where it was not."""
    try:
        await opening.connect()
    except websockets.InvalidStatus as refusal:
        return refusal.response.status_code
    await opening.close()
    return 101


# Row 2.


@BOTH
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example", "http://127.0.0.1"]
)
async def test_of_a_foreign_page_the_cookie_is_not_even_looked_up(ws: str, origin: str) -> None:
    names = Names()
    async with serving(simple(Hub(auth=names)), **{**OURS, "ws": ws}) as server:
        cookie = {"Cookie": "session=ann"}
        assert await status(Tab(server.ws, additional_headers={**cookie, "Origin": origin})) == 403
        assert names.asked == []
        assert await status(Tab(server.ws, additional_headers={**cookie, "Origin": server.url})) == 101
        assert names.asked == ["ann"]


# Row 11.


@BOTH
async def test_a_crowd_without_credentials_is_refused_and_who_has_one_is_let_in(ws: str) -> None:
    hub = Hub(auth=Names(), limits=Limits(unauthenticated=50))
    async with serving(simple(hub), **{**OURS, "ws": ws}) as server:
        strangers = [Tab(server.ws) for _ in range(200)]
        answers = await asyncio.gather(*(tab.connect() for tab in strangers), return_exceptions=True)
        refused = [each for each in answers if isinstance(each, websockets.InvalidStatus)]
        assert [each.response.status_code for each in refused] == [503] * 150
        assert all(int(each.response.headers["Retry-After"]) > 0 for each in refused)
        async with Tab(server.ws, token="ann") as ann:
            assert (await ann.request("ping"))["type"] == "pong"
        for each in answers:
            if isinstance(each, Tab):
                await each.drop()
        await at_rest(hub)


# Row 12.


async def test_an_address_in_a_header_is_believed_of_nobody_who_was_not_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "hubbub")
    async with serving(simple(Hub(auth=Names())), **OURS, forwarded_allow_ips="192.0.2.1") as server:
        for number in range(3):
            forged = {"X-Forwarded-For": f"198.51.100.{number}", "Forwarded": f"for=198.51.100.{number}"}
            assert await status(Tab(server.ws, token="nobody", additional_headers=forged)) == 401
    assert "at a handshake of 127.0.0.1, " in caplog.text
    assert "198.51.100" not in caplog.text


# Row 31.


async def test_what_is_no_envelope_on_a_rooms_channel_is_counted_and_runs_nothing(tmp_path: Path) -> None:
    crater = tmp_path / "crater"

    class Bomb:
        def __reduce__(self) -> object:
            return os.mkdir, (str(crater),)

    noise = [pickle.dumps(Bomb()), b"", b"\x00", b"\xff" * 1000, b"{}", os.urandom(5000), b"\x01" * 65536]
    with EmbeddedValkey() as valkey:
        hub = Hub(valkey.url, auth=Names())

        @hub.rooms("open:{name}")
        async def anybody(name: str) -> bool:
            return True

        async with Node(hub) as node, redis.asyncio.Redis.from_url(valkey.url) as other:
            await until(lambda: hub.ready, "in touch")
            async with InProcess(node, "ann") as ann:
                await ann.join("open:a")
                channels = [each for each in await other.pubsub_channels("*") if b"room:open:a" in each]
                assert len(channels) == 1
                for each in noise:
                    await other.publish(channels[0], each)
                await hub.room("open:a").send({"type": "said"})
                await ann.receive("said")
                assert {each["type"] for each in ann.log} <= {"welcome", "room_joined", "said"}
                assert isinstance(hub.metrics, Tally)
                assert hub.metrics.counts[Count.UNKNOWN_ENVELOPES] == len(noise)
    assert not crater.exists()
    pickle.loads(noise[0])  # noqa: S301 - it would have
    assert crater.exists()


# Row 47.


async def test_ten_thousand_bad_messages_are_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    hub = Hub(auth=Names(), rate=Rate(messages=1e6, burst=10**6))
    bad = ['{"type":', "[]", '{"type":"nobody knows"}', '{"type":"join_room","room":7}', '{"a":1,"a":2}', "NaN", ""]
    async with Node(hub) as node, InProcess(node, "ann") as ann:
        for text in itertools.islice(itertools.cycle(bad), 10_000):
            await ann.say(text)
        await ann.caught_up()
        assert len(ann.received("error")) == 10_000
    assert len(lines(caplog)) <= 10
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR or each.exc_info]


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if re.match("hubbub|uvicorn|asyncio", each.name)]
