"""The broker is there and refuses what is written: nobody new is let in, and who is there goes on."""

import httpx
import pytest
import redis
import websockets

from hubbub import Hub, Unavailable
from hubbub.brokers.redis import RedisBroker
from hubbub.integrations.operations import operations
from hubbub.options import History
from tests.integration.hub.conftest import Mortal
from tests.kit.client import Tab
from tests.kit.refusing import DEMOTED, FULL_DISK, NO_SCRIPTS, NO_SUBSCRIPTIONS, Refusal
from tests.kit.serving import Names, serving, simple
from tests.kit.waiting import until


@pytest.mark.parametrize("refusal", [DEMOTED, FULL_DISK, NO_SCRIPTS], ids=str)
async def test_nobody_is_let_in_and_those_who_are_there_go_on(mortal: Mortal, refusal: Refusal) -> None:
    hub = Hub(RedisBroker(mortal.url, probe=0.1, silence=5.0), auth=Names())
    app = simple(hub)
    app.include_router(operations())

    @hub.rooms("kept:{name}", history=History(size=10, ttl=60))
    async def kept(name: str) -> bool:
        return True

    async with serving(app) as server, httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        await until(lambda: hub.ready, "it is ready")
        with redis.Redis.from_url(mortal.url) as admin:
            async with Tab(server.ws, token="ann") as ann, Tab(server.ws, token="bob") as bob:
                for tab in (ann, bob):
                    await tab.join("open:a")
                with refusal.by(admin):
                    await until(lambda: not hub.ready, "the refusal lasts")
                    ready = await http.get("/health/ready")
                    assert (ready.status_code, ready.json()["reason"]) == (
                        503,
                        f"the broker refuses writes ({refusal.words})",
                    )
                    with pytest.raises(websockets.InvalidStatus) as refused:
                        async with Tab(server.ws, token="cid"):
                            pass
                    assert refused.value.response.status_code == 503
                    with pytest.raises(Unavailable) as raised:
                        await hub.room("kept:a").send({"type": "kept"})
                    assert refusal.words in str(raised.value.__cause__)
                    for number in range(5):
                        await hub.room("open:a").send({"type": "live", "number": number})
                    for tab in (ann, bob):
                        await until(lambda tab=tab: len(tab.received("live")) == 5, "it is heard")  # type: ignore[misc]
                        assert (await tab.request("ping"))["type"] == "pong"
                await until(lambda: hub.ready, "it is over")
                async with Tab(server.ws, token="cid") as cid:
                    await cid.join("kept:a")
                    assert await hub.room("kept:a").send({"type": "kept"}) is not None
                    await until(lambda: cid.received("kept"), "it is heard")
                for tab in (ann, bob):
                    assert not tab.received("closing")


async def test_where_nothing_new_can_be_heard_nobody_is_let_in_and_those_who_are_there_go_on(mortal: Mortal) -> None:
    """Else the worker would seem ready, and close every socket that it takes."""
    broker = RedisBroker(mortal.url, probe=0.1, silence=5.0)
    hub = Hub(broker, auth=Names())
    async with serving(simple(hub)) as server:
        await until(lambda: hub.ready, "it is ready")
        with redis.Redis.from_url(mortal.url) as admin:
            async with Tab(server.ws, token="ann") as ann:
                await ann.join("open:a")
                with NO_SUBSCRIPTIONS.by(admin):
                    await until(lambda: not hub.ready, "it is found out")
                    with pytest.raises(websockets.InvalidStatus) as refused:
                        async with Tab(server.ws, token="bob"):
                            pass
                    assert refused.value.response.status_code == 503
                    await hub.room("open:a").send({"type": "live"})
                    await ann.receive("live")
                    # Deaf it is not: that would send all away in a while, to workers that are no better.
                    assert (broker.deaf_for, "NOPERM" in (broker.refusal or "")) == (0, True)
                await until(lambda: hub.ready, "it is over")
                async with Tab(server.ws, token="bob") as bob:
                    await bob.join("open:b")
                assert not ann.received("closing")
