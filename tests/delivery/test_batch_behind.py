"""A batch whose recipients cannot take it all: what is left waits in order, and nobody else is harmed."""

from collections.abc import Sequence

import pytest

from hubbub.delivery.message import Outgoing
from tests.kit.batches import BatchedRooms, company, wires
from tests.kit.recipients import Reader


def test_what_the_socket_does_not_take_waits_and_so_does_all_that_follows() -> None:
    s = BatchedRooms("ann", "bob", "cid")
    ann, bob, cid = s.readers
    ann.writer.takes, bob.writer.takes = 1, 3
    for _ in range(3):
        s.spread()
    s.turn.end()
    assert [reader.clear for reader in s.readers] == [False, False, True]
    assert [len(reader.waiting) for reader in s.readers] == [2, 0, 0]
    s.spread()
    s.hand(ann)
    assert [len(reader.waiting) for reader in s.readers] == [2, 0, 0]
    assert (ann.told, bob.told, cid.told) == ([1, 2, 3, 4, 5], [1, 2, 3, 4], [1, 2, 3, 4])
    assert [len(reader.waiting) for reader in s.readers] == [4, 1, 0]
    assert company(cid) == [wires(*s.readers), wires(cid)]
    assert s.counted == 12


def test_what_the_socket_does_not_take_of_an_answer_waits() -> None:
    s = BatchedRooms("ann")
    [ann] = s.readers
    ann.writer.takes = 1
    s.hand(ann)
    s.hand(ann)
    s.turn.end()
    assert [len(ann.writer.read), len(ann.waiting), ann.clear] == [1, 1, False]


def test_whose_answer_is_cut_is_behind_and_nobody_else() -> None:
    s = BatchedRooms("ann", "bob")
    ann, bob = s.readers
    ann.writer.takes = 0
    s.say(ann)
    s.say(bob)
    assert (ann.told, bob.told) == ([1], [2])
    assert (ann.clear, bob.clear) == (False, True)
    s.say(ann)
    assert ann.told == [1, 3]
    assert len(ann.waiting) == 1


class Leaving(Reader):
    """One that closes as soon as it is behind: it is out of its room, which is told so."""

    setting: BatchedRooms

    def put_back(self, messages: Sequence[Outgoing]) -> None:
        self.clear = False
        self.queue(messages)

    def queue(self, messages: Sequence[Outgoing]) -> None:
        s = self.setting
        s.turn.batcher.flush()
        if self in s.rooms["a"]:
            s.leave("a", self)
            s.spread()
            s.turn.batcher.flush()


@pytest.mark.parametrize("behind", ["blocked", "short"])
@pytest.mark.parametrize("private", [(), (0,), (1,), (0, 1, 2, 3)])
def test_who_closes_while_it_is_written_to_harms_no_order(behind: str, private: tuple[int, ...]) -> None:
    s = BatchedRooms("ann")
    [ann] = s.readers
    going = [Leaving(name, s.turn) for name in ("bob", "cid")]
    dan = Reader("dan", s.turn)
    for reader in (*going, dan):
        s.join("a", reader)
    for reader in going:
        reader.setting = s
        if behind == "short":
            reader.writer.takes = 1
        else:
            reader.clear = False
    everybody = [ann, *going, dan]
    s.spread()
    s.spread(without_users=frozenset({"nobody", "dan"}))
    for n in private:
        s.hand(everybody[n])
    own = [2 + private.index(n) + 1 if n in private else None for n in range(4)]
    last = [3 + len(private), 4 + len(private)]
    assert ann.told == [number for number in (1, 2, own[0], *last) if number]
    assert dan.told == [number for number in (1, own[3], *last) if number]
    assert s.rooms["a"] == [ann, dan]


def test_a_failure_is_not_the_end_of_all_writing() -> None:
    s = BatchedRooms("ann")
    [ann] = s.readers

    def fail(_: object) -> None:
        raise ZeroDivisionError

    write, ann.writer.write = ann.writer.write, fail  # type: ignore[method-assign]
    s.hand(ann)
    with pytest.raises(ZeroDivisionError):
        s.turn.end()
    ann.writer.write = write  # type: ignore[method-assign]
    s.hand(ann)
    assert ann.told == [2]
