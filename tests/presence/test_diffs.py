"""Changes of a moment are one message, the same for all but those whom it concerns.

The file is longer than others: one room, `DiffRoom`, with and without what is shown.
"""

from typing import Any

from hubbub.delivery.batch import Batcher
from hubbub.delivery.fanout import Fanout
from hubbub.delivery.registry import Registry
from hubbub.options import Slow
from hubbub.ports.metrics import Count, Tally
from hubbub.presence.diffs import Diffs
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.protocol.presence import of_each
from hubbub.testing import ManualClock
from hubbub.types import Topic, room_topic, user_topic
from tests.kit.recipients import Reader, Turn

ROOM = room_topic("r")
ASKED = frozenset({"presence"})


class DiffRoom:
    def __init__(self) -> None:
        self.registry: Registry[Any] = Registry()
        self.metrics = Tally()
        self.clock = ManualClock()
        self.turn = Turn(self.metrics)
        batcher: Batcher = self.turn.batcher
        self.fanout = Fanout(self.registry, batcher, self.metrics, limit=10_000)
        self.diffs = Diffs(self.fanout, self.registry, self.clock, self.metrics)

    def connected(self, name: str, **options: Any) -> Reader:
        reader = Reader(name, self.turn, **options)
        self.registry.add(reader, name)
        return reader

    def member(self, name: str, **options: Any) -> Reader:
        reader = self.connected(name, **options)
        self.registry.join(reader, "r")
        return reader

    def came(self, *users: str) -> None:
        for user in users:
            self.hear(Kind.CAME, user.encode())

    def went(self, *users: str) -> None:
        for user in users:
            self.hear(Kind.WENT, user.encode())

    def hear(self, kind: Kind, payload: bytes, topic: Topic = ROOM) -> None:
        self.fanout.deliver(topic, Envelope(kind, payload).encode())


def diff(joined: str = "", left: str = "") -> dict[str, Any]:
    return {"type": "presence_diff", "room": "r", "joined": joined.split(), "left": left.split()}


def test_what_happens_within_half_a_second_is_one_message() -> None:
    s = DiffRoom()
    ann, bob = s.member("ann"), s.member("bob")
    s.came("dan", "cid")
    s.clock.move(0.4)
    s.went("eve")
    assert ann.told == []
    s.clock.move(0.1)
    assert ann.told == bob.told == [diff("cid dan", "eve")]
    # It is the same message, written to both at once.
    assert ann.messages[0] is bob.messages[0]
    assert len(s.diffs) == 0
    assert s.clock.alarms == []
    s.went("cid")
    s.clock.move(0.5)
    assert ann.told[1:] == [diff("", "cid")]


def test_rooms_are_collected_apart() -> None:
    s = DiffRoom()
    ann, bob = s.member("ann"), s.connected("bob")
    s.registry.join(bob, "q")
    s.came("cid")
    s.clock.move(0.25)
    s.hear(Kind.CAME, b"dan", room_topic("q"))
    s.clock.move(0.25)
    assert ann.told == [diff("cid")]
    assert bob.told == []
    s.clock.move(0.25)
    assert bob.told == [diff("dan") | {"room": "q"}]


def test_who_came_and_went_is_no_news() -> None:
    s = DiffRoom()
    ann = s.member("ann")
    s.came("bob")
    s.went("bob", "cid")
    s.came("cid")
    s.clock.move(0.5)
    assert ann.told == []
    assert len(s.diffs) == 0


def test_a_user_never_sees_itself() -> None:
    s = DiffRoom()
    ann, bob, two = s.member("ann"), s.member("bob"), s.member("bob", tab="two")
    s.came("bob", "cid")
    s.clock.move(0.5)
    assert ann.told == [diff("bob cid")]
    assert bob.told == two.told == [diff("cid")]
    s.came("bob")
    s.clock.move(0.5)
    assert ann.told[1:] == [diff("bob")]
    assert len(bob.told) == len(two.told) == 1


def test_a_tab_that_is_not_in_the_room_hears_nothing_of_its_user() -> None:
    s = DiffRoom()
    ann, bob = s.connected("ann"), s.member("bob")
    s.came("ann", "cid")
    s.clock.move(0.5)
    assert ann.told == []
    assert bob.told == [diff("ann cid")]


