"""The handle of a room, with a broker that keeps what it is given."""

from typing import Any

import pytest

from hubbub import ConfigurationError, Hub
from hubbub.options import RoomOptions, Slow
from hubbub.room import Room
from hubbub.types import Position, RoomName, Topic
from hubbub.wire.envelope import Envelope


class Keeping:
    def __init__(self) -> None:
        self.published: list[tuple[Topic, Envelope]] = []

    async def publish(self, topic: Topic, data: bytes) -> Position | None:
        self.published.append((topic, Envelope.decode(data)))
        return None


def room(broker: Keeping) -> Room:
    return Room(RoomName("a"), broker, payload=100)  # type: ignore[arg-type]


@pytest.mark.parametrize("key", [None, "cpu", "é" * 64])
async def test_the_key_of_a_value_goes_with_it_to_all_workers(key: str | None) -> None:
    broker = Keeping()
    await room(broker).send({"type": "cpu"}, key=key)
    [(topic, envelope)] = broker.published
    assert topic == "room:a"
    assert envelope.key == key
    assert envelope.payload == b'{"type":"cpu","room":"a"}'


@pytest.mark.parametrize("key", ["", "é" * 65, "a\n", 7], ids=ascii)
async def test_what_is_no_key_fails_in_the_senders_turn(key: Any) -> None:
    broker = Keeping()
    with pytest.raises(ValueError, match=r"^key "):
        await room(broker).send({"type": "cpu"}, key=key)
    assert broker.published == []


def allowed() -> bool:
    return True


@pytest.mark.parametrize("slow", [*Slow, *map(str, Slow)])
def test_a_room_is_declared_with_its_policy_for_slow_readers(slow: Any) -> None:
    hub = Hub()
    hub.rooms("r", slow=slow)(allowed)
    match = hub._rooms.match("r")
    assert match is not None
    assert match.value.options == RoomOptions(slow=Slow(slow))
    assert isinstance(match.value.options.slow, Slow)


def test_without_a_word_a_slow_reader_is_disconnected() -> None:
    hub = Hub()
    hub.rooms("r")(allowed)
    match = hub._rooms.match("r")
    assert match is not None
    assert match.value.options.slow is Slow.DISCONNECT


@pytest.mark.parametrize("slow", ["drop-oldest", "", None, True])
def test_another_policy_is_refused_by_its_name(slow: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"^slow is disconnect, drop_oldest or latest, not {slow!r}$"):
        Hub().rooms("r", slow=slow)(allowed)
