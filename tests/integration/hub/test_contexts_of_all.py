"""What is done for many is done with the context variables of none of them; what is one's own, with its own."""

from typing import Any

import pytest
from fastapi import FastAPI

from hubbub import Connection, Hub
from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.ports.metrics import Count, Tally
from hubbub.types import NodeId, Topic
from tests.integration.hub.tenants import TENANT, Say, Tenants, belonging
from tests.kit.client import Tab
from tests.kit.serving import Names, serving
from tests.kit.waiting import until


class Noting(Tally):
    """Notes in whose name is written, whoever it is for."""

    def __init__(self) -> None:
        super().__init__()
        self.written: set[str] = set()

    def count(self, what: Count, by: int = 1) -> None:
        if what is Count.DELIVERIES:
            self.written.add(TENANT.get())
        super().count(what, by)


class Asked(MemoryBroker):
    """Notes in whose name it is told what nobody waits for."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, str]] = []

    async def leave(self, topic: Topic, member: str, *rest: Any, **options: Any) -> bool:
        self.told.append(("leave", TENANT.get()))
        return await super().leave(topic, member, *rest, **options)

    async def unsubscribe(self, topic: Topic) -> None:
        self.told.append(("unsubscribe", TENANT.get()))
        await super().unsubscribe(topic)

    async def report(self, node: NodeId, *rest: Any) -> None:
        self.told.append(("report", TENANT.get()))
        await super().report(node, *rest)


async def test_what_the_hub_does_for_all_is_done_in_nobodys_name() -> None:
    """What a message was the cause of and outlives it: presence, subscriptions, and everybody's frames."""
    broker, metrics = Asked(), Noting()
    hub = Hub(broker, auth=Names(), metrics=metrics)

    @hub.rooms("r:{name}", presence=True)
    async def check(name: str) -> bool:
        return True

    @hub.on(Say)
    async def say(message: Say, connection: Connection) -> None:
        # More than is gathered: it is written at once, within this handler.
        for _ in range(8):
            await connection.room("r:x").send({"type": "said", "what": message.what})
        await connection.leave("r:x")

    app = FastAPI()
    app.include_router(hub.router)
    app.add_middleware(Tenants)
    async with serving(app) as server, Tab(server.ws, token="bob", **belonging("red")) as bob:
        async with Tab(server.ws, token="alice", **belonging("blue")) as alice:
            await alice.join("r:x")
            await bob.join("r:x")
            await alice.request("say", what="x" * 50_000)
            for _ in range(8):
                await bob.receive("said")
        await bob.receive("user_left_room")
        await bob.leave("r:x")
        done = {"leave", "unsubscribe", "report"}
        await until(lambda: {what for what, _ in broker.told} >= done, "all of it was done")
        await bob.close()
    assert metrics.written == {"nobody's"}
    assert {name for _, name in broker.told} == {"nobody's"}


async def test_what_is_sent_through_middleware_is_sent_in_the_name_of_its_connection(
    request: pytest.FixtureRequest,
) -> None:
    """Where middleware sees messages at all, which is on any server's own transport."""
    sent: list[tuple[str, str]] = []
    hub = Hub(auth=Names())

    @hub.rooms("r:{name}")
    async def check(name: str) -> bool:
        return True

    @hub.on(Say)
    async def say(_: Say, connection: Connection) -> None:
        await connection.room("r:x").send({"type": "said"})

    app = FastAPI()
    app.include_router(hub.router)
    app.add_middleware(Tenants, sent=sent)
    async with (
        serving(app) as server,
        Tab(server.ws, token="alice", **belonging("blue")) as alice,
        Tab(server.ws, token="bob", **belonging("red")) as bob,
    ):
        for tab in (alice, bob):
            await tab.join("r:x")
        await alice.request("say")
        await bob.receive("said")
    seen = sorted(tenant for tenant, text in sent if '"said"' in text)
    assert seen == ([] if "direct" in request.node.name else ["blue", "red"])
