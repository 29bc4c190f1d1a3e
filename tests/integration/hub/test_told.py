"""What an operator sees of clients that were refused or closed: why, within bounds, and never a credential."""

import asyncio
import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
import websockets

from hubbub import (
    Credential,
    CredentialFault,
    ExpiredCredential,
    Hub,
    InvalidCredential,
    Limits,
    Rate,
    SessionAuth,
    User,
)
from hubbub.ports.metrics import Count, Tally
from tests.kit.client import Tab
from tests.kit.serving import Address, serving, simple
from tests.kit.waiting import until

SECRET = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0LXBheWxvYWQ.c2lnbmF0dXJl"


class Judge:
    """Lets in whoever presents their name; a credential `fault…` is refused for that fault, `quote` quotes it."""

    cookie: str | None = None
    bearer = True

    async def authenticate(self, credential: Credential) -> User:
        value = credential.value
        if value == SECRET:
            raise InvalidCredential(f"no row for {value}\r\nforged line")
        if value == "old":
            raise ExpiredCredential("has ended")
        if value.startswith("fault-"):
            raise InvalidCredential("not this one", fault=CredentialFault(value.removeprefix("fault-")))
        return User(id=value)


async def nobody(session_id: str) -> User | None:
    return None


@pytest.fixture
def hub(caplog: pytest.LogCaptureFixture) -> Hub:
    caplog.set_level(logging.INFO, "hubbub")
    return Hub(
        auth=[Judge(), SessionAuth(nobody, cookie="sid")],
        limits=Limits(authenticate=1.5),
        origins=["https://a.example"],
    )


def counts(hub: Hub) -> dict[str, int]:
    assert isinstance(hub.metrics, Tally)
    return {str(what): number for what, number in hub.metrics.counts.items() if what.startswith("credentials_")}


async def refused(server: Address, **options: Any) -> int:
    with pytest.raises(websockets.InvalidStatus) as refusal:
        await Tab(server.ws, **options).connect()
    return refusal.value.response.status_code


async def said(caplog: pytest.LogCaptureFixture, text: str) -> str:
    """The one line with this in it."""
    lines = await until(
        lambda: [each for each in map(logging.LogRecord.getMessage, caplog.records) if text in each], text
    )
    [line] = lines
    return line


FAULTS: dict[str, Callable[[Address], dict[str, Any]]] = {
    "expired": lambda _: {"token": "old"},
    "signature": lambda _: {"token": "fault-signature"},
    "other": lambda _: {"token": SECRET},
    "malformed": lambda _: {"path": "/ws?token="},
    "unknown": lambda _: {"additional_headers": {"Cookie": "sid=5f2d"}},
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_why_a_handshakes_credential_was_refused(hub: Hub, fault: str, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(simple(hub)) as server:
        options = FAULTS[fault](server)
        assert await refused(server, **options) == 401
        line = await said(caplog, "a credential was refused")
        assert line.startswith(f"a credential was refused ({fault}) at a handshake of 127.0.0.1, by ")
        caplog.clear()
        tab = await Tab(server.ws, origin="https://a.example", **options).connect()
        assert await tab.closed() == 4001
        assert tab.socket.protocol.close_reason == "credential invalid, or first message was none"
        await tab.close()
        await said(caplog, f"a credential was refused ({fault})")
        assert counts(hub) == {f"credentials_{fault}": 2}
    assert not re.search("c2VjcmV0|5f2d|forged line", caplog.text)


async def test_why_that_of_a_message_was_refused(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(simple(hub)) as server:
        tab = await Tab(server.ws).connect()
        await tab.send({"type": "auth", "token": SECRET})
        assert await tab.closed() == 4001
        await tab.close()
        line = await said(caplog, "a credential was refused (other) on connection ")
        assert line.endswith(", by first message: its text quotes the credential")
        async with Tab(server.ws, token="ann") as ann:
            answer = await ann.request("auth", token="old", id=1)
            assert (answer["code"], answer["message"]) == ("unauthorized", "has ended")
            await said(
                caplog, f"(expired) for the renewal of connection {ann.welcome['connection']}, by first message: "
            )
            answer = await ann.request("auth", token="bob", id=2)
            assert (answer["code"], answer["field"]) == ("unauthorized", "token")
            await said(caplog, "a credential was refused (another_user)")
        assert counts(hub) == {"credentials_other": 1, "credentials_expired": 1, "credentials_another_user": 1}
    assert "c2VjcmV0" not in caplog.text


async def test_a_flood_of_them_is_a_few_lines_and_a_count(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(simple(hub)) as server:
        for _ in range(9):
            assert await refused(server, token="old") == 401
            assert await refused(server, token="ann", origin="https://evil.example") == 403
        assert len(re.findall(r"a credential was refused \(expired\) at", caplog.text)) == 5
        assert len(re.findall("refused a handshake by its Origin, ", caplog.text)) == 5
    assert "a credential was refused (expired): 4 more within" in caplog.text
    assert "refused a handshake by its Origin: 4 more within" in caplog.text
    assert counts(hub) == {"credentials_expired": 9}


async def test_which_origin_was_refused_and_by_which_rule(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(simple(hub)) as server:
        host = server.url.removeprefix("http://")
        assert await refused(server, token="ann", origin="https://ann:pass@evil.example/?token=s3cret") == 403
        line = await said(caplog, "refused a handshake by its Origin")
        assert line == f"refused a handshake by its Origin, Origin https://evil.example, Host {host}: it is no origin"


async def test_who_was_closed_and_why(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(simple(hub)) as server:
        late = await Tab(server.ws).connect()
        assert await late.closed() == 4002
        await said(caplog, "of nobody yet with 4002: no credential within the time allowed")
        rude = await Tab(server.ws).connect()
        await rude.send({"type": "join_room", "room": "open:a"})
        assert await rude.closed() == 4001
        await said(caplog, "of nobody yet with 4001: ")
        async with Tab(server.ws, token="ann") as ann:
            await ann.say(b"binary")
            assert await ann.closed() == 1003
            text = f"closed connection {ann.welcome['connection']} of user ann with 1003: binary frame"
            await said(caplog, text)
        async with Tab(server.ws, token="bob"):
            pass
        await asyncio.gather(late.close(), rude.close())
    assert "bob" not in caplog.text


async def test_a_flooding_client_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hubbub")
    hub = Hub(auth=Judge(), rate=Rate(messages=1, burst=1, refusals=1))
    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as ann:
        for _ in range(5):
            await ann.send({"type": "say"})
        assert await ann.closed() == 1008
        await said(caplog, "of user ann with 1008: too many messages refused")


async def test_why_nobody_is_let_in(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hubbub")
    hub = Hub(auth=Judge(), limits=Limits(connections=1))
    async with serving(simple(hub)) as server, Tab(server.ws, token="ann"):
        assert await refused(server, token="bob") == 503
        await said(caplog, "a handshake was refused with 503: this worker is full")
        [told] = [vars(record) for record in caplog.records if record.name == "hubbub.endpoint"]
        assert (told["event"], told["code"], told["cause"]) == ("refused", 503, "this worker is full")
        assert isinstance(hub.metrics, Tally)
        assert hub.metrics.counts[Count.REFUSED_HANDSHAKES] == 1
