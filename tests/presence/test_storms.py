"""Notices that are too many are told together, to each kind of client in its own way."""

from collections.abc import Sequence
from typing import Any

import pytest

from hubbub.delivery.fanout import Fanout
from hubbub.delivery.registry import Registry
from hubbub.ports.metrics import Count, Tally
from hubbub.presence import storms
from hubbub.presence.storms import SMALL, Storms
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.protocol.messages import notice, prepare
from hubbub.protocol.presence import of_each
from hubbub.testing import ManualClock
from hubbub.types import EVERYONE, RoomName, Topic, room_topic
from tests.kit.recipients import Reader, Turn

ROOM = room_topic("r")
DIFF, PRESENCE = frozenset({"diff"}), frozenset({"presence"})


class StormyRoom:
    """A room with so many silent members that each notice counts, and as many notices as `rate`."""

    def __init__(self, *, rate: float = SMALL, silent: int = SMALL) -> None:
        self.registry: Registry[Any] = Registry()
        self.metrics = Tally()
        self.clock = ManualClock()
        self.turn = Turn(self.metrics)
        self.fanout = Fanout(self.registry, self.turn.batcher, self.metrics, limit=10_000)
        self.storms = Storms(self.fanout, self.registry, self.clock, self.metrics, lambda topic: True, rate=rate)
        self.refreshed: list[str] = []
        self.storms.on_stale(lambda reader, room: self.refreshed.append(reader.user.id))
        self.silent = [self.member(f"silent{number}") for number in range(silent)]

    def member(self, name: str, **options: Any) -> Reader:
        reader = Reader(name, self.turn, **options)
        self.registry.add(reader, name)
        self.registry.join(reader, "r")
        return reader

    def came(self, *users: str, topic: Topic = ROOM, shows: bytes | None = None) -> None:
        room, kind = (None, "user_connected") if topic == EVERYONE else (RoomName("r"), "user_joined_room")
        for user in users:
            self.hear(notice(kind, user, room), user, topic, None if shows is None else of_each({user: shows}))  # type: ignore[arg-type]

    def went(self, *users: str, topic: Topic = ROOM) -> None:
        room, kind = (None, "user_disconnected") if topic == EVERYONE else (RoomName("r"), "user_left_room")
        for user in users:
            self.hear(notice(kind, user, room), user, topic)  # type: ignore[arg-type]

    def shows(self, user: str, data: bytes) -> None:
        payload = prepare("user_presence", room="r", user=user).data[:-1] + b',"presence":%b}' % of_each({user: data})
        self.fanout.deliver(ROOM, Envelope(Kind.SHOWN, payload).encode())

    def hear(self, payload: bytes, user: str, topic: Topic = ROOM, presence: bytes | None = None) -> None:
        envelope = Envelope(Kind.NOTICE, payload, without_users=frozenset({user}), presence=presence)
        self.fanout.deliver(topic, envelope.encode())

    def used_up(self, topic: Topic = ROOM) -> None:
        """The storm begins with the next notice."""
        self.came("first", topic=topic)


def told(reader: Reader) -> list[tuple[str, Any]]:
    """Without what began the storm."""
    return [_short(each) for each in reader.told if each.get("user") != "first"]


def _short(message: dict[str, Any]) -> tuple[str, Any]:
    match message:
        case {"type": "presence_diff" | "users_diff" as kind}:
            lists = [value for value in message.values() if isinstance(value, list)]
            return (kind, *map(" ".join, lists), *([message["presence"]] if "presence" in message else []))  # type: ignore[return-value]
        case {"type": kind, "user": user, "presence": presence}:
            return kind, user, presence  # type: ignore[return-value]
    return message["type"], message["user"]


def test_as_long_as_the_allowance_lasts_each_is_told_at_once() -> None:
    s = StormyRoom(rate=SMALL * 3)
    for user in "abc":
        s.came(user)
        assert told(s.silent[0])[-1] == ("user_joined_room", user)
    assert len(s.storms) == 0
    assert s.clock.alarms == []


def test_in_a_small_room_each_is_told_at_once() -> None:
    s = StormyRoom(rate=1, silent=SMALL - 1)
    s.came(*"abcdefgh")
    assert len(told(s.silent[0])) == 8


