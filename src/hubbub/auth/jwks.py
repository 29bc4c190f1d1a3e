"""The public keys an issuer publishes: read when they are needed, kept, and read again before they are old.

They are read in a thread, by one read for all who wait, from the address the application names and no other: https,
or loopback; no redirect to another host; so many bytes, so many seconds. A `kid` that is not known is looked for once
a minute at most, because strangers choose it. While the issuer cannot be reached the keys that are known serve on, for
a day, and the log says so; where none is known nobody can be judged, which is `Unavailable` and no refusal.

PyJWT's own client lost: it follows redirects anywhere, reads without a bound, and asks again for every unknown `kid`.
"""

import asyncio
import http.client
import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from email.message import Message
from types import ModuleType
from typing import IO, Any
from urllib.parse import SplitResult, urlsplit

from anyio import to_thread

from hubbub.auth.keys import Key, choose, key_of_certificate, key_of_jwk
from hubbub.auth.origin import is_loopback
from hubbub.errors import ConfigurationError, InvalidCredential, Unavailable
from hubbub.ports.logs import Event, fields

_log = logging.getLogger("hubbub.jwks")

#: Seconds from one look for an unknown `kid`, or after a read that failed, to the next.
AGAIN = 60.0
#: The same while no key is known at all.
AGAIN_WITHOUT = 2.0
#: Seconds for which keys serve on that are due to be read again and cannot be.
STALE = 24 * 60 * 60.0
#: Seconds a read may take: less than a handshake may (`Limits.authenticate`).
TIMEOUT = 3.0
#: Bytes that are read at most. A large issuer's set has ten thousand.
MAX_BYTES = 256 * 1024

_LIFETIMES = (1.0, 24 * 60 * 60.0)


class FetchedKeys:
    """The keys at `url` that verify with any of `algorithms`. Raises ConfigurationError for what would not protect."""

    named = True
    first: Key | None = None

    def __init__(self, url: str, algorithms: Sequence[str], jwt: ModuleType, *, lifetime: float) -> None:
        least, most = _LIFETIMES
        if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or not least <= lifetime <= most:
            raise ConfigurationError(f"jwks_lifetime is {least:.0f} to {most:.0f} seconds, not {lifetime!r}")
        if any(algorithm.startswith("HS") for algorithm in algorithms):
            raise ConfigurationError(
                "jwks_url publishes public keys, which HS… has none of: name the issuer's algorithms"
            )
        self._address = _checked(url)
        self._url = url
        self._algorithms = tuple(algorithms)
        self._jwt = jwt
        self._lifetime = lifetime
        self._keys: Mapping[str, Key] = {}
        self._read_at = self._next_try = float("-inf")
        self._failed = False
        self._flight: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"jwks of {self._address.hostname}"

    async def find(self, name: str | None) -> Key:
        age = time.monotonic() - self._read_at
        if age >= self._lifetime or (name is not None and name not in self._keys):
            await self._read_again()
            age = time.monotonic() - self._read_at
        if not self._keys or age >= self._lifetime + STALE:
            raise Unavailable("the issuer's keys cannot be read")
        try:
            return choose(self._keys, name)
        except InvalidCredential:
            if age >= self._lifetime:  # it may be the one that came since
                raise Unavailable("the issuer's keys cannot be read") from None
            raise

    async def _read_again(self) -> None:
        """Unless that was tried just now. One read serves all who wait, and nobody who gives up ends it."""
        loop = asyncio.get_running_loop()
        flight = self._flight
        # One of another loop ends with that.
        if flight is None or flight.done() or flight.get_loop() is not loop:
            if time.monotonic() < self._next_try:
                return
            self._next_try = time.monotonic() + (AGAIN if self._keys else AGAIN_WITHOUT)
            flight = self._flight = loop.create_task(self._read(), name="hubbub-jwks")
        await asyncio.wait((flight,))

    async def _read(self) -> None:
        try:
            # Left alone where it takes longer: it ends by its own deadlines.
            with_bounds = to_thread.run_sync(self._fetch, abandon_on_cancel=True)
            self._keys = await asyncio.wait_for(with_bounds, TIMEOUT)
        # Whatever an issuer answers, or a network does.
        except Exception as error:  # noqa: BLE001
            self._failed = True
            self._tell(error)
            return
        self._read_at = time.monotonic()
        self._next_try = self._read_at + AGAIN
        if self._failed:
            self._failed = False
            _log.info(
                "the keys of %s can be read again",
                self._address.hostname,
                extra=fields(Event.KEYS_READABLE, host=self._address.hostname),
            )

    def _tell(self, error: Exception) -> None:
        host, why = self._address.hostname, _why(error)
        if self._keys:
            age = time.monotonic() - self._read_at
            _log.warning(
                "the keys of %s cannot be read (%s): those of %.0f s ago serve on",
                host,
                why,
                age,
                extra=fields(Event.KEYS_UNREADABLE, host=host, cause=str(why), seconds=age),
            )
        else:
            _log.error(
                "the keys of %s cannot be read (%s): nobody can be let in by them",
                host,
                why,
                extra=fields(Event.KEYS_UNREADABLE, host=host, cause=str(why)),
            )

    def _fetch(self) -> Mapping[str, Key]:
        """In a thread. Raises whatever goes wrong."""
        began = time.monotonic()
        handlers: list[urllib.request.BaseHandler] = [_SameHost(self._address)]
        if is_loopback(self._address.hostname):
            handlers.append(urllib.request.ProxyHandler({}))
        opener = urllib.request.build_opener(*handlers)
        request = urllib.request.Request(self._url, headers={"Accept": "application/json"})  # noqa: S310 - `_checked`
        body = b""
        try:
            answer = opener.open(request, timeout=TIMEOUT)
        except urllib.error.HTTPError as refusal:
            refusal.close()
            raise
        with answer:
            while chunk := answer.read1(MAX_BYTES + 1 - len(body)):
                body += chunk
                if len(body) > MAX_BYTES:
                    raise _Unusable(f"more than {MAX_BYTES} bytes")
                if time.monotonic() - began > TIMEOUT:
                    raise TimeoutError
        keys = _keys_of(json.loads(body), self._algorithms, self._jwt)
        if not keys:
            raise _Unusable(f"no key in it is for {', '.join(self._algorithms)}")
        return keys


