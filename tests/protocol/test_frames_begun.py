"""Text that is wrong is refused where it is wrong, not at the end of its message: a peer may never come to that."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.protocol.deflate import Inflate, deflate
from hubbub.protocol.frames import Broken, Item, Ping
from tests.protocol.masked import CONT, FIN, PING, RSV1, TEXT, frame, parser, text, unmasking

__all__ = ["unmasking"]

KOSME = "κόσμε".encode()
#: What is no character, and how many of its bytes it takes to know: Python wants to see the whole of a surrogate.
WRONG = {b"\xf4\x90\x80\x80": 2, b"\xed\xa0\x80": 3, b"\xc0\xaf": 1, b"\xe2\x28\xa1": 2, b"\xff": 1}


def is_refused(items: list[Item]) -> bool:
    return [item.close.code for item in items if isinstance(item, Broken)] == [1007]


@pytest.mark.parametrize(("wrong", "known"), WRONG.items())
@pytest.mark.parametrize("lead", [b"", b"a", KOSME, b"x" * 200])
def test_in_a_frame_that_is_not_whole(lead: bytes, wrong: bytes, known: int) -> None:
    whole = frame(FIN | TEXT, lead + wrong + b"and so on" * 20)
    at = len(whole) - 180 - len(wrong) + known
    client = parser()
    assert client.feed(whole[: at - 1]) == []
    assert client.assembling
    assert is_refused(client.feed(whole[at - 1 : at]))
    assert not client.assembling
    assert client.feed(whole[at:] + text("more")) == []


@pytest.mark.parametrize(("wrong", "known"), WRONG.items())
@pytest.mark.parametrize("cut", range(4))
def test_in_a_message_that_is_not_whole(wrong: bytes, known: int, cut: int) -> None:
    said = KOSME + wrong
    first, second = said[: len(KOSME) - 2 + cut], said[len(KOSME) - 2 + cut : len(KOSME) + known]
    client = parser()
    if known + 2 > cut:
        assert client.feed(frame(TEXT, first)) == []
        assert client.feed(frame(FIN | PING, b"\xff")) == [Ping(b"\xff")]
        assert is_refused(client.feed(frame(CONT, second)))
    else:
        assert is_refused(client.feed(frame(TEXT, first)))


def test_a_part_of_a_fragment_is_enough() -> None:
    client = parser()
    fragment = frame(CONT, b"\xb5ok\xff" + b"and so on")
    assert client.feed(frame(TEXT, KOSME[:-1]) + fragment[:9]) == []
    assert is_refused(client.feed(fragment[9:10]))


@given(st.text(min_size=1, max_size=60), st.lists(st.integers(0, 250), max_size=5), st.integers(1, 7))
def test_a_character_may_be_cut_anywhere(said: str, cuts: list[int], size: int) -> None:
    whole = said.encode()
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    parts = [whole[a:b] for a, b in pairwise(edges)]
    sent = b"".join(
        frame((FIN if at == len(parts) - 1 else 0) | (CONT if at else TEXT), part) for at, part in enumerate(parts)
    )
    client = parser()
    for _ in range(2):  # the second begins where the first has ended
        found = [item for at in range(0, len(sent), size) for item in client.feed(sent[at : at + size])]
        assert found == [said]
    assert not client.assembling


def test_bytes_and_what_is_compressed_are_not_looked_at_before_their_end() -> None:
    for first, wrong, inflate in (
        (2, b"\xff" * 20, None),
        (RSV1 | TEXT, deflate(b"a" * 100 + b"b" * 9, 12), Inflate(12)),
    ):
        client = parser(inflate=inflate)
        assert client.feed(frame(first, wrong[:3]) + frame(CONT, wrong[3:])[:-1]) == []
        assert client.assembling
