"""`docs/howto/messages.md`, on a real server."""

from collections.abc import Callable
from types import ModuleType

from tests.docs.pages import examples
from tests.kit.client import Tab
from tests.kit.serving import serving

PAGE = "docs/howto/messages.md"
TO = "12345678-1234-5678-1234-567812345678"


async def test_its_orders(example: Callable[[str, str], ModuleType], token: Callable[[str], str]) -> None:
    assert list(examples(PAGE)) == ["orders.py"]
    module = example(PAGE, "orders.py")
    async with serving(module.app) as server, Tab(server.ws, token=token("ann")) as ann:
        sent = {"to": TO, "amount": "12.5"}
        assert (await ann.request("transfer", **sent))["result"] == f"ann sends 12.50 to {TO}"
        for what, field in (({"amount": "0"}, "amount"), ({"to": 7}, "to"), ({"room": "x"}, "room")):
            refused = await ann.request("transfer", **{**sent, **what})
            assert (refused["code"], refused["field"]) == ("invalid_message", field)
        for kind in ("cancel", "withdraw"):
            answer = await ann.request(kind)
            assert answer["result"] == f"ann cancels {answer['id']}"
