import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.protocol.envelope import Envelope, Kind, with_trace
from hubbub.protocol.trace_context import MOST_STATE, TraceContext, read

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PARSED = TraceContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, 1)

printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=MOST_STATE)
contexts = st.builds(
    TraceContext, st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 255), printable
)


@given(contexts)
def test_what_is_written_is_read_again(context: TraceContext) -> None:
    assert read(str(context)) == context


def test_it_is_the_traceparent_of_the_standard_and_its_tracestate() -> None:
    assert str(PARSED) == PARENT
    assert read(PARENT) == PARSED
    assert read(f"{PARENT};congo=t61rcWkgMzE,rojo=00f067") == PARSED._replace(state="congo=t61rcWkgMzE,rojo=00f067")


def test_the_flags_say_whether_it_was_sampled_and_what_else_they_say_is_kept() -> None:
    assert read(f"{PARENT[:-2]}00") == PARSED._replace(flags=0)
    assert read(f"{PARENT[:-2]}03") == PARSED._replace(flags=3)


def test_a_later_version_is_read_as_far_as_we_know_it() -> None:
    assert read(f"cc{PARENT[2:]}") == PARSED


@pytest.mark.parametrize("state", ["a=b" * MOST_STATE, "a=\u00e9", "a=\n", "a=\x7f", ""])
def test_a_state_that_may_not_be_carried_is_left_out_and_the_rest_is_not(state: str) -> None:
    assert str(PARSED._replace(state=state)) == PARENT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        PARENT.upper(),
        PARENT[:-1],
        f"{PARENT}0",
        f"{PARENT}-01",
        f" {PARENT}",
        f"{PARENT}\n",
        f"ff{PARENT[2:]}",
        PARENT.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
        PARENT.replace("b7ad6b7169203331", "0" * 16),
        f"{PARENT};a=\n",
        f"{PARENT};a=\u00e9",
        f"{PARENT};{'x' * (MOST_STATE + 1)}",
        "0" * 1_000_000,
    ],
    ids=lambda text: repr(text[:60]),
)
def test_what_is_none_is_no_context(text: str) -> None:
    assert read(text) is None


@given(st.text() | st.text(st.sampled_from("0123456789abcdef-;=, \n"), min_size=50, max_size=70))
def test_anything_is_a_context_or_none(text: str) -> None:
    found = read(text)
    assert found is None or (found.trace_id > 0 and found.span_id > 0)


names = st.frozensets(st.text(), max_size=3)


@given(
    st.builds(
        Envelope, st.sampled_from(Kind), st.binary(), names, names, names, st.none() | st.text(), st.none(), st.none()
    ),
    contexts,
)
def test_an_envelope_that_is_given_its_trace_is_otherwise_the_same(envelope: Envelope, context: TraceContext) -> None:
    data = with_trace(envelope.encode(), str(context))
    assert Envelope.decode(data) == envelope._replace(trace=str(context))
    assert data == envelope._replace(trace=str(context)).encode()


def test_where_the_header_has_no_room_for_it_the_message_goes_without() -> None:
    full = Envelope(Kind.MESSAGE, b"x", frozenset({"x" * (0xFFFF - len('{"u":[""]}') - len(PARENT))})).encode()
    assert with_trace(full, PARENT) == full
    fits = Envelope(Kind.MESSAGE, b"x", frozenset({"x" * (0xFFFF - len('{"u":[""],"t":""}') - len(PARENT))}))
    assert Envelope.decode(with_trace(fits.encode(), PARENT)) == fits._replace(trace=PARENT)


@pytest.mark.parametrize("trace", [7, None, [PARENT], {"a": 1}, True])
def test_what_stands_in_its_place_and_is_no_text_costs_nobody_the_message(trace: Any) -> None:
    header = json.dumps({"u": ["a"], "t": trace}).encode()
    data = bytes([1, 1]) + len(header).to_bytes(2, "big") + header + b"x"
    assert Envelope.decode(data) == Envelope(Kind.MESSAGE, b"x", without_users=frozenset({"a"}))
