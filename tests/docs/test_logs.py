"""What `docs/howto/logs.md` says is logged is what the code logs; and what a collector gets of a real server."""

import asyncio
import json
import logging
import math
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets
from websockets.typing import Subprotocol

from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.cli.log_format import JsonFormatter
from hubbub.ports.logs import Event, Fields
from tests.docs.logged import calls
from tests.kit.client import Tab
from tests.kit.running import Served
from tests.kit.waiting import until, wait_for

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "logs.md").read_text()


def rows(heading: str) -> Iterator[list[str]]:
    part = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    for line in part.splitlines()[3:]:
        if line.startswith("|"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def words(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def test_each_call_of_a_logger_says_its_event() -> None:
    assert len(calls()) > 80
    assert [call.where for call in calls() if call.event is None] == []


def test_the_page_has_each_event_with_its_level_its_logger_and_its_fields() -> None:
    coded: dict[str, tuple[set[str], set[str], set[str]]] = {}
    for call in calls():
        assert call.event is not None
        levels, loggers, fields = coded.setdefault(Event[call.event].value, (set(), set(), set()))
        levels |= call.levels
        loggers.add(call.logger)
        fields |= call.fields
    told = {row[0].strip("`"): ({*row[1].split(", ")}, words(row[2]), words(row[3])) for row in rows("The events")}
    # Where a function of the scheduling logs for others, it does so in their loggers.
    assert {name: each for name, each in told.items() if coded.get(name) != each} == {}
    assert set(told) == set(coded) == {event.value for event in Event}


def test_the_page_has_each_field() -> None:
    assert {row[0].strip("`") for row in rows("The fields")} == {*Fields.__annotations__, "left_out"}


def test_no_field_is_what_a_record_calls_something_else() -> None:
    usual = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
    assert not usual & {*Fields.__annotations__, "event", "left_out"}


def test_a_line_is_one_object_whatever_is_in_it() -> None:
    record = logging.makeLogRecord({"name": "hubbub.x", "levelname": "INFO", "msg": "a\nb %s", "args": ('"',)})
    record.user, record.odd = "al\nice", object()
    record.exc_text = "Traceback"
    record.stack_info = "Stack"
    line = JsonFormatter("%(message)s", use_colors=None).format(record)
    assert "\n" not in line
    said = json.loads(line)
    assert (said["message"], said["user"], said["exception"]) == ('a\nb "', "al\nice", "Traceback")
    assert said["stack_info"] == "Stack"
    assert said["odd"].startswith("<object")


class Mute:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


ITSELF: list[object] = []
ITSELF.append(ITSELF)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (math.nan, "nan"),
        ({"most": -math.inf}, "{'most': -inf}"),
        ({(1, 2): "a pair"}, "{(1, 2): 'a pair'}"),
        (ITSELF, "[[...]]"),
        (Mute(), "<Mute>"),
        (10**5000, "<int>"),
    ],
    ids=["no number", "within", "a key", "itself", "mute", "long"],
)
def test_a_line_is_written_and_can_be_read_whatever_an_application_adds(value: object, said: str) -> None:
    line = JsonFormatter().format(logging.makeLogRecord({"msg": "x", "value": value, "count": 3}))

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    read = json.loads(line, parse_constant=refuse)
    assert (read["message"], read["value"], read["count"]) == ("x", said, 3)


def test_an_exception_is_in_its_line() -> None:
    try:
        raise LookupError("gone")
    except LookupError as error:
        record = logging.makeLogRecord({"exc_info": (type(error), error, error.__traceback__)})
    assert "LookupError: gone" in json.loads(JsonFormatter().format(record))["exception"]


