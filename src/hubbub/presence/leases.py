"""This node's right to have its presence believed, and the end of those who lost theirs.

A node renews its lease; what a node without one still holds is swept by whoever finds it first, a batch at a time. The
broker makes leaving, deciding and announcing one step, so it does not matter how many sweep, nor where one of them
dies: what is left is found again. Electing a sweeper lost: its death would have to be noticed first.

Who was out of touch does not sweep for a while: where the broker itself was away, everybody's lease has run out, and
those who are alive renew it first. Out of touch is who was refused, and who had to wait: a broker that stands still
refuses nobody, and answers the one before the other when it goes on. For the same reason it believes less: an answer
that was lost may have said that this node's own lease ran out, so after a doubt everything is said anew, and what was
still known is not announced. Who has just started, and found the broker there, sweeps at once those who had that while
already: they died before it.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from hubbub.errors import Unavailable
from hubbub.ports.broker import Broker, Held, Renewal, is_in_trouble
from hubbub.ports.clock import Clock
from hubbub.ports.logs import Event, fields
from hubbub.ports.metrics import Count, Metrics, Tally
from hubbub.presence.notices import Notices
from hubbub.presence.tracker import PresenceTracker
from hubbub.scheduling.clock import wait_until
from hubbub.types import NodeId

_log = logging.getLogger("hubbub.leases")

# Parts of the time within which a dead node's users are gone. A lease runs out after eight tenths, at the next look it
# is found, and the rest is for the sweep; four renewals fit into it, so that one or two may fail.
_TTL, _RENEW, _RETRY, _SWEEP, _SETTLE = 0.8, 0.2, 0.05, 0.1, 0.4
# Members swept at a time: a few milliseconds of the event loop, and of the broker.
_BATCH = 256
# Seconds after which a broker may have forgotten that it once knew us: what it held of us was swept long ago.
_FORGOTTEN = 3600.0


class NodeLease:
    """`lease`: seconds after which a dead node's users are announced as gone."""

    def __init__(
        self,
        broker: Broker,
        node: NodeId,
        presence: PresenceTracker,
        notices: Notices,
        clock: Clock,
        *,
        lease: float,
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics = metrics or Tally()
        self._broker = broker
        self._node = node
        self._presence = presence
        self._notices = notices
        self._clock = clock
        self._lease = lease
        self._renewed: float | None = None
        """When the renewal that succeeded last was asked for: the broker has believed us since then at least."""
        self._doubt = False
        self._failing_since: float | None = None
        self._complained = False
        self._sweep_from = 0.0
        self._fresh = False
        """It has just started, and found the broker there."""
        self._at_once = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Take the lease, or go on trying. Returns after the first try, within the broker's deadline."""
        self._settle()
        self._fresh = True
        again = await self._renew()
        self._go(self._keep_renewing(again))
        self._go(self._keep_sweeping())

    def resumed(self) -> None:
        """The broker came back after it was away."""
        self._in_doubt()
        self._at_once.set()

    async def retire(self, seconds: float) -> None:
        """What this node holds is believed for `seconds` more; its users are not announced as gone by itself."""
        held = len(self._presence) > 0 and self._renewed is not None
        self._presence.retire()
        await self.stop()
        try:
            await self._broker.renew(self._node, seconds)
        except Unavailable:
            if held:  # whom the broker was never told of it cannot announce
                _log.warning(
                    "the broker is away: this node's users may be announced as gone before they are back",
                    extra=fields(Event.PRESENCE_UNCERTAIN),
                )

    async def stop(self) -> None:
        """Renew and sweep no more. What is held is believed until the lease runs out."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _go(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep_renewing(self, again: float) -> None:
        while True:
            await self._rest(again, self._at_once)
            self._at_once.clear()
            again = await self._renew()

    async def _renew(self) -> float:
        """Seconds until the next time."""
        asked = self._clock.now()
        doubt, self._doubt = self._doubt, False
        try:
            renewal = await self._broker.renew(self._node, self._lease * _TTL)
        except Unavailable as error:
            self._metrics.count(Count.LEASE_FAILED)
            self._in_doubt()
            self._failed(error, asked)
            return self._lease * _RETRY
        self._metrics.count(Count.LEASE_RENEWED)
        self._failing_since, self._complained = None, False
        self._waited_since(asked)
        away = 0.0 if self._renewed is None else self._clock.now() - self._renewed
        first, self._renewed = self._renewed is None, asked
        # The clock here knows of a lost lease even where the broker's word for it was lost.
        lost = renewal is Renewal.LOST or (renewal is Renewal.KEPT and away > self._lease * _TTL)
        if not lost:  # else not before all has been said again
            self._presence.believed_until = asked + self._lease * _TTL
        if lost:
            self._metrics.count(Count.LEASE_LOST)
            _log.warning(
                "this node was out of touch for %.1f s, and its users may have been announced as gone",
                away,
                extra=fields(Event.PRESENCE_UNCERTAIN, seconds=away),
            )
        elif renewal is Renewal.NEW and not first:
            _log.warning(
                "the broker has forgotten who is here, and is told again", extra=fields(Event.PRESENCE_TOLD_AGAIN)
            )
        if doubt or lost:
            self._settle()
        if doubt or lost or (renewal is Renewal.NEW and not first):
            # Beside the renewals, which must not wait for it.
            self._go(self._presence.reassert(loudly=lost or away > _FORGOTTEN))
        return self._lease * _RENEW

    def _failed(self, error: Unavailable, asked: float) -> None:
        """Say so once the lease is over."""
        since = self._failing_since = asked if self._failing_since is None else self._failing_since
        over = self._clock.now() - since >= self._lease * _TTL
        if over and not self._complained and not is_in_trouble(self._broker):
            self._complained = True
            words = error.__cause__ or error
            _log.warning(
                "this node's lease is refused, and its users may be announced as gone: %s",
                words,
                extra=fields(Event.PRESENCE_UNCERTAIN, cause=str(words)),
            )

    async def _keep_sweeping(self) -> None:
        while True:
            if self._may_sweep():
                try:
                    await self._sweep(ago=0.0 if self._settled else self._lease * _SETTLE)
                except Unavailable:
                    self._fresh = False
                    self._settle()
            await self._rest(self._lease * _SWEEP, asyncio.Event())

    async def _sweep(self, *, ago: float) -> None:
        """Those whose lease ran out so many seconds ago. Raises Unavailable; what was not swept then is found again."""
        before: list[Held] = []
        while (lost := await self._lost(ago)) and lost != before:
            if any(held.holder == self._node for held in lost):
                # We are alive. Either time itself has jumped, for everybody, or only we were away.
                self.resumed()
                return
            told = await asyncio.gather(*map(self._sweep_one, lost), return_exceptions=True)
            for error in told:
                if isinstance(error, BaseException):
                    raise error
            before = lost

    async def _lost(self, ago: float) -> list[Held]:
        """Nobody where this was long in coming, or a renewal was meanwhile."""
        asked = self._clock.now()
        lost = await self._broker.lost(_BATCH, ago=ago)
        self._waited_since(asked)
        return lost if self._may_sweep() else []

    async def _sweep_one(self, held: Held) -> None:
        announce = [self._notices.announcement(held.topic, member, present=False) for member in held.members]
        changes = [self._notices.change(held.topic, member) for member in held.members]
        await self._broker.sweep(held, announce, changes, edge=self._presence.edge)
        self._metrics.count(Count.PRESENCE_SWEPT, len(held.members))

    def _in_doubt(self) -> None:
        self._doubt, self._fresh = True, False
        self._settle()

    def _waited_since(self, asked: float) -> None:
        """For an answer. One that comes no sooner than the next renewal is due was kept from others too."""
        if self._clock.now() - asked > self._lease * _RENEW:
            self._fresh = False
            self._settle()

    def _may_sweep(self) -> bool:
        in_touch = self._renewed is not None and self._clock.now() - self._renewed <= self._lease * _SETTLE
        return in_touch and (self._fresh or self._settled)

    @property
    def _settled(self) -> bool:
        return self._clock.now() >= self._sweep_from

    def _settle(self) -> None:
        """Let the others come back first."""
        self._sweep_from = self._clock.now() + self._lease * _SETTLE

    async def _rest(self, seconds: float, over: asyncio.Event) -> None:
        await wait_until(self._clock, self._clock.now() + seconds, over)
