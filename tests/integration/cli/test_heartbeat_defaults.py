"""The heartbeat as nobody has set it: asked after 25 s, given up 10 s later. Elsewhere the tests make it shorter."""

import asyncio
from pathlib import Path

import pytest

from tests.kit.client import Tab
from tests.kit.commanded import APPLICATION, commanded
from tests.kit.stopwatch import Stopwatch

INTERVAL, TIMEOUT = 25.0, 10.0


@pytest.mark.slow
async def test_who_answers_stays_and_who_does_not_is_closed_after_35_seconds(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(APPLICATION)
    with commanded(["hubbub", "serve", "main:app", "--port", "{port}"], cwd=tmp_path) as server:
        async with Tab(server.ws, token="ann") as ann:
            await ann.join("tea")
            watch = Stopwatch()
            async with Tab(server.ws, token="bob", pongs=False) as bob:
                assert bob.welcome["heartbeat"] == {"interval": INTERVAL * 1000, "timeout": TIMEOUT * 1000}
                await bob.join("tea")
                closed = asyncio.create_task(bob.closed(within=90))
                await bob.receive("ping", within=60)
                # Since its last word, which was a little later; a round of timers may be a second late.
                assert watch.wall >= INTERVAL - 1.0
                assert watch.own < INTERVAL + 5.0
                assert await closed == 4007
                assert watch.wall >= INTERVAL + TIMEOUT - 1.0
                assert watch.own < INTERVAL + TIMEOUT + 5.0
            await ann.receive("user_left_room", user="bob")
            # It was asked as well, and has answered.
            assert ann.received("ping")
            assert (await ann.request("ping"))["type"] == "pong"
