import pytest

from hubbub.testing import Ledger, ManualClock, Network, Tab
from hubbub.testing.ledger import Since, identity
from hubbub.types import Position
from tests.testing.clusters import making

JOINED = {"type": "room_joined", "room": "tea", "epoch": "e", "offset": 3}
SAID = {"type": "said", "room": "tea", "offset": 4}


def test_the_position_is_where_to_go_on_from() -> None:
    ledger = Ledger("alice")
    assert ledger.position("tea") is None
    ledger.received(JOINED)
    assert ledger.position("tea") == Position("e", 3)
    ledger.received(SAID)
    assert ledger.position("tea") == Position("e", 4)
    ledger.received({"type": "gap", "room": "tea", "epoch": "f", "after": 0, "upto": 2})
    assert ledger.position("tea") == Position("f", 2)
    ledger.closed(1006)
    ledger.received({"type": "room_joined", "room": "coffee"})
    assert (ledger.position("tea"), ledger.position("coffee")) == (Position("f", 2), None)


def test_a_replay_that_was_promised_does_not_move_the_position() -> None:
    ledger = Ledger("alice")
    ledger.sent({"type": "join_room", "room": "tea", "since": {"epoch": "e", "offset": 1}})
    ledger.received({**JOINED, "recovered": True})
    assert ledger.position("tea") == Position("e", 1)
    everything = Ledger("bob")
    everything.sent({"type": "join_room", "room": "tea", "since": {"offset": 0}})
    everything.received({**JOINED, "recovered": False})
    assert everything.position("tea") is None
    everything.received({**SAID, "offset": 2})
    assert everything.position("tea") == Position("e", 2)


def test_several_rooms_that_are_joined_at_once_are_answered_one_by_one() -> None:
    ledger = Ledger("alice")
    since = {"epoch": "e", "offset": 1}
    rooms = [{"room": "coffee", "since": since}, {"room": "tea", "since": since}, {"room": "milk"}]
    ledger.sent({"type": "join_room", "rooms": rooms, "id": 1})
    ledger.received({"type": "error", "code": "forbidden", "room": "coffee", "id": 1})
    ledger.received({**JOINED, "recovered": True, "id": 1})
    ledger.received({"type": "room_joined", "room": "milk", "id": 1})
    assert ledger.position("tea") == Position("e", 1)
    assert ledger.stints["milk"][-1].since is None
    assert "coffee" not in ledger.stints
    assert not ledger.strays


def test_an_answer_belongs_to_its_question() -> None:
    ledger = Ledger("alice")
    for id, offset in ((1, 1), (2, 2)):
        since = {"epoch": "e", "offset": offset}
        ledger.sent({"type": "join_room", "room": "tea", "id": id, "since": since})
    ledger.received({"type": "error", "code": "rate_limited", "message": "", "id": 1})
    ledger.received({**JOINED, "id": 2, "recovered": True})
    ledger.received({**JOINED, "id": 1})
    assert [stint.since for stint in ledger.stints["tea"]] == [Since("e", 2), None]


def test_a_human_can_read_it() -> None:
    ledger = Ledger("alice", clock=ManualClock().now)
    ledger.sent({"type": "join_room", "room": "tea", "since": {"epoch": "e", "offset": 1}})
    for message in (
        {**JOINED, "recovered": True},
        SAID,
        {"type": "gap", "room": "tea", "epoch": "e", "after": 4, "upto": 6},
        {"type": "gap", "room": "tea", "dropped": 2},
        {"type": "user_joined_room", "room": "tea", "user": "bob"},
        {"type": "user_left_room", "room": "tea", "user": "bob"},
    ):
        ledger.received(message)
    ledger.closed(1012)
    assert list(ledger.lines("tea")) == [
        "joined tea at e/3 since e/1, recovered: true",
        "  said at 4",
        "  gap in e after 4 up to 6",
        "  gap of 2",
        "  bob came",
        "  bob went",
        "socket gone",
    ]
    assert (ledger.closes, repr(ledger)) == ([1012], "<Ledger alice: 1 stints>")


def test_where_a_message_stands_does_not_make_it_another() -> None:
    assert identity(SAID) == identity({"offset": 9, "type": "said"}) != identity({"type": "said", "n": 1})


async def test_a_tab_that_was_not_connected_says_so() -> None:
    network = Network()
    tab = Tab(making(network)(network.broker()), "alice")
    with pytest.raises(AssertionError, match="no welcome"):
        assert tab.welcome
    for nothing in (tab.stall, tab.go_on, lambda: tab.read(1)):
        nothing()
    await tab.close()
    assert tab.log == []
