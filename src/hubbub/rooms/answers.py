"""What one who joins is told: who is there, where the history stands, and what it missed.

The same for a room and for `@me`, the user's own topic, and for one that is a member already and joins again.
"""

import logging
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

from hubbub.delivery.fanout import Fanout, Recipient
from hubbub.delivery.registry import Registry
from hubbub.history.positions import Positions
from hubbub.history.topic import Standing
from hubbub.options import Slow
from hubbub.ports.logs import Event, fields
from hubbub.ports.metrics import Count, Metrics
from hubbub.presence.diffs import Diffs
from hubbub.presence.storms import Storms
from hubbub.protocol import messages
from hubbub.protocol.features import PRESENCE
from hubbub.rooms.handing import Cost
from hubbub.rooms.joins import Joining
from hubbub.rooms.members import Members
from hubbub.rooms.retention import Retention
from hubbub.types import OWN_ROOM, RoomName

_log = logging.getLogger("hubbub.answers")

# Bytes that what is shown has around it.
_BESIDE = 64
# Rooms that are named in the log, once each.
_COMPLAINTS = 100


class Found(NamedTuple):
    """None of either where the room has no presence, or keeps no history."""

    members: Collection[str] | None
    """Where the room has presence data, a mapping to what each shows, JSON."""
    standing: Standing | None


class Answers:
    """`limit`: bytes that one connection may have unsent. `shows`: bytes of what others show, in one answer."""

    def __init__(
        self,
        registry: Registry[Recipient],
        fanout: Fanout,
        positions: Positions,
        diffs: Diffs,
        storms: Storms,
        members: Members,
        retention: Retention,
        *,
        metrics: Metrics,
        limit: int,
        shows: int,
    ) -> None:
        self._metrics = metrics
        self._registry = registry
        self._fanout = fanout
        self._positions = positions
        self._diffs = diffs
        self._storms = storms
        self._members = members
        self._retention = retention
        # Who joins has a quarter unsent at most.
        self._most = limit * 3 // 4
        self._shows = shows
        self._complained: set[RoomName] = set()

    async def find(self, join: Joining) -> Found:
        """Raises Unavailable."""
        members = await self._find_members(join)
        return Found(members, await self._find_standing(join))

    def answer(self, join: Joining, found: Found) -> None:
        """Tell what was found, and hand over what was missed. To be called in the turn in which it becomes a member."""
        member, (members, standing) = join.member, found
        if standing is None or not join.allowed.history:
            # Without history, or without a right to it, nothing can be recovered, and whoever asks is told so.
            position, recovered = None, None if join.since is None else False
        else:
            position, recovered = standing.position, standing.recovered
        if recovered is not None:
            self._metrics.count(Count.RESUMED if recovered else Count.RESUMED_IN_PART)
        shown = members if isinstance(members, Mapping) and PRESENCE in member.features else None
        missed = 0 if standing is None else sum(map(len, standing.missed))
        joined = partial(messages.room_joined, join.room, position=position, recovered=recovered, id=join.id)
        told = joined(members=members)
        left = self._most - missed - len(told)
        if members is not None and left < 0:
            # It would be closed for what it is told, and would come back, for ever.
            self._complain(join.room, len(members))
            told = joined(members=None)
        elif shown is not None:
            # Who is there comes first, and what was missed: what they show has the rest.
            told = messages.with_presence(told, shown, limit=max(1, min(self._shows, left - _BESIDE)))
        member.answer(told)
        join.cost = Cost(0 if standing is None else len(standing.missed), missed + len(told))
        self._diffs.joined(join.topic, member)
        self._storms.joined(join.topic, member)
        if standing is not None:
            if standing.missed:
                self._metrics.count(Count.RESUMED_MESSAGES, len(standing.missed))
            self._fanout.replay(member, standing.missed)

    async def answer_again(self, join: Joining) -> bool:
        """The same for one that is in already; False where it is not in any more by then. Raises Unavailable."""
        with ExitStack() as undo:
            if join.since is not None or join.options.presence:
                # Also without: what is told of its members meanwhile is newer than what is read of them.
                self._fanout.pause(join.topic, join.member, member=True, passing=join.behind is None)
                undo.callback(self._fanout.resume, join.topic, join.member)
            members = await self._find_members(join)
            standing = await self._find_standing(join)
            if not self._is_in(join):
                return False
            self.answer(join, Found(members, standing))
            self._fanout.resume(join.topic, join.member, replayed=standing is not None)
            return True

    def _complain(self, room: RoomName, members: int) -> None:
        if room not in self._complained and len(self._complained) < _COMPLAINTS:
            self._complained.add(room)
            _log.warning(
                "the %d members of room %s are more than a connection may have unsent (Limits.outbox): "
                "who joins is not told of them",
                members,
                room,
                extra=fields(Event.MEMBERS_NOT_TOLD, room=room, count=members),
            )

    def _is_in(self, join: Joining) -> bool:
        # Whoever was let in is in its own room until it is gone.
        own = join.room == OWN_ROOM
        return join.member in self._registry if own else self._registry.in_room(join.member, join.room)

    async def _find_members(self, join: Joining) -> Collection[str] | None:
        if not join.allowed.presence:
            return None
        if join.options.presence_data:
            return await self._members.look(join.topic)
        return await self._members.read(join.topic) if join.options.presence else None

    async def _find_standing(self, join: Joining) -> Standing | None:
        if join.options.slow is Slow.LATEST:
            # Another service may keep them; of values that replace each other nothing is missed here.
            return None
        keep = self._retention.kept(join.topic, join.options.history)
        # Also of one that may not see it: what it is told live begins there.
        return await self._positions.join(join.topic, keep, join.behind) if keep else None
