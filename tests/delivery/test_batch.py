"""What leaves in one turn: everybody gets what he would get if each message were written at once, in fewer writes."""

from typing import Any

import pytest

from hubbub.delivery.message import Outgoing, wanted
from hubbub.protocol.codec import Prepared
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.types import ConnectionId, User, UserId
from tests.kit.batches import BatchedRooms, company, wires
from tests.kit.recipients import Reader


def test_one_message_is_one_write_for_all() -> None:
    s = BatchedRooms("ann", "bob", "cid")
    s.spread()
    assert s.turn.asked == 1
    assert [reader.writer.writes for reader in s.readers] == [[]] * 3
    assert [reader.told for reader in s.readers] == [[1]] * 3
    assert all(company(reader) == [wires(*s.readers)] for reader in s.readers)
    assert s.counted == 3


def test_all_of_a_turn_is_one_write_and_its_list_the_same_for_all() -> None:
    s = BatchedRooms("ann", "bob", "cid")
    for _ in range(10):
        s.spread()
    assert s.turn.asked == 1
    assert [reader.told for reader in s.readers] == [list(range(1, 11))] * 3
    assert all(company(reader) == [wires(*s.readers)] for reader in s.readers)
    assert len({id(reader.writer.writes[0]) for reader in s.readers}) == 1
    assert s.counted == 30
    s.spread()
    assert s.readers[0].told[-1] == 11
    assert len(s.readers[0].writer.writes) == 2


def test_nothing_sent_nothing_written_nor_asked_for() -> None:
    s = BatchedRooms("ann")
    s.turn.batcher.flush()
    assert (s.turn.asked, s.readers[0].writer.writes, s.counted) == (0, [], 0)
    s.rooms["nobody"] = []
    s.spread("nobody")
    assert s.counted == 0


def test_answers_are_one_write_each() -> None:
    s = BatchedRooms("ann", "bob")
    ann, bob = s.readers
    for reader in (ann, bob, ann, ann):
        s.hand(reader)
    assert (ann.told, bob.told) == ([1, 3, 4], [2])
    assert (company(ann), company(bob)) == ([wires(ann)], [wires(bob)])
    # Deliveries are what topics deliver.
    assert s.counted == 0


def test_one_answer_to_each_is_written_to_all_of_them_in_one_go() -> None:
    s = BatchedRooms("ann", "bob", "cid", "dan")
    ann, bob, cid, dan = s.readers
    dan.clear = False
    for reader in (ann, bob, cid, dan, bob):
        s.say(reader)
    assert [reader.told for reader in s.readers] == [[1], [2, 5], [3], [4]]
    assert company(ann) == company(cid) == [wires(ann, cid)]
    assert company(bob) == [wires(bob)]
    assert company(dan) == []
    assert s.counted == 0


@pytest.mark.parametrize(
    "order", ["say hand", "hand say", "say spread hand", "spread say", "say spread say", "hand spread"]
)
def test_answers_of_either_kind_keep_their_places(order: str) -> None:
    s = BatchedRooms("ann", "bob")
    ann, bob = s.readers
    theirs: list[int] = []
    for what in order.split():
        if what == "spread":
            s.spread()
            theirs.append(s.sent)
        else:
            getattr(s, what)(ann)
    assert ann.told == list(range(1, s.sent + 1))
    assert bob.told == theirs
    assert s.counted == 2 * len(theirs)


def test_the_order_is_that_of_sending_over_topics_and_answers() -> None:
    s = BatchedRooms("ann", "bob", "cid")
    ann, bob, cid = s.readers
    s.join("b", bob, cid)
    s.hand(ann)
    s.spread("a")
    s.spread("b")
    s.spread("a")
    s.hand(ann)
    s.spread("b")
    s.hand(ann)
    s.spread("a")
    assert ann.told == [1, 2, 4, 5, 7, 8]
    assert bob.told == cid.told == [2, 3, 4, 6, 8]
    assert company(ann) == [wires(ann)]
    assert company(bob) == company(cid) == [wires(bob, cid)]
    assert bob.writer.writes[0] is cid.writer.writes[0]
    assert s.counted == 3 * 3 + 2 * 2


def test_those_in_the_same_topics_share_and_others_do_not() -> None:
    s = BatchedRooms("ann", "bob", "cid", "dan")
    ann, bob, cid, dan = s.readers
    s.join("b", dan, bob)
    s.join("c", cid)
    for room in "abcab":
        s.spread(room)
    assert [reader.told for reader in s.readers] == [[1, 4], [1, 2, 4, 5], [1, 3, 4], [1, 2, 4, 5]]
    assert company(ann) == [wires(ann)]
    assert company(bob) == company(dan) == [wires(bob, dan)]
    assert company(cid) == [wires(cid)]
    assert s.counted == 13


