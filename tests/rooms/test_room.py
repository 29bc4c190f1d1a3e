"""The handle of a room, with a broker that keeps what it is given."""

from dataclasses import replace
from typing import Any

import pytest

from hubbub import ConfigurationError, Hub
from hubbub.errors import InvalidMessage
from hubbub.hub.declarations import Declarations
from hubbub.options import History, RoomOptions, Slow
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.rooms import handles
from hubbub.rooms.publish_queue import PublishQueue
from hubbub.rooms.publishing import Sender
from hubbub.rooms.retention import Retention
from hubbub.rooms.room import Room
from hubbub.scheduling.home_loop import HomeLoop
from hubbub.types import WORKERS, Position, RoomName, Topic, room_topic


class Keeping:
    def __init__(self) -> None:
        self.published: list[tuple[Topic, Envelope]] = []
        self.asked: list[tuple[History | None, str | None]] = []
        """What was to be kept, and under which idempotency key."""

    async def publish(
        self, topic: Topic, data: bytes, *, keep: History | None = None, idempotency_key: str | None = None
    ) -> Position | None:
        self.published.append((topic, Envelope.decode(data)))
        self.asked.append((keep, idempotency_key))
        return None if keep is None else Position("e", len(self.published))


def room(broker: Any, keep: History | None = None) -> Room:
    name = RoomName("a")
    queue = PublishQueue(lambda: broker.ready, limit=1)
    return Room(name, Sender(room_topic(name), broker, queue, HomeLoop(), Retention(), limit=100, room=name, own=keep))


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


KEEP = History(size=2, ttl=60)


async def test_what_is_kept_goes_out_under_its_key_and_comes_back_with_its_position() -> None:
    broker = Keeping()
    assert await room(broker, KEEP).send({"type": "a"}, idempotency_key="once") == Position("e", 1)
    assert await room(broker, KEEP).send({"type": "a"}) == Position("e", 2)
    assert await room(broker).send({"type": "a"}, idempotency_key="once") is None
    assert broker.asked == [(KEEP, "once"), (KEEP, None), (None, "once")]


@pytest.mark.parametrize("key", ["", "é" * 65, "a\n", 7], ids=ascii)
async def test_what_is_no_idempotency_key_fails_in_the_senders_turn(key: Any) -> None:
    broker = Keeping()
    with pytest.raises(ValueError, match=r"^idempotency_key "):
        await room(broker, KEEP).send({"type": "a"}, idempotency_key=key)
    assert broker.published == []


async def test_commands_to_the_members_are_not_kept() -> None:
    broker = Keeping()
    await room(broker, KEEP).close("why")
    await room(broker, KEEP).remove("ann")
    # Who is on the way in hears of it before who is there does.
    assert [(topic, envelope.kind, {*envelope.only}) for topic, envelope in broker.published] == [
        (WORKERS, Kind.REMOVED, set()),
        (room_topic("a"), Kind.CLOSE_ROOM, set()),
        (WORKERS, Kind.REMOVED, {"ann"}),
        (room_topic("a"), Kind.REMOVE, {"ann"}),
    ]
    assert [envelope.key for _, envelope in broker.published] == ["a", None] * 2
    assert broker.asked == [(None, None)] * 4


def allowed() -> bool:
    return True


@pytest.mark.parametrize("slow", [*Slow, *map(str, Slow)])
def test_a_room_is_declared_with_its_policy_for_slow_readers(slow: Any) -> None:
    declarations = Declarations()
    declarations.rooms("r", slow=slow)(allowed)
    match = declarations.declared.match("r")
    assert match is not None
    assert match.value.options == RoomOptions(slow=Slow(slow))
    assert isinstance(match.value.options.slow, Slow)


def test_without_a_word_a_slow_reader_is_disconnected() -> None:
    declarations = Declarations()
    declarations.rooms("r")(allowed)
    match = declarations.declared.match("r")
    assert match is not None
    assert match.value.options.slow is Slow.DISCONNECT


@pytest.mark.parametrize("slow", ["drop-oldest", "", None, True])
def test_another_policy_is_refused_by_its_name(slow: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"^slow is disconnect, drop_oldest or latest, not {slow!r}$"):
        Hub().rooms("r", slow=slow)(allowed)


@pytest.mark.parametrize(
    ("presence", "options"),
    [
        (False, RoomOptions()),
        (True, RoomOptions(presence=True)),
        ("diff", RoomOptions(presence=True, diff=True)),
    ],
)
def test_a_room_is_declared_with_how_its_members_see_each_other(presence: Any, options: RoomOptions) -> None:
    declarations = Declarations()
    declarations.rooms("r", presence=presence, history=KEEP)(allowed)
    match = declarations.declared.match("r")
    assert match is not None
    assert match.value.options == replace(options, history=KEEP)


@pytest.mark.parametrize("presence", ["", "diffs", None, 2])
def test_another_way_is_refused(presence: Any) -> None:
    with pytest.raises(ConfigurationError, match=r'^presence is True, False or "diff", not '):
        Hub().rooms("r", presence=presence)(allowed)


def test_of_values_that_replace_each_other_none_is_kept() -> None:
    with pytest.raises(ConfigurationError, match=r'^a room with slow="latest" keeps no history'):
        Hub().rooms("r", slow="latest", history=KEEP)(allowed)


async def test_a_handle_is_kept_until_another_rule_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handles, "KNOWN", 3)
    hub = Hub("memory")
    await hub.start()
    try:
        first = hub.room("a")
        assert hub.room("a") is first
        assert await first.send({"type": "a"}) is None
        hub.rooms("a", history=KEEP)(allowed)
        assert await hub.room("a").send({"type": "a"}) is not None
        # However many rooms there are, only so many are remembered.
        kept = hub.room("a")
        hub.room("b"), hub.room("c"), hub.room("d")
        assert hub.room("a") is not kept
        for bad in ("", ["a"], None):
            with pytest.raises(InvalidMessage):
                hub.room(bad)  # type: ignore[arg-type]
    finally:
        await hub.stop()


@pytest.mark.parametrize("keep", [True, 0, 100, "100", {"size": 1, "ttl": 1}])
def test_what_is_kept_is_a_history_or_nothing(keep: Any) -> None:
    with pytest.raises(ConfigurationError, match="history is History"):
        Declarations().rooms("a", history=keep)(anybody)
    with pytest.raises(ConfigurationError, match="inbox is History"):
        Hub(inbox=keep)


async def anybody() -> bool:
    return True
