"""What came in one piece is read in portions, in order, and what that cost is told."""

import zlib

import pytest

from hubbub.protocol.deflate import Inflate
from hubbub.protocol.frames import FRAME, INFLATED, PORTION, Broken, Parser, Ping
from tests.protocol.masked import CONT, FIN, PING, RSV1, TEXT, all_of, frame, parser, text, unmasking

pytestmark = pytest.mark.usefixtures(unmasking.__name__)


def test_so_many_frames_at_once_and_the_rest_later() -> None:
    client = parser()
    data = b"".join(text(str(number)) for number in range(200))
    found = client.feed(data)
    assert found == [str(number) for number in range(PORTION)]
    assert client.more
    while client.more:
        found += client.feed(b"")
    assert found == [str(number) for number in range(200)]
    assert client.feed(text("on")) == ["on"]


def test_what_comes_meanwhile_comes_behind_it() -> None:
    client = parser()
    data = b"".join(text(str(number)) for number in range(5))
    assert client.feed(data + text("5")[:3], 2) == ["0", "1"]
    assert client.feed(text("5")[3:] + text("6"), 2) == ["2", "3"]
    assert all_of(client, text("7")) == ["4", "5", "6", "7"]
    assert not client.assembling


def test_frames_that_are_nothing_yet_count_as_well() -> None:
    client = parser()
    data = frame(TEXT, b"a") + frame(CONT, b"") * 100 + frame(FIN | CONT, b"b")
    assert client.feed(data) == []
    assert client.more
    assert client.cost == PORTION * FRAME
    assert all_of(client, b"") == ["ab"]
    assert client.cost == 102 * FRAME


def test_whole_texts_cost_their_bytes_and_other_frames_more() -> None:
    client = parser()
    assert len(client.feed(text("a") * 10)) == 10
    assert client.cost == 0
    assert client.feed(frame(FIN | PING)) == [Ping(b"")]
    assert client.cost == FRAME


def test_what_is_inflated_costs_what_comes_out_and_is_bounded_at_once() -> None:
    client = Parser(limit=65_536, inflate=Inflate(15))
    deflater = zlib.compressobj(wbits=-15)
    small = deflater.compress(b"x" * 60_000) + deflater.flush(zlib.Z_SYNC_FLUSH)
    one = frame(FIN | RSV1 | TEXT, small[:-4])
    found = client.feed(one * 20)
    assert len(found) == -(-INFLATED // 60_000)
    assert client.cost >= 60_000 * len(found) - len(small) * len(found)
    assert len(found) + len(all_of(client, b"")) == 20


def test_nothing_is_left_behind_the_end() -> None:
    client = parser()
    found = client.feed(text("a") * 3 + b"\xff\xff" + text("b") * 200, 2)
    found += client.feed(b"")
    assert [type(item) for item in found] == [str, str, str, Broken]
    assert not client.more
    assert client.feed(text("c")) == []
