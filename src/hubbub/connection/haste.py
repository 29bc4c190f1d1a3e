"""What becomes of a client that asks for more than it may: what is refused, what it costs, and when it is closed.

Bounds stand beside each other. The rate bounds how fast it sends. A message is counted before it is looked at: one
that is too many is looked at only to say which it was, some are borne, and who goes on regardless is closed with 1008.
Bytes that are too many are read later. How much waits depends on how fast the application is: what finds no room is
refused, and read later, but whoever keeps to the rate is never closed for it.
"""

import math
from collections.abc import Callable
from typing import Protocol

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
# Of whom more bytes came than may, nothing is read for longer at a stretch: it would seem dead, whatever its rate.
LONGEST = 5.0
# Nor for longer than that part of the time in which it has to answer a `ping`.
_OF_ITS_TIME = 0.5


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

    def flooded(self) -> None:
        """It is too much, and ends."""


def is_borne(client: Client, now: float) -> bool:
    """It sends one message more than it may; else it was closed."""
    # A route that speaks its own language cannot be told that a message was lost, so it does not lose one.
    borne = not client.text and (client.throttle is None or client.throttle.refused(now))
    if not borne:
        client.flooded()
    return borne


def take_joins(
    client: Client,
    asked: Join | JoinSeveral,
    submit: Callable[[Join, str | bytes], bool],
    data: str | bytes,
    now: float,
    *,
    rooms: int,
    refused: bool,
) -> None:
    """Each of them for itself: it takes its turn, or is refused. `rooms`: how many a connection may be in.

    They are counted apart from messages, so what `data` was counted as is given back: `refused`, that it was too much.
    """
    joins = asked.joins if isinstance(asked, JoinSeveral) else (asked,)
    if client.throttle is not None:
        client.throttle.give_back(refused=refused)
    wait = 0.0
    possible = rooms + 1  # `@me`, which counts nowhere
    for join in joins[:possible]:
        if client.throttle is not None and (wait := client.throttle.join(now)):
            too_fast(client, join, wait)
        elif not submit(join, data):
            no_room(client, join)
    for join in joins[possible:]:
        client.refuse(TooManyRooms(f"a connection may be in {rooms} rooms"), join.id, join.room)
    if wait:
        is_borne(client, now)


def too_fast(client: Client, event: Event, wait: float | None) -> None:
    """It has `wait` seconds to go until it may say this, None: nobody knows."""
    retry_after = None if wait is None else math.ceil(wait * 1000)
    client.refuse(RateLimited(retry_after=retry_after), getattr(event, "id", None), named(event))


def weigh(client: Client, size: int, now: float, *, timeout: float) -> bool:
    """So many bytes have come from it. Whether they were too many: then nothing is read for as long as that takes.

    `timeout`: in how many seconds it has to answer a `ping`.
    """
    wait = 0.0 if client.throttle is None else client.throttle.weigh(now, size)
    if wait and client.outbound.transport is not None:
        client.outbound.transport.pause_reading(min(wait, LONGEST, timeout * _OF_ITS_TIME))
    return wait > 0


def no_room(client: Client, event: Event) -> None:
    """As much waits as may."""
    if client.outbound.transport is not None:
        client.outbound.transport.pause_reading(_TOO_FAST)
    too_fast(client, event, None)
    if client.text:
        client.flooded()
