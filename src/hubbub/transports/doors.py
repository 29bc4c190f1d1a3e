"""Handshakes that need not reach an application, because a hub knows already that it will refuse them.

By the time an application says no to a handshake, its middleware, its routes and a task have been set to work, which
costs as much as saying yes; in a flood that is what the flood costs. So a hub that runs stands at the door: it is asked
as soon as the head is there, where our own transport reads it. Elsewhere it refuses as late as before. A server and its
hubs know nothing of one another but the event loop they share.
"""

import asyncio
import weakref
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol


class Refusal(NamedTuple):
    """`retry_after`: whole seconds."""

    status: int
    why: str
    retry_after: int


class Door(Protocol):
    def __call__(self, scope: Mapping[str, Any]) -> Refusal | None:
        """Whether this handshake is refused. `scope`: `client`, `headers` and `raw_path`, as ASGI has them.

        None where that is to be seen later, and for what is no affair of this hub. Must be cheap and must not raise.
        """


_doors: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, list[Door]] = weakref.WeakKeyDictionary()


def stand_at(door: Door) -> Callable[[], None]:
    """Have it asked of each handshake in the event loop that runs; what is returned ends that, also twice."""
    doors = _doors.setdefault(asyncio.get_running_loop(), [])
    doors.append(door)

    def leave() -> None:
        if door in doors:
            doors.remove(door)

    return leave


def refusal(scope: Mapping[str, Any]) -> Refusal | None:
    """The first of them."""
    for door in _doors.get(asyncio.get_running_loop(), ()):
        if (refused := door(scope)) is not None:
            return refused
    return None
