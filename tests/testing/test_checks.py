"""Every kind of violation is found where it was put by hand, and nothing is found where there is none."""

from collections.abc import Callable
from typing import Any

import pytest

from hubbub.testing import Acknowledged, Ledger, Violation, Wrong, checks
from hubbub.types import Position

E, F = "e", "f"


def joined(offset: int | None = 0, *, epoch: str = E, recovered: bool | None = None, **more: Any) -> dict[str, Any]:
    message = {"type": "room_joined", "room": "tea", **more}
    if offset is not None:
        message |= {"epoch": epoch, "offset": offset}
    return message if recovered is None else {**message, "recovered": recovered}


def said(offset: int | None, n: int | None = None) -> dict[str, Any]:
    message = {"type": "said", "n": offset if n is None else n, "room": "tea"}
    return message if offset is None else {**message, "offset": offset}


def gap(after: int, upto: int, epoch: str = E) -> dict[str, Any]:
    return {"type": "gap", "room": "tea", "epoch": epoch, "after": after, "upto": upto}


def came(user: str) -> dict[str, Any]:
    return {"type": "user_joined_room", "room": "tea", "user": user}


def went(user: str) -> dict[str, Any]:
    return {"type": "user_left_room", "room": "tea", "user": user}


def diff(come: list[str], gone: list[str]) -> dict[str, Any]:
    return {"type": "presence_diff", "room": "tea", "joined": come, "left": gone}


def asking(since: dict[str, Any]) -> dict[str, Any]:
    return {"type": "join_room", "room": "tea", "since": since}


LEFT = {"type": "room_left", "room": "tea"}
GONE = object()


def ledger(*events: Any, client: str = "alice") -> Ledger:
    """What the client sent (`join_room`), got, and GONE where its socket was."""
    made = Ledger(client, clock=lambda: 0.0)
    for event in events:
        if event is GONE:
            made.closed(1006)
        elif event["type"] == "join_room":
            made.sent(event)
        else:
            made.received(event)
    return made


def kinds(found: list[Violation]) -> list[Wrong]:
    assert all(str(each) for each in found)
    return [each.kind for each in found]


def all_of(*ledgers: Ledger) -> list[Violation]:
    every: list[Callable[[Any], list[Violation]]] = [checks.in_order, checks.whole, checks.agreed, checks.announced]
    return [violation for check in every for violation in check(ledgers)]


BACK = asking({"epoch": E, "offset": 2})

GOOD = {
    "from the first": [joined(), said(1), said(2)],
    "from the middle": [joined(7), said(8), said(9)],
    "recovered": [joined(), said(1), said(2), GONE, BACK, joined(4, recovered=True), said(3), said(4), said(5)],
    "nothing was missed": [joined(), said(1), said(2), GONE, BACK, joined(2, recovered=True), said(3)],
    "a replay is cut short": [
        *[joined(), said(1), said(2), GONE, BACK, joined(4, recovered=True), said(3), GONE],
        *[asking({"epoch": E, "offset": 3}), joined(4, recovered=True), said(4)],
    ],
    "not recovered": [joined(), said(1), said(2), GONE, BACK, joined(9, recovered=False), said(10)],
    "another epoch": [joined(), said(1), said(2), GONE, BACK, joined(1, epoch=F, recovered=False), said(2, 12)],
    "all that is kept": [asking({"offset": 0}), joined(2, recovered=True), said(1), said(2), said(3)],
    "all that is left": [asking({"offset": 0}), joined(9, recovered=False), said(8), said(9), said(10)],
    "a gap": [joined(), said(1), gap(1, 5), said(6)],
    "a gap while it is replayed": [asking({"offset": 0}), joined(3, recovered=True), gap(0, 2), said(3)],
    "a new epoch": [joined(), said(1), gap(0, 3, F), said(4)],
    "a new epoch with the same offsets": [joined(), said(1), said(2), gap(0, 0, F), said(1, 11), said(2, 12)],
    "joined again": [joined(), said(1), said(2), said(3), BACK, joined(3, recovered=True), said(3)],
    "left": [joined(), said(1), LEFT, joined(5), said(6)],
    "no history": [joined(None), said(None, 1), said(None, 2)],
    "no history, and asked": [BACK, joined(None, recovered=False), said(None, 1)],
    "no history, and slow": [joined(None), {"type": "gap", "room": "tea", "dropped": 3}, said(None, 2)],
    "an error": [{"type": "error", "code": "forbidden", "message": "no", "id": "1"}, joined(), said(1)],
    "a message to the user about another room": [{"type": "invited", "room": "coffee"}],
    "its own room before it is joined": [{"type": "letter", "room": "@me", "offset": 7}],
    "presence": [joined(members=["alice", "bob"]), came("carol"), went("bob"), came("bob"), went("carol")],
    "announced once more": [joined(members=["alice", "bob"]), came("bob"), went("bob")],
    "gone while it joined": [joined(members=["alice"]), went("bob"), came("bob")],
    "diffs": [joined(members=["alice"]), diff(["bob", "carol"], []), diff([], ["bob"]), diff(["bob"], ["carol"])],
}