def test_then_those_with_the_feature_are_told_together_and_it_ends() -> None:
    s = StormyRoom()
    ann, bob = s.member("ann", features=DIFF), s.member("bob", features=DIFF)
    s.used_up()
    s.came("x", "y")
    s.went("silent1")
    s.came("gone")
    s.went("gone")
    assert told(ann) == []
    s.clock.move(0.5)
    assert told(ann) == told(bob) == [("presence_diff", "x y", "silent1")]
    assert ann.messages[-1] is bob.messages[-1]
    s.clock.move(10)
    assert len(s.storms) == 0
    assert s.clock.alarms == []
    assert s.metrics.counts[Count.NOTICES_COLLECTED] == 5


def test_the_others_are_told_one_by_one_as_the_allowance_is_regained() -> None:
    s = StormyRoom(rate=SMALL * 2)
    text = s.member("text", text=True)
    s.used_up()
    s.came("second")
    s.came("x", "gone")
    s.went("gone")
    s.went("silent1")
    s.clock.move(0.5)
    assert told(s.silent[0])[1:] == [("user_joined_room", "x")]
    s.clock.move(10)
    assert told(s.silent[0])[1:] == [("user_joined_room", "x"), ("user_left_room", "silent1")]
    assert text.told == []
    assert len(s.storms) == 0


def test_a_users_own_tabs_are_not_told_of_it() -> None:
    s = StormyRoom(rate=SMALL * 4)
    s.used_up()
    for user in ("b", "c", "d"):
        s.came(user)
    ann, bob = s.member("ann", features=DIFF), s.member("bob")
    s.came("ann", "bob", "x")
    s.clock.move(2.0)
    assert told(ann) == [("presence_diff", "bob x", "")]
    assert told(bob) == [("user_joined_room", "ann"), ("user_joined_room", "x")]


def test_who_has_joined_meanwhile_is_told_where_each_has_come_to() -> None:
    s = StormyRoom(rate=SMALL * 4)
    s.used_up()
    for user in ("b", "c", "d"):
        s.came(user)
    s.went("silent1")
    ann, bob = s.member("ann", features=DIFF), s.member("bob")
    s.storms.joined(ROOM, ann)
    s.storms.joined(ROOM, bob)
    joining = Reader("joining", s.turn)
    s.registry.add(joining, "joining")
    s.fanout.pause(ROOM, joining)
    s.came("silent1")
    s.clock.move(2.0)
    assert told(ann) == [("presence_diff", "silent1", "")]
    assert told(bob) == [("user_joined_room", "silent1")]
    assert told(s.silent[0])[3:] == []
    s.fanout.resume(ROOM, joining)
    assert told(joining) == [("user_joined_room", "silent1")]


def test_where_they_are_too_many_a_list_comes_instead_when_it_is_calm() -> None:
    s = StormyRoom()
    ann = s.member("ann", features=DIFF)
    s.used_up()
    s.came("x", "y", "z")
    s.clock.move(0.5)
    assert told(s.silent[0]) == []
    assert s.refreshed == []
    assert told(ann) == [("presence_diff", "x y z", "")]
    s.clock.move(0.5)
    assert s.refreshed == [f"silent{number}" for number in range(SMALL)]
    assert len(s.storms) == 0


def test_in_a_long_storm_it_comes_after_two_seconds_and_again() -> None:
    s = StormyRoom()
    s.used_up()
    for number in range(20):
        s.came(*(f"{number}-{each}" for each in range(4)))
        s.clock.move(0.5)
    assert [s.refreshed.count(f"silent{number}") for number in (0, SMALL - 1)] == [4, 4]


def test_who_cannot_be_told_the_list_is_told_later_and_who_has_left_never(monkeypatch: pytest.MonkeyPatch) -> None:
    s = StormyRoom()
    s.used_up()
    s.came("x", "y", "z")
    s.clock.move(0.5)
    monkeypatch.setattr(storms, "_LISTS", 2 * SMALL * 32)  # two lists at a time
    s.fanout.pause(ROOM, s.silent[0], member=True)
    s.registry.leave(s.silent[1], "r")
    s.clock.move(0.5)
    assert s.refreshed == ["silent2", "silent3"]
    s.clock.move(0.5 * SMALL)
    assert s.refreshed == [f"silent{number}" for number in range(2, SMALL)]
    assert len(s.storms) == 1
    s.fanout.discard(ROOM, s.silent[0])
    s.clock.move(0.5)
    assert s.refreshed[-1] == "silent0"
    assert len(s.storms) == 0
    s.storms.not_refreshed(ROOM, s.silent[2])
    s.clock.move(0.5)
    assert s.refreshed[-1] == "silent2"


