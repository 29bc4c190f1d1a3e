"""What becomes of a client that asks for more than it may: what is refused, what it costs, and when it is closed.

Two bounds stand beside each other. The rate bounds how fast it sends, and who goes on regardless is closed with 1008.
How much waits depends on how fast the application is: what finds no room is refused, and read later, but whoever keeps
to the rate is never closed for it.
"""

import math
from collections.abc import Callable
from typing import Protocol

from hubbub import closes
from hubbub.closes import Close
from hubbub.connection.throttle import Throttle
from hubbub.errors import RateLimited, Refused, TooManyRooms
from hubbub.ports.transport import Transport
from hubbub.protocol.join_room import Join, JoinSeveral, named
from hubbub.protocol.messages import RequestId
from hubbub.protocol.session import Event
from hubbub.types import RoomName

# How long nothing is read from a client of whom more came than may wait: it feels that it is too fast, and a `ping`
# that stands behind it is still answered soon.
_TOO_FAST = 0.25


class _Side(Protocol):
    @property
    def transport(self) -> Transport | None: ...


class Client(Protocol):
    """A connection, as far as its haste is concerned."""

    @property
    def text(self) -> bool: ...

    @property
    def throttle(self) -> Throttle | None: ...

    @property
    def outbound(self) -> _Side: ...

    def refuse(self, error: Refused, id: RequestId | None, room: RoomName | None = None) -> None: ...

    def close(self, close: Close) -> None: ...


def take_joins(
    client: Client, asked: Join | JoinSeveral, submit: Callable[[Join], bool], now: float, *, rooms: int
) -> None:
    """Each of them for itself: it takes its turn, or is refused. `rooms`: how many a connection may be in."""
    joins = asked.joins if isinstance(asked, JoinSeveral) else (asked,)
    wait = 0.0
    possible = rooms + 1  # `@me`, which counts nowhere
    for join in joins[:possible]:
        if client.throttle is not None and (wait := client.throttle.join(now, rooms)):
            _refuse(client, join, wait)
        elif not submit(join):
            no_room(client, join)
    for join in joins[possible:]:
        client.refuse(TooManyRooms(f"a connection may be in {rooms} rooms"), join.id, join.room)
    if wait:
        bear(client, now)


def too_fast(client: Client, event: Event, now: float, wait: float) -> None:
    """It has `wait` seconds to go until it may say this."""
    _refuse(client, event, wait)
    bear(client, now)


def bear(client: Client, now: float) -> None:
    """It sends faster than it may. Some of that is borne."""
    # A route that speaks its own language cannot be told that a message was lost, so it does not lose one.
    if client.text or (client.throttle is not None and not client.throttle.refused(now)):
        client.close(closes.FLOODING)


def no_room(client: Client, event: Event) -> None:
    """As much waits as may."""
    if client.outbound.transport is not None:
        client.outbound.transport.pause_reading(_TOO_FAST)
    _refuse(client, event, None)
    if client.text:
        client.close(closes.FLOODING)


def _refuse(client: Client, event: Event, wait: float | None) -> None:
    retry_after = None if wait is None else math.ceil(wait * 1000)
    client.refuse(RateLimited(retry_after=retry_after), getattr(event, "id", None), named(event))
