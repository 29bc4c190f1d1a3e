import json
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.options import MOST_PRESENCE
from hubbub.protocol.envelope import BUNDLE, POSITIONED, Envelope, Kind, UnknownEnvelope, join, parted, split
from hubbub.protocol.presence import of_each, shown
from hubbub.types import Position
from tests.protocol.bus import positioned

anything = st.text(st.characters(categories=None))
names = st.frozensets(anything, max_size=5)


def packed(header: bytes, *, version: int = 1, kind: int = 1, length: int | None = None, payload: bytes = b"") -> bytes:
    return struct.pack("!BBH", version, kind, len(header) if length is None else length) + header + payload


#: What is JSON text may stand beside a notice.
beside = st.none() | st.text().map(str.encode)


traces = st.none() | st.text()


@given(
    st.builds(Envelope, st.sampled_from(Kind), st.binary(), names, names, names, st.none() | anything, beside, traces)
)
def test_what_goes_into_the_broker_comes_out_of_it(envelope: Envelope) -> None:
    assert Envelope.decode(envelope.encode()) == envelope


@pytest.mark.parametrize("kind", Kind)
def test_where_there_is_nothing_to_say_four_bytes_are_added(kind: Kind) -> None:
    assert Envelope(kind, b"payload").encode() == bytes([1, kind, 0, 0]) + b"payload"


def test_the_kinds_keep_their_numbers_because_two_releases_may_share_a_broker() -> None:
    assert {kind.name: kind.value for kind in Kind} == {
        "MESSAGE": 1,
        "NOTICE": 2,
        "DISCONNECT": 3,
        "CLOSE_ROOM": 4,
        "REMOVE": 5,
        "CAME": 6,
        "WENT": 7,
        "PUT_IN": 8,
        "TAKE_OUT": 9,
        "SHOWN": 10,
        "CHANGED": 11,
        "REMOVED": 13,
        "REVOKED": 14,
        "ASKED": 15,
        "ANSWERED": 16,
    }


def test_the_layout_is_that_of_version_1() -> None:
    data = Envelope(
        Kind.REMOVE,
        b"\x00\xff",
        without_users=frozenset({"b", "a"}),
        without_connections=frozenset({"c"}),
        only=frozenset({"d"}),
        key="e",
        presence='{"é":{}}'.encode(),
        trace="f",
    ).encode()
    version, kind, length = struct.unpack_from("!BBH", data)
    assert (version, kind) == (1, 5)
    said = json.loads(data[4 : 4 + length])
    assert said == {"u": ["a", "b"], "c": ["c"], "o": ["d"], "k": "e", "p": '{"é":{}}', "t": "f"}
    assert data[4 + length :] == b"\x00\xff"


@pytest.mark.parametrize("text", ["\x7f", "\x01", '"', "\\", "é", "€", "😀"])
def test_whatever_may_be_shown_fits_the_header(text: str) -> None:
    each = len(json.dumps(text, ensure_ascii=False).encode()) - 2
    seen = shown({"": text * ((MOST_PRESENCE - 7) // each)}, limit=MOST_PRESENCE)
    user = "\x80" * 64
    envelope = Envelope(Kind.CAME, b"", without_users=frozenset({user}), presence=of_each({user: seen}))
    assert Envelope.decode(envelope.encode()) == envelope


@pytest.mark.parametrize("payload", [b"", b"{", b"\x80\x04", b"\x00" * 70_000], ids=lambda data: f"{len(data)} bytes")
def test_the_payload_is_never_looked_into(payload: bytes) -> None:
    assert Envelope.decode(packed(b"", payload=payload)).payload == payload
    assert Envelope.decode(packed(b"{}", payload=payload)).payload == payload


def test_a_header_may_say_more_than_we_know() -> None:
    header = b'{"u":["a"],"later":"00-1"}'
    assert Envelope.decode(packed(header, payload=b"x")) == Envelope(Kind.MESSAGE, b"x", without_users=frozenset({"a"}))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "error"),
        (b"\x01\x01\x00", "error"),
        (packed(b"", version=0), "version 0"),
        (packed(b"", version=2), "version 2"),
        (packed(b"not ours", version=2, kind=99), "version 2"),
        (packed(b"", kind=0), "ValueError"),
        (packed(b"", kind=12), "ValueError"),
        (packed(b"{}", kind=12), "ValueError"),
        (packed(b"{}", length=3), "cut short"),
        (packed(b"{", payload=b"}"), "JSONDecodeError"),
        (packed(b"\xff\xfe\xfd"), "UnicodeDecodeError"),
        (packed(b"[]"), "AttributeError"),
        (packed(b"null"), "AttributeError"),
        (packed(b'{"u":7}'), "TypeError"),
        (packed(b'{"c":null}'), "TypeError"),
        (packed(b'{"o":[[]]}'), "TypeError"),
        (packed(b'{"k":7}'), "TypeError"),
        (packed(b'{"k":["a"]}'), "TypeError"),
        (packed(b'{"p":{}}'), "TypeError"),
        (packed(b'{"p":"\\ud800"}'), "UnicodeEncodeError"),
        (packed(b"[" * 60_000), "RecursionError"),
        (packed(b'{"u":' + b"9" * 5000 + b"}"), "ValueError"),
    ],
)
def test_bytes_that_are_no_envelope_of_ours_are_said_to_be_none(data: bytes, why: str) -> None:
    with pytest.raises(UnknownEnvelope) as caught:
        Envelope.decode(data)
    assert str(caught.value) == why


