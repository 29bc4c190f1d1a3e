"""This node among the others: what it says of itself, what all of them say together, and work only one of them does."""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from hubbub.errors import Unavailable
from hubbub.ports.broker import Broker
from hubbub.ports.logs import Event, fields
from hubbub.scheduling.home_loop import HomeLoop
from hubbub.scheduling.tasks import is_our_end
from hubbub.types import OCCUPIED, ONLINE, NodeId

_log = logging.getLogger("hubbub.cluster")

# A report is at most this old when it is read, half of what `/stats` promises; three in a row may get lost.
_INTERVAL = 0.5
_BELIEVED = 2.0


@dataclass(frozen=True, slots=True)
class Worker:
    """One node. `facts` is what the application added by `@hub.facts`."""

    node: NodeId
    pid: int
    connections: int
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stats:
    """The whole cluster, at most a second old: authenticated connections, users and rooms with somebody in them."""

    connections: int
    users: int
    rooms: int
    workers: list[Worker]


class Lease:
    """The right to do something that only one node of the cluster is to do. Lost when it is not renewed in time."""

    def __init__(self, broker: Broker, home: HomeLoop, node: NodeId, name: str, ttl: float) -> None:
        self._broker = broker
        self._home = home
        self._node = node
        self._name = name
        self._ttl = ttl

    async def turn(self) -> int | None:
        """Take or renew it: the number of this turn, which goes on from holder to holder; None where another has it.

        Raises Unavailable.
        """
        self._home.check()
        return await self._broker.take_turn(self._name, self._node, self._ttl)

    async def give_up(self) -> None:
        """Let another take it at once, instead of after `ttl`. Raises Unavailable."""
        self._home.check()
        await self._broker.give_up(self._name, self._node)


class Cluster:
    """`kept`: marks of the words on what is kept that this node knows, see `hubbub.hub.retention_word`.

    `application`: what it says of which application it is, see `hubbub.hub.application`; None where that is not asked.
    """

    def __init__(
        self,
        broker: Broker,
        node: NodeId,
        connections: Callable[[], int],
        facts: list[Callable[[], dict[str, Any]]],
        *,
        kept: Callable[[], Sequence[str]] = tuple,
        application: Callable[[], Mapping[str, Any] | None] = lambda: None,
    ) -> None:
        self._broker = broker
        self._node = node
        self._connections = connections
        self._facts = facts
        self._kept = kept
        self._application = application
        self._complained: set[Callable[[], dict[str, Any]]] = set()

    async def tell(self) -> None:
        """Tell the others about this node."""
        with suppress(Unavailable):  # the broker says itself that it is away; the next report is half a second off
            await self._broker.report(self._node, self._describe(), _BELIEVED)

    async def report(self) -> None:
        """`tell` until cancelled."""
        while True:
            await self.tell()
            await asyncio.sleep(_INTERVAL)

    async def leave(self) -> None:
        """Tell the others that this node is gone."""
        with suppress(Unavailable):  # what was said last is forgotten by itself
            await self._broker.withdraw(self._node)

    async def stats(self) -> Stats:
        """Raises Unavailable."""
        users, rooms, reports = await asyncio.gather(
            self._broker.count(ONLINE), self._broker.count(OCCUPIED), self._broker.reports()
        )
        workers = [
            Worker(NodeId(node), said["pid"], said["connections"], said["facts"])
            for node, report in sorted(reports.items())
            for said in (json.loads(report),)
        ]
        return Stats(sum(worker.connections for worker in workers), users, rooms, workers)

    def _describe(self) -> bytes:
        facts: dict[str, Any] = {}
        for measure in self._facts:
            try:
                measured = measure()
                # Strictly: json would write NaN and halves of surrogate pairs, which nobody may be able to read.
                json.dumps(measured, allow_nan=False, ensure_ascii=False).encode()
                facts.update(measured)
            except BaseException as error:  # the application's; without its fact the node is still to be seen
                if is_our_end(error):
                    raise
                self._complain(measure)
        said: dict[str, Any] = {
            "pid": os.getpid(),
            "connections": self._connections(),
            "facts": facts,
            "kept": self._kept(),
        }
        if (application := self._application()) is not None:
            said["application"] = application
        return json.dumps(said).encode()

    def _complain(self, measure: Callable[[], dict[str, Any]]) -> None:
        if measure not in self._complained:
            self._complained.add(measure)
            _log.exception(
                "%s failed, and will go on being asked",
                getattr(measure, "__qualname__", measure),
                extra=fields(Event.FACTS_FAILED),
            )
