"""Who may so much as begin: the first thing that is asked of a handshake, before its Origin and its credential.

What an address has had is kept by `address_table.py`, and whose address it is says `hub/client_address.py`. A worker
as a whole looks at so many handshakes a second and no more: each costs it about a millisecond, and who is in should
not wait for those who come.
"""

import logging
import math
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException

from hubbub.auth.origin import site_of
from hubbub.connection.audit import Whence
from hubbub.hub.address_table import AddressTable, TooMuch
from hubbub.hub.client_address import Client, Proxies, client_of, group_of, shown
from hubbub.options import Addresses
from hubbub.ports.clock import Clock
from hubbub.ports.logs import Event, fields
from hubbub.ports.metrics import Count, Metrics
from hubbub.scheduling.limited_log import LimitedLog
from hubbub.scheduling.token_bucket import TokenBucket

_log = logging.getLogger("hubbub.addresses")


_BUSY = "too many handshakes at this worker"
_NO_HANDSHAKES = frozenset({Count.INVALID_REQUESTS, Count.LARGE_HEADS, Count.LATE_HEADS, Count.INVALID_HANDSHAKES})


# Paths that are known, and bytes of each; where a name is a part of it there may be any number.
_PATHS = 256


class Seat:
    """What a handshake, and the connection that becomes of it, takes of its address; nothing where none is limited."""

    __slots__ = ("_gate", "_key", "_waits")

    def __init__(self, gate: "Gate", key: bytes | None) -> None:
        self._gate = gate
        self._key = key
        self._waits = False

    def wait(self) -> None:
        """It is to wait for its first message. Raises HTTPException 429."""
        if self._key is not None:
            self._gate.wait(self._key)
            self._waits = True

    def waited(self) -> None:
        """It is known who that is, or it has ended."""
        if self._waits and self._key is not None:
            self._gate.table.waited(self._key)
            self._waits = False

    def failed(self) -> None:
        """It came to nothing, and by its own fault."""
        if self._key is not None:
            self._gate.count_failure(self._key)

    def leave(self) -> None:
        """It is over. Nothing happens the second time."""
        self.waited()
        key, self._key = self._key, None
        if key is not None:
            self._gate.leave(key)


