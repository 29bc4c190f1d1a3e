"""What is kept, on its way to members, to those who are joining, and to those who come back."""

import json
from typing import Any

import pytest

from hubbub import closes
from hubbub.delivery.message import Outgoing
from hubbub.delivery.outbox import Lane
from hubbub.options import Slow
from hubbub.ports.metrics import Count
from hubbub.protocol.codec import Prepared
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.types import Position, user_topic
from tests.delivery.test_fanout import ROOM, FannedRooms
from tests.kit.recipients import Reader

NOTICE = Envelope(Kind.NOTICE, b'{"type":"n"}')


def kept(s: FannedRooms, offset: int, topic: Any = ROOM, **fields: Any) -> Outgoing | None:
    data = Envelope(Kind.MESSAGE, b'{"type":"m"}', **fields).encode()
    return s.fanout.deliver(topic, data, Position("e", offset))


def offsets(member: Reader) -> list[Any]:
    return [each.get("offset", each["type"]) for each in member.told]


def test_a_kept_message_has_its_offset_and_a_notice_has_none() -> None:
    s = FannedRooms()
    ann = s.member("ann")
    kept(s, 7)
    s.fanout.deliver(ROOM, NOTICE.encode())
    assert ann.told == [{"type": "m", "offset": 7}, {"type": "n"}]


def test_what_is_held_for_a_newcomer_begins_behind_what_is_kept() -> None:
    """It is told a position that stands for all of it, what is lost of it too."""
    s = FannedRooms()
    ann, bob = s.joining("ann"), s.member("bob")
    kept(s, 1)
    s.fanout.gap(ROOM, epoch="e", after=1, upto=3)
    s.fanout.tell(ROOM, NOTICE)
    s.fanout.resume(ROOM, ann)
    assert ann.types == ["n"]
    assert bob.types == ["m", "gap", "n"]
    assert s.metrics.counts[Count.GAPS] == 1


@pytest.mark.parametrize(("replayed", "told"), [(True, ["n"]), (False, [1, "gap", "n", 4])])
def test_what_is_held_for_a_member_is_released_or_was_replayed(replayed: bool, told: list[Any]) -> None:
    s = FannedRooms(limit=1_000)
    ann = s.member("ann")
    s.fanout.pause(ROOM, ann, member=True)
    assert list(s.fanout.paused(ROOM)) == [ann]
    kept(s, 1)
    s.fanout.gap(ROOM, epoch="e", after=1, upto=3)
    s.fanout.tell(ROOM, NOTICE)
    kept(s, 4)
    assert ann.told == []
    s.fanout.resume(ROOM, ann, replayed=replayed)
    assert offsets(ann) == told
    assert list(s.fanout.paused(ROOM)) == []
    kept(s, 5)
    assert offsets(ann) == [*told, 5]


def test_what_is_held_for_a_member_is_bounded() -> None:
    s = FannedRooms(limit=100)
    ann = s.member("ann")
    s.fanout.pause(ROOM, ann, member=True)
    for offset in range(10):
        kept(s, offset)
    assert ann.closes == [closes.TOO_SLOW]
    assert not len(s.fanout)


def test_what_is_handed_out_again_is_for_whom_it_was() -> None:
    s = FannedRooms()
    ann, bob = s.member("ann"), s.member("bob", text=True)
    envelopes = [{}, {"without_users": frozenset({"ann"})}, {"without_connections": frozenset({"c-bob"})}]
    messages = [
        s.fanout.read(ROOM, Envelope(Kind.MESSAGE, b'{"type":"m"}', **fields).encode(), Position("e", number))  # type: ignore[arg-type]
        for number, fields in enumerate(envelopes, 1)
    ]
    for each in (ann, bob):
        s.fanout.replay(each, messages)
    assert (offsets(ann), offsets(bob)) == ([1, 3], [1, 2])


