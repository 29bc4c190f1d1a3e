"""Credentials that are revoked: told to all workers, remembered by the broker, and known to each worker in memory.

A worker that starts, or was out of touch with the broker, reads what is remembered before it lets anybody in. What the
broker forgot, because it lost its data, whoever knows it says again.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable

from hubbub.connection.connection import Connection
from hubbub.connection.revocations import Fresh, Revocations
from hubbub.ports.broker import REVOCATION_KNOWN, Announcement, Broker
from hubbub.ports.clock import Clock
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.protocol.revocation import Revocation, Revoked, revocation
from hubbub.rooms.removals import Removals
from hubbub.scheduling.tasks import Spawn
from hubbub.types import OWN_ROOM, WORKERS, User

# Read at a time, and connections looked at in one turn of the loop.
_BATCH, _LOOKED_AT = 1_000, 2_000
# Seconds between two looks through all connections, however much is revoked.
_PAUSE = 0.1


class Revoking:
    """`connections`: all of this worker, let in or not."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        known: Revocations,
        removals: Removals,
        spawn: Spawn,
        connections: Callable[[], Collection[Connection]],
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._known = known
        self._removals = removals
        self._spawn = spawn
        self._connections = connections
        self._newest = 0
        self._fresh: list[Revocation] = []
        self._closing = False

    async def revoke(
        self,
        *,
        token: str | None,
        session: str | None,
        user: User | str | None,
        until: float | None,
        issued_before: float | None,
    ) -> None:
        """As `hubbub.Hub.revoke`."""
        said = revocation(
            token=token,
            session=session,
            user=user.id if isinstance(user, User) else user,
            until=until,
            issued_before=issued_before,
            known=REVOCATION_KNOWN,
            now=self._clock.wall(),
        )
        await self._tell(said)
        # It comes back from the broker as to everybody; but whoever awaited this may rely on it here.
        self._learn((said,))

    def heard(self, word: bytes) -> None:
        """Somebody revoked it just now."""
        said = Revocation.decode(word)
        self._learn(() if said is None else (said,))

    async def read(self, *, anew: bool) -> None:
        """Learn what the broker remembers: `anew` all of it, else what came since. Raises Unavailable."""
        seen: set[tuple[Revoked, str]] = set()
        since = 0 if anew else self._newest
        while found := await self._broker.revoked(since, _BATCH):
            since = self._newest = found[-1].number
            read = [said for said in map(Revocation.decode, (each.word for each in found)) if said is not None]
            seen.update((said.of, said.name) for said in read)
            self._learn(read)
        self._known.forget(self._clock.now())
        if anew:
            for said in [said for said in self._known if (said.of, said.name) not in seen]:
                await self._tell(said)

    async def _tell(self, said: Revocation) -> None:
        word = said.encode()
        await self._broker.revoke(word, said.until, Announcement(WORKERS, Envelope(Kind.REVOKED, word).encode()))

    def _learn(self, said: Iterable[Revocation]) -> None:
        now, wall = self._clock.now(), self._clock.wall()
        fresh = [each for each in said if each.until > wall and self._known.learn(each, now, wall)]
        for each in fresh:
            if each.of is Revoked.USER:
                # Under the room that nobody joins: only those are meant whose credential has no time of its own.
                self._removals.note((each.name,), OWN_ROOM, "what the user came with was revoked")
        self._fresh += fresh
        if fresh and not self._closing:
            self._closing = True
            self._spawn(self._close_all())

    async def _close_all(self) -> None:
        try:
            while self._fresh:
                fresh, self._fresh = Fresh(self._fresh), []
                for number, connection in enumerate(tuple(self._connections())):
                    close = fresh.close(connection.user) if connection.known else None
                    if close is not None:
                        connection.close(close)
                    if number % _LOOKED_AT == _LOOKED_AT - 1:
                        await asyncio.sleep(0)
                if self._fresh:
                    await asyncio.sleep(_PAUSE)
        finally:
            self._closing = False
