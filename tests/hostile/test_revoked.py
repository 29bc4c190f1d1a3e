"""A credential that was revoked: on every worker within a second, also for who comes back or was deaf."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from fastapi import FastAPI
from websockets.exceptions import InvalidStatus

from hubbub import Hub, JWTAuth, SessionAuth, Unavailable, User
from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.ports.metrics import Count, Tally
from hubbub.testing import Network, Node
from hubbub.testing import Tab as InProcess
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.serving import Address, serving
from tests.kit.waiting import until

SECRET = "a secret of thirty-two bytes or more"
AUTH = JWTAuth(SECRET)


class Worker:
    def __init__(self, broker: str) -> None:
        self.sessions = {"s1": "sam", "s2": "sam"}
        self.hub = Hub(broker, auth=[AUTH, SessionAuth(self.user_of, cookie="sid")], allowed_hosts=["127.0.0.1"])
        self.app = FastAPI()
        self.app.include_router(self.hub.router)

    server: Address

    async def user_of(self, session: str) -> User | None:
        name = self.sessions.get(session)
        return None if name is None else User(name)

    def count(self, what: Count) -> int:
        assert isinstance(self.hub.metrics, Tally)
        return self.hub.metrics.counts[what]


@pytest.fixture(scope="module")
def valkey() -> Iterator[str]:
    with EmbeddedValkey() as server:
        yield server.url


@pytest.fixture(scope="module")
async def workers(valkey: str) -> AsyncIterator[list[Worker]]:
    """Three."""
    async with AsyncExitStack() as stack:
        three = [Worker(valkey) for _ in range(3)]
        for worker in three:
            worker.server = await stack.enter_async_context(serving(worker.app))
        yield three


async def let_in(stack: AsyncExitStack, worker: Worker, token: str | None = None, **options: Any) -> Tab:
    return await stack.enter_async_context(Tab(worker.server.ws, token=token, **options))


async def refused(worker: Worker, token: str) -> None:
    """As a client that is no browser is told."""
    with pytest.raises(InvalidStatus) as told:
        await Tab(worker.server.ws, token=token).connect()
    assert told.value.response.status_code == 401


async def test_fifty_sockets_of_one_token_on_three_workers_and_who_comes_back(workers: list[Worker]) -> None:
    token, other = (AUTH.sign("ann", jti=jti) for jti in ("ann-1", "ann-2"))
    async with AsyncExitStack() as stack:
        tabs = [await let_in(stack, workers[number % 3], token) for number in range(50)]
        stays = await let_in(stack, workers[1], other)
        before = [worker.count(Count.CREDENTIALS_REVOKED) for worker in workers]
        await workers[0].hub.revoke(token="ann-1", until=time.time() + 3600)
        # Here it holds when the call returns, elsewhere as soon as it is heard.
        await refused(workers[0], token)
        assert {await tab.closed() for tab in tabs} == {4001}
        for worker in workers:
            await refused(worker, token)
            first = await Tab(worker.server.ws).connect()
            await first.say(f'{{"type": "auth", "token": "{token}"}}')
            assert await first.closed() == 4001
            await first.close()
        answer = await stays.request("auth", token=token)
        assert (answer["type"], answer["code"]) == ("error", "unauthorized")
        assert (await stays.request("ping"))["type"] == "pong"
        counted = [worker.count(Count.CREDENTIALS_REVOKED) - was for worker, was in zip(workers, before, strict=True)]
        assert counted == [3, 3, 2]


async def test_a_browser_that_comes_back_with_it_reads_4001(workers: list[Worker]) -> None:
    token = AUTH.sign("ann", jti="browser")
    await workers[2].hub.revoke(token="browser")
    tab = await Tab(workers[2].server.ws, token=token, origin=workers[2].server.url).connect()
    assert await tab.closed() == 4001
    await tab.close()


async def test_what_a_user_came_with_and_who_logs_in_again(workers: list[Worker]) -> None:
    old = AUTH.sign("bob")
    async with AsyncExitStack() as stack:
        tabs = [await let_in(stack, worker, old) for worker in workers]
        await workers[0].hub.revoke(user="bob")
        new = AUTH.sign("bob")
        back = await let_in(stack, workers[1], new)
        assert {await tab.closed() for tab in tabs} == {4003}
        for worker in workers:
            await refused(worker, old)
            await let_in(stack, worker, new)
        assert (await back.request("ping"))["type"] == "pong"


async def test_a_session_is_logged_out_and_the_other_stays(workers: list[Worker]) -> None:
    async with AsyncExitStack() as stack:

        def cookie(session: str, worker: Worker) -> dict[str, Any]:
            return {"additional_headers": {"Cookie": f"sid={session}"}, "origin": worker.server.url}

        first = [await let_in(stack, worker, **cookie("s1", worker)) for worker in workers]
        second = [await let_in(stack, worker, **cookie("s2", worker)) for worker in workers]
        await workers[0].hub.revoke(session="s1")
        assert {await tab.closed() for tab in first} == {4001}
        for tab, worker in zip(second, workers, strict=True):
            assert (await tab.request("ping"))["type"] == "pong"
            again = await Tab(worker.server.ws, **cookie("s1", worker)).connect()
            assert await again.closed() == 4001
            await again.close()
        # Of the user altogether: those that are there go, and the store is asked for who comes.
        await workers[1].hub.revoke(user="sam")
        assert {await tab.closed() for tab in second} == {4003}
        await let_in(stack, workers[2], **cookie("s2", workers[2]))


async def test_a_worker_that_starts_afterwards_knows(workers: list[Worker], valkey: str) -> None:
    token = AUTH.sign("late", jti="late")
    await workers[0].hub.revoke(token="late")
    worker = Worker(valkey)
    async with serving(worker.app) as worker.server:
        await refused(worker, token)


class Names:
    """The token is the user's name and the token's id, `ann/1`."""

    cookie, bearer = None, True

    def __init__(self) -> None:
        self.gate: asyncio.Event | None = None
        self.asked = 0

    async def authenticate(self, credential: Any) -> User:
        self.asked += 1
        name, _, id = credential.value.partition("/")
        if self.gate is not None:
            await self.gate.wait()
        return User(name, token_id=id or None)


def created(network: Network, names: Names | None = None) -> Any:
    return lambda broker: Hub(broker, auth=names or Names(), clock=network.clock)


async def status(node: Node) -> int | None:
    """Of a handshake that is refused."""
    tab = InProcess(node, token="ann/1")
    with pytest.raises(AssertionError):
        await tab.__aenter__()
    return tab.status


async def test_a_worker_that_was_deaf_catches_up_before_it_lets_anybody_in() -> None:
    network = Network()
    async with network.node(created(network)) as one, network.node(created(network)) as two:
        async with InProcess(two, token="ann/1") as ann, InProcess(two, token="ann/2") as stays:
            two.broker.deafen()
            await one.hub.revoke(token="1")
            two.broker.heal()
            assert not two.hub.ready
            assert await ann.closed() == 4001
            await until(lambda: two.hub.ready, "it knows again")
            assert stays.open
        assert await status(two) == 401


async def test_what_a_broker_forgot_is_said_again_by_who_knows_it() -> None:
    network = Network()
    async with network.node(created(network)) as one:
        await one.hub.revoke(token="1")
        network.flush()
        one.broker.reconnect()
        await until(lambda: one.hub.ready, "it knows again")
        async with network.node(created(network)) as two:
            assert await status(two) == 401


async def test_a_broker_that_is_away_is_no_silence() -> None:
    network = Network()
    async with network.node(created(network)) as one, InProcess(one, token="ann/1") as ann:
        one.broker.partition()
        with pytest.raises(Unavailable):
            await one.hub.revoke(token="1")
        assert ann.open
        one.broker.heal()
        await one.hub.revoke(token="1")
        assert await ann.closed() == 4001


@pytest.mark.parametrize(("said", "how"), [({"token": "1"}, (401, 1006)), ({"user": "ann"}, (None, 4003))])
async def test_revoked_while_the_credential_is_looked_up(said: dict[str, str], how: tuple[int | None, int]) -> None:
    """Of whom nobody knows yet since when the credential is there: since before it was revoked."""
    network, names = Network(), Names()
    async with network.node(created(network, names)) as one, network.node(created(network)) as two:
        names.gate = asyncio.Event()
        tab = InProcess(one, token="ann/1")
        await tab.connect()
        await until(lambda: names.asked, "it is asked for")
        await two.hub.revoke(**said)
        names.gate.set()
        code = await tab.closed()
        assert (tab.status, code) == how
        assert tab.log == []


async def test_what_lasts_is_let_go(workers: list[Worker]) -> None:
    """Neither a question nor a word of who was sent away stays behind."""
    assert [len(inside(worker.hub).parts.removals) for worker in workers] == [0, 0, 0]
