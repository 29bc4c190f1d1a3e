"""A handler's result goes out as its return annotation says, on a real server."""

import asyncio
import functools
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any, Literal

import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel

from hubbub import Connection, Hub, User
from tests.integration.hub.answering import each_at_its_path
from tests.kit.client import Tab
from tests.kit.decorators import passing
from tests.kit.serving import Names, serving

SECRET = "hashed-secret"


class Me(BaseModel):
    type: Literal["me"] = "me"


class UserOut(BaseModel):
    id: str


class UserDB(UserOut):
    hashed_password: str = SECRET


class Row:
    """Read while its session is open, and in the thread that may block."""

    def __init__(self, id: str, session: list[str], thread: threading.Thread | None) -> None:
        self._id, self._session, self._thread = id, session, thread
        self.hashed_password = SECRET

    @property
    def id(self) -> str:
        assert self._session == ["open"]
        assert (threading.current_thread() is threading.main_thread()) == (self._thread is None)
        return self._id


def session() -> Iterator[list[str]]:
    state = ["open"]
    yield state
    state.clear()


async def by_message(message: Me) -> UserOut:
    return UserDB(id="ann")


async def by_user(message: Me, user: User) -> UserOut:
    return UserDB(id=user.id)


async def waiting(message: Me, connection: Connection) -> UserOut | None:
    await asyncio.sleep(0)
    return UserDB(id=connection.user.id)


async def forgotten(message: Me) -> UserOut:
    return by_message(message)  # type: ignore[return-value]


def handed_on(message: Me) -> Awaitable[UserOut]:
    return by_message(message)


async def in_session(message: Me, state: Annotated[list[str], Depends(session)]) -> UserOut:
    return Row("ann", state, None)  # type: ignore[return-value]


def in_thread(message: Me, state: Annotated[list[str], Depends(session)]) -> UserOut:
    return Row("ann", state, threading.current_thread())  # type: ignore[return-value]


async def named(message: Me) -> "UserOut":
    return UserDB(id="ann")


async def of_partial(model: type[UserOut], message: Me) -> UserOut:
    return model(id="ann")


HANDLERS: dict[str, Callable[..., Any]] = {
    "by-message": by_message,
    "by-user": by_user,
    "waiting": waiting,
    "forgotten": forgotten,
    "handed-on": handed_on,
    "in-session": in_session,
    "in-thread": in_thread,
    "named": named,
    "passing": passing(by_message),
    "partial": functools.partial(of_partial, UserDB),
}


async def test_a_secret_stays_here_whatever_way_it_came(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(each_at_its_path(HANDLERS, Me)) as server:
        for kind in HANDLERS:
            async with Tab(server.ws, f"/{kind}", token="ann") as tab:
                answer = await tab.request("me")
                assert answer == {"type": "ack", "id": answer["id"], "result": {"id": "ann"}}, kind
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


@pytest.mark.complains("failed for connection")
async def test_a_result_that_does_not_fit_is_internal_and_logged_by_its_field(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub(auth=Names())

    class Lists(Me):
        type: Literal["lists"]  # type: ignore[assignment]

    @hub.on(Me)
    async def me(message: Me) -> UserOut:
        return {"hashed_password": SECRET}  # type: ignore[return-value]

    @hub.on(Lists)
    def lists(message: Lists) -> list[UserOut]:
        return [UserDB(id="ann"), {"id": 7, "hashed_password": SECRET}]  # type: ignore[list-item]

    app = FastAPI()
    app.include_router(hub.router)
    async with serving(app) as server, Tab(server.ws, token="ann") as tab:
        for type, field in (("me", "id: missing"), ("lists", "1.id: string_type")):
            caplog.clear()
            answer = await tab.request(type)
            assert answer == {"type": "error", "id": answer["id"], "code": "internal", "message": "internal error"}
            [line] = [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]
            assert field in line
            assert tab.welcome["connection"] in line
            assert SECRET not in caplog.text
        await tab.send({"type": "me"})  # without an `id` it is told as well
        assert (await tab.receive("error"))["code"] == "internal"