APP = """
import logging
from fastapi import FastAPI
from hubbub import Connection, Hub, InvalidCredential, Limits, RoomRate, User
from pydantic import BaseModel
from typing import Literal

logging.getLogger("shop").warning("sold\\nout")

class Names:
    cookie, bearer = None, True
    async def authenticate(self, credential):
        if credential.value == "nobody":
            raise InvalidCredential("nobody's")
        return User(credential.value)

class Flood(BaseModel):
    type: Literal["flood"] = "flood"

fast = RoomRate(messages=1e6, burst=1_000_000, bytes=1e9, burst_bytes=64 * 1024)
hub, app = Hub(auth=Names(), limits=Limits(outbox=64 * 1024, payload=32 * 1024), room_rate=fast), FastAPI()
app.include_router(hub.router)

@hub.rooms("room:{name}")
async def rooms(name: str) -> bool:
    return True

@hub.on(Flood)
async def flood(message: Flood, connection: Connection) -> None:
    for _ in range(40):
        await hub.user("slow").send({"type": "n", "text": "x" * 30_000})

@app.get("/")
async def root() -> None: ...
"""


def lines(server: Served) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.output.splitlines() if line.startswith("{")]


async def test_a_session_on_a_real_server_as_a_collector_gets_it(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)

    def told(event: str, **fields: Any) -> list[dict[str, Any]]:
        return [
            line
            for line in lines(server)
            if line.get("event") == event and all(line.get(name) == value for name, value in fields.items())
        ]

    with (
        EmbeddedValkey() as valkey,
        Served(
            *("app:app", "--log-format", "json", "--log-level", "debug", "--drain", "1"),
            env={"HUBBUB_BROKER": valkey.url},
            cwd=tmp_path,
        ) as server,
    ):
        async with Tab(server.ws, token="ann") as tab:
            await tab.join("room:a")
            await tab.request("leave_room", room="room:a")
            await tab.join("room:b")
            connection, node = tab.welcome["connection"], tab.welcome["node"]
        ann = {"connection": connection, "user": "ann", "level": "DEBUG"}
        await until(
            lambda: told("disconnect", node=node, code=1000, cause="closed by the client", **ann), "it has left"
        )
        assert len(told("connect", node=node, **ann)) == 1
        assert [each["room"] for each in told("join", **ann)] == ["room:a", "room:b"]
        assert [each["room"] for each in told("leave", **ann)] == ["room:a", "room:b"]
        offered = [Subprotocol("hubbub.v1"), Subprotocol("hubbub.bearer.nobody")]
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(f"{server.ws}/ws", subprotocols=offered, proxy=None)
        assert told("credential_refused", level="INFO", logger="hubbub.credentials", carrier="subprotocol")
        async with Tab(server.ws, token="slow") as slow, Tab(server.ws, token="ann") as tab:
            slow.socket.transport.pause_reading()
            for _ in range(200):
                await tab.request("flood")
                if told("closed"):
                    break
            assert told("closed", level="INFO", user="slow", code=1013, node=node)
        async with Tab(server.ws, token="ann"):
            server.send(signal.SIGTERM)
            assert await asyncio.to_thread(server.wait) == 0
            assert told("drain_begins", level="WARNING", count=1)
            assert told("drained", level="WARNING")
        assert "Traceback" not in server.output
        # An application's that has set up nothing, uvicorn's, and nothing else but what the command itself says.
        [sold] = [line for line in lines(server) if line["logger"] == "shop"]
        assert (sold["level"], sold["message"]) == ("WARNING", "sold\nout")
        assert {"uvicorn.error", "uvicorn.access"} <= {line["logger"] for line in lines(server)}
        assert [line for line in server.output.splitlines() if not line.startswith("{")] == [
            line for line in server.output.splitlines() if line.startswith("Hubbub ")
        ]


def test_a_broker_that_is_lost(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    with (
        EmbeddedValkey() as valkey,
        Served("app:app", "--log-format", "json", env={"HUBBUB_BROKER": valkey.url}, cwd=tmp_path) as server,
    ):
        valkey.stop()
        wait_for(lambda: "broker_away" in server.output, what="it is lost")
        away = next(each for each in lines(server) if each.get("event") == "broker_away")
        assert (away["level"], away["logger"]) == ("WARNING", "hubbub.brokers.redis")
        assert away["broker"]
