"""One Redis or Valkey server: how its URL is read, and how a connection to it is made and ended.

RESP2, because redis-py receives published messages with it in two thirds of RESP3's time and nothing here needs more.
No socket timeout in redis-py: every wait here has a deadline of its own, and a listener waits as long as it likes.
No retries in redis-py either: a PUBLISH sent twice would be delivered twice.
"""

import asyncio
import socket
from contextlib import suppress
from typing import Any

from redis.asyncio.connection import (
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from hubbub.brokers.redis.link import Link
from hubbub.brokers.redis.refusals import NotLetIn, is_refusal, refused
from hubbub.brokers.url import ServerUrl, read_url
from hubbub.errors import ConfigurationError

#: After how many seconds, probes or milliseconds the kernel gives a dead host up: the second line behind our own PING.
_KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 2, "TCP_USER_TIMEOUT": 6000}


class _Abrupt:
    """Ends at once and is gone when `disconnect` returns, whatever redis-py asked for on the way.

    A polite close keeps the descriptor until the other side has read what it may never read.
    """

    _writer: asyncio.StreamWriter | None
    _reader: asyncio.StreamReader | None
    refusal: Exception | None = None
    """What the server said before it closed, instead of letting it in."""

    @property
    def transport(self) -> asyncio.Transport:
        if self._writer is None:
            raise NotConnected("connection lost")
        transport: asyncio.Transport = self._writer.transport  # type: ignore[assignment]
        return transport

    async def on_connect_check_health(self, *args: Any, **options: Any) -> None:
        for _ in range(2):
            # What is there already is read before the first write fails, which would throw it away.
            await asyncio.sleep(0)
        await super().on_connect_check_health(*args, **options)  # type: ignore[misc]

    async def greet(self) -> None:
        """Whoever lets nobody in says so now. Raises RedisError with its words."""
        await self.send_command("PING", check_health=False)  # type: ignore[attr-defined]
        try:
            await self.read_response()
        except ResponseError as error:
            # A full disk refuses it, and brings messages as before.
            if not str(error).startswith("MISCONF") and not isinstance(error, NoPermissionError):
                raise

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)  # type: ignore[misc]
        except Exception as error:
            if is_refusal(error):
                self.refusal = error
            raise

    async def disconnect(self, nowait: bool = False, *args: Any, **options: Any) -> None:
        if self.refusal is None and self._reader is not None:
            # Once the connection is lost there is no other way to what has come before.
            self.refusal = refused(bytes(getattr(self._reader, "_buffer", b"")))
        if self._writer is not None:
            self._writer.transport.abort()
        await super().disconnect(False, *args, **options)  # type: ignore[misc]


class _Tcp(_Abrupt, Connection):
    pass


class _Tls(_Abrupt, SSLConnection):
    pass


class _Unix(_Abrupt, UnixDomainSocketConnection):
    pass


#: redis-py's words for a write that failed, which say nothing.
_LOST = "UNKNOWN while writing"
_KINDS = {"tcp": _Tcp, "tls": _Tls, "unix": _Unix}


def in_redis_terms(url: ServerUrl) -> dict[str, Any]:
    """What redis-py makes a connection of, but for its class and its deadlines. Nothing is ever sent twice."""
    where = {"path": url.path} if url.kind == "unix" else {"host": url.host, "port": url.port}
    return {
        **url.options,
        **where,
        "db": url.db,
        # It would be sent together with what follows, before it could be read that nobody is let in.
        "driver_info": None,
        "protocol": 2,
        "decode_responses": False,
        "health_check_interval": 0,
        "retry_on_timeout": False,
    }


class Server:
    """`url` as `hubbub.brokers.url` reads it.

    `db` is the number of the database. `str()` is host and port or the socket's path, never a credential. Raises
    ConfigurationError; the text does not repeat the URL, which may hold a password.
    """

    def __init__(self, url: str, *, deadline: float) -> None:
        self.url: ServerUrl = read_url(url)
        self.db: int = self.url.db
        self._deadline = deadline
        options = in_redis_terms(self.url)
        if self.url.kind == "unix":
            self._address = self.url.path
        else:
            host = self.url.host
            self._address = f"{f'[{host}]' if ':' in host else host}:{self.url.port}"
            options["socket_keepalive_options"] = {
                getattr(socket, name): value for name, value in _KEEPALIVE.items() if hasattr(socket, name)
            }
        try:
            options |= {
                "connection_class": _KINDS[self.url.kind],
                "retry": Retry(NoBackoff(), 0),
                "socket_timeout": None,
                "socket_connect_timeout": deadline,
            }
            self._pool = ConnectionPool(**options)
            self._connection()
        except (ValueError, TypeError, KeyError, AttributeError, RedisError):
            # Of another version, that knows less than ours.
            raise ConfigurationError("redis-py cannot use the broker's URL") from None

    def __str__(self) -> str:
        return self._address

    async def connect(self) -> Link:
        """A connection of the caller's own, to be closed. Raises RedisError or OSError within the deadline.

        NotLetIn has the server's own words.
        """
        connection = self._connection()
        try:
            async with asyncio.timeout(self._deadline):
                await connection.connect()
                await connection.greet()
                # What redis-py had read and not answered for would be lost when another reads on.
                if await connection.can_read():
                    await connection.read_response()
                    raise NotConnected("connection closed by the server")
            return Link(connection)
        except BaseException as error:
            with suppress(RedisError, OSError):
                await connection.disconnect()
            if isinstance(error, TimeoutError):
                raise TimeoutError(f"no answer within {self._deadline:g} s") from None
            if isinstance(error, RedisError) and connection.refusal is not None:
                raise NotLetIn(str(connection.refusal)) from None
            # What writes to a socket that was closed is a RuntimeError of uvloop's.
            if type(error) is RuntimeError or (isinstance(error, RedisError) and _LOST in str(error)):
                raise NotConnected("connection closed by the server") from None
            raise

    def _connection(self) -> Any:
        return self._pool.make_connection()  # type: ignore[no-untyped-call]
