"""`@hub.on`: validation, answers, order, and what a function may not ask for."""

import asyncio
import logging
import threading
from typing import Annotated, Any, Literal

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Request, Response
from pydantic import BaseModel, Field

from hubbub import ConfigurationError, Connection, Forbidden, Hub, Limits, RateLimited, User
from tests.kit.client import Tab
from tests.kit.serving import Names, serving, simple


class Item(BaseModel):
    name: str
    count: int = Field(gt=0)


class Order(BaseModel):
    type: Literal["order"] = "order"
    items: list[Item]


class Say(BaseModel):
    type: Literal["say", "shout"]
    what: Any = None


def hub_of_one(function: Any, model: type[BaseModel] = Say, **options: Any) -> FastAPI:
    hub = Hub(auth=Names(), **options)
    hub.on(model)(function)
    app = FastAPI()
    app.include_router(hub.router)
    return app


async def test_a_bad_field_is_named_by_its_path() -> None:
    async def order(message: Order) -> int:
        return sum(item.count for item in message.items)

    async with serving(hub_of_one(order, Order)) as server, Tab(server.ws, token="ann") as tab:
        assert (await tab.request("order", items=[{"name": "tea", "count": 2}]))["result"] == 2
        for items, field in (
            ([{"name": "tea", "count": 2}, {"name": "tea", "count": 0}], "items.1.count"),
            ([{"count": 2}], "items.0.name"),
            ("tea", "items"),
            (None, "items"),
        ):
            refused = await tab.request("order", items=items)
            assert (refused["type"], refused["code"], refused["field"]) == ("error", "invalid_message", field)
        refused = await tab.request("no_such", items=[])
        assert (refused["code"], refused["field"]) == ("unknown_type", "type")


async def test_the_result_is_in_the_ack() -> None:
    results: dict[str, Any] = {
        "dict": {"a": [1, None]},
        "model": Item(name="tea", count=1),
        "none": None,
        "false": False,
        "zero": 0,
        "set": {1},
    }

    async def say(message: Say) -> Any:
        return results[message.what]

    async with serving(hub_of_one(say)) as server, Tab(server.ws, token="ann") as tab:
        expected = {"dict": {"a": [1, None]}, "model": {"name": "tea", "count": 1}, "false": False, "zero": 0}
        for what, result in {**expected, "set": [1]}.items():
            answer = await tab.request("say", what=what)
            assert answer == {"type": "ack", "id": answer["id"], "result": result}
        answer = await tab.request("shout", what="none")
        assert answer == {"type": "ack", "id": answer["id"]}
        await tab.send({"type": "say", "what": "dict"})
        await tab.nothing()
        await tab.send({"type": "say", "what": "dict", "id": 0})
        assert (await tab.receive())["id"] == 0


@pytest.mark.complains("the result of a handler")
async def test_a_result_that_cannot_be_sent_is_internal(caplog: pytest.LogCaptureFixture) -> None:
    circle: list[Any] = []
    circle.append(circle)
    results = {"nan": float("nan"), "object": object(), "circle": circle, "surrogate": "\ud800", "big": "x" * 3000}

    async def say(message: Say) -> Any:
        return results[message.what]

    limits = Limits(payload=2000, outbox=4000)
    async with serving(hub_of_one(say, limits=limits)) as server, Tab(server.ws, token="ann") as tab:
        for what in results:
            answer = await tab.request("say", what=what)
            assert (answer["type"], answer["code"]) == ("error", "internal"), what
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == len(results)


async def test_a_handler_refuses_by_raising() -> None:
    async def say(message: Say) -> None:
        if message.what == "later":
            raise RateLimited("not so fast", retry_after=1500)
        raise Forbidden(field="what")

    async with serving(hub_of_one(say)) as server, Tab(server.ws, token="ann") as tab:
        answer = await tab.request("say", what="later")
        assert (answer["code"], answer["message"], answer["retry_after"]) == ("rate_limited", "not so fast", 1500)
        answer = await tab.request("say")
        assert (answer["code"], answer["field"]) == ("forbidden", "what")


@pytest.mark.complains("failed for connection")
async def test_any_other_exception_is_internal_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def say(message: Say) -> None:
        raise LookupError(f"secret {message.what}")

    async with serving(hub_of_one(say)) as server, Tab(server.ws, token="ann") as tab:
        answer = await tab.request("say", what="body-of-the-message")
        assert answer == {"type": "error", "code": "internal", "message": "internal error", "id": answer["id"]}
        assert (await tab.request("say"))["code"] == "internal"
        logged = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert len(logged) == 2
        assert logged[0].name == "hubbub.dispatch"
        assert logged[0].exc_info
        assert tab.welcome["connection"] in logged[0].getMessage()
        assert "body-of-the-message" not in logged[0].getMessage()


async def test_a_plain_function_runs_in_a_thread() -> None:
    where: list[threading.Thread] = []

    def say(message: Say) -> str:
        where.append(threading.current_thread())
        return "done"

    async with serving(hub_of_one(say)) as server, Tab(server.ws, token="ann") as tab:
        assert (await tab.request("say"))["result"] == "done"
        assert where[0] is not threading.current_thread()


