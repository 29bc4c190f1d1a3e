"""What a worker says of its rooms and connections: what is listed, and what is left out."""

import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from hubbub import Hub
from hubbub.delivery.registry import Registry
from hubbub.hub import operators as of_worker
from hubbub.hub.hub import operators_of
from hubbub.hub.operators import EVERY, LISTED, Operators
from hubbub.hub.questions import _LARGEST  # what an answer may have
from hubbub.rooms.declared import DeclaredRooms
from hubbub.rooms.patterns import Patterns

ADDRESS = SimpleNamespace(address="2001:db8::1")


@dataclass(eq=False)
class Recipient:
    id: str
    unsent: int = 1
    user: Any = field(default_factory=lambda: SimpleNamespace(id="ann"))

    @property
    def connection(self) -> Any:
        scope = {"path": "/ws/" + "x" * 4000}
        return SimpleNamespace(handshake=SimpleNamespace(scope=lambda: scope))


def crowd(connections: int, rooms: list[str]) -> Operators:
    registry: Registry[Any] = Registry()
    for number in range(connections):
        recipient = Recipient(f"connection{number}")
        registry.add(recipient, "ann")
        for room in rooms:
            registry.join(recipient, room)
    gate: Any = SimpleNamespace(whence=lambda scope: ADDRESS)
    return Operators(registry, None, gate, lambda: None, None, DeclaredRooms(Patterns()))  # type: ignore[arg-type]


def test_the_largest_list_of_connections_fits_into_an_answer() -> None:
    names = [f"{number:03}" + "\N{PILE OF POO}" * 31 for number in range(LISTED + 1)]  # 127 bytes, more in JSON
    operators = crowd(501, names)
    for found in (operators.connections(501), operators.connections(501, "ann")):
        assert len(found) == 501
        assert len(json.dumps(found)) < _LARGEST
        assert {each["rooms_total"] for each in found} == {LISTED + 1}


def test_of_few_connections_all_rooms_are_listed() -> None:
    [found] = crowd(1, [f"room{number}" for number in range(LISTED)]).connections(10)
    assert len(found["rooms"]) == found["rooms_total"] == LISTED


async def test_two_pages_take_no_more_samples_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    async with Hub("memory").running() as hub:
        monkeypatch.setattr(of_worker.time, "monotonic", lambda: now)
        for _ in range(4):
            operators_of(hub).sample()
            now += 0.1
            operators_of(hub).sample()
            now += EVERY - 0.1
        assert len(operators_of(hub).samples()) == 3


def test_fewer_users_than_are_listed_are_all_there_are() -> None:
    registry: Registry[Any] = Registry()
    for number in range(20 * LISTED):  # a few with very many tabs, and one who comes last
        recipient = Recipient(f"connection{number}", user=SimpleNamespace(id=f"user{number % 3}"))
        registry.add(recipient, recipient.user.id)
        registry.join(recipient, "a")
    last = Recipient("last", user=SimpleNamespace(id="last"))
    registry.add(last, "last")
    registry.join(last, "a")
    operators = Operators(registry, None, None, lambda: None, None, DeclaredRooms(Patterns()))  # type: ignore[arg-type]
    assert operators.users("a") == ["user0", "user1", "user2", "last"]
    for number in range(LISTED):
        recipient = Recipient(f"more{number}", user=SimpleNamespace(id=f"more{number}"))
        registry.add(recipient, recipient.id)
        registry.join(recipient, "a")
    assert len(operators.users("a")) == LISTED
