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
    parse_url,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import RedisError

from hubbub.brokers.redis.link import Link
from hubbub.errors import ConfigurationError

#: After how many seconds, probes or milliseconds the kernel gives a dead host up: the second line behind our own PING.
_KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 2, "TCP_USER_TIMEOUT": 6000}


class _Abrupt:
    """Ends at once and is gone when `disconnect` returns, whatever redis-py asked for on the way.

    A polite close keeps the descriptor until the other side has read what it may never read.
    """

    _writer: asyncio.StreamWriter | None

    @property
    def transport(self) -> asyncio.Transport:
        if self._writer is None:
            raise NotConnected("connection lost")
        transport: asyncio.Transport = self._writer.transport  # type: ignore[assignment]
        return transport

    async def disconnect(self, nowait: bool = False, *args: Any, **options: Any) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
        await super().disconnect(False, *args, **options)  # type: ignore[misc]


class _Tcp(_Abrupt, Connection):
    pass


class _Tls(_Abrupt, SSLConnection):
    pass


class _Unix(_Abrupt, UnixDomainSocketConnection):
    pass


def in_redis_terms(url: str) -> str:
    """The URL as redis-py reads it, which does not know `valkey://` and `valkeys://`."""
    scheme, colon, rest = url.partition(":")
    return {"valkey": "redis", "valkeys": "rediss"}.get(scheme.lower(), scheme.lower()) + colon + rest


class Server:
    """Reads `redis://`, `rediss://`, `valkey://`, `valkeys://` and `unix://`, as redis-py does, query included.

    `db` is the number of the database. `str()` is host and port or the socket's path, never a credential. Raises
    ConfigurationError; the text does not repeat the URL, which may hold a password.
    """

    def __init__(self, url: str, *, deadline: float) -> None:
        url = in_redis_terms(url)
        kind = {"redis": _Tcp, "rediss": _Tls, "unix": _Unix}.get(url.partition(":")[0])
        if kind is None:
            raise ConfigurationError("a broker's URL starts with redis://, rediss://, valkey://, valkeys:// or unix://")
        self._deadline = deadline
        try:
            options: dict[str, Any] = dict(parse_url(url))
            self.db: int = int(options.get("db", 0))
            if kind is _Unix:
                self._address: str = options["path"]
            else:
                host = options.get("host", "localhost")
                self._address = f"{f'[{host}]' if ':' in host else host}:{options.get('port', 6379)}"
                options["socket_keepalive_options"] = {
                    getattr(socket, name): value for name, value in _KEEPALIVE.items() if hasattr(socket, name)
                }
            options |= {
                "connection_class": kind,
                "protocol": 2,
                "decode_responses": False,
                "health_check_interval": 0,
                "retry": Retry(NoBackoff(), 0),
                "retry_on_timeout": False,
                "socket_timeout": None,
                "socket_connect_timeout": deadline,
            }
            self._pool = ConnectionPool(**options)
            self._connection()
        except (ValueError, TypeError, KeyError, RedisError):
            raise ConfigurationError("the broker's URL cannot be read; expected like redis://host:6379/0") from None

    def __str__(self) -> str:
        return self._address

    async def connect(self) -> Link:
        """A connection of the caller's own, to be closed. Raises RedisError or OSError within the deadline."""
        connection = self._connection()
        try:
            async with asyncio.timeout(self._deadline):
                await connection.connect()
                # What redis-py had read and not answered for would be lost when another reads on.
                if await connection.can_read():
                    raise NotConnected("connection closed by the server")
            return Link(connection)
        except BaseException as error:
            with suppress(RedisError, OSError):
                await connection.disconnect()
            if isinstance(error, TimeoutError):
                raise TimeoutError(f"no answer within {self._deadline:g} s") from None
            raise

    def _connection(self) -> Any:
        return self._pool.make_connection()  # type: ignore[no-untyped-call]