async def test_an_object_with_a_call_may_handle() -> None:
    class Counter:
        count = 0

        async def __call__(self, message: Say, user: User) -> str:
            self.count += 1
            return f"{user.id} {self.count}"

        async def method(self, message: Say) -> str:
            return "method"

    async with serving(hub_of_one(Counter())) as server, Tab(server.ws, token="ann") as tab:
        assert (await tab.request("say"))["result"] == "ann 1"
        assert (await tab.request("say"))["result"] == "ann 2"
    async with serving(hub_of_one(Counter().method)) as server, Tab(server.ws, token="ann") as tab:
        assert (await tab.request("say"))["result"] == "method"


async def test_messages_are_handled_in_order_and_ping_past_them() -> None:
    gate = asyncio.Event()
    begun: list[Any] = []

    async def say(message: Say, connection: Connection) -> None:
        begun.append(message.what)
        await gate.wait()
        await connection.send({"type": "said", "what": message.what})

    hub = Hub(auth=Names(), limits=Limits(waiting=32))
    hub.on(Say)(say)
    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        for number in range(33):  # one is handled, 32 wait
            await tab.send({"type": "say", "what": number, "id": number})
        await tab.send({"type": "say", "what": 33, "id": 33})
        refused = await tab.receive("error")
        assert (refused["code"], refused["id"]) == ("rate_limited", 33)
        await tab.send({"type": "ping", "ts": "now", "id": "p"})
        assert await tab.receive() == {"type": "pong", "ts": "now", "id": "p"}
        await tab.send({"type": "pong"})
        assert begun == [0]
        gate.set()
        await tab.receive("ack", id=32)
        told = [each for each in tab.log if each["type"] in ("said", "ack")]
        assert [each["what"] if each["type"] == "said" else each["id"] for each in told] == [
            number for number in range(33) for _ in range(2)
        ]
        assert not [each for each in tab.log if each["type"] == "error" and each["id"] != 33]
        # What cannot be read waits its turn, too.
        gate.clear()
        await tab.send({"type": "say", "what": "first"})
        await tab.say("{")
        await tab.send({"type": "ping", "ts": "between"})
        assert (await tab.receive())["ts"] == "between"
        gate.set()
        assert [(await tab.receive())["type"] for _ in range(2)] == ["said", "error"]


async def test_another_tab_is_not_held_up() -> None:
    gate = asyncio.Event()

    async def say(message: Say) -> None:
        if message.what == "wait":
            await gate.wait()

    async with (
        serving(hub_of_one(say)) as server,
        Tab(server.ws, token="ann") as ann,
        Tab(server.ws, token="ann") as second,
    ):
        await ann.send({"type": "say", "what": "wait", "id": 1})
        assert (await second.request("say"))["type"] == "ack"
        gate.set()
        assert (await ann.receive())["type"] == "ack"


# What is refused where it is written.


class Untyped(BaseModel):
    what: str


class Wide(BaseModel):
    type: str


class Reserved(BaseModel):
    type: Literal["join_room"]


def takes_request(message: Say, request: Request) -> None: ...
def takes_background(message: Say, tasks: BackgroundTasks) -> None: ...
def takes_response(message: Say, response: Response) -> None: ...
def takes_unresolved(message: Say, missing: "NoSuchName") -> None: ...  # type: ignore[name-defined]  # noqa: F821
def takes_args(message: Say, *args: int) -> None: ...
def takes_kwargs(message: Say, **kwargs: int) -> None: ...
def takes_positional(message: Say, /) -> None: ...
def takes_unannotated(message: Say, what) -> None: ...  # type: ignore[no-untyped-def]
def takes_two(message: Say, other: Order) -> None: ...
def deep(request: Request) -> None: ...
def takes_deep(message: Say, _: Annotated[None, Depends(deep)]) -> None: ...


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (takes_request, "Request"),
        (takes_background, "BackgroundTasks"),
        (takes_response, "Response"),
        (takes_unresolved, "NoSuchName"),
        (takes_args, "args"),
        (takes_kwargs, "kwargs"),
        (takes_positional, "message"),
        (takes_unannotated, "what"),
        (takes_two, "other"),
        (takes_deep, "Request"),
    ],
)
def test_what_a_message_lacks_is_refused_at_once(function: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as refused:
        Hub().on(Say)(function)
    assert function.__name__ in str(refused.value)


@pytest.mark.parametrize("model", [Untyped, Wide, Reserved])
def test_a_model_says_its_type_and_no_reserved_one(model: type[BaseModel]) -> None:
    async def handle(message: model) -> None: ...  # type: ignore[valid-type]

    with pytest.raises(ConfigurationError, match=model.__name__):
        Hub().on(model)(handle)


def test_one_handler_a_type() -> None:
    class Again(BaseModel):
        type: Literal["shout"]

    async def say(message: Say) -> None: ...
    async def again(message: Again) -> None: ...

    hub = Hub()
    assert hub.on(Say)(say) is say
    with pytest.raises(ConfigurationError, match="shout"):
        hub.on(Again)(again)


def test_a_check_gets_only_what_its_pattern_has() -> None:
    hub = Hub()

    async def unknown(message: Say) -> bool:
        return True

    with pytest.raises(ConfigurationError):
        hub.rooms("a:{b}")(unknown)
