"""An excuse is found and measured: whoever is excused by mistake has lost something after all."""

from typing import Any

import pytest

from tests.soak.diary import Diary, epochs, excuses, received

ROOM = "kept:0"


def diary(*told: dict[str, Any], **since: Any) -> Diary:
    """Of somebody who joined, with `since` where it is given, and was told this."""
    written = Diary("ann", 0.0)
    written.sent({"type": "join_room", "room": ROOM, "id": 1, **({"since": since} if since else {})})
    for message in told:
        written.received({"room": ROOM, **message})
    return written


def joined(offset: int, **recovered: bool) -> dict[str, Any]:
    return {"type": "room_joined", "id": 1, "epoch": "e", "offset": offset, **recovered}


def gap(epoch: str, after: int, upto: int) -> dict[str, Any]:
    return {"type": "gap", "epoch": epoch, "after": after, "upto": upto}


@pytest.mark.parametrize(
    ("written", "missed"),
    [
        (diary(joined(9)), []),
        (diary(joined(9, recovered=True), epoch="e", offset=4), []),
        (diary(joined(9, recovered=False), epoch="e", offset=4), [5]),
        (diary(joined(9, recovered=False), epoch="f", offset=4), [None]),
        (diary(joined(9, recovered=False), offset=0), [9]),
        (diary(joined(3), gap("e", 3, 9)), [6]),
        (diary(joined(3), gap("f", 0, 2), gap("f", 5, 6)), [None, 1]),
    ],
    ids=["joined", "recovered", "not recovered", "another epoch", "not all", "gap", "gaps in a new epoch"],
)
def test_what_was_missed(written: Diary, missed: list[int | None]) -> None:
    assert [excuse.missed for excuse in excuses([written])] == missed


def test_every_epoch_somebody_was_told_of() -> None:
    assert epochs([diary(joined(3), gap("f", 0, 2)), diary(joined(3))], ROOM) == {"e", "f"}


def test_messages_are_counted() -> None:
    said = {"type": "said", "publisher": "p", "number": 1}
    assert received([diary(joined(3), {**said, "offset": 4}, {**said, "offset": 5}), diary()]) == 2
