"""What every connection of a worker works with: composed once, the same for all."""

from collections.abc import Awaitable, Callable, Coroutine
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from hubbub.connection.admission import Admissions
from hubbub.connection.audit import Audit
from hubbub.connection.endings import Endings
from hubbub.connection.requests import Client, Request
from hubbub.connection.throttle import UserAllowances
from hubbub.delivery.batch import Batcher
from hubbub.handlers.hooks import ConnectionHooks
from hubbub.options import Heartbeat, Limits
from hubbub.ports.clock import Clock
from hubbub.ports.metrics import Metrics, Traffic
from hubbub.ports.tracing import Reading
from hubbub.rooms.declared import DeclaredRooms
from hubbub.rooms.joins import Allowed
from hubbub.rooms.membership import Membership
from hubbub.rooms.presences import Presences
from hubbub.scheduling.home_loop import HomeLoop
from hubbub.scheduling.limited_log import LimitedLog
from hubbub.scheduling.tasks import Begin, Keep
from hubbub.scheduling.waker import Ticks, Waker
from hubbub.types import NodeId, RoomName


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    node: NodeId
    home: HomeLoop
    limits: Limits
    heartbeat: Heartbeat
    allowances: UserAllowances | None
    """What users may still send; None where there is no rate."""
    clock: Clock
    metrics: Metrics
    traffic: Traffic
    endings: Endings
    audit: Audit | None
    """None where nobody asked for it."""
    batcher: Batcher
    membership: Membership
    presences: Presences
    declared: DeclaredRooms
    admissions: Admissions
    at_once: AbstractSet[str]
    """The types of messages that wait for nothing; more may be declared while the hub runs."""
    allowed: Callable[[RoomName, Client], Awaitable[Allowed]]
    """What a client may in a room beside being in it."""
    do: Callable[[Client, Request], Coroutine[Any, Any, None]]
    """What a client's request does, see `hubbub.connection.requests`."""
    hooks: ConnectionHooks | None
    """None where none is declared, so that they cost nothing."""
    begin: Begin
    keep: Keep
    spawned: LimitedLog
    """Of what was spawned and failed."""
    waker: Waker[Ticks]
    reading: Reading | None
    """None where nobody traces."""
