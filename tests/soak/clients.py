"""Clients that come, go and resume, and keep a diary of it: the shipped `Client`, for which one page is not enough.

Restless ones leave rooms and join them again, forget where they were, close the page and open it again, and drop their
socket in the middle of anything.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any

from hubbub.testing import Client, Lost, Refusal
from hubbub.types import Position
from tests.soak.diary import Diary
from tests.soak.stage import Door

_HANDSHAKE = 5.0
#: Longer than any deadline of the server's: an answer that is not there by now never comes.
_ANSWER = 15.0
_FOREVER = 3600.0


class Visitor(Client):
    """`doors`: where it may come in. `wanted`: the rooms it wants to be in.

    `comes_and_goes`: while it is `restless`; others stay while they may.
    """

    def __init__(
        self,
        diary: Diary,
        doors: Sequence[Door],
        wanted: Sequence[str],
        chance: random.Random,
        *,
        comes_and_goes: bool,
    ) -> None:
        super().__init__(
            self._somewhere,
            ledger=diary,
            rooms=wanted,
            within=_ANSWER,
            patience=_ANSWER,
            chance=chance,
            first=0.05,
            ceiling=0.5,
            options={"open_timeout": _HANDSHAKE, "ping_interval": None, "max_size": None, "max_queue": None},
        )
        self.diary = diary
        self.wanted = list(wanted)
        self.comes_and_goes = comes_and_goes
        self.restless = False
        self.door: Door | None = None
        """The one it tried last."""
        self.unanswered: list[str] = []
        self._doors = doors

    @property
    def name(self) -> str:
        return self.diary.client

    @property
    def joined(self) -> set[str]:
        """The rooms that this connection is in."""
        return {room for room in self.wanted if self.diary.is_in(room)}

    async def live(self) -> None:
        """Until it is cancelled, or something is wrong with it."""
        while True:
            try:
                await self.__aenter__()
            except AssertionError:  # nobody let it in for so long
                continue
            try:
                await self._stay()
            except AssertionError as error:
                self.unanswered.append(f"{self.name}: {error}")
                return
            finally:
                await self.close()
            await asyncio.sleep(self._chance.uniform(0.05, 0.5))

    async def _stay(self) -> None:
        """Until it has had enough of this page. Raises AssertionError where something is wrong."""
        chance = self._chance
        while True:
            await self.until(lambda: self.restless, "restlessness", within=_FOREVER)
            await asyncio.sleep(chance.uniform(0.3, 4.0))
            room = chance.choice(self.wanted)
            match chance.randrange(6):
                case 0:
                    self.drop()
                case 1:
                    return
                case 2:
                    await self._try(self.join(room, since=self.position(room)))
                case 3 | 4 if room in self.joined:
                    await self._try(self.leave(room))
                    await asyncio.sleep(chance.uniform(0.05, 1.5))
                    forgets, everything = chance.random() < 0.3, {"offset": 0} if chance.random() < 0.5 else None
                    await self._come_back(room, everything if forgets else self.position(room))

    async def _come_back(self, room: str, since: Position | Mapping[str, Any] | None) -> None:
        while room not in self.rooms:
            await self.until(lambda: self.open, "a connection", within=_FOREVER)
            await self._try(self.join(room, since=since))

    async def _try(self, asking: Any) -> None:
        """What comes of it is in the diary."""
        try:
            await asking
        except Lost:
            pass
        except Refusal as refusal:
            await asyncio.sleep(refusal.error.get("retry_after", 300) / 1000)

    def _somewhere(self) -> str:
        door = self.door = self._chance.choice(self._doors)
        self.diary.tried(door.name)
        return f"{door.ws}/ws/as/{self.name}"