BAD = {
    "twice": (Wrong.ORDER, [joined(), said(1), said(1)]),
    "back": (Wrong.ORDER, [joined(), said(1), said(2), said(3), said(2)]),
    "before the join": (Wrong.ORDER, [joined(5), said(5)]),
    "replayed what it had": (Wrong.ORDER, [BACK, joined(3, recovered=True), said(2), said(3)]),
    "skipped": (Wrong.HOLE, [joined(), said(1), said(3)]),
    "skipped at the beginning": (Wrong.HOLE, [joined(4), said(6)]),
    "skipped in a replay": (Wrong.HOLE, [BACK, joined(5, recovered=True), said(3), said(5)]),
    "replay not given": (Wrong.HOLE, [BACK, joined(5, recovered=True)]),
    "replay not finished": (Wrong.HOLE, [BACK, joined(5, recovered=True), said(3)]),
    "what is kept not finished": (Wrong.HOLE, [asking({"offset": 0}), joined(9, recovered=False), said(8)]),
    "skipped before a gap": (Wrong.HOLE, [joined(), said(1), gap(3, 5), said(6)]),
    "skipped after a gap": (Wrong.HOLE, [joined(), said(1), gap(1, 5), said(7)]),
    "skipped in the new epoch": (Wrong.HOLE, [joined(), said(1), gap(0, 2, F), said(4)]),
    "went on further than it was": (
        Wrong.HOLE,
        [joined(), said(1), GONE, BACK, joined(3, recovered=True), said(3)],
    ),
    "recovered into another epoch": (Wrong.UNTRUE, [BACK, joined(2, epoch=F, recovered=True)]),
    "recovered from beyond": (Wrong.UNTRUE, [BACK, joined(1, recovered=True)]),
    "recovered without history": (Wrong.UNTRUE, [BACK, joined(None, recovered=True)]),
    "recovered unasked": (Wrong.UNTRUE, [joined(3, recovered=False)]),
    "asked and not told": (Wrong.UNTRUE, [BACK, joined(3)]),
    "a gap over what came": (Wrong.UNTRUE, [joined(), said(1), said(2), gap(1, 2)]),
    "a gap that is none": (Wrong.UNTRUE, [joined(), said(1), gap(5, 3)]),
    "a new epoch from the middle": (Wrong.UNTRUE, [joined(), gap(3, 5, F)]),
    "after it left": (Wrong.STRAY, [joined(), said(1), LEFT, said(2)]),
    "never in": (Wrong.STRAY, [said(1)]),
    "one message at two offsets": (Wrong.TWICE, [joined(), said(1, 7), said(2, 7)]),
    "one message in two epochs": (Wrong.TWICE, [joined(), said(1), gap(0, 0, F), said(1)]),
    "twice without history": (Wrong.TWICE, [joined(None), said(None, 1), said(None, 2), said(None, 1)]),
    "came again": (Wrong.PRESENCE, [joined(members=[]), came("bob"), came("bob")]),
    "a ghost went twice": (Wrong.PRESENCE, [joined(members=["bob"]), went("bob"), went("bob")]),
    "told of itself": (Wrong.PRESENCE, [joined(members=["alice"]), went("alice")]),
    "told of itself in a diff": (Wrong.PRESENCE, [joined(members=["alice"]), diff(["alice"], [])]),
    "diffed twice": (Wrong.PRESENCE, [joined(members=[]), diff(["bob"], []), diff(["bob"], [])]),
}


