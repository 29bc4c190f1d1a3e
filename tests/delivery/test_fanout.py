"""Whatever is on the broker, each of a topic's members gets what is meant for it, and nobody more than fits."""

from typing import Any

import pytest

from hubbub import closes
from hubbub.closes import MAX_REASON_BYTES
from hubbub.delivery.fanout import Fanout
from hubbub.delivery.outbox import Lane
from hubbub.delivery.registry import Registry
from hubbub.options import Slow
from hubbub.ports.metrics import Count, Tally
from hubbub.protocol.codec import Prepared
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.types import EVERYONE, UserId, room_topic, user_topic
from tests.kit.recipients import Reader, Turn

ROOM = room_topic("r")


class FannedRooms:
    def __init__(self, *, limit: int = 100) -> None:
        self.registry: Registry[Any] = Registry()
        self.metrics = Tally()
        self.turn = Turn(self.metrics)
        self.fanout = Fanout(self.registry, self.turn.batcher, self.metrics, limit=limit)
        self.outs: list[tuple[str, str, str]] = []

    def member(self, name: str, **options: Any) -> Reader:
        member = Reader(name, self.turn, membership=self, **options)
        self.registry.add(member, name)
        self.registry.join(member, "r")
        return member

    def put_out(self, member: Reader, room: str, reason: str) -> None:
        self.outs.append((member.user.id, room, reason))

    def joining(self, name: str, **options: Any) -> Reader:
        member = Reader(name, self.turn, membership=self, **options)
        self.registry.add(member, name)
        self.fanout.pause(ROOM, member)
        return member

    def deliver(self, kind: Kind, payload: bytes, topic: Any = ROOM, **fields: Any) -> None:
        self.fanout.deliver(topic, Envelope(kind, payload, **fields).encode())


@pytest.mark.parametrize("kind", [Kind.MESSAGE, Kind.NOTICE])
@pytest.mark.parametrize("payload", [b"\xff", b'{"type":"m","text":"\xc3"}', b"\xed\xa0\x80", b'{"type":"\xc0\x80"}'])
def test_what_is_no_text_is_counted_and_harms_nobody(kind: Kind, payload: bytes) -> None:
    s = FannedRooms()
    ann, bob = s.member("ann"), s.joining("bob")
    s.deliver(kind, payload)
    assert s.metrics.counts == {Count.UNKNOWN_ENVELOPES: 1}
    s.deliver(kind, b'{"type":"m"}')
    s.fanout.resume(ROOM, bob)
    assert ann.told == bob.told == [{"type": "m"}]
    assert ann.closes == bob.closes == []
    assert s.metrics.counts == {Count.UNKNOWN_ENVELOPES: 1, Count.DELIVERIES: 1}


