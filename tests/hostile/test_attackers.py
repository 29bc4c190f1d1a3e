"""Each attack of `make attack` at a real `hubbub serve`: bounded, the others answered, and the end in time.

How long the others wait is measured there; here it is what attackers are answered, what it costs in memory, and that
nothing of it is an error of the server's. The bounds that are deadlines, of what does not come, have tests of their
own with short ones.
"""

import asyncio

import pytest

from tests.hostile.attacking import ATTACKS, attacked, attacking, tokens
from tests.kit.client import Tab
from tests.kit.running import Served
from tests.kit.waiting import until
from tests.transports.resources import MIB, resident

#: Bounded by a deadline, or by how many there are, or slowed down without a word.
LATER = {"large", "silent", "slow_head", "stalled", "unread"}


def quiet(server: Served) -> None:
    """Whatever they did, the server has nothing to complain about, and says in a few lines what it refused."""
    lines = server.output.splitlines()
    assert not [line for line in lines if line.startswith(("ERROR", "CRITICAL", "Traceback"))], server.output[:5000]
    assert len(lines) < 200, server.output[:5000]


@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_is_bounded_and_the_server_ends_in_its_midst(name: str) -> None:
    attack = ATTACKS[name]
    with attacked() as server:
        async with Tab(server.ws, token=tokens("ann", 1)[0]) as ann:
            await ann.join("talk:0")
            memory = resident(server.pid)
            with attacking(server, attack, sockets=8) as [crowd]:
                await until(lambda: crowd.at_it, "they are at it")
                if name not in LATER:
                    await until(lambda: attack.bounded & crowd.tally.told or not attack.bounded, "bounded")
                assert (await ann.request("ping", ts=1))["ts"] == 1
                await ann.send({"type": "say", "room": "talk:0", "text": "still here"})
                await ann.receive("said", text="still here")
                assert resident(server.pid) - memory < 64 * MIB
                # Row 22.
                assert await asyncio.to_thread(server.stop, within=20) == 0
    quiet(server)


async def test_a_server_of_several_workers_ends_beneath_all_of_them() -> None:
    with attacked("--workers", "2") as server, attacking(server, *ATTACKS.values(), sockets=6) as crowds:
        await until(lambda: all(crowd.tally.opened for crowd in crowds), "all are at it")
        await until(lambda: sum(crowd.tally.answers[101] for crowd in crowds) > 50, "many were let in")
        assert await asyncio.to_thread(server.stop, within=20) == 0
    quiet(server)
