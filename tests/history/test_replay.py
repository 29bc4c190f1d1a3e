"""What a client that comes back is handed from memory, and for how long it is there."""

import pytest

from hubbub.delivery.message import Outgoing
from hubbub.history.replay import Replay
from hubbub.history.window import Missed
from hubbub.options import History, Limits
from hubbub.protocol.codec import Prepared
from hubbub.protocol.join_room import Since
from hubbub.types import Position

HERE = Position("e", 7)


def replay(*, size: int = 100, ttl: float = 3600, **limits: int) -> Replay:
    return Replay(History(size=size, ttl=ttl), Limits(**limits))


def opened(made: Replay, *sizes: int) -> Replay:
    """At hand are messages of these sizes, up to HERE."""
    made.open(HERE.offset - len(sizes))
    assert made.window is not None
    for size in sizes:
        made.window.append(Outgoing(Prepared(b"x" * size), kept=True))
    return made


def sizes(found: Missed[Outgoing] | None) -> tuple[list[int], bool] | None:
    return None if found is None else ([len(each) for each in found.messages], found.complete)


@pytest.mark.parametrize("since", [Since("e", 7), Since(None, 7)])
def test_who_is_where_the_topic_is_missed_nothing(since: Since) -> None:
    assert sizes(replay().missed(HERE, since)) == ([], True)


@pytest.mark.parametrize("since", [Since("f", 7), Since("f", 3), Since("e", 8), Since(None, 8), Since("e", 3)])
def test_what_happened_elsewhere_or_before_is_not_known(since: Since) -> None:
    assert replay().missed(HERE, since) is None


def test_the_next_ones_are_at_hand() -> None:
    made = opened(replay(), 1, 2, 3)
    assert sizes(made.missed(HERE, Since("e", 4))) == ([1, 2, 3], True)
    assert sizes(made.missed(HERE, Since(None, 6))) == ([3], True)
    assert made.missed(HERE, Since("e", 3)) is None
    assert sizes(made.missed(HERE, Since(None, 0))) is None
    assert made.window is not None
    made.window.reach_back([], whole=True)
    assert sizes(made.missed(HERE, Since("e", 3))) == ([], False)
    assert sizes(made.missed(HERE, Since("e", 0))) == ([], False)
    assert sizes(made.missed(HERE, Since(None, 0))) == ([1, 2, 3], False)


def test_nothing_is_at_hand_once_it_is_closed() -> None:
    made = opened(replay(), 1, 2, 3)
    made.close()
    assert made.missed(HERE, Since("e", 6)) is None
    assert made.window is None


def test_no_more_is_handed_out_than_half_an_outbox() -> None:
    made = opened(replay(outbox=20, payload=10), 5, 5, 5)
    assert sizes(made.missed(HERE, Since("e", 5))) == ([5, 5], True)
    assert sizes(made.missed(HERE, Since("e", 4))) == ([], False)
    assert sizes(made.missed(HERE, Since(None, 0))) == ([5, 5], False)


def test_of_the_largest_message_one_is_handed_out_with_its_offset() -> None:
    largest = Limits().payload + len(',"offset":9007199254740992')
    assert sizes(opened(replay(), 5, largest).missed(HERE, Since("e", 6))) == ([largest], True)
    assert sizes(opened(replay(), 300_000, 300_000).missed(HERE, Since("e", 5))) == ([], False)


@pytest.mark.parametrize(("size", "replayed", "most"), [(2, 5, 2), (5, 2, 2)])
def test_no_more_is_at_hand_than_is_kept_or_handed_out(size: int, replayed: int, most: int) -> None:
    made = opened(replay(size=size, replay=replayed), 1, 1, 1)
    assert made.window is not None
    assert made.window.top - made.window.after == most


def test_the_newest_are_at_hand_as_long_as_they_are_asked_for() -> None:
    made = opened(replay(), 1, 2, 3)
    for _ in range(5):
        for _ in range(10):
            made.grow_old()
        assert made.missed(HERE, Since("e", 6)) is not None
    for _ in range(11):
        made.grow_old()
    assert made.window is None


@pytest.mark.parametrize(("ttl", "checks"), [(1, 1), (20, 3), (60, 7)])
def test_what_is_asked_for_again_and_again_is_not_handed_out_long_after_its_time(ttl: float, checks: int) -> None:
    made = opened(replay(ttl=ttl), 1, 2, 3)
    for left in reversed(range(checks)):
        assert made.missed(HERE, Since("e", 6)) is not None
        made.grow_old()
        assert (made.window is None) is (left == 0)


def test_where_no_message_is_at_hand_older_ones_are_of_no_use() -> None:
    made = replay()
    made.reach_back([(7, Outgoing(Prepared(b"x"), kept=True))], whole=True)
    assert made.missed(HERE, Since("e", 6)) is None