def test_what_is_shown_is_told_beside_it_to_those_who_asked() -> None:
    s = StormyRoom(rate=SMALL * 8)
    both, seeing, plain = s.member("both", features=DIFF | PRESENCE), s.member("seeing", features=PRESENCE), s.silent[0]
    s.used_up()
    s.came(*(f"early{number}" for number in range(7)))
    before = len(told(plain))
    s.came("x", shows=b'{"n":1}')
    s.shows("silent1", b'{"n":2}')
    s.came("back", shows=b'{"n":3}')
    s.went("back")
    s.came("back")
    s.clock.move(3.0)
    assert told(both)[before:] == [("presence_diff", "back x", "", {"silent1": {"n": 2}, "x": {"n": 1}})]
    assert told(seeing)[before:] == [
        ("user_joined_room", "back"),
        ("user_joined_room", "x", {"x": {"n": 1}}),
        ("user_presence", "silent1", {"silent1": {"n": 2}}),
    ]
    assert told(plain)[before:] == [("user_joined_room", "back"), ("user_joined_room", "x")]


def test_a_room_whose_members_all_left_is_forgotten() -> None:
    s = StormyRoom()
    s.used_up()
    s.came("x", "y", "z")
    s.clock.move(0.5)
    for reader in s.silent:
        s.registry.discard(reader)
    s.clock.move(0.5)
    assert (len(s.storms), s.refreshed) == (0, [])


def test_who_is_online_is_told_in_the_same_way_and_the_others_wait() -> None:
    s = StormyRoom(rate=SMALL * 2)
    ann = s.member("ann", features=DIFF)
    s.used_up(EVERYONE)
    s.came("second", topic=EVERYONE)
    s.came("x", "gone", "y", topic=EVERYONE)
    s.clock.move(0.5)
    assert told(ann)[1:] == [("users_diff", "gone x y", "")]
    s.went("gone", topic=EVERYONE)
    s.went("silent1", topic=EVERYONE)
    s.clock.move(20)
    assert told(ann)[2:] == [("users_diff", "", "gone silent1")]
    assert sorted(told(s.silent[0])[1:]) == [
        ("user_connected", "x"),
        ("user_connected", "y"),
        ("user_disconnected", "silent1"),
    ]
    assert s.refreshed == []
    assert len(s.storms) == 0


def test_of_who_is_online_so_many_wait_and_the_oldest_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storms, "LATER", 3)
    s = StormyRoom(rate=SMALL)
    s.used_up(EVERYONE)
    s.came(*"abcde", topic=EVERYONE)
    s.clock.move(30)
    assert {user for _, user in told(s.silent[0])} == set("cde")
    assert s.metrics.counts[Count.NOTICES_LEFT_OUT] == 2


@pytest.mark.parametrize(
    "payload",
    [b'{"type":"another","user":"x"}', b'{"type":"user_joined_room","room":"r","user":"x"}'],
    ids=["type", "whose"],
)
def test_a_notice_that_cannot_be_read_is_told_as_it_is(payload: bytes) -> None:
    s = StormyRoom()
    s.used_up()
    s.came("y")
    users: Sequence[str] = "x" if b"another" in payload else ("x", "z")
    s.fanout.deliver(ROOM, Envelope(Kind.NOTICE, payload, without_users=frozenset(users)).encode())
    assert [user for _, user in told(s.silent[0])] == ["x"]


def test_of_rooms_that_are_calm_again_nothing_is_remembered() -> None:
    s = StormyRoom(rate=SMALL)
    s.used_up()
    s.came("x")
    s.clock.move(1)
    s.storms.stop()
    assert len(s.storms) == 0
    assert s.clock.alarms == []


@pytest.mark.parametrize("features", [frozenset(), DIFF])
def test_who_may_not_see_who_is_there_is_not_told_in_another_way(features: frozenset[str]) -> None:
    s = StormyRoom(rate=SMALL)
    blind, seeing = s.member("blind", features=features), s.member("seeing", features=features)
    blind.blind = frozenset({RoomName("r")})
    s.used_up()
    s.came(*(f"u{number}" for number in range(20)))
    for _ in range(100):
        s.clock.move(0.5)
    assert told(seeing) or "seeing" in s.refreshed
    assert blind.told == []
    assert "blind" not in s.refreshed
