"""What every connection of a hub works with: composed once by the hub, handed to each connection."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from hubbub.delivery.batch import Batcher
from hubbub.delivery.fanout import Recipient
from hubbub.delivery.registry import Registry
from hubbub.handlers.dispatch import Dispatch
from hubbub.history.positions import Positions
from hubbub.options import Heartbeat, History, Limits, Rate
from hubbub.ports.clock import Clock
from hubbub.ports.metrics import Metrics
from hubbub.presence.tracker import PresenceTracker
from hubbub.rooms.membership import Membership
from hubbub.rooms.room import Room
from hubbub.rooms.subscriptions import Subscriptions
from hubbub.types import NodeId, RoomName, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    node: NodeId
    limits: Limits
    heartbeat: Heartbeat
    rate: Rate | None
    clock: Clock
    metrics: Metrics
    registry: Registry[Recipient]
    subscriptions: Subscriptions
    presence: PresenceTracker
    positions: Positions
    inbox: History | None
    """What is kept for a user, whether or not one is there."""
    membership: Membership
    dispatch: Dispatch
    authenticate: Callable[[str], Awaitable[User]]
    """From the token of a first or renewing message to the user. Raises CredentialError."""
    batcher: Batcher
    begin: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None] | None]
    """Run until it waits, and go on with the rest as a task."""
    wake_at: Callable[[Recipient, float], None]
    """Call the connection's `tick` at this time instead of the one it asked for before."""
    forget: Callable[[Recipient], None]
    """Do not call its `tick` any more."""
    room: Callable[[RoomName], Room]
