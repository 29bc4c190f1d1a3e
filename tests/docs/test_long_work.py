"""`docs/howto/long-work.md`, on a real server. In the browser: `tests/integration/browser/test_tokens.py`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from hubbub import Limits
from hubbub.hub import runtime
from tests.docs.pages import examples, read
from tests.kit.client import Tab
from tests.kit.serving import at_rest, connection_of, serving
from tests.kit.waiting import until

PAGE = "docs/howto/long-work.md"
Example = Callable[[str, str], ModuleType]
Token = Callable[[str], str]


class Model:
    """Says forty tokens, and after the fifth as many as it is allowed to. `open`: how many answers are not closed."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.open = 0

    async def __call__(self, question: str) -> AsyncIterator[str]:
        self.open += 1
        try:
            for number in range(1, 41):
                if number > 5:
                    await self.go_on.wait()
                yield f"token{number} "
        finally:
            self.open -= 1


@pytest.fixture
def tokens(example: Example) -> ModuleType:
    module = example(PAGE, "tokens.py")
    module.model = Model()  # type: ignore[attr-defined]
    return module


async def test_forty_pieces_are_streamed(tokens: ModuleType, token: Token) -> None:
    tokens.model.go_on.set()
    async with serving(tokens.app) as server, Tab(server.ws, token=token("ann")) as ann:
        assert (await ann.request("ask", question="why?"))["result"] == 40
        assert [each["text"] for each in ann.received("piece")] == [f"token{number} " for number in range(1, 41)]
        assert (await ann.request("stop"))["result"] is False


async def test_a_stop_passes_what_waits_and_no_piece_comes_after_it(tokens: ModuleType, token: Token) -> None:
    async with serving(tokens.app) as server, Tab(server.ws, token=token("ann")) as ann:
        await ann.send({"type": "ask", "question": "why?", "id": "ask"})
        for number in range(Limits().waiting):
            await ann.send({"type": "ask", "question": "and then?", "id": number})
        await ann.receive("piece", text="token5 ")
        assert (await ann.request("stop"))["result"] is True
        stopped = len(ann.log)
        assert await ann.receive("ack", id="ask") == {"type": "ack", "id": "ask"}
        # The next answer begins anew: it is no piece of the first that comes now.
        tokens.model.go_on.set()
        await ann.receive("ack", id=0)
        pieces = [each["text"] for each in ann.log[stopped:] if each["type"] == "piece"]
        assert pieces[:40] == [f"token{number} " for number in range(1, 41)]
        await ann.drop()
        await at_rest(tokens.hub)


async def test_who_leaves_is_no_longer_answered(tokens: ModuleType, token: Token) -> None:
    async with serving(tokens.app) as server, Tab(server.ws, token=token("ann")) as ann:
        await ann.send({"type": "ask", "question": "why?"})
        await ann.receive("piece", text="token5 ")
        assert tokens.model.open == 1
        await ann.drop()
        await until(lambda: tokens.model.open == 0, "the model's stream is closed")
        await at_rest(tokens.hub)


async def test_what_blocks_looks_whether_it_is_to_stop(example: Example, token: Token) -> None:
    module = example(PAGE, "export.py")
    async with serving(module.app) as server:
        async with Tab(server.ws, token=token("ann")) as ann:
            assert (await ann.request("export", rows=3))["result"] == 3
            await ann.send({"type": "export", "rows": 100_000, "id": 1})
            await ann.receive("exported", rows=0)
            assert (await ann.request("stop_export"))["type"] == "ack"
            assert (await ann.receive("ack", id=1))["result"] < 100_000
            await ann.send({"type": "export", "rows": 100_000, "id": 2})
            await ann.receive("exported", rows=0)
            connection = connection_of(module.hub, ann)
            await ann.drop()
            await until(lambda: connection.closed, "gone")
        await at_rest(module.hub)


def test_the_numbers_are_the_sources() -> None:
    assert f"in order, {Limits().waiting} may wait" in read(PAGE)
    assert runtime.FAREWELL == 3.0
    assert "three seconds\nmore, and are cancelled" in read(PAGE)


async def test_the_page_is_served(tokens: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "tokens.html").write_text(examples(PAGE)["tokens.html"])
    async with serving(tokens.app) as server, httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        assert (await http.get("/")).text == examples(PAGE)["tokens.html"]