def test_one_who_joins_in_between_is_told_the_end() -> None:
    """It may have read that cid is there, and that dan is not."""
    s = DiffRoom()
    ann = s.member("ann")
    s.came("cid")
    s.went("dan")
    bob = s.member("bob")
    s.diffs.joined(ROOM, bob)
    s.came("bob", "dan", "eve")
    s.went("cid")
    s.clock.move(0.5)
    assert ann.told == [diff("bob eve")]
    assert bob.told == [diff("dan eve", "cid")]
    # Next time it is one like the others.
    s.came("fay")
    s.went("fay")
    s.clock.move(0.5)
    assert len(bob.told) == 1


def test_one_who_is_joining_gets_it_when_it_is_in() -> None:
    s = DiffRoom()
    ann, bob = s.member("ann"), s.connected("bob")
    s.fanout.pause(ROOM, bob)
    s.came("bob", "cid", "dan")
    s.went("dan")
    s.clock.move(0.5)
    assert ann.told == [diff("bob cid")]
    assert bob.told == []
    s.registry.join(bob, "r")
    s.fanout.resume(ROOM, bob)
    assert bob.told == [diff("cid", "dan")]


def test_newcomers_share_what_they_are_told() -> None:
    s = DiffRoom()
    s.came("ann")
    s.went("ann")
    new = [s.member(f"u{number}") for number in range(3)]
    for one in new:
        s.diffs.joined(ROOM, one)
    s.clock.move(0.5)
    assert [one.told for one in new] == [[diff("", "ann")]] * 3
    assert new[0].messages[0] is new[1].messages[0]


def test_one_who_joined_and_left_is_told_nothing() -> None:
    s = DiffRoom()
    s.came("cid")
    bob = s.member("bob")
    s.diffs.joined(ROOM, bob)
    s.came("bob")
    s.went("cid", "bob")
    s.registry.leave(bob, "r")
    s.clock.move(0.5)
    assert bob.told == []


def test_one_who_joins_when_nothing_happens_is_not_remembered() -> None:
    s = DiffRoom()
    s.diffs.joined(ROOM, s.member("ann"))
    assert len(s.diffs) == 0


def test_a_language_of_its_own_hears_nothing() -> None:
    s = DiffRoom()
    ann, bob = s.member("ann", text=True), s.member("bob", text=True)
    s.diffs.joined(ROOM, bob)
    s.came("ann", "cid")
    s.clock.move(0.5)
    assert ann.told == bob.told == []


def test_very_many_are_told_in_several_messages() -> None:
    s = DiffRoom()
    ann, user = s.member("ann"), s.member("u7")
    names = [f"u{number}" for number in range(600)]
    s.came(*names)
    s.clock.move(0.5)
    for count in (2, 3):
        assert len(ann.told) == count - 1
        s.clock.move(0.05)
    assert [len(each["joined"]) for each in ann.told] == [256, 256, 88]
    assert sorted(name for each in ann.told for name in each["joined"]) == sorted(names)
    assert sorted(name for each in user.told for name in each["joined"]) == sorted(set(names) - {"u7"})
    assert len(s.diffs) == 0


def test_a_room_of_values_has_it_in_its_lane() -> None:
    s = DiffRoom()
    s.fanout.treat(ROOM, Slow.LATEST)
    ann, bob = s.member("ann", clear=False), s.member("bob", clear=False)
    s.came("ann", "cid")
    s.clock.move(0.5)
    assert (ann.told, bob.told) == ([diff("cid")], [diff("ann cid")])
    assert [(outgoing.lane.room, outgoing.lane.slow) for outgoing in (*ann.waiting, *bob.waiting) if outgoing.lane] == [
        ("r", Slow.DROP_OLDEST)
    ] * 2


def test_what_is_no_user_of_a_room_is_counted() -> None:
    s = DiffRoom()
    s.hear(Kind.CAME, b"\xff")
    s.hear(Kind.WENT, b"ann", user_topic("ann"))
    assert s.metrics.counts == {Count.UNKNOWN_ENVELOPES: 2}
    assert len(s.diffs) == 0


def test_at_the_end_nothing_is_told() -> None:
    s = DiffRoom()
    ann = s.member("ann")
    s.came("bob")
    s.diffs.stop()
    assert s.clock.alarms == []
    assert len(s.diffs) == 0
    assert ann.told == []


