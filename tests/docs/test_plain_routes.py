"""`docs/howto/plain-routes.md`, on a real server."""

from collections.abc import Callable
from types import ModuleType

import pytest
import websockets

from tests.kit.client import Tab
from tests.kit.serving import at_rest, serving

PAGE = "docs/howto/plain-routes.md"
Example = Callable[[str, str], ModuleType]
Token = Callable[[str], str]


async def test_a_route_reads_its_messages(example: Example, token: Token) -> None:
    module = example(PAGE, "quiz.py")
    async with (
        serving(module.app) as server,
        Tab(server.ws, "/quiz", token=token("ann")) as ann,
        Tab(server.ws, "/quiz", token=token("bob")) as bob,
    ):
        for tab in (ann, bob):
            assert [(await tab.receive())["type"] for _ in range(2)] == ["room_joined", "question"]
        assert (await ann.request("ping"))["type"] == "pong"
        await ann.send({"type": "answer", "id": 1, "number": 41})
        # The route works on it, says what it has to say, and asks for the next: then it is acknowledged.
        assert await ann.receive() == {"type": "wrong"}
        assert await ann.receive() == {"type": "ack", "id": 1}
        await ann.send({"type": "answer", "id": 2, "number": 42})
        assert (await bob.receive("solved")) == {"type": "solved", "by": "ann", "room": "quiz"}
        assert (await ann.receive("end"))["points"] == 1
        # The last one, when the route has returned.
        assert await ann.receive() == {"type": "ack", "id": 2}
        assert await ann.closed() == 1000
        await bob.close()
        await at_rest(module.hub)


async def test_who_is_refused_never_reaches_the_route(example: Example) -> None:
    module = example(PAGE, "quiz.py")
    async with serving(module.app) as server:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await Tab(server.ws, "/quiz", token="bad").connect()
        assert refused.value.response.status_code == 401


async def test_a_language_of_its_own(example: Example, token: Token) -> None:
    module = example(PAGE, "echo.py")
    offered = [websockets.Subprotocol(each) for each in ("hubbub.v1", f"hubbub.bearer.{token('ann')}")]
    async with (
        serving(module.app) as server,
        websockets.connect(f"{server.ws}/echo", subprotocols=offered, compression=None) as socket,
    ):
        for text in ("hello", '{"type": "ping"}'):
            await socket.send(text)
            assert await socket.recv() == f"Echo: {text}"


async def test_an_identity_from_elsewhere(example: Example) -> None:
    module = example(PAGE, "guests.py")
    async with serving(module.app) as server:
        async with Tab(server.ws, "/guests/c2f1") as guest, Tab(server.ws, "/guests/9ab3/count") as other:
            assert (guest.welcome["user"], other.welcome["user"]) == ("guest-1", "guest-2")
            assert (await guest.request("hello"))["result"] == "hello guest-1"
            for number in (1, 2):
                await other.send({"type": "anything"})
                assert (await other.receive())["number"] == number
        with pytest.raises(websockets.InvalidStatus) as refused:
            await Tab(server.ws, "/guests/none").connect()
        assert refused.value.response.status_code == 403
        with pytest.raises(websockets.InvalidStatus) as refused:
            await Tab(server.ws, "/guests/c2f1", origin="https://evil.example").connect()
        assert refused.value.response.status_code == 403
        async with Tab(server.ws, "/guests/c2f1", origin=server.url):
            pass
