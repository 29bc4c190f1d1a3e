"""Who came, went, was refused and was put out, as the audit has it."""

import asyncio
import logging
from typing import Any

import pytest
import websockets
from fastapi import HTTPException
from websockets.asyncio.client import connect

from hubbub import Addresses, Connection, Hub, Limits, User
from hubbub.connection.audit import FIELDS
from tests.docs.pages import plain, rows, sections
from tests.kit.client import Tab
from tests.kit.serving import Names, serving, simple
from tests.kit.waiting import until


class Records:
    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def __call__(self) -> list[dict[str, Any]]:
        return [
            {name: getattr(record, name) for name in FIELDS}
            for record in self._caplog.records
            if record.name == "hubbub.audit"
        ]

    async def next(self) -> dict[str, Any]:
        """The only one there is, which is forgotten then."""
        await until(self, "it was recorded")
        [record] = self()
        self._caplog.clear()
        return record


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Records:
    caplog.set_level(logging.INFO, "hubbub.audit")
    return Records(caplog)


async def turned_away(url: str, **options: Any) -> int | None:
    """The close code of who is let in no further."""
    async with connect(url, **options) as socket:
        await socket.wait_closed()
        return socket.protocol.close_code


async def test_one_record_of_each_event(records: Records) -> None:
    hub = Hub(auth=Names(), audit=True, limits=Limits(authenticate=1.0, connections_per_user=1))

    @hub.on_connect
    async def no_mallory(user: User) -> None:
        if user.id == "mallory":
            raise HTTPException(403, "not you")

    async with serving(simple(hub)) as server:

        def record(event: str, user: str | None = None, **fields: Any) -> dict[str, Any]:
            always = {"event": event, "user": user, "address": "127.0.0.1", "origin": None, "node": hub.node}
            return {**always, "cause": None, "code": None, "connection": None, **fields}

        async with Tab(server.ws, token="ann", origin=server.url) as tab:
            id = tab.welcome["connection"]
            assert await records.next() == record("connect", "ann", connection=id, origin=server.url)
        left = {"connection": id, "origin": server.url, "code": 1000, "cause": "closed by the client"}
        assert await records.next() == record("disconnect", "ann", **left)

        tab = await Tab(server.ws, token="bob").__aenter__()
        id = (await records.next())["connection"]
        await tab.drop()
        lost = await records.next()
        # uvicorn's own transport does not tell the two apart.
        assert (lost["code"], lost["cause"]) in ((1006, "lost"), (1005, "closed by the client"))
        assert (lost["event"], lost["connection"]) == ("disconnect", id)

        async with Tab(server.ws, token="bob"):
            id = (await records.next())["connection"]
            assert await turned_away(f"{server.ws}/ws?token=bob") == 4004
            refused = await records.next()
            assert refused["connection"] not in (None, id)
            assert (refused["event"], refused["user"], refused["code"]) == ("refused", "bob", 4004)
            await hub.user("bob").disconnect("for spam")
            assert await records.next() == record("kicked", "bob", connection=id, code=4003, cause="for spam")

        with pytest.raises(websockets.InvalidStatus):
            await connect(f"{server.ws}/ws?token=nobody-s3cr3t")
        assert await records.next() == record("refused", code=401, cause="credential other")
        assert await turned_away(f"{server.ws}/ws?token=old-s3cr3t", origin=server.url) == 4001
        assert await records.next() == record("refused", code=4001, cause="credential expired", origin=server.url)
        with pytest.raises(websockets.InvalidStatus):
            await connect(
                f"{server.ws}/ws",
                origin="https://me:s3cr3t@evil.example/s3cr3t",
                additional_headers={"Cookie": "session=ann"},
            )
        evil = await records.next()
        assert (evil["code"], evil["origin"]) == (403, "https://evil.example")
        assert await turned_away(f"{server.ws}/ws?token=mallory") == 4003
        assert (await records.next() | {"connection": None}) == record("refused", "mallory", code=4003, cause="not you")
        assert await turned_away(f"{server.ws}/ws") == 4002
        assert (await records.next())["cause"] == "no credential within the time allowed"
    assert records() == []


async def test_the_address_is_the_clients_and_a_line_has_one_form(
    caplog: pytest.LogCaptureFixture, records: Records
) -> None:
    hub = Hub(auth=Names(), audit=True, addresses=Addresses(proxies=["127.0.0.1"], connections=1))
    async with serving(simple(hub)) as server:
        headers = {"X-Forwarded-For": "evil, 2001:db8::7"}
        async with connect(f"{server.ws}/ws?token=ann%20lee%22%20user%3Dbob", additional_headers=headers):
            await until(records, "it came")
            [line] = [record.getMessage() for record in caplog.records if record.name == "hubbub.audit"]
            [record] = records()
            assert line == (
                'connect user="ann lee\\" user=bob" address=2001:db8::7 origin=- cause=- code=- '
                f"connection={record['connection']} node={hub.node}"
            )
            caplog.clear()
            with pytest.raises(websockets.InvalidStatus):
                await connect(f"{server.ws}/ws?token=ann", additional_headers=headers)
            refused = await records.next()
            assert (refused["event"], refused["address"], refused["code"]) == ("refused", "2001:db8::7", 429)
        await until(records, "it went")


async def test_of_a_flood_so_many_are_written_and_the_rest_counted(
    caplog: pytest.LogCaptureFixture, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubbub.connection.audit._BURST", 3)
    hub = Hub(auth=Names(), audit=True)
    async with serving(simple(hub)) as server:
        answers = await asyncio.gather(
            *(connect(f"{server.ws}/ws?token=no") for _ in range(30)), return_exceptions=True
        )
        assert all(isinstance(answer, websockets.InvalidStatus) for answer in answers)
    written = [each for each in caplog.records if each.name == "hubbub.audit"]
    left_out = sum(getattr(each, "left_out", 0) for each in written)
    counts = [each for each in written if hasattr(each, "left_out")]
    assert len(written) - len(counts) + left_out == 30
    assert len(written) < 30
    assert {each.event for each in counts} == {"refused"}  # type: ignore[attr-defined]


async def test_off_by_default_and_by_the_environment_on(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(simple(Hub(auth=Names()))) as server, Tab(server.ws, token="ann"):
        pass
    assert records() == []
    monkeypatch.setenv("HUBBUB_AUDIT", "1")
    hub = Hub(auth=Names())
    seen: list[Connection] = []

    @hub.on_connect
    async def connected(connection: Connection) -> None:
        seen.append(connection)

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann"):
        pass
    assert [each["event"] for each in records()] == ["connect", "disconnect"]
    assert {each["connection"] for each in records()} == {seen[0].id}


def test_the_page_has_every_field() -> None:
    assert [plain(row[0]) for row in rows(sections("docs/howto/audit.md")["The fields"])] == list(FIELDS)


def test_who_asks_for_it_and_writes_it_nowhere_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("hubbub.audit")
    monkeypatch.setattr(logger, "propagate", False)
    said: list[str] = []
    monkeypatch.setattr(logger, "warning", lambda text, **_: said.append(text))

    async def start() -> None:
        async with Hub(auth=Names(), audit=True).running():
            pass

    asyncio.run(start())
    assert len(said) == 1
