"""What a client can make fail a thousand times a second is some lines and a count."""

import logging
import re
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from hubbub import Connection, Forbidden, Hub
from tests.kit.client import Tab
from tests.kit.serving import Names, serving, simple

OFTEN = 60
_COUNT = re.compile(r": (\d+) more within \d+ s$")


class Say(BaseModel):
    type: Literal["say"] = "say"
    what: str


def failing() -> Hub:
    hub = Hub(auth=Names())

    @hub.on(Say)
    async def say(message: Say, connection: Connection) -> Any:
        match message.what:
            case "raises":
                raise LookupError(connection.id)
            case "spawns":
                connection.spawn(fails())
            case "returns":
                return object()
            case _:
                return Say.model_validate({"type": "say", "what": 7})
        return None

    async def fails() -> None:
        raise LookupError

    @hub.rooms("shut:{name}")
    async def shut(name: str) -> bool:
        raise LookupError(name)

    @hub.rooms("odd:{name}")
    async def odd(name: str) -> Any:
        return name

    @hub.on_join("open:{name}")
    async def joined(name: str) -> None:
        raise LookupError(name)

    @hub.on_leave("open:{name}")
    async def left(name: str) -> None:
        raise Forbidden(name)

    return hub


@pytest.mark.complains(
    "failed for connection", "the result of a handler", "what was spawned for connection", "more within"
)
@pytest.mark.parametrize("what", ["raises", "spawns", "returns", "validates", "shut", "odd", "moves"])
async def test_what_fails_for_one_client_is_some_lines_and_a_count(what: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "hubbub")
    async with serving(simple(failing())) as server, Tab(server.ws, token="ann") as tab:
        for number in range(OFTEN):
            if what in ("shut", "odd"):
                await tab.request("join_room", room=f"{what}:{number}")
            elif what == "moves":
                await tab.request("join_room", room="open:tea")
                await tab.request("leave_room", room="open:tea")
            else:
                await tab.request("say", what=what)
    lines = [each.getMessage() for each in caplog.records]
    left_out = [int(found[1]) for line in lines if (found := _COUNT.search(line))]
    kinds = 2 if what == "moves" else 1
    assert len(lines) - len(left_out) + sum(left_out) == kinds * OFTEN
    assert len(lines) < kinds * OFTEN / 2