@pytest.mark.parametrize("events", GOOD.values(), ids=GOOD.keys())
def test_what_is_promised_passes(events: list[Any]) -> None:
    assert all_of(ledger(*events), ledger(*events, client="dave")) == []


@pytest.mark.parametrize(("wrong", "events"), BAD.values(), ids=BAD.keys())
def test_what_is_wrong_is_found(wrong: Wrong, events: list[Any]) -> None:
    assert set(kinds(all_of(ledger(*events)))) == {wrong}


def test_every_kind_has_a_case() -> None:
    assert {wrong for wrong, _ in BAD.values()} | {Wrong.DISAGREE, Wrong.LOST, Wrong.BEHIND} == set(Wrong)


def test_two_messages_at_one_offset() -> None:
    one, two = ledger(joined(), said(1, 7)), ledger(joined(), said(1, 8), client="bob")
    found = checks.agreed([one, two])
    assert kinds(found) == [Wrong.DISAGREE]
    assert "alice" in str(found[0])
    assert "bob" in str(found[0])
    assert checks.agreed([one, ledger(joined(epoch=F), said(1, 8))]) == []


def test_one_order_where_there_are_no_offsets() -> None:
    orders = ([1, 2, 3], [1, 3], [2, 3, 4])
    fine = [ledger(joined(None), *(said(None, n) for n in order)) for order in orders]
    assert checks.agreed(fine) == []
    crossed = ledger(joined(None), said(None, 3), said(None, 1), client="bob")
    assert kinds(checks.agreed([*fine, crossed])) == [Wrong.DISAGREE]
    circle = [ledger(joined(None), said(None, a), said(None, b)) for a, b in ((1, 2), (2, 3), (3, 1))]
    assert kinds(checks.agreed(circle)) == [Wrong.DISAGREE]


def test_what_is_the_same_is_the_callers_to_say() -> None:
    one = ledger(joined(), said(1, 7), said(2, 7))
    assert checks.agreed([one], same=lambda message: (message["n"], message["offset"])) == []
    assert checks.agreed([one], same=lambda message: None) == []


def acknowledged(offset: int | None, n: int | None = None, epoch: str = E, **more: Any) -> Acknowledged:
    position = None if offset is None else Position(epoch, offset)
    return Acknowledged(
        room="tea", message={"type": "said", "n": offset if n is None else n}, position=position, **more
    )


@pytest.mark.parametrize(
    ("events", "lost"),
    [
        ([joined(), said(1), said(2), said(3)], []),
        ([joined(), said(1), said(3)], [2]),
        ([joined(), said(1), said(2)], [3]),
        ([joined(1), said(2), said(3)], []),
        ([joined(1)], [2, 3]),
        ([joined(), said(1), gap(1, 2), said(3)], []),
        ([joined(), said(1), GONE], []),
        ([joined(), said(1), said(3), GONE], [2]),
        ([joined(), said(1), LEFT], []),
        ([joined(), said(1), GONE, joined(2), said(3)], []),
        ([joined(), said(1), said(2), GONE, BACK, joined(3, recovered=True)], [3]),
        ([joined(), said(1), said(2), GONE, BACK, joined(3, recovered=False)], []),
        ([joined(), said(1), gap(0, 5, F)], []),
        ([joined(), said(1), said(2), said(3, 7)], [3]),
        ([asking({"offset": 0}), joined(3, recovered=False), said(3)], []),
        ([asking({"offset": 0}), joined(3, recovered=True), said(2), said(3)], [1]),
        ([], []),
    ],
)
def test_what_was_acknowledged_is_there(events: list[Any], lost: list[int]) -> None:
    for offset in (1, 2, 3):
        found = checks.delivered([ledger(*events)], [acknowledged(offset)])
        assert kinds(found) == ([Wrong.LOST] if offset in lost else []), offset