class Gate:
    """`addresses` None: nothing is limited here. `handshakes`: a second, of the worker."""

    def __init__(
        self, addresses: Addresses | None, proxies: Proxies, metrics: Metrics, clock: Clock, *, handshakes: float
    ) -> None:
        self.table: AddressTable = AddressTable(addresses or Addresses())
        self.told: LimitedLog = LimitedLog(_log, clock)
        self._limits = addresses is not None
        self._proxies = proxies
        self._metrics = metrics
        self._clock = clock
        self._handshakes = TokenBucket(handshakes, max(1.0, 2 * handshakes), clock.now())
        self.nothing: Seat = Seat(self, None)
        """Of all that are not limited."""
        self._none_before = clock.now()
        """When the worker will look at one more."""
        self._paths: set[bytes] = set()
        """By which handshakes came here."""
        self._faults: set[str] = set()

    def enter(self, scope: Mapping[str, Any]) -> Seat:
        """A handshake begins. Raises HTTPException 429 or 503."""
        if not self._limits:
            return self.nothing
        now = self._clock.now()
        path = scope.get("raw_path") or b""
        if len(self._paths) < _PATHS and len(path) < _PATHS:
            self._paths.add(path)
        client = self._client(scope)
        key = group_of(client.address) if client.limited and client.address is not None else None
        if key is not None:
            self._check(self.table.enter(key, now), client)
        if client.address is None or not client.address.is_loopback:
            wait = self._handshakes.spend(now)
            if wait:
                if key is not None:
                    self.table.leave(key, now)
                self._none_before = now + wait
                raise self._too_much(wait, client)
        return self.nothing if key is None else Seat(self, key)

    def refuses(self, scope: Mapping[str, Any]) -> HTTPException | None:
        """What `enter` is known to raise, told and counted as if it had; None where that is to be seen.

        For the paths by which handshakes came to this hub: of others it knows nothing.
        """
        if not self._limits or scope["raw_path"] not in self._paths:
            return None
        now = self._clock.now()
        client = client_of(scope, self._proxies)
        try:
            if client.limited and client.address is not None:
                self._check(self.table.refuses(group_of(client.address), now), client)
            if now < self._none_before and not (client.address is not None and client.address.is_loopback):
                raise self._too_much(self._none_before - now, client)
        except HTTPException as refusal:
            return refusal
        return None

    def whence(self, scope: Mapping[str, Any]) -> Whence:
        """From where it comes, for the audit."""
        address = client_of(scope, self._proxies).address
        return Whence(None if address is None else str(address), site_of(scope))

    def check(self, scope: Mapping[str, Any]) -> None:
        """Before something else is looked at that can be guessed. Raises HTTPException 429."""
        client = self._client(scope)
        if self._limits and client.limited and client.address is not None:
            barred = self.table.barred(group_of(client.address), self._clock.now())
            if barred is not None:
                self._metrics.count(Count.REFUSED_GUESSES)
            self._check(barred, client)

    def failed(self, scope: Mapping[str, Any]) -> None:
        """It was guessed wrong."""
        self._failed(self._client(scope))

    def ended_elsewhere(self, what: Count, address: str | None) -> None:
        """A socket that no hub had, as `hubbub.transports.telling.watch` tells of it; behind a proxy nobody's."""
        self._metrics.count(what)
        if what in _NO_HANDSHAKES and address is not None:
            self._failed(client_of({"client": (address, 0), "headers": ()}, self._proxies))

    def _failed(self, client: Client) -> None:
        if self._limits and client.limited and client.address is not None:
            self.count_failure(group_of(client.address))

    def wait(self, key: bytes) -> None:
        """As `Seat.wait`."""
        too_much = self.table.wait(key)
        if too_much is not None:
            self._metrics.count(Count.REFUSED_ADDRESS)
            raise _refusal(too_much)

    def count_failure(self, key: bytes) -> None:
        self.table.failed(key, self._clock.now())

    def leave(self, key: bytes) -> None:
        self.table.leave(key, self._clock.now())

    def _check(self, too_much: TooMuch | None, client: Client) -> None:
        if too_much is None or client.address is None:
            return
        self._metrics.count(Count.REFUSED_ADDRESS)
        self._tell(client, 429, too_much.why)
        raise _refusal(too_much)

    def _too_much(self, wait: float, client: Client) -> HTTPException:
        self._metrics.count(Count.REFUSED_WORKER)
        self._tell(client, 503, _BUSY)
        return HTTPException(503, _BUSY, _retry_after(wait))

    def _tell(self, client: Client, code: int, why: str) -> None:
        address = client.address
        self.told.tell(
            f"refused with {code}: {why}",
            "refused %s with %s: %s",
            "a client" if address is None else shown(address),
            code,
            why,
            extra=fields(Event.REFUSED, address=None if address is None else str(address), code=code, cause=why),
        )

    def _client(self, scope: Mapping[str, Any]) -> Client:
        client = client_of(scope, self._proxies)
        if client.fault is not None and client.fault not in self._faults:
            self._faults.add(client.fault)
            _log.warning(
                "clients are not limited by address: %s; it is %s",
                client.fault,
                _peer(scope),
                extra=fields(Event.PROXY_NOT_NAMED, cause=client.fault),
            )
        return client


def _refusal(too_much: TooMuch) -> HTTPException:
    return HTTPException(429, f"{too_much.why} from this address", _retry_after(too_much.retry_after))


def _retry_after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def _peer(scope: Mapping[str, Any]) -> str:
    peer = scope.get("client")
    return peer[0] if peer else "at a unix socket"
