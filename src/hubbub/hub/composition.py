"""All parts of one worker below its connections, made together: the one place that says which part knows which.

The hub's runtime does it, and so does a test of several parts. Nothing is started here and nothing waits; but the
parts belong to the event loop that runs now, so they are made when a hub starts, not when it is declared.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hubbub.delivery.batch import Batcher
from hubbub.delivery.fanout import Fanout, Recipient
from hubbub.delivery.journeys import Journeys
from hubbub.delivery.registry import Registry
from hubbub.history.positions import Positions
from hubbub.history.topic import Bounds
from hubbub.options import Keep, Leaving, Limits, RoomRate
from hubbub.ports.broker import Broker
from hubbub.ports.clock import Clock
from hubbub.ports.metrics import Metrics, Tally, Traffic
from hubbub.presence.diffs import Diffs
from hubbub.presence.leases import NodeLease
from hubbub.presence.notices import Notices
from hubbub.presence.showing import Showing
from hubbub.presence.storms import Storms
from hubbub.presence.tracker import PresenceTracker
from hubbub.rooms.answers import Answers
from hubbub.rooms.attendance import Attendance
from hubbub.rooms.declared import DeclaredRooms
from hubbub.rooms.each_room import EachRoom
from hubbub.rooms.handing import Handing
from hubbub.rooms.handles import Handles
from hubbub.rooms.members import Members
from hubbub.rooms.membership import Membership, Moves
from hubbub.rooms.patterns import Patterns
from hubbub.rooms.presences import Presences
from hubbub.rooms.publish_queue import PublishQueue
from hubbub.rooms.publishing import Sender
from hubbub.rooms.rates import RoomRates
from hubbub.rooms.removals import Removals
from hubbub.rooms.retention import Retention
from hubbub.rooms.subscriptions import Subscriptions
from hubbub.scheduling.home_loop import HomeLoop
from hubbub.scheduling.tasks import Background
from hubbub.scheduling.waker import Waker
from hubbub.types import NodeId, RoomName, Topic, room_topic

if TYPE_CHECKING:
    from hubbub.tracing.worker import Tracing

# Fine enough for a heartbeat of a tenth of a second in a test, coarse enough that 15,000 connections share few wakes.
_RESOLUTION = 0.05
# Of the time a batch takes. Measured with three workers, 3,000 members and ten who talk: 1.07 times what one worker
# delivers instead of 0.6, for a tenth more latency.
_PAUSE_SHARE_WITH_OTHERS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What `compose` has made."""

    node: NodeId
    home: HomeLoop
    broker: Broker
    clock: Clock
    metrics: Metrics
    traffic: Traffic
    journeys: Journeys | None
    background: Background
    waker: Waker[Any]
    registry: Registry[Recipient]
    batcher: Batcher
    fanout: Fanout
    diffs: Diffs
    storms: Storms
    positions: Positions
    subscriptions: Subscriptions
    presence: PresenceTracker
    presences: Presences
    lease: NodeLease
    members: Members
    attendance: Attendance
    membership: Membership
    removals: Removals
    publish_queue: PublishQueue
    rates: RoomRates
    handing: Handing
    retention: Retention
    handles: Handles

    def left_over(self) -> dict[str, int]:
        """What is still there of connections and what they asked for, by name: empty where nobody is connected."""
        counts = {
            "registry": len(self.registry),
            "presence": len(self.presence),
            "presences": len(self.presences),
            "subscriptions": len(self.subscriptions),
            "background": len(self.background),
            "waker": len(self.waker),
            "paused": len(self.fanout),
            "diffs": len(self.diffs),
            "storms": len(self.storms),
            "positions": len(self.positions),
            "members": len(self.members),
            "attendance": len(self.attendance),
            "joins": len(self.membership),
            "removals": len(self.removals),
            "handing": len(self.handing),
            "publish_queue": len(self.publish_queue),
        }
        return {name: count for name, count in counts.items() if count}


def new_node() -> NodeId:
    """A name for a worker."""
    return NodeId(f"{random.getrandbits(48):012x}")