def test_an_unknown_envelope_tells_nothing_of_what_was_in_it() -> None:
    with pytest.raises(UnknownEnvelope) as caught:
        Envelope.decode(packed(b'{"secret'))
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


def try_to_read(data: bytes) -> None:
    with suppress(UnknownEnvelope):
        Envelope.decode(data)


@given(st.binary())
def test_garbage_is_an_envelope_or_unknown(data: bytes) -> None:
    try_to_read(data)


@given(
    st.binary() | st.text(st.sampled_from('[]{}":,ucokN1\\')).map(str.encode),
    st.integers(0, 11) | st.just(255),
    st.binary(max_size=3),
)
def test_garbage_under_a_good_head_is_an_envelope_or_unknown(header: bytes, kind: int, payload: bytes) -> None:
    try_to_read(packed(header, kind=kind, payload=payload))


def test_more_exclusions_than_a_header_can_hold_fail_at_the_sender() -> None:
    fits = frozenset({"x" * (0xFFFF - len('{"u":[""]}'))})
    assert Envelope.decode(Envelope(Kind.MESSAGE, b"", fits).encode()).without_users == fits
    with pytest.raises(ValueError, match="too many exclusions for one message"):
        Envelope(Kind.MESSAGE, b"", frozenset({"x" + name for name in fits})).encode()


#: What begins like a bundle, and all else.
carried = st.binary() | st.binary().map(b"\x01\x00".__add__)


@given(st.lists(carried, min_size=1, max_size=8))
def test_a_bundle_comes_apart_into_what_went_into_it(envelopes: list[bytes]) -> None:
    assert list(split(join(envelopes))) == envelopes


@given(st.builds(Envelope, st.sampled_from(Kind), st.binary(), names, names, names, presence=beside))
def test_one_envelope_alone_stays_what_it_is(envelope: Envelope) -> None:
    assert join([envelope.encode()]) == envelope.encode()


def test_the_layout_of_a_bundle_is_that_of_version_1() -> None:
    assert join([b"one", b"", b"three"]) == (
        b"\x01\x00\x00\x03" + b"\0\0\0\x03" + b"\0\0\0\0" + b"\0\0\0\x05" + b"onethree"
    )
    assert len(split(join([b"x"] * BUNDLE))) == BUNDLE


@pytest.mark.parametrize(
    "data",
    [
        b"\x01\x00",
        b"\x01\x00\x00\x00",
        b"\x01\x00\x00\x01\x00\x00\x00",
        join([b"one", b"two"])[:-1],
        join([b"one", b"two"]) + b"x",
        b"\x02\x00\x00\x01\x00\x00\x00\x00",
    ],
)
def test_a_bundle_that_is_not_whole_is_one_unknown_envelope(data: bytes) -> None:
    assert list(split(data)) == [data]
    with pytest.raises(UnknownEnvelope):
        Envelope.decode(data)


def test_a_release_that_knows_no_bundles_counts_one_as_unknown() -> None:
    with pytest.raises(UnknownEnvelope):
        Envelope.decode(join([Envelope(Kind.MESSAGE, b"a").encode(), Envelope(Kind.MESSAGE, b"b").encode()]))


@given(st.binary())
def test_garbage_in_a_bundle_is_taken_apart_or_left(data: bytes) -> None:
    found = split(b"\x01\x00" + data)
    assert join(found) == b"\x01\x00" + data or list(found) == [b"\x01\x00" + data]


epochs = st.text(st.characters(codec="ascii", exclude_characters=":"))


@given(st.builds(Position, epochs, st.integers(0)), st.binary())
def test_a_position_goes_before_an_envelope_and_comes_off_again(position: Position, data: bytes) -> None:
    assert parted(positioned(position, data)) == (position, data)


@given(st.builds(Position, epochs, st.integers(0)), st.lists(carried, min_size=1, max_size=4))
def test_envelopes_with_positions_come_out_of_a_bundle_as_they_were(position: Position, several: list[bytes]) -> None:
    carried = [positioned(position, data) for data in several]
    assert [parted(data) for data in split(join(carried))] == [(position, data) for data in several]


@given(st.builds(Envelope, st.sampled_from(Kind), st.binary(), names, presence=beside))
def test_an_envelope_without_a_position_stays_as_it_is(envelope: Envelope) -> None:
    assert parted(envelope.encode()) == (None, envelope.encode())


def test_the_layout_of_a_position_is_that_of_version_1() -> None:
    assert parted(b"\x01\x01\x00\x00{:}") == (None, b"\x01\x01\x00\x00{:}")
    assert positioned(Position("e1", 12), b"\x01\x01\x00\x00{:}") == b"\x01\xffe1:12:\x01\x01\x00\x00{:}"
    assert POSITIONED == b"\x01\xff"


@pytest.mark.parametrize("rest", [b"", b"e", b"e:1", b"e:x:y", b"e:1.0:", b"e::", b"\xff:1:", b":" * 2])
def test_a_position_that_is_not_whole_makes_an_unknown_envelope(rest: bytes) -> None:
    assert parted(POSITIONED + rest) == (None, POSITIONED + rest)
    with pytest.raises(UnknownEnvelope):
        Envelope.decode(POSITIONED + rest)