@pytest.mark.parametrize("data", [b"", b"\x02\x01\x00\x00{}", Envelope(Kind.MESSAGE, b"\xff").encode()])
def test_a_kept_message_that_cannot_be_read_is_for_nobody(data: bytes) -> None:
    s = FannedRooms()
    ann = s.member("ann")
    assert s.fanout.deliver(ROOM, data, Position("e", 1)) is None
    outgoing = s.fanout.read(ROOM, data, Position("e", 1))
    s.fanout.replay(ann, [outgoing])
    assert ann.told == []
    assert outgoing.kept
    assert s.metrics.counts[Count.UNKNOWN_ENVELOPES] == 2


def test_a_gap_is_told_to_members_by_the_name_they_know() -> None:
    s = FannedRooms()
    ann, text = s.member("ann", clear=False), s.member("bob", text=True)
    s.fanout.treat(ROOM, Slow.DROP_OLDEST)
    s.fanout.gap(ROOM, epoch="e", after=1, upto=3)
    s.fanout.gap(user_topic("ann"), epoch="f", after=0, upto=2)
    assert ann.told == [
        {"type": "gap", "room": "r", "epoch": "e", "after": 1, "upto": 3},
        {"type": "gap", "room": "@me", "epoch": "f", "after": 0, "upto": 2},
    ]
    assert [outgoing.lane for outgoing in ann.waiting] == [None, None]
    assert text.told == []


def test_a_kept_message_that_may_be_left_out_knows_where_it_stood() -> None:
    s = FannedRooms()
    ann = s.member("ann", clear=False)
    s.fanout.treat(ROOM, Slow.DROP_OLDEST)
    kept(s, 7)
    assert offsets(ann) == [7]
    assert [outgoing.lane for outgoing in ann.waiting] == [Lane("r", Slow.DROP_OLDEST, None, Position("e", 7))]


def test_one_alone_is_told_in_its_place() -> None:
    s = FannedRooms()
    ann, bob = s.member("ann"), s.joining("bob")
    message = Prepared(json.dumps({"type": "only"}).encode())
    kept(s, 1)
    for each in (ann, bob):
        s.fanout.tell_one(ROOM, each, message)
    assert bob.told == []
    s.fanout.tell(ROOM, NOTICE)
    s.fanout.resume(ROOM, bob)
    assert offsets(ann) == [1, "only", "n"]
    assert offsets(bob) == ["only", "n"]


def test_one_alone_is_told_by_the_policy_of_the_room() -> None:
    s = FannedRooms()
    ann = s.member("ann", clear=False)
    s.fanout.treat(ROOM, Slow.LATEST)
    s.fanout.tell_one(ROOM, ann, Prepared(b'{"type":"only"}'))
    assert ann.types == ["only"]
    assert [outgoing.lane for outgoing in ann.waiting] == [Lane("r", Slow.DROP_OLDEST)]


def test_what_is_no_text_is_told_to_nobody() -> None:
    s = FannedRooms()
    ann = s.member("ann")
    s.fanout.tell(ROOM, Envelope(Kind.NOTICE, b"\xff"))
    assert ann.told == []
    assert s.metrics.counts == {Count.UNKNOWN_ENVELOPES: 1}


@pytest.mark.parametrize("kind", [Kind.CAME, Kind.WENT])
def test_who_comes_and_goes_is_noted_where_somebody_notes_it(kind: Kind) -> None:
    s = FannedRooms()
    ann = s.member("ann")
    envelope = Envelope(kind, b"bob", without_users=frozenset({"bob"}))
    s.fanout.deliver(ROOM, envelope.encode())
    noted: list[Any] = []
    s.fanout.on_presence(lambda topic, envelope: noted.append((topic, envelope)))
    s.fanout.deliver(ROOM, envelope.encode())
    assert noted == [(ROOM, envelope)]
    assert ann.told == []


def test_the_members_of_one_topic_are_closed() -> None:
    s = FannedRooms()
    ann, other = s.member("ann"), Reader("bob", s.turn)
    s.registry.add(other, "bob")
    s.fanout.close(ROOM, closes.POSITION_LOST)
    assert (ann.closes, other.closes) == ([closes.POSITION_LOST], [])
