"""Publishers that say each thing until it is acknowledged, and then remember where it stands.

The idempotency key is the publisher and the number, so whatever became of the attempts, it may stand in one place only.
"""

import asyncio
import itertools
import random
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from hubbub.testing import Acknowledged, Lost, Refusal
from hubbub.types import Position
from tests.soak.clients import Visitor
from tests.soak.stage import Door

_PATIENCE = 5.0
#: The worker's word, and nginx's where there is none.
_NOBODY_SAYS = {502, 503, 504}


class Publisher:
    """`pause`: seconds between two, on average. A number is begun only when the one before it is acknowledged."""

    def __init__(self, name: str, room: str, chance: random.Random, *, pause: float) -> None:
        self.name = name
        self.room = room
        self.acknowledged: list[Acknowledged] = []
        self.retried = 0
        self._chance = chance
        self._pause = pause
        self._enough = asyncio.Event()

    def enough(self) -> None:
        """Finish what is begun, and begin nothing more."""
        self._enough.set()

    async def live(self) -> None:
        for number in itertools.count(1):
            while (position := await self._say(number)) is None:
                self.retried += 1
                await asyncio.sleep(self._chance.uniform(0.05, 0.3))
            self.acknowledged.append(acknowledged(self.room, self.name, number, position))
            try:
                await asyncio.wait_for(self._enough.wait(), self._chance.uniform(0.5, 1.5) * self._pause)
            except TimeoutError:
                continue
            return

    async def _say(self, number: int) -> dict[str, Any] | None:
        """The position, or None where nobody knows what became of it."""
        raise NotImplementedError


class OverHTTP(Publisher):
    """At any of the doors, which may change meanwhile."""

    def __init__(
        self,
        name: str,
        room: str,
        chance: random.Random,
        doors: Sequence[Door],
        http: httpx.AsyncClient,
        *,
        pause: float,
    ) -> None:
        super().__init__(name, room, chance, pause=pause)
        self.doors = doors
        self._http = http

    async def _say(self, number: int) -> dict[str, Any] | None:
        return await post(self._http, self._chance.choice(self.doors), self.room, self.name, number)


class OverSocket(Publisher):
    """As a member of the room, through the client's connection."""

    def __init__(self, client: Visitor, room: str, chance: random.Random, *, pause: float) -> None:
        super().__init__(client.name, room, chance, pause=pause)
        self._client = client

    async def _say(self, number: int) -> dict[str, Any] | None:
        if self.room not in self._client.joined:
            return None
        try:
            answer = await self._client.ask(
                {"type": "say", "room": self.room, "publisher": self.name, "number": number}
            )
        except (Lost, Refusal):
            return None
        result: dict[str, Any] | None = answer.get("result")
        return result


def words(publisher: str, number: int) -> dict[str, Any]:
    return {"type": "said", "publisher": publisher, "number": number}


def same(message: Mapping[str, Any]) -> tuple[str, int]:
    """What makes two messages the same one."""
    return message["publisher"], message["number"]


def acknowledged(room: str, publisher: str, number: int, position: Mapping[str, Any]) -> Acknowledged:
    return Acknowledged(
        room=room, message=words(publisher, number), position=Position(position["epoch"], position["offset"])
    )


async def post(
    http: httpx.AsyncClient, door: Door, room: str, publisher: str, number: int, padding: int = 0
) -> dict[str, Any] | None:
    """The position it was given, None where nobody says. Raises AssertionError where it is nonsense."""
    message = words(publisher, number)
    if padding:
        message["padding"] = "x" * padding
    try:
        answer = await http.post(
            f"{door.url}/api/rooms/{room}/messages",
            json=message,
            headers={"Idempotency-Key": f"{publisher}/{number}"},
            timeout=_PATIENCE,
        )
    except httpx.HTTPError:
        return None
    if answer.status_code in _NOBODY_SAYS:
        return None
    assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
    position: dict[str, Any] | None = answer.json()["position"]
    assert position is not None, f"{door.name} kept nothing of {message} in {room}"
    return position