def test_acknowledged_in_the_new_epoch() -> None:
    moved = ledger(joined(), said(1), gap(0, 2, F), said(3))
    assert checks.delivered([moved], [acknowledged(2, epoch=F), acknowledged(3, epoch=F)]) == []
    assert kinds(checks.delivered([moved], [acknowledged(4, epoch=F)])) == [Wrong.LOST]
    assert checks.delivered([moved], [acknowledged(2)]) == []


def test_who_was_left_out_is_owed_nothing() -> None:
    one = ledger(joined(), said(1), said(3))
    assert checks.delivered([one], [acknowledged(2, excluded={"alice"})]) == []
    assert kinds(checks.delivered([one], [acknowledged(2, excluded={"bob"})])) == [Wrong.LOST]


def test_what_was_acknowledged_without_history() -> None:
    there = [joined(None), said(None, 1)]
    assert checks.delivered([ledger(*there)], [acknowledged(None, 1, began=1.0)]) == []
    assert kinds(checks.delivered([ledger(*there)], [acknowledged(None, 2, began=1.0)])) == [Wrong.LOST]
    assert checks.delivered([ledger(*there)], [acknowledged(None, 2, began=-1.0)]) == []
    assert checks.delivered([ledger(*there, GONE)], [acknowledged(None, 2, began=1.0)]) == []
    slow = ledger(*there, {"type": "gap", "room": "tea", "dropped": 1})
    assert checks.delivered([slow], [acknowledged(None, 2, began=1.0)]) == []


def test_at_the_end_all_are_where_the_room_is() -> None:
    one, two = ledger(joined(), said(1)), ledger(joined(), client="bob")
    assert checks.caught_up([one], {"tea": Position(E, 1)}) == []
    assert kinds(checks.caught_up([one, two], {"tea": Position(E, 1)})) == [Wrong.BEHIND]
    assert kinds(checks.caught_up([one], {"tea": Position(F, 1)})) == [Wrong.BEHIND]
    assert checks.caught_up([ledger(joined(), LEFT), ledger(joined(), GONE)], {"tea": Position(E, 1)}) == []


def test_at_the_end_all_know_who_is_there() -> None:
    one = ledger(joined(members=["alice", "bob"]), went("bob"), came("carol"))
    assert checks.present([one], "tea", {"alice", "carol"}) == []
    assert kinds(checks.present([one], "tea", {"alice"})) == [Wrong.PRESENCE]
    assert kinds(checks.present([one], "tea", {"alice", "bob", "carol"})) == [Wrong.PRESENCE]
    assert checks.present([ledger(joined(members=["alice"]), GONE)], "tea", set()) == []


def test_a_ghost_goes_once() -> None:
    here = joined(members=["alice", "ghost"])
    assert checks.gone_once([ledger(here, went("ghost"))], "tea", {"ghost"}) == []
    assert kinds(checks.gone_once([ledger(here)], "tea", {"ghost"})) == [Wrong.PRESENCE]
    assert kinds(checks.gone_once([ledger(here, went("ghost"), went("ghost"))], "tea", {"ghost"})) == [Wrong.PRESENCE]
    assert checks.gone_once([ledger(joined(members=["alice"]))], "tea", {"ghost"}) == []