class _Unusable(Exception):
    """What was read is nothing to verify with. The text is ours."""


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Whoever can make the issuer redirect must not choose who we believe."""

    def __init__(self, address: SplitResult) -> None:
        self._address = address

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage | Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        to = urlsplit(newurl)
        if (to.scheme, to.hostname, to.port) != (self._address.scheme, self._address.hostname, self._address.port):
            fp.close()
            raise _Unusable("it redirects to another host")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _checked(url: str) -> SplitResult:
    try:
        address = urlsplit(url)
        usable = bool(address.hostname) and address.port != 0
    except (ValueError, AttributeError, TypeError):
        raise ConfigurationError("jwks_url is an https URL") from None
    if not usable or not (address.scheme == "https" or (address.scheme == "http" and is_loopback(address.hostname))):
        raise ConfigurationError("jwks_url is an https URL: who can change what is read there decides who is let in")
    if address.username is not None or address.password is not None:
        raise ConfigurationError("jwks_url has no user and password: the keys are public")
    return address


def _keys_of(document: Any, algorithms: Sequence[str], jwt: ModuleType) -> dict[str, Key]:
    """By name: of a JWK Set, or of an object of certificates. A key without a name has the empty one."""
    if not isinstance(document, dict):
        raise _Unusable("it is no JSON object")
    listed = document.get("keys")
    if isinstance(listed, list):
        found = [key_of_jwk(jwk, algorithms, jwt) for jwk in listed]
    else:
        pems = [(name, pem) for name, pem in document.items() if isinstance(pem, str)]
        found = [key_of_certificate(name, pem, algorithms, jwt) for name, pem in pems]
    keys: dict[str, Key] = {}
    for key in found:
        if key is not None:
            # The first of a name: two keys under one are the issuer's mistake, and not a reason to try them in turn.
            keys.setdefault(key.name or "", key)
    return keys


def _why(error: Exception) -> str:
    """Without what the other side wrote."""
    match error:
        case _Unusable():
            return str(error)
        case urllib.error.HTTPError():
            return f"status {error.code}"
        case TimeoutError():
            return f"not within {TIMEOUT:.0f} s"
        case urllib.error.URLError() if isinstance(error.reason, Exception):
            return type(error.reason).__name__
        case ValueError():
            return "it is no JSON"
        case _:
            return type(error).__name__
