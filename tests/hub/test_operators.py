"""What operators are told by one worker: samples at their pace, and never more names than one answer may have."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from hubbub import Hub
from hubbub.hub import operators
from hubbub.hub.hub import operators_of
from hubbub.hub.operators import EVERY, LISTED, Operators


async def test_two_pages_take_no_more_samples_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    async with Hub("memory").running() as hub:
        monkeypatch.setattr(operators.time, "monotonic", lambda: now)
        for _ in range(4):
            operators_of(hub).sample()
            now += 0.1
            operators_of(hub).sample()
            now += EVERY - 0.1
        assert len(operators_of(hub).samples()) == 3


class Rooms:
    """Connections of one user, each in all rooms there are."""

    def __init__(self, connections: int, rooms: int) -> None:
        scope = {"path": "/ws"}
        connection = SimpleNamespace(handshake=SimpleNamespace(scope=lambda: scope))
        self._found = [
            SimpleNamespace(
                id=f"{number:032}", user=SimpleNamespace(id="ann"), unsent=1 + number, connection=connection
            )
            for number in range(connections)
        ]
        self._rooms = [f"{number:0250}" for number in range(rooms)]

    def of_user(self, user: str) -> list[Any]:
        return self._found

    def everyone(self) -> list[Any]:
        return self._found

    def rooms(self, recipient: Any) -> list[str]:
        return self._rooms


@pytest.mark.parametrize("user", ["ann", None])
def test_many_connections_in_many_rooms_fit_into_one_answer(user: str | None) -> None:
    gate: Any = SimpleNamespace(whence=lambda scope: SimpleNamespace(address="2001:db8::1"))
    for connections, named in ((500, 4), (50, 40), (3, LISTED)):
        registry: Any = Rooms(connections, 1_000)
        asked = Operators(registry, SimpleNamespace(), gate, lambda: None, None)  # type: ignore[arg-type]
        found = asked.connections(500, user)
        assert len(found) == connections
        assert {len(each["rooms"]) for each in found} == {named}
        assert {each["rooms_total"] for each in found} == {1_000}
        assert len(json.dumps(found)) < 1 << 20
