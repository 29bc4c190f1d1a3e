"""What one worker knows of one topic, and what it can say from that alone."""

import pytest

from hubbub.delivery.message import Outgoing
from hubbub.history.topic import TopicHistory
from hubbub.history.window import Missed
from hubbub.options import History, Limits
from hubbub.protocol.codec import Prepared
from hubbub.protocol.session import Since
from hubbub.scheduling.single_flight import SingleFlight
from hubbub.types import Position

HERE = Position("e", 7)


async def _never() -> None:
    raise AssertionError("nobody asked")


def track(*, size: int = 100, ttl: float = 3600, **limits: int) -> TopicHistory:
    return TopicHistory(
        History(size=size, ttl=ttl), Limits(**limits), lambda _: SingleFlight(lambda work: None, _never)
    )  # type: ignore[arg-type,return-value]


def opened(made: TopicHistory, *sizes: int) -> TopicHistory:
    """At hand are messages of these sizes, up to HERE."""
    made.position = HERE
    made.open_window(HERE.offset - len(sizes))
    assert made.window is not None
    for size in sizes:
        made.window.append(Outgoing(Prepared(b"x" * size), kept=True))
    return made


def sizes(found: Missed[Outgoing] | None) -> tuple[list[int], bool] | None:
    return None if found is None else ([len(each) for each in found.messages], found.complete)


@pytest.mark.parametrize("since", [Since("e", 7), Since(None, 7)])
def test_who_is_where_the_topic_is_missed_nothing(since: Since) -> None:
    assert sizes(track().recover(HERE, since)) == ([], True)


@pytest.mark.parametrize("since", [Since("f", 7), Since("f", 3), Since("e", 8), Since(None, 8), Since("e", 3)])
def test_what_happened_elsewhere_or_before_is_not_known(since: Since) -> None:
    assert track().recover(HERE, since) is None


def test_the_next_ones_are_at_hand() -> None:
    made = opened(track(), 1, 2, 3)
    assert sizes(made.recover(HERE, Since("e", 4))) == ([1, 2, 3], True)
    assert sizes(made.recover(HERE, Since(None, 6))) == ([3], True)
    assert made.recover(HERE, Since("e", 3)) is None
    assert sizes(made.recover(HERE, Since(None, 0))) is None
    assert made.window is not None
    made.window.reach_back([], whole=True)
    assert sizes(made.recover(HERE, Since("e", 3))) == ([], False)
    assert sizes(made.recover(HERE, Since("e", 0))) == ([], False)
    assert sizes(made.recover(HERE, Since(None, 0))) == ([1, 2, 3], False)


def test_no_more_is_handed_out_than_half_an_outbox() -> None:
    made = opened(track(outbox=20, payload=10), 5, 5, 5)
    assert sizes(made.recover(HERE, Since("e", 5))) == ([5, 5], True)
    assert sizes(made.recover(HERE, Since("e", 4))) == ([], False)
    assert sizes(made.recover(HERE, Since(None, 0))) == ([5, 5], False)


@pytest.mark.parametrize(("size", "replay", "most"), [(2, 5, 2), (5, 2, 2)])
def test_no_more_is_at_hand_than_is_kept_or_handed_out(size: int, replay: int, most: int) -> None:
    made = opened(track(size=size, replay=replay), 1, 1, 1)
    assert made.window is not None
    assert made.window.top - made.window.after == most


def test_the_newest_are_at_hand_as_long_as_they_are_asked_for() -> None:
    made = opened(track(), 1, 2, 3)
    for _ in range(5):
        for _ in range(10):
            made.grow_old()
        assert made.recover(HERE, Since("e", 6)) is not None
    for _ in range(11):
        made.grow_old()
    assert made.window is None


@pytest.mark.parametrize(("ttl", "rounds"), [(1, 1), (20, 3), (60, 7)])
def test_what_is_asked_for_again_and_again_is_not_handed_out_long_after_its_time(ttl: float, rounds: int) -> None:
    made = opened(track(ttl=ttl), 1, 2, 3)
    for left in reversed(range(rounds)):
        assert made.recover(HERE, Since("e", 6)) is not None
        made.grow_old()
        assert (made.window is None) is (left == 0)


def test_what_waits_keeps_its_order_and_a_look_finds_what_is_kept() -> None:
    made = track()
    for data, position in ((b"1", HERE), (b"n", None)):
        assert made.hold_back(data, position)
    made.begin_look()
    assert made.hold_back(b"2", Position("e", 8))
    assert made.let_go() == ([(b"n", None), (b"2", Position("e", 8))], True)
    assert made.let_go() == ([], True)


@pytest.mark.parametrize("most", ["count", "size"])
def test_where_too_much_waits_it_is_looked_up_or_let_past(most: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = track()
    if most == "count":
        monkeypatch.setattr("hubbub.history.topic._WAITING", 0)
        data = b"x"
    else:
        data = b"x" * (made._limits.outbox + 1)
    assert not made.hold_back(data, None)
    assert made.let_go() == ([], True)
    assert made.hold_back(data, HERE)
    assert made.let_go() == ([], False)
    assert made.hold_back(data, HERE)
    made.begin_look()
    assert made.let_go() == ([], True)