def test_who_comes_gets_nothing_from_before_and_who_goes_nothing_after() -> None:
    s = BatchedRooms("ann", "bob")
    ann, bob = s.readers
    cid = Reader("cid", s.turn)
    s.spread()
    s.join("a", cid)
    s.hand(cid)
    s.spread()
    s.leave("a", bob)
    s.hand(bob)
    s.spread()
    s.leave("a", ann)
    s.join("a", ann)
    s.spread()
    assert (ann.told, bob.told, cid.told) == ([1, 3, 5, 6], [1, 3, 4], [2, 3, 5, 6])
    assert s.counted == 4 + 2 + 3


def test_who_leaves_and_comes_back_misses_what_was_between() -> None:
    s = BatchedRooms("ann", "bob")
    ann, bob = s.readers
    for change in (s.leave, s.join):
        s.spread()
        change("a", ann)
    s.spread()
    assert (ann.told, bob.told) == ([1, 3], [1, 2, 3])


def test_who_comes_to_another_topic_is_the_same_company_still() -> None:
    s = BatchedRooms("ann", "bob")
    ann, bob = s.readers
    s.spread()
    s.join("b", bob)
    s.spread()
    assert company(ann) == []
    assert ann.told == bob.told == [1, 2]
    assert company(ann) == company(bob) == [wires(ann, bob)]


@pytest.mark.parametrize(
    ("fields", "left_out"),
    [
        ({"without_users": frozenset({"ann"})}, {0, 1}),
        ({"without_connections": frozenset({"c-ann1"})}, {1}),
        ({"without_users": frozenset({"ann", "cid"})}, {0, 1, 3}),
        ({"without_users": frozenset({"bob"}), "without_connections": frozenset({"c-ann0"})}, {0, 2}),
        ({"only": frozenset({"ann"})}, {2, 3}),
        ({"only": frozenset({"ann", "bob"}), "without_connections": frozenset({"c-ann0"})}, {0, 3}),
        ({"only": frozenset({"bob"}), "without_users": frozenset({"bob"})}, {0, 1, 2, 3}),
        ({"without_users": frozenset({"nobody"})}, set()),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_who_is_left_out_of_one_gets_the_others(fields: dict[str, Any], left_out: set[int], place: int) -> None:
    s = BatchedRooms("ann", "ann", "bob", "cid")
    for number in range(3):
        s.spread(**(fields if number == place else {}))
    rest = [number for number in (1, 2, 3) if number != place + 1]
    assert [reader.told for reader in s.readers] == [rest if n in left_out else [1, 2, 3] for n in range(4)]
    # One write for those who get all, and one for those who do not.
    outside = wires(*(reader for n, reader in enumerate(s.readers) if n in left_out))
    inside = wires(*(reader for n, reader in enumerate(s.readers) if n not in left_out))
    assert [company(reader) for reader in s.readers] == [[outside if n in left_out else inside] for n in range(4)]
    assert s.counted == 12 - len(left_out)


def test_who_is_left_out_of_all_gets_no_write() -> None:
    s = BatchedRooms("ann", "bob")
    for _ in range(2):
        s.spread(without_users=frozenset({"ann"}))
    assert [reader.told for reader in s.readers] == [[], [1, 2]]
    assert company(s.readers[0]) == []
    assert s.counted == 2


@pytest.mark.parametrize("answered", [False, True])
def test_notices_are_not_for_those_with_a_language_of_their_own(*, answered: bool) -> None:
    s = BatchedRooms("ann")
    text = Reader("bob", s.turn, text=True)
    s.join("a", text)
    s.spread(kind=Kind.NOTICE)
    s.spread(kind=Kind.MESSAGE)
    if answered:
        s.hand(text)
    assert s.readers[0].told == [1, 2]
    assert text.told == [2, 3] if answered else [2]
    assert s.counted == 3


def test_whom_an_answer_is_for_is_not_asked_again() -> None:
    """What a joiner was kept was judged when it came."""
    s = BatchedRooms("ann")
    [ann] = s.readers
    held = Outgoing(Prepared(b"7"), Envelope(Kind.MESSAGE, b"", only=frozenset({"ann"})))
    s.turn.batcher.hand(ann, held)
    s.spread()
    assert ann.told == [7, 1]
    assert s.counted == 1


@pytest.mark.parametrize("user", ["ann", "bob"])
def test_wanted_without_a_word_about_anybody(user: str) -> None:
    class Somebody:
        id, user = ConnectionId("c"), User(UserId("ann"))

    assert wanted(Envelope(Kind.MESSAGE, b""), Somebody())
    assert wanted(Envelope(Kind.MESSAGE, b"", only=frozenset({user})), Somebody()) is (user == "ann")
