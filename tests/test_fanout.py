"""Whatever is on the broker, each of a topic's members gets what is meant for it, and nobody more than fits."""

import json
from typing import Any

import pytest

from hubbub import closes
from hubbub.closes import MAX_REASON_BYTES, Close
from hubbub.fanout import Fanout
from hubbub.ports.metrics import Count, Tally
from hubbub.state.registry import Registry
from hubbub.types import User, room_topic, user_topic
from hubbub.wire.codec import Prepared
from hubbub.wire.envelope import Envelope, Kind

ROOM = room_topic("r")


class Member:
    """`text`: speaks a language of its own, as on a route with text=True."""

    def __init__(self, name: str, *, text: bool = False) -> None:
        self.id, self.user, self.text = f"c-{name}", User(name), text  # type: ignore[arg-type]
        self.told: list[Any] = []
        self.closes: list[Close] = []

    def offer(self, message: Prepared) -> None:
        self.told.append(json.loads(message.text))

    def answer(self, message: Prepared) -> None:
        if not self.text:
            self.offer(message)

    def close(self, close: Close) -> None:
        self.closes.append(close)


class Setting:
    def __init__(self, *, limit: int = 100) -> None:
        self.registry: Registry[Any] = Registry()
        self.metrics = Tally()
        self.fanout = Fanout(self.registry, self.metrics, limit=limit)
        self.put_out: list[tuple[str, str, str]] = []
        self.fanout.on_put_out(lambda member, room, reason: self.put_out.append((member.user.id, room, reason)))

    def member(self, name: str, **options: bool) -> Member:
        member = Member(name, **options)
        self.registry.add(member, name)
        self.registry.join(member, "r")
        return member

    def joining(self, name: str, **options: bool) -> Member:
        member = Member(name, **options)
        self.registry.add(member, name)
        self.fanout.hold(ROOM, member)  # type: ignore[arg-type]
        return member

    def deliver(self, kind: Kind, payload: bytes, topic: Any = ROOM, **fields: Any) -> None:
        self.fanout.deliver(topic, Envelope(kind, payload, **fields).encode())


@pytest.mark.parametrize("kind", [Kind.MESSAGE, Kind.NOTICE])
@pytest.mark.parametrize("payload", [b"\xff", b'{"type":"m","text":"\xc3"}', b"\xed\xa0\x80", b'{"type":"\xc0\x80"}'])
def test_what_is_no_text_is_counted_and_harms_nobody(kind: Kind, payload: bytes) -> None:
    s = Setting()
    ann, bob = s.member("ann"), s.joining("bob")
    s.deliver(kind, payload)
    assert s.metrics.counts == {Count.UNKNOWN_ENVELOPES: 1}
    s.deliver(kind, b'{"type":"m"}')
    s.fanout.release(ROOM, bob)  # type: ignore[arg-type]
    assert ann.told == bob.told == [{"type": "m"}]
    assert ann.closes == bob.closes == []
    assert s.metrics.counts == {Count.UNKNOWN_ENVELOPES: 1, Count.DELIVERIES: 1}


@pytest.mark.parametrize("data", [b"", b"\x02\x01\x00\x00{}", b"\x01\x63\x00\x00{}", b"\x01\x01\x00\x09{}"])
def test_what_is_no_envelope_is_counted_and_harms_nobody(data: bytes) -> None:
    s = Setting()
    ann = s.member("ann")
    s.fanout.deliver(ROOM, data)
    assert s.metrics.counts == {Count.UNKNOWN_ENVELOPES: 1}
    assert (ann.told, ann.closes) == ([], [])


def test_what_is_held_fits_the_limit_exactly() -> None:
    s = Setting(limit=100)
    ann = s.joining("ann")
    for _ in range(5):
        s.deliver(Kind.MESSAGE, b'{"n": "%s"}' % (b"x" * 11))  # 20 bytes
    assert not ann.closes
    s.fanout.release(ROOM, ann)  # type: ignore[arg-type]
    assert len(ann.told) == 5
    assert not s.fanout._held


def test_what_is_held_is_bounded_for_each_and_dropped_with_the_one_it_was_too_much_for() -> None:
    s = Setting(limit=100)
    ann, bob, cid = s.joining("ann"), s.joining("bob"), s.member("cid")
    for number in range(20):
        s.deliver(Kind.MESSAGE, b'{"number": %9d}' % number, without_users=frozenset({"bob"}))
    s.deliver(Kind.MESSAGE, b"1")
    assert ann.closes == [closes.TOO_SLOW]
    assert list(s.fanout._held[ROOM]) == [bob]
    s.fanout.release(ROOM, ann)  # type: ignore[arg-type]
    s.fanout.release(ROOM, bob)  # type: ignore[arg-type]
    assert (ann.told, bob.told, bob.closes) == ([], [1], [])
    assert len(cid.told) == 21
    assert not s.fanout._held


def test_notices_are_not_for_those_who_speak_a_language_of_their_own() -> None:
    s = Setting()
    everybody = [s.member("ann"), s.member("bob", text=True), s.joining("cid"), s.joining("dan", text=True)]
    s.deliver(Kind.NOTICE, b'{"type":"user_joined_room"}')
    s.deliver(Kind.MESSAGE, b'{"type":"m"}')
    for joining in everybody[2:]:
        s.fanout.release(ROOM, joining)  # type: ignore[arg-type]
    types = [[each["type"] for each in member.told] for member in everybody]
    assert types == [["user_joined_room", "m"], ["m"], ["user_joined_room", "m"], ["m"]]


@pytest.mark.parametrize("reason", [b"x" * 2_000_000, b"\xff" * 500, "é".encode() * 500])
def test_a_reason_is_cut_whatever_another_worker_has_sent(reason: bytes) -> None:
    s = Setting()
    ann = s.member("ann")
    for kind in (Kind.CLOSE_ROOM, Kind.REMOVE):
        s.deliver(kind, reason, only=frozenset({"ann"}))
    s.deliver(Kind.DISCONNECT, reason, topic=user_topic("ann"))
    [close] = ann.closes
    assert close.code == 4003
    for told in (close.reason, *(each[2] for each in s.put_out)):
        assert len(told.encode()) <= MAX_REASON_BYTES
        assert reason.decode("utf-8", "ignore").startswith(told) or told == closes.DISCONNECTED.reason
    assert [each[:2] for each in s.put_out] == [("ann", "r"), ("ann", "r")]


def test_only_rooms_are_emptied() -> None:
    s = Setting()
    ann = s.member("ann")
    s.deliver(Kind.CLOSE_ROOM, b"why", topic=user_topic("ann"))
    assert (s.put_out, ann.closes) == ([], [])