def compose(
    broker: Broker,
    clock: Clock,
    *,
    limits: Limits | None = None,
    leaving: Leaving | None = None,
    metrics: Metrics | None = None,
    declared: DeclaredRooms | None = None,
    inbox: Keep = None,
    room_rate: RoomRate | None = None,
    limited: bool = True,
    announce_users: bool = False,
    moves: Moves | None = None,
    edges: bool = False,
    node: NodeId | None = None,
    batcher: Batcher | None = None,
    bounds: Bounds | None = None,
    tracing: "Tracing | None" = None,
) -> Parts:
    """Call it in the event loop. `inbox`: what is kept of the messages to a user. `node`: default a new name.

    `limited`: clients may have no more handed to them by joins than their allowance. `moves`: is told who joins and
    leaves. `edges`: there are hooks of them. `tracing`: None where nobody traces.
    """
    limits, leaving, metrics = limits or Limits(), leaving or Leaving(), metrics or Tally()
    declared = declared or DeclaredRooms(Patterns())
    node = node or new_node()
    home = HomeLoop()
    background = Background()
    spawn = background.spawn

    registry: Registry[Recipient] = Registry()
    traffic = Traffic()
    journeys: Journeys | None = None

    def hears(topic: Topic) -> bool:
        return fanout.hears(topic)

    if batcher is None:
        pause_share = _PAUSE_SHARE_WITH_OTHERS if broker.shared else 0.0
        journeys = Journeys(home.loop, metrics, hears)
        new_batcher: Callable[..., Batcher] = Batcher if tracing is None else tracing.batcher
        batcher = new_batcher(home.loop, metrics, pause_share=pause_share, traffic=traffic, journeys=journeys)
    deliveries = None if tracing is None else tracing.deliveries
    fanout = Fanout(registry, batcher, metrics, limit=limits.outbox, journeys=journeys, deliveries=deliveries)

    diffs = Diffs(fanout, registry, clock, metrics)
    showing = Showing()
    notices = Notices(declared.options_of, showing, announce_users=announce_users)
    storms = Storms(fanout, registry, clock, metrics, notices.shows, rate=limits.notices)
    presence = PresenceTracker(
        broker,
        node,
        background.begin,
        clock,
        notices,
        showing,
        edges=edges,
        grace=leaving.grace,
        metrics=metrics,
    )
    presences = Presences(registry, showing, presence, limit=limits.presence)
    lease = NodeLease(broker, node, presence, notices, clock, lease=leaving.lease, metrics=metrics)
    positions = Positions(broker, fanout, clock, metrics, spawn, limits, bounds)

    subscriptions = Subscriptions(broker, clock, spawn, ended=positions.forget)
    members = Members(broker, spawn)
    attendance = Attendance(subscriptions, presence, presences)
    retention = Retention()
    answers = Answers(
        registry,
        fanout,
        positions,
        diffs,
        storms,
        members,
        retention,
        metrics=metrics,
        limit=limits.outbox,
        shows=limits.payload,
    )

    removals = Removals()

    def may_publish() -> bool:
        # Not before it is known where each topic stands, or what is sent then would be told as missed, and what others
        # keep, or it would be missed and never told.
        return broker.ready and not positions.coming_back and retention.learned

    publish_queue = PublishQueue(may_publish, limit=limits.queued)
    handing = Handing(limits, clock, metrics, limited=limited)
    rates = RoomRates(room_rate, clock, metrics)
    handles = Handles(
        broker,
        publish_queue,
        home,
        declared,
        retention,
        limits,
        rates,
        inbox=inbox,
        journeys=journeys,
        sender=Sender if tracing is None else tracing.sender,
        each_room=EachRoom if tracing is None else tracing.each_room,
    )
    membership = Membership(
        registry, fanout, attendance, answers, handles, removals, handing, limit=limits.rooms, moves=moves
    )

    async def tell_again(member: Recipient, room: RoomName) -> None:
        if not await membership.tell_again(member, room, declared.options_of(room)):
            storms.not_refreshed(room_topic(room), member)

    storms.on_stale(lambda member, room: background.begin(tell_again(member, room)))

    return Parts(
        node=node,
        home=home,
        broker=broker,
        clock=clock,
        metrics=metrics,
        traffic=traffic,
        journeys=journeys,
        background=background,
        waker=Waker(clock, resolution=_RESOLUTION),
        registry=registry,
        batcher=batcher,
        fanout=fanout,
        diffs=diffs,
        storms=storms,
        positions=positions,
        subscriptions=subscriptions,
        presence=presence,
        presences=presences,
        lease=lease,
        members=members,
        attendance=attendance,
        membership=membership,
        removals=removals,
        publish_queue=publish_queue,
        rates=rates,
        handing=handing,
        retention=retention,
        handles=handles,
    )