@pytest.mark.parametrize("data", [b"", b"\x02\x01\x00\x00{}", b"\x01\x63\x00\x00{}", b"\x01\x01\x00\x09{}"])
def test_what_is_no_envelope_is_counted_and_told_and_harms_nobody(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    s = FannedRooms()
    ann = s.member("ann")
    for _ in range(3):
        s.fanout.deliver(ROOM, data)
    assert s.metrics.counts == {Count.UNKNOWN_ENVELOPES: 3}
    [told] = [each.levelname for each in caplog.records]
    assert told == "WARNING"
    assert (ann.told, ann.closes) == ([], [])


def test_what_is_held_fits_the_limit_exactly() -> None:
    s = FannedRooms(limit=100)
    ann = s.joining("ann")
    for _ in range(5):
        s.deliver(Kind.MESSAGE, b'{"n": "%s"}' % (b"x" * 11))  # 20 bytes
    assert not ann.closes
    s.fanout.resume(ROOM, ann)
    assert len(ann.told) == 5
    assert not len(s.fanout)


def test_what_is_held_is_bounded_for_each_and_dropped_with_the_one_it_was_too_much_for() -> None:
    s = FannedRooms(limit=100)
    ann, bob, cid = s.joining("ann"), s.joining("bob"), s.member("cid")
    for number in range(20):
        s.deliver(Kind.MESSAGE, b'{"number": %9d}' % number, without_users=frozenset({"bob"}))
    s.deliver(Kind.MESSAGE, b"1")
    assert ann.closes == [closes.TOO_SLOW]
    assert list(s.fanout.paused(ROOM)) == [bob]
    s.fanout.resume(ROOM, ann)
    s.fanout.resume(ROOM, bob)
    assert (ann.told, bob.told, bob.closes) == ([], [1], [])
    assert len(cid.told) == 21
    assert not len(s.fanout)


def test_notices_are_not_for_those_who_speak_a_language_of_their_own() -> None:
    s = FannedRooms()
    everybody = [s.member("ann"), s.member("bob", text=True), s.joining("cid"), s.joining("dan", text=True)]
    s.deliver(Kind.NOTICE, b'{"type":"user_joined_room"}')
    s.deliver(Kind.MESSAGE, b'{"type":"m"}')
    for joining in everybody[2:]:
        s.fanout.resume(ROOM, joining)
    types = [[each["type"] for each in member.told] for member in everybody]
    assert types == [["user_joined_room", "m"], ["m"], ["user_joined_room", "m"], ["m"]]


@pytest.mark.parametrize("reason", [b"x" * 2_000_000, b"\xff" * 500, "é".encode() * 500])
def test_a_reason_is_cut_whatever_another_worker_has_sent(reason: bytes) -> None:
    s = FannedRooms()
    ann = s.member("ann")
    for kind in (Kind.CLOSE_ROOM, Kind.REMOVE):
        s.deliver(kind, reason, only=frozenset({"ann"}))
    s.deliver(Kind.DISCONNECT, reason, topic=user_topic("ann"))
    [close] = ann.closes
    assert close.code == 4003
    for told in (close.reason, *(each[2] for each in s.outs)):
        assert len(told.encode()) <= MAX_REASON_BYTES
        assert reason.decode("utf-8", "ignore").startswith(told) or told == closes.DISCONNECTED.reason
    assert [each[:2] for each in s.outs] == [("ann", "r"), ("ann", "r")]


def test_only_rooms_are_emptied() -> None:
    s = FannedRooms()
    ann = s.member("ann")
    s.deliver(Kind.CLOSE_ROOM, b"why", topic=user_topic("ann"))
    assert (s.outs, ann.closes) == ([], [])


def lanes(member: Reader) -> list[Lane | None]:
    assert not member.writer.read
    return [outgoing.lane for outgoing in member.waiting]


@pytest.mark.parametrize(
    ("slow", "message", "notice"),
    [
        (None, None, None),
        (Slow.DISCONNECT, None, None),
        (Slow.DROP_OLDEST, Lane("r", Slow.DROP_OLDEST, "k"), Lane("r", Slow.DROP_OLDEST)),
        # Who comes and who goes are not values of the same thing.
        (Slow.LATEST, Lane("r", Slow.LATEST, "k"), Lane("r", Slow.DROP_OLDEST)),
    ],
)
def test_a_message_goes_by_the_policy_of_its_room(slow: Slow | None, message: Lane | None, notice: Lane | None) -> None:
    s = FannedRooms()
    ann, bob = s.member("ann", clear=False), s.joining("bob", clear=False)
    if slow is not None:
        s.fanout.treat(ROOM, slow)
    s.deliver(Kind.MESSAGE, b"1", key="k")
    s.deliver(Kind.NOTICE, b"2")
    s.deliver(Kind.MESSAGE, b"3", topic=user_topic("ann"), key="k")
    s.fanout.resume(ROOM, bob)
    assert (ann.told, bob.told) == ([1, 2, 3], [1, 2])
    assert lanes(ann) == [message, notice, None]
    assert lanes(bob) == [message, notice]
    s.fanout.treat(ROOM, Slow.DISCONNECT)
    s.deliver(Kind.MESSAGE, b"4")
    assert ann.told[3:] == [4]
    assert lanes(ann)[3:] == [None]


def test_each_topic_has_its_members_and_one_turn_keeps_their_order() -> None:
    s = FannedRooms()
    ann, bob = s.member("ann"), s.member("bob")
    tab = Reader("ann", s.turn, tab="tab")
    s.registry.add(tab, "ann")
    s.deliver(Kind.MESSAGE, b"1", topic=EVERYONE)
    s.deliver(Kind.MESSAGE, b"2")
    s.deliver(Kind.MESSAGE, b"3", topic=user_topic("ann"))
    s.deliver(Kind.MESSAGE, b"4", topic=EVERYONE, without_users=frozenset({"bob"}))
    s.deliver(Kind.MESSAGE, b"5", topic=room_topic("nobody"))
    assert (ann.told, tab.told, bob.told) == ([1, 2, 3, 4], [1, 3, 4], [1, 2])
    assert s.metrics.counts == {Count.DELIVERIES: 9}


def test_what_is_released_keeps_its_place_among_what_is_sent() -> None:
    s = FannedRooms()
    ann, bob = s.joining("ann"), s.member("bob")
    s.deliver(Kind.MESSAGE, b"1")
    s.deliver(Kind.MESSAGE, b"2", without_users=frozenset({"ann"}))
    s.deliver(Kind.MESSAGE, b"3", only=frozenset({"ann"}))
    ann.answer(Prepared(b"0"))
    s.registry.join(ann, "r")
    s.fanout.resume(ROOM, ann)
    s.deliver(Kind.MESSAGE, b"4")
    assert (ann.told, bob.told) == ([0, 1, 3, 4], [1, 2, 4])


def test_nobody_is_emptied_out_before_somebody_says_how() -> None:
    turn, metrics = Turn(), Tally()
    registry: Registry[Any] = Registry()
    fanout = Fanout(registry, turn.batcher, metrics, limit=1)
    fanout.deliver(ROOM, Envelope(Kind.CLOSE_ROOM, b"why").encode())
    assert not metrics.counts


@pytest.mark.parametrize("kind", [Kind.CLOSE_ROOM, Kind.REMOVE])
def test_whom_it_is_about_is_put_out_whether_in_or_joining(kind: Kind) -> None:
    s = FannedRooms()
    for name in ("ann", "bob"):
        s.member(name)
        s.joining(name)
    s.deliver(kind, b"why", only=frozenset({"bob"}) if kind is Kind.REMOVE else frozenset())
    everybody = ["ann", "bob", "ann", "bob"]
    assert s.outs == [(name, "r", "why") for name in everybody if kind is Kind.CLOSE_ROOM or name == "bob"]


def test_a_user_is_disconnected_on_all_tabs() -> None:
    s = FannedRooms()
    ann, bob = s.member("ann"), s.member("bob")
    tab = Reader("ann", s.turn, tab="tab")
    s.registry.add(tab, "ann")
    s.deliver(Kind.DISCONNECT, b"enough", topic=user_topic("ann"))
    assert ann.closes == tab.closes == [closes.DISCONNECTED.because("enough")]
    assert bob.closes == []


def test_a_notice_with_something_beside_it_is_for_each_in_the_form_it_asked_for() -> None:
    s = FannedRooms(limit=1000)
    asked = frozenset({"presence"})
    old, new, text = s.member("old"), s.member("new", features=asked), s.member("text", text=True, features=asked)
    late = s.joining("late", features=asked)
    notice = b'{"type":"user_joined_room","room":"r","user":"cid"}'
    s.deliver(Kind.NOTICE, notice, presence=b'{"cid":{}}', without_users=frozenset({"cid"}))
    s.deliver(Kind.SHOWN, b'{"type":"user_presence"}')
    s.deliver(Kind.NOTICE, b'{"type":"all"}')
    assert [message.data for message in old.messages] == [notice, b'{"type":"all"}']
    beside = {"type": "user_joined_room", "room": "r", "user": "cid", "presence": {"cid": {}}}
    assert new.told == [beside, {"type": "user_presence"}, {"type": "all"}]
    s.fanout.resume(ROOM, late)
    assert late.told == new.told
    assert text.told == []


@pytest.mark.parametrize(
    ("kind", "topic"),
    [
        *((kind, topic) for kind in (Kind.DISCONNECT, Kind.PUT_IN, Kind.TAKE_OUT) for topic in (ROOM, EVERYONE)),
        *(
            (kind, topic)
            for kind in (Kind.CLOSE_ROOM, Kind.REMOVE, Kind.CAME, Kind.WENT, Kind.CHANGED)
            for topic in (user_topic(UserId("ann")), EVERYONE)
        ),
    ],
)
def test_what_is_said_on_a_topic_where_no_hub_says_it_is_left_out(kind: Kind, topic: Any) -> None:
    s = FannedRooms()
    ann = s.member("ann")
    s.deliver(kind, b"{}", topic, only=frozenset({"ann"}))
    assert (ann.told, ann.closes) == ([], [])
    assert ann in s.registry.members(ROOM.removeprefix("room:"))
    assert s.metrics.counts == {Count.UNKNOWN_ENVELOPES: 1}


def test_who_is_left_out_of_a_notice_is_left_out_of_both_forms() -> None:
    s = FannedRooms()
    ann = s.member("ann", features=frozenset({"presence"}))
    s.deliver(Kind.NOTICE, b'{"type":"n"}', presence=b"{}", without_users=frozenset({"ann"}))
    s.deliver(Kind.NOTICE, b"\xff", presence=b"{}")
    assert ann.told == []
    assert s.metrics.counts == {Count.UNKNOWN_ENVELOPES: 1}
