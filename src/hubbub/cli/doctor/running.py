"""A running server, through whatever stands before it: connected to as a client is, silent until a heartbeat comes.

What a proxy does wrong shows nowhere else: an Upgrade that is not passed on, a Host that is replaced, a line that is
cut because nothing was said on it, a close code that does not arrive.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus

from hubbub.auth.redaction import harmless
from hubbub.cli.credential import endpoint, http_url, signer, socket_url, target_of
from hubbub.cli.doctor.broker_server import clock
from hubbub.cli.doctor.finding import About, Finding
from hubbub.cli.over_http import ways_to
from hubbub.cli.settings import Settings
from hubbub.client.session import connect_options
from hubbub.closes import BINARY
from hubbub.errors import ConfigurationError
from hubbub.loadtest.workloads import Target
from hubbub.protocol.messages import SUBPROTOCOL

_USER = "hubbub-doctor"
_DEADLINE = 10.0
#: Seconds that the net and a busy server may add to a heartbeat.
_SLACK = 2.0
_BEHIND = "docs/howto/deploy.md#behind-a-proxy"
_STATUSES = {
    400: ("it makes no sense of the request", f"the proxy passes all headers on, as in {_BEHIND}"),
    401: ("the credential proves nobody there", "HUBBUB_TOKEN, or HUBBUB_SECRET as the server has it"),
    403: ("it is not let in", "HUBBUB_TOKEN or HUBBUB_SECRET, and --path the hub's; without a credential guests only"),
    404: ("there is nothing", "--path is where the hub's route is, /ws by default"),
    429: ("too much came from this address", "again in a minute; --proxies, if it is the proxy's address"),
    502: ("the proxy does not reach a worker", "start one, or mend the proxy's upstream"),
    503: ("no worker takes anybody now", "/health/ready says why"),
    504: ("the proxy had no answer in time", "look for what blocks the worker"),
}


@dataclass(frozen=True, slots=True)
class Where:
    """`url`, `path`, `origin`, `token`: as the flags and HUBBUB_TOKEN say."""

    url: str
    path: str | None = None
    origin: str | None = None
    token: str | None = None


def running(where: Where, settings: Settings) -> list[Finding]:
    """Takes as long as it is between two heartbeats. Raises ConfigurationError for what is wrong with a flag."""
    target = target_of(where.url)
    sign = signer(where.token, settings)
    url = socket_url(target, endpoint(where.path, credential=sign is not None), _USER)
    token = None if sign is None else sign(_USER)
    origin = where.origin or http_url(target, "")
    if not origin.isascii() or not origin.isprintable():
        raise ConfigurationError("--origin is like https://app.example")

    async def all_of_them() -> list[Finding]:
        async with aclosing(_findings(url, target, token, origin, named=where.origin is not None)) as found:
            return [finding async for finding in found]

    return asyncio.run(all_of_them())


async def _findings(
    url: str, target: Target, token: str | None, origin: str, *, named: bool
) -> AsyncGenerator[Finding, None]:
    unreached, skew = await _over_http(target)
    if unreached is not None:
        yield unreached
        return
    try:
        socket = await _open(url, token, compression="deflate")
    except InvalidStatus as refused:
        yield _refused(refused, url)
        return
    except (OSError, TimeoutError, InvalidHandshake, InvalidMessage, EOFError) as error:
        said = f"answers HTTP, and no handshake: {harmless(str(error)) or type(error).__name__}"
        yield Finding(About.URL_UPGRADE, "wrong", said, f"the proxy passes Upgrade on, as in {_BEHIND}")
        return
    try:
        async for finding in _on_the_line(socket, url):
            yield finding
    finally:
        socket.transport.abort()
    yield await _origin(url, token, origin, named=named)
    if skew is not None:
        yield skew


async def _over_http(target: Target) -> tuple[Finding | None, Finding | None]:
    """Why it cannot be reached; and how its clock goes, where it says."""
    begun = time.time()
    try:
        async with httpx.AsyncClient(timeout=_DEADLINE, **ways_to(target.host)) as client:
            answer = await client.get(http_url(target, "/health/live"))
    except httpx.HTTPError as error:
        said = f"cannot be reached: {harmless(str(error)) or type(error).__name__}"
        do = "address and port; is the server started, the firewall open"
        if "CERTIFICATE" in said.upper():
            do = "a certificate for this name, with its whole chain; SSL_CERT_FILE names authorities of your own"
        return Finding(About.URL, "wrong", said, do), None
    took = time.time() - begun
    try:
        there = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return None, None
    # Whole seconds, cut off, and servers make it anew once a second: so it is of up to two seconds ago.
    ahead = there + 1.0 - (begun + took / 2)
    return None, clock(About.URL_CLOCK, ahead, took / 2 + 1.0, "what answers there")


async def _open(url: str, token: str | None, **options: Any) -> ClientConnection:
    bearer = [] if token is None else [f"hubbub.bearer.{token}"]
    return await connect(url, subprotocols=[SUBPROTOCOL, *bearer], **{**connect_options(url), **options})  # type: ignore[list-item]


def _refused(refused: InvalidStatus, url: str) -> Finding:
    status = refused.response.status_code
    if status == 426:
        do = f"the proxy passes Upgrade and Connection on, by HTTP/1.1, as in {_BEHIND}"
        return Finding(About.URL_UPGRADE, "wrong", "426: the Upgrade to WebSocket does not reach the hub", do)
    said, do = _STATUSES.get(status, ("that is no hub", f"--url and --path; the proxy as in {_BEHIND}"))
    about = About.URL_UPGRADE if status == 400 else About.URL
    path = "/" + url.split("/", 3)[3]
    return Finding(about, "wrong", f"{status} at {path}: {said}{_why(refused)}", do)


def _why(refused: InvalidStatus) -> str:
    try:
        body = json.loads(refused.response.body or b"")
        said = body.get("reason") or body.get("detail") or body.get("message")
    except (ValueError, AttributeError):
        return ""
    return f" ({harmless(str(said))})" if said else ""


async def _on_the_line(socket: ClientConnection, url: str) -> AsyncGenerator[Finding, None]:
    offers = socket.response.headers.get("Sec-WebSocket-Extensions", "") if socket.response is not None else ""
    try:
        async with asyncio.timeout(_DEADLINE):
            welcome = await _message(socket, "welcome")
    except (ConnectionClosed, TimeoutError):
        code = socket.protocol.close_code
        said = f"closed with {code} ({harmless(socket.protocol.close_reason or '')})" if code else "no welcome"
        do = "HUBBUB_TOKEN, or HUBBUB_SECRET as the server has it; --path is the hub's route"
        yield Finding(About.URL, "wrong", f"connected, and not let in: {said}", do)
        return
    try:
        interval, timeout = (welcome["heartbeat"][name] / 1000 for name in ("interval", "timeout"))
    except (KeyError, TypeError):
        yield Finding(About.URL, "wrong", "connected to what speaks another protocol", "--url and --path are the hub's")
        return
    yield Finding(About.URL, "ok", f"let in by worker {harmless(str(welcome.get('node')))}")
    yield Finding(About.URL_UPGRADE, "ok", "passed on")
    if socket.subprotocol == SUBPROTOCOL:
        yield Finding(About.URL_SUBPROTOCOL, "ok", SUBPROTOCOL)
    else:
        do = f"the proxy passes Sec-WebSocket-Protocol on, both ways, as in {_BEHIND}"
        yield Finding(About.URL_SUBPROTOCOL, "wrong", f"{SUBPROTOCOL} was offered, and does not come back", do)
    if "permessage-deflate" in offers:
        said = "on: it takes memory for each connection, and little messages gain nothing"
        yield Finding(About.URL_COMPRESSION, "weak", said, "--ws-per-message-deflate false, as hubbub serve has it")
    else:
        yield Finding(About.URL_COMPRESSION, "ok", "off")
    for finding in await _ping(socket, interval, timeout):
        yield finding
        if finding.verdict != "ok":
            return
    yield await _close_code(socket)


async def _ping(socket: ClientConnection, interval: float, timeout: float) -> list[Finding]:
    """Say nothing until it comes: so a line is as idle as it ever is."""
    _progress(f"waiting {interval:.0f} s for a heartbeat …")
    begun = time.monotonic()
    try:
        async with asyncio.timeout(interval + timeout + _SLACK):
            await _message(socket, "ping")
    except ConnectionClosed:
        after = time.monotonic() - begun
        said = f"cut after {after:.1f} s of silence, and a heartbeat comes every {interval:g} s"
        do = (
            "a longer time-out in the proxy (nginx proxy_read_timeout, HAProxy timeout tunnel), "
            f"{2 * interval:.0f} s or more; or Heartbeat(interval={max(0.5, after / 2):.2g})"
        )
        return [Finding(About.URL_PING, "wrong", said, do)]
    except TimeoutError:
        said = f"none within {interval + timeout:g} s, and one was promised every {interval:g} s"
        return [
            Finding(About.URL_PING, "wrong", said, "look for what blocks the worker, or holds frames back before it")
        ]
    return [Finding(About.URL_PING, "ok", f"came after {time.monotonic() - begun:.1f} s of silence")]


async def _close_code(socket: ClientConnection) -> Finding:
    """A binary frame is closed with 1003 by every hub, and by nobody between."""
    try:
        async with asyncio.timeout(_DEADLINE):
            await socket.send(b"doctor")
            while True:
                await socket.recv()
    except (ConnectionClosed, TimeoutError):
        code = socket.protocol.close_code
    if code == BINARY.code:
        return Finding(About.URL_CLOSE_CODES, "ok", f"arrive ({code})")
    said = f"{BINARY.code} was to come, and {code or 1006} came: clients do not learn whether to come back"
    do = "a server that sends them (docs/howto/servers.md), and a proxy that does not cut lines"
    return Finding(About.URL_CLOSE_CODES, "weak", said, do)


async def _origin(url: str, token: str | None, origin: str, *, named: bool) -> Finding:
    name = About.URL_ORIGIN
    try:
        socket = await _open(url, token, origin=origin)
    except InvalidStatus as refused:
        status = refused.response.status_code
        if status != 403:
            return Finding(name, "weak", f"{status} with Origin {origin}", "doctor again, when it is ready")
        if named:
            return Finding(name, "wrong", f"{origin} may not connect", f"origins=[…, {origin!r}] in the hub")
        said = f"a page of {origin} itself may not connect"
        do = f"the proxy keeps Host, as in {_BEHIND}; where pages come from elsewhere: --origin https://…"
        return Finding(name, "weak", said, do)
    except (OSError, TimeoutError, InvalidHandshake, InvalidMessage, EOFError) as error:
        return Finding(name, "weak", f"not tried: {harmless(str(error))}", "doctor again, when it is ready")
    try:
        async with asyncio.timeout(_DEADLINE):
            await _message(socket, "welcome")
    except (ConnectionClosed, TimeoutError):
        return Finding(name, "weak", f"closed with {socket.protocol.close_code}", "doctor again, when it is ready")
    finally:
        socket.transport.abort()
    return Finding(name, "ok", f"{origin} may connect")


async def _message(socket: ClientConnection, type: str) -> dict[str, Any]:
    while True:
        text = await socket.recv()
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(message, dict) and message.get("type") == type:
            return message


def _progress(sentence: str) -> None:
    if sys.stderr.isatty():
        print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - for whoever waits
