"""A room message walks through each room once, and in few calls; `way.py` says what is traced."""

import pytest

from tests.architecture.way import PAGE, TOOLS, Way, on_page, traced

#: Functions of ours, comprehensions among them: what the way may come to before somebody looks at it.
MOST = 60


@pytest.fixture
async def way() -> Way:
    return await traced()


def rooms(entered: list[str]) -> list[str]:
    return [room for room in entered if room not in TOOLS]


async def test_the_way_is_short(way: Way) -> None:
    assert len(way.calls) <= MOST, f"{len(way.calls)} calls:\n{way}"


async def test_each_room_is_entered_once_but_for_the_answer_and_the_turn_of_the_loop(way: Way) -> None:
    one, other = way.turns
    there = ["transports", "connection", "handlers", "rooms", "brokers", "history", "delivery"]
    answer = ["delivery"]
    assert rooms(one.entered) == there + answer, str(way)
    # One write for the members, and one for the sender, whose answer goes with it.
    assert rooms(other.entered) == ["delivery", "transports", "transports"], str(way)


async def test_a_message_is_counted_before_it_is_read(way: Way) -> None:
    called = [f"{call.module}: {call.function}" for call in way.turns[0].calls]
    kinds = ("Parser.feed", "Connection.receive", "Throttle.spend", "Session.receive")
    assert [call for call in called if call.endswith(kinds)] == [
        "protocol/frames: Parser.feed",
        "connection/connection: Connection.receive",
        "connection/throttle: Throttle.spend",
        "protocol/session: Session.receive",
    ], str(way)


async def test_the_page_shows_the_way(way: Way) -> None:
    assert on_page(PAGE.read_text()) == str(way), "make way"