def shown(**each: Any) -> dict[str, Any]:
    return {"presence": {user: {"name": name} if name else {} for user, name in each.items()}}


def carried(**each: str) -> bytes:
    return of_each({user: b'{"name":"%b"}' % name.encode() if name else b"" for user, name in each.items()})


class ShowingRoom(DiffRoom):
    def came_showing(self, user: str, name: str) -> None:
        envelope = Envelope(Kind.CAME, user.encode(), presence=carried(**{user: name}))
        self.fanout.deliver(ROOM, envelope.encode())

    def changed(self, user: str, name: str) -> None:
        self.hear(Kind.CHANGED, carried(**{user: name}))

    def asking(self, name: str, **options: Any) -> Reader:
        return self.member(name, features=ASKED, **options)


def test_what_one_who_came_shows_is_told_to_those_who_asked_and_the_others_get_what_they_got() -> None:
    s = ShowingRoom()
    ann, bob, eve = s.member("ann"), s.asking("bob"), s.asking("eve", text=True)
    s.came_showing("cid", "Cid")
    s.came_showing("dan", "")
    s.clock.move(0.5)
    assert ann.messages[0].data == b'{"type":"presence_diff","room":"r","joined":["cid","dan"],"left":[]}'
    assert bob.told == [diff("cid dan") | shown(cid="Cid")]
    assert eve.told == []


def test_what_changed_alone_is_told_to_those_alone_who_asked() -> None:
    s = ShowingRoom()
    ann, bob = s.member("ann"), s.asking("bob")
    s.changed("cid", "Cid")
    s.changed("cid", "Sid")
    s.changed("dan", "")
    s.clock.move(0.5)
    assert ann.told == []
    assert bob.told == [diff() | shown(cid="Sid", dan="")]


def test_what_a_user_came_with_it_has_read_and_what_changed_it_is_told() -> None:
    s = ShowingRoom()
    ann, bob = s.asking("ann"), s.asking("bob")
    s.came_showing("bob", "Bob")
    s.came_showing("cid", "Cid")
    s.clock.move(0.5)
    assert ann.told == [diff("bob cid") | shown(bob="Bob", cid="Cid")]
    assert bob.told == [diff("cid") | shown(cid="Cid")]
    s.changed("bob", "Bobby")
    s.clock.move(0.5)
    assert ann.told[1:] == bob.told[1:] == [diff() | shown(bob="Bobby")]


def test_a_page_that_is_reloaded_is_told_by_what_it_shows_alone() -> None:
    s = ShowingRoom()
    ann, bob = s.member("ann"), s.asking("bob")
    s.went("cid")
    s.came_showing("cid", "")
    s.clock.move(0.5)
    assert ann.told == []
    assert bob.told == [diff() | shown(cid="")]


def test_one_who_joins_in_between_is_told_the_end_of_what_is_shown() -> None:
    s = ShowingRoom()
    s.came_showing("cid", "Cid")
    bob, old = s.asking("bob"), s.member("old")
    for one in (bob, old):
        s.diffs.joined(ROOM, one)
    s.changed("cid", "")
    s.changed("dan", "Dan")
    s.clock.move(0.5)
    assert bob.told == [diff("cid") | shown(cid="", dan="Dan")]
    assert old.told == [diff("cid")]


def test_much_that_is_shown_is_told_in_several_messages() -> None:
    s = ShowingRoom()
    bob = s.asking("bob")
    for number in range(100):
        s.changed(f"u{number}", "x" * 1000)
    s.clock.move(0.5)
    s.clock.move(0.05)
    assert [len(each["presence"]) for each in bob.told] == [64, 36]
    assert len(s.diffs) == 0


def test_what_is_not_what_one_user_shows_is_counted() -> None:
    s = ShowingRoom()
    s.hear(Kind.CHANGED, b"{}")
    s.hear(Kind.CHANGED, b"\xff")
    s.fanout.deliver(ROOM, Envelope(Kind.CAME, b"ann", presence=b"[]").encode())
    assert s.metrics.counts == {Count.UNKNOWN_ENVELOPES: 3}
    assert len(s.diffs) == 0
